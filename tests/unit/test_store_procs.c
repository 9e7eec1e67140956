/*
 * Several processes on one run database, and processes that die in the middle. Children are forked
 * while the parent has nothing open, speak through their exit code, and never return.
 */
#include "tests/unit/test_store_util.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "core/store/db.h"
#include "core/store/dump.h"
#include "core/store/internal.h"

/* In a child: leave with `code` and say why. */
static void need(enum vq_status status, int code, const struct vq_err *err)
{
    if (status == VQ_OK)
        return;
    fprintf(stderr, "child: %s\n", err->msg);
    _exit(code);
}

static pid_t start(void (*body)(int i), int i)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body(i);
        _exit(0);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Children block on `gate` until all have been started. */
static int gate[2];

/* n children through the gate at once; all must succeed. */
static void together(void (*body)(int i), int n)
{
    pid_t pids[64];
    assert_true(n <= 64 && pipe(gate) == 0);
    for (int i = 0; i < n; i++)
        pids[i] = start(body, i);
    close(gate[0]);
    close(gate[1]);
    int failed = 0;
    for (int i = 0; i < n; i++)
        failed += end_of(pids[i]) != 0;
    assert_int_equal(failed, 0);
}

static void pass_gate(void)
{
    char c;
    close(gate[1]);
    if (read(gate[0], &c, 1) != 0)
        _exit(90);
    close(gate[0]);
}

static const char *shared_path; /* the database of the test in progress */
static bool shared_network;

static void newcomer(int i)
{
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_run *run;
    struct vq_store_options options = {.network = shared_network};
    struct vq_run_spec spec = {.command = "sample", .has_seed = true, .seed = (uint64_t)i};
    pass_gate();
    need(vq_store_open(&store, shared_path, &options, &e), 1, &e);
    need(vq_run_begin(store, &spec, &run, &e), 2, &e);
    need(vq_run_finish(run, VQ_RUN_FINISHED, NULL, &e), 3, &e);
    vq_run_free(run);
    vq_store_close(store);
}

static void test_32_create_at_once(void **state)
{
    (void)state;
    for (int round = SANITIZED ? 1 : 0; round < 3; round++) {
        char name[32];
        snprintf(name, sizeof(name), "new%d/folder/runs.db", round);
        shared_path = in_scratch(name);
        shared_network = round == 2;
        together(newcomer, 32);
        struct vq_store *store;
        ok(vq_store_open(&store, shared_path, &(struct vq_store_options){.network = shared_network},
                         err));
        assert_int_equal(ask(store, "SELECT count(DISTINCT seed) FROM runs WHERE"
                                    " status = 'finished'"),
                         32);
        assert_int_equal(vq_store_recovered(store), 0);
        vq_store_close(store);
    }
    shared_network = false;
}

static int writes, reads; /* of each process */

static void writer(int i)
{
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_run *run;
    struct vq_run_spec spec = {.command = "train", .seed = (uint64_t)i};
    pass_gate();
    need(vq_store_open(&store, shared_path, &(struct vq_store_options){.network = shared_network},
                       &e),
         1, &e);
    need(vq_run_begin(store, &spec, &run, &e), 2, &e);
    for (int k = 0; k < writes; k++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", k);
        need(vq_run_result_int(run, key, (int64_t)i * writes + k, &e), 3, &e);
        /* Reads before it writes, which another's writing in between must not spoil. */
        need(vq_store_tag(store, vq_run_id(run), key, NULL, &e), 5, &e);
    }
    need(vq_run_finish(run, VQ_RUN_FINISHED, NULL, &e), 4, &e);
    vq_run_free(run);
    vq_store_close(store);
}

static bool ignore_run(void *ud, const struct vq_run_info *run)
{
    (void)ud;
    (void)run;
    return true;
}

static void reader(void)
{
    struct vq_err e = {0};
    struct vq_store *store;
    struct first_value f;
    pass_gate();
    need(vq_store_open(&store, shared_path, &(struct vq_store_options){.network = shared_network},
                       &e),
         1, &e);
    for (int k = 0; k < reads; k++) {
        f = (struct first_value){0};
        need(vq_store_runs(store, NULL, ignore_run, NULL, NULL, &e), 2, &e);
        need(vq_store_query(store, "SELECT count(*) FROM results", keep_first, &f, NULL, NULL, &e),
             3, &e);
    }
    vq_store_close(store);
}

static void writer_or_reader(int i)
{
    if (i < 8)
        writer(i);
    else
        reader();
}

