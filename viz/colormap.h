/*
 * colormap: numbers to colours.
 *
 * The sequential maps rise in lightness from end to end in nearly equal steps, so they read the
 * same in grey print and to colour-blind eyes; the diverging one is light in the middle and equally
 * dark at its blue and brown ends. All were computed for this program in the Oklab space and are
 * kept as control points between which sRGB is interpolated. A new map is a new row of the table in
 * colormap.c.
 */
#ifndef VQ_VIZ_COLORMAP_H
#define VQ_VIZ_COLORMAP_H

#include "viz/canvas.h"
#include "viz/vec.h"

#define VIZ_COLORMAP_STOPS 17

struct viz_colormap {
    const char *name;
    const char *summary;                /* one line for a listing */
    bool diverging;                     /* the middle is a value of its own, e.g. zero */
    size_t n;                           /* stops used, at least 2, evenly spaced over [0, 1] */
    uint32_t stops[VIZ_COLORMAP_STOPS]; /* 0xRRGGBB */
};

/* Colour of a NaN: a greyed magenta that no map contains. */
#define VIZ_NAN_RGB 0x9b6f94

/* The map called `name`; NULL or "" means the default one. NULL if there is none of that name. */
const struct viz_colormap *viz_colormap_find(const char *name);

/* The i-th map, i from 0; NULL past the last. For listings and completion. */
const struct viz_colormap *viz_colormap_nth(size_t i);

/* Colour at t, clamped to [0, 1]; VIZ_NAN_RGB for NaN. */
struct viz_rgb viz_colormap_rgb(const struct viz_colormap *m, double t);

/* How values become positions in a map: lo goes to 0, hi to 1. */
struct viz_norm {
    double lo, hi;
    bool log; /* equal ratios are equal distances; lo > 0 */
};

/* The norm that spans the finite values of v (those > 0 for log). Symmetric widens it to [-a, a],
 * so that a diverging map is neutral at zero; it is ignored for log. With no usable value the span
 * is [0, 1], or [1, 10] for log. */
struct viz_norm viz_norm_fit(struct viz_vec v, bool log, bool symmetric);

/* Position of x in [0, 1], clamped; 0.5 when lo = hi. NaN stays NaN. In a log norm zero counts as
 * the low end and a negative x is NaN. */
double viz_norm_at(struct viz_norm n, double x);

#endif
