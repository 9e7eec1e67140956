#include "tests/unit/test_ckpt.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#define LIMIT ((size_t)1 << 30)

enum form { FOLDER, FILE_, SAFETENSORS };

/* Writes all of c; the message is the test's failure. */
static void must_write(enum form form, const char *path, const struct vq_ckpt *c, size_t limit)
{
    struct vq_tensor_out *t = outs_of(c);
    struct vq_err err = {0};
    uint64_t bytes = 0;
    enum vq_status status =
        form == SAFETENSORS ? vq_safetensors_write(path, t, vq_ckpt_count(c), NULL, 0, &bytes, &err)
                            : vq_flax_write_chunked(path, form == FOLDER, t, vq_ckpt_count(c), 0,
                                                    limit, &bytes, &err);
    if (status != VQ_OK)
        fail_msg("%s", err.msg);
    struct vq_ckpt *back = must_open(path);
    assert_int_equal(vq_ckpt_size(back), bytes);
    assert_same_tensors(c, back);
    vq_ckpt_free(back);
    free(t);
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

/* Every way from a checkpoint to both Flax layouts ends in the authors' own bytes. */
static void test_round_trips(void **state)
{
    static const struct {
        const char *from, *folder, *file;
        size_t limit;
    } cases[] = {
        {DATA "fixture_agg", DATA "fixture_agg/checkpoint_3",
         DATA "fixture_agg_legacy/checkpoint_3", LIMIT},
        {DATA "fixture_agg_legacy", DATA "fixture_agg/checkpoint_3",
         DATA "fixture_agg_legacy/checkpoint_3", LIMIT},
        {DATA "chunked_orbax", DATA "fixture_agg/checkpoint_3",
         DATA "fixture_agg_legacy/checkpoint_3", LIMIT},
        {DATA "chunked_legacy", DATA "chunked_orbax/checkpoint_3",
         DATA "chunked_legacy/checkpoint_3", 64},
        {DATA "fixture_agg", DATA "chunked_orbax/checkpoint_3", DATA "chunked_legacy/checkpoint_3",
         64},
        {DATA "opt_lion", DATA "opt_lion/checkpoint_3", NULL, LIMIT},
        {DATA "layers11", DATA "layers11/checkpoint_3", NULL, LIMIT},
        {DATA "mem8_block16", DATA "mem8_block16/checkpoint_3", NULL, LIMIT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char golden[256];
        snprintf(golden, sizeof(golden), "%s/checkpoint", cases[i].folder);
        struct vq_ckpt *c = must_open(cases[i].from);
        must_write(FOLDER, in(state, "d"), c, cases[i].limit);
        assert_same_file(in(state, "d/checkpoint"), golden);
        must_write(FILE_, in(state, "f"), c, cases[i].limit);
        if (cases[i].file)
            assert_same_file(in(state, "f"), cases[i].file);
        must_write(SAFETENSORS, in(state, "s"), c, 0);
        vq_ckpt_free(c);

        c = must_open(in(state, "s"));
        must_write(FOLDER, in(state, "d2"), c, cases[i].limit);
        assert_same_file(in(state, "d2/checkpoint"), golden);
        must_write(FILE_, in(state, "f2"), c, cases[i].limit);
        assert_same_file(in(state, "f2"), in(state, "f"));
        must_write(SAFETENSORS, in(state, "s2"), c, 0);
        assert_same_file(in(state, "s2"), in(state, "s"));
        vq_ckpt_free(c);
    }
    assert_int_equal(entries(in(state, "")), 6);
}

static void test_safetensors_form(void **state)
{
    static const float f[3] = {1, 2, 3};
    static const uint8_t u[3] = {7, 8, 9};
    static const double d[1] = {0.5};
    const struct vq_tensor_out t[] = {
        {.name = "x_10/g", .dtype = VQ_F32, .rank = 1, .shape = {3}, .data = f},
        {.name = "x_2/g", .dtype = VQ_U8, .rank = 2, .shape = {3, 1}, .data = u},
        {.name = "opt_state/0", .dtype = VQ_NONE},
        {.name = "step", .dtype = VQ_F64, .data = d},
        {.name = "none", .dtype = VQ_F32, .rank = 2, .shape = {0, 4}},
    };
    const struct vq_meta meta[] = {{"config", "{\"a\": \"\\u00e9 \xc3\xa9\"}\n"}, {"vocab", ""}};
    const char *path = in(state, "form.safetensors");
    uint64_t bytes;
    assert_int_equal(vq_safetensors_write(path, t, 5, meta, 2, &bytes, NULL), VQ_OK);
    struct buf b = get_file(path);
    static const char header[] =
        "{\"__metadata__\":{\"config\":\"{\\\"a\\\": \\\"\\\\u00e9 "
        "\xc3\xa9\\\"}\\n\",\"vocab\":\"\","
        "\"empty\":\"[\\\"opt_state/0\\\"]\"},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
        "\"opt_state/0\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[23,23]},"
        "\"step\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"x_2/g\":{\"dtype\":\"U8\",\"shape\":[3,1],\"data_offsets\":[20,23]},"
        "\"x_10/g\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,20]}}";
    assert_memory_equal(b.data + 8, header, strlen(header));
    uint64_t length;
    memcpy(&length, b.data, sizeof(length));
    assert_int_equal(length % 8, 0);
    for (size_t i = strlen(header); i < length; i++)
        assert_int_equal(b.data[8 + i], ' ');
    assert_int_equal(b.size, 8 + length + 23);
    assert_int_equal(b.size, bytes);
    assert_memory_equal(b.data + 8 + length + 8, f, sizeof(f));
    free(b.data);

    struct vq_ckpt *c = must_open(path);
    assert_string_equal(vq_ckpt_format(c), "safetensors");
    assert_string_equal(vq_ckpt_meta(c, "config"), meta[0].value);
    assert_string_equal(vq_ckpt_meta(c, "vocab"), "");
    assert_null(vq_ckpt_meta(c, "absent"));
    assert_int_equal(vq_ckpt_find(c, "opt_state/0")->dtype, VQ_NONE);
    assert_false(vq_ckpt_find(c, "opt_state/0")->is_param);
    assert_true(vq_ckpt_find(c, "x_2/g")->is_param);
    vq_ckpt_free(c);
}

/* The n outs as a folder, whose bytes after the map's head must be `want`. */
static void assert_flax(void **state, bool folder, const struct vq_tensor_out *t, size_t n,
                        const struct buf *want)
{
    const char *path = in(state, folder ? "doc_d" : "doc_f");
    struct vq_err err = {0};
    if (vq_flax_write(path, folder, t, n, 7, NULL, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    struct buf b = get_file(folder ? in(state, "doc_d/checkpoint") : path);
    assert_int_equal(b.size, want->size);
    assert_memory_equal(b.data, want->data, b.size);
    free(b.data);
}

#define U8_ARRAY(value) "\xc7\x0b\x01\x93\x90\xa5uint8\xc4\x01" value
#define STEP_7          "\xa4step\xc7\x0e\x01\x93\x90\xa5int32\xc4\x04\x07\x00\x00\x00"

/* Which paths become sequences, in which order, and how keys are sorted. */
static void test_tuples(void **state)
{
    static const uint8_t v[11] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct vq_tensor_out t[16] = {
        {.name = "b/0", .dtype = VQ_U8, .data = v},
        {.name = "b/1", .dtype = VQ_U8, .data = v + 1},
        {.name = "a", .dtype = VQ_NONE},
        {.name = "opt_state/gap/0", .dtype = VQ_U8, .data = v},
        {.name = "opt_state/gap/2", .dtype = VQ_U8, .data = v + 2},
    };
    static const char *const names[11] = {"opt_state/t/0", "opt_state/t/1", "opt_state/t/2",
                                          "opt_state/t/3", "opt_state/t/4", "opt_state/t/5",
                                          "opt_state/t/6", "opt_state/t/7", "opt_state/t/8",
                                          "opt_state/t/9", "opt_state/t/10"};
    for (size_t i = 0; i < 11; i++)
        t[5 + i] = (struct vq_tensor_out){.name = names[i], .dtype = VQ_U8, .data = &v[10 - i]};

    struct buf want = {0};
    LIT(&want, "\x83\xa9opt_state\x82\xa3gap\x82");
    LIT(&want, KEY("0") U8_ARRAY("\x00") KEY("2") U8_ARRAY("\x02"));
    LIT(&want, KEY("t") "\x9b");
    for (size_t i = 0; i < 11; i++) {
        LIT(&want, U8_ARRAY(""));
        put(&want, &v[10 - i], 1);
    }
    LIT(&want, "\xa6params\x82" KEY("a") "\xc0" KEY("b") "\x82");
    LIT(&want, KEY("0") U8_ARRAY("\x00") KEY("1") U8_ARRAY("\x01") STEP_7);
    assert_flax(state, true, t, 16, &want);
    free(want.data);

    want = (struct buf){0};
    LIT(&want, "\x83\xa9opt_state\x82\xa3gap\x82");
    LIT(&want, KEY("0") U8_ARRAY("\x00") KEY("2") U8_ARRAY("\x02"));
    LIT(&want, KEY("t") "\x8b" KEY("0") U8_ARRAY("\x0a") KEY("1") U8_ARRAY("\x09"));
    LIT(&want, "\xa2"
               "10" U8_ARRAY("\x00"));
    for (uint8_t i = 2; i < 10; i++) {
        const char key[2] = {'\xa1', (char)('0' + i)};
        put(&want, key, 2);
        LIT(&want, U8_ARRAY(""));
        put(&want, &v[10 - i], 1);
    }
    LIT(&want, "\xa6params\x82" KEY("a") "\x80" KEY("b") "\x82");
    LIT(&want, KEY("0") U8_ARRAY("\x00") KEY("1") U8_ARRAY("\x01") STEP_7);
    assert_flax(state, false, t, 16, &want);
    free(want.data);
}

static void must_fail(enum vq_status code, const char *word, const struct vq_tensor_out *t,
                      size_t n, void **state)
{
    for (int form = FOLDER; form <= SAFETENSORS; form++) {
        struct vq_err err = {0};
        enum vq_status status =
            form == SAFETENSORS
                ? vq_safetensors_write(in(state, "bad"), t, n, NULL, 0, NULL, &err)
                : vq_flax_write(in(state, "bad"), form == FOLDER, t, n, 0, NULL, &err);
        if (status != code || !strstr(err.msg, word))
            fail_msg("%s: %d, %s", word, (int)status, err.msg);
    }
    assert_int_equal(entries(in(state, "")), 0);
}

static void test_refusals(void **state)
{
    static const float x[1] = {1};
    struct vq_tensor_out t[2] = {{.name = "a", .dtype = VQ_F32, .data = x},
                                 {.name = "a", .dtype = VQ_F32, .data = x}};
    must_fail(VQ_EINVAL, "two tensors are named a", t, 2, state);
    t[1].name = "b//c";
    must_fail(VQ_EFORMAT, "empty part", t, 2, state);
    t[1].name = NULL;
    must_fail(VQ_EFORMAT, "name is empty", t, 2, state);
    t[1].name = "\xff";
    must_fail(VQ_EFORMAT, "UTF-8", t, 2, state);
    t[1] = (struct vq_tensor_out){.name = "b", .dtype = VQ_F32};
    must_fail(VQ_EINVAL, "b: has no data", t, 2, state);
    t[1] = (struct vq_tensor_out){.name = "b", .dtype = (enum vq_dtype)99, .data = x};
    must_fail(VQ_EINVAL, "dtype", t, 2, state);
    t[1] = (struct vq_tensor_out){.name = "b", .dtype = VQ_F32, .data = x, .rank = 9};
    must_fail(VQ_EFORMAT, "9 dimensions", t, 2, state);
    t[1] = (struct vq_tensor_out){.name = "b", .data = x, .rank = 1, .shape = {-1}};
    must_fail(VQ_EFORMAT, "negative", t, 2, state);
    t[1] = (struct vq_tensor_out){
        .name = "b", .data = x, .rank = 2, .shape = {INT64_C(1) << 33, INT64_C(1) << 33}};
    must_fail(VQ_EFORMAT, "counted", t, 2, state);
    t[1] = (struct vq_tensor_out){.name = "b", .data = x, .rank = 1, .shape = {INT64_C(1) << 62}};
    must_fail(VQ_EFORMAT, "counted", t, 2, state);
}

static void test_refusals_of_one_format(void **state)
{
    static const float x[1] = {1};
    struct vq_err err;
    struct vq_tensor_out t[2] = {{.name = "a", .dtype = VQ_F32, .data = x},
                                 {.name = "a/b", .dtype = VQ_F32, .data = x}};
    const char *path = in(state, "bad");
    assert_int_equal(vq_flax_write(path, true, t, 2, 0, NULL, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "params/a/b"));
    assert_int_equal(vq_flax_write(path, false, t, 1, -1, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_flax_write(path, false, t, 1, INT64_C(1) << 31, NULL, &err), VQ_EINVAL);
    t[0].name = "step";
    assert_int_equal(vq_flax_write(path, false, t, 1, -1, NULL, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "no parameters"));
    assert_int_equal(vq_flax_write(path, false, t, 0, 1, NULL, &err), VQ_EINVAL);
    t[0].name = "__metadata__";
    assert_int_equal(vq_safetensors_write(path, t, 1, NULL, 0, NULL, &err), VQ_EINVAL);
    t[0].name = "a";
    struct vq_meta meta[2] = {{"empty", "x"}, {"k", "v"}};
    assert_int_equal(vq_safetensors_write(path, t, 1, meta, 1, NULL, &err), VQ_EINVAL);
    meta[0].key = "k";
    assert_int_equal(vq_safetensors_write(path, t, 1, meta, 2, NULL, &err), VQ_EINVAL);

    /* Below a tuple nothing is chunked, and 4 GiB is where MessagePack ends. No byte is read. */
    t[1] = (struct vq_tensor_out){.name = "opt_state/0/mu", .dtype = VQ_U8, .data = x, .rank = 1};
    t[1].shape[0] = UINT32_MAX;
    assert_int_equal(vq_flax_write(path, true, t, 2, 0, NULL, &err), VQ_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "opt_state/0/mu"));
    assert_int_equal(entries(in(state, "")), 0);
}

/* A given step is kept, one that is missing is added as an int32 scalar. */
static void test_step(void **state)
{
    static const float x[1] = {1};
    static const int64_t stored[1] = {INT64_C(1) << 40};
    const struct vq_tensor_out t[2] = {{.name = "a", .dtype = VQ_F32, .data = x},
                                       {.name = "step", .dtype = VQ_I64, .data = stored}};
    for (int folder = 0; folder < 2; folder++) {
        const char *path = in(state, folder ? "d" : "f");
        assert_int_equal(vq_flax_write(path, folder, t, 1, 12345, NULL, NULL), VQ_OK);
        struct vq_ckpt *c = must_open(path);
        assert_int_equal(vq_ckpt_step(c), 12345);
        assert_int_equal(vq_ckpt_find(c, "step")->dtype, VQ_I32);
        vq_ckpt_free(c);
        assert_int_equal(vq_flax_write(path, folder, t, 2, -1, NULL, NULL), VQ_OK);
        c = must_open(path);
        assert_int_equal(vq_ckpt_step(c), stored[0]);
        vq_ckpt_free(c);
    }
}

static void test_folder_targets(void **state)
{
    static const float x[1] = {1};
    const struct vq_tensor_out t[1] = {{.name = "a", .dtype = VQ_F32, .data = x}};
    struct vq_err err;
    const char *path = in(state, "checkpoint_1");
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(vq_flax_write(path, true, t, 1, 1, NULL, NULL), VQ_OK); /* empty */
    struct vq_ckpt *c = must_open(path);
    struct vq_tensor_out *again = outs_of(c);
    assert_int_equal(vq_flax_write(path, true, again, 1, 2, NULL, NULL), VQ_OK); /* onto itself */
    free(again);
    assert_same_tensor(vq_ckpt_at(c, 0), vq_ckpt_find(c, "a"));
    vq_ckpt_free(c);
    c = must_open(path);
    assert_int_equal(vq_ckpt_step(c), 2);
    vq_ckpt_free(c);

    put_file(in(state, "checkpoint_1/notes"), "x", 1);
    assert_int_equal(vq_flax_write(path, true, t, 1, 3, NULL, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "notes"));
    assert_int_equal(entries(path), 2);

    put_file(in(state, "checkpoint_2"), "x", 1);
    assert_int_equal(vq_flax_write(in(state, "checkpoint_2"), true, t, 1, 3, NULL, &err),
                     VQ_EINVAL);
    assert_non_null(strstr(err.msg, "is a file"));
    assert_int_equal(vq_flax_write(path, false, t, 1, 3, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_flax_write(in(state, "no/where"), true, t, 1, 3, NULL, &err), VQ_ENOTFOUND);
    assert_int_equal(vq_flax_write(in(state, "no/where"), false, t, 1, 3, NULL, &err),
                     VQ_ENOTFOUND);
    assert_int_equal(vq_flax_write(in(state, "checkpoint_3/"), true, t, 1, 3, NULL, &err), VQ_OK);
    assert_int_equal(entries(in(state, "checkpoint_3")), 1);
    assert_int_equal(entries(in(state, "")), 3);
}

/* The disk is full after some bytes: what was there stays, and nothing is left beside it. */
static void test_full_disk(void **state)
{
    struct vq_ckpt *c = must_open(DATA "opt_lion"), *old = must_open(DATA "fixture_agg");
    must_write(FOLDER, in(state, "d"), old, LIMIT);
    must_write(FILE_, in(state, "f"), old, LIMIT);
    must_write(SAFETENSORS, in(state, "s"), old, 0);
    struct vq_tensor_out *t = outs_of(c);
    size_t n = vq_ckpt_count(c);
    struct rlimit whole, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    few = whole;
    few.rlim_cur = 30000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    static const char *const paths[] = {"d", "f", "s", "d_new", "f_new", "s_new"};
    enum vq_status got[6];
    struct vq_err err[6];
    for (int i = 0; i < 6; i++)
        got[i] = i % 3 == SAFETENSORS
                     ? vq_safetensors_write(in(state, paths[i]), t, n, NULL, 0, NULL, &err[i])
                     : vq_flax_write(in(state, paths[i]), i % 3 == FOLDER, t, n, 0, NULL, &err[i]);
    setrlimit(RLIMIT_FSIZE, &whole);
    signal(SIGXFSZ, SIG_DFL);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(got[i], VQ_EIO);
        assert_non_null(strstr(err[i].msg, "write failed"));
    }
    for (int i = 0; i < 3; i++) {
        struct vq_ckpt *kept = must_open(in(state, paths[i]));
        assert_same_tensors(old, kept);
        vq_ckpt_free(kept);
    }
    assert_int_equal(entries(in(state, "d")), 1);
    assert_int_equal(entries(in(state, "")), 3);
    free(t);
    vq_ckpt_free(old);
    vq_ckpt_free(c);
}

/* Each allocation of each writer fails once; every failure is clean. */
static void test_memory_runs_out(void **state)
{
    struct vq_ckpt *c = must_open(DATA "fixture_agg");
    struct vq_tensor_out *t = outs_of(c);
    const struct vq_meta meta[1] = {{"config", "{}"}};
    size_t n = vq_ckpt_count(c);
    for (int form = FOLDER; form <= SAFETENSORS; form++) {
        long total = 1, failures = 0;
        for (long nth = 0; nth <= total; nth++) {
            struct vq_err err = {0};
            vq_mem_fail_at(nth);
            enum vq_status status =
                form == SAFETENSORS
                    ? vq_safetensors_write(in(state, "s"), t, n, meta, 1, NULL, &err)
                    : vq_flax_write(in(state, "s"), form == FOLDER, t, n, 0, NULL, &err);
            long used = vq_mem_fail_at(0);
            assert_true(status == VQ_OK || status == VQ_ENOMEM);
            total = nth == 0 ? used : total;
            failures += status == VQ_ENOMEM;
            assert_int_equal(entries(in(state, "")), status == VQ_OK);
            if (form == FOLDER)
                unlink(in(state, "s/checkpoint"));
            remove(in(state, "s"));
        }
        /* Syncing a folder may do without memory. */
        assert_true(total > 6 && failures >= total - 4);
    }
    free(t);
    vq_ckpt_free(c);
}

static void test_memory_runs_out_reading(void **state)
{
    struct vq_ckpt *c = must_open(DATA "fixture_agg");
    must_write(SAFETENSORS, in(state, "s"), c, 0);
    vq_ckpt_free(c);
    vq_mem_fail_at(0);
    vq_ckpt_free(must_open(in(state, "s")));
    long total = vq_mem_fail_at(0);
    for (long nth = 1; nth <= total; nth++) {
        struct vq_err err = {0};
        vq_mem_fail_at(nth);
        enum vq_status status = vq_ckpt_open(&c, in(state, "s"), &err);
        vq_mem_fail_at(0);
        assert_int_equal(status, VQ_ENOMEM);
        assert_null(c);
    }
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_round_trips),
        IN_SCRATCH(test_safetensors_form),
        IN_SCRATCH(test_tuples),
        IN_SCRATCH(test_refusals),
        IN_SCRATCH(test_refusals_of_one_format),
        IN_SCRATCH(test_step),
        IN_SCRATCH(test_folder_targets),
        IN_SCRATCH(test_full_disk),
        IN_SCRATCH(test_memory_runs_out),
        IN_SCRATCH(test_memory_runs_out_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
