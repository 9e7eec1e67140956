/*
 * generate: continues B sequences token by token. Sequence b draws from a generator of its
 * own, seeded seed + b, so its text does not depend on the others.
 */
#ifndef VQ_CORE_MODEL_GENERATE_H
#define VQ_CORE_MODEL_GENERATE_H

#include "core/model/sampler.h"
#include "core/model/session.h"
#include "core/vocab/vocab.h"

struct vq_generate_options {
    struct vq_sampler sampler;
    uint64_t seed;    /* of sequence 0; sequence b uses seed + b */
    size_t length;    /* tokens to draw for each sequence */
    bool stop_at_eos; /* a sequence that draws eos is finished (its eos is reported) */
    /* Not NULL: nothing is drawn but ids that are bytes of this vocabulary (see vq_vocab_byte_id)
     * at their places of a document, of which the first one drawn is `place`; the sampler's own
     * first_id and end_id do not count then. */
    const struct vq_vocab *bytes;
    uint64_t place;
    const struct vq_cancel *cancel;
    void *ud;
    /* Called for each drawn token of an unfinished sequence, in order of b; nats is minus the
     * model's own log-probability. Returning non-VQ_OK stops. */
    enum vq_status (*token)(void *ud, int b, size_t index, int32_t id, double nats,
                            struct vq_err *err);
};

/*
 * s must have logits (feed eos or a prompt first). Drawn tokens are fed back, the last one not.
 * Stops when all sequences are finished or `length` is reached. VQ_ECANCELLED between tokens;
 * what was drawn so far has been reported.
 */
enum vq_status vq_generate(struct vq_session *s, const struct vq_generate_options *o,
                           struct vq_err *err);

/* Exact log-likelihood of targets[B, n] from the session's present state: the inputs are the
 * token `before` (eos for an empty state; VQ_EOS) followed by the first n - 1 targets. Targets
 * equal to pad are fed but not counted. */
struct vq_score {
    uint64_t tokens; /* counted */
    double nats;
};
struct vq_score_options {
    const struct vq_cancel *cancel;
    void *ud;
    /* Log-probabilities [n, N] of rows position.. of sequence b, before the next block. */
    enum vq_status (*rows)(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                           const int32_t *targets, struct vq_err *err);
    void (*progress)(void *ud, int64_t position);
};
enum vq_status vq_score_run(struct vq_session *s, int32_t before, const int32_t *targets, size_t n,
                            size_t stride, const struct vq_score_options *o, struct vq_score *out,
                            struct vq_err *err);

#endif
