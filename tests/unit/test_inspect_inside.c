/*
 * Streams, probes, surprise, comparison and the life of the cache, against the forward pass in
 * double of forward64.h, the authors' own streams, and formulas of another form.
 */
#include "tests/unit/forward64.h"

#include "core/inspect/attend.h"
#include "core/inspect/cache.h"
#include "core/inspect/compare.h"
#include "core/inspect/life.h"
#include "core/inspect/over.h"
#include "core/inspect/probe.h"
#include "core/inspect/stream.h"
#include "core/inspect/surprise.h"

struct run {
    struct golden g;
    struct vq_npy inputs;
    struct forward64 f;
    int row;
};

static void run_open(struct run *r, const char *name, int row)
{
    golden_open(&r->g, name);
    golden_npy(&r->inputs, name, "inputs");
    r->row = row;
    size_t T = r->inputs.shape[1];
    r->f = (struct forward64){0};
    f64_run(&r->f, r->g.model, (int32_t *)r->inputs.data + (size_t)row * T, T);
}

static void run_close(struct run *r)
{
    f64_release(&r->f);
    vq_npy_release(&r->inputs);
    golden_close(&r->g);
}

static struct vq_session *feed(const struct run *r, size_t n, int block,
                               const struct vq_observer *o)
{
    struct vq_session *s;
    struct vq_err err;
    const struct vq_feed_options how = {.block = block, .observe = o};
    assert_ok(vq_session_new(&s, r->g.engine, (int)r->inputs.shape[0], &err), &err);
    assert_ok(vq_session_feed(s, r->inputs.data, n, r->inputs.shape[1], &how, &err), &err);
    return s;
}

