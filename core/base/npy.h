/*
 * npy: numpy array files, C order, little-endian. Reads versions 1 to 3 with elements of the types
 * below; Fortran order, big-endian, objects, strings, booleans, complex numbers and structures are
 * refused by name. The header's shape must account for every byte of the file.
 */
#ifndef VQ_CORE_BASE_NPY_H
#define VQ_CORE_BASE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define VQ_NPY_MAX_RANK 8

enum vq_npy_type {
    VQ_NPY_F32,
    VQ_NPY_F64,
    VQ_NPY_F16,
    VQ_NPY_I32,
    VQ_NPY_I64,
    VQ_NPY_I16,
    VQ_NPY_U16,
    VQ_NPY_I8,
    VQ_NPY_U8,
    VQ_NPY_U32,
    VQ_NPY_U64
};

struct vq_npy {
    enum vq_npy_type type;
    int rank;
    size_t shape[VQ_NPY_MAX_RANK];
    size_t count; /* product of the shape; 1 for rank 0 */
    void *data;   /* owned; count elements */
};

/* VQ_EFORMAT: no array, or cut, or with trailing bytes (all sizes are checked against the file
 * before anything is allocated); VQ_EUNSUPPORTED: an array, but not one of ours. Messages begin
 * with the path. */
enum vq_status vq_npy_read(struct vq_npy *out, const char *path, struct vq_err *err);
/* For arrays that are not to be read whole: type, shape and count (data stays NULL) from a file's
 * first `size` bytes, of which VQ_NPY_HEADER are always enough, and where its elements start. Then
 * whether `found` bytes of elements are what the shape needs. Codes as above, no path. */
#define VQ_NPY_HEADER (12 + 65536)
enum vq_status vq_npy_header(struct vq_npy *out, size_t *start, const void *data, size_t size,
                             struct vq_err *err);
enum vq_status vq_npy_check_size(const struct vq_npy *a, uint64_t found, struct vq_err *err);
void vq_npy_release(struct vq_npy *a);               /* a may be zeroed; leaves it zeroed */
const char *vq_npy_type_name(enum vq_npy_type type); /* "float32", "int32", ... */
size_t vq_npy_type_size(enum vq_npy_type type);

/* Reads an integer array of rank 1 or 2 as int32 tokens [rows, cols] (rank 1: rows = 1). Any
 * integer type is taken as long as each value fits (VQ_EINVAL names the first that does not);
 * floats and other ranks are VQ_ESHAPE. *tokens is the caller's to free; it may hold ids that are
 * outside a vocabulary, negative ones too. */
enum vq_status vq_npy_read_tokens(const char *path, int32_t **tokens, size_t *rows, size_t *cols,
                                  int *rank, struct vq_err *err);

/* Writes version 1 atomically: `path` is either untouched or whole. */
enum vq_status vq_npy_write(const char *path, enum vq_npy_type type, int rank, const size_t *shape,
                            const void *data, struct vq_err *err);

/* Writing row by row when the whole does not fit in memory: open with the final shape, put
 * elements in order, then close or abort. close fails, leaving `path` untouched, unless exactly
 * the announced count was put; it frees the writer either way. */
struct vq_npy_writer;
enum vq_status vq_npy_writer_open(struct vq_npy_writer **out, const char *path,
                                  enum vq_npy_type type, int rank, const size_t *shape,
                                  struct vq_err *err);
enum vq_status vq_npy_writer_put(struct vq_npy_writer *w, const void *data, size_t count,
                                 struct vq_err *err);
enum vq_status vq_npy_writer_close(struct vq_npy_writer *w, struct vq_err *err);
void vq_npy_writer_abort(struct vq_npy_writer *w); /* NULL is fine */

#endif
