#include "core/bench/paper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/bench/random.h"
#include "core/model/quadratic.h"
#include "core/model/session.h"

#define MAX_REPEATS  31
#define PATIENCE     20.0 /* seconds: a cell that has taken them is not repeated again */
#define MOST_TOKENS  512  /* of generation, in a repeat */
#define LEAST_TOKENS 4

/* The two longest lengths at which a quadratic model was measured, 0: none. */
struct known {
    double n[2], seconds[2];
};

struct bench {
    const struct vq_settings *settings;
    const struct vq_paper_options *o;
    struct vq_paper *out;
    struct vq_params *layout;
    float *params, *grads;
    int32_t *tokens; /* as many as the longest length, and generation's */
    struct known known[2][VQ_PAPER_MODELS];
    struct vq_err *err;
};

/* What was measured of one cell. */
struct times {
    double seconds[MAX_REPEATS];
    double total;
    int n;
};

const char *vq_paper_work_name(enum vq_paper_work w)
{
    static const char *const names[] = {"forward", "forward+backward", "generation"};
    return (unsigned)w < VQ_PAPER_WORKS ? names[w] : "unknown";
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct times *t)
{
    qsort(t->seconds, (size_t)t->n, sizeof(*t->seconds), by_value);
    return (t->seconds[(t->n - 1) / 2] + t->seconds[t->n / 2]) / 2.0;
}

static void note_time(struct times *t, double seconds)
{
    t->seconds[t->n++] = seconds;
    t->total += seconds;
}

static bool wants_more(const struct times *t, int repeats)
{
    return t->n < repeats && t->total < PATIENCE;
}

double vq_paper_extrapolate(double balance, double n1, double seconds1, double n2, double seconds2,
                            double n)
{
    double b = -1.0, a = -1.0;
    if (n1 > 0.0) {
        b = (seconds2 / n2 - seconds1 / n1) / (n2 - n1);
        a = seconds2 / n2 - b * n2;
    }
    if (a < 0.0 || b < 0.0) {
        b = seconds2 / (n2 * (n2 + balance));
        a = b * balance;
    }
    return a * n + b * n * n;
}

/* Keys at which a query's products with them cost as much as what each token costs by itself. */
static double balance_of(const struct vq_config *c, enum vq_attention model)
{
    double D = (double)c->d_model, K = (double)c->d_k, V = (double)c->d_v, H = (double)c->n_head;
    double alone = 2.0 * D * H * (K + V) + D * H * V + H * K * (double)(c->mem_len + 1);
    double keys = alone / (H * (K + V));
    return model == VQ_ATTENTION_DENSE ? keys : 2.0 * keys;
}

/* What n tokens will take a quadratic model, in all; 0 while nothing is known. */
static double expected(const struct bench *b, size_t n, int w, int model)
{
    const struct known *k = &b->known[w][model];
    if (k->n[1] <= 0.0)
        return 0.0;
    return vq_paper_extrapolate(balance_of(&b->settings->v, (enum vq_attention)model), k->n[0],
                                k->seconds[0], k->n[1], k->seconds[1], (double)n);
}

static void learn(struct bench *b, size_t n, int w, int model, double seconds)
{
    struct known *k = &b->known[w][model];
    *k = (struct known){{k->n[1], (double)n}, {k->seconds[1], seconds}};
}

static void tell(const struct bench *b, enum vq_paper_work w, enum vq_attention model, size_t n)
{
    if (b->o->progress)
        b->o->progress(b->o->ud, w, model, n);
}

/* ---- forward and backward ---- */

static struct vq_config config_of(const struct bench *b, size_t length)
{
    struct vq_config c = b->settings->v;
    c.update_len = c.sequence_len = (int64_t)length;
    c.global_batch_size = 1;
    return c;
}

