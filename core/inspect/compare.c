#include "core/inspect/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

const char *vq_tensor_relation_name(enum vq_tensor_relation r)
{
    static const char *const names[] = {"both", "shapes", "a", "b"};
    return names[r];
}

static void compare(struct vq_tensor_diff *out, const float *a, const float *b, size_t n)
{
    double aa = 0.0, bb = 0.0, ab = 0.0, sum = 0.0;
    out->equal = true;
    for (size_t i = 0; i < n; i++) {
        double x = a[i], y = b[i], d = fabs(y - x);
        bool same = x == y || (isnan(x) && isnan(y));
        aa += x * x;
        bb += y * y;
        ab += x * y;
        sum += same ? 0.0 : d;
        out->equal = out->equal && same;
        if (!same && !(d <= out->max_abs)) { /* a NaN is a difference, too */
            out->max_abs = d;
            out->max_at = i;
        }
    }
    out->mean_abs = n ? sum / (double)n : 0.0;
    out->rms_a = n ? sqrt(aa / (double)n) : 0.0;
    out->cosine = aa == 0.0 && bb == 0.0 ? 1.0 : aa == 0.0 || bb == 0.0 ? 0.0 : ab / sqrt(aa * bb);
}

static bool same_shape(const struct vq_tensor *a, const struct vq_tensor *b)
{
    return a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(*a->shape)) == 0;
}

enum vq_status vq_tensor_compare(struct vq_tensor_diff *out, const struct vq_tensor *a,
                                 const struct vq_tensor *b, struct vq_err *err)
{
    *out = (struct vq_tensor_diff){.a = a, .b = b, .relation = VQ_TENSOR_BOTH};
    if (!same_shape(a, b)) {
        out->relation = VQ_TENSOR_SHAPES;
        return VQ_OK;
    }
    float *x = vq_alloc(a->count, sizeof(*x)), *y = vq_alloc(b->count, sizeof(*y));
    enum vq_status status =
        x && y ? VQ_OK : vq_nomem(err, "a tensor of both", a->count, 2 * sizeof(*x));
    if (status == VQ_OK)
        status = vq_tensor_read_f32(a, x, err);
    if (status == VQ_OK)
        status = vq_tensor_read_f32(b, y, err);
    if (status == VQ_OK)
        compare(out, x, y, a->count);
    free(x);
    free(y);
    return status;
}

enum vq_status vq_tensor_pairs(struct vq_tensor_diff **list, size_t *n, const struct vq_ckpt *a,
                               const struct vq_ckpt *b, struct vq_err *err)
{
    size_t most = vq_ckpt_count(a) + vq_ckpt_count(b);
    *n = 0;
    *list = vq_calloc(most, sizeof(**list));
    if (!*list)
        return vq_nomem(err, "pairs of tensors", most, sizeof(**list));
    for (size_t i = 0; i < vq_ckpt_count(a); i++) {
        const struct vq_tensor *t = vq_ckpt_at(a, i), *u = vq_ckpt_find(b, t->name);
        if (!t->is_param)
            continue;
        enum vq_tensor_relation r = !u                 ? VQ_TENSOR_ONLY_A
                                    : same_shape(t, u) ? VQ_TENSOR_BOTH
                                                       : VQ_TENSOR_SHAPES;
        (*list)[(*n)++] = (struct vq_tensor_diff){.a = t, .b = u, .relation = r};
    }
    for (size_t i = 0; i < vq_ckpt_count(b); i++) {
        const struct vq_tensor *u = vq_ckpt_at(b, i);
        if (u->is_param && !vq_ckpt_find(a, u->name))
            (*list)[(*n)++] = (struct vq_tensor_diff){.b = u, .relation = VQ_TENSOR_ONLY_B};
    }
    return VQ_OK;
}
