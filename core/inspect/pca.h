/*
 * pca: the two directions in which a codebook spreads most, and where its codes lie on them: a map
 * of a head's codes. The covariance (or, with fewer codes than dimensions, the Gram matrix) is
 * diagonalised by Jacobi rotations, in double: K = 128 takes some 50 ms.
 */
#ifndef VQ_CORE_INSPECT_PCA_H
#define VQ_CORE_INSPECT_PCA_H

#include <stddef.h>

#include "core/base/err.h"

struct vq_map {
    double explained[2]; /* the part of all variance that each direction carries */
};

/*
 * Directions are those of the codes with fit[s] (of all where fit is NULL, or where it names fewer
 * than two), around their mean; all S codes of C[S,K] are then placed: xy[S, 2]. Of the two ways
 * round, each direction points to where its largest entry is positive. Directions without spread
 * have coordinates and explained 0. Polls cancel. VQ_ENOMEM, VQ_ECANCELLED.
 */
enum vq_status vq_map_codes(double *xy, struct vq_map *map, const float *C, size_t S, size_t K,
                            const bool *fit, const struct vq_cancel *cancel, struct vq_err *err);

#endif
