/* matmul_bf16: tiles as in matmul_avx512, of pairs of bfloat16: each step multiplies two inputs and
 * adds both products to a sum in float. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <stddef.h>

#define W              16
#define ROWS           14
#define LANES          16
#define INPUTS         2
#define EXACT          false
#define TABLE          vq_matmul_bf16
#define NAME           "bf16"
#define v_zero()       _mm512_setzero_ps()
#define v_load(p)      _mm512_loadu_ps(p)
#define v_store(p, v)  _mm512_storeu_ps(p, v)
#define v_all(x)       _mm512_set1_ps(x)
#define v_fma(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))

typedef __m512 vf;

/* 16 numbers as bfloat16 in the low half of as many words. */
static inline __m512i low_halves(const float *x)
{
    return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x)));
}

static inline void put(float *to, const float *x0, const float *x1, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __m512i high = _mm512_slli_epi32(low_halves(x1 + i), 16);
        _mm512_storeu_si512(to + i, _mm512_or_si512(low_halves(x0 + i), high));
    }
}

static inline void put_row(float *to, const float *x)
{
    __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
    _mm512_storeu_si512(to, (__m512i)pairs);
}

#include "core/kernels/matmul_body.h"
#else
typedef int vq_matmul_bf16_unused; /* C wants a declaration in every file */
#endif
