/*
 * What the tests of core/model share: the golden cases of tests/data/golden (and, where it lies
 * beside the repository, the full set of ../shared/golden) and how to read them.
 */
#ifndef VQ_TEST_GOLDEN_H
#define VQ_TEST_GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/npy.h"
#include "core/model/model.h"

#define GOLDEN      "tests/data/golden"
#define GOLDEN_FULL "../shared/golden"

/* Fails the test with the message of err. */
#define assert_ok(rc, err)                                                                         \
    do {                                                                                           \
        if ((rc) != VQ_OK)                                                                         \
            fail_msg("%s", (err)->msg);                                                            \
    } while (0)

/* The message of err contains each of the strings. */
#define assert_says(err, ...) assert_says_all(err, (const char *const[]){__VA_ARGS__, NULL})

static inline void assert_says_all(const struct vq_err *err, const char *const *words)
{
    for (; *words; words++)
        if (!strstr(err->msg, *words))
            fail_msg("'%s' does not contain '%s'", err->msg, *words);
}

static const char *const golden_cases[] = {
    "enwik8", "enwik8_noagg", "tied",         "tied_no_pe",         "fixture_agg",  "fixture_noagg",
    "heads3", "layers11",     "mem8_block16", "mem8_block16_noagg", "mem32_block8", "mem12_block1",
};
enum { N_GOLDEN = sizeof(golden_cases) / sizeof(golden_cases[0]) };

/* Whether the full set is there; says so when it is not. */
static inline int golden_full_absent(void)
{
    if (access(GOLDEN_FULL "/README.md", R_OK) == 0)
        return 0;
    print_message("skipped: no full golden set in " GOLDEN_FULL "\n");
    return 1;
}

static inline struct vq_npy golden_array(const char *root, const char *name, const char *array)
{
    char path[256];
    struct vq_err err;
    struct vq_npy a;
    snprintf(path, sizeof(path), "%s/%s/%s.npy", root, name, array);
    assert_ok(vq_npy_read(&a, path, &err), &err);
    return a;
}

static inline struct vq_model *golden_model(const char *root, const char *name)
{
    char path[256];
    struct vq_err err;
    struct vq_model *m;
    const char *file = strcmp(root, GOLDEN) ? "checkpoint_3" : "model.safetensors";
    snprintf(path, sizeof(path), "%s/%s/%s", root, name, file);
    assert_ok(vq_model_open(&m, path, NULL, &err), &err);
    return m;
}

#endif
