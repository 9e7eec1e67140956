/*
 * Audits of sound files account for every byte and agree with what opening them says; audits of
 * files with one thing wrong find that thing, and go on.
 */
#include "tests/unit/test_inspect.h"

#include "core/base/file.h"
#include "core/inspect/audit.h"

#define SOUND GOLDEN "heads3/model.safetensors"

static void audit(struct vq_audit *a, const void *data, size_t size)
{
    struct vq_err err;
    assert_ok(vq_audit_bytes(a, data, size, NULL, &err), &err);
    assert_int_equal(a->size, size);
    assert_int_equal(a->structure + a->data + a->unclaimed, size);
}

/* A sound file: all bytes claimed once, the tensors those of vq_ckpt_open. */
static void assert_sound(const char *path)
{
    struct vq_audit a;
    struct vq_err err;
    struct vq_file f;
    struct vq_ckpt *c;
    uint64_t data = 0;
    assert_ok(vq_ckpt_open(&c, path, &err), &err);
    assert_ok(vq_file_open(&f, vq_ckpt_path(c), &err), &err);
    audit(&a, f.data, f.size);
    for (size_t i = 0; i < a.n_finding; i++)
        if (vq_audit_is_wrong(a.finding[i].kind))
            fail_msg("%s: %s", path, a.finding[i].what);
    assert_false(vq_audit_failed(&a));
    assert_true(a.unclaimed == 0 && a.overlapping == 0);
    for (size_t i = 0; i < a.n_tensor; i++) {
        const struct vq_audit_tensor *t = &a.tensor[i];
        const struct vq_tensor *u = vq_ckpt_find(c, t->name);
        char have[64], want[64];
        if (!u)
            fail_msg("%s: no tensor %s", path, t->name);
        struct vq_tensor shape = {.rank = t->rank};
        memcpy(shape.shape, t->shape, sizeof(shape.shape));
        assert_string_equal(vq_tensor_shape(&shape, have, sizeof(have)),
                            vq_tensor_shape(u, want, sizeof(want)));
        assert_int_equal(t->dtype, u->dtype == VQ_NONE ? VQ_F32 : u->dtype);
        assert_int_equal(t->bytes, u->bytes);
        assert_int_equal(t->chunks, u->n_chunk ? u->n_chunk : 1);
        data += t->bytes;
    }
    assert_int_equal(a.data, data);
    vq_audit_release(&a);
    vq_file_close(&f);
    vq_ckpt_free(c);
}

static void sound_files_are_accounted_for(void **state)
{
    (void)state;
    assert_sound(SOUND);
    assert_sound("samples/models/text-small.safetensors");
    assert_sound("tests/data/ckpt/fixture_agg/checkpoint_3");
    assert_sound("tests/data/ckpt/fixture_agg_legacy/checkpoint_3");
    assert_sound("tests/data/ckpt/chunked_orbax/checkpoint_3");
    assert_sound("tests/data/ckpt/chunked_legacy/checkpoint_3");
    assert_sound("tests/data/ckpt/opt_lion/checkpoint_3");
}

static void dead_codes_are_counted(void **state)
{
    (void)state;
    const char *const paths[] = {SOUND, "tests/data/ckpt/fixture_agg_legacy/checkpoint_3",
                                 "tests/data/ckpt/chunked_legacy/checkpoint_3"};
    for (size_t i = 0; i < 3; i++) {
        struct vq_audit a;
        struct vq_err err;
        struct vq_file f;
        struct vq_ckpt *c;
        uint64_t codes = 0, dead = 0;
        assert_ok(vq_ckpt_open(&c, paths[i], &err), &err);
        assert_ok(vq_file_open(&f, vq_ckpt_path(c), &err), &err);
        audit(&a, f.data, f.size);
        for (size_t k = 0; k < vq_ckpt_count(c); k++) {
            const struct vq_tensor *t = vq_ckpt_at(c, k);
            if (!t->is_param || !strstr(t->name, "quantizer/c_count"))
                continue;
            float *x = malloc(t->count * sizeof(*x));
            assert_ok(vq_tensor_read_f32(t, x, &err), &err);
            for (size_t j = 0; j < t->count; j++)
                dead += (double)x[j] <= 0.01;
            codes += t->count;
            free(x);
        }
        assert_int_equal(a.codes, codes);
        assert_int_equal(a.dead, dead);
        assert_true(dead > 0 && a.found[VQ_AUDIT_DEAD] > 0);
        assert_false(vq_audit_failed(&a)); /* dead codes are no fault of the file */
        vq_audit_release(&a);
        vq_file_close(&f);
        vq_ckpt_free(c);
    }
}