static double length(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* ---- streams ---- */

static void assert_stream(const struct vq_stream *s, const struct forward64 *f, size_t module)
{
    size_t T = f->T, D = f->D, G = f->H * f->V;
    double norm = 0, added = 0, cosine = 0, gate = 0, closed = 0, negative = 0, most = 0;
    const float *kept = vq_stream_values(s, VQ_STREAM_NORM) + (module + 1) * T;
    const float *closed_of = vq_stream_values(s, VQ_STREAM_CLOSED) + (module + 1) * T;
    for (size_t t = 0; t < T; t++) {
        const double *x = f->stream + (module * T + t) * D, *b = f->branch + (module * T + t) * D;
        const double *before = module ? x - T * D : f->embedded + t * D;
        double dot = 0, shut = 0;
        for (size_t d = 0; d < D; d++)
            dot += b[d] * before[d];
        for (size_t i = 0; i < G; i++) {
            double g = f->gate[(module * T + t) * G + i];
            gate += fabs(g) / (double)G;
            shut += (fabs(g) < VQ_GATE_CLOSED) / (double)G;
            negative += (g < 0) / (double)G;
            most = fmax(most, fabs(g));
        }
        norm += length(x, D);
        added += length(b, D);
        cosine += dot / length(b, D) / length(before, D);
        closed += shut;
        assert_near(kept[t], length(x, D), 1e-4);
        assert_near(closed_of[t], shut, 1.5 / (double)G); /* one may lie on the edge */
    }
    struct vq_stream_row r = vq_stream_mean(s, module + 1);
    assert_int_equal(r.tokens, T);
    assert_near(r.stream, norm / (double)T, 1e-4);
    assert_near(r.branch, added / (double)T, 1e-4);
    assert_near(r.cosine, cosine / (double)T, 1e-4);
    assert_near(r.gate, gate / (double)T, 1e-5);
    assert_near(r.closed, closed / (double)T, 1e-2);
    assert_near(r.negative, negative / (double)T, 1e-3);
    assert_near(r.gate_max, most, 1e-4);
}

static void streams_are_those_of_the_definition(void **state)
{
    (void)state;
    const char *const cases[] = {"heads3", "mem8_block16", "layers11"};
    for (int i = 0; i < 3; i++) {
        struct run r;
        struct vq_err err;
        struct vq_stream *s;
        run_open(&r, cases[i], i % 2);
        const struct vq_stream_options o = {.row = r.row, .tokens = r.f.T};
        assert_ok(vq_stream_new(&s, r.g.c, &o, &err), &err);
        assert_true(isnan(vq_stream_mean(s, 1).stream));
        vq_session_free(feed(&r, r.f.T, 5, vq_stream_observer(s)));
        double norm = 0.0;
        for (size_t t = 0; t < r.f.T; t++)
            norm += length(r.f.embedded + t * r.f.D, r.f.D) / (double)r.f.T;
        assert_near(vq_stream_mean(s, 0).stream, norm, 1e-4);
        for (size_t m = 0; m < r.f.modules; m++)
            assert_stream(s, &r.f, m);
        vq_stream_free(s);
        for (long nth = 1; nth <= 5; nth++) {
            vq_mem_fail_at(nth);
            assert_int_equal(vq_stream_new(&s, r.g.c, &o, &err), VQ_ENOMEM);
        }
        vq_mem_fail_at(0);
        run_close(&r);
    }
}

/* The authors' own branches and streams. */
static void probes_hold_the_golden_streams(void **state)
{
    (void)state;
    struct run r;
    struct vq_err err;
    struct vq_probe *p;
    struct vq_npy branch, out, embedded;
    run_open(&r, "heads3", 1);
    golden_npy(&branch, "heads3", "attn_res");
    golden_npy(&out, "heads3", "layer_out");
    golden_npy(&embedded, "heads3", "embedded");
    const struct vq_probe_options o = {.row = 1, .from = 30, .to = 33};
    assert_ok(vq_probe_new(&p, r.g.c, &o, &err), &err);
    assert_false(vq_probe_has(p, 30));
    vq_session_free(feed(&r, 33, 4, vq_probe_observer(p)));
    size_t T = r.f.T, D = r.f.D;
    assert_true(vq_probe_has(p, 30) && vq_probe_has(p, 32));
    assert_false(vq_probe_has(p, 33) || vq_probe_has(p, 29) || vq_probe_has(p, 34));
    for (int64_t t = 30; t < 33; t++) {
        const float *parts = vq_probe_parts(p, t), *streams = vq_probe_streams(p, t);
        for (size_t d = 0; d < D; d++) {
            size_t at = (T + (size_t)t) * D + d; /* of row 1 in [2, T, D] */
            assert_near(parts[d], ((float *)embedded.data)[at], 1e-5);
            assert_near(parts[D + d], ((float *)branch.data)[at], 2e-5);
            assert_near(parts[2 * D + d], ((float *)branch.data)[2 * T * D + at], 2e-5);
            assert_near(streams[2 * D + d], ((float *)out.data)[at], 2e-5);
            assert_near(streams[D + d], parts[d] + parts[D + d], 1e-5);
        }
    }
    vq_probe_free(p);
    for (long nth = 1; nth <= 4; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_probe_new(&p, r.g.c, &o, &err), VQ_ENOMEM);
    }
    vq_mem_fail_at(0);
    vq_npy_release(&branch);
    vq_npy_release(&out);
    vq_npy_release(&embedded);
    run_close(&r);
}

/* ---- surprise ---- */

static void surprise_is_told_from_a_row(void **state)
{
    (void)state;
    const double p[5] = {0.1, 0.4, 0.0, 0.1, 0.4}, q[5] = {0.2, 0.2, 0.2, 0.2, 0.2};
    float lp[5], lq[5];
    for (int i = 0; i < 5; i++) {
        lp[i] = (float)log(p[i]);
        lq[i] = (float)log(q[i]);
    }
    struct vq_surprise s = vq_surprise_of(lp, 5, 3);
    assert_near(s.nats, -log(0.1), 1e-6);
    assert_near(s.entropy, -0.8 * log(0.4) - 0.2 * log(0.1), 1e-6);
    assert_int_equal(s.rank, 3);
    assert_int_equal(s.best, 1);
    assert_int_equal(vq_surprise_of(lp, 5, 4).rank, 1);
    assert_int_equal(vq_surprise_of(lp, 5, 2).rank, 5);
    assert_near(vq_divergence(lp, lq, 5), log(5.0) - s.entropy, 1e-6);
    assert_near(vq_divergence(lp, lp, 5), 0.0, 0.0);
    assert_true(isinf(vq_divergence(lq, lp, 5)));
}

