/* vec_avx512: the body of vec compiled for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "core/kernels/vec_sets.h"

#define VEC_TABLE vq_vec_avx512
#define VEC_NAME  "avx512"
#include "core/kernels/vec_body.h"
#else
typedef int vq_vec_avx512_unused; /* C wants a declaration in every file */
#endif
