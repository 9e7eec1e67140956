/*
 * A session's state as a safetensors file of constant size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/ckpt/ckpt.h"
#include "core/model/session_private.h"

/* The metadata key of a state whose aggregate was edited (session_edit.h): its counts add up to
 * less than the positions behind the window. */
#define EDITED "edited"

/* The state gathered into whole arrays. */
struct arrays {
    enum vq_weight_format format; /* of xl_v */
    int32_t *xl_z;                /* [modules, B H, M] */
    unsigned char *xl_v;          /* [modules, B H, M, V] */
    float *scale;                 /* [modules, B H, M, strips], of int8 */
    int64_t *lower;               /* [modules, B H, S] */
    float *upper;                 /* [modules, B H, S, V] */
    size_t rows, strips;          /* modules * B * H; of one row of values */
};

static void release(struct arrays *a)
{
    free(a->xl_z);
    free(a->xl_v);
    free(a->scale);
    free(a->lower);
    free(a->upper);
}

static enum vq_status reserve(struct arrays *a, const struct vq_session *s,
                              enum vq_weight_format format, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    *a = (struct arrays){
        .format = format, .rows = e->modules * s->B * e->H, .strips = s->module->value.strips};
    a->xl_z = vq_alloc(a->rows * e->M, sizeof(*a->xl_z));
    a->xl_v = vq_calloc(a->rows * e->M * e->V, vq_row_size(format));
    a->scale = vq_alloc_f32(a->rows * e->M * a->strips);
    a->lower = vq_alloc(a->rows * e->S, sizeof(*a->lower));
    a->upper = vq_alloc_f32(a->rows * e->S * e->V);
    if (a->xl_z && a->xl_v && a->scale && a->lower && a->upper)
        return VQ_OK;
    release(a);
    return vq_nomem(err, "state", a->rows * (e->M + e->S), e->V * sizeof(float));
}

static void gather(struct arrays *a, const struct vq_session *s)
{
    const struct vq_engine *e = s->e;
    size_t bhs = s->B * e->H, M = e->M, V = e->V, S = e->S, empty = M - s->len;
    for (size_t r = 0; r < a->rows; r++) {
        const struct vq_module_state *m = &s->module[r / bhs];
        size_t bh = r % bhs, from = bh * s->cap + s->start;
        for (size_t j = 0; j < empty; j++)
            a->xl_z[r * M + j] = (int32_t)S;
        memcpy(a->xl_z + r * M + empty, m->code + from, s->len * sizeof(int32_t));
        for (size_t t = 0; t < s->len; t++) {
            size_t at = r * M + empty + t;
            vq_values_get_raw(&m->value, bh, s->start + t,
                              a->xl_v + at * V * vq_row_size(a->format), a->scale + at * a->strips);
        }
        memcpy(a->lower + r * S, m->count + bh * S, S * sizeof(int64_t));
        for (size_t c = 0; c < S; c++)
            vq_means_get(&m->mean, bh, (int32_t)c, a->upper + (r * S + c) * V);
    }
}

static void scatter(const struct arrays *a, struct vq_session *s, size_t len)
{
    const struct vq_engine *e = s->e;
    size_t bhs = s->B * e->H, M = e->M, V = e->V, S = e->S, empty = M - len;
    s->start = 0;
    s->len = len;
    for (size_t r = 0; r < a->rows; r++) {
        struct vq_module_state *m = &s->module[r / bhs];
        size_t bh = r % bhs;
        memcpy(m->code + bh * s->cap, a->xl_z + r * M + empty, len * sizeof(int32_t));
        for (size_t t = 0; t < len; t++) {
            size_t at = r * M + empty + t;
            vq_values_set_raw(&m->value, bh, t, a->format,
                              a->xl_v + at * V * vq_row_size(a->format), a->scale + at * a->strips);
        }
        memcpy(m->count + bh * S, a->lower + r * S, S * sizeof(int64_t));
        for (int32_t c = 0; c < (int32_t)S; c++) {
            size_t at = bh * S + (size_t)c;
            m->log_count[at] = vq_log_count(m->count[at]);
            if (m->count[at] == 0)
                continue;
            vq_means_admit(&m->mean, bh, &c, 1);
            vq_means_set(&m->mean, bh, c, a->upper + (r * S + (size_t)c) * V);
        }
    }
}

/* The tensors of a state file, in this order; the last two are not in every one. */
enum { XL_Z, XL_V, LOWER, UPPER, POS, SCALE, LOGITS, N_TENSOR };

static const enum vq_dtype dtypes[] = {
    [VQ_WEIGHT_F32] = VQ_F32, [VQ_WEIGHT_BF16] = VQ_BF16, [VQ_WEIGHT_INT8] = VQ_I8};

