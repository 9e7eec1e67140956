/*
 * gemm: the choice of back-end, and the loops around the register tiles of our own kernels. The
 * kernels themselves are in a file per instruction set, packing in gemm_weight.c.
 *
 * A task is at most VQ_MC rows by a group of panels. It walks over slices of VQ_KC inputs; in each
 * it copies its rows of x once, then runs the row tiles over one panel's block after another. Sums
 * stay in a dense block of the task's own until the last slice: rows of y may lie so that they fall
 * into the same few sets of a cache. With few rows the weights are what takes time: then x is
 * copied whole, and the task walks along the panels as they lie in memory.
 */
#include "core/kernels/gemm.h"

#include <string.h>

#include "core/kernels/gemm_kernel.h"

#define PLAIN_COLS   256   /* columns of a task for back-ends that do whole products, */
#define PLAIN_ROWS   512   /* and the most rows */
#define THIN_ROWS    4     /* with so few rows they would only copy: plain tiles do it */
#define PLAIN_TASKS  24    /* wanted of their products */
#define FEW_ROWS     16    /* products that memory limits, */
#define FEW_FLOATS   72000 /* if their x is no larger than this */
#define MOST_JOBS    16    /* products that share a run of the pool */
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
static void load_sums(float *c, const float *y, size_t ldy, size_t rows, size_t cols)
{
    copy_rows(c, VQ_CS, y, ldy, rows, cols);
    if (cols % VQ_NR)
        zero_rows(c + cols, VQ_CS, rows, VQ_NR - cols % VQ_NR);
}

/* All rows of a task (t->rows, up to VQ_MC) times one block, in tiles of nearly equal height. */
static void block_rows(const struct vq_gemm *g, enum vq_weight_format f,
                       const struct vq_tile *whole)
{
    struct vq_tile t = *whole;
    size_t tiles = ceil_div(t.rows, f == VQ_WEIGHT_INT8 ? g->int8_rows : g->tile_rows);
    for (size_t i = 0; i < tiles; i++) {
        size_t r = whole->rows * i / tiles;
        t.rows = whole->rows * (i + 1) / tiles - r;
        t.a = whole->a + r * VQ_AS;
        if (f == VQ_WEIGHT_INT8) {
            t.q = whole->q + r * whole->ldq;
            t.qs = whole->qs + r * whole->lds;
        }
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
    bool few;                 /* rows, and x small enough: the walk along the panels */
    bool plain;               /* whole products rather than tiles */
    size_t row_blocks, parts; /* row_blocks * parts tasks */
    /* x in 16 bits, for few rows and int8; the fields of struct vq_tile */
    const int16_t *q;
    const float *qs;
    size_t ldq, lds;
};

/* x[rows, kc] in 16 bits into q and qs. */
static void quantise_rows(const struct vq_gemm *g, int16_t *q, size_t ldq, float *qs, size_t lds,
                          const float *x, size_t ldx, size_t rows, size_t kc)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < kc; k += VQ_INT8_GROUP)
            qs[r * lds + k / VQ_INT8_GROUP] =
                g->quantise(q + r * ldq + k, x + r * ldx + k, min_size(VQ_INT8_GROUP, kc - k));
    }
}

/* Rows r0..r1 (at most VQ_MC) by panels p0..p1 in tiles. */
static void mul_block(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float a[VQ_MC * VQ_AS], c[VQ_MC * VQ_CS], qs[VQ_MC * VQ_GROUPS];
    int16_t *q = (int16_t *)(void *)a; /* int8 needs the one or the other */
    size_t rows = r1 - r0, cols = min_size(w->N - p0 * VQ_NR, (p1 - p0) * VQ_NR);
    float *y = j->y + r0 * j->ldy + p0 * VQ_NR;
    if (j->accumulate)
        load_sums(c, y, j->ldy, rows, cols);
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        const float *x = j->x + r0 * j->ldx + k0;
        if (w->format == VQ_WEIGHT_INT8)
            quantise_rows(j->g, q, VQ_AS, qs, VQ_GROUPS, x, j->ldx, rows, kc);
        else
            copy_rows(a, VQ_AS, x, j->ldx, rows, kc);
        for (size_t p = p0; p < p1; p++) {
            struct vq_tile t = {
                .rows = rows,
                .kc = kc,
                .a = a,
                .b = vq_block(w, k0, p),
                .ldb = VQ_NR,
                .ahead = rows < j->g->ahead_rows ? 0 : AHEAD_FLOATS,
                .c = c + (p - p0) * VQ_NR,
                .fresh = k0 == 0 && !j->accumulate,
                .q = q,
                .ldq = VQ_AS,
                .qs = qs,
                .lds = VQ_GROUPS,
            };
            block_rows(j->g, w->format, &t);
        }
    }
    copy_rows(y, j->ldy, c, VQ_CS, rows, cols);
}