static void the_largest_come_first(void **state)
{
    (void)state;
    const float v[] = {1, 7, -2, 7, 3, 9, 1};
    size_t best[7];
    vq_largest(best, 4, v, 7);
    const size_t expected[] = {5, 1, 3, 4};
    assert_memory_equal(best, expected, sizeof(expected));
    vq_largest(best, 7, v, 7);
    assert_true(best[4] == 0 && best[5] == 6 && best[6] == 2);
    vq_largest(best, 0, v, 7);
    float *r = random_floats(3, 300);
    size_t order[300];
    vq_largest(order, 300, r, 300);
    for (size_t i = 1; i < 300; i++)
        assert_true(r[order[i - 1]] >= r[order[i]]);
    free(r);
}

/* ---- comparison ---- */

static struct vq_tensor tensor(const char *name, const float *x, int64_t rows, int64_t cols)
{
    return (struct vq_tensor){.name = name,
                              .dtype = VQ_F32,
                              .rank = 2,
                              .shape = {rows, cols},
                              .count = (size_t)(rows * cols),
                              .bytes = (size_t)(rows * cols) * 4,
                              .data = (const uint8_t *)x,
                              .is_param = true};
}

static void tensors_are_compared(void **state)
{
    (void)state;
    const float x[] = {3, 0, 4, NAN}, y[] = {3, 2, 3, NAN}, zero[4] = {0};
    struct vq_tensor a = tensor("a", x, 1, 3), b = tensor("a", y, 1, 3);
    struct vq_tensor wide = tensor("a", x, 3, 1), none = tensor("a", zero, 1, 3);
    struct vq_tensor odd = tensor("a", x, 1, 4), odd2 = tensor("a", y, 1, 4);
    struct vq_tensor_diff d;
    struct vq_err err;
    assert_ok(vq_tensor_compare(&d, &a, &b, &err), &err);
    assert_true(d.relation == VQ_TENSOR_BOTH && !d.equal && d.max_at == 1);
    assert_near(d.max_abs, 2.0, 0.0);
    assert_near(d.mean_abs, 1.0, 1e-15);
    assert_near(d.rms_a, 5.0 / sqrt(3.0), 1e-15);
    assert_near(d.cosine, 21.0 / 5.0 / sqrt(22.0), 1e-15);
    assert_ok(vq_tensor_compare(&d, &a, &a, &err), &err);
    assert_true(d.equal && d.max_abs == 0.0);
    assert_ok(vq_tensor_compare(&d, &a, &wide, &err), &err);
    assert_int_equal(d.relation, VQ_TENSOR_SHAPES);
    assert_ok(vq_tensor_compare(&d, &a, &none, &err), &err);
    assert_near(d.cosine, 0.0, 0.0);
    assert_ok(vq_tensor_compare(&d, &none, &none, &err), &err);
    assert_near(d.cosine, 1.0, 0.0);
    assert_ok(vq_tensor_compare(&d, &odd, &odd, &err), &err);
    assert_true(d.equal); /* a NaN is the same NaN */
    const float z[] = {3, 0, NAN, 1};
    struct vq_tensor broken = tensor("a", z, 1, 4);
    assert_ok(vq_tensor_compare(&d, &odd2, &broken, &err), &err);
    assert_true(!d.equal && isnan(d.max_abs));
    vq_mem_fail_at(2);
    assert_int_equal(vq_tensor_compare(&d, &a, &b, &err), VQ_ENOMEM);
    vq_mem_fail_at(0);
}

