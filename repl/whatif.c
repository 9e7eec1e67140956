#include "repl/whatif.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/surprise.h"
#include "core/kernels/vec.h"
#include "core/model/generate.h"
#include "core/model/session_edit.h"
#include "repl/array.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tracked.h"

/* One of the two runs: with the cache as it is, and with less in it. */
struct outcome {
    struct vq_session *session; /* before the token `before` */
    float *next;                /* [N] log-probabilities after it */
    float *text;                /* [n] log-probabilities of the text's tokens */
    struct vq_score score;
};

struct whatif {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    struct sh_heads heads;
    bool *drop; /* [S] */
    size_t S, N;
    int32_t before;         /* the token that is fed to both */
    bool knows;             /* it is the session's last; else the first of the text */
    struct sh_input in;     /* the following text; no tokens without one */
    const int32_t *targets; /* [n] those that are scored */
    size_t n;
    int64_t *dropped; /* [heads] positions taken out */
    struct outcome as_is, without;
};

/* ---- which codes ---- */

/* CODES: "3,7-9" or "all", into drop[S]. */
static enum sh_rc parse_codes(const struct whatif *w, const char *text, int word)
{
    const char *p = text;
    if (strcmp(text, "all") == 0) {
        memset(w->drop, true, w->S * sizeof(*w->drop));
        return SH_OK;
    }
    for (;;) {
        char *end;
        unsigned long long from = strtoull(p, &end, 10), to = from;
        const char *start = p;
        bool digits = end > p && *p >= '0' && *p <= '9';
        if (digits && *end == '-' && end[1] >= '0' && end[1] <= '9')
            to = strtoull(end + 1, &end, 10);
        if (!digits || (*end && *end != ',') || to < from || to >= w->S)
            return sh_bad_arg_at(w->sh, word, (size_t)(start - text),
                                 "expected codes from 0 to %zu, as in 3,7-9, or all", w->S - 1);
        for (size_t s = (size_t)from; s <= (size_t)to; s++)
            w->drop[s] = true;
        if (!*end)
            return SH_OK;
        p = end + 1;
    }
}

/* The verb's arguments: codes to drop, and module-heads. */
static enum sh_rc parse(struct whatif *w)
{
    const char *verb = sh_arg(w->a, 0);
    bool codes = strcmp(verb, "window-only") != 0;
    int modules = codes ? 2 : 1, given = sh_arg_count(w->a);
    enum sh_rc rc = SH_OK;
    w->drop = vq_calloc(w->S, sizeof(*w->drop));
    if (!w->drop)
        return sh_failf(w->sh, "out of memory");
    if (codes && given < 2)
        return sh_bad_arg(w->sh, 0, "which codes? cache %s CODES [MODULES], as in 3,7-9", verb);
    if (given > modules + 1)
        return sh_bad_arg(w->sh, sh_arg_word(w->a, modules + 1), "one argument too many");
    rc = parse_codes(w, codes ? sh_arg(w->a, 1) : "all", sh_arg_word(w->a, 1));
    for (size_t s = 0; rc == SH_OK && strcmp(verb, "keep") == 0 && s < w->S; s++)
        w->drop[s] = !w->drop[s];
    if (rc == SH_OK)
        rc = sh_heads_parse(w->sh, w->m, given > modules ? sh_arg(w->a, modules) : "all",
                            sh_arg_word(w->a, given > modules ? modules : 0), &w->heads);
    return rc;
}

/* ---- the two sessions ---- */

/* The session as it stood before its last token, from the tokens it was fed. */
static enum vq_status stand_before_last(struct whatif *w, int row, struct vq_err *err)
{
    struct sh_history h;
    const struct vq_feed_options o = {.cancel = sh_cancel(w->sh), .no_logits = 1};
    const struct vq_engine *e = sh_model_engine(w->sh, w->m, err);
    enum vq_status status = e ? sh_history_to_run(w->m, &h, err) : err->code;
    if (status != VQ_OK)
        return status;
    const int32_t *tokens = h.tokens + (size_t)row * h.stride;
    w->before = tokens[h.n - 1];
    w->knows = true;
    if ((status = vq_session_new(&w->as_is.session, e, 1, err)) != VQ_OK)
        return status;
    sh_progress(w->sh, "running %zu tokens again", h.n - 1);
    status = vq_session_feed(w->as_is.session, tokens, h.n - 1, h.stride, &o, err);
    sh_progress_clear(w->sh);
    return status;
}

