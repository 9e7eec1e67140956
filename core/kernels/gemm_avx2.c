/* gemm_avx2: register tiles of up to 6 rows by 16 columns: 12 of the 16 registers hold sums, two
 * half a row of the panel, one the number of x that meets it. */
#if defined(__x86_64__)
#include <immintrin.h>

#define W              8
#define ROWS           6
#define v_zero()       _mm256_setzero_ps()
#define v_load(p)      _mm256_loadu_ps(p)
#define v_store(p, v)  _mm256_storeu_ps(p, v)
#define v_all(x)       _mm256_set1_ps(x)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define s_fma(a, b, c) __builtin_fmaf(a, b, c)

typedef __m256 vf;

static inline vf v_low(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(p), 16));
}

static inline vf v_high(const void *p)
{
    const __m256i mask = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(p), mask));
}

#include "core/kernels/gemm_body.h"

#define ROW_SUMS 8
#define v_half(p)                                                                                  \
    _mm256_castsi256_ps(_mm256_slli_epi32(                                                         \
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))), 16))

/* The byte goes to the top of its word and zero below it, in one instruction. */
static inline __attribute__((always_inline)) vf v_byte(const void *p, size_t i)
{
    const int top = (int)i << 24 | 0x808080;
    __m256i v = _mm256_loadu_si256(p);
    if (i == 0)
        v = _mm256_slli_epi32(v, 24);
    else if (i == 3)
        v = _mm256_and_si256(v, _mm256_set1_epi32((int)0xff000000u));
    else
        v = _mm256_shuffle_epi8(v, _mm256_setr_epi32(top, top + (4 << 24), top + (8 << 24),
                                                     top + (12 << 24), top, top + (4 << 24),
                                                     top + (8 << 24), top + (12 << 24)));
    return _mm256_cvtepi32_ps(v);
}

#include "core/kernels/rows_body.h"

typedef __m256i vi, vp;

#define INT8_ROWS        ROWS
#define INT8_TILE        static void tile_int8
#define v_mul(a, b)      _mm256_mul_ps(a, b)
#define i_zero()         _mm256_setzero_si256()
#define i_float(v)       _mm256_cvtepi32_ps(v)
#define p_wide(p)        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define p_all(q)         _mm256_set1_epi32(pair_at(q))
#define p_add(acc, a, b) _mm256_add_epi32(acc, _mm256_madd_epi16(a, b))
#include "core/kernels/gemm_int8_body.h"

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const struct vq_gemm vq_gemm_avx2 = {
    .name = "avx2",
    .tile_rows = ROWS,
    .int8_rows = INT8_ROWS,
    .ahead_rows = 3,
    .supported = supported,
    .tile = {tile_f32, tile_bf16, tile_int8},
    .quantise = quantise,
    .rows = {rows_f32, rows_bf16, rows_int8},
    .row = row,
};
#else
typedef int vq_gemm_avx2_unused; /* C wants a declaration in every file */
#endif
