#include "core/ckpt/msg.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "core/base/mem.h"

struct vq_msg {
    msgpack_unpacked unpacked;
};

/* What the bytes after a head are. */
enum follow { INVALID, VALUE, BYTES, EXT_BYTES, ITEMS, PAIRS };

/* The first bytes 0xc0 to 0xdf: the width of the number after the byte, and what that number is. */
static const struct {
    uint8_t width, follow;
} forms[32] = {
    {0, VALUE},     {0, INVALID},   {0, VALUE},     {0, VALUE},  {1, BYTES}, {2, BYTES}, {4, BYTES},
    {1, EXT_BYTES}, {2, EXT_BYTES}, {4, EXT_BYTES}, {4, VALUE},  {8, VALUE}, {1, VALUE}, {2, VALUE},
    {4, VALUE},     {8, VALUE},     {1, VALUE},     {2, VALUE},  {4, VALUE}, {8, VALUE}, {2, VALUE},
    {3, VALUE},     {5, VALUE},     {9, VALUE},     {17, VALUE}, {1, BYTES}, {2, BYTES}, {4, BYTES},
    {2, ITEMS},     {4, ITEMS},     {2, PAIRS},     {4, PAIRS},
};

struct head {
    enum follow follow;
    uint64_t length; /* bytes of the head, and of the bytes it announces */
    uint64_t items;  /* items it announces */
};

/* Reads the head at p, of which `left` > 0 bytes are there. When not all of it is, h->length says
 * how much there must be. */
static void read_head(const uint8_t *p, size_t left, struct head *h)
{
    uint8_t first = p[0];
    *h = (struct head){.follow = VALUE, .length = 1};
    if (first < 0x80 || first >= 0xe0)
        return;
    if (first < 0xa0) {
        h->follow = first < 0x90 ? PAIRS : ITEMS;
        h->items = first < 0x90 ? 2 * (first & 15u) : first & 15u;
        return;
    }
    if (first < 0xc0) {
        h->length += first & 31u;
        return;
    }
    uint8_t width = forms[first - 0xc0].width;
    h->follow = forms[first - 0xc0].follow;
    h->length += width;
    if (h->follow <= VALUE || h->length > left)
        return;
    uint64_t n = 0;
    for (uint8_t i = 1; i <= width; i++)
        n = n << 8 | p[i];
    if (h->follow == BYTES || h->follow == EXT_BYTES)
        h->length += n + (h->follow == EXT_BYTES);
    else
        h->items = h->follow == PAIRS ? 2 * n : n;
}

/* Walks all heads of the document. What it accepts, msgpack-c can take as it is: each announced
 * item has a byte in the file, and depth and number of items are within the limits. */
static enum vq_status check(const uint8_t *data, size_t size, struct vq_err *err)
{
    uint64_t left[VQ_MSG_MAX_DEPTH]; /* items still to come in each open container */
    size_t depth = 0, items = 0, at = 0;
    uint64_t pending = 1;
    while (pending > 0) {
        struct head h = {.length = 1};
        if (at < size)
            read_head(data + at, size - at, &h);
        if (at < size && h.follow == INVALID)
            return vq_fail(err, VQ_EFORMAT, "byte %zu is 0x%02x, which begins nothing", at,
                           data[at]);
        /* An item takes a byte at least, so what is pending tells how long the file should be. */
        pending += h.items - 1;
        if (h.length > size - at || pending > size - at - h.length)
            return vq_fail(err, VQ_EFORMAT,
                           "cut short or damaged: expected at least %ju bytes, found %zu",
                           (uintmax_t)(at + h.length + pending), size);
        at += h.length;
        if (++items > VQ_MSG_MAX_ITEMS)
            return vq_fail(err, VQ_EFORMAT, "holds more than %zu items", VQ_MSG_MAX_ITEMS);
        if (depth > 0)
            left[depth - 1]--;
        if (h.items > 0 && depth == VQ_MSG_MAX_DEPTH)
            return vq_fail(err, VQ_EFORMAT, "nested deeper than %d at byte %zu", VQ_MSG_MAX_DEPTH,
                           at);
        if (h.items > 0)
            left[depth++] = h.items;
        while (depth > 0 && left[depth - 1] == 0)
            depth--;
    }
    if (at < size)
        return vq_fail(err, VQ_EFORMAT, "ends at byte %zu, but %zu more bytes follow", at,
                       size - at);
    return VQ_OK;
}

