/* Row kernels: every set against double precision, at every length from 0 to 130 and from pointers
 * that no vector is aligned to; and the rules for what is not finite. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/vec.h"

#define LENGTHS 131
#define ROOM    (LENGTHS + 64)
#define GUARD   777.0f
#define EPS     0x1p-23

static const char *const set_names[] = {"portable", "avx2", "avx512"};
#define SETS (sizeof(set_names) / sizeof(set_names[0]))

static uint32_t seed = 7;

static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

/* Inputs and outputs of one case: x, z read only, y with guards around it. */
struct row {
    size_t n;
    float *x, *y, *z;
    float y0[ROOM]; /* y before the call */
    float xs[ROOM], ys[ROOM], zs[ROOM];
};

static void fresh(struct row *r, size_t n, size_t shift, float range)
{
    for (size_t i = 0; i < ROOM; i++) {
        r->xs[i] = range * random_float();
        r->zs[i] = range * random_float();
        r->ys[i] = GUARD;
    }
    r->n = n;
    r->x = r->xs + shift;
    r->y = r->ys + (shift * 3 + 1) % 16;
    r->z = r->zs + (shift * 5 + 2) % 16;
    for (size_t i = 0; i < n; i++)
        r->y[i] = r->y0[i] = range * random_float();
}

static void near(double found, double wanted, double limit)
{
    if (!(fabs(found - wanted) <= limit))
        fail_msg("found %.9g, wanted %.9g within %.3g", found, wanted, limit);
}

static void guarded(const struct row *r)
{
    for (const float *p = r->ys; p < r->ys + ROOM; p++)
        assert_true((p >= r->y && p < r->y + r->n) || *p == GUARD);
}

static void check_element_wise(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 3.0f);
    v->add(r.y, r.x, n);
    for (size_t i = 0; i < n; i++)
        assert_true(r.y[i] == r.y0[i] + r.x[i]);
    guarded(&r);
    fresh(&r, n, shift, 3.0f);
    v->mul(r.y, r.x, n);
    for (size_t i = 0; i < n; i++)
        assert_true(r.y[i] == r.y0[i] * r.x[i]);
    guarded(&r);
    fresh(&r, n, shift, 3.0f);
    v->scale(r.y, -0.3f, n);
    for (size_t i = 0; i < n; i++)
        assert_true(r.y[i] == r.y0[i] * -0.3f);
    guarded(&r);
    fresh(&r, n, shift, 3.0f);
    v->axpy(r.y, 1.7f, r.x, n);
    for (size_t i = 0; i < n; i++)
        near(r.y[i], (double)r.y0[i] + (double)1.7f * (double)r.x[i], 10 * EPS);
    guarded(&r);
    fresh(&r, n, shift, 3.0f);
    v->mix(r.y, 0.9f, 0.1f, r.x, n);
    for (size_t i = 0; i < n; i++)
        near(r.y[i], (double)0.9f * (double)r.y0[i] + (double)0.1f * (double)r.x[i], 5 * EPS);
    guarded(&r);
}

static void check_gather(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    int32_t index[ROOM];
    fresh(&r, n, shift, 1.0f);
    for (size_t i = 0; i < n; i++)
        index[i] = (int32_t)(i * 37 % (n < 7 ? n : 7));
    v->gather(r.y, r.x, index, n);
    for (size_t i = 0; i < n; i++)
        assert_true(r.y[i] == r.x[index[i]]);
    guarded(&r);
}

static void check_rms_norm(const struct vq_vec *v, size_t n, size_t shift, int parts)
{
    struct row r;
    fresh(&r, n, shift, 2.0f);
    const float *g = parts & 1 ? r.z : NULL, *b = parts & 2 ? r.z + 1 : NULL;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)r.x[i] * (double)r.x[i];
    double root = sqrt(sum / (double)(n ? n : 1) + 1e-6);
    v->rms_norm(r.y, r.x, n, g, b, 0.25f);
    for (size_t i = 0; i < n; i++) {
        double wanted = (double)r.x[i] / root * 0.25 * (g ? (double)g[i] : 1.0);
        near(r.y[i], wanted + (b ? (double)b[i] : 0.0), 8 * EPS * (fabs(wanted) + 2));
    }
    guarded(&r);
}

static void check_silu(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 20.0f);
    v->silu(r.y, r.x, n);
    for (size_t i = 0; i < n; i++) {
        double wanted = (double)r.x[i] / (1.0 + exp(-(double)r.x[i]));
        near(r.y[i], wanted, 4 * EPS * fabs(wanted));
    }
    guarded(&r);
}

