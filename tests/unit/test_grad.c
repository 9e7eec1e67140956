/*
 * Loss, metrics and gradients of an update against numbers made by the authors' own code in
 * float64: all cases, with and without grad_thru_cache, first and second update of a sequence. And
 * what vq_grad promises beside: the same bytes for any number of threads, the same gradients
 * whether it keeps or recomputes and however many sequences go at a time, loss alone, refusals.
 */
#include "golden.h"
#include "projection.h"

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/train/grad.h"

#define GRADS  3e-5 /* of a tensor's largest entry */
#define CODES  1e-4 /* the same for c_sum and c_count */
#define LOSS   3e-6
#define METRIC 1e-4

static struct vq_err err;

/* A golden case with everything an update needs. */
struct fixture {
    struct vq_model *model;
    struct vq_config config;
    struct vq_grad *grad;
    const struct vq_params *layout;
    struct vq_train_state *state;
    float *params, *grads;
    struct vq_npy targets;
    struct vq_json *expected;
};

static struct vq_json *read_json(const char *root, const char *name, const char *file)
{
    char path[256];
    static char text[1 << 16];
    struct vq_json *j;
    snprintf(path, sizeof(path), "%s/%s/%s.json", root, name, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_ok(vq_json_parse(&j, text, n, &err), &err);
    return j;
}

static void set_up(struct fixture *f, const char *root, const char *name, int thru,
                   const struct vq_grad_options *options)
{
    struct vq_grad_options o = *options;
    f->model = golden_model(root, name);
    f->config = *vq_model_config(f->model);
    f->config.grad_thru_cache = thru;
    f->targets = golden_array(root, name, "targets");
    f->expected = read_json(root, name, "expected");
    o.batch = f->targets.shape[0];
    assert_ok(vq_grad_new(&f->grad, &f->config, &o, &err), &err);
    assert_ok(vq_train_state_new(&f->state, &f->config, o.batch, &err), &err);
    f->layout = vq_grad_params(f->grad);
    f->params = vq_params_block(f->layout);
    f->grads = vq_params_block(f->layout);
    assert_ok(vq_params_load(f->layout, f->params, vq_model_ckpt(f->model), &err), &err);
}

static void tear_down(struct fixture *f)
{
    free(f->params);
    free(f->grads);
    vq_json_free(f->expected);
    vq_npy_release(&f->targets);
    vq_train_state_free(f->state);
    vq_grad_free(f->grad);
    vq_model_free(f->model);
}

static struct vq_update update_of(const struct fixture *f, size_t u)
{
    return (struct vq_update){.params = f->params,
                              .state = f->state,
                              .targets = (const int32_t *)f->targets.data +
                                         u * (size_t)f->config.update_len,
                              .stride = f->targets.shape[1],
                              .grads = f->grads};
}

static struct vq_update_result run_update(const struct fixture *f, size_t u)
{
    struct vq_update_result r;
    struct vq_update update = update_of(f, u);
    update.metrics = true;
    assert_ok(vq_grad_update(f->grad, &update, &r, &err), &err);
    return r;
}

static void close_to(const char *name, const char *what, double found, double expected,
                     double limit)
{
    if (!(fabs(found - expected) <= limit))
        fail_msg("%s: %s is %.9g, expected %.9g within %.2g", name, what, found, expected, limit);
}

/* Losses and metrics against expected.json. */
static void check_numbers(const struct fixture *f, const char *name, int thru, size_t u,
                          const struct vq_update_result *r)
{
    const struct vq_json_node *all = vq_json_get(vq_json_root(f->expected), "updates");
    const struct vq_json_node *e = vq_json_first(vq_json_get(all, thru ? "gtc1" : "gtc0"));
    for (size_t i = 0; i < u; i++)
        e = vq_json_next(e);
    const struct vq_json_node *m = vq_json_get(e, "metrics");
    double loss = vq_json_number(vq_json_get(e, "loss"));
    double lm = vq_json_number(vq_json_get(m, "loss_lm_per_token_unscaled"));
    double commit = vq_json_number(vq_json_get(m, "loss_commit_per_token"));
    close_to(name, "loss", r->loss, loss, LOSS * loss);
    close_to(name, "loss_lm_per_token_unscaled", r->loss_lm_unscaled, lm, LOSS * lm);
    close_to(name, "loss_commit_per_token", r->loss_commit, commit, LOSS * commit);
    close_to(name, "loss_mask_per_token", r->loss_mask,
             vq_json_number(vq_json_get(m, "loss_mask_per_token")), 1e-12);
    for (int i = 0; i < VQ_METRICS; i++) {
        double x = vq_json_number(vq_json_get(m, vq_metric_name((enum vq_metric)i)));
        close_to(name, vq_metric_name((enum vq_metric)i),
                 vq_metrics_get(&r->quantiser, (enum vq_metric)i), x, METRIC * fabs(x) + 1e-12);
    }
}

/* Gradients against what the small files keep of them. An error of `limit` in every entry moves a
 * projection by limit * sqrt(n) on average; four times that is the bound. */
static void check_projections(const struct fixture *f, const char *name, const double *expected)
{
    for (size_t i = 0; i < f->layout->n; i++, expected += KEPT) {
        const struct vq_param *t = &f->layout->at[i];
        double limit = (t->is_codebook ? CODES : GRADS) * expected[0] + 1e-12, found[KEPT];
        double wide = 4 * limit * sqrt((double)t->size);
        project(found, f->grads + t->offset, t->size, i);
        close_to(name, t->name, found[0], expected[0], limit);
        close_to(name, t->name, found[1], expected[1], wide);
        for (size_t k = 2; k < KEPT; k++)
            close_to(name, t->name, found[k], expected[k], k < 2 + PROJECTIONS ? wide : limit);
    }
}

static void check_all(const struct fixture *f, const char *name, const struct vq_param *t,
                      const float *expected)
{
    double max = 0.0;
    for (size_t i = 0; i < t->size; i++)
        max = fmax(max, fabs((double)expected[i]));
    for (size_t i = 0; i < t->size; i++)
        close_to(name, t->name, (double)f->grads[t->offset + i], (double)expected[i],
                 (t->is_codebook ? CODES : GRADS) * max + 1e-12);
}

static const struct vq_grad_options serial = {.recompute = true};

static void test_small(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 2 * N_GOLDEN; i++) {
        struct fixture f;
        const char *name = golden_cases[i / 2];
        int thru = (int)(i % 2);
        set_up(&f, GOLDEN, name, thru, &serial);
        struct vq_npy grads = golden_array(GOLDEN, name, "grads");
        assert_int_equal(grads.shape[1], f.layout->n);
        assert_int_equal(grads.shape[2], KEPT);
        for (size_t u = 0; u < 2; u++) {
            struct vq_update_result r = run_update(&f, u);
            size_t which = 2 * (size_t)thru + u;
            check_numbers(&f, name, thru, u, &r);
            check_projections(&f, name, (const double *)grads.data + which * f.layout->n * KEPT);
        }
        vq_npy_release(&grads);
        tear_down(&f);
    }
}

