#include "repl/picture.h"

#include <stdio.h>
#include <string.h>

#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/terminal.h"
#include "viz/svg.h"

void sh_notes_add(struct sh_notes *t, const char *key, const char *value)
{
    if (value && *value && t->n < SH_MAX_NOTES)
        t->v[t->n++] = (struct viz_note){key, value};
}

void sh_notes_seed(struct sh_notes *t, uint64_t seed)
{
    snprintf(t->seed, sizeof(t->seed), "%llu", (unsigned long long)seed);
    sh_notes_add(t, "seed", t->seed);
}

void sh_notes_begin(struct sh_notes *t, struct sh *sh, struct sh_model *m)
{
    const char *hex = NULL;
    struct vq_err err;
    *t = (struct sh_notes){0};
    sh_notes_add(t, "Software", "vqsh " VQSH_VERSION);
    if (m) {
        sh_model_hash(sh, m, true, &hex, &err);
        sh_notes_add(t, "model", m->name);
        sh_notes_add(t, "model_sha256", hex);
    }
    sh_notes_add(t, "run", sh_run_id(sh));
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

bool sh_picture_path(const char *path)
{
    return ends_with(path, ".png") || ends_with(path, ".svg");
}

enum vq_status sh_picture_write(struct viz_canvas *c, const char *path, const struct sh_notes *t,
                                struct vq_err *err)
{
    return ends_with(path, ".svg") ? viz_svg_save(path, c, t->v, t->n, err)
                                   : viz_png_save_canvas(path, c, t->v, t->n, err);
}

static enum sh_rc finish(struct sh *sh, struct viz_canvas *c, const char *path,
                         const struct sh_notes *t, bool show)
{
    struct vq_err err = {0};
    int w = c->w, h = c->h;
    enum vq_status status = sh_picture_write(c, path, t, &err);
    if (status == VQ_OK && show)
        sh_terminal_canvas(sh, c);
    viz_canvas_free(c);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_record(sh);
    sh_str(sh, "path", path);
    sh_int(sh, "width", w);
    sh_int(sh, "height", h);
    return sh_end(sh);
}

enum sh_rc sh_picture_finish(struct sh *sh, struct viz_canvas *c, const char *path,
                             const struct sh_notes *t)
{
    return finish(sh, c, path, t, true);
}

enum sh_rc sh_picture_save(struct sh *sh, struct viz_canvas *c, const char *path,
                           const struct sh_notes *t)
{
    return finish(sh, c, path, t, false);
}
