/*
 * Commands that look at codes: codebook, code.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/inspect/codebook.h"
#include "core/inspect/over.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/pick.h"
#include "repl/tracked.h"

/* ---- what the counts are over ---- */

static void over_progress(void *ud, uint64_t done, uint64_t total)
{
    sh_progress(ud, "%llu of %llu tokens", (unsigned long long)done, (unsigned long long)total);
}

/* A trace of the file's tokens; the caller frees it. */
static struct vq_trace *trace_file(struct sh *sh, struct sh_model *m, const char *path,
                                   struct vq_err *err)
{
    struct sh_input in;
    struct vq_trace *trace = NULL;
    const struct vq_vocab *v = vq_model_vocab(m->model);
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    size_t len = strlen(path);
    bool npy = len > 4 && strcmp(path + len - 4, ".npy") == 0;
    if (!e ||
        (npy ? sh_input_tokens(v, path, &in, err) : sh_input_file(v, path, &in, err)) != VQ_OK)
        return NULL;
    const struct vq_over o = {.tokens = in.tokens,
                              .rows = in.rows,
                              .cols = in.cols,
                              .targets = true,
                              .cancel = sh_cancel(sh),
                              .ud = sh,
                              .progress = over_progress};
    if (in.rows * in.cols == 0)
        vq_fail(err, VQ_EINVAL, "%s: holds no tokens", path);
    else
        vq_over_trace(&trace, &o, m->model, e, NULL, err);
    sh_progress_clear(sh);
    sh_input_release(&in);
    return trace;
}

/* The trace that --over or --seen ask for, in *out, to be freed when *owned; NULL in *out for the
 * checkpoint's own counts. */
static enum sh_rc find_trace(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                             struct vq_trace **out, bool *owned)
{
    struct vq_err err = {0};
    *out = NULL;
    *owned = sh_opt_given(a, "over");
    if (*owned && sh_opt_flag(a, "seen"))
        return sh_bad_arg(sh, sh_opt_word(a, "seen"), "give --over or --seen, not both");
    if (*owned)
        *out = trace_file(sh, m, sh_opt_text(a, "over"), &err);
    else if (sh_opt_flag(a, "seen") && !(*out = sh_trace(m)))
        vq_fail(&err, VQ_ENOTFOUND, "nothing was fed in this session: feed a text first");
    return *out || err.code == VQ_OK ? SH_OK : sh_fail(sh, &err);
}

/* ---- codebook ---- */

/* One row of the listing, computed before anything is printed so that rows can be sorted. */
struct code_row {
    int module, head;
    struct vq_counts counts;
    struct vq_geometry geometry;
    double rel_err;
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
};
#define SORT_CHOICES                                                                               \
    "module used dead entropy perplexity count_max norm_mean sim_max dist_min rel_err_mean"

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

/* Fills one row from the codebook C[S,K] and the counts of the trace or of the checkpoint. */
static enum vq_status fill_row(struct sh *sh, struct code_row *r, const struct sh_codebook *c,
                               const struct vq_trace *trace, const struct vq_trace *seen,
                               double *count, struct vq_err *err)
{
    size_t S = c->S, at = (size_t)r->head * S;
    if (trace)
        vq_trace_counts_f64(trace, r->module, r->head, count);
    else
        for (size_t s = 0; s < S; s++)
            count[s] = c->count[at + s];
    vq_counts_summary(&r->counts, count, S, trace ? 0.0 : VQ_COUNT_CLIP);
    r->rel_err = seen ? vq_trace_error(seen, r->module, r->head) : NAN;
    return vq_codebook_geometry(&r->geometry, c->C + at * c->K, S, c->K, sh_cancel(sh), err);
}

