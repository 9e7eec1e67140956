/*
 * generate: drawing tokens and feeding them back. All sequences of a session move in step: one
 * that is finished is fed eos, which its owner never sees.
 */
#include "core/model/generate.h"

#include <stdlib.h>

#include "core/base/mem.h"

struct drawing {
    const struct vq_generate_options *o;
    size_t B, N;
    size_t unfinished;
    struct vq_sampler sampler; /* as the next token asks for */
    bool *done;                /* [B] */
    struct vq_rng *rng;        /* [B] */
    int32_t *tokens;           /* [B] */
    double *p;                 /* [N] */
    size_t *work;              /* [N] */
};

static enum vq_status start(struct drawing *d, const struct vq_session *s,
                            const struct vq_generate_options *o, struct vq_err *err)
{
    d->o = o;
    d->B = (size_t)vq_session_batch(s);
    d->N = (size_t)vq_engine_config(vq_session_engine(s))->n_vocab;
    d->unfinished = d->B;
    d->done = vq_calloc(d->B, sizeof(*d->done));
    d->rng = vq_alloc(d->B, sizeof(*d->rng));
    d->tokens = vq_alloc(d->B, sizeof(*d->tokens));
    d->p = vq_alloc(d->N, sizeof(*d->p));
    d->work = vq_alloc(d->N, sizeof(*d->work));
    if (!d->done || !d->rng || !d->tokens || !d->p || !d->work)
        return vq_nomem(err, "buffers to sample with", d->N, sizeof(*d->p));
    for (size_t b = 0; b < d->B; b++)
        vq_rng_init(&d->rng[b], o->seed + b, 0);
    return VQ_OK;
}

static void finish(struct drawing *d)
{
    free(d->done);
    free(d->rng);
    free(d->tokens);
    free(d->p);
    free(d->work);
}

/* Draws and reports token `index` of sequence b. */
static enum vq_status draw(struct drawing *d, size_t b, size_t index, const float *logits,
                           struct vq_err *err)
{
    double logprob;
    enum vq_status st = vq_sampler_draw(&d->sampler, logits + b * d->N, d->N, &d->rng[b], d->p,
                                        d->work, &d->tokens[b], &logprob, err);
    if (st) {
        vq_err_prefix(err, "token %zu of sequence %zu", index, b);
        return st;
    }
    if (d->o->token)
        st = d->o->token(d->o->ud, (int)b, index, d->tokens[b], -logprob, err);
    if (!st && d->o->stop_at_eos && d->tokens[b] == VQ_EOS) {
        d->done[b] = true;
        d->unfinished--;
    }
    return st;
}

/* Which ids token `index` may be. */
static void admit(struct drawing *d, size_t index)
{
    d->sampler = d->o->sampler;
    if (!d->o->bytes)
        return;
    d->sampler.first_id = vq_vocab_byte_id(d->o->bytes, d->o->place + index, 0);
    d->sampler.end_id = vq_vocab_byte_id(d->o->bytes, d->o->place + index, UINT8_MAX) + 1;
}

static enum vq_status draw_all(struct drawing *d, const struct vq_session *s, size_t index,
                               struct vq_err *err)
{
    const float *logits = vq_session_logits(s);
    enum vq_status st = VQ_OK;
    if (!logits)
        return vq_fail(err, VQ_EINVAL, "no logits to sample from: feed a token first");
    admit(d, index);
    for (size_t b = 0; !st && b < d->B; b++) {
        if (d->done[b])
            d->tokens[b] = VQ_EOS < d->N ? VQ_EOS : 0;
        else
            st = draw(d, b, index, logits, err);
    }
    return st;
}

enum vq_status vq_generate(struct vq_session *s, const struct vq_generate_options *o,
                           struct vq_err *err)
{
    struct drawing d = {0};
    const struct vq_feed_options feed = {.cancel = o->cancel};
    enum vq_status st = start(&d, s, o, err);
    for (size_t i = 0; !st && i < o->length && d.unfinished; i++) {
        if (i)
            st = vq_session_feed(s, d.tokens, 1, 1, &feed, err);
        if (!st)
            st = draw_all(&d, s, i, err);
    }
    finish(&d);
    return st;
}