/* The session where it stands, when its tokens do not lead to it. The text's first token is fed
 * instead. */
static enum vq_status stand_here(struct whatif *w, const struct vq_session *s, struct vq_err *err)
{
    if (vq_session_batch(s) != 1 || w->in.cols == 0)
        return vq_fail(err, VQ_ENOTFOUND,
                       "the session's tokens cannot be run again (it began with a loaded state, or "
                       "codes were taken out of it); --text tells what follows");
    w->before = w->in.tokens[0];
    w->targets = w->in.tokens + 1;
    w->n = w->in.cols - 1;
    return vq_session_fork(&w->as_is.session, s, 1, err);
}

static enum sh_rc prepare(struct whatif *w)
{
    struct vq_err err = {0};
    struct sh_history h;
    int row;
    struct vq_session *s = sh_model_session(w->sh, w->m, &err);
    if (!s)
        return sh_fail(w->sh, &err);
    enum sh_rc rc = sh_row_pick(w->sh, w->a, s, &row);
    if (rc == SH_OK && vq_session_position(s) == 0)
        rc = sh_failf(w->sh, "nothing was fed yet: feed a text first");
    if (rc == SH_OK && sh_input_given(w->a))
        rc = sh_input_read(w->sh, w->a, vq_model_vocab(w->m->model), &w->in);
    if (rc == SH_OK && w->in.rows > 1)
        rc = sh_failf(w->sh, "one text can follow, the input has %zu", w->in.rows);
    if (rc != SH_OK)
        return rc;
    sh_input_go_on(&w->in, vq_model_vocab(w->m->model), sh_place(w->m));
    w->targets = w->in.tokens;
    w->n = w->in.cols;
    bool known = sh_history_to_run(w->m, &h, NULL) == VQ_OK;
    enum vq_status status = known ? stand_before_last(w, row, &err) : stand_here(w, s, &err);
    if (status == VQ_OK)
        status = vq_session_fork(&w->without.session, w->as_is.session, 1, &err);
    w->dropped = vq_calloc(w->heads.n, sizeof(*w->dropped));
    if (status == VQ_OK && !w->dropped)
        status = vq_nomem(&err, "counts", w->heads.n, sizeof(*w->dropped));
    for (size_t i = 0; status == VQ_OK && i < w->heads.n; i++)
        w->dropped[i] = vq_session_drop_codes(w->without.session, w->heads.v[i].module,
                                              w->heads.v[i].head, w->drop);
    return status == VQ_OK ? SH_OK : sh_fail(w->sh, &err);
}

/* ---- running both ---- */

struct taking {
    struct outcome *o;
    int64_t first; /* position of the first row */
    size_t N;
};

static enum vq_status take_rows(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                                const int32_t *targets, struct vq_err *err)
{
    (void)b, (void)err;
    const struct taking *t = ud;
    if (position == t->first)
        memcpy(t->o->next, logprobs, t->N * sizeof(*logprobs));
    for (size_t i = 0; i < n; i++)
        t->o->text[(size_t)(position - t->first) + i] = logprobs[i * t->N + (size_t)targets[i]];
    return VQ_OK;
}

/* Without a text the token alone is fed. */
static enum vq_status run_token(const struct whatif *w, struct outcome *o, struct vq_err *err)
{
    const struct vq_feed_options how = {.cancel = sh_cancel(w->sh)};
    enum vq_status status = vq_session_feed(o->session, &w->before, 1, 1, &how, err);
    if (status != VQ_OK)
        return status;
    memcpy(o->next, vq_session_logits(o->session), w->N * sizeof(*o->next));
    vq_vec_default()->log_softmax(o->next, w->N);
    return VQ_OK;
}

