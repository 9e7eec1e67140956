/*
 * webpage: one HTML file that needs nothing else: no network, no other file. Sections hold
 * paragraphs, facts, the results of commands as tables, charts and pictures; a table of contents
 * leads to them. Tables sort by a click or a key, folded parts open when it is printed, and all of
 * it can be read without any script.
 *
 * The file is written as it grows, so memory does not grow with it, and takes its name at the end,
 * whole. Failures stick: after the first, which has been reported, nothing more is added.
 */
#ifndef VQ_REPL_WEBPAGE_H
#define VQ_REPL_WEBPAGE_H

#include "core/base/text.h"
#include "core/store/value.h"
#include "repl/sh.h"

struct sh_webpage {
    struct sh *sh;
    enum sh_rc rc;
    struct vq_text out; /* not yet written */
    struct vq_writer *file;
    size_t bytes, sections, figures, tables;
    size_t runs; /* told about */
};

/* A part of a page: what is to be said under a heading, where `there` (NULL: always) finds
 * something. `id` is the end of the part's address, as in page.html#codebooks. */
struct sh_webpage_part {
    const char *id, *heading;
    bool (*there)(const void *ud);
    void (*put)(struct sh_webpage *w, void *ud);
    bool small; /* needs no new sheet when the page is printed */
};

/* Init with {.sh = sh}; open comes first, and in every case close last: it writes the page or, if
 * anything failed, leaves what was at `path` alone. *bytes is the size of what it wrote. */
void sh_webpage_open(struct sh_webpage *w, const char *path, const char *title);
enum sh_rc sh_webpage_close(struct sh_webpage *w, size_t *bytes);

/* The contents and then all parts. */
void sh_webpage_parts(struct sh_webpage *w, const struct sh_webpage_part *parts, size_t n,
                      void *ud);

void sh_webpage_heading(struct sh_webpage *w, const char *heading); /* inside a part */
void sh_webpage_say(struct sh_webpage *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What follows is folded under a line of text, until the end. With an id it can be led to. */
void sh_webpage_fold(struct sh_webpage *w, const char *id, const char *summary, bool open);
void sh_webpage_unfold(struct sh_webpage *w);
/* What follows stands side by side where there is room, until the end. */
void sh_webpage_beside(struct sh_webpage *w);
void sh_webpage_beside_end(struct sh_webpage *w);

/* A few numbers to see first: begin, some of them, end. */
void sh_webpage_tiles(struct sh_webpage *w);
void sh_webpage_tile(struct sh_webpage *w, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sh_webpage_tiles_end(struct sh_webpage *w);

/* Names and values: begin, facts, end. A value that is NULL or "" is left out. */
void sh_webpage_facts(struct sh_webpage *w);
void sh_webpage_fact(struct sh_webpage *w, const char *name, const char *value);
void sh_webpage_factf(struct sh_webpage *w, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sh_webpage_facts_end(struct sh_webpage *w);

/* A table: its caption, names of columns, rows of cells, end. `numbers` [n] says which columns are
 * set to the right; NULL: none, not even numbers. */
void sh_webpage_table(struct sh_webpage *w, const char *caption);
void sh_webpage_columns(struct sh_webpage *w, const char *const *names, const bool *numbers,
                        size_t n);
void sh_webpage_row(struct sh_webpage *w);
void sh_webpage_cell(struct sh_webpage *w, const struct vq_value *v);
void sh_webpage_link(struct sh_webpage *w, const char *id, const char *text); /* a cell too */
void sh_webpage_digits(struct sh_webpage *w, const char *digits); /* a whole number of any size */
/* A moment as a cell, in seconds since 1970; nothing where it is not finite. */
void sh_webpage_moment(struct sh_webpage *w, double seconds);
void sh_webpage_row_end(struct sh_webpage *w);
void sh_webpage_table_end(struct sh_webpage *w);
/* A table of what `list` says through out.h. */
void sh_webpage_list(struct sh_webpage *w, const char *caption,
                     enum sh_rc (*list)(struct sh *sh, void *ud), void *ud);
/* What a command of the shell finds. `shown` is the command as a reader could repeat it; NULL: the
 * same. */
void sh_webpage_command(struct sh_webpage *w, const char *command, const char *shown);

/* What `plot` draws for these arguments ("usage all"). `shown` is what a reader could draw it with;
 * NULL: not worth showing. */
void sh_webpage_plot(struct sh_webpage *w, const char *arguments, const char *shown,
                     const char *caption);
/* Running text of any bytes, with a caption above. */
void sh_webpage_text(struct sh_webpage *w, const char *caption, const char *s, size_t n);
/* Rows of small PNG files, as they are; one that is gone is said to be. */
void sh_webpage_pictures(struct sh_webpage *w);
void sh_webpage_picture(struct sh_webpage *w, const char *path, const char *caption);
void sh_webpage_pictures_end(struct sh_webpage *w);

/* Where the calls above do not reach: HTML to be put at the end of w->out, then this. */
void sh_webpage_flush(struct sh_webpage *w);

/* webpage_style.c: what every page carries. */
extern const char sh_webpage_style[];
extern const char sh_webpage_script[];

#endif
