#include "core/base/json.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

#define MAX_DEPTH  64
#define MAX_NUMBER 63 /* cJSON reads numbers through a buffer of that many characters */

struct vq_json {
    cJSON *root;
};

/* The check that goes before cJSON: the whole grammar, so that what cJSON then sees is sound. */
struct scan {
    const char *text;
    size_t size, at;
    int depth;
    struct vq_err *err;
};

static bool scan_value(struct scan *s);

/* Says what stands at s->at instead of what was expected; returns false. */
static bool unexpected(struct scan *s, const char *expected)
{
    if (s->at >= s->size) {
        vq_fail(s->err, VQ_EFORMAT, "byte %zu: expected %s, found the end", s->at, expected);
        return false;
    }
    unsigned char c = (unsigned char)s->text[s->at];
    if (c >= 0x20 && c < 0x7f)
        vq_fail(s->err, VQ_EFORMAT, "byte %zu: expected %s, found '%c'", s->at, expected, c);
    else
        vq_fail(s->err, VQ_EFORMAT, "byte %zu: expected %s, found byte 0x%02x", s->at, expected, c);
    return false;
}

static bool refuse(struct scan *s, size_t at, const char *why)
{
    vq_fail(s->err, VQ_EFORMAT, "byte %zu: %s", at, why);
    return false;
}

static char peek(const struct scan *s)
{
    return s->at < s->size ? s->text[s->at] : '\0';
}

static void skip_space(struct scan *s)
{
    while (s->at < s->size && strchr(" \t\n\r", s->text[s->at]) && s->text[s->at])
        s->at++;
}

static size_t skip_digits(struct scan *s)
{
    size_t from = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at - from;
}

