/*
 * Preparing weights: reads each tensor once, where it lies, fuses q and kvg into one matrix, packs,
 * and computes codebooks and R[delta]. What was read of the file is let go of at once, so that no
 * more than a few rows of a matrix are in memory twice at any moment.
 */
#include "core/model/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/engine_private.h"
#include "core/model/matrix.h"
#include "core/model/sinusoid.h"

/* What building needs beyond the engine itself. */
struct builder {
    struct vq_engine *e;
    const struct vq_model *model;
    float *sinusoids; /* [M + 1, D] */
    struct vq_err *err;
};

static enum vq_status read_vector(struct builder *b, int module, const char *leaf, size_t n,
                                  float scale, float **out)
{
    *out = vq_alloc_f32(n);
    if (!*out)
        return vq_nomem(b->err, leaf, n, sizeof(float));
    enum vq_status status = vq_model_read(b->model, module, leaf, *out, b->err);
    for (size_t i = 0; i < n; i++)
        (*out)[i] *= scale;
    b->e->bytes += n * sizeof(float);
    return status;
}

static enum vq_status pack_from(struct builder *b, struct vq_weight **out,
                                enum vq_weight_format format, size_t K, size_t N,
                                const struct vq_weight_source *from)
{
    struct vq_engine *e = b->e;
    enum vq_status status = vq_weight_from(out, format, K, N, from, e->pool, e->arena, b->err);
    if (status == VQ_OK)
        e->bytes += vq_weight_bytes(*out);
    return status;
}

static enum vq_status pack(struct builder *b, struct vq_weight **out, enum vq_weight_format format,
                           size_t K, size_t N, const float *w)
{
    struct vq_engine *e = b->e;
    enum vq_status status = vq_weight_new(out, format, K, N, w, N, e->pool, e->arena, b->err);
    if (status == VQ_OK)
        e->bytes += vq_weight_bytes(*out);
    return status;
}

/* A matrix that is made of parameters, in the engine's format. */
static enum vq_status pack_matrix(struct builder *b, struct vq_weight **out, size_t K,
                                  struct vq_matrix *m)
{
    const struct vq_weight_source from = vq_matrix_source(m);
    return pack_from(b, out, b->e->weights, K, m->cols, &from);
}

/* q_proj [D, H K] and kvg_proj [D, H (K + 2 V)] side by side. */
static enum vq_status build_in(struct builder *b, struct vq_module *m, int module)
{
    struct vq_engine *e = b->e;
    struct vq_matrix x = {0};
    size_t hk = e->H * e->K;
    enum vq_status status = vq_matrix_add(&x, b->model, module, "q_proj/kernel", e->D, hk, b->err);
    if (status == VQ_OK)
        status = vq_matrix_add(&x, b->model, module, "kvg_proj/kernel", e->D, vq_proj_width(e) - hk,
                               b->err);
    if (status == VQ_OK)
        status = pack_matrix(b, &m->in, e->D, &x);
    vq_matrix_release(&x);
    return status;
}

/* One parameter [K, N]. */
static enum vq_status build_matrix(struct builder *b, struct vq_weight **out, int module,
                                   const char *leaf, size_t K, size_t N)
{
    struct vq_matrix x = {0};
    enum vq_status status = vq_matrix_add(&x, b->model, module, leaf, K, N, b->err);
    if (status == VQ_OK)
        status = pack_matrix(b, out, K, &x);
    vq_matrix_release(&x);
    return status;
}

