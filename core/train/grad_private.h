/*
 * What the files of grad share; nobody else includes this.
 *
 * Everything is laid out for b = 0..rows-1 sequences of U tokens, row b * U + t of the arrays [R,
 * ..]. Per sequence and head, bh = b * H + h, keys and values stand in one run of F + U places:
 * first the window that the update begins with, filled from its end, then the update's own. F is
 * the window's length M in whole panels of a packed matrix. Block p's window is the M places before
 * its own from F + p * L on, so no block ever copies one.
 *
 * An update that is too long for its arrays to be kept whole goes in spans of U tokens, each with
 * the state that the one before it leaves, forward in their order and back in the opposite one:
 * `state` is what the span at hand begins with, and `carry` brings it the gradients of what it
 * leaves. All else is as if a span were the update. A short update is one span.
 *
 * What lies between two attentions concerns each token alone: tiles of VQ_TILE tokens of a sequence
 * pass through all of it at once and stay near the processor meanwhile. Whatever stands on the
 * right of their products is packed once per pass.
 *
 *   workspace.c    sizes and memory             head.c         embeddings, logits, loss
 *   prepare.c      what depends on weights      aggregate.c    aggregates before each block
 *   module.c       a module but for its         module_grad.c  its gradients
 *                  attention
 *   attend.c       attention of a block         attend_grad.c  its gradients
 *   quadratic.c    that of quadratic models     quadratic_grad.c
 *   sides.c        right sides, packed          grad.c         the update as a whole
 */
#ifndef VQ_CORE_TRAIN_GRAD_PRIVATE_H
#define VQ_CORE_TRAIN_GRAD_PRIVATE_H

#include "core/kernels/grad.h"
#include "core/kernels/matmul_packed.h"
#include "core/kernels/vec.h"
#include "core/train/dropout.h"
#include "core/train/grad.h"

#define VQ_TILE 64 /* tokens of a tile; a multiple of VQ_PANEL */
#define VQ_ROWS 32 /* rows of an element-wise task */

struct vq_sizes {
    size_t B, rows; /* sequences of an update, and of a pass */
    size_t D, H, K, V, S, M, N, L;
    size_t T;      /* tokens of a sequence in an update */
    size_t U;      /* of them in a span */
    size_t spans;  /* T / U */
    size_t P;      /* blocks of a span */
    size_t F;      /* places for the window: M, in whole panels */
    size_t tiles;  /* of a sequence's tokens */
    size_t single; /* places of a row of weights for single keys, before those of codes */
    size_t R;      /* rows * U */
    size_t width;  /* of a row of proj: q | k | v | g, 2 H (K + V) */
    size_t modules, kept, threads;
    size_t logit_rows; /* rows of logits at a time */
};

/* Where a module's tensors begin in a block. */
struct vq_module_at {
    size_t ln_b, ln_g, kvg, q, c_count, c_sum, r, res, u, v;
};
struct vq_model_at {
    size_t out_ln_b, out_ln_g, out_b, out, scale, embs;
    struct vq_module_at *module; /* [modules] */
};

/* What depends on a module's weights alone, and gradients that add up over passes. s = K^(-1/4). */
struct vq_prepared {
    float *C;     /* [H, S, K] codebook */
    float *norm2; /* [H, S] |C_s|^2 */
    float *u, *v; /* [H, K] times s */
    float *R;     /* [H, M + 1, K] times s, distances falling: row m is distance M - m */
    float *dR;    /* of the same rows */
    float *sum;   /* [H, S, K] sum of the keys of each code */
    float *count; /* [H, S] */
};

/* What a module's forward pass leaves to its backward pass. */
struct vq_kept {
    float *proj;    /* [R, width] q and k normalised and scaled, v and g as projected */
    float *inverse; /* [R, 2 H] 1 / rms of q, of k */
    int32_t *code;  /* [rows H, F + U] */
    float *value;   /* [rows H, F + U, V] silu(v) */
    float *o;       /* [R, H V] attention's results before the gate */
    float *mean;    /* [rows H, P + 1, S, V] the aggregate before each block, and after the last */
    int32_t *count; /* [rows H, P + 1, S] */
    float *log_count; /* [rows H, P + 1, S] -inf for codes that are empty */
    float *lse;       /* [rows H, U] quadratic only: log of the sum of exp of a query's scores */
};

