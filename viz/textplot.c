#include "viz/textplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "viz/axis.h"

enum { MARGIN = 10, MOST_COLUMNS = 1000, MOST_ROWS = 400 };

/* The canvas of dots: w x h characters, each 2 x 4 dots (or one, in ASCII). */
struct grid {
    const struct viz_textplot *t;
    size_t w, h;
    int dot_w, dot_h; /* dots of one character */
    uint8_t *bits;    /* [h, w] braille pattern */
    uint16_t *owner;  /* [h, w] index of the series + 1 */
    struct viz_axis x, y;
    bool letters;
    struct vq_text text;
};

static bool can_draw(const struct viz_textplot *t, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!t->log_y || y > 0);
}

/* Fits both axes; false when there is nothing to fit them to. */
static bool fit(struct grid *g, const struct viz_series *s, size_t n)
{
    double x_lo = INFINITY, x_hi = -INFINITY, y_lo = INFINITY, y_hi = -INFINITY;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < s[i].y.n; j++) {
            double x = viz_vec_at(s[i].x, j), y = viz_vec_at(s[i].y, j);
            if (!can_draw(g->t, x, y))
                continue;
            x_lo = fmin(x_lo, x);
            x_hi = fmax(x_hi, x);
            y_lo = fmin(y_lo, y);
            y_hi = fmax(y_hi, y);
        }
    g->x = viz_axis_fit(x_lo, x_hi, false, 0);
    g->y = viz_axis_fit(y_lo, y_hi, g->t->log_y, 0.02);
    return x_lo <= x_hi;
}

