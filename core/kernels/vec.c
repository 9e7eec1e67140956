/*
 * vec: which set of row kernels runs on this processor. The bodies are in vec_body.h.
 */
#include "core/kernels/vec.h"

#include <stdbool.h>
#include <string.h>

#include "core/kernels/vec_sets.h"

/* Slowest first. */
static const struct vq_vec *const sets[] = {
    &vq_vec_portable,
#if defined(__x86_64__)
    &vq_vec_avx2,
    &vq_vec_avx512,
#endif
};

#define N_SETS (sizeof(sets) / sizeof(sets[0]))

static bool supported(const struct vq_vec *v)
{
#if defined(__x86_64__)
    if (v == &vq_vec_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (v == &vq_vec_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return v == &vq_vec_portable;
}

const struct vq_vec *vq_vec_default(void)
{
    size_t i = N_SETS;
    while (!supported(sets[i - 1]))
        i--;
    return sets[i - 1];
}

const struct vq_vec *vq_vec_find(const char *name)
{
    for (size_t i = 0; i < N_SETS; i++) {
        if (!strcmp(sets[i]->name, name) && supported(sets[i]))
            return sets[i];
    }
    return NULL;
}
