/* npy: what numpy writes is read, what we write is what numpy would, and a file that lies about
 * itself is refused before its claims are believed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/npy.h"

static char folder[] = "/tmp/vqsh-npy-XXXXXX";
static char path[64];

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/a.npy", folder);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

static void write_raw(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file of the given version, header text and `body` zero bytes. */
static void make(int version, const char *header, size_t body)
{
    uint8_t file[4096] = {0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0};
    size_t n = strlen(header), at = version == 1 ? 10 : 12;
    file[8] = (uint8_t)n;
    file[9] = (uint8_t)(n >> 8);
    memcpy(file + at, header, n);
    write_raw(file, at + n + body);
}

static void refused(enum vq_status code, const char *why)
{
    struct vq_npy a;
    struct vq_err err = {0};
    enum vq_status status = vq_npy_read(&a, path, &err);
    if (status != code || !strstr(err.msg, why) || strncmp(err.msg, path, strlen(path)) != 0)
        fail_msg("expected \"%s\", found %d \"%s\"", why, status, err.msg);
    assert_null(a.data);
}

static void round_trip(void **state)
{
    (void)state;
    uint8_t data[2 * 3 * 8], *read;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37 + 5);
    const size_t shape[] = {2, 3};
    static const char *const names[] = {"float32", "float64", "float16", "int32",  "int64", "int16",
                                        "uint16",  "int8",    "uint8",   "uint32", "uint64"};
    for (int type = VQ_NPY_F32; type <= VQ_NPY_U64; type++) {
        struct vq_npy a;
        size_t size = vq_npy_type_size((enum vq_npy_type)type);
        assert_int_equal(vq_npy_write(path, (enum vq_npy_type)type, 2, shape, data, NULL), VQ_OK);
        assert_int_equal(vq_npy_read(&a, path, NULL), VQ_OK);
        assert_int_equal(a.type, type);
        assert_int_equal(a.rank, 2);
        assert_int_equal(a.shape[0], 2);
        assert_int_equal(a.shape[1], 3);
        assert_int_equal(a.count, 6);
        read = a.data;
        assert_memory_equal(read, data, 6 * size);
        assert_string_equal(vq_npy_type_name(a.type), names[type]);
        vq_npy_release(&a);
    }
}

/* Byte for byte the file numpy.save makes of int16 [[1, 2, 3]]. */
static void layout(void **state)
{
    (void)state;
    const int16_t data[] = {1, 2, 3};
    const size_t shape[] = {1, 3};
    assert_int_equal(vq_npy_write(path, VQ_NPY_I16, 2, shape, data, NULL), VQ_OK);
    char expected[134];
    memset(expected, ' ', sizeof(expected));
    memcpy(expected, "\x93NUMPY\x01\x00\x76\x00", 10);
    const char *dict = "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3), }";
    memcpy(expected + 10, dict, strlen(dict));
    memcpy(expected + 127, "\n\1\0\2\0\3\0", 7);
    struct vq_file f;
    assert_int_equal(vq_file_open(&f, path, NULL), VQ_OK);
    assert_int_equal(f.size, sizeof(expected));
    assert_memory_equal(f.data, expected, sizeof(expected));
    vq_file_close(&f);
}

static void ranks(void **state)
{
    (void)state;
    static const struct {
        int rank;
        size_t shape[8], count;
    } cases[] = {
        {0, {0}, 1}, {1, {5}, 5}, {1, {0}, 0}, {3, {2, 0, 4}, 0}, {8, {1, 2, 1, 2, 1, 2, 1, 2}, 16},
    };
    float data[16];
    for (int i = 0; i < 16; i++)
        data[i] = (float)i / 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vq_npy a;
        assert_int_equal(vq_npy_write(path, VQ_NPY_F32, cases[i].rank, cases[i].shape, data, NULL),
                         VQ_OK);
        assert_int_equal(vq_npy_read(&a, path, NULL), VQ_OK);
        assert_int_equal(a.rank, cases[i].rank);
        assert_int_equal(a.count, cases[i].count);
        assert_memory_equal(a.shape, cases[i].shape, sizeof(size_t) * (size_t)a.rank);
        assert_non_null(a.data);
        assert_memory_equal(a.data, data, a.count * sizeof(float));
        vq_npy_release(&a);
    }
}

