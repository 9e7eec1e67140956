/*
 * The safetensors side of an audit: 8 bytes of length, a JSON header, data. The header's entries
 * are taken one by one, so that one bad entry does not hide the others.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/inspect/audit_private.h"

#define PREFIX 8

static bool dtype_of(const char *name, enum vq_dtype *out)
{
    static const struct {
        const char *name;
        enum vq_dtype dtype;
    } known[] = {{"F32", VQ_F32},  {"BF16", VQ_BF16}, {"F16", VQ_F16}, {"F64", VQ_F64},
                 {"I8", VQ_I8},    {"U8", VQ_U8},     {"I16", VQ_I16}, {"U16", VQ_U16},
                 {"I32", VQ_I32},  {"U32", VQ_U32},   {"I64", VQ_I64}, {"U64", VQ_U64},
                 {"BOOL", VQ_BOOL}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0) {
            *out = known[i].dtype;
            return true;
        }
    return false;
}

/* Dtype, shape and offsets of an entry; false when one of them is not what it should be. */
static bool read_entry(struct vq_audit_tensor *t, const struct vq_json_node *n, uint64_t header)
{
    const struct vq_json_node *dtype = vq_json_get(n, "dtype"), *shape = vq_json_get(n, "shape");
    const struct vq_json_node *at = vq_json_get(n, "data_offsets");
    const struct vq_json_node *first = at ? vq_json_first(at) : NULL;
    const struct vq_json_node *second = first ? vq_json_next(first) : NULL;
    int64_t begin, end;
    if (!dtype || vq_json_kind(dtype) != VQ_JSON_STRING || !shape ||
        vq_json_kind(shape) != VQ_JSON_ARRAY || !second || vq_json_next(second))
        return false;
    if (!dtype_of(vq_json_string(dtype), &t->dtype) || !vq_json_int(first, &begin) ||
        !vq_json_int(second, &end) || begin < 0 || end < begin)
        return false;
    for (n = vq_json_first(shape); n; n = vq_json_next(n))
        if (t->rank == VQ_MAX_RANK || !vq_json_int(n, &t->shape[t->rank++]))
            return false;
    t->begin = header + (uint64_t)begin;
    t->end = header + (uint64_t)end;
    t->bytes = t->end - t->begin;
    return true;
}

static void take_entry(struct vq_auditing *g, const struct vq_json_node *n, uint64_t header)
{
    struct vq_audit_tensor t = {.chunks = 1};
    char name[160];
    uint64_t want = 0;
    snprintf(name, sizeof(name), "%s", vq_json_key(n)); /* for messages, which have an end */
    if (!read_entry(&t, n, header)) {
        vq_audit_add(g, VQ_AUDIT_DAMAGED, PREFIX,
                     "%s: its entry has no sound dtype, shape and data_offsets", name);
        return;
    }
    size_t item = vq_dtype_size(t.dtype);
    t.name = (char *)(uintptr_t)vq_json_key(n);
    t.aligned = t.begin % item == 0;
    if (!vq_audit_measure(&t, &want) || want != t.bytes)
        vq_audit_add(g, VQ_AUDIT_SIZE, t.begin,
                     "%s: its offsets span %" PRIu64 " bytes, shape and dtype ask for %" PRIu64,
                     name, t.bytes, want);
    if (t.end > g->size)
        vq_audit_add(g, VQ_AUDIT_OUTSIDE, t.begin, "%s: ends at byte %" PRIu64 ", the file has %zu",
                     name, t.end, g->size);
    if (!t.aligned)
        vq_audit_add(g, VQ_AUDIT_ALIGNMENT, t.begin,
                     "%s: begins at byte %" PRIu64 ", no multiple of %zu", name, t.begin, item);
    vq_audit_tensor(g, &t);
}

static int by_begin(const void *a, const void *b)
{
    const struct vq_audit_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static uint64_t cut(const struct vq_auditing *g, uint64_t at)
{
    return at < g->size ? at : g->size;
}

/* Goes through the tensors by place; what lies between and behind them is nobody's. */
static void account(struct vq_auditing *g, uint64_t header)
{
    struct vq_audit *a = g->a;
    uint64_t at = header;
    const char *before = "the header";
    if (a->n_tensor)
        qsort(a->tensor, a->n_tensor, sizeof(*a->tensor), by_begin);
    for (size_t i = 0; i < a->n_tensor; i++) {
        const struct vq_audit_tensor *t = &a->tensor[i];
        uint64_t begin = cut(g, t->begin), end = cut(g, t->end);
        if (begin > at)
            vq_audit_add(g, VQ_AUDIT_GAP, at, "%" PRIu64 " bytes between %.120s and %.120s",
                         begin - at, before, t->name);
        if (begin < at && end > begin) {
            uint64_t twice = (end < at ? end : at) - begin;
            a->overlapping += twice;
            vq_audit_add(g, VQ_AUDIT_OVERLAP, begin, "%.120s and %.120s share %" PRIu64 " bytes",
                         before, t->name, twice);
        }
        a->data += end > at ? end - (begin > at ? begin : at) : 0;
        before = end > at ? t->name : before;
        at = end > at ? end : at;
    }
    if (at < g->size)
        vq_audit_add(g, VQ_AUDIT_TRAILING, at, "%" PRIu64 " bytes behind %.120s", g->size - at,
                     before);
}

/* The order of entries in the header against that of their data. */
static void check_order(struct vq_auditing *g)
{
    uint64_t last = 0;
    for (size_t i = 0; i < g->a->n_tensor; i++) {
        const struct vq_audit_tensor *t = &g->a->tensor[i];
        if (t->begin < last)
            vq_audit_add(g, VQ_AUDIT_ORDER, t->begin,
                         "%.120s is listed behind a tensor whose data comes later", t->name);
        last = t->begin > last ? t->begin : last;
    }
}

static void read_header(struct vq_auditing *g, const struct vq_json_node *root, uint64_t header)
{
    for (const struct vq_json_node *n = vq_json_first(root); n; n = vq_json_next(n))
        if (strcmp(vq_json_key(n), "__metadata__") != 0)
            take_entry(g, n, header);
    check_order(g);
    account(g, header);
}

void vq_audit_safetensors(struct vq_auditing *g)
{
    struct vq_json *doc;
    struct vq_err err;
    uint64_t length;
    snprintf(g->a->format, sizeof(g->a->format), "safetensors");
    memcpy(&length, g->data, sizeof(length));
    if (length > g->size - PREFIX) {
        vq_audit_add(g, VQ_AUDIT_DAMAGED, 0,
                     "its header would have %" PRIu64 " bytes, the file has %zu", length, g->size);
        return;
    }
    g->a->structure = PREFIX + length;
    enum vq_status status =
        vq_json_parse(&doc, (const char *)g->data + PREFIX, (size_t)length, &err);
    if (status == VQ_ENOMEM)
        g->nomem = true;
    else if (status != VQ_OK)
        vq_audit_add(g, strstr(err.msg, "twice") ? VQ_AUDIT_DUPLICATE : VQ_AUDIT_DAMAGED, PREFIX,
                     "the header: %s", err.msg);
    else if (vq_json_kind(vq_json_root(doc)) != VQ_JSON_OBJECT)
        vq_audit_add(g, VQ_AUDIT_DAMAGED, PREFIX, "the header is no JSON object");
    else
        read_header(g, vq_json_root(doc), PREFIX + length);
    vq_json_free(doc);
}
