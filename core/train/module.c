/*
 * A module around its attention: norm, projections, activations and nearest codes before it,
 * projection and residual stream behind it; forward and backward. In the backward pass gradients
 * take the places of what they are gradients of: proj ends up as the gradient of the projections.
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
    bool forward; /* not made again for the backward pass */
    size_t tiles; /* of a sequence */
};

static struct job job_of(struct vq_grad *g, size_t module, bool forward)
{
    return (struct job){g, vq_kept_of(g, module), module, forward,
                        (g->n.U + VQ_QUERIES - 1) / VQ_QUERIES};
}

static size_t row_tasks(const struct vq_grad *g)
{
    return (g->r + VQ_ROWS - 1) / VQ_ROWS;
}

static size_t row_end(const struct vq_grad *g, size_t task)
{
    return (task + 1) * VQ_ROWS < g->r ? (task + 1) * VQ_ROWS : g->r;
}

/* Sums of partial blocks. */
struct sum {
    float *dst;
    size_t n;
    float scale;
    const float *partial;
    const struct vq_partials *blocks;
};

static void sum_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct sum *s = ud;
    size_t c0 = task * STRIP, c1 = c0 + STRIP < s->n ? c0 + STRIP : s->n;
    float sum[STRIP] = {0};
    for (size_t o = 0; o < s->blocks->outer; o++) {
        for (size_t i = 0; i < s->blocks->inner; i++) {
            const float *p =
                s->partial + o * s->blocks->outer_step + i * s->blocks->inner_step + c0;
            for (size_t c = 0; c < c1 - c0; c++)
                sum[c] += p[c];
        }
    }
    for (size_t c = c0; c < c1; c++)
        s->dst[c] += s->scale * sum[c - c0];
}

void vq_add_partials(const struct vq_grad *g, float *dst, size_t n, float scale,
                     const float *partial, const struct vq_partials *blocks)
{
    struct sum s = {dst, n, scale, partial, blocks};
    vq_pool_run(g->pool, (n + STRIP - 1) / STRIP, sum_task, &s);
}

static void norm_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_module_at *at = &g->at.module[j->module];
    const float *x = vq_entering(g, j->module);
    for (size_t r = task * VQ_ROWS; r < row_end(g, task); r++)
        g->vec->rms_norm(g->h + r * g->n.D, x + r * g->n.D, g->n.D, vq_p(g, at->ln_g),
                         vq_p(g, at->ln_b), 1.0f);
}

/* proj = h [Wq | Wkvg]. */
static void project(const struct job *j)
{
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[j->module];
    size_t hk = n->H * n->K, rest = n->width - hk;
    struct vq_matrix h = vq_mat(g->h, n->D);
    vq_matmul(&g->product, g->pool, g->r, hk, n->D, h, vq_mat(vq_p(g, at->q), hk), j->k->proj,
              n->width, false);
    vq_matmul(&g->product, g->pool, g->r, rest, n->D, h, vq_mat(vq_p(g, at->kvg), rest),
              j->k->proj + hk, n->width, false);
}

/* x[n] = x / rms(x) * scale; returns 1 / rms. */
static float unit_norm(const struct vq_vec *vec, float *x, size_t n, float scale)
{
    float inverse = 1.0f / sqrtf(vec->dot(x, x, n) / (float)n + 1e-6f);
    vec->scale(x, inverse * scale, n);
    return inverse;
}

/* Window codes and values of the state ahead of the update's own. */
static void lay_window(const struct job *j, size_t bh)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_train_state *s = g->u->state;
    size_t from = (j->module * n->B * n->H + g->first * n->H + bh) * n->M, to = bh * (n->M + n->U);
    memcpy(j->k->code + to, s->code + from, n->M * sizeof(*s->code));
    memcpy(j->k->value + to * n->V, s->value + from * n->V, n->M * n->V * sizeof(float));
}

struct span {
    size_t bh, b, h, i0, i1;
};

