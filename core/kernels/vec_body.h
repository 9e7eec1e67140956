/*
 * vec_body: the one body of the kernels of vec.h, included by a file per instruction set that
 * defines VEC_TABLE (the table's symbol) and VEC_NAME. Plain loops, left to the compiler to turn
 * into vectors; reductions keep LANES partial results in a fixed order, so that the sets differ by
 * fused multiply-add alone: by at most a few units in the last place of each term.
 */
#include <math.h>

#include "core/kernels/vec.h"
#include "core/kernels/vec_math.h"

#define CHUNK 1024 /* floats of scratch */

static float vec_dot(const float *x, const float *y, size_t n)
{
    return lanes_dot(x, y, n);
}

static void vec_rms_norm(float *y, const float *x, size_t n, const float *g, const float *b,
                         float scale)
{
    if (!n)
        return;
    float root = sqrtf(lanes_dot(x, x, n) / (float)n + 1e-6f);
    float f = scale / root;
    if (g && b) {
        EACH
        for (size_t i = 0; i < n; i++)
            y[i] = madd(x[i] * f, g[i], b[i]);
    } else if (g) {
        EACH
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * f * g[i];
    } else {
        EACH
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * f + (b ? b[i] : 0.0f);
    }
}

static void vec_silu(float *y, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / (1.0f + exp1(-x[i]));
}

static void vec_add(float *y, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void vec_mul(float *y, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] *= x[i];
}

static void vec_scale(float *y, float a, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

static void vec_axpy(float *y, float a, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] = madd(a, x[i], y[i]);
}

static void vec_mix(float *y, float a, float b, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] = madd(a, y[i], b * x[i]);
}

static float vec_max(const float *x, size_t n)
{
    float acc[LANES];
    for (size_t j = 0; j < LANES; j++)
        acc[j] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] = x[i + j] > acc[j] ? x[i + j] : acc[j];
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] = x[i + j] > acc[j] ? x[i + j] : acc[j];
    float top = -INFINITY;
    for (size_t j = 0; j < LANES; j++)
        top = acc[j] > top ? acc[j] : top;
    return top;
}

/* A difference that is never taken where x is -inf, since top may be so too. */
static inline void exp_row(float *y, const float *x, float top, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++) {
        float d = x[i] - top;
        y[i] = exp1(x[i] == -INFINITY ? -INFINITY : d);
    }
}

static void add_lanes(float *acc, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] += x[i + j];
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] += x[i + j];
}

static float vec_exp_sum(float *y, const float *x, float top, size_t n)
{
    float acc[LANES] = {0};
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        exp_row(y + i, x + i, top, m);
        add_lanes(acc, y + i, m);
    }
    return sum_lanes(acc);
}

static inline float distance(const float *dot, const float *norm2, size_t i)
{
    return norm2[i] - 2.0f * dot[i];
}

/* Two passes, one for the least value and one for where it first is: both are vectors throughout,
 * and a tie needs no rule. */
static size_t vec_nearest(const float *dot, const float *norm2, size_t n)
{
    float acc[LANES];
    for (size_t j = 0; j < LANES; j++)
        acc[j] = INFINITY;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float d = distance(dot, norm2, i + j);
            acc[j] = d < acc[j] ? d : acc[j];
        }
    }
    float least = INFINITY;
    for (; i < n; i++)
        least = distance(dot, norm2, i) < least ? distance(dot, norm2, i) : least;
    for (size_t j = 0; j < LANES; j++)
        least = acc[j] < least ? acc[j] : least;
    for (i = 0; i + LANES <= n; i += LANES) {
        uint32_t here = 0;
        for (size_t j = 0; j < LANES; j++)
            here |= distance(dot, norm2, i + j) == least;
        if (here)
            break;
    }
    for (; i < n; i++) {
        if (distance(dot, norm2, i) == least)
            return i;
    }
    return 0;
}

static void vec_gather(float *y, const float *table, const int32_t *index, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] = table[index[i]];
}

/* Eight partial sums in double, always added up in the same order. */
static double sum_double(const float *x, size_t n)
{
    double acc[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++)
            acc[j] += (double)x[i + j];
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] += (double)x[i + j];
    return ((acc[0] + acc[4]) + (acc[1] + acc[5])) + ((acc[2] + acc[6]) + (acc[3] + acc[7]));
}

static void vec_log_softmax(float *x, size_t n)
{
    float top = vec_max(x, n);
    float e[CHUNK];
    double sum = 0.0;
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        exp_row(e, x + i, top, m);
        sum += sum_double(e, m);
    }
    double shift = (double)top + log(sum);
    EACH
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] - shift);
}

const struct vq_vec VEC_TABLE = {
    .name = VEC_NAME,
    .rms_norm = vec_rms_norm,
    .silu = vec_silu,
    .add = vec_add,
    .mul = vec_mul,
    .scale = vec_scale,
    .axpy = vec_axpy,
    .mix = vec_mix,
    .dot = vec_dot,
    .max = vec_max,
    .exp_sum = vec_exp_sum,
    .nearest = vec_nearest,
    .gather = vec_gather,
    .log_softmax = vec_log_softmax,
};
