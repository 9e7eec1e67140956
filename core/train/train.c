#include "core/train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/train/checkpoint.h"
#include "core/train/kept.h"
#include "core/vocab/vocab.h"

#define SMOOTH 0.05 /* weight of the newest update in the progress line */

struct loop {
    struct vq_trainer *t;
    struct vq_batches *source, *valid;
    const struct vq_train_options *o;
    struct vq_train_result *out;
    struct vq_kept kept;
    struct vq_train_state *judge; /* attention state of validation */
    int32_t *targets;             /* [B, T] the present batch of sequences */
    int32_t *judged;              /* the same for validation */
    struct vq_text place;         /* where the present batch begins */
    struct vq_text first;         /* where validation begins */
    int64_t end;                  /* the last step to make */
    int64_t saved;                /* step of the last checkpoint; -1: none yet */
    double loss, bits;            /* smoothed, for the progress line */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- before ---- */

static enum vq_status go_to(struct vq_batches *s, const char *place, struct vq_err *err)
{
    struct vq_json *doc;
    enum vq_status st = vq_json_parse(&doc, place, strlen(place), err);
    if (!st)
        st = s->seek(s->ud, vq_json_root(doc), err);
    vq_json_free(doc);
    if (st)
        vq_err_prefix(err, "the place in the data");
    return st;
}

static enum vq_status tell(const struct vq_batches *s, struct vq_text *place, struct vq_err *err)
{
    vq_text_release(place);
    s->tell(s->ud, place);
    return place->failed ? vq_nomem(err, "a place in the data", place->len, 1) : VQ_OK;
}

static enum vq_status next_batch(struct loop *l, struct vq_err *err)
{
    size_t rows;
    enum vq_status st = tell(l->source, &l->place, err);
    if (!st)
        st = l->source->next(l->source->ud, l->targets, &rows, err);
    return !st && !rows ? vq_fail(err, VQ_ENOTFOUND, "the data is at its end") : st;
}

static enum vq_status check_source(const struct vq_batches *s, const struct vq_trainer *t,
                                   const char *name, struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    if (s->batch == (size_t)c->global_batch_size && s->length == (size_t)c->sequence_len)
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL,
                   "%s gives %zu sequences of %zu tokens, but global_batch_size is %" PRId64
                   " and sequence_len %" PRId64,
                   name, s->batch, s->length, c->global_batch_size, c->sequence_len);
}

/* Sets the last step: what was asked for, or as far as schedule and source go. */
static enum vq_status find_end(struct loop *l, struct vq_err *err)
{
    const struct vq_config *c = &l->t->settings.v;
    int64_t step = l->t->step, batches = l->source->left(l->source->ud);
    int64_t left =
        batches < 0 ? INT64_MAX : batches * vq_trainer_updates(l->t) - vq_trainer_update_at(l->t);
    int64_t scheduled = c->n_max_step + c->n_extra_step - step;
    if (l->o->steps > left)
        return vq_fail(err, VQ_EINVAL,
                       "steps: %" PRId64 " were asked for, but the tokens give %" PRId64,
                       l->o->steps, left);
    if (!l->o->steps && batches < 0 && scheduled <= 0)
        return vq_fail(err, VQ_EINVAL,
                       "the schedule is over: at step %" PRId64 ", n_max_step %" PRId64
                       " and n_extra_step %" PRId64 " leave nothing to do; give --steps, or a "
                       "larger n_max_step",
                       step, c->n_max_step, c->n_extra_step);
    if (left <= 0)
        return vq_fail(err, VQ_EINVAL, "the tokens are used up: there is no update left");
    l->end = step + (l->o->steps ? l->o->steps : batches < 0 ? scheduled : left);
    return VQ_OK;
}

