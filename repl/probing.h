/*
 * probing: the residual stream at one position of a text or of the session, and what the head of
 * the model makes of it, for `lens`, `attribute` and their pictures.
 */
#ifndef VQ_REPL_PROBING_H
#define VQ_REPL_PROBING_H

#include "core/inspect/probe.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/tokens.h"

struct sh_probing {
    struct sh *sh;
    struct sh_model *m;
    const struct vq_engine *engine;
    struct sh_tokens t; /* one row */
    int64_t from, to;   /* positions looked at */
    size_t rows, N, D;  /* modules + 1, vocabulary, width */
    struct vq_probe *probe;
};

/* Looks at --pos (of SH_QUERY_OPTS; the last without it), or at --span where `span` names it, of
 * the tokens of SH_INPUT_OPTS or the session. Reports its own errors; release in any case. */
enum sh_rc sh_probe(struct sh_probing *p, const struct sh_args *a, const char *span);
void sh_probe_release(struct sh_probing *p);

/* Log-probabilities after the embedding and after each module at a position, into out[rows, N]. */
enum vq_status sh_probe_lens(const struct sh_probing *p, int64_t position, float *out,
                             struct vq_err *err);
/* What the embedding, each module and the biases add to every logit there, into out[rows + 1, N].
 */
enum vq_status sh_probe_parts(const struct sh_probing *p, int64_t position, float *out,
                              struct vq_err *err);

/* The token that follows a position, where the tokens go on; -1 where they do not. */
int32_t sh_probe_next(const struct sh_probing *p, int64_t position);

/* "embedding", "0.1", ... for a row. */
const char *sh_probe_row(size_t row, char buf[32]);

/* The id of a token given as it is shown, or as a text of one token; -1 after saying why. */
int32_t sh_token_id(struct sh *sh, const struct vq_vocab *v, const char *text, int word);

#endif
