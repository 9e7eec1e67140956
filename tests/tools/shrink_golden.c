/*
 * shrink_golden: makes the small golden files in tests/data/golden from the full ones.
 *
 *     shrink_golden CHECKPOINT OUT.safetensors           parameters, without training state
 *     shrink_golden --state CHECKPOINT OUT.safetensors   training state, without parameters
 *     shrink_golden ARRAY.npy OUT.npy                    the first entry of the first axis
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/ckpt/ckpt.h"

static enum vq_status shrink_ckpt(const char *in, const char *out, bool params, struct vq_err *err)
{
    struct vq_ckpt *c;
    struct vq_tensor_out *t = NULL;
    size_t n = 0;
    enum vq_status st = vq_ckpt_open(&c, in, err);
    if (st)
        return st;
    t = vq_calloc(vq_ckpt_count(c), sizeof(*t));
    if (!t) {
        st = vq_nomem(err, "a list of tensors", vq_ckpt_count(c), sizeof(*t));
        goto done;
    }
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const struct vq_tensor *from = vq_ckpt_at(c, i);
        if (from->is_param == params)
            t[n++] = (struct vq_tensor_out){.name = from->name, .from = from};
    }
    st = vq_safetensors_write(out, t, n, NULL, 0, NULL, err);

done:
    free(t);
    vq_ckpt_free(c);
    return st;
}

static enum vq_status shrink_npy(const char *in, const char *out, struct vq_err *err)
{
    struct vq_npy a;
    enum vq_status st = vq_npy_read(&a, in, err);
    if (st)
        return st;
    if (a.rank < 1 || a.shape[0] < 1)
        st = vq_fail(err, VQ_ESHAPE, "%s: expected an array with a first axis", in);
    a.shape[0] = 1;
    if (!st)
        st = vq_npy_write(out, a.type, a.rank, a.shape, a.data, err);
    vq_npy_release(&a);
    return st;
}

int main(int argc, char **argv)
{
    struct vq_err err;
    bool state = argc > 1 && !strcmp(argv[1], "--state");
    if (argc != 3 + state) {
        fprintf(stderr, "usage: shrink_golden [--state] CHECKPOINT|ARRAY.npy OUT\n");
        return 2;
    }
    const char *in = argv[1 + state], *out = argv[2 + state], *end = strrchr(in, '.');
    enum vq_status st = end && !strcmp(end, ".npy") ? shrink_npy(in, out, &err)
                                                    : shrink_ckpt(in, out, !state, &err);
    if (st)
        fprintf(stderr, "shrink_golden: %s\n", err.msg);
    return st != VQ_OK;
}
