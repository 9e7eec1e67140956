/*
 * The float64 reference against the authors' numbers, in every golden case; and verify, which
 * compares the engine with it.
 */
#include "variant.h"

#include "core/base/mem.h"
#include "core/model/engine.h"
#include "core/model/reference.h"

/* float32 storage of log-probabilities down to -20 */
#define TOLERANCE 1e-6

struct batch {
    int32_t *tokens; /* [B, T] */
    size_t B, T;
};

static struct batch inputs_of(const char *root, const char *name)
{
    char path[256];
    struct vq_err err;
    struct batch b;
    int rank;
    snprintf(path, sizeof(path), "%s/%s/inputs.npy", root, name);
    assert_ok(vq_npy_read_tokens(path, &b.tokens, &b.B, &b.T, &rank, &err), &err);
    return b;
}

/* The largest difference of log-softmax(logits) [T, N] to golden log-probabilities. */
static double logprob_error(const double *logits, const float *want, size_t T, size_t N)
{
    double worst = 0;
    for (size_t t = 0; t < T; t++) {
        const double *row = logits + t * N;
        double top = row[0], sum = 0;
        for (size_t n = 1; n < N; n++)
            top = fmax(top, row[n]);
        for (size_t n = 0; n < N; n++)
            sum += exp(row[n] - top);
        for (size_t n = 0; n < N; n++)
            worst = fmax(worst, fabs(row[n] - top - log(sum) - want[t * N + n]));
    }
    return worst;
}

static void check_codes(const struct vq_reference *r, const struct vq_config *c,
                        const struct vq_npy *want, size_t b, size_t B)
{
    size_t H = (size_t)c->n_head;
    const int32_t *codes = want->data;
    for (size_t m = 0; m < vq_config_modules(c); m++)
        for (size_t h = 0; h < H; h++)
            for (size_t t = 0; t < r->T; t++) {
                assert_int_equal(r->codes[(m * H + h) * r->T + t],
                                 codes[((m * B + b) * H + h) * r->T + t]);
                assert_true(r->margin[(m * H + h) * r->T + t] > 3e-4);
            }
}

/* What lies behind the window, counted by code, is the authors' aggregate. */
static void check_counts(const struct vq_reference *r, const struct vq_config *c,
                         const struct vq_npy *want, size_t b, size_t B)
{
    size_t H = (size_t)c->n_head, S = (size_t)c->n_code, old = r->T - (size_t)c->mem_len;
    const float *lower = want->data;
    for (size_t m = 0; m < vq_config_modules(c); m++)
        for (size_t h = 0; h < H; h++)
            for (size_t s = 0; s < S; s++) {
                size_t n = 0;
                for (size_t t = 0; t < old; t++)
                    n += r->codes[(m * H + h) * r->T + t] == (int32_t)s;
                assert_true((float)n == lower[((m * B + b) * H + h) * S + s]);
            }
}

static void check_values(const struct vq_reference *r, const struct vq_config *c,
                         const struct vq_npy *want, size_t b, size_t B)
{
    size_t H = (size_t)c->n_head, V = (size_t)c->d_v, M = (size_t)c->mem_len;
    const float *v = want->data;
    for (size_t mh = 0; mh < vq_config_modules(c) * H; mh++)
        for (size_t i = 0; i < M * V; i++) {
            size_t at = ((mh / H * B + b) * H + mh % H) * M * V + i;
            assert_true(fabs(r->values[(mh * r->T + r->T - M) * V + i] - v[at]) < TOLERANCE);
        }
}

