/*
 * One tensor: dtypes, sizes, reading its numbers, and the view that the writers take of a tensor to
 * be written, wherever its bytes lie.
 */
#include "core/ckpt/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/half.h"
#include "core/base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors are little-endian in files and are read as they lie there");

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [VQ_F32] = {"float32", 4}, [VQ_BF16] = {"bfloat16", 2}, [VQ_F16] = {"float16", 2},
    [VQ_F64] = {"float64", 8}, [VQ_I8] = {"int8", 1},       [VQ_U8] = {"uint8", 1},
    [VQ_I16] = {"int16", 2},   [VQ_U16] = {"uint16", 2},    [VQ_I32] = {"int32", 4},
    [VQ_U32] = {"uint32", 4},  [VQ_I64] = {"int64", 8},     [VQ_U64] = {"uint64", 8},
    [VQ_BOOL] = {"bool", 1},   [VQ_NONE] = {"none", 0},
};

_Static_assert(sizeof(dtypes) / sizeof(dtypes[0]) == VQ_NONE + 1, "every dtype has a row");

const char *vq_dtype_name(enum vq_dtype dtype)
{
    return (unsigned)dtype <= VQ_NONE ? dtypes[dtype].name : "unknown";
}

size_t vq_dtype_size(enum vq_dtype dtype)
{
    return (unsigned)dtype <= VQ_NONE ? dtypes[dtype].size : 0;
}

enum vq_dtype vq_dtype_named(const char *name, size_t n)
{
    for (int i = 0; i < VQ_NONE; i++)
        if (strlen(dtypes[i].name) == n && memcmp(dtypes[i].name, name, n) == 0)
            return (enum vq_dtype)i;
    return VQ_NONE;
}

enum vq_status vq_tensor_measure(struct vq_tensor *t, struct vq_err *err)
{
    if (t->rank < 0 || t->rank > VQ_MAX_RANK)
        return vq_fail(err, VQ_EFORMAT, "has %d dimensions; at most %d are taken", t->rank,
                       VQ_MAX_RANK);
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0)
            return vq_fail(err, VQ_EFORMAT, "dimension %d is negative (%" PRId64 ")", i,
                           t->shape[i]);
        if (!vq_mul_ok(count, (size_t)t->shape[i], &count))
            return vq_fail(err, VQ_EFORMAT, "its shape has more elements than can be counted");
    }
    t->count = count;
    if (!vq_mul_ok(count, vq_dtype_size(t->dtype), &t->bytes))
        return vq_fail(err, VQ_EFORMAT, "its %zu elements have more bytes than can be counted",
                       count);
    return VQ_OK;
}

struct vq_tensor vq_tensor_none(const char *name, bool is_param)
{
    return (struct vq_tensor){
        .name = name, .dtype = VQ_NONE, .rank = 1, .shape = {0}, .is_param = is_param};
}

const struct vq_span *vq_tensor_spans(const struct vq_tensor *t, struct vq_span *one, size_t *n)
{
    if (t->n_chunk > 0) {
        *n = t->n_chunk;
        return t->chunks;
    }
    *one = (struct vq_span){.data = t->data, .size = t->bytes};
    *n = t->bytes > 0;
    return one;
}

/* Converts n elements, which may lie at any address, to f32. */
#define READER(name, type, expression)                                                             \
    static void name(const uint8_t *src, float *dst, size_t n)                                     \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            type x;                                                                                \
            memcpy(&x, src + i * sizeof(x), sizeof(x));                                            \
            dst[i] = (expression);                                                                 \
        }                                                                                          \
    }

READER(read_bf16, uint16_t, vq_bf16_to_f32(x))
READER(read_f16, uint16_t, vq_f16_to_f32(x))
READER(read_f64, double, (float)x)
READER(read_i8, int8_t, (float)x)
READER(read_u8, uint8_t, (float)x)
READER(read_i16, int16_t, (float)x)
READER(read_u16, uint16_t, (float)x)
READER(read_i32, int32_t, (float)x)
READER(read_u32, uint32_t, (float)x)
READER(read_i64, int64_t, (float)x)
READER(read_u64, uint64_t, (float)x)
READER(read_bool, uint8_t, x ? 1.0f : 0.0f)

static void read_f32(const uint8_t *src, float *dst, size_t n)
{
    memcpy(dst, src, n * sizeof(*dst));
}

/* The n elements from `first` on as they are in the file. */
static void read_unscaled(const struct vq_tensor *t, size_t first, size_t n, float *dst)
{
    static void (*const readers[])(const uint8_t *, float *, size_t) = {
        [VQ_F32] = read_f32,   [VQ_BF16] = read_bf16, [VQ_F16] = read_f16, [VQ_F64] = read_f64,
        [VQ_I8] = read_i8,     [VQ_U8] = read_u8,     [VQ_I16] = read_i16, [VQ_U16] = read_u16,
        [VQ_I32] = read_i32,   [VQ_U32] = read_u32,   [VQ_I64] = read_i64, [VQ_U64] = read_u64,
        [VQ_BOOL] = read_bool,
    };
    struct vq_span one;
    size_t n_span, size = vq_dtype_size(t->dtype);
    const struct vq_span *spans = vq_tensor_spans(t, &one, &n_span);
    for (size_t i = 0; i < n_span && n > 0; i++) {
        size_t count = spans[i].size / size;
        if (first >= count) {
            first -= count;
            continue;
        }
        size_t take = count - first < n ? count - first : n;
        readers[t->dtype](spans[i].data + first * size, dst, take);
        dst += take;
        n -= take;
        first = 0;
    }
}

static float scale_at(const struct vq_tensor *t, size_t i)
{
    float x;
    memcpy(&x, t->scale + i * sizeof(x), sizeof(x));
    return x;
}

