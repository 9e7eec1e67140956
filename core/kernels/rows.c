#include "core/kernels/rows.h"

#include <math.h>
#include <string.h>

#include "core/base/half.h"
#include "core/kernels/gemm_kernel.h"

size_t vq_row_size(enum vq_weight_format f)
{
    return f == VQ_WEIGHT_F32 ? sizeof(float) : f == VQ_WEIGHT_BF16 ? sizeof(uint16_t) : 1;
}

/* Numbers of 64 columns into their places. */
static void place_bytes(int8_t *dst, const int8_t *q)
{
    for (size_t j = 0; j < 16; j++) {
        for (size_t i = 0; i < 4; i++)
            dst[4 * j + i] = q[j + 16 * i];
    }
}

/* As the int8 products round x: the largest size is found among the bits, NaN above all. */
static float pack_int8(int8_t *dst, const float *v, size_t n)
{
    const float magic = 12582912.0f, least = 0x1p-100f;
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t size = vq_f32_to_bits(v[i]) & 0x7fffffffu;
        top = size > top ? size : top;
    }
    bool finite = top < 0x7f800000u;
    if (!finite || vq_bits_to_f32(top) < least) {
        memset(dst, 0, (n + 63) / 64 * 64);
        return finite ? 0.0f : NAN;
    }
    const float up = 127.0f / vq_bits_to_f32(top);
    for (size_t c = 0; c < n; c += 64) {
        int8_t q[64] = {0};
        for (size_t i = 0; i < 64 && c + i < n; i++) {
            float rounded = v[c + i] * up;
            q[i] = (int8_t)vq_f32_to_bits(rounded + magic);
        }
        place_bytes(dst + c, q);
    }
    return vq_bits_to_f32(top) / 127.0f;
}

float vq_row_pack(enum vq_weight_format f, void *dst, const float *v, size_t n)
{
    uint16_t *half = dst;
    if (f == VQ_WEIGHT_INT8)
        return pack_int8(dst, v, n);
    if (f == VQ_WEIGHT_F32)
        memcpy(dst, v, n * sizeof(*v));
    for (size_t i = 0; f == VQ_WEIGHT_BF16 && i < n; i++)
        half[i] = vq_f32_to_bf16(v[i]);
    return 1.0f;
}

void vq_row_unpack(enum vq_weight_format f, float *dst, const void *src, size_t n, float scale)
{
    const uint16_t *half = src;
    const int8_t *byte = src;
    if (f == VQ_WEIGHT_F32)
        memcpy(dst, src, n * sizeof(*dst));
    for (size_t i = 0; f == VQ_WEIGHT_BF16 && i < n; i++)
        dst[i] = vq_bf16_to_f32(half[i]);
    for (size_t c = 0; f == VQ_WEIGHT_INT8 && c < n; c += 64) {
        float all[64];
        for (size_t i = 0; i < 4; i++) {
            for (size_t j = 0; j < 16; j++)
                all[j + 16 * i] = (float)byte[c + 4 * j + i] * scale;
        }
        memcpy(dst + c, all, (n - c < 64 ? n - c : 64) * sizeof(*dst));
    }
}

void vq_row_split(uint16_t *high, uint16_t *low, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = vq_f32_to_bits(v[i]);
        bits = (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc00000u : bits;
        high[i] = (uint16_t)((bits + 0x8000u) >> 16);
        low[i] = (uint16_t)bits;
    }
}

void vq_row_join(float *v, const uint16_t *high, const uint16_t *low, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = vq_bits_to_f32(((uint32_t)high[i] << 16) + (uint32_t)(int32_t)(int16_t)low[i]);
}

void vq_rows_sum(const struct vq_gemm *g, enum vq_weight_format f, size_t runs,
                 const struct vq_run *run, const float *weight, const void *rows, size_t width,
                 float *y)
{
    const struct vq_gemm *kernels = g->product ? g->few : g;
    size_t bytes = width * vq_row_size(f);
    for (size_t i = 0; i < runs; i++) {
        size_t r = (size_t)run[i].first;
        const struct vq_row_sum s = {.n = (size_t)run[i].n,
                                     .weight = weight + r,
                                     .rows = (const unsigned char *)rows + r * bytes,
                                     .width = width,
                                     .y = y};
        kernels->rows[f](&s);
    }
}
