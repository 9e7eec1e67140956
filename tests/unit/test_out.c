/* Results in every format, to the byte; and what happens when they cannot be written. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/shell.h"

static void format(struct shell *s, const char *name)
{
    struct vq_err err;
    shell_clear(s);
    assert_int_equal(sh_setting_set(&s->sh, "format", name, &err), VQ_OK);
}

/* A listing with a value of each kind. */
static void some_list(struct shell *s)
{
    struct sh *sh = &s->sh;
    sh_list(sh, "name n x ok");
    sh_row(sh);
    sh_str(sh, "name", "a,\"b|\"");
    sh_int(sh, "n", -3);
    sh_f64(sh, "x", 0.1);
    sh_bool(sh, "ok", true);
    sh_row(sh);
    sh_f32(sh, "x", 0.1f);
    sh_str(sh, "name", "");
    sh_row(sh);
    sh_bytes(sh, "name", "l1\nl2\x1b[0m\xff", 10);
    sh_f64(sh, "x", NAN);
    sh_uint(sh, "n", UINT64_MAX);
    assert_int_equal(sh_end(sh), SH_OK);
}

static void lists(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "json");
    some_list(&s);
    assert_string_equal(shell_out(&s),
                        "[{\"name\":\"a,\\\"b|\\\"\",\"n\":-3,\"x\":0.1,\"ok\":true},"
                        "{\"name\":\"\",\"n\":null,\"x\":0.1,\"ok\":null},"
                        "{\"name\":\"l1\\nl2\\u001b[0m\xef\xbf\xbd\",\"n\":18446744073709551615,"
                        "\"x\":\"NaN\",\"ok\":null}]\n");
    format(&s, "jsonl");
    some_list(&s);
    assert_string_equal(shell_out(&s),
                        "{\"name\":\"a,\\\"b|\\\"\",\"n\":-3,\"x\":0.1,\"ok\":true}\n"
                        "{\"name\":\"\",\"n\":null,\"x\":0.1,\"ok\":null}\n"
                        "{\"name\":\"l1\\nl2\\u001b[0m\xef\xbf\xbd\",\"n\":18446744073709551615,"
                        "\"x\":\"NaN\",\"ok\":null}\n");
    format(&s, "csv");
    some_list(&s);
    assert_string_equal(shell_out(&s), "name,n,x,ok\n\"a,\"\"b|\"\"\",-3,0.1,true\n\"\",,0.1,\n"
                                       "\"l1\nl2\x1b[0m\xff\",18446744073709551615,NaN,\n");
    format(&s, "plain");
    some_list(&s);
    assert_string_equal(shell_out(&s),
                        "a,\"b|\"\t-3\t0.1\ttrue\n\t\t0.1\t\n"
                        "l1\\nl2\\x1b[0m\xef\xbf\xbd\t18446744073709551615\tNaN\t\n");
    format(&s, "markdown");
    some_list(&s);
    assert_string_equal(shell_out(&s),
                        "| name | n | x | ok |\n|---|---|---|---|\n"
                        "| a,\"b\\|\" | -3 | 0.1 | true |\n|  |  | 0.1 |  |\n"
                        "| l1\\nl2\\x1b[0m\xef\xbf\xbd | 18446744073709551615 | NaN |  |\n");
    shell_close(&s);
}

static void tables(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "table");
    some_list(&s);
    assert_string_equal(shell_out(&s), "name                               n    x  ok\n"
                                       "--------------  --------------------  ---  ----\n"
                                       "a,\"b|\"                            -3  0.1  true\n"
                                       "                                      0.1\n"
                                       "l1\\nl2\\x1b[0m\xef\xbf\xbd  18446744073709551615  NaN\n");
    format(&s, "line");
    some_list(&s);
    assert_memory_equal(shell_out(&s), "name = a,\"b|\"\n   n = -3\n   x = 0.1\n  ok = true\n\n",
                        48);
    shell_close(&s);
}

