/*
 * gemm: the choice of back-end, and the loops around the register tiles of our own kernels. The
 * kernels themselves are in a file per instruction set, packing in gemm_weight.c.
 *
 * A task is at most VQ_MC rows by a group of panels. It walks over slices of VQ_KC inputs; in each
 * it copies its rows of x once, then runs the row tiles over one panel's block after another. Sums
 * stay in a dense block of the task's own until the last slice: rows of y may lie so that they fall
 * into the same few sets of a cache.
 */
#include "core/kernels/gemm.h"

#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define PLAIN_COLS   256   /* columns of a task for back-ends that do whole products, */
#define PLAIN_ROWS   512   /* and the most rows */
#define THIN_ROWS    4     /* with so few rows they would only copy: plain tiles do it */
#define PLAIN_TASKS  24    /* wanted of their products */
#define FEW_ROWS     16    /* products that memory limits */
#define AHEAD_FLOATS 4096  /* how far ahead a stream of f32 is fetched */
#define SERIAL_MACS  32768 /* a product smaller than this is not worth waking a thread */

/* vq_gemm_default takes the last that runs here; portable does everywhere. */
static const struct vq_gemm *const backends[] = {
    &vq_gemm_portable,
    &vq_gemm_onednn, /* loads a library when it is asked whether it is supported */
#if VQ_BLAS
    &vq_gemm_openblas,
#endif
#if defined(__x86_64__)
    &vq_gemm_bf16, /* faster than all, but chosen only by name */
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
    size_t i = N_BACKENDS - 1;
    while (!backends[i]->supported())
        i--;
    return backends[i];
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

const struct vq_gemm *vq_gemm_exact(const struct vq_gemm *g)
{
    return g->rounds ? g->few : g;
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

/* A task's sums before its products: what y holds, zero in the columns that only panels have. */
static void load_sums(float *c, const float *y, size_t ldy, size_t rows, size_t cols, size_t width)
{
    copy_rows(c, VQ_CS, y, ldy, rows, cols);
    if (cols % width)
        zero_rows(c + cols, VQ_CS, rows, width - cols % width);
}

/* All rows of a task (t->rows, up to VQ_MC) times one block, in tiles of nearly equal height. */
static void block_rows(const struct vq_gemm *g, enum vq_weight_format f,
                       const struct vq_tile *whole)
{
    struct vq_tile t = *whole;
    size_t tiles = ceil_div(t.rows, g->tile_rows);
    for (size_t i = 0; i < tiles; i++) {
        size_t r = whole->rows * i / tiles;
        t.rows = whole->rows * (i + 1) / tiles - r;
        t.a = whole->a + r * VQ_AS;
        t.c = whole->c + r * VQ_CS;
        g->tile[f](&t);
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

/* Rows r0..r1 (at most VQ_MC) by panels p0..p1 in tiles. */
static void mul_block(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float a[VQ_MC * VQ_AS], c[VQ_MC * VQ_CS];
    size_t rows = r1 - r0, cols = min_size(w->N - p0 * w->width, (p1 - p0) * w->width);
    float *y = j->y + r0 * j->ldy + p0 * w->width;
    if (j->accumulate)
        load_sums(c, y, j->ldy, rows, cols, w->width);
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        copy_rows(a, VQ_AS, j->x + r0 * j->ldx + k0, j->ldx, rows, kc);
        for (size_t p = p0; p < p1; p++) {
            struct vq_tile t = {
                .rows = rows,
                .kc = kc,
                .a = a,
                .b = vq_block(w, k0, kc, p),
                .ldb = VQ_NR,
                .ahead = rows < j->g->ahead_rows ? 0 : AHEAD_FLOATS,
                .c = c + (p - p0) * w->width,
                .fresh = k0 == 0 && !j->accumulate,
            };
            block_rows(j->g, w->format, &t);
        }
    }
    copy_rows(y, j->ldy, c, VQ_CS, rows, cols);
}

/* The same with a back-end that wants plain matrices: the blocks of a slice are decoded side by
 * side. */
static void mul_plain(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float b[VQ_KC * PLAIN_COLS];
    size_t cols = min_size(w->N - p0 * w->width, (p1 - p0) * w->width);
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        for (size_t p = p0; p < p1; p++)
            vq_block_unpack(w->format, kc, vq_block(w, k0, kc, p), b + (p - p0) * w->width,
                            PLAIN_COLS, w->width);
        j->g->product(r1 - r0, cols, kc, j->x + r0 * j->ldx + k0, j->ldx, b, PLAIN_COLS,
                      j->y + r0 * j->ldy + p0 * w->width, j->ldy, k0 > 0 || j->accumulate);
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

/* Panels of a task: many make long streams and repay the copy of x, few keep all threads busy to
 * the end. Our own kernels may look at the number of threads, since their results do not; OpenBLAS
 * rounds as its tasks are cut. */
static size_t group_size(const struct product *j, const struct vq_pool *pool)
{
    size_t most = (j->plain ? PLAIN_COLS : VQ_COLS) / j->w->width;
    size_t tasks = (size_t)vq_pool_threads(pool) * (j->M <= FEW_ROWS ? 4 : 12);
    size_t group = j->w->panels * j->row_blocks / (j->plain ? PLAIN_TASKS : tasks);
    return group < 1 ? 1 : min_size(group, most);
}

void vq_weight_mul(const struct vq_gemm *g, struct vq_pool *pool, const struct vq_weight *w,
                   size_t M, const float *x, size_t ldx, float *y, size_t ldy, bool accumulate)
{
    if (!M || !w->N)
        return;
    if (!w->K) {
        if (!accumulate)
            zero_rows(y, ldy, M, w->N);
        return;
    }
    struct product j = {.g = g->product ? g->few : g,
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
    j.group = group_size(&j, pool);
    size_t tasks = j.row_blocks * ceil_div(w->panels, j.group);
    bool small = M * w->N < SERIAL_MACS / (w->K + 1);
    vq_pool_run(small ? NULL : pool, tasks, mul_task, &j);
}

void vq_weight_mul_serial(const struct vq_gemm *g, const struct vq_weight *w, size_t M,
                          const float *x, size_t ldx, float *y, size_t ldy, bool accumulate)
{
    vq_weight_mul(g, NULL, w, M, x, ldx, y, ldy, accumulate);
}

/* What a product with an unpacked b reads and writes. */
struct plain_product {
    const struct vq_gemm *g;
    size_t K;
    const float *a, *b;
    size_t lda, ldb;
    float *c;
    size_t ldc;
    bool accumulate;
};

/* One panel of b by all rows of a task. A panel that is not full is copied first, into `padded`. */
static void nn_panel(const struct plain_product *j, struct vq_tile *t, size_t cols, float *padded)
{
    if (cols < VQ_NR) {
        memset(padded, 0, t->kc * VQ_NR * sizeof(float));
        copy_rows(padded, VQ_NR, t->b, t->ldb, t->kc, cols);
        t->b = padded;
        t->ldb = VQ_NR;
    }
    block_rows(j->g, VQ_WEIGHT_F32, t);
}

/* Rows from r (at most VQ_MC) by columns from n (at most VQ_COLS). */
static void nn_block(const struct plain_product *j, size_t r, size_t rows, size_t n, size_t cols)
{
    _Alignas(64) float a[VQ_MC * VQ_AS], c[VQ_MC * VQ_CS], padded[VQ_KC * VQ_NR];
    float *y = j->c + r * j->ldc + n;
    if (j->accumulate)
        load_sums(c, y, j->ldc, rows, cols, VQ_NR);
    for (size_t k0 = 0; k0 < j->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, j->K - k0);
        copy_rows(a, VQ_AS, j->a + r * j->lda + k0, j->lda, rows, kc);
        for (size_t p = 0; p < cols; p += VQ_NR) {
            struct vq_tile t = {
                .rows = rows,
                .kc = kc,
                .a = a,
                .b = j->b + k0 * j->ldb + n + p,
                .ldb = j->ldb,
                .ahead = VQ_NR, /* the next panel: its rows are pages apart */
                .c = c + p,
                .fresh = k0 == 0 && !j->accumulate,
            };
            nn_panel(j, &t, cols - p, padded);
        }
    }
    copy_rows(y, j->ldc, c, VQ_CS, rows, cols);
}

void vq_gemm_nn(const struct vq_gemm *g, size_t M, size_t N, size_t K, const float *a, size_t lda,
                const float *b, size_t ldb, float *c, size_t ldc, bool accumulate)
{
    if (!accumulate && (!K || M == 1))
        zero_rows(c, ldc, M, N);
    if (!M || !N || !K)
        return;
    if (M == 1) {
        (g->product ? g->few : g)->row(N, K, a, b, ldb, c);
        return;
    }
    if (g->product) {
        g->product(M, N, K, a, lda, b, ldb, c, ldc, accumulate);
        return;
    }
    struct plain_product j = {g, K, a, b, lda, ldb, c, ldc, accumulate};
    for (size_t n = 0; n < N; n += VQ_COLS) {
        for (size_t r = 0; r < M; r += VQ_MC)
            nn_block(&j, r, min_size(VQ_MC, M - r), n, min_size(VQ_COLS, N - n));
    }
}
