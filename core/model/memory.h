/*
 * memory: how much of it reading and writing with a model takes, known before anything is prepared.
 */
#ifndef VQ_CORE_MODEL_MEMORY_H
#define VQ_CORE_MODEL_MEMORY_H

#include "core/kernels/gemm.h"
#include "core/model/config.h"

/* What is not weights or state: the program and its libraries, vocabulary, stacks, the ids that a
 * session remembers (16 MB at most), the rows of the file that are in hand while weights are
 * prepared. */
#define VQ_MEMORY_CONSTANT ((uint64_t)64 << 20)

/* In bytes. Their sum bounds the peak resident size (VmHWM), pages of mapped files included: those
 * of a checkpoint are let go of as soon as they were read. Comparing with the float64 reference,
 * training and pictures take memory of their own. */
struct vq_memory {
    uint64_t weights;  /* prepared, as they lie in memory, in whole pages */
    uint64_t state;    /* of the sequences, and the buffers for their blocks */
    uint64_t constant; /* VQ_MEMORY_CONSTANT */
};

/* For a model of this configuration, weights and state in these formats and `batch` sequences that
 * are written together (with the one whose state they fork from, if there are several). */
struct vq_memory vq_memory_estimate(const struct vq_config *c, enum vq_weight_format weights,
                                    enum vq_weight_format state, int batch, struct vq_pool *pool);
uint64_t vq_memory_peak(const struct vq_memory *m); /* the sum */

#endif
