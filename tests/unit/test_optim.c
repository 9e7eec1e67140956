/*
 * Optimisers: each chain against the same formulas written once more, plainly, in double; and what
 * must hold of all of them: threads and instruction sets make no difference, a gradient that is not
 * finite changes nothing.
 */
#include "tests/unit/golden.h"

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/kernels/step.h"
#include "core/train/optim.h"
#include "core/train/optim_private.h"

/* Both orientations of a factored matrix, a square one, one too narrow to be factored, one of
 * several tiles, and everything that is no matrix. */
static const struct vq_param tensors[] = {
    {.name = "wide", .rank = 2, .shape = {130, 200}},
    {.name = "tall", .rank = 2, .shape = {200, 130}},
    {.name = "square", .rank = 2, .shape = {128, 128}},
    {.name = "narrow", .rank = 2, .shape = {127, 300}},
    {.name = "many_rows", .rank = 2, .shape = {17000, 128}},
    {.name = "many_tiles", .rank = 1, .shape = {70001}},
    {.name = "vector", .rank = 1, .shape = {513}},
    {.name = "scale", .rank = 0},
    {.name = "q/quantizer/c_count", .rank = 2, .shape = {200, 200}, .is_codebook = true},
    {.name = "q/quantizer/c_sum", .rank = 3, .shape = {2, 5, 7}, .is_codebook = true},
};
enum { N_TENSOR = sizeof(tensors) / sizeof(tensors[0]), STEPS = 4 };

static struct vq_param placed[N_TENSOR];
static struct vq_params layout = {.n = N_TENSOR, .at = placed};

static int place(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TENSOR; i++) {
        struct vq_param *p = &placed[i];
        *p = tensors[i];
        p->size = 1;
        for (int k = 0; k < p->rank; k++)
            p->size *= (size_t)p->shape[k];
        p->offset = layout.floats;
        layout.floats += (p->size + 15) / 16 * 16;
        layout.count += p->size;
    }
    return 0;
}

/* Numbers of very different sizes from tensor to tensor, and some exact zeros. */
static float *random_block(uint64_t seed, double scale)
{
    float *x = vq_params_block(&layout);
    assert_non_null(x);
    struct vq_rng r;
    for (size_t i = 0; i < N_TENSOR; i++) {
        vq_rng_init(&r, seed, i);
        double s = scale * pow(10.0, (double)i / 3.0 - 2.0) * 0x1p-31;
        for (size_t k = 0; k < placed[i].size; k++)
            x[placed[i].offset + k] =
                k % 97 == 5 ? 0.0f : (float)(s * (double)(int32_t)vq_rng_u64(&r));
    }
    return x;
}

static struct vq_config config(const char *optimizer, double clip, double decay)
{
    struct vq_settings s;
    vq_settings_default(&s);
    struct vq_config c = s.v;
    snprintf(c.optimizer, sizeof(c.optimizer), "%s", optimizer);
    c.lr_max = 0.01;
    c.grad_clip = clip;
    c.wd_lam = decay;
    c.n_warmup_step = 1;
    c.n_max_step = 6;
    return c;
}

/* ---- the formulas once more ---- */

struct plain {
    const char *optimizer;
    double *p, *m, *v; /* of a block */
    double *row, *col; /* of one axis each, by tensor; 16,384 apart */
    double clip, decay;
};

#define AXIS 16384

static double bf16(double x)
{
    if (x == 0.0)
        return 0.0;
    int e;
    double f = frexp(x, &e); /* 8 significant bits, to nearest even */
    return ldexp(nearbyint(ldexp(f, 8)), e - 8);
}

static double plain_rms(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum / (double)n);
}

/* Adafactor's direction for one tensor of gradients g, before the rate. */
static void plain_adafactor(struct plain *s, size_t t, const double *g, double *u, int step)
{
    const struct vq_param *p = &placed[t];
    double keep = 1 - pow(step + 1, -0.8);
    size_t R = (size_t)p->shape[0], C = (size_t)p->shape[1];
    if (p->rank != 2 || R < 128 || C < 128) {
        for (size_t i = 0; i < p->size; i++) {
            double *v = &s->v[p->offset + i];
            *v = keep * *v + (1 - keep) * (g[i] * g[i] + 1e-30);
            u[i] = g[i] / sqrt(*v);
        }
    } else {
        double *row = s->row + t * AXIS, *col = s->col + t * AXIS, mean = 0;
        for (size_t i = 0; i < R; i++) {
            double sum = 0;
            for (size_t j = 0; j < C; j++)
                sum += g[i * C + j] * g[i * C + j] + 1e-30;
            row[i] = keep * row[i] + (1 - keep) * sum / (double)C;
        }
        for (size_t j = 0; j < C; j++) {
            double sum = 0;
            for (size_t i = 0; i < R; i++)
                sum += g[i * C + j] * g[i * C + j] + 1e-30;
            col[j] = keep * col[j] + (1 - keep) * sum / (double)R;
        }
        for (size_t k = 0; k < (R > C ? C : R); k++)
            mean += (R > C ? col[k] : row[k]) / (double)(R > C ? C : R);
        for (size_t i = 0; i < R; i++)
            for (size_t j = 0; j < C; j++)
                u[i * C + j] = g[i * C + j] / sqrt(row[i] * col[j] / mean);
    }
    double shrink = fmax(1, plain_rms(u, p->size));
    double grow = fmax(1e-3, plain_rms(s->p + p->offset, p->size));
    for (size_t i = 0; i < p->size; i++)
        u[i] *= grow / shrink;
}

