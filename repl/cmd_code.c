/*
 * Commands about single codes: code (one code and all that falls on it) and codes (a text with each
 * token's code).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/inspect/codebook.h"
#include "core/inspect/members.h"
#include "core/inspect/patch.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tokens.h"
#include "repl/tracked.h"

/* ---- code ---- */

struct one_code {
    struct sh *sh;
    const struct vq_trace *trace; /* or NULL */
    const struct vq_vocab *vocab;
    int module, head;
    size_t code, top, bins;
    struct vq_members members; /* of the trace */
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

/* A held token in its context: position, before, token, after. */
static void put_context(struct one_code *o, uint64_t serial)
{
    int32_t ids[BEFORE + 1 + AFTER];
    size_t at, m = vq_trace_context(o->trace, serial, BEFORE, AFTER, ids, &at);
    sh_part_int(&o->part, "position", vq_trace_position(o->trace, serial));
    put_pieces(o, "before", ids, 0, at);
    put_pieces(o, "token", ids, at, at + 1);
    put_pieces(o, "after", ids, at + 1, m);
}

static enum vq_status list_contexts(struct one_code *o, struct vq_err *err)
{
    uint64_t *places = vq_alloc(o->top, sizeof(*places));
    if (!places)
        return vq_nomem(err, "contexts", o->top, sizeof(*places));
    size_t n = !o->trace ? 0
                         : vq_trace_code_places(o->trace, o->module, o->head, o->code,
                                                VQ_PICK_SPREAD, places, o->top);
    sh_part_list(&o->part, "contexts", "position before token after");
    for (size_t i = 0; i < n; i++) {
        sh_part_row(&o->part);
        put_context(o, places[i]);
    }
    free(places);
    return VQ_OK;
}

/* Where in their sequences the members stand. */
static enum vq_status list_profile(struct one_code *o, struct vq_err *err)
{
    struct vq_position_bin *bins = vq_alloc(o->bins, sizeof(*bins));
    if (!bins)
        return vq_nomem(err, "a position profile", o->bins, sizeof(*bins));
    size_t n = o->members.n ? vq_members_profile(bins, o->bins, &o->members, o->trace) : 0;
    sh_part_list(&o->part, "profile", "from to members tokens share");
    for (size_t i = 0; i < n; i++) {
        double share = bins[i].of ? (double)bins[i].count / (double)bins[i].of : 0.0;
        sh_part_row(&o->part);
        sh_part_int(&o->part, "from", bins[i].from);
        sh_part_int(&o->part, "to", bins[i].to);
        sh_part_uint(&o->part, "members", bins[i].count);
        sh_part_uint(&o->part, "tokens", bins[i].of);
        sh_part_f64(&o->part, "share", share);
    }
    free(bins);
    return VQ_OK;
}

/* How well the code fits its members. */
static void list_errors(struct one_code *o)
{
    static const double quantiles[] = {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0};
    sh_part_list(&o->part, "errors", "quantile rel_err");
    for (size_t i = 0; o->members.n && i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double rel = vq_members_quantile(&o->members, quantiles[i]);
        if (isnan(rel))
            break;
        sh_part_row(&o->part);
        sh_part_f64(&o->part, "quantile", quantiles[i]);
        sh_part_f64(&o->part, "rel_err", rel);
    }
}

/* The members that the code fits best, or worst first. */
static void list_extremes(struct one_code *o, const char *name, bool best)
{
    size_t n = o->members.n;
    sh_part_list(&o->part, name, "rel_err position before token after");
    for (size_t i = 0; i < n && i < o->top; i++) {
        const struct vq_member *m = &o->members.v[best ? i : n - 1 - i];
        if (isnan(m->rel))
            continue;
        sh_part_row(&o->part);
        sh_part_f32(&o->part, "rel_err", m->rel);
        put_context(o, m->serial);
    }
}

/* Members by colour, of models of pictures. */
static enum vq_status list_channels(struct one_code *o, struct vq_err *err)
{
    static const char *const names[] = {"red", "green", "blue"};
    struct vq_patch p;
    if (!o->trace || !vq_vocab_is_image(o->vocab))
        return VQ_OK;
    enum vq_status status =
        vq_patch_mean(&p, o->trace, o->vocab, o->module, o->head, o->code, 0, err);
    if (status != VQ_OK)
        return status;
    sh_part_list(&o->part, "channels", "channel members share mean");
    for (size_t i = 0; i < 3 && p.members; i++) {
        sh_part_row(&o->part);
        sh_part_str(&o->part, "channel", names[i]);
        sh_part_uint(&o->part, "members", p.channel[i]);
        sh_part_f64(&o->part, "share", (double)p.channel[i] / (double)p.members);
        sh_part_f64(&o->part, "mean", p.mean[i]);
    }
    vq_patch_release(&p);
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
        list_contexts(o, &err) != VQ_OK || list_profile(o, &err) != VQ_OK ||
        list_channels(o, &err) != VQ_OK) {
        sh_parts_drop(&o->part);
        return sh_fail(o->sh, &err);
    }
    list_errors(o);
    list_extremes(o, "typical", true);
    list_extremes(o, "atypical", false);
    enum sh_rc rc = sh_parts_end(&o->part);
    if (!o->trace)
        sh_note(o->sh, "feed a text, or give --over FILE, to see what falls on this code");
    return rc;
}

