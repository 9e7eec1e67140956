/*
 * Attention forward: for each block a softmax over window and block, key by key, and the codes of
 * the aggregate as it stood before the block (steps 6 and 7 of the model).
 *
 * Every key is a codebook row, so all content scores of a query are one row of (q + u) C^T; scores
 * of single keys are gathered from it, but for keys of the update before, whose rows have moved. R
 * is kept with distances falling, so that a row of position scores runs in the order of the keys.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

struct vq_tile_at vq_tile(const struct vq_grad *g, size_t task, size_t tile)
{
    const struct vq_sizes *n = &g->n;
    struct vq_tile_at t = {.bh = task / n->P, .p = task % n->P};
    size_t end = (t.p + 1) * n->L;
    t.b = t.bh / n->H;
    t.h = t.bh % n->H;
    t.i0 = t.p * n->L + tile * VQ_QUERIES;
    t.i1 = t.i0 + VQ_QUERIES < end ? t.i0 + VQ_QUERIES : end;
    t.first = vq_first_key(g, t.p);
    if (!g->agg && t.first < t.i0)
        t.first = t.i0; /* the place M before its own is the oldest that the first query sees */
    t.keys = n->M + t.i1 - t.first;
    t.agg = g->agg && g->u->state->position + (int64_t)(t.p * n->L) > (int64_t)n->M;
    return t;
}

struct vq_reach vq_reach(const struct vq_grad *g, const struct vq_tile_at *t, size_t i)
{
    size_t own = g->n.M + i - t->first;
    return (struct vq_reach){own, own > g->n.M ? own - g->n.M : 0};
}

/* q + u and q + v of the tile's queries. */
static void bias_queries(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                         struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[module];
    const float *q = vq_kept_of(g, module)->proj + (t->b * n->U + t->i0) * n->width;
    const float *u = w->u + t->h * n->K, *v = w->v + t->h * n->K;
    q += vq_q_at(n, t->h);
    for (size_t i = 0; i < t->i1 - t->i0; i++, q += n->width) {
        float *qu = space->qu + i * n->K, *qv = space->qv + i * n->K;
        memcpy(qu, u, n->K * sizeof(float));
        memcpy(qv, v, n->K * sizeof(float));
        g->vec->add(qu, q, n->K);
        g->vec->add(qv, q, n->K);
    }
}

/* log n of the codes before the block, -inf for empty ones. */
static void log_counts(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                       float *log_count)
{
    size_t S = g->n.S;
    const int32_t *count = vq_kept_of(g, module)->count + (t->bh * (g->n.P + 1) + t->p) * S;
    for (size_t s = 0; s < S; s++)
        log_count[s] = count[s] > 0 ? logf((float)count[s]) : -INFINITY;
}

/* The weights of query i: one maximum over single keys and codes together; keys it does not see
 * get 0. */
static void weigh_row(const struct vq_grad *g, size_t module, const struct vq_tile_at *t, size_t i,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_vec *vec = g->vec;
    struct vq_reach at = vq_reach(g, t, i);
    size_t r = i - t->i0, seen = g->agg ? 0 : at.near, codes = t->agg ? n->S : 0;
    const float *content = space->content + r * n->S;
    const int32_t *code = vq_kept_of(g, module)->code + t->bh * (n->M + n->U) + t->first;
    float *row = space->a + r * (n->M + n->L + n->S), *agg = row + n->M + n->L;

    size_t own = seen > vq_old(g, t) ? seen : vq_old(g, t);
    vec->gather(row + own, content, code + own, at.own + 1 - own);
    vec->add(row + at.near, space->position + r * (n->M + 1) + n->M - (at.own - at.near),
             at.own + 1 - at.near);
    memcpy(agg, content, codes * sizeof(float));
    vec->add(agg, space->log_count, codes);

    float top = fmaxf(vec->max(row + seen, at.own + 1 - seen), vec->max(agg, codes));
    float sum = vec->exp_sum(row + seen, row + seen, top, at.own + 1 - seen) +
                vec->exp_sum(agg, agg, top, codes);
    vec->scale(row + seen, 1.0f / sum, at.own + 1 - seen);
    vec->scale(agg, 1.0f / sum, codes);
    memset(row, 0, seen * sizeof(float));
    memset(row + at.own + 1, 0, (t->keys - at.own - 1) * sizeof(float));
}

void vq_weigh(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
              struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[module];
    size_t rows = t->i1 - t->i0;
    bias_queries(g, module, t, space);
    if (t->agg && t->i0 == t->p * n->L) /* a block's first tile; the others find it here */
        log_counts(g, module, t, space->log_count);
    vq_matmul_serial(&g->exact, rows, n->S, n->K, vq_mat(space->qu, n->K),
                     vq_mat_t(w->C + t->h * n->S * n->K, n->K), space->content, n->S, false);
    vq_matmul_serial(&g->exact, rows, vq_old(g, t), n->K, vq_mat(space->qu, n->K),
                     vq_mat_t(vq_old_keys(g, module, t), n->K), space->a, n->M + n->L + n->S,
                     false);
    vq_matmul_serial(&g->exact, rows, n->M + 1, n->K, vq_mat(space->qv, n->K),
                     vq_mat_t(w->R + t->h * (n->M + 1) * n->K, n->K), space->position, n->M + 1,
                     false);
    for (size_t i = t->i0; i < t->i1; i++)
        weigh_row(g, module, t, i, space);
}

void vq_mix(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
            const struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, module);
    size_t rows = t->i1 - t->i0, lda = n->M + n->L + n->S, HV = n->H * n->V;
    const float *value = k->value + (t->bh * (n->M + n->U) + t->first) * n->V;
    const float *mean = k->mean + (t->bh * (n->P + 1) + t->p) * n->S * n->V;
    float *o = k->o + (t->b * n->U + t->i0) * HV + t->h * n->V;
    vq_matmul_serial(&g->product, rows, n->V, t->keys, vq_mat(space->a, lda), vq_mat(value, n->V),
                     o, HV, false);
    if (t->agg)
        vq_matmul_serial(&g->product, rows, n->V, n->S, vq_mat(space->a + n->M + n->L, lda),
                         vq_mat(mean, n->V), o, HV, true);
}

/* o silu(g) into y. */
static void gate_tile(const struct vq_grad *g, size_t module, const struct vq_tile_at *t)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, module);
    for (size_t r = t->b * n->U + t->i0; r < t->b * n->U + t->i1; r++) {
        size_t at = r * n->H * n->V + t->h * n->V;
        g->gvec->gate(g->y + at, k->o + at, k->proj + r * n->width + vq_g_at(n, t->h), n->V);
    }
}

struct job {
    struct vq_grad *g;
    size_t module;
};

static void attend_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    for (size_t tile = 0; tile * VQ_QUERIES < g->n.L; tile++) {
        struct vq_tile_at t = vq_tile(g, task, tile);
        vq_weigh(g, j->module, &t, &g->tile[worker]);
        vq_mix(g, j->module, &t, &g->tile[worker]);
        gate_tile(g, j->module, &t);
    }
}

void vq_attend(struct vq_grad *g, size_t module)
{
    struct job j = {g, module};
    vq_pool_run(g->pool, g->b * g->n.H * g->n.P, attend_task, &j);
}