/* Gradients, of one module, of what a span begins with. */
struct vq_carry {
    float *key;   /* [rows H, M, K] */
    float *value; /* [rows H, M, V] */
    float *mean;  /* [rows H, S, V] */
};

/* Scratch of quadratic attention: `queries` queries of a sequence and head against `keys` keys. */
struct vq_square {
    size_t queries, keys;
    float *a, *ds;               /* [queries, keys] scores and weights; gradients of both */
    float *position, *dposition; /* [queries, M + 1] */
    float *qu, *qv, *dqu, *dqv;  /* [queries, K] */
    float *top, *sum;            /* [queries] of the scores so far; sum: also that of a da */
    float *dO;                   /* [R, H V] gradient of the results before the gate */
};

/* Scratch of one thread. */
struct vq_tile_space {
    float *a, *ds; /* [TILE, single + S]: window and block, then codes from `single` on */
    float *content, *position; /* [TILE, S], [TILE, M + 1]; their gradients too */
    float *qu, *qv;            /* [TILE, K] */
    float *dqu, *dqv;          /* [TILE, K] */
    float *wide, *narrow;      /* [TILE, H V], [TILE, D] */
    float *y;                  /* [TILE, V] */
};

/* What stands on the right of a module's products. The first five the forward pass needs, the
 * others the backward pass. Those of K inputs or outputs are exact. */
enum vq_side {
    VQ_Q,         /* [D, H K] */
    VQ_KVG,       /* [D, width - H K] */
    VQ_RES,       /* [H V, D] */
    VQ_CODES,     /* per head C^T [K, S] */
    VQ_POSITIONS, /* per head R^T [K, M + 1] */
    VQ_Q_BACK,    /* the transposes of these */
    VQ_KVG_BACK,
    VQ_RES_BACK, /* per head [D, V] */
    VQ_CODES_BACK,
    VQ_POSITIONS_BACK,
    VQ_SIDES
};
/* Sets of them: of a forward pass, of a backward pass, and of one with the forward pass made
 * again. */
enum {
    VQ_FORWARD = (1 << VQ_Q_BACK) - 1,
    VQ_BACKWARD = ((1 << VQ_SIDES) - 1) & ~(1 << VQ_Q | 1 << VQ_KVG | 1 << VQ_RES),
    VQ_AGAIN = ((1 << VQ_SIDES) - 1) & ~(1 << VQ_RES)
};

struct vq_grad {
    struct vq_config config;
    struct vq_sizes n;
    struct vq_params *layout;
    struct vq_model_at at;
    /* Products of weights, values and logits, in bfloat16 with dtype bfloat16; and those with K
     * inputs or outputs per head, which decide on codes and weights and stay exact. */
    struct vq_matmul_mode product, exact;
    const struct vq_vec *vec;
    const struct vq_grad_vec *gvec;
    struct vq_pool *pool;
    enum vq_attention attention;
    bool agg, thru;
    float key_scale;     /* K^(-1/4) */
    double *frequencies; /* [D / 2] */
    void *memory;        /* all arrays below and those of the structures above */
    size_t bytes;        /* of it */

    struct vq_prepared *prepared; /* [modules] */
    struct vq_kept *kept;         /* [kept] */
    struct vq_train_state *after; /* [spans] what each leaves; none if there is one span */
    struct vq_carry *carry;       /* [modules] likewise */
    struct vq_tile_space *tile;   /* [threads] */
    struct vq_square square;
    float *sinusoid;             /* [M + 1, D], distances falling as in R */
    float *dropped;              /* [M + 1, D] the same under a mask */
    float *dropped_R;            /* [M + 1, H K] before it is dealt out to heads */
    float *positions;            /* [U, D] with pe_abs */
    float *x;                    /* [spans, modules + 1, R, D] what enters each module, and the
                                    head */
    float *side[VQ_SIDES];       /* of the module at hand, packed: see vq_side */
    float *values, *values_back; /* its values, packed: see vq_values */
    float *means, *means_back;   /* and its means: see vq_means */
    struct vq_outer *outer;      /* [2 + H] gradients of the module's weights: Wq, Wkvg, then Wres
                                    of each head; packed by whoever makes them, see vq_run */
    float *h;                    /* [R, D] what the output matrix sees */
    float *dx;                   /* [R, D] */
    float *branch;               /* [R, D] dx under dropout; the head's gradient before its norm */
    float *dvalue;               /* [rows H, F + U, V] */
    float *dkey;                 /* [rows H, F + U, K] */
    float *partial;              /* sums of tasks: see vq_partial_floats */
    double *partial_sum;         /* [tasks] */
    float *logits;               /* [logit_rows, N] */
    float *mask;                 /* [R] */
    float *factor;               /* [rows] LayerDrop of the module at hand */
    int32_t *inputs, *targets;   /* [R] */
    struct vq_metrics *metrics;  /* [rows H P] */

