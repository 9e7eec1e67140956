/*
 * Attention of every query, its sums, and what dropping codes changes, against the forward pass in
 * double of forward64.h, which knows no cache and no blocks.
 */
#include "tests/unit/forward64.h"

#include "core/inspect/attend.h"
#include "core/inspect/over.h"
#include "core/model/readout.h"
#include "core/model/session_edit.h"

static const char *const cases[] = {"heads3",       "layers11",           "enwik8_noagg",
                                    "mem8_block16", "mem8_block16_noagg", "mem12_block1"};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

/* A golden model, the inputs of one of its rows, and their forward pass. */
struct run {
    struct golden g;
    struct vq_npy inputs;
    struct forward64 f;
    size_t row;
};

static void run_open(struct run *r, const char *name, size_t row)
{
    golden_open(&r->g, name);
    golden_npy(&r->inputs, name, "inputs");
    r->row = row;
    size_t T = r->inputs.shape[1];
    r->f = (struct forward64){0};
    f64_run(&r->f, r->g.model, (int32_t *)r->inputs.data + row * T, T);
}

static void run_close(struct run *r)
{
    f64_release(&r->f);
    vq_npy_release(&r->inputs);
    golden_close(&r->g);
}

/* The whole batch through a session, observed. */
static struct vq_session *feed_all(const struct run *r, int block, const struct vq_observer *o)
{
    struct vq_session *s;
    struct vq_err err;
    size_t T = r->inputs.shape[1];
    const struct vq_feed_options how = {.block = block, .observe = o};
    assert_ok(vq_session_new(&s, r->g.engine, (int)r->inputs.shape[0], &err), &err);
    assert_ok(vq_session_feed(s, r->inputs.data, T, T, &how, &err), &err);
    return s;
}

/* What the callback checks and adds up. */
struct seen {
    struct run *r;
    struct vq_mass *mass;           /* [mh] */
    struct vq_distances *distances; /* [mh] */
    double *drawn;                  /* [mh, S] */
    size_t queries;
};

static void check_query(void *ud, const struct vq_attend_query *q)
{
    struct seen *x = ud;
    const struct forward64 *f = &x->r->f;
    size_t n = (size_t)q->query + 1, mh = (size_t)q->module * f->H + (size_t)q->head;
    const double *w = f->weight + (mh * f->T + (size_t)q->query) * f->T;
    float *got = malloc(n * sizeof(*got));
    double sum = 0.0;
    vq_attend_spread(q, got);
    for (size_t j = 0; j < n; j++) {
        assert_near(got[j], w[j], 2e-6);
        sum += got[j];
    }
    assert_near(sum, 1.0, 2e-6);
    for (int64_t j = q->first; j <= q->query; j++)
        assert_int_equal(q->key_code[j - q->first], f->code[mh * f->T + (size_t)j]);
    vq_mass_add(&x->mass[mh], q, (int64_t)f->M);
    vq_distances_add(&x->distances[mh], got, q->query);
    vq_drawn_add(x->drawn + mh * f->S, q, (int64_t)f->M);
    x->queries++;
    free(got);
}

static void check_sums(const struct seen *x)
{
    const struct forward64 *f = &x->r->f;
    for (size_t mh = 0; mh < f->modules * f->H; mh++) {
        double window = 0.0, older = 0.0, distance = 0.0, own = 0.0, entropy = 0.0;
        double bins[VQ_DISTANCE_BINS] = {0}, *drawn = f64_new(f->S);
        for (size_t i = 0; i < f->T; i++)
            for (size_t j = 0; j <= i; j++) {
                double w = f->weight[(mh * f->T + i) * f->T + j];
                *(i - j <= f->M ? &window : &older) += w;
                distance += w * (double)(i - j);
                own += i == j ? w : 0.0;
                entropy -= w > 0.0 ? w * log(w) : 0.0;
                bins[i == j ? 0 : (int)floor(log2((double)(i - j)) + 1e-9) + 1] += w;
                drawn[f->code[mh * f->T + j]] += i - j > f->M ? w : 0.0;
            }
        assert_int_equal(x->mass[mh].queries, f->T);
        assert_near(x->mass[mh].window, window, 1e-4);
        assert_near(x->mass[mh].aggregate, older, 1e-4);
        assert_near(x->mass[mh].own, own, 1e-4);
        assert_near(x->mass[mh].distance, distance, 2e-3);
        assert_near(x->mass[mh].entropy, entropy, 1e-3);
        for (int b = 0; b < VQ_DISTANCE_BINS; b++)
            assert_near(x->distances[mh].weight[b], bins[b], 1e-4);
        assert_int_equal(x->distances[mh].positions[0], f->T);
        assert_int_equal(x->distances[mh].positions[2], 2 * f->T - 5); /* distances 2 and 3 */
        for (size_t s = 0; s < f->S; s++)
            assert_near(x->drawn[mh * f->S + s], drawn[s], 1e-4);
        free(drawn);
    }
}

