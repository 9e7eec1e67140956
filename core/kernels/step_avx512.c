/* step_avx512: the body of step compiled for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "core/kernels/step_sets.h"

#define STEP_TABLE vq_step_avx512
#define STEP_NAME  "avx512"
#include "core/kernels/step_body.h"
#else
typedef int vq_step_avx512_unused; /* C wants a declaration in every file */
#endif
