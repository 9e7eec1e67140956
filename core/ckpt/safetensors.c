/*
 * safetensors: 8 bytes of header length (little-endian), a JSON header, then the tensors' bytes:
 * {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [..], "data_offsets":
 * [begin, end]}, ...}, offsets counted from the end of the header.
 *
 * What is accepted is what the format's own specification asks for, so that a file means the same
 * to everybody: the tensors cover all bytes after the header, with no gap and no overlap.
 */
#include "core/ckpt/format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"

#define PREFIX     8                     /* bytes of the header's length */
#define HEADER_MAX ((uint64_t)100000000) /* the reference implementation's own limit */
#define METADATA   "__metadata__"
#define EMPTY      "empty" /* our metadata key: a JSON array of the names of VQ_NONE tensors */

static const char *const dtype_names[] = {
    [VQ_F32] = "F32", [VQ_BF16] = "BF16", [VQ_F16] = "F16",   [VQ_F64] = "F64",  [VQ_I8] = "I8",
    [VQ_U8] = "U8",   [VQ_I16] = "I16",   [VQ_U16] = "U16",   [VQ_I32] = "I32",  [VQ_U32] = "U32",
    [VQ_I64] = "I64", [VQ_U64] = "U64",   [VQ_BOOL] = "BOOL", [VQ_NONE] = "F32", /* written with
                                                                                    shape [0] */
};

_Static_assert(sizeof(dtype_names) / sizeof(dtype_names[0]) == VQ_NONE + 1, "every dtype has one");

/* Where a tensor's bytes lie, from the end of the header. */
struct extent {
    uint64_t begin, end;
    size_t tensor; /* index into the checkpoint's tensors, before they are sorted */
};

static uint64_t header_length(const uint8_t *data)
{
    uint64_t n;
    memcpy(&n, data, sizeof(n));
    return n;
}

bool vq_safetensors_matches(const uint8_t *data, size_t size)
{
    return size > PREFIX && data[PREFIX] == '{' && header_length(data) <= UINT32_MAX;
}

static enum vq_status read_dtype(struct vq_tensor *t, const struct vq_json_node *n,
                                 struct vq_err *err)
{
    if (!n || vq_json_kind(n) != VQ_JSON_STRING)
        return vq_fail(err, VQ_EFORMAT, "has no text \"dtype\"");
    for (int i = 0; i < VQ_NONE; i++)
        if (strcmp(dtype_names[i], vq_json_string(n)) == 0) {
            t->dtype = (enum vq_dtype)i;
            return VQ_OK;
        }
    return vq_fail(err, VQ_EUNSUPPORTED, "tensors of dtype \"%.24s\" are not read here",
                   vq_json_string(n));
}

static enum vq_status read_shape(struct vq_tensor *t, const struct vq_json_node *n,
                                 struct vq_err *err)
{
    if (!n || vq_json_kind(n) != VQ_JSON_ARRAY)
        return vq_fail(err, VQ_EFORMAT, "has no array \"shape\"");
    for (n = vq_json_first(n); n; n = vq_json_next(n)) {
        if (t->rank == VQ_MAX_RANK)
            return vq_fail(err, VQ_EFORMAT, "has more than %d dimensions", VQ_MAX_RANK);
        if (!vq_json_int(n, &t->shape[t->rank++]))
            return vq_fail(err, VQ_EFORMAT, "dimension %d is no integer", t->rank - 1);
    }
    return VQ_OK;
}

static enum vq_status read_extent(struct extent *e, const struct vq_json_node *n,
                                  struct vq_err *err)
{
    int64_t begin, end;
    const struct vq_json_node *first = n ? vq_json_first(n) : NULL;
    const struct vq_json_node *second = first ? vq_json_next(first) : NULL;
    if (!second || vq_json_kind(n) != VQ_JSON_ARRAY || vq_json_next(second) ||
        !vq_json_int(first, &begin) || !vq_json_int(second, &end))
        return vq_fail(err, VQ_EFORMAT, "\"data_offsets\" are not two integers");
    if (begin < 0 || end < begin)
        return vq_fail(err, VQ_EFORMAT, "data_offsets [%" PRId64 ", %" PRId64 "] are not in order",
                       begin, end);
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    return VQ_OK;
}

