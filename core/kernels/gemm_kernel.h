/*
 * gemm_kernel: what the files of gemm share, and nobody else includes.
 *
 * Weights are cut into panels of VQ_NR outputs, a panel into blocks of VQ_KC inputs. The blocks of
 * a panel lie one after the other, and so do the panels: what a task of a product with few rows
 * reads is one stream. The last panel is padded with zero columns, the last block is as short as it
 * is. A row of a panel fills whole cache lines in f32 and bf16, and in int8 a pair of rows does.
 *
 * A row of a bf16 panel is VQ_NR / 2 words; word j holds column j in its low half and column
 * j + VQ_NR / 2 in its high half, so that a shift and a mask turn one load into two vectors.
 *
 * An int8 block is a row of groups of VQ_INT8_GROUP inputs, the last as short as it is but even:
 * first the group's scales, one for each column, then its inputs two by two, the two of a column
 * side by side, as the instructions want them that multiply pairs of 16-bit integers and add.
 *
 * Every kernel of ours forms c = (..((c + a0 b0) + a1 b1) + ..) for each element, over k in
 * ascending order, with or without fused multiply-add but the same way throughout one back-end.
 * Cutting at any k and storing c in between changes nothing, hence the promise of gemm.h. With int8
 * weights x is rounded to 16 bits, with a scale for each row and group; the sum of a group is an
 * integer, in whatever order it is formed, and c = c + (scale of w * scale of x) * sum.
 */
#ifndef VQ_CORE_KERNELS_GEMM_KERNEL_H
#define VQ_CORE_KERNELS_GEMM_KERNEL_H

#include <stdint.h>

#include "core/kernels/gemm.h"

#define VQ_NR          32
#define VQ_KC          384                     /* inputs of a block; a multiple of VQ_INT8_GROUP */
#define VQ_MC          64                      /* rows of a task */
#define VQ_COLS        512                     /* columns of a task; a multiple of VQ_NR */
#define VQ_GROUPS      (VQ_KC / VQ_INT8_GROUP) /* in a block */
#define VQ_GROUP_BYTES (VQ_NR * (sizeof(float) + VQ_INT8_GROUP))

/* Strides of a task's copies of x and of its sums: no powers of two, so that the rows of a tile lie
 * in different sets of a cache. */
#define VQ_AS (VQ_KC + 16)
#define VQ_CS (VQ_COLS + 16)

struct vq_weight {
    enum vq_weight_format format;
    size_t K, N;
    size_t panels;      /* ceil(N / VQ_NR) */
    size_t panel_bytes; /* of one */
    size_t bytes;
    bool borrowed; /* data lies in an arena */
    unsigned char *data;
};

/* Bytes of a block of kc inputs. */
static inline size_t vq_block_bytes(enum vq_weight_format f, size_t kc)
{
    size_t groups = (kc + VQ_INT8_GROUP - 1) / VQ_INT8_GROUP;
    if (f == VQ_WEIGHT_INT8)
        return (groups * sizeof(float) + (kc + 1) / 2 * 2) * VQ_NR;
    return kc * VQ_NR * (f == VQ_WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float));
}

/* The block of panel p that begins with input k0 (a multiple of VQ_KC). */
static inline const unsigned char *vq_block(const struct vq_weight *w, size_t k0, size_t p)
{
    return w->data + p * w->panel_bytes + k0 / VQ_KC * vq_block_bytes(w->format, VQ_KC);
}

/* A block as plain numbers, the first `cols` columns of it, row stride ldd. */
void vq_block_unpack(enum vq_weight_format f, size_t kc, const void *block, float *dst, size_t ldd,
                     size_t cols);

/* One step of a product: c[rows, panel] += a[rows, kc] b[kc, panel]. */
struct vq_tile {
    size_t rows;    /* 1..tile_rows */
    size_t kc;      /* 1..VQ_KC */
    const float *a; /* row stride VQ_AS */
    const void *b;  /* a block; as f32 also rows of an unpacked matrix */
    size_t ldb;     /* f32 only: floats between rows of b */
    size_t ahead;   /* f32 only: floats from a row to what will be wanted later */
    float *c;       /* row stride VQ_CS */
    bool fresh;     /* c starts from zero, not from what is there */
    /* int8 takes these in place of a: x in 16 bits, and its scale for each group */
    const int16_t *q;
    size_t ldq;      /* even */
    const float *qs; /* row stride lds */
    size_t lds;
};

void vq_tile_int8_vnni(const struct vq_tile *t); /* the int8 tile of avx512 where there is VNNI */

/* y[width] += weight[n] rows[n, width]. */
struct vq_row_sum {
    size_t n;
    const float *weight;
    const void *rows;
    size_t width;
    float *y;
};

struct vq_gemm {
    const char *name;
    size_t tile_rows, int8_rows; /* heights of the tallest tiles */
    size_t ahead_rows;           /* from so many rows on packed f32 gains by being fetched ahead */
    bool (*supported)(void); /* by this processor; called before anything else of the back-end */
    void (*tile[VQ_WEIGHT_INT8 + 1])(const struct vq_tile *t); /* by format */
    /* x[n] in 16 bits, a group, and zeros up to an even number of them; returns the scale. */
    float (*quantise)(int16_t *q, const float *x, size_t n);
    void (*rows[VQ_WEIGHT_INT8 + 1])(const struct vq_row_sum *s); /* by format */
    /* c[N] += a[K] b[K,N] */
    void (*row)(size_t N, size_t K, const float *a, const float *b, size_t ldb, float *c);
    /* If not NULL it does whole products in place of all of the above: c (+)= a b. Those of few
     * rows, and single rows, are then left to the kernels of `few`. */
    const struct vq_gemm *few;
    bool rounds; /* products are of rounded numbers */
    void (*product)(size_t M, size_t N, size_t K, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate);
};

extern const struct vq_gemm vq_gemm_portable;
extern const struct vq_gemm vq_gemm_onednn;
#if defined(__x86_64__)
extern const struct vq_gemm vq_gemm_avx2;
extern const struct vq_gemm vq_gemm_avx512;
extern const struct vq_gemm vq_gemm_bf16;
#endif
#if VQ_BLAS
extern const struct vq_gemm vq_gemm_openblas;
#endif

#endif
