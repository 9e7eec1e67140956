/*
 * Bubbles are told by the pixels they cover.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "viz/plot.h"

/* A chart of nothing but its data: the smallest that keeps no text. */
static const struct viz_chart bare = {.width = 400, .height = 300};

static struct viz_canvas *draw(const struct viz_series *s, const struct viz_vec *size, size_t n)
{
    struct viz_canvas *c;
    struct vq_err err;
    if (viz_plot_bubbles(&c, &bare, s, size, n, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return c;
}

/* Pixels of one canvas that the other has in another colour, left and right of the middle. */
static void differing(struct viz_canvas *a, struct viz_canvas *b, size_t count[2])
{
    count[0] = count[1] = 0;
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++) {
            struct viz_rgb p = viz_pixel(a, x, y), q = viz_pixel(b, x, y);
            count[x >= a->w / 2] += memcmp(&p, &q, sizeof(p)) != 0;
        }
}

static void areas_are_as_the_sizes(void **state)
{
    (void)state;
    const double x[] = {0, 1}, y[] = {0, 0}, sizes[] = {1, 9}, equal[] = {0, 0};
    const struct viz_series s = {.x = viz_f64(x, 2), .y = viz_f64(y, 2)};
    const struct viz_vec size = viz_f64(sizes, 2), none = viz_f64(equal, 2);
    struct viz_canvas *a = draw(&s, &size, 1), *b = draw(&s, &none, 1), *empty;
    const double gone[] = {NAN, NAN};
    const struct viz_series nothing = {.x = viz_f64(x, 2), .y = viz_f64(gone, 2)};
    size_t covered[2];
    differing(a, b, covered);
    /* Beyond the least dot: radii 1.6 + 4 and 1.6 + 12. */
    double small = M_PI * (5.6 * 5.6 - 1.6 * 1.6), large = M_PI * (13.6 * 13.6 - 1.6 * 1.6);
    assert_in_range(covered[0], (size_t)(small * 0.7), (size_t)(small * 1.5));
    assert_in_range(covered[1], (size_t)(large * 0.8), (size_t)(large * 1.3));
    /* Even a dot of size 0 is there. */
    empty = draw(&nothing, &none, 1);
    differing(b, empty, covered);
    assert_true(covered[0] > 4 && covered[1] > 4);
    viz_canvas_free(a);
    viz_canvas_free(b);
    viz_canvas_free(empty);
}

/* A small dot on a large one is drawn over it, whichever series comes first. */
static void small_dots_are_not_hidden(void **state)
{
    (void)state;
    const double x[] = {0, 1}, y[] = {0, 0}, one[] = {1, 1}, many[] = {100, 100};
    const struct viz_series s[2] = {{.x = viz_f64(x, 2), .y = viz_f64(y, 2)},
                                    {.x = viz_f64(x, 2), .y = viz_f64(y, 2)}};
    const struct viz_vec size[2] = {viz_f64(one, 2), viz_f64(many, 2)};
    const struct viz_vec turned[2] = {viz_f64(many, 2), viz_f64(one, 2)};
    struct viz_canvas *a = draw(s, size, 2), *b = draw(s, turned, 2);
    size_t other[2];
    differing(a, b, other);
    assert_true(other[0] > 0 && other[1] > 0); /* the colours have changed places */
    viz_canvas_free(a);
    viz_canvas_free(b);
}

static void mistakes_and_memory(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2};
    const struct viz_series s = {.name = "dots", .y = viz_f64(x, 3)};
    const struct viz_vec two = viz_f64(x, 2), three = viz_f64(x, 3);
    struct viz_canvas *c;
    struct vq_err err;
    assert_int_equal(viz_plot_bubbles(&c, &bare, &s, &two, 1, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "2 sizes for 3"));
    for (long nth = 1; nth <= 3; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(viz_plot_bubbles(&c, &bare, &s, &three, 1, &err), VQ_ENOMEM);
        assert_null(c);
    }
    vq_mem_fail_at(0);
    c = draw(NULL, NULL, 0);
    viz_canvas_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(areas_are_as_the_sizes),
        cmocka_unit_test(small_dots_are_not_hidden),
        cmocka_unit_test(mistakes_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
