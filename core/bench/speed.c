#include "core/bench/speed.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/kernels/machine.h"
#include "core/vocab/vocab.h"

#define WARM  2    /* tokens written before the clock runs */
#define PIECE 8192 /* tokens drawn at once */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum vq_status vq_limits_measure(struct vq_limits *out, struct vq_pool *pool, struct vq_err *err)
{
    *out = (struct vq_limits){0};
    enum vq_status st = vq_machine_read_bandwidth(&out->read, pool, err);
    if (!st)
        st = vq_machine_sgemm_rate(&out->f32, &out->backend, pool, err);
    if (!st)
        st = vq_machine_int8_rate(&out->int8, pool, err);
    return st ? st : vq_machine_bf16_rate(&out->bf16, pool, err);
}

double vq_speed_limit(const struct vq_speed *s, double flops)
{
    return (double)s->tokens / fmax(s->bytes / s->read, s->flops / flops);
}

static int32_t *draw(const struct vq_engine *e, size_t n, struct vq_err *err)
{
    uint64_t N = (uint64_t)vq_engine_config(e)->n_vocab;
    uint64_t low = N > VQ_N_SPECIAL ? VQ_N_SPECIAL : 0;
    int32_t *tokens = vq_alloc(n, sizeof(*tokens));
    struct vq_rng r;
    if (!tokens) {
        vq_nomem(err, "tokens", n, sizeof(*tokens));
        return NULL;
    }
    vq_rng_init(&r, 1, 0);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)(low + vq_rng_below(&r, N - low));
    return tokens;
}

static enum vq_status feed(struct vq_session *s, size_t n, const struct vq_cancel *cancel,
                           struct vq_err *err)
{
    const struct vq_feed_options o = {.cancel = cancel};
    int32_t *tokens = draw(vq_session_engine(s), n, err);
    enum vq_status st = tokens ? vq_session_feed(s, tokens, n, n, &o, err) : err->code;
    free(tokens);
    return st;
}

/* Reads in pieces, so that tokens need no more memory at any depth. */
static enum vq_status feed_all(struct vq_session *s, size_t n, const struct vq_cancel *cancel,
                               struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    for (size_t at = 0; !st && at < n; at += PIECE)
        st = feed(s, n - at < PIECE ? n - at : PIECE, cancel, err);
    return st;
}

enum vq_status vq_speed_session(struct vq_session **out, const struct vq_engine *e, size_t depth,
                                const struct vq_cancel *cancel, struct vq_err *err)
{
    const struct vq_config *c = vq_engine_config(e);
    enum vq_status st = vq_session_new(out, e, 1, err);
    if (!st)
        st = feed_all(*out, depth ? depth : (size_t)(c->mem_len + c->n_code), cancel, err);
    if (st) {
        vq_session_free(*out);
        *out = NULL;
    }
    return st;
}

/* A step that reads less may find it in the last cache. Virtual machines speak of their host's, of
 * which they have a part; what reads more than half of what the memory's rate is measured with
 * finds little more of it there than that does. */
static double cache_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return fmin(bytes > 0 ? (double)bytes : 0, 0.5 * (double)VQ_MACHINE_BUFFER);
}

/* The memory's rate before and after; the better one counts. */
static enum vq_status note_memory(struct vq_speed *s, struct vq_pool *pool, struct vq_err *err)
{
    double rate;
    enum vq_status st = vq_machine_read_bandwidth(&rate, pool, err);
    s->read = fmax(s->read, rate);
    return st;
}

enum vq_status vq_speed_read(struct vq_speed *out, struct vq_session *s,
                             const struct vq_speed_options *o, struct vq_err *err)
{
    const struct vq_engine *e = vq_session_engine(s);
    *out = (struct vq_speed){.tokens = o->tokens};
    out->flops = (double)o->tokens * vq_engine_flops_per_token(e);
    enum vq_status st = note_memory(out, vq_engine_pool(e), err);
    double start = now();
    if (!st)
        st = feed(s, o->tokens, o->cancel, err);
    out->seconds = now() - start;
    return st ? st : note_memory(out, vq_engine_pool(e), err);
}

/* Steps of all sequences, one token each, with tokens taken in turn from [n]. */
static enum vq_status write_steps(struct vq_speed *out, struct vq_session *s, const int32_t *tokens,
                                  const struct vq_speed_options *o, struct vq_err *err)
{
    const struct vq_engine *e = vq_session_engine(s);
    const struct vq_feed_options how = {.cancel = o->cancel};
    size_t B = (size_t)vq_session_batch(s);
    struct vq_state_reads before = {0};
    enum vq_status st = VQ_OK;
    double start = 0.0;
    for (size_t i = 0; !st; i++) {
        if (i == WARM) {
            before = vq_session_reads(s);
            start = now();
        }
        if (i >= WARM) {
            out->seconds = now() - start;
            if (i >= WARM + o->tokens && out->seconds >= o->seconds)
                break;
            out->tokens += B;
            out->bytes += (double)vq_engine_bytes_per_token(e);
            out->flops += (double)B * vq_engine_flops_per_token(e);
        }
        st = vq_session_feed(s, tokens + i % 64 * B, 1, 1, &how, err);
    }
    const struct vq_state_reads after = vq_session_reads(s);
    out->rows = after.rows - before.rows;
    out->skipped = after.skipped - before.skipped;
    out->bytes += (double)(after.bytes - before.bytes);
    return st;
}

enum vq_status vq_speed_write(struct vq_speed *out, const struct vq_session *s, int batch,
                              const struct vq_speed_options *o, struct vq_err *err)
{
    const struct vq_engine *e = vq_session_engine(s);
    struct vq_session *copy = NULL;
    *out = (struct vq_speed){0};
    int32_t *tokens = draw(e, 64 * (size_t)batch, err);
    enum vq_status st = tokens ? vq_session_fork(&copy, s, batch, err) : err->code;
    if (!st)
        st = note_memory(out, vq_engine_pool(e), err);
    if (!st)
        st = write_steps(out, copy, tokens, o, err);
    if (!st)
        st = note_memory(out, vq_engine_pool(e), err);
    if (out->bytes < cache_bytes() * (double)(out->tokens / (uint64_t)batch))
        out->bytes = 0.0;
    vq_session_free(copy);
    free(tokens);
    return st;
}
