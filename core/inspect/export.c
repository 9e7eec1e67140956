/*
 * Each kind is one function that announces its shape and then puts its elements in order; a row of
 * the table below binds it to its name.
 */
#include "core/inspect/export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kernels/vec.h"

/* Above it f32 skips integers. */
#define F32_EXACT (INT64_C(1) << 24)

/* A file under way. */
struct sheet {
    const char *path;
    const struct vq_export_source *source;
    const struct vq_config *c;
    struct vq_export_result *result;
    struct vq_npy_writer *writer;
};

static enum vq_status sheet_open(struct sheet *x, enum vq_npy_type type, int rank,
                                 const size_t *shape, struct vq_err *err)
{
    *x->result = (struct vq_export_result){.type = type, .rank = rank};
    memcpy(x->result->shape, shape, (size_t)rank * sizeof(*shape));
    return vq_npy_writer_open(&x->writer, x->path, type, rank, shape, err);
}

static enum vq_status put(struct sheet *x, const void *data, size_t count, struct vq_err *err)
{
    return vq_npy_writer_put(x->writer, data, count, err);
}

static enum vq_status poll(const struct sheet *x, struct vq_err *err)
{
    return vq_cancelled(x->source->cancel)
               ? vq_fail(err, VQ_ECANCELLED, "cancelled; no file written")
               : VQ_OK;
}

/* Calls fn for each module and sequence of the session, in the order of [n_layer, 2, B, ...]; views
 * have values and means if there is room for them. */
typedef enum vq_status (*view_fn)(struct sheet *x, int module, int b,
                                  const struct vq_cache_view *view, float *work,
                                  struct vq_err *err);

static enum vq_status each_view(struct sheet *x, view_fn fn, float *work, float *room,
                                struct vq_err *err)
{
    const struct vq_session *s = x->source->session;
    int modules = (int)vq_config_modules(x->c), batch = vq_session_batch(s);
    for (int module = 0; module < modules; module++)
        for (int b = 0; b < batch; b++) {
            struct vq_cache_view view;
            enum vq_status rc = poll(x, err);
            if (rc)
                return rc;
            vq_session_cache(s, module, b, room, &view);
            rc = fn(x, module, b, &view, work, err);
            if (rc)
                return rc;
        }
    return VQ_OK;
}

/* Opens [n_layer, 2, B, H, a] or, for values, with b > 0, [n_layer, 2, B, H, a, b]; then as
 * each_view. */
static enum vq_status write_views(struct sheet *x, enum vq_npy_type type, int64_t a, int64_t b,
                                  view_fn fn, float *work, struct vq_err *err)
{
    const struct vq_config *c = x->c;
    size_t shape[6] = {(size_t)c->n_layer, 2,         (size_t)vq_session_batch(x->source->session),
                       (size_t)c->n_head,  (size_t)a, (size_t)b};
    enum vq_status rc = sheet_open(x, type, b > 0 ? 6 : 5, shape, err);
    size_t n = b > 0 ? vq_session_cache_floats(x->source->session) : 0;
    float *room = n ? vq_alloc_f32(n) : NULL;
    if (!rc && n && !room)
        rc = vq_nomem(err, "values of a module", n, sizeof(*room));
    if (!rc)
        rc = each_view(x, fn, work, room, err);
    free(room);
    return rc;
}

/* ---- codebook ---- */

static enum vq_status write_codebook(struct sheet *x, struct vq_err *err)
{
    const struct vq_config *c = x->c;
    size_t shape[5] = {(size_t)c->n_layer, 2, (size_t)c->n_head, (size_t)c->n_code, (size_t)c->d_k};
    size_t n = shape[2] * shape[3] * shape[4];
    enum vq_status rc = sheet_open(x, VQ_NPY_F32, 5, shape, err);
    float *C = vq_alloc(n, sizeof(*C));
    if (!rc && !C)
        rc = vq_nomem(err, "a codebook", n, sizeof(*C));
    for (size_t m = 0; !rc && m < vq_config_modules(c); m++) {
        rc = poll(x, err);
        if (!rc)
            rc = vq_model_codebook(x->source->model, (int)m, C, err);
        if (!rc)
            rc = put(x, C, n, err);
    }
    free(C);
    return rc;
}

