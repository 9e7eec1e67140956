#include "core/store/attr.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/internal.h"

/* ---- SQL with bound values ---- */

/* Appends "?N" for a value that is appended to the bound ones; it takes over value.text. */
static void bind(struct vq_sql *q, struct vq_value value)
{
    struct vq_value *grown = vq_realloc(q->bound, q->n + 1, sizeof(*grown));
    if (!grown) {
        q->sql.failed = true;
        free((char *)(uintptr_t)value.text);
        return;
    }
    q->bound = grown;
    q->bound[q->n++] = value;
    vq_text_printf(&q->sql, "?%zu", q->n);
}

void vq_sql_text(struct vq_sql *q, const char *text, size_t len)
{
    char *copy = vq_copy_bytes(text, len);
    if (copy)
        bind(q, (struct vq_value){.kind = VQ_VALUE_TEXT, .text = copy, .len = len});
    else
        q->sql.failed = true;
}

void vq_sql_int(struct vq_sql *q, int64_t value)
{
    bind(q, (struct vq_value){.kind = VQ_VALUE_INT, .i = value});
}

void vq_sql_real(struct vq_sql *q, double value)
{
    bind(q, (struct vq_value){.kind = VQ_VALUE_REAL, .d = value});
}

void vq_sql_release(struct vq_sql *q)
{
    for (size_t i = 0; i < q->n; i++)
        free((char *)(uintptr_t)q->bound[i].text);
    free(q->bound);
    vq_text_release(&q->sql);
    *q = (struct vq_sql){0};
}

enum vq_status vq_sql_prepare(const struct vq_sql *q, struct vq_db *db, struct vq_stmt **out,
                              struct vq_err *err)
{
    *out = NULL;
    if (q->sql.failed || !q->sql.data)
        return vq_nomem(err, "query", q->sql.len + 1, 1);
    enum vq_status status = vq_stmt_prepare(out, db, q->sql.data, err);
    for (size_t i = 0; status == VQ_OK && i < q->n; i++) {
        const struct vq_value *v = &q->bound[i];
        if (v->kind == VQ_VALUE_INT)
            vq_stmt_int(*out, (int)i + 1, v->i);
        else if (v->kind == VQ_VALUE_REAL)
            vq_stmt_real(*out, (int)i + 1, v->d);
        else
            vq_stmt_bytes(*out, (int)i + 1, v->text, v->len);
    }
    return status;
}

/* ---- the attributes ---- */

struct vq_attr_row {
    const char *name;  /* a family's ends in '.' */
    const char *alias; /* another name, or NULL */
    enum vq_attr_kind kind;
    const char *value;         /* SQL; "$" stands for the bound key */
    const char *kind_of;       /* VQ_ATTR_VALUE: SQL of the value's kind */
    const char *text;          /* what ~ looks into, where that is not the value; NULL: the value */
    const char *rows, *column; /* VQ_ATTR_SET */
};

#define RESULT(what) "(SELECT " what " FROM results x WHERE x.run = r.id AND x.key = $)"
#define METRIC(what)                                                                               \
    "(SELECT x." what " FROM metric_stats x WHERE x.run = r.id"                                    \
    " AND x.name = (SELECT id FROM metric_names WHERE name = $))"
#define FINITE(what)                                                                               \
    "(SELECT CASE WHEN x." what " IS NULL THEN NULL ELSE 'real' END FROM metric_stats x"           \
    " WHERE x.run = r.id AND x.name = (SELECT id FROM metric_names WHERE name = $))"

