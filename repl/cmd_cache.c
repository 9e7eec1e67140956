/*
 * The command cache: the attention state as it stands, what went into it, how it differs from
 * another state. Its verbs, which ask what would be without parts of it, are whatif.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/attend.h"
#include "core/inspect/cache.h"
#include "core/inspect/life.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tokens.h"
#include "repl/tracked.h"
#include "repl/whatif.h"

struct looking {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    const struct vq_config *c;
    const struct vq_vocab *vocab;
    const struct vq_session *session;
    const struct sh_heads *heads;
    int row;
};

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

/* ---- as it stands ---- */

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

typedef enum vq_status (*rows_fn)(const struct looking *, struct sh_mod, struct vq_err *);

static enum sh_rc list_rows(const struct looking *l, const char *columns, rows_fn rows)
{
    struct vq_err err = {0};
    sh_list(l->sh, columns);
    for (size_t i = 0; i < l->heads->n; i++) {
        if (vq_cancelled(sh_cancel(l->sh)))
            return sh_interrupted(l->sh);
        if (rows(l, l->heads->v[i], &err) != VQ_OK)
            return sh_fail(l->sh, &err);
    }
    return sh_end(l->sh);
}

/* Counts i64 [module-heads, S]. */
static enum sh_rc write_counts(const struct looking *l)
{
    size_t S = (size_t)l->c->n_code;
    const size_t shape[] = {l->heads->n, S};
    int64_t *count = vq_alloc(shape[0] * S, sizeof(*count));
    if (!count)
        return sh_failf(l->sh, "out of memory");
    for (size_t i = 0; i < shape[0]; i++) {
        struct vq_cache_view v;
        vq_session_cache(l->session, l->heads->v[i].module, l->row, &v);
        memcpy(count + i * S, v.count + (size_t)l->heads->v[i].head * S, S * sizeof(*count));
    }
    enum sh_rc rc = sh_array_write(l->sh, sh_opt_text(l->a, "out"), VQ_NPY_I64, 2, shape, count);
    free(count);
    return rc;
}

static enum sh_rc list_cache(const struct looking *l)
{
    if (sh_opt_given(l->a, "out") && !sh_opt_flag(l->a, "window"))
        return write_counts(l);
    if (sh_opt_flag(l->a, "codes"))
        return list_rows(l, "module head code count mean_value_norm", code_rows);
    if (sh_opt_flag(l->a, "window"))
        return list_rows(l, "module head position token code value_norm", window_rows);
    return list_rows(l,
                     "module head window filled codes_used positions_aggregated count_max entropy",
                     summary_rows);
}

/* ---- what went in ---- */

struct living {
    const struct looking *l;
    struct sh_tokens t; /* the session's, one row */
    struct vq_attend *attend;
    double *drawn; /* [modules * H, S] attention drawn so far */
};

static void draw(void *ud, const struct vq_attend_query *q)
{
    const struct living *x = ud;
    size_t mh = (size_t)q->module * (size_t)x->l->c->n_head + (size_t)q->head;
    vq_drawn_add(x->drawn + mh * q->S, q, x->l->c->mem_len);
}

/* Tokens of a code, as [{"id":..,"token":..,"count":..}] or as people read them. */
static void put_tokens(const struct looking *l, const struct vq_token_count *list, size_t n)
{
    struct vq_text text = {0};
    bool json = sh_out_format(l->sh) == SH_JSON || sh_out_format(l->sh) == SH_JSONL;
    size_t top = (size_t)sh_opt_int(l->a, "top");
    char piece[64];
    vq_text_puts(&text, json ? "[" : "");
    for (size_t i = 0; i < n && i < top; i++) {
        vq_vocab_piece(l->vocab, list[i].token, piece, sizeof(piece));
        const char *shown = strcmp(piece, " ") == 0 ? "space" : piece;
        if (json) {
            vq_text_printf(&text, "%s{\"id\":%d,\"token\":", i ? "," : "", (int)list[i].token);
            vq_text_json_string(&text, piece, strlen(piece));
            vq_text_printf(&text, ",\"count\":%llu}", (unsigned long long)list[i].count);
        } else {
            vq_text_printf(&text, "%s%s %llu", i ? ", " : "", shown,
                           (unsigned long long)list[i].count);
        }
    }
    vq_text_puts(&text, json ? "]" : "");
    if (json && !text.failed)
        sh_json(l->sh, "tokens", text.data);
    else
        sh_bytes(l->sh, "tokens", text.data ? text.data : "", text.len);
    vq_text_release(&text);
}

