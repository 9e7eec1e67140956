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
static const char *picture(struct viz_canvas *c, char *buf)
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
    /* Round ends: half of the pixel beyond each end is covered. */
    viz_line(c, 1.5, 2.5, 5.5, 2.5, 1, black);
    assert_string_equal(picture(c, buf), "......./......./.+###+./......./......./");
    viz_line(c, -1e300, NAN, 3, 3, 1, black);
    viz_line(c, 0, 0, INFINITY, 3, 1, black);
    viz_line(c, -50, -50, -60, 900, 3, black);
    assert_string_equal(picture(c, buf), "......./......./.+###+./......./......./");
    viz_line(c, 3.5, -1e300, 3.5, 1e300, 1, black);
    assert_string_equal(picture(c, buf), "...#.../...#.../.+###+./...#.../...#.../");
    viz_canvas_free(c);

    c = blank(9, 9);
    viz_line(c, 0, 0, 9, 9, 1.4, black);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(viz_pixel(c, i, i).r, 0);
        for (int j = 0; j < 9; j++)
            assert_in_range(viz_pixel(c, i, j).r - viz_pixel(c, j, i).r + 16, 0, 32);
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
    assert_string_equal(picture(c, buf), "........./+#+...+#+/........./");
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
        area += (255 - viz_pixel(c, i % 9, i / 9).r) / 255.0;
    assert_true(fabs(area - 3.14159 * 9) < 1.5);
    viz_canvas_free(c);
}

static void colours_mix_and_cover(void **state)
{
    (void)state;
    struct viz_canvas *c = blank(9, 9);
    viz_disc(c, 4.5, 4.5, 3, black, 0.5);
    assert_in_range(viz_pixel(c, 4, 4).r, 127, 128);
    viz_disc(c, 4.5, 4.5, 3, black, 0.5);
    assert_in_range(viz_pixel(c, 4, 4).r, 63, 65);
    viz_disc(c, 4.5, 4.5, 3, black, NAN);
    viz_disc(c, 4.5, 4.5, 3, black, 0);
    assert_in_range(viz_pixel(c, 4, 4).r, 63, 65);
    viz_disc(c, 4.5, 4.5, 3, black, 7);
    assert_int_equal(viz_pixel(c, 4, 4).r, 0);
    viz_canvas_free(c);
    assert_true(fabs(viz_rgb_lightness(white) - 100) < 1e-9);
    assert_true(viz_rgb_lightness(black) == 0);
}

static void images_keep_sharp_pixels(void **state)
{
    (void)state;
    char buf[256];
    static const uint8_t checks[12] = {0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0};
    static const uint8_t half[4] = {255, 255, 0, 128};
    struct viz_canvas *c = blank(6, 5);
    viz_image(c, (struct viz_rect){1, 1, 4, 4}, checks, NULL, 2, 2);
    assert_string_equal(picture(c, buf), "....../.##.../.##.../...##./...##./");
    viz_image(c, (struct viz_rect){-1, -1, 4, 4}, checks, NULL, 2, 2);
    viz_image(c, (struct viz_rect){5, 4, 16000, 16000}, checks, NULL, 2, 2);
    assert_string_equal(picture(c, buf), "#...../.##.../.##.../...##./...###/");
    viz_image(c, (struct viz_rect){0, 0, 0, 4}, checks, NULL, 2, 2);
    viz_image(c, (struct viz_rect){0, 0, 4, 4}, checks, NULL, 2, -2);
    viz_canvas_clip(c, (struct viz_rect){0, 0, 6, 1});
    viz_image(c, (struct viz_rect){0, 0, 6, 5}, checks, NULL, 1, 1);
    assert_string_equal(picture(c, buf), "######/.##.../.##.../...##./...###/");
    viz_canvas_free(c);

    c = blank(2, 2);
    viz_image(c, (struct viz_rect){0, 0, 2, 2}, checks, half, 2, 2);
    assert_string_equal(picture(c, buf), "#./.+/");
    assert_in_range(viz_pixel(c, 1, 1).g, 126, 128);
    viz_canvas_free(c);
}

static void canvases_go_into_each_other(void **state)
{
    (void)state;
    char buf[256];
    static const uint8_t dot[3] = {0, 0, 0};
    struct viz_canvas *c = blank(6, 4), *small = blank(3, 3);
    viz_canvas_clip(small, (struct viz_rect){1, 1, 9, 9});
    viz_fill_rect(small, (struct viz_rect){0, 0, 3, 2}, black);
    viz_line(small, 0, 2.5, 3, 2.5, 1, black);
    viz_image(small, (struct viz_rect){0, 0, 2, 2}, dot, NULL, 1, 1);
    assert_string_equal(picture(small, buf), ".../.##/.##/");
    viz_fill_rect(c, (struct viz_rect){0, 0, 6, 4}, black);
    viz_canvas_put(c, 4, 2, small);
    viz_canvas_put(c, -1, -1, small);
    assert_string_equal(picture(c, buf), "######/######/####../####.#/");
    viz_canvas_free(small); /* nothing of it is borrowed */
    assert_string_equal(picture(c, buf), "######/######/####../####.#/");
    viz_canvas_free(c);
}

/* The first and last columns (or rows) of a canvas that are not white. */
static void inked(struct viz_canvas *c, bool rows, int *first, int *last)
{
    *first = *last = -1;
    for (int i = 0; i < (rows ? c->h : c->w); i++)
        for (int j = 0; j < (rows ? c->w : c->h); j++)
            if (viz_pixel(c, rows ? j : i, rows ? i : j).g < 200) {
                *first = *first < 0 ? i : *first;
                *last = i;
            }
}

