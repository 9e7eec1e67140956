/*
 * eval: from a text to commands that run. Looks a command up, checks what it needs, parses its
 * words, calls it, and cleans up after it. Nothing here knows any particular command.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/signals.h"
#include "repl/spawn.h"
#include "repl/split.h"

enum { DEEPEST = 16 }; /* `source` inside `source` */

static const char *name_at(void *ud, size_t i)
{
    (void)ud;
    return sh_cmd_at(i)->flags & SH_HIDDEN ? "" : sh_cmd_at(i)->name;
}

const char *sh_cmd_nearest(const char *name)
{
    return sh_nearest(name, name_at, sh_cmd_count(), NULL);
}

static enum sh_rc unknown(struct sh *sh, const char *name)
{
    const char *near = sh_cmd_nearest(name);
    if (near)
        return sh_bad_arg(sh, 0, "no command '%s': did you mean %s?", name, near);
    return sh_bad_arg(sh, 0, "no command '%s': help lists them", name);
}

static const char *lacks_vocab(const struct sh *sh, unsigned needs)
{
    const struct vq_vocab *v = vq_model_vocab(sh_model_current(sh)->model);
    if (needs & SH_NEED_TEXT && !vq_vocab_is_text(v))
        return "text";
    if (needs & SH_NEED_IMAGE && !vq_vocab_is_image(v))
        return "pictures";
    return NULL;
}

static enum sh_rc check_needs(struct sh *sh, const struct sh_cmd *cmd)
{
    const unsigned model = SH_NEED_MODEL | SH_NEED_TEXT | SH_NEED_IMAGE;
    struct vq_err err;
    if (cmd->needs & model && !sh_model_current(sh))
        return sh_failf(sh, "no model is loaded: load PATH loads one");
    const char *lacks = cmd->needs & model ? lacks_vocab(sh, cmd->needs) : NULL;
    if (lacks) {
        const struct sh_model *m = sh_model_current(sh);
        return sh_failf(sh, "the tokens of %s (vocabulary %s) are not %s", m->name,
                        vq_vocab_spec(vq_model_vocab(m->model)), lacks);
    }
    if (cmd->needs & SH_NEED_STORE && !sh_store(sh, &err))
        return sh_fail(sh, &err);
    return SH_OK;
}

/* COMMAND --help is `help COMMAND`. */
static bool wants_help(const struct sh_cmd *cmd, const struct sh_words *w)
{
    return w->n == 2 && !w->v[1].quoted && !(cmd->flags & SH_RAW) &&
           (!strcmp(w->v[1].text, "--help") || !strcmp(w->v[1].text, "-h"));
}

/* The word of a "| PROGRAM" as the system shell knows it; 0 when there is none. */
static int pipe_at(const struct sh_cmd *cmd, const struct sh_words *w)
{
    for (int i = 1; i + 1 < w->n && !(cmd->flags & SH_RAW); i++)
        if (!w->v[i].quoted && !strcmp(w->v[i].text, "|") && !sh_is_option(&w->v[i + 1]))
            return i;
    return 0;
}

static enum sh_rc call(struct sh *sh, const struct sh_words *w)
{
    struct sh_args args;
    const char *name = w->v[0].text;
    const struct sh_cmd *cmd = sh_cmd_find(name);
    if (!cmd && sh->interactive)
        cmd = sh_cmd_prefix(name);
    if (!cmd)
        return unknown(sh, name);
    if (wants_help(cmd, w))
        return sh_help_command(sh, cmd);
    sh->cmd = cmd;
    if (pipe_at(cmd, w))
        return sh_bad_arg(sh, pipe_at(cmd, w),
                          "there are no pipes here: `output FILE` sends results to a file, "
                          "vqsh -c '%s' | ... to a program",
                          name);
    enum sh_rc rc = check_needs(sh, cmd);
    if (rc == SH_OK)
        rc = sh_args_parse(sh, cmd, w, &args);
    if (rc != SH_OK)
        return rc;
    sh->args = &args;
    rc = cmd->run(sh, &args);
    sh->args = NULL;
    sh_args_release(&args);
    return rc;
}

