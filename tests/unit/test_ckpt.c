#include "tests/unit/test_ckpt.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

static const struct vq_tensor *must_find(const struct vq_ckpt *c, const char *name)
{
    const struct vq_tensor *t = vq_ckpt_find(c, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

static void assert_tensor(const struct vq_ckpt *c, const char *name, enum vq_dtype dtype,
                          const char *shape, bool is_param)
{
    char text[128];
    const struct vq_tensor *t = must_find(c, name);
    assert_int_equal(t->dtype, dtype);
    assert_string_equal(vq_tensor_shape(t, text, sizeof(text)), shape);
    assert_int_equal(t->is_param, is_param);
}

static void test_golden_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
        size_t count;
    } cases[] = {
        {DATA "fixture_agg/checkpoint_3", "flax-folder", 98},
        {DATA "fixture_agg/checkpoint_3/checkpoint", "flax-folder", 98},
        {DATA "fixture_agg_legacy/checkpoint_3", "flax-file", 98},
        {DATA "chunked_orbax/checkpoint_3", "flax-folder", 98},
        {DATA "chunked_legacy/checkpoint_3", "flax-file", 98},
        {DATA "opt_lion/checkpoint_3", "flax-folder", 63},
        {DATA "layers11/checkpoint_3", "flax-folder", 907},
        {DATA "mem8_block16/checkpoint_3", "flax-folder", 76},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vq_ckpt *c = must_open(cases[i].path);
        assert_string_equal(vq_ckpt_format(c), cases[i].format);
        assert_int_equal(vq_ckpt_count(c), cases[i].count);
        assert_int_equal(vq_ckpt_step(c), 3);
        assert_null(vq_ckpt_meta(c, "config"));
        struct buf file = get_file(vq_ckpt_path(c));
        assert_int_equal(vq_ckpt_size(c), file.size);
        free(file.data);
        vq_ckpt_free(c);
    }
}

/* Both layouts, chunked or not, are one TrainState. */
static void test_layouts_agree(void **state)
{
    (void)state;
    static const char *const others[] = {DATA "fixture_agg_legacy", DATA "chunked_orbax",
                                         DATA "chunked_legacy"};
    struct vq_ckpt *a = must_open(DATA "fixture_agg");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct vq_ckpt *b = must_open(others[i]);
        assert_same_tensors(a, b);
        vq_ckpt_free(b);
    }
    vq_ckpt_free(a);
}

static void test_optimizer_states(void **state)
{
    (void)state;
    struct vq_ckpt *lion = must_open(DATA "fixture_agg");
    assert_tensor(lion, "step", VQ_I32, "[]", false);
    assert_tensor(lion, "out_ln/g", VQ_F32, "[4]", true);
    assert_tensor(lion, "opt_state/inner_states/main/inner_state/0/0/mu/out_ln/g", VQ_BF16, "[4]",
                  false);
    assert_tensor(lion, "opt_state/inner_states/codebook/inner_state/1", VQ_NONE, "[0]", false);
    assert_tensor(lion,
                  "opt_state/inner_states/main/inner_state/0/0/mu/transformer_layers_0/"
                  "scanned_attn1/quantizer/c_sum",
                  VQ_NONE, "[0]", false);
    vq_ckpt_free(lion);

    struct vq_ckpt *factor = must_open(DATA "layers11");
    assert_tensor(factor, "opt_state/inner_states/main/inner_state/0/0/v_row/token_embedder/embs",
                  VQ_F32, "[1]", false);
    vq_ckpt_free(factor);

    struct vq_ckpt *adam = must_open(DATA "mem8_block16");
    assert_tensor(adam, "opt_state/inner_states/main/inner_state/0/0/nu/token_embedder/bias_out",
                  VQ_F32, "[40]", false);
    vq_ckpt_free(adam);
}

