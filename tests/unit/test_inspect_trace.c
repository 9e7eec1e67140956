/*
 * Traces: of blocks made up here, against a plain list of all that was fed; and of real sessions,
 * against the authors' codes and error metrics.
 */
#include "tests/unit/test_inspect.h"

#include "core/inspect/over.h"

/* ---- blocks made up here ---- */

enum { H = 2, S = 5, K = 3, STRIDE = 9, MODULES = 2, BATCH = 2, VOCAB = 11, LONGEST = 40 };

static const struct vq_config tiny = {
    .n_layer = 1, .n_head = H, .n_code = S, .d_k = K, .n_vocab = VOCAB};

/* Everything that was committed, token by token. */
struct seen {
    int32_t token;
    int64_t position;
    int row;
    int32_t code[MODULES][H];
    double rel[MODULES][H];
};

struct maker {
    struct vq_rng rng;
    float C[MODULES][H * S * K];
    struct seen log[2000];
    size_t n;
    int32_t tokens[BATCH * LONGEST];
    int32_t codes[MODULES][BATCH * H * LONGEST];
    float keys[MODULES][BATCH * LONGEST * STRIDE];
};

static void maker_init(struct maker *m, struct vq_trace *t)
{
    m->n = 0;
    vq_rng_init(&m->rng, 3, 0);
    for (int i = 0; i < MODULES; i++) {
        for (size_t j = 0; j < H * S * K; j++)
            m->C[i][j] = (float)vq_rng_normal(&m->rng);
        vq_trace_set_codebook(t, i, m->C[i]);
    }
}

static void make_block(struct maker *m, int n)
{
    for (int i = 0; i < BATCH * n; i++)
        m->tokens[i] = (int32_t)vq_rng_below(&m->rng, VOCAB);
    for (int i = 0; i < MODULES; i++) {
        for (int j = 0; j < BATCH * H * n; j++)
            m->codes[i][j] = (int32_t)vq_rng_below(&m->rng, S - 1); /* the last stays unused */
        for (int j = 0; j < BATCH * n * STRIDE; j++)
            m->keys[i][j] = (float)vq_rng_normal(&m->rng);
    }
}

static double relative_error(const float *k, const float *c)
{
    double d2 = 0.0, k2 = 0.0;
    for (int i = 0; i < K; i++) {
        d2 += pow((double)k[i] - (double)c[i], 2);
        k2 += pow((double)k[i], 2);
    }
    return sqrt(d2) / sqrt(k2);
}

static void log_block(struct maker *m, const struct vq_block *b)
{
    for (int row = 0; row < BATCH; row++)
        for (int t = 0; t < b->n; t++) {
            struct seen *s = &m->log[m->n++];
            *s = (struct seen){
                .token = b->tokens[row * b->n + t], .position = b->position + t, .row = row};
            for (int i = 0; i < MODULES; i++)
                for (int h = 0; h < H; h++) {
                    int32_t z = m->codes[i][(row * H + h) * b->n + t];
                    s->code[i][h] = z;
                    s->rel[i][h] = relative_error(m->keys[i] + (row * b->n + t) * STRIDE + h * K,
                                                  m->C[i] + (h * S + z) * K);
                }
        }
}

/* Shows a block to the observer as a session would; one that is not committed is not logged. */
static void play(struct maker *m, struct vq_trace *t, int n, int64_t position, bool commit)
{
    const struct vq_observer *o = vq_trace_observer(t);
    struct vq_block b = {BATCH, n, position, m->tokens};
    make_block(m, n);
    for (int i = 0; i < MODULES; i++) {
        struct vq_module_view v = {
            .module = i, .codes = m->codes[i], .keys = m->keys[i], .key_stride = STRIDE};
        if (commit || i == 0)
            o->module(o->ud, &b, &v);
    }
    if (!commit)
        return;
    o->committed(o->ud, &b);
    log_block(m, &b);
}

