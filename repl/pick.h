/*
 * pick: which module-heads a command is about, and their codebooks.
 */
#ifndef VQ_REPL_PICK_H
#define VQ_REPL_PICK_H

#include "repl/models.h"
#include "repl/opt.h"

/* Module-heads, every one with its head named. */
struct sh_heads {
    struct sh_mod *v;
    size_t n;
};

/* Those of the first positional (SH_MODULES or SH_MODULE), or all of the model when it is not
 * given. Reports its own errors. Release after SH_OK. */
enum sh_rc sh_heads_pick(struct sh *sh, const struct sh_args *a, const struct sh_model *m,
                         struct sh_heads *out);
/* Those of an option of kind SH_MODULES or SH_MODULE, or all when it is not given. */
enum sh_rc sh_heads_option(struct sh *sh, const struct sh_args *a, const char *option,
                           const struct sh_model *m, struct sh_heads *out);
/* Those that `text`, word `word` of the command, lists. Reports its own errors. */
enum sh_rc sh_heads_parse(struct sh *sh, const struct sh_model *m, const char *text, int word,
                          struct sh_heads *out);
void sh_heads_release(struct sh_heads *h);

/* One module's codebook and counts, read from the checkpoint. */
struct sh_codebook {
    int module;
    size_t H, S, K;
    float *C;     /* [H, S, K] */
    float *count; /* [H, S] c_count */
};

/* Fills c, reusing its memory when it was filled before (start from {0}); does nothing when it
 * holds that module already. */
enum vq_status sh_codebook_read(const struct sh_model *m, int module, struct sh_codebook *c,
                                struct vq_err *err);
void sh_codebook_release(struct sh_codebook *c);

#endif
