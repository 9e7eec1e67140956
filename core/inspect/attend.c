/*
 * "mh" below is module * H + head. Codes of a block are remembered when its module callback comes,
 * before its queries are shown: a query's older positions all lie in earlier blocks or in this one.
 */
#include "core/inspect/attend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct vq_attend {
    struct vq_attend_options o;
    size_t modules, H, S;
    bool *wanted; /* [modules] */
    struct vq_observer observer;

    int32_t *codes; /* [mh, cap]; with `older` */
    size_t cap;
    int64_t *known;       /* [modules] positions whose codes are there */
    int64_t *summed;      /* [mh] positions whose codes are in position_sum */
    double *position_sum; /* [mh, S] */
    double *mean;         /* [S] for the query being shown */
    enum vq_status failed;
};

/* Room for n positions; what was there stays. */
static bool grow(struct vq_attend *a, size_t n)
{
    size_t cap = a->cap ? a->cap : 1024, cells, rows = a->modules * a->H;
    while (cap < n)
        cap *= 2;
    if (cap == a->cap)
        return true;
    int32_t *codes = vq_mul_ok(rows, cap, &cells) ? vq_alloc(cells, sizeof(*codes)) : NULL;
    if (!codes)
        return false;
    for (size_t i = 0; i < rows && a->cap; i++)
        memcpy(codes + i * cap, a->codes + i * a->cap, a->cap * sizeof(*codes));
    free(a->codes);
    a->codes = codes;
    a->cap = cap;
    return true;
}

static void remember(struct vq_attend *a, const struct vq_block *b, const struct vq_module_view *v)
{
    size_t n = (size_t)b->n, at = (size_t)b->position;
    if (at > 0 && a->known[v->module] != b->position)
        a->failed = VQ_EINVAL;
    else if (!grow(a, at + n))
        a->failed = VQ_ENOMEM;
    if (a->failed != VQ_OK)
        return;
    a->known[v->module] = b->position + b->n;
    for (size_t h = 0; h < a->H; h++) {
        size_t mh = (size_t)v->module * a->H + h;
        if (at == 0) {
            a->summed[mh] = 0;
            memset(a->position_sum + mh * a->S, 0, a->S * sizeof(*a->position_sum));
        }
        memcpy(a->codes + mh * a->cap + at, v->codes + ((size_t)a->o.row * a->H + h) * n,
               n * sizeof(*v->codes));
    }
}

/* Means of the positions in each code of the aggregate, which holds those before `first`. */
static void mean_positions(struct vq_attend *a, size_t mh, int64_t first, const int64_t *count)
{
    const int32_t *codes = a->codes + mh * a->cap;
    double *sum = a->position_sum + mh * a->S;
    for (int64_t p = a->summed[mh]; p < first; p++)
        sum[codes[p]] += (double)p;
    a->summed[mh] = first;
    for (size_t s = 0; s < a->S; s++)
        a->mean[s] = count[s] ? sum[s] / (double)count[s] : 0.0;
}

static void show_head(struct vq_attend *a, const struct vq_block *b, const struct vq_module_view *v,
                      size_t h)
{
    size_t bh = (size_t)a->o.row * a->H + h, mh = (size_t)v->module * a->H + h, n = (size_t)b->n;
    int64_t from = a->o.from > b->position ? a->o.from - b->position : 0;
    struct vq_attend_query q = {.module = v->module,
                                .head = (int)h,
                                .first = v->first_key,
                                .key_code = v->key_codes + bh * v->key_code_stride,
                                .S = a->S,
                                .count = v->count + bh * a->S};
    if (a->o.older) {
        mean_positions(a, mh, v->first_key, q.count);
        q.mean_position = a->mean;
        q.older = a->codes + mh * a->cap;
    }
    for (size_t t = (size_t)from; t < n && b->position + (int64_t)t <= a->o.to; t++) {
        q.query = b->position + (int64_t)t;
        q.key = v->weights + (bh * n + t) * v->weight_stride;
        q.code = v->aggregate ? q.key + v->n_keys : NULL;
        a->o.query(a->o.ud, &q);
    }
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct vq_attend *a = ud;
    if (a->failed != VQ_OK || a->o.row >= b->batch || !a->wanted[v->module])
        return;
    if (a->o.older)
        remember(a, b, v);
    bool any = b->position <= a->o.to && b->position + b->n > a->o.from;
    for (size_t h = 0; any && a->failed == VQ_OK && h < a->H; h++)
        show_head(a, b, v, h);
}