static void checkpoints_are_paired(void **state)
{
    (void)state;
    struct golden a, b;
    struct vq_err err;
    struct vq_tensor_diff *list;
    size_t n, count[4] = {0};
    golden_open(&a, "mem8_block16");
    golden_open(&b, "enwik8");
    assert_ok(vq_tensor_pairs(&list, &n, vq_model_ckpt(a.model), vq_model_ckpt(b.model), &err),
              &err);
    for (size_t i = 0; i < n; i++)
        count[list[i].relation]++;
    assert_true(count[VQ_TENSOR_ONLY_B] > 0); /* out_proj: enwik8 is not tied */
    assert_true(count[VQ_TENSOR_SHAPES] > 0);
    free(list);
    assert_ok(vq_tensor_pairs(&list, &n, vq_model_ckpt(a.model), vq_model_ckpt(a.model), &err),
              &err);
    for (size_t i = 0; i < n; i++)
        assert_true(list[i].relation == VQ_TENSOR_BOTH && list[i].a == list[i].b);
    free(list);
    assert_string_equal(vq_tensor_relation_name(VQ_TENSOR_SHAPES), "shapes");
    golden_close(&a);
    golden_close(&b);
}

/* ---- the cache ---- */

static void no_query(void *ud, const struct vq_attend_query *q)
{
    (void)ud, (void)q;
}

/* Ages, tokens and counts over time, against a recount of forward64's codes and the session. */
static void assert_life(const struct run *r, const struct vq_session *s, const struct vq_attend *a,
                        int module, int head)
{
    enum { COLUMNS = 9 };
    int64_t n, T = (int64_t)r->f.T, M = (int64_t)r->f.M;
    size_t S = r->f.S, at = ((size_t)module * r->f.H + (size_t)head) * r->f.T;
    const int32_t *codes = vq_attend_codes(a, module, head, &n), *z = r->f.code + at;
    struct vq_life_code *life = malloc(S * sizeof(*life));
    float *counts = malloc(S * COLUMNS * sizeof(*counts));
    struct vq_cache_view v;
    struct vq_token_count *list;
    size_t tokens;
    struct vq_err err;
    assert_int_equal(n, T);
    vq_session_cache(s, module, r->row, NULL, &v);
    vq_life_codes(life, S, codes, n, M);
    vq_life_counts(counts, S, COLUMNS, codes, n, M);
    for (size_t c = 0; c < S; c++) {
        int64_t oldest = -1, newest = -1, early = 0;
        for (int64_t p = T - M - 1; p >= 0; p--)
            if (z[p] == (int32_t)c) {
                oldest = p;
                newest = newest < 0 ? p : newest;
                early += p < T * 5 / 9 - M;
            }
        assert_int_equal(life[c].count, v.count[(size_t)head * S + c]);
        assert_int_equal(life[c].oldest, oldest);
        assert_int_equal(life[c].newest, newest);
        assert_near(counts[c * COLUMNS + 8], (double)life[c].count, 0.0);
        assert_near(counts[c * COLUMNS + 4], (double)early, 0.0);
    }
    const int32_t *ids = (int32_t *)r->inputs.data + (size_t)r->row * r->f.T;
    assert_ok(vq_life_tokens(&list, &tokens, codes, ids, n, M, z[0], r->f.N, &err), &err);
    uint64_t sum = 0;
    for (size_t i = 0; i < tokens; i++) {
        uint64_t of = 0;
        for (int64_t p = 0; p < T - M; p++)
            of += ids[p] == list[i].token;
        assert_int_equal(list[i].of, of);
        assert_true(i == 0 || list[i - 1].count >= list[i].count);
        sum += list[i].count;
    }
    assert_int_equal(sum, life[z[0]].count);
    free(list);
    free(life);
    free(counts);
}

