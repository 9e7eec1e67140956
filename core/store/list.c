/*
 * Listing runs by attributes: the query is put together from the columns, the filter and the sort
 * keys that were asked for, with every word of the user's bound.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/filter.h"
#include "core/store/internal.h"

struct listing {
    struct vq_store *store;
    const struct vq_listing *l;
    double now;
    struct vq_listing_place place;
    struct vq_attr *columns;
    struct vq_err *err;
};

static enum vq_status find_columns(struct listing *g)
{
    enum vq_status status = VQ_OK;
    g->columns = vq_calloc(g->l->n_columns + 1, sizeof(*g->columns));
    if (!g->columns)
        return vq_nomem(g->err, "columns", g->l->n_columns, sizeof(*g->columns));
    for (size_t i = 0; status == VQ_OK && i < g->l->n_columns; i++) {
        const char *name = g->l->columns[i];
        status = vq_attr_find(g->store, name, strlen(name), &g->columns[i], g->err);
        if (status != VQ_OK)
            g->place = (struct vq_listing_place){.part = VQ_LISTING_COLUMN, .index = i};
    }
    return status;
}

static bool has_filter(const struct listing *g)
{
    const char *filter = g->l->filter;
    return filter && filter[strspn(filter, " \t\r\n")] != '\0';
}

/* " FROM runs r WHERE ...": what listing and counting have in common. */
static enum vq_status put_where(struct listing *g, struct vq_sql *q)
{
    size_t at = 0;
    vq_text_puts(&q->sql, " FROM runs r WHERE r.removed_at IS ");
    vq_text_puts(&q->sql, g->l->removed ? "NOT NULL" : "NULL");
    if (!has_filter(g))
        return VQ_OK;
    vq_text_puts(&q->sql, " AND ");
    enum vq_status status = vq_filter_compile(g->store, g->l->filter, g->now, q, &at, g->err);
    if (status != VQ_OK)
        g->place = (struct vq_listing_place){.part = VQ_LISTING_FILTER, .at = at};
    return status;
}

/* The sort keys, then what tells runs apart that are equal in them. */
static enum vq_status put_keys(struct listing *g, struct vq_sql *q)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && i < g->l->n_sort; i++) {
        const char *name = g->l->sort[i];
        bool down = name[0] == '-';
        struct vq_attr a;
        name += down;
        status = vq_attr_find(g->store, name, strlen(name), &a, g->err);
        if (status != VQ_OK) {
            g->place = (struct vq_listing_place){VQ_LISTING_SORT, i, down};
            continue;
        }
        if (a.kind == VQ_ATTR_SEED) { /* decimal texts: by length, then by text */
            vq_text_puts(&q->sql, "length(");
            vq_attr_value(&a, q);
            vq_text_puts(&q->sql, down ? ") DESC NULLS LAST, " : ") NULLS LAST, ");
        }
        vq_attr_value(&a, q);
        vq_text_puts(&q->sql, down ? " DESC NULLS LAST, " : " NULLS LAST, ");
    }
    vq_text_puts(&q->sql, "r.started_at DESC, r.id DESC");
    return status;
}

static void put_limit(struct listing *g, struct vq_sql *q)
{
    vq_text_puts(&q->sql, " LIMIT ");
    vq_sql_int(q, g->l->limit && g->l->limit < INT64_MAX ? (int64_t)g->l->limit : -1);
}

/*
 * FROM and all that follows. Newest first, an index gives the runs in order. Else a first query
 * finds which runs they are, their places and how many there are, looking at nothing but filter and
 * keys; the columns are made for the runs that are shown alone.
 */
static enum vq_status put_rest(struct listing *g, bool in_order, struct vq_sql *q)
{
    enum vq_status status = VQ_OK;
    if (in_order) {
        status = put_where(g, q);
        vq_text_puts(&q->sql, " ORDER BY ");
        if (status == VQ_OK)
            status = put_keys(g, q);
        put_limit(g, q);
        return status;
    }
    vq_text_puts(&q->sql, " FROM (SELECT r.rowid AS rid, count(*) OVER () AS total,"
                          " row_number() OVER (ORDER BY ");
    status = put_keys(g, q);
    vq_text_puts(&q->sql, ") AS place");
    if (status == VQ_OK)
        status = put_where(g, q);
    vq_text_puts(&q->sql, " ORDER BY place");
    put_limit(g, q);
    vq_text_puts(&q->sql, ") f CROSS JOIN runs r ON r.rowid = f.rid ORDER BY f.place");
    return status;
}

