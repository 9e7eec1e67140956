/*
 * step: the element-wise passes of the optimisers, each over a stretch of parameters p, gradients g
 * and moments. As in vec.h each has one body (step_body.h), compiled for each instruction set and
 * chosen at run time. Sums are taken in double, in a fixed order.
 *
 * In all of them `clip` is the factor on the gradients, `rate` the learning rate times the
 * schedule's factor, and `decay` the share of p that is taken away besides.
 */
#ifndef VQ_CORE_KERNELS_STEP_H
#define VQ_CORE_KERNELS_STEP_H

#include <stddef.h>
#include <stdint.h>

struct vq_step_adam {
    float clip, rate, decay;
    float b1, b2, eps;
    float fresh1, fresh2; /* 1 - b1, 1 - b2 */
    float scale1, scale2; /* 1 / (1 - b1^t), 1 / (1 - b2^t) */
};

struct vq_step_lion {
    float clip, rate, decay;
    float b1, b2;         /* numbers that bfloat16 holds, as in the authors' code */
    float fresh1, fresh2; /* 1 - b1, 1 - b2 of the unrounded ones */
};

struct vq_step {
    const char *name; /* "portable", "avx2", "avx512" */

    /* sum of x^2 */
    double (*sum_squares)(const float *x, size_t n);
    /* p -= g */
    void (*sgd)(float *p, const float *g, size_t n);
    /* mu, nu = averages of g and g^2; p -= rate mu^ / (sqrt(nu^) + eps) + decay p. */
    void (*adamw)(float *p, float *mu, float *nu, const float *g, size_t n,
                  const struct vq_step_adam *c);
    /* p -= rate sign(b1 mu + (1 - b1) g) + decay p; then mu = b2 mu + (1 - b2) g. Products with mu
     * are rounded to bfloat16, as mu is. */
    void (*lion)(float *p, uint16_t *mu, const float *g, size_t n, const struct vq_step_lion *c);

    /* Adafactor. One row: sums[j] += g[j]^2; returns the row's sum. */
    double (*add_squares)(double *sums, const float *g, size_t n);
    /* sum of (g[j] col[j])^2 */
    double (*scaled_squares)(const float *g, const float *col, size_t n);
    /* p -= rate g[j] col[j] + decay p */
    void (*scaled)(float *p, const float *g, const float *col, size_t n, float rate, float decay);
    /* v = keep v + (1 - keep) ((clip g)^2 + 1e-30); returns the sum of (clip g)^2 / v. */
    double (*second_moment)(float *v, const float *g, size_t n, float clip, float keep);
    /* p -= rate g / sqrt(v) + decay p */
    void (*by_moment)(float *p, const float *g, const float *v, size_t n, float rate, float decay);
};

/* The fastest set this processor has. */
const struct vq_step *vq_step_default(void);
/* By name; NULL when this build or processor lacks it. */
const struct vq_step *vq_step_find(const char *name);

#endif
