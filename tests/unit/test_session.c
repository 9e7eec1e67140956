/*
 * The engine against numbers made by the authors' own code in float64, for every block size and
 * thread count; and what a session promises: the same bytes for any number of threads, states that
 * save, load and fork, feeds that can be cancelled, memory that does not grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/model/session.h"

#define GOLDEN "tests/data/golden/"
#define SHARED "../shared/golden/"

static const char *const cases[] = {
    "enwik8", "enwik8_noagg", "tied",         "tied_no_pe",         "fixture_agg",  "fixture_noagg",
    "heads3", "layers11",     "mem8_block16", "mem8_block16_noagg", "mem32_block8", "mem12_block1"};
#define N_CASE (sizeof(cases) / sizeof(cases[0]))

/* A golden case: model, inputs, and the folder that its arrays are read from. */
struct golden {
    char dir[128];
    struct vq_model *model;
    struct vq_npy inputs; /* int32 [B, T] */
    size_t B, T;
};

static struct vq_err err;

static bool read_array(const struct golden *g, const char *name, struct vq_npy *out)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s.npy", g->dir, name);
    if (access(path, R_OK) != 0)
        return false;
    if (vq_npy_read(out, path, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return true;
}

/* root is GOLDEN, or SHARED for the authors' own checkpoints. */
static void open_golden(struct golden *g, const char *root, const char *name)
{
    char path[256];
    *g = (struct golden){0};
    snprintf(g->dir, sizeof(g->dir), "%s%s", root, name);
    snprintf(path, sizeof(path), "%s/%s", g->dir,
             strcmp(root, GOLDEN) == 0 ? "model.safetensors" : "checkpoint_3");
    const struct vq_model_options o = {0};
    if (vq_model_open(&g->model, path, &o, &err) != VQ_OK)
        fail_msg("%s: %s", path, err.msg);
    assert_true(read_array(g, "inputs", &g->inputs));
    g->B = g->inputs.shape[0];
    g->T = g->inputs.shape[1];
}

static void close_golden(struct golden *g)
{
    vq_npy_release(&g->inputs);
    vq_model_free(g->model);
}

/* Everything an observer can see of one feed, in the layout of the golden files. */
struct seen {
    size_t B, T, N, D, H, modules;
    float *logits;   /* [B, T, N] */
    float *embedded; /* [B, T, D] */
    float *branch;   /* [modules, B, T, D] */
    float *stream;   /* [modules, B, T, D] */
    int32_t *codes;  /* [modules, B, H, T] */
};

static void see_embedded(void *ud, const struct vq_block *b, const float *x)
{
    struct seen *s = ud;
    for (size_t r = 0; r < s->B; r++)
        memcpy(s->embedded + (r * s->T + (size_t)b->position) * s->D, x + r * (size_t)b->n * s->D,
               (size_t)b->n * s->D * sizeof(float));
}

static void see_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct seen *s = ud;
    size_t n = (size_t)b->n, p = (size_t)b->position, m = (size_t)v->module;
    for (size_t r = 0; r < s->B; r++) {
        size_t to = ((m * s->B + r) * s->T + p) * s->D;
        memcpy(s->branch + to, v->branch + r * n * s->D, n * s->D * sizeof(float));
        memcpy(s->stream + to, v->stream + r * n * s->D, n * s->D * sizeof(float));
        for (size_t h = 0; h < s->H; h++)
            memcpy(s->codes + ((m * s->B + r) * s->H + h) * s->T + p, v->codes + (r * s->H + h) * n,
                   n * sizeof(int32_t));
    }
}

static enum vq_status see_logits(void *ud, const struct vq_block *b, const float *logits,
                                 struct vq_err *e)
{
    (void)e;
    struct seen *s = ud;
    for (size_t r = 0; r < s->B; r++)
        memcpy(s->logits + (r * s->T + (size_t)b->position) * s->N,
               logits + r * (size_t)b->n * s->N, (size_t)b->n * s->N * sizeof(float));
    return VQ_OK;
}

