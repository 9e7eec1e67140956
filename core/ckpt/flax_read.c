/*
 * Reading the authors' checkpoints: a Flax TrainState {opt_state, params, step} as MessagePack, in
 * both of the layouts they occur in. Tuples are sequences in one layout and maps "0", "1", ... in
 * the other, empty states nil or an empty map; the tree's paths, and so our names, are the same.
 *
 * An array is an ext value of type 1 (type 3 for a numpy scalar) whose payload is MessagePack
 * again: [shape, dtype name, bytes]. One of more than 2^30 bytes is the map
 * {"__msgpack_chunked_array__": true, "shape": {"0": int, ...}, "chunks": {"0": array, ...}} of
 * one-dimensional pieces.
 */
#include "core/ckpt/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/ckpt/msg.h"

enum { EXT_ARRAY = VQ_FLAX_ARRAY, EXT_COMPLEX = 2, EXT_SCALAR = 3 };

/* How Flax writes the name of an array that it saved elsewhere, from several devices at once. */
#define ELSEWHERE "PLACEHOLDER://"

/* The place in the tree: path is its keys joined by '/', without a '/' at the end. */
struct walk {
    struct vq_ckpt *c;
    char path[VQ_NAME_MAX + sizeof(VQ_FLAX_PARAMS)];
    size_t len;
};

static enum vq_status visit(struct walk *w, const struct vq_msg_node *n, struct vq_err *err);

bool vq_flax_matches(const uint8_t *data, size_t size)
{
    size_t head = 0;
    if (size > 0 && data[0] > 0x80 && data[0] <= 0x8f)
        head = 1;
    else if (size > 0 && (data[0] == 0xde || data[0] == 0xdf))
        head = data[0] == 0xde ? 3 : 5;
    if (head == 0 || size <= head)
        return head > 0;
    /* The key that must follow tells a map from PNG, HDF5 and others that begin with such bytes. */
    return (data[head] > 0xa0 && data[head] < 0xc0) || (data[head] >= 0xd9 && data[head] <= 0xdb);
}

/* A tensor of the walk's place, without data yet. */
static struct vq_tensor tensor_here(const struct walk *w)
{
    bool is_param = strncmp(w->path, VQ_FLAX_PARAMS, strlen(VQ_FLAX_PARAMS)) == 0;
    return (struct vq_tensor){.name = is_param ? w->path + strlen(VQ_FLAX_PARAMS) : w->path,
                              .is_param = is_param};
}

static enum vq_status add(struct walk *w, const struct vq_tensor *t, struct vq_err *err)
{
    if (t->is_param && vq_name_is_state(t->name))
        return vq_fail(err, VQ_EFORMAT, "a parameter with the name of training state");
    return vq_ckpt_add(w->c, t, err);
}

static enum vq_status read_shape(struct vq_tensor *t, const struct vq_msg_node *shape,
                                 struct vq_err *err)
{
    if (vq_msg_kind(shape) != VQ_MSG_ARRAY)
        return vq_fail(err, VQ_EFORMAT, "its shape is %s, not a sequence",
                       vq_msg_kind_name(vq_msg_kind(shape)));
    if (vq_msg_size(shape) > VQ_MAX_RANK)
        return vq_fail(err, VQ_EFORMAT, "has %zu dimensions; at most %d are taken",
                       vq_msg_size(shape), VQ_MAX_RANK);
    t->rank = (int)vq_msg_size(shape);
    for (int i = 0; i < t->rank; i++)
        if (!vq_msg_int(vq_msg_at(shape, (size_t)i), &t->shape[i]))
            return vq_fail(err, VQ_EFORMAT, "dimension %d is no integer", i);
    return VQ_OK;
}

/* Fills dtype, shape and data of t from the parsed payload of an array. */
static enum vq_status read_payload(struct vq_tensor *t, const struct vq_msg_node *root,
                                   struct vq_err *err)
{
    if (vq_msg_kind(root) != VQ_MSG_ARRAY || vq_msg_size(root) != 3)
        return vq_fail(err, VQ_EFORMAT, "an array's payload is not [shape, dtype, bytes]");
    enum vq_status status = read_shape(t, vq_msg_at(root, 0), err);
    if (status != VQ_OK)
        return status;
    const struct vq_msg_node *dtype = vq_msg_at(root, 1), *bytes = vq_msg_at(root, 2);
    if (vq_msg_kind(dtype) != VQ_MSG_STRING || vq_msg_kind(bytes) != VQ_MSG_BYTES)
        return vq_fail(err, VQ_EFORMAT, "an array's payload is not [shape, dtype, bytes]");
    t->dtype = vq_dtype_named((const char *)vq_msg_data(dtype), vq_msg_size(dtype));
    if (t->dtype == VQ_NONE)
        return vq_fail(err, VQ_EUNSUPPORTED, "arrays of dtype \"%.*s\" are not read here",
                       (int)(vq_msg_size(dtype) < 24 ? vq_msg_size(dtype) : 24),
                       (const char *)vq_msg_data(dtype));
    status = vq_tensor_measure(t, err);
    if (status != VQ_OK)
        return status;
    char shape[256];
    if (t->bytes != vq_msg_size(bytes))
        return vq_fail(err, VQ_EFORMAT, "%s %s has %zu bytes, but %zu are stored",
                       vq_dtype_name(t->dtype), vq_tensor_shape(t, shape, sizeof(shape)), t->bytes,
                       vq_msg_size(bytes));
    t->data = vq_msg_data(bytes); /* inside the file's mapping, as all of the document */
    return VQ_OK;
}

