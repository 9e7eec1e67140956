/*
 * Opening the run database: where it may be, whose it is, how it is journalled, and which runs
 * died since. Everything is decided before the first byte is written, so that a file that is not
 * ours stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/store/internal.h"
#include "core/store/schema.h"

#define BUSY_MS 10000

/* What is known about the place while opening. */
struct place {
    bool network;     /* other machines may write here */
    bool rollback;    /* write-ahead mode is unsafe here, or does not work */
    bool dir_closed;  /* no new files beside it */
    bool wal_mode;    /* by its header */
    bool wal_exists;  /* a write-ahead log lies beside it, */
    bool wal_pending; /* and has changes in it */
};

static void add_note(struct vq_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add_note(struct vq_store *s, const char *fmt, ...)
{
    size_t used = strlen(s->note);
    if (used && used + 1 < sizeof(s->note))
        s->note[used++] = '\n';
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->note + used, sizeof(s->note) - used, fmt, ap);
    va_end(ap);
}

enum vq_status vq_make_folders(const char *path, unsigned mode, struct vq_err *err)
{
    char *copy = vq_strdup(path);
    if (!copy)
        return vq_nomem(err, path, strlen(path), 1);
    enum vq_status status = VQ_OK;
    for (char *p = copy + 1; *p && status == VQ_OK; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        struct stat st;
        /* A folder made by another process meanwhile is as good. */
        if (stat(copy, &st) != 0 && mkdir(copy, (mode_t)mode) != 0 && errno != EEXIST)
            status = vq_fail_errno(err, errno, "%s: cannot make the folder %s", path, copy);
        *p = '/';
    }
    free(copy);
    return status;
}

/* Creates the file, empty and private, unless there is one. The descriptor is closed only for a
 * file that is new: closing one of an open database would drop that connection's locks. */
static enum vq_status make_file(const char *path, struct vq_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return VQ_OK;
    enum vq_status status = vq_make_folders(path, 0700, err);
    if (status != VQ_OK)
        return status;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return vq_fail_errno(err, errno, "%s: cannot create the run database", path);
    return VQ_OK;
}

/* Whether this process may, by its effective ids. */
static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

static enum vq_status look_around(const struct vq_store *s, struct place *place, struct vq_err *err)
{
    char dir[PATH_MAX], wal[PATH_MAX + 8];
    struct stat st;
    snprintf(dir, sizeof(dir), "%s", s->path);
    char *slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return vq_fail_errno(err, errno, "%s: cannot reach its folder", s->path);
    place->network = place->network || vq_fd_on_network(fd);
    close(fd);
    place->rollback = place->network;
    place->dir_closed = !may(dir, W_OK | X_OK);
    snprintf(wal, sizeof(wal), "%s-wal", s->path);
    place->wal_exists = stat(wal, &st) == 0;
    place->wal_pending = place->wal_exists && st.st_size > 0;
    return VQ_OK;
}

/* Fills s->path and s->readonly, and creates the file where that is wanted. */
static enum vq_status locate(struct vq_store *s, const char *path, struct place *place,
                             struct vq_err *err)
{
    if (!path[0])
        return vq_fail(err, VQ_EINVAL, "the run database needs a file name");
    enum vq_status status = s->readonly ? VQ_OK : make_file(path, err);
    if (status != VQ_OK)
        return status;
    char full[PATH_MAX];
    if (!realpath(path, full))
        return vq_fail_errno(err, errno, "%s", path);
    struct stat st;
    if (stat(full, &st) != 0)
        return vq_fail_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return vq_fail(err, VQ_EINVAL, "%s: expected a file for the run database, found %s", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "a device or pipe");
    if (st.st_size == 1) /* which SQLite would take for an empty file */
        return vq_fail(err, VQ_EFORMAT, "%s: expected a run database, found a file of one byte",
                       path);
    if (!may(full, R_OK))
        return vq_fail_errno(err, errno, "%s: cannot read the run database", path);
    s->path = vq_strdup(full);
    if (!s->path)
        return vq_nomem(err, path, strlen(full), 1);
    status = look_around(s, place, err);
    if (status == VQ_OK && !s->readonly && (place->dir_closed || !may(full, W_OK))) {
        s->readonly = true;
        add_note(s, "%s: %s cannot be written to; opened read-only, nothing will be recorded",
                 s->path, place->dir_closed ? "its folder" : "it");
    }
    return status;
}

