/*
 * internal: what the files of core/store share behind store.h.
 */
#ifndef VQ_CORE_STORE_INTERNAL_H
#define VQ_CORE_STORE_INTERNAL_H

#include "core/store/db.h"
#include "core/store/proc.h"
#include "core/store/store.h"

struct vq_store {
    char *path; /* absolute, links resolved */
    struct vq_db *db;
    struct vq_db *reader; /* guarded, for typed queries; NULL until the first */
    bool readonly;
    bool immutable;
    unsigned busy_ms;
    size_t recovered;
    struct vq_proc self;
    char note[1024];
};

/* Begins a write transaction; VQ_EUNSUPPORTED on a read-only store. End with vq_db_end(). */
enum vq_status vq_store_begin(struct vq_store *store, struct vq_err *err);

/* Seconds since 1970 UTC. */
double vq_store_now(void);

/* How a real is stored: its kind, and its value bound to ?i (NULL for NaN). */
const char *vq_real_kind(double value);
/* The real that a kind and column i stand for. */
double vq_real_of(struct vq_stmt *s, const char *kind, int column);

#endif
