/*
 * gemm_body: the register tiles of an instruction set, included by gemm_portable.c, gemm_avx2.c and
 * gemm_avx512.c, which define
 *   vf, W                     a vector of W floats
 *   v_zero() v_load(p) v_store(p, v) v_all(x)
 *   v_fma(a, b, c) s_fma(a, b, c)  a b + c of vectors and of floats, rounded alike
 *   v_low(p) v_high(p)        W bf16 from the low or high halves of W words
 *   ROWS                      height of the tallest tile, which is two vectors wide
 *
 * A tile holds its part of c in registers while it walks down k, and takes the numbers of b out of
 * their format as it loads them: with three rows or more that costs nothing beside the products.
 * What shapes a strip (rows, vectors, format) is constant wherever strip() is expanded, so that
 * each combination becomes one straight loop over k.
 */
#include <math.h>
#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define MAX_SUMS 8 /* vectors across a strip */
#define STEP     8 /* rows of b that one pass of a row product folds in */

/* W columns from n of row k of a block; ldb counts for f32 only. */
INLINE vf load_b(enum vq_weight_format f, const unsigned char *b, size_t ldb, size_t k, size_t n)
{
    const uint32_t *words = (const uint32_t *)(const void *)b + k * VQ_NR / 2;
    if (f == VQ_WEIGHT_BF16)
        return n < VQ_NR / 2 ? v_low(words + n) : v_high(words + n - VQ_NR / 2);
    return v_load((const float *)(const void *)b + k * ldb + n);
}

/* R rows by V vectors from column n of the panel. */
struct shape {
    size_t R, V, n;
};

/*
 * Asks for what is wanted some hundred rows of b later. Processors follow a stream by themselves,
 * but not far enough ahead while a tile of several rows keeps them busy. Distances are measured;
 * lines do best when they wait in L2.
 */
INLINE void fetch_ahead(const struct vq_tile *t, enum vq_weight_format f, const struct shape s,
                        const unsigned char *b, size_t k)
{
    if (f == VQ_WEIGHT_F32 && s.R > 1) {
        const float *row = (const float *)(const void *)b + k * t->ldb + t->ahead + s.n;
        UNROLL
        for (size_t v = 0; v < s.V; v++)
            __builtin_prefetch(row + v * W, 0, 2);
    }
    if (f == VQ_WEIGHT_BF16 && s.R > 2 && !s.n)
        __builtin_prefetch(b + k * 2 * VQ_NR + 16384, 0, 2);
}

/* acc += a b over kc inputs, one chain for each element. */
INLINE void chain(vf acc[][MAX_SUMS], const struct vq_tile *t, enum vq_weight_format f,
                  const struct shape s, const float *a, const unsigned char *b, size_t kc)
{
    for (size_t k = 0; k < kc; k++) {
        vf bv[MAX_SUMS];
        UNROLL
        for (size_t v = 0; v < s.V; v++)
            bv[v] = load_b(f, b, t->ldb, k, s.n + v * W);
        fetch_ahead(t, f, s, b, k);
        UNROLL
        for (size_t r = 0; r < s.R; r++) {
            vf x = v_all(a[r * VQ_AS + k]);
            UNROLL
            for (size_t v = 0; v < s.V; v++)
                acc[r][v] = v_fma(x, bv[v], acc[r][v]);
        }
    }
}

INLINE float *c_at(const struct vq_tile *t, const struct shape s, size_t r, size_t v)
{
    return t->c + r * VQ_CS + s.n + v * W;
}

INLINE void plain_strip(const struct vq_tile *t, enum vq_weight_format f, const struct shape s)
{
    vf acc[ROWS][MAX_SUMS];
    UNROLL
    for (size_t r = 0; r < s.R; r++) {
        UNROLL
        for (size_t v = 0; v < s.V; v++)
            acc[r][v] = t->fresh ? v_zero() : v_load(c_at(t, s, r, v));
    }
    chain(acc, t, f, s, t->a, t->b, t->kc);
    UNROLL
    for (size_t r = 0; r < s.R; r++) {
        UNROLL
        for (size_t v = 0; v < s.V; v++)
            v_store(c_at(t, s, r, v), acc[r][v]);
    }
}

/* A panel in strips of V vectors. */
INLINE void strips(const struct vq_tile *t, enum vq_weight_format f, const size_t R, const size_t V)
{
    UNROLL
    for (size_t n = 0; n < VQ_NR; n += V * W)
        plain_strip(t, f, (struct shape){R, V, n});
}

/* One or two rows take the whole width of a panel at once, as far as registers go: a line of the
 * stream is read once, and more sums are under way while each waits for its last addition. */
INLINE void tile(const struct vq_tile *t, enum vq_weight_format f)
{
    const size_t across = VQ_NR / W;
    switch (t->rows) {
    case 1:
        strips(t, f, 1, across < MAX_SUMS ? across : MAX_SUMS);
        break;
    case 2:
        strips(t, f, 2, across < 4 ? across : 4);
        break;
#define CASE(R)                                                                                    \
    case R:                                                                                        \
        strips(t, f, R, 2);                                                                        \
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
    tile(t, VQ_WEIGHT_F32);
}

static void tile_bf16(const struct vq_tile *t)
{
    tile(t, VQ_WEIGHT_BF16);
}

/* The largest size is found among the bits, where what is not a number is larger than all that are:
 * one of those makes the scale NaN, and so the sums. Adding the magic number rounds to nearest even
 * and leaves the integer in the lowest bits. */
static float quantise(int16_t *q, const float *x, size_t n)
{
    const float magic = 12582912.0f, least = 0x1p-100f;
    const uint32_t infinite = 0x7f800000u;
    uint32_t top = 0;
    float size;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= 0x7fffffffu;
        top = bits > top ? bits : top;
    }
    memcpy(&size, &top, sizeof(size));
    q[n - 1 + n % 2] = 0;
    if (top >= infinite || size < least) {
        memset(q, 0, n * sizeof(*q));
        return top >= infinite ? NAN : 0.0f;
    }
    const float up = 32767.0f / size;
    for (size_t i = 0; i < n; i++) {
        float rounded = x[i] * up;
        rounded += magic;
        uint32_t bits;
        memcpy(&bits, &rounded, sizeof(bits));
        q[i] = (int16_t)bits;
    }
    return size / 32767.0f;
}

/* c += S rows of b, in a pass over c: b is read along its rows, as it lies in memory, and the rows
 * of the next pass are fetched meanwhile. */
INLINE void fold(size_t N, const size_t S, const float *a, const float *b, size_t ldb, float *c)
{
    vf x[STEP];
    UNROLL
    for (size_t s = 0; s < S; s++)
        x[s] = v_all(a[s]);
    size_t n = 0;
    for (; n + W <= N; n += W) {
        vf acc = v_load(c + n);
        UNROLL
        for (size_t s = 0; s < S; s++)
            acc = v_fma(x[s], v_load(b + s * ldb + n), acc);
        UNROLL
        for (size_t s = 0; s < S; s++)
            __builtin_prefetch(b + (s + S) * ldb + n);
        v_store(c + n, acc);
    }
    for (; n < N; n++) {
        for (size_t s = 0; s < S; s++)
            c[n] = s_fma(a[s], b[s * ldb + n], c[n]);
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
