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
 * A block adds to keys and values of its own and, with grad_thru_cache, of blocks in its window,
 * those of the span before included, which takes them over from `carry`; so
 * blocks whose places could meet do not run at the same time: they go in waves, every `waves`th
 * block at once, in an order that threads have no say in.
 */
#include <string.h>

#include "core/train/grad_private.h"

struct job {
    struct vq_grad *g;
    size_t module, wave, waves;
    const float *dbranch;
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

/* The gradient of the gated results into space->wide, [rows, V]. */
static void project_back(const struct vq_grad *g, const struct vq_tile_at *t, const float *dbranch,
                         struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_packed res = vq_side(g, VQ_RES_BACK, t->h);
    const float *d = dbranch + (t->b * n->U + t->i0) * n->D;
    vq_matmul_packed(&res, t->i1 - t->i0, d, n->D, space->wide, n->V, false);
}

/* From there to the gradient of results, in place; the gate's own gradient takes its place in
 * proj. Gated results go into space->y. */
static void gate_back(const struct vq_grad *g, const struct vq_kept *k, const struct vq_tile_at *t,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    for (size_t i = 0; i < t->i1 - t->i0; i++) {
        size_t r = t->b * n->U + t->i0 + i;
        g->gvec->gate_grad(space->wide + i * n->V, space->y + i * n->V,
                           k->o + (r * n->H + t->h) * n->V,
                           k->proj + r * n->width + vq_g_at(n, t->h), n->V);
    }
}

/* The tile's part of both sides of Wres's gradient. */
static void pack_outer(const struct vq_grad *g, const struct vq_tile_at *t, const float *dbranch,
                       const struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_outer *sum = &g->outer[2 + t->h];
    size_t rows = t->i1 - t->i0;
    size_t at = vq_run(t->b * n->P + t->p, n->L) + t->i0 - t->p * n->L;
    const struct vq_packed_left y = vq_packed_left_part(&sum->left, at, rows);
    const struct vq_packed dx = vq_packed_part(&sum->right, at, rows, 0, n->D);
    vq_matmul_pack_left(&y, space->y, n->V);
    if (t->h == 0)
        vq_matmul_pack(&dx, vq_mat(dbranch + (t->b * n->U + t->i0) * n->D, n->D));
}

void vq_result_grad(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                    const float *dbranch, struct vq_tile_space *space)
{
    project_back(g, t, dbranch, space);
    gate_back(g, vq_kept_of(g, module), t, space);
    pack_outer(g, t, dbranch, space);
}

/* dS of all scores into space->ds, laid out as the weights. */
static void score_grads(const struct vq_grad *g, const struct vq_tile_at *t,
                        struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_packed values = vq_values_back(g, t->bh), means = vq_means_back(g, t->bh, t->p);
    const struct vq_packed part = vq_packed_part(&values, 0, n->V, t->first, t->keys);
    size_t rows = t->i1 - t->i0, ld = n->single + n->S, codes = t->agg ? n->S : 0;
    vq_matmul_packed(&part, rows, space->wide, n->V, space->ds, ld, false);
    if (codes)
        vq_matmul_packed(&means, rows, space->wide, n->V, space->ds + n->single, ld, false);
    for (size_t r = 0; r < rows; r++) {
        const float *a = space->a + r * ld;
        float *ds = space->ds + r * ld;
        float sum = g->vec->dot(a, ds, t->keys) + g->vec->dot(a + n->single, ds + n->single, codes);
        g->gvec->softmax(ds, a, t->keys, sum);
        g->gvec->softmax(ds + n->single, a + n->single, codes, sum);
    }
}

/* From dS to gradients of content scores per code and of position scores per distance. */
static void sort_grads(const struct vq_grad *g, const struct vq_kept *k, const struct vq_tile_at *t,
                       struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const int32_t *code = k->code + vq_place(n, t->bh) + t->first;
    for (size_t i = t->i0; i < t->i1; i++) {
        struct vq_reach at = vq_reach(g, t, i);
        size_t r = i - t->i0, near = at.own + 1 - at.near, coded = vq_first_code(g, t, &at);
        const float *ds = space->ds + r * (n->single + n->S);
        float *content = space->content + r * n->S, *position = space->position + r * (n->M + 1);
        if (t->agg)
            memcpy(content, ds + n->single, n->S * sizeof(float));
        else
            memset(content, 0, n->S * sizeof(float));
        g->gvec->scatter_add(content, ds + coded, code + coded, at.own + 1 - coded);
        memset(position, 0, (n->M + 1 - near) * sizeof(float));
        memcpy(position + n->M + 1 - near, ds + at.near, near * sizeof(float));
    }
}

/* Gradients of the queries, as projected, into proj; those of u, v and R into the task's sums. */
static void query_grads(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                        struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_packed codes = vq_side(g, VQ_CODES_BACK, t->h);
    const struct vq_packed positions = vq_side(g, VQ_POSITIONS_BACK, t->h);
    const struct vq_kept *k = vq_kept_of(g, module);
    struct sums sums = sums_of(g, t->bh, t->p);
    size_t rows = t->i1 - t->i0, K = n->K, near = n->M + 1;
    vq_matmul_packed(&codes, rows, space->content, n->S, space->dqu, K, false);
    vq_matmul_serial(&g->exact, rows, K, vq_old(g, t),
                     vq_mat(space->ds + t->skip, n->single + n->S),
                     vq_mat(vq_old_keys(g, module, t), K), space->dqu, K, true);
    vq_matmul_packed(&positions, rows, space->position, near, space->dqv, K, false);
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
static void key_grads(const struct vq_grad *g, const struct vq_kept *k, const struct vq_tile_at *t,
                      struct vq_tile_space *space)
{
    const struct vq_sizes *n = &g->n;
    size_t rows = t->i1 - t->i0, ld = n->single + n->S;
    size_t own = n->F + t->p * n->L, seen = t->first + t->skip;
    if (g->thru)
        own = vq_first_span(g) ? n->F : n->F - n->M;
    size_t skip = (own > seen ? own : seen) - t->first, keys = t->keys - skip;
    size_t at = vq_place(n, t->bh) + t->first + skip;
    const struct vq_matrix dO = vq_mat(space->wide, n->V);
    vq_matmul_serial(&g->exact, keys, n->K, rows, vq_mat_t(space->ds + skip, ld),
                     vq_mat(space->qu, n->K), g->dkey + at * n->K, n->K, true);
    vq_matmul_serial(&g->product, keys, n->V, rows, vq_mat_t(space->a + skip, ld), dO,
                     g->dvalue + at * n->V, n->V, true);
    if (t->agg && g->thru && (t->p > 0 || !vq_first_span(g)))
        vq_matmul_serial(&g->product, n->S, n->V, rows, vq_mat_t(space->a + n->single, ld), dO,
                         k->mean + (t->bh * (n->P + 1) + t->p) * n->S * n->V, n->V,
                         t->i0 > t->p * n->L);
}

static void grad_tile(const struct job *j, const struct vq_tile_at *t, struct vq_tile_space *space)
{
    const struct vq_grad *g = j->g;
    const struct vq_kept *k = vq_kept_of(g, j->module);
    vq_weigh(g, j->module, t, space);
    if (g->n.kept == 1)
        vq_mix(g, j->module, t, space);
    vq_result_grad(g, j->module, t, j->dbranch, space);
    score_grads(g, t, space);
    sort_grads(g, k, t, space);
    query_grads(g, j->module, t, space);
    key_grads(g, k, t, space);
}

static void grad_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t in_wave = (n->P - j->wave + j->waves - 1) / j->waves;
    size_t bh = task / in_wave, p = j->wave + task % in_wave * j->waves;
    memset(sums_of(g, bh, p).R, 0, sums_floats(n) * sizeof(float));
    for (size_t tile = 0; tile * VQ_TILE < n->L; tile++) {
        struct vq_tile_at t = vq_tile(g, bh, p, tile);
        grad_tile(j, &t, &g->tile[worker]);
    }
}

static size_t panels(size_t places)
{
    return places / VQ_PANEL * VQ_PANEL;
}

static bool carries(const struct vq_grad *g)
{
    return g->thru && !vq_last_span(g);
}

/* Nothing yet in a block's gradients of keys and values, nor, with the first block's, in those of
 * the window; but for what the next span hands back. */
static void begin_grads(const struct job *j, size_t bh, size_t p)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t place = vq_place(n, bh), first = p ? n->F + p * n->L : 0, end = n->F + (p + 1) * n->L;
    size_t handed = n->F + n->U - n->M;
    memset(g->dkey + (place + first) * n->K, 0, (end - first) * n->K * sizeof(float));
    memset(g->dvalue + (place + first) * n->V, 0, (end - first) * n->V * sizeof(float));
    if (!carries(g) || end <= handed)
        return;
    size_t from = first > handed ? first : handed, at = bh * n->M + from - handed;
    const struct vq_carry *c = &g->carry[j->module];
    memcpy(g->dkey + (place + from) * n->K, c->key + at * n->K,
           (end - from) * n->K * sizeof(float));
    memcpy(g->dvalue + (place + from) * n->V, c->value + at * n->V,
           (end - from) * n->V * sizeof(float));
}

