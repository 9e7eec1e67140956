/*
 * Editing the notebook after the fact: tags, notes, removal.
 */
#include <ctype.h>
#include <string.h>

#include "core/store/internal.h"

#define TAG_MAX 64

static enum vq_status check_tag(const char *tag, struct vq_err *err)
{
    size_t len = tag ? strlen(tag) : 0;
    if (len == 0 || len > TAG_MAX)
        return vq_fail(err, VQ_EINVAL, "a tag has 1 to %d bytes, found %zu", TAG_MAX, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)tag[i];
        if (c <= ' ' || c == ',' || c == 0x7f)
            return vq_fail(err, VQ_EINVAL,
                           "'%s': a tag holds no white space, commas or control characters", tag);
    }
    return VQ_OK;
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

/* Inside a transaction: the run's status. */
static enum vq_status look_up(struct vq_store *store, const char *id, enum vq_run_status *out,
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
    status = look_up(store, id, &ignored, err);
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

enum vq_status vq_store_remove(struct vq_store *store, const char *id, bool force,
                               struct vq_err *err)
{
    enum vq_run_status how;
    enum vq_status status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    status = look_up(store, id, &how, err);
    if (status == VQ_OK && how == VQ_RUN_RUNNING && !force)
        status = vq_fail(err, VQ_EINVAL, "run %s is still running; interrupt it first", id);
    if (status == VQ_OK)
        status = change(store, "DELETE FROM runs WHERE id = ?1", id, NULL, 0, err);
    return vq_db_end(store->db, status, err);
}
