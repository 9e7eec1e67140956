/*
 * Pictures about pictures, for models whose sequences are 64x64 RGB: mean patches of codes, weights
 * painted over the picture that was looked at, bits per pixel.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/patch.h"
#include "repl/attn_run.h"
#include "repl/out.h"
#include "repl/plot.h"
#include "repl/surprising.h"
#include "repl/tokens.h"
#include "viz/colormap.h"
#include "viz/sheet.h"

#define SIDE   VQ_PICTURE_SIDE
#define PIXELS ((size_t)SIDE * SIDE)
#define BITS   (1.0 / 0.69314718055994530942)

static enum vq_status only_pictures(const struct sh_plotting *p, struct vq_err *err)
{
    if (vq_vocab_is_image(vq_model_vocab(p->m->model)))
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL, "%s is no model of pictures", p->m->name);
}

/* ---- mean patches ---- */

/* A patch's means as bytes; what no member has is the colour of nothing. */
static uint8_t *patch_rgb(const struct vq_patch *patch)
{
    size_t n = patch->side * patch->side * 3;
    struct viz_rgb none = viz_rgb_hex(VIZ_NAN_RGB);
    const uint8_t nothing[3] = {none.r, none.g, none.b};
    uint8_t *rgb = vq_alloc(n, 1);
    for (size_t i = 0; rgb && i < n; i++)
        rgb[i] = isnan(patch->mean[i]) ? nothing[i % 3] : (uint8_t)lround(patch->mean[i]);
    return rgb;
}

/* Patches of several codes side by side, with how many members each has. */
struct patches {
    uint8_t **rgb;
    char (*caption)[48];
    const char **captions;
    size_t n, side;
};

static void release_patches(struct patches *s)
{
    for (size_t i = 0; s->rgb && i < s->n; i++)
        free(s->rgb[i]);
    free(s->rgb);
    free(s->caption);
    free(s->captions);
}

static enum vq_status reserve_patches(struct patches *s, size_t n, struct vq_err *err)
{
    *s = (struct patches){.rgb = vq_calloc(n, sizeof(*s->rgb)),
                          .caption = vq_calloc(n, sizeof(*s->caption)),
                          .captions = vq_calloc(n, sizeof(*s->captions)),
                          .n = n};
    return s->rgb && s->caption && s->captions ? VQ_OK
                                               : vq_nomem(err, "patches", n, sizeof(*s->caption));
}

static enum vq_status take_patch(struct patches *s, size_t i, size_t code,
                                 const struct vq_patch *patch, struct vq_err *err)
{
    s->side = patch->side;
    s->rgb[i] = patch_rgb(patch);
    snprintf(s->caption[i], sizeof(s->caption[i]), "%zu: %llu", code,
             (unsigned long long)patch->members);
    s->captions[i] = s->caption[i];
    return s->rgb[i] ? VQ_OK : vq_nomem(err, "a patch", patch->side, patch->side);
}

/* One code: its patch above, how its members spread over the colours below. */
static enum vq_status draw_one_patch(struct sh_plotting *p, const struct vq_trace *t, size_t code,
                                     struct viz_canvas **out, struct vq_err *err)
{
    static const char *const names[] = {"red", "green", "blue"};
    struct sh_mod at = p->heads.v[0];
    struct vq_patch patch;
    struct patches s = {0};
    struct viz_canvas *top = NULL, *bottom = NULL;
    struct viz_sheet sheet = viz_sheet_default();
    enum vq_status status = vq_patch_mean(&patch, t, vq_model_vocab(p->m->model), at.module,
                                          at.head, code, (int)sh_opt_int(p->a, "radius"), err);
    if (status != VQ_OK)
        return status;
    float shares[3];
    for (size_t c = 0; c < 3; c++)
        shares[c] = patch.members ? (float)patch.channel[c] / (float)patch.members : 0.0f;
    if ((status = reserve_patches(&s, 1, err)) == VQ_OK)
        status = take_patch(&s, 0, code, &patch, err);
    sheet.zoom = 480 / patch.side ? 480 / patch.side : 1;
    sheet.captions = s.captions;
    if (status == VQ_OK)
        status =
            viz_sheet_draw(&top, &sheet, (const uint8_t *const *)s.rgb, 1, s.side, s.side, err);
    if (status == VQ_OK) {
        p->chart.width = (size_t)top->w;
        p->chart.height = 220;
        p->chart.title = NULL;
        p->chart.ylabel = "share of members";
        status = viz_plot_bars(&bottom, &p->chart, viz_f32(shares, 3), names, err);
    }
    if (status == VQ_OK)
        status = sh_plot_stack(out, top, bottom, err);
    else
        viz_canvas_free(top);
    release_patches(&s);
    vq_patch_release(&patch);
    return status;
}

