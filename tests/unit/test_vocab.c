/* Vocabularies: ids against SentencePiece's own, bytes there and back, and files that are none. */
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
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "core/vocab/vocab.h"

#define MODEL "tests/data/vocab/google_test_model.model"

static char folder[] = "/tmp/vqsh-vocab-XXXXXX";
static char path[64];

static struct vq_vocab *must(const char *spec, int n_vocab)
{
    struct vq_vocab *v;
    struct vq_err err = {0};
    if (vq_vocab_open(&v, spec, n_vocab, &err) != VQ_OK)
        fail_msg("%s: %s", spec, err.msg);
    return v;
}

static void refused(const char *spec, int n_vocab, enum vq_status code, const char *why)
{
    struct vq_vocab *v;
    struct vq_err err = {0};
    enum vq_status status = vq_vocab_open(&v, spec, n_vocab, &err);
    if (status != code || !strstr(err.msg, why))
        fail_msg("%s: expected \"%s\", found %d \"%s\"", spec, why, status, err.msg);
    assert_null(v);
}

static void write_file(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void encodes(const struct vq_vocab *v, const char *text, size_t size, const int32_t *ids,
                    size_t n)
{
    int32_t *got;
    size_t n_got;
    assert_int_equal(vq_vocab_encode(v, text, size, &got, &n_got, NULL), VQ_OK);
    assert_int_equal(n_got, n);
    assert_memory_equal(got, ids, n * sizeof(*ids));
    free(got);
}

static void decodes(const struct vq_vocab *v, const int32_t *ids, size_t n, const char *text,
                    size_t size)
{
    char *got;
    size_t n_got;
    assert_int_equal(vq_vocab_decode(v, ids, n, &got, &n_got, NULL), VQ_OK);
    assert_int_equal(n_got, size);
    assert_memory_equal(got, text, size);
    assert_int_equal(got[size], '\0');
    free(got);
}

static void shows(const struct vq_vocab *v, int32_t id, const char *expected)
{
    char buf[64];
    assert_string_equal(vq_vocab_piece(v, id, buf, sizeof(buf)), expected);
}

static void bytes(void **state)
{
    (void)state;
    struct vq_vocab *v = must("bytes", 259);
    assert_string_equal(vq_vocab_kind(v), "bytes");
    assert_string_equal(vq_vocab_spec(v), "bytes");
    assert_int_equal(vq_vocab_size(v), 259);
    assert_true(vq_vocab_is_text(v) && !vq_vocab_is_image(v));
    char all[256];
    int32_t ids[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
        ids[i] = i + 3;
    }
    encodes(v, all, 256, ids, 256);
    decodes(v, ids, 256, all, 256);
    encodes(v, "", 0, ids, 0);
    decodes(v, ids, 0, "", 0);
    decodes(v, (const int32_t[]){1, 'h' + 3, 0, 'i' + 3, 2}, 5, "hi", 2);
    char one[4];
    assert_int_equal(vq_vocab_bytes(v, 0xc3 + 3, one, sizeof(one)), 1);
    assert_int_equal((unsigned char)one[0], 0xc3);
    for (int32_t id = 0; id < VQ_N_SPECIAL; id++)
        assert_int_equal(vq_vocab_bytes(v, id, one, sizeof(one)), 0);
    assert_int_equal(vq_vocab_bytes(v, 'a' + 3, one, 0), 0);
    assert_int_equal(vq_vocab_bytes(v, 259, one, sizeof(one)), 0);
    assert_int_equal(vq_vocab_bytes(v, -1, one, sizeof(one)), 0);
    vq_vocab_free(v);
    vq_vocab_free(NULL);
}

static void bytes_shown(void **state)
{
    (void)state;
    struct vq_vocab *v = must("bytes", 0);
    static const struct {
        int32_t id;
        const char *shown;
    } cases[] = {
        {0, "<pad>"},        {1, "<eos>"},       {2, "<unk>"},        {'a' + 3, "a"},
        {' ' + 3, " "},      {'\n' + 3, "\\n"},  {'\t' + 3, "\\t"},   {'\r' + 3, "\\r"},
        {0 + 3, "\\x00"},    {27 + 3, "\\x1b"},  {0x7f + 3, "\\x7f"}, {0x80 + 3, "\\x80"},
        {0xc3 + 3, "\\xc3"}, {'\\' + 3, "\\\\"}, {'~' + 3, "~"},      {258, "\\xff"},
        {259, "<id 259>"},   {-5, "<id -5>"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        shows(v, cases[i].id, cases[i].shown);
    char tiny[4] = "zzz";
    assert_string_equal(vq_vocab_piece(v, 1, tiny, sizeof(tiny)), "<eo"); /* cut, but ended */
    assert_ptr_equal(vq_vocab_piece(v, 1, tiny, 0), tiny);
    vq_vocab_free(v);
}

static void images_and_ids(void **state)
{
    (void)state;
    struct vq_vocab *v = must("image64", 259);
    assert_true(vq_vocab_is_image(v) && !vq_vocab_is_text(v));
    assert_string_equal(vq_vocab_kind(v), "image64");
    encodes(v, "\0\xff", 2, (const int32_t[]){3, 258}, 2);
    decodes(v, (const int32_t[]){3, 258}, 2, "\0\xff", 2);
    shows(v, 1, "<eos>");
    shows(v, 258, "255");
    vq_vocab_free(v);

    struct vq_err err = {0};
    int32_t *ids, id = 17;
    char *text;
    size_t n;
    v = must("ids", 50);
    assert_int_equal(vq_vocab_size(v), 50);
    assert_true(!vq_vocab_is_image(v) && !vq_vocab_is_text(v));
    shows(v, 17, "17");
    shows(v, 1, "<eos>");
    shows(v, 50, "<id 50>");
    assert_int_equal(vq_vocab_encode(v, "a", 1, &ids, &n, &err), VQ_EUNSUPPORTED);
    assert_null(ids);
    assert_int_equal(vq_vocab_decode(v, &id, 1, &text, &n, &err), VQ_EUNSUPPORTED);
    assert_null(text);
    char one[4];
    assert_int_equal(vq_vocab_bytes(v, 17, one, sizeof(one)), 0);
    vq_vocab_free(v);
}

/* Value b of channel c is id 256 c + b + 3, and which channel it is its place tells. */
static void channels(void **state)
{
    (void)state;
    struct vq_vocab *v = must("rgb64", 771);
    assert_true(vq_vocab_is_image(v) && !vq_vocab_is_text(v));
    assert_string_equal(vq_vocab_kind(v), "rgb64");
    const int32_t ids[] = {3, 259 + 255, 515 + 7, 3 + 9};
    encodes(v, "\0\xff\7\t", 4, ids, 4);
    decodes(v, ids, 4, "\0\xff\7\t", 4);
    decodes(v, (const int32_t[]){1, 770, 0, 2}, 4, "\xff", 1);
    static const struct {
        int32_t id;
        const char *shown;
    } cases[] = {{1, "<eos>"},  {3, "r0"},   {258, "r255"}, {259, "g0"},      {271, "g12"},
                 {514, "g255"}, {515, "b0"}, {770, "b255"}, {771, "<id 771>"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        shows(v, cases[i].id, cases[i].shown);
    for (uint64_t at = 0; at < 7; at++) {
        int32_t first = (int32_t)(3 + at % 3 * 256);
        assert_int_equal(vq_vocab_byte_id(v, at, 0), first);
        assert_int_equal(vq_vocab_byte_id(v, at, 255), first + 255);
        for (int32_t id = -2; id < 773; id++)
            assert_int_equal(vq_vocab_byte_at(v, at, id),
                             id >= first && id < first + 256 ? id - first : -1);
    }
    int32_t moved[] = {3 + 1, 259 + 2, 515 + 3, 3 + 4};
    vq_vocab_move(v, 12287, moved, 4);
    assert_memory_equal(moved, ((int32_t[]){515 + 1, 3 + 2, 259 + 3, 515 + 4}), sizeof(moved));
    vq_vocab_free(v);
}

/* Where channels share their ids the place says nothing. */
static void no_channels(void **state)
{
    (void)state;
    static const char *const specs[] = {"bytes", "image64"};
    for (size_t i = 0; i < 2; i++) {
        struct vq_vocab *v = must(specs[i], 0);
        int32_t ids[] = {3, 258, 7};
        assert_int_equal(vq_vocab_byte_id(v, 1, 255), 258);
        assert_int_equal(vq_vocab_byte_at(v, 2, 258), 255);
        assert_int_equal(vq_vocab_byte_at(v, 2, 2), -1);
        vq_vocab_move(v, 1, ids, 3);
        assert_memory_equal(ids, ((int32_t[]){3, 258, 7}), sizeof(ids));
        vq_vocab_free(v);
    }
    struct vq_vocab *v = must(MODEL, 0);
    int32_t id = 7;
    vq_vocab_move(v, 1, &id, 1);
    assert_int_equal(id, 7);
    vq_vocab_free(v);
    static const char *const names[] = {"bytes", "image64", "rgb64", "ids"};
    for (size_t i = 0; i < 4; i++)
        assert_false(vq_vocab_is_file(names[i]));
    assert_true(vq_vocab_is_file("byte") && vq_vocab_is_file("a/bytes"));
}

static void refusals(void **state)
{
    (void)state;
    refused("bytes", 256, VQ_EINVAL, "vocabulary bytes has 259 ids, but the model has 256");
    refused("ids", 0, VQ_EINVAL, "expected a size over 3, found 0");
    refused("rgb64", 259, VQ_EINVAL, "vocabulary rgb64 has 771 ids, but the model has 259");
    refused(MODEL, 32000, VQ_EINVAL, "has 1000 ids, but the model has 32000");
    refused("byte", 0, VQ_ENOTFOUND, "expected bytes, image64, rgb64, ids, or the path");
    refused("no/such.model", 0, VQ_ENOTFOUND, "no/such.model: No such file");
    refused("tests/data", 0, VQ_EINVAL, "expected a file, found a folder");
    struct vq_vocab *v = must("bytes", 0);
    struct vq_err err = {0};
    char *text;
    size_t n;
    const int32_t high[] = {3, 259}, low[] = {-1};
    assert_int_equal(vq_vocab_decode(v, high, 2, &text, &n, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "id 259 at index 1; the vocabulary has ids 0 to 258");
    assert_int_equal(vq_vocab_decode(v, low, 1, &text, &n, &err), VQ_EINVAL);
    assert_null(text);
    vq_vocab_free(v);
}

/* Reads one line of ids; returns the start of the next line. */
static const char *read_ids(const char *s, int32_t *ids, size_t max, size_t *n)
{
    *n = 0;
    while (*s != '\n' && *s) {
        char *end;
        long id = strtol(s, &end, 10);
        assert_ptr_not_equal(end, s);
        assert_true(*n < max);
        ids[(*n)++] = (int32_t)id;
        for (s = end; *s == ' '; s++)
            ;
    }
    return *s ? s + 1 : s;
}

static char *slurp(const char *name)
{
    struct vq_file f;
    assert_int_equal(vq_file_open(&f, name, NULL), VQ_OK);
    char *copy = malloc(f.size + 1);
    memcpy(copy, f.data, f.size);
    copy[f.size] = '\0';
    vq_file_close(&f);
    return copy;
}

/* Every line of the input gives the reference's ids. Returns the number of lines. */
static int same_ids(const char *model, const char *input, const char *reference)
{
    struct vq_vocab *v = must(model, 0);
    char *text = slurp(input), *refs = slurp(reference);
    const char *ref = refs;
    int lines = 0;
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        int32_t expected[4096];
        size_t n;
        ref = read_ids(ref, expected, 4096, &n);
        encodes(v, line, (size_t)(end - line), expected, n);
    }
    assert_int_equal(*ref, '\0');
    free(text);
    free(refs);
    vq_vocab_free(v);
    return lines;
}

static void reference_ids(void **state)
{
    (void)state;
    assert_int_equal(same_ids(MODEL, "tests/data/vocab/ref_input.txt",
                              "tests/data/vocab/google_test_model.ref_ids.txt"),
                     40);
}

static void more_reference_ids(void **state)
{
    (void)state;
    static const char *const models[] = {"google_test_model", "pg19_bpe32k", "prose_bpe8k",
                                         "t5_tokenizer_base"};
    const char *at = "../shared/data/spm/";
    if (access(at, R_OK) != 0) {
        print_message("%s is not here\n", at);
        skip();
    }
    for (size_t i = 0; i < 4; i++) {
        char model[128], input[128], ids[128];
        snprintf(model, sizeof(model), "%s%s.model", at, models[i]);
        snprintf(input, sizeof(input), "%sref_input.txt", at);
        snprintf(ids, sizeof(ids), "%s%s.ref_ids.txt", at, models[i]);
        assert_int_equal(same_ids(model, input, ids), 445);
    }
}

static void pieces(void **state)
{
    (void)state;
    struct vq_vocab *v = must(MODEL, 1000);
    assert_string_equal(vq_vocab_kind(v), "sentencepiece");
    assert_string_equal(vq_vocab_spec(v), MODEL);
    assert_true(vq_vocab_is_text(v) && !vq_vocab_is_image(v));
    shows(v, 0, "<unk>"); /* this model has its own order of special ids */
    shows(v, 1, "<s>");
    shows(v, 2, "<eos>");
    shows(v, 3, "\\r");
    shows(v, 4, "▁");
    shows(v, 7, "▁the");
    char buf[8];
    assert_int_equal(vq_vocab_bytes(v, 7, buf, sizeof(buf)), 4);
    assert_memory_equal(buf, " the", 4);
    assert_int_equal(vq_vocab_bytes(v, 7, buf, 2), 2);
    for (int32_t id = 0; id < 3; id++)
        assert_int_equal(vq_vocab_bytes(v, id, buf, sizeof(buf)), 0);
    char tiny[5]; /* a piece is cut between characters: the mark alone takes three bytes */
    assert_string_equal(vq_vocab_piece(v, 7, tiny, 5), "▁t");
    assert_string_equal(vq_vocab_piece(v, 7, tiny, 3), "");
    decodes(v, (const int32_t[]){1, 7, 7, 2}, 4, "the the", 7);
    struct vq_err err = {0};
    int32_t *ids;
    size_t n;
    assert_int_equal(vq_vocab_encode(v, "caf\xe9", 4, &ids, &n, &err), VQ_EINVAL);
    assert_string_equal(err.msg, "byte 3 of the text is not UTF-8 (0xe9)");
    assert_null(ids);
    assert_int_equal(vq_vocab_encode(v, "", 0, &ids, &n, &err), VQ_OK);
    assert_int_equal(n, 0);
    free(ids);
    vq_vocab_free(v);
}

/* Parts of a serialised model, in the wire format of protocol buffers. */
static void put_byte(struct vq_text *t, int byte)
{
    vq_text_put(t, &(char){(char)byte}, 1);
}

static void put_piece(struct vq_text *t, const char *piece, float score, int type)
{
    int n = (int)strlen(piece);
    put_byte(t, 0x0a); /* ModelProto.pieces */
    put_byte(t, n + 9);
    put_byte(t, 0x0a);
    put_byte(t, n);
    vq_text_puts(t, piece);
    put_byte(t, 0x15);
    char bits[4];
    memcpy(bits, &score, 4);
    vq_text_put(t, bits, 4);
    put_byte(t, 0x18);
    put_byte(t, type);
}

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

/* A model with the special ids of our settings, byte fallback, and a few pieces from id 259 on. */
static void fallback_model(struct vq_text *t)
{
    put_piece(t, "<pad>", 0, CONTROL);
    put_piece(t, "</s>", 0, CONTROL);
    put_piece(t, "<unk>", 0, UNKNOWN);
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof(name), "<0x%02X>", b);
        put_piece(t, name, 0, BYTE);
    }
    put_piece(t, "▁", -1, NORMAL);
    put_piece(t, "▁a", -1, NORMAL);
    put_piece(t, "b", -1, NORMAL);
    put_piece(t, "\u0301", -1, NORMAL);
    put_piece(t, "a\u200b\u202e\xc2\x85", -2, NORMAL);
    put_piece(t, "<sep>", 0, USER);
    put_piece(t, "<mask>", 0, CONTROL);
    put_piece(t, "old▁", 0, UNUSED);
    vq_text_put(t, "\x12\x03\x98\x02\x01", 5); /* trainer_spec.byte_fallback = true */
    vq_text_put(t, "\x1a\x02\x18\x01", 4);     /* normalizer_spec.add_dummy_prefix = true */
    assert_false(t->failed);
}

static void byte_fallback(void **state)
{
    (void)state;
    struct vq_text t = {0};
    fallback_model(&t);
    write_file(t.data, t.len);
    vq_text_release(&t);
    struct vq_vocab *v = must(path, 267);
    const int32_t ids[] = {260, 261, 0xe4 + 3, 0xbd + 3, 0xa0 + 3, 264};
    encodes(v, "ab你<sep>", 10, ids, 6);
    decodes(v, ids, 6, "ab你<sep>", 10);
    decodes(v, ids, 4, "ab\xe4\xbd", 4); /* cut inside a character: the bytes are kept */
    shows(v, 0, "<pad>");
    shows(v, 1, "<eos>");
    shows(v, 2, "<unk>");
    shows(v, 0xe4 + 3, "\\xe4");
    shows(v, '\n' + 3, "\\n");
    shows(v, 260, "▁a");
    shows(v, 262, "◌\u0301");
    shows(v, 263, "a\\u200b\\u202e\\u0085");
    shows(v, 264, "<sep>");
    shows(v, 265, "<mask>");
    shows(v, 266, "old▁");
    char buf[8];
    assert_int_equal(vq_vocab_bytes(v, 0xe4 + 3, buf, 8), 1);
    assert_int_equal((unsigned char)buf[0], 0xe4);
    assert_int_equal(vq_vocab_bytes(v, 265, buf, 8), 0);
    assert_int_equal(vq_vocab_bytes(v, 266, buf, 8), 4);
    vq_vocab_free(v);
}

/* Token by token through the UTF-8 filter, a character of three tokens appears whole. */
static void streaming(void **state)
{
    (void)state;
    struct vq_text t = {0}, out = {0};
    fallback_model(&t);
    write_file(t.data, t.len);
    vq_text_release(&t);
    struct vq_vocab *v = must(path, 0);
    struct vq_utf8_stream st = {0};
    const int32_t ids[] = {260, 0xe4 + 3, 0xbd + 3, 0xa0 + 3, 1, 261, 0xe4 + 3};
    static const size_t lens[] = {2, 2, 2, 5, 5, 6, 6};
    for (size_t i = 0; i < 7; i++) {
        char buf[16];
        vq_utf8_stream_put(&st, buf, vq_vocab_bytes(v, ids[i], buf, sizeof(buf)), &out);
        assert_int_equal(out.len, lens[i]);
    }
    vq_utf8_stream_flush(&st, &out);
    assert_string_equal(out.data, " a你b\xef\xbf\xbd");
    vq_text_release(&out);
    vq_vocab_free(v);
}

/* Opens `path` and uses what was opened; fails when anything was written to stderr meanwhile. */
static enum vq_status quiet_open(struct vq_err *err)
{
    fflush(stderr);
    int saved = dup(STDERR_FILENO), pipes[2];
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    struct vq_vocab *v;
    enum vq_status status = vq_vocab_open(&v, path, 0, err);
    int32_t *ids = NULL;
    char buf[64];
    size_t n;
    if (v)
        vq_vocab_encode(v, "Hello world", 11, &ids, &n, NULL);
    for (int32_t id = 0; v && id < vq_vocab_size(v); id++)
        vq_vocab_piece(v, id, buf, sizeof(buf));
    free(ids);
    vq_vocab_free(v);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipes[1]);
    n = (size_t)read(pipes[0], buf, sizeof(buf) - 1);
    close(pipes[0]);
    if (n > 0)
        fail_msg("written to stderr: %.*s", (int)n, buf);
    return status;
}

static void not_a_model(const void *data, size_t n, const char *why)
{
    struct vq_err err = {0};
    write_file(data, n);
    assert_int_equal(quiet_open(&err), VQ_EFORMAT);
    if (!strstr(err.msg, why) || strncmp(err.msg, path, strlen(path)) != 0)
        fail_msg("expected \"%s\" in \"%s\"", why, err.msg);
}

/* Every start of a model is refused, also one that ends between two pieces. */
static void truncated(void **state)
{
    (void)state;
    not_a_model("", 0, "expected a SentencePiece model, found an empty file");
    not_a_model("hello\n", 6, "found a text file");
    not_a_model("\x89PNG\r\n\x1a\n....", 12, "found a PNG image");
    not_a_model("\x12\x00\x1a\x00", 4, "not a SentencePiece model, or a damaged one");
    struct vq_text t = {0};
    fallback_model(&t);
    for (size_t n = t.len - 300; n < t.len; n++)
        not_a_model(t.data, n, "something else, or a part of one");
    vq_text_release(&t);
}

/* Bytes changed at random: opening may succeed, but nothing crashes or talks. */
static void damaged(void **state)
{
    (void)state;
    struct vq_file f;
    struct vq_rng r;
    vq_rng_init(&r, 5, 0);
    assert_int_equal(vq_file_open(&f, MODEL, NULL), VQ_OK);
    uint8_t *copy = malloc(f.size);
    int opened = 0;
    for (int i = 0; i < 100; i++) {
        memcpy(copy, f.data, f.size);
        for (int k = 0; k < 6; k++)
            copy[vq_rng_below(&r, 14000)] = (uint8_t)vq_rng_u64(&r);
        write_file(copy, f.size);
        opened += quiet_open(NULL) == VQ_OK;
    }
    assert_in_range(opened, 1, 99);
    free(copy);
    vq_file_close(&f);
}

static void memory_out(void **state)
{
    (void)state;
    static const char *const specs[] = {"bytes", "ids", MODEL};
    for (size_t i = 0; i < 3; i++) {
        enum vq_status status = VQ_ENOMEM;
        for (long nth = 1; status != VQ_OK && nth < 60; nth++) {
            struct vq_vocab *v;
            vq_mem_fail_at(nth);
            status = vq_vocab_open(&v, specs[i], i == 1 ? 9 : 0, NULL);
            vq_mem_fail_at(0);
            assert_true(status == VQ_OK || status == VQ_ENOMEM);
            vq_vocab_free(v);
        }
        assert_int_equal(status, VQ_OK);
    }
    struct vq_vocab *v = must(MODEL, 0);
    int32_t *ids, id = 7;
    char *text;
    size_t n;
    vq_mem_fail_at(1);
    assert_int_equal(vq_vocab_encode(v, "a", 1, &ids, &n, NULL), VQ_ENOMEM);
    vq_mem_fail_at(1);
    assert_int_equal(vq_vocab_decode(v, &id, 1, &text, &n, NULL), VQ_ENOMEM);
    vq_mem_fail_at(0);
    vq_vocab_free(v);
}

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/a.model", folder);
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
        cmocka_unit_test(bytes),          cmocka_unit_test(bytes_shown),
        cmocka_unit_test(images_and_ids), cmocka_unit_test(channels),
        cmocka_unit_test(no_channels),    cmocka_unit_test(refusals),
        cmocka_unit_test(reference_ids),  cmocka_unit_test(more_reference_ids),
        cmocka_unit_test(pieces),         cmocka_unit_test(byte_fallback),
        cmocka_unit_test(streaming),      cmocka_unit_test(truncated),
        cmocka_unit_test(damaged),        cmocka_unit_test(memory_out),
    };
    return cmocka_run_group_tests_name("vocab", tests, enter, leave);
}