static enum vq_status count(struct listing *g, size_t *total)
{
    struct vq_sql q = {0};
    struct vq_stmt *s = NULL;
    bool row = false;
    vq_text_puts(&q.sql, "SELECT count(*)");
    enum vq_status status = put_where(g, &q);
    if (status == VQ_OK)
        status = vq_sql_prepare(&q, g->store->db, &s, g->err);
    if (status == VQ_OK)
        status = vq_stmt_step(s, &row, g->err);
    if (status == VQ_OK)
        *total = (size_t)vq_column_int(s, 0);
    vq_stmt_free(s);
    vq_sql_release(&q);
    return status;
}

/* The id, the total where it is known, and two SQL columns for each of ours: the kind that says
 * what a NULL is, and the value. */
static enum vq_status prepare(struct listing *g, struct vq_stmt **s)
{
    struct vq_sql q = {0};
    bool in_order = g->l->n_sort == 0;
    vq_text_puts(&q.sql, in_order ? "SELECT r.id, -1" : "SELECT r.id, f.total");
    for (size_t i = 0; i < g->l->n_columns; i++) {
        vq_text_puts(&q.sql, ", ");
        vq_attr_value_kind(&g->columns[i], &q);
        vq_text_puts(&q.sql, ", ");
        vq_attr_value(&g->columns[i], &q);
    }
    enum vq_status status = put_rest(g, in_order, &q);
    if (status == VQ_OK)
        status = vq_sql_prepare(&q, g->store->db, s, g->err);
    vq_sql_release(&q);
    return status;
}

/* *total is how many runs there are, -1 while that is not known. */
static enum vq_status give_rows(struct listing *g, struct vq_stmt *s, vq_listing_row row, void *ud,
                                int64_t *total, const struct vq_cancel *cancel)
{
    bool more = false;
    size_t n = 0;
    *total = -1;
    enum vq_status status;
    struct vq_value *values = vq_calloc(g->l->n_columns + 1, sizeof(*values));
    if (!values)
        return vq_nomem(g->err, "columns", g->l->n_columns, sizeof(*values));
    while ((status = vq_stmt_step(s, &more, g->err)) == VQ_OK && more) {
        for (size_t i = 0; i < g->l->n_columns; i++) {
            const char *kind = vq_column_text(s, 2 + 2 * (int)i);
            values[i] = vq_column(s, 3 + 2 * (int)i);
            if (strcmp(kind, "nan") == 0)
                values[i] = (struct vq_value){.kind = VQ_VALUE_REAL, .d = vq_real_of(s, kind, 0)};
        }
        n++;
        *total = vq_column_int(s, 1);
        if (!row(ud, vq_column_text(s, 0), values))
            break;
        if (vq_cancelled(cancel)) {
            status = vq_fail(g->err, VQ_ECANCELLED, "cancelled");
            break;
        }
    }
    if (!more && (g->l->limit == 0 || n < g->l->limit))
        *total = (int64_t)n;
    free(values);
    return status;
}

enum vq_status vq_store_list(struct vq_store *store, const struct vq_listing *listing,
                             vq_listing_row row, void *ud, size_t *total,
                             struct vq_listing_place *place, const struct vq_cancel *cancel,
                             struct vq_err *err)
{
    struct listing g = {.store = store, .l = listing, .err = err};
    struct vq_stmt *s = NULL;
    int64_t known = -1;
    g.now = listing->now > 0 ? listing->now : vq_store_now();
    /* One read transaction, so that "n of N" is true. */
    enum vq_status status = vq_db_exec(store->db, "SAVEPOINT listing", err);
    if (status != VQ_OK)
        return status;
    vq_db_cancel(store->db, cancel);
    status = find_columns(&g);
    if (status == VQ_OK)
        status = prepare(&g, &s);
    if (status == VQ_OK)
        status = give_rows(&g, s, row, ud, &known, cancel);
    if (total)
        *total = known > 0 ? (size_t)known : 0;
    if (status == VQ_OK && total && known < 0)
        status = count(&g, total);
    vq_stmt_free(s);
    vq_db_cancel(store->db, NULL);
    vq_db_exec(store->db, "RELEASE listing", NULL);
    free(g.columns);
    if (place)
        *place = g.place;
    return status;
}

enum vq_column_kind vq_store_column_kind(struct vq_store *store, const char *column)
{
    struct vq_attr a;
    if (vq_attr_find(store, column, strlen(column), &a, NULL) != VQ_OK)
        return VQ_COLUMN_PLAIN;
    return a.kind == VQ_ATTR_TIME   ? VQ_COLUMN_TIME
           : a.kind == VQ_ATTR_SEED ? VQ_COLUMN_SEED
                                    : VQ_COLUMN_PLAIN;
}
