/*
 * attn_run: attention over a run of tokens, gathered for listings, numpy files and pictures: maps
 * of queries and keys with the codes' weights shared out, mass inside and behind the window, weight
 * by distance. The tokens are those of --text, --file, --tokens, else the session's.
 */
#ifndef VQ_REPL_ATTN_RUN_H
#define VQ_REPL_ATTN_RUN_H

#include "core/inspect/attend.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/pick.h"
#include "repl/tokens.h"

struct sh_attn_run {
    struct sh *sh;
    struct sh_model *m;
    const struct vq_config *c;
    const struct sh_heads *heads;
    struct sh_tokens t; /* one row */
    int64_t from, to;   /* the queries */
    size_t keys;        /* to + 1 */
    int *index;         /* [modules * H] place of a module-head in heads, -1: not wanted */
    /* What is gathered; each only if it was asked for. */
    float *map;                     /* [heads, queries, keys], 0 beyond a query */
    int32_t *codes;                 /* [heads, keys], with the map too */
    struct vq_mass *mass;           /* [heads] */
    struct vq_mass *each;           /* [heads, queries] the same of every single query */
    struct vq_distances *distances; /* [heads] */
    float *row;                     /* [keys], for the distances */
};

enum {
    SH_ATTN_MAP = 1,
    SH_ATTN_MASS = 2,
    SH_ATTN_EACH = 4,
    SH_ATTN_DISTANCES = 8,
    SH_ATTN_CODES = 16
};

/* For a map that was not told of which queries: the last 256, or all when there are fewer. */
#define SH_SPAN_LAST "last"

/* Picks the tokens and the queries: those of `span` ("A-B", absolute or counted from the end), or
 * all of them when span is NULL, or the one at --pos when it is "". Runs them and gathers `what`.
 * Reports its own errors. Release in any case. */
enum sh_rc sh_attn_run(struct sh_attn_run *r, const struct sh_args *a, const char *span,
                       unsigned what);
void sh_attn_release(struct sh_attn_run *r);

/* "A-B", "A:B" or "A": positions, negative ones counting from the end n. False when it is none of
 * these, or not inside 0..n-1 in this order. */
bool sh_span_parse(const char *text, int64_t n, int64_t *from, int64_t *to);

#define SH_SPAN_OPT                                                                                \
    {                                                                                              \
        .name = "span", .kind = SH_TEXT, .value = "A-B",                                           \
        .help = "queries at positions A to B, negative ones from the end"                          \
    }

#endif