/* The same for few rows: all of them, along the panels p0..p1. */
static void mul_few(const struct product *j, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float a[FEW_FLOATS], c[FEW_ROWS * VQ_CS];
    size_t cols = min_size(w->N - p0 * VQ_NR, (p1 - p0) * VQ_NR);
    float *y = j->y + p0 * VQ_NR;
    if (j->accumulate)
        load_sums(c, y, j->ldy, j->M, cols);
    for (size_t k0 = 0; k0 < w->K && !j->q && j->M > 1; k0 += VQ_KC)
        copy_rows(a + k0 / VQ_KC * j->M * VQ_AS, VQ_AS, j->x + k0, j->ldx, j->M,
                  min_size(VQ_KC, w->K - k0));
    for (size_t p = p0; p < p1; p++) {
        for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
            struct vq_tile t = {
                .rows = j->M,
                .kc = min_size(VQ_KC, w->K - k0),
                .a = j->M > 1 ? a + k0 / VQ_KC * j->M * VQ_AS : j->x + k0,
                .b = vq_block(w, k0, p),
                .ldb = VQ_NR,
                .ahead = j->M < j->g->ahead_rows ? 0 : AHEAD_FLOATS,
                .c = c + (p - p0) * VQ_NR,
                .fresh = k0 == 0 && !j->accumulate,
                .q = j->q ? j->q + k0 : NULL,
                .ldq = j->ldq,
                .qs = j->q ? j->qs + k0 / VQ_INT8_GROUP : NULL,
                .lds = j->lds,
            };
            block_rows(j->g, w->format, &t);
        }
    }
    copy_rows(y, j->ldy, c, VQ_CS, j->M, cols);
}

/* The same with a back-end that wants plain matrices: the blocks of a slice are decoded side by
 * side. */
static void mul_plain(const struct product *j, size_t r0, size_t r1, size_t p0, size_t p1)
{
    const struct vq_weight *w = j->w;
    _Alignas(64) float b[VQ_KC * PLAIN_COLS];
    size_t cols = min_size(w->N - p0 * VQ_NR, (p1 - p0) * VQ_NR);
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        for (size_t p = p0; p < p1; p++)
            vq_block_unpack(w->format, kc, vq_block(w, k0, p), b + (p - p0) * VQ_NR, PLAIN_COLS,
                            VQ_NR);
        j->g->product(r1 - r0, cols, kc, j->x + r0 * j->ldx + k0, j->ldx, b, PLAIN_COLS,
                      j->y + r0 * j->ldy + p0 * VQ_NR, j->ldy, k0 > 0 || j->accumulate);
    }
}

static void mul_task(const struct product *j, size_t task)
{
    size_t rb = task % j->row_blocks, part = task / j->row_blocks;
    size_t p0 = j->w->panels * part / j->parts, p1 = j->w->panels * (part + 1) / j->parts;
    size_t r0 = j->M * rb / j->row_blocks, r1 = j->M * (rb + 1) / j->row_blocks;
    if (j->plain)
        mul_plain(j, r0, r1, p0, p1);
    else if (j->few)
        mul_few(j, p0, p1);
    else
        mul_block(j, r0, r1, p0, p1);
}

struct run {
    struct product *job;
    size_t jobs, first[MOST_JOBS + 1]; /* tasks before each job */
};

static void run_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct run *r = ud;
    size_t i = 0;
    while (task >= r->first[i + 1])
        i++;
    mul_task(&r->job[i], task - r->first[i]);
}

/* Parts of the panels: few make long streams and repay the copy of x, many keep all threads busy to
 * the end. Our own kernels may look at the number of threads, since their results do not; OpenBLAS
 * rounds as its tasks are cut. */
