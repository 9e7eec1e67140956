#include "repl/inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repl/cmds.h"
#include "repl/out_private.h"
#include "repl/split.h"

static enum sh_rc call(struct sh *sh, const struct sh_words *w,
                       enum sh_rc (*run)(struct sh *sh, const struct sh_args *a, void *ud),
                       void *ud)
{
    struct sh_args args;
    const struct sh_args *outer = sh->args;
    const struct sh_cmd *cmd = sh_cmd_find(w->v[0].text);
    if (!cmd)
        return sh_failf(sh, "%s: no such command", w->v[0].text);
    enum sh_rc rc = sh_args_parse(sh, cmd, w, &args);
    if (rc != SH_OK)
        return rc;
    sh->args = &args;
    rc = run ? run(sh, &args, ud) : cmd->run(sh, &args);
    sh->args = outer;
    sh_args_release(&args);
    return rc;
}

enum sh_rc sh_inner(struct sh *sh, const char *line,
                    enum sh_rc (*run)(struct sh *sh, const struct sh_args *a, void *ud), void *ud)
{
    struct sh_splitter s;
    struct sh_words words;
    struct vq_err err = {0};
    const struct sh_words *outer = sh->words;
    const char *text = sh->text;
    sh_splitter_init(&s, line, strlen(line));
    if (sh_split_next(&s, &words, &err) != SH_SPLIT_OK)
        return sh_failf(sh, "%s: %s", line, err.msg);
    sh->words = &words;
    sh->text = NULL; /* carets would point into a line that nobody typed */
    enum sh_rc rc = call(sh, &words, run, ud);
    sh->words = outer;
    sh->text = text;
    sh_words_release(&words);
    return rc;
}

enum sh_rc sh_inner_html(struct sh *sh, struct vq_text *to,
                         enum sh_rc (*run)(struct sh *sh, void *ud), void *ud)
{
    struct sh_out *o = sh->out;
    FILE *outer = o->results;
    bool quiet = sh->quiet;
    char format[sizeof(sh->set.format)], *bytes = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&bytes, &size);
    if (!f)
        return sh_failf(sh, "out of memory for the result");
    memcpy(format, sh->set.format, sizeof(format));
    snprintf(sh->set.format, sizeof(sh->set.format), "html");
    o->results = f;
    sh->quiet = true;
    enum sh_rc rc = run(sh, ud);
    sh->quiet = quiet;
    o->results = outer;
    memcpy(sh->set.format, format, sizeof(format));
    if (fclose(f) && rc == SH_OK)
        rc = sh_failf(sh, "out of memory for the result");
    if (rc == SH_OK)
        vq_text_put(to, bytes, size);
    free(bytes);
    return rc;
}