static enum vq_status refuse_network_wal(const struct vq_store *s, struct vq_err *err)
{
    return vq_fail(err, VQ_EUNSUPPORTED,
                   "%s: lies on a network file system with unwritten changes in %s-wal; using "
                   "both from here can destroy them: open it once on the machine that wrote it, or "
                   "give another file",
                   s->path, s->path);
}

/* Opens the connection and refuses what is not ours by the file's first bytes. */
static enum vq_status connect(struct vq_store *s, struct place *place, struct vq_err *err)
{
    uint8_t head[100] = {0};
    uint64_t size;
    enum vq_status status =
        vq_db_open(&s->db, s->path, s->readonly ? VQ_DB_READ : VQ_DB_WRITE, s->busy_ms, err);
    if (status == VQ_OK)
        status = vq_db_head(s->db, head, sizeof(head), &size, err);
    if (status == VQ_OK)
        status = vq_schema_judge(&vq_schema_current, head, size, s->path, err);
    if (status != VQ_OK)
        return status;
    place->wal_mode = vq_schema_head_is_wal(head, size);
    if (place->network && place->wal_mode && place->wal_pending)
        return refuse_network_wal(s, err);
    if (s->readonly && size == 0)
        return vq_fail(err, VQ_EFORMAT, "%s: is empty and cannot be written to", s->path);
    /* Write-ahead mode needs its side files even to read. Where they cannot be made and there are
     * none, nobody is writing, so the file may be read as it lies. */
    s->immutable = s->readonly && place->wal_mode &&
                   (place->network || (place->dir_closed && !place->wal_exists));
    if (s->immutable) {
        vq_db_close(s->db);
        status = vq_db_open(&s->db, s->path, VQ_DB_IMMUTABLE, s->busy_ms, err);
    }
    if (status == VQ_OK && place->wal_pending)
        vq_db_keep_wal(s->db, true);
    return status;
}

static enum vq_status check_readonly(struct vq_store *s, struct vq_err *err)
{
    int version;
    enum vq_status status = vq_schema_check(&vq_schema_current, s->db, s->path, &version, err);
    if (status == VQ_OK && version < vq_schema_current.n)
        status = vq_fail(err, VQ_EUNSUPPORTED,
                         "%s: has the older format %d and must be written to once to be read; open "
                         "it with the right to write",
                         s->path, version);
    return status;
}

/* With exclusive locking SQLite keeps the index of a write-ahead log in this process instead of in
 * shared memory: the way to read, and turn back, a file in write-ahead mode where that is not to be
 * had. Holds until choose_rollback() has turned it back. */
static enum vq_status lock_alone(struct vq_store *s, struct vq_err *err)
{
    return vq_db_exec(s->db, "PRAGMA locking_mode=exclusive", err);
}

static enum vq_status choose_rollback(struct vq_store *s, struct vq_err *err)
{
    enum vq_status status = vq_db_set_wal(s->db, false, err);
    if (status != VQ_OK)
        return status;
    return vq_db_exec(s->db, "PRAGMA locking_mode=normal; PRAGMA synchronous=full", err);
}

static enum vq_status choose_wal(struct vq_store *s, struct vq_err *err)
{
    enum vq_status status = vq_db_set_wal(s->db, true, err);
    if (status != VQ_OK)
        return status;
    return vq_db_exec(s->db, "PRAGMA synchronous=normal; PRAGMA journal_size_limit=16777216", err);
}

/* A new file gets a write-ahead log. An older one keeps what it has: turning it, and perhaps back
 * where that does not work, would pull the journal from under others at each open. */
static enum vq_status choose_journal(struct vq_store *s, const struct place *place, bool is_new,
                                     struct vq_err *err)
{
    bool wal = false;
    int64_t ignored;
    enum vq_status status = VQ_OK;
    if (!place->rollback)
        status = vq_db_is_wal(s->db, &wal, err);
    if (status == VQ_OK)
        status = wal || (is_new && !place->rollback) ? choose_wal(s, err) : choose_rollback(s, err);
    /* A reading lets go of an exclusive lock, and shows whether a log can be had. */
    if (status == VQ_OK)
        status = vq_db_int(s->db, "SELECT count(*) FROM sqlite_master", &ignored, err);
    return status;
}

