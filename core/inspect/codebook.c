/*
 * Pairwise work goes through one walk over the lower triangle of the Gram matrix, a panel of
 * columns at a time; what is made of each row of dot products is a visitor's business. Dot products
 * are summed in double, in the order of k.
 */
#include "core/inspect/codebook.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Columns of a panel. A constant, so that the compiler turns the inner loop into vectors. */
#define PANEL 16
/* Multiply-adds between two polls of cancel: a few milliseconds. */
#define POLL_WORK 8000000
/* Below this share of |a|^2 + |b|^2 the difference |a|^2 + |b|^2 - 2 ab has lost too many digits.
 */
#define CANCELLATION 1e-4

static void stat_start(struct vq_stat *s)
{
    *s = (struct vq_stat){INFINITY, 0.0, -INFINITY};
}

static void stat_add(struct vq_stat *s, double x)
{
    s->min = x < s->min ? x : s->min;
    s->max = x > s->max ? x : s->max;
    s->mean += x;
}

static void stat_end(struct vq_stat *s, double n)
{
    if (n > 0)
        s->mean /= n;
    else
        *s = (struct vq_stat){NAN, NAN, NAN};
}

double vq_counts_entropy(const double *count, size_t S, double clip)
{
    double total = 0.0, weighted = 0.0;
    for (size_t s = 0; s < S; s++) {
        double u = count[s] > clip ? count[s] : clip;
        total += u;
        weighted += u > 0.0 ? u * log(u) : 0.0;
    }
    if (total <= 0.0)
        return 0.0;
    double entropy = log(total) - weighted / total;
    return entropy > 0.0 ? entropy : 0.0; /* one code alone may round below 0 */
}

void vq_counts_summary(struct vq_counts *out, const double *count, size_t S, double clip)
{
    *out = (struct vq_counts){.codes = S};
    stat_start(&out->count);
    stat_start(&out->usage);
    for (size_t s = 0; s < S; s++) {
        double usage = count[s] > clip ? count[s] : clip;
        stat_add(&out->count, count[s]);
        stat_add(&out->usage, usage);
        out->total += count[s];
        out->dead += count[s] <= clip;
        out->out_of_bounds += usage < VQ_COUNT_LOW || usage > VQ_COUNT_HIGH;
    }
    stat_end(&out->count, (double)S);
    stat_end(&out->usage, (double)S);
    out->used = S - out->dead;
    out->entropy = vq_counts_entropy(count, S, clip);
    out->perplexity = exp(out->entropy);
}

