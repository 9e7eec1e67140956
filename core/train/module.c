/*
 * A module forward, but for its attention: norm, projections, activations and nearest codes before
 * it, projection and residual stream behind it, a tile of tokens at a time; and what it leaves in
 * the state.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

struct job {
    struct vq_grad *g;
    struct vq_kept *k;
    size_t module;
    bool forward; /* not made again for the backward pass */
    bool mixes;   /* values are wanted as a right side, for weights to mix */
};

static struct job job_of(struct vq_grad *g, size_t module, bool forward)
{
    return (struct job){g, vq_kept_of(g, module), module, forward, !vq_quadratic(g)};
}

struct vq_tokens vq_tokens(const struct vq_grad *g, size_t tile)
{
    const struct vq_sizes *n = &g->n;
    struct vq_tokens s = {.b = tile / n->tiles, .i0 = tile % n->tiles * VQ_TILE};
    s.i1 = s.i0 + VQ_TILE < n->U ? s.i0 + VQ_TILE : n->U;
    s.r0 = s.b * n->U + s.i0;
    s.rows = s.i1 - s.i0;
    return s;
}

/* proj = norm(x) [Wq | Wkvg]. */
static void project(const struct job *j, const struct vq_tokens *s, struct vq_tile_space *space)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[j->module];
    const struct vq_packed q = vq_side(g, VQ_Q, 0), kvg = vq_side(g, VQ_KVG, 0);
    const float *x = vq_entering(g, j->module) + s->r0 * n->D;
    float *proj = j->k->proj + s->r0 * n->width;
    for (size_t i = 0; i < s->rows; i++)
        g->vec->rms_norm(space->narrow + i * n->D, x + i * n->D, n->D, vq_p(g, at->ln_g),
                         vq_p(g, at->ln_b), 1.0f);
    vq_matmul_packed(&q, s->rows, space->narrow, n->D, proj, n->width, false);
    vq_matmul_packed(&kvg, s->rows, space->narrow, n->D, proj + q.N, n->width, false);
}

/* x[n] = x / rms(x) * scale; returns 1 / rms. */
static float unit_norm(const struct vq_vec *vec, float *x, size_t n, float scale)
{
    float inverse = 1.0f / sqrtf(vec->dot(x, x, n) / (float)n + 1e-6f);
    vec->scale(x, inverse * scale, n);
    return inverse;
}

/* Values of one head, some places of them, as a right side, where there is to be one. */
static void pack_values(const struct job *j, size_t bh, size_t place, size_t places)
{
    const struct vq_sizes *n = &j->g->n;
    if (!j->mixes)
        return;
    const struct vq_packed values = vq_values(j->g, bh);
    const struct vq_packed part = vq_packed_part(&values, place, places, 0, n->V);
    vq_matmul_pack(&part, vq_mat(j->k->value + (vq_place(n, bh) + place) * n->V, n->V));
}

/* Window codes and values of the state ahead of the update's own. */
static void lay_window(const struct job *j, size_t bh)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_train_state *s = g->state;
    size_t from = (j->module * n->B * n->H + g->first * n->H + bh) * n->M;
    size_t to = vq_place(n, bh), empty = n->F - n->M;
    memset(j->k->code + to, 0, empty * sizeof(*s->code));
    memset(j->k->value + to * n->V, 0, empty * n->V * sizeof(float));
    memcpy(j->k->code + to + empty, s->code + from, n->M * sizeof(*s->code));
    memcpy(j->k->value + (to + empty) * n->V, s->value + from * n->V, n->M * n->V * sizeof(float));
    pack_values(j, bh, 0, n->F);
}

/* One head's values. */
static void make_values(const struct job *j, const struct vq_tokens *s, size_t h)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t bh = s->b * n->H + h;
    float *value = j->k->value + (vq_own_place(n, bh) + s->i0) * n->V;
    for (size_t r = s->r0; r < s->r0 + s->rows; r++, value += n->V)
        g->vec->silu(value, j->k->proj + r * n->width + vq_v_at(n, h), n->V);
    pack_values(j, bh, n->F + s->i0, s->rows);
}

