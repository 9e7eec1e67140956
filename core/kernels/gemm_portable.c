/*
 * gemm_portable: the register tiles in plain C, for processors that we have no kernels for and as
 * the yardstick of those we have. Loops of fixed width are left to the compiler.
 */
#include <string.h>

#include "core/base/half.h"
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

static inline void load(float *acc, const float *c, bool fresh)
{
    for (size_t j = 0; j < WIDTH; j++)
        acc[j] = fresh ? 0.0f : c[j];
}

static inline void store(float *c, const float *acc, const float *scale, bool fresh)
{
    for (size_t j = 0; j < WIDTH; j++)
        c[j] = scale ? fma_step(acc[j], scale[j], fresh ? 0.0f : c[j]) : acc[j];
}

/* `rows` is a constant at each call, so that the sums live in registers. */
static inline __attribute__((always_inline)) void strip(const struct vq_tile *t, size_t rows,
                                                        size_t n)
{
    float acc[ROWS][WIDTH];
    const float *scale = t->scale ? t->scale + n : NULL;
    for (size_t r = 0; r < rows; r++)
        load(acc[r], t->c + r * t->ldc + n, t->fresh || scale);
    for (size_t k = 0; k < t->kc; k++) {
        const float *b = (const float *)t->b + k * t->ldb + n;
        for (size_t r = 0; r < rows; r++) {
            for (size_t j = 0; j < WIDTH; j++)
                acc[r][j] = fma_step(t->a[r * VQ_AS + k], b[j], acc[r][j]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        store(t->c + r * t->ldc + n, acc[r], scale, t->fresh);
}

static void tile_f32(const struct vq_tile *t)
{
    for (size_t n = 0; n < VQ_NR; n += WIDTH) {
        switch (t->rows) {
        case 1:
            strip(t, 1, n);
            break;
        case 2:
            strip(t, 2, n);
            break;
        case 3:
            strip(t, 3, n);
            break;
        default:
            strip(t, ROWS, n);
            break;
        }
    }
}

static void decode_f32(size_t kc, const void *b, float *dst)
{
    memcpy(dst, b, kc * VQ_NR * sizeof(float));
}

static void decode_bf16(size_t kc, const void *b, float *dst)
{
    vq_block_unpack(VQ_WEIGHT_BF16, kc, b, dst, VQ_NR, VQ_NR);
}

static void decode_int8(size_t kc, const void *b, float *dst)
{
    const int8_t *q = b;
    for (size_t i = 0; i < kc * VQ_NR; i++)
        dst[i] = (float)q[i];
}

static void tile_bf16(const struct vq_tile *t)
{
    float b[VQ_KC * VQ_NR];
    struct vq_tile plain = *t;
    decode_bf16(t->kc, t->b, b);
    plain.b = b;
    tile_f32(&plain);
}

static void tile_int8(const struct vq_tile *t)
{
    float b[VQ_INT8_GROUP * VQ_NR];
    struct vq_tile plain = *t;
    decode_int8(t->kc, t->b, b);
    plain.b = b;
    tile_f32(&plain);
}

const struct vq_gemm vq_gemm_portable = {
    .name = "portable",
    .tile_rows = ROWS,
    .supported = always,
    .tile = {tile_f32, tile_bf16, tile_int8},
    .decode = {decode_f32, decode_bf16, decode_int8},
};