static enum vq_status read_array(struct vq_tensor *t, const struct vq_msg_node *n,
                                 struct vq_err *err)
{
    int type = vq_msg_ext_type(n);
    if (type == EXT_COMPLEX)
        return vq_fail(err, VQ_EUNSUPPORTED, "is a complex number, which no model here has");
    if (type != EXT_ARRAY && type != EXT_SCALAR)
        return vq_fail(err, VQ_EUNSUPPORTED, "is of the unknown MessagePack extension type %d",
                       type);
    struct vq_msg *payload;
    enum vq_status status = vq_msg_parse(&payload, vq_msg_data(n), vq_msg_size(n), err);
    if (status == VQ_OK)
        status = read_payload(t, vq_msg_root(payload), err);
    else
        vq_err_prefix(err, "the array's payload");
    vq_msg_free(payload);
    return status;
}

static enum vq_status add_array(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    struct vq_tensor t = tensor_here(w);
    enum vq_status status = read_array(&t, n, err);
    return status == VQ_OK ? add(w, &t, err) : status;
}

/* A key "0", "1", ... as a number; SIZE_MAX when it is no such thing. */
static size_t index_of(const struct vq_msg_node *key)
{
    size_t n = vq_msg_size(key), x = 0;
    if (vq_msg_kind(key) != VQ_MSG_STRING || n == 0 || n > 9)
        return SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        uint8_t digit = vq_msg_data(key)[i];
        if (digit < '0' || digit > '9')
            return SIZE_MAX;
        x = 10 * x + (digit - '0');
    }
    return x;
}

/* The i-th stored member of a tuple in either layout, and its place in the tuple. */
static const struct vq_msg_node *member(const struct vq_msg_node *tuple, size_t i, size_t *place)
{
    if (vq_msg_kind(tuple) == VQ_MSG_ARRAY) {
        *place = i;
        return vq_msg_at(tuple, i);
    }
    *place = index_of(vq_msg_key(tuple, i));
    return vq_msg_value(tuple, i);
}

static bool is_tuple(const struct vq_msg_node *n)
{
    return n && (vq_msg_kind(n) == VQ_MSG_ARRAY || vq_msg_kind(n) == VQ_MSG_MAP);
}

static enum vq_status chunked_shape(struct vq_tensor *t, const struct vq_msg_node *shape,
                                    struct vq_err *err)
{
    size_t rank = vq_msg_size(shape);
    if (rank > VQ_MAX_RANK)
        return vq_fail(err, VQ_EFORMAT, "has %zu dimensions; at most %d are taken", rank,
                       VQ_MAX_RANK);
    bool seen[VQ_MAX_RANK] = {false};
    for (size_t i = 0; i < rank; i++) {
        size_t axis;
        const struct vq_msg_node *dim = member(shape, i, &axis);
        if (axis >= rank || seen[axis] || !vq_msg_int(dim, &t->shape[axis]))
            return vq_fail(err, VQ_EFORMAT, "the shape of a chunked array is damaged");
        seen[axis] = true;
    }
    t->rank = (int)rank;
    return VQ_OK;
}

/* Puts every chunk in its place of spans[]; *total = bytes of all. */
static enum vq_status chunk_spans(struct vq_tensor *t, const struct vq_msg_node *chunks,
                                  struct vq_span *spans, size_t *total, struct vq_err *err)
{
    size_t n = vq_msg_size(chunks);
    for (size_t i = 0; i < n; i++) {
        size_t place;
        struct vq_tensor piece = {.name = t->name};
        const struct vq_msg_node *node = member(chunks, i, &place);
        if (place >= n || spans[place].data)
            return vq_fail(err, VQ_EFORMAT, "its %zu chunks are not numbered from 0", n);
        if (vq_msg_kind(node) != VQ_MSG_EXT)
            return vq_fail(err, VQ_EFORMAT, "chunk %zu is %s, not an array", place,
                           vq_msg_kind_name(vq_msg_kind(node)));
        enum vq_status status = read_array(&piece, node, err);
        if (status != VQ_OK) {
            vq_err_prefix(err, "chunk %zu", place);
            return status;
        }
        if (piece.rank != 1 || (i > 0 && piece.dtype != t->dtype))
            return vq_fail(err, VQ_EFORMAT,
                           "chunk %zu has another rank or dtype than a piece of it", place);
        t->dtype = piece.dtype;
        spans[place] = (struct vq_span){.data = piece.data, .size = piece.bytes};
        *total += piece.bytes; /* pieces of one file: the sum stays below its size */
    }
    return VQ_OK;
}

