/*
 * help: all that can be known about commands, out of the command table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/out.h"

enum { WIDTH = 78 };

static bool shown(const struct sh_cmd *cmd)
{
    return !(cmd->flags & SH_HIDDEN);
}

/* Paragraphs, wrapped at WIDTH; lines that begin with a blank stay as they are. */
static void wrap(const char *s, struct vq_text *to)
{
    while (*s) {
        size_t line = strcspn(s, "\n"), take = line;
        if (line > WIDTH && *s != ' ') {
            take = WIDTH;
            while (take && s[take] != ' ')
                take--;
            take = take ? take : strcspn(s, " \n");
        }
        vq_text_put(to, s, take);
        vq_text_puts(to, "\n");
        s += take;
        s += *s == ' ' || *s == '\n';
    }
}

static void put_option(const struct sh_opt *o, struct vq_text *to)
{
    char name[96];
    const char *value = o->value ? o->value : sh_kind_name(o->kind);
    int n = 0;
    if (o->letter)
        n = snprintf(name, sizeof(name), "-%c, ", o->letter);
    snprintf(name + n, sizeof(name) - (size_t)n, "%s%s%s%s%s", o->name[1] ? "--" : "-", o->name,
             o->kind == SH_FLAG ? "" : " ", o->kind == SH_FLAG ? "" : value, o->many ? " ..." : "");
    vq_text_printf(to, "  %-24s  %s", name, o->help);
    if (o->choices)
        vq_text_printf(to, " (%s)", o->choices);
    if (o->def)
        vq_text_printf(to, " [%s]", o->def);
    vq_text_puts(to, "\n");
}

/* All that `help NAME` says between summary and options. */
static void put_detail(const struct sh_cmd *cmd, struct vq_text *to)
{
    vq_text_puts(to, cmd->detail ? cmd->detail : "");
    if (!cmd->list)
        return;
    vq_text_puts(to, "\n\n");
    cmd->list(to);
}

static void put_command(const struct sh_cmd *cmd, struct vq_text *to)
{
    struct vq_text detail = {0};
    char usage[512];
    vq_text_printf(to, "%s\n\n", sh_cmd_usage(cmd, usage, sizeof(usage)));
    vq_text_printf(to, "  %c%s.\n", cmd->summary[0] & ~0x20, cmd->summary + 1);
    if (cmd->aliases)
        vq_text_printf(to, "  Also called %s.\n", cmd->aliases);
    put_detail(cmd, &detail);
    if (detail.len) {
        vq_text_puts(to, "\n");
        wrap(detail.data, to);
    }
    vq_text_release(&detail);
    if (cmd->opts && cmd->opts->name)
        vq_text_puts(to, "\nOptions\n");
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++)
        put_option(o, to);
    if (cmd->examples && *cmd->examples)
        vq_text_puts(to, "\nExamples\n");
    for (const char *const *e = cmd->examples; e && *e; e++)
        vq_text_printf(to, "  %s\n", *e);
}

static enum sh_rc finish_text(struct sh *sh, struct vq_text *t)
{
    enum sh_rc rc =
        t->failed ? sh_failf(sh, "out of memory") : sh_out_text(sh, t->data ? t->data : "", t->len);
    vq_text_release(t);
    return rc;
}

/* A command as a record, for programs. */
static enum sh_rc command_record(struct sh *sh, const struct sh_cmd *cmd)
{
    struct vq_text options = {0}, examples = {0}, detail = {0};
    char usage[512];
    vq_text_puts(&examples, "[");
    for (const char *const *e = cmd->examples; e && *e; e++) {
        vq_text_puts(&examples, e == cmd->examples ? "" : ",");
        vq_text_json_string(&examples, *e, strlen(*e));
    }
    vq_text_puts(&examples, "]");
    vq_text_puts(&options, "[");
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++) {
        vq_text_puts(&options, o == cmd->opts ? "{\"name\":" : ",{\"name\":");
        vq_text_json_string(&options, o->name, strlen(o->name));
        vq_text_puts(&options, ",\"help\":");
        vq_text_json_string(&options, o->help, strlen(o->help));
        vq_text_puts(&options, "}");
    }
    vq_text_puts(&options, "]");
    sh_record(sh);
    sh_str(sh, "name", cmd->name);
    sh_str(sh, "group", cmd->group);
    sh_str(sh, "usage", sh_cmd_usage(cmd, usage, sizeof(usage)));
    sh_str(sh, "summary", cmd->summary);
    put_detail(cmd, &detail);
    sh_str(sh, "detail", detail.len ? detail.data : NULL);
    sh_json(sh, "options", options.failed ? "[]" : options.data);
    sh_json(sh, "examples", examples.failed ? "[]" : examples.data);
    vq_text_release(&options);
    vq_text_release(&examples);
    vq_text_release(&detail);
    return sh_end(sh);
}

enum sh_rc sh_help_command(struct sh *sh, const struct sh_cmd *cmd)
{
    struct vq_text t = {0};
    if (!sh_out_is_text(sh))
        return command_record(sh, cmd);
    put_command(cmd, &t);
    return finish_text(sh, &t);
}

