/*
 * forward64: the whole forward pass of one sequence in double, by its definition, with everything
 * that happens on the way kept: keys, codes, every weight of every query, gates, branches, streams.
 * It reads parameters from the checkpoint and shares no arithmetic with the engine. Quadratic; for
 * the golden models and other small ones.
 */
#ifndef VQ_TEST_FORWARD64_H
#define VQ_TEST_FORWARD64_H

#include "tests/unit/test_inspect.h"

struct forward64 {
    const struct vq_model *m;
    const struct vq_config *c;
    size_t T, D, H, S, K, V, N, M, modules;
    int32_t *tokens;  /* [T] */
    double *embedded; /* [T, D] */
    double *key;      /* [modules, H, T, K] before quantisation */
    int32_t *code;    /* [modules, H, T] */
    double *weight;   /* [modules, H, T, T] of query i on position j */
    double *gate;     /* [modules, T, H V] */
    double *value;    /* [modules, T, H V] */
    double *branch;   /* [modules, T, D] */
    double *stream;   /* [modules, T, D] */
    double *logits;   /* [T, N] */
    bool unquantised; /* a quadratic model: keys as they are, and all of them are seen */
    /* Whether query i of a module and head does not see position j, whose code is given; or NULL.
     */
    bool (*hidden)(void *ud, int module, int head, size_t i, size_t j, int32_t code);
    void *ud;
};

static inline double *f64_param(const struct forward64 *f, int module, const char *leaf, size_t n)
{
    struct vq_err err;
    float *x = malloc(n * sizeof(*x));
    double *y = malloc(n * sizeof(*y));
    assert_ok(vq_model_read(f->m, module, leaf, x, &err), &err);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i];
    free(x);
    return y;
}

static inline double *f64_new(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof(*x));
    assert_non_null(x);
    return x;
}

static inline void f64_rms(double *y, const double *x, size_t n, double scale)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / sqrt(sum / (double)n + 1e-6) * scale;
}

static inline double f64_silu(double x)
{
    return x / (1.0 + exp(-x));
}

static inline void f64_sin(double *y, size_t D, double lam, double position)
{
    for (size_t i = 0; i < D / 2; i++) {
        double w = position * pow(lam, -2.0 * (double)i / (double)D);
        y[i] = sin(w);
        y[D / 2 + i] = cos(w);
    }
}

/* y[n] = x[m] W[m,n] */
static inline void f64_mul(double *y, const double *x, const double *W, size_t m, size_t n)
{
    for (size_t j = 0; j < n; j++)
        y[j] = 0.0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            y[j] += x[i] * W[i * n + j];
}

static inline void f64_embed(struct forward64 *f)
{
    size_t D = f->D;
    double *embs = f64_param(f, -1, "token_embedder/embs", f->N * D), *sine = f64_new(D);
    double *scale = f->c->pe_abs ? f64_param(f, -1, "position_embedder/scale", 1) : NULL;
    for (size_t t = 0; t < f->T; t++) {
        f64_sin(sine, D, f->c->pe_lam, (double)t);
        for (size_t d = 0; d < D; d++)
            f->embedded[t * D + d] =
                embs[(size_t)f->tokens[t] * D + d] + (scale ? *scale * sine[d] : 0.0);
    }
    free(embs);
    free(sine);
    free(scale);
}

static inline int32_t f64_nearest(const double *k, const double *C, size_t S, size_t K)
{
    double best = INFINITY;
    int32_t at = 0;
    for (size_t s = 0; s < S; s++) {
        double d = 0.0;
        for (size_t i = 0; i < K; i++)
            d += (k[i] - C[s * K + i]) * (k[i] - C[s * K + i]);
        if (d < best) {
            best = d;
            at = (int32_t)s;
        }
    }
    return at;
}

static inline double *f64_codebook(const struct forward64 *f, int module)
{
    size_t n = f->H * f->S;
    double *C = f64_param(f, module, "quantizer/c_sum", n * f->K);
    double *count = f64_param(f, module, "quantizer/c_count", n);
    for (size_t i = 0; i < n * f->K; i++)
        C[i] /= fmax(count[i / f->K], 0.01);
    free(count);
    return C;
}

