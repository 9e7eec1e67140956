/*
 * model_shapes: which parameters a configuration calls for, the configuration that a checkpoint's
 * parameters imply, and the comparison of the two. Messages name the tensor, what was expected and
 * what was found.
 */
#include "core/model/model_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define LAYER       "transformer_layers_"
#define BRANCH_HINT "this is no Transformer-VQ of the branch that is read here"

enum { MODULE_PARAMS = 10, OTHER_PARAMS = 7 };

void vq_model_param_name(char *buf, size_t len, int module, const char *leaf)
{
    if (module < 0)
        snprintf(buf, len, "%s", leaf);
    else
        snprintf(buf, len, LAYER "%d/scanned_attn%d/%s", module / 2, module % 2 + 1, leaf);
}

static void add(struct vq_param_spec *specs, size_t *n, int module, const char *leaf, int rank,
                int64_t a, int64_t b, int64_t c)
{
    struct vq_param_spec *p = &specs[(*n)++];
    vq_model_param_name(p->name, sizeof(p->name), module, leaf);
    p->rank = rank;
    p->shape[0] = a;
    p->shape[1] = b;
    p->shape[2] = c;
}

static void add_module(struct vq_param_spec *specs, size_t *n, int m, const struct vq_config *c)
{
    int64_t D = c->d_model, H = c->n_head, K = c->d_k, V = c->d_v, S = c->n_code;
    add(specs, n, m, "input_ln/b", 1, D, 0, 0);
    add(specs, n, m, "input_ln/g", 1, D, 0, 0);
    add(specs, n, m, "kvg_proj/kernel", 2, D, H * (K + 2 * V), 0);
    add(specs, n, m, "q_proj/kernel", 2, D, H * K, 0);
    add(specs, n, m, "quantizer/c_count", 2, H, S, 0);
    add(specs, n, m, "quantizer/c_sum", 3, H, S, K);
    add(specs, n, m, "r_proj/kernel", 2, D, H * K, 0);
    add(specs, n, m, "res_proj/kernel", 2, H * V, D, 0);
    add(specs, n, m, "u", 1, H * K, 0, 0);
    add(specs, n, m, "v", 1, H * K, 0, 0);
}

enum vq_status vq_model_specs(const struct vq_config *c, struct vq_param_spec **specs, size_t *n,
                              struct vq_err *err)
{
    *specs = NULL;
    *n = 0;
    size_t most = OTHER_PARAMS + MODULE_PARAMS * vq_config_modules(c);
    struct vq_param_spec *p = vq_calloc(most, sizeof(*p));
    if (!p)
        return vq_nomem(err, "the list of parameters", most, sizeof(*p));
    size_t k = 0;
    if (c->e_preln) {
        add(p, &k, -1, "out_ln/b", 1, c->d_model, 0, 0);
        add(p, &k, -1, "out_ln/g", 1, c->d_model, 0, 0);
    }
    if (!c->e_tie) {
        add(p, &k, -1, "out_proj/bias", 1, c->n_vocab, 0, 0);
        add(p, &k, -1, "out_proj/kernel", 2, c->d_model, c->n_vocab, 0);
    }
    if (c->pe_abs)
        add(p, &k, -1, "position_embedder/scale", 0, 0, 0, 0);
    add(p, &k, -1, "token_embedder/bias_out", 1, c->n_vocab, 0, 0);
    add(p, &k, -1, "token_embedder/embs", 2, c->n_vocab, c->d_model, 0);
    for (size_t m = 0; m < vq_config_modules(c); m++)
        add_module(p, &k, (int)m, c);
    *specs = p;
    *n = k;
    return VQ_OK;
}

static bool starts_with(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* The next parameter (no optimiser state) at or after *i; NULL at the end. */
static const struct vq_tensor *next_param(const struct vq_ckpt *c, size_t *i)
{
    for (; *i < vq_ckpt_count(c); ++*i)
        if (vq_ckpt_at(c, *i)->is_param)
            return vq_ckpt_at(c, (*i)++);
    return NULL;
}

static bool any_below(const struct vq_ckpt *c, const char *prefix)
{
    const struct vq_tensor *t;
    for (size_t i = 0; (t = next_param(c, &i));)
        if (starts_with(t->name, prefix))
            return true;
    return false;
}

/* A tensor that inference needs, of the given rank; `shape` says what for in the message. */
static enum vq_status need(const struct vq_ckpt *c, const char *name, int rank, const char *shape,
                           const struct vq_tensor **out, struct vq_err *err)
{
    char found[128];
    size_t i = 0;
    const struct vq_tensor *t = vq_ckpt_find(c, name), *first = next_param(c, &i);
    *out = t;
    if (!t)
        return vq_fail(
            err, VQ_EFORMAT,
            "tensor %s is missing: expected it with shape %s, found %s%.96s; " BRANCH_HINT, name,
            shape, first ? "for instance " : "no parameters at all", first ? first->name : "");
    if (t->rank != rank)
        return vq_fail(err, VQ_ESHAPE, "tensor %s: expected shape %s, found %s", name, shape,
                       vq_tensor_shape(t, found, sizeof(found)));
    return VQ_OK;
}

static enum vq_status set_fact(struct vq_model *m, const char *field, int64_t value,
                               struct vq_err *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, value);
    return vq_settings_set(&m->settings, field, text, VQ_FROM_SHAPES, err);
}