/* Norms and values of one head's rows. */
static void activate(const struct job *j, const struct vq_tokens *s, size_t h)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    for (size_t r = s->r0; r < s->r0 + s->rows; r++) {
        float *row = j->k->proj + r * n->width, *inverse = j->k->inverse + r * 2 * n->H;
        inverse[h] = unit_norm(g->vec, row + vq_q_at(n, h), n->K, g->key_scale);
        inverse[n->H + h] = unit_norm(g->vec, row + vq_k_at(n, h), n->K, g->key_scale);
    }
    make_values(j, s, h);
}

/* Sum over counted rows of |k - k^|^2; diff: K floats of scratch. */
static double commitment(const struct job *j, const struct vq_tokens *s, size_t h,
                         const int32_t *code, float *diff)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    double sum = 0.0;
    for (size_t i = 0; i < s->rows; i++) {
        size_t r = s->r0 + i, z = (size_t)code[i];
        memcpy(diff, j->k->proj + r * n->width + vq_k_at(n, h), n->K * sizeof(float));
        g->vec->axpy(diff, -1.0f, g->prepared[j->module].C + (h * n->S + z) * n->K, n->K);
        sum += (double)(g->mask[r] * g->vec->dot(diff, diff, n->K));
    }
    return sum;
}

/* Nearest codes of one head's rows; returns their part of the commitment loss. */
static double quantise(const struct job *j, const struct vq_tokens *s, size_t h,
                       struct vq_tile_space *space)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_packed codes = vq_side(g, VQ_CODES, h);
    int32_t *code = j->k->code + vq_own_place(n, s->b * n->H + h) + s->i0;
    const float *k = j->k->proj + s->r0 * n->width + vq_k_at(n, h);
    vq_matmul_packed(&codes, s->rows, k, n->width, space->content, n->S, false);
    for (size_t i = 0; i < s->rows; i++)
        code[i] = (int32_t)g->vec->nearest(space->content + i * n->S,
                                           g->prepared[j->module].norm2 + h * n->S, n->S);
    return j->forward ? commitment(j, s, h, code, space->dqu) : 0.0;
}

static void before_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    struct vq_grad *g = j->g;
    struct vq_tokens s = vq_tokens(g, task);
    struct vq_tile_space *space = &g->tile[worker];
    double commit = 0.0;
    project(j, &s, space);
    for (size_t h = 0; h < g->n.H; h++) {
        if (s.i0 == 0 && !vq_quadratic(g))
            lay_window(j, s.b * g->n.H + h);
        activate(j, &s, h);
        if (!vq_quadratic(g))
            commit += quantise(j, &s, h, space);
    }
    g->partial_sum[task] = commit;
}

void vq_before_attention(struct vq_grad *g, size_t module, double *commit)
{
    struct job j = job_of(g, module, commit != NULL);
    size_t tasks = g->b * g->n.tiles;
    vq_pool_run(g->pool, tasks, before_task, &j);
    for (size_t i = 0; commit && i < tasks; i++)
        *commit += g->partial_sum[i];
    vq_aggregate(g, module, true);
}

static void restore_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    struct vq_tokens s = vq_tokens(j->g, task);
    for (size_t h = 0; h < j->g->n.H; h++) {
        if (s.i0 == 0)
            lay_window(j, s.b * j->g->n.H + h);
        make_values(j, &s, h);
    }
}

void vq_module_restore(struct vq_grad *g, size_t module)
{
    struct job j = job_of(g, module, false);
    j.mixes = false;
    vq_pool_run(g->pool, g->b * g->n.tiles, restore_task, &j);
    vq_aggregate(g, module, false);
}

/* Key errors of one block and head, as the authors group them. */
static void metrics_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t bh = task / n->P, p = task % n->P, h = bh % n->H;
    g->metrics[task] = (struct vq_metrics){0};
    vq_metrics_keys(&g->metrics[task],
                    j->k->proj + (bh / n->H * n->U + p * n->L) * n->width + vq_k_at(n, h), n->width,
                    j->k->code + vq_own_place(n, bh) + p * n->L, n->L,
                    g->prepared[j->module].C + h * n->S * n->K, n->K, NULL);
}

