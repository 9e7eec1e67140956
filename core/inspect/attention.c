/*
 * Rows and checks from a borrowed vq_attention_view.
 */
#include "core/inspect/attention.h"

#include <math.h>
#include <stdlib.h>

const char *vq_attention_where_name(enum vq_attention_where w)
{
    return w == VQ_AT_WINDOW ? "window" : "aggregate";
}

static int by_weight(const void *a, const void *b)
{
    const struct vq_attention_row *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    if (x->where != y->where)
        return x->where == VQ_AT_WINDOW ? -1 : 1;
    int later = (x->at > y->at) - (x->at < y->at);
    return x->where == VQ_AT_WINDOW ? -later : later;
}

size_t vq_attention_rows(struct vq_attention_row *rows, const struct vq_attention_view *v, size_t S,
                         enum vq_attention_order order)
{
    size_t n = 0, window = (size_t)v->window;
    for (size_t s = 0; s < S; s++) {
        if (v->count[s] > 0)
            rows[n++] = (struct vq_attention_row){
                VQ_AT_AGGREGATE,       (int64_t)s,          (int32_t)s, v->count[s],
                v->weight[window + s], v->score[window + s]};
    }
    for (size_t j = 0; j < window; j++)
        rows[n++] = (struct vq_attention_row){
            VQ_AT_WINDOW, v->first + (int64_t)j, v->code[j], 1, v->weight[j], v->score[j]};
    if (order == VQ_ATTENTION_BY_WEIGHT)
        qsort(rows, n, sizeof(*rows), by_weight);
    return n;
}

/* log(sum(exp(score))) */
static double log_sum(const float *score, size_t n)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < n; i++)
        top = score[i] > top ? score[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)score[i] - top);
    return top + log(sum);
}

void vq_attention_summarise(struct vq_attention_summary *out, const struct vq_attention_view *v,
                            size_t S)
{
    size_t window = (size_t)v->window, n = window + S;
    double norm = log_sum(v->score, n);
    *out = (struct vq_attention_summary){.query = v->query, .positions = v->window};
    for (size_t i = 0; i < n; i++) {
        double w = v->weight[i], error = fabs(w - exp(v->score[i] - norm));
        *(i < window ? &out->window : &out->aggregate) += w;
        out->entropy -= w > 0.0 ? w * log(w) : 0.0;
        out->max_error = error > out->max_error ? error : out->max_error;
    }
    for (size_t s = 0; s < S; s++)
        out->positions += v->count[s];
    out->total = out->window + out->aggregate;
}
