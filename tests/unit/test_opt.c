/* Options and arguments as commands get them; names of modules; settings; and the command table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/modlist.h"
#include "repl/split.h"
#include "tests/unit/shell.h"

static const struct sh_opt opts[] = {
    {.name = "length", .letter = 'n', .kind = SH_INT, .def = "64", .min = 1, .max = 1e6},
    {.name = "k", .kind = SH_INT, .min = 1, .max = -1},
    {.name = "temperature", .kind = SH_REAL, .def = "1", .min = 0, .max = 100},
    {.name = "seed", .kind = SH_SEED},
    {.name = "stats", .kind = SH_FLAG},
    {.name = "weights", .kind = SH_CHOICE, .choices = "f32 bf16 int8"},
    {.name = "set", .kind = SH_PAIR, .many = true},
    {.name = "text", .kind = SH_TEXT},
    {.name = "file", .kind = SH_PATH},
    {.name = "live", .kind = SH_ONOFF},
    SH_OPT_END,
};

static const struct sh_cmd cmd = {
    .name = "try",
    .args = "PLACE [MORE ...]",
    .summary = "be tried",
    .min_args = 1,
    .max_args = 3,
    .kinds = {SH_POSITION, SH_TEXT},
    .opts = opts,
};

/* One line parsed against cmd. */
struct parsed {
    struct shell s;
    struct sh_words w;
    struct sh_args a;
    enum sh_rc rc;
};

static void parse(struct parsed *p, const char *line)
{
    struct sh_splitter sp;
    shell_open(&p->s);
    sh_splitter_init(&sp, line, strlen(line));
    assert_int_equal(sh_split_next(&sp, &p->w, NULL), SH_SPLIT_OK);
    p->s.sh.text = line;
    p->s.sh.text_size = strlen(line);
    p->s.sh.words = &p->w;
    p->s.sh.cmd = &cmd;
    p->rc = sh_args_parse(&p->s.sh, &cmd, &p->w, &p->a);
}

static void done(struct parsed *p)
{
    if (p->rc == SH_OK)
        sh_args_release(&p->a);
    sh_words_release(&p->w);
    shell_close(&p->s);
}

static void defaults(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "try -1");
    assert_int_equal(p.rc, SH_OK);
    assert_int_equal(sh_arg_count(&p.a), 1);
    assert_int_equal(sh_arg_value(&p.a, 0)->i, -1);
    assert_null(sh_arg(&p.a, 1));
    assert_int_equal(sh_opt_int(&p.a, "length"), 64);
    assert_false(sh_opt_given(&p.a, "length"));
    assert_true(sh_opt_real(&p.a, "temperature") == 1.0);
    assert_int_equal(sh_opt_int(&p.a, "k"), 0);
    assert_null(sh_opt_text(&p.a, "weights"));
    assert_null(sh_opt_seed(&p.a, "seed"));
    assert_false(sh_opt_flag(&p.a, "stats"));
    assert_int_equal(sh_opt_count(&p.a, "set"), 0);
    done(&p);
}

static void values(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "try --length 5 2 --temperature=-0 --seed 18446744073709551615 --stats x "
              "--weights bf16 --set a=1 --set b=2=3 --text=\"--odd one\" -- --y");
    assert_int_equal(p.rc, SH_OK);
    assert_int_equal(sh_opt_int(&p.a, "length"), 5);
    assert_true(sh_opt_given(&p.a, "length"));
    assert_true(sh_opt_real(&p.a, "temperature") == 0.0);
    assert_true(*sh_opt_seed(&p.a, "seed") == UINT64_MAX);
    assert_true(sh_opt_flag(&p.a, "stats"));
    assert_string_equal(sh_opt_text(&p.a, "weights"), "bf16");
    assert_int_equal(sh_opt_count(&p.a, "set"), 2);
    assert_string_equal(sh_opt_nth(&p.a, "set", 0), "a=1");
    assert_string_equal(sh_opt_nth(&p.a, "set", 1), "b=2=3");
    assert_null(sh_opt_nth(&p.a, "set", 2));
    assert_string_equal(sh_opt_text(&p.a, "text"), "--odd one");
    assert_int_equal(sh_arg_count(&p.a), 3);
    assert_int_equal(sh_arg_value(&p.a, 0)->i, 2);
    assert_string_equal(sh_arg(&p.a, 1), "x");
    assert_string_equal(sh_arg(&p.a, 2), "--y");
    assert_int_equal(sh_arg_word(&p.a, 1), 8);
    size_t n;
    const char **all = sh_opt_all(&p.a, "set", &n);
    assert_int_equal(n, 2);
    assert_string_equal(all[1], "b=2=3");
    free(all);
    done(&p);
}

