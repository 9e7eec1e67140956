/*
 * Commands that look at the attention state: cache, attn.
 */
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/inspect/attention.h"
#include "core/inspect/cache.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tracked.h"

/* Rows of `attn` that a screen gets unless told otherwise; files and pipes get all. */
#define SCREEN_TOP 20

static void put_place(struct sh *sh, struct sh_mod at)
{
    char name[32];
    sh_row(sh);
    sh_str(sh, "module", sh_module_name(at.module, -1, name));
    sh_int(sh, "head", at.head);
}

static void put_token(struct sh *sh, const struct vq_vocab *v, int32_t id)
{
    char piece[64];
    if (id >= 0)
        sh_str(sh, "token", vq_vocab_piece(v, id, piece, sizeof(piece)));
    else
        sh_null(sh, "token");
}

/* ---- cache ---- */

struct looking {
    struct sh *sh;
    struct sh_model *m;
    const struct vq_config *c;
    const struct vq_vocab *vocab;
    const struct vq_session *session;
    int row;
};

static enum vq_status summary_rows(const struct looking *l, struct sh_mod at, struct vq_err *err)
{
    (void)err;
    struct vq_cache_view v;
    struct vq_cache_summary s;
    vq_session_cache(l->session, at.module, l->row, &v);
    vq_cache_summarise(&s, &v, l->c, at.head);
    put_place(l->sh, at);
    sh_int(l->sh, "window", s.window);
    sh_int(l->sh, "filled", s.filled);
    sh_int(l->sh, "codes_used", s.codes_used);
    sh_int(l->sh, "positions_aggregated", s.positions_aggregated);
    sh_int(l->sh, "count_max", s.count_max);
    sh_f64(l->sh, "entropy", s.entropy);
    return VQ_OK;
}

static enum vq_status code_rows(const struct looking *l, struct sh_mod at, struct vq_err *err)
{
    struct vq_cache_view v;
    size_t S = (size_t)l->c->n_code;
    struct vq_cache_code *codes = vq_alloc(S, sizeof(*codes));
    if (!codes)
        return vq_nomem(err, "codes", S, sizeof(*codes));
    vq_session_cache(l->session, at.module, l->row, &v);
    vq_cache_codes(codes, &v, l->c, at.head);
    for (size_t s = 0; s < S; s++) {
        if (codes[s].count == 0)
            continue;
        put_place(l->sh, at);
        sh_uint(l->sh, "code", s);
        sh_int(l->sh, "count", codes[s].count);
        sh_f64(l->sh, "mean_value_norm", codes[s].mean_norm);
    }
    free(codes);
    return VQ_OK;
}

static enum vq_status window_rows(const struct looking *l, struct sh_mod at, struct vq_err *err)
{
    struct vq_cache_view v;
    vq_session_cache(l->session, at.module, l->row, &v);
    struct vq_cache_slot *slots = vq_alloc((size_t)v.window, sizeof(*slots));
    if (!slots)
        return vq_nomem(err, "window", (size_t)v.window, sizeof(*slots));
    size_t n = vq_cache_window(slots, &v, l->c, at.head, NULL);
    for (size_t i = 0; i < n; i++) {
        put_place(l->sh, at);
        sh_int(l->sh, "position", slots[i].position);
        put_token(l->sh, l->vocab, sh_token_at(l->m, (size_t)l->row, slots[i].position));
        sh_int(l->sh, "code", slots[i].code);
        sh_f64(l->sh, "value_norm", slots[i].value_norm);
    }
    free(slots);
    return VQ_OK;
}

static enum sh_rc list_cache(const struct looking *l, const struct sh_args *a,
                             const struct sh_heads *heads)
{
    struct vq_err err = {0};
    struct sh *sh = l->sh;
    enum vq_status (*rows)(const struct looking *, struct sh_mod, struct vq_err *) = summary_rows;
    const char *columns =
        "module head window filled codes_used positions_aggregated count_max entropy";
    if (sh_opt_flag(a, "codes")) {
        rows = code_rows;
        columns = "module head code count mean_value_norm";
    } else if (sh_opt_flag(a, "window")) {
        rows = window_rows;
        columns = "module head position token code value_norm";
    }
    sh_list(sh, columns);
    for (size_t i = 0; i < heads->n; i++) {
        if (vq_cancelled(sh_cancel(sh)))
            return sh_interrupted(sh);
        if (rows(l, heads->v[i], &err) != VQ_OK)
            return sh_fail(sh, &err);
    }
    return sh_end(sh);
}

