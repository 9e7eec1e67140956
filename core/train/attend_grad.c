/*
 * Attention backward. Weights are made again, tile by tile, rather than kept. With A the weights,
 * S the scores, O = A V the results:
 *
 *     dV += A^T dO    dA = dO V^T    dS = A (dA - sum(A dA))
 *
 * for single keys and for the aggregate's codes alike. A single key's score gives its gradient to
 * the query and, through the straight-through quantiser, to the key; a code's only to the query.
 * The codebook gets none.
 *
 * A block adds to keys and values of its own and, with grad_thru_cache, of blocks in its window, so
 * blocks whose places could meet do not run at the same time: they go in waves, every `waves`th
 * block at once, in an order that threads have no say in.
 */
#include <string.h>

#include "core/train/grad_private.h"

struct job {
    struct vq_grad *g;
    size_t module, wave, waves;
};

/* Sums of one task: those of R's rows, of u, of v. */
struct sums {
    float *R, *u, *v;
};

static size_t sums_floats(const struct vq_sizes *n)
{
    return (n->M + 3) * n->K;
}

static struct sums sums_of(const struct vq_grad *g, size_t bh, size_t p)
{
    const struct vq_sizes *n = &g->n;
    float *at = g->partial + (bh * n->P + p) * sums_floats(n);
    return (struct sums){at, at + (n->M + 1) * n->K, at + (n->M + 2) * n->K};
}

static void add_rows(const struct vq_vec *vec, float *sum, const float *x, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        vec->add(sum, x + r * cols, cols);
}

/* From the gradient of gated results in y to that of results, in place; the gate's own gradient
 * takes its place in proj. */
static void gate_back(const struct vq_grad *g, const struct vq_kept *k, const struct vq_tile_at *t)
{
    const struct vq_sizes *n = &g->n;
    for (size_t r = t->b * n->U + t->i0; r < t->b * n->U + t->i1; r++) {
        size_t at = r * n->H * n->V + t->h * n->V;
        g->gvec->gate_grad(g->y + at, k->o + at, k->proj + r * n->width + vq_g_at(n, t->h), n->V);
    }
}

/* dS of all scores into space->ds, laid out as the weights. */
static void score_grads(const struct vq_grad *g, const struct vq_kept *k,
                        const struct vq_tile_at *t, const float *dO, struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    size_t rows = t->i1 - t->i0, ld = n->M + n->L + n->S, HV = n->H * n->V;
    size_t single = n->M + n->L, codes = t->agg ? n->S : 0;
    const float *value = k->value + (t->bh * (n->M + n->U) + t->first) * n->V;
    const float *mean = k->mean + (t->bh * (n->P + 1) + t->p) * n->S * n->V;
    vq_matmul_serial(&g->product, rows, t->keys, n->V, vq_mat(dO, HV), vq_mat_t(value, n->V),
                     space->ds, ld, false);
    vq_matmul_serial(&g->product, rows, codes, n->V, vq_mat(dO, HV), vq_mat_t(mean, n->V),
                     space->ds + single, ld, false);
    for (size_t r = 0; r < rows; r++) {
        const float *a = space->a + r * ld;
        float *ds = space->ds + r * ld;
        float sum = g->vec->dot(a, ds, t->keys) + g->vec->dot(a + single, ds + single, codes);
        g->gvec->softmax(ds, a, t->keys, sum);
        g->gvec->softmax(ds + single, a + single, codes, sum);
    }
}

/* From dS to gradients of content scores per code and of position scores per distance. */
static void sort_grads(const struct vq_grad *g, const struct vq_kept *k, const struct vq_tile_at *t,
                       struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const int32_t *code = k->code + t->bh * (n->M + n->U) + t->first;
    for (size_t i = t->i0; i < t->i1; i++) {
        size_t r = i - t->i0;
        struct vq_reach at = vq_reach(g, t, i);
        size_t near = at.own + 1 - at.near, seen = g->agg ? 0 : at.near;
        const float *ds = space->ds + r * (n->M + n->L + n->S);
        float *content = space->content + r * n->S, *position = space->position + r * (n->M + 1);
        if (t->agg)
            memcpy(content, ds + n->M + n->L, n->S * sizeof(float));
        else
            memset(content, 0, n->S * sizeof(float));
        size_t own = seen > vq_old(g, t) ? seen : vq_old(g, t);
        g->gvec->scatter_add(content, ds + own, code + own, at.own + 1 - own);
        memset(position, 0, (n->M + 1 - near) * sizeof(float));
        memcpy(position + n->M + 1 - near, ds + at.near, near * sizeof(float));
    }
}

