/*
 * The table of hyper-parameters: parsing, ranges, precedence, contradictions with shapes, presets
 * and JSON.
 */
#include "golden.h"

#include "core/model/config.h"

static enum vq_status set(struct vq_settings *s, const char *name, const char *value,
                          enum vq_origin origin, struct vq_err *err)
{
    err->msg[0] = '\0';
    return vq_settings_set(s, name, value, origin, err);
}

static enum vq_origin origin(const struct vq_settings *s, const char *name)
{
    return (enum vq_origin)s->origin[vq_config_field_find(name)];
}

static enum vq_status set_json(struct vq_settings *s, const char *json, struct vq_err *err)
{
    struct vq_json *doc;
    assert_ok(vq_json_parse(&doc, json, strlen(json), err), err);
    enum vq_status st = vq_settings_json(s, vq_json_root(doc), VQ_FROM_FILE, err);
    vq_json_free(doc);
    return st;
}

static void test_table(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    assert_int_equal(vq_config_check(&s.v, &err), VQ_OK);
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        const struct vq_config_field *f = vq_config_field_at(i);
        assert_int_equal(vq_config_field_find(f->name), (int)i);
        assert_true(f->help[0] != '\0' && strlen(f->help) <= 72);
        assert_int_equal(s.origin[i], VQ_FROM_DEFAULT);
    }
    assert_null(vq_config_field_at(vq_config_field_count()));
    assert_int_equal(vq_config_field_find("mem"), -1);
    assert_int_equal(s.v.mem_len, 512);
    assert_int_equal(s.v.block_len, 512);
    assert_true(s.v.pe_lam == 100000 && s.v.agg_cache == 1);
}

/* Every field's text can be set again and gives the same configuration. */
static void test_text_round_trip(void **state)
{
    (void)state;
    for (size_t p = 0; p < vq_preset_count(); p++) {
        struct vq_settings a, b;
        struct vq_err err;
        vq_settings_default(&a);
        vq_settings_default(&b);
        assert_ok(vq_settings_preset(&a, vq_preset_name(p), &err), &err);
        assert_ok(set(&a, "lr_max", "0.1", VQ_FROM_USER, &err), &err);
        for (size_t i = 0; i < vq_config_field_count(); i++) {
            char text[256];
            vq_settings_text(&a, i, text, sizeof(text));
            assert_ok(set(&b, vq_config_field_at(i)->name, text, VQ_FROM_USER, &err), &err);
        }
        assert_memory_equal(&a.v, &b.v, sizeof(a.v));
    }
}

static void test_values_accepted(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    static const char *const pairs[][2] = {
        {"mem_len", "64"},   {"agg_cache", "off"},  {"pe_abs", "true"},
        {"e_scale", "5e-3"}, {"grad_clip", "none"}, {"optimizer", "lion"},
        {"lr_max", "+1e-2"}, {"wd_lam", "0"},       {"vocab", "/a/b.model"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_ok(set(&s, pairs[i][0], pairs[i][1], VQ_FROM_USER, &err), &err);
    assert_int_equal(s.v.mem_len, 64);
    assert_int_equal(s.v.agg_cache, 0);
    assert_int_equal(s.v.pe_abs, 1);
    assert_true(s.v.e_scale == 5e-3 && s.v.lr_max == 1e-2 && s.v.grad_clip == 0);
    assert_string_equal(s.v.optimizer, "lion");
    assert_string_equal(s.v.vocab, "/a/b.model");
}

static void test_values_refused(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"mem_len", ""},
                                           {"mem_len", "0"},
                                           {"mem_len", "12x"},
                                           {"mem_len", " 12"},
                                           {"mem_len", "1e3"},
                                           {"mem_len", "-1"},
                                           {"mem_len", "99999999999999999999"},
                                           {"n_layer", "4097"},
                                           {"agg_cache", "2"},
                                           {"agg_cache", ""},
                                           {"e_scale", "nan"},
                                           {"e_scale", "inf"},
                                           {"e_scale", "0x1p3"},
                                           {"e_scale", "1,5"},
                                           {"e_scale", "0"},
                                           {"p_nucleus", "1.01"},
                                           {"d_ff", "512"},
                                           {"optimizer", "adam"},
                                           {"optimizer", ""},
                                           {"dtype", "float32 bfloat16"},
                                           {"vocab", ""}};
    struct vq_settings s, before;
    struct vq_err err;
    vq_settings_default(&s);
    before = s;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (set(&s, pairs[i][0], pairs[i][1], VQ_FROM_USER, &err) != VQ_EINVAL)
            fail_msg("%s=%s was taken", pairs[i][0], pairs[i][1]);
        char found[64];
        snprintf(found, sizeof(found), "found '%s'", pairs[i][1]);
        assert_says(&err, pairs[i][0], "expected", found);
    }
    char longer[300];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(set(&s, "vocab", longer, VQ_FROM_USER, &err), VQ_EINVAL);
    assert_says(&err, "vocab", "255");
    assert_memory_equal(&s, &before, sizeof(s));
}

