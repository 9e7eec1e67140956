/*
 * From logits to one token: the authors' nucleus bit for bit, ours by its definition, and the
 * numbers at which samplers break: p = 0 and 1, temperatures near 0, NaN, nothing admissible.
 */
#include "golden.h"

#include "core/base/json.h"
#include "core/model/sampler.h"

#define N_MAX 512

static struct vq_sampler sampler(double temperature, double top_p, int64_t top_k)
{
    struct vq_sampler s;
    vq_sampler_default(&s);
    s.temperature = temperature;
    s.top_p = top_p;
    s.top_k = top_k;
    return s;
}

static enum vq_status probs(const struct vq_sampler *s, const float *logits, size_t n, double *p,
                            struct vq_err *err)
{
    size_t work[N_MAX];
    assert_true(n <= N_MAX);
    return vq_sampler_probs(s, logits, n, p, work, err);
}

/* "0110": which ids are kept. */
static void assert_kept(const struct vq_sampler *s, const float *logits, size_t n, const char *want)
{
    double p[N_MAX], sum = 0;
    char kept[N_MAX + 1] = {0};
    struct vq_err err;
    assert_ok(probs(s, logits, n, p, &err), &err);
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(p[i]) && p[i] >= 0);
        kept[i] = p[i] > 0 ? '1' : '0';
        sum += p[i];
    }
    assert_true(fabs(sum - 1) < 1e-12);
    assert_string_equal(kept, want);
}

/* The values of a number array in a JSON file. */
static size_t json_numbers(const char *path, const char *key, double *out, size_t most)
{
    char text[4096];
    struct vq_json *doc;
    struct vq_err err;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, sizeof(text), f), n = 0;
    fclose(f);
    assert_ok(vq_json_parse(&doc, text, size, &err), &err);
    const struct vq_json_node *at = vq_json_first(vq_json_get(vq_json_root(doc), key));
    for (; at && n < most; at = vq_json_next(at))
        out[n++] = vq_json_number(at);
    vq_json_free(doc);
    return n;
}

static void check_masks(const char *name, const char *key, size_t masks)
{
    char array[64];
    double p_of[16];
    snprintf(array, sizeof(array), "nucleus_%s_logits", name);
    struct vq_npy logits = golden_array(GOLDEN, "unit", array);
    snprintf(array, sizeof(array), "nucleus_%s_mask", name);
    struct vq_npy mask = golden_array(GOLDEN, "unit", array);
    assert_int_equal(json_numbers(GOLDEN "/unit/nucleus.json", key, p_of, 16), masks);
    assert_int_equal(mask.shape[0], masks);
    size_t rows = logits.shape[0], n = logits.shape[1];
    for (size_t k = 0; k < masks; k++)
        for (size_t r = 0; r < rows; r++) {
            char want[N_MAX + 1] = {0};
            struct vq_sampler s = sampler(1, p_of[k], 0);
            s.rule = VQ_TOP_P_REFERENCE;
            for (size_t i = 0; i < n; i++)
                want[i] = ((const int32_t *)mask.data)[(k * rows + r) * n + i] ? '1' : '0';
            assert_kept(&s, (const float *)logits.data + r * n, n, want);
        }
    vq_npy_release(&logits);
    vq_npy_release(&mask);
}

static void test_reference_masks(void **state)
{
    (void)state;
    check_masks("upstream", "upstream_p", 9);
    check_masks("random", "random_p", 7);
}

/* The authors' nucleus over the first positions of whole models. */
static void test_reference_probs(void **state)
{
    (void)state;
    static const char *const names[] = {"fixture_agg", "fixture_noagg", "mem12_block1"};
    for (size_t c = 0; c < 3; c++) {
        struct vq_npy logprobs = golden_array(GOLDEN, names[c], "logprobs");
        struct vq_npy want = golden_array(GOLDEN, names[c], "nucleus_probs");
        struct vq_npy margin = golden_array(GOLDEN, names[c], "nucleus_margin");
        size_t B = want.shape[0], T = want.shape[1], N = want.shape[2], cut = 0;
        struct vq_sampler s = sampler(1, c < 2 ? 0.8 : 0.9, 0);
        s.rule = VQ_TOP_P_REFERENCE;
        for (size_t i = 0; i < B * T; i++) {
            double p[N_MAX];
            struct vq_err err;
            const float *w = (const float *)want.data + i * N;
            size_t row = i / T * logprobs.shape[1] + i % T;
            if (((const float *)margin.data)[i] < 1e-5f)
                continue;
            assert_ok(probs(&s, (const float *)logprobs.data + row * N, N, p, &err), &err);
            for (size_t k = 0; k < N; k++) {
                assert_true((p[k] > 0) == (w[k] > 0));
                assert_true(fabs(p[k] - w[k]) < 1e-5);
                cut += p[k] == 0;
            }
        }
        assert_true(cut > B * T);
        vq_npy_release(&logprobs);
        vq_npy_release(&want);
        vq_npy_release(&margin);
    }
}

