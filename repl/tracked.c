#include "repl/tracked.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/session_edit.h"

struct sh_tracked {
    struct vq_trace *trace;         /* NULL until something is fed */
    struct vq_observer observer;    /* of the tokens; behind the trace's */
    const struct vq_observer *next; /* behind ours */
    int32_t *tokens;                /* [rows, cap]: those at positions first .. first + n - 1 */
    int64_t first;
    size_t rows, n, cap;
};

void sh_tracked_free(struct sh_tracked *t)
{
    if (!t)
        return;
    vq_trace_free(t->trace);
    free(t->tokens);
    free(t);
}

/* ---- the tokens ---- */

static void forget(struct sh_tracked *t, int64_t position)
{
    free(t->tokens);
    t->tokens = NULL;
    t->n = t->cap = 0;
    t->first = position;
}

static void forget_all_but(struct sh_tracked *t, size_t last)
{
    size_t gone = t->n - last;
    for (size_t r = 0; r < t->rows; r++)
        memmove(t->tokens + r * t->cap, t->tokens + r * t->cap + gone, last * sizeof(*t->tokens));
    t->first += (int64_t)gone;
    t->n = last;
}

static bool grow(struct sh_tracked *t, size_t n)
{
    size_t cap = t->cap ? t->cap : 1024;
    while (cap < n)
        cap *= 2;
    if (cap == t->cap)
        return true;
    int32_t *tokens = vq_alloc(t->rows * cap, sizeof(*tokens));
    if (!tokens)
        return false;
    for (size_t r = 0; r < t->rows && t->n; r++)
        memcpy(tokens + r * cap, t->tokens + r * t->cap, t->n * sizeof(*tokens));
    free(t->tokens);
    t->tokens = tokens;
    t->cap = cap;
    return true;
}

/* Appends n tokens of each row, which stand at `position`. What there is no memory for is forgotten
 * with all before it. */
static void remember(struct sh_tracked *t, const int32_t *ids, size_t rows, size_t n, size_t stride,
                     int64_t position)
{
    size_t most = SH_HISTORY_TOKENS / rows;
    if (position != t->first + (int64_t)t->n || (t->n && rows != t->rows))
        forget(t, position);
    t->rows = rows;
    if (n < most && t->n + n > most)
        forget_all_but(t, (most - n) / 2);
    if (t->n + n > most || !grow(t, t->n + n)) {
        forget(t, position + (int64_t)n);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(t->tokens + r * t->cap + t->n, ids + r * stride, n * sizeof(*ids));
    t->n += n;
}

static void committed(void *ud, const struct vq_block *b)
{
    struct sh_tracked *t = ud;
    remember(t, b->tokens, (size_t)b->batch, (size_t)b->n, (size_t)b->n, b->position);
    if (t->next && t->next->committed)
        t->next->committed(t->next->ud, b);
}

/* ---- life ---- */

static enum vq_status make(struct sh_tracked **out, struct vq_err *err)
{
    *out = vq_calloc(1, sizeof(**out));
    return *out ? VQ_OK : vq_nomem(err, "a session's tokens", 1, sizeof(**out));
}

enum vq_status sh_tracked_copy(struct sh_tracked **out, const struct sh_tracked *t,
                               struct vq_err *err)
{
    *out = NULL;
    if (!t)
        return VQ_OK;
    enum vq_status status = make(out, err);
    if (status == VQ_OK && t->trace)
        status = vq_trace_copy(&(*out)->trace, t->trace, err);
    if (status == VQ_OK) {
        (*out)->first = t->first;
        if (t->n)
            remember(*out, t->tokens, t->rows, t->n, t->cap, t->first);
        return VQ_OK;
    }
    sh_tracked_free(*out);
    *out = NULL;
    return status;
}

enum vq_status sh_tracked_loaded(struct sh_tracked **out, const int32_t *ids, size_t rows, size_t n,
                                 int64_t position, struct vq_err *err)
{
    size_t known = 0;
    enum vq_status status = make(out, err);
    if (status != VQ_OK)
        return status;
    for (bool all = true; all && known < n && (int64_t)known < position; known += all)
        for (size_t r = 0; r < rows; r++)
            all = all && ids[r * n + n - 1 - known] >= 0;
    (*out)->first = position - (int64_t)known;
    if (known)
        remember(*out, ids + n - known, rows, known, n, (*out)->first);
    return VQ_OK;
}

static enum vq_status start_trace(struct sh_tracked *t, const struct sh_model *m,
                                  struct vq_err *err)
{
    enum vq_status status = vq_trace_new(&t->trace, vq_model_config(m->model), NULL, err);
    if (status == VQ_OK)
        status = vq_trace_read_codebooks(t->trace, m->model, err);
    if (status != VQ_OK) {
        vq_trace_free(t->trace);
        t->trace = NULL;
    }
    return status;
}

/* ---- use ---- */

struct vq_trace *sh_trace(const struct sh_model *m)
{
    return m->tracked ? m->tracked->trace : NULL;
}

const struct vq_observer *sh_track(struct sh_model *m, const struct vq_observer *next,
                                   struct vq_err *err)
{
    if (!m->tracked && make(&m->tracked, err) != VQ_OK)
        return NULL;
    struct sh_tracked *t = m->tracked;
    if (!t->trace && start_trace(t, m, err) != VQ_OK)
        return NULL;
    t->next = next;
    t->observer = (struct vq_observer){.ud = t, .committed = committed};
    vq_trace_chain(t->trace, &t->observer);
    return vq_trace_observer(t->trace);
}

enum vq_status sh_history(const struct sh_model *m, struct sh_history *out, struct vq_err *err)
{
    const struct sh_tracked *t = m->tracked;
    int64_t position = sh_model_position(m);
    *out = (struct sh_history){0};
    if (position == 0)
        return vq_fail(err, VQ_ENOTFOUND, "nothing was fed yet: feed a text first");
    if (!t || t->first > 0 || (int64_t)t->n != position)
        return vq_fail(err, VQ_ENOTFOUND,
                       "the session's tokens are not all known: %lld of %lld are (a state file "
                       "holds all of them if it was saved with --history; no session remembers "
                       "more than %zu)",
                       t ? (long long)t->n : 0, (long long)position, SH_HISTORY_TOKENS);
    *out = (struct sh_history){t->tokens, t->rows, t->n, t->cap};
    return VQ_OK;
}

enum vq_status sh_history_to_run(const struct sh_model *m, struct sh_history *out,
                                 struct vq_err *err)
{
    if (m->session && vq_session_edited(m->session))
        return vq_fail(err, VQ_ENOTFOUND,
                       "codes were taken out of this session's cache: its tokens, run again, would "
                       "not lead to it");
    return sh_history(m, out, err);
}

int32_t sh_token_at(const struct sh_model *m, size_t row, int64_t position)
{
    const struct sh_tracked *t = m->tracked;
    if (!t || row >= t->rows || position < t->first || position - t->first >= (int64_t)t->n)
        return -1;
    return t->tokens[row * t->cap + (size_t)(position - t->first)];
}

uint64_t sh_place(const struct sh_model *m)
{
    int64_t position = sh_model_position(m);
    int32_t first = sh_token_at(m, 0, 0); /* -1 after `state load`: eos, as in training */
    return (uint64_t)(position - (position > 0 && (first == VQ_EOS || first < 0)));
}
