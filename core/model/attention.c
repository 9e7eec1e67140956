/*
 * One attention module over one block: steps 1 to 7 of the forward pass.
 *
 * A query sees, in one softmax, the keys of the window and of the block up to its own position,
 * one by one, and the codes of the aggregate as it stood before the block. Keys further back than
 * M inside window and block are scored without a position term, which is what the aggregate would
 * give them; so the result does not depend on where blocks begin.
 *
 * Every key is a codebook row, so all content scores of a query are one row of (q + u) C^T; scores
 * of single keys are gathered from it.
 */
#include <math.h>
#include <string.h>

#include "core/model/session_private.h"

/* One call's sizes and pointers, shared by its tasks. */
struct attention {
    struct vq_session *s;
    const struct vq_engine *e;
    const struct vq_module *w;
    struct vq_module_state *state;
    struct vq_last_query *last;
    size_t n, tiles; /* tokens per sequence, query tiles per sequence and head */
    size_t strips;   /* column strips of the value product */
    size_t strip;    /* columns in one */
    size_t width;    /* of a row of proj */
    size_t keys;     /* window and block rows: len + n */
};

struct tile {
    size_t b, h, bh, t0, t1; /* queries t0..t1-1 of the block */
};

static struct tile tile_of(const struct attention *a, size_t task)
{
    size_t bh = task / a->tiles, t0 = task % a->tiles * VQ_TILE;
    size_t t1 = t0 + VQ_TILE < a->n ? t0 + VQ_TILE : a->n;
    return (struct tile){bh / a->e->H, bh % a->e->H, bh, t0, t1};
}

static float *proj_row(const struct attention *a, const struct tile *t, size_t i)
{
    return a->s->s.proj + (t->b * a->n + i) * a->width;
}

/* Columns of q, k, v, g of one head inside a row of proj. */
static size_t q_at(const struct vq_engine *e, size_t h)
{
    return h * e->K;
}
static size_t k_at(const struct vq_engine *e, size_t h)
{
    return e->H * e->K + h * e->K;
}
static size_t v_at(const struct vq_engine *e, size_t h)
{
    return 2 * e->H * e->K + h * e->V;
}
static size_t g_at(const struct vq_engine *e, size_t h)
{
    return 2 * e->H * e->K + e->H * e->V + h * e->V;
}

static int32_t *code_row(const struct attention *a, size_t bh)
{
    return a->state->code + bh * a->s->cap + a->s->start;
}

static float *value_row(const struct attention *a, size_t bh)
{
    return a->state->value + (bh * a->s->cap + a->s->start) * a->e->V;
}

/* Steps 2 to 4: norms and gates of one head's queries, keys, values; the nearest codes; the values
 * go behind the window. */
static void quantise_tile(const struct attention *a, const struct tile *t, float *dots)
{
    const struct vq_engine *e = a->e;
    float scale = powf((float)e->K, -0.25f);
    for (size_t i = t->t0; i < t->t1; i++) {
        float *row = proj_row(a, t, i);
        float *q = row + q_at(e, t->h), *k = row + k_at(e, t->h), *g = row + g_at(e, t->h);
        e->vec->rms_norm(q, q, e->K, NULL, NULL, scale);
        e->vec->rms_norm(k, k, e->K, NULL, NULL, scale);
        e->vec->silu(g, g, e->V);
        e->vec->silu(value_row(a, t->bh) + (a->s->len + i) * e->V, row + v_at(e, t->h), e->V);
    }
    size_t rows = t->t1 - t->t0;
    vq_weight_mul_serial(vq_gemm_exact(e->gemm), a->w->code[t->h], rows, proj_row(a, t, t->t0) + k_at(e, t->h),
                         a->width, dots, e->S, false);
    int32_t *code = code_row(a, t->bh) + a->s->len;
    for (size_t i = 0; i < rows; i++) {
        size_t z = e->vec->nearest(dots + i * e->S, a->w->code_norm2 + t->h * e->S, e->S);
        code[t->t0 + i] = (int32_t)z;
        a->s->s.codes[t->bh * a->n + t->t0 + i] = (int32_t)z;
    }
}

/* Keeps what the last query of the block saw (its window scores are kept by softmax_row). Keys of
 * window and block that lie further back than M are shown where they belong: with their code in
 * the aggregate. */
