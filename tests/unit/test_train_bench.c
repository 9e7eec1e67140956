/*
 * Measuring whole updates: what is counted, and that a cancel ends it inside an update.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/train/bench.h"

static struct vq_err err;

static struct vq_trainer *small_trainer(struct vq_pool *pool)
{
    struct vq_settings s;
    struct vq_trainer *t = NULL;
    vq_settings_default(&s);
    assert_int_equal(vq_settings_preset(&s, "text-tiny", &err), VQ_OK);
    s.v.global_batch_size = 1;
    const struct vq_trainer_options o = {.pool = pool};
    assert_int_equal(vq_trainer_new(&t, &s, &o, 1, &err), VQ_OK);
    return t;
}

static int polls, stop_at;
static bool count_polls(void *ud)
{
    (void)ud;
    return ++polls == stop_at;
}

static void test_counts(void **state)
{
    struct vq_trainer *t = small_trainer(*state);
    struct vq_train_bench b;
    assert_int_equal(vq_train_bench_run(&b, t, 2, 0, NULL, &err), VQ_OK);
    assert_int_equal(b.updates, 2);
    assert_int_equal(b.tokens, 2 * t->settings.v.update_len);
    assert_int_equal(t->step, 3); /* one to warm up */
    assert_true(b.fastest > 0 && b.fastest <= b.seconds);
    assert_true(b.limit > 0 && b.sgemm > 0 && b.flops > b.again);
    vq_trainer_free(t);
}

/* The first update alone asks more than three times; a benchmark that asked between updates only
 * would be at its third by then. */
static void test_cancel(void **state)
{
    struct vq_trainer *t = small_trainer(*state);
    struct vq_train_bench b;
    const struct vq_cancel cancel = {count_polls, NULL};
    polls = 0;
    stop_at = 3;
    assert_int_equal(vq_train_bench_run(&b, t, 100, 0, &cancel, &err), VQ_ECANCELLED);
    assert_int_equal(polls, stop_at);
    assert_int_equal(b.updates, 0);
    assert_int_equal(t->step, 0);
    vq_trainer_free(t);
}

static int make_pool(void **state)
{
    struct vq_pool *pool = NULL;
    enum vq_status st = vq_pool_new(&pool, 1, &err);
    *state = pool;
    return st;
}

static int free_pool(void **state)
{
    vq_pool_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, make_pool, free_pool);
}
