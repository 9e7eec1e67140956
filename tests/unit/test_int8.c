/*
 * Int8 matrices with scales: a file of them gives what quantising at load gives, to the bit, and
 * comes back from a second save as the same bytes; files that are odd are refused by name. Also the
 * two ways that weights are packed from where they lie.
 */
#include "tests/unit/test_ckpt.h"

#include <math.h>

#include "core/kernels/gemm.h"
#include "core/model/matrix.h"
#include "core/model/quantise.h"
#include "core/model/session.h"
#include "core/train/params.h"

#define GOLDEN  "tests/data/golden/"
#define SHIPPED "samples/models/text-small.safetensors"

static struct vq_err err;

static void ok(enum vq_status status)
{
    if (status != VQ_OK)
        fail_msg("%s", err.msg);
}

static struct vq_model *open_model(const char *path)
{
    struct vq_model *m;
    const struct vq_model_options o = {0};
    ok(vq_model_open(&m, path, &o, &err));
    return m;
}

/* All of m as `save --weights int8` writes it. */
static void write_int8(const struct vq_model *m, const char *path, struct vq_pool *pool)
{
    const struct vq_ckpt *c = vq_model_ckpt(m);
    size_t n = 0, all = vq_ckpt_count(c);
    struct vq_tensor_out *t = outs_of(c);
    for (size_t i = 0; i < all; i++)
        if (t[i].from->is_param || !strcmp(t[i].from->name, "step"))
            t[n++] = t[i];
    struct vq_tensor *q = calloc(n, sizeof(*q));
    struct vq_text config = {0};
    vq_settings_to_json(vq_model_settings(m), &config);
    const struct vq_meta meta[] = {{"config", config.data}};
    for (size_t i = 0; i < n; i++) {
        const struct vq_tensor *from = t[i].from;
        if (from->scale || !vq_quantised(from->name))
            continue;
        ok(vq_quantise(&q[i], from, pool, &err));
        t[i].from = &q[i];
    }
    ok(vq_safetensors_write(path, t, n, meta, 1, NULL, &err));
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)q[i].data);
    free(q);
    free(t);
    vq_text_release(&config);
}

/* The logits of the 40 tokens 3, 4, ... into out[40, N]. */
struct logits {
    float *out;
    size_t N;
};

static enum vq_status take_logits(void *ud, const struct vq_block *b, const float *x,
                                  struct vq_err *e)
{
    const struct logits *l = ud;
    (void)e;
    memcpy(l->out + (size_t)b->position * l->N, x, (size_t)b->n * l->N * sizeof(*x));
    return VQ_OK;
}

static float *logits_of(const struct vq_model *m, enum vq_weight_format format,
                        struct vq_pool *pool)
{
    struct vq_engine *e;
    struct vq_session *s;
    int32_t tokens[40];
    const struct vq_engine_options o = {.weights = format, .pool = pool};
    struct logits l = {.N = (size_t)vq_model_config(m)->n_vocab};
    for (int i = 0; i < 40; i++)
        tokens[i] = 3 + i % 7;
    l.out = calloc(40 * l.N, sizeof(float));
    ok(vq_engine_new(&e, m, &o, &err));
    ok(vq_session_new(&s, e, 1, &err));
    const struct vq_observer see = {.ud = &l, .logits = take_logits};
    const struct vq_feed_options feed = {.observe = &see, .block = 7};
    ok(vq_session_feed(s, tokens, 40, 40, &feed, &err));
    vq_session_free(s);
    vq_engine_free(e);
    return l.out;
}

static void assert_same_logits(const struct vq_model *a, enum vq_weight_format fa,
                               const struct vq_model *b, enum vq_weight_format fb,
                               struct vq_pool *pool)
{
    float *x = logits_of(a, fa, pool), *y = logits_of(b, fb, NULL);
    size_t n = 40 * (size_t)vq_model_config(a)->n_vocab;
    assert_true(isfinite(x[0]) && x[0] != 0.0f);
    assert_memory_equal(x, y, n * sizeof(*x));
    free(x);
    free(y);
}

