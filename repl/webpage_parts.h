/*
 * webpage_parts: what the command report says about a model, about what it does with a text, and
 * about runs. The options named here are those of cmd_report.c.
 */
#ifndef VQ_REPL_WEBPAGE_PARTS_H
#define VQ_REPL_WEBPAGE_PARTS_H

#include "core/store/store.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/pick.h"
#include "repl/webpage.h"

/* ---- webpage_model.c ---- */

/* All parts about the current model; --modules, --over, --text, --bytes. */
void sh_webpage_model(struct sh_webpage *w, const struct sh_args *a, struct sh_model *m);

/* Options for the size of a chart with a row for each of n module-heads. */
void sh_webpage_size_over_codes(size_t n, char size[64]);

/* ---- webpage_reading.c ---- */

/* A text, picture or array of ids to look at with the model. Of a text the first bytes alone may be
 * meant, so what commands are told to open is not always what a reader would call it. */
struct sh_reading {
    char *path; /* what commands open */
    char *name; /* for the reader: the words "--over book.txt" or "--text 'Call me'" */
    int fd;     /* of a text held in memory; -1: none */
    bool is_text, is_npy, is_folder;
    size_t used, size; /* bytes read of all there are; texts only */
};

/* From --over or --text; out->path is NULL when neither was given. Reports its own errors; release
 * in any case. */
enum sh_rc sh_reading_open(struct sh *sh, const struct sh_args *a, const struct sh_model *m,
                           struct sh_reading *out);
void sh_reading_release(struct sh_reading *r);

/* What the model does with it; `modules` are the heads as commands take them. */
void sh_webpage_reading(struct sh_webpage *w, struct sh_model *m, const struct sh_reading *r,
                        const struct sh_heads *heads, const char *modules);
/* What falls on each code, and where; a folded part for each module-head. */
void sh_webpage_meanings(struct sh_webpage *w, struct sh_model *m, const struct sh_reading *r,
                         const struct sh_heads *heads);

/* ---- webpage_runs.c ---- */

/* Full ids of runs, in the order in which they are told, and which listing gave them. */
struct sh_run_ids {
    char (*v)[VQ_RUN_ID_SIZE];
    size_t n, cap;
    size_t total;            /* how many pass the listing, of which n were taken */
    struct vq_listing query; /* its filter, sort and limit; no filter where runs were named */
};
bool sh_run_ids_add(struct sh_run_ids *ids, const char *id); /* false: out of memory */
void sh_run_ids_release(struct sh_run_ids *ids);
/* Adds the runs of a listing, whose strings are kept as they are. */
enum vq_status sh_run_ids_list(struct sh_run_ids *ids, struct vq_store *store,
                               const struct vq_listing *query, const struct vq_cancel *cancel,
                               struct vq_listing_place *place, struct vq_err *err);

/* All parts about runs; --curves, --details. */
void sh_webpage_runs(struct sh_webpage *w, const struct sh_args *a, struct vq_store *store,
                     const struct sh_run_ids *ids);

/* ---- webpage_overview.c ---- */

/* A table of runs: what they are, the settings in which they differ, what came out. The first
 * `linked` of them lead to their own parts. */
void sh_webpage_overview(struct sh_webpage *w, struct vq_store *store, const struct sh_run_ids *ids,
                         size_t linked);

/* ---- webpage_run.c ---- */

/* One run with all that is recorded, folded under a line. */
void sh_webpage_run(struct sh_webpage *w, struct vq_store *store, const char *id, bool open);
/* Its samples alone, under a heading that says which run. */
void sh_webpage_samples(struct sh_webpage *w, struct vq_store *store, const char *id);

/* How a page came to be, at its end. */
void sh_webpage_origin(struct sh_webpage *w, struct sh_model *m);

#endif
