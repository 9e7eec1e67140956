#include "core/inspect/dead.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"

struct vq_dead {
    size_t H, S, K, modules;
    float **codebook; /* [modules] C[H, S, K] of the modules that are watched, else NULL */
    struct vq_dead_code *codes;
    size_t n, rows; /* rows begun */
    struct vq_observer observer;
};

/* The block's keys of one head and sequence against one code. */
static void watch(struct vq_dead *d, struct vq_dead_code *c, const struct vq_block *b,
                  const struct vq_module_view *v, size_t row)
{
    const float *C = d->codebook[c->module] + (size_t)c->head * d->S * d->K;
    size_t n = (size_t)b->n;
    const int32_t *codes = v->codes + (row * d->H + (size_t)c->head) * n;
    for (size_t t = 0; t < n; t++) {
        const float *k = v->keys + (row * n + t) * v->key_stride + (size_t)c->head * d->K;
        double far = vq_code_distance(k, C + c->code * d->K, d->K);
        double gap = far - vq_code_distance(k, C + (size_t)codes[t] * d->K, d->K);
        if (gap >= c->gap)
            continue;
        c->gap = gap;
        c->distance = far;
        c->fell_on = codes[t];
        c->token = b->tokens[row * n + t];
        c->position = b->position + (int64_t)t;
        c->row = d->rows - (size_t)b->batch + row;
    }
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct vq_dead *d = ud;
    if (v->module == 0 && b->position == 0)
        d->rows += (size_t)b->batch;
    for (size_t i = 0; d->codebook[v->module] && i < d->n; i++)
        for (size_t row = 0; d->codes[i].module == v->module && row < (size_t)b->batch; row++)
            watch(d, &d->codes[i], b, v, row);
}

static enum vq_status read_codebooks(struct vq_dead *d, const struct vq_model *m,
                                     struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && i < d->n; i++) {
        float **C = &d->codebook[d->codes[i].module];
        if (*C)
            continue;
        *C = vq_alloc_f32(d->H * d->S * d->K);
        status = *C ? vq_model_codebook(m, d->codes[i].module, *C, err)
                    : vq_nomem(err, "a codebook", d->H * d->S * d->K, sizeof(**C));
    }
    return status;
}

enum vq_status vq_dead_new(struct vq_dead **out, const struct vq_model *m,
                           struct vq_dead_code *codes, size_t n, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(m);
    *out = NULL;
    struct vq_dead *d = vq_calloc(1, sizeof(*d));
    if (!d)
        return vq_nomem(err, "dead codes", 1, sizeof(*d));
    d->H = (size_t)c->n_head;
    d->S = (size_t)c->n_code;
    d->K = (size_t)c->d_k;
    d->modules = vq_config_modules(c);
    d->codes = codes;
    d->n = n;
    d->observer = (struct vq_observer){.ud = d, .module = on_module};
    d->codebook = vq_calloc(d->modules, sizeof(*d->codebook));
    enum vq_status status = d->codebook
                                ? read_codebooks(d, m, err)
                                : vq_nomem(err, "dead codes", d->modules, sizeof(*d->codebook));
    for (size_t i = 0; i < n; i++) {
        codes[i].gap = codes[i].distance = INFINITY;
        codes[i].fell_on = codes[i].token = -1;
        codes[i].position = -1;
        codes[i].row = 0;
    }
    if (status == VQ_OK)
        *out = d;
    else
        vq_dead_free(d);
    return status;
}

void vq_dead_free(struct vq_dead *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->codebook && i < d->modules; i++)
        free(d->codebook[i]);
    free(d->codebook);
    free(d);
}

const struct vq_observer *vq_dead_observer(struct vq_dead *d)
{
    return &d->observer;
}
