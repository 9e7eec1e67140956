/*
 * scales: int8 matrices in safetensors. In the file such a matrix is two tensors, its numbers and
 * its scales; here it is one. What ties them is the metadata key "int8" and a name: without the key
 * int8 tensors are plain integers, as they always were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/ckpt/format.h"

#define ENDING    "_scale"
#define GROUP     "64"
#define NAME_ROOM (VQ_NAME_MAX + sizeof(ENDING))

_Static_assert(VQ_CKPT_GROUP == 64, "the group that files name");

static void scale_name(char *buf, const char *name)
{
    snprintf(buf, NAME_ROOM, "%.*s" ENDING, VQ_NAME_MAX, name);
}

/* The shape that the scales of t have. */
static struct vq_tensor scales_of(const struct vq_tensor *t)
{
    return (struct vq_tensor){
        .dtype = VQ_F32,
        .rank = 2,
        .shape = {(t->shape[0] + VQ_CKPT_GROUP - 1) / VQ_CKPT_GROUP, t->shape[1]},
        .is_param = true};
}

/* Gives t its scales, and marks the tensor that held them. */
static enum vq_status join(struct vq_ckpt *c, struct vq_tensor *t, bool *taken, struct vq_err *err)
{
    char name[NAME_ROOM], want[128], found[128];
    if (t->rank != 2)
        return vq_fail(err, VQ_EFORMAT, "tensor %s: int8 with scales needs 2 dimensions, found %s",
                       t->name, vq_tensor_shape(t, found, sizeof(found)));
    scale_name(name, t->name);
    const struct vq_tensor expect = scales_of(t), *s = vq_ckpt_find(c, name);
    if (!s)
        return vq_fail(err, VQ_EFORMAT,
                       "tensor %s is missing: expected float32 %s, the scales of %s", name,
                       vq_tensor_shape(&expect, want, sizeof(want)), t->name);
    if (s->dtype != VQ_F32 || s->rank != 2 || s->shape[0] != expect.shape[0] ||
        s->shape[1] != expect.shape[1])
        return vq_fail(err, VQ_EFORMAT,
                       "tensor %s: expected float32 %s for the scales of %s, found %s %s", name,
                       vq_tensor_shape(&expect, want, sizeof(want)), t->name,
                       vq_dtype_name(s->dtype), vq_tensor_shape(s, found, sizeof(found)));
    t->scale = s->data;
    taken[s - c->tensors] = true;
    return VQ_OK;
}

enum vq_status vq_scales_join(struct vq_ckpt *c, struct vq_err *err)
{
    const char *group = vq_ckpt_meta(c, VQ_META_INT8);
    if (!group)
        return VQ_OK;
    if (strcmp(group, GROUP) != 0)
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "metadata \"" VQ_META_INT8 "\": expected \"" GROUP
                       "\", the rows that share a scale, found \"%.24s\"",
                       group);
    enum vq_status status = vq_ckpt_sort(c, err);
    if (status != VQ_OK)
        return status;
    bool *taken = vq_calloc(c->count, sizeof(*taken));
    if (!taken)
        return vq_nomem(err, "tensor list", c->count, sizeof(*taken));
    for (size_t i = 0; status == VQ_OK && i < c->count; i++)
        if (c->tensors[i].dtype == VQ_I8 && c->tensors[i].is_param)
            status = join(c, &c->tensors[i], taken, err);
    size_t n = 0;
    for (size_t i = 0; status == VQ_OK && i < c->count; i++)
        if (!taken[i])
            c->tensors[n++] = c->tensors[i];
    c->count = status == VQ_OK ? n : c->count;
    free(taken);
    return status;
}

bool vq_scales_any(const struct vq_tensor *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].scale)
            return true;
    return false;
}

/* t[i] and its scales as two plain tensors; the name goes to `name`. */
static struct vq_tensor split(struct vq_tensor *t, char *name)
{
    struct vq_tensor s = scales_of(t);
    scale_name(name, t->name);
    s.name = name;
    s.count = vq_tensor_scales(t);
    s.bytes = s.count * sizeof(float);
    s.data = t->scale;
    t->scale = NULL;
    return s;
}

enum vq_status vq_scales_split(struct vq_tensor **views, size_t *n, char **names,
                               struct vq_err *err)
{
    size_t scaled = 0, all = *n;
    *names = NULL;
    for (size_t i = 0; i < all; i++)
        scaled += (*views)[i].scale != NULL;
    if (!scaled)
        return VQ_OK;
    struct vq_tensor *more = vq_realloc(*views, all + scaled, sizeof(*more));
    if (!more)
        return vq_nomem(err, "tensor list", all + scaled, sizeof(*more));
    *views = more;
    char *room = *names = vq_alloc(scaled, NAME_ROOM);
    if (!room)
        return vq_nomem(err, "tensor names", scaled, NAME_ROOM);
    for (size_t i = 0; i < all; i++) {
        if (!more[i].scale)
            continue;
        more[*n] = split(&more[i], room);
        enum vq_status status = vq_name_check(room, strlen(room), err);
        if (status != VQ_OK)
            return status;
        room += NAME_ROOM;
        ++*n;
    }
    qsort(more, *n, sizeof(*more), vq_tensor_by_name);
    for (size_t i = 1; i < *n; i++)
        if (strcmp(more[i - 1].name, more[i].name) == 0)
            return vq_fail(err, VQ_EINVAL, "two tensors are named %s", more[i].name);
    return VQ_OK;
}

const char *vq_scales_group(void)
{
    return GROUP;
}
