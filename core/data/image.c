#include "core/data/image.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"

#define MAX_SIDE   65536
#define MAX_PIXELS (1u << 28)
#define MAX_RESULT 4096

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_TGA
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS MAX_SIDE
/* Zeroed: a JPEG may refer to tables that it never defines. */
#define STBI_MALLOC(size)     vq_calloc(1, size)
#define STBI_REALLOC(p, size) vq_realloc(p, size, 1)
#define STBI_FREE(p)          free(p)
#include <stb/stb_image.h>

/* A decoded picture: width * height pixels of red, green, blue, alpha. */
struct picture {
    stbi_uc *rgba;
    size_t width, height;
};

static enum vq_status truncated(size_t need, size_t found, struct vq_err *err)
{
    return vq_fail(err, VQ_EFORMAT,
                   "the image is cut short: it needs at least %zu bytes, found %zu", need, found);
}

/* The next number of a PNM header, after white space and comments. */
static size_t pnm_number(const struct vq_file *f, size_t *at)
{
    size_t value = 0;
    while (*at < f->size && (strchr(" \t\r\n#", f->data[*at]) && f->data[*at])) {
        if (f->data[*at] == '#')
            while (*at < f->size && f->data[*at] != '\n')
                (*at)++;
        else
            (*at)++;
    }
    for (; *at < f->size && f->data[*at] >= '0' && f->data[*at] <= '9' && value < INT_MAX; (*at)++)
        value = value * 10 + (f->data[*at] - '0');
    return value;
}

/* stb_image does not scale samples of another range, and reads past them when they are 16 bits. */
static enum vq_status check_pnm(const struct vq_file *f, struct vq_err *err)
{
    size_t at = 2, channels = f->data[1] == '6' ? 3 : 1;
    size_t width = pnm_number(f, &at), height = pnm_number(f, &at), top = pnm_number(f, &at);
    if (top != 255)
        return vq_fail(err, VQ_EUNSUPPORTED, "a PNM image with maximum %zu; only 255 is read", top);
    size_t need = at + 1 + width * height * channels;
    return f->size < need ? truncated(need, f->size, err) : VQ_OK;
}

static size_t le16(const uint8_t *p)
{
    return p[0] | (size_t)p[1] << 8;
}

static size_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}

static enum vq_status check_bmp(const struct vq_file *f, size_t width, size_t height,
                                struct vq_err *err)
{
    if (f->size < 30)
        return truncated(30, f->size, err);
    size_t bits = le16(f->data + (le32(f->data + 14) == 12 ? 24 : 28));
    size_t need = le32(f->data + 10) + (width * bits + 31) / 32 * 4 * height;
    return f->size < need ? truncated(need, f->size, err) : VQ_OK;
}

/* Offset behind the run-length coded pixels that start at `at`, walking packet by packet. */
static size_t tga_packets(const struct vq_file *f, size_t at, size_t pixels, size_t bytes)
{
    while (pixels > 0 && at < f->size) {
        size_t run = (f->data[at] & 127u) + 1;
        at += 1 + (f->data[at] & 128 ? 1 : run) * bytes;
        pixels -= run < pixels ? run : pixels;
    }
    return at + (pixels > 0); /* at least a byte is missing then */
}

static enum vq_status check_tga(const struct vq_file *f, size_t width, size_t height,
                                struct vq_err *err)
{
    if (f->size < 18)
        return truncated(18, f->size, err);
    size_t palette = f->data[1] ? le16(f->data + 5) * ((f->data[7] + 7u) / 8) : 0;
    size_t at = 18 + f->data[0] + palette, pixels = width * height;
    size_t bytes = (f->data[16] + 7u) / 8;
    bool packed = f->data[2] >= 8;
    size_t need = packed ? tga_packets(f, at, pixels, bytes) : at + pixels * bytes;
    return f->size < need ? truncated(need, f->size, err) : VQ_OK;
}

/* Size of the colour table that a GIF's flag byte announces. */
static size_t gif_colours(uint8_t flags)
{
    return flags & 0x80 ? (size_t)6 << (flags & 7) : 0;
}