static enum vq_status read_entry(struct vq_ckpt *c, struct extent *e, const struct vq_json_node *n,
                                 struct vq_err *err)
{
    struct vq_tensor t = {.name = vq_json_key(n), .is_param = !vq_name_is_state(vq_json_key(n))};
    enum vq_status status = read_dtype(&t, vq_json_get(n, "dtype"), err);
    if (status == VQ_OK)
        status = read_shape(&t, vq_json_get(n, "shape"), err);
    if (status == VQ_OK)
        status = read_extent(e, vq_json_get(n, "data_offsets"), err);
    if (status == VQ_OK)
        status = vq_tensor_measure(&t, err);
    char shape[256];
    if (status == VQ_OK && e->end - e->begin != t.bytes)
        status = vq_fail(err, VQ_EFORMAT, "%s %s has %zu bytes, but its offsets span %" PRIu64,
                         vq_dtype_name(t.dtype), vq_tensor_shape(&t, shape, sizeof(shape)), t.bytes,
                         e->end - e->begin);
    e->tensor = c->count;
    if (status == VQ_OK)
        status = vq_ckpt_add(c, &t, err);
    else
        vq_err_prefix(err, "tensor %.*s", VQ_NAME_MAX / 4, t.name);
    return status;
}

static enum vq_status read_metadata(struct vq_ckpt *c, const struct vq_json_node *n,
                                    struct vq_err *err)
{
    size_t count = 0;
    if (vq_json_kind(n) != VQ_JSON_OBJECT)
        return vq_fail(err, VQ_EFORMAT, METADATA " is %s, not an object",
                       vq_json_kind_name(vq_json_kind(n)));
    for (const struct vq_json_node *m = vq_json_first(n); m; m = vq_json_next(m))
        count++;
    c->meta = vq_ckpt_own(c, count, sizeof(*c->meta));
    if (!c->meta)
        return vq_nomem(err, "metadata", count, sizeof(*c->meta));
    for (const struct vq_json_node *m = vq_json_first(n); m; m = vq_json_next(m)) {
        if (vq_json_kind(m) != VQ_JSON_STRING)
            return vq_fail(err, VQ_EFORMAT, METADATA " \"%.80s\" is %s, not a text", vq_json_key(m),
                           vq_json_kind_name(vq_json_kind(m)));
        const char *key = vq_json_key(m), *value = vq_json_string(m);
        struct vq_meta *entry = &c->meta[c->n_meta++];
        entry->key = vq_ckpt_own_text(c, key, strlen(key));
        entry->value = vq_ckpt_own_text(c, value, strlen(value));
        if (!entry->key || !entry->value)
            return vq_nomem(err, "metadata", strlen(value) + 1, 1);
    }
    return VQ_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* All n extents lie in the file, side by side, and fill it; then the tensors get their data. */
static enum vq_status place(struct vq_ckpt *c, struct extent *e, size_t n, size_t header,
                            struct vq_err *err)
{
    uint64_t room = c->file.size - header, at = 0;
    qsort(e, n, sizeof(*e), by_offset);
    for (size_t i = 0; i < n; i++) {
        struct vq_tensor *t = &c->tensors[e[i].tensor];
        if (e[i].begin != at)
            return vq_fail(err, VQ_EFORMAT,
                           "tensor %s begins at offset %" PRIu64 ", expected %" PRIu64
                           " where the one before it ends: %s",
                           t->name, e[i].begin, at, e[i].begin < at ? "an overlap" : "a gap");
        at = e[i].end;
    }
    if (at > room)
        return vq_fail(err, VQ_EFORMAT, "cut short: expected %" PRIu64 " bytes, found %zu",
                       at + header, c->file.size);
    if (at < room)
        return vq_fail(err, VQ_EFORMAT,
                       "%" PRIu64 " bytes follow the last tensor: expected %" PRIu64
                       " bytes, found %zu",
                       room - at, at + header, c->file.size);
    for (size_t i = 0; i < n; i++)
        c->tensors[e[i].tensor].data = c->file.data + header + e[i].begin;
    return VQ_OK;
}

static enum vq_status make_empty(struct vq_ckpt *c, const struct vq_json_node *name,
                                 struct vq_err *err)
{
    if (vq_json_kind(name) != VQ_JSON_STRING)
        return vq_fail(err, VQ_EFORMAT, "metadata \"" EMPTY "\" is no list of names");
    const struct vq_tensor *t = vq_ckpt_find(c, vq_json_string(name));
    if (!t || t->rank != 1 || t->count != 0)
        return vq_fail(err, VQ_EFORMAT,
                       "metadata \"" EMPTY "\" names %.80s, which is no tensor of shape [0]",
                       vq_json_string(name));
    c->tensors[t - c->tensors] = vq_tensor_none(t->name, t->is_param);
    return VQ_OK;
}

/* Turns the tensors that stand for empty optimiser states back into what they were. */
static enum vq_status restore_empty(struct vq_ckpt *c, struct vq_err *err)
{
    const char *list = vq_ckpt_meta(c, EMPTY);
    struct vq_json *doc;
    if (!list)
        return VQ_OK;
    enum vq_status status = vq_ckpt_sort(c, err);
    if (status != VQ_OK)
        return status;
    status = vq_json_parse(&doc, list, strlen(list), err);
    if (status != VQ_OK) {
        vq_err_prefix(err, "metadata \"" EMPTY "\"");
        return status;
    }
    const struct vq_json_node *root = vq_json_root(doc);
    if (vq_json_kind(root) != VQ_JSON_ARRAY)
        status = vq_fail(err, VQ_EFORMAT, "metadata \"" EMPTY "\" is no list of names");
    else
        for (root = vq_json_first(root); root && status == VQ_OK; root = vq_json_next(root))
            status = make_empty(c, root, err);
    vq_json_free(doc);
    return status;
}

/* All of the header's members, whose end is at byte `header` of the file. */
static enum vq_status read_header(struct vq_ckpt *c, const struct vq_json_node *root, size_t header,
                                  struct vq_err *err)
{
    size_t members = 0, n = 0;
    for (const struct vq_json_node *m = vq_json_first(root); m; m = vq_json_next(m))
        members++;
    struct extent *extents = vq_alloc(members, sizeof(*extents));
    if (!extents)
        return vq_nomem(err, "tensor list", members, sizeof(*extents));
    enum vq_status status = VQ_OK;
    for (const struct vq_json_node *m = vq_json_first(root); m && status == VQ_OK;
         m = vq_json_next(m)) {
        if (strcmp(vq_json_key(m), METADATA) == 0)
            status = read_metadata(c, m, err);
        else
            status = read_entry(c, &extents[n++], m, err);
    }
    if (status == VQ_OK)
        status = place(c, extents, n, header, err);
    free(extents);
    if (status == VQ_OK)
        status = restore_empty(c, err);
    return status == VQ_OK ? vq_scales_join(c, err) : status;
}

static enum vq_status check_length(const struct vq_ckpt *c, struct vq_err *err)
{
    size_t size = c->file.size;
    if (size <= PREFIX)
        return vq_fail(err, VQ_EFORMAT,
                       "cut short: expected the header's length and a header, found %zu bytes",
                       size);
    uint64_t length = header_length(c->file.data);
    if (length > HEADER_MAX)
        return vq_fail(err, VQ_EFORMAT,
                       "its safetensors header would have %" PRIu64 " bytes; at most %" PRIu64
                       " are taken (the file has %zu)",
                       length, HEADER_MAX, size);
    if (length > size - PREFIX)
        return vq_fail(err, VQ_EFORMAT,
                       "cut short: its safetensors header alone ends at byte %" PRIu64
                       ", found %zu bytes",
                       length + PREFIX, size);
    if (c->file.data[PREFIX] != '{')
        return vq_fail(err, VQ_EFORMAT, "its safetensors header does not begin with '{'");
    return VQ_OK;
}

enum vq_status vq_safetensors_read(struct vq_ckpt *c, struct vq_err *err)
{
    enum vq_status status = check_length(c, err);
    if (status != VQ_OK)
        return status;
    size_t length = (size_t)header_length(c->file.data);
    struct vq_json *doc;
    status = vq_json_parse(&doc, (const char *)c->file.data + PREFIX, length, err);
    if (status == VQ_OK)
        status = read_header(c, vq_json_root(doc), PREFIX + length, err);
    else
        vq_err_prefix(err, "the safetensors header");
    vq_json_free(doc);
    return status;
}

static void put_string(struct vq_text *out, const char *s)
{
    vq_text_json_string(out, s, strlen(s));
}

/* Larger items first, so that each tensor is aligned to its own although no gaps are allowed. */
static const size_t item_sizes[] = {8, 4, 2, 1, 0};
#define N_SIZES (sizeof(item_sizes) / sizeof(item_sizes[0]))

/* begins[i] = offset of t[i]; false when the sum overflows. */
static bool lay_out(const struct vq_tensor *t, size_t n, size_t *begins)
{
    size_t at = 0;
    for (size_t k = 0; k < N_SIZES; k++)
        for (size_t i = 0; i < n; i++) {
            if (vq_dtype_size(t[i].dtype) != item_sizes[k])
                continue;
            begins[i] = at;
            if (!vq_add_ok(at, t[i].bytes, &at))
                return false;
        }
    return true;
}

static void put_empty(struct vq_text *out, const struct vq_tensor *t, size_t n)
{
    struct vq_text list = {0};
    for (size_t i = 0; i < n; i++)
        if (t[i].dtype == VQ_NONE) {
            vq_text_puts(&list, list.len ? "," : "[");
            put_string(&list, t[i].name);
        }
    if (list.len) {
        vq_text_puts(&list, "]");
        out->failed = out->failed || list.failed;
        put_string(out, EMPTY);
        vq_text_puts(out, ":");
        put_string(out, list.failed ? "" : list.data);
    }
    out->failed = out->failed || list.failed;
    vq_text_release(&list);
}

static bool has_empty(const struct vq_tensor *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].dtype == VQ_NONE)
            return true;
    return false;
}