    /* The update at hand. */
    const struct vq_update *u;
    size_t first, b, r; /* its sequences of this pass: first.., b of them, r = b U rows */
    size_t span;        /* of them at the moment */
    const struct vq_train_state *state; /* that this span begins with */
};

static inline bool vq_quadratic(const struct vq_grad *g)
{
    return g->attention != VQ_ATTENTION_CODES;
}

/* workspace.c: sizes, layout and all arrays of a zeroed g. On failure vq_grad_free still holds. */
enum vq_status vq_workspace_new(struct vq_grad *g, const struct vq_config *c,
                                const struct vq_grad_options *o, struct vq_err *err);

static inline struct vq_kept *vq_kept_of(const struct vq_grad *g, size_t module)
{
    return &g->kept[g->n.kept == 1 ? 0 : g->span * g->n.modules + module];
}

/* The state after the span at hand. */
static inline struct vq_train_state *vq_leaves(const struct vq_grad *g)
{
    return g->n.spans == 1 ? g->u->state : &g->after[g->span];
}

static inline float *vq_entering(const struct vq_grad *g, size_t module)
{
    return g->x + (g->span * (g->n.modules + 1) + module) * g->n.R * g->n.D;
}

/* Parameters and gradients by offset. */
static inline const float *vq_p(const struct vq_grad *g, size_t at)
{
    return g->u->params + at;
}
static inline float *vq_d(const struct vq_grad *g, size_t at)
{
    return g->u->grads + at;
}

/* Columns of a row of proj: q, k, v, g of head h. */
static inline size_t vq_q_at(const struct vq_sizes *n, size_t h)
{
    return h * n->K;
}
static inline size_t vq_k_at(const struct vq_sizes *n, size_t h)
{
    return (n->H + h) * n->K;
}
static inline size_t vq_v_at(const struct vq_sizes *n, size_t h)
{
    return 2 * n->H * n->K + h * n->V;
}
static inline size_t vq_g_at(const struct vq_sizes *n, size_t h)
{
    return 2 * n->H * n->K + (n->H + h) * n->V;
}

/* Places of one sequence and head, and the update's own first one. */
static inline size_t vq_place(const struct vq_sizes *n, size_t bh)
{
    return bh * (n->F + n->U);
}
static inline size_t vq_own_place(const struct vq_sizes *n, size_t bh)
{
    return vq_place(n, bh) + n->F;
}

/* Where a run of `length` tokens begins in the sums of g->outer: words, of two tokens at most, do
 * not reach across. Runs are sequences and, for Wres, blocks. */
static inline size_t vq_run(size_t run, size_t length)
{
    return run * (length + length % 2);
}

static inline bool vq_first_span(const struct vq_grad *g)
{
    return g->span == 0;
}
static inline bool vq_last_span(const struct vq_grad *g)
{
    return g->span + 1 == g->n.spans;
}

/* Filled places of the window that the span began with. */
static inline size_t vq_filled(const struct vq_grad *g)
{
    int64_t pos = g->state->position;
    return pos < (int64_t)g->n.M ? (size_t)pos : g->n.M;
}

/* The first place that block p sees one by one. */
static inline size_t vq_first_key(const struct vq_grad *g, size_t p)
{
    size_t empty = g->n.M - vq_filled(g), own = p * g->n.L;
    return g->n.F - g->n.M + (own > empty ? own : empty);
}

