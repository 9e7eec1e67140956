/*
 * signals: Ctrl-C, and being asked to end. Handlers only count and wake; what follows is decided by
 * whoever looks. Installed once, by main.
 *
 * SIGINT stops the command that runs (through sh_cancel) or clears the line at the prompt; the
 * third within one command leaves at once with 130, for a command that does not answer. SIGTERM and
 * SIGHUP stop the command and end the program. SIGPIPE is ignored: a closed pipe is a failed write.
 * SIGBUS, a mapped file that lost its pages, says so before it kills.
 */
#ifndef VQ_REPL_SIGNALS_H
#define VQ_REPL_SIGNALS_H

#include <stdbool.h>

void sh_signals_install(void);

/* A command begins or ends: while one runs, the third interrupt leaves. Returns what it was. */
bool sh_signals_command(bool begins);
/* How often SIGINT came since the last sh_signals_clear(). */
int sh_signals_interrupted(void);
void sh_signals_clear(void);
/* The signal that asked the program to end, or 0. */
int sh_signals_ending(void);
/* The program was stopped and goes on; true once for each time. The terminal must be set up and
 * drawn anew. */
bool sh_signals_continued(void);
/* Blocks until fd can be read (true) or a signal came (false): one of the three above. */
bool sh_signals_wait(int fd);

#endif
