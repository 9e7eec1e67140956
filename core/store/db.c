#include "core/store/db.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"

/* SQLite instructions between two polls of a cancel callback; well below 1 ms of work. */
#define CANCEL_EVERY 2000

struct vq_db {
    sqlite3 *h;
    char *path;
    pid_t owner;          /* the process that opened it */
    unsigned busy_ms;     /* as given at open */
    unsigned wait_ms;     /* what the busy handler allows just now */
    int64_t waiting_from; /* ms; start of the wait in progress */
    const struct vq_cancel *cancel;
    char denied[128]; /* the guard's first refusal of the statement being prepared */
};

struct vq_stmt {
    struct vq_db *db;
    sqlite3_stmt *h;
    int bound; /* first failure of a binding */
};

int64_t vq_db_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void vq_db_pause(unsigned turn)
{
    /* The jitter comes from the clock's own noise: it only has to differ between processes. */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    unsigned most = turn < 4 ? 2u : turn < 20 ? 8u : 25u;
    long us = 200 + (long)(((unsigned long)t.tv_nsec / 64 + (unsigned long)getpid() * 2654435761u) %
                           (most * 1000u));
    struct timespec nap = {.tv_sec = 0, .tv_nsec = us * 1000};
    nanosleep(&nap, NULL);
}

static int on_busy(void *ud, int turn)
{
    struct vq_db *db = ud;
    if (turn == 0)
        db->waiting_from = vq_db_now_ms();
    if (vq_db_now_ms() - db->waiting_from >= (int64_t)db->wait_ms)
        return 0;
    vq_db_pause((unsigned)turn);
    return 1;
}

static int on_progress(void *ud)
{
    const struct vq_db *db = ud;
    return vq_cancelled(db->cancel);
}

static bool is_busy(int rc)
{
    int base = rc & 0xff;
    return base == SQLITE_BUSY || base == SQLITE_LOCKED || base == SQLITE_PROTOCOL;
}

/* The system's reason for an I/O error: SQLite keeps it with the connection for some, with the
 * file or its journal for others. 0 if it is not known. */
static int system_reason(const struct vq_db *db)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    int why = sqlite3_system_errno(db->h);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !why; i++) {
        sqlite3_file *file = NULL;
        sqlite3_file_control(db->h, "main", files[i], &file);
        if (file && file->pMethods)
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &why);
    }
    return why;
}

static enum vq_status fail_io(const struct vq_db *db, struct vq_err *err)
{
    int why = system_reason(db);
    if (why == ENOSPC || why == EDQUOT)
        return vq_fail(err, VQ_EIO, "%s: the disk is full; nothing of this change was kept",
                       db->path);
    if (!why)
        return vq_fail(err, VQ_EIO, "%s: %s", db->path, sqlite3_errmsg(db->h));
    vq_fail_errno(err, why, "%s: %s", db->path, sqlite3_errmsg(db->h));
    if (err)
        err->code = VQ_EIO; /* a file that vanished is no answer to a question */
    return VQ_EIO;
}

/* Translates SQLite's rc into ours. */
static enum vq_status fail(const struct vq_db *db, int rc, struct vq_err *err)
{
    if (is_busy(rc))
        return vq_fail(err, VQ_EBUSY,
                       "%s: another process has kept the run database for itself for %g s; "
                       "wait for it or end it, then try again",
                       db->path, db->wait_ms / 1000.0);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return vq_fail(err, VQ_ENOMEM, "%s: out of memory", db->path);
    case SQLITE_FULL:
        return vq_fail(err, VQ_EIO, "%s: the disk is full; nothing of this change was kept",
                       db->path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return fail_io(db, err);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return vq_fail(err, VQ_EIO, "%s: cannot be written to", db->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return vq_fail(err, VQ_EFORMAT,
                       "%s: the run database is damaged (%s); keep a copy and "
                       "start another file",
                       db->path, sqlite3_errmsg(db->h));
    case SQLITE_INTERRUPT:
        return vq_fail(err, VQ_ECANCELLED, "cancelled");
    default:
        return vq_fail(err, VQ_EINVAL, "%s", sqlite3_errmsg(db->h));
    }
}

enum vq_status vq_db_own_process(const struct vq_db *db, struct vq_err *err)
{
    if (db->owner == getpid())
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL, "%s: was opened by another process; open it again after a fork",
                   db->path);
}

