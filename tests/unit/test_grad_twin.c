/*
 * Gradients of whole updates against central differences of a twin in double: the model by its
 * definition, quadratic, with no kernel, block or cache in common with what it checks.
 *
 * The straight-through quantiser's gradient is no derivative of the loss, which is constant in a
 * key until its code changes. It is the derivative of a twin whose quantised keys are
 * k + (C_z - k0), with codes z and keys k0 as they were where the gradient is taken. Whatever the
 * model keeps from gradients (earlier blocks without grad_thru_cache, scores of the aggregate)
 * stays as it was there too. Dropout masks are those of the model, so that every rate is covered.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/train/dropout.h"
#include "core/train/grad.h"

enum { B = 3, D = 6, H = 2, K = 3, V = 4, S = 5, N = 9, U = 12, MODULES = 2, FAR = 12 };

static struct vq_err err;

/* The tensors of a module, and what its attention needs of them: codes, and R by distance. */
struct module {
    double *ln_g, *ln_b, *q, *kvg, *r, *res, *u, *v, *c_sum, *c_count;
    double C[H][S][K], R[H][FAR][K];
};

struct twin {
    struct vq_config c;
    bool quadratic; /* keys are not quantised, and all of them are seen */
    const struct vq_params *layout;
    double *p; /* parameters, as the layout has them */
    struct module mod[MODULES];
    double *embs, *bias, *out, *scale, *out_g, *out_b; /* NULL where the model has none */
    int32_t in[B][U], target[B][U];
    /* dropout */
    double emb[B][U][D], res[MODULES][B][U][D], sin[MODULES][FAR][D], lyr[MODULES][B];
    /* where the gradient is taken */
    bool recording;
    int32_t code[MODULES][B][H][U];
    double key[MODULES][B][H][U][K], value[MODULES][B][H][U][V];
    /* activations */
    double x[B][U][D], q[B][H][U][K], k[B][H][U][K], v[B][H][U][V], g[B][H][U][V];
    double commit;
};

static double *tensor(const struct twin *w, int module, const char *leaf)
{
    char name[96];
    if (module < 0)
        snprintf(name, sizeof(name), "%s", leaf);
    else
        snprintf(name, sizeof(name), "transformer_layers_%d/scanned_attn%d/%s", module / 2,
                 module % 2 + 1, leaf);
    const struct vq_param *t = vq_params_find(w->layout, name);
    return t ? w->p + t->offset : NULL;
}

static void find_tensors(struct twin *w)
{
    w->embs = tensor(w, -1, "token_embedder/embs");
    w->out = w->c.e_tie ? w->embs : tensor(w, -1, "out_proj/kernel");
    w->bias = tensor(w, -1, w->c.e_tie ? "token_embedder/bias_out" : "out_proj/bias");
    w->scale = tensor(w, -1, "position_embedder/scale");
    w->out_g = tensor(w, -1, "out_ln/g");
    w->out_b = tensor(w, -1, "out_ln/b");
    for (int i = 0; i < MODULES; i++) {
        struct module *m = &w->mod[i];
        m->ln_g = tensor(w, i, "input_ln/g");
        m->ln_b = tensor(w, i, "input_ln/b");
        m->q = tensor(w, i, "q_proj/kernel");
        m->kvg = tensor(w, i, "kvg_proj/kernel");
        m->r = tensor(w, i, "r_proj/kernel");
        m->res = tensor(w, i, "res_proj/kernel");
        m->u = tensor(w, i, "u");
        m->v = tensor(w, i, "v");
        m->c_sum = tensor(w, i, "quantizer/c_sum");
        m->c_count = tensor(w, i, "quantizer/c_count");
    }
}

static double sinusoid(const struct twin *w, double position, size_t d)
{
    double i = (double)(d % (D / 2));
    double angle = position * pow(w->c.pe_lam, -2.0 * i / D);
    return d < D / 2 ? sin(angle) : cos(angle);
}

static void rms(double *y, const double *x, size_t n, double scale)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale / sqrt(sum / (double)n + 1e-6);
}

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}

