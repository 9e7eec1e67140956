/*
 * hash: SHA-256 of files and buffers as 64 lower-case hex digits; the only user of libcrypto.
 */
#ifndef VQ_CORE_BASE_HASH_H
#define VQ_CORE_BASE_HASH_H

#include <stddef.h>

#include "core/base/err.h"

#define VQ_SHA256_HEX 65 /* with the terminating NUL */

enum vq_status vq_sha256(const void *data, size_t size, char hex[VQ_SHA256_HEX],
                         struct vq_err *err);
/* Reads the file in pieces of 1 MB (constant memory), polling `cancel` between them. */
enum vq_status vq_sha256_file(const char *path, char hex[VQ_SHA256_HEX],
                              const struct vq_cancel *cancel, struct vq_err *err);

#endif
