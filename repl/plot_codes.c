/*
 * Pictures of codebooks and codes: how they are used, how they lie, what falls on them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/codebook.h"
#include "core/inspect/drift.h"
#include "core/inspect/members.h"
#include "core/inspect/pca.h"
#include "core/inspect/usage.h"
#include "repl/codebook_views.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/tokens.h"
#include "repl/tracked.h"

static size_t code_count(const struct sh_plotting *p)
{
    return (size_t)vq_model_config(p->m->model)->n_code;
}

/* ---- counts ---- */

/* Whose counts are drawn: the trace of --over or --seen, else the checkpoint's. */
struct counted {
    struct sh_codebook_view v;
    struct vq_trace *owned;
    double *count; /* [heads, S] */
};

static void release_counts(struct counted *c)
{
    vq_trace_free(c->owned);
    free(c->count);
}

static enum vq_status read_counts(struct sh_plotting *p, struct counted *c, struct vq_err *err)
{
    struct vq_trace *trace = NULL;
    struct sh_codebook book = {0};
    bool owned, seen = sh_opt_flag(p->a, "seen");
    size_t S = code_count(p), cells;
    *c = (struct counted){.v = {.sh = p->sh, .a = p->a, .m = p->m, .heads = &p->heads, .S = S}};
    enum sh_rc rc = sh_trace_pick(p->sh, p->a, p->m, &trace, &owned);
    if (rc != SH_OK)
        return sh_plot_said(p, rc, err);
    c->owned = owned ? trace : NULL;
    if (seen && !owned && !trace)
        return vq_fail(err, VQ_ENOTFOUND, "nothing was fed in this session");
    c->v.trace = owned || seen ? trace : NULL;
    c->count = vq_mul_ok(p->heads.n, S, &cells) ? vq_alloc(cells, sizeof(*c->count)) : NULL;
    enum vq_status status =
        c->count ? VQ_OK : vq_nomem(err, "counts", p->heads.n * S, sizeof(*c->count));
    for (size_t i = 0; status == VQ_OK && i < p->heads.n; i++)
        status = sh_codebook_counts(&c->v, p->heads.v[i], &book, c->count + i * S, err);
    sh_codebook_release(&book);
    return status;
}

static const char *whose(const struct counted *c)
{
    return c->owned     ? "over the tokens of --over"
           : c->v.trace ? "over the tokens fed in this session"
                        : "c_count of the checkpoint";
}

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

enum vq_status sh_draw_usage(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p), n = p->heads.n * S;
    bool sorted = sh_opt_flag(p->a, "sorted");
    struct counted c;
    float *v = NULL;
    enum vq_status status = read_counts(p, &c, err);
    if (status == VQ_OK && !(v = vq_alloc_f32(n)))
        status = vq_nomem(err, "counts", n, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        v[i] = (float)c.count[i];
    for (size_t i = 0; status == VQ_OK && sorted && i < p->heads.n; i++)
        qsort(v + i * S, S, sizeof(*v), falling);
    sh_plot_title(p, "Codebook usage");
    sh_plot_subtitle(p, "%s", whose(&c));
    if (status == VQ_OK)
        status = sh_plot_over_codes(p, v, sorted ? "count, sorted" : "count", out, err);
    release_counts(&c);
    free(v);
    return status;
}

/* ---- how evenly use is shared out ---- */

static enum vq_status draw_curves(struct sh_plotting *p, const double *share, double *x,
                                  char **names, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p), n = p->heads.n;
    static const double even[2] = {0, 1};
    struct viz_series *s = vq_calloc(n + 1, sizeof(*s));
    if (!s)
        return vq_nomem(err, "curves", n + 1, sizeof(*s));
    for (size_t i = 0; i <= S; i++)
        x[i] = (double)i / (double)S;
    for (size_t i = 0; i < n; i++)
        s[i] = (struct viz_series){.name = n <= 8 ? names[i] : NULL,
                                   .x = viz_f64(x, S + 1),
                                   .y = viz_f64(share + i * (S + 1), S + 1)};
    s[n] = (struct viz_series){
        .name = n <= 8 ? "even" : NULL, .x = viz_f64(even, 2), .y = viz_f64(even, 2)};
    enum vq_status status = viz_plot_lines(out, &p->chart, s, n + 1, err);
    free(s);
    return status;
}

