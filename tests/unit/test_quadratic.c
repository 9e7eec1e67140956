/*
 * The quadratic models that Transformer-VQ is measured against: generation against the definition
 * in double, for every kind of model; the dense and the blocked form of training against each
 * other, and against generation, at sizes with many blocks; models whose parameters come from a
 * function. Gradients are checked in test_grad_twin.
 */
#include "forward64.h"

#include "core/bench/random.h"
#include "core/model/quadratic.h"
#include "core/train/grad.h"

static struct vq_err err;

static void draw(int32_t *tokens, size_t n, const struct vq_config *c)
{
    struct vq_rng r;
    vq_rng_init(&r, 3, 0);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)vq_rng_below(&r, (uint64_t)c->n_vocab);
}

/* Largest difference between logits of generation and of the definition. */
static double worst(const struct vq_engine *e, const struct vq_model *m, size_t T)
{
    struct forward64 f = {.unquantised = true};
    struct vq_quadratic *q;
    double worst = 0.0;
    int32_t *tokens = malloc(T * sizeof(*tokens));
    draw(tokens, T, vq_model_config(m));
    f64_run(&f, m, tokens, T);
    assert_ok(vq_quadratic_new(&q, e, T, &err), &err);
    for (size_t t = 0; t < T; t++) {
        assert_int_equal(vq_quadratic_position(q), t);
        assert_ok(vq_quadratic_feed(q, tokens[t], &err), &err);
        for (size_t n = 0; n < f.N; n++)
            worst = fmax(worst, fabs((double)vq_quadratic_logits(q)[n] - f.logits[t * f.N + n]));
    }
    assert_int_equal(vq_quadratic_feed(q, 0, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "full"));
    vq_quadratic_free(q);
    f64_release(&f);
    free(tokens);
    return worst;
}

static void test_generation(void **unused)
{
    static const char *const names[] = {"enwik8", "enwik8_noagg", "tied", "heads3", "mem12_block1"};
    (void)unused;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct golden g;
        golden_open(&g, names[i]);
        assert_true(worst(g.engine, g.model, 40) < 3e-5);
        golden_close(&g);
    }
}

/* More keys than one task takes, on three threads. */
static void test_spans(void **unused)
{
    struct golden g;
    struct vq_pool *pool;
    struct vq_engine *e;
    (void)unused;
    golden_open(&g, "heads3");
    assert_ok(vq_pool_new(&pool, 3, &err), &err);
    const struct vq_engine_options o = {.weights = VQ_WEIGHT_F32, .pool = pool};
    assert_ok(vq_engine_new(&e, g.model, &o, &err), &err);
    assert_true(worst(e, g.model, 1100) < 3e-5);
    vq_engine_free(e);
    vq_pool_free(pool);
    golden_close(&g);
}

static void test_pretend(void **unused)
{
    struct golden g;
    struct vq_quadratic *q;
    (void)unused;
    golden_open(&g, "heads3");
    assert_ok(vq_quadratic_new(&q, g.engine, 64, &err), &err);
    vq_quadratic_pretend(q, 63);
    size_t head = (size_t)(g.c->d_k + g.c->d_v), heads = vq_config_modules(g.c) * 3;
    assert_int_equal(vq_quadratic_bytes_per_token(q), 63 * heads * head * sizeof(float));
    assert_ok(vq_quadratic_feed(q, 1, &err), &err);
    for (int64_t n = 0; n < g.c->n_vocab; n++)
        assert_true(isfinite(vq_quadratic_logits(q)[n]));
    vq_quadratic_pretend(q, 5);
    assert_int_equal(vq_quadratic_feed(q, -1, &err), VQ_EINVAL);
    assert_int_equal(vq_quadratic_feed(q, (int32_t)g.c->n_vocab, &err), VQ_EINVAL);
    assert_int_equal(vq_quadratic_position(q), 5);
    vq_quadratic_free(q);
    assert_int_equal(vq_quadratic_new(&q, g.engine, SIZE_MAX / 8, &err), VQ_ENOMEM);
    assert_null(q);
    golden_close(&g);
}

/* ---- training ---- */

struct trained {
    double loss;
    float *grads;
    size_t floats;
};

