#include "viz/term.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chafa.h>

#include "core/base/mem.h"
#include "viz/canvas.h"

#define COLUMNS_DEFAULT 80
#define COLUMNS_MAX     1000
#define PIXELS_MAX      4096 /* longest side of what goes out as kitty or sixel */
#define SYMBOL_CELL     8    /* chafa samples 8 x 8 points for each character */
#define RESET           "\x1b[0m"

static size_t columns_of(const struct viz_term *t)
{
    if (t->columns == 0)
        return COLUMNS_DEFAULT;
    return t->columns < COLUMNS_MAX ? t->columns : COLUMNS_MAX;
}

/* The size of the output in cells, and of a cell in pixels. */
struct grid {
    int columns, rows, cell_w, cell_h;
};

static int at_least_one(double x)
{
    return x > 1 ? (int)x : 1;
}

/* Half-blocks: one column a pixel and one row two pixels, where that fits. */
static struct grid text_grid(const struct viz_term *t, size_t w, size_t h)
{
    double most = (double)columns_of(t), scale = fmin(1, most / (double)w);
    /* Bounded in height too: chafa's memory grows with the cells. */
    scale = fmin(scale, 2.0 * COLUMNS_MAX / (double)h);
    return (struct grid){at_least_one(round(scale * (double)w)),
                         at_least_one(ceil(scale * (double)h / 2)), SYMBOL_CELL, SYMBOL_CELL};
}

static struct grid pixel_grid(const struct viz_term *t, size_t w, size_t h)
{
    size_t cell_w = t->cell_w ? t->cell_w : 8, cell_h = t->cell_h ? t->cell_h : 16;
    cell_w = cell_w < 64 ? cell_w : 64;
    cell_h = cell_h < 64 ? cell_h : 64;
    double scale = fmin(1, (double)(columns_of(t) * cell_w) / (double)w);
    scale = fmin(scale, PIXELS_MAX / (double)(w > h ? w : h));
    return (struct grid){at_least_one(ceil(scale * (double)w / (double)cell_w)),
                         at_least_one(ceil(scale * (double)h / (double)cell_h)), (int)cell_w,
                         (int)cell_h};
}

static bool is_pixel_mode(enum viz_term_mode mode)
{
    return mode == VIZ_TERM_KITTY || mode == VIZ_TERM_SIXEL;
}

/* The characters chafa may choose from. Without colours the half-block alone says nothing, so the
 * shades join it. */
static ChafaSymbolMap *symbols_of(const struct viz_term *t)
{
    ChafaSymbolMap *map = chafa_symbol_map_new();
    chafa_symbol_map_add_by_range(map, 0x2580, 0x2580);
    if (t->colors == VIZ_COLORS_NONE) {
        chafa_symbol_map_add_by_range(map, ' ', ' ');
        chafa_symbol_map_add_by_range(map, 0x2584, 0x2584);
        chafa_symbol_map_add_by_range(map, 0x2588, 0x2588);
        chafa_symbol_map_add_by_range(map, 0x2591, 0x2593);
    }
    return map;
}

static ChafaCanvasConfig *config_of(const struct viz_term *t, struct grid g)
{
    static const ChafaCanvasMode modes[] = {
        [VIZ_COLORS_TRUE] = CHAFA_CANVAS_MODE_TRUECOLOR,
        [VIZ_COLORS_256] = CHAFA_CANVAS_MODE_INDEXED_240,
        [VIZ_COLORS_16] = CHAFA_CANVAS_MODE_INDEXED_16,
        [VIZ_COLORS_NONE] = CHAFA_CANVAS_MODE_FGBG,
    };
    ChafaCanvasConfig *c = chafa_canvas_config_new();
    ChafaSymbolMap *symbols = symbols_of(t), *fill = chafa_symbol_map_new();
    chafa_canvas_config_set_symbol_map(c, symbols);
    chafa_canvas_config_set_fill_symbol_map(c, fill);
    chafa_symbol_map_unref(symbols);
    chafa_symbol_map_unref(fill);
    chafa_canvas_config_set_geometry(c, g.columns, g.rows);
    chafa_canvas_config_set_cell_geometry(c, g.cell_w, g.cell_h);
    chafa_canvas_config_set_canvas_mode(c, is_pixel_mode(t->mode) ? CHAFA_CANVAS_MODE_TRUECOLOR
                                                                  : modes[t->colors]);
    chafa_canvas_config_set_pixel_mode(c, t->mode == VIZ_TERM_KITTY   ? CHAFA_PIXEL_MODE_KITTY
                                          : t->mode == VIZ_TERM_SIXEL ? CHAFA_PIXEL_MODE_SIXELS
                                                                      : CHAFA_PIXEL_MODE_SYMBOLS);
    /* No contrast boost: a sample is shown in its own colours. No repeat or cursor sequences
     * either, which not every terminal knows. */
    chafa_canvas_config_set_preprocessing_enabled(c, FALSE);
    if (t->colors == VIZ_COLORS_NONE && !is_pixel_mode(t->mode)) {
        chafa_canvas_config_set_dither_mode(c, CHAFA_DITHER_MODE_ORDERED);
        chafa_canvas_config_set_dither_grain_size(c, SYMBOL_CELL, SYMBOL_CELL / 2);
    }
    chafa_canvas_config_set_optimizations(c, CHAFA_OPTIMIZATION_REUSE_ATTRIBUTES);
    return c;
}

