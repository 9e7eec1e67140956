/*
 * compare: two checkpoints tensor by tensor.
 */
#ifndef VQ_CORE_INSPECT_COMPARE_H
#define VQ_CORE_INSPECT_COMPARE_H

#include "core/ckpt/ckpt.h"

enum vq_tensor_relation {
    VQ_TENSOR_BOTH,   /* in both, of one shape: the numbers say how they differ */
    VQ_TENSOR_SHAPES, /* in both, of other shapes */
    VQ_TENSOR_ONLY_A,
    VQ_TENSOR_ONLY_B
};
const char *vq_tensor_relation_name(enum vq_tensor_relation r); /* "both", "shapes", "a", "b" */

struct vq_tensor_diff {
    const struct vq_tensor *a, *b; /* NULL where absent; borrowed from the checkpoints */
    enum vq_tensor_relation relation;
    bool equal;      /* every element the same number; NaN equals NaN */
    double max_abs;  /* largest |b - a| ... */
    size_t max_at;   /* ... and the element it is at */
    double mean_abs; /* mean |b - a| */
    double rms_a;    /* root mean square of a, to measure these by */
    double cosine;   /* 1 when both are zero, 0 when one is */
};

/* One tensor of both, as f32. VQ_ENOMEM; VQ_ESHAPE for tensors without elements of a number. */
enum vq_status vq_tensor_compare(struct vq_tensor_diff *out, const struct vq_tensor *a,
                                 const struct vq_tensor *b, struct vq_err *err);

/* Pairs the parameters of two checkpoints by name, in the order of a, then what only b has;
 * *list is the caller's to free, *n long; nothing is compared yet but shapes. VQ_ENOMEM. */
enum vq_status vq_tensor_pairs(struct vq_tensor_diff **list, size_t *n, const struct vq_ckpt *a,
                               const struct vq_ckpt *b, struct vq_err *err);

#endif