static void weights_are_those_of_the_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct run r;
        run_open(&r, cases[i], i % 2);
        size_t mh = r.f.modules * r.f.H;
        for (int block = 1; block <= 64; block = block * 4 + 3) {
            struct vq_err err;
            struct vq_attend *a;
            struct seen x = {&r, calloc(mh, sizeof(*x.mass)), calloc(mh, sizeof(*x.distances)),
                             f64_new(mh * r.f.S), 0};
            const struct vq_attend_options o = {
                .row = (int)r.row, .to = INT64_MAX, .older = true, .ud = &x, .query = check_query};
            assert_ok(vq_attend_new(&a, r.g.c, &o, &err), &err);
            vq_session_free(feed_all(&r, block, vq_attend_observer(a)));
            assert_ok(vq_attend_check(a, &err), &err);
            assert_int_equal(x.queries, mh * r.f.T);
            check_sums(&x);
            vq_attend_free(a);
            free(x.mass);
            free(x.distances);
            free(x.drawn);
        }
        run_close(&r);
    }
}

static void count_query(void *ud, const struct vq_attend_query *q)
{
    size_t *n = ud;
    assert_int_equal(q->module, 1);
    assert_in_range(q->query, 5, 9);
    assert_null(q->older);
    assert_null(q->mean_position);
    ++*n;
}

static void only_what_is_asked_for_is_shown(void **state)
{
    (void)state;
    struct golden g;
    struct vq_err err;
    struct vq_attend *a;
    struct vq_session *s;
    const bool module[2] = {false, true};
    const int32_t tokens[12] = {1, 5, 6, 7, 8, 9, 5, 6, 7, 8, 9, 3};
    size_t n = 0;
    struct vq_attend_options o = {
        .from = 5, .to = 9, .module = module, .ud = &n, .query = count_query};
    golden_open(&g, "heads3");
    assert_ok(vq_attend_new(&a, g.c, &o, &err), &err);
    struct vq_feed_options how = {.block = 4, .observe = vq_attend_observer(a)};
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    assert_ok(vq_session_feed(s, tokens, 12, 12, &how, &err), &err);
    assert_int_equal(n, 5 * 3);
    vq_attend_free(a);

    /* A run that does not begin at 0 has no older codes to share weights with. */
    o.older = true;
    assert_ok(vq_attend_new(&a, g.c, &o, &err), &err);
    how.observe = vq_attend_observer(a);
    assert_ok(vq_session_feed(s, tokens, 12, 12, &how, &err), &err);
    assert_int_equal(vq_attend_check(a, &err), VQ_EINVAL);
    assert_int_equal(n, 5 * 3);
    vq_attend_free(a);
    vq_session_free(s);
    golden_close(&g);
}

static void older_codes_need_memory(void **state)
{
    (void)state;
    struct golden g;
    struct vq_err err;
    struct vq_attend *a = NULL;
    size_t n = 0;
    const struct vq_attend_options o = {.older = true, .ud = &n, .query = count_query};
    golden_open(&g, "heads3");
    for (long nth = 1; nth <= 6; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_attend_new(&a, g.c, &o, &err), VQ_ENOMEM);
        assert_null(a);
    }
    vq_mem_fail_at(0);
    golden_close(&g);
}

/* ---- the head ---- */

static void parts_sum_to_the_logits(void **state)
{
    (void)state;
    const char *const heads[] = {"heads3", "layers11", "mem8_block16", "enwik8"};
    for (size_t i = 0; i < 4; i++) {
        struct run r;
        struct vq_err err;
        run_open(&r, heads[i], 0);
        const struct forward64 *f = &r.f;
        size_t t = f->T - 3, n = f->modules + 1, D = f->D, N = f->N;
        float *parts = malloc(n * D * sizeof(*parts)), *x = malloc(D * sizeof(*x));
        float *out = malloc((n + 1) * N * sizeof(*out)), *logits = malloc(N * sizeof(*logits));
        for (size_t d = 0; d < D; d++) {
            parts[d] = (float)f->embedded[t * D + d];
            for (size_t m = 0; m < f->modules; m++)
                parts[(m + 1) * D + d] = (float)f->branch[(m * f->T + t) * D + d];
            x[d] = (float)f->stream[((f->modules - 1) * f->T + t) * D + d];
        }
        assert_ok(vq_readout_parts(r.g.engine, parts, n, x, out, &err), &err);
        assert_ok(vq_readout_logits(r.g.engine, x, 1, logits, &err), &err);
        double rms = 0.0;
        for (size_t d = 0; d < D; d++)
            rms += (double)x[d] * x[d] / (double)D;
        assert_near(vq_readout_factor(r.g.engine, x) * (f->c->e_preln ? sqrt(rms + 1e-6) : 1.0),
                    1.0, 1e-9);
        for (size_t v = 0; v < N; v++) {
            double sum = 0.0;
            for (size_t m = 0; m <= n; m++)
                sum += out[m * N + v];
            assert_near(sum, f->logits[t * N + v], 5e-5);
            assert_near(logits[v], f->logits[t * N + v], 5e-5);
        }
        free(parts);
        free(x);
        free(out);
        free(logits);
        run_close(&r);
    }
}

