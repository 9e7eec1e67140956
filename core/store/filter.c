#include "core/store/filter.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/store/when.h"

enum { DEEPEST = 64 }; /* parentheses and `not` inside each other */

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_HAS, OP_HASNT };

/* Longer ones first, so that "<=" is not taken for "<". */
static const struct {
    const char *name, *sql;
    enum op op;
} ops[] = {
    {"!=", "=", OP_NE},  {"!~", "", OP_HASNT}, {"<=", "<=", OP_LE},
    {">=", ">=", OP_GE}, {"==", "=", OP_EQ},   {"=", "=", OP_EQ},
    {"<", "<", OP_LT},   {">", ">", OP_GT},    {"~", "", OP_HAS},
};

/* A word or value as read: where it stands, and its text without quotes. */
struct word {
    size_t at, end;
    char *text;
    size_t len;
    bool quoted;
};

struct parser {
    struct vq_store *store;
    const char *text;
    size_t n, pos;
    int depth;
    double now;
    struct vq_sql *q;
    size_t at; /* what the error is about */
    struct vq_err *err;
};

static enum vq_status wrong(struct parser *p, size_t at, const char *what)
{
    p->at = at;
    return vq_fail(p->err, VQ_EINVAL, "%s", what);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
    while (p->pos < p->n && blank(p->text[p->pos]))
        p->pos++;
}

/* The operator at the cursor, as an index of `ops`, or -1. */
static int op_at(const struct parser *p)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        size_t len = strlen(ops[i].name);
        if (p->n - p->pos >= len && memcmp(p->text + p->pos, ops[i].name, len) == 0)
            return (int)i;
    }
    return -1;
}

/* Appends what is between the quotes at the cursor. */
static enum vq_status quoted(struct parser *p, struct vq_text *out)
{
    size_t open = p->pos;
    char quote = p->text[p->pos++];
    while (p->pos < p->n && p->text[p->pos] != quote) {
        if (p->text[p->pos] == '\\' && p->pos + 1 < p->n)
            p->pos++;
        vq_text_put(out, p->text + p->pos++, 1);
    }
    if (p->pos == p->n)
        return wrong(p, open, "this quote is never closed");
    p->pos++;
    return VQ_OK;
}

/* What ends a word: a value may hold operators and balanced parentheses, a name neither. */
static bool ends(const struct parser *p, bool value, int depth)
{
    char c = p->text[p->pos];
    if (blank(c))
        return true;
    if (value)
        return c == ')' && depth == 0;
    return c == '(' || c == ')' || op_at(p) >= 0;
}

static enum vq_status read_word(struct parser *p, bool value, struct word *w)
{
    struct vq_text t = {0};
    enum vq_status status = VQ_OK;
    int depth = 0;
    skip_blanks(p);
    *w = (struct word){.at = p->pos};
    vq_text_puts(&t, "");
    while (status == VQ_OK && p->pos < p->n && !ends(p, value, depth)) {
        char c = p->text[p->pos];
        if (c == '"' || c == '\'') {
            w->quoted = true;
            status = quoted(p, &t);
            continue;
        }
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        vq_text_put(&t, &c, 1);
        p->pos++;
    }
    w->end = p->pos;
    w->text = t.data;
    w->len = t.len;
    if (status == VQ_OK && t.failed)
        status = vq_nomem(p->err, "filter", t.len, 1);
    return status;
}

static void put(struct parser *p, const char *sql)
{
    vq_text_puts(&p->q->sql, sql);
}

/* ---- tests ---- */

/* One value of a test; `text` is a piece of a word. */
struct operand {
    const char *text;
    size_t len, at;
    bool bare; /* written without quotes */
};

static bool is(const struct operand *v, const char *name)
{
    return v->bare && strlen(name) == v->len && strncasecmp(v->text, name, v->len) == 0;
}

static enum vq_status not_this(struct parser *p, const struct operand *v, const char *expected)
{
    p->at = v->at;
    return vq_fail(p->err, VQ_EINVAL, "expected %s, found '%.*s'", expected,
                   v->len < 60 ? (int)v->len : 60, v->text);
}

/* Binds a number: as an integer when it is one that fits. */
static bool put_number(struct parser *p, const struct operand *v)
{
    char *end, digits[24];
    double real;
    bool whole = v->len > 0 && v->len < sizeof(digits) && strspn(v->text, "-0123456789") >= v->len;
    if (whole) {
        memcpy(digits, v->text, v->len);
        digits[v->len] = '\0';
        errno = 0;
        long long i = strtoll(digits, &end, 10);
        if (errno == 0 && *end == '\0') {
            vq_sql_int(p->q, i);
            return true;
        }
    }
    if (is(v, "inf") || is(v, "infinity") || is(v, "-inf") || is(v, "-infinity"))
        real = v->text[0] == '-' ? -INFINITY : INFINITY;
    else if (!vq_text_to_f64(v->text, v->len, &real))
        return false;
    vq_sql_real(p->q, real);
    return true;
}

