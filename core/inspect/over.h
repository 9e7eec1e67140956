/*
 * over: runs a whole array of tokens, row by row, each from an empty state, and lets an observer
 * see everything: `--over FILE`, and the exports that need every position. Memory does not grow
 * with the tokens.
 */
#ifndef VQ_CORE_INSPECT_OVER_H
#define VQ_CORE_INSPECT_OVER_H

#include "core/inspect/trace.h"

struct vq_over {
    const int32_t *tokens; /* [rows, cols], both at least 1 */
    size_t rows, cols;
    bool targets; /* the rows are targets: the inputs are eos followed by all but the last, as in
                     training. Otherwise they are fed as they stand */
    int block;    /* tokens per block; 0: the engine's choice */
    const struct vq_cancel *cancel;
    void *ud;
    /* Positions done of all rows * cols; after every block. Optional. */
    void (*progress)(void *ud, uint64_t done, uint64_t total);
};

/* Resets s (of batch 1) and feeds one row. Logits are computed only for an observer that takes
 * them. `observe` may be NULL. */
enum vq_status vq_over_row(const struct vq_over *o, size_t row, struct vq_session *s,
                           const struct vq_observer *observe, struct vq_err *err);

/* All rows in a session of its own, every row starting at position 0. */
enum vq_status vq_over_run(const struct vq_over *o, const struct vq_engine *e,
                           const struct vq_observer *observe, struct vq_err *err);

/* A fresh trace of all rows, with the model's codebooks; options as in vq_trace_new. *out is the
 * caller's to free; NULL on failure and when cancelled. e is an engine of m. */
enum vq_status vq_over_trace(struct vq_trace **out, const struct vq_over *o,
                             const struct vq_model *m, const struct vq_engine *e,
                             const struct vq_trace_options *options, struct vq_err *err);

#endif
