/* JSON: what the parser takes and refuses, and that what the writer writes is read back the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rng.h"

/* Parses from an exact-size heap copy, so that a sanitizer sees any byte read past the end. */
static enum vq_status parse(struct vq_json **doc, const char *text, size_t n, struct vq_err *err)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    enum vq_status status = vq_json_parse(doc, copy, n, err);
    free(copy);
    return status;
}

static struct vq_json *must(const char *text)
{
    struct vq_json *doc;
    struct vq_err err = {0};
    if (parse(&doc, text, strlen(text), &err) != VQ_OK)
        fail_msg("%s: %s", text, err.msg);
    return doc;
}

/* The text is refused and the message holds `why`. */
static void refused(const char *text, size_t n, const char *why)
{
    struct vq_json *doc;
    struct vq_err err = {0};
    if (parse(&doc, text, n, &err) != VQ_EFORMAT)
        fail_msg("accepted: %.60s", text);
    assert_null(doc);
    if (!strstr(err.msg, why))
        fail_msg("%.60s: expected \"%s\" in \"%s\"", text, why, err.msg);
}

static double number(const char *text)
{
    struct vq_json *doc = must(text);
    assert_int_equal(vq_json_kind(vq_json_root(doc)), VQ_JSON_NUMBER);
    double x = vq_json_number(vq_json_root(doc));
    vq_json_free(doc);
    return x;
}

static void tree(void **state)
{
    (void)state;
    struct vq_json *doc =
        must("\xef\xbb\xbf {\"a\": [1, -2.5e1, true, null], \"A\": {\"\": \"x\"},\r\n"
             "\t\"k\\u00e9\\ud83d\\ude00\\n\": false, \"e\": [], \"o\": {} } ");
    const struct vq_json_node *root = vq_json_root(doc), *a = vq_json_get(root, "a");
    assert_int_equal(vq_json_kind(root), VQ_JSON_OBJECT);
    assert_null(vq_json_key(root));
    assert_int_equal(vq_json_kind(a), VQ_JSON_ARRAY);
    const struct vq_json_node *e = vq_json_first(a);
    assert_null(vq_json_key(e));
    assert_true(vq_json_number(e) == 1.0);
    e = vq_json_next(e);
    assert_true(vq_json_number(e) == -25.0);
    e = vq_json_next(e);
    assert_int_equal(vq_json_kind(e), VQ_JSON_BOOL);
    assert_true(vq_json_bool(e));
    e = vq_json_next(e);
    assert_int_equal(vq_json_kind(e), VQ_JSON_NULL);
    assert_null(vq_json_next(e));
    const struct vq_json_node *upper = vq_json_get(root, "A"); /* names are exact, case and all */
    assert_int_equal(vq_json_kind(upper), VQ_JSON_OBJECT);
    assert_string_equal(vq_json_string(vq_json_get(upper, "")), "x");
    const struct vq_json_node *k = vq_json_next(upper);
    assert_string_equal(vq_json_key(k), "k\xc3\xa9\xf0\x9f\x98\x80\n");
    assert_false(vq_json_bool(k));
    assert_null(vq_json_first(vq_json_get(root, "e")));
    assert_null(vq_json_first(vq_json_get(root, "o")));
    assert_null(vq_json_get(root, "absent"));
    assert_null(vq_json_get(a, "a"));
    assert_string_equal(vq_json_kind_name(vq_json_kind(root)), "an object");
    vq_json_free(doc);
    vq_json_free(NULL);
}