/* Updates, of the loss alone or with gradients, for as long as a sample lasts: *seconds of each. */
static enum vq_status update(const struct bench *b, struct vq_grad *g, struct vq_train_state *state,
                             size_t length, bool grads, double *seconds)
{
    struct vq_update_result r;
    const struct vq_update u = {.params = b->params,
                                .state = state,
                                .targets = b->tokens,
                                .stride = length,
                                .grads = grads ? b->grads : NULL,
                                .cancel = b->o->cancel};
    enum vq_status st = VQ_OK;
    double start = now();
    int n = 0;
    do {
        vq_train_state_reset(state);
        st = vq_grad_update(g, &u, &r, b->err);
        *seconds = (now() - start) / ++n;
    } while (!st && *seconds * n < b->o->sample);
    return st;
}

/* One run of a model at one length, of what t asks for (NULL: not that). */
static enum vq_status run_once(const struct bench *b, enum vq_attention model, size_t length,
                               struct times *forward, struct times *train)
{
    struct vq_config c = config_of(b, length);
    struct vq_grad_options o = {
        .gemm = b->o->gemm, .pool = b->o->pool, .batch = 1, .attention = model};
    struct vq_grad *g = NULL;
    struct vq_train_state *state = NULL;
    struct times *const of[] = {forward, train};
    o.recompute = vq_grad_bytes(&c, &o) > b->o->memory;
    b->out->recomputed = b->out->recomputed || o.recompute;
    enum vq_status st = vq_train_state_new(&state, &c, 1, b->err);
    if (!st)
        st = vq_grad_new(&g, &c, &o, b->err);
    if (!st)
        vq_grad_touch(g);
    for (int i = 0; !st && i < 2; i++) {
        double seconds;
        if (!of[i])
            continue;
        tell(b, i ? VQ_PAPER_TRAIN : VQ_PAPER_FORWARD, model, length);
        st = update(b, g, state, length, i == 1, &seconds);
        if (!st)
            note_time(of[i], seconds);
    }
    vq_grad_free(g);
    vq_train_state_free(state);
    return st;
}

/* The models take turns until each has its repeats, or has taken long enough. */
static enum vq_status measure_training(struct bench *b, size_t i)
{
    struct times t[2][VQ_PAPER_MODELS] = {0};
    bool skip[2][VQ_PAPER_MODELS];
    size_t length = b->o->lengths[i];
    enum vq_status st = VQ_OK;
    for (int w = 0; w < 2; w++)
        for (int m = 0; m < VQ_PAPER_MODELS; m++)
            skip[w][m] = m != VQ_ATTENTION_CODES && expected(b, length, w, m) > b->o->limit;
    for (int r = 0; !st && r < b->o->repeats; r++) {
        for (int m = 0; !st && m < VQ_PAPER_MODELS; m++) {
            struct times *use[2];
            for (int w = 0; w < 2; w++)
                use[w] = !skip[w][m] && wants_more(&t[w][m], b->o->repeats) ? &t[w][m] : NULL;
            if (use[0] || use[1])
                st = run_once(b, (enum vq_attention)m, length, use[0], use[1]);
        }
    }
    for (int w = 0; !st && w < 2; w++) {
        for (int m = 0; m < VQ_PAPER_MODELS; m++) {
            double all = skip[w][m] ? expected(b, length, w, m) : median(&t[w][m]);
            b->out->at[i][w][m] = (struct vq_paper_cell){all / (double)length, t[w][m].n};
            if (!skip[w][m])
                learn(b, length, w, m, all);
        }
    }
    return st;
}

/* ---- before the first length ---- */

/* The shortest length at which to try, and the next: 1/64, 1/16 and 1/4 of the first one asked
 * for, in whole blocks. */
static size_t trial(const struct bench *b, size_t part)
{
    size_t L = (size_t)b->settings->v.block_len, n = b->o->lengths[0] / part;
    return n < L ? L : n / L * L;
}

/* One run of a quadratic model at n tokens of what is not known well enough: of anything at first,
 * then of what will take too long at the first length. */
static enum vq_status try_length(struct bench *b, int m, size_t n)
{
    struct times t[2] = {{.n = 0}, {.n = 0}}, *use[2];
    for (int w = 0; w < 2; w++) {
        bool known = b->known[w][m].n[1] > 0.0;
        bool wanted = !known || expected(b, b->o->lengths[0], w, m) > b->o->limit;
        use[w] = wanted && expected(b, n, w, m) <= b->o->limit ? &t[w] : NULL;
    }
    enum vq_status st =
        use[0] || use[1] ? run_once(b, (enum vq_attention)m, n, use[0], use[1]) : VQ_OK;
    for (int w = 0; !st && w < 2; w++)
        if (use[w])
            learn(b, n, w, m, t[w].seconds[0]);
    return st;
}

