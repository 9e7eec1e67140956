/* matmul_plain: words that are the floats they were, for matmul_body.h. */
#include <string.h>

static inline __attribute__((always_inline)) void put(float *to, const float *x0, const float *x1,
                                                      size_t n)
{
    (void)x1;
    memcpy(to, x0, n * sizeof(float));
}

static inline void put_row(float *to, const float *x)
{
    memcpy(to, x, 16 * sizeof(float));
}
