/*
 * state: what one update of a sequence leaves to the next: per module the codes, quantised keys and
 * values of the last M positions and the aggregate of everything older, and the last target, which
 * is the next update's first input. It is carried without gradient. Keys are kept beside their
 * codes because every update moves the codebook: what a key was quantised to stays what it was.
 * Plain arrays, so that saving and restoring a run is copying; tensors are named as the authors
 * name them (xl_z, xl_k_hat, xl_v, agg_lower, agg_upper_div_lower, pos_offset).
 */
#ifndef VQ_CORE_TRAIN_STATE_H
#define VQ_CORE_TRAIN_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/model/config.h"

/* modules, B sequences, H heads, M = mem_len, S = n_code, K = d_k, V = d_v. */
struct vq_train_state {
    size_t modules, B, H, M, S, K, V;
    int64_t position; /* tokens of the sequence so far; 0: a new sequence */
    bool broken;      /* an update stopped half-way: reset it, or restore all arrays */
    int32_t *last;    /* [B] target of the last position; eos at position 0 */
    int32_t *code;  /* [modules, B, H, M] window, oldest first, filled from its end; S: unfilled */
    float *key;     /* [modules, B, H, M, K] */
    float *value;   /* [modules, B, H, M, V] */
    int64_t *count; /* [modules, B, H, S]; NULL without agg_cache, as is mean */
    float *mean;    /* [modules, B, H, S, V] */
};

/* An empty state of B sequences. VQ_ENOMEM. */
enum vq_status vq_train_state_new(struct vq_train_state **out, const struct vq_config *c, size_t B,
                                  struct vq_err *err);
void vq_train_state_free(struct vq_train_state *s);

/* Windows and aggregates as they are in another state of the same shape; not position, last and
 * broken. */
void vq_train_state_copy(struct vq_train_state *s, const struct vq_train_state *from);

/* Back to position 0, as at the start of a sequence. */
void vq_train_state_reset(struct vq_train_state *s);

/* Bytes of the arrays. */
uint64_t vq_train_state_bytes(const struct vq_train_state *s);

#endif
