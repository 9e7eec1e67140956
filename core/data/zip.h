/*
 * zip: reading members of ZIP archives (npz files are such) at any offset, in constant memory. The
 * archive is mapped. A member is gone through once, at its first use, to check it against its CRC.
 * A stored one is then read where it lies; of a deflated one it was noted every megabyte how
 * decompression can be taken up there (the last 32 KB of output), so that later reads start nearby.
 * The only user of zlib. ZIP64 is read; encryption, other methods and archives in several parts are
 * not.
 */
#ifndef VQ_CORE_DATA_ZIP_H
#define VQ_CORE_DATA_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct vq_zip; /* for one thread at a time */

/* Reads the directory. VQ_EFORMAT when there is none (no archive, or cut short) or when it does not
 * fit the file; messages begin with the path. */
enum vq_status vq_zip_open(struct vq_zip **out, const char *path, struct vq_err *err);
void vq_zip_free(struct vq_zip *z);

size_t vq_zip_count(const struct vq_zip *z);
const char *vq_zip_name(const struct vq_zip *z, size_t i); /* "data.npy"; folders end in '/' */
uint64_t vq_zip_size(const struct vq_zip *z, size_t i);    /* bytes when decompressed */

/* Copies the n bytes from `offset` of member i; VQ_EINVAL when it has not so many. VQ_EFORMAT for a
 * damaged member, VQ_EUNSUPPORTED for one that is encrypted or packed by another method;
 * VQ_ECANCELLED, VQ_ENOMEM. Messages name archive and member. */
enum vq_status vq_zip_read(struct vq_zip *z, size_t i, uint64_t offset, size_t n, void *dst,
                           const struct vq_cancel *cancel, struct vq_err *err);

/* The first n bytes of member i, without going through the rest of it first: nothing is checked
 * against the CRC. Codes as above. */
enum vq_status vq_zip_head(struct vq_zip *z, size_t i, size_t n, void *dst, struct vq_err *err);

#endif
