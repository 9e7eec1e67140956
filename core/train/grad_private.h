/*
 * What the files of grad share; nobody else includes this.
 *
 * Everything is laid out for b = 0..rows-1 sequences of U tokens, row b * U + t of the arrays [R,
 * ..]. Per sequence and head, bh = b * H + h, keys and values stand in one run of M + U places:
 * first the window that the update begins with, filled from its end, then the update's own. Block
 * p's window is the M places before its own from p * L on, so no block ever copies one.
 *
 *   workspace.c   sizes and memory            head.c       embeddings, logits, loss
 *   prepare.c     what depends on weights     module.c     a module around its attention
 *   attend.c      attention of a block        aggregate.c  aggregates before each block
 *   attend_grad.c its gradients               grad.c       the update as a whole
 */
#ifndef VQ_CORE_TRAIN_GRAD_PRIVATE_H
#define VQ_CORE_TRAIN_GRAD_PRIVATE_H

#include "core/kernels/grad.h"
#include "core/kernels/matmul.h"
#include "core/kernels/vec.h"
#include "core/train/dropout.h"
#include "core/train/grad.h"

#define VQ_QUERIES 64 /* rows of an attention tile */
#define VQ_ROWS    32 /* rows of an element-wise task */

struct vq_sizes {
    size_t B, rows; /* sequences of an update, and of a pass */
    size_t D, H, K, V, S, M, N, L, U;
    size_t P;     /* blocks */
    size_t R;     /* rows * U */
    size_t width; /* of a row of proj: q | k | v | g, 2 H (K + V) */
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
    int32_t *code;  /* [rows H, M + U] */
    float *value;   /* [rows H, M + U, V] silu(v) */
    float *o;       /* [R, H V] attention's results before the gate */
    float *mean;    /* [rows H, P + 1, S, V] the aggregate before each block, and after the last */
    int32_t *count; /* [rows H, P + 1, S] */
};

/* Scratch of one thread. */
struct vq_tile_space {
    float *a, *ds; /* [QUERIES, M + L + S]: window and block, then codes from M + L on */
    float *content, *position; /* [QUERIES, S], [QUERIES, M + 1]; their gradients too */
    float *qu, *qv;            /* [QUERIES, K] */
    float *dqu, *dqv;          /* [QUERIES, K] */
    float *mean;               /* [S, V] gradient of the aggregate's means */
    float *log_count;          /* [S] */
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
    bool agg, thru;
    float key_scale;     /* K^(-1/4) */
    double *frequencies; /* [D / 2] */
    void *memory;        /* all arrays below and those of the structures above */

    struct vq_prepared *prepared; /* [modules] */
    struct vq_kept *kept;         /* [kept] */
    struct vq_tile_space *tile;   /* [threads] */
    float *sinusoid;              /* [M + 1, D], distances falling as in R */
    float *dropped;               /* [M + 1, D] the same under a mask */
    float *dropped_R;             /* [M + 1, H K] before it is dealt out to heads */
    float *positions;             /* [U, D] with pe_abs */
    float *x;                     /* [modules + 1, R, D] what enters each module, and the head */
    float *h, *dh;                /* [R, D] */
    float *dx;                    /* [R, D] */
    float *branch;                /* [R, D] a module's result, or its gradient */
    float *y;                     /* [R, H V] gated results; their gradients */
    float *dvalue;                /* [rows H, U, V] */
    float *dkey;                  /* [rows H, U, K] */
    float *partial;               /* sums of tasks: see vq_partial_floats */
    double *partial_sum;          /* [tasks] */
    float *logits;                /* [logit_rows, N] */
    float *mask;                  /* [R] */
    float *factor;                /* [rows] LayerDrop of the module at hand */
    int32_t *inputs, *targets;    /* [R] */
    struct vq_metrics *metrics;   /* [rows H P] */

    /* The update at hand. */
    const struct vq_update *u;
    size_t first, b, r; /* its sequences of this pass: first.., b of them, r = b U rows */
};