/* Wide, combining and ill-formed characters keep the right-hand line straight. */
static void widths(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain", "\xe6\x97\xa5\xe6\x9c\xac", "e\xcc\x81t\xc3\xa9", "\xf0\x9f\x91\x8d", "a\xff\xfe",
        "\xc3"};
    struct shell s;
    shell_open(&s);
    format(&s, "box");
    sh_list(&s.sh, "text");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        sh_row(&s.sh);
        sh_str(&s.sh, "text", texts[i]);
    }
    assert_int_equal(sh_end(&s.sh), SH_OK);
    assert_string_equal(shell_out(&s), "\u250c\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2510\n"
                                       "\u2502 text  \u2502\n"
                                       "\u251c\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2524\n"
                                       "\u2502 plain \u2502\n"
                                       "\u2502 \u65e5\u672c  \u2502\n"
                                       "\u2502 e\u0301t\u00e9   \u2502\n"
                                       "\u2502 \U0001f44d    \u2502\n"
                                       "\u2502 a\ufffd\ufffd   \u2502\n"
                                       "\u2502 \ufffd     \u2502\n"
                                       "\u2514\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2518\n");
    shell_close(&s);
}

static void wide_list(struct shell *s, int width)
{
    struct sh *sh = &s->sh;
    format(s, "table");
    sh->set.width = width;
    sh_list(sh, "id note extra empty n");
    sh_columns_whole(sh, "id");
    sh_columns_spare(sh, "extra empty n");
    sh_row(sh);
    sh_str(sh, "id", "abcdefghijklmnop");
    sh_str(sh, "note", "a text of twenty-six bytes");
    sh_str(sh, "extra", "more");
    sh_int(sh, "n", 1234567);
    assert_int_equal(sh_end(sh), SH_OK);
}

/* A table that is too wide: texts are cut, then columns left out, and what matters is cut last. */
static void narrow(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    wide_list(&s, 0);
    assert_non_null(strstr(shell_out(&s), "id                note                        extra  "
                                          "empty        n\n"));
    wide_list(&s, 50);
    assert_string_equal(shell_out(&s), "id                note              extra        n\n"
                                       "----------------  ----------------  -----  -------\n"
                                       "abcdefghijklmnop  a text of twent…  more   1234567\n");
    wide_list(&s, 40);
    assert_string_equal(shell_out(&s), "id                note                 n\n"
                                       "----------------  -------------  -------\n"
                                       "abcdefghijklmnop  a text of tw…  1234567\n"
                                       "no room for extra\n");
    wide_list(&s, 28);
    assert_string_equal(shell_out(&s), "id              note\n"
                                       "--------------  ------------\n"
                                       "abcdefghijklm…  a text of t…\n"
                                       "no room for extra, n\n");
    wide_list(&s, 13);
    assert_string_equal(shell_out(&s), "id     abcdefghijklmnop\n"
                                       "note   a text of twenty-six bytes\n"
                                       "extra  more\nempty\nn      1234567\n");
    shell_close(&s);
}

/* Values of a record are broken at blanks, so that they line up; what has none stays whole. */
static void wrapped(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "table");
    s.sh.set.width = 30;
    sh_record(&s.sh);
    sh_str(&s.sh, "line", "sample --length 20  --seed 3 --out /a/path/that/is/long/enough.txt x");
    sh_str(&s.sh, "wide", "日本 日本 日本 日本 日本 日本");
    assert_int_equal(sh_end(&s.sh), SH_OK);
    assert_string_equal(shell_out(&s), "line  sample --length 20\n"
                                       "      --seed 3 --out\n"
                                       "      /a/path/that/is/long/enough.txt\n"
                                       "      x\n"
                                       "wide  日本 日本 日本 日本 日本\n"
                                       "      日本\n");
    shell_close(&s);
}

static void some_record(struct shell *s)
{
    struct sh *sh = &s->sh;
    sh_record(sh);
    sh_str(sh, "path", "x y");
    sh_f64(sh, "nats", 1.0 / 3.0);
    sh_json(sh, "config", "{\"d\":1}");
    sh_str(sh, "none", NULL);
    assert_int_equal(sh_end(sh), SH_OK);
}

