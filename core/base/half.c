#include "core/base/half.h"

float vq_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1fu, rest = h & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | rest << 13 | (rest ? 0x00400000u : 0);
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | rest << 13;
    } else {
        /* subnormal here, exact and normal as a float */
        bits = sign | vq_f32_to_bits((float)rest * 0x1p-24f);
    }
    return vq_bits_to_f32(bits);
}

uint16_t vq_f32_to_f16(float x)
{
    uint32_t bits = vq_f32_to_bits(x);
    uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (size >> 13 & 0x3ffu));
    if (size >= 0x477ff000u) /* 65520 and over round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (size >= 0x38800000u) /* normal: rebias, then round; a carry moves into the exponent */
        return (uint16_t)(sign | (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13);
    if (size <= 0x33000000u) /* 2^-25 and under round to zero */
        return (uint16_t)sign;
    /* Subnormal: a multiple of 2^-24, which is a shift of the whole significand. */
    uint32_t shift = 126 - (size >> 23), whole = (size & 0x7fffffu) | 0x800000u;
    uint32_t kept = whole >> shift, lost = whole & ((1u << shift) - 1), half = 1u << (shift - 1);
    return (uint16_t)(sign | (kept + (lost > half || (lost == half && (kept & 1u)))));
}
