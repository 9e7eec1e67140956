/*
 * cache: rows that describe the attention cache of one module of one sequence as it stands: the
 * window of recent positions, and the aggregate of everything older. Reads a vq_cache_view; copies
 * nothing of it.
 */
#ifndef VQ_CORE_INSPECT_CACHE_H
#define VQ_CORE_INSPECT_CACHE_H

#include "core/model/session.h"

struct vq_cache_summary {
    int64_t window;               /* M, positions the window can hold */
    int64_t filled;               /* positions it holds */
    int64_t first;                /* absolute position of its oldest; 0 when it is empty */
    int64_t codes_used;           /* codes with a count above 0 in the aggregate */
    int64_t positions_aggregated; /* sum of the counts; filled + this is the position reached */
    int64_t count_max;
    double entropy; /* nats, of the normalised counts; 0 for an empty aggregate */
};

/* Of one head (0 <= head < n_head). c is the configuration of the view's session. */
void vq_cache_summarise(struct vq_cache_summary *out, const struct vq_cache_view *v,
                        const struct vq_config *c, int head);

struct vq_cache_code {
    int64_t count;    /* positions aggregated under the code */
    double mean_norm; /* length of their mean value, |upper_div_lower|; 0 when there are none */
};
/* All S codes of a head, into out[S]. */
void vq_cache_codes(struct vq_cache_code *out, const struct vq_cache_view *v,
                    const struct vq_config *c, int head);

struct vq_cache_slot {
    int64_t position; /* absolute */
    int32_t token;    /* -1: not known */
    int32_t code;
    double value_norm; /* length of its value */
};
/* The window of a head, oldest first, into out[v->window]; returns v->window. A session keeps no
 * tokens: `tokens` [v->window], oldest first, brings them (vq_trace_recent), or is NULL. */
size_t vq_cache_window(struct vq_cache_slot *out, const struct vq_cache_view *v,
                       const struct vq_config *c, int head, const int32_t *tokens);

/* One code of the aggregate at two moments. */
struct vq_cache_change {
    int64_t before, after;          /* positions in it */
    double norm_before, norm_after; /* of its mean value; 0 when it is empty */
    double moved;                   /* |mean after - mean before|, an empty code's mean being 0 */
};
struct vq_cache_diff {
    int64_t before, after; /* positions in the aggregate */
    int64_t appeared;      /* codes that were empty and are not now */
    int64_t gone;          /* codes that are empty now and were not */
    int64_t grown, shrunk; /* codes with more, with fewer positions; appeared and gone included */
    double moved_mean;     /* mean of `moved` over codes not empty at both moments; 0 for none */
    double moved_max;
};
/* From view a to view b of one head, both of configuration c; all S codes into list[S] when that
 * is not NULL. */
void vq_cache_compare(struct vq_cache_diff *out, struct vq_cache_change *list,
                      const struct vq_cache_view *a, const struct vq_cache_view *b,
                      const struct vq_config *c, int head);

#endif