static double dot(const float *a, const float *b, size_t K)
{
    double sum = 0.0;
    for (size_t k = 0; k < K; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

double vq_code_distance(const float *a, const float *b, size_t K)
{
    double sum = 0.0;
    for (size_t k = 0; k < K; k++) {
        double d = (double)a[k] - b[k];
        sum += d * d;
    }
    return sqrt(sum);
}

void vq_codebook_norms(double *out, const float *C, size_t S, size_t K)
{
    for (size_t s = 0; s < S; s++)
        out[s] = sqrt(dot(C + s * K, C + s * K, K));
}

/* A codebook under study, with what every pair needs. */
struct book {
    const float *C;
    size_t S, K;
    double *norm;  /* [S] */
    double *panel; /* [K, PANEL] */
};

static enum vq_status book_init(struct book *b, const float *C, size_t S, size_t K,
                                struct vq_err *err)
{
    size_t cells;
    *b = (struct book){.C = C, .S = S, .K = K};
    b->norm = vq_alloc(S, sizeof(*b->norm));
    b->panel = vq_mul_ok(K, PANEL, &cells) ? vq_alloc(cells, sizeof(*b->panel)) : NULL;
    if (!b->norm || !b->panel) {
        free(b->norm);
        free(b->panel);
        return vq_nomem(err, "codebook norms", S + K * PANEL, sizeof(double));
    }
    vq_codebook_norms(b->norm, C, S, K);
    return VQ_OK;
}

static void book_release(struct book *b)
{
    free(b->norm);
    free(b->panel);
}

static double pair_sim(const struct book *b, size_t i, size_t j, double ij)
{
    double scale = b->norm[i] * b->norm[j];
    return scale > 0.0 ? ij / scale : 0.0;
}

static double pair_dist(const struct book *b, size_t i, size_t j, double ij)
{
    double squares = b->norm[i] * b->norm[i] + b->norm[j] * b->norm[j];
    double d2 = squares - 2.0 * ij;
    if (d2 < CANCELLATION * squares)
        return vq_code_distance(b->C + i * b->K, b->C + j * b->K, b->K);
    return sqrt(d2);
}

/* Dot products of code i with codes j0..j0+n-1, all below i. */
typedef void (*visit_fn)(void *ud, const struct book *b, size_t i, size_t j0, size_t n,
                         const double *ij);

static void load_panel(struct book *b, size_t j0, size_t width)
{
    for (size_t k = 0; k < b->K; k++)
        for (size_t j = 0; j < PANEL; j++)
            b->panel[k * PANEL + j] = j < width ? b->C[(j0 + j) * b->K + k] : 0.0;
}

static void panel_dots(double *restrict out, const float *restrict a, const double *restrict panel,
                       size_t K)
{
    double sum[PANEL] = {0};
    for (size_t k = 0; k < K; k++) {
        double x = a[k];
        for (size_t j = 0; j < PANEL; j++)
            sum[j] += x * panel[k * PANEL + j];
    }
    memcpy(out, sum, sizeof(sum));
}

/* Every pair i > j once. */
static enum vq_status walk_pairs(struct book *b, visit_fn visit, void *ud,
                                 const struct vq_cancel *cancel, struct vq_err *err)
{
    size_t rows_per_poll = POLL_WORK / (PANEL * (b->K + 1)) + 1, rows = 0;
    double ij[PANEL];
    for (size_t j0 = 0; j0 < b->S; j0 += PANEL) {
        size_t width = b->S - j0 < PANEL ? b->S - j0 : PANEL;
        load_panel(b, j0, width);
        for (size_t i = j0 + 1; i < b->S; i++) {
            if (rows++ % rows_per_poll == 0 && vq_cancelled(cancel))
                return vq_fail(err, VQ_ECANCELLED, "cancelled while comparing codes");
            panel_dots(ij, b->C + i * b->K, b->panel, b->K);
            visit(ud, b, i, j0, i - j0 < width ? i - j0 : width, ij);
        }
    }
    return VQ_OK;
}

static void visit_geometry(void *ud, const struct book *b, size_t i, size_t j0, size_t n,
                           const double *ij)
{
    struct vq_geometry *g = ud;
    for (size_t j = 0; j < n; j++) {
        stat_add(&g->sim, pair_sim(b, i, j0 + j, ij[j]));
        stat_add(&g->dist, pair_dist(b, i, j0 + j, ij[j]));
    }
}

enum vq_status vq_codebook_geometry(struct vq_geometry *out, const float *C, size_t S, size_t K,
                                    const struct vq_cancel *cancel, struct vq_err *err)
{
    struct vq_geometry g;
    struct book b;
    enum vq_status rc = book_init(&b, C, S, K, err);
    if (rc)
        return rc;
    stat_start(&g.norm);
    stat_start(&g.sim);
    stat_start(&g.dist);
    for (size_t s = 0; s < S; s++)
        stat_add(&g.norm, b.norm[s]);
    rc = walk_pairs(&b, visit_geometry, &g, cancel, err);
    double pairs = 0.5 * (double)S * ((double)S - 1.0);
    stat_end(&g.norm, (double)S);
    stat_end(&g.sim, pairs);
    stat_end(&g.dist, pairs);
    if (!rc)
        *out = g;
    book_release(&b);
    return rc;
}

/* Whether p comes before q in a list. */
static bool pair_before(const struct vq_code_pair *p, const struct vq_code_pair *q,
                        enum vq_metric_kind by)
{
    if (by == VQ_BY_DISTANCE && p->dist != q->dist)
        return p->dist < q->dist;
    if (by == VQ_BY_COSINE && p->sim != q->sim)
        return p->sim > q->sim;
    return p->a != q->a ? p->a < q->a : p->b < q->b;
}

/* The best `cap` pairs seen, as a heap whose root is the worst of them. */
struct best {
    struct vq_code_pair *heap;
    size_t n, cap;
    enum vq_metric_kind by;
};

static void heap_sink(const struct best *best, size_t n, size_t at)
{
    struct vq_code_pair p = best->heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && pair_before(&best->heap[child], &best->heap[child + 1], best->by))
            child++;
        if (!pair_before(&p, &best->heap[child], best->by))
            break;
        best->heap[at] = best->heap[child];
    }
    best->heap[at] = p;
}

