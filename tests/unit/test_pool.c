/* The thread pool: every task once, whatever the number of threads, and workers that sleep and
 * wake. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/pool.h"

#define MAX_TASKS 1000

struct counts {
    atomic_int done[MAX_TASKS];
    atomic_int wrong_worker;
    int threads;
};

static void count_task(void *ud, size_t task, int worker)
{
    struct counts *c = ud;
    atomic_fetch_add(&c->done[task], 1);
    if (worker < 0 || worker >= c->threads)
        atomic_fetch_add(&c->wrong_worker, 1);
}

static struct vq_pool *new_pool(int threads)
{
    struct vq_pool *p;
    struct vq_err err;
    assert_int_equal(vq_pool_new(&p, threads, &err), VQ_OK);
    assert_int_equal(vq_pool_threads(p), threads);
    return p;
}

static void run_and_check(struct vq_pool *p, int threads, size_t n)
{
    static struct counts c;
    memset(&c, 0, sizeof(c));
    c.threads = threads;
    vq_pool_run(p, n, count_task, &c);
    for (size_t i = 0; i < MAX_TASKS; i++)
        assert_int_equal(atomic_load(&c.done[i]), i < n ? 1 : 0);
    assert_int_equal(atomic_load(&c.wrong_worker), 0);
}

static void test_every_task_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 7, 100, MAX_TASKS};
    for (int threads = 1; threads <= 8; threads++) {
        struct vq_pool *p = new_pool(threads);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            run_and_check(p, threads, sizes[i]);
        vq_pool_free(p);
    }
}

static void test_no_pool_is_serial(void **state)
{
    (void)state;
    assert_int_equal(vq_pool_threads(NULL), 1);
    run_and_check(NULL, 1, 0);
    run_and_check(NULL, 1, MAX_TASKS);
    vq_pool_free(NULL);
}

struct order {
    size_t next;
    bool ascending;
};

static void order_task(void *ud, size_t task, int worker)
{
    struct order *o = ud;
    o->ascending = o->ascending && task == o->next && worker == 0;
    o->next++;
}

static void test_one_thread_goes_in_order(void **state)
{
    (void)state;
    struct vq_pool *p = new_pool(1);
    struct order o = {.ascending = true};
    vq_pool_run(p, 50, order_task, &o);
    assert_true(o.ascending);
    assert_int_equal(o.next, 50);
    vq_pool_free(p);
}

struct sum {
    uint64_t part[4];
};

static void sum_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct sum *s = ud;
    s->part[task] += task + 1; /* each run's writes must be seen by the next run's */
}

static void test_many_tiny_runs(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 4; threads += 2) {
        struct vq_pool *p = new_pool(threads);
        struct sum s = {{0}};
        for (int i = 0; i < 5000; i++)
            vq_pool_run(p, 4, sum_task, &s);
        for (size_t t = 0; t < 4; t++)
            assert_int_equal(s.part[t], 5000 * (t + 1));
        vq_pool_free(p);
    }
}

struct meeting {
    atomic_int here;
    int wanted;
    atomic_int absent;
    atomic_int open_masks; /* workers that signals could reach */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits for all the others, so that no thread can do two of these. */
static void meet_task(void *ud, size_t task, int worker)
{
    (void)task;
    struct meeting *m = ud;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (worker && (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGWINCH)))
        atomic_fetch_add(&m->open_masks, 1);
    atomic_fetch_add(&m->here, 1);
    double end = now() + 20;
    while (atomic_load(&m->here) < m->wanted) {
        if (now() > end) {
            atomic_fetch_add(&m->absent, 1);
            return;
        }
        usleep(100);
    }
}

static void test_threads_work_together_after_sleep(void **state)
{
    (void)state;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (int threads = 2; threads <= 5; threads++) {
        struct vq_pool *p = new_pool(threads);
        for (int i = 0; i < 4; i++) {
            struct meeting m = {.wanted = threads};
            usleep(3000); /* long enough for the workers to stop spinning */
            vq_pool_run(p, (size_t)threads, meet_task, &m);
            assert_int_equal(atomic_load(&m.absent), 0);
            assert_int_equal(atomic_load(&m.open_masks), 0);
        }
        vq_pool_free(p);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
}

static void test_bad_thread_counts(void **state)
{
    (void)state;
    static const int bad[] = {0, -1, 257, 1 << 30};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vq_pool *p = (struct vq_pool *)&i;
        struct vq_err err = {0};
        assert_int_equal(vq_pool_new(&p, bad[i], &err), VQ_EINVAL);
        assert_null(p);
        assert_non_null(strstr(err.msg, "256"));
    }
}

static void test_allocation_failures(void **state)
{
    (void)state;
    enum vq_status rc = VQ_ENOMEM;
    for (long nth = 1; rc != VQ_OK; nth++) {
        struct vq_pool *p;
        struct vq_err err = {0};
        assert_true(nth < 20);
        vq_mem_fail_at(nth);
        rc = vq_pool_new(&p, 3, &err);
        vq_mem_fail_at(0);
        if (rc != VQ_OK) {
            assert_int_equal(rc, VQ_ENOMEM);
            assert_int_equal(err.code, VQ_ENOMEM);
            assert_null(p);
        }
        vq_pool_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_no_pool_is_serial),
        cmocka_unit_test(test_one_thread_goes_in_order),
        cmocka_unit_test(test_many_tiny_runs),
        cmocka_unit_test(test_threads_work_together_after_sleep),
        cmocka_unit_test(test_bad_thread_counts),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
