/*
 * kind: what a kind of source provides, and the data set that is built on it. Private to core/data.
 * A new kind is one file (kind_NAME.c) that defines a struct vq_data_kind, and one row in the table
 * of source.c.
 */
#ifndef VQ_CORE_DATA_KIND_H
#define VQ_CORE_DATA_KIND_H

#include "core/data/files.h"
#include "core/data/source.h"

/* The documents of one split. Elements are bytes or ready tokens, as the kind has it. */
struct vq_docs {
    const struct vq_data_kind *kind;
    char *path;
    size_t n;
    uint64_t *start; /* [n + 1] elements before each document, and of all */
    void *impl;      /* the kind's own */
};

/* What opening may depend on. */
struct vq_docs_options {
    enum vq_split split;
    size_t sequence_len;
};

struct vq_data_kind {
    const char *name, *help;
    bool is_text;
    bool tokens;  /* elements are int32 ids that need no vocabulary to become tokens */
    bool ordered; /* sequences come in order in training too */
    bool eos;     /* after each document */

    /* Whether a path that was given without a kind is for this one. */
    bool (*matches)(const char *path, bool is_folder);
    /* Sets impl, n and start (by vq_docs_sizes and the like) for d->path. On failure source.c calls
     * close. */
    enum vq_status (*open)(struct vq_docs *d, const struct vq_docs_options *o, struct vq_err *err);
    void (*close)(struct vq_docs *d); /* impl may be NULL */
    /* Copies n elements of a document, which has them, from `offset`. */
    enum vq_status (*read)(struct vq_docs *d, size_t doc, uint64_t offset, size_t n, void *dst,
                           const struct vq_cancel *cancel, struct vq_err *err);
    /* The file a document comes from, for messages; NULL: d->path. */
    const char *(*file)(const struct vq_docs *d, size_t doc);
};

extern const struct vq_data_kind vq_data_enwik8, vq_data_pg19, vq_data_imagenet64, vq_data_images,
    vq_data_tokens, vq_data_text;

/* Room for n documents, with start[0] = 0; the caller fills the rest. VQ_ENOMEM. */
enum vq_status vq_docs_reserve(struct vq_docs *d, size_t n, struct vq_err *err);
/* n documents of `size` elements each. */
enum vq_status vq_docs_equal(struct vq_docs *d, size_t n, uint64_t size, struct vq_err *err);

/* [*from, *to) of `size` things in a split of 90, 5 and 5 %: cuts at floor(0.9 size) and
 * floor(0.95 size). */
void vq_split_cut(uint64_t size, enum vq_split split, uint64_t *from, uint64_t *to);

/*
 * The files of a split: those below the split's folder ("validation", "valid", "val" or "dev", ...)
 * of d->path if it has folders for splits, else those below d->path itself, and *shared says that
 * they belong to all splits together. VQ_EINVAL when there is no folder for this split, or no file
 * with one of the extensions.
 */
enum vq_status vq_split_files(struct vq_files *out, const struct vq_docs *d, enum vq_split split,
                              const char *extensions, bool *shared, struct vq_err *err);
/* Whether `path` has a folder for some split. */
bool vq_split_folders(const char *path);
/* Whether there is a file with one of the extensions below `path`. */
bool vq_files_any(const char *path, const char *extensions);

/* Text files as documents (kind_text.c): `path` itself if it is a file, else those below it. With
 * folders for splits each file is a document of the split it lies in; else each is cut as
 * vq_split_cut says, and its part is the document. */
#define VQ_TEXT_FILES ".txt .text .md"
enum vq_status vq_text_open(struct vq_docs *d, const struct vq_docs_options *o, struct vq_err *err);
void vq_text_close(struct vq_docs *d);
enum vq_status vq_text_read(struct vq_docs *d, size_t doc, uint64_t offset, size_t n, void *dst,
                            const struct vq_cancel *cancel, struct vq_err *err);
const char *vq_text_file(const struct vq_docs *d, size_t doc);

/* A picture of 64x64 pixels, in row, column, channel order, is a document. */
#define VQ_IMAGE_SIDE  64
#define VQ_IMAGE_BYTES (VQ_IMAGE_SIDE * VQ_IMAGE_SIDE * 3)

/* ---- the data set: source.c opens it, batch.c hands it out, group.c makes pieces ---- */

struct vq_data {
    struct vq_data_options o;
    struct vq_docs docs;
    struct vq_group *groups; /* makes tokens by encoding text; NULL when elements are tokens, but
                              * for the offset of bytes */
    uint64_t seed, epoch, group, index;
    bool ready;           /* what follows is of this epoch and group */
    bool more;            /* groups in this epoch */
    uint64_t n_sequences; /* of the group; without groups, of the epoch */
    uint64_t *order;      /* [n_sequences]; NULL: in order */
    uint8_t *bytes;       /* [T] scratch */
};

/* Elements of the split. */
static inline uint64_t vq_docs_elements(const struct vq_docs *d)
{
    return d->start[d->n];
}

static inline uint64_t vq_docs_size(const struct vq_docs *d, size_t doc)
{
    return d->start[doc + 1] - d->start[doc];
}

/* Numbers 0 to n-1 in an order that (seed, epoch, group) decide; NULL when memory is out. */
uint64_t *vq_data_order(uint64_t n, uint64_t seed, uint64_t epoch, uint64_t group);

struct vq_group;
enum vq_status vq_group_new(struct vq_group **out, struct vq_data *d, struct vq_err *err);
void vq_group_free(struct vq_group *g);
/* Makes the tokens of a group of an epoch: *n_sequences of them, and *more if the epoch has groups
 * after it. VQ_EINVAL when the epoch has no such group, and for text that is no UTF-8. */
enum vq_status vq_group_load(struct vq_group *g, uint64_t epoch, uint64_t group,
                             uint64_t *n_sequences, bool *more, struct vq_err *err);
/* Sequence i of the loaded group. */
void vq_group_read(const struct vq_group *g, uint64_t i, int32_t *targets);

#endif
