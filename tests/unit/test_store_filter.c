/*
 * Listing by attributes: filters as people write them, columns, sorting; and what is said when one
 * of them is wrong.
 */
#include "tests/unit/test_store_util.h"

#include "core/store/db.h"
#include "core/store/filter.h"
#include "core/store/internal.h"
#include "core/store/when.h"

static struct vq_store *store;

/* Fixed, so that relative times can be told: 2026-06-15 12:00:00 UTC. */
static const double now = 1781524800.0;

struct spec {
    const char *name, *command, *model, *path, *tag;
    uint64_t seed;
    double hours_ago, seconds;
};

static const struct spec specs[] = {
    {"alpha", "train", "text-small", "/models/a.safetensors", "best", 7, 1, 30},
    {"beta", "sample", "pixels", "/models/text/b.bin", NULL, UINT64_MAX, 30, 90},
    {"gamma (two)", "score", "text-small", NULL, "old", 10, 100, 3600},
    {"or", "train", NULL, NULL, NULL, 9, 2000, 1},
};
enum { N = sizeof(specs) / sizeof(specs[0]) };

static void fill_one(size_t i)
{
    const struct spec *p = &specs[i];
    struct vq_run_spec spec = {
        .command = p->command,
        .command_line = i == 2 ? "score --text 'a, b'" : p->command,
        .name = p->name,
        .model_name = p->model,
        .model_path = p->path,
        .has_seed = true,
        .seed = p->seed,
        .threads = (int)i,
        .config = i == 0 ? "{\"d_model\":512,\"tie\":true,\"a.b\":\"x\"}"
                         : "{\"d_model\":64,\"tie\":false}",
        .settings = i == 1 ? "{\"top_p\":0.9,\"big\":9007199254740993,\"in\":{\"x\":3}}" : NULL};
    struct vq_run *run;
    ok(vq_run_begin(store, &spec, &run, err));
    char id[VQ_RUN_ID_SIZE];
    snprintf(id, sizeof(id), "%s", vq_run_id(run));
    if (i == 0)
        ok(vq_run_result_real(run, "bits_per_byte", 1.5, err));
    if (i == 1)
        ok(vq_run_result_real(run, "bits_per_byte", NAN, err));
    if (i == 2)
        ok(vq_run_result_real(run, "bits_per_byte", INFINITY, err));
    if (i < 2)
        ok(vq_run_result_int(run, "big", INT64_MAX - (int64_t)i, err));
    if (i == 3)
        ok(vq_run_result_text(run, "big", "a text", 6, err));
    for (int k = 0; k < 3 && i != 2; k++)
        ok(vq_run_metric(run, "loss", k, 3.0 - k + (double)i, err));
    if (i == 1) {
        struct vq_sample sample = {.text = "call me Ishmael", .len = 15, .nats = 1};
        ok(vq_run_sample(run, &sample, err));
    }
    ok(vq_run_finish(run, i == 3 ? VQ_RUN_FAILED : VQ_RUN_FINISHED, i == 3 ? "it broke" : NULL,
                     err));
    vq_run_free(run);
    if (p->tag)
        ok(vq_store_tag(store, id, p->tag, NULL, err));
    if (i == 2)
        ok(vq_store_note_add(store, id, "keep this one", 13, err));
    char sql[200];
    snprintf(sql, sizeof(sql), "UPDATE runs SET started_at = %.1f, ended_at = %.1f WHERE id = '%s'",
             now - p->hours_ago * 3600, now - p->hours_ago * 3600 + p->seconds, id);
    ok(vq_db_exec(store->db, sql, err));
}

static int fill(void **state)
{
    if (make_scratch(state) != 0)
        return -1;
    store = open_store(in_scratch("filter.db"));
    for (size_t i = 0; i < N; i++)
        fill_one(i);
    return 0;
}

static int drop(void **state)
{
    vq_store_close(store);
    return remove_scratch(state);
}

