/*
 * grad: one parameter update's loss and gradients: forward and backward of the whole model over
 * update_len tokens of each of B sequences, with the attention state carried in from the update
 * before and out to the next, without gradient (Lingle, arXiv 2309.16354, sections 3.3 and 3.4).
 *
 *     loss = mean(mask * nll) + c_beta * commitment (+ the codebook's, which is 0 by value)
 *
 * The codebook's accumulators c_sum and c_count get value - target as their gradient, so that plain
 * SGD with rate 1 moves them to their moving average.
 *
 * Attention runs in blocks of block_len, each against its window and the aggregate as it stood
 * before the block. With grad_thru_cache gradients flow through both inside an update, without it
 * they stop where a block begins.
 *
 * With dtype bfloat16 the products of weights, values and logits are of bfloat16 (matmul.h), as in
 * the authors' mixed precision; parameters, sums, norms, softmax, scores and codes stay float.
 *
 * An update may be long: it goes through the model in spans (vq_grad_options), for which only what
 * is dear to make again is kept of each token.
 *
 * Inputs are the targets shifted right: a sequence begins with eos, and each later update with the
 * last target of the one before. A target of 0 (pad) does not count in the loss; it counts in the
 * denominators.
 *
 * The same arithmetic around another attention gives the quadratic models that this one is measured
 * against (enum vq_attention).
 */
#ifndef VQ_CORE_TRAIN_GRAD_H
#define VQ_CORE_TRAIN_GRAD_H

#include "core/base/pool.h"
#include "core/inspect/metrics.h"
#include "core/kernels/gemm.h"
#include "core/train/params.h"
#include "core/train/revive.h"
#include "core/train/state.h"

struct vq_grad;

/*
 * What a query sees. The quadratic ones are what Transformer-VQ is measured against: a softmax over
 * every key before its own, as projected, not quantised, with the same position terms on the
 * window. They share all else. They carry no state, so each update is a sequence of its own, and
 * have no codebook: its gradients are 0, and so is the commitment loss.
 */
enum vq_attention {
    VQ_ATTENTION_CODES,  /* Transformer-VQ */
    VQ_ATTENTION_DENSE,  /* quadratic: every query times every key, those after it masked */
    VQ_ATTENTION_BLOCKED /* quadratic: blocks of keys up to the query's, under a running softmax */
};
const char *vq_attention_name(enum vq_attention a); /* "vq", "dense", "blocked" */

struct vq_grad_options {
    const struct vq_gemm *gemm; /* NULL: the default */
    struct vq_pool *pool;       /* NULL: serial; must outlive the vq_grad */
    size_t batch;               /* B, sequences of an update */
    size_t rows;                /* sequences that go through the model at a time; gradients add up.
                                   Fewer need less memory. 0: as many as make 1024 tokens */
    size_t span;                /* most tokens of a sequence that go through the model at a time: as
                                   many whole blocks as divide update_len, no fewer than mem_len has
                                   tokens. Gradients flow through the whole update nevertheless. 0:
                                   8192 */
    bool recompute;             /* keep only what enters each module, and do a module's forward pass
                                   again before its backward pass; else keep it all */
    enum vq_attention attention;
    size_t queries, keys; /* of a block of quadratic attention (keys: VQ_ATTENTION_BLOCKED only); 0:
                             what is fastest */
};

/*
 * Workspace for one configuration, all of it allocated here; updates allocate nothing. Needs
 * update_len to be a multiple of block_len (VQ_EINVAL names both), 0 <= dropout < 1. VQ_ENOMEM
 * names the bytes.
 */
enum vq_status vq_grad_new(struct vq_grad **out, const struct vq_config *c,
                           const struct vq_grad_options *options, struct vq_err *err);
void vq_grad_free(struct vq_grad *g);

/* Touches all of the workspace's pages, so that the first update does not have to: for measuring.
 */
void vq_grad_touch(struct vq_grad *g);

