/*
 * ops: how a canvas remembers what was drawn on it, between canvas.c and font.c, which note it, and
 * paint.c, which paints it.
 */
#ifndef VQ_VIZ_OPS_H
#define VQ_VIZ_OPS_H

#include <stdbool.h>

#include "viz/canvas.h"
#include "viz/font.h"

enum viz_op_kind { VIZ_OP_RECT, VIZ_OP_LINE, VIZ_OP_DISC, VIZ_OP_IMAGE, VIZ_OP_TEXT };

struct viz_op {
    enum viz_op_kind kind;
    struct viz_rgb color;
    double alpha;
    struct viz_rect clip; /* nothing is painted outside */
    struct viz_rect box;  /* of a rectangle or an image */
    double at[4];         /* both ends of a line; centre of a disc; start of a text's baseline */
    double width;         /* of a line; radius of a disc; length of a text on the screen */
    struct viz_font font;
    bool up; /* text that reads upwards */
    bool opaque;
    int w, h;   /* of the image */
    void *data; /* the image: uint32_t [h, w], alpha in the top byte, colours multiplied by it; the
                 * text: valid UTF-8 without controls. Owned. */
};

static inline bool viz_same_rect(struct viz_rect a, struct viz_rect b)
{
    return a.x == b.x && a.y == b.y && a.w == b.w && a.h == b.h;
}

/* A new op at the end of the canvas, with its clip; NULL, noted in c->failed, if memory is out. */
struct viz_op *viz_canvas_add(struct viz_canvas *c, enum viz_op_kind kind, struct viz_rgb color);

#endif
