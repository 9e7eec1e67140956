/*
 * Opening: where the file lies, whose it is, how it is journalled, which format it has. What is
 * refused must keep every byte, and get no files beside it.
 */
#include "tests/unit/test_store_util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "core/store/db.h"
#include "core/store/internal.h"
#include "core/store/schema.h"

static int mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* The journal mode that the file's header names: 1 rollback, 2 write-ahead. */
static int journal_of(const char *path)
{
    size_t size;
    uint8_t *bytes = read_bytes(path, &size);
    assert_true(size >= 100 && size != SIZE_MAX);
    int mode = bytes[18];
    free(bytes);
    return mode;
}

static bool exists(const char *path, const char *suffix)
{
    char name[300];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

static void copy_file(const char *from, const char *to)
{
    size_t size;
    uint8_t *bytes = read_bytes(from, &size);
    assert_non_null(bytes);
    write_bytes(to, bytes, size);
    free(bytes);
}

/* The file, its log and its index, as they are. */
struct picture {
    uint8_t *bytes[3];
    size_t size[3];
};

static struct picture take_picture(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-journal"};
    struct picture p;
    for (int i = 0; i < 3; i++) {
        char name[300];
        snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
        p.bytes[i] = read_bytes(name, &p.size[i]);
    }
    return p;
}

/* Nothing has changed since; frees the picture. */
static void assert_untouched(const char *path, struct picture *before)
{
    struct picture now = take_picture(path);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(now.size[i], before->size[i]);
        if (now.bytes[i])
            assert_memory_equal(now.bytes[i], before->bytes[i], now.size[i]);
        free(now.bytes[i]);
        free(before->bytes[i]);
    }
}

/* A plain SQLite file made by `sql`. With `torn`, as a crash leaves it: the last changes only in
 * the write-ahead log. */
static void make_database(const char *path, const char *sql, bool torn)
{
    struct vq_db *db;
    const char *made = in_scratch("made.db");
    write_bytes(made, "", 0);
    ok(vq_db_open(&db, made, VQ_DB_WRITE, 1000, err));
    if (torn)
        ok(vq_db_set_wal(db, true, err));
    ok(vq_db_exec(db, sql, err));
    if (torn) {
        char from[300], to[300];
        snprintf(from, sizeof(from), "%s-wal", made);
        snprintf(to, sizeof(to), "%s-wal", path);
        copy_file(from, to);
    }
    copy_file(made, path);
    vq_db_close(db);
    unlink(made);
}

static void assert_refused(const char *path, enum vq_status status, const char *part)
{
    struct vq_store *store;
    struct picture before = take_picture(path);
    bool shm = exists(path, "-shm");
    fails(status, part, vq_store_open(&store, path, NULL, err));
    assert_null(store);
    if (before.size[1] == SIZE_MAX)
        assert_int_equal(exists(path, "-shm"), shm);
    assert_untouched(path, &before);
}

static void test_creates_private_files(void **state)
{
    (void)state;
    mode_t mask = umask(022);
    const char *path = in_scratch("a/b c/runs.db");
    struct vq_store *store = open_store(path);
    assert_int_equal(mode_of(in_scratch("a")), 0700);
    assert_int_equal(mode_of(in_scratch("a/b c")), 0700);
    assert_int_equal(mode_of(path), 0600);
    end_run(begin_run(store, "x"));
    assert_int_equal(mode_of(in_scratch("a/b c/runs.db-wal")), 0600);
    assert_int_equal(journal_of(path), 2);
    assert_string_equal(vq_store_note(store), "");
    assert_false(vq_store_readonly(store));
    assert_int_equal(vq_store_recovered(store), 0);
    assert_string_equal(vq_store_path(store), path);
    vq_store_close(store);
    assert_false(exists(path, "-wal") || exists(path, "-shm"));
    umask(mask);
}

