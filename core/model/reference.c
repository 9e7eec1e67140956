/*
 * reference: the forward pass as the paper defines it before it makes it linear (Lingle, arXiv
 * 2309.16354): quantised keys, one sequence, float64, quadratic in T. No kernel, no blocks, no
 * cache, no sum folded by code; one weight is in memory at a time.
 */
#include "core/model/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define RMS_EPS     1e-6
#define COUNT_FLOOR 0.01

/* Sizes, the residual stream, and one module's weights and activations. */
struct run {
    const struct vq_model *m;
    struct vq_reference *out;
    const int32_t *tokens, *prefer;
    const struct vq_cancel *cancel;
    size_t T, D, H, K, V, S, N, M;
    double lam;
    double key_scale; /* K^(-1/4) */
    bool agg_cache;
    double *x;        /* [T, D] residual stream */
    double *h;        /* [T, D] normalised input of a module, or of the output product */
    double *q, *k;    /* [T, H, K] */
    double *kvg;      /* [T, H (K + 2 V)] */
    double *y;        /* [T, H, V] gated result before Wres */
    double *codebook; /* [H, S, K] */
    double *rel;      /* [min(M, T - 1) + 1, H, K] R[distance] */
    double *score;    /* [T] of one query */
    double *biased;   /* [2, K] q + u, q + v of one query */
    double *sinusoid; /* [D] */
    float *w;         /* the weight being read */
    float *u, *v;     /* [H, K] */
};

/* n = a * b * c doubles; NULL when that overflows or is not to be had. */
static double *doubles(size_t a, size_t b, size_t c)
{
    size_t n;
    if (!vq_mul_ok(a, b, &n) || !vq_mul_ok(n, c, &n))
        return NULL;
    return vq_calloc(n, sizeof(double));
}

static size_t max2(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum vq_status allocate(struct run *r, struct vq_err *err)
{
    struct vq_reference *o = r->out;
    size_t modules = vq_config_modules(vq_model_config(r->m)), heads = modules * r->H;
    size_t width = r->H * (r->K + 2 * r->V), reach = r->M < r->T ? r->M + 1 : r->T;
    size_t weight = max2(r->N, max2(width, r->H * r->V));
    o->T = r->T;
    o->logits = doubles(r->T, r->N, 1);
    o->codes = vq_alloc(heads * r->T, sizeof(*o->codes));
    o->margin = doubles(heads, r->T, 1);
    o->values = doubles(heads, r->T, r->V);
    r->x = doubles(r->T, r->D, 1);
    r->h = doubles(r->T, r->D, 1);
    r->q = doubles(r->T, r->H, r->K);
    r->k = doubles(r->T, r->H, r->K);
    r->kvg = doubles(r->T, width, 1);
    r->y = doubles(r->T, r->H, r->V);
    r->codebook = doubles(r->H, r->S, r->K);
    r->rel = doubles(reach, r->H, r->K);
    r->score = doubles(r->T, 1, 1);
    r->biased = doubles(2, r->K, 1);
    r->sinusoid = doubles(r->D, 1, 1);
    /* Neither product overflows (vq_config_check); c_sum can be larger than any matrix. */
    r->w = vq_alloc(max2(r->D * weight, r->H * r->S * r->K), sizeof(float));
    r->u = vq_alloc(r->H, r->K * sizeof(float));
    r->v = vq_alloc(r->H, r->K * sizeof(float));
    if (o->logits && o->codes && o->margin && o->values && r->x && r->h && r->q && r->k && r->kvg &&
        r->y && r->codebook && r->rel && r->score && r->biased && r->sinusoid && r->w && r->u &&
        r->v)
        return VQ_OK;
    return vq_nomem(err, "the reference's arrays", r->T, (r->N + heads * r->V) * sizeof(double));
}

static void release(struct run *r)
{
    double *const arrays[] = {r->x,        r->h,   r->q,     r->k,      r->kvg,     r->y,
                              r->codebook, r->rel, r->score, r->biased, r->sinusoid};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        free(arrays[i]);
    free(r->w);
    free(r->u);
    free(r->v);
}

static enum vq_status stop(const struct run *r, struct vq_err *err)
{
    return vq_cancelled(r->cancel) ? vq_fail(err, VQ_ECANCELLED, "cancelled") : VQ_OK;
}

/* y[n] = x[n] / sqrt(mean(x^2) + eps) * scale; y may be x. */
static void rms(double *y, const double *x, size_t n, double scale)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    double factor = scale / sqrt(sum / (double)n + RMS_EPS);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor;
}

