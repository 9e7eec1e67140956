#include "repl/codebook_views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/codebook.h"
#include "core/inspect/dead.h"
#include "core/inspect/drift.h"
#include "core/inspect/pca.h"
#include "core/inspect/usage.h"
#include "repl/array.h"
#include "repl/out.h"
#include "repl/tokens.h"

enum vq_status sh_codebook_counts(const struct sh_codebook_view *v, struct sh_mod at,
                                  struct sh_codebook *c, double *count, struct vq_err *err)
{
    enum vq_status status = sh_codebook_read(v->m, at.module, c, err);
    if (status != VQ_OK)
        return status;
    if (v->trace)
        vq_trace_counts_f64(v->trace, at.module, at.head, count);
    else
        for (size_t s = 0; s < v->S; s++)
            count[s] = c->count[(size_t)at.head * v->S + s];
    return VQ_OK;
}

static void put_place(struct sh *sh, struct sh_mod at)
{
    char name[32];
    sh_row(sh);
    sh_str(sh, "module", sh_module_name(at.module, -1, name));
    sh_int(sh, "head", at.head);
}

static void put_f64(struct sh *sh, const char *key, double x)
{
    if (isfinite(x))
        sh_f64(sh, key, x);
    else
        sh_null(sh, key);
}

/* Room for n doubles of every module-head. */
static double *doubles(const struct sh_codebook_view *v, size_t n, struct vq_err *err)
{
    size_t cells;
    double *x = vq_mul_ok(v->heads->n, n, &cells) ? vq_calloc(cells, sizeof(*x)) : NULL;
    if (!x)
        vq_nomem(err, "numbers of all codes", v->heads->n, n * sizeof(*x));
    return x;
}

static enum vq_status poll(const struct sh_codebook_view *v, struct vq_err *err)
{
    return vq_cancelled(sh_cancel(v->sh)) ? vq_fail(err, VQ_ECANCELLED, "interrupted") : VQ_OK;
}

static const char *out_path(const struct sh_codebook_view *v)
{
    return sh_opt_text(v->a, "out");
}

/* ---- how use is shared out ---- */

/* Codes, from the most used down, that carry a part of all use. */
static size_t codes_for(const double *share, size_t S, double part)
{
    size_t n = 0;
    while (n < S && 1.0 - share[S - n] < part)
        n++;
    return n;
}

static enum sh_rc list_lorenz(const struct sh_codebook_view *v, const double *share)
{
    struct sh *sh = v->sh;
    size_t S = v->S, tenth = (S + 9) / 10;
    sh_list(sh, "module head codes gini top_share top_tenth_share codes_for_half");
    for (size_t i = 0; i < v->heads->n; i++) {
        const double *curve = share + i * (S + 1);
        put_place(sh, v->heads->v[i]);
        sh_uint(sh, "codes", S);
        sh_f64(sh, "gini", vq_gini(curve, S));
        sh_f64(sh, "top_share", 1.0 - curve[S - 1]);
        sh_f64(sh, "top_tenth_share", 1.0 - curve[S - tenth]);
        sh_uint(sh, "codes_for_half", codes_for(curve, S, 0.5));
    }
    return sh_end(sh);
}

enum sh_rc sh_codebook_lorenz(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct sh_codebook c = {0};
    size_t n = v->S + 1;
    double *share = doubles(v, n, &err), *count = share ? doubles(v, v->S, &err) : NULL;
    enum vq_status status = count ? VQ_OK : err.code;
    for (size_t i = 0; status == VQ_OK && i < v->heads->n; i++) {
        status = sh_codebook_counts(v, v->heads->v[i], &c, count, &err);
        if (status == VQ_OK)
            status = vq_lorenz(share + i * n, count, v->S, &err);
    }
    const size_t shape[] = {v->heads->n, n};
    enum sh_rc rc = status != VQ_OK ? sh_fail(v->sh, &err)
                    : out_path(v) ? sh_array_write(v->sh, out_path(v), VQ_NPY_F64, 2, shape, share)
                                  : list_lorenz(v, share);
    sh_codebook_release(&c);
    free(share);
    free(count);
    return rc;
}

/* ---- codes on two axes ---- */