/* The folder, and whether another run's checkpoints are in the way. */
static enum vq_status prepare_folder(struct loop *l, struct vq_err *err)
{
    const char *folder = l->o->folder;
    enum vq_status st = vq_kept_open(&l->kept, folder, l->o->keep, err);
    if (st)
        return st;
    int64_t highest = vq_kept_highest(folder);
    if (highest <= l->t->step)
        return VQ_OK;
    if (l->o->overwrite)
        return vq_kept_remove_after(&l->kept, l->t->step, err);
    return vq_fail(err, VQ_EINVAL,
                   "%s holds checkpoint_%" PRId64 ", and this run begins at step %" PRId64
                   ": go on from it (--from), take another folder, or --overwrite it",
                   folder, highest, l->t->step);
}

static enum vq_status prepare_validation(struct loop *l, struct vq_err *err)
{
    const struct vq_config *c = &l->t->settings.v;
    size_t B = (size_t)c->global_batch_size, T = (size_t)c->sequence_len;
    if (!l->o->valid_every)
        return VQ_OK;
    enum vq_status st = check_source(l->valid, l->t, "validation", err);
    if (!st)
        st = vq_train_state_new(&l->judge, c, B, err);
    l->judged = st ? NULL : vq_alloc(B, T * sizeof(*l->judged));
    if (!st && !l->judged)
        st = vq_nomem(err, "validation targets", B, T * sizeof(*l->judged));
    return st ? st : tell(l->valid, &l->first, err);
}

static enum vq_status prepare(struct loop *l, struct vq_err *err)
{
    const struct vq_config *c = &l->t->settings.v;
    size_t B = (size_t)c->global_batch_size, T = (size_t)c->sequence_len;
    enum vq_status st = check_source(l->source, l->t, "the data", err);
    if (!st && l->o->place)
        st = go_to(l->source, l->o->place, err);
    if (!st)
        st = find_end(l, err);
    if (!st)
        st = prepare_folder(l, err);
    if (!st)
        st = prepare_validation(l, err);
    l->targets = st ? NULL : vq_alloc(B, T * sizeof(*l->targets));
    if (!st && !l->targets)
        st = vq_nomem(err, "targets", B, T * sizeof(*l->targets));
    /* A run that stopped inside a sequence goes on with the same batch. */
    return !st && l->t->state->position > 0 ? next_batch(l, err) : st;
}

/* ---- telling ---- */

static uint64_t count_bytes(const struct loop *l, const int32_t *targets)
{
    const struct vq_config *c = &l->t->settings.v;
    size_t T = (size_t)c->sequence_len, U = (size_t)c->update_len;
    uint64_t bytes = 0;
    for (size_t b = 0; b < (size_t)c->global_batch_size && l->o->token_bytes; b++)
        for (size_t t = 0; t < U; t++)
            bytes += l->o->token_bytes[targets[b * T + t]];
    return bytes;
}

static void tell_metric(const struct loop *l, const char *name, double value)
{
    if (l->o->metric)
        l->o->metric(l->o->ud, name, l->t->step, value);
}

static void tell_update(const struct loop *l, const struct vq_trainer_report *r, double seconds)
{
    const char *name;
    double value;
    for (size_t i = 0; (name = vq_trainer_metric(r, i, &value)); i++)
        if (!isnan(value))
            tell_metric(l, name, value);
    if (r->update.counted && !isnan(l->out->bits_per_byte))
        tell_metric(l, "bits_per_byte", l->out->bits_per_byte);
    tell_metric(l, "tokens_per_second", (double)r->update.counted / seconds);
}

static void tell_progress(const struct loop *l, bool judging, uint64_t judged)
{
    const struct vq_train_result *r = l->out;
    double each = r->updates ? r->seconds / (double)r->updates : NAN;
    const struct vq_train_progress p = {.step = l->t->step,
                                        .end = l->end,
                                        .loss = l->loss,
                                        .bits_per_byte = l->bits,
                                        .tokens_per_second = r->tokens_per_second,
                                        .seconds_left = (double)(l->end - l->t->step) * each,
                                        .judging = judging,
                                        .judged = judged};
    if (l->o->progress)
        l->o->progress(l->o->ud, &p);
}

/* ---- an update ---- */

/* A running mean that begins with its first value. */
static double smoothed(double mean, double value)
{
    return isnan(mean) || isnan(value) ? value : mean + SMOOTH * (value - mean);
}