static size_t parts_of(const struct product *j, const struct vq_pool *pool)
{
    size_t most = (j->plain ? PLAIN_COLS : VQ_COLS) / VQ_NR;
    size_t tasks = (size_t)vq_pool_threads(pool) * (j->M <= FEW_ROWS ? 4 : 12);
    size_t group = j->w->panels * j->row_blocks / (j->plain ? PLAIN_TASKS : tasks);
    return ceil_div(j->w->panels, group < 1 ? 1 : min_size(group, most));
}

static struct product product_of(const struct vq_gemm *g, const struct vq_pool *pool,
                                 const struct vq_product *p)
{
    const struct vq_weight *w = p->w;
    struct product j = {.g = g->product ? g->few : g,
                        .w = w,
                        .M = p->rows,
                        .x = p->x,
                        .ldx = p->ldx,
                        .y = p->y,
                        .ldy = p->ldy,
                        .accumulate = p->accumulate,
                        .row_blocks = ceil_div(p->rows, VQ_MC)};
    if (g->product && p->rows > THIN_ROWS) {
        j.g = g;
        j.plain = true;
        j.row_blocks = ceil_div(p->rows, PLAIN_ROWS);
    } else if (p->rows <= FEW_ROWS && w->format != VQ_WEIGHT_INT8) {
        j.few = ceil_div(w->K, VQ_KC) * p->rows * VQ_AS <= FEW_FLOATS || p->rows == 1;
    }
    j.parts = parts_of(&j, pool);
    return j;
}

static void run_products(struct product *job, size_t jobs, struct vq_pool *pool)
{
    struct run r = {.job = job, .jobs = jobs};
    bool small = true;
    for (size_t i = 0; i < jobs; i++) {
        r.first[i + 1] = r.first[i] + job[i].row_blocks * job[i].parts;
        small = small && job[i].M * job[i].w->N < SERIAL_MACS / (job[i].w->K + 1);
    }
    vq_pool_run(small ? NULL : pool, r.first[jobs], run_task, &r);
}

/* Few rows with int8 weights: x is rounded once, not by each task. */
static void mul_few_int8(struct product *j, struct vq_pool *pool)
{
    _Alignas(64) int16_t q[FEW_FLOATS];
    float qs[FEW_FLOATS / VQ_INT8_GROUP];
    j->ldq = (j->w->K + 31) / 32 * 32;
    j->lds = ceil_div(j->w->K, VQ_INT8_GROUP);
    j->q = q;
    j->qs = qs;
    j->few = true;
    quantise_rows(j->g, q, j->ldq, qs, j->lds, j->x, j->ldx, j->M, j->w->K);
    run_products(j, 1, pool);
}

void vq_weight_mul_all(const struct vq_gemm *g, struct vq_pool *pool,
                       const struct vq_product *products, size_t n)
{
    struct product job[MOST_JOBS];
    size_t jobs = 0;
    for (size_t i = 0; i < n; i++) {
        const struct vq_product *p = &products[i];
        if (!p->rows || !p->w->N)
            continue;
        if (!p->w->K) {
            if (!p->accumulate)
                zero_rows(p->y, p->ldy, p->rows, p->w->N);
            continue;
        }
        job[jobs] = product_of(g, pool, p);
        size_t x = ((p->w->K + 63) / 64 * 64) * p->rows;
        if (p->w->format == VQ_WEIGHT_INT8 && !job[jobs].plain && p->rows <= FEW_ROWS &&
            x <= FEW_FLOATS)
            mul_few_int8(&job[jobs], pool);
        else
            jobs++;
        if (jobs == MOST_JOBS) {
            run_products(job, jobs, pool);
            jobs = 0;
        }
    }
    run_products(job, jobs, pool);
}

void vq_weight_mul(const struct vq_gemm *g, struct vq_pool *pool, const struct vq_weight *w,
                   size_t M, const float *x, size_t ldx, float *y, size_t ldy, bool accumulate)
{
    const struct vq_product p = {w, M, x, ldx, y, ldy, accumulate};
    vq_weight_mul_all(g, pool, &p, 1);
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
        load_sums(c, y, j->ldc, rows, cols);
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
