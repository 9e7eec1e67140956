#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "repl/out_private.h"
#include "repl/signals.h"
#include "repl/spawn.h"

static const double redraw_every = 0.1; /* seconds between two progress lines */

/* The terminal understands escape sequences. */
static bool capable(void)
{
    const char *term = getenv("TERM");
    return term && *term && strcmp(term, "dumb") != 0;
}

static bool coloured(const struct sh *sh, bool tty)
{
    const char *no = getenv("NO_COLOR");
    if (strcmp(sh->set.color, "auto") != 0)
        return !strcmp(sh->set.color, "always");
    return sh->interactive && tty && !(no && *no) && capable();
}

bool sh_out_colour(const struct sh *sh)
{
    return coloured(sh, sh->out->tty) && sh->out->results == sh->out->screen;
}

bool sh_out_colour_messages(const struct sh *sh)
{
    return coloured(sh, sh->out->messages_tty);
}

int sh_screen_size(FILE *f, int *rows)
{
    struct winsize ws;
    int fd = fileno(f);
    *rows = 24;
    if (fd < 0 || !isatty(fd))
        return 0;
    if (ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_col)
        return 80;
    *rows = ws.ws_row ? ws.ws_row : 24;
    return ws.ws_col;
}

int sh_out_columns(const struct sh *sh)
{
    int rows;
    int columns = sh_screen_size(sh->out->results, &rows);
    return sh->set.width ? (int)sh->set.width : columns ? columns : 80;
}

int sh_table_columns(const struct sh *sh)
{
    return sh_out_terminal(sh) || sh->set.width ? sh_out_columns(sh) : 0;
}

int sh_out_rows(const struct sh *sh)
{
    int rows;
    sh_screen_size(sh->out->results, &rows);
    return rows;
}

int sh_out_columns_messages(const struct sh *sh)
{
    int rows;
    int columns = sh_screen_size(sh->out->messages, &rows);
    return columns ? columns : 1000;
}

FILE *sh_out_messages(struct sh *sh)
{
    sh_progress_clear(sh);
    if (sh->out->tty && sh->out->messages_tty)
        fflush(sh->out->screen);
    return sh->out->messages;
}

void sh_note(struct sh *sh, const char *fmt, ...)
{
    char msg[VQ_ERR_LEN];
    struct vq_text clean = {0};
    va_list ap;
    if (sh->quiet || sh->out->gone)
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    sh_clean_text(msg, strlen(msg), true, &clean);
    bool dim = sh_out_colour_messages(sh);
    fprintf(sh_out_messages(sh), "%s%s%s\n", dim ? "\x1b[2m" : "", clean.data ? clean.data : "",
            dim ? "\x1b[0m" : "");
    vq_text_release(&clean);
}

void sh_progress(struct sh *sh, const char *fmt, ...)
{
    struct sh_out *o = sh->out;
    char msg[512];
    struct vq_text clean = {0};
    va_list ap;
    double now = sh_now();
    if (sh->quiet || !o->messages_tty || !capable() || now - o->progress_at < redraw_every)
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    sh_clean_text(msg, strlen(msg), false, &clean);
    size_t columns = (size_t)sh_out_columns_messages(sh);
    size_t fits = clean.data ? vq_utf8_fit(clean.data, clean.len, columns - 1, NULL) : 0;
    fprintf(o->messages, "\r\x1b[K%.*s", (int)fits, clean.data ? clean.data : "");
    fflush(o->messages);
    o->progress = true;
    o->progress_at = now;
    vq_text_release(&clean);
}

void sh_progress_clear(struct sh *sh)
{
    if (!sh->out->progress)
        return;
    fputs("\r\x1b[K", sh->out->messages);
    fflush(sh->out->messages);
    sh->out->progress = false;
}

/* "" for none: less can do nothing but complain on a terminal without escape sequences. */
static const char *pager(void)
{
    const char *p = getenv("VQSH_PAGER");
    if (!p)
        p = getenv("PAGER");
    return p ? p : capable() ? "less -FRX" : "";
}

/* Rows that one line takes on the screen, colours not counted. */
static size_t rows_of(const char *s, size_t n, size_t columns)
{
    size_t width = 0;
    for (size_t i = 0; i < n;) {
        const char *esc = memchr(s + i, '\x1b', n - i);
        size_t to = esc ? (size_t)(esc - s) : n;
        width += vq_utf8_width(s + i, to - i);
        for (i = to; i < n && s[i] != 'm';)
            i++;
        i += i < n;
    }
    return width > columns ? (width - 1) / columns + 1 : 1;
}

static bool longer_than_screen(const struct sh *sh, const char *s, size_t n)
{
    size_t lines = 0, rows = (size_t)sh_out_rows(sh), columns = (size_t)sh_out_columns(sh);
    for (const char *end = s + n; s < end && lines < rows;) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t len = nl ? (size_t)(nl - s) : (size_t)(end - s);
        lines += rows_of(s, len, columns);
        s += len + (nl != NULL);
    }
    return lines >= rows;
}

/* All of it, or until the pager is left. */
static void feed(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, s, n);
        if (put < 0 && errno != EINTR)
            return;
        if (put > 0) {
            s += put;
            n -= (size_t)put;
        }
    }
}

bool sh_page(struct sh *sh, const char *s, size_t n)
{
    int fd[2];
    pid_t pid;
    const char *command = pager();
    if (!sh->interactive || !sh_out_terminal(sh) || strcmp(sh->set.pager, "on") != 0 || !*command ||
        !longer_than_screen(sh, s, n) || pipe2(fd, O_CLOEXEC))
        return false;
    fflush(sh->out->results);
    bool started = sh_spawn(command, fd[0], &pid, NULL) == VQ_OK;
    close(fd[0]);
    if (started)
        feed(fd[1], s, n);
    close(fd[1]);
    int status = started ? sh_spawn_wait(pid) : 127;
    sh_signals_clear();
    return status != 127; /* 127: there is no such program */
}