static const char *const models[] = {SHIPPED,
                                     GOLDEN "heads3/model.safetensors",
                                     GOLDEN "tied/model.safetensors",
                                     GOLDEN "fixture_noagg/model.safetensors",
                                     "samples/models/emoji.safetensors",
                                     DATA "layers11"};
#define N_MODEL (sizeof(models) / sizeof(models[0]))

/* The file gives what quantising gives, on any number of threads, and the same file again. */
static void test_same_bytes(void **state)
{
    struct vq_pool *pool;
    ok(vq_pool_new(&pool, 3, &err));
    for (size_t i = 0; i < N_MODEL; i++) {
        struct vq_model *m = open_model(models[i]);
        write_int8(m, in(state, "q.safetensors"), pool);
        write_int8(m, in(state, "serial.safetensors"), NULL);
        assert_same_file(in(state, "q.safetensors"), in(state, "serial.safetensors"));
        struct vq_model *q = open_model(in(state, "q.safetensors"));
        assert_false(vq_model_is_int8(m));
        assert_true(vq_model_is_int8(q));
        assert_int_equal(vq_model_params(m), vq_model_params(q));
        assert_same_logits(m, VQ_WEIGHT_INT8, q, VQ_WEIGHT_INT8, pool);
        write_int8(q, in(state, "again.safetensors"), pool);
        assert_same_file(in(state, "q.safetensors"), in(state, "again.safetensors"));
        vq_model_free(q);
        vq_model_free(m);
    }
    vq_pool_free(pool);
}

/* As f32 an int8 file is the floats that the int8 numbers stand for: those of a file that holds
 * these floats. */
static void test_as_floats(void **state)
{
    struct vq_model *m = open_model(SHIPPED);
    write_int8(m, in(state, "q.safetensors"), NULL);
    struct vq_model *q = open_model(in(state, "q.safetensors"));
    const struct vq_ckpt *c = vq_model_ckpt(q);
    size_t n = vq_ckpt_count(c), floats = 0;
    struct vq_tensor_out *t = outs_of(c);
    float **x = calloc(n, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        const struct vq_tensor *from = t[i].from;
        if (!from->scale)
            continue;
        floats++;
        x[i] = calloc(from->count, sizeof(float));
        ok(vq_tensor_read_f32(from, x[i], &err));
        t[i] = (struct vq_tensor_out){
            .name = from->name, .dtype = VQ_F32, .rank = from->rank, .data = x[i]};
        memcpy(t[i].shape, from->shape, sizeof(from->shape));
    }
    assert_int_equal(floats, 6 * 3 + 1);
    const struct vq_meta meta[] = {{"config", vq_ckpt_meta(c, "config")}};
    ok(vq_safetensors_write(in(state, "f.safetensors"), t, n, meta, 1, NULL, &err));
    struct vq_model *f = open_model(in(state, "f.safetensors"));
    assert_false(vq_model_is_int8(f));
    assert_same_logits(q, VQ_WEIGHT_F32, f, VQ_WEIGHT_F32, NULL);
    assert_same_logits(q, VQ_WEIGHT_BF16, f, VQ_WEIGHT_BF16, NULL);
    for (size_t i = 0; i < n; i++)
        free(x[i]);
    free(x);
    free(t);
    vq_model_free(f);
    vq_model_free(q);
    vq_model_free(m);
}

