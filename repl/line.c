#include "repl/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if VQ_READLINE
#include <readline/history.h>
#include <readline/readline.h>
#endif

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/complete.h"
#include "repl/history.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/signals.h"
#include "repl/split.h"

static void colour(struct vq_text *p, const struct sh *sh, const char *code)
{
    /* \001 and \002 tell readline that what is between takes no room. */
    if (sh_out_colour(sh))
        vq_text_printf(p, VQ_READLINE ? "\001\x1b[%sm\002" : "\x1b[%sm", code);
}

/* "vqsh text-small@128> ", or the same width of dots when an input goes on. */
static void prompt(const struct sh *sh, bool more, struct vq_text *p)
{
    const struct sh_model *m = sh_model_current(sh);
    if (more) {
        vq_text_puts(p, "...> ");
        return;
    }
    colour(p, sh, "1");
    vq_text_puts(p, "vqsh");
    colour(p, sh, "0");
    if (m) {
        colour(p, sh, "36");
        vq_text_printf(p, " %s", m->name);
        colour(p, sh, "0");
        vq_text_printf(p, "@%lld", (long long)sh_model_position(m));
    }
    vq_text_puts(p, "> ");
}

enum got { GOT_LINE, GOT_EOF, GOT_SIGNAL };

#if VQ_READLINE

/* readline hands no user data to its callbacks, so what they need is here. */
static struct sh *session;
static char *got_line;
static bool got, at_end;
static const char *before; /* the lines of this input already read */
static struct sh_candidates candidates;
static size_t candidate;

static void on_line(char *line)
{
    rl_callback_handler_remove();
    got = true;
    at_end = !line;
    got_line = line;
}

/* Takes back a half-typed line after Ctrl-C. */
static void abandon(void)
{
    rl_point = rl_end;
    rl_redisplay();
    fputs(sh_signals_ending() ? "" : "^C", stdout);
    fflush(stdout);
    rl_callback_sigcleanup();
    rl_free_line_state();
    rl_replace_line("", 0);
    rl_callback_handler_remove();
    fputs("\n", stdout);
    fflush(stdout);
}

static enum got read_line(const char *ask, char **line)
{
    got = false;
    rl_callback_handler_install(ask, on_line);
    while (!got) {
        if (sh_signals_wait(STDIN_FILENO)) {
            rl_callback_read_char();
        } else if (sh_signals_continued()) {
            rl_prep_terminal(1);
            rl_forced_update_display();
        } else {
            abandon();
            return GOT_SIGNAL;
        }
    }
    *line = got_line;
    return at_end ? GOT_EOF : GOT_LINE;
}

static char *next_candidate(const char *text, int state)
{
    (void)text;
    if (!state)
        candidate = 0;
    return candidate < candidates.n ? strdup(candidates.v[candidate++]) : NULL;
}

/* The candidates of complete.c in the form readline wants them. */
static char **complete(const char *text, int start, int end)
{
    struct vq_text whole = {0};
    (void)start;
    rl_attempted_completion_over = 1;
    vq_text_puts(&whole, before);
    size_t shift = whole.len;
    vq_text_put(&whole, rl_line_buffer, (size_t)end);
    sh_candidates_release(&candidates);
    bool ok = !whole.failed &&
              sh_complete(session, whole.data ? whole.data : "", shift + (size_t)end, &candidates);
    vq_text_release(&whole);
    if (!ok || !candidates.n)
        return NULL;
    rl_filename_completion_desired = candidates.is_path;
    rl_completion_suppress_append = candidates.no_space;
    return rl_completion_matches(text, next_candidate);
}

