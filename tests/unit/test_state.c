/*
 * The attention state in its three formats: one token and blocks give the same bytes, on any number
 * of threads and whatever is skipped; what is kept is one rounding away; files hold it and refuse
 * what they cannot; and what is left unread weighs no more than it says.
 */
#include "test_inspect.h"

#include <unistd.h>

#include "core/model/session_edit.h"

#define TOKENS 200

static const enum vq_weight_format formats[] = {VQ_WEIGHT_F32, VQ_WEIGHT_BF16, VQ_WEIGHT_INT8};
static const double roundoff[] = {0x1p-24, 0x1p-8, 1.0 / 254};
static struct vq_err err;

struct run {
    struct golden g; /* its engine is replaced */
    struct vq_pool *pool;
    int32_t tokens[TOKENS];
};

static void begin(struct run *r, const char *name, enum vq_weight_format state, enum vq_skip skip,
                  int threads)
{
    struct vq_rng rng;
    *r = (struct run){0};
    golden_open(&r->g, name);
    vq_engine_free(r->g.engine);
    assert_ok(vq_pool_new(&r->pool, threads, &err), &err);
    const struct vq_engine_options o = {.state = state, .skip = skip, .pool = r->pool};
    assert_ok(vq_engine_new(&r->g.engine, r->g.model, &o, &err), &err);
    r->g.c = vq_engine_config(r->g.engine);
    vq_rng_init(&rng, 7, 0);
    for (size_t i = 0; i < TOKENS; i++)
        r->tokens[i] = (int32_t)(3 + vq_rng_below(&rng, (uint64_t)r->g.c->n_vocab - 3));
}

static void end(struct run *r)
{
    golden_close(&r->g);
    vq_pool_free(r->pool);
}

static struct vq_session *fed(const struct run *r, size_t n, int block)
{
    struct vq_session *s;
    const struct vq_feed_options o = {.block = block};
    assert_ok(vq_session_new(&s, r->g.engine, 1, &err), &err);
    assert_ok(vq_session_feed(s, r->tokens, n, n, &o, &err), &err);
    return s;
}

static void assert_logits(const struct vq_session *s, const float *x, size_t N)
{
    assert_non_null(vq_session_logits(s));
    assert_memory_equal(vq_session_logits(s), x, N * sizeof(float));
}

static float *logits_of(struct vq_session *s, size_t N)
{
    float *x = malloc(N * sizeof(*x));
    assert_non_null(x);
    memcpy(x, vq_session_logits(s), N * sizeof(*x));
    vq_session_free(s);
    return x;
}

/* ---- one token and blocks ---- */

struct first_logits {
    float *x;
    size_t N;
};

static enum vq_status keep_first(void *ud, const struct vq_block *b, const float *logits,
                                 struct vq_err *e)
{
    struct first_logits *f = ud;
    (void)b;
    (void)e;
    memcpy(f->x, logits, f->N * sizeof(float));
    return VQ_OK;
}

/* The first token of a block sees what it would see alone. */
static void a_token_gives_what_a_block_gives(void **state)
{
    (void)state;
    static const char *const models[] = {"enwik8", "enwik8_noagg", "heads3", "mem12_block1"};
    for (size_t i = 0; i < 4 * 3 * 3; i++) {
        struct run r;
        begin(&r, models[i / 9], formats[i / 3 % 3], (enum vq_skip)(i % 3), 1);
        size_t N = (size_t)r.g.c->n_vocab;
        for (size_t n = 1; n < TOKENS - 5; n += 31) {
            struct vq_session *one = fed(&r, n, 0), *block;
            struct first_logits first = {malloc(N * sizeof(float)), N};
            const struct vq_observer see = {.ud = &first, .logits = keep_first};
            const struct vq_feed_options o = {.observe = &see};
            assert_ok(vq_session_fork(&block, one, 1, &err), &err);
            assert_ok(vq_session_feed(one, r.tokens + n, 1, 1, NULL, &err), &err);
            assert_ok(vq_session_feed(block, r.tokens + n, 5, 5, &o, &err), &err);
            assert_logits(one, first.x, N);
            free(first.x);
            vq_session_free(one);
            vq_session_free(block);
        }
        end(&r);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        float *first = NULL;
        for (int threads = 1; threads <= 4; threads *= 2) {
            struct run r;
            begin(&r, "enwik8", formats[i], VQ_SKIP_ZERO, threads);
            size_t N = (size_t)r.g.c->n_vocab;
            float *x = logits_of(fed(&r, TOKENS, 1), N);
            if (first)
                assert_memory_equal(first, x, N * sizeof(*x));
            free(first);
            first = x;
            end(&r);
        }
        free(first);
    }
}

