/*
 * grad_body: the one body of the kernels of grad.h, included by a file per instruction set that
 * defines GRAD_TABLE (the table's symbol) and GRAD_NAME. Plain loops, left to the compiler to turn
 * into vectors, as in vec_body.h.
 */
#include <math.h>

#include "core/kernels/grad.h"
#include "core/kernels/vec_math.h"

#define CHUNK 512 /* floats of scratch */

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exp1(-x));
}

/* d silu(x) / dx = s (1 + x (1 - s)) with s = sigmoid(x). */
static inline float silu_slope(float x, float s)
{
    return s * madd(x, 1.0f - s, 1.0f);
}

/* With x^ = x / r: dx = (dx^ - x^ mean(dx^ x^)) / r. The 1e-6 is inside r, and the formula is exact
 * with it. */
static void grad_rms_norm(float *dx, const float *dy, const float *x, size_t n, const float *g,
                          float *dg, float *db)
{
    float acc[LANES] = {0}, f = 1.0f / sqrtf(lanes_dot(x, x, n) / (float)n + 1e-6f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] = madd(dy[i + j] * g[i + j], x[i + j], acc[j]);
    }
    for (size_t j = 0; i + j < n; j++)
        acc[j] = madd(dy[i + j] * g[i + j], x[i + j], acc[j]);
    float along = sum_lanes(acc) * f * f * f / (float)n;
    EACH
    for (i = 0; i < n; i++) {
        dx[i] += dy[i] * g[i] * f - x[i] * along;
        dg[i] = madd(dy[i], x[i] * f, dg[i]);
        db[i] += dy[i];
    }
}

static void grad_unit_norm(float *dx, const float *dy, const float *y, size_t n, float scale,
                           float inverse)
{
    float f = scale * inverse, along = lanes_dot(dy, y, n) / (scale * scale * (float)n);
    EACH
    for (size_t i = 0; i < n; i++)
        dx[i] = f * (dy[i] - y[i] * along);
}

static void grad_silu(float *dx, const float *dy, const float *x, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * silu_slope(x[i], sigmoid(x[i]));
}

static void grad_gate(float *y, const float *o, const float *g, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++)
        y[i] = o[i] * (g[i] * sigmoid(g[i]));
}

static void grad_gate_grad(float *dy, float *y, const float *o, float *g, size_t n)
{
    EACH
    for (size_t i = 0; i < n; i++) {
        float s = sigmoid(g[i]), open = g[i] * s, slope = silu_slope(g[i], s);
        float d = dy[i], out = o[i];
        dy[i] = d * open;
        y[i] = out * open;
        g[i] = d * out * slope;
    }
}

static void grad_softmax(float *ds, const float *a, size_t n, float sum)
{
    EACH
    for (size_t i = 0; i < n; i++)
        ds[i] = a[i] * (ds[i] - sum);
}

static float row_max(const float *x, size_t n)
{
    float acc[LANES], top = -INFINITY;
    size_t i = 0;
    for (size_t j = 0; j < LANES; j++)
        acc[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            acc[j] = x[i + j] > acc[j] ? x[i + j] : acc[j];
    }
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t j = 0; j < LANES; j++)
        top = acc[j] > top ? acc[j] : top;
    return top;
}

static double grad_cross_entropy(float *x, size_t n, size_t target, float weight)
{
    float top = row_max(x, n), hit = x[target];
    double sum = 0.0;
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        float *row = x + i, acc[LANES] = {0};
        EACH
        for (size_t j = 0; j < m; j++)
            row[j] = exp1(row[j] - top);
        size_t k = 0;
        for (; k + LANES <= m; k += LANES) {
            for (size_t j = 0; j < LANES; j++)
                acc[j] += row[k + j];
        }
        for (size_t j = 0; k + j < m; j++)
            acc[j] += row[k + j];
        sum += (double)sum_lanes(acc);
    }
    float f = (float)((double)weight / sum);
    EACH
    for (size_t i = 0; i < n; i++)
        x[i] *= f;
    x[target] -= weight;
    return log(sum) + ((double)top - (double)hit);
}

static void grad_scatter_add(float *table, const float *x, const int32_t *index, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table[index[i]] += x[i];
}

typedef float row8 __attribute__((vector_size(32)));

#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define LOW(a, b)      MIX(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b)     MIX(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(a, b)     MIX(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH2(a, b)    MIX(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW4(a, b)     MIX(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH4(a, b)    MIX(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/* Eight rows of eight: neighbours are interleaved by ones, twos and fours. */
static inline void transpose8(float *dst, size_t ldd, const float *src, size_t lds)
{
    row8 r[8], s[8];
    for (size_t i = 0; i < 8; i++)
        memcpy(&r[i], src + i * lds, sizeof(r[i]));
    for (size_t i = 0; i < 8; i += 2) {
        s[i] = LOW(r[i], r[i + 1]);
        s[i + 1] = HIGH(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        r[i] = LOW2(s[i], s[i + 2]);
        r[i + 1] = HIGH2(s[i], s[i + 2]);
        r[i + 2] = LOW2(s[i + 1], s[i + 3]);
        r[i + 3] = HIGH2(s[i + 1], s[i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        s[i] = LOW4(r[i], r[i + 4]);
        s[i + 4] = HIGH4(r[i], r[i + 4]);
    }
    for (size_t i = 0; i < 8; i++)
        memcpy(dst + i * ldd, &s[i], sizeof(s[i]));
}

static void grad_transpose(float *dst, size_t ldd, const float *src, size_t lds, size_t rows,
                           size_t cols)
{
    size_t whole_rows = rows / 8 * 8, whole_cols = cols / 8 * 8;
    for (size_t r = 0; r < whole_rows; r += 8) {
        for (size_t c = 0; c < whole_cols; c += 8)
            transpose8(dst + c * ldd + r, ldd, src + r * lds + c, lds);
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = r < whole_rows ? whole_cols : 0; c < cols; c++)
            dst[c * ldd + r] = src[r * lds + c];
    }
}

const struct vq_grad_vec GRAD_TABLE = {
    .name = GRAD_NAME,
    .rms_norm = grad_rms_norm,
    .unit_norm = grad_unit_norm,
    .silu = grad_silu,
    .gate = grad_gate,
    .gate_grad = grad_gate_grad,
    .softmax = grad_softmax,
    .cross_entropy = grad_cross_entropy,
    .scatter_add = grad_scatter_add,
    .transpose = grad_transpose,
};
