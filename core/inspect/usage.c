#include "core/inspect/usage.h"

#include <stdlib.h>

#include "core/base/mem.h"

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum vq_status vq_lorenz(double *share, const double *count, size_t S, struct vq_err *err)
{
    double total = 0.0, sum = 0.0;
    double *sorted = vq_alloc(S, sizeof(*sorted));
    if (!sorted)
        return vq_nomem(err, "counts", S, sizeof(*sorted));
    for (size_t s = 0; s < S; s++) {
        sorted[s] = count[s] > 0.0 ? count[s] : 0.0;
        total += sorted[s];
    }
    qsort(sorted, S, sizeof(*sorted), rising);
    share[0] = 0.0;
    for (size_t s = 0; s < S; s++) {
        sum += sorted[s];
        share[s + 1] = total > 0.0 ? sum / total : (double)(s + 1) / (double)S;
    }
    free(sorted);
    return VQ_OK;
}

double vq_gini(const double *share, size_t S)
{
    double area = 0.0; /* under the curve, by trapezoids */
    for (size_t s = 0; s < S; s++)
        area += (share[s] + share[s + 1]) / 2.0 / (double)S;
    return 1.0 - 2.0 * area;
}
