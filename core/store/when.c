#include "core/store/when.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "core/base/text.h"

static double unit_of(char c)
{
    static const char names[] = "smhdw";
    static const double seconds[] = {1, 60, 3600, 86400, 604800};
    const char *at = c ? strchr(names, c) : NULL;
    return at ? seconds[at - names] : 0;
}

bool vq_duration_parse(const char *text, size_t len, double *seconds)
{
    double sum = 0, plain;
    size_t at = 0;
    if (vq_text_to_f64(text, len, &plain)) {
        *seconds = plain;
        return true;
    }
    while (at < len) {
        size_t digits = 0;
        double value;
        while (at + digits < len &&
               ((text[at + digits] >= '0' && text[at + digits] <= '9') || text[at + digits] == '.'))
            digits++;
        double unit = at + digits < len ? unit_of(text[at + digits]) : 0;
        if (unit == 0 || !vq_text_to_f64(text + at, digits, &value))
            return false;
        sum += value * unit;
        at += digits + 1;
    }
    *seconds = sum;
    return len > 0;
}

/* Two digits at p, or -1. */
static int two(const char *p)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return -1;
    return (p[0] - '0') * 10 + p[1] - '0';
}

static bool in(int v, int lo, int hi)
{
    return v >= lo && v <= hi;
}

/* YYYY-MM-DD at p, as midnight; false if there is no such day. */
static bool day_at(const char *p, double *out)
{
    int century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
    if (century < 0 || year < 0 || p[4] != '-' || p[7] != '-' || !in(month, 1, 12) ||
        !in(day, 1, 31))
        return false;
    struct tm tm = {.tm_year = century * 100 + year - 1900, .tm_mon = month - 1, .tm_mday = day};
    *out = (double)timegm(&tm);
    return tm.tm_mon == month - 1; /* the 31st of a short month would be the next one's */
}

/* 2026-01-31, 2026-01-31T12:00, 2026-01-31 12:00:30, each perhaps with a Z. */
static bool date(const char *p, size_t len, double *from, double *to)
{
    if (len > 10 && p[len - 1] == 'Z')
        len--;
    if ((len != 10 && len != 16 && len != 19) || !day_at(p, from))
        return false;
    *to = *from + 86400;
    if (len == 10)
        return true;
    int hour = two(p + 11), minute = two(p + 14), second = len == 19 ? two(p + 17) : 0;
    if ((p[10] != 'T' && p[10] != ' ') || p[13] != ':' || (len == 19 && p[16] != ':') ||
        !in(hour, 0, 23) || !in(minute, 0, 59) || !in(second, 0, 60))
        return false;
    *from += hour * 3600.0 + minute * 60.0 + second;
    *to = *from + (len == 16 ? 60 : 1);
    return true;
}

static bool is(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && memcmp(name, text, len) == 0;
}

bool vq_time_parse(const char *text, size_t len, double now, double *from, double *to)
{
    double ago, midnight = now - (double)((int64_t)now % 86400) - (now - (double)(int64_t)now);
    if (date(text, len, from, to))
        return true;
    if (is("now", text, len)) {
        *from = *to = now;
    } else if (is("today", text, len)) {
        *from = midnight;
        *to = midnight + 86400;
    } else if (is("yesterday", text, len)) {
        *from = midnight - 86400;
        *to = midnight;
    } else if (len > 0 && unit_of(text[len - 1]) > 0 && vq_duration_parse(text, len, &ago)) {
        *from = *to = now - ago;
    } else {
        /* a plain number is seconds since 1970, as the table has them */
        if (!vq_text_to_f64(text, len, from))
            return false;
        *to = *from;
    }
    return true;
}