bool vq_drops(const struct vq_grad *g)
{
    return vq_rate(g, g->config.p_dropres) > 0.0 || vq_rate(g, g->config.p_droplyr) > 0.0;
}

void vq_draw_factors(struct vq_grad *g, size_t module)
{
    for (size_t b = 0; b < g->b; b++) {
        struct vq_drop d = vq_drop_of(g, VQ_DROP_LYR, module, g->first + b, 0);
        g->factor[b] = vq_drop_factor(vq_rate(g, g->config.p_droplyr), &d);
    }
}

void vq_drop_result(const struct vq_grad *g, size_t module, size_t r, float *dst, const float *src)
{
    size_t b = r / g->n.U, i = r % g->n.U;
    uint64_t at = (uint64_t)g->state->position + i;
    struct vq_drop d = vq_drop_of(g, VQ_DROP_RES, module, g->first + b, at);
    vq_drop_row(dst, src, g->n.D, vq_rate(g, g->config.p_dropres), &d);
    g->vec->scale(dst, g->factor[b], g->n.D);
}

void vq_after_attention(const struct vq_grad *g, size_t module, const struct vq_tokens *s,
                        struct vq_tile_space *space)
{
    size_t D = g->n.D, hv = g->n.H * g->n.V;
    const struct vq_packed res = vq_side(g, VQ_RES, 0);
    const float *x = vq_entering(g, module) + s->r0 * D;
    float *to = vq_entering(g, module + 1) + s->r0 * D, *branch = space->narrow;
    vq_matmul_packed(&res, s->rows, space->wide, hv, branch, D, false);
    for (size_t i = 0; i < s->rows; i++) {
        if (vq_drops(g))
            vq_drop_result(g, module, s->r0 + i, branch + i * D, branch + i * D);
        memcpy(to + i * D, x + i * D, D * sizeof(float));
        g->vec->add(to + i * D, branch + i * D, D);
    }
}

void vq_module_forward(struct vq_grad *g, size_t module, double *commit)
{
    struct job j = job_of(g, module, true);
    vq_pack_sides(g, module, VQ_FORWARD);
    vq_before_attention(g, module, commit);
    if (g->u->metrics)
        vq_pool_run(g->pool, g->b * g->n.H * g->n.P, metrics_task, &j);
    vq_draw_factors(g, module);
    if (vq_quadratic(g))
        vq_square_attend(g, module, true);
    else
        vq_attend(g, module);
}

/* Keys of the window: those that stay move up, the span's own are rows of the codebook. */
static void commit_keys(const struct job *j, size_t bh, const int32_t *code, const float *old,
                        float *key)
{
    const struct vq_sizes *n = &j->g->n;
    const float *C = j->g->prepared[j->module].C + bh % n->H * n->S * n->K;
    size_t stay = n->U < n->M ? n->M - n->U : 0;
    if (stay)
        memmove(key, old + n->U * n->K, stay * n->K * sizeof(*key));
    for (size_t i = stay; i < n->M; i++)
        memcpy(key + i * n->K, C + (size_t)code[i] * n->K, n->K * sizeof(*key));
}

static void commit_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    struct vq_train_state *s = vq_leaves(g);
    size_t to = j->module * n->B * n->H + g->first * n->H + bh,
           from = vq_own_place(n, bh) + n->U - n->M;
    memcpy(s->code + to * n->M, j->k->code + from, n->M * sizeof(*s->code));
    memcpy(s->value + to * n->M * n->V, j->k->value + from * n->V, n->M * n->V * sizeof(float));
    commit_keys(j, bh, s->code + to * n->M, g->state->key + to * n->M * n->K,
                s->key + to * n->M * n->K);
    if (!g->agg)
        return;
    size_t last = (bh * (n->P + 1) + n->P) * n->S;
    for (size_t c = 0; c < n->S; c++)
        s->count[to * n->S + c] = j->k->count[last + c];
    memcpy(s->mean + to * n->S * n->V, j->k->mean + last * n->V, n->S * n->V * sizeof(float));
}

void vq_module_commit(struct vq_grad *g, size_t module)
{
    struct job j = job_of(g, module, false);
    if (!vq_quadratic(g))
        vq_pool_run(g->pool, g->b * g->n.H, commit_task, &j);
}
