#include "viz/png.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

/* stb checks only some of its allocations, hence the reservation in encode_pixels(). */
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBIW_ASSERT(x) ((void)0)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

#define SIGNATURE     "\x89PNG\r\n\x1a\n"
#define SIGNATURE_LEN 8
#define HEADER_END    (SIGNATURE_LEN + 25) /* behind IHDR, which comes first and is 13 + 12 bytes */
#define CHUNK_EXTRA   12                   /* length, type and CRC around the data of a chunk */
#define KEY_MAX       79

/* A growing run of bytes; `failed` sticks. */
struct bytes {
    uint8_t *p;
    size_t n, room;
    bool failed;
};

/* Doubling keeps the copies linear in the size. */
static void put(struct bytes *b, const void *data, size_t n)
{
    size_t need, room;
    if (b->failed || n == 0 || !vq_add_ok(b->n, n, &need)) {
        b->failed |= n > 0;
        return;
    }
    if (need > b->room) {
        room = need < SIZE_MAX / 2 ? need * 2 : need;
        uint8_t *p = vq_realloc(b->p, room, 1);
        if (!p) {
            b->failed = true;
            return;
        }
        b->p = p;
        b->room = room;
    }
    memcpy(b->p + b->n, data, n);
    b->n = need;
}

static void put_u32(struct bytes *b, uint32_t v)
{
    uint8_t be[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    put(b, be, 4);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint32_t viz_png_crc(uint32_t crc, const void *data, size_t size)
{
    /* The reflected polynomial 0xedb88320, four bits at a time. */
    static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *p = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

static void put_chunk(struct bytes *b, const char *type, const void *data, size_t n)
{
    size_t start = b->n + 4;
    put_u32(b, (uint32_t)n);
    put(b, type, 4);
    put(b, data, n);
    put_u32(b, b->failed ? 0 : viz_png_crc(0, b->p + start, b->n - start));
}

/* Copies a keyword in the form the format asks for; false if nothing valid is left. */
static bool clean_key(char out[KEY_MAX + 1], const char *key)
{
    size_t n = 0;
    for (; *key; key++) {
        char ch = *key >= ' ' && *key <= '~' ? *key : '_';
        if (ch == ' ' && (n == 0 || out[n - 1] == ' '))
            continue;
        if (n == KEY_MAX)
            return false;
        out[n++] = ch;
    }
    if (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return n > 0;
}

static void put_utf8(struct bytes *b, uint32_t cp)
{
    uint8_t u[4];
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        u[i] = (uint8_t)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    u[0] = (uint8_t)(n == 1 ? cp : (0xf00 >> n & 0xff) | cp);
    put(b, u, n);
}

/* Appends a value in valid UTF-8 without stray controls; *ascii says whether it is all ASCII. */
static void put_value(struct bytes *b, const char *s, bool *ascii)
{
    *ascii = true;
    size_t left = strlen(s);
    while (left > 0) {
        uint32_t cp;
        int step = vq_utf8_next(s, left, &cp);
        size_t used = step > 0 ? (size_t)step : step < 0 ? (size_t)-step : left;
        if (step == 0)
            cp = VQ_UTF8_REPLACEMENT;
        s += used;
        left -= used;
        if ((cp < ' ' && cp != '\n' && cp != '\t') || cp == 0x7f)
            cp = ' ';
        *ascii &= cp < 0x80;
        put_utf8(b, cp);
    }
}

static enum vq_status put_note(struct bytes *b, const struct viz_note *note, struct vq_err *err)
{
    /* iTXt: no compression (two bytes), empty language tag and translated keyword. */
    static const uint8_t itxt_fields[4] = {0, 0, 0, 0};
    char key[KEY_MAX + 1];
    if (!clean_key(key, note->key))
        return vq_fail(err, VQ_EINVAL,
                       "note '%.100s' of a picture: expected a key of 1 to %d bytes", note->key,
                       KEY_MAX);
    struct bytes value = {0};
    bool ascii;
    put_value(&value, note->value, &ascii);
    size_t key_len = strlen(key) + 1, extra = ascii ? 0 : sizeof(itxt_fields);
    enum vq_status status = VQ_OK;
    if (value.failed) {
        status = vq_nomem(err, "note of a picture", strlen(note->value), 1);
    } else if (value.n > INT32_MAX - key_len - extra) {
        status =
            vq_fail(err, VQ_EINVAL, "note '%s' of a picture: %zu bytes are too many", key, value.n);
    } else {
        size_t start = b->n + 4;
        put_u32(b, (uint32_t)(key_len + extra + value.n));
        put(b, ascii ? "tEXt" : "iTXt", 4);
        put(b, key, key_len);
        put(b, itxt_fields, extra);
        put(b, value.p, value.n);
        put_u32(b, b->failed ? 0 : viz_png_crc(0, b->p + start, b->n - start));
    }
    free(value.p);
    return status;
}

/*
 * The picture alone, as stb encodes it. stb does not check every allocation it makes (a filtered
 * copy, a growing output that doubles, 2.3 MB of tables), so their sum is asked for first: where it
 * cannot be had we report that instead of letting stb meet it.
 */
static enum vq_status have_room(size_t pixel_bytes, size_t w, size_t h, struct vq_err *err)
{
    size_t need = (pixel_bytes * w + 1) * h * 6 + ((size_t)4 << 20);
    void *room = vq_alloc(need, 1);
    if (!room)
        return vq_nomem(err, "encoding a picture", need, 1);
    free(room);
    return VQ_OK;
}

/* px [h, w, channels]: RGB, or RGBA. */
static enum vq_status encode_pixels(uint8_t **out, size_t *size, const uint8_t *px, size_t w,
                                    size_t h, size_t channels, struct vq_err *err)
{
    int len = 0;
    enum vq_status status = have_room(channels, w, h, err);
    if (status != VQ_OK)
        return status;
    *out = stbi_write_png_to_mem(px, (int)(channels * w), (int)w, (int)h, (int)channels, &len);
    if (!*out || len < HEADER_END)
        return vq_nomem(err, "encoding a picture", w * h, channels);
    *size = (size_t)len;
    return VQ_OK;
}

/* ---- pictures of few colours ---- */

#define PALETTE 256
#define SLOTS   1024 /* a power of two well over that */

/* The colours met so far, and where in the list each is: slot[] holds numbers from 1. */
struct palette {
    uint32_t color[PALETTE];
    size_t n;
    uint16_t slot[SLOTS];
};

/* The number of a colour; PALETTE when there is no room for one more. */
static size_t number_of(struct palette *p, uint32_t color)
{
    size_t i = (color * 2654435761u) >> 22;
    while (p->slot[i] && p->color[p->slot[i] - 1] != color)
        i = (i + 1) % SLOTS;
    if (p->slot[i])
        return p->slot[i] - 1;
    if (p->n == PALETTE)
        return PALETTE;
    p->color[p->n] = color;
    p->slot[i] = (uint16_t)++p->n;
    return p->n - 1;
}

/* Channel k of RGBA of a colour that is multiplied by its alpha. */
static uint8_t channel(uint32_t v, size_t k)
{
    uint32_t alpha = v >> 24;
    if (k == 3)
        return (uint8_t)alpha;
    uint32_t c = v >> (16 - 8 * k) & 255;
    return alpha ? (uint8_t)((c * 255 + alpha / 2) / alpha) : 0;
}

/* Rows of numbers, each behind a 0, which says that it is not filtered; false: too many colours. */
static bool number_pixels(struct palette *p, uint8_t *rows, const uint32_t *argb, size_t w,
                          size_t h, uint32_t always)
{
    for (size_t y = 0; y < h; y++, rows += w + 1) {
        rows[0] = 0;
        for (size_t x = 0; x < w; x++) {
            size_t k = number_of(p, argb[y * w + x] | always);
            if (k == PALETTE)
                return false;
            rows[1 + x] = (uint8_t)k;
        }
    }
    return true;
}

static void put_palette_png(struct bytes *b, const struct palette *p, bool opaque, uint8_t *rows,
                            size_t w, size_t h)
{
    struct bytes header = {0};
    uint8_t colors[3 * PALETTE], alphas[PALETTE];
    int len = 0;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < 3; k++)
            colors[3 * i + k] = channel(p->color[i], k);
        alphas[i] = channel(p->color[i], 3);
    }
    uint8_t *packed = stbi_zlib_compress(rows, (int)((w + 1) * h), &len, 8);
    put(b, SIGNATURE, SIGNATURE_LEN);
    put_u32(&header, (uint32_t)w);
    put_u32(&header, (uint32_t)h);
    put(&header, (const uint8_t[]){8, 3, 0, 0, 0}, 5);
    put_chunk(b, "IHDR", header.p, header.n);
    put_chunk(b, "PLTE", colors, 3 * p->n);
    if (!opaque)
        put_chunk(b, "tRNS", alphas, p->n);
    put_chunk(b, "IDAT", packed, packed ? (size_t)len : 0);
    put_chunk(b, "IEND", NULL, 0);
    b->failed |= header.failed || !packed;
    free(header.p);
    free(packed);
}

/* All channels of all pixels. */
static enum vq_status encode_argb(uint8_t **out, size_t *size, const uint32_t *argb, size_t w,
                                  size_t h, uint32_t always, struct vq_err *err)
{
    size_t channels = always ? 3 : 4;
    uint8_t *px = vq_alloc(w * h, channels);
    if (!px)
        return vq_nomem(err, "encoding a picture", w * h, channels);
    for (size_t i = 0; i < w * h; i++)
        for (size_t k = 0; k < channels; k++)
            px[channels * i + k] = channel(argb[i] | always, k);
    enum vq_status status = encode_pixels(out, size, px, w, h, channels, err);
    free(px);
    return status;
}

enum vq_status viz_png_encode_argb(uint8_t **out, size_t *size, const uint32_t *argb, size_t w,
                                   size_t h, bool opaque, struct vq_err *err)
{
    const uint32_t always = opaque ? 0xff000000u : 0;
    struct palette p = {.n = 0};
    struct bytes b = {0};
    *out = NULL;
    *size = 0;
    enum vq_status status = have_room(1, w, h, err);
    uint8_t *rows = status == VQ_OK ? vq_alloc(w + 1, h) : NULL;
    if (!rows)
        return status != VQ_OK ? status : vq_nomem(err, "encoding a picture", w + 1, h);
    bool few = number_pixels(&p, rows, argb, w, h, always);
    if (few)
        put_palette_png(&b, &p, opaque, rows, w, h);
    free(rows);
    if (!few)
        return encode_argb(out, size, argb, w, h, always, err);
    if (b.failed) {
        free(b.p);
        return vq_nomem(err, "encoding a picture", w * h, 1);
    }
    *out = b.p;
    *size = b.n;
    return VQ_OK;
}

/* ---- pictures with notes ---- */

enum vq_status viz_png_encode(uint8_t **out, size_t *size, const uint8_t *rgb, size_t w, size_t h,
                              const struct viz_note *notes, size_t n, struct vq_err *err)
{
    *out = NULL;
    *size = 0;
    if (w < 1 || h < 1 || w > VIZ_CANVAS_MAX || h > VIZ_CANVAS_MAX)
        return vq_fail(err, VQ_EINVAL, "picture of %zu x %zu pixels: each side must be 1 to %d", w,
                       h, VIZ_CANVAS_MAX);
    uint8_t *plain = NULL;
    size_t plain_size = 0;
    struct bytes b = {0};
    enum vq_status status = encode_pixels(&plain, &plain_size, rgb, w, h, 3, err);
    if (status != VQ_OK)
        goto done;
    put(&b, plain, HEADER_END);
    for (size_t i = 0; i < n && status == VQ_OK; i++)
        status = put_note(&b, &notes[i], err);
    if (status != VQ_OK)
        goto done;
    put(&b, plain + HEADER_END, plain_size - HEADER_END);
    if (b.failed) {
        status = vq_nomem(err, "encoding a picture", plain_size, 1);
        goto done;
    }
    *out = b.p;
    *size = b.n;
    b.p = NULL;
done:
    free(b.p);
    free(plain);
    return status;
}

enum vq_status viz_png_save(const char *path, const uint8_t *rgb, size_t w, size_t h,
                            const struct viz_note *notes, size_t n, struct vq_err *err)
{
    struct vq_writer *file = NULL;
    uint8_t *png = NULL;
    size_t size = 0;
    /* Opened first: a path that cannot be written is refused before the work of encoding. */
    enum vq_status status = vq_writer_open(&file, path, err);
    if (status == VQ_OK)
        status = viz_png_encode(&png, &size, rgb, w, h, notes, n, err);
    if (status == VQ_OK)
        status = vq_writer_put(file, png, size, err);
    if (status == VQ_OK)
        status = vq_writer_commit(file, err);
    else
        vq_writer_abort(file);
    free(png);
    return status;
}

enum vq_status viz_png_save_canvas(const char *path, struct viz_canvas *c,
                                   const struct viz_note *notes, size_t n, struct vq_err *err)
{
    const uint8_t *rgb = viz_canvas_rgb(c, err);
    if (!rgb)
        return VQ_ENOMEM;
    return viz_png_save(path, rgb, (size_t)c->w, (size_t)c->h, notes, n, err);
}

/* The text of an iTXt chunk starts behind its flags and two more strings; NULL if it is damaged or
 * compressed (*compressed). p[0 .. n) is what follows the keyword. */
static const uint8_t *itxt_text(const uint8_t *p, size_t n, bool *compressed)
{
    const uint8_t *end = p + n;
    *compressed = n >= 2 && p[0] != 0;
    if (n < 2 || *compressed)
        return NULL;
    p += 2;
    for (int skip = 0; skip < 2; skip++) {
        const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
        if (!nul)
            return NULL;
        p = nul + 1;
    }
    return p;
}

/* Decodes a chunk's data that starts with `key` and a NUL into *out. */
static enum vq_status note_value(char **out, const uint8_t *data, size_t n, size_t key_len,
                                 bool latin1, struct vq_err *err)
{
    const uint8_t *p = data + key_len + 1, *end = data + n;
    struct bytes b = {0};
    if (!latin1) {
        bool compressed;
        p = itxt_text(p, (size_t)(end - p), &compressed);
        if (!p)
            return vq_fail(err, compressed ? VQ_EUNSUPPORTED : VQ_EFORMAT, "PNG note '%s' is %s",
                           (const char *)data, compressed ? "compressed" : "damaged");
        put(&b, p, (size_t)(end - p));
    }
    for (; latin1 && p < end; p++)
        put_utf8(&b, *p);
    put(&b, "", 1);
    if (b.failed) {
        free(b.p);
        return vq_nomem(err, "PNG note", n, 1);
    }
    *out = (char *)b.p;
    return VQ_OK;
}

enum vq_status viz_png_text(char **out, const uint8_t *data, size_t size, const char *key,
                            struct vq_err *err)
{
    size_t key_len = strlen(key);
    *out = NULL;
    if (size < SIGNATURE_LEN || memcmp(data, SIGNATURE, SIGNATURE_LEN) != 0) {
        const char *kind = vq_file_sniff(data, size);
        return vq_fail(err, VQ_EFORMAT, "expected a PNG picture, found %s",
                       kind ? kind : "something else");
    }
    /* Every length is compared with what is left before it is used: the file may be anything. */
    for (size_t at = SIGNATURE_LEN;;) {
        size_t left = size - at, n = left >= CHUNK_EXTRA ? get_u32(data + at) : 0;
        if (left < CHUNK_EXTRA || n > left - CHUNK_EXTRA)
            return vq_fail(err, VQ_EFORMAT, "PNG picture cut short at byte %zu of a chunk", at);
        const uint8_t *type = data + at + 4, *body = type + 4;
        bool latin1 = memcmp(type, "tEXt", 4) == 0, utf8 = memcmp(type, "iTXt", 4) == 0;
        if ((latin1 || utf8) && n > key_len && memcmp(body, key, key_len + 1) == 0) {
            if (viz_png_crc(0, type, n + 4) != get_u32(body + n))
                return vq_fail(err, VQ_EFORMAT, "PNG note '%s' is damaged (its CRC differs)", key);
            return note_value(out, body, n, key_len, latin1, err);
        }
        if (memcmp(type, "IEND", 4) == 0)
            return vq_fail(err, VQ_ENOTFOUND, "the PNG picture has no note '%s'", key);
        at += n + CHUNK_EXTRA;
    }
}
