#include "tests/unit/test_ckpt.h"

#include <sys/resource.h>

#include "core/ckpt/msg.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#endif
#ifndef ASAN
#define ASAN 0
#endif

/* Reads the bytes as a checkpoint from a block of exactly their size, where a sanitizer sees what a
 * mapping would hide, and then all tensors. */
static enum vq_status read_memory(const uint8_t *data, size_t size)
{
    struct vq_err err = {0};
    struct vq_ckpt *c = calloc(1, sizeof(*c));
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(c);
    assert_non_null(copy);
    memcpy(copy, data, size);
    c->file = (struct vq_file){.data = copy, .size = size};
    bool safetensors = vq_safetensors_matches(copy, size);
    enum vq_status status = safetensors ? vq_safetensors_read(c, &err) : vq_flax_read(c, &err);
    if (status == VQ_OK)
        status = vq_ckpt_sort(c, &err);
    for (size_t i = 0; status == VQ_OK && i < c->count; i++) {
        const struct vq_tensor *t = &c->tensors[i];
        assert_true(t->bytes <= size + 8);
        float *values = malloc(t->count * sizeof(*values) + 1);
        vq_tensor_read_f32(t, values, NULL);
        free(values);
    }
    assert_true(status == VQ_OK || status == VQ_EFORMAT || status == VQ_EUNSUPPORTED);
    assert_true(status == VQ_OK || strlen(err.msg) > 10);
    if (size == 0)
        free(copy);
    vq_ckpt_free(c);
    return status;
}

#define FLOAT32                                                                                    \
    "\xa7"                                                                                         \
    "float32"
#define BFLOAT16                                                                                   \
    "\xa8"                                                                                         \
    "bfloat16"
/* An int8 array of n (a byte) bytes, its payload being `size` long. */
#define I8(size, n, bytes) "\xc7" size "\x01\x93\x91" n "\xa4int8\xc4" n bytes

/* Every kind of node that a TrainState can have. */
static struct buf small_flax(void)
{
    struct buf b = {0};
    LIT(&b, "\x83\xa9opt_state\x82" KEY("a") "\x93\xc0\x80\x90");
    LIT(&b, KEY("b") "\x81" KEY("0") "\xca\x00\x00\x00\x00");
    LIT(&b, "\xa6params\x84\xa4"
            "bias\xc7\x15\x01\x93\x91\x02" FLOAT32 "\xc4\x08");
    LIT(&b, "\x00\x00\x80\x3f\x00\x00\x00\x40");
    LIT(&b, "\xa4half\xd8\x01\x93\x91\x01" BFLOAT16 "\xc4\x02\x80\x3f");
    LIT(&b, "\xa4wide\x83\xb9__msgpack_chunked_array__\xc3");
    LIT(&b, "\xa5shape\x82" KEY("0") "\x02" KEY("1") "\x03");
    LIT(&b, CHUNKS "\x82" KEY("0") I8("\x0e", "\x04", "\x01\x02\x03\x04"));
    LIT(&b, KEY("1") I8("\x0c", "\x02", "\x05\x06"));
    LIT(&b, KEY("x") "\xcf\x00\x00\x00\x00\x00\x00\x00\x09");
    LIT(&b, "\xa4step\xc7\x0e\x03\x93\x90\xa5int32\xc4\x04\x03\x00\x00\x00");
    return b;
}

static struct buf small_safetensors(void)
{
    return safetensors("{\"__metadata__\":{\"config\":\"{}\",\"empty\":\"[\\\"opt_state/0\\\"]\"},"
                       "\"opt_state/0\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[20,20]},"
                       "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                       "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[16,20]}}  ",
                       20);
}

