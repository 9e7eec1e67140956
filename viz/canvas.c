#include "viz/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Both terms are at least 0 and the sum at most 255.5: the cast cannot wrap. */
static uint8_t mix_byte(uint8_t a, uint8_t b, double t)
{
    return (uint8_t)(a + (b - a) * t + 0.5);
}

struct viz_rgb viz_rgb_mix(struct viz_rgb a, struct viz_rgb b, double t)
{
    t = t > 0 ? t < 1 ? t : 1 : 0;
    return (struct viz_rgb){mix_byte(a.r, b.r, t), mix_byte(a.g, b.g, t), mix_byte(a.b, b.b, t)};
}

/* The sRGB transfer function, inverted (IEC 61966-2-1). */
static double linear_light(uint8_t v)
{
    double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

double viz_rgb_lightness(struct viz_rgb c)
{
    double y = 0.2126 * linear_light(c.r) + 0.7152 * linear_light(c.g) + 0.0722 * linear_light(c.b);
    return y > 216.0 / 24389.0 ? 116.0 * cbrt(y) - 16.0 : y * 24389.0 / 27.0;
}

enum vq_status viz_canvas_new(struct viz_canvas **out, size_t w, size_t h, struct viz_rgb bg,
                              struct vq_err *err)
{
    *out = NULL;
    if (w < 1 || h < 1 || w > VIZ_CANVAS_MAX || h > VIZ_CANVAS_MAX)
        return vq_fail(err, VQ_EINVAL, "picture of %zu x %zu pixels: each side must be 1 to %d", w,
                       h, VIZ_CANVAS_MAX);
    struct viz_canvas *c = vq_calloc(1, sizeof(*c));
    if (c)
        c->px = vq_alloc(w * 3, h);
    if (!c || !c->px) {
        free(c);
        return vq_nomem(err, "picture", w * 3, h);
    }
    c->w = (int)w;
    c->h = (int)h;
    viz_canvas_unclip(c);
    viz_fill_rect(c, c->clip, bg);
    *out = c;
    return VQ_OK;
}

void viz_canvas_free(struct viz_canvas *c)
{
    if (!c)
        return;
    free(c->px);
    free(c);
}

static int clamp_int(int64_t v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : (int)v;
}

/* What r and `within` share; 64-bit sums, since r may be any rectangle. */
static struct viz_rect intersect(struct viz_rect r, struct viz_rect within)
{
    int right = within.x + within.w, bottom = within.y + within.h;
    int x0 = clamp_int(r.x, within.x, right);
    int y0 = clamp_int(r.y, within.y, bottom);
    int x1 = clamp_int((int64_t)r.x + r.w, x0, right);
    int y1 = clamp_int((int64_t)r.y + r.h, y0, bottom);
    return (struct viz_rect){x0, y0, x1 - x0, y1 - y0};
}

void viz_canvas_clip(struct viz_canvas *c, struct viz_rect r)
{
    c->clip = intersect(r, (struct viz_rect){0, 0, c->w, c->h});
}

void viz_canvas_unclip(struct viz_canvas *c)
{
    c->clip = (struct viz_rect){0, 0, c->w, c->h};
}

static uint8_t *at(const struct viz_canvas *c, int x, int y)
{
    return c->px + 3 * ((size_t)y * (size_t)c->w + (size_t)x);
}

static bool inside(struct viz_rect r, int x, int y)
{
    return x >= r.x && y >= r.y && x < r.x + r.w && y < r.y + r.h;
}

struct viz_rgb viz_pixel(const struct viz_canvas *c, int x, int y)
{
    if (!inside((struct viz_rect){0, 0, c->w, c->h}, x, y))
        return (struct viz_rgb){0, 0, 0};
    const uint8_t *p = at(c, x, y);
    return (struct viz_rgb){p[0], p[1], p[2]};
}

void viz_blend(struct viz_canvas *c, int x, int y, struct viz_rgb color, double alpha)
{
    if (!(alpha > 0) || !inside(c->clip, x, y))
        return;
    uint8_t *p = at(c, x, y);
    struct viz_rgb v = viz_rgb_mix((struct viz_rgb){p[0], p[1], p[2]}, color, alpha);
    p[0] = v.r;
    p[1] = v.g;
    p[2] = v.b;
}

void viz_fill_rect(struct viz_canvas *c, struct viz_rect r, struct viz_rgb color)
{
    r = intersect(r, c->clip);
    if (r.w == 0 || r.h == 0)
        return;
    /* One row is written pixel by pixel, the others are copies of it. */
    uint8_t *first = at(c, r.x, r.y);
    for (int x = 0; x < r.w; x++) {
        first[3 * x] = color.r;
        first[3 * x + 1] = color.g;
        first[3 * x + 2] = color.b;
    }
    for (int y = 1; y < r.h; y++)
        memcpy(at(c, r.x, r.y + y), first, 3 * (size_t)r.w);
}

void viz_hline(struct viz_canvas *c, int x, int y, int len, struct viz_rgb color)
{
    viz_fill_rect(c, (struct viz_rect){x, y, len, 1}, color);
}

void viz_vline(struct viz_canvas *c, int x, int y, int len, struct viz_rgb color)
{
    viz_fill_rect(c, (struct viz_rect){x, y, 1, len}, color);
}

void viz_outline(struct viz_canvas *c, struct viz_rect r, struct viz_rgb color)
{
    if (r.w <= 0 || r.h <= 0)
        return;
    viz_hline(c, r.x, r.y, r.w, color);
    viz_hline(c, r.x, r.y + r.h - 1, r.w, color);
    viz_vline(c, r.x, r.y, r.h, color);
    viz_vline(c, r.x + r.w - 1, r.y, r.h, color);
}

/* Moves the end (x, y)[e] of a segment onto the line axis = bound, for the end that lies beyond it
 * (below it if `low`). False if both do, or if the segment is not there at all. The coordinate that
 * is cut becomes the bound exactly, however far out the end was. */
static bool clip_edge(double s[4], int axis, double bound, bool low)
{
    bool out0 = low ? s[axis] < bound : s[axis] > bound;
    bool out1 = low ? s[2 + axis] < bound : s[2 + axis] > bound;
    if (out0 && out1)
        return false;
    if (!out0 && !out1)
        return true;
    int end = out0 ? 0 : 2, other = 1 - axis;
    double t = (bound - s[axis]) / (s[2 + axis] - s[axis]);
    s[end + other] = s[other] + t * (s[2 + other] - s[other]);
    s[end + axis] = bound;
    return true;
}

/* Cuts the segment s = {x0, y0, x1, y1} to the clip rectangle grown by `margin`, which bounds the
 * work of drawing it whatever its length. */
static bool clip_segment(const struct viz_canvas *c, double margin, double s[4])
{
    return clip_edge(s, 0, c->clip.x - margin, true) &&
           clip_edge(s, 0, c->clip.x + c->clip.w + margin, false) &&
           clip_edge(s, 1, c->clip.y - margin, true) &&
           clip_edge(s, 1, c->clip.y + c->clip.h + margin, false);
}

static double distance_to_segment(const double s[4], double x, double y)
{
    double dx = s[2] - s[0], dy = s[3] - s[1], len2 = dx * dx + dy * dy;
    double t = len2 > 0 ? ((x - s[0]) * dx + (y - s[1]) * dy) / len2 : 0;
    t = fmin(fmax(t, 0), 1);
    return hypot(x - s[0] - t * dx, y - s[1] - t * dy);
}

void viz_line(struct viz_canvas *c, double x0, double y0, double x1, double y1, double width,
              struct viz_rgb color)
{
    double s[4] = {x0, y0, x1, y1}, reach = width / 2 + 1;
    if (!isfinite(x1 - x0) || !isfinite(y1 - y0) || !(width > 0) || !clip_segment(c, reach, s))
        return;
    /* Walk the longer direction pixel by pixel and test only the pixels near the line across it:
     * `a` indexes the coordinate walked along, `b` the other. */
    int a = fabs(s[2] - s[0]) >= fabs(s[3] - s[1]) ? 0 : 1, b = 1 - a;
    double len = s[2 + a] - s[a], slope = len != 0 ? (s[2 + b] - s[b]) / len : 0;
    double across = reach * hypot(1, slope);
    int from = (int)floor(fmin(s[a], s[2 + a]) - reach);
    int to = (int)ceil(fmax(s[a], s[2 + a]) + reach);
    for (int i = from; i <= to; i++) {
        double mid = s[b] + (i + 0.5 - s[a]) * slope;
        int last = (int)ceil(mid + across);
        for (int j = (int)floor(mid - across); j <= last; j++) {
            int x = a == 0 ? i : j, y = a == 0 ? j : i;
            double d = distance_to_segment(s, x + 0.5, y + 0.5);
            viz_blend(c, x, y, color, width / 2 + 0.5 - d);
        }
    }
}

void viz_polyline(struct viz_canvas *c, const double *x, const double *y, size_t n, double width,
                  struct viz_rgb color)
{
    for (size_t i = 1; i < n; i++)
        if (isfinite(x[i - 1]) && isfinite(y[i - 1]))
            viz_line(c, x[i - 1], y[i - 1], x[i], y[i], width, color);
}

void viz_disc(struct viz_canvas *c, double x, double y, double radius, struct viz_rgb color,
              double alpha)
{
    double reach = radius + 1;
    if (!(radius > 0) || !(x > c->clip.x - reach) || !(x < c->clip.x + c->clip.w + reach) ||
        !(y > c->clip.y - reach) || !(y < c->clip.y + c->clip.h + reach))
        return;
    struct viz_rect box = {(int)floor(x - reach), (int)floor(y - reach), (int)ceil(2 * reach) + 1,
                           (int)ceil(2 * reach) + 1};
    box = intersect(box, c->clip);
    for (int j = box.y; j < box.y + box.h; j++)
        for (int i = box.x; i < box.x + box.w; i++) {
            /* 1 inside, 0 outside, and a ramp one pixel wide across the edge. */
            double cover = radius + 0.5 - hypot(i + 0.5 - x, j + 0.5 - y);
            viz_blend(c, i, j, color, alpha * fmin(cover, 1));
        }
}

void viz_blit(struct viz_canvas *c, int x, int y, const uint8_t *rgb, int w, int h, int zoom)
{
    if (zoom < 1)
        zoom = 1;
    for (int row = 0; row < h; row++)
        for (int col = 0; col < w; col++) {
            const uint8_t *p = rgb + 3 * ((size_t)row * (size_t)w + (size_t)col);
            int64_t left = x + (int64_t)col * zoom, top = y + (int64_t)row * zoom;
            /* Tested in 64 bits: col * zoom need not be an int. */
            if (left >= c->w || top >= c->h || left + zoom <= 0 || top + zoom <= 0)
                continue;
            viz_fill_rect(c, (struct viz_rect){(int)left, (int)top, zoom, zoom},
                          (struct viz_rgb){p[0], p[1], p[2]});
        }
}
