/* grad_avx512: the body of grad compiled for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "core/kernels/grad_sets.h"

#define GRAD_TABLE vq_grad_avx512
#define GRAD_NAME  "avx512"
#include "core/kernels/grad_body.h"
#else
typedef int vq_grad_avx512_unused; /* C wants a declaration in every file */
#endif