static struct trained train(const struct vq_config *c, const struct vq_grad_options *o)
{
    struct vq_grad *g;
    struct vq_train_state *state;
    struct vq_update_result r;
    assert_ok(vq_grad_new(&g, c, o, &err), &err);
    assert_ok(vq_train_state_new(&state, c, 1, &err), &err);
    const struct vq_params *p = vq_grad_params(g);
    struct trained t = {.grads = vq_params_block(p), .floats = p->floats};
    float *params = vq_params_block(p);
    int32_t *targets = malloc((size_t)c->update_len * sizeof(*targets));
    vq_params_init(p, params, 5);
    draw(targets, (size_t)c->update_len, c);
    struct vq_update u = {.params = params,
                          .state = state,
                          .targets = targets,
                          .stride = (size_t)c->update_len,
                          .grads = t.grads};
    assert_ok(vq_grad_update(g, &u, &r, &err), &err);
    assert_int_equal(state->position, o->attention == VQ_ATTENTION_CODES ? c->update_len : 0);
    t.loss = r.loss;
    u.metrics = true;
    if (o->attention != VQ_ATTENTION_CODES)
        assert_int_equal(vq_grad_update(g, &u, &r, &err), VQ_EINVAL);
    free(targets);
    free(params);
    vq_train_state_free(state);
    vq_grad_free(g);
    return t;
}

static struct vq_settings settings(int64_t length)
{
    struct vq_settings s;
    vq_settings_default(&s);
    assert_ok(vq_settings_preset(&s, "text-tiny", &err), &err);
    s.v.global_batch_size = 1;
    s.v.sequence_len = s.v.update_len = length;
    return s;
}

/* Whatever the blocks and the threads, forward and back. */
static void test_dense_and_blocked(void **unused)
{
    struct vq_settings s = settings(640);
    struct vq_pool *pool;
    (void)unused;
    assert_ok(vq_pool_new(&pool, 2, &err), &err);
    const struct vq_grad_options options[] = {
        {.batch = 1, .attention = VQ_ATTENTION_DENSE},
        {.batch = 1, .attention = VQ_ATTENTION_DENSE, .pool = pool, .queries = 100},
        {.batch = 1, .attention = VQ_ATTENTION_BLOCKED, .recompute = true},
        {.batch = 1, .attention = VQ_ATTENTION_BLOCKED, .queries = 70, .keys = 50},
        {.batch = 1, .attention = VQ_ATTENTION_BLOCKED, .queries = 70, .keys = 50, .pool = pool},
    };
    struct trained first = train(&s.v, &options[0]), before = {0};
    for (size_t i = 1; i < sizeof(options) / sizeof(options[0]); i++) {
        struct trained t = train(&s.v, &options[i]);
        double largest = 0.0, apart = 0.0;
        assert_near(t.loss, first.loss, 1e-6);
        for (size_t k = 0; k < t.floats; k++) {
            largest = fmax(largest, fabs((double)first.grads[k]));
            apart = fmax(apart, fabs((double)(t.grads[k] - first.grads[k])));
        }
        assert_true(apart < 1e-5 * largest);
        if (options[i].pool && before.grads && i == 4)
            assert_memory_equal(t.grads, before.grads, t.floats * sizeof(float));
        free(before.grads);
        before = t;
    }
    free(before.grads);
    free(first.grads);
    vq_pool_free(pool);
}

/* The loss of training is that of generation over the same tokens. */
static enum vq_status read_params(const void *ud, const struct vq_param_spec *spec, float *dst,
                                  struct vq_err *e)
{
    const struct vq_params *layout = ud;
    const struct vq_param *t = vq_params_find(layout, spec->name);
    float *block = vq_params_block(layout);
    (void)e;
    vq_params_init(layout, block, 5);
    memcpy(dst, block + t->offset, t->size * sizeof(*dst));
    free(block);
    return VQ_OK;
}

