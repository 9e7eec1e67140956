/*
 * sampler: from logits to one token, in double. Ids are ranked by a heap that is emptied only as
 * far as top-k and top-p ask, so a vocabulary of 32,000 is rarely sorted whole.
 */
#include "core/model/sampler.h"

#include <math.h>

#define REFERENCE_SLACK 1e-4 /* the authors' p is short by this much */

void vq_sampler_default(struct vq_sampler *s)
{
    *s = (struct vq_sampler){.temperature = 1, .top_p = 1, .rule = VQ_TOP_P_EXACT};
}

enum vq_status vq_sampler_check(const struct vq_sampler *s, struct vq_err *err)
{
    if (!isfinite(s->temperature) || s->temperature < 0)
        return vq_fail(err, VQ_EINVAL, "temperature: expected a number of at least 0, found %g",
                       s->temperature);
    if (isnan(s->top_p))
        return vq_fail(err, VQ_EINVAL, "top-p: expected a number, found nan");
    if (s->top_k < 0)
        return vq_fail(err, VQ_EINVAL, "top-k: expected at least 0 (0: all), found %lld",
                       (long long)s->top_k);
    if (s->first_id < 0)
        return vq_fail(err, VQ_EINVAL, "first id: expected at least 0, found %ld",
                       (long)s->first_id);
    if (s->end_id && s->end_id <= s->first_id)
        return vq_fail(err, VQ_EINVAL, "end id: expected one above %ld, found %ld",
                       (long)s->first_id, (long)s->end_id);
    return VQ_OK;
}

/* Where the ids that may be drawn end. */
static size_t end_of(const struct vq_sampler *s, size_t n)
{
    return s->end_id && (size_t)s->end_id < n ? (size_t)s->end_id : n;
}

/* The likeliest admissible id; n when there is none. */
static size_t top_id(const struct vq_sampler *s, const float *logits, size_t n)
{
    size_t top = n, end = end_of(s, n);
    for (size_t i = (size_t)s->first_id; i < end; i++)
        if (logits[i] > -INFINITY && (top == n || logits[i] > logits[top]))
            top = i;
    return top;
}

/* NaN and +inf have no softmax; -inf is a masked id. */
static enum vq_status check_logits(const float *logits, size_t n, struct vq_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return vq_fail(err, VQ_ENUM, "logit of id %zu: expected a number, found %g", i,
                           (double)logits[i]);
    return VQ_OK;
}

/* A max-heap of ids. Of equal ones the lower comes out first, but the higher with high_first: the
 * authors' sort is stable and ascending. */
struct ranking {
    const float *logits;
    size_t *id; /* heap in id[0..left-1]; what was popped stands behind it, best last */
    size_t n, left;
    bool high_first;
};

static bool before(const struct ranking *r, size_t a, size_t b)
{
    if (r->logits[a] != r->logits[b])
        return r->logits[a] > r->logits[b];
    return r->high_first ? a > b : a < b;
}

static void sift(struct ranking *r, size_t at)
{
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < r->left; child++)
            if (before(r, r->id[child], r->id[best]))
                best = child;
        if (best == at)
            return;
        size_t swap = r->id[at];
        r->id[at] = r->id[best];
        r->id[best] = swap;
        at = best;
    }
}

static void rank(struct ranking *r)
{
    r->left = r->n;
    for (size_t i = r->n / 2; i-- > 0;)
        sift(r, i);
}

/* The next best id; left > 0. */
static size_t pop(struct ranking *r)
{
    size_t best = r->id[0];
    r->id[0] = r->id[--r->left];
    r->id[r->left] = best;
    sift(r, 0);
    return best;
}

/* Keeps the `keep` best ids in p, zeroing the rest, and makes them the whole ranking. */
static void cut_top_k(struct ranking *r, double *p, size_t keep)
{
    rank(r);
    for (size_t i = 0; i < keep; i++)
        pop(r);
    for (size_t i = 0; i < r->left; i++)
        p[r->id[i]] = 0;
    r->id += r->left;
    r->n -= r->left;
}