/* Each length, each bit and some values of each byte of a sound file. */
static void mangle(struct buf b)
{
    assert_int_equal(read_memory(b.data, b.size), VQ_OK);
    for (size_t n = 0; n < b.size; n++)
        assert_int_equal(read_memory(b.data, n), VQ_EFORMAT);
    static const uint8_t values[] = {0x00, 0x7f, 0x80, 0x8f, 0x9f, 0xc0, 0xc1, 0xc6, 0xc9,
                                     0xcf, 0xdb, 0xdd, 0xdf, 0xff, '{',  '[',  '"',  '9'};
    for (size_t i = 0; i < b.size; i++) {
        uint8_t was = b.data[i];
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] = (uint8_t)(was ^ 1 << bit);
            read_memory(b.data, b.size);
        }
        for (size_t k = 0; k < sizeof(values); k++) {
            b.data[i] = values[k];
            read_memory(b.data, b.size);
        }
        b.data[i] = was;
    }
    put(&b, "", 1);
    assert_int_equal(read_memory(b.data, b.size), VQ_EFORMAT);
    free(b.data);
}

static void test_mangled_flax(void **state)
{
    (void)state;
    mangle(small_flax());
}

static void test_mangled_safetensors(void **state)
{
    (void)state;
    mangle(small_safetensors());
}

/* A bit of each byte of the authors' files that is no number of a tensor. */
static void test_mangled_goldens(void **state)
{
    (void)state;
    static const char *const paths[] = {DATA "fixture_agg/checkpoint_3/checkpoint",
                                        DATA "chunked_legacy/checkpoint_3"};
    for (size_t k = 0; k < 2; k++) {
        struct buf b = get_file(paths[k]);
        struct vq_ckpt *c = must_open(paths[k]);
        uint8_t *payload = calloc(b.size, 1);
        for (size_t i = 0; i < c->count; i++) {
            struct vq_span one;
            size_t n;
            const struct vq_span *spans = vq_tensor_spans(&c->tensors[i], &one, &n);
            for (size_t j = 0; j < n; j++)
                memset(payload + (spans[j].data - c->file.data), 1, spans[j].size);
        }
        vq_ckpt_free(c);
        for (size_t i = 0; i < b.size; i += payload[i] ? 1 : 3) {
            if (payload[i])
                continue;
            b.data[i] ^= (uint8_t)(1 << i % 8);
            read_memory(b.data, b.size);
            b.data[i] ^= (uint8_t)(1 << i % 8);
        }
        free(payload);
        free(b.data);
    }
}

/* A cut file is told from a damaged one by its lengths. */
static void test_cut_files(void **state)
{
    struct vq_ckpt *c = must_open(DATA "fixture_agg");
    struct vq_tensor_out *t = outs_of(c);
    const char *flax = in(state, "cut"), *safe = in(state, "cut.safetensors");
    assert_int_equal(vq_flax_write(flax, false, t, c->count, 0, NULL, NULL), VQ_OK);
    assert_int_equal(vq_safetensors_write(safe, t, c->count, NULL, 0, NULL, NULL), VQ_OK);
    free(t);
    vq_ckpt_free(c);
    static const size_t step = 37;
    for (int k = 0; k < 2; k++) {
        const char *path = k ? safe : flax;
        struct buf b = get_file(path);
        uint64_t header = 0;
        memcpy(&header, b.data, sizeof(header));
        for (size_t n = b.size - 1; n > step; n -= step) {
            char found[40], expected[40];
            snprintf(found, sizeof(found), "found %zu", n);
            snprintf(expected, sizeof(expected), "expected %zu bytes", b.size);
            assert_int_equal(truncate(path, (off_t)n), 0);
            must_refuse(path, VQ_EFORMAT, "cut short", path, found,
                        k && n >= 8 + header ? expected : "cut", NULL);
        }
        for (size_t n = step; n > 0; n--) {
            assert_int_equal(truncate(path, (off_t)n), 0);
            must_refuse(path, VQ_EFORMAT, "cut short", NULL);
        }
        assert_int_equal(truncate(path, 0), 0);
        must_refuse(path, VQ_EFORMAT, "an empty file", NULL);
        free(b.data);
    }
}

static void refuse_bytes(void **state, const char *data, size_t size, enum vq_status code,
                         const char *word, const char *word2)
{
    put_file(in(state, "file"), data, size);
    must_refuse(in(state, "file"), code, word, word2, NULL);
    read_memory((const uint8_t *)data, size);
}

