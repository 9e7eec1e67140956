/*
 * eval: how well a model predicts a data set: its sequences, one batch after another, each from an
 * empty state, through the inference engine. Memory does not depend on how much data there is.
 */
#ifndef VQ_CORE_TRAIN_EVAL_H
#define VQ_CORE_TRAIN_EVAL_H

#include "core/model/engine.h"
#include "core/train/batches.h"

/* Positions are counted apart in ranges that begin at 0, 64, 256, 1024, ...: each but the first
 * four times as long as the one before. */
#define VQ_EVAL_RANGES 16

struct vq_eval_part {
    uint64_t tokens; /* counted: targets that are not pad */
    uint64_t bytes;  /* that they stand for; 0 when ids stand for none */
    double nats;
};

struct vq_eval_result {
    struct vq_eval_part all, range[VQ_EVAL_RANGES];
    uint64_t words;     /* of the text of the counted tokens; 0 when ids stand for none */
    uint64_t sequences; /* begun */
    bool whole;         /* the data was read to its end */
    double seconds;
};

struct vq_eval_options {
    const struct vq_vocab *vocab;
    uint64_t limit; /* tokens, after which to stop; 0: none */
    const struct vq_cancel *cancel;
    void *ud;
    void (*progress)(void *ud, uint64_t tokens, double nats); /* or NULL */
};

/* *out is valid, as far as it came, whatever is returned. VQ_ENUM when the model gives a
 * probability that is not finite. */
enum vq_status vq_eval_run(struct vq_eval_result *out, const struct vq_engine *engine,
                           struct vq_batches *data, const struct vq_eval_options *o,
                           struct vq_err *err);

/* The positions [*from, *to) of a range. */
void vq_eval_range_at(size_t range, int64_t *from, int64_t *to);

#endif
