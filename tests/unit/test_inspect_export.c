/*
 * Exported files, read back: against the goldens of the authors' code, and for states that are not
 * full yet against the session itself.
 */
#include "tests/unit/test_inspect.h"

#include <unistd.h>

#include "core/inspect/export.h"

static char folder[] = "/tmp/vqsh-export-XXXXXX";
static char path[64];

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/a.npy", folder);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

/* Exports and reads back; the result must say what the file says. */
static void export(struct vq_npy *out, const char *name, const struct vq_export_source *source)
{
    struct vq_err err;
    struct vq_export_result result;
    assert_ok(vq_export(name, path, source, &result, &err), &err);
    assert_ok(vq_npy_read(out, path, &err), &err);
    assert_int_equal(result.type, out->type);
    assert_int_equal(result.rank, out->rank);
    assert_memory_equal(result.shape, out->shape, (size_t)out->rank * sizeof(size_t));
    unlink(path);
}

static void assert_same(const struct vq_npy *got, const struct vq_npy *want, double tolerance)
{
    assert_int_equal(got->type, want->type);
    assert_int_equal(got->rank, want->rank);
    assert_memory_equal(got->shape, want->shape, (size_t)want->rank * sizeof(size_t));
    if (got->type == VQ_NPY_I32) {
        assert_memory_equal(got->data, want->data, got->count * sizeof(int32_t));
        return;
    }
    for (size_t i = 0; i < got->count; i++)
        assert_near(((float *)got->data)[i], ((float *)want->data)[i], tolerance);
}

static void exports_are_the_goldens(void **state)
{
    (void)state;
    const char *const pairs[][2] = {{"cache.lower", "state_agg_lower"},
                                    {"cache.upper", "state_agg_upper_div_lower"},
                                    {"cache.window", "state_xl_z"},
                                    {"cache.window.k", "state_xl_k_hat"},
                                    {"cache.window.v", "state_xl_v"},
                                    {"codes", "shortcodes"},
                                    {"logprobs", "logprobs"}};
    const char *const cases[] = {"mem8_block16", "layers11"};
    for (size_t i = 0; i < 2; i++) {
        struct golden g;
        struct vq_npy inputs, targets;
        struct vq_session *s;
        struct vq_err err;
        golden_open(&g, cases[i]);
        golden_npy(&inputs, cases[i], "inputs");
        golden_npy(&targets, cases[i], "targets");
        size_t B = inputs.shape[0], T = inputs.shape[1];
        assert_ok(vq_session_new(&s, g.engine, (int)B, &err), &err);
        assert_ok(vq_session_feed(s, inputs.data, T, T, NULL, &err), &err);
        const struct vq_over over = {
            .tokens = targets.data, .rows = B, .cols = T, .targets = true, .block = 5};
        const struct vq_export_source source = {
            .model = g.model, .session = s, .engine = g.engine, .over = &over};
        for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++) {
            struct vq_npy got, want;
            export(&got, pairs[k][0], &source);
            golden_npy(&want, cases[i], pairs[k][1]);
            assert_same(&got, &want, 3e-5);
            vq_npy_release(&want);
            vq_npy_release(&got);
        }
        vq_session_free(s);
        vq_npy_release(&targets);
        vq_npy_release(&inputs);
        golden_close(&g);
    }
}

static void a_window_that_is_not_full_stands_to_the_right(void **state)
{
    (void)state;
    struct golden g;
    struct vq_session *s;
    struct vq_err err;
    struct vq_npy z, k, v, attn, C;
    const int32_t tokens[] = {1, 5, 9, 4, 6, 6};
    golden_open(&g, "mem8_block16");
    assert_ok(vq_session_new(&s, g.engine, 2, &err), &err);
    assert_ok(vq_session_feed(s, tokens, 3, 3, NULL, &err), &err);
    const struct vq_export_source source = {.model = g.model, .session = s};
    export(&z, "cache.window", &source);
    export(&k, "cache.window.k", &source);
    export(&v, "cache.window.v", &source);
    export(&attn, "attn", &source);
    export(&C, "codebook", &source);
    size_t H = (size_t)g.c->n_head, S = (size_t)g.c->n_code, M = (size_t)g.c->mem_len;
    size_t K = (size_t)g.c->d_k, V = (size_t)g.c->d_v, row = M + 1 + S;
    assert_int_equal(attn.shape[4], row);
    float *room = malloc(vq_session_cache_floats(s) * sizeof(*room));
    for (size_t line = 0; line < z.count / M; line++) {
        size_t module = line / (2 * H), b = line / H % 2, h = line % H;
        struct vq_cache_view view;
        vq_session_cache(s, (int)module, (int)b, room, &view);
        double sum = 0.0;
        for (size_t t = 0; t < M; t++) {
            size_t at = line * M + t;
            int32_t code = ((int32_t *)z.data)[at];
            const float *key = (float *)k.data + at * K, *value = (float *)v.data + at * V;
            if (t < M - 3) {
                assert_int_equal(code, S);
                assert_true(key[0] == 0.0f && key[K - 1] == 0.0f);
                assert_true(value[0] == 0.0f && value[V - 1] == 0.0f);
                continue;
            }
            size_t from = t - (M - 3);
            assert_int_equal(code, view.code[h * view.code_stride + from]);
            assert_memory_equal(value, view.value + h * view.value_stride + from * V,
                                V * sizeof(float));
            assert_memory_equal(key, (float *)C.data + ((module * H + h) * S + (size_t)code) * K,
                                K * sizeof(float));
        }
        for (size_t j = 0; j < row; j++) {
            float w = ((float *)attn.data)[line * row + j];
            assert_true(j > M - 3 && j <= M ? w > 0.0f : w == 0.0f);
            sum += w;
        }
        assert_near(sum, 1.0, 1e-6);
    }
    vq_npy_release(&z);
    vq_npy_release(&k);
    vq_npy_release(&v);
    free(room);
    vq_npy_release(&attn);
    vq_npy_release(&C);
    vq_session_free(s);
    golden_close(&g);
}

