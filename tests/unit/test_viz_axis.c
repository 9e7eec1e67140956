/*
 * Numbers to places and colours: axes, ticks, their text, colormaps, sparks and bars.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viz/axis.h"
#include "viz/colormap.h"
#include "viz/spark.h"

static void ticks_are(struct viz_axis a, size_t most, bool whole, const char *expected)
{
    char text[512] = "", buf[VIZ_NUMBER_LEN];
    struct viz_ticks t = viz_axis_ticks(a, most, whole);
    for (size_t i = 0; i < t.n; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
                 viz_tick_label(buf, &t, t.at[i]));
    }
    assert_string_equal(text, expected);
}

static void linear_ticks_are_round(void **state)
{
    (void)state;
    ticks_are((struct viz_axis){0, 1, false}, 6, false, "0 0.2 0.4 0.6 0.8 1.0");
    ticks_are((struct viz_axis){0, 1, false}, 4, false, "0 0.5 1.0");
    ticks_are((struct viz_axis){-1.05, 1.05, false}, 5, false, "-1.0 -0.5 0 0.5 1.0");
    ticks_are((struct viz_axis){0.4234, 0.5891, false}, 10, false,
              "0.44 0.46 0.48 0.50 0.52 0.54 0.56 0.58");
    ticks_are((struct viz_axis){0, 65536, false}, 5, false, "0 20k 40k 60k");
    ticks_are((struct viz_axis){0, 11000, false}, 5, false, "0 5k 10k");
    ticks_are((struct viz_axis){0, 6000, false}, 4, false, "0 2000 4000 6000");
    ticks_are((struct viz_axis){0, 4.2e6, false}, 9, false, "0 500k 1M 1.5M 2M 2.5M 3M 3.5M 4M");
    ticks_are((struct viz_axis){0, 3.1e-5, false}, 4, false, "0 1e-5 2e-5 3e-5");
    ticks_are((struct viz_axis){1e5, 1e5 + 2, false}, 5, false,
              "100k 100.0005k 100.001k 100.0015k 100.002k");
    ticks_are((struct viz_axis){0, 3, false}, 20, true, "0 1 2 3");
    ticks_are((struct viz_axis){0.2, 0.8, false}, 5, true, "");
}

static void log_ticks_are_powers(void **state)
{
    (void)state;
    ticks_are((struct viz_axis){1, 1e6, true}, 8, false, "1 10 100 1k 10k 100k 1M");
    ticks_are((struct viz_axis){1, 1000, true}, 12, false, "1 2 3 5 10 20 30 50 100 200 300 500");
    ticks_are((struct viz_axis){1, 1000, true}, 9, false, "1 2 5 10 20 50 100 200 500");
    ticks_are((struct viz_axis){1, 9.5, true}, 9, false, "1 2 3 4 5 6 7 8 9");
    ticks_are((struct viz_axis){2, 3, true}, 5, false, "2.0 2.2 2.4 2.6 2.8");
    ticks_are((struct viz_axis){1e-8, 1, true}, 5, false, "1e-8 1e-6 1e-4 0.01 1");
    struct viz_ticks t = viz_axis_ticks((struct viz_axis){1e-300, 1e300, true}, 8, false);
    assert_true(t.n >= 3 && t.n <= 8);
}

/* Whatever the span: within the axis, ascending, evenly spaced, not more than asked. */
static void ticks_hold_for_any_span(void **state)
{
    (void)state;
    for (int e = -300; e <= 300; e += 7)
        for (size_t most = 2; most <= VIZ_MAX_TICKS; most += 5) {
            struct viz_axis a = viz_axis_fit(-3.7 * pow(10, e), 9.1 * pow(10, e), false, 0.05);
            struct viz_ticks t = viz_axis_ticks(a, most, false);
            assert_in_range(t.n, 1, most);
            for (size_t i = 0; i < t.n; i++) {
                assert_true(t.at[i] >= a.lo - 1e-6 * t.step && t.at[i] <= a.hi + 1e-6 * t.step);
                assert_true(i == 0 || fabs(t.at[i] - t.at[i - 1] - t.step) < 1e-6 * t.step);
            }
        }
}

