/*
 * What updates stand on: the layout of parameters and their starting values, loading them, masks of
 * dropout, and the attention state.
 */
#include "golden.h"

#include "core/base/mem.h"
#include "core/train/dropout.h"
#include "core/train/params.h"
#include "core/train/state.h"
#include "core/vocab/vocab.h"

static struct vq_err err;

static void small(struct vq_settings *s)
{
    vq_settings_default(s);
    assert_ok(vq_settings_preset(s, "text-small", &err), &err);
}

static void test_layout(void **unused)
{
    struct vq_settings s;
    struct vq_params *p;
    (void)unused;
    small(&s);
    assert_ok(vq_params_new(&p, &s.v, &err), &err);
    assert_int_equal(p->count, 744966);
    size_t end = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct vq_param *t = &p->at[i];
        assert_int_equal(t->offset % 16, 0);
        assert_true(t->offset >= end && t->offset < end + 16);
        end = t->offset + t->size;
        assert_ptr_equal(vq_params_find(p, t->name), t);
        assert_int_equal(t->is_codebook, strstr(t->name, "c_sum") || strstr(t->name, "c_count"));
    }
    assert_true(p->floats >= end && p->floats % 16 == 0);
    assert_null(vq_params_find(p, "token_embedder"));
    vq_params_free(p);
}

static void moments(const float *x, size_t n, double *mean, double *std)
{
    double sum = 0.0, sum2 = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        sum2 += (double)x[i] * x[i];
    }
    *mean = sum / (double)n;
    *std = sqrt(sum2 / (double)n - *mean * *mean);
}

static void test_start(void **unused)
{
    static const struct {
        const char *name;
        double mean, std;
    } tensors[] = {
        {"token_embedder/embs", 0, 1},
        {"token_embedder/bias_out", 0, 0},
        {"out_proj/bias", 0, 0},
        {"out_proj/kernel", 0, 0.0883883},                                 /* 128^-1/2 */
        {"transformer_layers_1/scanned_attn2/res_proj/kernel", 0, 0.0625}, /* 256^-1/2 */
        {"transformer_layers_1/scanned_attn2/quantizer/c_sum", 0, 0.125},  /* 64^-1/2 */
        {"transformer_layers_1/scanned_attn2/quantizer/c_count", 1, 0},
        {"transformer_layers_1/scanned_attn2/input_ln/g", 1, 0},
        {"transformer_layers_1/scanned_attn2/input_ln/b", 0, 0},
        {"transformer_layers_1/scanned_attn2/u", 0, 0},
    };
    struct vq_settings s;
    struct vq_params *p, *deeper;
    (void)unused;
    small(&s);
    assert_ok(vq_params_new(&p, &s.v, &err), &err);
    s.v.n_layer++;
    assert_ok(vq_params_new(&deeper, &s.v, &err), &err);
    float *x = vq_params_block(p), *y = vq_params_block(deeper);
    vq_params_init(p, x, 1);
    vq_params_init(deeper, y, 1);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        const struct vq_param *t = vq_params_find(p, tensors[i].name);
        const struct vq_param *d = vq_params_find(deeper, tensors[i].name);
        double mean, std;
        moments(x + t->offset, t->size, &mean, &std);
        double slack = 4.0 * tensors[i].std / sqrt((double)t->size);
        assert_true(fabs(mean - tensors[i].mean) <= slack);
        assert_true(fabs(std - tensors[i].std) <= slack);
        assert_memory_equal(x + t->offset, y + d->offset, t->size * sizeof(float));
    }
    vq_params_init(deeper, y, 2);
    const struct vq_param *t = vq_params_find(deeper, "token_embedder/embs");
    assert_memory_not_equal(x + vq_params_find(p, t->name)->offset, y + t->offset,
                            t->size * sizeof(float));
    assert_null(vq_params_not_finite(p, x));
    t = &p->at[p->n - 1];
    x[t->offset + t->size - 1] = INFINITY;
    assert_ptr_equal(vq_params_not_finite(p, x), t);
    free(x);
    free(y);
    vq_params_free(p);
    vq_params_free(deeper);
}

