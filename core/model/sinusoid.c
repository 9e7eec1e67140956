#include "core/model/sinusoid.h"

#include <math.h>

#include "core/base/mem.h"

double *vq_sinusoid_frequencies(size_t D, double lam)
{
    double *w = vq_alloc(D / 2 + 1, sizeof(*w));
    for (size_t i = 0; w && i < D / 2; i++)
        w[i] = pow(lam, -2.0 * (double)i / (double)D);
    return w;
}

void vq_sinusoid(float *out, size_t D, const double *frequencies, double position)
{
    size_t half = D / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = position * frequencies[i];
        out[i] = (float)sin(angle);
        out[half + i] = (float)cos(angle);
    }
    if (D % 2)
        out[D - 1] = 0.0f;
}
