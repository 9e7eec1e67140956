/*
 * bench_kernels: the limits of this machine and the fraction of them that the kernels reach, all in
 * one run, since on a shared machine only such ratios mean anything. Not part of `make check`.
 *
 *   bench_kernels [BACK-END [THREADS]]     default: the default back-end, 1 and 2 threads
 *
 * Limits: bytes per second read from memory by vector loads, and fused multiply-adds on registers.
 * Each figure is the best of several short tries, and the limits are measured again beside each
 * group of figures.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/pool.h"
#include "core/kernels/gemm.h"
#include "core/kernels/vec.h"

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f")))
#define HALF __attribute__((target("avx2,fma")))
#else
#define WIDE
#define HALF
#endif

#define BUFFER    ((size_t)192 << 20) /* well beyond the caches */
#define PIECES    192
#define FMA_STEPS 20000
#define FMA_TASKS 8
#define TRIES     15

typedef float v16 __attribute__((vector_size(64)));
typedef float v8 __attribute__((vector_size(32)));

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best time of a call, over tries of some 10 ms each. */
static double best_time(void (*fn)(void *), void *ud)
{
    double best = 1e30;
    fn(ud);
    for (int i = 0; i < TRIES; i++) {
        double t0 = now(), t = 0;
        int n = 0;
        for (; t < 0.01; n++) {
            fn(ud);
            t = now() - t0;
        }
        best = t / n < best ? t / n : best;
    }
    return best;
}

struct limit {
    struct vq_pool *pool;
    const float *buffer;
    float sink[PIECES];
};

/* Wide vectors where the compiler's target has them, pieces of them elsewhere: loads are the limit
 * either way. */
static float read_piece(const float *p, size_t n)
{
    v16 a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i < n; i += 64) {
        const v16 *v = (const v16 *)(const void *)(p + i);
        a += v[0];
        b += v[1];
        c += v[2];
        d += v[3];
    }
    a += b + c + d;
    return a[0] + a[1];
}

static void read_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct limit *l = ud;
    size_t n = BUFFER / sizeof(float) / PIECES;
    l->sink[task] = read_piece(l->buffer + task * n, n);
}

static void read_all(void *ud)
{
    struct limit *l = ud;
    vq_pool_run(l->pool, PIECES, read_task, l);
}

#if defined(__x86_64__)
/* Eight chains cover the latency of two units; the operands are zero, so nothing grows. */
#define EIGHT_FMA                                                                                  \
    "vfmadd213ps %8, %8, %0\n\tvfmadd213ps %8, %8, %1\n\tvfmadd213ps %8, %8, %2\n\t"               \
    "vfmadd213ps %8, %8, %3\n\tvfmadd213ps %8, %8, %4\n\tvfmadd213ps %8, %8, %5\n\t"               \
    "vfmadd213ps %8, %8, %6\n\tvfmadd213ps %8, %8, %7"
#define FMA_LOOP(type)                                                                             \
    type a = {0}, b = a, c = a, d = a, e = a, f = a, g = a, h = a, x = a;                          \
    for (size_t i = 0; i < FMA_STEPS; i++)                                                         \
        __asm__ volatile(EIGHT_FMA                                                                 \
                         : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h)  \
                         : "v"(x));                                                                \
    a += b + c + d + e + f + g + h;                                                                \
    return a[0]

static WIDE float fma_wide(void)
{
    FMA_LOOP(v16);
}

static HALF float fma_half(void)
{
    FMA_LOOP(v8);
}

/* Floats in a vector of the back-end under test, 0 where the limit is not measured. */
static size_t fma_width(void)
{
    return vq_gemm_find("avx512") ? 16 : vq_gemm_find("avx2") ? 8 : 0;
}
#else
static size_t fma_width(void)
{
    return 0;
}
#endif

static void fma_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct limit *l = ud;
#if defined(__x86_64__)
    l->sink[task] = fma_width() == 16 ? fma_wide() : fma_half();
#else
    l->sink[task] = 0.0f;
#endif
}

static void fma_all(void *ud)
{
    struct limit *l = ud;
    vq_pool_run(l->pool, FMA_TASKS, fma_task, l);
}

/* What is under test, and the limits last measured with the same pool. */
struct bench {
    const struct vq_gemm *g, *blas;
    const struct vq_vec *v;
    struct vq_pool *pool;
    struct limit limit;
    double read_rate, fma_rate;
};

static void measure_limits(struct bench *b)
{
    b->limit.pool = b->pool;
    b->read_rate = (double)BUFFER / best_time(read_all, &b->limit);
    double flops = (double)fma_width() * 2 * 8 * FMA_STEPS * FMA_TASKS;
    b->fma_rate = flops ? flops / best_time(fma_all, &b->limit) : 0.0;
    printf("limits, %d threads: read %.1f GB/s, fma %.1f GFLOP/s\n", vq_pool_threads(b->pool),
           b->read_rate * 1e-9, b->fma_rate * 1e-9);
}

