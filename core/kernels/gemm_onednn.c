/*
 * gemm_onednn: oneDNN behind the interface of gemm, where Debian's libdnnl2 (or its like) is
 * installed. It is looked for when somebody asks for it by name, not linked: 40 MB that few want
 * would make every start slower. Our pool runs the threads, so oneDNN gets one inside each task.
 *
 * What was found is kept for the life of the process: written once, under pthread_once.
 */
#include "core/kernels/gemm_kernel.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBRARY "libdnnl.so.2"

/* dnnl_sgemm: row-major C = alpha A B + beta C; 0 on success. */
typedef int sgemm_function(char transa, char transb, int64_t M, int64_t N, int64_t K, float alpha,
                           const float *A, int64_t lda, const float *B, int64_t ldb, float beta,
                           float *C, int64_t ldc);
typedef void set_threads_function(int n);

static pthread_once_t looked = PTHREAD_ONCE_INIT;
static sgemm_function *sgemm;             /* NULL: not here */
static set_threads_function *set_threads; /* of its OpenMP runtime, for the calling thread */

static void look(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    *(void **)&set_threads = dlsym(library, "omp_set_num_threads");
    *(void **)&sgemm = dlsym(library, "dnnl_sgemm");
}

static bool found(void)
{
    pthread_once(&looked, look);
    return sgemm != NULL;
}

static void product(size_t M, size_t N, size_t K, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate)
{
    if (set_threads)
        set_threads(1);
    int failed = sgemm('N', 'N', (int64_t)M, (int64_t)N, (int64_t)K, 1.0f, a, (int64_t)lda, b,
                       (int64_t)ldb, accumulate ? 1.0f : 0.0f, c, (int64_t)ldc);
    /* It allocates, and may say that it cannot; our own kernels never do. */
    if (failed)
        vq_gemm_nn(&vq_gemm_portable, M, N, K, a, lda, b, ldb, c, ldc, accumulate);
}

const struct vq_gemm vq_gemm_onednn = {
    .name = "onednn",
    .supported = found,
    .few = &vq_gemm_portable,
    .product = product,
};
