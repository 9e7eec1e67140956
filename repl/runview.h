/*
 * runview: what a run drew, for people to look at: its texts in full, its pictures on a terminal.
 */
#ifndef VQ_REPL_RUNVIEW_H
#define VQ_REPL_RUNVIEW_H

#include "core/store/store.h"
#include "repl/sh.h"

/* Prints the texts of the run's samples, each under a line that says which one it is, and shows its
 * pictures side by side where pictures are shown. */
enum sh_rc sh_view_samples(struct sh *sh, struct vq_store *store, const struct vq_run_info *run);

/* Where a file that a run named lies: in the run's folder unless the path says otherwise. The
 * caller frees it; NULL when out of memory. */
char *sh_run_path(const struct vq_run_info *run, const char *path);

#endif