/* The first letters of the names of the runs given, in order. */
static bool first_letter(void *ud, const char *id, const struct vq_value *values)
{
    char *out = ud;
    assert_int_equal(strlen(id), VQ_RUN_ID_SIZE - 1);
    out[strlen(out)] = values[0].text[0];
    return true;
}

static void expect(const char *filter, const char *letters)
{
    static const char *const columns[] = {"name"};
    struct vq_listing l = {.filter = filter, .columns = columns, .n_columns = 1, .now = now};
    struct vq_err e = {0};
    struct vq_listing_place place;
    size_t total;
    char got[16] = "";
    if (vq_store_list(store, &l, first_letter, got, &total, &place, NULL, &e) != VQ_OK)
        fail_msg("%s: %s at %zu", filter, e.msg, place.at);
    if (strcmp(got, letters) != 0 || total != strlen(letters))
        fail_msg("%s: expected '%s', found '%s' of %zu", filter, letters, got, total);
}

/* Each filter, and the runs that it leaves. */
static const char *const filters[][2] = {
    {"", "abgo"},
    {"  ", "abgo"},
    /* fields */
    {"status=finished", "abg"},
    {"status = FINISHED", "abg"},
    {"status!=finished", "o"},
    {"state=failed,crashed", "o"},
    {"command=train", "ao"},
    {"command!=train,score", "b"},
    {"model~TEXT", "abg"},
    {"model=text-small", "ag"},
    {"model!=text-small", "bo"},
    {"model!~text", "o"},
    {"model=none", "o"},
    {"path!=none", "ab"},
    {"error~broke", "o"},
    {"error=none", "abg"},
    {"name='gamma (two)'", "g"},
    {"name=\"gamma (two)\"", "g"},
    {"(name~(two))", "g"},
    {"line~'a, b'", "g"},
    {"threads>=2", "go"},
    {"threads = 0", "a"},
    {"seed=18446744073709551615", "b"},
    {"seed>9", "bg"},
    {"seed<=9", "ao"},
    {"seed=007", "a"},
    /* times */
    {"started>2d", "ab"},
    {"started<2d", "go"},
    {"started>1d6h30m", "ab"},
    {"started>=1d6h", "ab"},
    {"started>1d6h", "a"},
    {"started=2026-06-15", "a"},
    {"started=today", "a"},
    {"started=yesterday", "b"},
    {"started=2026-06-14T06:00", "b"},
    {"started>2026-06-14", "a"},
    {"started>=2026-06-14", "ab"},
    {"started<2026-06-14", "go"},
    {"started<=2026-06-14", "bgo"},
    {"started!=2026-06-15", "bgo"},
    {"started<now", "abgo"},
    {"seconds>60", "bg"},
    {"seconds>=1m30s", "bg"},
    {"seconds<1h", "abo"},
    {"seconds=1h", "g"},
    /* sets */
    {"tag=best", "a"},
    {"tag!=best", "bgo"},
    {"tag=best,old", "ag"},
    {"tag~LD", "g"},
    {"tag=none", "bo"},
    {"tags!=none", "ag"},
    {"note~keep", "g"},
    {"note=none", "abo"},
    {"sample~ishmael", "b"},
    /* results, metrics, configuration */
    {"bits_per_byte<2", "a"},
    {"bpb<2", "a"},
    {"bits_per_byte=1.5", "a"},
    {"bits_per_byte=nan", "b"},
    {"bits_per_byte=inf", "g"},
    {"bits_per_byte>1e300", "g"},
    {"bits_per_byte=none", "o"},
    {"bits_per_byte!=none", "abg"},
    {"big=9223372036854775807", "a"},
    {"big>9223372036854775806", "a"},
    {"big>=9223372036854775806", "ab"},
    {"big='a text'", "o"},
    {"big~text", "o"},
    {"big>0", "ab"},
    {"result.big>0", "ab"},
    {"loss<2", "a"},
    {"metric.loss<=2", "ab"},
    {"min.loss=4", "o"},
    {"max.loss>3.5", "bo"},
    {"loss=none", "g"},
    {"config.d_model=512", "a"},
    {"config.d_model!=512", "bgo"},
    {"config.tie=true", "a"},
    {"config.tie=false", "bgo"},
    {"config.a.b=x", "a"},
    {"config.nothing=none", "abgo"},
    {"settings.top_p>=0.9", "b"},
    {"settings.in.x=3", "b"},
    {"settings.big=9007199254740993", "b"},
    {"settings.big=9007199254740992", ""},
    /* text */
    {"alpha", "a"},
    {"TEXT", "abg"},
    {"keep", "g"},
    {"best", "a"},
    {"'it broke'", "o"},
    {"100%", ""},
    /* structure */
    {"status=finished and model~text and bits_per_byte<2 and started>2d", "a"},
    {"alpha or beta", "ab"},
    {"alpha OR beta and command=train", "a"},
    {"(alpha or beta) and command=sample", "b"},
    {"not alpha", "bgo"},
    {"not (alpha or beta)", "go"},
    {"not not alpha", "a"},
    {"not(alpha)and(not beta)", "go"},
    {"command=train status=failed", "o"},
    {"name='or'", "o"},
    {"name=or", "o"},
    {"((((alpha))))", "a"},
};

