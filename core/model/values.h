/*
 * values: the rows of values that a session keeps for one module, of all its sequences and heads
 * ("lanes"): the window's, or (means.h) the aggregate's means. They are what generation reads
 * beside the weights, so they may be kept in bf16 or int8; every sum over them is in f32.
 */
#ifndef VQ_CORE_MODEL_VALUES_H
#define VQ_CORE_MODEL_VALUES_H

#include "core/base/arena.h"
#include "core/kernels/rows.h"

struct vq_values {
    enum vq_weight_format format;
    size_t lanes, rows, V;
    size_t strips, width; /* V columns in strips of equal width, the last with columns to spare */
    unsigned char *data;  /* [lanes, strips, rows, width] */
    float *scale;         /* [lanes, strips, rows]; int8 only */
};

/* Zeroed rows in the arena. VQ_ENOMEM. */
enum vq_status vq_values_new(struct vq_values *v, struct vq_arena *a, enum vq_weight_format format,
                             size_t lanes, size_t rows, size_t V, struct vq_err *err);
/* Bytes of one row, as attention reads it. */
size_t vq_values_row_bytes(const struct vq_values *v);
/* Bytes that so many rows take in memory. */
uint64_t vq_values_bytes(enum vq_weight_format format, size_t rows, size_t V);

/* The columns of strip s: from vq_values_column(v, s), so many. */
static inline size_t vq_values_column(const struct vq_values *v, size_t s)
{
    return s * v->width;
}
static inline size_t vq_values_columns(const struct vq_values *v, size_t s)
{
    return v->V - s * v->width < v->width ? v->V - s * v->width : v->width;
}
/* Where a row of a strip begins; the next one follows. Scales likewise, NULL without. */
void *vq_values_at(const struct vq_values *v, size_t lane, size_t strip, size_t row);
const float *vq_values_scales(const struct vq_values *v, size_t lane, size_t strip, size_t row);

/* One strip of a row from plain numbers, and as plain numbers. */
void vq_values_put(struct vq_values *v, size_t lane, size_t strip, size_t row, const float *from);
void vq_values_take(const struct vq_values *v, size_t lane, size_t strip, size_t row, float *to);
/* A whole row as plain numbers [V]. */
void vq_values_get(const struct vq_values *v, size_t lane, size_t row, float *to);
/* A whole row from plain numbers [V]. */
void vq_values_set(struct vq_values *v, size_t lane, size_t row, const float *from);

/* A whole row as it is kept, [V] numbers of the format in order and a scale for each strip (int8;
 * else untouched); and from numbers of any format, converted if it is another than the store's. */
void vq_values_get_raw(const struct vq_values *v, size_t lane, size_t row, void *to, float *scale);
void vq_values_set_raw(struct vq_values *v, size_t lane, size_t row, enum vq_weight_format f,
                       const void *from, const float *scale);

/* Rows as they are: to a place in the same lane (they may overlap), of all lanes or of one; to
 * another store of the same format. */
void vq_values_move(struct vq_values *v, size_t to, size_t from, size_t n);
void vq_values_move_in(struct vq_values *v, size_t lane, size_t to, size_t from, size_t n);
void vq_values_copy(struct vq_values *d, size_t lane, size_t row, const struct vq_values *s,
                    size_t from_lane, size_t from_row, size_t n);

/* c[M,columns] += w[M,n] times rows row..row+n-1 of a strip, as vq_gemm_nn does it in f32; w and c
 * with strides. For blocks; single queries use vq_rows_sum. */
void vq_values_gemm(const struct vq_gemm *g, const struct vq_values *v, size_t lane, size_t strip,
                    size_t row, size_t n, size_t M, const float *w, size_t ldw, float *c,
                    size_t ldc);

#endif
