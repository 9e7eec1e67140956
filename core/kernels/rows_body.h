/*
 * rows_body: sums of rows for an instruction set, included after gemm_body.h by files that define
 *   v_half(p)    W floats from W bf16
 *   v_byte(p, i) W floats from byte i (the lowest is 0) of each of W words, times VQ_ROW_UNIT
 *   ROW_SUMS     vectors across a strip that are summed in registers at once: a multiple of 64
 *                columns
 *
 * Where registers do not hold a whole strip, ROW_BLOCK rows are summed before the next columns, so
 * that memory is read in the order in which it lies.
 */
#define ROW_BLOCK 16

INLINE vf row_load(enum vq_weight_format f, const unsigned char *row, size_t n)
{
    if (f == VQ_WEIGHT_F32)
        return v_load((const float *)(const void *)row + n);
    if (f == VQ_WEIGHT_BF16)
        return v_half(row + 2 * n);
    return v_byte(row + n / 64 * 64 + n % 16 * 4, n % 64 / 16);
}

/* V vectors from column c, a multiple of 64; rows i0..i1. */
INLINE void row_strip(const struct vq_row_sum *s, enum vq_weight_format f, const size_t V, size_t c,
                      size_t i0, size_t i1)
{
    const size_t size = f == VQ_WEIGHT_F32 ? 4 : f == VQ_WEIGHT_BF16 ? 2 : 1;
    const unsigned char *row = (const unsigned char *)s->rows + (i0 * s->width + c) * size;
    vf acc[ROW_SUMS];
    UNROLL
    for (size_t v = 0; v < V; v++)
        acc[v] = v_load(s->y + c + v * W);
    for (size_t i = i0; i < i1; i++) {
        vf x = v_all(s->weight[i]);
        UNROLL
        for (size_t v = 0; v < V; v++)
            acc[v] = v_fma(x, row_load(f, row, v * W), acc[v]);
        row += s->width * size;
    }
    UNROLL
    for (size_t v = 0; v < V; v++)
        v_store(s->y + c + v * W, acc[v]);
}

INLINE void sum_rows(const struct vq_row_sum *s, enum vq_weight_format f)
{
    const bool whole = s->width == ROW_SUMS * W;
    const size_t block = whole ? s->n : ROW_BLOCK;
    for (size_t i0 = 0; i0 < s->n; i0 += block) {
        size_t i1 = s->n - i0 < block ? s->n : i0 + block, c = 0;
        for (; c + ROW_SUMS * W <= s->width; c += ROW_SUMS * W)
            row_strip(s, f, ROW_SUMS, c, i0, i1);
        for (; c < s->width; c += 64)
            row_strip(s, f, 64 / W, c, i0, i1);
    }
}

static void rows_f32(const struct vq_row_sum *s)
{
    sum_rows(s, VQ_WEIGHT_F32);
}

static void rows_bf16(const struct vq_row_sum *s)
{
    sum_rows(s, VQ_WEIGHT_BF16);
}

static void rows_int8(const struct vq_row_sum *s)
{
    sum_rows(s, VQ_WEIGHT_INT8);
}