static void test_training_is_generation(void **unused)
{
    struct vq_settings s = settings(192);
    struct vq_params *layout;
    struct vq_model *m;
    struct vq_engine *e;
    struct vq_quadratic *q;
    int32_t targets[192], input = VQ_EOS;
    double loss = 0.0;
    (void)unused;
    assert_ok(vq_params_new(&layout, &s.v, &err), &err);
    const struct vq_model_source source = {read_params, layout};
    assert_ok(vq_model_from(&m, &s, &source, &err), &err);
    assert_null(vq_model_ckpt(m));
    assert_int_equal(vq_model_params(m), layout->count);
    const struct vq_engine_options how = {.weights = VQ_WEIGHT_F32};
    assert_ok(vq_engine_new(&e, m, &how, &err), &err);
    assert_ok(vq_quadratic_new(&q, e, 192, &err), &err);
    draw(targets, 192, &s.v);
    size_t counted = 0;
    for (size_t t = 0; t < 192; t++) {
        double sum = 0.0;
        assert_ok(vq_quadratic_feed(q, input, &err), &err);
        const float *x = vq_quadratic_logits(q);
        input = targets[t];
        for (int64_t n = 0; n < s.v.n_vocab; n++)
            sum += exp((double)x[n]);
        loss += input ? log(sum) - (double)x[input] : 0.0;
        counted += input != 0;
    }
    assert_true(counted > 180);
    const struct vq_grad_options o = {.batch = 1, .attention = VQ_ATTENTION_BLOCKED, .keys = 64};
    struct trained t = train(&s.v, &o);
    assert_near(t.loss, loss / 192, 1e-5);
    free(t.grads);
    vq_quadratic_free(q);
    vq_engine_free(e);
    vq_model_free(m);
    vq_params_free(layout);
}

/* ---- models without a file ---- */

static enum vq_status read_file(const void *ud, const struct vq_param_spec *spec, float *dst,
                                struct vq_err *e)
{
    return vq_model_read(ud, -1, spec->name, dst, e);
}

static void test_source(void **unused)
{
    struct golden g;
    struct vq_model *m;
    struct vq_engine *e;
    struct vq_session *a, *b;
    const int32_t tokens[] = {1, 4, 9, 7, 7, 2, 5, 8};
    (void)unused;
    golden_open(&g, "tied");
    const struct vq_model_source source = {read_file, g.model};
    const struct vq_engine_options how = {.weights = VQ_WEIGHT_F32};
    assert_ok(vq_model_from(&m, vq_model_settings(g.model), &source, &err), &err);
    assert_int_equal(vq_model_params(m), vq_model_params(g.model));
    assert_int_equal(vq_model_read(m, -1, "nothing", NULL, &err), VQ_ENOTFOUND);
    assert_ok(vq_engine_new(&e, m, &how, &err), &err);
    assert_ok(vq_session_new(&a, g.engine, 1, &err), &err);
    assert_ok(vq_session_new(&b, e, 1, &err), &err);
    assert_ok(vq_session_feed(a, tokens, 8, 8, NULL, &err), &err);
    assert_ok(vq_session_feed(b, tokens, 8, 8, NULL, &err), &err);
    assert_memory_equal(vq_session_logits(a), vq_session_logits(b),
                        (size_t)g.c->n_vocab * sizeof(float));
    vq_session_free(a);
    vq_session_free(b);
    vq_engine_free(e);
    vq_model_free(m);
    golden_close(&g);
}

static void test_random_model(void **unused)
{
    struct vq_settings s = settings(64);
    struct vq_model *m;
    (void)unused;
    assert_ok(vq_random_model(&m, &s, &err), &err);
    size_t n = (size_t)(s.v.d_model * s.v.n_vocab);
    float *x = malloc(n * sizeof(*x));
    double sum = 0.0, sum2 = 0.0;
    assert_ok(vq_model_read(m, -1, "out_proj/kernel", x, &err), &err);
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        sum2 += (double)x[i] * (double)x[i];
    }
    assert_near(sum / (double)n, 0.0, 0.01);
    assert_near(sum2 / (double)n * (double)s.v.d_model, 1.0, 0.02);
    assert_ok(vq_model_read(m, 3, "input_ln/g", x, &err), &err);
    assert_true(x[0] == 1.0f);
    assert_ok(vq_model_read(m, 3, "input_ln/b", x, &err), &err);
    assert_true(x[0] == 0.0f);
    free(x);
    vq_model_free(m);
    s.v.d_model = 0;
    assert_int_equal(vq_random_model(&m, &s, &err), VQ_EINVAL);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_pretend),
        cmocka_unit_test(test_dense_and_blocked),
        cmocka_unit_test(test_training_is_generation),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_random_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
