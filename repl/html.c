#include "repl/html.h"

#include <string.h>

#include "repl/out_private.h"

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

void sh_html_base64(struct vq_text *to, const uint8_t *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)data[i] << 16;
        v |= have > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        v |= have > 2 ? data[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
        memset(four + have + 1, '=', 3 - have);
        vq_text_put(to, four, sizeof(four));
    }
}

/* ---- tables ---- */

static bool is_number(const struct sh_cell *c)
{
    return c->kind == SH_CELL_INT || c->kind == SH_CELL_UINT || c->kind == SH_CELL_F64 ||
           c->kind == SH_CELL_F32;
}

/* A cell with the tag "td"; a number with its full value. */
static void put_cell(const struct sh_result *r, const struct sh_cell *c, struct vq_text *to)
{
    if (c->kind == SH_CELL_TEXT || c->kind == SH_CELL_JSON) {
        vq_text_puts(to, c->kind == SH_CELL_JSON ? "<td class=\"json\">" : "<td>");
        sh_html_text(to, r->text.data + c->at, c->len, true);
    } else if (is_number(c)) {
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

static void put_name(const struct sh_column *col, const char *scope, struct vq_text *to)
{
    vq_text_printf(to, "<th scope=\"%s\">", scope);
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
            put_name(&r->col[i], "col", to);
    vq_text_puts(to, "</tr></thead><tbody>\n");
}

void sh_html_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    bool list = r->kind == SH_RESULT_LIST;
    vq_text_puts(to, list ? "<tr>" : "");
    for (size_t i = 0; i < r->n_col; i++) {
        if (r->col[i].hidden)
            continue;
        if (!list) {
            vq_text_puts(to, "<tr>");
            put_name(&r->col[i], "row", to);
        }
        put_cell(r, r->cell + row * r->n_col + i, to);
        vq_text_puts(to, list ? "" : "</tr>\n");
    }
    vq_text_puts(to, list ? "</tr>\n" : "");
}

void sh_html_end(const struct sh_result *r, struct vq_text *to)
{
    (void)r;
    vq_text_puts(to, "</tbody></table>\n");
}
