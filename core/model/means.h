/*
 * means: the aggregate's running means of one module, of all its sequences and heads ("lanes").
 *
 * What attention reads is a store of values whose rows are those of the codes in use, in ascending
 * order and nothing between them: one stream, however few of the codes have members. (Reading the
 * same rows in pieces takes three times as long.) And since the order is that of the codes, a sum
 * over them has the same bytes whatever came into use first.
 *
 * A running mean cannot live in bf16 or int8: once a code has 256 members, what one more adds is
 * smaller than half a step, and the mean would stand still for ever. So means are kept exactly and
 * rounded anew, from the exact ones, whenever they change. In bf16 the two together are the exact
 * float cut in two halves, in int8 the float is kept beside it. The error of what attention reads
 * is therefore one rounding, after any number of tokens.
 */
#ifndef VQ_CORE_MODEL_MEANS_H
#define VQ_CORE_MODEL_MEANS_H

#include "core/kernels/vec.h"
#include "core/model/values.h"

struct vq_means {
    struct vq_values rows; /* lanes, rows S; row i of a lane is that of code[i] */
    uint16_t *low;         /* bf16: lower halves [lanes, S, strips, width], by code */
    float *exact;          /* int8: the floats, likewise */
    int32_t *code;         /* [lanes, S], the first used[lane] of them set, ascending */
    int32_t *row;          /* [lanes, S] the row of a code, negative for one that is not in use */
    int32_t *used;         /* [lanes] */
};

/* Nothing in use; rows lie in the arena. VQ_ENOMEM; vq_means_release() on failure too. */
enum vq_status vq_means_new(struct vq_means *m, struct vq_arena *a, enum vq_weight_format format,
                            size_t lanes, size_t S, size_t V, struct vq_err *err);
void vq_means_release(struct vq_means *m);
/* Bytes that a lane takes. */
uint64_t vq_means_bytes(enum vq_weight_format format, size_t S, size_t V);

/* Codes in use of a lane, ascending, and how many. */
static inline const int32_t *vq_means_codes(const struct vq_means *m, size_t lane, size_t *n)
{
    *n = (size_t)m->used[lane];
    return m->code + lane * m->rows.rows;
}

/* Takes n codes of a lane, some of them perhaps in use already, into use with means of 0. The rows
 * of higher codes move, each once, so many codes at a time are cheaper than one by one. */
void vq_means_admit(struct vq_means *m, size_t lane, const int32_t *codes, size_t n);
/* The mean of a code in use becomes a * mean + b * row `from_row` of `from`. */
void vq_means_mix(struct vq_means *m, const struct vq_vec *vec, size_t lane, int32_t code, float a,
                  float b, const struct vq_values *from, size_t from_row);
/* The exact mean of a code [V], zeros when it is not in use. */
void vq_means_get(const struct vq_means *m, size_t lane, int32_t code, float *to);
/* Sets it; the code must be in use. */
void vq_means_set(struct vq_means *m, size_t lane, int32_t code, const float *from);
/* Takes a code out of use; nothing when it is not in use. */
void vq_means_drop(struct vq_means *m, size_t lane, int32_t code);
/* All codes of all lanes. */
void vq_means_clear(struct vq_means *m);
/* A lane as it is, from a store of the same format and sizes. */
void vq_means_copy(struct vq_means *d, size_t lane, const struct vq_means *s, size_t from_lane);

#endif
