/*
 * term: pictures as terminal output. The caller prints; nothing here looks at the terminal or the
 * environment, and a graphics protocol is used only where the caller names it.
 *
 * Half-blocks put two pixels into each character cell: U+2580 in the colour of the upper one on the
 * colour of the lower one. They work wherever UTF-8 and colours do.
 */
#ifndef VQ_VIZ_TERM_H
#define VQ_VIZ_TERM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum viz_term_mode {
    VIZ_TERM_BLOCKS, /* half-blocks */
    VIZ_TERM_ASCII,  /* printable ASCII, denser for brighter */
    VIZ_TERM_KITTY,  /* the kitty graphics protocol */
    VIZ_TERM_SIXEL,
    VIZ_TERM_NONE /* no picture: the result is "" */
};

enum viz_term_colors {
    VIZ_COLORS_TRUE,
    VIZ_COLORS_256, /* the 6 x 6 x 6 cube and the greys, which no theme changes */
    VIZ_COLORS_16,
    VIZ_COLORS_NONE /* no escape sequence at all (blocks and ASCII) */
};

/* A zeroed struct means half-blocks in true colour, up to 80 columns. */
struct viz_term {
    enum viz_term_mode mode;
    enum viz_term_colors colors;
    size_t columns;        /* the most to use; 0 counts as 80, more than 1000 as 1000 */
    size_t cell_w, cell_h; /* pixels of a cell, for kitty and sixel; 0 counts as 8 and 16 */
};

/*
 * The whole image rgb [h, w, 3] as text lines, each ended by a line feed. An image wider than the
 * columns is scaled down with its shape kept; one that fits is shown pixel by pixel, not enlarged.
 * Colour output begins and ends with attributes reset. *out is freed with free().
 * VQ_EINVAL: an empty image or one over 16384 pixels on a side; VQ_ENOMEM.
 */
enum vq_status viz_term_image(char **out, const struct viz_term *t, const uint8_t *rgb, size_t w,
                              size_t h, struct vq_err *err);

/* How many rows of pixels of an image w wide make one line of text when drawn by viz_term_rows():
 * 2, or more where the image is wider than the columns. */
size_t viz_term_step(const struct viz_term *t, size_t w);

/*
 * The lines of text for pixel rows [r0, r1) of an image that is still growing from the top; rgb
 * points at its row 0. r0 is a multiple of viz_term_step(). An incomplete last group of rows gives
 * a line too, its missing half in the terminal's own background, so callers that draw as they go
 * pass whole groups until the end. Kitty and sixel stream as half-blocks. *out is freed with
 * free(). VQ_EINVAL: w = 0, r0 > r1, or r0 not a multiple; VQ_ENOMEM.
 */
enum vq_status viz_term_rows(char **out, const struct viz_term *t, const uint8_t *rgb, size_t w,
                             size_t r0, size_t r1, struct vq_err *err);

#endif
