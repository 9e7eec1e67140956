/*
 * Exports: which columns there are, and how one run after the other is written.
 */
#include <stdio.h>
#include <string.h>

#include "core/store/columns.h"
#include "core/store/internal.h"
#include "core/store/jsonin.h"
#include "core/store/rows.h"

static const struct vq_dump_column run_columns[] = {
    {"id", VQ_DUMP_TEXT, "id", true},
    {"name", VQ_DUMP_TEXT, "name", false},
    {"command", VQ_DUMP_TEXT, "command", true},
    {"command_line", VQ_DUMP_TEXT, "command_line", false},
    {"status", VQ_DUMP_TEXT, "status", true},
    {"error", VQ_DUMP_TEXT, "error", false},
    {"started_at", VQ_DUMP_TIME, "started_at", true},
    {"ended_at", VQ_DUMP_TIME, "ended_at", false},
    {"model_name", VQ_DUMP_TEXT, "model_name", false},
    {"model_path", VQ_DUMP_TEXT, "model_path", false},
    {"model_sha256", VQ_DUMP_TEXT, "model_sha256", false},
    {"seed", VQ_DUMP_SEED, "seed", false},
    {"threads", VQ_DUMP_INT, "threads", false},
    {"version", VQ_DUMP_TEXT, "version", false},
    {"host", VQ_DUMP_TEXT, "host", false},
    {"boot_id", VQ_DUMP_TEXT, "boot_id", false},
    {"pid", VQ_DUMP_INT, "pid", false},
    {"pid_start", VQ_DUMP_INT, "pid_start", false},
    {"cwd", VQ_DUMP_TEXT, "cwd", false},
    {"config", VQ_DUMP_ANY_JSON, "config", false},
    {"settings", VQ_DUMP_ANY_JSON, "settings", false},
    {"tags", VQ_DUMP_TAGS, NULL, false},
    {"notes", VQ_DUMP_NOTES, NULL, false},
    {"results", VQ_DUMP_RESULTS, NULL, false},
};
static const struct vq_dump_column metric_columns[] = {
    {"run", VQ_DUMP_TEXT, "m.run", true},   {"metric", VQ_DUMP_TEXT, "n.name", true},
    {"step", VQ_DUMP_INT, "m.step", true},  {"seq", VQ_DUMP_INT, "m.seq", true},
    {"time", VQ_DUMP_TIME, "m.time", true}, {"value", VQ_DUMP_REAL, "m.value, m.kind", true},
};
static const struct vq_dump_column sample_columns[] = {
    {"run", VQ_DUMP_TEXT, "run", true},
    {"index", VQ_DUMP_INT, "idx", true},
    {"seed", VQ_DUMP_SEED, "seed", true},
    {"tokens", VQ_DUMP_INT, "tokens", true},
    {"nats", VQ_DUMP_REAL, "nats, nats_kind", true},
    {"path", VQ_DUMP_TEXT, "path", false},
    {"text", VQ_DUMP_BLOB, "text", false},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
const struct vq_dump_table vq_dump_tables[3] = {
    {"runs", run_columns, COUNT(run_columns), "runs WHERE id = ?1", "command"},
    {"metrics", metric_columns, COUNT(metric_columns),
     "metrics m JOIN metric_names n ON n.id = m.name WHERE m.run = ?1"
     " ORDER BY m.name, m.step, m.seq",
     "metric"},
    {"samples", sample_columns, COUNT(sample_columns), "samples WHERE run = ?1 ORDER BY rowid",
     "index"},
};

struct dumping {
    struct vq_store *store;
    const struct vq_dump_table *table;
    struct vq_stmt *rows; /* of one run */
    struct vq_rowout out;
    struct vq_text part; /* tags, notes, results as JSON */
    const struct vq_cancel *cancel;
    enum vq_status status;
    struct vq_err *err;
};

/* ---- what belongs to a run, as JSON ---- */

/* A real looks like one: 1 would come back as a whole number. */
static void put_real(struct vq_text *to, double v)
{
    size_t from = to->len;
    if (v - v != 0) { /* not finite */
        vq_text_puts(to, "{\"real\":");
        vq_text_json_f64(to, v);
        vq_text_puts(to, "}");
        return;
    }
    vq_text_json_f64(to, v);
    if (!to->failed && !strpbrk(to->data + from, ".eE"))
        vq_text_puts(to, ".0");
}

static bool put_result(void *ud, const char *key, const struct vq_value *v)
{
    struct vq_text *to = ud;
    vq_text_puts(to, to->len > 1 ? "," : "");
    vq_text_json_string(to, key, strlen(key));
    vq_text_puts(to, ":");
    if (v->kind == VQ_VALUE_INT)
        vq_text_printf(to, "%lld", (long long)v->i);
    else if (v->kind == VQ_VALUE_REAL)
        put_real(to, v->d);
    else
        vq_json_put_bytes(to, v->text, v->len);
    return true;
}

static bool put_note(void *ud, double time, const char *text, size_t len)
{
    struct vq_text *to = ud;
    vq_text_puts(to, to->len > 1 ? ",{\"time\":" : "{\"time\":");
    vq_text_json_f64(to, time);
    vq_text_puts(to, ",\"text\":");
    vq_json_put_bytes(to, text, len);
    vq_text_puts(to, "}");
    return true;
}

/* Tags hold no commas. */
static void put_tags(struct vq_text *to, const char *joined)
{
    while (*joined) {
        size_t n = strcspn(joined, ",");
        vq_text_puts(to, to->len > 1 ? "," : "");
        vq_json_put_bytes(to, joined, n);
        joined += n + (joined[n] == ',');
    }
}

static enum vq_status list_tags(struct dumping *d, const char *id)
{
    struct vq_stmt *s;
    bool row = false;
    enum vq_status status = vq_store_stmt(
        d->store,
        "SELECT group_concat(tag, ',') FROM (SELECT tag FROM tags WHERE run = ?1 ORDER BY tag)", &s,
        d->err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    status = vq_stmt_step(s, &row, d->err);
    if (status == VQ_OK)
        put_tags(&d->part, vq_column_text(s, 0));
    vq_store_stmt_done(d->store, s);
    return status;
}

static enum vq_status write_part(struct dumping *d, enum vq_dump_type type, const char *id)
{
    enum vq_status status;
    bool list = type != VQ_DUMP_RESULTS;
    d->part.len = 0;
    vq_text_puts(&d->part, list ? "[" : "{");
    if (type == VQ_DUMP_TAGS)
        status = list_tags(d, id);
    else if (type == VQ_DUMP_NOTES)
        status = vq_store_notes(d->store, id, put_note, &d->part, d->err);
    else
        status = vq_store_results(d->store, id, put_result, &d->part, d->err);
    vq_text_puts(&d->part, list ? "]" : "}");
    if (d->part.failed)
        return vq_fail(d->err, VQ_ENOMEM, "out of memory for a run");
    vq_rowout_json(&d->out, d->part.data, d->part.len);
    return status;
}

/* ---- rows ---- */

/* A JSON text goes out as it is where it is an object; else as the text that it is. */
static void write_json(struct dumping *d, const struct vq_value *v)
{
    struct vq_jsonin in;
    const char *span;
    size_t len;
    vq_jsonin_init(&in, v->text, v->len);
    if (v->len && v->text[0] == '{' && vq_jsonin_span(&in, &span, &len) && vq_jsonin_end(&in))
        vq_rowout_json(&d->out, v->text, v->len);
    else
        vq_rowout_text(&d->out, v->text, v->len);
}

/* The cell of SQL column i; returns how many SQL columns it took. */
static int write_cell(struct dumping *d, enum vq_dump_type type, int i)
{
    struct vq_value v = vq_column(d->rows, i);
    char digits[24];
    if (type == VQ_DUMP_REAL) {
        vq_rowout_real(&d->out, vq_real_of(d->rows, vq_column_text(d->rows, i + 1), i));
        return 2;
    }
    if (v.kind == VQ_VALUE_NULL) {
        vq_rowout_null(&d->out);
    } else if (type == VQ_DUMP_INT) {
        snprintf(digits, sizeof(digits), "%lld", (long long)vq_column_int(d->rows, i));
        vq_rowout_digits(&d->out, digits);
    } else if (type == VQ_DUMP_SEED) {
        vq_rowout_digits(&d->out, vq_column_text(d->rows, i));
    } else if (type == VQ_DUMP_TIME) {
        vq_rowout_real(&d->out, vq_column_real(d->rows, i));
    } else if (type == VQ_DUMP_ANY_JSON) {
        write_json(d, &v);
    } else {
        vq_rowout_text(&d->out, v.text ? v.text : "", v.len);
    }
    return 1;
}

static enum vq_status write_row(struct dumping *d, const char *id)
{
    enum vq_status status = VQ_OK;
    int at = 0;
    for (size_t i = 0; status == VQ_OK && i < d->table->n; i++) {
        const struct vq_dump_column *c = &d->table->columns[i];
        if (c->sql)
            at += write_cell(d, c->type, at);
        else
            status = write_part(d, c->type, id);
    }
    return status == VQ_OK ? vq_rowout_end_row(&d->out, d->err) : status;
}

static bool write_run(void *ud, const char *id, const struct vq_value *values)
{
    struct dumping *d = ud;
    bool more = false;
    size_t n = 0;
    (void)values;
    vq_stmt_reset(d->rows);
    vq_stmt_text(d->rows, 1, id);
    while ((d->status = vq_stmt_step(d->rows, &more, d->err)) == VQ_OK && more) {
        d->status = write_row(d, id);
        if (d->status == VQ_OK && ++n % 1024 == 0 && vq_cancelled(d->cancel))
            d->status = vq_fail(d->err, VQ_ECANCELLED, "cancelled");
        if (d->status != VQ_OK)
            return false;
    }
    return d->status == VQ_OK;
}

static enum vq_status prepare(struct dumping *d)
{
    struct vq_text sql = {0};
    vq_text_puts(&sql, "SELECT ");
    for (size_t i = 0, n = 0; i < d->table->n; i++)
        if (d->table->columns[i].sql)
            vq_text_printf(&sql, "%s%s", n++ ? ", " : "", d->table->columns[i].sql);
    vq_text_printf(&sql, " FROM %s", d->table->from);
    enum vq_status status = sql.failed ? vq_fail(d->err, VQ_ENOMEM, "out of memory for a query")
                                       : vq_stmt_prepare(&d->rows, d->store->db, sql.data, d->err);
    vq_text_release(&sql);
    return status;
}

enum vq_status vq_store_export(struct vq_store *store, const struct vq_dump *dump, const char *path,
                               size_t *rows, struct vq_listing_place *place, struct vq_err *err)
{
    static const char *const oldest_first[] = {"started", "id"};
    struct dumping d = {
        .store = store, .table = &vq_dump_tables[dump->kind], .cancel = dump->cancel, .err = err};
    const struct vq_listing listing = {.filter = dump->filter, .sort = oldest_first, .n_sort = 2};
    const char *names[32];
    for (size_t i = 0; i < d.table->n; i++)
        names[i] = d.table->columns[i].name;
    *rows = 0;
    *place = (struct vq_listing_place){0};
    enum vq_status status = prepare(&d);
    if (status == VQ_OK)
        status = vq_rowout_open(&d.out, path, dump->format, names, d.table->n, err);
    if (status == VQ_OK) {
        status = vq_store_list(store, &listing, write_run, &d, NULL, place, dump->cancel, err);
        status = status == VQ_OK ? d.status : status;
        *rows = d.out.rows;
        if (status == VQ_OK)
            status = vq_rowout_commit(&d.out, err);
        else
            vq_rowout_abort(&d.out);
    }
    vq_stmt_free(d.rows);
    vq_text_release(&d.part);
    return status;
}