/* "file:" + path with the characters that a URI gives a meaning to escaped + "?immutable=1". */
static char *immutable_uri(const char *path)
{
    size_t len = strlen(path), size;
    if (!vq_mul_ok(len, 3, &size) || !vq_add_ok(size, 32, &size))
        return NULL;
    char *uri = vq_alloc(size, 1);
    if (!uri)
        return NULL;
    size_t n = (size_t)snprintf(uri, size, "file:");
    for (const char *p = path; *p; p++)
        n += (size_t)snprintf(uri + n, size - n, strchr("%?#", *p) ? "%%%02x" : "%c",
                              (unsigned char)*p);
    snprintf(uri + n, size - n, "?immutable=1");
    return uri;
}

static enum vq_status connect(struct vq_db *db, enum vq_db_mode mode, struct vq_err *err)
{
    int flags = mode == VQ_DB_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    char *uri = NULL;
    if (mode == VQ_DB_IMMUTABLE) {
        uri = immutable_uri(db->path);
        if (!uri)
            return vq_nomem(err, db->path, strlen(db->path), 3);
        flags |= SQLITE_OPEN_URI;
    }
    int rc = sqlite3_open_v2(uri ? uri : db->path, &db->h, flags, NULL);
    free(uri);
    if (rc != SQLITE_OK)
        return db->h ? fail(db, rc, err) : vq_fail(err, VQ_ENOMEM, "%s: out of memory", db->path);
    sqlite3_extended_result_codes(db->h, 1);
    sqlite3_busy_handler(db->h, on_busy, db);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return VQ_OK;
}

enum vq_status vq_db_open(struct vq_db **out, const char *path, enum vq_db_mode mode,
                          unsigned busy_ms, struct vq_err *err)
{
    *out = NULL;
    struct vq_db *db = vq_calloc(1, sizeof(*db));
    if (!db)
        return vq_nomem(err, path, 1, sizeof(*db));
    db->owner = getpid();
    db->busy_ms = db->wait_ms = busy_ms;
    db->path = vq_strdup(path);
    enum vq_status status = db->path ? connect(db, mode, err) : vq_nomem(err, path, 1, 1);
    if (status != VQ_OK) {
        vq_db_close(db);
        return status;
    }
    *out = db;
    return VQ_OK;
}

void vq_db_close(struct vq_db *db)
{
    if (!db)
        return;
    /* In a forked child even closing would act on the parent's file. */
    if (db->owner == getpid())
        sqlite3_close_v2(db->h);
    free(db->path);
    free(db);
}

enum vq_status vq_db_head(struct vq_db *db, uint8_t *head, size_t n, uint64_t *size,
                          struct vq_err *err)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 bytes = 0;
    *size = 0;
    int rc = sqlite3_file_control(db->h, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK && (!file || !file->pMethods))
        rc = SQLITE_CANTOPEN;
    if (rc == SQLITE_OK)
        rc = file->pMethods->xFileSize(file, &bytes);
    int want = bytes < (sqlite3_int64)n ? (int)bytes : (int)n;
    if (rc == SQLITE_OK && want > 0)
        rc = file->pMethods->xRead(file, head, want, 0);
    if (rc != SQLITE_OK)
        return vq_fail(err, VQ_EIO, "%s: cannot be read", db->path);
    *size = (uint64_t)bytes;
    return VQ_OK;
}

void vq_db_keep_wal(struct vq_db *db, bool keep)
{
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, NULL);
}

enum vq_status vq_db_exec(struct vq_db *db, const char *sql, struct vq_err *err)
{
    enum vq_status status = vq_db_own_process(db, err);
    if (status != VQ_OK)
        return status;
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? VQ_OK : fail(db, rc, err);
}

/* Runs a query that answers with one value, and leaves it at its first row, if it has one: *row
 * says so. The caller frees *s on success. */
static enum vq_status first_row(struct vq_stmt **s, struct vq_db *db, const char *sql, bool *row,
                                struct vq_err *err)
{
    *row = false;
    enum vq_status status = vq_stmt_prepare(s, db, sql, err);
    if (status == VQ_OK && (status = vq_stmt_step(*s, row, err)) != VQ_OK)
        vq_stmt_free(*s);
    return status;
}

enum vq_status vq_db_int(struct vq_db *db, const char *sql, int64_t *out, struct vq_err *err)
{
    struct vq_stmt *s;
    bool row;
    *out = 0;
    enum vq_status status = first_row(&s, db, sql, &row, err);
    if (status != VQ_OK)
        return status;
    if (row)
        *out = vq_column_int(s, 0);
    vq_stmt_free(s);
    return VQ_OK;
}

