/* matmul_rounding: what products of bfloat16 are on processors that have none: floats, rounded to
 * bfloat16 as they are packed. As exact as the real thing, and as slow as plain C. */
#include "core/base/half.h"
#include "core/kernels/matmul_simple.h"

#define INPUTS 1
#define EXACT  false
#define TABLE  vq_matmul_rounding
#define NAME   "rounding"

static inline void put(float *to, const float *x0, const float *x1, size_t n)
{
    (void)x1;
    for (size_t i = 0; i < n; i++)
        to[i] = vq_bf16_to_f32(vq_f32_to_bf16(x0[i]));
}

static inline void put_row(float *to, const float *x)
{
    put(to, x, NULL, 16);
}

#include "core/kernels/matmul_body.h"