/* Probabilities .05 .05 .05 .09 .11 .15 .3 .2. */
static const float eight[8] = {-2.9957323f, -2.9957323f, -2.9957323f, -2.4079456f,
                               -2.207275f,  -1.89712f,   -1.2039728f, -1.609438f};

static void test_exact_top_p(void **state)
{
    (void)state;
    static const struct {
        double p;
        const char *kept;
    } rows[] = {{-1, "00000010"},   {0, "00000010"},       {1e-4, "00000010"}, {0.29, "00000010"},
                {0.31, "00000011"}, {0.49, "00000011"},    {0.51, "00000111"}, {0.7, "00001111"},
                {0.84, "00011111"}, {0.86, "10011111"},    {0.91, "11011111"}, {0.96, "11111111"},
                {1, "11111111"},    {INFINITY, "11111111"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vq_sampler s = sampler(1, rows[i].p, 0);
        assert_kept(&s, eight, 8, rows[i].kept);
    }
}

/* p = 1 keeps a tail that the authors' rule cuts. */
static void test_full_tail(void **state)
{
    (void)state;
    const float logits[3] = {0, -30, -60};
    struct vq_sampler s = sampler(1, 1, 0);
    assert_kept(&s, logits, 3, "111");
    s.rule = VQ_TOP_P_REFERENCE;
    assert_kept(&s, logits, 3, "100");
}

static void test_top_k(void **state)
{
    (void)state;
    struct vq_sampler s = sampler(1, 1, 4);
    assert_kept(&s, eight, 8, "00001111");
    s.top_k = 6; /* of three equal ones, the lowest id */
    assert_kept(&s, eight, 8, "10011111");
    s.top_k = 800;
    assert_kept(&s, eight, 8, "11111111");
    s = sampler(1, 0.6, 2); /* .3 of .5 reaches .6 */
    assert_kept(&s, eight, 8, "00000010");
    s.top_p = 0.61;
    assert_kept(&s, eight, 8, "00000011");
    s.rule = VQ_TOP_P_REFERENCE;
    s.top_k = 6;
    s.top_p = 1;
    assert_kept(&s, eight, 8, "10011111");
}

static void test_temperature(void **state)
{
    (void)state;
    const float logits[4] = {1, 3, 3, 2};
    double p[4];
    struct vq_err err;
    struct vq_sampler s = sampler(0, 1, 0);
    assert_kept(&s, logits, 4, "0100");
    static const double tiny[] = {1e-4, 1e-30, 1e-320};
    for (size_t i = 0; i < 3; i++) {
        s.temperature = tiny[i];
        assert_kept(&s, logits, 4, "0110");
    }
    s.temperature = 2;
    assert_ok(probs(&s, logits, 4, p, &err), &err);
    assert_true(fabs(p[0] / p[1] - exp(-1)) < 1e-12 && fabs(p[3] / p[1] - exp(-0.5)) < 1e-12);
    s.temperature = 1e300;
    assert_ok(probs(&s, logits, 4, p, &err), &err);
    assert_true(fabs(p[0] - 0.25) < 1e-12);
    s = sampler(1e-4, 1e-4, 0);
    assert_kept(&s, eight, 8, "00000010");
}

/* Logits as large as floats go: no overflow on the way. */
static void test_extreme_logits(void **state)
{
    (void)state;
    const float logits[3] = {3e38f, -3e38f, -INFINITY};
    struct vq_sampler s = sampler(1, 0.9, 0);
    assert_kept(&s, logits, 3, "100");
    const float low[3] = {-INFINITY, -1e30f, -1e30f};
    s = sampler(1, 1, 0);
    assert_kept(&s, low, 3, "011");
}

static void test_first_id(void **state)
{
    (void)state;
    const float logits[6] = {9, 9, 9, 1, 2, 3};
    struct vq_sampler s = sampler(1, 1, 0);
    s.first_id = 3;
    assert_kept(&s, logits, 6, "000111");
    s.temperature = 0;
    assert_kept(&s, logits, 6, "000001");
    s = sampler(1, 0.5, 2);
    s.first_id = 3;
    assert_kept(&s, logits, 6, "000001");
}

/* Between first_id and end_id everything is as if there were no other ids. */
static void test_range(void **state)
{
    (void)state;
    enum { N = 60, FIRST = 20, END = 33 };
    float logits[N];
    struct vq_rng rng;
    struct vq_err err;
    vq_rng_init(&rng, 3, 0);
    for (size_t i = 0; i < N; i++)
        logits[i] = (float)vq_rng_unit(&rng) * 4 + (i < FIRST || i >= END ? 100 : 0);
    const struct vq_sampler rows[] = {sampler(1, 1, 0), sampler(0.5, 0.7, 0), sampler(2, 1, 3),
                                      sampler(0, 1, 0), sampler(1, 0.9, 5)};
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(rows[0]); k++) {
        struct vq_sampler inside = rows[k / 2];
        double want[N] = {0}, p[N];
        inside.rule = k % 2 ? VQ_TOP_P_REFERENCE : VQ_TOP_P_EXACT;
        assert_ok(probs(&inside, logits + FIRST, END - FIRST, want + FIRST, &err), &err);
        inside.first_id = FIRST;
        inside.end_id = END;
        assert_ok(probs(&inside, logits, N, p, &err), &err);
        assert_memory_equal(p, want, sizeof(p));
    }
    struct vq_sampler beyond = sampler(1, 1, 0);
    beyond.first_id = N - 1;
    beyond.end_id = N + 5;
    double p[N];
    assert_ok(probs(&beyond, logits, N, p, &err), &err);
    assert_true(p[N - 1] == 1);
}

