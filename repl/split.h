/*
 * split: a text (a line, -c, a script) into commands and their words.
 *
 *     text     = command { (';' | newline) command }
 *     command  = '!' anything up to the newline        for the system shell, as it stands
 *              | { blank | word } [ comment ]
 *     word     = one or more of: plain characters, 'single', "double", \c, put together
 *     comment  = '#' at the start of a word, up to the newline
 *
 * Inside '...' everything stands for itself. Inside "..." a backslash begins one of
 *     \\  \"  \'  \$  \n  \t  \r  \e  \xHH  \newline (nothing)
 * and anything else after it is an error. Outside quotes a backslash takes the next character as it
 * is, and a backslash before a newline joins the lines. Quotes may hold newlines and ';'. A word
 * holds no NUL byte.
 */
#ifndef VQ_REPL_SPLIT_H
#define VQ_REPL_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

struct sh_word {
    char *text;        /* without quotes, NUL-terminated, owned */
    size_t len;        /* of text */
    size_t start, end; /* bytes of the source it came from, quotes included */
    bool quoted;       /* it begins quoted: such a word is no option's name and no ~/ */
};

struct sh_words {
    struct sh_word *v;
    int n;             /* 0 for an empty command */
    size_t start, end; /* bytes of the source, from the first word to the last */
    int line;          /* of `start`, from 1 */
    bool shell;        /* '!': v[0] is the text for the system shell */
};

enum sh_split {
    SH_SPLIT_OK,   /* out holds a command of at least one word */
    SH_SPLIT_END,  /* nothing more */
    SH_SPLIT_OPEN, /* the text ends inside quotes or after a joining backslash */
    SH_SPLIT_BAD,  /* err says what; out->start and end mark it */
    SH_SPLIT_NOMEM
};

struct sh_splitter {
    const char *text;
    size_t size, at;
    int line;
};

void sh_splitter_init(struct sh_splitter *s, const char *text, size_t size);
/* The next command. out is overwritten; release it after SH_SPLIT_OK. After SH_SPLIT_OPEN and
 * SH_SPLIT_BAD the splitter is at the end of the text; out->start, end and line say where the
 * opening quote is. */
enum sh_split sh_split_next(struct sh_splitter *s, struct sh_words *out, struct vq_err *err);
void sh_words_release(struct sh_words *w);

/* True when the text ends inside quotes or after a joining backslash: read on. */
bool sh_split_is_open(const char *text, size_t size);

struct vq_text;
/* The text as a word that splits back into it, quoted only when needed. */
void sh_split_quote(const char *word, size_t len, struct vq_text *out);

#endif