static bool scan_number(struct scan *s)
{
    size_t from = s->at;
    if (peek(s) == '-')
        s->at++;
    if (peek(s) == '0')
        s->at++;
    else if (!skip_digits(s))
        return unexpected(s, "a digit");
    if (peek(s) == '.') {
        s->at++;
        if (!skip_digits(s))
            return unexpected(s, "a digit after the point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!skip_digits(s))
            return unexpected(s, "a digit of the exponent");
    }
    double x;
    if (s->at - from > MAX_NUMBER)
        return refuse(s, from, "a number of more than 63 characters");
    if (!vq_text_to_f64(s->text + from, s->at - from, &x))
        return refuse(s, from, "a number outside the range of double");
    return true;
}

int vq_json_hex4(const char *s, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = i < n ? s[i] : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Four hex digits at s->at, or -1. */
static long hex4(struct scan *s)
{
    int value = vq_json_hex4(s->text + s->at, s->size - s->at);
    s->at += value < 0 ? 0 : 4;
    return value;
}

/* After the backslash. */
static bool scan_escape(struct scan *s)
{
    size_t from = s->at - 1;
    char c = peek(s);
    if (c != 'u') {
        if (!c || !strchr("\"\\/bfnrt", c))
            return unexpected(s, "an escape");
        s->at++;
        return true;
    }
    s->at++;
    long unit = hex4(s);
    if (unit < 0)
        return refuse(s, from, "\\u without four hex digits");
    if (unit == 0)
        return refuse(s, from, "\\u0000 in a string is not accepted");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    bool paired = unit < 0xdc00 && s->size - s->at >= 6 && memcmp(s->text + s->at, "\\u", 2) == 0;
    if (paired) {
        s->at += 2;
        unit = hex4(s);
        paired = unit >= 0xdc00 && unit <= 0xdfff;
    }
    return paired || refuse(s, from, "half of a surrogate pair");
}

static bool scan_string(struct scan *s)
{
    if (peek(s) != '"')
        return unexpected(s, "a string");
    s->at++;
    while (s->at < s->size) {
        char c = s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if ((unsigned char)c < 0x20)
            return refuse(s, s->at, "a control character in a string");
        uint32_t cp;
        int len = vq_utf8_next(s->text + s->at, s->size - s->at, &cp);
        if (len <= 0)
            return refuse(s, s->at, "not UTF-8");
        s->at += (size_t)len;
        if (c == '\\' && !scan_escape(s))
            return false;
    }
    return unexpected(s, "the closing '\"'");
}

static bool scan_member(struct scan *s)
{
    skip_space(s);
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return unexpected(s, "':'");
    s->at++;
    return scan_value(s);
}

/* The members or elements between the brackets, s->at being at the opening one. */
static bool scan_list(struct scan *s, bool (*item)(struct scan *), char close, const char *expected)
{
    if (++s->depth > MAX_DEPTH)
        return refuse(s, s->at, "nested more than 64 deep");
    s->at++;
    skip_space(s);
    bool more = peek(s) != close;
    while (more) {
        if (!item(s))
            return false;
        skip_space(s);
        more = peek(s) == ',';
        if (more)
            s->at++;
    }
    if (peek(s) != close)
        return unexpected(s, expected);
    s->at++;
    s->depth--;
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if (s->size - s->at < len || memcmp(s->text + s->at, word, len) != 0)
        return unexpected(s, "a value");
    s->at += len;
    return true;
}

static bool scan_value(struct scan *s)
{
    skip_space(s);
    switch (peek(s)) {
    case '{':
        return scan_list(s, scan_member, '}', "',' or '}'");
    case '[':
        return scan_list(s, scan_value, ']', "',' or ']'");
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (peek(s) == '-' || (peek(s) >= '0' && peek(s) <= '9'))
            return scan_number(s);
        return unexpected(s, "a value");
    }
}

static bool scan_document(struct scan *s)
{
    if (!scan_value(s))
        return false;
    skip_space(s);
    return s->at == s->size || unexpected(s, "the end");
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static enum vq_status duplicate(const char *key, struct vq_err *err)
{
    struct vq_text quoted = {0};
    vq_text_json_string(&quoted, key, strnlen(key, 200));
    vq_fail(err, VQ_EFORMAT, "the key %s occurs twice in one object",
            quoted.failed ? "" : quoted.data);
    vq_text_release(&quoted);
    return VQ_EFORMAT;
}

/* Sorted, equal keys are neighbours; comparing each with each would make a large header a way to
 * hang the program. */
static enum vq_status check_members(const cJSON *object, struct vq_err *err)
{
    const cJSON *few[32], **sorted = few;
    size_t n = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        n++;
    if (n > sizeof(few) / sizeof(few[0]) && !(sorted = vq_alloc(n, sizeof(*sorted))))
        return vq_nomem(err, "JSON keys", n, sizeof(*sorted));
    size_t i = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        sorted[i++] = m;
    qsort(sorted, n, sizeof(*sorted), by_key);
    enum vq_status status = VQ_OK;
    for (i = 1; i < n && status == VQ_OK; i++)
        if (strcmp(sorted[i - 1]->string, sorted[i]->string) == 0)
            status = duplicate(sorted[i]->string, err);
    if (sorted != few)
        free(sorted);
    return status;
}

/* Recurses as deep as the document, which is at most MAX_DEPTH. */
static enum vq_status check_keys(const cJSON *n, struct vq_err *err)
{
    if (cJSON_IsObject(n)) {
        enum vq_status status = check_members(n, err);
        if (status != VQ_OK)
            return status;
    }
    for (const cJSON *c = n->child; c; c = c->next) {
        enum vq_status status = c->child ? check_keys(c, err) : VQ_OK;
        if (status != VQ_OK)
            return status;
    }
    return VQ_OK;
}

/* cJSON reads numbers with the decimal point of the thread's locale. */
static cJSON *parse_in_c(const char *text, size_t size)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return NULL;
    locale_t old = uselocale(c);
    cJSON *root = cJSON_ParseWithLength(text, size);
    uselocale(old);
    freelocale(c);
    return root;
}

enum vq_status vq_json_parse(struct vq_json **out, const char *text, size_t size,
                             struct vq_err *err)
{
    *out = NULL;
    size_t bom = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    struct scan s = {.text = text, .size = size, .at = bom, .err = err};
    if (!scan_document(&s))
        return VQ_EFORMAT;
    struct vq_json *doc = vq_calloc(1, sizeof(*doc));
    if (!doc)
        return vq_nomem(err, "JSON document", 1, sizeof(*doc));
    doc->root = parse_in_c(text + bom, size - bom);
    /* The text is sound, so memory is all that cJSON can have lacked. */
    enum vq_status status =
        doc->root ? check_keys(doc->root, err) : vq_nomem(err, "JSON document", size, 1);
    if (status != VQ_OK) {
        vq_json_free(doc);
        return status;
    }
    *out = doc;
    return VQ_OK;
}

void vq_json_free(struct vq_json *doc)
{
    if (!doc)
        return;
    cJSON_Delete(doc->root);
    free(doc);
}

static const cJSON *item_of(const struct vq_json_node *n)
{
    return (const cJSON *)n;
}

static const struct vq_json_node *node_of(const cJSON *item)
{
    return (const struct vq_json_node *)item;
}

const struct vq_json_node *vq_json_root(const struct vq_json *doc)
{
    return node_of(doc->root);
}

enum vq_json_kind vq_json_kind(const struct vq_json_node *n)
{
    switch (item_of(n)->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return VQ_JSON_BOOL;
    case cJSON_Number:
        return VQ_JSON_NUMBER;
    case cJSON_String:
        return VQ_JSON_STRING;
    case cJSON_Array:
        return VQ_JSON_ARRAY;
    case cJSON_Object:
        return VQ_JSON_OBJECT;
    default:
        return VQ_JSON_NULL;
    }
}

const char *vq_json_kind_name(enum vq_json_kind kind)
{
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "an array",  "an object"};
    return (unsigned)kind <= VQ_JSON_OBJECT ? names[kind] : "an unknown kind";
}

const struct vq_json_node *vq_json_get(const struct vq_json_node *n, const char *key)
{
    if (!n || !cJSON_IsObject(item_of(n)))
        return NULL;
    for (const cJSON *m = item_of(n)->child; m; m = m->next)
        if (strcmp(m->string, key) == 0)
            return node_of(m);
    return NULL;
}

const struct vq_json_node *vq_json_first(const struct vq_json_node *n)
{
    return node_of(item_of(n)->child);
}

const struct vq_json_node *vq_json_next(const struct vq_json_node *n)
{
    return node_of(item_of(n)->next);
}

const char *vq_json_key(const struct vq_json_node *n)
{
    return item_of(n)->string;
}

const char *vq_json_string(const struct vq_json_node *n)
{
    return item_of(n)->valuestring;
}

double vq_json_number(const struct vq_json_node *n)
{
    return item_of(n)->valuedouble;
}

bool vq_json_bool(const struct vq_json_node *n)
{
    return cJSON_IsTrue(item_of(n));
}

bool vq_json_int(const struct vq_json_node *n, int64_t *out)
{
    double x = item_of(n)->valuedouble;
    if (!cJSON_IsNumber(item_of(n)) || trunc(x) != x || fabs(x) >= 0x1p53)
        return false;
    *out = (int64_t)x;
    return true;
}
