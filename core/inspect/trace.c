/*
 * Module callbacks fill a staging area (codes, errors); `committed` folds it into totals and ring.
 * Callbacks cannot fail, so running out of memory for the staging area is remembered in `missed`.
 * "mh" below is module * H + head.
 */
#include "core/inspect/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct trace_block {
    size_t cap;                /* keys of a module-head there is room for */
    int32_t *codes;            /* [modules, B, H, n] of the block under way */
    double *rel;               /* the same shape; NaN where the codebook is not known */
    struct vq_metrics metrics; /* of this block only */
    bool lost;                 /* no room for it */
};

struct vq_trace {
    struct vq_config config;
    size_t modules, H, S, K;
    int row;
    struct vq_observer observer;
    const struct vq_observer *next;

    float *codebook; /* [modules, H, S, K] */
    bool *known;     /* [modules] */
    uint64_t *count; /* [mh, S] */
    double *rel_sum; /* [mh, S] */
    uint64_t tokens;
    struct vq_metrics metrics;
    struct trace_block block;
    bool missed;

    size_t ring;            /* N */
    uint64_t end;           /* tokens that ever entered the ring */
    int32_t *ring_token;    /* [N] */
    int64_t *ring_position; /* [N] */
    uint16_t *ring_u16;     /* [mh, N], or */
    int32_t *ring_i32;      /* [mh, N] when codes do not fit 16 bits */
    float *ring_rel;        /* [mh, N] relative errors */
};

static size_t heads(const struct vq_trace *t)
{
    return t->modules * t->H;
}

static size_t head_at(const struct vq_trace *t, int module, int head)
{
    return (size_t)module * t->H + (size_t)head;
}

/* ---- recording ---- */

static bool stage_reserve(struct vq_trace *t, size_t keys)
{
    size_t cells;
    if (keys <= t->block.cap)
        return true;
    if (!vq_mul_ok(keys, heads(t), &cells))
        return false;
    int32_t *codes = vq_realloc(t->block.codes, cells, sizeof(*codes));
    if (!codes)
        return false;
    t->block.codes = codes;
    double *rel = vq_realloc(t->block.rel, cells, sizeof(*rel));
    if (!rel)
        return false;
    t->block.rel = rel;
    t->block.cap = keys;
    return true;
}

static void stage_errors(struct vq_trace *t, const struct vq_block *b,
                         const struct vq_module_view *v, double *rel)
{
    size_t n = (size_t)b->n;
    if (!t->known[v->module]) {
        for (size_t i = 0; i < (size_t)b->batch * t->H * n; i++)
            rel[i] = NAN;
        return;
    }
    const float *C = t->codebook + (size_t)v->module * t->H * t->S * t->K;
    for (size_t row = 0; row < (size_t)b->batch; row++)
        for (size_t h = 0; h < t->H; h++) {
            size_t at = (row * t->H + h) * n;
            const float *keys = v->keys + row * n * v->key_stride + h * t->K;
            vq_metrics_keys(&t->block.metrics, keys, v->key_stride, v->codes + at, n,
                            C + h * t->S * t->K, t->K, rel + at);
        }
}

static void on_module(void *ud, const struct vq_block *b, const struct vq_module_view *v)
{
    struct vq_trace *t = ud;
    size_t keys = (size_t)b->batch * (size_t)b->n, cells = keys * t->H;
    if (v->module == 0) {
        t->block.metrics = (struct vq_metrics){0};
        t->block.lost = !stage_reserve(t, keys);
    }
    if (!t->block.lost) {
        size_t at = (size_t)v->module * cells;
        memcpy(t->block.codes + at, v->codes, cells * sizeof(*v->codes));
        stage_errors(t, b, v, t->block.rel + at);
    }
    if (t->next && t->next->module)
        t->next->module(t->next->ud, b, v);
}

static void ring_put(struct vq_trace *t, size_t mh, size_t slot, int32_t code)
{
    if (t->ring_u16)
        t->ring_u16[mh * t->ring + slot] = (uint16_t)code;
    else
        t->ring_i32[mh * t->ring + slot] = code;
}

