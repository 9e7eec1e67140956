/*
 * editor: a text from the user's own editor.
 */
#ifndef VQ_REPL_EDITOR_H
#define VQ_REPL_EDITOR_H

#include "core/base/text.h"
#include "repl/sh.h"

/* Opens $VISUAL, $EDITOR or vi on a temporary file that holds `text`, waits for it, and hands over
 * what the file holds then, without newlines at its end. VQ_EINVAL when the editor fails. */
enum vq_status sh_edit(struct sh *sh, const char *text, size_t len, struct vq_text *out,
                       struct vq_err *err);

#endif
