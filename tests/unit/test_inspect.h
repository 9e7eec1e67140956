/*
 * What the tests of core/inspect share: models of tests/data/golden with the arrays that the
 * authors' code computed from them, and a fixed source of random numbers.
 */
#ifndef VQ_TEST_INSPECT_H
#define VQ_TEST_INSPECT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/base/rng.h"
#include "core/model/session.h"

#define GOLDEN "tests/data/golden/"

/* |a - b| <= eps, in double; cmocka's own compares floats. */
#define assert_near(a, b, eps)                                                                     \
    do {                                                                                           \
        double a_ = (a), b_ = (b), eps_ = (eps);                                                   \
        if (!(fabs(a_ - b_) <= eps_) && a_ != b_)                                                  \
            fail_msg("%s is %.17g, not %.17g", #a, a_, b_);                                        \
    } while (0)

/* Fails the test with the message of err. */
#define assert_ok(rc, err)                                                                         \
    do {                                                                                           \
        if ((rc) != VQ_OK)                                                                         \
            fail_msg("%s", (err)->msg);                                                            \
    } while (0)

struct golden {
    const char *name;
    struct vq_model *model;
    struct vq_engine *engine;
    const struct vq_config *c;
};

static inline void golden_open(struct golden *g, const char *name)
{
    char path[256];
    struct vq_err err;
    struct vq_model_options options = {0};
    struct vq_engine_options how = {.weights = VQ_WEIGHT_F32};
    *g = (struct golden){.name = name};
    snprintf(path, sizeof(path), GOLDEN "%s/model.safetensors", name);
    assert_ok(vq_model_open(&g->model, path, &options, &err), &err);
    assert_ok(vq_engine_new(&g->engine, g->model, &how, &err), &err);
    g->c = vq_engine_config(g->engine);
}

static inline void golden_close(struct golden *g)
{
    vq_engine_free(g->engine);
    vq_model_free(g->model);
}

static inline void golden_npy(struct vq_npy *out, const char *name, const char *array)
{
    char path[256];
    struct vq_err err;
    snprintf(path, sizeof(path), GOLDEN "%s/%s.npy", name, array);
    assert_ok(vq_npy_read(out, path, &err), &err);
}

static inline void golden_json(struct vq_json **out, const char *name)
{
    char path[256], text[16384];
    struct vq_err err;
    snprintf(path, sizeof(path), GOLDEN "%s/expected.json", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_ok(vq_json_parse(out, text, n, &err), &err);
}

static inline float *random_floats(uint64_t seed, size_t n)
{
    struct vq_rng rng;
    float *x = malloc((n ? n : 1) * sizeof(*x));
    assert_non_null(x);
    vq_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)vq_rng_normal(&rng);
    return x;
}

static inline bool always(void *ud)
{
    (void)ud;
    return true;
}

#endif
