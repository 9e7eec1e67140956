/*
 * export_runs: the kinds of `export` that write the run database instead of an array.
 */
#ifndef VQ_REPL_EXPORT_RUNS_H
#define VQ_REPL_EXPORT_RUNS_H

#include "repl/opt.h"

#define SH_EXPORT_RUNS_CHOICES "runs metrics samples tensorboard"

/* Rows of the option table. */
#define SH_EXPORT_RUNS_OPTS                                                                        \
    {.name = "where",                                                                              \
     .letter = 'w',                                                                                \
     .kind = SH_FILTER,                                                                            \
     .help = "runs, metrics, samples, tensorboard: only runs that pass (help runs)"},              \
    {                                                                                              \
        .name = "as", .kind = SH_CHOICE, .choices = "csv json jsonl markdown",                     \
        .help = "runs, metrics, samples: format (default: by the name, else csv)"                  \
    }

/* Whether `what` is one of the above. */
bool sh_is_run_export(const char *what);
/* Writes what positional 0 names to positional 1. */
enum sh_rc sh_export_runs(struct sh *sh, const struct sh_args *a);

#endif
