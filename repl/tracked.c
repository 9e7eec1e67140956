#include "repl/tracked.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct tracked {
    struct vq_trace *trace;
    struct vq_observer observer;    /* of the tokens; behind the trace's */
    const struct vq_observer *next; /* behind ours */
    int32_t *tokens;                /* [rows, cap] */
    size_t rows, n, cap;
    bool lost; /* too many, or the session did not begin at 0 */
};

static void free_tracked(void *ud)
{
    struct tracked *t = ud;
    vq_trace_free(t->trace);
    free(t->tokens);
    free(t);
}

static bool grow(struct tracked *t, size_t rows, size_t n)
{
    size_t cap = t->cap ? t->cap : 1024;
    while (cap < n)
        cap *= 2;
    if (rows * n > SH_HISTORY_TOKENS)
        return false;
    if (cap == t->cap)
        return true;
    int32_t *tokens = vq_alloc(rows * cap, sizeof(*tokens));
    if (!tokens)
        return false;
    for (size_t r = 0; r < rows && t->n; r++)
        memcpy(tokens + r * cap, t->tokens + r * t->cap, t->n * sizeof(*tokens));
    free(t->tokens);
    t->tokens = tokens;
    t->cap = cap;
    t->rows = rows;
    return true;
}

static void remember(struct tracked *t, const struct vq_block *b)
{
    size_t rows = (size_t)b->batch, n = (size_t)b->n;
    if (t->lost)
        return;
    if ((size_t)b->position != t->n || !grow(t, rows, t->n + n)) {
        free(t->tokens);
        t->tokens = NULL;
        t->n = t->cap = 0;
        t->lost = true;
        return;
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(t->tokens + r * t->cap + t->n, b->tokens + r * n, n * sizeof(*t->tokens));
    t->n += n;
}

static void committed(void *ud, const struct vq_block *b)
{
    struct tracked *t = ud;
    remember(t, b);
    if (t->next && t->next->committed)
        t->next->committed(t->next->ud, b);
}

struct vq_trace *sh_trace(const struct sh_model *m)
{
    const struct tracked *t = m->trace;
    return t ? t->trace : NULL;
}

static struct tracked *make(struct sh_model *m, struct vq_err *err)
{
    struct tracked *t = vq_calloc(1, sizeof(*t));
    if (!t) {
        vq_nomem(err, "trace", 1, sizeof(*t));
        return NULL;
    }
    if (vq_trace_new(&t->trace, vq_model_config(m->model), NULL, err) != VQ_OK ||
        vq_trace_read_codebooks(t->trace, m->model, err) != VQ_OK) {
        free_tracked(t);
        return NULL;
    }
    m->trace = t;
    m->trace_free = free_tracked;
    return t;
}

const struct vq_observer *sh_track(struct sh_model *m, const struct vq_observer *next,
                                   struct vq_err *err)
{
    struct tracked *t = m->trace ? m->trace : make(m, err);
    if (!t)
        return NULL;
    t->next = next;
    t->observer = (struct vq_observer){.ud = t, .committed = committed};
    vq_trace_chain(t->trace, &t->observer);
    return vq_trace_observer(t->trace);
}

enum vq_status sh_history(const struct sh_model *m, struct sh_history *out, struct vq_err *err)
{
    const struct tracked *t = m->trace;
    *out = (struct sh_history){0};
    if (!t || (t->n == 0 && !t->lost))
        return vq_fail(err, VQ_ENOTFOUND,
                       sh_model_position(m) > 0
                           ? "the tokens of a loaded state are not known: feed them from position 0"
                           : "nothing was fed yet: feed a text first");
    if (t->lost)
        return vq_fail(err, VQ_ENOTFOUND,
                       "the session's tokens are no longer all known (it began with a loaded "
                       "state, or holds more than %zu tokens)",
                       SH_HISTORY_TOKENS);
    *out = (struct sh_history){t->tokens, t->rows, t->n, t->cap};
    return VQ_OK;
}

int32_t sh_token_at(const struct sh_model *m, size_t row, int64_t position)
{
    const struct tracked *t = m->trace;
    int32_t token = -1;
    if (t && row < t->rows && position >= 0 && (size_t)position < t->n)
        return t->tokens[row * t->cap + (size_t)position];
    if (t && row == 0 && position >= 0)
        vq_trace_recent(t->trace, position, 1, &token);
    return token;
}