static void describe(struct vq_tensor_out *t, const struct vq_session *s, const struct arrays *a)
{
    const struct vq_engine *e = s->e;
    int64_t layers = e->config.n_layer, B = (int64_t)s->B, H = (int64_t)e->H, M = (int64_t)e->M,
            S = (int64_t)e->S, V = (int64_t)e->V, N = (int64_t)e->N, strips = (int64_t)a->strips;
    t[XL_Z] = (struct vq_tensor_out){"xl_z", VQ_I32, 5, {layers, 2, B, H, M}, a->xl_z, NULL};
    t[XL_V] = (struct vq_tensor_out){"xl_v", dtypes[a->format], 6, {layers, 2, B, H, M, V}, a->xl_v,
                                     NULL};
    t[LOWER] = (struct vq_tensor_out){"agg_lower", VQ_I64, 5, {layers, 2, B, H, S}, a->lower, NULL};
    t[UPPER] = (struct vq_tensor_out){"agg_upper_div_lower",   VQ_F32,   6,
                                      {layers, 2, B, H, S, V}, a->upper, NULL};
    t[POS] = (struct vq_tensor_out){"pos_offset", VQ_I64, 0, {0}, &s->position, NULL};
    t[SCALE] = (struct vq_tensor_out){"xl_v_scale", VQ_F32, 6, {layers, 2, B, H, M, strips},
                                      a->scale,     NULL};
    t[LOGITS] = (struct vq_tensor_out){"logits", VQ_F32, 2, {B, N}, s->last_logits, NULL};
}

enum vq_status vq_session_save(const struct vq_session *s, const char *path, const char *sha256,
                               const struct vq_state_tokens *tokens, uint64_t *bytes,
                               struct vq_err *err)
{
    struct arrays a;
    enum vq_status status = reserve(&a, s, s->e->state, err);
    if (status != VQ_OK)
        return status;
    gather(&a, s);
    struct vq_tensor_out t[N_TENSOR + 1];
    describe(t, s, &a);
    size_t n = SCALE;
    if (a.format == VQ_WEIGHT_INT8)
        n++;
    if (s->has_logits)
        t[n++] = t[LOGITS];
    if (tokens)
        t[n++] = (struct vq_tensor_out){
            VQ_STATE_TOKENS, VQ_I32, 2, {(int64_t)s->B, (int64_t)tokens->n}, tokens->ids, NULL};
    const struct vq_meta meta[] = {
        {"format", "vqsh-state"}, {"model_sha256", sha256}, {EDITED, "true"}};
    status = vq_safetensors_write(path, t, n, meta, s->edited ? 3 : 2, bytes, err);
    release(&a);
    return status;
}

/* The tensor of t's name when it has t's shape and dtype. */
static enum vq_status find(const struct vq_ckpt *c, const struct vq_tensor_out *t,
                           const struct vq_tensor **out, struct vq_err *err)
{
    const struct vq_tensor *found = vq_ckpt_find(c, t->name);
    if (!found)
        return vq_fail(err, VQ_EFORMAT, "not a state file: tensor %s is missing", t->name);
    bool same = found->dtype == t->dtype && found->rank == t->rank && found->data;
    for (int i = 0; same && i < t->rank; i++)
        same = found->shape[i] == t->shape[i];
    if (!same) {
        char want[128], have[128];
        struct vq_tensor expected = {.rank = t->rank};
        memcpy(expected.shape, t->shape, sizeof(expected.shape));
        return vq_fail(err, VQ_ESHAPE,
                       "state tensor %s: this model and batch need %s %s, found %s %s", t->name,
                       vq_dtype_name(t->dtype), vq_tensor_shape(&expected, want, sizeof(want)),
                       vq_dtype_name(found->dtype), vq_tensor_shape(found, have, sizeof(have)));
    }
    *out = found;
    return VQ_OK;
}

/* Codes and counts index memory and enter logarithms: they are checked before anything is kept. */
static enum vq_status check(const struct arrays *a, const struct vq_session *s, int64_t position,
                            size_t len, struct vq_err *err)
{
    const struct vq_engine *e = s->e;
    for (size_t r = 0; r < a->rows; r++) {
        for (size_t j = 0; j < e->M; j++) {
            int32_t z = a->xl_z[r * e->M + j];
            bool filled = j >= e->M - len;
            if (z < 0 || (filled ? (size_t)z >= e->S : (size_t)z != e->S))
                return vq_fail(err, VQ_EFORMAT, "state tensor xl_z: slot %zu holds %d; expected %s",
                               j, (int)z, filled ? "a code" : "n_code, for an unfilled slot");
        }
        int64_t left = position - (int64_t)len;
        for (size_t c = 0; c < e->S; c++) {
            int64_t count = a->lower[r * e->S + c];
            if (count < 0 || count > left)
                return vq_fail(err, VQ_EFORMAT,
                               "state tensor agg_lower: the counts do not add up "
                               "to the positions behind the window");
            left -= count;
        }
        if (left != 0 && !s->edited)
            return vq_fail(err, VQ_EFORMAT,
                           "state tensor agg_lower: the counts do not add up to "
                           "the positions behind the window");
    }
    return VQ_OK;
}

