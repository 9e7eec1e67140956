/*
 * patch: what pictures look like around the places that fall on a code, for models of 64x64 RGB
 * pictures. A token of such a sequence is one byte of one pixel; the input at position p is byte
 * p - 1, since sequences begin with eos.
 */
#ifndef VQ_CORE_INSPECT_PATCH_H
#define VQ_CORE_INSPECT_PATCH_H

#include "core/inspect/trace.h"
#include "core/vocab/vocab.h"

#define VQ_PICTURE_SIDE  64
#define VQ_PICTURE_BYTES (VQ_PICTURE_SIDE * VQ_PICTURE_SIDE * 3)

/* Where the byte fed at a position stands: false for eos and beyond the picture. */
bool vq_pixel_at(int64_t position, int *row, int *column, int *channel);

struct vq_patch {
    size_t side;         /* 2 * radius + 1 */
    uint64_t members;    /* held tokens on the code that are bytes of a picture */
    uint64_t channel[3]; /* of them, those that are red, green, blue */
    double *mean;        /* [side, side, 3] mean byte around them, 0..255; NaN where no member has
                            such a neighbour, because the picture ends there */
    uint64_t *count;     /* [side, side, 3] members that had one */
};

/*
 * The mean neighbourhood of the held members of a code, `radius` pixels each way, out of the same
 * picture; bytes that came after the member are part of it although the model had not seen them.
 * v is the model's vocabulary, one of pictures. Release with vq_patch_release(). VQ_ENOMEM;
 * VQ_EINVAL for a radius over 31.
 */
enum vq_status vq_patch_mean(struct vq_patch *out, const struct vq_trace *t,
                             const struct vq_vocab *v, int module, int head, size_t code,
                             int radius, struct vq_err *err);
void vq_patch_release(struct vq_patch *p);

#endif
