/*
 * runlog: what the session writes into the run database. A run is one use of a command worth
 * keeping (score, sample, train, ...): its command line, settings, seed, model, results, and how it
 * ended. Recording never stops the work: when the database cannot be used, one warning is printed
 * and the calls below do nothing. So do they with --no-log.
 *
 *     sh_run_begin(sh, sh_model_current(sh), &seed, settings.data);
 *     ...
 *     sh_run_result_f64(sh, "nats", nats);
 *     sh_run_end(sh, SH_OK);
 *
 * The dispatcher ends a run that a command left open, with the command's own outcome and message,
 * so error paths need no call.
 */
#ifndef VQ_REPL_RUNLOG_H
#define VQ_REPL_RUNLOG_H

#include <stddef.h>
#include <stdint.h>

#include "repl/models.h"
#include "repl/sh.h"

struct vq_store; /* core/store/store.h */

/* Begins a run of the running command. m (NULL: none) gives name, path, configuration and, once
 * known, the hash; seed may be NULL; settings_json (NULL: the command's arguments) is a JSON object
 * of what the outcome depends on. */
void sh_run_begin(struct sh *sh, struct sh_model *m, const uint64_t *seed,
                  const char *settings_json);
/* The same for a command that makes a model, with the configuration it makes it by. */
void sh_run_begin_new(struct sh *sh, const struct vq_settings *config, const uint64_t *seed);
/* The id, for output; NULL when nothing is being recorded. Valid until the command ends. */
const char *sh_run_id(const struct sh *sh);

/* What came out. One value per key; a later one replaces it. */
void sh_run_result_int(struct sh *sh, const char *key, int64_t v);
void sh_run_result_f64(struct sh *sh, const char *key, double v);
void sh_run_result_text(struct sh *sh, const char *key, const char *v);
/* A point of a curve; written in batches. */
void sh_run_metric(struct sh *sh, const char *name, int64_t step, double v);
/* A drawn sequence (core/store/store.h). */
struct vq_sample;
void sh_run_sample(struct sh *sh, const struct vq_sample *sample);

/* A file that the run wrote, as a result under `kind` ("npy", "image", "checkpoint"); the
 * second file of a run is under "image 2", and so on. */
void sh_run_file(struct sh *sh, const char *kind, const char *path);

/* Ends the run: finished, failed or interrupted as rc says. Waits for the model's hash if that is
 * not known yet. */
void sh_run_end(struct sh *sh, enum sh_rc rc);

/* The database, opened on first use, also with --no-log (for `runs` and the like). NULL fills err.
 */
struct vq_store *sh_store(struct sh *sh, struct vq_err *err);
/* Closes it, so that the next use opens it anew (`set read-only`). Not while a run is recorded. */
enum vq_status sh_store_reopen(struct sh *sh, struct vq_err *err);
/* Whether runs are recorded in this session: not with --no-log nor when the database is only read.
 */
bool sh_recording(const struct sh *sh);
/* The id of the run that was begun last in this session, "" when none was; forget makes it "". */
const char *sh_run_last(const struct sh *sh);
void sh_run_forget(struct sh *sh);
/* Where it is: --db, $VQSH_DB, $XDG_DATA_HOME/vqsh/runs.db, ~/.local/share/vqsh/runs.db. */
const char *sh_store_path(const struct sh *sh);

/* For the shell itself. */
struct sh_log *sh_log_new(const char *path, bool record); /* path NULL: the default */
void sh_log_free(struct sh *sh);
/* At the end of a command: ends what it left open, and forgets the id. */
void sh_run_close(struct sh *sh, enum sh_rc rc);
/* Keeps the message of a failed command for its run. */
void sh_log_message(struct sh *sh, const char *msg);

#endif
