/*
 * dropout: masks that are drawn again whenever they are needed rather than kept. Each row of a mask
 * has a generator of its own, seeded by what the row is for, so that a backward pass meets the very
 * mask of its forward pass, and neither threads nor the order of work have any say.
 */
#ifndef VQ_CORE_TRAIN_DROPOUT_H
#define VQ_CORE_TRAIN_DROPOUT_H

#include <stddef.h>
#include <stdint.h>

/* What is dropped. */
enum vq_drop_kind {
    VQ_DROP_EMB, /* embeddings, positions added: elements */
    VQ_DROP_SIN, /* sinusoids before r_proj: elements, once for a sequence */
    VQ_DROP_RES, /* a module's result: elements */
    VQ_DROP_LYR  /* a module's result: whole batch rows, once for a sequence */
};

/* One row of one mask. Everything that makes it differ from another row's is in here. */
struct vq_drop {
    uint64_t seed;     /* of the run */
    uint64_t sequence; /* number of the batch of sequences within the run */
    enum vq_drop_kind kind;
    uint32_t module; /* 0 for embeddings */
    uint32_t row;    /* of the batch; 0 where the mask is shared by all of it */
    uint64_t at;     /* position in the sequence, or distance for VQ_DROP_SIN */
};

/* y[i] = x[i] / (1 - p) with probability 1 - p, else 0; 0 <= p < 1, and p = 0 copies. y may be
 * x. */
void vq_drop_row(float *y, const float *x, size_t n, double p, const struct vq_drop *d);

/* The factor of a whole row: 1 / (1 - p) with probability 1 - p, else 0. */
float vq_drop_factor(double p, const struct vq_drop *d);

#endif
