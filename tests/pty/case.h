/*
 * case: one case of the terminal tests, and the tables of them. A case is a function that returns
 * NULL, or what went wrong; the terminal is open and the first prompt drawn.
 */
#ifndef VQ_TESTS_PTY_CASE_H
#define VQ_TESTS_PTY_CASE_H

#include "tests/pty/terminal.h"

struct pty_case {
    const char *name; /* NULL ends a table */
    const char *(*run)(struct terminal *t);
    struct term_options options;
    bool editing; /* needs readline */
};

#define WANT(condition, otherwise)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return otherwise;                                                                      \
    } while (0)

/* Cases that need a model; their names begin with "model_". */
extern const struct pty_case model_cases[];

#endif
