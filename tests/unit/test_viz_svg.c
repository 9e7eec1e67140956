/*
 * SVG: what a document says, and that it is well-formed where ids, references and tags are
 * concerned. How it looks is the same drawing that the tests of canvases and charts look at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/font.h"
#include "viz/plot.h"
#include "viz/svg.h"

static size_t occurrences(const char *s, const char *part)
{
    size_t n = 0;
    for (; (s = strstr(s, part)); s += strlen(part))
        n++;
    return n;
}

/* Tags close in the order in which they were opened, up to a depth that we never reach. */
static bool well_formed(const char *s)
{
    char open[32][32];
    size_t depth = 0;
    for (; (s = strchr(s, '<')); s++) {
        const char *end = strchr(s, '>'), *name = s + (s[1] == '/' ? 2 : 1);
        size_t n = strcspn(name, " />\n");
        if (!end || n >= sizeof(open[0]) || depth == 31)
            return false;
        if (s[1] == '?' || end[-1] == '/')
            continue;
        if (s[1] != '/') {
            memcpy(open[depth], name, n);
            open[depth++][n] = '\0';
        } else if (depth == 0 || strncmp(open[--depth], name, n) != 0 || open[depth][n]) {
            return false;
        }
    }
    return depth == 0;
}

/* Whether each reference, which begins with `before` and ends at a quote or bracket, has its id. */
static bool references_resolve(const char *s, const char *before)
{
    const char *at = s;
    while ((at = strstr(at, before))) {
        char id[80] = " id=\"";
        at += strlen(before);
        size_t n = strcspn(at, "\")");
        if (n > 60)
            return false;
        strncat(id, at, n);
        strncat(id, "\"", 2);
        if (occurrences(s, id) != 1)
            return false;
    }
    return true;
}

static struct viz_canvas *heat(void)
{
    static float v[6 * 40];
    for (size_t i = 0; i < 240; i++)
        v[i] = (float)i;
    const struct viz_chart chart = {.title = "A <title> & more",
                                    .xlabel = "across",
                                    .ylabel = "upwards",
                                    .zlabel = "in colour"};
    const struct viz_matrix m = {.v = viz_f32(v, 240), .rows = 6, .cols = 40};
    struct viz_canvas *c;
    assert_int_equal(viz_plot_heat(&c, &chart, &m, NULL), VQ_OK);
    return c;
}

static char *encode(const struct viz_canvas *c)
{
    static const struct viz_note notes[] = {{"seed", "42"},
                                            {"note", "a < b && c > \"d\"\n\x01\xff"}};
    char *s;
    size_t size;
    assert_int_equal(viz_svg_encode(&s, &size, c, notes, 2, NULL), VQ_OK);
    assert_int_equal(size, strlen(s));
    return s;
}

static void charts_say_what_they_show(void **state)
{
    (void)state;
    struct viz_canvas *c = heat();
    char *s = encode(c);
    assert_true(well_formed(s));
    assert_int_equal(strncmp(s, "<?xml", 5), 0);
    assert_non_null(strstr(s, "width=\"960px\" height=\"540px\" viewBox=\"0 0 960 540\""));
    assert_non_null(strstr(s, "<metadata>\nseed: 42\n"
                              "note: a &lt; b &amp;&amp; c &gt; \"d\"  \xef\xbf\xbd\n</metadata>"));
    assert_non_null(strstr(s, "<desc>\nA &lt;title&gt; &amp; more\n"));
    static const char *const lines[] = {"\nacross\n", "\nupwards\n", "\nin colour\n", "\n30\n"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(occurrences(s, lines[i]), 1);
    /* The cells are one picture, the scale of colours another. */
    assert_int_equal(occurrences(s, "<image"), 2);
    assert_int_equal(occurrences(s, "image-rendering:pixelated"), 2);
    assert_null(strstr(s, "<!--"));
    assert_null(strstr(s, "<text"));
    free(s);
    viz_canvas_free(c);
}

static void bars_are_shapes(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3, 4, 5, 6, 7};
    struct viz_canvas *c;
    const struct viz_chart bare = {.width = 24, .height = 24};
    assert_int_equal(viz_plot_bars(&c, &bare, viz_f64(v, 7), NULL, NULL), VQ_OK);
    char *s = encode(c);
    assert_int_equal(occurrences(s, "fill:rgb(22.745098%,43.137255%,64.705882%)"), 7);
    assert_int_equal(occurrences(s, "<image") + occurrences(s, "<symbol"), 0);
    free(s);
    viz_canvas_free(c);
}

static void the_same_bytes_each_time(void **state)
{
    (void)state;
    struct viz_canvas *a = heat(), *b = heat();
    char *s = encode(a), *t = encode(b), *u = encode(a);
    assert_string_equal(s, t);
    assert_string_equal(s, u);
    free(s);
    free(t);
    free(u);
    viz_canvas_free(a);
    viz_canvas_free(b);
}

