/*
 * projection: what the small golden files keep of a tensor of gradients: its largest entry and its
 * norm, projections onto fixed vectors of +1 and -1, and a few entries as they are. A tensor that
 * agrees in all of these agrees; the projections see every entry.
 */
#ifndef VQ_TEST_PROJECTION_H
#define VQ_TEST_PROJECTION_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rng.h"

enum { PROJECTIONS = 6, SAMPLES = 8, KEPT = 2 + PROJECTIONS + SAMPLES };

/* Index of sample i of n entries. */
static inline size_t sample_at(size_t n, size_t i)
{
    return n * (2 * i + 1) / (2 * SAMPLES);
}

/* out: largest magnitude, norm, projections, samples of x[n], tensor number `tensor`. */
static inline void project(double out[KEPT], const float *x, size_t n, size_t tensor)
{
    double max = 0.0, norm2 = 0.0;
    for (size_t i = 0; i < n; i++) {
        max = fmax(max, fabs((double)x[i]));
        norm2 += (double)x[i] * x[i];
    }
    out[0] = max;
    out[1] = sqrt(norm2);
    for (size_t p = 0; p < PROJECTIONS; p++) {
        struct vq_rng r;
        vq_rng_init(&r, p, tensor);
        double sum = 0.0;
        uint64_t bits = 0;
        for (size_t i = 0; i < n; i++, bits >>= 1) {
            if (i % 64 == 0)
                bits = vq_rng_u64(&r);
            sum += bits & 1 ? (double)x[i] : -(double)x[i];
        }
        out[2 + p] = sum;
    }
    for (size_t i = 0; i < SAMPLES; i++)
        out[2 + PROJECTIONS + i] = (double)x[sample_at(n, i)];
}

#endif
