/* matmul_avx512: tiles of up to 14 rows by 32 columns: 28 of the 32 registers hold sums. */
#if defined(__x86_64__)
#include <immintrin.h>

#define W              16
#define ROWS           14
#define LANES          16
#define INPUTS         1
#define EXACT          true
#define TABLE          vq_matmul_avx512
#define NAME           "avx512"
#define v_zero()       _mm512_setzero_ps()
#define v_load(p)      _mm512_loadu_ps(p)
#define v_store(p, v)  _mm512_storeu_ps(p, v)
#define v_all(x)       _mm512_set1_ps(x)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

typedef __m512 vf;

#include "core/kernels/matmul_plain.h"
#include "core/kernels/matmul_body.h"
#else
typedef int vq_matmul_avx512_unused; /* C wants a declaration in every file */
#endif