static enum vq_status member_rows(const struct living *x, struct sh_mod at,
                                  struct vq_life_code *life, struct vq_cache_code *codes,
                                  struct vq_err *err)
{
    const struct looking *l = x->l;
    size_t S = (size_t)l->c->n_code, mh = (size_t)(at.module * (int)l->c->n_head + at.head);
    int64_t n;
    const int32_t *z = vq_attend_codes(x->attend, at.module, at.head, &n);
    struct vq_cache_view v;
    enum vq_status status = VQ_OK;
    vq_session_cache(l->session, at.module, l->row, &v);
    vq_cache_codes(codes, &v, l->c, at.head);
    vq_life_codes(life, S, z, n, l->c->mem_len);
    for (size_t s = 0; status == VQ_OK && s < S; s++) {
        struct vq_token_count *list;
        size_t tokens;
        if (life[s].count == 0)
            continue;
        status = vq_life_tokens(&list, &tokens, z, x->t.over.tokens, n, l->c->mem_len, (int32_t)s,
                                (size_t)l->c->n_vocab, err);
        if (status != VQ_OK)
            break;
        put_place(l->sh, at);
        sh_uint(l->sh, "code", s);
        sh_int(l->sh, "count", life[s].count);
        sh_f64(l->sh, "mean_value_norm", codes[s].mean_norm);
        sh_int(l->sh, "oldest", life[s].oldest);
        sh_int(l->sh, "newest", life[s].newest);
        sh_int(l->sh, "oldest_age", n - 1 - life[s].oldest);
        sh_int(l->sh, "newest_age", n - 1 - life[s].newest);
        sh_f64(l->sh, "drawn", x->drawn[mh * S + s]);
        put_tokens(l, list, tokens);
        free(list);
    }
    return status;
}

static enum vq_status list_lives(const struct living *x, struct vq_err *err)
{
    size_t S = (size_t)x->l->c->n_code;
    struct vq_life_code *life = vq_alloc(S, sizeof(*life));
    struct vq_cache_code *codes = vq_alloc(S, sizeof(*codes));
    enum vq_status status = life && codes ? VQ_OK : vq_nomem(err, "codes", S, sizeof(*codes));
    sh_list(x->l->sh, "module head code count mean_value_norm oldest newest oldest_age newest_age "
                      "drawn tokens");
    for (size_t i = 0; status == VQ_OK && i < x->l->heads->n; i++)
        status = vq_cancelled(sh_cancel(x->l->sh))
                     ? vq_fail(err, VQ_ECANCELLED, "interrupted")
                     : member_rows(x, x->l->heads->v[i], life, codes, err);
    free(life);
    free(codes);
    return status;
}

