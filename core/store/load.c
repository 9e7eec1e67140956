/*
 * Imports: rows of a file that vq_store_export() wrote, checked cell by cell, in one transaction.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/columns.h"
#include "core/store/intake.h"
#include "core/store/internal.h"
#include "core/store/jsonin.h"
#include "core/store/rows.h"
#include "core/store/stats.h"

struct loading {
    struct vq_store *store;
    const struct vq_dump_table *table;
    struct vq_rowin *in;
    struct vq_stmt *insert;
    struct vq_intake *out;
    struct vq_text text; /* of the cell being read */
    char run[VQ_RUN_ID_SIZE];
    struct vq_err *err;
};

static enum vq_status wrong(struct loading *g, const char *name, const char *what)
{
    return vq_rowin_fail(g->in, name, g->err, "%s", what);
}

/* ---- cells to values ---- */

static bool whole_number(const char *s, size_t n, int64_t *out)
{
    char digits[24], *end;
    if (n == 0 || n >= sizeof(digits))
        return false;
    memcpy(digits, s, n);
    digits[n] = '\0';
    errno = 0;
    *out = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0' &&
           (digits[0] == '-' || (digits[0] >= '0' && digits[0] <= '9'));
}

static bool is_seed(const char *s, size_t n)
{
    static const char most[] = "18446744073709551615";
    if (n == 0 || n > 20 || strspn(s, "0123456789") < n || (n > 1 && s[0] == '0'))
        return false;
    return n < 20 || memcmp(s, most, 20) <= 0;
}

static bool real_number(const char *s, size_t n, double *out)
{
    static const struct {
        const char *name;
        double value;
    } named[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < 3; i++) {
        if (strlen(named[i].name) == n && memcmp(named[i].name, s, n) == 0) {
            *out = named[i].value;
            return true;
        }
    }
    return vq_text_to_f64(s, n, out);
}

/* The bytes of a text cell go to g->text. */
static enum vq_status text_of(struct loading *g, const char *name, const struct vq_cell *c)
{
    g->text.len = 0;
    vq_text_puts(&g->text, "");
    if (c->kind == VQ_CELL_TEXT) {
        vq_text_put(&g->text, c->data, c->len);
    } else {
        struct vq_jsonin in;
        vq_jsonin_init(&in, c->data, c->len);
        if (!vq_jsonin_bytes(&in, &g->text))
            return wrong(g, name, "expected a text");
    }
    return g->text.failed ? vq_fail(g->err, VQ_ENOMEM, "out of memory for a text") : VQ_OK;
}

/* SQLite itself must be able to read it. */
static enum vq_status check_json(struct loading *g, const char *name, const struct vq_cell *c)
{
    struct vq_stmt *s;
    bool row = false;
    enum vq_status status = vq_store_stmt(g->store, "SELECT json_valid(?1)", &s, g->err);
    if (status != VQ_OK)
        return status;
    vq_stmt_bytes(s, 1, c->data, c->len);
    status = vq_stmt_step(s, &row, g->err);
    bool valid = status == VQ_OK && vq_column_int(s, 0) == 1;
    vq_store_stmt_done(g->store, s);
    return status == VQ_OK && !valid ? wrong(g, name, "expected a JSON object") : status;
}

static enum vq_status bind_number(struct loading *g, struct vq_stmt *s, int i,
                                  const struct vq_dump_column *col, const struct vq_cell *c)
{
    int64_t whole;
    double real;
    switch (col->type) {
    case VQ_DUMP_INT:
        if (!whole_number(c->data, c->len, &whole))
            return wrong(g, col->name, "expected a whole number of 64 bits");
        vq_stmt_int(s, i, whole);
        return VQ_OK;
    case VQ_DUMP_SEED:
        if (!is_seed(c->data, c->len))
            return wrong(g, col->name, "expected a whole number from 0 to 2^64 - 1");
        vq_stmt_bytes(s, i, c->data, c->len);
        return VQ_OK;
    case VQ_DUMP_TIME:
        if (!vq_text_to_f64(c->data, c->len, &real))
            return wrong(g, col->name, "expected seconds since 1970");
        vq_stmt_real(s, i, real);
        return VQ_OK;
    default:
        if (!real_number(c->data, c->len, &real))
            return wrong(g, col->name, "expected a number, NaN, Infinity or -Infinity");
        vq_stmt_real(s, i, real);
        vq_stmt_text(s, i + 1, vq_real_kind(real));
        return VQ_OK;
    }
}