static void put_metadata(struct vq_text *out, const struct vq_tensor *t, size_t n,
                         const struct vq_meta *meta, size_t n_meta)
{
    put_string(out, METADATA);
    vq_text_puts(out, ":{");
    for (size_t i = 0; i < n_meta; i++) {
        vq_text_puts(out, i ? "," : "");
        put_string(out, meta[i].key);
        vq_text_puts(out, ":");
        put_string(out, meta[i].value);
    }
    vq_text_puts(out, n_meta && has_empty(t, n) ? "," : "");
    put_empty(out, t, n);
    vq_text_puts(out, "}");
}

static void put_entry(struct vq_text *out, const struct vq_tensor *t, size_t begin)
{
    put_string(out, t->name);
    vq_text_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_names[t->dtype]);
    for (int i = 0; i < t->rank; i++)
        vq_text_printf(out, i ? ",%" PRId64 : "%" PRId64, t->shape[i]);
    vq_text_printf(out, "],\"data_offsets\":[%zu,%zu]}", begin, begin + t->bytes);
}

/* The header, padded so that the data after it begins on a multiple of 8. */
static enum vq_status make_header(struct vq_text *out, const struct vq_tensor *t, size_t n,
                                  const struct vq_meta *meta, size_t n_meta, const size_t *begins,
                                  struct vq_err *err)
{
    bool metadata = n_meta > 0 || has_empty(t, n);
    vq_text_puts(out, "{");
    if (metadata)
        put_metadata(out, t, n, meta, n_meta);
    for (size_t i = 0; i < n; i++) {
        vq_text_puts(out, i || metadata ? "," : "");
        put_entry(out, &t[i], begins[i]);
    }
    vq_text_puts(out, "}");
    while (!out->failed && out->len % 8 != 0)
        vq_text_puts(out, " ");
    if (out->failed)
        return vq_nomem(err, "safetensors header", out->cap, 1);
    if (out->len > HEADER_MAX)
        return vq_fail(err, VQ_EINVAL,
                       "the safetensors header would have %zu bytes; at most %" PRIu64
                       " can be read",
                       out->len, HEADER_MAX);
    return VQ_OK;
}

