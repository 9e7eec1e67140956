/*
 * layout: tables for people. A listing is a grid; a record, and a listing that does not fit the
 * screen even with its texts cut, is names and values below each other.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/out_private.h"

enum {
    NARROWEST = 6, /* a column of text is not cut below this, */
    LEGIBLE = 12,  /* nor below this while there are columns to leave out */
    WRAP_ROOM = 20 /* a value is not broken into lines shorter than this */
};

struct grid {
    const struct sh_result *r;
    const struct sh_look *look;
    struct vq_text text;      /* all cells as shown */
    size_t *at, *len, *width; /* [n_row * n_col] of each cell in text */
    size_t *col;              /* [n_col] width of each column, 0 for hidden ones, */
    size_t *full;             /* and what it would be with room enough */
    bool *right;              /* [n_col] columns of numbers stand to the right */
    bool *left_out;           /* [n_col] for want of room */
    struct vq_text *to;
};

static bool numeric(enum sh_cell_kind k)
{
    return k == SH_CELL_INT || k == SH_CELL_UINT || k == SH_CELL_F64 || k == SH_CELL_F32;
}

static size_t name_width(const struct sh_result *r, size_t c)
{
    return vq_utf8_width(r->col[c].name, strlen(r->col[c].name));
}

/* Shows every cell once, to know how wide the columns are. */
static void measure(struct grid *g)
{
    const struct sh_result *r = g->r;
    for (size_t c = 0; c < r->n_col; c++) {
        g->col[c] = r->col[c].hidden ? 0 : name_width(r, c);
        g->right[c] = r->n_row > 0;
    }
    for (size_t i = 0; i < r->n_row * r->n_col; i++) {
        size_t c = i % r->n_col;
        g->at[i] = g->text.len;
        sh_format_cell(r, &r->cell[i], true, &g->text);
        g->len[i] = g->text.len - g->at[i];
        g->width[i] = g->len[i] ? vq_utf8_width(g->text.data + g->at[i], g->len[i]) : 0;
        if (g->width[i] > g->col[c] && !r->col[c].hidden)
            g->col[c] = g->width[i];
        if (!numeric(r->cell[i].kind) && r->cell[i].kind != SH_CELL_NULL)
            g->right[c] = false;
    }
}

static size_t total(const struct grid *g)
{
    size_t sum = 0, shown = 0;
    for (size_t c = 0; c < g->r->n_col; c++) {
        sum += g->col[c];
        shown += g->col[c] > 0;
    }
    return g->look->box ? sum + 3 * shown + 1 : sum + 2 * (shown ? shown - 1 : 0);
}

static bool fits(const struct grid *g)
{
    return !g->look->columns || total(g) <= (size_t)g->look->columns;
}

/* Narrows the widest columns of text, none below `narrowest`, until the grid fits. */
static bool squeeze(struct grid *g, size_t narrowest, bool whole_ones)
{
    while (!fits(g)) {
        size_t widest = g->r->n_col;
        for (size_t c = 0; c < g->r->n_col; c++) {
            if (!g->right[c] && g->col[c] > narrowest && (whole_ones || !g->r->col[c].whole) &&
                (widest == g->r->n_col || g->col[c] > g->col[widest]))
                widest = c;
        }
        if (widest == g->r->n_col)
            return false;
        g->col[widest]--;
    }
    return true;
}

static bool has_values(const struct grid *g, size_t c)
{
    for (size_t i = c; i < g->r->n_row * g->r->n_col; i += g->r->n_col)
        if (g->len[i])
            return true;
    return false;
}

/* The spare column to leave out next; n_col when there is none. */
static size_t next_spare(const struct grid *g)
{
    size_t best = g->r->n_col;
    for (size_t c = 0; c < g->r->n_col; c++) {
        if (!g->r->col[c].spare || !g->col[c])
            continue;
        if (!has_values(g, c))
            return c;
        if (best == g->r->n_col || g->r->col[c].spare < g->r->col[best].spare)
            best = c;
    }
    return best;
}

/* Back to full widths but for what is left out. */
static void widen(struct grid *g)
{
    for (size_t c = 0; c < g->r->n_col; c++)
        g->col[c] = g->left_out[c] ? 0 : g->full[c];
}

/* Makes the grid fit the screen: cuts texts while they can still be read, leaves columns out, cuts
 * further; false when it cannot. */
static bool fit(struct grid *g)
{
    memcpy(g->full, g->col, g->r->n_col * sizeof(*g->col));
    while (!squeeze(g, LEGIBLE, false)) {
        size_t c = next_spare(g);
        if (c == g->r->n_col)
            break;
        g->left_out[c] = true;
        widen(g);
    }
    return squeeze(g, LEGIBLE, true) || squeeze(g, NARROWEST, false) || squeeze(g, NARROWEST, true);
}

