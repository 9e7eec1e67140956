/*
 * The Flax side of an audit: one MessagePack document, walked head by head with nothing built from
 * it. Arrays are ext values of type 1 or 3 whose payload is MessagePack again, [shape, dtype,
 * bytes]; the bytes are data, all else is structure. A walk that cannot go on says where.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/inspect/audit_private.h"

#define DEPTH_MAX 32
#define CHUNKED   "__msgpack_chunked_array__"

struct walk {
    struct vq_auditing *g;
    size_t at;
    size_t end; /* of what may be read: the file, or an array's payload */
    int depth;
    bool stop; /* damaged: nothing more can be known */
    char path[640];
    size_t len;
    int rank;                   /* of the chunked array ... */
    int64_t shape[VQ_MAX_RANK]; /* ... that was just walked */
};

enum form {
    FORM_NIL,
    FORM_BOOL,
    FORM_INT,
    FORM_FLOAT,
    FORM_TEXT,
    FORM_BYTES,
    FORM_ARRAY,
    FORM_MAP,
    FORM_EXT
};

struct head {
    enum form form;
    uint64_t n; /* members, pairs, bytes, or the value of an unsigned integer */
    int ext;    /* type */
};

static void damaged(struct walk *w, const char *what)
{
    if (!w->stop)
        vq_audit_add(w->g, VQ_AUDIT_DAMAGED, w->at, "%s%s%s at byte %zu", w->path,
                     w->len ? ": " : "", what, w->at);
    w->stop = true;
}

/* The big-endian number of `width` bytes that comes next. */
static uint64_t number(struct walk *w, size_t width)
{
    uint64_t x = 0;
    if (w->stop || width > w->end - w->at) {
        damaged(w, "the file is cut");
        return 0;
    }
    for (size_t i = 0; i < width; i++)
        x = x << 8 | w->g->data[w->at + i];
    w->at += width;
    return x;
}

/* The forms 0xc0 to 0xdf: what they are and how wide the number behind the byte is; a width of 16
 * and up is that of bytes to pass over, plus 16. */
static const struct {
    uint8_t form, width;
} forms[32] = {
    {FORM_NIL, 0},       {255, 0},           {FORM_BOOL, 0},       {FORM_BOOL, 0},
    {FORM_BYTES, 1},     {FORM_BYTES, 2},    {FORM_BYTES, 4},      {FORM_EXT, 1},
    {FORM_EXT, 2},       {FORM_EXT, 4},      {FORM_FLOAT, 16 + 4}, {FORM_FLOAT, 16 + 8},
    {FORM_INT, 1},       {FORM_INT, 2},      {FORM_INT, 4},        {FORM_INT, 8},
    {FORM_INT, 16 + 1},  {FORM_INT, 16 + 2}, {FORM_INT, 16 + 4},   {FORM_INT, 16 + 8},
    {FORM_EXT, 16 + 1},  {FORM_EXT, 16 + 2}, {FORM_EXT, 16 + 4},   {FORM_EXT, 16 + 8},
    {FORM_EXT, 16 + 16}, {FORM_TEXT, 1},     {FORM_TEXT, 2},       {FORM_TEXT, 4},
    {FORM_ARRAY, 2},     {FORM_ARRAY, 4},    {FORM_MAP, 2},        {FORM_MAP, 4},
};

static struct head wide_head(struct walk *w, uint8_t first)
{
    uint8_t form = forms[first - 0xc0].form, width = forms[first - 0xc0].width;
    struct head h = {.form = (enum form)form};
    if (form == 255) {
        w->at--;
        damaged(w, "a byte that begins nothing");
        return h;
    }
    if (width >= 16 && form == FORM_EXT)
        h.n = width - 16u;
    else if (width >= 16)
        number(w, width - 16u); /* floats and negative integers: their value is not needed */
    else
        h.n = number(w, width);
    if (form == FORM_EXT)
        h.ext = (int8_t)number(w, 1);
    return h;
}

static struct head read_head(struct walk *w)
{
    uint8_t first = (uint8_t)number(w, 1);
    if (w->stop)
        return (struct head){0};
    if (first < 0x80 || first >= 0xe0)
        return (struct head){.form = FORM_INT, .n = first};
    if (first < 0xa0)
        return (struct head){.form = first < 0x90 ? FORM_MAP : FORM_ARRAY, .n = first & 15u};
    if (first < 0xc0)
        return (struct head){.form = FORM_TEXT, .n = first & 31u};
    return wide_head(w, first);
}

/* Passes over n bytes and returns where they begin; 0 when they are not there. */
static size_t pass(struct walk *w, uint64_t n)
{
    size_t at = w->at;
    if (w->stop || n > w->end - w->at) {
        damaged(w, "the file is cut");
        return 0;
    }
    w->at += (size_t)n;
    return at;
}

static void visit(struct walk *w);