static void check_reductions(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 2.0f);
    double sum = 0.0, size = 0.0;
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        sum += (double)r.x[i] * (double)r.z[i];
        size += fabs((double)r.x[i] * (double)r.z[i]);
        top = r.x[i] > top ? r.x[i] : top;
    }
    near(v->dot(r.x, r.z, n), sum, 8 * EPS * size);
    assert_true(v->max(r.x, n) == top);
    guarded(&r);
}

static void check_exp_sum(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 80.0f);
    float top = n ? v->max(r.x, n) : 0.0f;
    float found = v->exp_sum(r.y, r.x, top, n);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double wanted = exp((double)(r.x[i] - top));
        near(r.y[i], wanted, 2e-7 * wanted + 1.5e-45);
        sum += (double)r.y[i];
    }
    near(found, sum, 8 * EPS * sum);
    guarded(&r);
}

static void check_log_softmax(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 30.0f);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)r.y0[i]);
    v->log_softmax(r.y, n);
    for (size_t i = 0; i < n; i++)
        near(r.y[i], (double)r.y0[i] - log(sum), 2e-7 + EPS * fabs((double)r.y[i]));
    guarded(&r);
}

static void check_nearest(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    fresh(&r, n, shift, 1.0f);
    for (size_t i = 0; i < n; i++) {
        r.x[i] = rintf(4.0f * r.x[i]); /* few values: ties are the rule */
        r.z[i] = rintf(4.0f * r.z[i]);
    }
    size_t wanted = 0;
    for (size_t i = 1; i < n; i++) {
        if (r.z[i] - 2 * r.x[i] < r.z[wanted] - 2 * r.x[wanted])
            wanted = i;
    }
    assert_int_equal(v->nearest(r.x, r.z, n), wanted);
}

/* The same array in and out gives the same bytes. */
static void check_in_place(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    float twice[ROOM];
    fresh(&r, n, shift, 5.0f);
    v->silu(r.y, r.x, n);
    v->silu(r.x, r.x, n);
    assert_memory_equal(r.y, r.x, n * sizeof(float));
    v->exp_sum(r.y, r.z, 5.0f, n);
    v->exp_sum(r.z, r.z, 5.0f, n);
    assert_memory_equal(r.y, r.z, n * sizeof(float));
    v->rms_norm(r.y, r.x, n, NULL, NULL, 1.0f);
    v->rms_norm(r.x, r.x, n, NULL, NULL, 1.0f);
    assert_memory_equal(r.y, r.x, n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        twice[i] = r.y[i] + r.y[i];
    v->add(r.y, r.y, n);
    assert_memory_equal(r.y, twice, n * sizeof(float));
}

/* Alignment changes no byte: the same numbers at two addresses give the same results. */
static void check_alignment(const struct vq_vec *v, size_t n, size_t shift)
{
    struct row r;
    float moved[ROOM + 16], y[ROOM];
    fresh(&r, n, 0, 5.0f);
    memcpy(moved + shift, r.x, n * sizeof(float));
    float a = v->exp_sum(r.y, r.x, 5.0f, n), b = v->exp_sum(y, moved + shift, 5.0f, n);
    assert_true(a == b);
    assert_memory_equal(r.y, y, n * sizeof(float));
    assert_true(v->dot(r.x, r.z, n) == v->dot(moved + shift, r.z, n));
}

static void check_all(const struct vq_vec *v)
{
    for (size_t n = 0; n < LENGTHS; n++) {
        size_t shift = n * 7 % 17;
        check_element_wise(v, n, shift);
        check_gather(v, n, shift);
        for (int parts = 0; parts < 4; parts++)
            check_rms_norm(v, n, shift, parts);
        check_silu(v, n, shift);
        check_reductions(v, n, shift);
        check_exp_sum(v, n, shift);
        check_log_softmax(v, n, shift);
        check_in_place(v, n, shift);
        check_alignment(v, n, shift);
        if (n)
            check_nearest(v, n, shift);
    }
}

static void test_sets_against_double(void **state)
{
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < SETS; i++) {
        const struct vq_vec *v = vq_vec_find(set_names[i]);
        if (!v)
            continue;
        assert_string_equal(v->name, set_names[i]);
        check_all(v);
        found++;
    }
    assert_true(found >= 1);
    assert_non_null(vq_vec_find("portable"));
    assert_ptr_equal(vq_vec_default(), vq_vec_find(vq_vec_default()->name));
    assert_null(vq_vec_find("abacus"));
}

static void check_exp(const struct vq_vec *v)
{
    float x[256], y[256];
    for (int from = -110; from < 92; from++) {
        for (int i = 0; i < 256; i++)
            x[i] = (float)from + (float)i / 256.0f;
        v->exp_sum(y, x, 0.0f, 256);
        for (int i = 0; i < 256; i++) {
            double wanted = exp((double)x[i]);
            if (wanted > 3.4028235e38)
                assert_true(y[i] == INFINITY || y[i] > 3.4028e38f);
            else
                near(y[i], wanted, 2e-7 * wanted + 1.5e-45);
        }
    }
}