static double column(const double *x, const double *w, size_t rows, size_t cols, size_t c)
{
    double sum = 0.0;
    for (size_t r = 0; r < rows; r++)
        sum += x[r] * w[r * cols + c];
    return sum;
}

static double dot(const double *a, const double *b, size_t n)
{
    return column(a, b, n, 1, 0);
}

/* C, and R of the distances that occur. */
static void prepare(struct twin *w, int i)
{
    struct module *m = &w->mod[i];
    for (size_t h = 0; h < H; h++) {
        for (size_t z = 0; z < S; z++)
            for (size_t k = 0; k < K; k++)
                m->C[h][z][k] = m->c_sum[(h * S + z) * K + k] / fmax(m->c_count[h * S + z], 0.01);
        for (size_t delta = 0; delta < FAR; delta++)
            for (size_t k = 0; k < K; k++)
                m->R[h][delta][k] =
                    pow(K, -0.25) * column(w->sin[i][delta], m->r, D, H * K, h * K + k);
    }
}

static double distance2(const double *a, const double *b)
{
    double sum = 0.0;
    for (size_t k = 0; k < K; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
}

static int32_t nearest(const struct module *m, size_t h, const double *key)
{
    int32_t z = 0;
    for (int32_t s = 1; s < S; s++)
        if (distance2(key, m->C[h][s]) < distance2(key, m->C[h][z]))
            z = s;
    return z;
}

/* q, k, v and g of one position, and its part of the commitment loss. */
static void project(struct twin *w, int i, size_t b, size_t t)
{
    double x[D], s = pow(K, -0.25);
    const struct module *m = &w->mod[i];
    const size_t hk = H * K, width = H * (K + 2 * V);
    rms(x, w->x[b][t], D, 1.0);
    for (size_t d = 0; d < D; d++)
        x[d] = x[d] * m->ln_g[d] + m->ln_b[d];
    for (size_t h = 0; h < H; h++) {
        double *q = w->q[b][h][t], *k = w->k[b][h][t], *v = w->v[b][h][t];
        for (size_t c = 0; c < K; c++) {
            q[c] = column(x, m->q, D, hk, h * K + c);
            k[c] = column(x, m->kvg, D, width, h * K + c);
        }
        for (size_t c = 0; c < V; c++) {
            v[c] = silu(column(x, m->kvg, D, width, hk + h * V + c));
            w->g[b][h][t][c] = silu(column(x, m->kvg, D, width, hk + H * V + h * V + c));
        }
        rms(q, q, K, s);
        rms(k, k, K, s);
        if (w->recording) {
            w->code[i][b][h][t] = nearest(m, h, k);
            memcpy(w->key[i][b][h][t], k, K * sizeof(*k));
            memcpy(w->value[i][b][h][t], v, V * sizeof(*v));
        }
        if (w->target[b][t] && !w->quadratic)
            w->commit += distance2(k, m->C[h][w->code[i][b][h][t]]);
    }
}

/* The score of query i against key j, and whether key and value take gradients. */
static double score(const struct twin *w, int n, size_t b, size_t h, size_t i, size_t j,
                    bool *flows)
{
    const struct module *m = &w->mod[n];
    size_t L = (size_t)w->c.block_len, M = (size_t)w->c.mem_len, start = i / L * L;
    double s = pow(K, -0.25), c[K], qu[K], qv[K];
    bool single = j + M >= start;
    *flows = w->c.grad_thru_cache || j >= start || w->quadratic;
    for (size_t k = 0; k < K; k++) {
        qu[k] = w->q[b][h][i][k] + m->u[h * K + k] * s;
        qv[k] = w->q[b][h][i][k] + m->v[h * K + k] * s;
        c[k] = m->C[h][w->code[n][b][h][j]][k];
        if (*flows && single)
            c[k] += w->k[b][h][j][k] - w->key[n][b][h][j][k];
        if (w->quadratic)
            c[k] = w->k[b][h][j][k];
    }
    return dot(qu, c, K) + (i - j > M ? 0.0 : dot(qv, m->R[h][i - j], K));
}

static void attend(const struct twin *w, int m, size_t b, size_t h, size_t i, double *o)
{
    double total = 0.0;
    memset(o, 0, V * sizeof(*o));
    for (size_t j = 0; j <= i; j++) {
        bool flows;
        if (!w->c.agg_cache && !w->quadratic && i - j > (size_t)w->c.mem_len)
            continue;
        double e = exp(score(w, m, b, h, i, j, &flows));
        total += e;
        for (size_t v = 0; v < V; v++)
            o[v] += e * (flows ? w->v[b][h][j][v] : w->value[m][b][h][j][v]);
    }
    for (size_t v = 0; v < V; v++)
        o[v] = o[v] / total * w->g[b][h][i][v];
}

static void run_module(struct twin *w, int m)
{
    double y[B][U][H * V];
    prepare(w, m);
    for (size_t r = 0; r < B * U; r++)
        project(w, m, r / U, r % U);
    for (size_t r = 0; r < B * U * H; r++)
        attend(w, m, r / H / U, r % H, r / H % U, y[r / H / U][r / H % U] + r % H * V);
    for (size_t r = 0; r < B * U * D; r++) {
        size_t b = r / D / U, t = r / D % U, d = r % D;
        w->x[b][t][d] +=
            column(y[b][t], w->mod[m].res, H * V, D, d) * w->res[m][b][t][d] * w->lyr[m][b];
    }
}

/* -log p of the target. */
static double nll(const struct twin *w, size_t b, size_t t)
{
    double h[D], logit[N], sum = 0.0;
    memcpy(h, w->x[b][t], sizeof(h));
    if (w->c.e_preln) {
        rms(h, h, D, 1.0);
        for (size_t d = 0; d < D; d++)
            h[d] = h[d] * w->out_g[d] + w->out_b[d];
    }
    for (size_t n = 0; n < N; n++) {
        logit[n] = w->bias[n];
        logit[n] += w->c.e_tie ? dot(h, w->out + n * D, D) : column(h, w->out, D, N, n);
        logit[n] *= w->c.e_scale;
        sum += exp(logit[n]);
    }
    return log(sum) - logit[w->target[b][t]];
}

static double loss(struct twin *w)
{
    double lm = 0.0;
    w->commit = 0.0;
    for (size_t r = 0; r < B * U * D; r++) {
        size_t b = r / D / U, t = r / D % U, d = r % D;
        double x = w->embs[(size_t)w->in[b][t] * D + d];
        if (w->c.pe_abs)
            x += *w->scale * sinusoid(w, (double)t, d);
        w->x[b][t][d] = x * w->emb[b][t][d];
    }
    for (int m = 0; m < MODULES; m++)
        run_module(w, m);
    for (size_t r = 0; r < B * U; r++)
        lm += w->target[r / U][r % U] ? nll(w, r / U, r % U) : 0.0;
    return (lm + w->c.c_beta * w->commit) / (B * U);
}

/* Masks as the model draws them. */
static void mask(double *to, size_t n, double p, struct vq_drop d)
{
    float ones[D] = {1, 1, 1, 1, 1, 1}, y[D];
    vq_drop_row(y, ones, n, p, &d);
    for (size_t i = 0; i < n; i++)
        to[i] = (double)y[i];
}

static void draw_masks(struct twin *w)
{
    for (uint32_t r = 0; r < B * U; r++) {
        uint32_t b = r / U, t = r % U;
        mask(w->emb[b][t], D, w->c.p_dropemb,
             (struct vq_drop){5, 6, VQ_DROP_EMB, .row = b, .at = t});
        for (uint32_t m = 0; m < MODULES; m++)
            mask(w->res[m][b][t], D, w->c.p_dropres, (struct vq_drop){5, 6, VQ_DROP_RES, m, b, t});
    }
    for (uint32_t m = 0; m < MODULES; m++) {
        for (uint32_t b = 0; b < B; b++) {
            struct vq_drop d = {5, 6, VQ_DROP_LYR, m, b, 0};
            w->lyr[m][b] = (double)vq_drop_factor(w->c.p_droplyr, &d);
        }
        for (uint32_t delta = 0; delta < FAR; delta++) {
            mask(w->sin[m][delta], D, w->c.p_dropsin,
                 (struct vq_drop){5, 6, VQ_DROP_SIN, m, 0, delta});
            for (size_t d = 0; d < D; d++)
                w->sin[m][delta][d] *= sinusoid(w, delta, d);
        }
    }
}

/* Parameters with nothing at its starting value, and targets of which some are padding. */
static void fill(struct twin *w, float *block, uint64_t seed)
{
    struct vq_rng r;
    vq_rng_init(&r, seed, 0);
    vq_params_init(w->layout, block, seed);
    for (size_t i = 0; i < w->layout->n; i++) {
        const struct vq_param *t = &w->layout->at[i];
        bool count = strstr(t->name, "c_count") != NULL;
        for (size_t k = t->offset; k < t->offset + t->size; k++) {
            block[k] += count ? (float)vq_rng_unit(&r) : (float)(0.3 * vq_rng_normal(&r));
            w->p[k] = (double)block[k];
        }
    }
    for (size_t b = 0; b < B; b++) {
        for (size_t t = 0; t < U; t++)
            w->target[b][t] = (int32_t)vq_rng_below(&r, N);
        w->target[b][3] = 0;
        w->in[b][0] = 1;
        memcpy(w->in[b] + 1, w->target[b], (U - 1) * sizeof(w->in[b][0]));
    }
}

/* Gradient of the codebook: value - target. */
static double codebook(const struct twin *w, const struct vq_param *t, size_t i)
{
    bool sums = strstr(t->name, "c_sum") != NULL;
    int m = strstr(t->name, "scanned_attn2") != NULL;
    size_t h = sums ? i / K / S : i / S, s = sums ? i / K % S : i % S;
    double seen = 0.0;
    for (size_t r = 0; r < B * U; r++) {
        size_t b = r / U, p = r % U;
        if (w->target[b][p] && (size_t)w->code[m][b][h][p] == s)
            seen += sums ? w->key[m][b][h][p][i % K] : 1.0;
    }
    return (1.0 - w->c.c_gamma) * (w->p[t->offset + i] - seen);
}

static double difference(struct twin *w, double *at)
{
    double x = *at, h = 1e-5;
    *at = x + h;
    double up = loss(w);
    *at = x - h;
    double down = loss(w);
    *at = x;
    return (up - down) / (2 * h);
}

static void check_tensor(struct twin *w, const struct vq_param *t, const float *grads)
{
    double max = 0.0;
    for (size_t i = 0; i < t->size; i++)
        max = fmax(max, fabs((double)grads[t->offset + i]));
    for (size_t i = 0; i < t->size; i++) {
        double expected = t->is_codebook ? codebook(w, t, i) : difference(w, w->p + t->offset + i);
        if (t->is_codebook && w->quadratic)
            expected = 0.0;
        double found = (double)grads[t->offset + i];
        if (!(fabs(found - expected) <= 1e-5 * max + 1e-8))
            fail_msg("%sL %lld M %lld agg %lld thru %lld: %s[%zu] is %.9g, expected %.9g",
                     w->quadratic ? "quadratic " : "", (long long)w->c.block_len,
                     (long long)w->c.mem_len, (long long)w->c.agg_cache,
                     (long long)w->c.grad_thru_cache, t->name, i, found, expected);
    }
}

static void check_with(const struct vq_config *c, const struct vq_grad_options *options)
{
    struct vq_grad_options o = *options;
    struct vq_grad *g;
    struct vq_train_state *state;
    struct vq_update_result r;
    struct twin *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->c = *c;
    w->quadratic = o.attention != VQ_ATTENTION_CODES;
    o.batch = B;
    o.rows = 2;
    o.recompute = c->e_tie;
    assert_int_equal(vq_grad_new(&g, c, &o, &err), VQ_OK);
    assert_int_equal(vq_train_state_new(&state, c, B, &err), VQ_OK);
    w->layout = vq_grad_params(g);
    w->p = calloc(w->layout->floats, sizeof(*w->p));
    float *params = vq_params_block(w->layout), *grads = vq_params_block(w->layout);
    assert_true(w->p && params && grads);
    find_tensors(w);
    fill(w, params, (uint64_t)(c->block_len * 100 + c->mem_len * 10 + c->e_tie));
    draw_masks(w);
    const struct vq_update u = {.params = params,
                                .state = state,
                                .targets = w->target[0],
                                .stride = U,
                                .grads = grads,
                                .dropout = true,
                                .seed = 5,
                                .sequence = 6};
    assert_int_equal(vq_grad_update(g, &u, &r, &err), VQ_OK);
    w->recording = true;
    double expected = loss(w);
    w->recording = false;
    assert_true(fabs(r.loss - expected) < 1e-6 * expected);
    for (size_t i = 0; i < w->layout->n; i++)
        check_tensor(w, &w->layout->at[i], grads);
    free(params);
    free(grads);
    free(w->p);
    free(w);
    vq_train_state_free(state);
    vq_grad_free(g);
}

static void check(const struct vq_config *c)
{
    check_with(c, &(struct vq_grad_options){.attention = VQ_ATTENTION_CODES});
    for (int64_t span = c->block_len; span < U; span += c->block_len)
        if (U % span == 0 && span >= c->mem_len)
            check_with(c, &(struct vq_grad_options){.span = (size_t)span});
}

static struct vq_config config(int64_t L, int64_t M, int64_t flags, double p)
{
    struct vq_settings s;
    vq_settings_default(&s);
    s.v.d_model = D;
    s.v.n_head = H;
    s.v.d_k = K;
    s.v.d_v = V;
    s.v.n_code = S;
    s.v.n_vocab = N;
    s.v.n_layer = MODULES / 2;
    s.v.sequence_len = s.v.update_len = U;
    s.v.block_len = L;
    s.v.mem_len = M;
    s.v.agg_cache = flags & 1;
    s.v.grad_thru_cache = flags >> 1 & 1;
    s.v.e_tie = flags >> 2 & 1;
    s.v.pe_abs = s.v.e_preln = s.v.e_tie;
    s.v.e_scale = 0.7;
    s.v.c_beta = 0.3;
    s.v.p_dropemb = s.v.p_dropsin = s.v.p_dropres = s.v.p_droplyr = p;
    return s.v;
}

static void test_plain(void **unused)
{
    static const int64_t lengths[][2] = {{4, 4}, {4, 2}, {2, 5}, {1, 3}, {12, 4}, {3, 20}};
    (void)unused;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int64_t flags = 0; flags < 8; flags++) {
            struct vq_config c = config(lengths[i][0], lengths[i][1], flags, 0.0);
            check(&c);
        }
    }
}

static void test_dropout(void **unused)
{
    (void)unused;
    for (int64_t flags = 0; flags < 8; flags++) {
        struct vq_config c = config(3, 4, flags, 0.3);
        check(&c);
    }
}

static void test_quadratic(void **unused)
{
    static const struct vq_grad_options kinds[] = {
        {.attention = VQ_ATTENTION_DENSE},
        {.attention = VQ_ATTENTION_DENSE, .queries = 5},
        {.attention = VQ_ATTENTION_BLOCKED},
        {.attention = VQ_ATTENTION_BLOCKED, .queries = 5, .keys = 3},
        {.attention = VQ_ATTENTION_BLOCKED, .queries = 1, .keys = 7},
        {.attention = VQ_ATTENTION_BLOCKED, .queries = 7, .keys = 1},
    };
    static const int64_t windows[] = {1, 4, 20};
    (void)unused;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (size_t m = 0; m < 3; m++) {
            for (int64_t flags = 0; flags < 8; flags += 3) {
                struct vq_config c = config(4, windows[m], flags, m == 1 ? 0.3 : 0.0);
                check_with(&c, &kinds[i]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
