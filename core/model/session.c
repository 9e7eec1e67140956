/*
 * The life of a session: its state made, emptied, copied, measured and looked at. Tokens are fed in
 * session_feed.c; files are in state_file.c.
 */
#include "core/model/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/session_private.h"

#define ARENA_STEP ((size_t)32 << 20)

/* Rows of a window's buffer: the window, and room for blocks behind it. */
static size_t window_rows(const struct vq_engine *e, size_t B)
{
    return e->M + (e->M / 8 > vq_block_limit(B) ? e->M / 8 : vq_block_limit(B));
}

static enum vq_status alloc_module(struct vq_session *s, size_t i, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    struct vq_module_state *m = &s->module[i];
    struct vq_last_query *q = &s->last[i];
    size_t bh = vq_session_heads(s), near = e->M + 1;
    m->code = vq_zeroed(bh, s->cap, sizeof(*m->code));
    m->count = vq_zeroed(bh, e->S, sizeof(*m->count));
    m->log_count = vq_floats(bh, e->S, 1);
    q->score = vq_floats(bh, near + e->S, 1);
    q->weight = vq_floats(bh, near + e->S, 1);
    q->code = vq_zeroed(bh, near, sizeof(*q->code));
    q->count = vq_zeroed(bh, e->S, sizeof(*q->count));
    q->query = vq_floats(bh, e->K, 1);
    if (!m->code || !m->count || !m->log_count || !q->score || !q->weight || !q->code ||
        !q->count || !q->query)
        return vq_nomem(err, "attention state", bh * (s->cap + e->S), sizeof(float));
    enum vq_status status =
        vq_values_new(&m->value, s->arena, e->state, bh, s->cap, e->V, err);
    return status ? status : vq_means_new(&m->mean, s->arena, e->state, bh, e->S, e->V, err);
}

enum vq_status vq_session_new(struct vq_session **out, const struct vq_engine *e, int batch,
                              struct vq_err *err)
{
    *out = NULL;
    if (batch < 1 || batch > 65536)
        return vq_fail(err, VQ_EINVAL, "batch: expected 1 to 65536, found %d", batch);
    struct vq_session *s = vq_calloc(1, sizeof(*s));
    if (!s)
        return vq_nomem(err, "session", 1, sizeof(*s));
    s->e = e;
    s->B = (size_t)batch;
    s->cap = window_rows(e, s->B);
    s->module = vq_calloc(e->modules, sizeof(*s->module));
    s->last = vq_calloc(e->modules, sizeof(*s->last));
    s->last_logits = vq_floats(s->B, e->N, 1);
    s->arena = vq_arena_new(ARENA_STEP);
    enum vq_status status = VQ_OK;
    if (!s->module || !s->last || !s->last_logits || !s->arena)
        status = vq_nomem(err, "session", s->B * e->N, sizeof(float));
    for (size_t i = 0; status == VQ_OK && i < e->modules; i++)
        status = alloc_module(s, i, err);
    if (status != VQ_OK) {
        vq_session_free(s);
        return status;
    }
    vq_session_reset(s);
    *out = s;
    return VQ_OK;
}

void vq_session_free(struct vq_session *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->module && s->last && i < s->e->modules; i++) {
        struct vq_module_state *m = &s->module[i];
        struct vq_last_query *q = &s->last[i];
        free(m->code);
        free(m->count);
        free(m->log_count);
        vq_means_release(&m->mean);
        free(q->score);
        free(q->weight);
        free(q->code);
        free(q->count);
        free(q->query);
    }
    free(s->module);
    free(s->last);
    free(s->last_logits);
    vq_scratch_free(&s->s);
    vq_arena_free(s->arena);
    free(s);
}

void vq_session_reset(struct vq_session *s)
{
    const struct vq_engine *e = s->e;
    size_t bhs = vq_session_heads(s) * e->S;
    for (size_t i = 0; i < e->modules; i++) {
        struct vq_module_state *m = &s->module[i];
        memset(m->count, 0, bhs * sizeof(*m->count));
        vq_means_clear(&m->mean);
        for (size_t j = 0; j < bhs; j++)
            m->log_count[j] = vq_log_count(0);
        s->last[i].position = -1;
    }
    s->position = 0;
    s->start = s->len = 0;
    s->has_logits = s->edited = false;
}

/* Copies the state of sequence `from_b` of s into sequence b of d; both have the same engine. */
static void copy_sequence(struct vq_session *d, size_t b, const struct vq_session *s, size_t from_b)
{
    const struct vq_engine *e = s->e;
    size_t S = e->S, row = e->M + 1 + S;
    for (size_t i = 0; i < e->modules; i++) {
        const struct vq_module_state *sm = &s->module[i];
        struct vq_module_state *dm = &d->module[i];
        const struct vq_last_query *sq = &s->last[i];
        struct vq_last_query *dq = &d->last[i];
        for (size_t h = 0; h < e->H; h++) {
            size_t x = b * e->H + h, y = from_b * e->H + h;
            memcpy(dm->code + x * d->cap, sm->code + y * s->cap + s->start,
                   s->len * sizeof(*dm->code));
            vq_values_copy(&dm->value, x, 0, &sm->value, y, s->start, s->len);
            vq_means_copy(&dm->mean, x, &sm->mean, y);
            memcpy(dm->count + x * S, sm->count + y * S, S * sizeof(*dm->count));
            memcpy(dm->log_count + x * S, sm->log_count + y * S, S * sizeof(float));
            memcpy(dq->score + x * row, sq->score + y * row, row * sizeof(float));
            memcpy(dq->weight + x * row, sq->weight + y * row, row * sizeof(float));
            memcpy(dq->code + x * (e->M + 1), sq->code + y * (e->M + 1),
                   (e->M + 1) * sizeof(*dq->code));
            memcpy(dq->count + x * S, sq->count + y * S, S * sizeof(*dq->count));
            memcpy(dq->query + x * e->K, sq->query + y * e->K, e->K * sizeof(float));
        }
        dq->position = sq->position;
        dq->window = sq->window;
    }
    memcpy(d->last_logits + b * e->N, s->last_logits + from_b * e->N, e->N * sizeof(float));
}