/* y[n_out] = x[n_in] w[n_in, n_out] */
static void product(double *y, const double *x, const float *w, size_t n_in, size_t n_out)
{
    for (size_t o = 0; o < n_out; o++)
        y[o] = 0;
    for (size_t i = 0; i < n_in; i++)
        for (size_t o = 0; o < n_out; o++)
            y[o] += x[i] * w[i * n_out + o];
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* sin_emb(p): w_i = lam^(-2i/D), sines first, then cosines. */
static void sinusoid(const struct run *r, double p, double *out)
{
    size_t half = r->D / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = p * pow(r->lam, -2.0 * (double)i / (double)r->D);
        out[i] = sin(angle);
        out[half + i] = cos(angle);
    }
}

static enum vq_status embed(struct run *r, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(r->m);
    float scale = 0;
    enum vq_status st = vq_model_read(r->m, -1, "token_embedder/embs", r->w, err);
    if (!st && c->pe_abs)
        st = vq_model_read(r->m, -1, "position_embedder/scale", &scale, err);
    if (st)
        return st;
    for (size_t t = 0; t < r->T; t++) {
        double *x = r->x + t * r->D;
        const float *e = r->w + (size_t)r->tokens[t] * r->D;
        for (size_t d = 0; d < r->D; d++)
            x[d] = e[d];
        if (c->pe_abs)
            sinusoid(r, (double)t, r->sinusoid);
        for (size_t d = 0; c->pe_abs && d < r->D; d++)
            x[d] += scale * r->sinusoid[d];
    }
    return VQ_OK;
}

/* h = rms(x) * g + b, with the norm's two vectors read one after the other through r->w. */
static enum vq_status norm(struct run *r, int module, const char *gain, const char *bias,
                           struct vq_err *err)
{
    enum vq_status st = vq_model_read(r->m, module, gain, r->w, err);
    if (st)
        return st;
    for (size_t t = 0; t < r->T; t++) {
        rms(r->h + t * r->D, r->x + t * r->D, r->D, 1);
        for (size_t d = 0; d < r->D; d++)
            r->h[t * r->D + d] *= r->w[d];
    }
    st = vq_model_read(r->m, module, bias, r->w, err);
    for (size_t i = 0; !st && i < r->T * r->D; i++)
        r->h[i] += r->w[i % r->D];
    return st;
}

/* Reads `leaf` [n_in, n_out] into r->w and writes y[T, n_out] = x[T, n_in] w. */
static enum vq_status project(struct run *r, int module, const char *leaf, const double *x,
                              size_t n_in, size_t n_out, double *y, struct vq_err *err)
{
    enum vq_status st = vq_model_read(r->m, module, leaf, r->w, err);
    for (size_t t = 0; !st && t < r->T; t++) {
        product(y + t * n_out, x + t * n_in, r->w, n_in, n_out);
        st = stop(r, err);
    }
    return st;
}

static enum vq_status read_codebook(struct run *r, int module, struct vq_err *err)
{
    size_t codes = r->H * r->S;
    enum vq_status st = vq_model_read(r->m, module, "quantizer/c_sum", r->w, err);
    if (st)
        return st;
    for (size_t i = 0; i < codes * r->K; i++)
        r->codebook[i] = r->w[i];
    st = vq_model_read(r->m, module, "quantizer/c_count", r->w, err);
    for (size_t i = 0; !st && i < codes * r->K; i++)
        r->codebook[i] /= fmax(r->w[i / r->K], COUNT_FLOOR);
    return st;
}

/* q, k, v, g of all tokens. */
static enum vq_status project_inputs(struct run *r, int module, struct vq_err *err)
{
    size_t HK = r->H * r->K, HV = r->H * r->V, width = HK + 2 * HV;
    double *values = r->out->values + (size_t)module * r->H * r->T * r->V;
    enum vq_status st = norm(r, module, "input_ln/g", "input_ln/b", err);
    if (!st)
        st = project(r, module, "q_proj/kernel", r->h, r->D, HK, r->q, err);
    if (!st)
        st = project(r, module, "kvg_proj/kernel", r->h, r->D, width, r->kvg, err);
    for (size_t t = 0; !st && t < r->T; t++) {
        double *row = r->kvg + t * width;
        for (size_t h = 0; h < r->H; h++) {
            size_t at = t * HK + h * r->K;
            rms(r->q + at, r->q + at, r->K, r->key_scale);
            rms(r->k + at, row + h * r->K, r->K, r->key_scale);
            for (size_t d = 0; d < r->V; d++)
                values[(h * r->T + t) * r->V + d] = silu(row[HK + h * r->V + d]);
        }
        for (size_t i = HK + HV; i < width; i++)
            row[i] = silu(row[i]);
    }
    return st;
}