static enum sh_rc list_map(const struct sh_codebook_view *v, const double *xy, const double *count,
                           const struct vq_map *maps)
{
    struct sh *sh = v->sh;
    sh_list(sh, "module head code x y count explained_x explained_y");
    sh_columns_hidden(sh, "explained_x explained_y");
    for (size_t i = 0; i < v->heads->n * v->S; i++) {
        const struct vq_map *map = &maps[i / v->S];
        put_place(sh, v->heads->v[i / v->S]);
        sh_uint(sh, "code", i % v->S);
        sh_f64(sh, "x", xy[2 * i]);
        sh_f64(sh, "y", xy[2 * i + 1]);
        sh_f64(sh, "count", count[i]);
        sh_f64(sh, "explained_x", map->explained[0]);
        sh_f64(sh, "explained_y", map->explained[1]);
    }
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK && v->heads->n == 1)
        sh_note(sh, "x carries %.3g of the variance of the codes in use, y %.3g",
                maps[0].explained[0], maps[0].explained[1]);
    return rc;
}

/* Directions are those of codes in use: dead ones lie where they were left. */
static enum vq_status map_head(const struct sh_codebook_view *v, size_t i, struct sh_codebook *c,
                               bool *fit, double *xy, double *count, struct vq_map *map,
                               struct vq_err *err)
{
    struct sh_mod at = v->heads->v[i];
    size_t S = v->S;
    enum vq_status status = sh_codebook_counts(v, at, c, count, err);
    if (status != VQ_OK)
        return status;
    for (size_t s = 0; s < S; s++)
        fit[s] = c->count[(size_t)at.head * S + s] > (float)VQ_COUNT_CLIP;
    return vq_map_codes(xy, map, c->C + (size_t)at.head * S * c->K, S, c->K, fit, sh_cancel(v->sh),
                        err);
}

enum sh_rc sh_codebook_map(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct sh_codebook c = {0};
    size_t n = v->heads->n, S = v->S;
    struct vq_map *maps = vq_calloc(n, sizeof(*maps));
    bool *fit = vq_calloc(S, sizeof(*fit));
    double *xy = doubles(v, 2 * S, &err), *count = doubles(v, S, &err);
    enum vq_status status =
        maps && fit && xy && count ? VQ_OK : vq_nomem(&err, "maps", n, sizeof(*maps));
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        sh_progress(v->sh, "map %zu of %zu", i + 1, n);
        status = map_head(v, i, &c, fit, xy + 2 * i * S, count + i * S, &maps[i], &err);
    }
    sh_progress_clear(v->sh);
    const size_t shape[] = {n, S, 2};
    enum sh_rc rc = status != VQ_OK ? sh_fail(v->sh, &err)
                    : out_path(v)   ? sh_array_write(v->sh, out_path(v), VQ_NPY_F64, 3, shape, xy)
                                    : list_map(v, xy, count, maps);
    sh_codebook_release(&c);
    free(maps);
    free(fit);
    free(xy);
    free(count);
    return rc;
}

/* ---- likeness ---- */

/* The code most like one, by a row of cosines. */
static size_t most_alike(const float *sim, size_t S, size_t code)
{
    size_t best = S;
    for (size_t s = 0; s < S; s++)
        if (s != code && (best == S || sim[s] > sim[best]))
            best = s;
    return best;
}

static void list_order(const struct sh_codebook_view *v, struct sh_mod at, const float *sim,
                       const size_t *order)
{
    struct sh *sh = v->sh;
    for (size_t rank = 0; rank < v->S; rank++) {
        size_t code = order[rank], best = most_alike(sim + code * v->S, v->S, code);
        put_place(sh, at);
        sh_uint(sh, "rank", rank);
        sh_uint(sh, "code", code);
        if (rank > 0)
            sh_f32(sh, "sim_to_previous", sim[code * v->S + order[rank - 1]]);
        if (best == v->S)
            continue;
        sh_uint(sh, "nearest", best);
        sh_f32(sh, "nearest_sim", sim[code * v->S + best]);
    }
}

