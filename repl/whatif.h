/*
 * whatif: what the model would say if its cache held less: `cache drop`, `cache keep`,
 * `cache window-only`. Works on copies of the session; --apply alone changes it.
 */
#ifndef VQ_REPL_WHATIF_H
#define VQ_REPL_WHATIF_H

#include "repl/models.h"
#include "repl/opt.h"

/* The verbs, as they stand in the place of MODULES. */
#define SH_WHATIF_VERBS "drop keep window-only"

/* Runs the verb that is the command's first argument. The command's table has SH_INPUT_OPTS,
 * SH_ROW_OPT, top, apply and out. */
enum sh_rc sh_whatif(struct sh *sh, const struct sh_args *a, struct sh_model *m);

#endif
