/*
 * What session.c (state), session_feed.c (blocks), attention.c (one module over one block),
 * attention_step.c (over one token of each sequence) and state_file.c share. Nobody else includes
 * this.
 *
 * Values and codes of the window live in buffers of `cap` rows for each sequence and head, oldest
 * first from row `start`. A block appends its rows behind the window; committing folds the rows
 * that are now too old into the aggregate and moves `start`; when the end is reached the window
 * slides back to row 0.
 */
#ifndef VQ_CORE_MODEL_SESSION_PRIVATE_H
#define VQ_CORE_MODEL_SESSION_PRIVATE_H

#include "core/base/mem.h"
#include "core/model/engine_private.h"
#include "core/model/session.h"
#include "core/model/means.h"

/* The state of one module, B sequences; bh = b * H + h. */
struct vq_module_state {
    int32_t *code;          /* [B H, cap] */
    struct vq_values value; /* lanes B H, rows cap */
    int64_t *count;         /* [B H, S] members of each code in the aggregate */
    float *log_count;       /* [B H, S] log(count), -inf where it is 0 */
    struct vq_means mean;   /* lanes B H, of S codes; in use are those with members */
};

/* The logarithm of a count, as scores take it. */
float vq_log_count(int64_t count);

/* The last query's softmax of one module, kept for vq_session_attention. */
struct vq_last_query {
    int64_t position; /* -1: none */
    int window;
    float *score;   /* [B H, M + 1 + S] */
    float *weight;  /* [B H, M + 1 + S] */
    int32_t *code;  /* [B H, M + 1] */
    int64_t *count; /* [B H, S] */
    float *query;   /* [B H, K] */
};

/* What a token reads of one sequence and head: runs of rows, and how many rows there are, have a
 * weight, are read. */
struct vq_rows_read {
    size_t value_runs, mean_runs;
    size_t all, needed, read;
};

/* Buffers for one block of up to `rows` = B n rows; grown, never shrunk. */
struct vq_scratch {
    size_t n, rows;
    float *x, *h, *branch; /* [rows, D] */
    float *proj;           /* [rows, 2 H (K + V)]: q | k | v | g */
    float *y;              /* [rows, H V] gated values */
    float *logits;         /* [rows or B, N] */
    size_t logits_rows;
    int32_t *codes;  /* [B H, n] of this block, for observers */
    int32_t *tokens; /* [B, n] of this block */
    float *weights;  /* [B H, n, stride] softmax weights: window, block, then aggregate */
    size_t stride;
    float *tile;         /* [threads, VQ_TILE (2 K + S + M + 1)] */
    float *step;         /* vq_attention_step's, see there */
    struct vq_run *runs; /* [B H, M + 1 + S] rows that a token reads, first of the window */
    struct vq_rows_read *rows_read; /* [B H] */
};

struct vq_session {
    const struct vq_engine *e;
    size_t B;
    int64_t position;
    size_t start, len, cap;
    struct vq_module_state *module; /* [modules] */
    struct vq_last_query *last;     /* [modules] */
    bool has_logits;
    bool edited;            /* codes were taken out of the aggregate: session_edit.h */
    float *last_logits;     /* [B, N] */
    struct vq_arena *arena; /* values and means */
    struct vq_state_reads reads;
    struct vq_scratch s;
};

static inline size_t vq_session_heads(const struct vq_session *s)
{
    return s->B * s->e->H;
}

/* n floats for each of a * b places, or a * b things of `size` bytes, zeroed; NULL where memory or
 * the sizes are too much. */
static inline float *vq_floats(size_t a, size_t b, size_t n)
{
    size_t ab, all;
    return vq_mul_ok(a, b, &ab) && vq_mul_ok(ab, n, &all) ? vq_alloc_f32(all) : NULL;
}

static inline void *vq_zeroed(size_t a, size_t b, size_t size)
{
    size_t ab;
    return vq_mul_ok(a, b, &ab) ? vq_calloc(ab, size) : NULL;
}

/* session_feed.c: tokens per sequence in one block, at most. */
size_t vq_block_limit(size_t B);
/* The buffers of blocks of n tokens (0: none are held), with logits of so many rows. */
uint64_t vq_scratch_bytes(const struct vq_engine *e, size_t B, size_t n, size_t logits_rows);
void vq_scratch_free(struct vq_scratch *s);

/* The tensor of a state file that holds tokens (state_tokens.c). */
#define VQ_STATE_TOKENS "tokens"

/* Queries handled together: enough rows to make matrix products worth it. */
#define VQ_TILE 64

/* x += module(x) for the block in s->s (n tokens, B sequences); writes the block's codes and values
 * behind the window without committing them, and the branch to s->s.branch. */
void vq_attention_forward(struct vq_session *s, size_t module, size_t n);
/* The same for one token of each sequence, with the same bytes. */
void vq_attention_step(struct vq_session *s, size_t module);
/* Floats of scratch that it needs. */
size_t vq_attention_step_floats(const struct vq_engine *e, size_t B);

#endif
