/*
 * Commands on the shell itself: set, show, output, timing, history, source, quit, complete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repl/cmds.h"
#include "repl/complete.h"
#include "repl/history.h"
#include "repl/line.h"
#include "repl/out.h"

/* Columns or keys `value` and `default` of a setting. */
static void put_values(struct sh *sh, const struct sh_setting *st)
{
    struct sh_settings defaults;
    sh_settings_default(&defaults);
    sh_setting_put(sh, "value", st, &sh->set);
    sh_setting_put(sh, "default", st, &defaults);
}

static enum sh_rc list_settings(struct sh *sh)
{
    sh_list(sh, "name value default help");
    for (size_t i = 0; i < sh_setting_count(); i++) {
        const struct sh_setting *st = sh_setting_at(i);
        sh_row(sh);
        sh_str(sh, "name", st->name);
        put_values(sh, st);
        sh_str(sh, "help", st->help);
    }
    return sh_end(sh);
}

static enum sh_rc show_setting(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err;
    const struct sh_setting *st = sh_setting_find(sh_arg(a, 0));
    if (!st) {
        sh_setting_set(sh, sh_arg(a, 0), "", &err);
        return sh_bad_arg(sh, sh_arg_word(a, 0), "%s", err.msg);
    }
    sh_record(sh);
    sh_str(sh, "name", st->name);
    put_values(sh, st);
    if (st->choices)
        sh_str(sh, "choices", st->choices);
    sh_str(sh, "help", st->help);
    return sh_end(sh);
}

static enum sh_rc run_set(struct sh *sh, const struct sh_args *a)
{
    char value[64];
    struct vq_err err;
    if (sh_arg_count(a) == 0)
        return list_settings(sh);
    if (sh_arg_count(a) == 1)
        return show_setting(sh, a);
    enum vq_status status = sh_setting_set(sh, sh_arg(a, 0), sh_arg(a, 1), &err);
    if (status)
        return sh_bad_arg(sh, sh_arg_word(a, status == VQ_ENOTFOUND ? 0 : 1), "%s", err.msg);
    const struct sh_setting *st = sh_setting_find(sh_arg(a, 0));
    sh_setting_text(sh, st, value, sizeof(value));
    sh_ack(sh, "%s is %s", st->name, value);
    sh_str(sh, "name", st->name);
    sh_setting_put(sh, "value", st, &sh->set);
    return sh_end(sh);
}

static const char *const set_examples[] = {"set", "set threads 1", "set format json", NULL};

const struct sh_cmd cmd_set = {
    .name = "set",
    .group = "shell",
    .args = "[NAME [VALUE]]",
    .summary = "change a setting, or show it, or list them all",
    .detail = "Settings last until the shell is left. Lines in the file init.vqsh in "
              "$XDG_CONFIG_HOME/vqsh (~/.config/vqsh) set them for every interactive session.",
    .examples = set_examples,
    .max_args = 2,
    .kinds = {SH_SETTING, SH_VALUE},
    .run = run_set,
};

static enum sh_rc run_show(struct sh *sh, const struct sh_args *a)
{
    return sh_arg_count(a) ? show_setting(sh, a) : list_settings(sh);
}

static const char *const show_examples[] = {"show", "show threads", NULL};

const struct sh_cmd cmd_show = {
    .name = "show",
    .group = "shell",
    .args = "[NAME]",
    .summary = "show a setting, or list them all",
    .examples = show_examples,
    .max_args = 1,
    .kinds = {SH_SETTING},
    .run = run_show,
};

static enum sh_rc run_output(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err;
    if (sh_out_redirect(sh, sh_arg(a, 0), &err))
        return sh_fail(sh, &err);
    sh_note(sh, "results go to %s", sh_arg(a, 0) ? sh_arg(a, 0) : "the screen");
    return SH_OK;
}

static const char *const output_examples[] = {"output /tmp/vqsh-results.txt", "output", NULL};

const struct sh_cmd cmd_output = {
    .name = "output",
    .group = "shell",
    .args = "[FILE]",
    .summary = "send results to a file, or to the screen again",
    .detail = "The file is emptied first, and holds the results of each command as soon as that "
              "command is done. Notes and errors stay on the screen.",
    .examples = output_examples,
    .max_args = 1,
    .kinds = {SH_OUTPATH},
    .run = run_output,
};

