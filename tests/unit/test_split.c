/* Splitting: what is a command, what is a word, and where a mistake is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "core/base/text.h"
#include "repl/split.h"

/* All words as "<a><b>", commands apart by a blank, "!" before one for the system shell. */
static enum sh_split split(const char *text, size_t n, struct vq_text *to, struct sh_words *last,
                           struct vq_err *err)
{
    struct sh_splitter s;
    enum sh_split rc;
    char *copy = malloc(n ? n : 1); /* exact, so that a sanitizer sees any byte read past it */
    assert_non_null(copy);
    memcpy(copy, text, n);
    sh_splitter_init(&s, copy, n);
    while ((rc = sh_split_next(&s, last, err)) == SH_SPLIT_OK) {
        vq_text_puts(to, to->len ? " " : "");
        vq_text_puts(to, last->shell ? "!" : "");
        for (int i = 0; i < last->n; i++) {
            assert_int_equal(strlen(last->v[i].text), last->v[i].len);
            assert_true(last->v[i].start < last->v[i].end && last->v[i].end <= n);
            vq_text_printf(to, "<%s>", last->v[i].text);
        }
        sh_words_release(last);
    }
    free(copy);
    return rc;
}

static void check(const char *text, const char *expected)
{
    struct vq_text got = {0};
    struct sh_words last;
    struct vq_err err = {0};
    enum sh_split rc = split(text, strlen(text), &got, &last, &err);
    if (rc != SH_SPLIT_END || strcmp(got.data ? got.data : "", expected) != 0)
        fail_msg("%s\n gives %d %s (%s)\n not   %s", text, rc, got.data, err.msg, expected);
    vq_text_release(&got);
}

static void words(void **state)
{
    (void)state;
    check("", "");
    check("  \t\r\n ;; \n", "");
    check("load a b", "<load><a><b>");
    check("a;b\nc", "<a> <b> <c>");
    check("a 'b c' \"d e\"", "<a><b c><d e>");
    check("a'b'\"c\"d", "<abcd>");
    check("a '' \"\"", "<a><><>");
    check("a 'x;y\nz'", "<a><x;y\nz>");
    check("a '\\n \"'", "<a><\\n \">");
    check("a \"\\n\\t\\r\\e\\\\\\\"\\'\\$\\x41\\xc3\\xa9\"", "<a><\n\t\r\x1b\\\"'$A\xc3\xa9>");
    check("a b\\ c \\; \\# \\\"", "<a><b c><;><#><\">");
    check("a \\\n b", "<a><b>");
    check("ab\\\ncd", "<abcd>");
    check("a \"b\\\nc\"", "<a><bc>");
    check("--set k=v --text=\"a b\"", "<--set><k=v><--text=a b>");
    check("\xef\xbb\xbfload x", "<load><x>");
    check("load \xe6\x97\xa5\xe6\x9c\xac", "<load><\xe6\x97\xa5\xe6\x9c\xac>");
}

static void comments(void **state)
{
    (void)state;
    check("# all of it; b\nc", "<c>");
    check("a # b ; c\nd", "<a> <d>");
    check("a#b ; 'c'#d", "<a#b> <c#d>");
    check("#!/usr/bin/env vqsh\nload x", "<load><x>");
    check("a ;# b", "<a>");
    check("#", "");
}

static void system_shell(void **state)
{
    (void)state;
    check("!ls -l | wc; echo 'x\na", "!<ls -l | wc; echo 'x> <a>");
    check("  !date", "!<date>");
    check("a !b", "<a><!b>");
    check("a; !b", "<a> !<b>");
}

static void places(void **state)
{
    (void)state;
    struct sh_splitter s;
    struct sh_words w;
    const char *text = "first\n\n  second \"a\nb\" 'c'd\n third";
    sh_splitter_init(&s, text, strlen(text));
    assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_OK);
    assert_int_equal(w.line, 1);
    sh_words_release(&w);
    assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_OK);
    assert_int_equal(w.line, 3);
    assert_int_equal(w.start, 9);
    assert_int_equal(w.n, 3);
    assert_false(w.v[0].quoted);
    assert_true(w.v[1].quoted);
    assert_true(w.v[2].quoted);
    assert_memory_equal(text + w.v[1].start, "\"a\nb\"", w.v[1].end - w.v[1].start);
    assert_memory_equal(text + w.v[2].start, "'c'd", w.v[2].end - w.v[2].start);
    assert_int_equal(w.end, w.v[2].end);
    sh_words_release(&w);
    assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_OK);
    assert_int_equal(w.line, 5);
    sh_words_release(&w);
    assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_END);
}

