/* step_avx2: the body of step compiled for AVX2 and FMA. */
#if defined(__x86_64__)
#include "core/kernels/step_sets.h"

#define STEP_TABLE vq_step_avx2
#define STEP_NAME  "avx2"
#include "core/kernels/step_body.h"
#else
typedef int vq_step_avx2_unused; /* C wants a declaration in every file */
#endif
