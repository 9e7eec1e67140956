/*
 * gemm_bf16: products of numbers rounded to bfloat16, summed in f32, by the tiles that training
 * uses with dtype=bfloat16: about twice the rate of f32 where the processor has the instructions.
 * Never the default, since results change: for reading long texts, at the user's word.
 */
#include "core/kernels/gemm_kernel.h"

#if defined(__x86_64__)
#include "core/kernels/matmul.h"

static void product(size_t M, size_t N, size_t K, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate)
{
    const struct vq_matmul_mode how = {.gemm = &vq_gemm_avx512, .bf16 = true};
    vq_matmul_serial(&how, M, N, K, vq_mat(a, lda), vq_mat(b, ldb), c, ldc, accumulate);
}

const struct vq_gemm vq_gemm_bf16 = {
    .name = "bf16",
    .supported = vq_matmul_has_bf16,
    .rounds = true,
    .few = &vq_gemm_avx512,
    .product = product,
};
#else
typedef int vq_gemm_bf16_unused; /* C wants a declaration in every file */
#endif
