/*
 * shrink_grads: makes tests/data/golden/CASE/grads.npy from the gradients of a full golden case.
 *
 *     shrink_grads ../shared/golden/CASE OUT.npy
 *
 * OUT is f64 [4, tensors, KEPT]: updates 0 and 1 without grad_thru_cache, then with it; tensors in
 * the order of vq_params; of each what projection.h says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/model/model.h"
#include "core/train/params.h"
#include "tests/unit/projection.h"

struct source {
    const char *dir;
    struct vq_model *model;
    struct vq_params *params;
    struct vq_json *index;
};

static enum vq_status open_source(struct source *s, struct vq_err *err)
{
    char path[512];
    static char text[1 << 20];
    snprintf(path, sizeof(path), "%s/checkpoint_3", s->dir);
    enum vq_status st = vq_model_open(&s->model, path, NULL, err);
    if (!st)
        st = vq_params_new(&s->params, vq_model_config(s->model), err);
    snprintf(path, sizeof(path), "%s/param_index.json", s->dir);
    FILE *f = st ? NULL : fopen(path, "rb");
    if (!f)
        return st ? st : vq_fail(err, VQ_EIO, "%s: cannot be read", path);
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    return vq_json_parse(&s->index, text, n, err);
}

/* Where the tensor's gradients lie in the flat files, -1 when they do not. */
static int64_t offset_of(const struct source *s, const char *name)
{
    const struct vq_json_node *e = vq_json_first(vq_json_root(s->index));
    for (; e; e = vq_json_next(e)) {
        int64_t offset;
        if (!strcmp(vq_json_string(vq_json_get(e, "path")), name) &&
            vq_json_int(vq_json_get(e, "offset"), &offset))
            return offset;
    }
    return -1;
}

static enum vq_status shrink(const struct source *s, size_t which, double *out, struct vq_err *err)
{
    char path[512];
    struct vq_npy grads;
    snprintf(path, sizeof(path), "%s/grads_u%zu_gtc%zu.npy", s->dir, which % 2, which / 2);
    enum vq_status st = vq_npy_read(&grads, path, err);
    for (size_t i = 0; !st && i < s->params->n; i++) {
        const struct vq_param *t = &s->params->at[i];
        int64_t offset = offset_of(s, t->name);
        if (offset < 0 || (size_t)offset + t->size > grads.count)
            st = vq_fail(err, VQ_EFORMAT, "%s: no gradients of %s", path, t->name);
        else
            project(out + i * KEPT, (const float *)grads.data + offset, t->size, i);
    }
    vq_npy_release(&grads);
    return st;
}

int main(int argc, char **argv)
{
    struct vq_err err;
    struct source s = {.dir = argc == 3 ? argv[1] : NULL};
    double *out = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: shrink_grads GOLDEN/CASE OUT.npy\n");
        return 2;
    }
    enum vq_status st = open_source(&s, &err);
    if (!st && !(out = vq_calloc(4 * s.params->n, KEPT * sizeof(*out))))
        st = vq_nomem(&err, "gradients", s.params->n, KEPT);
    for (size_t i = 0; !st && i < 4; i++)
        st = shrink(&s, i, out + i * s.params->n * KEPT, &err);
    if (!st)
        st = vq_npy_write(argv[2], VQ_NPY_F64, 3, (size_t[]){4, s.params->n, KEPT}, out, &err);
    if (st)
        fprintf(stderr, "shrink_grads: %s\n", err.msg);
    free(out);
    vq_json_free(s.index);
    vq_params_free(s.params);
    vq_model_free(s.model);
    return st != VQ_OK;
}
