#include "core/kernels/machine.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/kernels/vec.h"

#define BUFFER_BYTES ((size_t)256 << 20)
#define TASKS        64
#define TASK_FLOATS  (BUFFER_BYTES / sizeof(float) / TASKS)
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
    struct reading r = {.buffer = vq_alloc_f32(BUFFER_BYTES / sizeof(float)),
                        .vec = vq_vec_default()};
    *bytes_per_second = 0.0;
    if (!r.buffer)
        return vq_nomem(err, "bandwidth buffer", BUFFER_BYTES, 1);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        vq_pool_run(pool, TASKS, read_task, &r);
        double rate = (double)BUFFER_BYTES / (now() - start);
        if (rate > *bytes_per_second)
            *bytes_per_second = rate;
    }
    free((void *)(uintptr_t)r.buffer);
    return VQ_OK;
}

struct multiplying {
    const struct vq_gemm *gemm;
    float *memory; /* three matrices for each thread */
};

static void multiply_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct multiplying *m = ud;
    const size_t n = (size_t)SIDE * SIDE;
    float *a = m->memory + 3 * task * n;
    vq_gemm_nn(m->gemm, SIDE, SIDE, SIDE, a, SIDE, a + n, SIDE, a + 2 * n, SIDE, false);
}

/* Seconds of the best pass. */
static double multiply(const struct multiplying *m, struct vq_pool *pool, size_t threads)
{
    double best = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        vq_pool_run(pool, threads, multiply_task, (void *)(uintptr_t)m);
        double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

enum vq_status vq_machine_sgemm_rate(double *flops_per_second, const char **backend,
                                     struct vq_pool *pool, struct vq_err *err)
{
    const double flops = 2.0 * SIDE * SIDE * SIDE;
    size_t threads = pool ? (size_t)vq_pool_threads(pool) : 1, n = 3 * threads * SIDE * SIDE;
    struct multiplying m = {.memory = vq_alloc_f32(n)};
    *flops_per_second = 0.0;
    *backend = vq_gemm_name(vq_gemm_default());
    if (!m.memory)
        return vq_nomem(err, "matrices to multiply", n, sizeof(float));
    for (size_t i = 0; i < n; i++)
        m.memory[i] = (float)(i % 7) - 3.0f;
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        m.gemm = vq_gemm_find(vq_gemm_backend_name(i));
        /* Plain C is never the fastest, unless there is nothing else. */
        if ((i == 0 && vq_gemm_backends() > 1) || m.gemm != vq_gemm_exact(m.gemm))
            continue;
        double rate = (double)threads * flops / multiply(&m, pool, threads);
        if (rate > *flops_per_second) {
            *flops_per_second = rate;
            *backend = vq_gemm_name(m.gemm);
        }
    }
    free(m.memory);
    return VQ_OK;
}
