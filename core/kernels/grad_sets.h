/* grad_sets: the tables that grad.c chooses from, one per instruction set. */
#ifndef VQ_CORE_KERNELS_GRAD_SETS_H
#define VQ_CORE_KERNELS_GRAD_SETS_H

#include "core/kernels/grad.h"

extern const struct vq_grad_vec vq_grad_portable;
#if defined(__x86_64__)
extern const struct vq_grad_vec vq_grad_avx2;
extern const struct vq_grad_vec vq_grad_avx512;
#endif

#endif
