/*
 * The attention of the quadratic models: each query against every key up to its own, as projected.
 * Queries go in blocks, each product of a block is spread over the pool, and keys come a block at a
 * time, all of them at once in the dense model. Softmax runs along: with the maximum and the sum of
 * exp over the keys so far, results are kept times that sum and scaled when the maximum rises
 * (Milakov and Gimelshein, arXiv 1805.02867).
 *
 * The dense model computes all U x U scores and then masks those of later keys, as textbooks do;
 * the blocked one never meets a block of keys behind its queries.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

static size_t per_head(const struct vq_grad *g)
{
    return (g->n.U + g->square.queries - 1) / g->square.queries;
}

size_t vq_square_blocks(const struct vq_grad *g)
{
    return g->b * g->n.H * per_head(g);
}

struct rows {
    const struct vq_square_at *t;
    void (*fn)(const struct vq_square_at *t, size_t i, int worker);
};

static void rows_task(void *ud, size_t task, int worker)
{
    const struct rows *r = ud;
    size_t i = r->t->i0 + task * VQ_ROWS;
    size_t end = i + VQ_ROWS < r->t->i1 ? i + VQ_ROWS : r->t->i1;
    for (; i < end; i++)
        r->fn(r->t, i, worker);
}

void vq_square_rows(const struct vq_square_at *t,
                    void (*fn)(const struct vq_square_at *t, size_t i, int worker))
{
    struct rows r = {t, fn};
    vq_pool_run(t->g->pool, (t->i1 - t->i0 + VQ_ROWS - 1) / VQ_ROWS, rows_task, &r);
}

/* q + u and q + v. */
static void bias_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[t->module];
    const float *q = vq_kept_of(g, t->module)->proj + (t->b * n->U + i) * n->width;
    float *qu = g->square.qu + (i - t->i0) * n->K, *qv = g->square.qv + (i - t->i0) * n->K;
    memcpy(qu, w->u + t->h * n->K, n->K * sizeof(float));
    memcpy(qv, w->v + t->h * n->K, n->K * sizeof(float));
    g->vec->add(qu, q + vq_q_at(n, t->h), n->K);
    g->vec->add(qv, q + vq_q_at(n, t->h), n->K);
}

struct vq_square_at vq_square_block(const struct vq_grad *g, size_t module, size_t n)
{
    const struct vq_sizes *z = &g->n;
    const struct vq_square *s = &g->square;
    struct vq_square_at t = {.g = g, .module = module, .bh = n / per_head(g)};
    t.b = t.bh / z->H;
    t.h = t.bh % z->H;
    t.i0 = n % per_head(g) * s->queries;
    t.i1 = t.i0 + s->queries < z->U ? t.i0 + s->queries : z->U;
    vq_square_rows(&t, bias_row);
    vq_matmul(&g->exact, g->pool, t.i1 - t.i0, z->M + 1, z->K, vq_mat(s->qv, z->K),
              vq_mat_t(g->prepared[module].R + t.h * (z->M + 1) * z->K, z->K), s->position,
              z->M + 1, false);
    return t;
}

bool vq_square_keys(struct vq_square_at *t)
{
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    size_t end = g->attention == VQ_ATTENTION_DENSE ? n->U : t->i1;
    t->j0 = t->j1;
    t->j1 = t->j0 + s->keys < end ? t->j0 + s->keys : end;
    if (t->j0 == t->j1)
        return false;
    const float *k = vq_kept_of(g, t->module)->proj + (t->b * n->U + t->j0) * n->width;
    vq_matmul(&g->exact, g->pool, t->i1 - t->i0, t->j1 - t->j0, n->K, vq_mat(s->qu, n->K),
              vq_mat_t(k + vq_k_at(n, t->h), n->width), s->a, s->keys, false);
    return true;
}

struct vq_square_reach vq_square_reach(const struct vq_square_at *t, size_t i)
{
    size_t M = t->g->n.M, end = i < t->j1 ? i + 1 : t->j1, oldest = i > M ? i - M : 0;
    size_t near = oldest > t->j0 ? oldest : t->j0;
    if (end <= t->j0)
        return (struct vq_square_reach){0, 0, 0};
    if (near >= end)
        return (struct vq_square_reach){end - t->j0, end - t->j0, 0};
    return (struct vq_square_reach){end - t->j0, near - t->j0, M - (i - near)};
}

/* Scores become exp(score - maximum so far), 0 for later keys; results so far follow. */
static void weigh_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    size_t r = i - t->i0, keys = t->j1 - t->j0;
    struct vq_square_reach at = vq_square_reach(t, i);
    float *a = s->a + r * s->keys;
    float *o = vq_kept_of(g, t->module)->o + ((t->b * n->U + i) * n->H + t->h) * n->V;
    g->vec->add(a + at.near, s->position + r * (n->M + 1) + at.position, at.seen - at.near);
    for (size_t j = at.seen; j < keys; j++)
        a[j] = -INFINITY;
    float top = t->j0 ? fmaxf(s->top[r], g->vec->max(a, keys)) : g->vec->max(a, keys);
    if (t->j0 && top > s->top[r]) {
        float less = expf(s->top[r] - top);
        g->vec->scale(o, less, n->V);
        s->sum[r] *= less;
    }
    float sum = g->vec->exp_sum(a, a, top, keys);
    s->sum[r] = t->j0 ? s->sum[r] + sum : sum;
    s->top[r] = top;
}

/* a V, added to what earlier keys gave. */
static void mix(const struct vq_square_at *t)
{
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, t->module);
    const float *value = k->value + (vq_own_place(n, t->bh) + t->j0) * n->V;
    float *o = k->o + ((t->b * n->U + t->i0) * n->H + t->h) * n->V;
    vq_matmul(&g->product, g->pool, t->i1 - t->i0, n->V, t->j1 - t->j0,
              vq_mat(g->square.a, g->square.keys), vq_mat(value, n->V), o, n->H * n->V, t->j0 > 0);
}

static void finish_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, t->module);
    const struct vq_square *s = &g->square;
    size_t r = i - t->i0;
    float *o = k->o + ((t->b * n->U + i) * n->H + t->h) * n->V;
    g->vec->scale(o, 1.0f / s->sum[r], n->V);
    k->lse[t->bh * n->U + i] = s->top[r] + logf(s->sum[r]);
}

struct job {
    struct vq_grad *g;
    size_t module;
};

/* A tile of tokens, gated, and on to the next module. */
static void onward_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, j->module);
    struct vq_tile_space *space = &g->tile[worker];
    struct vq_tokens s = vq_tokens(g, task);
    size_t hv = n->H * n->V;
    for (size_t i = 0; i < s.rows; i++)
        g->gvec->gate(space->wide + i * hv, k->o + (s.r0 + i) * hv,
                      k->proj + (s.r0 + i) * n->width + vq_g_at(n, 0), hv);
    vq_after_attention(g, j->module, &s, space);
}

void vq_square_attend(struct vq_grad *g, size_t module, bool onward)
{
    struct job j = {g, module};
    for (size_t n = 0; n < vq_square_blocks(g); n++) {
        struct vq_square_at t = vq_square_block(g, module, n);
        while (vq_square_keys(&t)) {
            vq_square_rows(&t, weigh_row);
            mix(&t);
        }
        vq_square_rows(&t, finish_row);
    }
    if (onward)
        vq_pool_run(g->pool, g->b * g->n.tiles, onward_task, &j);
}
