/*
 * What the checkpoint tests share: a scratch folder for each test, whole files in and out, small
 * documents built byte by byte, and checkpoints compared as lists of tensors.
 */
#ifndef VQ_TEST_CKPT_H
#define VQ_TEST_CKPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/ckpt/ckpt.h"
#include "core/ckpt/format.h"

#define DATA "tests/data/ckpt/"

struct buf {
    uint8_t *data;
    size_t size, cap;
};

static inline int make_scratch(void **state)
{
    const char *base = getenv("TMPDIR");
    char name[512];
    snprintf(name, sizeof(name), "%s/vqsh-ckpt-XXXXXX", base ? base : "/tmp");
    *state = mkdtemp(name) ? strdup(name) : NULL;
    return *state ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int remove_scratch(void **state)
{
    int failed = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

/* A path in the scratch folder; good until the eighth next call. */
static inline const char *in(void **state, const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", (const char *)*state, name);
    return path;
}

static inline void put_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline struct buf get_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    struct buf b = {.size = (size_t)ftell(f)};
    rewind(f);
    b.cap = b.size + 1;
    b.data = malloc(b.cap);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.size, f), b.size);
    fclose(f);
    return b;
}

static inline void assert_same_file(const char *a, const char *b)
{
    struct buf x = get_file(a), y = get_file(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    free(x.data);
    free(y.data);
}

static inline void put(struct buf *b, const void *data, size_t size)
{
    if (b->size + size >= b->cap) {
        b->cap = 2 * (b->size + size) + 64;
        b->data = realloc(b->data, b->cap);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Appends a literal, NUL bytes and all. */
#define LIT(b, text) put((b), (text), sizeof(text) - 1)

/* MessagePack texts, as macros where a letter after the head would be read as part of it. */
#define KEY(letter) "\xa1" letter
#define CHUNKS                                                                                     \
    "\xa6"                                                                                         \
    "chunks"

/* A safetensors file of this header and as many bytes 0, 1, 2, ... of data. */
static inline struct buf safetensors(const char *header, size_t data)
{
    struct buf b = {0};
    uint64_t length = strlen(header);
    put(&b, &length, sizeof(length));
    put(&b, header, strlen(header));
    for (size_t i = 0; i < data; i++)
        put(&b, &(uint8_t){(uint8_t)i}, 1);
    return b;
}

static inline struct vq_ckpt *must_open(const char *path)
{
    struct vq_ckpt *c;
    struct vq_err err = {0};
    if (vq_ckpt_open(&c, path, &err) != VQ_OK)
        fail_msg("%s", err.msg);
    return c;
}

/* Opening must fail with this code and a message that has all of the words (up to NULL). */
static inline void must_refuse(const char *path, enum vq_status code, ...)
{
    struct vq_ckpt *c = (struct vq_ckpt *)&c;
    struct vq_err err = {0};
    enum vq_status status = vq_ckpt_open(&c, path, &err);
    if (status != code)
        fail_msg("%s: status %d (%s)", path, (int)status, err.msg);
    assert_null(c);
    assert_int_equal(err.code, code);
    va_list words;
    va_start(words, code);
    for (const char *word; (word = va_arg(words, const char *));)
        if (!strstr(err.msg, word))
            fail_msg("\"%s\" is not in: %s", word, err.msg);
    va_end(words);
}

static inline void assert_same_tensor(const struct vq_tensor *a, const struct vq_tensor *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->shape, b->shape, sizeof(a->shape));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->is_param, b->is_param);
    uint8_t *x = malloc(a->bytes + 1), *y = malloc(b->bytes + 1);
    vq_tensor_read_raw(a, x);
    vq_tensor_read_raw(b, y);
    assert_memory_equal(x, y, a->bytes);
    free(x);
    free(y);
}

static inline void assert_same_tensors(const struct vq_ckpt *a, const struct vq_ckpt *b)
{
    assert_int_equal(vq_ckpt_count(a), vq_ckpt_count(b));
    for (size_t i = 0; i < vq_ckpt_count(a); i++)
        assert_same_tensor(vq_ckpt_at(a, i), vq_ckpt_at(b, i));
    assert_int_equal(vq_ckpt_step(a), vq_ckpt_step(b));
}

/* All of c as things to be written; free() it. */
static inline struct vq_tensor_out *outs_of(const struct vq_ckpt *c)
{
    struct vq_tensor_out *t = calloc(vq_ckpt_count(c), sizeof(*t));
    assert_non_null(t);
    for (size_t i = 0; i < vq_ckpt_count(c); i++)
        t[i].from = vq_ckpt_at(c, i);
    return t;
}

#endif
