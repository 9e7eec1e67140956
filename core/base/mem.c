#include "core/base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE        64
#define LARGE_BYTES ((size_t)4 << 20) /* from here on large pages are asked for */

static atomic_long allocations; /* since the last vq_mem_fail_at() */
static atomic_long fail_at;     /* the allocation that fails; 0 = none */

static bool allowed(void)
{
    long n = atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed) + 1;
    return n != atomic_load_explicit(&fail_at, memory_order_relaxed);
}

long vq_mem_fail_at(long nth)
{
    atomic_store(&fail_at, nth);
    return atomic_exchange(&allocations, 0);
}

void *vq_alloc(size_t n, size_t size)
{
    size_t bytes;
    if (!allowed() || !vq_mul_ok(n, size, &bytes))
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *vq_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!allowed() || !vq_mul_ok(n, size, &bytes))
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *vq_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!allowed() || !vq_mul_ok(n, size, &bytes))
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

char *vq_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = vq_alloc(len + 1, 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *vq_strdup(const char *s)
{
    return vq_strndup(s, strlen(s));
}

/* Large pages spare a page walk every 4 KB; where there are none nothing is lost. */
static void ask_large_pages(void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)p + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)p + bytes) / page * page;
    madvise((void *)from, to - from, MADV_HUGEPAGE);
}

void *vq_alloc_aligned(size_t bytes)
{
    size_t padded;
    if (!allowed() || !vq_add_ok(bytes, 127, &padded))
        return NULL;
    void *p = NULL;
    if (posix_memalign(&p, LINE, padded / LINE * LINE))
        return NULL;
    if (padded >= LARGE_BYTES)
        ask_large_pages(p, padded);
    return p;
}

float *vq_alloc_f32(size_t n)
{
    size_t bytes;
    if (!vq_mul_ok(n, sizeof(float), &bytes))
        return NULL;
    float *p = vq_alloc_aligned(bytes);
    if (p)
        memset(p, 0, ((bytes + 127) & ~(size_t)63));
    return p;
}

enum vq_status vq_nomem(struct vq_err *err, const char *what, size_t n, size_t size)
{
    size_t bytes;
    if (!vq_mul_ok(n, size, &bytes))
        return vq_fail(err, VQ_ENOMEM, "%s: the size %zu x %zu bytes overflows", what, n, size);
    return vq_fail(err, VQ_ENOMEM, "%s: out of memory for %zu bytes", what, bytes);
}
