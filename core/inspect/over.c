/*
 * One session is enough for all rows: it is reset before each. Progress comes from an observer
 * that is put around the caller's.
 */
#include "core/inspect/over.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* The caller's observer, with progress reported after each block. */
struct relay {
    const struct vq_over *over;
    const struct vq_observer *inner; /* or NULL */
    size_t row;
};

static void on_embedded(void *ud, const struct vq_block *b, const float *x)
{
    const struct relay *r = ud;
    r->inner->embedded(r->inner->ud, b, x);
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    const struct relay *r = ud;
    r->inner->module(r->inner->ud, b, v);
}

static enum vq_status on_logits(void *ud, const struct vq_block *b, const float *logits,
                                struct vq_err *err)
{
    const struct relay *r = ud;
    return r->inner->logits(r->inner->ud, b, logits, err);
}

static void on_committed(void *ud, const struct vq_block *b)
{
    const struct relay *r = ud;
    const struct vq_over *o = r->over;
    if (r->inner && r->inner->committed)
        r->inner->committed(r->inner->ud, b);
    if (o->progress)
        o->progress(o->ud, (uint64_t)r->row * o->cols + (uint64_t)(b->position + b->n),
                    (uint64_t)o->rows * o->cols);
}

/* The tokens to feed for a row: its own, or a shifted copy that *copy then owns. */
static const int32_t *row_inputs(const struct vq_over *o, size_t row, int32_t **copy)
{
    const int32_t *tokens = o->tokens + row * o->cols;
    *copy = NULL;
    if (!o->targets)
        return tokens;
    int32_t *inputs = vq_alloc(o->cols, sizeof(*inputs));
    if (!inputs)
        return NULL;
    inputs[0] = VQ_EOS;
    memcpy(inputs + 1, tokens, (o->cols - 1) * sizeof(*inputs));
    *copy = inputs;
    return inputs;
}

enum vq_status vq_over_row(const struct vq_over *o, size_t row, struct vq_session *s,
                           const struct vq_observer *observe, struct vq_err *err)
{
    struct relay relay = {o, observe, row};
    struct vq_observer outer = {
        .ud = &relay,
        .embedded = observe && observe->embedded ? on_embedded : NULL,
        .module = observe && observe->module ? on_module : NULL,
        .logits = observe && observe->logits ? on_logits : NULL,
        .committed = on_committed,
    };
    struct vq_feed_options options = {
        .block = o->block,
        .observe = &outer,
        .cancel = o->cancel,
        .no_logits = !outer.logits,
    };
    if (o->rows == 0 || o->cols == 0)
        return vq_fail(err, VQ_EINVAL, "there are no tokens to run");
    int32_t *copy;
    const int32_t *inputs = row_inputs(o, row, &copy);
    if (!inputs)
        return vq_nomem(err, "a row of tokens", o->cols, sizeof(*inputs));
    vq_session_reset(s);
    enum vq_status rc = vq_session_feed(s, inputs, o->cols, o->cols, &options, err);
    free(copy);
    return rc;
}

enum vq_status vq_over_run(const struct vq_over *o, const struct vq_engine *e,
                           const struct vq_observer *observe, struct vq_err *err)
{
    struct vq_session *s = NULL;
    enum vq_status rc = vq_session_new(&s, e, 1, err);
    if (!rc && o->rows == 0)
        rc = vq_fail(err, VQ_EINVAL, "there are no tokens to run");
    for (size_t row = 0; !rc && row < o->rows; row++)
        rc = vq_over_row(o, row, s, observe, err);
    vq_session_free(s);
    return rc;
}

enum vq_status vq_over_trace(struct vq_trace **out, const struct vq_over *o,
                             const struct vq_model *m, const struct vq_engine *e,
                             const struct vq_trace_options *options, struct vq_err *err)
{
    struct vq_trace *t = NULL;
    *out = NULL;
    enum vq_status rc = vq_trace_new(&t, vq_engine_config(e), options, err);
    if (!rc)
        rc = vq_trace_read_codebooks(t, m, err);
    if (!rc)
        rc = vq_over_run(o, e, vq_trace_observer(t), err);
    if (!rc)
        rc = vq_trace_check(t, err);
    if (rc)
        vq_trace_free(t);
    else
        *out = t;
    return rc;
}
