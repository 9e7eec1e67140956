/*
 * Pictures of the cache and of attention.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/attention.h"
#include "core/inspect/life.h"
#include "repl/attn_run.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/query.h"

static size_t code_count(const struct sh_plotting *p)
{
    return (size_t)vq_model_config(p->m->model)->n_code;
}

/* ---- the cache ---- */

enum vq_status sh_draw_cache(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p);
    const struct vq_session *s = sh_model_session(p->sh, p->m, err);
    if (!s)
        return err->code;
    if ((int)sh_opt_int(p->a, "row") >= vq_session_batch(s))
        return vq_fail(err, VQ_EINVAL, "the session holds %d sequence(s)", vq_session_batch(s));
    float *v = vq_alloc_f32(p->heads.n * S);
    if (!v)
        return vq_nomem(err, "counts", p->heads.n * S, sizeof(*v));
    for (size_t i = 0; i < p->heads.n; i++) {
        struct vq_cache_view view;
        vq_session_cache(s, p->heads.v[i].module, (int)sh_opt_int(p->a, "row"), NULL, &view);
        for (size_t j = 0; j < S; j++)
            v[i * S + j] = (float)view.count[(size_t)p->heads.v[i].head * S + j];
    }
    sh_plot_title(p, "Aggregated positions per code");
    sh_plot_subtitle(p, "at position %lld", (long long)vq_session_position(s));
    enum vq_status status = sh_plot_over_codes(p, v, "positions", out, err);
    free(v);
    return status;
}

/* ---- how the cache grew ---- */

/* Runs attention over the tokens; what it gathers is p's to draw. */
static enum vq_status run(struct sh_plotting *p, struct sh_attn_run *r, const char *span,
                          unsigned what, struct vq_err *err)
{
    *r = (struct sh_attn_run){.sh = p->sh, .m = p->m, .heads = &p->heads};
    enum sh_rc rc = sh_attn_run(r, p->a, span, what);
    return rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
}

/* Codes that hold anything, in each column of counts[S, columns]. */
static void count_used(const float *counts, size_t S, size_t columns, float *used)
{
    for (size_t c = 0; c < columns; c++) {
        used[c] = 0.0f;
        for (size_t s = 0; s < S; s++)
            used[c] += counts[s * columns + c] > 0.0f;
    }
}

static enum vq_status draw_growth(struct sh_plotting *p, const struct sh_attn_run *r,
                                  struct viz_canvas **out, struct vq_err *err)
{
    size_t S = code_count(p), n = p->heads.n, columns = r->keys < 480 ? r->keys : 480;
    bool one = n == 1;
    float *counts = vq_alloc_f32(S * columns), *used = vq_alloc_f32(n * columns);
    char **names = sh_plot_names(p);
    enum vq_status status =
        counts && used && names ? VQ_OK : vq_nomem(err, "counts", S * columns, sizeof(*counts));
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        vq_life_counts(counts, S, columns, r->codes + i * r->keys, (int64_t)r->keys, r->c->mem_len);
        count_used(counts, S, columns, used + i * columns);
    }
    const struct viz_matrix matrix = {.v = viz_f32(one ? counts : used, (one ? S : n) * columns),
                                      .rows = one ? S : n,
                                      .cols = columns,
                                      .row_names = one ? NULL : (const char *const *)names,
                                      .x0 = (double)r->keys / (double)columns,
                                      .dx = (double)r->keys / (double)columns};
    p->chart.xlabel = "tokens fed";
    p->chart.ylabel = one ? "code" : "module";
    p->chart.zlabel = one ? "positions" : "codes in use";
    if (status == VQ_OK)
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    sh_plot_free_names(names, n);
    free(counts);
    free(used);
    return status;
}