static enum vq_status set_up_once(struct vq_store *s, const struct place *place, struct vq_err *err)
{
    int version;
    enum vq_status status = VQ_OK;
    if (place->rollback && place->wal_mode)
        status = lock_alone(s, err);
    if (status == VQ_OK)
        status = vq_schema_check(&vq_schema_current, s->db, s->path, &version, err);
    if (status != VQ_OK)
        return status;
    vq_db_keep_wal(s->db, false);
    status = choose_journal(s, place, version == 0, err);
    if (status == VQ_OK && version < vq_schema_current.n)
        status = vq_schema_migrate(&vq_schema_current, s->db, s->path, err);
    if (status == VQ_OK)
        status = vq_db_exec(s->db, "PRAGMA foreign_keys=on", err);
    return status;
}

/* When many programs create the file together, a step can meet a lock for which SQLite does not
 * wait, as that might be a deadlock; so the whole of it is repeated. */
static enum vq_status set_up_waiting(struct vq_store *s, const struct place *place,
                                     struct vq_err *err)
{
    int64_t until = vq_db_now_ms() + s->busy_ms;
    for (unsigned turn = 0;; turn++) {
        enum vq_status status = set_up_once(s, place, err);
        if (status != VQ_EBUSY || vq_db_now_ms() >= until)
            return status;
        vq_db_pause(turn);
    }
}

/* An I/O error may mean that write-ahead mode does not work here: once more without it, on a new
 * connection, as the old one holds on to the log. If that fails too, the first error is the one
 * that tells. */
static enum vq_status set_up(struct vq_store *s, struct place *place, struct vq_err *err)
{
    struct vq_err first = {0}, second;
    enum vq_status status = set_up_waiting(s, place, &first);
    if (status == VQ_EIO && !place->rollback) {
        place->rollback = true;
        vq_db_close(s->db);
        if (connect(s, place, &second) == VQ_OK && set_up_waiting(s, place, &second) == VQ_OK)
            return VQ_OK;
    }
    if (status != VQ_OK && err)
        *err = first;
    return status;
}

static void note_journal(struct vq_store *s, const struct place *place)
{
    if (place->rollback)
        add_note(s, "%s: %s; using a rollback journal, which is slower when several programs write",
                 s->path,
                 place->network ? "lies on a network file system"
                                : "its file system cannot carry a write-ahead log");
}