/* Position and relative error of every held member, the best fitting first. */
static enum sh_rc write_members(struct one_code *o, const char *path)
{
    const size_t shape[] = {o->members.n, 2};
    double *x = vq_alloc(2 * shape[0], sizeof(*x));
    if (!x)
        return sh_failf(o->sh, "out of memory");
    for (size_t i = 0; i < shape[0]; i++) {
        x[2 * i] = (double)vq_trace_position(o->trace, o->members.v[i].serial);
        x[2 * i + 1] = o->members.v[i].rel;
    }
    enum sh_rc rc = sh_array_write(o->sh, path, VQ_NPY_F64, 2, shape, x);
    free(x);
    return rc;
}

/* The mean neighbourhood as an array, or a row for each pixel of it. */
static enum sh_rc show_patch(struct one_code *o, const struct sh_args *a)
{
    struct sh *sh = o->sh;
    struct vq_err err = {0};
    struct vq_patch p;
    if (!vq_vocab_is_image(o->vocab))
        return sh_bad_arg(sh, sh_opt_word(a, "patch"), "only models of pictures have patches");
    if (vq_patch_mean(&p, o->trace, o->vocab, o->module, o->head, o->code,
                      (int)sh_opt_int(a, "radius"), &err) != VQ_OK)
        return sh_fail(sh, &err);
    const size_t shape[] = {p.side, p.side, 3};
    if (sh_opt_given(a, "out")) {
        enum sh_rc rc = sh_array_write(sh, sh_opt_text(a, "out"), VQ_NPY_F64, 3, shape, p.mean);
        vq_patch_release(&p);
        return rc;
    }
    sh_list(sh, "row column red green blue members");
    for (size_t i = 0; i < p.side * p.side; i++) {
        sh_row(sh);
        sh_int(sh, "row", (int64_t)(i / p.side) - (int64_t)(p.side / 2));
        sh_int(sh, "column", (int64_t)(i % p.side) - (int64_t)(p.side / 2));
        static const char *const names[] = {"red", "green", "blue"};
        for (size_t c = 0; c < 3 && p.count[3 * i]; c++)
            sh_f64(sh, names[c], p.mean[3 * i + c]);
        sh_uint(sh, "members", p.count[3 * i]);
    }
    vq_patch_release(&p);
    return sh_end(sh);
}

static enum sh_rc code(struct one_code *o, const struct sh_args *a, struct sh_model *m)
{
    struct vq_err err = {0};
    struct sh_codebook c = {0};
    enum sh_rc rc = SH_OK;
    bool needs = sh_opt_flag(a, "patch") || sh_opt_given(a, "out");
    if (needs && !o->trace)
        return sh_failf(o->sh, "nothing was fed in this session: feed something, or give --over");
    if (o->trace &&
        vq_members_find(&o->members, o->trace, o->module, o->head, o->code, &err) != VQ_OK)
        return sh_fail(o->sh, &err);
    if (sh_opt_flag(a, "patch"))
        rc = show_patch(o, a);
    else if (sh_opt_given(a, "out"))
        rc = write_members(o, sh_opt_text(a, "out"));
    else
        rc = sh_codebook_read(m, o->module, &c, &err) == VQ_OK ? show_code(o, &c)
                                                               : sh_fail(o->sh, &err);
    sh_codebook_release(&c);
    vq_members_release(&o->members);
    return rc;
}

