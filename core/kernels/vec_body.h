/*
 * vec_body: the one body of the kernels of vec.h, included by a file per instruction set that
 * defines VEC_TABLE (the table's symbol) and VEC_NAME. Plain loops, left to the compiler to turn
 * into vectors; reductions keep LANES partial results in a fixed order, so that the sets differ by
 * fused multiply-add alone: by at most a few units in the last place of each term.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/kernels/vec.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Elements of a loop depend on nothing but their own index: x and y may be one array. */
#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH _Pragma("GCC ivdep")
#endif

#define LANES 32   /* partial results of a reduction */
#define CHUNK 1024 /* floats of scratch */

/* Fused where the set has it, in vector bodies and tails alike: alignment and length of the rest
 * of the array never change an element. */
static inline float madd(float a, float b, float c)
{
#if defined(__FMA__) || defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/*
 * exp(x): x = n ln2 + r with |r| <= ln2 / 2, ln2 in two parts of which n times the first is exact
 * (Cody and Waite); a polynomial of degree 6 in r; then 2^n in two factors, so that results below
 * the smallest normal number round once more instead of vanishing. NaN gives NaN, -inf gives 0.
 */
static inline float exp1(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    const float low = -105.0f, high = 89.0f;
    x = low > x ? low : x;
    x = high < x ? high : x;
    float shifted = madd(x, 1.44269504f, magic);
    float n = shifted - magic;
    float r = madd(n, -0.693359375f, x);
    r = madd(n, 2.12194440e-4f, r);
    float p = 1.0f / 720.0f;
    p = madd(p, r, 1.0f / 120.0f);
    p = madd(p, r, 1.0f / 24.0f);
    p = madd(p, r, 1.0f / 6.0f);
    p = madd(p, r, 0.5f);
    p = madd(p, r, 1.0f);
    p = madd(p, r, 1.0f);
    int32_t e = (int32_t)(to_bits(shifted) - to_bits(magic));
    int32_t half = e >> 1;
    float s1 = from_bits((uint32_t)(half + 127) << 23);
    float s2 = from_bits((uint32_t)(e - half + 127) << 23);
    return p * s1 * s2;
}

/* Halves LANES partial sums pairwise. */
static float sum_lanes(float *acc)
{
    for (size_t w = LANES / 2; w > 0; w /= 2) {
        for (size_t j = 0; j < w; j++)
            acc[j] += acc[j + w];
    }
    return acc[0];
}

static float vec_dot(const float *x, const float *y, size_t n)
{
    float acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] = madd(x[i + j], y[i + j], acc[j]);
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] = madd(x[i + j], y[i + j], acc[j]);
    return sum_lanes(acc);
}

static void vec_rms_norm(float *y, const float *x, size_t n, const float *g, const float *b,
                         float scale)
{
    if (!n)
        return;
    float root = sqrtf(vec_dot(x, x, n) / (float)n + 1e-6f);
    float f = scale / root;
    if (g && b) {
        EACH for (size_t i = 0; i < n; i++) y[i] = madd(x[i] * f, g[i], b[i]);
    } else if (g) {
        EACH for (size_t i = 0; i < n; i++) y[i] = x[i] * f * g[i];
    } else {
        EACH for (size_t i = 0; i < n; i++) y[i] = x[i] * f + (b ? b[i] : 0.0f);
    }
}

static void vec_silu(float *y, const float *x, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = x[i] / (1.0f + exp1(-x[i]));
}

static void vec_add(float *y, const float *x, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void vec_mul(float *y, const float *x, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] *= x[i];
}

static void vec_scale(float *y, float a, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] *= a;
}

static void vec_axpy(float *y, float a, const float *x, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = madd(a, x[i], y[i]);
}

static void vec_mix(float *y, float a, float b, const float *x, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = madd(a, y[i], b * x[i]);
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
    EACH for (size_t i = 0; i < n; i++)
    {
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

/* The first that is not NaN, for rows in which nothing lies below +inf. */
static size_t nearest_of_none(const float *dot, const float *norm2, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float d = norm2[i] - 2.0f * dot[i];
        if (d == d)
            return i;
    }
    return 0;
}

static size_t vec_nearest(const float *dot, const float *norm2, size_t n)
{
    float best[LANES];
    uint32_t at[LANES]; /* which round each lane's best is from */
    for (size_t j = 0; j < LANES; j++) {
        best[j] = INFINITY;
        at[j] = 0;
    }
    size_t rounds = n / LANES;
    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < LANES; j++) {
            float d = norm2[i * LANES + j] - 2.0f * dot[i * LANES + j];
            bool less = d < best[j];
            best[j] = less ? d : best[j];
            at[j] = less ? (uint32_t)i : at[j];
        }
    }
    float top = INFINITY;
    size_t index = n;
    for (size_t j = 0; j < LANES; j++) {
        size_t i = (size_t)at[j] * LANES + j;
        if (best[j] < top || (best[j] == top && top < INFINITY && i < index)) {
            top = best[j];
            index = i;
        }
    }
    for (size_t i = rounds * LANES; i < n; i++) {
        float d = norm2[i] - 2.0f * dot[i];
        if (d < top) {
            top = d;
            index = i;
        }
    }
    return index < n ? index : nearest_of_none(dot, norm2, n);
}

static void vec_gather(float *y, const float *table, const int32_t *index, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = table[index[i]];
}

/* Sums in double, eight at a time: the eighth parts of a long row are added in this order always. */
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
    double log_sum = log(sum);
    EACH for (size_t i = 0; i < n; i++) x[i] = (float)((double)(x[i] - top) - log_sum);
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
