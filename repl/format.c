#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "repl/html.h"
#include "repl/out_private.h"

/* Characters that move the cursor, colour, turn the direction of writing, or are none at all. */
static bool steers(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x200e || cp == 0x200f ||
           (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff ||
           (cp & 0xfffe) == 0xfffe;
}

static void put_steering(uint32_t cp, struct vq_text *to)
{
    if (cp == '\n' || cp == '\t' || cp == '\r')
        vq_text_puts(to, cp == '\n' ? "\\n" : cp == '\t' ? "\\t" : "\\r");
    else
        vq_text_printf(to, cp < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)cp);
}

void sh_clean_text(const char *s, size_t n, bool lines, struct vq_text *to)
{
    size_t done = 0, i = 0;
    while (i < n) {
        uint32_t cp;
        int len = vq_utf8_next(s + i, n - i, &cp);
        size_t step = len > 0 ? (size_t)len : len < 0 ? (size_t)-len : n - i;
        if (len > 0 && (!steers(cp) || (lines && cp == '\n'))) {
            i += step;
            continue;
        }
        vq_text_put(to, s + done, i - done);
        if (len > 0)
            put_steering(cp, to);
        else
            vq_text_puts(to, "\xef\xbf\xbd");
        i += step;
        done = i;
    }
    vq_text_put(to, s + done, n - done);
}

static const char *not_finite(double d)
{
    return isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
}

/* %.6g with '.' whatever the locale. */
static void put_rounded(double d, struct vq_text *to)
{
    char buf[40];
    snprintf(buf, sizeof(buf), "%.6g", d);
    char *comma = strchr(buf, ',');
    if (comma)
        *comma = '.';
    vq_text_puts(to, buf);
}

static void put_real(const struct sh_cell *c, bool round, struct vq_text *to)
{
    double d = c->kind == SH_CELL_F32 ? (double)c->v.f : c->v.d;
    if (!isfinite(d))
        vq_text_puts(to, not_finite(d));
    else if (round)
        put_rounded(d, to);
    else if (c->kind == SH_CELL_F32)
        vq_text_json_f32(to, c->v.f);
    else
        vq_text_json_f64(to, d);
}

void sh_format_cell(const struct sh_result *r, const struct sh_cell *c, bool round,
                    struct vq_text *to)
{
    switch (c->kind) {
    case SH_CELL_NULL:
        break;
    case SH_CELL_INT:
        vq_text_printf(to, "%" PRId64, c->v.i);
        break;
    case SH_CELL_UINT:
        vq_text_printf(to, "%" PRIu64, c->v.u);
        break;
    case SH_CELL_F64:
    case SH_CELL_F32:
        put_real(c, round, to);
        break;
    case SH_CELL_BOOL:
        vq_text_puts(to, c->v.b ? "true" : "false");
        break;
    case SH_CELL_TEXT:
    case SH_CELL_JSON:
        sh_clean_text(r->text.data + c->at, c->len, false, to);
        break;
    }
}

static void json_cell(const struct sh_result *r, const struct sh_cell *c, struct vq_text *to)
{
    switch (c->kind) {
    case SH_CELL_NULL:
        vq_text_puts(to, "null");
        break;
    case SH_CELL_TEXT:
        vq_text_json_string(to, r->text.data + c->at, c->len);
        break;
    case SH_CELL_JSON:
        vq_text_put(to, r->text.data + c->at, c->len);
        break;
    case SH_CELL_F64:
        vq_text_json_f64(to, c->v.d);
        break;
    case SH_CELL_F32:
        vq_text_json_f32(to, c->v.f);
        break;
    default:
        sh_format_cell(r, c, false, to);
    }
}

static const struct sh_cell *cells(const struct sh_result *r, size_t row)
{
    return r->n_col ? r->cell + row * r->n_col : NULL; /* no columns, no memory */
}

static void json_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    const struct sh_cell *c = cells(r, row);
    vq_text_puts(to, "{");
    for (size_t i = 0; i < r->n_col; i++) {
        vq_text_puts(to, i ? "," : "");
        vq_text_json_string(to, r->col[i].name, strlen(r->col[i].name));
        vq_text_puts(to, ":");
        json_cell(r, &c[i], to);
    }
    vq_text_puts(to, "}");
}

/* RFC 4180, but for the line end, which is a newline alone. Null is nothing, empty text is "". */
static void csv_field(const char *s, size_t n, struct vq_text *to)
{
    bool quote = n == 0 || s[0] == ' ' || s[n - 1] == ' ';
    for (size_t i = 0; i < n && !quote; i++)
        quote = s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r' || !s[i];
    if (!quote) {
        vq_text_put(to, s, n);
        return;
    }
    vq_text_puts(to, "\"");
    for (size_t i = 0; i < n; i++) {
        vq_text_puts(to, s[i] == '"' ? "\"" : "");
        vq_text_put(to, s + i, 1);
    }
    vq_text_puts(to, "\"");
}

