#include "repl/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "repl/opt.h"
#include "repl/out_private.h"

enum { FLUSH_AT = 1 << 16 }; /* bytes of a listing that are held before they are written */

struct sh_out *sh_out_new(FILE *results, FILE *messages)
{
    struct sh_out *o = vq_calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->results = o->screen = results;
    o->messages = messages;
    o->tty = fileno(results) >= 0 && isatty(fileno(results));
    o->messages_tty = fileno(messages) >= 0 && isatty(fileno(messages));
    return o;
}

/* Forgets the result being built. */
static void drop(struct sh_out *o)
{
    for (size_t i = 0; i < o->r.n_col; i++)
        free(o->r.col[i].name);
    free(o->r.col);
    free(o->r.cell);
    vq_text_release(&o->r.text);
    vq_text_release(&o->ready);
    o->r = (struct sh_result){0};
}

void sh_out_free(struct sh_out *o)
{
    if (!o)
        return;
    drop(o);
    if (o->results != o->screen)
        fclose(o->results);
    free(o->path);
    free(o);
}

enum sh_format sh_out_format(const struct sh *sh)
{
    char buf[16];
    for (int i = 0; sh_choice_at(SH_FORMAT_CHOICES, (size_t)i, buf, sizeof(buf)); i++) {
        if (!strcmp(buf, sh->set.format))
            return (enum sh_format)i;
    }
    return sh_out_terminal(sh) ? SH_TABLE : SH_PLAIN;
}

bool sh_out_terminal(const struct sh *sh)
{
    return sh->out->tty && sh->out->results == sh->out->screen;
}

bool sh_out_gone(const struct sh *sh)
{
    return sh->out->gone;
}

static void note_failure(struct sh_out *o)
{
    if (errno == EPIPE && o->results == o->screen)
        o->gone = true;
    else if (!o->error)
        o->error = errno ? errno : EIO;
    clearerr(o->results);
}

void sh_out_write(struct sh *sh, const char *s, size_t n)
{
    struct sh_out *o = sh->out;
    if (!n || o->gone || o->error)
        return;
    if (o->tty && o->messages_tty)
        sh_progress_clear(sh);
    errno = 0;
    if (fwrite(s, 1, n, o->results) != n)
        note_failure(o);
}

/* CSV keeps every byte of a text, which is not for a terminal to see. */
static void clean_ready(struct sh_out *o)
{
    struct vq_text clean = {0};
    sh_clean_text(o->ready.data, o->ready.len, true, &clean);
    vq_text_release(&o->ready);
    o->ready = clean;
}

/* Writes what is formatted; all of a table at once, so that it can be paged. */
static void deliver(struct sh *sh, bool page)
{
    struct sh_out *o = sh->out;
    if (sh_out_terminal(sh) && sh_out_format(sh) == SH_CSV && o->ready.len)
        clean_ready(o);
    if (o->ready.failed)
        o->r.nomem = true;
    else if (o->ready.len && !(page && sh_page(sh, o->ready.data, o->ready.len)))
        sh_out_write(sh, o->ready.data, o->ready.len);
    vq_text_release(&o->ready);
}

/* Formats that need all rows before they show the first. */
static bool whole(enum sh_format f)
{
    return f == SH_TABLE || f == SH_BOX;
}

/* Turns the complete rows into text. */
static void emit(struct sh *sh)
{
    struct sh_out *o = sh->out;
    struct sh_result *r = &o->r;
    enum sh_format f = sh_out_format(sh);
    if (whole(f))
        return;
    if (!r->written && r->n_row)
        sh_format_begin(f, r, &o->ready);
    for (size_t row = 0; row < r->n_row; row++)
        sh_format_row(f, r, row, &o->ready);
    r->written += r->n_row;
    r->n_row = 0;
    r->text.len = 0;
    /* JSON is held back whole: a command that fails must not leave half a value. */
    if (f != SH_JSON && o->ready.len > FLUSH_AT && !sh->interactive)
        deliver(sh, false);
}