static enum sh_rc run_timing(struct sh *sh, const struct sh_args *a)
{
    if (sh_arg_count(a))
        sh->set.timing = sh_arg_value(a, 0)->flag;
    sh_ack(sh, "timing is %s", sh->set.timing ? "on" : "off");
    sh_bool(sh, "timing", sh->set.timing);
    return sh_end(sh);
}

static const char *const timing_examples[] = {"timing on", "timing off", NULL};

const struct sh_cmd cmd_timing = {
    .name = "timing",
    .group = "shell",
    .args = "[on|off]",
    .summary = "tell after each command how long it took",
    .examples = timing_examples,
    .max_args = 1,
    .kinds = {SH_ONOFF},
    .run = run_timing,
};

static enum sh_rc run_history(struct sh *sh, const struct sh_args *a)
{
    size_t count = sh_history_count();
    size_t n = sh_arg_count(a) ? (size_t)sh_arg_value(a, 0)->i : count;
    if (sh_arg_count(a) && sh_arg_value(a, 0)->i < 0)
        return sh_bad_arg(sh, sh_arg_word(a, 0), "how many entries? %s is below 0", sh_arg(a, 0));
    if (sh_opt_flag(a, "clear")) {
        sh_line_forget(sh);
        sh_ack(sh, "the history is empty");
        sh_int(sh, "entries", 0);
        return sh_end(sh);
    }
    sh_list(sh, "entry text");
    for (size_t i = n < count ? count - n : 0; i < count; i++) {
        sh_row(sh);
        sh_uint(sh, "entry", i + 1);
        sh_str(sh, "text", sh_history_at(i));
    }
    return sh_end(sh);
}

static const struct sh_opt history_opts[] = {
    {.name = "clear", .kind = SH_FLAG, .help = "forget all entries, those of the file too"},
    SH_OPT_END,
};
static const char *const history_examples[] = {"history", "history 10", NULL};

const struct sh_cmd cmd_history = {
    .name = "history",
    .group = "shell",
    .args = "[N] [--clear]",
    .summary = "list what was typed, or the last N entries of it",
    .detail = "Inputs at the prompt are kept in $XDG_STATE_HOME/vqsh/history "
              "(~/.local/state/vqsh/history), readable by their owner alone. An input that begins "
              "with a blank is not kept; `set history N` limits the file.",
    .examples = history_examples,
    .max_args = 1,
    .kinds = {SH_INT},
    .opts = history_opts,
    .run = run_history,
};

static enum sh_rc run_source(struct sh *sh, const struct sh_args *a)
{
    return sh_exec_file(sh, sh_arg(a, 0));
}

const struct sh_cmd cmd_source = {
    .name = "source",
    .group = "shell",
    .args = "FILE",
    .summary = "run the commands of a file",
    .detail = "Stops at the first command that fails (unless the shell was started with "
              "--keep-going) and fails then itself. - is standard input.",
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_PATH},
    .run = run_source,
};

static enum sh_rc run_quit(struct sh *sh, const struct sh_args *a)
{
    const struct sh_value *code = sh_arg_value(a, 0);
    if (code && (code->i < 0 || code->i > 255))
        return sh_bad_arg(sh, code->word, "an exit status is from 0 to 255");
    if (code)
        sh->exit_code = (int)code->i;
    return SH_QUIT;
}

const struct sh_cmd cmd_quit = {
    .name = "quit",
    .group = "shell",
    .args = "[STATUS]",
    .summary = "leave the shell",
    .detail = "Ctrl-D on an empty line does the same.",
    .max_args = 1,
    .kinds = {SH_INT},
    .run = run_quit,
    .aliases = "exit q",
};

static enum sh_rc run_complete(struct sh *sh, const struct sh_args *a)
{
    struct sh_candidates c;
    const char *line = sh_arg_count(a) ? sh_arg(a, 0) : "";
    if (!sh_complete(sh, line, strlen(line), &c)) {
        sh_candidates_release(&c);
        return sh_failf(sh, "out of memory");
    }
    sh_list(sh, "candidate");
    for (size_t i = 0; i < c.n; i++) {
        sh_row(sh);
        sh_str(sh, "candidate", c.v[i]);
    }
    sh_candidates_release(&c);
    return sh_end(sh);
}

const struct sh_cmd cmd_complete = {
    .name = "complete",
    .group = "shell",
    .args = "LINE",
    .summary = "list what completion offers at the end of LINE",
    .max_args = 1,
    .flags = SH_HIDDEN | SH_RAW,
    .run = run_complete,
};
