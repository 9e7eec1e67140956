/*
 * The estimate of memory against what engines and sessions say that they hold.
 */
#include "tests/unit/golden.h"

#include "core/base/arena.h"
#include "core/model/memory.h"
#include "core/model/session.h"

static struct vq_err err;

static enum vq_status take_logits(void *ud, const struct vq_block *b, const float *x,
                                  struct vq_err *e)
{
    (void)ud;
    (void)b;
    (void)x;
    (void)e;
    return VQ_OK;
}

/* What B sequences hold once they were fed in blocks, all logits asked for. */
static uint64_t fed(const struct vq_engine *e, int B)
{
    struct vq_session *s;
    int32_t *tokens = calloc(600 * (size_t)B, sizeof(*tokens));
    const struct vq_observer see = {.logits = take_logits};
    const struct vq_feed_options o = {.observe = &see};
    assert_ok(vq_session_new(&s, e, B, &err), &err);
    assert_true(vq_session_bytes(s) < vq_session_size(e, B));
    assert_ok(vq_session_feed(s, tokens, 600, 600, &o, &err), &err);
    uint64_t bytes = vq_session_bytes(s);
    vq_session_free(s);
    free(tokens);
    return bytes;
}

static void test_estimate(void **state)
{
    (void)state;
    static const char *const paths[] = {GOLDEN "/heads3/model.safetensors",
                                        GOLDEN "/tied/model.safetensors",
                                        "samples/models/text-small.safetensors"};
    for (size_t i = 0; i < 3; i++) {
        struct vq_model *m;
        assert_ok(vq_model_open(&m, paths[i], NULL, &err), &err);
        for (enum vq_weight_format f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
            struct vq_engine *e;
            const struct vq_engine_options o = {.weights = f, .state = f};
            assert_ok(vq_engine_new(&e, m, &o, &err), &err);
            struct vq_memory one = vq_memory_estimate(vq_model_config(m), f, f, 1, NULL);
            struct vq_memory five = vq_memory_estimate(vq_model_config(m), f, f, 5, NULL);
            assert_true(one.weights >= vq_engine_bytes(e));
            assert_true(one.weights - vq_engine_bytes(e) < (uint64_t)2 << 20);
            assert_int_equal(one.state, fed(e, 1));
            assert_int_equal(five.state - one.state, fed(e, 5));
            assert_int_equal(vq_memory_peak(&one), one.weights + one.state + VQ_MEMORY_CONSTANT);
            vq_engine_free(e);
        }
        vq_model_free(m);
    }
}

/* Large pieces get parts of their own, small ones share; ends of parts cost a large page at most.
 */
static void test_arena_plan(void **state)
{
    (void)state;
    const size_t mega = (size_t)1 << 20;
    struct vq_arena_plan p = {.step = 8 * mega};
    assert_int_equal(vq_arena_plan_bytes(&p), 0);
    vq_arena_plan_add(&p, 100);
    assert_int_equal(vq_arena_plan_bytes(&p), 2 * mega);
    vq_arena_plan_add(&p, 7 * mega);
    assert_int_equal(vq_arena_plan_bytes(&p), 8 * mega);
    vq_arena_plan_add(&p, 9 * mega);
    assert_int_equal(vq_arena_plan_bytes(&p), (8 + 10) * mega);
    vq_arena_plan_add(&p, mega / 2);
    assert_int_equal(vq_arena_plan_bytes(&p), (8 + 10) * mega);
    vq_arena_plan_add(&p, mega);
    assert_int_equal(vq_arena_plan_bytes(&p), (8 + 10 + 2) * mega);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_estimate),
                                       cmocka_unit_test(test_arena_plan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
