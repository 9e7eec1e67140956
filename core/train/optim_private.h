/*
 * optim_private: what the optimisers share among themselves and with opt_state.c.
 *
 * Moments are kept per parameter: slot(parameter, moment) says shape and place. Codebook parameters
 * have none.
 */
#ifndef VQ_CORE_TRAIN_OPTIM_PRIVATE_H
#define VQ_CORE_TRAIN_OPTIM_PRIVATE_H

#include "core/ckpt/ckpt.h"
#include "core/kernels/step.h"
#include "core/train/optim.h"
#include "core/train/schedule.h"

#define VQ_MAX_MOMENTS 3

/* One moment of one parameter. */
struct vq_slot {
    int rank;
    int64_t shape[3];
    size_t size; /* elements */
    void *data;  /* in the optimiser's block, on a 64-byte boundary */
};

/* A stretch of one parameter that one task handles. */
struct vq_stretch {
    const struct vq_param *param;
    size_t start, size;
};

/* What a step is made of, the same for all tiles. */
struct vq_step_job {
    struct vq_optim *o;
    float *params;
    const float *grads;
    struct vq_pool *pool;
    float clip; /* factor on the gradients */
    float rate; /* lr_max times the schedule's factor */
};

struct vq_optim_kind {
    const char *name;
    size_t n_moments;
    struct {
        const char *name; /* as in checkpoints */
        enum vq_dtype dtype;
    } moment[VQ_MAX_MOMENTS];
    /* Empty states behind the one with the moments in the optimiser's own chain. */
    int empties;
    /* Fills rank and shape of a moment of a parameter that is no codebook. */
    void (*shape)(const struct vq_param *p, size_t moment, struct vq_slot *slot);
    /* Bytes of workspace; NULL: none. False when they overflow. */
    bool (*workspace)(const struct vq_params *layout, size_t *bytes);
    /* Moves all parameters but the codebooks. */
    void (*step)(const struct vq_step_job *job);
};

extern const struct vq_optim_kind vq_optim_adamw, vq_optim_lion, vq_optim_adafactor;

struct vq_optim {
    const struct vq_optim_kind *kind;
    const struct vq_params *layout;
    const struct vq_step *kernels;
    struct vq_schedule schedule;
    double lr_max, grad_clip, wd_lam;
    int32_t count;          /* the optimiser's, of updates done */
    int32_t schedule_count; /* the schedule's: another only in a checkpoint of another origin */
    struct vq_slot *slots;  /* [layout->n, kind->n_moments] */
    char *memory;           /* of all slots, then the workspace */
    size_t bytes, workspace;
    struct vq_stretch *tiles; /* the codebooks' after all others */
    size_t n_tiles, n_main;
    double *squares; /* [n_tiles] */
};

/* For kinds whose moments have the parameter's shape. */
static inline void vq_optim_shape_of(const struct vq_param *p, size_t moment, struct vq_slot *slot)
{
    (void)moment;
    slot->rank = p->rank;
    for (int i = 0; i < p->rank; i++)
        slot->shape[i] = p->shape[i];
}

static inline struct vq_slot *vq_optim_slot(const struct vq_optim *o, const struct vq_param *p,
                                            size_t moment)
{
    return &o->slots[(size_t)(p - o->layout->at) * o->kind->n_moments + moment];
}

/* The decay of a parameter: wd_lam unless it is one-dimensional. */
static inline float vq_optim_decay(const struct vq_optim *o, const struct vq_param *p)
{
    return p->rank == 1 ? 0.0f : (float)o->wd_lam;
}

/* One more, but never past the largest. */
static inline int32_t vq_optim_next(int32_t count)
{
    return count < INT32_MAX ? count + 1 : count;
}

#endif
