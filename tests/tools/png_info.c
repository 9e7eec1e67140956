/*
 * png_info: what a PNG file says about itself, for the check scripts.
 *
 *     png_info FILE.png [ROWS]
 *
 * Prints "size W H", each tEXt note as "note KEY VALUE", and for a square picture "pixels HASH" of
 * its first ROWS rows (all without ROWS) and "grey N": how many of all its bytes are 0x80, which is
 * what `sample` leaves where nothing was painted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/data/image.h"

static size_t be32(const unsigned char *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* "KEY\0VALUE" without the zero. */
static void print_note(const unsigned char *p, size_t n)
{
    size_t key = strnlen((const char *)p, n);
    printf("note %.*s %.*s\n", (int)key, (const char *)p, key < n ? (int)(n - key - 1) : 0,
           key < n ? (const char *)p + key + 1 : "");
}

/* Walks the chunks; false when the file is no PNG or ends early. */
static bool print_chunks(const struct vq_file *f, size_t *side)
{
    const unsigned char *p = f->data;
    size_t at = 8;
    if (f->size < 8 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0)
        return false;
    while (f->size - at >= 12) {
        size_t n = be32(p + at);
        const unsigned char *body = p + at + 8;
        if (n > f->size - at - 12)
            return false;
        if (memcmp(p + at + 4, "IHDR", 4) == 0) {
            printf("size %zu %zu\n", be32(body), be32(body + 4));
            *side = be32(body) == be32(body + 4) ? be32(body) : 0;
        } else if (memcmp(p + at + 4, "tEXt", 4) == 0) {
            print_note(body, n);
        }
        at += n + 12;
    }
    return at == f->size;
}

static enum vq_status print_pixels(const char *path, size_t side, size_t rows, struct vq_err *err)
{
    uint8_t *rgb;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    size_t grey = 0;
    enum vq_status st = vq_image_load_square(path, (int)side, &rgb, err);
    if (st != VQ_OK)
        return st;
    for (size_t i = 0; i < (rows < side ? rows : side) * side * 3; i++)
        hash = (hash ^ rgb[i]) * 1099511628211u;
    for (size_t i = 0; i < side * side * 3; i++)
        grey += rgb[i] == 0x80;
    printf("pixels %016llx\ngrey %zu\n", (unsigned long long)hash, grey);
    free(rgb);
    return VQ_OK;
}

int main(int argc, char **argv)
{
    struct vq_file f;
    struct vq_err err = {0};
    size_t side = 0;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: png_info FILE.png [ROWS]\n");
        return 2;
    }
    size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : SIZE_MAX;
    enum vq_status st = vq_file_open(&f, argv[1], &err);
    if (st == VQ_OK) {
        if (!print_chunks(&f, &side))
            st = vq_fail(&err, VQ_EFORMAT, "%s: no whole PNG", argv[1]);
        vq_file_close(&f);
    }
    if (st == VQ_OK && side > 0)
        st = print_pixels(argv[1], side, rows, &err);
    if (st != VQ_OK)
        fprintf(stderr, "png_info: %s\n", err.msg);
    return st != VQ_OK;
}
