/*
 * Opening a checkpoint as a model: what is inferred from shapes, where the rest of the
 * configuration comes from, and what is refused with which words.
 */
#include "variant.h"

#include "core/base/mem.h"

#define M0 "transformer_layers_0/scanned_attn1/"
#define M1 "transformer_layers_1/scanned_attn2/"

static struct vq_model *open_ok(const char *path, const struct vq_model_options *options)
{
    struct vq_model *m;
    struct vq_err err;
    assert_ok(vq_model_open(&m, path, options, &err), &err);
    return m;
}

static void open_fails(const char *path, const struct vq_model_options *options,
                       enum vq_status want, struct vq_err *err)
{
    struct vq_model *m;
    enum vq_status st = vq_model_open(&m, path, options, err);
    assert_null(m);
    if (st != want)
        fail_msg("status %s instead of %s: %s", vq_status_name(st), vq_status_name(want),
                 st ? err->msg : "opened");
}

static enum vq_origin origin(const struct vq_model *m, const char *field)
{
    return (enum vq_origin)vq_model_settings(m)->origin[vq_config_field_find(field)];
}

/* Shapes agree with every golden config.json, whose values they would contradict otherwise. */
static void test_inferred(void **state)
{
    (void)state;
    static const char *const facts[] = {"d_model", "d_k",     "d_v",    "n_head", "n_code",
                                        "n_layer", "n_vocab", "pe_abs", "e_tie",  "e_preln"};
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct vq_model *m = golden_model(GOLDEN, golden_cases[i]);
        for (size_t k = 0; k < sizeof(facts) / sizeof(facts[0]); k++)
            assert_int_equal(origin(m, facts[k]), VQ_FROM_SHAPES);
        assert_int_equal(origin(m, "mem_len"), VQ_FROM_FILE);
        uint64_t params = 0;
        for (size_t k = 0; k < vq_ckpt_count(vq_model_ckpt(m)); k++)
            params += vq_ckpt_at(vq_model_ckpt(m), k)->count;
        assert_int_equal(vq_model_params(m), params);
        vq_model_free(m);
    }
    struct vq_model *m = golden_model(GOLDEN, "heads3");
    const struct vq_config *c = vq_model_config(m);
    assert_int_equal(c->n_head, 3);
    assert_int_equal(c->d_v, 10);
    assert_true(!c->pe_abs && !c->e_tie && c->e_preln && c->e_scale == 0.7);
    assert_string_equal(vq_model_config_path(m), GOLDEN "/heads3/config.json");
    vq_model_free(m);
}

static void test_specs_in_order(void **state)
{
    (void)state;
    struct vq_model *m = golden_model(GOLDEN, "layers11");
    struct vq_param_spec *specs;
    struct vq_err err;
    size_t n;
    assert_ok(vq_model_specs(vq_model_config(m), &specs, &n, &err), &err);
    assert_int_equal(n, vq_ckpt_count(vq_model_ckpt(m)));
    for (size_t i = 0; i < n; i++) {
        const struct vq_tensor *t = vq_ckpt_at(vq_model_ckpt(m), i);
        assert_string_equal(specs[i].name, t->name);
        assert_int_equal(specs[i].rank, t->rank);
        for (int a = 0; a < t->rank; a++)
            assert_int_equal(specs[i].shape[a], t->shape[a]);
    }
    free(specs);
    vq_model_free(m);
}

