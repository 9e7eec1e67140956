/*
 * revive: new places for codes that nothing falls on any more. Not the authors' doing, and off
 * unless asked for: their codebooks are moved by averages alone, under which a code that no key is
 * nearest to stays where it is, its count shrinking for ever.
 *
 * The rule. A code is dead when no key of the last update fell on it and its average count has sunk
 * below `floor`. Dead codes are given keys of the last update to stand on, one after the other, as
 * k-means++ chooses its centres (Arthur and Vassilvitskii, 2007): a key is drawn with a probability
 * in proportion to its squared distance from the nearest living code, those just revived included.
 * So they go where the codebook serves worst, and not all to one place. A revived code has count 1
 * as in a fresh model, and so some ln(floor) / ln(c_gamma) updates before it can be dead again.
 */
#ifndef VQ_CORE_TRAIN_REVIVE_H
#define VQ_CORE_TRAIN_REVIVE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/rng.h"

/* An even sample of the keys of one module: each position seen has the same chance to be in it
 * (Vitter's algorithm R), with the keys of all heads. Visible so that a run can be saved. */
struct vq_key_sample {
    size_t H, K, cap;
    size_t n;      /* positions kept, at most cap */
    uint64_t seen; /* positions offered since the start */
    float *keys;   /* [cap, H, K] */
};

/* VQ_ENOMEM. */
enum vq_status vq_key_sample_new(struct vq_key_sample **out, size_t cap, size_t H, size_t K,
                                 struct vq_err *err);
void vq_key_sample_free(struct vq_key_sample *s);
void vq_key_sample_reset(struct vq_key_sample *s); /* at the start of an update */
/* Offers n positions: keys[n, H, K], rows `ld` floats apart. */
void vq_key_sample_add(struct vq_key_sample *s, const float *keys, size_t ld, size_t n,
                       struct vq_rng *rng);

/*
 * Applies the rule to one module after its update: c_sum[H,S,K] and c_count[H,S] are changed in
 * place; used[H,S] says how many keys of the update fell on each code. The same numbers and the
 * same generator give the same codes. *revived is how many were; fewer than were dead when the
 * sample holds no key off the living codes, or no key. VQ_ENOMEM leaves all as it was.
 */
enum vq_status vq_revive_codes(float *c_sum, float *c_count, const uint64_t *used, size_t S,
                               double floor, const struct vq_key_sample *sample, struct vq_rng *rng,
                               size_t *revived, struct vq_err *err);

#endif