#define REFUSE(text, code, word, word2)                                                            \
    refuse_bytes(state, (text), sizeof(text) - 1, (code), (word), (word2))

static void test_other_programs(void **state)
{
    REFUSE("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", VQ_EFORMAT, "a JPEG image", "12 bytes");
    REFUSE("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", VQ_EFORMAT, "a PNG image", "not a checkpoint");
    REFUSE("<!DOCTYPE html><html>", VQ_EFORMAT, "an HTML page", "not a checkpoint");
    REFUSE("GGUF\x03\x00\x00\x00{\x00\x00\x00\x00\x00\x00\x00", VQ_EFORMAT, "a GGUF model", "");
    REFUSE("PK\x03\x04\x14\x00\x00\x00\x08\x00", VQ_EFORMAT, "a ZIP archive", "");
    REFUSE("\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}", VQ_EFORMAT, "a Python pickle", "");
    REFUSE("\x93NUMPY\x01\x00v\x00{'descr'", VQ_EFORMAT, "a numpy array", "");
    REFUSE("version https://git-lfs.github.com/spec/v1\n", VQ_EFORMAT, "a Git LFS pointer", "");
    REFUSE("hello, world\n", VQ_EFORMAT, "a text file", "13 bytes");
    REFUSE("12345678{\"a\": 1}\n", VQ_EFORMAT, "a text file", "");
    REFUSE("{\"a\": 1}\n", VQ_EFORMAT, "a text file", "");
    REFUSE("", VQ_EFORMAT, "an empty file", "");
    REFUSE("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", VQ_EFORMAT, "neither", "0x00");
    REFUSE("\x80", VQ_EFORMAT, "", "");
    put_file(in(state, "cat.safetensors"), "\xff\xd8\xff\xe0\x00\x10JFIF", 10);
    must_refuse(in(state, "cat.safetensors"), VQ_EFORMAT, "a JPEG image", NULL);
    put_file(in(state, "t.safetensors"), "12345678{}", 10);
    must_refuse(in(state, "t.safetensors"), VQ_EFORMAT, "header would have 4050765991979987505",
                NULL);
}

#define PARAM(value) "\x81\xa6params\x81\xa1w" value
#define STATE(value) "\x82\xa6params\x81\xa1w\x01\xa9opt_state" value

