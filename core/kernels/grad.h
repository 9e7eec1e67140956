/*
 * grad: the element-wise and row kernels that only training needs, backward passes above all. As in
 * vec.h each has one body (grad_body.h), compiled for each instruction set and chosen at run time.
 * Gradients are named after what they are gradients of: dx is that of the loss with respect to x.
 */
#ifndef VQ_CORE_KERNELS_GRAD_H
#define VQ_CORE_KERNELS_GRAD_H

#include <stddef.h>
#include <stdint.h>

#include "core/kernels/vec.h"

struct vq_grad_vec {
    const char *name; /* as that of the vq_vec beside it */

    /* y = x / r * g + b with r = sqrt(mean(x^2) + 1e-6), as vec's rms_norm with scale 1:
     * dx += its gradient, dg += dy x / r, db += dy. */
    void (*rms_norm)(float *dx, const float *dy, const float *x, size_t n, const float *g,
                     float *dg, float *db);
    /* y = x / r * scale, y[n] and 1 / r given: dx from dy. dx may be y or dy. */
    void (*unit_norm)(float *dx, const float *dy, const float *y, size_t n, float scale,
                      float inverse);
    /* y = silu(x): dx = dy silu'(x). dx may be x or dy. */
    void (*silu)(float *dx, const float *dy, const float *x, size_t n);
    /* y = o silu(g), forward. y may be o or g. */
    void (*gate)(float *y, const float *o, const float *g, size_t n);
    /* Backward of gate, in place: dy becomes do, g becomes dg. y is made again; it may be o. */
    void (*gate_grad)(float *dy, float *y, const float *o, float *g, size_t n);
    /* a = softmax(s), da given in ds: ds = a (ds - sum), where sum is that of a da over all parts
     * of the row, which the caller has formed. */
    void (*softmax)(float *ds, const float *a, size_t n, float sum);
    /* Cross-entropy of logits x[n], in place: x becomes weight (softmax(x) - onehot(target)), which
     * is the gradient of weight * loss. Returns the loss, -log softmax(x)[target], in nats. */
    double (*cross_entropy)(float *x, size_t n, size_t target, float weight);
    /* table[index[i]] += x[i], in order of i. */
    void (*scatter_add)(float *table, const float *x, const int32_t *index, size_t n);
    /* dst[c * ldd + r] = src[r * lds + c] for r < rows, c < cols. */
    void (*transpose)(float *dst, size_t ldd, const float *src, size_t lds, size_t rows,
                      size_t cols);
};

/* The set of the same name as v. */
const struct vq_grad_vec *vq_grad_vec_for(const struct vq_vec *v);

#endif
