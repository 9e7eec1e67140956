/*
 * main: from the arguments to what is to be done, and from how it went to an exit status.
 *
 *   0 all done   1 a command failed   2 bad usage   130 interrupted   128 + n ended by signal n
 */
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/line.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/signals.h"
#include "repl/split.h"
#include "repl/vocab_maker.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PIPE = 128 + SIGPIPE };

struct options {
    const char **commands, **loads; /* of -c and --load, in order */
    size_t n_command, n_load;
    const char *db, *format, *threads, *seed, *color;
    bool no_log, read_only, keep_going, no_init, quiet;
};

static const char usage[] =
    "usage: vqsh [OPTIONS] [SCRIPT...]\n"
    "An interactive shell for inspecting Transformer-VQ models. With scripts (- is stdin), -c, or\n"
    "input that is no terminal it runs commands and leaves.\n"
    "\n"
    "  -c COMMANDS     run COMMANDS and leave; may be repeated\n"
    "  --load PATH     open a model first, as `load PATH` does; may be repeated, the last is "
    "current\n"
    "  --db FILE       run database (default $VQSH_DB, else ~/.local/share/vqsh/runs.db)\n"
    "  --no-log        record nothing in this session\n"
    "  --read-only     open the run database for reading alone; record nothing\n"
    "  --format F      " SH_FORMAT_CHOICES "\n"
    "  --threads N     worker threads (default: the processors we may run on)\n"
    "  --seed N        default seed\n"
    "  --keep-going    in batch, go on after a failing command\n"
    "  --no-init       do not read init.vqsh\n"
    "  --quiet         no notes, no progress\n"
    "  --color WHEN    auto always never\n"
    "  --version       print the version\n"
    "  --help          print this\n"
    "\n"
    "vqsh -c help lists the commands. Exit status: 0 all done, 1 a command failed, 2 bad usage,\n"
    "130 interrupted.\n";

enum {
    OPT_LOAD = 256,
    OPT_DB,
    OPT_NO_LOG,
    OPT_READ_ONLY,
    OPT_FORMAT,
    OPT_THREADS,
    OPT_SEED,
    OPT_KEEP_GOING,
    OPT_NO_INIT,
    OPT_QUIET,
    OPT_COLOR,
    OPT_VERSION,
    OPT_HELP
};

static const struct option long_options[] = {
    {"load", required_argument, NULL, OPT_LOAD},
    {"db", required_argument, NULL, OPT_DB},
    {"no-log", no_argument, NULL, OPT_NO_LOG},
    {"read-only", no_argument, NULL, OPT_READ_ONLY},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"keep-going", no_argument, NULL, OPT_KEEP_GOING},
    {"no-init", no_argument, NULL, OPT_NO_INIT},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"color", required_argument, NULL, OPT_COLOR},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* Prints to stdout and leaves; a full disk is a failure like any other. */
static int print_and_leave(const char *text)
{
    fputs(text, stdout);
    if (!fflush(stdout))
        return 0;
    perror("vqsh: cannot write");
    return EXIT_FAILED;
}

/* One option; the status to leave with, or -1 to go on. */
static int take_option(struct options *o, int c)
{
    switch (c) {
    case 'c':
        o->commands[o->n_command++] = optarg;
        return -1;
    case OPT_LOAD:
        o->loads[o->n_load++] = optarg;
        return -1;
    case OPT_DB:
        o->db = optarg;
        return -1;
    case OPT_NO_LOG:
        o->no_log = true;
        return -1;
    case OPT_READ_ONLY:
        o->read_only = true;
        return -1;
    case OPT_FORMAT:
        o->format = optarg;
        return -1;
    case OPT_THREADS:
        o->threads = optarg;
        return -1;
    case OPT_SEED:
        o->seed = optarg;
        return -1;
    case OPT_KEEP_GOING:
        o->keep_going = true;
        return -1;
    case OPT_NO_INIT:
        o->no_init = true;
        return -1;
    case OPT_QUIET:
        o->quiet = true;
        return -1;
    case OPT_COLOR:
        o->color = optarg;
        return -1;
    case OPT_VERSION:
        return print_and_leave("vqsh " VQSH_VERSION "\n");
    case OPT_HELP:
        return print_and_leave(usage);
    default:
        fputs("vqsh: see vqsh --help\n", stderr);
        return EXIT_USAGE;
    }
}

static int parse_options(int argc, char **argv, struct options *o)
{
    int c, status = -1;
    o->commands = vq_calloc((size_t)argc, sizeof(*o->commands));
    o->loads = vq_calloc((size_t)argc, sizeof(*o->loads));
    if (!o->commands || !o->loads)
        return EXIT_FAILED;
    while (status < 0 && (c = getopt_long(argc, argv, "c:", long_options, NULL)) != -1)
        status = take_option(o, c);
    return status;
}

/* An option that is a setting; it is checked where `set` is. */
static bool apply(struct sh *sh, const char *name, const char *value)
{
    struct vq_err err;
    if (!value || !sh_setting_set(sh, name, value, &err))
        return true;
    fprintf(stderr, "vqsh: --%s: %s\n", name, err.msg);
    return false;
}