static void test_spellings(void **state)
{
    (void)state;
    char home[4096];
    assert_non_null(getcwd(home, sizeof(home)));
    assert_int_equal(chdir(scratch), 0);
    static const char *const names[] = {
        ":memory:", "file:x?mode=memory", "per%41cent#a?b.db", "-dash.db", "sp ace's.db", "\xff.db",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vq_store *store = open_store(names[i]);
        end_run(begin_run(store, "x"));
        vq_store_close(store);
        assert_true(exists(names[i], ""));
        struct vq_store_options look = {.readonly = true, .network = true};
        ok(vq_store_open(&store, names[i], &look, err));
        assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
        vq_store_close(store);
    }
    assert_int_equal(chdir(home), 0);
    struct vq_store *store;
    fails(VQ_EINVAL, "file name", vq_store_open(&store, "", NULL, err));
}

static void test_empty_files_are_taken(void **state)
{
    (void)state;
    const char *path = in_scratch("zero.db");
    write_bytes(path, "", 0);
    vq_store_close(open_store(path));
    path = in_scratch("empty.db");
    make_database(path, "CREATE TABLE t(x); DROP TABLE t", false);
    struct vq_store *store = open_store(path);
    end_run(begin_run(store, "x"));
    vq_store_close(store);
    store = open_store(path);
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    vq_store_close(store);
}

static void test_refuses_other_files(void **state)
{
    (void)state;
    const char *path = in_scratch("other");
    static const char text[] = "These are my notes and not a database. They are longer than the "
                               "header of a SQLite file, which takes a hundred bytes.\n";
    write_bytes(path, text, sizeof(text) - 1);
    assert_refused(path, VQ_EFORMAT, "a text file");
    write_bytes(path, "x", 1);
    assert_refused(path, VQ_EFORMAT, "expected a run database");
    write_bytes(path, "SQLite format 3", 16);
    assert_refused(path, VQ_EFORMAT, "expected a run database");
    write_bytes(path, "\x89PNG\r\n\x1a\n\0\0", 10);
    assert_refused(path, VQ_EFORMAT, "a PNG image");
    struct vq_store *store;
    fails(VQ_EINVAL, "a folder", vq_store_open(&store, scratch, NULL, err));
    fails(VQ_EINVAL, "a device", vq_store_open(&store, "/dev/null", NULL, err));
    fails(VQ_EIO, "Not a directory", vq_store_open(&store, in_scratch("other/x.db"), NULL, err));
    path = in_scratch("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    fails(VQ_EINVAL, "pipe", vq_store_open(&store, path, NULL, err));
}

static void test_refuses_other_databases(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *part;
    } others[] = {
        {"PRAGMA application_id=77; CREATE TABLE t(x)", "0x0000004d"},
        {"PRAGMA application_id=77", "another program"},
        {"CREATE TABLE notes(x); INSERT INTO notes VALUES(1)", "not ours"},
        {"PRAGMA user_version=3; CREATE TABLE t(x)", "not ours"},
        {"PRAGMA user_version=3", "not ours"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *path = in_scratch("foreign.db");
        make_database(path, others[i].sql, false);
        assert_refused(path, VQ_EFORMAT, others[i].part);
        path = in_scratch("torn.db");
        make_database(path, others[i].sql, true);
        assert_refused(path, VQ_EFORMAT, others[i].part);
        assert_true(exists(path, "-wal"));
        unlink(in_scratch("torn.db-wal"));
        unlink(in_scratch("torn.db-shm"));
    }
}

static void test_refuses_newer_formats(void **state)
{
    (void)state;
    const char *path = in_scratch("newer.db");
    struct vq_store *store = open_store(path);
    end_run(begin_run(store, "x"));
    vq_store_close(store);
    poke_be32(path, 60, 9);
    assert_refused(path, VQ_EUNSUPPORTED, "its format is 9, this version knows up to 4");
    assert_false(exists(path, "-wal"));
    poke_be32(path, 60, (uint32_t)vq_schema_current.n);
    vq_store_close(open_store(path));
    /* The number is still in the log only. */
    path = in_scratch("newertorn.db");
    make_database(
        path, "PRAGMA application_id=1987146600; PRAGMA user_version=9; CREATE TABLE t(x)", true);
    assert_refused(path, VQ_EUNSUPPORTED, "newer version");
}

static void test_damaged_file(void **state)
{
    (void)state;
    const char *path = in_scratch("damaged.db");
    vq_store_close(open_store(path));
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 100, SEEK_SET);
    for (int i = 0; i < 20000; i++)
        fputc(0xa5, f);
    fclose(f);
    struct vq_store *store;
    fails(VQ_EFORMAT, "damaged", vq_store_open(&store, path, NULL, err));
}