/* Is this quote or blank part of a word? readline asks when it looks for the word's beginning. */
static int is_quoted(char *line, int at)
{
    int backslashes = 0;
    while (at > backslashes && line[at - 1 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2;
}

/* A finished word as it must be typed. */
static char *quote(char *text, int match, char *open_quote)
{
    struct vq_text out = {0};
    (void)match;
    char open = open_quote ? *open_quote : '\0';
    if (open)
        vq_text_put(&out, &open, 1);
    for (const char *p = text; *p; p++) {
        if (open == '\'' && *p == open)
            vq_text_puts(&out, "'\\'"); /* a quote cannot stand between quotes of its own kind */
        else if (open == '\0' || open == '"')
            vq_text_puts(&out, strchr(open ? "\"\\" : " \t\"'\\;#!", *p) ? "\\" : "");
        vq_text_put(&out, p, 1);
    }
    return out.data ? out.data : strdup(text);
}

static char *unquote(char *text, int open_quote)
{
    char *out = strdup(text);
    size_t n = 0;
    for (const char *p = text; out && *p; p++) {
        if (*p == '\\' && p[1] && open_quote != '\'')
            p++;
        out[n++] = *p;
    }
    if (out)
        out[n] = '\0';
    return out;
}

static void set_up(struct sh *sh)
{
    static char name[] = "vqsh";
    session = sh;
    rl_readline_name = name;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 1;
    rl_change_environment = 0;
    rl_basic_word_break_characters = " \t\n;";
    rl_completer_word_break_characters = " \t\n;";
    rl_completer_quote_characters = "\"'";
    rl_filename_quote_characters = " \t\n\"'\\;#!";
    rl_char_is_quoted_p = is_quoted;
    rl_filename_quoting_function = quote;
    rl_filename_dequoting_function = unquote;
    rl_attempted_completion_function = complete;
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_initialize();
    using_history();
    for (size_t i = 0; i < sh_history_count(); i++)
        add_history(sh_history_at(i));
}

static void remember(const char *text)
{
    add_history(text);
}

static void forget(void)
{
    clear_history();
}

static void set_before(const char *text)
{
    before = text;
}

static void tear_down(void)
{
    sh_candidates_release(&candidates);
    rl_callback_handler_remove();
    clear_history();
}

#else

/* One line without its newline, through the terminal's own editing. */
static enum got read_line(const char *ask, char **line)
{
    struct vq_text text = {0};
    char ch = 0;
    ssize_t n = 1;
    fputs(ask, stdout);
    fflush(stdout);
    while (ch != '\n' && n > 0) {
        bool ready = sh_signals_wait(STDIN_FILENO);
        if (!ready && sh_signals_continued())
            continue;
        if (!ready) {
            fputs("\n", stdout);
            vq_text_release(&text);
            return GOT_SIGNAL;
        }
        n = read(STDIN_FILENO, &ch, 1);
        if (n == 1 && ch != '\n')
            vq_text_put(&text, &ch, 1);
    }
    if (n <= 0 && !text.len)
        return GOT_EOF;
    *line = text.data ? text.data : vq_strdup("");
    return GOT_LINE;
}

static void set_up(struct sh *sh)
{
    (void)sh;
}

static void remember(const char *text)
{
    (void)text;
}

static void forget(void) {}

static void set_before(const char *text)
{
    (void)text;
}

static void tear_down(void) {}

#endif

void sh_line_open(struct sh *sh)
{
    sh_history_open(sh);
    set_up(sh);
}

void sh_line_close(struct sh *sh)
{
    tear_down();
    sh_history_close(sh);
}

void sh_line_forget(struct sh *sh)
{
    forget();
    sh_history_clear(sh);
}

enum sh_line sh_line_read(struct sh *sh, char **text)
{
    struct vq_text input = {0}, ask = {0};
    enum got what;
    *text = NULL;
    sh_signals_clear();
    do {
        char *line = NULL;
        vq_text_release(&ask);
        prompt(sh, input.len > 0, &ask);
        set_before(input.data ? input.data : "");
        what = ask.failed ? GOT_EOF : read_line(ask.data, &line);
        if (what == GOT_LINE) {
            vq_text_puts(&input, line);
            vq_text_puts(&input, "\n");
        }
        free(line);
    } while (what == GOT_LINE && !input.failed && sh_split_is_open(input.data, input.len));
    vq_text_release(&ask);
    /* Ctrl-D inside quotes ends the input, not the shell. */
    if (what == GOT_EOF && input.len)
        what = GOT_LINE;
    if (what != GOT_LINE || input.failed) {
        vq_text_release(&input);
        return what == GOT_SIGNAL ? SH_LINE_CLEARED : SH_LINE_EOF;
    }
    input.data[--input.len] = '\0';
    if (sh_history_add(sh, input.data))
        remember(input.data);
    *text = input.data;
    return SH_LINE_TEXT;
}
