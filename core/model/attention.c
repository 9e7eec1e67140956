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

#include "core/model/attention_private.h"

struct tile {
    size_t b, h, bh, t0, t1; /* queries t0..t1-1 of the block */
};

static struct tile tile_of(const struct vq_attention *a, size_t task)
{
    size_t bh = task / a->tiles, t0 = task % a->tiles * VQ_TILE;
    size_t t1 = t0 + VQ_TILE < a->n ? t0 + VQ_TILE : a->n;
    return (struct tile){bh / a->e->H, bh % a->e->H, bh, t0, t1};
}

/* A value's SiLU goes behind the window. */
static void put_value(const struct vq_attention *a, size_t bh, size_t i, const float *v)
{
    const struct vq_values *values = &a->state->value;
    float strip[VQ_STRIP];
    for (size_t s = 0; s < values->strips; s++) {
        a->e->vec->silu(strip, v + vq_values_column(values, s), vq_values_columns(values, s));
        vq_values_put(&a->state->value, bh, s, a->s->start + a->s->len + i, strip);
    }
}

/* Steps 2 to 4: norms and gates of one head's queries, keys, values; the nearest codes; the values
 * go behind the window. */
static void quantise_tile(const struct vq_attention *a, const struct tile *t, float *dots)
{
    const struct vq_engine *e = a->e;
    float scale = powf((float)e->K, -0.25f);
    for (size_t i = t->t0; i < t->t1; i++) {
        float *row = vq_proj_row(a, t->b, i);
        float *q = row + vq_q_at(e, t->h), *k = row + vq_k_at(e, t->h), *g = row + vq_g_at(e, t->h);
        e->vec->rms_norm(q, q, e->K, NULL, NULL, scale);
        e->vec->rms_norm(k, k, e->K, NULL, NULL, scale);
        e->vec->silu(g, g, e->V);
        put_value(a, t->bh, i, row + vq_v_at(e, t->h));
    }
    size_t rows = t->t1 - t->t0;
    vq_weight_mul_serial(vq_gemm_exact(e->gemm), a->w->code[t->h], rows,
                         vq_proj_row(a, t->b, t->t0) + vq_k_at(e, t->h), a->width, dots, e->S,
                         false);
    int32_t *code = vq_code_row(a, t->bh) + a->s->len;
    for (size_t i = 0; i < rows; i++) {
        size_t z = e->vec->nearest(dots + i * e->S, a->w->code_norm2 + t->h * e->S, e->S);
        code[t->t0 + i] = (int32_t)z;
        a->s->s.codes[t->bh * a->n + t->t0 + i] = (int32_t)z;
    }
}

/* Keys of window and block that lie further back than M are shown where they belong: with their
 * code in the aggregate. */
void vq_attention_keep(const struct vq_attention *a, size_t bh, const float *content,
                       const float *weights)
{
    const struct vq_engine *e = a->e;
    size_t own = a->keys - 1, window = own < e->M ? own + 1 : e->M + 1, first = own + 1 - window;
    float *score = a->last->score + bh * (e->M + 1 + e->S) + window;
    float *weight = a->last->weight + bh * (e->M + 1 + e->S);
    int64_t *count = a->last->count + bh * e->S;
    const int32_t *code = vq_code_row(a, bh);

    memcpy(weight, weights + first, window * sizeof(float));
    memcpy(a->last->code + bh * (e->M + 1), code + first, window * sizeof(int32_t));
    memcpy(a->last->query + bh * e->K, vq_proj_row(a, bh / e->H, a->n - 1) + vq_q_at(e, bh % e->H),
           e->K * sizeof(float));
    if (!e->config.agg_cache) {
        memset(count, 0, e->S * sizeof(*count));
        memset(weight + window, 0, e->S * sizeof(float));
        for (size_t s = 0; s < e->S; s++)
            score[s] = -INFINITY;
        return;
    }
    memcpy(count, a->state->count + bh * e->S, e->S * sizeof(*count));
    memcpy(weight + window, weights + a->keys, e->S * sizeof(float));
    memcpy(score, content, e->S * sizeof(float));
    e->vec->add(score, a->state->log_count + bh * e->S, e->S);
    for (size_t j = 0; j < first; j++) {
        size_t z = (size_t)code[j];
        weight[window + z] += weights[j];
        score[z] = content[z] + vq_log_count(++count[z]);
    }
}

/*
 * The limit below which VQ_SKIP_LIGHT makes weights of a query with n of them 0: u / n, where u is
 * the unit roundoff of the state's format. So the weights dropped add up to less than u; each would
 * have multiplied a value, or a mean of values, no larger than the largest there is. Hence no
 * element of the sum moves by more than u * max |value|. The other weights stay as they are:
 * scaling them up would double the bound.
 */
