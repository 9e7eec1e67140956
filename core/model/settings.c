/*
 * settings: reading values into a configuration and writing them out again. Text (--set, presets)
 * and JSON (config.json, metadata) both become a struct value, and one function decides whether
 * that value may be stored: range, then facts read off the shapes, then precedence.
 */
#include "core/model/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was read for a field: the member that its type calls for. */
struct value {
    int64_t i;
    double x;
    const char *text;
};

static bool is_int(const struct vq_config_field *f)
{
    return f->type == VQ_FIELD_INT || f->type == VQ_FIELD_BOOL;
}

/* "an integer from 1 to 4096", as the message of a refused value says it. */
static const char *expected(const struct vq_config_field *f, char *buf, size_t len)
{
    if (is_int(f) && f->min == f->max)
        snprintf(buf, len, "%.0f", f->min);
    else if (f->type == VQ_FIELD_BOOL)
        snprintf(buf, len, "0 or 1");
    else if (f->type == VQ_FIELD_INT)
        snprintf(buf, len, "an integer from %.0f to %.0f", f->min, f->max);
    else if (f->type == VQ_FIELD_REAL)
        snprintf(buf, len, "a number from %.15g to %.15g", f->min, f->max);
    else if (f->choices)
        snprintf(buf, len, "one of: %s", f->choices);
    else
        snprintf(buf, len, "text of 1 to %zu bytes", f->size - 1);
    return buf;
}

static enum vq_status refuse(const struct vq_config_field *f, const char *found, struct vq_err *err)
{
    char want[160];
    return vq_fail(err, VQ_EINVAL, "%s: expected %s, found %s", f->name,
                   expected(f, want, sizeof(want)), found);
}

/* Whether `text` is one word of the space-separated choices. */
static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *c = choices; n && *c; c += strcspn(c, " "), c += strspn(c, " "))
        if (strcspn(c, " ") == n && !strncmp(c, text, n))
            return true;
    return false;
}

static bool in_range(const struct vq_config_field *f, const struct value *v)
{
    if (f->type == VQ_FIELD_TEXT) {
        if (f->choices)
            return is_choice(f->choices, v->text);
        return v->text[0] && strlen(v->text) < f->size;
    }
    double x = f->type == VQ_FIELD_REAL ? v->x : (double)v->i;
    return x >= f->min && x <= f->max;
}

static int64_t get_int(const struct vq_settings *s, const struct vq_config_field *f)
{
    int64_t i;
    memcpy(&i, (const char *)&s->v + f->offset, sizeof(i));
    return i;
}

static void store(struct vq_settings *s, const struct vq_config_field *f, const struct value *v)
{
    char *at = (char *)&s->v + f->offset;
    if (is_int(f))
        memcpy(at, &v->i, sizeof(v->i));
    else if (f->type == VQ_FIELD_REAL)
        memcpy(at, &v->x, sizeof(v->x));
    else
        snprintf(at, f->size, "%s", v->text);
}

/* Both values and the tensor, when one of the two came from the checkpoint's shapes. */
static enum vq_status check_fact(const struct vq_settings *s, int at, const struct value *v,
                                 enum vq_origin origin, struct vq_err *err)
{
    const struct vq_config_field *f = vq_config_field_at((size_t)at);
    enum vq_origin before = s->origin[at];
    bool told = before == VQ_FROM_SHAPES || (origin == VQ_FROM_SHAPES && before > origin);
    if (!told || !is_int(f) || get_int(s, f) == v->i)
        return VQ_OK;
    bool fact_is_new = origin == VQ_FROM_SHAPES && before != VQ_FROM_SHAPES;
    return vq_fail(err, VQ_ESHAPE, "%s: %s says %lld, but tensor %s of the checkpoint says %lld",
                   f->name, vq_origin_name(fact_is_new ? before : origin),
                   (long long)(fact_is_new ? get_int(s, f) : v->i), f->told_by,
                   (long long)(fact_is_new ? v->i : get_int(s, f)));
}

/* `found` is the value as the user wrote it, for the message. */
static enum vq_status apply(struct vq_settings *s, int at, const struct value *v, const char *found,
                            enum vq_origin origin, struct vq_err *err)
{
    const struct vq_config_field *f = vq_config_field_at((size_t)at);
    if (!in_range(f, v))
        return refuse(f, found, err);
    enum vq_status st = check_fact(s, at, v, origin, err);
    if (st)
        return st;
    if (s->origin[at] <= origin && s->origin[at] != VQ_FROM_SHAPES) {
        store(s, f, v);
        s->origin[at] = (uint8_t)origin;
    }
    return VQ_OK;
}

static bool parse_int(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *out = v;
    return !errno && !*end;
}

static bool parse_flag(const char *text, int64_t *out)
{
    static const char on[] = "1 true on yes", off[] = "0 false off no";
    *out = is_choice(on, text);
    return *out || is_choice(off, text);
}

static bool parse_value(const struct vq_config_field *f, const char *text, struct value *v)
{
    *v = (struct value){.text = text};
    switch (f->type) {
    case VQ_FIELD_INT:
        return parse_int(text, &v->i);
    case VQ_FIELD_BOOL:
        return parse_flag(text, &v->i);
    case VQ_FIELD_REAL:
        if (!strcmp(f->name, "grad_clip") && !strcmp(text, "none"))
            return true;
        return vq_text_to_f64(text, strlen(text), &v->x);
    case VQ_FIELD_TEXT:
        break;
    }
    return true;
}

