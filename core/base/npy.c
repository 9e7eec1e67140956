#include "core/base/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are stored as memory holds them");

#define MAX_HEADER 65536 /* far over what a plain array of rank 8 needs */

static const struct {
    const char *descr, *name;
    size_t size;
} types[] = {
    [VQ_NPY_F32] = {"<f4", "float32", 4}, [VQ_NPY_F64] = {"<f8", "float64", 8},
    [VQ_NPY_F16] = {"<f2", "float16", 2}, [VQ_NPY_I32] = {"<i4", "int32", 4},
    [VQ_NPY_I64] = {"<i8", "int64", 8},   [VQ_NPY_I16] = {"<i2", "int16", 2},
    [VQ_NPY_U16] = {"<u2", "uint16", 2},  [VQ_NPY_I8] = {"|i1", "int8", 1},
    [VQ_NPY_U8] = {"|u1", "uint8", 1},    [VQ_NPY_U32] = {"<u4", "uint32", 4},
    [VQ_NPY_U64] = {"<u8", "uint64", 8},
};

#define N_TYPES (sizeof(types) / sizeof(types[0]))
_Static_assert(N_TYPES == VQ_NPY_U64 + 1, "every type has a row");

const char *vq_npy_type_name(enum vq_npy_type type)
{
    return (unsigned)type < N_TYPES ? types[type].name : "unknown";
}

size_t vq_npy_type_size(enum vq_npy_type type)
{
    return (unsigned)type < N_TYPES ? types[type].size : 0;
}

/* The header is a Python dict literal; what numpy writes needs only these few forms. */
struct header {
    const char *text;
    size_t size, at;
    struct vq_npy *out;
    bool has_descr, has_order, has_shape;
    struct vq_err *err;
};

static void skip_space(struct header *h)
{
    while (h->at < h->size && (h->text[h->at] == ' ' || h->text[h->at] == '\n'))
        h->at++;
}

/* Takes c, after spaces, when it is next. */
static bool take(struct header *h, char c)
{
    skip_space(h);
    if (h->at >= h->size || h->text[h->at] != c)
        return false;
    h->at++;
    return true;
}

static enum vq_status malformed(struct header *h, const char *expected)
{
    return vq_fail(h->err, VQ_EFORMAT, "npy header, character %zu: expected %s", h->at, expected);
}

/* A quoted string without escapes; false when there is none. */
static bool take_string(struct header *h, const char **s, size_t *n)
{
    char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : '\0';
    if (!quote)
        return false;
    *s = h->text + h->at;
    const char *end = memchr(*s, quote, h->size - h->at);
    if (!end)
        return false;
    *n = (size_t)(end - *s);
    h->at += *n + 1;
    return !memchr(*s, '\\', *n);
}

static enum vq_status read_descr(struct header *h)
{
    if (take(h, '['))
        return vq_fail(h->err, VQ_EUNSUPPORTED, "npy: a structured array; expected plain numbers");
    const char *s;
    size_t n;
    if (!take_string(h, &s, &n))
        return malformed(h, "the element type");
    for (size_t i = 0; i < N_TYPES; i++) {
        bool any_order = types[i].size == 1 && n == 3 && strchr("<>=|", s[0]) && s[0];
        if (n == 3 && memcmp(s + 1, types[i].descr + 1, 2) == 0 &&
            (any_order || s[0] == types[i].descr[0])) {
            h->out->type = (enum vq_npy_type)i;
            h->has_descr = true;
            return VQ_OK;
        }
    }
    const char *why = n && s[0] == '>'              ? "big-endian"
                      : n > 1 && s[1] == 'O'        ? "Python objects"
                      : n > 1 && strchr("US", s[1]) ? "strings"
                                                    : "not a type that is read here";
    int shown = n < 20 ? (int)n : 20;
    return vq_fail(h->err, VQ_EUNSUPPORTED,
                   "npy: element type '%.*s' (%s); expected little-endian integers or floats",
                   shown, s, why);
}

static enum vq_status read_order(struct header *h)
{
    skip_space(h);
    size_t left = h->size - h->at;
    if (left >= 4 && memcmp(h->text + h->at, "True", 4) == 0)
        return vq_fail(h->err, VQ_EUNSUPPORTED,
                       "npy: Fortran order; save a C-ordered copy (numpy.ascontiguousarray)");
    if (left < 5 || memcmp(h->text + h->at, "False", 5) != 0)
        return malformed(h, "True or False");
    h->at += 5;
    h->has_order = true;
    return VQ_OK;
}

