/*
 * half: bfloat16 and IEEE binary16 as stored in files and in reduced-precision weights.
 * Round to nearest even; NaN stays NaN with its quiet bit set; overflow goes to infinity.
 */
#ifndef VQ_CORE_BASE_HALF_H
#define VQ_CORE_BASE_HALF_H

#include <stdint.h>
#include <string.h>

/* The bits of a float, and the float of bits. */
static inline uint32_t vq_f32_to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float vq_bits_to_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline float vq_bf16_to_f32(uint16_t h)
{
    return vq_bits_to_f32((uint32_t)h << 16);
}

static inline uint16_t vq_f32_to_bf16(float x)
{
    uint32_t bits = vq_f32_to_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x0040u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float vq_f16_to_f32(uint16_t h);
uint16_t vq_f32_to_f16(float x);

#endif
