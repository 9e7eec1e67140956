/* Lines and clouds of points (viz/plot.h): what the two share is fitting both axes to the series.
 */
#include "viz/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/frame.h"

/* Above this many points in all a scatter plot draws pixels instead of discs. */
#define SCATTER_DISCS 20000

/* The spans of the points that can be drawn, and how many there are and are not. */
struct extent {
    double x_lo, x_hi, y_lo, y_hi;
    size_t shown, left_out;
    bool whole_x;
};

static bool drawable(const struct viz_chart *chart, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!chart->log_x || x > 0) && (!chart->log_y || y > 0);
}

/* Takes a point in; the first one replaces the zeros of an empty extent. */
static void widen(struct extent *e, double x, double y)
{
    bool first = e->shown++ == 0;
    e->x_lo = first || x < e->x_lo ? x : e->x_lo;
    e->x_hi = first || x > e->x_hi ? x : e->x_hi;
    e->y_lo = first || y < e->y_lo ? y : e->y_lo;
    e->y_hi = first || y > e->y_hi ? y : e->y_hi;
    e->whole_x &= x == floor(x);
}

static struct extent extent_of(const struct viz_chart *chart, const struct viz_series *s, size_t n)
{
    struct extent e = {.whole_x = true};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < s[i].y.n; j++) {
            double x = viz_vec_at(s[i].x, j), y = viz_vec_at(s[i].y, j);
            if (drawable(chart, x, y))
                widen(&e, x, y);
            else
                e.left_out++;
        }
    return e;
}

static enum vq_status check_lengths(const struct viz_series *s, size_t n, struct vq_err *err)
{
    for (size_t i = 0; i < n; i++) {
        bool given = s[i].x.f32 || s[i].x.f64;
        if (given && s[i].x.n != s[i].y.n)
            return vq_fail(err, VQ_EINVAL, "series %zu: %zu x values for %zu y values", i, s[i].x.n,
                           s[i].y.n);
    }
    return VQ_OK;
}

/* A frame with both axes fitted to the series and a legend in *keys, which the caller frees. */
static enum vq_status open_xy(struct viz_frame *f, struct viz_key **keys, struct extent *e,
                              const struct viz_chart *chart, const struct viz_series *s, size_t n,
                              double x_margin, struct vq_err *err)
{
    *f = (struct viz_frame){.chart = chart};
    *keys = NULL;
    enum vq_status status = check_lengths(s, n, err);
    if (status == VQ_OK)
        status = viz_frame_map(&f->map, chart, err);
    if (status != VQ_OK)
        return status;
    *e = extent_of(chart, s, n);
    /* NaN makes an axis of its own choice. */
    f->x.axis = viz_axis_fit(e->shown ? e->x_lo : NAN, e->x_hi, chart->log_x, x_margin);
    f->y.axis = viz_axis_fit(e->shown ? e->y_lo : NAN, e->y_hi, chart->log_y, 0.05);
    if (chart->y_lo < chart->y_hi && (!chart->log_y || chart->y_lo > 0))
        f->y.axis = viz_axis_fit(chart->y_lo, chart->y_hi, chart->log_y, 0);
    f->x.grid = f->y.grid = true;
    f->x.whole = e->whole_x;
    viz_frame_left_out(f, e->left_out);
    f->empty = e->shown ? NULL : "no data";
    *keys = vq_calloc(n, sizeof(**keys));
    if (!*keys)
        return vq_nomem(err, "legend", n, sizeof(**keys));
    for (size_t i = 0; i < n; i++)
        (*keys)[i] = (struct viz_key){s[i].name, viz_frame_color(f, i, n)};
    f->keys = *keys;
    f->n_keys = n;
    return viz_frame_open(f, err);
}

/* A line as it is drawn: the points met so far on the present column of pixels. */
struct stroke {
    struct viz_canvas *c;
    struct viz_rgb color;
    double width;
    double first[2], last[2]; /* x, y in pixels */
    double lo, hi;            /* y, in pixels */
    double from[2];           /* where the column before ended */
    bool open, joined;        /* is there a column, and one before it */
    size_t run;               /* points since the last break */
};

/* Draws the present column and leaves its last point as the start of the next segment. */
static void end_column(struct stroke *k)
{
    if (!k->open)
        return;
    if (k->joined)
        viz_line(k->c, k->from[0], k->from[1], k->first[0], k->first[1], k->width, k->color);
    if (k->hi > k->lo)
        viz_line(k->c, k->first[0], k->lo, k->last[0], k->hi, k->width, k->color);
    k->from[0] = k->last[0];
    k->from[1] = k->last[1];
    k->joined = true;
    k->open = false;
}

