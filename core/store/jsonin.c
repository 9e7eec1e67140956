#include "core/store/jsonin.h"

#include <string.h>

#include "core/base/base64.h"
#include "core/base/json.h"
#include "core/base/utf8.h"

enum { DEEPEST = 64 };

void vq_jsonin_init(struct vq_jsonin *in, const char *text, size_t size)
{
    *in = (struct vq_jsonin){.at = text, .end = text + size};
}

static bool wrong(struct vq_jsonin *in, const char *why)
{
    if (!in->why)
        in->why = why;
    return false;
}

char vq_jsonin_peek(struct vq_jsonin *in)
{
    if (in->why)
        return '\0';
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
        in->at++;
    return in->at < in->end ? *in->at : '\0';
}

bool vq_jsonin_enter(struct vq_jsonin *in, char bracket)
{
    if (vq_jsonin_peek(in) != bracket)
        return wrong(in, bracket == '[' ? "expected a list" : "expected an object");
    in->at++;
    return true;
}

bool vq_jsonin_next(struct vq_jsonin *in, char close, bool *first)
{
    char c = vq_jsonin_peek(in);
    if (in->why)
        return false;
    if (c == close) {
        in->at++;
        return false;
    }
    if (!*first && c != ',')
        return wrong(in, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
    if (!*first)
        in->at++;
    *first = false;
    return vq_jsonin_peek(in) == close ? wrong(in, "a ',' without anything after it") : true;
}

/* After "\u": one code point, of two escapes where it needs them. */
static bool unicode(struct vq_jsonin *in, struct vq_text *out)
{
    char bytes[4];
    int high = vq_json_hex4(in->at, (size_t)(in->end - in->at));
    if (high < 0)
        return wrong(in, "\\u needs four hexadecimal digits");
    in->at += 4;
    uint32_t cp = (uint32_t)high;
    if (high >= 0xd800 && high < 0xdc00 && in->end - in->at >= 6 && in->at[0] == '\\' &&
        in->at[1] == 'u') {
        int low = vq_json_hex4(in->at + 2, 4);
        if (low >= 0xdc00 && low < 0xe000) {
            cp = 0x10000u + (((uint32_t)high - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
            in->at += 6;
        }
    }
    vq_text_put(out, bytes, vq_utf8_put(cp, bytes));
    return true;
}

static bool escape(struct vq_jsonin *in, struct vq_text *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return wrong(in, "a string is never closed");
    char c = *in->at++;
    if (c == 'u')
        return unicode(in, out);
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return wrong(in, "an unknown escape in a string");
    vq_text_put(out, to + (known - from), 1);
    return true;
}

bool vq_jsonin_string(struct vq_jsonin *in, struct vq_text *out)
{
    out->len = 0;
    vq_text_puts(out, ""); /* an empty string has a pointer too */
    if (vq_jsonin_peek(in) != '"')
        return wrong(in, "expected a string");
    in->at++;
    while (in->at < in->end && *in->at != '"') {
        const char *from = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\' &&
               (unsigned char)*in->at >= ' ')
            in->at++;
        vq_text_put(out, from, (size_t)(in->at - from));
        if (in->at == in->end || *in->at == '"')
            break;
        if (*in->at != '\\')
            return wrong(in, "a control character inside a string");
        in->at++;
        if (!escape(in, out))
            return false;
    }
    if (in->at == in->end)
        return wrong(in, "a string is never closed");
    in->at++;
    return !out->failed || wrong(in, "out of memory");
}

bool vq_jsonin_key(struct vq_jsonin *in, struct vq_text *out)
{
    if (!vq_jsonin_string(in, out))
        return false;
    if (vq_jsonin_peek(in) != ':')
        return wrong(in, "expected ':' after a key");
    in->at++;
    return true;
}

/* A number or a bare word. */
static bool skip_plain(struct vq_jsonin *in)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t left = (size_t)(in->end - in->at), n = 0;
    double number;
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if (left >= len && memcmp(in->at, words[i], len) == 0) {
            in->at += len;
            return true;
        }
    }
    while (n < left && in->at[n] && strchr("+-.0123456789eE", in->at[n]))
        n++;
    if (n == 0 || in->at[0] == '+' || !vq_text_to_f64(in->at, n, &number))
        return wrong(in, "expected a value");
    in->at += n;
    return true;
}

