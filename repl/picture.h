/*
 * picture: what every picture of ours says about itself, and charts on their way to a file, PNG or
 * SVG by its suffix, and the screen.
 */
#ifndef VQ_REPL_PICTURE_H
#define VQ_REPL_PICTURE_H

#include "repl/models.h"
#include "viz/canvas.h"
#include "viz/png.h"

#define SH_MAX_NOTES 12

/* Notes for a PNG or SVG. Keys and values added are borrowed until the picture is written. */
struct sh_notes {
    struct viz_note v[SH_MAX_NOTES];
    size_t n;
    char seed[24]; /* room for sh_notes_seed */
};

/* Program, model, hash of its file (waits for it), and run, where there are such. m may be NULL. */
void sh_notes_begin(struct sh_notes *t, struct sh *sh, struct sh_model *m);
void sh_notes_add(struct sh_notes *t, const char *key,
                  const char *value); /* "" and NULL: nothing */
void sh_notes_seed(struct sh_notes *t, uint64_t seed);

/* Whether the name ends in .png or .svg, whatever the case. */
bool sh_picture_path(const char *path);

/* Writes the canvas to path, as SVG if it ends so, else as PNG. */
enum vq_status sh_picture_write(struct viz_canvas *c, const char *path, const struct sh_notes *t,
                                struct vq_err *err);

/* The same, shows it on a terminal, and reports {path, width, height}. Frees c. */
enum sh_rc sh_picture_finish(struct sh *sh, struct viz_canvas *c, const char *path,
                             const struct sh_notes *t);
/* The same without showing it. */
enum sh_rc sh_picture_save(struct sh *sh, struct viz_canvas *c, const char *path,
                           const struct sh_notes *t);

#endif
