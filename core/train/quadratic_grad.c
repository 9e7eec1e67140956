/*
 * Quadratic attention backward, block by block as forward. Weights are made again from their scores
 * and the log-sum that the forward pass left; then, with A the weights, S the scores, O the
 * results:
 *
 *     dV += A^T dO    dA = dO V^T    dS = A (dA - sum(O dO))    dQ += dS K    dK += dS^T Q
 *
 * Keeping A instead would spare one of these six products over all pairs, the cheapest, and take U
 * x U numbers for each module and head.
 */
#include <string.h>

#include "core/train/grad_private.h"

struct job {
    struct vq_grad *g;
    size_t module;
    const float *dbranch;
};

/* The gradient of results, and all beyond them, of one block of tokens and head. */
static void result_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    struct vq_tile_space *space = &g->tile[worker];
    for (size_t tile = 0; tile * VQ_TILE < n->L; tile++) {
        struct vq_tile_at t = vq_tile(g, task / n->P, task % n->P, tile);
        float *dO = g->square.dO + ((t.b * n->U + t.i0) * n->H + t.h) * n->V;
        vq_result_grad(g, j->module, &t, j->dbranch, space);
        for (size_t i = 0; i < t.i1 - t.i0; i++)
            memcpy(dO + i * n->H * n->V, space->wide + i * n->V, n->V * sizeof(float));
    }
}

/* sum: that of O dO. */
static void begin_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    size_t at = ((t->b * n->U + i) * n->H + t->h) * n->V, r = i - t->i0;
    s->sum[r] = g->vec->dot(vq_kept_of(g, t->module)->o + at, s->dO + at, n->V);
    memset(s->dposition + r * (n->M + 1), 0, (n->M + 1) * sizeof(float));
}

/* Scores become weights, and the gradients of weights those of scores. */
static void score_grad_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    size_t r = i - t->i0, rest = (t->j1 - t->j0);
    struct vq_square_reach at = vq_square_reach(t, i);
    size_t positions = at.seen - at.near, p = r * (n->M + 1) + at.position;
    float *a = s->a + r * s->keys, *ds = s->ds + r * s->keys;
    g->vec->add(a + at.near, s->position + p, positions);
    g->vec->exp_sum(a, a, vq_kept_of(g, t->module)->lse[t->bh * n->U + i], at.seen);
    g->gvec->softmax(ds, a, at.seen, s->sum[r]);
    g->vec->add(s->dposition + p, ds + at.near, positions);
    memset(a + at.seen, 0, (rest - at.seen) * sizeof(float));
    memset(ds + at.seen, 0, (rest - at.seen) * sizeof(float));
}

/* What the keys at hand mean for queries, keys and values. */
static void key_grads(struct vq_grad *g, const struct vq_square_at *t)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    const struct vq_kept *k = vq_kept_of(g, t->module);
    size_t rows = t->i1 - t->i0, keys = t->j1 - t->j0, HV = n->H * n->V;
    size_t at = vq_own_place(n, t->bh) + t->j0;
    const float *value = k->value + (vq_own_place(n, t->bh) + t->j0) * n->V;
    const float *key = k->proj + (t->b * n->U + t->j0) * n->width + vq_k_at(n, t->h);
    const float *dO = s->dO + ((t->b * n->U + t->i0) * n->H + t->h) * n->V;
    vq_matmul(&g->product, g->pool, rows, keys, n->V, vq_mat(dO, HV), vq_mat_t(value, n->V), s->ds,
              s->keys, false);
    vq_square_rows(t, score_grad_row);
    vq_matmul(&g->exact, g->pool, rows, n->K, keys, vq_mat(s->ds, s->keys), vq_mat(key, n->width),
              s->dqu, n->K, t->j0 > 0);
    vq_matmul(&g->exact, g->pool, keys, n->K, rows, vq_mat_t(s->ds, s->keys), vq_mat(s->qu, n->K),
              g->dkey + at * n->K, n->K, true);
    vq_matmul(&g->product, g->pool, keys, n->V, rows, vq_mat_t(s->a, s->keys), vq_mat(dO, HV),
              g->dvalue + at * n->V, n->V, true);
}

/* The query's own, as projected. */
static void query_row(const struct vq_square_at *t, size_t i, int worker)
{
    (void)worker;
    const struct vq_grad *g = t->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, t->module);
    size_t row = t->b * n->U + i, r = i - t->i0;
    float *q = k->proj + row * n->width + vq_q_at(n, t->h), *d = g->square.dqu + r * n->K;
    g->vec->add(d, g->square.dqv + r * n->K, n->K);
    g->gvec->unit_norm(q, d, q, n->K, g->key_scale, k->inverse[row * 2 * n->H + t->h]);
}

/* R, u and v, then the queries. */
static void query_grads(struct vq_grad *g, const struct vq_square_at *t)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_square *s = &g->square;
    const struct vq_prepared *w = &g->prepared[t->module];
    const struct vq_module_at *at = &g->at.module[t->module];
    size_t rows = t->i1 - t->i0, K = n->K, near = n->M + 1;
    vq_matmul(&g->exact, g->pool, rows, K, near, vq_mat(s->dposition, near),
              vq_mat(w->R + t->h * near * K, K), s->dqv, K, false);
    vq_matmul(&g->exact, g->pool, near, K, rows, vq_mat_t(s->dposition, near), vq_mat(s->qv, K),
              w->dR + t->h * near * K, K, true);
    for (size_t r = 0; r < rows; r++) {
        g->vec->axpy(vq_d(g, at->u) + t->h * K, g->key_scale, s->dqu + r * K, K);
        g->vec->axpy(vq_d(g, at->v) + t->h * K, g->key_scale, s->dqv + r * K, K);
    }
    vq_square_rows(t, query_row);
}

void vq_square_grad(struct vq_grad *g, size_t module, const float *dbranch)
{
    const struct vq_sizes *n = &g->n;
    struct job j = {g, module, dbranch};
    if (n->kept == 1)
        vq_square_attend(g, module, false);
    vq_pool_run(g->pool, g->b * n->H * n->P, result_task, &j);
    memset(g->dkey, 0, vq_place(n, g->b * n->H) * n->K * sizeof(float));
    memset(g->dvalue, 0, vq_place(n, g->b * n->H) * n->V * sizeof(float));
    for (size_t i = 0; i < vq_square_blocks(g); i++) {
        struct vq_square_at t = vq_square_block(g, module, i);
        vq_square_rows(&t, begin_row);
        while (vq_square_keys(&t))
            key_grads(g, &t);
        query_grads(g, &t);
    }
}