static void plain_moments(struct plain *s, size_t t, const double *g, double *u, int step)
{
    const struct vq_param *p = &placed[t];
    bool lion = !strcmp(s->optimizer, "lion");
    double b1 = bf16(0.95), b2 = bf16(0.98);
    for (size_t i = 0; i < p->size; i++) {
        double *m = &s->m[p->offset + i], *v = &s->v[p->offset + i];
        if (lion) {
            double c = 0.05 * g[i] + bf16(b1 * *m);
            u[i] = (c > 0) - (c < 0);
            *m = bf16(0.02 * g[i] + bf16(b2 * *m));
            continue;
        }
        *m = 0.9 * *m + 0.1 * g[i];
        *v = 0.98 * *v + 0.02 * g[i] * g[i];
        double mean = *m / (1 - pow(0.9, step + 1)), square = *v / (1 - pow(0.98, step + 1));
        u[i] = mean / (sqrt(square) + 1e-9);
    }
}

static void plain_step(struct plain *s, const float *grads, int step)
{
    double norm = 0;
    double *g = calloc(layout.floats, sizeof(*g)), *u = calloc(layout.floats, sizeof(*u));
    for (size_t t = 0; t < N_TENSOR; t++)
        for (size_t i = 0; i < placed[t].size && !placed[t].is_codebook; i++)
            norm += pow(grads[placed[t].offset + i], 2);
    norm = sqrt(norm);
    double clip = s->clip > 0 && norm >= s->clip ? s->clip / norm : 1;
    double factor = step < 1 ? 0 : 0.1 + 0.9 * 0.5 * (1 + cos(acos(-1) * (step - 1) / 5.0));
    for (size_t t = 0; t < N_TENSOR; t++) {
        const struct vq_param *p = &placed[t];
        double *x = s->p + p->offset;
        for (size_t i = 0; i < p->size; i++)
            g[i] = grads[p->offset + i] * (p->is_codebook ? 1 : clip);
        if (p->is_codebook) {
            for (size_t i = 0; i < p->size; i++)
                x[i] -= g[i];
            continue;
        }
        if (!strcmp(s->optimizer, "adafactor"))
            plain_adafactor(s, t, g, u, step);
        else
            plain_moments(s, t, g, u, step);
        for (size_t i = 0; i < p->size; i++)
            x[i] += -0.01 * factor * u[i] - (p->rank == 1 ? 0 : s->decay * x[i]);
    }
    free(g);
    free(u);
}

/* Entries of a tensor that are off by more than rounding. */
static size_t wrong(const struct vq_param *p, const float *x, const double *want)
{
    size_t n = 0;
    double top = 0;
    for (size_t i = 0; i < p->size; i++)
        top = fmax(top, fabs(want[p->offset + i]));
    for (size_t i = 0; i < p->size; i++)
        n += fabs(x[p->offset + i] - want[p->offset + i]) > 1e-6 * top;
    return n;
}

static void check_chain(const char *optimizer, double clip, double decay)
{
    struct vq_config c = config(optimizer, clip, decay);
    struct vq_optim *o;
    struct vq_optim_report report;
    struct vq_err err = {0};
    struct plain s = {.optimizer = optimizer, .clip = clip, .decay = decay};
    double **blocks[] = {&s.p, &s.m, &s.v, &s.row, &s.col};
    for (size_t i = 0; i < 5; i++)
        *blocks[i] = calloc(i < 3 ? layout.floats : N_TENSOR * AXIS, sizeof(double));
    float *params = random_block(1, 1.0);
    for (size_t i = 0; i < layout.floats; i++)
        s.p[i] = params[i];
    assert_ok(vq_optim_new(&o, &layout, &c, &err), &err);
    for (int step = 0; step < STEPS; step++) {
        float *grads = random_block(2 + (uint64_t)step, step == 2 ? 1e-4 : 1e-2);
        assert_int_equal(vq_optim_count(o), step);
        assert_ok(vq_optim_step(o, params, grads, NULL, &report, &err), &err);
        plain_step(&s, grads, step);
        for (size_t t = 0; t < N_TENSOR; t++) {
            size_t n = wrong(&placed[t], params, s.p);
            if (n > placed[t].size / 500)
                fail_msg("%s clip %g decay %g, step %d, %s: %zu entries off", optimizer, clip,
                         decay, step, placed[t].name, n);
        }
        free(grads);
    }
    vq_optim_free(o);
    free(params);
    for (size_t i = 0; i < 5; i++)
        free(*blocks[i]);
}

