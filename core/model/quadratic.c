/*
 * A query meets the cache in spans of SPAN keys, each a task of its own with a softmax of its own;
 * their maxima and sums then put the spans' results together (Dao et al., Flash-Decoding, 2023).
 * Keys are kept transposed, so that scores come from the same kernel as weighted values do.
 */
#include "core/model/quadratic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/engine_private.h"
#include "core/model/sinusoid.h"

#define SPAN 1024

/* What a task leaves: results of its span's softmax, times the sum of exp(score - top). */
struct span {
    float top, sum;
    float *o; /* [V] */
};

struct vq_quadratic {
    const struct vq_engine *e;
    size_t capacity, position;
    float *key;            /* [modules, H, K, capacity] */
    float *value;          /* [modules, H, capacity, V] */
    float *x, *h, *branch; /* [D] */
    float *proj;           /* [2 H (K + V)]: q | k | v | g */
    float *near;           /* [H, M + 1] position scores, distances falling */
    float *qu, *qv;        /* [H, K] */
    float *y;              /* [H V] */
    float *weight;         /* [threads, SPAN] */
    float *o;              /* [H, spans, V] */
    struct span *span;     /* [H, spans] */
    float *logits;         /* [N] */
};

static size_t spans_of(size_t keys)
{
    return (keys + SPAN - 1) / SPAN;
}

/* a * b * c floats, sizes checked; *failed is set when there are none. */
static float *floats(size_t a, size_t b, size_t c, bool *failed)
{
    size_t ab, abc;
    float *p = vq_mul_ok(a, b, &ab) && vq_mul_ok(ab, c, &abc) ? vq_alloc_f32(abc) : NULL;
    *failed = *failed || !p;
    return p;
}

enum vq_status vq_quadratic_new(struct vq_quadratic **out, const struct vq_engine *e,
                                size_t capacity, struct vq_err *err)
{
    *out = NULL;
    struct vq_quadratic *q = vq_calloc(1, sizeof(*q));
    if (!q)
        return vq_nomem(err, "a quadratic model", 1, sizeof(*q));
    bool failed = false;
    size_t spans = spans_of(capacity), heads = e->modules * e->H;
    q->e = e;
    q->capacity = capacity;
    q->key = floats(heads, e->K, capacity, &failed);
    q->value = floats(heads, e->V, capacity, &failed);
    q->x = floats(e->D, 1, 1, &failed);
    q->h = floats(e->D, 1, 1, &failed);
    q->branch = floats(e->D, 1, 1, &failed);
    q->proj = floats(vq_proj_width(e), 1, 1, &failed);
    q->near = floats(e->H, e->M + 1, 1, &failed);
    q->qu = floats(e->H, e->K, 1, &failed);
    q->qv = floats(e->H, e->K, 1, &failed);
    q->y = floats(e->H, e->V, 1, &failed);
    q->weight = floats((size_t)vq_pool_threads(e->pool), SPAN, 1, &failed);
    q->o = floats(e->H, spans, e->V, &failed);
    q->logits = floats(e->N, 1, 1, &failed);
    q->span = vq_calloc(e->H * spans, sizeof(*q->span));
    if (failed || !q->span) {
        vq_quadratic_free(q);
        return vq_nomem(err, "a cache of keys and values", heads * capacity,
                        (e->K + e->V) * sizeof(float));
    }
    for (size_t i = 0; i < e->H * spans; i++)
        q->span[i].o = q->o + i * e->V;
    *out = q;
    return VQ_OK;
}

void vq_quadratic_free(struct vq_quadratic *q)
{
    if (!q)
        return;
    free(q->key);
    free(q->value);
    free(q->x);
    free(q->h);
    free(q->branch);
    free(q->proj);
    free(q->near);
    free(q->qu);
    free(q->qv);
    free(q->y);
    free(q->weight);
    free(q->o);
    free(q->logits);
    free(q->span);
    free(q);
}