static int32_t ring_get(const struct vq_trace *t, size_t mh, size_t slot)
{
    return t->ring_u16 ? t->ring_u16[mh * t->ring + slot] : t->ring_i32[mh * t->ring + slot];
}

static void fold_totals(struct vq_trace *t, const struct vq_block *b)
{
    size_t n = (size_t)b->n, batch = (size_t)b->batch;
    for (size_t i = 0; i < t->modules * batch * t->H * n; i++) {
        size_t line = i / n; /* of [modules, B, H] */
        size_t mh = line / (batch * t->H) * t->H + line % t->H;
        size_t at = mh * t->S + (size_t)t->block.codes[i];
        t->count[at]++;
        t->rel_sum[at] += t->block.rel[i];
    }
    t->tokens += n * batch;
    vq_metrics_merge(&t->metrics, &t->block.metrics);
}

static void fold_ring(struct vq_trace *t, const struct vq_block *b)
{
    size_t n = (size_t)b->n, row = (size_t)t->row;
    size_t from = n > t->ring ? n - t->ring : 0; /* older ones would be overwritten at once */
    if (row >= (size_t)b->batch)
        return;
    for (size_t i = from; i < n; i++) {
        size_t slot = (size_t)((t->end + i) % t->ring);
        t->ring_token[slot] = b->tokens[row * n + i];
        t->ring_position[slot] = b->position + (int64_t)i;
    }
    for (size_t mh = 0; mh < heads(t); mh++) {
        size_t module = mh / t->H, h = mh % t->H;
        size_t at = ((module * (size_t)b->batch + row) * t->H + h) * n;
        for (size_t i = from; i < n; i++) {
            size_t slot = (size_t)((t->end + i) % t->ring);
            ring_put(t, mh, slot, t->block.codes[at + i]);
            t->ring_rel[mh * t->ring + slot] = (float)t->block.rel[at + i];
        }
    }
    t->end += n;
}

static void on_committed(void *ud, const struct vq_block *b)
{
    struct vq_trace *t = ud;
    if (t->block.lost) {
        t->missed = true;
    } else {
        fold_totals(t, b);
        fold_ring(t, b);
    }
    if (t->next && t->next->committed)
        t->next->committed(t->next->ud, b);
}

static void on_embedded(void *ud, const struct vq_block *b, const float *x)
{
    const struct vq_trace *t = ud;
    t->next->embedded(t->next->ud, b, x);
}

static enum vq_status on_logits(void *ud, const struct vq_block *b, const float *logits,
                                struct vq_err *err)
{
    const struct vq_trace *t = ud;
    return t->next->logits(t->next->ud, b, logits, err);
}

void vq_trace_chain(struct vq_trace *t, const struct vq_observer *next)
{
    t->next = next;
    t->observer = (struct vq_observer){
        .ud = t,
        .embedded = next && next->embedded ? on_embedded : NULL,
        .module = on_module,
        .logits = next && next->logits ? on_logits : NULL,
        .committed = on_committed,
    };
}

const struct vq_observer *vq_trace_observer(struct vq_trace *t)
{
    return &t->observer;
}

/* ---- life ---- */

static bool trace_alloc(struct vq_trace *t)
{
    size_t mh, codes, vectors, slots;
    if (!vq_mul_ok(t->modules, t->H, &mh) || !vq_mul_ok(mh, t->S, &codes) ||
        !vq_mul_ok(codes, t->K, &vectors) || !vq_mul_ok(mh, t->ring, &slots))
        return false;
    t->codebook = vq_alloc(vectors, sizeof(*t->codebook));
    t->known = vq_calloc(t->modules, sizeof(*t->known));
    t->count = vq_calloc(codes, sizeof(*t->count));
    t->rel_sum = vq_calloc(codes, sizeof(*t->rel_sum));
    t->ring_token = vq_alloc(t->ring, sizeof(*t->ring_token));
    t->ring_position = vq_alloc(t->ring, sizeof(*t->ring_position));
    t->ring_rel = vq_alloc(slots, sizeof(*t->ring_rel));
    if (t->S - 1 <= UINT16_MAX)
        t->ring_u16 = vq_alloc(slots, sizeof(*t->ring_u16));
    else
        t->ring_i32 = vq_alloc(slots, sizeof(*t->ring_i32));
    return t->codebook && t->known && t->count && t->rel_sum && t->ring_token && t->ring_position &&
           t->ring_rel && (t->ring_u16 || t->ring_i32);
}