/* ---- safetensors with one thing wrong ---- */

/* A file of this header and `n` bytes of data, which count up. */
static uint8_t *make(const char *header, size_t n, size_t *size)
{
    uint64_t length = strlen(header);
    *size = 8 + (size_t)length + n;
    uint8_t *x = malloc(*size);
    memcpy(x, &length, 8);
    memcpy(x + 8, header, (size_t)length);
    for (size_t i = 0; i < n; i++)
        x[8 + length + i] = (uint8_t)(i % 100);
    return x;
}

static void finds(const char *header, size_t n, enum vq_audit_kind kind, uint64_t times)
{
    struct vq_audit a;
    size_t size;
    uint8_t *x = make(header, n, &size);
    audit(&a, x, size);
    if (a.found[kind] != times)
        fail_msg("%s: %s %d times, not %d", header, vq_audit_kind_name(kind), (int)a.found[kind],
                 (int)times);
    assert_int_equal(vq_audit_failed(&a), vq_audit_is_wrong(kind) && times > 0);
    vq_audit_release(&a);
    free(x);
}

#define A(begin, end) "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" begin "," end "]}"
#define B(begin, end) "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[" begin "," end "]}"
/* Nine bytes of header ends come before data on a multiple of 4. */
#define PAD "    "

static void what_is_wrong_is_found(void **state)
{
    (void)state;
    finds("{" A("0", "8") "," B("8", "11") "}" PAD, 11, VQ_AUDIT_GAP, 0);
    finds("{" A("0", "8") "," B("9", "12") "}", 12, VQ_AUDIT_GAP, 1);
    finds("{" A("0", "8") "," B("6", "9") "}", 9, VQ_AUDIT_OVERLAP, 1);
    finds("{" A("0", "8") "," B("0", "3") "}", 8, VQ_AUDIT_OVERLAP, 1);
    finds("{" A("0", "8") "," B("8", "11") "}", 14, VQ_AUDIT_TRAILING, 1);
    finds("{" A("0", "8") "," B("8", "11") "}", 10, VQ_AUDIT_OUTSIDE, 1);
    finds("{" A("0", "4") "," B("4", "7") "}", 7, VQ_AUDIT_SIZE, 1);
    finds("{" B("8", "11") "," A("0", "8") "}", 11, VQ_AUDIT_ORDER, 1);
    finds("{" A("0", "8") "," A("8", "16") "}", 16, VQ_AUDIT_DUPLICATE, 1);
    finds("{" A("0", "8") "," B("8", "11") "}x", 11, VQ_AUDIT_DAMAGED, 1);
    finds("{" A("8", "0") "," B("0", "3") "}", 3, VQ_AUDIT_DAMAGED, 1);
    finds("{\"a\":{\"dtype\":\"F31\",\"shape\":[],\"data_offsets\":[0,4]}," B("0", "3") "}", 3,
          VQ_AUDIT_DAMAGED, 1);
    finds("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, VQ_AUDIT_SIZE, 1);
    finds("{\"a\":7}", 0, VQ_AUDIT_DAMAGED, 1);
}

static void one_byte_decides_alignment(void **state)
{
    (void)state;
    for (size_t spaces = 0; spaces < 4; spaces++) {
        struct vq_audit a;
        char header[128];
        size_t size;
        snprintf(header, sizeof(header), "{" A("0", "8") "}%.*s", (int)spaces, "    ");
        uint8_t *x = make(header, 8, &size);
        audit(&a, x, size);
        assert_int_equal(a.found[VQ_AUDIT_ALIGNMENT], (8 + strlen(header)) % 4 != 0);
        assert_int_equal(a.tensor[0].aligned, (8 + strlen(header)) % 4 == 0);
        assert_false(vq_audit_failed(&a));
        vq_audit_release(&a);
        free(x);
    }
}

static void numbers_that_are_none_are_counted(void **state)
{
    (void)state;
    struct vq_audit a;
    size_t size;
    uint8_t *x = make("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                      "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[16,22]},"
                      "\"c\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[22,26]},"
                      "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[26,42]}}",
                      42, &size);
    const float f[4] = {NAN, INFINITY, -INFINITY, 3.0f};
    const uint16_t b[3] = {0x7f80, 0xff81, 0x7f7f}, h[2] = {0x7c00, 0xfc01};
    const double d[2] = {-NAN, INFINITY};
    memcpy(x + size - 42, f, 16);
    memcpy(x + size - 26, b, 6);
    memcpy(x + size - 20, h, 4);
    memcpy(x + size - 16, d, 16);
    audit(&a, x, size);
    const uint64_t nan[] = {1, 1, 1, 1}, inf[] = {2, 1, 1, 1};
    for (size_t i = 0; i < 4; i++)
        assert_true(a.tensor[i].nan == nan[i] && a.tensor[i].inf == inf[i]);
    assert_true(a.found[VQ_AUDIT_NAN] == 4 && a.found[VQ_AUDIT_INF] == 4);
    assert_true(vq_audit_failed(&a));
    vq_audit_release(&a);
    free(x);
}

