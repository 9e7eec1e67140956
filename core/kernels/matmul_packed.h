/*
 * matmul_packed: products whose sides are packed beforehand. A right side that many products share,
 * such as weights, is packed once for all of them, and a result that one product sums over, such as
 * a gradient, while whoever made it still has it at hand. Parts of a side may be packed by several
 * threads at a time.
 *
 * Elements are summed as in matmul.h: the same bytes, except with OpenBLAS.
 */
#ifndef VQ_CORE_KERNELS_MATMUL_PACKED_H
#define VQ_CORE_KERNELS_MATMUL_PACKED_H

#include "core/kernels/matmul.h"

#define VQ_PANEL 32 /* columns that a tile makes at once */

/* A matrix [K, N] to stand on the right: panels of columns as the tiles read them; or, with a
 * back-end that takes whole products only, as it is. */
struct vq_packed {
    const struct vq_gemm *gemm;
    const struct vq_matmul_kernel *kernel; /* NULL: as it is */
    size_t K, N;
    float *at;   /* the caller's memory, on a multiple of 64 bytes */
    size_t step; /* floats between panels, or rows */
};

/* Floats that [K, N] takes are less, in any mode, than these two multiplied. */
static inline size_t vq_packed_rows(size_t K)
{
    return K + 2;
}
static inline size_t vq_packed_cols(size_t N)
{
    return (N + VQ_PANEL - 1) / VQ_PANEL * VQ_PANEL;
}

struct vq_packed vq_packed_at(const struct vq_matmul_mode *how, size_t K, size_t N, float *at);
/* Inputs k0.., an even number, and columns n0.., a multiple of VQ_PANEL. */
struct vq_packed vq_packed_part(const struct vq_packed *side, size_t k0, size_t K, size_t n0,
                                size_t N);
/* Packs b[K, N]. */
void vq_matmul_pack(const struct vq_packed *side, struct vq_matrix b);

/* c[M, N] = a[M, K] b, or += with accumulate, on the calling thread; lda >= K, ldc >= N. c must not
 * overlap a or b. Takes 300 KB of the stack. */
void vq_matmul_packed(const struct vq_packed *b, size_t M, const float *a, size_t lda, float *c,
                      size_t ldc, bool accumulate);

/* The same for a matrix [K, M] whose transpose stands on the left. */
struct vq_packed_left {
    const struct vq_gemm *gemm;
    const struct vq_matmul_kernel *kernel;
    size_t K, M;
    float *at;
    size_t step; /* floats between tiles, or rows of the transpose */
};
static inline size_t vq_packed_left_cols(size_t M) /* times vq_packed_rows(K) */
{
    return M + M / 3 + 16;
}
struct vq_packed_left vq_packed_left_at(const struct vq_matmul_mode *how, size_t K, size_t M,
                                        float *at);
/* Inputs k0.., an even number. */
struct vq_packed_left vq_packed_left_part(const struct vq_packed_left *side, size_t k0, size_t K);
/* Packs a, rows lda apart. */
void vq_matmul_pack_left(const struct vq_packed_left *side, const float *a, size_t lda);

/* c[M, N] += left^T right, of equal K, for each of n such sums, spread over the pool. */
struct vq_outer {
    struct vq_packed_left left;
    struct vq_packed right;
    float *c;
    size_t ldc;
};
void vq_matmul_outer(struct vq_pool *pool, const struct vq_outer *list, size_t n);

#endif
