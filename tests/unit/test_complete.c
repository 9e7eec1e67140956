/* Completion as pairs: a line, and what may stand at its end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/complete.h"
#include "tests/unit/shell.h"

/* The candidates joined by blanks. */
static char *candidates(struct shell *s, const char *line, size_t *start)
{
    struct sh_candidates c;
    struct vq_text t = {0};
    vq_text_puts(&t, "");
    assert_true(sh_complete(&s->sh, line, strlen(line), &c));
    for (size_t i = 0; i < c.n; i++)
        vq_text_printf(&t, "%s%s", i ? " " : "", c.v[i]);
    *start = c.start;
    sh_candidates_release(&c);
    return t.data;
}

static void check(struct shell *s, const char *line, const char *expected, size_t start)
{
    size_t at;
    char *got = candidates(s, line, &at);
    if (strcmp(got, expected) != 0 || at != start)
        fail_msg("\"%s\"\n gives %s at %zu\n not   %s at %zu", line, got, at, expected, start);
    free(got);
}

static void words(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    check(&s, "hist", "history", 0);
    check(&s, "  hist", "history", 2);
    check(&s, "show seed; hist", "history", 11);
    check(&s, "show seed;hist", "history", 10);
    check(&s, "show seed\nhist", "history", 10);
    check(&s, "zzz", "", 0);
    check(&s, "zzz ", "", 4);
    check(&s, "!hist", "", 5);
    check(&s, "help hist", "history", 5);
    check(&s, "# hist", "", 6);
    shell_close(&s);
}

static void options(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    check(&s, "help --m", "--markdown", 5);
    check(&s, "history --", "--clear", 8);
    check(&s, "history --clear --", "", 16);
    check(&s, "history 10 -", "--clear", 11);
    check(&s, "history '--", "", 8);
    shell_close(&s);
}

static void values(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    check(&s, "set top", "top-k top-p", 4);
    check(&s, "set format js", "json jsonl", 11);
    check(&s, "set timing ", "on off", 11);
    check(&s, "set seed ", "random", 9);
    check(&s, "set format json ", "", 16);
    check(&s, "set nothing ", "", 12);
    check(&s, "timing o", "on off", 7);
    check(&s, "set \"top", "top-k top-p", 4);
    check(&s, "set 'top", "top-k top-p", 4);
    check(&s, "set \\\ntop", "top-k top-p", 6);
    shell_close(&s);
}

static void touch(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void files(void **state)
{
    (void)state;
    struct shell s;
    char folder[] = "/tmp/vqsh-test-XXXXXX", line[256], expected[512];
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof(line), "%s/sub", folder);
    mkdir(line, 0700);
    touch(folder, "some file");
    touch(folder, "summer");
    touch(folder, ".hidden");
    shell_open(&s);
    snprintf(line, sizeof(line), "source %s/", folder);
    snprintf(expected, sizeof(expected), "%s/some file %s/sub/ %s/summer", folder, folder, folder);
    check(&s, line, expected, 7);
    snprintf(line, sizeof(line), "source %s/.", folder);
    snprintf(expected, sizeof(expected), "%s/.hidden", folder);
    check(&s, line, expected, 7);
    snprintf(line, sizeof(line), "source \"%s/some f", folder);
    snprintf(expected, sizeof(expected), "%s/some file", folder);
    check(&s, line, expected, 7);
    setenv("HOME", folder, 1);
    check(&s, "source ~/summ", "~/summer", 7);
    check(&s, "source /nonexistent/", "", 7);
    shell_close(&s);
    snprintf(line, sizeof(line), "rm -r '%s'", folder);
    assert_int_equal(system(line), 0);
}

/* What only a loaded model can tell. */
static void models(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    check(&s, "load --preset enw", "enwik8", 14);
    check(&s, "load --preset=enw", "--preset=enwik8", 5);
    check(&s, "load x --weights b", "bf16", 17);
    check(&s, "load x --set n_h", "n_head=", 13);
    check(&s, "load x --set optimizer=adam", "optimizer=adamw", 13);
    check(&s, "tensors tr", "", 8);
    check(&s, "codebook 0", "", 9);
    assert_int_equal(shell_run(&s, "load samples/models/text-small.safetensors"), SH_OK);
    assert_int_equal(shell_run(&s, "load samples/models/text-small.safetensors; set format plain"),
                     SH_OK);
    check(&s, "use te", "text-small text-small-2", 4);
    check(&s, "tensors transformer_layers_1/",
          "transformer_layers_1/scanned_attn1/ transformer_layers_1/scanned_attn2/", 8);
    check(&s, "tensors transformer_layers_1.scanned_attn2.res",
          "transformer_layers_1.scanned_attn2.res_proj/", 8);
    check(&s, "codebook 0.", "0.1 0.2", 9);
    check(&s, "codebook 0.1,2.", "0.1,2.1 0.1,2.2", 9);
    check(&s, "codebook 1.1:", "1.1:0", 9);
    shell_close(&s);
}

/* Every command that is shown completes itself. */
static void commands(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *c = sh_cmd_at(i);
        size_t at;
        char *got = candidates(&s, c->name, &at);
        bool first = !strncmp(got, c->name, strlen(c->name)) || strstr(got, c->name);
        assert_int_equal(first, !(c->flags & SH_HIDDEN));
        free(got);
    }
    shell_close(&s);
}

static void command(void **state)
{
    (void)state;
    struct shell s;
    shell_open(&s);
    assert_int_equal(shell_run(&s, "complete set top"), SH_OK);
    assert_string_equal(shell_out(&s), "top-k\ntop-p\n");
    assert_int_equal(shell_run(&s, "complete 'timing '"), SH_OK);
    assert_string_equal(shell_out(&s), "on\noff\n");
    shell_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),   cmocka_unit_test(options),  cmocka_unit_test(values),
        cmocka_unit_test(files),   cmocka_unit_test(commands), cmocka_unit_test(models),
        cmocka_unit_test(command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
