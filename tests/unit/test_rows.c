/* Rows of values: what a format keeps, and sums of rows: every back-end against sums in double and
 * against the products that blocks are made of, which must give the same bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kernels/rows.h"
#include "core/kernels/vec.h"
#include "core/model/values.h"

#define ROWS 41

static const enum vq_weight_format formats[] = {VQ_WEIGHT_F32, VQ_WEIGHT_BF16, VQ_WEIGHT_INT8};
static uint32_t seed = 1;

static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-31f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
}

static double largest(const float *x, size_t n)
{
    double top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)x[i]));
    return top;
}

/* Half a step of the format: of 8 bits for a bf16, of the row's largest for int8. */
static double half_step(enum vq_weight_format f, double x, double top)
{
    return f == VQ_WEIGHT_F32 ? 0 : f == VQ_WEIGHT_BF16 ? fabs(x) * 0x1p-8 : top / 254 * 1.001;
}

static void numbers_are_rounded_once(void **state)
{
    (void)state;
    float x[192], back[192];
    unsigned char packed[192 * sizeof(float)];
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 1; n <= 192; n += n < 130 ? 13 : 62) {
            fill(x, n);
            x[n / 2] *= 100.0f;
            float scale = vq_row_pack(formats[i], packed, x, n);
            vq_row_unpack(formats[i], back, packed, n, scale);
            for (size_t c = 0; c < n; c++)
                assert_true(fabs((double)back[c] - x[c]) <=
                            half_step(formats[i], x[c], largest(x, n)));
        }
    }
}

static void what_is_not_finite_stays_so(void **state)
{
    (void)state;
    float x[64] = {1.0f, NAN}, back[64];
    unsigned char packed[sizeof(x)];
    for (size_t i = 0; i < 3; i++) {
        float scale = vq_row_pack(formats[i], packed, x, 64);
        vq_row_unpack(formats[i], back, packed, 64, scale);
        assert_true(isnan(back[1]));
    }
    x[0] = 1e-35f; /* too small for a scale: 0 */
    x[1] = -1e-36f;
    assert_true(vq_row_pack(VQ_WEIGHT_INT8, packed, x, 64) == 0.0f);
}

/* Every exponent and sign, at the ends and the ties of the lower half. */
static void two_halves_are_the_float(void **state)
{
    (void)state;
    static const uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x18000, 0x7f8000};
    for (uint32_t top = 0; top < 0x200; top++) {
        float x[8], back[8];
        uint16_t high[8], rest[8];
        for (size_t i = 0; i < 8; i++) {
            uint32_t bits = top << 23 | low[i];
            memcpy(&x[i], &bits, sizeof(bits));
        }
        vq_row_split(high, rest, x, 8);
        vq_row_join(back, high, rest, 8);
        for (size_t i = 0; i < 8; i++) {
            uint32_t half = (uint32_t)high[i] << 16;
            float rounded;
            memcpy(&rounded, &half, sizeof(half));
            assert_true(isnan(x[i]) ? isnan(back[i]) : !memcmp(&back[i], &x[i], sizeof(float)));
            assert_true(isinf(rounded) || !isfinite(x[i]) || fabsf(x[i]) < 0x1p-126f ||
                        fabs((double)rounded - x[i]) <= fabs((double)x[i]) * 0x1p-8);
        }
    }
}

/* One store of ROWS rows of V numbers, with weights of which some are 0. */
struct store {
    struct vq_arena *arena;
    struct vq_values v;
    float row[ROWS][512]; /* as the store gives them back */
    float weight[ROWS];
};

static void make_store(struct store *s, enum vq_weight_format f, size_t V)
{
    struct vq_err err;
    float x[512];
    s->arena = vq_arena_new(0);
    assert_non_null(s->arena);
    assert_int_equal(vq_values_new(&s->v, s->arena, f, 1, ROWS, V, &err), VQ_OK);
    for (size_t r = 0; r < ROWS; r++) {
        fill(x, V);
        vq_values_set(&s->v, 0, r, x);
        vq_values_get(&s->v, 0, r, s->row[r]);
        s->weight[r] = r % 5 == 2 || (r > 20 && r < 30) ? 0.0f : random_float();
    }
}

