/*
 * Commands that judge: score, next, verify.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/base/rng.h"
#include "core/kernels/vec.h"
#include "core/model/generate.h"
#include "core/model/reference.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/runlog.h"
#include "repl/speed.h"

/* ---- score ---- */

struct token_score {
    size_t row;
    int64_t position;
    int32_t id;
    float logprob;
};

struct scoring {
    struct sh *sh;
    const struct vq_vocab *vocab;
    struct vq_npy_writer *logprobs; /* or NULL */
    bool per_token;
    struct token_score *tokens; /* grown as they come */
    size_t n, cap;
    size_t row, rows, cols; /* of the input */
    double start;
};

static enum vq_status keep_token(struct scoring *s, int64_t position, int32_t id, float logprob,
                                 struct vq_err *err)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        struct token_score *grown = vq_realloc(s->tokens, cap, sizeof(*grown));
        if (!grown)
            return vq_nomem(err, "scores", cap, sizeof(*grown));
        s->tokens = grown;
        s->cap = cap;
    }
    s->tokens[s->n++] = (struct token_score){s->row, position, id, logprob};
    return VQ_OK;
}

static enum vq_status take_rows(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                                const int32_t *targets, struct vq_err *err)
{
    (void)b;
    struct scoring *s = ud;
    size_t width = (size_t)vq_vocab_size(s->vocab);
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && s->per_token && i < n; i++)
        if (targets[i] != VQ_PAD)
            status = keep_token(s, position + (int64_t)i, targets[i],
                                logprobs[i * width + (size_t)targets[i]], err);
    if (status == VQ_OK && s->logprobs)
        status = vq_npy_writer_put(s->logprobs, logprobs, n * width, err);
    return status;
}

static void show_progress(void *ud, int64_t position)
{
    const struct scoring *s = ud;
    double done = (double)s->row * (double)s->cols + (double)position;
    double all = (double)s->rows * (double)s->cols, seconds = sh_now() - s->start;
    double rate = done / (seconds > 0 ? seconds : 1e-9);
    sh_progress(s->sh, "%.0f of %.0f tokens, %.0f tokens/s, %.0f s left", done, all, rate,
                (all - done) / (rate > 0 ? rate : 1e-9));
}

/* All rows of the input, each from an empty state; sums into *total. */
static enum vq_status score_rows(struct scoring *s, struct vq_session *session,
                                 const struct sh_input *in, struct vq_score *total,
                                 struct vq_err *err)
{
    const struct vq_score_options o = {.cancel = sh_cancel(s->sh),
                                       .ud = s,
                                       .rows = s->logprobs || s->per_token ? take_rows : NULL,
                                       .progress = show_progress};
    enum vq_status status = VQ_OK;
    for (s->row = 0; status == VQ_OK && s->row < in->rows; s->row++) {
        struct vq_score one;
        vq_session_reset(session);
        status = vq_score_run(session, VQ_EOS, in->tokens + s->row * in->cols, in->cols, in->cols,
                              &o, &one, err);
        if (status == VQ_OK) {
            total->tokens += one.tokens;
            total->nats += one.nats;
        }
    }
    sh_progress_clear(s->sh);
    return status;
}

/* Bytes of text that the tokens stand for; 0 when there is no such number. */
static size_t bytes_of(const struct vq_vocab *v, const struct sh_input *in)
{
    size_t bytes = in->text_bytes;
    char buf[256];
    for (size_t i = 0; !in->is_text && i < in->rows * in->cols; i++)
        bytes += vq_vocab_bytes(v, in->tokens[i], buf, sizeof(buf));
    return bytes;
}

static void list_tokens(const struct scoring *s, struct sh_part *p)
{
    char piece[64];
    sh_part_list(p, "per_token",
                 s->rows > 1 ? "row position id token logprob" : "position id token logprob");
    for (size_t i = 0; i < s->n; i++) {
        const struct token_score *t = &s->tokens[i];
        sh_part_row(p);
        if (s->rows > 1)
            sh_part_uint(p, "row", t->row);
        sh_part_int(p, "position", t->position);
        sh_part_int(p, "id", t->id);
        sh_part_str(p, "token", vq_vocab_piece(s->vocab, t->id, piece, sizeof(piece)));
        sh_part_f32(p, "logprob", t->logprob);
    }
}

