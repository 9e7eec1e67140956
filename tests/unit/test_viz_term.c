/*
 * Contact sheets, and pictures as terminal output down to the escape sequences.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/sheet.h"
#include "viz/term.h"

#define UPPER "\xe2\x96\x80"

static const uint8_t quad[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};

static char *rows(const struct viz_term *t, const uint8_t *rgb, size_t w, size_t r0, size_t r1)
{
    char *s;
    assert_int_equal(viz_term_rows(&s, t, rgb, w, r0, r1, NULL), VQ_OK);
    return s;
}

static void rows_are(struct viz_term t, size_t w, size_t r1, const char *expected)
{
    char *s = rows(&t, quad, w, 0, r1);
    assert_string_equal(s, expected);
    free(s);
}

static void half_blocks_hold_two_pixels(void **state)
{
    (void)state;
    struct viz_term t = {0};
    rows_are(t, 2, 2,
             "\x1b[38;2;255;0;0;48;2;0;0;255m" UPPER "\x1b[38;2;0;255;0;48;2;255;255;255m" UPPER
             "\x1b[0m\n");
    rows_are(t, 2, 1, "\x1b[38;2;255;0;0;49m" UPPER "\x1b[38;2;0;255;0;49m" UPPER "\x1b[0m\n");
    rows_are(t, 2, 0, "");
    t.colors = VIZ_COLORS_256;
    rows_are(t, 2, 2, "\x1b[38;5;196;48;5;21m" UPPER "\x1b[38;5;46;48;5;231m" UPPER "\x1b[0m\n");
    t.colors = VIZ_COLORS_16;
    rows_are(t, 2, 2, "\x1b[91;44m" UPPER "\x1b[92;107m" UPPER "\x1b[0m\n");
    t.colors = VIZ_COLORS_NONE;
    rows_are(t, 2, 2, UPPER "\xe2\x96\x88\n"); /* blue counts as dark */
    t.mode = VIZ_TERM_ASCII;
    rows_are(t, 2, 2, "-%\n");
    t.mode = VIZ_TERM_NONE;
    rows_are(t, 2, 2, "");
}

/* Attributes are sent when they change, not for each cell. */
static void runs_share_their_colors(void **state)
{
    (void)state;
    uint8_t grey[6 * 2 * 3];
    struct viz_term t = {0};
    memset(grey, 100, sizeof(grey));
    char *s = rows(&t, grey, 6, 0, 2);
    assert_string_equal(
        s,
        "\x1b[38;2;100;100;100;48;2;100;100;100m" UPPER UPPER UPPER UPPER UPPER UPPER "\x1b[0m\n");
    free(s);
}

static uint8_t *gradient(size_t w, size_t h)
{
    uint8_t *rgb = malloc(w * h * 3);
    for (size_t i = 0; i < w * h * 3; i++)
        rgb[i] = (uint8_t)(i * 7 % 251);
    return rgb;
}

static void streams_equal_the_whole(void **state)
{
    (void)state;
    static const size_t widths[] = {64, 81, 161, 300};
    for (int mode = VIZ_TERM_BLOCKS; mode <= VIZ_TERM_ASCII; mode++)
        for (size_t i = 0; i < 4; i++) {
            struct viz_term t = {.mode = mode};
            size_t w = widths[i], h = 45, step = viz_term_step(&t, w);
            uint8_t *rgb = gradient(w, h);
            assert_true(step >= 2 && step % 2 == 0 && w <= 80 * step / 2);
            char *whole = rows(&t, rgb, w, 0, h), *joined = calloc(1, strlen(whole) + 1);
            size_t used = 0;
            for (size_t r = 0; r < h; r += step) {
                char *part = rows(&t, rgb, w, r, r + step < h ? r + step : h);
                assert_true(used + strlen(part) <= strlen(whole));
                memcpy(joined + used, part, strlen(part));
                used += strlen(part);
                free(part);
            }
            assert_string_equal(joined, whole);
            free(joined);
            free(whole);
            free(rgb);
        }
}

static void shrinking_averages(void **state)
{
    (void)state;
    /* Four pixels wide on two columns: each half of a cell is the mean of 2 x 2 pixels. */
    static const uint8_t in[2 * 4 * 3] = {0,   0,   0,   100, 100, 100, 8, 8, 8, 8, 8, 8,
                                          100, 100, 100, 200, 200, 200, 8, 8, 8, 8, 8, 8};
    struct viz_term t = {.columns = 2};
    assert_int_equal(viz_term_step(&t, 4), 4);
    char *s = rows(&t, in, 4, 0, 2);
    assert_string_equal(s,
                        "\x1b[38;2;100;100;100;49m" UPPER "\x1b[38;2;8;8;8;49m" UPPER "\x1b[0m\n");
    free(s);
    struct vq_err err;
    assert_int_equal(viz_term_rows(&s, &t, in, 4, 2, 4, &err), VQ_EINVAL);
    assert_null(s);
    assert_int_equal(viz_term_rows(&s, &t, in, 0, 0, 0, &err), VQ_EINVAL);
    assert_int_equal(viz_term_rows(&s, &t, in, 4, 4, 0, &err), VQ_EINVAL);
}

