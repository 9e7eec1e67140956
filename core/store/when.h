/*
 * when: times and spans of time as people write them: 2026-01-31, 2026-01-31T12:00[:30][Z], today,
 * yesterday, now, how long ago (30m, 2h, 1d12h, 3w), or seconds since 1970. All of it is UTC.
 */
#ifndef VQ_CORE_STORE_WHEN_H
#define VQ_CORE_STORE_WHEN_H

#include <stdbool.h>
#include <stddef.h>

/* A time, len bytes: the moments [*from, *to), equal for an exact one. False if it is
 * none. */
bool vq_time_parse(const char *text, size_t len, double now, double *from, double *to);

/* "90", "1m30s", "2h", "1.5h": seconds; units s m h d w. False if it is none. */
bool vq_duration_parse(const char *text, size_t len, double *seconds);

#endif