static const struct vq_attr_row rows[] = {
    {"id", NULL, VQ_ATTR_TEXT, "r.id", NULL, NULL, NULL, NULL},
    {"name", NULL, VQ_ATTR_TEXT, "r.name", NULL, NULL, NULL, NULL},
    {"command", "kind", VQ_ATTR_TEXT, "r.command", NULL, NULL, NULL, NULL},
    {"line", "command_line", VQ_ATTR_TEXT, "r.command_line", NULL, NULL, NULL, NULL},
    {"status", "state", VQ_ATTR_STATUS, "r.status", NULL, NULL, NULL, NULL},
    {"error", NULL, VQ_ATTR_TEXT, "r.error", NULL, NULL, NULL, NULL},
    {"model", "model_name", VQ_ATTR_TEXT, "r.model_name", NULL,
     "coalesce(r.model_name, '') || ' ' || coalesce(r.model_path, '')", NULL, NULL},
    {"path", "model_path", VQ_ATTR_TEXT, "r.model_path", NULL, NULL, NULL, NULL},
    {"sha256", "model_sha256", VQ_ATTR_TEXT, "r.model_sha256", NULL, NULL, NULL, NULL},
    {"seed", NULL, VQ_ATTR_SEED, "r.seed", NULL, NULL, NULL, NULL},
    {"threads", NULL, VQ_ATTR_NUMBER, "r.threads", NULL, NULL, NULL, NULL},
    {"version", NULL, VQ_ATTR_TEXT, "r.version", NULL, NULL, NULL, NULL},
    {"host", NULL, VQ_ATTR_TEXT, "r.host", NULL, NULL, NULL, NULL},
    {"cwd", NULL, VQ_ATTR_TEXT, "r.cwd", NULL, NULL, NULL, NULL},
    {"pid", NULL, VQ_ATTR_NUMBER, "r.pid", NULL, NULL, NULL, NULL},
    {"started", "started_at", VQ_ATTR_TIME, "r.started_at", NULL, NULL, NULL, NULL},
    {"ended", "ended_at", VQ_ATTR_TIME, "r.ended_at", NULL, NULL, NULL, NULL},
    {"seconds", NULL, VQ_ATTR_NUMBER, "(r.ended_at - r.started_at)", NULL, NULL, NULL, NULL},
    {"removed", "removed_at", VQ_ATTR_TIME, "r.removed_at", NULL, NULL, NULL, NULL},
    {"tag", "tags", VQ_ATTR_SET, "(SELECT group_concat(x.tag, ',') FROM tags x WHERE x.run = r.id)",
     NULL, NULL, "SELECT 1 FROM tags x WHERE x.run = r.id", "x.tag"},
    {"note", "notes", VQ_ATTR_SET, "(SELECT count(*) FROM notes x WHERE x.run = r.id)", NULL, NULL,
     "SELECT 1 FROM notes x WHERE x.run = r.id", "x.text"},
    {"sample", "samples", VQ_ATTR_SET, "(SELECT count(*) FROM samples x WHERE x.run = r.id)", NULL,
     NULL, "SELECT 1 FROM samples x WHERE x.run = r.id", "CAST(x.text AS TEXT)"},
    {"result.", NULL, VQ_ATTR_VALUE, RESULT("x.value"), RESULT("x.kind"), NULL, NULL, NULL},
    {"metric.", NULL, VQ_ATTR_VALUE, METRIC("last_value"), METRIC("last_kind"), NULL, NULL, NULL},
    {"min.", NULL, VQ_ATTR_VALUE, METRIC("min_value"), FINITE("min_value"), NULL, NULL, NULL},
    {"max.", NULL, VQ_ATTR_VALUE, METRIC("max_value"), FINITE("max_value"), NULL, NULL, NULL},
    {"config.", NULL, VQ_ATTR_JSON, "r.config", NULL, NULL, NULL, NULL},
    {"settings.", "setting.", VQ_ATTR_JSON, "r.settings", NULL, NULL, NULL, NULL},
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), RESULT_ROW = N_ROWS - 6, METRIC_ROW };

/* A bare key. A result that is NaN has no value, but a kind, and is not replaced by the metric. */
static const struct vq_attr_row bare = {"",
                                        NULL,
                                        VQ_ATTR_VALUE,
                                        "CASE WHEN " RESULT("x.kind") " IS NULL THEN " METRIC(
                                            "last_value") " ELSE " RESULT("x.value") " END",
                                        "coalesce(" RESULT("x.kind") ", " METRIC("last_kind") ")",
                                        NULL,
                                        NULL,
                                        NULL};

/* Keys that the program's own commands record, known before the first run has one, and short names
 * of those that are long to type. */
static const struct {
    const char *name, *key;
} standard[] = {
    {"bpb", "bits_per_byte"},
    {"ppl", "perplexity"},
    {"bits_per_byte", NULL},
    {"perplexity", NULL},
    {"loss", NULL},
    {"nats", NULL},
    {"nats_per_token", NULL},
    {"step", NULL},
    {"tokens", NULL},
    {"tokens_per_second", NULL},
    {"word_perplexity", NULL},
    {"words", NULL},
};

