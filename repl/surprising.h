/*
 * surprising: how likely the model found every token of a text, gathered for listings, coloured
 * text, numpy files and pictures. The tokens are those of --text, --file, --tokens or an argument,
 * each predicted from what stands before it as `score` does; else those of the session from its
 * second on.
 */
#ifndef VQ_REPL_SURPRISING_H
#define VQ_REPL_SURPRISING_H

#include "core/inspect/surprise.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/tokens.h"

struct sh_surprising {
    struct sh *sh;
    struct sh_model *m;
    struct sh_tokens t;
    size_t rows, n;         /* sequences, and tokens that are predicted in each */
    int64_t first;          /* position of the first of them as the model counts its inputs */
    const int32_t *targets; /* row r at targets + r * stride */
    size_t stride;
    struct vq_surprise *v; /* [rows, n]; targets that are pad have nats 0 and rank 0 */
};

/* text may be NULL: then the options say. Reports its own errors; release in any case. */
enum sh_rc sh_surprise(struct sh_surprising *s, const struct sh_args *a, const char *text);
void sh_surprise_release(struct sh_surprising *s);

/* The target of an element of v, and how many are counted (no pad). */
int32_t sh_surprise_target(const struct sh_surprising *s, size_t i);

/* Steps of surprise that colours tell apart: below 1 bit, 1 to 2, ... */
#define SH_SURPRISE_STEPS 6
size_t sh_surprise_step(double bits);
const char *sh_surprise_step_name(size_t step); /* "<1", "1-2", ... */

/* The text of the first `most` tokens of the first row, in pieces that end with whole characters:
 * the bytes of one character come together, with the bits of all of them. Returns the nats of these
 * tokens. */
double sh_surprise_text(const struct sh_surprising *s, size_t most,
                        void (*piece)(void *ud, const char *bytes, size_t n, double bits),
                        void *ud);

#endif
