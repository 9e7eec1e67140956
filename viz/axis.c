#include "viz/axis.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct viz_axis viz_axis_fit(double lo, double hi, bool log_scale, double margin)
{
    if (!isfinite(lo) || !isfinite(hi) || lo > hi || (log_scale && lo <= 0)) {
        lo = log_scale ? 1 : 0;
        hi = log_scale ? 10 : 1;
    }
    if (log_scale) {
        double a = log10(lo), b = log10(hi);
        double pad = b > a ? (b - a) * margin : 0.5;
        double min = pow(10, a - pad), max = pow(10, b + pad);
        return (struct viz_axis){min > 0 ? min : lo, isfinite(max) ? max : hi, true};
    }
    /* Widened also where the span is so small, by itself or next to the values, that ticks would
     * coincide. */
    double size = fmax(fabs(lo), fabs(hi));
    if (hi / 2 - lo / 2 <= fmax(size * 1e-12, 1e-290)) {
        double by = size > 0 ? fmax(size * 0.1, 1e-289) : 1;
        lo -= by;
        hi += by;
    } else {
        double pad = (hi / 2 - lo / 2) * 2 * margin;
        lo -= isfinite(pad) ? pad : 0;
        hi += isfinite(pad) ? pad : 0;
    }
    return (struct viz_axis){fmax(lo, -1e308), fmin(hi, 1e308), false};
}

double viz_axis_at(struct viz_axis a, double x)
{
    if (!a.log)
        return (x / 2 - a.lo / 2) / (a.hi / 2 - a.lo / 2);
    if (!(x > 0))
        return NAN;
    return (log10(x) - log10(a.lo)) / (log10(a.hi) - log10(a.lo));
}

/* The smallest of 1, 2, 5 times a power of ten that is at least x > 0. */
static double nice_above(double x)
{
    double p = pow(10, floor(log10(x)));
    double m = x / p;
    double f = m <= 1 + 1e-9 ? 1 : m <= 2 + 1e-9 ? 2 : m <= 5 + 1e-9 ? 5 : 10;
    return f * p;
}

/* Ticks are multiples computed one by one, not sums: sums drift, and 0.1 summed is not 0.3. */
static struct viz_ticks linear_ticks(struct viz_axis a, size_t most, bool whole)
{
    struct viz_ticks t = {.n = 0};
    double span = a.hi - a.lo;
    if (!(span > 0) || !isfinite(span))
        return t;
    t.step = nice_above(span / (double)most);
    if (whole && t.step < 1)
        t.step = 1;
    double eps = 1e-9 * span, first = ceil((a.lo - eps) / t.step);
    for (size_t i = 0; t.n < most; i++) {
        double x = (first + (double)i) * t.step;
        if (x > a.hi + eps)
            break;
        t.at[t.n++] = x == 0 ? 0 : x; /* no -0 */
    }
    return t;
}

/* All of `mantissas` times the powers of ten 10^(k stride) that lie on the axis. */
static struct viz_ticks decade_ticks(struct viz_axis a, size_t most, int stride, const char *mants)
{
    struct viz_ticks t = {.n = 0};
    int from = (int)floor(log10(a.lo)), to = (int)ceil(log10(a.hi));
    for (int e = from - ((from % stride) + stride) % stride; e <= to; e += stride)
        for (const char *m = mants; *m; m++) {
            double x = (*m - '0') * pow(10, e);
            if (x >= a.lo * (1 - 1e-9) && x <= a.hi * (1 + 1e-9) && t.n < most)
                t.at[t.n++] = x;
        }
    return t;
}

static struct viz_ticks log_ticks(struct viz_axis a, size_t most, bool whole)
{
    static const char *const mantissas[] = {"123456789", "1235", "125"};
    double decades = log10(a.hi) - log10(a.lo);
    /* Within half a decade a log axis is nearly linear, and powers of ten are too far apart. */
    if (decades < 0.6)
        return linear_ticks(a, most, whole);
    for (size_t i = 0; i < sizeof(mantissas) / sizeof(mantissas[0]); i++)
        if (decades * (double)strlen(mantissas[i]) <= (double)most)
            return decade_ticks(a, most, 1, mantissas[i]);
    static const int strides[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
    for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++)
        if (decades / strides[i] + 1 <= (double)most)
            return decade_ticks(a, most, strides[i], decades < 2 ? "12" : "1");
    return (struct viz_ticks){.n = 0};
}

