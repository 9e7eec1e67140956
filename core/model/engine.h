/*
 * engine: a model's weights prepared for inference: packed matrices, codebooks and their norms,
 * R[delta] and position tables, everything that depends on weights alone, computed once.
 * Read-only after vq_engine_new; any number of sessions run on it (one thread at a time uses its
 * pool).
 */
#ifndef VQ_CORE_MODEL_ENGINE_H
#define VQ_CORE_MODEL_ENGINE_H

#include "core/kernels/gemm.h"
#include "core/model/model.h"

struct vq_engine;

struct vq_engine_options {
    enum vq_weight_format weights; /* of the projection and output matrices */
    const struct vq_gemm *gemm;    /* NULL: the default */
    struct vq_pool *pool;          /* NULL: serial; must outlive the engine */
    const struct vq_cancel *cancel;
};

enum vq_status vq_engine_new(struct vq_engine **out, const struct vq_model *model,
                             const struct vq_engine_options *options, struct vq_err *err);
void vq_engine_free(struct vq_engine *e);

const struct vq_config *vq_engine_config(const struct vq_engine *e);
enum vq_weight_format vq_engine_weights(const struct vq_engine *e);
const struct vq_gemm *vq_engine_gemm(const struct vq_engine *e);
struct vq_pool *vq_engine_pool(const struct vq_engine *e); /* NULL: serial */
/* Bytes of prepared weights in memory. */
uint64_t vq_engine_bytes(const struct vq_engine *e);
/* Bytes of weights that generating one token reads (embedding row only, R[delta] and codebooks
 * included), for a limit from memory bandwidth. */
uint64_t vq_engine_bytes_per_token(const struct vq_engine *e);
/* Multiply-adds times two that one token costs once the cache is full, batch aside. */
double vq_engine_flops_per_token(const struct vq_engine *e);

#endif