/* ---- arrays ---- */

static void read_shape(struct walk *w, struct vq_audit_tensor *t)
{
    struct head h = read_head(w);
    if (h.form != FORM_ARRAY || h.n > VQ_MAX_RANK)
        damaged(w, "an array's shape is no list of at most 8 numbers");
    for (uint64_t i = 0; !w->stop && i < h.n; i++) {
        struct head dim = read_head(w);
        if (dim.form != FORM_INT || dim.n > INT64_MAX)
            damaged(w, "a dimension is no number");
        t->shape[t->rank++] = (int64_t)dim.n;
    }
}

static enum vq_dtype dtype_named(const char *name, size_t n)
{
    for (int i = 0; i < VQ_NONE; i++) {
        const char *known = vq_dtype_name((enum vq_dtype)i);
        if (strlen(known) == n && memcmp(known, name, n) == 0)
            return (enum vq_dtype)i;
    }
    return VQ_NONE;
}

static void read_dtype(struct walk *w, struct vq_audit_tensor *t)
{
    struct head h = read_head(w);
    size_t at = pass(w, h.n);
    t->dtype = VQ_NONE;
    if (!w->stop && h.form == FORM_TEXT)
        t->dtype = dtype_named((const char *)w->g->data + at, (size_t)h.n);
    if (t->dtype == VQ_NONE)
        damaged(w, "an array of an unknown dtype");
}

/* The payload of an array that ends at `end`. */
static void read_array(struct walk *w, size_t end)
{
    static const char params[] = "params/";
    bool is_param = strncmp(w->path, params, sizeof(params) - 1) == 0;
    struct vq_audit_tensor t = {.name = w->path + (is_param ? sizeof(params) - 1 : 0), .chunks = 1};
    uint64_t want = 0;
    size_t outer = w->end;
    w->end = end;
    struct head list = read_head(w);
    if (list.form != FORM_ARRAY || list.n != 3)
        damaged(w, "an array's payload is not [shape, dtype, bytes]");
    read_shape(w, &t);
    read_dtype(w, &t);
    struct head bytes = read_head(w);
    if (bytes.form != FORM_BYTES)
        damaged(w, "an array without bytes");
    t.begin = pass(w, bytes.n);
    t.end = w->at;
    t.bytes = bytes.n;
    if (!w->stop && w->at != end)
        vq_audit_add(w->g, VQ_AUDIT_TRAILING, w->at, "%s: %zu bytes behind its data", t.name,
                     end - w->at);
    w->end = outer;
    if (w->stop)
        return;
    w->at = end;
    t.aligned = t.begin % vq_dtype_size(t.dtype) == 0;
    if (!vq_audit_measure(&t, &want) || want != t.bytes)
        vq_audit_add(w->g, VQ_AUDIT_SIZE, t.begin,
                     "%s: %" PRIu64 " bytes are stored, shape and dtype ask for %" PRIu64, t.name,
                     t.bytes, want);
    w->g->a->data += t.bytes;
    vq_audit_tensor(w->g, &t);
}

static void visit_ext(struct walk *w, const struct head *h)
{
    size_t begin = w->at, end = begin + (size_t)h->n;
    pass(w, h->n);
    if (w->stop || (h->ext != 1 && h->ext != 3))
        return;
    w->at = begin;
    read_array(w, end);
}

/* ---- chunked arrays: a map {mark: true, chunks: {...}, shape: {...}} ---- */

/* The numbers of a chunked array's shape, a map "0", "1", ... or a list. */
static void visit_chunked_shape(struct walk *w)
{
    struct head h = read_head(w);
    w->rank = 0;
    if ((h.form != FORM_MAP && h.form != FORM_ARRAY) || h.n > VQ_MAX_RANK)
        damaged(w, "a chunked array's shape is no list of numbers");
    for (uint64_t i = 0; !w->stop && i < h.n; i++) {
        struct head key = {.n = i};
        if (h.form == FORM_MAP) {
            key = read_head(w);
            size_t at = pass(w, key.n);
            key.n = !w->stop && key.n == 1 ? (uint64_t)(w->g->data[at] - '0') : VQ_MAX_RANK;
        }
        struct head dim = read_head(w);
        if (key.n >= h.n || dim.form != FORM_INT)
            damaged(w, "a chunked array's shape is no list of numbers");
        else
            w->shape[key.n] = (int64_t)dim.n;
    }
    w->rank = (int)h.n;
}

