/*
 * gemm_body: the register tiles of an instruction set, included by gemm_avx2.c and gemm_avx512.c,
 * which define
 *   vf, W                     a vector of W floats
 *   v_zero() v_load(p) v_store(p, v) v_all(x) v_fma(a, b, c)
 *   v_low(p) v_high(p)        W bf16 from the low or high halves of W words
 *   v_int8(p)                 W floats from W bytes
 *   ROWS                      height of the tallest tile, which is two vectors wide
 *
 * A tile holds its part of c in registers while it walks down k. What shapes it (rows, panels,
 * vectors, kind) is constant wherever strip() is expanded, so that each combination becomes one
 * straight loop over k.
 */
#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define HALF     (VQ_NR / 2)
#define VECTORS  (VQ_NR / W)   /* across a panel */
#define MAX_SUMS 8             /* vectors across a strip */
#define FLAT     (8 / VECTORS) /* panels that a tile of one row takes at once */
#define STEP     8             /* rows of b that one pass of a row product folds in */

/* W columns from n of row k of a panel's block; ldb counts for f32 only. */
INLINE vf load_b(enum vq_tile_kind kind, const unsigned char *b, size_t ldb, size_t k, size_t n)
{
    const uint32_t *words = (const uint32_t *)(const void *)b + k * HALF;
    if (kind == VQ_TILE_BF16)
        return n < HALF ? v_low(words + n) : v_high(words + n - HALF);
    if (kind == VQ_TILE_INT8)
        return v_int8((const signed char *)b + k * VQ_NR + n);
    return v_load((const float *)(const void *)b + k * ldb + n);
}

/* The shape of a strip: R rows by V vectors from column n of each of P panels. */
struct shape {
    size_t R, P, V, n;
};

/* acc += a b over kc inputs, one chain for each element. */
INLINE void chain(vf acc[][MAX_SUMS], const struct vq_tile *t, enum vq_tile_kind kind,
                  const struct shape s, const float *a, const unsigned char *b, size_t kc)
{
    const size_t ldb = t->ldb, step = t->step;
    for (size_t k = 0; k < kc; k++) {
        vf bv[MAX_SUMS];
        UNROLL for (size_t v = 0; v < s.P * s.V; v++) bv[v] =
            load_b(kind, b + v / s.V * step, ldb, k, s.n + v % s.V * W);
        UNROLL for (size_t r = 0; r < s.R; r++)
        {
            vf x = v_all(a[r * VQ_AS + k]);
            UNROLL for (size_t v = 0; v < s.P * s.V; v++) acc[r][v] = v_fma(x, bv[v], acc[r][v]);
        }
    }
}

INLINE float *c_at(const struct vq_tile *t, const struct shape s, size_t r, size_t v)
{
    return t->c + r * t->ldc + v / s.V * VQ_NR + s.n + v % s.V * W;
}

INLINE void plain_strip(const struct vq_tile *t, enum vq_tile_kind kind, const struct shape s)
{
    vf acc[ROWS][MAX_SUMS];
    UNROLL for (size_t r = 0; r < s.R; r++)
    {
        UNROLL for (size_t v = 0; v < s.P * s.V; v++) acc[r][v] =
            t->fresh ? v_zero() : v_load(c_at(t, s, r, v));
    }
    chain(acc, t, kind, s, t->a, t->b, t->kc);
    UNROLL for (size_t r = 0; r < s.R; r++)
    {
        UNROLL for (size_t v = 0; v < s.P * s.V; v++) v_store(c_at(t, s, r, v), acc[r][v]);
    }
}

/* The sums of one group of inputs, scaled and added to c. */
INLINE void group_strip(const struct vq_tile *t, enum vq_tile_kind kind, const struct shape s,
                        size_t k0, const unsigned char *b, const float *scale)
{
    vf acc[ROWS][MAX_SUMS];
    const size_t kc = t->kc - k0 < VQ_INT8_GROUP ? t->kc - k0 : VQ_INT8_GROUP;
    const bool fresh = t->fresh && !k0;
    UNROLL for (size_t r = 0; r < s.R; r++)
    {
        UNROLL for (size_t v = 0; v < s.P * s.V; v++) acc[r][v] = v_zero();
    }
    chain(acc, t, kind, s, t->a + k0, b, kc);
    UNROLL for (size_t r = 0; r < s.R; r++)
    {
        UNROLL for (size_t v = 0; v < s.P * s.V; v++)
        {
            vf f = v_load(scale + v / s.V * (t->step / sizeof(float)) + s.n + v % s.V * W);
            vf c = fresh ? v_zero() : v_load(c_at(t, s, r, v));
            v_store(c_at(t, s, r, v), v_fma(acc[r][v], f, c));
        }
    }
}

