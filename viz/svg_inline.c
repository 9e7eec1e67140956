/*
 * Canvases as SVG for an HTML page, written shape by shape: small, since letters stay letters and
 * images keep the pixels that they have. One <g> holds all that comes one after the other in one
 * colour, font and clip.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/mem.h"
#include "viz/ops.h"
#include "viz/png.h"
#include "viz/svg.h"

/* DejaVu Sans is what widths were measured in; its kin come close, and each text is fitted to its
 * width in any case. */
#define FAMILY "'DejaVu Sans','Bitstream Vera Sans',Verdana,sans-serif"

struct inlining {
    struct vq_text *to;
    const char *prefix;
    size_t clips;               /* written so far */
    const struct viz_op *group; /* the first shape of the open <g>, or NULL */
    struct viz_rect clip;       /* in force */
};

/* Tenths, which no screen shows, and whatever the locale. */
static void put_number(struct vq_text *to, double x)
{
    long long v = llround(fmin(fmax(x, -1e9), 1e9) * 10), rest = llabs(v) % 10;
    vq_text_printf(to, "%s%lld", v < 0 ? "-" : "", llabs(v) / 10);
    if (rest)
        vq_text_printf(to, ".%lld", rest);
}

static void put_value(struct vq_text *to, const char *name, double x)
{
    vq_text_printf(to, " %s=\"", name);
    put_number(to, x);
    vq_text_puts(to, "\"");
}

static void put_box(struct vq_text *to, struct viz_rect r)
{
    put_value(to, "x", r.x);
    put_value(to, "y", r.y);
    put_value(to, "width", r.w);
    put_value(to, "height", r.h);
}

static bool same_look(const struct viz_op *a, const struct viz_op *b)
{
    bool line = a->kind == VIZ_OP_LINE, text = a->kind == VIZ_OP_TEXT;
    return line == (b->kind == VIZ_OP_LINE) && text == (b->kind == VIZ_OP_TEXT) &&
           memcmp(&a->color, &b->color, sizeof(a->color)) == 0 && a->alpha == b->alpha &&
           (!line || a->width == b->width) &&
           (!text || (a->font.size == b->font.size && a->font.bold == b->font.bold));
}

static void end_group(struct inlining *s)
{
    if (s->group)
        vq_text_puts(s->to, "</g>\n");
    s->group = NULL;
}

/* What an op's look is, in the attributes of a <g>. */
static void begin_group(struct inlining *s, const struct viz_op *op)
{
    bool line = op->kind == VIZ_OP_LINE;
    struct viz_rgb v = op->color;
    vq_text_printf(s->to, "<g %s=\"#%02x%02x%02x\"", line ? "fill=\"none\" stroke" : "fill", v.r,
                   v.g, v.b);
    if (op->alpha < 1)
        vq_text_printf(s->to, " fill-opacity=\"%d%%\"", (int)lround(100 * op->alpha));
    if (line)
        put_value(s->to, "stroke-width", op->width);
    if (op->kind == VIZ_OP_TEXT)
        vq_text_printf(s->to, " font-size=\"%d\"%s", op->font.size,
                       op->font.bold ? " font-weight=\"bold\"" : "");
    vq_text_puts(s->to, ">");
    s->group = op;
}

static void put_clip(struct inlining *s, const struct viz_canvas *c, struct viz_rect clip)
{
    if (viz_same_rect(s->clip, clip))
        return;
    end_group(s);
    if (!viz_same_rect(s->clip, (struct viz_rect){0, 0, c->w, c->h}))
        vq_text_puts(s->to, "</g>\n");
    s->clip = clip;
    if (viz_same_rect(clip, (struct viz_rect){0, 0, c->w, c->h}))
        return;
    s->clips++;
    vq_text_printf(s->to, "<clipPath id=\"%s%zu\"><rect", s->prefix, s->clips);
    put_box(s->to, clip);
    vq_text_printf(s->to, "/></clipPath><g clip-path=\"url(#%s%zu)\">", s->prefix, s->clips);
}

/* Lines from op on that look alike, as one path; returns the last of them. */
static const struct viz_op *put_lines(struct vq_text *to, const struct viz_op *op,
                                      const struct viz_op *end)
{
    const double *pen = NULL;
    vq_text_puts(to, "<path d=\"");
    for (;; op++) {
        bool goes_on = pen && pen[0] == op->at[0] && pen[1] == op->at[1];
        for (int i = goes_on ? 2 : 0; i < 4; i += 2) {
            vq_text_puts(to, i ? "L" : "M");
            put_number(to, op->at[i]);
            vq_text_puts(to, " ");
            put_number(to, op->at[i + 1]);
        }
        pen = op->at + 2;
        if (op + 1 == end || op[1].kind != VIZ_OP_LINE || !same_look(op, op + 1) ||
            !viz_same_rect(op->clip, op[1].clip))
            break;
    }
    vq_text_puts(to, "\"/>");
    return op;
}

