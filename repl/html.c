#include "repl/html.h"

#include <string.h>

#include "repl/out_private.h"

enum { SHORT = 32 }; /* bytes of a text that no table breaks */

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void sh_html_text(struct vq_text *to, const char *s, size_t n, bool lines)
{
    struct vq_text clean = {0};
    sh_clean_text(s, n, lines, &clean);
    to->failed = to->failed || clean.failed;
    size_t done = 0;
    for (size_t i = 0; i < clean.len; i++) {
        const char *name = entity(clean.data[i]);
        if (!name)
            continue;
        vq_text_put(to, clean.data + done, i - done);
        vq_text_puts(to, name);
        done = i + 1;
    }
    vq_text_put(to, clean.data + done, clean.len - done);
    vq_text_release(&clean);
}

void sh_html_string(struct vq_text *to, const char *s)
{
    sh_html_text(to, s, strlen(s), false);
}

void sh_html_element(struct vq_text *to, const char *tag, const char *text)
{
    vq_text_printf(to, "<%s>", tag);
    sh_html_string(to, text);
    vq_text_printf(to, "</%s>\n", tag);
}

/* ---- tables ---- */

static bool is_number(const struct sh_cell *c)
{
    return c->kind == SH_CELL_INT || c->kind == SH_CELL_UINT || c->kind == SH_CELL_F64 ||
           c->kind == SH_CELL_F32;
}

/* Short texts stay on one line. */
static void put_text_cell(const char *s, size_t n, bool json, struct vq_text *to)
{
    bool is_short = n <= SHORT && (n == 0 || !memchr(s, '\n', n));
    vq_text_puts(to, json ? "<td class=\"json\">" : is_short ? "<td class=\"s\">" : "<td>");
    sh_html_text(to, s, n, true);
    vq_text_puts(to, "</td>");
}

static void put_cell(const struct sh_result *r, const struct sh_cell *c, struct vq_text *to)
{
    if (c->kind == SH_CELL_TEXT || c->kind == SH_CELL_JSON) {
        put_text_cell(c->len ? r->text.data + c->at : "", c->len, c->kind == SH_CELL_JSON, to);
        return;
    }
    if (is_number(c)) {
        vq_text_puts(to, "<td class=\"n\" data-v=\"");
        sh_format_cell(r, c, false, to);
        vq_text_puts(to, "\">");
        sh_format_cell(r, c, true, to);
    } else {
        vq_text_puts(to, "<td>");
        sh_format_cell(r, c, true, to);
    }
    vq_text_puts(to, "</td>");
}

void sh_html_cell(struct vq_text *to, const struct vq_value *v)
{
    struct sh_result none = {0};
    struct sh_cell c = {.kind = v->kind == VQ_VALUE_INT    ? SH_CELL_INT
                                : v->kind == VQ_VALUE_REAL ? SH_CELL_F64
                                                           : SH_CELL_NULL};
    if (v->kind == VQ_VALUE_TEXT || v->kind == VQ_VALUE_BLOB) {
        put_text_cell(v->text, v->len, false, to);
        return;
    }
    if (v->kind == VQ_VALUE_INT)
        c.v.i = v->i;
    else
        c.v.d = v->d;
    put_cell(&none, &c, to);
}

/* Whether a column of numbers begins here, by the first of the rows at hand that has a value. */
static bool numbers_below(const struct sh_result *r, size_t col)
{
    for (size_t row = 0; row < r->n_row; row++) {
        const struct sh_cell *c = r->cell + row * r->n_col + col;
        if (c->kind != SH_CELL_NULL)
            return is_number(c);
    }
    return false;
}

static void put_name(const struct sh_column *col, bool number, struct vq_text *to)
{
    vq_text_puts(to, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
    sh_html_string(to, col->name);
    vq_text_puts(to, "</th>");
}

void sh_html_begin(const struct sh_result *r, struct vq_text *to)
{
    if (r->kind != SH_RESULT_LIST) {
        vq_text_puts(to, "<table class=\"record\"><tbody>\n");
        return;
    }
    vq_text_puts(to, "<table class=\"list\"><thead><tr>");
    for (size_t i = 0; i < r->n_col; i++)
        if (!r->col[i].hidden)
            put_name(&r->col[i], numbers_below(r, i), to);
    vq_text_puts(to, "</tr></thead><tbody>\n");
}

static void put_field(const struct sh_result *r, const struct sh_column *col,
                      const struct sh_cell *c, struct vq_text *to)
{
    vq_text_puts(to, "<tr><th scope=\"row\">");
    sh_html_string(to, col->name);
    vq_text_puts(to, "</th>");
    put_cell(r, c, to);
    vq_text_puts(to, "</tr>\n");
}

void sh_html_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    bool list = r->kind == SH_RESULT_LIST;
    vq_text_puts(to, list ? "<tr>" : "");
    for (size_t i = 0; i < r->n_col; i++) {
        const struct sh_cell *c = r->cell + row * r->n_col + i;
        if (r->col[i].hidden)
            continue;
        if (list)
            put_cell(r, c, to);
        else
            put_field(r, &r->col[i], c, to);
    }
    vq_text_puts(to, list ? "</tr>\n" : "");
}

void sh_html_end(const struct sh_result *r, struct vq_text *to)
{
    (void)r;
    vq_text_puts(to, "</tbody></table>\n");
}
