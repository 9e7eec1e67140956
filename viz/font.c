#include "viz/font.h"

#include <limits.h>
#include <string.h>

#include "viz/glyphs.h"

#define ELLIPSIS "\xe2\x80\xa6"

static enum viz_face face_of(struct viz_font f)
{
    return f.small ? VIZ_FACE_SMALL : VIZ_FACE_REGULAR;
}

static int scale_of(struct viz_font f)
{
    return f.scale > 1 ? f.scale : 1;
}

int viz_font_ascent(struct viz_font f)
{
    return viz_face_ascent(face_of(f)) * scale_of(f);
}

int viz_font_height(struct viz_font f)
{
    return (viz_face_ascent(face_of(f)) + viz_face_descent(face_of(f))) * scale_of(f);
}

size_t viz_utf8_next(const char *s, uint32_t *cp)
{
    /* The first code point that needs this many bytes: less in as many is overlong, thus
     * ill-formed. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t v = n == 1 ? p[0] : p[0] & (0x7fU >> n);
    *cp = 0xfffd;
    if (n == 0 || p[0] >= 0xf8)
        return 1;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        v = v << 6 | (p[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 1;
    *cp = v;
    return n;
}

/* Pixels from one glyph's left edge to the next one's: a bold stroke is one pixel wider. */
static int advance(struct viz_font f, uint32_t cp)
{
    return (viz_glyph_find(face_of(f), cp).w + 1 + (f.bold ? 1 : 0)) * scale_of(f);
}

int viz_text_width(struct viz_font f, const char *s)
{
    int64_t w = 0;
    while (s && *s && w < INT_MAX / 2) {
        uint32_t cp;
        s += viz_utf8_next(s, &cp);
        w += advance(f, cp);
    }
    return w > 0 ? (int)w - scale_of(f) : 0;
}

/* Where text starts and which way it runs. */
struct pen {
    struct viz_canvas *c;
    struct viz_font f;
    struct viz_rgb color;
    int x, y;
    bool up;
};

/* One pixel of the face at (u along the text, v down from the top of capitals). */
static void ink(const struct pen *p, int u, int v)
{
    int k = scale_of(p->f);
    struct viz_rect r = {p->x + u * k, p->y + v * k, k, k};
    if (p->up) {
        r.x = p->x + v * k;
        r.y = p->y - (u + 1) * k;
    }
    viz_fill_rect(p->c, r, p->color);
}

static void draw_glyph(const struct pen *p, uint32_t cp)
{
    struct viz_glyph g = viz_glyph_find(face_of(p->f), cp);
    for (int v = 0; v < g.n_rows; v++)
        for (int u = 0; u < g.w; u++) {
            if (g.rows[v][u] != '#')
                continue;
            ink(p, u, v);
            if (p->f.bold)
                ink(p, u + 1, v);
        }
}

static void draw(struct pen p, const char *s)
{
    int64_t walked = 0;
    /* Text that has walked off every canvas is not followed to its end. */
    while (s && *s && walked < 2 * VIZ_CANVAS_MAX) {
        uint32_t cp;
        s += viz_utf8_next(s, &cp);
        draw_glyph(&p, cp);
        int step = advance(p.f, cp);
        walked += step;
        p.x += p.up ? 0 : step;
        p.y -= p.up ? step : 0;
    }
}

void viz_text(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
              struct viz_rgb color)
{
    draw((struct pen){c, f, color, x, y, false}, s);
}

void viz_text_up(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
                 struct viz_rgb color)
{
    draw((struct pen){c, f, color, x, y, true}, s);
}

/* Copies s whole if it fits, and says so; else leaves buf empty and *room is what the ellipsis
 * leaves of max_width, negative if not even that fits. */
static bool fits(char *buf, size_t len, struct viz_font f, const char *s, int max_width, int *room)
{
    size_t bytes = s ? strlen(s) : 0;
    int dots = viz_text_width(f, ELLIPSIS);
    buf[0] = '\0';
    *room = dots > max_width || len < sizeof(ELLIPSIS) ? -1 : max_width - dots;
    if (viz_text_width(f, s) > max_width || bytes >= len)
        return false;
    memcpy(buf, s ? s : "", bytes + 1);
    return true;
}

int viz_text_fit(char *buf, size_t len, struct viz_font f, const char *s, int max_width)
{
    int room, used = 0;
    if (fits(buf, len, f, s, max_width, &room))
        return viz_text_width(f, s);
    if (room < 0)
        return 0;
    size_t n = 0;
    while (s[n]) {
        uint32_t cp;
        size_t step = viz_utf8_next(s + n, &cp);
        used += advance(f, cp);
        if (used > room || n + step + sizeof(ELLIPSIS) > len)
            break;
        n += step;
    }
    /* No blank before the ellipsis, where it would look like a word left out. */
    while (n > 0 && s[n - 1] == ' ')
        n--;
    memcpy(buf, s, n);
    memcpy(buf + n, ELLIPSIS, sizeof(ELLIPSIS));
    return viz_text_width(f, buf);
}

int viz_text_fit_end(char *buf, size_t len, struct viz_font f, const char *s, int max_width)
{
    int room;
    if (fits(buf, len, f, s, max_width, &room))
        return viz_text_width(f, s);
    if (room < 0)
        return 0;
    uint32_t cp;
    int gap = (1 + (f.bold ? 1 : 0)) * scale_of(f), left = viz_text_width(f, s) + gap;
    while (*s && (left > room || strlen(s) + sizeof(ELLIPSIS) > len)) {
        s += viz_utf8_next(s, &cp);
        left -= advance(f, cp);
    }
    memcpy(buf, ELLIPSIS, sizeof(ELLIPSIS) - 1);
    memcpy(buf + sizeof(ELLIPSIS) - 1, s, strlen(s) + 1);
    return viz_text_width(f, buf);
}
