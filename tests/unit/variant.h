/*
 * variant: a golden model with something changed, written as safetensors into a folder of its own,
 * for tests of what opening a model refuses and of models that no golden case has.
 */
#ifndef VQ_TEST_VARIANT_H
#define VQ_TEST_VARIANT_H

#include <sys/stat.h>

#include "core/base/mem.h"
#include "golden.h"

struct variant {
    struct vq_ckpt *from;
    struct vq_tensor_out *t;
    size_t n;
    char dir[64], path[96]; /* path: dir/model/m.safetensors */
};

static inline void variant_open(struct variant *v, const char *name)
{
    char path[256];
    struct vq_err err;
    snprintf(path, sizeof(path), GOLDEN "/%s/model.safetensors", name);
    assert_ok(vq_ckpt_open(&v->from, path, &err), &err);
    v->n = vq_ckpt_count(v->from);
    v->t = calloc(v->n + 1, sizeof(*v->t));
    assert_non_null(v->t);
    for (size_t i = 0; i < v->n; i++) {
        const struct vq_tensor *from = vq_ckpt_at(v->from, i);
        float *x = malloc(from->count * sizeof(*x));
        assert_non_null(x);
        assert_ok(vq_tensor_read_f32(from, x, &err), &err);
        v->t[i] = (struct vq_tensor_out){.name = from->name, .rank = from->rank, .data = x};
        memcpy(v->t[i].shape, from->shape, sizeof(from->shape));
    }
    snprintf(v->dir, sizeof(v->dir), "/tmp/vq_model_XXXXXX");
    assert_non_null(mkdtemp(v->dir));
    snprintf(v->path, sizeof(v->path), "%s/model", v->dir);
    assert_int_equal(mkdir(v->path, 0700), 0);
    snprintf(v->path, sizeof(v->path), "%s/model/m.safetensors", v->dir);
}

static inline struct vq_tensor_out *variant_tensor(struct variant *v, const char *name)
{
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->t[i].name, name))
            return &v->t[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

/* The numbers of a tensor, to be changed. */
static inline float *variant_numbers(struct variant *v, const char *name)
{
    return (float *)(uintptr_t)variant_tensor(v, name)->data;
}

static inline void variant_drop(struct variant *v, const char *name)
{
    struct vq_tensor_out *t = variant_tensor(v, name);
    free((void *)(uintptr_t)t->data);
    *t = v->t[--v->n];
}

/* A copy of tensor `like` under another name; once for each variant. */
static inline void variant_add(struct variant *v, const char *name, const char *like)
{
    struct vq_tensor_out *t = variant_tensor(v, like);
    size_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= (size_t)t->shape[i];
    float *x = malloc(count * sizeof(*x));
    assert_non_null(x);
    memcpy(x, t->data, count * sizeof(*x));
    v->t[v->n] = *t;
    v->t[v->n].name = name;
    v->t[v->n++].data = x;
}

static inline void variant_write(struct variant *v, const struct vq_meta *meta, size_t n_meta)
{
    struct vq_err err;
    assert_ok(vq_safetensors_write(v->path, v->t, v->n, meta, n_meta, NULL, &err), &err);
}

/* Writes text into dir/name. */
static inline void variant_file(const struct variant *v, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", v->dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static inline void variant_close(struct variant *v)
{
    static const char *const files[] = {
        "model/m.safetensors", "model/config.json", "config.json", "other.json", "model", "."};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", v->dir, files[i]);
        if (i < 4)
            unlink(path);
        else
            rmdir(i == 5 ? v->dir : path);
    }
    for (size_t i = 0; i < v->n; i++)
        free((void *)(uintptr_t)v->t[i].data);
    free(v->t);
    vq_ckpt_free(v->from);
}

#endif
