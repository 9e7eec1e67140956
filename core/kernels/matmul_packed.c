/*
 * Sides are laid out for all of their inputs at once, panel after panel and tile after tile, so
 * that any slice of inputs can be packed or multiplied by itself. A panel has one row more than it
 * needs: sizes are powers of two or nearly, and panels as far apart would share a few sets of a
 * cache.
 */
#include "core/kernels/matmul_packed.h"

#include <string.h>

#include "core/kernels/grad.h"
#include "core/kernels/matmul_kernel.h"

#define ROWS       256 /* of a left side packed at a time */
#define OUTER_ROWS 140 /* of a task of vq_matmul_outer: ten tiles of the tallest kind */
#define OUTER_COLS 64  /* and its columns; a multiple of VQ_PANEL */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

struct vq_packed vq_packed_at(const struct vq_matmul_mode *how, size_t K, size_t N, float *at)
{
    const struct vq_matmul_kernel *kernel = vq_matmul_kernel_of(how);
    size_t step = kernel ? (vq_words(kernel, K) + 1) * VQ_PANEL : N;
    return (struct vq_packed){how->gemm, kernel, K, N, at, step};
}

struct vq_packed vq_packed_part(const struct vq_packed *side, size_t k0, size_t K, size_t n0,
                                size_t N)
{
    struct vq_packed part = *side;
    part.K = K;
    part.N = N;
    if (side->kernel)
        part.at += n0 / VQ_PANEL * side->step + vq_words(side->kernel, k0) * VQ_PANEL;
    else
        part.at += k0 * side->step + n0;
    return part;
}

/* dst[rows, cols] = src, or its transpose. */
static void copy(float *dst, size_t ldd, struct vq_matrix src, size_t rows, size_t cols)
{
    if (src.trans)
        vq_grad_vec_for(vq_vec_default())->transpose(dst, ldd, src.at, src.ld, cols, rows);
    for (size_t r = 0; !src.trans && r < rows; r++)
        memcpy(dst + r * ldd, src.at + r * src.ld, cols * sizeof(float));
}

void vq_matmul_pack(const struct vq_packed *side, struct vq_matrix b)
{
    if (!side->kernel)
        copy(side->at, side->step, b, side->K, side->N);
    for (size_t k = 0; side->kernel && k < side->K; k += VQ_DEPTH) {
        const struct vq_matrix from = vq_matrix_from(&b, k, 0);
        vq_matmul_deal_right(side->kernel, &from, min_size(VQ_DEPTH, side->K - k), side->N,
                             side->at + vq_words(side->kernel, k) * VQ_PANEL, side->step);
    }
}

/* Up to ROWS rows of c; the left side is packed a slice at a time. */
static void multiply_rows(const struct vq_packed *b, struct vq_matrix a, size_t rows, float *c,
                          size_t ldc, bool accumulate)
{
    _Alignas(64) float packed[ROWS * VQ_STRIDE];
    struct vq_matmul_strip s = {.kernel = b->kernel,
                                .rows = rows,
                                .height = vq_height(b->kernel, rows),
                                .cols = b->N,
                                .a = packed,
                                .b_step = b->step,
                                .c = c,
                                .ldc = ldc};
    s.a_step = s.height * VQ_STRIDE;
    for (size_t k = 0; k < b->K; k += VQ_DEPTH) {
        size_t depth = min_size(VQ_DEPTH, b->K - k);
        for (size_t r = 0; r < rows; r++)
            b->kernel->words(packed + r * VQ_STRIDE, a.at + r * a.ld + k, depth);
        s.words = vq_words(b->kernel, depth);
        s.b = b->at + vq_words(b->kernel, k) * VQ_PANEL;
        s.fresh = k == 0 && !accumulate;
        vq_matmul_run_tiles(&s);
    }
}

void vq_matmul_packed(const struct vq_packed *b, size_t M, const float *a, size_t lda, float *c,
                      size_t ldc, bool accumulate)
{
    if (!b->kernel || !b->K) {
        const struct vq_matmul_mode how = {.gemm = b->gemm};
        vq_matmul_serial(&how, M, b->N, b->K, vq_mat(a, lda), vq_mat(b->at, b->step), c, ldc,
                         accumulate);
        return;
    }
    for (size_t r = 0; r < M; r += ROWS)
        multiply_rows(b, vq_mat(a + r * lda, lda), min_size(ROWS, M - r), c + r * ldc, ldc,
                      accumulate);
}

