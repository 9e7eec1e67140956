/*
 * matrix: parameters of a model as a source of weights. They are read where they lie, a piece by
 * whichever thread wants it, so that preparing a weight needs no copy of it as floats.
 */
#ifndef VQ_CORE_MODEL_MATRIX_H
#define VQ_CORE_MODEL_MATRIX_H

#include "core/kernels/gemm.h"
#include "core/model/model.h"

/* Up to two parameters [K, cols] side by side. Zeroed before the first is added. */
struct vq_matrix {
    const struct vq_model *model;
    size_t cols; /* of all */
    size_t n;
    struct {
        const struct vq_tensor *t; /* NULL: of a model without a file, and in `copy` */
        float *copy;
        size_t cols;
    } part[2];
};

/* Adds a parameter (named as for vq_model_read) of K rows to the right. Fails as vq_model_read
 * does; the caller releases m all the same. */
enum vq_status vq_matrix_add(struct vq_matrix *m, const struct vq_model *model, int module,
                             const char *leaf, size_t K, size_t cols, struct vq_err *err);
void vq_matrix_release(struct vq_matrix *m);
/* Borrows m. Int8 numbers are handed on as they are when all parts have them. */
struct vq_weight_source vq_matrix_source(const struct vq_matrix *m);

/* All n numbers of a parameter as f32 into dst, on the threads of the pool. */
enum vq_status vq_matrix_read(const struct vq_model *model, const char *name, size_t n, float *dst,
                              struct vq_pool *pool, struct vq_err *err);

#endif
