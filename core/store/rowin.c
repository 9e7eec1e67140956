/*
 * Reading tables from files.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/jsonin.h"
#include "core/store/rows.h"

/* One cell of the row being read: its bytes lie in `text`, or for JSON in the file. */
struct field {
    char *name; /* of a JSON object's member; CSV has its names in the header */
    size_t at, len;
    const char *raw; /* not NULL: the bytes, as written */
    bool null;
};

struct vq_rowin {
    char *path;
    struct vq_file file;
    const char *at, *end;
    bool json, list, first;
    size_t line;         /* of the present row */
    const char *counted; /* lines are counted up to here */
    char **names;        /* of the columns of a CSV file */
    size_t n_names;
    struct field *fields;
    size_t n_fields, room;
    struct vq_text text;
};

/* Line of `at`, which never goes back. */
static void count_lines(struct vq_rowin *r, const char *at)
{
    for (; r->counted < at; r->counted++)
        r->line += *r->counted == '\n';
}

static enum vq_status fail_here(struct vq_rowin *r, const char *why, struct vq_err *err)
{
    count_lines(r, r->at < r->end ? r->at : r->end);
    return vq_fail(err, VQ_EFORMAT, "%s:%zu: %s", r->path, r->line, why);
}

static struct field *add_field(struct vq_rowin *r)
{
    if (r->n_fields == r->room) {
        size_t room = r->room ? 2 * r->room : 32;
        struct field *grown = vq_realloc(r->fields, room, sizeof(*grown));
        if (!grown)
            return NULL;
        r->fields = grown;
        r->room = room;
    }
    r->fields[r->n_fields] = (struct field){.null = true};
    return &r->fields[r->n_fields++];
}

static void clear_fields(struct vq_rowin *r)
{
    for (size_t i = 0; i < r->n_fields; i++)
        free(r->fields[i].name);
    r->n_fields = 0;
    r->text.len = 0;
}

/* ---- CSV ---- */

/* From an opening quote to the closing one; doubled quotes inside stand for one. */
static bool csv_quoted(struct vq_rowin *r)
{
    r->at++;
    for (;;) {
        const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
        if (!quote)
            return false;
        vq_text_put(&r->text, r->at, (size_t)(quote - r->at));
        r->at = quote + 1;
        if (r->at == r->end || *r->at != '"')
            return true;
        vq_text_puts(&r->text, "\"");
        r->at++;
    }
}

static enum vq_status csv_field(struct vq_rowin *r, bool *last, struct vq_err *err)
{
    struct field *f = add_field(r);
    if (!f)
        return vq_nomem(err, r->path, r->room, sizeof(*f));
    f->at = r->text.len;
    if (r->at < r->end && *r->at == '"') {
        f->null = false;
        if (!csv_quoted(r))
            return fail_here(r, "a quoted field is never closed", err);
    } else {
        const char *from = r->at;
        while (r->at < r->end && *r->at != ',' && *r->at != '\n' && *r->at != '\r')
            r->at++;
        vq_text_put(&r->text, from, (size_t)(r->at - from));
        f->null = r->at == from;
    }
    f->len = r->text.len - f->at;
    if (r->at + 1 < r->end && r->at[0] == '\r' && r->at[1] == '\n')
        r->at++;
    *last = r->at == r->end || *r->at == '\n';
    if (r->at < r->end && *r->at != '\n' && *r->at != ',')
        return fail_here(r, "expected ',' or the end of the line after a field", err);
    if (r->at < r->end)
        r->at++;
    return VQ_OK;
}

static enum vq_status csv_row(struct vq_rowin *r, struct vq_err *err)
{
    bool last = false;
    enum vq_status status = VQ_OK;
    vq_text_puts(&r->text, "");
    while (status == VQ_OK && !last)
        status = csv_field(r, &last, err);
    if (status == VQ_OK && r->text.failed)
        status = vq_nomem(err, r->path, r->text.len, 1);
    return status;
}

static enum vq_status csv_header(struct vq_rowin *r, struct vq_err *err)
{
    enum vq_status status = csv_row(r, err);
    r->names = status == VQ_OK ? vq_calloc(r->n_fields, sizeof(*r->names)) : NULL;
    for (size_t i = 0; r->names && i < r->n_fields; i++) {
        r->names[i] = vq_strndup(r->text.data + r->fields[i].at, r->fields[i].len);
        if (!r->names[i])
            status = vq_nomem(err, r->path, r->fields[i].len, 1);
        r->n_names = i + 1;
    }
    return status == VQ_OK && !r->names ? vq_nomem(err, r->path, r->n_fields, sizeof(char *))
                                        : status;
}

static enum vq_status csv_next(struct vq_rowin *r, bool *more, struct vq_err *err)
{
    char why[96];
    *more = r->at < r->end;
    if (!*more)
        return VQ_OK;
    count_lines(r, r->at);
    enum vq_status status = csv_row(r, err);
    if (status != VQ_OK || r->n_fields == r->n_names)
        return status;
    snprintf(why, sizeof(why), "expected %zu fields as in the first line, found %zu", r->n_names,
             r->n_fields);
    return vq_fail(err, VQ_EFORMAT, "%s:%zu: %s", r->path, r->line, why);
}

