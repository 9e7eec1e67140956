/*
 * find_model: a model file known by its SHA-256, wherever it is now.
 */
#ifndef VQ_REPL_FIND_MODEL_H
#define VQ_REPL_FIND_MODEL_H

#include "core/store/store.h"
#include "repl/sh.h"

/*
 * Looks for the model of a run: where it was, among the models that are loaded, then below the
 * folders of `set model-path` (three levels deep, files of its name first). *path is the caller's
 * to free. VQ_ENOTFOUND when there is no file of that content; the message says so when the file
 * that is where it was has changed. VQ_ECANCELLED.
 */
enum vq_status sh_find_model(struct sh *sh, const struct vq_run_info *run, char **path,
                             struct vq_err *err);

#endif
