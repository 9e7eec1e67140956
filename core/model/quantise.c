#include "core/model/quantise.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/kernels/gemm.h"

#define COLS 256 /* of a task */

bool vq_quantised(const char *name)
{
    static const char *const ends[] = {"/q_proj/kernel", "/kvg_proj/kernel", "/res_proj/kernel"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (n > strlen(ends[i]) && !strcmp(name + n - strlen(ends[i]), ends[i]))
            return true;
    return !strcmp(name, "out_proj/kernel");
}

struct quantising {
    const struct vq_tensor *from;
    size_t K, N, runs;
    int8_t *q;
    float *scale;
};

static void quantise_task(void *ud, size_t task, int worker)
{
    (void)worker;
    float x[VQ_INT8_GROUP * COLS];
    const struct quantising *j = ud;
    size_t group = task / j->runs, k = group * VQ_INT8_GROUP, c = task % j->runs * COLS;
    size_t n = j->K - k < VQ_INT8_GROUP ? j->K - k : VQ_INT8_GROUP;
    size_t cols = j->N - c < COLS ? j->N - c : COLS;
    for (size_t r = 0; r < n; r++)
        vq_tensor_read_part(j->from, (k + r) * j->N + c, cols, x + r * COLS);
    vq_int8_quantise(n, cols, x, COLS, j->q + k * j->N + c, j->N, j->scale + group * j->N + c);
}

/* The scales that come of numbers which are not finite are not either. */
static enum vq_status check_finite(const struct vq_tensor *out, struct vq_err *err)
{
    if (vq_tensor_check_scales(out, NULL) == VQ_OK)
        return VQ_OK;
    return vq_fail(err, VQ_ENUM, "tensor %s: expected finite numbers, which int8 can hold",
                   out->name);
}

enum vq_status vq_quantise(struct vq_tensor *out, const struct vq_tensor *t, struct vq_pool *pool,
                           struct vq_err *err)
{
    *out = *t;
    out->data = NULL;
    if (t->rank != 2 || t->dtype == VQ_NONE || t->count == 0)
        return vq_fail(err, VQ_ESHAPE, "tensor %s: expected a matrix", t->name);
    struct quantising j = {.from = t, .K = (size_t)t->shape[0], .N = (size_t)t->shape[1]};
    size_t groups = (j.K + VQ_INT8_GROUP - 1) / VQ_INT8_GROUP, bytes = (t->count + 7) / 8 * 8;
    j.runs = (j.N + COLS - 1) / COLS;
    unsigned char *block = vq_alloc(bytes + groups * j.N * sizeof(float), 1);
    if (!block)
        return vq_nomem(err, t->name, t->count, 1);
    j.q = (int8_t *)block;
    j.scale = (float *)(void *)(block + bytes);
    vq_pool_run(pool, groups * j.runs, quantise_task, &j);
    out->dtype = VQ_I8;
    out->bytes = t->count;
    out->n_chunk = 0;
    out->chunks = NULL;
    out->data = block;
    out->scale = block + bytes;
    return check_finite(out, err);
}