static void records(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "json");
    some_record(&s);
    assert_string_equal(shell_out(&s), "{\"path\":\"x y\",\"nats\":0.3333333333333333,"
                                       "\"config\":{\"d\":1},\"none\":null}\n");
    format(&s, "table");
    some_record(&s);
    assert_string_equal(shell_out(&s), "path    x y\nnats    0.333333\nconfig  {\"d\":1}\nnone\n");
    format(&s, "plain");
    some_record(&s);
    assert_string_equal(shell_out(&s),
                        "path\tx y\nnats\t0.3333333333333333\nconfig\t{\"d\":1}\nnone\t\n");
    format(&s, "csv");
    some_record(&s);
    assert_string_equal(shell_out(&s),
                        "path,nats,config,none\nx y,0.3333333333333333,\"{\"\"d\"\":1}\",\n");
    shell_close(&s);
}

static void empty_lists(void **state)
{
    (void)state;
    static const char *const expected[][2] = {{"json", "[]\n"},
                                              {"jsonl", ""},
                                              {"csv", "a,b\n"},
                                              {"plain", ""},
                                              {"line", ""},
                                              {"markdown", "| a | b |\n|---|---|\n"},
                                              {"table", "a  b\n-  -\n"}};
    struct shell s;
    shell_open(&s);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        format(&s, expected[i][0]);
        sh_list(&s.sh, "a b");
        assert_int_equal(sh_end(&s.sh), SH_OK);
        assert_string_equal(shell_out(&s), expected[i][1]);
    }
    shell_close(&s);
}

static void acknowledgements(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    for (int i = 0; i < 2; i++) {
        format(&s, i ? "json" : "plain");
        sh_ack(&s.sh, "done with %d", 3);
        sh_int(&s.sh, "n", 3);
        assert_int_equal(sh_end(&s.sh), SH_OK);
        assert_string_equal(shell_out(&s), i ? "{\"n\":3}\n" : "");
        assert_string_equal(shell_said(&s), "done with 3\n");
    }
    shell_clear(&s);
    s.sh.quiet = true;
    sh_ack(&s.sh, "done");
    assert_int_equal(sh_end(&s.sh), SH_OK);
    assert_string_equal(shell_said(&s), "");
    shell_close(&s);
}

/* A command that fails in the middle leaves no half of a JSON value. */
static void failures_in_the_middle(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "json");
    sh_list(&s.sh, "a");
    for (int i = 0; i < 100000; i++) {
        sh_row(&s.sh);
        sh_int(&s.sh, "a", i);
    }
    assert_int_equal(sh_out_finish(&s.sh, SH_ERR), SH_ERR);
    assert_string_equal(shell_out(&s), "");
    sh_record(&s.sh);
    sh_int(&s.sh, "a", 1);
    assert_int_equal(sh_end(&s.sh), SH_OK);
    assert_string_equal(shell_out(&s), "{\"a\":1}\n");
    shell_close(&s);
}

/* Every number comes back as it went in, whatever the decimal point of the locale. */
static void numbers(void **state)
{
    (void)state;
    static const double values[] = {0.1, -1e300, 5e-324, 1.0 / 3.0, 123456789.123456789, -0.0};
    struct shell s;
    shell_open(&s);
    setlocale(LC_NUMERIC, "de_DE.UTF-8");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        double back;
        format(&s, "csv");
        sh_list(&s.sh, "x");
        sh_row(&s.sh);
        sh_f64(&s.sh, "x", values[i]);
        sh_end(&s.sh);
        setlocale(LC_NUMERIC, "C");
        back = strtod(shell_out(&s) + 2, NULL);
        setlocale(LC_NUMERIC, "de_DE.UTF-8");
        assert_memory_equal(&back, &values[i], sizeof(back));
        format(&s, "table");
        sh_record(&s.sh);
        sh_f64(&s.sh, "x", values[i]);
        sh_end(&s.sh);
        assert_null(strchr(shell_out(&s), ','));
    }
    setlocale(LC_NUMERIC, "C");
    shell_close(&s);
}

