/*
 * The shell as a person meets it. A case is a function that returns NULL, or what went wrong, and a
 * row of the table at the end:
 *
 *     static const char *shows_help(struct terminal *t)
 *     {
 *         term_send(t, "help\r");
 *         WANT(term_expect(t, "help COMMAND tells more"), "no help");
 *         return NULL;
 *     }
 *     ... {"shows_help", shows_help, {0}, false},
 *
 * The terminal is open and the first prompt drawn. Wait for the prompt before Ctrl-D: while a
 * command runs, the terminal itself takes it. `pty_test NAME` runs the cases whose name contains
 * NAME, `pty_test -NAME` all others; a failure prints everything the shell drew. Cases that need a
 * model are in model_cases.c.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/pty/case.h"

#define HISTORY ".local/state/vqsh/history"
#define UP      "\x1b[A"

static const char *completes_a_command(struct terminal *t)
{
    term_send(t, "histo\t");
    WANT(term_expect(t, "history "), "TAB did not finish the name");
    term_send(t, "\r");
    WANT(term_expect(t, "text"), "the completed command did not run");
    return NULL;
}

static const char *completes_an_option(struct terminal *t)
{
    term_send(t, "help --mark\t\r");
    WANT(term_expect(t, "| command |"), "the completed option did not work");
    return NULL;
}

static const char *completes_a_choice(struct terminal *t)
{
    term_send(t, "set format jsonl\rset fo\tmar\t\rshow seed\r");
    WANT(term_expect(t, "| seed |"), "the completed value was not set");
    return NULL;
}

/* A script of one command below home; false when it cannot be written. */
static bool write_script(const struct terminal *t, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", t->home, name);
    FILE *f = fopen(path, "w");
    if (f)
        fputs("show seed\n", f);
    return f && fclose(f) == 0;
}

static const char *completes_a_file_name(struct terminal *t)
{
    WANT(write_script(t, "two words.vqsh"), "cannot make a file");
    term_send(t, "source ~/two\t\r");
    WANT(term_expect(t, "default"), "the completed script did not run");
    term_send(t, "source ~/two\\ wo\t\r");
    WANT(term_expect(t, "default"), "an escaped blank stops completion");
    term_send(t, "source \"~/tw\t");
    WANT(term_expect(t, "\"~/two words.vqsh\""), "an open quote stops completion");
    return NULL;
}

/* A quote in a name is escaped between quotes of its own kind. */
static const char *completes_a_quote(struct terminal *t)
{
    static const char *const names[] = {"a\"b c.vqsh", "d'e f.vqsh"};
    for (size_t i = 0; i < 2; i++)
        WANT(write_script(t, names[i]), "cannot make a file");
    term_send(t, "source ~/a\t\r");
    WANT(term_expect(t, "default"), "the completed name is not the file's");
    term_send(t, "source ~/d\t\r");
    WANT(term_expect(t, "default"), "the completed name is not the file's");
    term_send(t, "source \"~/a\t");
    WANT(term_expect(t, "\"~/a\\\"b c.vqsh\""), "a double quote stands between two");
    term_send(t, "\x15source '~/d\t");
    WANT(term_expect(t, "'~/d'\\''e f.vqsh'"), "a single quote stands between two");
    return NULL;
}

static const char *interrupt_clears_the_line(struct terminal *t)
{
    for (int i = 0; i < 3; i++) {
        term_send(t, "garbage");
        WANT(term_expect(t, "garbage"), "typing is not echoed");
        term_send(t, "\x03");
        WANT(term_expect(t, "^C"), "Ctrl-C shows nothing");
        WANT(term_expect(t, "> "), "no prompt after Ctrl-C");
    }
    term_send(t, "\x03\x03\x03");
    WANT(term_absent(t, "Segmentation", 200), "Ctrl-C ended the shell");
    term_send(t, "!echo al''ive\r");
    WANT(term_expect(t, "alive"), "the shell does not go on after Ctrl-C");
    return NULL;
}

#define LOAD "load samples/models/text-small.safetensors\r"