/* Rectangles from op on that look alike, as one path; returns the last of them. */
static const struct viz_op *put_rects(struct vq_text *to, const struct viz_op *op,
                                      const struct viz_op *end)
{
    vq_text_puts(to, "<path d=\"");
    for (;; op++) {
        struct viz_rect r = op->box;
        vq_text_printf(to, "M%d %dh%dv%dh%dz", r.x, r.y, r.w, r.h, -r.w);
        if (op + 1 == end || op[1].kind != VIZ_OP_RECT || !same_look(op, op + 1))
            break;
    }
    vq_text_puts(to, "\"/>");
    return op;
}

static void put_text(struct vq_text *to, const struct viz_op *op)
{
    vq_text_puts(to, "<text");
    put_value(to, "x", op->at[0]);
    put_value(to, "y", op->at[1]);
    if (op->up) {
        vq_text_puts(to, " transform=\"rotate(-90 ");
        put_number(to, op->at[0]);
        vq_text_puts(to, " ");
        put_number(to, op->at[1]);
        vq_text_puts(to, ")\"");
    }
    if (op->width > 0)
        put_value(to, "textLength", op->width);
    vq_text_puts(to, " lengthAdjust=\"spacingAndGlyphs\">");
    viz_svg_escape(to, op->data);
    vq_text_puts(to, "</text>");
}

static enum vq_status put_image(struct vq_text *to, const struct viz_op *op, struct vq_err *err)
{
    uint8_t *png;
    size_t size;
    enum vq_status status =
        viz_png_encode_argb(&png, &size, op->data, (size_t)op->w, (size_t)op->h, op->opaque, err);
    if (status != VQ_OK)
        return status;
    vq_text_puts(to, "<image");
    put_box(to, op->box);
    vq_text_puts(to, " preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
                     "href=\"data:image/png;base64,");
    vq_text_base64(to, png, size);
    vq_text_puts(to, "\"/>\n");
    free(png);
    return VQ_OK;
}

static void put_disc(struct vq_text *to, const struct viz_op *op)
{
    vq_text_puts(to, "<circle");
    put_value(to, "cx", op->at[0]);
    put_value(to, "cy", op->at[1]);
    put_value(to, "r", op->width);
    vq_text_puts(to, "/>");
}

/* Writes op, and with it lines or rectangles after it that look alike; returns the last written. */
static const struct viz_op *put_shape(struct inlining *s, const struct viz_op *op,
                                      const struct viz_op *end)
{
    if (s->group && !same_look(s->group, op))
        end_group(s);
    if (!s->group)
        begin_group(s, op);
    if (op->kind == VIZ_OP_LINE)
        return put_lines(s->to, op, end);
    if (op->kind == VIZ_OP_RECT)
        return put_rects(s->to, op, end);
    if (op->kind == VIZ_OP_DISC)
        put_disc(s->to, op);
    else
        put_text(s->to, op);
    return op;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool good_prefix(const char *s)
{
    if (!is_letter(*s))
        return false;
    while (is_letter(*s) || (*s >= '0' && *s <= '9') || *s == '-' || *s == '_')
        s++;
    return *s == '\0';
}

enum vq_status viz_svg_inline(char **out, size_t *size, const struct viz_canvas *c,
                              const char *id_prefix, struct vq_err *err)
{
    struct vq_text text = {0};
    const struct viz_rect all = {0, 0, c->w, c->h};
    struct inlining s = {.to = &text, .prefix = id_prefix, .clip = all};
    *out = NULL;
    *size = 0;
    if (!good_prefix(id_prefix))
        return vq_fail(err, VQ_EINVAL,
                       "prefix '%s' of ids: expected a letter, then letters, digits, '-' or '_'",
                       id_prefix);
    enum vq_status status = viz_canvas_check(c, err);
    vq_text_printf(&text,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                   "viewBox=\"0 0 %d %d\" font-family=\"" FAMILY "\" stroke-linecap=\"round\" "
                   "stroke-linejoin=\"round\">\n",
                   c->w, c->h, c->w, c->h);
    const struct viz_op *end = c->ops + c->n_ops;
    for (const struct viz_op *op = c->ops; status == VQ_OK && op < end; op++) {
        /* A rectangle was cut when it was noted. */
        put_clip(&s, c, op->kind == VIZ_OP_RECT ? all : op->clip);
        if (op->kind == VIZ_OP_IMAGE) {
            end_group(&s);
            status = put_image(&text, op, err);
        } else {
            op = put_shape(&s, op, end);
        }
    }
    put_clip(&s, c, all);
    end_group(&s);
    vq_text_puts(&text, "</svg>\n");
    if (status == VQ_OK && text.failed)
        status = vq_nomem(err, "picture as SVG", text.len, 1);
    if (status != VQ_OK)
        vq_text_release(&text);
    *out = text.data;
    *size = text.len;
    return status;
}
