/*
 * internal: what the files of core/store share behind store.h.
 */
#ifndef VQ_CORE_STORE_INTERNAL_H
#define VQ_CORE_STORE_INTERNAL_H

#include "core/store/db.h"
#include "core/store/proc.h"
#include "core/store/store.h"

/* Pages that are kept in memory, in KiB: a listing of ten thousand runs goes over them several
 * times. */
#define VQ_DB_CACHE "PRAGMA cache_size=-65536"

/* A statement of constant text, kept from one use to the next. */
struct vq_kept {
    const char *sql; /* the constant itself is the key */
    struct vq_stmt *stmt;
    bool used; /* by somebody who is not done */
};
enum { VQ_KEPT = 24 };

struct vq_store {
    char *path; /* absolute, links resolved */
    struct vq_db *db;
    struct vq_db *reader; /* guarded, for typed queries; NULL until the first */
    bool readonly;
    bool immutable;
    unsigned busy_ms;
    size_t recovered;
    struct vq_proc self;
    struct vq_kept kept[VQ_KEPT];
    char note[1024];
};

/* Begins a write transaction; VQ_EUNSUPPORTED on a read-only store. End with vq_db_end(). */
enum vq_status vq_store_begin(struct vq_store *store, struct vq_err *err);

/* A statement of `sql`, a constant, prepared at its first use and kept; its values are unbound.
 * Every one is given back with done(), also after failures. Calls may nest. */
enum vq_status vq_store_stmt(struct vq_store *store, const char *sql, struct vq_stmt **out,
                             struct vq_err *err);
void vq_store_stmt_done(struct vq_store *store, struct vq_stmt *s); /* s may be NULL */

/* Runs `sql` (a constant), which gives no rows, with ?1 = a, ?2 = b where it has them. Inside a
 * transaction. */
enum vq_status vq_store_do(struct vq_store *store, const char *sql, const char *a, const char *b,
                           struct vq_err *err);

/* Makes the folders above `path` that are missing. */
enum vq_status vq_make_folders(const char *path, unsigned mode, struct vq_err *err);

/* The status of a run that may have been removed; VQ_ENOTFOUND if there is none of that id. */
enum vq_status vq_store_status(struct vq_store *store, const char *id, enum vq_run_status *out,
                               struct vq_err *err);

/* Seconds since 1970 UTC. */
double vq_store_now(void);

/* How a real is stored: its kind, and its value bound to ?i (NULL for NaN). */
const char *vq_real_kind(double value);
/* The real that a kind and column i stand for. */
double vq_real_of(struct vq_stmt *s, const char *kind, int column);

#endif
