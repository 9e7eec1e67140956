/*
 * vec_math: the scalar functions that the bodies of the row kernels share, written so that a
 * compiler turns loops over them into vectors. Included by files that are compiled once for each
 * instruction set, and by nothing else.
 */
#ifndef VQ_CORE_KERNELS_VEC_MATH_H
#define VQ_CORE_KERNELS_VEC_MATH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/half.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Elements of a loop depend on nothing but their own index: its arrays may be one array. */
#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH _Pragma("GCC ivdep")
#endif

/* Fused where the set has it, in vector bodies and tails alike: alignment and length of the rest
 * of the array never change an element. */
static inline float madd(float a, float b, float c)
{
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/*
 * exp(x): x = n ln2 + r with |r| <= ln2 / 2, ln2 in two parts of which n times the first is exact
 * (Cody and Waite); a polynomial of degree 6, fitted to a relative error of 4e-9; then 2^n in two
 * factors, so that results below the smallest normal number round once more instead of vanishing.
 * NaN gives NaN, -inf gives 0.
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
    float p = 0x1.6a2352p-10f;
    p = madd(p, r, 0x1.123a6cp-7f);
    p = madd(p, r, 0x1.5558f4p-5f);
    p = madd(p, r, 0x1.555490p-3f);
    p = madd(p, r, 0x1.fffffcp-2f);
    p = madd(p, r, 1.0f);
    p = madd(p, r, 1.0f);
    int32_t e = (int32_t)(vq_f32_to_bits(shifted) - vq_f32_to_bits(magic));
    int32_t half = e >> 1;
    float s1 = vq_bits_to_f32((uint32_t)(half + 127) << 23);
    float s2 = vq_bits_to_f32((uint32_t)(e - half + 127) << 23);
    return p * s1 * s2;
}

#define LANES 32 /* partial results of a reduction */

/* Halves LANES partial sums pairwise. */
static inline float sum_lanes(float *acc)
{
    for (size_t w = LANES / 2; w > 0; w /= 2) {
        for (size_t j = 0; j < w; j++)
            acc[j] += acc[j + w];
    }
    return acc[0];
}

static inline float lanes_dot(const float *x, const float *y, size_t n)
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

#endif
