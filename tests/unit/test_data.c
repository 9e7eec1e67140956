/*
 * Data sources: splits, packing with eos, order that a seed repeats, places that can be taken up,
 * and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/data/source.h"

static struct vq_err err;
static char dir[64];
static struct vq_vocab *bytes, *pieces;

static const char *at(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void put(const char *name, const char *text, size_t size)
{
    if (vq_file_replace(at(name), text, size, &err) != VQ_OK)
        fail_msg("%s", err.msg);
}

static struct vq_data *open_data(const char *spec, const struct vq_vocab *v, enum vq_split split,
                                 size_t B, size_t T, bool shuffled, uint64_t group)
{
    struct vq_data *d;
    const struct vq_data_options o = {.vocab = v,
                                      .split = split,
                                      .batch = B,
                                      .sequence_len = T,
                                      .shuffled = shuffled,
                                      .seed = 5,
                                      .group_bytes = group};
    if (vq_data_open(&d, spec, &o, &err) != VQ_OK)
        fail_msg("%s: %s", spec, err.msg);
    return d;
}

static enum vq_status refused(const char *spec, enum vq_split split)
{
    struct vq_data *d;
    const struct vq_data_options o = {
        .vocab = bytes, .split = split, .batch = 1, .sequence_len = 4};
    enum vq_status status = vq_data_open(&d, spec, &o, &err);
    assert_null(d);
    return status;
}

static int set_up(void **state)
{
    (void)state;
    char text[100];
    snprintf(dir, sizeof(dir), "/tmp/vqsh-data-XXXXXX");
    if (!mkdtemp(dir) || vq_vocab_open(&bytes, "bytes", 259, &err) != VQ_OK ||
        vq_vocab_open(&pieces, "tests/data/vocab/google_test_model.model", 0, &err) != VQ_OK)
        return -1;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    put("hundred.txt", text, sizeof(text));
    put("empty.txt", "", 0);
    mkdir(at("pg19"), 0700);
    mkdir(at("pg19/train"), 0700);
    put("pg19/train/1.txt", "abc", 3);
    put("pg19/train/2.txt", "de f", 4);
    put("pg19/train/10.txt", "g", 1);
    mkdir(at("nothing"), 0700);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    vq_vocab_free(bytes);
    vq_vocab_free(pieces);
    return system(command);
}

static void test_splits_and_padding(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {90, 5, 5}, from[] = {0, 90, 95};
    for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
        struct vq_data *d =
            open_data(at("hundred.txt"), bytes, (enum vq_split)split, 1, 4, false, 0);
        int32_t ids[4];
        size_t rows;
        uint64_t seen = 0;
        assert_int_equal(vq_data_info(d).bytes, sizes[split]);
        while (vq_data_next(d, ids, NULL, &rows, &err) == VQ_OK && rows)
            for (size_t i = 0; i < 4; i++, seen++)
                assert_int_equal(ids[i], seen < sizes[split]
                                             ? (int32_t)(from[split] + seen) + VQ_N_SPECIAL
                                             : VQ_PAD);
        assert_int_equal(seen, (sizes[split] + 3) / 4 * 4);
        assert_int_equal(vq_data_next(d, ids, NULL, &rows, &err), VQ_OK);
        assert_int_equal(rows, 0);
        vq_data_free(d);
    }
}

/* Books in the order of their numbers, eos after each, packed into one stream. */
static void test_books_are_packed(void **state)
{
    (void)state;
    static const char want[] = "abc|de f|g|";
    for (size_t T = 1; T <= 12; T++) {
        struct vq_data *d = open_data(at("pg19"), bytes, VQ_TRAIN, 1, T, false, 0);
        int32_t ids[12];
        size_t rows, seen = 0;
        uint64_t words;
        assert_string_equal(vq_data_info(d).kind, "pg19");
        assert_int_equal(vq_data_info(d).documents, 3);
        while (vq_data_next(d, ids, NULL, &rows, &err) == VQ_OK && rows)
            for (size_t i = 0; i < T; i++, seen++)
                assert_int_equal(ids[i], seen >= 11          ? VQ_PAD
                                         : want[seen] == '|' ? VQ_EOS
                                                             : want[seen] + VQ_N_SPECIAL);
        assert_true(seen >= 11 && seen < 11 + T);
        assert_int_equal(vq_data_words(d, &words, &err), VQ_OK);
        assert_int_equal(words, 4);
        vq_data_free(d);
    }
}

/* Every epoch holds every sequence once, in an order of its own; a place is taken up exactly. */
static void resumes(const char *spec, const struct vq_vocab *v, uint64_t group)
{
    enum { B = 3, T = 4, STEPS = 40 };
    int32_t first[STEPS][B * T], again[B * T];
    struct vq_data_state place[STEPS];
    struct vq_data *d = open_data(spec, v, VQ_TRAIN, B, T, true, group);
    size_t rows;
    for (int i = 0; i < STEPS; i++) {
        place[i] = vq_data_tell(d);
        assert_int_equal(vq_data_next(d, first[i], NULL, &rows, &err), VQ_OK);
        assert_int_equal(rows, B);
    }
    assert_true(place[STEPS - 1].epoch > 0);
    vq_data_free(d);
    for (int i = 0; i < STEPS; i += 7) {
        d = open_data(spec, v, VQ_TRAIN, B, T, true, group);
        assert_int_equal(vq_data_seek(d, &place[i], &err), VQ_OK);
        for (int j = i; j < STEPS; j++) {
            assert_int_equal(vq_data_next(d, again, NULL, &rows, &err), VQ_OK);
            assert_memory_equal(again, first[j], sizeof(again));
        }
        vq_data_free(d);
    }
}

static void test_resume(void **state)
{
    (void)state;
    resumes(at("hundred.txt"), bytes, 0);
    resumes(at("pg19"), bytes, 0);
    resumes(at("pg19"), pieces, 5); /* groups of few bytes, so that there are several */
}

static void test_epochs(void **state)
{
    (void)state;
    struct vq_data *d = open_data(at("hundred.txt"), bytes, VQ_TRAIN, 1, 9, true, 0);
    uint64_t order[3][10], sequence;
    size_t rows;
    int32_t ids[9];
    for (int epoch = 0; epoch < 3; epoch++) {
        unsigned seen = 0;
        for (int i = 0; i < 10; i++) {
            assert_int_equal(vq_data_next(d, ids, &sequence, &rows, &err), VQ_OK);
            assert_int_equal(ids[0], (int32_t)sequence * 9 + VQ_N_SPECIAL);
            order[epoch][i] = sequence;
            seen |= 1u << sequence;
        }
        assert_int_equal(seen, 0x3ff);
    }
    assert_memory_not_equal(order[0], order[1], sizeof(order[0]));
    assert_memory_not_equal(order[1], order[2], sizeof(order[1]));
    struct vq_data_state other = vq_data_tell(d);
    other.elements++;
    assert_int_equal(vq_data_seek(d, &other, &err), VQ_EINVAL);
    vq_data_free(d);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(refused(at("empty.txt"), VQ_TRAIN), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "empty"));
    assert_int_equal(refused(at("absent.txt"), VQ_TRAIN), VQ_ENOTFOUND);
    assert_int_equal(refused(at("nothing"), VQ_TRAIN), VQ_EINVAL);
    assert_int_equal(refused(at("pg19"), VQ_TEST), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "test"));
    char spec[300];
    snprintf(spec, sizeof(spec), "images:%s", at("pg19"));
    assert_int_not_equal(refused(spec, VQ_TRAIN), VQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_and_padding),
        cmocka_unit_test(test_books_are_packed),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
