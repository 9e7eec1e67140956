/*
 * Products of plain and transposed matrices: every back-end against sums in double, at sizes that
 * are no multiple of anything, with rows that lie apart; and the same bytes for any number of
 * threads.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/half.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/kernels/matmul_packed.h"

#define GAP 3 /* floats between rows */

static struct vq_err err;

/* A product and room for it; c has a row before and after, and gaps, that must stay as they are. */
struct product {
    size_t M, N, K, lda, ldb, ldc;
    bool ta, tb;
    float *a, *b, *c;
    struct vq_matrix A, B;
};

static float *numbers(size_t n, uint64_t stream)
{
    struct vq_rng r;
    float *x = vq_alloc_f32(n);
    assert_non_null(x);
    vq_rng_init(&r, 1, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)vq_rng_normal(&r);
    return x;
}

static void make(struct product *p, size_t M, size_t N, size_t K, bool ta, bool tb)
{
    *p = (struct product){.M = M, .N = N, .K = K, .ta = ta, .tb = tb};
    p->lda = (ta ? M : K) + GAP;
    p->ldb = (tb ? K : N) + GAP;
    p->ldc = N + GAP;
    p->a = numbers((ta ? K : M) * p->lda, 1);
    p->b = numbers((tb ? N : K) * p->ldb, 2);
    p->c = numbers((M + 2) * p->ldc, 3);
    p->A = ta ? vq_mat_t(p->a, p->lda) : vq_mat(p->a, p->lda);
    p->B = tb ? vq_mat_t(p->b, p->ldb) : vq_mat(p->b, p->ldb);
}

static void release(struct product *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
}

static double rounded(float x, bool bf16)
{
    return (double)(bf16 ? vq_bf16_to_f32(vq_f32_to_bf16(x)) : x);
}

static double element(const struct product *p, bool bf16, size_t i, size_t j, double *size)
{
    double sum = 0.0;
    for (size_t k = 0; k < p->K; k++) {
        double x = rounded(p->a[p->ta ? k * p->lda + i : i * p->lda + k], bf16);
        double y = rounded(p->b[p->tb ? j * p->ldb + k : k * p->ldb + j], bf16);
        sum += x * y;
        *size += fabs(x * y);
    }
    return sum;
}

static void check(const struct product *p, bool bf16, const float *before, bool accumulate)
{
    for (size_t i = 0; i < (p->M + 2) * p->ldc; i++) {
        size_t row = i / p->ldc, col = i % p->ldc;
        if (row < 1 || row > p->M || col >= p->N) {
            assert_true(p->c[i] == before[i]);
            continue;
        }
        double size = 1.0, sum = element(p, bf16, row - 1, col, &size);
        sum += accumulate ? (double)before[i] : 0.0;
        if (!(fabs(sum - (double)p->c[i]) < 2e-6 * size))
            fail_msg("%zu x %zu x %zu%s%s: element %zu, %zu is %g, expected %g", p->M, p->N, p->K,
                     p->ta ? " a^T" : "", p->tb ? " b^T" : "", row - 1, col, (double)p->c[i], sum);
    }
}

static const size_t shapes[][3] = {
    {1, 1, 1},    {1, 33, 5},   {5, 1, 300},   {13, 31, 17},   {14, 32, 256}, {15, 64, 257},
    {64, 96, 31}, {67, 129, 8}, {130, 65, 70}, {300, 290, 40}, {3, 7, 0},     {259, 40, 270},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* Every back-end, then each again with bfloat16. */
static size_t modes(void)
{
    return 2 * vq_gemm_backends();
}

static struct vq_matmul_mode mode(size_t i)
{
    return (struct vq_matmul_mode){vq_gemm_find(vq_gemm_backend_name(i / 2)), i % 2};
}

static void test_elements(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < modes(); m++) {
        struct vq_matmul_mode how = mode(m);
        for (size_t i = 0; i < 16 * SHAPES; i++) {
            const size_t *s = shapes[i / 16];
            struct product p;
            bool accumulate = i & 4;
            make(&p, s[0], s[1], s[2], i & 1, i & 2);
            float *before = numbers((p.M + 2) * p.ldc, 3);
            if (i & 8)
                vq_matmul_serial(&how, p.M, p.N, p.K, p.A, p.B, p.c + p.ldc, p.ldc, accumulate);
            else
                vq_matmul(&how, NULL, p.M, p.N, p.K, p.A, p.B, p.c + p.ldc, p.ldc, accumulate);
            check(&p, how.bf16, before, accumulate);
            free(before);
            release(&p);
        }
    }
}

/* Packs b in four parts that meet at input k and column n. */
static void pack_in_parts(const struct vq_packed *side, const struct product *p, size_t k, size_t n)
{
    const size_t ks[] = {0, k < p->K ? k : p->K, p->K}, ns[] = {0, n < p->N ? n : p->N, p->N};
    for (size_t i = 0; i < 4; i++) {
        size_t k0 = ks[i / 2], n0 = ns[i % 2];
        struct vq_packed part =
            vq_packed_part(side, k0, ks[i / 2 + 1] - k0, n0, ns[i % 2 + 1] - n0);
        struct vq_matrix b = p->B;
        b.at += p->tb ? n0 * p->ldb + k0 : k0 * p->ldb + n0;
        vq_matmul_pack(&part, b);
    }
}

