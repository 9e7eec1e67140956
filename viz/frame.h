/*
 * frame: everything of a chart but its data: title, legend, axes with ticks and labels, grid, the
 * scale of colours, and the layout that makes room for them. The chart kinds (plot*.c) describe
 * their axes in a viz_frame, open it, draw inside `plot`, and close it.
 */
#ifndef VQ_VIZ_FRAME_H
#define VQ_VIZ_FRAME_H

#include "viz/axis.h"
#include "viz/colormap.h"
#include "viz/font.h"
#include "viz/plot.h"

/* Colours of the house: text, second-rank text, grid, axis lines, and the first data colour. */
#define VIZ_INK   0x24292f
#define VIZ_MUTED 0x667080
#define VIZ_GRID  0xe8ebef
#define VIZ_AXIS  0x8c95a1
#define VIZ_DATA  0x3a6ea5

/* One side of the chart. With names, name i stands at the value i and `axis` runs from -0.5 to
 * n_names - 0.5. */
struct viz_side {
    struct viz_axis axis;
    bool whole; /* ticks at whole numbers only */
    bool grid;  /* a thin line across the plot at each tick */
    bool shown; /* for the colour scale: whether there is one */
    bool down;  /* for y: values grow downwards */
    size_t n_names;
    const char *const *names;
    const char *label;
    struct viz_ticks ticks; /* filled by viz_frame_open() */
};

/* What a chart drops, one after the other, until its plot has room; each implies those before. */
enum viz_stage {
    VIZ_STAGE_FULL,
    VIZ_STAGE_NO_LABELS, /* no subtitle, legend, labels of axes */
    VIZ_STAGE_NO_TITLE,
    VIZ_STAGE_BARE /* no text at all */
};

/* An entry of the legend. */
struct viz_key {
    const char *name;
    struct viz_rgb color;
};

struct viz_frame {
    /* Set by the chart kind before opening. */
    const struct viz_chart *chart;
    struct viz_side x, y, z;
    const struct viz_colormap *map; /* of z */
    const struct viz_key *keys;
    size_t n_keys;
    char note[96];         /* said behind the subtitle; viz_frame_left_out() */
    const char *empty;     /* text in the middle of an empty chart, or NULL */
    size_t snap_x, snap_y; /* cells that should get a whole number of pixels each, or 0 */

    /* Set by viz_frame_open(). */
    struct viz_canvas *c;
    struct viz_rect plot; /* where data goes */
    int u;                /* whole pixels to which hair lines and margins scale */
    struct viz_font font, title_font;
    enum viz_stage stage; /* what had to be dropped */
    int names_h;          /* height of the numbers or names below the plot */
};

/* Notes that n values are not shown, if n > 0. */
void viz_frame_left_out(struct viz_frame *f, size_t n);

/* Makes the canvas, lays the chart out, draws all but the data, and clips to the plot. On failure
 * there is nothing to free. On success f->c is freed by viz_canvas_free(). */
enum vq_status viz_frame_open(struct viz_frame *f, struct vq_err *err);

/* Lifts the clipping, draws what lies over the data (axis lines, the text of an empty chart), and
 * hands the canvas over as *out, the caller's to free. If the data could not be drawn (`status`),
 * or anything before: frees it instead and returns why. */
enum vq_status viz_frame_close(struct viz_frame *f, enum vq_status status, struct viz_canvas **out,
                               struct vq_err *err);

/* Pixel coordinates of a value; NaN if the axis has no place for it. Bounded to some 30,000 pixels
 * beyond the plot, so that they convert to int safely. */
double viz_frame_x(const struct viz_frame *f, double v);
double viz_frame_y(const struct viz_frame *f, double v);

/* The i-th of n data colours. */
struct viz_rgb viz_frame_color(const struct viz_frame *f, size_t i, size_t n);

/* chart->colormap, or VQ_EINVAL naming the maps there are. */
enum vq_status viz_frame_map(const struct viz_colormap **out, const struct viz_chart *chart,
                             struct vq_err *err);

#endif
