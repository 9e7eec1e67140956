/*
 * Generation and scoring through a session: the authors' losses, seeds, sequences that do not
 * depend on each other, and ways to stop.
 */
#include "golden.h"

#include "core/base/json.h"
#include "core/bench/random.h"
#include "core/model/generate.h"
#include "core/vocab/vocab.h"

struct rig {
    struct vq_model *model;
    struct vq_engine *engine;
    struct vq_session *session;
};

static struct rig rig_new(const char *name, int batch)
{
    struct rig r;
    struct vq_err err;
    const struct vq_engine_options options = {.weights = VQ_WEIGHT_F32};
    r.model = golden_model(GOLDEN, name);
    assert_ok(vq_engine_new(&r.engine, r.model, &options, &err), &err);
    assert_ok(vq_session_new(&r.session, r.engine, batch, &err), &err);
    return r;
}

static void rig_free(struct rig *r)
{
    vq_session_free(r->session);
    vq_engine_free(r->engine);
    vq_model_free(r->model);
}

static int32_t *targets_of(const char *name, size_t *B, size_t *T)
{
    char path[256];
    struct vq_err err;
    int32_t *targets;
    int rank;
    snprintf(path, sizeof(path), GOLDEN "/%s/targets.npy", name);
    assert_ok(vq_npy_read_tokens(path, &targets, B, T, &rank, &err), &err);
    return targets;
}

/* expected.json's mean loss over all positions. */
static double expected_loss(const char *name)
{
    char path[256], text[16384];
    struct vq_json *doc;
    struct vq_err err;
    snprintf(path, sizeof(path), GOLDEN "/%s/expected.json", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_ok(vq_json_parse(&doc, text, n, &err), &err);
    const struct vq_json_node *eval = vq_json_get(vq_json_root(doc), "eval");
    double loss = vq_json_number(vq_json_get(eval, "loss_lm_per_token_unscaled"));
    vq_json_free(doc);
    return loss;
}

/* Rows handed out, compared with the golden log-probabilities. */
struct rows {
    struct vq_npy want;
    int64_t next[2], progress;
    const int32_t *targets;
    size_t T;
};

static enum vq_status see_rows(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                               const int32_t *targets, struct vq_err *err)
{
    struct rows *r = ud;
    size_t N = r->want.shape[2];
    (void)err;
    assert_int_equal(position, r->next[b]);
    assert_ptr_equal(targets, r->targets + (size_t)b * r->T + (size_t)position);
    r->next[b] += (int64_t)n;
    const float *want = (const float *)r->want.data + ((size_t)b * r->T + (size_t)position) * N;
    for (size_t i = 0; (size_t)b < r->want.shape[0] && i < n * N; i++)
        assert_true(fabs(logprobs[i] - want[i]) < 3e-5);
    return VQ_OK;
}

static void see_progress(void *ud, int64_t position)
{
    struct rows *r = ud;
    assert_true(position > r->progress);
    r->progress = position;
}

static void test_score_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GOLDEN; i++) {
        size_t B, T, counted = 0;
        struct vq_score score;
        struct vq_err err;
        int32_t *targets = targets_of(golden_cases[i], &B, &T);
        struct rig r = rig_new(golden_cases[i], (int)B);
        struct rows rows = {
            .want = golden_array(GOLDEN, golden_cases[i], "logprobs"), .targets = targets, .T = T};
        const struct vq_score_options o = {.ud = &rows, .rows = see_rows, .progress = see_progress};
        assert_ok(vq_score_run(r.session, VQ_EOS, targets, T, T, &o, &score, &err), &err);
        for (size_t k = 0; k < B * T; k++)
            counted += targets[k] != VQ_PAD;
        assert_int_equal(score.tokens, counted);
        double want = expected_loss(golden_cases[i]);
        assert_true(fabs(score.nats / (double)(B * T) / want - 1) < 3e-6);
        assert_true(rows.next[0] == (int64_t)T && rows.next[1] == (int64_t)T);
        assert_int_equal(rows.progress, T);
        vq_npy_release(&rows.want);
        rig_free(&r);
        free(targets);
    }
}

