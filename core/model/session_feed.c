/*
 * Feeding a session: buffers for a block, the block through all modules, then committed, and
 * logits. The arithmetic of a module is in attention.c and attention_step.c.
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

size_t vq_block_limit(size_t B)
{
    size_t n = BLOCK_ROWS / B;
    return n < 16 ? 16 : n > BLOCK_TOKENS ? BLOCK_TOKENS : n;
}

void vq_scratch_free(struct vq_scratch *s)
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

/* Of the softmax weights of blocks of n tokens. */
static size_t weights_stride(const struct vq_engine *e, size_t n)
{
    return (e->M + n + e->S + 15) / 16 * 16;
}

uint64_t vq_scratch_bytes(const struct vq_engine *e, size_t B, size_t n, size_t logits_rows)
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
    vq_scratch_free(c);
    c->logits = logits;
    c->logits_rows = logits_rows;
    size_t stride = weights_stride(e, n);
    size_t threads = (size_t)vq_pool_threads(e->pool);
    c->x = vq_floats(s->B, n, e->D);
    c->h = vq_floats(s->B, n, e->D);
    c->branch = vq_floats(s->B, n, e->D);
    c->proj = vq_floats(s->B, n, vq_proj_width(e));
    c->y = vq_floats(s->B, n, e->H * e->V);
    c->codes = vq_zeroed(vq_session_heads(s), n, sizeof(*c->codes));
    c->tokens = vq_zeroed(s->B, n, sizeof(*c->tokens));
    c->weights = vq_floats(vq_session_heads(s), n, stride);
    c->tile = vq_floats(threads, VQ_TILE, 2 * e->K + e->S + e->M + 1);
    c->step = vq_floats(vq_attention_step_floats(e, s->B), 1, 1);
    c->runs = vq_zeroed(vq_session_heads(s), e->M + 1 + e->S, sizeof(*c->runs));
    c->rows_read = vq_zeroed(vq_session_heads(s), 1, sizeof(*c->rows_read));
    if (!c->x || !c->h || !c->branch || !c->proj || !c->y || !c->codes || !c->tokens ||
        !c->weights || !c->tile || !c->step || !c->runs || !c->rows_read) {
        vq_scratch_free(c);
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
    s->s.logits = vq_floats(rows, s->e->N, 1);
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
        for (size_t x = 0; x < vq_session_heads(s); x++) {
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
    vq_means_mix(&m->mean, e->vec, bh, m->code[bh * s->cap + row],
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
    size_t bhs = vq_session_heads(f->s), bh = task % bhs;
    struct vq_module_state *m = &f->s->module[task / bhs];
    vq_means_admit(&m->mean, bh, m->code + bh * f->s->cap + f->s->start, f->rows);
    for (size_t r = 0; r < f->rows; r++)
        fold_row(f->s, m, bh, f->s->start + r);
}

/* The block's n rows join the window; what is now further back than M goes to the aggregate, which
 * is kept, as the authors keep it, even when agg_cache is off and no query looks at it. */
static void commit_block(struct vq_session *s, size_t n)
{
    size_t filled = s->len + n, excess = filled > s->e->M ? filled - s->e->M : 0;
    struct fold f = {s, excess};
    if (excess)
        vq_pool_run(s->e->pool, s->e->modules * vq_session_heads(s), fold_task, &f);
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
    size_t limit = vq_block_limit(s->B);
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
