/*
 * gemm_blas: OpenBLAS behind the interface of gemm. Our pool is the only one that runs threads, so
 * OpenBLAS is kept to one thread inside each of our tasks.
 */
#include "core/kernels/gemm_kernel.h"

#if VQ_BLAS
#include <cblas.h>

#define PARALLEL_OPENMP 2 /* what openblas_get_parallel() says of an OpenMP build */

/* In an OpenMP build the count that matters belongs to each calling thread, and the library's own
 * setter does not reach it. Absent (NULL) unless the program has an OpenMP runtime. */
extern void omp_set_num_threads(int n) __attribute__((weak));

static bool single_threaded(void)
{
    openblas_set_num_threads(1);
    return true;
}

static void product(size_t M, size_t N, size_t K, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate)
{
    if (openblas_get_parallel() == PARALLEL_OPENMP && omp_set_num_threads)
        omp_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)M, (blasint)N, (blasint)K, 1.0f,
                a, (blasint)lda, b, (blasint)ldb, accumulate ? 1.0f : 0.0f, c, (blasint)ldc);
}

const char *vq_gemm_blas_core(void)
{
    return openblas_get_corename();
}

const struct vq_gemm vq_gemm_openblas = {
    .name = "openblas",
    .supported = single_threaded,
    .few = &vq_gemm_portable,
    .product = product,
};
#else
const char *vq_gemm_blas_core(void)
{
    return NULL;
}
#endif