static float *random_floats(size_t n)
{
    float *x = vq_alloc_f32(n);
    if (!x) {
        fprintf(stderr, "bench_kernels: out of memory for %zu floats\n", n);
        exit(1);
    }
    uint32_t s = 1;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)s * 0x1p-31f;
    }
    return x;
}

#define MAX_WEIGHTS 32

/* Products with several matrices in turn, so that none stays in a cache. */
struct products {
    struct bench *b;
    const struct vq_gemm *g;
    struct vq_arena *arena;
    struct vq_weight *w[MAX_WEIGHTS];
    size_t n, M, K, N;
    float *x, *y;
    const float *plain; /* [K,N], for products that want it */
};

static void run_weights(void *ud)
{
    struct products *p = ud;
    for (size_t i = 0; i < p->n; i++)
        vq_weight_mul(p->g, p->b->pool, p->w[i], p->M, p->x, p->K, p->y, p->N, false);
}

#define SPLIT 4 /* column parts of a plain product over the pool */

static void nn_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct products *p = ud;
    size_t n = p->N / SPLIT;
    vq_gemm_nn(p->g, p->M, n, p->K, p->x, p->K, p->plain + task * n, p->N, p->y + task * n, p->N,
               false);
}

static void run_nn(void *ud)
{
    struct products *p = ud;
    vq_pool_run(p->b->pool, SPLIT, nn_task, p);
}

static void make_weights(struct products *p, enum vq_weight_format f, size_t total)
{
    size_t size = 0;
    p->arena = vq_arena_new((size_t)32 << 20);
    for (p->n = 0; p->n < MAX_WEIGHTS && size < total; p->n++) {
        struct vq_err err;
        if (vq_weight_new(&p->w[p->n], f, p->K, p->N, p->plain, p->N, p->b->pool, p->arena, &err)) {
            fprintf(stderr, "bench_kernels: %s\n", err.msg);
            exit(1);
        }
        size += vq_weight_bytes(p->w[p->n]);
    }
}

static void free_weights(struct products *p)
{
    for (size_t i = 0; i < p->n; i++)
        vq_weight_free(p->w[i]);
    vq_arena_free(p->arena);
    p->n = 0;
}

/* GFLOP/s, and the percentage of the limit. */
static void print_flops(const struct products *p, double seconds)
{
    double rate = 2.0 * (double)p->M * (double)p->K * (double)p->N / seconds;
    printf(" %7.1f", rate * 1e-9);
    if (p->b->fma_rate > 0)
        printf(" (%3.0f)", 100 * rate / p->b->fma_rate);
}

/* One row: what counts is how fast the weights come from memory. */
static void bench_one_row(struct bench *b)
{
    struct products p = {.b = b, .g = b->g, .M = 1, .K = 2048, .N = 4096};
    p.plain = random_floats(p.K * p.N);
    p.x = random_floats(p.K);
    p.y = random_floats(p.N);
    printf("one row, weights [%zu,%zu], from memory\n", p.K, p.N);
    for (int f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
        make_weights(&p, (enum vq_weight_format)f, BUFFER);
        double bytes = (double)vq_weight_bytes(p.w[0]) * (double)p.n;
        double rate = bytes / best_time(run_weights, &p);
        b->read_rate = (double)BUFFER / best_time(read_all, &b->limit);
        printf("  %-5s %5.1f GB/s, read %5.1f GB/s, %3.0f %%\n",
               vq_weight_format_name((enum vq_weight_format)f), rate * 1e-9, b->read_rate * 1e-9,
               100 * rate / b->read_rate);
        free_weights(&p);
    }
    free((float *)p.plain);
    free(p.x);
    free(p.y);
}

static void bench_height(struct products *p, size_t M)
{
    p->M = M;
    p->g = p->b->g;
    printf("%5zu", M);
    for (int f = VQ_WEIGHT_F32; f <= VQ_WEIGHT_INT8; f++) {
        make_weights(p, (enum vq_weight_format)f, 1);
        print_flops(p, best_time(run_weights, p));
        free_weights(p);
    }
    print_flops(p, best_time(run_nn, p));
    p->g = p->b->blas;
    if (p->g)
        print_flops(p, best_time(run_nn, p));
    printf("\n");
}