static enum vq_status add_chunked(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    const struct vq_msg_node *shape = vq_msg_get(n, "shape"), *chunks = vq_msg_get(n, "chunks");
    if (!is_tuple(shape) || !is_tuple(chunks) || vq_msg_size(chunks) == 0)
        return vq_fail(err, VQ_EFORMAT, "a chunked array without shape or chunks");
    struct vq_tensor t = tensor_here(w);
    struct vq_span *spans = vq_ckpt_own(w->c, vq_msg_size(chunks), sizeof(*spans));
    if (!spans)
        return vq_nomem(err, "chunks", vq_msg_size(chunks), sizeof(*spans));
    size_t total = 0;
    enum vq_status status = chunked_shape(&t, shape, err);
    if (status == VQ_OK)
        status = chunk_spans(&t, chunks, spans, &total, err);
    if (status == VQ_OK)
        status = vq_tensor_measure(&t, err);
    if (status != VQ_OK)
        return status;
    char text[256];
    if (total != t.bytes)
        return vq_fail(err, VQ_EFORMAT, "%s %s has %zu bytes, but its %zu chunks have %zu",
                       vq_dtype_name(t.dtype), vq_tensor_shape(&t, text, sizeof(text)), t.bytes,
                       vq_msg_size(chunks), total);
    t.n_chunk = vq_msg_size(chunks);
    t.chunks = spans;
    return add(w, &t, err);
}

/* A number that was Python's own and no array: stored big-endian and shortened, so it is copied. */
static enum vq_status add_number(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    struct vq_tensor t = tensor_here(w);
    uint8_t *value = vq_ckpt_own(w->c, 1, 8);
    if (!value)
        return vq_nomem(err, "number", 1, 8);
    int64_t i = 0;
    double f = 0;
    switch (vq_msg_kind(n)) {
    case VQ_MSG_BOOL:
        t.dtype = VQ_BOOL;
        value[0] = vq_msg_bool(n);
        break;
    case VQ_MSG_FLOAT:
        t.dtype = VQ_F64;
        f = vq_msg_float(n);
        memcpy(value, &f, sizeof(f));
        break;
    default:
        t.dtype = VQ_I64;
        if (!vq_msg_int(n, &i))
            return vq_fail(err, VQ_EUNSUPPORTED, "is an integer over 2^63");
        memcpy(value, &i, sizeof(i));
        break;
    }
    t.data = value;
    enum vq_status status = vq_tensor_measure(&t, err);
    return status == VQ_OK ? add(w, &t, err) : status;
}

static enum vq_status refuse_text(const struct vq_msg_node *n, struct vq_err *err)
{
    size_t mark = strlen(ELSEWHERE);
    if (vq_msg_size(n) >= mark && memcmp(vq_msg_data(n), ELSEWHERE, mark) == 0)
        return vq_fail(
            err, VQ_EUNSUPPORTED,
            "its numbers are not in this file: it was spread over devices when saved, and "
            "lies in a tensorstore folder beside; save it again from unreplicated state");
    return vq_fail(err, VQ_EFORMAT, "is a text, not an array");
}

/* Walks into the member `key` of the walk's place and back. */
static enum vq_status descend(struct walk *w, const char *key, size_t n,
                              const struct vq_msg_node *value, struct vq_err *err)
{
    size_t back = w->len;
    if (n == 0 || memchr(key, '/', n) || memchr(key, '\0', n))
        return vq_fail(err, VQ_EFORMAT, "\"%s\" has a key that is empty or holds '/' or NUL",
                       w->path);
    if (n + 2 > sizeof(w->path) - back)
        return vq_fail(err, VQ_EFORMAT, "a name below \"%s\" would have over %d bytes", w->path,
                       VQ_NAME_MAX);
    if (back > 0)
        w->path[w->len++] = '/';
    memcpy(w->path + w->len, key, n);
    w->len += n;
    w->path[w->len] = '\0';
    enum vq_status status = visit(w, value, err);
    w->len = back;
    w->path[back] = '\0';
    return status;
}

