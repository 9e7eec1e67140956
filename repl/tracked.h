/*
 * tracked: what is remembered of a model's session while `feed` moves it: the trace (which codes
 * the tokens fell on) and the tokens themselves, so that commands can show text, and run the same
 * tokens again to look at another position. It belongs to the session: a fork has a copy, a state
 * file holds the tokens. Memory is bounded: see vq_trace and SH_HISTORY_TOKENS.
 */
#ifndef VQ_REPL_TRACKED_H
#define VQ_REPL_TRACKED_H

#include "core/inspect/trace.h"
#include "repl/models.h"

/* Tokens remembered, of all sequences of a batch together; a longer session forgets the oldest. */
#define SH_HISTORY_TOKENS ((size_t)4 << 20)

void sh_tracked_free(struct sh_tracked *t);
/* A copy that goes on by itself; of NULL it is NULL. */
enum vq_status sh_tracked_copy(struct sh_tracked **out, const struct sh_tracked *t,
                               struct vq_err *err);
/* What is known of a session that stands at `position` after it was loaded: the last n tokens of
 * each of `rows` sequences, ids [rows, n], -1 where they are not known. */
enum vq_status sh_tracked_loaded(struct sh_tracked **out, const int32_t *ids, size_t rows, size_t n,
                                 int64_t position, struct vq_err *err);

/* The trace of m's session, or NULL when nothing was fed since the session was made or loaded. */
struct vq_trace *sh_trace(const struct sh_model *m);
/* What to hand to vq_session_feed so that all is tracked; `next` (or NULL) sees everything too,
 * and must live until the feed ends. NULL fills err. */
const struct vq_observer *sh_track(struct sh_model *m, const struct vq_observer *next,
                                   struct vq_err *err);

/* All tokens fed from position 0 to the present one: [rows, n], row r at tokens + r * stride. */
struct sh_history {
    const int32_t *tokens;
    size_t rows, n, stride;
};
/* VQ_ENOTFOUND says why there is no whole history: nothing fed, a loaded state, too long. */
enum vq_status sh_history(const struct sh_model *m, struct sh_history *out, struct vq_err *err);
/* The same to be run again in another session: VQ_ENOTFOUND also when that would not lead to m's
 * state, because codes were taken out of it. */
enum vq_status sh_history_to_run(const struct sh_model *m, struct sh_history *out,
                                 struct vq_err *err);

/* Where in its document the session's next byte stands: its position, less the eos that began it.
 */
uint64_t sh_place(const struct sh_model *m);

/* The token at an absolute position of sequence `row`, or -1 when it is not remembered. */
int32_t sh_token_at(const struct sh_model *m, size_t row, int64_t position);

#endif