enum vq_status vq_msg_parse(struct vq_msg **out, const uint8_t *data, size_t size,
                            struct vq_err *err)
{
    *out = NULL;
    enum vq_status status = check(data, size, err);
    if (status != VQ_OK)
        return status;
    struct vq_msg *doc = vq_calloc(1, sizeof(*doc));
    if (!doc)
        return vq_nomem(err, "document", 1, sizeof(*doc));
    size_t at = 0;
    msgpack_unpack_return got = msgpack_unpack_next(&doc->unpacked, (const char *)data, size, &at);
    if (got == MSGPACK_UNPACK_SUCCESS) {
        *out = doc;
        return VQ_OK;
    }
    vq_msg_free(doc);
    if (got == MSGPACK_UNPACK_NOMEM_ERROR)
        return vq_nomem(err, "document tree", size, 1);
    return vq_fail(err, VQ_EFORMAT, "damaged at byte %zu", at);
}

void vq_msg_free(struct vq_msg *doc)
{
    if (!doc)
        return;
    msgpack_unpacked_destroy(&doc->unpacked);
    free(doc);
}

static const struct vq_msg_node *wrap(const msgpack_object *o)
{
    return (const struct vq_msg_node *)o;
}

static const msgpack_object *object(const struct vq_msg_node *n)
{
    return (const msgpack_object *)n;
}

const struct vq_msg_node *vq_msg_root(const struct vq_msg *doc)
{
    return wrap(&doc->unpacked.data);
}

enum vq_msg_kind vq_msg_kind(const struct vq_msg_node *n)
{
    switch (object(n)->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        return VQ_MSG_BOOL;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return VQ_MSG_INT;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return VQ_MSG_FLOAT;
    case MSGPACK_OBJECT_STR:
        return VQ_MSG_STRING;
    case MSGPACK_OBJECT_BIN:
        return VQ_MSG_BYTES;
    case MSGPACK_OBJECT_ARRAY:
        return VQ_MSG_ARRAY;
    case MSGPACK_OBJECT_MAP:
        return VQ_MSG_MAP;
    case MSGPACK_OBJECT_EXT:
        return VQ_MSG_EXT;
    case MSGPACK_OBJECT_NIL:
    default:
        return VQ_MSG_NIL;
    }
}

const char *vq_msg_kind_name(enum vq_msg_kind kind)
{
    static const char *const names[] = {
        [VQ_MSG_NIL] = "nothing",      [VQ_MSG_BOOL] = "a truth value", [VQ_MSG_INT] = "an integer",
        [VQ_MSG_FLOAT] = "a number",   [VQ_MSG_STRING] = "a text",      [VQ_MSG_BYTES] = "bytes",
        [VQ_MSG_ARRAY] = "a sequence", [VQ_MSG_MAP] = "a map",          [VQ_MSG_EXT] = "an array",
    };
    return (unsigned)kind <= VQ_MSG_EXT ? names[kind] : "unknown";
}

size_t vq_msg_size(const struct vq_msg_node *n)
{
    const msgpack_object *o = object(n);
    switch (vq_msg_kind(n)) {
    case VQ_MSG_ARRAY:
        return o->via.array.size;
    case VQ_MSG_MAP:
        return o->via.map.size;
    case VQ_MSG_STRING:
        return o->via.str.size;
    case VQ_MSG_BYTES:
        return o->via.bin.size;
    case VQ_MSG_EXT:
        return o->via.ext.size;
    default:
        return 0;
    }
}