static void malformed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "byte 0: expected a value, found the end"},
        {"  ", "byte 2: expected a value, found the end"},
        {"{", "byte 1: expected a string, found the end"},
        {"{\"a\"}", "byte 4: expected ':', found '}'"},
        {"{\"a\":1,}", "byte 7: expected a string, found '}'"},
        {"{\"a\":1 \"b\":2}", "byte 7: expected ',' or '}', found '\"'"},
        {"{a:1}", "byte 1: expected a string, found 'a'"},
        {"[1,]", "byte 3: expected a value, found ']'"},
        {"[1 2]", "byte 3: expected ',' or ']', found '2'"},
        {"[1}", "byte 2: expected ',' or ']', found '}'"},
        {"1 1", "byte 2: expected the end, found '1'"},
        {"{}x", "byte 2: expected the end, found 'x'"},
        {"tru", "byte 0: expected a value"},
        {"nul!", "byte 0: expected a value"},
        {"'a'", "byte 0: expected a value, found '''"},
        {"\"a", "byte 2: expected the closing '\"', found the end"},
        {"\"\\", "byte 2: expected an escape, found the end"},
        {"\"\\x41\"", "byte 2: expected an escape, found 'x'"},
        {"\"\\u12\"", "byte 1: \\u without four hex digits"},
        {"\"a\\u0000b\"", "byte 2: \\u0000"},
        {"\"\\ud800\"", "byte 1: half of a surrogate pair"},
        {"\"\\udc00\"", "byte 1: half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "byte 1: half of a surrogate pair"},
        {"\"a\nb\"", "byte 2: a control character"},
        {"\"\xff\"", "byte 1: not UTF-8"},
        {"\"\xc3\"", "byte 1: not UTF-8"},
        {"\"\xed\xa0\x80\"", "byte 1: not UTF-8"},
        {"01", "byte 1: expected the end, found '1'"},
        {"-", "byte 1: expected a digit, found the end"},
        {"+1", "byte 0: expected a value, found '+'"},
        {".5", "byte 0: expected a value, found '.'"},
        {"1.", "byte 2: expected a digit after the point"},
        {"1,5", "byte 1: expected the end, found ','"},
        {"1e", "byte 2: expected a digit of the exponent"},
        {"0x10", "byte 1: expected the end, found 'x'"},
        {"NaN", "byte 0: expected a value, found 'N'"},
        {"-Infinity", "byte 1: expected a digit, found 'I'"},
        {"[1e309]", "byte 1: a number outside the range of double"},
        {"// no\n1", "byte 0: expected a value, found '/'"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "the key \"a\" occurs twice"},
        {"[{\"x\":{\"\\u0061\":1,\"a\":2}}]", "the key \"a\" occurs twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused(cases[i].text, strlen(cases[i].text), cases[i].why);
    refused("1\0", 2, "byte 1: expected the end, found byte 0x00");
    refused("\"a\0b\"", 5, "byte 2: a control character");
    refused("{\"a\":\0}", 7, "byte 5: expected a value, found byte 0x00");
}

/* Every start of a document is refused, and none is read past its end. */
static void truncated(void **state)
{
    (void)state;
    const char *text =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},\"\\u00e9\":"
        "[true,false,null,-1.5e-3]}";
    for (size_t n = 0; n < strlen(text); n++)
        refused(text, n, "byte ");
}

static void depth(void **state)
{
    (void)state;
    char text[140];
    for (int n = 64; n <= 65; n++) {
        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        text[2 * n] = '\0';
        if (n == 64)
            vq_json_free(must(text));
        else
            refused(text, strlen(text), "byte 64: nested more than 64 deep");
    }
    size_t many = 1000000; /* no stack is deep enough for these */
    char *deep = malloc(many);
    memset(deep, '[', many);
    refused(deep, many, "nested more than 64 deep");
    free(deep);
}

static void numbers(void **state)
{
    (void)state;
    assert_true(number("0.1") == 0.1);
    assert_true(number("-0") == 0.0 && signbit(number("-0")));
    assert_true(number("1.7976931348623157e308") == 1.7976931348623157e308);
    assert_true(number("5e-324") == 5e-324);
    assert_true(number("1e-400") == 0.0);
    assert_true(number("123456789012345678901234567890") == 123456789012345678901234567890.0);
    char text[80];
    memset(text, '1', sizeof(text));
    text[63] = '\0';
    assert_true(number(text) > 1e62);
    text[63] = '1';
    text[64] = '\0';
    refused(text, 64, "a number of more than 63 characters");
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_int;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"1e3", true, 1000},
        {"2.0", true, 2},
        {"9007199254740991", true, 9007199254740991},
        {"-9007199254740991", true, -9007199254740991},
        {"9007199254740993", false, 0},
        {"1e300", false, 0},
        {"1.5", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vq_json *doc = must(cases[i].text);
        int64_t x = 0;
        assert_int_equal(vq_json_int(vq_json_root(doc), &x), cases[i].is_int);
        assert_int_equal(x, cases[i].value);
        vq_json_free(doc);
    }
}

