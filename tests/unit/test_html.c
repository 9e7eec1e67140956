/* HTML: nothing that is written ever becomes markup, and base64 is what everybody else calls so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/utf8.h"
#include "repl/html.h"

static void check_text(const char *s, size_t n, bool lines, const char *expected)
{
    struct vq_text t = {0};
    sh_html_text(&t, s, n, lines);
    assert_string_equal(t.data ? t.data : "", expected);
    vq_text_release(&t);
}

static void test_text(void **state)
{
    (void)state;
    check_text("", 0, false, "");
    check_text("plain", 5, false, "plain");
    check_text("a<b>&\"c\"'d'", 11, false, "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;");
    check_text("</script><img onerror=x>", 24, false, "&lt;/script&gt;&lt;img onerror=x&gt;");
    check_text("a\0b\x1b[1m", 7, false, "a\\x00b\\x1b[1m");
    check_text("a\nb", 3, true, "a\nb");
    check_text("a\nb", 3, false, "a\\nb");
    check_text("\xc3\xa9\xff<", 4, false, "\xc3\xa9\xef\xbf\xbd&lt;");
    check_text("\xe2\x80\xae!", 4, false, "\\u202e!"); /* would turn the line around */
    check_text("\xef\xbf\xbf", 3, true, "\\uffff");    /* no XML holds it */
    check_text("\xed\xa0\x80", 3, true, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    check_text("]]>\r\t", 5, true, "]]&gt;\\r\\t");
}

/* Whatever the bytes, what comes out has no markup and is whole UTF-8 without controls. */
static void test_any_bytes(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        char s[40];
        struct vq_text t = {0};
        size_t n = (size_t)round % sizeof(s);
        for (size_t i = 0; i < n; i++)
            s[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
        sh_html_text(&t, s, n, round % 2);
        assert_int_equal(vq_utf8_check(t.data ? t.data : "", t.len), t.len);
        for (size_t i = 0; i < t.len; i++) {
            assert_null(memchr("<>\"'\t\r\x7f", t.data[i], 7));
            assert_true((unsigned char)t.data[i] >= ' ' || (round % 2 && t.data[i] == '\n'));
        }
        vq_text_release(&t);
    }
}

static void check_cell(struct vq_value v, const char *expected)
{
    struct vq_text t = {0};
    sh_html_cell(&t, &v);
    assert_string_equal(t.data, expected);
    vq_text_release(&t);
}

/* Numbers lose nothing in what sorting goes by. */
static void test_cells(void **state)
{
    (void)state;
    check_cell((struct vq_value){.kind = VQ_VALUE_NULL}, "<td></td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_INT, .i = INT64_MIN},
               "<td class=\"n\" data-v=\"-9223372036854775808\">-9223372036854775808</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_REAL, .d = 0.1 + 0.2},
               "<td class=\"n\" data-v=\"0.30000000000000004\">0.3</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_REAL, .d = NAN},
               "<td class=\"n\" data-v=\"NaN\">NaN</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_REAL, .d = -INFINITY},
               "<td class=\"n\" data-v=\"-Infinity\">-Infinity</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_TEXT, .text = "a<\0", .len = 3},
               "<td class=\"s\">a&lt;\\x00</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_TEXT, .text = "a\nb", .len = 3}, "<td>a\nb</td>");
    check_cell((struct vq_value){.kind = VQ_VALUE_BLOB, .text = "\"\xff", .len = 2},
               "<td class=\"s\">&quot;\xef\xbf\xbd</td>");
}

static void test_base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xef\xff", "++//"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct vq_text t = {0};
        vq_text_base64(&t, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(t.data ? t.data : "", pairs[i][1]);
        vq_text_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
