/*
 * The picture half of `sample`: prompts, preview rows in the terminal, PNG files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/data/image.h"
#include "repl/out.h"
#include "repl/picture.h"
#include "repl/runlog.h"
#include "repl/sampling.h"
#include "repl/terminal.h"
#include "repl/tracked.h"
#include "viz/sheet.h"

#define SHEET_ZOOM    3
#define SHEET_CAPTION 48

/* Tokens of another channel than stands at their place, which only --tokens can have fed. */
static enum vq_status check_fed(const struct vq_vocab *v, const struct sh_history *h,
                                struct vq_err *err)
{
    char found[64], first[64], last[64];
    for (size_t i = 0; i < h->n; i++) {
        int32_t id = h->tokens[i];
        if (id < VQ_N_SPECIAL || vq_vocab_byte_at(v, i, id) >= 0)
            continue;
        return vq_fail(err, VQ_EINVAL,
                       "byte %zu of the picture that was fed is %s (id %d); expected %s to %s", i,
                       vq_vocab_piece(v, id, found, sizeof(found)), (int)id,
                       vq_vocab_piece(v, vq_vocab_byte_id(v, i, 0), first, sizeof(first)),
                       vq_vocab_piece(v, vq_vocab_byte_id(v, i, UINT8_MAX), last, sizeof(last)));
    }
    return VQ_OK;
}

/* The picture that the session holds so far, without the eos before it. */
static enum vq_status fed_picture(struct sh_sampling *s, struct sh_history *h, struct vq_err *err)
{
    enum vq_status status = sh_history(s->m, h, err);
    if (status == VQ_OK)
        h->tokens += (size_t)s->row * h->stride;
    if (status == VQ_OK && h->n > 0 && h->tokens[0] == VQ_EOS) {
        h->tokens++;
        h->n--;
    }
    if (status == VQ_OK && h->n >= SH_IMAGE_BYTES)
        status = vq_fail(err, VQ_EINVAL,
                         "the picture that was fed is whole: nothing is left of it "
                         "to paint; reset first");
    return status == VQ_OK ? check_fed(s->vocab, h, err) : status;
}

enum vq_status sh_image_plan(struct sh_sampling *s, struct vq_err *err)
{
    struct sh_history h;
    if (s->go_on) {
        enum vq_status status = fed_picture(s, &h, err);
        if (status != VQ_OK)
            return status;
        s->given = h.n;
    } else if (sh_opt_given(s->args, "prompt-image")) {
        s->given = (size_t)sh_opt_int(s->args, "rows") * SH_IMAGE_ROW;
    }
    if (s->length > SH_IMAGE_BYTES - s->given)
        s->length = SH_IMAGE_BYTES - s->given;
    return VQ_OK;
}

static void put_byte(struct sh_sampling *s, size_t b, size_t at, int32_t id)
{
    int byte = vq_vocab_byte_at(s->vocab, at, id);
    if (at < SH_IMAGE_BYTES && byte >= 0)
        s->drawn[b].rgb[at] = (uint8_t)byte;
}

static enum vq_status give_fed(struct sh_sampling *s, struct vq_err *err)
{
    struct sh_history h;
    enum vq_status status = fed_picture(s, &h, err);
    for (size_t b = 0; status == VQ_OK && b < s->n; b++)
        for (size_t i = 0; i < s->given; i++)
            put_byte(s, b, i, h.tokens[i]);
    return status;
}

enum vq_status sh_image_prompt(struct sh_sampling *s, int32_t **ids, size_t *n, struct vq_err *err)
{
    uint8_t *rgb;
    *ids = NULL;
    *n = 0;
    if (s->go_on)
        return give_fed(s, err);
    if (!sh_opt_given(s->args, "prompt-image"))
        return VQ_OK;
    enum vq_status status =
        vq_image_load_square(sh_opt_text(s->args, "prompt-image"), SH_IMAGE_SIDE, &rgb, err);
    if (status != VQ_OK)
        return status;
    for (size_t b = 0; b < s->n; b++)
        memcpy(s->drawn[b].rgb, rgb, s->given);
    status = vq_vocab_encode(s->vocab, (const char *)rgb, s->given, ids, n, err);
    free(rgb);
    return status;
}

