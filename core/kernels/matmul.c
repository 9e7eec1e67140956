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

/* a as the tiles want it: rows as they are, or, where columns lie together, those of each tile. */
static void pack_a(const struct vq_matmul_kernel *kernel, const struct vq_matrix *a,
                   const struct part *p, size_t limit, size_t height, float *dst)
{
    const struct vq_matmul_deal d = {
        a->at, a->ld, p->depth, p->rows,
        limit, dst,   height,   vq_words(kernel, p->depth) * kernel->lanes};
    if (a->trans)
        kernel->deal_lanes(&d);
    for (size_t r = 0; !a->trans && r < p->rows; r++)
        kernel->words(dst + r * VQ_STRIDE, a->at + r * a->ld, p->depth);
}

/* Packs both sides of a part of c and multiplies them. */
static void multiply(const struct product *j, const struct part *p, float *a, float *b)
{
    const struct vq_matrix left = vq_matrix_from(&j->a, p->r, p->k);
    const struct vq_matrix right = vq_matrix_from(&j->b, p->k, p->n);
    size_t words = vq_words(j->kernel, p->depth), height = vq_height(j->kernel, p->rows);
    const struct vq_matmul_strip s = {.kernel = j->kernel,
                                      .words = words,
                                      .rows = p->rows,
                                      .height = height,
                                      .cols = p->cols,
                                      .lanes = left.trans,
                                      .a = a,
                                      .a_step = left.trans ? words * j->kernel->lanes
                                                           : height * VQ_STRIDE,
                                      .b = b,
                                      .b_step = words * VQ_PANEL,
                                      .c = j->c + p->r * j->ldc + p->n,
                                      .ldc = j->ldc,
                                      .fresh = p->k == 0 && !j->accumulate};
    vq_matmul_deal_right(j->kernel, &right, p->depth, p->cols, b, s.b_step);
    pack_a(j->kernel, &left, p, j->M - p->r, height, a);
    vq_matmul_run_tiles(&s);
}

/* Where the back-end can read [rows, cols] of m: in place, or from a transposed copy. */
static const float *plain(const struct vq_grad_vec *vec, const struct vq_matrix *m, size_t rows,
                          size_t cols, float *copy, size_t *ld)
{
    *ld = m->trans ? BLOCK : m->ld;
    if (!m->trans)
        return m->at;
    vec->transpose(copy, BLOCK, m->at, m->ld, cols, rows);
    return copy;
}

static void multiply_plain(const struct product *j, const struct part *p, float *a, float *b)
{
    const struct vq_matrix left = vq_matrix_from(&j->a, p->r, p->k);
    const struct vq_matrix right = vq_matrix_from(&j->b, p->k, p->n);
    size_t lda, ldb;
    const float *pa = plain(j->vec, &left, p->rows, p->depth, a, &lda);
    const float *pb = plain(j->vec, &right, p->depth, p->cols, b, &ldb);
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
                            .kernel = vq_matmul_kernel_of(how),
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
