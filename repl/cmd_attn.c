/*
 * The command attn: what queries attend to. One query with its codes as they stand in the softmax;
 * and, over a run of tokens, weights of single positions, maps, mass and distances (attn_run.c).
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/attention.h"
#include "core/inspect/patch.h"
#include "core/inspect/surprise.h"
#include "repl/array.h"
#include "repl/attn_run.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/split.h"
#include "repl/tokens.h"
#include "repl/tracked.h"

/* Rows of `attn` that a screen gets unless told otherwise; files and pipes get all. */
#define SCREEN_TOP 20

struct looking {
    struct sh *sh;
    struct sh_model *m;
    const struct vq_config *c;
    const struct vq_vocab *vocab;
    const struct vq_session *session;
    int row;
};

static void put_place(struct sh *sh, struct sh_mod at)
{
    char name[32];
    sh_row(sh);
    sh_str(sh, "module", sh_module_name(at.module, -1, name));
    sh_int(sh, "head", at.head);
}

/* The --top that was asked for, else what a screen takes; 0: all. */
static size_t top_rows(const struct sh *sh, const struct sh_args *a)
{
    if (sh_opt_given(a, "top"))
        return (size_t)sh_opt_int(a, "top");
    return sh_out_format(sh) == SH_TABLE || sh_out_format(sh) == SH_BOX ? SCREEN_TOP : 0;
}

/* ---- one query, codes as they are ---- */

static void attn_row(const struct looking *l, const struct vq_attention_row *r, int head,
                     size_t history_row)
{
    struct sh *sh = l->sh;
    sh_row(sh);
    sh_int(sh, "head", head);
    sh_str(sh, "where", vq_attention_where_name(r->where));
    sh_int(sh, "position_or_code", r->at);
    if (r->where == VQ_AT_WINDOW)
        sh_put_token(sh, l->vocab, sh_token_at(l->m, history_row, r->at));
    sh_int(sh, "code", r->code);
    sh_int(sh, "count", r->count);
    sh_f64(sh, "weight", r->weight);
    sh_f64(sh, "score", r->score);
}

/* The rows of one head; *shown collects the weight that `top` rows carry. */
static enum vq_status attn_head(const struct looking *l, struct sh_mod at, size_t top,
                                size_t history_row, struct vq_attention_summary *sum, double *shown,
                                struct vq_err *err)
{
    struct vq_attention_view v;
    size_t S = (size_t)l->c->n_code;
    enum vq_status status = vq_session_attention(l->session, at.module, at.head, l->row, &v, err);
    if (status != VQ_OK)
        return status;
    struct vq_attention_row *rows = vq_alloc((size_t)v.window + S, sizeof(*rows));
    if (!rows)
        return vq_nomem(err, "attention", (size_t)v.window + S, sizeof(*rows));
    size_t n = vq_attention_rows(rows, &v, S, VQ_ATTENTION_BY_WEIGHT);
    vq_attention_summarise(sum, &v, S);
    *shown = 0.0;
    for (size_t i = 0; i < n && (top == 0 || i < top); i++) {
        attn_row(l, &rows[i], at.head, history_row);
        *shown += rows[i].weight;
    }
    free(rows);
    return VQ_OK;
}

static enum sh_rc list_attn(const struct looking *l, const struct sh_heads *heads, size_t top,
                            size_t history_row)
{
    struct vq_err err = {0};
    struct sh *sh = l->sh;
    struct vq_attention_summary sum = {0};
    double shown = 1.0;
    sh_list(sh, "head where position_or_code token code count weight score");
    if (l->c->n_head == 1)
        sh_columns_hidden(sh, "head");
    for (size_t i = 0; i < heads->n; i++)
        if (attn_head(l, heads->v[i], top, history_row, &sum, &shown, &err) != VQ_OK)
            return sh_fail(sh, &err);
    enum sh_rc rc = sh_end(sh);
    if (heads->n == 1)
        sh_note(sh,
                "query at position %lld: %.4g on the window, %.4g on the aggregate, entropy %.3g "
                "nats; the rows shown carry %.4g of 1",
                (long long)sum.query, sum.window, sum.aggregate, sum.entropy, shown);
    return rc;
}

