/*
 * train: making a SentencePiece vocabulary from text files, with the authors' settings: byte-pair
 * pieces, every character covered, ids 0 pad, 1 eos, 2 unk.
 */
#ifndef VQ_CORE_VOCAB_TRAIN_H
#define VQ_CORE_VOCAB_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct vq_vocab_training {
    const char *const *paths; /* text files, and folders whose *.txt files are taken by name */
    size_t n_paths;
    int size;                       /* pieces, the three special ones included */
    const char *type;               /* "bpe" or "unigram" */
    double coverage;                /* of the characters that occur; 1: all of them */
    const struct vq_cancel *cancel; /* polled while lines are read, not while pieces are made */
};

struct vq_vocab_trained {
    uint64_t files, lines, bytes;
    uint64_t skipped; /* lines that are no UTF-8 */
};

/*
 * Trains on all lines: *model is what belongs into a file *.model, *size bytes, the caller's to
 * free. Lines of the files are its sentences; memory is some times that of the text. VQ_EINVAL: no
 * text, or not enough of it for so many pieces (the message says how many there can be);
 * VQ_ENOTFOUND: a folder without *.txt. The library cannot be stopped while it makes pieces: who
 * wants to stop it calls this in a process of its own.
 */
enum vq_status vq_vocab_train(const struct vq_vocab_training *t, char **model, size_t *size,
                              struct vq_vocab_trained *result, struct vq_err *err);

#endif
