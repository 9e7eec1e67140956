/*
 * Bars and histograms (viz/plot.h): a histogram is a row of bars whose heights we count ourselves.
 * Bars are filled between whole pixels, never anti-aliased: a soft edge would read as a value.
 */
#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "viz/frame.h"
#include "viz/plot.h"

/* Bars with names get their value written above them up to this many. */
#define VALUES_MAX 24

/* The y axis of bars over [lo, hi]: it includes zero, with air only where bars end; on a log axis
 * it starts at the power of ten below the smallest bar, so that this bar is seen too. */
static struct viz_axis bar_axis(const struct viz_chart *chart, double lo, double hi, size_t shown)
{
    if (shown == 0)
        return viz_axis_fit(NAN, 0, chart->log_y, 0);
    if (chart->log_y) {
        double foot = pow(10, floor(log10(lo * 0.7)));
        return viz_axis_fit(foot > 0 ? foot : lo, hi * 1.2, true, 0);
    }
    /* Halved before subtracting: the span of two finite numbers may not be finite. */
    double air = 0.08 * (fmax(hi, 0) / 2 - fmin(lo, 0) / 2) * 2;
    if (!(air > 0))
        return viz_axis_fit(0, 1, false, 0);
    return viz_axis_fit(lo < 0 ? lo - air : 0, hi > 0 ? hi + air : 0, false, 0);
}

static struct viz_axis y_axis(const struct viz_chart *chart, double lo, double hi, size_t shown)
{
    if (chart->y_lo < chart->y_hi && (!chart->log_y || chart->y_lo > 0))
        return viz_axis_fit(chart->y_lo, chart->y_hi, chart->log_y, 0);
    return bar_axis(chart, lo, hi, shown);
}

/* A bar of value v over the pixels [x0, x1). */
static void draw_bar(const struct viz_frame *f, int x0, int x1, double v)
{
    double foot = f->y.axis.log ? f->plot.y + f->plot.h : viz_frame_y(f, 0);
    double end = viz_frame_y(f, v);
    if (isnan(end))
        return;
    int a = (int)round(fmin(foot, end)), b = (int)round(fmax(foot, end));
    if (b == a) { /* a bar too small for a pixel gets one: it is not nothing */
        a -= v > 0 ? 1 : 0;
        b += v < 0 ? 1 : 0;
    }
    viz_fill_rect(f->c, (struct viz_rect){x0, a, x1 - x0, b - a}, viz_rgb_hex(VIZ_DATA));
}

static bool drawable(const struct viz_frame *f, double v)
{
    return isfinite(v) && (!f->y.axis.log || v > 0);
}

/* More bars than pixels: each column shows the value furthest from zero. */
static void draw_columns(const struct viz_frame *f, struct viz_vec v)
{
    size_t w = (size_t)f->plot.w;
    for (size_t px = 0; px < w; px++) {
        /* v.n * px / w without the product, which could overflow. */
        size_t from = v.n / w * px + v.n % w * px / w;
        size_t to = v.n / w * (px + 1) + v.n % w * (px + 1) / w;
        double most = NAN;
        for (size_t i = from; i < to; i++) {
            double x = viz_vec_at(v, i);
            if (drawable(f, x) && !(fabs(x) <= fabs(most)))
                most = x;
        }
        if (!isnan(most))
            draw_bar(f, f->plot.x + (int)px, f->plot.x + (int)px + 1, most);
    }
}

/* The number above (or below) the bar of value v centred on x, if `slot` pixels hold it. */
static void draw_value(const struct viz_frame *f, double x, double v, double slot)
{
    char buf[VIZ_NUMBER_LEN];
    int w = viz_text_width(f->font, viz_number(buf, v, 3));
    int gap = 3 * f->u, h = viz_font_ascent(f->font);
    int end = (int)round(viz_frame_y(f, v));
    int y = v < 0 ? end + gap : end - gap - h;
    if (w + 4 * f->u <= slot && f->stage < VIZ_STAGE_NO_TITLE)
        viz_text(f->c, f->font, (int)round(x - w / 2.0), y, buf, viz_rgb_hex(VIZ_MUTED));
}

static void draw_bars(const struct viz_frame *f, struct viz_vec v, bool values)
{
    double slot = (double)f->plot.w / (double)v.n;
    double gap = slot >= 3 ? fmin(slot * 0.22, 16 * f->u) : 0;
    for (size_t i = 0; i < v.n; i++) {
        double x = viz_vec_at(v, i), left = f->plot.x + slot * (double)i;
        if (!drawable(f, x))
            continue;
        int x0 = (int)round(left + gap / 2), x1 = (int)round(left + slot - gap / 2);
        draw_bar(f, x0, x1 > x0 ? x1 : x0 + 1, x);
        if (values)
            draw_value(f, left + slot / 2, x, slot);
    }
}

