/*
 * history: the inputs of this and earlier sessions, and the file that keeps them:
 * $XDG_STATE_HOME/vqsh/history, else ~/.local/state/vqsh/history, for its owner alone.
 *
 * An entry is a line of the file; newlines and backslashes inside it are written \n and \\. Each
 * entry is appended when it is entered, in one write, so shells that run side by side lose none of
 * each other's; at the end the file is cut to its size under a lock.
 */
#ifndef VQ_REPL_HISTORY_H
#define VQ_REPL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

struct sh;

/* Reads the file. Without one, or when it cannot be used, entries are kept in memory. */
void sh_history_open(struct sh *sh);
/* Cuts the file to `set history` entries. */
void sh_history_close(struct sh *sh);

/* Adds an input. One that is empty, begins with a blank, or repeats the one before is not kept;
 * false then. */
bool sh_history_add(struct sh *sh, const char *text);

/* Oldest first. */
size_t sh_history_count(void);
const char *sh_history_at(size_t i);
/* Forgets all entries, those of the file too. */
void sh_history_clear(struct sh *sh);

#endif
