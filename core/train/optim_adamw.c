/*
 * optim_adamw: Adam with b1 0.9, b2 0.98 and eps 1e-9, its decay left to the chain (Kingma and Ba,
 * arXiv 1412.6980; Loshchilov and Hutter, arXiv 1711.05101).
 */
#include <math.h>

#include "core/train/optim_private.h"

#define B1  0.9
#define B2  0.98
#define EPS 1e-9

struct run {
    const struct vq_step_job *job;
    struct vq_step_adam c; /* all but the decay */
};

static void task(void *ud, size_t index, int worker)
{
    (void)worker;
    const struct run *r = ud;
    const struct vq_optim *o = r->job->o;
    const struct vq_stretch *t = &o->tiles[index];
    struct vq_step_adam c = r->c;
    size_t at = t->param->offset + t->start;
    float *mu = vq_optim_slot(o, t->param, 0)->data, *nu = vq_optim_slot(o, t->param, 1)->data;
    c.decay = vq_optim_decay(o, t->param);
    o->kernels->adamw(r->job->params + at, mu + t->start, nu + t->start, r->job->grads + at,
                      t->size, &c);
}

static void step(const struct vq_step_job *job)
{
    double t = (double)vq_optim_next(job->o->count);
    struct run r = {.job = job,
                    .c = {.clip = job->clip,
                          .rate = job->rate,
                          .b1 = (float)B1,
                          .b2 = (float)B2,
                          .eps = (float)EPS,
                          .fresh1 = (float)(1.0 - B1),
                          .fresh2 = (float)(1.0 - B2),
                          .scale1 = (float)(1.0 / (1.0 - pow(B1, t))),
                          .scale2 = (float)(1.0 / (1.0 - pow(B2, t)))}};
    vq_pool_run(job->pool, job->o->n_main, task, &r);
}

const struct vq_optim_kind vq_optim_adamw = {
    .name = "adamw",
    .n_moments = 2,
    .moment = {{"mu", VQ_F32}, {"nu", VQ_F32}},
    .empties = 2,
    .shape = vq_optim_shape_of,
    .step = step,
};
