/*
 * The aggregate before each block: per head and code how many keys have left the window, and the
 * mean of their values. From block p to p + 1 it takes in the places from p's first key up to
 * p + 1's; a mean moves as mean' = mean n/n' + sum(values)/n'.
 *
 * Backward, with D the gradient of the means before block p: D_p = own_p + D_(p+1) n_p/n_(p+1), and
 * a value that entered for block p gets D_p / n_p of its code. The next span says what D_P is, and
 * D_0 is handed to the one before.
 */
#include <math.h>
#include <string.h>

#include "core/train/grad_private.h"

#define STRIP 64 /* columns of the means in one task; a multiple of VQ_PANEL */

struct job {
    struct vq_grad *g;
    struct vq_kept *k;
    size_t module, strips;
    bool mixes; /* means are wanted as right sides, for weights to mix */
};

static size_t slot(const struct vq_grad *g, size_t bh, size_t p)
{
    return (bh * (g->n.P + 1) + p) * g->n.S;
}

/* Places that enter the aggregate from block p to the next: vq_first_key(p) up to this. */
static size_t leaves_before(const struct vq_grad *g, size_t p)
{
    return g->n.F - g->n.M + (p + 1) * g->n.L;
}

/* log n of the codes, -inf for empty ones. */
static void log_counts(const struct job *j, size_t bh)
{
    size_t begin = slot(j->g, bh, 0), end = slot(j->g, bh + 1, 0);
    for (size_t i = begin; i < end; i++)
        j->k->log_count[i] = j->k->count[i] > 0 ? logf((float)j->k->count[i]) : -INFINITY;
}

static void count_task(void *ud, size_t bh, int worker)
{
    (void)worker;
    const struct job *j = ud;
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const int64_t *before =
        g->state->count + (j->module * n->B * n->H + g->first * n->H + bh) * n->S;
    const int32_t *code = j->k->code + vq_place(n, bh);
    int32_t *count = j->k->count + slot(g, bh, 0);
    for (size_t s = 0; s < n->S; s++)
        count[s] = (int32_t)before[s];
    for (size_t p = 0; p < n->P; p++, count += n->S) {
        memcpy(count + n->S, count, n->S * sizeof(*count));
        for (size_t i = vq_first_key(g, p); i < leaves_before(g, p); i++)
            count[n->S + (size_t)code[i]]++;
    }
    log_counts(j, bh);
}

/* The means of one strip before block p, as a right side. */
static void pack(const struct job *j, size_t bh, size_t p, size_t c0, size_t cols)
{
    const struct vq_sizes *n = &j->g->n;
    struct vq_packed means = vq_means(j->g, bh, p);
    struct vq_packed part = vq_packed_part(&means, 0, n->S, c0, cols);
    vq_matmul_pack(&part, vq_mat(j->k->mean + slot(j->g, bh, p) * n->V + c0, n->V));
}

/* The means of one strip before block p + 1 from those before block p. */
static void step(const struct job *j, size_t bh, size_t p, size_t c0, size_t cols)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const int32_t *code = j->k->code + vq_place(n, bh);
    const int32_t *count = j->k->count + slot(g, bh, p), *next = count + n->S;
    const float *mean = j->k->mean + slot(g, bh, p) * n->V + c0;
    float *to = j->k->mean + slot(g, bh, p + 1) * n->V + c0;
    for (size_t s = 0; s < n->S; s++) {
        memcpy(to + s * n->V, mean + s * n->V, cols * sizeof(float));
        if (next[s] != count[s])
            g->vec->scale(to + s * n->V, (float)count[s] / (float)next[s], cols);
    }
    for (size_t i = vq_first_key(g, p); i < leaves_before(g, p); i++) {
        size_t z = (size_t)code[i];
        g->vec->axpy(to + z * n->V, 1.0f / (float)next[z],
                     j->k->value + (vq_place(n, bh) + i) * n->V + c0, cols);
    }
}

