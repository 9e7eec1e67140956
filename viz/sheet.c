#include "viz/sheet.h"

#include <math.h>

#include "core/base/mem.h"
#include "viz/font.h"

#define CAPTION_GAP      3
#define CAPTION_SMALLEST 8 /* pixels of the em; below that nobody reads it */

struct viz_sheet viz_sheet_default(void)
{
    return (struct viz_sheet){.gap = 4, .zoom = 1, .background = viz_rgb_hex(0x22262b)};
}

/* gap + count * (cell + gap), the length of one side; false on overflow. */
static bool side(size_t count, size_t cell, size_t gap, size_t *out)
{
    size_t pitch;
    return vq_add_ok(cell, gap, &pitch) && vq_mul_ok(count, pitch, out) &&
           vq_add_ok(*out, gap, out);
}

/* Sheets wider than high by at most one column of pictures; captions are too low to count. */
static size_t square_columns(size_t n, size_t w, size_t h)
{
    double columns = ceil(sqrt((double)n * (double)h / (double)w));
    return columns < 1 ? 1 : (size_t)fmin(columns, (double)n);
}

/* Sizes in pixels: of a picture as drawn, of its cell with the caption, and of the sheet. */
struct layout {
    size_t columns, zoom, picture_w, picture_h, cell_h, width, height;
    struct viz_font font;
};

/* The largest letters, up to those that suit the picture, in which every caption is whole; ones
 * that no size would save do not count. */
static int caption_size(const struct viz_sheet *sheet, size_t n, int width)
{
    int best = width < 160 ? 10 : width < 800 ? 13 : 26;
    for (size_t i = 0; sheet->captions && i < n; i++) {
        struct viz_font f = {.size = best};
        while (f.size >= CAPTION_SMALLEST && viz_text_width(f, sheet->captions[i]) > width)
            f.size--;
        best = f.size >= CAPTION_SMALLEST ? f.size : best;
    }
    return best;
}

/* False if a size overflows or the sheet would be larger than a canvas may be. */
static bool lay_out(struct layout *l, const struct viz_sheet *sheet, size_t n, size_t w, size_t h)
{
    l->zoom = sheet->zoom ? sheet->zoom : 1;
    if (!vq_mul_ok(w, l->zoom, &l->picture_w) || !vq_mul_ok(h, l->zoom, &l->picture_h))
        return false;
    if (l->picture_w > VIZ_CANVAS_MAX)
        return false;
    l->font.size = caption_size(sheet, n, (int)l->picture_w);
    size_t caption = sheet->captions ? (size_t)viz_font_height(l->font) + CAPTION_GAP : 0;
    if (!vq_add_ok(l->picture_h, caption, &l->cell_h))
        return false;
    l->columns = sheet->columns ? sheet->columns : square_columns(n, l->picture_w, l->picture_h);
    l->columns = l->columns < n ? l->columns : n;
    size_t rows = (n - 1) / l->columns + 1;
    return side(l->columns, l->picture_w, sheet->gap, &l->width) &&
           side(rows, l->cell_h, sheet->gap, &l->height) && l->width <= VIZ_CANVAS_MAX &&
           l->height <= VIZ_CANVAS_MAX;
}

static void draw_caption(struct viz_canvas *c, const struct viz_sheet *sheet,
                         const struct layout *l, int x, int y, const char *caption)
{
    char text[128];
    bool dark = viz_rgb_lightness(sheet->background) < 50;
    if (viz_text_fit(text, sizeof(text), l->font, caption, (int)l->picture_w) > 0)
        viz_text(c, l->font, x, y, text, viz_rgb_hex(dark ? 0xc9ced6 : 0x454c55));
}

enum vq_status viz_sheet_draw(struct viz_canvas **out, const struct viz_sheet *sheet,
                              const uint8_t *const *images, size_t n, size_t w, size_t h,
                              struct vq_err *err)
{
    struct layout l = {0};
    struct viz_canvas *c;
    *out = NULL;
    if (n == 0 || w == 0 || h == 0)
        return vq_fail(err, VQ_EINVAL, "contact sheet of %zu images of %zu x %zu: nothing to draw",
                       n, w, h);
    if (!lay_out(&l, sheet, n, w, h))
        return vq_fail(err, VQ_EINVAL,
                       "contact sheet of %zu images of %zu x %zu, zoom %zu: more than %d pixels on "
                       "a side; use a smaller zoom, or fewer images",
                       n, w, h, l.zoom, VIZ_CANVAS_MAX);
    enum vq_status status = viz_canvas_new(&c, l.width, l.height, sheet->background, err);
    if (status != VQ_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        int x = (int)(sheet->gap + i % l.columns * (l.picture_w + sheet->gap));
        int y = (int)(sheet->gap + i / l.columns * (l.cell_h + sheet->gap));
        viz_image(c, (struct viz_rect){x, y, (int)l.picture_w, (int)l.picture_h}, images[i], NULL,
                  (int)w, (int)h);
        if (sheet->captions)
            draw_caption(c, sheet, &l, x, y + (int)l.picture_h + CAPTION_GAP, sheet->captions[i]);
    }
    if ((status = viz_canvas_check(c, err)) == VQ_OK)
        *out = c;
    else
        viz_canvas_free(c);
    return status;
}
