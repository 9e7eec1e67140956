/*
 * workspace: every array of a vq_grad in one allocation. One function deals memory out; run without
 * memory it only counts, so that the estimate cannot differ from the fact.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/sinusoid.h"
#include "core/train/grad_private.h"

#define LINE        64                /* bytes; every array begins on one */
#define LOGITS      ((size_t)4 << 20) /* numbers of a chunk */
#define PASS_TOKENS 1024              /* tokens of a pass when nobody says */
#define SPAN_TOKENS 8192              /* and the most of a span */

/* Blocks of quadratic attention: scores that stay near, values read as seldom as may be. */
#define SQUARE_QUERIES 256
#define SQUARE_KEYS    1024

/* Memory being dealt out; at is NULL while counting. */
struct arena {
    char *at;
    size_t used;
    bool overflow;
};

/* a * b * c elements of `size` bytes. */
static void *deal(struct arena *m, size_t size, size_t a, size_t b, size_t c)
{
    size_t n, start = m->used;
    if (!vq_mul_ok(a, b, &n) || !vq_mul_ok(n, c, &n) || !vq_mul_ok(n, size, &n) ||
        !vq_add_ok(n, LINE - 1, &n) || !vq_add_ok(start, n / LINE * LINE, &m->used)) {
        m->overflow = true;
        return NULL;
    }
    return m->at ? m->at + start : NULL;
}

/* a * b, or so much that no allocation of it can be had. */
static size_t times(size_t a, size_t b)
{
    size_t n;
    return vq_mul_ok(a, b, &n) ? n : SIZE_MAX;
}

static float *floats(struct arena *m, size_t a, size_t b, size_t c)
{
    return deal(m, sizeof(float), a, b, c);
}

/* n right sides [K, N]. */
static float *packed(struct arena *m, size_t n, size_t K, size_t N)
{
    return floats(m, n, vq_packed_rows(K), vq_packed_cols(N));
}

static void deal_prepared(struct arena *m, const struct vq_sizes *n, struct vq_prepared *w)
{
    w->C = floats(m, n->H, n->S, n->K);
    w->norm2 = floats(m, n->H, n->S, 1);
    w->u = floats(m, n->H, n->K, 1);
    w->v = floats(m, n->H, n->K, 1);
    w->R = floats(m, n->H, n->M + 1, n->K);
    w->dR = floats(m, n->H, n->M + 1, n->K);
    w->sum = floats(m, n->H, n->S, n->K);
    w->count = floats(m, n->H, n->S, 1);
}

static void deal_kept(struct arena *m, const struct vq_grad *g, struct vq_kept *k)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = n->rows * n->H;
    k->proj = floats(m, n->R, n->width, 1);
    k->lse = floats(m, vq_quadratic(g) ? bh : 0, n->U, 1);
    k->inverse = floats(m, n->R, n->H, 2);
    k->code = deal(m, sizeof(int32_t), bh, n->F + n->U, 1);
    k->o = floats(m, n->R, n->H, n->V);
}

/* Of each kept module where there is one span, else of the module at hand. */
static void deal_values(struct arena *m, const struct vq_grad *g, struct vq_kept *k)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = n->rows * n->H, blocks = g->agg ? n->P + 1 : 0;
    k->value = floats(m, bh, n->F + n->U, n->V);
    k->mean = floats(m, bh * blocks, n->S, n->V);
    k->count = deal(m, sizeof(int32_t), bh, blocks, n->S);
    k->log_count = floats(m, bh, blocks, n->S);
}

static void deal_all_kept(struct arena *m, struct vq_grad *g)
{
    struct vq_kept none, values = {.value = NULL};
    for (size_t i = 0; i < g->n.kept; i++) {
        struct vq_kept *k = m->at ? &g->kept[i] : &none;
        deal_kept(m, g, k);
        if (g->n.spans == 1 || i == 0)
            deal_values(m, g, &values);
        k->value = values.value;
        k->mean = values.mean;
        k->count = values.count;
        k->log_count = values.log_count;
    }
}

