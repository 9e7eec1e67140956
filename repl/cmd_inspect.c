/*
 * The command codebook: its summary and nearest pairs; the other views are codebook_views.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/codebook.h"
#include "core/inspect/usage.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/codebook_views.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/tokens.h"
#include "repl/tracked.h"

/* The trace that --over or --seen ask for, in *out, to be freed when *owned; NULL in *out for the
 * checkpoint's own counts. */
static enum sh_rc find_trace(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                             struct vq_trace **out, bool *owned)
{
    if (sh_opt_given(a, "over") && sh_opt_flag(a, "seen"))
        return sh_bad_arg(sh, sh_opt_word(a, "seen"), "give --over or --seen, not both");
    enum sh_rc rc = sh_trace_pick(sh, a, m, out, owned);
    if (rc != SH_OK || *owned)
        return rc;
    if (sh_opt_flag(a, "seen") && !*out)
        return sh_failf(sh, "nothing was fed in this session: feed a text first");
    *out = sh_opt_flag(a, "seen") ? *out : NULL;
    return SH_OK;
}

/* ---- codebook ---- */

/* One row of the listing, computed before anything is printed so that rows can be sorted. */
struct code_row {
    int module, head;
    struct vq_counts counts;
    struct vq_geometry geometry;
    double gini, rel_err;
};

struct column {
    const char *name;
    double (*get)(const struct code_row *r);
};

static double get_module(const struct code_row *r)
{
    return r->module;
}
static double get_used(const struct code_row *r)
{
    return (double)r->counts.used;
}
static double get_dead(const struct code_row *r)
{
    return (double)r->counts.dead;
}
static double get_entropy(const struct code_row *r)
{
    return r->counts.entropy;
}
static double get_perplexity(const struct code_row *r)
{
    return r->counts.perplexity;
}
static double get_count_max(const struct code_row *r)
{
    return r->counts.count.max;
}
static double get_norm_mean(const struct code_row *r)
{
    return r->geometry.norm.mean;
}
static double get_sim_max(const struct code_row *r)
{
    return r->geometry.sim.max;
}
static double get_dist_min(const struct code_row *r)
{
    return r->geometry.dist.min;
}
static double get_gini(const struct code_row *r)
{
    return r->gini;
}
static double get_rel_err(const struct code_row *r)
{
    return r->rel_err;
}

/* What --sort takes, largest first. */
static const struct column sortable[] = {
    {"module", get_module},
    {"used", get_used},
    {"dead", get_dead},
    {"entropy", get_entropy},
    {"perplexity", get_perplexity},
    {"count_max", get_count_max},
    {"norm_mean", get_norm_mean},
    {"sim_max", get_sim_max},
    {"dist_min", get_dist_min},
    {"rel_err_mean", get_rel_err},
    {"gini", get_gini},
};
#define SORT_CHOICES                                                                               \
    "module used dead entropy perplexity count_max norm_mean sim_max dist_min rel_err_mean gini"

static void sort_rows(struct code_row *rows, size_t n, const char *by)
{
    const struct column *c = &sortable[0];
    for (size_t i = 0; i < sizeof(sortable) / sizeof(sortable[0]); i++)
        if (strcmp(sortable[i].name, by) == 0)
            c = &sortable[i];
    if (c == &sortable[0])
        return;
    for (size_t i = 1; i < n; i++) { /* stable, and few rows */
        struct code_row r = rows[i];
        size_t j = i;
        for (; j > 0 && c->get(&rows[j - 1]) < c->get(&r); j--)
            rows[j] = rows[j - 1];
        rows[j] = r;
    }
}

/* Fills one row. `share` has room for S + 1 numbers. */
static enum vq_status fill_row(const struct sh_codebook_view *v, struct code_row *r,
                               struct sh_codebook *c, double *count, double *share,
                               struct vq_err *err)
{
    const struct vq_trace *seen = v->trace ? v->trace : sh_trace(v->m);
    enum vq_status status =
        sh_codebook_counts(v, (struct sh_mod){r->module, r->head}, c, count, err);
    if (status == VQ_OK)
        status = vq_lorenz(share, count, v->S, err);
    if (status != VQ_OK)
        return status;
    vq_counts_summary(&r->counts, count, v->S, v->trace ? 0.0 : VQ_COUNT_CLIP);
    r->gini = vq_gini(share, v->S);
    r->rel_err = seen ? vq_trace_error(seen, r->module, r->head) : NAN;
    return vq_codebook_geometry(&r->geometry, c->C + (size_t)r->head * v->S * c->K, v->S, c->K,
                                sh_cancel(v->sh), err);
}