/* The sum over a strip, of the rows that have a weight or of all. */
static void sum_strip(const struct store *s, const struct vq_gemm *g, size_t strip, bool all,
                      float *y)
{
    const float *scale = vq_values_scales(&s->v, 0, strip, 0);
    struct vq_run run[ROWS];
    float weight[ROWS];
    size_t runs = 0;
    for (size_t r = 0; r < ROWS; r++) {
        weight[r] = scale ? s->weight[r] * (scale[r] / VQ_ROW_UNIT) : s->weight[r];
        if (all || s->weight[r] != 0.0f)
            run[runs++] = (struct vq_run){(int32_t)r, 1};
    }
    if (all) {
        runs = 2;
        run[0].n = 11;
        run[1] = (struct vq_run){11, ROWS - 11};
    }
    memset(y, 0, VQ_STRIP * sizeof(*y));
    vq_rows_sum(g, s->v.format, runs, run, weight, vq_values_at(&s->v, 0, strip, 0), s->v.width, y);
}

/* Rounding of a chain of n multiply-adds, not fused everywhere. */
static void assert_sum(const struct store *s, size_t strip, const float *y)
{
    size_t c0 = vq_values_column(&s->v, strip);
    for (size_t c = 0; c < vq_values_columns(&s->v, strip); c++) {
        double sum = 0, size = 0;
        for (size_t r = 0; r < ROWS; r++) {
            double part = (double)s->weight[r] * s->row[r][c0 + c];
            sum += part;
            size += fabs(part);
        }
        assert_true(fabs(y[c] - sum) <= size * (ROWS + 3) * 0x1p-24);
    }
}

static void sums_are_right_and_those_of_blocks(void **state)
{
    (void)state;
    static const size_t widths[] = {1, 63, 64, 100, 192, 256, 257, 500};
    _Alignas(64) float all[VQ_STRIP], some[VQ_STRIP];
    for (size_t i = 0; i < 3 * 8; i++) {
        struct store s;
        make_store(&s, formats[i % 3], widths[i / 3]);
        for (size_t b = 0; b < vq_gemm_backends(); b++) {
            const struct vq_gemm *g = vq_gemm_find(vq_gemm_backend_name(b));
            for (size_t strip = 0; strip < s.v.strips; strip++) {
                float block[VQ_STRIP] = {0};
                size_t bytes = vq_values_columns(&s.v, strip) * sizeof(float);
                sum_strip(&s, g, strip, true, all);
                sum_strip(&s, g, strip, false, some);
                assert_sum(&s, strip, all);
                assert_memory_equal(all, some, bytes);
                vq_values_gemm(vq_gemm_exact(g), &s.v, 0, strip, 0, ROWS, 1, s.weight, ROWS, block,
                               VQ_STRIP);
                assert_memory_equal(all, block, bytes);
            }
        }
        vq_arena_free(s.arena);
    }
}

static void rows_move_and_are_copied(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct store s, d;
        float back[512];
        make_store(&s, formats[i], 300);
        make_store(&d, formats[i], 300);
        vq_values_copy(&d.v, 0, 4, &s.v, 0, 10, 20);
        vq_values_move(&d.v, 2, 4, 20);
        for (size_t r = 0; r < 20; r++) {
            vq_values_get(&d.v, 0, 2 + r, back);
            assert_memory_equal(back, s.row[10 + r], 300 * sizeof(float));
        }
        vq_arena_free(s.arena);
        vq_arena_free(d.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_rounded_once),
        cmocka_unit_test(what_is_not_finite_stays_so),
        cmocka_unit_test(two_halves_are_the_float),
        cmocka_unit_test(sums_are_right_and_those_of_blocks),
        cmocka_unit_test(rows_move_and_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
