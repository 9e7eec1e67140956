/* gemm_avx512: register tiles of up to 14 rows by 32 columns: 28 of the 32 registers hold sums, two
 * the row of the panel, one the number of x that meets it. */
#if defined(__x86_64__)
#include <immintrin.h>

#define W              16
#define ROWS           14
#define v_zero()       _mm512_setzero_ps()
#define v_load(p)      _mm512_loadu_ps(p)
#define v_store(p, v)  _mm512_storeu_ps(p, v)
#define v_all(x)       _mm512_set1_ps(x)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define s_fma(a, b, c) __builtin_fmaf(a, b, c)

typedef __m512 vf;

static inline vf v_low(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

static inline vf v_high(const void *p)
{
    const __m512i mask = _mm512_set1_epi32((int)0xffff0000u);
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), mask));
}

#include "core/kernels/gemm_body.h"

#define ROW_SUMS 16
#define v_half(p)                                                                                  \
    _mm512_castsi512_ps(_mm512_slli_epi32(                                                         \
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(p))), 16))

/* The byte goes to the top of its word and zero below it, in one instruction. */
static inline __attribute__((always_inline)) vf v_byte(const void *p, size_t i)
{
    const int top = (int)i << 24 | 0x808080;
    __m512i v = _mm512_loadu_si512(p);
    if (i == 0)
        v = _mm512_slli_epi32(v, 24);
    else if (i == 3)
        v = _mm512_and_si512(v, _mm512_set1_epi32((int)0xff000000u));
    else
        v = _mm512_shuffle_epi8(
            v, _mm512_set4_epi32(top + (12 << 24), top + (8 << 24), top + (4 << 24), top));
    return _mm512_cvtepi32_ps(v);
}

#include "core/kernels/rows_body.h"

#define INT8_TILE static void int8_plain
#include "core/kernels/gemm_int8_avx512_body.h"
#include "core/kernels/gemm_int8_body.h"

static void tile_int8(const struct vq_tile *t)
{
    (__builtin_cpu_supports("avx512vnni") ? vq_tile_int8_vnni : int8_plain)(t);
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const struct vq_gemm vq_gemm_avx512 = {
    .name = "avx512",
    .tile_rows = ROWS,
    .int8_rows = INT8_ROWS,
    .ahead_rows = 5,
    .supported = supported,
    .tile = {tile_f32, tile_bf16, tile_int8},
    .quantise = quantise,
    .rows = {rows_f32, rows_bf16, rows_int8},
    .row = row,
};
#else
typedef int vq_gemm_avx512_unused; /* C wants a declaration in every file */
#endif
