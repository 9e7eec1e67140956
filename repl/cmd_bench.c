/*
 * The command bench: what this machine gives, beside what it could give. A bench is a function that
 * adds rows to the listing, and a row of the table below.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/matmul.h"
#include "core/train/bench.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/training.h"

#define COLUMNS                                                                                    \
    "path tokens tokens_per_second gbytes_per_second gflops limit_tokens_per_second fraction "     \
    "preset dtype seconds limit_gflops backend run"

struct bench {
    const char *name;
    /* Measures and adds rows. Failures are reported by the caller from err. */
    enum vq_status (*run)(struct sh *sh, const struct sh_args *a, struct vq_err *err);
};

/* ---- train ---- */

/* As many sequences as make 2048 tokens, unless the user said how many. */
static void small_batch(struct vq_settings *s)
{
    int at = vq_config_field_find("global_batch_size");
    if (s->origin[at] == VQ_FROM_USER)
        return;
    s->v.global_batch_size = s->v.update_len < 2048 ? 2048 / s->v.update_len : 1;
}

static void record(struct sh *sh, const char *dtype, const char *what, double value)
{
    char key[64];
    snprintf(key, sizeof(key), "train %s %s", dtype, what);
    sh_run_result_f64(sh, key, value);
}

static void add_train_row(struct sh *sh, const struct vq_settings *s,
                          const struct vq_train_bench *b)
{
    double rate = (double)b->tokens / b->seconds;
    double done = b->flops * (double)b->updates / b->seconds;
    double limit = rate * b->sgemm / done;
    sh_row(sh);
    sh_str(sh, "path", "train");
    sh_uint(sh, "tokens", b->tokens);
    sh_f64(sh, "tokens_per_second", rate);
    sh_f64(sh, "gflops", done * 1e-9);
    sh_f64(sh, "limit_tokens_per_second", limit);
    sh_f64(sh, "fraction", done / b->sgemm);
    sh_str(sh, "preset", s->preset[0] ? s->preset : NULL);
    sh_str(sh, "dtype", s->v.dtype);
    sh_f64(sh, "seconds", b->seconds);
    sh_f64(sh, "limit_gflops", b->sgemm * 1e-9);
    sh_str(sh, "backend", b->backend);
    sh_str(sh, "run", sh_run_id(sh));
    record(sh, s->v.dtype, "tokens_per_second", rate);
    record(sh, s->v.dtype, "gflops", done * 1e-9);
    record(sh, s->v.dtype, "limit_gflops", b->sgemm * 1e-9);
    record(sh, s->v.dtype, "fraction", done / b->sgemm);
    sh_note(sh,
            "%.4g GFLOP in an update of %llu tokens, %.0f %% of them done again; %.3f s, the "
            "fastest %.3f s",
            b->flops * 1e-9, (unsigned long long)(b->tokens / (uint64_t)b->updates),
            100.0 * b->again / b->flops, b->seconds / (double)b->updates, b->fastest);
}

/* One row: whole updates with one dtype. */
static enum vq_status measure_training(struct sh *sh, const struct sh_args *a,
                                       const struct vq_settings *s, struct vq_err *err)
{
    struct vq_trainer_options o;
    struct vq_train_bench b;
    struct vq_trainer *t = NULL;
    enum vq_status status = sh_trainer_options(sh, a, &s->v, &o, err);
    if (status == VQ_OK)
        status = vq_trainer_new(&t, s, &o, 1, err);
    if (status == VQ_OK) {
        sh_progress(sh, "training %s in %s on random tokens", s->preset, s->v.dtype);
        status = vq_train_bench_run(&b, t, sh_opt_int(a, "updates"), sh_opt_real(a, "seconds"),
                                    sh_cancel(sh), err);
        sh_progress_clear(sh);
    }
    vq_trainer_free(t);
    if (status == VQ_OK)
        add_train_row(sh, s, &b);
    return status;
}

static enum vq_status bench_train(struct sh *sh, const struct sh_args *a, struct vq_err *err)
{
    struct vq_settings s;
    struct vq_model_options from;
    const char **set;
    enum vq_status status = sh_config_options(a, &from, &set, err);
    if (status != VQ_OK)
        return status;
    if (!from.preset && !from.config_path)
        from.preset = "enwik8";
    status = vq_settings_open(&s, &from, err);
    free(set);
    if (status != VQ_OK)
        return status;
    small_batch(&s);
    status = measure_training(sh, a, &s, err);
    bool both = s.origin[vq_config_field_find("dtype")] != VQ_FROM_USER && vq_matmul_has_bf16();
    if (status != VQ_OK || !both)
        return status;
    snprintf(s.v.dtype, sizeof(s.v.dtype), "bfloat16");
    return measure_training(sh, a, &s, err);
}

/* ---- the command ---- */

static const struct bench benches[] = {
    {"train", bench_train},
};
#define BENCHES "train"

static enum sh_rc run_bench(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    enum vq_status status = VQ_OK;
    sh_run_begin(sh, NULL, NULL, NULL);
    sh_list(sh, COLUMNS);
    for (size_t i = 0; status == VQ_OK && i < sizeof(benches) / sizeof(benches[0]); i++)
        if (!sh_arg_count(a) || strcmp(sh_arg(a, 0), benches[i].name) == 0)
            status = benches[i].run(sh, a, &err);
    return status == VQ_OK ? sh_end(sh) : sh_fail(sh, &err);
}

static const struct sh_opt bench_opts[] = {SH_CONFIG_OPTS,
                                           SH_TRAINER_OPTS,
                                           {.name = "updates",
                                            .kind = SH_INT,
                                            .def = "3",
                                            .min = 1,
                                            .max = 1e9,
                                            .help = "train: updates to measure, at least"},
                                           {.name = "seconds",
                                            .kind = SH_REAL,
                                            .def = "3",
                                            .min = 0,
                                            .max = 1e6,
                                            .help = "train: and seconds"},
                                           SH_OPT_END};
static const char *const bench_examples[] = {
    "bench train --preset text-small --updates 1 --seconds 0", NULL};
const struct sh_cmd cmd_bench = {
    .name = "bench",
    .group = "train",
    .args = "[NAME]",
    .summary = "measure speed against what this machine can do",
    .detail =
        "train: whole updates, optimiser included, on random tokens (default preset: enwik8, in "
        "one pass of some 2048 tokens unless global_batch_size is set). gflops counts the matrix "
        "products that were done, those done again to save memory included; limit_gflops is the "
        "rate of plain float32 products on the same threads, measured before and after; fraction "
        "is their ratio, limit_tokens_per_second the speed at which it would be 1. With float32 "
        "and, "
        "where the processor has instructions for it, with bfloat16 (--set dtype= takes one). "
        "Recorded as a run.",
    .examples = bench_examples,
    .max_args = 1,
    .kinds = {SH_CHOICE},
    .pos_choices = BENCHES,
    .opts = bench_opts,
    .run = run_bench,
};