static void test_flax_of_other_kinds(void **state)
{
    REFUSE("\x82\xb1loss_lm_per_token\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xactotal_tokens\x05",
           VQ_EFORMAT, "loss_lm_per_token, total_tokens", "evaluation");
    REFUSE("\x86" KEY("a") "\x01" KEY("b") "\x01\xa1\xff\x01" KEY("d") "\x01" KEY("e") "\x01" KEY(
               "f") "\x01",
           VQ_EFORMAT, "it holds a, b, ?, d, e, ...", "TrainState");
    REFUSE("\x81\xa6params\x80", VQ_EFORMAT, "\"params\" is an empty map", "");
    REFUSE("\x81\xa6params\x92\x01\x02", VQ_EFORMAT, "\"params\" is a sequence", "");
    REFUSE(PARAM("\xb1PLACEHOLDER://a.b"), VQ_EUNSUPPORTED, "spread over devices", "tensor w");
    REFUSE(PARAM("\xa5hello"), VQ_EFORMAT, "tensor w", "is a text");
    REFUSE(PARAM("\xc4\x01\x00"), VQ_EFORMAT, "tensor w", "bare bytes");
    REFUSE(PARAM("\xd7\x02\x92\xca\x00\x00\x00\x00\x00\x00"), VQ_EUNSUPPORTED, "complex",
           "tensor w");
    REFUSE(PARAM("\xd4\x09\x00"), VQ_EUNSUPPORTED, "extension type 9", "");
    REFUSE(PARAM("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), VQ_EUNSUPPORTED, "over 2^63", "");
    REFUSE(PARAM("\xc7\x10\x01\x93\x90\xa9"
                 "complex64\xc4\x00\xc0\xc0"),
           VQ_EFORMAT, "more bytes", "");
    REFUSE(PARAM("\xc7\x0e\x01\x93\x90\xa9"
                 "complex64\xc4\x00"),
           VQ_EUNSUPPORTED, "\"complex64\"", "");
}

static void test_flax_arrays(void **state)
{
    REFUSE(PARAM("\xc7\x00\x01"), VQ_EFORMAT, "tensor w", "at least 1 bytes, found 0");
    REFUSE(PARAM("\xd4\x01\x90"), VQ_EFORMAT, "tensor w", "[shape, dtype, bytes]");
    REFUSE(PARAM("\xd5\x01\x90\x90"), VQ_EFORMAT, "ends at byte 1", "1 more bytes follow");
    REFUSE(PARAM("\xd6\x01\x93\x01\x02\x03"), VQ_EFORMAT, "its shape is an integer", "");
    REFUSE(PARAM("\xd6\x01\x93\x90\x02\x03"), VQ_EFORMAT, "[shape, dtype, bytes]", "");
    REFUSE(PARAM("\xc7\x0c\x01\x93\x91\x02\xa4int8\xc4\x01\x00\xc0"), VQ_EFORMAT, "follow", "");
    REFUSE(PARAM("\xc7\x0b\x01\x93\x91\x02\xa4int8\xc4\x01\x00"), VQ_EFORMAT,
           "int8 [2] has 2 bytes", "but 1 are stored");
    REFUSE(PARAM("\xc7\x0b\x01\x93\x91\xff\xa4int8\xc4\x01\x00"), VQ_EFORMAT, "negative",
           "tensor w");
    REFUSE(PARAM("\xc7\x0b\x01\x93\x91\xc0\xa4int8\xc4\x01\x00"), VQ_EFORMAT, "no integer", "");
    REFUSE(PARAM("\xc7\x13\x01\x93\x99\x01\x01\x01\x01\x01\x01\x01\x01\x01\xa4int8\xc4\x01\x00"),
           VQ_EFORMAT, "9 dimensions", "");
    /* 2^62 * 4 elements wrap to 0; 2^62 floats wrap to 0 bytes; 2^64 - 1 is no dimension. */
    REFUSE(PARAM("\xc7\x13\x01\x93\x92\xcf\x40\x00\x00\x00\x00\x00\x00\x00\x04\xa4int8\xc4\x00"),
           VQ_EFORMAT, "more elements than can be counted", "");
    REFUSE(PARAM("\xc7\x15\x01\x93\x91\xcf\x40\x00\x00\x00\x00\x00\x00\x00\xa7"
                 "float32\xc4\x00"),
           VQ_EFORMAT, "more bytes than can be counted", "");
    REFUSE(PARAM("\xc7\x12\x01\x93\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4int8\xc4\x00"),
           VQ_EFORMAT, "no integer", "");
}

#define NINES                                                                                      \
    "\xaa"                                                                                         \
    "9999999999"
#define CHUNKED(shape, chunks)                                                                     \
    PARAM("\x83\xb9__msgpack_chunked_array__\xc3\xa5shape" shape "\xa6"                            \
          "chunks" chunks)

static void test_chunks(void **state)
{
    REFUSE(PARAM("\x81\xb9__msgpack_chunked_array__\xc3"), VQ_EFORMAT, "without shape", "tensor w");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02", "\x80"), VQ_EFORMAT, "without shape or chunks", "");
    REFUSE(CHUNKED("\x02", "\x80"), VQ_EFORMAT, "without shape or chunks", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02", "\x81" KEY("0") I8("\x0b", "\x01", "\x07")), VQ_EFORMAT,
           "int8 [2] has 2 bytes", "1 chunks have 1");
    REFUSE(CHUNKED("\x81" KEY("1") "\x01", "\x81" KEY("0") I8("\x0b", "\x01", "\x07")), VQ_EFORMAT,
           "shape of a chunked array", "");
    REFUSE(
        CHUNKED("\x82" KEY("0") "\x01" KEY("0") "\x01", "\x81" KEY("0") I8("\x0b", "\x01", "\x07")),
        VQ_EFORMAT, "shape of a chunked array", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\xff", "\x81" KEY("0") I8("\x0b", "\x01", "\x07")), VQ_EFORMAT,
           "negative", "");
    REFUSE(CHUNKED("\x99\x01\x01\x01\x01\x01\x01\x01\x01\x01",
                   "\x81" KEY("0") I8("\x0b", "\x01", "\x07")),
           VQ_EFORMAT, "9 dimensions", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x01", "\x81" KEY("1") I8("\x0b", "\x01", "\x07")), VQ_EFORMAT,
           "not numbered from 0", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x01", "\x81" NINES I8("\x0b", "\x01", "\x07")), VQ_EFORMAT,
           "not numbered from 0", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02",
                   "\x82" KEY("0") I8("\x0b", "\x01", "\x07") KEY("0") I8("\x0b", "\x01", "\x07")),
           VQ_EFORMAT, "not numbered from 0", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02", "\x81" KEY("0") "\xc0"), VQ_EFORMAT,
           "chunk 0 is nothing", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02", "\x81" KEY("0") "\xd4\x01\x90"), VQ_EFORMAT,
           "tensor w: chunk 0", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02",
                   "\x82" KEY("0") I8("\x0b", "\x01", "\x07")
                       KEY("1") "\xc7\x0c\x01\x93\x91\x01\xa5uint8\xc4\x01\x07"),
           VQ_EFORMAT, "rank or dtype", "");
    REFUSE(CHUNKED("\x81" KEY("0") "\x02",
                   "\x81" KEY("0") "\xc7\x0d\x01\x93\x92\x01\x02\xa4int8\xc4\x02\x07\x07"),
           VQ_EFORMAT, "rank or dtype", "");
    /* Out of order and as sequences they are fine. */
    static const char fine[] = CHUNKED("\x91\x03", "\x82" KEY("1") I8("\x0b", "\x01", "\x09")
                                                       KEY("0") I8("\x0c", "\x02", "\x07\x08"));
    put_file(in(state, "ok"), fine, sizeof(fine) - 1);
    struct vq_ckpt *c = must_open(in(state, "ok"));
    uint8_t got[3];
    vq_tensor_read_raw(vq_ckpt_find(c, "w"), got);
    assert_memory_equal(got, "\x07\x08\x09", 3);
    vq_ckpt_free(c);
}

