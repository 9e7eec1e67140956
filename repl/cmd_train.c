/*
 * The command train: from options to a trainer and its data, and what is told while it runs.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/checkpoint.h"
#include "core/train/train.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/signals.h"
#include "repl/training.h"

struct training {
    struct sh *sh;
    const struct sh_args *args;
    struct vq_settings settings;
    struct vq_model *from; /* the model of --from, or NULL */
    struct vq_checkpoint checkpoint;
    struct vq_vocab *vocab;
    struct vq_batches source, valid;
    struct vq_trainer *trainer;
    uint64_t seed;
    uint16_t *token_bytes; /* NULL: ids stand for no bytes */
    const char *place;     /* where in the source to begin; NULL: at its beginning */
    bool told;             /* what a second Ctrl-C would do */
};

/* ---- the configuration ---- */

static enum vq_status settle(struct training *t, struct vq_err *err)
{
    struct vq_model_options o;
    const char **set;
    enum vq_status status = sh_config_options(t->args, &o, &set, err);
    if (status != VQ_OK)
        return status;
    if (sh_opt_given(t->args, "from")) {
        status = vq_model_open(&t->from, sh_opt_text(t->args, "from"), &o, err);
        if (status == VQ_OK)
            t->settings = *vq_model_settings(t->from);
        if (status == VQ_OK && *vq_model_note(t->from))
            sh_note(t->sh, "%s", vq_model_note(t->from));
        if (status == VQ_OK)
            status = vq_checkpoint_look(&t->checkpoint, vq_model_ckpt(t->from), err);
    } else if (!o.preset && !o.config_path) {
        status = vq_fail(err, VQ_EINVAL,
                         "a new model needs a configuration: give --preset or --config, or --from "
                         "a checkpoint");
    } else {
        status = vq_settings_open(&t->settings, &o, err);
    }
    free(set);
    return status;
}

/* --seed; else that of the run that is resumed; else the configuration's; else the setting. */
static void choose_seed(struct training *t)
{
    const uint64_t *given = sh_opt_seed(t->args, "seed");
    int at = vq_config_field_find("prng_seed");
    uint64_t configured = (uint64_t)t->settings.v.prng_seed;
    if (!given && t->checkpoint.generator && !sh_opt_flag(t->args, "params-only"))
        t->seed = t->checkpoint.seed;
    else if (!given && t->settings.origin[at] > VQ_FROM_SHAPES)
        t->seed = configured;
    else
        t->seed = sh_seed(t->sh, given);
}

/* The file says how many sequences of what length it holds; --set may not say otherwise. */
static enum vq_status follow_source(struct training *t, struct vq_err *err)
{
    const struct {
        const char *name;
        int64_t *value;
        size_t found;
    } sizes[] = {{"global_batch_size", &t->settings.v.global_batch_size, t->source.batch},
                 {"sequence_len", &t->settings.v.sequence_len, t->source.length}};
    for (size_t i = 0; i < 2; i++) {
        if (*sizes[i].value == (int64_t)sizes[i].found)
            continue;
        if (t->settings.origin[vq_config_field_find(sizes[i].name)] == VQ_FROM_USER)
            return vq_fail(err, VQ_EINVAL, "%s: --set says %" PRId64 ", but %s gives %zu",
                           sizes[i].name, *sizes[i].value, sh_opt_text(t->args, "tokens"),
                           sizes[i].found);
        sh_note(t->sh, "%s is %zu, as in %s (the configuration says %" PRId64 ")", sizes[i].name,
                sizes[i].found, sh_opt_text(t->args, "tokens"), *sizes[i].value);
        *sizes[i].value = (int64_t)sizes[i].found;
    }
    return VQ_OK;
}

