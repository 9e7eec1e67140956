/*
 * rng: explicit generator state; no global randomness anywhere. The algorithm is fixed, so the
 * same seed gives the same numbers on every machine and in every version: xoshiro256**, seeded
 * through splitmix64 (Blackman and Vigna, 2018). Only vq_rng_normal leans on the C library (log and
 * cos), so its last bit may differ between libraries.
 */
#ifndef VQ_CORE_BASE_RNG_H
#define VQ_CORE_BASE_RNG_H

#include <stdint.h>

struct vq_rng {
    uint64_t s[4];
};

/* State for (seed, stream); streams of one seed are independent, e.g. one per sequence. The state
 * is plain data: copy it to fork, store its four words to resume. */
void vq_rng_init(struct vq_rng *r, uint64_t seed, uint64_t stream);
uint64_t vq_rng_u64(struct vq_rng *r);
double vq_rng_unit(struct vq_rng *r);                /* uniform in [0, 1), 53 bits */
uint64_t vq_rng_below(struct vq_rng *r, uint64_t n); /* unbiased in [0, n); n = 0 gives 0 */
double vq_rng_normal(struct vq_rng *r);              /* N(0,1), Box-Muller, no hidden cache */

#endif