/* Training refuses, and so does the authors' layout. */
static void test_where_it_makes_no_sense(void **state)
{
    struct vq_params *p;
    struct vq_model *m = open_model(GOLDEN "heads3/model.safetensors");
    write_int8(m, in(state, "q.safetensors"), NULL);
    struct vq_model *q = open_model(in(state, "q.safetensors"));
    const struct vq_ckpt *c = vq_model_ckpt(q);
    ok(vq_params_new(&p, vq_model_config(q), &err));
    float *block = vq_params_block(p);
    assert_int_equal(vq_params_load(p, block, c, &err), VQ_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "int8, which training"));
    struct vq_tensor_out *t = outs_of(c);
    assert_int_equal(vq_flax_write(in(state, "flax"), true, t, vq_ckpt_count(c), 0, NULL, &err),
                     VQ_EUNSUPPORTED);
    assert_int_equal(access(in(state, "flax"), F_OK), -1);
    const struct vq_meta taken[] = {{"int8", "64"}};
    assert_int_equal(
        vq_safetensors_write(in(state, "no"), t, vq_ckpt_count(c), taken, 1, NULL, &err),
        VQ_EINVAL);
    free(t);
    free(block);
    vq_params_free(p);
    vq_model_free(q);
    vq_model_free(m);
}

/* ---- files by hand ---- */

#define HEADER(meta, x, scale) "{\"__metadata__\":{" meta "}," x scale "}"
#define INT8                   "\"int8\":\"64\""
#define MATRIX                 "\"x\":{\"dtype\":\"I8\",\"shape\":[66,2],\"data_offsets\":[16,148]}"
#define SCALES                 ",\"x_scale\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

/* A file whose first bytes of data are these floats. */
static const char *put_by_hand(void **state, const char *header, const float *scale, size_t n,
                               size_t size)
{
    struct buf b = safetensors(header, size);
    if (n)
        memcpy(b.data + b.size - size, scale, n * sizeof(*scale));
    put_file(in(state, "hand.safetensors"), b.data, b.size);
    free(b.data);
    return in(state, "hand.safetensors");
}

static void test_reading(void **state)
{
    const float scale[] = {1.0f, 2.0f, 0.5f, 0.25f};
    float x[132], part[7];
    struct vq_ckpt *c = must_open(put_by_hand(state, HEADER(INT8, MATRIX, SCALES), scale, 4, 148));
    assert_int_equal(vq_ckpt_count(c), 1);
    const struct vq_tensor *t = vq_ckpt_at(c, 0);
    assert_int_equal(t->dtype, VQ_I8);
    assert_int_equal(vq_tensor_scales(t), 4);
    ok(vq_tensor_read_f32(t, x, &err));
    for (int i = 0; i < 132; i++)
        assert_true(x[i] == (float)(int8_t)(i + 16) * scale[i / 128 * 2 + i % 2]);
    vq_tensor_read_part(t, 125, 7, part);
    assert_memory_equal(part, x + 125, sizeof(part));
    vq_ckpt_free(c);
    /* without the key they are two tensors, of plain integers and of floats */
    c = must_open(put_by_hand(state, HEADER("", MATRIX, SCALES), scale, 4, 148));
    assert_int_equal(vq_ckpt_count(c), 2);
    assert_null(vq_ckpt_at(c, 0)->scale);
    vq_ckpt_free(c);
    /* what else ends like scales stays what it is */
    c = must_open(put_by_hand(
        state,
        HEADER(INT8, "\"y_scale\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", ""),
        scale, 1, 4));
    assert_int_equal(vq_ckpt_count(c), 1);
    vq_ckpt_free(c);
}

static void test_odd_files(void **state)
{
    static const struct {
        const char *header, *words[2];
        size_t size;
        enum vq_status code;
    } odd[] = {
        {HEADER("\"int8\":\"32\"", MATRIX, SCALES),
         {"\"64\"", "found \"32\""},
         148,
         VQ_EUNSUPPORTED},
        {HEADER(INT8, "\"x\":{\"dtype\":\"I8\",\"shape\":[66,2],\"data_offsets\":[0,132]}", ""),
         {"x_scale is missing", "[2, 2]"},
         132,
         VQ_EFORMAT},
        {HEADER(INT8, MATRIX,
                ",\"x_scale\":{\"dtype\":\"F16\",\"shape\":[2,4],\"data_offsets\":[0,16]}"),
         {"expected float32 [2, 2]", "found float16 [2, 4]"},
         148,
         VQ_EFORMAT},
        {HEADER(INT8, MATRIX,
                ",\"x_scale\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}"),
         {"expected float32 [2, 2]", "found float32 [4]"},
         148,
         VQ_EFORMAT},
        {HEADER(INT8, MATRIX,
                ",\"x_scale\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_offsets\":[0,16]}"),
         {"expected float32 [2, 2]", "found float32 [1, 4]"},
         148,
         VQ_EFORMAT},
        {HEADER(INT8, "\"x\":{\"dtype\":\"I8\",\"shape\":[132],\"data_offsets\":[16,148]}", SCALES),
         {"2 dimensions", "[132]"},
         148,
         VQ_EFORMAT},
        {HEADER(INT8, MATRIX, SCALES), {"cut short", "expected"}, 140, VQ_EFORMAT},
    };
    const float scale[] = {1.0f, 1.0f, 1.0f, 1.0f};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        must_refuse(put_by_hand(state, odd[i].header, scale, 4, odd[i].size), odd[i].code,
                    odd[i].words[0], odd[i].words[1], NULL);
}

