/*
 * Writing tables as files.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/store/jsonin.h"
#include "core/store/rows.h"

static void puts_row(struct vq_rowout *o, const char *s)
{
    vq_text_puts(&o->row, s);
}

/* RFC 4180, but for the line end, which is a newline alone. */
static void csv_text(struct vq_text *to, const char *s, size_t n)
{
    vq_text_puts(to, "\"");
    for (size_t i = 0; i < n;) {
        const char *quote = memchr(s + i, '"', n - i);
        size_t len = quote ? (size_t)(quote - s) + 1 - i : n - i;
        vq_text_put(to, s + i, len);
        if (quote)
            vq_text_puts(to, "\"");
        i += len;
    }
    vq_text_puts(to, "\"");
}

static bool plain_csv(const char *s, size_t n)
{
    if (n == 0 || s[0] == ' ' || s[n - 1] == ' ')
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r' || s[i] == '\0')
            return false;
    return true;
}

/* One line of a table: control characters escaped, bars and backslashes too. */
static void markdown_text(struct vq_text *to, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\n')
            vq_text_puts(to, "\\n");
        else if (c < ' ' || c == 0x7f)
            vq_text_printf(to, "\\x%02x", c);
        else if (c == '|' || c == '\\')
            vq_text_printf(to, "\\%c", c);
        else
            vq_text_put(to, s + i, 1);
    }
}

static void begin_cell(struct vq_rowout *o)
{
    switch (o->format) {
    case VQ_DUMP_CSV:
        puts_row(o, o->next ? "," : "");
        break;
    case VQ_DUMP_MARKDOWN:
        puts_row(o, o->next ? " " : "| ");
        break;
    case VQ_DUMP_JSON:
    case VQ_DUMP_JSONL:
        puts_row(o, o->next ? "," : o->rows && o->format == VQ_DUMP_JSON ? ",\n{" : "{");
        vq_text_json_string(&o->row, o->names[o->next], strlen(o->names[o->next]));
        puts_row(o, ":");
        break;
    }
    o->next++;
}

static bool is_json(const struct vq_rowout *o)
{
    return o->format == VQ_DUMP_JSON || o->format == VQ_DUMP_JSONL;
}

static void end_cell(struct vq_rowout *o)
{
    puts_row(o, o->format == VQ_DUMP_MARKDOWN ? " |" : "");
}

void vq_rowout_null(struct vq_rowout *o)
{
    begin_cell(o);
    puts_row(o, is_json(o) ? "null" : "");
    end_cell(o);
}

void vq_rowout_digits(struct vq_rowout *o, const char *digits)
{
    begin_cell(o);
    puts_row(o, digits);
    end_cell(o);
}

void vq_rowout_real(struct vq_rowout *o, double v)
{
    begin_cell(o);
    if (is_json(o) || isfinite(v))
        vq_text_json_f64(&o->row, v);
    else
        puts_row(o, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
    end_cell(o);
}

void vq_rowout_text(struct vq_rowout *o, const char *s, size_t n)
{
    begin_cell(o);
    if (is_json(o))
        vq_json_put_bytes(&o->row, s, n);
    else if (o->format == VQ_DUMP_MARKDOWN)
        markdown_text(&o->row, s, n);
    else if (plain_csv(s, n))
        vq_text_put(&o->row, s, n);
    else
        csv_text(&o->row, s, n);
    end_cell(o);
}

void vq_rowout_json(struct vq_rowout *o, const char *s, size_t n)
{
    if (!is_json(o)) {
        vq_rowout_text(o, s, n);
        return;
    }
    begin_cell(o);
    vq_text_put(&o->row, s, n);
    end_cell(o);
}

static enum vq_status flush(struct vq_rowout *o, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    if (o->row.failed)
        return vq_fail(err, VQ_ENOMEM, "out of memory for a row");
    if (o->row.len)
        status = vq_writer_put(o->file, o->row.data, o->row.len, err);
    o->row.len = 0;
    return status;
}

enum vq_status vq_rowout_end_row(struct vq_rowout *o, struct vq_err *err)
{
    puts_row(o, o->format == VQ_DUMP_JSON ? "}" : is_json(o) ? "}\n" : "\n");
    o->rows++;
    o->next = 0;
    return o->row.len > 1 << 16 ? flush(o, err) : VQ_OK;
}

enum vq_status vq_rowout_open(struct vq_rowout *o, const char *path, enum vq_dump_format format,
                              const char *const *names, size_t n, struct vq_err *err)
{
    *o = (struct vq_rowout){.format = format, .names = names, .n = n};
    enum vq_status status = vq_writer_open(&o->file, path, err);
    if (status != VQ_OK)
        return status;
    puts_row(o, format == VQ_DUMP_JSON ? "[" : format == VQ_DUMP_MARKDOWN ? "|" : "");
    for (size_t i = 0; i < n && !is_json(o); i++)
        vq_text_printf(&o->row, format == VQ_DUMP_CSV ? "%s%s" : "%s %s |",
                       i && format == VQ_DUMP_CSV ? "," : "", names[i]);
    puts_row(o, is_json(o) ? "" : "\n");
    for (size_t i = 0; i < n && format == VQ_DUMP_MARKDOWN; i++)
        puts_row(o, i + 1 == n ? "---|\n" : i ? "---|" : "|---|");
    return VQ_OK;
}

static void release(struct vq_rowout *o)
{
    vq_text_release(&o->row);
    o->file = NULL;
}

enum vq_status vq_rowout_commit(struct vq_rowout *o, struct vq_err *err)
{
    puts_row(o, o->format == VQ_DUMP_JSON ? "]\n" : "");
    enum vq_status status = flush(o, err);
    if (status == VQ_OK)
        status = vq_writer_commit(o->file, err);
    else
        vq_writer_abort(o->file);
    release(o);
    return status;
}

void vq_rowout_abort(struct vq_rowout *o)
{
    vq_writer_abort(o->file);
    release(o);
}