static bool skip_string(struct vq_jsonin *in)
{
    for (in->at++; in->at < in->end && *in->at != '"'; in->at++)
        if (*in->at == '\\')
            in->at++;
    if (in->at >= in->end)
        return wrong(in, "a string is never closed");
    in->at++;
    return true;
}

static bool skip_value(struct vq_jsonin *in, int depth)
{
    struct vq_text key = {0};
    char c = vq_jsonin_peek(in);
    if (c == '"')
        return skip_string(in);
    if (c != '{' && c != '[')
        return !in->why && skip_plain(in);
    if (depth == DEEPEST)
        return wrong(in, "too many brackets inside each other");
    char close = c == '{' ? '}' : ']';
    for (bool first = vq_jsonin_enter(in, c); vq_jsonin_next(in, close, &first);)
        if ((c == '{' && !vq_jsonin_key(in, &key)) || !skip_value(in, depth + 1))
            break;
    vq_text_release(&key);
    return !in->why;
}

bool vq_jsonin_span(struct vq_jsonin *in, const char **text, size_t *len)
{
    vq_jsonin_peek(in);
    *text = in->at;
    bool ok = skip_value(in, 0);
    *len = (size_t)(in->at - *text);
    return ok;
}

bool vq_jsonin_end(struct vq_jsonin *in)
{
    vq_jsonin_peek(in);
    return in->why || in->at == in->end || wrong(in, "something follows the end");
}

/* ---- bytes that are no text ---- */

void vq_json_put_bytes(struct vq_text *out, const char *s, size_t n)
{
    if (vq_utf8_check(s, n) == n) {
        vq_text_json_string(out, s, n);
        return;
    }
    vq_text_puts(out, "{\"base64\":\"");
    vq_text_base64(out, s, n);
    vq_text_puts(out, "\"}");
}

/* The value of one character; -1 for '=', -2 for none. */
static int value64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return c == '=' ? -1 : at ? (int)(at - digits) : -2;
}

/* In place: what comes out is never longer than what went in. */
static bool decode64(struct vq_text *t)
{
    size_t out = 0;
    if (t->len % 4 != 0)
        return false;
    for (size_t i = 0; i < t->len; i += 4) {
        int v[4], n = 4;
        for (int k = 0; k < 4; k++) {
            v[k] = value64(t->data[i + (size_t)k]);
            if (v[k] == -2 || (v[k] == -1 && (k < 2 || i + 4 < t->len)))
                return false;
            n = v[k] == -1 && k < n ? k : n;
        }
        if (n < 4 && v[3] != -1)
            return false;
        unsigned bits = (unsigned)v[0] << 18 | (unsigned)v[1] << 12 |
                        (unsigned)(n > 2 ? v[2] : 0) << 6 | (unsigned)(n > 3 ? v[3] : 0);
        for (int k = 0; k < n - 1; k++)
            t->data[out++] = (char)(bits >> (16 - 8 * k) & 255);
    }
    t->len = out;
    return true;
}

bool vq_jsonin_bytes(struct vq_jsonin *in, struct vq_text *out)
{
    if (vq_jsonin_peek(in) != '{')
        return vq_jsonin_string(in, out);
    in->at++;
    if (!vq_jsonin_key(in, out))
        return false;
    if (out->len != 6 || memcmp(out->data, "base64", 6) != 0)
        return wrong(in, "expected a string or {\"base64\":...}");
    if (!vq_jsonin_string(in, out))
        return false;
    if (!decode64(out))
        return wrong(in, "this is no base64");
    if (vq_jsonin_peek(in) != '}')
        return wrong(in, "expected '}'");
    in->at++;
    return true;
}