/* Every entry of the second update's gradients in four cases; with fewer than ten layers their
 * tensors lie in the order of our layout. */
static void test_every_entry(void **unused)
{
    static const char *const cases[] = {"fixture_agg", "heads3", "mem12_block1", "mem8_block16"};
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        set_up(&f, GOLDEN, cases[i], 1, &serial);
        struct vq_npy grads = golden_array(GOLDEN, cases[i], "grads_u1_gtc1");
        run_update(&f, 0);
        run_update(&f, 1);
        size_t at = 0;
        for (size_t k = 0; k < f.layout->n; at += f.layout->at[k++].size)
            check_all(&f, cases[i], &f.layout->at[k], (const float *)grads.data + at);
        assert_int_equal(at, grads.count);
        vq_npy_release(&grads);
        tear_down(&f);
    }
}

static void check_full(const struct fixture *f, const char *name, int thru, size_t u)
{
    char array[32];
    snprintf(array, sizeof(array), "grads_u%zu_gtc%d", u, thru);
    struct vq_npy grads = golden_array(GOLDEN_FULL, name, array);
    struct vq_json *index = read_json(GOLDEN_FULL, name, "param_index");
    size_t seen = 0;
    const struct vq_json_node *e = vq_json_first(vq_json_root(index));
    for (; e; e = vq_json_next(e), seen++) {
        int64_t offset = 0;
        const struct vq_param *t =
            vq_params_find(f->layout, vq_json_string(vq_json_get(e, "path")));
        assert_non_null(t);
        assert_true(vq_json_int(vq_json_get(e, "offset"), &offset));
        check_all(f, name, t, (const float *)grads.data + offset);
    }
    assert_int_equal(seen, f->layout->n);
    vq_json_free(index);
    vq_npy_release(&grads);
}

