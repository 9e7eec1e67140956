/*
 * batch: handing out batches: the order of an epoch, the sequences in it, and places between them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/data/kind.h"

uint64_t *vq_data_order(uint64_t n, uint64_t seed, uint64_t epoch, uint64_t group)
{
    struct vq_rng outer, r;
    uint64_t *order = vq_alloc((size_t)n, sizeof(*order));
    if (!order)
        return NULL;
    vq_rng_init(&outer, seed, epoch);
    vq_rng_init(&r, vq_rng_u64(&outer), group);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t j = vq_rng_below(&r, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

/* ---- sequences of what needs no encoding ---- */

/* The document that holds token `at` of the stream, and where in it. */
static size_t locate(const struct vq_docs *d, uint64_t at, uint64_t *offset)
{
    uint64_t eos = d->kind->eos;
    size_t low = 0, high = d->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (d->start[middle] + middle * eos <= at)
            low = middle;
        else
            high = middle;
    }
    *offset = at - d->start[low] - low * eos;
    return low;
}

/* n elements of a document as tokens. */
static enum vq_status read_tokens(struct vq_data *d, size_t doc, uint64_t offset, size_t n,
                                  int32_t *targets, struct vq_err *err)
{
    const struct vq_data_kind *kind = d->docs.kind;
    if (kind->tokens)
        return kind->read(&d->docs, doc, offset, n, targets, d->o.cancel, err);
    enum vq_status st = kind->read(&d->docs, doc, offset, n, d->bytes, d->o.cancel, err);
    for (size_t i = 0; !st && i < n; i++)
        targets[i] = vq_vocab_byte_id(d->o.vocab, offset + i, d->bytes[i]);
    return st;
}

static enum vq_status check_tokens(const struct vq_data *d, const int32_t *ids, uint64_t sequence,
                                   struct vq_err *err)
{
    int size = vq_vocab_size(d->o.vocab);
    for (size_t i = 0; i < d->o.sequence_len; i++)
        if (ids[i] < 0 || ids[i] >= size)
            return vq_fail(err, VQ_EINVAL,
                           "%s: sequence %" PRIu64 ", position %zu: expected an id from 0 to %d, "
                           "found %" PRId32,
                           d->docs.path, sequence, i, size - 1, ids[i]);
    return VQ_OK;
}

/* Sequence i of the stream of all documents. */
static enum vq_status read_sequence(struct vq_data *d, uint64_t i, int32_t *targets,
                                    struct vq_err *err)
{
    const struct vq_docs *docs = &d->docs;
    size_t T = d->o.sequence_len, n = 0;
    uint64_t offset;
    for (size_t doc = locate(docs, i * T, &offset); n < T && doc < docs->n; doc++, offset = 0) {
        uint64_t left = vq_docs_size(docs, doc) - offset;
        size_t part = left < T - n ? (size_t)left : T - n;
        enum vq_status st = part ? read_tokens(d, doc, offset, part, targets + n, err) : VQ_OK;
        if (st)
            return st;
        n += part;
        if (docs->kind->eos && n < T)
            targets[n++] = VQ_EOS;
    }
    memset(targets + n, 0, (T - n) * sizeof(*targets)); /* VQ_PAD */
    return docs->kind->tokens ? check_tokens(d, targets, i, err) : VQ_OK;
}

/* ---- places ---- */

/* Makes what belongs to the present epoch and group. */
static enum vq_status prepare(struct vq_data *d, struct vq_err *err)
{
    if (d->ready)
        return VQ_OK;
    d->more = false;
    d->n_sequences = vq_data_info(d).sequences;
    enum vq_status st = VQ_OK;
    if (d->groups)
        st = vq_group_load(d->groups, d->epoch, d->group, &d->n_sequences, &d->more, err);
    free(d->order);
    d->order = NULL;
    if (!st && d->o.shuffled && !d->docs.kind->ordered) {
        d->order = vq_data_order(d->n_sequences, d->seed, d->epoch, d->group);
        if (!d->order)
            st = vq_nomem(err, "the order of sequences", (size_t)d->n_sequences, sizeof(*d->order));
    }
    d->ready = !st;
    return st;
}