enum vq_status sh_draw_lorenz(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p), n = p->heads.n;
    struct counted c;
    double *share = vq_alloc(n * (S + 1), sizeof(*share)), *x = vq_alloc(S + 1, sizeof(*x));
    char **names = sh_plot_names(p);
    double gini = 0.0;
    enum vq_status status = read_counts(p, &c, err);
    if (status == VQ_OK && (!share || !x || !names))
        status = vq_nomem(err, "curves", n, (S + 1) * sizeof(*share));
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        status = vq_lorenz(share + i * (S + 1), c.count + i * S, S, err);
        gini += status == VQ_OK ? vq_gini(share + i * (S + 1), S) / (double)n : 0.0;
    }
    sh_plot_title(p, "Share of use carried by the least used codes");
    sh_plot_subtitle(p, "%s; %sGini %.3f", whose(&c), n > 1 ? "mean " : "", gini);
    p->chart.xlabel = "share of the codes, least used first";
    p->chart.ylabel = "share of all use";
    if (status == VQ_OK)
        status = draw_curves(p, share, x, names, out, err);
    sh_plot_free_names(names, n);
    release_counts(&c);
    free(share);
    free(x);
    return status;
}

/* ---- all modules at a glance ---- */

/* Perplexities of the module-heads that are shown, in the places [layers, 2 H]; NaN elsewhere. */
static void place_perplexities(const struct sh_plotting *p, const struct counted *c, float *v)
{
    size_t S = code_count(p), H = (size_t)vq_model_config(p->m->model)->n_head;
    double clip = c->v.trace ? 0.0 : VQ_COUNT_CLIP;
    for (size_t i = 0; i < p->heads.n; i++) {
        struct sh_mod at = p->heads.v[i];
        size_t place = (size_t)at.module * H + (size_t)at.head;
        v[place] = (float)exp(vq_counts_entropy(c->count + i * S, S, clip));
    }
}

/* Names of the columns: "attn 1", or "1:0" with several heads. */
static enum vq_status name_columns(char (*buf)[48], const char **names, size_t H,
                                   struct vq_err *err)
{
    if (!buf || !names)
        return vq_nomem(err, "names", 2 * H, sizeof(*buf));
    for (size_t i = 0; i < 2 * H; i++) {
        if (H == 1)
            snprintf(buf[i], sizeof(buf[i]), "attn %zu", i + 1);
        else
            snprintf(buf[i], sizeof(buf[i]), "%zu:%zu", i / H + 1, i % H);
        names[i] = buf[i];
    }
    return VQ_OK;
}

enum vq_status sh_draw_entropy(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    const struct vq_config *cfg = vq_model_config(p->m->model);
    size_t H = (size_t)cfg->n_head, rows = (size_t)cfg->n_layer, cols = 2 * H;
    char(*buf)[48] = vq_alloc(cols, sizeof(*buf));
    const char **names = vq_alloc(cols, sizeof(*names));
    float *v = vq_alloc_f32(rows * cols);
    struct counted c;
    enum vq_status status = read_counts(p, &c, err);
    if (status == VQ_OK)
        status = name_columns(buf, names, H, err);
    if (status == VQ_OK && !v)
        status = vq_nomem(err, "perplexities", rows * cols, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < rows * cols; i++)
        v[i] = NAN;
    if (status == VQ_OK)
        place_perplexities(p, &c, v);
    sh_plot_title(p, "Codes in even use");
    sh_plot_subtitle(p, "perplexity of the codes of each module, at most %zu; %s", code_count(p),
                     whose(&c));
    p->chart.ylabel = "layer";
    p->chart.xlabel = H > 1 ? "attention:head" : NULL;
    p->chart.zlabel = "perplexity";
    const struct viz_matrix matrix = {
        .v = viz_f32(v, rows * cols), .rows = rows, .cols = cols, .col_names = names};
    if (status == VQ_OK)
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    release_counts(&c);
    free(buf);
    free(names);
    free(v);
    return status;
}