/* Gradients of the queries, as projected, into proj; those of u, v and R into the task's sums. */
static void query_grads(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                        struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[module];
    const struct vq_kept *k = vq_kept_of(g, module);
    struct sums sums = sums_of(g, t->bh, t->p);
    size_t rows = t->i1 - t->i0, K = n->K, near = n->M + 1;
    vq_matmul_serial(&g->exact, rows, K, n->S, vq_mat(space->content, n->S),
                     vq_mat(w->C + t->h * n->S * K, K), space->dqu, K, false);
    vq_matmul_serial(&g->exact, rows, K, vq_old(g, t), vq_mat(space->ds, n->M + n->L + n->S),
                     vq_mat(vq_old_keys(g, module, t), K), space->dqu, K, true);
    vq_matmul_serial(&g->exact, rows, K, near, vq_mat(space->position, near),
                     vq_mat(w->R + t->h * near * K, K), space->dqv, K, false);
    vq_matmul_serial(&g->exact, near, K, rows, vq_mat_t(space->position, near),
                     vq_mat(space->qv, K), sums.R, K, true);
    add_rows(g->vec, sums.u, space->dqu, rows, K);
    add_rows(g->vec, sums.v, space->dqv, rows, K);
    g->vec->add(space->dqu, space->dqv, rows * K);
    for (size_t i = 0; i < rows; i++) {
        size_t r = t->b * n->U + t->i0 + i;
        float *q = k->proj + r * n->width + vq_q_at(n, t->h);
        g->gvec->unit_norm(q, space->dqu + i * K, q, K, g->key_scale,
                           k->inverse[r * 2 * n->H + t->h]);
    }
}

/* Adds what the tile means for keys and values that take gradients, and for the means. */
static void key_grads(const struct vq_grad *g, const struct vq_tile_at *t, const float *dO,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    size_t rows = t->i1 - t->i0, ld = n->M + n->L + n->S, HV = n->H * n->V;
    size_t cut = g->thru ? n->M : n->M + t->p * n->L;
    size_t skip = cut > t->first ? cut - t->first : 0, keys = t->keys - skip;
    size_t at = t->bh * n->U + t->first + skip - n->M;
    vq_matmul_serial(&g->exact, keys, n->K, rows, vq_mat_t(space->ds + skip, ld),
                     vq_mat(space->qu, n->K), g->dkey + at * n->K, n->K, true);
    vq_matmul_serial(&g->product, keys, n->V, rows, vq_mat_t(space->a + skip, ld), vq_mat(dO, HV),
                     g->dvalue + at * n->V, n->V, true);
    if (t->agg && g->thru && t->p > 0)
        vq_matmul_serial(&g->product, n->S, n->V, rows, vq_mat_t(space->a + n->M + n->L, ld),
                         vq_mat(dO, HV), space->mean, n->V, t->i0 > t->p * n->L);
}

static void grad_tile(const struct job *j, const struct vq_tile_at *t, struct vq_tile_space *space)
{
    const struct vq_grad *g = j->g;
    const struct vq_kept *k = vq_kept_of(g, j->module);
    const float *dO = g->y + (t->b * g->n.U + t->i0) * g->n.H * g->n.V + t->h * g->n.V;
    vq_weigh(g, j->module, t, space);
    if (g->n.kept == 1)
        vq_mix(g, j->module, t, space);
    gate_back(g, k, t);
    score_grads(g, k, t, dO, space);
    sort_grads(g, k, t, space);
    query_grads(g, j->module, t, space);
    key_grads(g, t, dO, space);
}

static void grad_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    struct vq_tile_space *space = &g->tile[worker];
    size_t in_wave = (n->P - j->wave + j->waves - 1) / j->waves;
    size_t bh = task / in_wave, p = j->wave + task % in_wave * j->waves;
    struct vq_tile_at t = {.agg = false};
    memset(sums_of(g, bh, p).R, 0, sums_floats(n) * sizeof(float));
    for (size_t tile = 0; tile * VQ_QUERIES < n->L; tile++) {
        t = vq_tile(g, bh * n->P + p, tile);
        grad_tile(j, &t, space);
    }
    if (t.agg && g->thru && p > 0)
        memcpy(vq_kept_of(g, j->module)->mean + (bh * (n->P + 1) + p) * n->S * n->V, space->mean,
               n->S * n->V * sizeof(float));
}

static void clear_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    memset(g->dkey + bh * g->n.U * g->n.K, 0, g->n.U * g->n.K * sizeof(float));
    memset(g->dvalue + bh * g->n.U * g->n.V, 0, g->n.U * g->n.V * sizeof(float));
}

/* The tasks' sums, in the order of sequences and blocks. */
static void add_sums(struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[module];
    size_t step = sums_floats(n), near = n->M + 1;
    const struct vq_partials blocks = {g->b, n->H * n->P * step, n->P, step};
    for (size_t h = 0; h < n->H; h++) {
        struct sums s = sums_of(g, h, 0);
        vq_add_partials(g, g->prepared[module].dR + h * near * n->K, near * n->K, 1.0f, s.R,
                        &blocks);
        vq_add_partials(g, vq_d(g, at->u) + h * n->K, n->K, g->key_scale, s.u, &blocks);
        vq_add_partials(g, vq_d(g, at->v) + h * n->K, n->K, g->key_scale, s.v, &blocks);
    }
}

void vq_attend_grad(struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    struct job j = {.g = g, .module = module};
    j.waves = g->thru ? 1 + (n->M + n->L - 1) / n->L : 1;
    vq_pool_run(g->pool, g->b * n->H, clear_task, g);
    for (j.wave = 0; j.wave < j.waves && j.wave < n->P; j.wave++) {
        size_t in_wave = (n->P - j.wave + j.waves - 1) / j.waves;
        vq_pool_run(g->pool, g->b * n->H * in_wave, grad_task, &j);
    }
    add_sums(g, module);
}
