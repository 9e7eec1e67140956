/*
 * svg: canvases as SVG documents that carry their own notes.
 *
 * Letters are outlines, so a document looks the same wherever it is shown; what they say stands in
 * its <desc>, one text a line. The same canvas and notes give the same bytes: there is no date, and
 * ids are counted from 1 in each document.
 */
#ifndef VQ_VIZ_SVG_H
#define VQ_VIZ_SVG_H

#include "viz/canvas.h"
#include "viz/png.h"

/*
 * Writes c as SVG. The n notes go into <metadata>, a line "KEY: VALUE" each. With an id_prefix (a
 * letter, then letters, digits, '-', '_') all ids begin with it and there is no XML declaration:
 * such documents, each with a prefix of its own, can stand in one HTML page. NULL for a document of
 * its own. *out is *size bytes and a zero, freed with free().
 * VQ_EINVAL: another kind of prefix; VQ_ENOMEM.
 */
enum vq_status viz_svg_encode(char **out, size_t *size, const struct viz_canvas *c,
                              const struct viz_note *notes, size_t n, const char *id_prefix,
                              struct vq_err *err);

/* viz_svg_encode() to a file, which is replaced in one step: after any failure `path` is as
 * before. */
enum vq_status viz_svg_save(const char *path, const struct viz_canvas *c,
                            const struct viz_note *notes, size_t n, struct vq_err *err);

#endif