static enum sh_rc show_query(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                             const struct sh_heads *heads)
{
    struct sh_query q;
    if (sh_opt_given(a, "out"))
        return sh_bad_arg(
            sh, sh_opt_word(a, "out"),
            "--out goes with --per-token, --span, --mass or --distance; `export attn` "
            "writes a query as it is");
    if (sh_input_given(a))
        return sh_bad_arg(sh, 0, "a query of other tokens is shown with --per-token");
    enum sh_rc rc = sh_query_find(sh, a, m, &q);
    if (rc != SH_OK)
        return rc;
    struct looking l = {.sh = sh,
                        .m = m,
                        .c = vq_model_config(m->model),
                        .vocab = vq_model_vocab(m->model),
                        .session = q.session,
                        .row = q.row};
    rc = list_attn(&l, heads, top_rows(sh, a), (size_t)sh_opt_int(a, "row"));
    sh_query_release(&q);
    return rc;
}

/* ---- one query, position by position ---- */

static void put_pixel(struct sh *sh, int64_t position)
{
    static const char *const names[] = {"red", "green", "blue"};
    int row, column, channel;
    if (!vq_pixel_at(position, &row, &column, &channel))
        return;
    sh_int(sh, "row", row);
    sh_int(sh, "column", column);
    sh_str(sh, "channel", names[channel]);
}

/* The heaviest positions of one head; returns the weight they carry of the *total. */
static double list_positions(const struct sh_attn_run *r, size_t i, size_t top, const size_t *order,
                             double *total)
{
    struct sh *sh = r->sh;
    const struct vq_vocab *v = vq_model_vocab(r->m->model);
    const float *w = r->map + i * r->keys;
    double shown = 0.0;
    *total = 0.0;
    for (size_t p = 0; p < r->keys; p++)
        *total += w[p];
    for (size_t k = 0; k < top; k++) {
        size_t p = order[k];
        put_place(sh, r->heads->v[i]);
        sh_uint(sh, "position", p);
        sh_put_token(sh, v, sh_tokens_input(&r->t, p));
        if (vq_vocab_is_image(v))
            put_pixel(sh, (int64_t)p);
        sh_int(sh, "distance", r->to - (int64_t)p);
        sh_str(sh, "where", r->to - (int64_t)p <= r->c->mem_len ? "window" : "aggregate");
        sh_int(sh, "code", r->codes[i * r->keys + p]);
        sh_f32(sh, "weight", w[p]);
        shown += w[p];
    }
    return shown;
}

static enum sh_rc show_positions(struct sh_attn_run *r, const struct sh_args *a)
{
    struct sh *sh = r->sh;
    const size_t shape[] = {r->heads->n, r->keys};
    size_t top = top_rows(sh, a);
    double shown = 0.0, total = 0.0;
    if (sh_opt_given(a, "out"))
        return sh_array_write(sh, sh_opt_text(a, "out"), VQ_NPY_F32, 2, shape, r->map);
    top = top == 0 || top > r->keys ? r->keys : top;
    size_t *order = vq_alloc(top, sizeof(*order));
    if (!order)
        return sh_failf(sh, "out of memory");
    sh_list(sh, vq_vocab_is_image(vq_model_vocab(r->m->model))
                    ? "module head position token row column channel distance where code weight"
                    : "module head position token distance where code weight");
    if (r->heads->n == 1)
        sh_columns_hidden(sh, "module head");
    for (size_t i = 0; i < r->heads->n; i++) {
        vq_largest(order, top, r->map + i * r->keys, r->keys);
        shown = list_positions(r, i, top, order, &total);
    }
    free(order);
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK && r->heads->n == 1)
        sh_note(sh,
                "query at position %lld; positions behind the window share their code's weight "
                "equally; the rows shown carry %.6g of %.6g",
                (long long)r->to, shown, total);
    return rc;
}

/* ---- a span of queries ---- */

static void list_span_row(const struct sh_attn_run *r, size_t i, size_t q)
{
    struct sh *sh = r->sh;
    size_t queries = (size_t)(r->to - r->from + 1), best;
    const float *w = r->map + (i * queries + q) * r->keys;
    const struct vq_mass *mass = &r->each[i * queries + q];
    vq_largest(&best, 1, w, r->keys);
    sh_row(sh);
    sh_int(sh, "head", r->heads->v[i].head);
    sh_int(sh, "query", r->from + (int64_t)q);
    sh_put_token(sh, vq_model_vocab(r->m->model), sh_tokens_input(&r->t, (size_t)r->from + q));
    sh_f64(sh, "own", mass->own);
    sh_f64(sh, "window", mass->window);
    sh_f64(sh, "aggregate", mass->aggregate);
    sh_f64(sh, "distance", mass->distance);
    sh_f64(sh, "entropy", mass->entropy);
    sh_uint(sh, "top_position", best);
    sh_f32(sh, "top_weight", w[best]);
}

