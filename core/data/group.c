/*
 * group: text made into pieces, some 32 MB at a time, by all threads. The documents of an epoch are
 * a row of bytes in the epoch's order; long ones are encoded in parts of some 4 MB that end with a
 * line, since encoders want memory in proportion. In one pass in order the stream of tokens goes on
 * from group to group, so that sequences are those of the whole split packed together; in training
 * each group is packed for itself.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/data/kind.h"

#define GROUP_BYTES ((uint64_t)32 << 20)
#define PART_BYTES  ((uint64_t)4 << 20)
#define LINE_BYTES  ((size_t)1 << 16) /* how far a part may go on to end with a line */
#define DOCUMENTS   UINT64_MAX        /* stands for a group's number in the order of documents */

/* Part of a document, cut at [from, to) and not yet moved to the ends of lines. */
struct part {
    size_t doc;
    uint64_t from, to;
    bool last;       /* of its document */
    size_t at, size; /* its bytes in the group's text */
    int32_t *ids;
    size_t n;
    enum vq_status status;
};

struct vq_group {
    struct vq_data *d;
    uint64_t *docs; /* [docs.n] the epoch's order */
    bool loaded;
    uint64_t group; /* that is loaded */
    struct part *parts;
    size_t n_parts, cap_parts;
    char *text;
    size_t size, cap;
    int32_t *tokens;
    size_t n, cap_tokens;
    size_t used; /* tokens that went into whole sequences; the rest goes on in the next group */
};

enum vq_status vq_group_new(struct vq_group **out, struct vq_data *d, struct vq_err *err)
{
    struct vq_group *g = *out = vq_calloc(1, sizeof(*g));
    if (!g)
        return vq_nomem(err, "groups of text", 1, sizeof(*g));
    g->d = d;
    return VQ_OK;
}

static void drop_parts(struct vq_group *g)
{
    for (size_t i = 0; i < g->n_parts; i++)
        free(g->parts[i].ids);
    g->n_parts = 0;
}

void vq_group_free(struct vq_group *g)
{
    if (!g)
        return;
    drop_parts(g);
    free(g->docs);
    free(g->parts);
    free(g->text);
    free(g->tokens);
    free(g);
}

/* The buffer with room for n > 0 more elements than `used`; NULL when memory is out, and then it is
 * as it was. */
static void *grown(void *buffer, size_t *cap, size_t used, size_t n, size_t size)
{
    size_t want;
    if (n <= *cap - used)
        return buffer;
    if (!vq_add_ok(used, n, &want) || !vq_add_ok(want, want / 4, &want))
        return NULL;
    void *more = vq_realloc(buffer, want, size);
    if (more)
        *cap = want;
    return more;
}

/* ---- which text ---- */

static enum vq_status order_docs(struct vq_group *g, uint64_t epoch, struct vq_err *err)
{
    const struct vq_data *d = g->d;
    free(g->docs);
    g->docs = d->o.shuffled ? vq_data_order(d->docs.n, d->seed, epoch, DOCUMENTS)
                            : vq_alloc(d->docs.n, sizeof(*g->docs));
    if (!g->docs)
        return vq_nomem(err, "the order of documents", d->docs.n, sizeof(*g->docs));
    for (size_t i = 0; !d->o.shuffled && i < d->docs.n; i++)
        g->docs[i] = i;
    return VQ_OK;
}

/* A walk along the parts of an epoch. */
struct walk {
    size_t doc; /* in the epoch's order */
    uint64_t offset;
};

/* The next part, unless there is none or it would bring the group of `bytes` over its size. */
static bool next_part(const struct vq_group *g, struct walk *w, uint64_t *bytes, struct part *out)
{
    const struct vq_docs *docs = &g->d->docs;
    uint64_t most = g->d->o.group_bytes ? g->d->o.group_bytes : GROUP_BYTES;
    if (w->doc == docs->n)
        return false;
    size_t doc = (size_t)g->docs[w->doc];
    uint64_t left = vq_docs_size(docs, doc) - w->offset;
    uint64_t part = most < PART_BYTES ? most : PART_BYTES, size = left < part ? left : part;
    if (*bytes > 0 && *bytes + size > most)
        return false;
    *out =
        (struct part){.doc = doc, .from = w->offset, .to = w->offset + size, .last = size == left};
    *bytes += size;
    w->offset += size;
    if (out->last)
        *w = (struct walk){.doc = w->doc + 1};
    return true;
}

