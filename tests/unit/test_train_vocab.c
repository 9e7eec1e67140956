/* Making SentencePiece vocabularies: what comes out opens, and what cannot be made is said. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/vocab/train.h"
#include "core/vocab/vocab.h"

static char folder[] = "/tmp/vqsh-train-vocab-XXXXXX";
static char out[96], one[96], two[96];

static void write_file(const char *path, const char *text)
{
    assert_int_equal(vq_file_replace(path, text, strlen(text), NULL), VQ_OK);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(out, sizeof(out), "%s/out.model", folder);
    snprintf(one, sizeof(one), "%s/a.txt", folder);
    snprintf(two, sizeof(two), "%s/b.txt", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(out);
    unlink(one);
    unlink(two);
    return rmdir(folder);
}

static enum vq_status train(const struct vq_vocab_training *t, struct vq_vocab_trained *r,
                            struct vq_err *err)
{
    char *model;
    size_t size;
    enum vq_status st = vq_vocab_train(t, &model, &size, r, err);
    assert_true((st == VQ_OK) == (model != NULL));
    if (model)
        assert_int_equal(vq_file_replace(out, model, size, NULL), VQ_OK);
    free(model);
    return st;
}

static struct vq_vocab_training of(const char *const *paths, size_t n, int size)
{
    return (struct vq_vocab_training){
        .paths = paths, .n_paths = n, .size = size, .type = "bpe", .coverage = 1};
}

static void test_makes_a_vocabulary(void **state)
{
    (void)state;
    const char *paths[] = {"samples/heldout.txt"};
    const struct vq_vocab_training t = of(paths, 1, 300);
    struct vq_vocab_trained r;
    struct vq_err err = {0};
    if (train(&t, &r, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(r.files, 1);
    assert_true(r.lines > 100 && r.bytes > r.lines);
    assert_int_equal(r.skipped, 0);

    struct vq_vocab *v;
    char piece[64];
    assert_int_equal(vq_vocab_open(&v, out, 300, NULL), VQ_OK);
    assert_string_equal(vq_vocab_piece(v, VQ_PAD, piece, sizeof(piece)), "<pad>");
    assert_string_equal(vq_vocab_piece(v, VQ_EOS, piece, sizeof(piece)), "<eos>");
    assert_string_equal(vq_vocab_piece(v, VQ_UNK, piece, sizeof(piece)), "<unk>");

    const char text[] = "It is a truth universally acknowledged.";
    int32_t *ids;
    size_t n, size;
    char *back;
    assert_int_equal(vq_vocab_encode(v, text, strlen(text), &ids, &n, NULL), VQ_OK);
    assert_true(n < strlen(text));
    assert_int_equal(vq_vocab_decode(v, ids, n, &back, &size, NULL), VQ_OK);
    assert_string_equal(back, text);
    free(ids);
    free(back);
    vq_vocab_free(v);
}

static void test_reads_folders_and_leaves_out_what_is_no_text(void **state)
{
    (void)state;
    const char *paths[] = {folder};
    const struct vq_vocab_training t = of(paths, 1, 12);
    struct vq_vocab_trained r;
    write_file(one, "abab abba\r\n\nbad \xff line\nabc ab");
    write_file(two, "cab\n");
    assert_int_equal(train(&t, &r, NULL), VQ_OK);
    assert_int_equal(r.files, 2);
    assert_int_equal(r.lines, 3);
    assert_int_equal(r.skipped, 1);
}

static void refused(const struct vq_vocab_training *t, enum vq_status code, const char *why)
{
    struct vq_vocab_trained r;
    struct vq_err err = {0};
    enum vq_status st = train(t, &r, &err);
    if (st != code || !strstr(err.msg, why))
        fail_msg("expected \"%s\", found %d \"%s\"", why, st, err.msg);
}

static bool stop(void *ud)
{
    (void)ud;
    return true;
}

static void test_refusals(void **state)
{
    (void)state;
    const char *paths[] = {one}, *missing[] = {"/nowhere/text"}, *none[] = {"tests/data/vocab"};
    const struct vq_cancel cancel = {.poll = stop};
    write_file(one, "abc\n");
    struct vq_vocab_training t = of(paths, 1, 1000);
    refused(&t, VQ_EINVAL, "<= 13");
    t.size = 4;
    refused(&t, VQ_EINVAL, "smaller than required");
    write_file(one, "\n\n");
    refused(&t, VQ_EINVAL, "no text");
    t = of(missing, 1, 10);
    refused(&t, VQ_ENOTFOUND, "/nowhere/text");
    none[0] = "tests/unit";
    t = of(none, 1, 10);
    refused(&t, VQ_ENOTFOUND, "without *.txt");
    write_file(one, "abc\n");
    t = of(paths, 1, 5);
    t.cancel = &cancel;
    refused(&t, VQ_ECANCELLED, "interrupted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_a_vocabulary),
        cmocka_unit_test(test_reads_folders_and_leaves_out_what_is_no_text),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
