/*
 * The command stream: what each module does to the residual stream, and how open its gates are.
 */
#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/inspect/stream.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/query.h"
#include "repl/tokens.h"

struct streaming {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    struct sh_tokens t; /* one row */
    struct vq_stream *s;
    size_t *rows; /* of the stream: 0 is the embedding, module + 1 a module */
    size_t n;
};

enum { N_VALUES = 7 };
static const char *const names[N_VALUES] = {"stream_norm", "branch_norm",   "cosine",  "gate_mean",
                                            "gate_closed", "gate_negative", "gate_max"};

static void values_of(const struct streaming *x, size_t row, double *out)
{
    struct vq_stream_row r = vq_stream_mean(x->s, row);
    const double v[N_VALUES] = {r.stream, r.branch,   r.cosine,  r.gate,
                                r.closed, r.negative, r.gate_max};
    for (size_t i = 0; i < N_VALUES; i++)
        out[i] = row == 0 && i > 0 ? NAN : v[i]; /* an embedding has but a length */
}

static const char *row_name(size_t row, char buf[32])
{
    return row ? sh_module_name((int)row - 1, -1, buf) : "embedding";
}

static enum sh_rc list_means(const struct streaming *x)
{
    struct sh *sh = x->sh;
    char buf[32];
    sh_list(sh, "module tokens stream_norm branch_norm cosine gate_mean gate_closed gate_negative "
                "gate_max");
    for (size_t i = 0; i < x->n; i++) {
        double v[N_VALUES];
        values_of(x, x->rows[i], v);
        sh_row(sh);
        sh_str(sh, "module", row_name(x->rows[i], buf));
        sh_uint(sh, "tokens", vq_stream_mean(x->s, x->rows[i]).tokens);
        for (size_t k = 0; k < N_VALUES; k++)
            if (!isnan(v[k]))
                sh_f64(sh, names[k], v[k]);
    }
    return sh_end(sh);
}

/* f64 [rows, 7]. */
static enum sh_rc write_means(const struct streaming *x)
{
    const size_t shape[] = {x->n, N_VALUES};
    double *v = vq_alloc(x->n * N_VALUES, sizeof(*v));
    if (!v)
        return sh_failf(x->sh, "out of memory");
    for (size_t i = 0; i < x->n; i++)
        values_of(x, x->rows[i], v + i * N_VALUES);
    enum sh_rc rc = sh_array_write(x->sh, sh_opt_text(x->a, "out"), VQ_NPY_F64, 2, shape, v);
    free(v);
    return rc;
}

static enum sh_rc list_tokens(const struct streaming *x)
{
    struct sh *sh = x->sh;
    const struct vq_vocab *v = vq_model_vocab(x->m->model);
    size_t T = x->t.over.cols;
    char buf[32], piece[64];
    sh_list(sh, "module position token stream_norm branch_norm gate_closed");
    for (size_t i = 0; i < x->n * T; i++) {
        size_t row = x->rows[i / T], t = i % T, at = row * T + t;
        sh_row(sh);
        sh_str(sh, "module", row_name(row, buf));
        sh_uint(sh, "position", t);
        sh_str(sh, "token", vq_vocab_piece(v, sh_tokens_input(&x->t, t), piece, sizeof(piece)));
        sh_f32(sh, "stream_norm", vq_stream_values(x->s, VQ_STREAM_NORM)[at]);
        if (row == 0)
            continue;
        sh_f32(sh, "branch_norm", vq_stream_values(x->s, VQ_BRANCH_NORM)[at]);
        sh_f32(sh, "gate_closed", vq_stream_values(x->s, VQ_STREAM_CLOSED)[at]);
    }
    return sh_end(sh);
}

/* f32 [3, rows, T]: stream norm, branch norm, part of the gates that is closed. */
static enum sh_rc write_tokens(const struct streaming *x)
{
    size_t T = x->t.over.cols;
    const size_t shape[] = {VQ_STREAM_VALUES, x->n, T};
    float *v = vq_alloc(shape[0] * shape[1] * T, sizeof(*v));
    if (!v)
        return sh_failf(x->sh, "out of memory");
    for (size_t i = 0; i < shape[0] * shape[1] * T; i++) {
        size_t kind = i / (x->n * T), row = x->rows[i / T % x->n];
        v[i] = vq_stream_values(x->s, (enum vq_stream_value)kind)[row * T + i % T];
    }
    enum sh_rc rc = sh_array_write(x->sh, sh_opt_text(x->a, "out"), VQ_NPY_F32, 3, shape, v);
    free(v);
    return rc;
}