static void test_flax_keys(void **state)
{
    REFUSE(STATE("\x81\x01\x02"), VQ_EFORMAT, "\"opt_state\" has a key that is an integer", "");
    REFUSE(STATE("\x81\xa0\x02"), VQ_EFORMAT, "empty", "opt_state");
    REFUSE(STATE("\x81\xa3"
                 "a/b\x02"),
           VQ_EFORMAT, "'/'", "opt_state");
    REFUSE(STATE("\x81\xa3"
                 "a\x00"
                 "b\x02"),
           VQ_EFORMAT, "NUL", "opt_state");
    REFUSE(STATE("\x81\xa3"
                 "a\x1b"
                 "b\x02"),
           VQ_EFORMAT, "control characters", "");
    REFUSE(STATE("\x81\xa2\xc3\x28\x02"), VQ_EFORMAT, "UTF-8", "");
    REFUSE(STATE("\x82" KEY("a") "\x01" KEY("a") "\x02"), VQ_EFORMAT,
           "two tensors are named opt_state/a", "");
    REFUSE("\x81\xa6params\x81\xa4step\x01", VQ_EFORMAT, "name of training state", "");
    REFUSE("\x81\xa6params\x81\xa9opt_state\x81" KEY("a") "\x01", VQ_EFORMAT,
           "name of training state", "");
    char key[600] = "\x81\xa6params\x81\xda\x02\x30"; /* 0x230 bytes */
    memset(key + 12, 'k', 0x230);
    refuse_bytes(state, key, 12 + 0x230, VQ_EFORMAT, "at least", "");
    key[12 + 0x230] = '\x01';
    refuse_bytes(state, key, 13 + 0x230, VQ_EFORMAT, "over 512 bytes", "\"params\"");
}

