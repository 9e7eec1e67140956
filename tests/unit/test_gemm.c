/* Matrix products: every back-end and weight format against sums in double, and our own kernels'
 * promise that a row's bytes depend on nothing but the row. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/half.h"
#include "core/base/mem.h"
#include "core/kernels/gemm.h"

#define GUARD 12345.0f /* what untouched memory holds */

static uint32_t seed = 1;

static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

static float *filled(size_t n, float value)
{
    float *x = malloc((n + 1) * sizeof(float));
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = value;
    return x;
}

static float *random_floats(size_t n)
{
    float *x = filled(n, 0.0f);
    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
    return x;
}

static struct vq_pool *new_pool(int threads)
{
    struct vq_pool *p;
    assert_int_equal(vq_pool_new(&p, threads, NULL), VQ_OK);
    return p;
}

static struct vq_weight *new_weight(enum vq_weight_format f, size_t K, size_t N, const float *w,
                                    size_t ldw, struct vq_pool *pool)
{
    struct vq_weight *p;
    struct vq_err err;
    assert_int_equal(vq_weight_new(&p, f, K, N, w, ldw, pool, NULL, &err), VQ_OK);
    assert_int_equal(vq_weight_rows(p), K);
    assert_int_equal(vq_weight_cols(p), N);
    return p;
}

static const struct vq_gemm *backend(size_t i)
{
    const struct vq_gemm *g = vq_gemm_find(vq_gemm_backend_name(i));
    assert_non_null(g);
    return g;
}

static bool rounds(const struct vq_gemm *g)
{
    return vq_gemm_exact(g) != g;
}

/* Whether it keeps the promise about rows. */
static bool is_ours(const struct vq_gemm *g)
{
    return strcmp(vq_gemm_name(g), "openblas") && strcmp(vq_gemm_name(g), "onednn") && !rounds(g);
}

/* One product: x[M,K] with stride ldx, the matrix as used w[K,N], y0[M,N] to add to, and the sums
 * and bounds of the error in double; with int8 weights also what x may be moved by. */
struct problem {
    size_t M, N, K, ldx, ldy;
    float *x, *w;
    float start; /* of every y */
    bool int8;
    double *sum, *bound, *moved;
};

/* Half a step of 16 bits for each input of row m, in each group, of what is largest there. */
static double moved_by(const struct problem *p, size_t m, size_t k)
{
    double top = 0;
    for (size_t i = k / VQ_INT8_GROUP * VQ_INT8_GROUP; i < p->K; i++) {
        if (i / VQ_INT8_GROUP == k / VQ_INT8_GROUP)
            top = fmax(top, fabs((double)p->x[m * p->ldx + i]));
    }
    return top / 65534 * 1.001;
}

static void solve(struct problem *p, bool accumulate)
{
    for (size_t i = 0; i < p->M * p->N; i++) {
        p->sum[i] = accumulate ? (double)p->start : 0.0;
        p->bound[i] = fabs(p->sum[i]);
        p->moved[i] = 0;
    }
    for (size_t m = 0; m < p->M; m++) {
        for (size_t k = 0; k < p->K; k++) {
            double x = (double)p->x[m * p->ldx + k], moved = p->int8 ? moved_by(p, m, k) : 0;
            for (size_t n = 0; n < p->N; n++) {
                double w = (double)p->w[k * p->N + n];
                p->sum[m * p->N + n] += x * w;
                p->bound[m * p->N + n] += fabs(x * w);
                p->moved[m * p->N + n] += fabs(moved * w);
            }
        }
    }
}

/* Rounding to bfloat16 changes each side of a product by 2^-8 of it at most. */
static void check(const struct problem *p, const struct vq_gemm *g, const float *y)
{
    double unit = 0x1p-23 * (double)(p->K + 4) + (rounds(g) ? 0x1.02p-7 : 0.0);
    for (size_t m = 0; m < p->M; m++) {
        for (size_t n = 0; n < p->ldy; n++) {
            float found = y[m * p->ldy + n];
            if (n >= p->N) {
                assert_true(found == GUARD);
                continue;
            }
            double limit = unit * p->bound[m * p->N + n] + p->moved[m * p->N + n] + 1e-30;
            assert_true(fabs((double)found - p->sum[m * p->N + n]) <= limit);
        }
    }
}