static enum vq_status read_dim(struct header *h, size_t *dim)
{
    size_t from = h->at;
    *dim = 0;
    for (; h->at < h->size && h->text[h->at] >= '0' && h->text[h->at] <= '9'; h->at++)
        if (!vq_mul_ok(*dim, 10, dim) || !vq_add_ok(*dim, (size_t)(h->text[h->at] - '0'), dim))
            return vq_fail(h->err, VQ_EFORMAT, "npy: a dimension of the shape overflows");
    return h->at > from ? VQ_OK : malformed(h, "a dimension");
}

static enum vq_status read_shape(struct header *h)
{
    if (!take(h, '('))
        return malformed(h, "'('");
    h->out->rank = 0;
    while (!take(h, ')')) {
        if (h->out->rank == VQ_NPY_MAX_RANK)
            return vq_fail(h->err, VQ_EUNSUPPORTED, "npy: more than %d dimensions",
                           VQ_NPY_MAX_RANK);
        enum vq_status status = read_dim(h, &h->out->shape[h->out->rank]);
        if (status != VQ_OK)
            return status;
        h->out->rank++;
        if (take(h, ','))
            continue;
        if (h->out->rank == 1 || !take(h, ')'))
            return malformed(h, "','");
        break;
    }
    h->has_shape = true;
    return VQ_OK;
}

static enum vq_status read_entry(struct header *h)
{
    static const struct {
        const char *key;
        enum vq_status (*read)(struct header *h);
    } entries[] = {{"descr", read_descr}, {"fortran_order", read_order}, {"shape", read_shape}};
    const char *key;
    size_t n;
    if (!take_string(h, &key, &n))
        return malformed(h, "a key");
    if (!take(h, ':'))
        return malformed(h, "':'");
    skip_space(h);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        if (strlen(entries[i].key) == n && memcmp(key, entries[i].key, n) == 0)
            return entries[i].read(h);
    return malformed(h, "one of the keys descr, fortran_order, shape");
}

static enum vq_status read_dict(struct header *h)
{
    if (!take(h, '{'))
        return malformed(h, "'{'");
    while (!take(h, '}')) {
        enum vq_status status = read_entry(h);
        if (status != VQ_OK)
            return status;
        if (take(h, ','))
            continue;
        if (!take(h, '}'))
            return malformed(h, "',' or '}'");
        break;
    }
    skip_space(h);
    if (h->at != h->size)
        return malformed(h, "the end");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return malformed(h, "the keys descr, fortran_order and shape");
    return VQ_OK;
}

/* Product of the shape; false on overflow. */
static bool count_of(int rank, const size_t *shape, size_t *count)
{
    *count = 1;
    for (int i = 0; i < rank; i++)
        if (!vq_mul_ok(*count, shape[i], count))
            return false;
    return true;
}

/* Offset of the elements after the preamble and the header, both checked against the file. */
static enum vq_status find_header(const struct vq_file *f, struct header *h, struct vq_err *err)
{
    if (f->size < 6 || memcmp(f->data, "\x93NUMPY", 6) != 0) {
        const char *what = vq_file_sniff(f->data, f->size);
        return vq_fail(err, VQ_EFORMAT, "expected a numpy array (.npy), found %s",
                       what ? what : "something else");
    }
    if (f->size < 10)
        return vq_fail(err, VQ_EFORMAT, "npy: cut short after %zu bytes", f->size);
    unsigned major = f->data[6];
    if (major < 1 || major > 3)
        return vq_fail(err, VQ_EUNSUPPORTED, "npy format version %u; versions 1 to 3 are read",
                       major);
    size_t start = major == 1 ? 10 : 12;
    size_t size = f->data[8] | (size_t)f->data[9] << 8;
    if (major > 1 && f->size >= 12)
        size |= (size_t)f->data[10] << 16 | (size_t)f->data[11] << 24;
    if (f->size < start || size > f->size - start)
        return vq_fail(err, VQ_EFORMAT, "npy: cut short: %zu bytes, the header alone needs %zu",
                       f->size, start + size);
    if (size > MAX_HEADER)
        return vq_fail(err, VQ_EFORMAT, "npy: a header of %zu bytes; at most %d are read", size,
                       MAX_HEADER);
    *h = (struct header){.text = (const char *)f->data + start, .size = size, .err = err};
    return VQ_OK;
}

/* Type, shape and count, and where the elements start. */
static enum vq_status read_header(struct vq_npy *out, const struct vq_file *f, size_t *start,
                                  struct vq_err *err)
{
    struct header h;
    size_t bytes;
    enum vq_status status = find_header(f, &h, err);
    if (status != VQ_OK)
        return status;
    h.out = out;
    if ((status = read_dict(&h)) != VQ_OK)
        return status;
    if (!count_of(out->rank, out->shape, &out->count) ||
        !vq_mul_ok(out->count, types[out->type].size, &bytes))
        return vq_fail(err, VQ_EFORMAT, "npy: the size of the shape overflows");
    *start = (size_t)((const uint8_t *)h.text - f->data) + h.size;
    return VQ_OK;
}