/* The braille dots of a character by column and row (Unicode, "Braille Patterns"). */
static const uint8_t dot_bit[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

static void put_dot(struct grid *g, long x, long y, size_t series)
{
    if (x < 0 || y < 0 || x >= (long)g->w * g->dot_w || y >= (long)g->h * g->dot_h)
        return;
    size_t cell = (size_t)(y / g->dot_h) * g->w + (size_t)(x / g->dot_w);
    g->bits[cell] |= dot_bit[g->dot_w == 2 ? x % 2 : 0][g->dot_h == 4 ? y % 4 : 0];
    g->owner[cell] = (uint16_t)(series + 1);
}

/* Steps along the longer side of the segment. */
static void put_segment(struct grid *g, long x0, long y0, long x1, long y1, size_t series)
{
    long dx = labs(x1 - x0), dy = labs(y1 - y0), steps = dx > dy ? dx : dy;
    for (long i = 0; i <= steps; i++) {
        double f = steps ? (double)i / (double)steps : 0;
        put_dot(g, x0 + lround(f * (double)(x1 - x0)), y0 + lround(f * (double)(y1 - y0)), series);
    }
}

static void draw(struct grid *g, const struct viz_series *s, size_t series)
{
    double right = (double)(g->w * (size_t)g->dot_w - 1),
           low = (double)(g->h * (size_t)g->dot_h - 1);
    long last_x = 0, last_y = 0;
    bool joined = false;
    for (size_t j = 0; j < s->y.n; j++) {
        double x = viz_vec_at(s->x, j), y = viz_vec_at(s->y, j);
        if (!can_draw(g->t, x, y)) {
            joined = false;
            continue;
        }
        long at_x = lround(viz_axis_at(g->x, x) * right);
        long at_y = lround((1 - viz_axis_at(g->y, y)) * low);
        put_segment(g, joined ? last_x : at_x, joined ? last_y : at_y, at_x, at_y, series);
        last_x = at_x;
        last_y = at_y;
        joined = true;
    }
}

/* ---- colours ---- */

/* As the chart's first eight colours, as near as the terminal comes. */
static const char *const colours_256[] = {"38;5;67", "38;5;166", "38;5;71",  "38;5;131",
                                          "38;5;97", "38;5;94",  "38;5;175", "38;5;245"};
static const char *const colours_16[] = {"34", "33", "32", "31", "35", "36", "95", "90"};

static void begin_colour(struct grid *g, size_t series)
{
    if (g->t->colors == VIZ_COLORS_NONE)
        return;
    bool few = g->t->colors == VIZ_COLORS_16;
    vq_text_printf(&g->text, "\x1b[%sm", (few ? colours_16 : colours_256)[series % 8]);
}

static void end_colour(struct grid *g)
{
    if (g->t->colors != VIZ_COLORS_NONE)
        vq_text_puts(&g->text, "\x1b[0m");
}

static char letter(size_t series)
{
    return (char)('a' + series % 26);
}

/* ---- text ---- */

static void put_cell(struct grid *g, size_t cell)
{
    char bytes[4];
    if (g->letters) {
        bytes[0] = letter(g->owner[cell] - 1u);
        vq_text_put(&g->text, bytes, 1);
        return;
    }
    vq_text_put(&g->text, bytes, vq_utf8_put(0x2800u + g->bits[cell], bytes));
}

/* One line of the plot, without blanks at its end; a colour is named where it changes. */
static void put_cells(struct grid *g, size_t row)
{
    size_t last = g->w;
    unsigned colour = 0;
    while (last > 0 && !g->owner[row * g->w + last - 1])
        last--;
    for (size_t c = 0; c < last; c++) {
        size_t cell = row * g->w + c;
        if (!g->owner[cell]) {
            vq_text_puts(&g->text, " ");
            continue;
        }
        if (g->owner[cell] != colour)
            begin_colour(g, g->owner[cell] - 1u);
        colour = g->owner[cell];
        put_cell(g, cell);
    }
    if (colour)
        end_colour(g);
}

static void put_line(struct grid *g, const char *s, size_t indent)
{
    size_t columns = g->t->columns ? g->t->columns : 80;
    size_t room = columns > indent ? columns - indent : 0;
    for (size_t i = 0; i < indent; i++)
        vq_text_puts(&g->text, " ");
    vq_text_put(&g->text, s, vq_utf8_fit(s, strlen(s), room, NULL));
    vq_text_puts(&g->text, "\n");
}

/* The plot with its y axis: numbers at the rows nearest to their values. */
static void put_plot(struct grid *g)
{
    struct viz_ticks ticks = viz_axis_ticks(g->y, g->h / 3 + 1, false);
    char label[VIZ_NUMBER_LEN];
    for (size_t row = 0; row < g->h; row++) {
        const char *text = "";
        for (size_t i = 0; i < ticks.n; i++) {
            double at = (1 - viz_axis_at(g->y, ticks.at[i])) * (double)(g->h - 1);
            if (lround(at) == (long)row)
                text = viz_tick_label(label, &ticks, ticks.at[i]);
        }
        vq_text_printf(&g->text, "%*s %s", MARGIN - 2, text,
                       g->t->ascii ? (*text ? "+" : "|")
                       : *text     ? "┤"
                                   : "│");
        put_cells(g, row);
        vq_text_puts(&g->text, "\n");
    }
}

/* The x axis and its numbers, as many as fit without touching. */
static void put_x_axis(struct grid *g)
{
    struct viz_ticks ticks = viz_axis_ticks(g->x, g->w / 12 + 1, false);
    char label[VIZ_NUMBER_LEN], *numbers = vq_calloc(g->w + MARGIN + VIZ_NUMBER_LEN, 1);
    if (!numbers) {
        g->text.failed = true;
        return;
    }
    size_t used = 0;
    memset(numbers, ' ', g->w + MARGIN);
    vq_text_printf(&g->text, "%*s%s", MARGIN - 1, "", g->t->ascii ? "+" : "└");
    for (size_t c = 0; c < g->w; c++) {
        bool tick = false;
        for (size_t i = 0; i < ticks.n; i++) {
            if (lround(viz_axis_at(g->x, ticks.at[i]) * (double)(g->w - 1)) != (long)c)
                continue;
            tick = true;
            size_t len = strlen(viz_tick_label(label, &ticks, ticks.at[i]));
            size_t from = MARGIN + c > len / 2 ? MARGIN + c - len / 2 : 0;
            if (from < used || from + len > g->w + MARGIN)
                continue;
            memcpy(numbers + from, label, len);
            used = from + len + 1;
        }
        vq_text_puts(&g->text, g->t->ascii ? (tick ? "+" : "-") : tick ? "┬" : "─");
    }
    numbers[used ? used - 1 : 0] = '\0';
    vq_text_puts(&g->text, "\n");
    if (g->t->xlabel && used + strlen(g->t->xlabel) + 2 < g->w + MARGIN) {
        numbers[used] = ' ';
        memcpy(numbers + used - 1, "  ", 2);
        memcpy(numbers + used + 1, g->t->xlabel, strlen(g->t->xlabel) + 1);
    }
    put_line(g, numbers, 0);
    free(numbers);
}

static void put_legend(struct grid *g, const struct viz_series *s, size_t n)
{
    size_t columns = g->t->columns ? g->t->columns : 80, used = MARGIN;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const char *name = s[i].name;
        size_t width = name ? vq_utf8_width(name, strlen(name)) + 4 : 0;
        if (!name || (any && used + width > columns))
            continue;
        vq_text_printf(&g->text, "%*s", any ? 2 : MARGIN, "");
        begin_colour(g, i);
        if (g->letters)
            vq_text_printf(&g->text, "%c ", letter(i));
        else
            vq_text_puts(&g->text, "━ ");
        size_t room = columns > used + 2 ? columns - used - 2 : 0;
        vq_text_put(&g->text, name, vq_utf8_fit(name, strlen(name), room, NULL));
        end_colour(g);
        used += width;
        any = true;
    }
    vq_text_puts(&g->text, any ? "\n" : "");
}

