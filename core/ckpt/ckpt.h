/*
 * ckpt: checkpoint files as a list of named tensors, whatever the format. Reading maps the file and
 * touches headers only; tensor bytes are read when asked for. A format is one file and one row of
 * the table in ckpt.c: flax (both layouts, see flax_read.c) and safetensors.
 *
 * Every size, count and offset of a file is checked when it is opened, before anything is allocated
 * for it; a damaged file is a message, whatever it claims.
 *
 * Names. Parameters are named as the authors' code names them, joined by '/', without the leading
 * "params/": "transformer_layers_0/scanned_attn1/kvg_proj/kernel". Everything else keeps its full
 * path: "opt_state/inner_states/main/inner_state/1/0/mu/...", "step". Safetensors files written by
 * us use the same names, and there what is "step" or below "opt_state" or "generator" is training
 * state, all else parameters. Names are UTF-8 without control characters, of at most 512 bytes and
 * 24 parts, none of them empty; others are refused, in reading and in writing.
 */
#ifndef VQ_CORE_CKPT_CKPT_H
#define VQ_CORE_CKPT_CKPT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define VQ_MAX_RANK 8

enum vq_dtype {
    VQ_F32,
    VQ_BF16,
    VQ_F16,
    VQ_F64,
    VQ_I8,
    VQ_U8,
    VQ_I16,
    VQ_U16,
    VQ_I32,
    VQ_U32,
    VQ_I64,
    VQ_U64,
    VQ_BOOL,
    VQ_NONE /* an empty optimiser state: a leaf without data, of shape [0] */
};
const char *vq_dtype_name(enum vq_dtype dtype); /* "float32", "bfloat16", ... */
size_t vq_dtype_size(enum vq_dtype dtype);      /* 0 for VQ_NONE */

struct vq_tensor {
    const char *name; /* borrowed from the checkpoint */
    enum vq_dtype dtype;
    int rank;
    int64_t shape[VQ_MAX_RANK];
    size_t count;        /* product of shape, checked; 1 for a scalar */
    size_t bytes;        /* count * dtype size, all inside the file */
    const uint8_t *data; /* row-major little-endian, at any alignment; NULL when chunked. Inside
                          * the mapping, or a copy of a scalar that Flax stored as a plain number */
    size_t n_chunk;      /* > 0: the bytes are these pieces in order, each of whole elements */
    const struct vq_span *chunks;
    bool is_param; /* belongs to the model (not opt_state, step, generator) */
    /* Not NULL: an int8 matrix [K, N] whose number (k, n) counts times the float (k /
     * VQ_CKPT_GROUP, n) of scale[ceil(K / VQ_CKPT_GROUP), N], at any alignment. In the file that is
     * a tensor of its own; see vq_safetensors_write(). */
    const uint8_t *scale;
};
#define VQ_CKPT_GROUP 64
struct vq_span {
    const uint8_t *data;
    size_t size;
};

struct vq_ckpt;

/*
 * Opens `path`: a Flax msgpack file, a Flax `checkpoint_<step>` folder, a safetensors file, or a
 * folder of these: of its entries checkpoint_<step> and checkpoint_<step>.safetensors the one with
 * the highest step (numbers compared as numbers; safetensors when there are both), whatever else
 * there is, such as *.orbax-checkpoint-tmp-*, *_gda and checkpoint_tmp. All offsets, counts and
 * shapes are checked against the file here, so that later reads cannot fail on a sound file.
 * Messages say what the file is when it is another program's (vq_file_sniff), how long it is and
 * should be when cut, and name the tensor. Safetensors headers are taken up to 100,000,000 bytes,
 * as in that format's reference implementation.
 */
enum vq_status vq_ckpt_open(struct vq_ckpt **out, const char *path, struct vq_err *err);
void vq_ckpt_free(struct vq_ckpt *c);

/* The file that vq_ckpt_open() would open for `path`, without looking into it; *file is the
 * caller's to free. */
enum vq_status vq_ckpt_file(char **file, const char *path, struct vq_err *err);

