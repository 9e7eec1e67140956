/*
 * bench generate, bench prefill: writing token by token and reading in blocks, in each format of
 * the weights: of the current model, or of one with random weights where there is none or another
 * configuration was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bench/random.h"
#include "repl/bench.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/training.h"

#define LEAST_STEPS  8
#define SECONDS      1.0
#define PREFILL      1024
#define MEMORY_SHARE 3 /* states take no more of the machine's memory than one part in this */

struct inference {
    struct sh_benching *b;
    const struct vq_model *model;
    struct vq_model *random; /* to free; NULL with a loaded model */
    const char *preset;
};

static enum vq_status find_model(struct inference *x, struct vq_err *err)
{
    const struct sh_args *a = x->b->a;
    struct sh_model *m = sh_model_current(x->b->sh);
    bool asked = sh_opt_given(a, "preset") || sh_opt_given(a, "config") || sh_opt_given(a, "set");
    struct vq_settings s;
    if (m && !asked) {
        x->model = m->model;
        x->preset = m->name;
        return VQ_OK;
    }
    enum vq_status status = sh_bench_settings(&s, a, "enwik8", err);
    if (status == VQ_OK)
        status = vq_random_model(&x->random, &s, err);
    if (status != VQ_OK)
        return status;
    x->model = x->random;
    x->preset = vq_model_settings(x->model)->preset;
    return VQ_OK;
}

static enum vq_status prepare(const struct inference *x, struct vq_engine **out,
                              enum vq_weight_format format, const struct vq_gemm *gemm,
                              struct vq_err *err)
{
    struct sh *sh = x->b->sh;
    struct vq_engine_options o;
    sh_engine_options(&o, vq_weight_format_name(format), sh->set.state, sh->set.skip);
    o.gemm = gemm ? gemm : vq_gemm_find(sh->set.gemm);
    o.pool = sh_pool(sh, err);
    o.cancel = sh_cancel(sh);
    sh_progress(sh, "preparing %s weights", vq_weight_format_name(format));
    enum vq_status status = vq_engine_new(out, x->model, &o, err);
    sh_progress_clear(sh);
    return status;
}

static void add(const struct inference *x, const char *path, const struct vq_speed *s,
                const struct vq_engine *e, double limit_flops)
{
    double rate = (double)s->tokens / s->seconds, limit = vq_speed_limit(s, limit_flops);
    sh_bench_add(x->b->sh, &(struct sh_bench_row){
                               .path = path,
                               .tokens = s->tokens,
                               .seconds = s->seconds,
                               .rate = rate,
                               .bytes = s->bytes / s->seconds,
                               .flops = s->flops / s->seconds,
                               .limit_rate = limit,
                               .limit_flops = limit_flops,
                               .fraction = rate / limit,
                               .preset = x->preset,
                               .dtype = vq_weight_format_name(vq_engine_weights(e)),
                               .state = vq_weight_format_name(vq_engine_state(e)),
                               .skipped = s->rows ? (double)s->skipped / (double)s->rows : 0,
                               .backend = vq_gemm_name(vq_engine_gemm(e))});
}

/* As many sequences as were asked for, or as leave the machine most of its memory. */
static int fitting_batch(const struct inference *x, const struct vq_session *s)
{
    int want = (int)sh_opt_int(x->b->a, "batch"), batch = want;
    while (batch > 1 && (uint64_t)batch * vq_session_bytes(s) > sh_machine_memory() / MEMORY_SHARE)
        batch /= 2;
    if (batch < want)
        sh_note(x->b->sh, "states of %d sequences are too large for this machine: %d instead", want,
                batch);
    return batch;
}

static enum vq_status generate(const struct inference *x, const struct vq_engine *e,
                               const struct vq_session *s, int batch, double limit_flops,
                               struct vq_err *err)
{
    struct sh *sh = x->b->sh;
    char path[64];
    struct vq_speed speed;
    const char *format = vq_weight_format_name(vq_engine_weights(e));
    const struct vq_speed_options o = {
        .tokens = LEAST_STEPS,
        .seconds = sh_opt_given(x->b->a, "seconds") ? sh_opt_real(x->b->a, "seconds") : SECONDS,
        .cancel = sh_cancel(sh)};
    if (batch == 1)
        snprintf(path, sizeof(path), "generate %s", format);
    else
        snprintf(path, sizeof(path), "generate %s x%d", format, batch);
    sh_progress(sh, "%s", path);
    enum vq_status status = vq_speed_write(&speed, s, batch, &o, err);
    sh_progress_clear(sh);
    if (status == VQ_OK)
        add(x, path, &speed, e, limit_flops);
    return status;
}

static enum vq_status prefill(const struct inference *x, const struct vq_engine *e,
                              struct vq_session *s, double limit_flops, struct vq_err *err)
{
    struct sh *sh = x->b->sh;
    char path[64];
    struct vq_speed speed;
    const struct vq_speed_options o = {.tokens = PREFILL, .cancel = sh_cancel(sh)};
    snprintf(path, sizeof(path), "prefill %s", vq_weight_format_name(vq_engine_weights(e)));
    sh_progress(sh, "%s", path);
    enum vq_status status = vq_speed_read(&speed, s, &o, err);
    sh_progress_clear(sh);
    if (status == VQ_OK)
        add(x, path, &speed, e, limit_flops);
    return status;
}

/* All of one format; gemm NULL: the back-end in use. */
static enum vq_status one_format(const struct inference *x, enum vq_weight_format format,
                                 const struct vq_gemm *gemm, bool writes, bool reads,
                                 struct vq_err *err)
{
    struct vq_engine *e = NULL;
    struct vq_session *s = NULL;
    const struct vq_limits *l = &x->b->limits;
    double flops = gemm ? l->bf16 : format == VQ_WEIGHT_INT8 && l->int8 > l->f32 ? l->int8 : l->f32;
    enum vq_status status = prepare(x, &e, format, gemm, err);
    if (status == VQ_OK)
        status = vq_speed_session(&s, e, (size_t)sh_opt_int(x->b->a, "position"),
                                  sh_cancel(x->b->sh), err);
    if (status == VQ_OK && reads)
        status = prefill(x, e, s, flops, err);
    if (status == VQ_OK && writes)
        status = generate(x, e, s, 1, flops, err);
    if (status == VQ_OK && writes && sh_opt_int(x->b->a, "batch") > 1)
        status = generate(x, e, s, fitting_batch(x, s), flops, err);
    vq_session_free(s);
    vq_engine_free(e);
    return status;
}

enum vq_status sh_bench_infer(struct sh_benching *b, bool writes, bool reads, struct vq_err *err)
{
    struct inference x = {.b = b};
    const struct vq_gemm *bf16 = vq_gemm_find("bf16");
    enum vq_status status = find_model(&x, err);
    if (status == VQ_OK)
        status = one_format(&x, VQ_WEIGHT_F32, NULL, writes, reads, err);
    if (status == VQ_OK && writes)
        status = one_format(&x, VQ_WEIGHT_BF16, NULL, true, false, err);
    if (status == VQ_OK && writes)
        status = one_format(&x, VQ_WEIGHT_INT8, NULL, true, false, err);
    if (status == VQ_OK && reads && bf16)
        status = one_format(&x, VQ_WEIGHT_BF16, bf16, false, true, err);
    vq_model_free(x.random);
    return status;
}