static void go_to(struct vq_data *d, uint64_t epoch, uint64_t group, uint64_t index)
{
    d->ready = d->ready && d->epoch == epoch && d->group == group;
    d->epoch = epoch;
    d->group = group;
    d->index = index;
}

/* Prepares the group that the next sequence is in, which may be of a later epoch; *end when one
 * pass is over. */
static enum vq_status find_sequence(struct vq_data *d, bool *end, struct vq_err *err)
{
    uint64_t epochs_left = 2; /* one that holds a sequence must begin and end before then */
    *end = false;
    for (;;) {
        *end = !d->o.shuffled && d->epoch > 0;
        enum vq_status st = *end ? VQ_OK : prepare(d, err);
        if (st || *end || d->index < d->n_sequences)
            return st;
        if (d->more) {
            go_to(d, d->epoch, d->group + 1, 0);
            continue;
        }
        if (d->o.shuffled && epochs_left-- == 0)
            return vq_fail(err, VQ_EINVAL, "%s: its text makes no tokens", d->docs.path);
        go_to(d, d->epoch + 1, 0, 0);
    }
}

static enum vq_status next_sequence(struct vq_data *d, int32_t *targets, uint64_t *sequence,
                                    bool *end, struct vq_err *err)
{
    enum vq_status st = find_sequence(d, end, err);
    if (st || *end)
        return st;
    uint64_t i = d->order ? d->order[d->index] : d->index;
    if (d->groups)
        vq_group_read(d->groups, i, targets);
    else
        st = read_sequence(d, i, targets, err);
    if (st)
        return st;
    d->index++;
    *sequence = i;
    return VQ_OK;
}

enum vq_status vq_data_next(struct vq_data *d, int32_t *targets, uint64_t *sequence, size_t *rows,
                            struct vq_err *err)
{
    size_t B = d->o.batch, T = d->o.sequence_len;
    const struct vq_data_state before = vq_data_tell(d);
    bool end = false;
    *rows = 0;
    while (*rows < B) {
        uint64_t number;
        enum vq_status st = next_sequence(d, targets + *rows * T, &number, &end, err);
        if (st) {
            *rows = 0;
            go_to(d, before.epoch, before.group, before.index);
            return st;
        }
        if (end)
            break;
        if (sequence)
            sequence[*rows] = number;
        ++*rows;
    }
    memset(targets + *rows * T, 0, (B - *rows) * T * sizeof(*targets)); /* VQ_PAD */
    return VQ_OK;
}

struct vq_data_state vq_data_tell(const struct vq_data *d)
{
    return (struct vq_data_state){.seed = d->seed,
                                  .epoch = d->epoch,
                                  .group = d->group,
                                  .index = d->index,
                                  .elements = vq_docs_elements(&d->docs)};
}

/* Whether a place is one of ours, which takes preparing its group; the end of one pass has none. */
static enum vq_status check_place(struct vq_data *d, uint64_t index, struct vq_err *err)
{
    if (!d->o.shuffled && d->epoch > 0)
        return VQ_OK;
    enum vq_status st = prepare(d, err);
    if (!st && (index > d->n_sequences || (!d->groups && d->group > 0)))
        st = vq_fail(err, VQ_EINVAL,
                     "%s: no such place: group %" PRIu64 " of epoch %" PRIu64 " has %" PRIu64
                     " sequences, the place is %" PRIu64,
                     d->docs.path, d->group, d->epoch, d->n_sequences, index);
    return st;
}

enum vq_status vq_data_seek(struct vq_data *d, const struct vq_data_state *s, struct vq_err *err)
{
    const struct vq_data_state before = vq_data_tell(d);
    if (s->elements != before.elements)
        return vq_fail(err, VQ_EINVAL,
                       "%s: not the data that the place is in: expected %" PRIu64
                       " bytes or tokens in the split, found %" PRIu64,
                       d->docs.path, s->elements, before.elements);
    d->ready = false;
    d->seed = s->seed;
    go_to(d, s->epoch, s->group, s->index);
    enum vq_status st = check_place(d, s->index, err);
    if (st) {
        d->ready = false;
        d->seed = before.seed;
        go_to(d, before.epoch, before.group, before.index);
    }
    return st;
}
