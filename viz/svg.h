/*
 * svg: canvases as SVG documents that carry their own notes.
 *
 * Letters of documents are outlines, so one looks the same wherever it is shown; what they say
 * stands in its <desc>, one text a line. The same canvas and notes give the same bytes: there is no
 * date, and ids are counted from 1 in each document.
 */
#ifndef VQ_VIZ_SVG_H
#define VQ_VIZ_SVG_H

#include "core/base/text.h"
#include "viz/canvas.h"
#include "viz/png.h"

/* Writes c as SVG. The n notes go into <metadata>, a line "KEY: VALUE" each. *out is *size bytes
 * and a zero, freed with free(). VQ_ENOMEM. */
enum vq_status viz_svg_encode(char **out, size_t *size, const struct viz_canvas *c,
                              const struct viz_note *notes, size_t n, struct vq_err *err);

/*
 * c as an <svg> element for an HTML page. Letters are text, in the font that charts are laid out
 * for or what the reader has instead, fitted to the room that they have in the picture: a page of
 * charts need not hold the outlines of its letters over and over. Ids begin with id_prefix (a
 * letter, then letters, digits, '-', '_'), which is to be another for each element of a page. *out
 * as above. VQ_EINVAL: another kind of prefix; VQ_ENOMEM.
 */
enum vq_status viz_svg_inline(char **out, size_t *size, const struct viz_canvas *c,
                              const char *id_prefix, struct vq_err *err);

/* Appends text as XML content on one line; what XML cannot hold becomes a space or U+FFFD. */
void viz_svg_escape(struct vq_text *to, const char *s);

/* viz_svg_encode() to a file, which is replaced in one step: after any failure `path` is as
 * before. */
enum vq_status viz_svg_save(const char *path, const struct viz_canvas *c,
                            const struct viz_note *notes, size_t n, struct vq_err *err);

#endif