static bool add_column(struct sh_result *r, const char *name, size_t len)
{
    struct sh_column *col = vq_realloc(r->col, r->n_col + 1, sizeof(*col));
    if (col)
        r->col = col;
    char *copy = col ? vq_strndup(name, len) : NULL;
    if (!copy)
        return false;
    r->col[r->n_col++] = (struct sh_column){.name = copy};
    return true;
}

static void begin(struct sh *sh, enum sh_result_kind kind)
{
    drop(sh->out);
    sh->out->r.kind = kind;
}

void sh_record(struct sh *sh)
{
    begin(sh, SH_RESULT_RECORD);
    sh->out->r.n_row = 1;
}

void sh_list(struct sh *sh, const char *columns)
{
    struct sh_result *r = &sh->out->r;
    begin(sh, SH_RESULT_LIST);
    while (*columns) {
        size_t n = strcspn(columns, " ");
        r->nomem = r->nomem || (n && !add_column(r, columns, n));
        columns += n + strspn(columns + n, " ");
    }
}

void sh_list_names(struct sh *sh, const char *const *names, size_t n)
{
    struct sh_result *r = &sh->out->r;
    begin(sh, SH_RESULT_LIST);
    for (size_t i = 0; i < n; i++)
        r->nomem = !add_column(r, names[i], strlen(names[i])) || r->nomem;
}

void sh_ack(struct sh *sh, const char *note, ...)
{
    char msg[VQ_ERR_LEN];
    va_list ap;
    va_start(ap, note);
    vsnprintf(msg, sizeof(msg), note, ap);
    va_end(ap);
    enum sh_format f = sh_out_format(sh);
    begin(sh, f == SH_JSON || f == SH_JSONL ? SH_RESULT_RECORD : SH_RESULT_ACK);
    sh->out->r.n_row = 1;
    sh_note(sh, "%s", msg);
}

/* Room for a row, all null. */
static bool grow(struct sh_result *r, size_t cells)
{
    if (cells <= r->cap_cell)
        return true;
    size_t cap = r->cap_cell * 2 > cells ? r->cap_cell * 2 : cells + 32;
    struct sh_cell *cell = vq_realloc(r->cell, cap, sizeof(*cell));
    if (!cell)
        return false;
    r->cell = cell;
    r->cap_cell = cap;
    return true;
}

void sh_row(struct sh *sh)
{
    struct sh_result *r = &sh->out->r;
    if (r->kind != SH_RESULT_LIST || r->nomem)
        return;
    emit(sh);
    if (!grow(r, (r->n_row + 1) * r->n_col)) {
        r->nomem = true;
        return;
    }
    memset(r->cell + r->n_row * r->n_col, 0, r->n_col * sizeof(*r->cell));
    r->n_row++;
    r->next = 0;
}

static size_t find_column(const struct sh_result *r, const char *key)
{
    if (r->next < r->n_col && !strcmp(r->col[r->next].name, key))
        return r->next;
    for (size_t i = 0; i < r->n_col; i++) {
        if (!strcmp(r->col[i].name, key))
            return i;
    }
    return r->n_col;
}

/* The cell of a key in the present row; NULL when there is nothing to fill. */
static struct sh_cell *cell_of(struct sh *sh, const char *key)
{
    struct sh_result *r = &sh->out->r;
    if (r->nomem || r->kind == SH_RESULT_NONE || r->kind == SH_RESULT_ACK || !r->n_row)
        return NULL;
    size_t c = find_column(r, key);
    if (c == r->n_col && r->kind == SH_RESULT_LIST) {
        fprintf(stderr, "vqsh: internal error: a listing without the column '%s' got one\n", key);
        abort();
    }
    if (c == r->n_col && (!grow(r, r->n_col + 1) || !add_column(r, key, strlen(key)))) {
        r->nomem = true;
        return NULL;
    }
    r->next = c + 1;
    return r->cell + (r->n_row - 1) * r->n_col + c;
}

