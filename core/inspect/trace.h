/*
 * trace: a record of which codes the tokens of a session fell on, kept through the session's
 * observer callbacks:
 *   - exact totals per module, head and code over every token of every sequence of the batch: how
 *     often, and the sum of the relative quantisation error |k - k^| / |k|;
 *   - the last N tokens of one sequence of the batch (row 0 unless chosen otherwise) with their
 *     codes and errors everywhere, so that the contexts and members of a code can be shown.
 *
 * A block counts when the session has committed it: a cancelled one leaves no mark. Memory does not
 * grow with the tokens: per module-head S * 16 bytes of totals, S * K * 4 of codebook, N * 6 of
 * codes and errors (N * 8 when S > 65,536); N * 12 for tokens and positions; and the codes and
 * errors of one block. A 24-layer model with S = 512, K = 128 and N = 65,536 takes 33 MB.
 *
 * One session at a time; the positions of a session that was reset or replaced simply start anew,
 * and contexts do not run across such a seam.
 */
#ifndef VQ_CORE_INSPECT_TRACE_H
#define VQ_CORE_INSPECT_TRACE_H

#include "core/inspect/metrics.h"
#include "core/model/session.h"

#define VQ_TRACE_RING 65536

struct vq_trace;

struct vq_trace_options {
    size_t ring; /* N, tokens remembered; 0: VQ_TRACE_RING */
    int row;     /* the sequence of the batch that is remembered; a batch without it leaves totals
                    only */
};

/* An empty trace for models of configuration c. options may be NULL. Errors are recorded for
 * modules whose codebook is known (below); counts always. */
enum vq_status vq_trace_new(struct vq_trace **out, const struct vq_config *c,
                            const struct vq_trace_options *options, struct vq_err *err);
void vq_trace_free(struct vq_trace *t);
/* A trace that stands where t stands and goes on by itself, for a session that was forked; nothing
 * is chained to it. As much memory as t has tokens. */
enum vq_status vq_trace_copy(struct vq_trace **out, const struct vq_trace *t, struct vq_err *err);

/* Copies the codebook C[H,S,K] of a module; NULL forgets it. */
void vq_trace_set_codebook(struct vq_trace *t, int module, const float *C);
/* Copies the codebooks of all modules of a model; VQ_ESHAPE when its shape is another. */
enum vq_status vq_trace_read_codebooks(struct vq_trace *t, const struct vq_model *m,
                                       struct vq_err *err);

/* What to hand to vq_session_feed. Borrowed from t; valid until vq_trace_chain or free. */
const struct vq_observer *vq_trace_observer(struct vq_trace *t);
/* Another observer that sees everything the trace sees, after it; NULL for none. Borrowed. Logits
 * are computed only if that observer asks for them. */
void vq_trace_chain(struct vq_trace *t, const struct vq_observer *next);

/* Forgets all tokens and totals; codebooks and the chain stay. */
void vq_trace_reset(struct vq_trace *t);
/* VQ_ENOMEM when a block was too large to be recorded: the trace misses tokens since. Cleared by
 * reset. */
enum vq_status vq_trace_check(const struct vq_trace *t, struct vq_err *err);
uint64_t vq_trace_bytes(const struct vq_trace *t);
const struct vq_config *vq_trace_config(const struct vq_trace *t);

/* Totals. */
uint64_t vq_trace_tokens(const struct vq_trace *t); /* of all sequences */
/* Tokens on each code, [S]; borrowed, grows with the next feed. */
const uint64_t *vq_trace_counts(const struct vq_trace *t, int module, int head);
/* The same as doubles into out[S], for vq_counts_summary with clip 0. */
void vq_trace_counts_f64(const struct vq_trace *t, int module, int head, double *out);
/* Mean relative error over all tokens of a module-head, or of those on one code; NaN when there
 * were none or the codebook was not known for all of them. */
double vq_trace_error(const struct vq_trace *t, int module, int head);
double vq_trace_code_error(const struct vq_trace *t, int module, int head, size_t code);
/* The authors' error metrics over all that was recorded, blocks being those of the feed. */
const struct vq_metrics *vq_trace_metrics(const struct vq_trace *t);

/*
 * The remembered tokens, by serial number: 0 is the first that the trace ever saw of its sequence,
 * and those from vq_trace_first to vq_trace_end - 1 are still held.
 */
uint64_t vq_trace_first(const struct vq_trace *t);
uint64_t vq_trace_end(const struct vq_trace *t);
/* Of a serial number that is held. */
int32_t vq_trace_token(const struct vq_trace *t, uint64_t serial);
int64_t vq_trace_position(const struct vq_trace *t, uint64_t serial);
int32_t vq_trace_code(const struct vq_trace *t, uint64_t serial, int module, int head);
/* Its relative error |k - k^| / |k|; NaN when the codebook was not known. */
float vq_trace_rel(const struct vq_trace *t, uint64_t serial, int module, int head);

/* Tokens at positions first..first+n-1 of the newest sequence into tokens[n]; -1 where they are not
 * held. */
void vq_trace_recent(const struct vq_trace *t, int64_t first, size_t n, int32_t *tokens);

/* Held tokens around one: up to `before` in front of it and `after` behind, without a break in
 * position. tokens[before + 1 + after]; returns how many; *at is where the token itself stands. */
size_t vq_trace_context(const struct vq_trace *t, uint64_t serial, size_t before, size_t after,
                        int32_t *tokens, size_t *at);

struct vq_token_count {
    int32_t token;
    uint64_t count; /* held tokens of this id that fell on the code */
    uint64_t of;    /* held tokens of this id, whatever their code */
};
/* Which held tokens fell on a code, most frequent first, ties by id. *list is the caller's to
 * free, *n long. */
enum vq_status vq_trace_code_tokens(const struct vq_trace *t, int module, int head, size_t code,
                                    struct vq_token_count **list, size_t *n, struct vq_err *err);

/* Serial numbers of up to k held tokens on a code into out[k]: the latest ones, newest first, or
 * ones spread evenly over all of them, oldest first. Returns how many. */
enum vq_trace_pick { VQ_PICK_LATEST, VQ_PICK_SPREAD };
size_t vq_trace_code_places(const struct vq_trace *t, int module, int head, size_t code,
                            enum vq_trace_pick pick, uint64_t *out, size_t k);

#endif
