/*
 * members: the held tokens of a trace that fell on one code: where they stand, how well the code
 * fits them, and which other codes they fell on elsewhere. "Serial" numbers are those of trace.h.
 */
#ifndef VQ_CORE_INSPECT_MEMBERS_H
#define VQ_CORE_INSPECT_MEMBERS_H

#include "core/inspect/trace.h"

/* One member: a token that fell on the code. */
struct vq_member {
    uint64_t serial;
    float rel; /* |k - k^| / |k|; NaN when the codebook was not known */
};

struct vq_members {
    struct vq_member *v; /* the best fitting first; ties and NaN by age, NaN last */
    size_t n;
};

/* All held members of a code. Release with vq_members_release(). VQ_ENOMEM. */
enum vq_status vq_members_find(struct vq_members *out, const struct vq_trace *t, int module,
                               int head, size_t code, struct vq_err *err);
void vq_members_release(struct vq_members *m);

/* The relative error below which a part q (0 to 1) of the members lie, between two of them by
 * straight line; NaN when there are none. */
double vq_members_quantile(const struct vq_members *m, double q);

/* Members by position: `bins` ranges of equal width from 0 to the last position held. */
struct vq_position_bin {
    int64_t from, to; /* positions from..to */
    uint64_t count;   /* members there */
    uint64_t of;      /* held tokens there */
};
/* bins[n]; returns how many were filled: fewer when there are fewer positions. */
size_t vq_members_profile(struct vq_position_bin *bins, size_t n, const struct vq_members *m,
                          const struct vq_trace *t);

/*
 * Held places where the n ids follow each other (n at least 1); a place is where the last one
 * stands. count[S] receives how many of them fell on each code of a module-head. Returns how many
 * places there are.
 */
uint64_t vq_places_codes(uint64_t *count, const struct vq_trace *t, int module, int head,
                         const int32_t *ids, size_t n);

/* How often each code of one module-head meets a given code of another at the same token: both[S].
 * Over held tokens. */
void vq_meetings(uint64_t *both, const struct vq_trace *t, int module, int head, int with_module,
                 int with_head, size_t with_code);

#endif