static void test_full(void **unused)
{
    (void)unused;
    if (golden_full_absent())
        skip();
    for (size_t i = 0; i < 2 * N_GOLDEN; i++) {
        struct fixture f;
        const char *name = golden_cases[i / 2];
        int thru = (int)(i % 2);
        set_up(&f, GOLDEN_FULL, name, thru, &serial);
        for (size_t u = 0; u < 2; u++) {
            struct vq_update_result r = run_update(&f, u);
            check_numbers(&f, name, thru, u, &r);
            check_full(&f, name, thru, u);
        }
        tear_down(&f);
    }
}

/* A second look at a case: with another configuration, from the same parameters. */
static void set_config(struct fixture *f, const struct vq_config *c,
                       const struct vq_grad_options *o)
{
    struct vq_grad_options all = *o;
    vq_grad_free(f->grad);
    f->config = *c;
    all.batch = f->targets.shape[0];
    assert_ok(vq_grad_new(&f->grad, c, &all, &err), &err);
    f->layout = vq_grad_params(f->grad);
}

/* Gradients of the second update with the given options. */
static float *grads_with(const char *name, const struct vq_grad_options *o, const char *dtype,
                         double dropout)
{
    struct fixture f;
    struct vq_update_result r;
    set_up(&f, GOLDEN, name, 1, o);
    struct vq_config c = f.config;
    c.p_dropemb = c.p_dropsin = c.p_dropres = c.p_droplyr = dropout;
    snprintf(c.dtype, sizeof(c.dtype), "%s", dtype);
    set_config(&f, &c, o);
    for (size_t u = 0; u < 2; u++) {
        struct vq_update update = update_of(&f, u);
        update.dropout = true;
        update.seed = 7;
        assert_ok(vq_grad_update(f.grad, &update, &r, &err), &err);
    }
    float *grads = f.grads;
    f.grads = NULL;
    tear_down(&f);
    return grads;
}

static size_t floats_of(const char *name)
{
    struct fixture f;
    set_up(&f, GOLDEN, name, 1, &serial);
    size_t n = f.layout->floats;
    tear_down(&f);
    return n;
}

static void test_threads(void **unused)
{
    static const char *const cases[] = {"heads3", "mem32_block8", "tied", "mem8_block16_noagg"};
    (void)unused;
    for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
        const char *name = cases[i / 3], *dtype = i % 3 == 2 ? "bfloat16" : "float32";
        double dropout = i % 3 == 1 ? 0.25 : 0.0;
        size_t n = floats_of(name);
        float *one = grads_with(name, &serial, dtype, dropout);
        for (int threads = 1; threads <= 3; threads++) {
            struct vq_grad_options o = serial;
            assert_ok(vq_pool_new(&o.pool, threads, &err), &err);
            float *many = grads_with(name, &o, dtype, dropout);
            assert_memory_equal(one, many, n * sizeof(*one));
            free(many);
            vq_pool_free(o.pool);
        }
        free(one);
    }
}

/* The same sums in another order: to 1e-5 of the largest. */
static void close_gradients(const char *name, const float *got, const float *want, size_t n)
{
    double max = 0.0;
    for (size_t k = 0; k < n; k++)
        max = fmax(max, fabs((double)want[k]));
    for (size_t k = 0; k < n; k++)
        close_to(name, "gradient", (double)got[k], (double)want[k], 1e-5 * max);
}