/* Other spellings of a header that are right all the same. */
static void spellings(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'shape':(3,),'fortran_order':False,'descr':'<i4'}",
        "{\"descr\": \"<i4\", \"fortran_order\": False, \"shape\": ( 3 , )}   \n",
    };
    for (size_t i = 0; i < 3; i++)
        for (int version = 1; version <= 3; version++) {
            struct vq_npy a;
            make(version, headers[i], 12);
            assert_int_equal(vq_npy_read(&a, path, NULL), VQ_OK);
            assert_int_equal(a.type, VQ_NPY_I32);
            assert_int_equal(a.shape[0], 3);
            vq_npy_release(&a);
        }
}

#define ORDER "'fortran_order': False, "

static void unsupported(void **state)
{
    (void)state;
    static const struct {
        const char *header, *why;
    } cases[] = {
        {"{'descr': '>i4', " ORDER "'shape': (3,), }", "'>i4' (big-endian)"},
        {"{'descr': '|O', " ORDER "'shape': (3,), }", "'|O' (Python objects)"},
        {"{'descr': '<U7', " ORDER "'shape': (3,), }", "'<U7' (strings)"},
        {"{'descr': '<c8', " ORDER "'shape': (3,), }", "'<c8' (not a type that is read here)"},
        {"{'descr': '|b1', " ORDER "'shape': (3,), }", "'|b1' (not a type that is read here)"},
        {"{'descr': '', " ORDER "'shape': (3,), }", "''"},
        {"{'descr': [('a', '<i4')], " ORDER "'shape': (3,), }", "a structured array"},
        {"{'descr': '<i4', 'fortran_order': True, 'shape': (3,), }", "Fortran order"},
        {"{'descr': '<i4', " ORDER "'shape': (1,1,1,1,1,1,1,1,1), }", "more than 8 dimensions"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make(1, cases[i].header, 12);
        refused(VQ_EUNSUPPORTED, cases[i].why);
    }
    make(4, "{'descr': '<i4', " ORDER "'shape': (3,), }", 12);
    refused(VQ_EUNSUPPORTED, "format version 4");
}

static void malformed(void **state)
{
    (void)state;
    static const struct {
        const char *header, *why;
    } cases[] = {
        {"", "expected '{'"},
        {"{", "expected a key"},
        {"{}", "expected the keys"},
        {"{'descr': '<i4', 'shape': (3,), }", "expected the keys"},
        {"{'descr': '<i4' " ORDER "'shape': (3,), }", "expected ',' or '}'"},
        {"{'descr': <i4, " ORDER "'shape': (3,), }", "expected the element type"},
        {"{'descr", "expected a key"},
        {"{'descr': '<i4', 'fortran_order': 0, 'shape': (3,), }", "expected True or False"},
        {"{'descr': '<i4', " ORDER "'shape': (3), }", "expected ','"},
        {"{'descr': '<i4', " ORDER "'shape': 3, }", "expected '('"},
        {"{'descr': '<i4', " ORDER "'shape': (-3,), }", "expected a dimension"},
        {"{'descr': '<i4', " ORDER "'shape': (3,,), }", "expected a dimension"},
        {"{'descr': '<i4', " ORDER "'shape': (3", "expected ','"},
        {"{'descr': '<i4', " ORDER "'shape': (3,), 'extra': 1}", "expected one of the keys"},
        {"{'descr': '<i4', " ORDER "'shape': (3,), } x", "expected the end"},
        {"{'descr': '<i4', " ORDER "'shape': (4,), }", "cut short: 4 elements of int32 need 16"},
        {"{'descr': '<i4', " ORDER "'shape': (2,), }", "trailing bytes"},
        {"{'descr': '<i4', " ORDER "'shape': (0,), }", "trailing bytes"},
        {"{'descr': '<i4', " ORDER "'shape': (99999999999999999999,), }", "a dimension"},
        {"{'descr': '<i4', " ORDER "'shape': (4294967296, 4294967296), }", "overflows"},
        {"{'descr': '<i4', " ORDER "'shape': (4611686018427387907,), }", "overflows"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make(1, cases[i].header, 12);
        refused(VQ_EFORMAT, cases[i].why);
    }
}

/* Every start of a file is refused. */
static void truncated(void **state)
{
    (void)state;
    const double data[] = {1, 2, 3};
    const size_t shape[] = {3};
    assert_int_equal(vq_npy_write(path, VQ_NPY_F64, 1, shape, data, NULL), VQ_OK);
    struct vq_file f;
    assert_int_equal(vq_file_open(&f, path, NULL), VQ_OK);
    char whole[256];
    size_t size = f.size;
    assert_in_range(size, 128 + 24, sizeof(whole));
    memcpy(whole, f.data, size);
    vq_file_close(&f);
    for (size_t n = 0; n < size; n++) {
        write_raw(whole, n);
        refused(VQ_EFORMAT, n == 0 ? "an empty file" : n < 6 ? "found" : "cut short");
    }
    write_raw("\x89PNG\r\n\x1a\n....", 12);
    refused(VQ_EFORMAT, "expected a numpy array (.npy), found a PNG image");
    write_raw("\x93NUMPY\x02\0\xff\xff\xff\xff{}", 14);
    refused(VQ_EFORMAT, "cut short");
    unlink(path);
    refused(VQ_ENOTFOUND, "No such file");
}

static void put_tokens(enum vq_npy_type type, int rank, size_t a, size_t b, const void *data)
{
    const size_t shape[] = {a, b, 1};
    assert_int_equal(vq_npy_write(path, type, rank, shape, data, NULL), VQ_OK);
}

static void tokens(void **state)
{
    (void)state;
    int32_t *ids;
    size_t rows, cols;
    int rank;
    struct vq_err err = {0};
    put_tokens(VQ_NPY_U16, 1, 3, 0, (const uint16_t[]){0, 7, 65535});
    assert_int_equal(vq_npy_read_tokens(path, &ids, &rows, &cols, &rank, &err), VQ_OK);
    assert_int_equal(rank, 1);
    assert_int_equal(rows, 1);
    assert_int_equal(cols, 3);
    assert_int_equal(ids[2], 65535);
    free(ids);
    put_tokens(VQ_NPY_I64, 2, 2, 2, (const int64_t[]){INT32_MIN, INT32_MAX, -1, 258});
    assert_int_equal(vq_npy_read_tokens(path, &ids, &rows, &cols, &rank, &err), VQ_OK);
    assert_int_equal(rank, 2);
    assert_int_equal(rows, 2);
    assert_int_equal(cols, 2);
    assert_memory_equal(ids, ((const int32_t[]){INT32_MIN, INT32_MAX, -1, 258}), 16);
    free(ids);
}

static void not_tokens(enum vq_status code, const char *why)
{
    int32_t *ids;
    size_t rows, cols;
    int rank;
    struct vq_err err = {0};
    assert_int_equal(vq_npy_read_tokens(path, &ids, &rows, &cols, &rank, &err), code);
    assert_null(ids);
    if (!strstr(err.msg, why) || !strstr(err.msg, path))
        fail_msg("expected \"%s\" in \"%s\"", why, err.msg);
}

static void bad_tokens(void **state)
{
    (void)state;
    put_tokens(VQ_NPY_I64, 1, 2, 0, (const int64_t[]){1, (int64_t)INT32_MAX + 1});
    not_tokens(VQ_EINVAL, "index 1 does not fit");
    put_tokens(VQ_NPY_U64, 1, 1, 0, (const uint64_t[]){UINT64_MAX});
    not_tokens(VQ_EINVAL, "index 0 does not fit");
    put_tokens(VQ_NPY_U32, 1, 1, 0, (const uint32_t[]){UINT32_MAX});
    not_tokens(VQ_EINVAL, "index 0 does not fit");
    put_tokens(VQ_NPY_F32, 1, 1, 0, (const float[]){1});
    not_tokens(VQ_ESHAPE, "found float32");
    put_tokens(VQ_NPY_I32, 3, 1, 1, (const int32_t[]){1});
    not_tokens(VQ_ESHAPE, "found rank 3");
    put_tokens(VQ_NPY_I32, 0, 0, 0, (const int32_t[]){1});
    not_tokens(VQ_ESHAPE, "found rank 0");
    unlink(path);
    not_tokens(VQ_ENOTFOUND, "No such file");
}

static void by_rows(void **state)
{
    (void)state;
    struct vq_npy_writer *w;
    struct vq_err err = {0};
    const size_t shape[] = {3, 2};
    const float data[] = {1, 2, 3, 4, 5, 6};
    write_raw("old", 3);
    assert_int_equal(vq_npy_writer_open(&w, path, VQ_NPY_F32, 2, shape, &err), VQ_OK);
    assert_int_equal(vq_npy_writer_put(w, data, 2, &err), VQ_OK);
    assert_int_equal(vq_npy_writer_close(w, &err), VQ_EINVAL); /* too few: the old file stays */
    refused(VQ_EFORMAT, "found a text file");
    assert_int_equal(vq_npy_writer_open(&w, path, VQ_NPY_F32, 2, shape, &err), VQ_OK);
    assert_int_equal(vq_npy_writer_put(w, data, 7, &err), VQ_EINVAL); /* too many */
    assert_int_equal(vq_npy_writer_put(w, data, 5, &err), VQ_OK);
    assert_int_equal(vq_npy_writer_put(w, data + 5, 2, &err), VQ_EINVAL);
    vq_npy_writer_abort(w);
    refused(VQ_EFORMAT, "found a text file");
    assert_int_equal(vq_npy_writer_open(&w, path, VQ_NPY_F32, 2, shape, &err), VQ_OK);
    for (int row = 0; row < 3; row++)
        assert_int_equal(vq_npy_writer_put(w, data + 2 * row, 2, &err), VQ_OK);
    assert_int_equal(vq_npy_writer_close(w, &err), VQ_OK);
    struct vq_npy a;
    assert_int_equal(vq_npy_read(&a, path, &err), VQ_OK);
    assert_memory_equal(a.data, data, sizeof(data));
    vq_npy_release(&a);
}

static void bad_writes(void **state)
{
    (void)state;
    const size_t huge[] = {SIZE_MAX / 2, 3}, one[] = {1};
    unlink(path);
    assert_int_equal(vq_npy_write(path, VQ_NPY_F32, 2, huge, "", NULL), VQ_EINVAL);
    assert_int_equal(vq_npy_write(path, VQ_NPY_F32, 9, one, "", NULL), VQ_EINVAL);
    assert_int_equal(vq_npy_write(path, VQ_NPY_F32, -1, one, "", NULL), VQ_EINVAL);
    assert_int_equal(vq_npy_write("/nowhere/a.npy", VQ_NPY_U8, 1, one, "", NULL), VQ_ENOTFOUND);
    assert_int_equal(access(path, F_OK), -1);
    vq_npy_writer_abort(NULL);
}

static void memory_out(void **state)
{
    (void)state;
    const size_t shape[] = {4};
    const int32_t data[] = {1, 2, 3, 4};
    enum vq_status status = VQ_ENOMEM;
    for (long nth = 1; status != VQ_OK && nth < 40; nth++) {
        int32_t *ids = NULL;
        size_t rows, cols;
        int rank;
        vq_mem_fail_at(nth);
        status = vq_npy_write(path, VQ_NPY_I32, 1, shape, data, NULL);
        if (status == VQ_OK)
            status = vq_npy_read_tokens(path, &ids, &rows, &cols, &rank, NULL);
        vq_mem_fail_at(0);
        assert_true(status == VQ_OK || status == VQ_ENOMEM);
        free(ids);
    }
    assert_int_equal(status, VQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(layout),      cmocka_unit_test(ranks),
        cmocka_unit_test(spellings),  cmocka_unit_test(unsupported), cmocka_unit_test(malformed),
        cmocka_unit_test(truncated),  cmocka_unit_test(tokens),      cmocka_unit_test(bad_tokens),
        cmocka_unit_test(by_rows),    cmocka_unit_test(bad_writes),  cmocka_unit_test(memory_out),
    };
    return cmocka_run_group_tests_name("npy", tests, enter, leave);
}