static const char *interrupt_stops_a_command(struct terminal *t)
{
    term_send(t, LOAD);
    WANT(term_expect(t, "vqsh text-small@0> "), "the prompt does not show the model");
    for (int i = 0; i < 3; i++) {
        term_send(t, "sample --length 100M --seed 1\r");
        WANT(term_expect(t, "\r\n"), "the command did not start");
        WANT(term_absent(t, "interrupted", 300), "the command ended by itself");
        term_send(t, "\x03");
        WANT(term_expect(t, "sample: interrupted"), "Ctrl-C did not stop the command");
        WANT(term_expect(t, "vqsh text-small@0> "), "no prompt after the interrupted command");
    }
    term_send(t, "feed --text abc\r");
    WANT(term_expect(t, "vqsh text-small@4> "), "the prompt does not show the position");
    return NULL;
}

static const char *stopping_and_going_on(struct terminal *t)
{
    term_send(t, "show se");
    WANT(term_expect(t, "show se"), "typing is not echoed");
    kill(t->pid, SIGSTOP);
    kill(t->pid, SIGCONT);
    WANT(term_expect(t, "show se"), "the line is not drawn again");
    term_send(t, "ed\r");
    WANT(term_expect(t, "random"), "the line was lost");
    return NULL;
}

static const char *end_of_file_leaves(struct terminal *t)
{
    term_send(t, "\x04");
    WANT(term_wait(t) == 0, "Ctrl-D did not leave with status 0");
    return NULL;
}

static const char *failure_does_not_decide_the_status(struct terminal *t)
{
    term_send(t, "no-such-command\r");
    WANT(term_expect(t, "no command"), "no message");
    term_send(t, "quit\r");
    WANT(term_wait(t) == 0, "an earlier failure decided the status of an interactive session");
    return NULL;
}

static const char *quit_gives_the_status(struct terminal *t)
{
    term_send(t, "quit 7\r");
    WANT(term_wait(t) == 7, "quit 7 did not leave with 7");
    return NULL;
}

/* Three lines between the marks of a bracketed paste. */
#define PASTE "\x1b[200~!echo o''ne\r!echo t''wo\r!echo th''ree\x1b[201~"

static const char *paste_is_one_input(struct terminal *t)
{
    term_send(t, PASTE);
    WANT(term_absent(t, "one\r\n", 300), "pasted lines ran before Enter");
    term_send(t, "\r");
    WANT(term_expect(t, "one\r\ntwo\r\nthree"), "the pasted lines did not run together");
    WANT(term_expect(t, "> "), "no prompt");
    term_send(t, "\x04");
    WANT(term_wait(t) == 0, "the shell did not leave");
    char *history = term_file(t, HISTORY);
    bool same = history && !strcmp(history, "!echo o''ne\\n!echo t''wo\\n!echo th''ree\n");
    free(history);
    WANT(same, "the paste is not one entry of the history");
    return NULL;
}

static const char *up_recalls_a_line(struct terminal *t)
{
    term_send(t, "!echo fi''rst\r");
    WANT(term_expect(t, "first"), "the command did not run");
    WANT(term_expect(t, "> "), "no prompt");
    term_send(t, UP "\r");
    WANT(term_expect(t, "first\r\n"), "the recalled command did not run");
    return NULL;
}

static const char *up_recalls_many_lines(struct terminal *t)
{
    term_send(t, PASTE "\r");
    WANT(term_expect(t, "three\r\n"), "the pasted lines did not run");
    WANT(term_expect(t, "> "), "no prompt");
    term_send(t, UP "\r");
    WANT(term_expect(t, "one\r\ntwo\r\nthree\r\n"), "the recalled lines did not run together");
    return NULL;
}

static const char *history_outlives_the_session(struct terminal *t)
{
    struct terminal again;
    const char *wrong = "the line of the session before was not recalled";
    term_send(t, "!echo fi''rst\r");
    WANT(term_expect(t, "first"), "the command did not run");
    WANT(term_expect(t, "> "), "no prompt");
    term_send(t, "\x04");
    WANT(term_wait(t) == 0, "the shell did not leave");
    if (term_open(&again, &(struct term_options){.home = t->home})) {
        bool prompt = term_expect(&again, "> ");
        term_send(&again, UP "\r");
        if (prompt && term_expect(&again, "first\r\n"))
            wrong = NULL;
    }
    again.home[0] = '\0';
    term_close(&again);
    return wrong;
}