enum sh_rc sh_codebook_similarity(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct sh_codebook c = {0};
    size_t n = v->heads->n, S = v->S, cells;
    const size_t shape[] = {n, S, S};
    bool fits = vq_mul_ok(n, S, &cells) && vq_mul_ok(cells, S, &cells);
    float *sim = fits ? vq_alloc(cells, sizeof(*sim)) : NULL;
    size_t *order = vq_alloc(S, sizeof(*order));
    enum vq_status status =
        sim && order ? VQ_OK : vq_nomem(&err, "similarities", n * S, S * sizeof(*sim));
    if (status == VQ_OK && !out_path(v))
        sh_list(v->sh, "module head rank code sim_to_previous nearest nearest_sim");
    for (size_t i = 0; status == VQ_OK && i < n; i++) {
        struct sh_mod at = v->heads->v[i];
        const struct vq_cancel *cancel = sh_cancel(v->sh);
        if ((status = sh_codebook_read(v->m, at.module, &c, &err)) != VQ_OK)
            break;
        const float *C = c.C + (size_t)at.head * S * c.K;
        status = vq_codebook_matrix(sim + i * S * S, VQ_BY_COSINE, C, S, c.K, cancel, &err);
        if (status == VQ_OK && !out_path(v))
            status = vq_codebook_order(order, VQ_BY_COSINE, C, S, c.K, cancel, &err);
        if (status == VQ_OK && !out_path(v))
            list_order(v, at, sim + i * S * S, order);
    }
    enum sh_rc rc = status != VQ_OK ? sh_fail(v->sh, &err)
                    : out_path(v)   ? sh_array_write(v->sh, out_path(v), VQ_NPY_F32, 3, shape, sim)
                                    : sh_end(v->sh);
    sh_codebook_release(&c);
    free(sim);
    free(order);
    return rc;
}

/* ---- dead codes ---- */

struct dead_list {
    struct vq_dead_code *v;
    double *count, *norm; /* [n] */
    struct vq_code_pair *nearest;
    size_t n;
};

static void release_dead(struct dead_list *d)
{
    free(d->v);
    free(d->count);
    free(d->norm);
    free(d->nearest);
}

/* The nearest code in use; b = SIZE_MAX when there is none. */
static struct vq_code_pair nearest_used(const float *C, const double *count, size_t code, size_t S,
                                        size_t K, double dead)
{
    struct vq_code_pair best = {code, SIZE_MAX, INFINITY, 0.0};
    for (size_t s = 0; s < S; s++) {
        double d2 = 0.0;
        if (s == code || count[s] <= dead)
            continue;
        for (size_t k = 0; k < K; k++)
            d2 += pow((double)C[s * K + k] - C[code * K + k], 2.0);
        if (sqrt(d2) < best.dist)
            best = (struct vq_code_pair){code, s, sqrt(d2), 0.0};
    }
    return best;
}

static void collect_head(const struct sh_codebook_view *v, struct sh_mod at,
                         const struct sh_codebook *c, const double *count, struct dead_list *d)
{
    const float *C = c->C + (size_t)at.head * v->S * c->K;
    double dead = v->trace ? 0.0 : VQ_COUNT_CLIP;
    for (size_t s = 0; s < v->S; s++) {
        if (count[s] > dead)
            continue;
        d->v[d->n] = (struct vq_dead_code){.module = at.module, .head = at.head, .code = s};
        d->count[d->n] = c->count[(size_t)at.head * v->S + s];
        vq_codebook_norms(&d->norm[d->n], C + s * c->K, 1, c->K);
        d->nearest[d->n++] = nearest_used(C, count, s, v->S, c->K, dead);
    }
}

static enum vq_status collect_dead(const struct sh_codebook_view *v, struct dead_list *d,
                                   struct vq_err *err)
{
    struct sh_codebook c = {0};
    size_t most = v->heads->n * v->S;
    double *count = vq_alloc(v->S, sizeof(*count));
    d->v = vq_calloc(most, sizeof(*d->v));
    d->count = vq_calloc(most, sizeof(*d->count));
    d->norm = vq_calloc(most, sizeof(*d->norm));
    d->nearest = vq_calloc(most, sizeof(*d->nearest));
    enum vq_status status = count && d->v && d->count && d->norm && d->nearest
                                ? VQ_OK
                                : vq_nomem(err, "dead codes", most, sizeof(*d->v));
    for (size_t i = 0; status == VQ_OK && i < v->heads->n; i++) {
        status = poll(v, err);
        if (status == VQ_OK)
            status = sh_codebook_counts(v, v->heads->v[i], &c, count, err);
        if (status == VQ_OK)
            collect_head(v, v->heads->v[i], &c, count, d);
    }
    sh_codebook_release(&c);
    free(count);
    return status;
}

static enum sh_rc list_dead(const struct sh_codebook_view *v, const struct dead_list *d)
{
    struct sh *sh = v->sh;
    char piece[64];
    sh_list(sh, "module head code c_count norm nearest nearest_dist gap fell_on token position");
    for (size_t i = 0; i < d->n; i++) {
        const struct vq_dead_code *c = &d->v[i];
        put_place(sh, (struct sh_mod){c->module, c->head});
        sh_uint(sh, "code", c->code);
        sh_f64(sh, "c_count", d->count[i]);
        sh_f64(sh, "norm", d->norm[i]);
        if (d->nearest[i].b != SIZE_MAX) {
            sh_uint(sh, "nearest", d->nearest[i].b);
            sh_f64(sh, "nearest_dist", d->nearest[i].dist);
        }
        if (c->position < 0)
            continue;
        put_f64(sh, "gap", c->gap);
        sh_int(sh, "fell_on", c->fell_on);
        sh_str(sh, "token",
               vq_vocab_piece(vq_model_vocab(v->m->model), c->token, piece, sizeof(piece)));
        sh_int(sh, "position", c->position);
    }
    return sh_end(sh);
}

