/*
 * What is said about single codes: evenness of use, maps, drift, dead codes, members, patches;
 * against formulas of another form, and against keys and codes of the forward pass in double.
 */
#include "tests/unit/forward64.h"

#include "core/inspect/dead.h"
#include "core/inspect/drift.h"
#include "core/inspect/members.h"
#include "core/inspect/over.h"
#include "core/inspect/patch.h"
#include "core/inspect/pca.h"
#include "core/inspect/usage.h"

/* ---- evenness ---- */

/* The mean absolute difference over twice the mean. */
static double gini_of_pairs(const double *x, size_t n)
{
    double sum = 0.0, differences = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        for (size_t j = 0; j < n; j++)
            differences += fabs(x[i] - x[j]);
    }
    return differences / (2.0 * (double)n * sum);
}

static void lorenz_curves_rise_to_one(void **state)
{
    (void)state;
    struct vq_err err;
    double share[38], x[37];
    const double even[] = {2, 2, 2, 2}, one[] = {0, 9, 0, 0}, none[] = {0, 0, -3};
    assert_ok(vq_lorenz(share, even, 4, &err), &err);
    assert_near(share[1], 0.25, 1e-15);
    assert_near(vq_gini(share, 4), 0.0, 1e-15);
    assert_ok(vq_lorenz(share, one, 4, &err), &err);
    assert_true(share[3] == 0.0 && share[4] == 1.0);
    assert_near(vq_gini(share, 4), 0.75, 1e-15);
    assert_ok(vq_lorenz(share, none, 3, &err), &err);
    assert_near(vq_gini(share, 3), 0.0, 1e-15);
    float *r = random_floats(5, 37);
    for (size_t i = 0; i < 37; i++)
        x[i] = fabs((double)r[i]);
    assert_ok(vq_lorenz(share, x, 37, &err), &err);
    assert_near(vq_gini(share, 37), gini_of_pairs(x, 37), 1e-12);
    for (size_t i = 0; i < 37; i++)
        assert_true(share[i] <= share[i + 1]);
    vq_mem_fail_at(1);
    assert_int_equal(vq_lorenz(share, x, 37, &err), VQ_ENOMEM);
    free(r);
}

/* ---- maps ---- */

/* A cloud with spread a along u, b along w, little elsewhere. */
static float *cloud(size_t S, size_t K, const double *u, const double *w, double a, double b)
{
    float *r = random_floats(9, S * (K + 2)), *C = malloc(S * K * sizeof(*C));
    for (size_t s = 0; s < S; s++)
        for (size_t k = 0; k < K; k++) {
            const float *z = r + s * (K + 2);
            C[s * K + k] = (float)(3.0 + a * z[0] * u[k] + b * z[1] * w[k] + 1e-3 * z[2 + k]);
        }
    free(r);
    return C;
}

