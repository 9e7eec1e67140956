/* HTML: nothing that is written ever becomes markup, and base64 is what everybody else calls so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

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
        sh_html_base64(&t, (const uint8_t *)pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(t.data ? t.data : "", pairs[i][1]);
        vq_text_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