static void put_empty(struct grid *g)
{
    static const char says[] = "nothing to draw yet";
    for (size_t row = 0; row < g->h; row++) {
        bool middle = row == g->h / 2;
        vq_text_printf(&g->text, "%*s%s", MARGIN - 1, "", g->t->ascii ? "|" : "│");
        size_t indent = g->w > sizeof(says) ? (g->w - sizeof(says)) / 2 : 0;
        if (middle)
            vq_text_printf(&g->text, "%*s%.*s", (int)indent, "", (int)g->w, says);
        vq_text_puts(&g->text, "\n");
    }
}

static bool has_legend(const struct viz_series *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].name)
            return true;
    return false;
}

/* Room for the plot itself: all rows but those of title, axis, numbers and legend. */
static enum vq_status make_grid(struct grid *g, const struct viz_series *s, size_t n,
                                struct vq_err *err)
{
    size_t columns = g->t->columns ? g->t->columns : 80, rows = g->t->rows ? g->t->rows : 20;
    size_t around = 2 + (g->t->title != NULL) + has_legend(s, n);
    columns = columns > MOST_COLUMNS ? MOST_COLUMNS : columns;
    rows = rows > MOST_ROWS ? MOST_ROWS : rows;
    g->w = columns > MARGIN + 10 ? columns - MARGIN : 10;
    g->h = rows > around + 3 ? rows - around : 3;
    g->letters = g->t->ascii || (g->t->colors == VIZ_COLORS_NONE && n > 1);
    g->dot_w = g->letters ? 1 : 2;
    g->dot_h = g->letters ? 1 : 4;
    g->bits = vq_calloc(g->w * g->h, sizeof(*g->bits));
    g->owner = vq_calloc(g->w * g->h, sizeof(*g->owner));
    return g->bits && g->owner ? VQ_OK : vq_nomem(err, "plot", g->w, g->h);
}

enum vq_status viz_textplot_lines(char **out, const struct viz_textplot *t,
                                  const struct viz_series *s, size_t n, struct vq_err *err)
{
    struct grid g = {.t = t};
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        if ((s[i].x.f32 || s[i].x.f64) && s[i].x.n != s[i].y.n)
            return vq_fail(err, VQ_EINVAL, "series %zu: %zu x values for %zu y values", i, s[i].x.n,
                           s[i].y.n);
    enum vq_status status = make_grid(&g, s, n, err);
    if (status == VQ_OK) {
        if (t->title)
            put_line(&g, t->title, MARGIN);
        bool any = fit(&g, s, n);
        for (size_t i = 0; any && i < n; i++)
            draw(&g, &s[i], i);
        if (any)
            put_plot(&g);
        else
            put_empty(&g);
        put_x_axis(&g);
        put_legend(&g, s, n);
        if (g.text.failed)
            status = vq_nomem(err, "plot", g.text.len, 1);
    }
    free(g.bits);
    free(g.owner);
    if (status == VQ_OK)
        *out = g.text.data;
    else
        vq_text_release(&g.text);
    return status;
}