/* The first run finds code, tables and threads cold, and does not count. */
static enum vq_status warm_up(struct bench *b)
{
    enum vq_status st = VQ_OK;
    size_t last = 0;
    for (int m = 0; !st && m < VQ_PAPER_MODELS; m++) {
        struct times forward = {.n = 0}, train = {.n = 0};
        st = run_once(b, (enum vq_attention)m, trial(b, 64), &forward, &train);
    }
    for (size_t part = 64; part > 1; part /= 4) {
        size_t n = trial(b, part);
        for (int m = VQ_ATTENTION_DENSE; !st && m < VQ_PAPER_MODELS; m++)
            if (n > last && n < b->o->lengths[0])
                st = try_length(b, m, n);
        last = n;
    }
    return st;
}

/* ---- generation ---- */

struct generators {
    struct vq_model *model;
    struct vq_engine *engine;
    struct vq_session *session;
    struct vq_quadratic *quadratic;
};

static enum vq_status make_generators(const struct bench *b, struct generators *g)
{
    const struct vq_engine_options o = {
        .weights = VQ_WEIGHT_F32, .gemm = b->o->gemm, .pool = b->o->pool, .cancel = b->o->cancel};
    size_t longest = b->o->lengths[b->o->n_length - 1];
    enum vq_status st = vq_random_model(&g->model, b->settings, b->err);
    if (!st)
        st = vq_engine_new(&g->engine, g->model, &o, b->err);
    if (!st)
        st = vq_session_new(&g->session, g->engine, 1, b->err);
    if (!st)
        st = vq_quadratic_new(&g->quadratic, g->engine, longest + MOST_TOKENS, b->err);
    return st;
}

static void free_generators(struct generators *g)
{
    vq_quadratic_free(g->quadratic);
    vq_session_free(g->session);
    vq_engine_free(g->engine);
    vq_model_free(g->model);
}

/* Seconds of each of n tokens after a past of `length`. */
static enum vq_status generate(const struct bench *b, struct generators *g, enum vq_attention model,
                               size_t length, size_t n, double *seconds)
{
    enum vq_status st =
        vq_cancelled(b->o->cancel) ? vq_fail(b->err, VQ_ECANCELLED, "cancelled") : VQ_OK;
    if (model != VQ_ATTENTION_CODES)
        vq_quadratic_pretend(g->quadratic, length);
    double start = now();
    for (size_t i = 0; !st && i < n; i++) {
        if (model == VQ_ATTENTION_CODES)
            st = vq_session_feed(g->session, &b->tokens[i], 1, 1, NULL, b->err);
        else
            st = vq_quadratic_feed(g->quadratic, b->tokens[i], b->err);
    }
    *seconds = (now() - start) / (double)n;
    return st;
}

/* Brings the session to a past of `length`. */
static enum vq_status move_on(const struct bench *b, struct generators *g, size_t length)
{
    const struct vq_feed_options o = {.cancel = b->o->cancel, .no_logits = 1};
    size_t at = (size_t)vq_session_position(g->session);
    if (at >= length)
        return VQ_OK;
    tell(b, VQ_PAPER_GENERATE, VQ_ATTENTION_CODES, length);
    return vq_session_feed(g->session, b->tokens, length - at, length - at, &o, b->err);
}