/* A state file whose counts are all `each`, at the position that they add up to. */
static void write_state(const struct golden *g, const char *file, int64_t each)
{
    struct vq_session *s;
    struct vq_ckpt *c;
    struct vq_err err;
    const int32_t tokens[20] = {1};
    assert_ok(vq_session_new(&s, g->engine, 1, &err), &err);
    assert_ok(vq_session_feed(s, tokens, 20, 20, &(struct vq_feed_options){.no_logits = 1}, &err),
              &err);
    assert_ok(vq_session_save(s, file, "", NULL, NULL, &err), &err);
    vq_session_free(s);
    assert_ok(vq_ckpt_open(&c, file, &err), &err);
    const struct vq_tensor *lower = vq_ckpt_find(c, "agg_lower");
    const struct vq_meta meta = {"format", vq_ckpt_meta(c, "format")};
    struct vq_tensor_out out[8] = {0};
    int64_t *count = malloc(lower->bytes), position = g->c->mem_len + each * g->c->n_code;
    for (size_t i = 0; i < lower->count; i++)
        count[i] = each;
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        out[i] = (struct vq_tensor_out){.name = t->name, .dtype = t->dtype, .rank = t->rank};
        memcpy(out[i].shape, t->shape, sizeof(t->shape));
        out[i].data = t == lower ? (void *)count : t->data;
        if (!strcmp(t->name, "pos_offset"))
            out[i].data = &position;
    }
    assert_ok(vq_safetensors_write(file, out, vq_ckpt_count(c), &meta, 1, NULL, &err), &err);
    free(count);
    vq_ckpt_free(c);
}

static void counts_beyond_f32_become_f64(void **state)
{
    (void)state;
    const int64_t limit = 1 << 24;
    struct golden g;
    char file[80];
    golden_open(&g, "mem8_block16");
    snprintf(file, sizeof(file), "%s/state", folder);
    for (int64_t each = limit; each <= limit + 1; each++) {
        struct vq_session *s;
        struct vq_err err;
        struct vq_npy a;
        write_state(&g, file, each);
        assert_ok(vq_session_load(&s, g.engine, file, "", &err), &err);
        export(&a, "cache.lower", &(struct vq_export_source){.session = s});
        assert_int_equal(a.type, each > limit ? VQ_NPY_F64 : VQ_NPY_F32);
        for (size_t i = 0; i < a.count; i++)
            assert_near(each > limit ? ((double *)a.data)[i] : ((float *)a.data)[i], (double)each,
                        0.0);
        vq_npy_release(&a);
        vq_session_free(s);
    }
    unlink(file);
    golden_close(&g);
}

