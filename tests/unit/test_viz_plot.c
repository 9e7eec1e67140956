/*
 * Charts. On canvases too small for text the plot is all but a margin of two pixels, so what is
 * drawn can be counted; the rest is checked for every size and every kind of unpleasant number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/colormap.h"
#include "viz/frame.h"
#include "viz/plot.h"

static bool is(struct viz_rgb c, uint32_t hex)
{
    return c.r == (hex >> 16 & 255) && c.g == (hex >> 8 & 255) && c.b == (hex & 255);
}

/* Pixels of exactly this colour in column x, or in all columns for x = -1. */
static int count(struct viz_canvas *c, int x, uint32_t hex)
{
    int n = 0;
    for (int i = 0; i < c->w * c->h; i++)
        n += (x < 0 || i % c->w == x) && is(viz_pixel(c, i % c->w, i / c->w), hex);
    return n;
}

/* Pixels in column x that are not white. */
static int inked(struct viz_canvas *c, int x)
{
    return c->h - count(c, x, 0xffffff);
}

/* 20 x 20 pixels of plot and no text. */
static const struct viz_chart bare = {.width = 24, .height = 24};

static void bars_have_their_heights(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct viz_chart chart = bare;
    const float v[] = {1, 2, NAN, 4, 0};
    chart.y_hi = 4;
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f32(v, 5), NULL, NULL), VQ_OK);
    static const int heights[] = {5, 10, 0, 20, 0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(count(c, 2 + 4 * i + 2, VIZ_DATA), heights[i]);
    viz_canvas_free(c);

    /* Below zero they hang from it. */
    const double w[] = {-1, 1};
    chart.y_lo = -1;
    chart.y_hi = 1;
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f64(w, 2), NULL, NULL), VQ_OK);
    assert_true(is(viz_pixel(c, 7, 16), VIZ_DATA) && is(viz_pixel(c, 7, 8), 0xffffff));
    assert_true(is(viz_pixel(c, 16, 16), 0xffffff) && is(viz_pixel(c, 16, 8), VIZ_DATA));
    viz_canvas_free(c);
}

static void bars_on_a_log_axis(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct viz_chart chart = bare;
    const double v[] = {1, 10, 100, 0};
    chart.log_y = true;
    chart.y_lo = 0.1;
    chart.y_hi = 1000;
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f64(v, 4), NULL, NULL), VQ_OK);
    static const int heights[] = {5, 10, 15, 0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(count(c, 2 + 5 * i + 2, VIZ_DATA), heights[i]);
    viz_canvas_free(c);
}

static void peaks_survive_crowding(void **state)
{
    (void)state;
    const size_t n = 100003;
    struct viz_canvas *c;
    struct viz_chart chart = bare;
    double *v = calloc(n, sizeof(*v));
    v[70000] = 1;
    chart.y_hi = 1;
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f64(v, n), NULL, NULL), VQ_OK);
    assert_int_equal(count(c, 2 + 13, VIZ_DATA), 20);
    assert_int_equal(count(c, -1, VIZ_DATA), 20);
    viz_canvas_free(c);

    struct viz_series s = {.y = viz_f64(v, n)};
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_true(inked(c, 2 + 13) >= 19 && inked(c, 2 + 5) <= 2);
    viz_canvas_free(c);
    v[70000] = -1; /* and a dip, which is as far down as the peak was up */
    chart.y_lo = -1;
    chart.y_hi = 0;
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_true(inked(c, 2 + 13) >= 19 && inked(c, 2 + 5) <= 2);
    viz_canvas_free(c);
    free(v);
}