static void keep_last_query(const struct attention *a, const struct tile *t, const float *content,
                            const float *weights)
{
    const struct vq_engine *e = a->e;
    size_t own = a->keys - 1, window = own < e->M ? own + 1 : e->M + 1, first = own + 1 - window;
    float *score = a->last->score + t->bh * (e->M + 1 + e->S);
    float *weight = a->last->weight + t->bh * (e->M + 1 + e->S);
    int64_t *count = a->last->count + t->bh * e->S;
    const int32_t *code = code_row(a, t->bh);

    memcpy(weight, weights + first, window * sizeof(float));
    memcpy(a->last->code + t->bh * (e->M + 1), code + first, window * sizeof(int32_t));
    memcpy(a->last->query + t->bh * e->K, proj_row(a, t, a->n - 1) + q_at(e, t->h),
           e->K * sizeof(float));
    memset(count, 0, e->S * sizeof(*count));
    memset(weight + window, 0, e->S * sizeof(float));
    if (e->config.agg_cache) {
        memcpy(count, a->state->count + t->bh * e->S, e->S * sizeof(*count));
        memcpy(weight + window, weights + a->keys, e->S * sizeof(float));
        for (size_t j = 0; j < first; j++) {
            count[code[j]]++;
            weight[window + (size_t)code[j]] += weights[j];
        }
    }
    for (size_t s = 0; s < e->S; s++)
        score[window + s] = count[s] ? content[s] + logf((float)count[s]) : -INFINITY;
}

/* Steps 6 and 7 up to the weights, for query i, into row[keys + S]: one maximum over window and
 * aggregate together, and weights divided by their sum before they meet a value. */
static void softmax_row(const struct attention *a, const struct tile *t, size_t i,
                        const float *content, const float *position, float *row)
{
    const struct vq_engine *e = a->e;
    const struct vq_vec *vec = e->vec;
    size_t own = a->s->len + i, near = own < e->M ? own + 1 : e->M + 1, first = own + 1 - near;
    size_t seen = e->config.agg_cache ? 0 : first, codes = e->config.agg_cache ? e->S : 0;
    float *agg = row + a->keys;

    vec->gather(row + seen, content, code_row(a, t->bh) + seen, own + 1 - seen);
    vec->add(row + first, position + e->M + 1 - near, near);
    memcpy(agg, content, codes * sizeof(float));
    vec->add(agg, a->state->log_count + t->bh * e->S, codes);
    if (i + 1 == a->n)
        memcpy(a->last->score + t->bh * (e->M + 1 + e->S), row + first, near * sizeof(float));

    float top = fmaxf(vec->max(row + seen, own + 1 - seen), vec->max(agg, codes));
    float sum = vec->exp_sum(row + seen, row + seen, top, own + 1 - seen) +
                vec->exp_sum(agg, agg, top, codes);
    vec->scale(row + seen, 1.0f / sum, own + 1 - seen);
    vec->scale(agg, 1.0f / sum, codes);
    memset(row, 0, seen * sizeof(float));
    memset(row + own + 1, 0, (a->keys - own - 1) * sizeof(float));
}

/* Scores and weights of a tile's queries. */
static void weigh_tile(const struct attention *a, const struct tile *t, float *scratch)
{
    const struct vq_engine *e = a->e;
    size_t rows = t->t1 - t->t0, K = e->K, near = e->M + 1;
    float *content = scratch, *position = content + VQ_TILE * e->S;
    float *qu = position + VQ_TILE * near, *qv = qu + VQ_TILE * K;
    for (size_t i = 0; i < rows; i++) {
        const float *q = proj_row(a, t, t->t0 + i) + q_at(e, t->h);
        memcpy(qu + i * K, a->w->u + t->h * K, K * sizeof(float));
        memcpy(qv + i * K, a->w->v + t->h * K, K * sizeof(float));
        e->vec->add(qu + i * K, q, K);
        e->vec->add(qv + i * K, q, K);
    }
    vq_weight_mul_serial(e->gemm, a->w->code[t->h], rows, qu, K, content, e->S, false);
    vq_weight_mul_serial(e->gemm, a->w->rel[t->h], rows, qv, K, position, near, false);
    float *weights = a->s->s.weights + (t->bh * a->n + t->t0) * a->s->s.stride;
    for (size_t i = 0; i < rows; i++)
        softmax_row(a, t, t->t0 + i, content + i * e->S, position + i * near,
                    weights + i * a->s->s.stride);
    if (t->t1 == a->n)
        keep_last_query(a, t, content + (rows - 1) * e->S, weights + (rows - 1) * a->s->s.stride);
}

/* The rest of step 7: weights times values, times the gate, for one tile and one strip of columns.
 */
