/*
 * html: text and bytes in the form HTML wants them, and results as its tables. What is written here
 * can hold anything at all and never becomes markup. Pages made of it are well-formed XML too.
 */
#ifndef VQ_REPL_HTML_H
#define VQ_REPL_HTML_H

#include <stdint.h>

#include "core/base/text.h"
#include "core/store/value.h"

struct sh_result;

/* n bytes as the text of an element or a quoted attribute: what is no UTF-8 becomes U+FFFD, what
 * could steer a terminal or turn the direction of writing is shown as an escape; with `lines`
 * newlines stay. */
void sh_html_text(struct vq_text *to, const char *s, size_t n, bool lines);
void sh_html_string(struct vq_text *to, const char *s); /* the same up to a NUL, on one line */

/* <tag>text</tag> and a newline. */
void sh_html_element(struct vq_text *to, const char *tag, const char *text);

/* One cell of a table. A number is shown with six digits and carries its full value in data-v,
 * which sorting goes by. */
void sh_html_cell(struct vq_text *to, const struct vq_value *v);

/* The format html: a listing is a table with a heading, a record a table of names and values, their
 * numbers as above. Columns that are hidden from people are left out. */
void sh_html_begin(const struct sh_result *r, struct vq_text *to);
void sh_html_row(const struct sh_result *r, size_t row, struct vq_text *to);
void sh_html_end(const struct sh_result *r, struct vq_text *to);

#endif