static void check_case(const char *root, const char *name)
{
    struct vq_model *m = golden_model(root, name);
    const struct vq_config *c = vq_model_config(m);
    struct batch in = inputs_of(root, name);
    struct vq_npy logprobs = golden_array(root, name, "logprobs");
    struct vq_npy codes = golden_array(root, name, "shortcodes");
    struct vq_npy lower = golden_array(root, name, "state_agg_lower");
    char path[256];
    snprintf(path, sizeof(path), "%s/%s/state_xl_v.npy", root, name);
    bool has_values = access(path, R_OK) == 0;
    struct vq_npy values = {0};
    if (has_values)
        values = golden_array(root, name, "state_xl_v");
    size_t N = (size_t)c->n_vocab;
    for (size_t b = 0; b < in.B; b++) {
        struct vq_reference r;
        struct vq_err err;
        assert_ok(vq_reference_run(&r, m, in.tokens + b * in.T, in.T, NULL, &err), &err);
        if (b < logprobs.shape[0]) {
            const float *want = (const float *)logprobs.data + b * in.T * N;
            double e = logprob_error(r.logits, want, in.T, N);
            if (!(e < TOLERANCE))
                fail_msg("%s, sequence %zu: log-probabilities are off by %g", name, b, e);
        }
        check_codes(&r, c, &codes, b, in.B);
        check_counts(&r, c, &lower, b, in.B);
        if (has_values)
            check_values(&r, c, &values, b, in.B);
        vq_reference_release(&r);
    }
    vq_npy_release(&logprobs);
    vq_npy_release(&codes);
    vq_npy_release(&lower);
    vq_npy_release(&values);
    free(in.tokens);
    vq_model_free(m);
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GOLDEN; i++)
        check_case(GOLDEN, golden_cases[i]);
}

static void test_golden_full(void **state)
{
    (void)state;
    if (golden_full_absent())
        skip();
    for (size_t i = 0; i < N_GOLDEN; i++)
        check_case(GOLDEN_FULL, golden_cases[i]);
}

/* Codes and logits of fixture_agg's first 24 tokens under a preference. */
static void follow(const struct vq_model *m, const int32_t *prefer, int32_t *codes, double *logits)
{
    struct batch in = inputs_of(GOLDEN, "fixture_agg");
    struct vq_reference r;
    struct vq_err err;
    assert_ok(vq_reference_follow(&r, m, in.tokens, 24, prefer, NULL, &err), &err);
    memcpy(codes, r.codes, 4 * 2 * 24 * sizeof(*codes));
    memcpy(logits, r.logits, 24 * 10 * sizeof(*logits));
    vq_reference_release(&r);
    free(in.tokens);
}

/* A preferred code is taken where it ties with the nearest, and nowhere else. */
static void test_follow(void **state)
{
    (void)state;
    enum { CODES = 4 * 2 * 24, LOGITS = 24 * 10 };
    struct variant v;
    struct vq_model *m;
    struct vq_err err;
    int32_t plain[CODES], followed[CODES], prefer[CODES];
    double want[LOGITS], got[LOGITS];
    size_t ties = 0;
    variant_open(&v, "fixture_agg");
    /* Code 6 of the first module becomes a twin of code 1. */
    float *sum = variant_numbers(&v, "transformer_layers_0/scanned_attn1/quantizer/c_sum");
    float *count = variant_numbers(&v, "transformer_layers_0/scanned_attn1/quantizer/c_count");
    for (size_t h = 0; h < 2; h++) {
        memcpy(sum + (h * 8 + 6) * 4, sum + (h * 8 + 1) * 4, 4 * sizeof(*sum));
        count[h * 8 + 6] = count[h * 8 + 1];
    }
    variant_write(&v, NULL, 0);
    assert_ok(vq_model_open(&m, v.path, NULL, &err), &err);
    follow(m, NULL, plain, want);
    for (size_t i = 0; i < CODES; i++)
        prefer[i] = 6;
    follow(m, prefer, followed, got);
    for (size_t i = 0; i < CODES; i++) {
        bool tie = i < 2 * 24 && plain[i] == 1;
        ties += tie;
        assert_int_equal(followed[i], tie ? 6 : plain[i]);
    }
    assert_true(ties > 0);
    assert_memory_equal(got, want, sizeof(want));
    vq_model_free(m);
    variant_close(&v);
}