enum vq_status vq_attend_new(struct vq_attend **out, const struct vq_config *c,
                             const struct vq_attend_options *o, struct vq_err *err)
{
    size_t cells;
    *out = NULL;
    struct vq_attend *a = vq_calloc(1, sizeof(*a));
    if (!a)
        return vq_nomem(err, "attention of queries", 1, sizeof(*a));
    a->o = *o;
    a->modules = vq_config_modules(c);
    a->H = (size_t)c->n_head;
    a->S = (size_t)c->n_code;
    a->observer = (struct vq_observer){.ud = a, .module = on_module};
    a->wanted = vq_calloc(a->modules, sizeof(*a->wanted));
    a->mean = vq_calloc(a->S, sizeof(*a->mean));
    a->known = vq_calloc(a->modules, sizeof(*a->known));
    a->summed = vq_calloc(a->modules * a->H, sizeof(*a->summed));
    if (o->older && vq_mul_ok(a->modules * a->H, a->S, &cells))
        a->position_sum = vq_calloc(cells, sizeof(*a->position_sum));
    if (!a->wanted || !a->mean || !a->known || !a->summed || (o->older && !a->position_sum)) {
        vq_attend_free(a);
        return vq_nomem(err, "attention of queries", c->n_code > 0 ? (size_t)c->n_code : 1,
                        sizeof(double));
    }
    for (size_t i = 0; i < a->modules; i++)
        a->wanted[i] = !o->module || o->module[i];
    *out = a;
    return VQ_OK;
}

void vq_attend_free(struct vq_attend *a)
{
    if (!a)
        return;
    free(a->wanted);
    free(a->mean);
    free(a->known);
    free(a->summed);
    free(a->position_sum);
    free(a->codes);
    free(a);
}

const struct vq_observer *vq_attend_observer(struct vq_attend *a)
{
    return &a->observer;
}

enum vq_status vq_attend_check(const struct vq_attend *a, struct vq_err *err)
{
    if (a->failed == VQ_ENOMEM)
        return vq_nomem(err, "codes of all positions", a->modules * a->H, 2 * a->cap * 4);
    if (a->failed != VQ_OK)
        return vq_fail(err, a->failed, "the codes of older positions are not known");
    return VQ_OK;
}

const int32_t *vq_attend_codes(const struct vq_attend *a, int module, int head, int64_t *n)
{
    *n = a->codes ? a->known[module] : 0;
    return *n ? a->codes + ((size_t)module * a->H + (size_t)head) * a->cap : NULL;
}

void vq_attend_spread(const struct vq_attend_query *q, float *out)
{
    memcpy(out + q->first, q->key, (size_t)(q->query - q->first + 1) * sizeof(*out));
    for (int64_t p = 0; p < q->first; p++) {
        size_t s = q->code ? (size_t)q->older[p] : 0;
        out[p] = q->code ? (float)((double)q->code[s] / (double)q->count[s]) : 0.0f;
    }
}

/* -w log(w / n): n positions that share the weight w. */
static double entropy_of(double w, double n)
{
    return w > 0.0 ? -w * log(w / n) : 0.0;
}

void vq_mass_add(struct vq_mass *m, const struct vq_attend_query *q, int64_t M)
{
    int64_t n = q->query - q->first + 1;
    for (int64_t j = 0; j < n; j++) {
        double w = q->key[j];
        int64_t distance = n - 1 - j;
        *(distance <= M ? &m->window : &m->aggregate) += w;
        m->distance += w * (double)distance;
        m->entropy += entropy_of(w, 1.0);
    }
    for (size_t s = 0; q->code && s < q->S; s++) {
        double w = q->count[s] ? q->code[s] : 0.0;
        m->aggregate += w;
        m->distance += w * ((double)q->query - q->mean_position[s]);
        m->entropy += entropy_of(w, (double)q->count[s]);
    }
    m->own += q->key[n - 1];
    m->queries++;
}

void vq_distances_add(struct vq_distances *d, const float *w, int64_t query)
{
    int64_t end = query + 1; /* positions [begin, end) are at the distances of the bin */
    for (int bin = 0; bin < VQ_DISTANCE_BINS && end > 0; bin++) {
        int64_t far = bin == 0 ? 0 : ((int64_t)1 << bin) - 1; /* the longest distance of the bin */
        int64_t begin = query > far ? query - far : 0;
        double sum = 0.0;
        for (int64_t p = begin; p < end; p++)
            sum += w[p];
        d->weight[bin] += sum;
        d->positions[bin] += (uint64_t)(end - begin);
        end = begin;
    }
    d->queries++;
}

void vq_drawn_add(double *drawn, const struct vq_attend_query *q, int64_t M)
{
    int64_t old = q->query - M - q->first; /* keys that are older than the window */
    for (int64_t j = 0; j < old; j++)
        drawn[q->key_code[j]] += q->key[j];
    for (size_t s = 0; q->code && s < q->S; s++)
        drawn[s] += q->count[s] ? q->code[s] : 0.0;
}