/* Counts and lengths that no file could hold must not even be asked of the allocator. */
static void refuse_lies(void **state)
{
    REFUSE("\xdf\xff\xff\xff\xff" KEY("a"), VQ_EFORMAT, "at least 85899345", "found 7");
    REFUSE(PARAM("\xdd\xff\xff\xff\xff"), VQ_EFORMAT, "at least 4294967", "");
    REFUSE(PARAM("\xdf\xff\xff\xff\xff"), VQ_EFORMAT, "at least 8589934", "");
    REFUSE(PARAM("\xdb\xff\xff\xff\xff"), VQ_EFORMAT, "at least 4294967", "");
    REFUSE(PARAM("\xc6\xff\xff\xff\xff"), VQ_EFORMAT, "at least 4294967", "");
    REFUSE(PARAM("\xc9\xff\xff\xff\xff\x01\x93"), VQ_EFORMAT, "at least 4294967", "");
    REFUSE(PARAM("\xde\xff\xff"), VQ_EFORMAT, "at least 1310", "");
    REFUSE(PARAM("\xd9\xff"), VQ_EFORMAT, "at least", "");
    REFUSE(PARAM("\xcf\xff"), VQ_EFORMAT, "at least", "");
    REFUSE(PARAM("\xc7\x06\x01\x93\xdd\xff\xff\xff\xff"), VQ_EFORMAT, "payload",
           "at least 42949673");
    REFUSE(PARAM("\xc7\x06\x01\x93\x91\xdf\xff\xff\xff"), VQ_EFORMAT, "payload", "at least");
    REFUSE("\x01\xff\xff\xff\xff\xff\xff\x7f{\"a\":1}", VQ_EFORMAT,
           "header would have 9223372036854775553 bytes", "at most 100000000");
    REFUSE("\x00\x00\x00\x00\x00\x00\x00\x80{\"a\":1}", VQ_EFORMAT,
           "header would have 9223372036854775808 bytes", "the file has 15");
    REFUSE("\xff\xff\xff\xff\x00\x00\x00\x00{\"a\":1}", VQ_EFORMAT, "at most 100000000", "");
    REFUSE("\x00\xe1\xf5\x05\x00\x00\x00\x00{\"a\":1}", VQ_EFORMAT, "ends at byte 100000008",
           "found 15");
    REFUSE("\x01\xe1\xf5\x05\x00\x00\x00\x00{\"a\":1}", VQ_EFORMAT, "would have 100000001", "");
}

static void test_lies(void **state)
{
    struct rlimit was, tight;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_true(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
    tight = was;
    tight.rlim_cur = pages * 4096 + (64 << 20);
    if (!ASAN)
        assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    refuse_lies(state);
    setrlimit(RLIMIT_AS, &was);
}

/* `head` n times, as a file. */
static void refuse_nested(void **state, const char *head, const char *unit, size_t n,
                          const char *word)
{
    struct buf b = {0};
    put(&b, head, strlen(head));
    for (size_t i = 0; i < n; i++)
        put(&b, unit, strlen(unit));
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, word, "");
    free(b.data);
}

