/*
 * tracked: the trace that hangs on a model's session: which tokens were fed and which codes they
 * fell on. `feed` writes it; codebook, code, cache and attn read it.
 */
#ifndef VQ_REPL_TRACKED_H
#define VQ_REPL_TRACKED_H

#include "core/inspect/trace.h"
#include "repl/models.h"

/* The trace of m's session, or NULL when nothing was fed since the session was made or replaced. */
struct vq_trace *sh_trace(const struct sh_model *m);
/* The same, made empty (with the model's codebooks) when there is none. NULL fills err. */
struct vq_trace *sh_trace_make(struct sh_model *m, struct vq_err *err);

#endif
