#include "core/model/values.h"

#include <string.h>

#define CHUNK     128 /* rows that are made floats of at once, */
#define MOST_ROWS 64  /* for so many queries */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t strips_of(size_t V)
{
    return (V + VQ_STRIP - 1) / VQ_STRIP;
}

static size_t width_of(size_t V)
{
    return ((V + strips_of(V) - 1) / strips_of(V) + 63) / 64 * 64;
}

uint64_t vq_values_bytes(enum vq_weight_format format, size_t rows, size_t V)
{
    size_t scale = format == VQ_WEIGHT_INT8 ? sizeof(float) : 0;
    return (uint64_t)(rows * strips_of(V)) * (width_of(V) * vq_row_size(format) + scale);
}

enum vq_status vq_values_new(struct vq_values *v, struct vq_arena *a, enum vq_weight_format format,
                             size_t lanes, size_t rows, size_t V, struct vq_err *err)
{
    *v = (struct vq_values){
        .format = format, .lanes = lanes, .rows = rows, .V = V, .strips = strips_of(V)};
    v->width = width_of(V);
    size_t all, numbers;
    if (!vq_mul_ok(lanes * v->strips, rows, &all) || !vq_mul_ok(all, v->width, &numbers))
        return vq_nomem(err, "attention state", lanes * rows, V * sizeof(float));
    v->data = vq_arena_alloc(a, numbers, vq_row_size(format));
    bool ok = v->data != NULL;
    if (format == VQ_WEIGHT_INT8)
        ok = ok && (v->scale = vq_arena_alloc(a, all, sizeof(float)));
    return ok ? VQ_OK : vq_nomem(err, "attention state", numbers, sizeof(float));
}

size_t vq_values_row_bytes(const struct vq_values *v)
{
    size_t scales = v->scale ? v->strips * sizeof(float) : 0;
    return v->V * vq_row_size(v->format) + scales;
}

/* Rows before row `row` of a strip. */
static size_t place(const struct vq_values *v, size_t lane, size_t strip, size_t row)
{
    return (lane * v->strips + strip) * v->rows + row;
}

static unsigned char *data_at(const struct vq_values *v, size_t at)
{
    return v->data + at * v->width * vq_row_size(v->format);
}

void *vq_values_at(const struct vq_values *v, size_t lane, size_t strip, size_t row)
{
    return data_at(v, place(v, lane, strip, row));
}

const float *vq_values_scales(const struct vq_values *v, size_t lane, size_t strip, size_t row)
{
    return v->scale ? v->scale + place(v, lane, strip, row) : NULL;
}

void vq_values_put(struct vq_values *v, size_t lane, size_t strip, size_t row, const float *from)
{
    size_t at = place(v, lane, strip, row), n = vq_values_columns(v, strip);
    float scale = vq_row_pack(v->format, data_at(v, at), from, n);
    if (v->scale)
        v->scale[at] = scale;
}

void vq_values_take(const struct vq_values *v, size_t lane, size_t strip, size_t row, float *to)
{
    size_t at = place(v, lane, strip, row), n = vq_values_columns(v, strip);
    vq_row_unpack(v->format, to, data_at(v, at), n, v->scale ? v->scale[at] : 1.0f);
}

void vq_values_get(const struct vq_values *v, size_t lane, size_t row, float *to)
{
    for (size_t s = 0; s < v->strips; s++)
        vq_values_take(v, lane, s, row, to + vq_values_column(v, s));
}

void vq_values_set(struct vq_values *v, size_t lane, size_t row, const float *from)
{
    for (size_t s = 0; s < v->strips; s++)
        vq_values_put(v, lane, s, row, from + vq_values_column(v, s));
}

void vq_values_get_raw(const struct vq_values *v, size_t lane, size_t row, void *to, float *scale)
{
    size_t size = vq_row_size(v->format);
    for (size_t s = 0; s < v->strips; s++) {
        size_t at = place(v, lane, s, row);
        unsigned char *raw = (unsigned char *)to + vq_values_column(v, s) * size;
        for (size_t c = 0; c < vq_values_columns(v, s); c++)
            memcpy(raw + c * size, data_at(v, at) + vq_row_place(v->format, c) * size, size);
        if (v->scale)
            scale[s] = v->scale[at];
    }
}

/* The same format: as it is. */
static void set_same(struct vq_values *v, size_t at, size_t n, const unsigned char *raw)
{
    size_t size = vq_row_size(v->format);
    for (size_t c = 0; c < n; c++)
        memcpy(data_at(v, at) + vq_row_place(v->format, c) * size, raw + c * size, size);
}