static void test_messages(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    assert_int_equal(set(&s, "mem_ln", "1", VQ_FROM_USER, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "unknown setting 'mem_ln': did you mean 'mem_len'?");
    assert_int_equal(set(&s, "zzzzzz", "1", VQ_FROM_USER, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "unknown setting 'zzzzzz'");
    assert_int_equal(set(&s, "n_head", "none", VQ_FROM_USER, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "n_head: expected an integer from 1 to 4096, found 'none'");
    assert_int_equal(set(&s, "optimizer", "sgd", VQ_FROM_USER, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "optimizer: expected one of: adamw lion adafactor, found 'sgd'");
    assert_int_equal(set(&s, "d_ff", "3072", VQ_FROM_USER, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "d_ff: expected 0, found '3072'");
}

static void test_precedence(void **state)
{
    (void)state;
    static const enum vq_origin order[] = {VQ_FROM_PRESET, VQ_FROM_FILE, VQ_FROM_USER};
    struct vq_err err;
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 0; b < 3; b++) {
            struct vq_settings s;
            vq_settings_default(&s);
            assert_ok(set(&s, "mem_len", "100", order[a], &err), &err);
            assert_ok(set(&s, "mem_len", "200", order[b], &err), &err);
            assert_int_equal(s.v.mem_len, b >= a ? 200 : 100);
            assert_int_equal(origin(&s, "mem_len"), order[b >= a ? b : a]);
            assert_int_equal(origin(&s, "block_len"), VQ_FROM_DEFAULT);
        }
    assert_string_equal(vq_origin_name(VQ_FROM_DEFAULT), "default");
    assert_string_equal(vq_origin_name(VQ_FROM_FILE), "config");
    assert_string_equal(vq_origin_name(VQ_FROM_USER), "set");
}

static void test_shapes_are_facts(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    assert_ok(set(&s, "d_model", "64", VQ_FROM_SHAPES, &err), &err);
    assert_ok(set(&s, "d_model", "64", VQ_FROM_USER, &err), &err);
    assert_int_equal(origin(&s, "d_model"), VQ_FROM_SHAPES);
    assert_int_equal(set(&s, "d_model", "128", VQ_FROM_USER, &err), VQ_ESHAPE);
    assert_string_equal(err.msg, "d_model: set says 128, but tensor token_embedder/embs of the "
                                 "checkpoint says 64");
    assert_int_equal(s.v.d_model, 64);
    assert_int_equal(vq_settings_preset(&s, "enwik8", &err), VQ_ESHAPE);
    assert_says(&err, "preset enwik8", "d_model", "768", "64", "token_embedder/embs");

    /* The other order: what was said before the shapes were known. */
    vq_settings_default(&s);
    assert_ok(set(&s, "n_code", "256", VQ_FROM_FILE, &err), &err);
    assert_int_equal(set(&s, "n_code", "512", VQ_FROM_SHAPES, &err), VQ_ESHAPE);
    assert_says(&err, "n_code: config says 256", "quantizer/c_sum", "512");
}

static void test_presets(void **state)
{
    (void)state;
    static const struct {
        const char *name, *vocab;
        double params, clip;
        int64_t T, update;
    } rows[] = {{"enwik8", "bytes", 187.7e6, 0.1, 8192, 2048},
                {"pg19", "ids", 1314.7e6, 0, 8192, 2048},
                {"imagenet64", "image64", 1249.6e6, 0, 12288, 1536},
                {"text-small", "bytes", 744966, 0.1, 4096, 512},
                {"text-tiny", "bytes", 317766, 0.1, 512, 256},
                {"text-medium", "bytes", 3744262, 0.1, 8192, 512},
                {"emoji-small", "image64", 2185412, 0.1, 12288, 768}};
    enum { N_ROW = sizeof(rows) / sizeof(rows[0]) };
    assert_int_equal(vq_preset_count(), N_ROW);
    for (size_t i = 0; i < N_ROW; i++) {
        struct vq_settings s;
        struct vq_err err;
        struct vq_param_spec *specs;
        size_t n;
        double params = 0;
        vq_settings_default(&s);
        assert_ok(vq_settings_preset(&s, rows[i].name, &err), &err);
        assert_ok(vq_config_check(&s.v, &err), &err);
        assert_string_equal(vq_preset_guess(&s), rows[i].name);
        assert_string_equal(s.preset, rows[i].name);
        assert_string_equal(s.v.vocab, rows[i].vocab);
        assert_true(s.v.grad_clip == rows[i].clip);
        assert_int_equal(s.v.sequence_len, rows[i].T);
        assert_int_equal(s.v.update_len, rows[i].update);
        assert_ok(vq_model_specs(&s.v, &specs, &n, &err), &err);
        for (size_t k = 0; k < n; k++) {
            double count = 1;
            for (int a = 0; a < specs[k].rank; a++)
                count *= (double)specs[k].shape[a];
            params += count;
        }
        free(specs);
        assert_true(fabs(params / rows[i].params - 1) < 5e-4);
    }
    assert_null(vq_preset_name(N_ROW));
}

static void test_preset_unknown(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    assert_int_equal(vq_settings_preset(&s, "enwik9", &err), VQ_EINVAL);
    assert_says(&err, "enwik9", "enwik8", "text-small");
    assert_ok(set(&s, "n_code", "64", VQ_FROM_USER, &err), &err);
    assert_null(vq_preset_guess(&s));
}

static void test_json(void **state)
{
    (void)state;
    struct vq_settings a, b;
    struct vq_err err;
    struct vq_text text = {0};
    vq_settings_default(&a);
    vq_settings_default(&b);
    assert_ok(vq_settings_preset(&a, "pg19", &err), &err);
    assert_ok(set(&a, "vocab", "a \"b\".model", VQ_FROM_USER, &err), &err);
    vq_settings_to_json(&a, &text);
    assert_ok(set_json(&b, text.data, &err), &err);
    assert_memory_equal(&a.v, &b.v, sizeof(a.v));
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        char key[64];
        snprintf(key, sizeof(key), "\"%s\": ", vq_config_field_at(i)->name);
        assert_non_null(strstr(text.data, key));
    }
    assert_non_null(strstr(text.data, "\"grad_clip\": null"));
    assert_non_null(strstr(text.data, "\"e_scale\": 0.005"));
    vq_text_release(&text);
}

static void test_json_values(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    s.v.grad_clip = 0.5;
    assert_ok(set_json(&s,
                       "{\"emb_std\": 4.0, \"mem_len\": 1e2, \"agg_cache\": false,"
                       "\"pe_lam\": 10000, \"grad_clip\": null, \"lr_max\": null}",
                       &err),
              &err);
    assert_int_equal(s.v.mem_len, 100);
    assert_int_equal(s.v.agg_cache, 0);
    assert_true(s.v.pe_lam == 10000 && s.v.grad_clip == 0 && s.v.lr_max == 4e-4);
    assert_int_equal(origin(&s, "grad_clip"), VQ_FROM_FILE);
    assert_int_equal(origin(&s, "lr_max"), VQ_FROM_DEFAULT);

    static const char *const bad[][3] = {{"{\"mem_len\": \"16\"}", "mem_len", "found \"16\""},
                                         {"{\"mem_len\": 1.5}", "mem_len", "found 1.5"},
                                         {"{\"mem_len\": true}", "mem_len", "expected an integer"},
                                         {"{\"mem_len\": -3}", "mem_len", "found -3"},
                                         {"{\"agg_cache\": 2}", "agg_cache", "expected 0 or 1"},
                                         {"{\"e_scale\": \"1\"}", "e_scale", "expected a number"},
                                         {"{\"e_scale\": [1]}", "e_scale", "an array"},
                                         {"{\"optimizer\": 3}", "optimizer", "adafactor"},
                                         {"{\"d_ff\": 2048}", "d_ff", "expected 0"},
                                         {"[1]", "object", "an array"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(set_json(&s, bad[i][0], &err), VQ_EINVAL);
        assert_says(&err, bad[i][1], bad[i][2]);
    }
}

static void test_check(void **state)
{
    (void)state;
    struct vq_settings s;
    struct vq_err err;
    vq_settings_default(&s);
    s.v.d_model = 63;
    assert_int_equal(vq_config_check(&s.v, &err), VQ_EINVAL);
    assert_says(&err, "d_model", "even", "63");
    vq_settings_default(&s);
    s.v.e_scale = NAN;
    assert_int_equal(vq_config_check(&s.v, &err), VQ_EINVAL);
    assert_says(&err, "e_scale");
    vq_settings_default(&s);
    s.v.d_ff = 1;
    assert_int_equal(vq_config_check(&s.v, &err), VQ_EINVAL);
    assert_says(&err, "d_ff");
    /* Each in its range, their product beyond any memory. */
    vq_settings_default(&s);
    s.v.n_layer = 4096;
    s.v.n_head = 4096;
    s.v.n_code = 1 << 20;
    s.v.d_v = 1 << 20;
    assert_int_equal(vq_config_check(&s.v, &err), VQ_EINVAL);
    assert_says(&err, "n_code", "d_v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_values_accepted),
        cmocka_unit_test(test_values_refused),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_shapes_are_facts),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_preset_unknown),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_values),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
