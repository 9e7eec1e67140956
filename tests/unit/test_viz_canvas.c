/*
 * Canvas and font: shapes pixel by pixel on canvases small enough to write down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/canvas.h"
#include "viz/font.h"

static const struct viz_rgb white = {255, 255, 255}, black = {0, 0, 0};

static struct viz_canvas *blank(size_t w, size_t h)
{
    struct viz_canvas *c;
    assert_int_equal(viz_canvas_new(&c, w, h, white, NULL), VQ_OK);
    return c;
}

/* The canvas as one string, '#' for black, '.' for white, '+' between; rows end in '/'. */
static const char *picture(const struct viz_canvas *c, char *buf)
{
    char *p = buf;
    for (int y = 0; y < c->h; y++) {
        for (int x = 0; x < c->w; x++) {
            int v = viz_pixel(c, x, y).g;
            *p++ = v == 0 ? '#' : v == 255 ? '.' : '+';
        }
        *p++ = '/';
    }
    *p = '\0';
    return buf;
}

static void sizes_are_checked(void **state)
{
    (void)state;
    struct viz_canvas *c = (struct viz_canvas *)1;
    struct vq_err err;
    static const size_t bad[][2] = {{0, 5}, {5, 0}, {VIZ_CANVAS_MAX + 1, 1}, {1, SIZE_MAX}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(viz_canvas_new(&c, bad[i][0], bad[i][1], white, &err), VQ_EINVAL);
        assert_null(c);
        assert_non_null(strstr(err.msg, "16384"));
    }
    assert_int_equal(viz_canvas_new(&c, VIZ_CANVAS_MAX, 1, white, &err), VQ_OK);
    viz_canvas_free(c);
    viz_canvas_free(NULL);
    for (long nth = 1; nth <= 2; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(viz_canvas_new(&c, 8, 8, white, &err), VQ_ENOMEM);
        assert_null(c);
    }
    vq_mem_fail_at(0);
}

static void rectangles_stay_inside(void **state)
{
    (void)state;
    char buf[64];
    struct viz_canvas *c = blank(5, 4);
    viz_fill_rect(c, (struct viz_rect){-3, 2, 5, 90}, black);
    viz_fill_rect(c, (struct viz_rect){INT32_MAX, INT32_MIN, INT32_MAX, INT32_MAX}, black);
    viz_fill_rect(c, (struct viz_rect){4, 0, -2, 3}, black);
    assert_string_equal(picture(c, buf), "...../...../##.../##.../");
    viz_canvas_clip(c, (struct viz_rect){3, 0, 10, 2});
    viz_fill_rect(c, (struct viz_rect){0, 0, 5, 4}, black);
    assert_string_equal(picture(c, buf), "...##/...##/##.../##.../");
    viz_canvas_clip(c, (struct viz_rect){9, 9, 3, 3});
    viz_fill_rect(c, (struct viz_rect){INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX}, black);
    viz_canvas_unclip(c);
    viz_outline(c, (struct viz_rect){0, 0, 5, 4}, black);
    assert_string_equal(picture(c, buf), "#####/#..##/##..#/#####/");
    viz_canvas_free(c);
}

static void lines_are_smooth_and_bounded(void **state)
{
    (void)state;
    char buf[256];
    struct viz_canvas *c = blank(7, 5);
    viz_line(c, 1.5, 2.5, 5.5, 2.5, 1, black);
    assert_string_equal(picture(c, buf), "......./......./.#####./......./......./");
    viz_line(c, -1e300, NAN, 3, 3, 1, black);
    viz_line(c, 0, 0, INFINITY, 3, 1, black);
    viz_line(c, -50, -50, -60, 900, 3, black);
    assert_string_equal(picture(c, buf), "......./......./.#####./......./......./");
    viz_line(c, 3.5, -1e300, 3.5, 1e300, 1, black);
    assert_string_equal(picture(c, buf), "...#.../...#.../.#####./...#.../...#.../");
    viz_canvas_free(c);

    c = blank(9, 9);
    viz_line(c, 0, 0, 9, 9, 1.4, black);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(viz_pixel(c, i, i).r, 0);
        for (int j = 0; j < 9; j++)
            assert_int_equal(viz_pixel(c, i, j).r, viz_pixel(c, j, i).r);
    }
    int edge = viz_pixel(c, 4, 5).r;
    assert_true(edge > 20 && edge < 235);
    assert_int_equal(viz_pixel(c, 2, 6).r, 255);
    viz_canvas_free(c);
}