/* ---- what is skipped ---- */

static void what_weighs_nothing_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct run all, some;
        begin(&all, "enwik8", formats[i], VQ_SKIP_NONE, 1);
        begin(&some, "enwik8", formats[i], VQ_SKIP_ZERO, 1);
        struct vq_session *a = fed(&all, TOKENS, 1), *b = fed(&some, TOKENS, 1);
        struct vq_state_reads x = vq_session_reads(a), y = vq_session_reads(b);
        assert_true(x.skipped == 0 && x.rows == y.rows && y.bytes <= x.bytes);
        assert_logits(a, vq_session_logits(b), (size_t)all.g.c->n_vocab);
        vq_session_free(a);
        vq_session_free(b);
        end(&all);
        end(&some);
    }
}

/* What is left of the last query's weights is their sum, which was 1, less what was dropped. Sums
 * of n weights round by n 2^-24 at most. In f32 so little is dropped that only reads show it. */
static void assert_dropped(const struct vq_session *s, double u, double *most)
{
    const struct vq_config *c = vq_engine_config(vq_session_engine(s));
    for (int m = 0; m < (int)vq_config_modules(c); m++) {
        struct vq_attention_view v;
        double sum = 0;
        assert_ok(vq_session_attention(s, m, 0, 0, &v, &err), &err);
        for (int64_t j = 0; j < v.window + c->n_code; j++)
            sum += v.weight[j];
        double rounding = (double)(v.window + c->n_code) * 0x1p-24;
        assert_true(sum > 1 - u - rounding && sum < 1 + rounding);
        *most = fmax(*most, 1 - sum);
    }
}

/* Of a trained model, whose attention has something to leave out. */
static void light_rows_weigh_less_than_a_rounding(void **state)
{
    (void)state;
    const struct vq_model_options none = {0};
    struct vq_model *model;
    int32_t tokens[700];
    for (size_t i = 0; i < 700; i++)
        tokens[i] = 3 + "the king is dead; long live the king. "[i % 38];
    assert_ok(vq_model_open(&model, "samples/models/text-small.safetensors", &none, &err), &err);
    for (size_t i = 0; i < 3 * 2; i++) {
        const struct vq_engine_options how = {.state = formats[i / 2], .skip = VQ_SKIP_LIGHT};
        const struct vq_feed_options o = {.block = i % 2 ? 1 : 0};
        struct vq_engine *e;
        struct vq_session *s;
        double most = 0;
        assert_ok(vq_engine_new(&e, model, &how, &err), &err);
        assert_ok(vq_session_new(&s, e, 1, &err), &err);
        for (size_t n = 0; n < 700; n += 100) {
            assert_ok(vq_session_feed(s, tokens + n, 100, 100, &o, &err), &err);
            assert_dropped(s, roundoff[i / 2], &most);
        }
        struct vq_state_reads reads = vq_session_reads(s);
        assert_true(i < 2 || most > roundoff[i / 2] / 20);
        assert_true(i % 2 == 0 || reads.skipped > reads.rows / 10);
        vq_session_free(s);
        vq_engine_free(e);
    }
    vq_model_free(model);
}

/* ---- what is kept ---- */

