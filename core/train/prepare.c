/*
 * What depends on weights alone, made once for all passes of an update: codebooks with their norms,
 * R[delta] = drop(sin_emb(delta)) Wr s, the biases u and v times s; and, after the last pass, what
 * the sums over passes mean for c_sum, c_count and Wr.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

#define COUNT_FLOOR 0.01f

/* Codes of one head. */
static void prepare_codes(const struct vq_grad *g, const struct vq_prepared *w,
                          const struct vq_module_at *at, size_t h)
{
    const struct vq_sizes *n = &g->n;
    const float *sum = vq_p(g, at->c_sum), *count = vq_p(g, at->c_count);
    for (size_t s = h * n->S; s < (h + 1) * n->S; s++) {
        float *c = w->C + s * n->K, floor = count[s] > COUNT_FLOOR ? count[s] : COUNT_FLOOR;
        double norm2 = 0.0;
        for (size_t k = 0; k < n->K; k++) {
            c[k] = sum[s * n->K + k] / floor;
            norm2 += (double)c[k] * c[k];
        }
        w->norm2[s] = (float)norm2;
    }
}

static void prepare_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_grad *g = ud;
    const struct vq_sizes *n = &g->n;
    const struct vq_prepared *w = &g->prepared[task];
    const struct vq_module_at *at = &g->at.module[task];
    for (size_t h = 0; h < n->H; h++)
        prepare_codes(g, w, at, h);
    for (size_t i = 0; i < n->H * n->K; i++) {
        w->u[i] = vq_p(g, at->u)[i] * g->key_scale;
        w->v[i] = vq_p(g, at->v)[i] * g->key_scale;
    }
    memset(w->dR, 0, n->H * (n->M + 1) * n->K * sizeof(float));
    memset(w->sum, 0, n->H * n->S * n->K * sizeof(float));
    memset(w->count, 0, n->H * n->S * sizeof(float));
}

/* The sinusoids of a module under its mask, which belongs to the sequence, not to its rows. */
struct masked {
    const struct vq_grad *g;
    size_t module;
};

static void mask_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct masked *m = ud;
    const struct vq_grad *g = m->g;
    struct vq_drop d = vq_drop_of(g, VQ_DROP_SIN, m->module, 0, g->n.M - task);
    vq_drop_row(g->dropped + task * g->n.D, g->sinusoid + task * g->n.D, g->n.D,
                vq_rate(g, g->config.p_dropsin), &d);
}

static const float *masked_sinusoids(const struct vq_grad *g, size_t module)
{
    struct masked m = {g, module};
    if (vq_rate(g, g->config.p_dropsin) <= 0.0)
        return g->sinusoid;
    vq_pool_run(g->pool, g->n.M + 1, mask_task, &m);
    return g->dropped;
}

/* Heads side by side, as Wr has them, against heads one after the other. */
static void deal_heads(const struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    for (size_t h = 0; h < n->H; h++) {
        for (size_t m = 0; m <= n->M; m++) {
            float *R = g->prepared[module].R + (h * (n->M + 1) + m) * n->K;
            const float *from = g->dropped_R + (m * n->H + h) * n->K;
            for (size_t k = 0; k < n->K; k++)
                R[k] = from[k] * g->key_scale;
        }
    }
}

static void gather_heads(const struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    for (size_t h = 0; h < n->H; h++) {
        for (size_t m = 0; m <= n->M; m++) {
            const float *dR = g->prepared[module].dR + (h * (n->M + 1) + m) * n->K;
            float *to = g->dropped_R + (m * n->H + h) * n->K;
            for (size_t k = 0; k < n->K; k++)
                to[k] = dR[k] * g->key_scale;
        }
    }
}

void vq_prepare(struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    vq_pool_run(g->pool, n->modules, prepare_task, g);
    for (size_t i = 0; i < n->modules; i++) {
        const float *sin = masked_sinusoids(g, i);
        vq_matmul(&g->exact, g->pool, n->M + 1, n->H * n->K, n->D, vq_mat(sin, n->D),
                  vq_mat(vq_p(g, g->at.module[i].r), n->H * n->K), g->dropped_R, n->H * n->K,
                  false);
        deal_heads(g, i);
    }
}

/* grad = value - target with target = (1 - gamma) sum + gamma value, averaged over blocks. */
static void finish_codes(const struct vq_grad *g, size_t module)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_module_at *at = &g->at.module[module];
    const struct vq_prepared *w = &g->prepared[module];
    const float *sum = vq_p(g, at->c_sum), *count = vq_p(g, at->c_count);
    float rate = (float)(1.0 - g->config.c_gamma);
    for (size_t i = 0; i < n->H * n->S * n->K; i++)
        vq_d(g, at->c_sum)[i] = rate * (sum[i] - w->sum[i]);
    for (size_t i = 0; i < n->H * n->S; i++)
        vq_d(g, at->c_count)[i] = rate * (count[i] - w->count[i]);
}

void vq_finish(struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    for (size_t i = 0; i < n->modules; i++) {
        const float *sin = masked_sinusoids(g, i);
        gather_heads(g, i);
        vq_matmul(&g->exact, g->pool, n->D, n->H * n->K, n->M + 1, vq_mat_t(sin, n->D),
                  vq_mat(g->dropped_R, n->H * n->K), vq_d(g, g->at.module[i].r), n->H * n->K,
                  false);
        if (!vq_quadratic(g))
            finish_codes(g, i);
    }
}