/* Scales that are none are found by whoever wants the numbers, and where a model is opened. */
static void test_odd_scales(void **state)
{
    const float odd[] = {NAN, -1.0f, INFINITY, -0x1p-149f};
    char want[160];
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        float scale[] = {1.0f, 0.0f, odd[i], -0.0f}, x[132];
        struct vq_ckpt *c =
            must_open(put_by_hand(state, HEADER(INT8, MATRIX, SCALES), scale, 4, 148));
        assert_int_equal(vq_tensor_read_f32(vq_ckpt_at(c, 0), x, &err), VQ_ENUM);
        assert_non_null(strstr(err.msg, "x_scale"));
        assert_non_null(strstr(err.msg, "in row 1, column 0"));
        vq_ckpt_free(c);
    }
    struct vq_model *m = open_model(GOLDEN "heads3/model.safetensors");
    write_int8(m, in(state, "q.safetensors"), NULL);
    vq_model_free(m);
    struct vq_model *q = open_model(in(state, "q.safetensors"));
    const struct vq_tensor *t = vq_model_tensor(q, 1, "res_proj/kernel");
    struct buf b = get_file(in(state, "q.safetensors"));
    const struct vq_tensor *last = t; /* the file ends with it */
    for (size_t i = 0; i < vq_ckpt_count(vq_model_ckpt(q)); i++)
        if (vq_ckpt_at(vq_model_ckpt(q), i)->data > last->data)
            last = vq_ckpt_at(vq_model_ckpt(q), i);
    size_t place = b.size - (size_t)(last->data + last->bytes - t->scale);
    vq_model_free(q);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        uint8_t *at = b.data + place + 3 * sizeof(float), was[sizeof(float)];
        memcpy(was, at, sizeof(was));
        memcpy(at, &odd[i], sizeof(float));
        put_file(in(state, "bad.safetensors"), b.data, b.size);
        memcpy(at, was, sizeof(was));
        assert_int_equal(vq_model_open(&q, in(state, "bad.safetensors"), NULL, &err), VQ_ENUM);
        assert_null(q);
        snprintf(
            want, sizeof(want),
            "scanned_attn2/res_proj/kernel_scale: expected finite numbers of at least 0, found "
            "%g in row 0, column 3",
            (double)odd[i]);
        assert_non_null(strstr(err.msg, want));
    }
    free(b.data);
}

/* Numbers that int8 cannot hold. */
static void test_not_finite(void **state)
{
    (void)state;
    float x[] = {1.0f, 2.0f, INFINITY, 4.0f};
    struct vq_tensor out, t = {.name = "a/q_proj/kernel",
                               .rank = 2,
                               .shape = {2, 2},
                               .count = 4,
                               .bytes = 16,
                               .data = (const uint8_t *)x};
    assert_int_equal(vq_quantise(&out, &t, NULL, &err), VQ_ENUM);
    assert_non_null(strstr(err.msg, "a/q_proj/kernel"));
    free((void *)(uintptr_t)out.data);
    t.rank = 1;
    assert_int_equal(vq_quantise(&out, &t, NULL, &err), VQ_ESHAPE);
    assert_true(vq_quantised("out_proj/kernel") && vq_quantised("a/kvg_proj/kernel"));
    assert_false(vq_quantised("a/r_proj/kernel") || vq_quantised("token_embedder/embs") ||
                 vq_quantised("a/quantizer/c_sum"));
}

