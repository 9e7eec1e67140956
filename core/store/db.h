/*
 * db: SQLite as the rest of core/store sees it. db.c is the only file that includes sqlite3.h.
 *
 * It owns connections, statements, waiting for other processes, transactions, the read-only guard
 * around queries that people type, and the translation of SQLite's results into vq_err. It knows
 * nothing of runs: the schema is in schema.c, the meaning in open.c, run.c, read.c, edit.c, sql.c.
 *
 * A connection belongs to one thread at a time and to the process that opened it. After a fork the
 * child may not use it: every call there fails, and closing it there only forgets it.
 */
#ifndef VQ_CORE_STORE_DB_H
#define VQ_CORE_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/store/value.h"

struct vq_db;
struct vq_stmt;

enum vq_db_mode {
    VQ_DB_WRITE,    /* read and write; the file must exist */
    VQ_DB_READ,     /* read only */
    VQ_DB_IMMUTABLE /* read only, without locks or side files: for a file that cannot change */
};

/* Opens the existing file `path` (absolute: SQLite gives other spellings a meaning of their own).
 * Nothing is read or locked yet. `busy_ms` is how long later calls wait for other processes. */
enum vq_status vq_db_open(struct vq_db **out, const char *path, enum vq_db_mode mode,
                          unsigned busy_ms, struct vq_err *err);
void vq_db_close(struct vq_db *db); /* db may be NULL; statements are freed before */

/* VQ_EINVAL in any other process than the one that opened it. Every call that can fail checks. */
enum vq_status vq_db_own_process(const struct vq_db *db, struct vq_err *err);

/* The first bytes of the file as they lie on disk, without a lock and without opening the file a
 * second time (closing a second descriptor would drop the locks of the first). *size is the
 * file's size; head[0 .. min(*size, n)) is filled. */
enum vq_status vq_db_head(struct vq_db *db, uint8_t *head, size_t n, uint64_t *size,
                          struct vq_err *err);

/* true: closing leaves a write-ahead log as it is instead of folding it into the file. */
void vq_db_keep_wal(struct vq_db *db, bool keep);

/* Runs statements that return nothing. */
enum vq_status vq_db_exec(struct vq_db *db, const char *sql, struct vq_err *err);

/* The first column of the first row of `sql`; 0 if there is no row. */
enum vq_status vq_db_int(struct vq_db *db, const char *sql, int64_t *out, struct vq_err *err);

/* Whether the file is in write-ahead mode, and changing that. VQ_EIO where the file system cannot
 * carry the mode; some show it only when the log is first read. */
enum vq_status vq_db_is_wal(struct vq_db *db, bool *wal, struct vq_err *err);
enum vq_status vq_db_set_wal(struct vq_db *db, bool wal, struct vq_err *err);

/*
 * A write transaction: begin (BEGIN IMMEDIATE: the write lock is taken here or not at all, so no
 * statement inside meets a lock), work, end. wait_ms is how long to wait for another writer, at
 * most; VQ_EBUSY after that. end() commits if `status` is VQ_OK, else rolls back, and returns
 * `status` or the commit's own failure; after it no transaction is open in either case.
 */
enum vq_status vq_db_begin(struct vq_db *db, unsigned wait_ms, struct vq_err *err);
enum vq_status vq_db_end(struct vq_db *db, enum vq_status status, struct vq_err *err);

/* Rows changed by the last statement that was stepped to its end. */
int64_t vq_db_changes(const struct vq_db *db);

/* The waiting time given at open, in ms. */
unsigned vq_db_busy_ms(const struct vq_db *db);

/* Sleeps a little, longer with each turn, with jitter: for loops around VQ_EBUSY. */
void vq_db_pause(unsigned turn);
/* Milliseconds of the steady clock. */
int64_t vq_db_now_ms(void);

/* One statement; values are bound to ?1, ?2, ... and never pasted into SQL. A failed binding is
 * reported by the next step. Strings and blobs are copied. */
enum vq_status vq_stmt_prepare(struct vq_stmt **out, struct vq_db *db, const char *sql,
                               struct vq_err *err);
void vq_stmt_free(struct vq_stmt *s);    /* s may be NULL */
void vq_stmt_reset(struct vq_stmt *s);   /* ready to run again; bindings stay */
void vq_stmt_recycle(struct vq_stmt *s); /* as after preparing: nothing is bound */

void vq_stmt_int(struct vq_stmt *s, int i, int64_t value);
void vq_stmt_real(struct vq_stmt *s, int i, double value);     /* NaN becomes NULL */
void vq_stmt_text(struct vq_stmt *s, int i, const char *text); /* NULL binds NULL */
void vq_stmt_bytes(struct vq_stmt *s, int i, const char *text, size_t len);
void vq_stmt_blob(struct vq_stmt *s, int i, const void *data, size_t len);
void vq_stmt_u64(struct vq_stmt *s, int i, uint64_t value); /* as decimal text */

/* How many values a statement takes, and the name of the i-th, counted from 1, with its ':', '@' or
 * '$'; NULL for a bare '?'. */
int vq_stmt_parameters(const struct vq_stmt *s);
const char *vq_stmt_parameter(const struct vq_stmt *s, int i);

/* *row is true when a row is there to be read; false at the end. */
enum vq_status vq_stmt_step(struct vq_stmt *s, bool *row, struct vq_err *err);
/* Steps a statement that gives no rows, and resets it. */
enum vq_status vq_stmt_run(struct vq_stmt *s, struct vq_err *err);

int vq_stmt_columns(const struct vq_stmt *s);
const char *vq_stmt_name(const struct vq_stmt *s, int column); /* until the statement is freed */

/* Columns of the current row, from 0; pointers last until the next step, reset or free. */
struct vq_value vq_column(struct vq_stmt *s, int column);
int64_t vq_column_int(struct vq_stmt *s, int column);
double vq_column_real(struct vq_stmt *s, int column);      /* NULL is NaN */
const char *vq_column_text(struct vq_stmt *s, int column); /* never NULL: "" for NULL */
uint64_t vq_column_u64(struct vq_stmt *s, int column);     /* 0 for NULL */

/*
 * For queries that people type: from now on this connection only reads. Writing, ATTACH,
 * transactions, extensions and PRAGMAs that set something fail at prepare with a plain message.
 */
enum vq_status vq_db_guard(struct vq_db *db, struct vq_err *err);

/* Prepares exactly one statement of a typed query on a guarded connection. On failure *offset is
 * the byte of `sql` it is about, or -1. Empty text and a second statement are refused. */
enum vq_status vq_stmt_typed(struct vq_stmt **out, struct vq_db *db, const char *sql, int *offset,
                             struct vq_err *err);

/* While set, a running statement polls `cancel` every few thousand instructions and then fails
 * with VQ_ECANCELLED. NULL ends it. The pointer is borrowed. */
void vq_db_cancel(struct vq_db *db, const struct vq_cancel *cancel);

#endif
