/*
 * axis: where values lie along one side of a chart, where its ticks are, and how numbers are
 * written on it. Numbers are written with a decimal point whatever the locale.
 */
#ifndef VQ_VIZ_AXIS_H
#define VQ_VIZ_AXIS_H

#include <stdbool.h>
#include <stddef.h>

/* The values at the two ends of an axis: finite, lo < hi, and lo > 0 when log. */
struct viz_axis {
    double lo, hi;
    bool log;
};

/* An axis that shows [lo, hi] with `margin` (a fraction of its length) to spare at both ends. Equal
 * ends are widened around their value, and ends that no axis can have (not finite, or <= 0 on a log
 * axis) give [0, 1], or [1, 10] for log. */
struct viz_axis viz_axis_fit(double lo, double hi, bool log, double margin);

/* Position of x along the axis: 0 at lo, 1 at hi, beyond them outside; NaN if x has no place. */
double viz_axis_at(struct viz_axis a, double x);

#define VIZ_MAX_TICKS 24

struct viz_ticks {
    double at[VIZ_MAX_TICKS];
    size_t n;
    double step; /* between neighbours; 0 on a log axis */
};

/*
 * Round tick values inside the axis, ascending, at most `most` of them (2 to VIZ_MAX_TICKS; other
 * counts are clamped). Linear: multiples of 1, 2 or 5 times a power of ten. Log: powers of ten,
 * thinned out to every second, fifth ... one when there are many, or joined by 2 and 5 times them
 * when the axis spans few; below about half a decade the ticks are linear ones. With `whole` no
 * step is below 1: for counts and indices. There may be none.
 */
struct viz_ticks viz_axis_ticks(struct viz_axis a, size_t most, bool whole);

#define VIZ_NUMBER_LEN 32

/* Writes tick x of `t` with just the digits that tell it from its neighbours: 0.25, 12k, 1.5M,
 * 2e-5. Returns buf. */
const char *viz_tick_label(char buf[VIZ_NUMBER_LEN], const struct viz_ticks *t, double x);

/* Writes any number to about `digits` significant digits (1 to 9) in the same short style; NaN and
 * infinities as "NaN", "Inf", "-Inf". Returns buf. */
const char *viz_number(char buf[VIZ_NUMBER_LEN], double x, int digits);

#endif