static bool is_number(const struct operand *v)
{
    double ignored;
    return vq_text_to_f64(v->text, v->len, &ignored) || is(v, "inf") || is(v, "infinity") ||
           is(v, "-inf") || is(v, "-infinity");
}

static enum vq_status test_number(struct parser *p, const struct vq_attr *a, const char *sql_op,
                                  const struct operand *v)
{
    double seconds;
    vq_attr_value(a, p->q);
    put(p, sql_op);
    if (put_number(p, v))
        return VQ_OK;
    if (!vq_duration_parse(v->text, v->len, &seconds))
        return not_this(p, v, "a number");
    vq_sql_real(p->q, seconds);
    return VQ_OK;
}

/* x OP [from, to): before it, after it, inside it. */
static enum vq_status test_time(struct parser *p, const struct vq_attr *a, enum op op,
                                const struct operand *v)
{
    double from, to;
    if (!vq_time_parse(v->text, v->len, p->now, &from, &to))
        return not_this(p, v, "a time, such as 2d, 30m, today or 2026-01-31");
    bool exact = from == to;
    vq_attr_value(a, p->q);
    if (op == OP_EQ || op == OP_NE) {
        put(p, " >= ");
        vq_sql_real(p->q, from);
        put(p, " AND ");
        vq_attr_value(a, p->q);
        put(p, exact ? " <= " : " < ");
        vq_sql_real(p->q, to);
        return VQ_OK;
    }
    bool after = op == OP_GT || op == OP_GE;
    put(p,
        after ? (op == OP_GT && exact ? " > " : " >= ") : (op == OP_LE && exact ? " <= " : " < "));
    vq_sql_real(p->q, op == OP_GT || op == OP_LE ? to : from);
    return VQ_OK;
}

/* Decimal texts compare as the numbers they are by length, then by text. */
static enum vq_status test_seed(struct parser *p, const struct vq_attr *a, const char *sql_op,
                                const struct operand *v)
{
    const char *digits = v->text;
    size_t len = v->len;
    if (len == 0 || len > 20 || strspn(digits, "0123456789") < len)
        return not_this(p, v, "a seed, a whole number without a sign");
    while (len > 1 && *digits == '0') {
        digits++;
        len--;
    }
    put(p, "(length(");
    vq_attr_value(a, p->q);
    put(p, "), ");
    vq_attr_value(a, p->q);
    put(p, ") ");
    put(p, sql_op);
    put(p, " (");
    vq_sql_int(p->q, (int64_t)len);
    put(p, ", ");
    vq_sql_text(p->q, digits, len);
    put(p, ")");
    return VQ_OK;
}

static enum vq_status test_status(struct parser *p, const struct vq_attr *a,
                                  const struct operand *v)
{
    bool known = false;
    for (unsigned i = 0; i < VQ_RUN_STATUSES; i++) {
        const char *name = vq_run_status_name((enum vq_run_status)i);
        known = known || (strlen(name) == v->len && strncasecmp(v->text, name, v->len) == 0);
    }
    if (!known)
        return not_this(p, v, "one of running, finished, failed, interrupted, crashed");
    vq_attr_value(a, p->q);
    put(p, " = lower(");
    vq_sql_text(p->q, v->text, v->len);
    put(p, ")");
    return VQ_OK;
}

/* Results and members of JSON objects are numbers or texts; each compares with its own kind. */
static enum vq_status test_value(struct parser *p, const struct vq_attr *a, const char *sql_op,
                                 const struct operand *v)
{
    bool json = a->kind == VQ_ATTR_JSON;
    if (!json && is(v, "nan")) {
        vq_attr_value_kind(a, p->q);
        put(p, " = 'nan'");
        return VQ_OK;
    }
    put(p, "(SELECT x ");
    put(p, sql_op);
    if (json && (is(v, "true") || is(v, "false"))) {
        put(p, is(v, "true") ? " 1" : " 0");
    } else if (v->bare && is_number(v)) {
        put_number(p, v);
        put(p, " AND typeof(x) <> 'text'");
    } else {
        vq_sql_text(p->q, v->text, v->len);
        put(p, " AND typeof(x) = 'text'");
    }
    put(p, " FROM (SELECT ");
    vq_attr_value(a, p->q);
    put(p, " AS x))");
    return VQ_OK;
}

