#include "core/kernels/machine.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/kernels/vec.h"

#define BUFFER_BYTES ((size_t)256 << 20)
#define TASKS        64
#define TASK_FLOATS  (BUFFER_BYTES / sizeof(float) / TASKS)
#define PASSES       4

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
