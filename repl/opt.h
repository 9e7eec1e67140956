/*
 * opt: a command's words against its option table: typed, ranged, with defaults. Handlers ask for
 * values by name and index; what is wrong with a word was said before the handler ran.
 *
 *     --name value   --name=value   -n 5   -n5   --flag   --no-flag   --   (the rest: positionals)
 *
 * A word that begins with '-' and goes on with a digit or a '.' is a value, never an option. Long
 * names are matched exactly. Options may stand anywhere among the positionals.
 */
#ifndef VQ_REPL_OPT_H
#define VQ_REPL_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repl/modlist.h"
#include "repl/sh.h"

/* What a positional or an option's value is: how it is checked, and how it is completed. */
enum sh_kind {
    SH_TEXT = 0,
    SH_FLAG,     /* options only: no value */
    SH_INT,      /* int64, with K, M, G taken as 10^3, 10^6, 10^9 */
    SH_SEED,     /* uint64, decimal or 0x */
    SH_REAL,     /* double */
    SH_POSITION, /* int64; negative counts from the end */
    SH_PATH,     /* a file or folder; a leading ~/ that is not quoted becomes the home folder */
    SH_OUTPATH,  /* the same for a file to be written */
    SH_CHOICE,   /* one of `choices`; a unique beginning will do at the prompt only */
    SH_MODULES,  /* "0.1,2.2", "0-3", "all", "3.2:0"; checked against the current model */
    SH_MODULE,   /* exactly one module, perhaps with a head */
    SH_TENSOR,   /* name or glob of a tensor of the current model */
    SH_MODEL,    /* name of a loaded model */
    SH_STATE,    /* name of a saved state of the current model */
    SH_RUN,      /* id of a recorded run */
    SH_PRESET,   /* one of vq_preset_name() */
    SH_SETTING,  /* one of settings.h */
    SH_VALUE,    /* a value of the setting named just before */
    SH_COMMAND,  /* a command's name, or words to look for in help */
    SH_PAIR,     /* key=value with a key of the model configuration (config.h) */
    SH_ONOFF,    /* on or off (true, false, yes, no, 1, 0) */
    SH_FILTER,   /* part of a filter over recorded runs (runs.h) */
    SH_FIELDS,   /* attributes of runs, separated by commas */
    SH_SQL,      /* an SQL query on the run database */
    SH_METRIC,   /* name of a metric of recorded runs */
    SH_TAG,      /* a tag of recorded runs, or a new one */
};
const char *sh_kind_name(enum sh_kind kind); /* "N", "FILE", ... as shown in help */

struct sh_opt {
    const char *name; /* without dashes; a name of one letter is given as -k alone */
    char letter;      /* 'n' for -n as well, or 0 */
    enum sh_kind kind;
    const char *value;   /* how help shows the value; NULL: sh_kind_name(kind) */
    const char *def;     /* the default as one would type it; NULL: none */
    double min, max;     /* inclusive, for SH_INT and SH_REAL; both 0: any; max < min: no maximum */
    const char *choices; /* space-separated, for SH_CHOICE */
    const char *help;    /* one line, no full stop */
    bool many;           /* may be repeated; all values are kept */
};
#define SH_OPT_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* One parsed value. */
struct sh_value {
    const char *text;    /* as given (~ expanded), NUL-terminated */
    int word;            /* its word's index in the command; -1 for a default */
    int64_t i;           /* SH_INT, SH_POSITION */
    uint64_t seed;       /* SH_SEED */
    double real;         /* SH_REAL */
    bool flag;           /* SH_FLAG, SH_ONOFF */
    struct sh_mod *mods; /* SH_MODULES, SH_MODULE; owned by the sh_args */
    size_t n_mod;
    char *owned; /* text, when it had to be made; owned by the sh_args */
};