static void put(struct sh *sh, const char *key, struct sh_cell cell)
{
    struct sh_cell *c = cell_of(sh, key);
    if (c)
        *c = cell;
}

void sh_int(struct sh *sh, const char *key, int64_t v)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_INT, .v.i = v});
}

void sh_uint(struct sh *sh, const char *key, uint64_t v)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_UINT, .v.u = v});
}

void sh_f64(struct sh *sh, const char *key, double v)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_F64, .v.d = v});
}

void sh_f32(struct sh *sh, const char *key, float v)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_F32, .v.f = v});
}

void sh_bool(struct sh *sh, const char *key, bool v)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_BOOL, .v.b = v});
}

void sh_null(struct sh *sh, const char *key)
{
    put(sh, key, (struct sh_cell){.kind = SH_CELL_NULL});
}

static void put_text(struct sh *sh, const char *key, enum sh_cell_kind kind, const char *s,
                     size_t n)
{
    struct sh_result *r = &sh->out->r;
    struct sh_cell *c = cell_of(sh, key);
    if (!c)
        return;
    *c = (struct sh_cell){.kind = kind, .at = r->text.len, .len = n};
    vq_text_put(&r->text, s, n);
    r->nomem = r->nomem || r->text.failed;
}

void sh_bytes(struct sh *sh, const char *key, const char *s, size_t n)
{
    put_text(sh, key, SH_CELL_TEXT, s, n);
}

void sh_str(struct sh *sh, const char *key, const char *s)
{
    if (s)
        put_text(sh, key, SH_CELL_TEXT, s, strlen(s));
    else
        sh_null(sh, key);
}

void sh_strf(struct sh *sh, const char *key, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sh_str(sh, key, text);
}

void sh_json(struct sh *sh, const char *key, const char *json)
{
    put_text(sh, key, SH_CELL_JSON, json, strlen(json));
}

void sh_columns_hidden(struct sh *sh, const char *columns)
{
    struct sh_result *r = &sh->out->r;
    for (size_t i = 0; i < r->n_col; i++)
        r->col[i].hidden = r->col[i].hidden || sh_in_choices(columns, r->col[i].name);
}

void sh_columns_whole(struct sh *sh, const char *columns)
{
    struct sh_result *r = &sh->out->r;
    for (size_t i = 0; i < r->n_col; i++)
        r->col[i].whole = r->col[i].whole || sh_in_choices(columns, r->col[i].name);
}

void sh_columns_spare(struct sh *sh, const char *columns)
{
    struct sh_result *r = &sh->out->r;
    char name[64];
    for (size_t k = 0; sh_choice_at(columns, k, name, sizeof(name)); k++)
        for (size_t i = 0; i < r->n_col; i++)
            if (strcmp(r->col[i].name, name) == 0)
                r->col[i].spare = (int)k + 1;
}

static void lay_out(struct sh *sh, enum sh_format f)
{
    struct sh_out *o = sh->out;
    struct sh_look look = {
        .box = f == SH_BOX,
        .colour = sh_out_colour(sh),
        .columns = sh_table_columns(sh),
    };
    sh_layout(&o->r, &look, &o->ready);
}

enum sh_rc sh_end(struct sh *sh)
{
    struct sh_out *o = sh->out;
    enum sh_format f = sh_out_format(sh);
    bool nomem;
    if (o->r.kind == SH_RESULT_LIST || o->r.kind == SH_RESULT_RECORD) {
        emit(sh);
        if (whole(f))
            lay_out(sh, f);
        else if (!o->r.written)
            sh_format_begin(f, &o->r, &o->ready);
        if (!whole(f))
            sh_format_end(f, &o->r, &o->ready);
        if (!o->r.nomem)
            deliver(sh, true);
    }
    nomem = o->r.nomem;
    drop(o);
    return nomem ? sh_failf(sh, "out of memory for the result") : SH_OK;
}

