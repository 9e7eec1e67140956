#include "core/train/eval.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/model/generate.h"

struct evaluation {
    struct vq_eval_result *out;
    const struct vq_eval_options *o;
    const struct vq_engine *engine;
    size_t N;
    bool has_bytes;
    bool in_word; /* the text so far ends inside a word */
    struct vq_session *session;
};

void vq_eval_range_at(size_t range, int64_t *from, int64_t *to)
{
    *from = range ? (int64_t)16 << 2 * range : 0;
    *to = range + 1 < VQ_EVAL_RANGES ? (int64_t)64 << 2 * range : INT64_MAX;
}

static size_t range_of(int64_t position)
{
    size_t range = 0;
    while (range + 1 < VQ_EVAL_RANGES && position >= (int64_t)64 << 2 * range)
        range++;
    return range;
}

static void add(struct vq_eval_part *p, uint64_t bytes, double nats)
{
    p->tokens++;
    p->bytes += bytes;
    p->nats += nats;
}

static enum vq_status take_rows(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                                const int32_t *targets, struct vq_err *err)
{
    struct evaluation *e = ud;
    char buf[1024];
    (void)b;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        if (targets[i] == VQ_PAD)
            continue;
        double nats = -(double)logprobs[i * e->N + (size_t)targets[i]];
        uint64_t bytes =
            e->has_bytes ? vq_vocab_bytes(e->o->vocab, targets[i], buf, sizeof(buf)) : 0;
        add(&e->out->all, bytes, nats);
        add(&e->out->range[range_of(position + (int64_t)i)], bytes, nats);
    }
    return VQ_OK;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Words that begin in a sequence. One that goes on from the sequence before has been counted; a
 * token without text (eos) ends a word. */
static void count_words(struct evaluation *e, const int32_t *targets, size_t n)
{
    char buf[1024];
    for (size_t t = 0; t < n && e->has_bytes; t++) {
        size_t bytes = vq_vocab_bytes(e->o->vocab, targets[t], buf, sizeof(buf));
        e->in_word = e->in_word && bytes > 0;
        for (size_t i = 0; i < bytes; i++) {
            e->out->words += !e->in_word && !is_space(buf[i]);
            e->in_word = !is_space(buf[i]);
        }
    }
}

static void see_progress(void *ud, int64_t position)
{
    const struct evaluation *e = ud;
    (void)position;
    if (e->o->progress)
        e->o->progress(e->o->ud, e->out->all.tokens, e->out->all.nats);
}

/* `rows` sequences of at most what is left of the limit. */
static enum vq_status score_batch(struct evaluation *e, const int32_t *targets, size_t rows,
                                  size_t T, struct vq_err *err)
{
    const struct vq_score_options o = {
        .cancel = e->o->cancel, .ud = e, .rows = take_rows, .progress = see_progress};
    struct vq_score score;
    size_t n = T;
    if (e->o->limit) {
        uint64_t left = (e->o->limit - e->out->all.tokens + rows - 1) / rows;
        n = left < T ? (size_t)left : T;
    }
    for (size_t b = 0; b < rows; b++) {
        count_words(e, targets + b * T, n);
        e->in_word = e->in_word && n == T;
    }
    e->out->sequences += rows;
    vq_session_reset(e->session);
    return vq_score_run(e->session, VQ_EOS, targets, n, T, &o, &score, err);
}

static enum vq_status score_all(struct evaluation *e, struct vq_batches *data, int32_t *targets,
                                struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    size_t rows = 1;
    while (!st && !(e->o->limit && e->out->all.tokens >= e->o->limit)) {
        st = data->next(data->ud, targets, &rows, err);
        if (!st && !rows)
            e->out->whole = true;
        if (st || !rows)
            break;
        st = score_batch(e, targets, rows, data->length, err);
    }
    return st;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum vq_status vq_eval_run(struct vq_eval_result *out, const struct vq_engine *engine,
                           struct vq_batches *data, const struct vq_eval_options *o,
                           struct vq_err *err)
{
    struct evaluation e = {.out = out,
                           .o = o,
                           .engine = engine,
                           .N = (size_t)vq_engine_config(engine)->n_vocab,
                           .has_bytes = vq_vocab_is_text(o->vocab) || vq_vocab_is_image(o->vocab)};
    int32_t *targets = vq_alloc(data->batch, data->length * sizeof(*targets));
    *out = (struct vq_eval_result){0};
    if (!targets)
        return vq_nomem(err, "targets", data->batch, data->length * sizeof(*targets));
    double start = now();
    enum vq_status st = vq_session_new(&e.session, engine, (int)data->batch, err);
    if (!st)
        st = score_all(&e, data, targets, err);
    out->seconds = now() - start;
    vq_session_free(e.session);
    free(targets);
    return st;
}