static struct span span_of(const struct job *j, size_t task)
{
    const struct vq_sizes *n = &j->g->n;
    size_t bh = task / j->tiles, i0 = task % j->tiles * VQ_QUERIES;
    size_t i1 = i0 + VQ_QUERIES < n->U ? i0 + VQ_QUERIES : n->U;
    return (struct span){bh, bh / n->H, bh % n->H, i0, i1};
}

/* Norms and values of one head's rows. */
static void activate(const struct job *j, const struct span *s)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    for (size_t i = s->i0; i < s->i1; i++) {
        size_t r = s->b * n->U + i;
        float *row = j->k->proj + r * n->width, *inverse = j->k->inverse + r * 2 * n->H;
        inverse[s->h] = unit_norm(g->vec, row + vq_q_at(n, s->h), n->K, g->key_scale);
        inverse[n->H + s->h] = unit_norm(g->vec, row + vq_k_at(n, s->h), n->K, g->key_scale);
        g->vec->silu(j->k->value + (s->bh * (n->M + n->U) + n->M + i) * n->V,
                     row + vq_v_at(n, s->h), n->V);
    }
}

/* Sum over counted rows of |k - k^|^2; diff: K floats of scratch. */
static double commitment(const struct job *j, const struct span *s, const int32_t *code,
                         float *diff)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    double sum = 0.0;
    for (size_t i = s->i0; i < s->i1; i++) {
        size_t r = s->b * n->U + i, z = (size_t)code[i - s->i0];
        memcpy(diff, j->k->proj + r * n->width + vq_k_at(n, s->h), n->K * sizeof(float));
        g->vec->axpy(diff, -1.0f, g->prepared[j->module].C + (s->h * n->S + z) * n->K, n->K);
        sum += (double)(g->mask[r] * g->vec->dot(diff, diff, n->K));
    }
    return sum;
}

static void quantise_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[j->module];
    struct span s = span_of(j, task);
    int32_t *code = j->k->code + s.bh * (n->M + n->U) + n->M + s.i0;
    float *dots = g->tile[worker].content;
    if (s.i0 == 0)
        lay_window(j, s.bh);
    activate(j, &s);
    vq_matmul_serial(
        &g->exact, s.i1 - s.i0, n->S, n->K,
        vq_mat(j->k->proj + (s.b * n->U + s.i0) * n->width + vq_k_at(n, s.h), n->width),
        vq_mat_t(w->C + s.h * n->S * n->K, n->K), dots, n->S, false);
    for (size_t i = 0; i < s.i1 - s.i0; i++)
        code[i] = (int32_t)g->vec->nearest(dots + i * n->S, w->norm2 + s.h * n->S, n->S);
    if (j->forward)
        g->partial_sum[task] = commitment(j, &s, code, g->tile[worker].dqu);
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
                    j->k->code + bh * (n->M + n->U) + n->M + p * n->L, n->L,
                    g->prepared[j->module].C + h * n->S * n->K, n->K, NULL);
}

/* Everything up to attention. */
static void before_attention(struct job *j, double *commit)
{
    struct vq_grad *g = j->g;
    size_t tasks = g->b * g->n.H * j->tiles;
    vq_pool_run(g->pool, row_tasks(g), norm_task, j);
    project(j);
    vq_pool_run(g->pool, tasks, quantise_task, j);
    for (size_t i = 0; j->forward && i < tasks; i++)
        *commit += g->partial_sum[i];
    vq_aggregate(g, j->module);
}

static bool drops(const struct vq_grad *g)
{
    return vq_rate(g, g->config.p_dropres) > 0.0 || vq_rate(g, g->config.p_droplyr) > 0.0;
}

/* LayerDrop of this module for each sequence of the pass. */
static void draw_factors(struct vq_grad *g, size_t module)
{
    for (size_t b = 0; b < g->b; b++) {
        struct vq_drop d = vq_drop_of(g, VQ_DROP_LYR, module, g->first + b, 0);
        g->factor[b] = vq_drop_factor(vq_rate(g, g->config.p_droplyr), &d);
    }
}

