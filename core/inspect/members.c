#include "core/inspect/members.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static int better_fit(const void *a, const void *b)
{
    const struct vq_member *x = a, *y = b;
    if (isnan(x->rel) != isnan(y->rel))
        return isnan(x->rel) ? 1 : -1;
    if (x->rel != y->rel && !isnan(x->rel))
        return x->rel < y->rel ? -1 : 1;
    return (x->serial > y->serial) - (x->serial < y->serial);
}

enum vq_status vq_members_find(struct vq_members *out, const struct vq_trace *t, int module,
                               int head, size_t code, struct vq_err *err)
{
    size_t n = 0;
    *out = (struct vq_members){0};
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        n += (size_t)vq_trace_code(t, s, module, head) == code;
    out->v = vq_alloc(n, sizeof(*out->v));
    if (!out->v)
        return vq_nomem(err, "members of a code", n, sizeof(*out->v));
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        if ((size_t)vq_trace_code(t, s, module, head) == code)
            out->v[out->n++] = (struct vq_member){s, vq_trace_rel(t, s, module, head)};
    qsort(out->v, out->n, sizeof(*out->v), better_fit);
    return VQ_OK;
}

void vq_members_release(struct vq_members *m)
{
    free(m->v);
    *m = (struct vq_members){0};
}

double vq_members_quantile(const struct vq_members *m, double q)
{
    size_t n = m->n;
    while (n > 0 && isnan(m->v[n - 1].rel))
        n--;
    if (n == 0)
        return NAN;
    double at = q * (double)(n - 1);
    size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    double part = at - (double)low;
    return (1.0 - part) * (double)m->v[low].rel + part * (double)m->v[high].rel;
}

/* The bin of a position: ranges of `width`. */
static size_t bin_of(const struct vq_trace *t, uint64_t serial, int64_t width)
{
    return (size_t)(vq_trace_position(t, serial) / width);
}

size_t vq_members_profile(struct vq_position_bin *bins, size_t n, const struct vq_members *m,
                          const struct vq_trace *t)
{
    int64_t last = -1;
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        last = vq_trace_position(t, s) > last ? vq_trace_position(t, s) : last;
    if (last < 0 || n == 0)
        return 0;
    int64_t width = (last + (int64_t)n) / (int64_t)n; /* (last + 1) / n, rounded up */
    size_t filled = (size_t)(last / width) + 1;
    for (size_t i = 0; i < filled; i++) {
        int64_t from = (int64_t)i * width, to = from + width - 1;
        bins[i] = (struct vq_position_bin){from, to < last ? to : last, 0, 0};
    }
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        bins[bin_of(t, s, width)].of++;
    for (size_t i = 0; i < m->n; i++)
        bins[bin_of(t, m->v[i].serial, width)].count++;
    return filled;
}

/* Whether the ids end at a held token, without a break in position before it. */
static bool ends_here(const struct vq_trace *t, uint64_t serial, const int32_t *ids, size_t n)
{
    if (serial - vq_trace_first(t) + 1 < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t s = serial - i;
        bool follows =
            i == 0 || vq_trace_position(t, s) + (int64_t)i == vq_trace_position(t, serial);
        if (!follows || vq_trace_token(t, s) != ids[n - 1 - i])
            return false;
    }
    return true;
}

uint64_t vq_places_codes(uint64_t *count, const struct vq_trace *t, int module, int head,
                         const int32_t *ids, size_t n)
{
    uint64_t places = 0;
    memset(count, 0, (size_t)vq_trace_config(t)->n_code * sizeof(*count));
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++) {
        if (!ends_here(t, s, ids, n))
            continue;
        count[vq_trace_code(t, s, module, head)]++;
        places++;
    }
    return places;
}

void vq_meetings(uint64_t *both, const struct vq_trace *t, int module, int head, int with_module,
                 int with_head, size_t with_code)
{
    memset(both, 0, (size_t)vq_trace_config(t)->n_code * sizeof(*both));
    for (uint64_t s = vq_trace_first(t); s < vq_trace_end(t); s++)
        if ((size_t)vq_trace_code(t, s, with_module, with_head) == with_code)
            both[vq_trace_code(t, s, module, head)]++;
}
