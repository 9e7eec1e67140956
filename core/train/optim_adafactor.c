/*
 * optim_adafactor: second moments of large matrices kept as one number per row and per column
 * (Shazeer and Stern, arXiv 1804.04235), with the choices of optax 0.1.5: the decay at update t,
 * counted from 1, is 1 - t^-0.8; a tensor's update is scaled down to root mean square 1, then up by
 * the root mean square of the tensor itself (at least 1e-3); no first moment.
 *
 * A matrix is factored when its smaller axis has at least 128 entries. Of its axes d0 is the larger
 * one (of two equal ones the later), d1 the other: v_row, kept per entry of d1, are means over d0;
 * v_col, kept per entry of d0, are means over d1. The second moment of an entry is then
 * v_row v_col / mean(v_row).
 */
#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/optim_private.h"

#define LEAST_AXIS 128
#define EXPONENT   0.8
#define TINY       1e-30
#define LEAST_RMS  1e-3

#define BAND      ((size_t)1 << 15) /* floats that one task handles */
#define MAX_BANDS 64                /* of a tensor: each has sums for all columns */

enum { V, V_COL, V_ROW };

static bool factored(const struct vq_param *p)
{
    return p->rank == 2 && p->shape[0] >= LEAST_AXIS && p->shape[1] >= LEAST_AXIS;
}

/* The axis that v_row runs along. */
static int row_axis(const struct vq_param *p)
{
    return p->shape[0] > p->shape[1] ? 1 : 0;
}

static void shape(const struct vq_param *p, size_t moment, struct vq_slot *slot)
{
    bool whole = moment == V;
    *slot = (struct vq_slot){.rank = 1, .shape = {1}}; /* what stands in for a moment not kept */
    if (factored(p) && !whole)
        slot->shape[0] = p->shape[moment == V_ROW ? row_axis(p) : 1 - row_axis(p)];
    if (factored(p) || !whole)
        return;
    slot->rank = p->rank;
    for (int i = 0; i < p->rank; i++)
        slot->shape[i] = p->shape[i];
}

/* How a tensor is cut into bands of whole rows; one that is not factored is one long column of
 * single entries. */
struct bands {
    size_t rows, cols, per_band, n;
};

static struct bands bands_of(const struct vq_param *p)
{
    struct bands b = {.rows = p->size, .cols = 1};
    if (factored(p))
        b = (struct bands){.rows = (size_t)p->shape[0], .cols = (size_t)p->shape[1]};
    b.per_band = b.cols < BAND ? BAND / b.cols : 1;
    if (b.per_band * MAX_BANDS < b.rows)
        b.per_band = (b.rows + MAX_BANDS - 1) / MAX_BANDS;
    b.n = (b.rows + b.per_band - 1) / b.per_band;
    return b;
}

/* Workspace: two sums per band, then for a factored tensor the factors of rows and columns and each
 * band's sums over its columns. */
static size_t sums_bytes(void)
{
    return 2 * MAX_BANDS * sizeof(double);
}

static bool workspace(const struct vq_params *layout, size_t *bytes)
{
    size_t most = 0;
    for (size_t i = 0; i < layout->n; i++) {
        const struct vq_param *p = &layout->at[i];
        if (p->is_codebook || !factored(p))
            continue;
        struct bands b = bands_of(p);
        size_t need, rows;
        if (!vq_mul_ok(b.cols, b.n * sizeof(double) + sizeof(float), &need) ||
            !vq_mul_ok(b.rows, sizeof(float), &rows) || !vq_add_ok(need, rows, &need))
            return false;
        most = need > most ? need : most;
    }
    return vq_add_ok(most, sums_bytes(), bytes);
}

/* One tensor of one step. */
struct run {
    const struct vq_step_job *job;
    const struct vq_param *param;
    struct bands b;
    float *p;
    const float *g;
    float *v;          /* not factored */
    float *row, *col;  /* by axis: first means of squares, then factors; factored */
    double *col_sums;  /* [bands, cols] */
    double *p_squares; /* [bands] of the tensor */
    double *u_squares; /* [bands] of its update */
    float keep;        /* decay of the second moment */
    float rate, decay; /* of the last pass */
};

/* The stretch of one band. */
static size_t band_at(const struct run *r, size_t band, size_t *rows)
{
    size_t first = band * r->b.per_band;
    *rows = r->b.rows - first < r->b.per_band ? r->b.rows - first : r->b.per_band;
    return first;
}

/* Squares of tensor and gradient; without factors the second moment and the update's size too. */
static void measure_task(void *ud, size_t band, int worker)
{
    (void)worker;
    const struct run *r = ud;
    const struct vq_step *k = r->job->o->kernels;
    size_t rows, first = band_at(r, band, &rows), cols = r->b.cols;
    r->p_squares[band] = k->sum_squares(r->p + first * cols, rows * cols);
    if (r->v) {
        r->u_squares[band] =
            k->second_moment(r->v + first, r->g + first, rows, r->job->clip, r->keep);
        return;
    }
    double *sums = r->col_sums + band * cols;
    memset(sums, 0, cols * sizeof(*sums));
    for (size_t i = first; i < first + rows; i++)
        r->row[i] = (float)(k->add_squares(sums, r->g + i * cols, cols) / (double)cols);
}

