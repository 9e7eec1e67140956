/*
 * model: opening a checkpoint as a model, and reading its parameters. What is checked and inferred
 * is in model_shapes.c, where settings come from in model_config.c.
 */
#include "core/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/model_private.h"

#define COUNT_FLOOR 0.01f /* below it a code's count no longer scales its vector */

enum vq_status vq_model_open(struct vq_model **out, const char *path,
                             const struct vq_model_options *options, struct vq_err *err)
{
    *out = NULL;
    struct vq_model *m = vq_calloc(1, sizeof(*m));
    if (!m)
        return vq_nomem(err, "a model", 1, sizeof(*m));
    vq_settings_default(&m->settings);
    enum vq_status st = vq_ckpt_open(&m->ckpt, path, err);
    if (st)
        goto fail;
    st = vq_model_infer(m, err);
    if (!st)
        st = vq_model_check(m, err);
    if (st) {
        vq_err_prefix(err, "%s", vq_ckpt_path(m->ckpt));
        goto fail;
    }
    st = vq_model_configure(m, options, err);
    if (st)
        goto fail;
    *out = m;
    return VQ_OK;

fail:
    vq_model_free(m);
    return st;
}

static uint64_t elements(const struct vq_param_spec *p)
{
    uint64_t n = 1;
    for (int i = 0; i < p->rank; i++)
        n *= (uint64_t)p->shape[i];
    return n;
}

enum vq_status vq_model_from(struct vq_model **out, const struct vq_settings *settings,
                             const struct vq_model_source *source, struct vq_err *err)
{
    *out = NULL;
    enum vq_status st = vq_config_check(&settings->v, err);
    if (st)
        return st;
    struct vq_model *m = vq_calloc(1, sizeof(*m));
    if (!m)
        return vq_nomem(err, "a model", 1, sizeof(*m));
    m->settings = *settings;
    m->source = *source;
    st = vq_model_specs(&settings->v, &m->specs, &m->n_spec, err);
    for (size_t i = 0; !st && i < m->n_spec; i++)
        m->params += elements(&m->specs[i]);
    if (st)
        vq_model_free(m);
    else
        *out = m;
    return st;
}

void vq_model_free(struct vq_model *m)
{
    if (!m)
        return;
    vq_vocab_free(m->vocab);
    vq_ckpt_free(m->ckpt);
    vq_text_release(&m->note);
    free(m->config_path);
    free(m->specs);
    free(m);
}

const struct vq_ckpt *vq_model_ckpt(const struct vq_model *m)
{
    return m->ckpt;
}

const struct vq_settings *vq_model_settings(const struct vq_model *m)
{
    return &m->settings;
}

const struct vq_config *vq_model_config(const struct vq_model *m)
{
    return &m->settings.v;
}

const struct vq_vocab *vq_model_vocab(const struct vq_model *m)
{
    return m->vocab;
}

uint64_t vq_model_params(const struct vq_model *m)
{
    return m->params;
}

const char *vq_model_note(const struct vq_model *m)
{
    return m->note.data ? m->note.data : "";
}

const char *vq_model_config_path(const struct vq_model *m)
{
    return m->config_path ? m->config_path : "";
}

const struct vq_tensor *vq_model_tensor(const struct vq_model *m, int module, const char *leaf)
{
    char name[128];
    vq_model_param_name(name, sizeof(name), module, leaf);
    return m->ckpt ? vq_ckpt_find(m->ckpt, name) : NULL;
}

bool vq_model_is_int8(const struct vq_model *m)
{
    for (size_t i = 0; m->ckpt && i < vq_ckpt_count(m->ckpt); i++)
        if (vq_ckpt_at(m->ckpt, i)->scale)
            return true;
    return false;
}

enum vq_status vq_model_read(const struct vq_model *m, int module, const char *leaf, float *dst,
                             struct vq_err *err)
{
    char name[128];
    vq_model_param_name(name, sizeof(name), module, leaf);
    const struct vq_tensor *t = m->ckpt ? vq_ckpt_find(m->ckpt, name) : NULL;
    for (size_t i = 0; i < m->n_spec; i++)
        if (!strcmp(m->specs[i].name, name))
            return m->source.read(m->source.ud, &m->specs[i], dst, err);
    if (!t)
        return vq_fail(err, VQ_ENOTFOUND,
                       "tensor %s: expected a parameter of the model, found none", name);
    enum vq_status status = vq_tensor_read_f32(t, dst, err);
    vq_ckpt_forget(m->ckpt, t, 0, t->count);
    return status;
}

enum vq_status vq_model_codebook(const struct vq_model *m, int module, float *dst,
                                 struct vq_err *err)
{
    const struct vq_config *c = &m->settings.v;
    size_t codes = (size_t)c->n_head * (size_t)c->n_code, K = (size_t)c->d_k;
    float *count = vq_alloc(codes, sizeof(*count));
    if (!count)
        return vq_nomem(err, "the counts of a codebook", codes, sizeof(*count));
    enum vq_status st = vq_model_read(m, module, "quantizer/c_sum", dst, err);
    if (!st)
        st = vq_model_read(m, module, "quantizer/c_count", count, err);
    for (size_t i = 0; !st && i < codes; i++) {
        float n = count[i] > COUNT_FLOOR ? count[i] : COUNT_FLOOR;
        for (size_t k = 0; k < K; k++)
            dst[i * K + k] /= n;
    }
    free(count);
    return st;
}