static void check_bad(const char *text, size_t n, enum sh_split expected, size_t at, int line,
                      const char *why)
{
    struct vq_text got = {0};
    struct sh_words last;
    struct vq_err err = {0};
    enum sh_split rc = split(text, n, &got, &last, &err);
    if (rc != expected || last.start != at || last.line != line || !strstr(err.msg, why))
        fail_msg("%s\n gives %d at %zu line %d: %s", text, rc, last.start, last.line, err.msg);
    assert_int_equal(sh_split_is_open(text, n), expected == SH_SPLIT_OPEN);
    vq_text_release(&got);
}

#define BAD(text, expected, at, line, why)                                                         \
    check_bad(text, sizeof(text) - 1, expected, at, line, why)

static void mistakes(void **state)
{
    (void)state;
    BAD("a 'b", SH_SPLIT_OPEN, 2, 1, "' is never closed");
    BAD("a \"b\nc", SH_SPLIT_OPEN, 2, 1, "\" is never closed");
    BAD("a\nb \"c", SH_SPLIT_OPEN, 4, 2, "\" is never closed");
    BAD("a \"b\\", SH_SPLIT_OPEN, 2, 1, "never closed");
    BAD("a \\", SH_SPLIT_OPEN, 2, 1, "last \\");
    BAD("a \\\n", SH_SPLIT_OPEN, 2, 1, "last \\");
    BAD("a b\\\n", SH_SPLIT_OPEN, 3, 1, "last \\");
    BAD("a \"\\q\"", SH_SPLIT_BAD, 3, 1, "unknown escape");
    BAD("a \"\\x4\"", SH_SPLIT_BAD, 3, 1, "two hexadecimal");
    BAD("a \"\\x\n41\"", SH_SPLIT_BAD, 3, 1, "two hexadecimal");
    BAD("a \"\\x00\"", SH_SPLIT_BAD, 3, 1, "NUL");
    BAD("a\n b\0c", SH_SPLIT_BAD, 4, 2, "NUL");
    BAD("a 'b\0c'", SH_SPLIT_BAD, 4, 1, "NUL");
    BAD("!a\0b", SH_SPLIT_BAD, 0, 1, "NUL");
    assert_false(sh_split_is_open("a 'b'", 5));
    assert_false(sh_split_is_open("# it's", 6));
    assert_false(sh_split_is_open("!it's", 5));
}

/* Any text without a NUL, quoted, splits back into itself. */
static void quoting(void **state)
{
    (void)state;
    static const char some[] = "ab \t\n\r\"'\\;#!$~-=\x01\x1b\x7f\xc3\xa9\xff";
    struct vq_rng rng;
    vq_rng_init(&rng, 7, 0);
    for (int round = 0; round < 3000; round++) {
        char word[12];
        size_t n = vq_rng_below(&rng, sizeof(word));
        struct vq_text text = {0};
        struct sh_splitter s;
        struct sh_words w;
        for (size_t i = 0; i < n; i++)
            word[i] = some[vq_rng_below(&rng, sizeof(some) - 1)];
        vq_text_puts(&text, "x ");
        sh_split_quote(word, n, &text);
        sh_splitter_init(&s, text.data, text.len);
        assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_OK);
        assert_int_equal(w.n, 2);
        assert_int_equal(w.v[1].len, n);
        assert_memory_equal(w.v[1].text, word, n);
        sh_words_release(&w);
        assert_int_equal(sh_split_next(&s, &w, NULL), SH_SPLIT_END);
        vq_text_release(&text);
    }
}

/* No bytes make it read or write out of bounds, or stand still. */
static void noise(void **state)
{
    (void)state;
    static const char some[] = "a \n;#!\\\"'x4\0";
    struct vq_rng rng;
    vq_rng_init(&rng, 8, 0);
    for (int round = 0; round < 20000; round++) {
        char text[16];
        size_t n = vq_rng_below(&rng, sizeof(text));
        struct vq_text got = {0};
        struct sh_words last;
        for (size_t i = 0; i < n; i++)
            text[i] = some[vq_rng_below(&rng, sizeof(some) - 1)];
        enum sh_split rc = split(text, n, &got, &last, NULL);
        if (rc != SH_SPLIT_END)
            assert_true(last.start < n);
        assert_int_equal(sh_split_is_open(text, n), rc == SH_SPLIT_OPEN);
        vq_text_release(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),  cmocka_unit_test(comments), cmocka_unit_test(system_shell),
        cmocka_unit_test(places), cmocka_unit_test(mistakes), cmocka_unit_test(quoting),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