static void maps_show_the_widest_directions(void **state)
{
    (void)state;
    const size_t sizes[][2] = {{60, 5}, {7, 11}, {200, 3}};
    for (size_t i = 0; i < 3; i++) {
        size_t S = sizes[i][0], K = sizes[i][1];
        double u[11] = {0.6, 0, 0.8}, w[11] = {0.8, 0, -0.6}, *xy = f64_new(2 * S);
        float *C = cloud(S, K, u, w, 4.0, 1.0);
        struct vq_map map;
        struct vq_err err;
        assert_ok(vq_map_codes(xy, &map, C, S, K, NULL, NULL, &err), &err);
        double sx = 0, sy = 0, xx = 0, yy = 0, xy2 = 0, all = 0, mean[11] = {0};
        for (size_t s = 0; s < S; s++) {
            sx += xy[2 * s];
            sy += xy[2 * s + 1];
            xx += xy[2 * s] * xy[2 * s];
            yy += xy[2 * s + 1] * xy[2 * s + 1];
            xy2 += xy[2 * s] * xy[2 * s + 1];
            for (size_t k = 0; k < K; k++)
                mean[k] += (double)C[s * K + k] / (double)S;
        }
        for (size_t s = 0; s < S; s++)
            for (size_t k = 0; k < K; k++)
                all += pow(C[s * K + k] - mean[k], 2.0);
        assert_near(sx, 0.0, 1e-9 * sqrt(all));
        assert_near(sy, 0.0, 1e-9 * sqrt(all));
        assert_near(xy2, 0.0, 1e-9 * all); /* no correlation is left */
        assert_near(map.explained[0], xx / all, 1e-12);
        assert_near(map.explained[1], yy / all, 1e-12);
        assert_true(map.explained[0] > map.explained[1]);
        assert_near(map.explained[0] + map.explained[1], 1.0, 1e-4);
        /* Two directions carry all but noise, so distances on the map are distances. */
        double dx = xy[0] - xy[2], dy = xy[1] - xy[3], d2 = 0;
        for (size_t k = 0; k < K; k++)
            d2 += pow((double)C[k] - C[K + k], 2.0);
        assert_near(sqrt(dx * dx + dy * dy), sqrt(d2), 2e-2);
        free(xy);
        free(C);
    }
}

static void odd_maps_are_drawn_too(void **state)
{
    (void)state;
    const float same[] = {1, 2, 1, 2, 1, 2}, line[] = {0, 0, 1, 1, 3, 3, 90, -90};
    const bool fit[] = {true, true, true, false}, none[] = {false, false, false, false};
    double xy[8];
    struct vq_map map;
    struct vq_err err;
    assert_ok(vq_map_codes(xy, &map, same, 3, 2, NULL, NULL, &err), &err);
    assert_true(map.explained[0] == 0.0 && map.explained[1] == 0.0 && xy[0] == 0.0);
    assert_ok(vq_map_codes(xy, &map, same, 1, 1, NULL, NULL, &err), &err);
    assert_true(xy[0] == 0.0 && xy[1] == 0.0);
    /* The last code is placed, but takes no part in finding the directions. */
    assert_ok(vq_map_codes(xy, &map, line, 4, 2, fit, NULL, &err), &err);
    assert_near(map.explained[0], 1.0, 1e-12);
    assert_near(map.explained[1], 0.0, 1e-12);
    assert_near(xy[4] - xy[0], sqrt(18.0), 1e-12);
    assert_near(xy[6], -sqrt(2.0) * 4.0 / 3.0, 1e-12);
    assert_ok(vq_map_codes(xy, &map, line, 4, 2, none, NULL, &err), &err);
    assert_true(map.explained[0] > 0.9);
    const struct vq_cancel stop = {always, NULL};
    assert_int_equal(vq_map_codes(xy, &map, line, 4, 2, NULL, &stop, &err), VQ_ECANCELLED);
    for (long nth = 1; nth <= 5; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_map_codes(xy, &map, line, 4, 2, NULL, NULL, &err), VQ_ENOMEM);
    }
    vq_mem_fail_at(0);
}

/* ---- drift ---- */

