/* grad_avx2: the body of grad compiled for AVX2 with FMA. */
#if defined(__x86_64__)
#include "core/kernels/grad_sets.h"

#define GRAD_TABLE vq_grad_avx2
#define GRAD_NAME  "avx2"
#include "core/kernels/grad_body.h"
#else
typedef int vq_grad_avx2_unused; /* C wants a declaration in every file */
#endif
