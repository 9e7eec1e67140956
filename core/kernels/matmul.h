/*
 * matmul: products of plain matrices, either of them transposed where it lies, spread over the
 * pool. Training needs all of them: y = x W forward, dx = dy W^T and dW += x^T dy backward, with
 * weights that change at every step, so nothing is prepared beforehand; both sides are packed on
 * the way. For weights that stay, gemm.h.
 *
 * Every element is summed over k in ascending order, however a product is cut into tasks: the
 * result has the same bytes for every number of threads. (OpenBLAS does not promise that, so with
 * it the cut depends on the shape alone.)
 */
#ifndef VQ_CORE_KERNELS_MATMUL_H
#define VQ_CORE_KERNELS_MATMUL_H

#include "core/kernels/gemm.h"

/* A matrix as it lies in memory: element (i, j) is at[i * ld + j], or at[j * ld + i] with trans. */
struct vq_matrix {
    const float *at;
    size_t ld;
    bool trans;
};

static inline struct vq_matrix vq_mat(const float *at, size_t ld)
{
    return (struct vq_matrix){at, ld, false};
}

/* The transpose of the matrix whose rows lie at `at`, ld apart. */
static inline struct vq_matrix vq_mat_t(const float *at, size_t ld)
{
    return (struct vq_matrix){at, ld, true};
}

/* How products are made. With bf16 both sides are rounded to bfloat16 (nearest even) on the way;
 * products and sums stay float. Processors with instructions for that use them, if the back-end is
 * avx512; others round and multiply, which is slow. */
struct vq_matmul_mode {
    const struct vq_gemm *gemm;
    bool bf16;
};
bool vq_matmul_has_bf16(void); /* whether this processor has the instructions */

/* c[M,N] = a[M,K] b[K,N], or += with accumulate; ldc >= N. c must not overlap a or b. Cannot
 * fail. */
void vq_matmul(const struct vq_matmul_mode *how, struct vq_pool *pool, size_t M, size_t N, size_t K,
               struct vq_matrix a, struct vq_matrix b, float *c, size_t ldc, bool accumulate);
/* The same on the calling thread, for use inside a task; takes 700 KB of its stack. */
void vq_matmul_serial(const struct vq_matmul_mode *how, size_t M, size_t N, size_t K,
                      struct vq_matrix a, struct vq_matrix b, float *c, size_t ldc,
                      bool accumulate);

#endif
