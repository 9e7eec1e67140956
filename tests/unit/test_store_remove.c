/*
 * Removing runs and having them back, purging, the files left behind; names and notes; the
 * statistics kept of metrics.
 */
#include "tests/unit/test_store_util.h"

#include "core/store/db.h"
#include "core/store/internal.h"
#include "core/store/stats.h"

static struct vq_store *fresh(const char *name)
{
    return open_store(in_scratch(name));
}

/* A finished run under a name, with a picture; its id into id. */
static void add_run(struct vq_store *store, const char *name, char id[VQ_RUN_ID_SIZE])
{
    struct vq_run_spec spec = {.command = "sample", .name = name};
    struct vq_run *run;
    char path[64];
    ok(vq_run_begin(store, &spec, &run, err));
    snprintf(id, VQ_RUN_ID_SIZE, "%s", vq_run_id(run));
    snprintf(path, sizeof(path), "%s.png", name);
    ok(vq_run_sample(run, &(struct vq_sample){.path = path, .nats = 1}, err));
    ok(vq_run_metric(run, "loss", 1, 2.5, err));
    ok(vq_run_result_text(run, "image", "/abs/sheet.PNG", 14, err));
    ok(vq_run_result_text(run, "text", "notes.txt", 9, err));
    end_run(run);
}

static bool count_run(void *ud, const struct vq_run_info *run)
{
    (void)run;
    ++*(int *)ud;
    return true;
}

static int shown(struct vq_store *store)
{
    int n = 0;
    size_t total;
    ok(vq_store_runs(store, NULL, count_run, &n, &total, err));
    assert_int_equal(total, n);
    return n;
}

static bool count_row(void *ud, const char *id, const struct vq_value *values)
{
    (void)id;
    (void)values;
    ++*(int *)ud;
    return true;
}

static int listed(struct vq_store *store, bool removed)
{
    struct vq_listing l = {.removed = removed};
    int n = 0;
    ok(vq_store_list(store, &l, count_row, &n, NULL, NULL, NULL, err));
    return n;
}

static void test_remove_and_restore(void **state)
{
    (void)state;
    struct vq_store *store = fresh("remove.db");
    char a[VQ_RUN_ID_SIZE], b[VQ_RUN_ID_SIZE], c[VQ_RUN_ID_SIZE], id[VQ_RUN_ID_SIZE];
    add_run(store, "one", a);
    add_run(store, "two", b);
    add_run(store, "three", c);
    const char *const pair[] = {a, c}, *const single[] = {b};
    ok(vq_store_discard(store, pair, 2, false, err));
    assert_int_equal(shown(store), 1);
    assert_int_equal(listed(store, false), 1);
    assert_int_equal(listed(store, true), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_runs"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_metric_last"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_best"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_samples"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_results"), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM v_metrics"), 1);
    ok(vq_store_find(store, "-1", id, err));
    assert_string_equal(id, b);
    fails(VQ_ENOTFOUND, "1 are recorded", vq_store_find(store, "-2", id, err));
    fails(VQ_ENOTFOUND, "'undo", vq_store_find(store, "one", id, err));
    fails(VQ_ENOTFOUND, "no removed run", vq_store_find_removed(store, "two", id, err));
    ok(vq_store_find_removed(store, "one", id, err));
    assert_string_equal(id, a);

    /* The last deed is taken back first. */
    ok(vq_store_discard(store, single, 1, false, err));
    size_t n;
    ok(vq_store_restore(store, NULL, &n, err));
    assert_int_equal(n, 1);
    ok(vq_store_restore(store, a, &n, err));
    assert_int_equal(n, 1);
    ok(vq_store_restore(store, a, &n, err));
    assert_int_equal(n, 0);
    ok(vq_store_restore(store, NULL, &n, err));
    assert_int_equal(n, 1);
    ok(vq_store_restore(store, NULL, &n, err));
    assert_int_equal(n, 0);
    assert_int_equal(shown(store), 3);
    vq_store_close(store);
}

static void test_running_runs_stay(void **state)
{
    (void)state;
    struct vq_store *store = fresh("running.db");
    char a[VQ_RUN_ID_SIZE], b[VQ_RUN_ID_SIZE];
    add_run(store, "done", a);
    struct vq_run *run = begin_run(store, "train");
    snprintf(b, sizeof(b), "%s", vq_run_id(run));
    const char *const both[] = {a, b}, *const none[] = {"zzzzzzzzzz"};
    fails(VQ_EINVAL, "still running", vq_store_discard(store, both, 2, false, err));
    assert_int_equal(shown(store), 2); /* all or none */
    fails(VQ_ENOTFOUND, "no run", vq_store_discard(store, none, 1, false, err));
    ok(vq_store_discard(store, both, 2, true, err));
    assert_int_equal(shown(store), 0);
    /* A removed run can still be written to its end. */
    ok(vq_run_metric(run, "loss", 1, 1, err));
    end_run(run);
    ok(vq_store_restore(store, NULL, NULL, err));
    assert_int_equal(status_of(store, b), VQ_RUN_FINISHED);
    vq_store_close(store);
}