void vq_values_set_raw(struct vq_values *v, size_t lane, size_t row, enum vq_weight_format f,
                       const void *from, const float *scale)
{
    float strip[VQ_STRIP];
    for (size_t s = 0; s < v->strips; s++) {
        size_t at = place(v, lane, s, row), n = vq_values_columns(v, s);
        const unsigned char *raw =
            (const unsigned char *)from + vq_values_column(v, s) * vq_row_size(f);
        if (f == v->format) {
            set_same(v, at, n, raw);
            if (v->scale)
                v->scale[at] = scale[s];
            continue;
        }
        if (f != VQ_WEIGHT_INT8)
            vq_row_unpack(f, strip, raw, n, 1.0f);
        for (size_t c = 0; f == VQ_WEIGHT_INT8 && c < n; c++)
            strip[c] = (float)(signed char)raw[c] * scale[s];
        vq_values_put(v, lane, s, row, strip);
    }
}

/* The arrays of a store, with the bytes that a row of a strip has in each. */
struct array {
    unsigned char *data;
    size_t row;
};

static size_t arrays_of(const struct vq_values *v, struct array out[2])
{
    size_t n = 0;
    out[n++] = (struct array){v->data, v->width * vq_row_size(v->format)};
    if (v->scale)
        out[n++] = (struct array){(unsigned char *)v->scale, sizeof(float)};
    return n;
}

void vq_values_move_in(struct vq_values *v, size_t lane, size_t to, size_t from, size_t n)
{
    struct array a[2];
    size_t arrays = arrays_of(v, a);
    for (size_t i = 0; i < arrays && to != from; i++) {
        for (size_t s = 0; s < v->strips; s++) {
            unsigned char *strip = a[i].data + place(v, lane, s, 0) * a[i].row;
            memmove(strip + to * a[i].row, strip + from * a[i].row, n * a[i].row);
        }
    }
}

void vq_values_move(struct vq_values *v, size_t to, size_t from, size_t n)
{
    for (size_t lane = 0; lane < v->lanes; lane++)
        vq_values_move_in(v, lane, to, from, n);
}

void vq_values_copy(struct vq_values *d, size_t lane, size_t row, const struct vq_values *s,
                    size_t from_lane, size_t from_row, size_t n)
{
    struct array to[2], from[2];
    size_t arrays = arrays_of(d, to);
    arrays_of(s, from);
    for (size_t i = 0; i < arrays; i++) {
        for (size_t strip = 0; strip < d->strips; strip++)
            memcpy(to[i].data + place(d, lane, strip, row) * to[i].row,
                   from[i].data + place(s, from_lane, strip, from_row) * to[i].row, n * to[i].row);
    }
}

/* Up to CHUNK rows as floats; of int8 as vq_rows_sum has them, with the scales in the weights. */
static void gemm_chunk(const struct vq_gemm *g, const struct vq_values *v, size_t at, size_t cols,
                       size_t n, size_t M, const float *w, size_t ldw, float *c, size_t ldc)
{
    _Alignas(64) float rows[CHUNK * VQ_STRIP], scaled[MOST_ROWS * CHUNK];
    for (size_t r = 0; r < n; r++)
        vq_row_unpack(v->format, rows + r * v->width, data_at(v, at + r), cols, VQ_ROW_UNIT);
    for (size_t m = 0; v->scale && m < M; m++) {
        for (size_t r = 0; r < n; r++)
            scaled[m * CHUNK + r] = w[m * ldw + r] * (v->scale[at + r] / VQ_ROW_UNIT);
    }
    vq_gemm_nn(g, M, cols, n, v->scale ? scaled : w, v->scale ? CHUNK : ldw, rows, v->width, c, ldc,
               true);
}

void vq_values_gemm(const struct vq_gemm *g, const struct vq_values *v, size_t lane, size_t strip,
                    size_t row, size_t n, size_t M, const float *w, size_t ldw, float *c,
                    size_t ldc)
{
    size_t at = place(v, lane, strip, row), cols = vq_values_columns(v, strip);
    if (v->format == VQ_WEIGHT_F32) {
        vq_gemm_nn(g, M, cols, n, w, ldw, (const float *)(const void *)data_at(v, at), v->width, c,
                   ldc, true);
        return;
    }
    for (size_t m = 0; m < M; m += MOST_ROWS) {
        for (size_t r = 0; r < n; r += CHUNK)
            gemm_chunk(g, v, at + r, cols, min_size(CHUNK, n - r), min_size(MOST_ROWS, M - m),
                       w + m * ldw + r, ldw, c + m * ldc, ldc);
    }
}