/* ---- any file ---- */

static void load(struct vq_file *f, uint8_t **copy, const char *path)
{
    struct vq_err err;
    assert_ok(vq_file_open(f, path, &err), &err);
    *copy = malloc(f->size + 16);
    memcpy(*copy, f->data, f->size);
}

/* However a file is cut, what is said adds up, and something is wrong. */
static void cut_files_are_wrong(void **state)
{
    (void)state;
    const char *const paths[] = {SOUND, "tests/data/ckpt/opt_lion/checkpoint_3/checkpoint",
                                 "tests/data/ckpt/chunked_legacy/checkpoint_3"};
    for (size_t i = 0; i < 3; i++) {
        struct vq_file f;
        uint8_t *x;
        load(&f, &x, paths[i]);
        for (size_t n = 0; n < f.size; n += 1 + n / 23) {
            struct vq_audit a;
            uint8_t *cut = malloc(n ? n : 1); /* so that reading past the end is noticed */
            memcpy(cut, x, n);
            audit(&a, cut, n);
            if (!vq_audit_failed(&a))
                fail_msg("%s cut to %zu bytes is found to be sound", paths[i], n);
            vq_audit_release(&a);
            free(cut);
        }
        free(x);
        vq_file_close(&f);
    }
}

/* Nor does any single changed byte lead astray. */
static void changed_bytes_are_survived(void **state)
{
    (void)state;
    struct vq_file f;
    uint8_t *x;
    load(&f, &x, "tests/data/ckpt/fixture_agg_legacy/checkpoint_3");
    for (size_t n = 0; n < f.size; n += n < 600 ? 1 : 97) {
        struct vq_audit a;
        uint8_t old = x[n];
        x[n] = (uint8_t)(old ^ (n % 2 ? 0xff : 0x40));
        audit(&a, x, f.size);
        vq_audit_release(&a);
        x[n] = old;
    }
    free(x);
    vq_file_close(&f);
}

