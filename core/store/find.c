/*
 * Which run a person means: an id or the beginning of one, a name, or how far from the newest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/internal.h"

/* Runs `sql` with ?1 = arg; one row: its id; several: an error that names them. *found says
 * whether there was any. */
static enum vq_status pick(struct vq_store *store, const char *sql, const char *arg,
                           const char *what, char id[VQ_RUN_ID_SIZE], bool *found,
                           struct vq_err *err)
{
    struct vq_stmt *s;
    *found = false;
    enum vq_status status = vq_stmt_prepare(&s, store->db, sql, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, arg);
    char names[128] = "";
    size_t used = 0, n = 0;
    bool row = false;
    while ((status = vq_stmt_step(s, &row, err)) == VQ_OK && row) {
        if (n++ == 0)
            snprintf(id, VQ_RUN_ID_SIZE, "%s", vq_column_text(s, 0));
        if (n <= 5)
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%.20s",
                                     n > 1 ? ", " : "", vq_column_text(s, 0));
    }
    vq_stmt_free(s);
    *found = n > 0;
    if (status == VQ_OK && n > 1)
        status = vq_fail(err, VQ_EINVAL, "'%s' is %s %zu runs: %s%s; give a whole id", arg, what, n,
                         names, n > 5 ? ", ..." : "");
    return status;
}

static enum vq_status find_from_end(struct vq_store *store, const char *selector,
                                    char id[VQ_RUN_ID_SIZE], struct vq_err *err)
{
    char *end;
    unsigned long back = strtoul(selector + 1, &end, 10);
    if (*end || back == 0 || strlen(selector) > 10)
        return vq_fail(err, VQ_EINVAL,
                       "'%s': expected -1 for the newest run, -2 for the one "
                       "before, ...",
                       selector);
    struct vq_stmt *s;
    bool row = false;
    enum vq_status status =
        vq_stmt_prepare(&s, store->db,
                        "SELECT id FROM runs WHERE removed_at IS NULL"
                        " ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET ?1",
                        err);
    if (status != VQ_OK)
        return status;
    vq_stmt_int(s, 1, (int64_t)back - 1);
    status = vq_stmt_step(s, &row, err);
    if (status == VQ_OK && row)
        snprintf(id, VQ_RUN_ID_SIZE, "%s", vq_column_text(s, 0));
    vq_stmt_free(s);
    int64_t have = 0;
    if (status == VQ_OK && !row)
        status =
            vq_db_int(store->db, "SELECT count(*) FROM runs WHERE removed_at IS NULL", &have, err);
    if (status == VQ_OK && !row)
        status = vq_fail(err, VQ_ENOTFOUND, "there is no run %s: %lld are recorded", selector,
                         (long long)have);
    return status;
}

struct way {
    const char *sql, *what;
};

/* Ids end in digits and lower-case letters, so '{' bounds every continuation. */
#define WAYS(which)                                                                                \
    {                                                                                              \
        {"SELECT id FROM runs WHERE id = lower(?1) AND removed_at IS " which, "the id of"},        \
            {"SELECT id FROM runs WHERE name = ?1 AND removed_at IS " which                        \
             " ORDER BY started_at DESC",                                                          \
             "the name of"},                                                                       \
        {                                                                                          \
            "SELECT id FROM runs WHERE id >= lower(?1) AND id < lower(?1) || '{'"                  \
            " AND removed_at IS " which,                                                           \
                "the beginning of the ids of"                                                      \
        }                                                                                          \
    }
enum { N_WAYS = 3 };
static const struct way shown_ways[N_WAYS] = WAYS("NULL"), removed_ways[N_WAYS] = WAYS("NOT NULL");

static enum vq_status search(struct vq_store *store, const struct way *ways, const char *selector,
                             char id[VQ_RUN_ID_SIZE], bool *found, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    *found = false;
    for (size_t i = 0; i < N_WAYS && status == VQ_OK && !*found; i++)
        status = pick(store, ways[i].sql, selector, ways[i].what, id, found, err);
    return status;
}

enum vq_status vq_store_find(struct vq_store *store, const char *selector, char id[VQ_RUN_ID_SIZE],
                             struct vq_err *err)
{
    bool found, removed;
    char gone[VQ_RUN_ID_SIZE];
    id[0] = '\0';
    if (!selector || !selector[0])
        return vq_fail(err, VQ_EINVAL,
                       "expected a run: its id, the beginning of it, its name, "
                       "or -1 for the newest");
    if (selector[0] == '-' && selector[1] >= '0' && selector[1] <= '9')
        return find_from_end(store, selector, id, err);
    enum vq_status status = search(store, shown_ways, selector, id, &found, err);
    if (status != VQ_OK || found)
        return status;
    status = search(store, removed_ways, selector, gone, &removed, NULL);
    if (status == VQ_OK && removed)
        return vq_fail(err, VQ_ENOTFOUND, "run %s was removed; 'undo %s' brings it back", gone,
                       gone);
    return vq_fail(err, VQ_ENOTFOUND, "no run has the id or the name '%s'", selector);
}

enum vq_status vq_store_find_removed(struct vq_store *store, const char *selector,
                                     char id[VQ_RUN_ID_SIZE], struct vq_err *err)
{
    bool found;
    id[0] = '\0';
    enum vq_status status = search(store, removed_ways, selector, id, &found, err);
    if (status == VQ_OK && !found)
        status = vq_fail(err, VQ_ENOTFOUND, "no removed run has the id or the name '%s'", selector);
    return status;
}
