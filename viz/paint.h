/*
 * paint: canvases as pixels and as SVG, and how large text will be: the one place that knows the
 * drawing library (Cairo) and, behind it, the fonts of the system. Nothing is loaded before the
 * first call. Text is set in DejaVu Sans, else in what the system has instead; where it has no font at
 * all, in the plain strokes that the library brings.
 */
#ifndef VQ_VIZ_PAINT_H
#define VQ_VIZ_PAINT_H

#include "viz/canvas.h"
#include "viz/font.h"

/* Advance of `s`, which is valid UTF-8 without controls, in whole pixels. */
int viz_paint_width(struct viz_font f, const char *s);

/* Pixels from the top of capitals to the baseline, and from there to the foot of descenders. */
void viz_paint_extents(struct viz_font f, int *ascent, int *descent);

/* The canvas as RGB [h, w, 3], freed with free(). VQ_ENOMEM. */
enum vq_status viz_paint_rgb(uint8_t **out, const struct viz_canvas *c, struct vq_err *err);

/* The canvas as an SVG document the way the library writes it (viz/svg.h is what callers want);
 * *out is *size bytes and a zero, freed with free(). VQ_ENOMEM. */
enum vq_status viz_paint_svg(char **out, size_t *size, const struct viz_canvas *c,
                             struct vq_err *err);

#endif