static void mix_tile(const struct attention *a, const struct tile *t, size_t c0, size_t c1)
{
    const struct vq_engine *e = a->e;
    struct vq_scratch *s = &a->s->s;
    size_t rows = t->t1 - t->t0, width = e->H * e->V, keys = a->s->len + t->t1;
    size_t oldest = a->s->len + t->t0 > e->M ? a->s->len + t->t0 - e->M : 0;
    size_t k0 = e->config.agg_cache ? 0 : oldest;
    const float *weights = s->weights + (t->bh * a->n + t->t0) * s->stride;
    float *y = s->y + (t->b * a->n + t->t0) * width + t->h * e->V + c0;
    vq_gemm_nn(e->gemm, rows, c1 - c0, keys - k0, weights + k0, s->stride,
               value_row(a, t->bh) + k0 * e->V + c0, e->V, y, width, false);
    if (e->config.agg_cache && a->s->position > (int64_t)a->s->len)
        vq_gemm_nn(e->gemm, rows, c1 - c0, e->S, weights + a->keys, s->stride,
                   a->state->mean + t->bh * e->S * e->V + c0, e->V, y, width, true);
    for (size_t i = 0; i < rows; i++)
        e->vec->mul(y + i * width, proj_row(a, t, t->t0 + i) + g_at(e, t->h) + c0, c1 - c0);
}

static float *tile_scratch(const struct attention *a, int worker)
{
    const struct vq_engine *e = a->e;
    return a->s->s.tile + (size_t)worker * VQ_TILE * (2 * e->K + e->S + e->M + 1);
}

static void quantise_task(void *ud, size_t task, int worker)
{
    const struct attention *a = ud;
    struct tile t = tile_of(a, task);
    quantise_tile(a, &t, tile_scratch(a, worker));
    if (a->tiles == 1) /* no other tile's codes are needed: spare a barrier */
        weigh_tile(a, &t, tile_scratch(a, worker));
}

static void weigh_task(void *ud, size_t task, int worker)
{
    const struct attention *a = ud;
    struct tile t = tile_of(a, task);
    weigh_tile(a, &t, tile_scratch(a, worker));
}

static void mix_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct attention *a = ud;
    struct tile t = tile_of(a, task / a->strips);
    size_t c0 = task % a->strips * a->strip;
    mix_tile(a, &t, c0, c0 + a->strip < a->e->V ? c0 + a->strip : a->e->V);
}

struct norm_rows {
    const struct vq_session *s;
    const struct vq_module *w;
    size_t rows;
};
#define NORM_ROWS 16

static void norm_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct norm_rows *r = ud;
    const struct vq_engine *e = r->s->e;
    size_t end = (task + 1) * NORM_ROWS < r->rows ? (task + 1) * NORM_ROWS : r->rows;
    for (size_t i = task * NORM_ROWS; i < end; i++)
        e->vec->rms_norm(r->s->s.h + i * e->D, r->s->s.x + i * e->D, e->D, r->w->ln_g, r->w->ln_b,
                         1.0f);
}

void vq_attention_forward(struct vq_session *s, size_t module, size_t n)
{
    const struct vq_engine *e = s->e;
    const struct vq_module *w = &e->module[module];
    size_t rows = s->B * n, strips = (e->V + 255) / 256;
    struct attention a = {
        .s = s,
        .e = e,
        .w = w,
        .state = &s->module[module],
        .last = &s->last[module],
        .n = n,
        .tiles = (n + VQ_TILE - 1) / VQ_TILE,
        .strips = strips,
        .strip = ((e->V + strips - 1) / strips + 15) / 16 * 16,
        .width = vq_proj_width(e),
        .keys = s->len + n,
    };
    size_t tiles = s->B * e->H * a.tiles;

    struct norm_rows norm = {s, w, rows};
    vq_pool_run(rows > NORM_ROWS ? e->pool : NULL, (rows + NORM_ROWS - 1) / NORM_ROWS, norm_task,
                &norm);
    vq_weight_mul(e->gemm, e->pool, w->in, rows, s->s.h, e->D, s->s.proj, a.width, false);
    vq_pool_run(e->pool, tiles, quantise_task, &a);
    if (a.tiles > 1)
        vq_pool_run(e->pool, tiles, weigh_task, &a);
    vq_pool_run(e->pool, tiles * a.strips, mix_task, &a);
    vq_weight_mul(e->gemm, e->pool, w->out, rows, s->s.y, e->H * e->V, s->s.branch, e->D, false);
    e->vec->add(s->s.x, s->s.branch, rows * e->D);
    a.last->window = (int)(a.keys <= e->M ? a.keys : e->M + 1);
    a.last->position = s->position + (int64_t)n - 1;
}