/* ---- packing from a source ---- */

static void read_counted(const void *ud, size_t k, size_t n, size_t c, size_t cols, float *dst,
                         size_t ldd)
{
    const float *w = ud;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < cols; j++)
            dst[i * ldd + j] = w[(k + i) * 601 + c + j];
}

/* Sizes that are no multiples of anything: a source gives what plain floats give, and quantised
 * numbers what their floats give. */
static void test_packing(void **state)
{
    (void)state;
    enum { K = 449, N = 601 };
    float *w = calloc(K * N, sizeof(*w)), *x = calloc(K * N, sizeof(*x)),
          *y = calloc(K * N, sizeof(*y));
    struct vq_pool *pool;
    struct vq_weight *a, *b;
    ok(vq_pool_new(&pool, 3, &err));
    for (size_t i = 0; i < K * N; i++)
        w[i] = sinf((float)i * 0.37f) * (float)(1 + i % 17);
    const struct vq_weight_source from = {.ud = w, .read = read_counted};
    for (enum vq_weight_format f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
        ok(vq_weight_new(&a, f, K, N, w, N, NULL, NULL, &err));
        ok(vq_weight_from(&b, f, K, N, &from, pool, NULL, &err));
        assert_int_equal(vq_weight_size(f, K, N), vq_weight_bytes(a));
        vq_weight_unpack(a, x);
        vq_weight_unpack(b, y);
        assert_memory_equal(x, y, K * N * sizeof(*x));
        if (f == VQ_WEIGHT_F32)
            assert_memory_equal(x, w, K * N * sizeof(*x));
        vq_weight_free(a);
        vq_weight_free(b);
    }
    assert_true(vq_weight_size(VQ_WEIGHT_F32, SIZE_MAX / 8, 1000) == SIZE_MAX);
    vq_pool_free(pool);
    free(w);
    free(x);
    free(y);
}

/* Each allocation of writing and of joining may fail. */
static void test_no_memory(void **state)
{
    struct vq_model *m = open_model(GOLDEN "heads3/model.safetensors");
    write_int8(m, in(state, "q.safetensors"), NULL);
    vq_model_free(m);
    struct vq_ckpt *c, *again;
    vq_mem_fail_at(0);
    c = must_open(in(state, "q.safetensors"));
    long total = vq_mem_fail_at(0);
    for (long nth = 1; nth <= total; nth++) {
        vq_mem_fail_at(nth);
        enum vq_status status = vq_ckpt_open(&again, in(state, "q.safetensors"), &err);
        vq_mem_fail_at(0);
        assert_int_equal(status, VQ_ENOMEM);
    }
    struct vq_tensor_out *t = outs_of(c);
    size_t n = vq_ckpt_count(c);
    ok(vq_safetensors_write(in(state, "whole"), t, n, NULL, 0, NULL, &err));
    total = vq_mem_fail_at(0);
    for (long nth = 1; nth <= total; nth++) {
        vq_mem_fail_at(nth);
        enum vq_status status = vq_safetensors_write(in(state, "w"), t, n, NULL, 0, NULL, &err);
        vq_mem_fail_at(0);
        if (status == VQ_OK) /* what failed only served syncing the folder */
            assert_same_file(in(state, "w"), in(state, "whole"));
        else
            assert_int_equal(status, VQ_ENOMEM);
    }
    free(t);
    vq_ckpt_free(c);
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(test_same_bytes),
        SCRATCH(test_as_floats),
        SCRATCH(test_where_it_makes_no_sense),
        SCRATCH(test_reading),
        SCRATCH(test_odd_files),
        SCRATCH(test_odd_scales),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_packing),
        SCRATCH(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