/* Binds one cell to ?i (of a REAL its kind to the next one). */
static enum vq_status bind_cell(struct loading *g, struct vq_stmt *s, int i,
                                const struct vq_dump_column *col)
{
    struct vq_cell c = vq_rowin_cell(g->in, col->name);
    enum vq_status status = VQ_OK;
    if (c.kind == VQ_CELL_NULL)
        return col->required ? wrong(g, col->name, "is missing") : VQ_OK;
    switch (col->type) {
    case VQ_DUMP_TEXT:
    case VQ_DUMP_BLOB:
        status = text_of(g, col->name, &c);
        if (status == VQ_OK && col->type == VQ_DUMP_TEXT)
            vq_stmt_bytes(s, i, g->text.data, g->text.len);
        else if (status == VQ_OK)
            vq_stmt_blob(s, i, g->text.data, g->text.len);
        return status;
    case VQ_DUMP_ANY_JSON:
        status = check_json(g, col->name, &c);
        if (status == VQ_OK)
            vq_stmt_bytes(s, i, c.data, c.len);
        return status;
    default:
        return bind_number(g, s, i, col, &c);
    }
}

static enum vq_status bind_row(struct loading *g)
{
    enum vq_status status = VQ_OK;
    int at = 1;
    vq_stmt_recycle(g->insert);
    for (size_t i = 0; status == VQ_OK && i < g->table->n; i++) {
        const struct vq_dump_column *col = &g->table->columns[i];
        if (!col->sql)
            continue;
        status = bind_cell(g, g->insert, at, col);
        at += col->type == VQ_DUMP_REAL ? 2 : 1;
    }
    return status;
}

/* ---- runs ---- */

static const char insert_run[] =
    "INSERT INTO runs(id, name, command, command_line, status, error, started_at, ended_at,"
    " model_name, model_path, model_sha256, seed, threads, version, host, boot_id, pid, pid_start,"
    " cwd, config, settings) VALUES(?1, ?2, ?3, coalesce(?4, ''),"
    " CASE ?5 WHEN 'running' THEN 'crashed' ELSE ?5 END,"
    " CASE ?5 WHEN 'running' THEN '" VQ_WAS_RUNNING "' ELSE ?6 END,"
    " ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, coalesce(?15, ''), coalesce(?16, ''),"
    " coalesce(?17, 0), coalesce(?18, 0), ?19, ?20, ?21) ON CONFLICT(id) DO NOTHING";

static enum vq_status check_run(struct loading *g)
{
    struct vq_cell id = vq_rowin_cell(g->in, "id"), status = vq_rowin_cell(g->in, "status");
    enum vq_run_status ignored;
    char name[16] = "";
    if (id.kind != VQ_CELL_TEXT || !vq_is_run_id(id.data, id.len))
        return wrong(g, "id", "expected the id of a run, 10 letters and digits");
    memcpy(g->run, id.data, id.len);
    g->run[id.len] = '\0';
    if (status.kind == VQ_CELL_TEXT && status.len < sizeof(name))
        memcpy(name, status.data, status.len);
    if (!vq_run_status_parse(name, &ignored))
        return wrong(g, "status", "expected running, finished, failed, interrupted or crashed");
    return VQ_OK;
}

