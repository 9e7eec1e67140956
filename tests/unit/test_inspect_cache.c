/*
 * Cache and attention rows: of views written out by hand, and of sessions fed with the goldens'
 * tokens against the state that the authors' code reached.
 */
#include "tests/unit/test_inspect.h"

#include "core/inspect/attention.h"
#include "core/inspect/cache.h"

static double norm_of(const float *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = n; i-- > 0;)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static void a_small_cache_is_described(void **state)
{
    (void)state;
    const struct vq_config c = {.n_head = 2, .n_code = 4, .d_v = 2, .mem_len = 5};
    const int64_t count[] = {9, 9, 9, 9, 0, 3, 0, 1};
    const float mean[16] = {[10] = 3.0f, [11] = 4.0f, [14] = 0.0f, [15] = 2.0f};
    const int32_t code[] = {3, 3, 3, -1, 2, 0, 1, -1};
    const float value[] = {9, 9, 9, 9, 9, 9, 6, 8, 0, 0, 0, 1};
    const struct vq_cache_view v = {.position = 7,
                                    .window = 3,
                                    .first = 4,
                                    .code = code,
                                    .code_stride = 4,
                                    .value = value,
                                    .value_stride = 6,
                                    .count = count,
                                    .mean = mean};
    const int32_t tokens[] = {70, 71, 72};
    struct vq_cache_summary s;
    struct vq_cache_code codes[4];
    struct vq_cache_slot slots[3];
    vq_cache_summarise(&s, &v, &c, 1);
    assert_int_equal(s.window, 5);
    assert_int_equal(s.filled, 3);
    assert_int_equal(s.first, 4);
    assert_int_equal(s.codes_used, 2);
    assert_int_equal(s.positions_aggregated, 4);
    assert_int_equal(s.count_max, 3);
    assert_near(s.entropy, -0.75 * log(0.75) - 0.25 * log(0.25), 1e-14);
    vq_cache_summarise(&s, &v, &c, 0);
    assert_near(s.entropy, log(4.0), 1e-14);
    vq_cache_codes(codes, &v, &c, 1);
    assert_int_equal(codes[1].count, 3);
    assert_near(codes[1].mean_norm, 5.0, 0.0);
    assert_near(codes[3].mean_norm, 2.0, 0.0);
    assert_true(codes[0].count == 0 && codes[0].mean_norm == 0.0);
    assert_int_equal(vq_cache_window(slots, &v, &c, 1, tokens), 3);
    assert_int_equal(slots[0].position, 4);
    assert_int_equal(slots[2].position, 6);
    assert_int_equal(slots[0].code, 2);
    assert_int_equal(slots[2].code, 1);
    assert_int_equal(slots[1].token, 71);
    assert_near(slots[0].value_norm, 10.0, 0.0);
    assert_near(slots[2].value_norm, 1.0, 0.0);
    vq_cache_window(slots, &v, &c, 0, NULL);
    assert_int_equal(slots[0].token, -1);
}

static void an_empty_cache_is_described(void **state)
{
    (void)state;
    struct golden g;
    struct vq_session *s;
    struct vq_err err;
    struct vq_cache_view v;
    struct vq_cache_summary sum;
    golden_open(&g, "mem8_block16");
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    vq_session_cache(s, 0, 0, NULL, &v);
    vq_cache_summarise(&sum, &v, g.c, 0);
    assert_true(sum.filled == 0 && sum.first == 0 && sum.codes_used == 0);
    assert_true(sum.positions_aggregated == 0 && sum.count_max == 0 && sum.entropy == 0.0);
    const int32_t tokens[] = {1, 5, 6};
    assert_ok(vq_session_feed(s, tokens, 3, 3, NULL, &err), &err);
    vq_session_cache(s, 1, 0, NULL, &v);
    vq_cache_summarise(&sum, &v, g.c, 1);
    assert_true(sum.filled == 3 && sum.first == 0 && sum.positions_aggregated == 0);
    vq_session_free(s);
    golden_close(&g);
}

struct final {
    struct golden g;
    struct vq_session *s;
    struct vq_npy inputs, z, v, lower, upper;
    size_t B, H, S, V, M;
};