static void lines_break_where_numbers_end(void **state)
{
    (void)state;
    struct viz_canvas *c;
    const double y[] = {1, 1, NAN, INFINITY, 1, 1}, lone[] = {NAN, 3, NAN};
    struct viz_series s = {.y = viz_f64(y, 6)};
    assert_int_equal(viz_plot_lines(&c, &bare, &s, 1, NULL), VQ_OK);
    assert_true(inked(c, 3) > 0 && inked(c, 20) > 0);
    assert_int_equal(inked(c, 12), 0);
    viz_canvas_free(c);

    s.y = viz_f64(lone, 3);
    assert_int_equal(viz_plot_lines(&c, &bare, &s, 1, NULL), VQ_OK);
    assert_true(is(viz_pixel(c, 12, 12), VIZ_DATA)); /* a dot, in the middle */
    viz_canvas_free(c);
}

static void marks_tell_what_is_known(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct viz_chart chart = {.width = 240, .height = 240};
    const double x[] = {0, 10}, y[] = {5, 5};
    struct viz_series s = {.x = viz_f64(x, 2), .y = viz_f64(y, 2)};
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    size_t line = c->n_ops;
    viz_canvas_free(c);
    s.marks = true;
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_int_equal(c->n_ops, line + 2); /* a disc on each point */
    viz_canvas_free(c);
    s.rings = 1;
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_int_equal(c->n_ops, line + 3); /* and a hole in the last */
    viz_canvas_free(c);
    s.rings = 9;
    assert_int_equal(viz_plot_lines(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_int_equal(c->n_ops, line + 4);
    viz_canvas_free(c);
}

static void points_fall_where_they_should(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct viz_chart chart = bare;
    const double x[] = {0, 10}, y[] = {0, 10};
    struct viz_series s = {.name = "points", .x = viz_f64(x, 2), .y = viz_f64(y, 2)};
    assert_int_equal(viz_plot_scatter(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_true(inked(c, 3) > 0 && inked(c, 20) > 0 && inked(c, 12) == 0);
    assert_false(is(viz_pixel(c, 3, 20), 0xffffff)); /* low values at the left and below */
    assert_true(is(viz_pixel(c, 3, 3), 0xffffff));
    viz_canvas_free(c);

    /* On log axes 1, 10 and 100 are evenly spaced. */
    const double p[] = {1, 10, 100, -5, 0};
    s = (struct viz_series){.x = viz_f64(p, 5), .y = viz_f64(p, 5)};
    chart.log_x = chart.log_y = true;
    assert_int_equal(viz_plot_scatter(&c, &chart, &s, 1, NULL), VQ_OK);
    assert_false(is(viz_pixel(c, 11, 11), 0xffffff));
    viz_canvas_free(c);
}

static void histograms_count(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct viz_chart chart = bare;
    const float v[] = {0, 0, 0, 0, 1, 2, 2, 3, NAN, INFINITY};
    chart.y_hi = 4;
    assert_int_equal(viz_plot_hist(&c, &chart, viz_f32(v, 10), 0, NULL), VQ_OK);
    static const int heights[] = {20, 5, 10, 5};
    for (int i = 0; i < 4; i++)
        assert_int_equal(count(c, 2 + 5 * i + 2, VIZ_DATA), heights[i]);
    viz_canvas_free(c);

    /* Two bins of [0, 3]; the largest value is in the last one. */
    assert_int_equal(viz_plot_hist(&c, &chart, viz_f32(v, 8), 2, NULL), VQ_OK);
    assert_int_equal(count(c, 6, VIZ_DATA), 20); /* five, cut off at four */
    assert_int_equal(count(c, 16, VIZ_DATA), 15);
    viz_canvas_free(c);
    struct vq_err err;
    assert_int_equal(viz_plot_hist(&c, &chart, viz_f32(v, 8), 1 << 20, &err), VQ_EINVAL);
    assert_null(c);
}

static void heatmaps_color_their_cells(void **state)
{
    (void)state;
    struct viz_canvas *c;
    const float v[] = {0, 1, NAN, 0.5f};
    struct viz_matrix m = {.v = viz_f32(v, 4), .rows = 2, .cols = 2};
    const struct viz_colormap *map = viz_colormap_find(NULL);
    assert_int_equal(viz_plot_heat(&c, &bare, &m, NULL), VQ_OK);
    assert_int_equal(count(c, -1, map->stops[0]), 100);
    assert_int_equal(count(c, -1, map->stops[16]), 100);
    assert_int_equal(count(c, -1, VIZ_NAN_RGB), 100);
    assert_int_equal(count(c, -1, map->stops[8]), 100);
    assert_true(is(viz_pixel(c, 2, 2), map->stops[0])); /* row 0 on top */
    assert_true(is(viz_pixel(c, 2, 21), VIZ_NAN_RGB));
    viz_canvas_free(c);
}

static void heatmaps_shrink(void **state)
{
    (void)state;
    struct viz_canvas *c;
    float *v = calloc(200 * 200, sizeof(*v));
    v[105 * 200 + 5] = 100; /* one of the 100 cells below the pixel at column 0, row 10 */
    v[0] = NAN;
    struct viz_chart chart = bare;
    chart.z_hi = 100;
    chart.colormap = "gray";
    struct viz_matrix m = {.v = viz_f32(v, 40000), .rows = 200, .cols = 200};
    m.reduce = VIZ_REDUCE_MAX;
    assert_int_equal(viz_plot_heat(&c, &chart, &m, NULL), VQ_OK);
    assert_int_equal(count(c, -1, 0xf8f8f8), 1);
    assert_true(is(viz_pixel(c, 2, 12), 0xf8f8f8));
    assert_int_equal(count(c, -1, VIZ_NAN_RGB), 0);
    viz_canvas_free(c);
    m.reduce = VIZ_REDUCE_MEAN;
    assert_int_equal(viz_plot_heat(&c, &chart, &m, NULL), VQ_OK);
    /* A hundredth of the way up from 0x101010 to 0xf8f8f8, to the nearest of 254 steps. */
    assert_true(is(viz_pixel(c, 2, 12), 0x131313));
    viz_canvas_free(c);
    struct vq_err err;
    m.rows = 199;
    assert_int_equal(viz_plot_heat(&c, &chart, &m, &err), VQ_EINVAL);
    m = (struct viz_matrix){.v = viz_f32(v, 0), .rows = SIZE_MAX, .cols = 2};
    assert_int_equal(viz_plot_heat(&c, &chart, &m, &err), VQ_EINVAL);
    free(v);
}

/* The chart of kind `kind`, with everything it can have, of numbers that try it. */
static enum vq_status any(struct viz_canvas **out, int kind, size_t w, size_t h, size_t n,
                          struct vq_err *err)
{
    static const double v[] = {3, NAN, -INFINITY, 1e300, -1e300, 5e-324, 0, 2,    2,
                               1, 1,   1,         7,     -7,     1e-9,   0, -0.0, 4};
    static const char *const names[] = {"a", "b", "a long name with \xc3\xa9",
                                        "",  "d", "e",
                                        "f", "g", "h",
                                        "i", "j", "k",
                                        "l", "m", "n",
                                        "o", "p", "transformer_layers_11/scanned_attn2"};
    struct viz_chart chart = {.title = "A title that is longer than some canvases are wide",
                              .subtitle = "with a line below it",
                              .xlabel = "across",
                              .ylabel = "upwards",
                              .zlabel = "in colour",
                              .width = w,
                              .height = h};
    struct viz_vec vec = viz_f64(v, n);
    struct viz_series s[10];
    for (size_t i = 0; i < 10; i++)
        s[i] = (struct viz_series){.name = names[i], .x = vec, .y = vec};
    struct viz_matrix m = {.v = viz_f64(v, n / 3 * 3), .rows = n / 3, .cols = 3, .y0 = 1000};
    chart.log_x = kind >= 6 && kind % 2;
    chart.log_y = kind >= 6;
    chart.log_z = kind >= 6;
    m.row_names = kind >= 6 ? names : NULL;
    m.col_names = kind >= 6 ? names : NULL;
    switch (kind % 6) {
    case 0:
        return viz_plot_lines(out, &chart, s, 10, err);
    case 1:
        return viz_plot_scatter(out, &chart, s, 2, err);
    case 2:
        return viz_plot_bars(out, &chart, vec, names, err);
    case 3:
        return viz_plot_bars(out, &chart, vec, NULL, err);
    case 4:
        return viz_plot_hist(out, &chart, vec, 0, err);
    default:
        return viz_plot_heat(out, &chart, &m, err);
    }
}

#define N_KINDS 12

static void every_chart_takes_every_size(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},     {2, 300},   {300, 2},   {3, 3},      {40, 30},
                                      {90, 200},  {120, 80},  {200, 90},  {200, 150},  {320, 200},
                                      {640, 100}, {100, 640}, {640, 480}, {1900, 1010}};
    struct viz_canvas *c;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int kind = 0; kind < N_KINDS; kind++)
            for (size_t n = 0; n <= 18; n = n < 3 ? n + 1 : n + 15) {
                assert_int_equal(any(&c, kind, sizes[i][0], sizes[i][1], n, NULL), VQ_OK);
                assert_int_equal(c->w, sizes[i][0]);
                assert_int_equal(c->h, sizes[i][1]);
                viz_canvas_free(c);
            }
}

/* Nothing of a full chart touches the outermost pixels: no label is cut by the edge. */
static void labels_keep_to_the_canvas(void **state)
{
    (void)state;
    struct viz_canvas *c;
    for (int kind = 0; kind < N_KINDS; kind++)
        for (size_t w = 200; w < 1000; w += 130) {
            assert_int_equal(any(&c, kind, w, w * 2 / 3, 18, NULL), VQ_OK);
            assert_int_equal(inked(c, 0) + inked(c, 1) + inked(c, c->w - 2) + inked(c, c->w - 1),
                             0);
            int edge = 0;
            for (int x = 0; x < c->w; x++)
                edge +=
                    !is(viz_pixel(c, x, 1), 0xffffff) + !is(viz_pixel(c, x, c->h - 1), 0xffffff);
            assert_int_equal(edge, 0);
            viz_canvas_free(c);
        }
}

/* Pixels within a rectangle that are as dark as letters. */
static int label_ink(struct viz_canvas *c, int x0, int y0, int x1, int y1)
{
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            n += viz_pixel(c, x, y).g < 200;
    return n;
}

static void names_stand_by_their_data(void **state)
{
    (void)state;
    struct viz_canvas *c;
    const float v[] = {1, 2, 3, 4};
    const char *const rows[] = {"i", "mmmm"}, *const bars[] = {"i", "i", "mmmmmmmmmmmmmmmm", "i"};
    struct viz_matrix m = {.v = viz_f32(v, 4), .rows = 2, .cols = 2, .row_names = rows};
    struct viz_chart chart = {.width = 480, .height = 300};
    assert_int_equal(viz_plot_heat(&c, &chart, &m, NULL), VQ_OK);
    int above = label_ink(c, 0, 0, 70, 140), below = label_ink(c, 0, 140, 70, 270);
    assert_true(above > 3 && below > 3 * above);
    viz_canvas_free(c);

    /* Four slots of about 100 pixels: the long name turns all names upright, below the plot. */
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f32(v, 4), bars, NULL), VQ_OK);
    int third = label_ink(c, 250, 208, 360, 300), second = label_ink(c, 150, 208, 250, 300);
    assert_true(second > 3 && third > 5 * second);
    viz_canvas_free(c);
}

