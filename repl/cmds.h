/*
 * cmds: what a command is, and the table of all of them. Dispatch, help, completion, usage errors,
 * the README's list and the table tests read this table; nothing about a command is written down
 * twice.
 */
#ifndef VQ_REPL_CMDS_H
#define VQ_REPL_CMDS_H

#include "core/base/text.h"
#include "repl/opt.h"
#include "repl/sh.h"

/* What must hold before run() is called; checked by the dispatcher, which says what to do. */
enum {
    SH_NEED_MODEL = 1u << 0, /* sh_model_current() is not NULL */
    SH_NEED_STORE = 1u << 1, /* sh_store() is open */
    SH_NEED_TEXT = 1u << 2,  /* the current model's vocabulary encodes and decodes text */
    SH_NEED_IMAGE = 1u << 3, /* the current model's sequences are pictures */
};
enum {
    SH_HIDDEN = 1u << 0, /* neither in help nor in completion */
    SH_RAW = 1u << 1,    /* everything after the name is one positional, quotes and all, as typed;
                            a text that is one quoted word loses its quotes; no options */
};

struct sh_cmd {
    const char *name;
    const char *group;                /* heading in `help`: one of sh_cmd_groups() */
    const char *args;                 /* usage after the name: "MODULE [--pos P]"; "" for none */
    const char *summary;              /* imperative, no full stop, at most 72 characters */
    const char *detail;               /* paragraphs for `help NAME`, or NULL */
    void (*list)(struct vq_text *to); /* puts lines below the detail, made from a table; or NULL */
    const char *const *examples; /* NULL-ended; each runs on the shipped model once it is loaded */
    int min_args, max_args;      /* positionals; max -1: any number */
    enum sh_kind kinds[4];       /* of the positionals; the last one given repeats */
    unsigned needs, flags;
    const struct sh_opt *opts; /* ends with SH_OPT_END; NULL for none */
    enum sh_rc (*run)(struct sh *sh, const struct sh_args *a);
    const char *aliases;     /* space-separated other names, or NULL */
    const char *pos_choices; /* what SH_CHOICE positionals may be, and words that may stand where
                                SH_MODULES are expected; space-separated, or NULL */
};

size_t sh_cmd_count(void);
const struct sh_cmd *sh_cmd_at(size_t i);
/* By exact name or alias; NULL when there is none. */
const struct sh_cmd *sh_cmd_find(const char *name);
/* By unique beginning of a name; NULL when none or several begin so. */
const struct sh_cmd *sh_cmd_prefix(const char *name);
/* The name that was probably meant; NULL when none is near. */
const char *sh_cmd_nearest(const char *name);
/* The headings in order, NULL-ended. */
const char *const *sh_cmd_groups(void);
/* The kind of positional i. */
enum sh_kind sh_cmd_kind(const struct sh_cmd *cmd, int i);

/* "load PATH [--preset P]" into buf. Returns buf. */
const char *sh_cmd_usage(const struct sh_cmd *cmd, char *buf, size_t len);

/* What `help NAME` prints. */
enum sh_rc sh_help_command(struct sh *sh, const struct sh_cmd *cmd);

/* The nearest of n names to `word` by edit distance, if near enough to be meant; else NULL. */
const char *sh_nearest(const char *word, const char *(*name)(void *ud, size_t i), size_t n,
                       void *ud);

#endif