static enum vq_status open_data(struct training *t, const char *spec, enum vq_split split,
                                struct vq_batches *out, struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    const struct vq_data_options o = {.vocab = t->vocab,
                                      .split = split,
                                      .batch = (size_t)c->global_batch_size,
                                      .sequence_len = (size_t)c->sequence_len,
                                      .shuffled = split == VQ_TRAIN,
                                      .seed = t->seed,
                                      .pool = sh_pool(t->sh, err),
                                      .cancel = sh_cancel(t->sh)};
    struct vq_data *data;
    if (!o.pool)
        return err->code;
    enum vq_status status = vq_batches_data(out, spec, &o, &data, err);
    if (status != VQ_OK)
        return status;
    struct vq_data_info info = vq_data_info(data);
    char size[32];
    sh_note(t->sh, "%s: %s of %s, %" PRIu64 " %s, %s", vq_split_name(split), info.kind, info.path,
            info.documents, info.documents == 1 ? "document" : "documents",
            sh_bytes_text(info.bytes, size, sizeof(size)));
    return VQ_OK;
}

static bool is_npy(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".npy");
}

/* Validation: what --valid names, or that split of the data. */
static enum vq_status open_validation(struct training *t, struct vq_err *err)
{
    const char *given = sh_opt_text(t->args, "valid"), *data = sh_opt_text(t->args, "data");
    if (!sh_opt_int(t->args, "valid-every"))
        return VQ_OK;
    if (given && is_npy(given) && !strchr(given, ':'))
        return vq_batches_tokens(&t->valid, given, t->settings.v.n_vocab, err);
    return open_data(t, given ? given : data, VQ_VALIDATION, &t->valid, err);
}

static enum vq_status open_source(struct training *t, struct vq_err *err)
{
    enum vq_status status;
    if (sh_opt_given(t->args, "data"))
        return open_data(t, sh_opt_text(t->args, "data"), VQ_TRAIN, &t->source, err);
    status =
        vq_batches_tokens(&t->source, sh_opt_text(t->args, "tokens"), t->settings.v.n_vocab, err);
    return status == VQ_OK ? follow_source(t, err) : status;
}

static enum vq_status count_token_bytes(struct training *t, struct vq_err *err)
{
    size_t n = (size_t)t->settings.v.n_vocab;
    char buf[1024];
    enum vq_status status = vq_vocab_open(&t->vocab, t->settings.v.vocab, (int)n, err);
    if (status != VQ_OK) {
        vq_err_prefix(err, "vocab");
        return status;
    }
    if (!vq_vocab_is_text(t->vocab) && !vq_vocab_is_image(t->vocab))
        return VQ_OK;
    t->token_bytes = vq_alloc(n, sizeof(*t->token_bytes));
    if (!t->token_bytes)
        return vq_nomem(err, "bytes of tokens", n, sizeof(*t->token_bytes));
    for (size_t i = 0; i < n; i++)
        t->token_bytes[i] = (uint16_t)vq_vocab_bytes(t->vocab, (int32_t)i, buf, sizeof(buf));
    return VQ_OK;
}

/* ---- the trainer ---- */

/* Where in the data to go on, and what to do with an unfinished sequence of other data. */
static void find_place(struct training *t, bool inside)
{
    const struct vq_checkpoint *c = &t->checkpoint;
    bool same = c->identity && !strcmp(c->identity, t->source.identity);
    t->place = same ? c->place : NULL;
    if (same)
        return;
    if (inside) {
        vq_train_state_reset(t->trainer->state);
        t->trainer->sequence++;
    }
    sh_note(t->sh, "%s: training begins at the start of the data given",
            c->identity ? "the checkpoint was trained on other data"
                        : "the checkpoint does not tell its place in the data");
}

static enum vq_status restore(struct training *t, struct vq_err *err)
{
    bool inside, params_only = sh_opt_flag(t->args, "params-only");
    const struct vq_checkpoint *c = &t->checkpoint;
    enum vq_status status = vq_checkpoint_restore(t->trainer, c, params_only, &inside, err);
    if (status != VQ_OK || params_only)
        return status;
    if (!c->optimiser)
        sh_note(t->sh, "the checkpoint holds no optimiser state: training begins at step 0");
    if (sh_opt_given(t->args, "seed"))
        t->trainer->seed = t->seed;
    find_place(t, inside);
    return VQ_OK;
}

static enum vq_status make_trainer(struct training *t, struct vq_err *err)
{
    struct vq_trainer_options o;
    enum vq_status status = sh_trainer_options(t->sh, t->args, &t->settings.v, &o, err);
    if (status == VQ_OK && !sh_opt_given(t->args, "rows") && t->checkpoint.generator)
        o.rows = t->checkpoint.rows;
    if (status == VQ_OK)
        status = vq_trainer_new(&t->trainer, &t->settings, &o, t->seed, err);
    return status == VQ_OK && t->from ? restore(t, err) : status;
}

