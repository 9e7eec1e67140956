/*
 * matmul_tiles: both sides of a product into words, and the tiles run over them. What matmul.c and
 * matmul_packed.c share.
 */
#include <string.h>

#include "core/kernels/grad.h"
#include "core/kernels/matmul_kernel.h"

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

const struct vq_matmul_kernel *vq_matmul_kernel_of(const struct vq_matmul_mode *m)
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

/* Up to VQ_DEPTH inputs of the transposed b in panels of [words, VQ_PANEL], `step` apart. */
static void turn_right(const struct vq_matmul_kernel *kernel, const struct vq_matrix *b,
                       size_t depth, size_t all, float *dst, size_t step)
{
    const struct vq_grad_vec *vec = vq_grad_vec_for(vq_vec_default());
    size_t words = vq_words(kernel, depth);
    _Alignas(64) float copy[VQ_PANEL * VQ_STRIDE];
    for (size_t n = 0; n < all; n += VQ_PANEL, dst += step) {
        size_t cols = all - n < VQ_PANEL ? all - n : VQ_PANEL;
        const float *rows = b->at + n * b->ld;
        if (cols < VQ_PANEL)
            memset(dst, 0, words * VQ_PANEL * sizeof(float));
        for (size_t i = 0; !kernel->exact && i < cols; i++)
            kernel->words(copy + i * VQ_STRIDE, rows + i * b->ld, depth);
        vec->transpose(dst, VQ_PANEL, kernel->exact ? rows : copy,
                       kernel->exact ? b->ld : VQ_STRIDE, cols, words);
    }
}

void vq_matmul_deal_right(const struct vq_matmul_kernel *kernel, const struct vq_matrix *b,
                          size_t depth, size_t cols, float *dst, size_t step)
{
    const struct vq_matmul_deal d = {b->at, b->ld, depth, cols, cols, dst, VQ_PANEL, step};
    if (b->trans)
        turn_right(kernel, b, depth, cols, dst, step);
    else
        kernel->deal_panels(&d);
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

void vq_matmul_run_tiles(const struct vq_matmul_strip *s)
{
    vq_matmul_tile *tile = s->lanes ? s->kernel->by_cols : s->kernel->by_rows;
    const float *b = s->b;
    for (size_t n = 0; n < s->cols; n += VQ_PANEL, b += s->b_step) {
        const float *a = s->a;
        for (size_t r = 0; r < s->rows; r += s->height, a += s->a_step) {
            size_t rows = s->rows - r < s->height ? s->rows - r : s->height;
            float *c = s->c + r * s->ldc + n;
            if (s->cols - n < VQ_PANEL)
                edge_tile(tile, rows, s->words, a, b, c, s->ldc, s->cols - n, s->fresh);
            else
                tile(rows, s->words, a, b, c, s->ldc, s->fresh);
        }
    }
}
