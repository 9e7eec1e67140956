/*
 * json: reading JSON documents (configurations, safetensors headers) as a read-only tree, and a
 * writer that never loses a number. The only user of cJSON (reading). Duplicate keys in an object,
 * depth over 64 and trailing bytes are refused.
 */
#ifndef VQ_CORE_BASE_JSON_H
#define VQ_CORE_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct vq_json;      /* an owned document */
struct vq_json_node; /* borrowed from its document */

enum vq_json_kind { VQ_JSON_NULL, VQ_JSON_BOOL, VQ_JSON_NUMBER, VQ_JSON_STRING, VQ_JSON_ARRAY,
                    VQ_JSON_OBJECT };

/* Parses size bytes (need not be NUL-terminated). VQ_EFORMAT names the byte offset. */
enum vq_status vq_json_parse(struct vq_json **out, const char *text, size_t size,
                             struct vq_err *err);
void vq_json_free(struct vq_json *doc);
const struct vq_json_node *vq_json_root(const struct vq_json *doc);

enum vq_json_kind vq_json_kind(const struct vq_json_node *n);
const char *vq_json_kind_name(enum vq_json_kind kind); /* "a number", "an object", ... */
/* Member by name (exact), NULL when absent or n is no object. */
const struct vq_json_node *vq_json_get(const struct vq_json_node *n, const char *key);
/* Children of an array or object in file order; key is NULL in arrays. */
const struct vq_json_node *vq_json_first(const struct vq_json_node *n);
const struct vq_json_node *vq_json_next(const struct vq_json_node *n);
const char *vq_json_key(const struct vq_json_node *n);
/* Values; the caller checks the kind first. Strings are borrowed. */
const char *vq_json_string(const struct vq_json_node *n);
double vq_json_number(const struct vq_json_node *n);
bool vq_json_bool(const struct vq_json_node *n);
/* True and *out when n is a number that is an exact integer within +-2^53. */
bool vq_json_int(const struct vq_json_node *n, int64_t *out);

/*
 * A growing text buffer with JSON-safe appends. Failures stick in `failed` (out of memory) and are
 * looked at once, at the end. Init with {0}; free with vq_text_release().
 */
struct vq_text {
    char *data; /* NUL-terminated once anything was appended */
    size_t len, cap;
    bool failed;
};
void vq_text_release(struct vq_text *t);
void vq_text_put(struct vq_text *t, const char *s, size_t n);
void vq_text_puts(struct vq_text *t, const char *s);
void vq_text_printf(struct vq_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Lossless numbers with '.' whatever the locale: f64 17 digits shortest that round-trips, f32 9;
 * NaN and infinities as the strings "NaN" "Infinity" "-Infinity" (with quotes). */
void vq_text_json_f64(struct vq_text *t, double x);
void vq_text_json_f32(struct vq_text *t, float x);
/* A quoted JSON string; control bytes escaped; bytes that are not UTF-8 become U+FFFD. */
void vq_text_json_string(struct vq_text *t, const char *s, size_t n);

#endif
