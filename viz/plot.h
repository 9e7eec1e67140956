/*
 * plot: charts of plain numbers, each drawn into a new canvas.
 *
 * Every function takes borrowed arrays and labels, returns a canvas that the caller frees with
 * viz_canvas_free(), and leaves its arguments alone. All of them draw something sensible for no
 * values, for one value, for equal values and for values that are not finite: such values are left
 * out, and the chart says under its title how many. Small canvases lose their labels first, then
 * their title, and at last everything but the data.
 *
 * Common failures: VQ_EINVAL for a side over VIZ_CANVAS_MAX, an unknown colormap, or lengths that
 * do not agree; VQ_ENOMEM.
 */
#ifndef VQ_VIZ_PLOT_H
#define VQ_VIZ_PLOT_H

#include "viz/canvas.h"
#include "viz/vec.h"

#define VIZ_PLOT_WIDTH  960
#define VIZ_PLOT_HEIGHT 540

/* What all charts share. A zeroed struct is a good chart; texts are UTF-8, NULL for none. */
struct viz_chart {
    const char *title;
    const char *subtitle; /* smaller, below the title */
    const char *xlabel, *ylabel;
    const char *zlabel;       /* beside the colour bar of a heatmap */
    bool log_x, log_y, log_z; /* logarithmic axes and colours; values <= 0 are left out */
    double y_lo, y_hi;        /* fixed ends of the y axis where y_lo < y_hi, else fitted */
    double z_lo, z_hi;        /* the same for a heatmap's colours */
    size_t width, height;     /* pixels; 0 for VIZ_PLOT_WIDTH, VIZ_PLOT_HEIGHT */
    const char *colormap;     /* of viz/colormap.h; NULL for the default */
};

/* One line or cloud of points. x and y are equally long, or x is zeroed for 0, 1, 2 ... */
struct viz_series {
    const char *name; /* for the legend; NULL for none */
    struct viz_vec x, y;
    bool marks;   /* of a line: a dot on every point, */
    size_t rings; /* but on the last so many a ring */
};

/*
 * Lines through the points of each series, in order; a value that is not finite breaks the line,
 * and a point between two breaks is a dot. Of the points that fall on one column of pixels only the
 * first, lowest, highest and last are drawn, which no eye can tell from drawing all: time is linear
 * in the number of points and no copy is made. Marks lie over all lines. Up to eight series have
 * colours of their own, more take theirs from the colormap in order.
 */
enum vq_status viz_plot_lines(struct viz_canvas **out, const struct viz_chart *chart,
                              const struct viz_series *s, size_t n, struct vq_err *err);

/* The points of each series as dots, the fainter the more there are; above 20,000 points in all,
 * single pixels. */
enum vq_status viz_plot_scatter(struct viz_canvas **out, const struct viz_chart *chart,
                                const struct viz_series *s, size_t n, struct vq_err *err);

/* The same with size[i] for series i: the areas of its dots, relative to the largest of all series.
 * The smallest can still be seen, and larger dots are drawn first, so that none hides another. */
enum vq_status viz_plot_bubbles(struct viz_canvas **out, const struct viz_chart *chart,
                                const struct viz_series *s, const struct viz_vec *size, size_t n,
                                struct vq_err *err);

/*
 * One bar for each value, from zero (from the foot of the axis if log_y). labels has v.n names, or
 * is NULL for a numbered axis. With more bars than pixels, each column of pixels shows the value
 * furthest from zero among those that fall on it, so that peaks survive.
 */
enum vq_status viz_plot_bars(struct viz_canvas **out, const struct viz_chart *chart,
                             struct viz_vec v, const char *const *labels, struct vq_err *err);

/*
 * How often values fall into `bins` (1 to VIZ_CANVAS_MAX) equal intervals between the smallest and
 * the largest, equal in ratio if log_x. bins = 0 takes 2 n^(1/3), 8 to 80, or one bin for each
 * whole number where all values are whole and lie within 80 of each other.
 */
enum vq_status viz_plot_hist(struct viz_canvas **out, const struct viz_chart *chart,
                             struct viz_vec v, size_t bins, struct vq_err *err);

/* How several cells under one pixel become one value. */
enum viz_reduce { VIZ_REDUCE_MEAN, VIZ_REDUCE_MAX };

/* A matrix with row 0 at the top. Column j is numbered x0 + j dx on the x axis and row i y0 + i dy
 * on the y axis (dx, dy = 0 count as 1), or named by the tables where given. */
struct viz_matrix {
    struct viz_vec v; /* [rows, cols], v.n = rows * cols */
    size_t rows, cols;
    const char *const *row_names, *const *col_names;
    double x0, dx, y0, dy;
    enum viz_reduce reduce;
};

/*
 * The matrix in colours, with their scale at the right. Where cells are smaller than pixels each
 * pixel shows the mean or maximum of the numbers under it. NaN is VIZ_NAN_RGB; infinities take the
 * end colours. A diverging colormap is centred on zero. Cells are drawn as large as fits, square or
 * not.
 */
enum vq_status viz_plot_heat(struct viz_canvas **out, const struct viz_chart *chart,
                             const struct viz_matrix *m, struct vq_err *err);

#endif