static void attention_of_one_module_is_a_part_of_all(void **state)
{
    (void)state;
    struct golden g;
    struct vq_session *s;
    struct vq_err err;
    struct vq_npy all, one;
    const int32_t tokens[30] = {1, 5, 9, 4, 6, 6, 30, 31};
    golden_open(&g, "mem8_block16");
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    struct vq_export_source source = {.session = s};
    assert_int_equal(vq_export("attn", path, &source, NULL, &err), VQ_ENOTFOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_ok(vq_session_feed(s, tokens, 30, 30, NULL, &err), &err);
    export(&all, "attn", &source);
    source.one_module = true;
    source.module = 1;
    export(&one, "attn", &source);
    assert_int_equal(one.rank, 3);
    assert_memory_equal(one.data, (float *)all.data + one.count, one.count * sizeof(float));
    source.module = (int)vq_config_modules(g.c);
    assert_int_equal(vq_export("attn", path, &source, NULL, &err), VQ_EINVAL);
    vq_npy_release(&all);
    vq_npy_release(&one);
    vq_session_free(s);
    golden_close(&g);
}

static void logits_of_one_row_may_be_flat(void **state)
{
    (void)state;
    struct golden g;
    struct vq_npy deep, flat, logprobs, inputs;
    golden_open(&g, "layers11");
    golden_npy(&inputs, "layers11", "inputs");
    const struct vq_over over = {.tokens = inputs.data, .rows = 1, .cols = inputs.shape[1]};
    struct vq_export_source source = {.engine = g.engine, .over = &over};
    export(&deep, "logits", &source);
    source.flat = true;
    export(&flat, "logits", &source);
    export(&logprobs, "logprobs", &source);
    size_t N = (size_t)g.c->n_vocab;
    assert_int_equal(deep.rank, 3);
    assert_int_equal(flat.rank, 2);
    assert_int_equal(flat.shape[1], N);
    assert_memory_equal(deep.data, flat.data, flat.count * sizeof(float));
    for (size_t i = 0; i < flat.count / N; i++) {
        const float *x = (float *)flat.data + i * N, *y = (float *)logprobs.data + i * N;
        double sum = 0.0;
        for (size_t j = 0; j < N; j++)
            sum += exp(x[j]);
        for (size_t j = 0; j < N; j++)
            assert_near(y[j], x[j] - log(sum), 2e-6);
    }
    vq_npy_release(&deep);
    vq_npy_release(&flat);
    vq_npy_release(&logprobs);
    vq_npy_release(&inputs);
    golden_close(&g);
}

static void what_cannot_be_exported_is_refused(void **state)
{
    (void)state;
    struct golden g;
    struct vq_err err;
    golden_open(&g, "layers11");
    const int32_t tokens[] = {1, 3, 4};
    const struct vq_cancel stop = {always, NULL};
    const struct vq_over over = {.tokens = tokens, .rows = 1, .cols = 3, .cancel = &stop};
    const struct vq_export_source none = {0};
    const struct vq_export_source source = {
        .model = g.model, .engine = g.engine, .over = &over, .cancel = &stop};
    assert_int_equal(vq_export("cache", path, &none, NULL, &err), VQ_ENOTFOUND);
    for (size_t i = 0; i < vq_export_count(); i++) {
        const struct vq_export_kind *k = vq_export_at(i);
        assert_ptr_equal(vq_export_find(k->name), k);
        assert_int_equal(vq_export(k->name, path, &none, NULL, &err), VQ_EINVAL);
        assert_non_null(strstr(err.msg, k->name));
        if (!(k->needs & VQ_EXPORT_SESSION))
            assert_int_equal(vq_export(k->name, path, &source, NULL, &err), VQ_ECANCELLED);
        assert_int_equal(access(path, F_OK), -1);
    }
    golden_close(&g);
}

static void lack_of_memory_leaves_no_file(void **state)
{
    (void)state;
    struct golden g;
    struct vq_session *s;
    struct vq_err err;
    golden_open(&g, "mem8_block16");
    const int32_t tokens[] = {1, 3, 4};
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    assert_ok(vq_session_feed(s, tokens, 3, 3, NULL, &err), &err);
    const struct vq_over over = {.tokens = tokens, .rows = 1, .cols = 3};
    const struct vq_export_source source = {
        .model = g.model, .session = s, .engine = g.engine, .over = &over};
    for (size_t i = 0; i < vq_export_count(); i++) {
        enum vq_status rc = VQ_ENOMEM;
        long nth = 1;
        for (; rc == VQ_ENOMEM && nth < 500; nth++) {
            vq_mem_fail_at(nth);
            rc = vq_export(vq_export_at(i)->name, path, &source, NULL, &err);
            vq_mem_fail_at(0);
            assert_int_equal(access(path, F_OK), rc == VQ_OK ? 0 : -1);
        }
        assert_ok(rc, &err);
        assert_true(nth > 2);
        unlink(path);
    }
    vq_session_free(s);
    golden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exports_are_the_goldens),
        cmocka_unit_test(a_window_that_is_not_full_stands_to_the_right),
        cmocka_unit_test(counts_beyond_f32_become_f64),
        cmocka_unit_test(attention_of_one_module_is_a_part_of_all),
        cmocka_unit_test(logits_of_one_row_may_be_flat),
        cmocka_unit_test(what_cannot_be_exported_is_refused),
        cmocka_unit_test(lack_of_memory_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
