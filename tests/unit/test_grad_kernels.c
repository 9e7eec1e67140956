/*
 * The backward row kernels, in every instruction set, against central differences of their forward
 * passes written as plain loops in double.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/rng.h"
#include "core/kernels/grad.h"

enum { MOST = 1200 };
static const size_t lengths[] = {1, 2, 7, 16, 31, 32, 33, 100, 517, 1100};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static const char *const sets[] = {"portable", "avx2", "avx512"};

/* What a case needs: values x, gains g, a second input o, and the gradient that comes from above,
 * so that the loss is sum(up y). */
struct row {
    size_t n;
    double x[MOST], g[MOST], o[MOST], up[MOST];
    double scale;
    size_t target;
};

typedef double (*loss_fn)(const struct row *r);

static void fill(struct row *r, size_t n)
{
    struct vq_rng rng;
    vq_rng_init(&rng, 3, n);
    r->n = n;
    r->scale = 0.37;
    r->target = n / 3;
    for (size_t i = 0; i < n; i++) {
        r->x[i] = (double)(float)(1.5 * vq_rng_normal(&rng));
        r->g[i] = (double)(float)vq_rng_normal(&rng);
        r->o[i] = (double)(float)vq_rng_normal(&rng);
        r->up[i] = (double)(float)vq_rng_normal(&rng);
    }
}

static void to_float(float *y, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i];
}

/* d loss / d at, where `at` is one of the numbers of r. */
static double slope(loss_fn loss, const struct row *r, double *at)
{
    double x = *at, h = 1e-4 * (1.0 + fabs(x));
    *at = x + h;
    double up = loss(r);
    *at = x - h;
    double down = loss(r);
    *at = x;
    return (up - down) / (2.0 * h);
}

/* All n gradients, or of long rows every 37th. */
static void compare(const char *what, const struct row *r, loss_fn loss, double *at,
                    const float *found)
{
    double size = 0.0;
    for (size_t i = 0; i < r->n; i++)
        size = fmax(size, fabs((double)found[i]));
    for (size_t i = 0; i<r->n; i += r->n> 200 ? 37 : 1) {
        double expected = slope(loss, r, at + i);
        if (!(fabs((double)found[i] - expected) <= 3e-6 * (1.0 + size)))
            fail_msg("%s of %zu: gradient %zu is %.9g, expected %.9g", what, r->n, i,
                     (double)found[i], expected);
    }
}

static double root(const struct row *r)
{
    double sum = 0.0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->x[i] * r->x[i];
    return sqrt(sum / (double)r->n + 1e-6);
}

/* The bias is added as o. */
static double loss_rms(const struct row *r)
{
    double sum = 0.0, f = root(r);
    for (size_t i = 0; i < r->n; i++)
        sum += r->up[i] * (r->x[i] / f * r->g[i] + r->o[i]);
    return sum;
}

static double loss_unit(const struct row *r)
{
    double sum = 0.0, f = root(r);
    for (size_t i = 0; i < r->n; i++)
        sum += r->up[i] * r->x[i] / f * r->scale;
    return sum;
}

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}

static double loss_silu(const struct row *r)
{
    double sum = 0.0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->up[i] * silu(r->x[i]);
    return sum;
}

static double loss_gate(const struct row *r)
{
    double sum = 0.0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->up[i] * r->o[i] * silu(r->g[i]);
    return sum;
}

/* softmax(x) into y. */
static void softmax(double *y, const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i]);
    for (size_t i = 0; i < n; i++)
        y[i] = exp(x[i]) / sum;
}

static double loss_softmax(const struct row *r)
{
    double y[MOST], sum = 0.0;
    softmax(y, r->x, r->n);
    for (size_t i = 0; i < r->n; i++)
        sum += r->up[i] * y[i];
    return sum;
}

static double loss_cross_entropy(const struct row *r)
{
    double y[MOST];
    softmax(y, r->x, r->n);
    return -r->scale * log(y[r->target]);
}

static void check_rms_norm(const struct vq_grad_vec *v, struct row *r)
{
    float x[MOST], g[MOST], dy[MOST], dx[MOST], dg[MOST], db[MOST];
    to_float(x, r->x, r->n);
    to_float(g, r->g, r->n);
    to_float(dy, r->up, r->n);
    for (size_t i = 0; i < r->n; i++)
        dx[i] = dg[i] = db[i] = 2.0f; /* all three are added to */
    v->rms_norm(dx, dy, x, r->n, g, dg, db);
    for (size_t i = 0; i < r->n; i++) {
        dx[i] -= 2.0f;
        dg[i] -= 2.0f;
        db[i] -= 2.0f;
    }
    compare("rms norm, x", r, loss_rms, r->x, dx);
    compare("rms norm, gain", r, loss_rms, r->g, dg);
    compare("rms norm, bias", r, loss_rms, r->o, db);
}

static void check_unit_norm(const struct vq_grad_vec *v, struct row *r)
{
    float y[MOST], dy[MOST];
    double inverse = 1.0 / root(r);
    for (size_t i = 0; i < r->n; i++)
        y[i] = (float)(r->x[i] * inverse * r->scale);
    to_float(dy, r->up, r->n);
    v->unit_norm(y, dy, y, r->n, (float)r->scale, (float)inverse);
    compare("unit norm", r, loss_unit, r->x, y);
}

