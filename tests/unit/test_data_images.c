/*
 * Data sets of pictures: npz archives in planes, folders of files in any format; which picture is
 * in which split, and what is refused by name.
 */
#include "tests/unit/test_data.h"

#include "core/data/image.h"

#define ARCHIVES "tests/data/data/imagenet"

enum { PICTURE = 12288 };

/* The fixtures' picture i, row y, column x, channel c. */
static uint8_t value(size_t i, size_t y, size_t x, size_t c)
{
    return (uint8_t)(i * 31 + c * 80 + y * 3 + x);
}

static void check_picture(const int32_t *t, size_t i)
{
    for (size_t k = 0; k < PICTURE; k++) {
        int want = value(i, k / 192, k / 3 % 64, k % 3) + VQ_N_SPECIAL;
        if (t[k] != want)
            fail_msg("picture %zu, byte %zu: %d, not %d", i, k, t[k], want);
    }
}

/* The split holds the pictures from `first`, n of them, be they handed out whole, or in parts of
 * several or of less than one. */
static void check_split(const char *path, enum vq_split split, size_t first, size_t n)
{
    static const size_t lengths[] = {PICTURE, PICTURE / 8, 3 * PICTURE / 2};
    for (size_t k = 0; k < 3; k++) {
        struct vq_data_options o = options(image64, split, 3, lengths[k]);
        struct vq_data *d = must_open(path, &o);
        struct vq_data_info info = vq_data_info(d);
        size_t tokens;
        int32_t *t = all_tokens(d, &o, &tokens);
        assert_string_equal(info.kind, "imagenet64");
        assert_false(info.is_text);
        assert_int_equal(info.documents, n);
        assert_int_equal(info.bytes, n * PICTURE);
        assert_true(tokens >= n * PICTURE && tokens < n * PICTURE + lengths[k]);
        for (size_t i = 0; i < n; i++)
            check_picture(t + i * PICTURE, first + i);
        free(t);
        vq_data_free(d);
    }
}

/* 40 training pictures in three archives, batch 10 after batch 2, and 3 official validation
 * pictures: of 40 the authors' rule trains on floor(40 * 1200000 / 1281167) = 37. */
static void test_imagenet(void **state)
{
    (void)state;
    check_split(ARCHIVES, VQ_TRAIN, 0, 37);
    check_split(ARCHIVES, VQ_VALIDATION, 37, 3);
    check_split(ARCHIVES, VQ_TEST, 100, 3);
    check_split(ARCHIVES "/val_data.npz", VQ_TEST, 100, 3);
    /* One archive of 30 pictures: 27, 1 and 2. */
    check_split(ARCHIVES "/train_data_batch_2.npz", VQ_TRAIN, 2, 27);
    check_split(ARCHIVES "/train_data_batch_2.npz", VQ_VALIDATION, 29, 1);
    check_split("imagenet64:" ARCHIVES "/train_data_batch_2.npz", VQ_TEST, 30, 2);
    struct vq_data_options o = options(image64, VQ_TRAIN, 1, PICTURE);
    refused(ARCHIVES "/val_data.npz", &o, VQ_EINVAL,
            "nothing is in its split train; there is data in test");
}

/* A channel's ids are its own wherever a sequence begins and ends in a picture. */
static void test_channels(void **state)
{
    (void)state;
    static const size_t lengths[] = {PICTURE, 1000, 3 * PICTURE / 2 + 1};
    for (size_t k = 0; k < 3; k++) {
        struct vq_data_options o = options(rgb64, VQ_VALIDATION, 2, lengths[k]);
        struct vq_data *d = must_open(ARCHIVES, &o);
        size_t tokens;
        int32_t *t = all_tokens(d, &o, &tokens);
        assert_true(tokens >= 3 * PICTURE);
        for (size_t i = 0; i < tokens; i++) {
            size_t at = i % PICTURE, c = at % 3;
            int want = i < 3 * PICTURE ? (int)(256 * c) + VQ_N_SPECIAL +
                                             value(37 + i / PICTURE, at / 192, at / 3 % 64, c)
                                       : VQ_PAD;
            if (t[i] != want)
                fail_msg("sequences of %zu, byte %zu: %d, not %d", lengths[k], i, t[i], want);
        }
        free(t);
        vq_data_free(d);
    }
}

static void test_shuffled(void **state)
{
    (void)state;
    struct vq_data_options o = options(image64, VQ_TRAIN, 4, PICTURE);
    o.shuffled = true;
    struct vq_data *d = must_open(ARCHIVES, &o);
    int32_t *t = malloc(4 * PICTURE * sizeof(*t));
    uint64_t sequence[4];
    size_t rows;
    for (size_t i = 0; i < 30; i++) {
        assert_ok(vq_data_next(d, t, sequence, &rows, &err), &err);
        for (size_t b = 0; b < 4; b++)
            check_picture(t + b * PICTURE, (size_t)sequence[b]);
    }
    assert_int_equal(vq_data_tell(d).epoch, 3);
    free(t);
    vq_data_free(d);
}