/* ---- what is told ---- */

static void on_metric(void *ud, const char *name, int64_t step, double value)
{
    const struct training *t = ud;
    sh_run_metric(t->sh, name, step, value);
}

static const char *time_text(double seconds, char *buf, size_t len)
{
    if (!(seconds < 1e9))
        snprintf(buf, len, "?");
    else if (seconds < 90)
        snprintf(buf, len, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(buf, len, "%.0f min", seconds / 60);
    else
        snprintf(buf, len, "%.0f h %02.0f min", floor(seconds / 3600),
                 floor(fmod(seconds, 3600) / 60));
    return buf;
}

static void on_progress(void *ud, const struct vq_train_progress *p)
{
    const struct training *t = ud;
    char left[32], loss[48] = "", bits[48] = "";
    if (p->judging) {
        sh_progress(t->sh, "step %" PRId64 ", validation: %" PRIu64 " tokens", p->step, p->judged);
        return;
    }
    if (!isnan(p->loss))
        snprintf(loss, sizeof(loss), ", loss %.4f", p->loss);
    if (!isnan(p->bits_per_byte))
        snprintf(bits, sizeof(bits), " (%.3f bits per byte)", p->bits_per_byte);
    sh_progress(t->sh, "step %" PRId64 " of %" PRId64 "%s%s, %.0f tokens/s, %s left", p->step,
                p->end, loss, bits, p->tokens_per_second,
                time_text(p->seconds_left, left, sizeof(left)));
}

static void on_judged(void *ud, int64_t step, double loss, bool best)
{
    const struct training *t = ud;
    sh_note(t->sh, "step %" PRId64 ": validation loss %.5f%s", step, loss,
            best ? ", the best so far" : "");
}

static void on_saved(void *ud, int64_t step, const char *path, uint64_t bytes)
{
    const struct training *t = ud;
    char size[32];
    (void)step;
    sh_note(t->sh, "wrote %s (%s)", path, sh_bytes_text(bytes, size, sizeof(size)));
}

static void record_result(struct sh *sh, const struct vq_train_result *r)
{
    sh_run_result_int(sh, "step", r->step);
    if (r->updates) {
        if (!isnan(r->loss))
            sh_run_result_f64(sh, "loss", r->loss);
        if (!isnan(r->bits_per_byte))
            sh_run_result_f64(sh, "bits_per_byte", r->bits_per_byte);
        sh_run_result_int(sh, "tokens", (int64_t)r->tokens);
        sh_run_result_f64(sh, "seconds", r->seconds);
        sh_run_result_f64(sh, "tokens_per_second", r->tokens_per_second);
    }
    if (!isnan(r->valid_loss)) {
        sh_run_result_f64(sh, "valid_loss", r->valid_loss);
        sh_run_result_int(sh, "valid_step", r->valid_step);
    }
    if (r->path)
        sh_run_file(sh, "checkpoint", r->path);
}

static void real_or_null(struct sh *sh, const char *key, double value)
{
    if (isnan(value))
        sh_null(sh, key);
    else
        sh_f64(sh, key, value);
}

static enum sh_rc report(const struct training *t, const struct vq_train_result *r)
{
    struct sh *sh = t->sh;
    sh_record(sh);
    sh_int(sh, "step", r->step);
    real_or_null(sh, "loss", r->loss);
    real_or_null(sh, "bits_per_byte", r->bits_per_byte);
    sh_uint(sh, "tokens", r->tokens);
    sh_f64(sh, "seconds", r->seconds);
    sh_f64(sh, "tokens_per_second", r->tokens_per_second);
    sh_str(sh, "path", r->path);
    real_or_null(sh, "valid_loss", r->valid_loss);
    if (r->valid_step >= 0)
        sh_int(sh, "valid_step", r->valid_step);
    else
        sh_null(sh, "valid_step");
    sh_uint(sh, "seed", t->trainer->seed);
    sh_str(sh, "run", sh_run_id(sh));
    return sh_end(sh);
}

/* ---- the command ---- */

/* Updates of wide models take minutes: the first Ctrl-C lets the one under way be finished, the
 * second gives it up. Polled inside updates, and so the place to say it. */
static bool abandons(void *ud)
{
    struct training *t = ud;
    if (sh_signals_interrupted() && !t->told)
        sh_note(t->sh, "this update will be finished and saved; Ctrl-C again gives it up");
    t->told = t->told || sh_signals_interrupted();
    return sh_signals_interrupted() > 1;
}

static enum sh_rc train(struct training *t)
{
    const struct sh_args *a = t->args;
    struct vq_err err = {0};
    struct vq_train_result result;
    const struct vq_cancel abandon = {.poll = abandons, .ud = t};
    const struct vq_train_options o = {.folder = sh_opt_text(a, "out"),
                                       .flax = !strcmp(sh_opt_text(a, "save-as"), "flax"),
                                       .overwrite = sh_opt_flag(a, "overwrite"),
                                       .steps = sh_opt_int(a, "steps"),
                                       .save_every = sh_opt_int(a, "save-every"),
                                       .valid_every = sh_opt_int(a, "valid-every"),
                                       .valid_tokens = (uint64_t)sh_opt_int(a, "valid-tokens"),
                                       .keep = (size_t)sh_opt_int(a, "keep"),
                                       .metrics_every = sh_opt_int(a, "metrics-every"),
                                       .token_bytes = t->token_bytes,
                                       .place = t->place,
                                       .cancel = sh_cancel(t->sh),
                                       .abandon = &abandon,
                                       .ud = t,
                                       .metric = on_metric,
                                       .progress = on_progress,
                                       .judged = on_judged,
                                       .saved = on_saved};
    enum vq_status status = vq_train_run(&result, t->trainer, &t->source, &t->valid, &o, &err);
    sh_progress_clear(t->sh);
    record_result(t->sh, &result);
    if (status == VQ_ENUM && result.path)
        sh_note(t->sh, "the last good step is in %s", result.path);
    else if (status != VQ_OK && result.path)
        sh_note(t->sh, "train --from %s goes on from here", result.path);
    enum sh_rc rc = status == VQ_OK ? report(t, &result) : sh_fail(t->sh, &err);
    vq_train_result_release(&result);
    return rc;
}

static void release(struct training *t)
{
    vq_trainer_free(t->trainer);
    vq_batches_release(&t->source);
    vq_batches_release(&t->valid);
    vq_checkpoint_release(&t->checkpoint);
    vq_vocab_free(t->vocab);
    vq_model_free(t->from);
    free(t->token_bytes);
}

static enum sh_rc check_options(struct sh *sh, const struct sh_args *a)
{
    if (!sh_opt_given(a, "out"))
        return sh_bad_arg(sh, 0, "where should checkpoints go? give --out FOLDER");
    if (sh_opt_given(a, "tokens") && sh_opt_given(a, "data"))
        return sh_bad_arg(sh, sh_opt_word(a, "tokens"), "give --data or --tokens, not both");
    if (!sh_opt_given(a, "tokens") && !sh_opt_given(a, "data"))
        return sh_bad_arg(sh, 0, "what should be learned? give --data PATH or --tokens F.npy");
    if (sh_opt_int(a, "valid-every") && !sh_opt_given(a, "valid") && !sh_opt_given(a, "data"))
        return sh_bad_arg(sh, sh_opt_word(a, "valid-every"), "validation of what? give --valid");
    return SH_OK;
}

static enum sh_rc run_train(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct training t = {.sh = sh, .args = a};
    enum sh_rc rc = check_options(sh, a);
    if (rc != SH_OK)
        return rc;
    enum vq_status status = settle(&t, &err);
    if (status == VQ_OK && sh_opt_given(a, "data"))
        status = vq_trainer_check(&t.settings.v, &err);
    if (status == VQ_OK)
        status = count_token_bytes(&t, &err);
    if (status == VQ_OK) {
        choose_seed(&t);
        status = open_source(&t, &err);
    }
    if (status == VQ_OK)
        status = open_validation(&t, &err);
    if (status == VQ_OK) {
        sh_run_begin_new(sh, &t.settings, &t.seed);
        status = make_trainer(&t, &err);
    }
    rc = status == VQ_OK ? train(&t) : sh_fail(sh, &err);
    release(&t);
    return rc;
}

static const struct sh_opt train_opts[] = {
    {.name = "out",
     .letter = 'o',
     .kind = SH_OUTPATH,
     .value = "FOLDER",
     .help = "where checkpoints go; made if need be"},
    SH_CONFIG_OPTS,
    {.name = "from", .kind = SH_PATH, .value = "CKPT", .help = "checkpoint to go on from"},
    {.name = "params-only",
     .kind = SH_FLAG,
     .help = "take parameters alone from it: step, optimiser and data begin anew"},
    {.name = "data",
     .letter = 'd',
     .kind = SH_PATH,
     .value = "PATH",
     .help = "data set: a file, a folder, or KIND:PATH"},
    {.name = "tokens",
     .kind = SH_PATH,
     .value = "F.npy",
     .help = "int32 targets, [C,B,T] or [B,T]: batches of sequences, used in order"},
    {.name = "steps",
     .letter = 'n',
     .kind = SH_INT,
     .def = "0",
     .min = 0,
     .max = 1e15,
     .help = "updates to make now (0: to the end of the schedule, or of the tokens)"},
    {.name = "save-every",
     .kind = SH_INT,
     .def = "1000",
     .min = 0,
     .max = 1e15,
     .help = "updates between checkpoints (0: only at the end)"},
    {.name = "save-as",
     .kind = SH_CHOICE,
     .def = "safetensors",
     .choices = "safetensors flax",
     .help = "flax: the authors' folder layout, and generator_<step> beside it"},
    {.name = "keep",
     .kind = SH_INT,
     .def = "0",
     .min = 0,
     .max = 1e6,
     .help = "keep the best K by validation and the newest (0: all)"},
    {.name = "valid",
     .kind = SH_PATH,
     .value = "PATH",
     .help = "validation data (default: that split of --data)"},
    {.name = "valid-every",
     .kind = SH_INT,
     .def = "0",
     .min = 0,
     .max = 1e15,
     .help = "updates between validations (0: none); each is saved"},
    {.name = "valid-tokens",
     .kind = SH_INT,
     .def = "0",
     .min = 0,
     .max = 1e15,
     .help = "tokens of a validation, about (0: all)"},
    {.name = "seed",
     .letter = 's',
     .kind = SH_SEED,
     .help = "of a fresh start: parameters, order and dropout"},
    {.name = "metrics-every",
     .kind = SH_INT,
     .def = "10",
     .min = 0,
     .max = 1e15,
     .help = "updates between measurements of the codebooks (0: none)"},
    SH_TRAINER_OPTS,
    {.name = "overwrite",
     .kind = SH_FLAG,
     .help = "remove checkpoints in FOLDER that are further on than the start"},
    SH_OPT_END};
static const char *const train_examples[] = {
    "train --out runs/tiny --preset text-tiny --data README.md --set global_batch_size=1 --steps 2",
    "train --out runs/tiny --from runs/tiny --data README.md --steps 1", NULL};
const struct sh_cmd cmd_train = {
    .name = "train",
    .group = "train",
    .args = "--out FOLDER --data PATH | --tokens F.npy",
    .summary = "train a model, or go on training one",
    .detail =
        "A new model takes its configuration from --preset, --config and --set. --from goes on "
        "from a checkpoint: one of ours exactly as if it had never stopped (give the same data), "
        "one of the authors' with its optimiser. --steps counts updates from there. FOLDER gets "
        "checkpoint_<step>.safetensors, which hold all that resuming needs; `load` opens them.\n\n"
        "Memory is estimated before anything is done. Losses, gradient norm, learning rate, speed "
        "and the codebooks' metrics go to the run database as they come: `run`, `plot`. Ctrl-C "
        "finishes the update, saves, and returns; a second one gives the update up, and its "
        "sequences begin again when training goes on. A loss that is not finite ends training, "
        "with the last good step saved.",
    .list = sh_data_kinds,
    .examples = train_examples,
    .opts = train_opts,
    .run = run_train,
};