/* What one span leaves to the next. */
static void deal_state(struct arena *m, const struct vq_grad *g, struct vq_train_state *s)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = times(n->modules * n->H, n->B), aggregates = g->agg ? bh : 0;
    *s = (struct vq_train_state){
        .modules = n->modules, .B = n->B, .H = n->H, .M = n->M, .S = n->S, .K = n->K, .V = n->V};
    s->code = deal(m, sizeof(*s->code), bh, n->M, 1);
    s->key = floats(m, bh, n->M, n->K);
    s->value = floats(m, bh, n->M, n->V);
    s->count = deal(m, sizeof(*s->count), aggregates, n->S, 1);
    s->mean = floats(m, aggregates, n->S, n->V);
    if (!g->agg)
        s->count = NULL;
}

/* The gradients of that. */
static void deal_carry(struct arena *m, const struct vq_grad *g, struct vq_carry *c)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = n->rows * n->H;
    c->key = floats(m, bh, n->M, n->K);
    c->value = floats(m, bh, n->M, n->V);
    c->mean = floats(m, g->agg ? bh : 0, n->S, n->V);
}

static void deal_spans(struct arena *m, struct vq_grad *g)
{
    struct vq_train_state s;
    struct vq_carry c;
    size_t spans = g->n.spans > 1 ? g->n.spans : 0;
    g->after = deal(m, sizeof(*g->after), spans, 1, 1);
    g->carry = deal(m, sizeof(*g->carry), g->n.modules, 1, 1);
    for (size_t i = 0; i < spans; i++)
        deal_state(m, g, m->at ? &g->after[i] : &s);
    for (size_t i = 0; spans && i < g->n.modules; i++)
        deal_carry(m, g, m->at ? &g->carry[i] : &c);
}

