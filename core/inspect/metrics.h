/*
 * metrics: the numbers that the authors log about their quantisers, under their names, averaged
 * over heads, modules and blocks. Codebook metrics (c_*) come from vq_counts and vq_geometry of
 * each module-head, with VQ_COUNT_CLIP; error metrics from groups of keys, a group being the keys
 * of one block, head and batch row: their minimum and maximum are taken inside a group and then
 * averaged, so they depend on the block length, as the authors' do.
 */
#ifndef VQ_CORE_INSPECT_METRICS_H
#define VQ_CORE_INSPECT_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "core/inspect/codebook.h"

enum vq_metric {
    VQ_C_SIM_MIN,
    VQ_C_SIM_MEAN,
    VQ_C_SIM_MAX,
    VQ_C_DIST_MIN,
    VQ_C_DIST_MEAN,
    VQ_C_DIST_MAX,
    VQ_C_NORM_MIN,
    VQ_C_NORM_MEAN,
    VQ_C_NORM_MAX,
    VQ_C_USAGE_MIN,
    VQ_C_USAGE_MEAN,
    VQ_C_USAGE_MAX,
    VQ_C_THRESH_OOB,
    VQ_C_ENTROPY,
    VQ_VEC_NORM_MEAN,     /* |k| */
    VQ_VEC_HAT_NORM_MEAN, /* |k^| */
    VQ_RELATIVE_ERR_MIN,  /* |k - k^| / |k| */
    VQ_RELATIVE_ERR_MEAN,
    VQ_RELATIVE_ERR_MAX,
    VQ_METRICS
};
/* "c_sim_min", "relative_err_mean", ... Never NULL for a metric. */
const char *vq_metric_name(enum vq_metric m);

/* Sums; start from {0}. */
struct vq_metrics {
    double sum[VQ_METRICS];
    uint64_t codebooks; /* module-heads added */
    uint64_t groups;    /* groups of keys added */
    uint64_t keys;      /* keys in them */
};

/* Adds one module-head. */
void vq_metrics_codebook(struct vq_metrics *m, const struct vq_counts *counts,
                         const struct vq_geometry *geometry);

/*
 * Adds one group: n keys k (rows of K, ldk apart) that were quantised to the rows z[n] of C[S,K].
 * rel (optional) receives each key's |k - k^| / |k|; a zero key has 0 when it is met exactly, else
 * infinity. n = 0 adds nothing.
 */
void vq_metrics_keys(struct vq_metrics *m, const float *k, size_t ldk, const int32_t *z, size_t n,
                     const float *C, size_t K, double *rel);

void vq_metrics_merge(struct vq_metrics *m, const struct vq_metrics *other);

/* The average so far; NaN when nothing of its kind was added. */
double vq_metrics_get(const struct vq_metrics *m, enum vq_metric metric);

#endif