static void write_together(const char *name, int each, int listings)
{
    shared_path = in_scratch(name);
    writes = each;
    reads = listings;
    together(writer_or_reader, 10);
    struct vq_store *store = open_store(shared_path);
    assert_int_equal(ask(store, "SELECT count(DISTINCT value) FROM results"), 8 * each);
    assert_int_equal(ask(store, "SELECT count(*) FROM tags"), 8 * each);
    assert_int_equal(ask(store, "SELECT count(*) FROM runs WHERE status = 'finished'"), 8);
    assert_text(store, "PRAGMA integrity_check", "ok");
    vq_store_close(store);
}

static void test_8_writers_lose_nothing(void **state)
{
    (void)state;
    write_together("writers.db", SANITIZED ? 100 : 1000, SANITIZED ? 40 : 200);
}

/* With a rollback journal, readers and writers are in each other's way. */
static void test_8_writers_on_a_network(void **state)
{
    (void)state;
    shared_network = true;
    write_together("netwriters.db", 10, 40);
    shared_network = false;
}

static int report[2]; /* a child's word that so much is safely written */

/* Writes without end; each commit is reported after it. */
static void endless(int i)
{
    (void)i;
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_run *run;
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    need(vq_run_begin(store, &(struct vq_run_spec){.command = "train"}, &run, &e), 2, &e);
    for (int64_t k = 0;; k++) {
        char key[24];
        snprintf(key, sizeof(key), "k%lld", (long long)k);
        need(vq_run_result_int(run, key, k, &e), 3, &e);
        for (int m = 0; m < 100; m++)
            need(vq_run_metric(run, "loss", k * 100 + m, 1.0, &e), 4, &e);
        need(vq_run_flush(run, &e), 5, &e);
        if (write(report[1], "x", 1) != 1)
            _exit(6);
    }
}