/* Insertions, deletions and replacements that turn a into b; names longer than the row count as
 * far away. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n + 1 > sizeof(row) / sizeof(row[0]))
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

static enum vq_status unknown(const char *name, struct vq_err *err)
{
    const char *best = NULL;
    size_t least = strlen(name) / 2 + 1;
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        size_t d = edit_distance(name, vq_config_field_at(i)->name);
        if (d < least) {
            least = d;
            best = vq_config_field_at(i)->name;
        }
    }
    if (best)
        return vq_fail(err, VQ_EINVAL, "unknown setting '%.64s': did you mean '%s'?", name, best);
    return vq_fail(err, VQ_EINVAL, "unknown setting '%.64s'", name);
}

enum vq_status vq_settings_set(struct vq_settings *s, const char *name, const char *value,
                               enum vq_origin origin, struct vq_err *err)
{
    int at = vq_config_field_find(name);
    if (at < 0)
        return unknown(name, err);
    const struct vq_config_field *f = vq_config_field_at((size_t)at);
    struct value v;
    char found[80];
    snprintf(found, sizeof(found), "'%.70s'", value);
    if (!parse_value(f, value, &v))
        return refuse(f, found, err);
    return apply(s, at, &v, found, origin, err);
}

/* The value of a JSON member, or false when its kind is not the field's. */
static bool json_value(const struct vq_config_field *f, const struct vq_json_node *n,
                       struct value *v)
{
    enum vq_json_kind kind = vq_json_kind(n);
    *v = (struct value){.text = ""};
    switch (f->type) {
    case VQ_FIELD_BOOL:
        if (kind == VQ_JSON_BOOL) {
            v->i = vq_json_bool(n);
            return true;
        }
        return vq_json_int(n, &v->i);
    case VQ_FIELD_INT:
        return vq_json_int(n, &v->i);
    case VQ_FIELD_REAL:
        v->x = kind == VQ_JSON_NUMBER ? vq_json_number(n) : 0;
        return kind == VQ_JSON_NUMBER;
    case VQ_FIELD_TEXT:
        v->text = kind == VQ_JSON_STRING ? vq_json_string(n) : "";
        return kind == VQ_JSON_STRING;
    }
    return false;
}

static void json_found(const struct vq_json_node *n, char *buf, size_t len)
{
    enum vq_json_kind kind = vq_json_kind(n);
    if (kind == VQ_JSON_NUMBER)
        snprintf(buf, len, "%.17g", vq_json_number(n));
    else if (kind == VQ_JSON_STRING)
        snprintf(buf, len, "\"%.70s\"", vq_json_string(n));
    else
        snprintf(buf, len, "%s", vq_json_kind_name(kind));
}

enum vq_status vq_settings_json(struct vq_settings *s, const struct vq_json_node *object,
                                enum vq_origin origin, struct vq_err *err)
{
    if (vq_json_kind(object) != VQ_JSON_OBJECT)
        return vq_fail(err, VQ_EINVAL, "expected an object of settings, found %s",
                       vq_json_kind_name(vq_json_kind(object)));
    for (const struct vq_json_node *n = vq_json_first(object); n; n = vq_json_next(n)) {
        int at = vq_config_field_find(vq_json_key(n));
        if (at < 0)
            continue;
        const struct vq_config_field *f = vq_config_field_at((size_t)at);
        struct value v = {.text = ""};
        bool null = vq_json_kind(n) == VQ_JSON_NULL;
        if (null && strcmp(f->name, "grad_clip"))
            continue;
        char found[96];
        json_found(n, found, sizeof(found));
        if (!null && !json_value(f, n, &v))
            return refuse(f, found, err);
        enum vq_status st = apply(s, at, &v, found, origin, err);
        if (st)
            return st;
    }
    return VQ_OK;
}

const char *vq_settings_text(const struct vq_settings *s, size_t i, char *buf, size_t len)
{
    const struct vq_config_field *f = vq_config_field_at(i);
    const char *at = (const char *)&s->v + f->offset;
    if (is_int(f)) {
        snprintf(buf, len, "%" PRId64, get_int(s, f));
    } else if (f->type == VQ_FIELD_REAL) {
        double x;
        struct vq_text t = {0};
        memcpy(&x, at, sizeof(x));
        vq_text_json_f64(&t, x);
        snprintf(buf, len, "%s", t.data ? t.data : "");
        vq_text_release(&t);
    } else {
        snprintf(buf, len, "%s", at);
    }
    return buf;
}

void vq_settings_to_json(const struct vq_settings *s, struct vq_text *out)
{
    vq_text_puts(out, "{");
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        const struct vq_config_field *f = vq_config_field_at(i);
        char text[sizeof(s->v.vocab)];
        vq_settings_text(s, i, text, sizeof(text));
        vq_text_printf(out, "%s\"%s\": ", i ? ", " : "", f->name);
        if (f->type == VQ_FIELD_TEXT)
            vq_text_json_string(out, text, strlen(text));
        else if (!strcmp(f->name, "grad_clip") && s->v.grad_clip == 0)
            vq_text_puts(out, "null");
        else
            vq_text_puts(out, text);
    }
    vq_text_puts(out, "}");
}