/* The smallest set of the likeliest that reaches top_p of `total`. */
static void cut_exact(struct ranking *r, double *p, double top_p, double total)
{
    double sum = 0;
    rank(r);
    do
        sum += p[pop(r)];
    while (r->left && sum < top_p * total);
    for (size_t i = 0; i < r->left; i++)
        p[r->id[i]] = 0;
}

/* The authors' sum runs upwards from the least likely, and the comparison is theirs. */
static void cut_reference(struct ranking *r, double *p, double top_p, double total)
{
    double sum = 0, floor = 1 - (top_p - REFERENCE_SLACK);
    r->high_first = true;
    rank(r);
    while (r->left)
        pop(r);
    for (size_t i = 0; i + 1 < r->n; i++) {
        sum += p[r->id[i]] / total;
        if (!(sum > floor))
            p[r->id[i]] = 0;
    }
}

static double sum_of(const double *p, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

/* Zeroes what top-k and top-p leave out of the weights p, whose largest is 1. */
static void cut(const struct vq_sampler *s, const float *logits, size_t n, double *p, size_t *work)
{
    struct ranking r = {.logits = logits, .id = work};
    size_t end = end_of(s, n);
    for (size_t i = (size_t)s->first_id; i < end; i++)
        if (logits[i] > -INFINITY)
            work[r.n++] = i;
    if (s->top_k > 0 && (uint64_t)s->top_k < r.n)
        cut_top_k(&r, p, (size_t)s->top_k);
    if (s->rule == VQ_TOP_P_REFERENCE)
        cut_reference(&r, p, s->top_p, sum_of(p, n));
    else if (s->top_p < 1)
        cut_exact(&r, p, s->top_p, sum_of(p, n));
}

enum vq_status vq_sampler_probs(const struct vq_sampler *s, const float *logits, size_t n,
                                double *p, size_t *work, struct vq_err *err)
{
    enum vq_status st = vq_sampler_check(s, err);
    if (!st)
        st = check_logits(logits, n, err);
    if (st)
        return st;
    size_t top = top_id(s, logits, n), end = end_of(s, n);
    if (top == n)
        return vq_fail(err, VQ_ENUM, "no admissible token: all %zu ids are masked", n);
    for (size_t i = 0; i < n; i++)
        p[i] = 0;
    if (s->temperature == 0) {
        p[top] = 1;
        return VQ_OK;
    }
    for (size_t i = (size_t)s->first_id; i < end; i++)
        p[i] = exp(((double)logits[i] - logits[top]) / s->temperature);
    cut(s, logits, n, p, work);
    double total = sum_of(p, n);
    for (size_t i = 0; i < n; i++)
        p[i] /= total;
    return VQ_OK;
}

/* log-softmax of all logits at one id. */
static double model_logprob(const float *logits, size_t n, size_t id)
{
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (logits[i] > top)
            top = logits[i];
    for (size_t i = 0; i < n; i++)
        sum += exp(logits[i] - top);
    return logits[id] - top - log(sum);
}

enum vq_status vq_sampler_draw(const struct vq_sampler *s, const float *logits, size_t n,
                               struct vq_rng *rng, double *p, size_t *work, int32_t *id,
                               double *logprob, struct vq_err *err)
{
    enum vq_status st = vq_sampler_probs(s, logits, n, p, work, err);
    if (st)
        return st;
    double left = vq_rng_unit(rng) * sum_of(p, n);
    size_t chosen = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= 0)
            continue;
        /* Rounding may leave a remainder after the last id: then the last one is it. */
        chosen = i;
        left -= p[i];
        if (left < 0)
            break;
    }
    *id = (int32_t)chosen;
    if (logprob)
        *logprob = model_logprob(logits, n, chosen);
    return VQ_OK;
}