/* Runs a PRAGMA that answers with a journal mode; *same says whether it is `mode`. */
static enum vq_status ask_journal(struct vq_db *db, const char *sql, const char *mode, bool *same,
                                  struct vq_err *err)
{
    struct vq_stmt *s;
    bool row;
    *same = false;
    enum vq_status status = first_row(&s, db, sql, &row, err);
    if (status != VQ_OK)
        return status;
    *same = row && strcmp(vq_column_text(s, 0), mode) == 0;
    vq_stmt_free(s);
    return VQ_OK;
}

enum vq_status vq_db_is_wal(struct vq_db *db, bool *wal, struct vq_err *err)
{
    return ask_journal(db, "PRAGMA journal_mode", "wal", wal, err);
}

enum vq_status vq_db_set_wal(struct vq_db *db, bool wal, struct vq_err *err)
{
    bool taken;
    enum vq_status status =
        wal ? ask_journal(db, "PRAGMA journal_mode=wal", "wal", &taken, err)
            : ask_journal(db, "PRAGMA journal_mode=delete", "delete", &taken, err);
    if (status == VQ_OK && !taken)
        status = vq_fail(err, VQ_EIO, "%s: its file system cannot carry a %s", db->path,
                         wal ? "write-ahead log" : "rollback journal");
    return status;
}

/* SQLite does not wait where waiting might be a deadlock; for a whole BEGIN or COMMIT it cannot
 * be one, so we wait ourselves. */
static int exec_waiting(struct vq_db *db, const char *sql)
{
    int64_t until = vq_db_now_ms() + (int64_t)db->wait_ms;
    for (unsigned turn = 0;; turn++) {
        int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
        if (!is_busy(rc) || vq_db_now_ms() >= until)
            return rc;
        vq_db_pause(turn);
    }
}

enum vq_status vq_db_begin(struct vq_db *db, unsigned wait_ms, struct vq_err *err)
{
    enum vq_status status = vq_db_own_process(db, err);
    if (status != VQ_OK)
        return status;
    db->wait_ms = wait_ms;
    int rc = exec_waiting(db, "BEGIN IMMEDIATE");
    if (rc != SQLITE_OK)
        status = fail(db, rc, err);
    db->wait_ms = db->busy_ms;
    return status;
}

