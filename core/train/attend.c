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

struct vq_tile_at vq_tile(const struct vq_grad *g, size_t bh, size_t p, size_t tile)
{
    const struct vq_sizes *n = &g->n;
    struct vq_tile_at t = {.b = bh / n->H, .h = bh % n->H, .bh = bh, .p = p};
    size_t end = (p + 1) * n->L, seen = vq_first_key(g, p);
    t.i0 = p * n->L + tile * VQ_TILE;
    t.i1 = t.i0 + VQ_TILE < end ? t.i0 + VQ_TILE : end;
    if (!g->agg && seen < n->F - n->M + t.i0)
        seen = n->F - n->M + t.i0; /* the oldest place that the tile's first query sees */
    t.first = seen / VQ_PANEL * VQ_PANEL;
    t.skip = seen - t.first;
    t.keys = n->F + t.i1 - t.first;
    t.agg = g->agg && g->state->position + (int64_t)(p * n->L) > (int64_t)n->M;
    return t;
}

struct vq_reach vq_reach(const struct vq_grad *g, const struct vq_tile_at *t, size_t i)
{
    struct vq_reach at = {.own = g->n.F + i - t->first};
    at.near = at.own > g->n.M + t->skip ? at.own - g->n.M : t->skip;
    at.seen = g->agg ? t->skip : at.near;
    return at;
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

/* The weights of query i: one maximum over single keys and codes together; keys it does not see
 * get 0. */
static void weigh_row(const struct vq_grad *g, size_t module, const struct vq_tile_at *t, size_t i,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_vec *vec = g->vec;
    const struct vq_kept *k = vq_kept_of(g, module);
    struct vq_reach at = vq_reach(g, t, i);
    size_t r = i - t->i0, codes = t->agg ? n->S : 0, coded = vq_first_code(g, t, &at);
    size_t places = at.own + 1 - at.seen;
    const float *content = space->content + r * n->S;
    float *row = space->a + r * (n->single + n->S), *seen = row + at.seen, *agg = row + n->single;

    vec->gather(row + coded, content, k->code + vq_place(n, t->bh) + t->first + coded,
                at.own + 1 - coded);
    vec->add(row + at.near, space->position + r * (n->M + 1) + n->M - (at.own - at.near),
             at.own + 1 - at.near);
    memcpy(agg, content, codes * sizeof(float));
    vec->add(agg, k->log_count + (t->bh * (n->P + 1) + t->p) * n->S, codes);

    float top = fmaxf(vec->max(seen, places), vec->max(agg, codes));
    float sum = vec->exp_sum(seen, seen, top, places) + vec->exp_sum(agg, agg, top, codes);
    vec->scale(seen, 1.0f / sum, places);
    vec->scale(agg, 1.0f / sum, codes);
    memset(row, 0, at.seen * sizeof(float));
    memset(row + at.own + 1, 0, (t->keys - at.own - 1) * sizeof(float));
}

void vq_weigh(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
              struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_packed codes = vq_side(g, VQ_CODES, t->h);
    const struct vq_packed positions = vq_side(g, VQ_POSITIONS, t->h);
    size_t rows = t->i1 - t->i0;
    bias_queries(g, module, t, space);
    vq_matmul_packed(&codes, rows, space->qu, n->K, space->content, n->S, false);
    vq_matmul_packed(&positions, rows, space->qv, n->K, space->position, n->M + 1, false);
    vq_matmul_serial(&g->exact, rows, vq_old(g, t), n->K, vq_mat(space->qu, n->K),
                     vq_mat_t(vq_old_keys(g, module, t), n->K), space->a + t->skip,
                     n->single + n->S, false);
    for (size_t i = t->i0; i < t->i1; i++)
        weigh_row(g, module, t, i, space);
}

void vq_mix(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
            const struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_packed values = vq_values(g, t->bh), means = vq_means(g, t->bh, t->p);
    const struct vq_packed part = vq_packed_part(&values, t->first, t->keys, 0, n->V);
    size_t rows = t->i1 - t->i0, lda = n->single + n->S, hv = n->H * n->V;
    float *o = vq_kept_of(g, module)->o + (t->b * n->U + t->i0) * hv + t->h * n->V;
    vq_matmul_packed(&part, rows, space->a, lda, o, hv, false);
    if (t->agg)
        vq_matmul_packed(&means, rows, space->a + n->single, lda, o, hv, true);
}

/* o silu(g) into space->wide. */
static void gate_tile(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, module);
    size_t hv = n->H * n->V, r0 = t->b * n->U + t->i0;
    for (size_t i = 0; i < t->i1 - t->i0; i++)
        g->gvec->gate(space->wide + i * hv + t->h * n->V, k->o + (r0 + i) * hv + t->h * n->V,
                      k->proj + (r0 + i) * n->width + vq_g_at(n, t->h), n->V);
}

struct job {
    struct vq_grad *g;
    size_t module;
};

/* A block of all heads, and on to the next module. */
static void attend_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    struct vq_tile_space *space = &g->tile[worker];
    size_t b = task / g->n.P, p = task % g->n.P;
    for (size_t tile = 0; tile * VQ_TILE < g->n.L; tile++) {
        struct vq_tile_at t = {0};
        for (size_t h = 0; h < g->n.H; h++) {
            t = vq_tile(g, b * g->n.H + h, p, tile);
            vq_weigh(g, j->module, &t, space);
            vq_mix(g, j->module, &t, space);
            gate_tile(g, j->module, &t, space);
        }
        const struct vq_tokens s = {b, t.i0, t.i1, b * g->n.U + t.i0, t.i1 - t.i0};
        vq_after_attention(g, j->module, &s, space);
    }
}

void vq_attend(struct vq_grad *g, size_t module)
{
    struct job j = {g, module};
    vq_pool_run(g->pool, g->b * g->n.P, attend_task, &j);
}
