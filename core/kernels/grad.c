#include "core/kernels/grad.h"

#include <string.h>

#include "core/kernels/grad_sets.h"

static const struct vq_grad_vec *const sets[] = {
    &vq_grad_portable,
#if defined(__x86_64__)
    &vq_grad_avx2,
    &vq_grad_avx512,
#endif
};

const struct vq_grad_vec *vq_grad_vec_for(const struct vq_vec *v)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if (!strcmp(sets[i]->name, v->name))
            return sets[i];
    return sets[0];
}
