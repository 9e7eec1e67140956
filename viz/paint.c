#include "viz/paint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cairo-svg.h>
#include <cairo.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "viz/ops.h"

#define FAMILY "DejaVu Sans"

/* What is painted on: pixels, where letters are fitted to the grid, or an SVG of any size, where
 * they keep their shapes. */
struct easel {
    cairo_t *cr;
    bool vector, failed;
    struct viz_rect clip; /* in force */
};

/* ---- text ---- */

static cairo_font_options_t *font_options(bool vector)
{
    /* All is said here, so that the settings of a desktop change no picture. */
    cairo_font_options_t *o = cairo_font_options_create();
    cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(o, vector ? CAIRO_HINT_STYLE_NONE : CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(o, vector ? CAIRO_HINT_METRICS_OFF : CAIRO_HINT_METRICS_ON);
    return o;
}

static cairo_font_face_t *font_face(struct viz_font f)
{
    return cairo_toy_font_face_create(FAMILY, CAIRO_FONT_SLANT_NORMAL,
                                      f.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
}

/* The font at its size, upright; in an error state if there is none. */
static cairo_scaled_font_t *scaled_font(struct viz_font f, bool vector)
{
    cairo_font_face_t *face = font_face(f);
    cairo_font_options_t *options = font_options(vector);
    cairo_matrix_t size, plain;
    cairo_matrix_init_scale(&size, f.size, f.size);
    cairo_matrix_init_identity(&plain);
    cairo_scaled_font_t *font = cairo_scaled_font_create(face, &size, &plain, options);
    cairo_font_options_destroy(options);
    cairo_font_face_destroy(face);
    return font;
}

int viz_paint_width(struct viz_font f, const char *s)
{
    cairo_text_extents_t e = {0};
    cairo_scaled_font_t *font = scaled_font(f, false);
    if (cairo_scaled_font_status(font) == CAIRO_STATUS_SUCCESS)
        cairo_scaled_font_text_extents(font, s, &e);
    cairo_scaled_font_destroy(font);
    return e.x_advance > 0 ? (int)ceil(fmin(e.x_advance, 1e6)) : 0;
}

void viz_paint_extents(struct viz_font f, int *ascent, int *descent)
{
    cairo_text_extents_t above = {0}, below = {0};
    cairo_scaled_font_t *font = scaled_font(f, false);
    /* Without a font, what letters of that size would need. */
    *ascent = (int)ceil(0.73 * f.size);
    *descent = (int)ceil(0.24 * f.size);
    if (cairo_scaled_font_status(font) == CAIRO_STATUS_SUCCESS) {
        cairo_scaled_font_text_extents(font, "H", &above);
        cairo_scaled_font_text_extents(font, "gjpqy", &below);
    }
    if (above.height > 0 && below.height > 0) {
        *ascent = (int)ceil(-above.y_bearing);
        *descent = (int)ceil(below.y_bearing + below.height);
    }
    cairo_scaled_font_destroy(font);
}

static void put_text(const struct easel *e, const struct viz_op *op)
{
    cairo_glyph_t *glyphs = NULL;
    int n = 0;
    cairo_scaled_font_t *font = scaled_font(op->font, e->vector);
    if (cairo_scaled_font_status(font) == CAIRO_STATUS_SUCCESS &&
        cairo_scaled_font_text_to_glyphs(font, 0, 0, op->data, -1, &glyphs, &n, NULL, NULL, NULL) ==
            CAIRO_STATUS_SUCCESS &&
        n > 0) {
        /* Unfitted letters advance by fractions; spread over them, the difference lets the text
         * end where the layout has put its end. */
        cairo_text_extents_t size;
        cairo_scaled_font_glyph_extents(font, glyphs, n, &size);
        double spread = e->vector ? (op->width - size.x_advance) / n : 0;
        for (int i = 0; i < n; i++)
            glyphs[i].x += spread * i;
        cairo_font_face_t *face = font_face(op->font);
        cairo_font_options_t *options = font_options(e->vector);
        cairo_matrix_t turn = {0, -1, 1, 0, 0, 0};
        cairo_save(e->cr);
        cairo_translate(e->cr, op->at[0], op->at[1]);
        if (op->up)
            cairo_transform(e->cr, &turn);
        cairo_set_font_face(e->cr, face);
        cairo_set_font_size(e->cr, op->font.size);
        cairo_set_font_options(e->cr, options);
        cairo_show_glyphs(e->cr, glyphs, n);
        cairo_restore(e->cr);
        cairo_font_options_destroy(options);
        cairo_font_face_destroy(face);
    }
    cairo_glyph_free(glyphs);
    cairo_scaled_font_destroy(font);
}

/* ---- shapes ---- */

/* The image with as many pixels as its box has, for an SVG, since not all that show SVG can be told
 * to leave edges sharp when they enlarge; NULL if memory is out. */
static uint32_t *enlarged(const struct viz_op *op)
{
    size_t w = (size_t)op->box.w, h = (size_t)op->box.h;
    uint32_t *to = vq_alloc(w * h, sizeof(*to));
    const uint32_t *from = op->data;
    for (size_t y = 0; to && y < h; y++) {
        const uint32_t *row = from + y * (size_t)op->h / h * (size_t)op->w;
        for (size_t x = 0; x < w; x++)
            to[y * w + x] = row[x * (size_t)op->w / w];
    }
    return to;
}

static bool put_image(const struct easel *e, const struct viz_op *op)
{
    bool enlarge = e->vector && op->box.w >= op->w && op->box.h >= op->h;
    int w = enlarge ? op->box.w : op->w, h = enlarge ? op->box.h : op->h;
    uint32_t *copy = enlarge ? enlarged(op) : NULL;
    if (enlarge && !copy)
        return false;
    cairo_surface_t *image = cairo_image_surface_create_for_data(
        copy ? (unsigned char *)copy : op->data,
        op->opaque ? CAIRO_FORMAT_RGB24 : CAIRO_FORMAT_ARGB32, w, h, 4 * w);
    cairo_save(e->cr);
    cairo_translate(e->cr, op->box.x, op->box.y);
    cairo_scale(e->cr, (double)op->box.w / w, (double)op->box.h / h);
    cairo_set_source_surface(e->cr, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(e->cr), CAIRO_FILTER_NEAREST);
    cairo_paint(e->cr); /* filling a rectangle would make a tiled pattern of it in an SVG */
    cairo_restore(e->cr);
    /* The surface may be needed until the document is finished; its pixels are not ours then. */
    cairo_surface_finish(image);
    cairo_surface_destroy(image);
    free(copy);
    return true;
}

/* Whether a line goes on from the one before it, as one stroke of the pen. */
static bool same_stroke(const struct viz_op *a, const struct viz_op *b)
{
    return b->kind == VIZ_OP_LINE && a->width == b->width && viz_same_rect(a->clip, b->clip) &&
           memcmp(&a->color, &b->color, sizeof(a->color)) == 0;
}

/* Draws the lines from op on that are one stroke; returns the last of them. */
static const struct viz_op *put_lines(const struct easel *e, const struct viz_op *op,
                                      const struct viz_op *end)
{
    cairo_move_to(e->cr, op->at[0], op->at[1]);
    cairo_line_to(e->cr, op->at[2], op->at[3]);
    for (; op + 1 < end && same_stroke(op, op + 1); op++) {
        if (op[1].at[0] != op->at[2] || op[1].at[1] != op->at[3])
            cairo_move_to(e->cr, op[1].at[0], op[1].at[1]);
        cairo_line_to(e->cr, op[1].at[2], op[1].at[3]);
    }
    cairo_set_line_width(e->cr, op->width);
    cairo_stroke(e->cr);
    return op;
}

static bool contains(struct viz_rect a, struct viz_rect b)
{
    return b.x >= a.x && b.y >= a.y && b.x + b.w <= a.x + a.w && b.y + b.h <= a.y + a.h;
}

static void set_clip(struct easel *e, const struct viz_op *op)
{
    /* Rectangles were cut when they were noted, so a clip that is too wide does no harm. */
    if (viz_same_rect(e->clip, op->clip) || (op->kind == VIZ_OP_RECT && contains(e->clip, op->box)))
        return;
    e->clip = op->clip;
    cairo_reset_clip(e->cr);
    cairo_rectangle(e->cr, op->clip.x, op->clip.y, op->clip.w, op->clip.h);
    cairo_clip(e->cr);
}

static const struct viz_op *put_op(struct easel *e, const struct viz_op *op,
                                   const struct viz_op *end)
{
    struct viz_rgb v = op->color;
    cairo_set_source_rgba(e->cr, v.r / 255.0, v.g / 255.0, v.b / 255.0, op->alpha);
    switch (op->kind) {
    case VIZ_OP_RECT:
        cairo_rectangle(e->cr, op->box.x, op->box.y, op->box.w, op->box.h);
        cairo_fill(e->cr);
        break;
    case VIZ_OP_LINE:
        return put_lines(e, op, end);
    case VIZ_OP_DISC:
        cairo_arc(e->cr, op->at[0], op->at[1], op->width, 0, 2 * M_PI);
        cairo_fill(e->cr);
        break;
    case VIZ_OP_IMAGE:
        e->failed |= !put_image(e, op);
        break;
    case VIZ_OP_TEXT:
        put_text(e, op);
        break;
    }
    return op;
}

/* Paints all of c on the surface, which it takes over; false if memory was out. */
static bool paint(cairo_surface_t *surface, const struct viz_canvas *c, bool vector)
{
    struct easel e = {.cr = cairo_create(surface), .vector = vector, .clip = {0, 0, c->w, c->h}};
    const struct viz_op *end = c->ops + c->n_ops;
    cairo_set_line_cap(e.cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(e.cr, CAIRO_LINE_JOIN_ROUND);
    for (const struct viz_op *op = c->ops; op < end; op++) {
        set_clip(&e, op);
        op = put_op(&e, op, end);
    }
    bool ok = !e.failed && cairo_status(e.cr) == CAIRO_STATUS_SUCCESS;
    cairo_destroy(e.cr);
    cairo_surface_finish(surface);
    ok = ok && cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(surface);
    return ok;
}

enum vq_status viz_paint_rgb(uint8_t **out, const struct viz_canvas *c, struct vq_err *err)
{
    size_t n = (size_t)c->w * (size_t)c->h;
    uint32_t *argb = vq_calloc(n, sizeof(*argb));
    *out = NULL;
    if (!argb)
        return vq_nomem(err, "picture", n, sizeof(*argb));
    cairo_surface_t *surface = cairo_image_surface_create_for_data(
        (unsigned char *)argb, CAIRO_FORMAT_RGB24, c->w, c->h, 4 * c->w);
    if (!paint(surface, c, false)) {
        free(argb);
        return vq_nomem(err, "painting a picture", n, sizeof(*argb));
    }
    /* Packed where they are: each pixel's three bytes end before the next one's four begin. */
    uint8_t *rgb = (uint8_t *)argb;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = argb[i];
        rgb[3 * i] = (uint8_t)(v >> 16);
        rgb[3 * i + 1] = (uint8_t)(v >> 8);
        rgb[3 * i + 2] = (uint8_t)v;
    }
    *out = rgb;
    return VQ_OK;
}

static cairo_status_t take_bytes(void *to, const unsigned char *data, unsigned int n)
{
    struct vq_text *text = to;
    vq_text_put(text, (const char *)data, n);
    return text->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

enum vq_status viz_paint_svg(char **out, size_t *size, const struct viz_canvas *c,
                             struct vq_err *err)
{
    struct vq_text text = {0};
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(take_bytes, &text, c->w, c->h);
    cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    *out = NULL;
    if (!paint(surface, c, true) || text.failed || !text.data) {
        vq_text_release(&text);
        return vq_nomem(err, "picture as SVG", c->n_ops, sizeof(*c->ops));
    }
    *out = text.data;
    *size = text.len;
    return VQ_OK;
}
