/*
 * gemm_portable: the tiles for any processor, in the compilers' own vectors of four floats; with
 * fused multiply-add where every processor of the kind has it. It runs where we have nothing
 * better, and below OpenBLAS for products of few rows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define W    4
#define ROWS 6

typedef float vf __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

#define v_zero()  ((vf){0})
#define v_low(p)  ((vf)(v_bits(p) << 16))
#define v_high(p) ((vf)(v_bits(p) & 0xffff0000u))

/* Copies of this size are one load or store that needs no alignment. */
static inline vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof(v));
}

static inline vu v_bits(const uint32_t *p)
{
    vu v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline vf v_all(float x)
{
    return (vf){x, x, x, x};
}

#if defined(__aarch64__)
#define v_fma(a, b, c) ((vf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define s_fma(a, b, c) __builtin_fmaf(a, b, c)
#else
#define v_fma(a, b, c) ((a) * (b) + (c))
#define s_fma(a, b, c) ((a) * (b) + (c))
#endif

#include "core/kernels/gemm_body.h"

static inline vf v_half(const unsigned char *p)
{
    uint16_t h[4];
    memcpy(h, p, sizeof(h));
    return (vf)((vu){h[0], h[1], h[2], h[3]} << 16);
}

static inline vf v_byte(const void *p, size_t i)
{
    vu top = (v_bits(p) << (24 - 8 * (uint32_t)i)) & 0xff000000u;
    return __builtin_convertvector((vi)top, vf);
}

#define ROW_SUMS 16
#include "core/kernels/rows_body.h"

/* The first and the second number of each of four pairs. */
typedef struct {
    vi a, b;
} vp;

static inline vp p_wide(const unsigned char *p)
{
    int8_t q[8];
    memcpy(q, p, sizeof(q));
    return (vp){{q[0], q[2], q[4], q[6]}, {q[1], q[3], q[5], q[7]}};
}

static inline vp p_all(const int16_t *q)
{
    return (vp){{q[0], q[0], q[0], q[0]}, {q[1], q[1], q[1], q[1]}};
}

#define INT8_ROWS        ROWS
#define INT8_TILE        static void tile_int8
#define v_mul(a, b)      ((a) * (b))
#define i_zero()         ((vi){0})
#define i_float(v)       __builtin_convertvector(v, vf)
#define p_add(acc, x, y) ((acc) + (x).a * (y).a + (x).b * (y).b)
#include "core/kernels/gemm_int8_body.h"

static bool supported(void)
{
    return true;
}

const struct vq_gemm vq_gemm_portable = {
    .name = "portable",
    .tile_rows = ROWS,
    .int8_rows = INT8_ROWS,
    .ahead_rows = 3,
    .supported = supported,
    .tile = {tile_f32, tile_bf16, tile_int8},
    .quantise = quantise,
    .rows = {rows_f32, rows_bf16, rows_int8},
    .row = row,
};