enum vq_status vq_trace_new(struct vq_trace **out, const struct vq_config *c,
                            const struct vq_trace_options *options, struct vq_err *err)
{
    *out = NULL;
    struct vq_trace_options o = options ? *options : (struct vq_trace_options){0};
    if (o.row < 0)
        return vq_fail(err, VQ_EINVAL, "row %d of a batch cannot be traced; rows start at 0",
                       o.row);
    struct vq_trace *t = vq_calloc(1, sizeof(*t));
    if (!t)
        return vq_nomem(err, "a trace", 1, sizeof(*t));
    t->config = *c;
    t->modules = vq_config_modules(c);
    t->H = (size_t)c->n_head;
    t->S = (size_t)c->n_code;
    t->K = (size_t)c->d_k;
    t->ring = o.ring ? o.ring : VQ_TRACE_RING;
    t->row = o.row;
    if (!trace_alloc(t)) {
        enum vq_status rc =
            vq_nomem(err, "a trace of codes", t->modules * t->H, t->ring * sizeof(uint16_t));
        vq_trace_free(t);
        return rc;
    }
    vq_trace_chain(t, NULL);
    *out = t;
    return VQ_OK;
}

void vq_trace_free(struct vq_trace *t)
{
    if (!t)
        return;
    free(t->codebook);
    free(t->known);
    free(t->count);
    free(t->rel_sum);
    free(t->ring_token);
    free(t->ring_position);
    free(t->ring_u16);
    free(t->ring_i32);
    free(t->ring_rel);
    free(t->block.codes);
    free(t->block.rel);
    free(t);
}

/* The slots of the ring that were ever written come first. */
static void copy_ring(struct vq_trace *to, const struct vq_trace *t)
{
    size_t used = t->end < t->ring ? (size_t)t->end : t->ring;
    memcpy(to->ring_token, t->ring_token, used * sizeof(*t->ring_token));
    memcpy(to->ring_position, t->ring_position, used * sizeof(*t->ring_position));
    for (size_t mh = 0; mh < heads(t); mh++) {
        size_t at = mh * t->ring;
        memcpy(to->ring_rel + at, t->ring_rel + at, used * sizeof(*t->ring_rel));
        if (t->ring_u16)
            memcpy(to->ring_u16 + at, t->ring_u16 + at, used * sizeof(*t->ring_u16));
        else
            memcpy(to->ring_i32 + at, t->ring_i32 + at, used * sizeof(*t->ring_i32));
    }
    to->end = t->end;
}

enum vq_status vq_trace_copy(struct vq_trace **out, const struct vq_trace *t, struct vq_err *err)
{
    const struct vq_trace_options o = {.ring = t->ring, .row = t->row};
    enum vq_status rc = vq_trace_new(out, &t->config, &o, err);
    if (rc != VQ_OK)
        return rc;
    struct vq_trace *to = *out;
    size_t codes = heads(t) * t->S;
    memcpy(to->codebook, t->codebook, codes * t->K * sizeof(*t->codebook));
    memcpy(to->known, t->known, t->modules * sizeof(*t->known));
    memcpy(to->count, t->count, codes * sizeof(*t->count));
    memcpy(to->rel_sum, t->rel_sum, codes * sizeof(*t->rel_sum));
    to->tokens = t->tokens;
    to->metrics = t->metrics;
    to->missed = t->missed;
    copy_ring(to, t);
    return VQ_OK;
}

void vq_trace_set_codebook(struct vq_trace *t, int module, const float *C)
{
    size_t n = t->H * t->S * t->K;
    t->known[module] = C != NULL;
    if (C)
        memcpy(t->codebook + (size_t)module * n, C, n * sizeof(*C));
}