/* The rows that are shown: the embedding and every module that was named, once. */
static enum sh_rc pick_rows(struct streaming *x)
{
    struct sh_heads heads;
    size_t modules = vq_config_modules(vq_model_config(x->m->model));
    enum sh_rc rc = sh_heads_pick(x->sh, x->a, x->m, &heads);
    if (rc != SH_OK)
        return rc;
    bool *shown = vq_calloc(modules + 1, sizeof(*shown));
    x->rows = vq_alloc(modules + 1, sizeof(*x->rows));
    if (shown && x->rows) {
        shown[0] = true;
        for (size_t i = 0; i < heads.n; i++)
            shown[heads.v[i].module + 1] = true;
        for (size_t i = 0; i <= modules; i++)
            if (shown[i])
                x->rows[x->n++] = i;
    } else {
        rc = sh_failf(x->sh, "out of memory");
    }
    free(shown);
    sh_heads_release(&heads);
    return rc;
}

static enum sh_rc stream(struct streaming *x)
{
    struct vq_err err = {0};
    bool each = sh_opt_flag(x->a, "per-token"), out = sh_opt_given(x->a, "out");
    enum sh_rc rc = pick_rows(x);
    if (rc == SH_OK)
        rc = sh_tokens_pick(x->sh, x->a, x->m, SH_AS_FED, &x->t);
    if (rc == SH_OK)
        rc = sh_tokens_row(x->sh, x->a, &x->t);
    if (rc != SH_OK)
        return rc;
    const struct vq_stream_options o = {.tokens = each ? x->t.over.cols : 0};
    enum vq_status status = vq_stream_new(&x->s, vq_model_config(x->m->model), &o, &err);
    if (status == VQ_OK)
        status = sh_tokens_run(x->sh, x->m, &x->t, vq_stream_observer(x->s), &err);
    if (status != VQ_OK)
        return sh_fail(x->sh, &err);
    if (each)
        return out ? write_tokens(x) : list_tokens(x);
    return out ? write_means(x) : list_means(x);
}

static enum sh_rc run_stream(struct sh *sh, const struct sh_args *a)
{
    struct streaming x = {.sh = sh, .a = a, .m = sh_model_current(sh)};
    enum sh_rc rc = stream(&x);
    vq_stream_free(x.s);
    sh_tokens_release(&x.t);
    free(x.rows);
    return rc;
}

static const struct sh_opt stream_opts[] = {
    SH_INPUT_OPTS,
    SH_ROW_OPT,
    {.name = "per-token", .kind = SH_FLAG, .help = "a row for each token, not means over all"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const stream_examples[] = {"stream", "stream 0-1 --file README.md",
                                              "stream 2.2 --text \"Call me\" --per-token",
                                              "stream --file README.md --out stream.npy", NULL};
const struct sh_cmd cmd_stream = {
    .name = "stream",
    .group = "inspect",
    .args = "[MODULES]",
    .summary = "show the residual stream: norms, what modules add, how open gates are",
    .detail =
        "Means over the tokens of the session, or of --text, --file, --tokens. stream_norm is the "
        "length of the residual stream after the module, branch_norm of what the module adds, "
        "cosine the angle between that and the stream before. gate_mean is the mean |g| of its "
        "gates g = silu(..), gate_closed the part with |g| < 0.01, gate_negative the part below 0 "
        "(never under -0.2785), gate_max the largest |g|. Activations as they are: nothing is "
        "normalised.\n\n"
        "--out writes float64 [rows,7] in the order of the columns, NaN where the embedding has "
        "none; with --per-token float32 [3,rows,T]: stream_norm, branch_norm, gate_closed.",
    .examples = stream_examples,
    .max_args = 1,
    .kinds = {SH_MODULES},
    .needs = SH_NEED_MODEL,
    .opts = stream_opts,
    .run = run_stream,
};