static enum vq_status add_tags(struct loading *g, struct vq_jsonin *in)
{
    enum vq_status status = VQ_OK;
    for (bool first = vq_jsonin_enter(in, '['); vq_jsonin_next(in, ']', &first);) {
        if (!vq_jsonin_bytes(in, &g->text))
            break;
        if (!vq_is_tag(g->text.data, g->text.len))
            return wrong(g, "tags", "a tag has 1 to 64 bytes, none of them white space or a comma");
        if (status == VQ_OK)
            status = vq_intake_tag(g->store, g->run, g->text.data, g->text.len, g->err);
    }
    return status;
}

/* {"time":T,"text":"..."} */
static enum vq_status add_note(struct loading *g, struct vq_jsonin *in)
{
    const char *number = "";
    size_t len = 0;
    double time;
    bool have = false;
    struct vq_text key = {0};
    for (bool first = vq_jsonin_enter(in, '{'); vq_jsonin_next(in, '}', &first);) {
        if (!vq_jsonin_key(in, &key))
            break;
        bool is_text = key.len == 4 && memcmp(key.data, "text", 4) == 0;
        have = have || is_text;
        if (is_text ? !vq_jsonin_bytes(in, &g->text) : !vq_jsonin_span(in, &number, &len))
            break;
    }
    vq_text_release(&key);
    if (in->why)
        return VQ_OK; /* the caller says it */
    if (!have || !vq_text_to_f64(number, len, &time))
        return wrong(g, "notes", "expected a time and a text");
    return vq_intake_note(g->store, g->run, time, g->text.data, g->text.len, g->err);
}

static enum vq_status add_notes(struct loading *g, struct vq_jsonin *in)
{
    enum vq_status status = VQ_OK;
    for (bool first = vq_jsonin_enter(in, '['); vq_jsonin_next(in, ']', &first);)
        if ((status = add_note(g, in)) != VQ_OK || in->why)
            break;
    return status;
}

/* {"real":"NaN"}, after the '{' was seen; false when it is something else. */
static bool special_real(struct loading *g, struct vq_jsonin *in, double *out)
{
    struct vq_jsonin try = *in;
    if (!vq_jsonin_enter(&try, '{') || !vq_jsonin_key(&try, &g->text) || g->text.len != 4 ||
        memcmp(g->text.data, "real", 4) != 0 || !vq_jsonin_string(&try, &g->text) ||
        !real_number(g->text.data, g->text.len, out) || vq_jsonin_peek(&try) != '}')
        return false;
    try.at++;
    *in = try;
    return true;
}

static enum vq_status add_result(struct loading *g, const char *key, struct vq_jsonin *in)
{
    struct vq_value v = {.kind = VQ_VALUE_REAL};
    const char *span;
    size_t len;
    char c = vq_jsonin_peek(in);
    if (c == '"' || (c == '{' && !special_real(g, in, &v.d))) {
        if (!vq_jsonin_bytes(in, &g->text))
            return VQ_OK;
        v = (struct vq_value){.kind = VQ_VALUE_TEXT, .text = g->text.data, .len = g->text.len};
    } else if (c != '{') {
        if (!vq_jsonin_span(in, &span, &len))
            return VQ_OK;
        bool real = memchr(span, '.', len) || memchr(span, 'e', len) || memchr(span, 'E', len);
        if (!real && whole_number(span, len, &v.i))
            v.kind = VQ_VALUE_INT;
        else if (!real || !vq_text_to_f64(span, len, &v.d))
            return wrong(g, "results", "expected a number of 64 bits or a text");
    }
    return vq_intake_result(g->store, g->run, key, &v, g->err);
}

