#include "core/model/readout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/engine_private.h"

#define EPSILON 1e-6 /* of every rms in the model */

enum vq_status vq_readout_logits(const struct vq_engine *e, const float *x, size_t rows, float *out,
                                 struct vq_err *err)
{
    size_t D = e->D, N = e->N, cells;
    float *h = NULL;
    if (e->out_ln_g) {
        h = vq_mul_ok(rows, D, &cells) ? vq_alloc_f32(cells) : NULL;
        if (!h)
            return vq_nomem(err, "rows of a residual stream", rows, D * sizeof(*h));
        for (size_t i = 0; i < rows; i++)
            e->vec->rms_norm(h + i * D, x + i * D, D, e->out_ln_g, e->out_ln_b, 1.0f);
    }
    vq_weight_mul(e->gemm, e->pool, e->logits, rows, h ? h : x, D, out, N, false);
    for (size_t i = 0; i < rows; i++) {
        e->vec->add(out + i * N, e->logits_bias, N);
        e->vec->scale(out + i * N, (float)e->config.e_scale, N);
    }
    free(h);
    return VQ_OK;
}

double vq_readout_factor(const struct vq_engine *e, const float *x)
{
    double squares = 0.0;
    if (!e->out_ln_g)
        return 1.0;
    for (size_t d = 0; d < e->D; d++)
        squares += (double)x[d] * x[d];
    return 1.0 / sqrt(squares / (double)e->D + EPSILON);
}

enum vq_status vq_readout_parts(const struct vq_engine *e, const float *parts, size_t n,
                                const float *x, float *out, struct vq_err *err)
{
    size_t D = e->D, N = e->N, cells;
    double factor = vq_readout_factor(e, x);
    float *h = vq_mul_ok(n + 1, D, &cells) ? vq_alloc_f32(cells) : NULL;
    if (!h)
        return vq_nomem(err, "parts of a residual stream", n + 1, D * sizeof(*h));
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < D; d++) {
            double gain = e->out_ln_g ? (double)e->out_ln_g[d] * factor : 1.0;
            h[i * D + d] = (float)(parts[i * D + d] * gain);
        }
    if (e->out_ln_b) /* the last row is zero without it */
        memcpy(h + n * D, e->out_ln_b, D * sizeof(*h));
    vq_weight_mul(e->gemm, e->pool, e->logits, n + 1, h, D, out, N, false);
    e->vec->add(out + n * N, e->logits_bias, N);
    e->vec->scale(out, (float)e->config.e_scale, (n + 1) * N);
    free(h);
    return VQ_OK;
}
