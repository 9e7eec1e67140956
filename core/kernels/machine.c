#include "core/kernels/machine.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/mem.h"
#include "core/kernels/matmul.h"
#include "core/kernels/vec.h"

#define TASKS        64
#define TASK_FLOATS  (VQ_MACHINE_BUFFER / sizeof(float) / TASKS)
#define PASSES       4
#define SIDE         1024 /* of the matrices that are multiplied */

struct reading {
    const float *buffer;
    const struct vq_vec *vec;
    float top[TASKS]; /* keeps the reads from being optimised away */
};

static void read_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct reading *r = ud;
    r->top[task] = r->vec->max(r->buffer + task * TASK_FLOATS, TASK_FLOATS);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum vq_status vq_machine_read_bandwidth(double *bytes_per_second, struct vq_pool *pool,
                                         struct vq_err *err)
{
    struct vq_arena *arena = vq_arena_new(0);
    float *buffer = arena ? vq_arena_alloc(arena, VQ_MACHINE_BUFFER, 1) : NULL;
    struct reading r = {.buffer = buffer, .vec = vq_vec_default()};
    *bytes_per_second = 0.0;
    if (!buffer) {
        vq_arena_free(arena);
        return vq_nomem(err, "bandwidth buffer", VQ_MACHINE_BUFFER, 1);
    }
    memset(buffer, 0, VQ_MACHINE_BUFFER); /* pages that nobody wrote are all one page */
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        vq_pool_run(pool, TASKS, read_task, &r);
        double rate = (double)VQ_MACHINE_BUFFER / (now() - start);
        if (rate > *bytes_per_second)
            *bytes_per_second = rate;
    }
    vq_arena_free(arena);
    return VQ_OK;
}

struct multiplying {
    const struct vq_gemm *gemm; /* NULL: products of bfloat16 */
    float *memory;              /* three matrices for each thread */
};

static void multiply_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct multiplying *m = ud;
    const struct vq_matmul_mode half = {.gemm = vq_gemm_default(), .bf16 = true};
    const size_t n = (size_t)SIDE * SIDE;
    float *a = m->memory + 3 * task * n;
    if (m->gemm)
        vq_gemm_nn(m->gemm, SIDE, SIDE, SIDE, a, SIDE, a + n, SIDE, a + 2 * n, SIDE, false);
    else
        vq_matmul_serial(&half, SIDE, SIDE, SIDE, vq_mat(a, SIDE), vq_mat(a + n, SIDE), a + 2 * n,
                         SIDE, false);
}

/* Operations per second in the best pass. */
static enum vq_status multiply(double *rate, const struct vq_gemm *gemm, struct vq_pool *pool,
                               struct vq_err *err)
{
    size_t threads = pool ? (size_t)vq_pool_threads(pool) : 1, n = 3 * threads * SIDE * SIDE;
    struct multiplying m = {.gemm = gemm, .memory = vq_alloc_f32(n)};
    double best = INFINITY;
    *rate = 0.0;
    if (!m.memory)
        return vq_nomem(err, "matrices to multiply", n, sizeof(float));
    for (size_t i = 0; i < n; i++)
        m.memory[i] = (float)(i % 7) - 3.0f;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        vq_pool_run(pool, threads, multiply_task, &m);
        best = fmin(best, now() - start);
    }
    free(m.memory);
    *rate = 2.0 * SIDE * SIDE * SIDE * (double)threads / best;
    return VQ_OK;
}

enum vq_status vq_machine_backend_rate(double *flops_per_second, const struct vq_gemm *gemm,
                                       struct vq_pool *pool, struct vq_err *err)
{
    return multiply(flops_per_second, gemm, pool, err);
}

enum vq_status vq_machine_bf16_rate(double *flops_per_second, struct vq_pool *pool,
                                    struct vq_err *err)
{
    *flops_per_second = 0.0;
    return vq_matmul_has_bf16() ? multiply(flops_per_second, NULL, pool, err) : VQ_OK;
}

enum vq_status vq_machine_int8_rate(double *flops_per_second, struct vq_pool *pool,
                                    struct vq_err *err)
{
    const size_t n = (size_t)SIDE * SIDE;
    float *x = vq_alloc_f32(3 * n);
    struct vq_weight *w = NULL;
    double best = INFINITY;
    *flops_per_second = 0.0;
    if (!x)
        return vq_nomem(err, "matrices to multiply", 3 * n, sizeof(float));
    for (size_t i = 0; i < 2 * n; i++)
        x[i] = (float)(i % 7) - 3.0f;
    enum vq_status status = vq_weight_new(&w, VQ_WEIGHT_INT8, SIDE, SIDE, x, SIDE, pool, NULL, err);
    for (int pass = 0; status == VQ_OK && pass < PASSES; pass++) {
        double start = now();
        vq_weight_mul(vq_gemm_default(), pool, w, SIDE, x + n, SIDE, x + 2 * n, SIDE, false);
        best = fmin(best, now() - start);
    }
    *flops_per_second = status == VQ_OK ? 2.0 * SIDE * SIDE * SIDE / best : 0.0;
    vq_weight_free(w);
    free(x);
    return status;
}

enum vq_status vq_machine_sgemm_rate(double *flops_per_second, const char **backend,
                                     struct vq_pool *pool, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    *flops_per_second = 0.0;
    *backend = vq_gemm_name(vq_gemm_default());
    for (size_t i = 0; status == VQ_OK && i < vq_gemm_backends(); i++) {
        const struct vq_gemm *gemm = vq_gemm_find(vq_gemm_backend_name(i));
        double rate;
        /* Plain C is never the fastest, unless there is nothing else. */
        if ((i == 0 && vq_gemm_backends() > 1) || gemm != vq_gemm_exact(gemm))
            continue;
        status = multiply(&rate, gemm, pool, err);
        if (rate > *flops_per_second) {
            *flops_per_second = rate;
            *backend = vq_gemm_name(gemm);
        }
    }
    return status;
}

/* ---- the processor ---- */

#if defined(__x86_64__)
#define HAS(name) (__builtin_cpu_supports(name) != 0)
#else
#define HAS(name) false
#endif

enum { AVX2, AVX512, AVX512_BF16, AVX512_VNNI, FEATURES };

size_t vq_machine_features(void)
{
    return FEATURES;
}

struct vq_machine_feature vq_machine_feature(size_t i)
{
    const struct vq_machine_feature all[FEATURES] = {
        [AVX2] = {"avx2", HAS("avx2") && HAS("fma"), NULL},
        [AVX512] = {"avx512",
                    HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl"), NULL},
        [AVX512_BF16] = {"avx512_bf16", HAS("avx512bf16"), NULL},
        [AVX512_VNNI] = {"avx512_vnni", HAS("avx512vnni"), NULL},
    };
    struct vq_machine_feature f = all[i];
    bool kernels = !strcmp(vq_gemm_name(vq_gemm_default()), f.name);
    if (kernels)
        f.use = "all kernels";
    else if (i == AVX512_BF16 && vq_matmul_has_bf16())
        f.use = "products in bfloat16";
    else if (i == AVX512_VNNI && all[AVX512].here)
        f.use = "int8 weights";
    else if (i == AVX2 && all[AVX512].here)
        f.use = "not needed beside avx512";
    return f;
}
