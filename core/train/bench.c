#include "core/train/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/kernels/machine.h"
#include "core/vocab/vocab.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Ids that text could have: none of the special ones where there are others. */
static void draw(int32_t *targets, size_t n, int64_t n_vocab, struct vq_rng *rng)
{
    uint64_t low = n_vocab > VQ_N_SPECIAL ? VQ_N_SPECIAL : 0;
    for (size_t i = 0; i < n; i++)
        targets[i] = (int32_t)(low + vq_rng_below(rng, (uint64_t)n_vocab - low));
}

static enum vq_status measure_machine(struct vq_train_bench *b, const struct vq_trainer *t,
                                      struct vq_err *err)
{
    double rate, half = 0.0;
    const char *backend;
    bool bf16 = !strcmp(t->settings.v.dtype, "bfloat16");
    enum vq_status st = vq_machine_sgemm_rate(&rate, &backend, t->options.pool, err);
    if (!st && bf16)
        st = vq_machine_bf16_rate(&half, t->options.pool, err);
    if (st)
        return st;
    if (rate > b->sgemm) {
        b->sgemm = rate;
        b->backend = backend;
    }
    b->limit = fmax(b->limit, half > 0.0 ? half : rate);
    return VQ_OK;
}

/* One update, timed unless it is the first. */
static enum vq_status one_update(struct vq_train_bench *b, struct vq_trainer *t, int32_t *targets,
                                 struct vq_rng *rng, bool counts, const struct vq_cancel *cancel,
                                 struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    size_t U = (size_t)c->update_len, n = (size_t)c->global_batch_size * U;
    struct vq_trainer_report report;
    bool intact;
    draw(targets, n, c->n_vocab, rng);
    double start = now();
    enum vq_status st = vq_trainer_step(t, targets, U, false, cancel, &report, &intact, err);
    double seconds = now() - start;
    if (st || !counts)
        return st;
    b->fastest = !b->updates || seconds < b->fastest ? seconds : b->fastest;
    b->updates++;
    b->seconds += seconds;
    b->tokens += n;
    return VQ_OK;
}

enum vq_status vq_train_bench_run(struct vq_train_bench *out, struct vq_trainer *t, int64_t least,
                                  double seconds, const struct vq_cancel *cancel,
                                  struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    size_t n = (size_t)c->global_batch_size * (size_t)c->update_len;
    int32_t *targets = vq_alloc(n, sizeof(*targets));
    struct vq_rng rng;
    *out = (struct vq_train_bench){0};
    if (!targets)
        return vq_nomem(err, "targets", n, sizeof(*targets));
    vq_rng_init(&rng, t->seed, 0);
    out->flops = vq_trainer_flops(t, &out->again);
    enum vq_status st = measure_machine(out, t, err);
    for (bool counts = false; !st; counts = true) {
        if (counts && out->updates >= least && out->seconds >= seconds)
            break;
        st = vq_cancelled(cancel) ? vq_fail(err, VQ_ECANCELLED, "interrupted")
                                  : one_update(out, t, targets, &rng, counts, cancel, err);
    }
    if (!st)
        st = measure_machine(out, t, err);
    free(targets);
    return st;
}