enum vq_status vq_npy_header(struct vq_npy *out, size_t *start, const void *data, size_t size,
                             struct vq_err *err)
{
    *out = (struct vq_npy){0};
    struct vq_file f = {.data = data, .size = size};
    return read_header(out, &f, start, err);
}

enum vq_status vq_npy_check_size(const struct vq_npy *a, uint64_t found, struct vq_err *err)
{
    uint64_t need = (uint64_t)a->count * types[a->type].size;
    if (found == need)
        return VQ_OK;
    return vq_fail(
        err, VQ_EFORMAT,
        "npy: %s: %zu elements of %s need %" PRIu64 " bytes, found %" PRIu64 " after the header",
        found < need ? "cut short" : "trailing bytes", a->count, types[a->type].name, need, found);
}

static enum vq_status decode(struct vq_npy *out, const struct vq_file *f, struct vq_err *err)
{
    size_t start;
    enum vq_status status = read_header(out, f, &start, err);
    if (status == VQ_OK)
        status = vq_npy_check_size(out, f->size - start, err);
    if (status != VQ_OK)
        return status;
    out->data = vq_alloc_aligned(f->size - start);
    if (!out->data)
        return vq_nomem(err, "npy", out->count, types[out->type].size);
    if (f->size > start)
        memcpy(out->data, f->data + start, f->size - start);
    return VQ_OK;
}

enum vq_status vq_npy_read(struct vq_npy *out, const char *path, struct vq_err *err)
{
    *out = (struct vq_npy){0};
    struct vq_file f;
    enum vq_status status = vq_file_open(&f, path, err);
    if (status != VQ_OK)
        return status;
    status = decode(out, &f, err);
    if (status != VQ_OK) {
        vq_err_prefix(err, "%s", path);
        vq_npy_release(out);
    }
    vq_file_close(&f);
    return status;
}

void vq_npy_release(struct vq_npy *a)
{
    free(a->data);
    *a = (struct vq_npy){0};
}

/* Element i as int64; false when it is no integer type, or a uint64 that does not fit. */
static bool integer_at(const struct vq_npy *a, size_t i, int64_t *x)
{
    switch (a->type) {
    case VQ_NPY_I8:
        return *x = ((const int8_t *)a->data)[i], true;
    case VQ_NPY_U8:
        return *x = ((const uint8_t *)a->data)[i], true;
    case VQ_NPY_I16:
        return *x = ((const int16_t *)a->data)[i], true;
    case VQ_NPY_U16:
        return *x = ((const uint16_t *)a->data)[i], true;
    case VQ_NPY_I32:
        return *x = ((const int32_t *)a->data)[i], true;
    case VQ_NPY_U32:
        return *x = ((const uint32_t *)a->data)[i], true;
    case VQ_NPY_I64:
        return *x = ((const int64_t *)a->data)[i], true;
    case VQ_NPY_U64:
        *x = (int64_t)((const uint64_t *)a->data)[i];
        return *x >= 0;
    default:
        return false;
    }
}

static enum vq_status to_tokens(const struct vq_npy *a, int32_t **tokens, struct vq_err *err)
{
    if (a->type == VQ_NPY_F32 || a->type == VQ_NPY_F64 || a->type == VQ_NPY_F16)
        return vq_fail(err, VQ_ESHAPE, "expected integer tokens, found %s", types[a->type].name);
    if (a->rank != 1 && a->rank != 2)
        return vq_fail(err, VQ_ESHAPE, "expected tokens of shape [T] or [B, T], found rank %d",
                       a->rank);
    int32_t *t = vq_alloc(a->count, sizeof(*t));
    if (!t)
        return vq_nomem(err, "tokens", a->count, sizeof(*t));
    for (size_t i = 0; i < a->count; i++) {
        int64_t x = 0;
        if (!integer_at(a, i, &x) || x < INT32_MIN || x > INT32_MAX) {
            free(t);
            return vq_fail(err, VQ_EINVAL, "the token at index %zu does not fit in 32 bits", i);
        }
        t[i] = (int32_t)x;
    }
    *tokens = t;
    return VQ_OK;
}