/* z = argmin_s |k - C_s|^2, first index first; the margin to the second; a preferred tie wins. */
static void quantise(struct run *r, int module, size_t h, size_t t)
{
    size_t at = ((size_t)module * r->H + h) * r->T + t;
    const double *k = r->k + (t * r->H + h) * r->K;
    int32_t prefer = r->prefer ? r->prefer[at] : -1, z = 0;
    double best = INFINITY, second = INFINITY, preferred = INFINITY;
    for (size_t s = 0; s < r->S; s++) {
        const double *c = r->codebook + (h * r->S + s) * r->K;
        double d2 = 0;
        for (size_t i = 0; i < r->K; i++)
            d2 += (k[i] - c[i]) * (k[i] - c[i]);
        if ((int32_t)s == prefer)
            preferred = d2;
        if (d2 < best) {
            second = best;
            best = d2;
            z = (int32_t)s;
        } else if (d2 < second) {
            second = d2;
        }
    }
    r->out->codes[at] = preferred - best <= VQ_CODE_TIE ? prefer : z;
    r->out->margin[at] = second - best;
}

/* R[distance] = sin_emb_D(distance) Wr, times K^(-1/4). */
static enum vq_status positions(struct run *r, int module, struct vq_err *err)
{
    size_t HK = r->H * r->K;
    enum vq_status st = vq_model_read(r->m, module, "r_proj/kernel", r->w, err);
    for (size_t distance = 0; !st && distance < r->T && distance <= r->M; distance++) {
        double *row = r->rel + distance * HK;
        sinusoid(r, (double)distance, r->sinusoid);
        product(row, r->sinusoid, r->w, r->D, HK);
        for (size_t i = 0; i < HK; i++)
            row[i] *= r->key_scale;
        st = stop(r, err);
    }
    return st;
}

/* The softmax of query i over keys first..i in r->score; returns first. */
static size_t weigh(struct run *r, int module, size_t h, size_t i)
{
    const int32_t *code = r->out->codes + ((size_t)module * r->H + h) * r->T;
    const double *q = r->q + (i * r->H + h) * r->K;
    size_t first = r->agg_cache || i < r->M ? 0 : i - r->M;
    double top = -INFINITY, sum = 0;
    for (size_t d = 0; d < r->K; d++) {
        r->biased[d] = q[d] + r->u[h * r->K + d] * r->key_scale;
        r->biased[r->K + d] = q[d] + r->v[h * r->K + d] * r->key_scale;
    }
    for (size_t j = first; j <= i; j++) {
        r->score[j] = dot(r->biased, r->codebook + (h * r->S + (size_t)code[j]) * r->K, r->K);
        if (i - j <= r->M)
            r->score[j] += dot(r->biased + r->K, r->rel + ((i - j) * r->H + h) * r->K, r->K);
        top = fmax(top, r->score[j]);
    }
    for (size_t j = first; j <= i; j++)
        sum += r->score[j] = exp(r->score[j] - top);
    for (size_t j = first; j <= i; j++)
        r->score[j] /= sum;
    return first;
}

/* y = (sum_j a_j v_j) * g of query i. */
static void attend(struct run *r, int module, size_t h, size_t i)
{
    size_t width = r->H * (r->K + 2 * r->V);
    const double *values = r->out->values + ((size_t)module * r->H + h) * r->T * r->V;
    const double *g = r->kvg + i * width + r->H * (r->K + r->V) + h * r->V;
    double *y = r->y + (i * r->H + h) * r->V;
    size_t first = weigh(r, module, h, i);
    memset(y, 0, r->V * sizeof(*y));
    for (size_t j = first; j <= i; j++)
        for (size_t d = 0; d < r->V; d++)
            y[d] += r->score[j] * values[j * r->V + d];
    for (size_t d = 0; d < r->V; d++)
        y[d] *= g[d];
}

