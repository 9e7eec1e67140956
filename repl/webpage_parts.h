/*
 * webpage_parts: what the command report says about a model and about runs.
 */
#ifndef VQ_REPL_WEBPAGE_PARTS_H
#define VQ_REPL_WEBPAGE_PARTS_H

#include "core/store/store.h"
#include "repl/models.h"
#include "repl/webpage.h"

/* The current model; `over` is a file to look at with it, or NULL. */
void sh_webpage_model(struct sh_webpage *w, struct sh_model *m, const char *over);

/* Full ids of runs, in the order in which they are told. */
struct sh_run_ids {
    char (*v)[VQ_RUN_ID_SIZE];
    size_t n, cap;
};
bool sh_run_ids_add(struct sh_run_ids *ids, const char *id); /* false: out of memory */
void sh_run_ids_release(struct sh_run_ids *ids);

void sh_webpage_runs(struct sh_webpage *w, struct vq_store *store, const struct sh_run_ids *ids);
/* The samples of one run, pictures in full. */
void sh_webpage_samples(struct sh_webpage *w, struct vq_store *store, const char *id);

#endif
