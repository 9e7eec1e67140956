/*
 * filter: which runs are meant, as a person writes it.
 *
 *     expr   = and { "or" and }
 *     and    = not { ["and"] not }
 *     not    = "not" not | "(" expr ")" | test
 *     test   = ATTRIBUTE op value | TEXT
 *     op     = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
 *
 * Attributes are those of attr.h. TEXT without an operator is part of an id, name, command line,
 * model, error, tag or note. `~` is "contains", without regard to ASCII case. Words may be quoted
 * with '...' or "..." (a backslash takes the next character as it is). `a=x,y` is one of both,
 * `a!=x,y` neither; `a=none` holds for runs that have no such thing.
 *
 * Numbers compare as numbers: 64-bit integers exactly, seeds without a sign. Times are
 * 2026-01-31, 2026-01-31T12:00[:30], all UTC, today, yesterday, now, or how long ago: 30m, 2h,
 * 1d12h, 3w. A date is the whole day (or minute): `started=2026-01-31` is on that day,
 * `started>2026-01-31` after it. Amounts of seconds may be written 90, 1m30s, 2h.
 *
 * A test of something that a run does not have is false; != and !~ are the opposites of = and ~.
 */
#ifndef VQ_CORE_STORE_FILTER_H
#define VQ_CORE_STORE_FILTER_H

#include "core/store/attr.h"

/* Appends an SQL condition over `runs r` to q. `now` is what times are relative to. On failure
 * (VQ_EINVAL, VQ_ENOTFOUND for an unknown attribute) *at is the byte of `text` it is about. */
enum vq_status vq_filter_compile(struct vq_store *store, const char *text, double now,
                                 struct vq_sql *q, size_t *at, struct vq_err *err);

#endif
