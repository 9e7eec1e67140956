/*
 * Editing the notebook after the fact: tags, names, notes. Removing is in remove.c.
 */
#include <string.h>

#include "core/store/intake.h"
#include "core/store/internal.h"

static enum vq_status check_tag(const char *tag, struct vq_err *err)
{
    size_t len = tag ? strlen(tag) : 0;
    if (len > 0 && vq_is_tag(tag, len))
        return VQ_OK;
    if (len == 0 || len > VQ_TAG_MAX)
        return vq_fail(err, VQ_EINVAL, "a tag has 1 to %d bytes, found %zu", VQ_TAG_MAX, len);
    return vq_fail(err, VQ_EINVAL, "'%s': a tag holds no white space, commas or control characters",
                   tag);
}

/* Inside a transaction: runs `sql` with ?1 = id, ?2 = bytes, ?3 = now. */
static enum vq_status change(struct vq_store *store, const char *sql, const char *id,
                             const char *text, size_t len, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(&s, store->db, sql, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    if (text)
        vq_stmt_bytes(s, 2, text, len);
    if (strstr(sql, "?3"))
        vq_stmt_real(s, 3, vq_store_now());
    status = vq_stmt_run(s, err);
    vq_stmt_free(s);
    return status;
}

enum vq_status vq_store_status(struct vq_store *store, const char *id, enum vq_run_status *out,
                               struct vq_err *err)
{
    struct vq_stmt *s;
    bool row = false;
    *out = VQ_RUN_RUNNING;
    enum vq_status status =
        vq_stmt_prepare(&s, store->db, "SELECT status FROM runs WHERE id = ?1", err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    status = vq_stmt_step(s, &row, err);
    if (status == VQ_OK && row)
        vq_run_status_parse(vq_column_text(s, 0), out);
    vq_stmt_free(s);
    if (status == VQ_OK && !row)
        status = vq_fail(err, VQ_ENOTFOUND, "there is no run %s", id);
    return status;
}

/* A whole transaction: change() for a run that exists. */
static enum vq_status edit(struct vq_store *store, const char *sql, const char *id,
                           const char *text, size_t len, bool *changed, struct vq_err *err)
{
    enum vq_run_status ignored;
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = vq_store_status(store, id, &ignored, err);
    if (status == VQ_OK)
        status = change(store, sql, id, text, len, err);
    if (status == VQ_OK && changed)
        *changed = vq_db_changes(store->db) > 0;
    return vq_db_end(store->db, status, err);
}

enum vq_status vq_store_tag(struct vq_store *store, const char *id, const char *tag, bool *changed,
                            struct vq_err *err)
{
    enum vq_status status = check_tag(tag, err);
    if (status != VQ_OK)
        return status;
    return edit(store, "INSERT INTO tags(run, tag) VALUES(?1, ?2) ON CONFLICT DO NOTHING", id, tag,
                strlen(tag), changed, err);
}

enum vq_status vq_store_untag(struct vq_store *store, const char *id, const char *tag,
                              bool *changed, struct vq_err *err)
{
    enum vq_status status = check_tag(tag, err);
    if (status != VQ_OK)
        return status;
    return edit(store, "DELETE FROM tags WHERE run = ?1 AND tag = ?2", id, tag, strlen(tag),
                changed, err);
}

enum vq_status vq_store_note_add(struct vq_store *store, const char *id, const char *text,
                                 size_t len, struct vq_err *err)
{
    if (!text || len == 0)
        return vq_fail(err, VQ_EINVAL, "the note is empty");
    return edit(store, "INSERT INTO notes(run, text, time) VALUES(?1, ?2, ?3)", id, text, len, NULL,
                err);
}

enum vq_status vq_store_note_set(struct vq_store *store, const char *id, size_t n, const char *text,
                                 size_t len, struct vq_err *err)
{
    struct vq_stmt *s = NULL;
    bool row = false;
    int64_t at = 0;
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = vq_stmt_prepare(
        &s, store->db, "SELECT rowid FROM notes WHERE run = ?1 ORDER BY rowid LIMIT 1 OFFSET ?2",
        err);
    if (status == VQ_OK) {
        vq_stmt_text(s, 1, id);
        vq_stmt_int(s, 2, n > 0 && n < INT64_MAX ? (int64_t)n - 1 : INT64_MAX);
        status = vq_stmt_step(s, &row, err);
        at = vq_column_int(s, 0);
    }
    vq_stmt_free(s);
    s = NULL;
    if (status == VQ_OK && !row)
        status = vq_fail(err, VQ_ENOTFOUND, "run %s has no note %zu", id, n);
    if (status == VQ_OK)
        status = vq_stmt_prepare(&s, store->db,
                                 len ? "UPDATE notes SET text = ?2 WHERE rowid = ?1"
                                     : "DELETE FROM notes WHERE rowid = ?1",
                                 err);
    if (status == VQ_OK) {
        vq_stmt_int(s, 1, at);
        if (len)
            vq_stmt_bytes(s, 2, text, len);
        status = vq_stmt_run(s, err);
    }
    vq_stmt_free(s);
    return vq_db_end(store->db, status, err);
}

enum vq_status vq_store_rename(struct vq_store *store, const char *id, const char *name, size_t len,
                               struct vq_err *err)
{
    if (len && memchr(name, '\0', len))
        return vq_fail(err, VQ_EINVAL, "a run's name cannot hold a NUL byte");
    return edit(store,
                len ? "UPDATE runs SET name = ?2 WHERE id = ?1"
                    : "UPDATE runs SET name = NULL WHERE id = ?1",
                id, len ? name : NULL, len, NULL, err);
}
