/*
 * The life of a session: buffers, blocks, committing, forking, views. The arithmetic of a module is
 * in attention.c, files in state_file.c.
 */
#include "core/model/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/session_private.h"
#include "core/model/sinusoid.h"

/* Rows of a block in the engine's choice: enough for full-speed products, few enough that a block
 * of one module takes well under 100 ms on large models. */
#define BLOCK_ROWS   1024
#define BLOCK_TOKENS 256
#define ARENA_STEP   ((size_t)32 << 20)

static size_t heads(const struct vq_session *s)
{
    return s->B * s->e->H;
}

/* Tokens per sequence in one block, at most. */
static size_t block_limit(size_t B)
{
    size_t n = BLOCK_ROWS / B;
    return n < 16 ? 16 : n > BLOCK_TOKENS ? BLOCK_TOKENS : n;
}

/* Rows of a window's buffer: the window, and room for blocks behind it. */
static size_t window_rows(const struct vq_engine *e, size_t B)
{
    return e->M + (e->M / 8 > block_limit(B) ? e->M / 8 : block_limit(B));
}

/* n floats for each of a * b places, all sizes checked. */
static float *floats(size_t a, size_t b, size_t n)
{
    size_t ab, all;
    return vq_mul_ok(a, b, &ab) && vq_mul_ok(ab, n, &all) ? vq_alloc_f32(all) : NULL;
}

static void *zeroed(size_t a, size_t b, size_t size)
{
    size_t ab;
    return vq_mul_ok(a, b, &ab) ? vq_calloc(ab, size) : NULL;
}

static enum vq_status alloc_module(struct vq_session *s, size_t i, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    struct vq_module_state *m = &s->module[i];
    struct vq_last_query *q = &s->last[i];
    size_t bh = heads(s), near = e->M + 1;
    m->code = zeroed(bh, s->cap, sizeof(*m->code));
    m->count = zeroed(bh, e->S, sizeof(*m->count));
    m->log_count = floats(bh, e->S, 1);
    q->score = floats(bh, near + e->S, 1);
    q->weight = floats(bh, near + e->S, 1);
    q->code = zeroed(bh, near, sizeof(*q->code));
    q->count = zeroed(bh, e->S, sizeof(*q->count));
    q->query = floats(bh, e->K, 1);
    if (!m->code || !m->count || !m->log_count || !q->score || !q->weight || !q->code ||
        !q->count || !q->query)
        return vq_nomem(err, "attention state", bh * (s->cap + e->S), sizeof(float));
    enum vq_status status =
        vq_values_new(&m->value, s->arena, e->state, false, bh, s->cap, e->V, err);
    return status ? status : vq_values_new(&m->mean, s->arena, e->state, true, bh, e->S, e->V, err);
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
    s->last_logits = floats(s->B, e->N, 1);
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

static void free_scratch(struct vq_scratch *s)
{
    free(s->x);
    free(s->h);
    free(s->branch);
    free(s->proj);
    free(s->y);
    free(s->logits);
    free(s->codes);
    free(s->tokens);
    free(s->weights);
    free(s->tile);
    free(s->step);
    free(s->runs);
    free(s->rows_read);
    *s = (struct vq_scratch){0};
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
        free(q->score);
        free(q->weight);
        free(q->code);
        free(q->count);
        free(q->query);
    }
    free(s->module);
    free(s->last);
    free(s->last_logits);
    free_scratch(&s->s);
    vq_arena_free(s->arena);
    free(s);
}

/* The window's rows are written before they are read, and a code's mean before its count is; but
 * blocks multiply the means of empty codes by 0, so nothing infinite may linger there. */
