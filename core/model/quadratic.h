/*
 * quadratic: generation by the quadratic model that shares an engine's weights: a softmax over
 * every key of the past, as projected, not quantised, with the same position terms on the window.
 * Keys and values stand in a cache that each token makes longer and reads whole. It is what
 * Transformer-VQ's generation is measured against, with the same kernels around it; its training
 * side is in core/train (enum vq_attention).
 */
#ifndef VQ_CORE_MODEL_QUADRATIC_H
#define VQ_CORE_MODEL_QUADRATIC_H

#include "core/model/engine.h"

struct vq_quadratic;

/* An empty cache of one sequence with room for `capacity` tokens. The engine must outlive it.
 * VQ_ENOMEM. */
enum vq_status vq_quadratic_new(struct vq_quadratic **out, const struct vq_engine *e,
                                size_t capacity, struct vq_err *err);
void vq_quadratic_free(struct vq_quadratic *q);

/* As if n tokens had been read, but for the numbers: keys of their usual length and values, drawn
 * at random. n <= capacity. */
void vq_quadratic_pretend(struct vq_quadratic *q, size_t n);
size_t vq_quadratic_position(const struct vq_quadratic *q);

/* One token. VQ_EINVAL when the cache is full or the id is outside the vocabulary. */
enum vq_status vq_quadratic_feed(struct vq_quadratic *q, int32_t token, struct vq_err *err);
/* Logits after the last token [N]. Borrowed until the next call that changes q. */
const float *vq_quadratic_logits(const struct vq_quadratic *q);
/* Bytes of the cache that one more token reads. */
uint64_t vq_quadratic_bytes_per_token(const struct vq_quadratic *q);

#endif
