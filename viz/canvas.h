/*
 * canvas: a picture as the list of the few shapes that charts are made of.
 *
 * Drawing only notes what is wanted; it is painted when pixels are asked for (viz_canvas_rgb()) or
 * when it is written as SVG (viz/svg.h), so that one canvas gives both. Coordinates are signed
 * pixels with (0, 0) at the top left; every drawing function may be called with any coordinates and
 * touches only pixels inside the clip rectangle. Positions given as double name points of the
 * plane: the centre of pixel (x, y) is (x + 0.5, y + 0.5).
 *
 * Drawing cannot fail on the spot: where memory is out the shape is left out, and
 * viz_canvas_check() says so at the end.
 */
#ifndef VQ_VIZ_CANVAS_H
#define VQ_VIZ_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* The longest side of a canvas, in pixels. */
#define VIZ_CANVAS_MAX 16384

struct viz_rgb {
    uint8_t r, g, b;
};

/* The pixels [x, x + w) x [y, y + h); empty when w or h is not positive. */
struct viz_rect {
    int x, y, w, h;
};

struct viz_op;

/* w x h pixels and what was drawn on them so far, first to last (viz/ops.h). */
struct viz_canvas {
    int w, h;
    struct viz_rect clip;
    struct viz_op *ops;
    size_t n_ops, room;
    bool failed; /* memory was out: something is missing */
    uint8_t *px; /* the picture painted last, until something is added */
};

/* A colour from 0xRRGGBB. */
static inline struct viz_rgb viz_rgb_hex(uint32_t v)
{
    return (struct viz_rgb){(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
}

/* a + t * (b - a) per channel, t clamped to [0, 1]; rounded to nearest. */
struct viz_rgb viz_rgb_mix(struct viz_rgb a, struct viz_rgb b, double t);

/* Perceived lightness of a colour, 0 (black) to 100 (white): CIE 1976 L*. */
double viz_rgb_lightness(struct viz_rgb c);

/* A canvas filled with `bg`; both sides 1 to VIZ_CANVAS_MAX, else VQ_EINVAL. Caller frees with
 * viz_canvas_free(). */
enum vq_status viz_canvas_new(struct viz_canvas **out, size_t w, size_t h, struct viz_rgb bg,
                              struct vq_err *err);
void viz_canvas_free(struct viz_canvas *c); /* c may be NULL */

/* Restricts drawing to `r` and the canvas; viz_canvas_unclip() lifts the restriction. */
void viz_canvas_clip(struct viz_canvas *c, struct viz_rect r);
void viz_canvas_unclip(struct viz_canvas *c);

/* VQ_ENOMEM if something drawn so far could not be noted. */
enum vq_status viz_canvas_check(const struct viz_canvas *c, struct vq_err *err);

/* The picture painted: RGB bytes [h, w, 3], rows top to bottom without padding. Borrowed until
 * something is drawn or the canvas is freed. NULL and *err (VQ_ENOMEM) on failure. */
const uint8_t *viz_canvas_rgb(struct viz_canvas *c, struct vq_err *err);

/* The painted colour at (x, y), black outside the canvas and where painting failed. */
struct viz_rgb viz_pixel(struct viz_canvas *c, int x, int y);

/* Filled rectangle, its 1-pixel outline (inside r), and lines of `len` pixels to the right and
 * down from (x, y). */
void viz_fill_rect(struct viz_canvas *c, struct viz_rect r, struct viz_rgb color);
void viz_outline(struct viz_canvas *c, struct viz_rect r, struct viz_rgb color);
void viz_hline(struct viz_canvas *c, int x, int y, int len, struct viz_rgb color);
void viz_vline(struct viz_canvas *c, int x, int y, int len, struct viz_rgb color);

/* Anti-aliased segment between two points, `width` pixels thick with round ends. Coordinates may
 * lie far outside; a coordinate that is not finite draws nothing. */
void viz_line(struct viz_canvas *c, double x0, double y0, double x1, double y1, double width,
              struct viz_rgb color);

/* n points joined by segments; a point with a coordinate that is not finite breaks the line. */
void viz_polyline(struct viz_canvas *c, const double *x, const double *y, size_t n, double width,
                  struct viz_rgb color);

/* Anti-aliased disc around (x, y), mixed in with `alpha`. */
void viz_disc(struct viz_canvas *c, double x, double y, double radius, struct viz_rgb color,
              double alpha);

/* Spreads an image over the rectangle r, each of its pixels with sharp edges: rgb [h, w, 3], and
 * alpha [h, w] (255 covers, 0 leaves what is there) or NULL for covering all. The image is copied.
 * Draws nothing if a side of the image or of r is not 1 to VIZ_CANVAS_MAX. */
void viz_image(struct viz_canvas *c, struct viz_rect r, const uint8_t *rgb, const uint8_t *alpha,
               int w, int h);

/* Draws all of `from` with its top left at (x, y). `from` stays as it is, and is not c. */
void viz_canvas_put(struct viz_canvas *c, int x, int y, const struct viz_canvas *from);

#endif
