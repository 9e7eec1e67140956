/*
 * Heatmaps (viz/plot.h). Pixels ask for the cells under them, not cells for their pixels: so no
 * pixel is drawn twice, none is missed, and a matrix far larger than the picture costs one look at
 * each cell. All cells together are one image on the canvas.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "viz/frame.h"
#include "viz/plot.h"

/* The numbered or named side along n cells that start at `first` and lie `step` apart. */
static struct viz_side cell_side(double first, double step, size_t n, const char *const *names)
{
    struct viz_side s = {.names = n > 0 ? names : NULL, .n_names = n};
    if (names) {
        first = 0;
        step = 1;
    }
    s.axis = viz_axis_fit(first - step / 2, first + ((double)(n ? n : 1) - 0.5) * step, false, 0);
    s.whole = first == floor(first) && step == floor(step);
    return s;
}

/* The slice of `n` cells that lies under pixel px of `len`: at least one cell. */
static void cells_under(size_t n, size_t len, size_t px, size_t *from, size_t *to)
{
    *from = n / len * px + n % len * px / len;
    *to = n / len * (px + 1) + n % len * (px + 1) / len;
    if (*to <= *from)
        *to = *from + 1;
}

/* What one pixel shows of the cells [r0, r1) x [c0, c1): NaN only if all of them are. */
static double reduce(const struct viz_matrix *m, size_t r0, size_t r1, size_t c0, size_t c1)
{
    double sum = 0, max = NAN;
    size_t n = 0;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1; c++) {
            double x = viz_vec_at(m->v, r * m->cols + c);
            if (isnan(x))
                continue;
            max = x <= max ? max : x; /* also replaces the NaN it starts as */
            sum += x;
            n++;
        }
    return m->reduce == VIZ_REDUCE_MAX || n < 2 ? max : sum / (double)n;
}

/* 255 steps are more than an eye sees, and with the colour of NaN a byte holds all of them: an
 * image in a page is a third as large for it. */
static double in_steps(double t)
{
    return isnan(t) ? t : round(t * 254) / 254;
}

/* The cells as an image with a pixel for each, or for each pixel of the plot where cells are
 * smaller; stretched over the plot by whoever shows it. */
static enum vq_status draw_cells(const struct viz_frame *f, const struct viz_matrix *m,
                                 struct viz_norm norm, struct vq_err *err)
{
    size_t w = (size_t)f->plot.w, h = (size_t)f->plot.h, r0, r1, c0, c1;
    w = m->cols < w ? m->cols : w;
    h = m->rows < h ? m->rows : h;
    uint8_t *rgb = vq_alloc(w * 3, h);
    if (!rgb)
        return vq_nomem(err, "heat map", w * 3, h);
    for (size_t y = 0; y < h; y++) {
        cells_under(m->rows, h, y, &r0, &r1);
        for (size_t x = 0; x < w; x++) {
            cells_under(m->cols, w, x, &c0, &c1);
            double t = viz_norm_at(norm, reduce(m, r0, r1, c0, c1));
            struct viz_rgb v = viz_colormap_rgb(f->map, in_steps(t));
            memcpy(rgb + 3 * (y * w + x), (uint8_t[3]){v.r, v.g, v.b}, 3);
        }
    }
    viz_image(f->c, f->plot, rgb, NULL, (int)w, (int)h);
    free(rgb);
    return VQ_OK;
}

/* Says how many cells have no place on the scale and what colour stands for that. */
static void note_colorless(struct viz_frame *f, const struct viz_matrix *m, struct viz_norm norm)
{
    size_t n = 0;
    for (size_t i = 0; i < m->v.n; i++)
        n += isnan(viz_norm_at(norm, viz_vec_at(m->v, i))) ? 1 : 0;
    if (n > 0)
        snprintf(f->note, sizeof(f->note), "%zu NaN%s (mauve)", n, norm.log ? " or negative" : "");
}

static struct viz_norm norm_of(const struct viz_chart *chart, const struct viz_matrix *m,
                               const struct viz_colormap *map)
{
    if (chart->z_lo < chart->z_hi && (!chart->log_z || chart->z_lo > 0))
        return (struct viz_norm){chart->z_lo, chart->z_hi, chart->log_z};
    return viz_norm_fit(m->v, chart->log_z, map->diverging);
}

enum vq_status viz_plot_heat(struct viz_canvas **out, const struct viz_chart *chart,
                             const struct viz_matrix *m, struct vq_err *err)
{
    size_t cells;
    struct viz_frame f = {.chart = chart};
    *out = NULL;
    if (!vq_mul_ok(m->rows, m->cols, &cells) || cells != m->v.n)
        return vq_fail(err, VQ_EINVAL, "matrix of %zu x %zu: found %zu values", m->rows, m->cols,
                       m->v.n);
    if (!isfinite(m->x0) || !isfinite(m->y0) || !(m->dx >= 0) || !(m->dy >= 0))
        return vq_fail(err, VQ_EINVAL, "matrix axes: expected finite starts and steps above 0");
    enum vq_status status = viz_frame_map(&f.map, chart, err);
    if (status != VQ_OK)
        return status;
    struct viz_norm norm = norm_of(chart, m, f.map);
    f.x = cell_side(m->x0, m->dx > 0 ? m->dx : 1, m->cols, m->col_names);
    f.y = cell_side(m->y0, m->dy > 0 ? m->dy : 1, m->rows, m->row_names);
    f.y.down = true;
    f.z.axis = viz_axis_fit(norm.lo, norm.hi, norm.log, 0);
    f.z.shown = cells > 0;
    f.empty = cells > 0 ? NULL : "no data";
    f.snap_x = m->cols;
    f.snap_y = m->rows;
    note_colorless(&f, m, norm);
    if ((status = viz_frame_open(&f, err)) != VQ_OK)
        return status;
    if (cells > 0)
        status = draw_cells(&f, m, norm, err);
    return viz_frame_close(&f, status, out, err);
}
