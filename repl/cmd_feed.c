/*
 * Commands that move the attention state: feed, reset, state.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/speed.h"
#include "repl/tracked.h"

/* ---- feed ---- */

/* The session for the rows of the input: a batch is begun at position 0 only. */
static struct vq_session *session_for(struct sh *sh, struct sh_model *m, size_t rows,
                                      struct vq_err *err)
{
    struct vq_session *s = sh_model_session(sh, m, err);
    if (!s || (size_t)vq_session_batch(s) == rows)
        return s;
    if (vq_session_position(s) > 0) {
        vq_fail(err, VQ_EINVAL,
                "the session holds %d sequence(s) at position %lld, the input has %zu: reset first",
                vq_session_batch(s), (long long)vq_session_position(s), rows);
        return NULL;
    }
    struct vq_session *batch = NULL;
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    if (!e || vq_session_new(&batch, e, rows < 65537 ? (int)rows : 65537, err) != VQ_OK)
        return NULL;
    sh_model_set_session(m, batch, NULL);
    return batch;
}

struct feeding {
    struct sh *sh;
    int64_t from, to;
    double start;
};

static void show_progress(void *ud, const struct vq_block *b)
{
    struct feeding *f = ud;
    int64_t done = b->position + b->n - f->from;
    double seconds = sh_now() - f->start, rate = (double)done / (seconds > 0 ? seconds : 1e-9);
    sh_progress(f->sh, "%lld of %lld tokens, %.0f tokens/s, %.0f s left", (long long)done,
                (long long)(f->to - f->from), rate, (double)(f->to - f->from - done) / rate);
}

static enum sh_rc feed(struct sh *sh, struct sh_model *m, struct sh_input *in, bool eos)
{
    struct vq_err err = {0};
    struct vq_session *s = session_for(sh, m, in->rows, &err);
    if (!s)
        return sh_fail(sh, &err);
    if (in->is_text && eos && vq_session_position(s) == 0 &&
        sh_input_lead_with_eos(in, &err) != VQ_OK)
        return sh_fail(sh, &err);

    int64_t from = vq_session_position(s);
    struct feeding f = {sh, from, from + (int64_t)in->cols, sh_now()};
    const struct vq_observer progress = {.ud = &f, .committed = show_progress};
    const struct vq_feed_options o = {.observe = sh_track(m, &progress, &err),
                                      .cancel = sh_cancel(sh)};
    if (!o.observe)
        return sh_fail(sh, &err);
    enum vq_status status = vq_session_feed(s, in->tokens, in->cols, in->cols, &o, &err);
    double seconds = sh_now() - f.start;
    sh_progress_clear(sh);

    size_t moved = (size_t)(vq_session_position(s) - from) * in->rows;
    if (status == VQ_ECANCELLED)
        sh_note(sh, "stopped at position %lld; what was fed stays",
                (long long)vq_session_position(s));
    else if (status == VQ_OK && vq_trace_check(sh_trace(m), &err) != VQ_OK)
        sh_warn(sh, "%s", err.msg);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_speed_note(sh, m, s, moved, seconds);
    sh_record(sh);
    sh_int(sh, "position", vq_session_position(s));
    sh_uint(sh, "tokens", moved);
    sh_f64(sh, "seconds", seconds);
    sh_f64(sh, "tokens_per_second", moved ? (double)moved / seconds : 0.0);
    return sh_end(sh);
}

static enum sh_rc run_feed(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct sh_input in;
    enum sh_rc rc = sh_input_read(sh, a, vq_model_vocab(m->model), &in);
    if (rc != SH_OK)
        return rc;
    sh_input_go_on(&in, vq_model_vocab(m->model), sh_place(m));
    rc = feed(sh, m, &in, !sh_opt_flag(a, "no-eos"));
    sh_input_release(&in);
    return rc;
}

static const struct sh_opt feed_opts[] = {
    SH_INPUT_OPTS,
    {.name = "no-eos", .kind = SH_FLAG, .help = "do not begin a text at position 0 with eos"},
    SH_OPT_END};
static const char *const feed_examples[] = {"feed --text \"Call me Ishmael. Some years ago\"",
                                            "feed --file README.md", NULL};
const struct sh_cmd cmd_feed = {
    .name = "feed",
    .group = "state",
    .args = "--text TEXT | --file FILE | --tokens F.npy",
    .summary = "move tokens through the model, keeping the attention cache",
    .detail = "A text that begins a sequence (position 0) is preceded by eos, as in training and "
              "as `score` does; --tokens are fed exactly as they are. A file of [B,T] ids moves B "
              "sequences in step. Ctrl-C stops between blocks: what was fed stays.",
    .examples = feed_examples,
    .needs = SH_NEED_MODEL,
    .opts = feed_opts,
    .run = run_feed,
};