static enum vq_status mark_crashed(struct vq_store *s, const char *id, struct vq_err *err)
{
    struct vq_stmt *u;
    enum vq_status status = vq_stmt_prepare(
        &u, s->db,
        "UPDATE runs SET status = 'crashed', error = 'its process ended without a word'"
        " WHERE id = ?1 AND status = 'running'",
        err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(u, 1, id);
    status = vq_stmt_run(u, err);
    if (status == VQ_OK)
        s->recovered += (size_t)vq_db_changes(s->db);
    vq_stmt_free(u);
    return status;
}

/* Walks this host's running runs; with `mark` the dead ones become crashed, else *dead is set if
 * there is one, and *gone (may be NULL) if `id` is among them. */
static enum vq_status find_dead(struct vq_store *s, bool mark, bool *dead, const char *id,
                                bool *gone, struct vq_err *err)
{
    struct vq_stmt *q;
    enum vq_status status = vq_stmt_prepare(&q, s->db,
                                            "SELECT id, boot_id, pid, pid_start FROM runs"
                                            " WHERE status = 'running' AND host = ?1",
                                            err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(q, 1, s->self.host);
    bool row = false;
    while ((status = vq_stmt_step(q, &row, err)) == VQ_OK && row) {
        struct vq_proc p = {.pid = vq_column_int(q, 2), .start = vq_column_int(q, 3)};
        snprintf(p.boot_id, sizeof(p.boot_id), "%s", vq_column_text(q, 1));
        if (!vq_proc_is_gone(&p, &s->self))
            continue;
        *dead = true;
        if (gone && strcmp(vq_column_text(q, 0), id) == 0)
            *gone = true;
        if (mark && (status = mark_crashed(s, vq_column_text(q, 0), err)) != VQ_OK)
            break;
    }
    vq_stmt_free(q);
    return status;
}

/* Looks before it writes: the usual open finds nobody dead and takes no lock. */
enum vq_status vq_store_recover(struct vq_store *store, const char *id, bool *gone,
                                struct vq_err *err)
{
    bool dead = false;
    if (gone)
        *gone = false;
    enum vq_status status = find_dead(store, false, &dead, id, gone, err);
    if (status != VQ_OK || !dead || store->readonly)
        return status;
    status = vq_store_begin(store, err);
    if (status != VQ_OK)
        return status;
    return vq_db_end(store->db, find_dead(store, true, &dead, id, NULL, err), err);
}

/* On a full disk what was stored can still be read. That not even the log's side files could be
 * made shows that no other process is writing: theirs would be there. */
static enum vq_status set_up_to_read(struct vq_store *s, struct place *place,
                                     const struct vq_err *why, struct vq_err *err)
{
    struct vq_err ignored = {0};
    vq_db_close(s->db);
    s->db = NULL;
    s->readonly = true;
    enum vq_status status = look_around(s, place, &ignored);
    place->dir_closed = true;
    place->wal_exists = place->wal_pending;
    if (status == VQ_OK)
        status = connect(s, place, &ignored);
    if (status == VQ_OK)
        status = check_readonly(s, &ignored);
    if (status == VQ_OK) {
        add_note(s, "%s; opened read-only, nothing will be recorded", why->msg);
        return VQ_OK;
    }
    if (err)
        *err = *why;
    return why->code;
}

/* Runs that cannot be marked as crashed now are found again by the next open. */
static enum vq_status recover(struct vq_store *s, struct vq_err *err)
{
    struct vq_err why = {0};
    enum vq_status status = vq_store_recover(s, NULL, NULL, &why);
    if (status == VQ_EIO || status == VQ_EBUSY) {
        add_note(s, "runs whose process died show as running: %s", why.msg);
        return VQ_OK;
    }
    if (status != VQ_OK && err)
        *err = why;
    return status;
}

static enum vq_status open_steps(struct vq_store *s, const char *path, struct place *place,
                                 struct vq_err *err)
{
    struct vq_err why = {0};
    enum vq_status status = locate(s, path, place, err);
    if (status == VQ_OK)
        status = connect(s, place, err);
    if (status != VQ_OK)
        return status;
    status = s->readonly ? check_readonly(s, &why) : set_up(s, place, &why);
    if (status == VQ_EIO && !s->readonly)
        status = set_up_to_read(s, place, &why, err);
    else if (status != VQ_OK && err)
        *err = why;
    if (status == VQ_OK)
        status = vq_db_exec(s->db, VQ_DB_CACHE, err);
    if (status != VQ_OK || s->readonly)
        return status;
    note_journal(s, place);
    return recover(s, err);
}

enum vq_status vq_store_open(struct vq_store **out, const char *path,
                             const struct vq_store_options *options, struct vq_err *err)
{
    *out = NULL;
    struct vq_store *s = vq_calloc(1, sizeof(*s));
    if (!s)
        return vq_nomem(err, path, 1, sizeof(*s));
    vq_proc_self(&s->self);
    s->readonly = options && options->readonly;
    s->busy_ms = options && options->busy_ms ? options->busy_ms : BUSY_MS;
    struct place place = {.network = options && options->network};
    enum vq_status status = open_steps(s, path, &place, err);
    if (status != VQ_OK) {
        vq_store_close(s);
        return status;
    }
    *out = s;
    return VQ_OK;
}

enum vq_status vq_store_begin(struct vq_store *store, struct vq_err *err)
{
    if (store->readonly)
        return vq_fail(err, VQ_EUNSUPPORTED, "%s: is open read-only; nothing can be recorded",
                       store->path);
    return vq_db_begin(store->db, store->busy_ms, err);
}

void vq_store_close(struct vq_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < VQ_KEPT; i++)
        vq_stmt_free(store->kept[i].stmt);
    /* The writing connection goes last: it folds the write-ahead log into the file. */
    vq_db_close(store->reader);
    vq_db_close(store->db);
    free(store->path);
    free(store);
}

const char *vq_store_note(const struct vq_store *store)
{
    return store->note;
}

bool vq_store_readonly(const struct vq_store *store)
{
    return store->readonly;
}

const char *vq_store_path(const struct vq_store *store)
{
    return store->path;
}

size_t vq_store_recovered(const struct vq_store *store)
{
    return store->recovered;
}