static void best_add(struct best *best, const struct vq_code_pair *p)
{
    if (best->n == best->cap) {
        if (best->cap && pair_before(p, &best->heap[0], best->by)) {
            best->heap[0] = *p;
            heap_sink(best, best->n, 0);
        }
        return;
    }
    size_t at = best->n++;
    for (size_t up; at && pair_before(&best->heap[up = (at - 1) / 2], p, best->by); at = up)
        best->heap[at] = best->heap[up];
    best->heap[at] = *p;
}

/* Heap to list, best first. */
static void best_sort(struct best *best)
{
    for (size_t n = best->n; n > 1; n--) {
        struct vq_code_pair worst = best->heap[0];
        best->heap[0] = best->heap[n - 1];
        heap_sink(best, n - 1, 0);
        best->heap[n - 1] = worst;
    }
}

static void visit_best(void *ud, const struct book *b, size_t i, size_t j0, size_t n,
                       const double *ij)
{
    for (size_t j = 0; j < n; j++) {
        struct vq_code_pair p = {j0 + j, i, pair_dist(b, i, j0 + j, ij[j]),
                                 pair_sim(b, i, j0 + j, ij[j])};
        best_add(ud, &p);
    }
}

enum vq_status vq_codebook_pairs(struct vq_code_pair *pairs, size_t *n, enum vq_metric_kind by,
                                 const float *C, size_t S, size_t K, const struct vq_cancel *cancel,
                                 struct vq_err *err)
{
    struct best best = {pairs, 0, *n, by};
    struct book b;
    *n = 0;
    enum vq_status rc = book_init(&b, C, S, K, err);
    if (rc)
        return rc;
    rc = walk_pairs(&b, visit_best, &best, cancel, err);
    best_sort(&best);
    *n = rc ? 0 : best.n;
    book_release(&b);
    return rc;
}

enum vq_status vq_codebook_neighbours(struct vq_code_pair *pairs, size_t *n, size_t code,
                                      enum vq_metric_kind by, const float *C, size_t S, size_t K,
                                      struct vq_err *err)
{
    struct best best = {pairs, 0, *n, by};
    *n = 0;
    if (code >= S)
        return vq_fail(err, VQ_EINVAL, "code %zu is not below %zu, the number of codes", code, S);
    const float *c = C + code * K;
    double norm = sqrt(dot(c, c, K));
    for (size_t s = 0; s < S; s++) {
        const float *other = C + s * K;
        double scale = norm * sqrt(dot(other, other, K));
        struct vq_code_pair p = {code, s, vq_code_distance(c, other, K),
                                 scale > 0.0 ? dot(c, other, K) / scale : 0.0};
        if (s != code)
            best_add(&best, &p);
    }
    best_sort(&best);
    *n = best.n;
    return VQ_OK;
}

struct matrix {
    float *out;
    enum vq_metric_kind by;
};

static void visit_matrix(void *ud, const struct book *b, size_t i, size_t j0, size_t n,
                         const double *ij)
{
    const struct matrix *m = ud;
    for (size_t j = j0; j < j0 + n; j++) {
        double x =
            m->by == VQ_BY_COSINE ? pair_sim(b, i, j, ij[j - j0]) : pair_dist(b, i, j, ij[j - j0]);
        m->out[i * b->S + j] = m->out[j * b->S + i] = (float)x;
    }
}

enum vq_status vq_codebook_matrix(float *out, enum vq_metric_kind by, const float *C, size_t S,
                                  size_t K, const struct vq_cancel *cancel, struct vq_err *err)
{
    struct matrix m = {out, by};
    struct book b;
    enum vq_status rc = book_init(&b, C, S, K, err);
    if (rc)
        return rc;
    for (size_t s = 0; s < S; s++)
        out[s * S + s] = by == VQ_BY_COSINE && b.norm[s] > 0.0 ? 1.0f : 0.0f;
    rc = walk_pairs(&b, visit_matrix, &m, cancel, err);
    book_release(&b);
    return rc;
}