static enum vq_status run_one(const struct whatif *w, struct outcome *o, struct vq_err *err)
{
    struct taking t = {o, vq_session_position(o->session), w->N};
    const struct vq_score_options how = {.cancel = sh_cancel(w->sh), .ud = &t, .rows = take_rows};
    o->next = vq_alloc(w->N, sizeof(*o->next));
    o->text = vq_alloc(w->n, sizeof(*o->text));
    if (!o->next || !o->text)
        return vq_nomem(err, "log-probabilities", w->N + w->n, sizeof(*o->next));
    return w->n ? vq_score_run(o->session, w->before, w->targets, w->n, w->n, &how, &o->score, err)
                : run_token(w, o, err);
}

/* ---- reporting ---- */

static size_t rank_of(const float *logprobs, size_t N, size_t id)
{
    return vq_surprise_of(logprobs, N, (int32_t)id).rank;
}

/* Tokens whose probability changed most. */
static enum vq_status list_changes(const struct whatif *w, struct sh_part *p, struct vq_err *err)
{
    size_t k = (size_t)sh_opt_int(w->a, "top");
    k = k < w->N ? k : w->N;
    float *change = vq_alloc(w->N, sizeof(*change));
    size_t *best = vq_alloc(k, sizeof(*best));
    char piece[64];
    enum vq_status status = change && best ? VQ_OK : vq_nomem(err, "changes", w->N, sizeof(float));
    for (size_t i = 0; status == VQ_OK && i < w->N; i++)
        change[i] = fabsf(expf(w->without.next[i]) - expf(w->as_is.next[i]));
    if (status == VQ_OK)
        vq_largest(best, k, change, w->N);
    sh_part_list(p, "changes", "id token prob_before prob_after change rank_before rank_after");
    for (size_t i = 0; status == VQ_OK && i < k && change[best[i]] > 0.0f; i++) {
        size_t id = best[i];
        double before = exp(w->as_is.next[id]), after = exp(w->without.next[id]);
        sh_part_row(p);
        sh_part_uint(p, "id", id);
        sh_part_str(p, "token",
                    vq_vocab_piece(vq_model_vocab(w->m->model), (int32_t)id, piece, sizeof(piece)));
        sh_part_f64(p, "prob_before", before);
        sh_part_f64(p, "prob_after", after);
        sh_part_f64(p, "change", after - before);
        sh_part_uint(p, "rank_before", rank_of(w->as_is.next, w->N, id));
        sh_part_uint(p, "rank_after", rank_of(w->without.next, w->N, id));
    }
    free(change);
    free(best);
    return status;
}

static void list_dropped(const struct whatif *w, struct sh_part *p)
{
    char name[32];
    sh_part_list(p, "modules", "module head positions_dropped");
    for (size_t i = 0; i < w->heads.n; i++) {
        sh_part_row(p);
        sh_part_str(p, "module", sh_module_name(w->heads.v[i].module, -1, name));
        sh_part_int(p, "head", w->heads.v[i].head);
        sh_part_int(p, "positions_dropped", w->dropped[i]);
    }
}

static void put_scores(const struct whatif *w)
{
    struct sh *sh = w->sh;
    double before = w->as_is.score.nats, after = w->without.score.nats;
    double n = (double)w->as_is.score.tokens;
    sh_uint(sh, "tokens", w->as_is.score.tokens);
    sh_f64(sh, "nats_before", before);
    sh_f64(sh, "nats_after", after);
    sh_f64(sh, "nats_change", after - before);
    if (n > 0)
        sh_f64(sh, "bits_per_token_change", (after - before) / n / log(2.0));
    else
        sh_null(sh, "bits_per_token_change");
}

