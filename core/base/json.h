/*
 * json: reading JSON documents (configurations, safetensors headers) as a read-only tree; writing
 * is text.h. The only user of cJSON, behind a check of our own: cJSON alone takes a number to its
 * first odd byte, cuts strings at \u0000, and knows neither duplicates nor UTF-8.
 */
#ifndef VQ_CORE_BASE_JSON_H
#define VQ_CORE_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/text.h"

struct vq_json;      /* an owned document */
struct vq_json_node; /* borrowed from its document */

enum vq_json_kind {
    VQ_JSON_NULL,
    VQ_JSON_BOOL,
    VQ_JSON_NUMBER,
    VQ_JSON_STRING,
    VQ_JSON_ARRAY,
    VQ_JSON_OBJECT
};

/*
 * Parses size bytes (need not be NUL-terminated) of RFC 8259 JSON; a leading byte order mark is
 * skipped. VQ_EFORMAT names the byte offset, or the key when it is a duplicate. Refused although
 * the grammar allows them: duplicate keys in an object, nesting over 64, \u0000 in a string,
 * numbers outside the range of double or longer than 63 bytes. The time is n log n in the members
 * of an object, so headers of 100 MB are fine.
 */
enum vq_status vq_json_parse(struct vq_json **out, const char *text, size_t size,
                             struct vq_err *err);
void vq_json_free(struct vq_json *doc);
const struct vq_json_node *vq_json_root(const struct vq_json *doc);

enum vq_json_kind vq_json_kind(const struct vq_json_node *n);
const char *vq_json_kind_name(enum vq_json_kind kind); /* "a number", "an object", ... */
/* Member by name (exact), NULL when absent or n is no object. Walks the members: go through a
 * large object with first and next instead. */
const struct vq_json_node *vq_json_get(const struct vq_json_node *n, const char *key);
/* Children of an array or object in file order; key is NULL in arrays. */
const struct vq_json_node *vq_json_first(const struct vq_json_node *n);
const struct vq_json_node *vq_json_next(const struct vq_json_node *n);
const char *vq_json_key(const struct vq_json_node *n);
/* Values; the caller checks the kind first. Strings are borrowed. */
const char *vq_json_string(const struct vq_json_node *n);
double vq_json_number(const struct vq_json_node *n);
bool vq_json_bool(const struct vq_json_node *n);
/* True and *out when n is a number that is an integer of less than 2^53 either way: from there on
 * neighbouring integers are one double, and what the file said is no longer known. */
bool vq_json_int(const struct vq_json_node *n, int64_t *out);

/* The number that the first four of the n bytes of s are in hex, as behind a \u; -1 when they are
 * not. */
int vq_json_hex4(const char *s, size_t n);

#endif