static void flax_faults_are_found(void **state)
{
    (void)state;
    struct vq_audit a;
    /* {"a": 1, "a": 2}, {"b": 1, "a": 2}, with a byte behind it, an odd first byte, a key that is
     * no text, an array with a byte too few. */
    const uint8_t twice[] = {0x82, 0xa1, 'a', 1, 0xa1, 'a', 2};
    const uint8_t order[] = {0x82, 0xa1, 'b', 1, 0xa1, 'a', 2};
    const uint8_t behind[] = {0x81, 0xa1, 'a', 1, 0xc0};
    const uint8_t odd[] = {0x81, 0xa1, 'a', 0xc1};
    const uint8_t key[] = {0x81, 0x07, 0x07};
    const uint8_t small[] = {0x81, 0xa1, 'w', 0xc7, 16,  1,   0x93, 0x91, 2, 0xa7, 'f',
                             'l',  'o',  'a', 't',  '3', '2', 0xc4, 3,    0, 0,    0};
    audit(&a, twice, sizeof(twice));
    assert_int_equal(a.found[VQ_AUDIT_DUPLICATE], 1);
    vq_audit_release(&a);
    audit(&a, order, sizeof(order));
    assert_true(a.found[VQ_AUDIT_ORDER] == 1 && !vq_audit_failed(&a));
    vq_audit_release(&a);
    audit(&a, behind, sizeof(behind));
    assert_true(a.found[VQ_AUDIT_TRAILING] == 1 && a.unclaimed == 1);
    assert_int_equal(a.finding[0].offset, 4);
    vq_audit_release(&a);
    audit(&a, odd, sizeof(odd));
    assert_int_equal(a.found[VQ_AUDIT_DAMAGED], 1);
    assert_string_equal(a.finding[0].what, "a: a byte that begins nothing at byte 3");
    vq_audit_release(&a);
    audit(&a, key, sizeof(key));
    assert_int_equal(a.found[VQ_AUDIT_DAMAGED], 1);
    vq_audit_release(&a);
    audit(&a, small, sizeof(small));
    assert_int_equal(a.found[VQ_AUDIT_DAMAGED] + a.found[VQ_AUDIT_SIZE], 1);
    vq_audit_release(&a);
}

static void other_files_are_named(void **state)
{
    (void)state;
    struct vq_audit a;
    const char png[] = "\x89PNG\r\n\x1a\n....";
    audit(&a, png, sizeof(png));
    assert_true(vq_audit_failed(&a) && strstr(a.finding[0].what, "a PNG image"));
    assert_string_equal(a.format, "");
    vq_audit_release(&a);
    audit(&a, "", 0);
    assert_non_null(strstr(a.finding[0].what, "an empty file"));
    vq_audit_release(&a);
}

static void memory_and_cancel(void **state)
{
    (void)state;
    struct vq_file f;
    uint8_t *x;
    struct vq_audit a;
    struct vq_err err;
    const struct vq_audit_options stop = {.cancel = &(struct vq_cancel){always, NULL}};
    load(&f, &x, SOUND);
    assert_int_equal(vq_audit_bytes(&a, x, f.size, &stop, &err), VQ_ECANCELLED);
    assert_null(a.tensor);
    vq_mem_fail_at(0);
    assert_ok(vq_audit_bytes(&a, x, f.size, NULL, &err), &err);
    vq_audit_release(&a);
    long n = vq_mem_fail_at(0);
    assert_true(n > 10);
    for (long nth = 1; nth <= n; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_audit_bytes(&a, x, f.size, NULL, &err), VQ_ENOMEM);
        assert_null(a.tensor);
    }
    vq_mem_fail_at(0);
    free(x);
    vq_file_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_files_are_accounted_for),
        cmocka_unit_test(dead_codes_are_counted),
        cmocka_unit_test(what_is_wrong_is_found),
        cmocka_unit_test(one_byte_decides_alignment),
        cmocka_unit_test(numbers_that_are_none_are_counted),
        cmocka_unit_test(cut_files_are_wrong),
        cmocka_unit_test(changed_bytes_are_survived),
        cmocka_unit_test(flax_faults_are_found),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(memory_and_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