static void forms(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "try -n 5 -k7 .5x --stats --no-stats --length=2K '--quoted' --text '-x' --live off");
    assert_int_equal(p.rc, SH_USAGE); /* .5x is no position */
    done(&p);
    parse(&p, "try -n 5 -k7 1 --stats --no-stats --length=2K '--quoted' --text '-x' --live off");
    assert_int_equal(p.rc, SH_OK);
    assert_int_equal(sh_opt_int(&p.a, "length"), 2000);
    assert_int_equal(sh_opt_int(&p.a, "k"), 7);
    assert_false(sh_opt_flag(&p.a, "stats"));
    assert_true(sh_opt_given(&p.a, "stats"));
    assert_string_equal(sh_arg(&p.a, 1), "--quoted");
    assert_string_equal(sh_opt_text(&p.a, "text"), "-x");
    assert_false(sh_opt_value(&p.a, "live")->flag);
    done(&p);
}

static void home_folder(void **state)
{
    (void)state;
    struct parsed p;
    setenv("HOME", "/home/some one", 1);
    parse(&p, "try 0 --file ~/x");
    assert_string_equal(sh_opt_text(&p.a, "file"), "/home/some one/x");
    done(&p);
    parse(&p, "try 0 --file=~/x");
    assert_string_equal(sh_opt_text(&p.a, "file"), "/home/some one/x");
    done(&p);
    parse(&p, "try 0 --file '~/x'");
    assert_string_equal(sh_opt_text(&p.a, "file"), "~/x");
    done(&p);
    parse(&p, "try 0 --file ~x/y");
    assert_string_equal(sh_opt_text(&p.a, "file"), "~x/y");
    done(&p);
}

/* The message holds `why`, and the caret stands in column `caret` (from 1) of the line. */
static void refused(const char *line, const char *why, size_t caret)
{
    struct parsed p;
    char mark[128];
    parse(&p, line);
    const char *said = shell_said(&p.s);
    snprintf(mark, sizeof(mark), "\n  %s\n  %*s^\n", line, (int)caret - 1, "");
    if (p.rc != SH_USAGE || !strstr(said, why) || !strstr(said, mark))
        fail_msg("%s\n rc %d says %s", line, p.rc, said);
    done(&p);
}

static void mistakes(void **state)
{
    (void)state;
    refused("try", "usage: try PLACE", 4);
    refused("try 1 2 3 4", "one argument too many", 11);
    refused("try x", "expected a whole number, found 'x'", 5);
    refused("try 1 --lenght 3", "no option --lenght: did you mean --length?", 7);
    refused("try 1 --zzzzz", "no option --zzzzz: see help try", 7);
    refused("try 1 -z", "no option -z", 7);
    refused("try 1 --len 3", "did you mean", 7);
    refused("try 1 --length", "--length needs a value: N", 7);
    refused("try 1 --length --stats", "--length needs a value", 16);
    refused("try 1 --length 0", "a whole number from 1 to 1000000, not '0'", 16);
    refused("try 1 --length=0", "a whole number from 1 to 1000000, not '0'", 16);
    refused("try 1 --length 1e3", "a whole number", 16);
    refused("try 1 -k 0", "at least 1", 10);
    refused("try 1 --temperature 1,5", "a number, not '1,5'", 21);
    refused("try 1 --temperature nan", "a number", 21);
    refused("try 1 --temperature 0x10", "a number", 21);
    refused("try 1 --seed -1", "from 0 to 2^64 - 1", 14);
    refused("try 1 --seed 18446744073709551616", "from 0 to 2^64 - 1", 14);
    refused("try 1 --stats=1", "takes no value", 7);
    refused("try 1 --weights f16", "one of: f32 bf16 int8, not 'f16'", 17);
    refused("try 1 --weights bf", "one of: f32 bf16 int8", 17);
    refused("try 1 --set a", "key=value", 13);
    refused("try 1 --live perhaps", "on or off", 14);
    refused("try 1 --file ''", "the name of a file", 14);
    refused("try \xc3\xa9\xc3\xa9 --zzzzz", "expected a whole number", 5);
}

