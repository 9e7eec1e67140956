/*
 * One attention module over one token of each sequence: what generation does. The arithmetic is
 * that of attention.c, to the byte (but for back-ends that promise less), and so is its order; cut
 * otherwise, since here nothing is computed that is not read from memory first, once.
 *
 * - All scores are few products with small matrices, of all sequences at once, in one run of the
 *   pool: [k; q + u] C^T and (q + v) R^T. What follows them up to the weights is short, and done by
 *   one thread for each sequence and head.
 * - Values are read in strips of columns: a task walks along the rows of its strip as they lie,
 * with the sums in registers.
 * - Rows of no weight are not read. See rows_to_read().
 */
#include <math.h>
#include <string.h>

#include "core/model/attention_private.h"

/* Where things lie in s.step: rows of B sequences, head by head. */
struct step {
    struct vq_attention a;
    float *keys;     /* [H, 2 B, K]: k of all sequences, then q + u */
    float *queries;  /* [H, B, K]: q + v */
    float *content;  /* [H, 2 B, S]: codes against keys */
    float *position; /* [H, B, M + 1] */
    float *packed;   /* [B, H, S] weights of the codes in use, side by side */
};

size_t vq_attention_step_floats(const struct vq_engine *e, size_t B)
{
    return B * e->H * (3 * e->K + 3 * e->S + e->M + 1);
}

static struct step begin(struct vq_session *s, size_t module)
{
    const struct vq_engine *e = s->e;
    size_t bh = s->B * e->H;
    struct step t = {.a = vq_attention_begin(s, module, 1), .keys = s->s.step};
    t.queries = t.keys + 2 * bh * e->K;
    t.content = t.queries + bh * e->K;
    t.position = t.content + 2 * bh * e->S;
    t.packed = t.position + bh * (e->M + 1);
    return t;
}

/* Norms of q and k, and what they are multiplied as. */
static void prepare(const struct step *t)
{
    const struct vq_engine *e = t->a.e;
    const struct vq_vec *vec = e->vec;
    size_t B = t->a.s->B, K = e->K;
    float scale = powf((float)K, -0.25f);
    for (size_t b = 0; b < B; b++) {
        for (size_t h = 0; h < e->H; h++) {
            float *row = vq_proj_row(&t->a, b, 0);
            float *q = row + vq_q_at(e, h), *k = row + vq_k_at(e, h);
            float *keys = t->keys + (h * 2 * B + b) * K, *content = keys + B * K;
            float *position = t->queries + (h * B + b) * K;
            vec->rms_norm(q, q, K, NULL, NULL, scale);
            vec->rms_norm(k, k, K, NULL, NULL, scale);
            memcpy(keys, k, K * sizeof(*k));
            memcpy(content, t->a.w->u + h * K, K * sizeof(*q));
            vec->add(content, q, K);
            memcpy(position, t->a.w->v + h * K, K * sizeof(*q));
            vec->add(position, q, K);
        }
    }
}

#define HEADS 8 /* that share a run of the pool */

static void score(const struct step *t)
{
    const struct vq_engine *e = t->a.e;
    size_t B = t->a.s->B;
    struct vq_product job[2 * HEADS];
    for (size_t h0 = 0; h0 < e->H; h0 += HEADS) {
        size_t n = 0;
        for (size_t h = h0; h < e->H && h < h0 + HEADS; h++) {
            job[n++] = (struct vq_product){.w = t->a.w->code[h],
                                           .rows = 2 * B,
                                           .x = t->keys + h * 2 * B * e->K,
                                           .ldx = e->K,
                                           .y = t->content + h * 2 * B * e->S,
                                           .ldy = e->S};
            job[n++] = (struct vq_product){.w = t->a.w->rel[h],
                                           .rows = B,
                                           .x = t->queries + h * B * e->K,
                                           .ldx = e->K,
                                           .y = t->position + h * B * (e->M + 1),
                                           .ldy = e->M + 1};
        }
        vq_weight_mul_all(vq_gemm_exact(e->gemm), e->pool, job, n);
    }
}

/* A run goes on through rows of no weight up to these bytes of a strip: stopping a stream and
 * starting it elsewhere takes a core as long as reading them. */
#define GAP_BYTES 4096

/*
 * The rows of n that have a weight, in runs, or all of them. Leaving others out changes nothing: a
 * chain of multiply-adds y' = y + 0 v is y' = y for every finite v (a zero may lose its sign, and a
 * zero of either sign adds nothing to what follows). Weights of 0 are exact ones: those of keys and
 * codes more than 104 nats below the best (half the smallest float is e^-103.97), and those that
 * VQ_SKIP_LIGHT made 0.
 */
static size_t rows_to_read(struct vq_rows_read *r, struct vq_run *run, const float *weight,
                           size_t n, const struct vq_values *v, enum vq_skip skip)
{
    const size_t gap = GAP_BYTES / (v->width * vq_row_size(v->format));
    size_t runs = 0, end = 0;
    for (size_t i = 0; i < n; i++) {
        if (weight[i] == 0.0f && skip != VQ_SKIP_NONE)
            continue;
        if (runs == 0 || i - end > gap)
            run[runs++] = (struct vq_run){.first = (int32_t)i};
        end = i + 1;
        run[runs - 1].n = (int32_t)end - run[runs - 1].first;
        r->needed++;
    }
    r->all += n;
    for (size_t i = 0; i < runs; i++)
        r->read += (size_t)run[i].n;
    return runs;
}