/* Offset behind the chain of sub-blocks at `at`, over the file's size when its end is missing. */
static size_t gif_chain(const struct vq_file *f, size_t at)
{
    while (at < f->size && f->data[at])
        at += 1u + f->data[at];
    return at + 1;
}

/* The first picture, which is the one that is read, must be there to its last block. */
static enum vq_status check_gif(const struct vq_file *f, struct vq_err *err)
{
    enum { HEADER = 13, PICTURE_HEADER = 10, PICTURE = 0x2c, EXTENSION = 0x21 };
    size_t at = f->size < HEADER ? HEADER : HEADER + gif_colours(f->data[10]);
    while (at < f->size && f->data[at] == EXTENSION)
        at = gif_chain(f, at + 2);
    if (at < f->size && f->data[at] != PICTURE)
        return VQ_OK; /* stb_image says what is wrong */
    size_t colours = at + PICTURE_HEADER < f->size ? gif_colours(f->data[at + 9]) : 0;
    at = gif_chain(f, at + PICTURE_HEADER + colours + 1);
    return f->size < at ? truncated(at, f->size, err) : VQ_OK;
}

/* Byte `at` of the file, 0 behind its end, as stb_image reads it. */
static size_t byte_at(const struct vq_file *f, size_t at)
{
    return at < f->size ? f->data[at] : 0;
}

/* The Huffman tables of the segment at `at` (its length bytes) have at most 256 codes each. */
static bool sound_tables(const struct vq_file *f, size_t at)
{
    size_t end = at + (byte_at(f, at) << 8 | byte_at(f, at + 1));
    for (at += 2; at < end;) {
        size_t codes = 0;
        for (size_t i = 1; i <= 16; i++)
            codes += byte_at(f, at + i);
        if (codes > 256)
            return false;
        at += 17 + codes;
    }
    return true;
}

static bool is_jpeg(const struct vq_file *f)
{
    return f->size >= 2 && f->data[0] == 0xff && f->data[1] >= 0xd8; /* no TGA starts like that */
}

/* stb_image writes past its tables when one announces more codes than there are symbols, and
 * already when asked for the picture's size. Segments are walked up to the picture's data, in which
 * any table marker would be a real one. */
static enum vq_status check_jpeg(const struct vq_file *f, struct vq_err *err)
{
    enum { MARK = 0xff, TABLES = 0xc4, SCAN = 0xda };
    bool in_data = false;
    for (size_t at = 2; at + 1 < f->size;) {
        uint8_t marker = f->data[at + 1];
        if (f->data[at] != MARK || marker == MARK) {
            at++;
            continue;
        }
        at += 2;
        if (marker == TABLES && !sound_tables(f, at))
            return vq_fail(err, VQ_EFORMAT, "the JPEG image has a Huffman table of over 256 codes");
        in_data = in_data || marker == SCAN;
        if (!in_data)
            at += byte_at(f, at) << 8 | byte_at(f, at + 1);
    }
    return VQ_OK;
}

static bool is_png(const struct vq_file *f)
{
    return f->size >= 4 && memcmp(f->data, "\x89PNG", 4) == 0;
}

static bool is_gif(const struct vq_file *f)
{
    return f->size >= 3 && memcmp(f->data, "GIF", 3) == 0;
}

/* A BMP's mark is two letters, as a text may have them: the length of its header must be known. */
static bool is_bmp(const struct vq_file *f)
{
    static const size_t headers[] = {12, 40, 52, 56, 64, 108, 124};
    bool known = false;
    if (f->size < 18 || memcmp(f->data, "BM", 2) != 0)
        return false;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        known = known || le32(f->data + 14) == headers[i];
    return known;
}

static bool is_pnm(const struct vq_file *f)
{
    return f->size >= 3 && f->data[0] == 'P' && (f->data[1] == '5' || f->data[1] == '6') &&
           memchr(" \t\r\n", f->data[2], 4);
}

bool vq_image_begins(const uint8_t *data, size_t size)
{
    const struct vq_file f = {.data = data, .size = size};
    return is_png(&f) || is_jpeg(&f) || is_gif(&f) || is_bmp(&f) || is_pnm(&f);
}

