/*
 * The command cache: the attention state as it stands. What went into it and how it differs from
 * another state is cache_views.c; the verbs, which ask what would be without parts of it, whatif.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/cache.h"
#include "repl/array.h"
#include "repl/cache_views.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tokens.h"
#include "repl/tracked.h"
#include "repl/whatif.h"

/* ---- as it stands ---- */

static enum vq_status summary_rows(const struct sh_cache_look *l, struct sh_mod at,
                                   struct vq_err *err)
{
    (void)err;
    struct vq_cache_view v;
    struct vq_cache_summary s;
    vq_session_cache(l->session, at.module, l->row, NULL, &v);
    vq_cache_summarise(&s, &v, l->c, at.head);
    sh_cache_place(l->sh, at);
    sh_int(l->sh, "window", s.window);
    sh_int(l->sh, "filled", s.filled);
    sh_int(l->sh, "codes_used", s.codes_used);
    sh_int(l->sh, "positions_aggregated", s.positions_aggregated);
    sh_int(l->sh, "count_max", s.count_max);
    sh_f64(l->sh, "entropy", s.entropy);
    return VQ_OK;
}

static enum vq_status code_rows(const struct sh_cache_look *l, struct sh_mod at, struct vq_err *err)
{
    struct vq_cache_view v;
    size_t S = (size_t)l->c->n_code;
    struct vq_cache_code *codes = vq_alloc(S, sizeof(*codes));
    float *room = sh_cache_room(l, err);
    if (!codes || !room) {
        free(codes);
        free(room);
        return vq_nomem(err, "codes", S, sizeof(*codes));
    }
    vq_session_cache(l->session, at.module, l->row, room, &v);
    vq_cache_codes(codes, &v, l->c, at.head);
    for (size_t s = 0; s < S; s++) {
        if (codes[s].count == 0)
            continue;
        sh_cache_place(l->sh, at);
        sh_uint(l->sh, "code", s);
        sh_int(l->sh, "count", codes[s].count);
        sh_f64(l->sh, "mean_value_norm", codes[s].mean_norm);
    }
    free(codes);
    free(room);
    return VQ_OK;
}

static enum vq_status window_rows(const struct sh_cache_look *l, struct sh_mod at,
                                  struct vq_err *err)
{
    struct vq_cache_view v;
    float *room = sh_cache_room(l, err);
    if (!room)
        return err->code;
    vq_session_cache(l->session, at.module, l->row, room, &v);
    struct vq_cache_slot *slots = vq_alloc((size_t)v.window, sizeof(*slots));
    if (!slots) {
        free(room);
        return vq_nomem(err, "window", (size_t)v.window, sizeof(*slots));
    }
    size_t n = vq_cache_window(slots, &v, l->c, at.head, NULL);
    for (size_t i = 0; i < n; i++) {
        sh_cache_place(l->sh, at);
        sh_int(l->sh, "position", slots[i].position);
        sh_put_token(l->sh, l->vocab, sh_token_at(l->m, (size_t)l->row, slots[i].position));
        sh_int(l->sh, "code", slots[i].code);
        sh_f64(l->sh, "value_norm", slots[i].value_norm);
    }
    free(slots);
    free(room);
    return VQ_OK;
}

typedef enum vq_status (*rows_fn)(const struct sh_cache_look *, struct sh_mod, struct vq_err *);

static enum sh_rc list_rows(const struct sh_cache_look *l, const char *columns, rows_fn rows)
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
static enum sh_rc write_counts(const struct sh_cache_look *l)
{
    size_t S = (size_t)l->c->n_code;
    const size_t shape[] = {l->heads->n, S};
    int64_t *count = vq_alloc(shape[0] * S, sizeof(*count));
    if (!count)
        return sh_failf(l->sh, "out of memory");
    for (size_t i = 0; i < shape[0]; i++) {
        struct vq_cache_view v;
        vq_session_cache(l->session, l->heads->v[i].module, l->row, NULL, &v);
        memcpy(count + i * S, v.count + (size_t)l->heads->v[i].head * S, S * sizeof(*count));
    }
    enum sh_rc rc = sh_array_write(l->sh, sh_opt_text(l->a, "out"), VQ_NPY_I64, 2, shape, count);
    free(count);
    return rc;
}

static enum sh_rc list_cache(const struct sh_cache_look *l)
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

/* The tokens of the window as a text. */
static enum sh_rc show_text(const struct sh_cache_look *l)
{
    struct vq_err err = {0};
    struct vq_cache_view v;
    char *text = NULL;
    size_t size = 0, known = 0;
    vq_session_cache(l->session, 0, l->row, NULL, &v);
    int32_t *ids = vq_alloc((size_t)v.window, sizeof(*ids));
    if (!ids)
        return sh_failf(l->sh, "out of memory");
    for (int t = 0; t < v.window; t++) {
        ids[known] = sh_token_at(l->m, (size_t)l->row, v.first + t);
        known += ids[known] >= 0;
    }
    enum vq_status status = vq_vocab_decode(l->vocab, ids, known, &text, &size, &err);
    free(ids);
    if (status != VQ_OK)
        return sh_fail(l->sh, &err);
    sh_record(l->sh);
    sh_int(l->sh, "first", v.first);
    sh_int(l->sh, "positions", v.window);
    sh_uint(l->sh, "known", known);
    sh_bytes(l->sh, "text", text, size);
    free(text);
    return sh_end(l->sh);
}

/* ---- the command ---- */

