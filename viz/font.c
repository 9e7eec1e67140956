#include "viz/font.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "viz/ops.h"
#include "viz/paint.h"

#define ELLIPSIS "\xe2\x80\xa6"

int viz_font_ascent(struct viz_font f)
{
    int ascent, descent;
    viz_paint_extents(f, &ascent, &descent);
    return ascent;
}

int viz_font_height(struct viz_font f)
{
    int ascent, descent;
    viz_paint_extents(f, &ascent, &descent);
    return ascent + descent;
}

/* s as the fonts and XML can take it. U+FFFE and U+FFFF are no characters in XML. */
static const char *clean(char out[VIZ_TEXT_BYTES + 1], const char *s)
{
    size_t left = s ? strlen(s) : 0, n = 0;
    while (left > 0 && n + 4 <= VIZ_TEXT_BYTES) {
        uint32_t cp;
        int step = vq_utf8_next(s, left, &cp);
        size_t used = step > 0 ? (size_t)step : step < 0 ? (size_t)-step : left;
        if (step == 0 || cp == 0xfffe || cp == 0xffff)
            cp = VQ_UTF8_REPLACEMENT;
        else if (cp < ' ' || (cp >= 0x7f && cp < 0xa0))
            cp = ' ';
        n += vq_utf8_put(cp, out + n);
        s += used;
        left -= used;
    }
    out[n] = '\0';
    return out;
}

int viz_text_width(struct viz_font f, const char *s)
{
    char text[VIZ_TEXT_BYTES + 1];
    return f.size > 0 && *clean(text, s) ? viz_paint_width(f, text) : 0;
}

/* Notes text whose baseline starts at (x, y). */
static void put(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
                struct viz_rgb color, bool up)
{
    char text[VIZ_TEXT_BYTES + 1];
    if (f.size < 1 || !*clean(text, s))
        return;
    char *copy = vq_strdup(text);
    struct viz_op *op = copy ? viz_canvas_add(c, VIZ_OP_TEXT, color) : NULL;
    if (!op) {
        c->failed = true;
        free(copy);
        return;
    }
    op->at[0] = x;
    op->at[1] = y;
    op->width = viz_paint_width(f, text);
    op->font = f;
    op->up = up;
    op->data = copy;
}

void viz_text(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
              struct viz_rgb color)
{
    put(c, f, x, y + viz_font_ascent(f), s, color, false);
}

void viz_text_up(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
                 struct viz_rgb color)
{
    put(c, f, x + viz_font_ascent(f), y, s, color, true);
}

static bool inside_character(const char *s, size_t at)
{
    return ((uint8_t)s[at] & 0xc0) == 0x80;
}

/* Writes what is kept of s, its first or its last n bytes, with the ellipsis; the width. */
static int cut_to(char *buf, struct viz_font f, const char *s, size_t n, bool end)
{
    if (end) {
        memcpy(buf, ELLIPSIS, sizeof(ELLIPSIS));
        memcpy(buf + sizeof(ELLIPSIS) - 1, s + strlen(s) - n, n + 1);
    } else {
        /* No blank before the ellipsis, where it would look like a word left out. */
        while (n > 0 && s[n - 1] == ' ')
            n--;
        memcpy(buf, s, n);
        memcpy(buf + n, ELLIPSIS, sizeof(ELLIPSIS));
    }
    return viz_text_width(f, buf);
}

/* A number of bytes that ends, or from the end begins, between characters: n or a few less. */
static size_t whole(const char *s, size_t n, bool end)
{
    size_t all = strlen(s);
    while (n > 0 && n < all && inside_character(s, end ? all - n : n))
        n--;
    return n;
}

static int fit(char *buf, size_t len, struct viz_font f, const char *s, int max_width, bool end)
{
    char text[VIZ_TEXT_BYTES + 1];
    size_t n = strlen(clean(text, s));
    int width = viz_text_width(f, text);
    buf[0] = '\0';
    if (n < len && width <= max_width) {
        memcpy(buf, text, n + 1);
        return width;
    }
    if (len < sizeof(ELLIPSIS) || cut_to(buf, f, text, 0, end) > max_width) {
        buf[0] = '\0';
        return 0;
    }
    /* Between 0 bytes, which fit, and most + 1, which do not; the more, the wider. */
    size_t fits = 0, most = n < len - sizeof(ELLIPSIS) ? n : len - sizeof(ELLIPSIS);
    for (size_t too_many = most + 1; fits + 1 < too_many;) {
        size_t middle = fits + (too_many - fits) / 2;
        if (cut_to(buf, f, text, whole(text, middle, end), end) <= max_width)
            fits = middle;
        else
            too_many = middle;
    }
    return cut_to(buf, f, text, whole(text, fits, end), end);
}

int viz_text_fit(char *buf, size_t len, struct viz_font f, const char *s, int max_width)
{
    return fit(buf, len, f, s, max_width, false);
}

int viz_text_fit_end(char *buf, size_t len, struct viz_font f, const char *s, int max_width)
{
    return fit(buf, len, f, s, max_width, true);
}