/* Formats without a checksum or an end mark: stb_image would fill in what a cut file lacks. The
 * sizes are within MAX_SIDE, so nothing here overflows. */
static enum vq_status check_length(const struct vq_file *f, const struct picture *p,
                                   struct vq_err *err)
{
    if (f->size >= 2 && memcmp(f->data, "BM", 2) == 0)
        return check_bmp(f, p->width, p->height, err);
    if (f->size >= 2 && (memcmp(f->data, "P5", 2) == 0 || memcmp(f->data, "P6", 2) == 0))
        return check_pnm(f, err);
    if (is_gif(f))
        return check_gif(f, err);
    if (is_jpeg(f) || is_png(f))
        return VQ_OK;
    return check_tga(f, p->width, p->height, err);
}

/* The reason of the last failure would otherwise be the reason of one that gives none. */
static void forget_failure(void)
{
    stbi__g_failure_reason = NULL;
}

static enum vq_status damaged(const char *why, struct vq_err *err)
{
    return vq_fail(err, VQ_EFORMAT, "the image is damaged or cut short (%s)", why);
}

static enum vq_status not_an_image(const struct vq_file *f, struct vq_err *err)
{
    if (is_jpeg(f) || is_png(f) || is_gif(f))
        return damaged("nothing that tells its size", err);
    const char *what = vq_file_sniff(f->data, f->size), *why = stbi_failure_reason();
    return vq_fail(err, VQ_EFORMAT,
                   "expected a PNG, JPEG, BMP, GIF, TGA or PNM image, found %s (%s)",
                   what ? what : "something else", why ? why : "unknown");
}

static enum vq_status decode(struct picture *p, const struct vq_file *f, struct vq_err *err)
{
    int w, h, channels;
    if (f->size > INT_MAX)
        return vq_fail(err, VQ_EFORMAT, "the image file has %zu bytes; at most %d are read",
                       f->size, INT_MAX);
    if (is_jpeg(f) && check_jpeg(f, err) != VQ_OK)
        return VQ_EFORMAT;
    forget_failure();
    if (!stbi_info_from_memory(f->data, (int)f->size, &w, &h, &channels))
        return not_an_image(f, err);
    long long height = h < 0 ? -(long long)h : h; /* a BMP stored from the top down */
    if (w <= 0 || height <= 0)
        return damaged("no pixels", err);
    if (w > MAX_SIDE || height > MAX_SIDE || w * height > MAX_PIXELS)
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "an image of %d x %lld pixels; up to %d a side and %u in all are read", w,
                       height, MAX_SIDE, MAX_PIXELS);
    p->width = (size_t)w;
    p->height = (size_t)height;
    enum vq_status status = check_length(f, p, err);
    if (status != VQ_OK)
        return status;
    forget_failure();
    p->rgba = stbi_load_from_memory(f->data, (int)f->size, &w, &h, &channels, 4);
    if (p->rgba)
        return VQ_OK;
    /* Without a reason it was the unpacking of a PNG that got no memory. */
    const char *why = stbi_failure_reason();
    if (!why || strcmp(why, "outofmem") == 0)
        return vq_nomem(err, "image", p->width * p->height, 4);
    return damaged(why, err);
}

/* One source position and what it counts in a result. */
struct tap {
    uint32_t at, weight;
};

/* How `to` results are made of `from` samples along one axis: `per` taps for each result, whose
 * weights add up to `total`. Whole numbers throughout, so that the result is exact. */
struct taps {
    struct tap *list;
    size_t per;
    uint64_t total;
};

/* Result j covers the samples from j*from/to to (j+1)*from/to, each as far as it lies inside. In
 * units of 1/to a sample is `to` wide and a result `from`. */
static void fill_average(struct taps *t, uint64_t from, uint64_t to)
{
    for (uint64_t j = 0; j < to; j++) {
        struct tap *tap = t->list + j * t->per;
        uint64_t begin = j * from, end = begin + from;
        for (uint64_t i = begin / to; i * to < end; i++, tap++) {
            uint64_t left = i * to > begin ? i * to : begin;
            uint64_t right = (i + 1) * to < end ? (i + 1) * to : end;
            *tap = (struct tap){(uint32_t)i, (uint32_t)(right - left)};
        }
    }
}

