/*
 * mem: allocation with checked sizes. Every size that comes from a file or a user is multiplied
 * through here; nothing else in core multiplies sizes before allocating.
 *
 * Failures return NULL (vq_alloc & co) or VQ_ENOMEM with a message (vq_nomem).
 */
#ifndef VQ_CORE_BASE_MEM_H
#define VQ_CORE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* *out = a * b; false (and *out = 0) on overflow. */
static inline bool vq_mul_ok(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out) ? (*out = 0, false) : true;
}

/* *out = a + b; false (and *out = 0) on overflow. */
static inline bool vq_add_ok(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out) ? (*out = 0, false) : true;
}

/* n objects of `size` bytes; n = 0 gives a valid pointer. NULL on overflow or when memory is out.
 * Free with free(). */
void *vq_alloc(size_t n, size_t size);
void *vq_calloc(size_t n, size_t size);
void *vq_realloc(void *p, size_t n, size_t size);
char *vq_strdup(const char *s);
char *vq_strndup(const char *s, size_t n);

/* n floats on a 64-byte boundary, zeroed; the allocation is rounded up to whole 64-byte lines, so
 * kernels may read (never rely on) up to 15 floats past the end. Free with free(). NULL as above. */
float *vq_alloc_f32(size_t n);
/* The same for n bytes, not zeroed. From 4 MB on, both ask for large pages. */
void *vq_alloc_aligned(size_t bytes);

/* VQ_ENOMEM naming `what` and the size in bytes; for call sites whose allocation returned NULL. */
enum vq_status vq_nomem(struct vq_err *err, const char *what, size_t n, size_t size);

/* Test hook: the nth allocation from now on (1 = the next) and no other fails; 0 turns it off.
 * Returns how many allocations were made since the last call. Not for use outside tests. */
long vq_mem_fail_at(long nth);

#endif