/* workspace.c: sizes, layout and all arrays of a zeroed g. On failure vq_grad_free still holds. */
enum vq_status vq_workspace_new(struct vq_grad *g, const struct vq_config *c,
                                const struct vq_grad_options *o, struct vq_err *err);

static inline struct vq_kept *vq_kept_of(const struct vq_grad *g, size_t module)
{
    return &g->kept[g->n.kept == 1 ? 0 : module];
}

static inline float *vq_entering(const struct vq_grad *g, size_t module)
{
    return g->x + module * g->n.R * g->n.D;
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

/* Filled places of the window that the update began with. */
static inline size_t vq_filled(const struct vq_grad *g)
{
    int64_t pos = g->u->state->position;
    return pos < (int64_t)g->n.M ? (size_t)pos : g->n.M;
}

/* The first place that block p sees one by one. */
static inline size_t vq_first_key(const struct vq_grad *g, size_t p)
{
    size_t empty = g->n.M - vq_filled(g), own = p * g->n.L;
    return own > empty ? own : empty;
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

/* module.c. Forward adds the summed commitment loss of the pass to *commit. */
void vq_module_forward(struct vq_grad *g, size_t module, double *commit);
void vq_module_grad(struct vq_grad *g, size_t module);
/* Writes window and aggregate after the update into the state. */
void vq_module_commit(struct vq_grad *g, size_t module);

/* aggregate.c: means and counts before each block; gradients of means back to values. */
void vq_aggregate(struct vq_grad *g, size_t module);
void vq_aggregate_grad(struct vq_grad *g, size_t module);

/* Some queries of one block, sequence and head. */
struct vq_tile_at {
    size_t b, h, bh, p;
    size_t i0, i1; /* positions within the update */
    size_t first;  /* the first place that any of them sees */
    size_t keys;   /* places from there to the last query's own */
    bool agg;      /* the aggregate before the block is not empty */
};

/* attend.c: results into kept->o and, gated, into y, for all blocks. */
void vq_attend(struct vq_grad *g, size_t module);
/* Its parts for one tile: queries with both biases, and weights, into space; results into
 * kept->o. */
struct vq_tile_at vq_tile(const struct vq_grad *g, size_t task, size_t tile);
void vq_weigh(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
              struct vq_tile_space *space);
void vq_mix(const struct vq_grad *g, size_t module, const struct vq_tile_at *t,
            const struct vq_tile_space *space);
/* Places of the tile that an earlier update has made: their keys are rows of the codebook as it was
 * then, which the state holds (vq_old_keys), not of the present one. They are the first ones. */
static inline size_t vq_old(const struct vq_grad *g, const struct vq_tile_at *t)
{
    return t->first < g->n.M ? g->n.M - t->first : 0;
}
static inline const float *vq_old_keys(const struct vq_grad *g, size_t module,
                                       const struct vq_tile_at *t)
{
    size_t bh = module * g->n.B * g->n.H + g->first * g->n.H + t->bh;
    return g->u->state->key + (bh * g->n.M + t->first) * g->n.K;
}
/* Columns of a query's row of weights: its own key, and the first with a position term. */
struct vq_reach {
    size_t own, near;
};
struct vq_reach vq_reach(const struct vq_grad *g, const struct vq_tile_at *t, size_t i);

/* attend_grad.c. In: y holds the gradient of the gated results and, unless they are to be made
 * again, kept->o the results. Out: kept->o holds the gated results, proj the gradients of q and g
 * as projected, dkey and dvalue those of single keys and values, the slots of kept->mean those of
 * the means before each block. */
void vq_attend_grad(struct vq_grad *g, size_t module);

/* dst[j] += scale * (sum of partial over `outer` times `inner` blocks that lie so far apart), for
 * j < n, in that order. */
struct vq_partials {
    size_t outer, outer_step, inner, inner_step;
};
void vq_add_partials(const struct vq_grad *g, float *dst, size_t n, float scale,
                     const float *partial, const struct vq_partials *blocks);

#endif
