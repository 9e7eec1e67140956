#include "core/inspect/patch.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"

bool vq_pixel_at(int64_t position, int *row, int *column, int *channel)
{
    int64_t byte = position - 1;
    if (byte < 0 || byte >= VQ_PICTURE_BYTES)
        return false;
    *row = (int)(byte / (3 * VQ_PICTURE_SIDE));
    *column = (int)(byte / 3 % VQ_PICTURE_SIDE);
    *channel = (int)(byte % 3);
    return true;
}

/* The byte of a held picture at (row, column, channel), seen from a token of it; -1 when it is
 * outside the picture or not held. */
static int byte_at(const struct vq_trace *t, const struct vq_vocab *v, uint64_t serial, int row,
                   int column, int channel)
{
    if (row < 0 || row >= VQ_PICTURE_SIDE || column < 0 || column >= VQ_PICTURE_SIDE)
        return -1;
    int64_t at = 1 + 3 * ((int64_t)row * VQ_PICTURE_SIDE + column) + channel;
    int64_t step = at - vq_trace_position(t, serial);
    uint64_t before = serial - vq_trace_first(t), after = vq_trace_end(t) - serial;
    if (step < 0 ? (uint64_t)-step > before : (uint64_t)step >= after)
        return -1;
    uint64_t there = serial + (uint64_t)step;
    int32_t id = vq_trace_token(t, there);
    return vq_trace_position(t, there) == at ? vq_vocab_byte_at(v, (uint64_t)at - 1, id) : -1;
}

static void add_member(struct vq_patch *p, const struct vq_trace *t, const struct vq_vocab *v,
                       uint64_t serial)
{
    int row, column, channel, radius = (int)p->side / 2;
    if (!vq_pixel_at(vq_trace_position(t, serial), &row, &column, &channel))
        return;
    p->members++;
    p->channel[channel]++;
    for (size_t i = 0; i < p->side * p->side * 3; i++) {
        int dy = (int)(i / (3 * p->side)) - radius, dx = (int)(i / 3 % p->side) - radius;
        int byte = byte_at(t, v, serial, row + dy, column + dx, (int)(i % 3));
        if (byte < 0)
            continue;
        p->mean[i] += byte;
        p->count[i]++;
    }
}

enum vq_status vq_patch_mean(struct vq_patch *out, const struct vq_trace *t,
                             const struct vq_vocab *v, int module, int head, size_t code,
                             int radius, struct vq_err *err)
{
    *out = (struct vq_patch){0};
    if (radius < 0 || radius >= VQ_PICTURE_SIDE / 2)
        return vq_fail(err, VQ_EINVAL, "the radius of a patch is 0 to %d, not %d",
                       VQ_PICTURE_SIDE / 2 - 1, radius);
    out->side = 2 * (size_t)radius + 1;
    size_t n = out->side * out->side * 3;
    out->mean = vq_calloc(n, sizeof(*out->mean));
    out->count = vq_calloc(n, sizeof(*out->count));
    if (!out->mean || !out->count) {
        vq_patch_release(out);
        return vq_nomem(err, "a patch", n, sizeof(double));
    }
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        if ((size_t)vq_trace_code(t, s, module, head) == code)
            add_member(out, t, v, s);
    for (size_t i = 0; i < n; i++)
        out->mean[i] = out->count[i] ? out->mean[i] / (double)out->count[i] : NAN;
    return VQ_OK;
}

void vq_patch_release(struct vq_patch *p)
{
    free(p->mean);
    free(p->count);
    *p = (struct vq_patch){0};
}