static void seen_init(struct seen *s, const struct golden *g)
{
    const struct vq_config *c = vq_model_config(g->model);
    *s = (struct seen){.B = g->B,
                       .T = g->T,
                       .N = (size_t)c->n_vocab,
                       .D = (size_t)c->d_model,
                       .H = (size_t)c->n_head,
                       .modules = vq_config_modules(c)};
    size_t rows = s->B * s->T;
    s->logits = vq_alloc_f32(rows * s->N);
    s->embedded = vq_alloc_f32(rows * s->D);
    s->branch = vq_alloc_f32(s->modules * rows * s->D);
    s->stream = vq_alloc_f32(s->modules * rows * s->D);
    s->codes = vq_calloc(s->modules * rows * s->H, sizeof(int32_t));
}

static void seen_release(struct seen *s)
{
    free(s->logits);
    free(s->embedded);
    free(s->branch);
    free(s->stream);
    free(s->codes);
}

static struct vq_engine *engine_of(const struct golden *g, struct vq_pool *pool)
{
    struct vq_engine *e;
    const struct vq_engine_options o = {.pool = pool};
    if (vq_engine_new(&e, g->model, &o, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return e;
}

static struct vq_session *feed_all(const struct golden *g, const struct vq_engine *e, int block,
                                   struct seen *seen)
{
    struct vq_session *s;
    const struct vq_observer see = {seen, see_embedded, see_module, see_logits, NULL};
    const struct vq_feed_options o = {.block = block, .observe = &see};
    if (vq_session_new(&s, e, (int)g->B, &err) != VQ_OK ||
        vq_session_feed(s, g->inputs.data, g->T, g->T, &o, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return s;
}

static double max_of(const float *x, size_t n)
{
    double top = 0.0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)x[i]));
    return top;
}

/* golden/README's limit for inner arrays: 1e-5 + 1e-5 * max. */
static void compare(const char *what, const float *have, const struct vq_npy *want, double limit)
{
    const float *w = want->data;
    double worst = 0.0;
    if (limit == 0.0)
        limit = 1e-5 + 1e-5 * max_of(w, want->count);
    for (size_t i = 0; i < want->count; i++) {
        assert_false(isnan(have[i]));
        worst = fmax(worst, fabs((double)have[i] - w[i]));
    }
    if (worst > limit)
        fail_msg("%s: off by %.3g, limit %.3g", what, worst, limit);
}

static void compare_logprobs(const struct golden *g, const struct seen *s)
{
    struct vq_npy want;
    assert_true(read_array(g, "logprobs", &want));
    float *lp = vq_alloc_f32(s->B * s->T * s->N);
    for (size_t r = 0; r < s->B * s->T; r++) {
        double top = -INFINITY, sum = 0.0;
        const float *x = s->logits + r * s->N;
        for (size_t i = 0; i < s->N; i++)
            top = fmax(top, x[i]);
        for (size_t i = 0; i < s->N; i++)
            sum += exp(x[i] - top);
        for (size_t i = 0; i < s->N; i++)
            lp[r * s->N + i] = (float)(x[i] - top - log(sum));
    }
    compare("logprobs", lp, &want, 3e-5);
    free(lp);
    vq_npy_release(&want);
}

static void compare_inner(const struct golden *g, const struct seen *s)
{
    struct vq_npy want;
    if (read_array(g, "embedded", &want)) {
        compare("embedded", s->embedded, &want, 0.0);
        vq_npy_release(&want);
    }
    if (read_array(g, "attn_res", &want)) {
        compare("attn_res", s->branch, &want, 0.0);
        vq_npy_release(&want);
    }
    if (read_array(g, "layer_out", &want)) {
        size_t layer = s->B * s->T * s->D;
        for (size_t i = 0; i < s->modules / 2; i++) {
            struct vq_npy one = want;
            one.count = layer;
            one.data = (float *)want.data + i * layer;
            compare("layer_out", s->stream + (2 * i + 1) * layer, &one, 0.0);
        }
        vq_npy_release(&want);
    }
    assert_true(read_array(g, "shortcodes", &want));
    assert_memory_equal(s->codes, want.data, want.count * sizeof(int32_t));
    vq_npy_release(&want);
}

static void compare_counts(const struct golden *g, const struct vq_session *s, size_t S, size_t H,
                           size_t modules)
{
    struct vq_npy want;
    assert_true(read_array(g, "state_agg_lower", &want));
    for (size_t m = 0; m < modules; m++)
        for (size_t b = 0; b < g->B; b++) {
            struct vq_cache_view v;
            vq_session_cache(s, (int)m, (int)b, NULL, &v);
            for (size_t i = 0; i < H * S; i++)
                assert_true((float)v.count[i] ==
                            ((float *)want.data)[((m * g->B + b) * H) * S + i]);
        }
    vq_npy_release(&want);
}

static void compare_means(const struct golden *g, const struct vq_session *s, size_t per_b,
                          size_t modules)
{
    struct vq_npy want;
    if (!read_array(g, "state_agg_upper_div_lower", &want))
        return;
    float *have = vq_alloc_f32(want.count), *room = vq_alloc_f32(vq_session_cache_floats(s));
    for (size_t m = 0; m < modules; m++)
        for (size_t b = 0; b < g->B; b++) {
            struct vq_cache_view v;
            vq_session_cache(s, (int)m, (int)b, room, &v);
            memcpy(have + (m * g->B + b) * per_b, v.mean, per_b * sizeof(float));
        }
    compare("agg_upper_div_lower", have, &want, 0.0);
    free(room);
    free(have);
    vq_npy_release(&want);
}

static void compare_window(const struct golden *g, const struct vq_session *s,
                           const struct vq_config *c)
{
    struct vq_npy z, v = {0};
    size_t H = (size_t)c->n_head, M = (size_t)c->mem_len, V = (size_t)c->d_v;
    assert_true(read_array(g, "state_xl_z", &z));
    bool values = read_array(g, "state_xl_v", &v);
    float *room = vq_alloc_f32(vq_session_cache_floats(s));
    for (size_t m = 0; m < vq_config_modules(c); m++)
        for (size_t b = 0; b < g->B; b++)
            for (size_t h = 0; h < H; h++) {
                struct vq_cache_view view;
                vq_session_cache(s, (int)m, (int)b, room, &view);
                size_t row = (m * g->B + b) * H + h, n = (size_t)view.window, empty = M - n;
                const int32_t *wz = (int32_t *)z.data + row * M;
                for (size_t j = 0; j < empty; j++)
                    assert_int_equal(wz[j], c->n_code);
                assert_memory_equal(wz + empty, view.code + h * view.code_stride,
                                    n * sizeof(int32_t));
                struct vq_npy one = v;
                one.count = n * V;
                if (!values)
                    continue;
                one.data = (float *)v.data + (row * M + empty) * V;
                compare("xl_v", view.value + h * view.value_stride, &one, 0.0);
            }
    free(room);
    vq_npy_release(&z);
    if (values)
        vq_npy_release(&v);
}

static void compare_state(const struct golden *g, const struct vq_session *s)
{
    const struct vq_config *c = vq_model_config(g->model);
    size_t H = (size_t)c->n_head, S = (size_t)c->n_code, V = (size_t)c->d_v;
    struct vq_npy offset;
    assert_true(read_array(g, "state_pos_offset", &offset));
    assert_int_equal(*(int32_t *)offset.data, vq_session_position(s));
    vq_npy_release(&offset);
    compare_counts(g, s, S, H, vq_config_modules(c));
    compare_means(g, s, H * S * V, vq_config_modules(c));
    compare_window(g, s, c);
}

static void check_case(const char *root, const char *name, int block, int threads)
{
    struct golden g;
    struct seen seen;
    struct vq_pool *pool;
    open_golden(&g, root, name);
    seen_init(&seen, &g);
    assert_int_equal(vq_pool_new(&pool, threads, &err), VQ_OK);
    struct vq_engine *e = engine_of(&g, pool);
    if (block == 0)
        block = (int)vq_model_config(g.model)->block_len;
    struct vq_session *s = feed_all(&g, e, block, &seen);
    compare_logprobs(&g, &seen);
    compare_inner(&g, &seen);
    compare_state(&g, s);
    vq_session_free(s);
    vq_engine_free(e);
    vq_pool_free(pool);
    seen_release(&seen);
    close_golden(&g);
}

static void test_golden_any_block(void **state)
{
    (void)state;
    static const int blocks[] = {1, 2, 7, 0, 100000};
    for (size_t i = 0; i < N_CASE; i++)
        for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
            check_case(GOLDEN, cases[i], blocks[b], 2);
}

static void test_golden_authors_files(void **state)
{
    (void)state;
    if (access(SHARED "enwik8/inputs.npy", R_OK) != 0) {
        print_message("skipped: no %s beside the project\n", SHARED);
        skip();
    }
    for (size_t i = 0; i < N_CASE; i++)
        check_case(SHARED, cases[i], 0, 1);
}

/* The same bytes for 1, 2 and 4 threads, in blocks and token by token. */
static void test_threads_do_not_matter(void **state)
{
    (void)state;
    static const int blocks[] = {1, 7, 100000};
    for (size_t i = 0; i < N_CASE; i++)
        for (size_t b = 0; b < 3; b++) {
            struct golden g;
            struct seen first, other;
            open_golden(&g, GOLDEN, cases[i]);
            for (int threads = 1; threads <= 4; threads *= 2) {
                struct vq_pool *pool;
                struct seen *seen = threads == 1 ? &first : &other;
                seen_init(seen, &g);
                assert_int_equal(vq_pool_new(&pool, threads, &err), VQ_OK);
                struct vq_engine *e = engine_of(&g, pool);
                vq_session_free(feed_all(&g, e, blocks[b], seen));
                vq_engine_free(e);
                vq_pool_free(pool);
                if (threads == 1)
                    continue;
                size_t rows = g.B * g.T;
                assert_memory_equal(first.logits, other.logits, rows * first.N * sizeof(float));
                assert_memory_equal(first.stream, other.stream,
                                    first.modules * rows * first.D * sizeof(float));
                seen_release(&other);
            }
            seen_release(&first);
            close_golden(&g);
        }
}

/* ---- promises about sessions, on one small model ---- */

struct fixture {
    struct golden g;
    struct vq_engine *e;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    open_golden(&f->g, GOLDEN, "fixture_agg");
    f->e = engine_of(&f->g, NULL);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    vq_engine_free(f->e);
    close_golden(&f->g);
    free(f);
    return 0;
}

static struct vq_session *fed(const struct fixture *f, size_t n)
{
    struct vq_session *s;
    assert_int_equal(vq_session_new(&s, f->e, 1, &err), VQ_OK);
    if (vq_session_feed(s, f->g.inputs.data, n, f->g.T, NULL, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void same_logits(const struct vq_session *a, const struct vq_session *b)
{
    size_t n = (size_t)vq_engine_config(vq_session_engine(a))->n_vocab;
    assert_non_null(vq_session_logits(a));
    assert_non_null(vq_session_logits(b));
    assert_memory_equal(vq_session_logits(a), vq_session_logits(b), n * sizeof(float));
}

/* Continuing a copy gives what continuing the original gives. */
static void continue_both(const struct fixture *f, struct vq_session *a, struct vq_session *b)
{
    const int32_t *rest = (int32_t *)f->g.inputs.data + vq_session_position(a);
    size_t n = f->g.T - (size_t)vq_session_position(a);
    assert_int_equal(vq_session_position(a), vq_session_position(b));
    assert_int_equal(vq_session_feed(a, rest, n, n, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_feed(b, rest, n, n, NULL, &err), VQ_OK);
    same_logits(a, b);
}

/* One sequence of a batch goes on as it does in the batch. */
static void test_row(void **state)
{
    const struct fixture *f = *state;
    const int32_t *ids = f->g.inputs.data;
    size_t N = (size_t)vq_model_config(f->g.model)->n_vocab, T = f->g.T;
    struct vq_session *s, *row;
    assert_int_equal(vq_session_new(&s, f->e, (int)f->g.B, &err), VQ_OK);
    assert_int_equal(vq_session_feed(s, ids, 40, T, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_row(&row, s, (int)f->g.B - 1, &err), VQ_OK);
    ids += 40;
    assert_int_equal(vq_session_feed(s, ids, T - 40, T, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_feed(row, ids + (f->g.B - 1) * T, T - 40, T, NULL, &err), VQ_OK);
    const float *x = vq_session_logits(s) + (f->g.B - 1) * N, *y = vq_session_logits(row);
    for (size_t i = 0; i < N; i++)
        assert_true(fabsf(x[i] - y[i]) < 1e-5f * (1.0f + fabsf(x[i])));
    vq_session_free(row);
    assert_int_equal(vq_session_row(&row, s, (int)f->g.B, &err), VQ_EINVAL);
    assert_int_equal(vq_session_row(&row, s, -1, &err), VQ_EINVAL);
    vq_session_free(s);
}

static void test_fork(void **state)
{
    const struct fixture *f = *state;
    struct vq_session *s = fed(f, 40), *copy, *batch;
    assert_int_equal(vq_session_fork(&copy, s, 1, &err), VQ_OK);
    assert_int_equal(vq_session_fork(&batch, s, 3, &err), VQ_OK);
    same_logits(s, copy);
    continue_both(f, s, copy);
    vq_session_free(copy);
    assert_int_equal(vq_session_position(batch), 40);
    assert_int_equal(vq_session_fork(&copy, batch, 2, &err), VQ_EINVAL);
    assert_null(copy);
    vq_session_free(batch);
    vq_session_free(s);
}

static void test_save_and_load(void **state)
{
    const struct fixture *f = *state;
    static const size_t lengths[] = {0, 1, 5, 12, 13, 40};
    char path[] = "/tmp/vqsh-state-XXXXXX";
    uint64_t size = 0;
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct vq_session *s = fed(f, lengths[i]), *back = NULL;
        uint64_t bytes;
        if (vq_session_save(s, path, "abc", NULL, &bytes, &err) != VQ_OK ||
            vq_session_load(&back, f->e, path, "abc", &err) != VQ_OK)
            fail_msg("%s", err.msg);
        assert_true(lengths[i] < 2 || bytes == size); /* constant once there are logits */
        size = bytes;
        continue_both(f, s, back);
        vq_session_free(s);
        vq_session_free(back);
    }
    struct vq_session *back;
    assert_int_equal(vq_session_load(&back, f->e, path, "abd", &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "another model"));
    unlink(path);
}

/* Tokens come back as they were given; those of no vocabulary are refused. */
static void test_saved_tokens(void **state)
{
    const struct fixture *f = *state;
    const int32_t vocab = (int32_t)vq_engine_config(f->e)->n_vocab;
    int32_t ids[] = {-1, -1, 7, 0, vocab - 1}, *back;
    struct vq_state_tokens tokens = {ids, 5};
    char path[] = "/tmp/vqsh-state-XXXXXX";
    struct vq_session *s = fed(f, 3);
    size_t n;
    close(mkstemp(path));
    assert_int_equal(vq_session_save(s, path, "", &tokens, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_load_tokens(s, path, &back, &n, &err), VQ_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(back, ids, sizeof(ids));
    free(back);
    for (int i = 0; i < 2; i++) {
        ids[3] = i ? vocab : -2;
        assert_int_equal(vq_session_save(s, path, "", &tokens, NULL, &err), VQ_OK);
        assert_int_equal(vq_session_load_tokens(s, path, &back, &n, &err), VQ_EFORMAT);
        assert_null(back);
        assert_non_null(strstr(err.msg, "is no token"));
    }
    assert_int_equal(vq_session_save(s, path, "", NULL, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_load_tokens(s, path, &back, &n, &err), VQ_OK);
    assert_null(back);
    assert_int_equal(n, 0);
    vq_session_free(s);
    unlink(path);
}

static void test_load_refuses(void **state)
{
    const struct fixture *f = *state;
    struct golden other;
    struct vq_session *s, *back;
    char path[] = "/tmp/vqsh-state-XXXXXX";
    uint64_t bytes;
    close(mkstemp(path));
    open_golden(&other, GOLDEN, "heads3");
    struct vq_engine *e = engine_of(&other, NULL);
    assert_int_equal(vq_session_new(&s, e, 1, &err), VQ_OK);
    assert_int_equal(vq_session_save(s, path, "", NULL, &bytes, &err), VQ_OK);
    assert_int_equal(vq_session_load(&back, f->e, path, "", &err), VQ_ESHAPE);
    assert_null(back);
    assert_non_null(strstr(err.msg, "xl_z"));
    assert_int_equal(vq_session_load(&back, f->e, GOLDEN "heads3/model.safetensors", "", &err),
                     VQ_EFORMAT);
    vq_session_free(s);
    vq_engine_free(e);
    close_golden(&other);
    unlink(path);
}

static bool cancel_after(void *ud)
{
    int *left = ud;
    return (*left)-- <= 0;
}

/* Wherever it is cancelled, a feed leaves a whole state behind: going on gives the same end. */
static void test_cancel(void **state)
{
    const struct fixture *f = *state;
    struct vq_session *whole = fed(f, f->g.T);
    for (int polls = 0; polls < 40; polls++) {
        int left = polls;
        struct vq_session *s = fed(f, 0);
        const struct vq_cancel cancel = {cancel_after, &left};
        const struct vq_feed_options o = {.block = 16, .cancel = &cancel};
        enum vq_status status = vq_session_feed(s, f->g.inputs.data, f->g.T, f->g.T, &o, &err);
        assert_true(status == VQ_ECANCELLED || status == VQ_OK);
        int64_t at = vq_session_position(s);
        assert_int_equal(at % 16, status == VQ_OK ? f->g.T % 16 : 0);
        const struct vq_feed_options rest = {.block = 16};
        assert_int_equal(vq_session_feed(s, (int32_t *)f->g.inputs.data + at, f->g.T - (size_t)at,
                                         f->g.T, &rest, &err),
                         VQ_OK);
        const float *x = vq_session_logits(s), *y = vq_session_logits(whole);
        for (int64_t i = 0; x && i < vq_engine_config(f->e)->n_vocab; i++)
            assert_true(fabsf(x[i] - y[i]) < 1e-4f);
        vq_session_free(s);
    }
    vq_session_free(whole);
}

static void test_bad_tokens_change_nothing(void **state)
{
    const struct fixture *f = *state;
    struct vq_session *s = fed(f, 20), *twin = fed(f, 20);
    const int32_t bad[] = {5, 6, (int32_t)vq_engine_config(f->e)->n_vocab, 7}, negative[] = {-1};
    assert_int_equal(vq_session_feed(s, bad, 4, 4, NULL, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "token 2"));
    assert_int_equal(vq_session_feed(s, negative, 1, 1, NULL, &err), VQ_EINVAL);
    continue_both(f, s, twin);
    vq_session_free(s);
    vq_session_free(twin);
}

/* The kept softmax sums to one and is the same however the query was reached. */
static void test_attention(void **state)
{
    const struct fixture *f = *state;
    const struct vq_config *c = vq_engine_config(f->e);
    struct vq_session *s, *one = fed(f, 0);
    struct vq_attention_view a, b;
    assert_int_equal(vq_session_attention(one, 0, 0, 0, &a, &err), VQ_ENOTFOUND);
    s = fed(f, 60);
    const struct vq_feed_options single = {.block = 1};
    vq_session_feed(one, f->g.inputs.data, 60, f->g.T, &single, &err);
    for (int m = 0; m < (int)vq_config_modules(c); m++)
        for (int h = 0; h < (int)c->n_head; h++) {
            assert_int_equal(vq_session_attention(s, m, h, 0, &a, &err), VQ_OK);
            assert_int_equal(vq_session_attention(one, m, h, 0, &b, &err), VQ_OK);
            assert_int_equal(a.query, 59);
            assert_int_equal(a.window, c->mem_len + 1);
            assert_int_equal(a.first, 59 - c->mem_len);
            double sum = 0.0;
            int64_t members = 0;
            for (int64_t i = 0; i < a.window + c->n_code; i++) {
                sum += a.weight[i];
                assert_true(fabsf(a.weight[i] - b.weight[i]) < 1e-5f);
            }
            for (int64_t i = 0; i < c->n_code; i++) {
                members += a.count[i];
                assert_int_equal(a.count[i], b.count[i]);
                assert_true(a.count[i] > 0 || a.weight[a.window + i] == 0.0f);
            }
            assert_true(fabs(sum - 1.0) < 1e-6);
            assert_int_equal(members, 60 - a.window);
        }
    vq_session_free(s);
    vq_session_free(one);
}

/* Sequences of a batch do not see each other, and memory does not grow with the position. */
static void test_batch_and_memory(void **state)
{
    const struct fixture *f = *state;
    size_t T = f->g.T, N = (size_t)vq_engine_config(f->e)->n_vocab;
    struct vq_session *both, *alone;
    assert_int_equal(vq_session_new(&both, f->e, 2, &err), VQ_OK);
    assert_int_equal(vq_session_new(&alone, f->e, 1, &err), VQ_OK);
    assert_int_equal(vq_session_feed(both, f->g.inputs.data, T, T, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_feed(alone, (int32_t *)f->g.inputs.data + T, T, T, NULL, &err),
                     VQ_OK);
    const float *x = vq_session_logits(both) + N, *y = vq_session_logits(alone);
    for (size_t i = 0; i < N; i++)
        assert_true(fabsf(x[i] - y[i]) < 1e-5f);
    uint64_t bytes = vq_session_bytes(both);
    for (int i = 0; i < 20; i++)
        assert_int_equal(vq_session_feed(both, f->g.inputs.data, T, T, NULL, &err), VQ_OK);
    assert_int_equal(vq_session_bytes(both), bytes);
    assert_int_equal(vq_session_position(both), 21 * T);
    vq_session_free(both);
    vq_session_free(alone);
}

static void feed_some(void *ud)
{
    const struct fixture *f = ud;
    struct vq_engine *e;
    struct vq_session *s, *copy;
    const struct vq_engine_options o = {0};
    if (vq_engine_new(&e, f->g.model, &o, &err) != VQ_OK)
        return;
    if (vq_session_new(&s, e, 1, &err) == VQ_OK) {
        if (vq_session_feed(s, f->g.inputs.data, 20, 20, NULL, &err) == VQ_OK &&
            vq_session_fork(&copy, s, 1, &err) == VQ_OK)
            vq_session_free(copy);
        vq_session_free(s);
    }
    vq_engine_free(e);
}

static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    vq_mem_fail_at(0);
    feed_some(f);
    long n = vq_mem_fail_at(0);
    assert_true(n > 50);
    for (long i = 1; i <= n; i++) {
        err.code = VQ_OK;
        vq_mem_fail_at(i);
        feed_some(f);
        vq_mem_fail_at(0);
        assert_int_equal(err.code, VQ_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_any_block),
        cmocka_unit_test(test_golden_authors_files),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_row),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_saved_tokens),
        cmocka_unit_test(test_load_refuses),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_bad_tokens_change_nothing),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_batch_and_memory),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
