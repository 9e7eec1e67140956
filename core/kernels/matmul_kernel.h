/*
 * matmul_kernel: what the files of matmul share, and nobody else includes.
 *
 * A tile is up to `rows` rows by VQ_PANEL columns of c, kept in registers over VQ_DEPTH inputs.
 * Both sides are packed into words for it: a word is a float, or, where the processor multiplies
 * pairs of bfloat16, two neighbouring inputs as such. b comes as [words, VQ_PANEL]. a comes as it
 * lies in memory, in copies that differ in their strides only: rows VQ_STRIDE apart, or columns of
 * `lanes` words.
 */
#ifndef VQ_CORE_KERNELS_MATMUL_KERNEL_H
#define VQ_CORE_KERNELS_MATMUL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/kernels/matmul_packed.h"

#define VQ_DEPTH     256
#define VQ_STRIDE    (VQ_DEPTH + 16) /* no power of two: rows fall into different sets of a cache */
#define VQ_MAX_LANES 16

/* c[rows, VQ_PANEL] += a b, or = with fresh */
typedef void vq_matmul_tile(size_t rows, size_t words, const float *a, const float *b, float *c,
                            size_t ldc, bool fresh);

/* Deals the columns of a matrix out: `unit` of them to each part, which has `width` places in a row
 * of words, VQ_PANEL or `lanes`, and lies `step` words behind the one before. Places beyond the
 * unit are filled too, up to column `limit` with what is there, then with zeros: a whole vector
 * costs less than an odd part of it. */
struct vq_matmul_deal {
    const float *from;
    size_t ld, rows, cols, limit;
    float *to;
    size_t unit, step;
};

struct vq_matmul_kernel {
    const char *name;                                    /* of the gemm back-end beside it */
    size_t rows;                                         /* of the tallest tile */
    size_t lanes;                                        /* stride of columns of a, >= rows */
    size_t inputs;                                       /* in a word */
    bool exact;                                          /* words are the floats they were */
    vq_matmul_tile *by_rows, *by_cols;                   /* as a comes */
    void (*deal_panels)(const struct vq_matmul_deal *d); /* of VQ_PANEL places */
    void (*deal_lanes)(const struct vq_matmul_deal *d);  /* of `lanes` */
    /* n inputs of one row as words, the last one filled up with 0. */
    void (*words)(float *to, const float *from, size_t n);
};

extern const struct vq_matmul_kernel vq_matmul_portable, vq_matmul_rounding;
#if defined(__x86_64__)
extern const struct vq_matmul_kernel vq_matmul_avx2, vq_matmul_avx512, vq_matmul_bf16;
#endif

/* The tiles of a back-end, NULL where it does whole products. Whether numbers are rounded the mode
 * alone says; for bfloat16 the back-end says only which instructions may be used, and OpenBLAS
 * leaves that to us. */
const struct vq_matmul_kernel *vq_matmul_kernel_of(const struct vq_matmul_mode *m);

static inline size_t vq_words(const struct vq_matmul_kernel *kernel, size_t inputs)
{
    return (inputs + kernel->inputs - 1) / kernel->inputs;
}

/* Rows are cut into tiles of one height but for the last. */
static inline size_t vq_height(const struct vq_matmul_kernel *kernel, size_t rows)
{
    size_t tiles = (rows + kernel->rows - 1) / kernel->rows;
    return tiles ? (rows + tiles - 1) / tiles : 1;
}

/* m from element (i, j) on. */
static inline struct vq_matrix vq_matrix_from(const struct vq_matrix *m, size_t i, size_t j)
{
    return (struct vq_matrix){m->at + (m->trans ? j * m->ld + i : i * m->ld + j), m->ld, m->trans};
}

/* Up to VQ_DEPTH inputs of b in panels of [words, VQ_PANEL] that lie `step` apart, the last one
 * padded with zeros. */
void vq_matmul_deal_right(const struct vq_matmul_kernel *kernel, const struct vq_matrix *b,
                          size_t depth, size_t cols, float *dst, size_t step);

/* Packed rows times packed columns: tiles of a, of `height` rows, lie a_step apart, in lanes or as
 * rows; panels of b b_step apart. */
struct vq_matmul_strip {
    const struct vq_matmul_kernel *kernel;
    size_t words, rows, height, cols;
    bool lanes;
    const float *a, *b;
    size_t a_step, b_step;
    float *c;
    size_t ldc;
    bool fresh; /* c = a b, not += */
};
void vq_matmul_run_tiles(const struct vq_matmul_strip *s);

#endif
