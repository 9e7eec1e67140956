/*
 * Merging: rows are read from the other database on a connection that can only read, and written to
 * ours in one transaction. Nothing is attached, so neither file depends on the other's journal.
 */
#include <string.h>

#include "core/store/dump.h"
#include "core/store/intake.h"
#include "core/store/internal.h"
#include "core/store/stats.h"

struct merging {
    struct vq_store *to, *from;
    struct vq_intake *out;
    const struct vq_cancel *cancel;
    size_t rows; /* since the last look at cancel */
    struct vq_err *err;
};

#define RUN_FIELDS                                                                                 \
    "id, name, command, command_line, status, error, started_at, ended_at, model_name,"            \
    " model_path, model_sha256, seed, threads, version, host, boot_id, pid, pid_start, cwd,"       \
    " config, settings"
enum { N_FIELDS = 21, STATUS_FIELD = 4, ERROR_FIELD = 5 };

static void bind_value(struct vq_stmt *s, int i, const struct vq_value *v)
{
    if (v->kind == VQ_VALUE_INT)
        vq_stmt_int(s, i, v->i);
    else if (v->kind == VQ_VALUE_REAL)
        vq_stmt_real(s, i, v->d);
    else if (v->kind == VQ_VALUE_TEXT)
        vq_stmt_bytes(s, i, v->text, v->len);
    else if (v->kind == VQ_VALUE_BLOB)
        vq_stmt_blob(s, i, v->text, v->len);
    else
        vq_stmt_text(s, i, NULL);
}

static enum vq_status poll_cancel(struct merging *g)
{
    if (++g->rows % 1024 != 0 || !vq_cancelled(g->cancel))
        return VQ_OK;
    return vq_fail(g->err, VQ_ECANCELLED, "cancelled");
}

/*
 * Copies what `select` (a constant, ?1 = run) gives there to `insert` here, column i to ?i.
 * *added counts what was new.
 */
static enum vq_status copy_rows(struct merging *g, const char *run, const char *select,
                                const char *insert, size_t *added)
{
    struct vq_stmt *in = NULL, *out = NULL;
    bool row = false;
    enum vq_status status = vq_store_stmt(g->from, select, &in, g->err);
    if (status == VQ_OK)
        status = vq_store_stmt(g->to, insert, &out, g->err);
    if (status == VQ_OK)
        vq_stmt_text(in, 1, run);
    while (status == VQ_OK && (status = vq_stmt_step(in, &row, g->err)) == VQ_OK && row) {
        vq_stmt_recycle(out);
        for (int i = 0; i < vq_stmt_columns(in); i++) {
            struct vq_value v = vq_column(in, i);
            bind_value(out, i + 1, &v);
        }
        status = vq_stmt_run(out, g->err);
        if (status == VQ_OK && added)
            *added += (size_t)vq_db_changes(g->to->db);
        if (status == VQ_OK)
            status = poll_cancel(g);
    }
    vq_store_stmt_done(g->from, in);
    vq_store_stmt_done(g->to, out);
    return status;
}

/* Tags and notes, of runs that are known too. */
static enum vq_status copy_remarks(struct merging *g, const char *run)
{
    enum vq_status status =
        copy_rows(g, run, "SELECT run, tag FROM tags WHERE run = ?1",
                  "INSERT INTO tags(run, tag) VALUES(?1, ?2) ON CONFLICT DO NOTHING", NULL);
    if (status == VQ_OK)
        status =
            copy_rows(g, run, "SELECT run, time, text FROM notes WHERE run = ?1 ORDER BY rowid",
                      "INSERT INTO notes(run, time, text) SELECT ?1, ?2, ?3 WHERE NOT EXISTS("
                      "SELECT 1 FROM notes WHERE run = ?1 AND time = ?2 AND text = ?3)",
                      NULL);
    return status;
}