static void mean_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    size_t bh = task / j->strips, c0 = task % j->strips * STRIP;
    size_t cols = c0 + STRIP < n->V ? STRIP : n->V - c0;
    const float *before =
        g->state->mean + (j->module * n->B * n->H + g->first * n->H + bh) * n->S * n->V + c0;
    for (size_t s = 0; s < n->S; s++)
        memcpy(j->k->mean + (slot(g, bh, 0) + s) * n->V + c0, before + s * n->V,
               cols * sizeof(float));
    for (size_t p = 0; p < n->P; p++) {
        if (j->mixes)
            pack(j, bh, p, c0, cols);
        step(j, bh, p, c0, cols);
    }
}

static struct job job_of(struct vq_grad *g, size_t module)
{
    return (struct job){g, vq_kept_of(g, module), module, (g->n.V + STRIP - 1) / STRIP, false};
}

void vq_aggregate(struct vq_grad *g, size_t module, bool mixes)
{
    struct job j = job_of(g, module);
    j.mixes = mixes;
    if (!g->agg)
        return;
    vq_pool_run(g->pool, g->b * g->n.H, count_task, &j);
    vq_pool_run(g->pool, g->b * g->n.H * j.strips, mean_task, &j);
}

/* Block p's slot holds own_p, and the next one D_(p+1), if there is one; makes it D_p. */
static void step_back(const struct job *j, size_t bh, size_t p, size_t c0, size_t cols)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const int32_t *count = j->k->count + slot(g, bh, p), *next = count + n->S;
    float *d = j->k->mean + slot(g, bh, p) * n->V + c0;
    for (size_t s = 0; s < n->S; s++)
        if (count[s] > 0)
            g->vec->axpy(d + s * n->V, (float)count[s] / (float)next[s], d + (n->S + s) * n->V,
                         cols);
}

/* D_p to the values that entered for block p. */
static void hand_out(const struct job *j, size_t bh, size_t p, size_t c0, size_t cols)
{
    const struct vq_grad *g = j->g;
    const struct vq_sizes *n = &g->n;
    const int32_t *code = j->k->code + vq_place(n, bh), *count = j->k->count + slot(g, bh, p);
    const float *d = j->k->mean + slot(g, bh, p) * n->V + c0;
    size_t own = vq_first_span(g) ? n->F : n->F - n->M, i = vq_first_key(g, p - 1);
    for (i = i > own ? i : own; i < leaves_before(g, p - 1); i++) {
        size_t z = (size_t)code[i];
        g->vec->axpy(g->dvalue + (vq_place(n, bh) + i) * n->V + c0, 1.0f / (float)count[z],
                     d + z * n->V, cols);
    }
}

/* One strip of the means before block p, from the carry or to it. */
static void hand_over(const struct job *j, size_t bh, size_t p, size_t c0, size_t cols)
{
    const struct vq_sizes *n = &j->g->n;
    for (size_t s = 0; s < n->S; s++) {
        float *mean = j->k->mean + (slot(j->g, bh, p) + s) * n->V + c0;
        float *carry = j->g->carry[j->module].mean + (bh * n->S + s) * n->V + c0;
        memcpy(p ? mean : carry, p ? carry : mean, cols * sizeof(float));
    }
}

static void back_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct job *j = ud;
    const struct vq_sizes *n = &j->g->n;
    size_t bh = task / j->strips, c0 = task % j->strips * STRIP;
    size_t cols = c0 + STRIP < n->V ? STRIP : n->V - c0;
    size_t least = vq_first_span(j->g) ? 1 : 0, end = n->P + (vq_last_span(j->g) ? 0 : 1);
    int64_t start = j->g->state->position;
    for (size_t p = end; p-- > least && start + (int64_t)(p * n->L) > (int64_t)n->M;) {
        if (p == n->P)
            hand_over(j, bh, p, c0, cols);
        else if (p + 1 < end)
            step_back(j, bh, p, c0, cols);
        if (p > 0)
            hand_out(j, bh, p, c0, cols);
        else
            hand_over(j, bh, p, c0, cols);
    }
}

void vq_aggregate_grad(struct vq_grad *g, size_t module)
{
    struct job j = job_of(g, module);
    if (g->agg && g->thru)
        vq_pool_run(g->pool, g->b * g->n.H * j.strips, back_task, &j);
}