static void final_open(struct final *f, const char *name)
{
    struct vq_err err;
    golden_open(&f->g, name);
    golden_npy(&f->inputs, name, "inputs");
    golden_npy(&f->z, name, "state_xl_z");
    golden_npy(&f->v, name, "state_xl_v");
    golden_npy(&f->lower, name, "state_agg_lower");
    golden_npy(&f->upper, name, "state_agg_upper_div_lower");
    f->B = f->inputs.shape[0];
    f->H = (size_t)f->g.c->n_head;
    f->S = (size_t)f->g.c->n_code;
    f->V = (size_t)f->g.c->d_v;
    f->M = (size_t)f->g.c->mem_len;
    assert_ok(vq_session_new(&f->s, f->g.engine, (int)f->B, &err), &err);
    assert_ok(
        vq_session_feed(f->s, f->inputs.data, f->inputs.shape[1], f->inputs.shape[1], NULL, &err),
        &err);
}

static void final_close(struct final *f)
{
    vq_session_free(f->s);
    vq_npy_release(&f->inputs);
    vq_npy_release(&f->z);
    vq_npy_release(&f->v);
    vq_npy_release(&f->lower);
    vq_npy_release(&f->upper);
    golden_close(&f->g);
}

static void assert_head(const struct final *f, size_t module, size_t b, size_t h)
{
    const size_t line = (module * f->B + b) * f->H + h;
    const float *lower = (float *)f->lower.data + line * f->S;
    const float *upper = (float *)f->upper.data + line * f->S * f->V;
    const int32_t *z = (int32_t *)f->z.data + line * f->M;
    const float *value = (float *)f->v.data + line * f->M * f->V;
    struct vq_cache_view view;
    struct vq_cache_summary sum;
    struct vq_cache_code *codes = malloc(f->S * sizeof(*codes));
    struct vq_cache_slot *slots = malloc(f->M * sizeof(*slots));
    double total = 0.0, entropy = 0.0, max = 0.0;
    int64_t used = 0;
    float *room = malloc(vq_session_cache_floats(f->s) * sizeof(*room));
    vq_session_cache(f->s, (int)module, (int)b, room, &view);
    vq_cache_summarise(&sum, &view, f->g.c, (int)h);
    vq_cache_codes(codes, &view, f->g.c, (int)h);
    assert_int_equal(vq_cache_window(slots, &view, f->g.c, (int)h, NULL), f->M);
    for (size_t s = 0; s < f->S; s++) {
        total += lower[s];
        used += lower[s] > 0.0f;
        max = fmax(max, lower[s]);
        assert_int_equal(codes[s].count, (int64_t)lower[s]);
        assert_near(codes[s].mean_norm, norm_of(upper + s * f->V, f->V), 1e-4);
    }
    for (size_t s = 0; s < f->S; s++)
        entropy -= lower[s] > 0.0f ? lower[s] / total * log(lower[s] / total) : 0.0;
    assert_int_equal(sum.codes_used, used);
    assert_int_equal(sum.positions_aggregated, (int64_t)total);
    assert_int_equal(sum.count_max, (int64_t)max);
    assert_near(sum.entropy, entropy, 1e-12);
    assert_int_equal(sum.filled, f->M);
    assert_int_equal(sum.filled + sum.positions_aggregated, f->inputs.shape[1]);
    for (size_t t = 0; t < f->M; t++) {
        assert_int_equal(slots[t].position, f->inputs.shape[1] - f->M + t);
        assert_int_equal(slots[t].code, z[t]);
        assert_near(slots[t].value_norm, norm_of(value + t * f->V, f->V), 1e-4);
    }
    free(room);
    free(slots);
    free(codes);
}

static void rows_are_those_of_the_golden_states(void **state)
{
    (void)state;
    const char *const cases[] = {"mem8_block16", "layers11"};
    for (size_t i = 0; i < 2; i++) {
        struct final f;
        final_open(&f, cases[i]);
        for (size_t m = 0; m < vq_config_modules(f.g.c); m++)
            for (size_t bh = 0; bh < f.B * f.H; bh++)
                assert_head(&f, m, bh / f.H, bh % f.H);
        final_close(&f);
    }
}

/* ---- attention ---- */

