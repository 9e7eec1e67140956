/*
 * The command table. To add a command:
 *
 *   1. In repl/cmd_FAMILY.c write its handler, `static enum sh_rc run_x(struct sh *, const struct
 *      sh_args *)`. Arguments come through opt.h, results go out through out.h, failures return
 *      sh_fail(), sh_failf() or sh_bad_arg(), and long work passes sh_cancel(sh) on.
 *   2. Below it write its row, `const struct sh_cmd cmd_x = {.name = "x", ..., .run = run_x};`
 *      (cmds.h): group, usage, summary, options, what it needs, examples.
 *   3. Here, add X(x) to COMMANDS. Dispatch, help, usage errors, completion, the README's list and
 *      the tests of the table follow from the row by themselves.
 *   4. Add a transcript of what it prints to tests/repl/.
 *
 * test_opt reads every row: a summary of at most 72 characters, a group of the list below, options
 * with help and legal defaults, examples that parse on the shipped model.
 */
#include "repl/cmds.h"

/* The commands, in the order of their groups. */
#define COMMANDS(X)                                                                                \
    X(load)                                                                                        \
    X(models)                                                                                      \
    X(use)                                                                                         \
    X(unload)                                                                                      \
    X(info)                                                                                        \
    X(tensors)                                                                                     \
    X(save)                                                                                        \
    X(tokenize)                                                                                    \
    X(detokenize)                                                                                  \
    X(feed)                                                                                        \
    X(reset)                                                                                       \
    X(state)                                                                                       \
    X(score)                                                                                       \
    X(next)                                                                                        \
    X(verify)                                                                                      \
    X(eval)                                                                                        \
    X(sample)                                                                                      \
    X(codebook)                                                                                    \
    X(code)                                                                                        \
    X(codes)                                                                                       \
    X(search)                                                                                      \
    X(cache)                                                                                       \
    X(attn)                                                                                        \
    X(stream)                                                                                      \
    X(lens)                                                                                        \
    X(attribute)                                                                                   \
    X(surprise)                                                                                    \
    X(compare)                                                                                     \
    X(check)                                                                                       \
    X(export)                                                                                      \
    X(plot)                                                                                        \
    X(report)                                                                                      \
    X(train)                                                                                       \
    X(bench)                                                                                       \
    X(vocab)                                                                                       \
    X(runs)                                                                                        \
    X(run)                                                                                         \
    X(diff)                                                                                        \
    X(watch)                                                                                       \
    X(replay)                                                                                      \
    X(tag)                                                                                         \
    X(untag)                                                                                       \
    X(name)                                                                                        \
    X(note)                                                                                        \
    X(rm)                                                                                          \
    X(undo)                                                                                        \
    X(purge)                                                                                       \
    X(gc)                                                                                          \
    X(import)                                                                                      \
    X(merge)                                                                                       \
    X(sql)                                                                                         \
    X(param)                                                                                       \
    X(help)                                                                                        \
    X(set)                                                                                         \
    X(show)                                                                                        \
    X(output)                                                                                      \
    X(timing)                                                                                      \
    X(history)                                                                                     \
    X(source)                                                                                      \
    X(quit)                                                                                        \
    X(complete)

#define DECLARE(name) extern const struct sh_cmd cmd_##name;
COMMANDS(DECLARE)

#define ROW(name) &cmd_##name,
static const struct sh_cmd *const table[] = {COMMANDS(ROW)};

static const char *const groups[] = {"models", "text",  "state", "judge", "sample", "inspect",
                                     "export", "train", "runs",  "shell", NULL};

size_t sh_cmd_count(void)
{
    return sizeof(table) / sizeof(table[0]);
}

const struct sh_cmd *sh_cmd_at(size_t i)
{
    return table[i];
}

const char *const *sh_cmd_groups(void)
{
    return groups;
}
