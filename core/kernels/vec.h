/*
 * vec: element-wise and row kernels on plain arrays. Each has one body, compiled for each
 * instruction set (vec_body.h) and chosen at run time; the portable build of it is the tests'
 * oracle. Lengths are arbitrary, pointers need no alignment, results do not depend on alignment.
 * x and y may be the same array where both are named, and must not overlap otherwise.
 */
#ifndef VQ_CORE_KERNELS_VEC_H
#define VQ_CORE_KERNELS_VEC_H

#include <stddef.h>
#include <stdint.h>

struct vq_vec {
    const char *name; /* "portable", "avx2", "avx512" */

    /* y[i] = (x[i] / sqrt(mean(x^2) + 1e-6)) * scale * g[i] + b[i]; g and b may be NULL (1, 0). */
    void (*rms_norm)(float *y, const float *x, size_t n, const float *g, const float *b,
                     float scale);
    void (*silu)(float *y, const float *x, size_t n);                  /* x / (1 + exp(-x)) */
    void (*add)(float *y, const float *x, size_t n);                   /* y += x */
    void (*mul)(float *y, const float *x, size_t n);                   /* y *= x */
    void (*scale)(float *y, float a, size_t n);                        /* y *= a */
    void (*axpy)(float *y, float a, const float *x, size_t n);         /* y += a x */
    void (*mix)(float *y, float a, float b, const float *x, size_t n); /* y = a y + b x */
    float (*dot)(const float *x, const float *y, size_t n);
    float (*max)(const float *x, size_t n); /* -inf for n = 0; NaN never wins */
    /* y[i] = exp(x[i] - top), returning the sum; relative error of exp below 2e-7; x[i] = -inf
     * gives 0. */
    float (*exp_sum)(float *y, const float *x, float top, size_t n);
    /* argmin over s of norm2[s] - 2 dot[s]; the first index wins a tie; n >= 1. NaN never wins. */
    size_t (*nearest)(const float *dot, const float *norm2, size_t n);
    /* y[i] = table[index[i]] */
    void (*gather)(float *y, const float *table, const int32_t *index, size_t n);
    /* log-softmax in place: x[i] -= log(sum exp(x)); exact maximum subtracted first, sum in
     * double. A row of -inf alone, or with NaN in it, becomes NaN. */
    void (*log_softmax)(float *x, size_t n);
};

/* The fastest set this processor has. */
const struct vq_vec *vq_vec_default(void);
/* By name; NULL when this build or processor lacks it. */
const struct vq_vec *vq_vec_find(const char *name);

#endif