static void numbers(void **state)
{
    (void)state;
    int64_t i = 0;
    uint64_t u = 0;
    double d = 0;
    assert_true(sh_parse_int("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(sh_parse_int("9223372036854775807", &i) && i == INT64_MAX);
    assert_true(sh_parse_int("-2M", &i) && i == -2000000);
    assert_true(sh_parse_int("+3g", &i) && i == INT64_C(3000000000));
    assert_false(sh_parse_int("9223372036854775808", &i));
    assert_false(sh_parse_int("9223372036854775807K", &i));
    assert_false(sh_parse_int("", &i) || sh_parse_int("K", &i) || sh_parse_int("-", &i));
    assert_false(sh_parse_int("1 ", &i) || sh_parse_int(" 1", &i) || sh_parse_int("1KK", &i));
    assert_false(sh_parse_int("--1", &i) || sh_parse_int("0x1", &i) || sh_parse_int("1.0", &i));
    assert_true(sh_parse_seed("0xffffffffffffffff", &u) && u == UINT64_MAX);
    assert_false(sh_parse_seed("0x", &u) || sh_parse_seed("0x1g", &u) || sh_parse_seed("", &u));
    assert_false(sh_parse_seed("-1", &u) || sh_parse_seed("+1", &u));
    /* Another decimal point in the locale changes nothing. */
    setlocale(LC_NUMERIC, "de_DE.UTF-8");
    assert_true(sh_parse_real("-1.5e1", &d) && d == -15.0);
    assert_false(sh_parse_real("1,5", &d));
    setlocale(LC_NUMERIC, "C");
}

static void as_json(void **state)
{
    (void)state;
    struct parsed p;
    struct vq_text t = {0};
    parse(&p, "try 3 --set a=1 -k 2 --set b=\"q\\\"\" --stats --temperature 0.5 'x y'");
    sh_args_to_json(&p.a, &t);
    assert_string_equal(t.data, "{\"k\":2,\"temperature\":0.5,\"stats\":true,"
                                "\"set\":[\"a=1\",\"b=q\\\"\"],\"args\":[3,\"x y\"]}");
    vq_text_release(&t);
    done(&p);
}

/* "module:head ..." of a list for 4 layers and 2 heads. */
static void modules_are(const char *text, const char *expected)
{
    struct vq_text got = {0};
    struct sh_mod *mods;
    struct vq_err err = {0};
    size_t n;
    if (sh_modlist_parse(text, 4, 2, &mods, &n, NULL, &err))
        fail_msg("%s: %s", text, err.msg);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        vq_text_printf(&got, "%s%s", i ? " " : "",
                       sh_module_name(mods[i].module, mods[i].head, name));
    }
    free(mods);
    assert_string_equal(got.data, expected);
    vq_text_release(&got);
}

static void module_lists(void **state)
{
    (void)state;
    modules_are("0.1", "0.1");
    modules_are("0.1,2.2", "0.1 2.2");
    modules_are("3", "3.1 3.2");
    modules_are("0-1", "0.1 0.2 1.1 1.2");
    modules_are("0.2-2.1", "0.2 1.1 1.2 2.1");
    modules_are("1-2.1", "1.1 1.2 2.1");
    modules_are("all", "0.1 0.2 1.1 1.2 2.1 2.2 3.1 3.2");
    modules_are("3.2:0", "3.2:0");
    modules_are("3:1,0.1", "3.1:1 3.2:1 0.1");
    modules_are("0.1,0,0.1", "0.1 0.2");
}

static void module_mistake(const char *text, const char *why, size_t at)
{
    struct sh_mod *mods;
    struct vq_err err = {0};
    size_t n, bad = 999;
    enum vq_status status = sh_modlist_parse(text, 4, 2, &mods, &n, &bad, &err);
    assert_null(mods);
    if (status != VQ_EINVAL || !strstr(err.msg, why) || bad != at)
        fail_msg("%s: %d at %zu: %s", text, status, bad, err.msg);
}

static void module_mistakes(void **state)
{
    (void)state;
    module_mistake("", "expected a module", 0);
    module_mistake("4", "no layer 4: the model has layers 0 to 3", 0);
    module_mistake("0.3", "1 or 2", 2);
    module_mistake("0.", "1 or 2", 2);
    module_mistake("0.1,", "expected a module", 4);
    module_mistake("0.1:2", "no head 2: the model has heads 0 to 1", 4);
    module_mistake("0.1:", "number of a head", 4);
    module_mistake("2-1", "ends before it begins", 2);
    module_mistake("0.1x", "expected ','", 3);
    module_mistake("-1", "expected a module", 0);
    module_mistake("99999999999999999999", "no layer 999999", 0);
}

static void settings(void **state)
{
    (void)state;
    struct shell s;
    struct vq_err err = {0};
    char text[64];
    shell_open(&s);
    /* Every default is a value that `set` takes and that reads back the same. */
    for (size_t i = 0; i < sh_setting_count(); i++) {
        const struct sh_setting *st = sh_setting_at(i);
        assert_string_equal(sh_setting_text(&s.sh, st, text, sizeof(text)), st->def);
        if (sh_setting_set(&s.sh, st->name, st->def, &err))
            fail_msg("%s: %s", st->name, err.msg);
        assert_true(st->help && strlen(st->help) <= 72);
        assert_true(i == 0 || strcmp(sh_setting_at(i - 1)->name, st->name) < 0);
    }
    assert_int_equal(sh_setting_set(&s.sh, "threads", "257", &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "0 to 256"));
    assert_int_equal(sh_setting_set(&s.sh, "thread", "1", &err), VQ_ENOTFOUND);
    assert_non_null(strstr(err.msg, "did you mean threads?"));
    assert_int_equal(sh_setting_set(&s.sh, "format", "xml", &err), VQ_EINVAL);
    assert_int_equal(sh_setting_set(&s.sh, "top-p", "1.5", &err), VQ_EINVAL);
    assert_int_equal(sh_setting_set(&s.sh, "seed", "-3", &err), VQ_EINVAL);
    assert_int_equal(sh_setting_set(&s.sh, "gemm", "nothing", &err), VQ_EINVAL);
    assert_int_equal(sh_setting_set(&s.sh, "seed", "42", &err), VQ_OK);
    assert_int_equal(sh_seed(&s.sh, NULL), 42);
    assert_int_equal(sh_seed(&s.sh, &(uint64_t){7}), 7);
    shell_close(&s);
}

static bool has_group(const char *name)
{
    for (const char *const *g = sh_cmd_groups(); *g; g++) {
        if (!strcmp(*g, name))
            return true;
    }
    return false;
}

static void check_options(const struct sh_cmd *c, struct shell *s)
{
    for (const struct sh_opt *o = c->opts; o && o->name; o++) {
        struct sh_value v;
        assert_true(o->help && *o->help);
        if (strlen(o->help) > 72)
            fail_msg("%s --%s: help of %zu characters", c->name, o->name, strlen(o->help));
        assert_int_equal(o->kind == SH_CHOICE, o->choices != NULL);
        for (const struct sh_opt *other = c->opts; other < o; other++) {
            assert_string_not_equal(other->name, o->name);
            assert_true(!o->letter || other->letter != o->letter);
        }
        if (!o->def || o->kind == SH_MODULES || o->kind == SH_MODULE)
            continue;
        if (sh_value_parse(&s->sh, c, o->kind, o, o->def, -1, 0, &v) != SH_OK)
            fail_msg("%s --%s: default %s", c->name, o->name, o->def);
        sh_value_release(&v);
    }
}

/* One command of an example parses; the shipped model is loaded. */
static void check_example(struct shell *s, const char *line, const struct sh_words *w)
{
    struct sh_args a;
    const struct sh_cmd *c = sh_cmd_find(w->v[0].text);
    if (!c)
        fail_msg("no command: %s", line);
    s->sh.text = line;
    s->sh.text_size = strlen(line);
    s->sh.words = w;
    shell_clear(s);
    if (sh_args_parse(&s->sh, c, w, &a) != SH_OK)
        fail_msg("example %s: %s", line, shell_said(s));
    sh_args_release(&a);
    s->sh.words = NULL;
    s->sh.text = NULL;
}

static void check_examples(const struct sh_cmd *c, struct shell *s)
{
    for (const char *const *e = c->examples; e && *e; e++) {
        struct sh_splitter sp;
        struct sh_words w;
        enum sh_split rc;
        sh_splitter_init(&sp, *e, strlen(*e));
        while ((rc = sh_split_next(&sp, &w, NULL)) == SH_SPLIT_OK) {
            if (!w.shell)
                check_example(s, *e, &w);
            sh_words_release(&w);
        }
        assert_int_equal(rc, SH_SPLIT_END);
    }
}

static void table(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    assert_int_equal(shell_run(&s, "load samples/models/text-small.safetensors"), SH_OK);
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *c = sh_cmd_at(i);
        assert_ptr_equal(sh_cmd_find(c->name), c);
        assert_non_null(c->run);
        assert_non_null(c->args);
        if (!c->summary || strlen(c->summary) > 72 || strchr(c->summary, '.') || !*c->summary)
            fail_msg("%s: summary \"%s\"", c->name, c->summary);
        if (!has_group(c->group))
            fail_msg("%s: group %s", c->name, c->group);
        assert_true(c->max_args < 0 || c->max_args >= c->min_args);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(sh_cmd_at(j)->name, c->name);
        check_options(c, &s);
        check_examples(c, &s);
    }
    shell_close(&s);
}

