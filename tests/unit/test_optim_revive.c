/* Dead codes: which are, where they go, and that everything else stays as it was. */
#include "tests/unit/golden.h"

#include "core/base/mem.h"
#include "core/train/revive.h"

enum { H = 2, S = 6, K = 8, N = 200 };

static struct vq_key_sample *sample_of(const float *keys, size_t n)
{
    struct vq_key_sample *s;
    struct vq_err err = {0};
    struct vq_rng r;
    vq_rng_init(&r, 1, 1);
    assert_ok(vq_key_sample_new(&s, N, H, K, &err), &err);
    vq_key_sample_add(s, keys, (size_t)H * K, n, &r);
    return s;
}

/* Keys in four clumps far apart, one of them small; every head the same ones. */
static void clumps(float *keys)
{
    struct vq_rng r;
    vq_rng_init(&r, 3, 0);
    for (size_t i = 0; i < N; i++) {
        size_t clump = i < 10 ? 3 : i % 3;
        for (size_t k = 0; k < K; k++)
            keys[i * H * K + k] = keys[i * H * K + K + k] =
                (k == clump ? 10.0f : 0.0f) + 0.01f * (float)vq_rng_normal(&r);
    }
}

static size_t clump_of(const float *c)
{
    for (size_t k = 0; k < 4; k++)
        if (c[k] > 5.0f)
            return k;
    return 4;
}

struct codes {
    float sum[H * S * K], count[H * S];
    uint64_t used[H * S];
};

/* Codes 0 and 1 of each head live, in clumps 0 and 1; code 2 is unused but has a count; 3, 4 and 5
 * are dead. */
static struct codes make_codes(void)
{
    struct codes c = {.count = {0}};
    for (size_t i = 0; i < H * S; i++) {
        size_t s = i % S;
        c.count[i] = s < 2 ? 4.0f : s == 2 ? 0.5f : 0.001f;
        c.used[i] = s < 2 ? 90 : 0;
        c.sum[i * K + (s < 2 ? s : 7)] = 10.0f * c.count[i];
    }
    return c;
}

static size_t revive(struct codes *c, const struct vq_key_sample *s, uint64_t seed)
{
    struct vq_rng r;
    struct vq_err err = {0};
    size_t revived = 99;
    vq_rng_init(&r, seed, 0);
    assert_ok(vq_revive_codes(c->sum, c->count, c->used, S, 0.1, s, &r, &revived, &err), &err);
    return revived;
}

static void test_rule(void **state)
{
    (void)state;
    static float keys[N * H * K];
    clumps(keys);
    struct vq_key_sample *s = sample_of(keys, N);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct codes before = make_codes(), c = make_codes(), again = make_codes();
        assert_int_equal(revive(&c, s, seed), 2 * 3);
        revive(&again, s, seed);
        assert_memory_equal(&c, &again, sizeof(c));
        for (size_t h = 0; h < H; h++) {
            const float *sum = c.sum + h * S * K;
            assert_memory_equal(sum, before.sum + h * S * K, 3 * K * sizeof(float));
            assert_memory_equal(c.count + h * S, before.count + h * S, 3 * sizeof(float));
            /* The two clumps without a code get one each before any other key has a chance. */
            size_t first = clump_of(sum + 3 * K), second = clump_of(sum + 4 * K);
            assert_true((first == 2 && second == 3) || (first == 3 && second == 2));
            for (size_t d = 3; d < S; d++)
                assert_true(c.count[h * S + d] == 1.0f);
        }
    }
    vq_key_sample_free(s);
}

/* A used code is never dead, however small its count; nor is an unused one above the floor. */
static void test_nothing_dead(void **state)
{
    (void)state;
    static float keys[N * H * K];
    clumps(keys);
    struct vq_key_sample *s = sample_of(keys, N);
    struct codes c = make_codes();
    for (size_t i = 0; i < H * S; i++) {
        c.used[i] = i % 2;
        c.count[i] = i % 2 ? 0.0f : 0.1f;
    }
    struct codes before = c;
    assert_int_equal(revive(&c, s, 1), 0);
    assert_memory_equal(&c, &before, sizeof(c));
    vq_key_sample_free(s);
}

/* All dead; too few distinct keys; none. */
static void test_edges(void **state)
{
    (void)state;
    static float keys[N * H * K];
    clumps(keys);
    struct vq_key_sample *s = sample_of(keys, N);
    struct codes c = make_codes();
    for (size_t i = 0; i < H * S; i++) {
        c.used[i] = 0;
        c.count[i] = 0;
    }
    assert_int_equal(revive(&c, s, 5), H * S);
    bool seen[5] = {false};
    for (size_t i = 0; i < S; i++)
        seen[clump_of(c.sum + i * K)] = true;
    assert_true(seen[0] && seen[1] && seen[2] && seen[3] && !seen[4]);
    vq_key_sample_free(s);

    for (size_t i = 1; i < N; i++)
        memcpy(keys + i * H * K, keys, H * K * sizeof(float));
    s = sample_of(keys, N);
    c = make_codes();
    assert_int_equal(revive(&c, s, 5), H * 1);
    vq_key_sample_reset(s);
    struct codes before = c = make_codes();
    assert_int_equal(revive(&c, s, 5), 0);
    assert_memory_equal(&c, &before, sizeof(c));

    struct vq_rng r = {{1, 2, 3, 4}};
    size_t revived;
    vq_mem_fail_at(1);
    assert_int_equal(vq_revive_codes(c.sum, c.count, c.used, S, 1, s, &r, &revived, NULL),
                     VQ_ENOMEM);
    vq_mem_fail_at(0);
    vq_key_sample_free(s);
}

/* Each of 1,000 positions is kept with the chance of 200 in 1,000. */
static void test_sample(void **state)
{
    (void)state;
    struct vq_key_sample *s;
    struct vq_err err = {0};
    struct vq_rng r;
    size_t early = 0, trials = 50;
    vq_rng_init(&r, 9, 0);
    assert_ok(vq_key_sample_new(&s, N, H, K, &err), &err);
    for (size_t t = 0; t < trials; t++) {
        vq_key_sample_reset(s);
        for (size_t i = 0; i < 1000; i += 10) {
            float keys[10][H * K + 1];
            for (size_t j = 0; j < 10; j++)
                for (size_t k = 0; k < H * K; k++)
                    keys[j][k] = (float)(i + j);
            vq_key_sample_add(s, keys[0], (size_t)H * K + 1, 10, &r);
        }
        assert_true(s->n == N && s->seen == 1000);
        for (size_t i = 0; i < N; i++) {
            assert_true(s->keys[i * H * K] == s->keys[i * H * K + H * K - 1]);
            early += s->keys[i * H * K] < 100.0f;
        }
    }
    /* 1,000 expected, standard deviation 27. */
    assert_in_range(early, 880, 1120);
    vq_key_sample_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_nothing_dead),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