/* ---- reset ---- */

static enum sh_rc run_reset(struct sh *sh, const struct sh_args *a)
{
    (void)a;
    struct sh_model *m = sh_model_current(sh);
    sh_model_set_session(m, NULL, NULL);
    sh_ack(sh, "%s is at position 0", m->name);
    sh_int(sh, "position", 0);
    return sh_end(sh);
}

static const char *const reset_examples[] = {"reset", NULL};
const struct sh_cmd cmd_reset = {
    .name = "reset",
    .group = "state",
    .args = "",
    .summary = "empty the attention state and go back to position 0",
    .examples = reset_examples,
    .needs = SH_NEED_MODEL,
    .run = run_reset,
};

/* ---- state ---- */

static enum sh_rc show_state(struct sh *sh, const struct sh_model *m)
{
    sh_record(sh);
    sh_str(sh, "model", m->name);
    sh_int(sh, "position", sh_model_position(m));
    sh_int(sh, "batch", m->session ? vq_session_batch(m->session) : 1);
    sh_uint(sh, "bytes", m->session ? vq_session_bytes(m->session) : 0);
    return sh_end(sh);
}

static enum sh_rc list_states(struct sh *sh, const struct sh_model *m)
{
    sh_list(sh, "name position batch bytes");
    for (const struct sh_state *s = m->states; s; s = s->next) {
        sh_row(sh);
        sh_str(sh, "name", s->name);
        sh_int(sh, "position", vq_session_position(s->session));
        sh_int(sh, "batch", vq_session_batch(s->session));
        sh_uint(sh, "bytes", vq_session_bytes(s->session));
    }
    return sh_end(sh);
}

/* The tokens that go into a state file: those of the window, so that its size is the same at any
 * position, or all. [B, n] into *out, whose ids the caller frees. */