/* What the keys of a run say about the dead codes: of --over, else of the session; without either
 * the codebook alone speaks. */
static enum sh_rc ask_keys(const struct sh_codebook_view *v, struct dead_list *d, bool *asked)
{
    struct vq_err err = {0};
    struct sh_tokens t;
    struct vq_dead *watch = NULL;
    enum vq_status status = VQ_OK;
    *asked = sh_opt_given(v->a, "over") || sh_opt_flag(v->a, "seen");
    if (!*asked || d->n == 0) {
        for (size_t i = 0; i < d->n; i++)
            d->v[i].position = -1;
        return SH_OK;
    }
    if (sh_opt_given(v->a, "over"))
        status = sh_tokens_over(v->sh, v->m, sh_opt_text(v->a, "over"), &t, &err);
    else if (sh_tokens_session(v->sh, v->m, &t) != SH_OK)
        return SH_ERR;
    if (status != VQ_OK)
        return sh_fail(v->sh, &err);
    status = vq_dead_new(&watch, v->m->model, d->v, d->n, &err);
    if (status == VQ_OK)
        status = sh_tokens_run(v->sh, v->m, &t, vq_dead_observer(watch), &err);
    vq_dead_free(watch);
    sh_tokens_release(&t);
    return status == VQ_OK ? SH_OK : sh_fail(v->sh, &err);
}

enum sh_rc sh_codebook_dead(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct dead_list d = {0};
    bool asked = false;
    enum sh_rc rc = collect_dead(v, &d, &err) == VQ_OK ? SH_OK : sh_fail(v->sh, &err);
    if (rc == SH_OK)
        rc = ask_keys(v, &d, &asked);
    if (rc == SH_OK)
        rc = list_dead(v, &d);
    if (rc == SH_OK && d.n > 0 && !asked)
        sh_note(v->sh, "--over FILE or --seen tells how near keys come to them");
    release_dead(&d);
    return rc;
}

/* ---- drift ---- */

static bool same_books(const struct vq_config *a, const struct vq_config *b)
{
    return a->n_layer == b->n_layer && a->n_head == b->n_head && a->n_code == b->n_code &&
           a->d_k == b->d_k;
}

enum vq_status sh_codebook_other(const struct sh *sh, const struct sh_model *m, const char *text,
                                 const struct vq_model **out, struct vq_model **owned,
                                 struct vq_err *err)
{
    const struct sh_model *loaded = sh_model_find(sh, text);
    const struct vq_model_options none = {0};
    *owned = NULL;
    if (!loaded && vq_model_open(owned, text, &none, err) != VQ_OK)
        return err->code;
    *out = loaded ? loaded->model : *owned;
    const struct vq_config *a = vq_model_config(*out), *b = vq_model_config(m->model);
    if (same_books(a, b))
        return VQ_OK;
    vq_fail(
        err, VQ_ESHAPE,
        "%s has %lld layers, %lld heads, %lld codes of width %lld; %s has %lld, %lld, %lld, %lld",
        text, (long long)a->n_layer, (long long)a->n_head, (long long)a->n_code, (long long)a->d_k,
        m->name, (long long)b->n_layer, (long long)b->n_head, (long long)b->n_code,
        (long long)b->d_k);
    vq_model_free(*owned); /* a belongs to it */
    *owned = NULL;
    return VQ_ESHAPE;
}

struct drifting {
    const struct sh_codebook_view *v;
    const struct vq_model *other;
    struct sh_codebook now;
    float *C, *count;            /* [H, S, K], [H, S] of the other */
    struct vq_drift *sum;        /* [heads] */
    struct vq_code_drift *codes; /* [heads, S] */
};

static enum vq_status reserve_drift(struct drifting *d, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(d->v->m->model);
    size_t H = (size_t)c->n_head, S = d->v->S, n = d->v->heads->n;
    d->C = vq_alloc_f32(H * S * (size_t)c->d_k);
    d->count = vq_alloc_f32(H * S);
    d->sum = vq_calloc(n, sizeof(*d->sum));
    d->codes = vq_calloc(n * S, sizeof(*d->codes));
    return d->C && d->count && d->sum && d->codes
               ? VQ_OK
               : vq_nomem(err, "two codebooks", n * S, sizeof(*d->codes));
}

