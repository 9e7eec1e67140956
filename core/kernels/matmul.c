/*
 * A task is a block of c. It walks over slices of VQ_DEPTH inputs; in each it packs its part of
 * both sides, transposing what lies the other way, and lets the tiles run over them: a panel of b
 * stays in L1 while all rows of the block pass, which stay in L2 while all panels pass.
 *
 * With the OpenBLAS back-end only transposing is ours.
 */
#include "core/kernels/matmul.h"

#include <string.h>

#include "core/kernels/grad.h"
#include "core/kernels/matmul_kernel.h"

#define BLOCK       256 /* rows and columns of a task, at most; a multiple of VQ_PANEL */
#define LEAST       64  /* and at least */
#define SHARES      4   /* tasks for each thread, if blocks of at least LEAST give so many */
#define PLAIN_TASKS 16  /* the same for OpenBLAS, whatever the threads */
#define SERIAL_MACS 65536
#define PACKED      (BLOCK * VQ_DEPTH / 2 * 3) /* floats of a packed: lanes are more than rows */

static const struct vq_matmul_kernel *const kernels[] = {
    &vq_matmul_portable,
#if defined(__x86_64__)
    &vq_matmul_avx2,
    &vq_matmul_avx512,
#endif
};

bool vq_matmul_has_bf16(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

struct product {
    const struct vq_gemm *gemm;
    const struct vq_matmul_kernel *kernel; /* NULL: the back-end takes whole products only */
    const struct vq_grad_vec *vec;
    size_t M, N, K;
    struct vq_matrix a, b;
    float *c;
    size_t ldc;
    bool accumulate;
    size_t row_blocks, col_blocks;
};

/* The part of c that a task makes, and the inputs it is summing over. */
struct part {
    size_t r, rows, n, cols, k, depth;
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* The tiles of a back-end, NULL where it does whole products. Whether numbers are rounded the mode
 * alone says; for bfloat16 the back-end says only which instructions may be used, and OpenBLAS
 * leaves that to us. */
static const struct vq_matmul_kernel *kernel_of(const struct vq_matmul_mode *m)
{
    const struct vq_matmul_kernel *k = NULL;
    const char *name = vq_gemm_name(vq_gemm_exact(m->gemm));
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
        if (!strcmp(kernels[i]->name, name))
            k = kernels[i];
    if (!m->bf16)
        return k;
#if defined(__x86_64__)
    if (vq_matmul_has_bf16() && (!k || k == &vq_matmul_avx512))
        return &vq_matmul_bf16;
#endif
    return &vq_matmul_rounding;
}

static size_t words_of(const struct product *j, const struct part *p)
{
    return ceil_div(p->depth, j->kernel->inputs);
}

/* b in panels of [words, VQ_PANEL], the last one padded with zeros. */
static void pack_b(const struct product *j, const struct part *p, float *dst)
{
    const struct vq_matrix *b = &j->b;
    size_t words = words_of(j, p), step = words * VQ_PANEL;
    if (!b->trans) {
        const struct vq_matmul_deal d = {
            b->at + p->k * b->ld + p->n, b->ld, p->depth, p->cols, p->cols, dst, VQ_PANEL, step};
        j->kernel->deal_panels(&d);
        return;
    }
    for (size_t n = 0; n < p->cols; n += VQ_PANEL, dst += step) {
        size_t cols = min_size(VQ_PANEL, p->cols - n);
        const float *rows = b->at + (p->n + n) * b->ld + p->k;
        _Alignas(64) float copy[VQ_PANEL * VQ_STRIDE];
        if (cols < VQ_PANEL)
            memset(dst, 0, step * sizeof(float));
        for (size_t i = 0; !j->kernel->exact && i < cols; i++)
            j->kernel->words(copy + i * VQ_STRIDE, rows + i * b->ld, p->depth);
        j->vec->transpose(dst, VQ_PANEL, j->kernel->exact ? rows : copy,
                          j->kernel->exact ? b->ld : VQ_STRIDE, cols, words);
    }
}

/* a as the tiles want it: rows as they are, or, where columns lie together, those of each tile. */
static void pack_a(const struct product *j, const struct part *p, size_t height, float *dst)
{
    const struct vq_matrix *a = &j->a;
    if (a->trans) {
        const struct vq_matmul_deal d = {
            a->at + p->k * a->ld + p->r,      a->ld, p->depth, p->rows, j->M - p->r, dst, height,
            words_of(j, p) * j->kernel->lanes};
        j->kernel->deal_lanes(&d);
        return;
    }
    for (size_t r = 0; r < p->rows; r++)
        j->kernel->words(dst + r * VQ_STRIDE, a->at + (p->r + r) * a->ld + p->k, p->depth);
}

static void copy_rows(float *dst, size_t ldd, const float *src, size_t lds, size_t rows,
                      size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(dst + r * ldd, src + r * lds, cols * sizeof(float));
}

/* A tile where c has only `cols` of the panel's columns. */
static void edge_tile(vq_matmul_tile *tile, size_t rows, size_t words, const float *a,
                      const float *b, float *c, size_t ldc, size_t cols, bool fresh)
{
    _Alignas(64) float whole[VQ_MAX_LANES * VQ_PANEL] = {0};
    if (!fresh)
        copy_rows(whole, VQ_PANEL, c, ldc, rows, cols);
    tile(rows, words, a, b, whole, VQ_PANEL, fresh);
    copy_rows(c, ldc, whole, VQ_PANEL, rows, cols);
}

/* All rows of the part by all of its panels, in tiles of one height but for the last. */
static void multiply(const struct product *j, const struct part *p, float *a, float *b)
{
    size_t height = ceil_div(p->rows, ceil_div(p->rows, j->kernel->rows));
    size_t words = words_of(j, p);
    size_t step = j->a.trans ? words * j->kernel->lanes : height * VQ_STRIDE;
    vq_matmul_tile *tile = j->a.trans ? j->kernel->by_cols : j->kernel->by_rows;
    bool fresh = p->k == 0 && !j->accumulate;
    pack_b(j, p, b);
    pack_a(j, p, height, a);
    for (size_t n = 0; n < p->cols; n += VQ_PANEL) {
        const float *panel = b + n * words, *at = a;
        for (size_t r = 0; r < p->rows; r += height, at += step) {
            size_t rows = min_size(height, p->rows - r);
            float *c = j->c + (p->r + r) * j->ldc + p->n + n;
            if (p->cols - n < VQ_PANEL)
                edge_tile(tile, rows, words, at, panel, c, j->ldc, p->cols - n, fresh);
            else
                tile(rows, words, at, panel, c, j->ldc, fresh);
        }
    }
}

/* Where the back-end can read rows of m from (i, j) on: in place, or from a transposed copy. */
static const float *plain(const struct product *j, const struct vq_matrix *m, size_t i, size_t rows,
                          size_t k, size_t cols, float *copy, size_t *ld)
{
    *ld = m->trans ? BLOCK : m->ld;
    if (!m->trans)
        return m->at + i * m->ld + k;
    j->vec->transpose(copy, BLOCK, m->at + k * m->ld + i, m->ld, cols, rows);
    return copy;
}

static void multiply_plain(const struct product *j, const struct part *p, float *a, float *b)
{
    size_t lda, ldb;
    const float *pa = plain(j, &j->a, p->r, p->rows, p->k, p->depth, a, &lda);
    const float *pb = plain(j, &j->b, p->k, p->depth, p->n, p->cols, b, &ldb);
    vq_gemm_nn(j->gemm, p->rows, p->cols, p->depth, pa, lda, pb, ldb, j->c + p->r * j->ldc + p->n,
               j->ldc, p->k > 0 || j->accumulate);
}

/* Block i of n parts of `all`, in whole multiples of `unit`. */
static size_t cut(size_t all, size_t unit, size_t i, size_t n)
{
    return min_size(ceil_div(all, unit) * i / n * unit, all);
}

static void product_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct product *j = ud;
    _Alignas(64) float a[PACKED];
    _Alignas(64) float b[VQ_DEPTH * BLOCK];
    size_t rb = task % j->row_blocks, cb = task / j->row_blocks;
    struct part p = {.r = cut(j->M, 1, rb, j->row_blocks),
                     .n = cut(j->N, VQ_PANEL, cb, j->col_blocks)};
    p.rows = cut(j->M, 1, rb + 1, j->row_blocks) - p.r;
    p.cols = cut(j->N, VQ_PANEL, cb + 1, j->col_blocks) - p.n;
    for (p.k = 0; p.k < j->K; p.k += VQ_DEPTH) {
        p.depth = min_size(VQ_DEPTH, j->K - p.k);
        if (j->kernel)
            multiply(j, &p, a, b);
        else
            multiply_plain(j, &p, a, b);
    }
}

/* Blocks of at most BLOCK, smaller while there are too few of them to share out: the longer side
 * first. Our own tiles sum each element the same way in any block, so there the number of threads
 * may have a say. */
static void choose_blocks(struct product *j, const struct vq_pool *pool)
{
    size_t rows = BLOCK, cols = BLOCK;
    size_t least = j->kernel ? SHARES * (size_t)vq_pool_threads(pool) : PLAIN_TASKS;
    for (;;) {
        j->row_blocks = ceil_div(j->M, rows);
        j->col_blocks = ceil_div(j->N, cols);
        size_t r = ceil_div(j->M, j->row_blocks), c = ceil_div(j->N, j->col_blocks);
        if (j->row_blocks * j->col_blocks >= least || (r <= LEAST && c <= LEAST))
            return;
        if (r > c)
            rows = r / 2 > LEAST ? r / 2 : LEAST;
        else
            cols = c / 2 > LEAST ? c / 2 : LEAST;
    }
}

static struct product product_of(const struct vq_matmul_mode *how, size_t M, size_t N, size_t K,
                                 struct vq_matrix a, struct vq_matrix b)
{
    return (struct product){.gemm = how->gemm,
                            .kernel = kernel_of(how),
                            .vec = vq_grad_vec_for(vq_vec_default()),
                            .M = M,
                            .N = N,
                            .K = K,
                            .a = a,
                            .b = b,
                            .row_blocks = ceil_div(M, BLOCK),
                            .col_blocks = ceil_div(N, BLOCK)};
}

static void run(struct vq_pool *pool, struct product *j, float *c, size_t ldc, bool accumulate)
{
    j->c = c;
    j->ldc = ldc;
    j->accumulate = accumulate;
    for (size_t r = 0; !j->K && !accumulate && r < j->M; r++)
        memset(c + r * ldc, 0, j->N * sizeof(float));
    vq_pool_run(pool, j->row_blocks * j->col_blocks, product_task, j);
}

void vq_matmul(const struct vq_matmul_mode *how, struct vq_pool *pool, size_t M, size_t N, size_t K,
               struct vq_matrix a, struct vq_matrix b, float *c, size_t ldc, bool accumulate)
{
    struct product j = product_of(how, M, N, K, a, b);
    if (!M || !N)
        return;
    choose_blocks(&j, pool);
    run(M * N < SERIAL_MACS / (K + 1) ? NULL : pool, &j, c, ldc, accumulate);
}

void vq_matmul_serial(const struct vq_matmul_mode *how, size_t M, size_t N, size_t K,
                      struct vq_matrix a, struct vq_matrix b, float *c, size_t ldc, bool accumulate)
{
    struct product j = product_of(how, M, N, K, a, b);
    if (M && N)
        run(NULL, &j, c, ldc, accumulate);
}
