/* matmul_avx2: tiles of up to 6 rows by 16 columns: 12 of the 16 registers hold sums. */
#if defined(__x86_64__)
#include <immintrin.h>

#define W              8
#define ROWS           6
#define LANES          8
#define INPUTS         1
#define EXACT          true
#define TABLE          vq_matmul_avx2
#define NAME           "avx2"
#define v_zero()       _mm256_setzero_ps()
#define v_load(p)      _mm256_loadu_ps(p)
#define v_store(p, v)  _mm256_storeu_ps(p, v)
#define v_all(x)       _mm256_set1_ps(x)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)

typedef __m256 vf;

#include "core/kernels/matmul_plain.h"
#include "core/kernels/matmul_body.h"
#else
typedef int vq_matmul_avx2_unused; /* C wants a declaration in every file */
#endif
