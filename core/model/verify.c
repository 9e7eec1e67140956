/*
 * verify: the engine's numbers against the reference's on the same tokens: logits of every
 * position, every shortcode, and the attention state that is left at the end.
 */
#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/model/reference.h"
#include "core/model/session.h"

#define TOLERANCE 1e-4

/* What the engine did, as its observer saw it. */
struct seen {
    const struct vq_config *c;
    size_t T;
    float *logits;  /* [T, N] */
    int32_t *codes; /* [modules, H, T] */
};

static void see_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct seen *s = ud;
    size_t H = (size_t)s->c->n_head, n = (size_t)b->n;
    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < n; t++)
            s->codes[((size_t)v->module * H + h) * s->T + (size_t)b->position + t] =
                v->codes[h * n + t];
}

static enum vq_status see_logits(void *ud, const struct vq_block *b, const float *logits,
                                 struct vq_err *err)
{
    struct seen *s = ud;
    size_t N = (size_t)s->c->n_vocab;
    (void)err;
    for (size_t i = 0; i < (size_t)b->n * N; i++)
        s->logits[(size_t)b->position * N + i] = logits[i];
    return VQ_OK;
}

static enum vq_status run_engine(struct seen *s, struct vq_session *session, const int32_t *tokens,
                                 const struct vq_cancel *cancel, struct vq_err *err)
{
    size_t H = (size_t)s->c->n_head, N = (size_t)s->c->n_vocab, rows;
    const struct vq_observer observer = {.ud = s, .module = see_module, .logits = see_logits};
    const struct vq_feed_options options = {.observe = &observer, .cancel = cancel};
    if (!vq_mul_ok(s->T, N, &rows))
        return vq_nomem(err, "logits to compare", s->T, N);
    s->logits = vq_alloc(rows, sizeof(*s->logits));
    s->codes = vq_alloc(vq_config_modules(s->c) * H * s->T, sizeof(*s->codes));
    if (!s->logits || !s->codes)
        return vq_nomem(err, "logits to compare", rows, sizeof(*s->logits));
    return vq_session_feed(session, tokens, s->T, s->T, &options, err);
}

/* The larger of two errors, where a NaN is the largest there is. */
static double worse(double a, double b)
{
    return isnan(b) ? INFINITY : fmax(a, b);
}

/* One array of the state: its largest difference and its largest entry. */
struct spread {
    double error, largest;
};

static void compare(struct spread *s, double found, double expected)
{
    s->error = worse(s->error, fabs(found - expected));
    s->largest = fmax(s->largest, fabs(expected));
}

static double relative(struct spread s)
{
    return s.error == 0 ? 0 : s.error / s.largest;
}

static void compare_window(struct spread *values, const struct vq_cache_view *view, size_t h,
                           size_t V, const double *expected)
{
    for (size_t t = 0; t < (size_t)view->window; t++) {
        const float *found = view->value + h * view->value_stride + t * V;
        const double *row = expected + ((size_t)view->first + t) * V;
        for (size_t d = 0; d < V; d++)
            compare(values, found[d], row[d]);
    }
}

/* Counts and mean values of the codes of positions before the window; sums is scratch [S, V]. */
static void compare_aggregate(struct spread *counts, struct spread *means,
                              const struct vq_cache_view *view, size_t h, size_t S, size_t V,
                              const int32_t *codes, const double *expected, double *sums,
                              int64_t *members)
{
    for (size_t s = 0; s < S; s++)
        members[s] = 0;
    for (size_t i = 0; i < S * V; i++)
        sums[i] = 0;
    for (int64_t j = 0; j < view->first; j++) {
        members[codes[j]]++;
        for (size_t d = 0; d < V; d++)
            sums[(size_t)codes[j] * V + d] += expected[(size_t)j * V + d];
    }
    for (size_t s = 0; s < S; s++) {
        compare(counts, (double)view->count[h * S + s], (double)members[s]);
        for (size_t d = 0; members[s] && d < V; d++)
            compare(means, view->mean[(h * S + s) * V + d], sums[s * V + d] / (double)members[s]);
    }
}

