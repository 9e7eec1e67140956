/*
 * gemm_int8_body: the int8 tile of an instruction set, included after gemm_body.h's like by files
 * that define
 *   vf, W, v_zero() v_load(p) v_store(p, v) v_all(x) v_fma(a, b, c)   as there, with v_mul(a, b)
 *   vi                    a vector of W 32-bit sums
 *   vp                    a vector of W pairs of 16-bit integers
 *   i_zero() i_float(v)   sums: zero, and as floats
 *   p_wide(p)             W pairs of bytes, widened
 *   p_all(q)              the pair at q, W times
 *   p_add(acc, a, b)      acc + a0 b0 + a1 b1 in each of W
 *   INT8_ROWS, INT8_TILE  height of the tallest tile, name of the function
 *
 * Why 16 bits for x: rounding x to 8 as well would cost as much precision as rounding the weights
 * did, and what is inspected here should be the model that was loaded, weights rounded and nothing
 * else. 127 * 32767 * 64 is below 2^31, so sums of a group are exact.
 */
#define INT8_STEP (2 * VQ_NR) /* bytes of two inputs */
#if !defined(UNROLL) && defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif !defined(UNROLL)
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline int pair_at(const int16_t *q)
{
    int pair;
    memcpy(&pair, q, sizeof(pair));
    return pair;
}

/* R rows by V vectors from column n; one row takes its inputs in two turns, to have more sums under
 * way than each waits for. */
static inline __attribute__((always_inline)) void int8_sums(vi acc[][4], const struct vq_tile *t,
                                                            const size_t R, const size_t V,
                                                            size_t n, size_t k, size_t kc,
                                                            const unsigned char *b)
{
    for (size_t i = 0; i < kc; i += 2) {
        const unsigned char *at = b + i / 2 * INT8_STEP + 2 * n;
        vp wide[4];
        UNROLL
        for (size_t v = 0; v < V; v++)
            wide[v] = p_wide(at + 2 * v * W);
        if (R > 2)
            __builtin_prefetch(at + 2048, 0, 2);
        UNROLL
        for (size_t r = 0; r < R; r++) {
            vp x = p_all(t->q + r * t->ldq + k + i);
            UNROLL
            for (size_t v = 0; v < V; v++)
                acc[r][v] = p_add(acc[r][v], wide[v], x);
        }
    }
}

static inline __attribute__((always_inline)) void
int8_strip(const struct vq_tile *t, const size_t R, const size_t V, size_t n)
{
    const unsigned char *group = t->b;
    for (size_t k = 0; k < t->kc; k += VQ_INT8_GROUP) {
        const size_t kc = t->kc - k < VQ_INT8_GROUP ? t->kc - k : VQ_INT8_GROUP;
        const float *scale = (const float *)(const void *)group;
        const bool fresh = t->fresh && !k;
        vi acc[INT8_ROWS][4];
        UNROLL
        for (size_t r = 0; r < R; r++) {
            UNROLL
            for (size_t v = 0; v < V; v++)
                acc[r][v] = i_zero();
        }
        int8_sums(acc, t, R, V, n, k, kc, group + VQ_NR * sizeof(float));
        UNROLL
        for (size_t r = 0; r < R; r++) {
            vf s = v_all(t->qs[r * t->lds + k / VQ_INT8_GROUP]);
            UNROLL
            for (size_t v = 0; v < V; v++) {
                float *c = t->c + r * VQ_CS + n + v * W;
                vf old = fresh ? v_zero() : v_load(c);
                v_store(c, v_fma(i_float(acc[r][v]), v_mul(s, v_load(scale + n + v * W)), old));
            }
        }
        group += VQ_GROUP_BYTES;
    }
}

static inline __attribute__((always_inline)) void int8_rows(const struct vq_tile *t, const size_t R)
{
    const size_t V = VQ_NR / W < 2 ? VQ_NR / W : R > 2 ? 2 : VQ_NR / W < 4 ? VQ_NR / W : 4;
    for (size_t n = 0; n < VQ_NR; n += V * W)
        int8_strip(t, R, V, n);
}

INT8_TILE(const struct vq_tile *t)
{
    switch (t->rows) {
#define CASE(R)                                                                                    \
    case R:                                                                                        \
        int8_rows(t, R);                                                                           \
        break
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
#if INT8_ROWS > 6
        CASE(7);
        CASE(8);
#endif
#undef CASE
    }
}
