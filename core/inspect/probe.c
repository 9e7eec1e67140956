#include "core/inspect/probe.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct vq_probe {
    struct vq_probe_options o;
    size_t rows, D; /* rows: modules + 1 */
    float *parts;   /* [positions, rows, D] */
    float *streams; /* the same */
    bool *seen;     /* [positions] */
    struct vq_observer observer;
};

/* Copies row `r` of the block's positions out of x[B * n, D]. */
static void take(struct vq_probe *p, const struct vq_block *b, const float *x, size_t r, float *to)
{
    if (p->o.row >= b->batch)
        return;
    for (int t = 0; t < b->n; t++) {
        int64_t at = b->position + t - p->o.from;
        if (at < 0 || b->position + t > p->o.to)
            continue;
        memcpy(to + ((size_t)at * p->rows + r) * p->D, x + (size_t)(p->o.row * b->n + t) * p->D,
               p->D * sizeof(*x));
        p->seen[at] = r + 1 == p->rows;
    }
}

static void on_embedded(void *ud, const struct vq_block *b, const float *x)
{
    struct vq_probe *p = ud;
    take(p, b, x, 0, p->parts);
    take(p, b, x, 0, p->streams);
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct vq_probe *p = ud;
    take(p, b, v->branch, (size_t)v->module + 1, p->parts);
    take(p, b, v->stream, (size_t)v->module + 1, p->streams);
}

enum vq_status vq_probe_new(struct vq_probe **out, const struct vq_config *c,
                            const struct vq_probe_options *o, struct vq_err *err)
{
    size_t row = 0, cells = 0, n = o->to >= o->from ? (size_t)(o->to - o->from + 1) : 0;
    *out = NULL;
    struct vq_probe *p = vq_calloc(1, sizeof(*p));
    if (!p)
        return vq_nomem(err, "a probe", 1, sizeof(*p));
    p->o = *o;
    p->rows = vq_config_modules(c) + 1;
    p->D = (size_t)c->d_model;
    p->observer = (struct vq_observer){.ud = p, .embedded = on_embedded, .module = on_module};
    if (vq_mul_ok(p->rows, p->D, &row) && vq_mul_ok(row, n, &cells)) {
        p->parts = vq_alloc_f32(cells);
        p->streams = vq_alloc_f32(cells);
        p->seen = vq_calloc(n, sizeof(*p->seen));
    }
    if (!p->parts || !p->streams || !p->seen) {
        vq_probe_free(p);
        return vq_nomem(err, "streams of these positions", n, 2 * row * sizeof(float));
    }
    *out = p;
    return VQ_OK;
}

void vq_probe_free(struct vq_probe *p)
{
    if (!p)
        return;
    free(p->parts);
    free(p->streams);
    free(p->seen);
    free(p);
}

const struct vq_observer *vq_probe_observer(struct vq_probe *p)
{
    return &p->observer;
}

bool vq_probe_has(const struct vq_probe *p, int64_t position)
{
    return position >= p->o.from && position <= p->o.to && p->seen[position - p->o.from];
}

const float *vq_probe_parts(const struct vq_probe *p, int64_t position)
{
    return p->parts + (size_t)(position - p->o.from) * p->rows * p->D;
}

const float *vq_probe_streams(const struct vq_probe *p, int64_t position)
{
    return p->streams + (size_t)(position - p->o.from) * p->rows * p->D;
}