static const char *history_is_private(struct terminal *t)
{
    struct stat st;
    char path[128];
    term_send(t, " !echo se''cret\r");
    WANT(term_expect(t, "secret"), "the command did not run");
    term_send(t, "show seed\r");
    WANT(term_expect(t, "random"), "the command did not run");
    snprintf(path, sizeof(path), "%s/%s", t->home, HISTORY);
    WANT(!stat(path, &st), "there is no history file");
    WANT((st.st_mode & 0777) == 0600, "others can read the history");
    char *history = term_file(t, HISTORY);
    bool same = history && !strcmp(history, "show seed\n");
    free(history);
    WANT(same, "a line that begins with a blank is in the history");
    return NULL;
}

static const char *two_sessions_lose_nothing(struct terminal *t)
{
    struct terminal other;
    bool opened = term_open(&other, &(struct term_options){.home = t->home});
    bool ready = opened && term_expect(&other, "> ");
    term_send(t, "show seed\r");
    term_send(&other, "show width\r");
    bool ran = ready && term_expect(t, "random") && term_expect(&other, "columns") &&
               term_expect(t, "> ") && term_expect(&other, "> ");
    term_send(t, "\x04");
    term_send(&other, "\x04");
    bool left = ran && term_wait(t) == 0 && term_wait(&other) == 0;
    char *history = term_file(t, HISTORY);
    bool both = history && strstr(history, "show seed\n") && strstr(history, "show width\n");
    free(history);
    other.home[0] = '\0';
    term_close(&other);
    WANT(left, "the two sessions did not run");
    WANT(both, "one session's line is not in the history");
    return NULL;
}

static const char *open_quote_asks_for_more(struct terminal *t)
{
    term_send(t, "help \"his\r");
    WANT(term_expect(t, "...> "), "no second prompt");
    term_send(t, "tory\"\r");
    WANT(term_expect(t, "nothing about"), "the input did not end with its quote");
    term_send(t, "help \"his\r");
    WANT(term_expect(t, "...> "), "no second prompt");
    term_send(t, "\x03");
    WANT(term_expect(t, "^C"), "Ctrl-C inside quotes shows nothing");
    WANT(term_expect(t, "vqsh> "), "Ctrl-C inside quotes does not start anew");
    return NULL;
}

static const char *no_colour_when_unwanted(struct terminal *t)
{
    term_send(t, "set\r");
    WANT(term_expect(t, "temperature"), "no settings");
    WANT(term_expect(t, "> "), "no prompt");
    for (const char *p = t->seen; (p = strstr(p, "\x1b[")); p++) {
        size_t n = strspn(p + 2, "0123456789;");
        WANT(p[2 + n] != 'm', "there is colour in spite of NO_COLOR");
    }
    return NULL;
}

static const char *colour_when_possible(struct terminal *t)
{
    term_send(t, "set\r");
    WANT(term_expect(t, "\x1b[1mname"), "headings are not set off");
    return NULL;
}

static const char *narrow_box_fits(struct terminal *t)
{
    term_send(t, "set format box\rset\r");
    WANT(term_expect(t, "\xe2\x94\x98"), "no box");
    size_t columns = 0, from = t->at;
    const char *first = strstr(t->seen, "\xe2\x94\x8c");
    WANT(first, "no box");
    for (const char *p = first; p < t->seen + from; p++) {
        bool starts = ((unsigned char)*p & 0xc0) != 0x80;
        columns = *p == '\r' || *p == '\n' ? 0 : columns + starts;
        WANT(columns <= 20, "a line of the box is wider than the screen");
    }
    return NULL;
}

static const char *long_output_is_paged(struct terminal *t)
{
    term_send(t, "set\r");
    WANT(term_expect(t, "PAGED:"), "the pager did not run");
    WANT(term_expect(t, "> "), "no prompt after the pager");
    term_send(t, "show seed\r");
    WANT(term_expect(t, "random"), "no result");
    WANT(term_absent(t, "PAGED:", 200), "a short result went through the pager");
    term_send(t, "set pager off\rset\r");
    WANT(term_expect(t, "width"), "no settings");
    WANT(term_absent(t, "PAGED:", 200), "the pager ran in spite of pager off");
    return NULL;
}

