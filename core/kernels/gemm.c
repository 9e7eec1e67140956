/*
 * gemm: the choice of back-end, and the loops around the register tiles of our own kernels. The
 * kernels themselves are in a file per instruction set, packing in gemm_weight.c.
 *
 * A task is at most VQ_MC rows by a group of panels. It walks over slices of VQ_KC inputs; in each
 * it copies its rows of x once (dense, in L2), then per panel keeps the block of the weight in L1
 * while the row tiles pass over it. Group sizes depend on the shape alone, never on threads.
 */
#include "core/kernels/gemm.h"

#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define GROUP_MAX   8     /* panels of a task */
#define PLAIN_ROWS  512   /* rows of a task for back-ends that do whole products */
#define THIN_ROWS   4     /* and with so few rows they would only copy: plain tiles do it */
#define SERIAL_MACS 32768 /* a product smaller than this is not worth waking a thread */

/* Slowest first; vq_gemm_default takes the last. */
static const struct vq_gemm *const backends[] = {
    &vq_gemm_portable,
#if VQ_BLAS
    &vq_gemm_openblas,
#endif
#if defined(__x86_64__)
    &vq_gemm_avx2,
    &vq_gemm_avx512,
#endif
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* The ith of those that run here, or NULL. */
static const struct vq_gemm *backend(size_t i)
{
    for (size_t j = 0; j < N_BACKENDS; j++) {
        if (backends[j]->supported() && i-- == 0)
            return backends[j];
    }
    return NULL;
}

size_t vq_gemm_backends(void)
{
    size_t n = 0;
    while (backend(n))
        n++;
    return n;
}

const char *vq_gemm_backend_name(size_t i)
{
    const struct vq_gemm *g = backend(i);
    return g ? g->name : NULL;
}

const struct vq_gemm *vq_gemm_default(void)
{
    return backend(vq_gemm_backends() - 1);
}

const struct vq_gemm *vq_gemm_find(const char *name)
{
    for (size_t i = 0; i < N_BACKENDS; i++) {
        if (!strcmp(backends[i]->name, name) && backends[i]->supported())
            return backends[i];
    }
    return NULL;
}

const char *vq_gemm_name(const struct vq_gemm *g)
{
    return g->name;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static void copy_rows(float *dst, size_t ldd, const float *src, size_t lds, size_t rows,
                      size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(dst + r * ldd, src + r * lds, cols * sizeof(float));
}

static void zero_rows(float *c, size_t ldc, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        memset(c + r * ldc, 0, cols * sizeof(float));
}

/* A tile where c has only `cols` of the panel's columns. */
static void edge_tile(const struct vq_gemm *g, enum vq_tile_kind kind, const struct vq_tile *whole,
                      size_t cols)
{
    if (cols >= VQ_NR) {
        g->tile[kind](whole);
        return;
    }
    _Alignas(64) float c[VQ_MAX_TILE * VQ_NR] = {0};
    struct vq_tile t = *whole;
    t.c = c;
    t.ldc = VQ_NR;
    if (!whole->fresh)
        copy_rows(c, VQ_NR, whole->c, whole->ldc, t.rows, cols);
    g->tile[kind](&t);
    copy_rows(whole->c, whole->ldc, c, VQ_NR, t.rows, cols);
}

/* All rows of a task (whole->rows, up to VQ_MC) times one block, in tiles of nearly equal height.
 * A block that several tiles read is decoded once. */
static void block_rows(const struct vq_gemm *g, enum vq_tile_kind kind, const struct vq_tile *whole,
                       size_t cols)
{
    _Alignas(64) float decoded[VQ_KC * VQ_NR];
    struct vq_tile t = *whole;
    size_t tiles = ceil_div(t.rows, g->tile_rows);
    if (tiles > 1 && kind == VQ_TILE_BF16) {
        g->decode_bf16(t.kc, t.b, decoded);
        t.b = decoded;
        kind = VQ_TILE_F32;
    } else if (tiles > 1 && kind == VQ_TILE_INT8) {
        g->decode_int8(t.kc, t.b, decoded);
        t.scale = t.b;
        t.b = decoded;
        kind = VQ_TILE_SCALED;
    }
    for (size_t i = 0; i < tiles; i++) {
        size_t r = whole->rows * i / tiles;
        t.rows = whole->rows * (i + 1) / tiles - r;
        t.a = whole->a + r * VQ_AS;
        t.c = whole->c + r * whole->ldc;
        edge_tile(g, kind, &t, cols);
    }
}

struct product {
    const struct vq_gemm *g;
    const struct vq_weight *w;
    size_t M;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    bool accumulate;
    bool plain; /* whole products rather than tiles */
    size_t row_blocks;
    size_t group; /* panels of a task */
};

/* How many panels of p..p1 one tile may take. */
static size_t panels_at_once(const struct vq_weight *w, size_t rows, size_t p, size_t p1)
{
    if (rows > VQ_FLAT_ROWS || (p + 1) * VQ_NR > w->N)
        return 1;
    return min_size(p1, w->N / VQ_NR) - p;
}

/* Rows r0..r1 (at most VQ_MC) by panels p0..p1 in tiles. */
static void mul_block(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float a[VQ_MC * VQ_AS];
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        const float *x = j->x + r0 * j->ldx + k0;
        if (r1 - r0 > 1)
            copy_rows(a, VQ_AS, x, j->ldx, r1 - r0, kc);
        for (size_t p = p0, n; p < p1; p += n) {
            n = panels_at_once(w, r1 - r0, p, p1);
            struct vq_tile t = {
                .rows = r1 - r0,
                .kc = kc,
                .a = r1 - r0 > 1 ? a : x,
                .b = vq_block(w, k0, kc, p),
                .ldb = VQ_NR,
                .panels = n,
                .step = vq_block_bytes(w->format, kc),
                .c = j->y + r0 * j->ldy + p * VQ_NR,
                .ldc = j->ldy,
                .fresh = k0 == 0 && !j->accumulate,
            };
            block_rows(j->g, (enum vq_tile_kind)w->format, &t, w->N - p * VQ_NR);
        }
    }
}

/* The same with a back-end that wants plain matrices: the blocks of a slice are decoded side by
 * side. */
static void mul_plain(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float b[VQ_KC * GROUP_MAX * VQ_NR];
    size_t ldb = (p1 - p0) * VQ_NR;
    size_t n = min_size(w->N - p0 * VQ_NR, ldb);
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        for (size_t p = p0; p < p1; p++)
            vq_block_unpack(w->format, kc, vq_block(w, k0, kc, p), b + (p - p0) * VQ_NR, ldb,
                            VQ_NR);
        j->g->product(r1 - r0, n, kc, j->x + r0 * j->ldx + k0, j->ldx, b, ldb,
                      j->y + r0 * j->ldy + p0 * VQ_NR, j->ldy, k0 > 0 || j->accumulate);
    }
}