static enum vq_status visit_map(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    for (size_t i = 0; i < vq_msg_size(n); i++) {
        const struct vq_msg_node *key = vq_msg_key(n, i);
        if (vq_msg_kind(key) != VQ_MSG_STRING)
            return vq_fail(err, VQ_EFORMAT, "\"%s\" has a key that is %s, not a text", w->path,
                           vq_msg_kind_name(vq_msg_kind(key)));
        enum vq_status status =
            descend(w, (const char *)vq_msg_data(key), vq_msg_size(key), vq_msg_value(n, i), err);
        if (status != VQ_OK)
            return status;
    }
    return VQ_OK;
}

static enum vq_status visit_sequence(struct walk *w, const struct vq_msg_node *n,
                                     struct vq_err *err)
{
    for (size_t i = 0; i < vq_msg_size(n); i++) {
        char key[24];
        int len = snprintf(key, sizeof(key), "%zu", i);
        enum vq_status status = descend(w, key, (size_t)len, vq_msg_at(n, i), err);
        if (status != VQ_OK)
            return status;
    }
    return VQ_OK;
}

static enum vq_status visit_leaf(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    struct vq_tensor here = tensor_here(w);
    struct vq_tensor none = vq_tensor_none(here.name, here.is_param);
    switch (vq_msg_kind(n)) {
    case VQ_MSG_EXT:
        return add_array(w, n, err);
    case VQ_MSG_BOOL:
    case VQ_MSG_INT:
    case VQ_MSG_FLOAT:
        return add_number(w, n, err);
    case VQ_MSG_STRING:
        return refuse_text(n, err);
    case VQ_MSG_BYTES:
        return vq_fail(err, VQ_EFORMAT, "is bare bytes, not an array");
    case VQ_MSG_NIL:
    case VQ_MSG_ARRAY:
    case VQ_MSG_MAP:
    default:
        return vq_msg_get(n, VQ_FLAX_CHUNKED) ? add_chunked(w, n, err) : add(w, &none, err);
    }
}

/* Adds the tensors of n, which stands at the walk's place. Recursion ends where the document does,
 * at most VQ_MSG_MAX_DEPTH deep. */
static enum vq_status visit(struct walk *w, const struct vq_msg_node *n, struct vq_err *err)
{
    bool has_members = is_tuple(n) && vq_msg_size(n) > 0 && !vq_msg_get(n, VQ_FLAX_CHUNKED);
    if (has_members)
        return vq_msg_kind(n) == VQ_MSG_MAP ? visit_map(w, n, err) : visit_sequence(w, n, err);
    enum vq_status status = visit_leaf(w, n, err);
    if (status != VQ_OK)
        vq_err_prefix(err, "tensor %s", tensor_here(w).name);
    return status;
}

/* Says what a sound document without parameters holds instead. */
static enum vq_status refuse_other(const struct vq_msg_node *root, struct vq_err *err)
{
    enum { SHOWN = 5 };
    char keys[SHOWN * 48] = "";
    size_t used = 0;
    for (size_t i = 0; i < vq_msg_size(root) && i < SHOWN; i++) {
        const struct vq_msg_node *key = vq_msg_key(root, i);
        size_t n = vq_msg_size(key) < 40 ? vq_msg_size(key) : 40;
        bool text = vq_msg_kind(key) == VQ_MSG_STRING &&
                    vq_name_check((const char *)vq_msg_data(key), vq_msg_size(key), NULL) == VQ_OK;
        used += (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%.*s", i ? ", " : "",
                                 text ? (int)n : 1, text ? (const char *)vq_msg_data(key) : "?");
    }
    bool loss = vq_msg_get(root, "loss_lm_per_token") != NULL;
    return vq_fail(err, VQ_EFORMAT, "a Flax file without a map \"params\": it holds %s%s%s",
                   used ? keys : "nothing", vq_msg_size(root) > SHOWN ? ", ..." : "",
                   loss ? "; it is the result of an evaluation, the model is in checkpoint_<step>"
                        : "; a model is saved as a TrainState with params, opt_state and step");
}

enum vq_status vq_flax_read(struct vq_ckpt *c, struct vq_err *err)
{
    struct vq_msg *doc;
    enum vq_status status = vq_msg_parse(&doc, c->file.data, c->file.size, err);
    if (status != VQ_OK) {
        vq_err_prefix(err, "the Flax file");
        return status;
    }
    const struct vq_msg_node *root = vq_msg_root(doc), *params = vq_msg_get(root, "params");
    struct walk w = {.c = c};
    if (!params)
        status = refuse_other(root, err);
    else if (vq_msg_kind(params) != VQ_MSG_MAP || vq_msg_size(params) == 0)
        status = vq_fail(err, VQ_EFORMAT, "its \"params\" is %s, not a map of parameters",
                         vq_msg_kind(params) == VQ_MSG_MAP ? "an empty map"
                                                           : vq_msg_kind_name(vq_msg_kind(params)));
    else
        status = visit_map(&w, root, err);
    vq_msg_free(doc);
    return status;
}