struct sh_args {
    const struct sh_cmd *cmd;
    struct sh_value *pos; /* positionals */
    int n_pos;
    struct sh_value *opt; /* values of options in the order given */
    int *opt_row;         /* the row of cmd->opts that opt[i] belongs to */
    int n_opt;
    struct sh_value *def; /* the default of each row of cmd->opts that has one */
};

struct sh_word; /* repl/split.h */
/* Whether a word is an option, or "--", rather than a value. */
bool sh_is_option(const struct sh_word *w);

/*
 * Parses words 1.. against cmd->opts and cmd->kinds. Reports through sh_bad_arg (wrong option:
 * nearest one; wrong number of positionals: the usage) and returns SH_USAGE; `out` then holds
 * nothing. Release with sh_args_release().
 */
enum sh_rc sh_args_parse(struct sh *sh, const struct sh_cmd *cmd, const struct sh_words *words,
                         struct sh_args *out);
void sh_args_release(struct sh_args *a);

/* Positionals: how many, and the i-th as text (NULL when not given) or as its kind's value. */
int sh_arg_count(const struct sh_args *a);
const char *sh_arg(const struct sh_args *a, int i);
const struct sh_value *sh_arg_value(const struct sh_args *a, int i); /* NULL when not given */
int sh_arg_word(const struct sh_args *a, int i);                     /* for sh_bad_arg */

/*
 * Options by name. A name that is not in the command's table is a mistake in the program and ends
 * it. The value is the last one given, else the default; text is NULL and numbers are 0 when there
 * is neither, so ask sh_opt_given() where 0 means something.
 */
bool sh_opt_given(const struct sh_args *a, const char *name); /* by the user, not by default */
bool sh_opt_flag(const struct sh_args *a, const char *name);
const char *sh_opt_text(const struct sh_args *a, const char *name);
int64_t sh_opt_int(const struct sh_args *a, const char *name);
double sh_opt_real(const struct sh_args *a, const char *name);
/* NULL when not given: what sh_seed() takes. */
const uint64_t *sh_opt_seed(const struct sh_args *a, const char *name);
const struct sh_value *sh_opt_value(const struct sh_args *a, const char *name); /* NULL: neither */
int sh_opt_word(const struct sh_args *a, const char *name);                     /* for sh_bad_arg */

/* Repeated options: how many were given, and the i-th. */
size_t sh_opt_count(const struct sh_args *a, const char *name);
const char *sh_opt_nth(const struct sh_args *a, const char *name, size_t i);
/* All of them as an array for core (vq_model_options.set); valid as long as `a`; *n may be 0. The
 * caller frees the array, not the strings. NULL when out of memory. */
const char **sh_opt_all(const struct sh_args *a, const char *name, size_t *n);

/* The given options and positionals as a JSON object, for run records. */
struct vq_text;
void sh_args_to_json(const struct sh_args *a, struct vq_text *out);

/*
 * Numbers as typed: whole text, locale-independent. SH_INT takes a suffix K, M or G. False when the
 * text is no such number or does not fit.
 */
bool sh_parse_int(const char *text, int64_t *out);
bool sh_parse_seed(const char *text, uint64_t *out);
bool sh_parse_real(const char *text, double *out);
bool sh_parse_onoff(const char *text, bool *out);
/* True when `word` is one of the space-separated `choices`. */
bool sh_in_choices(const char *choices, const char *word);
/* The i-th of space-separated choices into buf; NULL past the last. */
const char *sh_choice_at(const char *choices, size_t i, char *buf, size_t len);

/*
 * One value of `kind` out of `text`, which stands `offset` bytes into word `word`; o gives range
 * and choices and is NULL for a positional, whose choices are cmd's. Reports and returns SH_USAGE
 * when it is none. For opt.c and the table tests.
 */
enum sh_rc sh_value_parse(struct sh *sh, const struct sh_cmd *cmd, enum sh_kind kind,
                          const struct sh_opt *o, const char *text, int word, size_t offset,
                          struct sh_value *out);
void sh_value_release(struct sh_value *v);

#endif