/* Keeping everything gives the same bytes; fewer sequences at a time another order of sums. */
static void test_keeping_and_passes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < N_GOLDEN; i++) {
        const char *name = golden_cases[i];
        size_t n = floats_of(name);
        struct vq_grad_options keep = {.rows = 2}, few = {.recompute = true, .rows = 1};
        struct vq_grad_options again = {.recompute = true, .rows = 2};
        float *whole = grads_with(name, &again, "float32", 0.25);
        float *kept = grads_with(name, &keep, "float32", 0.25);
        assert_memory_equal(whole, kept, n * sizeof(*whole));
        float *passes = grads_with(name, &few, "float32", 0.25);
        close_gradients(name, passes, whole, n);
        free(whole);
        free(kept);
        free(passes);
    }
}

/* An update in spans gives the same gradients, in another order of sums, and the same bytes whether
 * values and projections are kept or made again, and on any number of threads. */
static void test_spans(void **unused)
{
    size_t spanned = 0;
    (void)unused;
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct fixture f;
        const char *name = golden_cases[i];
        set_up(&f, GOLDEN, name, 1, &serial);
        size_t n = f.layout->floats, M = (size_t)f.config.mem_len, L = (size_t)f.config.block_len;
        size_t span = (M + L - 1) / L * L, U = (size_t)f.config.update_len;
        tear_down(&f);
        if (span >= U || U % span)
            continue;
        spanned++;
        struct vq_grad_options keep = {.rows = 1, .span = span}, again = keep, whole = {.rows = 1};
        again.recompute = true;
        assert_ok(vq_pool_new(&again.pool, 3, &err), &err);
        float *one = grads_with(name, &whole, "float32", 0.25);
        float *kept = grads_with(name, &keep, "float32", 0.25);
        float *remade = grads_with(name, &again, "float32", 0.25);
        assert_memory_equal(kept, remade, n * sizeof(*kept));
        assert_memory_not_equal(kept, one, n * sizeof(*kept));
        close_gradients(name, kept, one, n);
        free(one);
        free(kept);
        free(remade);
        vq_pool_free(again.pool);
    }
    assert_true(spanned >= 2);
}

/* Products of bfloat16 have 8 bits: nearly the same direction, not the same numbers. */
static void test_bfloat16(void **unused)
{
    static const char *const cases[] = {"enwik8", "tied", "heads3"};
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        double xx = 0.0, yy = 0.0, xy = 0.0;
        float *x = grads_with(cases[i], &serial, "float32", 0.0);
        float *y = grads_with(cases[i], &serial, "bfloat16", 0.0);
        set_up(&f, GOLDEN, cases[i], 1, &serial);
        for (size_t t = 0; t < f.layout->n; t++) {
            const struct vq_param *p = &f.layout->at[t];
            for (size_t k = p->offset; !p->is_codebook && k < p->offset + p->size; k++) {
                xx += (double)x[k] * x[k];
                yy += (double)y[k] * y[k];
                xy += (double)x[k] * y[k];
            }
        }
        assert_true(xy < 0.9999999 * sqrt(xx * yy));
        assert_true(xy > 0.99 * sqrt(xx * yy) && fabs(xx / yy - 1.0) < 0.05);
        tear_down(&f);
        free(x);
        free(y);
    }
}

/* Without grads: the same loss, the same state, no dropout. */
static void test_loss_only(void **unused)
{
    struct fixture f, plain;
    struct vq_update_result r, only;
    (void)unused;
    set_up(&f, GOLDEN, "heads3", 1, &serial);
    set_up(&plain, GOLDEN, "heads3", 1, &(struct vq_grad_options){.rows = 1});
    for (size_t u = 0; u < 2; u++) {
        r = run_update(&f, u);
        struct vq_update update = update_of(&plain, u);
        update.grads = NULL;
        update.dropout = true;
        assert_ok(vq_grad_update(plain.grad, &update, &only, &err), &err);
        close_to("heads3", "loss", only.loss, r.loss, 1e-7);
        assert_int_equal(only.counted, r.counted);
    }
    const struct vq_train_state *a = f.state, *b = plain.state;
    size_t bh = a->modules * a->B * a->H;
    assert_int_equal(a->position, b->position);
    assert_memory_equal(a->last, b->last, a->B * sizeof(*a->last));
    assert_memory_equal(a->code, b->code, bh * a->M * sizeof(*a->code));
    assert_memory_equal(a->count, b->count, bh * a->S * sizeof(*a->count));
    for (size_t i = 0; i < bh * a->M * a->V; i++)
        close_to("heads3", "value", (double)a->value[i], (double)b->value[i], 1e-5);
    for (size_t i = 0; i < bh * a->S * a->V; i++)
        close_to("heads3", "mean", (double)a->mean[i], (double)b->mean[i], 1e-5);
    tear_down(&f);
    tear_down(&plain);
}

