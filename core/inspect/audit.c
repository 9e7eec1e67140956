#include "core/inspect/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/inspect/audit_private.h"

#define COUNTS     "quantizer/c_count"
#define DEAD_COUNT 0.01

/* Bytes between two polls of cancel. */
#define POLL_BYTES ((uint64_t)32 << 20)

static const char *const kind_names[] = {
    "damaged",   "size", "outside", "overlap", "gap",       "trailing",
    "duplicate", "nan",  "inf",     "order",   "alignment", "dead",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == VQ_AUDIT_KINDS, "a name for each");

const char *vq_audit_kind_name(enum vq_audit_kind k)
{
    return kind_names[k];
}

bool vq_audit_is_wrong(enum vq_audit_kind k)
{
    return k < VQ_AUDIT_ORDER;
}

bool vq_audit_failed(const struct vq_audit *a)
{
    for (int k = 0; k < VQ_AUDIT_KINDS; k++)
        if (a->found[k] && vq_audit_is_wrong((enum vq_audit_kind)k))
            return true;
    return false;
}

/* Room for one more of n elements; false when memory is out. */
static bool room(void **v, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? 2 * *cap : 64;
    void *grown = vq_realloc(*v, more, size);
    if (!grown)
        return false;
    *v = grown;
    *cap = more;
    return true;
}

void vq_audit_add(struct vq_auditing *g, enum vq_audit_kind kind, uint64_t offset, const char *fmt,
                  ...)
{
    struct vq_audit *a = g->a;
    char line[1024];
    va_list args;
    if (a->found[kind]++ >= VQ_AUDIT_MOST)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    void *list = a->finding;
    char *what = vq_strdup(line);
    if (!what || !room(&list, &a->cap_finding, a->n_finding, sizeof(*a->finding))) {
        free(what);
        g->nomem = true;
        return;
    }
    a->finding = list;
    a->finding[a->n_finding++] = (struct vq_audit_finding){kind, offset, what};
}

struct vq_audit_tensor *vq_audit_tensor(struct vq_auditing *g, const struct vq_audit_tensor *t)
{
    struct vq_audit *a = g->a;
    void *list = a->tensor;
    char *name = vq_strdup(t->name);
    if (!name || !room(&list, &a->cap_tensor, a->n_tensor, sizeof(*a->tensor))) {
        free(name);
        g->nomem = true;
        return NULL;
    }
    a->tensor = list;
    struct vq_audit_tensor *added = &a->tensor[a->n_tensor++];
    *added = *t;
    added->name = name;
    return added;
}

bool vq_audit_measure(const struct vq_audit_tensor *t, uint64_t *bytes)
{
    size_t n = vq_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || !vq_mul_ok(n, (size_t)t->shape[i], &n))
            return false;
    *bytes = n;
    return true;
}

/* ---- numbers ---- */

/* Elements whose exponent is all ones: NaN when there is a fraction, else infinite. */
#define COUNTER(name, type, exponent, fraction)                                                    \
    static void name(const uint8_t *p, uint64_t n, uint64_t *nan, uint64_t *inf)                   \
    {                                                                                              \
        uint64_t odd = 0, nans = 0;                                                                \
        for (uint64_t i = 0; i < n; i++) {                                                         \
            type x;                                                                                \
            memcpy(&x, p + i * sizeof(x), sizeof(x));                                              \
            odd += (x & (exponent)) == (exponent);                                                 \
            nans += (x & (exponent)) == (exponent) && (x & (fraction)) != 0;                       \
        }                                                                                          \
        *nan += nans;                                                                              \
        *inf += odd - nans;                                                                        \
    }

COUNTER(count_f32, uint32_t, 0x7f800000u, 0x007fffffu)
COUNTER(count_bf16, uint16_t, 0x7f80u, 0x007fu)
COUNTER(count_f16, uint16_t, 0x7c00u, 0x03ffu)
COUNTER(count_f64, uint64_t, UINT64_C(0x7ff0000000000000), UINT64_C(0x000fffffffffffff))

typedef void (*counter)(const uint8_t *p, uint64_t n, uint64_t *nan, uint64_t *inf);

static counter counter_of(enum vq_dtype dtype)
{
    switch (dtype) {
    case VQ_F32:
        return count_f32;
    case VQ_BF16:
        return count_bf16;
    case VQ_F16:
        return count_f16;
    case VQ_F64:
        return count_f64;
    default:
        return NULL;
    }
}

/* Counts of a codebook are looked at one by one; those of an optimiser are none. */
static void count_dead(struct vq_auditing *g, const struct vq_audit_tensor *t, uint64_t n,
                       struct vq_audit_tensor *sum)
{
    const struct vq_tensor view = {.dtype = t->dtype,
                                   .count = (size_t)n,
                                   .bytes = (size_t)t->bytes,
                                   .data = g->data + t->begin};
    float *x = vq_alloc(view.count, sizeof(*x));
    if (!x || vq_tensor_read_f32(&view, x, NULL) != VQ_OK)
        g->nomem = true;
    else
        for (size_t i = 0; i < view.count; i++)
            sum->dead += (double)x[i] <= DEAD_COUNT;
    sum->codes += n;
    free(x);
}