/* Makes one tensor of the pieces that were added from `first` on. */
static void join_chunks(struct walk *w, size_t first)
{
    struct vq_audit *a = w->g->a;
    uint64_t want = 0;
    if (first >= a->n_tensor || w->stop)
        return;
    struct vq_audit_tensor *t = &a->tensor[first];
    char *tail = strstr(t->name, "/chunks/");
    if (tail)
        *tail = '\0';
    if (a->n_tensor - first > 1) /* one piece alone is looked at like any other tensor */
        vq_audit_numbers(w->g, t, t);
    for (size_t i = first + 1; i < a->n_tensor; i++) {
        vq_audit_numbers(w->g, &a->tensor[i], t);
        t->bytes += a->tensor[i].bytes;
        t->end = a->tensor[i].end;
        t->aligned = t->aligned && a->tensor[i].aligned;
        free(a->tensor[i].name);
    }
    t->chunks = a->n_tensor - first;
    a->n_tensor = first + 1;
    t->rank = w->rank;
    memcpy(t->shape, w->shape, sizeof(t->shape));
    if (!vq_audit_measure(t, &want) || want != t->bytes)
        vq_audit_add(w->g, VQ_AUDIT_SIZE, t->begin,
                     "%s: its pieces have %" PRIu64 " bytes, its shape asks for %" PRIu64, t->name,
                     t->bytes, want);
}

/* ---- maps and lists ---- */

/* Visits what comes next under a name. */
static void visit_member(struct walk *w, const char *key, size_t n)
{
    size_t back = w->len;
    if (n + 2 > sizeof(w->path) - w->len) {
        damaged(w, "names nested too long");
        return;
    }
    if (back > 0)
        w->path[w->len++] = '/';
    for (size_t i = 0; i < n; i++)
        w->path[w->len++] = (uint8_t)key[i] < 0x20 || key[i] == 0x7f ? '?' : key[i];
    w->path[w->len] = '\0';
    visit(w);
    w->len = back;
    w->path[back] = '\0';
}

struct key {
    const char *text;
    size_t n;
};

/* Keys rise in byte order; two equal ones name one thing twice. */
static void check_keys(struct walk *w, const struct key *last, const struct key *key)
{
    size_t n = last->n < key->n ? last->n : key->n;
    int order = memcmp(last->text, key->text, n);
    if (order == 0 && last->n == key->n)
        vq_audit_add(w->g, VQ_AUDIT_DUPLICATE, w->at, "%s has the key %.*s twice", w->path,
                     (int)(key->n < 80 ? key->n : 80), key->text);
    else if (order > 0 || (order == 0 && last->n > key->n))
        vq_audit_add(w->g, VQ_AUDIT_ORDER, w->at, "%s has the key %.*s behind a later one", w->path,
                     (int)(key->n < 80 ? key->n : 80), key->text);
}

static bool is(const struct key *key, const char *text)
{
    return key->n == strlen(text) && memcmp(key->text, text, key->n) == 0;
}

static void visit_map(struct walk *w, uint64_t pairs)
{
    struct key last = {"", 0};
    size_t first = w->g->a->n_tensor;
    bool chunked = false;
    for (uint64_t i = 0; !w->stop && i < pairs; i++) {
        struct head h = read_head(w);
        size_t at = pass(w, h.form == FORM_TEXT ? h.n : 0);
        if (!w->stop && h.form != FORM_TEXT)
            damaged(w, "a key that is no text");
        if (w->stop)
            return;
        struct key key = {(const char *)w->g->data + at, (size_t)h.n};
        chunked = chunked || is(&key, CHUNKED);
        if (i > 0 && !chunked) /* their writer sorts all maps but these */
            check_keys(w, &last, &key);
        last = key;
        if (chunked && is(&key, "shape"))
            visit_chunked_shape(w);
        else
            visit_member(w, key.text, key.n);
    }
    if (chunked)
        join_chunks(w, first);
}

static void visit_list(struct walk *w, uint64_t members)
{
    char key[24];
    for (uint64_t i = 0; !w->stop && i < members; i++) {
        int n = snprintf(key, sizeof(key), "%" PRIu64, i);
        visit_member(w, key, (size_t)n);
    }
}

/* Walks the value at w->at. The recursion ends at DEPTH_MAX. */
static void visit(struct walk *w)
{
    struct head h = read_head(w);
    if (w->stop)
        return;
    if (++w->depth > DEPTH_MAX)
        damaged(w, "nested too deep");
    else if (h.form == FORM_MAP)
        visit_map(w, h.n);
    else if (h.form == FORM_ARRAY)
        visit_list(w, h.n);
    else if (h.form == FORM_EXT)
        visit_ext(w, &h);
    else if (h.form == FORM_TEXT || h.form == FORM_BYTES)
        pass(w, h.n);
    w->depth--;
}

void vq_audit_flax(struct vq_auditing *g)
{
    struct walk w = {.g = g, .end = g->size};
    snprintf(g->a->format, sizeof(g->a->format), "flax");
    visit(&w);
    g->a->structure = w.at - g->a->data;
    if (!w.stop && w.at < g->size)
        vq_audit_add(g, VQ_AUDIT_TRAILING, w.at, "%zu bytes behind the document", g->size - w.at);
}
