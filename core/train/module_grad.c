/*
 * A module backward, but for its attention, and sums of partial blocks. Gradients take the places
 * of what they are gradients of: proj ends up as the gradient of the projections.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

#define STRIP     256 /* columns of one task that adds partial sums */
#define KEY_STRIP 16  /* and of one that sums keys by code */

struct job {
    struct vq_grad *g;
    struct vq_kept *k;
    size_t module;
};

/* Sums over blocks of partial results. */
struct sums {
    const struct vq_sum *sum;
    size_t n;
    const struct vq_blocks *blocks;
};

static size_t strips(const struct vq_sum *s)
{
    return (s->n + STRIP - 1) / STRIP;
}

static void add_strip(const struct vq_sum *s, const struct vq_blocks *blocks, size_t c0)
{
    size_t cols = c0 + STRIP < s->n ? STRIP : s->n - c0;
    float sum[STRIP] = {0};
    for (size_t o = 0; o < blocks->outer; o++) {
        for (size_t i = 0; i < blocks->inner; i++) {
            const float *p = s->partial + o * blocks->outer_step + i * blocks->inner_step + c0;
            for (size_t c = 0; c < cols; c++)
                sum[c] += p[c];
        }
    }
    for (size_t c = 0; c < cols; c++)
        s->dst[c0 + c] += s->scale * sum[c];
}

static void sum_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct sums *s = ud;
    size_t i = 0;
    for (; task >= strips(&s->sum[i]); i++)
        task -= strips(&s->sum[i]);
    add_strip(&s->sum[i], s->blocks, task * STRIP);
}

void vq_add_partials(const struct vq_grad *g, const struct vq_sum *sums, size_t n,
                     const struct vq_blocks *blocks)
{
    struct sums s = {sums, n, blocks};
    size_t tasks = 0;
    for (size_t i = 0; i < n; i++)
        tasks += strips(&sums[i]);
    vq_pool_run(g->pool, tasks, sum_task, &s);
}

static void drop_grad_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    struct vq_tokens s = vq_tokens(g, task);
    for (size_t r = s.r0; r < s.r0 + s.rows; r++)
        vq_drop_result(g, j->module, r, g->branch + r * g->n.D, g->dx + r * g->n.D);
}

/* Counted keys of one head summed by code, some columns of them. */
static void code_sum_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t strips = (n->K + KEY_STRIP - 1) / KEY_STRIP, h = task / strips;
    size_t c0 = task % strips * KEY_STRIP, cols = c0 + KEY_STRIP < n->K ? KEY_STRIP : n->K - c0;
    float *sum = g->prepared[j->module].sum + h * n->S * n->K + c0;
    float *count = g->prepared[j->module].count + h * n->S;
    for (size_t r = 0; r < g->r; r++) {
        size_t b = r / n->U, i = r % n->U;
        size_t z = (size_t)j->k->code[vq_own_place(n, b * n->H + h) + i];
        const float *k = j->k->proj + r * n->width + vq_k_at(n, h) + c0;
        for (size_t c = 0; c < cols; c++)
            sum[z * n->K + c] += g->mask[r] * k[c];
        if (c0 == 0)
            count[z] += g->mask[r];
    }
}

/* Gradients of one head's keys, commitment included, and values, as projected. */
static void key_value_grads(const struct job *j, const struct vq_tokens *s, size_t h, float *dk)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t bh = s->b * n->H + h;
    const int32_t *code = j->k->code + vq_own_place(n, bh);
    const float *C = g->prepared[j->module].C + h * n->S * n->K;
    float pull = (float)(2.0 * g->config.c_beta / (double)(n->B * n->T));
    for (size_t i = s->i0; i < s->i1; i++) {
        size_t r = s->b * n->U + i;
        float *row = j->k->proj + r * n->width, *k = row + vq_k_at(n, h);
        float *v = row + vq_v_at(n, h), w = pull * g->mask[r];
        memcpy(dk, g->dkey + (vq_own_place(n, bh) + i) * n->K, n->K * sizeof(float));
        if (!vq_quadratic(g)) {
            g->vec->axpy(dk, w, k, n->K);
            g->vec->axpy(dk, -w, C + (size_t)code[i] * n->K, n->K);
        }
        g->gvec->unit_norm(k, dk, k, n->K, g->key_scale, j->k->inverse[r * 2 * n->H + n->H + h]);
        g->gvec->silu(v, g->dvalue + (vq_own_place(n, bh) + i) * n->V, v, n->V);
    }
}

/* What the keys and values of the window get, for the span that made them. */
static void hand_back_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_carry *c = &g->carry[j->module];
    size_t place = vq_own_place(n, bh) - n->M;
    memcpy(c->key + bh * n->M * n->K, g->dkey + place * n->K, n->M * n->K * sizeof(float));
    memcpy(c->value + bh * n->M * n->V, g->dvalue + place * n->V, n->M * n->V * sizeof(float));
}