static enum vq_status fill_rows(struct sh *sh, struct sh_model *m, struct code_row *rows, size_t n,
                                const struct vq_trace *trace, struct vq_err *err)
{
    struct sh_codebook c = {0};
    double *count = vq_alloc((size_t)vq_model_config(m->model)->n_code, sizeof(*count));
    enum vq_status status = count ? VQ_OK : vq_nomem(err, "counts", 1, sizeof(*count));
    const struct vq_trace *seen = trace ? trace : sh_trace(m);
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        if (vq_cancelled(sh_cancel(sh)))
            status = vq_fail(err, VQ_ECANCELLED, "interrupted");
        else if ((status = sh_codebook_read(m, rows[i].module, &c, err)) == VQ_OK)
            status = fill_row(sh, &rows[i], &c, trace, seen, count, err);
    }
    sh_codebook_release(&c);
    free(count);
    return status;
}

static enum sh_rc list_rows(struct sh *sh, const struct code_row *rows, size_t n)
{
    char name[32];
    sh_list(sh, "module head codes used dead entropy perplexity count_min count_mean count_max "
                "norm_mean sim_max dist_min rel_err_mean");
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
        sh_f64(sh, "sim_max", r->geometry.sim.max);
        sh_f64(sh, "dist_min", r->geometry.dist.min);
        if (isnan(r->rel_err))
            sh_null(sh, "rel_err_mean");
        else
            sh_f64(sh, "rel_err_mean", r->rel_err);
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

static enum sh_rc codebook(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                           const struct sh_heads *heads)
{
    struct vq_err err = {0};
    struct vq_trace *trace;
    bool owned;
    if (sh_opt_given(a, "pairs"))
        return list_pairs(sh, m, heads, (size_t)sh_opt_int(a, "pairs"));
    enum sh_rc rc = find_trace(sh, a, m, &trace, &owned);
    if (rc != SH_OK)
        return rc;
    struct code_row *rows = vq_calloc(heads->n, sizeof(*rows));
    enum vq_status status = rows ? VQ_OK : vq_nomem(&err, "rows", heads->n, sizeof(*rows));
    for (size_t i = 0; rows && i < heads->n; i++) {
        rows[i].module = heads->v[i].module;
        rows[i].head = heads->v[i].head;
    }
    if (status == VQ_OK)
        status = fill_rows(sh, m, rows, heads->n, trace, &err);
    if (status == VQ_OK) {
        sort_rows(rows, heads->n, sh_opt_text(a, "sort"));
        rc = list_rows(sh, rows, heads->n);
    } else {
        rc = sh_fail(sh, &err);
    }
    free(rows);
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
    {.name = "over", .kind = SH_PATH, .help = "count over the codes of this text or .npy file"},
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
    SH_OPT_END};
static const char *const codebook_examples[] = {"codebook", "codebook 0.1-1.2 --sort dead",
                                                "codebook all --over README.md",
                                                "codebook 0.1 --pairs 5", NULL};
const struct sh_cmd cmd_codebook = {
    .name = "codebook",
    .group = "inspect",
    .args = "[MODULES]",
    .summary = "show how each codebook is used and how its codes lie",
    .detail = "Counts are the checkpoint's c_count unless --over or --seen asks otherwise; a code "
              "is dead when its count is at most 0.01 (the model's own bound) or, over tokens, 0. "
              "entropy is in nats and perplexity its exponential: how many equally used codes "
              "would be as even. rel_err_mean is the mean of |k - k^| / |k| over the tokens seen, "
              "null when there were none. MODULES: 0.1,2.2 or 0-3 or 3.2:0 or all.",
    .examples = codebook_examples,
    .max_args = 1,
    .kinds = {SH_MODULES},
    .needs = SH_NEED_MODEL,
    .opts = codebook_opts,
    .run = run_codebook,
};

/* ---- code ---- */

struct one_code {
    struct sh *sh;
    const struct vq_trace *trace; /* or NULL */
    const struct vq_vocab *vocab;
    int module, head;
    size_t code, top;
    struct sh_part part;
};

static enum vq_status list_neighbours(struct one_code *o, const struct sh_codebook *c,
                                      struct vq_err *err)
{
    size_t n = o->top;
    struct vq_code_pair *pairs = vq_alloc(n, sizeof(*pairs));
    if (!pairs)
        return vq_nomem(err, "neighbours", n, sizeof(*pairs));
    enum vq_status status = vq_codebook_neighbours(
        pairs, &n, o->code, VQ_BY_DISTANCE, c->C + (size_t)o->head * c->S * c->K, c->S, c->K, err);
    sh_part_list(&o->part, "neighbours", "neighbour dist sim");
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        sh_part_row(&o->part);
        sh_part_uint(&o->part, "neighbour", pairs[i].b);
        sh_part_f64(&o->part, "dist", pairs[i].dist);
        sh_part_f64(&o->part, "sim", pairs[i].sim);
    }
    free(pairs);
    return status;
}