static void test_load(void **unused)
{
    struct vq_params *p, *other;
    (void)unused;
    struct vq_model *m = golden_model(GOLDEN, "heads3");
    assert_ok(vq_params_new(&p, vq_model_config(m), &err), &err);
    float *x = vq_params_block(p);
    assert_ok(vq_params_load(p, x, vq_model_ckpt(m), &err), &err);
    for (size_t i = 0; i < p->n; i++) {
        float *y = vq_alloc_f32(p->at[i].size);
        assert_ok(vq_model_read(m, -1, p->at[i].name, y, &err), &err);
        assert_memory_equal(x + p->at[i].offset, y, p->at[i].size * sizeof(float));
        free(y);
    }
    struct vq_config c = *vq_model_config(m);
    c.n_code++;
    assert_ok(vq_params_new(&other, &c, &err), &err);
    float *z = vq_params_block(other);
    assert_int_equal(vq_params_load(other, z, vq_model_ckpt(m), &err), VQ_ESHAPE);
    assert_says(&err, "quantizer/c_count", "[3, 17]", "[3, 16]");
    free(z);
    vq_params_free(other);
    c.n_code--;
    c.n_layer++;
    assert_ok(vq_params_new(&other, &c, &err), &err);
    z = vq_params_block(other);
    assert_int_equal(vq_params_load(other, z, vq_model_ckpt(m), &err), VQ_EFORMAT);
    assert_says(&err, "transformer_layers_1/scanned_attn1/input_ln/b", "missing");
    free(x);
    free(z);
    vq_params_free(p);
    vq_params_free(other);
    vq_model_free(m);
}

enum { ROW = 1001 };

/* How many of two rows' places are dropped in both. */
static size_t both(const struct vq_drop *a, const struct vq_drop *b, double p)
{
    float ones[ROW], x[ROW], y[ROW];
    size_t n = 0;
    for (size_t i = 0; i < ROW; i++)
        ones[i] = 1.0f;
    vq_drop_row(x, ones, ROW, p, a);
    vq_drop_row(y, ones, ROW, p, b);
    for (size_t i = 0; i < ROW; i++) {
        assert_true(x[i] == 0.0f || fabs((double)x[i] - 1.0 / (1.0 - p)) < 1e-6);
        n += x[i] == 0.0f && y[i] == 0.0f;
    }
    return n;
}

static void test_masks(void **unused)
{
    const struct vq_drop d = {1, 2, VQ_DROP_RES, 3, 4, 5};
    struct vq_drop others[] = {d, d, d, d, d, d};
    float x[3] = {1, 2, 3}, y[3];
    (void)unused;
    others[0].seed++;
    others[1].sequence++;
    others[2].kind = VQ_DROP_EMB;
    others[3].module++;
    others[4].row++;
    others[5].at++;
    size_t same = both(&d, &d, 0.3);
    assert_true(same > 240 && same < 360); /* 300 +- 4 standard deviations */
    for (size_t i = 0; i < 6; i++) {
        size_t n = both(&d, &others[i], 0.3);
        assert_true(n > 50 && n < 130); /* 90 */
    }
    vq_drop_row(y, x, 3, 0.0, &d);
    assert_memory_equal(x, y, sizeof(x));

    size_t dropped = 0;
    for (struct vq_drop f = d; f.at < 1005; f.at++) {
        float factor = vq_drop_factor(0.25, &f);
        assert_true(factor == 0.0f || fabs((double)factor - 4.0 / 3.0) < 1e-6);
        dropped += factor == 0.0f;
    }
    assert_true(dropped > 190 && dropped < 310);
    assert_true(vq_drop_factor(0.0, &d) == 1.0f);
}

static void test_state(void **unused)
{
    struct vq_settings s;
    struct vq_train_state *a, *b;
    (void)unused;
    small(&s);
    assert_ok(vq_train_state_new(&a, &s.v, 3, &err), &err);
    s.v.agg_cache = 0;
    assert_ok(vq_train_state_new(&b, &s.v, 3, &err), &err);
    assert_non_null(a->count);
    assert_null(b->count);
    assert_null(b->mean);
    size_t window = 6 * 3 * 128;
    assert_int_equal(vq_train_state_bytes(b), 3 * 4 + window * 4 + window * (32 + 256) * 4);
    assert_int_equal(vq_train_state_bytes(a) - vq_train_state_bytes(b), 6 * 3 * 64 * (8 + 256 * 4));
    a->position = 5;
    a->broken = true;
    a->last[1] = 7;
    a->code[0] = 3;
    a->count[9] = 4;
    vq_train_state_reset(a);
    assert_int_equal(a->position, 0);
    assert_false(a->broken);
    assert_int_equal(a->last[1], VQ_EOS);
    assert_int_equal(a->code[0], 64);
    assert_int_equal(a->count[9], 0);
    vq_train_state_free(a);
    vq_train_state_free(b);
    s.v.mem_len = (int64_t)1 << 40;
    assert_int_equal(vq_train_state_new(&a, &s.v, 1 << 20, &err), VQ_ENOMEM);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout), cmocka_unit_test(test_start), cmocka_unit_test(test_load),
        cmocka_unit_test(test_masks),  cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
