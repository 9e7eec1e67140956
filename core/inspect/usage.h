/*
 * usage: how evenly codes share their use, from counts of any kind (moving averages of a
 * checkpoint, tokens seen). Counts below 0 count as 0.
 */
#ifndef VQ_CORE_INSPECT_USAGE_H
#define VQ_CORE_INSPECT_USAGE_H

#include <stddef.h>

#include "core/base/err.h"

/*
 * The Lorenz curve of count[S] into share[S + 1]: share[i] is the part of all use that falls on the
 * i least used codes, from share[0] = 0 to share[S] = 1. When nothing is used at all it is the
 * straight line. VQ_ENOMEM.
 */
enum vq_status vq_lorenz(double *share, const double *count, size_t S, struct vq_err *err);

/* The Gini coefficient of a Lorenz curve: 0 when all codes are used alike, 1 - 1/S when one is used
 * alone. Twice the area between the curve and the straight line. */
double vq_gini(const double *share, size_t S);

#endif