/* ---- how codes lie ---- */

/* The matrix of one codebook, rows and columns in the order that --order asks for. */
static enum vq_status sorted_matrix(struct sh_plotting *p, const float *C, size_t S, size_t K,
                                    float *sorted, struct vq_err *err)
{
    float *sim = vq_alloc_f32(S * S);
    size_t *order = vq_alloc(S, sizeof(*order));
    enum vq_status status =
        sim && order ? vq_codebook_matrix(sim, VQ_BY_COSINE, C, S, K, sh_cancel(p->sh), err)
                     : vq_nomem(err, "similarities", S * S, sizeof(*sim));
    for (size_t s = 0; status == VQ_OK && s < S; s++)
        order[s] = s;
    if (status == VQ_OK && strcmp(sh_opt_text(p->a, "order"), "cluster") == 0)
        status = vq_codebook_order(order, VQ_BY_COSINE, C, S, K, sh_cancel(p->sh), err);
    for (size_t i = 0; status == VQ_OK && i < S; i++)
        for (size_t j = 0; j < S; j++)
            sorted[i * S + j] = sim[order[i] * S + order[j]];
    free(sim);
    free(order);
    return status;
}

enum vq_status sh_draw_similarity(struct sh_plotting *p, struct viz_canvas **out,
                                  struct vq_err *err)
{
    struct sh_codebook c = {0};
    struct sh_mod at = p->heads.v[0];
    size_t S = code_count(p);
    bool cluster = strcmp(sh_opt_text(p->a, "order"), "cluster") == 0;
    float *sorted = vq_alloc_f32(S * S);
    enum vq_status status = sorted ? sh_codebook_read(p->m, at.module, &c, err)
                                   : vq_nomem(err, "similarities", S * S, sizeof(*sorted));
    if (status == VQ_OK)
        status = sorted_matrix(p, c.C + (size_t)at.head * S * c.K, S, c.K, sorted, err);
    sh_plot_title(p, "Cosine similarity of codes");
    p->chart.subtitle = cluster ? "like codes side by side" : NULL;
    p->chart.xlabel = p->chart.ylabel = cluster ? "rank in the order" : "code";
    p->chart.zlabel = "cosine";
    p->chart.z_lo = -1.0;
    p->chart.z_hi = 1.0;
    if (!p->chart.colormap)
        p->chart.colormap = "polar";
    const struct viz_matrix matrix = {.v = viz_f32(sorted, S * S), .rows = S, .cols = S};
    if (status == VQ_OK)
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    sh_codebook_release(&c);
    free(sorted);
    return status;
}

/* Codes in use and dead ones as two series of points. */
static enum vq_status draw_points(struct sh_plotting *p, const double *xy, const double *count,
                                  const bool *used, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p), n[2] = {0};
    double *v = vq_alloc(6 * S, sizeof(*v)); /* x, y, size of the used, then of the dead */
    if (!v)
        return vq_nomem(err, "points", 6 * S, sizeof(*v));
    for (size_t s = 0; s < S; s++) {
        size_t dead = used[s] ? 0 : 1, at = n[dead]++;
        double *to = v + 3 * S * dead;
        to[at] = xy[2 * s];
        to[S + at] = xy[2 * s + 1];
        to[2 * S + at] = count[s];
    }
    struct viz_series series[2];
    struct viz_vec size[2];
    for (size_t k = 0; k < 2; k++) {
        series[k] = (struct viz_series){.name = k ? "dead" : "in use",
                                        .x = viz_f64(v + 3 * S * k, n[k]),
                                        .y = viz_f64(v + 3 * S * k + S, n[k])};
        size[k] = viz_f64(v + 3 * S * k + 2 * S, n[k]);
    }
    enum vq_status status = viz_plot_bubbles(out, &p->chart, series, size, n[1] ? 2 : 1, err);
    free(v);
    return status;
}