static enum sh_rc run_code(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    const struct vq_config *cfg = vq_model_config(m->model);
    const struct sh_value *where = sh_arg_value(a, 0), *number = sh_arg_value(a, 1);
    struct one_code o = {.sh = sh,
                         .vocab = vq_model_vocab(m->model),
                         .module = where->mods[0].module,
                         .head = where->mods[0].head < 0 ? 0 : where->mods[0].head,
                         .code = (size_t)number->i,
                         .top = (size_t)sh_opt_int(a, "top"),
                         .bins = (size_t)sh_opt_int(a, "bins")};
    struct vq_trace *trace;
    bool owned;
    if (number->i < 0 || number->i >= cfg->n_code)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "expected a code from 0 to %lld",
                          (long long)cfg->n_code - 1);
    if (sh_opt_given(a, "over") && sh_opt_flag(a, "seen"))
        return sh_bad_arg(sh, sh_opt_word(a, "seen"), "give --over or --seen, not both");
    enum sh_rc rc = sh_trace_pick(sh, a, m, &trace, &owned);
    if (rc == SH_OK && sh_opt_flag(a, "seen") && !trace)
        rc = sh_failf(sh, "nothing was fed in this session: feed a text first");
    if (rc != SH_OK)
        return rc;
    o.trace = trace;
    rc = code(&o, a, m);
    if (owned)
        vq_trace_free(trace);
    return rc;
}

