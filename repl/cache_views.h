/*
 * cache_views: the listings of `cache` that need more than the state as it stands: how the
 * aggregate grew, what went into it, how it differs from another state. All write counts to --out
 * F.npy instead where that was given.
 */
#ifndef VQ_REPL_CACHE_VIEWS_H
#define VQ_REPL_CACHE_VIEWS_H

#include "repl/models.h"
#include "repl/opt.h"
#include "repl/pick.h"

/* What is looked at. */
struct sh_cache_look {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    const struct vq_config *c;
    const struct vq_vocab *vocab;
    const struct vq_session *session;
    const struct sh_heads *heads;
    int row; /* the sequence of the batch */
};

/* Room for the values of a module, which the caller frees; NULL after an error. */
float *sh_cache_room(const struct sh_cache_look *l, struct vq_err *err);

/* Begins a row with its module and head. */
void sh_cache_place(struct sh *sh, struct sh_mod at);

enum sh_rc sh_cache_growth(const struct sh_cache_look *l);  /* at --growth moments of a run */
enum sh_rc sh_cache_members(const struct sh_cache_look *l); /* ages, tokens, attention drawn */
enum sh_rc sh_cache_diff(const struct sh_cache_look *l);    /* since the state --diff */

#endif