static enum sh_rc show_span(struct sh_attn_run *r, const struct sh_args *a)
{
    struct sh *sh = r->sh;
    size_t queries = (size_t)(r->to - r->from + 1);
    const size_t shape[] = {r->heads->n, queries, r->keys};
    if (sh_opt_given(a, "out"))
        return sh_array_write(sh, sh_opt_text(a, "out"), VQ_NPY_F32, 3, shape, r->map);
    sh_list(sh, "head query token own window aggregate distance entropy top_position top_weight");
    if (r->c->n_head == 1)
        sh_columns_hidden(sh, "head");
    for (size_t i = 0; i < r->heads->n * queries; i++)
        list_span_row(r, i / queries, i % queries);
    return sh_end(sh);
}

/* ---- over a text ---- */

enum { N_MASS = 5 };
static const char *const mass_names[N_MASS] = {"own", "window", "aggregate", "distance", "entropy"};

static enum sh_rc show_mass(struct sh_attn_run *r, const struct sh_args *a)
{
    struct sh *sh = r->sh;
    const size_t shape[] = {r->heads->n, N_MASS};
    double *x = vq_alloc(N_MASS * shape[0], sizeof(*x));
    if (!x)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < shape[0]; i++) {
        const struct vq_mass *m = &r->mass[i];
        const double sum[N_MASS] = {m->own, m->window, m->aggregate, m->distance, m->entropy};
        for (size_t k = 0; k < N_MASS; k++)
            x[N_MASS * i + k] = sum[k] / (double)m->queries;
    }
    if (sh_opt_given(a, "out")) {
        enum sh_rc rc = sh_array_write(sh, sh_opt_text(a, "out"), VQ_NPY_F64, 2, shape, x);
        free(x);
        return rc;
    }
    sh_list(sh, "module head queries own window aggregate distance entropy");
    for (size_t i = 0; i < shape[0]; i++) {
        put_place(sh, r->heads->v[i]);
        sh_uint(sh, "queries", r->mass[i].queries);
        for (size_t k = 0; k < N_MASS; k++)
            sh_f64(sh, mass_names[k], x[N_MASS * i + k]);
    }
    free(x);
    return sh_end(sh);
}

/* Bins that hold any position. */
static size_t bins_used(const struct vq_distances *d)
{
    size_t n = 0;
    while (n < VQ_DISTANCE_BINS && d->positions[n])
        n++;
    return n;
}

static void list_bin(const struct sh_attn_run *r, size_t i, size_t bin)
{
    struct sh *sh = r->sh;
    const struct vq_distances *d = &r->distances[i];
    put_place(sh, r->heads->v[i]);
    sh_int(sh, "from", bin ? (int64_t)1 << (bin - 1) : 0);
    sh_int(sh, "to", bin ? ((int64_t)1 << bin) - 1 : 0);
    sh_f64(sh, "weight", d->weight[bin] / (double)d->queries);
    sh_f64(sh, "weight_per_position", d->weight[bin] / (double)d->positions[bin]);
    sh_uint(sh, "pairs", d->positions[bin]);
}

static enum sh_rc write_bins(const struct sh_attn_run *r, const char *path, size_t bins)
{
    const size_t shape[] = {r->heads->n, bins};
    double *x = vq_alloc(shape[0] * bins, sizeof(*x));
    for (size_t i = 0; x && i < shape[0] * bins; i++) {
        const struct vq_distances *d = &r->distances[i / bins];
        x[i] = d->weight[i % bins] / (double)d->queries;
    }
    enum sh_rc rc =
        x ? sh_array_write(r->sh, path, VQ_NPY_F64, 2, shape, x) : sh_failf(r->sh, "out of memory");
    free(x);
    return rc;
}

static enum sh_rc show_distances(struct sh_attn_run *r, const struct sh_args *a)
{
    size_t bins = bins_used(&r->distances[0]);
    if (sh_opt_given(a, "out"))
        return write_bins(r, sh_opt_text(a, "out"), bins);
    sh_list(r->sh, "module head from to weight weight_per_position pairs");
    for (size_t i = 0; i < r->heads->n * bins; i++)
        list_bin(r, i / bins, i % bins);
    return sh_end(r->sh);
}

/* ---- the command ---- */

/* What is shown instead of one query as it is. */
static const struct view {
    const char *option;
    bool single; /* of one module */
    unsigned what;
    enum sh_rc (*show)(struct sh_attn_run *r, const struct sh_args *a);
} views[] = {{"per-token", false, SH_ATTN_MAP, show_positions},
             {"span", true, SH_ATTN_MAP | SH_ATTN_EACH, show_span},
             {"mass", false, SH_ATTN_MASS, show_mass},
             {"distance", false, SH_ATTN_DISTANCES, show_distances}};

