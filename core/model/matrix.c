#include "core/model/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

_Static_assert(VQ_CKPT_GROUP == VQ_INT8_GROUP, "files and kernels quantise alike");

/* Floats that vq_matrix_read lets the pool read before it lets go of their pages, and of a task. */
#define READ_AT_ONCE ((size_t)4 << 20)
#define READ_BY_TASK ((size_t)64 << 10)

enum vq_status vq_matrix_add(struct vq_matrix *m, const struct vq_model *model, int module,
                             const char *leaf, size_t K, size_t cols, struct vq_err *err)
{
    size_t i = m->n++, count;
    m->model = model;
    m->part[i].cols = cols;
    m->part[i].t = vq_model_tensor(model, module, leaf);
    m->cols += cols;
    if (m->part[i].t)
        return VQ_OK;
    m->part[i].copy = vq_mul_ok(K, cols, &count) ? vq_alloc_f32(count) : NULL;
    if (!m->part[i].copy)
        return vq_nomem(err, leaf, K * cols, sizeof(float));
    return vq_model_read(model, module, leaf, m->part[i].copy, err);
}

void vq_matrix_release(struct vq_matrix *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->part[i].copy);
    *m = (struct vq_matrix){0};
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Part i's share of the columns c..c+cols-1: *from is its first column, *at where that goes.
 * Returns how many. */
static size_t share(const struct vq_matrix *m, size_t i, size_t c, size_t cols, size_t *from,
                    size_t *at)
{
    size_t begin = i ? m->part[0].cols : 0, end = begin + m->part[i].cols;
    size_t lo = c > begin ? c : begin, hi = min_size(c + cols, end);
    *from = lo - begin;
    *at = lo - c;
    return hi > lo ? hi - lo : 0;
}

static void read_floats(const void *ud, size_t k, size_t n, size_t c, size_t cols, float *dst,
                        size_t ldd)
{
    const struct vq_matrix *m = ud;
    for (size_t i = 0; i < m->n; i++) {
        size_t from, at, take = share(m, i, c, cols, &from, &at), width = m->part[i].cols;
        for (size_t r = 0; take && r < n; r++) {
            float *row = dst + r * ldd + at;
            if (m->part[i].t)
                vq_tensor_read_part(m->part[i].t, (k + r) * width + from, take, row);
            else
                memcpy(row, m->part[i].copy + (k + r) * width + from, take * sizeof(*row));
        }
    }
}

static void read_int8(const void *ud, size_t k, size_t n, size_t c, size_t cols, int8_t *dst,
                      size_t ldd, float *scale)
{
    const struct vq_matrix *m = ud;
    for (size_t i = 0; i < m->n; i++) {
        size_t from, at, take = share(m, i, c, cols, &from, &at), width = m->part[i].cols;
        const struct vq_tensor *t = m->part[i].t;
        for (size_t r = 0; r < n; r++)
            memcpy(dst + r * ldd + at, t->data + (k + r) * width + from, take);
        memcpy(scale + at, t->scale + (k / VQ_INT8_GROUP * width + from) * sizeof(*scale),
               take * sizeof(*scale));
    }
}

static void done(const void *ud, size_t k, size_t n)
{
    const struct vq_matrix *m = ud;
    for (size_t i = 0; i < m->n; i++)
        if (m->part[i].t)
            vq_ckpt_forget(vq_model_ckpt(m->model), m->part[i].t, k * m->part[i].cols,
                           n * m->part[i].cols);
}

struct vq_weight_source vq_matrix_source(const struct vq_matrix *m)
{
    bool int8 = true;
    for (size_t i = 0; i < m->n; i++)
        int8 = int8 && m->part[i].t && m->part[i].t->scale;
    return (struct vq_weight_source){
        .ud = m, .read = read_floats, .read_int8 = int8 ? read_int8 : NULL, .done = done};
}

struct reading {
    const struct vq_tensor *t;
    size_t first, n;
    float *dst;
};

static void read_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct reading *r = ud;
    size_t at = task * READ_BY_TASK;
    vq_tensor_read_part(r->t, r->first + at, min_size(READ_BY_TASK, r->n - at),
                        r->dst + r->first + at);
}

enum vq_status vq_matrix_read(const struct vq_model *model, const char *name, size_t n, float *dst,
                              struct vq_pool *pool, struct vq_err *err)
{
    struct reading r = {.t = vq_model_tensor(model, -1, name), .dst = dst};
    if (!r.t)
        return vq_model_read(model, -1, name, dst, err);
    for (; r.first < n; r.first += r.n) {
        r.n = min_size(READ_AT_ONCE, n - r.first);
        vq_pool_run(pool, (r.n + READ_BY_TASK - 1) / READ_BY_TASK, read_task, &r);
        vq_ckpt_forget(vq_model_ckpt(model), r.t, r.first, r.n);
    }
    return VQ_OK;
}
