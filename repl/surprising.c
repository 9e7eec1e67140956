#include "repl/surprising.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/model/generate.h"
#include "repl/out.h"

int32_t sh_surprise_target(const struct sh_surprising *s, size_t i)
{
    return s->targets[i / s->n * s->stride + i % s->n];
}

/* One row being scored. */
struct taking {
    struct sh_surprising *s;
    size_t row;
    int64_t start; /* position of the first input */
};

static enum vq_status take_rows(void *ud, int b, int64_t position, size_t n, const float *logprobs,
                                const int32_t *targets, struct vq_err *err)
{
    (void)b, (void)err;
    const struct taking *t = ud;
    struct sh_surprising *s = t->s;
    size_t N = (size_t)vq_model_config(s->m->model)->n_vocab;
    size_t at = t->row * s->n + (size_t)(position - t->start);
    for (size_t i = 0; i < n; i++)
        s->v[at + i] = targets[i] == VQ_PAD ? (struct vq_surprise){0}
                                            : vq_surprise_of(logprobs + i * N, N, targets[i]);
    return VQ_OK;
}

static void show_progress(void *ud, int64_t position)
{
    const struct taking *t = ud;
    size_t done = t->row * t->s->n + (size_t)(position - t->start);
    sh_progress(t->s->sh, "%zu of %zu tokens", done, t->s->rows * t->s->n);
}

static enum vq_status run(struct sh_surprising *s, struct vq_err *err)
{
    struct vq_session *session = NULL;
    const struct vq_engine *e = sh_model_engine(s->sh, s->m, err);
    enum vq_status status = e ? vq_session_new(&session, e, 1, err) : err->code;
    for (size_t r = 0; status == VQ_OK && r < s->rows; r++) {
        struct taking t = {.s = s, .row = r};
        struct vq_score score;
        const struct vq_score_options o = {
            .cancel = sh_cancel(s->sh), .ud = &t, .rows = take_rows, .progress = show_progress};
        const int32_t *targets = s->targets + r * s->stride;
        vq_session_reset(session);
        status = vq_score_run(session, s->t.session ? targets[-1] : VQ_EOS, targets, s->n,
                              s->stride, &o, &score, err);
    }
    sh_progress_clear(s->sh);
    vq_session_free(session);
    return status;
}

enum sh_rc sh_surprise(struct sh_surprising *s, const struct sh_args *a, const char *text)
{
    struct vq_err err = {0};
    enum sh_rc rc = text ? sh_tokens_text(s->sh, s->m, text, SH_AS_TARGETS, &s->t)
                         : sh_tokens_pick(s->sh, a, s->m, SH_AS_TARGETS, &s->t);
    if (rc != SH_OK)
        return rc;
    s->first = s->t.session ? 1 : 0;
    s->rows = s->t.over.rows;
    s->stride = s->t.over.cols;
    s->n = s->stride - (size_t)s->first;
    s->targets = s->t.over.tokens + s->first;
    if (s->n == 0)
        return sh_failf(s->sh, "the session holds one token, which nothing foretold");
    s->v = vq_calloc(s->rows * s->n, sizeof(*s->v));
    enum vq_status status =
        s->v ? run(s, &err) : vq_nomem(&err, "surprises", s->rows * s->n, sizeof(*s->v));
    return status == VQ_OK ? SH_OK : sh_fail(s->sh, &err);
}

void sh_surprise_release(struct sh_surprising *s)
{
    sh_tokens_release(&s->t);
    free(s->v);
}

/* ---- as text ---- */

#define BITS (1.0 / 0.69314718055994530942)

size_t sh_surprise_step(double bits)
{
    static const double below[SH_SURPRISE_STEPS - 1] = {1.0, 2.0, 4.0, 7.0, 11.0};
    size_t step = 0;
    while (step + 1 < SH_SURPRISE_STEPS && bits >= below[step])
        step++;
    return step;
}

const char *sh_surprise_step_name(size_t step)
{
    static const char *const names[SH_SURPRISE_STEPS] = {"<1", "1-2", "2-4", "4-7", "7-11", ">11"};
    return names[step];
}

/* Bytes at the end of s[n] that begin a character and do not finish it. */
static size_t unfinished(const char *s, size_t n)
{
    uint32_t cp;
    for (size_t back = 1; back <= 3 && back <= n; back++)
        if (((unsigned char)s[n - back] & 0xc0) == 0xc0)
            return vq_utf8_next(s + n - back, back, &cp) == 0 ? back : 0;
    return 0;
}

double sh_surprise_text(const struct sh_surprising *s, size_t most,
                        void (*piece)(void *ud, const char *bytes, size_t n, double bits), void *ud)
{
    const struct vq_vocab *v = vq_model_vocab(s->m->model);
    char bytes[256];
    size_t n = 0, end = most < s->n ? most : s->n;
    double bits = 0.0, nats = 0.0;
    for (size_t i = 0; i < end; i++) {
        n += vq_vocab_bytes(v, sh_surprise_target(s, i), bytes + n, sizeof(bytes) - n);
        bits += s->v[i].nats * BITS;
        nats += s->v[i].nats;
        if (unfinished(bytes, n) && n <= sizeof(bytes) / 2 && i + 1 < end)
            continue;
        piece(ud, bytes, n, bits);
        n = 0;
        bits = 0.0;
    }
    return nats;
}
