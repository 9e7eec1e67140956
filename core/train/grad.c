/*
 * The update as a whole: passes over some of its sequences at a time, each forward to the loss and
 * back; checks before, sums and metrics after.
 */
#include "core/train/grad.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/grad_private.h"
#include "core/vocab/vocab.h"

static enum vq_status check_options(const struct vq_config *c, const struct vq_grad_options *o,
                                    struct vq_err *err)
{
    const struct {
        const char *name;
        double p;
    } rates[] = {{"p_dropemb", c->p_dropemb},
                 {"p_dropsin", c->p_dropsin},
                 {"p_dropres", c->p_dropres},
                 {"p_droplyr", c->p_droplyr}};
    enum vq_status st = vq_config_check(c, err);
    if (st)
        return st;
    if (c->update_len % c->block_len)
        return vq_fail(err, VQ_EINVAL,
                       "update_len: expected a multiple of block_len (%lld), found %lld",
                       (long long)c->block_len, (long long)c->update_len);
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
        if (!(rates[i].p >= 0.0 && rates[i].p < 1.0))
            return vq_fail(err, VQ_EINVAL, "%s: expected 0 or more, less than 1, found %g",
                           rates[i].name, rates[i].p);
    if ((unsigned)o->attention > VQ_ATTENTION_BLOCKED)
        return vq_fail(err, VQ_EINVAL, "attention: no such kind (%d)", (int)o->attention);
    if (o->batch < 1)
        return vq_fail(err, VQ_EINVAL, "batch: expected at least 1 sequence");
    if (o->rows > o->batch)
        return vq_fail(err, VQ_EINVAL,
                       "rows: expected at most the %zu sequence(s) of the batch, found %zu",
                       o->batch, o->rows);
    return VQ_OK;
}

enum vq_status vq_grad_new(struct vq_grad **out, const struct vq_config *c,
                           const struct vq_grad_options *options, struct vq_err *err)
{
    *out = NULL;
    enum vq_status st = check_options(c, options, err);
    if (st)
        return st;
    struct vq_grad *g = vq_calloc(1, sizeof(*g));
    if (!g)
        return vq_nomem(err, "training", 1, sizeof(*g));
    g->exact.gemm = options->gemm ? options->gemm : vq_gemm_default();
    g->product = g->exact;
    g->product.bf16 = !strcmp(c->dtype, "bfloat16");
    g->vec = vq_vec_default();
    g->gvec = vq_grad_vec_for(g->vec);
    g->pool = options->pool;
    g->key_scale = powf((float)c->d_k, -0.25f);
    st = vq_workspace_new(g, c, options, err);
    if (st)
        vq_grad_free(g);
    else
        *out = g;
    return st;
}

void vq_grad_free(struct vq_grad *g)
{
    if (!g)
        return;
    vq_params_free(g->layout);
    free(g->frequencies);
    free(g->memory);
    free(g);
}

const struct vq_params *vq_grad_params(const struct vq_grad *g)
{
    return g->layout;
}

const char *vq_attention_name(enum vq_attention a)
{
    static const char *const names[] = {
        [VQ_ATTENTION_CODES] = "vq",
        [VQ_ATTENTION_DENSE] = "dense",
        [VQ_ATTENTION_BLOCKED] = "blocked",
    };
    return (unsigned)a <= VQ_ATTENTION_BLOCKED ? names[a] : "unknown";
}

/* Operations of a token in one quadratic module; *again: of these, done again. */
static double square_flops(const struct vq_grad *g, double *again)
{
    const struct vq_sizes *n = &g->n;
    double D = (double)n->D, K = (double)n->K, V = (double)n->V, H = (double)n->H;
    double U = (double)n->U, near = (double)(n->M + 1);
    double keys = g->attention == VQ_ATTENTION_DENSE ? U : (U + (double)g->square.queries) / 2.0;
    double before = D * (double)n->width, weights = H * K * (keys + near), mix = H * V * keys;
    double forward = before + weights + mix + H * V * D;
    *again = weights + (n->kept == 1 ? before + weights + mix : 0.0);
    return 3.0 * forward + *again;
}

double vq_grad_flops(const struct vq_grad *g, double *again)
{
    const struct vq_sizes *n = &g->n;
    double D = (double)n->D, K = (double)n->K, V = (double)n->V, S = (double)n->S;
    double H = (double)n->H, near = (double)(n->M + 1), agg = g->agg ? S : 0.0;
    /* Single keys that a query's tile scores and mixes, on average. */
    double keys = (double)n->M + (double)(n->L + (n->L < VQ_TILE ? n->L : VQ_TILE)) / 2.0;
    double before = D * (double)n->width + H * K * S;
    double weights = H * K * (S + near), mix = H * V * (keys + agg);
    double forward = before + weights + mix + H * V * D;
    /* Each product forward has two backward; weights are always made again; the nearest code has no
     * gradient, and each score has one product into keys. */
    double codes_back = g->thru ? agg : 0.0;
    double backward = 2.0 * D * (double)n->width + 2.0 * H * V * D + weights +
                      H * V * (2.0 * keys + agg + codes_back) + H * K * (S + 2.0 * near + keys);
    double repeated = n->kept == 1 ? before + mix : 0.0, module = forward + backward + repeated;
    double tokens = (double)(n->B * n->T), modules = (double)n->modules;
    repeated += weights;
    if (vq_quadratic(g))
        module = square_flops(g, &repeated);
    if (again)
        *again = 2.0 * tokens * modules * repeated;
    return 2.0 * tokens * (modules * module + 3.0 * D * (double)n->N);
}