static void polylines_break_at_nan(void **state)
{
    (void)state;
    char buf[256];
    struct viz_canvas *c = blank(9, 3);
    const double x[] = {0.5, 2.5, 4.5, 6.5, 8.5}, y[] = {1.5, 1.5, NAN, 1.5, 1.5};
    viz_polyline(c, x, y, 5, 1, black);
    assert_string_equal(picture(c, buf), "........./###...###/........./");
    viz_canvas_free(c);
}

static void discs_are_round(void **state)
{
    (void)state;
    struct viz_canvas *c = blank(9, 9);
    viz_disc(c, 4.5, 4.5, 3, black, 1);
    viz_disc(c, 1e30, -1e30, 3, black, 1);
    viz_disc(c, NAN, 3, 3, black, 1);
    assert_int_equal(viz_pixel(c, 4, 1).r, viz_pixel(c, 1, 4).r);
    assert_int_equal(viz_pixel(c, 4, 4).r, 0);
    assert_int_equal(viz_pixel(c, 0, 0).r, 255);
    double area = 0;
    for (int i = 0; i < 81; i++)
        area += (255 - c->px[3 * i]) / 255.0;
    assert_true(fabs(area - 3.14159 * 9) < 1.5);
    viz_canvas_free(c);
}

static void blend_and_mix_round(void **state)
{
    (void)state;
    struct viz_canvas *c = blank(1, 1);
    viz_blend(c, 0, 0, black, 0.5);
    assert_int_equal(c->px[0], 128);
    viz_blend(c, 0, 0, black, NAN);
    viz_blend(c, 1, 0, black, 1);
    assert_int_equal(c->px[0], 128);
    viz_blend(c, 0, 0, black, 7);
    assert_int_equal(c->px[0], 0);
    viz_canvas_free(c);
    assert_true(fabs(viz_rgb_lightness(white) - 100) < 1e-9);
    assert_true(viz_rgb_lightness(black) == 0);
}

static void blit_zooms_whole_pixels(void **state)
{
    (void)state;
    char buf[256];
    static const uint8_t checks[12] = {0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0};
    struct viz_canvas *c = blank(6, 5);
    viz_blit(c, 1, 1, checks, 2, 2, 2);
    assert_string_equal(picture(c, buf), "....../.##.../.##.../...##./...##./");
    viz_blit(c, -1, -1, checks, 2, 2, 2);
    viz_blit(c, 5, 4, checks, 2, 2, INT32_MAX);
    assert_string_equal(picture(c, buf), "#...../.##.../.##.../...##./...###/");
    viz_canvas_free(c);
}

static void letters_are_drawn(void **state)
{
    (void)state;
    char buf[256];
    struct viz_font small = {.small = true};
    struct viz_canvas *c = blank(5, 9);
    viz_text(c, small, 0, 0, "A", black);
    assert_string_equal(picture(c, buf), "..#../.#.#./#...#/#...#/#####/#...#/#...#/...../...../");
    viz_canvas_free(c);

    /* Upwards: the same letter a quarter turn to the left. */
    c = blank(9, 5);
    viz_text_up(c, small, 0, 5, "A", black);
    assert_string_equal(picture(c, buf), "..#####../.#..#..../#...#..../.#..#..../..#####../");
    viz_canvas_free(c);
}

static void widths_add_up(void **state)
{
    (void)state;
    struct viz_font f = {0}, big = {.scale = 3}, bold = {.bold = true};
    assert_int_equal(viz_text_width(f, NULL), 0);
    assert_int_equal(viz_text_width(f, ""), 0);
    int one = viz_text_width(f, "0"), two = viz_text_width(f, "00");
    assert_int_equal(two, 2 * one + 1);
    assert_int_equal(viz_text_width(f, "1"), one);
    assert_int_equal(viz_text_width(big, "00"), 3 * two);
    assert_int_equal(viz_text_width(bold, "00"), two + 2);
    assert_true(viz_text_width(f, "iii") < viz_text_width(f, "mmm"));
    assert_int_equal(viz_font_ascent(f), 9);
    assert_int_equal(viz_font_height(big), 36);
}