static void drift_tells_what_became_of_codes(void **state)
{
    (void)state;
    const float a[] = {3, 4, 1, 0, 5, 5, 0, 2}, b[] = {3, 4, 0, 2, 6, 6, 7, 7};
    const float na[] = {10, 5, 0.01f, 5}, nb[] = {10, 10, 5, 0};
    struct vq_code_drift list[4];
    struct vq_drift d;
    vq_drift_codes(&d, list, a, na, b, nb, 4, 2);
    assert_true(list[0].fate == VQ_ALIVE && list[1].fate == VQ_ALIVE);
    assert_true(list[2].fate == VQ_BORN && list[3].fate == VQ_DIED);
    assert_true(d.codes == 4 && d.alive == 2 && d.born == 1 && d.died == 1 && d.dead == 0);
    assert_near(list[0].moved, 0.0, 0.0);
    assert_near(list[0].sim, 1.0, 1e-15);
    assert_near(list[1].moved, sqrt(5.0), 1e-15);
    assert_near(list[1].sim, 0.0, 0.0);
    assert_near(d.moved.max, sqrt(5.0), 1e-15);
    assert_near(d.moved.mean, sqrt(5.0) / 2, 1e-15);
    assert_near(d.moved_relative, sqrt(5.0) / 2, 1e-15);
    assert_near(d.sim_mean, 0.5, 1e-15);
    double ta = 20.0 + (double)0.01f, tb = 25.0;
    assert_near(d.usage_distance,
                (fabs(10 / tb - 10 / ta) + fabs(10 / tb - 5 / ta) + 5 / tb - 0.01f / ta + 5 / ta) /
                    2,
                1e-9);
    vq_drift_codes(&d, NULL, a, na, a, na, 4, 2);
    assert_near(d.moved.max, 0.0, 0.0);
    assert_near(d.usage_distance, 0.0, 1e-15);
    assert_int_equal(d.dead, 1);
    const float zero[4] = {0};
    vq_drift_codes(&d, NULL, a, zero, b, zero, 4, 2);
    assert_true(isnan(d.moved.mean) && isnan(d.moved.min) && isnan(d.sim_mean));
    assert_near(d.usage_distance, 0.0, 0.0);
    assert_string_equal(vq_code_fate_name(VQ_BORN), "born");
}

/* ---- dead codes and members of a golden run ---- */

struct run {
    struct golden g;
    struct vq_npy inputs;
    struct vq_over over;
    struct forward64 f[2]; /* of both rows */
};

static void run_open(struct run *r, const char *name)
{
    golden_open(&r->g, name);
    golden_npy(&r->inputs, name, "inputs");
    size_t T = r->inputs.shape[1];
    r->over = (struct vq_over){.tokens = r->inputs.data, .rows = 2, .cols = T, .block = 5};
    for (size_t i = 0; i < 2; i++) {
        r->f[i] = (struct forward64){0};
        f64_run(&r->f[i], r->g.model, (int32_t *)r->inputs.data + i * T, T);
    }
}

static void run_close(struct run *r)
{
    f64_release(&r->f[0]);
    f64_release(&r->f[1]);
    vq_npy_release(&r->inputs);
    golden_close(&r->g);
}

static double apart(const double *k, const double *c, size_t K)
{
    double sum = 0.0;
    for (size_t i = 0; i < K; i++)
        sum += (k[i] - c[i]) * (k[i] - c[i]);
    return sqrt(sum);
}

/* The least gap of a code over both rows, by brute force. */
static void assert_dead(const struct run *r, const struct vq_dead_code *d)
{
    const struct forward64 *f = &r->f[0];
    size_t K = f->K, T = f->T, mh = (size_t)d->module * f->H + (size_t)d->head;
    double *all = f64_codebook(f, d->module), gap = INFINITY;
    const double *C = all + (size_t)d->head * f->S * K;
    for (size_t i = 0; i < 2 * T; i++) {
        const struct forward64 *row = &r->f[i / T];
        const double *k = row->key + (mh * T + i % T) * K;
        double own = apart(k, C + (size_t)row->code[mh * T + i % T] * K, K);
        gap = fmin(gap, apart(k, C + d->code * K, K) - own);
    }
    assert_near(d->gap, gap, 1e-5);
    size_t at = mh * T + (size_t)d->position;
    const double *k = r->f[d->row].key + at * K;
    assert_near(d->distance, apart(k, C + d->code * K, K), 1e-5);
    assert_int_equal(d->fell_on, r->f[d->row].code[at]);
    assert_int_equal(d->token, r->f[d->row].tokens[d->position]);
    assert_near(d->distance - apart(k, C + (size_t)d->fell_on * K, K), d->gap, 1e-5);
    free(all);
}

