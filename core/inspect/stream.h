/*
 * stream: what each module does to the residual stream, gathered over a run through the session's
 * observer callbacks: lengths, directions, and how open its gates are. All numbers are the model's
 * own activations; nothing is normalised or projected.
 */
#ifndef VQ_CORE_INSPECT_STREAM_H
#define VQ_CORE_INSPECT_STREAM_H

#include "core/model/session.h"

/* A gate g = silu(x) passes v * g. It counts as closed below this; SiLU's least value is -0.2785.
 */
#define VQ_GATE_CLOSED 0.01

/* Sums over tokens; vq_stream_mean divides. */
struct vq_stream_row {
    uint64_t tokens;
    double stream;   /* |x| after the module */
    double branch;   /* |what it adds| */
    double cosine;   /* between what it adds and the stream before; 0 when one is zero */
    double gate;     /* mean |g| over H * V gates */
    double closed;   /* part of the gates with |g| < VQ_GATE_CLOSED */
    double negative; /* part with g < 0 */
    double gate_max; /* the largest |g| of all tokens (no sum) */
};

struct vq_stream;

struct vq_stream_options {
    int row;       /* the sequence of the batch that is looked at */
    size_t tokens; /* with > 0: the values of each of the first so many positions are kept */
};
enum vq_status vq_stream_new(struct vq_stream **out, const struct vq_config *c,
                             const struct vq_stream_options *o, struct vq_err *err);
void vq_stream_free(struct vq_stream *s);
const struct vq_observer *vq_stream_observer(struct vq_stream *s);

/* Means over all tokens seen: row 0 is the embedding (tokens and stream only), row m + 1 module m.
 * NaN when there were none. */
struct vq_stream_row vq_stream_mean(const struct vq_stream *s, size_t row);

/* Kept values [modules + 1, tokens] of one kind, borrowed; 0 where nothing was seen. */
enum vq_stream_value { VQ_STREAM_NORM, VQ_BRANCH_NORM, VQ_STREAM_CLOSED, VQ_STREAM_VALUES };
const float *vq_stream_values(const struct vq_stream *s, enum vq_stream_value kind);

#endif
