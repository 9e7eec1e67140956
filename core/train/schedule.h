/*
 * schedule: the factor on the learning rate at each step. It rises from 0 to 1 over the warm-up in
 * a straight line, then falls to 0.1 at n_max_step and stays there, in half a cosine wave or in a
 * straight line. Computed in double; the authors' numbers are the same in float32.
 */
#ifndef VQ_CORE_TRAIN_SCHEDULE_H
#define VQ_CORE_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "core/base/err.h"

enum vq_schedule_kind { VQ_SCHEDULE_COSINE, VQ_SCHEDULE_LINEAR };

struct vq_schedule {
    enum vq_schedule_kind kind;
    int64_t warmup, max; /* steps; 0 <= warmup <= max */
};

/*
 * By the authors' names: "cosine" or "linear". VQ_EUNSUPPORTED for "inv_sqrt", saying why;
 * VQ_EINVAL for another name, for a negative warm-up, and for a cosine without a step between
 * warm-up and end.
 */
enum vq_status vq_schedule_init(struct vq_schedule *out, const char *name, int64_t n_warmup_step,
                                int64_t n_max_step, struct vq_err *err);

/* The factor of update `step`, counted from 0: update 0 with a warm-up has factor 0. */
double vq_schedule_at(const struct vq_schedule *s, int64_t step);

#endif
