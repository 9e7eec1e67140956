/*
 * pool: one run at a time is described by fn, ud and n_tasks and published by storing the number of
 * tasks in `left`. Whoever lowers `left` by one has taken a task; a thread that has taken a task
 * keeps the run alive until it adds to `done`, so the description may be read after the taking and
 * a thread that wakes late finds nothing to do and touches nothing. The caller therefore waits for
 * tasks, never for threads: a thread that the system has put aside costs only the task it holds.
 */
#include "core/base/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/mem.h"

#define MAX_THREADS 256
#define STACK_BYTES ((size_t)4 << 20)
#define SPINS       3000 /* some 30 to 100 us: longer than the serial step between two products */

struct worker {
    struct vq_pool *pool;
    pthread_t thread;
    int index;
};

struct vq_pool {
    int threads;
    int started; /* workers that exist, for the destructor of a half-built pool */
    struct worker *workers;

    vq_task fn;
    void *ud;
    size_t n_tasks;

    /* Each on a line of its own: `left` and `done` are written by everyone. */
    _Alignas(64) atomic_size_t left;
    _Alignas(64) atomic_size_t done;
    _Alignas(64) atomic_uint epoch; /* futex: changes with each run */
    atomic_uint sleepers;
    atomic_bool stop;
    _Alignas(64) atomic_uint finished; /* futex: 1 when the last task is done */
    atomic_bool caller_sleeps;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Spurious returns are fine: all callers look again. */
static void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, size_t n)
{
    int count = n < INT_MAX ? (int)n : INT_MAX;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void finish_task(struct vq_pool *p, size_t n_tasks)
{
    if (atomic_fetch_add(&p->done, 1) + 1 != n_tasks)
        return;
    atomic_store(&p->finished, 1);
    if (atomic_load(&p->caller_sleeps))
        futex_wake(&p->finished, 1);
}

/* Takes tasks until none is left. */
static void work(struct vq_pool *p, int worker)
{
    size_t left = atomic_load_explicit(&p->left, memory_order_relaxed);
    while (left) {
        if (!atomic_compare_exchange_weak(&p->left, &left, left - 1))
            continue;
        size_t n_tasks = p->n_tasks;
        p->fn(p->ud, n_tasks - left, worker);
        finish_task(p, n_tasks);
        left = atomic_load_explicit(&p->left, memory_order_relaxed);
    }
}

/* Returns when there may be something to do. */
static void await_run(struct vq_pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->epoch, memory_order_relaxed) != seen)
            return;
        relax();
    }
    /* The caller raises epoch before it looks at sleepers; we announce ourselves before the kernel
     * looks at epoch: one of the two sees the other. */
    atomic_fetch_add(&p->sleepers, 1);
    futex_wait(&p->epoch, seen);
    atomic_fetch_sub(&p->sleepers, 1);
}

static void *worker_main(void *arg)
{
    const struct worker *w = arg;
    struct vq_pool *p = w->pool;
    for (;;) {
        unsigned seen = atomic_load(&p->epoch);
        if (atomic_load(&p->stop))
            return NULL;
        work(p, w->index);
        await_run(p, seen);
    }
}

static int start_worker(struct vq_pool *p, const pthread_attr_t *attr, int index)
{
    struct worker *w = &p->workers[index - 1];
    *w = (struct worker){.pool = p, .index = index};
    int rc = pthread_create(&w->thread, attr, worker_main, w);
    if (rc)
        return rc;
    char name[16];
    snprintf(name, sizeof(name), "vq-%d", index);
    pthread_setname_np(w->thread, name);
    p->started++;
    return 0;
}

/* Signals stay with the threads of the program: workers are created with all of them blocked. */
static int start_workers(struct vq_pool *p)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc)
        return rc;
    sigset_t all, old;
    sigfillset(&all);
    rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!rc)
        rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!rc) {
        for (int i = 1; i < p->threads && !rc; i++)
            rc = start_worker(p, &attr, i);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attr);
    return rc;
}

enum vq_status vq_pool_new(struct vq_pool **out, int threads, struct vq_err *err)
{
    *out = NULL;
    if (threads < 1 || threads > MAX_THREADS)
        return vq_fail(err, VQ_EINVAL, "threads must be 1 to %d, found %d", MAX_THREADS, threads);
    struct vq_pool *p = vq_alloc_aligned(sizeof(*p));
    if (!p)
        return vq_nomem(err, "thread pool", 1, sizeof(*p));
    *p = (struct vq_pool){.threads = threads};
    p->workers = vq_calloc((size_t)threads, sizeof(*p->workers));
    if (!p->workers) {
        vq_pool_free(p);
        return vq_nomem(err, "thread pool", (size_t)threads, sizeof(*p->workers));
    }
    int rc = start_workers(p);
    if (rc) {
        int started = p->started;
        vq_pool_free(p);
        return vq_fail_errno(err, rc, "cannot start worker thread %d of %d", started + 1,
                             threads - 1);
    }
    *out = p;
    return VQ_OK;
}

void vq_pool_free(struct vq_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->epoch, 1);
    futex_wake(&p->epoch, INT_MAX);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    free(p->workers);
    free(p);
}

int vq_pool_threads(const struct vq_pool *p)
{
    return p ? p->threads : 1;
}

static void await_tasks(struct vq_pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&p->finished))
            return;
        relax();
    }
    atomic_store(&p->caller_sleeps, true);
    while (!atomic_load(&p->finished))
        futex_wait(&p->finished, 0);
    atomic_store(&p->caller_sleeps, false);
}

void vq_pool_run(struct vq_pool *p, size_t n_tasks, vq_task fn, void *ud)
{
    if (!p || p->threads == 1 || n_tasks <= 1) {
        for (size_t i = 0; i < n_tasks; i++)
            fn(ud, i, 0);
        return;
    }
    p->fn = fn;
    p->ud = ud;
    p->n_tasks = n_tasks;
    atomic_store(&p->done, 0);
    atomic_store(&p->finished, 0);
    atomic_store(&p->left, n_tasks);
    atomic_fetch_add(&p->epoch, 1);
    if (atomic_load(&p->sleepers))
        futex_wake(&p->epoch, n_tasks - 1);
    work(p, 0);
    await_tasks(p);
}