static void wide_object(void **state)
{
    (void)state;
    struct vq_text t = {0};
    size_t n = 200000;
    vq_text_puts(&t, "{");
    for (size_t i = 0; i < n; i++)
        vq_text_printf(&t, "%s\"layer_%zu\":%zu", i ? "," : "", i * 7919 % n, i);
    size_t last = t.len;
    vq_text_puts(&t, "}");
    assert_false(t.failed);
    clock_t start = clock();
    struct vq_json *doc = must(t.data);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 15.0); /* n squared takes minutes */
    size_t seen = 0;
    for (const struct vq_json_node *m = vq_json_first(vq_json_root(doc)); m; m = vq_json_next(m))
        assert_true(vq_json_number(m) == (double)seen++);
    assert_int_equal(seen, n);
    vq_json_free(doc);
    t.len = last;
    vq_text_puts(&t, ",\"layer_77\":0}");
    refused(t.data, t.len, "the key \"layer_77\" occurs twice");
    vq_text_release(&t);
}

static void written_numbers(void **state)
{
    (void)state;
    struct vq_rng r;
    vq_rng_init(&r, 1, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = vq_rng_u64(&r);
        uint32_t low = (uint32_t)bits;
        double x;
        float y;
        memcpy(&x, &bits, sizeof(x));
        memcpy(&y, &low, sizeof(y));
        struct vq_text t = {0}, u = {0};
        vq_text_json_f64(&t, x);
        vq_text_json_f32(&u, y);
        if (isfinite(x))
            assert_true(number(t.data) == x);
        if (isfinite(y))
            assert_true((float)number(u.data) == y);
        assert_true(t.len <= 24 && u.len <= 16);
        vq_text_release(&t);
        vq_text_release(&u);
    }
}

static void literal_numbers(void)
{
    struct vq_text t = {0};
    static const double f64[] = {0.0, -0.0, 1.0, 0.1, 1e21, 1.0 / 3, 5e-324, 1e100};
    for (size_t i = 0; i < sizeof(f64) / sizeof(f64[0]); i++, vq_text_puts(&t, " "))
        vq_text_json_f64(&t, f64[i]);
    vq_text_json_f32(&t, 0.1f);
    vq_text_puts(&t, " ");
    vq_text_json_f32(&t, 16777216.0f);
    vq_text_puts(&t, " ");
    vq_text_json_f32(&t, -INFINITY);
    vq_text_json_f64(&t, INFINITY);
    vq_text_json_f64(&t, NAN);
    vq_text_json_f32(&t, NAN);
    assert_string_equal(t.data, "0 -0 1 0.1 1e+21 0.3333333333333333 4.94065645841247e-324 1e+100 "
                                "0.1 16777216 \"-Infinity\"\"Infinity\"\"NaN\"\"NaN\"");
    vq_text_release(&t);
}

static void number_spelling(void **state)
{
    (void)state;
    literal_numbers();
    double x = 7;
    assert_true(vq_text_to_f64("+.5e1", 5, &x) && x == 5.0);
    static const char *const bad[] = {"",    " 1",    "1 ",  "nan", "inf",
                                      "0x1", "1e999", "1,5", "-",   "1e"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(vq_text_to_f64(bad[i], strlen(bad[i]), &x));
    assert_false(vq_text_to_f64("1\0", 2, &x));
    assert_true(x == 5.0);
}

/* A locale with a decimal comma must change nothing, neither in reading nor in writing. */
static void german(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) {
        print_message("the locale de_DE.UTF-8 is not installed\n");
        skip();
    }
    char native[8];
    snprintf(native, sizeof(native), "%.1f", 0.5);
    struct vq_json *doc;
    enum vq_status status = vq_json_parse(&doc, "[0.25,-1.5e-3]", 14, NULL);
    double a = 0, b = 0, c = 0;
    if (status == VQ_OK) {
        const struct vq_json_node *first = vq_json_first(vq_json_root(doc));
        a = vq_json_number(first);
        b = vq_json_number(vq_json_next(first));
        vq_json_free(doc);
    }
    bool parsed = vq_text_to_f64("2.5", 3, &c), comma = vq_text_to_f64("2,5", 3, &c);
    literal_numbers();
    char after[8];
    snprintf(after, sizeof(after), "%.1f", 0.5);
    setlocale(LC_ALL, "C");
    assert_string_equal(native, "0,5");
    assert_int_equal(status, VQ_OK);
    assert_true(a == 0.25 && b == -1.5e-3 && c == 2.5);
    assert_true(parsed && !comma);
    assert_string_equal(after, "0,5"); /* the caller's locale was put back */
}