/* C[H,S,K] transposed to [K,S] per head, with the squared norms. */
static enum vq_status build_codebook(struct builder *b, struct vq_module *m, int module)
{
    struct vq_engine *e = b->e;
    size_t S = e->S, K = e->K;
    m->code = vq_calloc(e->H, sizeof(*m->code));
    m->code_norm2 = vq_alloc_f32(e->H * S);
    float *C = vq_alloc_f32(e->H * S * K), *T = vq_alloc_f32(S * K);
    enum vq_status status = VQ_OK;
    if (!m->code || !m->code_norm2 || !C || !T)
        status = vq_nomem(b->err, "codebook", e->H * S * K, sizeof(float));
    if (status == VQ_OK)
        status = vq_model_codebook(b->model, module, C, b->err);
    for (size_t h = 0; status == VQ_OK && h < e->H; h++) {
        for (size_t s = 0; s < S; s++) {
            const float *c = C + (h * S + s) * K;
            double norm2 = 0.0;
            for (size_t k = 0; k < K; k++) {
                T[k * S + s] = c[k];
                norm2 += (double)c[k] * c[k];
            }
            m->code_norm2[h * S + s] = (float)norm2;
        }
        status = pack(b, &m->code[h], VQ_WEIGHT_F32, K, S, T);
    }
    b->e->bytes += e->H * S * sizeof(*m->code_norm2);
    free(C);
    free(T);
    return status;
}

/* What is rounded once may be rounded here as well: a position adds to a score, and does not decide
 * on a code. */
enum vq_weight_format vq_engine_rel_format(enum vq_weight_format weights)
{
    return weights == VQ_WEIGHT_F32 ? VQ_WEIGHT_F32 : VQ_WEIGHT_BF16;
}

/* R[delta] = sin_emb(delta) Wr K^(-1/4), as [K, M + 1] per head with the distances falling. */
static enum vq_status build_rel(struct builder *b, struct vq_module *m, int module)
{
    struct vq_engine *e = b->e;
    size_t hk = e->H * e->K, rows = e->M + 1, K = e->K;
    m->rel = vq_calloc(e->H, sizeof(*m->rel));
    float *R = vq_alloc_f32(rows * hk), *T = vq_alloc_f32(rows * K);
    struct vq_matrix x = {0};
    struct vq_weight *wr = NULL;
    enum vq_status status =
        m->rel && R && T ? vq_matrix_add(&x, b->model, module, "r_proj/kernel", e->D, hk, b->err)
                         : vq_nomem(b->err, "r_proj", rows * hk, sizeof(float));
    const struct vq_weight_source from = vq_matrix_source(&x);
    if (status == VQ_OK)
        status = vq_weight_from(&wr, VQ_WEIGHT_F32, e->D, hk, &from, e->pool, NULL, b->err);
    if (status == VQ_OK)
        vq_weight_mul(e->gemm, e->pool, wr, rows, b->sinusoids, e->D, R, hk, false);
    vq_matrix_release(&x);
    vq_weight_free(wr);
    float scale = powf((float)K, -0.25f);
    for (size_t h = 0; status == VQ_OK && h < e->H; h++) {
        for (size_t delta = 0; delta < rows; delta++)
            for (size_t k = 0; k < K; k++)
                T[k * rows + (e->M - delta)] = R[delta * hk + h * K + k] * scale;
        status = pack(b, &m->rel[h], vq_engine_rel_format(e->weights), K, rows, T);
    }
    free(R);
    free(T);
    return status;
}

static enum vq_status build_module(struct builder *b, int module)
{
    struct vq_engine *e = b->e;
    struct vq_module *m = &e->module[module];
    float scale = powf((float)e->K, -0.25f);
    enum vq_status status;
    if ((status = read_vector(b, module, "input_ln/g", e->D, 1, &m->ln_g)) != VQ_OK ||
        (status = read_vector(b, module, "input_ln/b", e->D, 1, &m->ln_b)) != VQ_OK ||
        (status = read_vector(b, module, "u", e->H * e->K, scale, &m->u)) != VQ_OK ||
        (status = read_vector(b, module, "v", e->H * e->K, scale, &m->v)) != VQ_OK ||
        (status = build_in(b, m, module)) != VQ_OK ||
        (status = build_matrix(b, &m->out, module, "res_proj/kernel", e->H * e->V, e->D)) !=
            VQ_OK ||
        (status = build_codebook(b, m, module)) != VQ_OK)
        return status;
    return build_rel(b, m, module);
}

/* The embeddings [N, D] as a source of the tied output matrix [D, N]. */
static void read_transposed(const void *ud, size_t k, size_t n, size_t c, size_t cols, float *dst,
                            size_t ldd)
{
    const struct vq_engine *e = ud;
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < n; i++)
            dst[i * ldd + j] = e->embs[(c + j) * e->D + k + i];
}

