/*
 * What the tests of data sets share: a scratch folder, files in it, and opening with the options
 * that matter there.
 */
#ifndef VQ_TEST_DATA_H
#define VQ_TEST_DATA_H

#include "tests/unit/golden.h"

#include <ftw.h>
#include <sys/stat.h>

#include "core/data/source.h"

#define SHARED "../shared/data/"

static char scratch[64];
static struct vq_vocab *bytes, *image64, *rgb64, *pieces, *ids;
static struct vq_err err;

/* Whether the real samples are there; says so when they are not. */
static inline int samples_absent(void)
{
    if (access(SHARED "INDEX.md", R_OK) == 0)
        return 0;
    print_message("skipped: no data samples in " SHARED "\n");
    return 1;
}

/* A path in the scratch folder; good until the fourth next call. */
static inline const char *in(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", scratch, name);
    return p;
}

static inline void put(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(in(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static inline void put_folder(const char *name)
{
    assert_int_equal(mkdir(in(name), 0700), 0);
}

/* A copy of a file of tests/data, its first `most` bytes at most. */
static inline void put_copy(const char *name, const char *from, size_t most)
{
    static uint8_t buf[1 << 17];
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    size_t n = fread(buf, 1, sizeof(buf), f);
    assert_true(n > 0 && n < sizeof(buf));
    fclose(f);
    put(name, buf, n < most ? n : most);
}

static inline int enter(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/vqsh-data-XXXXXX");
    return !mkdtemp(scratch) || vq_vocab_open(&bytes, "bytes", 0, NULL) ||
           vq_vocab_open(&image64, "image64", 0, NULL) || vq_vocab_open(&rgb64, "rgb64", 0, NULL) ||
           vq_vocab_open(&ids, "ids", 500, NULL) ||
           vq_vocab_open(&pieces, "tests/data/vocab/google_test_model.model", 0, NULL);
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int leave(void **state)
{
    (void)state;
    vq_vocab_free(bytes);
    vq_vocab_free(image64);
    vq_vocab_free(rgb64);
    vq_vocab_free(pieces);
    vq_vocab_free(ids);
    return nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct vq_data_options options(const struct vq_vocab *v, enum vq_split split,
                                             size_t B, size_t T)
{
    return (struct vq_data_options){.vocab = v, .split = split, .batch = B, .sequence_len = T};
}

static inline struct vq_data *must_open(const char *spec, const struct vq_data_options *o)
{
    struct vq_data *d;
    assert_ok(vq_data_open(&d, spec, o, &err), &err);
    return d;
}

static inline void refused(const char *spec, const struct vq_data_options *o, enum vq_status code,
                           const char *why)
{
    struct vq_data *d = (struct vq_data *)&d;
    enum vq_status st = vq_data_open(&d, spec, o, &err);
    if (st != code)
        fail_msg("%s: status %d (%s)", spec, st, st ? err.msg : "opened");
    assert_null(d);
    assert_says(&err, why);
}

/* All tokens of one pass, pad at the end included; the caller frees them. */
static inline int32_t *all_tokens(struct vq_data *d, const struct vq_data_options *o, size_t *n)
{
    size_t rows, cap = 0, size = o->batch * o->sequence_len;
    int32_t *t = NULL;
    *n = 0;
    do {
        if (*n + size > cap)
            t = realloc(t, (cap = 2 * (*n + size)) * sizeof(*t));
        assert_ok(vq_data_next(d, t + *n, NULL, &rows, &err), &err);
        *n += rows * o->sequence_len;
    } while (rows == o->batch);
    return t;
}

#endif