static enum vq_status run_lives(struct living *x, struct vq_err *err)
{
    const struct looking *l = x->l;
    size_t cells = vq_config_modules(l->c) * (size_t)(l->c->n_head * l->c->n_code);
    bool *wanted = vq_calloc(vq_config_modules(l->c), sizeof(*wanted));
    x->drawn = vq_calloc(cells, sizeof(*x->drawn));
    for (size_t i = 0; wanted && i < l->heads->n; i++)
        wanted[l->heads->v[i].module] = true;
    const struct vq_attend_options o = {
        .to = INT64_MAX, .module = wanted, .older = true, .ud = x, .query = draw};
    enum vq_status status = wanted && x->drawn
                                ? vq_attend_new(&x->attend, l->c, &o, err)
                                : vq_nomem(err, "attention drawn", cells, sizeof(*x->drawn));
    if (status == VQ_OK)
        status = sh_tokens_run(l->sh, l->m, &x->t, vq_attend_observer(x->attend), err);
    if (status == VQ_OK)
        status = vq_attend_check(x->attend, err);
    free(wanted);
    return status;
}

static enum sh_rc list_members(const struct looking *l)
{
    struct vq_err err = {0};
    struct living x = {.l = l};
    enum sh_rc rc = sh_tokens_session(l->sh, l->m, &x.t);
    if (rc == SH_OK)
        rc = sh_tokens_row(l->sh, l->a, &x.t);
    if (rc == SH_OK) {
        enum vq_status status = run_lives(&x, &err);
        if (status == VQ_OK)
            status = list_lives(&x, &err);
        rc = status == VQ_OK ? sh_end(l->sh) : sh_fail(l->sh, &err);
    }
    vq_attend_free(x.attend);
    free(x.drawn);
    sh_tokens_release(&x.t);
    return rc;
}

/* ---- against another state ---- */

/* The state called so, or that of a file, which *owned is then. */
static const struct vq_session *find_state(const struct looking *l, const char *name,
                                           struct vq_session **owned, struct vq_err *err)
{
    const struct sh_state *kept = sh_state_find(l->m, name);
    const char *hex = NULL;
    *owned = NULL;
    if (kept)
        return kept->session;
    const struct vq_engine *e = sh_model_engine(l->sh, l->m, err);
    if (!e || sh_model_hash(l->sh, l->m, true, &hex, err) != VQ_OK ||
        vq_session_load(owned, e, name, hex ? hex : "", err) != VQ_OK)
        return NULL;
    return *owned;
}

static void diff_row(const struct looking *l, struct sh_mod at, const struct vq_cache_diff *d)
{
    struct sh *sh = l->sh;
    put_place(sh, at);
    sh_int(sh, "before", d->before);
    sh_int(sh, "after", d->after);
    sh_int(sh, "appeared", d->appeared);
    sh_int(sh, "gone", d->gone);
    sh_int(sh, "grown", d->grown);
    sh_int(sh, "shrunk", d->shrunk);
    sh_f64(sh, "moved_mean", d->moved_mean);
    sh_f64(sh, "moved_max", d->moved_max);
}

static void change_rows(const struct looking *l, struct sh_mod at,
                        const struct vq_cache_change *list)
{
    struct sh *sh = l->sh;
    for (size_t s = 0; s < (size_t)l->c->n_code; s++) {
        const struct vq_cache_change *x = &list[s];
        if (x->before == x->after && !(x->moved > 0.0))
            continue;
        put_place(sh, at);
        sh_uint(sh, "code", s);
        sh_int(sh, "before", x->before);
        sh_int(sh, "after", x->after);
        sh_f64(sh, "norm_before", x->norm_before);
        sh_f64(sh, "norm_after", x->norm_after);
        sh_f64(sh, "moved", x->moved);
    }
}

/* Counts before and after, i64 [2, module-heads, S], into out; rows to the listing without it. */
static enum vq_status compare_states(const struct looking *l, const struct vq_session *before,
                                     int64_t *out, struct vq_err *err)
{
    size_t S = (size_t)l->c->n_code, n = l->heads->n;
    struct vq_cache_change *list = vq_alloc(S, sizeof(*list));
    if (!list)
        return vq_nomem(err, "codes", S, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        struct vq_cache_view a, b;
        struct vq_cache_diff d;
        struct sh_mod at = l->heads->v[i];
        vq_session_cache(before, at.module, l->row, &a);
        vq_session_cache(l->session, at.module, l->row, &b);
        vq_cache_compare(&d, list, &a, &b, l->c, at.head);
        for (size_t s = 0; out && s < S; s++) {
            out[i * S + s] = list[s].before;
            out[(n + i) * S + s] = list[s].after;
        }
        if (out)
            continue;
        if (sh_opt_flag(l->a, "codes"))
            change_rows(l, at, list);
        else
            diff_row(l, at, &d);
    }
    free(list);
    return VQ_OK;
}

