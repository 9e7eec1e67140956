/*
 * Typed queries: they read everything, change nothing, say where they are wrong, and stop when
 * told to.
 */
#include "tests/unit/test_store_util.h"

#include <time.h>

#include "core/store/db.h"

static struct vq_store *store;

static int open_filled(void **state)
{
    if (make_scratch(state) != 0)
        return -1;
    store = open_store(in_scratch("sql.db"));
    struct vq_run *run = begin_run(store, "train");
    ok(vq_run_metric(run, "loss", 1, 0.5, err));
    ok(vq_run_sample(run, &(struct vq_sample){.text = "a\0b", .len = 3}, err));
    end_run(run);
    return 0;
}

static int close_filled(void **state)
{
    vq_store_close(store);
    return remove_scratch(state);
}

struct table {
    int announced, rows, columns;
    char names[4][32];
    struct vq_value first[8];
    char bytes[8][16];
    int stop_after; /* rows; 0: none */
};

static bool keep_table(void *ud, int columns, const char *const *names,
                       const struct vq_value *values)
{
    struct table *t = ud;
    t->columns = columns;
    if (!values) {
        t->announced++;
        for (int i = 0; i < columns && i < 4; i++)
            snprintf(t->names[i], sizeof(t->names[0]), "%s", names[i]);
        return true;
    }
    if (t->rows++ == 0)
        for (int i = 0; i < columns && i < 8; i++) {
            t->first[i] = values[i];
            if (values[i].text)
                memcpy(t->bytes[i], values[i].text, values[i].len < 16 ? values[i].len : 16);
        }
    return t->stop_after == 0 || t->rows < t->stop_after;
}

static struct table run_query(const char *sql)
{
    struct table t = {0};
    ok(vq_store_query(store, sql, keep_table, &t, NULL, NULL, err));
    assert_int_equal(t.announced, 1);
    return t;
}

static void test_values(void **state)
{
    (void)state;
    struct table t = run_query("SELECT NULL AS none, 9223372036854775807 AS 'a b', 0.1, 9e999,"
                               " CAST(x'610062' AS TEXT), x'00ff', -9223372036854775808, ''");
    assert_int_equal(t.columns, 8);
    assert_string_equal(t.names[0], "none");
    assert_string_equal(t.names[1], "a b");
    assert_int_equal(t.first[0].kind, VQ_VALUE_NULL);
    assert_true(t.first[1].kind == VQ_VALUE_INT && t.first[1].i == INT64_MAX);
    assert_true(t.first[2].kind == VQ_VALUE_REAL && t.first[2].d == 0.1);
    assert_true(t.first[3].kind == VQ_VALUE_REAL && isinf(t.first[3].d));
    assert_true(t.first[4].kind == VQ_VALUE_TEXT && t.first[4].len == 3);
    assert_memory_equal(t.bytes[4], "a\0b", 3);
    assert_true(t.first[5].kind == VQ_VALUE_BLOB && t.first[5].len == 2);
    assert_memory_equal(t.bytes[5], "\0\xff", 2);
    assert_true(t.first[6].i == INT64_MIN);
    assert_true(t.first[7].kind == VQ_VALUE_TEXT && t.first[7].len == 0 && t.first[7].text);
}

static void test_no_rows_still_have_columns(void **state)
{
    (void)state;
    struct table t = run_query("SELECT id, name FROM runs WHERE id = 'none'");
    assert_true(t.columns == 2 && t.rows == 0);
    assert_string_equal(t.names[1], "name");
}

static void test_views(void **state)
{
    (void)state;
    static const char *const views[] = {"v_runs",        "v_results", "v_metrics",
                                        "v_metric_last", "v_best",    "v_samples"};
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", views[i]);
        struct table t = run_query(sql);
        assert_true(t.columns >= 3);
        assert_int_equal(t.rows, i == 1 ? 0 : 1);
    }
}

static void test_harmless_statements(void **state)
{
    (void)state;
    static const char *const sql[] = {
        "WITH a(x) AS (SELECT 1) SELECT x FROM a",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n LIMIT 5) SELECT i FROM n",
        "VALUES(1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM runs",
        "PRAGMA table_info(runs)",
        "PRAGMA user_version",
        "PRAGMA integrity_check",
        "SELECT name FROM pragma_table_info('runs')",
        "SELECT group_concat(tag), json_object('a', 1) FROM tags",
        "  -- a comment\nSELECT 1 ; ; -- and one after\n /* two */ ;",
    };
    for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++)
        assert_true(run_query(sql[i]).rows > 0);
}