static enum sh_rc run_cache(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    struct sh_heads heads;
    struct looking l = {.sh = sh,
                        .m = m,
                        .c = vq_model_config(m->model),
                        .vocab = vq_model_vocab(m->model),
                        .session = sh_model_session(sh, m, &err)};
    if (!l.session)
        return sh_fail(sh, &err);
    if (sh_opt_flag(a, "codes") && sh_opt_flag(a, "window"))
        return sh_bad_arg(sh, sh_opt_word(a, "window"), "give --codes or --window, not both");
    enum sh_rc rc = sh_row_pick(sh, a, l.session, &l.row);
    if (rc == SH_OK)
        rc = sh_heads_pick(sh, a, m, &heads);
    if (rc != SH_OK)
        return rc;
    rc = list_cache(&l, a, &heads);
    sh_heads_release(&heads);
    if (rc == SH_OK && vq_session_position(l.session) == 0)
        sh_note(sh, "position 0: nothing was fed yet");
    else if (rc == SH_OK && !l.c->agg_cache && !sh_opt_flag(a, "window"))
        sh_note(sh, "agg_cache is 0: older positions are counted, but no query sees them");
    return rc;
}

static const struct sh_opt cache_opts[] = {
    {.name = "codes", .kind = SH_FLAG, .help = "the aggregate: one row for each code in use"},
    {.name = "window", .kind = SH_FLAG, .help = "the window: one row for each position"},
    SH_ROW_OPT,
    SH_OPT_END};
static const char *const cache_examples[] = {"cache", "cache 0.1 --codes", "cache 2.2 --window",
                                             NULL};
const struct sh_cmd cmd_cache = {
    .name = "cache",
    .group = "inspect",
    .args = "[MODULES]",
    .summary = "show the attention cache as it stands: window and aggregate",
    .detail = "The window holds the last mem_len positions one by one; everything older is folded "
              "into one count and one mean value per code. entropy is in nats, of the counts.",
    .examples = cache_examples,
    .max_args = 1,
    .kinds = {SH_MODULES},
    .needs = SH_NEED_MODEL,
    .opts = cache_opts,
    .run = run_cache,
};

/* ---- attn ---- */

static bool people_read(const struct sh *sh)
{
    return sh_out_format(sh) == SH_TABLE || sh_out_format(sh) == SH_BOX;
}

static void attn_row(const struct looking *l, const struct vq_attention_row *r, int head,
                     size_t history_row)
{
    struct sh *sh = l->sh;
    sh_row(sh);
    sh_int(sh, "head", head);
    sh_str(sh, "where", vq_attention_where_name(r->where));
    sh_int(sh, "position_or_code", r->at);
    if (r->where == VQ_AT_WINDOW)
        put_token(sh, l->vocab, sh_token_at(l->m, history_row, r->at));
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

static enum sh_rc run_attn(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct sh_query q;
    struct sh_heads heads;
    enum sh_rc rc = sh_query_find(sh, a, m, &q);
    if (rc != SH_OK)
        return rc;
    struct looking l = {.sh = sh,
                        .m = m,
                        .c = vq_model_config(m->model),
                        .vocab = vq_model_vocab(m->model),
                        .session = q.session,
                        .row = q.row};
    size_t top = sh_opt_given(a, "top") ? (size_t)sh_opt_int(a, "top")
                 : people_read(sh)      ? SCREEN_TOP
                                        : 0;
    rc = sh_heads_pick(sh, a, m, &heads);
    if (rc == SH_OK) {
        rc = list_attn(&l, &heads, top, (size_t)sh_opt_int(a, "row"));
        sh_heads_release(&heads);
    }
    sh_query_release(&q);
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
    SH_OPT_END};
static const char *const attn_examples[] = {"attn 0.1", "attn 1.2 --pos 5 --top 3", NULL};
const struct sh_cmd cmd_attn = {
    .name = "attn",
    .group = "inspect",
    .args = "MODULE",
    .summary = "show what one query attends to, over the whole past",
    .detail = "One softmax over every past token: those at most mem_len back one by one, older "
              "ones together under their code (count says how many). Weights sum to 1. score is "
              "the logit before the softmax; of a code it includes log(count). An earlier --pos "
              "runs the session's tokens again up to it.",
    .examples = attn_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_MODULE},
    .needs = SH_NEED_MODEL,
    .opts = attn_opts,
    .run = run_attn,
};
