/*
 * kind: what a kind of vocabulary provides to vocab.c. Private to core/vocab. A new kind is one
 * file that defines a struct vq_vocab_kind, and one row in the table of vocab.c.
 *
 * Opening makes a table of the bytes of every id; decoding, streaming and showing are then the same
 * code for all kinds, and need no lock.
 */
#ifndef VQ_CORE_VOCAB_KIND_H
#define VQ_CORE_VOCAB_KIND_H

#include "core/base/text.h"
#include "core/vocab/vocab.h"

struct vq_vocab {
    const struct vq_vocab_kind *kind;
    char *spec;
    int size;
    void *impl; /* the kind's own */
    /* The bytes of id i, without an end mark, are text.data[start[i]] to text.data[start[i + 1]];
     * none for a special id. start is NULL when ids stand for no bytes at all. */
    struct vq_text text;
    size_t *start;          /* size + 1 of them */
    const char **labels;    /* names of special ids by id, NULL for the others; borrowed from impl.
                             * NULL altogether: the first three are <pad>, <eos> and <unk> */
    bool drops_first_space; /* a text that begins with a space has been given it by encoding */
};

enum { VQ_N_BYTE = 256 };

struct vq_vocab_kind {
    const char *name;    /* as vq_vocab_kind() gives it; the spec too, but for the kind of files */
    int channels;        /* ids that a byte has, in turn by its place; 0 where ids are not bytes */
    const char *letters; /* how they are told apart when shown, a letter each; NULL: there is one */
    bool is_text, is_image;
    const char *space; /* how a space is shown */

    /* Sets v->size, and by vq_vocab_add() the bytes of every id in order. n_vocab is what the
     * model wants or 0; comparing is left to vocab.c. On failure vocab.c calls close. */
    enum vq_status (*open)(struct vq_vocab *v, int n_vocab, struct vq_err *err);
    void (*close)(struct vq_vocab *v); /* releases v->impl, which may be NULL; may be NULL itself */
    enum vq_status (*encode)(const struct vq_vocab *v, const char *text, size_t size, int32_t **ids,
                             size_t *n, struct vq_err *err);
};

extern const struct vq_vocab_kind vq_vocab_bytes_kind, vq_vocab_image64_kind, vq_vocab_rgb64_kind,
    vq_vocab_ids_kind, vq_vocab_pieces_kind;

/* Room for v->size ids, to be called once v->size is known. */
enum vq_status vq_vocab_reserve(struct vq_vocab *v, struct vq_err *err);
/* Gives `id` its bytes; ids are added in order from 0, and out of memory is seen at the end. */
void vq_vocab_add(struct vq_vocab *v, int id, const char *bytes, size_t n);

/* The name of a special id of v, NULL for the others. */
const char *vq_vocab_label(const struct vq_vocab *v, int32_t id);

#endif
