/*
 * step: which set of optimiser passes runs on this processor: the one whose row kernels would. The
 * bodies are in step_body.h.
 */
#include "core/kernels/step.h"

#include <string.h>

#include "core/kernels/step_sets.h"
#include "core/kernels/vec.h"

static const struct vq_step *const sets[] = {
    &vq_step_portable,
#if defined(__x86_64__)
    &vq_step_avx2,
    &vq_step_avx512,
#endif
};

const struct vq_step *vq_step_find(const char *name)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if (!strcmp(sets[i]->name, name) && vq_vec_find(name))
            return sets[i];
    return NULL;
}

const struct vq_step *vq_step_default(void)
{
    const struct vq_step *s = vq_step_find(vq_vec_default()->name);
    return s ? s : &vq_step_portable;
}
