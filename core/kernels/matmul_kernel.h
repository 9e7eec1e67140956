/*
 * matmul_kernel: what the files of matmul share, and nobody else includes.
 *
 * A tile is up to `rows` rows by VQ_PANEL columns of c, kept in registers over VQ_DEPTH inputs.
 * Both sides are packed for it: a as [depth, lanes], one column of a's rows after the other, b as
 * [depth, VQ_PANEL].
 */
#ifndef VQ_CORE_KERNELS_MATMUL_KERNEL_H
#define VQ_CORE_KERNELS_MATMUL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#define VQ_PANEL     32
#define VQ_DEPTH     256
#define VQ_MAX_LANES 16

struct vq_matmul_kernel {
    const char *name; /* of the gemm back-end beside it */
    size_t rows;      /* of the tallest tile */
    size_t lanes;     /* stride of packed columns of a, >= rows */
    /* c[rows, VQ_PANEL] += a b, or = with fresh */
    void (*tile)(size_t rows, size_t depth, const float *a, const float *b, float *c, size_t ldc,
                 bool fresh);
};

extern const struct vq_matmul_kernel vq_matmul_portable;
#if defined(__x86_64__)
extern const struct vq_matmul_kernel vq_matmul_avx2;
extern const struct vq_matmul_kernel vq_matmul_avx512;
#endif

#endif
