/*
 * attention_private: what attention.c and attention_step.c share. Nobody else includes this.
 */
#ifndef VQ_CORE_MODEL_ATTENTION_PRIVATE_H
#define VQ_CORE_MODEL_ATTENTION_PRIVATE_H

#include "core/model/session_private.h"

/* One call's sizes and pointers, shared by its tasks. */
struct vq_attention {
    struct vq_session *s;
    const struct vq_engine *e;
    const struct vq_module *w;
    struct vq_module_state *state;
    struct vq_last_query *last;
    size_t n, tiles; /* tokens per sequence, query tiles per sequence and head */
    size_t width;    /* of a row of proj */
    size_t keys;     /* window and block rows: len + n */
};

struct vq_attention vq_attention_begin(struct vq_session *s, size_t module, size_t n);

/* A row of proj, and the columns of q, k, v, g of one head in it. */
static inline float *vq_proj_row(const struct vq_attention *a, size_t b, size_t i)
{
    return a->s->s.proj + (b * a->n + i) * a->width;
}
static inline size_t vq_q_at(const struct vq_engine *e, size_t h)
{
    return h * e->K;
}
static inline size_t vq_k_at(const struct vq_engine *e, size_t h)
{
    return e->H * e->K + h * e->K;
}
static inline size_t vq_v_at(const struct vq_engine *e, size_t h)
{
    return 2 * e->H * e->K + h * e->V;
}
static inline size_t vq_g_at(const struct vq_engine *e, size_t h)
{
    return 2 * e->H * e->K + e->H * e->V + h * e->V;
}

/* Codes of the window's rows and the block's. */
static inline int32_t *vq_code_row(const struct vq_attention *a, size_t bh)
{
    return a->state->code + bh * a->s->cap + a->s->start;
}

/* The codes of lane bh whose means a query may see, ascending: rows 0 to *n - 1 of its means. */
static inline const int32_t *vq_seen_codes(const struct vq_attention *a, size_t bh, size_t *n)
{
    const int32_t *codes = vq_means_codes(&a->state->mean, bh, n);
    *n = a->e->config.agg_cache ? *n : 0;
    return codes;
}

/* The weights of these codes side by side, as rows of means are. */
static inline void vq_pack_weights(float *to, const float *weights, const int32_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = weights[codes[i]];
}

/* Module w's norm of the stream's rows into s.h. */
void vq_attention_norm(const struct vq_attention *a, size_t rows);
/* Steps 6 and 7 up to the weights, for query i of lane bh, into row[keys + S]: one maximum over
 * window and aggregate together, and weights divided by their sum before they meet a value. */
void vq_attention_softmax(const struct vq_attention *a, size_t bh, size_t i, const float *content,
                          const float *position, float *row);
/* Keeps what the last query of the block saw (its window scores are kept by the softmax). */
void vq_attention_keep(const struct vq_attention *a, size_t bh, const float *content,
                       const float *weights);
void vq_attention_end(const struct vq_attention *a);

#endif