static enum sh_rc shell_command(struct sh *sh, const char *command)
{
    struct vq_err err;
    pid_t pid;
    fflush(NULL);
    if (sh_spawn(command, -1, &pid, &err))
        return sh_fail(sh, &err);
    int status = sh_spawn_wait(pid);
    return status ? sh_failf(sh, "the system shell returned %d", status) : SH_OK;
}

/* The rest of a command that is over: its run, its unwritten results, its time. */
static enum sh_rc finish(struct sh *sh, enum sh_rc rc)
{
    rc = sh_out_finish(sh, rc);
    sh_run_close(sh, rc);
    if (sh->set.timing && rc != SH_QUIT)
        sh_note(sh, "time %.3f s%s", sh_now() - sh->started, sh->timing);
    return rc;
}

static enum sh_rc run_command(struct sh *sh, const struct sh_words *w)
{
    struct sh outer = *sh;
    sh->words = w;
    sh->cmd = NULL;
    sh->args = NULL;
    sh->started = sh_now();
    sh->timing[0] = '\0';
    sh_log_message(sh, "");
    enum sh_rc rc = w->shell ? shell_command(sh, w->v[0].text) : call(sh, w);
    rc = finish(sh, rc);
    sh->words = outer.words;
    sh->cmd = outer.cmd;
    sh->args = outer.args;
    sh->started = outer.started;
    memcpy(sh->timing, outer.timing, sizeof(sh->timing));
    return rc;
}

static enum sh_rc bad_syntax(struct sh *sh, const struct sh_words *w, enum sh_split split,
                             const struct vq_err *err)
{
    if (split == SH_SPLIT_NOMEM)
        return sh_failf(sh, "out of memory");
    sh_failf(sh, "%s", err->msg);
    sh_point_at(sh, w->start);
    return SH_USAGE;
}

/* Whether what happened ends the text being run. */
static bool ends(struct sh *sh, enum sh_rc rc)
{
    if (rc == SH_QUIT)
        sh->stop = true;
    if (rc == SH_ERR || rc == SH_USAGE)
        sh->failed = true;
    if (sh_signals_ending() || sh_out_gone(sh))
        sh->stop = true;
    if (!sh->interactive && sh_signals_interrupted())
        sh->stop = true;
    return sh->stop || rc == SH_INTERRUPTED || (rc != SH_OK && !sh->keep_going);
}

static enum sh_rc next(struct sh *sh, struct sh_splitter *s, int first_line, bool *more)
{
    struct sh_words w;
    struct vq_err err = {.code = VQ_OK};
    enum sh_split split = sh_split_next(s, &w, &err);
    enum sh_rc rc;
    *more = split != SH_SPLIT_END;
    if (!*more)
        return SH_OK;
    sh->source.line = first_line + w.line - 1;
    rc = split == SH_SPLIT_OK ? run_command(sh, &w) : bad_syntax(sh, &w, split, &err);
    sh_words_release(&w);
    *more = !ends(sh, rc);
    return rc;
}

/* Runs a text whose first line has the number `line` in `name`. */
static enum sh_rc run(struct sh *sh, const char *text, size_t size, const char *name, int line)
{
    const char *outer_text = sh->text;
    size_t outer_size = sh->text_size;
    const struct sh_cmd *outer_cmd = sh->cmd;
    const struct sh_words *outer_words = sh->words;
    struct sh_source outer = sh->source;
    struct sh_splitter s;
    enum sh_rc result = SH_OK;
    bool more = true;
    sh->text = text;
    sh->text_size = size;
    sh->cmd = NULL;
    sh->words = NULL;
    sh->source.name = name;
    sh_splitter_init(&s, text, size);
    while (more) {
        enum sh_rc rc = next(sh, &s, line, &more);
        result = rc == SH_OK ? result : rc;
    }
    sh->text = outer_text;
    sh->text_size = outer_size;
    sh->cmd = outer_cmd;
    sh->words = outer_words;
    sh->source = outer;
    return result;
}

