/*
 * line: reading lines from a person. The only file that knows readline; with READLINE=0 it reads
 * plain lines. Used only when stdin and stdout are both terminals.
 */
#ifndef VQ_REPL_LINE_H
#define VQ_REPL_LINE_H

#include <stddef.h>

#include "repl/sh.h"

/* Prepares the terminal and reads the history file. */
void sh_line_open(struct sh *sh);
/* Merges this session's entries into the history file. Safe to call more than once. */
void sh_line_close(struct sh *sh);

enum sh_line { SH_LINE_TEXT, SH_LINE_EOF, SH_LINE_CLEARED };
/* Reads one input: a line, or several when quotes are open or lines were pasted together. *text is
 * the caller's to free. SH_LINE_CLEARED after Ctrl-C. */
enum sh_line sh_line_read(struct sh *sh, char **text);

/* The entries of this and earlier sessions, oldest first; i < count. */
size_t sh_line_history_count(void);
const char *sh_line_history_at(size_t i);
void sh_line_history_clear(struct sh *sh);

#endif