/* Lists the parts of a group. */
static enum vq_status plan(struct vq_group *g, uint64_t group, bool *more, struct vq_err *err)
{
    struct walk w = {0};
    struct part p;
    drop_parts(g);
    for (uint64_t i = 0; i <= group; i++) {
        uint64_t bytes = 0;
        if (w.doc == g->d->docs.n)
            return vq_fail(err, VQ_EINVAL, "%s: no such place: an epoch has %" PRIu64 " groups",
                           g->d->docs.path, i);
        while (next_part(g, &w, &bytes, &p)) {
            if (i < group)
                continue;
            struct part *parts = grown(g->parts, &g->cap_parts, g->n_parts, 1, sizeof(p));
            if (!parts)
                return vq_nomem(err, "parts of a group", g->n_parts + 1, sizeof(p));
            g->parts = parts;
            g->parts[g->n_parts++] = p;
        }
    }
    *more = w.doc < g->d->docs.n;
    return VQ_OK;
}

/* ---- its bytes ---- */

static enum vq_status read_doc(struct vq_group *g, size_t doc, uint64_t offset, size_t n,
                               struct vq_err *err)
{
    struct vq_docs *docs = &g->d->docs;
    if (n == 0)
        return VQ_OK;
    char *text = grown(g->text, &g->cap, g->size, n, 1);
    if (!text)
        return vq_nomem(err, "text of a group", g->size + n, 1);
    g->text = text;
    enum vq_status st = docs->kind->read(docs, doc, offset, n, text + g->size, g->d->o.cancel, err);
    if (!st)
        g->size += n;
    return st;
}

/* Moves a cut inside a document to behind the end of its line, or, when that is far, to where a
 * character begins. The same cut moves to the same place from either side. */
static enum vq_status move_cut(struct vq_group *g, size_t doc, uint64_t *cut, struct vq_err *err)
{
    uint64_t left = vq_docs_size(&g->d->docs, doc) - *cut;
    size_t n = left < LINE_BYTES ? (size_t)left : LINE_BYTES, i = 0;
    if (*cut == 0 || left == 0)
        return VQ_OK;
    enum vq_status st = read_doc(g, doc, *cut, n, err);
    if (st)
        return st;
    g->size -= n;
    const char *text = g->text + g->size, *line = memchr(text, '\n', n);
    while (!line && i < n && ((uint8_t)text[i] & 0xc0) == 0x80)
        i++;
    *cut += line ? (uint64_t)(line - text) + 1 : i;
    return VQ_OK;
}

/* A document may be part of a file, cut at any byte: a character cut in two is left out. */
static void trim(const char *text, size_t *at, size_t *size)
{
    uint32_t cp;
    size_t back = 1;
    for (size_t i = 0; i < 3 && *size > 0 && ((uint8_t)text[*at] & 0xc0) == 0x80; i++) {
        ++*at;
        --*size;
    }
    while (back < 4 && back < *size && ((uint8_t)text[*at + *size - back] & 0xc0) == 0x80)
        back++;
    if (*size >= back && vq_utf8_next(text + *at + *size - back, back, &cp) == 0)
        *size -= back;
}

static enum vq_status read_part(struct vq_group *g, struct part *p, struct vq_err *err)
{
    uint64_t from = p->from, to = p->to;
    enum vq_status st = move_cut(g, p->doc, &from, err);
    if (!st)
        st = move_cut(g, p->doc, &to, err);
    p->at = g->size;
    p->size = to > from ? (size_t)(to - from) : 0;
    if (!st)
        st = read_doc(g, p->doc, from, p->size, err);
    if (!st)
        trim(g->text, &p->at, &p->size);
    return st;
}

/* ---- its tokens ---- */