static enum vq_status list_code_tokens(struct one_code *o, struct vq_err *err)
{
    struct vq_token_count *list = NULL;
    size_t n = 0;
    char piece[64];
    enum vq_status status = VQ_OK;
    if (o->trace)
        status = vq_trace_code_tokens(o->trace, o->module, o->head, o->code, &list, &n, err);
    sh_part_list(&o->part, "tokens", "id token count share_of_token");
    for (size_t i = 0; status == VQ_OK && i < n && i < o->top; i++) {
        sh_part_row(&o->part);
        sh_part_int(&o->part, "id", list[i].token);
        sh_part_str(&o->part, "token",
                    vq_vocab_piece(o->vocab, list[i].token, piece, sizeof(piece)));
        sh_part_uint(&o->part, "count", list[i].count);
        sh_part_f64(&o->part, "share_of_token", (double)list[i].count / (double)list[i].of);
    }
    free(list);
    return status;
}

/* The pieces of ids[from, to) put together, as a person reads them. */
static void put_pieces(struct one_code *o, const char *key, const int32_t *ids, size_t from,
                       size_t to)
{
    char piece[64];
    struct vq_text text = {0};
    const char *gap = vq_vocab_is_text(o->vocab) ? "" : " "; /* ids run into each other */
    for (size_t i = from; i < to; i++) {
        vq_text_puts(&text, i > from ? gap : "");
        vq_text_puts(&text, vq_vocab_piece(o->vocab, ids[i], piece, sizeof(piece)));
    }
    sh_part_bytes(&o->part, key, text.len ? text.data : "", text.len);
    vq_text_release(&text);
}

enum { BEFORE = 24, AFTER = 12 };

static enum vq_status list_contexts(struct one_code *o, struct vq_err *err)
{
    int32_t ids[BEFORE + 1 + AFTER];
    uint64_t *places = vq_alloc(o->top, sizeof(*places));
    if (!places)
        return vq_nomem(err, "contexts", o->top, sizeof(*places));
    size_t n = !o->trace ? 0
                         : vq_trace_code_places(o->trace, o->module, o->head, o->code,
                                                VQ_PICK_SPREAD, places, o->top);
    sh_part_list(&o->part, "contexts", "position before token after");
    for (size_t i = 0; i < n; i++) {
        size_t at, m = vq_trace_context(o->trace, places[i], BEFORE, AFTER, ids, &at);
        sh_part_row(&o->part);
        sh_part_int(&o->part, "position", vq_trace_position(o->trace, places[i]));
        put_pieces(o, "before", ids, 0, at);
        put_pieces(o, "token", ids, at, at + 1);
        put_pieces(o, "after", ids, at + 1, m);
    }
    free(places);
    return VQ_OK;
}