static void account(struct loop *l, const struct vq_trainer_report *r, uint64_t bytes,
                    double seconds)
{
    struct vq_train_result *out = l->out;
    out->updates++;
    out->step = l->t->step;
    out->tokens += r->update.counted;
    out->seconds += seconds;
    out->tokens_per_second = (double)out->tokens / out->seconds;
    if (r->update.counted == 0)
        return; /* nothing but padding: there is no loss to speak of */
    double nats = r->loss * (double)r->update.counted;
    out->loss = r->loss;
    out->bits_per_byte = bytes ? nats / log(2.0) / (double)bytes : NAN;
    l->loss = smoothed(l->loss, out->loss);
    l->bits = smoothed(l->bits, out->bits_per_byte);
}

/* The next batch of sequences, when the last one is done. */
static enum vq_status fetch(struct loop *l, struct vq_err *err)
{
    return l->t->state->position > 0 ? VQ_OK : next_batch(l, err);
}

static enum vq_status save(struct loop *l, double loss, struct vq_err *err);

/* What an update that went wrong, or was given up, leaves behind: parameters of the last good step
 * are saved, with the present batch to begin again, since its attention state is gone. */
static void save_last_good(struct loop *l, bool intact, struct vq_err *err)
{
    struct vq_err why = {0};
    if (!intact || l->saved == l->t->step || !l->out->updates)
        return;
    vq_train_state_reset(l->t->state);
    if (go_to(l->source, l->place.data, &why) || save(l, NAN, &why))
        vq_err_prefix(err, "the last good step could not be saved (%.200s); why it was the last",
                      why.msg);
}

/* Whether the update to come is one whose codebooks are measured; the first and the last are. */
static bool measures(const struct loop *l)
{
    int64_t next = l->t->step + 1, every = l->o->metrics_every;
    return every && (l->out->updates == 0 || next == l->end || next % every == 0);
}

static enum vq_status update(struct loop *l, struct vq_err *err)
{
    const struct vq_config *c = &l->t->settings.v;
    struct vq_trainer_report r;
    bool intact;
    enum vq_status st = fetch(l, err);
    if (st)
        return st;
    const int32_t *targets = l->targets + l->t->state->position;
    uint64_t bytes = count_bytes(l, targets);
    double start = now();
    st = vq_trainer_step(l->t, targets, (size_t)c->sequence_len, measures(l), l->o->abandon, &r,
                         &intact, err);
    if (st == VQ_ECANCELLED)
        vq_fail(err, st, "interrupted; update %" PRId64 " was given up", l->t->step + 1);
    if (st == VQ_ENUM || st == VQ_ECANCELLED)
        save_last_good(l, intact, err);
    if (st)
        return st;
    double seconds = now() - start;
    account(l, &r, bytes, seconds);
    tell_update(l, &r, seconds);
    tell_progress(l, false, 0);
    return VQ_OK;
}

/* ---- validation ---- */

/* The updates of one batch of validation sequences. */
static enum vq_status judge_batch(struct loop *l, double *nats, uint64_t *tokens,
                                  struct vq_err *err)
{
    const struct vq_config *c = &l->t->settings.v;
    double positions = (double)(c->global_batch_size * c->update_len);
    enum vq_status st = VQ_OK;
    vq_train_state_reset(l->judge);
    while (!st && l->judge->position < c->sequence_len) {
        struct vq_update_result r;
        st = vq_trainer_loss(l->t, l->judge, l->judged + l->judge->position,
                             (size_t)c->sequence_len, l->o->cancel, &r, err);
        if (st)
            break;
        *nats += r.loss_lm_unscaled * positions;
        *tokens += r.counted;
        tell_progress(l, true, *tokens);
    }
    return st;
}