static enum sh_rc report_score(const struct scoring *s, const struct vq_score *total, size_t bytes,
                               double seconds)
{
    struct sh *sh = s->sh;
    double per_token = total->nats / (double)total->tokens;
    double bits = total->nats / log(2.0) / (double)bytes;
    double rate = (double)(s->rows * s->cols) / seconds;
    sh_run_result_int(sh, "tokens", (int64_t)total->tokens);
    sh_run_result_f64(sh, "nats", total->nats);
    sh_run_result_f64(sh, "nats_per_token", per_token);
    if (bytes)
        sh_run_result_f64(sh, "bits_per_byte", bits);
    sh_run_result_f64(sh, "tokens_per_second", rate);
    sh_record(sh);
    sh_uint(sh, "tokens", total->tokens);
    sh_f64(sh, "nats", total->nats);
    sh_f64(sh, "nats_per_token", per_token);
    if (bytes)
        sh_f64(sh, "bits_per_byte", bits);
    else
        sh_null(sh, "bits_per_byte");
    sh_f64(sh, "perplexity", exp(per_token));
    sh_f64(sh, "tokens_per_second", rate);
    sh_str(sh, "run", sh_run_id(sh));
    if (!s->per_token)
        return sh_end(sh);
    struct sh_part p = sh_parts_begin(sh);
    list_tokens(s, &p);
    return sh_parts_end(&p);
}

static enum vq_status open_logprobs(struct scoring *s, const char *path, const struct sh_input *in,
                                    struct vq_err *err)
{
    const size_t shape[] = {in->rows, in->cols, (size_t)vq_vocab_size(s->vocab)};
    bool batch = in->rank == 2;
    return vq_npy_writer_open(&s->logprobs, path, VQ_NPY_F32, batch ? 3 : 2, shape + !batch, err);
}

static enum sh_rc score(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                        const struct sh_input *in)
{
    struct vq_err err = {0};
    struct vq_session *session = NULL;
    struct vq_score total = {0};
    struct scoring s = {.sh = sh,
                        .vocab = vq_model_vocab(m->model),
                        .per_token = sh_opt_flag(a, "per-token"),
                        .rows = in->rows,
                        .cols = in->cols};
    if (in->rows * in->cols == 0)
        return sh_failf(sh, "the input is empty: there is nothing to score");
    const struct vq_engine *e = sh_model_engine(sh, m, &err);
    enum vq_status status = e ? vq_session_new(&session, e, 1, &err) : err.code;
    if (status == VQ_OK && sh_opt_given(a, "logprobs"))
        status = open_logprobs(&s, sh_opt_text(a, "logprobs"), in, &err);
    s.start = sh_now();
    if (status == VQ_OK)
        status = score_rows(&s, session, in, &total, &err);
    double seconds = sh_now() - s.start;
    if (s.logprobs && status == VQ_OK)
        status = vq_npy_writer_close(s.logprobs, &err);
    else
        vq_npy_writer_abort(s.logprobs);
    if (status == VQ_OK && sh_opt_given(a, "logprobs"))
        sh_run_file(sh, "npy", sh_opt_text(a, "logprobs"));
    if (status == VQ_OK)
        sh_speed_note(sh, m, session, in->rows * in->cols, seconds);
    enum sh_rc rc = status != VQ_OK ? sh_fail(sh, &err)
                    : total.tokens == 0
                        ? sh_failf(sh, "every target is pad: there is nothing to score")
                        : report_score(&s, &total, bytes_of(s.vocab, in), seconds);
    vq_session_free(session);
    free(s.tokens);
    return rc;
}

static enum sh_rc run_score(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct sh_input in;
    enum sh_rc rc = sh_input_read(sh, a, vq_model_vocab(m->model), &in);
    if (rc != SH_OK)
        return rc;
    sh_run_begin(sh, m, NULL, NULL);
    rc = score(sh, a, m, &in);
    sh_input_release(&in);
    return rc;
}

static const struct sh_opt score_opts[] = {
    SH_INPUT_OPTS,
    {.name = "per-token", .kind = SH_FLAG, .help = "the log-probability of every token"},
    {.name = "logprobs",
     .kind = SH_OUTPATH,
     .value = "OUT.npy",
     .help = "write all log-probabilities, [T,n_vocab] or [B,T,n_vocab]"},
    SH_OPT_END};
static const char *const score_examples[] = {"score --text \"It was a dark and stormy night.\"",
                                             "score --text \"Call me Ishmael.\" --per-token",
                                             "score --file README.md", NULL};