/* Every printable character leaves ink of its own, and no two look alike. */
static void glyphs_are_distinct(void **state)
{
    (void)state;
    static char seen[95][12 * 13 + 1];
    for (int small = 0; small < 2; small++) {
        for (int ch = '!'; ch <= '~'; ch++) {
            struct viz_canvas *c = blank(12, 12);
            viz_text(c, (struct viz_font){.small = small}, 0, 0, (char[2]){(char)ch, 0}, black);
            picture(c, seen[ch - '!']);
            assert_non_null(strchr(seen[ch - '!'], '#'));
            for (int other = '!'; other < ch; other++)
                assert_string_not_equal(seen[ch - '!'], seen[other - '!']);
            viz_canvas_free(c);
        }
    }
}

static void unknown_text_is_a_box(void **state)
{
    (void)state;
    struct viz_font f = {0};
    int box = viz_text_width(f, "\xef\xbf\xbd");
    assert_true(box > 0);
    assert_int_equal(viz_text_width(f, "\xe6\xbc\xa2"), box);         /* one Han character */
    assert_int_equal(viz_text_width(f, "\x01"), box);                 /* a control */
    assert_int_equal(viz_text_width(f, "\xff\xfe"), 2 * box + 1);     /* two stray bytes */
    assert_int_equal(viz_text_width(f, "\xed\xa0\x80"), 3 * box + 2); /* a surrogate */
    assert_int_equal(viz_text_width(f, "\xe6\xbc"), 2 * box + 1);     /* cut short */
    assert_int_equal(viz_text_width(f, "\xc0\x80"), 2 * box + 1);     /* overlong */
    assert_true(viz_text_width(f, "\xc2\xb7") < box);                 /* middle dot: drawn */
}

static void long_text_is_cut(void **state)
{
    (void)state;
    struct viz_font f = {0};
    char buf[32];
    const char *s = "transformer_layers_3";
    int all = viz_text_width(f, s);
    assert_int_equal(viz_text_fit(buf, sizeof(buf), f, s, all), all);
    assert_string_equal(buf, s);
    for (int w = all - 1; w >= 0; w--) {
        int got = viz_text_fit(buf, sizeof(buf), f, s, w);
        assert_true(got <= w && got == viz_text_width(f, buf));
        assert_true(got == 0 || strstr(buf, "\xe2\x80\xa6") == buf + strlen(buf) - 3);
        got = viz_text_fit_end(buf, sizeof(buf), f, s, w);
        assert_true(got <= w && got == viz_text_width(f, buf));
        assert_true(got == 0 || strncmp(buf, "\xe2\x80\xa6", 3) == 0);
    }
    assert_true(viz_text_fit_end(buf, 8, f, s, all) > 0);
    assert_string_equal(buf, "\xe2\x80\xa6rs_3");
    assert_true(viz_text_fit(buf, 8, f, s, all) > 0);
    assert_string_equal(buf, "tran\xe2\x80\xa6");
    assert_int_equal(viz_text_fit(buf, 1, f, s, all), 0);
    assert_string_equal(buf, "");
    assert_int_equal(viz_text_fit(buf, sizeof(buf), f, NULL, -5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(rectangles_stay_inside),
        cmocka_unit_test(lines_are_smooth_and_bounded),
        cmocka_unit_test(polylines_break_at_nan),
        cmocka_unit_test(discs_are_round),
        cmocka_unit_test(blend_and_mix_round),
        cmocka_unit_test(blit_zooms_whole_pixels),
        cmocka_unit_test(letters_are_drawn),
        cmocka_unit_test(widths_add_up),
        cmocka_unit_test(glyphs_are_distinct),
        cmocka_unit_test(unknown_text_is_a_box),
        cmocka_unit_test(long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