static enum vq_status compare_state(struct vq_verify_result *out, const struct vq_config *c,
                                    const struct vq_session *session, const struct vq_reference *r,
                                    struct vq_err *err)
{
    size_t H = (size_t)c->n_head, S = (size_t)c->n_code, V = (size_t)c->d_v;
    double *sums = vq_alloc(S, V * sizeof(*sums));
    int64_t *members = vq_alloc(S, sizeof(*members));
    float *room = vq_alloc_f32(vq_session_cache_floats(session));
    enum vq_status st = VQ_OK;
    if (!sums || !members || !room)
        st = vq_nomem(err, "an aggregate to compare", S, V * sizeof(*sums));
    for (size_t m = 0; !st && m < vq_config_modules(c); m++) {
        struct spread values = {0}, counts = {0}, means = {0};
        struct vq_cache_view view;
        vq_session_cache(session, (int)m, 0, room, &view);
        for (size_t h = 0; h < H; h++) {
            const double *expected = r->values + (m * H + h) * r->T * V;
            compare_window(&values, &view, h, V, expected);
            /* Without agg_cache nothing reads the aggregate. */
            if (c->agg_cache)
                compare_aggregate(&counts, &means, &view, h, S, V, r->codes + (m * H + h) * r->T,
                                  expected, sums, members);
        }
        double e = fmax(relative(values), fmax(relative(counts), relative(means)));
        out->max_rel_state_error = worse(out->max_rel_state_error, e);
    }
    free(room);
    free(members);
    free(sums);
    return st;
}

static void compare_outputs(struct vq_verify_result *out, const struct seen *s,
                            const struct vq_reference *r)
{
    size_t N = (size_t)s->c->n_vocab;
    for (size_t i = 0; i < r->T * N; i++) {
        out->max_abs_logit_error =
            worse(out->max_abs_logit_error, fabs(s->logits[i] - r->logits[i]));
    }
    for (size_t i = 0; i < vq_config_modules(s->c) * (size_t)s->c->n_head * r->T; i++)
        out->code_mismatches += s->codes[i] != r->codes[i];
}

/* Nats of `target`, given its logits. */
static double nats(const double *logits, size_t N, int32_t target)
{
    double most = logits[0], sum = 0;
    for (size_t i = 1; i < N; i++)
        most = fmax(most, logits[i]);
    for (size_t i = 0; i < N; i++)
        sum += exp(logits[i] - most);
    return log(sum) + most - logits[target];
}

/* Each token is predicted at the one before it. The reference takes its own codes except in ties,
 * so what rounded weights do to the codes counts. */
static enum vq_status compare_bits(struct vq_verify_result *out, const struct seen *s,
                                   const struct vq_reference *r, const int32_t *tokens,
                                   struct vq_err *err)
{
    size_t N = (size_t)s->c->n_vocab;
    double *logits = vq_alloc(N, sizeof(*logits)), change = 0;
    if (!logits)
        return vq_nomem(err, "logits of a token", N, sizeof(*logits));
    for (size_t t = 0; t + 1 < r->T; t++) {
        for (size_t i = 0; i < N; i++)
            logits[i] = s->logits[t * N + i];
        change += nats(logits, N, tokens[t + 1]) - nats(r->logits + t * N, N, tokens[t + 1]);
    }
    free(logits);
    out->bits_change = r->T > 1 ? change / log(2) / (double)(r->T - 1) : NAN;
    return VQ_OK;
}

enum vq_status vq_verify(struct vq_verify_result *out, const struct vq_model *m,
                         const struct vq_engine *e, const int32_t *tokens, size_t T,
                         const struct vq_cancel *cancel, struct vq_err *err)
{
    struct seen seen = {.c = vq_model_config(m), .T = T};
    struct vq_reference reference = {0};
    struct vq_session *session;
    *out = (struct vq_verify_result){.positions = T};
    enum vq_status st = vq_session_new(&session, e, 1, err);
    if (!st)
        st = run_engine(&seen, session, tokens, cancel, err);
    if (!st)
        st = vq_reference_follow(&reference, m, tokens, T, seen.codes, cancel, err);
    if (!st)
        st = compare_state(out, seen.c, session, &reference, err);
    if (!st)
        st = compare_bits(out, &seen, &reference, tokens, err);
    if (!st) {
        compare_outputs(out, &seen, &reference);
        out->passed = out->max_abs_logit_error <= TOLERANCE &&
                      out->max_rel_state_error <= TOLERANCE && !out->code_mismatches;
    }
    vq_reference_release(&reference);
    vq_session_free(session);
    free(seen.logits);
    free(seen.codes);
    return st;
}
