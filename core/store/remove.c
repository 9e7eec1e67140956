/*
 * Removing runs, bringing them back, deleting them for good, and remembering which files they leave
 * behind.
 */
#include <math.h>
#include <string.h>

#include "core/store/internal.h"

/* Inside a transaction: one statement with ?1 = text and ?2 = real. */
static enum vq_status change(struct vq_store *store, const char *sql, const char *text, double real,
                             struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_store_stmt(store, sql, &s, err);
    if (status != VQ_OK)
        return status;
    if (text)
        vq_stmt_text(s, 1, text);
    if (strstr(sql, "?2"))
        vq_stmt_real(s, 2, real);
    status = vq_stmt_run(s, err);
    vq_store_stmt_done(store, s);
    return status;
}

/* Inside a transaction. */
static enum vq_status discard_one(struct vq_store *store, const char *id, double now, bool force,
                                  struct vq_err *err)
{
    enum vq_run_status how;
    enum vq_status status = vq_store_status(store, id, &how, err);
    if (status == VQ_OK && how == VQ_RUN_RUNNING && !force)
        status = vq_fail(err, VQ_EINVAL, "run %s is still running; interrupt it first", id);
    if (status == VQ_OK)
        status =
            change(store, "UPDATE runs SET removed_at = ?2 WHERE id = ?1 AND removed_at IS NULL",
                   id, now, err);
    return status;
}

enum vq_status vq_store_discard(struct vq_store *store, const char *const *ids, size_t n,
                                bool force, struct vq_err *err)
{
    double now = vq_store_now();
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        status = discard_one(store, ids[i], now, force, err);
    return vq_db_end(store->db, status, err);
}

enum vq_status vq_store_restore(struct vq_store *store, const char *id, size_t *n,
                                struct vq_err *err)
{
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = id ? change(store,
                         "UPDATE runs SET removed_at = NULL WHERE id = ?1"
                         " AND removed_at IS NOT NULL",
                         id, 0, err)
                : change(store,
                         "UPDATE runs SET removed_at = NULL"
                         " WHERE removed_at = (SELECT max(removed_at) FROM runs)",
                         NULL, 0, err);
    if (status == VQ_OK && n)
        *n = (size_t)vq_db_changes(store->db);
    return vq_db_end(store->db, status, err);
}

/* What a purge is about: one run (?1), or all that were removed before a moment (?2). */
#define PURGED                                                                                     \
    " removed_at IS NOT NULL AND CASE WHEN ?1 IS NULL THEN removed_at < ?2 ELSE id = ?1 END"

static const char note_orphans[] =
    "INSERT OR REPLACE INTO orphans(path, run, time)"
    " SELECT f.path, r.id, r.removed_at FROM runs r JOIN v_files f ON f.run = r.id"
    " WHERE lower(f.path) LIKE '%.png' AND" PURGED;

enum vq_status vq_store_purge(struct vq_store *store, const char *id, double before, size_t *n,
                              struct vq_err *err)
{
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = change(store, note_orphans, id, before, err);
    if (status == VQ_OK)
        status = change(store, "DELETE FROM runs WHERE" PURGED, id, before, err);
    if (status == VQ_OK && n)
        *n = (size_t)vq_db_changes(store->db);
    return vq_db_end(store->db, status, err);
}

enum vq_status vq_store_compact(struct vq_store *store, struct vq_err *err)
{
    if (store->readonly)
        return vq_fail(err, VQ_EUNSUPPORTED, "%s: is open read-only", store->path);
    return vq_db_exec(store->db, "VACUUM", err);
}

enum vq_status vq_store_orphans(struct vq_store *store, vq_orphan_row row, void *ud,
                                struct vq_err *err)
{
    struct vq_stmt *s;
    bool more = false;
    enum vq_status status = vq_stmt_prepare(
        &s, store->db,
        "SELECT path, run, path IN (SELECT path FROM v_files) FROM orphans ORDER BY path", err);
    if (status != VQ_OK)
        return status;
    while ((status = vq_stmt_step(s, &more, err)) == VQ_OK && more)
        if (!row(ud, vq_column_text(s, 0), vq_column_text(s, 1), vq_column_int(s, 2) != 0))
            break;
    vq_stmt_free(s);
    return status;
}

enum vq_status vq_store_orphan_forget(struct vq_store *store, const char *path, struct vq_err *err)
{
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    return vq_db_end(store->db, change(store, "DELETE FROM orphans WHERE path = ?1", path, 0, err),
                     err);
}

enum vq_status vq_store_remove(struct vq_store *store, const char *id, bool force,
                               struct vq_err *err)
{
    enum vq_run_status how;
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = vq_store_status(store, id, &how, err);
    if (status == VQ_OK && how == VQ_RUN_RUNNING && !force)
        status = vq_fail(err, VQ_EINVAL, "run %s is still running; interrupt it first", id);
    if (status == VQ_OK)
        status = change(store, "DELETE FROM runs WHERE id = ?1", id, 0, err);
    return vq_db_end(store->db, status, err);
}
