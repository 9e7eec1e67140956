/*
 * sinusoid: sin_emb(p) of width D: [sin(p w_0) .., cos(p w_0) ..] with w_i = lam^(-2i/D); sines
 * first, then cosines. Angles and functions are computed in double: in float they are off by 3e-5
 * at position 12,000.
 */
#ifndef VQ_CORE_MODEL_SINUSOID_H
#define VQ_CORE_MODEL_SINUSOID_H

#include <stddef.h>

#include "core/base/err.h"

/* The D/2 frequencies, the caller's to free; NULL when memory is out. */
double *vq_sinusoid_frequencies(size_t D, double lam);

/* out[D] = sin_emb(position). An odd D leaves the last element 0. */
void vq_sinusoid(float *out, size_t D, const double *frequencies, double position);

#endif