static enum vq_status write_all(const char *path, const struct vq_tensor *t, size_t n,
                                const struct vq_text *header, uint64_t *bytes, struct vq_err *err)
{
    struct vq_writer *w;
    enum vq_status status = vq_writer_open(&w, path, err);
    if (status != VQ_OK)
        return status;
    uint64_t length = header->len, total = PREFIX + length;
    vq_writer_put(w, &length, sizeof(length), NULL);
    vq_writer_put(w, header->data, header->len, NULL);
    for (size_t k = 0; k < N_SIZES; k++)
        for (size_t i = 0; i < n; i++) {
            if (vq_dtype_size(t[i].dtype) != item_sizes[k])
                continue;
            struct vq_span one;
            size_t n_span;
            const struct vq_span *spans = vq_tensor_spans(&t[i], &one, &n_span);
            for (size_t j = 0; j < n_span; j++)
                vq_writer_put(w, spans[j].data, spans[j].size, NULL);
            total += t[i].bytes;
        }
    status = vq_writer_commit(w, err);
    if (status == VQ_OK && bytes)
        *bytes = total;
    return status;
}

static enum vq_status check_names(const struct vq_tensor *t, size_t n, struct vq_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, METADATA) == 0)
            return vq_fail(err, VQ_EINVAL, "no tensor can be named " METADATA " in safetensors");
    return VQ_OK;
}