static enum vq_status encode(const struct vq_group *g, struct part *p, struct vq_err *err)
{
    if (vq_cancelled(g->d->o.cancel))
        return vq_fail(err, VQ_ECANCELLED, "making pieces was cancelled");
    if (p->size == 0)
        return VQ_OK;
    return vq_vocab_encode(g->d->o.vocab, g->text + p->at, p->size, &p->ids, &p->n, err);
}

static void encode_task(void *ud, size_t task, int worker)
{
    (void)worker;
    struct vq_group *g = ud;
    g->parts[task].status = encode(g, &g->parts[task], NULL);
}

/* The first part that failed says why, when it is tried again. */
static enum vq_status encode_all(struct vq_group *g, struct vq_err *err)
{
    const struct vq_docs *docs = &g->d->docs;
    vq_pool_run(g->d->o.pool, g->n_parts, encode_task, g);
    for (size_t i = 0; i < g->n_parts; i++) {
        struct part *p = &g->parts[i];
        enum vq_status st = p->status ? encode(g, p, err) : VQ_OK;
        if (!st)
            continue;
        const char *file = docs->kind->file ? docs->kind->file(docs, p->doc) : docs->path;
        vq_err_prefix(err, "%s, from byte %" PRIu64, file, p->from);
        return st;
    }
    return VQ_OK;
}

static enum vq_status join(struct vq_group *g, struct vq_err *err)
{
    bool eos = g->d->docs.kind->eos;
    for (size_t i = 0; i < g->n_parts; i++) {
        struct part *p = &g->parts[i];
        int32_t *tokens = grown(g->tokens, &g->cap_tokens, g->n, p->n + 1, sizeof(*tokens));
        if (!tokens)
            return vq_nomem(err, "tokens of a group", g->n + p->n + 1, sizeof(*tokens));
        g->tokens = tokens;
        if (p->n)
            memcpy(g->tokens + g->n, p->ids, p->n * sizeof(*g->tokens));
        g->n += p->n;
        if (eos && p->last)
            g->tokens[g->n++] = VQ_EOS;
    }
    drop_parts(g);
    return VQ_OK;
}

/* Keeps what the group before left over, or nothing. */
static void carry(struct vq_group *g, bool keep)
{
    g->n = keep ? g->n - g->used : 0;
    if (g->n)
        memmove(g->tokens, g->tokens + g->used, g->n * sizeof(*g->tokens));
    g->used = 0;
}

static enum vq_status make(struct vq_group *g, uint64_t group, bool *more, struct vq_err *err)
{
    size_t T = g->d->o.sequence_len;
    bool goes_on = !g->d->o.shuffled && group > 0;
    enum vq_status st = plan(g, group, more, err);
    g->loaded = false;
    carry(g, goes_on);
    g->size = 0;
    for (size_t i = 0; !st && i < g->n_parts; i++)
        st = read_part(g, &g->parts[i], err);
    if (!st)
        st = encode_all(g, err);
    if (!st)
        st = join(g, err);
    if (st)
        return st;
    g->used = !g->d->o.shuffled && *more ? g->n / T * T : g->n;
    g->loaded = true;
    g->group = group;
    return VQ_OK;
}

enum vq_status vq_group_load(struct vq_group *g, uint64_t epoch, uint64_t group,
                             uint64_t *n_sequences, bool *more, struct vq_err *err)
{
    size_t T = g->d->o.sequence_len;
    uint64_t first = group;
    /* In one pass what the groups before left over has to be known. */
    if (!g->d->o.shuffled)
        first = g->loaded && g->group + 1 == group ? group : 0;
    enum vq_status st = order_docs(g, epoch, err);
    for (uint64_t i = first; !st && i <= group; i++)
        st = make(g, i, more, err);
    *n_sequences = st ? 0 : g->used / T + (g->used % T != 0);
    return st;
}

void vq_group_read(const struct vq_group *g, uint64_t i, int32_t *targets)
{
    size_t T = g->d->o.sequence_len, from = (size_t)i * T;
    size_t n = g->used - from < T ? g->used - from : T;
    memcpy(targets, g->tokens + from, n * sizeof(*targets));
    memset(targets + n, 0, (T - n) * sizeof(*targets)); /* VQ_PAD */
}
