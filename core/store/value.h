/*
 * value: one value of the run database, typed and lossless.
 *
 * SQLite has no NaN (it turns into NULL) and text is often bytes, so every value that leaves or
 * enters the store carries its kind. A real may be NaN or infinite; text and blobs carry a length
 * and may hold NUL bytes.
 */
#ifndef VQ_CORE_STORE_VALUE_H
#define VQ_CORE_STORE_VALUE_H

#include <stddef.h>
#include <stdint.h>

enum vq_value_kind {
    VQ_VALUE_NULL = 0,
    VQ_VALUE_INT,  /* i */
    VQ_VALUE_REAL, /* d, NaN and the infinities included */
    VQ_VALUE_TEXT, /* text, len; a NUL byte follows the last one */
    VQ_VALUE_BLOB  /* text, len; nothing follows */
};

/* `text` is borrowed from whoever hands the value out; each function says for how long. */
struct vq_value {
    enum vq_value_kind kind;
    int64_t i;
    double d;
    const char *text;
    size_t len;
};

/* A copy of n bytes, whatever they are, and a NUL after them; the caller frees it. NULL when out of
 * memory. */
char *vq_copy_bytes(const char *s, size_t n);

#endif