/* Runs `body` in a process without the rights of root; its failures become ours. */
static void without_rights(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(99);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In the child of without_rights() cmocka's own asserts have nobody to tell. */
static void need(bool condition, int code)
{
    if (!condition)
        _exit(code);
}

static bool count_row(void *ud, const struct vq_run_info *run)
{
    (void)run;
    ++*(int *)ud;
    return true;
}

static void read_only_body(void)
{
    static const char *const paths[] = {"ro/file.db", "closed/runs.db"};
    for (int i = 0; i < 2; i++) {
        struct vq_err e = {0};
        struct vq_store *store;
        struct vq_run *run;
        struct first_value f = {0};
        int rows = 0;
        need(vq_store_open(&store, in_scratch(paths[i]), NULL, &e) == VQ_OK, 10 + i);
        need(vq_store_readonly(store), 20 + i);
        need(strstr(vq_store_note(store), "read-only") != NULL, 30 + i);
        need(vq_store_runs(store, NULL, count_row, &rows, NULL, &e) == VQ_OK && rows == 1, 40 + i);
        need(vq_store_query(store, "SELECT count(*) FROM runs", keep_first, &f, NULL, NULL, &e) ==
                     VQ_OK &&
                 f.value.i == 1,
             50 + i);
        need(vq_run_begin(store, &(struct vq_run_spec){.command = "x"}, &run, &e) ==
                 VQ_EUNSUPPORTED,
             60 + i);
        need(strstr(e.msg, "read-only") != NULL, 70 + i);
        vq_store_close(store);
    }
}

static void no_rights_body(void)
{
    struct vq_err e = {0};
    struct vq_store *store;
    need(vq_store_open(&store, in_scratch("closed/new.db"), NULL, &e) == VQ_EIO, 1);
    need(strstr(e.msg, "cannot create") != NULL && strstr(e.msg, "ermission") != NULL, 2);
    need(vq_store_open(&store, in_scratch("closed/sub/new.db"), NULL, &e) == VQ_EIO, 3);
    need(strstr(e.msg, "cannot make the folder") != NULL, 4);
    need(vq_store_open(&store, in_scratch("closed/secret.db"), NULL, &e) == VQ_EIO, 5);
    need(strstr(e.msg, "cannot read") != NULL, 6);
}

static void test_read_only_places(void **state)
{
    (void)state;
    static const char *const paths[] = {"ro/file.db", "closed/runs.db", "closed/secret.db"};
    for (int i = 0; i < 3; i++) {
        struct vq_store *store = open_store(in_scratch(paths[i]));
        end_run(begin_run(store, "x"));
        vq_store_close(store);
        assert_int_equal(chmod(in_scratch(paths[i]), i < 2 ? 0444 : 0), 0);
    }
    assert_int_equal(chmod(in_scratch("ro"), 0777), 0);
    assert_int_equal(chmod(in_scratch("closed"), 0555), 0);
    without_rights(read_only_body);
    without_rights(no_rights_body);
    assert_int_equal(chmod(in_scratch("closed"), 0755), 0);
}

static void test_read_only_on_request(void **state)
{
    (void)state;
    struct vq_store_options look = {.readonly = true};
    struct vq_store *store;
    const char *path = in_scratch("asked.db");
    fails(VQ_ENOTFOUND, "asked.db", vq_store_open(&store, path, &look, err));
    assert_false(exists(path, ""));
    write_bytes(path, "", 0);
    fails(VQ_EFORMAT, "empty", vq_store_open(&store, path, &look, err));
    struct vq_store *writer = open_store(path);
    ok(vq_store_open(&store, path, &look, err));
    struct vq_run *run = begin_run(writer, "x");
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    char id[VQ_RUN_ID_SIZE];
    ok(vq_store_find(store, "-1", id, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_remove(store, id, true, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_tag(store, id, "t", NULL, err));
    end_run(run);
    vq_store_close(store);
    vq_store_close(writer);
    poke_be32(path, 60, 1);
    fails(VQ_EUNSUPPORTED, "older format 1", vq_store_open(&store, path, &look, err));
}

static void test_network_file_system(void **state)
{
    (void)state;
    struct vq_store_options network = {.network = true};
    struct vq_store *store;
    const char *path = in_scratch("net.db");
    ok(vq_store_open(&store, path, &network, err));
    assert_non_null(strstr(vq_store_note(store), "network file system"));
    end_run(begin_run(store, "x"));
    assert_int_equal(journal_of(path), 1);
    assert_false(exists(path, "-wal") || exists(path, "-shm"));
    struct vq_store *second;
    ok(vq_store_open(&second, path, &network, err)); /* no lock stays behind */
    end_run(begin_run(second, "x"));
    end_run(begin_run(store, "x"));
    vq_store_close(second);
    vq_store_close(store);
    store = open_store(path); /* on a local disk it stays as it is */
    assert_int_equal(journal_of(path), 1);
    assert_string_equal(vq_store_note(store), "");
    vq_store_close(store);
    /* Carried there from a local disk, the clean log is turned into a journal. */
    path = in_scratch("carried.db");
    store = open_store(path);
    end_run(begin_run(store, "x"));
    vq_store_close(store);
    assert_int_equal(journal_of(path), 2);
    ok(vq_store_open(&store, path, &network, err));
    assert_int_equal(journal_of(path), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    assert_false(exists(path, "-wal") || exists(path, "-shm"));
    ok(vq_store_open(&second, path, &network, err));
    end_run(begin_run(second, "x"));
    end_run(begin_run(store, "x"));
    vq_store_close(second);
    vq_store_close(store);
}

static void test_network_leaves_logs_alone(void **state)
{
    (void)state;
    const char *live = in_scratch("live.db"), *path = in_scratch("netlog.db");
    struct vq_store *store = open_store(live);
    end_run(begin_run(store, "x"));
    copy_file(live, path);
    copy_file(in_scratch("live.db-wal"), in_scratch("netlog.db-wal"));
    vq_store_close(store);
    path = in_scratch("netlog.db");
    struct picture before = take_picture(path);
    struct vq_store_options network = {.network = true};
    fails(VQ_EUNSUPPORTED, "netlog.db-wal", vq_store_open(&store, path, &network, err));
    assert_false(exists(path, "-shm"));
    assert_untouched(path, &before);
}

/* A link that leads nowhere, in the place of the log's index, stands for a file system without
 * shared memory. */
static void test_file_system_without_shared_memory(void **state)
{
    (void)state;
    const char *path = in_scratch("noshm.db");
    const char *shm = in_scratch("noshm.db-shm");
    assert_int_equal(symlink(shm, shm), 0);
    for (int i = 1; i <= 2; i++) {
        struct vq_store *store = open_store(path);
        assert_true(i > 1 || strstr(vq_store_note(store), "cannot carry a write-ahead log"));
        end_run(begin_run(store, "x"));
        assert_int_equal(ask(store, "SELECT count(*) FROM runs"), i);
        assert_int_equal(journal_of(path), 1);
        vq_store_close(store);
    }
    /* A file in write-ahead mode comes here, with changes still in its log. */
    const char *live = in_scratch("live2.db");
    struct vq_store *store = open_store(live);
    end_run(begin_run(store, "x"));
    copy_file(live, path);
    copy_file(in_scratch("live2.db-wal"), in_scratch("noshm.db-wal"));
    vq_store_close(store);
    store = open_store(in_scratch("noshm.db"));
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(journal_of(in_scratch("noshm.db")), 1);
    vq_store_close(store);
}

static void test_migration(void **state)
{
    (void)state;
    static const struct vq_schema_step steps[] = {
        {"CREATE TABLE t(a); INSERT INTO t VALUES(1)"},
        {"ALTER TABLE t ADD COLUMN b DEFAULT 7"},
        {"CREATE TABLE u(x); INSERT INTO nosuch VALUES(1)"},
    };
    const struct vq_schema one = {steps, 1}, two = {steps, 2}, three = {steps, 3};
    const char *path = in_scratch("steps.db");
    struct vq_db *db;
    int version;
    int64_t n;
    write_bytes(path, "", 0);
    ok(vq_db_open(&db, path, VQ_DB_WRITE, 1000, err));
    ok(vq_schema_migrate(&one, db, path, err));
    ok(vq_schema_check(&two, db, path, &version, err));
    assert_int_equal(version, 1);
    fails(VQ_EINVAL, "nosuch", vq_schema_migrate(&three, db, path, err));
    ok(vq_schema_check(&three, db, path, &version, err));
    assert_int_equal(version, 1); /* step 2 went back with step 3 */
    ok(vq_schema_migrate(&two, db, path, err));
    ok(vq_schema_migrate(&two, db, path, err));
    ok(vq_db_int(db, "SELECT a + b FROM t", &n, err));
    assert_int_equal(n, 8);
    fails(VQ_EUNSUPPORTED, "newer", vq_schema_migrate(&one, db, path, err));
    fails(VQ_EUNSUPPORTED, "newer", vq_schema_check(&one, db, path, &version, err));
    vq_db_close(db);
}

/* Files of released formats open for ever. Each was filled through the API of its time, and
 * vacuumed with 512-byte pages to be small. */
static void test_old_formats(void **state)
{
    (void)state;
    static const char *const fixtures[] = {"format1.db", "format2.db"};
    for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
        char from[64];
        const char *path = in_scratch(fixtures[i]);
        snprintf(from, sizeof(from), "tests/data/store/%s", fixtures[i]);
        copy_file(from, path);
        struct vq_store *store = open_store(path);
        assert_int_equal(ask(store, "PRAGMA user_version"), vq_schema_current.n);
        assert_int_equal(ask(store, "SELECT count(*) FROM v_runs"), 2);
        assert_text(store, "SELECT value FROM v_metric_last WHERE metric = 'loss'", "NaN");
        struct vq_run_info *info;
        ok(vq_store_run(store, "fixture", &info, err));
        assert_int_equal(info->status, VQ_RUN_FINISHED);
        assert_true(info->seed == UINT64_MAX);
        assert_string_equal(info->tags, "old");
        free(info);
        /* It ran on another machine, of which we know nothing. */
        assert_int_equal(status_of(store, "elsewhere"), VQ_RUN_RUNNING);
        end_run(begin_run(store, "x"));
        vq_store_close(store);
    }
}

static void test_held_file_is_busy_not_locked(void **state)
{
    (void)state;
    const char *path = in_scratch("held.db");
    struct vq_store_options quick = {.busy_ms = 150};
    struct vq_store *store, *holder = open_store(path);
    ok(vq_store_open(&store, path, &quick, err));
    struct vq_run *run = begin_run(store, "train");
    ok(vq_run_metric(run, "loss", 1, 1, err));
    ok(vq_store_begin(holder, err));
    struct vq_err e = {0};
    int64_t from = vq_db_now_ms();
    assert_int_equal(vq_run_result_int(run, "n", 1, &e), VQ_EBUSY);
    int64_t took = vq_db_now_ms() - from;
    assert_true(took >= 140 && took < 3000);
    assert_non_null(strstr(e.msg, "another process"));
    assert_null(strstr(e.msg, "lock"));
    fails(VQ_EBUSY, "another process", vq_run_finish(run, VQ_RUN_FINISHED, NULL, err));
    /* On the way, points wait in silence. */
    for (int i = 2; i <= 8192; i++)
        ok(vq_run_metric(run, "loss", i, i, err));
    vq_store_close(open_store(path)); /* opening asks for no lock */
    assert_int_equal(vq_db_end(holder->db, VQ_OK, &e), VQ_OK);
    ok(vq_run_finish(run, VQ_RUN_FINISHED, NULL, err));
    assert_int_equal(ask(store, "SELECT count(*) FROM metrics"), 8192);
    vq_run_free(run);
    vq_store_close(store);
    vq_store_close(holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_creates_private_files),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_empty_files_are_taken),
        cmocka_unit_test(test_refuses_other_files),
        cmocka_unit_test(test_refuses_other_databases),
        cmocka_unit_test(test_refuses_newer_formats),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_read_only_places),
        cmocka_unit_test(test_read_only_on_request),
        cmocka_unit_test(test_network_file_system),
        cmocka_unit_test(test_network_leaves_logs_alone),
        cmocka_unit_test(test_file_system_without_shared_memory),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_old_formats),
        cmocka_unit_test(test_held_file_is_busy_not_locked),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