static enum vq_status tokens_to_save(const struct sh_model *m, const struct vq_session *s, bool all,
                                     struct vq_state_tokens *out, struct vq_err *err)
{
    struct sh_history h;
    int64_t position = vq_session_position(s), n = vq_model_config(m->model)->mem_len;
    size_t rows = (size_t)vq_session_batch(s);
    if (all && position > 0 && sh_history(m, &h, err) != VQ_OK)
        return err->code;
    if (all && position > n)
        n = position;
    int32_t *ids = vq_alloc(rows * (size_t)n, sizeof(*ids));
    if (!ids)
        return vq_nomem(err, "tokens", rows * (size_t)n, sizeof(*ids));
    for (size_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            ids[(int64_t)r * n + i] = sh_token_at(m, r, position - n + i);
    *out = (struct vq_state_tokens){ids, (size_t)n};
    return VQ_OK;
}

static enum sh_rc save_state(struct sh *sh, struct sh_model *m, const char *path, bool all)
{
    struct vq_err err = {0};
    struct vq_state_tokens tokens;
    const char *hex = NULL;
    uint64_t bytes = 0;
    struct vq_session *s = sh_model_session(sh, m, &err);
    if (!s || sh_model_hash(sh, m, true, &hex, &err) != VQ_OK ||
        tokens_to_save(m, s, all, &tokens, &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum vq_status status = vq_session_save(s, path, hex ? hex : "", &tokens, &bytes, &err);
    free((void *)tokens.ids);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_record(sh);
    sh_str(sh, "path", path);
    sh_uint(sh, "bytes", bytes);
    sh_int(sh, "position", vq_session_position(s));
    return sh_end(sh);
}

static enum sh_rc load_state(struct sh *sh, struct sh_model *m, const char *path)
{
    struct vq_err err = {0};
    const char *hex = NULL;
    struct vq_session *s = NULL;
    struct sh_tracked *tracked = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    const struct vq_engine *e = sh_model_engine(sh, m, &err);
    if (!e || sh_model_hash(sh, m, true, &hex, &err) != VQ_OK ||
        vq_session_load(&s, e, path, hex ? hex : "", &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum vq_status status = vq_session_load_tokens(s, path, &ids, &n, &err);
    if (status == VQ_OK)
        status = sh_tracked_loaded(&tracked, ids, (size_t)vq_session_batch(s), n,
                                   vq_session_position(s), &err);
    free(ids);
    if (status != VQ_OK) {
        vq_session_free(s);
        return sh_fail(sh, &err);
    }
    sh_model_set_session(m, s, tracked);
    if (n == 0)
        sh_note(sh, "%s does not hold tokens: its window has no text", path);
    return show_state(sh, m);
}

/* A session and what is remembered of it, once more. */
static enum vq_status fork_both(const struct vq_session *s, const struct sh_tracked *t,
                                struct vq_session **session, struct sh_tracked **tracked,
                                struct vq_err *err)
{
    enum vq_status status = vq_session_fork(session, s, vq_session_batch(s), err);
    if (status == VQ_OK && (status = sh_tracked_copy(tracked, t, err)) != VQ_OK)
        vq_session_free(*session);
    return status;
}

static enum sh_rc fork_state(struct sh *sh, struct sh_model *m, const char *name)
{
    struct vq_err err = {0};
    struct sh_tracked *tracked = NULL;
    struct vq_session *copy = NULL, *s = sh_model_session(sh, m, &err);
    if (!s || fork_both(s, m->tracked, &copy, &tracked, &err) != VQ_OK)
        return sh_fail(sh, &err);
    if (sh_state_keep(m, name, copy, tracked, &err) != VQ_OK) {
        vq_session_free(copy);
        sh_tracked_free(tracked);
        return sh_fail(sh, &err);
    }
    sh_ack(sh, "kept position %lld as %s", (long long)sh_model_position(m), name);
    sh_str(sh, "name", name);
    sh_int(sh, "position", sh_model_position(m));
    return sh_end(sh);
}

static enum sh_rc use_state(struct sh *sh, struct sh_model *m, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_tracked *tracked = NULL;
    struct vq_session *copy = NULL;
    const struct sh_state *kept = sh_state_find(m, sh_arg(a, 1));
    if (!kept)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "no state is kept as %s; try 'state list'",
                          sh_arg(a, 1));
    if (fork_both(kept->session, kept->tracked, &copy, &tracked, &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_model_set_session(m, copy, tracked);
    return show_state(sh, m);
}

static enum sh_rc drop_state(struct sh *sh, struct sh_model *m, const struct sh_args *a)
{
    if (!sh_state_drop(m, sh_arg(a, 1)))
        return sh_bad_arg(sh, sh_arg_word(a, 1), "no state is kept as %s; try 'state list'",
                          sh_arg(a, 1));
    sh_ack(sh, "dropped %s", sh_arg(a, 1));
    sh_str(sh, "name", sh_arg(a, 1));
    return sh_end(sh);
}

static enum sh_rc run_state(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    const char *verb = sh_arg_count(a) ? sh_arg(a, 0) : "";
    bool listing = strcmp(verb, "list") == 0;
    if (sh_opt_flag(a, "history") && strcmp(verb, "save") != 0)
        return sh_bad_arg(sh, sh_opt_word(a, "history"), "--history goes with save");
    if (!*verb)
        return show_state(sh, m);
    if (listing != (sh_arg_count(a) == 1))
        return sh_bad_arg(sh, sh_arg_word(a, 0),
                          listing ? "state list takes nothing more"
                                  : "expected a file (save, load) or a name (fork, use, drop)");
    if (listing)
        return list_states(sh, m);
    if (strcmp(verb, "save") == 0)
        return save_state(sh, m, sh_arg(a, 1), sh_opt_flag(a, "history"));
    if (strcmp(verb, "load") == 0)
        return load_state(sh, m, sh_arg(a, 1));
    if (strcmp(verb, "fork") == 0)
        return fork_state(sh, m, sh_arg(a, 1));
    return strcmp(verb, "use") == 0 ? use_state(sh, m, a) : drop_state(sh, m, a);
}

static const struct sh_opt state_opts[] = {
    {.name = "history",
     .kind = SH_FLAG,
     .help = "save: write all tokens, 4 bytes each, not just the window's"},
    SH_OPT_END};
static const char *const state_examples[] = {"state",
                                             "state save state.safetensors",
                                             "state save state.safetensors --history",
                                             "state load state.safetensors",
                                             "state fork here",
                                             "state list",
                                             "state use here",
                                             NULL};
const struct sh_cmd cmd_state = {
    .name = "state",
    .group = "state",
    .args = "[save FILE | load FILE | fork NAME | use NAME | drop NAME | list]",
    .summary = "show, save, load or fork the attention state",
    .detail =
        "A state file is a safetensors file of constant size, whatever the position. It holds "
        "the tokens of the window, so that they can be read; with --history all of them, so "
        "that `attn --pos` and others can run them again. fork keeps a copy in this session "
        "under a name, with all that is remembered of it; use goes back to it.",
    .examples = state_examples,
    .max_args = 2,
    .kinds = {SH_CHOICE, SH_PATH},
    .pos_choices = "save load fork use drop list",
    .needs = SH_NEED_MODEL,
    .opts = state_opts,
    .run = run_state,
};