static float light_limit(const struct vq_engine *e, size_t n)
{
    static const float roundoff[] = {
        [VQ_WEIGHT_F32] = 0x1p-24f, [VQ_WEIGHT_BF16] = 0x1p-8f, [VQ_WEIGHT_INT8] = 1.0f / 254.0f};
    return roundoff[e->state] / (float)n;
}

static void drop_light(float *w, size_t n, float limit)
{
    for (size_t i = 0; i < n; i++)
        w[i] = w[i] < limit ? 0.0f : w[i];
}

void vq_attention_softmax(const struct vq_attention *a, size_t bh, size_t i, const float *content,
                          const float *position, float *row)
{
    const struct vq_engine *e = a->e;
    const struct vq_vec *vec = e->vec;
    size_t own = a->s->len + i, near = own < e->M ? own + 1 : e->M + 1, first = own + 1 - near;
    size_t seen = e->config.agg_cache ? 0 : first, codes = e->config.agg_cache ? e->S : 0;
    float *agg = row + a->keys;

    vec->gather(row + seen, content, vq_code_row(a, bh) + seen, own + 1 - seen);
    vec->add(row + first, position + e->M + 1 - near, near);
    memcpy(agg, content, codes * sizeof(float));
    vec->add(agg, a->state->log_count + bh * e->S, codes);
    if (i + 1 == a->n)
        memcpy(a->last->score + bh * (e->M + 1 + e->S), row + first, near * sizeof(float));

    float top = fmaxf(vec->max(row + seen, own + 1 - seen), vec->max(agg, codes));
    float sum = vec->exp_sum(row + seen, row + seen, top, own + 1 - seen) +
                vec->exp_sum(agg, agg, top, codes);
    vec->scale(row + seen, 1.0f / sum, own + 1 - seen);
    vec->scale(agg, 1.0f / sum, codes);
    if (e->skip == VQ_SKIP_LIGHT) {
        float limit = light_limit(e, own + 1 - seen + codes);
        drop_light(row + seen, own + 1 - seen, limit);
        drop_light(agg, codes, limit);
    }
    memset(row, 0, seen * sizeof(float));
    memset(row + own + 1, 0, (a->keys - own - 1) * sizeof(float));
}

/* Scores and weights of a tile's queries. */
static void weigh_tile(const struct vq_attention *a, const struct tile *t, float *scratch)
{
    const struct vq_engine *e = a->e;
    size_t rows = t->t1 - t->t0, K = e->K, near = e->M + 1;
    float *content = scratch, *position = content + VQ_TILE * e->S;
    float *qu = position + VQ_TILE * near, *qv = qu + VQ_TILE * K;
    for (size_t i = 0; i < rows; i++) {
        const float *q = vq_proj_row(a, t->b, t->t0 + i) + vq_q_at(e, t->h);
        memcpy(qu + i * K, a->w->u + t->h * K, K * sizeof(float));
        memcpy(qv + i * K, a->w->v + t->h * K, K * sizeof(float));
        e->vec->add(qu + i * K, q, K);
        e->vec->add(qv + i * K, q, K);
    }
    vq_weight_mul_serial(e->gemm, a->w->code[t->h], rows, qu, K, content, e->S, false);
    vq_weight_mul_serial(e->gemm, a->w->rel[t->h], rows, qv, K, position, near, false);
    float *weights = a->s->s.weights + (t->bh * a->n + t->t0) * a->s->s.stride;
    for (size_t i = 0; i < rows; i++)
        vq_attention_softmax(a, t->bh, t->t0 + i, content + i * e->S, position + i * near,
                             weights + i * a->s->s.stride);
    if (t->t1 == a->n)
        vq_attention_keep(a, t->bh, content + (rows - 1) * e->S,
                          weights + (rows - 1) * a->s->s.stride);
}

/* y += the tile's weights times the means of one strip; packed is scratch [VQ_TILE, S]. */
static void add_means(const struct vq_attention *a, const struct tile *t, size_t strip,
                      const float *weights, float *packed, float *y, size_t ldy)
{
    const struct vq_engine *e = a->e;
    size_t rows = t->t1 - t->t0, n, ldw = a->s->s.stride;
    const int32_t *codes = vq_seen_codes(a, t->bh, &n);
    if (n > 0 && n < e->S) {
        for (size_t i = 0; i < rows; i++)
            vq_pack_weights(packed + i * n, weights + i * ldw, codes, n);
        weights = packed;
        ldw = n;
    }
    if (n > 0)
        vq_values_gemm(e->gemm, &a->state->mean.rows, t->bh, strip, 0, n, rows, weights, ldw, y,
                       ldy);
}