INLINE void strip(const struct vq_tile *t, enum vq_tile_kind kind, const size_t R, const size_t P,
                  const size_t V, const size_t n)
{
    const struct shape s = {R, P, V, n};
    if (kind == VQ_TILE_F32 || kind == VQ_TILE_BF16) {
        plain_strip(t, kind, s);
        return;
    }
    const unsigned char *b = t->b;
    const unsigned char *scale = kind == VQ_TILE_INT8 ? b : t->scale;
    for (size_t k = 0; k < t->kc; k += VQ_INT8_GROUP) {
        const unsigned char *inputs =
            kind == VQ_TILE_INT8 ? scale + VQ_NR * sizeof(float) : b + k * VQ_NR * sizeof(float);
        group_strip(t, kind, s, k, inputs, (const float *)(const void *)scale);
        scale += VQ_GROUP_BYTES;
    }
}

INLINE void tall(const struct vq_tile *t, enum vq_tile_kind kind, const size_t R)
{
    UNROLL for (size_t n = 0; n < VQ_NR; n += 2 * W) strip(t, kind, R, 1, 2, n);
}

/* One or two rows: several vectors across, so that enough sums are under way to cover the latency
 * of an addition, and each panel is read once. */
INLINE void flat(const struct vq_tile *t, enum vq_tile_kind kind, const size_t R, const size_t P)
{
    struct vq_tile rest = *t;
    for (; rest.panels >= P; rest.panels -= P) {
        strip(&rest, kind, R, P, VECTORS, 0);
        rest.b = (const unsigned char *)rest.b + P * t->step;
        rest.c += P * VQ_NR;
    }
    for (; rest.panels; rest.panels--) {
        strip(&rest, kind, R, 1, VECTORS, 0);
        rest.b = (const unsigned char *)rest.b + t->step;
        rest.c += VQ_NR;
    }
}

INLINE void tile(const struct vq_tile *t, enum vq_tile_kind kind)
{
    switch (t->rows) {
    case 1:
        flat(t, kind, 1, FLAT);
        break;
    case 2:
        flat(t, kind, 2, FLAT / 2);
        break;
#define CASE(R)                                                                                    \
    case R:                                                                                        \
        tall(t, kind, R);                                                                          \
        break
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
#if ROWS > 6
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
#endif
#undef CASE
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

static void tile_scaled(const struct vq_tile *t)
{
    tile(t, VQ_TILE_SCALED);
}

static void decode_bf16(size_t kc, const unsigned char *b, float *dst)
{
    for (size_t k = 0; k < kc; k++) {
        for (size_t n = 0; n < VQ_NR; n += W)
            v_store(dst + k * VQ_NR + n, load_b(VQ_TILE_BF16, b, VQ_NR, k, n));
    }
}

static void decode_int8(size_t kc, const unsigned char *b, float *dst)
{
    for (size_t k = 0; k < kc; k++) {
        if (k % VQ_INT8_GROUP == 0)
            b += VQ_NR * sizeof(float);
        for (size_t n = 0; n < VQ_NR; n += W)
            v_store(dst + k * VQ_NR + n, load_b(VQ_TILE_INT8, b, VQ_NR, k, n));
    }
}

/* c += S rows of b, in passes over c: b is read along its rows, as it lies in memory. */
INLINE void fold(size_t N, const size_t S, const float *a, const float *b, size_t ldb, float *c)
{
    vf x[STEP];
    UNROLL for (size_t s = 0; s < S; s++) x[s] = v_all(a[s]);
    size_t n = 0;
    for (; n + W <= N; n += W) {
        vf acc = v_load(c + n);
        UNROLL for (size_t s = 0; s < S; s++) acc = v_fma(x[s], v_load(b + s * ldb + n), acc);
        v_store(c + n, acc);
    }
    for (; n < N; n++) {
        for (size_t s = 0; s < S; s++)
            c[n] = __builtin_fmaf(a[s], b[s * ldb + n], c[n]);
    }
}

static void row(size_t N, size_t K, const float *a, const float *b, size_t ldb, float *c)
{
    size_t k = 0;
    for (; k + STEP <= K; k += STEP)
        fold(N, STEP, a + k, b + k * ldb, ldb, c);
    for (; k < K; k++)
        fold(N, 1, a + k, b + k * ldb, ldb, c);
}
