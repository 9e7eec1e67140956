/*
 * PNG files: chunk structure and CRCs, notes there and back, pixels through an independent decoder,
 * and what is left on disk when writing fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "viz/png.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#pragma GCC diagnostic ignored "-Wunused-function" /* to the end: gcc looks for such there */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <stb_image.h>
#pragma GCC diagnostic pop

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* CRC-32 bit by bit, to check the table-driven one. */
static uint32_t slow_crc(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n * 8; i++) {
        uint32_t bit = p[i / 8] >> (i % 8) & 1;
        crc = (crc >> 1) ^ ((crc ^ bit) & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Walks all chunks, checks each CRC, and writes their types to `types`, a space behind each. */
static void walk(const uint8_t *png, size_t size, char *types)
{
    assert_true(size > 8 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0);
    for (size_t at = 8; at < size;) {
        assert_true(size - at >= 12);
        size_t n = be32(png + at);
        assert_true(n <= size - at - 12);
        assert_int_equal(be32(png + at + 8 + n), slow_crc(png + at + 4, n + 4));
        memcpy(types, png + at + 4, 4);
        memcpy(types + 4, " ", 2);
        types += 5;
        at += n + 12;
    }
}

static uint8_t *noise(size_t w, size_t h)
{
    uint8_t *rgb = malloc(w * h * 3);
    uint32_t x = 12345;
    for (size_t i = 0; i < w * h * 3; i++) {
        x = x * 1664525 + 1013904223;
        rgb[i] = (uint8_t)(x >> 24);
    }
    return rgb;
}

static void pixels_survive(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {64, 64}, {3, 200}, {511, 2}};
    char types[256];
    for (size_t i = 0; i < 4; i++) {
        size_t w = sizes[i][0], h = sizes[i][1], size;
        uint8_t *rgb = noise(w, h), *png;
        assert_int_equal(viz_png_encode(&png, &size, rgb, w, h, NULL, 0, NULL), VQ_OK);
        walk(png, size, types);
        assert_string_equal(types, "IHDR IDAT IEND ");
        assert_int_equal(be32(png + 16), w);
        assert_int_equal(be32(png + 20), h);
        int x, y, n;
        uint8_t *back = stbi_load_from_memory(png, (int)size, &x, &y, &n, 3);
        assert_non_null(back);
        assert_true((size_t)x == w && (size_t)y == h && n == 3);
        assert_memory_equal(back, rgb, w * h * 3);
        free(back);
        free(png);
        free(rgb);
    }
}

/* As many colours as asked for, at three depths of alpha unless `opaque`, in [h, w]. */
static void argb_survives(size_t colors, bool opaque, size_t w, size_t h, const char *chunks)
{
    uint32_t *argb = malloc(w * h * sizeof(*argb));
    uint8_t *png;
    size_t size;
    char types[256];
    for (size_t i = 0; i < w * h; i++) {
        uint32_t v = (uint32_t)(i * 7 % colors), a = opaque ? 7 : (uint32_t)(i % 3) * 127;
        argb[i] = a << 24 | (opaque ? v * 977 & 0xffffff : a);
    }
    assert_int_equal(viz_png_encode_argb(&png, &size, argb, w, h, opaque, NULL), VQ_OK);
    walk(png, size, types);
    assert_string_equal(types, chunks);
    int x, y, n;
    uint8_t *back = stbi_load_from_memory(png, (int)size, &x, &y, &n, 4);
    assert_non_null(back);
    assert_true((size_t)x == w && (size_t)y == h);
    for (size_t i = 0; i < w * h; i++) {
        const uint8_t *p = back + 4 * i;
        uint32_t rgb = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        assert_int_equal(p[3], opaque ? 255 : argb[i] >> 24);
        assert_int_equal(rgb, opaque ? argb[i] & 0xffffff : p[3] ? 0xffu : 0u);
    }
    free(back);
    free(png);
    free(argb);
}

/* Few colours take a byte each; none is lost for there being one more. */
static void pictures_of_few_colors_are_small(void **state)
{
    (void)state;
    argb_survives(1, true, 1, 1, "IHDR PLTE IDAT IEND ");
    argb_survives(256, true, 64, 40, "IHDR PLTE IDAT IEND ");
    argb_survives(257, true, 64, 40, "IHDR IDAT IEND ");
    argb_survives(2, false, 5, 3, "IHDR PLTE tRNS IDAT IEND ");
}

static void crc_is_the_standard_one(void **state)
{
    (void)state;
    assert_int_equal(viz_png_crc(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(viz_png_crc(viz_png_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
    assert_int_equal(viz_png_crc(0, "", 0), 0);
}

static void note_is(const uint8_t *png, size_t size, const char *key, const char *value)
{
    char *text;
    assert_int_equal(viz_png_text(&text, png, size, key, NULL), VQ_OK);
    assert_string_equal(text, value);
    free(text);
}

static void notes_come_back(void **state)
{
    (void)state;
    char types[256], *text;
    char *big = malloc(100001);
    memset(big, 'x', 100000);
    big[100000] = '\0';
    const struct viz_note notes[] = {
        {"prompt", "two\nlines\tand a tab"},
        {"model", "caf\xc3\xa9 \xe6\xbc\xa2"},
        {"empty", ""},
        {"big", big},
        {"  a  key\x01\xc3  ", "cleaned"},
        {"bad", "a\x01 b\xff c\x7f"},
        {"prompt", "second"},
    };
    uint8_t rgb[12] = {0}, *png;
    size_t size;
    assert_int_equal(viz_png_encode(&png, &size, rgb, 2, 2, notes, 7, NULL), VQ_OK);
    walk(png, size, types);
    assert_string_equal(types, "IHDR tEXt iTXt tEXt tEXt tEXt iTXt tEXt IDAT IEND ");
    note_is(png, size, "prompt", "two\nlines\tand a tab");
    note_is(png, size, "model", "caf\xc3\xa9 \xe6\xbc\xa2");
    note_is(png, size, "empty", "");
    note_is(png, size, "big", big);
    note_is(png, size, "a key__", "cleaned");
    note_is(png, size, "bad", "a  b\xef\xbf\xbd c ");
    struct vq_err err;
    assert_int_equal(viz_png_text(&text, png, size, "promp", &err), VQ_ENOTFOUND);
    assert_null(text);
    assert_int_equal(viz_png_text(&text, png, size, "", &err), VQ_ENOTFOUND);
    int x, y, n;
    uint8_t *back = stbi_load_from_memory(png, (int)size, &x, &y, &n, 3);
    assert_non_null(back);
    free(back);
    free(png);
    free(big);
}

static void bad_keys_are_refused(void **state)
{
    (void)state;
    char key[81] = "";
    memset(key, 'k', 80);
    uint8_t rgb[3] = {0}, *png = (uint8_t *)1;
    size_t size;
    struct vq_err err;
    const char *bad[] = {"", "   ", key};
    for (size_t i = 0; i < 3; i++) {
        struct viz_note note = {bad[i], "v"};
        assert_int_equal(viz_png_encode(&png, &size, rgb, 1, 1, &note, 1, &err), VQ_EINVAL);
        assert_null(png);
    }
    key[79] = '\0';
    struct viz_note note = {key, "v"};
    assert_int_equal(viz_png_encode(&png, &size, rgb, 1, 1, &note, 1, &err), VQ_OK);
    note_is(png, size, key, "v");
    free(png);
    assert_int_equal(viz_png_encode(&png, &size, rgb, 0, 1, NULL, 0, &err), VQ_EINVAL);
    assert_int_equal(viz_png_encode(&png, &size, rgb, 1, 16385, NULL, 0, &err), VQ_EINVAL);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    const struct viz_note note = {"k", "\xc3\xa9"};
    uint8_t rgb[3] = {1, 2, 3}, *png;
    char *text;
    size_t size;
    struct vq_err err;
    assert_int_equal(viz_png_encode(&png, &size, rgb, 1, 1, &note, 1, NULL), VQ_OK);
    size_t note_end = 33 + 12 + be32(png + 33);
    for (size_t cut = 0; cut < size; cut++) {
        enum vq_status status = viz_png_text(&text, png, cut, "k", &err);
        assert_int_equal(status, cut < note_end ? VQ_EFORMAT : VQ_OK);
        free(text);
        status = viz_png_text(&text, png, cut, "other", &err);
        assert_int_equal(status, VQ_EFORMAT);
    }
    png[note_end - 5] ^= 1;
    assert_int_equal(viz_png_text(&text, png, size, "k", &err), VQ_EFORMAT);
    assert_non_null(strstr(err.msg, "CRC"));
    png[note_end - 5] ^= 1;
    png[33] = 0xff; /* a length beyond the file */
    assert_int_equal(viz_png_text(&text, png, size, "k", &err), VQ_EFORMAT);
    assert_int_equal(viz_png_text(&text, (const uint8_t *)"\xff\xd8\xff....", 7, "k", &err),
                     VQ_EFORMAT);
    assert_non_null(strstr(err.msg, "JPEG"));
    assert_null(text);
    free(png);
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static long file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void failures_leave_nothing(void **state)
{
    (void)state;
    char dir[] = "/tmp/viz_png_XXXXXX", path[64], below[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a.png", dir);
    snprintf(below, sizeof(below), "%s/b.png", path);
    uint8_t *rgb = noise(100, 100);
    struct vq_err err;
    assert_int_equal(viz_png_save("/dev/full", rgb, 100, 100, NULL, 0, &err), VQ_EINVAL);
    assert_int_equal(viz_png_save("/no/such/folder/x.png", rgb, 1, 1, NULL, 0, &err), VQ_ENOTFOUND);
    assert_int_equal(viz_png_save(dir, rgb, 1, 1, NULL, 0, &err), VQ_EINVAL);
    assert_int_equal(viz_png_save(path, rgb, 0, 1, NULL, 0, &err), VQ_EINVAL);
    assert_int_equal(entries(dir), 0);

    assert_int_equal(viz_png_save(path, rgb, 2, 2, NULL, 0, &err), VQ_OK);
    long small = file_size(path);
    assert_true(small > 50);
    assert_int_equal(viz_png_save(below, rgb, 1, 1, NULL, 0, &err), VQ_EIO);

    /* A disk that fills up at 4 KiB: an error, the old file whole, no temporary file. */
    struct rlimit old, full;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    full = old;
    full.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    enum vq_status status = viz_png_save(path, rgb, 100, 100, NULL, 0, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, VQ_EIO);
    assert_non_null(strstr(err.msg, "a.png"));
    assert_int_equal(file_size(path), small);
    assert_int_equal(entries(dir), 1);

    assert_int_equal(viz_png_save(path, rgb, 100, 100, NULL, 0, &err), VQ_OK);
    assert_true(file_size(path) > small);
    assert_int_equal(entries(dir), 1);
    free(rgb);
    unlink(path);
    rmdir(dir);
}

static void allocations_may_fail(void **state)
{
    (void)state;
    const struct viz_note notes[] = {{"a", "b"}, {"c", "\xc3\xa9"}};
    uint8_t rgb[12] = {0}, *png;
    size_t size;
    long nth = 0;
    enum vq_status status;
    do {
        vq_mem_fail_at(++nth);
        status = viz_png_encode(&png, &size, rgb, 2, 2, notes, 2, NULL);
        assert_true(status == VQ_OK || (status == VQ_ENOMEM && !png));
    } while (status != VQ_OK && nth < 100);
    assert_true(nth > 3 && nth < 100);
    char *text;
    vq_mem_fail_at(1);
    assert_int_equal(viz_png_text(&text, png, size, "c", NULL), VQ_ENOMEM);
    vq_mem_fail_at(0);
    free(png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_survive),
        cmocka_unit_test(pictures_of_few_colors_are_small),
        cmocka_unit_test(crc_is_the_standard_one),
        cmocka_unit_test(notes_come_back),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