/* Two results that differ by nothing, or, where a back-end does whole products, by little. */
static void same(const struct vq_matmul_kernel *kernel, const struct product *p,
                 const struct product *q)
{
    for (size_t i = 0; i < (p->M + 2) * p->ldc; i++)
        if (kernel ? p->c[i] != q->c[i] : !(fabsf(p->c[i] - q->c[i]) < 1e-4f))
            fail_msg("%zu x %zu x %zu: float %zu is %g, expected %g", p->M, p->N, p->K, i,
                     (double)q->c[i], (double)p->c[i]);
}

/* A right side packed beforehand, in parts, gives the same bytes, whole or its later part alone. */
static void test_packed(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < modes(); m++) {
        struct vq_matmul_mode how = mode(m);
        for (size_t i = 0; i < 4 * SHAPES; i++) {
            const size_t *s = shapes[i / 4];
            size_t k0 = i & 1 ? s[2] / 4 * 2 : 0, n0 = i & 1 ? s[1] / 64 * 32 : 0;
            struct product p, q;
            make(&p, s[0], s[1], s[2], false, i & 2);
            make(&q, s[0], s[1], s[2], false, i & 2);
            float *at = vq_alloc_f32(vq_packed_rows(s[2]) * vq_packed_cols(s[1]));
            struct vq_packed side = vq_packed_at(&how, s[2], s[1], at);
            pack_in_parts(&side, &p, 30, 32);
            struct vq_packed part = vq_packed_part(&side, k0, s[2] - k0, n0, s[1] - n0);
            p.A.at = p.a + k0;
            p.B.at = p.b + (p.tb ? n0 * p.ldb + k0 : k0 * p.ldb + n0);
            vq_matmul(&how, NULL, s[0], part.N, part.K, p.A, p.B, p.c + p.ldc, p.ldc, i & 1);
            vq_matmul_packed(&part, s[0], p.A.at, p.lda, q.c + q.ldc, q.ldc, i & 1);
            same(side.kernel, &p, &q);
            free(at);
            release(&p);
            release(&q);
        }
    }
}

/* Sums of a^T b with both sides packed, in two parts that meet at an even input; several at a
 * time. */
static void test_outer(void **unused)
{
    struct vq_pool *pool;
    (void)unused;
    assert_int_equal(vq_pool_new(&pool, 3, &err), VQ_OK);
    for (size_t m = 0; m < modes(); m++) {
        struct vq_matmul_mode how = mode(m);
        struct vq_outer list[SHAPES];
        struct product p[SHAPES], q[SHAPES];
        for (size_t i = 0; i < SHAPES; i++) {
            size_t M = shapes[i][0], N = shapes[i][1], K = shapes[i][2], half = K / 4 * 2;
            make(&p[i], M, N, K, true, false);
            make(&q[i], M, N, K, true, false);
            float *left = vq_alloc_f32(vq_packed_rows(K) * vq_packed_left_cols(M));
            float *right = vq_alloc_f32(vq_packed_rows(K) * vq_packed_cols(N));
            list[i] =
                (struct vq_outer){vq_packed_left_at(&how, K, M, left),
                                  vq_packed_at(&how, K, N, right), q[i].c + q[i].ldc, q[i].ldc};
            for (size_t k = 0; k < 2; k++) {
                size_t k0 = k ? half : 0, depth = k ? K - half : half;
                struct vq_packed_left a = vq_packed_left_part(&list[i].left, k0, depth);
                vq_matmul_pack_left(&a, q[i].a + k0 * q[i].lda, q[i].lda);
            }
            pack_in_parts(&list[i].right, &q[i], half, 32);
            vq_matmul(&how, NULL, M, N, K, p[i].A, p[i].B, p[i].c + p[i].ldc, p[i].ldc, true);
        }
        vq_matmul_outer(pool, list, SHAPES);
        for (size_t i = 0; i < SHAPES; i++) {
            same(list[i].left.kernel, &p[i], &q[i]);
            free(list[i].left.at);
            free(list[i].right.at);
            release(&p[i]);
            release(&q[i]);
        }
    }
    vq_pool_free(pool);
}

static void test_threads(void **unused)
{
    struct vq_pool *pool;
    (void)unused;
    assert_int_equal(vq_pool_new(&pool, 3, &err), VQ_OK);
    for (size_t m = 0; m < modes(); m++) {
        struct vq_matmul_mode how = mode(m);
        for (size_t i = 0; i < 4 * SHAPES; i++) {
            const size_t *s = shapes[i / 4];
            struct product one, many;
            make(&one, s[0], s[1], s[2], i & 1, i & 2);
            make(&many, s[0], s[1], s[2], i & 1, i & 2);
            vq_matmul(&how, NULL, s[0], s[1], s[2], one.A, one.B, one.c, one.ldc, true);
            vq_matmul(&how, pool, s[0], s[1], s[2], many.A, many.B, many.c, many.ldc, true);
            assert_memory_equal(one.c, many.c, (s[0] + 2) * one.ldc * sizeof(float));
            release(&one);
            release(&many);
        }
    }
    vq_pool_free(pool);
}

/* What is not finite stays so, in every mode. */
static void test_not_finite(void **unused)
{
    (void)unused;
    for (size_t m = 0; m < modes(); m++) {
        struct vq_matmul_mode how = mode(m);
        struct product p;
        make(&p, 20, 40, 30, m & 4, m & 8);
        p.a[p.ta ? 7 * p.lda + 4 : 4 * p.lda + 7] = NAN;
        vq_matmul(&how, NULL, 20, 40, 30, p.A, p.B, p.c, p.ldc, false);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(isnan(p.c[i * p.ldc + 39]) != 0, i == 4);
        release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),   cmocka_unit_test(test_packed),
        cmocka_unit_test(test_outer),      cmocka_unit_test(test_threads),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