static bool third_time(void *ud)
{
    int *n = ud;
    return ++*n == 3;
}

static void test_refused(void **state)
{
    (void)state;
    struct vq_model *m = golden_model(GOLDEN, "fixture_agg");
    struct vq_reference r;
    struct vq_err err;
    int polls = 0;
    const struct vq_cancel cancel = {.poll = third_time, .ud = &polls};
    const int32_t bad[] = {1, 10}, negative[] = {1, 2, -1}, good[] = {1, 2, 3};
    assert_int_equal(vq_reference_run(&r, m, bad, 2, NULL, &err), VQ_EINVAL);
    assert_says(&err, "token 1", "0 to 9", "10");
    assert_int_equal(vq_reference_run(&r, m, negative, 3, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_reference_run(&r, m, good, 0, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_reference_run(&r, m, good, 3, &cancel, &err), VQ_ECANCELLED);
    assert_null(r.logits);
    vq_model_free(m);
}

/* Each allocation fails in turn: an error, nothing leaked, nothing left. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct vq_model *m = golden_model(GOLDEN, "fixture_agg");
    const int32_t tokens[] = {1, 2, 3, 4};
    enum vq_status st = VQ_ENOMEM;
    long nth;
    for (nth = 1; st == VQ_ENOMEM && nth < 1000; nth++) {
        struct vq_reference r;
        struct vq_err err;
        vq_mem_fail_at(nth);
        st = vq_reference_run(&r, m, tokens, 4, NULL, &err);
        vq_mem_fail_at(0);
        if (st)
            assert_null(r.values);
        vq_reference_release(&r);
    }
    assert_int_equal(st, VQ_OK);
    assert_true(nth > 10);
    vq_model_free(m);
}

static struct vq_verify_result verify(const char *name, enum vq_weight_format weights, size_t T)
{
    struct vq_model *m = golden_model(GOLDEN, name);
    struct batch in = inputs_of(GOLDEN, name);
    struct vq_engine *e;
    struct vq_err err;
    struct vq_verify_result out;
    const struct vq_engine_options options = {.weights = weights};
    assert_ok(vq_engine_new(&e, m, &options, &err), &err);
    if (!T)
        T = in.T;
    assert_ok(vq_verify(&out, m, e, in.tokens, T, NULL, &err), &err);
    assert_int_equal(out.positions, T);
    vq_engine_free(e);
    free(in.tokens);
    vq_model_free(m);
    return out;
}

static void test_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct vq_verify_result r = verify(golden_cases[i], VQ_WEIGHT_F32, 0);
        if (!r.passed || r.code_mismatches || !(r.max_abs_logit_error < 5e-5))
            fail_msg("%s: logits off by %g, state by %g, %zu codes", golden_cases[i],
                     r.max_abs_logit_error, r.max_rel_state_error, r.code_mismatches);
        assert_true(r.max_abs_logit_error > 0 && r.max_rel_state_error > 0);
        assert_true(fabs(r.bits_change) < 1e-5);
    }
    /* Shorter than the window, and one token. */
    assert_true(verify("mem32_block8", VQ_WEIGHT_F32, 20).passed);
    assert_true(verify("heads3", VQ_WEIGHT_F32, 1).passed);
    assert_true(isnan(verify("heads3", VQ_WEIGHT_F32, 1).bits_change));
}

/* Weights rounded to bfloat16 are another model, and verify says so. */
static void test_verify_notices(void **state)
{
    (void)state;
    struct vq_verify_result r = verify("heads3", VQ_WEIGHT_BF16, 0);
    assert_false(r.passed);
    assert_true(r.max_abs_logit_error > 1e-4 && r.max_rel_state_error > 1e-4);
    assert_true(fabs(r.bits_change) > 1e-6 && fabs(r.bits_change) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_golden_full),
        cmocka_unit_test(test_follow),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),  cmocka_unit_test(test_verify),
        cmocka_unit_test(test_verify_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