static void test_bombs(void **state)
{
    refuse_nested(state, "\x81\xa6params", "\x91", 100000, "nested deeper than 30");
    refuse_nested(state, "\x81\xa6params", "\x81" KEY("a"), 100000, "nested deeper than 30");
    struct buf b = {0};
    LIT(&b, PARAM("\xdd\x00\x10\x00\x00")); /* 2^20 members */
    for (size_t i = 0; i < 1 << 20; i++)
        put(&b, "\xc0", 1);
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, "more than 262144 items", "");
    free(b.data);

    /* As deep as the limits let it, with names of 24 parts at most. */
    b = (struct buf){0};
    LIT(&b, "\x81\xa6params");
    for (int i = 0; i < 24; i++)
        LIT(&b, "\x81" KEY("a"));
    LIT(&b, "\x07");
    put_file(in(state, "deep"), b.data, b.size);
    struct vq_ckpt *c = must_open(in(state, "deep"));
    assert_int_equal(strlen(vq_ckpt_at(c, 0)->name), 47);
    struct vq_tensor_out t = {.from = vq_ckpt_at(c, 0)};
    assert_int_equal(vq_flax_write(in(state, "deep2"), true, &t, 1, 0, NULL, NULL), VQ_OK);
    struct vq_ckpt *back = must_open(in(state, "deep2"));
    assert_same_tensor(vq_ckpt_at(c, 0), vq_ckpt_at(back, 0));
    vq_ckpt_free(back);
    vq_ckpt_free(c);
    b.size--;
    LIT(&b, "\x81" KEY("a") "\x07");
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, "25 parts", "");
    for (int i = 0; i < 4; i++) {
        b.size--;
        LIT(&b, "\x91\x07");
        refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, "parts", "");
    }
    b.size--;
    LIT(&b, "\x91\x07");
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, "nested deeper", "");
    free(b.data);

    char header[4096] = "{\"a\":";
    memset(header + 5, '[', 3000);
    b = safetensors(header, 0);
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, "safetensors header", "");
    free(b.data);
}

