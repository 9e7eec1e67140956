/*
 * What the engine's own files share: the prepared weights. Nobody else includes this.
 */
#ifndef VQ_CORE_MODEL_ENGINE_PRIVATE_H
#define VQ_CORE_MODEL_ENGINE_PRIVATE_H

#include "core/kernels/gemm.h"
#include "core/kernels/vec.h"
#include "core/model/engine.h"

/* One attention module. H heads, K = d_k, V = d_v, S = n_code, M = mem_len. */
struct vq_module {
    float *ln_g, *ln_b;      /* [D] input_ln */
    struct vq_weight *in;    /* [D, H K + H K + H V + H V]: q | k | v | g */
    struct vq_weight *out;   /* [H V, D] res_proj */
    float *u, *v;            /* [H, K] content and position biases, times K^(-1/4) */
    struct vq_weight **code; /* [H] codebook transposed, [K, S], always f32: argmin decides on it */
    float *code_norm2;       /* [H, S] |C_s|^2 */
    struct vq_weight **rel;  /* [H] R transposed, [K, M + 1]; column m is distance M - m, so that a
                                row of scores runs in the order of the keys */
};

struct vq_engine {
    struct vq_config config;
    size_t D, K, V, H, S, M, N, modules;
    enum vq_weight_format weights, state;
    enum vq_skip skip;
    const struct vq_gemm *gemm;
    const struct vq_vec *vec;
    struct vq_pool *pool;
    struct vq_arena *arena;     /* the packed matrices */
    float *embs;                /* [N, D] */
    double *frequencies;        /* of the absolute position embedding; NULL without pe_abs */
    float pe_scale;             /* its learned scale */
    float *out_ln_g, *out_ln_b; /* [D]; NULL without e_preln */
    struct vq_weight *logits;   /* [D, N] */
    float *logits_bias;         /* [N] */
    struct vq_module *module;   /* [modules] */
    uint64_t bytes;
};

/* Takes memory in such pieces. */
#define VQ_ENGINE_STEP ((size_t)32 << 20)

/* Sets e's configuration and sizes, no more. */
void vq_engine_set_sizes(struct vq_engine *e, const struct vq_config *c);
/* What R[delta] is kept as. */
enum vq_weight_format vq_engine_rel_format(enum vq_weight_format weights);

/* Widths and offsets of the fused projection's columns. */
static inline size_t vq_proj_width(const struct vq_engine *e)
{
    return 2 * e->H * (e->K + e->V);
}

#endif