enum vq_status vq_trace_read_codebooks(struct vq_trace *t, const struct vq_model *m,
                                       struct vq_err *err)
{
    const struct vq_config *a = vq_model_config(m), *b = &t->config;
    if (a->n_layer != b->n_layer || a->n_head != b->n_head || a->n_code != b->n_code ||
        a->d_k != b->d_k)
        return vq_fail(err, VQ_ESHAPE, "the trace was made for a model of another shape");
    for (size_t i = 0; i < t->modules; i++) {
        enum vq_status rc = vq_model_codebook(m, (int)i, t->codebook + i * t->H * t->S * t->K, err);
        t->known[i] = !rc;
        if (rc)
            return rc;
    }
    return VQ_OK;
}

void vq_trace_reset(struct vq_trace *t)
{
    size_t codes = heads(t) * t->S;
    memset(t->count, 0, codes * sizeof(*t->count));
    memset(t->rel_sum, 0, codes * sizeof(*t->rel_sum));
    t->metrics = (struct vq_metrics){0};
    t->tokens = 0;
    t->end = 0;
    t->missed = false;
}

enum vq_status vq_trace_check(const struct vq_trace *t, struct vq_err *err)
{
    if (!t->missed)
        return VQ_OK;
    return vq_fail(err, VQ_ENOMEM, "no memory to record the codes of a block; feed smaller blocks");
}

uint64_t vq_trace_bytes(const struct vq_trace *t)
{
    uint64_t codes = heads(t) * t->S, code_size = (t->ring_u16 ? 2 : 4) + sizeof(*t->ring_rel);
    return sizeof(*t) + t->modules * sizeof(*t->known) +
           codes * (t->K * sizeof(*t->codebook) + sizeof(*t->count) + sizeof(*t->rel_sum)) +
           t->ring * (heads(t) * code_size + sizeof(*t->ring_token) + sizeof(*t->ring_position)) +
           t->block.cap * heads(t) * (sizeof(*t->block.codes) + sizeof(*t->block.rel));
}

const struct vq_config *vq_trace_config(const struct vq_trace *t)
{
    return &t->config;
}

/* ---- totals ---- */

uint64_t vq_trace_tokens(const struct vq_trace *t)
{
    return t->tokens;
}

const uint64_t *vq_trace_counts(const struct vq_trace *t, int module, int head)
{
    return t->count + head_at(t, module, head) * t->S;
}

void vq_trace_counts_f64(const struct vq_trace *t, int module, int head, double *out)
{
    const uint64_t *count = vq_trace_counts(t, module, head);
    for (size_t s = 0; s < t->S; s++)
        out[s] = (double)count[s];
}

double vq_trace_error(const struct vq_trace *t, int module, int head)
{
    const double *sums = t->rel_sum + head_at(t, module, head) * t->S;
    double sum = 0.0;
    for (size_t s = 0; s < t->S; s++)
        sum += sums[s];
    return t->tokens ? sum / (double)t->tokens : NAN;
}

double vq_trace_code_error(const struct vq_trace *t, int module, int head, size_t code)
{
    size_t at = head_at(t, module, head) * t->S + code;
    return t->count[at] ? t->rel_sum[at] / (double)t->count[at] : NAN;
}

const struct vq_metrics *vq_trace_metrics(const struct vq_trace *t)
{
    return &t->metrics;
}

/* ---- the ring ---- */

static size_t slot_of(const struct vq_trace *t, uint64_t serial)
{
    return (size_t)(serial % t->ring);
}

uint64_t vq_trace_first(const struct vq_trace *t)
{
    return t->end > t->ring ? t->end - t->ring : 0;
}

uint64_t vq_trace_end(const struct vq_trace *t)
{
    return t->end;
}

int32_t vq_trace_token(const struct vq_trace *t, uint64_t serial)
{
    return t->ring_token[slot_of(t, serial)];
}

int64_t vq_trace_position(const struct vq_trace *t, uint64_t serial)
{
    return t->ring_position[slot_of(t, serial)];
}

