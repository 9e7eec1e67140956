#include "repl/pick.h"

#include <stdlib.h>

#include "core/base/mem.h"

/* Every entry with its heads named; all modules for none. */
static enum sh_rc expand(struct sh *sh, const struct sh_model *m, const struct sh_mod *mods,
                         size_t n, struct sh_heads *out)
{
    const struct vq_config *c = vq_model_config(m->model);
    size_t H = (size_t)c->n_head;
    n = mods ? n : vq_config_modules(c);
    *out = (struct sh_heads){.v = vq_alloc(n * H, sizeof(*out->v))};
    if (!out->v)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct sh_mod one = mods ? mods[i] : (struct sh_mod){(int)i, -1};
        if (one.head >= 0) {
            out->v[out->n++] = one;
            continue;
        }
        for (size_t h = 0; h < H; h++)
            out->v[out->n++] = (struct sh_mod){one.module, (int)h};
    }
    return SH_OK;
}

enum sh_rc sh_heads_pick(struct sh *sh, const struct sh_args *a, const struct sh_model *m,
                         struct sh_heads *out)
{
    const struct sh_value *given = sh_arg_count(a) ? sh_arg_value(a, 0) : NULL;
    return expand(sh, m, given ? given->mods : NULL, given ? given->n_mod : 0, out);
}

enum sh_rc sh_heads_option(struct sh *sh, const struct sh_args *a, const char *option,
                           const struct sh_model *m, struct sh_heads *out)
{
    const struct sh_value *given = sh_opt_value(a, option);
    return expand(sh, m, given ? given->mods : NULL, given ? given->n_mod : 0, out);
}

enum sh_rc sh_heads_parse(struct sh *sh, const struct sh_model *m, const char *text, int word,
                          struct sh_heads *out)
{
    const struct vq_config *c = vq_model_config(m->model);
    struct vq_err err = {0};
    struct sh_mod *mods;
    size_t n, bad;
    *out = (struct sh_heads){0};
    enum vq_status status =
        sh_modlist_parse(text, (int)c->n_layer, (int)c->n_head, &mods, &n, &bad, &err);
    if (status == VQ_ENOMEM)
        return sh_fail(sh, &err);
    if (status != VQ_OK)
        return sh_bad_arg_at(sh, word, bad, "%s", err.msg);
    enum sh_rc rc = expand(sh, m, mods, n, out);
    free(mods);
    return rc;
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