/* What stands at the right of a heat map, scale, numbers and label, has no wide gap in it, even
 * when whole cells leave much of the width to nobody. */
static void labels_of_scales_stand_by_them(void **state)
{
    (void)state;
    static float v[128 * 2];
    for (size_t i = 0; i < 256; i++)
        v[i] = (float)i;
    for (size_t cols = 100; cols <= 128; cols += 7) {
        struct viz_canvas *c;
        const struct viz_chart chart = {.zlabel = "count", .width = 960};
        const struct viz_matrix m = {.v = viz_f32(v, 2 * cols), .rows = 2, .cols = cols};
        assert_int_equal(viz_plot_heat(&c, &chart, &m, NULL), VQ_OK);
        int last = c->w - 1, gap = 0, widest = 0;
        while (inked(c, last) == 0)
            last--;
        for (int x = last; x > c->w / 2; x--) {
            gap = inked(c, x) ? 0 : gap + 1;
            widest = gap > widest ? gap : widest;
        }
        assert_in_range(widest, 1, 20);
        viz_canvas_free(c);
    }
}

static void text_differs_so_pictures_do(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3};
    struct viz_chart with = {.title = "a", .xlabel = "x", .ylabel = "y"}, without = {.title = NULL};
    struct viz_canvas *a, *b;
    assert_int_equal(viz_plot_bars(&a, &with, viz_f64(v, 3), NULL, NULL), VQ_OK);
    assert_int_equal(viz_plot_bars(&b, &without, viz_f64(v, 3), NULL, NULL), VQ_OK);
    assert_int_equal(a->w, VIZ_PLOT_WIDTH);
    assert_int_equal(a->h, VIZ_PLOT_HEIGHT);
    assert_true(count(a, -1, VIZ_INK) > 20);
    assert_int_equal(count(b, -1, VIZ_INK), 0);
    viz_canvas_free(a);
    viz_canvas_free(b);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3};
    struct viz_canvas *c = (struct viz_canvas *)1;
    struct vq_err err;
    struct viz_chart chart = {.colormap = "rainbow"};
    assert_int_equal(viz_plot_bars(&c, &chart, viz_f64(v, 3), NULL, &err), VQ_EINVAL);
    assert_null(c);
    assert_non_null(strstr(err.msg, "rainbow"));
    assert_non_null(strstr(err.msg, viz_colormap_nth(0)->name));
    struct viz_series s = {.x = viz_f64(v, 2), .y = viz_f64(v, 3)};
    assert_int_equal(viz_plot_lines(&c, &(struct viz_chart){0}, &s, 1, &err), VQ_EINVAL);
    chart = (struct viz_chart){.width = 20000};
    assert_int_equal(viz_plot_hist(&c, &chart, viz_f64(v, 3), 0, &err), VQ_EINVAL);
    assert_null(c);
}