/* Lines that the terminal wraps count as several. */
static const char *wrapped_output_is_paged(struct terminal *t)
{
    term_send(t, "set format line\rhelp quit\r");
    WANT(term_expect(t, "PAGED:"), "lines wider than the screen were not counted");
    return NULL;
}

/* less only complains there. */
static const char *dumb_terminal_has_no_pager(struct terminal *t)
{
    term_send(t, "help\r");
    WANT(term_expect(t, "help COMMAND tells more"), "no help");
    WANT(term_expect(t, "> "), "no prompt after help: a pager waits");
    return NULL;
}

static const char *closed_pager_is_no_matter(struct terminal *t)
{
    term_send(t, "set\r");
    WANT(term_expect(t, "> "), "no prompt after the pager");
    term_send(t, "!echo al''ive\r");
    WANT(term_expect(t, "alive"), "the shell does not go on");
    return NULL;
}

static const char *termination_keeps_the_history(struct terminal *t)
{
    term_send(t, "show seed\r");
    WANT(term_expect(t, "random"), "no result");
    WANT(term_expect(t, "> "), "no prompt");
    kill(t->pid, SIGTERM);
    WANT(term_wait(t) == 128 + SIGTERM, "SIGTERM did not leave with 143");
    char *history = term_file(t, HISTORY);
    bool same = history && !strcmp(history, "show seed\n");
    free(history);
    WANT(same, "the history was lost");
    return NULL;
}

static const char *init_file_is_run(struct terminal *t)
{
    char path[160];
    struct terminal again;
    const char *wrong = "a failing line of init.vqsh ended it, or was not reported";
    snprintf(path, sizeof(path), "%s/.config", t->home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.config/vqsh", t->home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.config/vqsh/init.vqsh", t->home);
    FILE *f = fopen(path, "w");
    WANT(f, "cannot make init.vqsh");
    fputs("no-such-thing\nset seed 99\n", f);
    fclose(f);
    if (term_open(&again, &(struct term_options){.home = t->home})) {
        bool told = term_expect(&again, "init.vqsh:1: no command");
        term_send(&again, "show seed\r");
        if (told && term_expect(&again, "99"))
            wrong = NULL;
    }
    again.home[0] = '\0';
    term_close(&again);
    return wrong;
}

/* Runs the shell on this terminal with stdout in a pipe; what it wrote there. */
static size_t piped(const char *command, char *buf, size_t size)
{
    FILE *p = popen(command, "r");
    size_t n = p ? fread(buf, 1, size - 1, p) : 0;
    buf[n] = '\0';
    if (p)
        pclose(p);
    return n;
}

static const char *pipe_gets_no_escapes(struct terminal *t)
{
    char command[512], buf[1 << 16];
    const char *shell = getenv("VQSH");
    snprintf(command, sizeof(command),
             "echo set | script -qec 'HOME=%s TERM=xterm-256color %s --no-log | cat' /dev/null",
             t->home, shell ? shell : "./vqsh");
    WANT(piped(command, buf, sizeof(buf)) > 100, "no output");
    WANT(strstr(buf, "temperature"), "no settings");
    WANT(!strchr(buf, '\x1b'), "there are escape sequences in the pipe");
    WANT(!strstr(buf, "vqsh>"), "there is a prompt in the pipe");
    return NULL;
}

static const char *const colour_env[] = {"NO_COLOR=", NULL};
static const char *const pager_env[] = {"VQSH_PAGER=sed s/^/PAGED:/", NULL};
static const char *const dumb_env[] = {"TERM=dumb", NULL};
static const char *const closed_env[] = {"VQSH_PAGER=true", NULL};