const struct sh_cmd cmd_score = {
    .name = "score",
    .group = "judge",
    .args = "--text TEXT | --file FILE | --tokens F.npy",
    .summary = "compute the exact log-likelihood of a text from an empty state",
    .detail = "The inputs are eos and all tokens but the last; the targets are the tokens. Targets "
              "equal to pad (0) are fed but not counted. bits_per_byte divides by the bytes of the "
              "text. The session that `feed` moves is not touched. Recorded as a run.",
    .examples = score_examples,
    .needs = SH_NEED_MODEL,
    .opts = score_opts,
    .run = run_score,
};

/* ---- next ---- */

/* The logits at the present position, [N]: after eos when nothing was fed. *tmp is the session
 * that holds them then, the caller's to free. */
static const float *present_logits(struct sh *sh, struct sh_model *m, struct vq_session **tmp,
                                   struct vq_err *err)
{
    static const int32_t eos = VQ_EOS;
    struct vq_session *s = sh_model_session(sh, m, err);
    *tmp = NULL;
    if (!s)
        return NULL;
    if (vq_session_logits(s))
        return vq_session_logits(s);
    if (vq_session_position(s) > 0) {
        vq_fail(err, VQ_ENOTFOUND, "the state holds no logits: feed a token first");
        return NULL;
    }
    const struct vq_feed_options o = {.cancel = sh_cancel(sh)};
    if (vq_session_new(tmp, vq_session_engine(s), 1, err) != VQ_OK ||
        vq_session_feed(*tmp, &eos, 1, 1, &o, err) != VQ_OK)
        return NULL;
    sh_note(sh, "position 0: what follows eos");
    return vq_session_logits(*tmp);
}

/* Index of the largest of p[n] that is not taken yet; the lowest on a tie. */
static size_t best_left(const float *p, size_t n, const bool *taken)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (!taken[i] && (best == n || p[i] > p[best]))
            best = i;
    return best;
}

static enum sh_rc list_next(struct sh *sh, const struct vq_vocab *v, float *logprobs, size_t n,
                            size_t k)
{
    bool *taken = vq_calloc(n, sizeof(*taken));
    char piece[64];
    if (!taken)
        return sh_failf(sh, "out of memory");
    vq_vec_default()->log_softmax(logprobs, n);
    sh_list(sh, "rank id token prob logprob");
    for (size_t rank = 1; rank <= k && rank <= n; rank++) {
        size_t id = best_left(logprobs, n, taken);
        taken[id] = true;
        sh_row(sh);
        sh_uint(sh, "rank", rank);
        sh_uint(sh, "id", id);
        sh_str(sh, "token", vq_vocab_piece(v, (int32_t)id, piece, sizeof(piece)));
        sh_f32(sh, "prob", expf(logprobs[id]));
        sh_f32(sh, "logprob", logprobs[id]);
    }
    free(taken);
    return sh_end(sh);
}

static enum sh_rc run_next(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    struct vq_session *tmp;
    size_t n = (size_t)vq_model_config(m->model)->n_vocab;
    const float *logits = present_logits(sh, m, &tmp, &err);
    float *copy = logits ? vq_alloc_f32(n) : NULL;
    enum sh_rc rc;
    if (copy) {
        memcpy(copy, logits, n * sizeof(*copy));
        rc = list_next(sh, vq_model_vocab(m->model), copy, n, (size_t)sh_opt_int(a, "k"));
    } else {
        rc = logits ? sh_failf(sh, "out of memory") : sh_fail(sh, &err);
    }
    free(copy);
    vq_session_free(tmp);
    return rc;
}

static const struct sh_opt next_opts[] = {
    {.name = "k", .kind = SH_INT, .def = "10", .min = 1, .max = 1e9, .help = "how many"},
    SH_OPT_END};
static const char *const next_examples[] = {"next", "next -k 3", NULL};
const struct sh_cmd cmd_next = {
    .name = "next",
    .group = "judge",
    .args = "",
    .summary = "list the most likely next tokens at the current position",
    .detail = "Probabilities are the model's own (temperature 1, nothing masked). At position 0 "
              "they are those after eos. Of a batch, the first sequence is shown.",
    .examples = next_examples,
    .needs = SH_NEED_MODEL,
    .opts = next_opts,
    .run = run_next,
};

/* ---- verify ---- */