/* Prints the pixel rows that have become whole in all the pictures shown, side by side. */
static void show_rows(struct sh_sampling *s, size_t rows)
{
    struct viz_term term;
    struct vq_err err;
    char *text;
    size_t width = s->strip_n * (SH_IMAGE_SIDE + 1) - 1;
    if (!s->strip || !sh_terminal_pictures(s->sh, &term))
        return;
    size_t step = viz_term_step(&term, width), ready = rows / step * step;
    if (rows == SH_IMAGE_SIDE)
        ready = rows;
    if (ready <= s->shown_rows)
        return;
    for (size_t b = 0; b < s->strip_n; b++)
        for (size_t r = s->shown_rows; r < ready; r++)
            memcpy(s->strip + (r * width + b * (SH_IMAGE_SIDE + 1)) * 3,
                   s->drawn[b].rgb + r * SH_IMAGE_ROW, SH_IMAGE_ROW);
    if (viz_term_rows(&text, &term, s->strip, width, s->shown_rows, ready, &err) == VQ_OK) {
        sh_terminal_put(s->sh, text);
        free(text);
    }
    s->shown_rows = ready;
}

void sh_image_put(struct sh_sampling *s, size_t b, int32_t id)
{
    size_t at = s->given + s->drawn[b].n;
    put_byte(s, b, at, id);
    if (b + 1 == s->n && (at + 1) % SH_IMAGE_ROW == 0)
        show_rows(s, (at + 1) / SH_IMAGE_ROW);
}

/* What each PNG says about itself; given is room for the number of rows. */
static void make_notes(struct sh_sampling *s, size_t b, struct sh_notes *t, char given[24])
{
    sh_notes_begin(t, s->sh, s->m);
    sh_notes_seed(t, s->seed + b);
    snprintf(given, 24, "%zu", s->given / SH_IMAGE_ROW);
    sh_notes_add(t, "prompt_rows", given);
}

/* All the pictures on one sheet, each with its number and seed below it while there is room. */
static enum vq_status save_sheet(struct sh_sampling *s, const char *path, struct vq_err *err)
{
    struct viz_sheet sheet = viz_sheet_default();
    struct viz_canvas *c = NULL;
    struct sh_notes notes;
    char given[24], (*text)[SHEET_CAPTION] = vq_calloc(s->n, sizeof(*text));
    const uint8_t **images = vq_calloc(s->n, sizeof(*images));
    const char **captions = vq_calloc(s->n, sizeof(*captions));
    enum vq_status status = VQ_OK;
    if (!images || !captions || !text) {
        status = vq_nomem(err, "contact sheet", s->n, sizeof(*text));
        goto done;
    }
    for (size_t b = 0; b < s->n; b++) {
        images[b] = s->drawn[b].rgb;
        snprintf(text[b], sizeof(text[b]), "%zu: seed %llu", b, (unsigned long long)(s->seed + b));
        captions[b] = text[b];
    }
    bool room = s->n <= 256;
    sheet.zoom = room ? SHEET_ZOOM : 1;
    sheet.captions = room ? captions : NULL;
    status = viz_sheet_draw(&c, &sheet, images, s->n, SH_IMAGE_SIDE, SH_IMAGE_SIDE, err);
    make_notes(s, 0, &notes, given);
    if (status == VQ_OK)
        status = viz_png_save_canvas(path, c, notes.v, notes.n, err);
done:
    viz_canvas_free(c);
    free(captions);
    free(images);
    free(text);
    return status;
}

enum vq_status sh_image_save(struct sh_sampling *s, char **sheet, struct vq_err *err)
{
    char base[64], name[32];
    snprintf(base, sizeof(base), "vqsh-%s", sh_run_id(s->sh) ? sh_run_id(s->sh) : "sample");
    enum vq_status status = VQ_OK;
    for (size_t b = 0; status == VQ_OK && b < s->n; b++) {
        struct sh_notes notes;
        char given[24];
        struct sh_drawn *d = &s->drawn[b];
        snprintf(name, sizeof(name), "%zu", b);
        d->path = sh_sample_path(s, base, s->n > 1 ? name : "", ".png");
        if (!d->path)
            return vq_nomem(err, "file name", 1, 1);
        make_notes(s, b, &notes, given);
        status = viz_png_save(d->path, d->rgb, SH_IMAGE_SIDE, SH_IMAGE_SIDE, notes.v, notes.n, err);
        if (status == VQ_OK)
            sh_run_file(s->sh, "image", d->path);
    }
    if (status != VQ_OK)
        return status;
    *sheet = sh_sample_path(s, base, "sheet", ".png");
    if (!*sheet)
        return vq_nomem(err, "file name", 1, 1);
    status = save_sheet(s, *sheet, err);
    if (status == VQ_OK)
        sh_run_file(s->sh, "image", *sheet);
    return status;
}