/* dst = src under the masks of row r. */
static void drop_result(const struct vq_grad *g, size_t module, size_t r, float *dst,
                        const float *src)
{
    size_t b = r / g->n.U, i = r % g->n.U;
    uint64_t at = (uint64_t)g->u->state->position + i;
    struct vq_drop d = vq_drop_of(g, VQ_DROP_RES, module, g->first + b, at);
    vq_drop_row(dst, src, g->n.D, vq_rate(g, g->config.p_dropres), &d);
    g->vec->scale(dst, g->factor[b], g->n.D);
}

static void residual_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    size_t D = g->n.D;
    const float *x = vq_entering(g, j->module);
    float *to = vq_entering(g, j->module + 1);
    for (size_t r = task * VQ_ROWS; r < row_end(g, task); r++) {
        float *branch = g->branch + r * D;
        if (drops(g))
            drop_result(g, j->module, r, branch, branch);
        memcpy(to + r * D, x + r * D, D * sizeof(float));
        g->vec->add(to + r * D, branch, D);
    }
}

void vq_module_forward(struct vq_grad *g, size_t module, double *commit)
{
    const struct vq_sizes *n = &g->n;
    struct job j = job_of(g, module, true);
    size_t hv = n->H * n->V;
    before_attention(&j, commit);
    if (g->u->metrics)
        vq_pool_run(g->pool, g->b * n->H * n->P, metrics_task, &j);
    vq_attend(g, module);
    vq_matmul(&g->product, g->pool, g->r, n->D, hv, vq_mat(g->y, hv),
              vq_mat(vq_p(g, g->at.module[module].res), n->D), g->branch, n->D, false);
    draw_factors(g, module);
    vq_pool_run(g->pool, row_tasks(g), residual_task, &j);
}

static void drop_grad_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    for (size_t r = task * VQ_ROWS; r < row_end(g, task); r++)
        drop_result(g, j->module, r, g->branch + r * g->n.D, g->dx + r * g->n.D);
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
        size_t z = (size_t)j->k->code[(b * n->H + h) * (n->M + n->U) + n->M + i];
        const float *k = j->k->proj + r * n->width + vq_k_at(n, h) + c0;
        for (size_t c = 0; c < cols; c++)
            sum[z * n->K + c] += g->mask[r] * k[c];
        if (c0 == 0)
            count[z] += g->mask[r];
    }
}

/* Gradients of one head's keys, commitment included, and values, as projected. */
static void key_value_task(void *ud, size_t task, int worker)
{
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    struct span s = span_of(j, task);
    float *dk = g->tile[worker].dqu;
    float pull = (float)(2.0 * g->config.c_beta / (double)(n->B * n->U));
    for (size_t i = s.i0; i < s.i1; i++) {
        size_t r = s.b * n->U + i, z = (size_t)j->k->code[s.bh * (n->M + n->U) + n->M + i];
        float *row = j->k->proj + r * n->width, *k = row + vq_k_at(n, s.h);
        float *v = row + vq_v_at(n, s.h), w = pull * g->mask[r];
        const float *c = g->prepared[j->module].C + (s.h * n->S + z) * n->K;
        const float *through = g->dkey + (s.bh * n->U + i) * n->K;
        memcpy(dk, through, n->K * sizeof(float));
        g->vec->axpy(dk, w, k, n->K);
        g->vec->axpy(dk, -w, c, n->K);
        g->gvec->unit_norm(k, dk, k, n->K, g->key_scale, j->k->inverse[r * 2 * n->H + n->H + s.h]);
        g->gvec->silu(v, g->dvalue + (s.bh * n->U + i) * n->V, v, n->V);
    }
}