/* ---- JSON ---- */

static bool json_member(struct vq_rowin *r, struct vq_jsonin *in, struct vq_text *scratch)
{
    struct field *f = add_field(r);
    if (!f || !vq_jsonin_key(in, scratch))
        return false;
    f->name = vq_strndup(scratch->data, scratch->len);
    if (!f->name)
        return false;
    if (vq_jsonin_peek(in) == '"') {
        if (!vq_jsonin_string(in, scratch))
            return false;
        f->null = false;
        f->at = r->text.len;
        f->len = scratch->len;
        vq_text_put(&r->text, scratch->data, scratch->len);
        return !r->text.failed;
    }
    if (!vq_jsonin_span(in, &f->raw, &f->len))
        return false;
    f->null = f->len == 4 && memcmp(f->raw, "null", 4) == 0;
    return true;
}

static enum vq_status json_next(struct vq_rowin *r, bool *more, struct vq_err *err)
{
    struct vq_jsonin in = {.at = r->at, .end = r->end};
    struct vq_text scratch = {0};
    bool ok = true;
    char c = vq_jsonin_peek(&in);
    *more = r->list ? vq_jsonin_next(&in, ']', &r->first) : c != '\0';
    if (*more)
        count_lines(r, in.at);
    if (*more) {
        for (bool first = vq_jsonin_enter(&in, '{'); ok && vq_jsonin_next(&in, '}', &first);)
            ok = json_member(r, &in, &scratch);
    } else if (r->list && !in.why) {
        vq_jsonin_end(&in);
    }
    r->at = in.at;
    vq_text_puts(&r->text, "");
    vq_text_release(&scratch);
    if (in.why)
        return fail_here(r, in.why, err);
    return ok && !r->text.failed ? VQ_OK : vq_nomem(err, r->path, r->text.len, 1);
}

/* ---- both ---- */

enum vq_status vq_rowin_open(struct vq_rowin **out, const char *path, struct vq_err *err)
{
    *out = NULL;
    struct vq_rowin *r = vq_calloc(1, sizeof(*r));
    if (!r)
        return vq_nomem(err, path, 1, sizeof(*r));
    r->path = vq_strdup(path);
    enum vq_status status = r->path ? vq_file_open(&r->file, path, err) : vq_nomem(err, path, 1, 1);
    if (status != VQ_OK) {
        vq_rowin_free(r);
        return status;
    }
    r->at = r->counted = (const char *)r->file.data;
    r->end = r->at + r->file.size;
    r->line = 1;
    if (r->end - r->at >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0)
        r->at += 3;
    struct vq_jsonin in = {.at = r->at, .end = r->end};
    char c = vq_jsonin_peek(&in);
    r->json = c == '[' || c == '{';
    r->list = c == '[';
    r->first = true;
    if (r->list)
        r->at = in.at + 1;
    if (c == '\0')
        status = vq_fail(err, VQ_EFORMAT, "%s: is empty", path);
    else if (!r->json)
        status = csv_header(r, err);
    if (status == VQ_OK)
        *out = r;
    else
        vq_rowin_free(r);
    return status;
}

void vq_rowin_free(struct vq_rowin *r)
{
    if (!r)
        return;
    clear_fields(r);
    for (size_t i = 0; i < r->n_names; i++)
        free(r->names[i]);
    free(r->names);
    free(r->fields);
    vq_text_release(&r->text);
    vq_file_close(&r->file);
    free(r->path);
    free(r);
}

enum vq_status vq_rowin_next(struct vq_rowin *r, bool *more, struct vq_err *err)
{
    clear_fields(r);
    return r->json ? json_next(r, more, err) : csv_next(r, more, err);
}

static const struct field *find(const struct vq_rowin *r, const char *name)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        const char *of = r->json ? r->fields[i].name : r->names[i];
        if (of && strcmp(of, name) == 0)
            return &r->fields[i];
    }
    return NULL;
}

struct vq_cell vq_rowin_cell(const struct vq_rowin *r, const char *name)
{
    const struct field *f = find(r, name);
    if (!f || f->null)
        return (struct vq_cell){.kind = VQ_CELL_NULL, .data = ""};
    if (f->raw)
        return (struct vq_cell){VQ_CELL_JSON, f->raw, f->len};
    return (struct vq_cell){VQ_CELL_TEXT, r->text.data + f->at, f->len};
}

bool vq_rowin_has(const struct vq_rowin *r, const char *name)
{
    return find(r, name) != NULL;
}

enum vq_status vq_rowin_fail(const struct vq_rowin *r, const char *name, struct vq_err *err,
                             const char *fmt, ...)
{
    char msg[VQ_ERR_LEN / 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return vq_fail(err, VQ_EFORMAT, "%s:%zu: column %s: %s", r->path, r->line, name, msg);
}