/* The state after the whole sequence is the one that inference ends with. */
static void test_state(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct fixture f;
        const char *name = golden_cases[i];
        set_up(&f, GOLDEN, name, 1, &serial);
        for (size_t u = 0; u * (size_t)f.config.update_len < f.targets.shape[1]; u++)
            run_update(&f, u);
        struct vq_npy z = golden_array(GOLDEN, name, "state_xl_z");
        struct vq_npy lower = golden_array(GOLDEN, name, "state_agg_lower");
        assert_int_equal(f.state->position, f.targets.shape[1]);
        assert_memory_equal(f.state->code, z.data, z.count * sizeof(int32_t));
        for (size_t k = 0; f.state->count && k < lower.count; k++)
            assert_int_equal(f.state->count[k], ((const float *)lower.data)[k]);
        vq_npy_release(&z);
        vq_npy_release(&lower);
        tear_down(&f);
    }
}

/* A vocabulary so large that the logits of 200 rows come in two chunks, and those of 100 in one. */
static void test_chunks(void **unused)
{
    struct vq_settings s;
    struct vq_update_result r[2];
    float *grads[2];
    size_t n = 0;
    int32_t targets[200];
    (void)unused;
    vq_settings_default(&s);
    s.v.d_model = 4;
    s.v.d_k = s.v.d_v = s.v.n_code = 2;
    s.v.n_layer = 1;
    s.v.n_vocab = 32000;
    s.v.block_len = s.v.mem_len = 10;
    s.v.update_len = 100;
    for (int i = 0; i < 200; i++)
        targets[i] = i * 159;
    for (size_t i = 0; i < 2; i++) {
        struct vq_grad *g;
        struct vq_train_state *state;
        const struct vq_grad_options o = {.batch = 2, .rows = i + 1};
        assert_ok(vq_grad_new(&g, &s.v, &o, &err), &err);
        assert_ok(vq_train_state_new(&state, &s.v, 2, &err), &err);
        const struct vq_params *p = vq_grad_params(g);
        float *params = vq_params_block(p);
        n = p->floats;
        grads[i] = vq_params_block(p);
        vq_params_init(p, params, 1);
        struct vq_update u = {
            .params = params, .state = state, .targets = targets, .stride = 100, .grads = grads[i]};
        assert_ok(vq_grad_update(g, &u, &r[i], &err), &err);
        free(params);
        vq_train_state_free(state);
        vq_grad_free(g);
    }
    close_to("chunks", "loss", r[1].loss, r[0].loss, 1e-7 * r[0].loss);
    for (size_t k = 0; k < n; k++)
        close_to("chunks", "gradient", (double)grads[1][k], (double)grads[0][k], 1e-6);
    free(grads[0]);
    free(grads[1]);
}

/* Every allocation in turn fails: an error, and nothing leaks. */
static void test_memory(void **unused)
{
    struct vq_settings s;
    struct vq_grad *g;
    enum vq_status st = VQ_ENOMEM;
    long n = 0;
    (void)unused;
    vq_settings_default(&s);
    assert_ok(vq_settings_preset(&s, "text-small", &err), &err);
    const struct vq_grad_options o = {.batch = 2};
    while (st == VQ_ENOMEM) {
        vq_mem_fail_at(++n);
        st = vq_grad_new(&g, &s.v, &o, &err);
        vq_mem_fail_at(0);
        assert_true(st == VQ_OK || (st == VQ_ENOMEM && !g));
    }
    assert_true(n > 5);
    vq_grad_free(g);
}

