#include "core/train/state.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/vocab/vocab.h"

static size_t heads(const struct vq_train_state *s)
{
    return s->modules * s->B * s->H;
}

/* Elements of the arrays; false when they overflow. */
static bool sizes(const struct vq_train_state *s, size_t *window, size_t *key, size_t *value,
                  size_t *count, size_t *mean)
{
    size_t bh;
    return vq_mul_ok(s->modules, s->B, &bh) && vq_mul_ok(bh, s->H, &bh) &&
           vq_mul_ok(bh, s->M, window) && vq_mul_ok(*window, s->K, key) &&
           vq_mul_ok(*window, s->V, value) && vq_mul_ok(bh, s->S, count) &&
           vq_mul_ok(*count, s->V, mean);
}

enum vq_status vq_train_state_new(struct vq_train_state **out, const struct vq_config *c, size_t B,
                                  struct vq_err *err)
{
    size_t window = 0, key = 0, value = 0, count = 0, mean = 0;
    *out = NULL;
    struct vq_train_state *s = vq_calloc(1, sizeof(*s));
    if (!s)
        return vq_nomem(err, "training state", 1, sizeof(*s));
    *s = (struct vq_train_state){.modules = vq_config_modules(c),
                                 .B = B,
                                 .H = (size_t)c->n_head,
                                 .M = (size_t)c->mem_len,
                                 .S = (size_t)c->n_code,
                                 .K = (size_t)c->d_k,
                                 .V = (size_t)c->d_v};
    bool ok = sizes(s, &window, &key, &value, &count, &mean);
    if (ok) {
        s->last = vq_alloc(B, sizeof(*s->last));
        s->code = vq_alloc(window, sizeof(*s->code));
        s->key = vq_alloc_f32(key);
        s->value = vq_alloc_f32(value);
        ok = s->last && s->code && s->key && s->value;
    }
    if (ok && c->agg_cache) {
        s->count = vq_alloc(count, sizeof(*s->count));
        s->mean = vq_alloc_f32(mean);
        ok = s->count && s->mean;
    }
    if (!ok) {
        vq_train_state_free(s);
        return vq_nomem(err, "training state", value + mean, sizeof(float));
    }
    vq_train_state_reset(s);
    *out = s;
    return VQ_OK;
}

void vq_train_state_free(struct vq_train_state *s)
{
    if (!s)
        return;
    free(s->last);
    free(s->code);
    free(s->key);
    free(s->value);
    free(s->count);
    free(s->mean);
    free(s);
}

void vq_train_state_reset(struct vq_train_state *s)
{
    size_t bh = heads(s);
    s->position = 0;
    s->broken = false;
    for (size_t b = 0; b < s->B; b++)
        s->last[b] = VQ_EOS;
    for (size_t i = 0; i < bh * s->M; i++)
        s->code[i] = (int32_t)s->S;
    memset(s->key, 0, bh * s->M * s->K * sizeof(*s->key));
    memset(s->value, 0, bh * s->M * s->V * sizeof(*s->value));
    if (!s->count)
        return;
    memset(s->count, 0, bh * s->S * sizeof(*s->count));
    memset(s->mean, 0, bh * s->S * s->V * sizeof(*s->mean));
}

void vq_train_state_copy(struct vq_train_state *s, const struct vq_train_state *from)
{
    size_t bh = heads(s);
    memcpy(s->code, from->code, bh * s->M * sizeof(*s->code));
    memcpy(s->key, from->key, bh * s->M * s->K * sizeof(*s->key));
    memcpy(s->value, from->value, bh * s->M * s->V * sizeof(*s->value));
    if (!s->count)
        return;
    memcpy(s->count, from->count, bh * s->S * sizeof(*s->count));
    memcpy(s->mean, from->mean, bh * s->S * s->V * sizeof(*s->mean));
}

uint64_t vq_train_state_bytes(const struct vq_train_state *s)
{
    size_t window = 0, key = 0, value = 0, count = 0, mean = 0;
    sizes(s, &window, &key, &value, &count, &mean);
    uint64_t bytes =
        s->B * sizeof(*s->last) + window * sizeof(*s->code) + (key + value) * sizeof(float);
    return s->count ? bytes + count * sizeof(*s->count) + mean * sizeof(float) : bytes;
}
