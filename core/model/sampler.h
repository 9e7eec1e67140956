/*
 * sampler: from logits to one token. Temperature, then top-k, then top-p, then a draw; all in
 * double from the exact maximum, so that tiny temperatures and p stay finite.
 */
#ifndef VQ_CORE_MODEL_SAMPLER_H
#define VQ_CORE_MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/rng.h"

enum vq_top_p_rule {
    VQ_TOP_P_EXACT,    /* the smallest set of likeliest tokens whose probability reaches p; p >= 1
                          keeps everything, p <= 0 only the likeliest */
    VQ_TOP_P_REFERENCE /* the authors': keep a token when the ascending cumulative probability
                          exceeds 1 - (p - 1e-4); the likeliest always stays */
};

struct vq_sampler {
    double temperature; /* 0: the likeliest token (first on a tie); 1: the model's own */
    double top_p;
    enum vq_top_p_rule rule;
    int64_t top_k;    /* 0: all */
    int32_t first_id; /* ids below it are never drawn */
    int32_t end_id;   /* nor are this one and those above; 0: there is no such limit */
};
void vq_sampler_default(struct vq_sampler *s); /* 1, 1, exact, 0, 0, 0 */
enum vq_status vq_sampler_check(const struct vq_sampler *s, struct vq_err *err);

/* Probabilities after temperature, masks and renormalisation, into p[n] (0 outside the kept set).
 * work: n size_t. VQ_ENUM when a logit is NaN or nothing can be drawn. */
enum vq_status vq_sampler_probs(const struct vq_sampler *s, const float *logits, size_t n,
                                double *p, size_t *work, struct vq_err *err);

/* Draws an id; *logprob (optional) is the model's own log-probability of it (temperature 1, no
 * masks). Buffers as above. */
enum vq_status vq_sampler_draw(const struct vq_sampler *s, const float *logits, size_t n,
                               struct vq_rng *rng, double *p, size_t *work, int32_t *id,
                               double *logprob, struct vq_err *err);

#endif