void vq_audit_numbers(struct vq_auditing *g, const struct vq_audit_tensor *t,
                      struct vq_audit_tensor *sum)
{
    counter count = counter_of(t->dtype);
    size_t item = vq_dtype_size(t->dtype);
    if (!count || t->begin > g->size || t->bytes > g->size - t->begin)
        return;
    count(g->data + t->begin, t->bytes / item, &sum->nan, &sum->inf);
    if (strstr(t->name, COUNTS) && strncmp(t->name, "opt_state/", 10) != 0)
        count_dead(g, t, t->bytes / item, sum);
}

static void look_at_numbers(struct vq_auditing *g, struct vq_audit_tensor *t)
{
    if (t->chunks == 1) /* the pieces of others were looked at when they were joined */
        vq_audit_numbers(g, t, t);
    uint64_t n = vq_dtype_size(t->dtype) ? t->bytes / vq_dtype_size(t->dtype) : 0;
    if (t->nan)
        vq_audit_add(g, VQ_AUDIT_NAN, t->begin, "%s: %" PRIu64 " of %" PRIu64 " are NaN", t->name,
                     t->nan, n);
    if (t->inf)
        vq_audit_add(g, VQ_AUDIT_INF, t->begin, "%s: %" PRIu64 " of %" PRIu64 " are infinite",
                     t->name, t->inf, n);
    if (t->dead)
        vq_audit_add(g, VQ_AUDIT_DEAD, t->begin, "%s: %" PRIu64 " of %" PRIu64 " codes are dead",
                     t->name, t->dead, t->codes);
    g->a->codes += t->codes;
    g->a->dead += t->dead;
}

static enum vq_status look_at_all(struct vq_auditing *g, const struct vq_audit_options *o,
                                  struct vq_err *err)
{
    uint64_t done = 0, polled = 0;
    for (size_t i = 0; i < g->a->n_tensor; i++) {
        if (done - polled >= POLL_BYTES || i == 0) {
            polled = done;
            if (vq_cancelled(o->cancel))
                return vq_fail(err, VQ_ECANCELLED, "stopped before all numbers were looked at");
            if (o->progress)
                o->progress(o->ud, done);
        }
        look_at_numbers(g, &g->a->tensor[i]);
        done += g->a->tensor[i].bytes;
    }
    return VQ_OK;
}

/* ---- the whole ---- */

/* A map, and the key that must follow: other formats begin with such bytes, too. */
static bool is_flax(const uint8_t *d, size_t n)
{
    size_t head = n > 0 && d[0] > 0x80 && d[0] <= 0x8f ? 1
                  : n > 0 && d[0] == 0xde              ? 3
                  : n > 0 && d[0] == 0xdf              ? 5
                                                       : 0;
    return head > 0 && (n <= head || (d[head] > 0xa0 && d[head] < 0xc0) ||
                        (d[head] >= 0xd9 && d[head] <= 0xdb));
}

static void read_file(struct vq_auditing *g)
{
    const char *what = vq_file_sniff(g->data, g->size);
    if (g->size > 8 && g->data[8] == '{')
        vq_audit_safetensors(g);
    else if (is_flax(g->data, g->size))
        vq_audit_flax(g);
    else
        vq_audit_add(g, VQ_AUDIT_DAMAGED, 0, "is %s, not a checkpoint (Flax or safetensors)",
                     what          ? what
                     : g->size > 0 ? "something else"
                                   : "an empty file");
}

enum vq_status vq_audit_bytes(struct vq_audit *out, const uint8_t *data, size_t size,
                              const struct vq_audit_options *o, struct vq_err *err)
{
    static const struct vq_audit_options none = {0};
    *out = (struct vq_audit){.size = size};
    struct vq_auditing g = {.a = out, .data = data, .size = size};
    read_file(&g);
    out->unclaimed = size - out->structure - out->data;
    enum vq_status status = look_at_all(&g, o ? o : &none, err);
    if (status == VQ_OK && g.nomem)
        status = vq_nomem(err, "the report on a file", out->n_tensor + 1, sizeof(*out->tensor));
    if (status != VQ_OK)
        vq_audit_release(out);
    return status;
}

void vq_audit_release(struct vq_audit *a)
{
    for (size_t i = 0; i < a->n_tensor; i++)
        free(a->tensor[i].name);
    for (size_t i = 0; i < a->n_finding; i++)
        free(a->finding[i].what);
    free(a->tensor);
    free(a->finding);
    *a = (struct vq_audit){0};
}
