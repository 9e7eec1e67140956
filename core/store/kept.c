/*
 * What is kept: statements that are used again and again (preparing one takes longer than running
 * it), and values beyond the row they came from.
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/store/internal.h"

char *vq_copy_bytes(const char *s, size_t n)
{
    size_t size;
    char *copy = vq_add_ok(n, 1, &size) ? vq_alloc(size, 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

enum vq_status vq_store_stmt(struct vq_store *store, const char *sql, struct vq_stmt **out,
                             struct vq_err *err)
{
    struct vq_kept *place = NULL;
    *out = NULL;
    for (size_t i = 0; i < VQ_KEPT; i++) {
        struct vq_kept *k = &store->kept[i];
        if (!k->sql && !place)
            place = k;
        if (k->sql != sql || k->used)
            continue;
        k->used = true;
        *out = k->stmt;
        return VQ_OK;
    }
    enum vq_status status = vq_stmt_prepare(out, store->db, sql, err);
    if (status == VQ_OK && place)
        *place = (struct vq_kept){sql, *out, true};
    return status;
}

void vq_store_stmt_done(struct vq_store *store, struct vq_stmt *s)
{
    for (size_t i = 0; s && i < VQ_KEPT; i++) {
        if (store->kept[i].stmt != s)
            continue;
        vq_stmt_recycle(s);
        store->kept[i].used = false;
        return;
    }
    vq_stmt_free(s);
}

enum vq_status vq_store_do(struct vq_store *store, const char *sql, const char *a, const char *b,
                           struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_store_stmt(store, sql, &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, a);
    if (b)
        vq_stmt_text(s, 2, b);
    status = vq_stmt_run(s, err);
    vq_store_stmt_done(store, s);
    return status;
}
