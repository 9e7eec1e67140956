/*
 * sh: the session that every command works on, and the few calls that all of them share: reporting
 * an error, asking whether the user wants to stop, finding threads and random seeds.
 *
 * Layers: repl includes core and viz, never the other way round. Results go out through out.h,
 * models are reached through models.h, runs are recorded through runlog.h, and nothing in a
 * command writes to stdout or stderr by itself.
 */
#ifndef VQ_REPL_SH_H
#define VQ_REPL_SH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/pool.h"
#include "repl/settings.h"

enum sh_rc {
    SH_OK = 0,
    SH_ERR,        /* the command failed and has said why */
    SH_USAGE,      /* the command was called wrongly and has said how */
    SH_QUIT,       /* leave the shell */
    SH_INTERRUPTED /* stopped by Ctrl-C or a signal */
};

struct sh_args;   /* opt.h: a command's parsed words */
struct sh_cmd;    /* cmds.h: a row of the command table */
struct sh_out;    /* out.h: where results go */
struct sh_models; /* models.h: what is loaded */
struct sh_log;    /* runlog.h: the run being recorded, and the database */
struct sh_words;  /* split.h: the words of one command */

/* Where the text being run comes from, for messages. */
struct sh_source {
    const char *name; /* a script's path, "stdin", or NULL at the prompt and for -c */
    int line;         /* of the command's first line, from 1 */
};

#define SH_MAX_POOLS 16

struct sh {
    struct sh_settings set; /* settings.h; changed through `set` alone */
    struct sh_out *out;
    struct sh_models *models;
    struct sh_log *log;

    bool interactive; /* prompt, history, completion; false in scripts, -c and pipes */
    bool keep_going;  /* batch goes on after a failing command */
    bool quiet;       /* no notes, no progress */
    bool failed;      /* some command has failed */
    bool stop;        /* `quit` was given, or a signal asked to end */
    int exit_code;    /* of `quit N`; -1 when none was given */
    int depth;        /* of `source` inside `source` */

    struct sh_source source;
    const char *text; /* the text that words point into */
    size_t text_size;
    const struct sh_words *words; /* of the command that runs; NULL between commands */
    const struct sh_cmd *cmd;     /* the same command's row, NULL when it has none */
    const struct sh_args *args;   /* and its arguments */
    struct vq_cancel cancel;
    double started; /* seconds, monotonic, when the command began */
    char timing[256];

    struct vq_pool *pools[SH_MAX_POOLS]; /* one for each number of threads that was asked for */
    int n_pool;
};

/* A session with default settings that writes results to stdout. Free with sh_release(). */
enum vq_status sh_init(struct sh *sh, struct vq_err *err);
void sh_release(struct sh *sh);

/*
 * The only ways to report a failure. Each prints one message on stderr,
 *     vqsh: COMMAND: message            or, in a script,   FILE:LINE: COMMAND: message
 * and returns what the command should return.
 */

/* Says err->msg. SH_INTERRUPTED for VQ_ECANCELLED, else SH_ERR. */
enum sh_rc sh_fail(struct sh *sh, const struct vq_err *err);
/* The same for a message of the command's own; SH_ERR. */
enum sh_rc sh_failf(struct sh *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A wrong argument: prints the command again with a caret under word `word` (see sh_arg_word and
 * sh_opt_word in opt.h; 0 is the command's name); SH_USAGE. */
enum sh_rc sh_bad_arg(struct sh *sh, int word, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the caret `offset` bytes into the word. */
enum sh_rc sh_bad_arg_at(struct sh *sh, int word, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The line of sh->text around byte `at` with a caret under it; for errors of the splitter. */
void sh_point_at(struct sh *sh, size_t at);
/* A problem that does not fail the command: "vqsh: warning: ..." on stderr, even with --quiet. */
void sh_warn(struct sh *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* To be passed to core; also for loops of the shell's own: vq_cancelled(sh_cancel(sh)). Never
 * NULL. True once Ctrl-C was pressed during this command, or the process was asked to end. */
const struct vq_cancel *sh_cancel(struct sh *sh);
/* What to return from a loop that saw sh_cancel: says "interrupted"; SH_INTERRUPTED. */
enum sh_rc sh_interrupted(struct sh *sh);

/* The worker threads (`set threads`), made on first use and kept until the session ends, so engines
 * may hold on to them. NULL fills err. */
struct vq_pool *sh_pool(struct sh *sh, struct vq_err *err);

/* How many threads that is. */
int sh_threads(const struct sh *sh);

/* The seed to use: *given when the command got one (NULL: it did not), else the setting `seed`,
 * else one drawn from the system. Record and print what this returns: it repeats the run. */
uint64_t sh_seed(struct sh *sh, const uint64_t *given);

/* Something for the line that `timing on` prints after the command: "fetched in 0.1 s". */
void sh_timing_note(struct sh *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Monotonic seconds, for rates. */
double sh_now(void);

/*
 * Runs all the commands of a text (an input at the prompt, -c). `name` is for messages and may be
 * NULL. Stops at the first failure unless keep_going. Returns the last rc that was not SH_OK, or
 * SH_OK.
 */
enum sh_rc sh_exec_text(struct sh *sh, const char *text, size_t size, const char *name);
/* The same for what comes out of a file descriptor, line by line as it arrives. */
enum sh_rc sh_exec_stream(struct sh *sh, int fd, const char *name);
/* The same for a file; "-" is stdin. */
enum sh_rc sh_exec_file(struct sh *sh, const char *path);

#endif
