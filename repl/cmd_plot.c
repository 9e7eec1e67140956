/*
 * The command plot: pictures of what the other commands list. A picture is one function and one row
 * of the table below.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/attention.h"
#include "core/kernels/vec.h"
#include "core/store/store.h"
#include "repl/cmds.h"
#include "repl/curves.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/picture.h"
#include "repl/query.h"
#include "repl/runlog.h"
#include "repl/terminal.h"
#include "repl/tracked.h"
#include "viz/colormap.h"
#include "viz/plot.h"

struct plotting {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m; /* NULL for pictures of runs */
    struct sh_heads heads;
    struct viz_chart chart;
    char title[256], subtitle[256];
    char run[VQ_RUN_ID_SIZE]; /* the first one, for pictures of runs */
};

struct kind {
    const char *name;
    bool of_model;
    enum vq_status (*draw)(struct plotting *p, struct viz_canvas **out, struct vq_err *err);
};

/* The head to name: none where every module has one. */
static int head_shown(const struct plotting *p, size_t i)
{
    return vq_model_config(p->m->model)->n_head > 1 ? p->heads.v[i].head : -1;
}

static void title(struct plotting *p, const char *text)
{
    char name[32];
    if (p->m && p->heads.n == 1)
        snprintf(p->title, sizeof(p->title), "%s, module %s, %s", text,
                 sh_module_name(p->heads.v[0].module, head_shown(p, 0), name), p->m->name);
    else
        snprintf(p->title, sizeof(p->title), "%s, %s", text, p->m ? p->m->name : "");
    p->chart.title = p->title;
}

/* ---- matrices and bars over codes: one row for each module-head ---- */

/* Names of the rows, "0.1" or "0.1:2"; freed with free_names. */
static char **row_names(const struct plotting *p)
{
    char **names = vq_calloc(p->heads.n, sizeof(*names));
    char buf[32];
    for (size_t i = 0; names && i < p->heads.n; i++)
        names[i] = vq_strdup(sh_module_name(p->heads.v[i].module, head_shown(p, i), buf));
    return names;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

/* v[heads, S]: bars for one module-head, a heat map for several. */
static enum vq_status draw_codes(struct plotting *p, const float *v, const char *what,
                                 struct viz_canvas **out, struct vq_err *err)
{
    size_t S = (size_t)vq_model_config(p->m->model)->n_code, n = p->heads.n;
    p->chart.xlabel = "code";
    if (n == 1) {
        p->chart.ylabel = what;
        return viz_plot_bars(out, &p->chart, viz_f32(v, S), NULL, err);
    }
    char **names = row_names(p);
    if (!names)
        return vq_nomem(err, "names", n, sizeof(*names));
    p->chart.ylabel = "module";
    p->chart.zlabel = what;
    const struct viz_matrix matrix = {.v = viz_f32(v, n * S),
                                      .rows = n,
                                      .cols = S,
                                      .row_names = (const char *const *)names,
                                      .reduce = VIZ_REDUCE_MAX};
    enum vq_status status = viz_plot_heat(out, &p->chart, &matrix, err);
    free_names(names, n);
    return status;
}

/* Counts of one module-head: of the checkpoint, or of what was fed. */
static enum vq_status usage_row(const struct plotting *p, struct sh_mod at, struct sh_codebook *c,
                                float *row, struct vq_err *err)
{
    const struct vq_trace *seen = sh_trace(p->m);
    size_t S = (size_t)vq_model_config(p->m->model)->n_code;
    if (sh_opt_flag(p->a, "seen")) {
        if (!seen)
            return vq_fail(err, VQ_ENOTFOUND, "nothing was fed in this session");
        for (size_t s = 0; s < S; s++)
            row[s] = (float)vq_trace_counts(seen, at.module, at.head)[s];
        return VQ_OK;
    }
    enum vq_status status = sh_codebook_read(p->m, at.module, c, err);
    if (status == VQ_OK)
        memcpy(row, c->count + (size_t)at.head * S, S * sizeof(*row));
    return status;
}

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static enum vq_status draw_usage(struct plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = (size_t)vq_model_config(p->m->model)->n_code;
    struct sh_codebook c = {0};
    float *v = vq_alloc_f32(p->heads.n * S);
    enum vq_status status = v ? VQ_OK : vq_nomem(err, "counts", p->heads.n * S, sizeof(*v));
    for (size_t i = 0; status == VQ_OK && i < p->heads.n; i++) {
        status = usage_row(p, p->heads.v[i], &c, v + i * S, err);
        if (sh_opt_flag(p->a, "sorted"))
            qsort(v + i * S, S, sizeof(*v), falling);
    }
    title(p, "Codebook usage");
    p->chart.subtitle = sh_opt_flag(p->a, "seen") ? "over the tokens fed in this session"
                                                  : "c_count of the checkpoint";
    if (status == VQ_OK)
        status =
            draw_codes(p, v, sh_opt_flag(p->a, "sorted") ? "count, sorted" : "count", out, err);
    sh_codebook_release(&c);
    free(v);
    return status;
}

static enum vq_status draw_cache(struct plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t S = (size_t)vq_model_config(p->m->model)->n_code;
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
        vq_session_cache(s, p->heads.v[i].module, (int)sh_opt_int(p->a, "row"), &view);
        for (size_t j = 0; j < S; j++)
            v[i * S + j] = (float)view.count[(size_t)p->heads.v[i].head * S + j];
    }
    title(p, "Aggregated positions per code");
    snprintf(p->subtitle, sizeof(p->subtitle), "at position %lld",
             (long long)vq_session_position(s));
    p->chart.subtitle = p->subtitle;
    enum vq_status status = draw_codes(p, v, "positions", out, err);
    free(v);
    return status;
}