/* The index in "transformer_layers_<i>/...", or -1 when the name has another form. */
static int64_t layer_index(const char *name)
{
    if (!starts_with(name, LAYER))
        return -1;
    const char *digits = name + strlen(LAYER);
    size_t n = strspn(digits, "0123456789");
    if (!n || n > 9 || digits[n] != '/' || (digits[0] == '0' && n > 1))
        return -1;
    return strtol(digits, NULL, 10);
}

/* Layers come in rising order, so a jump is a hole. */
static enum vq_status infer_layers(struct vq_model *m, struct vq_err *err)
{
    const struct vq_tensor *t;
    int64_t layers = 0;
    for (size_t i = 0; (t = next_param(m->ckpt, &i));) {
        int64_t at = layer_index(t->name);
        if (at > layers)
            return vq_fail(err, VQ_EFORMAT,
                           "tensor " LAYER "%lld/scanned_attn1/input_ln/b is missing: expected "
                           "layers without a hole, found %.96s",
                           (long long)layers, t->name);
        if (at == layers)
            layers++;
    }
    return set_fact(m, "n_layer", layers, err);
}

/* d_v from the fused projection, whose columns are H (K + 2 V). */
static enum vq_status infer_values(struct vq_model *m, int64_t H, int64_t K, struct vq_err *err)
{
    const struct vq_tensor *kvg;
    char found[128];
    enum vq_status st = need(m->ckpt, LAYER "0/scanned_attn1/kvg_proj/kernel", 2,
                             "[d_model, n_head * (d_k + 2 * d_v)]", &kvg, err);
    if (st)
        return st;
    int64_t rest = kvg->shape[1] / H - K;
    if (kvg->shape[1] % H || rest < 2 || rest % 2)
        return vq_fail(err, VQ_ESHAPE,
                       "tensor %s: expected shape [d_model, n_head * (d_k + 2 * d_v)] with n_head "
                       "%lld and d_k %lld, found %s",
                       kvg->name, (long long)H, (long long)K,
                       vq_tensor_shape(kvg, found, sizeof(found)));
    return set_fact(m, "d_v", rest / 2, err);
}

enum vq_status vq_model_infer(struct vq_model *m, struct vq_err *err)
{
    const struct vq_tensor *embs, *c_sum;
    enum vq_status st = need(m->ckpt, "token_embedder/embs", 2, "[n_vocab, d_model]", &embs, err);
    if (!st)
        st = need(m->ckpt, LAYER "0/scanned_attn1/quantizer/c_sum", 3, "[n_head, n_code, d_k]",
                  &c_sum, err);
    if (st)
        return st;
    const struct {
        const char *field;
        int64_t value;
    } facts[] = {
        {"n_vocab", embs->shape[0]},
        {"d_model", embs->shape[1]},
        {"n_head", c_sum->shape[0]},
        {"n_code", c_sum->shape[1]},
        {"d_k", c_sum->shape[2]},
        {"pe_abs", any_below(m->ckpt, "position_embedder/")},
        {"e_tie", !any_below(m->ckpt, "out_proj/")},
        {"e_preln", any_below(m->ckpt, "out_ln/")},
    };
    for (size_t i = 0; !st && i < sizeof(facts) / sizeof(facts[0]); i++)
        st = set_fact(m, facts[i].field, facts[i].value, err);
    if (!st)
        st = infer_values(m, c_sum->shape[0], c_sum->shape[2], err);
    return st ? st : infer_layers(m, err);
}

static const char *spec_shape(const struct vq_param_spec *p, char *buf, size_t len)
{
    struct vq_tensor t = {.rank = p->rank};
    memcpy(t.shape, p->shape, sizeof(p->shape));
    return vq_tensor_shape(&t, buf, len);
}

