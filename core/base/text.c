#include "core/base/text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

void vq_text_release(struct vq_text *t)
{
    free(t->data);
    *t = (struct vq_text){0};
}

/* Room for n more bytes and the NUL. */
static bool reserve(struct vq_text *t, size_t n)
{
    size_t need;
    if (t->failed || !vq_add_ok(t->len, n, &need) || !vq_add_ok(need, 1, &need)) {
        t->failed = true;
        return false;
    }
    if (need <= t->cap)
        return true;
    size_t cap = t->cap < 64 ? 64 : t->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    char *data = vq_realloc(t->data, cap, 1);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->cap = cap;
    return true;
}

void vq_text_put(struct vq_text *t, const char *s, size_t n)
{
    if (!reserve(t, n))
        return;
    if (n)
        memcpy(t->data + t->len, s, n);
    t->len += n;
    t->data[t->len] = '\0';
}

void vq_text_puts(struct vq_text *t, const char *s)
{
    vq_text_put(t, s, strlen(s));
}

void vq_text_printf(struct vq_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        t->failed = true;
    } else if (reserve(t, (size_t)n)) {
        vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
        t->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

/* True when x was NaN or infinite and has been written as its name. */
static bool put_nonfinite(struct vq_text *t, double x)
{
    if (isfinite(x))
        return false;
    vq_text_puts(t, isnan(x) ? "\"NaN\"" : x > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    return true;
}

/* The C locale for this thread alone while numbers are printed: snprintf has no form that takes
 * a locale. glibc and musl keep the C locale static, so neither call allocates. */
static locale_t enter_c(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c ? uselocale(*c) : (locale_t)0;
}

static void leave_c(locale_t c, locale_t old)
{
    if (!c)
        return;
    uselocale(old);
    freelocale(c);
}

void vq_text_json_f64(struct vq_text *t, double x)
{
    if (put_nonfinite(t, x))
        return;
    char digits[40] = "";
    locale_t c, old = enter_c(&c);
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof(digits), "%.*g", n, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    leave_c(c, old);
    vq_text_puts(t, digits);
}

void vq_text_json_f32(struct vq_text *t, float x)
{
    if (put_nonfinite(t, x))
        return;
    char digits[40] = "";
    locale_t c, old = enter_c(&c);
    for (int n = 6; n <= 9; n++) {
        snprintf(digits, sizeof(digits), "%.*g", n, (double)x);
        if (strtof(digits, NULL) == x)
            break;
    }
    leave_c(c, old);
    vq_text_puts(t, digits);
}

static void put_escaped(struct vq_text *t, uint32_t cp)
{
    static const char letter[128] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                     ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (cp < 128 && letter[cp])
        vq_text_put(t, (char[]){'\\', letter[cp]}, 2);
    else
        vq_text_printf(t, "\\u%04x", (unsigned)cp);
}

static bool needs_escape(uint32_t cp)
{
    return cp < 0x20 || cp == '"' || cp == '\\' || (cp >= 0x7f && cp < 0xa0);
}

void vq_text_json_string(struct vq_text *t, const char *s, size_t n)
{
    size_t start = 0; /* of the run not written yet */
    vq_text_put(t, "\"", 1);
    for (size_t at = 0; at < n;) {
        uint32_t cp = VQ_UTF8_REPLACEMENT;
        int len = vq_utf8_next(s + at, n - at, &cp);
        size_t step = len > 0 ? (size_t)len : len < 0 ? (size_t)-len : n - at;
        bool plain = len > 0 && !needs_escape(cp);
        if (!plain) {
            vq_text_put(t, s + start, at - start);
            if (len > 0)
                put_escaped(t, cp);
            else
                vq_text_puts(t, "\xef\xbf\xbd");
            start = at + step;
        }
        at += step;
    }
    vq_text_put(t, s + start, n - start);
    vq_text_put(t, "\"", 1);
}

bool vq_text_to_f64(const char *s, size_t n, double *out)
{
    char copy[512]; /* a longer one is nobody's number */
    if (n == 0 || n >= sizeof(copy))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr("0123456789+-.eE", s[i]) || s[i] == '\0')
            return false;
    memcpy(copy, s, n);
    copy[n] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    char *end;
    double x = strtod_l(copy, &end, c);
    freelocale(c);
    if (end != copy + n || !isfinite(x))
        return false;
    *out = x;
    return true;
}