/* Each command answers help, and says how it is used when called with too much. */
static void every_command_helps(void **state)
{
    (void)state;
    struct shell s;
    char line[512];
    shell_open(&s);
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *c = sh_cmd_at(i);
        char usage[256];
        sh_cmd_usage(c, usage, sizeof(usage));
        snprintf(line, sizeof(line), "help %s", c->name);
        assert_int_equal(shell_run(&s, line), SH_OK);
        assert_memory_equal(shell_out(&s), usage, strlen(usage));
        assert_non_null(strstr(shell_out(&s), c->summary + 1));
        if (c->flags & SH_RAW)
            continue;
        snprintf(line, sizeof(line), "%s --no-such-option-at-all", c->name);
        assert_int_not_equal(shell_run(&s, line), SH_OK);
        assert_true(*shell_said(&s));
    }
    shell_close(&s);
}

static void dispatch(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    assert_int_equal(shell_run(&s, "hlep"), SH_USAGE);
    assert_string_equal(shell_said(&s),
                        "vqsh: no command 'hlep': did you mean help?\n  hlep\n  ^\n");
    assert_int_equal(shell_run(&s, "histor"), SH_USAGE); /* abbreviations at the prompt only */
    s.sh.interactive = true;
    assert_int_equal(shell_run(&s, "histor"), SH_OK);
    assert_int_equal(shell_run(&s, "h"), SH_USAGE); /* help or history? */
    s.sh.interactive = false;
    assert_int_equal(shell_run(&s, "show seed; nothing; show width"), SH_USAGE);
    assert_non_null(strstr(shell_out(&s), "seed"));
    assert_null(strstr(shell_out(&s), "width"));
    s.sh.keep_going = true;
    assert_int_equal(shell_run(&s, "show seed; nothing; show width"), SH_USAGE);
    assert_non_null(strstr(shell_out(&s), "width"));
    assert_int_equal(shell_run(&s, "quit 3; show seed"), SH_QUIT);
    assert_string_equal(shell_out(&s), "");
    assert_int_equal(s.sh.exit_code, 3);
    shell_close(&s);
}