int32_t vq_trace_code(const struct vq_trace *t, uint64_t serial, int module, int head)
{
    return ring_get(t, head_at(t, module, head), slot_of(t, serial));
}

float vq_trace_rel(const struct vq_trace *t, uint64_t serial, int module, int head)
{
    return t->ring_rel[head_at(t, module, head) * t->ring + slot_of(t, serial)];
}

void vq_trace_recent(const struct vq_trace *t, int64_t first, size_t n, int32_t *tokens)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = -1;
    /* From the newest backwards, for as long as the positions run on. */
    for (uint64_t serial = t->end; serial > vq_trace_first(t); serial--) {
        int64_t position = vq_trace_position(t, serial - 1);
        if (serial < t->end && position + 1 != vq_trace_position(t, serial))
            break;
        if (position < first)
            break;
        if ((uint64_t)(position - first) < n)
            tokens[position - first] = vq_trace_token(t, serial - 1);
    }
}

static bool follows(const struct vq_trace *t, uint64_t serial)
{
    return vq_trace_position(t, serial) == vq_trace_position(t, serial - 1) + 1;
}

size_t vq_trace_context(const struct vq_trace *t, uint64_t serial, size_t before, size_t after,
                        int32_t *tokens, size_t *at)
{
    uint64_t from = serial, to = serial + 1;
    while (from > vq_trace_first(t) && serial - from < before && follows(t, from))
        from--;
    while (to < t->end && to - serial <= after && follows(t, to))
        to++;
    for (uint64_t s = from; s < to; s++)
        tokens[s - from] = vq_trace_token(t, s);
    *at = (size_t)(serial - from);
    return (size_t)(to - from);
}

static int more_frequent(const void *a, const void *b)
{
    const struct vq_token_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

enum vq_status vq_trace_code_tokens(const struct vq_trace *t, int module, int head, size_t code,
                                    struct vq_token_count **list, size_t *n, struct vq_err *err)
{
    size_t vocab = (size_t)t->config.n_vocab, kept = 0;
    *list = NULL;
    *n = 0;
    struct vq_token_count *all = vq_calloc(vocab, sizeof(*all));
    if (!all)
        return vq_nomem(err, "counts of tokens", vocab, sizeof(*all));
    for (uint64_t s = vq_trace_first(t); s < t->end; s++) {
        struct vq_token_count *c = &all[vq_trace_token(t, s)];
        c->of++;
        c->count += (size_t)vq_trace_code(t, s, module, head) == code;
    }
    for (size_t i = 0; i < vocab; i++)
        if (all[i].count)
            all[kept++] = (struct vq_token_count){(int32_t)i, all[i].count, all[i].of};
    qsort(all, kept, sizeof(*all), more_frequent);
    *list = all;
    *n = kept;
    return VQ_OK;
}

static size_t latest_places(const struct vq_trace *t, int module, int head, size_t code,
                            uint64_t *out, size_t k)
{
    size_t n = 0;
    for (uint64_t s = t->end; s > vq_trace_first(t) && n < k; s--)
        if ((size_t)vq_trace_code(t, s - 1, module, head) == code)
            out[n++] = s - 1;
    return n;
}

size_t vq_trace_code_places(const struct vq_trace *t, int module, int head, size_t code,
                            enum vq_trace_pick pick, uint64_t *out, size_t k)
{
    uint64_t hits = 0, seen = 0;
    size_t n = 0;
    if (pick == VQ_PICK_LATEST)
        return latest_places(t, module, head, code, out, k);
    for (uint64_t s = vq_trace_first(t); s < t->end; s++)
        hits += (size_t)vq_trace_code(t, s, module, head) == code;
    uint64_t take = hits < k ? hits : k;
    /* Hit number i is taken when i * take / hits steps on: the first, and evenly from there. */
    for (uint64_t s = vq_trace_first(t); s < t->end && n < take; s++) {
        if ((size_t)vq_trace_code(t, s, module, head) != code)
            continue;
        if (seen * take / hits == n)
            out[n++] = s;
        seen++;
    }
    return n;
}
