/*
 * line: reading inputs from a person. The only file that knows readline; with READLINE=0 it reads
 * plain lines. Used only when stdin and stdout are both terminals.
 */
#ifndef VQ_REPL_LINE_H
#define VQ_REPL_LINE_H

#include "repl/sh.h"

/* Prepares the terminal and the history. */
void sh_line_open(struct sh *sh);
void sh_line_close(struct sh *sh);

enum sh_line {
    SH_LINE_TEXT,
    SH_LINE_EOF,    /* Ctrl-D on an empty line, or the terminal is gone */
    SH_LINE_CLEARED /* Ctrl-C, or the program is asked to end */
};
/* Reads one input: a line, or several when quotes are open or lines were pasted together. *text is
 * the caller's to free, NULL unless SH_LINE_TEXT. Inputs enter the history here. */
enum sh_line sh_line_read(struct sh *sh, char **text);

/* Forgets the history, in the file too. */
void sh_line_forget(struct sh *sh);

#endif