static void references_have_their_ids(void **state)
{
    (void)state;
    struct viz_canvas *c = heat();
    char *s = encode(c);
    assert_true(occurrences(s, " id=\"") > 20);
    assert_true(references_resolve(s, "href=\"#") && references_resolve(s, "url(#"));
    free(s);
    viz_canvas_free(c);
}

/* Every kind of shape, one of them clipped. */
static struct viz_canvas *shapes(void)
{
    static const uint8_t rgb[6] = {255, 0, 0, 0, 0, 255}, alpha[2] = {255, 128};
    const struct viz_rgb blue = viz_rgb_hex(0x0000ff);
    struct viz_canvas *c;
    assert_int_equal(viz_canvas_new(&c, 60, 40, viz_rgb_hex(0xffffff), NULL), VQ_OK);
    viz_canvas_clip(c, (struct viz_rect){5, 5, 20, 20});
    viz_line(c, 6, 12, 20.5, 12, 1.5, blue);
    viz_line(c, 20.5, 12, 10, 9.26, 1.5, blue);
    viz_canvas_unclip(c);
    viz_disc(c, 10, 10, 2.125, blue, 0.5);
    viz_disc(c, 20, 10, 3, blue, 0.5);
    viz_image(c, (struct viz_rect){1, 1, 20, 10}, rgb, alpha, 2, 1);
    viz_text(c, (struct viz_font){.size = 10, .bold = true}, 3, 20, "a < b", blue);
    viz_text_up(c, (struct viz_font){.size = 10}, 30, 39, "up", blue);
    return c;
}

static void pages_hold_letters_and_pixels_as_they_are(void **state)
{
    (void)state;
    struct viz_canvas *c = shapes();
    char *s, *t;
    size_t size;
    assert_int_equal(viz_svg_inline(&s, &size, c, "fig-2_", NULL), VQ_OK);
    assert_int_equal(size, strlen(s));
    assert_int_equal(strncmp(s, "<svg ", 5), 0);
    assert_true(well_formed(s) && references_resolve(s, "url(#"));
    assert_non_null(strstr(s, "viewBox=\"0 0 60 40\""));
    assert_non_null(strstr(s, "<g fill=\"#ffffff\"><path d=\"M0 0h60v40h-60z\"/></g>"));
    assert_non_null(strstr(s, "<clipPath id=\"fig-2_1\"><rect x=\"5\" y=\"5\""));
    assert_non_null(strstr(s, "<path d=\"M6 12L20.5 12L10 9.3\"/>"));
    assert_non_null(strstr(s, "stroke=\"#0000ff\" stroke-width=\"1.5\""));
    assert_non_null(strstr(s, "<circle cx=\"10\" cy=\"10\" r=\"2.1\"/><circle cx=\"20\""));
    assert_non_null(strstr(s, " fill-opacity=\"50%\">"));
    assert_non_null(strstr(s, "font-weight=\"bold\"><text x=\"3\""));
    assert_non_null(strstr(s, ">a &lt; b</text>"));
    assert_non_null(strstr(s, "transform=\"rotate(-90 "));
    assert_int_equal(occurrences(s, "<image x=\"1\" y=\"1\" width=\"20\" height=\"10\""), 1);
    assert_int_equal(occurrences(s, "<symbol"), 0);
    assert_int_equal(viz_svg_inline(&t, &size, c, "fig-2_", NULL), VQ_OK);
    assert_string_equal(s, t);
    free(s);
    free(t);
    struct vq_err err;
    static const char *const bad[] = {"", "2a", "a b", "a\"", "\xc3\xa9"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(viz_svg_inline(&s, &size, c, bad[i], &err), VQ_EINVAL);
        assert_null(s);
    }
    for (long nth = 1; nth < 12; nth++) {
        vq_mem_fail_at(nth);
        enum vq_status status = viz_svg_inline(&s, &size, c, "a", &err);
        vq_mem_fail_at(0);
        assert_true(status == VQ_OK || (status == VQ_ENOMEM && !s));
        assert_true(nth > 1 || status == VQ_ENOMEM);
        free(s);
    }
    viz_canvas_free(c);
}

static void files_are_whole_or_absent(void **state)
{
    (void)state;
    struct viz_canvas *c = heat();
    struct vq_err err;
    assert_int_not_equal(viz_svg_save("nothing/here.svg", c, NULL, 0, &err), VQ_OK);
    assert_non_null(strstr(err.msg, "nothing/here.svg"));
    for (long nth = 1; nth < 12; nth++) {
        char *s;
        size_t size;
        vq_mem_fail_at(nth);
        enum vq_status status = viz_svg_encode(&s, &size, c, NULL, 0, &err);
        vq_mem_fail_at(0);
        assert_true(status == VQ_OK || (status == VQ_ENOMEM && !s));
        assert_true(nth > 1 || status == VQ_ENOMEM);
        free(s);
    }
    viz_canvas_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charts_say_what_they_show),
        cmocka_unit_test(bars_are_shapes),
        cmocka_unit_test(the_same_bytes_each_time),
        cmocka_unit_test(references_have_their_ids),
        cmocka_unit_test(pages_hold_letters_and_pixels_as_they_are),
        cmocka_unit_test(files_are_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
