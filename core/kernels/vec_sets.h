/* vec_sets: the tables that vec.c chooses from, one per instruction set. */
#ifndef VQ_CORE_KERNELS_VEC_SETS_H
#define VQ_CORE_KERNELS_VEC_SETS_H

#include "core/kernels/vec.h"

extern const struct vq_vec vq_vec_portable;
#if defined(__x86_64__)
extern const struct vq_vec vq_vec_avx2;
extern const struct vq_vec vq_vec_avx512;
#endif

#endif
