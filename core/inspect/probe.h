/*
 * probe: the residual stream at a few positions, kept from a run through the session's observer
 * callbacks: what the embedding puts in, what each module adds, what stands after it. From these
 * readout.h makes logits.
 */
#ifndef VQ_CORE_INSPECT_PROBE_H
#define VQ_CORE_INSPECT_PROBE_H

#include "core/model/session.h"

struct vq_probe;

struct vq_probe_options {
    int row;          /* the sequence of the batch */
    int64_t from, to; /* positions from..to are kept */
};
/* VQ_ENOMEM for 2 (modules + 1) (to - from + 1) D floats that are not to be had. */
enum vq_status vq_probe_new(struct vq_probe **out, const struct vq_config *c,
                            const struct vq_probe_options *o, struct vq_err *err);
void vq_probe_free(struct vq_probe *p);
const struct vq_observer *vq_probe_observer(struct vq_probe *p);

/* Whether a position was seen. */
bool vq_probe_has(const struct vq_probe *p, int64_t position);
/* Of a position that was: [modules + 1, D] what the embedding and each module put into the stream;
 * they sum to the last row of the other. Borrowed. */
const float *vq_probe_parts(const struct vq_probe *p, int64_t position);
/* [modules + 1, D] the stream after the embedding and after each module. */
const float *vq_probe_streams(const struct vq_probe *p, int64_t position);

#endif
