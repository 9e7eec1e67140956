/*
 * shell: a session whose results and messages are caught in memory, for tests of the shell.
 */
#ifndef VQ_TESTS_UNIT_SHELL_H
#define VQ_TESTS_UNIT_SHELL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repl/out.h"
#include "repl/sh.h"

struct shell {
    struct sh sh;
    FILE *results, *messages;
    char *out, *said; /* since the last shell_run() */
    size_t n_out, n_said;
};

static inline void shell_open(struct shell *s)
{
    struct vq_err err;
    memset(s, 0, sizeof(*s));
    assert_int_equal(sh_init(&s->sh, &err), VQ_OK);
    s->results = open_memstream(&s->out, &s->n_out);
    s->messages = open_memstream(&s->said, &s->n_said);
    assert_non_null(s->results);
    assert_non_null(s->messages);
    sh_out_free(s->sh.out);
    s->sh.out = sh_out_new(s->results, s->messages);
    assert_non_null(s->sh.out);
}

static inline void shell_close(struct shell *s)
{
    sh_release(&s->sh);
    fclose(s->results);
    fclose(s->messages);
    free(s->out);
    free(s->said);
}

/* Forgets what was printed before. */
static inline void shell_clear(struct shell *s)
{
    fflush(s->results);
    fflush(s->messages);
    rewind(s->results);
    rewind(s->messages);
}

/* What was printed since, NUL-terminated. */
static inline const char *shell_out(struct shell *s)
{
    fflush(s->results);
    s->out[s->n_out] = '\0';
    return s->out;
}

static inline const char *shell_said(struct shell *s)
{
    fflush(s->messages);
    s->said[s->n_said] = '\0';
    return s->said;
}

/* Runs commands as -c does. */
static inline enum sh_rc shell_run(struct shell *s, const char *text)
{
    shell_clear(s);
    return sh_exec_text(&s->sh, text, strlen(text), NULL);
}

#endif
