/*
 * Averages as the authors take them: codebook metrics over module-heads; means of keys over keys;
 * extremes of keys inside a group, then over groups.
 */
#include "core/inspect/metrics.h"

#include <math.h>

static const char *const names[] = {
    [VQ_C_SIM_MIN] = "c_sim_min",
    [VQ_C_SIM_MEAN] = "c_sim_mean",
    [VQ_C_SIM_MAX] = "c_sim_max",
    [VQ_C_DIST_MIN] = "c_dist_min",
    [VQ_C_DIST_MEAN] = "c_dist_mean",
    [VQ_C_DIST_MAX] = "c_dist_max",
    [VQ_C_NORM_MIN] = "c_norm_min",
    [VQ_C_NORM_MEAN] = "c_norm_mean",
    [VQ_C_NORM_MAX] = "c_norm_max",
    [VQ_C_USAGE_MIN] = "c_usage_min",
    [VQ_C_USAGE_MEAN] = "c_usage_mean",
    [VQ_C_USAGE_MAX] = "c_usage_max",
    [VQ_C_THRESH_OOB] = "c_thresh_oob",
    [VQ_C_ENTROPY] = "c_entropy",
    [VQ_VEC_NORM_MEAN] = "vec_norm_mean",
    [VQ_VEC_HAT_NORM_MEAN] = "vec_hat_norm_mean",
    [VQ_RELATIVE_ERR_MIN] = "relative_err_min",
    [VQ_RELATIVE_ERR_MEAN] = "relative_err_mean",
    [VQ_RELATIVE_ERR_MAX] = "relative_err_max",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == VQ_METRICS, "a name for each metric");

const char *vq_metric_name(enum vq_metric m)
{
    return names[m];
}

static void add_stat(struct vq_metrics *m, enum vq_metric min, const struct vq_stat *s)
{
    m->sum[min] += s->min;
    m->sum[min + 1] += s->mean;
    m->sum[min + 2] += s->max;
}

void vq_metrics_codebook(struct vq_metrics *m, const struct vq_counts *counts,
                         const struct vq_geometry *geometry)
{
    add_stat(m, VQ_C_SIM_MIN, &geometry->sim);
    add_stat(m, VQ_C_DIST_MIN, &geometry->dist);
    add_stat(m, VQ_C_NORM_MIN, &geometry->norm);
    add_stat(m, VQ_C_USAGE_MIN, &counts->usage);
    m->sum[VQ_C_THRESH_OOB] += (double)counts->out_of_bounds;
    m->sum[VQ_C_ENTROPY] += counts->entropy;
    m->codebooks++;
}

struct key {
    double norm, norm_hat, rel;
};

static struct key measure(const float *k, const float *c, size_t K)
{
    double kk = 0.0, cc = 0.0, dd = 0.0;
    for (size_t i = 0; i < K; i++) {
        double d = (double)k[i] - c[i];
        kk += (double)k[i] * k[i];
        cc += (double)c[i] * c[i];
        dd += d * d;
    }
    return (struct key){sqrt(kk), sqrt(cc), dd > 0.0 ? sqrt(dd / kk) : 0.0};
}

void vq_metrics_keys(struct vq_metrics *m, const float *k, size_t ldk, const int32_t *z, size_t n,
                     const float *C, size_t K, double *rel)
{
    double min = INFINITY, max = 0.0;
    if (n == 0)
        return;
    for (size_t t = 0; t < n; t++) {
        struct key key = measure(k + t * ldk, C + (size_t)z[t] * K, K);
        m->sum[VQ_VEC_NORM_MEAN] += key.norm;
        m->sum[VQ_VEC_HAT_NORM_MEAN] += key.norm_hat;
        m->sum[VQ_RELATIVE_ERR_MEAN] += key.rel;
        min = fmin(min, key.rel);
        max = fmax(max, key.rel);
        if (rel)
            rel[t] = key.rel;
    }
    m->sum[VQ_RELATIVE_ERR_MIN] += min;
    m->sum[VQ_RELATIVE_ERR_MAX] += max;
    m->keys += n;
    m->groups++;
}

void vq_metrics_merge(struct vq_metrics *m, const struct vq_metrics *other)
{
    for (int i = 0; i < VQ_METRICS; i++)
        m->sum[i] += other->sum[i];
    m->codebooks += other->codebooks;
    m->groups += other->groups;
    m->keys += other->keys;
}

double vq_metrics_get(const struct vq_metrics *m, enum vq_metric metric)
{
    uint64_t n = m->codebooks;
    if (metric == VQ_RELATIVE_ERR_MIN || metric == VQ_RELATIVE_ERR_MAX)
        n = m->groups;
    else if (metric >= VQ_VEC_NORM_MEAN)
        n = m->keys;
    return n ? m->sum[metric] / (double)n : NAN;
}