enum vq_status vq_db_end(struct vq_db *db, enum vq_status status, struct vq_err *err)
{
    if (status == VQ_OK) {
        int rc = exec_waiting(db, "COMMIT");
        if (rc != SQLITE_OK)
            status = fail(db, rc, err);
    }
    /* After some failures SQLite has rolled back by itself. */
    if (status != VQ_OK && !sqlite3_get_autocommit(db->h))
        sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

int64_t vq_db_changes(const struct vq_db *db)
{
    return sqlite3_changes(db->h);
}

unsigned vq_db_busy_ms(const struct vq_db *db)
{
    return db->busy_ms;
}

static enum vq_status new_stmt(struct vq_stmt **out, struct vq_db *db, struct vq_err *err)
{
    *out = NULL;
    enum vq_status status = vq_db_own_process(db, err);
    if (status != VQ_OK)
        return status;
    struct vq_stmt *s = vq_calloc(1, sizeof(*s));
    if (!s)
        return vq_nomem(err, "statement", 1, sizeof(*s));
    s->db = db;
    *out = s;
    return VQ_OK;
}

enum vq_status vq_stmt_prepare(struct vq_stmt **out, struct vq_db *db, const char *sql,
                               struct vq_err *err)
{
    enum vq_status status = new_stmt(out, db, err);
    if (status != VQ_OK)
        return status;
    int rc = sqlite3_prepare_v2(db->h, sql, -1, &(*out)->h, NULL);
    if (rc == SQLITE_OK)
        return VQ_OK;
    vq_stmt_free(*out);
    *out = NULL;
    return fail(db, rc, err);
}

void vq_stmt_free(struct vq_stmt *s)
{
    if (!s)
        return;
    if (s->db->owner == getpid())
        sqlite3_finalize(s->h);
    free(s);
}

void vq_stmt_reset(struct vq_stmt *s)
{
    sqlite3_reset(s->h);
}

void vq_stmt_recycle(struct vq_stmt *s)
{
    if (s->db->owner != getpid())
        return;
    sqlite3_reset(s->h);
    sqlite3_clear_bindings(s->h);
    s->bound = SQLITE_OK;
}

static void note_binding(struct vq_stmt *s, int rc)
{
    if (s->bound == SQLITE_OK)
        s->bound = rc;
}

void vq_stmt_int(struct vq_stmt *s, int i, int64_t value)
{
    note_binding(s, sqlite3_bind_int64(s->h, i, value));
}

void vq_stmt_real(struct vq_stmt *s, int i, double value)
{
    note_binding(s, sqlite3_bind_double(s->h, i, value));
}

void vq_stmt_text(struct vq_stmt *s, int i, const char *text)
{
    if (text)
        vq_stmt_bytes(s, i, text, strlen(text));
    else
        note_binding(s, sqlite3_bind_null(s->h, i));
}

void vq_stmt_bytes(struct vq_stmt *s, int i, const char *text, size_t len)
{
    note_binding(s,
                 sqlite3_bind_text64(s->h, i, len ? text : "", len, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void vq_stmt_blob(struct vq_stmt *s, int i, const void *data, size_t len)
{
    /* A NULL pointer would bind NULL, not an empty blob. */
    note_binding(s, sqlite3_bind_blob64(s->h, i, len ? data : "", len, SQLITE_TRANSIENT));
}

void vq_stmt_u64(struct vq_stmt *s, int i, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    vq_stmt_bytes(s, i, text, (size_t)len);
}

enum vq_status vq_stmt_step(struct vq_stmt *s, bool *row, struct vq_err *err)
{
    *row = false;
    enum vq_status status = vq_db_own_process(s->db, err);
    if (status != VQ_OK)
        return status;
    if (s->bound == SQLITE_TOOBIG)
        return vq_fail(err, VQ_EINVAL,
                       "%s: a value is larger than the run database can hold "
                       "(1,000,000,000 bytes)",
                       s->db->path);
    if (s->bound != SQLITE_OK)
        return fail(s->db, s->bound, err);
    int rc = sqlite3_step(s->h);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return VQ_OK;
    if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
        return vq_fail(err, VQ_ENOTFOUND, "%s: the run was removed meanwhile", s->db->path);
    return fail(s->db, rc, err);
}

enum vq_status vq_stmt_run(struct vq_stmt *s, struct vq_err *err)
{
    bool row = false;
    enum vq_status status = vq_stmt_step(s, &row, err);
    sqlite3_reset(s->h);
    return status;
}

int vq_stmt_parameters(const struct vq_stmt *s)
{
    return sqlite3_bind_parameter_count(s->h);
}

const char *vq_stmt_parameter(const struct vq_stmt *s, int i)
{
    return sqlite3_bind_parameter_name(s->h, i);
}

int vq_stmt_columns(const struct vq_stmt *s)
{
    return sqlite3_column_count(s->h);
}

const char *vq_stmt_name(const struct vq_stmt *s, int column)
{
    const char *name = sqlite3_column_name(s->h, column);
    return name ? name : "";
}

struct vq_value vq_column(struct vq_stmt *s, int column)
{
    struct vq_value v = {.kind = VQ_VALUE_NULL};
    switch (sqlite3_column_type(s->h, column)) {
    case SQLITE_INTEGER:
        v.kind = VQ_VALUE_INT;
        v.i = sqlite3_column_int64(s->h, column);
        break;
    case SQLITE_FLOAT:
        v.kind = VQ_VALUE_REAL;
        v.d = sqlite3_column_double(s->h, column);
        break;
    case SQLITE_TEXT:
        v.kind = VQ_VALUE_TEXT;
        v.text = (const char *)sqlite3_column_text(s->h, column);
        break;
    case SQLITE_BLOB:
        v.kind = VQ_VALUE_BLOB;
        v.text = sqlite3_column_blob(s->h, column);
        break;
    default:
        return v;
    }
    if (v.text)
        v.len = (size_t)sqlite3_column_bytes(s->h, column);
    else if (v.kind == VQ_VALUE_TEXT || v.kind == VQ_VALUE_BLOB)
        v.text = "";
    return v;
}

int64_t vq_column_int(struct vq_stmt *s, int column)
{
    return sqlite3_column_int64(s->h, column);
}

double vq_column_real(struct vq_stmt *s, int column)
{
    if (sqlite3_column_type(s->h, column) == SQLITE_NULL)
        return NAN;
    return sqlite3_column_double(s->h, column);
}

const char *vq_column_text(struct vq_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s->h, column);
    return text ? text : "";
}

uint64_t vq_column_u64(struct vq_stmt *s, int column)
{
    return strtoull(vq_column_text(s, column), NULL, 10);
}

/* PRAGMAs that only tell; those marked take a name or a limit, the others must stand alone. */
static bool harmless_pragma(const char *name, bool has_value)
{
    static const struct {
        const char *name;
        bool value;
    } known[] = {
        {"table_info", true},       {"table_xinfo", true},       {"table_list", true},
        {"index_list", true},       {"index_info", true},        {"index_xinfo", true},
        {"foreign_key_list", true}, {"foreign_key_check", true}, {"integrity_check", true},
        {"quick_check", true},      {"application_id", false},   {"collation_list", false},
        {"compile_options", false}, {"database_list", false},    {"encoding", false},
        {"foreign_keys", false},    {"freelist_count", false},   {"function_list", false},
        {"module_list", false},     {"page_count", false},       {"page_size", false},
        {"pragma_list", false},     {"schema_version", false},   {"user_version", false},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(name, known[i].name) == 0)
            return known[i].value || !has_value;
    return false;
}

static int refuse(struct vq_db *db, const char *what, const char *name)
{
    if (!db->denied[0])
        snprintf(db->denied, sizeof(db->denied), "%s%.80s", what, name ? name : "");
    return SQLITE_DENY;
}

/* SQLite asks this for every action of a statement being prepared. */
static int on_action(void *ud, int action, const char *a, const char *b, const char *base,
                     const char *trigger)
{
    (void)base;
    (void)trigger;
    struct vq_db *db = ud;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        if (strcasecmp(b, "load_extension") == 0 || strcasecmp(b, "fts3_tokenizer") == 0)
            return refuse(db, "the function ", b);
        return SQLITE_OK;
    case SQLITE_PRAGMA:
        return harmless_pragma(a, b != NULL) ? SQLITE_OK : refuse(db, "PRAGMA ", a);
    case SQLITE_ATTACH:
        return refuse(db, "ATTACH", NULL);
    case SQLITE_DETACH:
        return refuse(db, "DETACH", NULL);
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return refuse(db, "a transaction", NULL);
    case SQLITE_UPDATE:
        /* Asked when pragma_table_info() and its like are first named; a typed UPDATE of this
         * table SQLite refuses itself. */
        if (strcmp(a, "sqlite_master") == 0)
            return SQLITE_OK;
        return refuse(db, "a change of ", a);
    case SQLITE_INSERT:
    case SQLITE_DELETE:
        if (strncmp(a, "sqlite_", 7) != 0)
            return refuse(db, "a change of ", a);
        return refuse(db, "a change of the tables themselves", NULL);
    default:
        return refuse(db, "a change of the tables themselves", NULL);
    }
}

enum vq_status vq_db_guard(struct vq_db *db, struct vq_err *err)
{
    enum vq_status status = vq_db_exec(db, "PRAGMA query_only=1", err);
    if (status == VQ_OK)
        sqlite3_set_authorizer(db->h, on_action, db);
    return status;
}

static enum vq_status fail_typed(struct vq_db *db, int rc, int *offset, struct vq_err *err)
{
#if SQLITE_VERSION_NUMBER >= 3038000
    *offset = sqlite3_error_offset(db->h);
#endif
    if (db->denied[0])
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "%s is refused: queries here can only read the run database", db->denied);
    return fail(db, rc, err);
}

/* A statement follows the first one; comments and lone semicolons are none. */
static bool more_follows(struct vq_db *db, const char *tail)
{
    while (*tail) {
        sqlite3_stmt *next = NULL;
        const char *rest = tail;
        int rc = sqlite3_prepare_v2(db->h, tail, -1, &next, &rest);
        sqlite3_finalize(next);
        if (next || rc != SQLITE_OK)
            return true;
        if (rest == tail)
            return false;
        tail = rest;
    }
    return false;
}

enum vq_status vq_stmt_typed(struct vq_stmt **out, struct vq_db *db, const char *sql, int *offset,
                             struct vq_err *err)
{
    *offset = -1;
    enum vq_status status = new_stmt(out, db, err);
    if (status != VQ_OK)
        return status;
    struct vq_stmt *s = *out;
    const char *tail = sql;
    db->denied[0] = '\0';
    int rc = sqlite3_prepare_v2(db->h, sql, -1, &s->h, &tail);
    if (rc != SQLITE_OK) {
        status = fail_typed(db, rc, offset, err);
    } else if (!s->h) {
        status = vq_fail(err, VQ_EINVAL, "the query is empty");
    } else if (!sqlite3_stmt_readonly(s->h)) {
        status = vq_fail(err, VQ_EUNSUPPORTED, "queries here can only read the run database");
    } else if (more_follows(db, tail)) {
        *offset = (int)(tail - sql);
        status = vq_fail(err, VQ_EINVAL, "one statement at a time: there is more after the ';'");
    }
    if (status != VQ_OK) {
        vq_stmt_free(s);
        *out = NULL;
    }
    return status;
}

void vq_db_cancel(struct vq_db *db, const struct vq_cancel *cancel)
{
    db->cancel = cancel;
    sqlite3_progress_handler(db->h, cancel ? CANCEL_EVERY : 0, cancel ? on_progress : NULL, db);
}