static void test_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < vq_optim_kind_count(); i++) {
        check_chain(vq_optim_kind_name(i), 0.0, 0.0);
        check_chain(vq_optim_kind_name(i), 0.1, 2e-4);
    }
    assert_null(vq_optim_kind_name(vq_optim_kind_count()));
}

/* Decay, and nothing else, acts when the rate is 0; never on vectors; the codebook is apart. */
static void test_first_step(void **state)
{
    (void)state;
    struct vq_config c = config("adamw", 0.1, 0.25);
    struct vq_optim *o;
    struct vq_optim_report report;
    struct vq_err err = {0};
    float *before = random_block(1, 1.0), *params = random_block(1, 1.0), *g = random_block(7, 1);
    assert_ok(vq_optim_new(&o, &layout, &c, &err), &err);
    assert_ok(vq_optim_step(o, params, g, NULL, &report, &err), &err);
    assert_true(report.factor == 0.0 && report.rate == 0.0 && report.grad_norm > 0.1);
    for (size_t t = 0; t < N_TENSOR; t++) {
        const struct vq_param *p = &placed[t];
        for (size_t i = p->offset; i < p->offset + p->size; i++) {
            float want = p->is_codebook ? before[i] - g[i]
                         : p->rank == 1 ? before[i]
                                        : before[i] * 0.75f;
            assert_true(params[i] == want);
        }
    }
    assert_ok(vq_optim_step(o, params, g, NULL, &report, &err), &err);
    assert_true(report.factor == 1.0 && report.rate == 0.01);
    vq_optim_free(o);
    free(before);
    free(params);
    free(g);
}

/* Parameters and all moments after a few steps with this many threads. */
static float *run_threads(const char *optimizer, int threads, uint8_t **moments, size_t *bytes)
{
    struct vq_config c = config(optimizer, 0.1, 2e-4);
    struct vq_optim *o;
    struct vq_pool *pool;
    struct vq_err err = {0};
    assert_ok(vq_pool_new(&pool, threads, &err), &err);
    assert_ok(vq_optim_new(&o, &layout, &c, &err), &err);
    float *params = random_block(1, 1.0);
    for (uint64_t step = 0; step < 2; step++) {
        float *g = random_block(2 + step, 1e-2);
        assert_ok(vq_optim_step(o, params, g, pool, NULL, &err), &err);
        free(g);
    }
    *bytes = o->bytes;
    *moments = malloc(o->bytes);
    memcpy(*moments, o->memory, o->bytes);
    assert_int_equal(vq_optim_bytes(o), o->bytes + o->workspace);
    vq_optim_free(o);
    vq_pool_free(pool);
    return params;
}

static void test_threads(void **state)
{
    (void)state;
    for (size_t k = 0; k < vq_optim_kind_count(); k++) {
        uint8_t *want_moments, *moments;
        size_t bytes, want_bytes;
        float *want = run_threads(vq_optim_kind_name(k), 1, &want_moments, &want_bytes);
        for (int threads = 2; threads < 5; threads++) {
            float *params = run_threads(vq_optim_kind_name(k), threads, &moments, &bytes);
            assert_int_equal(bytes, want_bytes);
            assert_memory_equal(params, want, layout.floats * sizeof(*want));
            assert_memory_equal(moments, want_moments, bytes);
            free(params);
            free(moments);
        }
        free(want);
        free(want_moments);
    }
}