static void bench_rows(struct bench *b, size_t K, size_t N)
{
    static const size_t rows[] = {1, 2, 4, 8, 16, 64, 512};
    struct products p = {.b = b, .K = K, .N = N};
    p.plain = random_floats(K * N);
    p.x = random_floats(512 * K);
    p.y = random_floats(512 * N);
    printf("GFLOP/s (%% of fma), [%zu,%zu], in cache where it fits\n", K, N);
    printf(" rows %13s %13s %13s %13s %13s\n", "f32", "bf16", "int8", "plain", "OpenBLAS");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        bench_height(&p, rows[i]);
    free((float *)p.plain);
    free(p.x);
    free(p.y);
}

#define ROW 4096

struct rows {
    const struct vq_vec *v;
    float *x, *y, *g;
    int32_t *index;
    float sink;
};

static void run_rms(void *ud)
{
    struct rows *r = ud;
    r->v->rms_norm(r->y, r->x, ROW, r->g, r->g, 1.0f);
}

static void run_silu(void *ud)
{
    struct rows *r = ud;
    r->v->silu(r->y, r->x, ROW);
}

static void run_axpy(void *ud)
{
    struct rows *r = ud;
    r->v->axpy(r->y, 1e-9f, r->x, ROW);
}

static void run_dot(void *ud)
{
    struct rows *r = ud;
    r->sink += r->v->dot(r->g, r->x, ROW);
}

static void run_max(void *ud)
{
    struct rows *r = ud;
    r->sink += r->v->max(r->x, ROW);
}

static void run_exp_sum(void *ud)
{
    struct rows *r = ud;
    r->sink += r->v->exp_sum(r->y, r->x, 1.0f, ROW);
}

static void run_nearest(void *ud)
{
    struct rows *r = ud;
    r->sink += (float)r->v->nearest(r->x, r->g, ROW);
}

static void run_gather(void *ud)
{
    struct rows *r = ud;
    r->v->gather(r->y, r->x, r->index, ROW);
}

static void run_log_softmax(void *ud)
{
    struct rows *r = ud;
    r->v->log_softmax(r->y, ROW);
}

static void bench_vec(const struct vq_vec *v)
{
    static const struct {
        const char *name;
        void (*fn)(void *);
    } all[] = {
        {"rms_norm", run_rms},    {"silu", run_silu},     {"axpy", run_axpy},
        {"dot", run_dot},         {"max", run_max},       {"exp_sum", run_exp_sum},
        {"nearest", run_nearest}, {"gather", run_gather}, {"log_softmax", run_log_softmax},
    };
    struct rows r = {.v = v, .x = random_floats(ROW), .y = random_floats(ROW)};
    r.g = random_floats(ROW);
    r.index = vq_calloc(ROW, sizeof(*r.index));
    for (size_t i = 0; r.index && i < ROW; i++)
        r.index[i] = (int32_t)(i * 1237 % ROW);
    printf("rows of %d in cache, one thread, set %s\n", ROW, v->name);
    for (size_t i = 0; r.index && i < sizeof(all) / sizeof(all[0]); i++)
        printf("  %-12s %6.2f elements/ns\n", all[i].name, ROW / best_time(all[i].fn, &r) * 1e-9);
    free(r.x);
    free(r.y);
    free(r.g);
    free(r.index);
}

static int bench_threads(struct bench *b, int threads)
{
    struct vq_err err;
    if (vq_pool_new(&b->pool, threads, &err)) {
        fprintf(stderr, "bench_kernels: %s\n", err.msg);
        return 1;
    }
    measure_limits(b);
    bench_one_row(b);
    bench_rows(b, 768, 3072);
    bench_rows(b, 2048, 4096);
    vq_pool_free(b->pool);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.g = argc > 1 ? vq_gemm_find(argv[1]) : vq_gemm_default()};
    long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    if (!b.g || argc > 3 || threads < 0 || threads > 256) {
        fprintf(stderr, "usage: bench_kernels [BACK-END [THREADS]]\n");
        return 2;
    }
    b.blas = vq_gemm_find("openblas");
    const char *core = vq_gemm_blas_core();
    printf("back-end %s, OpenBLAS core %s\n", vq_gemm_name(b.g), core ? core : "(absent)");
    void *buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) {
        fprintf(stderr, "bench_kernels: out of memory for %zu bytes\n", BUFFER);
        return 1;
    }
    madvise(buffer, BUFFER, MADV_HUGEPAGE); /* as weights have them */
    memset(buffer, 0, BUFFER);
    b.limit.buffer = buffer;
    int rc = 0;
    if (threads)
        rc = bench_threads(&b, (int)threads);
    for (int t = 1; t <= 2 && !threads && !rc; t++)
        rc = bench_threads(&b, t);
    bench_vec(vq_vec_find("portable"));
    bench_vec(vq_vec_default());
    munmap(buffer, BUFFER);
    return rc;
}
