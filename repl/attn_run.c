#include "repl/attn_run.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/out.h"

enum { LAST = 256 }; /* queries of a map */

/* A whole number at *p, which then stands behind it. */
static bool read_position(const char **p, int64_t *out)
{
    char digits[24];
    size_t n = **p == '-' ? 1 : 0;
    while ((*p)[n] >= '0' && (*p)[n] <= '9')
        n++;
    if (n >= sizeof(digits))
        return false;
    memcpy(digits, *p, n);
    digits[n] = '\0';
    *p += n;
    return sh_parse_int(digits, out);
}

bool sh_span_parse(const char *text, int64_t n, int64_t *from, int64_t *to)
{
    const char *p = text;
    if (!read_position(&p, from))
        return false;
    *to = *from;
    if (*p && ((*p != '-' && *p != ':') || (p++, !read_position(&p, to)) || *p))
        return false;
    *from += *from < 0 ? n : 0;
    *to += *to < 0 ? n : 0;
    return *from >= 0 && *from <= *to && *to < n;
}

static enum sh_rc pick_span(struct sh_attn_run *r, const struct sh_args *a, const char *span)
{
    int64_t n = (int64_t)r->t.over.cols;
    r->from = 0;
    r->to = n - 1;
    if (!span)
        return SH_OK;
    if (strcmp(span, SH_SPAN_LAST) == 0) {
        r->from = n > LAST ? n - LAST : 0;
        return SH_OK;
    }
    if (*span && !sh_span_parse(span, n, &r->from, &r->to))
        return sh_bad_arg(r->sh, sh_opt_word(a, "span"),
                          "expected positions A-B inside 0 to %lld, found '%s'", (long long)n - 1,
                          span);
    if (*span)
        return SH_OK;
    r->from = sh_opt_given(a, "pos") ? sh_opt_int(a, "pos") : -1;
    r->from += r->from < 0 ? n : 0;
    r->to = r->from;
    if (r->from < 0 || r->from >= n)
        return sh_bad_arg(r->sh, sh_opt_word(a, "pos"), "there are %lld tokens, from 0",
                          (long long)n);
    return SH_OK;
}

static void take(void *ud, const struct vq_attend_query *q)
{
    const struct sh_attn_run *r = ud;
    int at = r->index[(size_t)q->module * (size_t)r->c->n_head + (size_t)q->head];
    size_t queries = (size_t)(r->to - r->from + 1), i = (size_t)(q->query - r->from);
    if (at < 0)
        return;
    if (r->map)
        vq_attend_spread(q, r->map + ((size_t)at * queries + i) * r->keys);
    if (r->distances) {
        vq_attend_spread(q, r->row);
        vq_distances_add(&r->distances[at], r->row, q->query);
    }
    if (r->mass)
        vq_mass_add(&r->mass[at], q, r->c->mem_len);
    if (r->each)
        vq_mass_add(&r->each[(size_t)at * queries + i], q, r->c->mem_len);
}

/* n objects for each of `heads`; *ok becomes false when they are not to be had. */
static void *room(size_t heads, size_t n, size_t size, bool wanted, bool *ok)
{
    size_t cells;
    if (!wanted)
        return NULL;
    void *p = vq_mul_ok(heads, n, &cells) ? vq_calloc(cells, size) : NULL;
    *ok = *ok && p;
    return p;
}

static enum vq_status reserve(struct sh_attn_run *r, unsigned what, struct vq_err *err)
{
    size_t heads = r->heads->n, queries = (size_t)(r->to - r->from + 1), cells = 0;
    size_t all = vq_config_modules(r->c) * (size_t)r->c->n_head;
    bool map = what & SH_ATTN_MAP, ok = vq_mul_ok(queries, (size_t)r->to + 1, &cells);
    r->keys = (size_t)r->to + 1;
    r->index = room(all, 1, sizeof(*r->index), true, &ok);
    r->map = room(heads, cells, sizeof(*r->map), map && ok, &ok);
    r->codes = room(heads, r->keys, sizeof(*r->codes), what & (SH_ATTN_MAP | SH_ATTN_CODES), &ok);
    r->mass = room(heads, 1, sizeof(*r->mass), what & SH_ATTN_MASS, &ok);
    r->each = room(heads, queries, sizeof(*r->each), what & SH_ATTN_EACH, &ok);
    r->distances = room(heads, 1, sizeof(*r->distances), what & SH_ATTN_DISTANCES, &ok);
    r->row = room(1, r->keys, sizeof(*r->row), what & SH_ATTN_DISTANCES, &ok);
    if (!ok)
        return vq_nomem(err, "attention of these queries", heads * queries,
                        r->keys * sizeof(float));
    for (size_t i = 0; i < all; i++)
        r->index[i] = -1;
    for (size_t i = 0; i < heads; i++)
        r->index[(size_t)r->heads->v[i].module * (size_t)r->c->n_head +
                 (size_t)r->heads->v[i].head] = (int)i;
    return VQ_OK;
}

static enum vq_status run(struct sh_attn_run *r, struct vq_err *err)
{
    struct vq_attend *attend = NULL;
    bool *wanted = vq_calloc(vq_config_modules(r->c), sizeof(*wanted));
    if (!wanted)
        return vq_nomem(err, "modules", vq_config_modules(r->c), sizeof(*wanted));
    for (size_t i = 0; i < r->heads->n; i++)
        wanted[r->heads->v[i].module] = true;
    const struct vq_attend_options o = {
        .from = r->from, .to = r->to, .module = wanted, .older = true, .ud = r, .query = take};
    enum vq_status status = vq_attend_new(&attend, r->c, &o, err);
    struct sh_tokens t = r->t;
    if (!t.over.targets) /* nothing behind the last query matters */
        t.over.cols = r->keys;
    if (status == VQ_OK)
        status = sh_tokens_run(r->sh, r->m, &t, vq_attend_observer(attend), err);
    if (status == VQ_OK)
        status = vq_attend_check(attend, err);
    for (size_t i = 0; status == VQ_OK && r->codes && i < r->heads->n; i++) {
        int64_t n;
        const int32_t *codes =
            vq_attend_codes(attend, r->heads->v[i].module, r->heads->v[i].head, &n);
        memcpy(r->codes + i * r->keys, codes, r->keys * sizeof(*codes));
    }
    vq_attend_free(attend);
    free(wanted);
    return status;
}

enum sh_rc sh_attn_run(struct sh_attn_run *r, const struct sh_args *a, const char *span,
                       unsigned what)
{
    struct vq_err err = {0};
    r->c = vq_model_config(r->m->model);
    enum sh_rc rc = sh_tokens_pick(r->sh, a, r->m, SH_AS_FED, &r->t);
    if (rc == SH_OK)
        rc = sh_tokens_row(r->sh, a, &r->t);
    if (rc == SH_OK)
        rc = pick_span(r, a, span);
    if (rc != SH_OK)
        return rc;
    enum vq_status status = reserve(r, what, &err);
    if (status == VQ_OK)
        status = run(r, &err);
    return status == VQ_OK ? SH_OK : sh_fail(r->sh, &err);
}

void sh_attn_release(struct sh_attn_run *r)
{
    sh_tokens_release(&r->t);
    free(r->index);
    free(r->map);
    free(r->codes);
    free(r->row);
    free(r->mass);
    free(r->each);
    free(r->distances);
}