/* Result j lies between the centres of two samples, the edge samples reaching outwards. In units
 * of 1/(2*to), counted from the centre of the first sample. */
static void fill_bilinear(struct taps *t, int64_t from, int64_t to)
{
    for (int64_t j = 0; j < to; j++) {
        int64_t place = (2 * j + 1) * from - to, last = (from - 1) * 2 * to;
        place = place < 0 ? 0 : place > last ? last : place;
        int64_t i = place / (2 * to), part = place % (2 * to);
        int64_t next = i + 1 < from ? i + 1 : i;
        t->list[2 * j] = (struct tap){(uint32_t)i, (uint32_t)(2 * to - part)};
        t->list[2 * j + 1] = (struct tap){(uint32_t)next, (uint32_t)part};
    }
}

static enum vq_status make_taps(struct taps *t, size_t from, size_t to, struct vq_err *err)
{
    bool shrink = from >= to;
    t->per = shrink ? from / to + 2 : 2;
    t->total = shrink ? from : 2 * to;
    size_t n;
    t->list = vq_mul_ok(to, t->per, &n) ? vq_calloc(n, sizeof(*t->list)) : NULL;
    if (!t->list)
        return vq_nomem(err, "image resizing", to, t->per * sizeof(*t->list));
    if (shrink)
        fill_average(t, from, to);
    else
        fill_bilinear(t, (int64_t)from, (int64_t)to);
    return VQ_OK;
}

/* One pixel of the result, from the square that starts at `corner`, over a white ground. */
static void blend(uint8_t *out, const struct picture *p, const stbi_uc *corner,
                  const struct taps *t, const struct tap *rows, const struct tap *cols)
{
    uint64_t sum[3] = {0, 0, 0};
    for (size_t y = 0; y < t->per && rows[y].weight; y++) {
        const stbi_uc *line = corner + rows[y].at * p->width * 4;
        for (size_t x = 0; x < t->per && cols[x].weight; x++) {
            const stbi_uc *px = line + (size_t)cols[x].at * 4;
            uint64_t weight = (uint64_t)rows[y].weight * cols[x].weight, alpha = px[3];
            for (int c = 0; c < 3; c++)
                sum[c] += weight * (px[c] * alpha + 255 * (255 - alpha));
        }
    }
    uint64_t whole = t->total * t->total * 255;
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)((sum[c] + whole / 2) / whole);
}

static enum vq_status to_square(const struct picture *p, size_t side, uint8_t **rgb,
                                struct vq_err *err)
{
    size_t from = p->width < p->height ? p->width : p->height;
    const stbi_uc *corner =
        p->rgba + ((p->height - from) / 2 * p->width + (p->width - from) / 2) * 4;
    struct taps t = {0};
    enum vq_status status = make_taps(&t, from, side, err);
    if (status != VQ_OK)
        return status;
    uint8_t *out = vq_alloc(side * side, 3);
    if (!out)
        status = vq_nomem(err, "image", side * side, 3);
    for (size_t y = 0; out && y < side; y++)
        for (size_t x = 0; x < side; x++)
            blend(out + (y * side + x) * 3, p, corner, &t, t.list + y * t.per, t.list + x * t.per);
    free(t.list);
    *rgb = out;
    return status;
}

enum vq_status vq_image_load_square(const char *path, int side, uint8_t **rgb, struct vq_err *err)
{
    *rgb = NULL;
    if (side < 1 || side > MAX_RESULT)
        return vq_fail(err, VQ_EINVAL, "%s: a side of %d; expected 1 to %d", path, side,
                       MAX_RESULT);
    struct vq_file f;
    enum vq_status status = vq_file_open(&f, path, err);
    if (status != VQ_OK)
        return status;
    struct picture p = {0};
    status = decode(&p, &f, err);
    vq_file_close(&f);
    if (status == VQ_OK)
        status = to_square(&p, (size_t)side, rgb, err);
    if (status != VQ_OK)
        vq_err_prefix(err, "%s", path);
    stbi_image_free(p.rgba);
    return status;
}