/* All rows; their counts into count[n, S]. */
static enum vq_status fill_rows(const struct sh_codebook_view *v, struct code_row *rows,
                                double *count, struct vq_err *err)
{
    struct sh_codebook c = {0};
    double *share = vq_alloc(v->S + 1, sizeof(*share));
    enum vq_status status = share ? VQ_OK : vq_nomem(err, "counts", v->S, sizeof(*share));
    for (size_t i = 0; status == VQ_OK && i < v->heads->n; i++) {
        rows[i].module = v->heads->v[i].module;
        rows[i].head = v->heads->v[i].head;
        status = vq_cancelled(sh_cancel(v->sh))
                     ? vq_fail(err, VQ_ECANCELLED, "interrupted")
                     : fill_row(v, &rows[i], &c, count + i * v->S, share, err);
    }
    sh_codebook_release(&c);
    free(share);
    return status;
}

static void real_or_null(struct sh *sh, const char *key, double value)
{
    if (isnan(value))
        sh_null(sh, key);
    else
        sh_f64(sh, key, value);
}

static enum sh_rc list_rows(struct sh *sh, const struct code_row *rows, size_t n)
{
    char name[32];
    sh_list(sh, "module head codes used dead entropy perplexity count_min count_mean count_max "
                "norm_mean sim_max dist_min rel_err_mean gini");
    for (size_t i = 0; i < n; i++) {
        const struct code_row *r = &rows[i];
        sh_row(sh);
        sh_str(sh, "module", sh_module_name(r->module, -1, name));
        sh_int(sh, "head", r->head);
        sh_uint(sh, "codes", r->counts.codes);
        sh_uint(sh, "used", r->counts.used);
        sh_uint(sh, "dead", r->counts.dead);
        sh_f64(sh, "entropy", r->counts.entropy);
        sh_f64(sh, "perplexity", r->counts.perplexity);
        sh_f64(sh, "count_min", r->counts.count.min);
        sh_f64(sh, "count_mean", r->counts.count.mean);
        sh_f64(sh, "count_max", r->counts.count.max);
        sh_f64(sh, "norm_mean", r->geometry.norm.mean);
        real_or_null(sh, "sim_max", r->geometry.sim.max);
        real_or_null(sh, "dist_min", r->geometry.dist.min);
        real_or_null(sh, "rel_err_mean", r->rel_err);
        sh_f64(sh, "gini", r->gini);
    }
    return sh_end(sh);
}

/* The nearest pairs of codes of each module-head. */
static enum sh_rc list_pairs(struct sh *sh, struct sh_model *m, const struct sh_heads *heads,
                             size_t k)
{
    struct sh_codebook c = {0};
    struct vq_err err = {0};
    enum vq_status status = VQ_OK;
    char name[32];
    struct vq_code_pair *pairs = vq_alloc(k, sizeof(*pairs));
    if (!pairs)
        return sh_failf(sh, "out of memory");
    sh_list(sh, "module head a b dist sim");
    for (size_t i = 0; status == VQ_OK && i < heads->n; i++) {
        size_t n = k;
        struct sh_mod at = heads->v[i];
        if ((status = sh_codebook_read(m, at.module, &c, &err)) == VQ_OK)
            status = vq_codebook_pairs(pairs, &n, VQ_BY_DISTANCE, c.C + (size_t)at.head * c.S * c.K,
                                       c.S, c.K, sh_cancel(sh), &err);
        for (size_t j = 0; status == VQ_OK && j < n; j++) {
            sh_row(sh);
            sh_str(sh, "module", sh_module_name(at.module, -1, name));
            sh_int(sh, "head", at.head);
            sh_uint(sh, "a", pairs[j].a);
            sh_uint(sh, "b", pairs[j].b);
            sh_f64(sh, "dist", pairs[j].dist);
            sh_f64(sh, "sim", pairs[j].sim);
        }
    }
    sh_codebook_release(&c);
    free(pairs);
    return status == VQ_OK ? sh_end(sh) : sh_fail(sh, &err);
}

/* The counts themselves to --out, or a row for each module-head. */
static enum sh_rc summarise(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct sh *sh = v->sh;
    const size_t shape[] = {v->heads->n, v->S};
    struct code_row *rows = vq_calloc(shape[0], sizeof(*rows));
    double *count = vq_alloc(shape[0] * shape[1], sizeof(*count));
    enum vq_status status = rows && count ? fill_rows(v, rows, count, &err)
                                          : vq_nomem(&err, "rows", shape[0], shape[1]);
    enum sh_rc rc = SH_OK;
    if (status != VQ_OK) {
        rc = sh_fail(sh, &err);
    } else if (sh_opt_given(v->a, "out")) {
        rc = sh_array_write(sh, sh_opt_text(v->a, "out"), VQ_NPY_F64, 2, shape, count);
    } else {
        sort_rows(rows, shape[0], sh_opt_text(v->a, "sort"));
        rc = list_rows(sh, rows, shape[0]);
    }
    free(rows);
    free(count);
    return rc;
}

static enum sh_rc list_nearest(const struct sh_codebook_view *v)
{
    if (sh_opt_given(v->a, "out"))
        return sh_bad_arg(v->sh, sh_opt_word(v->a, "out"), "pairs are listed, not written");
    return list_pairs(v->sh, v->m, v->heads, (size_t)sh_opt_int(v->a, "pairs"));
}