static void dead_codes_know_what_they_need(void **state)
{
    (void)state;
    struct run r;
    struct vq_err err;
    struct vq_dead *d;
    run_open(&r, "heads3");
    struct vq_dead_code codes[] = {{.module = 0, .head = 0, .code = 3},
                                   {.module = 1, .head = 2, .code = 15},
                                   {.module = 1, .head = 1, .code = 0}};
    assert_ok(vq_dead_new(&d, r.g.model, codes, 3, &err), &err);
    assert_true(isinf(codes[0].gap) && codes[0].position == -1);
    assert_ok(vq_over_run(&r.over, r.g.engine, vq_dead_observer(d), &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_dead(&r, &codes[i]);
    vq_dead_free(d);
    for (long nth = 1; nth <= 4; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_dead_new(&d, r.g.model, codes, 3, &err), VQ_ENOMEM);
    }
    vq_mem_fail_at(0);
    run_close(&r);
}

static void assert_members(const struct run *r, const struct vq_trace *t, int module, int head,
                           size_t code)
{
    const struct forward64 *f = &r->f[0];
    size_t T = f->T, K = f->K, mh = (size_t)module * f->H + (size_t)head, n = 0;
    double *C = f64_codebook(f, module), least = INFINITY, most = 0.0;
    const double *c = C + ((size_t)head * f->S + code) * K;
    struct vq_members m;
    struct vq_err err;
    for (size_t i = 0; i < 2 * T; i++) {
        const double *k = r->f[i / T].key + (mh * T + i % T) * K, zero[32] = {0};
        if ((size_t)r->f[i / T].code[mh * T + i % T] != code)
            continue;
        n++;
        least = fmin(least, apart(k, c, K) / apart(k, zero, K));
        most = fmax(most, apart(k, c, K) / apart(k, zero, K));
    }
    assert_ok(vq_members_find(&m, t, module, head, code, &err), &err);
    assert_int_equal(m.n, n);
    for (size_t i = 1; i < n; i++)
        assert_true(m.v[i - 1].rel <= m.v[i].rel);
    if (n == 0)
        assert_true(isnan(vq_members_quantile(&m, 0.5)));
    assert_near(n ? vq_members_quantile(&m, 0.0) : INFINITY, least, 1e-5);
    assert_near(n ? vq_members_quantile(&m, 1.0) : 0.0, most, 1e-5);
    struct vq_position_bin bins[7];
    size_t filled = vq_members_profile(bins, 7, &m, t);
    uint64_t count = 0, of = 0;
    for (size_t i = 0; i < filled; i++) {
        count += bins[i].count;
        of += bins[i].of;
        assert_int_equal(bins[i].of, 2 * (bins[i].to - bins[i].from + 1));
        uint64_t here = 0;
        for (size_t j = 0; j < 2 * T; j++)
            here += (int64_t)(j % T) >= bins[i].from && (int64_t)(j % T) <= bins[i].to &&
                    (size_t)r->f[j / T].code[mh * T + j % T] == code;
        assert_int_equal(bins[i].count, here);
    }
    assert_true(filled == 7 && bins[0].from == 0 && bins[6].to == (int64_t)T - 1);
    assert_true(count == n && of == 2 * T);
    vq_members_release(&m);
    free(C);
}

static void members_are_those_of_the_definition(void **state)
{
    (void)state;
    struct run r;
    struct vq_err err;
    struct vq_trace *t;
    run_open(&r, "heads3");
    assert_ok(vq_over_trace(&t, &r.over, r.g.model, r.g.engine, NULL, &err), &err);
    for (int module = 0; module < 2; module++)
        for (int head = 0; head < 3; head++)
            for (size_t code = 0; code < 16; code++)
                assert_members(&r, t, module, head, code);
    vq_trace_free(t);
    run_close(&r);
}

static void places_and_meetings_are_counted(void **state)
{
    (void)state;
    struct run r;
    struct vq_err err;
    struct vq_trace *t;
    run_open(&r, "heads3");
    assert_ok(vq_over_trace(&t, &r.over, r.g.model, r.g.engine, NULL, &err), &err);
    size_t T = r.f[0].T, found = 0;
    const int32_t *tokens = r.inputs.data, ids[2] = {tokens[3], tokens[4]};
    uint64_t count[16], both[16], expected[16] = {0}, met[16] = {0};
    const int32_t *code = r.f[0].code + (1 * 3 + 2) * T, *other = r.f[0].code + 1 * T;
    for (size_t i = 0; i < 2 * T; i++) {
        size_t j = i % T;
        if (i / T) {
            code = r.f[1].code + (1 * 3 + 2) * T;
            other = r.f[1].code + 1 * T;
        }
        if (j > 0 && tokens[i - 1] == ids[0] && tokens[i] == ids[1]) {
            expected[code[j]]++;
            found++;
        }
        met[code[j]] += other[j] == 6;
    }
    assert_int_equal(vq_places_codes(count, t, 1, 2, ids, 2), found);
    assert_memory_equal(count, expected, sizeof(count));
    assert_true(found > 0);
    vq_meetings(both, t, 1, 2, 0, 1, 6);
    assert_memory_equal(both, met, sizeof(both));
    /* The last token of one row and the first of the next do not follow each other. */
    const int32_t seam[2] = {tokens[T - 1], tokens[T]};
    found = 0;
    for (size_t i = 1; i < 2 * T; i++)
        found += i != T && tokens[i - 1] == seam[0] && tokens[i] == seam[1];
    assert_int_equal(vq_places_codes(count, t, 0, 0, seam, 2), found);
    vq_trace_free(t);
    run_close(&r);
}

/* ---- patches ---- */

/* Feeds a trace of one module-head by hand: n tokens from position 0 with their codes. */
static void feed_trace(struct vq_trace *t, const int32_t *tokens, const int32_t *codes, int n)
{
    const struct vq_block b = {.batch = 1, .n = n, .tokens = tokens};
    const struct vq_observer *o = vq_trace_observer(t);
    for (int module = 0; module < 2; module++) {
        const struct vq_module_view v = {.module = module, .codes = codes};
        o->module(o->ud, &b, &v);
    }
    o->committed(o->ud, &b);
}

static void check_patches(const char *vocab)
{
    enum { N = VQ_PICTURE_BYTES };
    const struct vq_config c = {
        .n_layer = 1, .n_head = 1, .n_code = 4, .d_k = 1, .n_vocab = 259, .d_v = 1};
    int32_t *tokens = malloc((N + 1) * sizeof(*tokens)), *codes = calloc(N + 1, sizeof(*codes));
    struct vq_trace *t;
    struct vq_patch p;
    struct vq_vocab *v;
    struct vq_err err;
    int row, column, channel;
    assert_ok(vq_vocab_open(&v, vocab, 0, &err), &err);
    tokens[0] = VQ_EOS;
    for (int i = 0; i < N; i++) /* green falls from top to bottom, red rises to the right */
        tokens[1 + i] = vq_vocab_byte_id(v, (uint64_t)i,
                                         (uint8_t)(i % 3 == 0   ? i / 3 % 64 * 2
                                                   : i % 3 == 1 ? 255 - i / 192
                                                                : 7));
    codes[1 + 3 * (10 * 64 + 20)] = 2;     /* red of (10, 20) */
    codes[1 + 3 * (30 * 64 + 63) + 2] = 2; /* blue of (30, 63), at the right edge */
    codes[0] = 2;                          /* eos is no pixel */
    assert_ok(vq_trace_new(&t, &c, NULL, &err), &err);
    feed_trace(t, tokens, codes, N + 1);
    assert_ok(vq_patch_mean(&p, t, v, 1, 0, 2, 2, &err), &err);
    assert_int_equal(p.side, 5);
    assert_int_equal(p.members, 2);
    assert_true(p.channel[0] == 1 && p.channel[1] == 0 && p.channel[2] == 1);
    size_t middle = (2 * 5 + 2) * 3, right = (2 * 5 + 4) * 3, top = (0 * 5 + 1) * 3;
    assert_near(p.mean[middle], (40 + 126) / 2.0, 0.0);
    assert_near(p.mean[middle + 1], 255 - 20, 0.0);
    assert_near(p.mean[middle + 2], 7, 0.0);
    assert_near(p.mean[right], 44, 0.0); /* beyond the edge for the second member */
    assert_int_equal(p.count[right], 1);
    assert_near(p.mean[top + 1], 255 - 18, 0.0);
    assert_int_equal(p.count[top + 1], 2);
    vq_patch_release(&p);
    assert_ok(vq_patch_mean(&p, t, v, 0, 0, 3, 4, &err), &err);
    assert_true(p.members == 0 && isnan(p.mean[0]));
    vq_patch_release(&p);
    assert_int_equal(vq_patch_mean(&p, t, v, 0, 0, 3, 32, &err), VQ_EINVAL);
    vq_mem_fail_at(2);
    assert_int_equal(vq_patch_mean(&p, t, v, 0, 0, 3, 4, &err), VQ_ENOMEM);
    vq_mem_fail_at(0);
    assert_false(vq_pixel_at(0, &row, &column, &channel));
    assert_false(vq_pixel_at(N + 1, &row, &column, &channel));
    assert_true(vq_pixel_at(N, &row, &column, &channel));
    assert_true(row == 63 && column == 63 && channel == 2);
    vq_trace_free(t);
    vq_vocab_free(v);
    free(tokens);
    free(codes);
}

static void patches_are_means_of_neighbourhoods(void **state)
{
    (void)state;
    check_patches("image64");
    check_patches("rgb64");
}

/* Of a picture that is partly held, what is not held is left out. */
static void patches_end_where_tokens_do(void **state)
{
    (void)state;
    const struct vq_config c = {
        .n_layer = 1, .n_head = 1, .n_code = 4, .d_k = 1, .n_vocab = 259, .d_v = 1};
    const struct vq_trace_options o = {.ring = 300};
    int32_t tokens[400], codes[400] = {0};
    struct vq_trace *t;
    struct vq_patch p;
    struct vq_vocab *v;
    struct vq_err err;
    assert_ok(vq_vocab_open(&v, "image64", 0, &err), &err);
    for (int i = 0; i < 400; i++)
        tokens[i] = 3 + i % 200;
    codes[1 + 3 * (64 + 5)] = 1; /* (1, 5): above it is (0, 5), 192 tokens earlier */
    assert_ok(vq_trace_new(&t, &c, &o, &err), &err);
    feed_trace(t, tokens, codes, 400); /* positions 100..399 are held */
    assert_ok(vq_patch_mean(&p, t, v, 0, 0, 1, 1, &err), &err);
    assert_int_equal(p.members, 1);
    assert_near(p.mean[(1 * 3 + 1) * 3], (1 + 3 * 69) % 200, 0.0);
    assert_int_equal(p.count[(0 * 3 + 1) * 3], 0);
    assert_true(isnan(p.mean[(0 * 3 + 1) * 3]));
    assert_int_equal(p.count[(2 * 3 + 0) * 3], 1); /* (2, 4), position 397 */
    assert_int_equal(p.count[(2 * 3 + 1) * 3], 0); /* (2, 5), position 400: not fed */
    vq_patch_release(&p);
    vq_trace_free(t);
    vq_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lorenz_curves_rise_to_one),
        cmocka_unit_test(maps_show_the_widest_directions),
        cmocka_unit_test(odd_maps_are_drawn_too),
        cmocka_unit_test(drift_tells_what_became_of_codes),
        cmocka_unit_test(dead_codes_know_what_they_need),
        cmocka_unit_test(members_are_those_of_the_definition),
        cmocka_unit_test(places_and_meetings_are_counted),
        cmocka_unit_test(patches_are_means_of_neighbourhoods),
        cmocka_unit_test(patches_end_where_tokens_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