/* ---- the cache ---- */

static enum vq_status find_large(struct sheet *x, int module, int b,
                                 const struct vq_cache_view *view, float *work, struct vq_err *err)
{
    (void)module, (void)b, (void)err;
    for (int64_t i = 0; i < x->c->n_head * x->c->n_code; i++)
        if (view->count[i] > F32_EXACT)
            *work = 1.0f;
    return VQ_OK;
}

static enum vq_status put_counts(struct sheet *x, int module, int b,
                                 const struct vq_cache_view *view, float *work, struct vq_err *err)
{
    (void)module, (void)b, (void)work;
    enum vq_status rc = VQ_OK;
    for (int64_t i = 0; !rc && i < x->c->n_head * x->c->n_code; i++) {
        float f32 = (float)view->count[i];
        double f64 = (double)view->count[i];
        rc = x->result->type == VQ_NPY_F64 ? put(x, &f64, 1, err) : put(x, &f32, 1, err);
    }
    return rc;
}

static enum vq_status write_lower(struct sheet *x, struct vq_err *err)
{
    float large = 0.0f;
    enum vq_status rc = each_view(x, find_large, &large, NULL, err);
    if (rc)
        return rc;
    return write_views(x, large > 0.0f ? VQ_NPY_F64 : VQ_NPY_F32, x->c->n_code, 0, put_counts, NULL,
                       err);
}

static enum vq_status put_means(struct sheet *x, int module, int b,
                                const struct vq_cache_view *view, float *work, struct vq_err *err)
{
    (void)module, (void)b, (void)work;
    return put(x, view->mean, (size_t)(x->c->n_head * x->c->n_code * x->c->d_v), err);
}

static enum vq_status write_upper(struct sheet *x, struct vq_err *err)
{
    return write_views(x, VQ_NPY_F32, x->c->n_code, x->c->d_v, put_means, NULL, err);
}

static enum vq_status put_window_codes(struct sheet *x, int module, int b,
                                       const struct vq_cache_view *view, float *work,
                                       struct vq_err *err)
{
    (void)module, (void)b, (void)work;
    int32_t none = (int32_t)x->c->n_code;
    enum vq_status rc = VQ_OK;
    for (int64_t h = 0; !rc && h < x->c->n_head; h++) {
        for (int64_t i = view->window; !rc && i < x->c->mem_len; i++)
            rc = put(x, &none, 1, err);
        if (!rc)
            rc = put(x, view->code + (size_t)h * view->code_stride, (size_t)view->window, err);
    }
    return rc;
}

static enum vq_status write_window(struct sheet *x, struct vq_err *err)
{
    return write_views(x, VQ_NPY_I32, x->c->mem_len, 0, put_window_codes, NULL, err);
}

/* `rows` rows of zeros for unfilled slots; zero holds one row. */
static enum vq_status put_zeros(struct sheet *x, const float *zero, int64_t rows, size_t width,
                                struct vq_err *err)
{
    enum vq_status rc = VQ_OK;
    for (int64_t i = 0; !rc && i < rows; i++)
        rc = put(x, zero, width, err);
    return rc;
}

static enum vq_status put_window_values(struct sheet *x, int module, int b,
                                        const struct vq_cache_view *view, float *zero,
                                        struct vq_err *err)
{
    (void)module, (void)b;
    size_t V = (size_t)x->c->d_v;
    enum vq_status rc = VQ_OK;
    for (int64_t h = 0; !rc && h < x->c->n_head; h++) {
        rc = put_zeros(x, zero, x->c->mem_len - view->window, V, err);
        if (!rc)
            rc =
                put(x, view->value + (size_t)h * view->value_stride, (size_t)view->window * V, err);
    }
    return rc;
}