static enum sh_rc report(const struct whatif *w)
{
    struct vq_err err = {0};
    struct sh *sh = w->sh;
    const struct vq_vocab *v = vq_model_vocab(w->m->model);
    int64_t dropped = 0;
    char piece[64];
    for (size_t i = 0; i < w->heads.n; i++)
        dropped += w->dropped[i];
    sh_record(sh);
    sh_str(sh, "verb", sh_arg(w->a, 0));
    sh_int(sh, "position", vq_session_position(w->as_is.session) - (int64_t)(w->n ? w->n : 1));
    sh_str(sh, "after_token", vq_vocab_piece(v, w->before, piece, sizeof(piece)));
    sh_int(sh, "positions_dropped", dropped);
    sh_f64(sh, "kl", vq_divergence(w->as_is.next, w->without.next, w->N));
    if (w->n)
        put_scores(w);
    sh_bool(sh, "applied", sh_opt_flag(w->a, "apply"));
    struct sh_part p = sh_parts_begin(sh);
    list_dropped(w, &p);
    if (list_changes(w, &p, &err) != VQ_OK) {
        sh_parts_drop(&p);
        return sh_fail(sh, &err);
    }
    enum sh_rc rc = sh_parts_end(&p);
    if (rc == SH_OK && !vq_model_settings(w->m->model)->v.agg_cache)
        sh_note(sh, "without agg_cache the model does not look at the aggregate: nothing changes");
    else if (rc == SH_OK && dropped == 0)
        sh_note(sh, "nothing was taken out: these codes hold no positions");
    if (rc == SH_OK && !w->knows)
        sh_note(sh, "the text's first token is fed to both, not scored");
    return rc;
}

/* Log-probabilities before and after: [2, T] of the text's tokens, [2, n_vocab] without one. */
static enum sh_rc write_outcomes(const struct whatif *w)
{
    const size_t shape[] = {2, w->n ? w->n : w->N};
    float *x = vq_alloc(2 * shape[1], sizeof(*x));
    if (!x)
        return sh_failf(w->sh, "out of memory");
    memcpy(x, w->n ? w->as_is.text : w->as_is.next, shape[1] * sizeof(*x));
    memcpy(x + shape[1], w->n ? w->without.text : w->without.next, shape[1] * sizeof(*x));
    enum sh_rc rc = sh_array_write(w->sh, sh_opt_text(w->a, "out"), VQ_NPY_F32, 2, shape, x);
    free(x);
    return rc;
}

/* Takes the codes out of the session itself. */
static enum vq_status apply(const struct whatif *w, struct vq_err *err)
{
    struct vq_session *copy, *s = sh_model_session(w->sh, w->m, err);
    if (!s || vq_session_fork(&copy, s, vq_session_batch(s), err) != VQ_OK)
        return err->code;
    for (size_t i = 0; i < w->heads.n; i++)
        vq_session_drop_codes(copy, w->heads.v[i].module, w->heads.v[i].head, w->drop);
    sh_model_set_session(w->m, copy, w->m->tracked);
    return VQ_OK;
}

static enum sh_rc answer(struct whatif *w)
{
    struct vq_err err = {0};
    enum vq_status status = run_one(w, &w->as_is, &err);
    if (status == VQ_OK)
        status = run_one(w, &w->without, &err);
    if (status == VQ_OK && sh_opt_flag(w->a, "apply"))
        status = apply(w, &err);
    if (status != VQ_OK)
        return sh_fail(w->sh, &err);
    enum sh_rc rc = sh_opt_given(w->a, "out") ? write_outcomes(w) : report(w);
    if (rc == SH_OK && sh_opt_flag(w->a, "apply"))
        sh_note(w->sh, "the session's cache has changed: feed a token to go on");
    return rc;
}

static void release(struct outcome *o)
{
    vq_session_free(o->session);
    free(o->next);
    free(o->text);
}

enum sh_rc sh_whatif(struct sh *sh, const struct sh_args *a, struct sh_model *m)
{
    const struct vq_config *c = vq_model_config(m->model);
    struct whatif w = {.sh = sh, .a = a, .m = m, .S = (size_t)c->n_code, .N = (size_t)c->n_vocab};
    enum sh_rc rc = parse(&w);
    if (rc == SH_OK)
        rc = prepare(&w);
    if (rc == SH_OK)
        rc = answer(&w);
    release(&w.as_is);
    release(&w.without);
    sh_heads_release(&w.heads);
    sh_input_release(&w.in);
    free(w.drop);
    free(w.dropped);
    return rc;
}