static void test_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        expect(filters[i][0], filters[i][1]);
}

static void refuse(const char *filter, size_t at, enum vq_status status, const char *part)
{
    struct vq_listing l = {.filter = filter, .now = now};
    struct vq_err e = {0};
    struct vq_listing_place place;
    char got[16] = "";
    enum vq_status found = vq_store_list(store, &l, first_letter, got, NULL, &place, NULL, &e);
    if (found != status || place.part != VQ_LISTING_FILTER || place.at != at ||
        !strstr(e.msg, part))
        fail_msg("%s: expected '%s' at %zu, found status %d, '%s' at %zu", filter, part, at,
                 (int)found, e.msg, place.at);
}

static void test_wrong_filters(void **state)
{
    (void)state;
    refuse("stauts=finished", 0, VQ_ENOTFOUND, "did you mean status?");
    refuse("alpha and (lossy<2)", 11, VQ_ENOTFOUND, "did you mean loss?");
    refuse("zzzzzzzzzz>1", 0, VQ_ENOTFOUND, "nothing of a run is called 'zzzzzzzzzz'");
    refuse("status=kiled", 7, VQ_EINVAL, "one of running");
    refuse("status=failed,kiled", 14, VQ_EINVAL, "found 'kiled'");
    refuse("status<failed", 6, VQ_EINVAL, "no order");
    refuse("tag >= x", 4, VQ_EINVAL, "no order");
    refuse("threads>many", 8, VQ_EINVAL, "expected a number");
    refuse("seed=-1", 5, VQ_EINVAL, "without a sign");
    refuse("started>soon", 8, VQ_EINVAL, "expected a time");
    refuse("started>2026-02-30", 8, VQ_EINVAL, "expected a time");
    refuse("(alpha", 0, VQ_EINVAL, "never closed");
    refuse("alpha)", 5, VQ_EINVAL, "no '('");
    refuse("()", 1, VQ_EINVAL, "before this ')'");
    refuse("name='x", 5, VQ_EINVAL, "quote is never closed");
    refuse("status=", 7, VQ_EINVAL, "a value after the operator");
    refuse("=3", 0, VQ_EINVAL, "before the operator");
    refuse("alpha and", 9, VQ_EINVAL, "expected a test");
    refuse("not", 3, VQ_EINVAL, "expected a test");
    refuse("config.\"=3", 7, VQ_EINVAL, "never closed");
    char deep[200] = "";
    memset(deep, '(', 100);
    refuse(deep, 64, VQ_EINVAL, "too many parentheses");
}

/* Whatever is typed is data. */
static void test_words_are_bound(void **state)
{
    (void)state;
    static const char *const nasty[] = {
        "name='x'' OR 1=1 --'",      "name=\"'; DROP TABLE runs; --\"",
        "config.x') OR 1=1 OR ('=1", "'%' _",
        "loss='1) OR (1=1'",
    };
    for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++) {
        struct vq_listing l = {.filter = nasty[i], .now = now};
        struct vq_err e = {0};
        size_t total = 0;
        vq_store_list(store, &l, first_letter, NULL, &total, NULL, NULL, &e);
        assert_int_equal(total, 0);
    }
    assert_int_equal(ask(store, "SELECT count(*) FROM runs"), N);
}

