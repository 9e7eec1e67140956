/*
 * What the tests of the run database share: a scratch folder, files as bytes, and one-value
 * queries. Each test program has its own folder, removed at the end.
 */
#ifndef VQ_TESTS_UNIT_TEST_STORE_UTIL_H
#define VQ_TESTS_UNIT_TEST_STORE_UTIL_H

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/store/store.h"

/* The sanitizers cost a factor of ten: less work, and no promise about time. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static char scratch[64];

#define ok(call)                                                                                   \
    do {                                                                                           \
        struct vq_err ok_err = {0};                                                                \
        struct vq_err *err = &ok_err;                                                              \
        if ((call) != VQ_OK)                                                                       \
            fail_msg("%s: %s", #call, ok_err.msg);                                                 \
    } while (0)

/* The call fails with this status and a message that contains `part`. */
#define fails(status, part, call)                                                                  \
    do {                                                                                           \
        struct vq_err fails_err = {0};                                                             \
        struct vq_err *err = &fails_err;                                                           \
        assert_int_equal((call), (status));                                                        \
        if (!strstr(fails_err.msg, part))                                                          \
            fail_msg("expected '%s' in '%s'", part, fails_err.msg);                                \
    } while (0)

static inline int make_scratch(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/vqsh-store-XXXXXX");
    return mkdtemp(scratch) && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline int remove_scratch(void **state)
{
    (void)state;
    return nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the scratch folder; lives until the fourth call after. */
static inline const char *in_scratch(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
    return path;
}

static inline struct vq_store *open_store(const char *path)
{
    struct vq_store *store;
    ok(vq_store_open(&store, path, NULL, err));
    return store;
}

static inline struct vq_run *begin_run(struct vq_store *store, const char *command)
{
    struct vq_run_spec spec = {.command = command};
    struct vq_run *run;
    ok(vq_run_begin(store, &spec, &run, err));
    return run;
}

static inline void end_run(struct vq_run *run)
{
    ok(vq_run_finish(run, VQ_RUN_FINISHED, NULL, err));
    vq_run_free(run);
}

/* Bytes of a file; the caller frees. A missing file has size SIZE_MAX. */
static inline uint8_t *read_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    *size = SIZE_MAX;
    if (!f)
        return NULL;
    uint8_t *bytes = malloc(1 << 22);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 22, f);
    fclose(f);
    return bytes;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Overwrites four bytes, big-endian. */
static inline void poke_be32(const char *path, long offset, uint32_t value)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, offset, SEEK_SET);
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc((int)(value >> shift & 255), f);
    assert_int_equal(fclose(f), 0);
}

struct first_value {
    int rows;
    struct vq_value value;
    char text[512];
};

static inline bool keep_first(void *ud, int columns, const char *const *names,
                              const struct vq_value *values)
{
    struct first_value *f = ud;
    (void)names;
    if (!values)
        return true;
    if (f->rows++ == 0 && columns > 0) {
        f->value = values[0];
        if (values[0].text)
            snprintf(f->text, sizeof(f->text), "%.*s", (int)values[0].len, values[0].text);
    }
    return true;
}

static inline int64_t ask(struct vq_store *store, const char *sql)
{
    struct first_value f = {0};
    ok(vq_store_query(store, sql, keep_first, &f, NULL, NULL, err));
    assert_int_equal(f.value.kind, VQ_VALUE_INT);
    return f.value.i;
}

static inline void assert_text(struct vq_store *store, const char *sql, const char *expected)
{
    struct first_value f = {0};
    ok(vq_store_query(store, sql, keep_first, &f, NULL, NULL, err));
    assert_string_equal(f.text, expected);
}

/* The status of the run that `selector` means. */
static inline enum vq_run_status status_of(struct vq_store *store, const char *selector)
{
    struct vq_run_info *info;
    ok(vq_store_run(store, selector, &info, err));
    enum vq_run_status status = info->status;
    free(info);
    return status;
}

#endif
