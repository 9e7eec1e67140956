#include "viz/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/ops.h"
#include "viz/paint.h"

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

struct viz_op *viz_canvas_add(struct viz_canvas *c, enum viz_op_kind kind, struct viz_rgb color)
{
    if (c->n_ops == c->room) {
        size_t room = c->room ? 2 * c->room : 16;
        struct viz_op *ops = vq_realloc(c->ops, room, sizeof(*ops));
        if (!ops) {
            c->failed = true;
            return NULL;
        }
        c->ops = ops;
        c->room = room;
    }
    free(c->px);
    c->px = NULL;
    struct viz_op *op = &c->ops[c->n_ops++];
    *op = (struct viz_op){.kind = kind, .color = color, .alpha = 1, .clip = c->clip};
    return op;
}

enum vq_status viz_canvas_new(struct viz_canvas **out, size_t w, size_t h, struct viz_rgb bg,
                              struct vq_err *err)
{
    *out = NULL;
    if (w < 1 || h < 1 || w > VIZ_CANVAS_MAX || h > VIZ_CANVAS_MAX)
        return vq_fail(err, VQ_EINVAL, "picture of %zu x %zu pixels: each side must be 1 to %d", w,
                       h, VIZ_CANVAS_MAX);
    struct viz_canvas *c = vq_calloc(1, sizeof(*c));
    if (!c)
        return vq_nomem(err, "picture", 1, sizeof(*c));
    c->w = (int)w;
    c->h = (int)h;
    viz_canvas_unclip(c);
    viz_fill_rect(c, c->clip, bg);
    enum vq_status status = viz_canvas_check(c, err);
    if (status == VQ_OK)
        *out = c;
    else
        viz_canvas_free(c);
    return status;
}

void viz_canvas_free(struct viz_canvas *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_ops; i++)
        free(c->ops[i].data);
    free(c->ops);
    free(c->px);
    free(c);
}

enum vq_status viz_canvas_check(const struct viz_canvas *c, struct vq_err *err)
{
    return c->failed ? vq_nomem(err, "picture", c->n_ops + 1, sizeof(*c->ops)) : VQ_OK;
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

const uint8_t *viz_canvas_rgb(struct viz_canvas *c, struct vq_err *err)
{
    if (!c->px && viz_canvas_check(c, err) == VQ_OK)
        viz_paint_rgb(&c->px, c, err);
    return c->px;
}

struct viz_rgb viz_pixel(struct viz_canvas *c, int x, int y)
{
    const uint8_t *px = viz_canvas_rgb(c, NULL);
    if (!px || x < 0 || y < 0 || x >= c->w || y >= c->h)
        return (struct viz_rgb){0, 0, 0};
    px += 3 * ((size_t)y * (size_t)c->w + (size_t)x);
    return (struct viz_rgb){px[0], px[1], px[2]};
}

void viz_fill_rect(struct viz_canvas *c, struct viz_rect r, struct viz_rgb color)
{
    r = intersect(r, c->clip);
    if (r.w == 0 || r.h == 0)
        return;
    struct viz_op *op = viz_canvas_add(c, VIZ_OP_RECT, color);
    if (op)
        op->box = r;
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

void viz_line(struct viz_canvas *c, double x0, double y0, double x1, double y1, double width,
              struct viz_rgb color)
{
    double s[4] = {x0, y0, x1, y1};
    if (!isfinite(x1 - x0) || !isfinite(y1 - y0) || !(width > 0) ||
        !clip_segment(c, width / 2 + 1, s))
        return;
    struct viz_op *op = viz_canvas_add(c, VIZ_OP_LINE, color);
    if (!op)
        return;
    memcpy(op->at, s, sizeof(s));
    op->width = width;
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
    struct viz_op *op = alpha > 0 ? viz_canvas_add(c, VIZ_OP_DISC, color) : NULL;
    if (!op)
        return;
    op->at[0] = x;
    op->at[1] = y;
    op->width = radius;
    op->alpha = fmin(alpha, 1);
}

void viz_image(struct viz_canvas *c, struct viz_rect r, const uint8_t *rgb, const uint8_t *alpha,
               int w, int h)
{
    const int most = VIZ_CANVAS_MAX;
    if (w < 1 || h < 1 || r.w < 1 || r.h < 1 || w > most || h > most || r.w > most || r.h > most)
        return;
    struct viz_rect seen = intersect(r, c->clip);
    if (seen.w == 0 || seen.h == 0)
        return;
    size_t n = (size_t)w * (size_t)h;
    uint32_t *argb = vq_alloc(n, sizeof(*argb));
    struct viz_op *op = argb ? viz_canvas_add(c, VIZ_OP_IMAGE, (struct viz_rgb){0, 0, 0}) : NULL;
    if (!op) {
        c->failed = true;
        free(argb);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t a = alpha ? alpha[i] : 255, v = a;
        /* Colours are kept multiplied by their alpha. */
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (rgb[3 * i + k] * a + 127) / 255;
        argb[i] = v;
    }
    op->box = r;
    op->data = argb;
    op->w = w;
    op->h = h;
    op->opaque = !alpha;
}

/* A copy of op's data of its own; false if memory is out. */
static bool copy_data(struct viz_op *op)
{
    if (!op->data)
        return true;
    size_t n = op->kind == VIZ_OP_TEXT ? strlen(op->data) + 1
                                       : (size_t)op->w * (size_t)op->h * sizeof(uint32_t);
    void *copy = vq_alloc(n, 1);
    if (copy)
        memcpy(copy, op->data, n);
    op->data = copy;
    return copy != NULL;
}

void viz_canvas_put(struct viz_canvas *c, int x, int y, const struct viz_canvas *from)
{
    c->failed |= from->failed;
    for (size_t i = 0; i < from->n_ops; i++) {
        struct viz_op *op = viz_canvas_add(c, from->ops[i].kind, from->ops[i].color);
        if (!op)
            return;
        struct viz_rect clip = from->ops[i].clip;
        *op = from->ops[i];
        c->failed |= !copy_data(op);
        op->clip = intersect((struct viz_rect){clip.x + x, clip.y + y, clip.w, clip.h}, c->clip);
        op->box.x += x;
        op->box.y += y;
        op->at[0] += x;
        op->at[1] += y;
        op->at[2] += x;
        op->at[3] += y;
    }
}