struct orphans {
    int n, used;
    char last[300];
};

static bool keep_orphan(void *ud, const char *path, const char *run, bool used)
{
    struct orphans *o = ud;
    assert_int_equal(strlen(run), VQ_RUN_ID_SIZE - 1);
    o->n++;
    o->used += used;
    snprintf(o->last, sizeof(o->last), "%s", path);
    return true;
}

static void test_purge(void **state)
{
    (void)state;
    struct vq_store *store = fresh("purge.db");
    char a[VQ_RUN_ID_SIZE], b[VQ_RUN_ID_SIZE], expected[5000];
    add_run(store, "one", a);
    add_run(store, "two", b);
    const char *const one[] = {a}, *const two[] = {b};
    size_t n;
    ok(vq_store_purge(store, NULL, INFINITY, &n, err));
    assert_int_equal(n, 0); /* what was not removed first is safe */
    ok(vq_store_purge(store, a, 0, &n, err));
    assert_int_equal(n, 0);
    ok(vq_store_discard(store, one, 1, false, err));
    ok(vq_store_purge(store, NULL, vq_store_now() - 3600, &n, err));
    assert_int_equal(n, 0); /* removed too lately */
    ok(vq_store_purge(store, NULL, INFINITY, &n, err));
    assert_int_equal(n, 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 1);
    static const char *const tables[] = {"results", "metrics", "metric_stats", "samples"};
    for (size_t i = 0; i < 4; i++) {
        char sql[100];
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE run = '%s'", tables[i], a);
        assert_int_equal(ask(store, sql), 0);
    }
    /* Its picture, and the sheet that the other run still names; no text file. */
    struct orphans o = {0};
    ok(vq_store_orphans(store, keep_orphan, &o, err));
    assert_true(o.n == 2 && o.used == 1);
    char *cwd = getcwd(NULL, 0);
    snprintf(expected, sizeof(expected), "%s/one.png", cwd);
    free(cwd);
    assert_string_equal(o.last, expected);
    ok(vq_store_orphan_forget(store, expected, err));
    ok(vq_store_discard(store, two, 1, false, err));
    ok(vq_store_purge(store, b, 0, &n, err));
    assert_int_equal(n, 1);
    o = (struct orphans){0};
    ok(vq_store_orphans(store, keep_orphan, &o, err));
    assert_true(o.n == 2 && o.used == 0);
    ok(vq_store_compact(store, err));
    assert_text(store, "PRAGMA integrity_check", "ok");
    vq_store_close(store);
}