struct rows {
    int n;
    struct vq_value v[8][9];
    char text[8][9][32];
};

static bool keep_row(void *ud, const char *id, const struct vq_value *values)
{
    struct rows *r = ud;
    (void)id;
    for (int i = 0; i < 9; i++) {
        r->v[r->n][i] = values[i];
        if (values[i].text)
            snprintf(r->text[r->n][i], 32, "%s", values[i].text);
    }
    r->n++;
    return true;
}

static void test_columns(void **state)
{
    (void)state;
    static const char *const columns[9] = {"name", "bits_per_byte", "big",     "metric.loss", "tag",
                                           "note", "config.tie",    "samples", "seed"};
    struct vq_listing l = {.columns = columns, .n_columns = 9, .now = now};
    struct rows r = {0};
    ok(vq_store_list(store, &l, keep_row, &r, NULL, NULL, NULL, err));
    assert_int_equal(r.n, 4);
    assert_true(r.v[0][1].kind == VQ_VALUE_REAL && r.v[0][1].d == 1.5);
    assert_true(r.v[1][1].kind == VQ_VALUE_REAL && isnan(r.v[1][1].d));
    assert_true(r.v[2][1].kind == VQ_VALUE_REAL && isinf(r.v[2][1].d));
    assert_int_equal(r.v[3][1].kind, VQ_VALUE_NULL);
    assert_true(r.v[0][2].kind == VQ_VALUE_INT && r.v[0][2].i == INT64_MAX);
    assert_string_equal(r.text[3][2], "a text");
    assert_true(r.v[0][3].kind == VQ_VALUE_REAL && r.v[0][3].d == 1.0);
    assert_int_equal(r.v[2][3].kind, VQ_VALUE_NULL);
    assert_string_equal(r.text[0][4], "best");
    assert_int_equal(r.v[2][5].i, 1);
    assert_true(r.v[0][6].kind == VQ_VALUE_INT && r.v[0][6].i == 1);
    assert_int_equal(r.v[1][7].i, 1);
    assert_string_equal(r.text[1][8], "18446744073709551615");

    static const char *const wrong[] = {"name", "nme"};
    struct vq_listing_place place;
    l = (struct vq_listing){.columns = wrong, .n_columns = 2};
    fails(VQ_ENOTFOUND, "did you mean name?",
          vq_store_list(store, &l, keep_row, &r, NULL, &place, NULL, err));
    assert_true(place.part == VQ_LISTING_COLUMN && place.index == 1);
}

static void sorted(const char *key, const char *letters)
{
    static const char *const columns[] = {"name"};
    const char *const sort[] = {key};
    struct vq_listing l = {.columns = columns, .n_columns = 1, .sort = sort, .n_sort = 1};
    char got[16] = "";
    ok(vq_store_list(store, &l, first_letter, got, NULL, NULL, NULL, err));
    assert_string_equal(got, letters);
}

static void test_sorting(void **state)
{
    (void)state;
    sorted("name", "abgo");
    sorted("-name", "ogba");
    sorted("seed", "aogb");
    sorted("-seed", "bgoa");
    sorted("seconds", "oabg");
    sorted("-started", "abgo");
    sorted("started", "ogba");
    /* Those without one come last, whichever way. */
    sorted("loss", "abog");
    sorted("-loss", "obag");
    static const char *const columns[] = {"name"}, *const sort[] = {"command", "-seed"};
    struct vq_listing l = {
        .columns = columns, .n_columns = 1, .sort = sort, .n_sort = 2, .limit = 3};
    size_t total;
    char got[16] = "";
    ok(vq_store_list(store, &l, first_letter, got, &total, NULL, NULL, err));
    assert_string_equal(got, "bgo");
    assert_int_equal(total, 4);
    static const char *const wrong[] = {"-nothing_like"};
    struct vq_listing_place place;
    l.sort = wrong;
    l.n_sort = 1;
    fails(VQ_ENOTFOUND, "nothing_like",
          vq_store_list(store, &l, first_letter, got, NULL, &place, NULL, err));
    assert_true(place.part == VQ_LISTING_SORT && place.index == 0 && place.at == 1);
}

