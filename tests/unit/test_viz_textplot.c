/* Curves as text: where the dots lie, what stands around them, and that it always fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "viz/textplot.h"

static char *draw(const struct viz_textplot *t, const struct viz_series *s, size_t n)
{
    char *out;
    struct vq_err err = {0};
    if (viz_textplot_lines(&out, t, s, n, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return out;
}

/* The k-th line, without its newline; lives until the next call. */
static const char *line(const char *text, size_t k)
{
    static char buf[4096];
    for (; k > 0 && text; k--) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    assert_non_null(text);
    size_t n = strcspn(text, "\n");
    assert_true(n < sizeof(buf));
    memcpy(buf, text, n);
    buf[n] = '\0';
    return buf;
}

/* Lines, and the width of the widest without its escapes. */
static size_t measure(const char *text, size_t *widest)
{
    size_t lines = 0;
    *widest = 0;
    while (*text) {
        char plain[8192];
        size_t n = 0;
        for (; *text != '\n'; text++) {
            if (*text == '\x1b') {
                text += strcspn(text, "m");
                continue;
            }
            plain[n++] = *text;
        }
        assert_int_equal(vq_utf8_check(plain, n), n);
        size_t width = vq_utf8_width(plain, n);
        *widest = width > *widest ? width : *widest;
        lines++;
        text++;
    }
    return lines;
}

static void a_diagonal(void **state)
{
    (void)state;
    const double x[] = {0, 9}, y[] = {0, 9};
    const struct viz_series s = {.x = viz_f64(x, 2), .y = viz_f64(y, 2)};
    const struct viz_textplot t = {
        .columns = 20, .rows = 12, .ascii = true, .colors = VIZ_COLORS_NONE};
    char *out = draw(&t, &s, 1);
    /* Ten rows of ten characters: one letter in each, from the top right to the bottom left. */
    for (size_t r = 0; r < 10; r++) {
        const char *l = line(out, r);
        assert_true(l[9] == '|' || l[9] == '+');
        const char *a = strchr(l, 'a');
        assert_non_null(a);
        assert_int_equal(a - l, 10 + 9 - r);
        assert_null(strchr(a + 1, 'a'));
    }
    assert_int_equal(line(out, 10)[9], '+');
    assert_non_null(strchr(line(out, 11), '0'));
    free(out);
}

static void dots(void **state)
{
    (void)state;
    /* Two points at the far ends of one row of braille: the two outer dots of the lowest line. */
    const double x[] = {0, 1, 2}, y[] = {5, NAN, 5};
    const struct viz_series s = {.name = "flat", .x = viz_f64(x, 3), .y = viz_f64(y, 3)};
    const struct viz_textplot t = {.columns = 20, .rows = 6, .colors = VIZ_COLORS_NONE};
    char *out = draw(&t, &s, 1);
    size_t cells = 0;
    for (const char *p = out; (p = strstr(p, "\xe2\xa0")) || (p = NULL); p++)
        cells++;
    for (const char *p = out; (p = strstr(p, "\xe2\xa1")); p++)
        cells++;
    for (const char *p = out; (p = strstr(p, "\xe2\xa2")); p++)
        cells++;
    assert_int_equal(cells, 2); /* the break in the middle is no line */
    assert_non_null(strstr(out, "━ flat"));
    assert_null(strchr(out, '\x1b'));
    free(out);
}

static void series_are_told_apart(void **state)
{
    (void)state;
    const double y[] = {1, 2, 3}, z[] = {3, 2, 1};
    const struct viz_series s[] = {{.name = "up", .y = viz_f64(y, 3)},
                                   {.name = "down", .y = viz_f64(z, 3)}};
    struct viz_textplot t = {.columns = 40, .rows = 10, .title = "both", .colors = VIZ_COLORS_NONE};
    char *out = draw(&t, s, 2);
    assert_non_null(strchr(line(out, 1), 'b')); /* down begins at the top */
    assert_non_null(strstr(out, "a up"));
    assert_non_null(strstr(out, "b down"));
    assert_non_null(strstr(line(out, 0), "both"));
    free(out);
    t.colors = VIZ_COLORS_256;
    out = draw(&t, s, 2);
    assert_non_null(strstr(out, "\x1b[38;5;67m"));
    assert_non_null(strstr(out, "\x1b[38;5;166m"));
    assert_non_null(strstr(out, "━ up"));
    free(out);
    t.colors = VIZ_COLORS_16;
    out = draw(&t, s, 2);
    assert_non_null(strstr(out, "\x1b[34m"));
    free(out);
}