struct vq_packed_left vq_packed_left_at(const struct vq_matmul_mode *how, size_t K, size_t M,
                                        float *at)
{
    const struct vq_matmul_kernel *kernel = vq_matmul_kernel_of(how);
    size_t step = kernel ? (vq_words(kernel, K) + 1) * kernel->lanes : K;
    return (struct vq_packed_left){how->gemm, kernel, K, M, at, step};
}

struct vq_packed_left vq_packed_left_part(const struct vq_packed_left *side, size_t k0, size_t K)
{
    struct vq_packed_left part = *side;
    part.K = K;
    part.at += side->kernel ? vq_words(side->kernel, k0) * side->kernel->lanes : k0;
    return part;
}

void vq_matmul_pack_left(const struct vq_packed_left *side, const float *a, size_t lda)
{
    if (!side->kernel) {
        copy(side->at, side->step, vq_mat_t(a, lda), side->M, side->K);
        return;
    }
    const struct vq_matmul_deal d = {
        a, lda, side->K, side->M, side->M, side->at, vq_height(side->kernel, side->M), side->step};
    side->kernel->deal_lanes(&d);
}

/* Tiles, or rows, of the left side in a task. */
static size_t block_of(const struct vq_outer *p)
{
    size_t blocks = ceil_div(p->left.M, OUTER_ROWS);
    size_t height = p->left.kernel ? vq_height(p->left.kernel, p->left.M) : 1;
    return blocks ? ceil_div(ceil_div(p->left.M, height), blocks) * height : 1;
}

static size_t tasks_of(const struct vq_outer *p)
{
    return ceil_div(p->left.M, block_of(p)) * ceil_div(p->right.N, OUTER_COLS);
}

/* A block of c, of ours in slices of inputs, so that a panel of a slice stays in L1. */
static void multiply_block(const struct vq_outer *p, size_t r, size_t rows, size_t n, size_t cols)
{
    const struct vq_packed b = vq_packed_part(&p->right, 0, p->right.K, n, cols);
    const struct vq_matmul_kernel *kernel = b.kernel;
    float *c = p->c + r * p->ldc + n;
    if (!kernel) {
        vq_gemm_nn(b.gemm, rows, cols, b.K, p->left.at + r * p->left.step, p->left.step, b.at,
                   b.step, c, p->ldc, true);
        return;
    }
    size_t height = vq_height(kernel, p->left.M);
    const float *a = p->left.at + r / height * p->left.step;
    for (size_t k = 0; k < b.K; k += VQ_DEPTH) {
        const struct vq_matmul_strip s = {.kernel = kernel,
                                          .words = vq_words(kernel, min_size(VQ_DEPTH, b.K - k)),
                                          .rows = rows,
                                          .height = height,
                                          .cols = cols,
                                          .lanes = true,
                                          .a = a + vq_words(kernel, k) * kernel->lanes,
                                          .a_step = p->left.step,
                                          .b = b.at + vq_words(kernel, k) * VQ_PANEL,
                                          .b_step = b.step,
                                          .c = c,
                                          .ldc = p->ldc};
        vq_matmul_run_tiles(&s);
    }
}

static void outer_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_outer *p = ud;
    for (; task >= tasks_of(p); p++)
        task -= tasks_of(p);
    size_t block = block_of(p), blocks = ceil_div(p->left.M, block);
    size_t r = task % blocks * block, n = task / blocks * OUTER_COLS;
    multiply_block(p, r, min_size(block, p->left.M - r), n, min_size(OUTER_COLS, p->right.N - n));
}

void vq_matmul_outer(struct vq_pool *pool, const struct vq_outer *list, size_t n)
{
    size_t tasks = 0;
    for (size_t i = 0; i < n; i++)
        tasks += tasks_of(&list[i]);
    vq_pool_run(pool, tasks, outer_task, (void *)(uintptr_t)list);
}
