/*
 * Pictures of what happens inside the forward pass, and of what comes out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/stream.h"
#include "core/inspect/surprise.h"
#include "core/kernels/vec.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/probing.h"
#include "repl/query.h"
#include "repl/surprising.h"
#include "repl/tokens.h"

#define BITS (1.0 / 0.69314718055994530942)

/* A token's name under a bar. */
static const char *label_of(const struct sh_plotting *p, int32_t id, char *buf, size_t len)
{
    vq_vocab_piece(vq_model_vocab(p->m->model), id, buf, len);
    return strcmp(buf, " ") == 0 ? "space" : buf;
}

/* ---- next tokens ---- */

enum { MOST = 64 };

enum vq_status sh_draw_next(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t n = (size_t)vq_model_config(p->m->model)->n_vocab, best[MOST];
    size_t k = (size_t)sh_opt_int(p->a, "k") < n ? (size_t)sh_opt_int(p->a, "k") : n;
    const struct vq_session *s = sh_model_session(p->sh, p->m, err);
    const float *logits = s ? vq_session_logits(s) : NULL;
    char pieces[MOST][64];
    const char *labels[MOST];
    float bars[MOST], *lp;
    if (!logits)
        return s ? vq_fail(err, VQ_ENOTFOUND, "nothing was fed yet: feed a text first") : err->code;
    if (!(lp = vq_alloc_f32(n)))
        return vq_nomem(err, "probabilities", n, sizeof(*lp));
    memcpy(lp, logits, n * sizeof(*lp));
    vq_vec_default()->log_softmax(lp, n);
    vq_largest(best, k, lp, n);
    for (size_t i = 0; i < k; i++) {
        bars[i] = expf(lp[best[i]]);
        labels[i] = label_of(p, (int32_t)best[i], pieces[i], sizeof(pieces[i]));
    }
    free(lp);
    p->heads.n = 0;
    sh_plot_title(p, "Next token");
    sh_plot_subtitle(p, "after position %lld", (long long)vq_session_position(s) - 1);
    p->chart.ylabel = "probability";
    return viz_plot_bars(out, &p->chart, viz_f32(bars, k), labels, err);
}

/* ---- the residual stream ---- */

/* Means over the tokens, after the embedding and each module. *s is the caller's to free. */
static enum vq_status run_stream(struct sh_plotting *p, struct vq_stream **s, size_t *tokens,
                                 struct vq_err *err)
{
    struct sh_tokens t;
    const struct vq_stream_options o = {0};
    *s = NULL;
    enum sh_rc rc = sh_tokens_pick(p->sh, p->a, p->m, SH_AS_FED, &t);
    if (rc != SH_OK)
        return sh_plot_said(p, rc, err);
    rc = sh_tokens_row(p->sh, p->a, &t);
    enum vq_status status = rc == SH_OK ? vq_stream_new(s, vq_model_config(p->m->model), &o, err)
                                        : sh_plot_said(p, rc, err);
    if (status == VQ_OK)
        status = sh_tokens_run(p->sh, p->m, &t, vq_stream_observer(*s), err);
    *tokens = t.over.cols;
    sh_tokens_release(&t);
    return status;
}

enum vq_status sh_draw_stream(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t n = vq_config_modules(vq_model_config(p->m->model)) + 1, tokens = 0;
    struct vq_stream *s;
    double *y = vq_alloc(3 * n, sizeof(*y)); /* streams, branches, places */
    enum vq_status status =
        y ? run_stream(p, &s, &tokens, err) : vq_nomem(err, "norms", 3 * n, sizeof(*y));
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        y[i] = vq_stream_mean(s, i).stream;
        y[n + i] = vq_stream_mean(s, i).branch;
        y[2 * n + i] = (double)i;
    }
    const struct viz_series series[] = {
        {.name = "stream", .y = viz_f64(y, n)},
        {.name = "what the module adds",
         .x = viz_f64(y + 2 * n + 1, n - 1),
         .y = viz_f64(y + n + 1, n - 1)}}; /* the embedding adds nothing */
    p->heads.n = 0;
    sh_plot_title(p, "Residual stream");
    sh_plot_subtitle(p, "mean length over %zu tokens; 0 is the embedding, then modules in order",
                     tokens);
    p->chart.xlabel = "modules passed";
    p->chart.ylabel = "length";
    if (status == VQ_OK)
        status = viz_plot_lines(out, &p->chart, series, 2, err);
    if (y)
        vq_stream_free(s);
    free(y);
    return status;
}

/* Each module once: what is said of it is not of one head. */
static void keep_modules(struct sh_heads *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        if (n == 0 || h->v[n - 1].module != h->v[i].module)
            h->v[n++] = (struct sh_mod){h->v[i].module, -1};
    h->n = n;
}