static char *run_chafa(const struct viz_term *t, struct grid g, const uint8_t *rgb, size_t w,
                       size_t h)
{
    chafa_set_n_threads(
        1); /* no threads of a library under a program that forks and is signalled */
    ChafaCanvasConfig *config = config_of(t, g);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    ChafaTermDb *db = chafa_term_db_new();
    ChafaTermInfo *info = chafa_term_db_get_fallback_info(db);
    chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, rgb, (int)w, (int)h, (int)(3 * w));
    GString *s = chafa_canvas_print(canvas, info);
    size_t n = s->len;
    char *copy = vq_alloc(n + 2, 1);
    if (copy) {
        memcpy(copy, s->str, n);
        memcpy(copy + n, "\n", 2);
    }
    g_string_free(s, TRUE);
    chafa_term_info_unref(info);
    chafa_term_db_unref(db);
    chafa_canvas_unref(canvas);
    chafa_canvas_config_unref(config);
    return copy;
}

/* The image with each pixel as large as its share of the cells, so that chafa's smoothing cannot
 * mix neighbours; *sharp, the caller's to free, is NULL if the image does not fit the cells pixel
 * by pixel. */
static enum vq_status sharpen(uint8_t **sharp, struct grid g, const uint8_t *rgb, size_t w,
                              size_t h, struct vq_err *err)
{
    const size_t px = SYMBOL_CELL, py = SYMBOL_CELL / 2, row = w * px * 3;
    *sharp = NULL;
    if (w != (size_t)g.columns || (h + 1) / 2 != (size_t)g.rows)
        return VQ_OK;
    /* Zeroed: the lower half of the last row of cells may have no pixels. */
    *sharp = vq_calloc((size_t)g.rows * SYMBOL_CELL, row);
    if (!*sharp)
        return vq_nomem(err, "picture for the terminal", (size_t)g.rows * SYMBOL_CELL, row);
    for (size_t y = 0; y < h * py; y++)
        for (size_t x = 0; x < w * px; x++)
            memcpy(*sharp + y * row + 3 * x, rgb + 3 * (y / py * w + x / px), 3);
    return VQ_OK;
}

enum vq_status viz_term_image(char **out, const struct viz_term *t, const uint8_t *rgb, size_t w,
                              size_t h, struct vq_err *err)
{
    *out = NULL;
    if (w == 0 || h == 0 || w > VIZ_CANVAS_MAX || h > VIZ_CANVAS_MAX)
        return vq_fail(err, VQ_EINVAL, "picture of %zu x %zu pixels: each side must be 1 to %d", w,
                       h, VIZ_CANVAS_MAX);
    if (t->mode == VIZ_TERM_NONE || t->mode == VIZ_TERM_ASCII)
        return viz_term_rows(out, t, rgb, w, 0, h, err);
    bool pixels = is_pixel_mode(t->mode);
    struct grid g = pixels ? pixel_grid(t, w, h) : text_grid(t, w, h);
    /* The allocations of chafa and glib end the program where they fail; what they need at most is
     * asked for first, as the bytes of the canvas and of its text. */
    size_t need = (size_t)g.columns * (size_t)g.rows * (size_t)(g.cell_w * g.cell_h) * 16;
    void *room = vq_alloc(need, 1);
    if (!room)
        return vq_nomem(err, "picture for the terminal", need, 1);
    free(room);
    uint8_t *sharp = NULL;
    enum vq_status status = pixels ? VQ_OK : sharpen(&sharp, g, rgb, w, h, err);
    if (status != VQ_OK)
        return status;
    *out = sharp ? run_chafa(t, g, sharp, w * SYMBOL_CELL, (size_t)g.rows * SYMBOL_CELL)
                 : run_chafa(t, g, rgb, w, h);
    free(sharp);
    return *out ? VQ_OK : vq_nomem(err, "picture for the terminal", need, 1);
}

