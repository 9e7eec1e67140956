#include "core/model/means.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

enum { UNUSED = -1, WANTED = -2 };

/* Bytes beside a number of a row that make it exact. */
static size_t exact_size(enum vq_weight_format format)
{
    return format == VQ_WEIGHT_BF16   ? sizeof(uint16_t)
           : format == VQ_WEIGHT_INT8 ? sizeof(float)
                                      : 0;
}

static enum vq_status alloc_exact(struct vq_means *m, struct vq_arena *a, struct vq_err *err)
{
    const struct vq_values *v = &m->rows;
    size_t numbers = v->lanes * v->rows * v->strips * v->width, size = exact_size(v->format);
    void *exact = size ? vq_arena_alloc(a, numbers, size) : NULL;
    if (v->format == VQ_WEIGHT_BF16)
        m->low = exact;
    else
        m->exact = exact;
    return exact || !size ? VQ_OK : vq_nomem(err, "attention state", numbers, size);
}

enum vq_status vq_means_new(struct vq_means *m, struct vq_arena *a, enum vq_weight_format format,
                            size_t lanes, size_t S, size_t V, struct vq_err *err)
{
    size_t all = 0;
    *m = (struct vq_means){0};
    if (vq_mul_ok(lanes, S, &all)) {
        m->code = vq_calloc(all, sizeof(*m->code));
        m->row = vq_calloc(all, sizeof(*m->row));
        m->used = vq_calloc(lanes, sizeof(*m->used));
    }
    if (!m->code || !m->row || !m->used)
        return vq_nomem(err, "attention state", all, sizeof(*m->code));
    for (size_t i = 0; i < all; i++)
        m->row[i] = UNUSED;
    enum vq_status status = vq_values_new(&m->rows, a, format, lanes, S, V, err);
    return status ? status : alloc_exact(m, a, err);
}

void vq_means_release(struct vq_means *m)
{
    free(m->code);
    free(m->row);
    free(m->used);
}

uint64_t vq_means_bytes(enum vq_weight_format format, size_t S, size_t V)
{
    return vq_values_bytes(format, S, V) +
           vq_values_bytes(VQ_WEIGHT_F32, S, V) / sizeof(float) * exact_size(format) +
           (2 * S + 1) * sizeof(int32_t);
}

static int32_t *rows_of(const struct vq_means *m, size_t lane)
{
    return m->row + lane * m->rows.rows;
}

/* Where a strip of a code begins in low and exact. */
static size_t exact_at(const struct vq_means *m, size_t lane, int32_t code, size_t strip)
{
    const struct vq_values *v = &m->rows;
    return ((lane * v->rows + (size_t)code) * v->strips + strip) * v->width;
}

static void get_strip(const struct vq_means *m, size_t lane, int32_t code, size_t strip, float *to)
{
    const struct vq_values *v = &m->rows;
    size_t row = (size_t)rows_of(m, lane)[code], n = vq_values_columns(v, strip);
    size_t at = exact_at(m, lane, code, strip);
    if (m->low)
        vq_row_join(to, vq_values_at(v, lane, strip, row), m->low + at, n);
    else if (m->exact)
        memcpy(to, m->exact + at, n * sizeof(*to));
    else
        vq_values_take(v, lane, strip, row, to);
}

static void put_strip(struct vq_means *m, size_t lane, int32_t code, size_t strip,
                      const float *from)
{
    struct vq_values *v = &m->rows;
    size_t row = (size_t)rows_of(m, lane)[code], n = vq_values_columns(v, strip);
    size_t at = exact_at(m, lane, code, strip);
    if (m->low)
        vq_row_split(vq_values_at(v, lane, strip, row), m->low + at, from, n);
    else
        vq_values_put(v, lane, strip, row, from);
    if (m->exact)
        memcpy(m->exact + at, from, n * sizeof(*from));
}

static int32_t want(int32_t *row, const int32_t *codes, size_t n)
{
    int32_t wanted = 0;
    for (size_t i = 0; i < n; i++) {
        if (row[codes[i]] != UNUSED)
            continue;
        row[codes[i]] = WANTED;
        wanted++;
    }
    return wanted;
}

