#include "repl/modlist.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct parser {
    const char *text, *p;
    int n_layer, n_head;
    struct sh_mod *v;
    size_t n, cap;
    struct vq_err *err;
    const char *bad;
};

static enum vq_status refuse(struct parser *ps, const char *at, const char *what)
{
    ps->bad = at;
    return vq_fail(ps->err, VQ_EINVAL, "%s", what);
}

/* A number of at most six digits. */
static bool number(struct parser *ps, int *out)
{
    const char *start = ps->p;
    *out = 0;
    while (*ps->p >= '0' && *ps->p <= '9' && ps->p - start < 6)
        *out = *out * 10 + (*ps->p++ - '0');
    return ps->p > start;
}

/* layer [ '.' attn ]: the first and last module it names. */
static enum vq_status one(struct parser *ps, int *first, int *last)
{
    char what[128];
    const char *start = ps->p;
    int layer, attn;
    if (!number(ps, &layer))
        return refuse(ps, start, "expected a module such as 0.1, a layer, or all");
    if (layer >= ps->n_layer) {
        snprintf(what, sizeof(what), "no layer %d: the model has layers 0 to %d", layer,
                 ps->n_layer - 1);
        return refuse(ps, start, what);
    }
    *first = layer * 2;
    *last = layer * 2 + 1;
    if (*ps->p != '.')
        return VQ_OK;
    const char *dot = ++ps->p;
    if (!number(ps, &attn) || attn < 1 || attn > 2)
        return refuse(ps, dot, "the attention of a layer is 1 or 2, as in 0.1");
    *first = *last = layer * 2 + attn - 1;
    return VQ_OK;
}

static enum vq_status head(struct parser *ps, int *out)
{
    char what[96];
    const char *start = ++ps->p;
    if (!number(ps, out))
        return refuse(ps, start, "expected the number of a head after ':'");
    if (*out < ps->n_head)
        return VQ_OK;
    if (ps->n_head == 1)
        snprintf(what, sizeof(what), "no head %d: the model has head 0 only", *out);
    else
        snprintf(what, sizeof(what), "no head %d: the model has heads 0 to %d", *out,
                 ps->n_head - 1);
    return refuse(ps, start, what);
}

static enum vq_status add(struct parser *ps, int module, int h)
{
    for (size_t i = 0; i < ps->n; i++) {
        if (ps->v[i].module == module && (ps->v[i].head == h || ps->v[i].head < 0))
            return VQ_OK;
    }
    if (ps->n == ps->cap) {
        size_t cap = ps->cap ? ps->cap * 2 : 16;
        struct sh_mod *v = vq_realloc(ps->v, cap, sizeof(*v));
        if (!v)
            return vq_nomem(ps->err, "a list of modules", cap, sizeof(*v));
        ps->v = v;
        ps->cap = cap;
    }
    ps->v[ps->n++] = (struct sh_mod){.module = module, .head = h};
    return VQ_OK;
}

static enum vq_status span(struct parser *ps, int *first, int *last)
{
    int from;
    if (!strncmp(ps->p, "all", 3)) {
        ps->p += 3;
        *first = 0;
        *last = ps->n_layer * 2 - 1;
        return VQ_OK;
    }
    enum vq_status rc = one(ps, first, last);
    if (rc || *ps->p != '-')
        return rc;
    const char *start = ++ps->p;
    rc = one(ps, &from, last);
    if (!rc && *last < *first)
        return refuse(ps, start, "the range ends before it begins");
    return rc;
}

static enum vq_status item(struct parser *ps)
{
    int first, last, h = -1;
    enum vq_status rc = span(ps, &first, &last);
    if (!rc && *ps->p == ':')
        rc = head(ps, &h);
    if (!rc && *ps->p && *ps->p != ',')
        rc = refuse(ps, ps->p, "expected ',' or the end (as in 0.1,2.2 or 0-3 or 3.2:0)");
    for (int m = first; !rc && m <= last; m++)
        rc = add(ps, m, h);
    return rc;
}

enum vq_status sh_modlist_parse(const char *text, int n_layer, int n_head, struct sh_mod **mods,
                                size_t *n, size_t *bad, struct vq_err *err)
{
    struct parser ps = {
        .text = text, .p = text, .n_layer = n_layer, .n_head = n_head, .err = err, .bad = text};
    *mods = NULL;
    *n = 0;
    enum vq_status rc = item(&ps);
    while (!rc && *ps.p == ',') {
        ps.p++;
        rc = item(&ps);
    }
    if (rc) {
        if (bad)
            *bad = (size_t)(ps.bad - text);
        free(ps.v);
        return rc;
    }
    *mods = ps.v;
    *n = ps.n;
    return VQ_OK;
}

const char *sh_module_name(int module, int head, char buf[32])
{
    if (head < 0)
        snprintf(buf, 32, "%d.%d", module / 2, module % 2 + 1);
    else
        snprintf(buf, 32, "%d.%d:%d", module / 2, module % 2 + 1, head);
    return buf;
}