/* Queries q[T, H K], keys, codes, values and gates of a module from the stream x[T, D]. */
static inline void f64_project(struct forward64 *f, int module, const double *x, double *q)
{
    size_t D = f->D, HK = f->H * f->K, HV = f->H * f->V, W = HK + 2 * HV;
    double scale = pow((double)f->K, -0.25), *h = f64_new(D), *row = f64_new(W);
    double *g = f64_param(f, module, "input_ln/g", D), *b = f64_param(f, module, "input_ln/b", D);
    double *Wq = f64_param(f, module, "q_proj/kernel", D * HK);
    double *Wkvg = f64_param(f, module, "kvg_proj/kernel", D * W), *C = f64_codebook(f, module);
    for (size_t t = 0; t < f->T; t++) {
        f64_rms(h, x + t * D, D, 1.0);
        for (size_t d = 0; d < D; d++)
            h[d] = h[d] * g[d] + b[d];
        f64_mul(q + t * HK, h, Wq, D, HK);
        f64_mul(row, h, Wkvg, D, W);
        for (size_t head = 0; head < f->H; head++) {
            size_t at = ((size_t)module * f->H + head) * f->T + t;
            f64_rms(q + t * HK + head * f->K, q + t * HK + head * f->K, f->K, scale);
            f64_rms(f->key + at * f->K, row + head * f->K, f->K, scale);
            f->code[at] = f64_nearest(f->key + at * f->K, C + head * f->S * f->K, f->S, f->K);
        }
        for (size_t i = 0; i < HV; i++) {
            f->value[((size_t)module * f->T + t) * HV + i] = f64_silu(row[HK + i]);
            f->gate[((size_t)module * f->T + t) * HV + i] = f64_silu(row[HK + HV + i]);
        }
    }
    free(h);
    free(row);
    free(g);
    free(b);
    free(Wq);
    free(Wkvg);
    free(C);
}

/* R[M + 1, H K] by distance. */
static inline double *f64_distances(const struct forward64 *f, int module)
{
    size_t HK = f->H * f->K;
    double *Wr = f64_param(f, module, "r_proj/kernel", f->D * HK), *sine = f64_new(f->D);
    double *R = f64_new((f->M + 1) * HK);
    for (size_t d = 0; d <= f->M; d++) {
        f64_sin(sine, f->D, f->c->pe_lam, (double)d);
        f64_mul(R + d * HK, sine, Wr, f->D, HK);
    }
    free(Wr);
    free(sine);
    return R;
}

static inline void f64_weigh(struct forward64 *f, int module, const double *q)
{
    size_t K = f->K, HK = f->H * K, T = f->T;
    double scale = pow((double)K, -0.25), *R = f64_distances(f, module);
    double *C = f64_codebook(f, module), *u = f64_param(f, module, "u", HK);
    double *v = f64_param(f, module, "v", HK);
    for (size_t h = 0; h < f->H; h++)
        for (size_t i = 0; i < T; i++) {
            size_t line = ((size_t)module * f->H + h) * T;
            double *w = f->weight + (line + i) * T, top = -INFINITY, sum = 0.0;
            for (size_t j = 0; j <= i; j++) {
                const double *c = C + (h * f->S + (size_t)f->code[line + j]) * K;
                if (f->unquantised)
                    c = f->key + (line + j) * K;
                w[j] = 0.0;
                for (size_t k = 0; k < K; k++) {
                    double qk = q[i * HK + h * K + k];
                    w[j] += (qk + u[h * K + k] * scale) * c[k];
                    if (i - j <= f->M)
                        w[j] += (qk + v[h * K + k] * scale) * R[(i - j) * HK + h * K + k] * scale;
                }
                bool out = i - j > f->M && !f->c->agg_cache && !f->unquantised;
                if (out || (f->hidden && f->hidden(f->ud, module, (int)h, i, j, f->code[line + j])))
                    w[j] = -INFINITY;
                top = fmax(top, w[j]);
            }
            for (size_t j = 0; j <= i; j++)
                sum += w[j] = exp(w[j] - top);
            for (size_t j = 0; j <= i; j++)
                w[j] /= sum;
        }
    free(R);
    free(C);
    free(u);
    free(v);
}

