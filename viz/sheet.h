/*
 * sheet: a contact sheet, many small pictures of one size on a grid.
 */
#ifndef VQ_VIZ_SHEET_H
#define VQ_VIZ_SHEET_H

#include "viz/canvas.h"

struct viz_sheet {
    size_t columns;              /* pictures in a row; 0 makes the sheet about square */
    size_t gap;                  /* pixels between pictures and around them */
    size_t zoom;                 /* each pixel becomes zoom x zoom; 0 counts as 1 */
    struct viz_rgb background;   /* captions are dark or light, whichever stands out from it */
    const char *const *captions; /* n texts, one below each picture, in smaller letters if they
                                  are wide, then cut to its width; or NULL */
};

/* Gap 4, zoom 1, a dark background, no captions. */
struct viz_sheet viz_sheet_default(void);

/*
 * Draws n RGB images, each [h, w, 3], row by row. Caller frees *out with viz_canvas_free().
 * VQ_EINVAL: no image, an empty image, or a sheet over VIZ_CANVAS_MAX on a side (a smaller zoom or
 * other columns may help); VQ_ENOMEM.
 */
enum vq_status viz_sheet_draw(struct viz_canvas **out, const struct viz_sheet *sheet,
                              const uint8_t *const *images, size_t n, size_t w, size_t h,
                              struct vq_err *err);

#endif