static float *started(const struct problem *p)
{
    float *y = filled(p->M * p->ldy, GUARD);
    for (size_t m = 0; m < p->M; m++) {
        for (size_t n = 0; n < p->N; n++)
            y[m * p->ldy + n] = p->start;
    }
    return y;
}

static void check_weight(const struct problem *p, const struct vq_weight *w, struct vq_pool *pool,
                         bool accumulate)
{
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        float *y = started(p);
        vq_weight_mul(backend(i), pool, w, p->M, p->x, p->ldx, y, p->ldy, accumulate);
        check(p, backend(i), y);
        free(y);
        y = started(p);
        vq_weight_mul_serial(backend(i), w, p->M, p->x, p->ldx, y, p->ldy, accumulate);
        check(p, backend(i), y);
        free(y);
    }
}

static void check_plain(const struct problem *p, bool accumulate)
{
    size_t ldb = p->N + 5;
    float *b = filled(p->K * ldb, NAN); /* columns beyond N must not matter */
    for (size_t k = 0; k < p->K; k++)
        memcpy(b + k * ldb, p->w + k * p->N, p->N * sizeof(float));
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        float *y = started(p);
        vq_gemm_nn(backend(i), p->M, p->N, p->K, p->x, p->ldx, b, ldb, y, p->ldy, accumulate);
        check(p, backend(i), y);
        free(y);
    }
    free(b);
}

static void check_size(size_t M, size_t N, size_t K, struct vq_pool *pool)
{
    struct problem p = {.M = M, .N = N, .K = K, .ldx = K + 3, .ldy = N + 7, .start = 0.75f};
    p.x = filled(M * p.ldx, NAN); /* nor inputs beyond K */
    for (size_t m = 0; m < M; m++) {
        for (size_t k = 0; k < K; k++)
            p.x[m * p.ldx + k] = random_float();
    }
    float *source = random_floats(K * (N + 2));
    p.w = filled(K * N, 0.0f);
    p.sum = calloc(M * N + 1, sizeof(double));
    p.bound = calloc(M * N + 1, sizeof(double));
    p.moved = calloc(M * N + 1, sizeof(double));
    assert_true(p.sum && p.bound && p.moved);
    for (int f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
        struct vq_weight *w = new_weight((enum vq_weight_format)f, K, N, source, N + 2, pool);
        vq_weight_unpack(w, p.w);
        p.int8 = f == VQ_WEIGHT_INT8;
        for (int accumulate = 0; accumulate <= 1; accumulate++) {
            solve(&p, accumulate);
            check_weight(&p, w, pool, accumulate);
            if (f == VQ_WEIGHT_F32)
                check_plain(&p, accumulate);
        }
        vq_weight_free(w);
    }
    free(p.x);
    free(p.w);
    free(p.sum);
    free(p.bound);
    free(p.moved);
    free(source);
}

