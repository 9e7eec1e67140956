/*
 * report: the one place where the shell says that something went wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/base/utf8.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/out_private.h"
#include "repl/runlog.h"
#include "repl/sh.h"
#include "repl/split.h"

/* The message, made safe for a terminal: names in it may hold any bytes. */
static void say(struct sh *sh, const char *kind, const char *msg)
{
    struct vq_text line = {0};
    FILE *to = sh_out_messages(sh);
    bool colour = sh_out_colour_messages(sh);
    vq_text_puts(&line, colour ? "\x1b[1;31m" : "");
    if (sh->source.name)
        vq_text_printf(&line, "%s:%d: ", sh->source.name, sh->source.line);
    else
        vq_text_puts(&line, "vqsh: ");
    vq_text_puts(&line, colour ? "\x1b[0m" : "");
    vq_text_puts(&line, kind);
    if (sh->cmd)
        vq_text_printf(&line, "%s: ", sh->cmd->name);
    sh_clean_text(msg, strlen(msg), true, &line);
    vq_text_puts(&line, "\n");
    if (line.data)
        fwrite(line.data, 1, line.len, to);
    vq_text_release(&line);
}

/* The line of the running command (else of the text) that holds byte `at`, and a caret under that
 * byte. */
static void point(struct sh *sh, size_t at)
{
    const char *text = sh->text;
    const struct sh_words *w = sh->words;
    bool inside = w && at >= w->start && at <= w->end;
    size_t first = inside ? w->start : 0, last = inside ? w->end : sh->text_size;
    size_t begin = at, end = at;
    struct vq_text line = {0}, before = {0};
    while (begin > first && text[begin - 1] != '\n')
        begin--;
    while (end < last && text[end] != '\n')
        end++;
    while (end > at && strchr(" \t\r", text[end - 1]))
        end--;
    sh_clean_text(text + begin, at - begin, false, &before);
    sh_clean_text(text + begin, end - begin, false, &line);
    size_t width = before.data ? vq_utf8_width(before.data, before.len) : 0;
    size_t whole = line.data ? vq_utf8_width(line.data, line.len) : 0;
    FILE *to = sh_out_messages(sh);
    if (whole + 2 < (size_t)sh_out_columns_messages(sh))
        fprintf(to, "  %s\n  %*s^\n", line.data ? line.data : "", (int)width, "");
    vq_text_release(&line);
    vq_text_release(&before);
}

void sh_point_at(struct sh *sh, size_t at)
{
    if (sh->text && at <= sh->text_size)
        point(sh, at);
}

enum sh_rc sh_fail(struct sh *sh, const struct vq_err *err)
{
    sh_log_message(sh, err->msg);
    if (err->code == VQ_ECANCELLED)
        return sh_interrupted(sh);
    say(sh, "", err->msg);
    return SH_ERR;
}

enum sh_rc sh_interrupted(struct sh *sh)
{
    /* When nobody reads any more, nobody wants to know either. */
    if (!sh_out_gone(sh))
        say(sh, "", "interrupted");
    return SH_INTERRUPTED;
}

enum sh_rc sh_failf(struct sh *sh, const char *fmt, ...)
{
    char msg[VQ_ERR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    sh_log_message(sh, msg);
    say(sh, "", msg);
    return SH_ERR;
}

static enum sh_rc bad_arg(struct sh *sh, int word, size_t offset, const char *msg)
{
    const struct sh_words *w = sh->words;
    sh_log_message(sh, msg);
    say(sh, "", msg);
    if (!w || w->n == 0 || word < 0)
        return SH_USAGE;
    if (word >= w->n) {
        sh_point_at(sh, w->v[w->n - 1].end);
        return SH_USAGE;
    }
    /* Inside a word with escapes or quotes in the middle, bytes of the text are not bytes of the
     * source; one that is quoted as a whole begins one byte later. */
    const struct sh_word *v = &w->v[word];
    size_t extra = v->end - v->start - v->len;
    sh_point_at(sh, v->start + (extra == 0                          ? offset
                                : extra == 2 && v->quoted && offset ? offset + 1
                                                                    : 0));
    return SH_USAGE;
}

enum sh_rc sh_bad_arg(struct sh *sh, int word, const char *fmt, ...)
{
    char msg[VQ_ERR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return bad_arg(sh, word, 0, msg);
}

enum sh_rc sh_bad_arg_at(struct sh *sh, int word, size_t offset, const char *fmt, ...)
{
    char msg[VQ_ERR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return bad_arg(sh, word, offset, msg);
}

void sh_warn(struct sh *sh, const char *fmt, ...)
{
    char msg[VQ_ERR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    say(sh, "warning: ", msg);
}