/* ---- dropping codes ---- */

struct drop {
    const bool *drop; /* [modules * H, S] */
    size_t H, S, from, M;
};

/* Positions that were in the aggregate before query `from`, under a dropped code. */
static bool is_hidden(void *ud, int module, int head, size_t i, size_t j, int32_t code)
{
    const struct drop *d = ud;
    size_t mh = (size_t)module * d->H + (size_t)head;
    return i >= d->from && j + d->M < d->from && d->drop[mh * d->S + (size_t)code];
}

static void dropped_codes_are_not_seen(void **state)
{
    (void)state;
    const char *const some[] = {"heads3", "mem8_block16", "layers11"};
    for (size_t i = 0; i < 3; i++) {
        struct run r;
        struct vq_err err;
        struct vq_session *s, *copy;
        run_open(&r, some[i], 0);
        size_t T = r.f.T, mh = r.f.modules * r.f.H, S = r.f.S, from = T - 7;
        bool *drop = calloc(mh * S, sizeof(*drop));
        for (size_t k = 0; k < mh * S; k++)
            drop[k] = k % 3 == 1;
        struct drop d = {drop, r.f.H, S, from, r.f.M};
        struct forward64 f = {.hidden = is_hidden, .ud = &d};
        f64_run(&f, r.g.model, r.inputs.data, T);

        assert_ok(vq_session_new(&s, r.g.engine, 1, &err), &err);
        assert_ok(vq_session_feed(s, r.inputs.data, from, from, NULL, &err), &err);
        assert_ok(vq_session_fork(&copy, s, 1, &err), &err);
        int64_t dropped = 0, expected = 0;
        for (size_t k = 0; k < mh; k++) {
            dropped +=
                vq_session_drop_codes(copy, (int)(k / r.f.H), (int)(k % r.f.H), drop + k * S);
            for (size_t j = 0; j + r.f.M < from; j++)
                expected += drop[k * S + (size_t)f.code[k * T + j]];
        }
        /* Codes are decided by earlier, unchanged positions; only later ones could differ. */
        assert_int_equal(dropped, expected);
        assert_true(dropped > 0);
        assert_true(vq_session_edited(copy) && !vq_session_edited(s));
        assert_null(vq_session_logits(copy));
        assert_non_null(vq_session_logits(s));
        struct vq_attention_view v;
        assert_int_equal(vq_session_attention(copy, 0, 0, 0, &v, &err), VQ_ENOTFOUND);
        assert_ok(vq_session_feed(copy, (int32_t *)r.inputs.data + from, T - from, T, NULL, &err),
                  &err);
        assert_ok(vq_session_feed(s, (int32_t *)r.inputs.data + from, T - from, T, NULL, &err),
                  &err);
        double moved = 0.0;
        for (size_t n = 0; n < r.f.N; n++) {
            assert_near(vq_session_logits(copy)[n], f.logits[(T - 1) * r.f.N + n], 5e-5);
            moved = fmax(moved, fabs(vq_session_logits(copy)[n] - vq_session_logits(s)[n]));
        }
        assert_true(moved > 1e-3);
        vq_session_free(s);
        vq_session_free(copy);
        f64_release(&f);
        free(drop);
        run_close(&r);
    }
}

static void edited_states_are_saved_and_loaded(void **state)
{
    (void)state;
    struct golden g;
    struct vq_err err;
    struct vq_session *s, *back;
    const int32_t tokens[20] = {1, 5, 6, 7, 8, 9, 5, 6, 7, 8, 9, 3, 5, 6, 7, 8, 9, 3, 4, 4};
    const bool all[16] = {true, true, true, true, true, true, true, true,
                          true, true, true, true, true, true, true, true};
    char path[] = "/tmp/vq_state_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    golden_open(&g, "heads3");
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    assert_ok(vq_session_feed(s, tokens, 20, 20, NULL, &err), &err);
    assert_int_equal(vq_session_drop_codes(s, 1, 2, all), 12);
    assert_ok(vq_session_save(s, path, "", NULL, NULL, &err), &err);
    assert_ok(vq_session_load(&back, g.engine, path, "", &err), &err);
    assert_true(vq_session_edited(back));
    assert_ok(vq_session_feed(s, tokens, 3, 3, NULL, &err), &err);
    assert_ok(vq_session_feed(back, tokens, 3, 3, NULL, &err), &err);
    assert_memory_equal(vq_session_logits(s), vq_session_logits(back),
                        (size_t)g.c->n_vocab * sizeof(float));
    vq_session_reset(back);
    assert_false(vq_session_edited(back));
    vq_session_free(s);
    vq_session_free(back);
    golden_close(&g);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_those_of_the_definition),
        cmocka_unit_test(only_what_is_asked_for_is_shown),
        cmocka_unit_test(older_codes_need_memory),
        cmocka_unit_test(parts_sum_to_the_logits),
        cmocka_unit_test(dropped_codes_are_not_seen),
        cmocka_unit_test(edited_states_are_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
