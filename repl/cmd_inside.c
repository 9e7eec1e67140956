/*
 * Commands that read the residual stream out: lens (what the model would say after each module) and
 * attribute (what each module adds to a token's logit).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/surprise.h"
#include "core/model/readout.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/probing.h"
#include "repl/query.h"

static const char *piece_of(const struct sh_probing *p, int32_t id, char *buf, size_t len)
{
    return vq_vocab_piece(vq_model_vocab(p->m->model), id, buf, len);
}

/* ---- lens ---- */

/* The token whose probability is followed: --token, else the one that came next, else the one that
 * the model finds likeliest in the end. -1 after saying what is wrong with --token. */
static int32_t pick_target(const struct sh_probing *p, const struct sh_args *a, const float *last)
{
    size_t best;
    if (sh_opt_given(a, "token"))
        return sh_token_id(p->sh, vq_model_vocab(p->m->model), sh_opt_text(a, "token"),
                           sh_opt_word(a, "token"));
    if (sh_probe_next(p, p->from) >= 0)
        return sh_probe_next(p, p->from);
    vq_largest(&best, 1, last, p->N);
    return (int32_t)best;
}

static enum sh_rc list_lens(const struct sh_probing *p, const float *lp, int32_t target)
{
    struct sh *sh = p->sh;
    const float *last = lp + (p->rows - 1) * p->N;
    char buf[32], piece[64];
    sh_list(sh, "after id token prob entropy target_prob target_rank kl_to_final");
    for (size_t i = 0; i < p->rows; i++) {
        const float *row = lp + i * p->N;
        struct vq_surprise s = vq_surprise_of(row, p->N, target);
        sh_row(sh);
        sh_str(sh, "after", sh_probe_row(i, buf));
        sh_int(sh, "id", s.best);
        sh_str(sh, "token", piece_of(p, s.best, piece, sizeof(piece)));
        sh_f32(sh, "prob", expf(row[s.best]));
        sh_f64(sh, "entropy", s.entropy);
        sh_f64(sh, "target_prob", exp(-s.nats));
        sh_uint(sh, "target_rank", s.rank);
        sh_f64(sh, "kl_to_final", vq_divergence(last, row, p->N));
    }
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK)
        sh_note(sh,
                "after position %lld; the target is %s; each row puts the stream so far through "
                "the model's own head%s",
                (long long)p->from, piece_of(p, target, piece, sizeof(piece)),
                vq_model_config(p->m->model)->e_preln ? " (out_ln, output matrix)" : "");
    return rc;
}

/* The k likeliest tokens of each row. */
static enum sh_rc list_top(const struct sh_probing *p, const float *lp, size_t k)
{
    struct sh *sh = p->sh;
    char buf[32], piece[64];
    size_t *best = vq_alloc(k, sizeof(*best));
    if (!best)
        return sh_failf(sh, "out of memory");
    sh_list(sh, "after rank id token prob logprob");
    for (size_t i = 0; i < p->rows; i++) {
        const float *row = lp + i * p->N;
        vq_largest(best, k, row, p->N);
        for (size_t j = 0; j < k; j++) {
            sh_row(sh);
            sh_str(sh, "after", sh_probe_row(i, buf));
            sh_uint(sh, "rank", j + 1);
            sh_uint(sh, "id", best[j]);
            sh_str(sh, "token", piece_of(p, (int32_t)best[j], piece, sizeof(piece)));
            sh_f32(sh, "prob", expf(row[best[j]]));
            sh_f32(sh, "logprob", row[best[j]]);
        }
    }
    free(best);
    return sh_end(sh);
}

static enum sh_rc lens(struct sh_probing *p, const struct sh_args *a, float *lp)
{
    struct vq_err err = {0};
    const size_t shape[] = {p->rows, p->N};
    size_t k = (size_t)sh_opt_int(a, "k");
    if (sh_probe_lens(p, p->from, lp, &err) != VQ_OK)
        return sh_fail(p->sh, &err);
    if (sh_opt_given(a, "out"))
        return sh_array_write(p->sh, sh_opt_text(a, "out"), VQ_NPY_F32, 2, shape, lp);
    if (k > 1)
        return list_top(p, lp, k < p->N ? k : p->N);
    int32_t target = pick_target(p, a, lp + (p->rows - 1) * p->N);
    return target < 0 ? SH_USAGE : list_lens(p, lp, target);
}