static void test_killed_in_the_middle(void **state)
{
    (void)state;
    shared_path = in_scratch("killed.db");
    int64_t reported = 0;
    for (int round = 0; round < 3; round++) {
        char bytes[4096];
        assert_int_equal(pipe(report), 0);
        pid_t pid = start(endless, 0);
        close(report[1]);
        assert_int_equal(read(report[0], bytes, 1), 1);
        reported++;
        nanosleep(&(struct timespec){.tv_nsec = 40000000 + round * 7654321}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        for (ssize_t n; (n = read(report[0], bytes, sizeof(bytes))) > 0;)
            reported += n;
        close(report[0]);
        /* Dead, but not taken leave of: a zombie counts as gone. */
        siginfo_t info_of_end;
        assert_int_equal(waitid(P_PID, (id_t)pid, &info_of_end, WEXITED | WNOWAIT), 0);
        struct vq_store *store = open_store(shared_path);
        assert_int_equal(vq_store_recovered(store), 1);
        assert_int_equal(status_of(store, "-1"), VQ_RUN_CRASHED);
        assert_text(store, "PRAGMA integrity_check", "ok");
        assert_true(ask(store, "SELECT count(*) FROM results") >= reported);
        assert_true(ask(store, "SELECT count(*) FROM metrics") >= reported * 100);
        struct vq_run_info *info;
        ok(vq_store_run(store, "-1", &info, err));
        assert_true(isnan(info->ended_at));
        assert_non_null(strstr(info->error, "without a word"));
        free(info);
        vq_store_close(store);
        assert_int_equal(end_of(pid), 128 + SIGKILL);
    }
    struct vq_store *store = open_store(shared_path);
    assert_int_equal(vq_store_recovered(store), 0);
    vq_store_close(store);
}

static void leaves_without_end(int i)
{
    (void)i;
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_run *run;
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    need(vq_run_begin(store, &(struct vq_run_spec){.command = "train"}, &run, &e), 2, &e);
    _exit(0);
}

static void test_exit_without_end_is_not_finished(void **state)
{
    (void)state;
    shared_path = in_scratch("noend.db");
    assert_int_equal(end_of(start(leaves_without_end, 0)), 0);
    struct vq_store *store = open_store(shared_path);
    assert_int_equal(vq_store_recovered(store), 1);
    assert_int_equal(status_of(store, "-1"), VQ_RUN_CRASHED);
    vq_store_close(store);
}

/* Makes the newest run's record say something else, then opens again. */
static enum vq_run_status status_after(const char *path, const char *change)
{
    struct vq_store *store = open_store(path), *again;
    struct vq_run *run = begin_run(store, "train");
    char id[VQ_RUN_ID_SIZE];
    snprintf(id, sizeof(id), "%s", vq_run_id(run));
    ok(vq_db_exec(store->db, change, err));
    ok(vq_store_open(&again, path, NULL, err));
    enum vq_run_status status = status_of(again, id);
    vq_store_close(again);
    /* Whatever others took it for, its own end has the last word. */
    end_run(run);
    assert_int_equal(status_of(store, id), VQ_RUN_FINISHED);
    vq_store_close(store);
    return status;
}

static void test_who_is_dead(void **state)
{
    (void)state;
    const char *path = in_scratch("dead.db");
#define WHERE " WHERE status = 'running'"
    assert_int_equal(status_after(path, "UPDATE runs SET cwd = cwd" WHERE), VQ_RUN_RUNNING);
    assert_int_equal(status_after(path, "UPDATE runs SET pid_start = pid_start + 1" WHERE),
                     VQ_RUN_CRASHED);
    assert_int_equal(status_after(path, "UPDATE runs SET boot_id = 'another'" WHERE),
                     VQ_RUN_CRASHED);
    assert_int_equal(status_after(path, "UPDATE runs SET pid = 0" WHERE), VQ_RUN_CRASHED);
    assert_int_equal(status_after(path, "UPDATE runs SET pid_start = 0, boot_id = ''" WHERE),
                     VQ_RUN_RUNNING);
    assert_int_equal(status_after(path, "UPDATE runs SET host = 'x', boot_id = 'y'" WHERE),
                     VQ_RUN_RUNNING);
#undef WHERE
}

/* The file may grow by so many bytes from where it is, as on a disk that fills up. */
static void limit_growth(const char *path, rlim_t more)
{
    struct stat st = {0};
    char wal[300];
    signal(SIGXFSZ, SIG_IGN);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    rlim_t size = more;
    if (stat(wal, &st) == 0)
        size += (rlim_t)st.st_size;
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void lift_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void fills_the_disk(int i)
{
    (void)i;
    static char text[20000];
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_run *run;
    int written = 0;
    memset(text, 'x', sizeof(text));
    struct vq_sample sample = {.text = text, .len = sizeof(text)};
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    need(vq_run_begin(store, &(struct vq_run_spec){.command = "sample"}, &run, &e), 2, &e);
    need(vq_run_metric(run, "loss", 1, 0.5, &e), 3, &e);
    limit_growth(shared_path, 120000);
    while (written < 100 && vq_run_sample(run, &sample, &e) == VQ_OK)
        written++;
    if (written < 2 || written > 20 || e.code != VQ_EIO || !strstr(e.msg, shared_path) ||
        !strstr(e.msg, "too large"))
        need(VQ_EIO, 4, &e);
    for (int k = 2; k <= 8192; k++) /* the last one tries to write, fails, and is kept */
        if (vq_run_metric(run, "loss", k, 0.5, &e) != (k < 8192 ? VQ_OK : VQ_EIO))
            _exit(5);
    if (vq_run_finish(run, VQ_RUN_FINISHED, NULL, &e) != VQ_EIO)
        _exit(6);
    if (status_of(store, "-1") != VQ_RUN_RUNNING)
        _exit(7);
    if (ask(store, "SELECT count(*) FROM samples") != written)
        _exit(8);
    lift_limit();
    need(vq_run_finish(run, VQ_RUN_FINISHED, NULL, &e), 9, &e);
    if (ask(store, "SELECT count(*) FROM metrics") != 8192)
        _exit(10);
    vq_run_free(run);
    vq_store_close(store);
}

static void creates_on_a_full_disk(int i)
{
    (void)i;
    struct vq_err e = {0};
    struct vq_store *store;
    limit_growth("/nonexistent", 2000);
    if (vq_store_open(&store, shared_path, NULL, &e) != VQ_EIO || store)
        need(VQ_EIO, 1, &e);
    lift_limit();
    need(vq_store_open(&store, shared_path, NULL, &e), 2, &e);
    vq_store_close(store);
}

/* A run of a process that died waits to be marked, and nothing can be written: what is there can
 * be looked at all the same. */
static void reads_on_a_full_disk(int more)
{
    struct vq_err e = {0};
    struct vq_store *store;
    limit_growth(shared_path, (rlim_t)more);
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    if (ask(store, "SELECT count(*) FROM runs") != 1)
        _exit(2);
    if (!strstr(vq_store_note(store), more ? "show as running" : "opened read-only"))
        _exit(3);
    vq_store_close(store);
}

static void test_disk_full_when_opened(void **state)
{
    (void)state;
    struct stat st;
    char wal[300];
    shared_path = in_scratch("full-dead.db");
    assert_int_equal(end_of(start(leaves_without_end, 0)), 0);
    snprintf(wal, sizeof(wal), "%s-wal", shared_path);
    assert_int_equal(stat(wal, &st), 0);
    assert_true(st.st_size >= 32768);
    assert_int_equal(end_of(start(reads_on_a_full_disk, 1)), 0);
    struct vq_store *store = open_store(shared_path);
    assert_int_equal(status_of(store, "-1"), VQ_RUN_CRASHED);
    vq_store_close(store);
    assert_int_equal(stat(wal, &st), -1);
    assert_int_equal(end_of(start(reads_on_a_full_disk, 0)), 0);
    store = open_store(shared_path);
    assert_text(store, "PRAGMA integrity_check", "ok");
    vq_store_close(store);
}

static void test_disk_full(void **state)
{
    (void)state;
    shared_path = in_scratch("full.db");
    assert_int_equal(end_of(start(fills_the_disk, 0)), 0);
    struct vq_store *store = open_store(shared_path);
    assert_text(store, "PRAGMA integrity_check", "ok");
    assert_int_equal(status_of(store, "-1"), VQ_RUN_FINISHED);
    vq_store_close(store);
    shared_path = in_scratch("full/new.db");
    assert_int_equal(end_of(start(creates_on_a_full_disk, 0)), 0);
}

static void test_fork_with_an_open_store(void **state)
{
    (void)state;
    struct vq_store *store = open_store(in_scratch("fork.db"));
    struct vq_run *run = begin_run(store, "train");
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct vq_err e = {0};
        struct first_value f = {0};
        if (vq_run_result_int(run, "n", 1, &e) != VQ_EINVAL || !strstr(e.msg, "fork"))
            _exit(1);
        if (vq_store_runs(store, NULL, ignore_run, NULL, NULL, &e) != VQ_EINVAL)
            _exit(2);
        if (vq_store_query(store, "SELECT 1", keep_first, &f, NULL, NULL, &e) != VQ_EINVAL)
            _exit(3);
        vq_run_free(run);
        vq_store_close(store);
        _exit(0);
    }
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(status_of(store, "-1"), VQ_RUN_RUNNING);
    ok(vq_run_result_int(run, "n", 1, err));
    end_run(run);
    vq_store_close(store);
}

/* ---- imports, merges and purges: all of it or nothing ---- */

enum { BOOK_RUNS = 40, BOOK_POINTS = 500 };

/* A database with a book of runs in it, and the same as files beside it. */
static void write_book(const char *db, const char *runs, const char *metrics)
{
    struct vq_store *store = open_store(db);
    struct vq_listing_place place;
    size_t rows;
    for (int i = 0; i < BOOK_RUNS; i++) {
        struct vq_run *run = begin_run(store, "train");
        for (int k = 0; k < BOOK_POINTS; k++)
            ok(vq_run_metric(run, "loss", k, 1.0 / (k + 1), err));
        ok(vq_run_result_int(run, "n", i, err));
        end_run(run);
    }
    struct vq_dump dump = {.kind = VQ_DUMP_RUNS};
    ok(vq_store_export(store, &dump, runs, &rows, &place, err));
    dump.kind = VQ_DUMP_METRICS;
    ok(vq_store_export(store, &dump, metrics, &rows, &place, err));
    assert_int_equal(rows, BOOK_RUNS * BOOK_POINTS);
    vq_store_close(store);
}

static char book_db[300], book_runs[300], book_metrics[300];

static void imports_merges_purges(int i)
{
    (void)i;
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_intake in;
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    /* One killed before us may have left runs removed: an import would leave them so. */
    need(vq_store_purge(store, NULL, INFINITY, NULL, &e), 11, &e);
    for (;;) {
        char ids[BOOK_RUNS][VQ_RUN_ID_SIZE];
        const char *v[BOOK_RUNS];
        need(vq_store_import(store, book_runs, &in, NULL, &e), 2, &e);
        need(vq_store_import(store, book_metrics, &in, NULL, &e), 3, &e);
        for (int k = 0; k < BOOK_RUNS; k++) {
            char back[16];
            snprintf(back, sizeof(back), "-%d", k + 1);
            need(vq_store_find(store, back, ids[k], &e), 4, &e);
            v[k] = ids[k];
        }
        need(vq_store_discard(store, v, BOOK_RUNS, false, &e), 5, &e);
        need(vq_store_purge(store, NULL, INFINITY, NULL, &e), 6, &e);
        need(vq_store_merge(store, book_db, &in, NULL, &e), 7, &e);
        need(vq_store_discard(store, v, BOOK_RUNS, false, &e), 8, &e);
        need(vq_store_purge(store, NULL, INFINITY, NULL, &e), 9, &e);
        if (write(report[1], "x", 1) != 1)
            _exit(10);
    }
}

/* Runs and points are there in one of the ways in which the deeds above leave them. */
static void assert_whole(struct vq_store *store)
{
    int64_t runs = ask(store, "SELECT count(*) FROM runs");
    int64_t points = ask(store, "SELECT count(*) FROM metrics");
    assert_text(store, "PRAGMA integrity_check", "ok");
    if ((runs != 0 && runs != BOOK_RUNS) || (points != 0 && points != BOOK_RUNS * BOOK_POINTS) ||
        (points != 0 && runs == 0))
        fail_msg("%d runs and %d points", (int)runs, (int)points);
    assert_int_equal(ask(store, "SELECT count(*) FROM metric_stats"), points ? BOOK_RUNS : 0);
    assert_true(ask(store, "SELECT count(*) FROM runs WHERE removed_at IS NOT NULL") % BOOK_RUNS ==
                0);
}

static void test_killed_while_importing(void **state)
{
    (void)state;
    static char path[300];
    snprintf(book_db, sizeof(book_db), "%s", in_scratch("book.db"));
    snprintf(book_runs, sizeof(book_runs), "%s", in_scratch("book-runs.csv"));
    snprintf(book_metrics, sizeof(book_metrics), "%s", in_scratch("book-metrics.csv"));
    snprintf(path, sizeof(path), "%s", in_scratch("killed-import.db"));
    shared_path = path;
    write_book(book_db, book_runs, book_metrics);
    for (int round = 0; round < (SANITIZED ? 3 : 8); round++) {
        assert_int_equal(pipe(report), 0);
        pid_t pid = start(imports_merges_purges, 0);
        close(report[1]);
        char byte;
        if (round == 0)
            assert_int_equal(read(report[0], &byte, 1), 1); /* once all through */
        nanosleep(&(struct timespec){.tv_nsec = 20000000 + round * 37654321}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(end_of(pid), 128 + SIGKILL);
        close(report[0]);
        struct vq_store *store = open_store(shared_path);
        assert_whole(store);
        vq_store_close(store);
    }
}

static void imports_on_a_full_disk(int i)
{
    (void)i;
    struct vq_err e = {0};
    struct vq_store *store;
    struct vq_intake in;
    need(vq_store_open(&store, shared_path, NULL, &e), 1, &e);
    limit_growth(shared_path, 60000);
    if (vq_store_merge(store, book_db, &in, NULL, &e) != VQ_EIO)
        need(VQ_EIO, 2, &e);
    need(vq_store_import(store, book_runs, &in, NULL, &e), 3, &e); /* so much fits */
    if (vq_store_import(store, book_metrics, &in, NULL, &e) != VQ_EIO)
        need(VQ_EIO, 4, &e);
    if (ask(store, "SELECT count(*) FROM runs") != BOOK_RUNS ||
        ask(store, "SELECT count(*) FROM metrics") != 0)
        _exit(5);
    lift_limit();
    need(vq_store_import(store, book_metrics, &in, NULL, &e), 6, &e);
    vq_store_close(store);
}

static void test_import_on_a_full_disk(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof(path), "%s", in_scratch("full-import.db"));
    shared_path = path;
    /* The book is the test before's. */
    assert_int_equal(end_of(start(imports_on_a_full_disk, 0)), 0);
    struct vq_store *store = open_store(path);
    assert_whole(store);
    assert_int_equal(ask(store, "SELECT count(*) FROM metrics"), BOOK_RUNS * BOOK_POINTS);
    vq_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_32_create_at_once),
        cmocka_unit_test(test_8_writers_lose_nothing),
        cmocka_unit_test(test_8_writers_on_a_network),
        cmocka_unit_test(test_killed_in_the_middle),
        cmocka_unit_test(test_exit_without_end_is_not_finished),
        cmocka_unit_test(test_who_is_dead),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_full_when_opened),
        cmocka_unit_test(test_fork_with_an_open_store),
        cmocka_unit_test(test_killed_while_importing),
        cmocka_unit_test(test_import_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
