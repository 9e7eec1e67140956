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

#endif