static bool apply_all(struct sh *sh, const struct options *o)
{
    int64_t threads;
    if (o->threads && sh_parse_int(o->threads, &threads) && threads < 1) {
        fputs("vqsh: --threads: at least 1 is needed\n", stderr);
        return false;
    }
    return apply(sh, "format", o->format) && apply(sh, "threads", o->threads) &&
           apply(sh, "seed", o->seed) && apply(sh, "color", o->color) &&
           apply(sh, "read-only", o->read_only ? "on" : NULL);
}

static void read_init(struct sh *sh)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    struct vq_text path = {0};
    if (config && *config)
        vq_text_printf(&path, "%s/vqsh/init.vqsh", config);
    else if (home && *home)
        vq_text_printf(&path, "%s/.config/vqsh/init.vqsh", home);
    bool keep_going = sh->keep_going;
    sh->keep_going = true;
    if (path.data && !access(path.data, F_OK))
        sh_exec_file(sh, path.data);
    sh->keep_going = keep_going;
    vq_text_release(&path);
}

/* The command that a --load stands for. */
static void load(struct sh *sh, const char *path)
{
    struct vq_text command = {0};
    vq_text_puts(&command, "load ");
    sh_split_quote(path, strlen(path), &command);
    if (!command.failed)
        sh_exec_text(sh, command.data, command.len, NULL);
    vq_text_release(&command);
}

/* Reads and runs inputs until the end of them. */
static void interact(struct sh *sh, const struct options *o)
{
    char *text;
    sh_line_open(sh);
    sh_note(sh, "vqsh " VQSH_VERSION ". help lists the commands, Ctrl-D leaves.");
    sh_signals_command(true);
    for (size_t i = 0; i < o->n_load && !sh->stop; i++)
        load(sh, o->loads[i]);
    sh_signals_command(false);
    while (!sh->stop && !sh_signals_ending()) {
        enum sh_line got = sh_line_read(sh, &text);
        if (got == SH_LINE_EOF)
            break;
        if (got == SH_LINE_CLEARED)
            continue;
        sh_signals_command(true);
        sh_exec_text(sh, text, strlen(text), NULL);
        sh_signals_command(false);
        free(text);
    }
    sh_line_close(sh);
}

static void batch(struct sh *sh, const struct options *o, char **scripts, int n_script)
{
    sh_signals_command(true);
    for (size_t i = 0; i < o->n_load && !sh->stop && (!sh->failed || sh->keep_going); i++)
        load(sh, o->loads[i]);
    for (size_t i = 0; i < o->n_command && !sh->stop && (!sh->failed || sh->keep_going); i++)
        sh_exec_text(sh, o->commands[i], strlen(o->commands[i]), NULL);
    for (int i = 0; i < n_script && !sh->stop && (!sh->failed || sh->keep_going); i++) {
        if (sh_exec_file(sh, scripts[i]) != SH_OK)
            sh->failed = true;
    }
    if (!o->n_command && !n_script && (!sh->failed || sh->keep_going))
        sh_exec_file(sh, "-");
}

static int exit_status(const struct sh *sh)
{
    if (sh_signals_ending())
        return 128 + sh_signals_ending();
    if (!sh->interactive && sh_signals_interrupted())
        return 128 + SIGINT;
    if (sh_out_gone(sh))
        return EXIT_PIPE;
    if (sh->exit_code >= 0)
        return sh->exit_code;
    return !sh->interactive && sh->failed ? EXIT_FAILED : 0;
}

/* An open descriptor on each of 0, 1, 2: a file opened later must not become one of them. One that
 * was closed is made such that writing to it fails. */
static bool have_standard_files(void)
{
    int fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = dup(fd);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static int run(struct sh *sh, const struct options *o, char **scripts, int n_script)
{
    sh->interactive = !o->n_command && !n_script && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    sh->keep_going = o->keep_going;
    sh->quiet = o->quiet;
    sh_log_free(sh);
    sh->log = sh_log_new(o->db, !o->no_log);
    if (!sh->log || !apply_all(sh, o))
        return EXIT_USAGE;
    sh_signals_install();
    if (sh->interactive && !o->no_init)
        read_init(sh);
    if (sh->interactive)
        interact(sh, o);
    else
        batch(sh, o, scripts, n_script);
    if (sh_out_redirect(sh, NULL, NULL) || sh_out_finish(sh, SH_OK) != SH_OK)
        sh->failed = true;
    return exit_status(sh);
}

int main(int argc, char **argv)
{
    struct options o = {.db = NULL};
    struct sh sh;
    struct vq_err err;
    if (argc > 1 && strcmp(argv[1], SH_VOCAB_MAKER) == 0)
        return sh_vocab_maker_main(argc - 2, argv + 2);
    setlocale(LC_CTYPE, "");
    if (!have_standard_files())
        return EXIT_FAILED;
    int status = parse_options(argc, argv, &o);
    if (status < 0 && sh_init(&sh, &err)) {
        fprintf(stderr, "vqsh: %s\n", err.msg);
        status = EXIT_FAILED;
    }
    if (status < 0) {
        status = run(&sh, &o, argv + optind, argc - optind);
        sh_release(&sh);
    }
    free(o.commands);
    free(o.loads);
    return status;
}