static void strings(void **state)
{
    (void)state;
    static const char raw[] = "a\"b\\c/\b\f\n\r\t\x01\x7f\0é\xc2\x85"
                              "€😀\xff\xe2\x82z\xed\xa0\x80\xf0\x9f";
    struct vq_text t = {0};
    vq_text_json_string(&t, raw, sizeof(raw) - 1);
    assert_string_equal(t.data, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u007f\\u0000é\\u0085"
                                "€😀\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                "\xef\xbf\xbd\"");
    vq_text_release(&t);
    vq_text_json_string(&t, "", 0);
    assert_string_equal(t.data, "\"\"");
    vq_text_release(&t);
    const char *plain = "line\n\ttab \"quoted\" é 日本 😀 \x1b[31m";
    vq_text_json_string(&t, plain, strlen(plain));
    struct vq_json *doc = must(t.data);
    assert_string_equal(vq_json_string(vq_json_root(doc)), plain);
    vq_json_free(doc);
    vq_text_release(&t);
}

static void text_buffer(void **state)
{
    (void)state;
    struct vq_text t = {0};
    for (int i = 0; i < 1000; i++)
        vq_text_printf(&t, "%d,", i);
    assert_int_equal(t.len, 3890);
    assert_string_equal(t.data + t.len - 4, "999,");
    vq_text_put(&t, "a\0b", 3);
    assert_int_equal(t.len, 3893);
    assert_int_equal(t.data[t.len], '\0');
    vq_text_release(&t);
    assert_null(t.data);
    vq_text_put(&t, "x", SIZE_MAX); /* cannot fit, must not be tried */
    assert_true(t.failed);
    vq_text_puts(&t, "more");
    assert_int_equal(t.len, 0);
    vq_text_release(&t);
    assert_false(t.failed);
}

/* Each of our allocations failing in turn is an error, never a crash or a leak. */
static void memory_out(void **state)
{
    (void)state;
    struct vq_text t = {0};
    vq_text_puts(&t, "{");
    for (int i = 0; i < 40; i++)
        vq_text_printf(&t, "%s\"k%d\":[%d]", i ? "," : "", i, i);
    vq_text_puts(&t, "}");
    enum vq_status status = VQ_ENOMEM;
    long nth = 0;
    while (status != VQ_OK && nth < 20) {
        struct vq_json *doc;
        struct vq_err err = {0};
        vq_mem_fail_at(++nth);
        status = vq_json_parse(&doc, t.data, t.len, &err);
        vq_mem_fail_at(0);
        assert_true(status == VQ_OK || status == VQ_ENOMEM);
        vq_json_free(doc);
    }
    assert_int_equal(status, VQ_OK);
    assert_true(nth > 2);
    struct vq_text u = {0};
    vq_mem_fail_at(1);
    vq_text_puts(&u, "x");
    vq_mem_fail_at(0);
    assert_true(u.failed);
    vq_text_release(&u);
    vq_text_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree),
        cmocka_unit_test(malformed),
        cmocka_unit_test(truncated),
        cmocka_unit_test(depth),
        cmocka_unit_test(numbers),
        cmocka_unit_test(integers),
        cmocka_unit_test(wide_object),
        cmocka_unit_test(written_numbers),
        cmocka_unit_test(number_spelling),
        cmocka_unit_test(german),
        cmocka_unit_test(strings),
        cmocka_unit_test(text_buffer),
        cmocka_unit_test(memory_out),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