static void csv_names(const struct sh_result *r, struct vq_text *to)
{
    for (size_t i = 0; i < r->n_col; i++) {
        vq_text_puts(to, i ? "," : "");
        csv_field(r->col[i].name, strlen(r->col[i].name), to);
    }
    vq_text_puts(to, "\n");
}

static void csv_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    const struct sh_cell *c = cells(r, row);
    for (size_t i = 0; i < r->n_col; i++) {
        vq_text_puts(to, i ? "," : "");
        if (c[i].kind == SH_CELL_TEXT || c[i].kind == SH_CELL_JSON)
            csv_field(r->text.data + c[i].at, c[i].len, to);
        else
            sh_format_cell(r, &c[i], false, to);
    }
    vq_text_puts(to, "\n");
}

static void markdown_text(const char *s, struct vq_text *to)
{
    for (; *s; s++) {
        vq_text_puts(to, *s == '|' ? "\\" : "");
        vq_text_put(to, s, 1);
    }
}

static void markdown_cell(const struct sh_result *r, const struct sh_cell *c, struct vq_text *to)
{
    struct vq_text cell = {0};
    sh_format_cell(r, c, false, &cell);
    vq_text_puts(to, " ");
    markdown_text(cell.data ? cell.data : "", to);
    vq_text_puts(to, " |");
    vq_text_release(&cell);
}

static void markdown_names(const struct sh_result *r, struct vq_text *to)
{
    vq_text_puts(to, "|");
    for (size_t i = 0; i < r->n_col; i++) {
        if (!r->col[i].hidden)
            vq_text_printf(to, " %s |", r->col[i].name);
    }
    vq_text_puts(to, "\n|");
    for (size_t i = 0; i < r->n_col; i++)
        vq_text_puts(to, r->col[i].hidden ? "" : "---|");
    vq_text_puts(to, "\n");
}

static void markdown_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    vq_text_puts(to, "|");
    for (size_t i = 0; i < r->n_col; i++) {
        if (!r->col[i].hidden)
            markdown_cell(r, &cells(r, row)[i], to);
    }
    vq_text_puts(to, "\n");
}

/* name = value, a line each; rows apart by an empty line. */
static void line_row(const struct sh_result *r, size_t row, bool first, struct vq_text *to)
{
    size_t width = 0;
    for (size_t i = 0; i < r->n_col; i++) {
        size_t w = vq_utf8_width(r->col[i].name, strlen(r->col[i].name));
        width = w > width ? w : width;
    }
    vq_text_puts(to, first ? "" : "\n");
    for (size_t i = 0; i < r->n_col; i++) {
        vq_text_printf(to, "%*s = ", (int)width, r->col[i].name);
        sh_format_cell(r, &cells(r, row)[i], false, to);
        vq_text_puts(to, "\n");
    }
}

static void plain_row(const struct sh_result *r, size_t row, struct vq_text *to)
{
    bool list = r->kind == SH_RESULT_LIST;
    for (size_t i = 0; i < r->n_col; i++) {
        if (!list)
            vq_text_printf(to, "%s\t", r->col[i].name);
        sh_format_cell(r, &cells(r, row)[i], false, to);
        vq_text_puts(to, list && i + 1 < r->n_col ? "\t" : "\n");
    }
}

void sh_format_begin(enum sh_format f, const struct sh_result *r, struct vq_text *to)
{
    if (f == SH_JSON && r->kind == SH_RESULT_LIST)
        vq_text_puts(to, "[");
    else if (f == SH_CSV)
        csv_names(r, to);
    else if (f == SH_MARKDOWN)
        markdown_names(r, to);
    else if (f == SH_HTML)
        sh_html_begin(r, to);
}

void sh_format_row(enum sh_format f, const struct sh_result *r, size_t row, struct vq_text *to)
{
    bool first = r->written + row == 0;
    switch (f) {
    case SH_JSON:
        vq_text_puts(to, first ? "" : ",");
        json_row(r, row, to);
        break;
    case SH_JSONL:
        json_row(r, row, to);
        vq_text_puts(to, "\n");
        break;
    case SH_CSV:
        csv_row(r, row, to);
        break;
    case SH_MARKDOWN:
        markdown_row(r, row, to);
        break;
    case SH_HTML:
        sh_html_row(r, row, to);
        break;
    case SH_LINE:
        line_row(r, row, first, to);
        break;
    default:
        plain_row(r, row, to);
    }
}

void sh_format_end(enum sh_format f, const struct sh_result *r, struct vq_text *to)
{
    if (f == SH_JSON)
        vq_text_puts(to, r->kind == SH_RESULT_LIST ? "]\n" : "\n");
    else if (f == SH_HTML)
        sh_html_end(r, to);
}