static void test_refuses_to_write(void **state)
{
    (void)state;
    char attach[300], into[300];
    snprintf(attach, sizeof(attach), "ATTACH '%s' AS x", in_scratch("attached.db"));
    snprintf(into, sizeof(into), "VACUUM INTO '%s'", in_scratch("vacuumed.db"));
    const char *const sql[] = {
        "DELETE FROM runs",
        "INSERT INTO tags VALUES('a', 'b')",
        "UPDATE runs SET name = 'x'",
        "WITH a AS (SELECT 1) DELETE FROM runs",
        "EXPLAIN DELETE FROM runs",
        "REPLACE INTO metric_names VALUES(1, 'x')",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "DROP TABLE runs",
        "ALTER TABLE runs RENAME TO r",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        attach,
        "DETACH main",
        "VACUUM",
        into,
        "PRAGMA user_version = 9",
        "PRAGMA user_version(9)",
        "PRAGMA application_id = 9",
        "PRAGMA journal_mode = delete",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only = 0",
        "PRAGMA foreign_keys = 0",
        "PRAGMA wal_checkpoint",
        "PRAGMA temp_store_directory = '/'",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x', x'00')",
    };
    size_t before, after;
    for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        struct table t = {0};
        struct vq_err e = {0};
        enum vq_status status = vq_store_query(store, sql[i], keep_table, &t, NULL, NULL, &e);
        if (status != VQ_EUNSUPPORTED || !strstr(e.msg, "only read"))
            fail_msg("%s: status %d, '%s'", sql[i], (int)status, e.msg);
        assert_int_equal(t.rows, 0);
    }
    struct table t = {0};
    fails(VQ_EINVAL, "may not be modified",
          vq_store_query(store, "UPDATE sqlite_master SET sql = ''", keep_table, &t, NULL, NULL,
                         err));
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(ask(store, "PRAGMA user_version"), 4);
    free(read_bytes(in_scratch("attached.db"), &before));
    free(read_bytes(in_scratch("vacuumed.db"), &after));
    assert_true(before == SIZE_MAX && after == SIZE_MAX);
    end_run(begin_run(store, "x")); /* and writing goes on as before */
    char id[VQ_RUN_ID_SIZE];
    ok(vq_store_find(store, "-1", id, err));
    ok(vq_store_remove(store, id, false, err));
}

static void test_one_statement(void **state)
{
    (void)state;
    struct table t = {0};
    int offset;
    fails(VQ_EINVAL, "one statement",
          vq_store_query(store, "SELECT 1; SELECT 2", keep_table, &t, NULL, &offset, err));
    assert_int_equal(offset, 9);
    fails(VQ_EINVAL, "one statement",
          vq_store_query(store, "SELECT 1; DELETE FROM runs", keep_table, &t, NULL, &offset, err));
    fails(VQ_EINVAL, "one statement",
          vq_store_query(store, "SELECT 1; nonsense", keep_table, &t, NULL, NULL, err));
    fails(VQ_EINVAL, "empty", vq_store_query(store, "", keep_table, &t, NULL, &offset, err));
    assert_int_equal(offset, -1);
    fails(VQ_EINVAL, "empty", vq_store_query(store, " ; -- x", keep_table, &t, NULL, NULL, err));
    assert_true(t.announced == 0 && t.rows == 0);
}

static void test_errors_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *part;
        int offset;
    } wrong[] = {
        {"SELECT nosuch FROM runs", "no such column: nosuch", 7},
        {"SELECT id FROM nosuch", "no such table: nosuch", -1},
        {"SELEC 1", "syntax error", 0},
        {"SELECT id FROM runs WHERE", "incomplete input", -1},
        {"SELECT frobnicate(1)", "no such function", 7},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct table t = {0};
        int offset = -2;
        fails(VQ_EINVAL, wrong[i].part,
              vq_store_query(store, wrong[i].sql, keep_table, &t, NULL, &offset, err));
        assert_int_equal(offset, wrong[i].offset);
        assert_int_equal(t.announced, 0);
    }
    struct table t = {0};
    fails(
        VQ_EINVAL, "integer overflow",
        vq_store_query(store, "SELECT abs(-9223372036854775808)", keep_table, &t, NULL, NULL, err));
}

static const char endless[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

#define LATEST 0.4 /* 0.1 is promised; a busy machine may not run us at once */

struct alarm {
    struct timespec from;
    double after;
};

static double passed(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) * 1e-9;
}

