/*
 * gemm: matrix products behind one small interface, with back-ends in a file each:
 *   gemm_portable.c  any processor, by the vectors of the compiler
 *   gemm_avx2.c, gemm_avx512.c  our own kernels, chosen at run time by what the processor has
 *   gemm_blas.c      OpenBLAS, single-threaded inside our tiles (absent with BLAS=0)
 *   gemm_onednn.c    oneDNN, likewise, where it is installed
 *   gemm_bf16.c      products of numbers rounded to bfloat16, where the processor has them
 *
 * All matrices are row-major. Reductions over k run in one fixed order that depends on K alone, so
 * with our own kernels row r of a result has the same bytes for any number of rows, any position in
 * the block and any number of threads. The others keep the last promise (threads) only.
 *
 * Products allocate nothing and cannot fail; each takes up to 400 KB of the stack it runs on.
 */
#ifndef VQ_CORE_KERNELS_GEMM_H
#define VQ_CORE_KERNELS_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/pool.h"

/* How prepared weights are stored; sums are f32 always. */
enum vq_weight_format {
    VQ_WEIGHT_F32,
    VQ_WEIGHT_BF16, /* rounded to nearest even */
    VQ_WEIGHT_INT8  /* per column and group of 64 inputs: int8 in [-127,127] times an f32 scale;
                       our own kernels then take x in 16 bits with a scale for each group, which
                       moves it by no more than 1/65534 of the group's largest */
};
#define VQ_INT8_GROUP 64

const char *vq_weight_format_name(enum vq_weight_format f); /* "f32", "bf16", "int8" */
bool vq_weight_format_parse(const char *name, enum vq_weight_format *out);

/*
 * Back-ends. The default is the fastest of what the processor and the build have. Choosing is for
 * a whole process start or a test: not while products run.
 */
size_t vq_gemm_backends(void);              /* how many exist in this build and processor */
const char *vq_gemm_backend_name(size_t i); /* "portable", "openblas", "avx512", ... */
struct vq_gemm;                             /* a chosen back-end; static, never freed */
const struct vq_gemm *vq_gemm_default(void);
const struct vq_gemm *vq_gemm_find(const char *name); /* NULL when not available here */
const char *vq_gemm_name(const struct vq_gemm *g);
/* The back-end itself, or for one that rounds the numbers it multiplies the one that does not: for
 * what must be exact, such as the choice of a code. */
const struct vq_gemm *vq_gemm_exact(const struct vq_gemm *g);
/* The kernel that OpenBLAS picked ("SkylakeX", ...), or NULL without it. */
const char *vq_gemm_blas_core(void);

/* A weight matrix W[K,N] in the layout its kernels stream best. Immutable; may be shared. */
struct vq_weight;

/* Packs w (row-major [K,N], leading dimension ldw >= N). The copy is independent of w; it lies in
 * the arena, which must outlive it, or on the heap if that is NULL. */
enum vq_status vq_weight_new(struct vq_weight **out, enum vq_weight_format format, size_t K,
                             size_t N, const float *w, size_t ldw, struct vq_pool *pool,
                             struct vq_arena *arena, struct vq_err *err);
/* Where a weight's numbers come from when they do not lie in memory as floats. The functions are
 * called from several threads at once. Rows k..k+n-1 are at most VQ_INT8_GROUP and lie in one group
 * (k is a multiple of it); c..c+cols-1 are the columns. */
struct vq_weight_source {
    const void *ud;
    void (*read)(const void *ud, size_t k, size_t n, size_t c, size_t cols, float *dst, size_t ldd);
    /* The same as they are kept, with the group's scales[cols], for VQ_WEIGHT_INT8 alone; NULL: the
     * floats are quantised. Scales are finite and not negative. */
    void (*read_int8)(const void *ud, size_t k, size_t n, size_t c, size_t cols, int8_t *dst,
                      size_t ldd, float *scale);
    /* From the calling thread: rows k..k+n-1 will not be read again. NULL: no matter. */
    void (*done)(const void *ud, size_t k, size_t n);
};
enum vq_status vq_weight_from(struct vq_weight **out, enum vq_weight_format format, size_t K,
                              size_t N, const struct vq_weight_source *from, struct vq_pool *pool,
                              struct vq_arena *arena, struct vq_err *err);
/* What vq_weight_bytes() of such a weight will be; SIZE_MAX when that cannot be counted. */
size_t vq_weight_size(enum vq_weight_format format, size_t K, size_t N);
/* Quantises a group, rows w[n,cols], as packing does: into q[n,cols] and scale[cols]. A column with
 * a number that is not finite gets the scale NaN. */
void vq_int8_quantise(size_t n, size_t cols, const float *w, size_t ldw, int8_t *q, size_t ldq,
                      float *scale);
void vq_weight_free(struct vq_weight *w);
size_t vq_weight_bytes(const struct vq_weight *w); /* what one product reads of it */
size_t vq_weight_rows(const struct vq_weight *w);  /* K */
size_t vq_weight_cols(const struct vq_weight *w);  /* N */
/* The matrix as it is used (dequantised), row-major [K,N] into dst. */
void vq_weight_unpack(const struct vq_weight *w, float *dst);

/* y[M,N] = x[M,K] W, or += with accumulate. y must not alias x. Spread over the pool. */
void vq_weight_mul(const struct vq_gemm *g, struct vq_pool *pool, const struct vq_weight *w,
                   size_t M, const float *x, size_t ldx, float *y, size_t ldy, bool accumulate);
/* Several products at once, which share one run of the pool: none may read what another writes. */
struct vq_product {
    const struct vq_weight *w;
    size_t rows; /* M */
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    bool accumulate;
};
void vq_weight_mul_all(const struct vq_gemm *g, struct vq_pool *pool,
                       const struct vq_product *products, size_t n);
/* The same on the calling thread, for use inside a task. */
void vq_weight_mul_serial(const struct vq_gemm *g, const struct vq_weight *w, size_t M,
                          const float *x, size_t ldx, float *y, size_t ldy, bool accumulate);

/* c[M,N] = a[M,K] b[K,N], or += with accumulate, on the calling thread, for use inside a task. */
void vq_gemm_nn(const struct vq_gemm *g, size_t M, size_t N, size_t K, const float *a, size_t lda,
                const float *b, size_t ldb, float *c, size_t ldc, bool accumulate);

#endif