static enum vq_status compute_drift(struct drifting *d, struct vq_err *err)
{
    const struct sh_heads *heads = d->v->heads;
    size_t S = d->v->S;
    enum vq_status status = reserve_drift(d, err);
    for (size_t i = 0; status == VQ_OK && i < heads->n; i++) {
        struct sh_mod at = heads->v[i];
        if ((status = poll(d->v, err)) != VQ_OK ||
            (status = sh_codebook_read(d->v->m, at.module, &d->now, err)) != VQ_OK ||
            (status = vq_model_codebook(d->other, at.module, d->C, err)) != VQ_OK ||
            (status = vq_model_read(d->other, at.module, "quantizer/c_count", d->count, err)) !=
                VQ_OK)
            break;
        size_t row = (size_t)at.head * S, K = d->now.K;
        vq_drift_codes(&d->sum[i], d->codes + i * S, d->C + row * K, d->count + row,
                       d->now.C + row * K, d->now.count + row, S, K);
    }
    return status;
}

static enum sh_rc list_drift(const struct drifting *d)
{
    struct sh *sh = d->v->sh;
    sh_list(sh, "module head codes alive dead died born moved_mean moved_max moved_relative "
                "sim_mean usage_distance");
    for (size_t i = 0; i < d->v->heads->n; i++) {
        const struct vq_drift *r = &d->sum[i];
        put_place(sh, d->v->heads->v[i]);
        sh_uint(sh, "codes", r->codes);
        sh_uint(sh, "alive", r->alive);
        sh_uint(sh, "dead", r->dead);
        sh_uint(sh, "died", r->died);
        sh_uint(sh, "born", r->born);
        put_f64(sh, "moved_mean", r->moved.mean);
        put_f64(sh, "moved_max", r->moved.max);
        put_f64(sh, "moved_relative", r->moved_relative);
        put_f64(sh, "sim_mean", r->sim_mean);
        sh_f64(sh, "usage_distance", r->usage_distance);
    }
    return sh_end(sh);
}

static enum sh_rc list_code_drift(const struct drifting *d)
{
    struct sh *sh = d->v->sh;
    size_t S = d->v->S;
    sh_list(sh, "module head code fate moved sim count_before count_after");
    for (size_t i = 0; i < d->v->heads->n * S; i++) {
        const struct vq_code_drift *c = &d->codes[i];
        put_place(sh, d->v->heads->v[i / S]);
        sh_uint(sh, "code", i % S);
        sh_str(sh, "fate", vq_code_fate_name(c->fate));
        sh_f64(sh, "moved", c->moved);
        sh_f64(sh, "sim", c->sim);
        sh_f64(sh, "count_before", c->count_a);
        sh_f64(sh, "count_after", c->count_b);
    }
    return sh_end(sh);
}

/* Distances moved, [module-heads, S]. */
static enum sh_rc write_drift(const struct drifting *d)
{
    struct vq_err err = {0};
    const size_t shape[] = {d->v->heads->n, d->v->S};
    double *moved = doubles(d->v, d->v->S, &err);
    if (!moved)
        return sh_fail(d->v->sh, &err);
    for (size_t i = 0; i < shape[0] * shape[1]; i++)
        moved[i] = d->codes[i].moved;
    enum sh_rc rc = sh_array_write(d->v->sh, out_path(d->v), VQ_NPY_F64, 2, shape, moved);
    free(moved);
    return rc;
}

enum sh_rc sh_codebook_drift(const struct sh_codebook_view *v)
{
    struct vq_err err = {0};
    struct vq_model *owned = NULL;
    struct drifting d = {.v = v};
    enum vq_status status =
        sh_codebook_other(v->sh, v->m, sh_opt_text(v->a, "against"), &d.other, &owned, &err);
    if (status == VQ_OK)
        status = compute_drift(&d, &err);
    enum sh_rc rc = status != VQ_OK              ? sh_fail(v->sh, &err)
                    : out_path(v)                ? write_drift(&d)
                    : sh_opt_flag(v->a, "codes") ? list_code_drift(&d)
                                                 : list_drift(&d);
    sh_codebook_release(&d.now);
    free(d.C);
    free(d.count);
    free(d.sum);
    free(d.codes);
    vq_model_free(owned);
    return rc;
}
