#include "core/bench/random.h"

#include <math.h>
#include <string.h>

void vq_random_fill(float *x, size_t n, float bound, uint32_t *state)
{
    uint32_t s = *state;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)s * 0x1p-31f * bound;
    }
    *state = s;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

static enum vq_status read_random(const void *ud, const struct vq_param_spec *p, float *dst,
                                  struct vq_err *err)
{
    (void)ud;
    (void)err;
    size_t n = 1, columns = p->rank ? (size_t)p->shape[p->rank - 1] : 1;
    uint32_t state = 1;
    for (int i = 0; i < p->rank; i++)
        n *= (size_t)p->shape[i];
    for (const char *c = p->name; *c; c++)
        state = (state ^ (unsigned char)*c) * 16777619u;
    if (ends_with(p->name, "/embs"))
        vq_random_fill(dst, n, sqrtf(3.0f), &state);
    else if (ends_with(p->name, "/kernel") || ends_with(p->name, "/c_sum"))
        vq_random_fill(dst, n, sqrtf(3.0f * (float)columns / (float)n), &state);
    else
        for (size_t i = 0; i < n; i++)
            dst[i] = ends_with(p->name, "/c_count") || ends_with(p->name, "ln/g") ? 1.0f : 0.0f;
    return VQ_OK;
}

enum vq_status vq_random_model(struct vq_model **out, const struct vq_settings *s,
                               struct vq_err *err)
{
    const struct vq_model_source source = {.read = read_random};
    return vq_model_from(out, s, &source, err);
}
