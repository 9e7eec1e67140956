/* gemm_int8_avx512_body: what gemm_int8_body.h needs, in AVX-512; with VNNI a multiplication of
 * pairs and its addition are one instruction. For gemm_avx512.c and gemm_vnni.c. */
#define INT8_ROWS   8
#define v_mul(a, b) _mm512_mul_ps(a, b)
#define i_zero()    _mm512_setzero_si512()
#define i_float(v)  _mm512_cvtepi32_ps(v)
#define p_wide(p)   _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define p_all(q)    _mm512_set1_epi32(pair_at(q))

typedef __m512i vi, vp;

/* By hand, because gcc 12 copies the sums around its own function for this. */
static inline __attribute__((always_inline)) vi p_add(vi acc, vp a, vp b)
{
#if defined(__AVX512VNNI__)
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
#else
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
#endif
}