/* Which columns are not there, and have something in them. */
static void tell_left_out(struct grid *g)
{
    bool any = false;
    for (size_t c = 0; c < g->r->n_col; c++) {
        if (!g->left_out[c] || !has_values(g, c))
            continue;
        vq_text_printf(g->to, "%s%s", any ? ", " : "no room for ", g->r->col[c].name);
        any = true;
    }
    vq_text_puts(g->to, any ? "\n" : "");
}

static void pad(struct vq_text *to, size_t n)
{
    while (n-- > 0)
        vq_text_puts(to, " ");
}

/* Takes blanks off the end of the last line. */
static void trim(struct vq_text *to)
{
    while (to->len && to->data[to->len - 1] == ' ')
        to->data[--to->len] = '\0';
}

/* One cell of `width` columns, cut with an ellipsis when its text is wider. */
static void put_cell(struct vq_text *to, const char *s, size_t len, size_t width, bool right,
                     bool last)
{
    size_t w = vq_utf8_width(s, len);
    bool cut = w > width;
    if (cut)
        len = vq_utf8_fit(s, len, width ? width - 1 : 0, &w);
    w += cut;
    if (right)
        pad(to, width - w);
    vq_text_put(to, s, len);
    vq_text_puts(to, cut ? "…" : "");
    if (!right && !last)
        pad(to, width - w);
}

static void rule(struct grid *g, const char *left, const char *cross, const char *end,
                 const char *dash)
{
    bool first = true;
    for (size_t c = 0; c < g->r->n_col; c++) {
        if (!g->col[c])
            continue;
        vq_text_puts(g->to, first ? left : cross);
        first = false;
        for (size_t i = 0; i < g->col[c] + (g->look->box ? 2 : 0); i++)
            vq_text_puts(g->to, dash);
    }
    vq_text_puts(g->to, end);
    vq_text_puts(g->to, "\n");
}

/* The last column that is shown: nothing is padded after it. */
static size_t last_shown(const struct grid *g)
{
    size_t last = 0;
    for (size_t c = 0; c < g->r->n_col; c++)
        last = g->col[c] ? c : last;
    return last;
}

static void heading(struct grid *g)
{
    bool colour = g->look->colour, first = true;
    for (size_t c = 0; c < g->r->n_col; c++) {
        const char *name = g->r->col[c].name;
        if (!g->col[c])
            continue;
        vq_text_puts(g->to, g->look->box ? (first ? "│ " : " │ ") : first ? "" : "  ");
        vq_text_puts(g->to, colour ? "\x1b[1m" : "");
        put_cell(g->to, name, strlen(name), g->col[c], g->right[c],
                 !g->look->box && c == last_shown(g));
        vq_text_puts(g->to, colour ? "\x1b[0m" : "");
        first = false;
    }
    vq_text_puts(g->to, g->look->box ? " │\n" : "\n");
}

static void grid_row(struct grid *g, size_t row)
{
    bool first = true;
    for (size_t c = 0; c < g->r->n_col; c++) {
        size_t i = row * g->r->n_col + c;
        if (!g->col[c])
            continue;
        vq_text_puts(g->to, g->look->box ? (first ? "│ " : " │ ") : first ? "" : "  ");
        put_cell(g->to, g->text.data ? g->text.data + g->at[i] : "", g->len[i], g->col[c],
                 g->right[c], !g->look->box && c == last_shown(g));
        first = false;
    }
    if (!g->look->box)
        trim(g->to);
    vq_text_puts(g->to, g->look->box ? " │\n" : "\n");
}

static void put_grid(struct grid *g)
{
    if (g->look->box)
        rule(g, "┌", "┬", "┐", "─");
    heading(g);
    if (g->look->box)
        rule(g, "├", "┼", "┤", "─");
    else if (!g->look->colour)
        rule(g, "", "  ", "", "-");
    for (size_t row = 0; row < g->r->n_row; row++)
        grid_row(g, row);
    if (g->look->box)
        rule(g, "└", "┴", "┘", "─");
    tell_left_out(g);
}

/* Bytes of the first line of a value that is broken at blanks into lines of `room`. What has no
 * blank stays as one, so that it can be copied. */
static size_t first_line(const char *s, size_t len, size_t room)
{
    size_t n = vq_utf8_fit(s, len, room, NULL);
    if (n == len)
        return len;
    while (n > 0 && s[n] != ' ')
        n--;
    while (n > 0 && s[n - 1] == ' ')
        n--;
    if (n)
        return n;
    const char *blank = memchr(s, ' ', len);
    return blank && blank != s ? (size_t)(blank - s) : len;
}