void vq_tensor_read_part(const struct vq_tensor *t, size_t first, size_t n, float *dst)
{
    read_unscaled(t, first, n, dst);
    if (!t->scale)
        return;
    size_t cols = (size_t)t->shape[1];
    for (size_t i = 0; i < n;) {
        size_t row = (first + i) / cols, col = (first + i) % cols;
        size_t end = n - i < cols - col ? n : i + cols - col;
        for (; i < end; i++, col++)
            dst[i] *= scale_at(t, row / VQ_CKPT_GROUP * cols + col);
    }
}

size_t vq_tensor_scales(const struct vq_tensor *t)
{
    if (!t->scale)
        return 0;
    return ((size_t)t->shape[0] + VQ_CKPT_GROUP - 1) / VQ_CKPT_GROUP * (size_t)t->shape[1];
}

enum vq_status vq_tensor_check_scales(const struct vq_tensor *t, struct vq_err *err)
{
    size_t n = vq_tensor_scales(t);
    for (size_t i = 0; i < n; i++) {
        float x = scale_at(t, i);
        if (!isfinite(x) || x < 0.0f)
            return vq_fail(err, VQ_ENUM,
                           "tensor %s_scale: expected finite numbers of at least 0, found %g in "
                           "row %zu, column %zu",
                           t->name, (double)x, i / (size_t)t->shape[1], i % (size_t)t->shape[1]);
    }
    return VQ_OK;
}

enum vq_status vq_tensor_read_f32(const struct vq_tensor *t, float *dst, struct vq_err *err)
{
    if (t->dtype == VQ_NONE)
        return vq_fail(err, VQ_ESHAPE, "%s is an empty optimiser state and holds no numbers",
                       t->name);
    enum vq_status status = vq_tensor_check_scales(t, err);
    if (status == VQ_OK)
        vq_tensor_read_part(t, 0, t->count, dst);
    return status;
}

void vq_ckpt_forget(const struct vq_ckpt *c, const struct vq_tensor *t, size_t first, size_t n)
{
    if (!t) {
        vq_file_forget(&c->file, c->file.data, c->file.size);
        return;
    }
    struct vq_span one;
    size_t n_span, size = vq_dtype_size(t->dtype);
    const struct vq_span *spans = vq_tensor_spans(t, &one, &n_span);
    for (size_t i = 0; i < n_span && n > 0; i++) {
        size_t count = spans[i].size / size;
        size_t from = first < count ? first : count, take = count - from < n ? count - from : n;
        vq_file_forget(&c->file, spans[i].data + from * size, take * size);
        first -= from;
        n -= take;
    }
}

void vq_tensor_read_raw(const struct vq_tensor *t, void *dst)
{
    struct vq_span one;
    size_t n;
    const struct vq_span *spans = vq_tensor_spans(t, &one, &n);
    uint8_t *to = dst;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].size > 0)
            memcpy(to, spans[i].data, spans[i].size);
        to += spans[i].size;
    }
}

const char *vq_tensor_shape(const struct vq_tensor *t, char *buf, size_t len)
{
    char text[VQ_MAX_RANK * 22 + 3] = "[";
    size_t used = 1;
    for (int i = 0; i < t->rank; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, i ? ", %" PRId64 : "%" PRId64,
                                 t->shape[i]);
    snprintf(buf, len, "%s]", text);
    return buf;
}

/* One thing to be written as a tensor that borrows its data. */
static enum vq_status view_of(struct vq_tensor *view, const struct vq_tensor_out *t,
                              struct vq_err *err)
{
    const char *name = t->name ? t->name : t->from ? t->from->name : "";
    enum vq_status status = vq_name_check(name, strlen(name), err);
    if (status != VQ_OK)
        return status;
    if (t->from) {
        *view = *t->from;
        view->name = name;
        return VQ_OK;
    }
    *view = (struct vq_tensor){.name = name,
                               .dtype = t->dtype,
                               .rank = t->rank,
                               .data = t->data,
                               .is_param = !vq_name_is_state(name)};
    if ((unsigned)t->dtype > VQ_NONE)
        return vq_fail(err, VQ_EINVAL, "%s: no such dtype (%d)", name, (int)t->dtype);
    if (t->dtype == VQ_NONE)
        *view = vq_tensor_none(name, view->is_param);
    else
        memcpy(view->shape, t->shape, sizeof(view->shape));
    status = vq_tensor_measure(view, err);
    if (status != VQ_OK)
        vq_err_prefix(err, "%s", name);
    else if (view->bytes > 0 && !view->data)
        status = vq_fail(err, VQ_EINVAL, "%s: has no data", name);
    return status;
}

int vq_tensor_by_name(const void *a, const void *b)
{
    return vq_name_compare(((const struct vq_tensor *)a)->name,
                           ((const struct vq_tensor *)b)->name);
}

enum vq_status vq_tensor_views(struct vq_tensor **out, const struct vq_tensor_out *in, size_t n,
                               struct vq_err *err)
{
    *out = NULL;
    struct vq_tensor *views = vq_calloc(n, sizeof(*views));
    if (!views)
        return vq_nomem(err, "tensor list", n, sizeof(*views));
    enum vq_status status = VQ_OK;
    for (size_t i = 0; i < n && status == VQ_OK; i++)
        status = view_of(&views[i], &in[i], err);
    if (status == VQ_OK)
        qsort(views, n, sizeof(*views), vq_tensor_by_name);
    for (size_t i = 1; i < n && status == VQ_OK; i++)
        if (strcmp(views[i - 1].name, views[i].name) == 0)
            status = vq_fail(err, VQ_EINVAL, "two tensors are named %s", views[i].name);
    if (status != VQ_OK) {
        free(views);
        return status;
    }
    *out = views;
    return VQ_OK;
}