static enum vq_status write_window_values(struct sheet *x, struct vq_err *err)
{
    float *zero = vq_calloc((size_t)x->c->d_v, sizeof(*zero));
    if (!zero)
        return vq_nomem(err, "a row of values", (size_t)x->c->d_v, sizeof(*zero));
    enum vq_status rc =
        write_views(x, VQ_NPY_F32, x->c->mem_len, x->c->d_v, put_window_values, zero, err);
    free(zero);
    return rc;
}

/* work: one row of zeros, then room for a codebook [H,S,K]. */
static enum vq_status put_window_keys(struct sheet *x, int module, int b,
                                      const struct vq_cache_view *view, float *work,
                                      struct vq_err *err)
{
    size_t S = (size_t)x->c->n_code, K = (size_t)x->c->d_k;
    float *C = work + K;
    enum vq_status rc = b == 0 ? vq_model_codebook(x->source->model, module, C, err) : VQ_OK;
    for (size_t h = 0; !rc && h < (size_t)x->c->n_head; h++) {
        const int32_t *code = view->code + h * view->code_stride;
        rc = put_zeros(x, work, x->c->mem_len - view->window, K, err);
        for (int t = 0; !rc && t < view->window; t++)
            rc = put(x, C + (h * S + (size_t)code[t]) * K, K, err);
    }
    return rc;
}

static enum vq_status write_window_keys(struct sheet *x, struct vq_err *err)
{
    size_t K = (size_t)x->c->d_k, n = (size_t)(x->c->n_head * x->c->n_code) * K;
    float *work = vq_calloc(n + K, sizeof(*work));
    if (!work)
        return vq_nomem(err, "a codebook", n + K, sizeof(*work));
    enum vq_status rc =
        write_views(x, VQ_NPY_F32, x->c->mem_len, x->c->d_k, put_window_keys, work, err);
    free(work);
    return rc;
}

/* ---- attention ---- */

static enum vq_status put_attention(struct sheet *x, int module, int b, float *zero,
                                    struct vq_err *err)
{
    enum vq_status rc = VQ_OK;
    for (int h = 0; !rc && h < (int)x->c->n_head; h++) {
        struct vq_attention_view v;
        rc = vq_session_attention(x->source->session, module, h, b, &v, err);
        if (!rc)
            rc = put_zeros(x, zero, x->c->mem_len + 1 - v.window, 1, err);
        if (!rc)
            rc = put(x, v.weight, (size_t)v.window + (size_t)x->c->n_code, err);
    }
    return rc;
}

static enum vq_status write_attention(struct sheet *x, struct vq_err *err)
{
    const struct vq_export_source *from = x->source;
    int modules = (int)vq_config_modules(x->c), first = 0, skip = 0;
    size_t shape[5] = {(size_t)x->c->n_layer, 2, (size_t)vq_session_batch(from->session),
                       (size_t)x->c->n_head, (size_t)(x->c->mem_len + 1 + x->c->n_code)};
    float zero = 0.0f;
    if (from->one_module) {
        if (from->module < 0 || from->module >= modules)
            return vq_fail(err, VQ_EINVAL, "module %d: the model has %d", from->module, modules);
        first = from->module;
        modules = first + 1;
        skip = 2;
    }
    enum vq_status rc = sheet_open(x, VQ_NPY_F32, 5 - skip, shape + skip, err);
    for (int m = first; !rc && m < modules; m++) {
        rc = poll(x, err);
        for (int b = 0; !rc && b < vq_session_batch(from->session); b++)
            rc = put_attention(x, m, b, &zero, err);
    }
    return rc;
}

/* ---- runs over tokens ---- */

