/* gemm_vnni: the int8 tile of gemm_avx512 for processors that have VNNI as well. Integer sums are
 * exact, so it gives the same bytes. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define W              16
#define v_zero()       _mm512_setzero_ps()
#define v_load(p)      _mm512_loadu_ps(p)
#define v_store(p, v)  _mm512_storeu_ps(p, v)
#define v_all(x)       _mm512_set1_ps(x)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

typedef __m512 vf;

#define INT8_TILE void vq_tile_int8_vnni
#include "core/kernels/gemm_int8_avx512_body.h"
#include "core/kernels/gemm_int8_body.h"
#else
typedef int vq_gemm_vnni_unused; /* C wants a declaration in every file */
#endif