/* What is shown instead of the summary. */
static const struct view {
    const char *option;
    enum sh_rc (*show)(const struct sh_cache_look *l);
} views[] = {{"window", list_cache},      {"window-text", show_text}, {"members", sh_cache_members},
             {"growth", sh_cache_growth}, {"diff", sh_cache_diff},    {"codes", list_cache}};
enum { N_VIEWS = sizeof(views) / sizeof(views[0]) };

static enum sh_rc check_verb(struct sh *sh, const struct sh_args *a)
{
    for (size_t i = 0; i < N_VIEWS; i++)
        if (sh_opt_given(a, views[i].option))
            return sh_bad_arg(sh, sh_opt_word(a, views[i].option),
                              "--%s goes without drop, keep, window-only", views[i].option);
    return SH_OK;
}

/* The view that was asked for; --codes alone goes with others. */
static enum sh_rc pick_view(struct sh *sh, const struct sh_args *a, const struct view **out)
{
    static const char *const whatif[] = {"text", "file", "tokens", "apply"};
    *out = NULL;
    for (size_t i = 0; i < N_VIEWS; i++) {
        bool codes = i + 1 == N_VIEWS,
             with = *out && ((*out)->show == sh_cache_diff || (*out)->show == sh_cache_members);
        if (!sh_opt_given(a, views[i].option) || (codes && with))
            continue;
        if (*out)
            return sh_bad_arg(sh, sh_opt_word(a, views[i].option), "give --%s or --%s, not both",
                              (*out)->option, views[i].option);
        *out = &views[i];
    }
    bool growth = *out && (*out)->show == sh_cache_growth;
    for (size_t i = growth ? 3 : 0; i < 4; i++)
        if (sh_opt_given(a, whatif[i]))
            return sh_bad_arg(sh, sh_opt_word(a, whatif[i]),
                              "--%s goes with drop, keep, window-only", whatif[i]);
    if (sh_arg_count(a) > 1)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "one argument too many");
    return SH_OK;
}

static enum sh_rc show(const struct sh_cache_look *l, const struct view *view)
{
    enum sh_rc rc = view ? view->show(l) : list_cache(l);
    bool window = view && strncmp(view->option, "window", 6) == 0;
    if (rc == SH_OK && vq_session_position(l->session) == 0 && !sh_input_given(l->a))
        sh_note(l->sh, "position 0: nothing was fed yet");
    else if (rc == SH_OK && !l->c->agg_cache && !window)
        sh_note(l->sh, "agg_cache is 0: older positions are counted, but no query sees them");
    return rc;
}

static enum sh_rc run_cache(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    struct sh_heads heads;
    const struct view *view;
    bool verb = sh_arg_count(a) && sh_in_choices(SH_WHATIF_VERBS, sh_arg(a, 0));
    enum sh_rc rc = verb ? check_verb(sh, a) : pick_view(sh, a, &view);
    if (rc != SH_OK || verb)
        return rc != SH_OK ? rc : sh_whatif(sh, a, m);
    struct sh_cache_look l = {.sh = sh,
                              .a = a,
                              .m = m,
                              .c = vq_model_config(m->model),
                              .vocab = vq_model_vocab(m->model),
                              .session = sh_model_session(sh, m, &err),
                              .heads = &heads};
    if (!l.session)
        return sh_fail(sh, &err);
    rc = sh_input_given(a) ? SH_OK : sh_row_pick(sh, a, l.session, &l.row);
    if (rc == SH_OK)
        rc = sh_heads_pick(sh, a, m, &heads);
    if (rc != SH_OK)
        return rc;
    rc = show(&l, view);
    sh_heads_release(&heads);
    return rc;
}

static const struct sh_opt cache_opts[] = {
    {.name = "codes", .kind = SH_FLAG, .help = "the aggregate: one row for each code in use"},
    {.name = "members",
     .kind = SH_FLAG,
     .help = "and what went into it, since when, how looked at"},
    {.name = "window", .kind = SH_FLAG, .help = "the window: one row for each position"},
    {.name = "window-text", .kind = SH_FLAG, .help = "the window's tokens as a text"},
    {.name = "growth",
     .kind = SH_INT,
     .value = "N",
     .min = 1,
     .max = 1e6,
     .help = "how the aggregate grew, at N moments of the session or a text"},
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
                                             "cache 0.1 --growth 4 --file README.md",
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
        "earlier state (`state fork NAME`): moved is the distance between mean values. --growth N "
        "runs the tokens of the session, or of --text, --file, --tokens, again and tells N times "
        "how full the aggregate was.\n\n"
        "drop CODES (3,7-9), keep CODES and window-only take codes out of the aggregate of a copy "
        "and feed the last token again to both: kl is KL(before || after) of the next token in "
        "nats, changes are the tokens whose probability changed most; --text, --file or --tokens "
        "say what follows, and nats_change is what it loses. The session stays as it is unless "
        "--apply is given; then it has no logits until a token is fed.\n\n"
        "--out writes int64 [rows,S] counts, with --diff [2,rows,S], with --growth float32 "
        "[rows,S,N]; with the verbs float32 "
        "log-probabilities before and after, [2,n_vocab] or [2,T] of the text.",
    .examples = cache_examples,
    .max_args = 3,
    .kinds = {SH_MODULES, SH_TEXT, SH_TEXT},
    .pos_choices = SH_WHATIF_VERBS,
    .needs = SH_NEED_MODEL,
    .opts = cache_opts,
    .run = run_cache,
};