enum sh_rc sh_exec_text(struct sh *sh, const char *text, size_t size, const char *name)
{
    return run(sh, text, size, name, 1);
}

/* Bytes that have arrived and not been run yet. */
struct stream {
    int fd;
    struct vq_text text;
    size_t looked; /* no whole input ends before this byte */
    int line;      /* of the first byte */
    bool eof;
};

/* Reads on; false at the end, on a signal and on errors (which `why` then says). */
static bool fill(struct stream *s, int *why)
{
    char buf[65536];
    *why = 0;
    while (!s->eof) {
        bool ready = sh_signals_wait(s->fd);
        if (!ready && !sh_signals_continued())
            return false;
        ssize_t n = ready ? read(s->fd, buf, sizeof(buf)) : -1;
        if (!ready || (n < 0 && errno == EINTR))
            continue;
        s->eof = n <= 0;
        *why = n < 0 ? errno : 0;
        if (n > 0)
            vq_text_put(&s->text, buf, (size_t)n);
        return n > 0 && !s->text.failed;
    }
    return false;
}

/* The length of the input at the front: up to a newline that is not inside quotes; 0 when it has
 * not arrived yet. */
static size_t whole_input(struct stream *s)
{
    while (s->looked < s->text.len) {
        const char *from = s->text.data + s->looked;
        const char *nl = memchr(from, '\n', s->text.len - s->looked);
        if (!nl)
            return 0;
        s->looked = (size_t)(nl - s->text.data) + 1;
        if (!sh_split_is_open(s->text.data, s->looked))
            return s->looked;
    }
    return 0;
}

static enum sh_rc run_front(struct sh *sh, struct stream *s, size_t n, const char *name)
{
    struct vq_text front = {0};
    vq_text_put(&front, s->text.data, n);
    int lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s->text.data[i] == '\n';
    memmove(s->text.data, s->text.data + n, s->text.len - n);
    s->text.len -= n;
    s->looked = 0;
    enum sh_rc rc = front.failed ? sh_failf(sh, "out of memory")
                                 : run(sh, front.data ? front.data : "", n, name, s->line);
    s->line += lines;
    vq_text_release(&front);
    return rc;
}

enum sh_rc sh_exec_stream(struct sh *sh, int fd, const char *name)
{
    struct stream s = {.fd = fd, .line = 1};
    enum sh_rc result = SH_OK;
    bool more = true;
    int why = 0;
    while (more) {
        size_t n = whole_input(&s);
        if (!n && fill(&s, &why))
            continue;
        /* The last input may lack its newline. */
        n = n ? n : s.eof ? s.text.len : 0;
        if (!n)
            break;
        enum sh_rc rc = run_front(sh, &s, n, name);
        result = rc == SH_OK ? result : rc;
        more = !ends(sh, rc);
    }
    if (s.text.failed)
        result = sh_failf(sh, "out of memory");
    if (why)
        result = sh_failf(sh, "%s: %s", name, strerror(why));
    ends(sh, result);
    vq_text_release(&s.text);
    return result;
}

enum sh_rc sh_exec_file(struct sh *sh, const char *path)
{
    if (!strcmp(path, "-"))
        return sh_exec_stream(sh, STDIN_FILENO, "stdin");
    if (sh->depth == DEEPEST)
        return sh_failf(sh, "%s: scripts call each other more than %d deep", path, DEEPEST);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        struct vq_err err;
        vq_fail_errno(&err, errno, "%s", path);
        return sh_fail(sh, &err);
    }
    sh->depth++;
    enum sh_rc rc = sh_exec_stream(sh, fd, path);
    sh->depth--;
    close(fd);
    return rc;
}
