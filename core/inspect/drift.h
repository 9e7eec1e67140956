/*
 * drift: what became of one head's codebook between two checkpoints: how far its codes moved, which
 * died and which came to life. Codes are compared by number, as training moves them.
 */
#ifndef VQ_CORE_INSPECT_DRIFT_H
#define VQ_CORE_INSPECT_DRIFT_H

#include <stddef.h>

#include "core/inspect/codebook.h"

/* A code is dead when its count is at most VQ_COUNT_CLIP. */
enum vq_code_fate { VQ_ALIVE, VQ_DEAD, VQ_DIED, VQ_BORN };
const char *vq_code_fate_name(enum vq_code_fate f); /* "alive", "dead", "died", "born" */

struct vq_code_drift {
    enum vq_code_fate fate;
    double moved; /* |b - a| */
    double sim;   /* cosine of a and b; 0 when one is zero */
    double count_a, count_b;
};

struct vq_drift {
    size_t codes, alive, dead, died, born;
    struct vq_stat moved;  /* over codes alive in both; NaN when there are none */
    double moved_relative; /* mean of |b - a| / |a| over them */
    double sim_mean;       /* mean cosine over them */
    double usage_distance; /* half the sum of |p_b - p_a| of the normalised counts, 0 to 1 */
};

/* Codebooks a[S,K] and b[S,K] with their counts [S]; each code into list[S] when that is not NULL.
 * Counts below 0 count as 0. */
void vq_drift_codes(struct vq_drift *out, struct vq_code_drift *list, const float *a,
                    const float *count_a, const float *b, const float *count_b, size_t S, size_t K);

#endif