/* The dropout row of the update at hand. */
static inline struct vq_drop vq_drop_of(const struct vq_grad *g, enum vq_drop_kind kind,
                                        size_t module, size_t row, uint64_t at)
{
    return (struct vq_drop){.seed = g->u->seed,
                            .sequence = g->u->sequence,
                            .kind = kind,
                            .module = (uint32_t)module,
                            .row = (uint32_t)row,
                            .at = at};
}
static inline double vq_rate(const struct vq_grad *g, double p)
{
    return g->u->dropout && g->u->grads ? p : 0.0;
}

/* prepare.c: before the first pass of an update, and after its last. */
void vq_prepare(struct vq_grad *g);
void vq_finish(struct vq_grad *g);

/* head.c. vq_head returns the summed masked loss of the pass, and leaves dx. */
void vq_embed(struct vq_grad *g);
void vq_embed_grad(struct vq_grad *g);
double vq_head(struct vq_grad *g);

/* sides.c: packs the sides of a module that are in the set (a bit for each), on all threads. */
void vq_pack_sides(struct vq_grad *g, size_t module, unsigned set);
struct vq_packed vq_side(const struct vq_grad *g, enum vq_side side, size_t head);
void vq_side_shape(const struct vq_sizes *n, enum vq_side side, size_t *heads, size_t *K,
                   size_t *N);
/* Values of a sequence and head [F + U, V], and means before a block [S, V], to be mixed by
 * weights; _back: their transposes, for the gradients of weights. */
struct vq_packed vq_values(const struct vq_grad *g, size_t bh);
struct vq_packed vq_values_back(const struct vq_grad *g, size_t bh);
struct vq_packed vq_means(const struct vq_grad *g, size_t bh, size_t p);
struct vq_packed vq_means_back(const struct vq_grad *g, size_t bh, size_t p);

/* Some tokens of one sequence, i0 <= i < i1, rows r0.. of the arrays. */
struct vq_tokens {
    size_t b, i0, i1, r0, rows;
};
struct vq_tokens vq_tokens(const struct vq_grad *g, size_t tile);

/* module.c. Forward adds the summed commitment loss of the pass to *commit. */
void vq_module_forward(struct vq_grad *g, size_t module, double *commit);
/* Everything up to attention, once more if `commit` is NULL. */
void vq_before_attention(struct vq_grad *g, size_t module, double *commit);
/* From gated results in space->wide to what enters the next module. */
void vq_after_attention(const struct vq_grad *g, size_t module, const struct vq_tokens *s,
                        struct vq_tile_space *space);
/* LayerDrop of this module for each sequence of the pass; rows under it and under dropout. */
bool vq_drops(const struct vq_grad *g);
void vq_draw_factors(struct vq_grad *g, size_t module);
void vq_drop_result(const struct vq_grad *g, size_t module, size_t r, float *dst, const float *src);
/* Writes window and aggregate after the span into what it leaves (vq_leaves), if there are any. */
void vq_module_commit(struct vq_grad *g, size_t module);
/* Of several spans, values and aggregates are not kept but made again from what is, for the
 * backward pass. */
void vq_module_restore(struct vq_grad *g, size_t module);

/* module_grad.c */
void vq_module_grad(struct vq_grad *g, size_t module);

/* aggregate.c: means and counts before each block, as right sides too if weights are to mix them;
 * gradients of means back to values. */
void vq_aggregate(struct vq_grad *g, size_t module, bool mixes);
void vq_aggregate_grad(struct vq_grad *g, size_t module);

/* Some queries of one block, sequence and head. A tile's places begin where a panel does; the first
 * `skip` of them no query sees. */
struct vq_tile_at {
    size_t b, h, bh, p;
    size_t i0, i1; /* positions within the update */
    size_t first;  /* the first place */
    size_t skip;
    size_t keys; /* places from the first to the last query's own */
    bool agg;    /* the aggregate before the block is not empty */
};

/* attend.c: results into kept->o, and what enters the next module. */
void vq_attend(struct vq_grad *g, size_t module);
/* Its parts for one tile: queries with both biases, and weights, into space; results into
 * kept->o. */