enum vq_status viz_plot_bars(struct viz_canvas **out, const struct viz_chart *chart,
                             struct viz_vec v, const char *const *labels, struct vq_err *err)
{
    double lo, hi;
    size_t shown = viz_vec_range(v, chart->log_y, &lo, &hi);
    struct viz_frame f = {.chart = chart};
    *out = NULL;
    viz_frame_left_out(&f, v.n - shown);
    f.x.axis = viz_axis_fit(-0.5, v.n > 0 ? (double)v.n - 0.5 : 0.5, false, 0);
    f.x.whole = true;
    f.x.names = v.n > 0 ? labels : NULL;
    f.x.n_names = v.n;
    f.y.axis = y_axis(chart, lo, hi, shown);
    f.y.grid = true;
    f.empty = shown ? NULL : "no data";
    enum vq_status status = viz_frame_map(&f.map, chart, err);
    if (status == VQ_OK)
        status = viz_frame_open(&f, err);
    if (status != VQ_OK)
        return status;
    if (v.n > (size_t)f.plot.w)
        draw_columns(&f, v);
    else
        draw_bars(&f, v, labels && v.n <= VALUES_MAX);
    if (f.y.axis.lo < 0 && f.y.axis.hi > 0)
        viz_fill_rect(f.c,
                      (struct viz_rect){f.plot.x, (int)round(viz_frame_y(&f, 0)), f.plot.w, f.u},
                      viz_rgb_hex(VIZ_AXIS));
    return viz_frame_close(&f, VQ_OK, out, err);
}

/* The bins of a histogram: n equal steps over [lo, hi], of the logarithm if `log`. */
struct bins {
    double lo, hi;
    bool log, whole; /* whole: one bin for each whole number, centred on it */
    size_t n;
};

/* Whether the finite values are whole numbers, as counts and ids are. */
static bool all_whole(struct viz_vec v)
{
    for (size_t i = 0; i < v.n; i++) {
        double x = viz_vec_at(v, i);
        if (isfinite(x) && x != floor(x))
            return false;
    }
    return true;
}

static struct bins choose_bins(const struct viz_chart *chart, struct viz_vec v, size_t wanted,
                               size_t *shown)
{
    struct bins b = {.log = chart->log_x, .n = wanted};
    *shown = viz_vec_range(v, b.log, &b.lo, &b.hi);
    if (wanted == 0 && !b.log && *shown > 0 && b.hi - b.lo < 80 && all_whole(v)) {
        b.n = (size_t)(b.hi - b.lo) + 1;
        b.lo -= 0.5;
        b.hi += 0.5;
        b.whole = true;
        return b;
    }
    if (wanted == 0)
        b.n = (size_t)fmin(fmax(ceil(2 * cbrt((double)*shown)), 8), 80);
    struct viz_axis a = viz_axis_fit(*shown ? b.lo : NAN, b.hi, b.log, 0);
    b.lo = a.lo;
    b.hi = a.hi;
    return b;
}

static void count_bins(const struct bins *b, struct viz_vec v, double *count)
{
    struct viz_axis a = {b->lo, b->hi, b->log};
    for (size_t i = 0; i < v.n; i++) {
        double x = viz_vec_at(v, i);
        if (!isfinite(x) || (b->log && x <= 0))
            continue;
        double at = floor(viz_axis_at(a, x) * (double)b->n);
        at = fmin(fmax(at, 0), (double)b->n - 1); /* the largest value belongs to the last bin */
        count[(size_t)at] += 1;
    }
}

static void draw_hist(const struct viz_frame *f, const struct bins *b, const double *count)
{
    double w = (double)f->plot.w / (double)b->n;
    int gap = w >= 4 ? f->u : 0;
    for (size_t i = 0; i < b->n; i++) {
        int x0 = f->plot.x + (int)round(w * (double)i);
        int x1 = f->plot.x + (int)round(w * (double)(i + 1)) - gap;
        if (count[i] > 0)
            draw_bar(f, x0, x1 > x0 ? x1 : x0 + 1, count[i]);
    }
}

enum vq_status viz_plot_hist(struct viz_canvas **out, const struct viz_chart *chart,
                             struct viz_vec v, size_t bins, struct vq_err *err)
{
    double lo, hi;
    size_t shown;
    *out = NULL;
    if (bins > VIZ_CANVAS_MAX)
        return vq_fail(err, VQ_EINVAL, "%zu bins: expected 1 to %d", bins, VIZ_CANVAS_MAX);
    struct bins b = choose_bins(chart, v, bins, &shown);
    struct viz_frame f = {.chart = chart};
    double *count = vq_calloc(b.n, sizeof(*count));
    if (!count)
        return vq_nomem(err, "histogram", b.n, sizeof(*count));
    count_bins(&b, v, count);
    viz_frame_left_out(&f, v.n - shown);
    struct viz_vec heights = viz_f64(count, b.n);
    size_t filled = viz_vec_range(heights, chart->log_y, &lo, &hi);
    f.x.axis = (struct viz_axis){b.lo, b.hi, b.log};
    f.x.whole = b.whole;
    f.y.axis = y_axis(chart, lo, hi, shown ? filled : 0);
    f.y.grid = true;
    f.y.whole = true;
    f.empty = shown ? NULL : "no data";
    enum vq_status status = viz_frame_map(&f.map, chart, err);
    if (status == VQ_OK)
        status = viz_frame_open(&f, err);
    if (status == VQ_OK) {
        draw_hist(&f, &b, count);
        status = viz_frame_close(&f, VQ_OK, out, err);
    }
    free(count);
    return status;
}