enum vq_status vq_npy_read_tokens(const char *path, int32_t **tokens, size_t *rows, size_t *cols,
                                  int *rank, struct vq_err *err)
{
    *tokens = NULL;
    struct vq_npy a;
    enum vq_status status = vq_npy_read(&a, path, err);
    if (status != VQ_OK)
        return status;
    status = to_tokens(&a, tokens, err);
    if (status == VQ_OK) {
        *rows = a.rank == 2 ? a.shape[0] : 1;
        *cols = a.shape[a.rank - 1];
        *rank = a.rank;
    } else {
        vq_err_prefix(err, "%s", path);
    }
    vq_npy_release(&a);
    return status;
}

struct vq_npy_writer {
    struct vq_writer *file;
    enum vq_npy_type type;
    size_t count, put; /* elements announced, elements written */
};

/* The preamble and the header, padded so that the elements start on a 64-byte boundary. */
static void put_header(struct vq_text *t, enum vq_npy_type type, int rank, const size_t *shape)
{
    vq_text_printf(t, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[type].descr);
    for (int i = 0; i < rank; i++)
        vq_text_printf(t, i ? ", %zu" : "%zu", shape[i]);
    vq_text_puts(t, rank == 1 ? ",), }" : "), }");
    while (!t->failed && (10 + t->len + 1) % 64 != 0)
        vq_text_put(t, " ", 1);
    vq_text_put(t, "\n", 1);
}

static enum vq_status write_header(struct vq_npy_writer *w, int rank, const size_t *shape,
                                   struct vq_err *err)
{
    struct vq_text t = {0};
    put_header(&t, w->type, rank, shape);
    uint8_t start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)t.len, (uint8_t)(t.len >> 8)};
    enum vq_status status = t.failed ? vq_nomem(err, "npy header", 1, 128) : VQ_OK;
    if (status == VQ_OK)
        status = vq_writer_put(w->file, start, sizeof(start), err);
    if (status == VQ_OK)
        status = vq_writer_put(w->file, t.data, t.len, err);
    vq_text_release(&t);
    return status;
}

enum vq_status vq_npy_writer_open(struct vq_npy_writer **out, const char *path,
                                  enum vq_npy_type type, int rank, const size_t *shape,
                                  struct vq_err *err)
{
    *out = NULL;
    size_t count, bytes;
    if ((unsigned)type >= N_TYPES || rank < 0 || rank > VQ_NPY_MAX_RANK)
        return vq_fail(err, VQ_EINVAL, "%s: rank %d; an array has 0 to %d dimensions", path, rank,
                       VQ_NPY_MAX_RANK);
    if (!count_of(rank, shape, &count) || !vq_mul_ok(count, types[type].size, &bytes))
        return vq_fail(err, VQ_EINVAL, "%s: the size of the shape overflows", path);
    struct vq_npy_writer *w = vq_calloc(1, sizeof(*w));
    if (!w)
        return vq_nomem(err, path, 1, sizeof(*w));
    w->type = type;
    w->count = count;
    enum vq_status status = vq_writer_open(&w->file, path, err);
    if (status == VQ_OK)
        status = write_header(w, rank, shape, err);
    if (status != VQ_OK) {
        vq_npy_writer_abort(w);
        return status;
    }
    *out = w;
    return VQ_OK;
}

enum vq_status vq_npy_writer_put(struct vq_npy_writer *w, const void *data, size_t count,
                                 struct vq_err *err)
{
    if (count > w->count - w->put)
        return vq_fail(err, VQ_EINVAL, "npy: %zu elements announced, %zu put and %zu more given",
                       w->count, w->put, count);
    w->put += count;
    return vq_writer_put(w->file, data, count * types[w->type].size, err);
}

enum vq_status vq_npy_writer_close(struct vq_npy_writer *w, struct vq_err *err)
{
    if (w->put != w->count) {
        enum vq_status status =
            vq_fail(err, VQ_EINVAL, "npy: %zu elements announced, %zu put", w->count, w->put);
        vq_npy_writer_abort(w);
        return status;
    }
    struct vq_writer *file = w->file;
    free(w);
    return vq_writer_commit(file, err);
}

void vq_npy_writer_abort(struct vq_npy_writer *w)
{
    if (!w)
        return;
    vq_writer_abort(w->file);
    free(w);
}

enum vq_status vq_npy_write(const char *path, enum vq_npy_type type, int rank, const size_t *shape,
                            const void *data, struct vq_err *err)
{
    struct vq_npy_writer *w;
    enum vq_status status = vq_npy_writer_open(&w, path, type, rank, shape, err);
    if (status != VQ_OK)
        return status;
    if ((status = vq_npy_writer_put(w, data, w->count, err)) != VQ_OK) {
        vq_npy_writer_abort(w);
        return status;
    }
    return vq_npy_writer_close(w, err);
}