void vq_session_reset(struct vq_session *s)
{
    const struct vq_engine *e = s->e;
    size_t bhs = heads(s) * e->S;
    for (size_t i = 0; i < e->modules; i++) {
        struct vq_module_state *m = &s->module[i];
        memset(m->count, 0, bhs * sizeof(*m->count));
        if (s->position > 0)
            vq_values_clear(&m->mean);
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
            vq_values_copy(&dm->mean, x, 0, &sm->mean, y, 0, S);
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

/* Of buffers for blocks of n tokens, and the softmax weights' stride for them. */
static size_t weights_stride(const struct vq_engine *e, size_t n)
{
    return (e->M + n + e->S + 15) / 16 * 16;
}

static uint64_t scratch_bytes(const struct vq_engine *e, size_t B, size_t n, size_t logits_rows)
{
    uint64_t rows = B * n;
    uint64_t floats_held = rows * (3 * e->D + vq_proj_width(e) + e->H * e->V) + logits_rows * e->N +
                           rows * e->H * weights_stride(e, n) + rows * (e->H + 1);
    uint64_t tile =
        n ? (uint64_t)vq_pool_threads(e->pool) * VQ_TILE * (2 * e->K + e->S + e->M + 1) : 0;
    uint64_t step = n ? vq_attention_step_floats(e, B) : 0;
    uint64_t runs = n ? (e->M + 1 + e->S) * sizeof(struct vq_run) + sizeof(struct vq_rows_read) : 0;
    return (floats_held + tile + step) * sizeof(float) + B * e->H * runs;
}

static uint64_t state_bytes(const struct vq_engine *e, size_t B, size_t cap)
{
    uint64_t S = e->S, near = e->M + 1;
    uint64_t state = cap * 4 + S * (8 + 4);
    uint64_t values =
        vq_values_bytes(e->state, false, cap, e->V) + vq_values_bytes(e->state, true, S, e->V);
    uint64_t last = (near + S) * 8 + near * 4 + S * 8 + e->K * 4;
    return B * e->H * e->modules * (state + values + last) + B * e->N * 4;
}

uint64_t vq_session_bytes(const struct vq_session *s)
{
    return state_bytes(s->e, s->B, s->cap) + scratch_bytes(s->e, s->B, s->s.n, s->s.logits_rows);
}

uint64_t vq_session_size(const struct vq_engine *e, int batch)
{
    size_t B = (size_t)batch, n = block_limit(B);
    return state_bytes(e, B, window_rows(e, B)) + scratch_bytes(e, B, n, B * n);
}

struct vq_state_reads vq_session_reads(const struct vq_session *s)
{
    return s->reads;
}

/* Room for blocks of n tokens; buffers grow and are reused. */
static enum vq_status reserve_scratch(struct vq_session *s, size_t n, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    struct vq_scratch *c = &s->s;
    if (n <= c->n)
        return VQ_OK;
    float *logits = c->logits;
    size_t logits_rows = c->logits_rows;
    c->logits = NULL;
    free_scratch(c);
    c->logits = logits;
    c->logits_rows = logits_rows;
    size_t stride = weights_stride(e, n);
    size_t threads = (size_t)vq_pool_threads(e->pool);
    c->x = floats(s->B, n, e->D);
    c->h = floats(s->B, n, e->D);
    c->branch = floats(s->B, n, e->D);
    c->proj = floats(s->B, n, vq_proj_width(e));
    c->y = floats(s->B, n, e->H * e->V);
    c->codes = zeroed(heads(s), n, sizeof(*c->codes));
    c->tokens = zeroed(s->B, n, sizeof(*c->tokens));
    c->weights = floats(heads(s), n, stride);
    c->tile = floats(threads, VQ_TILE, 2 * e->K + e->S + e->M + 1);
    c->step = floats(vq_attention_step_floats(e, s->B), 1, 1);
    c->runs = zeroed(heads(s), e->M + 1 + e->S, sizeof(*c->runs));
    c->rows_read = zeroed(heads(s), 1, sizeof(*c->rows_read));
    if (!c->x || !c->h || !c->branch || !c->proj || !c->y || !c->codes || !c->tokens ||
        !c->weights || !c->tile || !c->step || !c->runs || !c->rows_read) {
        free_scratch(c);
        return vq_nomem(err, "block buffers", s->B * n * stride, e->H * sizeof(float));
    }
    c->n = n;
    c->rows = s->B * n;
    c->stride = stride;
    return VQ_OK;
}

static enum vq_status reserve_logits(struct vq_session *s, size_t rows, struct vq_err *err)
{
    if (rows <= s->s.logits_rows)
        return VQ_OK;
    free(s->s.logits);
    s->s.logits_rows = 0;
    s->s.logits = floats(rows, s->e->N, 1);
    if (!s->s.logits)
        return vq_nomem(err, "logits", rows * s->e->N, sizeof(float));
    s->s.logits_rows = rows;
    return VQ_OK;
}

/* Moves every window to row 0 of its buffer. */
static void slide_windows(struct vq_session *s)
{
    for (size_t i = 0; i < s->e->modules; i++) {
        struct vq_module_state *m = &s->module[i];
        for (size_t x = 0; x < heads(s); x++) {
            int32_t *code = m->code + x * s->cap;
            memmove(code, code + s->start, s->len * sizeof(*code));
        }
        vq_values_move(&m->value, 0, s->start, s->len);
    }
    s->start = 0;
}

float vq_log_count(int64_t count)
{
    return count > 0 ? (float)log((double)count) : -INFINITY;
}

/* Folds one value into the running mean of its code:
 * new = old * (lower / new_lower) + value / new_lower. Row by row, so that the bytes do not depend
 * on where blocks begin. */
static void fold_row(const struct vq_session *s, struct vq_module_state *m, size_t bh, size_t row)
{
    const struct vq_engine *e = s->e;
    size_t z = bh * e->S + (size_t)m->code[bh * s->cap + row];
    int64_t count = m->count[z]++;
    float share = (float)(1.0 / (double)(count + 1));
    m->log_count[z] = vq_log_count(count + 1);
    vq_values_mix(&m->mean, e->vec, bh, (size_t)m->code[bh * s->cap + row],
                  (float)((double)count / (double)(count + 1)), share, &m->value, row);
}

struct fold {
    struct vq_session *s;
    size_t rows;
};

static void fold_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct fold *f = ud;
    size_t bhs = heads(f->s);
    struct vq_module_state *m = &f->s->module[task / bhs];
    for (size_t r = 0; r < f->rows; r++)
        fold_row(f->s, m, task % bhs, f->s->start + r);
}

/* The block's n rows join the window; what is now further back than M goes to the aggregate, which
 * is kept, as the authors keep it, even when agg_cache is off and no query looks at it. */
static void commit_block(struct vq_session *s, size_t n)
{
    size_t filled = s->len + n, excess = filled > s->e->M ? filled - s->e->M : 0;
    struct fold f = {s, excess};
    if (excess)
        vq_pool_run(s->e->pool, s->e->modules * heads(s), fold_task, &f);
    s->start += excess;
    s->len = filled - excess;
    s->position += (int64_t)n;
}

static void embed(struct vq_session *s, size_t n)
{
    const struct vq_engine *e = s->e;
    for (size_t i = 0; i < s->B * n; i++)
        memcpy(s->s.x + i * e->D, e->embs + (size_t)s->s.tokens[i] * e->D, e->D * sizeof(float));
    if (!e->frequencies)
        return;
    float *sinusoid = s->s.h;
    for (size_t t = 0; t < n; t++) {
        vq_sinusoid(sinusoid, e->D, e->frequencies, (double)(s->position + (int64_t)t));
        for (size_t b = 0; b < s->B; b++)
            e->vec->axpy(s->s.x + (b * n + t) * e->D, e->pe_scale, sinusoid, e->D);
    }
}

/* Logits of `rows` rows of the residual stream x into out, through s.h when out_ln exists. */
static void project_logits(struct vq_session *s, const float *x, size_t rows, size_t ldx,
                           float *out)
{
    const struct vq_engine *e = s->e;
    const float *in = x;
    if (e->out_ln_g) {
        for (size_t i = 0; i < rows; i++)
            e->vec->rms_norm(s->s.h + i * e->D, x + i * ldx, e->D, e->out_ln_g, e->out_ln_b, 1.0f);
        in = s->s.h;
        ldx = e->D;
    }
    vq_weight_mul(e->gemm, e->pool, e->logits, rows, in, ldx, out, e->N, false);
    for (size_t i = 0; i < rows; i++) {
        e->vec->add(out + i * e->N, e->logits_bias, e->N);
        e->vec->scale(out + i * e->N, (float)e->config.e_scale, e->N);
    }
}

/* Last rows of each sequence's logits to last_logits, all rows to the observer when it asks. */
static enum vq_status give_logits(struct vq_session *s, const struct vq_block *b,
                                  const struct vq_observer *o, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    size_t n = (size_t)b->n;
    if (!o || !o->logits) {
        project_logits(s, s->s.x + (n - 1) * e->D, s->B, n * e->D, s->last_logits);
        return VQ_OK;
    }
    project_logits(s, s->s.x, s->B * n, e->D, s->s.logits);
    for (size_t i = 0; i < s->B; i++)
        memcpy(s->last_logits + i * e->N, s->s.logits + (i * n + n - 1) * e->N,
               e->N * sizeof(float));
    return o->logits(o->ud, b, s->s.logits, err);
}

/* What module i has just done with the block. */
static struct vq_module_view view_module(const struct vq_session *s, size_t i, size_t n)
{
    const struct vq_engine *e = s->e;
    size_t k = e->H * e->K, v = e->H * e->V;
    return (struct vq_module_view){
        .module = (int)i,
        .codes = s->s.codes,
        .keys = s->s.proj + k,
        .key_stride = vq_proj_width(e),
        .branch = s->s.branch,
        .stream = s->s.x,
        .gates = s->s.proj + 2 * k + v,
        .weights = s->s.weights,
        .weight_stride = s->s.stride,
        .n_keys = s->len + n,
        .first_key = s->position - (int64_t)s->len,
        .key_codes = s->module[i].code + s->start,
        .key_code_stride = s->cap,
        .count = s->module[i].count,
        .aggregate = e->config.agg_cache != 0,
    };
}

static enum vq_status feed_block(struct vq_session *s, size_t n, bool want_logits,
                                 const struct vq_feed_options *o, struct vq_err *err)
{
    const struct vq_observer *see = o->observe;
    struct vq_block b = {(int)s->B, (int)n, s->position, s->s.tokens};
    if (s->start + s->len + n > s->cap)
        slide_windows(s);
    embed(s, n);
    if (see && see->embedded)
        see->embedded(see->ud, &b, s->s.x);
    for (size_t i = 0; i < s->e->modules; i++) {
        if (vq_cancelled(o->cancel))
            return vq_fail(err, VQ_ECANCELLED, "stopped at position %lld", (long long)s->position);
        if (n == 1)
            vq_attention_step(s, i);
        else
            vq_attention_forward(s, i, n);
        if (!see || !see->module)
            continue;
        const struct vq_module_view v = view_module(s, i, n);
        see->module(see->ud, &b, &v);
    }
    commit_block(s, n);
    s->has_logits = want_logits;
    enum vq_status status = want_logits ? give_logits(s, &b, see, err) : VQ_OK;
    if (see && see->committed)
        see->committed(see->ud, &b);
    return status;
}

static enum vq_status check_tokens(const struct vq_session *s, const int32_t *tokens, size_t n,
                                   size_t stride, struct vq_err *err)
{
    for (size_t b = 0; b < s->B; b++)
        for (size_t t = 0; t < n; t++) {
            int32_t id = tokens[b * stride + t];
            if (id < 0 || (size_t)id >= s->e->N)
                return vq_fail(err, VQ_EINVAL, "token %zu: expected an id from 0 to %zu, found %d",
                               t, s->e->N - 1, (int)id);
        }
    return VQ_OK;
}

enum vq_status vq_session_feed(struct vq_session *s, const int32_t *tokens, size_t n, size_t stride,
                               const struct vq_feed_options *options, struct vq_err *err)
{
    static const struct vq_feed_options plain = {0};
    const struct vq_feed_options *o = options ? options : &plain;
    size_t limit = block_limit(s->B);
    size_t block = o->block > 0 && (size_t)o->block < limit ? (size_t)o->block : limit;
    bool all_logits = o->observe && o->observe->logits && !o->no_logits;
    enum vq_status status = check_tokens(s, tokens, n, stride, err);
    if (status == VQ_OK && n > 0)
        status = reserve_scratch(s, n < block ? n : block, err);
    if (status == VQ_OK && all_logits)
        status = reserve_logits(s, s->B * s->s.n, err);
    for (size_t t = 0; status == VQ_OK && t < n;) {
        size_t m = n - t < block ? n - t : block;
        for (size_t b = 0; b < s->B; b++)
            memcpy(s->s.tokens + b * m, tokens + b * stride + t, m * sizeof(*tokens));
        status = feed_block(s, m, all_logits || (!o->no_logits && t + m == n), o, err);
        t += m;
    }
    return status;
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
            vq_values_get(&m->mean, bh + h, c, mean + (h * S + c) * V);
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
