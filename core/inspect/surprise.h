/*
 * surprise: what one row of log-probabilities says about the token that came, and how two rows
 * differ.
 */
#ifndef VQ_CORE_INSPECT_SURPRISE_H
#define VQ_CORE_INSPECT_SURPRISE_H

#include <stddef.h>
#include <stdint.h>

struct vq_surprise {
    double nats;    /* minus the log-probability of the token */
    double entropy; /* nats, of the row: the surprise that was to be expected */
    size_t rank;    /* of the token, 1 for the likeliest; ties share the better rank */
    int32_t best;   /* the likeliest token, the lowest id on a tie */
};
/* Of logprobs[N] (log-softmax) and a token below N. */
struct vq_surprise vq_surprise_of(const float *logprobs, size_t N, int32_t token);

/* Kullback-Leibler divergence sum p (log p - log q) in nats of two rows of log-probabilities; 0
 * exactly for equal rows, never below 0. */
double vq_divergence(const float *p, const float *q, size_t N);

/* Indices of the k largest of v[n], largest first, lower index first on a tie; k <= n. */
void vq_largest(size_t *best, size_t k, const float *v, size_t n);

#endif
