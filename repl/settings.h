/*
 * settings: everything that `set` changes. One table: name, kind, range, default, help, and where
 * the value lives in struct sh_settings. `set`, `show`, completion and validation read it.
 */
#ifndef VQ_REPL_SETTINGS_H
#define VQ_REPL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct sh;

struct sh_settings {
    char format[16];       /* "auto": table on a terminal, plain elsewhere */
    char color[8];         /* auto always never */
    char pager[8];         /* on off */
    char preview[8];       /* auto half kitty sixel none: how pictures are shown in the terminal */
    char weights[8];       /* f32 bf16 int8: how `load` prepares weights */
    char state[8];         /* auto f32 bf16 int8: the format of values in the attention state */
    char skip[8];          /* auto zero light none: rows of values that are not read */
    char gemm[16];         /* matrix product back-end, or "auto" */
    char seed[24];         /* "random", or a number */
    char model_path[1024]; /* folders where replay looks for models, separated by ':' */
    int64_t threads;       /* 0: the processors we may run on */
    int64_t width;         /* columns to lay out for; 0: the terminal's */
    int64_t history;       /* entries kept in the history file */
    bool timing;
    bool read_only;            /* the run database is only read */
    double temperature, top_p; /* of `sample` */
    int64_t top_k;
};

enum sh_set_type {
    SH_SET_INT,
    SH_SET_REAL,
    SH_SET_BOOL,
    SH_SET_CHOICE,
    SH_SET_SEED,
    SH_SET_GEMM,
    SH_SET_TEXT
};

struct sh_setting {
    const char *name;
    enum sh_set_type type;
    size_t offset, size; /* of the member */
    double min, max;
    const char *choices; /* space-separated, for SH_SET_CHOICE */
    const char *def;     /* as one would type it */
    const char *help;
    /* Called after a change; may refuse it, which restores the old value. NULL: nothing to do. */
    enum vq_status (*changed)(struct sh *sh, struct vq_err *err);
};

size_t sh_setting_count(void);
const struct sh_setting *sh_setting_at(size_t i);
const struct sh_setting *sh_setting_find(const char *name); /* NULL */

void sh_settings_default(struct sh_settings *s);
/* VQ_EINVAL names the range or the choices, VQ_ENOTFOUND the nearest setting. */
enum vq_status sh_setting_set(struct sh *sh, const char *name, const char *value,
                              struct vq_err *err);
/* Puts the value into the open result under `key`, as what it is: a number, a boolean, or text. */
void sh_setting_put(struct sh *sh, const char *key, const struct sh_setting *st,
                    const struct sh_settings *from);
/* The value as one would type it. Returns buf. */
const char *sh_setting_text(const struct sh *sh, const struct sh_setting *st, char *buf,
                            size_t len);

#endif
