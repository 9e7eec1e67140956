/* step_sets: the tables that step.c chooses from, one per instruction set. */
#ifndef VQ_CORE_KERNELS_STEP_SETS_H
#define VQ_CORE_KERNELS_STEP_SETS_H

#include "core/kernels/step.h"

extern const struct vq_step vq_step_portable;
#if defined(__x86_64__)
extern const struct vq_step vq_step_avx2;
extern const struct vq_step vq_step_avx512;
#endif

#endif
