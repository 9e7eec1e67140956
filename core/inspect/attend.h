/*
 * attend: the attention of every query of a run, as the session computed it, through its observer
 * callbacks. A query sees recent keys one by one and older ones as one weight for each code; with
 * the codes of all older positions remembered, that weight can be shared out over the positions
 * that went into the code. Equal keys have equal scores, so the shares are equal: each position
 * gets weight / count, and the weights of all positions sum to 1 (paper, section 3.4: the aggregate
 * is the softmax over the same keys, factored).
 *
 * Memory: with `older`, 4 bytes for each module-head and position.
 */
#ifndef VQ_CORE_INSPECT_ATTEND_H
#define VQ_CORE_INSPECT_ATTEND_H

#include "core/model/session.h"

struct vq_attend;

/* One query's softmax. Everything is borrowed for the length of the callback. */
struct vq_attend_query {
    int module, head;
    int64_t query;           /* its position */
    int64_t first;           /* of the keys that stand one by one: first..query */
    const float *key;        /* [query - first + 1] their weights; 0 where not seen */
    const int32_t *key_code; /* their codes */
    size_t S;
    const float *code;           /* [S] weights of the aggregate; NULL without agg_cache */
    const int64_t *count;        /* [S] positions in each code of it */
    const double *mean_position; /* [S] mean of these positions; NULL without `older` */
    const int32_t *older;        /* [first] codes of all positions before `first`; NULL likewise */
};

struct vq_attend_options {
    int row;            /* the sequence of the batch that is looked at */
    int64_t from, to;   /* the queries: positions from..to */
    const bool *module; /* [modules] of these modules; NULL: all. Borrowed */
    bool older;         /* remember codes; the session must start at position 0 */
    void *ud;
    void (*query)(void *ud, const struct vq_attend_query *q);
};

enum vq_status vq_attend_new(struct vq_attend **out, const struct vq_config *c,
                             const struct vq_attend_options *o, struct vq_err *err);
void vq_attend_free(struct vq_attend *a);

/* For vq_session_feed or vq_over_row; borrowed from a. Another row of an array starts anew at
 * position 0 by itself. */
const struct vq_observer *vq_attend_observer(struct vq_attend *a);
/* VQ_ENOMEM when codes could not be remembered, VQ_EINVAL when they were not known from position 0:
 * queries have been left out since. */
enum vq_status vq_attend_check(const struct vq_attend *a, struct vq_err *err);

/* The codes of positions 0..*n-1 of a module and head as remembered (`older`), borrowed until the
 * next feed; NULL and *n = 0 when there are none. */
const int32_t *vq_attend_codes(const struct vq_attend *a, int module, int head, int64_t *n);

/* The weight of every position 0..query into out[query + 1]; needs `older`, or first = 0. */
void vq_attend_spread(const struct vq_attend_query *q, float *out);

/* How far back queries look, over many of them; start from {0}. M is mem_len. */
struct vq_mass {
    uint64_t queries;
    double own;       /* sums over queries: weight on the query's own position */
    double window;    /* on the last M + 1 positions, its own included */
    double aggregate; /* on everything older */
    double distance;  /* mean distance, codes counting at the mean of their positions */
    double entropy;   /* nats, over positions, those of a code equally */
};
/* Adds one query; needs `older`. */
void vq_mass_add(struct vq_mass *m, const struct vq_attend_query *q, int64_t M);

/* Weight by distance: bin 0 is distance 0, bin b > 0 distances 2^(b-1) .. 2^b - 1. */
#define VQ_DISTANCE_BINS 48
struct vq_distances {
    uint64_t queries;
    double weight[VQ_DISTANCE_BINS];      /* sums over queries */
    uint64_t positions[VQ_DISTANCE_BINS]; /* pairs of query and position at that distance */
};
/* Adds one query whose weights were spread into w[query + 1]. */
void vq_distances_add(struct vq_distances *d, const float *w, int64_t query);

/* Adds to drawn[S] what the query draws from positions further back than M, by code. */
void vq_drawn_add(double *drawn, const struct vq_attend_query *q, int64_t M);

#endif
