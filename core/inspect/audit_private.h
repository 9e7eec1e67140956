/*
 * What audit.c shares with the two readers, audit_flax.c and audit_safetensors.c: the report they
 * fill. Nobody else includes this.
 */
#ifndef VQ_CORE_INSPECT_AUDIT_PRIVATE_H
#define VQ_CORE_INSPECT_AUDIT_PRIVATE_H

#include "core/inspect/audit.h"

/* A report being made. */
struct vq_auditing {
    struct vq_audit *a;
    const uint8_t *data;
    size_t size;
    bool nomem; /* sticks */
};

/* Adds a finding. */
void vq_audit_add(struct vq_auditing *g, enum vq_audit_kind kind, uint64_t offset, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));

/* Adds a tensor, whose name is copied, and returns it; NULL when memory is out. */
struct vq_audit_tensor *vq_audit_tensor(struct vq_auditing *g, const struct vq_audit_tensor *t);

/* Bytes that shape and dtype ask for; false when there are more than can be counted, or a dimension
 * is negative. */
bool vq_audit_measure(const struct vq_audit_tensor *t, uint64_t *bytes);

/* Looks at t->bytes of numbers from t->begin on, when they lie in the file, and adds what it sees
 * (nan, inf, codes, dead) to `sum`, which may be t. */
void vq_audit_numbers(struct vq_auditing *g, const struct vq_audit_tensor *t,
                      struct vq_audit_tensor *sum);

/* The readers: structure, tensors and what is wrong with their places. */
void vq_audit_safetensors(struct vq_auditing *g);
void vq_audit_flax(struct vq_auditing *g);

#endif