static enum sh_rc diff(const struct looking *l, const struct vq_session *before)
{
    struct vq_err err = {0};
    struct sh *sh = l->sh;
    const size_t shape[] = {2, l->heads->n, (size_t)l->c->n_code};
    if (l->row >= vq_session_batch(before))
        return sh_bad_arg(sh, sh_opt_word(l->a, "row"), "the other state holds %d sequence(s)",
                          vq_session_batch(before));
    if (sh_opt_given(l->a, "out")) {
        int64_t *x = vq_alloc(2 * shape[1] * shape[2], sizeof(*x));
        enum vq_status status = x ? compare_states(l, before, x, &err)
                                  : vq_nomem(&err, "counts", 2 * shape[1], shape[2]);
        enum sh_rc rc = status == VQ_OK
                            ? sh_array_write(sh, sh_opt_text(l->a, "out"), VQ_NPY_I64, 3, shape, x)
                            : sh_fail(sh, &err);
        free(x);
        return rc;
    }
    sh_list(sh, sh_opt_flag(l->a, "codes")
                    ? "module head code before after norm_before norm_after moved"
                    : "module head before after appeared gone grown shrunk moved_mean moved_max");
    if (compare_states(l, before, NULL, &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK)
        sh_note(sh, "from position %lld to position %lld", (long long)vq_session_position(before),
                (long long)vq_session_position(l->session));
    return rc;
}

static enum sh_rc list_diff(const struct looking *l)
{
    struct vq_err err = {0};
    struct vq_session *owned;
    const struct vq_session *before = find_state(l, sh_opt_text(l->a, "diff"), &owned, &err);
    enum sh_rc rc = before ? diff(l, before) : sh_fail(l->sh, &err);
    vq_session_free(owned);
    return rc;
}

/* ---- the command ---- */

/* Options that exclude each other, or belong to a verb. */
static enum sh_rc check_options(struct sh *sh, const struct sh_args *a, bool verb)
{
    static const char *const listing[] = {"codes", "window", "members", "diff"};
    static const char *const whatif[] = {"text", "file", "tokens", "apply"};
    for (size_t i = 0; i < 4; i++) {
        const char *name = verb ? listing[i] : whatif[i];
        if (sh_opt_given(a, name))
            return sh_bad_arg(sh, sh_opt_word(a, name), "--%s goes %s drop, keep, window-only",
                              name, verb ? "without" : "with");
    }
    if (sh_opt_flag(a, "window") && (sh_opt_flag(a, "codes") || sh_opt_given(a, "diff")))
        return sh_bad_arg(sh, sh_opt_word(a, "window"), "give --codes or --window, not both");
    if (sh_opt_flag(a, "members") && (sh_opt_given(a, "diff") || sh_opt_flag(a, "window")))
        return sh_bad_arg(sh, sh_opt_word(a, "members"), "--members goes with codes alone");
    if (!verb && sh_arg_count(a) > 1)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "one argument too many");
    return SH_OK;
}

static enum sh_rc show(const struct looking *l)
{
    enum sh_rc rc = sh_opt_given(l->a, "diff")     ? list_diff(l)
                    : sh_opt_flag(l->a, "members") ? list_members(l)
                                                   : list_cache(l);
    if (rc == SH_OK && vq_session_position(l->session) == 0)
        sh_note(l->sh, "position 0: nothing was fed yet");
    else if (rc == SH_OK && !l->c->agg_cache && !sh_opt_flag(l->a, "window"))
        sh_note(l->sh, "agg_cache is 0: older positions are counted, but no query sees them");
    return rc;
}