/* An npz cut anywhere: always refused when it is opened, since its directory is at its end. */
static void test_truncated(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 10, 100, 1000, 1500, 1802};
    struct vq_data_options o = options(image64, VQ_TEST, 1, PICTURE);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put_copy("val_cut.npz", ARCHIVES "/val_data.npz", lengths[i]);
        refused(in("val_cut.npz"), &o, VQ_EFORMAT, "val_cut.npz");
        assert_says(&err, i < 2 ? "expected a ZIP archive" : "cut short");
    }
}

/* Damage inside is met when the picture is read, and the data goes on from where it was. */
static void test_damaged(void **state)
{
    (void)state;
    struct vq_data_options o = options(image64, VQ_TEST, 1, PICTURE);
    static uint8_t archive[5673];
    int32_t *t = malloc(PICTURE * sizeof(*t));
    size_t rows;
    FILE *f = fopen(ARCHIVES "/train_data_batch_2.npz", "rb");
    assert_non_null(f);
    assert_int_equal(fread(archive, 1, sizeof(archive), f), sizeof(archive));
    fclose(f);
    archive[4000] ^= 255;
    put("val_bad.npz", archive, sizeof(archive));
    struct vq_data *d = must_open(in("val_bad.npz"), &o);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_EFORMAT);
    assert_says(&err, "val_bad.npz: member data.npy: damaged");
    assert_int_equal(vq_data_tell(d).index, 0);
    vq_data_free(d);
    free(t);
}

/* A stored archive of the one array of this header. */
static void put_npz(const char *name, const char *member, const char *header, size_t body)
{
    static uint8_t file[1 << 17];
    size_t n = strlen(header), size = 10 + n + body, m = strlen(member), at = 30 + m;
    uint8_t head[] = {'P', 'K', 3, 4, 20, 0, 0, 0, 0, 0};
    memset(file, 0, sizeof(file));
    memcpy(file, head, sizeof(head));
    file[26] = (uint8_t)m;
    memcpy(file + 30, member, m);
    memcpy(file + at, "\x93NUMPY\1\0", 8);
    file[at + 8] = (uint8_t)n;
    memcpy(file + at + 10, header, n);
    size_t directory = at + size;
    uint8_t *c = file + directory, *end = c + 46 + m;
    memcpy(c, "PK\1\2", 4);
    for (int i = 0; i < 4; i++) {
        c[20 + i] = c[24 + i] = (uint8_t)(size >> 8 * i);
        end[16 + i] = (uint8_t)(directory >> 8 * i);
    }
    c[28] = (uint8_t)m;
    memcpy(c + 46, member, m);
    memcpy(end, "PK\5\6", 4);
    end[8] = end[10] = 1;
    end[12] = (uint8_t)(46 + m);
    put(name, file, directory + 46 + m + 22);
}

static void test_other_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *member, *header;
        size_t body;
        enum vq_status code;
        const char *why;
    } cases[] = {
        {"data.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3072), }", 6144,
         VQ_ESHAPE, "expected uint8 [N, 12288], found uint8 of rank 2, rows of 3072"},
        {"data.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 12288), }", 49152,
         VQ_ESHAPE, "found float32"},
        {"data.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (12288,), }", 12288,
         VQ_ESHAPE, "rank 1"},
        {"data.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (9, 12288), }", 12288,
         VQ_EFORMAT, "cut short"},
        {"data.npy", "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 12288), }", 12288,
         VQ_EUNSUPPORTED, "Fortran"},
        {"data.npy", "no header", 10, VQ_EFORMAT, "npy header"},
        {"images.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 12288), }", 12288,
         VQ_EFORMAT, "holds no array named data"},
    };
    struct vq_data_options o = options(image64, VQ_TEST, 1, PICTURE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_npz("val_x.npz", cases[i].member, cases[i].header, cases[i].body);
        refused(in("val_x.npz"), &o, cases[i].code, cases[i].why);
        assert_says(&err, in("val_x.npz"));
    }
    put_npz("val_x.npz", "data.npy",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (5, 12288), }", 5 * PICTURE);
    struct vq_data *d = must_open(in("val_x.npz"), &o);
    assert_int_equal(vq_data_info(d).documents, 5);
    vq_data_free(d);
}