static void a_small_softmax_is_described(void **state)
{
    (void)state;
    enum { W = 3, S = 4 };
    const double odds[] = {2, 4, 2, 1, 4, 0, 7}; /* of 20 */
    float score[W + S], weight[W + S];
    for (int i = 0; i < W + S; i++) {
        score[i] = (float)(log(odds[i]) + 50.0);
        weight[i] = (float)(odds[i] / 20.0);
    }
    const int32_t code[] = {2, 2, 0};
    const int64_t count[] = {7, 6, 0, 5};
    const struct vq_attention_view v = {.query = 20,
                                        .window = W,
                                        .first = 18,
                                        .score = score,
                                        .weight = weight,
                                        .code = code,
                                        .count = count};
    struct vq_attention_row r[W + S];
    struct vq_attention_summary s;
    assert_int_equal(vq_attention_rows(r, &v, S, VQ_ATTENTION_BY_WEIGHT), 6);
    const int64_t at[] = {3, 19, 1, 20, 18, 0};
    for (int i = 0; i < 6; i++)
        assert_int_equal(r[i].at, at[i]);
    assert_true(r[0].where == VQ_AT_AGGREGATE && r[1].where == VQ_AT_WINDOW);
    assert_true(r[0].count == 5 && r[1].count == 1 && r[1].code == 2 && r[0].code == 3);
    assert_near(r[0].weight, 0.35, 1e-7);
    assert_near(r[3].score, log(2.0) + 50.0, 1e-5);
    assert_int_equal(vq_attention_rows(r, &v, S, VQ_ATTENTION_BY_PLACE), 6);
    const int64_t place[] = {0, 1, 3, 18, 19, 20};
    for (int i = 0; i < 6; i++)
        assert_int_equal(r[i].at, place[i]);
    vq_attention_summarise(&s, &v, S);
    assert_int_equal(s.query, 20);
    assert_int_equal(s.positions, 21);
    assert_near(s.window, 0.40, 1e-7);
    assert_near(s.aggregate, 0.60, 1e-7);
    assert_near(s.total, 1.0, 1e-7);
    assert_near(s.max_error, 0.0, 2e-6); /* scores near 50 are rounded to 4e-6 */
    double entropy = 0.0;
    for (int i = 0; i < W + S; i++)
        entropy -= odds[i] > 0 ? odds[i] / 20 * log(odds[i] / 20) : 0;
    assert_near(s.entropy, entropy, 1e-6);
    weight[1] -= 0.125f;
    vq_attention_summarise(&s, &v, S);
    assert_near(s.max_error, 0.125, 1e-5);
    assert_near(s.total, 0.875, 1e-7);
}

static void real_rows_sum_to_one(void **state)
{
    (void)state;
    struct final f;
    struct vq_err err;
    final_open(&f, "mem8_block16");
    struct vq_attention_row *r = malloc((f.M + 1 + f.S) * sizeof(*r));
    for (size_t i = 0; i < vq_config_modules(f.g.c) * f.H * f.B; i++) {
        int module = (int)(i / (f.H * f.B)), h = (int)(i / f.B % f.H), b = (int)(i % f.B);
        struct vq_attention_view v;
        struct vq_attention_summary s;
        double sum = 0.0;
        assert_ok(vq_session_attention(f.s, module, h, b, &v, &err), &err);
        size_t n = vq_attention_rows(r, &v, f.S, VQ_ATTENTION_BY_WEIGHT), window = 0;
        for (size_t j = 0; j < n; j++) {
            assert_true(j == 0 || r[j - 1].weight >= r[j].weight);
            assert_true(r[j].count > 0);
            window += r[j].where == VQ_AT_WINDOW;
            sum += r[j].weight;
        }
        vq_attention_summarise(&s, &v, f.S);
        assert_int_equal(window, f.M + 1);
        assert_int_equal(s.positions, f.inputs.shape[1]);
        assert_near(sum, 1.0, 1e-6);
        assert_near(s.total, sum, 1e-12);
        assert_true(s.max_error < 1e-6);
        assert_true(s.aggregate > 0.0);
    }
    assert_string_equal(vq_attention_where_name(VQ_AT_WINDOW), "window");
    assert_string_equal(vq_attention_where_name(VQ_AT_AGGREGATE), "aggregate");
    free(r);
    final_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_cache_is_described),
        cmocka_unit_test(an_empty_cache_is_described),
        cmocka_unit_test(rows_are_those_of_the_golden_states),
        cmocka_unit_test(a_small_softmax_is_described),
        cmocka_unit_test(real_rows_sum_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