/* `batch` sequences, the first of them sequence `from`, the others the `step`th after the one
 * before. */
static enum vq_status copy_rows(struct vq_session **out, const struct vq_session *s, int batch,
                                size_t from, size_t step, struct vq_err *err)
{
    struct vq_session *d;
    enum vq_status status = vq_session_new(&d, s->e, batch, err);
    if (status != VQ_OK)
        return status;
    for (size_t b = 0; b < d->B; b++)
        copy_sequence(d, b, s, from + b * step);
    d->position = s->position;
    d->len = s->len;
    d->has_logits = s->has_logits;
    d->edited = s->edited;
    *out = d;
    return VQ_OK;
}

enum vq_status vq_session_fork(struct vq_session **out, const struct vq_session *s, int batch,
                               struct vq_err *err)
{
    *out = NULL;
    if (s->B != 1 && (size_t)batch != s->B)
        return vq_fail(err, VQ_EINVAL, "fork: a session of %zu sequences cannot become one of %d",
                       s->B, batch);
    return copy_rows(out, s, batch, 0, s->B > 1, err);
}

enum vq_status vq_session_row(struct vq_session **out, const struct vq_session *s, int row,
                              struct vq_err *err)
{
    *out = NULL;
    if (row < 0 || (size_t)row >= s->B)
        return vq_fail(err, VQ_EINVAL, "row %d of a session of %zu sequence(s), from 0", row, s->B);
    return copy_rows(out, s, 1, (size_t)row, 0, err);
}

const struct vq_engine *vq_session_engine(const struct vq_session *s)
{
    return s->e;
}

int vq_session_batch(const struct vq_session *s)
{
    return (int)s->B;
}

int64_t vq_session_position(const struct vq_session *s)
{
    return s->position;
}

static uint64_t state_bytes(const struct vq_engine *e, size_t B, size_t cap)
{
    uint64_t S = e->S, near = e->M + 1;
    uint64_t state = cap * 4 + S * (8 + 4);
    uint64_t values =
        vq_values_bytes(e->state, cap, e->V) + vq_means_bytes(e->state, S, e->V);
    uint64_t last = (near + S) * 8 + near * 4 + S * 8 + e->K * 4;
    return B * e->H * e->modules * (state + values + last) + B * e->N * 4;
}

uint64_t vq_session_bytes(const struct vq_session *s)
{
    return state_bytes(s->e, s->B, s->cap) + vq_scratch_bytes(s->e, s->B, s->s.n, s->s.logits_rows);
}

uint64_t vq_session_size(const struct vq_engine *e, int batch)
{
    size_t B = (size_t)batch, n = vq_block_limit(B);
    return state_bytes(e, B, window_rows(e, B)) + vq_scratch_bytes(e, B, n, B * n);
}

struct vq_state_reads vq_session_reads(const struct vq_session *s)
{
    return s->reads;
}

const float *vq_session_logits(const struct vq_session *s)
{
    return s->has_logits ? s->last_logits : NULL;
}

size_t vq_session_cache_floats(const struct vq_session *s)
{
    return s->e->H * (s->e->M + s->e->S) * s->e->V;
}

void vq_session_cache(const struct vq_session *s, int module, int b, float *room,
                      struct vq_cache_view *out)
{
    const struct vq_engine *e = s->e;
    const struct vq_module_state *m = &s->module[module];
    size_t bh = (size_t)b * e->H, S = e->S, V = e->V;
    float *mean = room ? room + e->H * e->M * V : NULL;
    *out = (struct vq_cache_view){
        .position = s->position,
        .window = (int)s->len,
        .first = s->position - (int64_t)s->len,
        .code = m->code + bh * s->cap + s->start,
        .code_stride = s->cap,
        .value = room,
        .value_stride = e->M * V,
        .count = m->count + bh * S,
        .mean = mean,
    };
    for (size_t h = 0; room && h < e->H; h++) {
        for (size_t t = 0; t < s->len; t++)
            vq_values_get(&m->value, bh + h, s->start + t, room + (h * e->M + t) * V);
        for (size_t c = 0; c < S; c++)
            vq_means_get(&m->mean, bh + h, (int32_t)c, mean + (h * S + c) * V);
    }
}

enum vq_status vq_session_attention(const struct vq_session *s, int module, int head, int b,
                                    struct vq_attention_view *out, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    const struct vq_last_query *q = &s->last[module];
    if (q->position < 0)
        return vq_fail(err, VQ_ENOTFOUND,
                       "no query yet: feed a token first (a loaded state keeps keys and values, "
                       "not queries)");
    size_t bh = (size_t)b * e->H + (size_t)head, row = e->M + 1 + e->S;
    *out = (struct vq_attention_view){
        .query = q->position,
        .window = q->window,
        .first = q->position + 1 - q->window,
        .score = q->score + bh * row,
        .weight = q->weight + bh * row,
        .code = q->code + bh * (e->M + 1),
        .count = q->count + bh * e->S,
        .query_vec = q->query + bh * e->K,
    };
    return VQ_OK;
}