/* Ends the line at a break. A point between two breaks has no segment and becomes a dot: it would
 * be lost otherwise. */
static void end_line(struct stroke *k)
{
    end_column(k);
    if (k->run == 1)
        viz_disc(k->c, k->from[0], k->from[1], k->width * 1.4, k->color, 1);
    k->run = 0;
    k->joined = false;
}

/* Collects points while they stay on one column of pixels, so that a million points cost a few
 * segments for each column. */
static void add_point(struct stroke *k, double x, double y)
{
    if (k->open && floor(x) != floor(k->first[0]))
        end_column(k);
    if (!k->open) {
        k->first[0] = x;
        k->first[1] = k->lo = k->hi = y;
        k->open = true;
    }
    k->last[0] = x;
    k->last[1] = y;
    k->lo = fmin(k->lo, y);
    k->hi = fmax(k->hi, y);
    k->run++;
}

static void draw_line(const struct viz_frame *f, const struct viz_series *s, struct viz_rgb color)
{
    struct stroke k = {.c = f->c, .color = color, .width = 1.6 * f->u};
    for (size_t i = 0; i < s->y.n; i++) {
        double x = viz_vec_at(s->x, i), y = viz_vec_at(s->y, i);
        if (drawable(f->chart, x, y))
            add_point(&k, viz_frame_x(f, x), viz_frame_y(f, y));
        else
            end_line(&k);
    }
    end_line(&k);
}

/* Dots on the points of a line that are known, rings on those that are not. */
static void draw_marks(const struct viz_frame *f, const struct viz_series *s, struct viz_rgb color)
{
    size_t rings = s->rings < s->y.n ? s->y.n - s->rings : 0;
    for (size_t i = 0; s->marks && i < s->y.n; i++) {
        double x = viz_vec_at(s->x, i), y = viz_vec_at(s->y, i);
        if (!drawable(f->chart, x, y))
            continue;
        viz_disc(f->c, viz_frame_x(f, x), viz_frame_y(f, y), 4.2 * f->u, color, 1);
        if (i >= rings)
            viz_disc(f->c, viz_frame_x(f, x), viz_frame_y(f, y), 2.6 * f->u, viz_rgb_hex(0xffffff),
                     1);
    }
}

enum vq_status viz_plot_lines(struct viz_canvas **out, const struct viz_chart *chart,
                              const struct viz_series *s, size_t n, struct vq_err *err)
{
    struct viz_frame f;
    struct viz_key *keys;
    struct extent e;
    *out = NULL;
    bool marks = false;
    for (size_t i = 0; i < n; i++)
        marks |= s[i].marks;
    enum vq_status status = open_xy(&f, &keys, &e, chart, s, n, marks ? 0.02 : 0, err);
    if (status == VQ_OK) {
        for (size_t i = 0; i < n; i++)
            draw_line(&f, &s[i], keys[i].color);
        for (size_t i = 0; i < n; i++)
            draw_marks(&f, &s[i], keys[i].color);
        status = viz_frame_close(&f, VQ_OK, out, err);
    }
    free(keys);
    return status;
}

/* How much of what is below a dot covers, the less the more dots there are. */
static double dot_alpha(size_t total)
{
    return fmax(fmin(0.85, 26 / sqrt((double)total + 1)), 0.15);
}

static void draw_discs(const struct viz_frame *f, const struct viz_series *s, struct viz_rgb color,
                       double alpha)
{
    for (size_t i = 0; i < s->y.n; i++) {
        double x = viz_vec_at(s->x, i), y = viz_vec_at(s->y, i);
        if (drawable(f->chart, x, y))
            viz_disc(f->c, viz_frame_x(f, x), viz_frame_y(f, y), 2.6 * f->u, color, alpha);
    }
}