static enum vq_status test_one(struct parser *p, const struct vq_attr *a, int op,
                               const struct operand *v)
{
    const char *sql_op = ops[op].sql;
    switch (a->kind) {
    case VQ_ATTR_NUMBER:
        return test_number(p, a, sql_op, v);
    case VQ_ATTR_TIME:
        return test_time(p, a, ops[op].op, v);
    case VQ_ATTR_SEED:
        return test_seed(p, a, sql_op, v);
    case VQ_ATTR_STATUS:
        return test_status(p, a, v);
    case VQ_ATTR_SET:
        put(p, "EXISTS(");
        put(p, vq_attr_set_rows(a));
        put(p, " AND ");
        put(p, vq_attr_set_column(a));
        put(p, " = ");
        vq_sql_text(p->q, v->text, v->len);
        put(p, ")");
        return VQ_OK;
    case VQ_ATTR_VALUE:
    case VQ_ATTR_JSON:
        return test_value(p, a, sql_op, v);
    case VQ_ATTR_TEXT:
        break;
    }
    vq_attr_value(a, p->q);
    put(p, sql_op);
    vq_sql_text(p->q, v->text, v->len);
    return VQ_OK;
}

static void test_none(struct parser *p, const struct vq_attr *a)
{
    if (a->kind == VQ_ATTR_SET) {
        put(p, "NOT EXISTS(");
        put(p, vq_attr_set_rows(a));
        put(p, ")");
        return;
    }
    if (a->kind == VQ_ATTR_VALUE)
        vq_attr_value_kind(a, p->q);
    else
        vq_attr_value(a, p->q);
    put(p, " IS NULL");
}

static void test_part(struct parser *p, const struct vq_attr *a, const struct operand *v)
{
    if (a->kind == VQ_ATTR_SET) {
        put(p, "EXISTS(");
        put(p, vq_attr_set_rows(a));
        put(p, " AND instr(lower(");
        put(p, vq_attr_set_column(a));
    } else {
        put(p, "instr(lower(");
        vq_attr_text(a, p->q);
    }
    put(p, "), lower(");
    vq_sql_text(p->q, v->text, v->len);
    put(p, a->kind == VQ_ATTR_SET ? ")))" : "))");
}

/* All the values of `a=x,y`: one of them is enough. A quoted value is never cut. */
static enum vq_status test_any(struct parser *p, const struct vq_attr *a, int op,
                               const struct word *w)
{
    enum vq_status status = VQ_OK;
    size_t from = 0;
    bool list = !w->quoted && (ops[op].op == OP_EQ || ops[op].op == OP_NE);
    while (status == VQ_OK && from <= w->len) {
        const char *comma = list ? memchr(w->text + from, ',', w->len - from) : NULL;
        size_t to = comma ? (size_t)(comma - w->text) : w->len;
        struct operand v = {w->text + from, to - from, w->at + from, !w->quoted};
        put(p, from ? " OR " : "");
        put(p, "coalesce((");
        if (ops[op].op == OP_HAS || ops[op].op == OP_HASNT)
            test_part(p, a, &v);
        else if (list && is(&v, "none"))
            test_none(p, a);
        else
            status = test_one(p, a, op, &v);
        put(p, "), 0)");
        from = to + 1;
    }
    return status;
}

/* Sets and states know only whether something is in them. */
static enum vq_status check_op(struct parser *p, const struct vq_attr *a, const struct word *name,
                               int op, size_t at)
{
    bool order =
        ops[op].op == OP_LT || ops[op].op == OP_LE || ops[op].op == OP_GT || ops[op].op == OP_GE;
    if (!order || (a->kind != VQ_ATTR_SET && a->kind != VQ_ATTR_STATUS))
        return VQ_OK;
    p->at = at;
    return vq_fail(p->err, VQ_EINVAL, "%s has no order: use = != ~ or !~", name->text);
}

static enum vq_status attribute_test(struct parser *p, const struct word *name, int op)
{
    struct vq_attr a;
    struct word value = {0};
    size_t op_pos = p->pos;
    if (name->len == 0)
        return wrong(p, p->pos, "expected the name of something before the operator");
    enum vq_status status = vq_attr_find(p->store, name->text, name->len, &a, p->err);
    p->at = name->at;
    if (status == VQ_OK)
        status = check_op(p, &a, name, op, op_pos);
    if (status != VQ_OK)
        return status;
    p->pos += strlen(ops[op].name);
    status = read_word(p, true, &value);
    if (status == VQ_OK && value.len == 0 && !value.quoted)
        status = wrong(p, value.at, "expected a value after the operator");
    bool opposite = ops[op].op == OP_NE || ops[op].op == OP_HASNT;
    put(p, opposite ? "NOT (" : "(");
    if (status == VQ_OK)
        status = test_any(p, &a, op, &value);
    put(p, ")");
    free(value.text);
    return status;
}

