/*
 * format: what the files of core/ckpt share and nobody else sees: the open checkpoint that a
 * format's reader fills, and the rules for names and sizes that readers and writers have in common.
 *
 * A reader gets a checkpoint whose file is mapped, and adds tensors in any order; ckpt.c sorts
 * them, refuses duplicates and finds the step. Memory comes from vq_ckpt_own() and goes with the
 * checkpoint, so a reader that fails just returns.
 */
#ifndef VQ_CORE_CKPT_FORMAT_H
#define VQ_CORE_CKPT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/file.h"
#include "core/ckpt/ckpt.h"

/* A name is at most this long and has at most this many parts between '/'. The longest in a
 * TrainState has 100 bytes and 12 parts; the limits keep a small file from asking for much memory
 * by nesting long keys, and what we write within the depth that msgpack readers bear. */
#define VQ_NAME_MAX   512
#define VQ_NAME_PARTS 24

/* Words of the authors' format, which flax_read.c describes. */
#define VQ_FLAX_FILE    "checkpoint" /* the one file in a checkpoint folder */
#define VQ_FLAX_PARAMS  "params/"    /* in front of every parameter's path */
#define VQ_FLAX_CHUNKED "__msgpack_chunked_array__"
#define VQ_FLAX_ARRAY   1 /* ext type */

struct vq_ckpt {
    char *path;
    struct vq_file file;
    const char *format; /* see vq_ckpt_format() */
    int64_t step;
    struct vq_tensor *tensors;
    size_t count, cap;
    struct vq_meta *meta; /* owned by blocks */
    size_t n_meta;
    struct vq_block *blocks;
};

/* n * size zeroed bytes, and a NUL-terminated copy of a text, that live as long as c; NULL when
 * memory is out. */
void *vq_ckpt_own(struct vq_ckpt *c, size_t n, size_t size);
char *vq_ckpt_own_text(struct vq_ckpt *c, const char *s, size_t n);

/* Appends a copy of *t under a copy of t->name. VQ_EFORMAT when the name is unsound. */
enum vq_status vq_ckpt_add(struct vq_ckpt *c, const struct vq_tensor *t, struct vq_err *err);

/* Puts the tensors in the order of vq_ckpt_at(). VQ_EFORMAT when two have one name. */
enum vq_status vq_ckpt_sort(struct vq_ckpt *c, struct vq_err *err);

/* Sound names are UTF-8 without control characters, have no empty part between '/', and keep the
 * limits above. VQ_EFORMAT otherwise. */
enum vq_status vq_name_check(const char *name, size_t n, struct vq_err *err);
/* Training state rather than a parameter, by its name: step, opt_state/..., generator/... */
bool vq_name_is_state(const char *name);
/* Byte order with runs of digits compared as numbers; 0 for identical names only. */
int vq_name_compare(const char *a, const char *b);
/* Whether `name` is what was asked for, '.' in `asked` standing for '/' too. */
bool vq_name_matches(const char *name, const char *asked);

/* By vq_dtype_name(); VQ_NONE when `name` is none of a tensor's dtypes. */
enum vq_dtype vq_dtype_named(const char *name, size_t n);
/* Sets count and bytes from dtype, rank and shape. VQ_EFORMAT for a negative dimension, a rank over
 * VQ_MAX_RANK, or a size that overflows. */
enum vq_status vq_tensor_measure(struct vq_tensor *t, struct vq_err *err);
/* An empty optimiser state: shape [0], no bytes. */
struct vq_tensor vq_tensor_none(const char *name, bool is_param);
/* vq_name_compare() of two tensors, for qsort() and bsearch(). */
int vq_tensor_by_name(const void *a, const void *b);
/* Pieces of a tensor's bytes, in order; `one` is filled when it has just one. */
const struct vq_span *vq_tensor_spans(const struct vq_tensor *t, struct vq_span *one, size_t *n);

/* What is to be written, as *n tensors that borrow from `in`, sorted by vq_name_compare(); *out is
 * the caller's to free(). VQ_EINVAL for unsound or duplicate names, shapes without data and the
 * like. */
enum vq_status vq_tensor_views(struct vq_tensor **out, const struct vq_tensor_out *in, size_t n,
                               struct vq_err *err);

/* Int8 matrices with scales, which files keep as two tensors. Joining is for a reader, once all
 * tensors have their data; it needs the metadata. Splitting is for a writer: *views (*n of them,
 * reallocated) become what goes into the file, sorted, with *names (the caller's to free()) for
 * those that were added. */
#define VQ_META_INT8 "int8" /* metadata key of files that hold such matrices */
const char *vq_scales_group(void); /* and its value */
enum vq_status vq_scales_join(struct vq_ckpt *c, struct vq_err *err);
enum vq_status vq_scales_split(struct vq_tensor **views, size_t *n, char **names,
                               struct vq_err *err);
bool vq_scales_any(const struct vq_tensor *t, size_t n);

/* Formats: whether the first bytes are those of the format (surely, not merely perhaps), and its
 * reader. Readers leave the naming of the file to their caller. */
bool vq_flax_matches(const uint8_t *data, size_t size);
enum vq_status vq_flax_read(struct vq_ckpt *c, struct vq_err *err);
bool vq_safetensors_matches(const uint8_t *data, size_t size);
enum vq_status vq_safetensors_read(struct vq_ckpt *c, struct vq_err *err);

/* vq_flax_write() with arrays of more than chunk_bytes (2^30 for real) chunked. */
enum vq_status vq_flax_write_chunked(const char *path, bool folder, const struct vq_tensor_out *t,
                                     size_t n, int64_t step, size_t chunk_bytes, uint64_t *bytes,
                                     struct vq_err *err);

#endif
