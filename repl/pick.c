#include "repl/pick.h"

#include <stdlib.h>

#include "core/base/mem.h"

enum sh_rc sh_heads_pick(struct sh *sh, const struct sh_args *a, const struct sh_model *m,
                         struct sh_heads *out)
{
    const struct vq_config *c = vq_model_config(m->model);
    const struct sh_value *given = sh_arg_count(a) ? sh_arg_value(a, 0) : NULL;
    size_t modules = vq_config_modules(c), H = (size_t)c->n_head;
    size_t n = given ? given->n_mod : modules;
    *out = (struct sh_heads){.v = vq_alloc(n * H, sizeof(*out->v))};
    if (!out->v)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct sh_mod one = given ? given->mods[i] : (struct sh_mod){(int)i, -1};
        if (one.head >= 0) {
            out->v[out->n++] = one;
            continue;
        }
        for (size_t h = 0; h < H; h++)
            out->v[out->n++] = (struct sh_mod){one.module, (int)h};
    }
    return SH_OK;
}

void sh_heads_release(struct sh_heads *h)
{
    free(h->v);
    *h = (struct sh_heads){0};
}

enum vq_status sh_codebook_read(const struct sh_model *m, int module, struct sh_codebook *c,
                                struct vq_err *err)
{
    const struct vq_config *cfg = vq_model_config(m->model);
    if (c->C && c->module == module)
        return VQ_OK;
    c->H = (size_t)cfg->n_head;
    c->S = (size_t)cfg->n_code;
    c->K = (size_t)cfg->d_k;
    if (!c->C)
        c->C = vq_alloc_f32(c->H * c->S * c->K);
    if (!c->count)
        c->count = vq_alloc_f32(c->H * c->S);
    if (!c->C || !c->count)
        return vq_nomem(err, "codebook", c->H * c->S * c->K, sizeof(float));
    c->module = module;
    enum vq_status status = vq_model_codebook(m->model, module, c->C, err);
    if (status == VQ_OK)
        status = vq_model_read(m->model, module, "quantizer/c_count", c->count, err);
    if (status != VQ_OK)
        sh_codebook_release(c);
    return status;
}

void sh_codebook_release(struct sh_codebook *c)
{
    free(c->C);
    free(c->count);
    *c = (struct sh_codebook){0};
}