static enum vq_status check_meta(const struct vq_meta *meta, size_t n, struct vq_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(meta[i].key, EMPTY) == 0 || strcmp(meta[i].key, VQ_META_INT8) == 0)
            return vq_fail(err, VQ_EINVAL, "the metadata key \"%s\" is taken", meta[i].key);
        for (size_t j = 0; j < i; j++)
            if (strcmp(meta[i].key, meta[j].key) == 0)
                return vq_fail(err, VQ_EINVAL, "two metadata entries are named %s", meta[i].key);
    }
    return VQ_OK;
}

/* `meta` and, for tensors with scales, what says so. */
static enum vq_status all_meta(struct vq_meta **out, size_t *n, const struct vq_tensor *t,
                               size_t n_tensor, const struct vq_meta *meta, struct vq_err *err)
{
    *out = vq_calloc(*n + 1, sizeof(**out));
    if (!*out)
        return vq_nomem(err, "metadata", *n + 1, sizeof(**out));
    if (*n)
        memcpy(*out, meta, *n * sizeof(**out));
    if (vq_scales_any(t, n_tensor))
        (*out)[(*n)++] = (struct vq_meta){VQ_META_INT8, vq_scales_group()};
    return VQ_OK;
}

enum vq_status vq_safetensors_write(const char *path, const struct vq_tensor_out *t, size_t n,
                                    const struct vq_meta *meta, size_t n_meta, uint64_t *bytes,
                                    struct vq_err *err)
{
    struct vq_tensor *views = NULL;
    struct vq_meta *entries = NULL;
    struct vq_text header = {0};
    size_t *begins = NULL;
    char *names = NULL;
    enum vq_status status = check_meta(meta, n_meta, err);
    if (status == VQ_OK)
        status = vq_tensor_views(&views, t, n, err);
    if (status == VQ_OK)
        status = all_meta(&entries, &n_meta, views, n, meta, err);
    if (status == VQ_OK)
        status = vq_scales_split(&views, &n, &names, err);
    if (status != VQ_OK)
        goto done;
    begins = vq_calloc(n, sizeof(*begins));
    status = begins ? check_names(views, n, err) : vq_nomem(err, "offsets", n, sizeof(*begins));
    if (status == VQ_OK && !lay_out(views, n, begins))
        status = vq_fail(err, VQ_EINVAL, "the tensors have more bytes than can be counted");
    if (status == VQ_OK)
        status = make_header(&header, views, n, entries, n_meta, begins, err);
    if (status == VQ_OK)
        status = write_all(path, views, n, &header, bytes, err);
done:
    vq_text_release(&header);
    free(begins);
    free(entries);
    free(names);
    free(views);
    return status;
}
