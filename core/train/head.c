/*
 * The two ends of the model: embeddings with positions, and logits with the loss, each with its
 * gradients. Logits live a chunk of rows at a time, from product to gradient, so that a large
 * vocabulary needs no more memory than a small one.
 */
#include <string.h>

#include "core/model/sinusoid.h"
#include "core/train/grad_private.h"

#define STRIP 64 /* columns of one task that walks down rows */

static size_t row_tasks(size_t rows)
{
    return (rows + VQ_ROWS - 1) / VQ_ROWS;
}

static size_t row_end(size_t rows, size_t task)
{
    return (task + 1) * VQ_ROWS < rows ? (task + 1) * VQ_ROWS : rows;
}

static void position_task(void *ud, size_t i, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    vq_sinusoid(g->positions + i * g->n.D, g->n.D, g->frequencies,
                (double)g->state->position + (double)i);
}

static void drop_embedding(const struct vq_grad *g, float *x, size_t r)
{
    size_t b = r / g->n.U, i = r % g->n.U;
    uint64_t at = (uint64_t)g->state->position + i;
    struct vq_drop d = vq_drop_of(g, VQ_DROP_EMB, 0, g->first + b, at);
    vq_drop_row(x, x, g->n.D, vq_rate(g, g->config.p_dropemb), &d);
}

static void embed_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_grad *g = ud;
    size_t D = g->n.D;
    const float *embs = vq_p(g, g->at.embs);
    for (size_t r = task * VQ_ROWS; r < row_end(g->r, task); r++) {
        float *x = vq_entering(g, 0) + r * D;
        memcpy(x, embs + (size_t)g->inputs[r] * D, D * sizeof(float));
        if (g->config.pe_abs)
            g->vec->axpy(x, *vq_p(g, g->at.scale), g->positions + r % g->n.U * D, D);
        drop_embedding(g, x, r);
    }
}

static void lay_positions(struct vq_grad *g)
{
    if (g->config.pe_abs)
        vq_pool_run(g->pool, g->n.U, position_task, g);
}

void vq_embed(struct vq_grad *g)
{
    lay_positions(g);
    vq_pool_run(g->pool, row_tasks(g->r), embed_task, g);
}

static void embed_rows_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    size_t D = g->n.D;
    for (size_t r = task * VQ_ROWS; r < row_end(g->r, task); r++) {
        drop_embedding(g, g->dx + r * D, r);
        g->partial_sum[r] =
            g->config.pe_abs ? (double)g->vec->dot(g->dx + r * D, g->positions + r % g->n.U * D, D)
                             : 0.0;
    }
}

/* Some columns of all rows, so that rows of one token meet in a fixed order. */
static void embed_strip_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    size_t D = g->n.D, c0 = task * STRIP, cols = c0 + STRIP < D ? STRIP : D - c0;
    for (size_t r = 0; r < g->r; r++)
        g->vec->add(vq_d(g, g->at.embs) + (size_t)g->inputs[r] * D + c0, g->dx + r * D + c0, cols);
}

void vq_embed_grad(struct vq_grad *g)
{
    double scale = 0.0;
    if (g->n.spans > 1)
        lay_positions(g);
    vq_pool_run(g->pool, row_tasks(g->r), embed_rows_task, g);
    for (size_t r = 0; r < g->r; r++)
        scale += g->partial_sum[r];
    if (g->config.pe_abs)
        *vq_d(g, g->at.scale) += (float)scale;
    vq_pool_run(g->pool, (g->n.D + STRIP - 1) / STRIP, embed_strip_task, g);
}

/* A chunk of logits: rows r0.. of the pass. */
struct chunk {
    struct vq_grad *g;
    size_t r0, rows;
    const float *h; /* [rows, D] what the output matrix sees */
};

static void out_norm_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    size_t D = g->n.D;
    const float *x = vq_entering(g, g->n.modules);
    for (size_t r = task * VQ_ROWS; r < row_end(g->r, task); r++)
        g->vec->rms_norm(g->h + r * D, x + r * D, D, vq_p(g, g->at.out_ln_g),
                         vq_p(g, g->at.out_ln_b), 1.0f);
}