static void axes_can_always_be_drawn(void **state)
{
    (void)state;
    static const double ends[] = {0, 1, -1, 5e-324, 1e308, -1e308, 1e-300, 3, NAN, INFINITY};
    const size_t n = sizeof(ends) / sizeof(ends[0]);
    for (size_t i = 0; i < n * n * 2; i++) {
        struct viz_axis a = viz_axis_fit(ends[i % n], ends[i / n % n], i >= n * n, 0.05);
        assert_true(isfinite(a.lo) && isfinite(a.hi) && a.lo < a.hi);
        assert_true(!a.log || a.lo > 0);
        assert_true(fabs(viz_axis_at(a, a.lo)) < 1e-9 && fabs(viz_axis_at(a, a.hi) - 1) < 1e-9);
        assert_true(viz_axis_ticks(a, 9, false).n <= 9);
    }
    assert_true(isnan(viz_axis_at((struct viz_axis){1, 10, true}, 0)));
    assert_true(fabs(viz_axis_at((struct viz_axis){1, 100, true}, 10) - 0.5) < 1e-12);
}

static void numbers_are(double x, int digits, const char *expected)
{
    char buf[VIZ_NUMBER_LEN];
    assert_string_equal(viz_number(buf, x, digits), expected);
}

static void numbers_are_short(void **state)
{
    (void)state;
    numbers_are(0, 3, "0");
    numbers_are(-0.0, 3, "0");
    numbers_are(0.25, 3, "0.25");
    numbers_are(-12.3456, 4, "-12.35");
    numbers_are(9999, 4, "9999");
    numbers_are(12000, 3, "12k");
    numbers_are(1.5e6, 3, "1.5M");
    numbers_are(2e9, 3, "2G");
    numbers_are(1e-5, 3, "1e-5");
    numbers_are(-2.5e-7, 3, "-2.5e-7");
    numbers_are(1.25e20, 3, "1.25e20");
    numbers_are(5e-324, 3, "5e-324");
    numbers_are(NAN, 3, "NaN");
    numbers_are(-INFINITY, 3, "-Inf");
    numbers_are(0.001, 3, "0.001");
    numbers_are(3.14159265, 99, "3.14159265");
}

static void numbers_ignore_the_locale(void **state)
{
    (void)state;
    const char *before = setlocale(LC_NUMERIC, NULL);
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        print_message("skipped: no locale de_DE.UTF-8 here\n");
    numbers_are(0.25, 3, "0.25");
    setlocale(LC_NUMERIC, before);
}

static void maps_rise_in_lightness(void **state)
{
    (void)state;
    const struct viz_colormap *m;
    size_t sequential = 0;
    for (size_t i = 0; (m = viz_colormap_nth(i)); i++) {
        assert_ptr_equal(viz_colormap_find(m->name), m);
        double first = viz_rgb_lightness(viz_colormap_rgb(m, 0)), last = first;
        for (int k = 1; k <= 64; k++) {
            double now = viz_rgb_lightness(viz_colormap_rgb(m, k / 64.0));
            bool rising = !m->diverging || k <= 32;
            assert_true(rising ? now > last : now < last);
            /* Steps of at most three times the mean: no edge that the data does not have. */
            double total = viz_rgb_lightness(viz_colormap_rgb(m, m->diverging ? 0.5 : 1)) - first;
            assert_true(fabs(now - last) < 3 * total / (m->diverging ? 32 : 64));
            last = now;
        }
        assert_true(!m->diverging || fabs(last - first) < 5);
        sequential += m->diverging ? 0 : 1;
    }
    assert_true(sequential >= 3);
    assert_null(viz_colormap_find("no such map"));
    assert_ptr_equal(viz_colormap_find(NULL), viz_colormap_nth(0));
}

