#include "core/inspect/surprise.h"

#include <math.h>
#include <stdbool.h>

struct vq_surprise vq_surprise_of(const float *logprobs, size_t N, int32_t token)
{
    struct vq_surprise s = {.nats = -(double)logprobs[token], .rank = 1};
    for (size_t i = 0; i < N; i++) {
        double lp = logprobs[i], p = exp(lp);
        s.entropy -= p > 0.0 ? p * lp : 0.0;
        s.rank += logprobs[i] > logprobs[token];
        s.best = logprobs[i] > logprobs[s.best] ? (int32_t)i : s.best;
    }
    return s;
}

double vq_divergence(const float *p, const float *q, size_t N)
{
    double sum = 0.0;
    for (size_t i = 0; i < N; i++) {
        double w = exp((double)p[i]), d = (double)q[i] - (double)p[i];
        /* Rows sum to 1, so q - p may be added to each term: then none is negative, and what
         * rounding does to nearly equal rows does not drown the sum. */
        sum += w > 0.0 ? w * (expm1(d) - d) : exp((double)q[i]);
    }
    return sum;
}

/* Whether element a comes before element b. */
static bool before(const float *v, size_t a, size_t b)
{
    return v[a] != v[b] ? v[a] > v[b] : a < b;
}

void vq_largest(size_t *best, size_t k, const float *v, size_t n)
{
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = have < k ? have : k;
        if (k == 0 || (at == k && !before(v, i, best[k - 1])))
            continue;
        at = at == k ? k - 1 : at;
        for (; at > 0 && before(v, i, best[at - 1]); at--)
            best[at] = best[at - 1];
        best[at] = i;
        have += have < k;
    }
}
