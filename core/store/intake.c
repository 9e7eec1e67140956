#include "core/store/intake.h"

#include "core/store/internal.h"

bool vq_is_run_id(const char *s, size_t n)
{
    if (n != VQ_RUN_ID_SIZE - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z')))
            return false;
    return true;
}

bool vq_is_tag(const char *s, size_t n)
{
    if (n == 0 || n > VQ_TAG_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c == ',' || c == 0x7f)
            return false;
    }
    return true;
}

enum vq_status vq_intake_tag(struct vq_store *store, const char *run, const char *tag, size_t len,
                             struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_store_stmt(
        store, "INSERT INTO tags(run, tag) VALUES(?1, ?2) ON CONFLICT DO NOTHING", &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run);
    vq_stmt_bytes(s, 2, tag, len);
    status = vq_stmt_run(s, err);
    vq_store_stmt_done(store, s);
    return status;
}

enum vq_status vq_intake_note(struct vq_store *store, const char *run, double time,
                              const char *text, size_t len, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status =
        vq_store_stmt(store,
                      "INSERT INTO notes(run, time, text) SELECT ?1, ?2, ?3 WHERE NOT EXISTS("
                      "SELECT 1 FROM notes WHERE run = ?1 AND time = ?2 AND text = ?3)",
                      &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run);
    vq_stmt_real(s, 2, time);
    vq_stmt_bytes(s, 3, text, len);
    status = vq_stmt_run(s, err);
    vq_store_stmt_done(store, s);
    return status;
}

enum vq_status vq_intake_result(struct vq_store *store, const char *run, const char *key,
                                const struct vq_value *v, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_store_stmt(
        store, "INSERT INTO results(run, key, kind, value) VALUES(?1, ?2, ?3, ?4)", &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run);
    vq_stmt_text(s, 2, key);
    if (v->kind == VQ_VALUE_INT) {
        vq_stmt_text(s, 3, "int");
        vq_stmt_int(s, 4, v->i);
    } else if (v->kind == VQ_VALUE_REAL) {
        vq_stmt_text(s, 3, vq_real_kind(v->d));
        vq_stmt_real(s, 4, v->d);
    } else {
        vq_stmt_text(s, 3, "text");
        vq_stmt_bytes(s, 4, v->text, v->len);
    }
    status = vq_stmt_run(s, err);
    vq_store_stmt_done(store, s);
    return status;
}