struct code_sink {
    int32_t *codes; /* [modules, B, H, T] */
    size_t B, H, T, row;
};

static void take_codes(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    const struct code_sink *k = ud;
    size_t n = (size_t)b->n;
    for (size_t h = 0; h < k->H; h++) {
        size_t line = ((size_t)v->module * k->B + k->row) * k->H + h;
        memcpy(k->codes + line * k->T + (size_t)b->position, v->codes + h * n,
               n * sizeof(*v->codes));
    }
}

/* Feeds every row of the tokens, telling the sink which. */
static enum vq_status run_rows(const struct sheet *x, const struct vq_observer *observe,
                               size_t *row, struct vq_err *err)
{
    struct vq_session *s = NULL;
    enum vq_status rc = vq_session_new(&s, x->source->engine, 1, err);
    for (*row = 0; !rc && *row < x->source->over->rows; ++*row)
        rc = vq_over_row(x->source->over, *row, s, observe, err);
    vq_session_free(s);
    return rc;
}

static enum vq_status write_codes(struct sheet *x, struct vq_err *err)
{
    const struct vq_over *o = x->source->over;
    size_t shape[5] = {(size_t)x->c->n_layer, 2, o->rows, (size_t)x->c->n_head, o->cols};
    struct code_sink k = {.B = o->rows, .H = shape[3], .T = o->cols};
    struct vq_observer observe = {.ud = &k, .module = take_codes};
    size_t lines = 0, n = 0;
    if (vq_mul_ok(shape[0] * 2 * k.H, k.B, &lines) && vq_mul_ok(lines, k.T, &n))
        k.codes = vq_alloc(n, sizeof(*k.codes));
    if (!k.codes)
        return vq_nomem(err, "codes of all positions", lines, k.T * sizeof(*k.codes));
    enum vq_status rc = sheet_open(x, VQ_NPY_I32, 5, shape, err);
    if (!rc)
        rc = run_rows(x, &observe, &k.row, err);
    if (!rc)
        rc = put(x, k.codes, n, err);
    free(k.codes);
    return rc;
}

struct logit_sink {
    struct sheet *sheet;
    size_t row;
    const struct vq_vec *vec;
    float *work; /* [N]; NULL: logits as they are */
};

