/*
 * optim: the chain around the optimisers: norm and clipping, schedule, the codebooks' plain SGD,
 * and the memory of all moments.
 */
#include "core/train/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/optim_private.h"

#define TILE ((size_t)1 << 15) /* floats: with gradient and two moments, half a megabyte */
#define LINE ((size_t)64)      /* bytes */

static const struct vq_optim_kind *const kinds[] = {
    &vq_optim_adamw,
    &vq_optim_lion,
    &vq_optim_adafactor,
};
enum { N_KIND = sizeof(kinds) / sizeof(kinds[0]) };

size_t vq_optim_kind_count(void)
{
    return N_KIND;
}

const char *vq_optim_kind_name(size_t i)
{
    return i < N_KIND ? kinds[i]->name : NULL;
}

static enum vq_status find_kind(const struct vq_optim_kind **out, const char *name,
                                struct vq_err *err)
{
    for (size_t i = 0; i < N_KIND; i++) {
        if (!strcmp(kinds[i]->name, name)) {
            *out = kinds[i];
            return VQ_OK;
        }
    }
    return vq_fail(err, VQ_EINVAL, "optimizer: expected adamw, lion or adafactor, found '%.40s'",
                   name);
}

/* Shapes and sizes of all moments; false when they overflow. */
static bool measure_slots(struct vq_optim *o)
{
    for (size_t i = 0; i < o->layout->n; i++) {
        const struct vq_param *p = &o->layout->at[i];
        for (size_t m = 0; m < o->kind->n_moments && !p->is_codebook; m++) {
            struct vq_slot *s = vq_optim_slot(o, p, m);
            size_t bytes;
            o->kind->shape(p, m, s);
            s->size = 1;
            for (int k = 0; k < s->rank; k++)
                s->size *= (size_t)s->shape[k];
            if (!vq_mul_ok(s->size, vq_dtype_size(o->kind->moment[m].dtype), &bytes) ||
                !vq_add_ok(bytes, (LINE - bytes % LINE) % LINE, &bytes) ||
                !vq_add_ok(o->bytes, bytes, &o->bytes))
                return false;
        }
    }
    return !o->kind->workspace || o->kind->workspace(o->layout, &o->workspace);
}

static void place_slots(struct vq_optim *o)
{
    char *at = o->memory;
    for (size_t i = 0; i < o->layout->n; i++) {
        const struct vq_param *p = &o->layout->at[i];
        for (size_t m = 0; m < o->kind->n_moments && !p->is_codebook; m++) {
            struct vq_slot *s = vq_optim_slot(o, p, m);
            size_t bytes = s->size * vq_dtype_size(o->kind->moment[m].dtype);
            s->data = at;
            at += (bytes + LINE - 1) / LINE * LINE;
        }
    }
}

static void cut(struct vq_optim *o, bool codebooks)
{
    for (size_t i = 0; i < o->layout->n; i++) {
        const struct vq_param *p = &o->layout->at[i];
        for (size_t at = 0; at < p->size && p->is_codebook == codebooks; at += TILE)
            o->tiles[o->n_tiles++] = (struct vq_stretch){
                .param = p, .start = at, .size = p->size - at < TILE ? p->size - at : TILE};
    }
}

static bool make_tiles(struct vq_optim *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->layout->n; i++)
        n += (o->layout->at[i].size + TILE - 1) / TILE;
    o->tiles = vq_alloc(n, sizeof(*o->tiles));
    o->squares = vq_calloc(n, sizeof(*o->squares));
    if (!o->tiles || !o->squares)
        return false;
    cut(o, false);
    o->n_main = o->n_tiles;
    cut(o, true);
    return true;
}

static enum vq_status build(struct vq_optim *o, struct vq_err *err)
{
    size_t total;
    o->slots = vq_calloc(o->layout->n * o->kind->n_moments, sizeof(*o->slots));
    if (!o->slots || !make_tiles(o))
        return vq_nomem(err, "the optimiser's tables", o->layout->n, sizeof(*o->slots));
    if (!measure_slots(o) || !vq_add_ok(o->bytes, o->workspace, &total) ||
        !(o->memory = vq_alloc_aligned(total)))
        return vq_nomem(err, "the optimiser's moments", o->bytes, 1);
    memset(o->memory, 0, total);
    place_slots(o);
    return VQ_OK;
}