static enum vq_status copy_belongings(struct merging *g, const char *run)
{
    enum vq_status status =
        copy_rows(g, run, "SELECT run, key, kind, value FROM results WHERE run = ?1 ORDER BY rowid",
                  "INSERT INTO results(run, key, kind, value) VALUES(?1, ?2, ?3, ?4)", NULL);
    if (status == VQ_OK)
        status = copy_rows(
            g, run,
            "SELECT run, idx, seed, text, bytes, path, tokens, nats_kind, nats FROM samples"
            " WHERE run = ?1 ORDER BY rowid",
            "INSERT INTO samples(run, idx, seed, text, bytes, path, tokens, nats_kind, nats)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            &g->out->samples);
    if (status == VQ_OK)
        status =
            copy_rows(g, run,
                      "SELECT n.name FROM metric_stats s JOIN metric_names n ON n.id = s.name"
                      " WHERE s.run = ?1",
                      "INSERT INTO metric_names(name) VALUES(?1) ON CONFLICT DO NOTHING", NULL);
    if (status == VQ_OK)
        status = copy_rows(
            g, run,
            "SELECT m.run, n.name, m.step, m.seq, m.time, m.kind, m.value FROM metrics m"
            " JOIN metric_names n ON n.id = m.name WHERE m.run = ?1 ORDER BY m.name, m.step, m.seq",
            "INSERT INTO metrics(run, name, step, seq, time, kind, value)"
            " VALUES(?1, (SELECT id FROM metric_names WHERE name = ?2), ?3, ?4, ?5, ?6, ?7)",
            &g->out->metrics);
    if (status == VQ_OK)
        status = vq_stats_rebuild(g->to->db, run, g->err);
    return status == VQ_OK ? copy_remarks(g, run) : status;
}

/* The run's own row, from the current row of `in`. */
static enum vq_status copy_run(struct merging *g, struct vq_stmt *in)
{
    struct vq_stmt *out;
    enum vq_status status = vq_store_stmt(g->to,
                                          "INSERT INTO runs(" RUN_FIELDS
                                          ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
                                          " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
                                          &out, g->err);
    if (status != VQ_OK)
        return status;
    for (int i = 0; i < N_FIELDS; i++) {
        struct vq_value v = vq_column(in, i);
        bind_value(out, i + 1, &v);
    }
    if (strcmp(vq_column_text(in, STATUS_FIELD), "running") == 0) {
        vq_stmt_text(out, STATUS_FIELD + 1, "crashed");
        vq_stmt_text(out, ERROR_FIELD + 1, VQ_WAS_RUNNING);
    }
    status = vq_stmt_run(out, g->err);
    vq_store_stmt_done(g->to, out);
    return status;
}

enum here { NOT_HERE, HERE, HERE_HALF, HERE_ANOTHER };

/* What we have under the id of the current row of `in`. */
static enum vq_status look_here(struct merging *g, struct vq_stmt *in, enum here *out)
{
    struct vq_stmt *s;
    bool row = false;
    *out = NOT_HERE;
    enum vq_status status = vq_store_stmt(
        g->to, "SELECT started_at, command_line, error FROM runs WHERE id = ?1", &s, g->err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, vq_column_text(in, 0));
    status = vq_stmt_step(s, &row, g->err);
    if (status == VQ_OK && row) {
        bool same = vq_column_real(s, 0) == vq_column_real(in, 6) &&
                    strcmp(vq_column_text(s, 1), vq_column_text(in, 3)) == 0;
        bool half = strcmp(vq_column_text(s, 2), VQ_WAS_RUNNING) == 0 &&
                    strcmp(vq_column_text(in, STATUS_FIELD), "running") != 0 &&
                    strcmp(vq_column_text(in, ERROR_FIELD), VQ_WAS_RUNNING) != 0;
        *out = !same ? HERE_ANOTHER : half ? HERE_HALF : HERE;
    }
    vq_store_stmt_done(g->to, s);
    return status;
}

/* A run that had been copied while it was running, and has ended since. */
static enum vq_status refresh(struct merging *g, const char *run)
{
    enum vq_status status =
        vq_store_do(g->to, "DELETE FROM results WHERE run = ?1", run, NULL, g->err);
    if (status == VQ_OK)
        status = vq_store_do(g->to, "DELETE FROM samples WHERE run = ?1", run, NULL, g->err);
    if (status == VQ_OK)
        status = vq_store_do(g->to, "DELETE FROM metrics WHERE run = ?1", run, NULL, g->err);
    if (status == VQ_OK)
        status = copy_rows(g, run,
                           "SELECT id, status, error, ended_at, model_sha256 FROM runs"
                           " WHERE id = ?1",
                           "UPDATE runs SET status = ?2, error = ?3, ended_at = ?4,"
                           " model_sha256 = ?5 WHERE id = ?1",
                           NULL);
    return status == VQ_OK ? copy_belongings(g, run) : status;
}

static enum vq_status take_run(struct merging *g, struct vq_stmt *in)
{
    const char *run = vq_column_text(in, 0);
    enum here here;
    enum vq_status status = look_here(g, in, &here);
    if (status != VQ_OK)
        return status;
    switch (here) {
    case NOT_HERE:
        g->out->runs++;
        status = copy_run(g, in);
        return status == VQ_OK ? copy_belongings(g, run) : status;
    case HERE:
        g->out->known++;
        return copy_remarks(g, run);
    case HERE_HALF:
        g->out->refreshed++;
        return refresh(g, run);
    case HERE_ANOTHER:
        g->out->conflicts++;
        break;
    }
    return VQ_OK;
}

static enum vq_status take_runs(struct merging *g)
{
    struct vq_stmt *in;
    bool row = false;
    enum vq_status status =
        vq_stmt_prepare(&in, g->from->db,
                        "SELECT " RUN_FIELDS " FROM runs WHERE removed_at IS NULL"
                        " ORDER BY started_at, rowid",
                        g->err);
    if (status != VQ_OK)
        return status;
    while ((status = vq_stmt_step(in, &row, g->err)) == VQ_OK && row)
        if ((status = take_run(g, in)) != VQ_OK)
            break;
    vq_stmt_free(in);
    return status;
}

enum vq_status vq_store_merge(struct vq_store *store, const char *path, struct vq_intake *out,
                              const struct vq_cancel *cancel, struct vq_err *err)
{
    const struct vq_store_options readonly = {.readonly = true};
    struct merging g = {.to = store, .out = out, .cancel = cancel, .err = err};
    *out = (struct vq_intake){0};
    enum vq_status status = vq_store_open(&g.from, path, &readonly, err);
    if (status != VQ_OK)
        return status;
    if (strcmp(vq_store_path(store), vq_store_path(g.from)) == 0)
        status = vq_fail(err, VQ_EINVAL, "%s: is the run database that is open", path);
    /* One read transaction there, one write transaction here. */
    if (status == VQ_OK)
        status = vq_db_exec(g.from->db, "BEGIN", err);
    if (status == VQ_OK) {
        status = vq_store_begin(store, err);
        if (status == VQ_OK)
            status = vq_db_end(store->db, take_runs(&g), err);
        vq_db_exec(g.from->db, "ROLLBACK", NULL);
    }
    vq_store_close(g.from);
    return status;
}