static enum sh_rc check_modules(struct sh *sh, const struct sh_args *a)
{
    char usage[256];
    const struct sh_value *given = sh_arg_value(a, 0);
    if (!given)
        return sh_bad_arg(sh, sh->words->n, "usage: %s",
                          sh_cmd_usage(a->cmd, usage, sizeof(usage)));
    if (given->n_mod != 1)
        return sh_bad_arg(sh, sh_arg_word(a, 0),
                          "expected one module, such as 0.1 or 3.2:0, found '%s'", sh_arg(a, 0));
    return SH_OK;
}

static enum sh_rc pick_view(struct sh *sh, const struct sh_args *a, const struct view **out)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (!sh_opt_given(a, views[i].option))
            continue;
        if (*out)
            return sh_bad_arg(sh, sh_opt_word(a, views[i].option), "give --%s or --%s, not both",
                              (*out)->option, views[i].option);
        *out = &views[i];
    }
    if (sh_opt_given(a, "pos") && *out && (*out)->show != show_positions)
        return sh_bad_arg(sh, sh_opt_word(a, "pos"), "--%s is of many queries", (*out)->option);
    return !*out || (*out)->single ? check_modules(sh, a) : SH_OK;
}

static enum sh_rc show_run(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                           const struct sh_heads *heads, const struct view *view)
{
    struct sh_attn_run r = {.sh = sh, .m = m, .heads = heads};
    const char *span = view->show == show_span        ? sh_opt_text(a, "span")
                       : view->show == show_positions ? ""
                                                      : NULL;
    enum sh_rc rc = sh_attn_run(&r, a, span, view->what);
    if (rc == SH_OK)
        rc = view->show(&r, a);
    sh_attn_release(&r);
    return rc;
}

static enum sh_rc run_attn(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    const struct view *view;
    struct sh_heads heads;
    enum sh_rc rc = pick_view(sh, a, &view);
    if (rc == SH_OK)
        rc = sh_heads_pick(sh, a, m, &heads);
    if (rc != SH_OK)
        return rc;
    rc = view ? show_run(sh, a, m, &heads, view) : show_query(sh, a, m, &heads);
    sh_heads_release(&heads);
    return rc;
}

static const struct sh_opt attn_opts[] = {
    SH_QUERY_OPTS,
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .min = 0,
     .max = 1e9,
     .help = "the N heaviest rows; 0: all (default: 20 on a screen, else all)"},
    {.name = "per-token", .kind = SH_FLAG, .help = "the weight of every past token by itself"},
    SH_SPAN_OPT,
    {.name = "mass",
     .kind = SH_FLAG,
     .help = "weight inside and behind the window, of all queries"},
    {.name = "distance", .kind = SH_FLAG, .help = "weight by distance, of all queries"},
    SH_INPUT_OPTS,
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const attn_examples[] = {"attn 0.1",
                                            "attn 1.2 --pos 5 --top 3",
                                            "attn 1.1 --per-token --file README.md --top 5",
                                            "attn 1.1 --span 3-8 --text \"Call me Ishmael.\"",
                                            "attn --mass --file README.md",
                                            "attn 0 --distance --file README.md",
                                            NULL};
const struct sh_cmd cmd_attn = {
    .name = "attn",
    .group = "inspect",
    .args = "MODULE | --per-token|--mass|--distance [MODULES]",
    .summary = "show what queries attend to, over the whole past",
    .detail =
        "One softmax over every past token: those at most mem_len back one by one, older "
        "ones together under their code (count says how many). Weights sum to 1. score is "
        "the logit before the softmax; of a code it includes log(count). An earlier --pos "
        "runs the session's tokens again up to it.\n\n"
        "--per-token shares each code's weight out over the positions in it: equally, since "
        "equal keys have equal scores; so all positions sum to 1, and it is exact. --span A-B "
        "does so for several queries (its rows tell how each looks back; --out writes the "
        "map). --mass and --distance average over all queries of the session's tokens or of "
        "--text, --file, --tokens: own is the weight on the query's own position, window "
        "that on the last mem_len and its own, aggregate the rest, distance the mean "
        "distance; bins of distances are 0, 1, 2-3, 4-7 and so on.\n\n"
        "--out writes float32 [rows,keys] or [heads,queries,keys], for --mass float64 "
        "[rows,5] (own window aggregate distance entropy), for --distance [rows,bins].",
    .examples = attn_examples,
    .max_args = 1,
    .kinds = {SH_MODULES},
    .needs = SH_NEED_MODEL,
    .opts = attn_opts,
    .run = run_attn,
};