/* Logits become the gradient of the loss with respect to the product that made them. */
static void loss_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct chunk *c = ud;
    struct vq_grad *g = c->g;
    size_t N = g->n.N;
    float scale = (float)g->config.e_scale, each = 1.0f / (float)(g->n.B * g->n.T);
    for (size_t i = task * VQ_ROWS; i < row_end(c->rows, task); i++) {
        float *x = g->logits + i * N;
        size_t r = c->r0 + i;
        g->vec->add(x, vq_p(g, g->at.out_b), N);
        g->vec->scale(x, scale, N);
        double nll = g->gvec->cross_entropy(x, N, (size_t)g->targets[r], g->mask[r] * each * scale);
        g->partial_sum[r] = g->mask[r] > 0.0f ? nll : 0.0;
    }
}

static void bias_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct chunk *c = ud;
    struct vq_grad *g = c->g;
    size_t N = g->n.N, c0 = task * STRIP, cols = c0 + STRIP < N ? STRIP : N - c0;
    for (size_t i = 0; i < c->rows; i++)
        g->vec->add(vq_d(g, g->at.out_b) + c0, g->logits + i * N + c0, cols);
}

/* dW, the bias's gradient, and dh of the chunk into `to`. */
static void chunk_grad(struct chunk *c, float *to)
{
    struct vq_grad *g = c->g;
    size_t D = g->n.D, N = g->n.N;
    const float *W = vq_p(g, g->at.out);
    float *dW = vq_d(g, g->at.out);
    struct vq_matrix h = vq_mat(c->h, D), dl = vq_mat(g->logits, N);
    vq_pool_run(g->pool, (N + STRIP - 1) / STRIP, bias_task, c);
    if (g->config.e_tie) {
        vq_matmul(&g->product, g->pool, N, D, c->rows, vq_mat_t(g->logits, N), h, dW, D, true);
        vq_matmul(&g->product, g->pool, c->rows, D, N, dl, vq_mat(W, D), to, D, false);
    } else {
        vq_matmul(&g->product, g->pool, D, N, c->rows, vq_mat_t(c->h, D), dl, dW, N, true);
        vq_matmul(&g->product, g->pool, c->rows, D, N, dl, vq_mat_t(W, N), to, D, false);
    }
}

static void out_norm_grad_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct vq_grad *g = ud;
    size_t D = g->n.D;
    const float *x = vq_entering(g, g->n.modules);
    float *sums = g->partial + task * 2 * D;
    memset(sums, 0, 2 * D * sizeof(float));
    for (size_t r = task * VQ_ROWS; r < row_end(g->r, task); r++) {
        memset(g->dx + r * D, 0, D * sizeof(float));
        g->gvec->rms_norm(g->dx + r * D, g->branch + r * D, x + r * D, D, vq_p(g, g->at.out_ln_g),
                          sums, sums + D);
    }
}

static void out_norm_grad(struct vq_grad *g)
{
    size_t D = g->n.D;
    const struct vq_blocks blocks = {1, 0, row_tasks(g->r), 2 * D};
    const struct vq_sum sums[] = {{vq_d(g, g->at.out_ln_g), D, 1.0f, g->partial},
                                  {vq_d(g, g->at.out_ln_b), D, 1.0f, g->partial + D}};
    vq_pool_run(g->pool, row_tasks(g->r), out_norm_grad_task, g);
    vq_add_partials(g, sums, 2, &blocks);
}

double vq_head(struct vq_grad *g)
{
    size_t D = g->n.D, N = g->n.N;
    bool preln = g->config.e_preln;
    const float *h = preln ? g->h : vq_entering(g, g->n.modules);
    const float *W = vq_p(g, g->at.out);
    struct vq_matrix w = g->config.e_tie ? vq_mat_t(W, D) : vq_mat(W, N);
    double loss = 0.0;
    if (preln)
        vq_pool_run(g->pool, row_tasks(g->r), out_norm_task, g);
    for (size_t r0 = 0; r0 < g->r; r0 += g->n.logit_rows) {
        struct chunk c = {g, r0, g->r - r0 < g->n.logit_rows ? g->r - r0 : g->n.logit_rows, h};
        c.h += r0 * D;
        vq_matmul(&g->product, g->pool, c.rows, N, D, vq_mat(c.h, D), w, g->logits, N, false);
        vq_pool_run(g->pool, row_tasks(c.rows), loss_task, &c);
        if (g->u->grads)
            chunk_grad(&c, (preln ? g->branch : g->dx) + r0 * D);
    }
    for (size_t r = 0; r < g->r; r++)
        loss += g->partial_sum[r];
    if (preln && g->u->grads)
        out_norm_grad(g);
    return loss;
}
