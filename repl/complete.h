/*
 * complete: what could stand at the cursor. A pure function of session, line and cursor: no
 * terminal, no readline (line.c adapts it).
 */
#ifndef VQ_REPL_COMPLETE_H
#define VQ_REPL_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "repl/sh.h"

struct sh_candidates {
    char **v; /* whole replacements for the word at the cursor, unquoted */
    size_t n, cap;
    size_t start;  /* byte of the line where that word begins, quotes included */
    bool is_path;  /* candidates are files: a folder ends in '/' and takes no blank after it */
    bool no_space; /* no blank after a single candidate */
};

/* Candidates in the order to show them, each once. False when out of memory. Release with
 * sh_candidates_release(). */
bool sh_complete(struct sh *sh, const char *line, size_t cursor, struct sh_candidates *out);
void sh_candidates_release(struct sh_candidates *c);

#endif