static enum vq_status add_results(struct loading *g, struct vq_jsonin *in)
{
    struct vq_text key = {0};
    enum vq_status status = VQ_OK;
    for (bool first = vq_jsonin_enter(in, '{'); vq_jsonin_next(in, '}', &first);) {
        if (!vq_jsonin_key(in, &key))
            break;
        if (memchr(key.data, '\0', key.len))
            status = wrong(g, "results", "a key holds a NUL byte");
        if (status == VQ_OK)
            status = add_result(g, key.data, in);
        if (status != VQ_OK || in->why)
            break;
    }
    vq_text_release(&key);
    return status;
}

static enum vq_status add_part(struct loading *g, const struct vq_dump_column *col)
{
    struct vq_cell c = vq_rowin_cell(g->in, col->name);
    struct vq_jsonin in;
    if (c.kind == VQ_CELL_NULL)
        return VQ_OK;
    vq_jsonin_init(&in, c.data, c.len);
    enum vq_status status = col->type == VQ_DUMP_TAGS    ? add_tags(g, &in)
                            : col->type == VQ_DUMP_NOTES ? add_notes(g, &in)
                                                         : add_results(g, &in);
    if (status == VQ_OK && vq_jsonin_end(&in))
        return VQ_OK;
    return status == VQ_OK ? wrong(g, col->name, in.why) : status;
}

static enum vq_status load_run(struct loading *g)
{
    enum vq_status status = check_run(g);
    if (status == VQ_OK)
        status = bind_row(g);
    if (status == VQ_OK)
        status = vq_stmt_run(g->insert, g->err);
    if (status != VQ_OK)
        return status;
    if (vq_db_changes(g->store->db) == 0) {
        g->out->known++;
        return VQ_OK;
    }
    g->out->runs++;
    for (size_t i = 0; status == VQ_OK && i < g->table->n; i++)
        if (!g->table->columns[i].sql)
            status = add_part(g, &g->table->columns[i]);
    return status;
}

/* ---- metrics and samples ---- */

static const char insert_metric[] =
    "INSERT INTO metrics(run, name, step, seq, time, value, kind)"
    " VALUES(?1, (SELECT id FROM metric_names WHERE name = ?2), ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT DO NOTHING";

/* Samples have no key; one that is the same in everything is the same sample. */
static const char insert_sample[] =
    "INSERT INTO samples(run, idx, seed, tokens, nats, nats_kind, path, text, bytes)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(length(?8), 0)"
    " WHERE NOT EXISTS(SELECT 1 FROM samples WHERE run = ?1 AND idx = ?2 AND seed = ?3"
    "  AND tokens = ?4 AND nats IS ?5 AND nats_kind = ?6 AND path IS ?7 AND text IS ?8)";

/* The run of the present row into g->run; it must be there. */
static enum vq_status find_run(struct loading *g)
{
    struct vq_cell id = vq_rowin_cell(g->in, "run");
    enum vq_run_status ignored;
    if (id.kind != VQ_CELL_TEXT || !vq_is_run_id(id.data, id.len))
        return wrong(g, "run", "expected the id of a run, 10 letters and digits");
    if (strlen(g->run) == id.len && memcmp(g->run, id.data, id.len) == 0)
        return VQ_OK;
    memcpy(g->run, id.data, id.len);
    g->run[id.len] = '\0';
    enum vq_status status = vq_store_status(g->store, g->run, &ignored, NULL);
    if (status == VQ_ENOTFOUND)
        return vq_rowin_fail(g->in, "run", g->err, "there is no run %s: import the runs first",
                             g->run);
    if (status == VQ_OK)
        status = vq_store_do(g->store, "INSERT OR IGNORE INTO temp.touched(run) VALUES(?1)", g->run,
                             NULL, g->err);
    return status;
}

