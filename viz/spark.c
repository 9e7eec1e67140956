#include "viz/spark.h"

#include <math.h>
#include <string.h>

static const char *const rising[9] = {" ",
                                      "\xe2\x96\x81",
                                      "\xe2\x96\x82",
                                      "\xe2\x96\x83",
                                      "\xe2\x96\x84",
                                      "\xe2\x96\x85",
                                      "\xe2\x96\x86",
                                      "\xe2\x96\x87",
                                      "\xe2\x96\x88"};
static const char *const widening[9] = {"",
                                        "\xe2\x96\x8f",
                                        "\xe2\x96\x8e",
                                        "\xe2\x96\x8d",
                                        "\xe2\x96\x8c",
                                        "\xe2\x96\x8b",
                                        "\xe2\x96\x8a",
                                        "\xe2\x96\x89",
                                        "\xe2\x96\x88"};
#define MIDDLE_DOT "\xc2\xb7"

/* Appends s at *used if it and the terminator fit. */
static int put(char *buf, size_t len, size_t *used, const char *s)
{
    size_t n = strlen(s);
    if (*used + n >= len)
        return 0;
    memcpy(buf + *used, s, n + 1);
    *used += n;
    return 1;
}

/* v / max in eighths of `full`, rounded, at least one eighth for any v > 0. */
static size_t eighths(double v, double max, size_t full)
{
    if (!(v > 0) || !(max > 0))
        return 0;
    double share = v < max ? v / max : 1;
    double n = round(share * (double)full * 8);
    return n < 1 ? 1 : (size_t)n;
}

static double largest(const double *v, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]) && v[i] > max)
            max = v[i];
    return max;
}

size_t viz_spark(char *buf, size_t len, const double *v, size_t n, double max)
{
    size_t used = 0, i = 0;
    buf[0] = '\0';
    if (!(max > 0) || !isfinite(max))
        max = largest(v, n);
    if (max == 0)
        max = 1; /* so that infinity alone is a full block */
    while (i < n && put(buf, len, &used, isnan(v[i]) ? MIDDLE_DOT : rising[eighths(v[i], max, 1)]))
        i++;
    return i;
}

size_t viz_bar(char *buf, size_t len, double v, double max, size_t width)
{
    size_t used = 0, columns = 0;
    buf[0] = '\0';
    if (width == 0)
        return 0;
    if (isnan(v))
        return (size_t)put(buf, len, &used, MIDDLE_DOT);
    if (!(max > 0) || !isfinite(max))
        max = v;
    for (size_t left = eighths(v, max, width); left > 0; columns++) {
        size_t now = left < 8 ? left : 8;
        if (!put(buf, len, &used, widening[now]))
            break;
        left -= now;
    }
    return columns;
}