static char *image(struct viz_term t, const uint8_t *rgb, size_t w, size_t h)
{
    char *s;
    assert_int_equal(viz_term_image(&s, &t, rgb, w, h, NULL), VQ_OK);
    return s;
}

static size_t occurrences(const char *s, const char *part)
{
    size_t n = 0;
    for (; (s = strstr(s, part)); s += strlen(part))
        n++;
    return n;
}

/* An image that fits is shown in exactly its own colours: as when streamed. */
static void whole_images_keep_their_colors(void **state)
{
    (void)state;
    uint8_t *rgb = gradient(10, 6);
    char *s = image((struct viz_term){0}, rgb, 10, 6);
    assert_int_equal(occurrences(s, UPPER), 30);
    assert_int_equal(occurrences(s, "\n"), 3);
    for (size_t y = 0; y < 6; y += 2)
        for (size_t x = 0; x < 10; x++) {
            char sgr[64];
            const uint8_t *up = rgb + 3 * (y * 10 + x), *low = up + 30;
            snprintf(sgr, sizeof(sgr), "38;2;%d;%d;%d;48;2;%d;%d;%dm" UPPER, up[0], up[1], up[2],
                     low[0], low[1], low[2]);
            assert_non_null(strstr(s, sgr));
        }
    free(s);
    free(rgb);
}

static void protocols_only_when_named(void **state)
{
    (void)state;
    uint8_t *rgb = gradient(200, 100);
    for (int colors = VIZ_COLORS_TRUE; colors <= VIZ_COLORS_NONE; colors++) {
        char *s = image((struct viz_term){.colors = colors, .columns = 60}, rgb, 200, 100);
        assert_null(strstr(s, "\x1b_G"));
        assert_null(strstr(s, "\x1bP"));
        assert_int_equal(occurrences(s, "\n"), 15);
        assert_int_equal(strchr(s, '\x1b') != NULL, colors != VIZ_COLORS_NONE);
        if (colors != VIZ_COLORS_NONE)
            assert_int_equal(occurrences(s, UPPER), 900);
        free(s);
    }
    char *s = image((struct viz_term){.mode = VIZ_TERM_KITTY}, rgb, 200, 100);
    assert_non_null(strstr(s, "\x1b_G"));
    free(s);
    s = image((struct viz_term){.mode = VIZ_TERM_SIXEL}, rgb, 200, 100);
    assert_non_null(strstr(s, "\x1bP"));
    free(s);
    s = image((struct viz_term){.mode = VIZ_TERM_NONE}, rgb, 200, 100);
    assert_string_equal(s, "");
    free(s);
    s = image((struct viz_term){.mode = VIZ_TERM_ASCII, .colors = VIZ_COLORS_NONE}, rgb, 200, 100);
    for (const char *p = s; *p; p++)
        assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
    free(s);
    free(rgb);
}

static void odd_images_do(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {1, 5000}, {5000, 1}, {3, 7}, {81, 3}};
    struct vq_err err;
    char *s;
    for (size_t i = 0; i < 5; i++)
        for (int mode = VIZ_TERM_BLOCKS; mode <= VIZ_TERM_NONE; mode++) {
            uint8_t *rgb = gradient(sizes[i][0], sizes[i][1]);
            s = image((struct viz_term){.mode = mode}, rgb, sizes[i][0], sizes[i][1]);
            assert_int_equal(*s == '\0', mode == VIZ_TERM_NONE);
            free(s);
            free(rgb);
        }
    struct viz_term t = {0};
    assert_int_equal(viz_term_image(&s, &t, quad, 0, 2, &err), VQ_EINVAL);
    assert_int_equal(viz_term_image(&s, &t, quad, 2, 20000, &err), VQ_EINVAL);
    assert_null(s);
}

static void sheets_are_grids(void **state)
{
    (void)state;
    const uint8_t *images[5] = {quad, quad, quad, quad, quad};
    struct viz_canvas *c;
    struct viz_sheet sheet = viz_sheet_default();
    sheet.zoom = 3;
    sheet.gap = 2;
    sheet.columns = 3;
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 5, 2, 2, NULL), VQ_OK);
    assert_int_equal(c->w, 2 + 3 * (6 + 2));
    assert_int_equal(c->h, 2 + 2 * (6 + 2));
    struct viz_rgb p = viz_pixel(c, 2 + 8, 2 + 8); /* the fifth picture's first pixel */
    assert_true(p.r == 255 && p.g == 0 && p.b == 0);
    p = viz_pixel(c, 2 + 8 + 5, 2 + 8 + 5); /* and its last */
    assert_true(p.r == 255 && p.g == 255 && p.b == 255);
    p = viz_pixel(c, 2 + 16 + 1, 2 + 8 + 1); /* no sixth */
    assert_memory_equal(&p, &sheet.background, 3);
    p = viz_pixel(c, 2 + 6, 4); /* the gap */
    assert_memory_equal(&p, &sheet.background, 3);
    viz_canvas_free(c);

    sheet.columns = 0; /* about square, also for pictures that are not */
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 5, 4, 1, NULL), VQ_OK);
    assert_int_equal(c->w, 2 + 2 * (12 + 2));
    viz_canvas_free(c);
}