const struct vq_msg_node *vq_msg_at(const struct vq_msg_node *n, size_t i)
{
    return wrap(&object(n)->via.array.ptr[i]);
}

const struct vq_msg_node *vq_msg_key(const struct vq_msg_node *n, size_t i)
{
    return wrap(&object(n)->via.map.ptr[i].key);
}

const struct vq_msg_node *vq_msg_value(const struct vq_msg_node *n, size_t i)
{
    return wrap(&object(n)->via.map.ptr[i].val);
}

const struct vq_msg_node *vq_msg_get(const struct vq_msg_node *n, const char *key)
{
    if (vq_msg_kind(n) != VQ_MSG_MAP)
        return NULL;
    for (size_t i = 0; i < vq_msg_size(n); i++)
        if (vq_msg_equals(vq_msg_key(n, i), key))
            return vq_msg_value(n, i);
    return NULL;
}

const uint8_t *vq_msg_data(const struct vq_msg_node *n)
{
    const msgpack_object *o = object(n);
    switch (vq_msg_kind(n)) {
    case VQ_MSG_STRING:
        return (const uint8_t *)o->via.str.ptr;
    case VQ_MSG_BYTES:
        return (const uint8_t *)o->via.bin.ptr;
    case VQ_MSG_EXT:
        return (const uint8_t *)o->via.ext.ptr;
    default:
        return NULL;
    }
}

bool vq_msg_equals(const struct vq_msg_node *n, const char *text)
{
    return vq_msg_kind(n) == VQ_MSG_STRING && vq_msg_size(n) == strlen(text) &&
           memcmp(vq_msg_data(n), text, strlen(text)) == 0;
}

int vq_msg_ext_type(const struct vq_msg_node *n)
{
    return object(n)->via.ext.type;
}

bool vq_msg_bool(const struct vq_msg_node *n)
{
    return object(n)->via.boolean;
}

double vq_msg_float(const struct vq_msg_node *n)
{
    return object(n)->via.f64; /* single precision has been widened */
}

bool vq_msg_int(const struct vq_msg_node *n, int64_t *out)
{
    const msgpack_object *o = object(n);
    if (vq_msg_kind(n) != VQ_MSG_INT)
        return false;
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 > INT64_MAX)
        return false;
    *out = o->via.i64; /* the same bits as u64 in this range */
    return true;
}

static int sink(void *ud, const char *data, size_t n)
{
    struct vq_msg_out *o = ud;
    o->bytes += n;
    if (o->w)
        vq_writer_put(o->w, data, n, NULL);
    return 0;
}

/* A packer is two pointers and has nothing to release. */
static msgpack_packer packer(struct vq_msg_out *o)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, o, sink);
    return pk;
}

void vq_msg_put_nil(struct vq_msg_out *o)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_nil(&pk);
}

void vq_msg_put_true(struct vq_msg_out *o)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_true(&pk);
}

void vq_msg_put_uint(struct vq_msg_out *o, uint64_t x)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_uint64(&pk, x);
}

void vq_msg_put_string(struct vq_msg_out *o, const char *s, size_t n)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_str(&pk, n);
    msgpack_pack_str_body(&pk, s, n);
}

void vq_msg_put_array(struct vq_msg_out *o, size_t n)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_array(&pk, n);
}

void vq_msg_put_map(struct vq_msg_out *o, size_t n)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_map(&pk, n);
}

void vq_msg_put_bytes(struct vq_msg_out *o, size_t n)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_bin(&pk, n);
}

void vq_msg_put_ext(struct vq_msg_out *o, int8_t type, size_t n)
{
    msgpack_packer pk = packer(o);
    msgpack_pack_ext(&pk, n, type);
}

void vq_msg_put_raw(struct vq_msg_out *o, const void *data, size_t n)
{
    sink(o, data, n);
}