static enum sh_rc run_lens(struct sh *sh, const struct sh_args *a)
{
    struct sh_probing p = {.sh = sh, .m = sh_model_current(sh)};
    float *lp = NULL;
    enum sh_rc rc = sh_probe(&p, a, NULL);
    if (rc == SH_OK) {
        lp = vq_alloc_f32(p.rows * p.N);
        rc = lp ? lens(&p, a, lp) : sh_failf(sh, "out of memory");
    }
    free(lp);
    sh_probe_release(&p);
    return rc;
}

static const struct sh_opt lens_opts[] = {
    SH_QUERY_OPTS,
    SH_INPUT_OPTS,
    {.name = "token", .kind = SH_TEXT, .value = "TOKEN", .help = "follow this token's probability"},
    {.name = "k",
     .kind = SH_INT,
     .def = "1",
     .min = 1,
     .max = 1e6,
     .help = "list the K likeliest tokens after each module instead"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const lens_examples[] = {"lens", "lens --text \"Call me Ishmael.\" --pos 5",
                                            "lens -k 3 --text \"It is a truth\"", NULL};
const struct sh_cmd cmd_lens = {
    .name = "lens",
    .group = "inspect",
    .args = "",
    .summary = "show what the model would say after each of its modules",
    .detail =
        "The residual stream after the embedding and after each module goes through the model's "
        "own head (out_ln where there is one, output matrix, bias, e_scale): the logit lens. "
        "The last row is what the model says; the others are a transformed view, of streams "
        "that the head was not trained on. The position is --pos of the session's tokens or "
        "of --text, --file, --tokens; the target is --token, else the token that came next, "
        "else the likeliest. kl_to_final is KL(final || row) in nats.\n\n"
        "--out writes float32 log-probabilities [modules+1,n_vocab].",
    .examples = lens_examples,
    .needs = SH_NEED_MODEL,
    .opts = lens_opts,
    .run = run_lens,
};

/* ---- attribute ---- */

struct attribution {
    struct sh_probing p;
    const struct sh_args *a;
    int32_t token, minus; /* minus: -1 for none */
    size_t n;             /* parts: embedding, modules, bias */
    double *part;         /* [n] */
    double logit, other;  /* of both, from the model's head */
};

static const char *part_name(const struct attribution *x, size_t i, char buf[32])
{
    return i + 1 == x->n ? "bias" : sh_probe_row(i, buf);
}

/* Largest first where --sort asks for it: indices of the parts. */
static void order_parts(const struct attribution *x, size_t *order)
{
    for (size_t i = 0; i < x->n; i++) {
        size_t at = i;
        bool sorted = sh_opt_flag(x->a, "sort");
        for (; sorted && at > 0 && fabs(x->part[i]) > fabs(x->part[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void describe(const struct attribution *x)
{
    struct sh *sh = x->p.sh;
    const float *streams = vq_probe_streams(x->p.probe, x->p.from);
    bool frozen = vq_model_config(x->p.m->model)->e_preln != 0;
    char piece[64];
    double sum = 0.0;
    for (size_t i = 0; i < x->n; i++)
        sum += x->part[i];
    sh_record(sh);
    sh_int(sh, "position", x->p.from);
    sh_int(sh, "id", x->token);
    sh_str(sh, "token", piece_of(&x->p, x->token, piece, sizeof(piece)));
    if (x->minus >= 0) {
        sh_int(sh, "minus_id", x->minus);
        sh_str(sh, "minus", piece_of(&x->p, x->minus, piece, sizeof(piece)));
    }
    sh_f64(sh, "logit", x->logit - x->other);
    sh_f64(sh, "sum", sum);
    sh_bool(sh, "frozen", frozen);
    sh_f64(sh, "factor", vq_readout_factor(x->p.engine, streams + (x->p.rows - 1) * x->p.D));
}

static enum sh_rc list_parts(const struct attribution *x)
{
    struct sh *sh = x->p.sh;
    char buf[32];
    double sum = 0.0;
    size_t *order = vq_alloc(x->n, sizeof(*order));
    if (!order)
        return sh_failf(sh, "out of memory");
    order_parts(x, order);
    describe(x);
    struct sh_part p = sh_parts_begin(sh);
    sh_part_list(&p, "parts", "part contribution cumulative");
    for (size_t i = 0; i < x->n; i++) {
        sum += x->part[order[i]];
        sh_part_row(&p);
        sh_part_str(&p, "part", part_name(x, order[i], buf));
        sh_part_f64(&p, "contribution", x->part[order[i]]);
        sh_part_f64(&p, "cumulative", sum);
    }
    free(order);
    enum sh_rc rc = sh_parts_end(&p);
    if (rc == SH_OK && vq_model_config(x->p.m->model)->e_preln)
        sh_note(sh, "the factor of out_ln, 1 / rms of the whole stream, counts as fixed");
    return rc;
}

/* The contributions to the token's logit, less those to the other's. */
static enum vq_status compute(struct attribution *x, struct vq_err *err)
{
    size_t N = x->p.N, rows = x->p.rows;
    const float *last = vq_probe_streams(x->p.probe, x->p.from) + (rows - 1) * x->p.D;
    float *logits = vq_alloc_f32(N), *parts = vq_alloc_f32((rows + 1) * N);
    size_t best;
    x->n = rows + 1;
    x->part = vq_alloc(x->n, sizeof(*x->part));
    enum vq_status status = logits && parts && x->part
                                ? VQ_OK
                                : vq_nomem(err, "contributions", rows + 1, N * sizeof(float));
    if (status == VQ_OK)
        status = vq_readout_logits(x->p.engine, last, 1, logits, err);
    if (status == VQ_OK)
        status = sh_probe_parts(&x->p, x->p.from, parts, err);
    if (status == VQ_OK && x->token < 0) {
        vq_largest(&best, 1, logits, N);
        x->token = (int32_t)best;
    }
    for (size_t i = 0; status == VQ_OK && i < x->n; i++) {
        const float *row = parts + i * N;
        x->part[i] = (double)row[x->token] - (x->minus >= 0 ? (double)row[x->minus] : 0.0);
    }
    if (status == VQ_OK) {
        x->logit = logits[x->token];
        x->other = x->minus >= 0 ? (double)logits[x->minus] : 0.0;
    }
    free(logits);
    free(parts);
    return status;
}

static enum sh_rc attribute(struct attribution *x)
{
    struct vq_err err = {0};
    struct sh *sh = x->p.sh;
    const struct vq_vocab *v = vq_model_vocab(x->p.m->model);
    x->token = x->minus = -1;
    if (sh_arg_count(x->a) &&
        (x->token = sh_token_id(sh, v, sh_arg(x->a, 0), sh_arg_word(x->a, 0))) < 0)
        return SH_USAGE;
    if (sh_opt_given(x->a, "minus") &&
        (x->minus = sh_token_id(sh, v, sh_opt_text(x->a, "minus"), sh_opt_word(x->a, "minus"))) < 0)
        return SH_USAGE;
    enum sh_rc rc = sh_probe(&x->p, x->a, NULL);
    if (rc != SH_OK)
        return rc;
    if (compute(x, &err) != VQ_OK)
        return sh_fail(sh, &err);
    return sh_opt_given(x->a, "out")
               ? sh_array_write(sh, sh_opt_text(x->a, "out"), VQ_NPY_F64, 1, &x->n, x->part)
               : list_parts(x);
}

static enum sh_rc run_attribute(struct sh *sh, const struct sh_args *a)
{
    struct attribution x = {.p = {.sh = sh, .m = sh_model_current(sh)}, .a = a};
    enum sh_rc rc = attribute(&x);
    sh_probe_release(&x.p);
    free(x.part);
    return rc;
}

static const struct sh_opt attribute_opts[] = {
    SH_QUERY_OPTS,
    SH_INPUT_OPTS,
    {.name = "minus",
     .kind = SH_TEXT,
     .value = "TOKEN",
     .help = "the difference to another token's logit"},
    {.name = "sort", .kind = SH_FLAG, .help = "largest contribution first"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const attribute_examples[] = {"attribute", "attribute e --minus a --sort",
                                                 "attribute --text \"Call me Ishmael.\" --pos 7",
                                                 NULL};
const struct sh_cmd cmd_attribute = {
    .name = "attribute",
    .group = "inspect",
    .args = "[TOKEN]",
    .summary = "show what each module adds to a token's logit",
    .detail =
        "The stream that the head reads is the embedding plus what each module added, so the "
        "logit of TOKEN (the likeliest without one) after --pos splits into one contribution of "
        "each, and one of the biases: direct logit attribution. Without e_preln that is exact. "
        "With "
        "it the head first divides by the stream's rms; that factor counts as fixed (frozen is "
        "true, factor is 1 / rms), which makes the sum exact again: a contribution then says what "
        "the part adds at this factor. Only direct effects count: what a module changes in later "
        "modules belongs to them. sum is the sum of the contributions, logit the model's own.\n\n"
        "--out writes float64 [modules+2]: embedding, modules, bias.",
    .examples = attribute_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_MODEL,
    .opts = attribute_opts,
    .run = run_attribute,
};