/* Code and weights of one sequence and head. */
static void weigh_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    const struct step *t = ud;
    const struct vq_attention *a = &t->a;
    const struct vq_engine *e = a->e;
    size_t B = a->s->B, b = bh / e->H, h = bh % e->H;
    const float *dots = t->content + (h * 2 * B + b) * e->S, *content = dots + B * e->S;
    float *weights = a->s->s.weights + bh * a->s->s.stride;

    size_t z = e->vec->nearest(dots, a->w->code_norm2 + h * e->S, e->S);
    vq_code_row(a, bh)[a->s->len] = (int32_t)z;
    a->s->s.codes[bh] = (int32_t)z;
    vq_attention_softmax(a, bh, 0, content, t->position + (h * B + b) * (e->M + 1), weights);
    vq_attention_keep(a, bh, content, weights);

    struct vq_run *run = a->s->s.runs + bh * (e->M + 1 + e->S);
    struct vq_rows_read *r = &a->s->s.rows_read[bh];
    size_t means;
    const int32_t *codes = vq_seen_codes(a, bh, &means);
    float *packed = t->packed + bh * e->S;
    vq_pack_weights(packed, weights + a->keys, codes, means);
    *r = (struct vq_rows_read){0};
    r->value_runs = rows_to_read(r, run, weights, a->keys, &a->state->value, e->skip);
    r->mean_runs =
        rows_to_read(r, run + r->value_runs, packed, means, &a->state->mean.rows, e->skip);
}

/* y += the rows of one strip that are to be read, weighted. */
static void sum_rows(const struct vq_attention *a, const struct vq_values *v, size_t bh,
                     size_t strip, size_t row, size_t rows, const struct vq_run *run, size_t runs,
                     const float *weights, float *scaled, float *y)
{
    const float *scales = vq_values_scales(v, bh, strip, row);
    for (size_t i = 0; scales && i < rows; i++)
        scaled[i] = weights[i] * (scales[i] / VQ_ROW_UNIT);
    vq_rows_sum(a->e->gemm, v->format, runs, run, scales ? scaled : weights,
                vq_values_at(v, bh, strip, row), v->width, y);
}

/* The token's own value goes behind the window; then weights times values, times the gate, for one
 * strip of one sequence and head. */
static void mix_task(void *ud, size_t task, int worker)
{
    const struct step *t = ud;
    const struct vq_attention *a = &t->a;
    const struct vq_engine *e = a->e;
    struct vq_values *value = &a->state->value;
    size_t bh = task / value->strips, strip = task % value->strips, h = bh % e->H;
    size_t c0 = vq_values_column(value, strip), cols = vq_values_columns(value, strip);
    float *row = vq_proj_row(a, bh / e->H, 0), *g = row + vq_g_at(e, h) + c0;
    float *scaled = a->s->s.tile + (size_t)worker * VQ_TILE * (2 * e->K + e->S + e->M + 1);
    const float *weights = a->s->s.weights + bh * a->s->s.stride;
    const struct vq_run *run = a->s->s.runs + bh * (e->M + 1 + e->S);
    const struct vq_rows_read *r = &a->s->s.rows_read[bh];
    _Alignas(64) float y[VQ_STRIP];

    e->vec->silu(y, row + vq_v_at(e, h) + c0, cols);
    vq_values_put(value, bh, strip, a->s->start + a->s->len, y);
    memset(y, 0, sizeof(y));
    sum_rows(a, value, bh, strip, a->s->start, a->keys, run, r->value_runs, weights, scaled, y);
    sum_rows(a, &a->state->mean.rows, bh, strip, 0, (size_t)a->state->mean.used[bh],
             run + r->value_runs, r->mean_runs, t->packed + bh * e->S, scaled, y);
    e->vec->silu(g, g, cols);
    e->vec->mul(y, g, cols);
    memcpy(a->s->s.y + bh * e->V + c0, y, cols * sizeof(*y));
}

static void count_reads(const struct vq_attention *a)
{
    const struct vq_engine *e = a->e;
    struct vq_state_reads *reads = &a->s->reads;
    size_t row = vq_values_row_bytes(&a->state->value);
    size_t seen, counts = vq_seen_codes(a, 0, &seen) && seen ? e->S * sizeof(float) : 0;
    for (size_t i = 0; i < a->s->B * e->H; i++) {
        const struct vq_rows_read *r = &a->s->s.rows_read[i];
        reads->bytes += r->needed * row + a->keys * sizeof(int32_t) + counts;
        reads->rows += r->all;
        reads->skipped += r->all - r->read;
    }
}

void vq_attention_step(struct vq_session *s, size_t module)
{
    const struct vq_engine *e = s->e;
    size_t B = s->B, lanes = B * e->H;
    struct step t = begin(s, module);
    struct vq_attention *a = &t.a;
    vq_attention_norm(a, B);
    vq_weight_mul(e->gemm, e->pool, a->w->in, B, s->s.h, e->D, s->s.proj, a->width, false);
    prepare(&t);
    score(&t);
    vq_pool_run(e->pool, lanes, weigh_task, &t);
    vq_pool_run(e->pool, lanes * a->state->value.strips, mix_task, &t);
    vq_weight_mul(e->gemm, e->pool, a->w->out, B, s->s.y, e->H * e->V, s->s.branch, e->D, false);
    e->vec->add(s->s.x, s->s.branch, B * e->D);
    count_reads(a);
    vq_attention_end(a);
}