static void assert_rgb(struct viz_rgb c, uint32_t hex)
{
    assert_int_equal((uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b, hex);
}

static void maps_have_their_ends_and_nan(void **state)
{
    (void)state;
    const struct viz_colormap *m;
    for (size_t i = 0; (m = viz_colormap_nth(i)); i++) {
        assert_rgb(viz_colormap_rgb(m, 0), m->stops[0]);
        assert_rgb(viz_colormap_rgb(m, -INFINITY), m->stops[0]);
        assert_rgb(viz_colormap_rgb(m, 1), m->stops[m->n - 1]);
        assert_rgb(viz_colormap_rgb(m, 1e300), m->stops[m->n - 1]);
        assert_rgb(viz_colormap_rgb(m, NAN), VIZ_NAN_RGB);
        for (int k = 0; k <= 256; k++) {
            struct viz_rgb c = viz_colormap_rgb(m, k / 256.0);
            int far = abs(c.r - 0x9b) + abs(c.g - 0x6f) + abs(c.b - 0x94);
            assert_true(far > 40);
        }
    }
}

static void norms_place_values(void **state)
{
    (void)state;
    const float v[] = {NAN, -2, 6, INFINITY, 0, 1};
    struct viz_norm n = viz_norm_fit(viz_f32(v, 6), false, false);
    assert_true(n.lo == -2 && n.hi == 6);
    assert_true(viz_norm_at(n, 2) == 0.5 && viz_norm_at(n, -9) == 0 &&
                viz_norm_at(n, INFINITY) == 1);
    assert_true(isnan(viz_norm_at(n, NAN)));
    n = viz_norm_fit(viz_f32(v, 6), false, true);
    assert_true(n.lo == -6 && n.hi == 6 && viz_norm_at(n, 0) == 0.5);
    n = viz_norm_fit(viz_f32(v, 6), true, true);
    assert_true(n.lo == 1 && n.hi == 6);
    assert_true(viz_norm_at(n, 0) == 0 && isnan(viz_norm_at(n, -1)));
    assert_true(fabs(viz_norm_at(n, sqrt(6)) - 0.5) < 1e-12);
    n = viz_norm_fit(viz_f32(v, 1), false, false);
    assert_true(n.lo == 0 && n.hi == 1);
    n = viz_norm_fit(viz_f32(v + 2, 1), false, false);
    assert_true(viz_norm_at(n, 6) == 0.5);
    const double wide[] = {-1.7e308, 1.7e308};
    n = viz_norm_fit(viz_f64(wide, 2), false, false);
    assert_true(viz_norm_at(n, 0) == 0.5);
}

static void sparks_are_eighths(void **state)
{
    (void)state;
    char buf[64];
    const double v[] = {0, 1, 4, 8, 99, NAN, -3, 1e-9, INFINITY};
    assert_int_equal(viz_spark(buf, sizeof(buf), v, 9, 8), 9);
    assert_string_equal(buf, " ▁▄██· ▁█");
    assert_int_equal(viz_spark(buf, sizeof(buf), v, 4, 0), 4);
    assert_string_equal(buf, " ▁▄█");
    assert_int_equal(viz_spark(buf, sizeof(buf), v, 0, 1), 0);
    assert_string_equal(buf, "");
    memset(buf, 'x', sizeof(buf));
    assert_int_equal(viz_spark(buf, 6, v + 1, 3, 8), 1);
    assert_string_equal(buf, "▁");
    assert_int_equal(buf[6], 'x');
    assert_int_equal(viz_spark(buf, VIZ_SPARK_BYTES(3), v + 1, 3, 8), 3);
}

static void bars_are_eighths(void **state)
{
    (void)state;
    char buf[64];
    assert_int_equal(viz_bar(buf, sizeof(buf), 4, 8, 4), 2);
    assert_string_equal(buf, "██");
    assert_int_equal(viz_bar(buf, sizeof(buf), 5, 8, 4), 3);
    assert_string_equal(buf, "██▌");
    assert_int_equal(viz_bar(buf, sizeof(buf), 1e-12, 8, 4), 1);
    assert_string_equal(buf, "▏");
    assert_int_equal(viz_bar(buf, sizeof(buf), -1, 8, 4), 0);
    assert_int_equal(viz_bar(buf, sizeof(buf), NAN, 8, 4), 1);
    assert_string_equal(buf, "·");
    assert_int_equal(viz_bar(buf, sizeof(buf), INFINITY, 8, 3), 3);
    assert_int_equal(viz_bar(buf, 4, 8, 8, 3), 1);
    assert_string_equal(buf, "█");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_ticks_are_round),  cmocka_unit_test(log_ticks_are_powers),
        cmocka_unit_test(ticks_hold_for_any_span), cmocka_unit_test(axes_can_always_be_drawn),
        cmocka_unit_test(numbers_are_short),       cmocka_unit_test(numbers_ignore_the_locale),
        cmocka_unit_test(maps_rise_in_lightness),  cmocka_unit_test(maps_have_their_ends_and_nan),
        cmocka_unit_test(norms_place_values),      cmocka_unit_test(sparks_are_eighths),
        cmocka_unit_test(bars_are_eighths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