size_t vq_quadratic_position(const struct vq_quadratic *q)
{
    return q->position;
}

const float *vq_quadratic_logits(const struct vq_quadratic *q)
{
    return q->logits;
}

uint64_t vq_quadratic_bytes_per_token(const struct vq_quadratic *q)
{
    const struct vq_engine *e = q->e;
    return (uint64_t)q->position * e->modules * e->H * (e->K + e->V) * sizeof(float);
}

static float *key_of(const struct vq_quadratic *q, size_t module, size_t h)
{
    return q->key + (module * q->e->H + h) * q->e->K * q->capacity;
}

static float *value_of(const struct vq_quadratic *q, size_t module, size_t h)
{
    return q->value + (module * q->e->H + h) * q->e->V * q->capacity;
}

static void pretend_row(float *x, size_t n, float size, uint32_t *s)
{
    for (size_t i = 0; i < n; i++) {
        *s = *s * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)*s * 0x1p-31f * size;
    }
}

static void pretend_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_quadratic *q = ud;
    const struct vq_engine *e = q->e;
    uint32_t s = (uint32_t)task + 1;
    /* A uniform number has a third of its bound's square as variance; keys are of length
     * K^(1/4), as q and k are scaled. */
    float size = sqrtf(3.0f) * powf((float)e->K, -0.25f);
    for (size_t k = 0; k < e->K; k++)
        pretend_row(key_of(q, task / e->H, task % e->H) + k * q->capacity, q->position, size, &s);
    pretend_row(value_of(q, task / e->H, task % e->H), q->position * e->V, 1.0f, &s);
}

void vq_quadratic_pretend(struct vq_quadratic *q, size_t n)
{
    q->position = n;
    vq_pool_run(q->e->pool, q->e->modules * q->e->H, pretend_task, q);
}

struct attention {
    struct vq_quadratic *q;
    size_t module, spans;
};

/* Norms, biases and the cache's new place, of one head. */
static void enter_head(struct vq_quadratic *q, size_t module, size_t h)
{
    const struct vq_engine *e = q->e;
    const struct vq_module *w = &e->module[module];
    size_t K = e->K, at = q->position;
    float scale = powf((float)K, -0.25f), *key = key_of(q, module, h) + at;
    float *query = q->proj + h * K, *k = q->proj + (e->H + h) * K;
    float *v = q->proj + 2 * e->H * K + h * e->V, *qu = q->qu + h * K, *qv = q->qv + h * K;
    e->vec->rms_norm(query, query, K, NULL, NULL, scale);
    e->vec->rms_norm(k, k, K, NULL, NULL, scale);
    for (size_t i = 0; i < K; i++) {
        key[i * q->capacity] = k[i];
        qu[i] = query[i] + w->u[h * K + i];
        qv[i] = query[i] + w->v[h * K + i];
    }
    e->vec->silu(value_of(q, module, h) + at * e->V, v, e->V);
    e->vec->silu(v + e->H * e->V, v + e->H * e->V, e->V);
    vq_weight_mul_serial(e->gemm, w->rel[h], 1, qv, K, q->near + h * (e->M + 1), e->M + 1, false);
}

static void span_task(void *ud, size_t task, int worker)
{
    const struct attention *a = ud;
    const struct vq_quadratic *q = a->q;
    const struct vq_engine *e = q->e;
    size_t h = task / a->spans, j0 = task % a->spans * SPAN, M = e->M, own = q->position;
    size_t j1 = j0 + SPAN < own + 1 ? j0 + SPAN : own + 1, oldest = own > M ? own - M : 0;
    struct span *s = &q->span[task];
    float *w = q->weight + (size_t)worker * SPAN;
    vq_gemm_nn(e->gemm, 1, j1 - j0, e->K, q->qu + h * e->K, e->K, key_of(q, a->module, h) + j0,
               q->capacity, w, SPAN, false);
    size_t near = oldest > j0 ? oldest : j0;
    if (near < j1)
        e->vec->add(w + near - j0, q->near + h * (M + 1) + M - (own - near), j1 - near);
    s->top = e->vec->max(w, j1 - j0);
    s->sum = e->vec->exp_sum(w, w, s->top, j1 - j0);
    vq_gemm_nn(e->gemm, 1, e->V, j1 - j0, w, SPAN, value_of(q, a->module, h) + j0 * e->V, e->V,
               s->o, e->V, false);
}

