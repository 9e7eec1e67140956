/*
 * gemm_portable: the register tiles in plain C, for processors that we have no kernels for and as
 * the yardstick of those we have. Loops of fixed width are left to the compiler.
 */
#include <string.h>

#include "core/kernels/gemm_kernel.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define INLINE static inline __attribute__((always_inline))
#define ROWS   4 /* of a tile */
#define WIDTH  8 /* columns whose sums are held at once */

/* One of the two throughout, so that a chain has the same bytes in every loop. */
static inline float fma_step(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static bool always(void)
{
    return true;
}

/* acc += a b over kc inputs. `rows` and `cols` are constants at each call, so that the sums live in
 * registers. */
INLINE void chain(float acc[ROWS][VQ_NR], size_t rows, size_t cols, size_t kc, const float *a,
                  const float *b, size_t ldb)
{
    for (size_t k = 0; k < kc; k++) {
        for (size_t r = 0; r < rows; r++) {
            for (size_t j = 0; j < cols; j++)
                acc[r][j] = fma_step(a[r * VQ_AS + k], b[k * ldb + j], acc[r][j]);
        }
    }
}

/* `cols` columns from n, of plain numbers. */
INLINE void strip(const struct vq_tile *t, size_t rows, size_t cols, size_t n)
{
    float acc[ROWS][VQ_NR];
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < cols; j++)
            acc[r][j] = t->fresh ? 0.0f : t->c[r * VQ_CS + n + j];
    }
    chain(acc, rows, cols, t->kc, t->a, (const float *)t->b + n, t->ldb);
    for (size_t r = 0; r < rows; r++)
        memcpy(t->c + r * VQ_CS + n, acc[r], cols * sizeof(float));
}

INLINE void panel_rows(const struct vq_tile *t, size_t rows, size_t cols)
{
    for (size_t n = 0; n < VQ_NR; n += cols)
        strip(t, rows, cols, n);
}

static void tile_f32(const struct vq_tile *t)
{
    switch (t->rows) {
    case 1:
        panel_rows(t, 1, VQ_NR);
        break;
    case 2:
        panel_rows(t, 2, WIDTH);
        break;
    case 3:
        panel_rows(t, 3, WIDTH);
        break;
    default:
        panel_rows(t, ROWS, WIDTH);
        break;
    }
}

static void tile_bf16(const struct vq_tile *t)
{
    _Alignas(64) float b[VQ_KC * VQ_NR];
    struct vq_tile plain = *t;
    vq_block_unpack(VQ_WEIGHT_BF16, t->kc, t->b, b, VQ_NR, VQ_NR);
    plain.b = b;
    plain.ldb = VQ_NR;
    tile_f32(&plain);
}

/* `cols` columns from n of a group of kc inputs, from input k0. */
INLINE void group_strip(const struct vq_tile *t, size_t k0, size_t kc, size_t n, const float *b,
                        const float *scale)
{
    for (size_t r = 0; r < t->rows; r++) {
        float acc[ROWS][VQ_NR] = {0};
        float *c = t->c + r * VQ_CS + n;
        chain(acc, 1, VQ_NR, kc, t->a + r * VQ_AS + k0, b, VQ_NR);
        for (size_t j = 0; j < VQ_NR; j++)
            c[j] = fma_step(acc[0][j], scale[n + j], t->fresh && !k0 ? 0.0f : c[j]);
    }
}

static void tile_int8(const struct vq_tile *t)
{
    _Alignas(64) float b[VQ_INT8_GROUP * VQ_NR];
    const unsigned char *group = t->b;
    for (size_t k0 = 0; k0 < t->kc; k0 += VQ_INT8_GROUP) {
        size_t kc = t->kc - k0 < VQ_INT8_GROUP ? t->kc - k0 : VQ_INT8_GROUP;
        const float *scale = (const float *)(const void *)group;
        const signed char *q = (const signed char *)(scale + VQ_NR_INT8);
        for (size_t n = 0; n < VQ_NR_INT8; n += VQ_NR) {
            for (size_t i = 0; i < kc * VQ_NR; i++)
                b[i] = q[i / VQ_NR * VQ_NR_INT8 + vq_int8_at(n + i % VQ_NR)] * VQ_INT8_LIFT;
            group_strip(t, k0, kc, n, b, scale);
        }
        group += VQ_GROUP_BYTES;
    }
}

static void row(size_t N, size_t K, const float *a, const float *b, size_t ldb, float *c)
{
    for (size_t k = 0; k < K; k++) {
        for (size_t n = 0; n < N; n++)
            c[n] = fma_step(a[k], b[k * ldb + n], c[n]);
    }
}

const struct vq_gemm vq_gemm_portable = {
    .name = "portable",
    .tile_rows = ROWS,
    .supported = always,
    .tile = {tile_f32, tile_bf16, tile_int8},
    .row = row,
};
