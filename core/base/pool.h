/*
 * pool: worker threads that share one list of tasks at a time. Tasks write disjoint outputs and
 * each task is computed the same way whichever thread takes it, so results do not depend on the
 * number of threads. Waiting threads spin briefly, then sleep on a futex: pure spinning collapses
 * when another process holds a core.
 */
#ifndef VQ_CORE_BASE_POOL_H
#define VQ_CORE_BASE_POOL_H

#include <stddef.h>

#include "core/base/err.h"

struct vq_pool;

/* task in 0..n_tasks-1; worker in 0..threads-1 names the thread, for its scratch memory. */
typedef void (*vq_task)(void *ud, size_t task, int worker);

/* threads >= 1 counts the caller, who works too; 1 starts none. At most 256. */
enum vq_status vq_pool_new(struct vq_pool **out, int threads, struct vq_err *err);
void vq_pool_free(struct vq_pool *p);
int vq_pool_threads(const struct vq_pool *p);

/* Runs fn for every task and returns when all are done. Tasks start in order. One run at a time:
 * calls from two threads must not overlap, and a task must not call it. p may be NULL: serial. */
void vq_pool_run(struct vq_pool *p, size_t n_tasks, vq_task fn, void *ud);

#endif