static bool finite_row(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static enum vq_status take_logits(void *ud, const struct vq_block *b, const float *logits,
                                  struct vq_err *err)
{
    const struct logit_sink *k = ud;
    size_t N = (size_t)k->sheet->c->n_vocab;
    enum vq_status rc = VQ_OK;
    for (int t = 0; !rc && t < b->n; t++) {
        const float *x = logits + (size_t)t * N;
        if (!finite_row(x, N))
            return vq_fail(err, VQ_ENUM, "sequence %zu, position %lld: a logit is not finite",
                           k->row, (long long)b->position + t);
        if (k->work) {
            memcpy(k->work, x, N * sizeof(*x));
            k->vec->log_softmax(k->work, N);
            x = k->work;
        }
        rc = put(k->sheet, x, N, err);
    }
    return rc;
}

static enum vq_status write_rows(struct sheet *x, float *work, struct vq_err *err)
{
    const struct vq_over *o = x->source->over;
    size_t shape[3] = {o->rows, o->cols, (size_t)x->c->n_vocab};
    int skip = x->source->flat && o->rows == 1;
    struct logit_sink k = {.sheet = x, .vec = vq_vec_default(), .work = work};
    struct vq_observer observe = {.ud = &k, .logits = take_logits};
    enum vq_status rc = sheet_open(x, VQ_NPY_F32, 3 - skip, shape + skip, err);
    return rc ? rc : run_rows(x, &observe, &k.row, err);
}

static enum vq_status write_logits(struct sheet *x, struct vq_err *err)
{
    return write_rows(x, NULL, err);
}

static enum vq_status write_logprobs(struct sheet *x, struct vq_err *err)
{
    float *work = vq_alloc((size_t)x->c->n_vocab, sizeof(*work));
    if (!work)
        return vq_nomem(err, "a row of logits", (size_t)x->c->n_vocab, sizeof(*work));
    enum vq_status rc = write_rows(x, work, err);
    free(work);
    return rc;
}

/* ---- the table ---- */

struct kind {
    struct vq_export_kind public;
    enum vq_status (*write)(struct sheet *x, struct vq_err *err);
};

static const struct kind kinds[] = {
    {{"logprobs", VQ_EXPORT_TOKENS, "log-probabilities at every position"}, write_logprobs},
    {{"logits", VQ_EXPORT_TOKENS, "logits at every position"}, write_logits},
    {{"codes", VQ_EXPORT_TOKENS, "the code of every key, all modules"}, write_codes},
    {{"codebook", VQ_EXPORT_MODEL, "the vectors of all codes"}, write_codebook},
    {{"cache.lower", VQ_EXPORT_SESSION, "aggregate: positions per code"}, write_lower},
    {{"cache.upper", VQ_EXPORT_SESSION, "aggregate: mean value per code"}, write_upper},
    {{"cache.window", VQ_EXPORT_SESSION, "window: codes"}, write_window},
    {{"cache.window.k", VQ_EXPORT_SESSION | VQ_EXPORT_MODEL, "window: quantised keys"},
     write_window_keys},
    {{"cache.window.v", VQ_EXPORT_SESSION, "window: values"}, write_window_values},
    {{"attn", VQ_EXPORT_SESSION, "the last query's attention weights"}, write_attention},
};

size_t vq_export_count(void)
{
    return sizeof(kinds) / sizeof(kinds[0]);
}

const struct vq_export_kind *vq_export_at(size_t i)
{
    return &kinds[i].public;
}

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < vq_export_count(); i++)
        if (!strcmp(kinds[i].public.name, name))
            return &kinds[i];
    return NULL;
}

const struct vq_export_kind *vq_export_find(const char *name)
{
    const struct kind *k = find(name);
    return k ? &k->public : NULL;
}

static enum vq_status check_source(const struct vq_export_kind *k, const struct vq_export_source *s,
                                   struct vq_err *err)
{
    if ((k->needs & VQ_EXPORT_MODEL) && !s->model)
        return vq_fail(err, VQ_EINVAL, "%s needs a model", k->name);
    if ((k->needs & VQ_EXPORT_SESSION) && !s->session)
        return vq_fail(err, VQ_EINVAL, "%s needs the state of a session", k->name);
    if ((k->needs & VQ_EXPORT_TOKENS) &&
        (!s->engine || !s->over || s->over->rows == 0 || s->over->cols == 0))
        return vq_fail(err, VQ_EINVAL, "%s needs tokens to run over", k->name);
    return VQ_OK;
}

static const struct vq_config *config_of(const struct vq_export_kind *k,
                                         const struct vq_export_source *s)
{
    if (k->needs & VQ_EXPORT_SESSION)
        return vq_engine_config(vq_session_engine(s->session));
    return k->needs & VQ_EXPORT_TOKENS ? vq_engine_config(s->engine) : vq_model_config(s->model);
}

enum vq_status vq_export(const char *name, const char *path, const struct vq_export_source *source,
                         struct vq_export_result *result, struct vq_err *err)
{
    struct vq_export_result ignored;
    const struct kind *k = find(name);
    if (!k)
        return vq_fail(err, VQ_ENOTFOUND, "nothing called '%s' can be exported", name);
    enum vq_status rc = check_source(&k->public, source, err);
    if (rc)
        return rc;
    struct sheet x = {path, source, config_of(&k->public, source), result ? result : &ignored,
                      NULL};
    rc = k->write(&x, err);
    if (!rc)
        return vq_npy_writer_close(x.writer, err);
    vq_npy_writer_abort(x.writer);
    return rc;
}
