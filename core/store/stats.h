/*
 * stats: what is kept of each metric of a run beside its points: how many there are, the lowest and
 * highest step, the smallest and largest finite value, the value logged last. A listing of ten
 * thousand runs by their loss reads ten thousand of these rows instead of ten million points.
 *
 * Whoever inserts points updates the row in the same transaction: run.c adds what a batch brought,
 * import and merge count anew.
 */
#ifndef VQ_CORE_STORE_STATS_H
#define VQ_CORE_STORE_STATS_H

#include "core/store/db.h"

/* Of the points of one metric, or of a batch of them. All zero: none yet. */
struct vq_stats {
    int64_t points;
    int64_t low_step, high_step;
    int64_t reals; /* finite points */
    double min, max;
    int64_t min_step, max_step; /* where they were first */
    int64_t last_seq, last_step;
    double last_time, last;
};

/* Counts one point; points come in the order of their logging. */
void vq_stats_add(struct vq_stats *s, int64_t step, int64_t seq, double time, double value);

/* Inside a transaction: adds a batch to the row of metric `name` (an id of metric_names). */
enum vq_status vq_stats_merge(struct vq_db *db, const char *run, int64_t name,
                              const struct vq_stats *s, struct vq_err *err);

/* Inside a transaction: counts all metrics of a run anew. */
enum vq_status vq_stats_rebuild(struct vq_db *db, const char *run, struct vq_err *err);

#endif