struct cache {
    struct vq_cache_view v;
    float *room;
};

static struct cache cache_of(const struct vq_session *s, int module)
{
    struct cache c = {.room = malloc(vq_session_cache_floats(s) * sizeof(float))};
    assert_non_null(c.room);
    vq_session_cache(s, module, 0, c.room, &c.v);
    return c;
}

/* The values of the first module do not depend on the state, so they are the exact ones rounded;
 * means are those of rounded values, and round a few times for each member. */
static void values_are_one_rounding_away(void **state)
{
    (void)state;
    for (size_t i = 1; i < 3; i++) {
        struct run exact, rounded;
        begin(&exact, "enwik8", VQ_WEIGHT_F32, VQ_SKIP_ZERO, 1);
        begin(&rounded, "enwik8", formats[i], VQ_SKIP_ZERO, 1);
        struct vq_session *s = fed(&exact, TOKENS, 0), *t = fed(&rounded, TOKENS, 0);
        struct cache a = cache_of(s, 0), b = cache_of(t, 0);
        size_t S = (size_t)exact.g.c->n_code, V = (size_t)exact.g.c->d_v;
        double top = 0;
        for (size_t j = 0; j < (size_t)a.v.window * V; j++)
            top = fmax(top, fabs((double)a.v.value[j]));
        for (size_t j = 0; j < (size_t)a.v.window * V; j++)
            assert_near(a.v.value[j], b.v.value[j], roundoff[i] * 1.001 * top);
        assert_memory_equal(a.v.count, b.v.count, S * sizeof(*a.v.count));
        for (size_t j = 0; j < S * V; j++)
            top = fmax(top, fabs((double)a.v.mean[j]));
        for (size_t j = 0; j < S * V; j++)
            assert_near(a.v.mean[j], b.v.mean[j], roundoff[i] * 1.01 * top * 2);
        free(a.room);
        free(b.room);
        vq_session_free(s);
        vq_session_free(t);
        end(&exact);
        end(&rounded);
    }
}

/* Memory is no more than estimated; bf16 halves what a token reads. */
static void bytes_are_as_estimated(void **state)
{
    (void)state;
    uint64_t read[3];
    for (size_t i = 0; i < 3; i++) {
        struct run r;
        begin(&r, "enwik8", formats[i], VQ_SKIP_NONE, 1);
        struct vq_session *s = fed(&r, TOKENS, 1);
        assert_true(vq_session_bytes(s) < vq_session_size(r.g.engine, 1));
        read[i] = vq_session_reads(s).bytes;
        vq_session_free(s);
        end(&r);
    }
    assert_true(read[1] < read[0] * 6 / 10 && read[2] < read[1] * 8 / 10);
}

/* ---- files ---- */

static void feed_rest(const struct run *r, struct vq_session *s)
{
    size_t n = (size_t)vq_session_position(s);
    const struct vq_feed_options o = {.block = 1};
    assert_ok(vq_session_feed(s, r->tokens + n, TOKENS - n, TOKENS - n, &o, &err), &err);
}

