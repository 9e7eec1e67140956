/*
 * Plain loops over a borrowed view; sums in double, counts as integers.
 */
#include "core/inspect/cache.h"

#include <math.h>

static const int64_t *head_counts(const struct vq_cache_view *v, const struct vq_config *c,
                                  int head)
{
    return v->count + (size_t)head * (size_t)c->n_code;
}

static double norm(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

void vq_cache_summarise(struct vq_cache_summary *out, const struct vq_cache_view *v,
                        const struct vq_config *c, int head)
{
    const int64_t *count = head_counts(v, c, head);
    double weighted = 0.0;
    *out = (struct vq_cache_summary){
        .window = c->mem_len,
        .filled = v->window,
        .first = v->window ? v->first : 0,
    };
    for (int64_t s = 0; s < c->n_code; s++) {
        out->codes_used += count[s] > 0;
        out->positions_aggregated += count[s];
        out->count_max = count[s] > out->count_max ? count[s] : out->count_max;
        weighted += count[s] > 0 ? (double)count[s] * log((double)count[s]) : 0.0;
    }
    double total = (double)out->positions_aggregated;
    if (out->codes_used > 1)
        out->entropy = log(total) - weighted / total;
}

void vq_cache_codes(struct vq_cache_code *out, const struct vq_cache_view *v,
                    const struct vq_config *c, int head)
{
    const int64_t *count = head_counts(v, c, head);
    const float *mean = v->mean + (size_t)head * (size_t)(c->n_code * c->d_v);
    for (int64_t s = 0; s < c->n_code; s++) {
        out[s].count = count[s];
        out[s].mean_norm = count[s] > 0 ? norm(mean + s * c->d_v, c->d_v) : 0.0;
    }
}

size_t vq_cache_window(struct vq_cache_slot *out, const struct vq_cache_view *v,
                       const struct vq_config *c, int head, const int32_t *tokens)
{
    const int32_t *code = v->code + (size_t)head * v->code_stride;
    const float *value = v->value + (size_t)head * v->value_stride;
    for (int t = 0; t < v->window; t++) {
        out[t] = (struct vq_cache_slot){
            .position = v->first + t,
            .token = tokens ? tokens[t] : -1,
            .code = code[t],
            .value_norm = norm(value + (int64_t)t * c->d_v, c->d_v),
        };
    }
    return (size_t)v->window;
}

static double apart(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)b[i] - a[i];
        sum += d * d;
    }
    return sqrt(sum);
}

static void add_change(struct vq_cache_diff *out, const struct vq_cache_change *x)
{
    out->before += x->before;
    out->after += x->after;
    out->appeared += x->before == 0 && x->after > 0;
    out->gone += x->before > 0 && x->after == 0;
    out->grown += x->after > x->before;
    out->shrunk += x->after < x->before;
    if (x->before > 0 && x->after > 0) {
        out->moved_mean += x->moved;
        out->moved_max = fmax(out->moved_max, x->moved);
    }
}

void vq_cache_compare(struct vq_cache_diff *out, struct vq_cache_change *list,
                      const struct vq_cache_view *a, const struct vq_cache_view *b,
                      const struct vq_config *c, int head)
{
    const int64_t *before = head_counts(a, c, head), *after = head_counts(b, c, head);
    size_t at = (size_t)head * (size_t)(c->n_code * c->d_v);
    int64_t both = 0;
    *out = (struct vq_cache_diff){0};
    for (int64_t s = 0; s < c->n_code; s++) {
        const float *x = a->mean + at + s * c->d_v, *y = b->mean + at + s * c->d_v;
        struct vq_cache_change change = {.before = before[s],
                                         .after = after[s],
                                         .norm_before = before[s] ? norm(x, c->d_v) : 0.0,
                                         .norm_after = after[s] ? norm(y, c->d_v) : 0.0,
                                         .moved = apart(x, y, c->d_v)};
        add_change(out, &change);
        both += before[s] > 0 && after[s] > 0;
        if (list)
            list[s] = change;
    }
    out->moved_mean = both ? out->moved_mean / (double)both : 0.0;
}
