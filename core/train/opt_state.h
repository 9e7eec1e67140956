/*
 * opt_state: an optimiser's state as checkpoint tensors under the authors' names, so that what we
 * write is what their code restores, and the other way round:
 *
 *     opt_state/inner_states/codebook/inner_state/{0,1}          empty (plain SGD)
 *     opt_state/inner_states/main/inner_state/...                the chain, numbered without gaps:
 *         0                   empty             only with grad_clip
 *         i/0/count, i/0/MOMENT/PARAMETER       the optimiser; a codebook's leaf is empty
 *         i/1, i/2, ...       empty             the rest of the optimiser's own chain
 *         i+1/count                             the schedule
 *         i+2/inner_state     empty             only with wd_lam
 *
 * Counts are int32 scalars; moments have the optimiser's dtypes. "step" is the trainer's to write.
 */
#ifndef VQ_CORE_TRAIN_OPT_STATE_H
#define VQ_CORE_TRAIN_OPT_STATE_H

#include "core/ckpt/ckpt.h"
#include "core/train/optim.h"

/* Tensors to be written. Their data is the optimiser's own: write them before its next step. */
struct vq_opt_state {
    struct vq_tensor_out *at; /* [n], in no particular order */
    size_t n;
    char *names; /* of `at`, owned */
};

/* The state of o. VQ_ENOMEM. */
enum vq_status vq_opt_state_list(struct vq_opt_state *out, const struct vq_optim *o,
                                 struct vq_err *err);
void vq_opt_state_release(struct vq_opt_state *s); /* s may be zeroed; leaves it zeroed */

/*
 * Takes moments and counts from a checkpoint of the same optimiser and layout. Whether it was
 * trained with clipping or decay makes no difference: those have no state. VQ_ENOTFOUND when it
 * holds no optimiser state, VQ_ESHAPE when it is another optimiser's (names both), or when a
 * tensor is missing or of another shape or dtype (names it). On failure o is as it was.
 */
enum vq_status vq_opt_state_load(struct vq_optim *o, const struct vq_ckpt *c, struct vq_err *err);

#endif