static void text_test(struct parser *p, const struct word *w)
{
    static const char *const columns[] = {"r.id",         "r.name",       "r.command_line",
                                          "r.model_name", "r.model_path", "r.error"};
    static const char *const tables[] = {
        "tags x WHERE x.run = r.id AND instr(lower(x.tag), lower(",
        "notes x WHERE x.run = r.id AND instr(lower(x.text), lower("};
    put(p, "(");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        put(p, "coalesce(instr(lower(");
        put(p, columns[i]);
        put(p, "), lower(");
        vq_sql_text(p->q, w->text, w->len);
        put(p, ")), 0) OR ");
    }
    for (size_t i = 0; i < 2; i++) {
        put(p, i ? " OR EXISTS(SELECT 1 FROM " : "EXISTS(SELECT 1 FROM ");
        put(p, tables[i]);
        vq_sql_text(p->q, w->text, w->len);
        put(p, ")))");
    }
    put(p, ")");
}

/* ---- the grammar ---- */

/* Whether the unquoted word `name` stands at the cursor, not followed by an operator; skips it. */
static bool take_keyword(struct parser *p, const char *name)
{
    size_t len = strlen(name), from = p->pos;
    skip_blanks(p);
    bool here = p->n - p->pos >= len && strncasecmp(p->text + p->pos, name, len) == 0 &&
                (p->pos + len == p->n || blank(p->text[p->pos + len]) ||
                 p->text[p->pos + len] == '(' || p->text[p->pos + len] == ')');
    if (here)
        p->pos += len;
    size_t after = p->pos;
    skip_blanks(p);
    if (here && p->pos < p->n && op_at(p) >= 0)
        here = false; /* `or=3` and `not = 3` are about something of that name */
    p->pos = here ? after : from;
    return here;
}

static enum vq_status parse_or(struct parser *p);

static enum vq_status parse_test(struct parser *p)
{
    struct word w;
    enum vq_status status = read_word(p, false, &w);
    size_t after = p->pos;
    skip_blanks(p);
    int op = p->pos < p->n ? op_at(p) : -1;
    if (status == VQ_OK && op >= 0) {
        status = attribute_test(p, &w, op);
    } else if (status == VQ_OK) {
        p->pos = after;
        if (w.len == 0)
            status = wrong(p, w.at,
                           p->text[w.at] == ')' ? "nothing stands before this ')'"
                                                : "expected a test, such as status=failed");
        else
            text_test(p, &w);
    }
    free(w.text);
    return status;
}

static enum vq_status parse_group(struct parser *p)
{
    size_t open = p->pos++;
    put(p, "(");
    enum vq_status status = parse_or(p);
    skip_blanks(p);
    if (status == VQ_OK && (p->pos == p->n || p->text[p->pos] != ')'))
        return wrong(p, open, "this '(' is never closed");
    p->pos++;
    put(p, ")");
    return status;
}

static enum vq_status parse_not(struct parser *p)
{
    enum vq_status status;
    skip_blanks(p);
    if (p->depth == DEEPEST)
        return wrong(p, p->pos, "too many parentheses inside each other");
    p->depth++;
    if (take_keyword(p, "not")) {
        put(p, "NOT ");
        status = parse_not(p);
    } else if (p->pos < p->n && p->text[p->pos] == '(') {
        status = parse_group(p);
    } else {
        status = parse_test(p);
    }
    p->depth--;
    return status;
}

/* Whether the expression ends here, or another of its parts does. */
static bool at_end(struct parser *p, bool of_and)
{
    size_t from = p->pos;
    skip_blanks(p);
    bool end = p->pos == p->n || p->text[p->pos] == ')' || (of_and && take_keyword(p, "or"));
    p->pos = from;
    return end;
}

static enum vq_status parse_and(struct parser *p)
{
    enum vq_status status = parse_not(p);
    while (status == VQ_OK && !at_end(p, true)) {
        take_keyword(p, "and");
        put(p, " AND ");
        status = parse_not(p);
    }
    return status;
}

static enum vq_status parse_or(struct parser *p)
{
    put(p, "(");
    enum vq_status status = parse_and(p);
    while (status == VQ_OK && take_keyword(p, "or")) {
        put(p, " OR ");
        status = parse_and(p);
    }
    put(p, ")");
    return status;
}

enum vq_status vq_filter_compile(struct vq_store *store, const char *text, double now,
                                 struct vq_sql *q, size_t *at, struct vq_err *err)
{
    struct parser p = {
        .store = store, .text = text, .n = strlen(text), .now = now, .q = q, .err = err};
    *at = 0;
    enum vq_status status = parse_or(&p);
    if (status == VQ_OK) {
        skip_blanks(&p);
        if (p.pos < p.n)
            status = wrong(&p, p.pos, "there is no '(' for this ')'");
    }
    *at = p.at;
    return status;
}