/* The bytes at a known place of the authors' file, read through the tensor. */
static void test_values(void **state)
{
    (void)state;
    struct vq_ckpt *c = must_open(DATA "chunked_legacy/checkpoint_3");
    const struct vq_tensor *t =
        must_find(c, "opt_state/inner_states/main/inner_state/0/0/mu/out_ln/b");
    static const uint16_t stored[4] = {0xb8d2, 0xb914, 0x3848, 0xb9c0};
    float got[4];
    assert_int_equal(vq_tensor_read_f32(t, got, NULL), VQ_OK);
    for (int i = 0; i < 4; i++) {
        uint32_t bits = (uint32_t)stored[i] << 16;
        assert_memory_equal(&got[i], &bits, sizeof(bits));
    }
    const struct vq_tensor *chunked = must_find(c, "token_embedder/embs");
    assert_true(chunked->n_chunk > 1);
    assert_null(chunked->data);
    float *all = malloc(chunked->bytes), *raw = malloc(chunked->bytes);
    assert_int_equal(vq_tensor_read_f32(chunked, all, NULL), VQ_OK);
    vq_tensor_read_raw(chunked, raw);
    assert_memory_equal(all, raw, chunked->bytes);
    free(all);
    free(raw);
    struct vq_err err;
    const struct vq_tensor *none = must_find(c, "opt_state/inner_states/codebook/inner_state/0");
    assert_int_equal(vq_tensor_read_f32(none, NULL, &err), VQ_ESHAPE);
    assert_non_null(strstr(err.msg, none->name));
    vq_ckpt_free(c);
}

static void test_order_and_find(void **state)
{
    (void)state;
    struct vq_ckpt *c = must_open(DATA "layers11");
    const struct vq_tensor *two = must_find(c, "transformer_layers_2/scanned_attn1/u");
    const struct vq_tensor *ten = must_find(c, "transformer_layers_10/scanned_attn1/u");
    assert_true(two < ten);
    for (size_t i = 1; i < vq_ckpt_count(c); i++)
        assert_true(vq_name_compare(vq_ckpt_at(c, i - 1)->name, vq_ckpt_at(c, i)->name) < 0);
    for (size_t i = 0; i < vq_ckpt_count(c); i++)
        assert_ptr_equal(vq_ckpt_find(c, vq_ckpt_at(c, i)->name), vq_ckpt_at(c, i));
    assert_ptr_equal(vq_ckpt_find(c, "transformer_layers_10.scanned_attn1.u"), ten);
    assert_ptr_equal(vq_ckpt_find(c, "transformer_layers_10.scanned_attn1/u"), ten);
    assert_null(vq_ckpt_find(c, "transformer_layers_10/scanned_attn1"));
    assert_null(vq_ckpt_find(c, "transformer_layers_10/scanned_attn1/u/"));
    assert_null(vq_ckpt_find(c, "transformer_layers_010/scanned_attn1/u"));
    assert_null(vq_ckpt_find(c, "transformer_layers_10_scanned_attn1_u"));
    assert_null(vq_ckpt_find(c, ""));
    assert_null(vq_ckpt_find(c, "params/step"));
    assert_null(vq_ckpt_at(c, vq_ckpt_count(c)));
    vq_ckpt_free(c);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const sorted[] = {"",
                                         "+",
                                         "1",
                                         "a",
                                         "a/b",
                                         "a/c",
                                         "a1",
                                         "a01",
                                         "a1b",
                                         "a2",
                                         "a10",
                                         "a99999999999999999999",
                                         "a100000000000000000000",
                                         "aa",
                                         "b"};
    size_t n = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int want = (i > j) - (i < j), got = vq_name_compare(sorted[i], sorted[j]);
            /* a1 and a01 are one number; only that they differ is promised. */
            if ((i == 6 && j == 7) || (i == 7 && j == 6))
                assert_true(got != 0);
            else
                assert_int_equal((got > 0) - (got < 0), want);
        }
    static const char *const bad[] = {"", "/", "a/", "/a", "a//b", "a\nb", "\x7f", "\xff", "a\xc3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(vq_name_check(bad[i], strlen(bad[i]), NULL), VQ_EFORMAT);
    assert_int_equal(vq_name_check("a\0b", 3, NULL), VQ_EFORMAT);
    assert_int_equal(vq_name_check("a.b/\xc3\xa9", 6, NULL), VQ_OK);
    char many[VQ_NAME_MAX + 2];
    memset(many, 'a', sizeof(many));
    assert_int_equal(vq_name_check(many, VQ_NAME_MAX, NULL), VQ_OK);
    assert_int_equal(vq_name_check(many, VQ_NAME_MAX + 1, NULL), VQ_EFORMAT);
    for (size_t i = 1; i < 2 * VQ_NAME_PARTS; i += 2)
        many[i] = '/';
    assert_int_equal(vq_name_check(many, 2 * VQ_NAME_PARTS - 1, NULL), VQ_OK);
    assert_int_equal(vq_name_check(many, 2 * VQ_NAME_PARTS + 1, NULL), VQ_EFORMAT);
    assert_true(vq_name_is_state("step") && vq_name_is_state("opt_state/x") &&
                vq_name_is_state("generator/key"));
    assert_false(vq_name_is_state("steps") || vq_name_is_state("a/step"));
}

