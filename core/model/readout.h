/*
 * readout: from the residual stream to logits, for looking inside a forward pass. The matrices are
 * the engine's own, in the format it runs with, so that what is shown is what the model computes.
 */
#ifndef VQ_CORE_MODEL_READOUT_H
#define VQ_CORE_MODEL_READOUT_H

#include "core/model/engine.h"

/*
 * Logits of rows of the residual stream x[rows, D] into out[rows, N], as the head of the model
 * makes them after the last module: out_ln where there is one (e_preln), the output matrix, its
 * bias, e_scale. Of a stream that has not passed all modules it is the "logit lens". VQ_ENOMEM.
 */
enum vq_status vq_readout_logits(const struct vq_engine *e, const float *x, size_t rows, float *out,
                                 struct vq_err *err);

/*
 * What each of n parts of a residual stream adds to every logit: parts[n, D] sum to the stream x[D]
 * before the head. out[n + 1, N]; its last row is what belongs to no part, the biases. The rows sum
 * to the logits of x: exactly (up to rounding) without out_ln; with it the factor 1 / rms(x) is
 * that of the whole stream and counts as fixed, so the sum is exact again while each row tells what
 * the part adds at that factor, not what the logit would be without it. VQ_ENOMEM.
 */
enum vq_status vq_readout_parts(const struct vq_engine *e, const float *parts, size_t n,
                                const float *x, float *out, struct vq_err *err);

/* The factor 1 / rms(x) of out_ln for a stream x[D], 1 where the model has no out_ln. */
double vq_readout_factor(const struct vq_engine *e, const float *x);

#endif
