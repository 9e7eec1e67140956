/* Pictures: exact pixels from each format, cropping and resizing by hand-made cases, and files that
 * are cut, lie about their size, or are no pictures. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/data/image.h"

#define DATA "tests/data/image/"

static char folder[] = "/tmp/vqsh-image-XXXXXX";
static char path[64];

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/picture", folder);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A PNM file of width x height pixels with 1 or 3 channels. */
static void write_pnm(int width, int height, int channels, const uint8_t *px)
{
    char file[8192];
    int n = snprintf(file, sizeof(file), "P%d\n# a comment\n%d %d\n255\n", channels == 3 ? 6 : 5,
                     width, height);
    size_t body = (size_t)(width * height * channels);
    assert_true((size_t)n + body <= sizeof(file));
    memcpy(file + n, px, body);
    write_file(file, (size_t)n + body);
}

static uint8_t *load(const char *name, int side)
{
    uint8_t *rgb;
    struct vq_err err = {0};
    if (vq_image_load_square(name, side, &rgb, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return rgb;
}

static void gives(int side, const uint8_t *expected)
{
    uint8_t *rgb = load(path, side);
    assert_memory_equal(rgb, expected, (size_t)side * (size_t)side * 3);
    free(rgb);
}

/* The red channel of the result for a grey picture. */
static void gives_grey(int side, const uint8_t *expected)
{
    uint8_t *rgb = load(path, side);
    for (int i = 0; i < side * side; i++) {
        assert_int_equal(rgb[3 * i], expected[i]);
        assert_int_equal(rgb[3 * i + 1], expected[i]);
        assert_int_equal(rgb[3 * i + 2], expected[i]);
    }
    free(rgb);
}

static void refused(enum vq_status code, const char *why)
{
    uint8_t *rgb;
    struct vq_err err = {0};
    enum vq_status status = vq_image_load_square(path, 4, &rgb, &err);
    if (status != code || !strstr(err.msg, why) || strncmp(err.msg, path, strlen(path)) != 0)
        fail_msg("expected \"%s\", found %d \"%s\"", why, status, err.msg);
    assert_null(rgb);
}

static void colours(void **state)
{
    (void)state;
    static const uint8_t px[12] = {255, 0, 0, 0, 254, 1, 2, 3, 253, 9, 8, 7};
    write_pnm(2, 2, 3, px);
    gives(2, px);                            /* row, column, channel, untouched */
    gives(1, (const uint8_t[]){67, 66, 65}); /* 266/4, 265/4 and 261/4 to the nearest */
}

static void cropping(void **state)
{
    (void)state;
    uint8_t px[15];
    for (int i = 0; i < 15; i++)
        px[i] = (uint8_t)(10 * i);
    write_pnm(5, 3, 1, px); /* the middle three columns */
    gives_grey(3, (const uint8_t[]){10, 20, 30, 60, 70, 80, 110, 120, 130});
    write_pnm(3, 5, 1, px); /* the middle three rows */
    gives_grey(3, (const uint8_t[]){30, 40, 50, 60, 70, 80, 90, 100, 110});
    write_pnm(4, 3, 1, px); /* one column over: it goes on the right */
    gives_grey(3, (const uint8_t[]){0, 10, 20, 40, 50, 60, 80, 90, 100});
    write_pnm(15, 1, 1, px);
    gives_grey(1, (const uint8_t[]){70});
}

static void shrinking(void **state)
{
    (void)state;
    /* 3 to 2: each result covers one and a half pixels along each axis, so with rows and columns
     * weighted 2:1 and 1:2 the first is (4a + 2b + 2d + e) / 9. */
    static const uint8_t px[9] = {9, 18, 27, 90, 99, 180, 0, 45, 252};
    write_pnm(3, 3, 1, px);
    gives_grey(2, (const uint8_t[]){39, 67, 41, 173});
    uint8_t big[64 * 64];
    for (int i = 0; i < 64 * 64; i++)
        big[i] = (uint8_t)(i % 64 / 16 * 60 + i / 1024);
    write_pnm(64, 64, 1, big); /* whole blocks of one value */
    gives_grey(
        4, (const uint8_t[]){0, 60, 120, 180, 1, 61, 121, 181, 2, 62, 122, 182, 3, 63, 123, 183});
}

static void growing(void **state)
{
    (void)state;
    write_pnm(2, 2, 1, (const uint8_t[]){0, 80, 160, 240});
    gives_grey(4, (const uint8_t[]){0, 20, 60, 80, 40, 60, 100, 120, 120, 140, 180, 200, 160, 180,
                                    220, 240});
    write_pnm(1, 1, 1, (const uint8_t[]){77});
    gives_grey(3, (const uint8_t[]){77, 77, 77, 77, 77, 77, 77, 77, 77});
}

/* Averaging keeps the mean, and no size makes a value that was not between the extremes. */
static void any_size(void **state)
{
    (void)state;
    struct vq_rng r;
    vq_rng_init(&r, 11, 0);
    uint8_t px[50 * 50];
    for (int from = 1; from <= 50; from += 7) {
        double mean = 0;
        for (int i = 0; i < from * from; i++)
            mean += px[i] = (uint8_t)(50 + vq_rng_below(&r, 100));
        mean /= from * from;
        write_pnm(from, from, 1, px);
        for (int side = 1; side <= 60; side++) {
            uint8_t *rgb = load(path, side);
            double sum = 0;
            for (int i = 0; i < side * side; i++) {
                assert_in_range(rgb[3 * i], 50, 149);
                sum += rgb[3 * i];
            }
            if (side <= from)
                assert_true(sum / (side * side) - mean < 0.501 &&
                            mean - sum / (side * side) < 0.501);
            free(rgb);
        }
    }
}

/* The same numbers as compositing on white in exact arithmetic, rounded to nearest. */
static void alpha(void **state)
{
    (void)state;
    static const struct {
        const char *name, *sha256;
    } cases[] = {
        {DATA "1f3b5.png", "6ea32d3b726d3ead3e4c2e225c8f204e9d042f97945e150652a39c2c16277dad"},
        {DATA "26ab.png", "71c46b58298aa648054d797fb3b5d39414bf68d35b3d9370a32deea3b70d5d07"},
    };
    for (size_t i = 0; i < 2; i++) {
        char hex[VQ_SHA256_HEX];
        uint8_t *rgb = load(cases[i].name, 64);
        assert_int_equal(rgb[0], 255);
        assert_int_equal(vq_sha256(rgb, 64 * 64 * 3, hex, NULL), VQ_OK);
        assert_string_equal(hex, cases[i].sha256);
        free(rgb);
    }
}

static void near(const uint8_t *px, int r, int g, int b)
{
    assert_in_range(px[0] + 4, r, r + 8);
    assert_in_range(px[1] + 4, g, g + 8);
    assert_in_range(px[2] + 4, b, b + 8);
}

static void jpeg(void **state)
{
    (void)state;
    uint8_t *rgb = load(DATA "grey.jpg", 16);
    near(rgb + 3 * (5 * 16 + 3), 40, 40, 40);
    near(rgb + 3 * (5 * 16 + 12), 200, 200, 200);
    free(rgb);
    rgb = load(DATA "cmyk.jpg", 16);
    near(rgb + 3 * (5 * 16 + 3), 255, 0, 0);
    near(rgb + 3 * (5 * 16 + 12), 0, 255, 255);
    free(rgb);
}

/* 2x2 pixels, rows from the bottom up and padded to 4 bytes, blue first. */
static const uint8_t bmp[70] = {
    'B',       'M',      70, [10] = 54, [14] = 40, [18] = 2, [22] = 2, [26] = 1, [28] = 24,
    [34] = 16, [54] = 7, 8,  9,         10,        11,       12,       0,        0,
    1,         2,        3,  4,         5,         6,        0,        0};
static const uint8_t pixels[12] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};

/* The same from the top down; then the first pixel three times as a run, and one by itself. */
static const uint8_t tga[30] = {[2] = 2, [12] = 2, [14] = 2, [16] = 24, [17] = 0x20, [18] = 1,
                                2,       3,        4,        5,         6,           7,
                                8,       9,        10,       11,        12};
static const uint8_t tga_runs[26] = {
    [2] = 10, [12] = 2, [14] = 2, [16] = 24, [17] = 0x20, [18] = 0x82, 1, 2, 3, 0, 4, 5, 6};

/* 2x2 pixels of palette entries 1, 0, 0, 1. */
static const uint8_t gif[36] = {'G', 'I', 'F', '8', '9', 'a', 2,   0,    2,    0,    0x80, 0,
                                0,   10,  20,  30,  200, 210, 220, ',',  0,    0,    0,    0,
                                2,   0,   2,   0,   0,   2,   3,   0x0c, 0x10, 0x05, 0,    ';'};

static void other_formats(void **state)
{
    (void)state;
    write_file(bmp, sizeof(bmp));
    gives(2, pixels);
    write_file(tga, sizeof(tga));
    gives(2, pixels);
    write_file(tga_runs, sizeof(tga_runs));
    gives(2, (const uint8_t[]){3, 2, 1, 3, 2, 1, 3, 2, 1, 6, 5, 4});
    write_file(gif, sizeof(gif));
    gives(2, (const uint8_t[]){200, 210, 220, 10, 20, 30, 10, 20, 30, 200, 210, 220});
}

/* Every start of the file is refused; the last `spare` bytes are ones that nothing depends on. */
static void refuses_starts(const uint8_t *data, size_t size, size_t spare)
{
    for (size_t n = 0; n + spare < size; n++) {
        write_file(data, n);
        refused(VQ_EFORMAT, "");
    }
    write_file(data, size);
    uint8_t *rgb = load(path, 4);
    free(rgb);
}

static void truncated(void **state)
{
    (void)state;
    refuses_starts(bmp, sizeof(bmp), 0);
    refuses_starts(tga, sizeof(tga), 0);
    refuses_starts(tga_runs, sizeof(tga_runs), 0);
    refuses_starts(gif, sizeof(gif), 1); /* the end mark, behind the only picture */
    write_file("P6 2 1 255 abcde", 16);
    refused(VQ_EFORMAT, "it needs at least 17 bytes, found 16");
    static const char *const files[] = {DATA "1f3b5.png", DATA "grey.jpg", DATA "cmyk.jpg"};
    for (size_t i = 0; i < 3; i++) {
        struct vq_file f;
        assert_int_equal(vq_file_open(&f, files[i], NULL), VQ_OK);
        refuses_starts(f.data, f.size, i == 0 ? 4 : 2); /* a checksum of nothing; the end mark */
        vq_file_close(&f);
    }
    write_file(bmp, 60);
    refused(VQ_EFORMAT, "the image is cut short: it needs at least 70 bytes, found 60");
}

static void not_pictures(void **state)
{
    (void)state;
    write_file("", 0);
    refused(VQ_EFORMAT, "found an empty file");
    write_file("hello world, this is a text", 27);
    refused(VQ_EFORMAT, "expected a PNG, JPEG, BMP, GIF, TGA or PNM image, found a text file");
    write_file("RIFF\x10\0\0\0WEBPVP8 ", 16);
    refused(VQ_EFORMAT, "found a RIFF file (WebP or WAV)");
    unlink(path);
    refused(VQ_ENOTFOUND, "No such file");
}

static void sizes(void **state)
{
    (void)state;
    uint8_t head[70];
    memcpy(head, bmp, sizeof(bmp));
    memcpy(head + 18, "\x01\0\1\0", 4); /* 65,537 pixels wide */
    write_file(head, sizeof(bmp));
    refused(VQ_EUNSUPPORTED, "an image of 65537 x 2 pixels");
    memcpy(head + 18, "\0\0\1\0\0\0\1\0", 8);
    write_file(head, sizeof(bmp));
    refused(VQ_EUNSUPPORTED, "an image of 65536 x 65536 pixels");
    memcpy(head + 18, "\2\0\0\0\0\0\0\x80", 8); /* the height that has no positive counterpart */
    write_file(head, sizeof(bmp));
    refused(VQ_EUNSUPPORTED, "an image of 2 x 2147483648 pixels");
    memcpy(head + 18, "\2\0\0\0\xfe\xff\xff\xff", 8); /* height -2: from the top down */
    write_file(head, sizeof(bmp));
    gives(2, (const uint8_t[]){9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4});
    write_file("P5 60000 60000 255 ", 19);
    refused(VQ_EUNSUPPORTED, "an image of 60000 x 60000 pixels");
    write_file("P5 1 1 65535 abcd", 17);
    refused(VQ_EUNSUPPORTED, "maximum 65535; only 255 is read");
    uint8_t *rgb;
    assert_int_equal(vq_image_load_square(path, 0, &rgb, NULL), VQ_EINVAL);
    assert_int_equal(vq_image_load_square(path, -1, &rgb, NULL), VQ_EINVAL);
    assert_int_equal(vq_image_load_square(path, 4097, &rgb, NULL), VQ_EINVAL);
}

/* A Huffman table that announces 16 x 255 codes would be written past its end by the decoder. */
static void long_tables(void **state)
{
    (void)state;
    struct vq_file f;
    assert_int_equal(vq_file_open(&f, DATA "grey.jpg", NULL), VQ_OK);
    uint8_t copy[512];
    size_t size = f.size, at = 0;
    assert_true(size <= sizeof(copy));
    memcpy(copy, f.data, size);
    vq_file_close(&f);
    while (at + 2 < size && !(copy[at] == 0xff && copy[at + 1] == 0xc4))
        at++;
    assert_true(at + 21 < size);
    memset(copy + at + 5, 255, 16);
    write_file(copy, size);
    refused(VQ_EFORMAT, "a Huffman table of over 256 codes");
    write_file(copy, at + 12); /* cut inside the counts */
    refused(VQ_EFORMAT, "a Huffman table of over 256 codes");
}

static void memory_out(void **state)
{
    (void)state;
    static const char *const files[] = {DATA "1f3b5.png", DATA "cmyk.jpg"};
    for (size_t i = 0; i < 2; i++) {
        vq_mem_fail_at(0);
        free(load(files[i], 16));
        long n = vq_mem_fail_at(0);
        assert_true(n > 5);
        for (long nth = 1; nth <= n; nth++) {
            uint8_t *rgb;
            vq_mem_fail_at(nth);
            enum vq_status status = vq_image_load_square(files[i], 16, &rgb, NULL);
            vq_mem_fail_at(0);
            assert_true(status == VQ_ENOMEM || nth < 3); /* asking what it is may fail otherwise */
            assert_true((rgb != NULL) == (status == VQ_OK));
            free(rgb);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours),    cmocka_unit_test(cropping),
        cmocka_unit_test(shrinking),  cmocka_unit_test(growing),
        cmocka_unit_test(any_size),   cmocka_unit_test(alpha),
        cmocka_unit_test(jpeg),       cmocka_unit_test(other_formats),
        cmocka_unit_test(truncated),  cmocka_unit_test(not_pictures),
        cmocka_unit_test(sizes),      cmocka_unit_test(long_tables),
        cmocka_unit_test(memory_out),
    };
    return cmocka_run_group_tests_name("image", tests, enter, leave);
}
