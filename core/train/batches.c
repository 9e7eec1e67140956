#include "core/train/batches.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/npy.h"

void vq_batches_release(struct vq_batches *s)
{
    if (s->free)
        s->free(s->ud);
    free(s->identity);
    *s = (struct vq_batches){0};
}

/* ---- a numpy file ---- */

struct tokens {
    int32_t *ids;       /* [batches, size] */
    size_t batch, size; /* sequences and elements of a batch */
    int64_t batches, at;
};

static enum vq_status next_tokens(void *ud, int32_t *targets, size_t *rows, struct vq_err *err)
{
    struct tokens *t = ud;
    (void)err;
    *rows = t->at < t->batches ? t->batch : 0;
    if (*rows)
        memcpy(targets, t->ids + (size_t)t->at++ * t->size, t->size * sizeof(*targets));
    return VQ_OK;
}

static int64_t tokens_left(void *ud)
{
    const struct tokens *t = ud;
    return t->batches - t->at;
}

static void tell_tokens(void *ud, struct vq_text *out)
{
    const struct tokens *t = ud;
    vq_text_printf(out, "{\"batch\": %" PRId64 "}", t->at);
}

static enum vq_status seek_tokens(void *ud, const struct vq_json_node *place, struct vq_err *err)
{
    struct tokens *t = ud;
    const struct vq_json_node *batch = vq_json_get(place, "batch");
    int64_t at;
    if (!batch || !vq_json_int(batch, &at) || at < 0 || at > t->batches)
        return vq_fail(err, VQ_EFORMAT, "expected a batch from 0 to %" PRId64, t->batches);
    t->at = at;
    return VQ_OK;
}

static void free_tokens(void *ud)
{
    struct tokens *t = ud;
    free(t->ids);
    free(t);
}

/* Element i of an integer array. */
static int64_t element(const struct vq_npy *a, size_t i)
{
    switch (a->type) {
    case VQ_NPY_I32:
        return ((const int32_t *)a->data)[i];
    case VQ_NPY_I64:
        return ((const int64_t *)a->data)[i];
    case VQ_NPY_I16:
        return ((const int16_t *)a->data)[i];
    case VQ_NPY_U16:
        return ((const uint16_t *)a->data)[i];
    case VQ_NPY_I8:
        return ((const int8_t *)a->data)[i];
    case VQ_NPY_U8:
        return ((const uint8_t *)a->data)[i];
    case VQ_NPY_U32:
        return ((const uint32_t *)a->data)[i];
    case VQ_NPY_U64:
        return (int64_t)((const uint64_t *)a->data)[i];
    case VQ_NPY_F32:
    case VQ_NPY_F64:
    case VQ_NPY_F16:
        break;
    }
    return -1;
}

static enum vq_status check_array(const struct vq_npy *a, struct vq_err *err)
{
    bool real = a->type == VQ_NPY_F32 || a->type == VQ_NPY_F64 || a->type == VQ_NPY_F16;
    if (real || a->rank < 2 || a->rank > 3)
        return vq_fail(err, VQ_ESHAPE,
                       "expected integers of shape [C, B, T] or [B, T], found %s of rank %d",
                       vq_npy_type_name(a->type), a->rank);
    return a->count ? VQ_OK : vq_fail(err, VQ_ESHAPE, "the array is empty");
}

static enum vq_status convert(struct tokens *t, const struct vq_npy *a, int64_t n_vocab,
                              struct vq_err *err)
{
    t->ids = vq_alloc(a->count, sizeof(*t->ids));
    if (!t->ids)
        return vq_nomem(err, "tokens", a->count, sizeof(*t->ids));
    for (size_t i = 0; i < a->count; i++) {
        int64_t id = element(a, i);
        if (id < 0 || id >= n_vocab)
            return vq_fail(err, VQ_EINVAL,
                           "element %zu: expected an id from 0 to %" PRId64 ", found %" PRId64, i,
                           n_vocab - 1, id);
        t->ids[i] = (int32_t)id;
    }
    return VQ_OK;
}

static enum vq_status fill(struct vq_batches *s, struct tokens *t, const struct vq_npy *a,
                           int64_t n_vocab, struct vq_err *err)
{
    enum vq_status st = check_array(a, err);
    if (!st)
        st = convert(t, a, n_vocab, err);
    if (st)
        return st;
    s->batch = a->shape[a->rank - 2];
    s->length = a->shape[a->rank - 1];
    t->batches = a->rank == 3 ? (int64_t)a->shape[0] : 1;
    t->batch = s->batch;
    t->size = s->batch * s->length;
    s->identity = vq_alloc(VQ_SHA256_HEX, 1);
    if (!s->identity)
        return vq_nomem(err, "a hash", VQ_SHA256_HEX, 1);
    return vq_sha256(t->ids, a->count * sizeof(*t->ids), s->identity, err);
}

enum vq_status vq_batches_tokens(struct vq_batches *out, const char *path, int64_t n_vocab,
                                 struct vq_err *err)
{
    struct vq_npy a = {0};
    struct tokens *t = vq_calloc(1, sizeof(*t));
    *out = (struct vq_batches){.ud = t,
                               .next = next_tokens,
                               .left = tokens_left,
                               .tell = tell_tokens,
                               .seek = seek_tokens,
                               .free = free_tokens};
    if (!t) {
        *out = (struct vq_batches){0};
        return vq_nomem(err, "tokens", 1, sizeof(*t));
    }
    enum vq_status st = vq_npy_read(&a, path, err);
    if (!st) {
        st = fill(out, t, &a, n_vocab, err);
        if (st)
            vq_err_prefix(err, "%s", path);
    }
    vq_npy_release(&a);
    if (st)
        vq_batches_release(out);
    return st;
}
