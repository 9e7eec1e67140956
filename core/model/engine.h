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

/*
 * Which rows of values (the window's, the aggregate's means) a token leaves unread.
 * VQ_SKIP_ZERO, the default: those whose softmax weight is exactly 0. Results are the same.
 * VQ_SKIP_LIGHT: also the lightest, as long as all of them together weigh less than u, the largest
 * relative error of one rounding to the state's format (2^-24, 2^-8, 1/254). No element of
 * attention's result moves by more than u times the largest value in sight, which is what rounding
 * the values themselves to that format may do. Reading in blocks does the same, and what is shown
 * of weights shows them as 0.
 * VQ_SKIP_NONE: none. Results are the same as with VQ_SKIP_ZERO.
 */
enum vq_skip { VQ_SKIP_ZERO, VQ_SKIP_LIGHT, VQ_SKIP_NONE };

const char *vq_skip_name(enum vq_skip s); /* "zero", "light", "none" */
bool vq_skip_parse(const char *name, enum vq_skip *out);

struct vq_engine_options {
    enum vq_weight_format weights; /* of the projection and output matrices */
    enum vq_weight_format state;   /* of the values that its sessions keep */
    enum vq_skip skip;
    const struct vq_gemm *gemm; /* NULL: the default */
    struct vq_pool *pool;       /* NULL: serial; must outlive the engine */
    const struct vq_cancel *cancel;
};

enum vq_status vq_engine_new(struct vq_engine **out, const struct vq_model *model,
                             const struct vq_engine_options *options, struct vq_err *err);
void vq_engine_free(struct vq_engine *e);

const struct vq_config *vq_engine_config(const struct vq_engine *e);
enum vq_weight_format vq_engine_weights(const struct vq_engine *e);
enum vq_weight_format vq_engine_state(const struct vq_engine *e);
enum vq_skip vq_engine_skip(const struct vq_engine *e);
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
