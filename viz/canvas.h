/*
 * canvas: an RGB picture in memory and the few shapes that charts are made of.
 *
 * A canvas is `w` x `h` pixels of three bytes (R, G, B), rows top to bottom without padding, so
 * `px` can go to any encoder as it is. Coordinates are signed pixels with (0, 0) at the top left;
 * every drawing function may be called with any coordinates and touches only pixels inside the
 * clip rectangle. Positions given as double name points of the plane: the centre of pixel
 * (x, y) is (x + 0.5, y + 0.5).
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

struct viz_canvas {
    int w, h;
    uint8_t *px; /* [h, w, 3] */
    struct viz_rect clip;
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

/* The colour at (x, y), black outside the canvas. */
struct viz_rgb viz_pixel(const struct viz_canvas *c, int x, int y);

/* Mixes `color` into pixel (x, y): alpha 0 leaves it, 1 replaces it. */
void viz_blend(struct viz_canvas *c, int x, int y, struct viz_rgb color, double alpha);

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

/* Copies an RGB image [h, w, 3] with its top left at (x, y), each of its pixels drawn as zoom x
 * zoom pixels (zoom < 1 counts as 1). */
void viz_blit(struct viz_canvas *c, int x, int y, const uint8_t *rgb, int w, int h, int zoom);

#endif
