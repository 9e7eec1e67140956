/*
 * The command plot: pictures of what the other commands list. A picture is one function and one row
 * of the table below.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/store.h"
#include "repl/attn_run.h"
#include "repl/cmds.h"
#include "repl/curves.h"
#include "repl/inner.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/picture.h"
#include "repl/plot.h"
#include "repl/query.h"
#include "repl/runlog.h"
#include "repl/terminal.h"
#include "repl/tokens.h"
#include "viz/plot.h"

struct kind {
    const char *name;
    bool of_model, one; /* one: shows a single module-head */
    sh_draw draw;
};

/* ---- what pictures share ---- */

enum vq_status sh_plot_said(struct sh_plotting *p, enum sh_rc rc, struct vq_err *err)
{
    p->said = rc;
    return vq_fail(err, VQ_EINVAL, "reported");
}

/* The head to name: none where every module has one. */
static int head_shown(const struct sh_plotting *p, size_t i)
{
    return vq_model_config(p->m->model)->n_head > 1 ? p->heads.v[i].head : -1;
}

void sh_plot_title(struct sh_plotting *p, const char *text)
{
    char name[32];
    if (p->m && p->heads.n == 1)
        snprintf(p->title, sizeof(p->title), "%s, module %s, %s", text,
                 sh_module_name(p->heads.v[0].module, head_shown(p, 0), name), p->m->name);
    else
        snprintf(p->title, sizeof(p->title), "%s, %s", text, p->m ? p->m->name : "");
    p->chart.title = p->title;
}

void sh_plot_subtitle(struct sh_plotting *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->subtitle, sizeof(p->subtitle), fmt, args);
    va_end(args);
    p->chart.subtitle = p->subtitle;
}

