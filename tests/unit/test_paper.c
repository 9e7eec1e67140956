/*
 * The comparison with quadratic models: what is measured, what is extrapolated and how, what is
 * refused. Only orders that hold on any machine are asserted of speeds.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bench/paper.h"

static struct vq_err err;

static struct vq_settings tiny(void)
{
    struct vq_settings s;
    vq_settings_default(&s);
    assert_int_equal(vq_settings_preset(&s, "text-tiny", &err), VQ_OK);
    s.v.n_layer = 1;
    return s;
}

static void test_extrapolate(void **unused)
{
    (void)unused;
    /* 3 n + 2 n^2 */
    double at = vq_paper_extrapolate(9, 10, 230, 20, 860, 100);
    assert_true(fabs(at - 20300) < 1e-6);
    /* growing faster than n^2, or falling: n (n + balance) through the second */
    assert_true(fabs(vq_paper_extrapolate(0, 10, 1, 20, 100, 40) - 400) < 1e-9);
    assert_true(fabs(vq_paper_extrapolate(20, 10, 1, 20, 100, 40) - 300) < 1e-9);
    assert_true(fabs(vq_paper_extrapolate(0, 10, 100, 20, 100, 40) - 400) < 1e-9);
    /* one measurement */
    assert_true(fabs(vq_paper_extrapolate(20, 0, 0, 20, 100, 40) - 300) < 1e-9);
}

static int told;
static void tell(void *ud, enum vq_paper_work w, enum vq_attention model, size_t length)
{
    assert_ptr_equal(ud, &told);
    assert_true(w < VQ_PAPER_WORKS && model < VQ_PAPER_MODELS && length >= 64);
    told++;
}

static void test_run(void **unused)
{
    static const size_t lengths[] = {64, 256, 1024};
    struct vq_settings s = tiny();
    struct vq_paper p;
    (void)unused;
    struct vq_paper_options o = {.lengths = lengths,
                                 .n_length = 3,
                                 .repeats = 2,
                                 .limit = 1000,
                                 .memory = UINT64_MAX,
                                 .ud = &told,
                                 .progress = tell};
    assert_int_equal(vq_paper_run(&p, &s, &o, &err), VQ_OK);
    assert_int_equal(p.n_length, 3);
    assert_true(told > 3 * 2 * (2 * 3 + 2));
    for (size_t i = 0; i < 3; i++) {
        for (int w = 0; w < VQ_PAPER_WORKS; w++) {
            for (int m = 0; m < VQ_PAPER_MODELS; m++) {
                assert_int_equal(p.at[i][w][m].repeats, 2);
                assert_true(p.at[i][w][m].seconds > 0 && p.at[i][w][m].seconds < 10);
            }
        }
    }
    assert_false(p.recomputed);
    vq_paper_release(&p);

    o.limit = 0; /* all but the first length of the quadratic models */
    o.memory = 0;
    assert_int_equal(vq_paper_run(&p, &s, &o, &err), VQ_OK);
    for (size_t i = 0; i < 3; i++) {
        for (int m = 0; m < VQ_PAPER_MODELS; m++) {
            bool measured = i == 0 || m == VQ_ATTENTION_CODES;
            assert_int_equal(p.at[i][VQ_PAPER_TRAIN][m].repeats, measured ? 2 : 0);
            assert_int_equal(p.at[i][VQ_PAPER_GENERATE][m].repeats, 2);
        }
    }
    /* from one length alone: of a token D (3 V + 2 K) + K (M + 1) by itself, K + V with each key */
    double first = p.at[0][VQ_PAPER_FORWARD][VQ_ATTENTION_DENSE].seconds;
    double balance = (96 * (3 * 192 + 2 * 32) + 32 * 65) / (32.0 + 192),
           grows = p.at[2][0][1].seconds;
    assert_true(fabs(grows / first - (1024 + balance) / (64 + balance)) < 1e-6);
    assert_true(p.recomputed);
    vq_paper_release(&p);
}

/* Training of quadratic models at the longest length so far. */
static void tell_longest(void *ud, enum vq_paper_work w, enum vq_attention model, size_t length)
{
    size_t *longest = ud;
    if (w != VQ_PAPER_GENERATE && model != VQ_ATTENTION_CODES && length > *longest)
        *longest = length;
}

/* There is one length alone, and the limit holds for it. */
static void test_first_length(void **unused)
{
    static const size_t length[] = {4096};
    struct vq_settings s = tiny();
    struct vq_paper p;
    (void)unused;
    for (int patient = 0; patient < 2; patient++) {
        size_t longest = 0;
        const struct vq_paper_options o = {.lengths = length,
                                           .n_length = 1,
                                           .repeats = 1,
                                           .limit = patient ? 1000 : 0,
                                           .memory = UINT64_MAX,
                                           .ud = &longest,
                                           .progress = tell_longest};
        assert_int_equal(vq_paper_run(&p, &s, &o, &err), VQ_OK);
        assert_int_equal(longest, patient ? 4096 : 64);
        for (int w = 0; w <= VQ_PAPER_TRAIN; w++) {
            assert_int_equal(p.at[0][w][VQ_ATTENTION_CODES].repeats, 1);
            for (int m = VQ_ATTENTION_DENSE; m < VQ_PAPER_MODELS; m++) {
                assert_int_equal(p.at[0][w][m].repeats, patient);
                assert_true(p.at[0][w][m].seconds > 0 && p.at[0][w][m].seconds < 10);
            }
        }
        vq_paper_release(&p);
    }
}

static bool yes(void *ud)
{
    (void)ud;
    return true;
}

static void refused(const struct vq_settings *s, const struct vq_paper_options *o, const char *says)
{
    struct vq_paper p;
    assert_int_equal(vq_paper_run(&p, s, o, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, says));
    vq_paper_release(&p);
}

static void test_refusals(void **unused)
{
    static const size_t odd[] = {100}, falling[] = {128, 64}, fine[] = {64};
    struct vq_settings s = tiny();
    struct vq_paper p;
    const struct vq_cancel stop = {yes, NULL};
    (void)unused;
    refused(&s, &(struct vq_paper_options){.lengths = odd, .n_length = 1, .repeats = 1}, "100");
    refused(&s, &(struct vq_paper_options){.lengths = falling, .n_length = 2, .repeats = 1}, "64");
    refused(&s, &(struct vq_paper_options){.repeats = 1}, "at least one");
    refused(&s, &(struct vq_paper_options){.lengths = fine, .n_length = 1}, "repeats");
    const struct vq_paper_options o = {
        .lengths = fine, .n_length = 1, .repeats = 1, .cancel = &stop};
    assert_int_equal(vq_paper_run(&p, &s, &o, &err), VQ_ECANCELLED);
    vq_paper_release(&p);
    s.v.d_model = 0;
    refused(&s, &(struct vq_paper_options){.lengths = fine, .n_length = 1, .repeats = 1},
            "d_model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extrapolate),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_first_length),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