/* The output matrix: tied, the embeddings transposed; else out_proj. */
static enum vq_status build_head(struct builder *b)
{
    struct vq_engine *e = b->e;
    enum vq_status status;
    if (e->config.e_preln &&
        ((status = read_vector(b, -1, "out_ln/g", e->D, 1, &e->out_ln_g)) != VQ_OK ||
         (status = read_vector(b, -1, "out_ln/b", e->D, 1, &e->out_ln_b)) != VQ_OK))
        return status;
    const char *bias = e->config.e_tie ? "token_embedder/bias_out" : "out_proj/bias";
    if ((status = read_vector(b, -1, bias, e->N, 1, &e->logits_bias)) != VQ_OK)
        return status;
    if (!e->config.e_tie)
        return build_matrix(b, &e->logits, -1, "out_proj/kernel", e->D, e->N);
    const struct vq_weight_source from = {.ud = e, .read = read_transposed};
    return pack_from(b, &e->logits, e->weights, e->D, e->N, &from);
}

static enum vq_status build_embedding(struct builder *b)
{
    struct vq_engine *e = b->e;
    size_t n;
    e->embs = vq_mul_ok(e->N, e->D * sizeof(float), &n) ? vq_alloc_aligned(n) : NULL;
    if (!e->embs)
        return vq_nomem(b->err, "token_embedder/embs", e->N * e->D, sizeof(float));
    e->bytes += n;
    enum vq_status status =
        vq_matrix_read(b->model, "token_embedder/embs", e->N * e->D, e->embs, e->pool, b->err);
    if (status != VQ_OK || !e->config.pe_abs)
        return status;
    e->frequencies = vq_sinusoid_frequencies(e->D, e->config.pe_lam);
    if (!e->frequencies)
        return vq_nomem(b->err, "position frequencies", e->D, sizeof(double));
    return vq_model_read(b->model, -1, "position_embedder/scale", &e->pe_scale, b->err);
}

struct sinusoids {
    float *out;
    size_t D;
    const double *frequencies;
};

static void sinusoid_task(void *ud, size_t delta, int worker)
{
    (void)worker;
    const struct sinusoids *s = ud;
    vq_sinusoid(s->out + delta * s->D, s->D, s->frequencies, (double)delta);
}

static enum vq_status build_sinusoids(struct builder *b)
{
    struct vq_engine *e = b->e;
    double *w = vq_sinusoid_frequencies(e->D, e->config.pe_lam);
    b->sinusoids = vq_alloc_f32((e->M + 1) * e->D);
    if (!w || !b->sinusoids) {
        free(w);
        return vq_nomem(b->err, "positions", (e->M + 1) * e->D, sizeof(float));
    }
    struct sinusoids s = {b->sinusoids, e->D, w};
    vq_pool_run(e->pool, e->M + 1, sinusoid_task, &s);
    free(w);
    return VQ_OK;
}

void vq_engine_set_sizes(struct vq_engine *e, const struct vq_config *c)
{
    e->config = *c;
    e->D = (size_t)c->d_model;
    e->K = (size_t)c->d_k;
    e->V = (size_t)c->d_v;
    e->H = (size_t)c->n_head;
    e->S = (size_t)c->n_code;
    e->M = (size_t)c->mem_len;
    e->N = (size_t)c->n_vocab;
    e->modules = vq_config_modules(c);
}

static enum vq_status build_all(struct builder *b, const struct vq_cancel *cancel)
{
    struct vq_engine *e = b->e;
    enum vq_status status = build_sinusoids(b);
    if (status == VQ_OK)
        status = build_embedding(b);
    if (status == VQ_OK)
        status = build_head(b);
    for (size_t i = 0; status == VQ_OK && i < e->modules; i++)
        status = vq_cancelled(cancel) ? vq_fail(b->err, VQ_ECANCELLED, "cancelled")
                                      : build_module(b, (int)i);
    return status;
}

