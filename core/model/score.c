/*
 * score: exact log-likelihood of given tokens. They pass through in pieces, each row of logits is
 * reduced to what is asked of it at once, so memory does not depend on the length of the text.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kernels/vec.h"
#include "core/model/generate.h"
#include "core/vocab/vocab.h"

/* Tokens of each sequence handed to one feed; the engine cuts them into blocks of its own. */
enum { PIECE = 4096, ROWS = 64 };

struct scoring {
    const struct vq_score_options *o;
    struct vq_score *out;
    const struct vq_vec *vec;
    const int32_t *targets; /* [B, stride] */
    size_t stride, N;
    int64_t start;   /* position of the first input */
    float *logprobs; /* [ROWS, N] */
};

/* Log-probabilities of up to ROWS rows, counted and handed on. */
static enum vq_status score_rows(struct scoring *s, int b, int64_t position, size_t n,
                                 const float *logits, struct vq_err *err)
{
    const int32_t *targets = s->targets + (size_t)b * s->stride + (size_t)(position - s->start);
    memcpy(s->logprobs, logits, n * s->N * sizeof(*logits));
    for (size_t t = 0; t < n; t++) {
        float *row = s->logprobs + t * s->N;
        s->vec->log_softmax(row, s->N);
        if (targets[t] == VQ_PAD)
            continue;
        if (!isfinite(row[targets[t]]))
            return vq_fail(err, VQ_ENUM,
                           "log-probability of token %ld at position %lld of sequence %d: expected "
                           "a finite number, found %g",
                           (long)targets[t], (long long)position + (long long)t, b,
                           (double)row[targets[t]]);
        s->out->nats -= row[targets[t]];
        s->out->tokens++;
    }
    if (s->o->rows)
        return s->o->rows(s->o->ud, b, position, n, s->logprobs, targets, err);
    return VQ_OK;
}

static enum vq_status see_logits(void *ud, const struct vq_block *block, const float *logits,
                                 struct vq_err *err)
{
    struct scoring *s = ud;
    enum vq_status st = VQ_OK;
    size_t n = (size_t)block->n;
    for (int b = 0; b < block->batch; b++)
        for (size_t t = 0; !st && t < n; t += ROWS)
            st = score_rows(s, b, block->position + (int64_t)t, n - t < ROWS ? n - t : ROWS,
                            logits + ((size_t)b * n + t) * s->N, err);
    return st;
}

static void see_commit(void *ud, const struct vq_block *block)
{
    struct scoring *s = ud;
    if (s->o->progress)
        s->o->progress(s->o->ud, block->position + block->n);
}

static enum vq_status check_targets(const int32_t *targets, size_t B, size_t n, size_t stride,
                                    size_t N, struct vq_err *err)
{
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < n; t++) {
            int32_t id = targets[b * stride + t];
            if (id < 0 || (size_t)id >= N)
                return vq_fail(err, VQ_EINVAL,
                               "target %zu of sequence %zu: expected an id from 0 to %zu, found "
                               "%ld",
                               t, b, N - 1, (long)id);
        }
    return VQ_OK;
}

/* The inputs of rows first..first+n-1: targets shifted by one, behind `before`. */
static void shift(const struct scoring *s, int32_t before, size_t B, size_t first, size_t n,
                  int32_t *inputs)
{
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < n; t++)
            inputs[b * n + t] = first + t ? s->targets[b * s->stride + first + t - 1] : before;
}

enum vq_status vq_score_run(struct vq_session *session, int32_t before, const int32_t *targets,
                            size_t n, size_t stride, const struct vq_score_options *o,
                            struct vq_score *out, struct vq_err *err)
{
    static const struct vq_score_options none = {0};
    size_t B = (size_t)vq_session_batch(session), piece = n < PIECE ? n : PIECE;
    struct scoring s = {.o = o ? o : &none,
                        .out = out,
                        .vec = vq_vec_default(),
                        .targets = targets,
                        .stride = stride,
                        .N = (size_t)vq_engine_config(vq_session_engine(session))->n_vocab,
                        .start = vq_session_position(session)};
    const struct vq_observer observer = {.ud = &s, .logits = see_logits, .committed = see_commit};
    const struct vq_feed_options feed = {.observe = &observer, .cancel = s.o->cancel};
    *out = (struct vq_score){0};
    enum vq_status st = check_targets(targets, B, n, stride, s.N, err);
    if (st)
        return st;
    int32_t *inputs = vq_alloc(B, piece * sizeof(*inputs));
    s.logprobs = vq_alloc(ROWS, s.N * sizeof(*s.logprobs));
    if (!inputs || !s.logprobs)
        st = vq_nomem(err, "rows of log-probabilities", ROWS, s.N * sizeof(*s.logprobs));
    for (size_t first = 0; !st && first < n; first += piece) {
        size_t count = n - first < piece ? n - first : piece;
        shift(&s, before, B, first, count, inputs);
        st = vq_session_feed(session, inputs, count, count, &feed, err);
    }
    free(s.logprobs);
    free(inputs);
    return st;
}
