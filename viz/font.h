/*
 * font: text on a canvas, in two built-in pixel faces.
 *
 * Text is UTF-8. ASCII and a few signs (degree, plus-minus, superscript two, micro, middle dot,
 * times, dashes, ellipsis, arrow, minus, less-or-equal, greater-or-equal) have drawings; every
 * other code point, and every byte that is not part of valid UTF-8, shows as one upright box. A
 * line feed is such a code point: text is one line. Letters are proportional, digits are all
 * equally wide.
 */
#ifndef VQ_VIZ_FONT_H
#define VQ_VIZ_FONT_H

#include <stdbool.h>

#include "viz/canvas.h"

struct viz_font {
    bool small; /* the face with 7-pixel capitals instead of 9 */
    bool bold;
    int scale; /* each pixel of the face becomes scale x scale; less than 1 counts as 1 */
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

/* Decodes one code point from s (not at its end) into *cp and returns the bytes used, 1 to 4. An
 * ill-formed byte gives U+FFFD and 1. */
size_t viz_utf8_next(const char *s, uint32_t *cp);

#endif