static enum vq_status same_model(const struct vq_ckpt *c, const char *sha256, struct vq_err *err)
{
    const char *format = vq_ckpt_meta(c, "format"), *hash = vq_ckpt_meta(c, "model_sha256");
    if (!format || strcmp(format, "vqsh-state") != 0)
        return vq_fail(err, VQ_EFORMAT,
                       "not a state file (metadata \"format\" is %s, expected "
                       "vqsh-state)",
                       format ? format : "absent");
    if (hash && *hash && sha256 && *sha256 && strcmp(hash, sha256) != 0)
        return vq_fail(err, VQ_EINVAL,
                       "the state belongs to another model (sha256 %.12s..., this "
                       "one is %.12s...)",
                       hash, sha256);
    return VQ_OK;
}

static enum vq_status read_arrays(const struct vq_ckpt *c, struct arrays *a, struct vq_session *s,
                                  int64_t *position, const struct vq_tensor **logits,
                                  struct vq_err *err)
{
    struct vq_tensor_out want[N_TENSOR];
    const struct vq_tensor *t[N_TENSOR] = {0};
    void *into[LOGITS] = {a->xl_z, a->xl_v, a->lower, a->upper, position, a->scale};
    describe(want, s, a);
    for (int i = 0; i < N_TENSOR; i++) {
        if ((i == LOGITS && !vq_ckpt_find(c, want[i].name)) ||
            (i == SCALE && a->format != VQ_WEIGHT_INT8))
            continue;
        enum vq_status status = find(c, &want[i], &t[i], err);
        if (status != VQ_OK)
            return status;
    }
    for (int i = 0; i < LOGITS; i++) {
        if (t[i])
            vq_tensor_read_raw(t[i], into[i]);
    }
    *logits = t[LOGITS];
    if (*position < 0)
        return vq_fail(err, VQ_EFORMAT, "state tensor pos_offset: found %lld",
                       (long long)*position);
    return VQ_OK;
}

/* The format of the file's values, whatever the session's is. */
static enum vq_weight_format format_of(const struct vq_ckpt *c)
{
    const struct vq_tensor *t = vq_ckpt_find(c, "xl_v");
    enum vq_weight_format f = VQ_WEIGHT_INT8;
    while (f != VQ_WEIGHT_F32 && !(t && t->dtype == dtypes[f]))
        f--;
    return f;
}

/* Fills s, which is new, from the file. */
static enum vq_status load_into(struct vq_session *s, const struct vq_ckpt *c, struct vq_err *err)
{
    struct arrays a;
    int64_t position = 0;
    const struct vq_tensor *logits = NULL;
    enum vq_status status = reserve(&a, s, format_of(c), err);
    if (status != VQ_OK)
        return status;
    status = read_arrays(c, &a, s, &position, &logits, err);
    s->edited = vq_ckpt_meta(c, EDITED) != NULL;
    size_t M = s->e->M, len = position < (int64_t)M ? (size_t)position : M;
    if (status == VQ_OK)
        status = check(&a, s, position, len, err);
    if (status == VQ_OK) {
        scatter(&a, s, len);
        s->position = position;
        s->has_logits = logits != NULL;
        if (logits)
            vq_tensor_read_raw(logits, s->last_logits);
    }
    release(&a);
    return status;
}

/* The batch that the file was saved with. */
static enum vq_status batch_of(const struct vq_ckpt *c, int *batch, struct vq_err *err)
{
    const struct vq_tensor *t = vq_ckpt_find(c, "xl_z");
    if (!t || t->rank != 5 || t->shape[2] < 1 || t->shape[2] > 65536)
        return vq_fail(err, VQ_EFORMAT, "not a state file: tensor xl_z is missing or misshapen");
    *batch = (int)t->shape[2];
    return VQ_OK;
}

enum vq_status vq_session_load(struct vq_session **out, const struct vq_engine *e, const char *path,
                               const char *sha256, struct vq_err *err)
{
    struct vq_ckpt *c;
    struct vq_session *s = NULL;
    int batch = 1;
    *out = NULL;
    enum vq_status status = vq_ckpt_open(&c, path, err);
    if (status != VQ_OK)
        return status;
    if ((status = same_model(c, sha256, err)) == VQ_OK &&
        (status = batch_of(c, &batch, err)) == VQ_OK &&
        (status = vq_session_new(&s, e, batch, err)) == VQ_OK)
        status = load_into(s, c, err);
    if (status == VQ_OK) {
        *out = s;
    } else {
        vq_err_prefix(err, "%s", path);
        vq_session_free(s);
    }
    vq_ckpt_free(c);
    return status;
}