static void describe_code(struct one_code *o, const struct sh_codebook *c)
{
    struct sh *sh = o->sh;
    char name[32];
    size_t at = (size_t)o->head * c->S + o->code;
    double norm;
    vq_codebook_norms(&norm, c->C + at * c->K, 1, c->K);
    sh_record(sh);
    sh_str(sh, "module", sh_module_name(o->module, -1, name));
    sh_int(sh, "head", o->head);
    sh_uint(sh, "code", o->code);
    sh_f64(sh, "c_count", (double)c->count[at]);
    sh_bool(sh, "dead", c->count[at] <= VQ_COUNT_CLIP);
    sh_f64(sh, "norm", norm);
    if (!o->trace)
        return;
    sh_uint(sh, "seen", vq_trace_counts(o->trace, o->module, o->head)[o->code]);
    double rel_err = vq_trace_code_error(o->trace, o->module, o->head, o->code);
    if (isnan(rel_err))
        sh_null(sh, "rel_err_mean");
    else
        sh_f64(sh, "rel_err_mean", rel_err);
}

static enum sh_rc show_code(struct one_code *o, const struct sh_codebook *c)
{
    struct vq_err err = {0};
    describe_code(o, c);
    o->part = sh_parts_begin(o->sh);
    if (list_neighbours(o, c, &err) != VQ_OK || list_code_tokens(o, &err) != VQ_OK ||
        list_contexts(o, &err) != VQ_OK) {
        sh_parts_drop(&o->part);
        return sh_fail(o->sh, &err);
    }
    enum sh_rc rc = sh_parts_end(&o->part);
    if (!o->trace)
        sh_note(o->sh, "feed a text, or give --over FILE, to see what falls on this code");
    return rc;
}

static enum sh_rc run_code(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    const struct vq_config *cfg = vq_model_config(m->model);
    const struct sh_value *where = sh_arg_value(a, 0), *code = sh_arg_value(a, 1);
    struct one_code o = {.sh = sh,
                         .vocab = vq_model_vocab(m->model),
                         .module = where->mods[0].module,
                         .head = where->mods[0].head < 0 ? 0 : where->mods[0].head,
                         .code = (size_t)code->i,
                         .top = (size_t)sh_opt_int(a, "top")};
    struct sh_codebook c = {0};
    struct vq_trace *trace;
    bool owned;
    if (code->i < 0 || code->i >= cfg->n_code)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "expected a code from 0 to %lld",
                          (long long)cfg->n_code - 1);
    enum sh_rc rc = find_trace(sh, a, m, &trace, &owned);
    if (rc != SH_OK)
        return rc;
    o.trace = trace ? trace : sh_trace(m);
    rc = sh_codebook_read(m, o.module, &c, &err) == VQ_OK ? show_code(&o, &c) : sh_fail(sh, &err);
    sh_codebook_release(&c);
    if (owned)
        vq_trace_free(trace);
    return rc;
}

static const struct sh_opt code_opts[] = {
    {.name = "over", .kind = SH_PATH, .help = "look at the tokens of this text or .npy file"},
    {.name = "seen", .kind = SH_FLAG, .help = "at what was fed in this session (the default)"},
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "10",
     .min = 1,
     .max = 1e6,
     .help = "neighbours, tokens and contexts to show"},
    SH_OPT_END};
static const char *const code_examples[] = {"code 0.1 7", "code 1.2 3 --over README.md --top 5",
                                            NULL};
const struct sh_cmd cmd_code = {
    .name = "code",
    .group = "inspect",
    .args = "MODULE CODE",
    .summary = "show one code: neighbours, and the tokens and contexts that fall on it",
    .detail =
        "share_of_token is the part of a token's occurrences that fell on this code. Contexts "
        "are spread evenly over those remembered (the last 65,536 tokens of the first "
        "sequence). MODULE is LAYER.ATTN, with :HEAD when there are several.",
    .examples = code_examples,
    .min_args = 2,
    .max_args = 2,
    .kinds = {SH_MODULE, SH_INT},
    .needs = SH_NEED_MODEL,
    .opts = code_opts,
    .run = run_code,
};
