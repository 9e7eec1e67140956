#include "core/inspect/drift.h"

#include <math.h>

const char *vq_code_fate_name(enum vq_code_fate f)
{
    static const char *const names[] = {"alive", "dead", "died", "born"};
    return names[f];
}

static enum vq_code_fate fate_of(float a, float b)
{
    bool before = (double)a > VQ_COUNT_CLIP, after = (double)b > VQ_COUNT_CLIP;
    return before ? (after ? VQ_ALIVE : VQ_DIED) : (after ? VQ_BORN : VQ_DEAD);
}

/* *norm_a = |a|. */
static struct vq_code_drift compare(const float *a, const float *b, size_t K, double *norm_a)
{
    double aa = 0.0, bb = 0.0, ab = 0.0, dd = 0.0;
    for (size_t k = 0; k < K; k++) {
        double d = (double)b[k] - a[k];
        aa += (double)a[k] * a[k];
        bb += (double)b[k] * b[k];
        ab += (double)a[k] * b[k];
        dd += d * d;
    }
    *norm_a = sqrt(aa);
    return (struct vq_code_drift){.moved = sqrt(dd),
                                  .sim = aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0};
}

static void add(struct vq_drift *out, const struct vq_code_drift *d, double norm_a)
{
    size_t *const tally[] = {&out->alive, &out->dead, &out->died, &out->born};
    ++*tally[d->fate];
    if (d->fate != VQ_ALIVE)
        return;
    out->moved.min = fmin(out->moved.min, d->moved);
    out->moved.max = fmax(out->moved.max, d->moved);
    out->moved.mean += d->moved;
    out->moved_relative += d->moved > 0.0 ? d->moved / norm_a : 0.0;
    out->sim_mean += d->sim;
}

static double total(const float *count, size_t S)
{
    double sum = 0.0;
    for (size_t s = 0; s < S; s++)
        sum += count[s] > 0.0f ? (double)count[s] : 0.0;
    return sum;
}

static double share(float count, double of)
{
    return count > 0.0f ? (double)count / of : 0.0;
}

void vq_drift_codes(struct vq_drift *out, struct vq_code_drift *list, const float *a,
                    const float *count_a, const float *b, const float *count_b, size_t S, size_t K)
{
    double all_a = total(count_a, S), all_b = total(count_b, S);
    *out = (struct vq_drift){.codes = S, .moved = {INFINITY, 0.0, -INFINITY}};
    for (size_t s = 0; s < S; s++) {
        double norm_a;
        struct vq_code_drift d = compare(a + s * K, b + s * K, K, &norm_a);
        d.fate = fate_of(count_a[s], count_b[s]);
        d.count_a = count_a[s];
        d.count_b = count_b[s];
        add(out, &d, norm_a);
        out->usage_distance += fabs(share(count_b[s], all_b) - share(count_a[s], all_a)) / 2.0;
        if (list)
            list[s] = d;
    }
    double n = (double)out->alive;
    out->moved.mean = out->alive ? out->moved.mean / n : NAN;
    out->moved.min = out->alive ? out->moved.min : NAN;
    out->moved.max = out->alive ? out->moved.max : NAN;
    out->moved_relative = out->alive ? out->moved_relative / n : NAN;
    out->sim_mean = out->alive ? out->sim_mean / n : NAN;
}