void sh_rows_out(struct sh *sh)
{
    struct sh_out *o = sh->out;
    enum sh_format f = sh_out_format(sh);
    if (o->r.kind != SH_RESULT_LIST || whole(f) || f == SH_JSON)
        return;
    emit(sh);
    deliver(sh, false);
    errno = 0;
    if (fflush(o->results))
        note_failure(o);
}

bool sh_out_is_text(const struct sh *sh)
{
    enum sh_format f = sh_out_format(sh);
    return f == SH_TABLE || f == SH_BOX || f == SH_LINE || f == SH_PLAIN;
}

void sh_out_bytes(struct sh *sh, const char *s, size_t n)
{
    struct sh_out *o = sh->out;
    struct vq_text whole_chars = {0}, clean = {0};
    if (!sh_out_is_text(sh) || !n)
        return;
    o->last = s[n - 1];
    if (!sh_out_terminal(sh)) {
        sh_out_write(sh, s, n);
        return;
    }
    vq_utf8_stream_put(&o->utf8, s, n, &whole_chars);
    if (whole_chars.len)
        sh_clean_text(whole_chars.data, whole_chars.len, true, &clean);
    if (clean.len)
        sh_out_write(sh, clean.data, clean.len);
    if (fflush(o->results))
        note_failure(o);
    vq_text_release(&whole_chars);
    vq_text_release(&clean);
}

void sh_out_bytes_end(struct sh *sh)
{
    struct sh_out *o = sh->out;
    struct vq_text rest = {0};
    if (!sh_out_is_text(sh))
        return;
    vq_utf8_stream_flush(&o->utf8, &rest);
    if (rest.len)
        sh_out_write(sh, rest.data, rest.len);
    if (o->last && o->last != '\n')
        sh_out_write(sh, "\n", 1);
    o->last = '\0';
    vq_text_release(&rest);
}

enum sh_rc sh_out_text(struct sh *sh, const char *s, size_t n)
{
    if (!sh_page(sh, s, n))
        sh_out_write(sh, s, n);
    return SH_OK;
}

enum sh_rc sh_out_file(struct sh *sh, const char *s, size_t n)
{
    struct vq_text clean = {0};
    if (!sh_out_terminal(sh))
        return sh_out_text(sh, s, n);
    sh_clean_text(s, n, true, &clean);
    enum sh_rc rc = clean.failed ? sh_failf(sh, "out of memory")
                                 : sh_out_text(sh, clean.data ? clean.data : "", clean.len);
    vq_text_release(&clean);
    return rc;
}

enum vq_status sh_out_redirect(struct sh *sh, const char *path, struct vq_err *err)
{
    struct sh_out *o = sh->out;
    char *copy = path ? vq_strdup(path) : NULL;
    FILE *f = path ? fopen(path, "we") : o->screen;
    if (!f || (path && !copy)) {
        int why = f ? ENOMEM : errno;
        if (f)
            fclose(f);
        free(copy);
        return vq_fail_errno(err, why, "%s", path);
    }
    if (o->results != o->screen && fclose(o->results) && !o->error)
        o->error = errno;
    free(o->path);
    o->path = copy;
    o->results = f;
    return VQ_OK;
}

const char *sh_out_path(const struct sh *sh)
{
    return sh->out->path;
}

enum sh_rc sh_out_finish(struct sh *sh, enum sh_rc rc)
{
    struct sh_out *o = sh->out;
    drop(o);
    if (o->last)
        sh_out_bytes_end(sh);
    errno = 0;
    if (fflush(o->results))
        note_failure(o);
    sh_progress_clear(sh);
    if (!o->error)
        return rc;
    struct vq_err err;
    vq_fail_errno(&err, o->error, "cannot write results%s%s", o->path ? " to " : "",
                  o->path ? o->path : "");
    o->error = 0;
    sh_fail(sh, &err);
    return rc == SH_OK ? SH_ERR : rc;
}