/* Messages name the script and the line, and never carry terminal sequences. */
static void messages(void **state)
{
    (void)state;
    struct shell s;
    char path[] = "/tmp/vqsh-test-XXXXXX", expected[256];
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_non_null(f);
    fputs("show seed\n\nset seed \"a\\x1b[31m\n\"; show\n", f);
    fclose(f);
    shell_open(&s);
    assert_int_equal(sh_exec_file(&s.sh, path), SH_USAGE);
    snprintf(expected, sizeof(expected), "%s:3: set: seed takes", path);
    assert_memory_equal(shell_said(&s), expected, strlen(expected));
    assert_null(strchr(shell_said(&s), '\x1b'));
    assert_non_null(strstr(shell_said(&s), "a\\x1b[31m"));
    shell_clear(&s);
    assert_int_equal(sh_exec_file(&s.sh, "/nonexistent/x"), SH_ERR);
    assert_non_null(strstr(shell_said(&s), "/nonexistent/x: No such file"));
    remove(path);
    shell_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),        cmocka_unit_test(values),
        cmocka_unit_test(forms),           cmocka_unit_test(home_folder),
        cmocka_unit_test(mistakes),        cmocka_unit_test(numbers),
        cmocka_unit_test(as_json),         cmocka_unit_test(module_lists),
        cmocka_unit_test(module_mistakes), cmocka_unit_test(settings),
        cmocka_unit_test(table),           cmocka_unit_test(every_command_helps),
        cmocka_unit_test(dispatch),        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
