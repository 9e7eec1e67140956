/*
 * bench: the measurements behind the command bench, a function each, in files of their own.
 */
#ifndef VQ_REPL_BENCH_H
#define VQ_REPL_BENCH_H

#include "core/bench/speed.h"
#include "core/model/config.h"
#include "repl/opt.h"
#include "repl/sh.h"

/* One bench command under way. */
struct sh_benching {
    struct sh *sh;
    const struct sh_args *a;
    bool all; /* no name was given: in some two minutes */
    struct vq_limits limits;
};

/* A row: what was measured, in tokens and operations per second, beside its limit. Fields that are
 * 0 or NULL are left empty. Results of the run are recorded under the path. */
struct sh_bench_row {
    const char *path, *preset, *dtype, *state, *backend, *features;
    uint64_t tokens;
    double seconds, rate, bytes, flops, limit_rate, limit_flops, fraction, skipped;
};
void sh_bench_add(struct sh *sh, const struct sh_bench_row *row);

/* The settings of a model to be measured: --preset (or `preset`), --config, --set. */
enum vq_status sh_bench_settings(struct vq_settings *out, const struct sh_args *a,
                                 const char *preset, struct vq_err *err);
/* Whether --set gave a value for this field. */
bool sh_bench_was_set(const struct vq_settings *s, const char *field);

/* bench_machine.c: the limits, which it leaves in b->limits, and what of the processor is used. */
enum vq_status sh_bench_machine(struct sh_benching *b, struct vq_err *err);
/* bench_infer.c: writing and reading; of both only what is wanted. */
enum vq_status sh_bench_infer(struct sh_benching *b, bool generate, bool prefill,
                              struct vq_err *err);

/* bench_paper.c: a listing of its own. */
enum sh_rc sh_bench_paper(struct sh *sh, const struct sh_args *a);
#define SH_BENCH_PAPER_OPTS                                                                        \
    {.name = "length",                                                                             \
     .kind = SH_INT,                                                                               \
     .many = true,                                                                                 \
     .min = 1,                                                                                     \
     .max = 1 << 26,                                                                               \
     .help = "paper: tokens of a sequence; repeat it (default: 2048 to 131072)"},                  \
        {.name = "repeats",                                                                        \
         .kind = SH_INT,                                                                           \
         .def = "3",                                                                               \
         .min = 1,                                                                                 \
         .max = 31,                                                                                \
         .help = "paper: measurements of which the median is taken"},                              \
        {.name = "patience",                                                                       \
         .kind = SH_REAL,                                                                          \
         .def = "120",                                                                             \
         .min = 0,                                                                                 \
         .max = 1e6,                                                                               \
         .help = "paper: seconds beyond which a quadratic run is extrapolated"},                   \
        {.name = "quick", .kind = SH_FLAG, .help = "paper: two short lengths, once, as a trial"},  \
    {                                                                                              \
        .name = "out", .letter = 'o', .kind = SH_OUTPATH, .value = "F.png|F.svg",                  \
        .help = "paper: a picture of it: .png or .svg"                                             \
    }

#endif