/* Longer than one piece; in two halves, the second from the state that the first left. */
static void test_score_in_parts(void **state)
{
    (void)state;
    enum { LENGTH = 9001, HALF = 4400 };
    struct vq_err err;
    struct vq_score whole, first, second;
    size_t B, T;
    int32_t *golden = targets_of("fixture_agg", &B, &T),
            *targets = malloc(LENGTH * sizeof(*targets));
    for (size_t i = 0; i < LENGTH; i++)
        targets[i] = golden[i * 7 % T];
    struct rig r = rig_new("fixture_agg", 1);
    assert_ok(vq_score_run(r.session, VQ_EOS, targets, LENGTH, LENGTH, NULL, &whole, &err), &err);
    assert_int_equal(vq_session_position(r.session), LENGTH);
    vq_session_reset(r.session);
    assert_ok(vq_score_run(r.session, VQ_EOS, targets, HALF, HALF, NULL, &first, &err), &err);
    assert_ok(vq_score_run(r.session, targets[HALF - 1], targets + HALF, LENGTH - HALF,
                           LENGTH - HALF, NULL, &second, &err),
              &err);
    assert_int_equal(whole.tokens, first.tokens + second.tokens);
    assert_true(fabs((first.nats + second.nats) / whole.nats - 1) < 1e-6);
    assert_ok(vq_score_run(r.session, VQ_EOS, targets, 0, 0, NULL, &second, &err), &err);
    assert_true(second.tokens == 0 && second.nats == 0);
    rig_free(&r);
    free(targets);
    free(golden);
}

static enum vq_status refuse_rows(void *ud, int b, int64_t position, size_t n,
                                  const float *logprobs, const int32_t *targets, struct vq_err *err)
{
    (void)ud;
    (void)b;
    (void)position;
    (void)n;
    (void)logprobs;
    (void)targets;
    return vq_fail(err, VQ_EIO, "disk full");
}

static bool always(void *ud)
{
    (void)ud;
    return true;
}

static void test_score_stops(void **state)
{
    (void)state;
    struct rig r = rig_new("fixture_agg", 1);
    struct vq_score score;
    struct vq_err err;
    const int32_t targets[] = {3, 4, 5}, bad[] = {3, 10, 5};
    const struct vq_cancel cancel = {.poll = always};
    struct vq_score_options o = {.rows = refuse_rows};
    assert_int_equal(vq_score_run(r.session, VQ_EOS, bad, 3, 3, NULL, &score, &err), VQ_EINVAL);
    assert_says(&err, "target 1", "0 to 9", "found 10");
    assert_int_equal(vq_score_run(r.session, 12, targets, 3, 3, NULL, &score, &err), VQ_EINVAL);
    assert_int_equal(vq_session_position(r.session), 0);
    assert_int_equal(vq_score_run(r.session, VQ_EOS, targets, 3, 3, &o, &score, &err), VQ_EIO);
    assert_says(&err, "disk full");
    vq_session_reset(r.session);
    o = (struct vq_score_options){.cancel = &cancel};
    assert_int_equal(vq_score_run(r.session, VQ_EOS, targets, 3, 3, &o, &score, &err),
                     VQ_ECANCELLED);
    assert_int_equal(vq_session_position(r.session), 0);
    rig_free(&r);
}

enum { LENGTH = 40, BATCH = 3 };

/* What was drawn, [BATCH][LENGTH]. */
struct drawn {
    int32_t id[BATCH][LENGTH];
    double nats[BATCH][LENGTH];
    size_t n[BATCH], total, stop_at; /* stop_at > 0: the token at which the callback fails */
};

static enum vq_status see_token(void *ud, int b, size_t index, int32_t id, double nats,
                                struct vq_err *err)
{
    struct drawn *d = ud;
    assert_true(b < BATCH && index < LENGTH);
    assert_int_equal(index, d->n[b]);
    if (++d->total == d->stop_at)
        return vq_fail(err, VQ_EIO, "no more");
    d->id[b][d->n[b]] = id;
    d->nats[b][d->n[b]++] = nats;
    return VQ_OK;
}

static struct vq_generate_options options_for(struct drawn *d, uint64_t seed)
{
    struct vq_generate_options o = {.seed = seed, .length = LENGTH, .ud = d, .token = see_token};
    vq_sampler_default(&o.sampler);
    *d = (struct drawn){0};
    return o;
}

static void feed_eos(struct vq_session *s, int batch)
{
    static const int32_t eos[BATCH] = {VQ_EOS, VQ_EOS, VQ_EOS};
    struct vq_err err;
    vq_session_reset(s);
    assert_true(batch <= BATCH);
    assert_ok(vq_session_feed(s, eos, 1, 1, NULL, &err), &err);
}

static void generate(struct vq_session *s, const struct vq_generate_options *o)
{
    struct vq_err err;
    feed_eos(s, vq_session_batch(s));
    assert_ok(vq_generate(s, o, &err), &err);
}