/* *loss = nats per token of the validation data; NaN when there is none. */
static enum vq_status judge(struct loop *l, double *loss, struct vq_err *err)
{
    double nats = 0.0;
    uint64_t tokens = 0, most = l->o->valid_tokens ? l->o->valid_tokens : UINT64_MAX;
    size_t rows = 1;
    enum vq_status st = go_to(l->valid, l->first.data, err);
    while (!st && tokens < most && rows) {
        st = l->valid->next(l->valid->ud, l->judged, &rows, err);
        if (!st && rows)
            st = judge_batch(l, &nats, &tokens, err);
    }
    *loss = tokens ? nats / (double)tokens : NAN;
    if (st)
        return st;
    const struct vq_kept_entry *best = vq_kept_best(&l->kept);
    tell_metric(l, "valid_loss", *loss);
    if (l->o->judged)
        l->o->judged(l->o->ud, l->t->step, *loss, !best || *loss < best->loss);
    return VQ_OK;
}

/* ---- saving ---- */

/* `loss` of validation, NaN when it was not judged. */
static enum vq_status save(struct loop *l, double loss, struct vq_err *err)
{
    struct vq_checkpoint_place place = {.identity = l->source->identity};
    uint64_t bytes;
    char *path;
    enum vq_status st = VQ_OK;
    if (l->t->state->position == 0)
        st = tell(l->source, &l->place, err);
    place.place = l->place.data;
    if (!st)
        st = vq_checkpoint_write(l->t, l->o->folder, l->o->flax, &place, &path, &bytes, err);
    if (st)
        return st;
    free(l->out->path);
    l->out->path = path;
    l->saved = l->t->step;
    if (l->o->saved)
        l->o->saved(l->o->ud, l->t->step, path, bytes);
    return vq_kept_add(&l->kept, l->t->step, loss, err);
}

static bool due(int64_t every, int64_t step)
{
    return every > 0 && step % every == 0;
}

/* Validation and a checkpoint, when it is time for them. */
static enum vq_status after_update(struct loop *l, bool stop, struct vq_err *err)
{
    int64_t step = l->t->step;
    bool last = step >= l->end;
    bool valid = l->o->valid_every && !stop && (last || due(l->o->valid_every, step));
    double loss = NAN;
    enum vq_status st = valid ? judge(l, &loss, err) : VQ_OK;
    if (st && st != VQ_ECANCELLED)
        return st;
    bool cancelled = st == VQ_ECANCELLED;
    if (valid || stop || last || due(l->o->save_every, step))
        st = save(l, cancelled ? NAN : loss, err);
    return !st && cancelled ? vq_fail(err, VQ_ECANCELLED, "interrupted") : st;
}

/* ---- the loop ---- */

static enum vq_status run(struct loop *l, struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    while (!st && l->t->step < l->end) {
        if (vq_cancelled(l->o->cancel) && l->out->updates == 0)
            return vq_fail(err, VQ_ECANCELLED, "interrupted before the first update");
        st = update(l, err);
        if (st)
            break;
        bool stop = vq_cancelled(l->o->cancel);
        st = after_update(l, stop, err);
        if (!st && stop)
            st = vq_fail(err, VQ_ECANCELLED, "interrupted");
    }
    return st;
}

static void finish(struct loop *l)
{
    const struct vq_kept_entry *best = vq_kept_best(&l->kept);
    l->out->step = l->t->step;
    l->out->valid_loss = best ? best->loss : NAN;
    l->out->valid_step = best ? best->step : -1;
    vq_kept_release(&l->kept);
    vq_train_state_free(l->judge);
    free(l->targets);
    free(l->judged);
    vq_text_release(&l->place);
    vq_text_release(&l->first);
}

enum vq_status vq_train_run(struct vq_train_result *out, struct vq_trainer *t,
                            struct vq_batches *source, struct vq_batches *valid,
                            const struct vq_train_options *o, struct vq_err *err)
{
    struct loop l = {.t = t,
                     .source = source,
                     .valid = valid,
                     .o = o,
                     .out = out,
                     .saved = -1,
                     .loss = NAN,
                     .bits = NAN};
    *out = (struct vq_train_result){
        .step = t->step, .loss = NAN, .bits_per_byte = NAN, .valid_loss = NAN, .valid_step = -1};
    enum vq_status st = prepare(&l, err);
    if (!st)
        st = run(&l, err);
    finish(&l);
    return st;
}

void vq_train_result_release(struct vq_train_result *r)
{
    free(r->path);
    r->path = NULL;
}
