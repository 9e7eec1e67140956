/* means: codes come into use and go out of it, and rows are those of the codes in use, in order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/model/means.h"

enum { S = 40, V = 300, LANES = 2 };

static const enum vq_weight_format formats[] = {VQ_WEIGHT_F32, VQ_WEIGHT_BF16, VQ_WEIGHT_INT8};

/* A store, and beside it what each code of lane 1 ought to hold. */
struct twin {
    struct vq_arena *arena;
    struct vq_means m;
    bool used[S];
    float mean[S][V];
    struct vq_rng rng;
};

static void make_twin(struct twin *t, enum vq_weight_format f)
{
    struct vq_err err;
    memset(t, 0, sizeof(*t));
    vq_rng_init(&t->rng, 7, 0);
    t->arena = vq_arena_new(0);
    assert_int_equal(vq_means_new(&t->m, t->arena, f, LANES, S, V, &err), VQ_OK);
}

static void release_twin(struct twin *t)
{
    vq_means_release(&t->m);
    vq_arena_free(t->arena);
}

static void check_twin(const struct twin *t)
{
    size_t n, i = 0;
    float got[V], row[V];
    const int32_t *codes = vq_means_codes(&t->m, 1, &n);
    for (int32_t c = 0; c < S; c++) {
        vq_means_get(&t->m, 1, c, got);
        assert_memory_equal(got, t->mean[c], sizeof(got));
        if (!t->used[c])
            continue;
        assert_true(i < n && codes[i] == c);
        vq_values_get(&t->m.rows, 1, i++, row); /* as attention reads it: rounded */
        for (size_t k = 0; k < V; k++)
            assert_true(fabsf(row[k] - got[k]) <= 0.5f / 254);
    }
    assert_int_equal(i, n);
    vq_means_codes(&t->m, 0, &n); /* the other lane is left alone */
    assert_int_equal(n, 0);
}

/* Some codes, among them repeated ones and ones in use already, then a mean for each new one. */
static void admit_some(struct twin *t)
{
    int32_t codes[6];
    for (size_t i = 0; i < 6; i++)
        codes[i] = (int32_t)vq_rng_below(&t->rng, S);
    codes[5] = codes[0];
    vq_means_admit(&t->m, 1, codes, 6);
    for (size_t i = 0; i < 6; i++) {
        t->used[codes[i]] = true;
        for (size_t c = 0; c < V; c++)
            t->mean[codes[i]][c] = (float)(vq_rng_unit(&t->rng) - 0.5);
        vq_means_set(&t->m, 1, codes[i], t->mean[codes[i]]);
    }
}

static void drop_one(struct twin *t)
{
    size_t c = vq_rng_below(&t->rng, S);
    vq_means_drop(&t->m, 1, (int32_t)c);
    t->used[c] = false;
    memset(t->mean[c], 0, sizeof(t->mean[c]));
}

static void codes_come_and_go(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        struct twin t;
        make_twin(&t, formats[f]);
        for (int step = 0; step < 60; step++) {
            admit_some(&t);
            check_twin(&t);
            for (int i = 0; i < 5; i++)
                drop_one(&t);
            check_twin(&t);
        }
        vq_means_clear(&t.m);
        memset(t.used, 0, sizeof(t.used));
        memset(t.mean, 0, sizeof(t.mean));
        check_twin(&t);
        release_twin(&t);
    }
}

static void a_code_begins_at_zero(void **state)
{
    (void)state;
    struct twin t;
    float nan[V], got[V];
    make_twin(&t, VQ_WEIGHT_F32);
    for (size_t c = 0; c < V; c++)
        nan[c] = NAN;
    vq_means_admit(&t.m, 1, (const int32_t[]){3, 9}, 2);
    vq_means_set(&t.m, 1, 3, nan);
    vq_means_drop(&t.m, 1, 3);
    vq_means_drop(&t.m, 1, 9);
    vq_means_admit(&t.m, 1, (const int32_t[]){1}, 1);
    vq_means_get(&t.m, 1, 1, got);
    for (size_t c = 0; c < V; c++)
        assert_true(got[c] == 0.0f);
    release_twin(&t);
}

static void lanes_are_copied(void **state)
{
    (void)state;
    struct twin t;
    struct vq_means d;
    struct vq_arena *arena = vq_arena_new(0);
    struct vq_err err;
    float got[V];
    make_twin(&t, VQ_WEIGHT_BF16);
    admit_some(&t);
    assert_int_equal(vq_means_new(&d, arena, VQ_WEIGHT_BF16, 1, S, V, &err), VQ_OK);
    vq_means_copy(&d, 0, &t.m, 1);
    vq_means_clear(&t.m);
    for (int32_t c = 0; c < S; c++) {
        vq_means_get(&d, 0, c, got);
        assert_memory_equal(got, t.mean[c], sizeof(got));
    }
    vq_means_release(&d);
    vq_arena_free(arena);
    release_twin(&t);
}

/* As many members as make a step in bf16 larger than what one of them adds: a mean that was rounded
 * each time would stand still. */
static void means_do_not_stand_still(void **state)
{
    (void)state;
    enum { N = 5000 };
    for (size_t f = 0; f < 3; f++) {
        struct twin t;
        struct vq_values value;
        struct vq_err err;
        float x[V];
        double sum[V] = {0};
        make_twin(&t, formats[f]);
        assert_int_equal(vq_values_new(&value, t.arena, formats[f], LANES, 1, V, &err), VQ_OK);
        vq_means_admit(&t.m, 1, (const int32_t[]){5}, 1);
        for (int n = 0; n < N; n++) {
            for (size_t c = 0; c < V; c++)
                x[c] = (float)vq_rng_normal(&t.rng) + (n < N / 2 ? 1.0f : 3.0f);
            vq_values_set(&value, 1, 0, x);
            vq_values_get(&value, 1, 0, x);
            vq_means_mix(&t.m, vq_vec_default(), 1, 5, (float)((double)n / (n + 1)),
                         (float)(1.0 / (n + 1)), &value, 0);
            for (size_t c = 0; c < V; c++)
                sum[c] += x[c];
        }
        vq_means_get(&t.m, 1, 5, x);
        for (size_t c = 0; c < V; c++) /* each step rounds a few times to 2^-24 of what is there */
            assert_true(fabs(x[c] - sum[c] / N) < 4 * N * 0x1p-24);
        release_twin(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_come_and_go),
        cmocka_unit_test(a_code_begins_at_zero),
        cmocka_unit_test(means_do_not_stand_still),
        cmocka_unit_test(lanes_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
