/*
 * params: where each parameter of a configuration lies in one block of floats. Parameters,
 * gradients and every optimiser moment are blocks of the same layout, so what is done to all
 * parameters alike is one loop over one array, and saving or counting them is one call.
 *
 * Every tensor starts on a 64-byte boundary of its block. The floats between the end of one tensor
 * and the start of the next belong to nobody and are 0 in parameters and gradients alike.
 */
#ifndef VQ_CORE_TRAIN_PARAMS_H
#define VQ_CORE_TRAIN_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/model/model.h"

/* One parameter tensor. */
struct vq_param {
    char name[96]; /* as in checkpoints: "transformer_layers_0/scanned_attn1/u" */
    int rank;
    int64_t shape[3];
    size_t offset;    /* of its first element in a block */
    size_t size;      /* elements */
    bool is_codebook; /* c_sum or c_count: trained by plain SGD, outside the optimiser chain */
};

/* Immutable; may be shared by threads. */
struct vq_params {
    size_t n;            /* tensors, in the checkpoint's order */
    struct vq_param *at; /* [n] */
    size_t floats;       /* of a block, what lies between tensors included */
    uint64_t count;      /* elements of all tensors together */
};

/* The layout of a configuration (vq_config_check passed). Free with vq_params_free. VQ_ENOMEM. */
enum vq_status vq_params_new(struct vq_params **out, const struct vq_config *c, struct vq_err *err);
void vq_params_free(struct vq_params *p);

/* A tensor by its full name, NULL when there is none. */
const struct vq_param *vq_params_find(const struct vq_params *p, const char *name);

/* A block of zeros on a 64-byte boundary, p->floats long; free(). NULL when memory is out. */
float *vq_params_block(const struct vq_params *p);

/* Fills a block of zeros with starting values: embeddings N(0, 1); kernels N(0, 1 / fan_in), fan_in
 * being all axes but the last; c_sum by the same rule; c_count and gains 1; biases, u, v and scale
 * 0. Each tensor draws from a stream of its own, named after it: the same seed gives a tensor the
 * same numbers whatever else the configuration holds. */
void vq_params_init(const struct vq_params *p, float *block, uint64_t seed);

/* Copies the parameters of an open checkpoint, converted to f32. VQ_EFORMAT for a tensor that is
 * missing, VQ_ESHAPE for one of another shape; both name it. What else the file holds is left
 * alone. */
enum vq_status vq_params_load(const struct vq_params *p, float *block, const struct vq_ckpt *ckpt,
                              struct vq_err *err);

/* The first tensor that holds a number that is not finite, or NULL. */
const struct vq_param *vq_params_not_finite(const struct vq_params *p, const float *block);

#endif