struct viz_ticks viz_axis_ticks(struct viz_axis a, size_t most, bool whole)
{
    most = most < 2 ? 2 : most > VIZ_MAX_TICKS ? VIZ_MAX_TICKS : most;
    return a.log ? log_ticks(a, most, whole) : linear_ticks(a, most, whole);
}

/* x with `decimals` digits after a point, whatever the locale; needs |x| 10^decimals < 2^63. */
static size_t put_fixed(char *buf, size_t len, double x, int decimals)
{
    int64_t unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    int64_t v = llround(x * (double)unit);
    uint64_t mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    unsigned long long whole = mag / (uint64_t)unit, part = mag % (uint64_t)unit;
    int n = decimals > 0
                ? snprintf(buf, len, "%s%llu.%0*llu", v < 0 ? "-" : "", whole, decimals, part)
                : snprintf(buf, len, "%s%llu", v < 0 ? "-" : "", whole);
    return n > 0 && (size_t)n < len ? (size_t)n : 0;
}

/* Cuts the zeros, and a bare point, that end the number in buf[0 .. n). */
static size_t trim_zeros(char *buf, size_t n)
{
    if (!memchr(buf, '.', n))
        return n;
    while (n > 1 && buf[n - 1] == '0')
        n--;
    if (buf[n - 1] == '.')
        n--;
    buf[n] = '\0';
    return n;
}

static int clamp_digits(double d, int most)
{
    return d > 0 ? d < most ? (int)d : most : 0;
}

/* x so that differences of `step` show: a unit prefix for 10,000 and more (for 1,000 and more where
 * the numbers beside it reach 10,000, as `most` says), e-notation below 0.001 and from 1e15 on. */
static void put_number(char buf[VIZ_NUMBER_LEN], double x, double step, double most)
{
    static const struct {
        double unit;
        const char *sign;
    } prefixes[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    double mag = fabs(x), unit = 1, shown = x;
    const char *sign = "";
    char e_sign[8];
    if (mag < step * 1e-6 || mag == 0) {
        snprintf(buf, VIZ_NUMBER_LEN, "0");
        return;
    }
    if (mag < 1e-3 * (1 - 1e-9) || mag >= 1e15) {
        int e = (int)floor(log10(mag) + 1e-9);
        unit = pow(10, e);
        shown = x / pow(10, e / 2) / pow(10, e - e / 2); /* `unit` may be zero here: 1e-320 */
        snprintf(e_sign, sizeof(e_sign), "e%d", e);
        sign = e_sign;
    } else if (mag >= (most >= 1e4 ? 1e3 : 1e4) * (1 - 1e-9)) {
        size_t i = 0;
        while (i < 3 && mag < prefixes[i].unit * (1 - 1e-9))
            i++;
        unit = prefixes[i].unit;
        shown = x / unit;
        sign = prefixes[i].sign;
    }
    int decimals = clamp_digits(ceil(-log10(step / unit) - 1e-9), 12);
    size_t n = put_fixed(buf, VIZ_NUMBER_LEN, shown, decimals);
    if (unit != 1)
        n = trim_zeros(buf, n);
    snprintf(buf + n, VIZ_NUMBER_LEN - n, "%s", sign);
}

static const char *short_number(char buf[VIZ_NUMBER_LEN], double x, int digits, double most)
{
    if (!isfinite(x)) {
        snprintf(buf, VIZ_NUMBER_LEN, "%s", isnan(x) ? "NaN" : x < 0 ? "-Inf" : "Inf");
        return buf;
    }
    double step = x != 0 ? pow(10, floor(log10(fabs(x))) - digits + 1) : 1;
    put_number(buf, x, step, most);
    if (!strpbrk(buf, "ekMGT"))
        trim_zeros(buf, strlen(buf));
    return buf;
}

const char *viz_number(char buf[VIZ_NUMBER_LEN], double x, int digits)
{
    return short_number(buf, x, digits < 1 ? 1 : digits > 9 ? 9 : digits, 0);
}

const char *viz_tick_label(char buf[VIZ_NUMBER_LEN], const struct viz_ticks *t, double x)
{
    double most = t->n > 0 ? fmax(fabs(t->at[0]), fabs(t->at[t->n - 1])) : 0;
    if (!(t->step > 0))
        return short_number(buf, x, 3, most);
    put_number(buf, x, t->step, most);
    return buf;
}
