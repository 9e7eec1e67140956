/*
 * arena: memory that lives and dies together, in large pages where the system has them. What
 * generating a token reads is many arrays of a few megabytes; on their own they would be too small
 * for pages of 2 MB, and reading them would stop at every fourth kilobyte to look up the next page.
 */
#ifndef VQ_CORE_BASE_ARENA_H
#define VQ_CORE_BASE_ARENA_H

#include "core/base/mem.h"

struct vq_arena;

/* Takes memory from the system `step` bytes at a time, or as many as a larger piece needs. NULL
 * when memory is out. */
struct vq_arena *vq_arena_new(size_t step);
/* All pieces go with it. */
void vq_arena_free(struct vq_arena *a);

/* n zeroed objects of `size` bytes on a 64-byte boundary, followed by at least 64 bytes that may be
 * read. Pages that are never touched cost nothing. NULL on overflow or when memory is out. */
void *vq_arena_alloc(struct vq_arena *a, size_t n, size_t size);

/* What an arena of this step will hold resident, all of its large pages in use: add the pieces as
 * they will be asked for. Zeroed but for `step` at first. */
struct vq_arena_plan {
    size_t step, bytes, used; /* bytes and used: of the part that is being filled */
    uint64_t before;          /* in the parts before it */
};
void vq_arena_plan_add(struct vq_arena_plan *p, size_t bytes);
uint64_t vq_arena_plan_bytes(const struct vq_arena_plan *p);

#endif