enum vq_status vq_engine_new(struct vq_engine **out, const struct vq_model *model,
                             const struct vq_engine_options *options, struct vq_err *err)
{
    *out = NULL;
    struct vq_engine *e = vq_calloc(1, sizeof(*e));
    if (!e)
        return vq_nomem(err, "engine", 1, sizeof(*e));
    vq_engine_set_sizes(e, vq_model_config(model));
    e->weights = options->weights;
    e->state = options->state;
    e->skip = options->skip;
    e->gemm = options->gemm ? options->gemm : vq_gemm_default();
    e->vec = vq_vec_default();
    e->pool = options->pool;
    e->arena = vq_arena_new(VQ_ENGINE_STEP);
    e->module = vq_calloc(e->modules, sizeof(*e->module));
    struct builder b = {.e = e, .model = model, .err = err};
    enum vq_status status = e->module && e->arena
                                ? build_all(&b, options->cancel)
                                : vq_nomem(err, "engine", e->modules, sizeof(*e->module));
    free(b.sinusoids);
    if (vq_model_ckpt(model)) /* the system maps some pages around those that are touched */
        vq_ckpt_forget(vq_model_ckpt(model), NULL, 0, 0);
    if (status != VQ_OK)
        vq_engine_free(e);
    else
        *out = e;
    return status;
}

static void free_module(const struct vq_engine *e, struct vq_module *m)
{
    free(m->ln_g);
    free(m->ln_b);
    free(m->u);
    free(m->v);
    free(m->code_norm2);
    vq_weight_free(m->in);
    vq_weight_free(m->out);
    for (size_t h = 0; h < e->H; h++) {
        if (m->code)
            vq_weight_free(m->code[h]);
        if (m->rel)
            vq_weight_free(m->rel[h]);
    }
    free(m->code);
    free(m->rel);
}

void vq_engine_free(struct vq_engine *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->module && i < e->modules; i++)
        free_module(e, &e->module[i]);
    free(e->module);
    free(e->embs);
    free(e->frequencies);
    free(e->out_ln_g);
    free(e->out_ln_b);
    vq_weight_free(e->logits);
    free(e->logits_bias);
    vq_arena_free(e->arena);
    free(e);
}

const struct vq_config *vq_engine_config(const struct vq_engine *e)
{
    return &e->config;
}

enum vq_weight_format vq_engine_weights(const struct vq_engine *e)
{
    return e->weights;
}

enum vq_weight_format vq_engine_state(const struct vq_engine *e)
{
    return e->state;
}

enum vq_skip vq_engine_skip(const struct vq_engine *e)
{
    return e->skip;
}

static const char *const skip_names[] = {
    [VQ_SKIP_ZERO] = "zero", [VQ_SKIP_LIGHT] = "light", [VQ_SKIP_NONE] = "none"};

const char *vq_skip_name(enum vq_skip s)
{
    return skip_names[s];
}

bool vq_skip_parse(const char *name, enum vq_skip *out)
{
    for (size_t i = 0; i < sizeof(skip_names) / sizeof(skip_names[0]); i++) {
        if (strcmp(name, skip_names[i]) == 0) {
            *out = (enum vq_skip)i;
            return true;
        }
    }
    return false;
}

const struct vq_gemm *vq_engine_gemm(const struct vq_engine *e)
{
    return e->gemm;
}

struct vq_pool *vq_engine_pool(const struct vq_engine *e)
{
    return e->pool;
}

uint64_t vq_engine_bytes(const struct vq_engine *e)
{
    return e->bytes;
}

uint64_t vq_engine_bytes_per_token(const struct vq_engine *e)
{
    return e->bytes - (e->N - 1) * e->D * sizeof(float);
}

double vq_engine_flops_per_token(const struct vq_engine *e)
{
    double H = (double)e->H, K = (double)e->K, V = (double)e->V, D = (double)e->D;
    double S = e->config.agg_cache ? (double)e->S : 0.0, M = (double)e->M;
    double projections = D * (double)vq_proj_width(e) + H * V * D;
    double codes = 2 * H * K * (double)e->S; /* nearest code, content scores */
    double attention = H * K * M + H * V * (M + S);
    return 2.0 * ((double)e->modules * (projections + codes + attention) + D * (double)e->N);
}
