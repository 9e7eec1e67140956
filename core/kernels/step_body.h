/*
 * step_body: the one body of the kernels of step.h, included by a file per instruction set that
 * defines STEP_TABLE (the table's symbol) and STEP_NAME. Plain loops, left to the compiler to turn
 * into vectors, as in vec_body.h.
 */
#include <math.h>

#include "core/base/half.h"
#include "core/kernels/step.h"
#include "core/kernels/vec_math.h"

#define TINY 1e-30f /* keeps second moments off zero */

/* LANES partial sums in double, added up pairwise. */
static double sum_double(double *acc)
{
    for (size_t w = LANES / 2; w > 0; w /= 2) {
        for (size_t j = 0; j < w; j++)
            acc[j] += acc[j + w];
    }
    return acc[0];
}

static inline double square(float x)
{
    return (double)x * (double)x;
}

static double step_sum_squares(const float *x, size_t n)
{
    double acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] += square(x[i + j]);
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] += square(x[i + j]);
    return sum_double(acc);
}

static void step_sgd(float *p, const float *g, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        p[i] -= g[i];
}

/* p after a step of `move` and the decay. */
static inline float moved(float p, float rate, float move, float decay)
{
    return p - madd(rate, move, decay * p);
}

static void step_adamw(float *p, float *mu, float *nu, const float *g, size_t n,
                       const struct vq_step_adam *c)
{
    const struct vq_step_adam k = *c;
    EACH
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * k.clip;
        float m = madd(k.b1, mu[i], k.fresh1 * x);
        float v = madd(k.b2, nu[i], k.fresh2 * (x * x));
        mu[i] = m;
        nu[i] = v;
        p[i] = moved(p[i], k.rate, m * k.scale1 / (sqrtf(v * k.scale2) + k.eps), k.decay);
    }
}

static inline float as_bf16(float x)
{
    return vq_bf16_to_f32(vq_f32_to_bf16(x));
}

static inline float sign(float x)
{
    return (float)(x > 0.0f) - (float)(x < 0.0f);
}

static void step_lion(float *p, uint16_t *mu, const float *g, size_t n,
                      const struct vq_step_lion *c)
{
    const struct vq_step_lion k = *c;
    EACH
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * k.clip, m = vq_bf16_to_f32(mu[i]);
        float move = sign(as_bf16(k.b1 * m) + k.fresh1 * x);
        mu[i] = vq_f32_to_bf16(as_bf16(k.b2 * m) + k.fresh2 * x);
        p[i] = moved(p[i], k.rate, move, k.decay);
    }
}

static double step_add_squares(double *sums, const float *g, size_t n)
{
    double acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            double s = square(g[i + j]);
            sums[i + j] += s;
            acc[j] += s;
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        double s = square(g[i + j]);
        sums[i + j] += s;
        acc[j] += s;
    }
    return sum_double(acc);
}

static double step_scaled_squares(const float *g, const float *col, size_t n)
{
    double acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] += square(g[i + j] * col[i + j]);
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] += square(g[i + j] * col[i + j]);
    return sum_double(acc);
}

static void step_scaled(float *p, const float *g, const float *col, size_t n, float rate,
                        float decay)
{
    EACH
    for (size_t i = 0; i < n; i++)
        p[i] = moved(p[i], rate, g[i] * col[i], decay);
}

static inline float new_moment(float *v, float x, float keep)
{
    return *v = madd(keep, *v, (1.0f - keep) * madd(x, x, TINY));
}

static double step_second_moment(float *v, const float *g, size_t n, float clip, float keep)
{
    double acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float x = g[i + j] * clip;
            acc[j] += square(x) / (double)new_moment(&v[i + j], x, keep);
        }
    }
    for (size_t j = 0; i + j < n; j++) {
        float x = g[i + j] * clip;
        acc[j] += square(x) / (double)new_moment(&v[i + j], x, keep);
    }
    return sum_double(acc);
}

static void step_by_moment(float *p, const float *g, const float *v, size_t n, float rate,
                           float decay)
{
    EACH
    for (size_t i = 0; i < n; i++)
        p[i] = moved(p[i], rate, g[i] / sqrtf(v[i]), decay);
}

const struct vq_step STEP_TABLE = {
    .name = STEP_NAME,
    .sum_squares = step_sum_squares,
    .sgd = step_sgd,
    .adamw = step_adamw,
    .lion = step_lion,
    .add_squares = step_add_squares,
    .scaled_squares = step_scaled_squares,
    .scaled = step_scaled,
    .second_moment = step_second_moment,
    .by_moment = step_by_moment,
};
