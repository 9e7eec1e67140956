/*
 * jsonin: reading JSON piece by piece, without a tree: numbers come as the digits that were
 * written, strings as bytes that may hold NUL, and a file of any size takes no memory. For what
 * core/base/json.h cannot do; configurations are read there.
 *
 *     struct vq_jsonin in;
 *     vq_jsonin_init(&in, text, size);
 *     for (bool first = vq_jsonin_enter(&in, '['); vq_jsonin_next(&in, ']', &first);)
 *         vq_jsonin_span(&in, &at, &len);
 *     if (in.why) ...
 *
 * The first error sticks in `why`, with `at` where it is; everything then returns false.
 */
#ifndef VQ_CORE_STORE_JSONIN_H
#define VQ_CORE_STORE_JSONIN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/text.h"

struct vq_jsonin {
    const char *at, *end;
    const char *why; /* what is wrong, or NULL */
};

void vq_jsonin_init(struct vq_jsonin *in, const char *text, size_t size);

/* The first byte of the next value, after blanks; 0 at the end of the text. */
char vq_jsonin_peek(struct vq_jsonin *in);
/* Steps into '[' or '{'. */
bool vq_jsonin_enter(struct vq_jsonin *in, char bracket);
/* Whether another element follows before `close`; steps past the comma, or past `close`. *first is
 * what enter() returned, and is kept up to date. */
bool vq_jsonin_next(struct vq_jsonin *in, char close, bool *first);
/* A string, decoded; out is emptied first. */
bool vq_jsonin_string(struct vq_jsonin *in, struct vq_text *out);
/* A string and the ':' after it. */
bool vq_jsonin_key(struct vq_jsonin *in, struct vq_text *out);
/* Any value, as it is written. */
bool vq_jsonin_span(struct vq_jsonin *in, const char **text, size_t *len);
/* Nothing but blanks is left. */
bool vq_jsonin_end(struct vq_jsonin *in);

/* The other way: bytes as a JSON string, or where they are no UTF-8 as {"base64":"..."}. */
void vq_json_put_bytes(struct vq_text *out, const char *s, size_t n);
/* What vq_json_put_bytes() wrote, decoded; out is emptied first. */
bool vq_jsonin_bytes(struct vq_jsonin *in, struct vq_text *out);

#endif
