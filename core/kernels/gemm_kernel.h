/*
 * gemm_kernel: what the files of gemm share, and nobody else includes.
 *
 * Weights are cut into blocks of VQ_KC inputs by VQ_NR outputs (a panel's slice). Blocks lie in
 * memory in the order in which every product visits them: all panels of the first VQ_KC inputs,
 * then all panels of the next, so a product with one row reads one stream. The last panel is padded
 * with zero columns, the last slice is as short as it is.
 *
 * Every kernel of ours forms c = (..((c + a0 b0) + a1 b1) + ..) for each element, over k in
 * ascending order, with or without fused multiply-add but the same way throughout one back-end.
 * Cutting at any k and storing c in between changes nothing, hence the promise of gemm.h. With int8
 * the chain runs inside each group of VQ_INT8_GROUP inputs, and c = c + scale * (group's chain).
 */
#ifndef VQ_CORE_KERNELS_GEMM_KERNEL_H
#define VQ_CORE_KERNELS_GEMM_KERNEL_H

#include <stdint.h>

#include "core/kernels/gemm.h"

#define VQ_NR 32  /* columns of a panel */
#define VQ_KC 256 /* inputs of a slice; a multiple of VQ_INT8_GROUP */
#define VQ_MC 128 /* rows of one task */
#define VQ_AS                                                                                      \
    (VQ_KC + 16)        /* row stride of copied rows: not a power of two, so that the rows of a    \
                           tile fall into different cache sets */
#define VQ_FLAT_ROWS 2  /* up to so many rows a tile takes several panels at once */
#define VQ_MAX_TILE  14 /* the highest register tile of any back-end */

/* An int8 block is a row of groups: VQ_NR scales, then the inputs of the group. */
#define VQ_GROUP_BYTES (VQ_NR * sizeof(float) + VQ_INT8_GROUP * VQ_NR)

struct vq_weight {
    enum vq_weight_format format;
    size_t K, N;
    size_t panels; /* ceil(N / VQ_NR) */
    size_t bytes;
    unsigned char *data;
};

/* Bytes of a block of kc inputs. */
static inline size_t vq_block_bytes(enum vq_weight_format f, size_t kc)
{
    size_t groups = (kc + VQ_INT8_GROUP - 1) / VQ_INT8_GROUP;
    switch (f) {
    case VQ_WEIGHT_F32:
        return kc * VQ_NR * sizeof(float);
    case VQ_WEIGHT_BF16:
        return kc * VQ_NR * sizeof(uint16_t);
    case VQ_WEIGHT_INT8:
        break;
    }
    return groups * VQ_NR * sizeof(float) + kc * VQ_NR;
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

/* What a tile finds in b. */
enum vq_tile_kind {
    VQ_TILE_F32,
    VQ_TILE_BF16,
    VQ_TILE_INT8,
    VQ_TILE_SCALED, /* an int8 block whose inputs are f32 by now; the scales are elsewhere */
    VQ_TILE_KINDS
};

/* One step of a product: c[rows, panels * VQ_NR] (+)= a[rows, kc] b[kc, panels * VQ_NR]. */
struct vq_tile {
    size_t rows;       /* 1..tile_rows */
    size_t kc;         /* 1..VQ_KC */
    const float *a;    /* row stride VQ_AS */
    const void *b;     /* the block of the first panel */
    size_t ldb;        /* VQ_TILE_F32: floats between rows of b; else VQ_NR */
    size_t panels;     /* 1 unless rows <= VQ_FLAT_ROWS */
    size_t step;       /* bytes from a panel's block to the next panel's */
    const void *scale; /* VQ_TILE_SCALED: those of the first group, VQ_GROUP_BYTES apart */
    float *c;
    size_t ldc;
    bool fresh; /* c starts from zero, not from what is there */
};

struct vq_gemm {
    const char *name;
    size_t tile_rows;
    bool (*supported)(void); /* by this processor; called before anything else of the back-end */
    void (*tile[VQ_TILE_KINDS])(const struct vq_tile *t);
    /* The inputs of a block as f32, without the scales of int8. */
    void (*decode_bf16)(size_t kc, const unsigned char *b, float *dst);
    void (*decode_int8)(size_t kc, const unsigned char *b, float *dst);
    /* c[N] += a[K] b[K,N] */
    void (*row)(size_t N, size_t K, const float *a, const float *b, size_t ldb, float *c);
    /* If not NULL it does whole products in place of all of the above: c (+)= a b. */
    void (*product)(size_t M, size_t N, size_t K, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc, bool accumulate);
};

extern const struct vq_gemm vq_gemm_portable;
#if defined(__x86_64__)
extern const struct vq_gemm vq_gemm_avx2;
extern const struct vq_gemm vq_gemm_avx512;
#endif
#if VQ_BLAS
extern const struct vq_gemm vq_gemm_openblas;
#endif

#endif
