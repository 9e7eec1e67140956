#include "core/base/rng.h"

#include <math.h>

/* Steele, Lea and Flood's generator; a bijection of 64 bits, used to spread a seed over a state. */
static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void vq_rng_init(struct vq_rng *r, uint64_t seed, uint64_t stream)
{
    /* The seed is spread first: seeds and streams are both small numbers that count up, and must
     * not meet (seed 1, stream 2 against seed 2, stream 1). */
    uint64_t x = splitmix64(&seed) ^ stream;
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix64(&x);
}

uint64_t vq_rng_u64(struct vq_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double vq_rng_unit(struct vq_rng *r)
{
    return (double)(vq_rng_u64(r) >> 11) * 0x1p-53;
}

uint64_t vq_rng_below(struct vq_rng *r, uint64_t n)
{
    if (n == 0)
        return 0;
    /* 2^64 mod n values too many: drawing again keeps every remainder equally likely. */
    uint64_t surplus = -n % n, x;
    do
        x = vq_rng_u64(r);
    while (x < surplus);
    return x % n;
}

double vq_rng_normal(struct vq_rng *r)
{
    double u = 1.0 - vq_rng_unit(r); /* in (0, 1], so the logarithm is finite */
    double v = vq_rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
