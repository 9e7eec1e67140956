/*
 * models: what is loaded. Several models at once, one of them current. Each has, made when first
 * asked for: an engine (prepared weights), a session (the attention state that `feed` moves), a
 * trace for inspection, named states, and the SHA-256 of its file, computed in the background from
 * the moment the model is first used.
 */
#ifndef VQ_REPL_MODELS_H
#define VQ_REPL_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/model/engine.h"
#include "core/model/model.h"
#include "core/model/session.h"
#include "repl/sh.h"

struct sh_hash;    /* the background computation */
struct sh_tracked; /* what is remembered of a session: tracked.h */

struct sh_state {
    char *name;
    struct vq_session *session;
    struct sh_tracked *tracked; /* of that session; may be NULL */
    struct sh_state *next;
};

struct sh_model {
    char *name;
    char *path; /* as given to load */
    struct vq_model *model;
    enum vq_weight_format weights, state;
    enum vq_skip skip;
    struct sh_model *next;
    /* reached through the calls below */
    struct vq_engine *engine;
    struct vq_session *session;
    struct sh_state *states;
    struct sh_hash *hash;
    struct sh_tracked *tracked; /* of `session`; NULL until something is fed */
};

struct sh_model *sh_model_current(const struct sh *sh); /* NULL when nothing is loaded */
struct sh_model *sh_model_first(const struct sh *sh);   /* then m->next; order of loading */
struct sh_model *sh_model_find(const struct sh *sh, const char *name); /* exact; NULL */
size_t sh_model_count(const struct sh *sh);
bool sh_model_prepared(const struct sh *sh); /* some model has an engine */

/* Takes over an open model under `name` (NULL: made from the path) and makes it current. Of `how`
 * its formats and what is skipped count. A name that is taken is VQ_EINVAL and leaves `model` the
 * caller's. */
enum vq_status sh_model_add(struct sh *sh, struct vq_model *model, const char *path,
                            const char *name, const struct vq_engine_options *how,
                            struct sh_model **out, struct vq_err *err);
/* The formats of weights and state and what is skipped, by the names that settings and runs have
 * for them. "auto": a state as the weights; light rows of it are skipped unless it is exact. False
 * at a name that is none. */
bool sh_engine_options(struct vq_engine_options *out, const char *weights, const char *state,
                       const char *skip);
void sh_model_use(struct sh *sh, struct sh_model *m);
/* Frees m and all that hangs on it; when it was current, the one loaded last becomes current. */
void sh_model_unload(struct sh *sh, struct sh_model *m);
/* The name that load gives when none is asked for: "text-small" for .../text-small/checkpoint_3576,
 * "text-small-2" when that is taken. Into buf; returns buf. */
const char *sh_model_name_for(const struct sh *sh, const char *path, char *buf, size_t len);

/* The engine, preparing the weights on first use (progress is shown, Ctrl-C stops it). NULL fills
 * err. */
const struct vq_engine *sh_model_engine(struct sh *sh, struct sh_model *m, struct vq_err *err);
/* Drops engine, session, states and trace, so that the next use makes them anew (other weights). */
void sh_model_drop_engine(struct sh_model *m);
/* The session of one sequence, empty on first use. NULL fills err. */
struct vq_session *sh_model_session(struct sh *sh, struct sh_model *m, struct vq_err *err);
/* Tokens fed so far; 0 when there is no session yet. */
int64_t sh_model_position(const struct sh_model *m);
/* Replaces the session by `s` and what is remembered of it by `tracked` (or NULL), which m owns
 * from now on. Either may be the one that m has already. */
void sh_model_set_session(struct sh_model *m, struct vq_session *s, struct sh_tracked *tracked);

/* Named states: keep a session with what is remembered of it (m owns both when this succeeds;
 * replaces one of that name), find it, list it through m->states, forget it (false when there is
 * none). */
enum vq_status sh_state_keep(struct sh_model *m, const char *name, struct vq_session *s,
                             struct sh_tracked *tracked, struct vq_err *err);
struct sh_state *sh_state_find(const struct sh_model *m, const char *name);
bool sh_state_drop(struct sh_model *m, const char *name);

/*
 * The SHA-256 of the checkpoint file in hex. wait: until it is known, watching cancel
 * (VQ_ECANCELLED leaves the computation running). Without wait: *hex is NULL while it is not known,
 * which is no failure. *hex is borrowed from m.
 */
enum vq_status sh_model_hash(struct sh *sh, struct sh_model *m, bool wait, const char **hex,
                             struct vq_err *err);

/* For the shell itself. */
struct sh_models *sh_models_new(void);
void sh_models_free(struct sh *sh);

#endif