/* From the highest code down: what lies between two new codes moves in one piece, by the number of
 * new codes below it, to where nothing is that has still to be moved. */
void vq_means_admit(struct vq_means *m, size_t lane, const int32_t *codes, size_t n)
{
    const float nothing[VQ_STRIP] = {0};
    int32_t *row = rows_of(m, lane), *code = m->code + lane * m->rows.rows;
    int32_t wanted = want(row, codes, n), from = m->used[lane], end = from;
    m->used[lane] += wanted;
    for (int32_t c = (int32_t)m->rows.rows - 1; wanted > 0; c--) {
        if (row[c] >= 0) {
            from = row[c];
            row[c] += wanted;
            code[row[c]] = c;
        }
        if (row[c] != WANTED)
            continue;
        vq_values_move_in(&m->rows, lane, (size_t)(from + wanted), (size_t)from,
                          (size_t)(end - from));
        end = from;
        row[c] = end + --wanted;
        code[row[c]] = c;
        for (size_t strip = 0; strip < m->rows.strips; strip++)
            put_strip(m, lane, c, strip, nothing);
    }
}

void vq_means_mix(struct vq_means *m, const struct vq_vec *vec, size_t lane, int32_t code, float a,
                  float b, const struct vq_values *from, size_t from_row)
{
    float mean[VQ_STRIP], value[VQ_STRIP];
    for (size_t s = 0; s < m->rows.strips; s++) {
        get_strip(m, lane, code, s, mean);
        vq_values_take(from, lane, s, from_row, value);
        vec->mix(mean, a, b, value, vq_values_columns(from, s));
        put_strip(m, lane, code, s, mean);
    }
}

void vq_means_get(const struct vq_means *m, size_t lane, int32_t code, float *to)
{
    memset(to, 0, m->rows.V * sizeof(*to));
    for (size_t s = 0; rows_of(m, lane)[code] >= 0 && s < m->rows.strips; s++)
        get_strip(m, lane, code, s, to + vq_values_column(&m->rows, s));
}

void vq_means_set(struct vq_means *m, size_t lane, int32_t code, const float *from)
{
    for (size_t s = 0; s < m->rows.strips; s++)
        put_strip(m, lane, code, s, from + vq_values_column(&m->rows, s));
}

void vq_means_drop(struct vq_means *m, size_t lane, int32_t code)
{
    int32_t *row = rows_of(m, lane), *codes = m->code + lane * m->rows.rows, at = row[code];
    if (at < 0)
        return;
    int32_t after = --m->used[lane] - at;
    vq_values_move_in(&m->rows, lane, (size_t)at, (size_t)at + 1, (size_t)after);
    memmove(codes + at, codes + at + 1, (size_t)after * sizeof(*codes));
    row[code] = UNUSED;
    for (int32_t i = at; i < m->used[lane]; i++)
        row[codes[i]] = i;
}

void vq_means_clear(struct vq_means *m)
{
    for (size_t i = 0; i < m->rows.lanes * m->rows.rows; i++)
        m->row[i] = UNUSED;
    memset(m->used, 0, m->rows.lanes * sizeof(*m->used));
}

/* Codes that are not in use are left alone: their pages may never have been touched. */
void vq_means_copy(struct vq_means *d, size_t lane, const struct vq_means *s, size_t from_lane)
{
    size_t S = d->rows.rows, n = (size_t)s->used[from_lane], row = d->rows.strips * d->rows.width;
    memcpy(d->code + lane * S, s->code + from_lane * S, S * sizeof(*d->code));
    memcpy(d->row + lane * S, s->row + from_lane * S, S * sizeof(*d->row));
    d->used[lane] = s->used[from_lane];
    vq_values_copy(&d->rows, lane, 0, &s->rows, from_lane, 0, n);
    for (size_t i = 0; i < n; i++) {
        int32_t code = d->code[lane * S + i];
        size_t to = exact_at(d, lane, code, 0), from = exact_at(s, from_lane, code, 0);
        if (d->low)
            memcpy(d->low + to, s->low + from, row * sizeof(*d->low));
        if (d->exact)
            memcpy(d->exact + to, s->exact + from, row * sizeof(*d->exact));
    }
}
