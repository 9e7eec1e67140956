/*
 * training: what the commands that train have in common: which configuration a new model gets, how
 * much memory training will take, and whether to save it by doing forward passes again.
 */
#ifndef VQ_REPL_TRAINING_H
#define VQ_REPL_TRAINING_H

#include "core/base/text.h"
#include "core/train/trainer.h"
#include "repl/opt.h"

/* The rows of an option table that give a configuration. */
#define SH_CONFIG_OPTS                                                                             \
    {.name = "preset", .kind = SH_PRESET, .help = "configuration to start from"},                  \
        {.name = "config",                                                                         \
         .kind = SH_PATH,                                                                          \
         .value = "FILE",                                                                          \
         .help = "a config.json with the authors' names; replaces the preset's values"},           \
    {                                                                                              \
        .name = "set", .kind = SH_PAIR, .many = true, .help = "one value of the configuration"     \
    }

/* The rows that say how training uses the machine. */
#define SH_TRAINER_OPTS                                                                            \
    {.name = "recompute",                                                                          \
     .kind = SH_CHOICE,                                                                            \
     .def = "auto",                                                                                \
     .choices = "auto on off",                                                                     \
     .help = "keep less in memory and compute it again"},                                          \
    {                                                                                              \
        .name = "rows", .kind = SH_INT, .def = "0", .min = 0, .max = 1 << 24,                      \
        .help = "sequences that go through the model at a time (0: some 2048 tokens)"              \
    }

/* The kinds of data sets, for the help of commands with --data. */
void sh_data_kinds(struct vq_text *to);

/* Bytes as people read them, "1.25 GB", into buf. Returns buf. */
const char *sh_bytes_text(uint64_t bytes, char *buf, size_t len);

/* Bytes of memory that this machine has. */
uint64_t sh_machine_memory(void);

/* The options given, in the form core takes; *set is an array that the caller frees. VQ_ENOMEM. */
enum vq_status sh_config_options(const struct sh_args *a, struct vq_model_options *out,
                                 const char ***set, struct vq_err *err);

/* Threads, back-end and memory for a configuration: fills o, says how much memory training will
 * take, and warns when the machine has less. */
enum vq_status sh_trainer_options(struct sh *sh, const struct sh_args *a, const struct vq_config *c,
                                  struct vq_trainer_options *o, struct vq_err *err);

#endif
