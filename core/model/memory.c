#include "core/model/memory.h"

#include "core/base/arena.h"
#include "core/model/engine_private.h"
#include "core/model/session.h"

/* The pieces that engine.c asks for, in its order; small vectors come from the heap. */
static uint64_t weights_bytes(const struct vq_engine *e)
{
    struct vq_arena_plan plan = {.step = VQ_ENGINE_STEP};
    enum vq_weight_format rel = vq_engine_rel_format(e->weights);
    uint64_t vectors =
        e->N * e->D + e->N + 2 * e->D + e->modules * (2 * e->D + 2 * e->H * e->K + e->H * e->S);
    vq_arena_plan_add(&plan, vq_weight_size(e->weights, e->D, e->N));
    for (size_t i = 0; i < e->modules; i++) {
        vq_arena_plan_add(&plan, vq_weight_size(e->weights, e->D, vq_proj_width(e)));
        vq_arena_plan_add(&plan, vq_weight_size(e->weights, e->H * e->V, e->D));
        for (size_t h = 0; h < e->H; h++)
            vq_arena_plan_add(&plan, vq_weight_size(VQ_WEIGHT_F32, e->K, e->S));
        for (size_t h = 0; h < e->H; h++)
            vq_arena_plan_add(&plan, vq_weight_size(rel, e->K, e->M + 1));
    }
    return vectors * sizeof(float) + vq_arena_plan_bytes(&plan);
}

struct vq_memory vq_memory_estimate(const struct vq_config *c, enum vq_weight_format weights,
                                    enum vq_weight_format state, int batch, struct vq_pool *pool)
{
    struct vq_engine e = {.weights = weights, .state = state, .pool = pool};
    vq_engine_set_sizes(&e, c);
    struct vq_memory m = {.weights = weights_bytes(&e),
                          .state = vq_session_size(&e, 1),
                          .constant = VQ_MEMORY_CONSTANT};
    if (batch > 1)
        m.state += vq_session_size(&e, batch);
    return m;
}

uint64_t vq_memory_peak(const struct vq_memory *m)
{
    return m->weights + m->state + m->constant;
}