static void assert_totals(const struct maker *m, const struct vq_trace *t)
{
    assert_int_equal(vq_trace_tokens(t), m->n);
    for (int i = 0; i < MODULES; i++)
        for (int h = 0; h < H; h++) {
            double sum = 0.0;
            for (int32_t z = 0; z < S; z++) {
                uint64_t count = 0;
                double rel = 0.0;
                for (size_t j = 0; j < m->n; j++)
                    if (m->log[j].code[i][h] == z) {
                        count++;
                        rel += m->log[j].rel[i][h];
                    }
                sum += rel;
                assert_int_equal(vq_trace_counts(t, i, h)[z], count);
                if (count)
                    assert_near(vq_trace_code_error(t, i, h, (size_t)z), rel / (double)count,
                                1e-12);
                else
                    assert_true(isnan(vq_trace_code_error(t, i, h, (size_t)z)));
            }
            assert_near(vq_trace_error(t, i, h), sum / (double)m->n, 1e-12);
        }
}

/* The last tokens of `row`, against the log. */
static void assert_ring(const struct maker *m, const struct vq_trace *t, int row, size_t ring)
{
    uint64_t serial = vq_trace_end(t);
    size_t held = 0, total = 0;
    for (size_t j = m->n; j-- > 0;) {
        const struct seen *s = &m->log[j];
        total += s->row == row;
        if (s->row != row || held == ring)
            continue;
        held++;
        serial--;
        assert_int_equal(vq_trace_token(t, serial), s->token);
        assert_int_equal(vq_trace_position(t, serial), s->position);
        for (int i = 0; i < MODULES; i++)
            for (int h = 0; h < H; h++)
                assert_int_equal(vq_trace_code(t, serial, i, h), s->code[i][h]);
    }
    assert_int_equal(vq_trace_first(t), serial);
    assert_int_equal(vq_trace_end(t), total);
}

static struct vq_trace *new_trace(size_t ring, int row)
{
    struct vq_trace *t;
    struct vq_err err;
    assert_ok(vq_trace_new(&t, &tiny, &(struct vq_trace_options){ring, row}, &err), &err);
    return t;
}

static void blocks_add_up(void **state)
{
    (void)state;
    static struct maker m;
    for (int row = 0; row < BATCH; row++) {
        struct vq_trace *t = new_trace(32, row);
        const int length[] = {1, 7, 1, 20, 3, 40, 5, 32, 33};
        int64_t position = 0;
        maker_init(&m, t);
        assert_true(isnan(vq_trace_error(t, 0, 0)));
        for (size_t i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
            play(&m, t, length[i], position, true);
            position += length[i];
            assert_totals(&m, t);
            assert_ring(&m, t, row, 32);
        }
        vq_trace_free(t);
    }
}

static void a_row_outside_the_batch_leaves_totals_only(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(32, BATCH);
    maker_init(&m, t);
    play(&m, t, 12, 0, true);
    assert_totals(&m, t);
    assert_int_equal(vq_trace_end(t), 0);
    vq_trace_free(t);
    struct vq_err err;
    assert_int_equal(vq_trace_new(&t, &tiny, &(struct vq_trace_options){.row = -1}, &err),
                     VQ_EINVAL);
    assert_null(t);
}

static void an_abandoned_block_leaves_no_mark(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(0, 0);
    maker_init(&m, t);
    play(&m, t, 9, 0, true);
    play(&m, t, 30, 9, false);
    assert_totals(&m, t);
    play(&m, t, 4, 9, true);
    assert_totals(&m, t);
    assert_ring(&m, t, 0, VQ_TRACE_RING);
    assert_int_equal(vq_trace_metrics(t)->keys, (9 + 4) * BATCH * H * MODULES);
    vq_trace_free(t);
}

static void reset_forgets_all_but_the_codebooks(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(16, 0);
    maker_init(&m, t);
    play(&m, t, 30, 0, true);
    uint64_t bytes = vq_trace_bytes(t);
    vq_trace_reset(t);
    assert_int_equal(vq_trace_tokens(t), 0);
    assert_int_equal(vq_trace_end(t), 0);
    m.n = 0;
    play(&m, t, 6, 0, true);
    assert_totals(&m, t);
    assert_ring(&m, t, 0, 16);
    assert_int_equal(vq_trace_bytes(t), bytes);
    vq_trace_free(t);
}

