#include "repl/runview.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/data/image.h"
#include "repl/out.h"
#include "repl/out_private.h"
#include "repl/sampling.h"
#include "repl/terminal.h"
#include "viz/sheet.h"

enum { MOST_PICTURES = 64 };

struct view {
    struct sh *sh;
    const struct vq_run_info *run;
    struct vq_text text;
    bool pictures;
    uint8_t *rgb[MOST_PICTURES];
    size_t n;
};

char *sh_run_path(const struct vq_run_info *run, const char *path)
{
    char *whole = NULL;
    if (path[0] == '/' || !run->cwd[0])
        return vq_strdup(path);
    return asprintf(&whole, "%s/%s", run->cwd, path) < 0 ? NULL : whole;
}

static bool add_text(struct view *v, const struct vq_sample *s)
{
    vq_text_printf(&v->text, "\nsample %" PRId64 ", seed %" PRIu64 "\n", s->index, s->seed);
    sh_clean_text(s->text, s->len, true, &v->text);
    if (s->len == 0 || s->text[s->len - 1] != '\n')
        vq_text_puts(&v->text, "\n");
    return !v->text.failed;
}

/* One that is gone, or is no picture, is left out. */
static void add_picture(struct view *v, const struct vq_sample *s)
{
    char *path = sh_run_path(v->run, s->path);
    uint8_t *rgb;
    if (path && vq_image_load_square(path, SH_IMAGE_SIDE, &rgb, NULL) == VQ_OK)
        v->rgb[v->n++] = rgb;
    free(path);
}

static bool look_at(void *ud, const struct vq_sample *s)
{
    struct view *v = ud;
    if (s->text)
        return add_text(v, s);
    if (s->path && v->pictures && v->n < MOST_PICTURES)
        add_picture(v, s);
    return true;
}

static void show_pictures(struct view *v)
{
    struct viz_sheet sheet = viz_sheet_default();
    struct viz_canvas *c;
    size_t fit = (size_t)sh_out_columns(v->sh) / (SH_IMAGE_SIDE + 1);
    sheet.gap = 1;
    sheet.columns = fit < 1 ? 1 : fit < v->n ? fit : v->n;
    if (viz_sheet_draw(&c, &sheet, (const uint8_t *const *)v->rgb, v->n, SH_IMAGE_SIDE,
                       SH_IMAGE_SIDE, NULL) != VQ_OK)
        return;
    sh_terminal_canvas(v->sh, c);
    viz_canvas_free(c);
}

enum sh_rc sh_view_samples(struct sh *sh, struct vq_store *store, const struct vq_run_info *run)
{
    struct vq_err err = {0};
    struct viz_term term;
    struct view v = {.sh = sh, .run = run, .pictures = sh_terminal_pictures(sh, &term)};
    enum vq_status status = vq_store_samples(store, run->id, look_at, &v, &err);
    enum sh_rc rc = status == VQ_OK ? SH_OK : sh_fail(sh, &err);
    if (rc == SH_OK && v.text.failed)
        rc = sh_failf(sh, "out of memory");
    if (rc == SH_OK && v.text.len)
        rc = sh_out_text(sh, v.text.data, v.text.len);
    if (rc == SH_OK && v.n)
        show_pictures(&v);
    for (size_t i = 0; i < v.n; i++)
        free(v.rgb[i]);
    vq_text_release(&v.text);
    return rc;
}