static bool same(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

/* The length of a family's name that `text` begins with, when a key follows it; else 0. */
static size_t family(const char *name, const char *text, size_t len)
{
    size_t n = name ? strlen(name) : 0;
    return n && name[n - 1] == '.' && len > n && memcmp(name, text, n) == 0 ? n : 0;
}

/* Whether some run has a result of that name, and a metric. */
static enum vq_status known_key(struct vq_store *store, const char *key, size_t len, bool *result,
                                bool *metric, struct vq_err *err)
{
    struct vq_stmt *s;
    bool row = false;
    *result = *metric = false;
    enum vq_status status = vq_store_stmt(store,
                                          "SELECT EXISTS(SELECT 1 FROM results WHERE key = ?1),"
                                          " EXISTS(SELECT 1 FROM metric_names WHERE name = ?1)",
                                          &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_bytes(s, 1, key, len);
    status = vq_stmt_step(s, &row, err);
    *result = status == VQ_OK && vq_column_int(s, 0) != 0;
    *metric = status == VQ_OK && vq_column_int(s, 1) != 0;
    vq_store_stmt_done(store, s);
    return status;
}

/* Edits (insert, remove, change a letter) between two short names; 99 when they are long. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[32];
    if (n >= 31 || m >= 31)
        return 99;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            corner = row[j];
            row[j] = change < best ? change : best;
        }
    }
    return row[m];
}

struct nearest {
    char name[32], best[64];
    size_t edits;
};

static bool try_name(void *ud, const char *name)
{
    struct nearest *n = ud;
    if (!*name || name[strlen(name) - 1] == '.')
        return true;
    size_t edits = distance(n->name, name);
    if (edits >= n->edits || strlen(name) >= sizeof(n->best))
        return true;
    n->edits = edits;
    memcpy(n->best, name, strlen(name) + 1);
    return true;
}

static enum vq_status no_such(struct vq_store *store, const char *name, size_t len,
                              struct vq_err *err)
{
    struct nearest n = {.edits = len < 4 ? 2 : 3};
    int shown = len < 60 ? (int)len : 60;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].name) == len + 1 && rows[i].name[len] == '.' &&
            memcmp(rows[i].name, name, len) == 0)
            return vq_fail(err, VQ_ENOTFOUND, "which one? write %sNAME", rows[i].name);
    }
    memcpy(n.name, name, len < sizeof(n.name) ? len : sizeof(n.name) - 1);
    vq_store_attributes(store, try_name, &n, NULL);
    if (n.best[0])
        return vq_fail(err, VQ_ENOTFOUND,
                       "nothing of a run is called '%.*s', and none has such a result or metric: "
                       "did you mean %s?",
                       shown, name, n.best);
    return vq_fail(err, VQ_ENOTFOUND,
                   "nothing of a run is called '%.*s', and none has such a result or metric", shown,
                   name);
}

enum vq_status vq_attr_find(struct vq_store *store, const char *name, size_t len,
                            struct vq_attr *out, struct vq_err *err)
{
    *out = (struct vq_attr){0};
    for (size_t i = 0; i < N_ROWS; i++) {
        size_t skip = family(rows[i].name, name, len);
        skip = skip ? skip : family(rows[i].alias, name, len);
        if (!skip && !same(rows[i].name, name, len) && !same(rows[i].alias, name, len))
            continue;
        if (!skip && rows[i].name[strlen(rows[i].name) - 1] == '.')
            continue;
        *out = (struct vq_attr){rows[i].kind, &rows[i], name + skip, len - skip};
        if (rows[i].kind == VQ_ATTR_JSON && memchr(out->key, '"', out->key_len))
            return vq_fail(err, VQ_EINVAL, "a key of %s cannot hold a '\"'", rows[i].name);
        return VQ_OK;
    }
    bool known = false, result, metric;
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]) && !known; i++) {
        known = same(standard[i].name, name, len);
        if (known && standard[i].key) {
            name = standard[i].key;
            len = strlen(name);
        }
    }
    enum vq_status status = known_key(store, name, len, &result, &metric, err);
    if (status == VQ_OK && !known && !result && !metric)
        return no_such(store, name, len, err);
    /* Where no run has one of the two, looking for it in each would be in vain. */
    const struct vq_attr_row *row = result && metric ? &bare
                                    : metric         ? &rows[METRIC_ROW]
                                                     : &rows[RESULT_ROW];
    *out = (struct vq_attr){row->kind, row, name, len};
    return status;
}

/* Binds the path of a member: $."a.b", or with `nested` $."a"."b". */
static void bind_path(const struct vq_attr *a, bool nested, struct vq_sql *q)
{
    struct vq_text path = {0};
    vq_text_puts(&path, "$.\"");
    for (size_t i = 0; i < a->key_len; i++) {
        if (nested && a->key[i] == '.')
            vq_text_puts(&path, "\".\"");
        else
            vq_text_put(&path, a->key + i, 1);
    }
    vq_text_puts(&path, "\"");
    if (path.failed)
        q->sql.failed = true;
    else
        vq_sql_text(q, path.data, path.len);
    vq_text_release(&path);
}

static void put_member(const struct vq_attr *a, bool nested, struct vq_sql *q)
{
    vq_text_printf(&q->sql, "json_extract(%s, ", a->row->value);
    bind_path(a, nested, q);
    vq_text_puts(&q->sql, ")");
}

/* A name with dots may be a member's own, or lead into an object. */
static void put_json(const struct vq_attr *a, struct vq_sql *q)
{
    if (!memchr(a->key, '.', a->key_len)) {
        put_member(a, false, q);
        return;
    }
    vq_text_puts(&q->sql, "coalesce(");
    put_member(a, false, q);
    vq_text_puts(&q->sql, ", ");
    put_member(a, true, q);
    vq_text_puts(&q->sql, ")");
}

/* Appends `sql` with each $ replaced by the bound key. */
static void put_sql(const struct vq_attr *a, const char *sql, struct vq_sql *q)
{
    for (const char *p = sql; *p; p++) {
        if (*p == '$')
            vq_sql_text(q, a->key, a->key_len);
        else
            vq_text_put(&q->sql, p, 1);
    }
}

void vq_attr_value(const struct vq_attr *a, struct vq_sql *q)
{
    if (a->kind == VQ_ATTR_JSON)
        put_json(a, q);
    else
        put_sql(a, a->row->value, q);
}

void vq_attr_text(const struct vq_attr *a, struct vq_sql *q)
{
    if (a->row->text)
        put_sql(a, a->row->text, q);
    else
        vq_attr_value(a, q);
}

void vq_attr_value_kind(const struct vq_attr *a, struct vq_sql *q)
{
    put_sql(a, a->row->kind_of ? a->row->kind_of : "NULL", q);
}

const char *vq_attr_set_rows(const struct vq_attr *a)
{
    return a->row->rows;
}

const char *vq_attr_set_column(const struct vq_attr *a)
{
    return a->row->column;
}

static enum vq_status each_name(struct vq_store *store, const char *sql, vq_attr_name each,
                                void *ud, struct vq_err *err)
{
    struct vq_stmt *s;
    bool more = true, row = false;
    enum vq_status status = vq_store_stmt(store, sql, &s, err);
    if (status != VQ_OK)
        return status;
    while (more && (status = vq_stmt_step(s, &row, err)) == VQ_OK && row)
        more = each(ud, vq_column_text(s, 0));
    vq_store_stmt_done(store, s);
    return status;
}

enum vq_status vq_store_attributes(struct vq_store *store, vq_attr_name each, void *ud,
                                   struct vq_err *err)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (!each(ud, rows[i].name))
            return VQ_OK;
    return each_name(store,
                     "SELECT DISTINCT key FROM results UNION SELECT name FROM metric_names"
                     " ORDER BY 1",
                     each, ud, err);
}

#define KEYS(column)                                                                               \
    "SELECT DISTINCT e.key FROM (SELECT " column " AS doc FROM runs WHERE json_valid(" column ")"  \
    " ORDER BY started_at DESC LIMIT 200) r, json_each(r.doc) e ORDER BY 1"

enum vq_status vq_store_known(struct vq_store *store, enum vq_known what, vq_attr_name each,
                              void *ud, struct vq_err *err)
{
    static const char *const sql[] = {
        [VQ_KNOWN_METRICS] = "SELECT name FROM metric_names ORDER BY 1",
        [VQ_KNOWN_RESULTS] = "SELECT DISTINCT key FROM results ORDER BY 1",
        [VQ_KNOWN_TAGS] = "SELECT DISTINCT tag FROM tags ORDER BY 1",
        [VQ_KNOWN_COMMANDS] = "SELECT DISTINCT command FROM runs ORDER BY 1",
        [VQ_KNOWN_MODELS] =
            "SELECT DISTINCT model_name FROM runs WHERE model_name IS NOT NULL ORDER BY 1",
        [VQ_KNOWN_CONFIG] = KEYS("config"),
        [VQ_KNOWN_SETTINGS] = KEYS("settings"),
    };
    return each_name(store, sql[what], each, ud, err);
}
