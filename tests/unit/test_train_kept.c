/* Which checkpoints of a training run stay, under which names. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/train/kept.h"

static char root[] = "/tmp/vqsh-kept-XXXXXX";
static char folder[64];

static int setup(void **state)
{
    (void)state;
    if (!strcmp(root + strlen(root) - 6, "XXXXXX"))
        assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof(folder), "%s/a/b", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s/a'", root);
    return system(command);
}

static int remove_root(void **state)
{
    (void)state;
    return rmdir(root);
}

static void touch(enum vq_kept_file kind, int64_t step)
{
    char *path = vq_kept_path(folder, kind, step), *inside = NULL;
    if (kind == VQ_KEPT_FLAX) {
        assert_int_equal(mkdir(path, 0777), 0);
        assert_true(asprintf(&inside, "%s/checkpoint", path) > 0);
    }
    assert_int_equal(vq_file_replace(inside ? inside : path, "x", 1, NULL), VQ_OK);
    free(inside);
    free(path);
}

static bool there(enum vq_kept_file kind, int64_t step)
{
    char *path = vq_kept_path(folder, kind, step);
    bool yes = !access(path, F_OK);
    free(path);
    return yes;
}

/* Writes a checkpoint of each step in turn, with its loss (0: not judged), into a new folder, and
 * compares what is left, in the list and on the disk. */
static void stays(size_t keep, const double *loss, size_t n, const char *expected)
{
    struct vq_kept k;
    char listed[64] = "", found[64] = "";
    assert_int_equal(vq_kept_open(&k, folder, keep, NULL), VQ_OK);
    for (size_t i = 0; i < n; i++) {
        touch(VQ_KEPT_SAFETENSORS, (int64_t)i);
        assert_int_equal(vq_kept_add(&k, (int64_t)i, loss[i] > 0 ? loss[i] : NAN, NULL), VQ_OK);
    }
    for (size_t i = 0; i < k.n; i++)
        snprintf(listed + strlen(listed), sizeof(listed) - strlen(listed), "%d", (int)k.at[i].step);
    for (size_t i = 0; i < n; i++)
        if (there(VQ_KEPT_SAFETENSORS, (int64_t)i))
            snprintf(found + strlen(found), sizeof(found) - strlen(found), "%zu", i);
    assert_string_equal(listed, expected);
    assert_string_equal(found, expected);
    vq_kept_release(&k);
    assert_int_equal(teardown(NULL), 0);
}

static void test_the_best_and_the_newest_stay(void **state)
{
    (void)state;
    const double none[] = {0, 0, 0, 0}, falling[] = {4, 3, 2, 1}, rising[] = {1, 2, 3, 4},
                 mixed[] = {3, 0, 1, 0, 2, 5}, late[] = {0, 0, 2, 0}, equal[] = {1, 1, 1};
    stays(0, none, 4, "0123");
    stays(2, none, 4, "23");
    stays(2, falling, 4, "23");
    stays(2, rising, 4, "013");
    stays(1, rising, 4, "03");
    stays(2, mixed, 6, "245");
    stays(3, mixed, 5, "024");
    stays(3, late, 4, "23");
    stays(1, equal, 3, "2");
}

static void test_the_list_outlives_the_run(void **state)
{
    (void)state;
    struct vq_kept k;
    assert_int_equal(vq_kept_open(&k, folder, 2, NULL), VQ_OK);
    assert_null(vq_kept_best(&k));
    const double loss[] = {0.1 + 0.2, 0.25, 7};
    for (int i = 0; i < 3; i++) {
        touch(VQ_KEPT_SAFETENSORS, 10 * i);
        assert_int_equal(vq_kept_add(&k, 10 * i, loss[i], NULL), VQ_OK);
    }
    vq_kept_release(&k);

    char *gone = vq_kept_path(folder, VQ_KEPT_SAFETENSORS, 20);
    unlink(gone);
    free(gone);
    assert_int_equal(vq_kept_open(&k, folder, 2, NULL), VQ_OK);
    assert_int_equal(k.n, 2);
    assert_true(k.at[0].step == 0 && k.at[0].loss == loss[0]);
    assert_int_equal(vq_kept_best(&k)->step, 10);
    vq_kept_release(&k);
}

static void test_only_what_is_listed_is_removed(void **state)
{
    (void)state;
    struct vq_kept k;
    assert_int_equal(vq_kept_open(&k, folder, 1, NULL), VQ_OK);
    touch(VQ_KEPT_SAFETENSORS, 5);
    for (int step = 6; step < 8; step++) {
        touch(VQ_KEPT_FLAX, step);
        touch(VQ_KEPT_GENERATOR, step);
        assert_int_equal(vq_kept_add(&k, step, NAN, NULL), VQ_OK);
    }
    assert_true(there(VQ_KEPT_SAFETENSORS, 5));
    assert_false(there(VQ_KEPT_FLAX, 6) || there(VQ_KEPT_GENERATOR, 6));
    assert_true(there(VQ_KEPT_FLAX, 7) && there(VQ_KEPT_GENERATOR, 7));
    assert_int_equal(vq_kept_highest(folder), 7);

    touch(VQ_KEPT_SAFETENSORS, 9);
    assert_int_equal(vq_kept_remove_after(&k, 5, NULL), VQ_OK);
    assert_int_equal(vq_kept_highest(folder), 5);
    assert_int_equal(k.n, 0);
    vq_kept_release(&k);
}

static void test_names(void **state)
{
    (void)state;
    const char *pairs[][2] = {
        {"/x/checkpoint_12/checkpoint", "/x/generator_12.safetensors"},
        {"checkpoint_12/checkpoint", "./generator_12.safetensors"},
        {"/checkpoint_3", "/generator_3.safetensors"},
        {"y/checkpoint_0", "y/generator_0.safetensors"},
        {"y/model.safetensors", NULL},
        {"y/checkpoint", NULL},
        {"checkpoint", NULL},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char *found = vq_kept_generator_of(pairs[i][0]);
        if (pairs[i][1])
            assert_string_equal(found, pairs[i][1]);
        else
            assert_null(found);
        free(found);
    }
    assert_int_equal(vq_kept_highest("/nowhere"), -1);
}

static void test_refusals(void **state)
{
    (void)state;
    struct vq_kept k;
    struct vq_err err;
    const char *bad[] = {"[]", "{\"checkpoints\": 1}", "{\"checkpoints\": [{}]}", "{"};
    char *index = NULL;
    assert_int_equal(vq_kept_open(&k, folder, 0, NULL), VQ_OK);
    vq_kept_release(&k);
    assert_true(asprintf(&index, "%s/training.json", folder) > 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(vq_file_replace(index, bad[i], strlen(bad[i]), NULL), VQ_OK);
        assert_int_equal(vq_kept_open(&k, folder, 0, &err), VQ_EFORMAT);
        assert_non_null(strstr(err.msg, "training.json"));
        vq_kept_release(&k);
    }
    assert_int_equal(vq_kept_open(&k, index, 0, &err), VQ_EINVAL);
    vq_kept_release(&k);
    free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_best_and_the_newest_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_list_outlives_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_is_listed_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, remove_root);
}