const char *vq_ckpt_path(const struct vq_ckpt *c);   /* the file that was opened */
const char *vq_ckpt_format(const struct vq_ckpt *c); /* "flax-folder", "flax-file", "safetensors" */
size_t vq_ckpt_size(const struct vq_ckpt *c);        /* bytes of the file */
/* Optimiser updates: the integer scalar "step"; -1 when there is none. */
int64_t vq_ckpt_step(const struct vq_ckpt *c);
size_t vq_ckpt_count(const struct vq_ckpt *c);
/* Tensors in byte order of their names with numbers compared as numbers (_2 before _10). */
const struct vq_tensor *vq_ckpt_at(const struct vq_ckpt *c, size_t i);
/* By name; '.' in `name` matches '/'. NULL when absent. Quick when spelled with '/'. */
const struct vq_tensor *vq_ckpt_find(const struct vq_ckpt *c, const char *name);
/* A string of the file's metadata (safetensors __metadata__), NULL when absent. */
const char *vq_ckpt_meta(const struct vq_ckpt *c, const char *key);

/* All elements as f32 into dst[t->count]; integers and f64 convert with rounding, and what has
 * scales is multiplied by them. VQ_ESHAPE for VQ_NONE, VQ_ENUM for a scale that is none. */
enum vq_status vq_tensor_read_f32(const struct vq_tensor *t, float *dst, struct vq_err *err);
/* The n elements from `first` on, without those checks. */
void vq_tensor_read_part(const struct vq_tensor *t, size_t first, size_t n, float *dst);
/* Whether all scales of t are finite and not negative; VQ_ENUM, naming the first that is not, its
 * row and column among the scales. A tensor without scales passes. */
enum vq_status vq_tensor_check_scales(const struct vq_tensor *t, struct vq_err *err);
size_t vq_tensor_scales(const struct vq_tensor *t); /* how many; 0 without */
/* The n elements from `first` on were read and will not be soon: their pages need not stay in this
 * process, and come back when they are read after all. t NULL: so were all that were read. */
void vq_ckpt_forget(const struct vq_ckpt *c, const struct vq_tensor *t, size_t first, size_t n);
/* The raw bytes, t->bytes of them. */
void vq_tensor_read_raw(const struct vq_tensor *t, void *dst);
/* "[768, 128]" into buf. */
const char *vq_tensor_shape(const struct vq_tensor *t, char *buf, size_t len);

/* A tensor to be written. `data` is row-major little-endian of that dtype. With `from`, dtype and
 * shape (and the name, if that is NULL) are those of `from` too, and so are its scales. */
struct vq_tensor_out {
    const char *name;
    enum vq_dtype dtype;
    int rank;
    int64_t shape[VQ_MAX_RANK];
    const void *data;
    const struct vq_tensor *from; /* instead of data: copy from an open checkpoint */
};
struct vq_meta {
    const char *key, *value;
};

/*
 * Writes safetensors atomically: names sorted as by vq_ckpt_at(), the data on a multiple of 8 bytes
 * (header padded with spaces) and without gaps, larger elements first so that each tensor is
 * aligned to its own. Metadata as given. VQ_NONE tensors become entries of shape [0] listed in the
 * metadata key "empty" (a JSON array of names) so that a Flax file can be made again. A tensor X
 * with scales becomes two, X of dtype I8 and X_scale of dtype F32, and the metadata key "int8" says
 * "64", the group that a scale is for; a file with that key is read back accordingly. *bytes
 * (optional) = size written. VQ_EINVAL for duplicate names, VQ_EFORMAT for unsound ones; on any
 * failure what was at `path` is untouched.
 */
enum vq_status vq_safetensors_write(const char *path, const struct vq_tensor_out *t, size_t n,
                                    const struct vq_meta *meta, size_t n_meta, uint64_t *bytes,
                                    struct vq_err *err);

/*
 * Writes the authors' layout; tensors with scales have no place in it (VQ_EUNSUPPORTED). folder =
 * true: `path` becomes a folder (conventionally checkpoint_<step>) with one file `checkpoint`,
 * tuples (parts 0, 1, ... below opt_state) as arrays, empty states as nil; false: one msgpack file,
 * tuples as maps "0","1",..., empty states as empty maps. Maps are sorted by key; arrays over 2^30
 * bytes reached through maps alone are chunked, those over 4 GiB elsewhere are VQ_EUNSUPPORTED.
 * Training state (see above) goes beside "params", all else below it; the authors' reader takes no
 * other state than step and opt_state. `step` is written as an int32 scalar when no tensor of that
 * name is given.
 *
 * A folder comes into being whole, by a rename. One that exists is replaced if it is empty or a
 * checkpoint (holds nothing but `checkpoint`), by replacing that file; else VQ_EINVAL. On failure
 * what was at `path` is untouched and nothing is left beside it.
 */
enum vq_status vq_flax_write(const char *path, bool folder, const struct vq_tensor_out *t, size_t n,
                             int64_t step, uint64_t *bytes, struct vq_err *err);

#endif
