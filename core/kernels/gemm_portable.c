/*
 * gemm_portable: the register tiles in plain C, for processors that we have no kernels for and as
 * the yardstick of those we have. Loops of fixed width are left to the compiler.
 */
#include <string.h>

#include "core/kernels/gemm_kernel.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define ROWS  4 /* of a tile */
#define WIDTH 8 /* columns whose sums are held at once */
#define HALF  (VQ_NR / 2)

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

/* acc += a b over kc inputs. `rows` is a constant at each call, so that the sums live in
 * registers. */
static inline __attribute__((always_inline)) void
chain(float acc[ROWS][WIDTH], size_t rows, size_t kc, const float *a, const float *b, size_t ldb)
{
    for (size_t k = 0; k < kc; k++) {
        for (size_t r = 0; r < rows; r++) {
            for (size_t j = 0; j < WIDTH; j++)
                acc[r][j] = fma_step(a[r * VQ_AS + k], b[k * ldb + j], acc[r][j]);
        }
    }
}

/* WIDTH columns of a tile of plain numbers. */
static inline __attribute__((always_inline)) void strip(const struct vq_tile *t, size_t rows,
                                                        size_t n)
{
    float acc[ROWS][WIDTH];
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < WIDTH; j++)
            acc[r][j] = t->fresh ? 0.0f : t->c[r * t->ldc + n + j];
    }
    chain(acc, rows, t->kc, t->a, (const float *)t->b + n, t->ldb);
    for (size_t r = 0; r < rows; r++)
        memcpy(t->c + r * t->ldc + n, acc[r], sizeof(acc[r]));
}

/* WIDTH columns of one group from k0. */
static inline __attribute__((always_inline)) void
group_strip(const struct vq_tile *t, size_t rows, size_t n, size_t k0, const float *scale)
{
    float acc[ROWS][WIDTH] = {0};
    size_t kc = t->kc - k0 < VQ_INT8_GROUP ? t->kc - k0 : VQ_INT8_GROUP;
    chain(acc, rows, kc, t->a + k0, (const float *)t->b + k0 * VQ_NR + n, VQ_NR);
    for (size_t r = 0; r < rows; r++) {
        float *c = t->c + r * t->ldc + n;
        for (size_t j = 0; j < WIDTH; j++)
            c[j] = fma_step(acc[r][j], scale[n + j], t->fresh && !k0 ? 0.0f : c[j]);
    }
}

static inline __attribute__((always_inline)) void tile_rows(const struct vq_tile *t, size_t rows)
{
    for (size_t n = 0; n < VQ_NR; n += WIDTH) {
        if (!t->scale) {
            strip(t, rows, n);
            continue;
        }
        const unsigned char *scale = t->scale;
        for (size_t k = 0; k < t->kc; k += VQ_INT8_GROUP) {
            group_strip(t, rows, n, k, (const float *)(const void *)scale);
            scale += VQ_GROUP_BYTES;
        }
    }
}

/* One panel, of plain numbers or with scales beside them. */
static void tile_panel(const struct vq_tile *t)
{
    switch (t->rows) {
    case 1:
        tile_rows(t, 1);
        break;
    case 2:
        tile_rows(t, 2);
        break;
    case 3:
        tile_rows(t, 3);
        break;
    default:
        tile_rows(t, ROWS);
        break;
    }
}

static void decode_bf16(size_t kc, const unsigned char *b, float *dst)
{
    const uint32_t *word = (const uint32_t *)(const void *)b;
    for (size_t k = 0; k < kc; k++) {
        for (size_t j = 0; j < HALF; j++) {
            uint32_t lo = word[k * HALF + j] << 16;
            uint32_t hi = word[k * HALF + j] & 0xffff0000u;
            memcpy(dst + k * VQ_NR + j, &lo, sizeof(lo));
            memcpy(dst + k * VQ_NR + HALF + j, &hi, sizeof(hi));
        }
    }
}

static void decode_int8(size_t kc, const unsigned char *b, float *dst)
{
    for (size_t k = 0; k < kc; k++) {
        if (k % VQ_INT8_GROUP == 0)
            b += VQ_NR * sizeof(float);
        for (size_t j = 0; j < VQ_NR; j++)
            dst[k * VQ_NR + j] = (float)(signed char)b[k * VQ_NR + j];
    }
}

/* The panels of a flat tile one after the other, decoded first where the kind says so. */
static void tile(const struct vq_tile *t, enum vq_tile_kind kind)
{
    _Alignas(64) float decoded[VQ_KC * VQ_NR];
    struct vq_tile one = *t;
    const unsigned char *b = t->b;
    for (size_t p = 0; p < t->panels; p++) {
        one.b = b;
        if (kind == VQ_TILE_BF16 || kind == VQ_TILE_INT8)
            one.b = decoded;
        if (kind == VQ_TILE_BF16)
            decode_bf16(t->kc, b, decoded);
        if (kind == VQ_TILE_INT8) {
            decode_int8(t->kc, b, decoded);
            one.scale = b;
        }
        tile_panel(&one);
        one.c += VQ_NR;
        b += t->step;
    }
}

static void tile_f32(const struct vq_tile *t)
{
    tile(t, VQ_TILE_F32);
}

static void tile_bf16(const struct vq_tile *t)
{
    tile(t, VQ_TILE_BF16);
}

static void tile_int8(const struct vq_tile *t)
{
    tile(t, VQ_TILE_INT8);
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
    .tile = {tile_f32, tile_bf16, tile_int8, tile_panel},
    .decode_bf16 = decode_bf16,
    .decode_int8 = decode_int8,
    .row = row,
};
