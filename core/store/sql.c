/*
 * Queries that people type, on a second connection that can only read, so that nothing typed can
 * touch the notebook or a transaction in progress on the first.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/internal.h"

static enum vq_status open_reader(struct vq_store *store, struct vq_err *err)
{
    struct vq_db *db;
    enum vq_status status = vq_db_own_process(store->db, err);
    if (status != VQ_OK || store->reader)
        return status;
    status = vq_db_open(&db, store->path, store->immutable ? VQ_DB_IMMUTABLE : VQ_DB_READ,
                        store->busy_ms, err);
    if (status != VQ_OK)
        return status;
    status = vq_db_exec(db, VQ_DB_CACHE, err);
    if (status == VQ_OK)
        status = vq_db_guard(db, err);
    if (status != VQ_OK)
        vq_db_close(db);
    else
        store->reader = db;
    return status;
}

/* The row in progress. */
struct row {
    int columns;
    const char **names;
    struct vq_value *values;
};

/* Names are asked for after the first step only: it may compile the statement anew. */
static enum vq_status start_rows(struct row *r, struct vq_stmt *s, struct vq_err *err)
{
    r->columns = vq_stmt_columns(s);
    r->names = vq_calloc((size_t)r->columns, sizeof(*r->names));
    r->values = vq_calloc((size_t)r->columns, sizeof(*r->values));
    if (!r->names || !r->values)
        return vq_nomem(err, "query", (size_t)r->columns, sizeof(*r->values));
    for (int i = 0; i < r->columns; i++)
        r->names[i] = vq_stmt_name(s, i);
    return VQ_OK;
}

static enum vq_status give_rows(struct vq_stmt *s, struct row *r, vq_query_row row, void *ud,
                                const struct vq_cancel *cancel, struct vq_err *err)
{
    bool more = false;
    enum vq_status status = vq_stmt_step(s, &more, err);
    if (status == VQ_OK)
        status = start_rows(r, s, err);
    if (status != VQ_OK || !row(ud, r->columns, r->names, NULL))
        return status;
    while (status == VQ_OK && more) {
        for (int i = 0; i < r->columns; i++)
            r->values[i] = vq_column(s, i);
        if (!row(ud, r->columns, r->names, r->values))
            break;
        /* SQLite polls by its own work only; showing a row may take longer. */
        if (vq_cancelled(cancel))
            return vq_fail(err, VQ_ECANCELLED, "cancelled");
        status = vq_stmt_step(s, &more, err);
    }
    return status;
}

static void bind_value(struct vq_stmt *s, int i, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        vq_stmt_text(s, i, NULL);
        break;
    case VQ_VALUE_INT:
        vq_stmt_int(s, i, v->i);
        break;
    case VQ_VALUE_REAL:
        vq_stmt_real(s, i, v->d);
        break;
    case VQ_VALUE_TEXT:
        vq_stmt_bytes(s, i, v->text, v->len);
        break;
    case VQ_VALUE_BLOB:
        vq_stmt_blob(s, i, v->text, v->len);
        break;
    }
}

static enum vq_status bind_parameters(struct vq_stmt *s, const struct vq_parameter *given, size_t n,
                                      struct vq_err *err)
{
    for (int i = 1; i <= vq_stmt_parameters(s); i++) {
        const char *name = vq_stmt_parameter(s, i);
        size_t at = 0;
        if (!name || name[0] == '?')
            return vq_fail(err, VQ_EINVAL,
                           "a bare '?' cannot be given a value: name it, as in :name");
        while (at < n && strcmp(given[at].name, name + 1) != 0)
            at++;
        if (at == n)
            return vq_fail(err, VQ_EINVAL, "%s has no value: 'param %s VALUE' gives it one", name,
                           name + 1);
        bind_value(s, i, &given[at].value);
    }
    return VQ_OK;
}

enum vq_status vq_store_query(struct vq_store *store, const char *sql, vq_query_row row, void *ud,
                              const struct vq_cancel *cancel, int *offset, struct vq_err *err)
{
    return vq_store_query_with(store, sql, NULL, 0, row, ud, cancel, offset, err);
}

enum vq_status vq_store_query_with(struct vq_store *store, const char *sql,
                                   const struct vq_parameter *parameters, size_t n,
                                   vq_query_row row, void *ud, const struct vq_cancel *cancel,
                                   int *offset, struct vq_err *err)
{
    struct row r = {0};
    struct vq_stmt *s = NULL;
    int where = -1;
    enum vq_status status = open_reader(store, err);
    if (status == VQ_OK) {
        vq_db_cancel(store->reader, cancel);
        status = vq_stmt_typed(&s, store->reader, sql, &where, err);
    }
    if (status == VQ_OK)
        status = bind_parameters(s, parameters, n, err);
    if (status == VQ_OK)
        status = give_rows(s, &r, row, ud, cancel, err);
    vq_stmt_free(s);
    if (store->reader)
        vq_db_cancel(store->reader, NULL);
    free(r.names);
    free(r.values);
    if (offset)
        *offset = where;
    return status;
}

enum vq_status vq_store_columns(struct vq_store *store, vq_column_row row, void *ud,
                                struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(
        &s, store->db,
        "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite%'"
        " ORDER BY m.type, m.rowid, c.cid",
        err);
    if (status != VQ_OK)
        return status;
    bool more = false;
    while ((status = vq_stmt_step(s, &more, err)) == VQ_OK && more)
        if (!row(ud, vq_column_text(s, 0), vq_column_text(s, 1), vq_column_text(s, 2)))
            break;
    vq_stmt_free(s);
    return status;
}
