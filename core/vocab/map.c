/*
 * map: both vocabularies' ids sorted by what they stand for, then walked together.
 */
#include "core/vocab/map.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/vocab/kind.h"

/* What an id stands for: the bytes of a text, or the name of a special id. */
struct meaning {
    const char *bytes;
    size_t n;
    bool special;
    int32_t id;
};

static int compare(const struct meaning *a, const struct meaning *b)
{
    if (a->special != b->special)
        return a->special ? -1 : 1;
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return a->n ? memcmp(a->bytes, b->bytes, a->n) : 0;
}

/* Equal meanings by id. */
static int by_meaning(const void *x, const void *y)
{
    const struct meaning *a = x, *b = y;
    int order = compare(a, b);
    return order ? order : (a->id > b->id) - (a->id < b->id);
}

/* All ids, sorted; the caller's to free. NULL: no memory. */
static struct meaning *list_meanings(const struct vq_vocab *v)
{
    struct meaning *list = vq_alloc((size_t)v->size, sizeof(*list));
    for (int32_t id = 0; list && id < v->size; id++) {
        const char *label = vq_vocab_label(v, id);
        list[id] = (struct meaning){.special = label != NULL, .id = id};
        list[id].n = label ? strlen(label) : v->start[id + 1] - v->start[id];
        list[id].bytes = label ? label : v->text.data + v->start[id];
    }
    if (list)
        qsort(list, (size_t)v->size, sizeof(*list), by_meaning);
    return list;
}

/* How many meanings from the first on are the same. */
static size_t count_equal(const struct meaning *list, size_t n)
{
    size_t k = 1;
    while (k < n && compare(&list[k], &list[0]) == 0)
        k++;
    return k;
}

/* What stands in the way, by new ids: how many, and the lowest of them. */
struct trouble {
    size_t n;
    int32_t id, old[2]; /* old: two of those that would fall together */
};

static void note(struct trouble *t, int32_t id, const struct meaning *old)
{
    if (!t->n++ || id < t->id) {
        t->id = id;
        if (old)
            memcpy(t->old, (int32_t[]){old[0].id, old[1].id}, sizeof(t->old));
    }
}

/* Both lists walked together. */
static void match(struct vq_vocab_map *m, const struct meaning *old, size_t n_old,
                  const struct meaning *new, struct trouble *missing, struct trouble *falling)
{
    for (size_t i = 0, j = 0; j < m->n;) {
        while (i < n_old && compare(&old[i], &new[j]) < 0)
            i++;
        size_t to = count_equal(&new[j], m->n - j);
        bool found = i < n_old && compare(&old[i], &new[j]) == 0;
        size_t from = found ? count_equal(&old[i], n_old - i) : 0;
        for (size_t k = 0; k < to; k++) {
            if (from == 0)
                note(missing, new[j + k].id, NULL);
            else if (from > 1 && from != to)
                note(falling, new[j + k].id, &old[i]);
            else
                m->from[new[j + k].id] = old[i + (from > 1 ? k : 0)].id;
        }
        m->left -= from;
        i += from;
        j += to;
    }
}

static enum vq_status refuse_missing(const struct trouble *t, const struct vq_vocab *from,
                                     const struct vq_vocab *to, struct vq_err *err)
{
    char piece[64];
    return vq_fail(err, VQ_EUNSUPPORTED,
                   "id %d (%s) of %s has no counterpart in %s; of its %d ids %zu have none",
                   (int)t->id, vq_vocab_piece(to, t->id, piece, sizeof(piece)), to->spec,
                   from->spec, to->size, t->n);
}

static enum vq_status refuse_falling(const struct trouble *t, const struct vq_vocab *from,
                                     const struct vq_vocab *to, struct vq_err *err)
{
    char piece[3][64];
    return vq_fail(err, VQ_EUNSUPPORTED,
                   "ids of %s would fall together in %zu of the %d ids of %s: %d (%s) and %d (%s) "
                   "in %d (%s), and so on",
                   from->spec, t->n, to->size, to->spec, (int)t->old[0],
                   vq_vocab_piece(from, t->old[0], piece[0], sizeof(piece[0])), (int)t->old[1],
                   vq_vocab_piece(from, t->old[1], piece[1], sizeof(piece[1])), (int)t->id,
                   vq_vocab_piece(to, t->id, piece[2], sizeof(piece[2])));
}

enum vq_status vq_vocab_map(struct vq_vocab_map *out, const struct vq_vocab *from,
                            const struct vq_vocab *to, struct vq_err *err)
{
    *out = (struct vq_vocab_map){0};
    if (!from->start || !to->start)
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "%s to %s: ids without bytes have no counterparts to be found; expected "
                       "bytes, image64, rgb64 or SentencePiece on both sides",
                       from->spec, to->spec);
    struct trouble missing = {0}, falling = {0};
    struct meaning *old = list_meanings(from), *new = list_meanings(to);
    out->n = (size_t)to->size;
    out->left = (size_t)from->size;
    out->from = vq_alloc(out->n, sizeof(*out->from));
    enum vq_status status = VQ_OK;
    if (!old || !new || !out->from)
        status = vq_nomem(err, "a map of ids", out->n, sizeof(*old));
    if (status == VQ_OK)
        match(out, old, (size_t)from->size, new, &missing, &falling);
    if (missing.n)
        status = refuse_missing(&missing, from, to, err);
    else if (falling.n)
        status = refuse_falling(&falling, from, to, err);
    if (status != VQ_OK)
        vq_vocab_map_release(out);
    free(old);
    free(new);
    return status;
}

void vq_vocab_map_release(struct vq_vocab_map *m)
{
    free(m->from);
    *m = (struct vq_vocab_map){0};
}
