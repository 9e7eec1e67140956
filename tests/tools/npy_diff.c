/*
 * npy_diff: are two numpy files the same array, to a tolerance?
 *
 *     npy_diff WANT.npy GOT.npy [--abs A] [--max R] [--head] [--shape]
 *
 * Each pair of elements may differ by A + R * max|WANT|; integers and floats compare by value, NaN
 * equals NaN. Shapes must be equal, or with --head WANT may be shorter along its first axis. Prints
 * the worst pair when it is too far apart. --shape compares the shapes alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/half.h"
#include "core/base/npy.h"
#include "core/base/text.h"

struct request {
    double abs, max;
    bool head, shape;
};

static double element(const struct vq_npy *a, size_t i)
{
    switch (a->type) {
    case VQ_NPY_F32:
        return (double)((const float *)a->data)[i];
    case VQ_NPY_F64:
        return ((const double *)a->data)[i];
    case VQ_NPY_F16:
        return (double)vq_f16_to_f32(((const uint16_t *)a->data)[i]);
    case VQ_NPY_I32:
        return ((const int32_t *)a->data)[i];
    case VQ_NPY_I64:
        return (double)((const int64_t *)a->data)[i];
    case VQ_NPY_I16:
        return ((const int16_t *)a->data)[i];
    case VQ_NPY_U16:
        return ((const uint16_t *)a->data)[i];
    case VQ_NPY_I8:
        return ((const int8_t *)a->data)[i];
    case VQ_NPY_U8:
        return ((const uint8_t *)a->data)[i];
    case VQ_NPY_U32:
        return ((const uint32_t *)a->data)[i];
    case VQ_NPY_U64:
        return (double)((const uint64_t *)a->data)[i];
    }
    return NAN;
}

static bool same_shape(const struct vq_npy *want, const struct vq_npy *got, bool head)
{
    if (want->rank != got->rank)
        return false;
    for (int i = 0; i < want->rank; i++)
        if (want->shape[i] != got->shape[i] && !(head && i == 0 && want->shape[0] < got->shape[0]))
            return false;
    return true;
}

static void print_shape(const struct vq_npy *a)
{
    printf("[");
    for (int i = 0; i < a->rank; i++)
        printf("%s%zu", i ? ", " : "", a->shape[i]);
    printf("]");
}

/* False after saying what is wrong. */
static bool compare(const struct vq_npy *want, const struct vq_npy *got, const struct request *r)
{
    double scale = 0.0, worst = 0.0;
    size_t at = 0;
    if (!same_shape(want, got, r->head)) {
        printf("expected shape ");
        print_shape(want);
        printf(", found ");
        print_shape(got);
        printf("\n");
        return false;
    }
    for (size_t i = 0; !r->shape && i < want->count; i++)
        scale = fmax(scale, fabs(element(want, i)));
    for (size_t i = 0; !r->shape && i < want->count; i++) {
        double a = element(want, i), b = element(got, i);
        double off = a == b || (isnan(a) && isnan(b)) ? 0.0 : fabs(a - b);
        if (off > worst || isnan(off)) {
            worst = isnan(off) ? INFINITY : off;
            at = i;
        }
    }
    if (worst <= r->abs + r->max * scale)
        return true;
    printf("element %zu: expected %.9g, found %.9g: %.3g apart, at most %.3g is right\n", at,
           element(want, at), element(got, at), worst, r->abs + r->max * scale);
    return false;
}

static bool take(struct request *r, char **argv, int *i)
{
    const char *option = argv[*i], *value = argv[*i + 1];
    double *number = strcmp(option, "--abs") == 0   ? &r->abs
                     : strcmp(option, "--max") == 0 ? &r->max
                                                    : NULL;
    r->head = r->head || strcmp(option, "--head") == 0;
    r->shape = r->shape || strcmp(option, "--shape") == 0;
    if (!number)
        return strcmp(option, "--head") == 0 || strcmp(option, "--shape") == 0;
    ++*i;
    return value && vq_text_to_f64(value, strlen(value), number);
}

int main(int argc, char **argv)
{
    struct request r = {0};
    struct vq_npy want = {0}, got = {0};
    struct vq_err err;
    bool sound = argc >= 3;
    for (int i = 3; sound && i < argc; i++)
        sound = take(&r, argv, &i);
    if (!sound) {
        fprintf(stderr,
                "usage: npy_diff WANT.npy GOT.npy [--abs A] [--max R] [--head] [--shape]\n");
        return 2;
    }
    bool same = false;
    if (vq_npy_read(&want, argv[1], &err) != VQ_OK || vq_npy_read(&got, argv[2], &err) != VQ_OK)
        printf("%s\n", err.msg);
    else
        same = compare(&want, &got, &r);
    vq_npy_release(&want);
    vq_npy_release(&got);
    return !same;
}
