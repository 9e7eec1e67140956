/*
 * tokens: what a command runs through the model to look inside: tokens given as --text, --file or
 * --tokens, or those the session was fed; and traces of them. The session itself is left alone:
 * everything runs in a session of its own, from an empty state.
 */
#ifndef VQ_REPL_TOKENS_H
#define VQ_REPL_TOKENS_H

#include "core/inspect/over.h"
#include "repl/input.h"
#include "repl/models.h"

struct sh_tokens {
    struct sh_input in;  /* the tokens, owned */
    struct vq_over over; /* how to run them, with progress and cancel */
    bool session;        /* they are those the session was fed */
};

/* A text as `feed` moves it, eos in front and every token an input; or as targets, as `score` takes
 * it, so that the last token is no input. --tokens are inputs as they stand, or targets. Those of
 * the session are inputs always. */
enum sh_tokens_as { SH_AS_FED, SH_AS_TARGETS };

/* Those that the options of SH_INPUT_OPTS give, else the session's. Reports its own errors; no
 * tokens at all is one. Release after SH_OK. */
enum sh_rc sh_tokens_pick(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                          enum sh_tokens_as as, struct sh_tokens *out);
/* Those of the session, for commands without these options. */
enum sh_rc sh_tokens_session(struct sh *sh, struct sh_model *m, struct sh_tokens *out);
/* The same for a text that is an argument. */
enum sh_rc sh_tokens_text(struct sh *sh, struct sh_model *m, const char *text, enum sh_tokens_as as,
                          struct sh_tokens *out);
/* The same for --over PATH: a text, a picture, a .npy file of ids, or a folder of pictures. Always
 * as targets. */
enum vq_status sh_tokens_over(struct sh *sh, struct sh_model *m, const char *path,
                              struct sh_tokens *out, struct vq_err *err);
void sh_tokens_release(struct sh_tokens *t);

/* Leaves one row (--row) of several. Reports when there is no such row. */
enum sh_rc sh_tokens_row(struct sh *sh, const struct sh_args *a, struct sh_tokens *t);

/* The i-th input of the first row: what stands at position i. */
int32_t sh_tokens_input(const struct sh_tokens *t, size_t i);

/* Runs all rows. Clears the progress line. */
enum vq_status sh_tokens_run(struct sh *sh, struct sh_model *m, const struct sh_tokens *t,
                             const struct vq_observer *observe, struct vq_err *err);

/* A trace of all rows that remembers as many tokens as fit into a quarter of a GiB, 65,536 at
 * least; the caller's to free. */
enum vq_status sh_tokens_trace(struct sh *sh, struct sh_model *m, const struct sh_tokens *t,
                               struct vq_trace **out, struct vq_err *err);

/* The trace that --over PATH asks for, *owned; without it the session's, or NULL when nothing was
 * fed. Reports its own errors. */
enum sh_rc sh_trace_pick(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                         struct vq_trace **out, bool *owned);

#define SH_OVER_OPT                                                                                \
    {                                                                                              \
        .name = "over", .kind = SH_PATH,                                                           \
        .help = "look at this text, picture, folder of pictures or .npy file"                      \
    }

/* The column "token": what the id stands for, or nothing when it is -1, not known. */
void sh_put_token(struct sh *sh, const struct vq_vocab *v, int32_t id);

#endif