static inline void f64_mix(struct forward64 *f, int module, const double *x)
{
    size_t D = f->D, HV = f->H * f->V, T = f->T;
    double *Wres = f64_param(f, module, "res_proj/kernel", HV * D), *y = f64_new(HV);
    for (size_t i = 0; i < T; i++) {
        size_t row = (size_t)module * T + i;
        for (size_t n = 0; n < HV; n++) {
            const double *w = f->weight + (((size_t)module * f->H + n / f->V) * T + i) * T;
            y[n] = 0.0;
            for (size_t j = 0; j <= i; j++)
                y[n] += w[j] * f->value[((size_t)module * T + j) * HV + n];
            y[n] *= f->gate[row * HV + n];
        }
        f64_mul(f->branch + row * D, y, Wres, HV, D);
        for (size_t d = 0; d < D; d++)
            f->stream[row * D + d] = x[i * D + d] + f->branch[row * D + d];
    }
    free(Wres);
    free(y);
}

/* Logits[N] of one stream x[D]. */
static inline void f64_head(const struct forward64 *f, const double *x, double *logits)
{
    size_t D = f->D, N = f->N;
    double *h = f64_new(D), *W = NULL, *bias;
    memcpy(h, x, D * sizeof(*h));
    if (f->c->e_preln) {
        double *g = f64_param(f, -1, "out_ln/g", D), *b = f64_param(f, -1, "out_ln/b", D);
        f64_rms(h, x, D, 1.0);
        for (size_t d = 0; d < D; d++)
            h[d] = h[d] * g[d] + b[d];
        free(g);
        free(b);
    }
    bias = f64_param(f, -1, f->c->e_tie ? "token_embedder/bias_out" : "out_proj/bias", N);
    W = f64_param(f, -1, f->c->e_tie ? "token_embedder/embs" : "out_proj/kernel", D * N);
    for (size_t n = 0; n < N; n++) {
        double sum = bias[n];
        for (size_t d = 0; d < D; d++)
            sum += h[d] * (f->c->e_tie ? W[n * D + d] : W[d * N + n]);
        logits[n] = sum * f->c->e_scale;
    }
    free(h);
    free(W);
    free(bias);
}

/* Sets m, tokens and T, then runs. `hidden` may be set before. */
static inline void f64_run(struct forward64 *f, const struct vq_model *m, const int32_t *tokens,
                           size_t T)
{
    const struct vq_config *c = vq_model_config(m);
    f->m = m;
    f->c = c;
    f->T = T;
    f->D = (size_t)c->d_model;
    f->H = (size_t)c->n_head;
    f->S = (size_t)c->n_code;
    f->K = (size_t)c->d_k;
    f->V = (size_t)c->d_v;
    f->N = (size_t)c->n_vocab;
    f->M = (size_t)c->mem_len;
    f->modules = vq_config_modules(c);
    size_t lines = f->modules * f->H * T, rows = f->modules * T;
    f->tokens = malloc(T * sizeof(*f->tokens));
    memcpy(f->tokens, tokens, T * sizeof(*tokens));
    f->embedded = f64_new(T * f->D);
    f->key = f64_new(lines * f->K);
    f->code = calloc(lines, sizeof(*f->code));
    f->weight = f64_new(lines * T);
    f->gate = f64_new(rows * f->H * f->V);
    f->value = f64_new(rows * f->H * f->V);
    f->branch = f64_new(rows * f->D);
    f->stream = f64_new(rows * f->D);
    f->logits = f64_new(T * f->N);
    f64_embed(f);
    const double *x = f->embedded;
    double *q = f64_new(T * f->H * f->K);
    for (size_t i = 0; i < f->modules; i++) {
        f64_project(f, (int)i, x, q);
        f64_weigh(f, (int)i, q);
        f64_mix(f, (int)i, x);
        x = f->stream + i * T * f->D;
    }
    for (size_t t = 0; t < T; t++)
        f64_head(f, x + t * f->D, f->logits + t * f->N);
    free(q);
}

static inline void f64_release(struct forward64 *f)
{
    free(f->tokens);
    free(f->embedded);
    free(f->key);
    free(f->code);
    free(f->weight);
    free(f->gate);
    free(f->value);
    free(f->branch);
    free(f->stream);
    free(f->logits);
    *f = (struct forward64){0};
}

#endif