/* The tile's part of both sides of the gradients of Wq and Wkvg. */
static void pack_outer(const struct job *j, const struct vq_tokens *s, float *h)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[j->module];
    const float *x = vq_entering(g, j->module) + s->r0 * n->D;
    const float *dproj = j->k->proj + s->r0 * n->width;
    size_t token = vq_run(s->b, n->U) + s->i0, hk = n->H * n->K;
    const struct vq_packed_left left = vq_packed_left_part(&g->outer[0].left, token, s->rows);
    const struct vq_packed q = vq_packed_part(&g->outer[0].right, token, s->rows, 0, hk);
    const struct vq_packed kvg =
        vq_packed_part(&g->outer[1].right, token, s->rows, 0, n->width - hk);
    for (size_t i = 0; i < s->rows; i++)
        g->vec->rms_norm(h + i * n->D, x + i * n->D, n->D, vq_p(g, at->ln_g), vq_p(g, at->ln_b),
                         1.0f);
    vq_matmul_pack_left(&left, h, n->D);
    vq_matmul_pack(&q, vq_mat(dproj, n->width));
    vq_matmul_pack(&kvg, vq_mat(dproj + hk, n->width));
}

/* dh = dproj [Wq | Wkvg]^T into space->narrow. */
static void project_grad(const struct job *j, const struct vq_tokens *s,
                         struct vq_tile_space *space)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_packed q = vq_side(g, VQ_Q_BACK, 0), kvg = vq_side(g, VQ_KVG_BACK, 0);
    const float *dproj = j->k->proj + s->r0 * n->width;
    vq_matmul_packed(&q, s->rows, dproj, n->width, space->narrow, n->D, false);
    vq_matmul_packed(&kvg, s->rows, dproj + q.K, n->width, space->narrow, n->D, true);
}

/* From there to dx; gains' gradients into the task's sums. */
static void norm_grads(const struct job *j, const struct vq_tokens *s, const float *dh, float *sums)
{
    const struct vq_grad *g = j->g;
    const struct vq_module_at *at = &g->at.module[j->module];
    size_t D = g->n.D;
    const float *x = vq_entering(g, j->module) + s->r0 * D;
    memset(sums, 0, 2 * D * sizeof(float));
    for (size_t i = 0; i < s->rows; i++)
        g->gvec->rms_norm(g->dx + (s->r0 + i) * D, dh + i * D, x + i * D, D, vq_p(g, at->ln_g),
                          sums, sums + D);
}

/* What lies before attention, back to the residual stream. */
static void before_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    struct vq_tokens s = vq_tokens(g, task);
    struct vq_tile_space *space = &g->tile[worker];
    for (size_t h = 0; h < g->n.H; h++)
        key_value_grads(j, &s, h, space->dqu);
    pack_outer(j, &s, space->narrow);
    project_grad(j, &s, space);
    norm_grads(j, &s, space->narrow, g->partial + task * 2 * g->n.D);
}

static void before_attention_grad(struct job *j)
{
    struct vq_grad *g = j->g;
    const struct vq_module_at *at = &g->at.module[j->module];
    size_t D = g->n.D, tasks = g->b * g->n.tiles;
    const struct vq_blocks blocks = {1, 0, tasks, 2 * D};
    const struct vq_sum sums[] = {{vq_d(g, at->ln_g), D, 1.0f, g->partial},
                                  {vq_d(g, at->ln_b), D, 1.0f, g->partial + D}};
    vq_pool_run(g->pool, tasks, before_task, j);
    vq_add_partials(g, sums, 2, &blocks);
}

/* dW += left^T right, for all weights at once. */
static void weight_grads(const struct job *j)
{
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[j->module];
    g->outer[0].c = vq_d(g, at->q);
    g->outer[1].c = vq_d(g, at->kvg);
    for (size_t h = 0; h < n->H; h++)
        g->outer[2 + h].c = vq_d(g, at->res) + h * n->V * n->D;
    for (size_t i = 0; i < 2 + n->H; i++)
        g->outer[i].right.K = i < 2 ? vq_run(g->b, n->U) : vq_run(g->b * n->P, n->L);
    vq_matmul_outer(g->pool, g->outer, 2 + n->H);
}

void vq_module_grad(struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    struct job j = {g, vq_kept_of(g, module), module};
    size_t key_strips = (n->K + KEY_STRIP - 1) / KEY_STRIP;
    const float *dbranch = g->dx;
    vq_pack_sides(g, module, n->kept == 1 ? VQ_AGAIN : VQ_BACKWARD);
    if (n->kept == 1)
        vq_before_attention(g, module, NULL);
    else if (n->spans > 1)
        vq_module_restore(g, module);
    if (vq_drops(g)) {
        vq_draw_factors(g, module);
        vq_pool_run(g->pool, g->b * n->tiles, drop_grad_task, &j);
        dbranch = g->branch;
    }
    if (vq_quadratic(g)) {
        vq_square_grad(g, module, dbranch);
    } else {
        vq_attend_grad(g, module, dbranch);
        vq_aggregate_grad(g, module);
        if (g->thru && !vq_first_span(g))
            vq_pool_run(g->pool, g->b * n->H, hand_back_task, &j);
        if (n->spans == 1)
            vq_module_commit(g, module);
        vq_pool_run(g->pool, n->H * key_strips, code_sum_task, &j);
    }
    before_attention_grad(&j);
    weight_grads(&j);
}