static void test_products_against_double(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {
        {1, 1, 1},    {1, 32, 64},  {1, 33, 65},   {2, 31, 63},    {3, 97, 383},   {4, 64, 128},
        {5, 1, 7},    {6, 16, 384}, {7, 131, 385}, {13, 65, 13},   {14, 32, 1},    {15, 29, 449},
        {17, 257, 2}, {29, 67, 67}, {64, 259, 96}, {65, 513, 131}, {131, 40, 769}, {1, 600, 800},
        {2, 300, 90}, {3, 0, 5},    {0, 3, 5},     {4, 9, 0},      {1, 9, 0},
    };
    struct vq_pool *pool = new_pool(2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_size(sizes[i][0], sizes[i][1], sizes[i][2], pool);
    vq_pool_free(pool);
}

/* Rows of one large product, each to be met again in products of other heights. */
#define ROWS 200

static void check_rows(const struct vq_gemm *g, const struct vq_weight *w, struct vq_pool *pool,
                       const float *x, const float *one_by_one, bool accumulate)
{
    static const size_t heights[] = {2, 7, 16, 33, ROWS};
    size_t K = vq_weight_rows(w), N = vq_weight_cols(w);
    for (size_t i = 0; i < sizeof(heights) / sizeof(heights[0]); i++) {
        size_t M = heights[i];
        size_t from = (ROWS - M) / 2;
        float *y = filled(M * N, 0.5f);
        vq_weight_mul(g, pool, w, M, x + from * K, K, y, N, accumulate);
        assert_memory_equal(y, one_by_one + from * N, M * N * sizeof(float));
        free(y);
    }
}

static void check_invariance(const struct vq_gemm *g, enum vq_weight_format f, bool accumulate)
{
    const size_t K = 450, N = 163;
    float *x = random_floats(ROWS * K), *source = random_floats(K * N);
    float *one_by_one = filled(ROWS * N, 0.5f);
    struct vq_weight *w = new_weight(f, K, N, source, N, NULL);
    for (size_t m = 0; m < ROWS; m++)
        vq_weight_mul_serial(g, w, 1, x + m * K, K, one_by_one + m * N, N, accumulate);
    for (int threads = 1; threads <= 4; threads *= 2) {
        struct vq_pool *pool = new_pool(threads);
        check_rows(g, w, pool, x, one_by_one, accumulate);
        vq_pool_free(pool);
    }
    vq_weight_free(w);
    free(x);
    free(source);
    free(one_by_one);
}

static void test_rows_do_not_depend_on_their_company(void **state)
{
    (void)state;
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        for (int f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8 && is_ours(backend(i)); f++) {
            check_invariance(backend(i), (enum vq_weight_format)f, false);
            check_invariance(backend(i), (enum vq_weight_format)f, true);
        }
    }
}

/* A product with an unpacked matrix, whole or in pieces of k, is the packed product to the byte. */
static void test_plain_products_have_the_same_bytes(void **state)
{
    (void)state;
    const size_t K = 450, N = 163, M = 37, cut = 211;
    float *x = random_floats(M * K), *b = random_floats(K * N);
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        const struct vq_gemm *g = backend(i);
        if (!is_ours(g))
            continue;
        float *packed = filled(M * N, 0.0f), *y = filled(M * N, GUARD);
        struct vq_weight *w = new_weight(VQ_WEIGHT_F32, K, N, b, N, NULL);
        vq_weight_mul(g, NULL, w, M, x, K, packed, N, false);
        vq_gemm_nn(g, M, N, K, x, K, b, N, y, N, false);
        assert_memory_equal(y, packed, M * N * sizeof(float));
        vq_gemm_nn(g, M, N, cut, x, K, b, N, y, N, false);
        vq_gemm_nn(g, M, N, K - cut, x + cut, K, b + cut * N, N, y, N, true);
        assert_memory_equal(y, packed, M * N * sizeof(float));
        for (size_t m = 0; m < M; m++)
            vq_gemm_nn(g, 1, N, K, x + m * K, K, b, N, y + m * N, N, false);
        assert_memory_equal(y, packed, M * N * sizeof(float));
        vq_weight_free(w);
        free(packed);
        free(y);
    }
    free(x);
    free(b);
}

/* Sums of int8 groups are integers, so sets that fuse multiply and add agree to the byte. */
static void test_int8_is_the_same_in_every_set(void **state)
{
    (void)state;
    const struct vq_gemm *narrow = vq_gemm_find("avx2"), *wide = vq_gemm_find("avx512");
    if (!narrow || !wide)
        skip();
    const size_t K = 451, N = 163, M = 21;
    float *x = random_floats(M * K), *b = random_floats(K * N);
    float *one = filled(M * N, 0.0f), *other = filled(M * N, 0.0f);
    struct vq_weight *w = new_weight(VQ_WEIGHT_INT8, K, N, b, N, NULL);
    for (size_t rows = 1; rows <= M; rows += 4) {
        vq_weight_mul(narrow, NULL, w, rows, x, K, one, N, false);
        vq_weight_mul(wide, NULL, w, rows, x, K, other, N, false);
        assert_memory_equal(one, other, rows * N * sizeof(float));
    }
    vq_weight_free(w);
    free(x);
    free(b);
    free(one);
    free(other);
}

/* Products that share a run are the products one by one; more of them than share one, of all
 * formats, some of them empty. */
