/* Evaluation against scoring by hand: sums, positions, limits, words. */
#include "golden.h"

#include "core/base/file.h"
#include "core/model/generate.h"
#include "core/train/eval.h"

#define T 300

static struct vq_err err;
static struct vq_model *model;
static struct vq_engine *engine;

static int setup(void **state)
{
    (void)state;
    assert_ok(vq_model_open(&model, "samples/models/text-small.safetensors", NULL, &err), &err);
    const struct vq_engine_options o = {.weights = VQ_WEIGHT_F32};
    assert_ok(vq_engine_new(&engine, model, &o, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vq_engine_free(engine);
    vq_model_free(model);
    return 0;
}

static struct vq_eval_result evaluate(enum vq_split split, size_t batch, uint64_t limit)
{
    const struct vq_data_options d = {
        .vocab = vq_model_vocab(model), .split = split, .batch = batch, .sequence_len = T};
    const struct vq_eval_options o = {.vocab = vq_model_vocab(model), .limit = limit};
    struct vq_batches b;
    struct vq_eval_result r;
    assert_ok(vq_batches_data(&b, "samples/heldout.txt", &d, NULL, &err), &err);
    assert_ok(vq_eval_run(&r, engine, &b, &o, &err), &err);
    vq_batches_release(&b);
    return r;
}

/* The bytes of the test part in sequences of T, one at a time. */
static double by_hand(size_t *tokens)
{
    struct vq_file f;
    struct vq_session *s;
    double nats = 0;
    assert_ok(vq_file_open(&f, "samples/heldout.txt", &err), &err);
    size_t from = f.size * 19 / 20, n = f.size - from;
    int32_t *ids = malloc(n * sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = f.data[from + i] + 3;
    assert_ok(vq_session_new(&s, engine, 1, &err), &err);
    for (size_t at = 0; at < n; at += T) {
        struct vq_score one;
        size_t len = n - at < T ? n - at : T;
        vq_session_reset(s);
        assert_ok(vq_score_run(s, VQ_EOS, ids + at, len, len, NULL, &one, &err), &err);
        nats += one.nats;
    }
    vq_session_free(s);
    free(ids);
    vq_file_close(&f);
    *tokens = n;
    return nats;
}

static void test_sums(void **state)
{
    (void)state;
    size_t tokens;
    double nats = by_hand(&tokens);
    for (size_t batch = 1; batch < 5; batch += 2) {
        struct vq_eval_result r = evaluate(VQ_TEST, batch, 0);
        double parts = 0;
        uint64_t counted = 0;
        assert_int_equal(r.all.tokens, tokens);
        assert_int_equal(r.all.bytes, tokens);
        assert_true(fabs(r.all.nats - nats) < 1e-3);
        assert_true(r.whole && r.sequences == 2);
        for (size_t i = 0; i < VQ_EVAL_RANGES; i++) {
            parts += r.range[i].nats;
            counted += r.range[i].tokens;
        }
        assert_int_equal(counted, tokens);
        assert_true(fabs(parts - r.all.nats) < 1e-6);
        assert_int_equal(r.range[0].tokens, 2 * 64);
        assert_int_equal(r.range[2].tokens, T - 256); /* the second sequence is shorter */
    }
}

static void test_words(void **state)
{
    (void)state;
    struct vq_file f;
    uint64_t words = 0;
    assert_ok(vq_file_open(&f, "samples/heldout.txt", &err), &err);
    size_t end = f.size * 9 / 10;
    for (size_t i = 0; i < end; i++)
        words += f.data[i] > ' ' && (i == 0 || f.data[i - 1] <= ' ');
    vq_file_close(&f);
    assert_int_equal(evaluate(VQ_TRAIN, 4, 0).words, words);
}

static void test_limit(void **state)
{
    (void)state;
    struct vq_eval_result r = evaluate(VQ_TRAIN, 1, 450);
    assert_int_equal(r.all.tokens, 450);
    assert_false(r.whole);
    r = evaluate(VQ_TRAIN, 4, 450); /* four sequences at a time: their first 113 tokens */
    assert_int_equal(r.all.tokens, 452);
    assert_int_equal(r.range[1].tokens, 452 - 4 * 64);
}

static bool stop(void *ud)
{
    (void)ud;
    return true;
}

static void test_cancel(void **state)
{
    (void)state;
    const struct vq_cancel cancel = {.poll = stop};
    const struct vq_data_options d = {
        .vocab = vq_model_vocab(model), .split = VQ_TEST, .batch = 1, .sequence_len = T};
    const struct vq_eval_options o = {.vocab = vq_model_vocab(model), .cancel = &cancel};
    struct vq_batches b;
    struct vq_eval_result r;
    assert_ok(vq_batches_data(&b, "samples/heldout.txt", &d, NULL, &err), &err);
    assert_int_equal(vq_eval_run(&r, engine, &b, &o, &err), VQ_ECANCELLED);
    vq_batches_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