/* ---- one module-head ---- */

static enum vq_status draw_similarity(struct plotting *p, struct viz_canvas **out,
                                      struct vq_err *err)
{
    struct sh_codebook c = {0};
    struct sh_mod at = p->heads.v[0];
    enum vq_status status = sh_codebook_read(p->m, at.module, &c, err);
    size_t S = c.S, K = c.K;
    const float *C = status == VQ_OK ? c.C + (size_t)at.head * S * K : NULL;
    float *sim = vq_alloc_f32(S * S), *sorted = vq_alloc_f32(S * S);
    size_t *order = vq_alloc(S, sizeof(*order));
    if (status == VQ_OK && (!sim || !sorted || !order))
        status = vq_nomem(err, "similarities", S * S, sizeof(*sim));
    if (status == VQ_OK)
        status = vq_codebook_matrix(sim, VQ_BY_COSINE, C, S, K, sh_cancel(p->sh), err);
    bool cluster = strcmp(sh_opt_text(p->a, "order"), "cluster") == 0;
    for (size_t s = 0; status == VQ_OK && s < S; s++)
        order[s] = s;
    if (status == VQ_OK && cluster)
        status = vq_codebook_order(order, VQ_BY_COSINE, C, S, K, sh_cancel(p->sh), err);
    for (size_t i = 0; status == VQ_OK && i < S; i++)
        for (size_t j = 0; j < S; j++)
            sorted[i * S + j] = sim[order[i] * S + order[j]];
    title(p, "Cosine similarity of codes");
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
    free(sim);
    free(sorted);
    free(order);
    return status;
}

/* The window's weights by position above, the aggregate's by code below, on one canvas. */
static enum vq_status stack(struct viz_canvas **out, struct viz_canvas *top,
                            struct viz_canvas *bottom, struct vq_err *err)
{
    enum vq_status status = viz_canvas_new(out, (size_t)top->w, (size_t)(top->h + bottom->h),
                                           viz_rgb_hex(0xffffff), err);
    if (status == VQ_OK) {
        viz_blit(*out, 0, 0, top->px, top->w, top->h, 1);
        viz_blit(*out, 0, top->h, bottom->px, bottom->w, bottom->h, 1);
    }
    return status;
}

static enum vq_status draw_two(struct plotting *p, const struct vq_attention_view *v,
                               struct viz_canvas **out, struct vq_err *err)
{
    struct viz_canvas *top = NULL, *bottom = NULL;
    size_t n = (size_t)v->window, S = (size_t)vq_model_config(p->m->model)->n_code;
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
        status = stack(out, top, bottom, err);
    viz_canvas_free(top);
    viz_canvas_free(bottom);
    free(x);
    return status;
}

static enum vq_status draw_attn(struct plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_query q;
    struct vq_attention_view v;
    struct sh_mod at = p->heads.v[0];
    if (sh_query_find(p->sh, p->a, p->m, &q) != SH_OK)
        return vq_fail(err, VQ_EINVAL, " "); /* it has said why */
    enum vq_status status = vq_session_attention(q.session, at.module, at.head, q.row, &v, err);
    if (status == VQ_OK) {
        struct vq_attention_summary sum;
        vq_attention_summarise(&sum, &v, (size_t)vq_model_config(p->m->model)->n_code);
        title(p, "Attention of one query");
        snprintf(p->subtitle, sizeof(p->subtitle),
                 "query at position %lld; window %.4f, aggregate %.4f", (long long)v.query,
                 sum.window, sum.aggregate);
        p->chart.subtitle = p->subtitle;
        status = draw_two(p, &v, out, err);
    }
    sh_query_release(&q);
    return status;
}

