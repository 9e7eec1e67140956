/*
 * codebook_views: the listings of `codebook` beyond its summary, one function each. All write
 * numbers to --out F.npy instead when that was given.
 */
#ifndef VQ_REPL_CODEBOOK_VIEWS_H
#define VQ_REPL_CODEBOOK_VIEWS_H

#include "core/inspect/trace.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/pick.h"

/* What a view is of. */
struct sh_codebook_view {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    const struct sh_heads *heads;
    const struct vq_trace *trace; /* whose counts are shown; NULL: the checkpoint's */
    size_t S;
};

/* Counts of one module-head into count[S]: those of the trace, else c_count. */
enum vq_status sh_codebook_counts(const struct sh_codebook_view *v, struct sh_mod at,
                                  struct sh_codebook *c, double *count, struct vq_err *err);

enum sh_rc sh_codebook_lorenz(const struct sh_codebook_view *v);     /* how use is shared out */
enum sh_rc sh_codebook_map(const struct sh_codebook_view *v);        /* codes on two axes */
enum sh_rc sh_codebook_similarity(const struct sh_codebook_view *v); /* like codes together */
enum sh_rc sh_codebook_dead(const struct sh_codebook_view *v);  /* dead codes, and their needs */
enum sh_rc sh_codebook_drift(const struct sh_codebook_view *v); /* since --against */

/* The model that `text` names: one that is loaded, or a checkpoint to be opened, which *owned then
 * is too. Its codebooks have the shapes of m's, else VQ_ESHAPE. */
enum vq_status sh_codebook_other(const struct sh *sh, const struct sh_model *m, const char *text,
                                 const struct vq_model **out, struct vq_model **owned,
                                 struct vq_err *err);

#endif