void sh_plot_free_names(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

char **sh_plot_names(const struct sh_plotting *p)
{
    char **names = vq_calloc(p->heads.n, sizeof(*names));
    char buf[32];
    for (size_t i = 0; names && i < p->heads.n; i++) {
        names[i] = vq_strdup(sh_module_name(p->heads.v[i].module, head_shown(p, i), buf));
        if (!names[i]) {
            sh_plot_free_names(names, i);
            return NULL;
        }
    }
    return names;
}

enum vq_status sh_plot_over_codes(struct sh_plotting *p, const float *v, const char *what,
                                  struct viz_canvas **out, struct vq_err *err)
{
    size_t S = (size_t)vq_model_config(p->m->model)->n_code, n = p->heads.n;
    p->chart.xlabel = "code";
    if (n == 1) {
        p->chart.ylabel = what;
        return viz_plot_bars(out, &p->chart, viz_f32(v, S), NULL, err);
    }
    char **names = sh_plot_names(p);
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
    sh_plot_free_names(names, n);
    return status;
}

enum vq_status sh_plot_over_heads(struct sh_plotting *p, const float *v, const char *what,
                                  struct viz_canvas **out, struct vq_err *err)
{
    char **names = sh_plot_names(p);
    if (!names)
        return vq_nomem(err, "names", p->heads.n, sizeof(*names));
    p->chart.ylabel = what;
    enum vq_status status =
        viz_plot_bars(out, &p->chart, viz_f32(v, p->heads.n), (const char *const *)names, err);
    sh_plot_free_names(names, p->heads.n);
    return status;
}

enum vq_status sh_plot_stack(struct viz_canvas **out, struct viz_canvas *top,
                             struct viz_canvas *bottom, struct vq_err *err)
{
    int w = top->w > bottom->w ? top->w : bottom->w;
    enum vq_status status =
        viz_canvas_new(out, (size_t)w, (size_t)(top->h + bottom->h), viz_rgb_hex(0xffffff), err);
    if (status == VQ_OK) {
        viz_canvas_put(*out, 0, 0, top);
        viz_canvas_put(*out, 0, top->h, bottom);
    }
    viz_canvas_free(top);
    viz_canvas_free(bottom);
    return status;
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
static enum vq_status read_curves(struct sh_plotting *p, struct sh_curve *c, struct vq_err *err)
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

static void name_curves(struct sh_plotting *p)
{
    size_t n_run = sh_opt_count(p->a, "run"), n_metric = sh_opt_count(p->a, "metric");
    const char *metric = sh_opt_nth(p->a, "metric", 0);
    p->chart.xlabel = sh_align_label(sh_align_of(sh_opt_text(p->a, "align")));
    const char *and = n_metric > 1 ? " and " : "", *second = "";
    if (n_metric > 1)
        second = n_metric == 2 ? sh_opt_nth(p->a, "metric", 1) : "others";
    if (n_run == 1)
        snprintf(p->title, sizeof(p->title), "%s%s%s of run %s", metric, and, second, p->run);
    else
        snprintf(p->title, sizeof(p->title), "%s%s%s of %zu runs", metric, and, second, n_run);
    if (sh_opt_real(p->a, "smooth") > 0)
        snprintf(p->subtitle, sizeof(p->subtitle), "smoothed, weight %g",
                 sh_opt_real(p->a, "smooth"));
    p->chart.title = p->title;
    p->chart.subtitle = *p->subtitle ? p->subtitle : NULL;
    p->chart.ylabel = n_metric == 1 ? metric : NULL;
}

/* On the screen, where a picture in half-blocks would have no legible number. */
static enum vq_status show_curves(struct sh_plotting *p, const struct sh_curve *c, size_t n,
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

static enum vq_status draw_metric(struct sh_plotting *p, struct viz_canvas **out,
                                  struct vq_err *err)
{
    size_t n = sh_opt_count(p->a, "run") * sh_opt_count(p->a, "metric");
    struct sh_curve *c = vq_calloc(n, sizeof(*c));
    struct viz_series *s = vq_calloc(n, sizeof(*s));
    enum vq_status status = c && s ? VQ_OK : vq_nomem(err, "curves", n, sizeof(*c));
    if (status == VQ_OK)
        status = read_curves(p, c, err);
    name_curves(p);
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        s[i] = (struct viz_series){.name = n > 1 ? c[i].name : NULL,
                                   .x = viz_f64(c[i].x, c[i].n),
                                   .y = viz_f64(c[i].y, c[i].n)};
    if (status == VQ_OK && sh_opt_given(p->a, "out"))
        status = viz_plot_lines(out, &p->chart, s, n, err);
    if (status == VQ_OK && sh_out_terminal(p->sh) && !p->unseen)
        status = show_curves(p, c, n, err);
    for (size_t i = 0; c && i < n; i++)
        sh_curve_release(&c[i]);
    free(c);
    free(s);
    return status;
}

/* ---- the command ---- */

static const struct kind kinds[] = {
    {"usage", true, false, sh_draw_usage},
    {"lorenz", true, false, sh_draw_lorenz},
    {"perplexity", true, false, sh_draw_entropy},
    {"similarity", true, true, sh_draw_similarity},
    {"map", true, true, sh_draw_map},
    {"drift", true, false, sh_draw_drift},
    {"code", true, true, sh_draw_code},
    {"patch", true, true, sh_draw_patch},
    {"cache", true, false, sh_draw_cache},
    {"growth", true, false, sh_draw_growth},
    {"attn", true, true, sh_draw_attn},
    {"attn-map", true, true, sh_draw_attn_map},
    {"attn-grid", true, true, sh_draw_attn_grid},
    {"attn-rows", true, false, sh_draw_attn_rows},
    {"mass", true, false, sh_draw_mass},
    {"distance", true, false, sh_draw_distance},
    {"stream", true, false, sh_draw_stream},
    {"gates", true, false, sh_draw_gates},
    {"lens", true, false, sh_draw_lens},
    {"attribute", true, false, sh_draw_attribute},
    {"surprise", true, false, sh_draw_surprise},
    {"compare", true, false, sh_draw_compare},
    {"next", true, false, sh_draw_next},
    {"metric", false, false, draw_metric},
};
#define KIND_CHOICES                                                                               \
    "usage lorenz perplexity similarity map drift code patch cache growth attn attn-map "          \
    "attn-grid attn-rows mass distance stream gates lens attribute surprise compare next metric"

/* The module-heads of the second positional, all without it, or the first for pictures of one. */
static enum sh_rc pick_heads(struct sh_plotting *p, const struct kind *kind)
{
    bool given = sh_arg_count(p->a) > 1;
    const char *text = given ? sh_arg(p->a, 1) : kind->one ? "0.1" : "all";
    enum sh_rc rc = sh_heads_parse(p->sh, p->m, text, sh_arg_word(p->a, 1), &p->heads);
    if (rc != SH_OK || !kind->one)
        return rc;
    if (given && p->heads.v[0].module != p->heads.v[p->heads.n - 1].module)
        return sh_bad_arg(p->sh, sh_arg_word(p->a, 1), "%s shows one module", kind->name);
    p->heads.n = 1;
    return SH_OK;
}

/* *out stays NULL for what is shown on the screen alone. */
static enum sh_rc draw(struct sh_plotting *p, const struct kind *kind, struct viz_canvas **out)
{
    struct vq_err err = {0};
    enum sh_rc rc = SH_OK;
    *out = NULL;
    if (kind->of_model) {
        p->m = sh_model_current(p->sh);
        if (!p->m)
            return sh_failf(p->sh, "no model is loaded: load one first");
        rc = pick_heads(p, kind);
    } else if (!sh_opt_given(p->a, "run") || !sh_opt_given(p->a, "metric")) {
        return sh_bad_arg(p->sh, 0, "metric needs --run ID and --metric NAME");
    }
    if (rc == SH_OK && kind->draw(p, out, &err) != VQ_OK)
        rc = p->said != SH_OK ? p->said : sh_fail(p->sh, &err);
    return rc;
}

static enum sh_rc plot(struct sh_plotting *p, const struct kind *kind)
{
    struct viz_canvas *c;
    struct sh_notes notes;
    enum sh_rc rc = draw(p, kind, &c);
    if (rc != SH_OK || !c)
        return rc;
    sh_notes_begin(&notes, p->sh, p->m);
    sh_notes_add(&notes, "Title", p->title);
    sh_notes_add(&notes, "run", p->run);
    /* Curves have been shown as text. */
    return kind->of_model ? sh_picture_finish(p->sh, c, sh_opt_text(p->a, "out"), &notes)
                          : sh_picture_save(p->sh, c, sh_opt_text(p->a, "out"), &notes);
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static struct viz_chart chart_of(const struct sh_args *a)
{
    return (struct viz_chart){.width = (size_t)sh_opt_int(a, "width"),
                              .height = (size_t)sh_opt_int(a, "height"),
                              .log_y = sh_opt_flag(a, "log"),
                              .log_z = sh_opt_flag(a, "log"),
                              .colormap = sh_opt_text(a, "colormap")};
}

static enum sh_rc run_plot(struct sh *sh, const struct sh_args *a)
{
    struct sh_plotting p = {.sh = sh, .a = a};
    const struct kind *kind = find_kind(sh_arg(a, 0));
    if (!kind)
        return sh_bad_arg(sh, sh_arg_word(a, 0), "expected one of " KIND_CHOICES);
    bool shown = !kind->of_model && sh_out_terminal(sh);
    if (!sh_opt_given(a, "out") && !shown)
        return sh_bad_arg(sh, 0, "where to? give --out F.png, or F.svg");
    if (sh_opt_given(a, "out") && !sh_picture_path(sh_opt_text(a, "out")))
        return sh_bad_arg(sh, sh_opt_word(a, "out"),
                          "a picture's name ends in .png or .svg; found '%s'",
                          sh_opt_text(a, "out"));
    p.chart = chart_of(a);
    enum sh_rc rc = plot(&p, kind);
    sh_heads_release(&p.heads);
    return rc;
}

static const struct sh_opt plot_opts[] = {
    {.name = "out",
     .letter = 'o',
     .kind = SH_OUTPATH,
     .value = "F.png|F.svg",
     .help = "the file: .png or .svg"},
    {.name = "width", .kind = SH_INT, .min = 64, .max = 8192, .help = "pixels (default: 960)"},
    {.name = "height", .kind = SH_INT, .min = 64, .max = 8192, .help = "pixels (default: 540)"},
    {.name = "log", .kind = SH_FLAG, .help = "logarithmic counts"},
    {.name = "colormap",
     .kind = SH_CHOICE,
     .choices = "aurora ember polar gray",
     .help = "colours of a heat map"},
    SH_OVER_OPT,
    {.name = "seen", .kind = SH_FLAG, .help = "counts over what was fed in this session"},
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
    {.name = "against",
     .kind = SH_PATH,
     .value = "MODEL",
     .help = "drift: since this model or checkpoint; compare: with this model"},
    {.name = "code",
     .kind = SH_INT,
     .value = "CODE",
     .min = 0,
     .max = -1,
     .help = "code, patch: this one"},
    {.name = "radius", .kind = SH_INT, .def = "4", .min = 0, .max = 31, .help = "patch: pixels"},
    SH_SPAN_OPT,
    SH_INPUT_OPTS,
    {.name = "run", .kind = SH_RUN, .value = "RUN", .help = "metric: of this run", .many = true},
    {.name = "metric",
     .kind = SH_METRIC,
     .value = "NAME",
     .help = "metric: which one",
     .many = true},
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
                                            "plot lorenz --out lorenz.png",
                                            "plot perplexity --out perplexity.png",
                                            "plot map 1.1 --out map.png",
                                            "plot attn-map 1.1 --span 0-9 --out attn-map.png",
                                            "plot mass --file README.md --out mass.png",
                                            "plot lens --span 0-9 --out lens.png",
                                            "plot surprise --out surprise.svg",
                                            NULL};
const struct sh_cmd cmd_plot = {
    .name = "plot",
    .group = "export",
    .args = "WHAT [MODULES] --out F.png|F.svg",
    .summary = "draw codes, the cache, attention, what modules do, or curves of runs",
    .detail =
        "usage       how often each code is used: bars for one module, a heat map for several\n"
        "lorenz      how evenly: the share of use that the least used codes carry\n"
        "perplexity  layers and attentions at a glance: how many codes are in even use\n"
        "similarity  cosines between the codes of one module\n"
        "map         codes of one module on their two widest directions, sized by use\n"
        "drift       how far codes have moved since --against MODEL\n"
        "code        members of one code (--code): errors above, positions below\n"
        "patch       pictures: mean neighbourhoods of all codes, or of --code\n"
        "cache       how many positions each code of the aggregate holds\n"
        "growth      the same over time: codes of one module, or codes in use of several\n"
        "attn        the softmax of one query (--pos): window above, aggregate below\n"
        "attn-map    weights of a --span of queries on every position\n"
        "attn-grid   pictures: the weights of one query (--pos) over the picture\n"
        "attn-rows   weights of one query (--pos) in every module\n"
        "mass        weight on the aggregate, a bar for each module\n"
        "distance    weight by distance\n"
        "stream      lengths of the residual stream and of what modules add\n"
        "gates       part of the gates that is closed\n"
        "lens        probability of the next token after each module, over a --span\n"
        "attribute   what adds to the logit of the likeliest token after --pos\n"
        "surprise    bits of each token, or bits per pixel of a picture\n"
        "compare     bits by which --against MODEL knows each token of a text better\n"
        "next        the likeliest next tokens\n"
        "metric      curves of recorded runs: --run and --metric, each of them as often as you "
        "like; on a terminal they are shown as text, and --out is not needed\n\n"
        "Counts are the checkpoint's unless --seen or --over says otherwise. Where tokens are run, "
        "they are the session's, or those of --text, --file, --tokens.\n\n"
        "A PNG carries model, hash and run as text chunks, an SVG as metadata. On a terminal the "
        "picture is shown too (set preview).",
    .examples = plot_examples,
    .min_args = 1,
    .max_args = 2,
    .kinds = {SH_CHOICE, SH_TEXT},
    .pos_choices = KIND_CHOICES,
    .opts = plot_opts,
    .run = run_plot,
};

/* ---- charts for other commands ---- */

static enum sh_rc draw_chart(struct sh *sh, const struct sh_args *a, void *ud)
{
    struct sh_chart *out = ud;
    struct sh_plotting p = {.sh = sh, .a = a, .chart = chart_of(a), .unseen = true};
    const struct kind *kind = find_kind(sh_arg(a, 0));
    enum sh_rc rc = kind ? draw(&p, kind, &out->canvas) : sh_failf(sh, "no picture is called that");
    snprintf(out->title, sizeof(out->title), "%s", p.title);
    sh_heads_release(&p.heads);
    return rc;
}

enum sh_rc sh_plot_chart(struct sh *sh, const char *arguments, struct sh_chart *out)
{
    char *line = NULL;
    *out = (struct sh_chart){0};
    if (asprintf(&line, "plot %s --out none.png", arguments) < 0)
        return sh_failf(sh, "out of memory");
    enum sh_rc rc = sh_inner(sh, line, draw_chart, out);
    free(line);
    return rc;
}
