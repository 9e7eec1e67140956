#include "core/train/dropout.h"

#include <math.h>
#include <string.h>

#include "core/base/rng.h"

/* A bijection of 64 bits that spreads small differences (the finaliser of MurmurHash3). */
static uint64_t spread(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static void start(struct vq_rng *r, const struct vq_drop *d)
{
    uint64_t h = spread(d->sequence);
    h = spread(h ^ ((uint64_t)d->kind << 32 | d->module)) + d->row;
    vq_rng_init(r, d->seed, spread(h) ^ d->at);
}

/* A draw of 32 bits drops if it is below this. */
static uint32_t threshold(double p)
{
    return (uint32_t)floor(p * 0x1p32);
}

void vq_drop_row(float *y, const float *x, size_t n, double p, const struct vq_drop *d)
{
    if (p <= 0.0) {
        memmove(y, x, n * sizeof(*y));
        return;
    }
    struct vq_rng r;
    start(&r, d);
    uint32_t least = threshold(p);
    float keep = (float)(1.0 / (1.0 - p));
    for (size_t i = 0; i < n; i += 2) {
        uint64_t bits = vq_rng_u64(&r);
        y[i] = x[i] * ((uint32_t)bits >= least ? keep : 0.0f);
        if (i + 1 < n)
            y[i + 1] = x[i + 1] * ((uint32_t)(bits >> 32) >= least ? keep : 0.0f);
    }
}

float vq_drop_factor(double p, const struct vq_drop *d)
{
    if (p <= 0.0)
        return 1.0f;
    struct vq_rng r;
    start(&r, d);
    return (uint32_t)vq_rng_u64(&r) >= threshold(p) ? (float)(1.0 / (1.0 - p)) : 0.0f;
}