static void mul_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct product *j = ud;
    size_t rb = task % j->row_blocks;
    size_t p0 = task / j->row_blocks * j->group;
    size_t r0 = j->M * rb / j->row_blocks;
    size_t r1 = j->M * (rb + 1) / j->row_blocks;
    size_t p1 = min_size(p0 + j->group, j->w->panels);
    if (j->plain)
        mul_plain(j, r0, r1, p0, p1);
    else
        mul_block(j, r0, r1, p0, p1);
}

void vq_weight_mul(const struct vq_gemm *g, struct vq_pool *pool, const struct vq_weight *w,
                   size_t M, const float *x, size_t ldx, float *y, size_t ldy, bool accumulate)
{
    if (!M || !w->N)
        return;
    if (!w->K && !accumulate)
        zero_rows(y, ldy, M, w->N);
    struct product j = {.g = g->product ? &vq_gemm_portable : g,
                        .w = w,
                        .M = M,
                        .x = x,
                        .ldx = ldx,
                        .y = y,
                        .ldy = ldy,
                        .accumulate = accumulate,
                        .row_blocks = ceil_div(M, VQ_MC)};
    if (g->product && M > THIN_ROWS) {
        j.g = g;
        j.plain = true;
        j.row_blocks = ceil_div(M, PLAIN_ROWS);
    }
    j.group = w->panels / 16 < 1 ? 1 : min_size(w->panels / 16, GROUP_MAX);
    size_t tasks = j.row_blocks * ceil_div(w->panels, j.group);
    bool small = M * w->N < SERIAL_MACS / (w->K + 1);
    vq_pool_run(small ? NULL : pool, tasks, mul_task, &j);
}

void vq_weight_mul_serial(const struct vq_gemm *g, const struct vq_weight *w, size_t M,
                          const float *x, size_t ldx, float *y, size_t ldy, bool accumulate)
{
    vq_weight_mul(g, NULL, w, M, x, ldx, y, ldy, accumulate);
}

/* At most VQ_MC rows by a panel's width of b, which is copied first unless only one tile reads
 * it. */
static void nn_panel(const struct vq_gemm *g, const struct vq_tile *whole, size_t cols)
{
    _Alignas(64) float b[VQ_KC * VQ_NR];
    struct vq_tile t = *whole;
    if (cols < VQ_NR)
        memset(b, 0, t.kc * VQ_NR * sizeof(float));
    if (cols < VQ_NR || t.rows > g->tile_rows) {
        copy_rows(b, VQ_NR, t.b, t.ldb, t.kc, min_size(cols, VQ_NR));
        t.b = b;
        t.ldb = VQ_NR;
    }
    block_rows(g, VQ_TILE_F32, &t, cols);
}

static void nn_rows(const struct vq_gemm *g, size_t rows, size_t N, size_t K, const float *a,
                    size_t lda, const float *b, size_t ldb, float *c, size_t ldc, bool accumulate)
{
    _Alignas(64) float copy[VQ_MC * VQ_AS];
    for (size_t k0 = 0; k0 < K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, K - k0);
        copy_rows(copy, VQ_AS, a + k0, lda, rows, kc);
        for (size_t n = 0; n < N; n += VQ_NR) {
            struct vq_tile t = {
                .rows = rows,
                .kc = kc,
                .a = copy,
                .b = b + k0 * ldb + n,
                .ldb = ldb,
                .panels = 1,
                .c = c + n,
                .ldc = ldc,
                .fresh = k0 == 0 && !accumulate,
            };
            nn_panel(g, &t, N - n);
        }
    }
}

void vq_gemm_nn(const struct vq_gemm *g, size_t M, size_t N, size_t K, const float *a, size_t lda,
                const float *b, size_t ldb, float *c, size_t ldc, bool accumulate)
{
    if (!M || !N)
        return;
    if (!accumulate && (!K || M == 1))
        zero_rows(c, ldc, M, N);
    if (!K)
        return;
    if (M > 1 && g->product) {
        g->product(M, N, K, a, lda, b, ldb, c, ldc, accumulate);
        return;
    }
    if (M == 1) {
        (g->product ? &vq_gemm_portable : g)->row(N, K, a, b, ldb, c);
        return;
    }
    for (size_t r = 0; r < M; r += VQ_MC)
        nn_rows(g, min_size(VQ_MC, M - r), N, K, a + r * lda, lda, b, ldb, c + r * ldc, ldc,
                accumulate);
}