enum vq_status sh_draw_map(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_mod at = p->heads.v[0];
    size_t S = code_count(p);
    struct sh_codebook book = {0};
    struct counted c;
    struct vq_map map = {{0}};
    bool *used = vq_calloc(S, sizeof(*used));
    double *xy = vq_alloc(2 * S, sizeof(*xy));
    enum vq_status status = read_counts(p, &c, err);
    if (status == VQ_OK && (!used || !xy))
        status = vq_nomem(err, "a map", S, 2 * sizeof(*xy));
    if (status == VQ_OK)
        status = sh_codebook_read(p->m, at.module, &book, err);
    for (size_t s = 0; status == VQ_OK && s < S; s++)
        used[s] = c.count[s] > (c.v.trace ? 0.0 : VQ_COUNT_CLIP);
    if (status == VQ_OK)
        status = vq_map_codes(xy, &map, book.C + (size_t)at.head * S * book.K, S, book.K, used,
                              sh_cancel(p->sh), err);
    sh_plot_title(p, "Map of codes");
    sh_plot_subtitle(p, "two widest directions, %.1f %% and %.1f %% of the variance; size: %s",
                     100 * map.explained[0], 100 * map.explained[1], whose(&c));
    p->chart.xlabel = "first direction";
    p->chart.ylabel = "second direction";
    if (status == VQ_OK)
        status = draw_points(p, xy, c.count, used, out, err);
    sh_codebook_release(&book);
    release_counts(&c);
    free(used);
    free(xy);
    return status;
}

/* ---- drift ---- */

static enum vq_status drift_row(struct sh_plotting *p, const struct vq_model *other,
                                struct sh_mod at, struct sh_codebook *now, float *C, float *count,
                                struct vq_code_drift *list, struct vq_err *err)
{
    size_t S = code_count(p), row = (size_t)at.head * S;
    struct vq_drift sum;
    enum vq_status status = sh_codebook_read(p->m, at.module, now, err);
    if (status == VQ_OK)
        status = vq_model_codebook(other, at.module, C, err);
    if (status == VQ_OK)
        status = vq_model_read(other, at.module, "quantizer/c_count", count, err);
    if (status == VQ_OK)
        vq_drift_codes(&sum, list, C + row * now->K, count + row, now->C + row * now->K,
                       now->count + row, S, now->K);
    return status;
}

enum vq_status sh_draw_drift(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    const struct vq_config *cfg = vq_model_config(p->m->model);
    size_t S = code_count(p), H = (size_t)cfg->n_head, n = p->heads.n;
    const struct vq_model *other = NULL;
    struct vq_model *owned = NULL;
    struct sh_codebook now = {0};
    if (!sh_opt_given(p->a, "against"))
        return vq_fail(err, VQ_EINVAL, "drift since what? --against names a model or checkpoint");
    float *v = vq_alloc_f32(n * S), *C = vq_alloc_f32(H * S * (size_t)cfg->d_k);
    float *count = vq_alloc_f32(H * S);
    struct vq_code_drift *list = vq_alloc(S, sizeof(*list));
    enum vq_status status =
        v && C && count && list
            ? sh_codebook_other(p->sh, p->m, sh_opt_text(p->a, "against"), &other, &owned, err)
            : vq_nomem(err, "two codebooks", n * S, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        status = drift_row(p, other, p->heads.v[i], &now, C, count, list, err);
        for (size_t s = 0; status == VQ_OK && s < S; s++) {
            v[i * S + s] = (float)list[s].moved;
            p->chart.z_hi = fmax(p->chart.z_hi, list[s].moved); /* colours begin at 0 */
        }
    }
    p->chart.z_hi = p->chart.z_hi > 0.0 ? p->chart.z_hi : 1.0;
    sh_plot_title(p, "How far codes have moved");
    sh_plot_subtitle(p, "since %s", sh_opt_text(p->a, "against"));
    if (status == VQ_OK)
        status = sh_plot_over_codes(p, v, "distance", out, err);
    sh_codebook_release(&now);
    vq_model_free(owned);
    free(v);
    free(C);
    free(count);
    free(list);
    return status;
}

