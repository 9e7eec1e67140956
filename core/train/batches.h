/*
 * batches: where the targets of training come from, one batch of sequences after the other, and a
 * place among them that can be kept and found again: batches in a numpy file, or a data set of
 * core/data.
 */
#ifndef VQ_CORE_TRAIN_BATCHES_H
#define VQ_CORE_TRAIN_BATCHES_H

#include "core/base/json.h"
#include "core/data/source.h"

struct vq_batches {
    size_t batch, length; /* B sequences of T tokens each time */
    char *identity;       /* a fingerprint: a place means something in the same data alone */
    void *ud;
    /* The targets [batch, length] of the next batch of sequences. *rows says how many of them are
     * sequences, the others being all pad: batch, or fewer at the end, or 0 past it. */
    enum vq_status (*next)(void *ud, int32_t *targets, size_t *rows, struct vq_err *err);
    /* How many batches are left, when they end after a number that is known; else -1. */
    int64_t (*left)(void *ud);
    /* Where the next batch begins, as a JSON value, and going to such a place: VQ_EFORMAT when it
     * is none. */
    void (*tell)(void *ud, struct vq_text *out);
    enum vq_status (*seek)(void *ud, const struct vq_json_node *place, struct vq_err *err);
    void (*free)(void *ud);
};

/* Releases what s holds; s may be zeroed. */
void vq_batches_release(struct vq_batches *s);

/* Batches from an integer numpy file [C, B, T], or one from [B, T], in order, once. The ids are
 * checked against n_vocab: VQ_EINVAL names the first that is none. VQ_ESHAPE for other ranks,
 * floats, and arrays without elements. */
enum vq_status vq_batches_tokens(struct vq_batches *out, const char *path, int64_t n_vocab,
                                 struct vq_err *err);

/* Batches of a data set, as vq_data_open opens it: for ever if shuffled, else once. *data
 * (optional) is the data set, borrowed. */
enum vq_status vq_batches_data(struct vq_batches *out, const char *spec,
                               const struct vq_data_options *options, struct vq_data **data,
                               struct vq_err *err);

#endif
