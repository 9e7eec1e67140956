#include "repl/runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "repl/runlog.h"
#include "repl/split.h"

bool sh_for_people(const struct sh *sh)
{
    return sh_out_format(sh) == SH_TABLE || sh_out_format(sh) == SH_BOX;
}

bool sh_for_programs(const struct sh *sh)
{
    return sh_out_format(sh) == SH_JSON || sh_out_format(sh) == SH_JSONL;
}

const char *sh_utc(double seconds, char *buf, size_t len)
{
    struct tm tm;
    time_t t = isfinite(seconds) ? (time_t)seconds : 0;
    *buf = '\0';
    if (isfinite(seconds) && gmtime_r(&t, &tm))
        strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm);
    return buf;
}

double sh_wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *sh_thousands(size_t n, char buf[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%zu", n), out = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf[out++] = ',';
        buf[out++] = digits[i];
    }
    buf[out] = '\0';
    return buf;
}

void sh_put_value(struct sh *sh, const char *key, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        sh_null(sh, key);
        break;
    case VQ_VALUE_INT:
        sh_int(sh, key, v->i);
        break;
    case VQ_VALUE_REAL:
        sh_f64(sh, key, v->d);
        break;
    case VQ_VALUE_TEXT:
    case VQ_VALUE_BLOB:
        sh_bytes(sh, key, v->text, v->len);
        break;
    }
}

void sh_part_value(struct sh_part *p, const char *key, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        sh_part_str(p, key, NULL);
        break;
    case VQ_VALUE_INT:
        sh_part_int(p, key, v->i);
        break;
    case VQ_VALUE_REAL:
        sh_part_f64(p, key, v->d);
        break;
    case VQ_VALUE_TEXT:
    case VQ_VALUE_BLOB:
        sh_part_bytes(p, key, v->text, v->len);
        break;
    }
}

void sh_json_value(struct vq_text *out, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        vq_text_puts(out, "null");
        break;
    case VQ_VALUE_INT:
        vq_text_printf(out, "%lld", (long long)v->i);
        break;
    case VQ_VALUE_REAL:
        vq_text_json_f64(out, v->d);
        break;
    case VQ_VALUE_TEXT:
    case VQ_VALUE_BLOB:
        vq_text_json_string(out, v->text, v->len);
        break;
    }
}

/* ---- filters ---- */

/* Adds "and ATTRIBUTE OP 'value'". */
static void add_test(struct sh_filter *f, const char *attribute, const char *op, const char *value)
{
    if (!value)
        return;
    vq_text_printf(&f->text, "%s%s %s '", f->text.len ? " and " : "", attribute, op);
    for (const char *p = value; *p; p++) {
        if (*p == '\'' || *p == '\\')
            vq_text_puts(&f->text, "\\");
        vq_text_put(&f->text, p, 1);
    }
    vq_text_puts(&f->text, "'");
}

/* One argument that was quoted as a whole is the expression; of several, the quotes belong to it.
 */
static bool whole_quoted(const struct sh *sh, const struct sh_args *a, int first)
{
    return sh_arg_count(a) == first + 1 && sh->words->v[sh_arg_word(a, first)].quoted;
}

enum sh_rc sh_filter_take(struct sh *sh, const struct sh_args *a, int first, bool options,
                          struct sh_filter *out)
{
    *out = (struct sh_filter){.first = first};
    bool whole = whole_quoted(sh, a, first);
    bool more = options && (sh_opt_text(a, "command") || sh_opt_text(a, "status") ||
                            sh_opt_text(a, "model") || sh_opt_text(a, "tag"));
    bool group = more && sh_arg_count(a) > first;
    out->shift = group;
    vq_text_puts(&out->text, group ? "(" : "");
    for (int i = first; i < sh_arg_count(a); i++) {
        const struct sh_word *w = &sh->words->v[sh_arg_word(a, i)];
        vq_text_puts(&out->text, i > first ? " " : "");
        if (whole)
            vq_text_puts(&out->text, w->text);
        else
            vq_text_put(&out->text, sh->text + w->start, w->end - w->start);
    }
    vq_text_puts(&out->text, group ? ")" : "");
    if (options) {
        add_test(out, "command", "=", sh_opt_text(a, "command"));
        add_test(out, "status", "=", sh_opt_text(a, "status"));
        add_test(out, "model", "~", sh_opt_text(a, "model"));
        add_test(out, "tag", "=", sh_opt_text(a, "tag"));
    }
    if (!out->text.failed)
        return SH_OK;
    vq_text_release(&out->text);
    return sh_failf(sh, "out of memory");
}

void sh_filter_release(struct sh_filter *f)
{
    vq_text_release(&f->text);
}

/* The word and the byte in it that byte `at` of the filter came from. */
static enum sh_rc point_into(struct sh *sh, const struct sh_args *a, const struct sh_filter *f,
                             size_t at, const char *msg)
{
    bool whole = whole_quoted(sh, a, f->first);
    at -= at < f->shift ? at : f->shift;
    for (int i = f->first; i < sh_arg_count(a); i++) {
        const struct sh_word *w = &sh->words->v[sh_arg_word(a, i)];
        size_t len = whole ? w->len : w->end - w->start;
        if (at <= len)
            return sh_bad_arg_at(sh, sh_arg_word(a, i), at, "%s", msg);
        at -= len + 1;
    }
    return sh_bad_arg(sh, sh_arg_word(a, sh_arg_count(a) - 1), "%s", msg);
}

/* Offset of name number `index` in a comma-separated list. */
static size_t name_at(const char *list, size_t index)
{
    const char *p = list;
    for (; index > 0 && (p = strchr(p, ',')); index--)
        p++;
    return p ? (size_t)(p - list) : 0;
}

enum sh_rc sh_filter_fail(struct sh *sh, const struct sh_args *a, const struct sh_filter *f,
                          const struct vq_listing_place *place, const struct vq_err *err)
{
    const char *option = place->part == VQ_LISTING_COLUMN ? "columns" : "sort";
    if (place->part == VQ_LISTING_FILTER && sh_arg_count(a) > f->first)
        return point_into(sh, a, f, place->at, err->msg);
    if (place->part == VQ_LISTING_COLUMN || place->part == VQ_LISTING_SORT)
        return sh_bad_arg_at(sh, sh_opt_word(a, option),
                             name_at(sh_opt_text(a, option), place->index) + place->at, "%s",
                             err->msg);
    return sh_fail(sh, err);
}

/* ---- runs ---- */

enum sh_rc sh_run_find(struct sh *sh, const struct sh_args *a, int i, char id[VQ_RUN_ID_SIZE])
{
    struct vq_err err = {0};
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    enum vq_status status = vq_store_find(store, sh_arg(a, i), id, &err);
    if (status == VQ_ENOTFOUND || status == VQ_EINVAL) {
        sh_bad_arg(sh, sh_arg_word(a, i), "%s", err.msg);
        return SH_ERR; /* the command was called rightly; the run is not there */
    }
    return status == VQ_OK ? SH_OK : sh_fail(sh, &err);
}

enum sh_rc sh_split_names(struct sh *sh, const char *text, char ***v, size_t *n)
{
    size_t room = 1;
    for (const char *p = text; *p; p++)
        room += *p == ',';
    char *copy = vq_strdup(text);
    *v = vq_calloc(room, sizeof(**v));
    *n = 0;
    if (!copy || !*v) {
        free(copy);
        free(*v);
        return sh_failf(sh, "out of memory");
    }
    for (char *rest = copy; *n < room; *n += 1)
        (*v)[*n] = strsep(&rest, ",");
    return SH_OK;
}
