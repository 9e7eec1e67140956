#include "viz/frame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Distances in units of f->u pixels. */
#define PAD        14 /* edge of the canvas to anything */
#define LINE_GAP   6  /* between lines of text */
#define LABEL_GAP  11 /* between the label of the y axis and its numbers */
#define TICK_LEN   4
#define TICK_GAP   5  /* tick or plot to its label */
#define SWATCH     14 /* legend */
#define SCALE_W    14 /* colour bar */
#define TEXT_MAX   256
#define LEGEND_MAX 3 /* rows */

static const uint32_t palette[] = {VIZ_DATA, 0xd98324, 0x2a9d77, 0xb5446e,
                                   0x6f56a8, 0x8a6d3b, 0x58a9d6, 0x5f6b7a};
#define N_PALETTE (sizeof(palette) / sizeof(palette[0]))

struct viz_rgb viz_frame_color(const struct viz_frame *f, size_t i, size_t n)
{
    if (n <= N_PALETTE)
        return viz_rgb_hex(palette[i % N_PALETTE]);
    /* Short of the last tenth, which is too light on white. */
    return viz_colormap_rgb(f->map, 0.9 * (double)i / (double)(n - 1));
}

enum vq_status viz_frame_map(const struct viz_colormap **out, const struct viz_chart *chart,
                             struct vq_err *err)
{
    *out = viz_colormap_find(chart->colormap);
    if (*out)
        return VQ_OK;
    char names[TEXT_MAX] = "";
    const struct viz_colormap *m;
    for (size_t i = 0; (m = viz_colormap_nth(i)); i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", m->name);
    }
    return vq_fail(err, VQ_EINVAL, "no colormap '%s': there are %s", chart->colormap, names);
}

/* Pixels for position t; bounded, since values far outside an axis are legal and int is not wide.
 */
static double place(double t, int from, int len)
{
    double p = from + t * len;
    return isnan(t) ? NAN : fmin(fmax(p, -30000), 60000);
}

double viz_frame_x(const struct viz_frame *f, double v)
{
    return place(viz_axis_at(f->x.axis, v), f->plot.x, f->plot.w);
}

double viz_frame_y(const struct viz_frame *f, double v)
{
    double t = viz_axis_at(f->y.axis, v);
    return place(f->y.down ? t : 1 - t, f->plot.y, f->plot.h);
}