/* Every dtype, at odd offsets, as float32. */
static void test_conversions(void **state)
{
    struct buf b = {0};
    LIT(&b, "\x00\x00\x00\x00\x00\x00\x00\x00"
            "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
            "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]},"
            "\"c\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[7,11]},"
            "\"d\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[11,15]},"
            "\"e\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[15,23]},"
            "\"f\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[23,24]},"
            "\"g\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[24,25]},"
            "\"h\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[25,27]},"
            "\"i\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[27,29]},"
            "\"j\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[29,33]},"
            "\"k\":{\"dtype\":\"U32\",\"shape\":[1],\"data_offsets\":[33,37]},"
            "\"l\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[37,45]},"
            "\"m\":{\"dtype\":\"U64\",\"shape\":[],\"data_offsets\":[45,53]}}");
    uint64_t header = b.size - 8;
    memcpy(b.data, &header, sizeof(header));
    LIT(&b, "\x00\x01\x02"                       /* BOOL */
            "\x00\x00\x80\xbf"                   /* F32 -1 */
            "\x80\x3f\xc0\xff"                   /* BF16 1, NaN */
            "\x00\xc0\x00\x7c"                   /* F16 -2, Inf */
            "\x00\x00\x00\x00\x00\x00\x04\x40"   /* F64 2.5 */
            "\xff\xff"                           /* I8 -1, U8 255 */
            "\x00\x80\x00\x80"                   /* I16 -32768, U16 32768 */
            "\x00\x00\x00\x80\x00\x00\x00\x80"   /* I32 -2^31, U32 2^31 */
            "\x01\x00\x00\x01\x00\x00\x00\x00"   /* I64 2^24 + 1: a tie, to even */
            "\xff\xff\xff\xff\xff\xff\xff\xff"); /* U64 2^64 - 1 */
    const char *path = in(state, "all.safetensors");
    put_file(path, b.data, b.size);
    free(b.data);
    struct vq_ckpt *c = must_open(path);
    static const float want[13][3] = {{0, 1, 1},
                                      {-1},
                                      {1, 0},
                                      {-2, 0},
                                      {2.5f},
                                      {-1},
                                      {255},
                                      {-32768},
                                      {32768},
                                      {-2147483648.0f},
                                      {2147483648.0f},
                                      {16777216.0f},
                                      {18446744073709551616.0f}};
    assert_int_equal(vq_ckpt_count(c), 13);
    assert_int_equal(vq_ckpt_step(c), -1);
    for (size_t i = 0; i < 13; i++) {
        float got[3] = {0};
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        assert_int_equal(vq_tensor_read_f32(t, got, NULL), VQ_OK);
        if (t->dtype == VQ_BF16)
            assert_true(got[1] != got[1]);
        else if (t->dtype == VQ_F16)
            assert_true(got[1] > 3e38f);
        for (size_t j = 0; j < t->count; j++)
            if (j == 0 || (t->dtype != VQ_BF16 && t->dtype != VQ_F16))
                assert_true(got[j] == want[i][j]);
    }
    vq_ckpt_free(c);
    assert_string_equal(vq_dtype_name(VQ_BF16), "bfloat16");
    assert_string_equal(vq_dtype_name(VQ_NONE), "none");
    assert_int_equal(vq_dtype_size(VQ_NONE), 0);
    assert_int_equal(vq_dtype_size(VQ_U64), 8);
}

/* Python's own numbers and numpy's scalars, in a map that is not sorted. */
static void test_plain_numbers(void **state)
{
    struct buf b = {0};
    LIT(&b, "\x82\xa6params\x85");
    LIT(&b, KEY("d") "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"); /* 1.5 */
    LIT(&b, KEY("c") "\xca\x3f\x00\x00\x00");                 /* 0.5, single */
    LIT(&b, KEY("b") "\xc3" KEY("a") "\xd0\xfe");             /* true, -2 */
    LIT(&b, KEY("e") "\xc7\x0e\x03\x93\x90\xa5int32\xc4\x04\x07\x00\x00\x00");
    LIT(&b, "\xa4step\xcd\x01\x00"); /* 256 */
    put_file(in(state, "plain"), b.data, b.size);
    free(b.data);
    struct vq_ckpt *c = must_open(in(state, "plain"));
    static const float want[] = {-2, 1, 0.5f, 1.5f, 7, 256};
    static const enum vq_dtype dtypes[] = {VQ_I64, VQ_BOOL, VQ_F64, VQ_F64, VQ_I32, VQ_I64};
    assert_int_equal(vq_ckpt_count(c), 6);
    for (size_t i = 0; i < 6; i++) {
        float got;
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        assert_int_equal(t->rank, 0);
        assert_int_equal(t->dtype, dtypes[i]);
        assert_int_equal(vq_tensor_read_f32(t, &got, NULL), VQ_OK);
        assert_true(got == want[i]);
    }
    assert_int_equal(vq_ckpt_step(c), 256);
    vq_ckpt_free(c);
}

