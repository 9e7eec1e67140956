/*
 * source: data sets as batches of token sequences, whatever they are made of. A kind of source is
 * one file and one row of the table in source.c; it yields documents, and everything after that is
 * common:
 *
 *     documents -> tokens (bytes as they are, or pieces) -> eos after each, where the kind has it
 *     -> one stream, cut into sequences of T; the last is filled up with pad (0)
 *     -> in order, once (evaluation); or in a new order each epoch, for ever (training)
 *
 * The order is a matter of seed and epoch alone, and a position in it is five numbers, so a run can
 * be taken up in the middle of an epoch. Bytes are read where they are needed: files are mapped,
 * nothing is held whole. Pieces (SentencePiece) are made from groups of some 32 MB of text: in
 * training the documents come in a new order each epoch, and sequences are shuffled within their
 * group, whose last one is filled up with pad; in one pass the stream goes on through all groups.
 */
#ifndef VQ_CORE_DATA_SOURCE_H
#define VQ_CORE_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/pool.h"
#include "core/vocab/vocab.h"

enum vq_split { VQ_TRAIN, VQ_VALIDATION, VQ_TEST };
const char *vq_split_name(enum vq_split s); /* "train", "validation", "test" */
/* By name; "valid", "val" and "dev" are "validation" too. VQ_EINVAL for another. */
enum vq_status vq_split_find(enum vq_split *out, const char *name, struct vq_err *err);

struct vq_data_options {
    const struct vq_vocab *vocab; /* borrowed, must outlive the data */
    enum vq_split split;
    size_t batch, sequence_len; /* B, T */
    bool shuffled;              /* endless and in a new order each epoch; else once and in order */
    uint64_t seed;              /* of the order */
    uint64_t group_bytes;       /* text that is made into pieces together; 0: 32 MB */
    struct vq_pool *pool;       /* makes pieces; NULL: serial */
    const struct vq_cancel *cancel;
};

struct vq_data; /* for one thread at a time */

/*
 * Opens "KIND:PATH", or "PATH" when the path itself tells the kind (vq_data_kind_* lists them). No
 * data is read but what it takes to know the sizes. VQ_ENOTFOUND, VQ_EFORMAT and VQ_EINVAL name the
 * path and what was expected there, among them an empty file and a split without data;
 * VQ_EUNSUPPORTED a vocabulary that does not go with the kind.
 */
enum vq_status vq_data_open(struct vq_data **out, const char *spec,
                            const struct vq_data_options *options, struct vq_err *err);
void vq_data_free(struct vq_data *d);

size_t vq_data_kind_count(void);
const char *vq_data_kind_name(size_t i); /* "enwik8", ...; NULL from the count on */
const char *vq_data_kind_help(size_t i); /* one line: which paths, which splits */

struct vq_data_info {
    const char *kind, *path;
    bool is_text;
    uint64_t documents, bytes; /* of the split, before they are tokens; bytes 0 for ready tokens */
    uint64_t sequences;        /* of an epoch; 0 when it takes making pieces to know */
};
struct vq_data_info vq_data_info(const struct vq_data *d);

/*
 * The next targets [B, T]. *rows says how many rows are sequences: B in training; in one pass also
 * fewer, the rest being all pad, and 0 at the end. `sequence`, if not NULL, receives for each row
 * the number its sequence has in the split (pieces: in the group). VQ_EFORMAT and VQ_EIO for what
 * is found damaged only now, VQ_EINVAL for text that is no UTF-8 where it must be and for tokens
 * outside the vocabulary, VQ_ECANCELLED, VQ_ENOMEM; the place is then as it was.
 */
enum vq_status vq_data_next(struct vq_data *d, int32_t *targets, uint64_t *sequence, size_t *rows,
                            struct vq_err *err);

/* A place between two batches; plain numbers, to be saved. */
struct vq_data_state {
    uint64_t seed, epoch;
    uint64_t group;    /* of the epoch; 0 for bytes */
    uint64_t index;    /* sequences of the group that have been handed out */
    uint64_t elements; /* bytes (or tokens) of the split: tells when the data has changed */
};

struct vq_data_state vq_data_tell(const struct vq_data *d);
/* Goes on from a place, in the order that goes with its seed. VQ_EINVAL when the data is not what
 * it was. Pieces: makes those of the group again, in one pass those of all groups before it. */
enum vq_status vq_data_seek(struct vq_data *d, const struct vq_data_state *s, struct vq_err *err);

/* Words of the split's raw text: runs of anything but white space, Unicode's included, as Python's
 * str.split() counts them. Reads all of it, polling the options' cancel. VQ_EUNSUPPORTED for what
 * is no text. */
enum vq_status vq_data_words(struct vq_data *d, uint64_t *words, struct vq_err *err);

#endif
