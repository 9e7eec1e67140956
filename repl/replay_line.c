/*
 * The command line of a run, for doing it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "repl/cmds.h"
#include "repl/replay.h"
#include "repl/runlog.h"
#include "repl/runview.h"
#include "repl/split.h"

struct rewriting {
    struct sh *sh;
    const struct vq_run_info *run;
    const char *folder;
    struct vq_text *out;
    size_t written; /* files that go below folder */
};

/* After "--name=" or a blank; joined to its option, a value may begin with '-'. */
static void put_word(struct rewriting *r, const char *word)
{
    sh_split_quote(word, strlen(word), r->out);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* FOLDER/1/name: the last part of the path, in a folder of its own. What was a folder is one. */
static enum sh_rc put_output(struct rewriting *r, const char *path)
{
    struct vq_text to = {0};
    char *there = sh_run_path(r->run, path);
    size_t len = strlen(path);
    bool folder = there && (is_folder(there) || path[len - 1] == '/');
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t base = len;
    while (base > 0 && path[base - 1] != '/')
        base--;
    vq_text_printf(&to, "%s/%zu", r->folder, ++r->written);
    bool made = !to.failed && mkdir(to.data, 0700) == 0;
    vq_text_printf(&to, "/%.*s", (int)(len - base), path + base);
    if (folder && !to.failed)
        made = mkdir(to.data, 0700) == 0 && made;
    vq_text_puts(&to, folder ? "/" : "");
    bool ok = made && !to.failed;
    if (ok)
        put_word(r, to.data);
    vq_text_release(&to);
    free(there);
    return ok ? SH_OK : sh_failf(r->sh, "%s: cannot make a folder in it", r->folder);
}

static enum sh_rc put_value(struct rewriting *r, enum sh_kind kind, const struct sh_value *v)
{
    if (kind == SH_OUTPATH)
        return put_output(r, v->text);
    if (kind != SH_PATH) {
        put_word(r, v->text);
        return SH_OK;
    }
    if (strcmp(v->text, "-") == 0)
        return sh_failf(r->sh, "run %s read standard input, which is not recorded", r->run->id);
    char *whole = sh_run_path(r->run, v->text);
    if (!whole)
        return sh_failf(r->sh, "out of memory");
    put_word(r, whole);
    free(whole);
    return SH_OK;
}

static enum sh_rc put_option(struct rewriting *r, const struct sh_args *a, int i)
{
    const struct sh_opt *o = &a->cmd->opts[a->opt_row[i]];
    const struct sh_value *v = &a->opt[i];
    if (strcmp(o->name, "continue") == 0 && v->flag)
        return sh_failf(r->sh, "run %s went on from a state that was fed, which is not recorded",
                        r->run->id);
    vq_text_printf(r->out, " %s%s%s", o->name[1] ? "--" : "-",
                   o->kind == SH_FLAG && !v->flag ? "no-" : "", o->name);
    if (o->kind == SH_FLAG)
        return SH_OK;
    vq_text_puts(r->out, "=");
    return put_value(r, o->kind, v);
}

static bool counts_picture(void *ud, const char *key, const struct vq_value *v)
{
    (void)v;
    *(bool *)ud = *(bool *)ud || strncmp(key, "image", 5) == 0;
    return true;
}

/* Pictures that were written without being asked where to are sent below the folder too. */
static enum sh_rc put_missing_output(struct rewriting *r, const struct sh_args *a,
                                     struct vq_store *store)
{
    bool pictures = false;
    const struct sh_opt *o = a->cmd->opts;
    while (o && o->name && !(strcmp(o->name, "out") == 0 && o->kind == SH_OUTPATH))
        o++;
    if (!o || !o->name || sh_opt_given(a, "out"))
        return SH_OK;
    vq_store_results(store, r->run->id, counts_picture, &pictures, NULL);
    if (!pictures)
        return SH_OK;
    vq_text_puts(r->out, " --out=");
    return put_output(r, "pictures/");
}

static enum sh_rc rewrite(struct rewriting *r, const struct sh_args *a, struct vq_store *store)
{
    enum sh_rc rc = SH_OK;
    vq_text_puts(r->out, a->cmd->name);
    for (int i = 0; rc == SH_OK && i < a->n_opt; i++)
        rc = put_option(r, a, i);
    if (rc == SH_OK)
        rc = put_missing_output(r, a, store);
    if (a->n_pos)
        vq_text_puts(r->out, " --");
    for (int i = 0; rc == SH_OK && i < a->n_pos; i++) {
        vq_text_puts(r->out, " ");
        rc = put_value(r, sh_cmd_kind(a->cmd, i), &a->pos[i]);
    }
    if (rc == SH_OK && r->out->failed)
        rc = sh_failf(r->sh, "out of memory");
    return rc;
}

/* Parses the recorded line as the dispatcher would. */
static enum sh_rc parse_and_rewrite(struct rewriting *r, const struct sh_cmd *cmd,
                                    const struct sh_words *w, struct vq_store *store)
{
    struct sh *sh = r->sh;
    const struct sh outer = *sh;
    struct sh_args args;
    sh->text = r->run->command_line;
    sh->text_size = strlen(sh->text);
    sh->words = w;
    enum sh_rc rc = sh_args_parse(sh, cmd, w, &args);
    sh->text = outer.text;
    sh->text_size = outer.text_size;
    sh->words = outer.words;
    if (rc != SH_OK)
        return SH_ERR;
    rc = rewrite(r, &args, store);
    sh_args_release(&args);
    return rc;
}

enum sh_rc sh_replay_line(struct sh *sh, const struct vq_run_info *run, const char *folder,
                          struct vq_text *out)
{
    struct rewriting r = {.sh = sh, .run = run, .folder = folder, .out = out};
    const struct sh_cmd *cmd = sh_cmd_find(run->command);
    struct sh_splitter s;
    struct sh_words w;
    struct vq_err err = {0};
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    if (!cmd || cmd->flags & SH_RAW)
        return sh_failf(sh, "this version has no command '%s'", run->command);
    sh_splitter_init(&s, run->command_line, strlen(run->command_line));
    if (sh_split_next(&s, &w, &err) != SH_SPLIT_OK)
        return sh_failf(sh, "its command line cannot be read: %s", err.msg);
    enum sh_rc rc = parse_and_rewrite(&r, cmd, &w, store);
    sh_words_release(&w);
    return rc;
}