/*
 * Bytes that vq_grad_new allocates. With M = mem_len, L = block_len, R = rows * update_len,
 * P = update_len / block_len, m modules, k = m or, with recompute, 1, w = 2 H (K + V) and t threads
 * it is four times
 *
 *     (m + 1) R D                                           what enters each module, and the head
 *   + k [R (w + 2 H V + 3 H) + rows H M V                   projections, values, results
 *        + rows H (P + 1) S (V + 2)]                        the aggregate before each block
 *   + R (3 D + 3 H V + H K) + rows H M (V + K)              residual stream, gradients,
 *   + rows H P (M + 3) K                                    their sums
 *   + 2 rows H (M + P S) V                                  with 2 R H V: values, means, packed
 *   + R (w + (7 D + 4 H V) / 3 + 32)                        sides of weights' gradients, packed
 *   + 2 (D (w + H V) + H K (M + S))                         weights of one module, packed
 *   + m H (2 (M + 1) K + 2 S K)                             positions and codebooks
 *   + 2 (M + 1) D + logits of as many tokens as make 4 M numbers
 *   + 64 t (2 (M + L + S) + S + M + 4 K + H V + V + D)      scratch
 *
 * to within one per cent; the terms with S V fall away where agg_cache is 0, and pe_abs adds U D.
 * Where an update goes in s > 1 spans, R and P are those of one of them, but the first line counts
 * s times, and of the second R (w + H V + 3 H) k = s m times (1 with recompute), all else once; on
 * top come m H (s B + rows) (M (K + V) + S V) between them. Quadratic attention needs neither these
 * nor values packed, but R H V + 2 queries * keys (keys: update_len when dense). Parameters, their
 * gradients, the optimiser's moments and the attention state come on top. 0 for a configuration
 * whose sizes overflow.
 */
uint64_t vq_grad_bytes(const struct vq_config *c, const struct vq_grad_options *options);

/* Multiply-adds times two of one update's matrix products over all B sequences, those of a pass
 * done again included (of which *again, if not NULL, is the number). */
double vq_grad_flops(const struct vq_grad *g, double *again);

const struct vq_params *vq_grad_params(const struct vq_grad *g); /* the layout of its blocks */

/* One update. */
struct vq_update {
    const float *params;          /* a block of the layout */
    struct vq_train_state *state; /* of B sequences; moves on by update_len */
    const int32_t *targets;       /* [B, update_len], rows `stride` apart */
    size_t stride;
    float *grads;            /* a block, overwritten; NULL: loss and state only, as in validation */
    bool dropout;            /* the configuration's dropout rates apply (never without grads) */
    uint64_t seed, sequence; /* dropout's: of the run, and the number of this batch of sequences */
    bool metrics;            /* fill `quantiser`; costs some 2 % */
    /* For reviving codes, NULL otherwise: keys[module] is offered the keys of all counted
     * positions, drawing from rng, and used[modules, H, S] counts how many fell on each code. The
     * caller starts both afresh. */
    struct vq_key_sample *const *keys;
    struct vq_rng *rng;
    uint64_t *used;
    const struct vq_cancel *cancel; /* polled between modules */
};

struct vq_update_result {
    double loss;             /* composite, what the gradients are of */
    double loss_lm_unscaled; /* mean over all B * update_len positions of mask * nll, in nats */
    double loss_mask;        /* mean of the mask; the two make loss per counted token */
    double loss_commit;      /* summed over modules */
    uint64_t counted;        /* positions with mask 1 */
    struct vq_metrics quantiser;
};

/*
 * Does one update. VQ_EINVAL for a target outside the vocabulary, a state of another shape, or a
 * broken one, before anything is changed. VQ_ENUM when the loss is not finite: the message names
 * the first parameter, or else the first module, that went bad. After VQ_ENUM and VQ_ECANCELLED the
 * state is broken and the gradients are undefined; parameters are never touched.
 */
enum vq_status vq_grad_update(struct vq_grad *g, const struct vq_update *u,
                              struct vq_update_result *out, struct vq_err *err);

#endif