/* At temperature 0, a plain loop over the largest logit; nats are the model's own. */
static void test_greedy(void **state)
{
    (void)state;
    struct rig r = rig_new("heads3", 1);
    struct drawn d;
    struct vq_err err;
    struct vq_generate_options o = options_for(&d, 1);
    o.sampler.temperature = 0;
    generate(r.session, &o);
    assert_int_equal(vq_session_position(r.session), LENGTH);
    feed_eos(r.session, 1);
    for (size_t t = 0; t < LENGTH; t++) {
        const float *logits = vq_session_logits(r.session);
        int32_t best = 0;
        double sum = 0;
        for (int32_t i = 0; i < 50; i++)
            best = logits[i] > logits[best] ? i : best;
        for (int32_t i = 0; i < 50; i++)
            sum += exp((double)logits[i] - logits[best]);
        assert_int_equal(d.id[0][t], best);
        assert_true(fabs(d.nats[0][t] - log(sum)) < 1e-9);
        assert_ok(vq_session_feed(r.session, &best, 1, 1, NULL, &err), &err);
    }
    rig_free(&r);
}

/* Sequence b of a batch is the only sequence of seed + b. */
static void test_seeds(void **state)
{
    (void)state;
    struct rig r = rig_new("fixture_agg", BATCH), one = rig_new("fixture_agg", 1);
    struct drawn batch, single;
    struct vq_generate_options o = options_for(&batch, 100);
    generate(r.session, &o);
    for (int b = 0; b < BATCH; b++) {
        struct vq_generate_options alone = options_for(&single, 100 + (uint64_t)b);
        generate(one.session, &alone);
        assert_memory_equal(single.id[0], batch.id[b], sizeof(batch.id[b]));
    }
    assert_memory_not_equal(batch.id[0], batch.id[1], sizeof(batch.id[0]));
    struct drawn again;
    o = options_for(&again, 100);
    generate(r.session, &o);
    assert_memory_equal(&again, &batch, sizeof(batch));
    rig_free(&one);
    rig_free(&r);
}

/* A finished sequence is silent, the others go on as they would have. */
static void test_stop_at_eos(void **state)
{
    (void)state;
    struct rig r = rig_new("fixture_agg", BATCH);
    struct drawn free_run, stopped;
    size_t finished = 0;
    struct vq_generate_options o = options_for(&free_run, 5);
    generate(r.session, &o);
    o = options_for(&stopped, 5);
    o.stop_at_eos = true;
    generate(r.session, &o);
    for (size_t b = 0; b < BATCH; b++) {
        size_t end = 0;
        while (end < LENGTH && free_run.id[b][end] != VQ_EOS)
            end++;
        finished += end < LENGTH;
        assert_int_equal(stopped.n[b], end < LENGTH ? end + 1 : LENGTH);
        assert_memory_equal(stopped.id[b], free_run.id[b], stopped.n[b] * sizeof(int32_t));
    }
    assert_true(finished > 0);
    rig_free(&r);
}

struct countdown {
    struct drawn *d;
    size_t after;
};

static bool enough(void *ud)
{
    struct countdown *c = ud;
    return c->d->total >= c->after;
}

/* A model with random weights and a vocabulary of pictures. */
static struct rig painter_new(const char *vocab, int64_t n_vocab, int batch)
{
    struct rig r;
    struct vq_err err;
    struct vq_settings s;
    const struct vq_engine_options options = {.weights = VQ_WEIGHT_F32};
    vq_settings_default(&s);
    s.v.d_model = 16;
    s.v.d_k = 4;
    s.v.d_v = 16;
    s.v.n_code = 8;
    s.v.n_layer = s.v.n_head = 1;
    s.v.n_vocab = n_vocab;
    s.v.mem_len = s.v.block_len = 16;
    snprintf(s.v.vocab, sizeof(s.v.vocab), "%s", vocab);
    assert_ok(vq_random_model(&r.model, &s, &err), &err);
    assert_ok(vq_engine_new(&r.engine, r.model, &options, &err), &err);
    assert_ok(vq_session_new(&r.session, r.engine, batch, &err), &err);
    return r;
}

/* Every token is of the channel that its place calls for, with any sampler, alone or in a batch,
 * from any place; without the vocabulary this model draws others. */
static void test_channels(void **state)
{
    (void)state;
    static const struct {
        double temperature, top_p;
        int64_t top_k;
    } rows[] = {{1, 1, 0}, {0, 1, 0}, {1, 0.3, 0}, {1, 1, 2}, {1, 0.9, 50}};
    struct rig r = painter_new("rgb64", 771, BATCH), one = painter_new("rgb64", 771, 1);
    struct vq_vocab *v;
    struct vq_err err;
    struct drawn d, single;
    assert_ok(vq_vocab_open(&v, "rgb64", 771, &err), &err);
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(rows[0]); k++) {
        struct vq_generate_options o = options_for(&d, 5);
        o.sampler.temperature = rows[k / 2].temperature;
        o.sampler.top_p = rows[k / 2].top_p;
        o.sampler.top_k = rows[k / 2].top_k;
        o.sampler.rule = k % 2 ? VQ_TOP_P_REFERENCE : VQ_TOP_P_EXACT;
        o.bytes = v;
        o.place = k;
        generate(r.session, &o);
        for (size_t i = 0; i < BATCH * LENGTH; i++)
            assert_true(vq_vocab_byte_at(v, k + i % LENGTH, d.id[i / LENGTH][i % LENGTH]) >= 0);
        o.ud = &single;
        single = (struct drawn){0};
        o.seed = 6;
        generate(one.session, &o);
        assert_memory_equal(single.id[0], d.id[1], sizeof(d.id[1]));
    }
    struct vq_generate_options o = options_for(&d, 5);
    size_t wrong = 0;
    generate(r.session, &o);
    for (size_t i = 0; i < LENGTH; i++)
        wrong += vq_vocab_byte_at(v, i, d.id[0][i]) < 0;
    assert_true(wrong > LENGTH / 3);
    vq_vocab_free(v);
    rig_free(&one);
    rig_free(&r);
}

