/*
 * ZIP archives: any part of any member comes out as it went in, from ours and from other programs'
 * files; what is cut, damaged or of another kind is refused before it is believed.
 */
#include "tests/unit/golden.h"

#include <zlib.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/data/zip.h"

static char folder[] = "/tmp/vqsh-zip-XXXXXX";
static char path[64];
static struct vq_err err;

struct buf {
    uint8_t *data;
    size_t size;
};

static void put(struct buf *b, const void *data, size_t n)
{
    b->data = realloc(b->data, b->size + n);
    memcpy(b->data + b->size, data, n);
    b->size += n;
}

static void put_le(struct buf *b, int bytes, uint64_t x)
{
    for (int i = 0; i < bytes; i++, x >>= 8)
        put(b, &(uint8_t){(uint8_t)x}, 1);
}

/* A member to be written; the rest is made by make_zip(). */
struct entry {
    const char *name;
    const uint8_t *data;
    size_t size;
    int method, level, flags;
    bool zip64; /* sizes and place in the directory's extra field */
    uint32_t crc_error;
    size_t at;
    struct buf packed;
};

static struct buf deflate_all(const struct entry *e)
{
    struct buf b = {.data = malloc(e->size + e->size / 100 + 1000)};
    z_stream s = {0};
    assert_int_equal(deflateInit2(&s, e->level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (Bytef *)(uintptr_t)e->data;
    s.avail_in = (uInt)e->size;
    s.next_out = b.data;
    s.avail_out = (uInt)(e->size + e->size / 100 + 1000);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    b.size = s.total_out;
    deflateEnd(&s);
    return b;
}

static void put_local(struct buf *b, struct entry *e)
{
    e->at = b->size;
    if (e->method == 8)
        e->packed = deflate_all(e);
    else
        put(&e->packed, e->data, e->size);
    put_le(b, 4, 0x04034b50);
    put_le(b, 2, 20);
    put_le(b, 2, (uint64_t)e->flags);
    put_le(b, 2, (uint64_t)e->method);
    put_le(b, 4, 0);
    put_le(b, 4, crc32(0, e->data, (uInt)e->size) ^ e->crc_error);
    put_le(b, 4, e->packed.size);
    put_le(b, 4, e->size);
    put_le(b, 2, strlen(e->name));
    put_le(b, 2, 3);
    put(b, e->name, strlen(e->name));
    put(b, "abc", 3); /* an extra field of the local header alone */
    put(b, e->packed.data, e->packed.size);
}

static void put_central(struct buf *b, const struct entry *e)
{
    put_le(b, 4, 0x02014b50);
    put_le(b, 4, 20 | 20 << 16);
    put_le(b, 2, (uint64_t)e->flags);
    put_le(b, 2, (uint64_t)e->method);
    put_le(b, 4, 0);
    put_le(b, 4, crc32(0, e->data, (uInt)e->size) ^ e->crc_error);
    put_le(b, 4, e->zip64 ? 0xffffffff : e->packed.size);
    put_le(b, 4, e->zip64 ? 0xffffffff : e->size);
    put_le(b, 2, strlen(e->name));
    put_le(b, 2, e->zip64 ? 28 + 5 : 0);
    put_le(b, 2, 0);
    put_le(b, 8, 0);
    put_le(b, 4, e->zip64 ? 0xffffffff : e->at);
    put(b, e->name, strlen(e->name));
    if (!e->zip64)
        return;
    put_le(b, 4, 7 | 1 << 16); /* another program's field first */
    put_le(b, 1, 42);
    put_le(b, 4, 1 | 24 << 16);
    put_le(b, 8, e->size);
    put_le(b, 8, e->packed.size);
    put_le(b, 8, e->at);
}

static struct buf make_zip(struct entry *entries, size_t n, bool zip64, const char *comment)
{
    struct buf b = {0};
    for (size_t i = 0; i < n; i++)
        put_local(&b, &entries[i]);
    size_t directory = b.size;
    for (size_t i = 0; i < n; i++) {
        put_central(&b, &entries[i]);
        free(entries[i].packed.data);
        entries[i].packed = (struct buf){0};
    }
    size_t end = b.size;
    if (zip64) {
        put_le(&b, 4, 0x06064b50);
        put_le(&b, 8, 44);
        put_le(&b, 4, 45 | 45 << 16);
        put_le(&b, 8, 0);
        put_le(&b, 8, n);
        put_le(&b, 8, n);
        put_le(&b, 8, end - directory);
        put_le(&b, 8, directory);
        put_le(&b, 4, 0x07064b50);
        put_le(&b, 4, 0);
        put_le(&b, 8, end);
        put_le(&b, 4, 1);
    }
    put_le(&b, 4, 0x06054b50);
    put_le(&b, 4, 0);
    put_le(&b, 2, zip64 ? 0xffff : n);
    put_le(&b, 2, zip64 ? 0xffff : n);
    put_le(&b, 4, zip64 ? 0xffffffff : end - directory);
    put_le(&b, 4, zip64 ? 0xffffffff : directory);
    put_le(&b, 2, strlen(comment));
    put(&b, comment, strlen(comment));
    return b;
}

static void write_file(const struct buf *b, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static struct vq_zip *open_zip(void)
{
    struct vq_zip *z;
    assert_ok(vq_zip_open(&z, path, &err), &err);
    return z;
}

/* Words in no order: packed to about a third, in many blocks. */
static uint8_t *prose(size_t n)
{
    uint8_t *text = malloc(n);
    struct vq_rng r;
    vq_rng_init(&r, 1, 2);
    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t)("etaoin shrdlu cmfwyp"[vq_rng_below(&r, 20)] + (i >> 19));
    return text;
}

static void check_member(struct vq_zip *z, size_t i, const struct entry *e, struct vq_rng *r)
{
    uint8_t *got = malloc(e->size + 1);
    assert_string_equal(vq_zip_name(z, i), e->name);
    assert_int_equal(vq_zip_size(z, i), e->size);
    assert_ok(vq_zip_read(z, i, 0, e->size, got, NULL, &err), &err);
    assert_memory_equal(got, e->data, e->size);
    for (int k = 0; k < 60; k++) {
        uint64_t from = vq_rng_below(r, e->size + 1), most = e->size - from;
        size_t n = (size_t)vq_rng_below(r, (k % 2 ? 5000 : most) + 1);
        n = n < most ? n : (size_t)most;
        assert_ok(vq_zip_read(z, i, from, n, got, NULL, &err), &err);
        assert_memory_equal(got, e->data + from, n);
    }
    size_t head = e->size < 5000 ? e->size : 5000;
    assert_ok(vq_zip_head(z, i, head, got, &err), &err);
    assert_memory_equal(got, e->data, head);
    assert_int_equal(vq_zip_read(z, i, e->size, 1, got, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_zip_read(z, i, e->size + 1, 0, got, NULL, &err), VQ_EINVAL);
    assert_int_equal(vq_zip_read(z, i, UINT64_MAX, 2, got, NULL, &err), VQ_EINVAL);
    free(got);
}

static void test_members(void **state)
{
    (void)state;
    size_t big = ((size_t)4 << 20) + 12345;
    uint8_t *text = prose(big);
    struct entry entries[] = {
        {.name = "stored", .data = text, .size = 100000},
        {.name = "level 1", .data = text, .size = big, .method = 8, .level = 1},
        {.name = "level 9", .data = text, .size = big - 7, .method = 8, .level = 9, .zip64 = true},
        {.name = "no block is packed", .data = text, .size = big, .method = 8, .level = 0},
        {.name = "empty", .data = text},
        {.name = "empty, deflated", .data = text, .method = 8},
        {.name = "small", .data = text, .size = 40, .method = 8, .level = 6},
    };
    enum { N = sizeof(entries) / sizeof(entries[0]) };
    for (int k = 0; k < 2; k++) {
        struct buf b = make_zip(entries, N, k, k ? "PK\5\6 is a comment" : "");
        struct vq_rng r;
        vq_rng_init(&r, 4, 4);
        write_file(&b, b.size);
        struct vq_zip *z = open_zip();
        assert_int_equal(vq_zip_count(z), N);
        for (size_t i = 0; i < N; i++)
            check_member(z, i, &entries[i], &r);
        check_member(z, 1, &entries[1], &r); /* after another one has used the stream */
        vq_zip_free(z);
        free(b.data);
    }
    free(text);
}

static bool at_once(void *ud)
{
    (void)ud;
    return true;
}

static void test_cancel_and_memory(void **state)
{
    (void)state;
    size_t big = (size_t)3 << 20;
    uint8_t *text = prose(big), *got = malloc(big);
    struct entry e = {.name = "m", .data = text, .size = big, .method = 8, .level = 6};
    struct buf b = make_zip(&e, 1, false, "");
    write_file(&b, b.size);
    struct vq_zip *z = open_zip();
    const struct vq_cancel cancel = {.poll = at_once};
    assert_int_equal(vq_zip_read(z, 0, 1, 1, got, &cancel, &err), VQ_ECANCELLED);
    assert_says(&err, path, "member m");
    for (long nth = 1;; nth++) {
        vq_mem_fail_at(nth);
        enum vq_status st = vq_zip_read(z, 0, big - 100, 100, got, NULL, &err);
        vq_mem_fail_at(0);
        if (st == VQ_OK)
            break;
        assert_int_equal(st, VQ_ENOMEM);
        assert_true(nth < 20);
    }
    assert_memory_equal(got, text + big - 100, 100);
    vq_zip_free(z);
    free(b.data);
    free(text);
    free(got);
}

/* The archive with its first n bytes only, and with one byte changed at a time: an error or the
 * right bytes, never anything else. */
static void test_damage(void **state)
{
    (void)state;
    uint8_t *text = prose(3000), got[3000];
    struct entry entries[] = {{.name = "a", .data = text, .size = 300},
                              {.name = "b", .data = text, .size = 3000, .method = 8, .level = 6}};
    struct buf b = make_zip(entries, 2, false, "");
    struct vq_zip *z;
    for (size_t n = 0; n < b.size; n++) {
        write_file(&b, n);
        assert_int_equal(vq_zip_open(&z, path, &err), VQ_EFORMAT);
        assert_null(z);
        assert_says(&err, path, n < 4 ? "ZIP" : "cut short");
    }
    for (size_t at = 0; at < b.size; at++) {
        for (int bit = 0; bit < 8; bit += 3) {
            b.data[at] ^= (uint8_t)(1 << bit);
            write_file(&b, b.size);
            b.data[at] ^= (uint8_t)(1 << bit);
            if (vq_zip_open(&z, path, &err) != VQ_OK)
                continue;
            for (size_t i = 0; i < vq_zip_count(z); i++) {
                size_t n = vq_zip_size(z, i) < 3000 ? (size_t)vq_zip_size(z, i) : 3000;
                enum vq_status st = vq_zip_read(z, i, 0, n, got, NULL, &err);
                if (st == VQ_OK && (n == 3000 || n == 300))
                    assert_memory_equal(got, text, n);
            }
            vq_zip_free(z);
        }
    }
    free(b.data);
    free(text);
}

static void refused_member(struct entry e, enum vq_status code, const char *why)
{
    uint8_t got[4];
    struct buf b = make_zip(&e, 1, false, "");
    write_file(&b, b.size);
    struct vq_zip *z = open_zip();
    assert_int_equal(vq_zip_read(z, 0, 0, 4, got, NULL, &err), code);
    assert_says(&err, path, e.name, why);
    vq_zip_free(z);
    free(b.data);
}

static void test_refusals(void **state)
{
    (void)state;
    uint8_t *text = prose(5000);
    struct entry e = {.name = "e", .data = text, .size = 5000, .method = 8, .level = 6};
    e.flags = 1;
    refused_member(e, VQ_EUNSUPPORTED, "encrypted");
    e.flags = 0;
    e.crc_error = 1;
    refused_member(e, VQ_EFORMAT, "checksum");
    e.method = 0;
    refused_member(e, VQ_EFORMAT, "checksum");
    e.crc_error = 0;
    e.method = 12;
    refused_member(e, VQ_EUNSUPPORTED, "method 12");
    free(text);

    struct vq_zip *z;
    assert_int_equal(vq_zip_open(&z, "tests/data/image/grey.jpg", &err), VQ_EFORMAT);
    assert_says(&err, "grey.jpg", "a JPEG image");
    assert_int_equal(vq_zip_open(&z, "tests/data/image/none", &err), VQ_ENOTFOUND);
}

static void test_other_programs(void **state)
{
    (void)state;
    struct vq_zip *z;
    uint8_t head[6];
    assert_ok(vq_zip_open(&z, "tests/data/data/imagenet/train_data_batch_10.npz", &err), &err);
    assert_int_equal(vq_zip_count(z), 3);
    assert_string_equal(vq_zip_name(z, 1), "data.npy");
    assert_ok(vq_zip_read(z, 1, 0, 6, head, NULL, &err), &err);
    assert_memory_equal(head, "\x93NUMPY", 6);
    vq_zip_free(z);
}

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/a.zip", folder);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),        cmocka_unit_test(test_cancel_and_memory),
        cmocka_unit_test(test_damage),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_other_programs),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