/* A value beside its name, over several lines if need be. */
static void put_wrapped(struct grid *g, const char *s, size_t len, size_t indent)
{
    size_t limit = (size_t)g->look->columns;
    size_t room = limit > indent + WRAP_ROOM ? limit - indent : 0;
    while (room && len) {
        size_t n = first_line(s, len, room);
        vq_text_put(g->to, s, n);
        s += n;
        len -= n;
        size_t blanks = strspn(s, " ");
        blanks = blanks < len ? blanks : len;
        s += blanks;
        len -= blanks;
        if (len) {
            vq_text_puts(g->to, "\n");
            pad(g->to, indent);
        }
    }
    vq_text_put(g->to, s, len);
}

static void pair(struct grid *g, size_t row, size_t c, size_t names, size_t values)
{
    size_t i = row * g->r->n_col + c;
    bool box = g->look->box, colour = g->look->colour;
    const char *name = g->r->col[c].name;
    vq_text_puts(g->to, box ? "│ " : "");
    vq_text_puts(g->to, colour ? "\x1b[1m" : "");
    put_cell(g->to, name, strlen(name), names, false, false);
    vq_text_puts(g->to, colour ? "\x1b[0m" : "");
    vq_text_puts(g->to, box ? " │ " : "  ");
    const char *value = g->text.data ? g->text.data + g->at[i] : "";
    if (box)
        put_cell(g->to, value, g->len[i], values, false, false);
    else
        put_wrapped(g, value, g->len[i], names + 2);
    if (!box)
        trim(g->to);
    vq_text_puts(g->to, box ? " │\n" : "\n");
}

/* A rule of a box of two columns. */
static void pair_rule(struct grid *g, size_t names, size_t values, const char *const piece[3])
{
    vq_text_puts(g->to, piece[0]);
    for (size_t i = 0; i < names + 2; i++)
        vq_text_puts(g->to, "─");
    vq_text_puts(g->to, piece[1]);
    for (size_t i = 0; i < values + 2; i++)
        vq_text_puts(g->to, "─");
    vq_text_puts(g->to, piece[2]);
    vq_text_puts(g->to, "\n");
}

/* How wide the values of a box may be, beside names of width `names`. Outside a box they may wrap.
 */
static size_t value_width(const struct grid *g, size_t names)
{
    size_t widest = 1, frame = names + 7;
    for (size_t i = 0; i < g->r->n_row * g->r->n_col; i++) {
        if (!g->r->col[i % g->r->n_col].hidden && g->width[i] > widest)
            widest = g->width[i];
    }
    size_t limit = (size_t)g->look->columns;
    if (!limit || frame + widest <= limit)
        return widest;
    return limit > frame + NARROWEST ? limit - frame : NARROWEST;
}

static void put_pairs(struct grid *g)
{
    static const char *const top[] = {"┌", "┬", "┐"}, *const mid[] = {"├", "┼", "┤"},
                             *const low[] = {"└", "┴", "┘"};
    size_t names = 0;
    for (size_t c = 0; c < g->r->n_col; c++) {
        size_t w = g->r->col[c].hidden ? 0 : name_width(g->r, c);
        names = w > names ? w : names;
    }
    size_t values = value_width(g, names);
    for (size_t row = 0; row < g->r->n_row; row++) {
        if (g->look->box)
            pair_rule(g, names, values, row ? mid : top);
        else if (row)
            vq_text_puts(g->to, "\n");
        for (size_t c = 0; c < g->r->n_col; c++) {
            if (!g->r->col[c].hidden)
                pair(g, row, c, names, values);
        }
    }
    if (g->look->box && g->r->n_row)
        pair_rule(g, names, values, low);
}

void sh_layout(const struct sh_result *r, const struct sh_look *look, struct vq_text *to)
{
    size_t n = r->n_row * r->n_col;
    struct grid g = {
        .r = r,
        .look = look,
        .to = to,
        .at = vq_calloc(n, sizeof(size_t)),
        .len = vq_calloc(n, sizeof(size_t)),
        .width = vq_calloc(n, sizeof(size_t)),
        .col = vq_calloc(r->n_col, sizeof(size_t)),
        .full = vq_calloc(r->n_col, sizeof(size_t)),
        .right = vq_calloc(r->n_col, sizeof(bool)),
        .left_out = vq_calloc(r->n_col, sizeof(bool)),
    };
    bool ok = g.at && g.len && g.width && g.col && g.full && g.right && g.left_out;
    if (ok) {
        measure(&g);
        if (r->kind == SH_RESULT_LIST && fit(&g))
            put_grid(&g);
        else
            put_pairs(&g);
    }
    to->failed = to->failed || g.text.failed || !ok;
    vq_text_release(&g.text);
    free(g.at);
    free(g.len);
    free(g.width);
    free(g.col);
    free(g.full);
    free(g.right);
    free(g.left_out);
}