/* The views; the summary has no option. */
static const struct view {
    const char *option;
    enum sh_rc (*show)(const struct sh_codebook_view *v);
} views[] = {{"pairs", list_nearest},    {"lorenz", sh_codebook_lorenz},
             {"map", sh_codebook_map},   {"similarity", sh_codebook_similarity},
             {"dead", sh_codebook_dead}, {"against", sh_codebook_drift}};

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
    if (sh_opt_flag(a, "codes") && !sh_opt_given(a, "against"))
        return sh_bad_arg(sh, sh_opt_word(a, "codes"), "--codes goes with --against");
    if (sh_opt_given(a, "dead") && sh_opt_given(a, "out"))
        return sh_bad_arg(sh, sh_opt_word(a, "out"), "dead codes are listed, not written");
    return SH_OK;
}

static enum sh_rc codebook(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                           const struct sh_heads *heads)
{
    struct sh_codebook_view v = {
        .sh = sh, .a = a, .m = m, .heads = heads, .S = (size_t)vq_model_config(m->model)->n_code};
    const struct view *view;
    struct vq_trace *trace = NULL;
    bool owned = false;
    enum sh_rc rc = pick_view(sh, a, &view);
    if (rc == SH_OK)
        rc = find_trace(sh, a, m, &trace, &owned);
    if (rc != SH_OK)
        return rc;
    v.trace = trace;
    rc = view ? view->show(&v) : summarise(&v);
    if (owned)
        vq_trace_free(trace);
    return rc;
}

static enum sh_rc run_codebook(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct sh_heads heads;
    enum sh_rc rc = sh_heads_pick(sh, a, m, &heads);
    if (rc != SH_OK)
        return rc;
    rc = codebook(sh, a, m, &heads);
    sh_heads_release(&heads);
    return rc;
}

static const struct sh_opt codebook_opts[] = {
    {.name = "over",
     .kind = SH_PATH,
     .help = "count over this text, picture, folder of pictures or .npy file"},
    {.name = "seen", .kind = SH_FLAG, .help = "count over what was fed in this session"},
    {.name = "sort",
     .kind = SH_CHOICE,
     .def = "module",
     .choices = SORT_CHOICES,
     .help = "order of the rows, largest first"},
    {.name = "pairs",
     .kind = SH_INT,
     .value = "K",
     .min = 1,
     .max = 1e6,
     .help = "list the K nearest pairs of codes instead"},
    {.name = "lorenz", .kind = SH_FLAG, .help = "how evenly use is shared out among the codes"},
    {.name = "map",
     .kind = SH_FLAG,
     .help = "where codes lie on their two widest directions (PCA)"},
    {.name = "similarity",
     .kind = SH_FLAG,
     .help = "codes in an order that puts like ones together"},
    {.name = "dead", .kind = SH_FLAG, .help = "dead codes, and how far keys are from them"},
    {.name = "against",
     .kind = SH_PATH,
     .value = "MODEL",
     .help = "drift since another checkpoint: a loaded model's name, or a path"},
    {.name = "codes", .kind = SH_FLAG, .help = "with --against: a row for each code"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const codebook_examples[] = {
    "codebook",
    "codebook 0.1-1.2 --sort dead",
    "codebook all --over README.md",
    "codebook 0.1 --pairs 5",
    "codebook --lorenz",
    "codebook 1.1 --map",
    "codebook --dead --over README.md",
    "codebook --against samples/models/text-small.safetensors",
    NULL};
const struct sh_cmd cmd_codebook = {
    .name = "codebook",
    .group = "inspect",
    .args = "[MODULES]",
    .summary = "show how each codebook is used and how its codes lie",
    .detail =
        "Counts are the checkpoint's c_count unless --over or --seen asks otherwise; a code "
        "is dead when its count is at most 0.01 (the model's own bound) or, over tokens, 0. "
        "entropy is in nats and perplexity its exponential: how many equally used codes "
        "would be as even. gini is 0 for even use and near 1 for one code alone. rel_err_mean is "
        "the mean of |k - k^| / |k| over the tokens seen, null when there were none. MODULES: "
        "0.1,2.2 or 0-3 or 3.2:0 or all.\n\n"
        "--dead, with --over or --seen, looks at every key: gap is the least distance by which "
        "the code would have to come nearer to some key to be chosen for it, and the key's code, "
        "token and position follow. --against compares codes by number: before is the other "
        "checkpoint, after this model; moved, sim and their means run over codes alive in both; "
        "usage_distance is half the sum of the changes of each code's share of use.\n\n"
        "--out writes f64: counts [rows,S], with --lorenz the curves [rows,S+1], with --map "
        "[rows,S,2], with --against distances moved [rows,S]; with --similarity float32 cosines "
        "[rows,S,S].",
    .examples = codebook_examples,
    .max_args = 1,
    .kinds = {SH_MODULES},
    .needs = SH_NEED_MODEL,
    .opts = codebook_opts,
    .run = run_codebook,
};