static bool contains(const char *text, const char *what)
{
    return text && strcasestr(text, what);
}

static bool holds(const struct sh_cmd *cmd, const char *word)
{
    if (contains(cmd->name, word) || contains(cmd->summary, word) || contains(cmd->detail, word) ||
        contains(cmd->args, word) || contains(cmd->group, word))
        return true;
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++) {
        if (contains(o->name, word) || contains(o->help, word))
            return true;
    }
    return false;
}

/* A command is about `topic` when its help holds each of the words; NULL is about everything. */
static bool about(const struct sh_cmd *cmd, const char *topic)
{
    char word[64];
    for (const char *p = topic ? topic : ""; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        if (!holds(cmd, word))
            return false;
        p += n;
    }
    return true;
}

static size_t put_group(const char *group, const char *topic, struct vq_text *to)
{
    size_t n = 0;
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *cmd = sh_cmd_at(i);
        if (!shown(cmd) || strcmp(cmd->group, group) != 0 || !about(cmd, topic))
            continue;
        if (!n++)
            vq_text_printf(to, "%s%s\n", to->len ? "\n" : "", group);
        vq_text_printf(to, "  %-10s  %s\n", cmd->name, cmd->summary);
    }
    return n;
}

static enum sh_rc list_rows(struct sh *sh, const char *topic)
{
    char usage[512];
    sh_list(sh, "name group usage summary");
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *cmd = sh_cmd_at(i);
        if (!shown(cmd) || !about(cmd, topic))
            continue;
        sh_row(sh);
        sh_str(sh, "name", cmd->name);
        sh_str(sh, "group", cmd->group);
        sh_str(sh, "usage", sh_cmd_usage(cmd, usage, sizeof(usage)));
        sh_str(sh, "summary", cmd->summary);
    }
    return sh_end(sh);
}

static enum sh_rc overview(struct sh *sh, const char *topic)
{
    struct vq_text t = {0};
    size_t n = 0;
    if (!sh_out_is_text(sh))
        return list_rows(sh, topic);
    for (const char *const *g = sh_cmd_groups(); *g; g++)
        n += put_group(*g, topic, &t);
    if (!n) {
        vq_text_release(&t);
        const char *near = sh_cmd_nearest(topic);
        return sh_failf(sh, "nothing about '%s': %s%s", topic, near ? "did you mean " : "",
                        near ? near : "help alone lists the commands");
    }
    vq_text_puts(&t, "\nhelp COMMAND tells more; help WORDS searches. !CMD runs CMD in the system "
                     "shell.\n");
    return finish_text(sh, &t);
}

/* The README's list, so that it cannot differ from the program. */
static enum sh_rc markdown(struct sh *sh)
{
    struct vq_text t = {0};
    char usage[512];
    vq_text_puts(&t, "| command | does |\n|---|---|\n");
    for (const char *const *g = sh_cmd_groups(); *g; g++) {
        for (size_t i = 0; i < sh_cmd_count(); i++) {
            const struct sh_cmd *cmd = sh_cmd_at(i);
            if (!shown(cmd) || strcmp(cmd->group, *g) != 0)
                continue;
            vq_text_puts(&t, "| `");
            for (const char *p = sh_cmd_usage(cmd, usage, sizeof(usage)); *p; p++) {
                vq_text_puts(&t, *p == '|' ? "\\" : "");
                vq_text_put(&t, p, 1);
            }
            vq_text_printf(&t, "` | %s |\n", cmd->summary);
        }
    }
    return finish_text(sh, &t);
}

/* The words of the topic, joined by blanks. */
static char *topic_of(const struct sh_args *a)
{
    struct vq_text t = {0};
    for (int i = 0; i < sh_arg_count(a); i++) {
        vq_text_puts(&t, i ? " " : "");
        vq_text_puts(&t, sh_arg(a, i));
    }
    return t.data;
}

static enum sh_rc run_help(struct sh *sh, const struct sh_args *a)
{
    if (sh_opt_flag(a, "markdown"))
        return markdown(sh);
    if (!sh_arg_count(a))
        return overview(sh, NULL);
    char *topic = topic_of(a);
    if (!topic)
        return sh_failf(sh, "out of memory");
    const struct sh_cmd *cmd = sh_cmd_find(topic);
    if (!cmd)
        cmd = sh_cmd_prefix(topic);
    enum sh_rc rc = cmd ? sh_help_command(sh, cmd) : overview(sh, topic);
    free(topic);
    return rc;
}

static const struct sh_opt help_opts[] = {
    {.name = "markdown", .kind = SH_FLAG, .help = "the list of commands as in the README"},
    SH_OPT_END,
};
static const char *const help_examples[] = {"help", "help set", "help history file", NULL};

const struct sh_cmd cmd_help = {
    .name = "help",
    .group = "shell",
    .args = "[COMMAND | WORDS]",
    .summary = "list the commands, or tell about one",
    .detail = "Without an argument, all commands by group. With the name of a command, its usage, "
              "options and examples. With other words, the commands whose help holds them.",
    .examples = help_examples,
    .max_args = -1,
    .kinds = {SH_COMMAND},
    .opts = help_opts,
    .run = run_help,
    .aliases = "?",
};