static void allocations_may_fail(void **state)
{
    (void)state;
    struct viz_canvas *c;
    struct vq_err err;
    for (int kind = 0; kind < 6; kind++) {
        enum vq_status status;
        long nth = 0;
        do {
            vq_mem_fail_at(++nth);
            status = any(&c, kind, 300, 200, 18, &err);
            assert_true(status == VQ_OK || (status == VQ_ENOMEM && !c));
        } while (status != VQ_OK && nth < 50);
        vq_mem_fail_at(0);
        assert_in_range(nth, 3, 49);
        viz_canvas_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_have_their_heights),
        cmocka_unit_test(bars_on_a_log_axis),
        cmocka_unit_test(peaks_survive_crowding),
        cmocka_unit_test(lines_break_where_numbers_end),
        cmocka_unit_test(points_fall_where_they_should),
        cmocka_unit_test(marks_tell_what_is_known),
        cmocka_unit_test(histograms_count),
        cmocka_unit_test(heatmaps_color_their_cells),
        cmocka_unit_test(heatmaps_shrink),
        cmocka_unit_test(every_chart_takes_every_size),
        cmocka_unit_test(labels_keep_to_the_canvas),
        cmocka_unit_test(names_stand_by_their_data),
        cmocka_unit_test(labels_of_scales_stand_by_them),
        cmocka_unit_test(text_differs_so_pictures_do),
        cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
