/*
 * textplot: curves as lines of text, for a terminal. Where a picture of a chart in half-blocks
 * would have 80 x 40 pixels and no legible number, this has sharp text and eight dots a character
 * (U+2800, braille patterns). The caller prints; nothing here looks at the terminal.
 */
#ifndef VQ_VIZ_TEXTPLOT_H
#define VQ_VIZ_TEXTPLOT_H

#include "viz/plot.h"
#include "viz/term.h"

/* A zeroed struct is 80 x 20 in coloured braille. Texts are UTF-8, NULL for none. */
struct viz_textplot {
    size_t columns, rows; /* of all the text; 0 for 80 and 20 */
    enum viz_term_colors colors;
    bool ascii; /* letters instead of dots: a for the first series, b for the second ... */
    const char *title, *xlabel;
    bool log_y; /* values <= 0 are left out */
};

/*
 * Lines through the points of each series, in order; a value that is not finite breaks the line,
 * and a point between two breaks is a dot. Each series has a colour (with VIZ_COLORS_NONE and
 * several of them, letters tell them apart) and an entry in the legend below. At most `rows` lines,
 * each ended by a line feed and at most `columns` wide. *out is freed with free(). Without anything
 * to draw it says so in the middle.
 * VQ_EINVAL: x and y of a series differ in length; VQ_ENOMEM.
 */
enum vq_status viz_textplot_lines(char **out, const struct viz_textplot *t,
                                  const struct viz_series *s, size_t n, struct vq_err *err);

#endif