static void test_step_kinds(void **state)
{
    static const struct {
        const char *head;
        size_t bytes;
        int64_t step;
    } cases[] = {
        {"{\"step\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, 0},
        {"{\"step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 0},
        {"{\"step\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, -1},
        {"{\"step\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = safetensors(cases[i].head, cases[i].bytes);
        memset(b.data + b.size - cases[i].bytes, 0, cases[i].bytes);
        put_file(in(state, "step"), b.data, b.size);
        struct vq_ckpt *c = must_open(in(state, "step"));
        assert_int_equal(vq_ckpt_step(c), cases[i].step);
        vq_ckpt_free(c);
        memset(b.data + b.size - cases[i].bytes, 0xff, cases[i].bytes); /* -1 */
        put_file(in(state, "step"), b.data, b.size);
        c = must_open(in(state, "step"));
        assert_int_equal(vq_ckpt_step(c), -1);
        vq_ckpt_free(c);
        free(b.data);
    }
}

/* A folder `name` in the scratch folder that holds the file `checkpoint`, copied. */
static void add_folder(void **state, const char *name, const char *from)
{
    char file[256];
    assert_int_equal(mkdir(in(state, name), 0777), 0);
    if (!from)
        return;
    struct buf b = get_file(from);
    snprintf(file, sizeof(file), "%s/checkpoint", name);
    put_file(in(state, file), b.data, b.size);
    free(b.data);
}

static void assert_opens(void **state, const char *path, const char *file)
{
    struct vq_ckpt *c = must_open(in(state, path));
    assert_string_equal(vq_ckpt_path(c), in(state, file));
    vq_ckpt_free(c);
}

#define GOLDEN DATA "fixture_agg/checkpoint_3/checkpoint"

static void test_folder_choice(void **state)
{
    must_refuse(in(state, ""), VQ_ENOTFOUND, "without a checkpoint", "checkpoint_<step>", NULL);
    add_folder(state, "checkpoint_9", GOLDEN);
    add_folder(state, "checkpoint_10", GOLDEN);
    add_folder(state, "checkpoint_11.orbax-checkpoint-tmp-1690000000", GOLDEN);
    add_folder(state, "checkpoint_12_gda", GOLDEN);
    add_folder(state, "checkpoint_13.tmp-a1B2c3", GOLDEN);
    add_folder(state, "checkpoint_", GOLDEN);
    add_folder(state, "validation_loss_lm_per_token_99", GOLDEN);
    struct buf b = get_file(GOLDEN);
    put_file(in(state, "checkpoint_tmp"), b.data, b.size);
    assert_opens(state, "", "checkpoint_10/checkpoint");
    assert_opens(state, ".", "./checkpoint_10/checkpoint");
    assert_opens(state, "checkpoint_9", "checkpoint_9/checkpoint");

    put_file(in(state, "checkpoint_100000000000000000001"), b.data, b.size);
    assert_opens(state, ".", "./checkpoint_100000000000000000001");
    add_folder(state, "checkpoint_100000000000000000002", NULL);
    must_refuse(in(state, "."), VQ_ENOTFOUND, "checkpoint_100000000000000000002", "lacks", NULL);

    struct buf s =
        safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
    put_file(in(state, "checkpoint_100000000000000000002.safetensors"), s.data, s.size);
    assert_opens(state, ".", "./checkpoint_100000000000000000002.safetensors");
    put_file(in(state, "checkpoint"), b.data, b.size);
    assert_opens(state, ".", "./checkpoint");
    free(b.data);
    free(s.data);
}

static void test_paths(void **state)
{
    must_refuse("", VQ_EINVAL, "empty", NULL);
    must_refuse(in(state, "absent"), VQ_ENOTFOUND, "absent", NULL);
    must_refuse("/dev/null", VQ_EINVAL, "/dev/null", NULL);
    add_folder(state, "checkpoint_1", NULL);
    assert_int_equal(mkdir(in(state, "checkpoint_1/checkpoint"), 0777), 0);
    must_refuse(in(state, "checkpoint_1"), VQ_EINVAL, "a folder", NULL);
    vq_ckpt_free(NULL);
}

/* The head of a float32 array of `bytes` bytes, as ext 32 around [shape, dtype, bin 32]. */
static void put_large_head(struct buf *b, uint32_t bytes)
{
    uint32_t payload = __builtin_bswap32(bytes + 20);
    uint32_t count = __builtin_bswap32(bytes / 4), size = __builtin_bswap32(bytes);
    LIT(b, "\xc9");
    put(b, &payload, 4);
    LIT(b, "\x01\x93\x91\xce");
    put(b, &count, 4);
    LIT(b, "\xa7"
           "float32\xc6");
    put(b, &size, 4);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t resident_pages(const char *path, size_t size)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    size_t pages = (size + 4095) / 4096, n = 0;
    unsigned char *in_core = malloc(pages);
    assert_int_equal(mincore(p, size, in_core), 0);
    for (size_t i = 0; i < pages; i++)
        n += in_core[i] & 1;
    free(in_core);
    munmap(p, size);
    close(fd);
    return n;
}

/* 5 GiB in 160 arrays, of which only the heads are stored: holes in between. Returns its size. */
static size_t make_large(const char *path)
{
    enum { N = 160, EACH = 32 << 20 };
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    assert_true(fd >= 0);
    off_t at = 0;
    bool room = true;
    struct buf b = {0};
    LIT(&b, "\x82\xa6params\xde\x00\xa0");
    for (int i = 0; i < N; i++) {
        char key[16];
        snprintf(key, sizeof(key), "\xa4w%03d", i);
        put(&b, key, 5);
        put_large_head(&b, EACH);
        room = room && pwrite(fd, b.data, b.size, at) == (ssize_t)b.size;
        at += (off_t)b.size + EACH;
        b.size = 0;
    }
    LIT(&b, "\xa4step\x05");
    room = room && pwrite(fd, b.data, b.size, at) == (ssize_t)b.size;
    at += (off_t)b.size;
    free(b.data);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* so that opening must read from the disk */
    close(fd);
    return room ? (size_t)at : 0;
}

static void test_large_sparse_file(void **state)
{
    const char *path = in(state, "large");
    size_t size = make_large(path);
    if (size == 0) {
        print_message("no room for a sparse file of 5 GiB in %s\n", (const char *)*state);
        skip();
    }
    vq_ckpt_free(must_open(path));
    /* Each head lies on one or two pages; nothing around them was read from the disk. */
    assert_true(resident_pages(path, size) < 400);
    double start = seconds();
    struct vq_ckpt *c = must_open(path);
    assert_true(seconds() - start < 0.1);
    assert_int_equal(vq_ckpt_count(c), 161);
    assert_int_equal(vq_ckpt_size(c), size);
    assert_int_equal(vq_ckpt_step(c), 5);
    assert_int_equal(vq_ckpt_at(c, 160)->bytes, 32 << 20);
    vq_ckpt_free(c);

    char expected[32], found[32];
    snprintf(expected, sizeof(expected), "at least %zu bytes", size);
    snprintf(found, sizeof(found), "found %zu", size - 1);
    assert_int_equal(truncate(path, (off_t)size - 1), 0);
    must_refuse(path, VQ_EFORMAT, "cut short", expected, found, NULL);
}

static void test_memory_runs_out(void **state)
{
    static const char *const paths[] = {DATA "fixture_agg", DATA "chunked_legacy"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        vq_mem_fail_at(0);
        vq_ckpt_free(must_open(paths[i]));
        long total = vq_mem_fail_at(0);
        assert_true(total > 100);
        for (long n = 1; n <= total; n++) {
            struct vq_ckpt *c;
            struct vq_err err = {0};
            vq_mem_fail_at(n);
            enum vq_status status = vq_ckpt_open(&c, paths[i], &err);
            vq_mem_fail_at(0);
            assert_int_equal(status, VQ_ENOMEM);
            assert_null(c);
            assert_non_null(strstr(err.msg, "memory"));
        }
    }
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_files),
        cmocka_unit_test(test_layouts_agree),
        cmocka_unit_test(test_optimizer_states),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_order_and_find),
        cmocka_unit_test(test_names),
        IN_SCRATCH(test_conversions),
        IN_SCRATCH(test_plain_numbers),
        IN_SCRATCH(test_step_kinds),
        IN_SCRATCH(test_folder_choice),
        IN_SCRATCH(test_paths),
        IN_SCRATCH(test_large_sparse_file),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
