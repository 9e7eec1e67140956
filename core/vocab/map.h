/*
 * map: which id of one vocabulary stands for what an id of another stands for, so that a model can
 * be given the other one.
 */
#ifndef VQ_CORE_VOCAB_MAP_H
#define VQ_CORE_VOCAB_MAP_H

#include "core/vocab/vocab.h"

struct vq_vocab_map {
    int32_t *from; /* [n] for each new id the old one */
    size_t n;      /* ids of the new vocabulary */
    size_t left;   /* old ids that no new one stands for */
};

/*
 * For every id of `to` the id of `from` that stands for the same bytes, or bears the same special
 * name. Where several ids of `to` stand for the same bytes they all get the only such id of `from`,
 * or each its own of as many, in order: a channel's of the same channel. VQ_EUNSUPPORTED, naming
 * the first and how many there are, for ids without a counterpart and for those in which several
 * old ones would fall together; also for "ids", which have no bytes. Release with
 * vq_vocab_map_release().
 */
enum vq_status vq_vocab_map(struct vq_vocab_map *out, const struct vq_vocab *from,
                            const struct vq_vocab *to, struct vq_err *err);
void vq_vocab_map_release(struct vq_vocab_map *m);

#endif