static const struct pty_case cases[] = {
    {"completes_a_command", completes_a_command, {0}, true},
    {"completes_an_option", completes_an_option, {.rows = 100}, true},
    {"completes_a_choice", completes_a_choice, {0}, true},
    {"completes_a_file_name", completes_a_file_name, {0}, true},
    {"completes_a_quote", completes_a_quote, {0}, true},
    {"interrupt_clears_the_line", interrupt_clears_the_line, {0}, false},
    {"interrupt_stops_a_command", interrupt_stops_a_command, {0}, false},
    {"stopping_and_going_on", stopping_and_going_on, {0}, true},
    {"end_of_file_leaves", end_of_file_leaves, {0}, false},
    {"failure_does_not_decide_the_status", failure_does_not_decide_the_status, {0}, false},
    {"quit_gives_the_status", quit_gives_the_status, {0}, false},
    {"paste_is_one_input", paste_is_one_input, {0}, true},
    {"up_recalls_a_line", up_recalls_a_line, {0}, true},
    {"up_recalls_many_lines", up_recalls_many_lines, {0}, true},
    {"history_outlives_the_session", history_outlives_the_session, {0}, true},
    {"history_is_private", history_is_private, {0}, false},
    {"two_sessions_lose_nothing", two_sessions_lose_nothing, {0}, false},
    {"open_quote_asks_for_more", open_quote_asks_for_more, {0}, false},
    {"no_colour_when_unwanted", no_colour_when_unwanted, {0}, false},
    {"colour_when_possible", colour_when_possible, {.env = colour_env}, false},
    {"narrow_box_fits", narrow_box_fits, {.rows = 400, .columns = 20}, false},
    {"long_output_is_paged", long_output_is_paged, {.rows = 10, .env = pager_env}, false},
    {"wrapped_output_is_paged",
     wrapped_output_is_paged,
     {.rows = 8, .columns = 20, .env = pager_env},
     false},
    {"dumb_terminal_has_no_pager",
     dumb_terminal_has_no_pager,
     {.rows = 10, .env = dumb_env},
     false},
    {"closed_pager_is_no_matter",
     closed_pager_is_no_matter,
     {.rows = 10, .env = closed_env},
     false},
    {"termination_keeps_the_history", termination_keeps_the_history, {0}, false},
    {"init_file_is_run", init_file_is_run, {0}, false},
    {"pipe_gets_no_escapes", pipe_gets_no_escapes, {0}, false},
    {NULL, NULL, {0}, false},
};

/* Prints what was drawn with control characters made visible. */
static void print_seen(const struct terminal *t)
{
    for (size_t i = 0; i < t->n_seen; i++) {
        unsigned char c = (unsigned char)t->seen[i];
        if (c == '\n' || (c >= ' ' && c != 0x7f))
            putchar(c);
        else if (c != '\r')
            printf("\\x%02x", c);
    }
    putchar('\n');
}

static bool run_case(const struct pty_case *c)
{
    struct terminal t;
    const char *wrong = "the shell did not start";
    if (term_open(&t, &c->options) && term_expect(&t, "> "))
        wrong = c->run(&t);
    printf("%s %s%s%s\n", wrong ? "FAIL" : "ok  ", c->name, wrong ? ": " : "", wrong ? wrong : "");
    if (wrong)
        print_seen(&t);
    fflush(stdout);
    term_close(&t);
    return !wrong;
}

static bool chosen(const char *name, const char *filter)
{
    if (!filter)
        return true;
    return *filter == '-' ? !strstr(name, filter + 1) : strstr(name, filter) != NULL;
}

/* The cases of a table that the filter chooses; counts them. */
static void run_table(const struct pty_case *c, const char *filter, size_t *ran, size_t *passed)
{
    for (; c->name; c++) {
        if (!chosen(c->name, filter))
            continue;
        if (c->editing && !VQ_READLINE) {
            printf("skip %s: built without readline\n", c->name);
            continue;
        }
        ++*ran;
        *passed += run_case(c);
    }
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : NULL;
    size_t ran = 0, passed = 0;
    signal(SIGPIPE, SIG_IGN);
    run_table(cases, filter, &ran, &passed);
    run_table(model_cases, filter, &ran, &passed);
    printf("pty: %zu of %zu passed\n", passed, ran);
    return passed == ran && ran ? 0 : 1;
}