static bool stop_now(void *ud)
{
    int *left = ud;
    return (*left)-- == 0;
}

static void test_refusals(void **unused)
{
    struct fixture f;
    struct vq_update_result r;
    (void)unused;
    set_up(&f, GOLDEN, "heads3", 1, &serial);
    struct vq_update u = update_of(&f, 0);
    int32_t *target = (int32_t *)(uintptr_t)u.targets + 3, old = *target;

    *target = 50;
    assert_int_equal(vq_grad_update(f.grad, &u, &r, &err), VQ_EINVAL);
    assert_says(&err, "target 3 of sequence 0", "0 to 49", "50");
    *target = old;
    assert_false(f.state->broken);

    int left = 3;
    struct vq_cancel cancel = {stop_now, &left};
    u.cancel = &cancel;
    assert_int_equal(vq_grad_update(f.grad, &u, &r, &err), VQ_ECANCELLED);
    assert_int_equal(vq_grad_update(f.grad, &u, &r, &err), VQ_EINVAL);
    assert_says(&err, "half-way");
    u.cancel = NULL;
    vq_train_state_reset(f.state);
    assert_ok(vq_grad_update(f.grad, &u, &r, &err), &err);

    vq_train_state_reset(f.state);
    f.params[f.layout->at[0].offset] = NAN;
    assert_int_equal(vq_grad_update(f.grad, &u, &r, &err), VQ_ENUM);
    assert_says(&err, f.layout->at[0].name);

    vq_train_state_free(f.state);
    assert_ok(vq_train_state_new(&f.state, &f.config, 3, &err), &err);
    u.state = f.state;
    assert_int_equal(vq_grad_update(f.grad, &u, &r, &err), VQ_EINVAL);
    assert_says(&err, "2 sequences", "3 sequences");
    tear_down(&f);
}

static void test_options(void **unused)
{
    struct vq_settings s;
    struct vq_grad *g;
    (void)unused;
    vq_settings_default(&s);
    assert_ok(vq_settings_preset(&s, "text-small", &err), &err);
    struct vq_grad_options o = {.batch = 4, .rows = 2, .recompute = true};
    uint64_t less = vq_grad_bytes(&s.v, &o);
    o.recompute = false;
    uint64_t more = vq_grad_bytes(&s.v, &o);
    assert_true(less > 1000000 && more > 2 * less);
    o.rows = 5;
    assert_int_equal(vq_grad_new(&g, &s.v, &o, &err), VQ_EINVAL);
    assert_null(g);
    o.rows = 0;
    s.v.update_len = 500;
    assert_int_equal(vq_grad_new(&g, &s.v, &o, &err), VQ_EINVAL);
    assert_says(&err, "update_len", "128", "500");
    s.v.update_len = 512;
    s.v.p_dropres = 1.0;
    assert_int_equal(vq_grad_new(&g, &s.v, &o, &err), VQ_EINVAL);
    assert_says(&err, "p_dropres");
    s.v.p_dropres = 0.0;
    s.v.update_len = (int64_t)1 << 30;
    s.v.block_len = 1;
    o.batch = (size_t)1 << 40;
    for (o.rows = 1 << 20; o.rows < o.batch; o.rows <<= 4) { /* each overflows elsewhere */
        assert_int_equal(vq_grad_new(&g, &s.v, &o, &err), VQ_ENOMEM);
        assert_int_equal(vq_grad_bytes(&s.v, &o), 0);
    }
    s.v.d_model = 1 << 20;
    assert_int_equal(vq_grad_new(&g, &s.v, &o, &err), VQ_ENOMEM);
    assert_null(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),    cmocka_unit_test(test_every_entry),
        cmocka_unit_test(test_full),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_keeping_and_passes),
        cmocka_unit_test(test_state),    cmocka_unit_test(test_loss_only),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_bfloat16),
        cmocka_unit_test(test_chunks),   cmocka_unit_test(test_memory),
        cmocka_unit_test(test_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