/* Pixels averaged into one half of a cell, in each direction. */
static size_t shrink(const struct viz_term *t, size_t w)
{
    size_t columns = columns_of(t);
    return w > columns ? (w + columns - 1) / columns : 1;
}

size_t viz_term_step(const struct viz_term *t, size_t w)
{
    return 2 * shrink(t, w);
}

/* Mean colour of the pixels [x0, x1) x [y0, y1), none of them empty. */
static struct viz_rgb mean_of(const uint8_t *rgb, size_t w, size_t x0, size_t x1, size_t y0,
                              size_t y1)
{
    uint64_t sum[3] = {0, 0, 0}, n = (uint64_t)(x1 - x0) * (y1 - y0);
    for (size_t y = y0; y < y1; y++)
        for (size_t x = x0; x < x1; x++)
            for (size_t k = 0; k < 3; k++)
                sum[k] += rgb[3 * (y * w + x) + k];
    return (struct viz_rgb){(uint8_t)((sum[0] + n / 2) / n), (uint8_t)((sum[1] + n / 2) / n),
                            (uint8_t)((sum[2] + n / 2) / n)};
}

/* Squared, with weights near the eye's for red, green and blue. */
static int distance(struct viz_rgb a, struct viz_rgb b)
{
    int r = a.r - b.r, g = a.g - b.g, bl = a.b - b.b;
    return 3 * r * r + 4 * g * g + 2 * bl * bl;
}

/* The nearest entry of the xterm palette from 16 on. */
static int nearest_256(struct viz_rgb c)
{
    static const uint8_t levels[6] = {0, 95, 135, 175, 215, 255};
    const uint8_t in[3] = {c.r, c.g, c.b};
    int at[3];
    for (int k = 0; k < 3; k++) {
        at[k] = 0;
        for (int i = 1; i < 6; i++)
            if (abs(levels[i] - in[k]) < abs(levels[at[k]] - in[k]))
                at[k] = i;
    }
    struct viz_rgb cube = {levels[at[0]], levels[at[1]], levels[at[2]]};
    int step = (c.r + c.g + c.b) / 3 < 8 ? 0 : ((c.r + c.g + c.b) / 3 - 3) / 10;
    step = step > 23 ? 23 : step;
    uint8_t level = (uint8_t)(8 + 10 * step);
    bool grey = distance(c, (struct viz_rgb){level, level, level}) < distance(c, cube);
    return grey ? 232 + step : 16 + 36 * at[0] + 6 * at[1] + at[2];
}

static int nearest_16(struct viz_rgb c)
{
    static const uint32_t colors[16] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd,
                                        0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00,
                                        0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff};
    int best = 0;
    for (int i = 1; i < 16; i++)
        if (distance(c, viz_rgb_hex(colors[i])) < distance(c, viz_rgb_hex(colors[best])))
            best = i;
    return best;
}

/* The colour parameter of an SGR sequence, for the foreground or the background. */
static void color_code(char buf[20], enum viz_term_colors colors, struct viz_rgb c, bool back)
{
    if (colors == VIZ_COLORS_TRUE) {
        snprintf(buf, 20, "%d;2;%d;%d;%d", back ? 48 : 38, c.r, c.g, c.b);
    } else if (colors == VIZ_COLORS_256) {
        snprintf(buf, 20, "%d;5;%d", back ? 48 : 38, nearest_256(c));
    } else {
        int i = nearest_16(c);
        snprintf(buf, 20, "%d", (i < 8 ? 30 + i : 90 + i - 8) + (back ? 10 : 0));
    }
}

/* The most bytes of one cell: two true colours and a character. */
#define CELL_BYTES 48