/* Into the same format nothing is lost; into another, and back from f32, values are rounded. */
static void files_hold_every_format(void **state)
{
    (void)state;
    char path[] = "/tmp/vqsh-state-XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < 9; i++) {
        struct run from, to;
        struct vq_session *s, *back;
        uint64_t bytes;
        begin(&from, "enwik8", formats[i / 3], VQ_SKIP_ZERO, 1);
        begin(&to, "enwik8", formats[i % 3], VQ_SKIP_ZERO, 1);
        s = fed(&from, 150, 0);
        assert_ok(vq_session_save(s, path, "", NULL, &bytes, &err), &err);
        assert_ok(vq_session_load(&back, to.g.engine, path, "", &err), &err);
        assert_int_equal(vq_session_position(back), 150);
        struct cache a = cache_of(s, 1), b = cache_of(back, 1);
        size_t S = (size_t)from.g.c->n_code, V = (size_t)from.g.c->d_v;
        double most = i % 3 > 0 && i % 3 != i / 3 ? roundoff[i % 3] * 1.001 : 0;
        double top = 0;
        for (size_t j = 0; j < (size_t)a.v.window * V; j++)
            top = fmax(top, fabs((double)a.v.value[j]));
        for (size_t j = 0; j < (size_t)a.v.window * V; j++)
            assert_near(a.v.value[j], b.v.value[j], most * top);
        assert_memory_equal(a.v.mean, b.v.mean, S * V * sizeof(float));
        feed_rest(&from, s);
        feed_rest(&to, back);
        if (i % 3 == i / 3)
            assert_logits(s, vq_session_logits(back), (size_t)from.g.c->n_vocab);
        free(a.room);
        free(b.room);
        vq_session_free(s);
        vq_session_free(back);
        end(&from);
        end(&to);
    }
    unlink(path);
}

/* A file that says one format and holds another, or none of ours, is refused by name. */
static void other_formats_are_refused(void **state)
{
    (void)state;
    struct run r;
    struct vq_session *s, *back;
    char path[] = "/tmp/vqsh-state-XXXXXX";
    uint64_t bytes;
    close(mkstemp(path));
    begin(&r, "enwik8", VQ_WEIGHT_BF16, VQ_SKIP_ZERO, 1);
    s = fed(&r, 100, 0);
    assert_ok(vq_session_save(s, path, "", NULL, &bytes, &err), &err);
    FILE *f = fopen(path, "r+");
    char text[4096];
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    char *type = memmem(text, n, "\"BF16\"", 6);
    assert_non_null(type);
    memcpy(type, "\"F16\" ", 6);
    rewind(f);
    fwrite(text, 1, n, f);
    fclose(f);
    assert_int_equal(vq_session_load(&back, r.g.engine, path, "", &err), VQ_ESHAPE);
    assert_null(back);
    assert_non_null(strstr(err.msg, "xl_v"));
    vq_session_free(s);
    unlink(path);
    end(&r);
}

/* Codes are taken out of the aggregate in every format; a batch is forked from it. */
static void codes_are_dropped_and_sequences_forked(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct run r;
        struct vq_session *many;
        begin(&r, "enwik8", formats[i], VQ_SKIP_ZERO, 2);
        struct vq_session *s = fed(&r, 150, 0);
        size_t S = (size_t)r.g.c->n_code, N = (size_t)r.g.c->n_vocab;
        bool *drop = calloc(S, sizeof(*drop));
        for (size_t c = 0; c < S; c++)
            drop[c] = c % 2;
        assert_true(vq_session_drop_codes(s, 1, 0, drop) > 0);
        struct cache a = cache_of(s, 1);
        size_t V = (size_t)r.g.c->d_v;
        for (size_t c = 1; c < S; c += 2)
            assert_true(a.v.count[c] == 0 && a.v.mean[c * V] == 0.0f);
        assert_ok(vq_session_fork(&many, s, 2, &err), &err);
        const int32_t next[] = {7, 7};
        assert_ok(vq_session_feed(many, next, 1, 1, NULL, &err), &err);
        assert_ok(vq_session_feed(s, next, 1, 1, NULL, &err), &err);
        const float *x = vq_session_logits(many);
        assert_memory_equal(x, x + N, N * sizeof(*x));
        assert_logits(s, x, N);
        free(a.room);
        free(drop);
        vq_session_free(many);
        vq_session_free(s);
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_what_a_block_gives),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(what_weighs_nothing_changes_nothing),
        cmocka_unit_test(light_rows_weigh_less_than_a_rounding),
        cmocka_unit_test(values_are_one_rounding_away),
        cmocka_unit_test(bytes_are_as_estimated),
        cmocka_unit_test(files_hold_every_format),
        cmocka_unit_test(other_formats_are_refused),
        cmocka_unit_test(codes_are_dropped_and_sequences_forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
