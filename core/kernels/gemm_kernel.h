/*
 * gemm_kernel: what the files of gemm share, and nobody else includes.
 *
 * Weights are cut into blocks of VQ_KC inputs by one panel of outputs. Blocks lie in memory in the
 * order in which every product visits them: all panels of the first VQ_KC inputs, then all panels
 * of the next, so a product with one row reads one stream. The last panel is padded with zero
 * columns, the last slice of inputs is as short as it is. A panel is VQ_NR columns wide, or
 * VQ_NR_INT8: a row of it fills at least one cache line in every format.
 *
 * A row of a bf16 panel is VQ_NR / 2 words; word j holds column j in its low half and column
 * j + VQ_NR / 2 in its high half, so that a shift and a mask turn one load into two vectors.
 *
 * An int8 block is a row of groups of VQ_INT8_GROUP inputs, the last as short as it is: first the
 * group's scales, one for each column, then its inputs. A row of inputs is sixteen words: byte i
 * (from the lowest) of word j is column j + 16 i. Kernels move a byte to the top of its word, which
 * costs one instruction and makes the number 2^24 times what it is; the stored scales are divided
 * by that.
 *
 * Every kernel of ours forms c = (..((c + a0 b0) + a1 b1) + ..) for each element, over k in
 * ascending order, with or without fused multiply-add but the same way throughout one back-end.
 * Cutting at any k and storing c in between changes nothing, hence the promise of gemm.h. With int8
 * the chain runs inside each group, and c = c + scale * (the group's chain).
 */
#ifndef VQ_CORE_KERNELS_GEMM_KERNEL_H
#define VQ_CORE_KERNELS_GEMM_KERNEL_H

#include <stdint.h>

#include "core/kernels/gemm.h"

#define VQ_NR          32
#define VQ_NR_INT8     64
#define VQ_KC          384 /* inputs of a slice; a multiple of VQ_INT8_GROUP */
#define VQ_MC          64  /* rows of a task */
#define VQ_COLS        512 /* columns of a task; a multiple of both widths */
#define VQ_GROUP_BYTES (VQ_NR_INT8 * (sizeof(float) + VQ_INT8_GROUP))

/* Strides of a task's copies of x and of its sums: no powers of two, so that the rows of a tile lie
 * in different sets of a cache. */
#define VQ_AS (VQ_KC + 16)
#define VQ_CS (VQ_COLS + 16)

#define VQ_INT8_LIFT 0x1p24f

struct vq_weight {
    enum vq_weight_format format;
    size_t K, N;
    size_t width;  /* of a panel */
    size_t panels; /* ceil(N / width) */
    size_t bytes;
    unsigned char *data;
};

/* Bytes of a block of kc inputs. */
static inline size_t vq_block_bytes(enum vq_weight_format f, size_t kc)
{
    size_t groups = (kc + VQ_INT8_GROUP - 1) / VQ_INT8_GROUP;
    if (f == VQ_WEIGHT_INT8)
        return (groups * sizeof(float) + kc) * VQ_NR_INT8;
    return kc * VQ_NR * (f == VQ_WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float));
}

/* The block of inputs k0.. (a multiple of VQ_KC, kc of them) and panel p. */
static inline const unsigned char *vq_block(const struct vq_weight *w, size_t k0, size_t kc,
                                            size_t p)
{
    return w->data + k0 / VQ_KC * w->panels * vq_block_bytes(w->format, VQ_KC) +
           p * vq_block_bytes(w->format, kc);
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
};

struct vq_gemm {
    const char *name;
    size_t tile_rows;
    size_t ahead_rows;       /* from so many rows on packed f32 gains by being fetched ahead */
    bool (*supported)(void); /* by this processor; called before anything else of the back-end */
    void (*tile[VQ_WEIGHT_INT8 + 1])(const struct vq_tile *t); /* by format */
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