static void test_reading(void **state)
{
    (void)state;
    struct vq_model *m = golden_model(GOLDEN, "fixture_agg");
    struct vq_err err;
    float sum[2 * 8 * 4], count[2 * 8], book[2 * 8 * 4], embs[10 * 4];
    assert_ok(vq_model_read(m, 3, "quantizer/c_sum", sum, &err), &err);
    assert_ok(vq_model_read(m, 3, "quantizer/c_count", count, &err), &err);
    assert_ok(vq_model_codebook(m, 3, book, &err), &err);
    int floored = 0;
    for (size_t i = 0; i < 64; i++) {
        floored += count[i / 4] < 0.01f;
        assert_true(book[i] == sum[i] / fmaxf(count[i / 4], 0.01f));
    }
    assert_int_equal(floored, 2 * 2 * 4);
    assert_ok(vq_model_read(m, -1, "token_embedder/embs", embs, &err), &err);
    assert_int_equal(vq_model_read(m, 3, "quantizer/c_mean", sum, &err), VQ_ENOTFOUND);
    assert_says(&err, M1 "quantizer/c_mean");
    vq_model_free(m);
}

/* One change, the status, and the words of the message. */
static void refused(struct variant *v, enum vq_status want, const char *const *words)
{
    struct vq_err err;
    variant_write(v, NULL, 0);
    open_fails(v->path, NULL, want, &err);
    assert_says_all(&err, words);
    assert_says(&err, "m.safetensors");
    variant_close(v);
}
#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void test_missing(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    variant_drop(&v, M1 "res_proj/kernel");
    refused(&v, VQ_EFORMAT,
            WORDS(M1 "res_proj/kernel is missing", "[16, 4]", "found next " M1 "u"));
    variant_open(&v, "fixture_agg");
    variant_drop(&v, M1 "v");
    refused(&v, VQ_EFORMAT, WORDS(M1 "v is missing", "[8]", "found nothing more"));
    variant_open(&v, "fixture_agg");
    variant_drop(&v, "token_embedder/embs");
    refused(&v, VQ_EFORMAT,
            WORDS("token_embedder/embs is missing", "[n_vocab, d_model]", "out_ln/b"));
    variant_open(&v, "heads3");
    variant_drop(&v, "out_proj/kernel");
    refused(&v, VQ_EFORMAT, WORDS("out_proj/kernel is missing", "[24, 50]"));
    variant_open(&v, "fixture_agg");
    variant_drop(&v, "out_ln/b");
    refused(&v, VQ_EFORMAT, WORDS("out_ln/b is missing", "[4]"));
}

/* A branch whose norms have no gain and no bias. */
static void test_other_branch(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "heads3");
    variant_drop(&v, M0 "input_ln/g");
    variant_drop(&v, M0 "input_ln/b");
    refused(&v, VQ_EFORMAT, WORDS(M0 "input_ln/b is missing", "[24]", "branch"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M0 "kvg_proj/kernel")->name = M0 "kv_proj/kernel";
    refused(&v, VQ_EFORMAT, WORDS(M0 "kvg_proj/kernel is missing", "d_k + 2 * d_v", "out_ln/b"));
}

static void test_unknown(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    variant_add(&v, M0 "mlp/kernel", M0 "q_proj/kernel");
    refused(&v, VQ_EFORMAT, WORDS(M0 "mlp/kernel [4, 8] is not expected"));
    variant_open(&v, "fixture_agg");
    variant_add(&v, "z", M0 "u");
    refused(&v, VQ_EFORMAT, WORDS("tensor z [8] is not expected"));
    variant_open(&v, "fixture_agg");
    variant_add(&v, "transformer_layers_1/scanned_attn3/u", M0 "u");
    refused(&v, VQ_EFORMAT, WORDS("scanned_attn3/u"));
}

static void test_layer_hole(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    char names[32][64];
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++)
        if (!strncmp(v.t[i].name, "transformer_layers_1/", 21)) {
            snprintf(names[n], sizeof(names[n]), "transformer_layers_2/%s", v.t[i].name + 21);
            v.t[i].name = names[n++];
        }
    refused(&v, VQ_EFORMAT,
            WORDS("transformer_layers_1/", "is missing", "found transformer_layers_2/"));
}