static enum vq_status measure_generation(const struct bench *b, struct generators *g, size_t i)
{
    static const enum vq_attention models[] = {VQ_ATTENTION_CODES, VQ_ATTENTION_BLOCKED};
    struct times t[2] = {0};
    size_t length = b->o->lengths[i], n[2];
    double seconds;
    enum vq_status st = move_on(b, g, length);
    for (int m = 0; !st && m < 2; m++) {
        st = generate(b, g, models[m], length, LEAST_TOKENS, &seconds);
        double want = b->o->sample / seconds;
        n[m] = want > MOST_TOKENS ? MOST_TOKENS : want < LEAST_TOKENS ? LEAST_TOKENS : (size_t)want;
    }
    for (int r = 0; !st && r < b->o->repeats; r++) {
        for (int m = 0; !st && m < 2; m++) {
            tell(b, VQ_PAPER_GENERATE, models[m], length);
            st = generate(b, g, models[m], length, n[m], &seconds);
            note_time(&t[m], seconds);
        }
    }
    if (st)
        return st;
    struct vq_paper_cell *c = b->out->at[i][VQ_PAPER_GENERATE];
    c[VQ_ATTENTION_CODES] = (struct vq_paper_cell){median(&t[0]), t[0].n};
    c[VQ_ATTENTION_DENSE] = (struct vq_paper_cell){median(&t[1]), t[1].n};
    c[VQ_ATTENTION_BLOCKED] = c[VQ_ATTENTION_DENSE];
    return VQ_OK;
}

/* ---- all of it ---- */

static enum vq_status check(const struct vq_settings *s, const struct vq_paper_options *o,
                            struct vq_err *err)
{
    size_t L = (size_t)s->v.block_len, before = 0;
    enum vq_status st = vq_config_check(&s->v, err);
    if (st)
        return st;
    if (o->repeats < 1 || o->repeats > MAX_REPEATS)
        return vq_fail(err, VQ_EINVAL, "repeats: expected 1 to %d, found %d", MAX_REPEATS,
                       o->repeats);
    if (!o->n_length)
        return vq_fail(err, VQ_EINVAL, "lengths: expected at least one");
    for (size_t i = 0; i < o->n_length; i++) {
        size_t n = o->lengths[i];
        if (n % L || n <= before || n > (size_t)1 << 26)
            return vq_fail(err, VQ_EINVAL,
                           "lengths: expected rising multiples of block_len (%zu) up to %zu, found "
                           "%zu",
                           L, (size_t)1 << 26, n);
        before = n;
    }
    return VQ_OK;
}

static enum vq_status prepare(struct bench *b)
{
    const struct vq_config *c = &b->settings->v;
    size_t longest = b->o->lengths[b->o->n_length - 1];
    size_t n = longest > MOST_TOKENS ? longest : MOST_TOKENS;
    struct vq_rng r;
    enum vq_status st = vq_params_new(&b->layout, c, b->err);
    if (st)
        return st;
    b->params = vq_params_block(b->layout);
    b->grads = vq_params_block(b->layout);
    b->tokens = vq_alloc(n, sizeof(*b->tokens));
    b->out->at = vq_calloc(b->o->n_length, sizeof(*b->out->at));
    if (!b->params || !b->grads || !b->tokens || !b->out->at)
        return vq_nomem(b->err, "parameters", b->layout->floats, 2 * sizeof(float));
    b->out->n_length = b->o->n_length;
    vq_params_init(b->layout, b->params, 1);
    vq_rng_init(&r, 1, 0);
    for (size_t i = 0; i < n; i++)
        b->tokens[i] = (int32_t)vq_rng_below(&r, (uint64_t)c->n_vocab);
    return VQ_OK;
}

enum vq_status vq_paper_run(struct vq_paper *out, const struct vq_settings *s,
                            const struct vq_paper_options *o, struct vq_err *err)
{
    struct bench b = {.settings = s, .o = o, .out = out, .err = err};
    struct generators g = {.model = NULL};
    *out = (struct vq_paper){0};
    enum vq_status st = check(s, o, err);
    if (!st)
        st = prepare(&b);
    if (!st)
        st = warm_up(&b);
    for (size_t i = 0; !st && i < o->n_length; i++)
        st = measure_training(&b, i);
    if (!st)
        st = make_generators(&b, &g);
    for (size_t i = 0; !st && i < o->n_length; i++)
        st = measure_generation(&b, &g, i);
    free_generators(&g);
    vq_params_free(b.layout);
    free(b.params);
    free(b.grads);
    free(b.tokens);
    return st;
}

void vq_paper_release(struct vq_paper *p)
{
    free(p->at);
    *p = (struct vq_paper){0};
}
