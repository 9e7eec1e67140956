#include "core/inspect/stream.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"

struct vq_stream {
    struct vq_stream_options o;
    size_t modules, D, gates;      /* gates: H * V */
    struct vq_stream_row *sum;     /* [modules + 1] */
    float *kept[VQ_STREAM_VALUES]; /* [modules + 1, o.tokens]; NULL without */
    struct vq_observer observer;
};

static void keep(struct vq_stream *s, enum vq_stream_value kind, size_t row, int64_t position,
                 double value)
{
    if ((uint64_t)position < s->o.tokens)
        s->kept[kind][row * s->o.tokens + (size_t)position] = (float)value;
}

static double norm(const float *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static void on_embedded(void *ud, const struct vq_block *b, const float *x)
{
    struct vq_stream *s = ud;
    if (s->o.row >= b->batch)
        return;
    for (int t = 0; t < b->n; t++) {
        double length = norm(x + (size_t)(s->o.row * b->n + t) * s->D, s->D);
        s->sum[0].stream += length;
        s->sum[0].tokens++;
        keep(s, VQ_STREAM_NORM, 0, b->position + t, length);
    }
}

/* Lengths and angle of one token's branch and stream x (after the branch was added). */
static void add_lengths(struct vq_stream *s, size_t row, int64_t position, const float *branch,
                        const float *x)
{
    double before = 0.0, dot = 0.0, added = norm(branch, s->D), length = norm(x, s->D);
    for (size_t d = 0; d < s->D; d++) {
        double old = (double)x[d] - branch[d];
        before += old * old;
        dot += old * branch[d];
    }
    double scale = sqrt(before) * added;
    s->sum[row].stream += length;
    s->sum[row].branch += added;
    s->sum[row].cosine += scale > 0.0 ? dot / scale : 0.0;
    s->sum[row].tokens++;
    keep(s, VQ_STREAM_NORM, row, position, length);
    keep(s, VQ_BRANCH_NORM, row, position, added);
}

static void add_gates(struct vq_stream *s, size_t row, int64_t position, const float *g)
{
    double sum = 0.0, max = 0.0, n = (double)s->gates;
    size_t closed = 0, negative = 0;
    for (size_t i = 0; i < s->gates; i++) {
        double size = fabs((double)g[i]);
        sum += size;
        max = size > max ? size : max;
        closed += size < VQ_GATE_CLOSED;
        negative += g[i] < 0.0f;
    }
    s->sum[row].gate += sum / n;
    s->sum[row].closed += (double)closed / n;
    s->sum[row].negative += (double)negative / n;
    s->sum[row].gate_max = fmax(s->sum[row].gate_max, max);
    keep(s, VQ_STREAM_CLOSED, row, position, (double)closed / n);
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct vq_stream *s = ud;
    size_t row = (size_t)v->module + 1;
    if (s->o.row >= b->batch)
        return;
    for (int t = 0; t < b->n; t++) {
        size_t at = (size_t)(s->o.row * b->n + t);
        add_lengths(s, row, b->position + t, v->branch + at * s->D, v->stream + at * s->D);
        add_gates(s, row, b->position + t, v->gates + at * v->key_stride);
    }
}

enum vq_status vq_stream_new(struct vq_stream **out, const struct vq_config *c,
                             const struct vq_stream_options *o, struct vq_err *err)
{
    size_t cells;
    bool fits = true;
    *out = NULL;
    struct vq_stream *s = vq_calloc(1, sizeof(*s));
    if (!s)
        return vq_nomem(err, "streams", 1, sizeof(*s));
    s->o = *o;
    s->modules = vq_config_modules(c);
    s->D = (size_t)c->d_model;
    s->gates = (size_t)(c->n_head * c->d_v);
    s->observer = (struct vq_observer){.ud = s, .embedded = on_embedded, .module = on_module};
    s->sum = vq_calloc(s->modules + 1, sizeof(*s->sum));
    for (int k = 0; o->tokens > 0 && k < VQ_STREAM_VALUES; k++) {
        s->kept[k] =
            vq_mul_ok(s->modules + 1, o->tokens, &cells) ? vq_calloc(cells, sizeof(float)) : NULL;
        fits = fits && s->kept[k];
    }
    if (!s->sum || !fits) {
        vq_stream_free(s);
        return vq_nomem(err, "streams of all positions", o->tokens, sizeof(float));
    }
    *out = s;
    return VQ_OK;
}

void vq_stream_free(struct vq_stream *s)
{
    if (!s)
        return;
    free(s->sum);
    for (int k = 0; k < VQ_STREAM_VALUES; k++)
        free(s->kept[k]);
    free(s);
}

const struct vq_observer *vq_stream_observer(struct vq_stream *s)
{
    return &s->observer;
}

struct vq_stream_row vq_stream_mean(const struct vq_stream *s, size_t row)
{
    struct vq_stream_row r = s->sum[row];
    double n = r.tokens ? (double)r.tokens : NAN;
    r.stream /= n;
    r.branch /= n;
    r.cosine /= n;
    r.gate /= n;
    r.closed /= n;
    r.negative /= n;
    return r;
}

const float *vq_stream_values(const struct vq_stream *s, enum vq_stream_value kind)
{
    return s->kept[kind];
}