static void test_read_only_refuses(void **state)
{
    (void)state;
    const char *path = in_scratch("ro.db");
    struct vq_store *store = open_store(path);
    char a[VQ_RUN_ID_SIZE];
    add_run(store, "one", a);
    vq_store_close(store);
    struct vq_store_options options = {.readonly = true};
    const char *const one[] = {a};
    ok(vq_store_open(&store, path, &options, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_discard(store, one, 1, false, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_restore(store, NULL, NULL, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_purge(store, NULL, INFINITY, NULL, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_compact(store, err));
    fails(VQ_EUNSUPPORTED, "read-only", vq_store_rename(store, a, "x", 1, err));
    bool gone;
    ok(vq_store_recover(store, a, &gone, err));
    assert_false(gone);
    assert_int_equal(listed(store, false), 1);
    vq_store_close(store);
}

struct notes {
    int n;
    char text[4][32];
};

static bool keep_note(void *ud, double time, const char *text, size_t len)
{
    struct notes *k = ud;
    (void)time;
    snprintf(k->text[k->n++], 32, "%.*s", (int)len, text);
    return true;
}

static void test_names_and_notes(void **state)
{
    (void)state;
    struct vq_store *store = fresh("names.db");
    char a[VQ_RUN_ID_SIZE], id[VQ_RUN_ID_SIZE];
    add_run(store, "one", a);
    ok(vq_store_rename(store, a, "it's \"1\"\n", 9, err));
    ok(vq_store_find(store, "it's \"1\"\n", id, err));
    assert_string_equal(id, a);
    fails(VQ_EINVAL, "NUL", vq_store_rename(store, a, "a\0b", 3, err));
    fails(VQ_ENOTFOUND, "no run", vq_store_rename(store, "zzzzzzzzzz", "x", 1, err));
    ok(vq_store_rename(store, a, "", 0, err));
    assert_int_equal(ask(store, "SELECT name IS NULL FROM runs"), 1);

    ok(vq_store_note_add(store, a, "first", 5, err));
    ok(vq_store_note_add(store, a, "second", 6, err));
    ok(vq_store_note_add(store, a, "third", 5, err));
    ok(vq_store_note_set(store, a, 2, "changed", 7, err));
    ok(vq_store_note_set(store, a, 1, "", 0, err));
    fails(VQ_ENOTFOUND, "no note 3", vq_store_note_set(store, a, 3, "x", 1, err));
    fails(VQ_ENOTFOUND, "no note 0", vq_store_note_set(store, a, 0, "x", 1, err));
    struct notes k = {0};
    ok(vq_store_notes(store, a, keep_note, &k, err));
    assert_int_equal(k.n, 2);
    assert_string_equal(k.text[0], "changed");
    assert_string_equal(k.text[1], "third");
    vq_store_close(store);
}

static bool keep_metric(void *ud, const struct vq_metric_info *m)
{
    struct vq_metric_info *out = ud;
    *out = *m;
    out->name = NULL;
    return true;
}

/* The same points in one batch and in many, and counted anew, give the same statistics. */
static void test_statistics(void **state)
{
    (void)state;
    static const double values[] = {3, NAN, -1, 7, -1, INFINITY, 2, 7, NAN};
    static const int64_t steps[] = {5, 1, 9, -3, 2, 100, 4, 4, 50};
    struct vq_store *store = fresh("stats.db");
    for (int way = 0; way < 3; way++) {
        struct vq_run *run = begin_run(store, "train");
        char id[VQ_RUN_ID_SIZE];
        snprintf(id, sizeof(id), "%s", vq_run_id(run));
        for (size_t i = 0; i < 9; i++) {
            ok(vq_run_metric(run, "loss", steps[i], values[i], err));
            if (way == 1)
                ok(vq_run_flush(run, err));
        }
        ok(vq_run_metric(run, "all nan", 1, NAN, err));
        end_run(run);
        if (way == 2) {
            struct vq_err e = {0};
            ok(vq_store_begin(store, err));
            assert_int_equal(vq_db_end(store->db, vq_stats_rebuild(store->db, id, &e), &e), VQ_OK);
        }
        struct vq_metric_info m;
        ok(vq_store_metrics(store, id, keep_metric, &m, err)); /* the last by name */
        assert_int_equal(m.points, 9);
        assert_true(m.first_step == -3 && m.last_step == 100);
        assert_true(m.min == -1 && m.max == 7 && isnan(m.last));
        char sql[200];
        snprintf(sql, sizeof(sql), "SELECT points * 1000 + min_step FROM v_best WHERE run = '%s'",
                 id);
        /* Of equal values, the first logged; counted anew, that of the lowest step. */
        assert_int_equal(ask(store, sql), way == 2 ? 6002 : 6009);
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM v_metric_last WHERE run = '%s' AND value = 'NaN'", id);
        assert_int_equal(ask(store, sql), 2);
    }
    vq_store_close(store);
}

struct points {
    int n;
    int64_t steps[32];
};

static bool keep_point(void *ud, int64_t step, double time, double value)
{
    struct points *p = ud;
    (void)time;
    (void)value;
    p->steps[p->n++] = step;
    return true;
}

static bool keep_info(void *ud, const struct vq_metric_info *m)
{
    if (strcmp(m->name, "loss") == 0)
        *(struct vq_metric_info *)ud = *m;
    return true;
}

/* The losses after *seq and up to the last one that `m` counts, as somebody who follows the run
 * reads them. */
static struct points follow(struct vq_store *reader, const char *id, int64_t from_step,
                            int64_t *seq, const struct vq_metric_info *m)
{
    struct points p = {0};
    ok(vq_store_points_between(reader, id, "loss", from_step, *seq, m->last_seq, keep_point, &p,
                               err));
    *seq = m->last_seq;
    return p;
}

/* A reader beside the writer, each with its own connection. */
static void test_points_between(void **state)
{
    (void)state;
    struct vq_store *store = fresh("after.db"), *reader = fresh("after.db");
    struct vq_run *run = begin_run(store, "train");
    const char *id = vq_run_id(run);
    int64_t seq = -1;
    struct vq_metric_info m = {0};
    for (int i = 0; i < 3; i++)
        ok(vq_run_metric(run, "loss", i, 1, err));
    ok(vq_run_metric(run, "other", 7, 1, err));
    ok(vq_run_flush(run, err));
    ok(vq_store_metrics(reader, id, keep_info, &m, err));
    assert_true(m.points == 3 && m.last_seq == 2);
    assert_int_equal(follow(reader, id, INT64_MIN, &seq, &m).n, 3);
    assert_int_equal(follow(reader, id, INT64_MIN, &seq, &m).n, 0);
    ok(vq_run_metric(run, "loss", 2, 1, err)); /* a step that is logged twice */
    ok(vq_run_metric(run, "loss", 1, 1, err)); /* and an earlier one */
    ok(vq_run_flush(run, err));
    ok(vq_store_metrics(reader, id, keep_info, &m, err));
    ok(vq_run_metric(run, "loss", 2, 1, err)); /* between counting and reading */
    ok(vq_run_metric(run, "loss", 4, 1, err));
    ok(vq_run_flush(run, err));
    assert_int_equal(m.points, 5);
    int64_t again = seq;
    assert_int_equal(follow(reader, id, 2, &again, &m).n, 1); /* one is missed, and it is seen */
    struct points p = follow(reader, id, INT64_MIN, &seq, &m);
    assert_true(p.n == 2 && p.steps[0] == 1 && p.steps[1] == 2);
    ok(vq_store_metrics(reader, id, keep_info, &m, err));
    p = follow(reader, id, 2, &seq, &m);
    assert_true(m.points == 7 && p.n == 2 && p.steps[0] == 2 && p.steps[1] == 4);
    end_run(run);
    vq_store_close(reader);
    vq_store_close(store);
}

struct members {
    int n;
    char text[12][64];
    struct vq_value v[12];
};

static bool keep_member(void *ud, const char *key, const struct vq_value *value, const char *json)
{
    struct members *m = ud;
    m->v[m->n] = *value;
    snprintf(m->text[m->n++], 64, "%s=%s", key, json);
    return true;
}

static void test_members(void **state)
{
    (void)state;
    struct vq_store *store = fresh("members.db");
    struct vq_run_spec spec = {
        .command = "train",
        .config = "{\"n\":9007199254740993,\"x\":0.1,\"on\":true,\"off\":null,\"a.b\":\"t\\\"t\","
                  "\"list\":[1,2],\"in\":{\"a\":1,\"b\":{\"c\":2}}}",
        .settings = "no json at all",
    };
    struct vq_run *run;
    ok(vq_run_begin(store, &spec, &run, err));
    struct members m = {0};
    ok(vq_store_config(store, vq_run_id(run), keep_member, &m, err));
    assert_int_equal(m.n, 8);
    assert_true(m.v[0].kind == VQ_VALUE_INT && m.v[0].i == 9007199254740993);
    assert_string_equal(m.text[0], "n=9007199254740993");
    assert_true(m.v[1].kind == VQ_VALUE_REAL && m.v[1].d == 0.1);
    assert_string_equal(m.text[2], "on=true");
    assert_int_equal(m.v[3].kind, VQ_VALUE_NULL);
    assert_string_equal(m.text[4], "a.b=\"t\\\"t\"");
    assert_string_equal(m.text[5], "list=[1,2]");
    assert_string_equal(m.text[6], "in.a=1");
    assert_string_equal(m.text[7], "in.b={\"c\":2}");
    m.n = 0;
    ok(vq_store_settings(store, vq_run_id(run), keep_member, &m, err));
    assert_int_equal(m.n, 0);
    end_run(run);
    vq_store_close(store);
}

static bool keep_two(void *ud, int columns, const char *const *names, const struct vq_value *values)
{
    struct vq_value *out = ud;
    (void)names;
    for (int i = 0; values && i < columns; i++)
        out[i] = values[i];
    return true;
}

static void test_parameters(void **state)
{
    (void)state;
    struct vq_store *store = fresh("params.db");
    const struct vq_parameter given[] = {
        {"n", {.kind = VQ_VALUE_INT, .i = INT64_MIN}},
        {"text", {.kind = VQ_VALUE_TEXT, .text = "'; DROP TABLE runs; --", .len = 22}},
    };
    struct vq_value v[3];
    ok(vq_store_query_with(store, "SELECT :n, length(@text), $n = :n", given, 2, keep_two, v, NULL,
                           NULL, err));
    assert_true(v[0].i == INT64_MIN && v[1].i == 22 && v[2].i == 1);
    fails(VQ_EINVAL, "param x VALUE",
          vq_store_query_with(store, "SELECT :x", given, 2, keep_two, v, NULL, NULL, err));
    fails(VQ_EINVAL, "name it",
          vq_store_query_with(store, "SELECT ?", given, 2, keep_two, v, NULL, NULL, err));
    vq_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remove_and_restore),
        cmocka_unit_test(test_running_runs_stay),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_read_only_refuses),
        cmocka_unit_test(test_names_and_notes),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_points_between),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_parameters),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