static enum vq_status check_update(const struct vq_grad *g, const struct vq_update *u,
                                   struct vq_err *err)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_train_state *s = u->state;
    if (s->modules != n->modules || s->B != n->B || s->H != n->H || s->M != n->M || s->S != n->S ||
        s->K != n->K || s->V != n->V || (s->count != NULL) != (g->config.agg_cache != 0))
        return vq_fail(
            err, VQ_EINVAL,
            "state: expected one of %zu modules and %zu sequences of this configuration, "
            "found %zu modules and %zu sequences of another",
            n->modules, n->B, s->modules, s->B);
    if (vq_quadratic(g) && (s->position || u->metrics || u->keys))
        return vq_fail(err, VQ_EINVAL,
                       "quadratic attention carries no state and has no codes: expected position 0 "
                       "and no metrics, found position %lld%s",
                       (long long)s->position, u->metrics || u->keys ? " and metrics" : "");
    if (s->broken)
        return vq_fail(err, VQ_EINVAL,
                       "state: an update stopped half-way; reset it or load a saved one");
    for (size_t b = 0; b < n->B; b++) {
        for (size_t t = 0; t <= n->T; t++) {
            int32_t id = t < n->T ? u->targets[b * u->stride + t] : s->last[b];
            if (id < 0 || (size_t)id >= n->N)
                return vq_fail(err, VQ_EINVAL,
                               "target %zu of sequence %zu: expected 0 to %zu, found %d", t, b,
                               n->N - 1, (int)id);
        }
    }
    return VQ_OK;
}

/* Inputs, targets and mask of one span of the pass. */
static void enter_span(struct vq_grad *g, size_t span)
{
    const struct vq_sizes *n = &g->n;
    g->span = span;
    g->state = span ? &g->after[span - 1] : g->u->state;
    vq_leaves(g)->position = g->state->position + (n->spans > 1 ? (int64_t)n->U : 0);
    for (size_t b = 0; b < g->b; b++) {
        const int32_t *target = g->u->targets + (g->first + b) * g->u->stride + span * n->U;
        size_t r = b * n->U;
        g->inputs[r] = span ? target[-1] : g->u->state->last[g->first + b];
        memcpy(g->inputs + r + 1, target, (n->U - 1) * sizeof(*target));
        memcpy(g->targets + r, target, n->U * sizeof(*target));
        for (size_t t = 0; t < n->U; t++)
            g->mask[r + t] = target[t] == VQ_PAD ? 0.0f : 1.0f;
    }
}

static enum vq_status stop(const struct vq_grad *g, struct vq_err *err)
{
    return vq_cancelled(g->u->cancel) ? vq_fail(err, VQ_ECANCELLED, "cancelled") : VQ_OK;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* Names what went bad first: a parameter, else what a module adds to the stream. */
static enum vq_status not_finite(const struct vq_grad *g, double loss, struct vq_err *err)
{
    const struct vq_param *bad = vq_params_not_finite(g->layout, g->u->params);
    if (bad)
        return vq_fail(err, VQ_ENUM, "the loss is %g: parameter %s is not finite", loss, bad->name);
    for (size_t m = 1; m <= g->n.modules; m++)
        if (!all_finite(vq_entering(g, m), g->r * g->n.D))
            return vq_fail(err, VQ_ENUM,
                           "the loss is %g: parameters are finite, but the result of layer %zu, "
                           "scanned_attn%zu is not",
                           loss, (m - 1) / 2, (m - 1) % 2 + 1);
    return vq_fail(err, VQ_ENUM, "the loss is %g: parameters are finite, but logits are not", loss);
}

static void add_metrics(const struct vq_grad *g, struct vq_update_result *out)
{
    for (size_t i = 0; i < g->b * g->n.H * g->n.P; i++)
        vq_metrics_merge(&out->quantiser, &g->metrics[i]);
}

/* The keys of a module that has just made its forward pass, for whoever revives codes. */
static void offer_keys(const struct vq_grad *g, size_t m)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_kept *k = vq_kept_of(g, m);
    uint64_t *used = g->u->used + m * n->H * n->S;
    for (size_t r = 0; r < g->r; r++) {
        if (g->mask[r] == 0.0f)
            continue;
        vq_key_sample_add(g->u->keys[m], k->proj + r * n->width + vq_k_at(n, 0), n->width, 1,
                          g->u->rng);
        const int32_t *code = k->code + vq_own_place(n, r / n->U * n->H) + r % n->U;
        for (size_t h = 0; h < n->H; h++)
            used[h * n->S + (size_t)code[vq_place(n, h)]]++;
    }
}