static enum vq_status forward_module(struct run *r, int module, struct vq_err *err)
{
    enum vq_status st = project_inputs(r, module, err);
    if (!st)
        st = read_codebook(r, module, err);
    if (!st)
        st = positions(r, module, err);
    if (!st)
        st = vq_model_read(r->m, module, "u", r->u, err);
    if (!st)
        st = vq_model_read(r->m, module, "v", r->v, err);
    for (size_t i = 0; !st && i < r->T; i++) {
        for (size_t h = 0; h < r->H; h++) {
            quantise(r, module, h, i);
            attend(r, module, h, i);
        }
        st = stop(r, err);
    }
    if (!st)
        st = project(r, module, "res_proj/kernel", r->y, r->H * r->V, r->D, r->h, err);
    for (size_t i = 0; !st && i < r->T * r->D; i++)
        r->x[i] += r->h[i];
    return st;
}

/* Logits from h, tied: h embs^T + bias_out. */
static enum vq_status tied_logits(struct run *r, struct vq_err *err)
{
    double *e = r->sinusoid;
    enum vq_status st = vq_model_read(r->m, -1, "token_embedder/embs", r->w, err);
    for (size_t n = 0; !st && n < r->N; n++) {
        for (size_t d = 0; d < r->D; d++)
            e[d] = r->w[n * r->D + d];
        for (size_t t = 0; t < r->T; t++)
            r->out->logits[t * r->N + n] = dot(r->h + t * r->D, e, r->D);
        st = stop(r, err);
    }
    return st;
}

static enum vq_status output(struct run *r, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(r->m);
    double *logits = r->out->logits;
    enum vq_status st = VQ_OK;
    if (c->e_preln)
        st = norm(r, -1, "out_ln/g", "out_ln/b", err);
    else
        memcpy(r->h, r->x, r->T * r->D * sizeof(*r->h));
    if (!st && c->e_tie)
        st = tied_logits(r, err);
    else if (!st)
        st = project(r, -1, "out_proj/kernel", r->h, r->D, r->N, logits, err);
    if (!st)
        st = vq_model_read(r->m, -1, c->e_tie ? "token_embedder/bias_out" : "out_proj/bias", r->w,
                           err);
    for (size_t i = 0; !st && i < r->T * r->N; i++)
        logits[i] = (logits[i] + r->w[i % r->N]) * c->e_scale;
    return st;
}

static enum vq_status check_tokens(const struct run *r, struct vq_err *err)
{
    for (size_t t = 0; t < r->T; t++)
        if (r->tokens[t] < 0 || (size_t)r->tokens[t] >= r->N)
            return vq_fail(err, VQ_EINVAL, "token %zu: expected an id from 0 to %zu, found %ld", t,
                           r->N - 1, (long)r->tokens[t]);
    return r->T ? VQ_OK : vq_fail(err, VQ_EINVAL, "expected at least one token, found none");
}

enum vq_status vq_reference_follow(struct vq_reference *out, const struct vq_model *m,
                                   const int32_t *tokens, size_t T, const int32_t *prefer,
                                   const struct vq_cancel *cancel, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(m);
    struct run r = {.m = m, .out = out, .tokens = tokens, .prefer = prefer, .cancel = cancel};
    r.T = T;
    r.D = (size_t)c->d_model;
    r.H = (size_t)c->n_head;
    r.K = (size_t)c->d_k;
    r.V = (size_t)c->d_v;
    r.S = (size_t)c->n_code;
    r.N = (size_t)c->n_vocab;
    r.M = (size_t)c->mem_len;
    r.lam = c->pe_lam;
    r.key_scale = pow((double)r.K, -0.25);
    r.agg_cache = c->agg_cache;
    *out = (struct vq_reference){0};
    enum vq_status st = check_tokens(&r, err);
    if (!st)
        st = allocate(&r, err);
    if (!st)
        st = embed(&r, err);
    for (int i = 0; !st && i < (int)vq_config_modules(c); i++)
        st = forward_module(&r, i, err);
    if (!st)
        st = output(&r, err);
    release(&r);
    if (st)
        vq_reference_release(out);
    return st;
}

enum vq_status vq_reference_run(struct vq_reference *out, const struct vq_model *m,
                                const int32_t *tokens, size_t T, const struct vq_cancel *cancel,
                                struct vq_err *err)
{
    return vq_reference_follow(out, m, tokens, T, NULL, cancel, err);
}

void vq_reference_release(struct vq_reference *r)
{
    free(r->logits);
    free(r->codes);
    free(r->margin);
    free(r->values);
    *r = (struct vq_reference){0};
}