static void running_text(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    format(&s, "plain");
    sh_out_bytes(&s.sh, "a\xc3", 2);
    sh_out_bytes(&s.sh, "\xa9\x1b\xff", 3);
    sh_out_bytes_end(&s.sh);
    assert_string_equal(shell_out(&s), "a\xc3\xa9\x1b\xff\n"); /* a file gets the very bytes */
    format(&s, "json");
    assert_false(sh_out_is_text(&s.sh));
    sh_out_bytes(&s.sh, "a", 1);
    sh_out_bytes_end(&s.sh);
    assert_string_equal(shell_out(&s), "");
    shell_close(&s);
}

/* Replaces where results go by a real file. */
static void results_to(struct shell *s, FILE *f)
{
    sh_out_free(s->sh.out);
    s->sh.out = sh_out_new(f, s->messages);
    assert_non_null(s->sh.out);
}

static void full_disk(void **state)
{
    (void)state;
    struct shell s;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    shell_open(&s);
    results_to(&s, full);
    assert_int_equal(shell_run(&s, "show seed"), SH_ERR);
    assert_string_equal(shell_said(&s),
                        "vqsh: show: cannot write results: No space left on device\n");
    assert_int_equal(shell_run(&s, "set seed 1"), SH_OK);
    assert_false(sh_out_gone(&s.sh));
    shell_close(&s);
    fclose(full);
}

static void closed_pipe(void **state)
{
    (void)state;
    struct shell s;
    int fd[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fd), 0);
    close(fd[0]);
    FILE *f = fdopen(fd[1], "w");
    assert_non_null(f);
    shell_open(&s);
    results_to(&s, f);
    assert_int_equal(shell_run(&s, "show seed; show width"), SH_OK);
    assert_true(sh_out_gone(&s.sh));
    assert_true(s.sh.stop);
    assert_true(vq_cancelled(sh_cancel(&s.sh)));
    assert_string_equal(shell_said(&s), "");
    shell_close(&s);
    fclose(f);
}

static char *contents(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void redirection(void **state)
{
    (void)state;
    struct shell s;
    char path[] = "/tmp/vqsh-test-XXXXXX", line[128];
    close(mkstemp(path));
    shell_open(&s);
    snprintf(line, sizeof(line), "output %s; show seed", path);
    assert_int_equal(shell_run(&s, line), SH_OK);
    assert_string_equal(shell_out(&s), "");
    assert_memory_equal(contents(path), "name\tseed\n", 10); /* although still open */
    assert_int_equal(shell_run(&s, "output; show width"), SH_OK);
    assert_memory_equal(shell_out(&s), "name\twidth\n", 11);
    assert_int_equal(shell_run(&s, "output /nonexistent/x"), SH_ERR);
    assert_non_null(strstr(shell_said(&s), "/nonexistent/x: No such file"));
    assert_int_equal(shell_run(&s, "output /dev/full; show seed"), SH_ERR);
    assert_non_null(strstr(shell_said(&s), "cannot write results to /dev/full"));
    assert_int_equal(shell_run(&s, "output"), SH_OK);
    remove(path);
    shell_close(&s);
}

static void timing(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    assert_int_equal(shell_run(&s, "timing on; show seed"), SH_OK);
    assert_non_null(strstr(shell_said(&s), "time 0.0"));
    assert_int_equal(shell_run(&s, "timing off"), SH_OK);
    assert_int_equal(shell_run(&s, "show seed"), SH_OK);
    assert_string_equal(shell_said(&s), "");
    shell_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),        cmocka_unit_test(tables),
        cmocka_unit_test(widths),       cmocka_unit_test(records),
        cmocka_unit_test(empty_lists),  cmocka_unit_test(acknowledgements),
        cmocka_unit_test(numbers),      cmocka_unit_test(failures_in_the_middle),
        cmocka_unit_test(running_text), cmocka_unit_test(full_disk),
        cmocka_unit_test(closed_pipe),  cmocka_unit_test(redirection),
        cmocka_unit_test(timing),       cmocka_unit_test(narrow),
        cmocka_unit_test(wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