static void update_size_task(void *ud, size_t band, int worker)
{
    (void)worker;
    const struct run *r = ud;
    size_t rows, first = band_at(r, band, &rows), cols = r->b.cols;
    double sum = 0.0;
    for (size_t i = first; i < first + rows; i++) {
        double f = r->row[i];
        sum += f * f * r->job->o->kernels->scaled_squares(r->g + i * cols, r->col, cols);
    }
    r->u_squares[band] = sum;
}

static void move_task(void *ud, size_t band, int worker)
{
    (void)worker;
    const struct run *r = ud;
    const struct vq_step *k = r->job->o->kernels;
    size_t rows, first = band_at(r, band, &rows), cols = r->b.cols;
    if (r->v) {
        k->by_moment(r->p + first, r->g + first, r->v + first, rows, r->rate, r->decay);
        return;
    }
    for (size_t i = first; i < first + rows; i++)
        k->scaled(r->p + i * cols, r->g + i * cols, r->col, cols, r->rate * r->row[i], r->decay);
}

/* The moving average of means of squares, which `means` holds on entry and the average on exit. */
static void average(const struct run *r, float *means, struct vq_slot *slot)
{
    float *v = slot->data;
    double clip2 = (double)r->job->clip * r->job->clip;
    for (size_t i = 0; i < slot->size; i++) {
        double fresh = means[i] * clip2 + TINY;
        v[i] = (float)(r->keep * (double)v[i] + (1.0 - (double)r->keep) * fresh);
        means[i] = v[i];
    }
}

/* Means of squares along both axes become the factors of the update. */
static void make_factors(struct run *r)
{
    const struct vq_optim *o = r->job->o;
    for (size_t j = 0; j < r->b.cols; j++) {
        double sum = 0.0;
        for (size_t band = 0; band < r->b.n; band++)
            sum += r->col_sums[band * r->b.cols + j];
        r->col[j] = (float)(sum / (double)r->b.rows);
    }
    bool rows_first = row_axis(r->param) == 0;
    float *v_row = rows_first ? r->row : r->col, *v_col = rows_first ? r->col : r->row;
    struct vq_slot *row = vq_optim_slot(o, r->param, V_ROW);
    struct vq_slot *col = vq_optim_slot(o, r->param, V_COL);
    average(r, v_row, row);
    average(r, v_col, col);
    double mean = 0.0;
    for (size_t i = 0; i < row->size; i++)
        mean += v_row[i];
    mean /= (double)row->size;
    for (size_t i = 0; i < row->size; i++)
        v_row[i] = (float)(1.0 / sqrt(v_row[i] / mean));
    for (size_t i = 0; i < col->size; i++)
        v_col[i] = (float)(1.0 / sqrt(v_col[i]));
}

static double mean_root(const double *squares, const struct run *r)
{
    double sum = 0.0;
    for (size_t i = 0; i < r->b.n; i++)
        sum += squares[i];
    return sqrt(sum / (double)r->param->size);
}

static void step_param(struct run *r)
{
    const struct vq_step_job *job = r->job;
    float clip = job->clip;
    vq_pool_run(job->pool, r->b.n, measure_task, r);
    if (!r->v) {
        make_factors(r);
        vq_pool_run(job->pool, r->b.n, update_size_task, r);
    }
    double size = mean_root(r->u_squares, r) * (r->v ? 1.0 : (double)clip);
    double own = mean_root(r->p_squares, r);
    double shrink = size > 1.0 ? size : 1.0;
    double grow = own > LEAST_RMS ? own : LEAST_RMS;
    r->rate = (float)(job->rate * (double)clip / shrink * grow);
    r->decay = vq_optim_decay(job->o, r->param);
    vq_pool_run(job->pool, r->b.n, move_task, r);
}

static void step(const struct vq_step_job *job)
{
    const struct vq_optim *o = job->o;
    char *work = o->memory + o->bytes;
    double keep = 1.0 - pow((double)o->count + 1.0, -EXPONENT);
    for (size_t i = 0; i < o->layout->n; i++) {
        const struct vq_param *p = &o->layout->at[i];
        if (p->is_codebook)
            continue;
        struct run r = {.job = job,
                        .param = p,
                        .b = bands_of(p),
                        .p = job->params + p->offset,
                        .g = job->grads + p->offset,
                        .p_squares = (double *)(void *)work,
                        .keep = (float)keep};
        r.u_squares = r.p_squares + MAX_BANDS;
        r.col_sums = r.u_squares + MAX_BANDS;
        r.col = (float *)(void *)(r.col_sums + r.b.n * r.b.cols);
        r.row = r.col + r.b.cols;
        if (!factored(p))
            r.v = vq_optim_slot(o, p, V)->data;
        step_param(&r);
    }
}

const struct vq_optim_kind vq_optim_adafactor = {
    .name = "adafactor",
    .n_moments = 3,
    .moment = {[V] = {"v", VQ_F32}, [V_COL] = {"v_col", VQ_F32}, [V_ROW] = {"v_row", VQ_F32}},
    .empties = 5,
    .shape = shape,
    .workspace = workspace,
    .step = step,
};