enum vq_status vq_optim_new(struct vq_optim **out, const struct vq_params *layout,
                            const struct vq_config *c, struct vq_err *err)
{
    struct vq_optim start = {.layout = layout,
                             .kernels = vq_step_default(),
                             .lr_max = c->lr_max,
                             .grad_clip = c->grad_clip,
                             .wd_lam = c->wd_lam};
    *out = NULL;
    enum vq_status st = find_kind(&start.kind, c->optimizer, err);
    if (!st)
        st =
            vq_schedule_init(&start.schedule, c->lr_schedule, c->n_warmup_step, c->n_max_step, err);
    if (st)
        return st;
    struct vq_optim *o = vq_alloc(1, sizeof(*o));
    if (!o)
        return vq_nomem(err, "optimiser", 1, sizeof(*o));
    *o = start;
    st = build(o, err);
    if (st) {
        vq_optim_free(o);
        return st;
    }
    *out = o;
    return VQ_OK;
}

void vq_optim_free(struct vq_optim *o)
{
    if (!o)
        return;
    free(o->slots);
    free(o->memory);
    free(o->tiles);
    free(o->squares);
    free(o);
}

uint64_t vq_optim_bytes(const struct vq_optim *o)
{
    return o->bytes + o->workspace;
}

int64_t vq_optim_count(const struct vq_optim *o)
{
    return o->schedule_count;
}

static void square_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_step_job *job = ud;
    const struct vq_stretch *t = &job->o->tiles[task];
    job->o->squares[task] =
        job->o->kernels->sum_squares(job->grads + t->param->offset + t->start, t->size);
}

static void codebook_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_step_job *job = ud;
    const struct vq_stretch *t = &job->o->tiles[job->o->n_main + task];
    size_t at = t->param->offset + t->start;
    job->o->kernels->sgd(job->params + at, job->grads + at, t->size);
}

/* Sum of squares of the main group. Squares of floats cannot overflow a double, so a sum that is
 * not finite has met a gradient that was not. */
static enum vq_status measure_grads(struct vq_step_job *job, double *sum, struct vq_err *err)
{
    const struct vq_optim *o = job->o;
    const struct vq_param *bad = NULL;
    vq_pool_run(job->pool, o->n_tiles, square_task, job);
    *sum = 0.0;
    for (size_t i = 0; i < o->n_tiles; i++) {
        if (!isfinite(o->squares[i]) && (!bad || o->tiles[i].param < bad))
            bad = o->tiles[i].param;
        if (i < o->n_main)
            *sum += o->squares[i];
    }
    if (bad)
        return vq_fail(err, VQ_ENUM, "step %lld: the gradient of %s is not finite",
                       (long long)o->schedule_count, bad->name);
    return VQ_OK;
}

enum vq_status vq_optim_step(struct vq_optim *o, float *params, const float *grads,
                             struct vq_pool *pool, struct vq_optim_report *report,
                             struct vq_err *err)
{
    struct vq_step_job job = {.o = o, .params = params, .grads = grads, .pool = pool, .clip = 1.0f};
    struct vq_optim_report r;
    enum vq_status st = measure_grads(&job, &r.grad_norm, err);
    if (st)
        return st;
    r.grad_norm = sqrt(r.grad_norm);
    r.factor = vq_schedule_at(&o->schedule, o->schedule_count);
    r.rate = o->lr_max * r.factor;
    job.rate = (float)r.rate;
    if (o->grad_clip > 0.0 && r.grad_norm >= o->grad_clip)
        job.clip = (float)(o->grad_clip / r.grad_norm);
    o->kind->step(&job);
    vq_pool_run(pool, o->n_tiles - o->n_main, codebook_task, &job);
    o->count = vq_optim_next(o->count);
    o->schedule_count = vq_optim_next(o->schedule_count);
    if (report)
        *report = r;
    return VQ_OK;
}