static void an_unknown_codebook_gives_no_error(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(16, 0);
    maker_init(&m, t);
    vq_trace_set_codebook(t, 1, NULL);
    play(&m, t, 8, 0, true);
    assert_true(isnan(vq_trace_error(t, 1, 0)));
    assert_true(vq_trace_error(t, 0, 1) > 0.0);
    uint64_t total = 0;
    for (int z = 0; z < S; z++)
        total += vq_trace_counts(t, 1, 0)[z];
    assert_int_equal(total, 8 * BATCH);
    vq_trace_free(t);
}

static void a_block_without_memory_is_reported(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_err err;
    struct vq_trace *t = new_trace(16, 0);
    maker_init(&m, t);
    play(&m, t, 2, 0, true);
    assert_int_equal(vq_trace_check(t, &err), VQ_OK);
    for (long nth = 1; nth <= 2; nth++) {
        vq_mem_fail_at(nth);
        play(&m, t, 30, 2, true);
        vq_mem_fail_at(0);
        assert_int_equal(vq_trace_check(t, &err), VQ_ENOMEM);
        assert_int_equal(vq_trace_tokens(t), 2 * BATCH);
    }
    vq_trace_reset(t);
    assert_int_equal(vq_trace_check(t, &err), VQ_OK);
    vq_trace_free(t);
    enum vq_status rc = VQ_ENOMEM;
    long nth = 1;
    for (; rc == VQ_ENOMEM && nth < 30; nth++) {
        vq_mem_fail_at(nth);
        rc = vq_trace_new(&t, &tiny, NULL, &err);
        vq_mem_fail_at(0);
        assert_true(rc == VQ_OK || !t);
    }
    assert_true(rc == VQ_OK && nth > 5);
    vq_trace_free(t);
}

/* A copy holds the same and goes on by itself, whether the ring has wrapped or not. */
static void a_copy_goes_on_by_itself(void **state)
{
    (void)state;
    for (int rounds = 1; rounds <= 4; rounds += 3) {
        struct maker *m = calloc(1, sizeof(*m)), *fork = calloc(1, sizeof(*m));
        struct vq_trace *t = new_trace(16, 0), *copy;
        struct vq_err err;
        assert_true(m && fork);
        maker_init(m, t);
        for (int i = 0; i < rounds; i++)
            play(m, t, 9, 9 * i, true);
        assert_ok(vq_trace_copy(&copy, t, &err), &err);
        *fork = *m;
        assert_ring(fork, copy, 0, 16);
        play(fork, copy, 7, 9 * rounds, true);
        assert_ring(m, t, 0, 16);
        assert_totals(m, t);
        assert_ring(fork, copy, 0, 16);
        assert_totals(fork, copy);
        vq_trace_free(copy);
        vq_trace_free(t);
        free(fork);
        free(m);
    }
}

static void codes_beyond_16_bits_are_kept(void **state)
{
    (void)state;
    const struct vq_config wide = {
        .n_layer = 1, .n_head = 1, .n_code = 65537, .d_k = 1, .n_vocab = 4};
    struct vq_trace *t;
    struct vq_err err;
    assert_ok(vq_trace_new(&t, &wide, &(struct vq_trace_options){.ring = 4}, &err), &err);
    const struct vq_observer *o = vq_trace_observer(t);
    const int32_t tokens[] = {1, 2, 3}, codes[] = {65536, 0, 65535};
    const float keys[3] = {1, 1, 1};
    struct vq_block b = {1, 3, 0, tokens};
    for (int i = 0; i < 2; i++) {
        struct vq_module_view v = {.module = i, .codes = codes, .keys = keys, .key_stride = 1};
        o->module(o->ud, &b, &v);
    }
    o->committed(o->ud, &b);
    assert_int_equal(vq_trace_code(t, 0, 1, 0), 65536);
    assert_int_equal(vq_trace_code(t, 1, 1, 0), 0);
    assert_int_equal(vq_trace_code(t, 2, 1, 0), 65535);
    assert_int_equal(vq_trace_counts(t, 0, 0)[65536], 1);
    vq_trace_free(t);
}

/* ---- what can be asked of the ring ---- */

