/* vec_avx2: the body of vec compiled for AVX2 and FMA. */
#if defined(__x86_64__)
#include "core/kernels/vec_sets.h"

#define VEC_TABLE vq_vec_avx2
#define VEC_NAME  "avx2"
#include "core/kernels/vec_body.h"
#else
typedef int vq_vec_avx2_unused; /* C wants a declaration in every file */
#endif