static bool is_real(enum vq_dtype d)
{
    return d == VQ_F32 || d == VQ_BF16 || d == VQ_F16 || d == VQ_F64;
}

/* What may be int8 with scales. */
static bool is_kernel(const char *name)
{
    const char *last = strrchr(name, '/');
    return last && !strcmp(last, "/kernel");
}

static enum vq_status check_tensor(const struct vq_tensor *t, const struct vq_param_spec *p,
                                   struct vq_err *err)
{
    char want[128], found[128];
    bool same = t->rank == p->rank;
    for (int i = 0; same && i < p->rank; i++)
        same = t->shape[i] == p->shape[i];
    if (!same)
        return vq_fail(err, VQ_ESHAPE, "tensor %s: expected shape %s, found %s", p->name,
                       spec_shape(p, want, sizeof(want)), vq_tensor_shape(t, found, sizeof(found)));
    if (!is_real(t->dtype) && !(t->scale && is_kernel(p->name)))
        return vq_fail(err, VQ_ESHAPE,
                       "tensor %s: expected float32, bfloat16, float16 or float64, found %s",
                       p->name, vq_dtype_name(t->dtype));
    return vq_tensor_check_scales(t, err);
}

/* Both lists are in the checkpoint's order, so the first difference is a tensor missing here (the
 * checkpoint lacks the spec's name) or one too many there. */
static enum vq_status name_difference(const struct vq_ckpt *c, const struct vq_param_spec *p,
                                      const struct vq_tensor *t, struct vq_err *err)
{
    char want[128], found[128];
    if (p && !vq_ckpt_find(c, p->name))
        return vq_fail(
            err, VQ_EFORMAT,
            "tensor %s is missing: expected it with shape %s, found %s%.96s; " BRANCH_HINT, p->name,
            spec_shape(p, want, sizeof(want)), t ? "next " : "nothing more", t ? t->name : "");
    return vq_fail(err, VQ_EFORMAT,
                   "tensor %.96s %s is not expected: found beside a model with the shapes of the "
                   "other tensors; " BRANCH_HINT,
                   t->name, vq_tensor_shape(t, found, sizeof(found)));
}

static enum vq_status check_params(struct vq_model *m, const struct vq_param_spec *specs, size_t n,
                                   struct vq_err *err)
{
    size_t k = 0, i = 0;
    const struct vq_tensor *t;
    m->params = 0;
    while ((t = next_param(m->ckpt, &i)) || k < n) {
        const struct vq_param_spec *p = k < n ? &specs[k++] : NULL;
        if (!p || !t || strcmp(t->name, p->name))
            return name_difference(m->ckpt, p, t, err);
        enum vq_status st = check_tensor(t, p, err);
        if (st)
            return st;
        m->params += t->count;
    }
    return VQ_OK;
}

/* All elements finite, and at least `least`. */
static enum vq_status check_numbers(const struct vq_model *m, int module, const char *leaf,
                                    float least, struct vq_err *err)
{
    char name[96];
    vq_model_param_name(name, sizeof(name), module, leaf);
    const struct vq_tensor *t = vq_ckpt_find(m->ckpt, name);
    float *x = vq_alloc(t->count, sizeof(*x));
    if (!x)
        return vq_nomem(err, name, t->count, sizeof(*x));
    enum vq_status st = vq_tensor_read_f32(t, x, err);
    for (size_t i = 0; !st && i < t->count; i++)
        if (!isfinite(x[i]) || x[i] < least)
            st = vq_fail(err, VQ_ENUM, "tensor %s: expected finite numbers%s, found %g at %zu",
                         name, least == 0 ? " of at least 0" : "", (double)x[i], i);
    free(x);
    vq_ckpt_forget(m->ckpt, t, 0, t->count);
    return st;
}

enum vq_status vq_model_check(struct vq_model *m, struct vq_err *err)
{
    struct vq_param_spec *specs;
    size_t n;
    enum vq_status st = vq_model_specs(&m->settings.v, &specs, &n, err);
    if (!st)
        st = check_params(m, specs, n, err);
    free(specs);
    if (vq_model_is_int8(m))
        vq_ckpt_forget(m->ckpt, NULL, 0, 0); /* the scales */
    for (int i = 0; !st && i < (int)vq_config_modules(&m->settings.v); i++) {
        st = check_numbers(m, i, "quantizer/c_sum", -INFINITY, err);
        if (!st)
            st = check_numbers(m, i, "quantizer/c_count", 0, err);
    }
    return st;
}