static void check_silu(const struct vq_grad_vec *v, struct row *r)
{
    float x[MOST], dy[MOST];
    to_float(x, r->x, r->n);
    to_float(dy, r->up, r->n);
    v->silu(x, dy, x, r->n);
    compare("silu", r, loss_silu, r->x, x);
}

static void check_gate(const struct vq_grad_vec *v, struct row *r)
{
    float o[MOST], g[MOST], dy[MOST], y[MOST];
    to_float(o, r->o, r->n);
    to_float(g, r->g, r->n);
    to_float(dy, r->up, r->n);
    v->gate(y, o, g, r->n);
    v->gate_grad(dy, o, o, g, r->n);
    compare("gate, results", r, loss_gate, r->o, dy);
    compare("gate, gate", r, loss_gate, r->g, g);
    for (size_t i = 0; i < r->n; i++) {
        assert_true(fabs((double)y[i] - r->o[i] * silu(r->g[i])) < 2e-6);
        assert_true(fabs((double)o[i] - (double)y[i]) < 1e-6);
    }
}

/* In two parts, as window and aggregate are. */
static void check_softmax(const struct vq_grad_vec *v, struct row *r)
{
    float a[MOST], ds[MOST], sum = 0.0f;
    double y[MOST];
    size_t half = r->n / 2;
    softmax(y, r->x, r->n);
    to_float(a, y, r->n);
    to_float(ds, r->up, r->n);
    for (size_t i = 0; i < r->n; i++)
        sum += a[i] * ds[i];
    v->softmax(ds, a, half, sum);
    v->softmax(ds + half, a + half, r->n - half, sum);
    compare("softmax", r, loss_softmax, r->x, ds);
}

static void check_cross_entropy(const struct vq_grad_vec *v, struct row *r)
{
    float x[MOST];
    to_float(x, r->x, r->n);
    double loss = v->cross_entropy(x, r->n, r->target, (float)r->scale);
    assert_true(fabs(loss * r->scale - loss_cross_entropy(r)) < 1e-6);
    compare("cross-entropy", r, loss_cross_entropy, r->x, x);
    to_float(x, r->x, r->n);
    x[0] += 3e4f; /* far from the others: nothing overflows */
    loss = v->cross_entropy(x, r->n, 0, 1.0f);
    assert_true(loss >= 0.0 && loss < 1e-6);
    assert_true(x[r->n - 1] == 0.0f && fabsf(x[0]) < 1e-6f);
}

static void test_differences(void **unused)
{
    static struct row r;
    (void)unused;
    for (size_t i = 0; i < 3 * LENGTHS; i++) {
        const struct vq_vec *vec = vq_vec_find(sets[i % 3]);
        if (!vec)
            continue;
        const struct vq_grad_vec *v = vq_grad_vec_for(vec);
        assert_string_equal(v->name, sets[i % 3]);
        fill(&r, lengths[i / 3]);
        check_rms_norm(v, &r);
        check_unit_norm(v, &r);
        check_silu(v, &r);
        check_gate(v, &r);
        check_softmax(v, &r);
        check_cross_entropy(v, &r);
    }
}

/* Large arguments neither overflow nor give NaN. */
static void test_extremes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        const struct vq_vec *vec = vq_vec_find(sets[i]);
        if (!vec)
            continue;
        const struct vq_grad_vec *v = vq_grad_vec_for(vec);
        float g[] = {-1e4f, -100.0f, 0.0f, 100.0f, 1e4f}, o[5] = {1, 1, 1, 1, 1};
        float dy[5] = {1, 1, 1, 1, 1}, dx[5];
        v->silu(dx, dy, g, 5);
        v->gate_grad(dy, o, o, g, 5);
        assert_true(dx[0] == 0.0f && dx[2] == 0.5f && dx[4] == 1.0f);
        assert_true(g[0] == 0.0f && g[2] == 0.5f && g[4] == 1.0f);
        assert_true(fabsf(o[1]) < 1e-30f && o[3] == 100.0f && dy[3] == 100.0f);
    }
}

static void test_moves(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        const struct vq_vec *vec = vq_vec_find(sets[i]);
        if (!vec)
            continue;
        const struct vq_grad_vec *v = vq_grad_vec_for(vec);
        float table[4] = {1, 2, 3, 4}, x[6] = {1, 10, 100, 1000, 1e4f, 1e5f};
        const int32_t index[6] = {2, 0, 2, 2, 3, 0};
        v->scatter_add(table, x, index, 6);
        assert_true(table[0] == 1e5f + 11 && table[1] == 2 && table[2] == 1104 &&
                    table[3] == 1e4f + 4);
        for (size_t n = 1; n < 40; n += 3) {
            float from[20 * 41], to[40 * 23];
            for (size_t k = 0; k < 20 * 41; k++)
                from[k] = (float)k;
            memset(to, 0, sizeof(to));
            v->transpose(to, 23, from, 41, 20, n);
            for (size_t k = 0; k < 40 * 23; k++) {
                size_t c = k / 23, row = k % 23;
                assert_true(to[k] == (row < 20 && c < n ? from[row * 41 + c] : 0.0f));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
