#include "core/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE ((size_t)2 << 20)
#define LINE  ((size_t)64)

/* One mapping; its record is on the heap, so that no page of it begins with anything but data. */
struct part {
    struct part *next;
    void *map;
    size_t map_bytes;
    unsigned char *data; /* the first large page of map */
    size_t bytes, used;
};

struct vq_arena {
    size_t step;
    struct part *parts; /* the one that is being filled first */
};

struct vq_arena *vq_arena_new(size_t step)
{
    struct vq_arena *a = vq_calloc(1, sizeof(*a));
    if (a)
        a->step = step;
    return a;
}

void vq_arena_free(struct vq_arena *a)
{
    while (a && a->parts) {
        struct part *p = a->parts;
        a->parts = p->next;
        munmap(p->map, p->map_bytes);
        free(p);
    }
    free(a);
}

static size_t large_pages(size_t bytes)
{
    return (bytes + LARGE - 1) / LARGE * LARGE;
}

/* A piece and the bytes behind it that may be read. */
static size_t padded_piece(size_t bytes)
{
    return (bytes + 2 * LINE - 1) / LINE * LINE;
}

static struct part *map_part(size_t bytes)
{
    struct part *p = vq_calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->bytes = large_pages(bytes);
    p->map_bytes = p->bytes + LARGE;
    p->map = mmap(NULL, p->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->map == MAP_FAILED) {
        free(p);
        return NULL;
    }
    p->data = (unsigned char *)p->map + (LARGE - (uintptr_t)p->map % LARGE) % LARGE;
    madvise(p->data, p->bytes, MADV_HUGEPAGE); /* where there are none nothing is lost */
    return p;
}

void *vq_arena_alloc(struct vq_arena *a, size_t n, size_t size)
{
    size_t bytes, padded;
    if (!vq_mul_ok(n, size, &bytes) || !vq_add_ok(bytes, 2 * LINE + 2 * LARGE, &padded))
        return NULL;
    padded = padded_piece(bytes);
    if (!a->parts || a->parts->bytes - a->parts->used < padded) {
        struct part *p = map_part(padded > a->step ? padded : a->step);
        if (!p)
            return NULL;
        p->next = a->parts;
        a->parts = p;
    }
    void *piece = a->parts->data + a->parts->used;
    a->parts->used += padded;
    return piece;
}

void vq_arena_plan_add(struct vq_arena_plan *p, size_t bytes)
{
    size_t padded = padded_piece(bytes);
    if (p->bytes - p->used < padded) {
        p->before += large_pages(p->used);
        p->bytes = large_pages(padded > p->step ? padded : p->step);
        p->used = 0;
    }
    p->used += padded;
}

uint64_t vq_arena_plan_bytes(const struct vq_arena_plan *p)
{
    return p->before + large_pages(p->used);
}
