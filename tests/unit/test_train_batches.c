/* Batches of targets: from numpy files and data sets, with places to go back to. */
#include "golden.h"

#include "core/base/file.h"
#include "core/train/batches.h"

static struct vq_err err;
static char folder[] = "/tmp/vqsh-batches-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static const char *array(enum vq_npy_type type, int rank, const size_t *shape, const void *data)
{
    snprintf(path, sizeof(path), "%s/a.npy", folder);
    assert_ok(vq_npy_write(path, type, rank, shape, data, &err), &err);
    return path;
}

/* Takes the place where b stands as text; goes to it again. */
static char *place_of(const struct vq_batches *b)
{
    struct vq_text t = {0};
    b->tell(b->ud, &t);
    return t.data;
}

static enum vq_status go_to(const struct vq_batches *b, const char *place)
{
    struct vq_json *doc;
    assert_ok(vq_json_parse(&doc, place, strlen(place), &err), &err);
    enum vq_status st = b->seek(b->ud, vq_json_root(doc), &err);
    vq_json_free(doc);
    return st;
}

static void test_tokens(void **state)
{
    (void)state;
    const int64_t wide[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const uint8_t narrow[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const size_t three[] = {3, 2, 2}, two[] = {2, 6};
    struct vq_batches b, same;
    int32_t ids[12];
    size_t rows;
    assert_ok(vq_batches_tokens(&b, array(VQ_NPY_I64, 3, three, wide), 12, &err), &err);
    assert_true(b.batch == 2 && b.length == 2 && b.left(b.ud) == 3);
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_true(rows == 2 && ids[0] == 4 && ids[3] == 7 && b.left(b.ud) == 1);
    char *place = place_of(&b);
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_true(rows == 0 && ids[0] == 8);
    assert_ok(go_to(&b, place), &err);
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_true(rows == 2 && ids[0] == 8 && ids[3] == 11);
    assert_int_equal(go_to(&b, "{\"batch\": 4}"), VQ_EFORMAT);
    assert_int_equal(go_to(&b, "{}"), VQ_EFORMAT);
    free(place);

    assert_ok(vq_batches_tokens(&same, array(VQ_NPY_U8, 2, two, narrow), 12, &err), &err);
    assert_true(same.batch == 2 && same.length == 6 && same.left(same.ud) == 1);
    assert_string_equal(same.identity, b.identity);
    vq_batches_release(&b);
    vq_batches_release(&same);
}

static void refused(const char *file, int64_t n_vocab, enum vq_status code, const char *why)
{
    struct vq_batches b;
    assert_int_equal(vq_batches_tokens(&b, file, n_vocab, &err), code);
    assert_says(&err, why, file);
    assert_null(b.ud);
}

static void test_refused_tokens(void **state)
{
    (void)state;
    const int32_t ids[] = {0, 1, -1, 3};
    const float real[] = {0, 1, 2, 3};
    const size_t shape[] = {2, 2, 1, 1}, empty[] = {2, 0}, flat[] = {4};
    refused(array(VQ_NPY_I32, 2, shape, ids), 4, VQ_EINVAL,
            "element 2: expected an id from 0 to 3");
    refused(array(VQ_NPY_F32, 2, shape, real), 4, VQ_ESHAPE, "float32 of rank 2");
    refused(array(VQ_NPY_I32, 1, flat, ids), 4, VQ_ESHAPE, "int32 of rank 1");
    refused(array(VQ_NPY_I32, 4, shape, ids), 4, VQ_ESHAPE, "rank 4");
    refused(array(VQ_NPY_I32, 2, empty, ids), 4, VQ_ESHAPE, "empty");
    refused("/nowhere.npy", 4, VQ_ENOTFOUND, "nowhere");
}

static void test_data(void **state)
{
    (void)state;
    struct vq_vocab *v;
    struct vq_batches b, once;
    int32_t ids[2 * 64], again[2 * 64];
    size_t rows, sequences = 0;
    assert_ok(vq_vocab_open(&v, "bytes", 0, &err), &err);
    struct vq_data_options o = {
        .vocab = v, .batch = 2, .sequence_len = 64, .shuffled = true, .seed = UINT64_MAX};
    assert_ok(vq_batches_data(&b, "samples/heldout.txt", &o, NULL, &err), &err);
    assert_int_equal(b.left(b.ud), -1);
    for (int i = 0; i < 100; i++) /* into the second epoch */
        assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    char *place = place_of(&b);
    assert_non_null(strstr(place, "\"18446744073709551615\""));
    assert_ok(b.next(b.ud, ids, &rows, &err), &err);
    assert_ok(b.next(b.ud, again, &rows, &err), &err);
    assert_memory_not_equal(ids, again, sizeof(ids));
    assert_ok(go_to(&b, place), &err);
    assert_ok(b.next(b.ud, again, &rows, &err), &err);
    assert_memory_equal(ids, again, sizeof(ids));
    assert_int_equal(go_to(&b, "{\"seed\": 1}"), VQ_EFORMAT);
    free(place);

    o.shuffled = false;
    o.split = VQ_TEST;
    assert_ok(vq_batches_data(&once, "samples/heldout.txt", &o, NULL, &err), &err);
    assert_string_not_equal(once.identity, b.identity);
    while (once.next(once.ud, ids, &rows, &err) == VQ_OK && rows)
        sequences += rows;
    assert_int_equal(sequences, (410 + 63) / 64); /* 5 % of 8,192 bytes */
    vq_batches_release(&b);
    vq_batches_release(&once);
    vq_vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_refused_tokens),
        cmocka_unit_test(test_data),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