#define F32(name, shape, begin, end)                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_safetensors(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *word, *word2;
    } cases[] = {
        {"{" F32("a", "[1]", 0, 4) "," F32("b", "[1]", 2, 6) "}", 6, "tensor b", "an overlap"},
        {"{" F32("a", "[1]", 0, 4) "," F32("b", "[1]", 0, 4) "}", 4, "", "an overlap"},
        {"{" F32("a", "[1]", 0, 4) "," F32("b", "[0]", 2, 2) "}", 4, "", "an overlap"},
        {"{" F32("a", "[1]", 0, 4) "," F32("b", "[1]", 8, 12) "}", 12, "tensor b", "a gap"},
        {"{" F32("a", "[1]", 4, 8) "}", 8, "begins at offset 4, expected 0", "a gap"},
        {"{" F32("a", "[1]", 0, 4) "}", 7, "3 bytes follow the last tensor", "found"},
        {"{" F32("a", "[1]", 0, 4) "}", 3, "cut short", "expected"},
        {"{" F32("a", "[1]", 0, 4) "," F32("a", "[1]", 4, 8) "}", 8, "safetensors header", "\"a\""},
        {"{" F32("a", "[1]", 0, 4) "," F32("\\u0061", "[1]", 4, 8) "}", 8, "safetensors header",
         ""},
        {"{" F32("", "[1]", 0, 4) "}", 4, "name is empty", ""},
        {"{" F32("a\\u0000b", "[1]", 0, 4) "}", 4, "safetensors header", ""},
        {"{" F32("a\\u0007b", "[1]", 0, 4) "}", 4, "control", ""},
        {"{" F32("a", "[2]", 0, 4) "}", 4, "tensor a", "float32 [2] has 8 bytes"},
        {"{" F32("a", "[1]", 4, 0) "}", 4, "not in order", ""},
        {"{" F32("a", "[1]", -4, 0) "}", 4, "not in order", ""},
        {"{" F32("a", "[-1]", 0, 4) "}", 4, "negative", ""},
        {"{" F32("a", "[1.5]", 0, 4) "}", 4, "dimension 0 is no integer", ""},
        {"{" F32("a", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "more than 8 dimensions", ""},
        {"{" F32("a", "[4398046511105,4194304]", 0, 4) "}", 4, "counted", "tensor a"},
        {"{" F32("a", "[4611686018427387904,4]", 0, 0) "}", 0, "no integer", ""},
        {"{" F32("a", "[2147483648,2147483648,4]", 0, 0) "}", 0, "more elements", ""},
        {"{" F32("a", "[2147483648,2147483648]", 0, 0) "}", 0, "more bytes", ""},
        {"{" F32("a", "[1]", 0, 18446744073709551616) "}", 4, "not two integers", ""},
        {"{" F32("a", "[1]", 0, 9007199254740991) "}", 4, "offsets span", ""},
        {"{" F32("a", "[2251799813685247]", 0, 9007199254740988) "}", 4, "cut short",
         "expected 900719925474"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "two integers",
         ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{\"x\":0,\"y\":4}}}", 4,
         "two integers", ""},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "two integers", ""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no array \"shape\"", ""},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no text \"dtype\"", ""},
        {"{\"a\":[1]}", 4, "no text \"dtype\"", "tensor a"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is an array", ""},
        {"{\"__metadata__\":{\"k\":1}}", 0, "\"k\" is a number", ""},
        {"{\"__metadata__\":{\"empty\":\"{}\"}," F32("a", "[1]", 0, 4) "}", 4, "no list of names",
         ""},
        {"{\"__metadata__\":{\"empty\":\"[1]\"}," F32("a", "[1]", 0, 4) "}", 4, "no list of names",
         ""},
        {"{\"__metadata__\":{\"empty\":\"[\"}," F32("a", "[1]", 0, 4) "}", 4, "metadata \"empty\"",
         ""},
        {"{\"__metadata__\":{\"empty\":\"[\\\"b\\\"]\"}," F32("a", "[1]", 0, 4) "}", 4, "names b",
         ""},
        {"{\"__metadata__\":{\"empty\":\"[\\\"a\\\"]\"}," F32("a", "[1]", 0, 4) "}", 4, "names a",
         ""},
        {"{}", 0, "holds no tensors", ""},
        {"{}", 1, "1 bytes follow", ""},
        {"{\"a\"", 0, "safetensors header", ""},
        {"{} x", 0, "safetensors header", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = safetensors(cases[i].header, cases[i].data);
        refuse_bytes(state, (const char *)b.data, b.size, VQ_EFORMAT, cases[i].word,
                     cases[i].word2);
        free(b.data);
    }
    struct buf b =
        safetensors("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    refuse_bytes(state, (const char *)b.data, b.size, VQ_EUNSUPPORTED, "\"F8_E4M3\"", "tensor a");
    free(b.data);
    b = safetensors(" {}", 0);
    put_file(in(state, "space.safetensors"), b.data, b.size);
    must_refuse(in(state, "space.safetensors"), VQ_EFORMAT, "does not begin with '{'", NULL);
    free(b.data);
}

/* The heads themselves, without a checkpoint around them. */
static void test_documents(void **state)
{
    (void)state;
    struct vq_msg *doc;
    static const uint8_t ok[] = "\x92\xca\x3f\x80\x00\x00\xd3\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_int_equal(vq_msg_parse(&doc, ok, sizeof(ok) - 1, NULL), VQ_OK);
    const struct vq_msg_node *root = vq_msg_root(doc);
    int64_t i;
    assert_int_equal(vq_msg_kind(root), VQ_MSG_ARRAY);
    assert_true(vq_msg_float(vq_msg_at(root, 0)) == 1.0);
    assert_true(vq_msg_int(vq_msg_at(root, 1), &i) && i == -1);
    assert_null(vq_msg_get(root, "x"));
    assert_null(vq_msg_data(root));
    vq_msg_free(doc);
    vq_msg_free(NULL);
    struct vq_err err;
    assert_int_equal(vq_msg_parse(&doc, (const uint8_t *)"\x91\xc1", 2, &err), VQ_EFORMAT);
    assert_non_null(strstr(err.msg, "byte 1 is 0xc1"));
    assert_null(doc);
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mangled_flax),
        cmocka_unit_test(test_mangled_safetensors),
        cmocka_unit_test(test_mangled_goldens),
        IN_SCRATCH(test_cut_files),
        IN_SCRATCH(test_other_programs),
        IN_SCRATCH(test_flax_of_other_kinds),
        IN_SCRATCH(test_flax_arrays),
        IN_SCRATCH(test_chunks),
        IN_SCRATCH(test_flax_keys),
        IN_SCRATCH(test_lies),
        IN_SCRATCH(test_bombs),
        IN_SCRATCH(test_safetensors),
        cmocka_unit_test(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