static enum vq_status load_row(struct loading *g)
{
    bool metric = g->out->kind == VQ_DUMP_METRICS;
    enum vq_status status = find_run(g);
    if (status == VQ_OK)
        status = bind_row(g);
    if (status == VQ_OK && metric) {
        struct vq_cell name = vq_rowin_cell(g->in, "metric");
        status = text_of(g, "metric", &name);
        if (status == VQ_OK && (g->text.len == 0 || memchr(g->text.data, '\0', g->text.len)))
            status = wrong(g, "metric", "expected the name of a metric");
        if (status == VQ_OK)
            status = vq_store_do(g->store,
                                 "INSERT INTO metric_names(name) VALUES(?1) ON CONFLICT DO NOTHING",
                                 g->text.data, NULL, g->err);
    }
    if (status == VQ_OK)
        status = vq_stmt_run(g->insert, g->err);
    if (status != VQ_OK)
        return status;
    bool added = vq_db_changes(g->store->db) > 0;
    g->out->known += !added;
    g->out->metrics += added && metric;
    g->out->samples += added && !metric;
    return VQ_OK;
}

static enum vq_status rebuild_touched(struct loading *g)
{
    struct vq_stmt *s;
    bool row = false;
    enum vq_status status =
        vq_stmt_prepare(&s, g->store->db, "SELECT run FROM temp.touched", g->err);
    if (status != VQ_OK)
        return status;
    while ((status = vq_stmt_step(s, &row, g->err)) == VQ_OK && row)
        if ((status = vq_stats_rebuild(g->store->db, vq_column_text(s, 0), g->err)) != VQ_OK)
            break;
    vq_stmt_free(s);
    return status;
}

/* ---- the file ---- */

static enum vq_status load_rows(struct loading *g, bool more, const struct vq_cancel *cancel)
{
    static const char *const inserts[] = {insert_run, insert_metric, insert_sample};
    enum vq_status status =
        vq_stmt_prepare(&g->insert, g->store->db, inserts[g->out->kind], g->err);
    for (size_t n = 1; status == VQ_OK && more; n++) {
        status = g->out->kind == VQ_DUMP_RUNS ? load_run(g) : load_row(g);
        if (status == VQ_OK && n % 1024 == 0 && vq_cancelled(cancel))
            status = vq_fail(g->err, VQ_ECANCELLED, "cancelled");
        if (status == VQ_OK)
            status = vq_rowin_next(g->in, &more, g->err);
    }
    vq_stmt_free(g->insert);
    if (status == VQ_OK && g->out->kind == VQ_DUMP_METRICS)
        status = rebuild_touched(g);
    return status;
}

/* By its columns, which are those of the first row. */
static enum vq_status find_kind(struct loading *g, const char *path)
{
    for (size_t i = 0; i < 3; i++) {
        if (!vq_rowin_has(g->in, vq_dump_tables[i].mark))
            continue;
        g->out->kind = (enum vq_dump_kind)i;
        g->table = &vq_dump_tables[i];
        return VQ_OK;
    }
    return vq_fail(g->err, VQ_EFORMAT,
                   "%s: expected exported runs, metrics or samples; found none of the columns "
                   "'command', 'metric' and 'index'",
                   path);
}

enum vq_status vq_store_import(struct vq_store *store, const char *path, struct vq_intake *out,
                               const struct vq_cancel *cancel, struct vq_err *err)
{
    struct loading g = {.store = store, .out = out, .err = err};
    bool more = false;
    *out = (struct vq_intake){0};
    enum vq_status status = vq_rowin_open(&g.in, path, err);
    if (status == VQ_OK)
        status = vq_rowin_next(g.in, &more, err);
    if (status == VQ_OK && more)
        status = find_kind(&g, path);
    if (status == VQ_OK && more) {
        status = vq_store_begin(store, err);
        if (status == VQ_OK) {
            status = vq_db_exec(store->db,
                                "CREATE TEMP TABLE IF NOT EXISTS touched(run TEXT PRIMARY KEY);"
                                "DELETE FROM temp.touched",
                                err);
            if (status == VQ_OK)
                status = load_rows(&g, more, cancel);
            status = vq_db_end(store->db, status, err);
        }
    }
    vq_rowin_free(g.in);
    vq_text_release(&g.text);
    return status;
}