static void test_refused(void **state)
{
    (void)state;
    double p[4];
    struct vq_err err;
    const float nan_logit[4] = {0, 1, NAN, 2}, inf_logit[4] = {0, INFINITY, 1, 2};
    const float masked[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    struct vq_sampler s = sampler(1, 1, 0);
    assert_int_equal(probs(&s, nan_logit, 4, p, &err), VQ_ENUM);
    assert_says(&err, "id 2", "nan");
    assert_int_equal(probs(&s, inf_logit, 4, p, &err), VQ_ENUM);
    assert_says(&err, "id 1", "inf");
    assert_int_equal(probs(&s, masked, 4, p, &err), VQ_ENUM);
    assert_says(&err, "no admissible token");
    s.first_id = 8;
    assert_int_equal(probs(&s, eight, 8, p, &err), VQ_ENUM);
    assert_says(&err, "no admissible token");
    s.end_id = 8;
    assert_int_equal(vq_sampler_check(&s, &err), VQ_EINVAL);
    assert_says(&err, "end id", "above 8", "found 8");

    struct vq_sampler bad[] = {sampler(-1, 1, 0),  sampler(NAN, 1, 0), sampler(INFINITY, 1, 0),
                               sampler(1, NAN, 0), sampler(1, 1, -1),  sampler(1, 1, 0)};
    static const char *const names[] = {"temperature", "temperature", "temperature",
                                        "top-p",       "top-k",       "first id"};
    bad[5].first_id = -1;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(vq_sampler_check(&bad[i], &err), VQ_EINVAL);
        assert_says(&err, names[i], "expected", "found");
    }
}

/* Frequencies of 100,000 draws, within 5 standard deviations; the log-probability is the model's,
 * whatever the mask and the temperature. */
static void test_draws(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct vq_sampler s = sampler(0.7, 0.9, 0);
    double want[8], p[8], logprob;
    size_t work[8], counts[8] = {0};
    struct vq_rng rng;
    struct vq_err err;
    int32_t id;
    assert_ok(probs(&s, eight, 8, want, &err), &err);
    vq_rng_init(&rng, 7, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        assert_ok(vq_sampler_draw(&s, eight, 8, &rng, p, work, &id, &logprob, &err), &err);
        assert_true(fabs(logprob - eight[id]) < 1e-6);
        counts[id]++;
    }
    for (size_t i = 0; i < 8; i++) {
        double sd = sqrt(DRAWS * want[i] * (1 - want[i]));
        assert_true(fabs((double)counts[i] - DRAWS * want[i]) <= 5 * sd);
    }
}

/* 257 logits of 16 levels against a plain sort: ties everywhere. */
static void test_against_sort(void **state)
{
    (void)state;
    enum { N = 257 };
    float logits[N];
    struct vq_rng rng;
    vq_rng_init(&rng, 11, 0);
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < N; i++)
            logits[i] = (float)vq_rng_below(&rng, 16) / 4;
        size_t k = 1 + vq_rng_below(&rng, N);
        char want[N + 1] = {0};
        for (size_t i = 0; i < N; i++) {
            size_t ahead = 0;
            for (size_t j = 0; j < N; j++)
                ahead += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
            want[i] = ahead < k ? '1' : '0';
        }
        struct vq_sampler s = sampler(1, 1, (int64_t)k);
        assert_kept(&s, logits, N, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_masks), cmocka_unit_test(test_reference_probs),
        cmocka_unit_test(test_exact_top_p),     cmocka_unit_test(test_full_tail),
        cmocka_unit_test(test_top_k),           cmocka_unit_test(test_range),
        cmocka_unit_test(test_temperature),     cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_first_id),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_draws),           cmocka_unit_test(test_against_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