static void logarithmic(void **state)
{
    (void)state;
    const double y[] = {1, 10, 100, 0, -1};
    const struct viz_series s = {.y = viz_f64(y, 5)};
    const struct viz_textplot t = {
        .columns = 40, .rows = 14, .ascii = true, .log_y = true, .colors = VIZ_COLORS_NONE};
    char *out = draw(&t, &s, 1);
    /* Straight: the middle of three powers of ten is at half the height. */
    const char *low = line(out, 11);
    assert_non_null(strchr(low, 'a'));
    const char *top = line(out, 0);
    assert_non_null(strrchr(top, 'a'));
    assert_int_equal(strrchr(top, 'a') - top, 39);
    free(out);
}

static void it_always_fits(void **state)
{
    (void)state;
    double x[300], y[300];
    for (int i = 0; i < 300; i++) {
        x[i] = i % 7 ? i * 1e9 : NAN;
        y[i] = i % 11 ? sin(i) * pow(10, i % 40 - 20) : i % 2 ? INFINITY : -INFINITY;
    }
    for (size_t n = 0; n <= 300; n += 60)
        for (size_t columns = 24; columns < 130; columns += 7)
            for (size_t rows = 8; rows < 50; rows += 5) {
                const struct viz_series s[] = {
                    {.name = "a name that is rather long, longer than most",
                     .x = viz_f64(x, n),
                     .y = viz_f64(y, n)},
                    {.name = "\xe5\x90\x8d\xe5\x89\x8d", .y = viz_f64(y, n)}};
                struct viz_textplot t = {.columns = columns,
                                         .rows = rows,
                                         .colors = VIZ_COLORS_TRUE,
                                         .title = "a title that does not fit into few columns",
                                         .xlabel = "step",
                                         .log_y = n % 120 == 0};
                char *out = draw(&t, s, 2);
                size_t widest, lines = measure(out, &widest);
                if (widest > columns || lines > rows)
                    fail_msg("%zu x %zu gave %zu x %zu:\n%s", columns, rows, widest, lines, out);
                free(out);
            }
}

static void nothing_and_wrong(void **state)
{
    (void)state;
    const struct viz_textplot t = {.columns = 60, .rows = 10};
    const double v[] = {1, 2};
    char *out = draw(&t, NULL, 0);
    assert_non_null(strstr(out, "nothing to draw yet"));
    free(out);
    const struct viz_series wrong = {.x = viz_f64(v, 1), .y = viz_f64(v, 2)};
    struct vq_err err = {0};
    assert_int_equal(viz_textplot_lines(&out, &t, &wrong, 1, &err), VQ_EINVAL);
    assert_null(out);
    /* Each allocation fails once. */
    const struct viz_series s = {.name = "x", .y = viz_f64(v, 2)};
    for (long nth = 1;; nth++) {
        assert_true(nth < 1000);
        vq_mem_fail_at(nth);
        enum vq_status status = viz_textplot_lines(&out, &t, &s, 1, &err);
        bool failed = vq_mem_fail_at(0) >= nth;
        if (status == VQ_OK)
            free(out);
        if (!failed)
            break;
        assert_int_equal(status, VQ_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diagonal),
        cmocka_unit_test(dots),
        cmocka_unit_test(series_are_told_apart),
        cmocka_unit_test(logarithmic),
        cmocka_unit_test(it_always_fits),
        cmocka_unit_test(nothing_and_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
