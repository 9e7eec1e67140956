/*
 * terminal: pictures on the screen, for the commands that have one to show.
 */
#ifndef VQ_REPL_TERMINAL_H
#define VQ_REPL_TERMINAL_H

#include "repl/sh.h"
#include "viz/canvas.h"
#include "viz/term.h"

/* How pictures are to be shown (`set preview`, the colours the terminal has). False when they are
 * not: results do not go to a terminal, or preview is none. */
bool sh_terminal_pictures(const struct sh *sh, struct viz_term *out);
/* Prints lines made by viz_term_*; clears the progress line first. */
void sh_terminal_put(struct sh *sh, const char *text);
/* Shows a whole picture, scaled to the width; does nothing where pictures are not shown. */
void sh_terminal_canvas(struct sh *sh, struct viz_canvas *c);

#endif
