/*
 * train: the loop. It takes a trainer and a source of targets, makes updates, judges the model on
 * validation data now and then, writes checkpoints, and stops for what should stop it:
 *
 *     done        all updates made, the last one saved                         VQ_OK
 *     cancelled   the update at hand is finished and saved                     VQ_ECANCELLED
 *     not finite  the step and the first bad tensor named; the last good
 *                 step saved                                                   VQ_ENUM
 *     disk full   what was saved before is whole                               VQ_EIO
 *
 * It never prints: what happens is told through callbacks.
 */
#ifndef VQ_CORE_TRAIN_TRAIN_H
#define VQ_CORE_TRAIN_TRAIN_H

#include "core/train/batches.h"
#include "core/train/trainer.h"

struct vq_train_progress {
    int64_t step, end;    /* updates made in all, and when training will stop */
    double loss;          /* nats per token, over the last few updates */
    double bits_per_byte; /* NaN when tokens stand for no bytes */
    double tokens_per_second, seconds_left;
    bool judging; /* at validation; `judged` tokens so far */
    uint64_t judged;
};

struct vq_train_options {
    const char *folder;    /* for checkpoints; made if need be */
    bool flax;             /* the authors' layout rather than safetensors */
    bool overwrite;        /* remove checkpoints in the folder that are further on than the start */
    int64_t steps;         /* updates to make; 0: to the end of the schedule, or of the source */
    int64_t save_every;    /* updates between checkpoints; 0: only at the end */
    int64_t valid_every;   /* updates between validations, each of which is saved; 0: none */
    uint64_t valid_tokens; /* of each validation, about; 0: all there are */
    size_t keep;           /* as in kept.h */
    int64_t metrics_every; /* updates between the quantiser's metrics, which the first and the last
                              have too; 0: never */
    const uint16_t *token_bytes;    /* [n_vocab] bytes that an id stands for; NULL: none do */
    const char *place;              /* where in the source to begin, JSON; NULL: at its beginning */
    const struct vq_cancel *cancel; /* stop after the update under way, and save */
    const struct vq_cancel *abandon; /* give up the update under way, and save the one before */
    /* Callbacks, each may be NULL. */
    void *ud;
    void (*metric)(void *ud, const char *name, int64_t step, double value);
    void (*progress)(void *ud, const struct vq_train_progress *p);
    void (*judged)(void *ud, int64_t step, double loss, bool best);
    void (*saved)(void *ud, int64_t step, const char *path, uint64_t bytes);
};

struct vq_train_result {
    int64_t step, updates;             /* in all, and of this call */
    uint64_t tokens;                   /* of this call, padding left out */
    double loss;                       /* of the last update with tokens, nats per token, or NaN */
    double bits_per_byte;              /* of it; NaN when unknown */
    double seconds, tokens_per_second; /* of updates alone: no saving, no validation */
    double valid_loss; /* of the best checkpoint that is kept, NaN when none was judged */
    int64_t valid_step;
    char *path; /* the newest checkpoint, owned; NULL: none was written */
};

/*
 * Trains. `valid` may be NULL when valid_every is 0; both sources have the trainer's batch and
 * sequence_len. *out is filled whatever is returned; release it. VQ_EINVAL before anything is done:
 * the source holds fewer updates than asked for, the schedule is over, or the folder holds
 * checkpoints that are further on (of another run, or of this one's later part).
 */
enum vq_status vq_train_run(struct vq_train_result *out, struct vq_trainer *t,
                            struct vq_batches *source, struct vq_batches *valid,
                            const struct vq_train_options *o, struct vq_err *err);
void vq_train_result_release(struct vq_train_result *r);

#endif