/* All codes on one sheet. */
static enum vq_status draw_all_patches(struct sh_plotting *p, const struct vq_trace *t,
                                       struct viz_canvas **out, struct vq_err *err)
{
    struct sh_mod at = p->heads.v[0];
    struct patches s;
    struct viz_sheet sheet = viz_sheet_default();
    enum vq_status status = reserve_patches(&s, (size_t)vq_model_config(p->m->model)->n_code, err);
    for (size_t code = 0; status == VQ_OK && code < s.n; code++) {
        struct vq_patch patch;
        if (vq_cancelled(sh_cancel(p->sh)))
            status = vq_fail(err, VQ_ECANCELLED, "interrupted");
        else
            status = vq_patch_mean(&patch, t, vq_model_vocab(p->m->model), at.module, at.head, code,
                                   (int)sh_opt_int(p->a, "radius"), err);
        if (status != VQ_OK)
            break;
        status = take_patch(&s, code, code, &patch, err);
        vq_patch_release(&patch);
    }
    sheet.zoom = s.side && 72 / s.side ? 72 / s.side : 1;
    sheet.captions = s.captions;
    if (status == VQ_OK)
        status =
            viz_sheet_draw(out, &sheet, (const uint8_t *const *)s.rgb, s.n, s.side, s.side, err);
    release_patches(&s);
    return status;
}

enum vq_status sh_draw_patch(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct vq_trace *trace;
    bool owned, one = sh_opt_given(p->a, "code");
    size_t code = (size_t)sh_opt_int(p->a, "code"),
           S = (size_t)vq_model_config(p->m->model)->n_code;
    enum vq_status status = only_pictures(p, err);
    if (status == VQ_OK && one && code >= S)
        status = vq_fail(err, VQ_EINVAL, "--code takes 0 to %zu", S - 1);
    if (status != VQ_OK)
        return status;
    enum sh_rc rc = sh_trace_pick(p->sh, p->a, p->m, &trace, &owned);
    if (rc != SH_OK)
        return sh_plot_said(p, rc, err);
    sh_plot_title(p, one ? "Mean neighbourhood of a code" : "Mean neighbourhoods of codes");
    if (!trace)
        return vq_fail(err, VQ_ENOTFOUND, "nothing was fed: feed a picture, or give --over");
    status = one ? draw_one_patch(p, trace, code, out, err) : draw_all_patches(p, trace, out, err);
    if (owned)
        vq_trace_free(trace);
    return status;
}

/* ---- weights over the picture ---- */

/* What is painted: the picture as far as it was fed, and one number for each pixel. */
struct painting {
    uint8_t seen[PIXELS * 3];
    double v[PIXELS];
    uint8_t heat[PIXELS * 3], over[PIXELS * 3];
};

/* Byte `at` of the picture, unless the id stands for none. */
static void paint_byte(struct painting *x, const struct vq_vocab *v, size_t at, int32_t id)
{
    int byte = vq_vocab_byte_at(v, at, id);
    if (byte >= 0)
        x->seen[at] = (uint8_t)byte;
}

/* The picture so far; what was not fed yet is grey. */
static void paint_seen(struct painting *x, const struct vq_vocab *v, const struct sh_tokens *t,
                       size_t n)
{
    memset(x->seen, 0x60, sizeof(x->seen));
    for (size_t i = 1; i < n && i <= sizeof(x->seen); i++)
        paint_byte(x, v, i - 1, sh_tokens_input(t, i));
}