/* The text as it grows; as large as it can get from the start. */
struct text {
    char *p;
    size_t n;
    char sgr[CELL_BYTES]; /* attributes in force on this line */
};

static void put(struct text *x, const char *s)
{
    size_t n = strlen(s);
    memcpy(x->p + x->n, s, n + 1);
    x->n += n;
}

static void put_attributes(struct text *x, const char *fore, const char *back)
{
    char sgr[CELL_BYTES];
    snprintf(sgr, sizeof(sgr), "\x1b[%s%s%sm", fore, *back ? ";" : "", back);
    if (strcmp(sgr, x->sgr) == 0)
        return;
    put(x, sgr);
    memcpy(x->sgr, sgr, sizeof(sgr));
}

/* One cell; has_low is false where the image ends in the upper half. */
static void put_cell(struct text *x, const struct viz_term *t, struct viz_rgb up,
                     struct viz_rgb low, bool has_low)
{
    /* Denser is brighter: made for a dark screen. */
    static const char ramp[] = " .:-=+*#%@";
    static const char *const blocks[4] = {" ", "\xe2\x96\x84", "\xe2\x96\x80", "\xe2\x96\x88"};
    char fore[20] = "", back[20] = "";
    bool ascii = t->mode == VIZ_TERM_ASCII;
    struct viz_rgb both = has_low ? viz_rgb_mix(up, low, 0.5) : up;
    if (t->colors != VIZ_COLORS_NONE) {
        color_code(fore, t->colors, ascii ? both : up, false);
        if (!ascii && has_low)
            color_code(back, t->colors, low, true);
        put_attributes(x, fore, ascii || has_low ? back : "49");
    }
    if (ascii) {
        size_t i = (size_t)(viz_rgb_lightness(both) / 100 * (sizeof(ramp) - 2) + 0.5);
        put(x, (char[2]){ramp[i], '\0'});
    } else if (t->colors == VIZ_COLORS_NONE) {
        bool low_lit = has_low && viz_rgb_lightness(low) >= 50;
        put(x, blocks[(viz_rgb_lightness(up) >= 50 ? 2 : 0) + (low_lit ? 1 : 0)]);
    } else {
        put(x, blocks[2]);
    }
}

/* One line of text. Its attributes start unknown, so each line can be printed by itself. */
static void put_line(struct text *x, const struct viz_term *t, const uint8_t *rgb, size_t w,
                     size_t r, size_t r1)
{
    size_t k = shrink(t, w), mid = r + k < r1 ? r + k : r1, end = r + 2 * k < r1 ? r + 2 * k : r1;
    x->sgr[0] = '\0';
    for (size_t c = 0; c < w; c += k) {
        size_t right = c + k < w ? c + k : w;
        struct viz_rgb up = mean_of(rgb, w, c, right, r, mid);
        struct viz_rgb low = mid < end ? mean_of(rgb, w, c, right, mid, end) : up;
        put_cell(x, t, up, low, mid < end);
    }
    put(x, t->colors == VIZ_COLORS_NONE ? "\n" : RESET "\n");
}

enum vq_status viz_term_rows(char **out, const struct viz_term *t, const uint8_t *rgb, size_t w,
                             size_t r0, size_t r1, struct vq_err *err)
{
    *out = NULL;
    size_t step = viz_term_step(t, w), cells, bytes;
    if (w == 0 || r0 > r1 || r0 % step != 0)
        return vq_fail(
            err, VQ_EINVAL,
            "rows %zu to %zu of a picture %zu wide: expected a start at a multiple of %zu", r0, r1,
            w, step);
    size_t lines = t->mode == VIZ_TERM_NONE ? 0 : (r1 - r0 + step - 1) / step;
    if (!vq_mul_ok(lines, w / shrink(t, w) + 2, &cells) || !vq_mul_ok(cells, CELL_BYTES, &bytes))
        return vq_nomem(err, "picture for the terminal", lines, w);
    struct text x = {.p = vq_alloc(bytes + 1, 1)};
    if (!x.p)
        return vq_nomem(err, "picture for the terminal", bytes, 1);
    x.p[0] = '\0';
    for (size_t i = 0; i < lines; i++)
        put_line(&x, t, rgb, w, r0 + i * step, r1);
    *out = x.p;
    return VQ_OK;
}
