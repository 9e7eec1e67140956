/*
 * trainer: one model in training, in memory: parameters, their gradients, the optimiser, and the
 * attention state between two updates of a sequence. It knows how to make an update; where targets
 * come from and where checkpoints go is for train.c.
 *
 *     a batch of sequences  =  sequence_len / update_len updates, attention state carried
 *     an update             =  global_batch_size * update_len tokens, one step of the optimiser
 */
#ifndef VQ_CORE_TRAIN_TRAINER_H
#define VQ_CORE_TRAIN_TRAINER_H

#include "core/train/grad.h"
#include "core/train/optim.h"

struct vq_trainer_options {
    const struct vq_gemm *gemm; /* NULL: the default */
    struct vq_pool *pool;       /* NULL: serial; must outlive the trainer */
    size_t rows;                /* sequences at a time, as in vq_grad_options; 0: its choice */
    bool recompute;
};

/* Visible so that checkpoints can be written from it; changed through the calls below alone. */
struct vq_trainer {
    struct vq_settings settings;
    struct vq_trainer_options options;
    struct vq_grad *grad;
    const struct vq_params *layout; /* grad's, of the two blocks and the optimiser */
    float *params, *grads;
    struct vq_optim *optim;
    struct vq_train_state *state;
    uint64_t seed;     /* of initialisation and dropout */
    int64_t step;      /* updates done */
    uint64_t sequence; /* number of the present batch of sequences, from 0; what dropout masks of a
                          whole sequence hang on */
    uint64_t tokens;   /* trained on, padding left out */
    /* For reviving codes, with c_revive: keys[module], and used[modules, H, S]; else NULL. */
    struct vq_key_sample **keys;
    uint64_t *used;
};

/* Whether a configuration can be trained at all: sizes that divide each other, a schedule that is
 * sound, numbers we compute in. VQ_EINVAL and VQ_EUNSUPPORTED name the settings. */
enum vq_status vq_trainer_check(const struct vq_config *c, struct vq_err *err);

/* What training will take, in bytes. */
struct vq_trainer_memory {
    uint64_t params, grads, optimiser, state;
    uint64_t activations; /* vq_grad_bytes: see there for the formula */
    uint64_t total;
};
enum vq_status vq_trainer_estimate(struct vq_trainer_memory *out, const struct vq_config *c,
                                   const struct vq_trainer_options *o, struct vq_err *err);

/* A trainer with fresh parameters drawn from `seed`, at step 0. Checks as vq_trainer_check. */
enum vq_status vq_trainer_new(struct vq_trainer **out, const struct vq_settings *settings,
                              const struct vq_trainer_options *o, uint64_t seed,
                              struct vq_err *err);
void vq_trainer_free(struct vq_trainer *t);

/* Updates in a batch of sequences, and how many of the present one are done. */
int64_t vq_trainer_updates(const struct vq_trainer *t);
int64_t vq_trainer_update_at(const struct vq_trainer *t);

struct vq_trainer_report {
    struct vq_update_result update;
    struct vq_optim_report optim;
    bool revives;     /* c_revive is on */
    uint64_t revived; /* codes that got a new place */
    double loss;      /* nats per counted token: loss_lm_unscaled over loss_mask; NaN without any */
};

/*
 * One update from the targets [B, update_len] of the present place in the sequences, rows `stride`
 * apart; moves on to the next place. VQ_EINVAL as from vq_grad_update. VQ_ENUM when loss, gradients
 * or the parameters made from them are not finite, naming the step and the first tensor that went
 * bad: *intact then says whether the parameters are still those of the last good step (they are
 * unless the update itself overflowed); the trainer must not be used on. VQ_ECANCELLED when
 * `cancel` (may be NULL), polled between modules, said stop: *intact is true, and the trainer must
 * not be used on either.
 */
enum vq_status vq_trainer_step(struct vq_trainer *t, const int32_t *targets, size_t stride,
                               bool metrics, const struct vq_cancel *cancel,
                               struct vq_trainer_report *out, bool *intact, struct vq_err *err);

/* Loss of targets on the present parameters, without dropout and without changing the trainer;
 * `state` is another one, made for the same batch, which moves on. */
enum vq_status vq_trainer_loss(struct vq_trainer *t, struct vq_train_state *state,
                               const int32_t *targets, size_t stride,
                               const struct vq_cancel *cancel, struct vq_update_result *out,
                               struct vq_err *err);

/* Operations of an update's matrix products, and of these the ones done again (*again). */
double vq_trainer_flops(const struct vq_trainer *t, double *again);

/* A metric of an update under the authors' name (loss_lm_per_token_unscaled, c_entropy, ...), with
 * ours beside them: loss, bits_per_token, lr, grad_norm, codes_revived. NULL past the last. The
 * quantiser's are NaN unless they were asked for. */
const char *vq_trainer_metric(const struct vq_trainer_report *r, size_t i, double *value);

#endif
