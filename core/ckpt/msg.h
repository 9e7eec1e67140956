/*
 * msg: MessagePack documents: reading as a read-only tree, and writing. The only user of msgpack-c,
 * behind a check of our own: msgpack-c alone reserves memory for whatever count a map or an array
 * claims, and of a cut document it says only that more is to come.
 */
#ifndef VQ_CORE_CKPT_MSG_H
#define VQ_CORE_CKPT_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/file.h"

/* A TrainState is some 15 deep and holds a few thousand items; msgpack-c ends at 32 deep. */
#define VQ_MSG_MAX_DEPTH 30
#define VQ_MSG_MAX_ITEMS ((size_t)1 << 18)

enum vq_msg_kind {
    VQ_MSG_NIL,
    VQ_MSG_BOOL,
    VQ_MSG_INT,
    VQ_MSG_FLOAT,
    VQ_MSG_STRING,
    VQ_MSG_BYTES,
    VQ_MSG_ARRAY,
    VQ_MSG_MAP,
    VQ_MSG_EXT
};

struct vq_msg;      /* an owned document */
struct vq_msg_node; /* borrowed from its document */

/*
 * Parses the one document that `data` must be. Only headers are touched: strings, bytes and ext
 * payloads stay where they are in `data`, which must outlive the document. VQ_EFORMAT when it is
 * cut (with the length it must have at least), damaged, followed by other bytes, or deeper or
 * larger than the limits above. Memory taken is bounded by those limits.
 */
enum vq_status vq_msg_parse(struct vq_msg **out, const uint8_t *data, size_t size,
                            struct vq_err *err);
void vq_msg_free(struct vq_msg *doc); /* NULL is fine */
const struct vq_msg_node *vq_msg_root(const struct vq_msg *doc);

enum vq_msg_kind vq_msg_kind(const struct vq_msg_node *n);
const char *vq_msg_kind_name(enum vq_msg_kind kind); /* "a number", "a map", ... */
/* Members of an array or a map; bytes of a string, bytes or ext payload; else 0. */
size_t vq_msg_size(const struct vq_msg_node *n);
/* The caller checks kind and bounds first. An array's members, a map's keys and values: */
const struct vq_msg_node *vq_msg_at(const struct vq_msg_node *n, size_t i);
const struct vq_msg_node *vq_msg_key(const struct vq_msg_node *n, size_t i);
const struct vq_msg_node *vq_msg_value(const struct vq_msg_node *n, size_t i);
/* The first value in map n under the text `key`; NULL when absent or n is no map. */
const struct vq_msg_node *vq_msg_get(const struct vq_msg_node *n, const char *key);
/* A string's, bytes' or ext payload's own bytes inside the parsed data; not NUL-terminated. */
const uint8_t *vq_msg_data(const struct vq_msg_node *n);
bool vq_msg_equals(const struct vq_msg_node *n, const char *text); /* n is that string */
int vq_msg_ext_type(const struct vq_msg_node *n);
bool vq_msg_bool(const struct vq_msg_node *n);
double vq_msg_float(const struct vq_msg_node *n);
/* True and *out when n is an integer that fits. */
bool vq_msg_int(const struct vq_msg_node *n, int64_t *out);

/*
 * Writing. Numbers and lengths take the shortest form, as Python's encoder writes them. Nothing is
 * returned: the writer keeps its first failure and vq_writer_commit() reports it. Without a writer
 * the bytes are only counted, for lengths that stand before what they measure.
 */
struct vq_msg_out {
    struct vq_writer *w; /* may be NULL */
    uint64_t bytes;      /* put so far */
};

void vq_msg_put_nil(struct vq_msg_out *o);
void vq_msg_put_true(struct vq_msg_out *o);
void vq_msg_put_uint(struct vq_msg_out *o, uint64_t x);
void vq_msg_put_string(struct vq_msg_out *o, const char *s, size_t n);
/* Heads: the caller puts the n members (n keys and values), or the bytes by vq_msg_put_raw(). */
void vq_msg_put_array(struct vq_msg_out *o, size_t n);
void vq_msg_put_map(struct vq_msg_out *o, size_t n);
void vq_msg_put_bytes(struct vq_msg_out *o, size_t n);
void vq_msg_put_ext(struct vq_msg_out *o, int8_t type, size_t n);
void vq_msg_put_raw(struct vq_msg_out *o, const void *data, size_t n);

#endif
