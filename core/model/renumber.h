/*
 * renumber: a model's parameters under the ids of another vocabulary. What belongs to an id (its
 * row of the embeddings, its output bias, its column of an output matrix of its own) is copied to
 * the ids that stand for the same; all other parameters stay.
 */
#ifndef VQ_CORE_MODEL_RENUMBER_H
#define VQ_CORE_MODEL_RENUMBER_H

#include "core/ckpt/ckpt.h"
#include "core/vocab/map.h"

/* Whether ids are an axis of the parameter of this name. */
bool vq_renumbered(const char *name);

/* The tensor t, one of those, under new ids: exact copies in one block at out->data, the caller's
 * to free(), with the scales of what is int8. The name is borrowed. VQ_ESHAPE when t has not a row
 * (or column) for each id that the map takes from. */
enum vq_status vq_renumber(struct vq_tensor *out, const struct vq_tensor *t,
                           const struct vq_vocab_map *map, struct vq_err *err);

#endif
