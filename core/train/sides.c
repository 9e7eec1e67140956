/*
 * Right sides of products, packed. Weights, codebook and positions of the module at hand are packed
 * once per pass, in both directions, for all tiles of tokens; values and means by whoever makes
 * them, a tile or a block at a time.
 */
#include "core/train/grad_private.h"

#define COLUMNS 128 /* of a task; a multiple of VQ_PANEL */

struct shape {
    size_t heads, K, N;
    bool exact;
};

static struct shape shape_of(const struct vq_sizes *n, enum vq_side side)
{
    size_t hk = n->H * n->K, rest = n->width - hk, hv = n->H * n->V, near = n->M + 1;
    const struct shape shapes[VQ_SIDES] = {
        [VQ_Q] = {1, n->D, hk, false},
        [VQ_KVG] = {1, n->D, rest, false},
        [VQ_RES] = {1, hv, n->D, false},
        [VQ_CODES] = {n->H, n->K, n->S, true},
        [VQ_POSITIONS] = {n->H, n->K, near, true},
        [VQ_Q_BACK] = {1, hk, n->D, false},
        [VQ_KVG_BACK] = {1, rest, n->D, false},
        [VQ_RES_BACK] = {n->H, n->D, n->V, false},
        [VQ_CODES_BACK] = {n->H, n->S, n->K, true},
        [VQ_POSITIONS_BACK] = {n->H, near, n->K, true},
    };
    return shapes[side];
}

static size_t floats_of(size_t K, size_t N)
{
    return vq_packed_rows(K) * vq_packed_cols(N);
}

void vq_side_shape(const struct vq_sizes *n, enum vq_side side, size_t *heads, size_t *K, size_t *N)
{
    struct shape s = shape_of(n, side);
    *heads = s.heads;
    *K = s.K;
    *N = s.N;
}

struct vq_packed vq_side(const struct vq_grad *g, enum vq_side side, size_t head)
{
    struct shape s = shape_of(&g->n, side);
    return vq_packed_at(s.exact ? &g->exact : &g->product, s.K, s.N,
                        g->side[side] + head * floats_of(s.K, s.N));
}

/* The matrix [K, N] that a side is made of. */
static struct vq_matrix source(const struct vq_grad *g, size_t module, enum vq_side side, size_t h)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[module];
    const struct vq_prepared *w = &g->prepared[module];
    size_t hk = n->H * n->K;
    switch (side) {
    case VQ_Q:
        return vq_mat(vq_p(g, at->q), hk);
    case VQ_Q_BACK:
        return vq_mat_t(vq_p(g, at->q), hk);
    case VQ_KVG:
        return vq_mat(vq_p(g, at->kvg), n->width - hk);
    case VQ_KVG_BACK:
        return vq_mat_t(vq_p(g, at->kvg), n->width - hk);
    case VQ_RES:
        return vq_mat(vq_p(g, at->res), n->D);
    case VQ_RES_BACK:
        return vq_mat_t(vq_p(g, at->res) + h * n->V * n->D, n->D);
    case VQ_CODES:
        return vq_mat_t(w->C + h * n->S * n->K, n->K);
    case VQ_CODES_BACK:
        return vq_mat(w->C + h * n->S * n->K, n->K);
    case VQ_POSITIONS:
        return vq_mat_t(w->R + h * (n->M + 1) * n->K, n->K);
    default:
        return vq_mat(w->R + h * (n->M + 1) * n->K, n->K);
    }
}

struct job {
    struct vq_grad *g;
    size_t module;
    unsigned set;
};

static size_t side_tasks(const struct shape *s)
{
    return s->heads * ((s->N + COLUMNS - 1) / COLUMNS);
}

/* Some columns of one head of one side. */
static void pack_columns(const struct job *j, enum vq_side side, size_t task)
{
    const struct vq_grad *g = j->g;
    struct shape s = shape_of(&g->n, side);
    size_t h = task % s.heads, n0 = task / s.heads * COLUMNS;
    size_t cols = n0 + COLUMNS < s.N ? COLUMNS : s.N - n0;
    struct vq_packed whole = vq_side(g, side, h);
    struct vq_packed part = vq_packed_part(&whole, 0, s.K, n0, cols);
    struct vq_matrix m = source(g, j->module, side, h);
    m.at += m.trans ? n0 * m.ld : n0;
    vq_matmul_pack(&part, m);
}

static void pack_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    for (int side = 0; side < VQ_SIDES; side++) {
        struct shape s = shape_of(&j->g->n, side);
        size_t tasks = j->set >> side & 1 ? side_tasks(&s) : 0;
        if (task < tasks) {
            pack_columns(j, side, task);
            return;
        }
        task -= tasks;
    }
}

void vq_pack_sides(struct vq_grad *g, size_t module, unsigned set)
{
    struct job j = {g, module, set};
    size_t tasks = 0;
    for (int side = 0; side < VQ_SIDES; side++) {
        struct shape s = shape_of(&g->n, side);
        tasks += set >> side & 1 ? side_tasks(&s) : 0;
    }
    vq_pool_run(g->pool, tasks, pack_task, &j);
}

struct vq_packed vq_values(const struct vq_grad *g, size_t bh)
{
    size_t K = g->n.F + g->n.U, N = g->n.V;
    return vq_packed_at(&g->product, K, N, g->values + bh * floats_of(K, N));
}

struct vq_packed vq_values_back(const struct vq_grad *g, size_t bh)
{
    size_t K = g->n.V, N = g->n.F + g->n.U;
    return vq_packed_at(&g->product, K, N, g->values_back + bh * floats_of(K, N));
}

struct vq_packed vq_means(const struct vq_grad *g, size_t bh, size_t p)
{
    size_t K = g->n.S, N = g->n.V;
    return vq_packed_at(&g->product, K, N, g->means + (bh * g->n.P + p) * floats_of(K, N));
}

struct vq_packed vq_means_back(const struct vq_grad *g, size_t bh, size_t p)
{
    size_t K = g->n.V, N = g->n.S;
    return vq_packed_at(&g->product, K, N, g->means_back + (bh * g->n.P + p) * floats_of(K, N));
}