static bool has(const char *s)
{
    return s && *s;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Text grows with the canvas in whole steps, so that a picture for print reads like one for the
 * screen. */
static void choose_fonts(struct viz_frame *f)
{
    int w = f->c->w, h = f->c->h;
    f->u = max_int(1, min_int(w / 900, h / 500));
    bool small = w < 460 || h < 260;
    f->font = (struct viz_font){.size = (small ? 10 : 13) * f->u};
    f->title_font = (struct viz_font){.size = (small ? 12 : 16) * f->u, .bold = true};
}

/* Text drawn at most max_width wide; returns its width. */
static int fitted(const struct viz_frame *f, struct viz_font font, int x, int y, const char *s,
                  int max_width, uint32_t color)
{
    char buf[TEXT_MAX];
    int w = viz_text_fit(buf, sizeof(buf), font, s, max_width);
    viz_text(f->c, font, x, y, buf, viz_rgb_hex(color));
    return w;
}

/* The line under the title: the caller's words, and what was left out. */
static const char *subtitle(const struct viz_frame *f, char buf[TEXT_MAX])
{
    const char *own = has(f->chart->subtitle) ? f->chart->subtitle : "";
    const char *between = has(own) && has(f->note) ? " \xc2\xb7 " : "";
    snprintf(buf, TEXT_MAX, "%.*s%s%s", TEXT_MAX / 2, own, between, f->note);
    return buf;
}

void viz_frame_left_out(struct viz_frame *f, size_t n)
{
    bool log_axis = f->chart->log_x || f->chart->log_y;
    if (n > 0)
        snprintf(f->note, sizeof(f->note), "%zu value%s left out (%s)", n, n == 1 ? "" : "s",
                 log_axis ? "not finite, or \xe2\x89\xa4 0 on a log axis" : "not finite");
}

/* Lays out the legend from y down, drawing it if `draw`; returns its height. What does not fit in
 * LEGEND_MAX rows is counted instead. */
static int legend(const struct viz_frame *f, int y, bool draw)
{
    int u = f->u, x = PAD * u, rows = 0, right = f->c->w - PAD * u;
    int row_h = viz_font_height(f->font) + LINE_GAP * u, text_max = max_int(right - x, 0) / 3;
    char buf[TEXT_MAX];
    for (size_t i = 0; i < f->n_keys; i++) {
        if (!has(f->keys[i].name))
            continue;
        int w = viz_text_fit(buf, sizeof(buf), f->font, f->keys[i].name, text_max);
        int entry = (SWATCH + LINE_GAP) * u + w;
        if (rows == 0 || x + entry > right) {
            x = PAD * u;
            rows++;
        }
        int more_w = (3 * SWATCH + LINE_GAP) * u;
        bool last_slot = rows == LEGEND_MAX && x + entry + more_w > right;
        if (last_slot && i + 1 < f->n_keys)
            snprintf(buf, sizeof(buf), "+%zu", f->n_keys - i);
        int top = y + (rows - 1) * row_h;
        if (draw) {
            struct viz_rect swatch = {x, top + (viz_font_ascent(f->font) - 3 * u) / 2, SWATCH * u,
                                      3 * u};
            viz_fill_rect(f->c, swatch, f->keys[i].color);
            viz_text(f->c, f->font, x + (SWATCH + LINE_GAP) * u, top, buf, viz_rgb_hex(VIZ_INK));
        }
        if (last_slot)
            break;
        x += entry + SWATCH * u;
    }
    return rows * row_h;
}

/* The text above the plot, from the top of the canvas; returns where it ends. */
static int header(const struct viz_frame *f, bool draw)
{
    int y = PAD * f->u, x = PAD * f->u, w = f->c->w - 2 * x;
    int line = viz_font_height(f->font) + LINE_GAP * f->u;
    char buf[TEXT_MAX];
    if (f->stage < VIZ_STAGE_NO_TITLE && has(f->chart->title)) {
        if (draw)
            fitted(f, f->title_font, x, y, f->chart->title, w, VIZ_INK);
        y += viz_font_height(f->title_font) + LINE_GAP * f->u;
    }
    if (f->stage < VIZ_STAGE_NO_LABELS && has(subtitle(f, buf))) {
        if (draw)
            fitted(f, f->font, x, y, buf, w, VIZ_MUTED);
        y += line;
    }
    if (f->stage < VIZ_STAGE_NO_LABELS)
        y += legend(f, y, draw);
    return y > PAD * f->u ? y + 2 * f->u : y;
}

/* Width of the widest tick label or name of a side, names bounded by `most`. */
static int labels_width(const struct viz_frame *f, const struct viz_side *s, int most)
{
    int w = 0;
    char buf[VIZ_NUMBER_LEN];
    for (size_t i = 0; s->names && i < s->n_names; i++)
        w = max_int(w, viz_text_width(f->font, s->names[i]));
    for (size_t i = 0; !s->names && i < s->ticks.n; i++)
        w = max_int(w, viz_text_width(f->font, viz_tick_label(buf, &s->ticks, s->ticks.at[i])));
    return s->names ? min_int(w, most) : w;
}

/* The most ticks whose labels leave air between each other along `length` pixels of x axis. */
static void fit_x_ticks(struct viz_frame *f, int length)
{
    struct viz_side *s = &f->x;
    size_t most = (size_t)max_int(length / (64 * f->u), 3);
    for (;; most--) {
        s->ticks = viz_axis_ticks(s->axis, most, s->whole);
        double apart = s->ticks.step / (s->axis.hi - s->axis.lo) * length;
        if (most <= 2 || !(s->ticks.step > 0) || labels_width(f, s, 0) + 10 * f->u <= apart)
            return;
    }
}

/* Pixels between the names of a side that are drawn, as a count of names to step over. */
static size_t name_stride(const struct viz_side *s, int length, int need)
{
    double slot = s->n_names ? (double)length / (double)s->n_names : length;
    double stride = ceil(need / fmax(slot, 1e-9));
    return stride < 1 ? 1 : (size_t)fmin(stride, (double)s->n_names + 1);
}

/* Whether names under the plot stand upright, which they do unless all fit side by side. */
static bool names_upright(const struct viz_frame *f, int length)
{
    int widest = labels_width(f, &f->x, f->c->w);
    return name_stride(&f->x, length, widest + 8 * f->u) > 1;
}

static int scale_width(const struct viz_frame *f)
{
    const struct viz_side *z = &f->z;
    int w = (SCALE_W + 16 + TICK_GAP) * f->u + labels_width(f, z, 0);
    if (has(z->label) && f->stage < VIZ_STAGE_NO_LABELS)
        w += viz_font_height(f->font) + LINE_GAP * f->u;
    return w;
}

/* Sets f->plot and the ticks for the present stage. */
static void measure(struct viz_frame *f)
{
    int u = f->u, w = f->c->w, h = f->c->h, text = viz_font_height(f->font);
    bool labels = f->stage < VIZ_STAGE_NO_LABELS;
    f->names_h = 0;
    if (f->stage >= VIZ_STAGE_BARE) {
        int edge = min_int(2, (min_int(w, h) - 1) / 2);
        f->plot = (struct viz_rect){edge, edge, w - 2 * edge, h - 2 * edge};
        f->x.ticks.n = f->y.ticks.n = f->z.ticks.n = 0;
        return;
    }
    int top = header(f, false), bottom = (PAD + TICK_LEN + TICK_GAP) * u;
    if (labels && has(f->x.label))
        bottom += text + LINE_GAP * u;
    /* The height of the plot depends on the names below it, those on its width, that on the labels
     * at the left, and those on the height: we start from a guess of it. */
    int guess = max_int(h - top - bottom - text, 1);
    size_t rows = (size_t)max_int(guess / (42 * u), 3);
    f->y.ticks = viz_axis_ticks(f->y.axis, rows, f->y.whole);
    f->z.ticks = viz_axis_ticks(f->z.axis, rows, false);
    int left = PAD * u + labels_width(f, &f->y, w / 4) + TICK_GAP * u;
    if (labels && has(f->y.label))
        left += viz_font_ascent(f->font) + LABEL_GAP * u;
    int right = (PAD + 4) * u + (f->z.shown ? scale_width(f) : 0);
    f->plot = (struct viz_rect){left, top, w - left - right, 0};
    f->names_h = text;
    if (!f->x.names)
        fit_x_ticks(f, max_int(f->plot.w, 1));
    else if (names_upright(f, max_int(f->plot.w, 1)))
        f->names_h = labels_width(f, &f->x, h / 4);
    f->plot.h = h - top - bottom - f->names_h;
}

/* `pixels`, less what is left over when a few cells share them equally. */
static int snapped(int pixels, size_t cells)
{
    if (cells == 0 || pixels <= 0 || (size_t)pixels / cells < 4)
        return pixels;
    return pixels - (int)((size_t)pixels % cells);
}

static void layout(struct viz_frame *f)
{
    choose_fonts(f);
    /* Dropping text is tried before shrinking it: small text nobody can read helps nobody. */
    for (f->stage = VIZ_STAGE_FULL;; f->stage++) {
        measure(f);
        if (f->stage == VIZ_STAGE_BARE || (f->plot.w >= 60 * f->u && f->plot.h >= 40 * f->u))
            break;
    }
    f->plot.w = snapped(f->plot.w, f->snap_x);
    f->plot.h = snapped(f->plot.h, f->snap_y);
}

static void draw_y_names(const struct viz_frame *f)
{
    const struct viz_side *s = &f->y;
    int text = viz_font_height(f->font), right = f->plot.x - TICK_GAP * f->u;
    size_t stride = name_stride(s, f->plot.h, text);
    char buf[TEXT_MAX];
    for (size_t i = 0; i < s->n_names; i += stride) {
        int w = viz_text_fit_end(buf, sizeof(buf), f->font, s->names[i], f->c->w / 4);
        int y = (int)viz_frame_y(f, (double)i) - viz_font_ascent(f->font) / 2;
        viz_text(f->c, f->font, right - w, y, buf, viz_rgb_hex(VIZ_MUTED));
    }
}

static void draw_y_axis(const struct viz_frame *f)
{
    char buf[VIZ_NUMBER_LEN];
    const struct viz_side *s = &f->y;
    for (size_t i = 0; !s->names && i < s->ticks.n; i++) {
        int y = (int)floor(viz_frame_y(f, s->ticks.at[i]));
        const char *text = viz_tick_label(buf, &s->ticks, s->ticks.at[i]);
        int x = f->plot.x - TICK_GAP * f->u - viz_text_width(f->font, text);
        viz_text(f->c, f->font, x, y - viz_font_ascent(f->font) / 2, text, viz_rgb_hex(VIZ_MUTED));
        if (s->grid)
            viz_fill_rect(f->c, (struct viz_rect){f->plot.x, y, f->plot.w, f->u},
                          viz_rgb_hex(VIZ_GRID));
    }
    if (s->names)
        draw_y_names(f);
    if (f->stage < VIZ_STAGE_NO_LABELS && has(s->label)) {
        char label[TEXT_MAX];
        int w = viz_text_fit(label, sizeof(label), f->font, s->label, f->plot.h);
        viz_text_up(f->c, f->font, PAD * f->u, f->plot.y + (f->plot.h + w) / 2, label,
                    viz_rgb_hex(VIZ_INK));
    }
}

static void draw_x_names(const struct viz_frame *f, int y)
{
    const struct viz_side *s = &f->x;
    bool upright = names_upright(f, f->plot.w);
    size_t stride = upright ? name_stride(s, f->plot.w, viz_font_height(f->font)) : 1;
    char buf[TEXT_MAX];
    for (size_t i = 0; i < s->n_names; i += stride) {
        int w = viz_text_fit_end(buf, sizeof(buf), f->font, s->names[i],
                                 upright ? f->names_h : f->plot.w);
        int x = (int)viz_frame_x(f, (double)i);
        if (upright)
            viz_text_up(f->c, f->font, x - viz_font_ascent(f->font) / 2, y + w, buf,
                        viz_rgb_hex(VIZ_MUTED));
        else
            viz_text(f->c, f->font, x - w / 2, y, buf, viz_rgb_hex(VIZ_MUTED));
    }
}

static void draw_x_numbers(const struct viz_frame *f, int y)
{
    const struct viz_side *s = &f->x;
    int free_from = 0, foot = f->plot.y + f->plot.h, u = f->u;
    char buf[VIZ_NUMBER_LEN];
    for (size_t i = 0; i < s->ticks.n; i++) {
        int x = min_int((int)floor(viz_frame_x(f, s->ticks.at[i])), f->plot.x + f->plot.w - 1);
        const char *text = viz_tick_label(buf, &s->ticks, s->ticks.at[i]);
        int w = viz_text_width(f->font, text);
        int left = max_int(0, min_int(x - w / 2, f->c->w - w - 2 * u));
        viz_fill_rect(f->c, (struct viz_rect){x, foot, u, TICK_LEN * u}, viz_rgb_hex(VIZ_AXIS));
        if (s->grid)
            viz_fill_rect(f->c, (struct viz_rect){x, f->plot.y, u, f->plot.h},
                          viz_rgb_hex(VIZ_GRID));
        if (left < free_from) /* on a log axis labels may meet */
            continue;
        viz_text(f->c, f->font, left, y, text, viz_rgb_hex(VIZ_MUTED));
        free_from = left + w + 4 * u;
    }
}

static void draw_x_axis(const struct viz_frame *f)
{
    const struct viz_side *s = &f->x;
    int y = f->plot.y + f->plot.h + (TICK_LEN + TICK_GAP) * f->u;
    if (s->names)
        draw_x_names(f, y);
    else
        draw_x_numbers(f, y);
    if (f->stage < VIZ_STAGE_NO_LABELS && has(s->label)) {
        char label[TEXT_MAX];
        int w = viz_text_fit(label, sizeof(label), f->font, s->label, f->plot.w);
        viz_text(f->c, f->font, f->plot.x + (f->plot.w - w) / 2, y + f->names_h + LINE_GAP * f->u,
                 label, viz_rgb_hex(VIZ_INK));
    }
}

/* The map from its high end down, as an image of one column. */
static void draw_ramp(const struct viz_frame *f, struct viz_rect bar)
{
    uint8_t *rgb = bar.h > 0 ? vq_alloc((size_t)bar.h, 3) : NULL;
    f->c->failed |= bar.h > 0 && !rgb;
    for (int i = 0; rgb && i < bar.h; i++) {
        /* The middle of each row of pixels, so that both ends of the map are half a row away. */
        struct viz_rgb v = viz_colormap_rgb(f->map, 1 - (i + 0.5) / bar.h);
        memcpy(rgb + 3 * i, (uint8_t[3]){v.r, v.g, v.b}, 3);
    }
    if (rgb)
        viz_image(f->c, bar, rgb, NULL, 1, bar.h);
    free(rgb);
}

static void draw_scale(const struct viz_frame *f)
{
    int u = f->u, ascent = viz_font_ascent(f->font);
    struct viz_rect bar = {f->plot.x + f->plot.w + 16 * u, f->plot.y, SCALE_W * u, f->plot.h};
    int right = bar.x + bar.w + TICK_GAP * u;
    draw_ramp(f, bar);
    char buf[VIZ_NUMBER_LEN];
    for (size_t i = 0; i < f->z.ticks.n; i++) {
        double t = viz_axis_at(f->z.axis, f->z.ticks.at[i]);
        int y = bar.y + (int)floor((1 - t) * (bar.h - 1) + 0.5);
        viz_hline(f->c, bar.x + bar.w, y, 3 * u, viz_rgb_hex(VIZ_AXIS));
        viz_text(f->c, f->font, right, y - ascent / 2,
                 viz_tick_label(buf, &f->z.ticks, f->z.ticks.at[i]), viz_rgb_hex(VIZ_MUTED));
    }
    if (f->stage >= VIZ_STAGE_NO_LABELS || !has(f->z.label))
        return;
    char label[TEXT_MAX];
    int w = viz_text_fit(label, sizeof(label), f->font, f->z.label, bar.h);
    /* Beside the numbers, not at the edge: a plot of whole cells leaves some room there. */
    viz_text_up(f->c, f->font, right + labels_width(f, &f->z, 0) + LINE_GAP * u,
                bar.y + (bar.h + w) / 2, label, viz_rgb_hex(VIZ_INK));
}

enum vq_status viz_frame_open(struct viz_frame *f, struct vq_err *err)
{
    const struct viz_chart *chart = f->chart;
    size_t w = chart->width ? chart->width : VIZ_PLOT_WIDTH;
    size_t h = chart->height ? chart->height : VIZ_PLOT_HEIGHT;
    enum vq_status status = viz_canvas_new(&f->c, w, h, viz_rgb_hex(0xffffff), err);
    if (status != VQ_OK)
        return status;
    f->x.label = chart->xlabel;
    f->y.label = chart->ylabel;
    f->z.label = chart->zlabel;
    layout(f);
    if (f->stage < VIZ_STAGE_BARE) {
        header(f, true);
        draw_x_axis(f);
        draw_y_axis(f);
        if (f->z.shown)
            draw_scale(f);
    }
    viz_canvas_clip(f->c, f->plot);
    return VQ_OK;
}

enum vq_status viz_frame_close(struct viz_frame *f, enum vq_status status, struct viz_canvas **out,
                               struct vq_err *err)
{
    struct viz_rect p = f->plot;
    viz_canvas_unclip(f->c);
    if (f->stage < VIZ_STAGE_BARE)
        viz_fill_rect(f->c, (struct viz_rect){p.x, p.y + p.h, p.w, f->u}, viz_rgb_hex(VIZ_AXIS));
    int w = viz_text_width(f->font, f->empty);
    if (f->stage < VIZ_STAGE_BARE && w > 0 && w <= p.w)
        viz_text(f->c, f->font, p.x + (p.w - w) / 2, p.y + (p.h - viz_font_ascent(f->font)) / 2,
                 f->empty, viz_rgb_hex(VIZ_MUTED));
    if (status == VQ_OK)
        status = viz_canvas_check(f->c, err);
    if (status == VQ_OK)
        *out = f->c;
    else
        viz_canvas_free(f->c);
    return status;
}