/* ---- next tokens ---- */

/* Indices of the k largest of p[n], largest first. */
static void largest(const float *p, size_t n, size_t *best, size_t k)
{
    for (size_t r = 0; r < k; r++) {
        best[r] = n;
        for (size_t i = 0; i < n; i++) {
            bool taken = false;
            for (size_t j = 0; j < r; j++)
                taken = taken || best[j] == i;
            if (!taken && (best[r] == n || p[i] > p[best[r]]))
                best[r] = i;
        }
    }
}

static enum vq_status draw_next(struct plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    enum { MOST = 64 };
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
    largest(lp, n, best, k);
    for (size_t i = 0; i < k; i++) {
        bars[i] = expf(lp[best[i]]);
        labels[i] = vq_vocab_piece(vq_model_vocab(p->m->model), (int32_t)best[i], pieces[i], 64);
        if (strcmp(labels[i], " ") == 0)
            labels[i] = "space";
    }
    free(lp);
    p->heads.n = 0;
    title(p, "Next token");
    snprintf(p->subtitle, sizeof(p->subtitle), "after position %lld",
             (long long)vq_session_position(s) - 1);
    p->chart.subtitle = p->subtitle;
    p->chart.ylabel = "probability";
    return viz_plot_bars(out, &p->chart, viz_f32(bars, k), labels, err);
}

/* ---- curves of runs ---- */

/* The run's name, else its id; with several metrics, which one it is. */
static char *curve_name(struct vq_store *store, const char *id, const char *metric, bool several)
{
    struct vq_run_info *info;
    char *name = NULL;
    if (vq_store_run(store, id, &info, NULL) != VQ_OK)
        return NULL;
    if (asprintf(&name, "%s%s%s", *info->name ? info->name : id, several ? " " : "",
                 several ? metric : "") < 0)
        name = NULL;
    free(info);
    return name;
}

/* Every metric of every run that was asked for. */
static enum vq_status read_curves(struct plotting *p, struct sh_curve *c, struct vq_err *err)
{
    size_t n_run = sh_opt_count(p->a, "run"), n_metric = sh_opt_count(p->a, "metric");
    enum sh_align align = sh_align_of(sh_opt_text(p->a, "align"));
    struct vq_store *store = sh_store(p->sh, err);
    enum vq_status status = store ? VQ_OK : err->code;
    for (size_t i = 0; status == VQ_OK && i < n_run; i++) {
        char id[VQ_RUN_ID_SIZE];
        status = vq_store_find(store, sh_opt_nth(p->a, "run", i), id, err);
        if (i == 0)
            memcpy(p->run, id, sizeof(id));
        for (size_t m = 0; status == VQ_OK && m < n_metric; m++, c++) {
            const char *metric = sh_opt_nth(p->a, "metric", m);
            status = sh_curve_read(store, id, metric, align, sh_opt_real(p->a, "smooth"), c, err);
            c->name = curve_name(store, id, metric, n_metric > 1);
        }
    }
    return status;
}

static void name_curves(struct plotting *p)
{
    size_t n_run = sh_opt_count(p->a, "run"), n_metric = sh_opt_count(p->a, "metric");
    const char *metric = sh_opt_nth(p->a, "metric", 0);
    p->chart.xlabel = sh_align_label(sh_align_of(sh_opt_text(p->a, "align")));
    if (n_run == 1)
        snprintf(p->title, sizeof(p->title), "%s%s of run %s", metric,
                 n_metric > 1 ? " and others" : "", p->run);
    else
        snprintf(p->title, sizeof(p->title), "%s%s of %zu runs", metric,
                 n_metric > 1 ? " and others" : "", n_run);
    if (sh_opt_real(p->a, "smooth") > 0)
        snprintf(p->subtitle, sizeof(p->subtitle), "smoothed, weight %g",
                 sh_opt_real(p->a, "smooth"));
    p->chart.title = p->title;
    p->chart.subtitle = *p->subtitle ? p->subtitle : NULL;
    p->chart.ylabel = n_metric == 1 ? metric : NULL;
}

