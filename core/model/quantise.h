/*
 * quantise: parameters as int8 with scales, just as an engine with int8 weights packs them, so that
 * a file of them gives the same results to the bit.
 */
#ifndef VQ_CORE_MODEL_QUANTISE_H
#define VQ_CORE_MODEL_QUANTISE_H

#include "core/base/pool.h"
#include "core/ckpt/ckpt.h"

/* Whether an engine with int8 weights keeps the parameter of this name as int8: the kernels of
 * q_proj, kvg_proj, res_proj and out_proj. Positions (r_proj), codebooks, vectors and embeddings
 * (and with them a tied output matrix) are used in full precision or made into other things. */
bool vq_quantised(const char *name);

/* The matrix t as int8 with scales, in one block at out->data, the caller's to free(). The name is
 * borrowed. VQ_ENUM for numbers that are not finite, VQ_ESHAPE for what is no matrix. */
enum vq_status vq_quantise(struct vq_tensor *out, const struct vq_tensor *t, struct vq_pool *pool,
                           struct vq_err *err);

#endif