/* The rest of step 7: weights times values, times the gate, for one tile and one strip of columns.
 */
static void mix_tile(const struct vq_attention *a, const struct tile *t, size_t strip,
                     float *scratch)
{
    const struct vq_engine *e = a->e;
    const struct vq_values *value = &a->state->value;
    struct vq_scratch *s = &a->s->s;
    size_t rows = t->t1 - t->t0, width = e->H * e->V, keys = a->s->len + t->t1;
    size_t oldest = a->s->len + t->t0 > e->M ? a->s->len + t->t0 - e->M : 0;
    size_t k0 = e->config.agg_cache ? 0 : oldest;
    size_t c0 = vq_values_column(value, strip), cols = vq_values_columns(value, strip);
    const float *weights = s->weights + (t->bh * a->n + t->t0) * s->stride;
    float *y = s->y + (t->b * a->n + t->t0) * width + t->h * e->V + c0;
    for (size_t i = 0; i < rows; i++)
        memset(y + i * width, 0, cols * sizeof(*y));
    vq_values_gemm(e->gemm, value, t->bh, strip, a->s->start + k0, keys - k0, rows, weights + k0,
                   s->stride, y, width);
    add_means(a, t, strip, weights + a->keys, scratch, y, width);
    for (size_t i = 0; i < rows; i++)
        e->vec->mul(y + i * width, vq_proj_row(a, t->b, t->t0 + i) + vq_g_at(e, t->h) + c0, cols);
}

static float *tile_scratch(const struct vq_attention *a, int worker)
{
    const struct vq_engine *e = a->e;
    return a->s->s.tile + (size_t)worker * VQ_TILE * (2 * e->K + e->S + e->M + 1);
}

static void quantise_task(void *ud, size_t task, int worker)
{
    const struct vq_attention *a = ud;
    struct tile t = tile_of(a, task);
    quantise_tile(a, &t, tile_scratch(a, worker));
    if (a->tiles == 1) /* no other tile's codes are needed: spare a barrier */
        weigh_tile(a, &t, tile_scratch(a, worker));
}

static void weigh_task(void *ud, size_t task, int worker)
{
    const struct vq_attention *a = ud;
    struct tile t = tile_of(a, task);
    weigh_tile(a, &t, tile_scratch(a, worker));
}

static void mix_task(void *ud, size_t task, int worker)
{
    const struct vq_attention *a = ud;
    struct tile t = tile_of(a, task / a->state->value.strips);
    mix_tile(a, &t, task % a->state->value.strips, tile_scratch(a, worker));
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

void vq_attention_norm(const struct vq_attention *a, size_t rows)
{
    struct norm_rows norm = {a->s, a->w, rows};
    vq_pool_run(rows > NORM_ROWS ? a->e->pool : NULL, (rows + NORM_ROWS - 1) / NORM_ROWS, norm_task,
                &norm);
}

struct vq_attention vq_attention_begin(struct vq_session *s, size_t module, size_t n)
{
    return (struct vq_attention){
        .s = s,
        .e = s->e,
        .w = &s->e->module[module],
        .state = &s->module[module],
        .last = &s->last[module],
        .n = n,
        .tiles = (n + VQ_TILE - 1) / VQ_TILE,
        .width = vq_proj_width(s->e),
        .keys = s->len + n,
    };
}

void vq_attention_end(const struct vq_attention *a)
{
    a->last->window = (int)(a->keys <= a->e->M ? a->keys : a->e->M + 1);
    a->last->position = a->s->position + (int64_t)a->n - 1;
}

void vq_attention_forward(struct vq_session *s, size_t module, size_t n)
{
    const struct vq_engine *e = s->e;
    struct vq_attention a = vq_attention_begin(s, module, n);
    size_t rows = s->B * n, tiles = s->B * e->H * a.tiles;
    vq_attention_norm(&a, rows);
    vq_weight_mul(e->gemm, e->pool, a.w->in, rows, s->s.h, e->D, s->s.proj, a.width, false);
    vq_pool_run(e->pool, tiles, quantise_task, &a);
    if (a.tiles > 1)
        vq_pool_run(e->pool, tiles, weigh_task, &a);
    vq_pool_run(e->pool, tiles * a.state->value.strips, mix_task, &a);
    vq_weight_mul(e->gemm, e->pool, a.w->out, rows, s->s.y, e->H * e->V, s->s.branch, e->D, false);
    e->vec->add(s->s.x, s->s.branch, rows * e->D);
    vq_attention_end(&a);
}