/* ---- one code ---- */

/* Errors of the members above, the profile of their positions below. */
static enum vq_status draw_members(struct sh_plotting *p, const struct vq_trace *t,
                                   const struct vq_members *m, struct viz_canvas **out,
                                   struct vq_err *err)
{
    enum { BINS = 32 };
    struct viz_chart top = p->chart, bottom = p->chart;
    struct viz_canvas *upper = NULL, *lower = NULL;
    struct vq_position_bin bins[BINS];
    double share[BINS], x[BINS];
    size_t n = vq_members_profile(bins, BINS, m, t);
    double *rel = vq_alloc(m->n, sizeof(*rel));
    if (!rel)
        return vq_nomem(err, "errors", m->n, sizeof(*rel));
    for (size_t i = 0; i < m->n; i++)
        rel[i] = m->v[i].rel;
    for (size_t i = 0; i < n; i++) {
        share[i] = bins[i].of ? (double)bins[i].count / (double)bins[i].of : 0.0;
        x[i] = ((double)bins[i].from + (double)bins[i].to) / 2.0;
    }
    top.height = bottom.height = (p->chart.height ? p->chart.height : 720) / 2;
    top.xlabel = "relative error |k - k^| / |k|";
    top.ylabel = "members";
    bottom.title = bottom.subtitle = NULL;
    bottom.xlabel = "position";
    bottom.ylabel = "share of the tokens there";
    const struct viz_series s = {.x = viz_f64(x, n), .y = viz_f64(share, n)};
    enum vq_status status = viz_plot_hist(&upper, &top, viz_f64(rel, m->n), 0, err);
    if (status == VQ_OK)
        status = viz_plot_lines(&lower, &bottom, &s, 1, err);
    if (status == VQ_OK)
        status = sh_plot_stack(out, upper, lower, err);
    else
        viz_canvas_free(upper);
    free(rel);
    return status;
}

enum vq_status sh_draw_code(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_mod at = p->heads.v[0];
    size_t code = (size_t)sh_opt_int(p->a, "code");
    struct vq_trace *trace;
    struct vq_members m = {0};
    bool owned;
    if (!sh_opt_given(p->a, "code") || code >= code_count(p))
        return vq_fail(err, VQ_EINVAL, "which code? --code takes 0 to %zu", code_count(p) - 1);
    enum sh_rc rc = sh_trace_pick(p->sh, p->a, p->m, &trace, &owned);
    if (rc != SH_OK)
        return sh_plot_said(p, rc, err);
    enum vq_status status =
        trace ? vq_members_find(&m, trace, at.module, at.head, code, err)
              : vq_fail(err, VQ_ENOTFOUND, "nothing was fed: feed a text, or give --over");
    if (status == VQ_OK) {
        char text[64];
        snprintf(text, sizeof(text), "Members of code %zu", code);
        sh_plot_title(p, text);
        sh_plot_subtitle(p, "%zu of %llu tokens", m.n,
                         (unsigned long long)(vq_trace_end(trace) - vq_trace_first(trace)));
        status = draw_members(p, trace, &m, out, err);
    }
    vq_members_release(&m);
    if (owned)
        vq_trace_free(trace);
    return status;
}
