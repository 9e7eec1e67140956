#include "core/train/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rng.h"

#define LINE 16 /* floats of 64 bytes */

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* Places one tensor behind those before it; false when sizes overflow. */
static bool place(struct vq_params *p, const struct vq_param_spec *spec)
{
    struct vq_param *t = &p->at[p->n++];
    memcpy(t->name, spec->name, sizeof(t->name));
    t->rank = spec->rank;
    t->size = 1;
    for (int i = 0; i < spec->rank; i++) {
        t->shape[i] = spec->shape[i];
        if (!vq_mul_ok(t->size, (size_t)spec->shape[i], &t->size))
            return false;
    }
    t->is_codebook = strstr(t->name, "/quantizer/") != NULL;
    t->offset = p->floats;
    p->count += t->size;
    return vq_add_ok(p->floats, t->size, &p->floats) &&
           vq_add_ok(p->floats, (LINE - t->size % LINE) % LINE, &p->floats);
}

enum vq_status vq_params_new(struct vq_params **out, const struct vq_config *c, struct vq_err *err)
{
    struct vq_param_spec *specs;
    size_t n;
    *out = NULL;
    enum vq_status st = vq_model_specs(c, &specs, &n, err);
    if (st)
        return st;
    struct vq_params *p = vq_calloc(1, sizeof(*p));
    if (p)
        p->at = vq_calloc(n, sizeof(*p->at));
    bool ok = p && p->at;
    for (size_t i = 0; ok && i < n; i++)
        ok = place(p, &specs[i]);
    free(specs);
    if (!ok) {
        vq_params_free(p);
        return vq_nomem(err, "the layout of the parameters", n, sizeof(*p->at));
    }
    *out = p;
    return VQ_OK;
}

void vq_params_free(struct vq_params *p)
{
    if (!p)
        return;
    free(p->at);
    free(p);
}

const struct vq_param *vq_params_find(const struct vq_params *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->at[i].name, name))
            return &p->at[i];
    return NULL;
}

float *vq_params_block(const struct vq_params *p)
{
    return vq_alloc_f32(p->floats);
}

/* FNV-1a: a number for each name. */
static uint64_t stream_of(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static void fill(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

static void fill_normal(const struct vq_param *t, float *x, double std, uint64_t seed)
{
    struct vq_rng r;
    vq_rng_init(&r, seed, stream_of(t->name));
    for (size_t i = 0; i < t->size; i++)
        x[i] = (float)(std * vq_rng_normal(&r));
}

void vq_params_init(const struct vq_params *p, float *block, uint64_t seed)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct vq_param *t = &p->at[i];
        const char *leaf = last_part(t->name);
        float *x = block + t->offset;
        if (!strcmp(leaf, "embs"))
            fill_normal(t, x, 1.0, seed);
        else if (!strcmp(leaf, "kernel") || !strcmp(leaf, "c_sum"))
            fill_normal(t, x, sqrt((double)t->shape[t->rank - 1] / (double)t->size), seed);
        else if (!strcmp(leaf, "c_count") || ends_with(t->name, "ln/g"))
            fill(x, t->size, 1.0f);
        else
            fill(x, t->size, 0.0f);
    }
}

static enum vq_status load_one(const struct vq_param *t, float *x, const struct vq_ckpt *ckpt,
                               struct vq_err *err)
{
    char found[128], want[128];
    struct vq_tensor expected = {.rank = t->rank};
    memcpy(expected.shape, t->shape, sizeof(t->shape));
    vq_tensor_shape(&expected, want, sizeof(want));
    const struct vq_tensor *from = vq_ckpt_find(ckpt, t->name);
    if (!from)
        return vq_fail(err, VQ_EFORMAT, "tensor %s is missing: expected it with shape %s", t->name,
                       want);
    bool same = from->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = from->shape[i] == t->shape[i];
    if (!same)
        return vq_fail(err, VQ_ESHAPE, "tensor %s: expected shape %s, found %s", t->name, want,
                       vq_tensor_shape(from, found, sizeof(found)));
    if (from->scale)
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "tensor %s is int8, which training cannot go on from: train from the "
                       "checkpoint that it was made of, or save it with --weights f32 first",
                       t->name);
    return vq_tensor_read_f32(from, x, err);
}

enum vq_status vq_params_load(const struct vq_params *p, float *block, const struct vq_ckpt *ckpt,
                              struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    for (size_t i = 0; !st && i < p->n; i++)
        st = load_one(&p->at[i], block + p->at[i].offset, ckpt, err);
    return st;
}

const struct vq_param *vq_params_not_finite(const struct vq_params *p, const float *block)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t j = 0; j < p->at[i].size; j++)
            if (!isfinite(block[p->at[i].offset + j]))
                return &p->at[i];
    return NULL;
}
