/*
 * webpage: one HTML file that needs nothing else: no network, no other file. Sections are headings
 * with paragraphs, the results of commands as tables, charts and pictures; a table of contents is
 * made from the headings. Tables sort by a click or a key, folded parts open when it is printed.
 *
 * Failures stick: after the first, which has been reported, nothing more is added.
 */
#ifndef VQ_REPL_WEBPAGE_H
#define VQ_REPL_WEBPAGE_H

#include "core/base/text.h"
#include "repl/sh.h"
#include "viz/canvas.h"

struct sh_webpage {
    struct sh *sh;
    struct vq_text body, contents;
    size_t sections, figures;
    enum sh_rc rc;
};

/* Init with {.sh = sh}; release in every case. */
void sh_webpage_release(struct sh_webpage *w);

void sh_webpage_section(struct sh_webpage *w, const char *heading);
void sh_webpage_heading(struct sh_webpage *w, const char *heading); /* inside a section */
void sh_webpage_say(struct sh_webpage *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What follows is folded under a line of text, until the end. */
void sh_webpage_fold(struct sh_webpage *w, const char *summary);
void sh_webpage_unfold(struct sh_webpage *w);

/* What a command of the shell finds, as tables. */
void sh_webpage_command(struct sh_webpage *w, const char *command);
/* What `plot` draws for these arguments ("usage all"), with a caption below. */
void sh_webpage_plot(struct sh_webpage *w, const char *arguments, const char *caption);
/* Running text of any bytes, with a caption above. */
void sh_webpage_text(struct sh_webpage *w, const char *caption, const char *s, size_t n);
/* A row of small PNG or other picture files, as they are; one that is gone is said to be. */
void sh_webpage_pictures_begin(struct sh_webpage *w);
void sh_webpage_picture(struct sh_webpage *w, const char *path, const char *caption);
void sh_webpage_pictures_end(struct sh_webpage *w);

/* Writes the page, whole or not at all; *size is what it takes. */
enum vq_status sh_webpage_write(struct sh_webpage *w, const char *path, const char *title,
                                size_t *size, struct vq_err *err);

#endif