static void test_products_together(void **state)
{
    (void)state;
    enum { N_JOB = 40 };
    struct vq_pool *pool = new_pool(3);
    struct vq_product job[N_JOB];
    for (size_t i = 0; i < N_JOB; i++) {
        size_t K = i == 7 ? 0 : 30 + 17 * i, N = 200 - 3 * i, M = i == 9 ? 0 : 1 + i % 20;
        float *source = random_floats(K * N);
        job[i] = (struct vq_product){
            .w = new_weight((enum vq_weight_format)(i % 3), K, N, source, N, NULL),
            .rows = M,
            .x = random_floats(M * K),
            .ldx = K,
            .y = filled(M * N, 0.25f),
            .ldy = N,
            .accumulate = i % 2};
        free(source);
    }
    vq_weight_mul_all(vq_gemm_default(), pool, job, N_JOB);
    for (size_t i = 0; i < N_JOB; i++) {
        const struct vq_product *j = &job[i];
        float *y = filled(j->rows * j->ldy, 0.25f);
        vq_weight_mul(vq_gemm_default(), NULL, j->w, j->rows, j->x, j->ldx, y, j->ldy,
                      j->accumulate);
        assert_memory_equal(y, j->y, j->rows * j->ldy * sizeof(float));
        free(y);
        free(j->y);
        free((float *)j->x);
        vq_weight_free((struct vq_weight *)j->w);
    }
    vq_pool_free(pool);
}

static void test_openblas_does_not_depend_on_threads(void **state)
{
    (void)state;
    const struct vq_gemm *g = vq_gemm_find("openblas");
    if (!g) {
        assert_null(vq_gemm_blas_core());
        skip();
    }
    assert_non_null(vq_gemm_blas_core());
    const size_t K = 500, N = 700, M = 70;
    float *x = random_floats(M * K), *source = random_floats(K * N), *first = NULL;
    struct vq_weight *w = new_weight(VQ_WEIGHT_BF16, K, N, source, N, NULL);
    for (int threads = 1; threads <= 4; threads++) {
        struct vq_pool *pool = new_pool(threads);
        float *y = filled(M * N, 0.0f);
        vq_weight_mul(g, pool, w, M, x, K, y, N, false);
        if (first)
            assert_memory_equal(y, first, M * N * sizeof(float));
        if (first)
            free(y);
        else
            first = y;
        vq_pool_free(pool);
    }
    vq_weight_free(w);
    free(first);
    free(x);
    free(source);
}

/* What is not finite stays in its row and its column. */
static void test_not_finite_stays_in_place(void **state)
{
    (void)state;
    const size_t M = 19, K = 130, N = 70, row = 5, col = 66;
    float *x = random_floats(M * K), *source = random_floats(K * N), *y = filled(M * N, 0.0f);
    x[row * K + 3] = INFINITY;
    source[100 * N + col] = NAN;
    for (size_t i = 0; i < vq_gemm_backends(); i++) {
        for (int f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
            struct vq_weight *w = new_weight((enum vq_weight_format)f, K, N, source, N, NULL);
            vq_weight_mul(backend(i), NULL, w, M, x, K, y, N, false);
            for (size_t m = 0; m < M; m++) {
                for (size_t n = 0; n < N; n++) {
                    bool finite = m != row && n != col;
                    assert_int_equal(isfinite(y[m * N + n]) != 0, finite);
                    assert_true(n != col || isnan(y[m * N + n]));
                }
            }
            vq_weight_free(w);
        }
    }
    free(x);
    free(source);
    free(y);
}