/* Tokens drawn evenly from the ordinary ids, eos first, as a sequence begins. */
static enum vq_status draw_tokens(struct sh_input *in, size_t n, int64_t n_vocab, uint64_t seed,
                                  struct vq_err *err)
{
    struct vq_rng rng;
    *in = (struct sh_input){.rows = 1, .cols = n, .rank = 1};
    in->tokens = vq_alloc(n, sizeof(*in->tokens));
    if (!in->tokens)
        return vq_nomem(err, "tokens", n, sizeof(*in->tokens));
    int64_t low = n_vocab > VQ_N_SPECIAL ? VQ_N_SPECIAL : 0;
    vq_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++)
        in->tokens[i] = (int32_t)(low + (int64_t)vq_rng_below(&rng, (uint64_t)(n_vocab - low)));
    in->tokens[0] = VQ_EOS < n_vocab ? VQ_EOS : 0;
    return VQ_OK;
}

static enum sh_rc verify_rows(struct sh *sh, struct sh_model *m, const struct sh_input *in)
{
    struct vq_err err = {0};
    struct vq_verify_result worst = {.passed = true};
    double pairs = (double)in->rows * ((double)in->cols - 1); /* tokens that are predicted */
    const struct vq_engine *e = sh_model_engine(sh, m, &err);
    if (!e)
        return sh_fail(sh, &err);
    for (size_t r = 0; r < in->rows; r++) {
        struct vq_verify_result one;
        sh_progress(sh, "float64 reference, sequence %zu of %zu", r + 1, in->rows);
        if (vq_verify(&one, m->model, e, in->tokens + r * in->cols, in->cols, sh_cancel(sh),
                      &err) != VQ_OK)
            return sh_fail(sh, &err);
        worst.positions += one.positions;
        worst.code_mismatches += one.code_mismatches;
        worst.passed = worst.passed && one.passed;
        worst.bits_change += one.bits_change * ((double)in->cols - 1) / pairs;
        worst.max_abs_logit_error = fmax(worst.max_abs_logit_error, one.max_abs_logit_error);
        worst.max_rel_state_error = fmax(worst.max_rel_state_error, one.max_rel_state_error);
    }
    sh_progress_clear(sh);
    sh_record(sh);
    sh_f64(sh, "max_abs_logit_error", worst.max_abs_logit_error);
    sh_f64(sh, "max_rel_state_error", worst.max_rel_state_error);
    sh_uint(sh, "code_mismatches", worst.code_mismatches);
    if (in->cols > 1)
        sh_f64(sh, "bits_per_token_change", worst.bits_change);
    sh_uint(sh, "positions", worst.positions);
    sh_bool(sh, "passed", worst.passed);
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK && !worst.passed)
        rc = sh_failf(sh, "the model and the float64 reference differ by more than 1e-4%s",
                      m->weights == VQ_WEIGHT_F32 ? "" : " (weights are not f32)");
    return rc;
}

static enum sh_rc run_verify(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct vq_err err = {0};
    struct sh_input in;
    enum sh_rc rc;
    if (sh_input_given(a)) {
        if ((rc = sh_input_read(sh, a, vq_model_vocab(m->model), &in)) != SH_OK)
            return rc;
    } else if (draw_tokens(&in, (size_t)sh_opt_int(a, "length"), vq_model_config(m->model)->n_vocab,
                           sh_seed(sh, sh_opt_seed(a, "seed")), &err) != VQ_OK) {
        return sh_fail(sh, &err);
    }
    rc = in.rows > 0 && in.cols > 0 ? verify_rows(sh, m, &in) : sh_failf(sh, "the input is empty");
    sh_input_release(&in);
    return rc;
}

static const struct sh_opt verify_opts[] = {
    SH_INPUT_OPTS,
    {.name = "length",
     .kind = SH_INT,
     .def = "256",
     .min = 1,
     .max = 1e6,
     .help = "tokens to draw when none are given"},
    {.name = "seed", .kind = SH_SEED, .help = "of the draw"},
    SH_OPT_END};
static const char *const verify_examples[] = {"verify --length 64 --seed 1",
                                              "verify --text \"Call me Ishmael.\"", NULL};
const struct sh_cmd cmd_verify = {
    .name = "verify",
    .group = "judge",
    .args = "[--text TEXT | --file FILE | --tokens F.npy]",
    .summary = "check the model against a quadratic float64 reference",
    .detail = "The reference computes attention by its definition, every query against every "
              "earlier key, with nothing cached and nothing folded, from this very checkpoint. "
              "Fails (exit status 1) when a logit or the cache is off by more than 1e-4. "
              "bits_per_token_change is what the prepared weights (bf16, int8) cost on these "
              "tokens: bits by which they predict the next token worse than the checkpoint.",
    .examples = verify_examples,
    .needs = SH_NEED_MODEL,
    .opts = verify_opts,
    .run = run_verify,
};
