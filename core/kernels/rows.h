/*
 * rows: values as attention keeps them (the window's, the aggregate's), in three formats, and sums
 * of them. A strip is up to VQ_STRIP columns of such rows, one row after the other: what a task of
 * attention reads is one stream.
 *
 * The formats are those of weights: VQ_WEIGHT_F32, _BF16 (rounded to nearest even), _INT8 (-127 to
 * 127 times one scale for each row of a strip, its largest size divided by 127). 64 columns of int8
 * are sixteen words: byte i (from the lowest) of word j is column j + 16 i, which a kernel moves to
 * the top of the word, makes a float of, and has the number times VQ_ROW_UNIT.
 */
#ifndef VQ_CORE_KERNELS_ROWS_H
#define VQ_CORE_KERNELS_ROWS_H

#include "core/kernels/gemm.h"

#define VQ_ROW_UNIT 0x1p24f
#define VQ_STRIP    256 /* columns of a strip at most; widths are multiples of 64 */

/* Bytes of a number, and where column c of a row lies, in numbers from its beginning. */
size_t vq_row_size(enum vq_weight_format f);
static inline size_t vq_row_place(enum vq_weight_format f, size_t c)
{
    return f == VQ_WEIGHT_INT8 ? c / 64 * 64 + c % 16 * 4 + c % 64 / 16 : c;
}

/* n numbers into dst, which in int8 holds a multiple of 64; returns the scale, 1 where the format
 * has none. What is not finite makes an int8 scale NaN. */
float vq_row_pack(enum vq_weight_format f, void *dst, const float *v, size_t n);
/* The numbers times `scale`, which other formats than int8 ignore. */
void vq_row_unpack(enum vq_weight_format f, float *dst, const void *src, size_t n, float scale);

/*
 * Floats cut in two: `high` is the nearest bf16 (ties away from zero), `low` what is missing, so
 * that joining them gives the very same float: one array to read in haste, and nothing lost. NaN
 * stays NaN.
 */
void vq_row_split(uint16_t *high, uint16_t *low, const float *v, size_t n);
void vq_row_join(float *v, const uint16_t *high, const uint16_t *low, size_t n);

/* Rows first..first+n-1. */
struct vq_run {
    int32_t first, n;
};

/*
 * y[width] += sum over the rows r of the runs, in their order, of weight[r] * row r of the strip at
 * `rows`: one chain of multiply-adds for each column, as vq_gemm_nn forms it. int8 rows count
 * VQ_ROW_UNIT times; that and their scales are the caller's to take into the weights. Runs rather
 * than a list of rows: addresses that were themselves read from memory come in no order that a
 * processor could fetch ahead of.
 */
void vq_rows_sum(const struct vq_gemm *g, enum vq_weight_format f, size_t runs,
                 const struct vq_run *run, const float *weight, const void *rows, size_t width,
                 float *y);

#endif