/* dW += h^T dproj and dh = dproj W^T, for Wq and Wkvg. */
static void project_grad(const struct job *j)
{
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[j->module];
    size_t hk = n->H * n->K, rest = n->width - hk;
    struct vq_matrix ht = vq_mat_t(g->h, n->D);
    struct vq_matrix dq = vq_mat(j->k->proj, n->width), dkvg = vq_mat(j->k->proj + hk, n->width);
    vq_matmul(&g->product, g->pool, n->D, hk, g->r, ht, dq, vq_d(g, at->q), hk, true);
    vq_matmul(&g->product, g->pool, n->D, rest, g->r, ht, dkvg, vq_d(g, at->kvg), rest, true);
    vq_matmul(&g->product, g->pool, g->r, n->D, hk, dq, vq_mat_t(vq_p(g, at->q), hk), g->dh, n->D,
              false);
    vq_matmul(&g->product, g->pool, g->r, n->D, rest, dkvg, vq_mat_t(vq_p(g, at->kvg), rest), g->dh,
              n->D, true);
}

static void norm_grad_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    size_t D = g->n.D;
    const float *gain = vq_p(g, g->at.module[j->module].ln_g), *x = vq_entering(g, j->module);
    float *sums = g->partial + task * 2 * D;
    memset(sums, 0, 2 * D * sizeof(float));
    for (size_t r = task * VQ_ROWS; r < row_end(g, task); r++)
        g->gvec->rms_norm(g->dx + r * D, g->dh + r * D, x + r * D, D, gain, sums, sums + D);
}

void vq_module_grad(struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    struct job j = job_of(g, module, false);
    const struct vq_module_at *at = &g->at.module[module];
    size_t hv = n->H * n->V, strips = (n->K + KEY_STRIP - 1) / KEY_STRIP;
    const float *dbranch = g->dx;
    if (n->kept == 1)
        before_attention(&j, NULL);
    else
        vq_pool_run(g->pool, row_tasks(g), norm_task, &j);
    if (drops(g)) {
        draw_factors(g, module);
        vq_pool_run(g->pool, row_tasks(g), drop_grad_task, &j);
        dbranch = g->branch;
    }
    vq_matmul(&g->product, g->pool, g->r, hv, n->D, vq_mat(dbranch, n->D),
              vq_mat_t(vq_p(g, at->res), n->D), g->y, hv, false);
    vq_attend_grad(g, module);
    vq_aggregate_grad(g, module);
    vq_module_commit(g, module);
    vq_matmul(&g->product, g->pool, hv, n->D, g->r, vq_mat_t(j.k->o, hv), vq_mat(dbranch, n->D),
              vq_d(g, at->res), n->D, true);
    vq_pool_run(g->pool, n->H * strips, code_sum_task, &j);
    vq_pool_run(g->pool, g->b * n->H * j.tiles, key_value_task, &j);
    project_grad(&j);
    vq_pool_run(g->pool, row_tasks(g), norm_grad_task, &j);
    const struct vq_partials blocks = {1, 0, row_tasks(g), 2 * n->D};
    vq_add_partials(g, vq_d(g, at->ln_g), n->D, 1.0f, g->partial, &blocks);
    vq_add_partials(g, vq_d(g, at->ln_b), n->D, 1.0f, g->partial + n->D, &blocks);
}

/* Keys of the window: those that stay move up, the update's own are rows of the codebook. */
static void commit_keys(const struct job *j, size_t bh, const int32_t *code, float *key)
{
    const struct vq_sizes *n = &j->g->n;
    const float *C = j->g->prepared[j->module].C + bh % n->H * n->S * n->K;
    size_t stay = n->U < n->M ? n->M - n->U : 0;
    memmove(key, key + n->U * n->K, stay * n->K * sizeof(*key));
    for (size_t i = stay; i < n->M; i++)
        memcpy(key + i * n->K, C + (size_t)code[i] * n->K, n->K * sizeof(*key));
}

static void commit_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    struct vq_train_state *s = g->u->state;
    size_t to = j->module * n->B * n->H + g->first * n->H + bh, from = bh * (n->M + n->U) + n->U;
    memcpy(s->code + to * n->M, j->k->code + from, n->M * sizeof(*s->code));
    memcpy(s->value + to * n->M * n->V, j->k->value + from * n->V, n->M * n->V * sizeof(float));
    commit_keys(j, bh, s->code + to * n->M, s->key + to * n->M * n->K);
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
    vq_pool_run(g->pool, g->b * g->n.H, commit_task, &j);
}