static void deal_tile(struct arena *m, const struct vq_sizes *n, struct vq_tile_space *t)
{
    t->a = floats(m, VQ_TILE, n->single + n->S, 1);
    t->ds = floats(m, VQ_TILE, n->single + n->S, 1);
    t->content = floats(m, VQ_TILE, n->S, 1);
    t->position = floats(m, VQ_TILE, n->M + 1, 1);
    t->qu = floats(m, VQ_TILE, n->K, 1);
    t->qv = floats(m, VQ_TILE, n->K, 1);
    t->dqu = floats(m, VQ_TILE, n->K, 1);
    t->dqv = floats(m, VQ_TILE, n->K, 1);
    t->wide = floats(m, VQ_TILE, n->H, n->V);
    t->narrow = floats(m, VQ_TILE, n->D, 1);
    t->y = floats(m, VQ_TILE, n->V, 1);
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Sums of tasks: positions and biases per head and block, and gains per tile or VQ_ROWS rows. */
static size_t partial_floats(const struct vq_sizes *n)
{
    size_t blocks = times(times(n->rows, n->H), n->P);
    size_t gains = max_size(n->R / VQ_ROWS + 1, times(n->rows, n->tiles));
    return max_size(times(blocks, times(n->M + 3, n->K)), times(gains, 2 * n->D));
}

static void deal_square(struct arena *m, const struct vq_sizes *n, struct vq_square *s)
{
    s->a = floats(m, s->queries, s->keys, 1);
    s->ds = floats(m, s->queries, s->keys, 1);
    s->position = floats(m, s->queries, n->M + 1, 1);
    s->dposition = floats(m, s->queries, n->M + 1, 1);
    s->qu = floats(m, s->queries, n->K, 1);
    s->qv = floats(m, s->queries, n->K, 1);
    s->dqu = floats(m, s->queries, n->K, 1);
    s->dqv = floats(m, s->queries, n->K, 1);
    s->top = floats(m, s->queries, 1, 1);
    s->sum = floats(m, s->queries, 1, 1);
    s->dO = floats(m, n->R, n->H, n->V);
}

static void deal_packed(struct arena *m, struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = n->rows * n->H, heads, K, N;
    for (int side = 0; side < VQ_SIDES; side++) {
        vq_side_shape(n, side, &heads, &K, &N);
        g->side[side] = packed(m, heads, K, N);
    }
    g->values = packed(m, vq_quadratic(g) ? 0 : bh, n->F + n->U, n->V);
    g->values_back = packed(m, vq_quadratic(g) ? 0 : bh, n->V, n->F + n->U);
    g->means = packed(m, g->agg ? bh * n->P : 0, n->S, n->V);
    g->means_back = packed(m, g->agg ? bh * n->P : 0, n->V, n->S);
}

/* Left and right sides of the gradients of weights; while counting there is no table. */
static void deal_outer(struct arena *m, struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    const struct vq_matmul_mode *how = &g->product;
    size_t K = vq_run(n->rows, n->U), hk = n->H * n->K, rest = n->width - hk;
    size_t K_res = vq_run(n->rows * n->P, n->L), y_floats;
    size_t begin = m->used;
    float *h = floats(m, vq_packed_rows(K), vq_packed_left_cols(n->D), 1);
    float *q = packed(m, 1, K, hk), *kvg = packed(m, 1, K, rest);
    float *y = floats(m, n->H, vq_packed_rows(K_res), vq_packed_left_cols(n->V));
    float *dx = packed(m, 1, K_res, n->D);
    size_t end = m->used;
    g->outer = deal(m, sizeof(*g->outer), n->H + 2, 1, 1);
    if (!m->at)
        return;
    memset(h, 0, end - begin); /* what lies between runs stays 0 */
    const struct vq_packed_left left = vq_packed_left_at(how, K, n->D, h);
    g->outer[0] = (struct vq_outer){left, vq_packed_at(how, K, hk, q), NULL, hk};
    g->outer[1] = (struct vq_outer){left, vq_packed_at(how, K, rest, kvg), NULL, rest};
    y_floats = vq_packed_rows(K_res) * vq_packed_left_cols(n->V);
    for (size_t i = 0; i < n->H; i++)
        g->outer[2 + i] = (struct vq_outer){vq_packed_left_at(how, K_res, n->V, y + i * y_floats),
                                            vq_packed_at(how, K_res, n->D, dx), NULL, n->D};
}

static void deal_shared(struct arena *m, struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    size_t bh = n->rows * n->H;
    g->sinusoid = floats(m, n->M + 1, n->D, 1);
    g->dropped = floats(m, n->M + 1, n->D, 1);
    g->dropped_R = floats(m, n->M + 1, n->H, n->K);
    g->positions = floats(m, g->config.pe_abs ? n->U : 0, n->D, 1);
    g->x = floats(m, times(n->spans, n->modules + 1), n->R, n->D);
    g->h = floats(m, n->R, n->D, 1);
    g->dx = floats(m, n->R, n->D, 1);
    g->branch = floats(m, n->R, n->D, 1);
    g->dvalue = floats(m, bh, n->F + n->U, n->V);
    g->dkey = floats(m, bh, n->F + n->U, n->K);
    g->partial = floats(m, partial_floats(n), 1, 1);
    g->partial_sum = deal(m, sizeof(double), n->R, 1, 1);
    g->logits = floats(m, n->logit_rows, n->N, 1);
    g->mask = floats(m, n->R, 1, 1);
    g->factor = floats(m, n->rows, 1, 1);
    g->inputs = deal(m, sizeof(int32_t), n->R, 1, 1);
    g->targets = deal(m, sizeof(int32_t), n->R, 1, 1);
    g->metrics = deal(m, sizeof(struct vq_metrics), bh, n->P, 1);
}

/* The tables of structures, then what they point to. While counting there are no tables. */
static void deal_all(struct arena *m, struct vq_grad *g)
{
    const struct vq_sizes *n = &g->n;
    g->at.module = deal(m, sizeof(*g->at.module), n->modules, 1, 1);
    g->prepared = deal(m, sizeof(*g->prepared), n->modules, 1, 1);
    g->kept = deal(m, sizeof(*g->kept), n->kept, 1, 1);
    g->tile = deal(m, sizeof(*g->tile), n->threads, 1, 1);
    struct vq_prepared w;
    struct vq_tile_space t;
    for (size_t i = 0; i < n->modules; i++)
        deal_prepared(m, n, m->at ? &g->prepared[i] : &w);
    deal_all_kept(m, g);
    deal_spans(m, g);
    for (size_t i = 0; i < n->threads; i++)
        deal_tile(m, n, m->at ? &g->tile[i] : &t);
    deal_shared(m, g);
    deal_packed(m, g);
    deal_outer(m, g);
    if (vq_quadratic(g))
        deal_square(m, n, &g->square);
}

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

/* At most so many places does a tile have, which begins where a panel does. */
static size_t single_places(const struct vq_sizes *n)
{
    size_t before = n->M % VQ_PANEL || n->L % VQ_PANEL ? VQ_PANEL - 1 : 0;
    return ceil_div(before + n->M + n->L, VQ_PANEL) * VQ_PANEL;
}

/* Blocks that a sequence of U tokens fills. */
static void settle_square(struct vq_square *s, size_t U, const struct vq_grad_options *o)
{
    bool dense = o->attention == VQ_ATTENTION_DENSE;
    s->queries = o->queries ? o->queries : SQUARE_QUERIES;
    s->queries = s->queries < U ? s->queries : U;
    s->keys = o->keys ? o->keys : SQUARE_KEYS;
    s->keys = s->keys < U && !dense ? s->keys : U;
}

/* The longest span that is no longer than wished, of as many blocks as divide the update's; none is
 * shorter than the window, which is to come from one. Quadratic attention looks at all of it. */
static size_t span_of(const struct vq_sizes *n, const struct vq_grad_options *o)
{
    size_t blocks = n->T / n->L, most = (o->span ? o->span : SPAN_TOKENS) / n->L;
    if (o->attention != VQ_ATTENTION_CODES || most >= blocks)
        return n->T;
    while (most > 0 && blocks % most)
        most--;
    return most * n->L < n->M || !most ? n->T : most * n->L;
}

static void settle_sizes(struct vq_grad *g, const struct vq_config *c,
                         const struct vq_grad_options *o)
{
    struct vq_sizes *n = &g->n;
    n->B = o->batch;
    n->D = (size_t)c->d_model;
    n->H = (size_t)c->n_head;
    n->K = (size_t)c->d_k;
    n->V = (size_t)c->d_v;
    n->S = (size_t)c->n_code;
    n->M = (size_t)c->mem_len;
    n->N = (size_t)c->n_vocab;
    n->L = (size_t)c->block_len;
    n->T = (size_t)c->update_len;
    n->U = span_of(n, o);
    n->spans = n->T / n->U;
    n->P = n->U / n->L;
    n->F = ceil_div(n->M, VQ_PANEL) * VQ_PANEL;
    n->tiles = ceil_div(n->U, VQ_TILE);
    n->single = single_places(n);
    n->rows = o->rows ? o->rows : ceil_div(PASS_TOKENS, n->U);
    n->rows = n->rows < n->B ? n->rows : n->B;
    n->R = times(n->rows, n->U);
    n->width = 2 * n->H * (n->K + n->V);
    n->modules = vq_config_modules(c);
    n->kept = o->recompute ? 1 : times(n->spans, n->modules);
    n->threads = (size_t)vq_pool_threads(o->pool);
    n->logit_rows = max_size(LOGITS / n->N, VQ_ROWS);
    n->logit_rows = n->logit_rows < n->R ? n->logit_rows : n->R;
    g->config = *c;
    g->attention = o->attention;
    g->agg = c->agg_cache && !vq_quadratic(g);
    g->thru = c->grad_thru_cache;
    settle_square(&g->square, n->U, o);
}

uint64_t vq_grad_bytes(const struct vq_config *c, const struct vq_grad_options *options)
{
    struct vq_grad g = {0};
    struct arena m = {0};
    settle_sizes(&g, c, options);
    deal_all(&m, &g);
    return m.overflow ? 0 : m.used;
}

static size_t offset_of(const struct vq_params *p, int module, const char *leaf)
{
    char name[96];
    if (module < 0)
        snprintf(name, sizeof(name), "%s", leaf);
    else
        snprintf(name, sizeof(name), "transformer_layers_%d/scanned_attn%d/%s", module / 2,
                 module % 2 + 1, leaf);
    const struct vq_param *t = vq_params_find(p, name);
    return t ? t->offset : 0;
}

static void find_tensors(struct vq_grad *g)
{
    const struct vq_params *p = g->layout;
    g->at.out_ln_b = offset_of(p, -1, "out_ln/b");
    g->at.out_ln_g = offset_of(p, -1, "out_ln/g");
    g->at.out_b = offset_of(p, -1, g->config.e_tie ? "token_embedder/bias_out" : "out_proj/bias");
    g->at.out = offset_of(p, -1, g->config.e_tie ? "token_embedder/embs" : "out_proj/kernel");
    g->at.scale = offset_of(p, -1, "position_embedder/scale");
    g->at.embs = offset_of(p, -1, "token_embedder/embs");
    for (int i = 0; i < (int)g->n.modules; i++) {
        struct vq_module_at *m = &g->at.module[i];
        m->ln_b = offset_of(p, i, "input_ln/b");
        m->ln_g = offset_of(p, i, "input_ln/g");
        m->kvg = offset_of(p, i, "kvg_proj/kernel");
        m->q = offset_of(p, i, "q_proj/kernel");
        m->c_count = offset_of(p, i, "quantizer/c_count");
        m->c_sum = offset_of(p, i, "quantizer/c_sum");
        m->r = offset_of(p, i, "r_proj/kernel");
        m->res = offset_of(p, i, "res_proj/kernel");
        m->u = offset_of(p, i, "u");
        m->v = offset_of(p, i, "v");
    }
}

enum vq_status vq_workspace_new(struct vq_grad *g, const struct vq_config *c,
                                const struct vq_grad_options *o, struct vq_err *err)
{
    struct arena m = {0};
    settle_sizes(g, c, o);
    enum vq_status st = vq_params_new(&g->layout, c, err);
    if (st)
        return st;
    deal_all(&m, g);
    if (m.overflow)
        return vq_fail(err, VQ_ENOMEM, "the workspace of training is too large to be counted");
    g->frequencies = vq_sinusoid_frequencies(g->n.D, c->pe_lam);
    g->memory = vq_alloc_aligned(m.used);
    g->bytes = m.used;
    if (!g->memory || !g->frequencies)
        return vq_nomem(err, "the workspace of training", m.used, 1);
    m = (struct arena){.at = g->memory};
    deal_all(&m, g);
    find_tensors(g);
    for (size_t i = 0; i <= g->n.M; i++)
        vq_sinusoid(g->sinusoid + i * g->n.D, g->n.D, g->frequencies, (double)(g->n.M - i));
    return VQ_OK;
}

#define TOUCH ((size_t)1 << 20) /* bytes of one task */

static void touch_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct vq_grad *g = ud;
    volatile char *at = g->memory;
    size_t end = (task + 1) * TOUCH < g->bytes ? (task + 1) * TOUCH : g->bytes;
    for (size_t i = task * TOUCH; i < end; i += 4096)
        at[i] = at[i];
}

void vq_grad_touch(struct vq_grad *g)
{
    vq_pool_run(g->pool, ceil_div(g->bytes, TOUCH), touch_task, g);
}