static void test_wrong_shapes(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M1 "q_proj/kernel")->shape[0] = 8;
    variant_tensor(&v, M1 "q_proj/kernel")->shape[1] = 4;
    refused(&v, VQ_ESHAPE, WORDS(M1 "q_proj/kernel", "expected shape [4, 8]", "found [8, 4]"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M0 "quantizer/c_sum")->rank = 2;
    variant_tensor(&v, M0 "quantizer/c_sum")->shape[1] = 32;
    refused(&v, VQ_ESHAPE, WORDS(M0 "quantizer/c_sum", "[n_head, n_code, d_k]", "found [2, 32]"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M0 "kvg_proj/kernel")->shape[0] = 16;
    variant_tensor(&v, M0 "kvg_proj/kernel")->shape[1] = 10;
    refused(&v, VQ_ESHAPE, WORDS(M0 "kvg_proj/kernel", "d_k 4", "found [16, 10]"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M0 "kvg_proj/kernel")->shape[0] = 8;
    variant_tensor(&v, M0 "kvg_proj/kernel")->shape[1] = 20;
    refused(&v, VQ_ESHAPE, WORDS(M0 "kvg_proj/kernel", "expected shape [4, 20]", "[8, 20]"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, "token_embedder/embs")->shape[0] = 20;
    variant_tensor(&v, "token_embedder/embs")->shape[1] = 2;
    refused(&v, VQ_ESHAPE, WORDS("[2]", "found [4]"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, "token_embedder/embs")->shape[0] = 0;
    refused(&v, VQ_EINVAL, WORDS("n_vocab", "found '0'"));
}

static void test_wrong_dtype(void **state)
{
    (void)state;
    struct variant v;
    static const enum vq_dtype real[] = {VQ_BF16, VQ_F16, VQ_F64};
    for (size_t i = 0; i < 3; i++) {
        double zeros[8] = {0};
        variant_open(&v, "fixture_agg");
        struct vq_tensor_out *u = variant_tensor(&v, M0 "u");
        const void *data = u->data;
        u->dtype = real[i];
        u->data = zeros;
        variant_write(&v, NULL, 0);
        u->data = data;
        struct vq_model *m = open_ok(v.path, NULL);
        float read[8];
        struct vq_err err;
        assert_ok(vq_model_read(m, 0, "u", read, &err), &err);
        assert_true(read[7] == 0);
        vq_model_free(m);
        variant_close(&v);
    }
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M0 "u")->dtype = VQ_I32;
    refused(&v, VQ_ESHAPE, WORDS(M0 "u", "expected float32", "found int32"));
    variant_open(&v, "fixture_agg");
    variant_tensor(&v, M1 "quantizer/c_count")->dtype = VQ_U32;
    refused(&v, VQ_ESHAPE, WORDS(M1 "quantizer/c_count", "found uint32"));
}

static void test_broken_codebook(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    variant_numbers(&v, M1 "quantizer/c_sum")[5] = NAN;
    refused(&v, VQ_ENUM, WORDS(M1 "quantizer/c_sum", "expected finite", "nan at 5"));
    variant_open(&v, "fixture_agg");
    variant_numbers(&v, M0 "quantizer/c_count")[2] = INFINITY;
    refused(&v, VQ_ENUM, WORDS(M0 "quantizer/c_count", "inf at 2"));
    variant_open(&v, "fixture_agg");
    variant_numbers(&v, M0 "quantizer/c_count")[0] = -1;
    refused(&v, VQ_ENUM, WORDS(M0 "quantizer/c_count", "at least 0", "-1 at 0"));
}

/* Nobody says what mem_len is: 512, and the note tells. */
static void test_nobody_said(void **state)
{
    (void)state;
    struct variant v;
    variant_open(&v, "fixture_agg");
    variant_write(&v, NULL, 0);
    struct vq_model *m = open_ok(v.path, NULL);
    assert_int_equal(vq_model_config(m)->mem_len, 512);
    assert_int_equal(origin(m, "mem_len"), VQ_FROM_DEFAULT);
    assert_string_equal(vq_model_config_path(m), "");
    assert_non_null(strstr(vq_model_note(m), "mem_len 512 was assumed: give --preset, --config or "
                                             "--set mem_len="));
    assert_non_null(strstr(vq_model_note(m), "e_scale 1"));
    assert_non_null(strstr(vq_model_note(m), "shown as ids"));
    vq_model_free(m);
    const char *const set[] = {"mem_len=12"};
    m = open_ok(v.path, &(struct vq_model_options){.set = set, .n_set = 1});
    assert_null(strstr(vq_model_note(m), "mem_len"));
    vq_model_free(m);
    variant_close(&v);
}

static void test_precedence(void **state)
{
    (void)state;
    struct variant v;
    char other[96];
    variant_open(&v, "fixture_agg");
    snprintf(other, sizeof(other), "%s/other.json", v.dir);
    variant_file(&v, "other.json", "{\"mem_len\": 3}");
    /* One above, then the file's own folder, then metadata, then --config, then --set. */
    variant_write(&v, NULL, 0);
    variant_file(&v, "config.json", "{\"mem_len\": 1, \"e_scale\": 0.25}");
    struct vq_model *m = open_ok(v.path, NULL);
    assert_int_equal(vq_model_config(m)->mem_len, 1);
    assert_true(vq_model_config(m)->e_scale == 0.25);
    vq_model_free(m);
    variant_file(&v, "model/config.json", "{\"mem_len\": 2}");
    m = open_ok(v.path, NULL);
    assert_int_equal(vq_model_config(m)->mem_len, 2);
    assert_true(vq_model_config(m)->e_scale == 1);
    assert_non_null(strstr(vq_model_config_path(m), "/model/config.json"));
    vq_model_free(m);

    const struct vq_meta meta[] = {{"config", "{\"mem_len\": 9, \"agg_cache\": 0}"},
                                   {"vocab", "ids"}};
    variant_write(&v, meta, 2);
    m = open_ok(v.path, NULL);
    assert_int_equal(vq_model_config(m)->mem_len, 9);
    assert_int_equal(vq_model_config(m)->agg_cache, 0);
    assert_string_equal(vq_model_config_path(m), v.path);
    assert_string_equal(vq_model_note(m), "");
    assert_int_equal(origin(m, "vocab"), VQ_FROM_FILE);
    vq_model_free(m);
    struct vq_model_options o = {.config_path = other};
    m = open_ok(v.path, &o);
    assert_int_equal(vq_model_config(m)->mem_len, 3);
    assert_int_equal(vq_model_config(m)->agg_cache, 0);
    vq_model_free(m);
    const char *const set[] = {"mem_len=4", "pe_lam=10"};
    o.set = set;
    o.n_set = 2;
    m = open_ok(v.path, &o);
    assert_int_equal(vq_model_config(m)->mem_len, 4);
    assert_int_equal(origin(m, "mem_len"), VQ_FROM_USER);
    assert_int_equal(origin(m, "agg_cache"), VQ_FROM_FILE);
    assert_int_equal(origin(m, "block_len"), VQ_FROM_DEFAULT);
    vq_model_free(m);
    variant_close(&v);
}

static void test_contradictions(void **state)
{
    (void)state;
    struct variant v;
    struct vq_err err;
    char other[96];
    variant_open(&v, "fixture_agg");
    variant_write(&v, NULL, 0);
    snprintf(other, sizeof(other), "%s/other.json", v.dir);
    variant_file(&v, "other.json", "{\"d_model\": 8}");
    open_fails(v.path, &(struct vq_model_options){.config_path = other}, VQ_ESHAPE, &err);
    assert_says(&err, "other.json", "d_model", "config says 8", "token_embedder/embs", "says 4");
    open_fails(v.path, &(struct vq_model_options){.preset = "enwik8"}, VQ_ESHAPE, &err);
    assert_says(&err, "preset enwik8", "says 768", "says 4");
    const char *const set[] = {"e_tie=0"};
    open_fails(v.path, &(struct vq_model_options){.set = set, .n_set = 1}, VQ_ESHAPE, &err);
    assert_says(&err, "e_tie: set says 0", "out_proj/kernel", "says 1");
    /* Saying what is so is no contradiction. */
    const char *const same[] = {"e_tie=1", "n_head=2", "d_v=8"};
    vq_model_free(open_ok(v.path, &(struct vq_model_options){.set = same, .n_set = 3}));
    variant_close(&v);
}

static void test_bad_settings(void **state)
{
    (void)state;
    struct variant v;
    struct vq_err err;
    char other[96];
    variant_open(&v, "fixture_agg");
    variant_write(&v, NULL, 0);
    snprintf(other, sizeof(other), "%s/other.json", v.dir);
    struct vq_model_options o = {.config_path = other};
    open_fails(v.path, &o, VQ_ENOTFOUND, &err);
    assert_says(&err, "other.json");
    variant_file(&v, "other.json", "{\"mem_len\": \"12\"}");
    open_fails(v.path, &o, VQ_EINVAL, &err);
    assert_says(&err, "other.json", "mem_len", "expected an integer", "\"12\"");
    variant_file(&v, "other.json", "{\"d_ff\": 3072}");
    open_fails(v.path, &o, VQ_EINVAL, &err);
    assert_says(&err, "d_ff: expected 0, found 3072");
    variant_file(&v, "other.json", "{\"mem_len\": 12");
    open_fails(v.path, &o, VQ_EFORMAT, &err);
    assert_says(&err, "other.json");
    const char *const sets[] = {"mem_len", "mem_len=x", "mem_lem=3"};
    for (size_t i = 0; i < 3; i++) {
        open_fails(v.path, &(struct vq_model_options){.set = &sets[i], .n_set = 1}, VQ_EINVAL,
                   &err);
        assert_says(&err, "mem_le");
    }
    open_fails(v.path, &(struct vq_model_options){.preset = "nope"}, VQ_EINVAL, &err);
    assert_says(&err, "nope", "enwik8");
    open_fails("tests/data/golden/none.safetensors", NULL, VQ_ENOTFOUND, &err);
    assert_says(&err, "none.safetensors");
    variant_close(&v);
}

static void test_vocabulary(void **state)
{
    (void)state;
    static const struct {
        const char *name, *set, *vocab, *kind;
    } rows[] = {{"enwik8", "mem_len=16", "bytes", "bytes"},
                {"tied", "sequence_len=12288", "image64", "image64"},
                {"tied", "sequence_len=8192", "bytes", "bytes"},
                {"enwik8", "sequence_len=12288", "bytes", "bytes"},
                {"heads3", "mem_len=8", "ids", "ids"},
                {"enwik8", "vocab=ids", "ids", "ids"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), GOLDEN "/%s/model.safetensors", rows[i].name);
        struct vq_model *m =
            open_ok(path, &(struct vq_model_options){.set = &rows[i].set, .n_set = 1});
        assert_string_equal(vq_model_config(m)->vocab, rows[i].vocab);
        assert_string_equal(vq_vocab_kind(vq_model_vocab(m)), rows[i].kind);
        vq_model_free(m);
    }
    /* A vocabulary that does not fit, and files that are not there: beside the config, or here. */
    struct vq_err err;
    const char *set = "vocab=bytes";
    open_fails(GOLDEN "/heads3/model.safetensors",
               &(struct vq_model_options){.set = &set, .n_set = 1}, VQ_EINVAL, &err);
    assert_says(&err, "vocab (set)", "259", "50");
    struct variant v;
    char expected[128];
    variant_open(&v, "heads3");
    variant_write(&v, NULL, 0);
    variant_file(&v, "config.json", "{\"vocab\": \"sub/x.model\"}");
    open_fails(v.path, NULL, VQ_ENOTFOUND, &err);
    snprintf(expected, sizeof(expected), "%s/sub/x.model", v.dir);
    assert_says(&err, expected, "vocab (config)");
    variant_close(&v);
}

/* The presets whose shapes these are cannot be in a test; text-small's can be made. */
static void test_guessed_preset(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_param_spec *specs;
    struct vq_err err;
    size_t n;
    vq_settings_default(&s);
    assert_ok(vq_settings_preset(&s, "text-small", &err), &err);
    assert_ok(vq_model_specs(&s.v, &specs, &n, &err), &err);
    struct vq_tensor_out *t = calloc(n, sizeof(*t));
    float *zeros = calloc(259 * 128 + 128 * 544, sizeof(*zeros));
    for (size_t i = 0; i < n; i++) {
        t[i] = (struct vq_tensor_out){.name = specs[i].name, .rank = specs[i].rank, .data = zeros};
        memcpy(t[i].shape, specs[i].shape, sizeof(specs[i].shape));
    }
    char dir[] = "/tmp/vq_guess_XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/m.safetensors", dir);
    assert_ok(vq_safetensors_write(path, t, n, NULL, 0, NULL, &err), &err);
    struct vq_model *m = open_ok(path, NULL);
    assert_int_equal(vq_model_config(m)->mem_len, 128);
    assert_int_equal(origin(m, "mem_len"), VQ_FROM_PRESET);
    assert_string_equal(vq_model_settings(m)->preset, "text-small");
    assert_string_equal(vq_model_config(m)->vocab, "bytes");
    assert_non_null(strstr(vq_model_note(m), "preset text-small"));
    assert_null(strstr(vq_model_note(m), "assumed"));
    vq_model_free(m);
    unlink(path);
    rmdir(dir);
    free(zeros);
    free(t);
    free(specs);
}

/* Each allocation fails in turn: an error and nothing leaked. */
static void test_out_of_memory(void **state)
{
    (void)state;
    enum vq_status st = VQ_ENOMEM;
    long nth;
    for (nth = 1; st && nth < 5000; nth++) {
        struct vq_model *m;
        struct vq_err err;
        vq_mem_fail_at(nth);
        st = vq_model_open(&m, GOLDEN "/fixture_agg/model.safetensors", NULL, &err);
        vq_mem_fail_at(0);
        assert_true(st == VQ_OK || st == VQ_ENOMEM);
        assert_true((m == NULL) == (st != VQ_OK));
        vq_model_free(m);
    }
    assert_int_equal(st, VQ_OK);
    assert_true(nth > 20);
}

/* The authors' layouts: a folder, a folder of folders, and the model that comes with us. */
static void test_full_files(void **state)
{
    (void)state;
    if (golden_full_absent())
        skip();
    for (size_t i = 0; i < N_GOLDEN; i++) {
        char path[128];
        snprintf(path, sizeof(path), GOLDEN_FULL "/%s", golden_cases[i]);
        struct vq_model *a = open_ok(path, NULL), *b = golden_model(GOLDEN, golden_cases[i]);
        assert_memory_equal(vq_model_config(a), vq_model_config(b), sizeof(struct vq_config));
        assert_int_equal(vq_model_params(a), vq_model_params(b));
        vq_model_free(a);
        vq_model_free(b);
    }
    struct vq_model *m = open_ok("../shared/models/text-small", NULL);
    assert_int_equal(vq_model_params(m), 744966);
    assert_int_equal(vq_model_config(m)->mem_len, 128);
    assert_string_equal(vq_preset_guess(vq_model_settings(m)), "text-small");
    vq_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inferred),       cmocka_unit_test(test_specs_in_order),
        cmocka_unit_test(test_reading),        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_other_branch),   cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_layer_hole),     cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_wrong_dtype),    cmocka_unit_test(test_broken_codebook),
        cmocka_unit_test(test_nobody_said),    cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_contradictions), cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_vocabulary),     cmocka_unit_test(test_guessed_preset),
        cmocka_unit_test(test_out_of_memory),  cmocka_unit_test(test_full_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