/* Colours of the numbers, and the picture in grey with these colours laid over it. */
static void paint_heat(struct painting *x, bool log)
{
    const struct viz_colormap *map = viz_colormap_find("ember");
    struct viz_norm norm = viz_norm_fit(viz_f64(x->v, PIXELS), log, false);
    for (size_t i = 0; i < PIXELS; i++) {
        double t = viz_norm_at(norm, x->v[i]);
        struct viz_rgb c = viz_colormap_rgb(map, t);
        const uint8_t *s = x->seen + 3 * i;
        uint8_t grey = (uint8_t)((s[0] * 2 + s[1] * 5 + s[2]) / 8 / 2 + 40);
        struct viz_rgb mixed = viz_rgb_mix((struct viz_rgb){grey, grey, grey}, c, sqrt(t));
        memcpy(x->heat + 3 * i, (uint8_t[]){c.r, c.g, c.b}, 3);
        memcpy(x->over + 3 * i, (uint8_t[]){mixed.r, mixed.g, mixed.b}, 3);
    }
}

static enum vq_status sheet_of(const struct painting *x, const char *const *captions,
                               struct viz_canvas **out, struct vq_err *err)
{
    const uint8_t *const images[] = {x->seen, x->over, x->heat};
    struct viz_sheet sheet = viz_sheet_default();
    sheet.zoom = 6;
    sheet.columns = 3;
    sheet.captions = captions;
    return viz_sheet_draw(out, &sheet, images, 3, SIDE, SIDE, err);
}

enum vq_status sh_draw_attn_grid(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_attn_run r = {.sh = p->sh, .m = p->m, .heads = &p->heads};
    struct painting *x = vq_calloc(1, sizeof(*x));
    enum vq_status status = x ? only_pictures(p, err) : vq_nomem(err, "a picture", 1, sizeof(*x));
    enum sh_rc rc = status == VQ_OK ? sh_attn_run(&r, p->a, "", SH_ATTN_MAP) : SH_OK;
    if (rc != SH_OK)
        status = sh_plot_said(p, rc, err);
    sh_plot_title(p, "Attention over the picture");
    if (status == VQ_OK) {
        char query[64], off[64];
        int row = 0, column = 0, channel;
        double outside = 0.0;
        for (size_t i = 0; i < r.keys; i++) {
            if (vq_pixel_at((int64_t)i, &row, &column, &channel))
                x->v[(size_t)row * SIDE + (size_t)column] += r.map[i];
            else
                outside += r.map[i];
        }
        paint_seen(x, vq_model_vocab(p->m->model), &r.t, r.keys);
        paint_heat(x, sh_opt_flag(p->a, "log"));
        snprintf(query, sizeof(query), "query at row %d, column %d", row, column);
        snprintf(off, sizeof(off), "weights; %.4f on eos", outside);
        status = sheet_of(x, (const char *const[]){query, "weights over it", off}, out, err);
    }
    sh_attn_release(&r);
    free(x);
    return status;
}

/* ---- bits per pixel ---- */

static enum vq_status draw_bits(struct sh_plotting *p, const struct sh_surprising *s,
                                struct viz_canvas **out, struct vq_err *err)
{
    struct painting *x = vq_calloc(1, sizeof(*x));
    char mean[64], most[64];
    double sum = 0.0, top = 0.0;
    if (!x)
        return vq_nomem(err, "a picture", 1, sizeof(*x));
    memset(x->seen, 0x60, sizeof(x->seen));
    for (size_t i = 0; i < s->n; i++) {
        int row, column, channel;
        if (!vq_pixel_at((int64_t)i + 1, &row, &column, &channel))
            continue;
        size_t at = (size_t)row * SIDE + (size_t)column;
        x->v[at] += s->v[i].nats * BITS;
        sum += s->v[i].nats * BITS;
        top = fmax(top, x->v[at]);
        paint_byte(x, vq_model_vocab(s->m->model), i, sh_surprise_target(s, i));
    }
    paint_heat(x, sh_opt_flag(p->a, "log"));
    snprintf(mean, sizeof(mean), "%.3f bits per byte", sum / (double)s->n);
    snprintf(most, sizeof(most), "bits per pixel, at most %.1f", top);
    enum vq_status status =
        sheet_of(x, (const char *const[]){mean, "bits over it", most}, out, err);
    free(x);
    return status;
}

enum vq_status sh_draw_bits(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err)
{
    struct sh_surprising s = {.sh = p->sh, .m = p->m};
    enum sh_rc rc = sh_surprise(&s, p->a, NULL);
    enum vq_status status = rc == SH_OK ? VQ_OK : sh_plot_said(p, rc, err);
    p->heads.n = 0;
    sh_plot_title(p, "Bits per pixel");
    if (status == VQ_OK)
        status = draw_bits(p, &s, out, err);
    sh_surprise_release(&s);
    return status;
}
