/*
 * terminal: a shell under test behind a pseudo-terminal: keys go in, what it draws comes out.
 * Every session has a home folder of its own and a pinned environment, so that nothing on the
 * machine changes what is seen.
 */
#ifndef VQ_TESTS_PTY_TERMINAL_H
#define VQ_TESTS_PTY_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct terminal {
    pid_t pid;
    int fd;
    char home[64]; /* the session's folder, removed by term_close() */
    char *seen;    /* everything drawn so far, NUL-terminated */
    size_t n_seen, cap;
    size_t at; /* what was expected before ends here */
    bool gone; /* the shell has closed the terminal */
};

struct term_options {
    int rows, columns;       /* 0: 24 and 80 */
    const char *const *args; /* after "vqsh"; NULL-ended, or NULL */
    const char *const *env;  /* more "NAME=value"; NULL-ended, or NULL */
    const char *home;        /* an existing home folder instead of a new one; kept at the end */
};

/* Starts the shell ($VQSH, else ./vqsh). The environment is HOME, PATH, TERM=xterm-256color,
 * INPUTRC=/dev/null, LC_ALL=C.UTF-8, NO_COLOR=1 and o->env, in which "NO_COLOR=" takes it away. */
bool term_open(struct terminal *t, const struct term_options *o);
/* Ends the shell if it still runs, and forgets the session. */
void term_close(struct terminal *t);

void term_send(struct terminal *t, const char *keys);
void term_send_bytes(struct terminal *t, const char *keys, size_t n);

/* Reads on until `text` has been drawn after what the last expect found; false when the time is
 * over (10 s, or $PTY_TIMEOUT seconds). */
bool term_expect(struct terminal *t, const char *text);
/* Reads for a while; true when `text` has not been drawn after what the last expect found. */
bool term_absent(struct terminal *t, const char *text, int ms);

/* Waits for the shell to end: its exit status, 128 + signal, or -1 when the time is over. */
int term_wait(struct terminal *t);

/* A file below the session's home; the caller frees. NULL when there is none. */
char *term_file(const struct terminal *t, const char *name);

#endif