static void test_exp_over_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETS; i++) {
        const struct vq_vec *v = vq_vec_find(set_names[i]);
        if (v)
            check_exp(v);
    }
}

/* Where each thing that is not finite is put: in a vector and in what is left over. */
static const size_t places[] = {0, 5, 31, 32, 63, 70};
#define PLACES (sizeof(places) / sizeof(places[0]))
#define N      71

static void check_not_finite(const struct vq_vec *v, size_t at)
{
    float x[N], y[N], z[N];
    for (size_t i = 0; i < N; i++)
        x[i] = z[i] = 1.0f;
    x[at] = -INFINITY;
    assert_true(v->max(x, N) == 1.0f);
    near(v->exp_sum(y, x, 1.0f, N), N - 1, 1e-4);
    assert_true(y[at] == 0.0f);
    memcpy(y, x, sizeof(y));
    v->log_softmax(y, N);
    assert_true(y[at] == -INFINITY);
    near(y[(at + 1) % N], -log(N - 1.0), 1e-6);

    x[at] = NAN;
    assert_true(v->max(x, N) == 1.0f);
    assert_true(isnan(v->exp_sum(y, x, 1.0f, N)));
    assert_true(isnan(y[at]) && y[(at + 1) % N] == 1.0f);
    v->silu(y, x, N);
    assert_true(isnan(y[at]));
    assert_true(v->nearest(x, z, N) == (at == 0 ? 1 : 0));
    z[at] = -1e30f; /* would win, were it not NaN */
    assert_true(v->nearest(x, z, N) == (at == 0 ? 1 : 0));
}

static void check_extremes(const struct vq_vec *v)
{
    float x[N], y[N], z[N];
    for (size_t i = 0; i < N; i++) {
        x[i] = -INFINITY;
        z[i] = INFINITY;
        y[i] = 0.0f;
    }
    assert_true(v->max(x, N) == -INFINITY);
    assert_true(v->max(x, 0) == -INFINITY);
    assert_true(v->exp_sum(y, x, -INFINITY, N) == 0.0f);
    assert_true(y[0] == 0.0f && y[N - 1] == 0.0f);
    assert_int_equal(v->nearest(y, z, N), 0);
    z[0] = z[1] = NAN;
    assert_int_equal(v->nearest(y, z, N), 2);
    z[40] = 3e38f;
    assert_int_equal(v->nearest(y, z, N), 40);
    z[70] = -INFINITY;
    assert_int_equal(v->nearest(y, z, N), 70);
    for (size_t i = 0; i < N; i++)
        z[i] = NAN;
    assert_true(v->nearest(y, z, N) < N);
    x[3] = 2000.0f;
    v->silu(y, x + 3, 1);
    assert_true(y[0] == 2000.0f);
    x[3] = -2000.0f;
    v->silu(y, x + 3, 1);
    assert_true(y[0] == 0.0f);
}

static void test_not_finite(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETS; i++) {
        const struct vq_vec *v = vq_vec_find(set_names[i]);
        for (size_t p = 0; v && p < PLACES; p++)
            check_not_finite(v, places[p]);
        if (v)
            check_extremes(v);
    }
}

/* The sets differ from the portable one by rounding alone. */
static void test_sets_agree(void **state)
{
    (void)state;
    enum { LONG = 5003 };
    float *x = malloc(3 * LONG * sizeof(float)), *y = x + LONG, *w = x + 2 * LONG;
    assert_non_null(x);
    const struct vq_vec *p = vq_vec_find("portable");
    for (size_t s = 0; s < SETS; s++) {
        const struct vq_vec *v = vq_vec_find(set_names[s]);
        if (!v)
            continue;
        for (size_t i = 0; i < LONG; i++)
            x[i] = 20.0f * random_float();
        near(v->exp_sum(y, x, 20.0f, LONG), p->exp_sum(w, x, 20.0f, LONG), 1e-6 * LONG);
        for (size_t i = 0; i < LONG; i++)
            near(y[i], w[i], 4e-7 * (double)w[i]);
        memcpy(y, x, LONG * sizeof(float));
        memcpy(w, x, LONG * sizeof(float));
        v->log_softmax(y, LONG);
        p->log_softmax(w, LONG);
        for (size_t i = 0; i < LONG; i++)
            near(y[i], w[i], 8 * EPS * fabs((double)w[i]));
        near(v->dot(x, x, LONG), p->dot(x, x, LONG), 1e-6 * (double)p->dot(x, x, LONG));
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_against_double),
        cmocka_unit_test(test_exp_over_its_range),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_sets_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