static const struct sh_opt code_opts[] = {
    SH_OVER_OPT,
    {.name = "seen", .kind = SH_FLAG, .help = "at what was fed in this session (the default)"},
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "10",
     .min = 1,
     .max = 1e6,
     .help = "neighbours, tokens, contexts and members to show"},
    {.name = "bins",
     .kind = SH_INT,
     .def = "10",
     .min = 1,
     .max = 1e5,
     .help = "ranges of the position profile"},
    {.name = "patch", .kind = SH_FLAG, .help = "pictures: the mean neighbourhood of its members"},
    {.name = "radius", .kind = SH_INT, .def = "4", .min = 0, .max = 31, .help = "of the patch"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const code_examples[] = {"code 0.1 7", "code 1.2 3 --over README.md --top 5",
                                            "code 0.1 7 --over README.md --out members.npy", NULL};
const struct sh_cmd cmd_code = {
    .name = "code",
    .group = "inspect",
    .args = "MODULE CODE",
    .summary = "show one code: neighbours, and the tokens and contexts that fall on it",
    .detail =
        "share_of_token is the part of a token's occurrences that fell on this code. Contexts "
        "are spread evenly over those remembered (the last 65,536 tokens of the session's first "
        "sequence; of --over, as many as fit into 256 MiB); seen and rel_err_mean are over every "
        "sequence of a batch. profile tells where in the sequence "
        "members stand, errors how |k - k^| / |k| is distributed over them (by quantiles), "
        "typical and atypical which members the code fits best and worst.\n\n"
        "For models of pictures, channels counts members by colour, and --patch averages the "
        "pixels around them.\n\n"
        "--out writes f64 [members,2], position and relative error, best fitting first; with "
        "--patch the mean neighbourhood [side,side,3], NaN where no member has one. MODULE is "
        "LAYER.ATTN, with :HEAD when there are several.",
    .examples = code_examples,
    .min_args = 2,
    .max_args = 2,
    .kinds = {SH_MODULE, SH_INT},
    .needs = SH_NEED_MODEL,
    .opts = code_opts,
    .run = run_code,
};

/* ---- codes ---- */

struct listing {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    const struct sh_heads *heads;
    const struct vq_trace *trace; /* of the tokens, all of them held */
    size_t n;
};

/* Column names: those of the token, then the module-heads. Freed with free_columns. */
static char **column_names(const struct listing *l, size_t *n)
{
    static const char *const first[] = {"position", "id", "token"};
    bool heads = vq_model_config(l->m->model)->n_head > 1;
    char buf[32], **names = vq_calloc(l->heads->n + 3, sizeof(*names));
    *n = l->heads->n + 3;
    for (size_t i = 0; names && i < *n; i++) {
        const struct sh_mod *at = i < 3 ? NULL : &l->heads->v[i - 3];
        names[i] =
            vq_strdup(at ? sh_module_name(at->module, heads ? at->head : -1, buf) : first[i]);
    }
    return names;
}

static void free_columns(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

static enum sh_rc list_codes(const struct listing *l)
{
    struct sh *sh = l->sh;
    const struct vq_vocab *v = vq_model_vocab(l->m->model);
    bool errors = sh_opt_flag(l->a, "errors");
    char piece[64];
    size_t n_names;
    char **names = column_names(l, &n_names);
    for (size_t i = 0; i < n_names; i++)
        if (!names || !names[i]) {
            free_columns(names, n_names);
            return sh_failf(sh, "out of memory");
        }
    sh_list_names(sh, (const char *const *)names, n_names);
    for (uint64_t s = 0; s < l->n; s++) {
        int32_t id = vq_trace_token(l->trace, s);
        sh_row(sh);
        sh_int(sh, "position", vq_trace_position(l->trace, s));
        sh_int(sh, "id", id);
        sh_str(sh, "token", vq_vocab_piece(v, id, piece, sizeof(piece)));
        for (size_t i = 0; i < l->heads->n; i++) {
            struct sh_mod at = l->heads->v[i];
            if (errors)
                sh_f32(sh, names[i + 3], vq_trace_rel(l->trace, s, at.module, at.head));
            else
                sh_int(sh, names[i + 3], vq_trace_code(l->trace, s, at.module, at.head));
        }
    }
    enum sh_rc rc = sh_end(sh);
    free_columns(names, n_names);
    return rc;
}

/* Codes i32, or errors f32, [module-heads, T]. */
static enum sh_rc write_codes(const struct listing *l)
{
    bool errors = sh_opt_flag(l->a, "errors");
    const size_t shape[] = {l->heads->n, l->n};
    int32_t *code = vq_alloc(shape[0] * shape[1], sizeof(*code));
    float *rel = vq_alloc(shape[0] * shape[1], sizeof(*rel));
    enum sh_rc rc;
    for (size_t i = 0; code && rel && i < shape[0] * shape[1]; i++) {
        struct sh_mod at = l->heads->v[i / l->n];
        code[i] = vq_trace_code(l->trace, i % l->n, at.module, at.head);
        rel[i] = vq_trace_rel(l->trace, i % l->n, at.module, at.head);
    }
    if (code && rel)
        rc = sh_array_write(l->sh, sh_opt_text(l->a, "out"), errors ? VQ_NPY_F32 : VQ_NPY_I32, 2,
                            shape, errors ? (const void *)rel : (const void *)code);
    else
        rc = sh_failf(l->sh, "out of memory");
    free(code);
    free(rel);
    return rc;
}

static enum sh_rc pick_text(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                            struct sh_tokens *t)
{
    if (sh_arg_count(a) && sh_input_given(a))
        return sh_bad_arg(sh, sh_arg_word(a, 0),
                          "give the text, or one of --text, --file, --tokens");
    enum sh_rc rc = sh_arg_count(a) ? sh_tokens_text(sh, m, sh_arg(a, 0), SH_AS_FED, t)
                                    : sh_tokens_pick(sh, a, m, SH_AS_FED, t);
    if (rc == SH_OK && (rc = sh_tokens_row(sh, a, t)) != SH_OK)
        sh_tokens_release(t);
    return rc;
}

static enum sh_rc run_codes(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    struct sh_tokens t;
    struct sh_heads heads;
    struct vq_trace *trace = NULL;
    enum sh_rc rc = sh_heads_option(sh, a, "modules", m, &heads);
    if (rc != SH_OK)
        return rc;
    if ((rc = pick_text(sh, a, m, &t)) != SH_OK) {
        sh_heads_release(&heads);
        return rc;
    }
    struct listing l = {sh, a, m, &heads, NULL, t.over.cols};
    const struct vq_engine *e = sh_model_engine(sh, m, &err);
    const struct vq_trace_options all = {.ring = l.n};
    if (e && vq_over_trace(&trace, &t.over, m->model, e, &all, &err) == VQ_OK) {
        sh_progress_clear(sh);
        l.trace = trace;
        rc = sh_opt_given(a, "out") ? write_codes(&l) : list_codes(&l);
    } else {
        sh_progress_clear(sh);
        rc = sh_fail(sh, &err);
    }
    vq_trace_free(trace);
    sh_heads_release(&heads);
    sh_tokens_release(&t);
    return rc;
}

static const struct sh_opt codes_opts[] = {
    SH_INPUT_OPTS,
    {.name = "modules", .letter = 'm', .kind = SH_MODULES, .help = "of these alone"},
    {.name = "errors", .kind = SH_FLAG, .help = "relative quantisation errors instead of codes"},
    SH_ROW_OPT,
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const codes_examples[] = {"codes \"Call me Ishmael.\"",
                                             "codes --text \"Call me\" --modules 0.1,2.2 --errors",
                                             "codes --file README.md --out codes.npy", NULL};
const struct sh_cmd cmd_codes = {
    .name = "codes",
    .group = "inspect",
    .args = "[TEXT | --file FILE | --tokens F.npy]",
    .summary = "show a text with the code of every token in every module",
    .detail =
        "A text is run as `feed` would move it from position 0, eos in front; without one, the "
        "tokens of the session (--row of a batch). One column for each module, or module:head. "
        "--out writes int32 [columns,T] (float32 with --errors, which shows |k - k^| / |k|).",
    .examples = codes_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_MODEL,
    .opts = codes_opts,
    .run = run_codes,
};
