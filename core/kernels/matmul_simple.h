/* matmul_simple: vectors of four floats in plain C for matmul_body.h, which the compiler maps to
 * what there is. */
#include <stddef.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define W              4
#define ROWS           4
#define LANES          4
#define v_zero()       ((vf){0})
#define v_all(x)       ((vf){x, x, x, x})
#define v_fma(a, b, c) ((a) * (b) + (c))

typedef float vf __attribute__((vector_size(16)));

static inline vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof(v));
}