/* Where channels share their ids, it is only special ones that are left out. */
static void test_no_channels(void **state)
{
    (void)state;
    struct rig r = painter_new("image64", 259, BATCH);
    struct vq_vocab *v;
    struct vq_err err;
    struct drawn d, again;
    assert_ok(vq_vocab_open(&v, "image64", 259, &err), &err);
    struct vq_generate_options o = options_for(&d, 5);
    o.sampler.first_id = VQ_N_SPECIAL;
    generate(r.session, &o);
    o = options_for(&again, 5);
    o.bytes = v;
    o.place = 1;
    generate(r.session, &o);
    assert_memory_equal(again.id, d.id, sizeof(d.id));
    assert_memory_equal(again.nats, d.nats, sizeof(d.nats));
    vq_vocab_free(v);
    rig_free(&r);
}

static void test_generate_stops(void **state)
{
    (void)state;
    struct rig r = rig_new("fixture_agg", 1);
    struct drawn d;
    struct vq_err err;
    struct vq_generate_options o = options_for(&d, 5);
    assert_int_equal(vq_generate(r.session, &o, &err), VQ_EINVAL);
    assert_says(&err, "no logits");

    struct countdown c = {.d = &d, .after = 7};
    const struct vq_cancel cancel = {.poll = enough, .ud = &c};
    o.cancel = &cancel;
    feed_eos(r.session, 1);
    assert_int_equal(vq_generate(r.session, &o, &err), VQ_ECANCELLED);
    assert_int_equal(d.total, 7);
    assert_int_equal(vq_session_position(r.session), 7);

    o = options_for(&d, 5);
    d.stop_at = 3;
    feed_eos(r.session, 1);
    assert_int_equal(vq_generate(r.session, &o, &err), VQ_EIO);
    assert_says(&err, "no more");
    assert_int_equal(d.n[0], 2);

    o = options_for(&d, 5);
    o.sampler.first_id = 10;
    feed_eos(r.session, 1);
    assert_int_equal(vq_generate(r.session, &o, &err), VQ_ENUM);
    assert_says(&err, "token 0 of sequence 0", "no admissible token");

    o = options_for(&d, 5);
    o.length = 0;
    feed_eos(r.session, 1);
    assert_ok(vq_generate(r.session, &o, &err), &err);
    assert_int_equal(d.total, 0);
    rig_free(&r);
}

/* The model that the authors' code trained, on text it has not seen. */
static void test_text_small(void **state)
{
    (void)state;
    static char text[8192];
    FILE *f = fopen("../shared/models/text-small/heldout-8k.txt", "rb");
    if (!f) {
        print_message("skipped: no ../shared/models/text-small\n");
        skip();
    }
    assert_int_equal(fread(text, 1, sizeof(text), f), sizeof(text));
    fclose(f);
    struct rig r;
    struct vq_err err;
    struct vq_score score;
    int32_t *ids;
    size_t n;
    const struct vq_engine_options options = {.weights = VQ_WEIGHT_F32};
    assert_ok(vq_model_open(&r.model, "../shared/models/text-small", NULL, &err), &err);
    assert_ok(vq_engine_new(&r.engine, r.model, &options, &err), &err);
    assert_ok(vq_session_new(&r.session, r.engine, 1, &err), &err);
    assert_ok(vq_vocab_encode(vq_model_vocab(r.model), text, sizeof(text), &ids, &n, &err), &err);
    assert_ok(vq_score_run(r.session, VQ_EOS, ids, n, n, NULL, &score, &err), &err);
    assert_true(fabs(score.nats / log(2) / sizeof(text) - 1.7196891637) < 2e-6);
    free(ids);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_score_golden),   cmocka_unit_test(test_score_in_parts),
        cmocka_unit_test(test_score_stops),    cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_seeds),          cmocka_unit_test(test_stop_at_eos),
        cmocka_unit_test(test_channels),       cmocka_unit_test(test_no_channels),
        cmocka_unit_test(test_generate_stops), cmocka_unit_test(test_text_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