static enum vq_status head(struct vq_grad *g, struct vq_update_result *out, struct vq_err *err)
{
    double loss = vq_head(g);
    out->loss_lm_unscaled += loss;
    for (size_t r = 0; r < g->r; r++)
        out->counted += g->mask[r] > 0.0f;
    return isfinite(loss) ? VQ_OK : not_finite(g, loss, err);
}

static enum vq_status forward(struct vq_grad *g, struct vq_update_result *out, struct vq_err *err)
{
    vq_embed(g);
    for (size_t m = 0; m < g->n.modules; m++) {
        enum vq_status st = stop(g, err);
        if (st)
            return st;
        vq_module_forward(g, m, &out->loss_commit);
        if (g->u->metrics)
            add_metrics(g, out);
        if (g->u->keys)
            offer_keys(g, m);
        if (!g->u->grads || g->n.spans > 1)
            vq_module_commit(g, m);
    }
    return VQ_OK;
}

static enum vq_status backward(struct vq_grad *g, struct vq_err *err)
{
    for (size_t m = g->n.modules; m-- > 0;) {
        enum vq_status st = stop(g, err);
        if (st)
            return st;
        vq_module_grad(g, m);
    }
    vq_embed_grad(g);
    return VQ_OK;
}

/* Sequences first... forward and, with gradients, back. The head of a span waits until its gradient
 * is at once used. */
static enum vq_status pass(struct vq_grad *g, size_t first, struct vq_update_result *out,
                           struct vq_err *err)
{
    const struct vq_sizes *n = &g->n;
    bool grads = g->u->grads != NULL;
    enum vq_status st = VQ_OK;
    g->first = first;
    g->b = n->B - first < n->rows ? n->B - first : n->rows;
    g->r = g->b * n->U;
    for (size_t span = 0; !st && span < n->spans; span++) {
        enter_span(g, span);
        st = forward(g, out, err);
        if (!st && !grads)
            st = head(g, out, err);
    }
    for (size_t span = n->spans; !st && grads && span-- > 0;) {
        enter_span(g, span);
        st = head(g, out, err);
        if (!st)
            st = backward(g, err);
    }
    return st;
}

/* The authors' codebook metrics of all modules. */
static enum vq_status codebook_metrics(const struct vq_grad *g, struct vq_metrics *out,
                                       struct vq_err *err)
{
    const struct vq_sizes *n = &g->n;
    double *count = (double *)g->tile[0].a;
    for (size_t i = 0; i < n->modules * n->H; i++) {
        size_t m = i / n->H, h = i % n->H;
        const float *c = vq_p(g, g->at.module[m].c_count) + h * n->S;
        struct vq_counts counts;
        struct vq_geometry geometry;
        for (size_t s = 0; s < n->S; s++)
            count[s] = (double)c[s];
        enum vq_status st = vq_codebook_geometry(&geometry, g->prepared[m].C + h * n->S * n->K,
                                                 n->S, n->K, g->u->cancel, err);
        if (st)
            return st;
        vq_counts_summary(&counts, count, n->S, VQ_COUNT_CLIP);
        vq_metrics_codebook(out, &counts, &geometry);
    }
    return VQ_OK;
}

/* What the sums over the update mean. */
static void conclude(const struct vq_grad *g, struct vq_update_result *out)
{
    double positions = (double)(g->n.B * g->n.T);
    out->loss_lm_unscaled /= positions;
    out->loss_commit /= positions;
    out->loss_mask = (double)out->counted / positions;
    out->loss = out->loss_lm_unscaled + g->config.c_beta * out->loss_commit;
    struct vq_train_state *s = g->u->state;
    s->broken = false;
    if (vq_quadratic(g))
        return;
    for (size_t b = 0; b < g->n.B; b++)
        s->last[b] = g->u->targets[b * g->u->stride + g->n.T - 1];
    if (g->n.spans > 1)
        vq_train_state_copy(s, &g->after[g->n.spans - 1]);
    s->position += (int64_t)g->n.T;
}

enum vq_status vq_grad_update(struct vq_grad *g, const struct vq_update *u,
                              struct vq_update_result *out, struct vq_err *err)
{
    enum vq_status st = check_update(g, u, err);
    if (st)
        return st;
    *out = (struct vq_update_result){0};
    g->u = u;
    u->state->broken = true;
    if (u->grads)
        memset(u->grads, 0, g->layout->floats * sizeof(float));
    vq_prepare(g);
    if (u->metrics)
        st = codebook_metrics(g, &out->quantiser, err);
    for (size_t first = 0; !st && first < g->n.B; first += g->n.rows)
        st = pass(g, first, out, err);
    if (st)
        return st;
    if (u->grads)
        vq_finish(g);
    conclude(g, out);
    return VQ_OK;
}