/* Every kind of picture that the decoder reads, at the size that it makes of them. */
static void test_folder(void **state)
{
    (void)state;
    static const char *const files[] = {"26ab.png", "1f3b5.png", "grey.jpg", "cmyk.jpg"};
    put_folder("pictures");
    put_folder("pictures/deep");
    for (size_t i = 0; i < 4; i++) {
        char name[64], from[64];
        snprintf(name, sizeof(name), "pictures/%s%zu%s", i % 2 ? "deep/" : "", 20 - i,
                 i < 2 ? ".PNG" : ".jpeg");
        snprintf(from, sizeof(from), "tests/data/image/%s", files[i]);
        put_copy(name, from, 1 << 20);
    }
    put_text("pictures/readme.txt", "no picture");
    /* By name: 18, 20, deep/17, deep/19; of 4 pictures 3 to train on, 0 and 1 held out. */
    struct vq_data_options o = options(image64, VQ_TRAIN, 2, PICTURE);
    static const size_t order[] = {2, 0, 3};
    size_t n;
    struct vq_data *d = must_open(in("pictures"), &o);
    int32_t *t = all_tokens(d, &o, &n);
    assert_string_equal(vq_data_info(d).kind, "images");
    assert_int_equal(n, 3 * PICTURE);
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        uint8_t *rgb;
        snprintf(path, sizeof(path), "tests/data/image/%s", files[order[i]]);
        assert_ok(vq_image_load_square(path, 64, &rgb, &err), &err);
        for (size_t k = 0; k < PICTURE; k++)
            assert_int_equal(t[i * PICTURE + k], rgb[k] + VQ_N_SPECIAL);
        free(rgb);
    }
    free(t);
    vq_data_free(d);
    o.split = VQ_VALIDATION;
    refused(in("pictures"), &o, VQ_EINVAL, "nothing is in its split validation");
    o.split = VQ_TEST;
    d = must_open(in("pictures"), &o);
    assert_int_equal(vq_data_info(d).documents, 1);
    vq_data_free(d);
}

static void test_split_folders(void **state)
{
    (void)state;
    put_folder("parts");
    put_folder("parts/train");
    put_folder("parts/val");
    put_copy("parts/train/a.png", "tests/data/image/26ab.png", 1 << 20);
    put_copy("parts/val/b.png", "tests/data/image/1f3b5.png", 1 << 20);
    put_copy("parts/val/c.png", "tests/data/image/26ab.png", 200);
    struct vq_data_options o = options(image64, VQ_TRAIN, 1, PICTURE);
    struct vq_data *d = must_open(in("parts"), &o);
    assert_int_equal(vq_data_info(d).documents, 1);
    vq_data_free(d);
    o.split = VQ_TEST;
    refused(in("parts"), &o, VQ_EINVAL, "no folder test");

    int32_t *t = malloc(PICTURE * sizeof(*t));
    size_t rows;
    o.split = VQ_VALIDATION;
    d = must_open(in("parts"), &o);
    assert_ok(vq_data_next(d, t, NULL, &rows, &err), &err);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_EFORMAT);
    assert_says(&err, "parts/val/c.png");
    assert_int_equal(vq_data_tell(d).index, 1);
    vq_data_free(d);
    free(t);
}

static void test_refusals(void **state)
{
    (void)state;
    struct vq_data_options o = options(image64, VQ_TRAIN, 1, PICTURE);
    char spec[300];
    put_folder("none");
    put_text("none/a.txt", "text");
    snprintf(spec, sizeof(spec), "images:%s", in("none"));
    refused(spec, &o, VQ_EINVAL, "none: holds no file that ends in one of .png");
    snprintf(spec, sizeof(spec), "imagenet64:%s", in("none"));
    refused(spec, &o, VQ_EINVAL, "holds no .npz archive");
    snprintf(spec, sizeof(spec), "images:%s", in("none/a.txt"));
    refused(spec, &o, VQ_EINVAL, "expected a folder of pictures");
    o.vocab = pieces;
    refused(ARCHIVES, &o, VQ_EUNSUPPORTED, "needs a vocabulary for pictures");
    o.vocab = image64;
    uint64_t words;
    struct vq_data *d = must_open(ARCHIVES, &o);
    assert_int_equal(vq_data_words(d, &words, &err), VQ_EUNSUPPORTED);
    vq_data_free(d);
}

/* The authors' kind of archive, made of the emoji that lie beside it as files. */
static void test_samples(void **state)
{
    (void)state;
    if (samples_absent())
        return;
    static const size_t n[] = {112, 8, 20};
    for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
        struct vq_data_options o = options(image64, (enum vq_split)split, 16, PICTURE);
        struct vq_data *d = must_open("imagenet64:" SHARED "images", &o);
        size_t tokens, white = 0;
        int32_t *t = all_tokens(d, &o, &tokens);
        assert_int_equal(tokens, n[split] * PICTURE);
        for (size_t i = 0; i < n[split]; i++) /* the corners of nearly all emoji */
            white += t[i * PICTURE] == 258 && t[i * PICTURE + PICTURE - 1] == 258;
        assert_true(white * 10 > n[split] * 9);
        free(t);
        vq_data_free(d);
    }
    struct vq_data_options o = options(image64, VQ_TRAIN, 16, PICTURE);
    struct vq_data *d = must_open(SHARED "images/emoji", &o);
    assert_int_equal(vq_data_info(d).documents, 225);
    vq_data_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_imagenet), cmocka_unit_test(test_channels),
        cmocka_unit_test(test_shuffled), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_other_arrays),
        cmocka_unit_test(test_folder),   cmocka_unit_test(test_split_folders),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