/* A pixel for each point, all of them together one image over the plot. */
static enum vq_status draw_specks(const struct viz_frame *f, const struct viz_series *s,
                                  struct viz_rgb color, double alpha, struct vq_err *err)
{
    struct viz_rect p = f->plot;
    size_t n = (size_t)p.w * (size_t)p.h;
    uint8_t *rgb = vq_alloc(n, 4), *cover = rgb ? rgb + 3 * n : NULL;
    if (!rgb)
        return vq_nomem(err, "points", n, 4);
    for (size_t i = 0; i < n; i++) {
        memcpy(rgb + 3 * i, (uint8_t[3]){color.r, color.g, color.b}, 3);
        cover[i] = 0;
    }
    for (size_t i = 0; i < s->y.n; i++) {
        double x = viz_vec_at(s->x, i), y = viz_vec_at(s->y, i);
        if (!drawable(f->chart, x, y))
            continue;
        int px = (int)floor(viz_frame_x(f, x)) - p.x, py = (int)floor(viz_frame_y(f, y)) - p.y;
        if (px < 0 || py < 0 || px >= p.w || py >= p.h)
            continue;
        uint8_t *at = &cover[(size_t)py * (size_t)p.w + (size_t)px];
        *at = (uint8_t)(*at + ceil((255 - *at) * alpha));
    }
    viz_image(f->c, p, rgb, cover, p.w, p.h);
    free(rgb);
    return VQ_OK;
}

static enum vq_status draw_dots(const struct viz_frame *f, const struct viz_series *s,
                                struct viz_rgb color, size_t total, struct vq_err *err)
{
    double alpha = dot_alpha(total);
    if (total > SCATTER_DISCS)
        return draw_specks(f, s, color, fmin(2 * alpha, 1), err);
    draw_discs(f, s, color, alpha);
    return VQ_OK;
}

enum vq_status viz_plot_scatter(struct viz_canvas **out, const struct viz_chart *chart,
                                const struct viz_series *s, size_t n, struct vq_err *err)
{
    struct viz_frame f;
    struct viz_key *keys;
    struct extent e;
    *out = NULL;
    enum vq_status status = open_xy(&f, &keys, &e, chart, s, n, 0.04, err);
    if (status == VQ_OK) {
        for (size_t i = 0; status == VQ_OK && i < n; i++)
            status = draw_dots(&f, &s[i], keys[i].color, e.shown, err);
        status = viz_frame_close(&f, status, out, err);
    }
    free(keys);
    return status;
}

/* ---- bubbles ---- */

struct bubble {
    double size;
    size_t series, at;
};

static int larger(const void *a, const void *b)
{
    const struct bubble *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* All dots of all series, largest first; *n of them, the caller's to free. */
static enum vq_status sort_bubbles(struct bubble **out, size_t *n, const struct viz_series *s,
                                   const struct viz_vec *size, size_t n_series, struct vq_err *err)
{
    size_t all = 0;
    *n = 0;
    for (size_t i = 0; i < n_series; i++) {
        if (size[i].n != s[i].y.n)
            return vq_fail(err, VQ_EINVAL, "series %zu: %zu sizes for %zu y values", i, size[i].n,
                           s[i].y.n);
        all += s[i].y.n;
    }
    *out = vq_alloc(all, sizeof(**out));
    if (!*out)
        return vq_nomem(err, "bubbles", all, sizeof(**out));
    for (size_t i = 0; i < n_series; i++)
        for (size_t j = 0; j < s[i].y.n; j++) {
            double v = viz_vec_at(size[i], j);
            (*out)[(*n)++] = (struct bubble){v > 0 && isfinite(v) ? v : 0, i, j};
        }
    qsort(*out, *n, sizeof(**out), larger);
    return VQ_OK;
}

static void draw_bubble(const struct viz_frame *f, const struct viz_series *s,
                        const struct bubble *b, double largest, struct viz_rgb color)
{
    double x = viz_vec_at(s->x, b->at), y = viz_vec_at(s->y, b->at);
    double radius = (1.6 + (largest > 0 ? 12 * sqrt(b->size / largest) : 0)) * f->u;
    if (drawable(f->chart, x, y))
        viz_disc(f->c, viz_frame_x(f, x), viz_frame_y(f, y), radius, color, 0.55);
}

enum vq_status viz_plot_bubbles(struct viz_canvas **out, const struct viz_chart *chart,
                                const struct viz_series *s, const struct viz_vec *size, size_t n,
                                struct vq_err *err)
{
    struct viz_frame f;
    struct viz_key *keys = NULL;
    struct bubble *b = NULL;
    struct extent e;
    size_t dots;
    *out = NULL;
    enum vq_status status = sort_bubbles(&b, &dots, s, size, n, err);
    if (status == VQ_OK)
        status = open_xy(&f, &keys, &e, chart, s, n, 0.06, err);
    if (status == VQ_OK) {
        for (size_t i = 0; i < dots; i++)
            draw_bubble(&f, &s[b[i].series], &b[i], b[0].size, keys[b[i].series].color);
        status = viz_frame_close(&f, VQ_OK, out, err);
    }
    free(keys);
    free(b);
    return status;
}