/* On the screen, where a picture in half-blocks would have no legible number. */
static enum vq_status show_curves(struct plotting *p, const struct sh_curve *c, size_t n,
                                  struct vq_err *err)
{
    char *text, title[600];
    snprintf(title, sizeof(title), "%s%s%s", p->title, *p->subtitle ? ", " : "", p->subtitle);
    enum vq_status status =
        sh_curves_text(p->sh, c, n, title, p->chart.xlabel, p->chart.log_y, 0, &text, NULL, err);
    if (status == VQ_OK)
        sh_terminal_put(p->sh, text);
    free(text);
    return status;
}

static enum vq_status draw_metric(struct plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    size_t n = sh_opt_count(p->a, "run") * sh_opt_count(p->a, "metric");
    struct sh_curve *c = vq_calloc(n, sizeof(*c));
    struct viz_series *s = vq_calloc(n, sizeof(*s));
    enum vq_status status = c && s ? VQ_OK : vq_nomem(err, "curves", n, sizeof(*c));
    if (status == VQ_OK)
        status = read_curves(p, c, err);
    name_curves(p);
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        s[i] = (struct viz_series){n > 1 ? c[i].name : NULL, viz_f64(c[i].x, c[i].n),
                                   viz_f64(c[i].y, c[i].n)};
    if (status == VQ_OK && sh_opt_given(p->a, "out"))
        status = viz_plot_lines(out, &p->chart, s, n, err);
    if (status == VQ_OK && sh_out_terminal(p->sh))
        status = show_curves(p, c, n, err);
    for (size_t i = 0; c && i < n; i++)
        sh_curve_release(&c[i]);
    free(c);
    free(s);
    return status;
}

/* ---- the command ---- */

static const struct kind kinds[] = {
    {"usage", true, draw_usage}, {"similarity", true, draw_similarity},
    {"cache", true, draw_cache}, {"attn", true, draw_attn},
    {"next", true, draw_next},   {"metric", false, draw_metric},
};
#define KIND_CHOICES "usage similarity cache attn next metric"

/* The module-heads of the second positional, all without it; attn and similarity show one. */
static enum sh_rc pick_heads(struct plotting *p, const struct kind *kind)
{
    const struct vq_config *c = vq_model_config(p->m->model);
    bool one = kind->draw == draw_attn || kind->draw == draw_similarity;
    const char *text = sh_arg_count(p->a) > 1 ? sh_arg(p->a, 1) : one ? "0.1" : "all";
    struct vq_err err = {0};
    struct sh_mod *mods;
    size_t n, bad;
    if (sh_modlist_parse(text, (int)c->n_layer, (int)c->n_head, &mods, &n, &bad, &err) != VQ_OK)
        return sh_bad_arg_at(p->sh, sh_arg_word(p->a, 1), bad, "%s", err.msg);
    p->heads.v = vq_alloc(n * (size_t)c->n_head, sizeof(*p->heads.v));
    for (size_t i = 0; p->heads.v && i < n; i++)
        for (int h = 0; h < (int)c->n_head; h++)
            if (mods[i].head < 0 || mods[i].head == h)
                p->heads.v[p->heads.n++] = (struct sh_mod){mods[i].module, h};
    free(mods);
    if (!p->heads.v)
        return sh_failf(p->sh, "out of memory");
    if (one && p->heads.n > 1 && sh_arg_count(p->a) > 1 && n > 1)
        return sh_bad_arg(p->sh, sh_arg_word(p->a, 1), "%s shows one module", kind->name);
    if (one)
        p->heads.n = 1;
    return SH_OK;
}

static enum sh_rc plot(struct plotting *p, const struct kind *kind)
{
    struct vq_err err = {0};
    struct viz_canvas *c = NULL;
    struct sh_notes notes;
    enum sh_rc rc = SH_OK;
    if (kind->of_model) {
        p->m = sh_model_current(p->sh);
        if (!p->m)
            return sh_failf(p->sh, "no model is loaded: load one first");
        rc = pick_heads(p, kind);
    } else if (!sh_opt_given(p->a, "run") || !sh_opt_given(p->a, "metric")) {
        return sh_bad_arg(p->sh, 0, "metric needs --run ID and --metric NAME");
    }
    if (rc != SH_OK)
        return rc;
    if (kind->draw(p, &c, &err) != VQ_OK)
        return strcmp(err.msg, " ") == 0 ? SH_ERR : sh_fail(p->sh, &err);
    if (!c) /* shown on the screen alone */
        return SH_OK;
    sh_notes_begin(&notes, p->sh, p->m);
    sh_notes_add(&notes, "Title", p->title);
    sh_notes_add(&notes, "run", p->run);
    /* Curves have been shown as text. */
    return kind->of_model ? sh_picture_finish(p->sh, c, sh_opt_text(p->a, "out"), &notes)
                          : sh_picture_save(p->sh, c, sh_opt_text(p->a, "out"), &notes);
}