static void letters_stand_where_they_should(void **state)
{
    (void)state;
    const struct viz_font f = {.size = 24};
    int first, last, ascent = viz_font_ascent(f), width = viz_text_width(f, "HHH");
    assert_in_range(ascent, 16, 19);
    struct viz_canvas *c = blank(120, 60);
    viz_text(c, f, 20, 10, "HHH", black);
    inked(c, true, &first, &last);
    assert_in_range(first, 10, 11);
    assert_in_range(last, 10 + ascent - 2, 10 + ascent - 1);
    inked(c, false, &first, &last);
    assert_in_range(first, 20, 24);
    assert_in_range(last, 20 + width - 5, 20 + width);
    viz_canvas_free(c);

    /* Upwards: the same a quarter turn to the left. */
    c = blank(60, 120);
    viz_text_up(c, f, 10, 100, "HHH", black);
    inked(c, false, &first, &last);
    assert_in_range(first, 9, 11);
    assert_in_range(last, 10 + ascent - 2, 10 + ascent);
    inked(c, true, &first, &last);
    assert_in_range(last, 94, 100);
    assert_in_range(first, 100 - width - 1, 100 - width + 5);
    viz_canvas_free(c);
}

static void widths_grow_with_text_and_size(void **state)
{
    (void)state;
    const struct viz_font f = {.size = 13}, big = {.size = 39}, bold = {.size = 13, .bold = true};
    assert_int_equal(viz_text_width(f, NULL), 0);
    assert_int_equal(viz_text_width(f, ""), 0);
    assert_int_equal(viz_text_width((struct viz_font){0}, "0"), 0);
    int one = viz_text_width(f, "0"), two = viz_text_width(f, "00");
    assert_true(one > 5 && two == 2 * one);
    assert_int_equal(viz_text_width(f, "1"), one); /* digits are equally wide */
    assert_true(viz_text_width(big, "00") > 2.5 * two);
    assert_true(viz_text_width(bold, "00") > two);
    assert_true(viz_text_width(f, "iii") < viz_text_width(f, "mmm"));
    assert_true(viz_font_height(f) > viz_font_ascent(f) && viz_font_ascent(big) >= 27);
}

/* Nothing that a name may hold stops the text around it. */
static void any_bytes_are_text(void **state)
{
    (void)state;
    const struct viz_font f = {.size = 13};
    static const char *const odd[] = {"\xef\xbf\xbd", "\x01",     "\xff\xfe",     "\xed\xa0\x80",
                                      "\xe6\xbc",     "\xc0\x80", "\xef\xbf\xbf", "\xe6\xbc\xa2"};
    int ab = viz_text_width(f, "ab");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        char text[16] = "a";
        strncat(text, odd[i], 8);
        strncat(text, "b", 2);
        assert_true(viz_text_width(f, text) > ab);
        struct viz_canvas *c = blank(80, 20);
        viz_text(c, f, 0, 2, text, black);
        assert_non_null(viz_canvas_rgb(c, NULL));
        viz_canvas_free(c);
    }
    static char endless[100000];
    memset(endless, 'm', sizeof(endless) - 1);
    assert_in_range(viz_text_width(f, endless), 1000, 20 * VIZ_TEXT_BYTES);
}

static void long_text_is_cut(void **state)
{
    (void)state;
    const struct viz_font f = {.size = 13};
    char buf[32];
    const char *s = "transformer_l\xc3\xa9yers_3";
    int all = viz_text_width(f, s), before = all;
    assert_int_equal(viz_text_fit(buf, sizeof(buf), f, s, all), all);
    assert_string_equal(buf, s);
    for (int w = all - 1; w >= 0; w--) {
        int got = viz_text_fit(buf, sizeof(buf), f, s, w);
        assert_true(got <= w && got <= before && got == viz_text_width(f, buf));
        assert_true(got == 0 || strstr(buf, "\xe2\x80\xa6") == buf + strlen(buf) - 3);
        /* No character more would fit: the widest one here is not wider than the 14 pixels left. */
        assert_true(got == 0 || got + 14 > w);
        before = got;
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

static void failures_are_found_at_the_end(void **state)
{
    (void)state;
    struct vq_err err;
    static const uint8_t dot[3] = {0, 0, 0};
    for (int shape = 0; shape < 2; shape++) {
        struct viz_canvas *c = blank(8, 8);
        vq_mem_fail_at(1);
        if (shape == 0)
            viz_text(c, (struct viz_font){.size = 10}, 0, 0, "a", black);
        else
            viz_image(c, (struct viz_rect){0, 0, 1, 1}, dot, NULL, 1, 1);
        vq_mem_fail_at(0);
        assert_int_equal(viz_canvas_check(c, &err), VQ_ENOMEM);
        assert_null(viz_canvas_rgb(c, &err));
        viz_canvas_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(rectangles_stay_inside),
        cmocka_unit_test(lines_are_smooth_and_bounded),
        cmocka_unit_test(polylines_break_at_nan),
        cmocka_unit_test(discs_are_round),
        cmocka_unit_test(colours_mix_and_cover),
        cmocka_unit_test(images_keep_sharp_pixels),
        cmocka_unit_test(canvases_go_into_each_other),
        cmocka_unit_test(letters_stand_where_they_should),
        cmocka_unit_test(widths_grow_with_text_and_size),
        cmocka_unit_test(any_bytes_are_text),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(failures_are_found_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
