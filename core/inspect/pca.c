#include "core/inspect/pca.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define SWEEPS 60 /* Jacobi's method needs 6 to 10 */

/* The codes that are fitted, centred, and what is made of them. */
struct pca {
    size_t n, K, d; /* codes fitted, width, order of the matrix: the smaller of the two */
    double *x;      /* [n, K] */
    double *mean;   /* [K] */
    double *a;      /* [d, d] X^T X or X X^T */
    double *v;      /* [d, d] eigenvectors in columns */
    double *axis;   /* [2, K] */
};

static void release(struct pca *p)
{
    free(p->x);
    free(p->mean);
    free(p->a);
    free(p->v);
    free(p->axis);
}

static enum vq_status reserve(struct pca *p, size_t n, size_t K, struct vq_err *err)
{
    size_t cells, square;
    *p = (struct pca){.n = n, .K = K, .d = n < K ? n : K};
    if (vq_mul_ok(n, K, &cells) && vq_mul_ok(p->d, p->d, &square)) {
        p->x = vq_alloc(cells, sizeof(*p->x));
        p->mean = vq_calloc(K, sizeof(*p->mean));
        p->a = vq_calloc(square, sizeof(*p->a));
        p->v = vq_calloc(square, sizeof(*p->v));
        p->axis = vq_calloc(2 * K, sizeof(*p->axis));
    }
    if (p->x && p->mean && p->a && p->v && p->axis)
        return VQ_OK;
    release(p);
    return vq_nomem(err, "a map of codes", n, K * sizeof(double));
}

static void load(struct pca *p, const float *C, size_t S, const bool *fit)
{
    size_t n = 0, K = p->K;
    for (size_t s = 0; s < S; s++) {
        if (fit && !fit[s])
            continue;
        for (size_t k = 0; k < K; k++) {
            p->x[n * K + k] = C[s * K + k];
            p->mean[k] += C[s * K + k];
        }
        n++;
    }
    for (size_t k = 0; k < K; k++)
        p->mean[k] /= (double)n;
    for (size_t i = 0; i < n * K; i++)
        p->x[i] -= p->mean[i % K];
}

static void make_matrix(struct pca *p)
{
    bool gram = p->d < p->K; /* fewer codes than dimensions */
    size_t inner = gram ? p->K : p->n, K = p->K;
    for (size_t i = 0; i < p->d; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = 0.0;
            for (size_t t = 0; t < inner; t++)
                sum += gram ? p->x[i * K + t] * p->x[j * K + t] : p->x[t * K + i] * p->x[t * K + j];
            p->a[i * p->d + j] = p->a[j * p->d + i] = sum;
        }
}

/* One rotation that makes a[i,j] zero. */
static void rotate(struct pca *p, size_t i, size_t j)
{
    size_t d = p->d;
    double *a = p->a, aij = a[i * d + j];
    double theta = (a[j * d + j] - a[i * d + i]) / (2.0 * aij);
    double t = (theta >= 0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (size_t k = 0; k < d; k++) {
        double x = a[k * d + i], y = a[k * d + j];
        a[k * d + i] = c * x - s * y;
        a[k * d + j] = s * x + c * y;
    }
    for (size_t k = 0; k < d; k++) {
        double x = a[i * d + k], y = a[j * d + k];
        a[i * d + k] = c * x - s * y;
        a[j * d + k] = s * x + c * y;
        x = p->v[k * d + i];
        y = p->v[k * d + j];
        p->v[k * d + i] = c * x - s * y;
        p->v[k * d + j] = s * x + c * y;
    }
}

/* Sums of squares off the diagonal and in all. */
static double off_diagonal(const struct pca *p, double *all)
{
    double off = 0.0;
    *all = 0.0;
    for (size_t i = 0; i < p->d * p->d; i++) {
        double square = p->a[i] * p->a[i];
        *all += square;
        off += i % (p->d + 1) ? square : 0.0;
    }
    return off;
}

static enum vq_status diagonalise(struct pca *p, const struct vq_cancel *cancel, struct vq_err *err)
{
    size_t d = p->d;
    double all;
    for (size_t i = 0; i < d; i++)
        p->v[i * d + i] = 1.0;
    for (int sweep = 0; sweep < SWEEPS && off_diagonal(p, &all) > 1e-28 * all; sweep++)
        for (size_t i = 0; i < d; i++) {
            if (vq_cancelled(cancel))
                return vq_fail(err, VQ_ECANCELLED, "cancelled while mapping codes");
            for (size_t j = i + 1; j < d; j++)
                if (p->a[i * d + j] != 0.0)
                    rotate(p, i, j);
        }
    return VQ_OK;
}

/* The eigenvector of column `at` as a unit direction of K entries. */
static void take_axis(const struct pca *p, size_t at, double *axis)
{
    size_t d = p->d, K = p->K, largest = 0;
    double norm = 0.0;
    for (size_t k = 0; k < K; k++) {
        axis[k] = 0.0;
        for (size_t t = 0; d < K && t < d; t++)
            axis[k] += p->x[t * K + k] * p->v[t * d + at];
        axis[k] = d < K ? axis[k] : p->v[k * d + at];
        norm += axis[k] * axis[k];
        largest = fabs(axis[k]) > fabs(axis[largest]) ? k : largest;
    }
    double scale = norm > 0.0 ? (axis[largest] < 0.0 ? -1.0 : 1.0) / sqrt(norm) : 0.0;
    for (size_t k = 0; k < K; k++)
        axis[k] *= scale;
}

/* The two largest eigenvalues and their directions. */
static void take_axes(struct pca *p, struct vq_map *map)
{
    size_t d = p->d, used = SIZE_MAX;
    double trace = 0.0;
    for (size_t i = 0; i < d; i++)
        trace += p->a[i * d + i];
    for (int k = 0; k < 2; k++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < d; i++)
            if (i != used && (best == SIZE_MAX || p->a[i * d + i] > p->a[best * d + best]))
                best = i;
        map->explained[k] = 0.0;
        /* What rounding leaves of a direction without spread is no direction. */
        if (best == SIZE_MAX || p->a[best * d + best] <= 1e-12 * trace)
            continue;
        map->explained[k] = p->a[best * d + best] / trace;
        take_axis(p, best, p->axis + (size_t)k * p->K);
        used = best;
    }
}

static void place(const struct pca *p, double *xy, const float *C, size_t S)
{
    for (size_t s = 0; s < S; s++)
        for (size_t k = 0; k < 2; k++) {
            xy[2 * s + k] = 0.0;
            for (size_t i = 0; i < p->K; i++)
                xy[2 * s + k] += (C[s * p->K + i] - p->mean[i]) * p->axis[k * p->K + i];
        }
}

enum vq_status vq_map_codes(double *xy, struct vq_map *map, const float *C, size_t S, size_t K,
                            const bool *fit, const struct vq_cancel *cancel, struct vq_err *err)
{
    struct pca p;
    size_t n = 0;
    for (size_t s = 0; fit && s < S; s++)
        n += fit[s];
    if (n < 2) {
        fit = NULL;
        n = S;
    }
    enum vq_status status = reserve(&p, n, K, err);
    if (status != VQ_OK)
        return status;
    load(&p, C, S, fit);
    make_matrix(&p);
    status = diagonalise(&p, cancel, err);
    if (status == VQ_OK) {
        take_axes(&p, map);
        place(&p, xy, C, S);
    }
    release(&p);
    return status;
}