static void tokens_of_a_code_are_counted(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(50, 1);
    maker_init(&m, t);
    for (int i = 0; i < 4; i++)
        play(&m, t, 17, 17 * i, true);
    for (size_t code = 0; code < S; code++) {
        uint64_t on[VOCAB] = {0}, of[VOCAB] = {0}, listed = 0, all = 0;
        for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++) {
            of[vq_trace_token(t, s)]++;
            on[vq_trace_token(t, s)] += (size_t)vq_trace_code(t, s, 1, 0) == code;
        }
        struct vq_token_count *list;
        size_t n;
        assert_int_equal(vq_trace_code_tokens(t, 1, 0, code, &list, &n, NULL), VQ_OK);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(list[i].count, on[list[i].token]);
            assert_int_equal(list[i].of, of[list[i].token]);
            if (i)
                assert_true(
                    list[i - 1].count > list[i].count ||
                    (list[i - 1].count == list[i].count && list[i - 1].token < list[i].token));
            listed += list[i].count;
        }
        for (int i = 0; i < VOCAB; i++)
            all += on[i];
        assert_int_equal(listed, all);
        assert_true(code == S - 1 ? n == 0 : n > 0);
        free(list);
    }
    vq_trace_free(t);
}

static void places_are_the_latest_or_spread(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(100, 0);
    maker_init(&m, t);
    for (int i = 0; i < 4; i++)
        play(&m, t, 30, 30 * i, true);
    uint64_t hits[100], out[100];
    size_t n = 0;
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        if (vq_trace_code(t, s, 0, 1) == 2)
            hits[n++] = s;
    assert_true(n > 12);
    assert_int_equal(vq_trace_code_places(t, 0, 1, 2, VQ_PICK_LATEST, out, 3), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(out[i], hits[n - 1 - i]);
    assert_int_equal(vq_trace_code_places(t, 0, 1, 2, VQ_PICK_LATEST, out, 100), n);
    assert_int_equal(vq_trace_code_places(t, 0, 1, 2, VQ_PICK_SPREAD, out, 100), n);
    assert_memory_equal(out, hits, n * sizeof(*hits));
    assert_int_equal(vq_trace_code_places(t, 0, 1, 2, VQ_PICK_SPREAD, out, 4), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(out[i], hits[(i * n + 3) / 4]);
    assert_int_equal(vq_trace_code_places(t, 0, 1, 2, VQ_PICK_SPREAD, out, 0), 0);
    assert_int_equal(vq_trace_code_places(t, 0, 1, S - 1, VQ_PICK_SPREAD, out, 4), 0);
    vq_trace_free(t);
}

static void contexts_end_at_seams(void **state)
{
    (void)state;
    static struct maker m;
    struct vq_trace *t = new_trace(20, 0);
    int32_t tokens[40];
    size_t at;
    maker_init(&m, t);
    play(&m, t, 15, 0, true);
    play(&m, t, 10, 0, true); /* a new sequence: serial 15 is position 0 */
    assert_int_equal(vq_trace_first(t), 5);
    assert_int_equal(vq_trace_context(t, 17, 9, 3, tokens, &at), 6);
    assert_int_equal(at, 2);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(tokens[i], vq_trace_token(t, 15 + i));
    assert_int_equal(vq_trace_context(t, 14, 2, 5, tokens, &at), 3);
    assert_int_equal(at, 2);
    assert_int_equal(vq_trace_context(t, 6, 9, 0, tokens, &at), 2);
    assert_int_equal(vq_trace_context(t, 24, 0, 9, tokens, &at), 1);
    assert_int_equal(at, 0);
    vq_trace_recent(t, -2, 14, tokens);
    for (int i = 0; i < 14; i++)
        assert_int_equal(tokens[i],
                         i < 2 || i >= 12 ? -1 : vq_trace_token(t, 15 + (uint64_t)i - 2));
    vq_trace_recent(t, 4, 3, tokens);
    assert_int_equal(tokens[0], vq_trace_token(t, 19));
    assert_int_equal(tokens[2], vq_trace_token(t, 21));
    vq_trace_free(t);
}

/* ---- chains ---- */

struct calls {
    int embedded, module, logits, committed;
};

static void count_embedded(void *ud, const struct vq_block *b, const float *x)
{
    (void)b, (void)x;
    ((struct calls *)ud)->embedded++;
}

static void count_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    (void)b, (void)v;
    ((struct calls *)ud)->module++;
}

static enum vq_status count_logits(void *ud, const struct vq_block *b, const float *logits,
                                   struct vq_err *err)
{
    (void)b, (void)logits, (void)err;
    ((struct calls *)ud)->logits++;
    return VQ_OK;
}

static void count_committed(void *ud, const struct vq_block *b)
{
    (void)b;
    ((struct calls *)ud)->committed++;
}

static void another_observer_sees_all_the_same(void **state)
{
    (void)state;
    struct golden g;
    struct calls calls = {0};
    const struct vq_observer all = {&calls, count_embedded, count_module, count_logits,
                                    count_committed};
    const struct vq_observer one = {.ud = &calls, .committed = count_committed};
    golden_open(&g, "mem8_block16");
    struct vq_trace *t;
    struct vq_session *s;
    struct vq_err err;
    const int32_t tokens[20] = {1, 5, 6, 7};
    assert_ok(vq_trace_new(&t, g.c, NULL, &err), &err);
    assert_ok(vq_session_new(&s, g.engine, 1, &err), &err);
    vq_trace_chain(t, &one);
    assert_null(vq_trace_observer(t)->logits);
    assert_null(vq_trace_observer(t)->embedded);
    vq_trace_chain(t, &all);
    const struct vq_feed_options options = {.block = 8, .observe = vq_trace_observer(t)};
    assert_ok(vq_session_feed(s, tokens, 20, 20, &options, &err), &err);
    int blocks = calls.committed;
    assert_true(blocks >= 3);
    assert_int_equal(calls.embedded, blocks);
    assert_int_equal(calls.logits, blocks);
    assert_int_equal(calls.module, blocks * (int)vq_config_modules(g.c));
    assert_int_equal(vq_trace_tokens(t), 20);
    vq_session_free(s);
    vq_trace_free(t);
    golden_close(&g);
}

/* ---- real sessions ---- */

static void assert_counts_of(const struct vq_trace *t, const struct golden *g, const int32_t *codes,
                             size_t B, size_t T)
{
    size_t heads = (size_t)g->c->n_head, n_code = (size_t)g->c->n_code;
    for (size_t m = 0; m < vq_config_modules(g->c); m++)
        for (size_t h = 0; h < heads; h++) {
            uint64_t *want = calloc(n_code, sizeof(*want));
            for (size_t b = 0; b < B; b++)
                for (size_t i = 0; i < T; i++)
                    want[codes[((m * B + b) * heads + h) * T + i]]++;
            assert_memory_equal(vq_trace_counts(t, (int)m, (int)h), want, n_code * sizeof(*want));
            free(want);
        }
}

/* Two updates of the golden's two sequences in blocks of block_len, the state carried between. */
static void error_metrics_are_the_authors(void **state)
{
    (void)state;
    const char *const cases[] = {"mem8_block16", "layers11"};
    for (size_t i = 0; i < 2; i++) {
        struct golden g;
        struct vq_json *doc;
        struct vq_npy inputs;
        struct vq_trace *t;
        struct vq_session *s;
        struct vq_err err;
        golden_open(&g, cases[i]);
        golden_json(&doc, cases[i]);
        golden_npy(&inputs, cases[i], "inputs");
        assert_ok(vq_trace_new(&t, g.c, NULL, &err), &err);
        assert_ok(vq_trace_read_codebooks(t, g.model, &err), &err);
        assert_ok(vq_session_new(&s, g.engine, (int)inputs.shape[0], &err), &err);
        const struct vq_feed_options options = {
            .block = (int)g.c->block_len, .observe = vq_trace_observer(t), .no_logits = 1};
        const struct vq_json_node *update = vq_json_get(vq_json_root(doc), "updates");
        update = vq_json_first(vq_json_get(update, "gtc0"));
        size_t n = (size_t)g.c->update_len;
        for (size_t from = 0; update; from += n, update = vq_json_next(update)) {
            vq_trace_reset(t);
            assert_ok(vq_session_feed(s, (int32_t *)inputs.data + from, n, inputs.shape[1],
                                      &options, &err),
                      &err);
            const struct vq_json_node *metrics = vq_json_get(update, "metrics");
            for (int k = VQ_VEC_NORM_MEAN; k < VQ_METRICS; k++) {
                double want = vq_json_number(vq_json_get(metrics, vq_metric_name(k)));
                assert_near(vq_metrics_get(vq_trace_metrics(t), k), want, 2e-6 * want);
            }
        }
        vq_session_free(s);
        vq_trace_free(t);
        vq_npy_release(&inputs);
        vq_json_free(doc);
        golden_close(&g);
    }
}

struct progress {
    uint64_t done, total;
    int calls;
};

static void note_progress(void *ud, uint64_t done, uint64_t total)
{
    struct progress *p = ud;
    assert_true(done > p->done && done <= total);
    *p = (struct progress){done, total, p->calls + 1};
}

static void over_runs_every_row_from_the_start(void **state)
{
    (void)state;
    struct golden g;
    struct vq_npy targets, inputs, codes;
    golden_open(&g, "layers11");
    golden_npy(&targets, "layers11", "targets");
    golden_npy(&inputs, "layers11", "inputs");
    golden_npy(&codes, "layers11", "shortcodes");
    for (int shifted = 0; shifted < 2; shifted++) {
        struct progress p = {0};
        struct vq_over o = {.tokens = shifted ? targets.data : inputs.data,
                            .rows = inputs.shape[0],
                            .cols = inputs.shape[1],
                            .targets = shifted,
                            .block = 7,
                            .ud = &p,
                            .progress = note_progress};
        struct vq_trace *t;
        struct vq_err err;
        assert_ok(vq_over_trace(&t, &o, g.model, g.engine, NULL, &err), &err);
        assert_counts_of(t, &g, codes.data, inputs.shape[0], inputs.shape[1]);
        assert_int_equal(p.done, inputs.count);
        assert_int_equal(p.total, inputs.count);
        assert_true(p.calls >= (int)(2 * inputs.shape[1] / 7));
        assert_int_equal(vq_trace_end(t), inputs.count);
        assert_int_equal(vq_trace_position(t, inputs.shape[1]), 0);
        vq_trace_free(t);
    }
    vq_npy_release(&codes);
    vq_npy_release(&inputs);
    vq_npy_release(&targets);
    golden_close(&g);
}

static void over_stops_and_refuses(void **state)
{
    (void)state;
    struct golden g;
    struct vq_trace *t;
    struct vq_err err;
    const struct vq_cancel stop = {always, NULL};
    const int32_t tokens[] = {1, 4, 999};
    golden_open(&g, "mem8_block16");
    struct vq_over o = {.tokens = tokens, .rows = 1, .cols = 2, .cancel = &stop};
    assert_int_equal(vq_over_trace(&t, &o, g.model, g.engine, NULL, &err), VQ_ECANCELLED);
    assert_null(t);
    o = (struct vq_over){.tokens = tokens, .rows = 1, .cols = 3};
    assert_int_equal(vq_over_trace(&t, &o, g.model, g.engine, NULL, &err), VQ_EINVAL);
    assert_null(t);
    o.cols = 0;
    assert_int_equal(vq_over_run(&o, g.engine, NULL, &err), VQ_EINVAL);
    o = (struct vq_over){.tokens = tokens, .rows = 0, .cols = 3};
    assert_int_equal(vq_over_run(&o, g.engine, NULL, &err), VQ_EINVAL);
    struct vq_config other = *g.c;
    other.n_code++;
    assert_ok(vq_trace_new(&t, &other, NULL, &err), &err);
    assert_int_equal(vq_trace_read_codebooks(t, g.model, &err), VQ_ESHAPE);
    vq_trace_free(t);
    golden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_add_up),
        cmocka_unit_test(a_row_outside_the_batch_leaves_totals_only),
        cmocka_unit_test(an_abandoned_block_leaves_no_mark),
        cmocka_unit_test(reset_forgets_all_but_the_codebooks),
        cmocka_unit_test(an_unknown_codebook_gives_no_error),
        cmocka_unit_test(a_block_without_memory_is_reported),
        cmocka_unit_test(a_copy_goes_on_by_itself),
        cmocka_unit_test(codes_beyond_16_bits_are_kept),
        cmocka_unit_test(tokens_of_a_code_are_counted),
        cmocka_unit_test(places_are_the_latest_or_spread),
        cmocka_unit_test(contexts_end_at_seams),
        cmocka_unit_test(another_observer_sees_all_the_same),
        cmocka_unit_test(error_metrics_are_the_authors),
        cmocka_unit_test(over_runs_every_row_from_the_start),
        cmocka_unit_test(over_stops_and_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