static void test_bad_gradient(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < N_TENSOR; i++) {
        const struct vq_param *p = &placed[i];
        struct vq_config c = config("adafactor", 0.1, 0.1);
        struct vq_optim *o;
        struct vq_err err = {0};
        float *params = random_block(1, 1.0), *same = random_block(1, 1.0);
        float *g = random_block(2, 1.0);
        g[p->offset + p->size - 1] = bad[i % 3];
        g[placed[N_TENSOR - 1].offset] = NAN; /* a later one, not the one to be named */
        assert_ok(vq_optim_new(&o, &layout, &c, &err), &err);
        assert_int_equal(vq_optim_step(o, params, g, NULL, NULL, &err), VQ_ENUM);
        assert_says(&err, "step 0", p->name, "not finite");
        assert_memory_equal(params, same, layout.floats * sizeof(*same));
        assert_int_equal(vq_optim_count(o), 0);
        vq_optim_free(o);
        free(params);
        free(same);
        free(g);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct vq_optim *o = (struct vq_optim *)&o;
    struct vq_err err = {0};
    struct vq_config c = config("sgd", 0, 0);
    assert_int_equal(vq_optim_new(&o, &layout, &c, &err), VQ_EINVAL);
    assert_says(&err, "optimizer", "adamw", "'sgd'");
    assert_null(o);
    c = config("adamw", 0, 0);
    snprintf(c.lr_schedule, sizeof(c.lr_schedule), "inv_sqrt");
    assert_int_equal(vq_optim_new(&o, &layout, &c, &err), VQ_EUNSUPPORTED);
    assert_says(&err, "inv_sqrt");
    assert_null(o);
    for (long nth = 1; nth <= 6; nth++) {
        c = config("adafactor", 0, 0);
        vq_mem_fail_at(nth);
        enum vq_status st = vq_optim_new(&o, &layout, &c, &err);
        vq_mem_fail_at(0);
        assert_int_equal(st, nth < 6 ? VQ_ENOMEM : VQ_OK);
        vq_optim_free(o);
    }
}

/* Every kernel of a set against the portable one, at lengths around the vectors' and off any
 * alignment. */
static void compare_sets(const struct vq_step *a, const struct vq_step *b, size_t n)
{
    static float x[2][300], y[2][300], z[2][300];
    static uint16_t h[2][300];
    static double sums[2][300];
    struct vq_rng r;
    vq_rng_init(&r, n, 0);
    for (size_t i = 0; i < 300; i++) {
        x[0][i] = x[1][i] = (float)vq_rng_normal(&r);
        y[0][i] = y[1][i] = (float)vq_rng_normal(&r);
        z[0][i] = z[1][i] = (float)vq_rng_unit(&r) + 0.1f;
        h[0][i] = h[1][i] = (uint16_t)(0x3d00 + vq_rng_below(&r, 512));
        sums[0][i] = sums[1][i] = vq_rng_unit(&r);
    }
    const struct vq_step *set[] = {a, b};
    const struct vq_step_adam adam = {.5f, .01f, .1f, .9f, .98f, 1e-9f, .1f, .02f, 2.0f, 9.0f};
    const struct vq_step_lion lion = {.5f, .01f, .1f, 0.94921875f, 0.98046875f, .05f, .02f};
    double out[2][4];
    for (int k = 0; k < 2; k++) {
        out[k][0] = set[k]->sum_squares(y[k] + 1, n);
        out[k][1] = set[k]->add_squares(sums[k] + 1, y[k] + 1, n);
        out[k][2] = set[k]->scaled_squares(y[k] + 1, z[k] + 1, n);
        set[k]->adamw(x[k] + 1, y[k] + 1, z[k] + 1, x[k] + 2, 0, &adam);
        set[k]->adamw(x[k] + 1, y[k] + 1, z[k] + 1, x[k] + 1, n, &adam);
        set[k]->lion(x[k] + 1, h[k] + 1, y[k] + 1, n, &lion);
        set[k]->sgd(x[k] + 1, y[k] + 1, n);
        set[k]->scaled(x[k] + 1, y[k] + 1, z[k] + 1, n, .3f, .1f);
        out[k][3] = set[k]->second_moment(z[k] + 1, y[k] + 1, n, .7f, .6f);
        set[k]->by_moment(x[k] + 1, y[k] + 1, z[k] + 1, n, .01f, .1f);
    }
    for (int i = 0; i < 4; i++)
        assert_true(fabs(out[0][i] - out[1][i]) <= 1e-6 * (1 + out[0][i]));
    for (size_t i = 0; i < 300; i++) {
        assert_true(fabsf(x[0][i] - x[1][i]) < 1e-5f);
        assert_true(fabsf(z[0][i] - z[1][i]) < 1e-5f);
        assert_true(fabs(sums[0][i] - sums[1][i]) < 1e-9);
        assert_true(abs(h[0][i] - h[1][i]) <= 1);
    }
}

static void test_sets(void **state)
{
    (void)state;
    static const char *const names[] = {"portable", "avx2", "avx512"};
    const struct vq_step *portable = vq_step_find("portable");
    assert_non_null(vq_step_default());
    assert_null(vq_step_find("other"));
    for (size_t k = 0; k < 3; k++) {
        const struct vq_step *s = vq_step_find(names[k]);
        for (size_t n = 0; s && n < 130; n++)
            compare_sets(portable, s, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),  cmocka_unit_test(test_first_step),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_bad_gradient),
        cmocka_unit_test(test_sets),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, place, NULL);
}
