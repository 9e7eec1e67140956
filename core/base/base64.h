/*
 * base64: bytes as text (RFC 4648, with padding).
 */
#ifndef VQ_CORE_BASE_BASE64_H
#define VQ_CORE_BASE_BASE64_H

#include <stddef.h>

#include "core/base/text.h"

/* Appends n bytes. */
void vq_text_base64(struct vq_text *t, const void *data, size_t n);

#endif