enum vq_status sh_draw_gates(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    keep_modules(&p->heads);
    size_t n = p->heads.n, tokens = 0;
    struct vq_stream *s;
    float *v = vq_alloc_f32(n);
    enum vq_status status =
        v ? run_stream(p, &s, &tokens, err) : vq_nomem(err, "gates", n, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        v[i] = (float)vq_stream_mean(s, (size_t)p->heads.v[i].module + 1).closed;
    sh_plot_title(p, "Closed gates");
    sh_plot_subtitle(p, "part of all gates with |g| < 0.01, over %zu tokens", tokens);
    if (status == VQ_OK)
        status = sh_plot_over_heads(p, v, "part that is closed", out, err);
    if (v)
        vq_stream_free(s);
    free(v);
    return status;
}

/* ---- the logit lens ---- */

/* Probabilities of the token that came next, [rows, positions]; of the likeliest in the end where
 * none did. */
static enum vq_status follow(const struct sh_probing *q, float *v, struct vq_err *err)
{
    size_t n = (size_t)(q->to - q->from + 1), N = q->N, best;
    float *lp = vq_alloc_f32(q->rows * N);
    enum vq_status status = lp ? VQ_OK : vq_nomem(err, "log-probabilities", q->rows, N);
    for (size_t t = 0; status == VQ_OK && t < n; t++) {
        int64_t at = q->from + (int64_t)t;
        int32_t token = sh_probe_next(q, at);
        status = sh_probe_lens(q, at, lp, err);
        if (status != VQ_OK)
            break;
        vq_largest(&best, 1, lp + (q->rows - 1) * N, N);
        for (size_t i = 0; i < q->rows; i++)
            v[i * n + t] = expf(lp[i * N + (token >= 0 ? (size_t)token : best)]);
    }
    free(lp);
    return status;
}

static enum vq_status draw_lens(struct sh_plotting *p, const struct sh_probing *q,
                                struct viz_canvas **out, struct vq_err *err)
{
    size_t n = (size_t)(q->to - q->from + 1);
    float *v = vq_alloc_f32(q->rows * n);
    char(*names)[32] = vq_alloc(q->rows, sizeof(*names));
    const char **labels = vq_alloc(q->rows, sizeof(*labels));
    enum vq_status status =
        v && names && labels ? follow(q, v, err) : vq_nomem(err, "lenses", q->rows * n, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < q->rows; i++)
        labels[i] = sh_probe_row(i, names[i]);
    const struct viz_matrix matrix = {.v = viz_f32(v, q->rows * n),
                                      .rows = q->rows,
                                      .cols = n,
                                      .row_names = labels,
                                      .x0 = (double)q->from};
    p->chart.xlabel = "position";
    p->chart.ylabel = "after";
    p->chart.zlabel = "probability";
    if (status == VQ_OK)
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    free(v);
    free(names);
    free(labels);
    return status;
}

enum vq_status sh_draw_lens(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_probing q = {.sh = p->sh, .m = p->m};
    enum sh_rc rc =
        sh_probe(&q, p->a, sh_opt_given(p->a, "span") ? sh_opt_text(p->a, "span") : NULL);
    enum vq_status status = rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
    p->heads.n = 0;
    sh_plot_title(p, "Logit lens");
    sh_plot_subtitle(p, "probability of the token that came next, were the stream read out there");
    if (status == VQ_OK)
        status = draw_lens(p, &q, out, err);
    sh_probe_release(&q);
    return status;
}

/* ---- attribution ---- */

static enum vq_status draw_parts(struct sh_plotting *p, const struct sh_probing *q,
                                 struct viz_canvas **out, struct vq_err *err)
{
    size_t n = q->rows + 1, best;
    float *parts = vq_alloc_f32(n * q->N), *lp = vq_alloc_f32(q->rows * q->N);
    float *bars = vq_alloc_f32(n);
    char(*names)[32] = vq_alloc(n, sizeof(*names)), text[128], piece[64];
    const char **labels = vq_alloc(n, sizeof(*labels));
    enum vq_status status = parts && lp && bars && names && labels
                                ? sh_probe_parts(q, q->from, parts, err)
                                : vq_nomem(err, "contributions", n, q->N * sizeof(*parts));
    if (status == VQ_OK)
        status = sh_probe_lens(q, q->from, lp, err);
    if (status == VQ_OK) {
        vq_largest(&best, 1, lp + (q->rows - 1) * q->N, q->N);
        for (size_t i = 0; i < n; i++) {
            bars[i] = parts[i * q->N + best];
            labels[i] = i + 1 == n ? "bias" : sh_probe_row(i, names[i]);
        }
        snprintf(text, sizeof(text), "What adds to the logit of '%s'",
                 label_of(p, (int32_t)best, piece, sizeof(piece)));
        sh_plot_title(p, text);
        sh_plot_subtitle(p, "after position %lld, the likeliest token%s", (long long)q->from,
                         vq_model_config(p->m->model)->e_preln ? "; rms factor of out_ln fixed"
                                                               : "");
        p->chart.ylabel = "contribution";
        status = viz_plot_bars(out, &p->chart, viz_f32(bars, n), labels, err);
    }
    free(parts);
    free(lp);
    free(bars);
    free(names);
    free(labels);
    return status;
}

enum vq_status sh_draw_attribute(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_probing q = {.sh = p->sh, .m = p->m};
    enum sh_rc rc = sh_probe(&q, p->a, NULL);
    enum vq_status status = rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
    p->heads.n = 0;
    if (status == VQ_OK)
        status = draw_parts(p, &q, out, err);
    sh_probe_release(&q);
    return status;
}

/* ---- surprise ---- */

static enum vq_status draw_surprise(struct sh_plotting *p, const struct sh_surprising *s,
                                    struct viz_canvas **out, struct vq_err *err)
{
    double *x = vq_alloc(s->n, sizeof(*x)), *y = vq_alloc(2 * s->n, sizeof(*y)), sum = 0.0;
    if (!x || !y) {
        free(x);
        free(y);
        return vq_nomem(err, "bits", 2 * s->n, sizeof(*y));
    }
    for (size_t i = 0; i < s->n; i++) {
        x[i] = (double)s->first + (double)i;
        y[i] = s->v[i].nats * BITS;
        y[s->n + i] = s->v[i].entropy * BITS;
        sum += y[i];
    }
    const struct viz_series series[] = {
        {.name = "bits of the token", .x = viz_f64(x, s->n), .y = viz_f64(y, s->n)},
        {.name = "bits expected", .x = viz_f64(x, s->n), .y = viz_f64(y + s->n, s->n)}};
    sh_plot_subtitle(p, "%.4f bits per token over %zu tokens", sum / (double)s->n, s->n);
    p->chart.xlabel = "position";
    p->chart.ylabel = "bits";
    enum vq_status status = viz_plot_lines(out, &p->chart, series, 2, err);
    free(x);
    free(y);
    return status;
}

enum vq_status sh_draw_surprise(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    if (vq_vocab_is_image(vq_model_vocab(p->m->model)))
        return sh_draw_bits(p, out, err);
    struct sh_surprising s = {.sh = p->sh, .m = p->m};
    enum sh_rc rc = sh_surprise(&s, p->a, NULL);
    enum vq_status status = rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
    p->heads.n = 0;
    sh_plot_title(p, "Surprise");
    if (status == VQ_OK)
        status = draw_surprise(p, &s, out, err);
    sh_surprise_release(&s);
    return status;
}

/* ---- two models on one text ---- */

/* Bits that the other model loses or gains, token by token. */
static enum vq_status draw_changes(struct sh_plotting *p, const struct sh_surprising *a,
                                   const struct sh_surprising *b, struct viz_canvas **out,
                                   struct vq_err *err)
{
    double *x = vq_alloc(2 * a->n, sizeof(*x)), *y = x + a->n, sum = 0.0;
    if (!x)
        return vq_nomem(err, "changes", 2 * a->n, sizeof(*x));
    for (size_t i = 0; i < a->n; i++) {
        x[i] = (double)a->first + (double)i;
        y[i] = (a->v[i].nats - b->v[i].nats) * BITS;
        sum += y[i];
    }
    const struct viz_series series = {.x = viz_f64(x, a->n), .y = viz_f64(y, a->n)};
    sh_plot_subtitle(p, "bits that %s knows better; mean %.4f over %zu tokens", b->m->name,
                     sum / (double)a->n, a->n);
    p->chart.xlabel = "position";
    p->chart.ylabel = "bits";
    enum vq_status status = viz_plot_lines(out, &p->chart, &series, 1, err);
    free(x);
    return status;
}

enum vq_status sh_draw_compare(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    const char *name = sh_opt_text(p->a, "against");
    struct sh_model *other = name ? sh_model_find(p->sh, name) : NULL;
    struct sh_surprising a = {.sh = p->sh, .m = p->m}, b = {.sh = p->sh, .m = other};
    if (!other)
        return vq_fail(err, VQ_EINVAL, "with which model? --against names one that is loaded");
    if (!sh_input_given(p->a))
        return vq_fail(err, VQ_EINVAL, "on which text? give --text, --file or --tokens");
    if (vq_model_config(other->model)->n_vocab != vq_model_config(p->m->model)->n_vocab)
        return vq_fail(err, VQ_ESHAPE, "%s has another vocabulary", name);
    enum sh_rc rc = sh_surprise(&a, p->a, NULL);
    if (rc == SH_OK)
        rc = sh_surprise(&b, p->a, NULL);
    enum vq_status status = rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
    if (status == VQ_OK && a.n != b.n)
        status = vq_fail(err, VQ_ESHAPE, "the vocabularies cut the text into %zu and %zu tokens",
                         a.n, b.n);
    p->heads.n = 0;
    sh_plot_title(p, "Where two models disagree");
    if (status == VQ_OK)
        status = draw_changes(p, &a, &b, out, err);
    sh_surprise_release(&a);
    sh_surprise_release(&b);
    return status;
}