static void captions_are_drawn_and_cut(void **state)
{
    (void)state;
    static uint8_t picture[64 * 64 * 3];
    const uint8_t *images[2] = {picture, picture};
    const char *captions[2] = {"seed 1", "a caption far wider than its picture, and then some"};
    struct viz_canvas *c;
    struct viz_sheet sheet = viz_sheet_default();
    sheet.captions = captions;
    sheet.background = viz_rgb_hex(0xffffff);
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 2, 64, 64, NULL), VQ_OK);
    size_t ink = 0, gap_ink = 0;
    for (int y = 68; y < c->h; y++)
        for (int x = 0; x < c->w; x++) {
            bool dark = viz_pixel(c, x, y).g < 128;
            ink += dark;
            gap_ink += dark && (x < 4 || x >= 136 || (x >= 68 && x < 72));
        }
    assert_true(ink > 60);
    assert_int_equal(gap_ink, 0);
    viz_canvas_free(c);
}

/* A seed of 20 digits is whole below a picture of the size that samples are shown in: the last
 * digit makes a difference. */
static void long_captions_get_smaller_letters(void **state)
{
    (void)state;
    static uint8_t picture[64 * 64 * 3];
    const uint8_t *images[1] = {picture};
    const char *a[1] = {"255: seed 18446744073709551611"},
               *b[1] = {"255: seed 18446744073709551618"};
    struct viz_canvas *c[2];
    struct viz_sheet sheet = viz_sheet_default();
    sheet.zoom = 3;
    for (int i = 0; i < 2; i++) {
        sheet.captions = i ? b : a;
        assert_int_equal(viz_sheet_draw(&c[i], &sheet, images, 1, 64, 64, NULL), VQ_OK);
    }
    assert_int_equal(c[0]->h, c[1]->h);
    size_t differ = 0;
    for (int y = 196; y < c[0]->h; y++)
        for (int x = 0; x < c[0]->w; x++)
            differ += viz_pixel(c[0], x, y).g != viz_pixel(c[1], x, y).g;
    assert_true(differ > 4);
    viz_canvas_free(c[0]);
    viz_canvas_free(c[1]);
}

static void sheets_check_their_size(void **state)
{
    (void)state;
    const uint8_t *images[1] = {quad};
    struct viz_canvas *c;
    struct vq_err err;
    struct viz_sheet sheet = viz_sheet_default();
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 0, 2, 2, &err), VQ_EINVAL);
    sheet.zoom = 10000;
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 1, 2, 2, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "zoom"));
    sheet.zoom = SIZE_MAX;
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 1, 2, 2, &err), VQ_EINVAL);
    sheet.zoom = 1;
    sheet.gap = SIZE_MAX - 1;
    assert_int_equal(viz_sheet_draw(&c, &sheet, images, 1, 2, 2, &err), VQ_EINVAL);
    assert_null(c);
}

static void allocations_may_fail(void **state)
{
    (void)state;
    char *s;
    struct viz_term t = {0};
    enum vq_status status;
    long nth = 0;
    do {
        vq_mem_fail_at(++nth);
        status = viz_term_image(&s, &t, quad, 2, 2, NULL);
        assert_true(status == VQ_OK || (status == VQ_ENOMEM && !s));
    } while (status != VQ_OK && nth < 20);
    assert_true(nth > 3 && nth < 20);
    free(s);
    vq_mem_fail_at(1);
    assert_int_equal(viz_term_rows(&s, &t, quad, 2, 0, 2, NULL), VQ_ENOMEM);
    vq_mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_blocks_hold_two_pixels),
        cmocka_unit_test(runs_share_their_colors),
        cmocka_unit_test(streams_equal_the_whole),
        cmocka_unit_test(shrinking_averages),
        cmocka_unit_test(whole_images_keep_their_colors),
        cmocka_unit_test(protocols_only_when_named),
        cmocka_unit_test(odd_images_do),
        cmocka_unit_test(sheets_are_grids),
        cmocka_unit_test(captions_are_drawn_and_cut),
        cmocka_unit_test(long_captions_get_smaller_letters),
        cmocka_unit_test(sheets_check_their_size),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
