/*
 * matmul_body: the register tiles of an instruction set, included by a file for each, which defines
 *   vf, W                 a vector of W sums
 *   v_zero() v_load(p) v_store(p, v)
 *   v_all(x) v_fma(a, b, c)   a word in all places; c plus the products of words
 *   ROWS, LANES           height of the tallest tile, and the stride of packed columns of a
 *   INPUTS, EXACT         what a word is, see matmul_kernel.h
 *   put(to, x0, x1, n)    n words of inputs that lie in two rows (x1 unused with one input)
 *   put_row(to, x)        16 words of inputs that lie in one row
 *   TABLE, NAME           the kernel's symbol and its back-end
 *
 * A strip is two vectors wide. Its height is constant wherever strip() is expanded, so that each
 * becomes one straight loop whose sums stay in registers.
 */
#include <string.h>

#include "core/kernels/matmul_kernel.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A strip's shape: rows, and where word (r, k) of a is. All constant. */
struct shape {
    size_t R, row, col;
};

INLINE void strip(const struct shape s, size_t words, const float *a, const float *b, float *c,
                  size_t ldc, bool fresh)
{
    vf lo[ROWS], hi[ROWS];
    UNROLL
    for (size_t r = 0; r < s.R; r++) {
        lo[r] = fresh ? v_zero() : v_load(c + r * ldc);
        hi[r] = fresh ? v_zero() : v_load(c + r * ldc + W);
    }
    for (size_t k = 0; k < words; k++, a += s.col, b += VQ_PANEL) {
        vf b0 = v_load(b), b1 = v_load(b + W);
        UNROLL
        for (size_t r = 0; r < s.R; r++) {
            vf x = v_all(a[r * s.row]);
            lo[r] = v_fma(x, b0, lo[r]);
            hi[r] = v_fma(x, b1, hi[r]);
        }
    }
    UNROLL
    for (size_t r = 0; r < s.R; r++) {
        v_store(c + r * ldc, lo[r]);
        v_store(c + r * ldc + W, hi[r]);
    }
}

INLINE void tile(const size_t row, const size_t col, size_t rows, size_t words, const float *a,
                 const float *b, float *c, size_t ldc, bool fresh)
{
    for (size_t n = 0; n < VQ_PANEL; n += 2 * W) {
        switch (rows) {
#define CASE(N)                                                                                    \
    case N:                                                                                        \
        strip((struct shape){N, row, col}, words, a, b + n, c + n, ldc, fresh);                    \
        break
            CASE(1);
            CASE(2);
            CASE(3);
            CASE(4);
#if ROWS > 4
            CASE(5);
            CASE(6);
#endif
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
}

static void by_rows(size_t rows, size_t words, const float *a, const float *b, float *c, size_t ldc,
                    bool fresh)
{
    tile(VQ_STRIDE, 1, rows, words, a, b, c, ldc, fresh);
}

static void by_cols(size_t rows, size_t words, const float *a, const float *b, float *c, size_t ldc,
                    bool fresh)
{
    tile(1, LANES, rows, words, a, b, c, ldc, fresh);
}

INLINE void deal(const struct vq_matmul_deal *d, const size_t width)
{
    static const float zeros[VQ_PANEL];
    for (size_t r = 0; r < d->rows; r += INPUTS) {
        const float *x0 = d->from + r * d->ld;
        const float *x1 = r + 1 < d->rows ? x0 + d->ld : NULL;
        float *to = d->to + r / INPUTS * width;
        size_t c = 0;
        for (; c < d->cols && c + width <= d->limit; c += d->unit, to += d->step)
            put(to, x0 + c, x1 ? x1 + c : zeros, width);
        for (; c < d->cols; c += d->unit, to += d->step) {
            float y0[VQ_PANEL] = {0}, y1[VQ_PANEL] = {0};
            memcpy(y0, x0 + c, (d->limit - c) * sizeof(float));
            if (INPUTS == 2 && x1)
                memcpy(y1, x1 + c, (d->limit - c) * sizeof(float));
            put(to, y0, y1, width);
        }
    }
}

static void deal_panels(const struct vq_matmul_deal *d)
{
    deal(d, VQ_PANEL);
}

static void deal_lanes(const struct vq_matmul_deal *d)
{
    deal(d, LANES);
}

static void words_of_row(float *to, const float *from, size_t n)
{
    size_t i = 0;
    for (; i + 16 * INPUTS <= n; i += 16 * INPUTS)
        put_row(to + i / INPUTS, from + i);
    if (i < n) {
        float rest[16 * INPUTS] = {0}, w[16];
        memcpy(rest, from + i, (n - i) * sizeof(float));
        put_row(w, rest);
        memcpy(to + i / INPUTS, w, (n - i + INPUTS - 1) / INPUTS * sizeof(float));
    }
}

const struct vq_matmul_kernel TABLE = {
    .name = NAME,
    .rows = ROWS,
    .lanes = LANES,
    .inputs = INPUTS,
    .exact = EXACT,
    .by_rows = by_rows,
    .by_cols = by_cols,
    .deal_panels = deal_panels,
    .deal_lanes = deal_lanes,
    .words = words_of_row,
};
