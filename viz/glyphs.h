/*
 * glyphs: the drawings of the two pixel faces, and finding one by its code point. Only viz/font.c
 * includes this; everybody else draws text through viz/font.h.
 */
#ifndef VQ_VIZ_GLYPHS_H
#define VQ_VIZ_GLYPHS_H

#include <stdint.h>

enum viz_face {
    VIZ_FACE_SMALL,   /* capitals 7 pixels high, descenders 2 */
    VIZ_FACE_REGULAR, /* capitals 9 pixels high, descenders 3 */
    VIZ_FACE_COUNT
};

#define VIZ_GLYPH_ROWS 12

/* One drawing: rows[0 .. n_rows) of w characters each (not terminated), '#' where there is ink. */
struct viz_glyph {
    const char *rows[VIZ_GLYPH_ROWS];
    int n_rows, w;
};

/* The glyph of code point `cp`; a box for what the face does not have (control characters, most of
 * Unicode). Pointers are to constant storage. */
struct viz_glyph viz_glyph_find(enum viz_face face, uint32_t cp);

/* Rows from the top of capitals to the baseline, and rows below it. */
int viz_face_ascent(enum viz_face face);
int viz_face_descent(enum viz_face face);

#endif
