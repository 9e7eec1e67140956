/*
 * The command bench: what this machine gives, beside what it could give. Rows of the listing come
 * from here (training), bench_machine.c and bench_infer.c; bench_paper.c makes a listing of its
 * own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/matmul.h"
#include "core/train/bench.h"
#include "repl/bench.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/training.h"

#define COLUMNS                                                                                    \
    "path tokens tokens_per_second gbytes_per_second gflops limit_tokens_per_second fraction "     \
    "preset dtype state skipped seconds limit_gflops backend features run"
#define HIDDEN "preset dtype state skipped seconds limit_gflops features run"

static void record(struct sh *sh, const char *path, const char *what, double value)
{
    char key[128];
    if (value <= 0)
        return;
    snprintf(key, sizeof(key), "%s %s", path, what);
    sh_run_result_f64(sh, key, value);
}

static void put(struct sh *sh, const char *key, double value)
{
    if (value > 0)
        sh_f64(sh, key, value);
}

void sh_bench_add(struct sh *sh, const struct sh_bench_row *r)
{
    sh_row(sh);
    sh_str(sh, "path", r->path);
    if (r->tokens)
        sh_uint(sh, "tokens", r->tokens);
    put(sh, "tokens_per_second", r->rate);
    put(sh, "gbytes_per_second", r->bytes * 1e-9);
    put(sh, "gflops", r->flops * 1e-9);
    put(sh, "limit_tokens_per_second", r->limit_rate);
    put(sh, "fraction", r->fraction);
    sh_str(sh, "preset", r->preset && *r->preset ? r->preset : NULL);
    sh_str(sh, "dtype", r->dtype);
    sh_str(sh, "state", r->state);
    put(sh, "skipped", r->skipped);
    put(sh, "seconds", r->seconds);
    put(sh, "limit_gflops", r->limit_flops * 1e-9);
    sh_str(sh, "backend", r->backend);
    sh_str(sh, "features", r->features);
    sh_str(sh, "run", sh_run_id(sh));
    record(sh, r->path, "tokens_per_second", r->rate);
    record(sh, r->path, "gbytes_per_second", r->bytes * 1e-9);
    record(sh, r->path, "gflops", r->flops * 1e-9);
    record(sh, r->path, "limit_gflops", r->limit_flops * 1e-9);
    record(sh, r->path, "fraction", r->fraction);
}

static void add_train_row(struct sh_benching *b, const struct vq_settings *s,
                          const struct vq_train_bench *t)
{
    bool half = strcmp(s->v.dtype, "bfloat16") == 0;
    double rate = (double)t->tokens / t->seconds;
    double done = t->flops * (double)t->updates / t->seconds;
    sh_bench_add(b->sh, &(struct sh_bench_row){.path = half ? "train bf16" : "train f32",
                                               .tokens = t->tokens,
                                               .rate = rate,
                                               .flops = done,
                                               .limit_rate = rate * t->limit / done,
                                               .fraction = done / t->limit,
                                               .preset = s->preset,
                                               .dtype = s->v.dtype,
                                               .seconds = t->seconds,
                                               .limit_flops = t->limit,
                                               .backend = t->backend});
    sh_note(b->sh,
            "%.4g GFLOP in an update of %llu tokens, %.0f %% of them done again; %.3f s, the "
            "fastest %.3f s",
            t->flops * 1e-9, (unsigned long long)(t->tokens / (uint64_t)t->updates),
            100.0 * t->again / t->flops, t->seconds / (double)t->updates, t->fastest);
}

enum vq_status sh_bench_settings(struct vq_settings *out, const struct sh_args *a,
                                 const char *preset, struct vq_err *err)
{
    struct vq_model_options from;
    const char **set;
    enum vq_status status = sh_config_options(a, &from, &set, err);
    if (status != VQ_OK)
        return status;
    if (!from.preset && !from.config_path)
        from.preset = preset;
    status = vq_settings_open(out, &from, err);
    free(set);
    return status;
}

bool sh_bench_was_set(const struct vq_settings *s, const char *field)
{
    return s->origin[vq_config_field_find(field)] == VQ_FROM_USER;
}

/* ---- train ---- */

#define UPDATE_TOKENS 2048 /* of an update, unless the user said how many */
#define LESS_TOKENS                                                                                \
    1024 /* of one among all benches, which are to take no longer than they must                   \
          */

/* As many sequences, or as much of one, as make some `tokens`. */
static void cut_update(struct vq_settings *s, int64_t tokens)
{
    struct vq_config *c = &s->v;
    if (c->update_len > tokens && tokens % c->block_len == 0 && c->sequence_len % tokens == 0 &&
        !sh_bench_was_set(s, "update_len"))
        c->update_len = tokens;
    if (!sh_bench_was_set(s, "global_batch_size"))
        c->global_batch_size = c->update_len < tokens ? tokens / c->update_len : 1;
}

/* One row: whole updates with one dtype. */
static enum vq_status measure_training(struct sh_benching *bench, const struct vq_settings *s,
                                       struct vq_err *err)
{
    struct sh *sh = bench->sh;
    const struct sh_args *a = bench->a;
    struct vq_trainer_options o;
    struct vq_train_bench b;
    struct vq_trainer *t = NULL;
    enum vq_status status = sh_trainer_options(sh, a, &s->v, &o, err);
    if (status == VQ_OK)
        status = vq_trainer_new(&t, s, &o, 1, err);
    bool all = bench->all && !sh_opt_given(a, "updates") && !sh_opt_given(a, "seconds");
    int64_t least = all ? 1 : sh_opt_int(a, "updates");
    double seconds = all ? 0 : sh_opt_real(a, "seconds");
    if (status == VQ_OK) {
        sh_progress(sh, "training %s in %s on random tokens", s->preset, s->v.dtype);
        status = vq_train_bench_run(&b, t, least, seconds, sh_cancel(sh), err);
        sh_progress_clear(sh);
    }
    vq_trainer_free(t);
    if (status == VQ_OK)
        add_train_row(bench, s, &b);
    return status;
}

