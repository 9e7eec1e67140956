/*
 * optim: parameter updates from gradients, as the authors' chain of optax 0.1.5 makes them. All but
 * the codebooks go through
 *
 *     clip by the global norm -> optimiser with rate lr_max -> times the schedule -> minus wd_lam p
 *
 * where the last acts on every parameter that is not one-dimensional, the scalar `scale` too, at
 * every step, and is not scaled by the rate. The codebooks' accumulators are a group of their own:
 * plain SGD with rate 1, outside the norm. An optimiser is one file (optim_NAME.c) and one row of
 * the table in optim.c.
 *
 * Work is cut into tiles of the layout and every sum is taken in a fixed order, so results do not
 * depend on the number of threads.
 */
#ifndef VQ_CORE_TRAIN_OPTIM_H
#define VQ_CORE_TRAIN_OPTIM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/pool.h"
#include "core/model/config.h"
#include "core/train/params.h"

struct vq_optim;

/*
 * State of zeros for the configuration's optimizer, lr_max, lr_schedule, n_warmup_step, n_max_step,
 * grad_clip (0: none) and wd_lam. `layout` is borrowed and must outlive it. VQ_EINVAL for an
 * unknown optimiser or a schedule that is none, VQ_EUNSUPPORTED for inv_sqrt, VQ_ENOMEM.
 */
enum vq_status vq_optim_new(struct vq_optim **out, const struct vq_params *layout,
                            const struct vq_config *c, struct vq_err *err);
void vq_optim_free(struct vq_optim *o);

size_t vq_optim_kind_count(void);
const char *vq_optim_kind_name(size_t i); /* "adamw", ...; NULL from the count on */

/* Bytes of moments and workspace. */
uint64_t vq_optim_bytes(const struct vq_optim *o);

struct vq_optim_report {
    double grad_norm; /* of all but the codebooks, before clipping */
    double factor;    /* the schedule's */
    double rate;      /* lr_max * factor */
};

/*
 * One update: moves the block `params` by the block `grads`, which clipping leaves alone. report
 * may be NULL. VQ_ENUM when a gradient is not finite: names the first such tensor, and nothing has
 * been changed.
 */
enum vq_status vq_optim_step(struct vq_optim *o, float *params, const float *grads,
                             struct vq_pool *pool, struct vq_optim_report *report,
                             struct vq_err *err);

/* Updates done so far, as the schedule counts them. */
int64_t vq_optim_count(const struct vq_optim *o);

#endif
