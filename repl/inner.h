/*
 * inner: commands inside a command. What a report shows are the results of other commands, so it
 * calls them: with their own arguments, their messages under the name of the command that the user
 * gave, and their results where the caller wants them.
 */
#ifndef VQ_REPL_INNER_H
#define VQ_REPL_INNER_H

#include "repl/opt.h"
#include "repl/out.h"

/* Parses `line` ("plot usage all") against its command and calls run, or the command itself where
 * run is NULL. Mistakes in it are reported without a caret. */
enum sh_rc sh_inner(struct sh *sh, const char *line,
                    enum sh_rc (*run)(struct sh *sh, const struct sh_args *a, void *ud), void *ud);

/* Appends to `to`, as HTML, all results that `run` gives, while no result of the caller's is open.
 * Notes are left unsaid meanwhile. Returns what run returned. */
enum sh_rc sh_inner_html(struct sh *sh, struct vq_text *to,
                         enum sh_rc (*run)(struct sh *sh, void *ud), void *ud);

#endif
