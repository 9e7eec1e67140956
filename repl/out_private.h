/*
 * out_private: what the files of out share. out.c keeps the result being built and writes it,
 * format.c turns rows into text, layout.c draws tables, screen.c knows the terminal: notes,
 * progress, colour, pager.
 */
#ifndef VQ_REPL_OUT_PRIVATE_H
#define VQ_REPL_OUT_PRIVATE_H

#include "core/base/text.h"
#include "core/base/utf8.h"
#include "repl/out.h"

enum sh_cell_kind {
    SH_CELL_NULL,
    SH_CELL_INT,
    SH_CELL_UINT,
    SH_CELL_F64,
    SH_CELL_F32,
    SH_CELL_BOOL,
    SH_CELL_TEXT,
    SH_CELL_JSON
};

struct sh_cell {
    enum sh_cell_kind kind;
    union {
        int64_t i;
        uint64_t u;
        double d;
        float f;
        bool b;
    } v;
    size_t at, len; /* SH_CELL_TEXT, SH_CELL_JSON: bytes of sh_result.text */
};

struct sh_column {
    char *name;
    bool hidden; /* from people */
    bool whole;  /* cut last of all on a narrow screen */
    int spare;   /* left out of a table that is too wide: the lowest first; 0: never */
};

enum sh_result_kind { SH_RESULT_NONE, SH_RESULT_RECORD, SH_RESULT_LIST, SH_RESULT_ACK };

/* The result being built: the rows not yet written. A record is one row. */
struct sh_result {
    enum sh_result_kind kind;
    struct sh_column *col;
    size_t n_col;
    struct sh_cell *cell; /* [n_row][n_col] */
    size_t n_row, cap_cell;
    struct vq_text text;
    size_t next;    /* the column a well-ordered command names next */
    size_t written; /* rows that have left already */
    bool nomem;
};

struct sh_out {
    FILE *results;  /* where results go now */
    FILE *screen;   /* where they go without `output` */
    FILE *messages; /* stderr */
    char *path;     /* of `output`, or NULL */
    bool tty, messages_tty;
    bool gone; /* the reader has closed the pipe */
    int error; /* errno of the first failed write since the last report */
    struct sh_result r;
    struct vq_text ready;       /* formatted, not yet written */
    struct vq_utf8_stream utf8; /* running text on a terminal */
    char last;                  /* last byte of running text, 0 before the first */
    bool progress;              /* a progress line is on the screen */
    double progress_at;         /* when it was drawn */
};

/* format.c: rows [0, n_row) of r as text. begin comes before the first row of a listing, end after
 * the last of any result. */
void sh_format_begin(enum sh_format f, const struct sh_result *r, struct vq_text *to);
void sh_format_row(enum sh_format f, const struct sh_result *r, size_t row, struct vq_text *to);
void sh_format_end(enum sh_format f, const struct sh_result *r, struct vq_text *to);
/* One cell as people read it: `round` shows reals with six digits. */
void sh_format_cell(const struct sh_result *r, const struct sh_cell *c, bool round,
                    struct vq_text *to);
/* Text with all that could steer a terminal escaped, and U+FFFD for what is no UTF-8; with `lines`
 * newlines stay. */
void sh_clean_text(const char *s, size_t n, bool lines, struct vq_text *to);

struct sh_look {
    bool box;    /* lines around the cells */
    bool colour; /* headings set off by colour */
    int columns; /* to fit into; 0: as wide as needed */
};
/* layout.c: the whole result as a table. */
void sh_layout(const struct sh_result *r, const struct sh_look *look, struct vq_text *to);

/* out.c: sends bytes to where results go, noting failures. */
void sh_out_write(struct sh *sh, const char *s, size_t n);

/* screen.c */
bool sh_out_colour_messages(const struct sh *sh);
int sh_out_columns_messages(const struct sh *sh);
int sh_screen_size(FILE *f, int *rows); /* columns; 0 when f is no terminal */
/* Shows text through the pager if that is wanted and needed; false: the caller writes it. */
bool sh_page(struct sh *sh, const char *s, size_t n);

#endif
