/*
 * kind_tokens: ready ids in a numpy file of integers, mapped: [T] is one stream, of [N, T] and
 * [C, B, T] each row is a sequence. They come in the file's order, in training and for every split.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/data/kind.h"

struct tokens {
    struct vq_file file;
    struct vq_npy array; /* its header */
    const uint8_t *elements;
};

static bool is_integer(enum vq_npy_type type)
{
    return type != VQ_NPY_F32 && type != VQ_NPY_F64 && type != VQ_NPY_F16;
}

static enum vq_status check_array(const struct vq_npy *a, size_t sequence_len, struct vq_err *err)
{
    if (!is_integer(a->type) || a->rank < 1 || a->rank > 3)
        return vq_fail(err, VQ_ESHAPE,
                       "expected integers of shape [T], [N, T] or [C, B, T], found %s of rank %d",
                       vq_npy_type_name(a->type), a->rank);
    if (a->count == 0)
        return vq_fail(err, VQ_EINVAL, "the array is empty");
    if (a->rank > 1 && a->shape[a->rank - 1] != sequence_len)
        return vq_fail(err, VQ_ESHAPE, "expected rows of sequence_len %zu, found %zu", sequence_len,
                       a->shape[a->rank - 1]);
    return VQ_OK;
}

static enum vq_status open_tokens(struct vq_docs *d, const struct vq_docs_options *o,
                                  struct vq_err *err)
{
    size_t start;
    struct tokens *t = d->impl = vq_calloc(1, sizeof(*t));
    if (!t)
        return vq_nomem(err, d->path, 1, sizeof(*t));
    enum vq_status st = vq_file_open(&t->file, d->path, err);
    if (st)
        return st;
    st = vq_npy_header(&t->array, &start, t->file.data, t->file.size, err);
    if (!st)
        st = vq_npy_check_size(&t->array, t->file.size - start, err);
    if (!st)
        st = check_array(&t->array, o->sequence_len, err);
    if (st) {
        vq_err_prefix(err, "%s", d->path);
        return st;
    }
    t->elements = t->file.data + start;
    return vq_docs_equal(d, 1, t->array.count, err);
}

static void close_tokens(struct vq_docs *d)
{
    struct tokens *t = d->impl;
    vq_file_close(&t->file);
    free(t);
}

/* Element i, which may lie at any address; -1 for what no id can be. */
static int32_t id_at(const struct tokens *t, size_t i)
{
    size_t size = vq_npy_type_size(t->array.type);
    bool is_signed = t->array.type == VQ_NPY_I8 || t->array.type == VQ_NPY_I16 ||
                     t->array.type == VQ_NPY_I32 || t->array.type == VQ_NPY_I64;
    uint64_t x = 0;
    memcpy(&x, t->elements + i * size, size);
    bool negative = is_signed && x >> (8 * size - 1);
    return negative || x > INT32_MAX ? -1 : (int32_t)x;
}

static enum vq_status read_tokens(struct vq_docs *d, size_t doc, uint64_t offset, size_t n,
                                  void *dst, const struct vq_cancel *cancel, struct vq_err *err)
{
    (void)doc;
    (void)cancel;
    (void)err;
    int32_t *ids = dst;
    for (size_t i = 0; i < n; i++)
        ids[i] = id_at(d->impl, (size_t)offset + i);
    return VQ_OK;
}

static bool matches(const char *path, bool is_folder)
{
    return !is_folder && vq_files_match(path, ".npy");
}

const struct vq_data_kind vq_data_tokens = {
    .name = "tokens",
    .help = "a numpy file of integer ids [T], [N, T] or [C, B, T], taken in order; no splits",
    .tokens = true,
    .ordered = true,
    .matches = matches,
    .open = open_tokens,
    .close = close_tokens,
    .read = read_tokens,
};