static enum sh_rc run_plot(struct sh *sh, const struct sh_args *a)
{
    struct plotting p = {.sh = sh, .a = a};
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, sh_arg(a, 0)) == 0)
            kind = &kinds[i];
    if (!kind)
        return sh_bad_arg(sh, sh_arg_word(a, 0), "expected one of " KIND_CHOICES);
    bool shown = !kind->of_model && sh_out_terminal(sh);
    if (!sh_opt_given(a, "out") && !shown)
        return sh_bad_arg(sh, 0, "where to? give --out F.png");
    p.chart = (struct viz_chart){.width = (size_t)sh_opt_int(a, "width"),
                                 .height = (size_t)sh_opt_int(a, "height"),
                                 .log_y = sh_opt_flag(a, "log"),
                                 .log_z = sh_opt_flag(a, "log"),
                                 .colormap = sh_opt_text(a, "colormap")};
    enum sh_rc rc = plot(&p, kind);
    sh_heads_release(&p.heads);
    return rc;
}

static const struct sh_opt plot_opts[] = {
    {.name = "out", .letter = 'o', .kind = SH_OUTPATH, .value = "F.png", .help = "the file"},
    {.name = "width", .kind = SH_INT, .min = 64, .max = 8192, .help = "pixels (default: 960)"},
    {.name = "height", .kind = SH_INT, .min = 64, .max = 8192, .help = "pixels (default: 540)"},
    {.name = "log", .kind = SH_FLAG, .help = "logarithmic counts"},
    {.name = "colormap",
     .kind = SH_CHOICE,
     .choices = "aurora ember polar gray",
     .help = "colours of a heat map"},
    {.name = "seen", .kind = SH_FLAG, .help = "usage: over what was fed in this session"},
    {.name = "sorted", .kind = SH_FLAG, .help = "usage: largest count first"},
    {.name = "order",
     .kind = SH_CHOICE,
     .def = "cluster",
     .choices = "cluster code",
     .help = "similarity: order of the codes"},
    {.name = "k",
     .kind = SH_INT,
     .def = "16",
     .min = 1,
     .max = 64,
     .help = "next: how many tokens"},
    {.name = "run", .kind = SH_RUN, .value = "RUN", .help = "metric: of this run", .many = true},
    {.name = "metric", .kind = SH_TEXT, .value = "NAME", .help = "metric: which one", .many = true},
    {.name = "align",
     .kind = SH_CHOICE,
     .def = "step",
     .choices = SH_ALIGN_CHOICES,
     .help = "metric: what lies along the x axis"},
    {.name = "smooth",
     .kind = SH_REAL,
     .def = "0",
     .min = 0,
     .max = 0.9999,
     .help = "metric: weight of what came before, as 0.9"},
    SH_QUERY_OPTS,
    SH_OPT_END};
static const char *const plot_examples[] = {"plot usage --out usage.png",
                                            "plot usage 0.1 --sorted --out usage-0.1.png",
                                            "plot similarity 1.1 --out similarity.png",
                                            "plot next --out next.png",
                                            "plot attn 2.1 --out attn.png",
                                            "plot cache --out cache.png",
                                            NULL};
const struct sh_cmd cmd_plot = {
    .name = "plot",
    .group = "export",
    .args = "WHAT [MODULES] --out F.png",
    .summary = "draw usage, similarity, cache, attention, next tokens or curves of runs",
    .detail =
        "usage       how often each code is used: bars for one module, a heat map for several\n"
        "similarity  cosines between the codes of one module\n"
        "cache       how many positions each code of the aggregate holds\n"
        "attn        the softmax of one query (--pos): window above, aggregate below\n"
        "next        the likeliest next tokens\n"
        "metric      curves of recorded runs: --run and --metric, each of them as often as you "
        "like; on a terminal they are shown as text, and --out is not needed\n\n"
        "The PNG carries model, hash and run as text chunks. On a terminal the picture is "
        "shown too (set preview).",
    .examples = plot_examples,
    .min_args = 1,
    .max_args = 2,
    .kinds = {SH_CHOICE, SH_TEXT},
    .pos_choices = KIND_CHOICES,
    .opts = plot_opts,
    .run = run_plot,
};