struct vq_tile_at vq_tile(const struct vq_grad *g, size_t bh, size_t p, size_t tile);
void vq_weigh(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
              struct vq_tile_space *space);
void vq_mix(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
            const struct vq_tile_space *space);
/* Places of the tile that an earlier update has made: their keys are rows of the codebook as it was
 * then, which the state holds (vq_old_keys), not of the present one. They come first, from `skip`
 * on. */
static inline size_t vq_old(const struct vq_grad *g, const struct vq_tile_at *t)
{
    size_t seen = t->first + t->skip;
    return seen < g->n.F ? g->n.F - seen : 0;
}
static inline const float *vq_old_keys(const struct vq_grad *g, size_t module,
                                       const struct vq_tile_at *t)
{
    size_t bh = module * g->n.B * g->n.H + g->first * g->n.H + t->bh;
    size_t place = t->first + t->skip - (g->n.F - g->n.M);
    return g->state->key + (bh * g->n.M + place) * g->n.K;
}
/* Columns of a query's row of weights: its own key, the first with a position term, and the first
 * that it sees at all. */
struct vq_reach {
    size_t own, near, seen;
};
struct vq_reach vq_reach(const struct vq_grad *g, const struct vq_tile_at *t, size_t i);
/* The first of its columns whose key is a row of the present codebook. */
static inline size_t vq_first_code(const struct vq_grad *g, const struct vq_tile_at *t,
                                   const struct vq_reach *at)
{
    size_t old = t->skip + vq_old(g, t);
    return at->seen > old ? at->seen : old;
}

/* attend_grad.c. In: the gradient of the module's result, [R, D], in dbranch and, unless they are
 * to be made again, the results in kept->o. Out: proj holds the gradients of q and g as
 * projected, dkey and dvalue those of single keys and values, the slots of kept->mean those of the
 * means before each block; gated results and dbranch are packed for the gradient of Wres. */
void vq_attend_grad(struct vq_grad *g, size_t module, const float *dbranch);
/* Its first step for a tile whose results stand in kept->o: the gradient of these into space->wide,
 * [rows, V]; all that concerns the gate and Wres. */
void vq_result_grad(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
                    const float *dbranch, struct vq_tile_space *space);

/* quadratic.c: results into kept->o, with kept->lse; and, if `onward`, what enters the next
 * module. */
void vq_square_attend(struct vq_grad *g, size_t module, bool onward);
/* quadratic_grad.c: as vq_attend_grad, without the means. */
void vq_square_grad(struct vq_grad *g, size_t module, const float *dbranch);
/* Their parts. Queries i0.. of one sequence and head, and the keys that they meet at the moment. */
struct vq_square_at {
    const struct vq_grad *g;
    size_t module, b, h, bh;
    size_t i0, i1, j0, j1;
};
size_t vq_square_blocks(const struct vq_grad *g); /* blocks of queries in all */
/* Block n: queries with both biases and their position scores go into g->square. No keys yet. */
struct vq_square_at vq_square_block(const struct vq_grad *g, size_t module, size_t n);
/* On to the next keys, the first ones at first: their content scores into g->square.a. False when
 * there are no more. */
bool vq_square_keys(struct vq_square_at *t);
/* fn for every query i of the block, spread over the pool. */
void vq_square_rows(const struct vq_square_at *t,
                    void (*fn)(const struct vq_square_at *t, size_t i, int worker));
/* Columns of a query among the keys at hand: those it sees, and of them those from `near` on with a
 * position score, which begin at `position` of its row of these. */
struct vq_square_reach {
    size_t seen, near, position;
};
struct vq_square_reach vq_square_reach(const struct vq_square_at *t, size_t i);

/* dst[j] += scale * (sum of partial over `outer` times `inner` blocks that lie so far apart), for
 * j < n, in that order, for each of some sums. */
struct vq_sum {
    float *dst;
    size_t n;
    float scale;
    const float *partial;
};
struct vq_blocks {
    size_t outer, outer_step, inner, inner_step;
};
void vq_add_partials(const struct vq_grad *g, const struct vq_sum *sums, size_t n,
                     const struct vq_blocks *blocks);

#endif
