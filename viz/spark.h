/*
 * spark: tiny charts of text, for a cell of a table. UTF-8 block elements, one column each.
 */
#ifndef VQ_VIZ_SPARK_H
#define VQ_VIZ_SPARK_H

#include <stddef.h>

/* Bytes that `columns` characters of a spark or bar need, with the terminator. */
#define VIZ_SPARK_BYTES(columns) (3 * (columns) + 1)

/* One character per value: eighths of a full block for 0 < v <= max (more than max is a full block,
 * and any v > 0 shows at least one eighth), a blank for v <= 0, a middle dot for NaN. max <= 0 or
 * not finite means the largest finite value. Writes as many whole characters as fit in buf (len > 0
 * bytes, always terminated) and returns how many that was. */
size_t viz_spark(char *buf, size_t len, const double *v, size_t n, double max);

/* A horizontal bar of v / max times `width` columns, in eighths of a column, without padding to the
 * right; same rules for values and for buf. Returns the columns used. */
size_t viz_bar(char *buf, size_t len, double v, double max, size_t width);

#endif