static bool always(void *ud)
{
    (void)ud;
    return true;
}

static void test_cancel(void **state)
{
    (void)state;
    static const char *const columns[] = {"name"};
    struct vq_listing l = {.columns = columns, .n_columns = 1};
    struct vq_cancel cancel = {.poll = always};
    char got[16] = "";
    fails(VQ_ECANCELLED, "cancelled",
          vq_store_list(store, &l, first_letter, got, NULL, NULL, &cancel, err));
    assert_int_equal(strlen(got), 1);
}

static void test_times(void **state)
{
    (void)state;
    double from, to, seconds;
    assert_true(vq_time_parse("2026-06-15T12:00:00Z", 20, 0, &from, &to));
    assert_true(from == now && to == now + 1);
    assert_true(vq_time_parse("1970-01-01", 10, 0, &from, &to) && from == 0 && to == 86400);
    assert_true(vq_time_parse("2024-02-29", 10, 0, &from, &to));
    assert_true(vq_time_parse("1.5h", 4, now, &from, &to) && from == now - 5400 && to == from);
    static const char *const none[] = {
        "2026-13-01", "2026-02-29", "2026-1-1", "2026-01-01T25:00", "2026-01-01X12:00", "h",
        "",           "1y",         "12:00"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(vq_time_parse(none[i], strlen(none[i]), now, &from, &to));
    assert_true(vq_duration_parse("1w2d", 4, &seconds) && seconds == 777600);
    assert_false(vq_duration_parse("1m30", 4, &seconds));
}

struct seen {
    bool status, family, key, metric;
};

static bool see(void *ud, const char *name)
{
    struct seen *s = ud;
    s->status = s->status || strcmp(name, "status") == 0;
    s->family = s->family || strcmp(name, "config.") == 0;
    s->key = s->key || strcmp(name, "bits_per_byte") == 0;
    s->metric = s->metric || strcmp(name, "loss") == 0;
    return true;
}

static void test_names(void **state)
{
    (void)state;
    struct seen s = {0};
    ok(vq_store_attributes(store, see, &s, err));
    assert_true(s.status && s.family && s.key && s.metric);
    assert_int_equal(vq_store_column_kind(store, "started"), VQ_COLUMN_TIME);
    assert_int_equal(vq_store_column_kind(store, "seed"), VQ_COLUMN_SEED);
    assert_int_equal(vq_store_column_kind(store, "seconds"), VQ_COLUMN_PLAIN);
}

/* Every allocation on the way fails once; nothing leaks and nothing is half done. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const columns[] = {"name", "config.d_model"}, *const sort[] = {"-loss"};
    struct vq_listing l = {.filter = "(model~text or tag=x,y) and loss<9 and config.tie=true",
                           .columns = columns,
                           .n_columns = 2,
                           .sort = sort,
                           .n_sort = 1};
    for (long nth = 1; nth < 500; nth++) {
        struct vq_err e = {0};
        char got[16] = "";
        vq_mem_fail_at(nth);
        enum vq_status status = vq_store_list(store, &l, first_letter, got, NULL, NULL, NULL, &e);
        bool failed = vq_mem_fail_at(0) >= nth;
        if (!failed) {
            assert_int_equal(status, VQ_OK);
            assert_string_equal(got, "a");
            return;
        }
        assert_int_equal(status, VQ_ENOMEM);
    }
    fail_msg("no end of allocations");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),         cmocka_unit_test(test_wrong_filters),
        cmocka_unit_test(test_words_are_bound), cmocka_unit_test(test_columns),
        cmocka_unit_test(test_sorting),         cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_names),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, fill, drop);
}