static void lives_are_told_from_codes(void **state)
{
    (void)state;
    struct run r;
    struct vq_err err;
    struct vq_attend *a;
    run_open(&r, "mem8_block16", 1);
    const struct vq_attend_options o = {.row = 1, .from = 1, .older = true, .query = no_query};
    assert_ok(vq_attend_new(&a, r.g.c, &o, &err), &err);
    int64_t n;
    assert_null(vq_attend_codes(a, 0, 0, &n));
    struct vq_session *s = feed(&r, r.f.T, 7, vq_attend_observer(a));
    for (int m = 0; m < (int)r.f.modules; m++)
        for (int h = 0; h < (int)r.f.H; h++)
            assert_life(&r, s, a, m, h);
    vq_session_free(s);
    vq_attend_free(a);
    run_close(&r);
}

static void caches_are_compared(void **state)
{
    (void)state;
    struct run r;
    run_open(&r, "mem8_block16", 0);
    struct vq_session *early = feed(&r, 20, 0, NULL), *late = feed(&r, 40, 0, NULL);
    size_t S = r.f.S, V = r.f.V, T = r.f.T, HV = r.f.H * V;
    struct vq_cache_change *list = malloc(S * sizeof(*list));
    size_t floats = vq_session_cache_floats(late);
    float *room = malloc(2 * floats * sizeof(*room));
    for (int h = 0; h < (int)r.f.H; h++) {
        struct vq_cache_view a, b;
        struct vq_cache_diff d;
        int64_t appeared = 0, grown = 0;
        vq_session_cache(early, 1, 0, room, &a);
        vq_session_cache(late, 1, 0, room + floats, &b);
        vq_cache_compare(&d, list, &a, &b, r.g.c, h);
        assert_true(d.before == 12 && d.after == 32 && d.gone == 0 && d.shrunk == 0);
        for (size_t c = 0; c < S; c++) {
            double mean[2][64] = {{0}}, moved = 0.0;
            int64_t count[2] = {0};
            for (size_t p = 0; p < 32; p++) {
                if ((size_t)r.f.code[(r.f.H + (size_t)h) * T + p] != c)
                    continue;
                for (int k = p < 12 ? 0 : 1; k < 2; k++) {
                    count[k]++;
                    for (size_t i = 0; i < V; i++)
                        mean[k][i] += r.f.value[(T + p) * HV + (size_t)h * V + i];
                }
            }
            for (size_t i = 0; i < V; i++) {
                double x = count[0] ? mean[0][i] / (double)count[0] : 0.0;
                double y = count[1] ? mean[1][i] / (double)count[1] : 0.0;
                moved += (y - x) * (y - x);
            }
            assert_true(list[c].before == count[0] && list[c].after == count[1]);
            assert_near(list[c].moved, sqrt(moved), 1e-4);
            appeared += count[0] == 0 && count[1] > 0;
            grown += count[1] > count[0];
        }
        assert_true(d.appeared == appeared && d.grown == grown && d.moved_max > 0.0);
        vq_cache_compare(&d, NULL, &b, &a, r.g.c, h);
        assert_true(d.gone == appeared && d.shrunk == grown && d.grown == 0);
        vq_cache_compare(&d, NULL, &b, &b, r.g.c, h);
        assert_true(d.grown == 0 && d.moved_max == 0.0 && d.moved_mean == 0.0);
    }
    free(room);
    free(list);
    vq_session_free(early);
    vq_session_free(late);
    run_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_those_of_the_definition),
        cmocka_unit_test(probes_hold_the_golden_streams),
        cmocka_unit_test(surprise_is_told_from_a_row),
        cmocka_unit_test(the_largest_come_first),
        cmocka_unit_test(tensors_are_compared),
        cmocka_unit_test(checkpoints_are_paired),
        cmocka_unit_test(lives_are_told_from_codes),
        cmocka_unit_test(caches_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