/* A block's values as a right side, in whole panels, the window's with the first block's; and the
 * beginning of its gradients. */
static void prepare_values(const struct job *j, size_t bh, size_t p)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, j->module);
    size_t first = p ? panels(n->F + p * n->L) : 0, last = panels(n->F + (p + 1) * n->L);
    struct vq_packed values = vq_values_back(g, bh);
    if (p + 1 == n->P)
        last = n->F + n->U;
    struct vq_packed part = vq_packed_part(&values, 0, n->V, first, last - first);
    vq_matmul_pack(&part, vq_mat_t(k->value + (vq_place(n, bh) + first) * n->V, n->V));
    begin_grads(j, bh, p);
}

static void prepare_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t bh = task / n->P, p = task % n->P;
    prepare_values(j, bh, p);
    if (!g->agg)
        return;
    const struct vq_packed means = vq_means_back(g, bh, p);
    const float *mean = vq_kept_of(g, j->module)->mean;
    vq_matmul_pack(&means, vq_mat_t(mean + (bh * (n->P + 1) + p) * n->S * n->V, n->V));
}

/* The tasks' sums, in the order of sequences and blocks. */
static void add_sums(struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[module];
    size_t step = sums_floats(n), near = (n->M + 1) * n->K;
    const struct vq_blocks blocks = {g->b, n->H * n->P * step, n->P, step};
    for (size_t h = 0; h < n->H; h++) {
        struct sums s = sums_of(g, h, 0);
        const struct vq_sum sums[] = {
            {g->prepared[module].dR + h * near, near, 1.0f, s.R},
            {vq_d(g, at->u) + h * n->K, n->K, g->key_scale, s.u},
            {vq_d(g, at->v) + h * n->K, n->K, g->key_scale, s.v},
        };
        vq_add_partials(g, sums, 3, &blocks);
    }
}

void vq_attend_grad(struct vq_grad *g, size_t module, const float *dbranch)
{
    const struct vq_sizes *n = &g->n;
    struct job j = {.g = g, .module = module, .dbranch = dbranch};
    j.waves = g->thru ? 1 + (n->M + n->L - 1) / n->L : 1;
    vq_pool_run(g->pool, g->b * n->H * n->P, prepare_task, &j);
    for (j.wave = 0; j.wave < j.waves && j.wave < n->P; j.wave++) {
        size_t in_wave = (n->P - j.wave + j.waves - 1) / j.waves;
        vq_pool_run(g->pool, g->b * n->H * in_wave, grad_task, &j);
    }
    add_sums(g, module);
}