static bool has_rung(void *ud)
{
    const struct alarm *a = ud;
    return passed(&a->from) > a->after;
}

static void test_cancel(void **state)
{
    (void)state;
    struct alarm alarm = {.after = 0.1};
    clock_gettime(CLOCK_MONOTONIC, &alarm.from);
    struct vq_cancel cancel = {has_rung, &alarm};
    struct table t = {0};
    fails(VQ_ECANCELLED, "cancelled",
          vq_store_query(store, endless, keep_table, &t, &cancel, NULL, err));
    assert_true(passed(&alarm.from) < 0.1 + LATEST);
    assert_int_equal(t.rows, 0);
    /* Between rows, too; and the next query runs. */
    clock_gettime(CLOCK_MONOTONIC, &alarm.from);
    fails(VQ_ECANCELLED, "cancelled",
          vq_store_query(store,
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                         " SELECT i FROM n",
                         keep_table, &t, &cancel, NULL, err));
    assert_true(t.rows > 10 && passed(&alarm.from) < 0.1 + LATEST);
    assert_int_equal(ask(store, "SELECT 5"), 5);
}

static bool slow_row(void *ud, int columns, const char *const *names, const struct vq_value *values)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return keep_table(ud, columns, names, values);
}

static void test_cancel_while_rows_are_slow(void **state)
{
    (void)state;
    struct alarm alarm = {.after = 0.05};
    struct vq_cancel cancel = {has_rung, &alarm};
    struct table t = {0};
    clock_gettime(CLOCK_MONOTONIC, &alarm.from);
    fails(VQ_ECANCELLED, "cancelled",
          vq_store_query(store,
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                         " SELECT i FROM n",
                         slow_row, &t, &cancel, NULL, err));
    assert_true(t.rows > 0 && t.rows < 12);
}

static void test_callback_stops(void **state)
{
    (void)state;
    struct table t = {.stop_after = 3};
    ok(vq_store_query(store, "VALUES(1), (2), (3), (4), (5)", keep_table, &t, NULL, NULL, err));
    assert_int_equal(t.rows, 3);
}

static void test_names_are_data(void **state)
{
    (void)state;
    static const char *const names[] = {"team's-run",
                                        "\"",
                                        "%",
                                        "_",
                                        "; --",
                                        "a\nb",
                                        "\\",
                                        "?1",
                                        ":x",
                                        "$y",
                                        "'; DROP TABLE runs; --"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vq_run_spec spec = {.command = names[i], .name = names[i]};
        struct vq_run *run;
        char id[VQ_RUN_ID_SIZE];
        ok(vq_run_begin(store, &spec, &run, err));
        ok(vq_run_result_int(run, names[i], (int64_t)i, err));
        ok(vq_run_metric(run, names[i], 1, 1, err));
        snprintf(id, sizeof(id), "%s", vq_run_id(run));
        end_run(run);
        char found[VQ_RUN_ID_SIZE];
        ok(vq_store_find(store, names[i], found, err));
        assert_string_equal(found, id);
        struct vq_run_info *info;
        ok(vq_store_run(store, id, &info, err));
        assert_string_equal(info->name, names[i]);
        assert_string_equal(info->command, names[i]);
        free(info);
        ok(vq_store_remove(store, id, false, err));
    }
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
}

struct columns {
    int n, tables;
    char last[64];
    bool run_id, view;
};

static bool keep_column(void *ud, const char *table, const char *column, const char *type)
{
    struct columns *c = ud;
    if (!table || !column || !type)
        return false;
    c->n++;
    if (strcmp(table, c->last) != 0)
        c->tables++;
    snprintf(c->last, sizeof(c->last), "%s", table);
    if (strcmp(table, "runs") == 0 && strcmp(column, "id") == 0 && strcmp(type, "TEXT") == 0)
        c->run_id = true;
    if (strcmp(table, "v_best") == 0 && strcmp(column, "min_step") == 0)
        c->view = true;
    return true;
}

static void test_columns(void **state)
{
    (void)state;
    struct columns c = {0};
    ok(vq_store_columns(store, keep_column, &c, err));
    assert_int_equal(c.tables, 9 + 7);
    assert_true(c.run_id && c.view && c.n > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_rows_still_have_columns),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_harmless_statements),
        cmocka_unit_test(test_refuses_to_write),
        cmocka_unit_test(test_one_statement),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_while_rows_are_slow),
        cmocka_unit_test(test_callback_stops),
        cmocka_unit_test(test_names_are_data),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, open_filled, close_filled);
}