/* The spans' results as one, times the gate, into y. */
static void join_spans(const struct vq_quadratic *q, size_t h, size_t spans)
{
    const struct vq_engine *e = q->e;
    const struct span *s = q->span + h * spans;
    float top = -INFINITY, sum = 0.0f, *y = q->y + h * e->V;
    for (size_t i = 0; i < spans; i++)
        top = fmaxf(top, s[i].top);
    memset(y, 0, e->V * sizeof(*y));
    for (size_t i = 0; i < spans; i++) {
        float share = expf(s[i].top - top);
        sum += share * s[i].sum;
        e->vec->axpy(y, share, s[i].o, e->V);
    }
    e->vec->scale(y, 1.0f / sum, e->V);
    e->vec->mul(y, q->proj + 2 * e->H * e->K + (e->H + h) * e->V, e->V);
}

static void run_module(struct vq_quadratic *q, size_t module)
{
    const struct vq_engine *e = q->e;
    const struct vq_module *w = &e->module[module];
    struct attention a = {q, module, spans_of(q->position + 1)};
    size_t width = vq_proj_width(e);
    e->vec->rms_norm(q->h, q->x, e->D, w->ln_g, w->ln_b, 1.0f);
    vq_weight_mul(e->gemm, e->pool, w->in, 1, q->h, e->D, q->proj, width, false);
    for (size_t h = 0; h < e->H; h++)
        enter_head(q, module, h);
    vq_pool_run(e->pool, e->H * a.spans, span_task, &a);
    for (size_t h = 0; h < e->H; h++)
        join_spans(q, h, a.spans);
    vq_weight_mul(e->gemm, e->pool, w->out, 1, q->y, e->H * e->V, q->branch, e->D, false);
    e->vec->add(q->x, q->branch, e->D);
}

static void embed(struct vq_quadratic *q, int32_t token)
{
    const struct vq_engine *e = q->e;
    memcpy(q->x, e->embs + (size_t)token * e->D, e->D * sizeof(float));
    if (!e->frequencies)
        return;
    vq_sinusoid(q->h, e->D, e->frequencies, (double)q->position);
    e->vec->axpy(q->x, e->pe_scale, q->h, e->D);
}

static void project_logits(struct vq_quadratic *q)
{
    const struct vq_engine *e = q->e;
    const float *in = q->x;
    if (e->out_ln_g) {
        e->vec->rms_norm(q->h, q->x, e->D, e->out_ln_g, e->out_ln_b, 1.0f);
        in = q->h;
    }
    vq_weight_mul(e->gemm, e->pool, e->logits, 1, in, e->D, q->logits, e->N, false);
    e->vec->add(q->logits, e->logits_bias, e->N);
    e->vec->scale(q->logits, (float)e->config.e_scale, e->N);
}

enum vq_status vq_quadratic_feed(struct vq_quadratic *q, int32_t token, struct vq_err *err)
{
    const struct vq_engine *e = q->e;
    if (token < 0 || (size_t)token >= e->N)
        return vq_fail(err, VQ_EINVAL, "token: expected 0 to %zu, found %d", e->N - 1, (int)token);
    if (q->position == q->capacity)
        return vq_fail(err, VQ_EINVAL, "the cache of %zu tokens is full", q->capacity);
    embed(q, token);
    for (size_t m = 0; m < e->modules; m++)
        run_module(q, m);
    project_logits(q);
    q->position++;
    return VQ_OK;
}