static void test_formats_round_trip(void **state)
{
    (void)state;
    const size_t K = 201, N = 45;
    float *source = random_floats(K * N), *back = filled(K * N, 0.0f);
    for (size_t k = 64; k < 128; k++)
        source[k * N + 7] = 0.0f; /* a group without a scale */
    struct vq_weight *w = new_weight(VQ_WEIGHT_F32, K, N, source, N, NULL);
    vq_weight_unpack(w, back);
    assert_memory_equal(back, source, K * N * sizeof(float));
    size_t f32_bytes = vq_weight_bytes(w);
    vq_weight_free(w);

    w = new_weight(VQ_WEIGHT_BF16, K, N, source, N, NULL);
    vq_weight_unpack(w, back);
    for (size_t i = 0; i < K * N; i++)
        assert_true(back[i] == vq_bf16_to_f32(vq_f32_to_bf16(source[i])));
    assert_int_equal(vq_weight_bytes(w) * 2, f32_bytes);
    vq_weight_free(w);

    w = new_weight(VQ_WEIGHT_INT8, K, N, source, N, NULL);
    vq_weight_unpack(w, back);
    for (size_t i = 0; i < K * N; i++) {
        size_t k0 = i / N / VQ_INT8_GROUP * VQ_INT8_GROUP;
        float top = 0.0f;
        for (size_t k = k0; k < K && k < k0 + VQ_INT8_GROUP; k++)
            top = fmaxf(top, fabsf(source[k * N + i % N]));
        assert_true(fabsf(back[i] - source[i]) <= top / 127 * 0.5001f);
        assert_true(fabsf(source[i]) < top || fabsf(back[i]) >= top * 0.9999f);
    }
    vq_weight_free(w);
    free(source);
    free(back);
}

static void test_names(void **state)
{
    (void)state;
    enum vq_weight_format f = VQ_WEIGHT_INT8;
    assert_true(vq_weight_format_parse("bf16", &f));
    assert_int_equal(f, VQ_WEIGHT_BF16);
    assert_false(vq_weight_format_parse("f16", &f));
    for (int i = VQ_WEIGHT_F32; i <= VQ_WEIGHT_INT8; i++) {
        assert_true(vq_weight_format_parse(vq_weight_format_name((enum vq_weight_format)i), &f));
        assert_int_equal(f, i);
    }
    assert_string_equal(vq_gemm_backend_name(0), "portable");
    assert_null(vq_gemm_backend_name(vq_gemm_backends()));
    assert_null(vq_gemm_find("abacus"));
    assert_ptr_equal(vq_gemm_find(vq_gemm_name(vq_gemm_default())), vq_gemm_default());
    assert_false(rounds(vq_gemm_default()));
}

static void test_bad_weights(void **state)
{
    (void)state;
    float w[4] = {0};
    struct vq_weight *p = (struct vq_weight *)w;
    struct vq_err err;
    assert_int_equal(vq_weight_new(&p, (enum vq_weight_format)9, 2, 2, w, 2, NULL, NULL, &err),
                     VQ_EINVAL);
    assert_null(p);
    assert_int_equal(vq_weight_new(&p, VQ_WEIGHT_F32, 2, 2, w, 1, NULL, NULL, &err), VQ_EINVAL);
    static const size_t huge[][2] = {
        {SIZE_MAX / 2, SIZE_MAX / 2}, {SIZE_MAX, 1}, {(size_t)1 << 34, (size_t)1 << 34}};
    for (size_t i = 0; i < 9; i++) {
        size_t K = huge[i / 3][0], N = huge[i / 3][1];
        assert_int_equal(
            vq_weight_new(&p, (enum vq_weight_format)(i % 3), K, N, w, N, NULL, NULL, &err),
            VQ_ENOMEM);
        assert_null(p);
    }
    vq_weight_free(NULL);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    float w[6] = {1, 2, 3, 4, 5, 6};
    enum vq_status rc = VQ_ENOMEM;
    for (long nth = 1; rc != VQ_OK; nth++) {
        struct vq_weight *p;
        struct vq_err err = {0};
        assert_true(nth < 20);
        vq_mem_fail_at(nth);
        rc = vq_weight_new(&p, VQ_WEIGHT_BF16, 3, 2, w, 2, NULL, NULL, &err);
        vq_mem_fail_at(0);
        assert_true(rc == VQ_OK || (rc == VQ_ENOMEM && err.code == VQ_ENOMEM && !p));
        vq_weight_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_against_double),
        cmocka_unit_test(test_rows_do_not_depend_on_their_company),
        cmocka_unit_test(test_plain_products_have_the_same_bytes),
        cmocka_unit_test(test_int8_is_the_same_in_every_set),
        cmocka_unit_test(test_products_together),
        cmocka_unit_test(test_openblas_does_not_depend_on_threads),
        cmocka_unit_test(test_not_finite_stays_in_place),
        cmocka_unit_test(test_formats_round_trip),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_weights),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
