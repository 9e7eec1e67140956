/*
 * intake: what import and merge have in common: putting pieces of a run where they belong. All of
 * it inside a transaction.
 */
#ifndef VQ_CORE_STORE_INTAKE_H
#define VQ_CORE_STORE_INTAKE_H

#include "core/store/store.h"

/* The error of a run that was copied while it ran; a later copy of the whole run replaces it. */
#define VQ_WAS_RUNNING "was still running when it was copied"

/* 10 characters of [0-9a-z]. */
bool vq_is_run_id(const char *s, size_t n);
#define VQ_TAG_MAX 64
/* 1 to VQ_TAG_MAX bytes without white space, commas and control characters. */
bool vq_is_tag(const char *s, size_t n);

enum vq_status vq_intake_tag(struct vq_store *store, const char *run, const char *tag, size_t len,
                             struct vq_err *err);
/* One of the same time and text that is there already is not added. */
enum vq_status vq_intake_note(struct vq_store *store, const char *run, double time,
                              const char *text, size_t len, struct vq_err *err);
/* INT, REAL or TEXT. */
enum vq_status vq_intake_result(struct vq_store *store, const char *run, const char *key,
                                const struct vq_value *v, struct vq_err *err);

#endif
