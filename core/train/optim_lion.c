/*
 * optim_lion: the sign of an average, b1 0.95 and b2 0.98 (Chen et al., arXiv 2302.06675). The
 * average is kept in bfloat16, and as the authors' code works in that type, so are the factors
 * that multiply it and what comes of the product.
 */
#include "core/base/half.h"
#include "core/train/optim_private.h"

#define B1 0.95
#define B2 0.98

struct run {
    const struct vq_step_job *job;
    struct vq_step_lion c; /* all but the decay */
};

static void task(void *ud, size_t index, int worker)
{
    (void)worker;
    const struct run *r = ud;
    const struct vq_optim *o = r->job->o;
    const struct vq_stretch *t = &o->tiles[index];
    struct vq_step_lion c = r->c;
    size_t at = t->param->offset + t->start;
    uint16_t *mu = vq_optim_slot(o, t->param, 0)->data;
    c.decay = vq_optim_decay(o, t->param);
    o->kernels->lion(r->job->params + at, mu + t->start, r->job->grads + at, t->size, &c);
}

static void step(const struct vq_step_job *job)
{
    struct run r = {.job = job,
                    .c = {.clip = job->clip,
                          .rate = job->rate,
                          .b1 = vq_bf16_to_f32(vq_f32_to_bf16((float)B1)),
                          .b2 = vq_bf16_to_f32(vq_f32_to_bf16((float)B2)),
                          .fresh1 = (float)(1.0 - B1),
                          .fresh2 = (float)(1.0 - B2)}};
    vq_pool_run(job->pool, job->o->n_main, task, &r);
}

const struct vq_optim_kind vq_optim_lion = {
    .name = "lion",
    .n_moments = 1,
    .moment = {{"mu", VQ_BF16}},
    .empties = 2,
    .shape = vq_optim_shape_of,
    .step = step,
};
