/*
 * font: text on a canvas, in the fonts of the system (viz/paint.h).
 *
 * Text is UTF-8 on one line: control characters count as spaces, ill-formed bytes as U+FFFD, and
 * what follows after VIZ_TEXT_BYTES is left out. Widths and heights are those that text has when it
 * is painted as pixels; in an SVG it takes the same room.
 */
#ifndef VQ_VIZ_FONT_H
#define VQ_VIZ_FONT_H

#include <stdbool.h>

#include "viz/canvas.h"

#define VIZ_TEXT_BYTES 1024

struct viz_font {
    int size; /* pixels of the em; text with a size below 1 is not there */
    bool bold;
};

/* Pixels from the top of capitals to the baseline, and to the foot of descenders. */
int viz_font_ascent(struct viz_font f);
int viz_font_height(struct viz_font f);

/* Width of `s` in pixels; 0 for NULL or "". */
int viz_text_width(struct viz_font f, const char *s);

/* Draws `s` to the right from x, with the top of capitals at y. NULL draws nothing. */
void viz_text(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
              struct viz_rgb color);

/* Draws `s` turned a quarter to the left, so that it reads upwards: it starts at y (its lower end)
 * and the top of its capitals is at x. */
void viz_text_up(struct viz_canvas *c, struct viz_font f, int x, int y, const char *s,
                 struct viz_rgb color);

/* Copies `s` to buf (len > 0 bytes, always terminated), cut at a whole character and ended with an
 * ellipsis if it is wider than max_width pixels or longer than buf. Returns the width of the
 * result: at most max_width, 0 with an empty buf if not even the ellipsis fits. */
int viz_text_fit(char *buf, size_t len, struct viz_font f, const char *s, int max_width);

/* The same, but keeps the end of the text and puts the ellipsis in front: names of one family, as
 * paths are, differ at the end. */
int viz_text_fit_end(char *buf, size_t len, struct viz_font f, const char *s, int max_width);

#endif