enum vq_status sh_draw_growth(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r;
    enum vq_status status = run(p, &r, NULL, SH_ATTN_CODES, err);
    sh_plot_title(p, p->heads.n == 1 ? "Positions in each code of the aggregate"
                                     : "Codes of the aggregate in use");
    sh_plot_subtitle(p, "positions further back than %lld are aggregated",
                     (long long)vq_model_config(p->m->model)->mem_len);
    if (status == VQ_OK)
        status = draw_growth(p, &r, out, err);
    sh_attn_release(&r);
    return status;
}

/* ---- one query ---- */

/* The window's weights by position above, the aggregate's by code below. */
static enum vq_status draw_two(struct sh_plotting *p, const struct vq_attention_view *v,
                               struct viz_canvas **out, struct vq_err *err)
{
    struct viz_canvas *top = NULL, *bottom = NULL;
    size_t n = (size_t)v->window, S = code_count(p);
    struct viz_chart half = p->chart, lower = p->chart;
    double *x = vq_alloc(n, sizeof(*x));
    if (!x)
        return vq_nomem(err, "positions", n, sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = (double)(v->first + (int64_t)i);
    half.height = lower.height = (p->chart.height ? p->chart.height : 720) / 2;
    half.xlabel = "position";
    half.ylabel = "weight in the window";
    const struct viz_series series = {.x = viz_f64(x, n), .y = viz_f32(v->weight, n)};
    lower.title = lower.subtitle = NULL;
    lower.xlabel = "code";
    lower.ylabel = "weight in the aggregate";
    enum vq_status status = viz_plot_lines(&top, &half, &series, 1, err);
    if (status == VQ_OK)
        status = viz_plot_bars(&bottom, &lower, viz_f32(v->weight + n, S), NULL, err);
    if (status == VQ_OK)
        status = sh_plot_stack(out, top, bottom, err);
    else
        viz_canvas_free(top);
    free(x);
    return status;
}

enum vq_status sh_draw_attn(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_query q;
    struct vq_attention_view v;
    struct sh_mod at = p->heads.v[0];
    enum sh_rc rc = sh_query_find(p->sh, p->a, p->m, &q);
    if (rc != SH_OK)
        return sh_plot_said(p, rc, err);
    enum vq_status status = vq_session_attention(q.session, at.module, at.head, q.row, &v, err);
    if (status == VQ_OK) {
        struct vq_attention_summary sum;
        vq_attention_summarise(&sum, &v, code_count(p));
        sh_plot_title(p, "Attention of one query");
        sh_plot_subtitle(p, "query at position %lld; window %.4f, aggregate %.4f",
                         (long long)v.query, sum.window, sum.aggregate);
        status = draw_two(p, &v, out, err);
    }
    sh_query_release(&q);
    return status;
}

/* ---- many queries ---- */

enum vq_status sh_draw_attn_map(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r;
    const char *span = sh_opt_given(p->a, "span") ? sh_opt_text(p->a, "span") : SH_SPAN_LAST;
    enum vq_status status = run(p, &r, span, SH_ATTN_MAP, err);
    if (status == VQ_OK) {
        size_t queries = (size_t)(r.to - r.from + 1);
        const struct viz_matrix matrix = {.v = viz_f32(r.map, queries * r.keys),
                                          .rows = queries,
                                          .cols = r.keys,
                                          .y0 = (double)r.from,
                                          .reduce = VIZ_REDUCE_MAX};
        sh_plot_title(p, "Attention, query by query");
        sh_plot_subtitle(p,
                         "queries %lld to %lld; positions behind the window share the weight of "
                         "their code equally",
                         (long long)r.from, (long long)r.to);
        p->chart.xlabel = "position attended to";
        p->chart.ylabel = "query";
        p->chart.zlabel = "weight";
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    }
    sh_attn_release(&r);
    return status;
}

/* One query in every module. */
enum vq_status sh_draw_attn_rows(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r;
    char **names = sh_plot_names(p);
    enum vq_status status = run(p, &r, "", SH_ATTN_MAP, err);
    if (status == VQ_OK && !names)
        status = vq_nomem(err, "names", p->heads.n, sizeof(*names));
    if (status == VQ_OK) {
        const struct viz_matrix matrix = {.v = viz_f32(r.map, p->heads.n * r.keys),
                                          .rows = p->heads.n,
                                          .cols = r.keys,
                                          .row_names = (const char *const *)names,
                                          .reduce = VIZ_REDUCE_MAX};
        sh_plot_title(p, "Attention of one query, module by module");
        sh_plot_subtitle(p,
                         "query at position %lld; positions behind the window share the weight "
                         "of their code equally",
                         (long long)r.to);
        p->chart.xlabel = "position attended to";
        p->chart.ylabel = "module";
        p->chart.zlabel = "weight";
        status = viz_plot_heat(out, &p->chart, &matrix, err);
    }
    sh_plot_free_names(names, p->heads.n);
    sh_attn_release(&r);
    return status;
}

enum vq_status sh_draw_mass(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r;
    float *v = vq_alloc_f32(p->heads.n);
    enum vq_status status =
        v ? run(p, &r, NULL, SH_ATTN_MASS, err) : vq_nomem(err, "masses", p->heads.n, sizeof(*v));
    if (!v)
        return status;
    for (size_t i = 0; status == VQ_OK && i < p->heads.n; i++)
        v[i] = (float)(r.mass[i].aggregate / (double)r.mass[i].queries);
    sh_plot_title(p, "Weight on positions behind the window");
    if (status == VQ_OK) {
        sh_plot_subtitle(p, "mean over %llu queries", (unsigned long long)r.mass[0].queries);
        status = sh_plot_over_heads(p, v, "weight on the aggregate", out, err);
    }
    sh_attn_release(&r);
    free(v);
    return status;
}

/* Mean weights by distance; bins stand at their middle. */
static enum vq_status draw_bins(struct sh_plotting *p, const struct sh_attn_run *r,
                                struct viz_canvas **out, struct vq_err *err)
{
    size_t n = p->heads.n, bins = 0;
    double x[VQ_DISTANCE_BINS];
    while (bins < VQ_DISTANCE_BINS && r->distances[0].positions[bins])
        bins++;
    for (size_t b = 0; b < bins; b++) /* distance 0 stands at 1, where a logarithm can show it */
        x[b] = b == 0 ? 1.0 : 0.75 * ldexp(1.0, (int)b) + 0.5;
    double *y = vq_alloc(n * bins, sizeof(*y));
    struct viz_series *s = vq_calloc(n, sizeof(*s));
    char **names = sh_plot_names(p);
    enum vq_status status = y && s && names ? VQ_OK : vq_nomem(err, "curves", n * bins, sizeof(*y));
    for (size_t i = 0; status == VQ_OK && i < n * bins; i++) {
        const struct vq_distances *d = &r->distances[i / bins];
        y[i] = d->weight[i % bins] / (double)d->queries;
    }
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        s[i] = (struct viz_series){.name = n <= 8 ? names[i] : NULL,
                                   .x = viz_f64(x, bins),
                                   .y = viz_f64(y + i * bins, bins)};
    if (status == VQ_OK)
        status = viz_plot_lines(out, &p->chart, s, n, err);
    sh_plot_free_names(names, n);
    free(y);
    free(s);
    return status;
}

enum vq_status sh_draw_distance(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r;
    enum vq_status status = run(p, &r, NULL, SH_ATTN_DISTANCES, err);
    sh_plot_title(p, "How far back queries look");
    if (status == VQ_OK)
        sh_plot_subtitle(p, "mean weight in ranges of distance 0, 1, 2-3, 4-7, ...; %llu queries",
                         (unsigned long long)r.distances[0].queries);
    p->chart.xlabel = "1 + distance";
    p->chart.ylabel = "weight";
    p->chart.log_x = true;
    if (status == VQ_OK)
        status = draw_bins(p, &r, out, err);
    sh_attn_release(&r);
    return status;
}