/* What the user asked for, else the configuration of the current model, else enwik8's. */
static enum vq_status train_settings(struct sh_benching *b, struct vq_settings *s,
                                     struct vq_err *err)
{
    const struct sh_args *a = b->a;
    struct sh_model *m = sh_model_current(b->sh);
    if (!m || sh_opt_given(a, "preset") || sh_opt_given(a, "config") || sh_opt_given(a, "set"))
        return sh_bench_settings(s, a, "enwik8", err);
    *s = *vq_model_settings(m->model);
    return VQ_OK;
}

static enum vq_status bench_train(struct sh_benching *b, struct vq_err *err)
{
    struct vq_settings s;
    enum vq_status status = train_settings(b, &s, err);
    if (status != VQ_OK)
        return status;
    cut_update(&s, b->all ? LESS_TOKENS : UPDATE_TOKENS);
    status = measure_training(b, &s, err);
    bool both = !sh_bench_was_set(&s, "dtype") && vq_matmul_has_bf16();
    if (status != VQ_OK || !both)
        return status;
    snprintf(s.v.dtype, sizeof(s.v.dtype), "bfloat16");
    return measure_training(b, &s, err);
}

/* ---- the command ---- */

#define BENCHES "machine generate prefill train paper"

static enum sh_rc run_bench(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    const char *name = sh_arg_count(a) ? sh_arg(a, 0) : "";
    struct sh_benching b = {.sh = sh, .a = a, .all = !*name};
    bool writes = b.all || strcmp(name, "generate") == 0;
    bool reads = b.all || strcmp(name, "prefill") == 0;
    sh_run_begin(sh, NULL, NULL, NULL);
    if (strcmp(name, "paper") == 0)
        return sh_bench_paper(sh, a);
    sh_list(sh, COLUMNS);
    sh_columns_hidden(sh, HIDDEN);
    enum vq_status status = VQ_OK;
    if (strcmp(name, "train") != 0)
        status = sh_bench_machine(&b, &err);
    if (status == VQ_OK && (writes || reads))
        status = sh_bench_infer(&b, writes, reads, &err);
    if (status == VQ_OK && (b.all || strcmp(name, "train") == 0))
        status = bench_train(&b, &err);
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
                                            .help = "train, generate: and seconds (generate: 1)"},
                                           {.name = "batch",
                                            .kind = SH_INT,
                                            .def = "16",
                                            .min = 1,
                                            .max = 4096,
                                            .help = "generate: sequences, besides one alone"},
                                           {.name = "position",
                                            .kind = SH_INT,
                                            .min = 0,
                                            .max = 1 << 30,
                                            .help = "generate: tokens read before (default: 0, for "
                                                    "window and codes)"},
                                           SH_BENCH_PAPER_OPTS,
                                           SH_OPT_END};
static const char *const bench_examples[] = {
    "bench machine", "bench generate --batch 4 --seconds 0.1",
    "bench train --preset text-small --updates 1 --seconds 0",
    "bench paper --quick --out paper.png", NULL};
const struct sh_cmd cmd_bench = {
    .name = "bench",
    .group = "train",
    .args = "[NAME]",
    .summary = "measure speed against what this machine can do",
    .detail =
        "Without NAME all but paper, in some two minutes, on the current model or, where there is "
        "none or a configuration is given, on one of random weights (default preset: enwik8). "
        "fraction says how near a path comes to what the machine allows, limit_tokens_per_second "
        "what that would be: the slower of reading the bytes from memory and making the products, "
        "both measured in the same run. Recorded as a run.\n\n"
        "machine: the limits: bytes per second from memory, products in float32, bfloat16 and "
        "int8 on all threads; what of the processor is used; which kernels OpenBLAS picked.\n\n"
        "generate: token by token, one sequence and --batch of them, with weights in f32, bf16 and "
        "int8, window and aggregate in use, values kept as `set state` and skipped as `set skip` "
        "says (help load). Bytes are those that a token needs: all weights but other tokens' "
        "embeddings, the values of non-zero weight, codes and counts; skipped is the share of "
        "values that were not read. Where all that fits into the cache, memory is no limit.\n\n"
        "prefill: reading in blocks, in f32 and, where the processor has instructions for it, with "
        "products in bfloat16 (set gemm bf16).\n\n"
        "train: whole updates, optimiser included, on random tokens, in one pass of some 2048 "
        "tokens unless global_batch_size is set. gflops counts the matrix products that were done, "
        "those done again to save memory included; the limit is the rate of plain products of the "
        "same kind, measured before and after. In float32 and, where the processor has "
        "instructions for it, in bfloat16 (--set dtype= takes one).\n\n"
        "paper: tokens per second of Transformer-VQ beside two quadratic models of the same shape "
        "with the same kernels, at growing lengths: forward, forward+backward and generation. "
        "dense computes the whole T x T, as the paper's rival does; blocked leaves out what the "
        "causal mask would throw away. One sequence, gradients through all of it, one layer unless "
        "--set n_layer says otherwise (default preset: enwik8, the shape of the paper's). What "
        "would take a quadratic model longer than --patience is extrapolated from the two lengths "
        "before, and said to be; before the first length, parts of it are tried. "
        "Takes some ten minutes on two cores.",
    .examples = bench_examples,
    .max_args = 1,
    .kinds = {SH_CHOICE},
    .pos_choices = BENCHES,
    .opts = bench_opts,
    .run = run_bench,
};