static enum sh_rc run_cache(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    struct sh_heads heads;
    bool verb = sh_arg_count(a) && sh_in_choices(SH_WHATIF_VERBS, sh_arg(a, 0));
    enum sh_rc rc = check_options(sh, a, verb);
    if (rc != SH_OK || verb)
        return rc != SH_OK ? rc : sh_whatif(sh, a, m);
    struct looking l = {.sh = sh,
                        .a = a,
                        .m = m,
                        .c = vq_model_config(m->model),
                        .vocab = vq_model_vocab(m->model),
                        .session = sh_model_session(sh, m, &err),
                        .heads = &heads};
    if (!l.session)
        return sh_fail(sh, &err);
    rc = sh_row_pick(sh, a, l.session, &l.row);
    if (rc == SH_OK)
        rc = sh_heads_pick(sh, a, m, &heads);
    if (rc != SH_OK)
        return rc;
    rc = show(&l);
    sh_heads_release(&heads);
    return rc;
}

static const struct sh_opt cache_opts[] = {
    {.name = "codes", .kind = SH_FLAG, .help = "the aggregate: one row for each code in use"},
    {.name = "members",
     .kind = SH_FLAG,
     .help = "and what went into it, since when, how looked at"},
    {.name = "window", .kind = SH_FLAG, .help = "the window: one row for each position"},
    {.name = "diff",
     .kind = SH_STATE,
     .value = "STATE",
     .help = "what has changed since a named state or a state file"},
    SH_ROW_OPT,
    SH_INPUT_OPTS,
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "5",
     .min = 1,
     .max = 1e6,
     .help = "tokens of a code, or changed tokens, to show"},
    {.name = "apply",
     .kind = SH_FLAG,
     .help = "drop, keep, window-only: change the session itself"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const cache_examples[] = {"cache",
                                             "cache 0.1 --codes",
                                             "cache 2.2 --window",
                                             "cache 0.1 --members --top 3",
                                             "cache drop 7,10-12 0.1",
                                             "cache window-only --text \" and so on\"",
                                             NULL};
const struct sh_cmd cmd_cache = {
    .name = "cache",
    .group = "inspect",
    .args = "[MODULES] | drop CODES [MODULES] | keep CODES [MODULES] | window-only [MODULES]",
    .summary = "show the attention cache, and ask what would be without parts of it",
    .detail =
        "The window holds the last mem_len positions one by one; everything older is folded "
        "into one count and one mean value per code. entropy is in nats, of the counts.\n\n"
        "--members runs the session's tokens again: oldest and newest are the positions of the "
        "first and last member, drawn is the attention that all queries so far have paid to the "
        "code's positions behind the window, tokens are what went in. --diff compares with an "
        "earlier state (`state fork NAME`): moved is the distance between mean values.\n\n"
        "drop CODES (3,7-9), keep CODES and window-only take codes out of the aggregate of a copy "
        "and feed the last token again to both: kl is KL(before || after) of the next token in "
        "nats, changes are the tokens whose probability changed most; --text, --file or --tokens "
        "say what follows, and nats_change is what it loses. The session stays as it is unless "
        "--apply is given; then it has no logits until a token is fed.\n\n"
        "--out writes int64 [rows,S] counts, with --diff [2,rows,S]; with the verbs float32 "
        "log-probabilities before and after, [2,n_vocab] or [2,T] of the text.",
    .examples = cache_examples,
    .max_args = 3,
    .kinds = {SH_MODULES, SH_TEXT, SH_TEXT},
    .pos_choices = SH_WHATIF_VERBS,
    .needs = SH_NEED_MODEL,
    .opts = cache_opts,
    .run = run_cache,
};
