#include "core/model/renumber.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* The parameters with an axis of ids, and which one it is. */
static const struct {
    const char *name;
    int rank, axis;
} of_ids[] = {
    {"token_embedder/embs", 2, 0},
    {"token_embedder/bias_out", 1, 0},
    {"out_proj/bias", 1, 0},
    {"out_proj/kernel", 2, 1},
};
enum { N_OF_IDS = sizeof(of_ids) / sizeof(of_ids[0]) };

static size_t find(const char *name)
{
    size_t i = 0;
    while (i < N_OF_IDS && strcmp(of_ids[i].name, name) != 0)
        i++;
    return i;
}

bool vq_renumbered(const char *name)
{
    return find(name) < N_OF_IDS;
}

/* An array [outer, n, inner] of elements of `size` bytes, n being ids. */
struct shape {
    size_t outer, n, inner, size;
};

/* dst[outer, map->n, inner]: slices of src by the map. */
static void take(uint8_t *dst, const uint8_t *src, const struct shape *s,
                 const struct vq_vocab_map *map)
{
    size_t slice = s->inner * s->size;
    for (size_t o = 0; o < s->outer; o++)
        for (size_t i = 0; i < map->n; i++, dst += slice)
            memcpy(dst, src + (o * s->n + (size_t)map->from[i]) * slice, slice);
}

static enum vq_status check(const struct vq_tensor *t, int rank, int axis,
                            const struct vq_vocab_map *map, struct vq_err *err)
{
    char found[128];
    int32_t most = 0;
    for (size_t i = 0; i < map->n; i++)
        most = map->from[i] > most ? map->from[i] : most;
    if (t->rank == rank && t->dtype != VQ_NONE && t->shape[axis] > most)
        return VQ_OK;
    return vq_fail(err, VQ_ESHAPE, "tensor %s: expected more than %ld ids along axis %d, found %s",
                   t->name, (long)most, axis, vq_tensor_shape(t, found, sizeof(found)));
}

/* The bytes of t in one piece: *owned is to be freed, NULL when they are so in the file. */
static const uint8_t *whole(const struct vq_tensor *t, uint8_t **owned)
{
    *owned = NULL;
    if (!t->n_chunk)
        return t->data;
    *owned = vq_alloc(t->bytes, 1);
    if (*owned)
        vq_tensor_read_raw(t, *owned);
    return *owned;
}

/* Room for the numbers and, on a multiple of 8 behind them, for the scales; NULL: no memory. */
static uint8_t *reserve(size_t numbers, size_t size, size_t scales, size_t *scales_at)
{
    size_t bytes = 0, more = 0;
    bool fits = vq_mul_ok(numbers, size, &bytes) && vq_add_ok(bytes, 7, &bytes) &&
                vq_mul_ok(scales, sizeof(float), &more) && vq_add_ok(bytes, more, &more);
    *scales_at = bytes / 8 * 8;
    return fits ? vq_alloc(more, 1) : NULL;
}

enum vq_status vq_renumber(struct vq_tensor *out, const struct vq_tensor *t,
                           const struct vq_vocab_map *map, struct vq_err *err)
{
    size_t at = find(t->name), scales_at;
    *out = *t;
    out->data = NULL;
    if (at == N_OF_IDS)
        return vq_fail(err, VQ_EINVAL, "tensor %s: has no axis of ids", t->name);
    int axis = of_ids[at].axis;
    enum vq_status st = check(t, of_ids[at].rank, axis, map, err);
    if (st)
        return st;
    size_t n = (size_t)t->shape[axis], other = t->count / n, scales = vq_tensor_scales(t) / n;
    const struct shape s = {axis ? other : 1, n, axis ? 1 : other, vq_dtype_size(t->dtype)};
    out->shape[axis] = (int64_t)map->n;
    out->count = other * map->n;
    out->bytes = out->count * s.size;
    out->n_chunk = 0;
    out->chunks = NULL;
    uint8_t *owned, *block = reserve(out->count, s.size, scales * map->n, &scales_at);
    const uint8_t *data = whole(t, &owned);
    if (block && data) {
        take(block, data, &s, map);
        out->data = block;
    } else {
        free(block);
        st = vq_nomem(err, t->name, out->count, s.size);
    }
    if (out->data && scales) {
        out->scale = block + scales_at;
        take(block + scales_at, t->scale, &(struct shape){scales, n, 1, sizeof(float)}, map);
    }
    free(owned);
    return st;
}
