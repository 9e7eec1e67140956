#include "core/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/schedule.h"

#define KEYS_EACH   4 /* keys that are sampled for each code */
#define REVIVE_SEED 0x7265766976650000u

static enum vq_status divides(const char *small, int64_t a, const char *large, int64_t b,
                              struct vq_err *err)
{
    if (b % a == 0)
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL, "%s: expected a multiple of %s (%lld), found %lld", large, small,
                   (long long)a, (long long)b);
}

enum vq_status vq_trainer_check(const struct vq_config *c, struct vq_err *err)
{
    struct vq_schedule schedule;
    enum vq_status st = vq_config_check(c, err);
    if (!st)
        st = divides("block_len", c->block_len, "update_len", c->update_len, err);
    if (!st)
        st = divides("update_len", c->update_len, "sequence_len", c->sequence_len, err);
    if (!st)
        st = vq_schedule_init(&schedule, c->lr_schedule, c->n_warmup_step, c->n_max_step, err);
    if (!st && strcmp(c->param_dtype, "float32"))
        st = vq_fail(err, VQ_EUNSUPPORTED,
                     "param_dtype: parameters are trained in float32 (dtype=bfloat16 changes the "
                     "products), found %s",
                     c->param_dtype);
    if (!st && strcmp(c->dtype, "float32") && strcmp(c->dtype, "bfloat16"))
        st = vq_fail(err, VQ_EUNSUPPORTED, "dtype: expected float32 or bfloat16, found %s",
                     c->dtype);
    return st;
}

static struct vq_grad_options grad_options(const struct vq_config *c,
                                           const struct vq_trainer_options *o)
{
    return (struct vq_grad_options){.gemm = o->gemm,
                                    .pool = o->pool,
                                    .batch = (size_t)c->global_batch_size,
                                    .rows = o->rows,
                                    .recompute = o->recompute};
}

/* Second moments that adafactor keeps of a parameter: sums over either of its two largest axes,
 * unless they are small (optim_adafactor.c). */
static uint64_t adafactor_moments(const struct vq_param *p)
{
    size_t first = 1, second = 1;
    for (int i = 0; i < p->rank; i++) {
        size_t n = (size_t)p->shape[i];
        second = n > first ? first : n > second ? n : second;
        first = n > first ? n : first;
    }
    return second >= 128 ? p->size / first + p->size / second : p->size;
}

static uint64_t optimiser_bytes(const char *optimizer, const struct vq_params *layout)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < layout->n; i++) {
        const struct vq_param *p = &layout->at[i];
        if (p->is_codebook)
            continue;
        if (!strcmp(optimizer, "adafactor"))
            bytes += sizeof(float) * adafactor_moments(p);
        else
            bytes += (strcmp(optimizer, "lion") ? 2 * sizeof(float) : sizeof(uint16_t)) * p->size;
    }
    return bytes;
}

static uint64_t state_bytes(const struct vq_config *c)
{
    uint64_t heads = vq_config_modules(c) * (uint64_t)(c->global_batch_size * c->n_head);
    uint64_t key = sizeof(float) * (uint64_t)c->d_k, value = sizeof(float) * (uint64_t)c->d_v;
    uint64_t window = heads * (uint64_t)c->mem_len * (sizeof(int32_t) + key + value);
    uint64_t aggregate = heads * (uint64_t)c->n_code * (sizeof(int64_t) + value);
    return window + (c->agg_cache ? aggregate : 0);
}

enum vq_status vq_trainer_estimate(struct vq_trainer_memory *out, const struct vq_config *c,
                                   const struct vq_trainer_options *o, struct vq_err *err)
{
    struct vq_params *layout;
    const struct vq_grad_options g = grad_options(c, o);
    *out = (struct vq_trainer_memory){0};
    enum vq_status st = vq_trainer_check(c, err);
    if (!st)
        st = vq_params_new(&layout, c, err);
    if (st)
        return st;
    out->params = out->grads = sizeof(float) * (uint64_t)layout->floats;
    out->optimiser = optimiser_bytes(c->optimizer, layout);
    vq_params_free(layout);
    out->state = state_bytes(c);
    out->activations = vq_grad_bytes(c, &g);
    if (!out->activations)
        return vq_fail(err, VQ_EINVAL,
                       "global_batch_size, update_len and the widths make activations too large "
                       "to be counted");
    out->total = out->params + out->grads + out->optimiser + out->state + out->activations;
    return VQ_OK;
}

static enum vq_status allocate_keys(struct vq_trainer *t, struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    size_t modules = vq_config_modules(c), H = (size_t)c->n_head, S = (size_t)c->n_code;
    enum vq_status st = VQ_OK;
    t->keys = vq_calloc(modules, sizeof(*t->keys));
    t->used = vq_alloc(modules * H * S, sizeof(*t->used));
    if (!t->keys || !t->used)
        return vq_nomem(err, "counts of codes", modules * H * S, sizeof(*t->used));
    for (size_t m = 0; !st && m < modules; m++)
        st = vq_key_sample_new(&t->keys[m], KEYS_EACH * S, H, (size_t)c->d_k, err);
    return st;
}

static enum vq_status allocate(struct vq_trainer *t, struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    const struct vq_grad_options g = grad_options(c, &t->options);
    enum vq_status st = vq_grad_new(&t->grad, c, &g, err);
    if (st)
        return st;
    t->layout = vq_grad_params(t->grad);
    t->params = vq_params_block(t->layout);
    t->grads = vq_params_block(t->layout);
    if (!t->params || !t->grads)
        return vq_nomem(err, "parameters and gradients", t->layout->floats, 2 * sizeof(float));
    st = vq_optim_new(&t->optim, t->layout, c, err);
    if (!st && c->c_revive > 0)
        st = allocate_keys(t, err);
    return st ? st : vq_train_state_new(&t->state, c, (size_t)c->global_batch_size, err);
}

enum vq_status vq_trainer_new(struct vq_trainer **out, const struct vq_settings *settings,
                              const struct vq_trainer_options *o, uint64_t seed, struct vq_err *err)
{
    *out = NULL;
    enum vq_status st = vq_trainer_check(&settings->v, err);
    if (st)
        return st;
    struct vq_trainer *t = vq_calloc(1, sizeof(*t));
    if (!t)
        return vq_nomem(err, "trainer", 1, sizeof(*t));
    t->settings = *settings;
    t->options = *o;
    t->seed = seed;
    st = allocate(t, err);
    if (st) {
        vq_trainer_free(t);
        return st;
    }
    vq_params_init(t->layout, t->params, seed);
    *out = t;
    return VQ_OK;
}

void vq_trainer_free(struct vq_trainer *t)
{
    if (!t)
        return;
    for (size_t m = 0; t->keys && m < vq_config_modules(&t->settings.v); m++)
        vq_key_sample_free(t->keys[m]);
    free(t->keys);
    free(t->used);
    vq_train_state_free(t->state);
    vq_optim_free(t->optim);
    free(t->params);
    free(t->grads);
    vq_grad_free(t->grad);
    free(t);
}

int64_t vq_trainer_updates(const struct vq_trainer *t)
{
    return t->settings.v.sequence_len / t->settings.v.update_len;
}

int64_t vq_trainer_update_at(const struct vq_trainer *t)
{
    return t->state->position / t->settings.v.update_len;
}

/* ---- an update ---- */

static enum vq_status bad_params(const struct vq_trainer *t, struct vq_err *err)
{
    const struct vq_param *p = vq_params_not_finite(t->layout, t->params);
    if (!p)
        return VQ_OK;
    return vq_fail(err, VQ_ENUM, "the update made %s not finite", p->name);
}

/* The generator of this update's sample and draws: nothing of it need be saved. */
static void begin_keys(struct vq_trainer *t, struct vq_rng *rng)
{
    const struct vq_config *c = &t->settings.v;
    size_t modules = vq_config_modules(c);
    vq_rng_init(rng, t->seed ^ REVIVE_SEED, (uint64_t)t->step);
    for (size_t m = 0; m < modules; m++)
        vq_key_sample_reset(t->keys[m]);
    memset(t->used, 0, modules * (size_t)(c->n_head * c->n_code) * sizeof(*t->used));
}

static float *codebook_part(const struct vq_trainer *t, size_t module, const char *leaf)
{
    char name[96];
    snprintf(name, sizeof(name), "transformer_layers_%zu/scanned_attn%zu/quantizer/%s", module / 2,
             module % 2 + 1, leaf);
    return t->params + vq_params_find(t->layout, name)->offset;
}

static enum vq_status revive(struct vq_trainer *t, struct vq_rng *rng, uint64_t *revived,
                             struct vq_err *err)
{
    const struct vq_config *c = &t->settings.v;
    size_t S = (size_t)c->n_code, H = (size_t)c->n_head;
    enum vq_status st = VQ_OK;
    for (size_t m = 0; !st && m < vq_config_modules(c); m++) {
        size_t n;
        st = vq_revive_codes(codebook_part(t, m, "c_sum"), codebook_part(t, m, "c_count"),
                             t->used + m * H * S, S, c->c_revive, t->keys[m], rng, &n, err);
        *revived += n;
    }
    return st;
}

static void move_on(struct vq_trainer *t, const struct vq_update_result *r)
{
    t->step++;
    t->tokens += r->counted;
    if (t->state->position < t->settings.v.sequence_len)
        return;
    vq_train_state_reset(t->state);
    t->sequence++;
}

enum vq_status vq_trainer_step(struct vq_trainer *t, const int32_t *targets, size_t stride,
                               bool metrics, const struct vq_cancel *cancel,
                               struct vq_trainer_report *out, bool *intact, struct vq_err *err)
{
    struct vq_rng rng;
    const struct vq_update u = {.params = t->params,
                                .state = t->state,
                                .targets = targets,
                                .stride = stride,
                                .grads = t->grads,
                                .dropout = true,
                                .seed = t->seed,
                                .sequence = t->sequence,
                                .metrics = metrics,
                                .cancel = cancel,
                                .keys = t->keys,
                                .rng = &rng,
                                .used = t->used};
    if (t->keys)
        begin_keys(t, &rng);
    *intact = true;
    *out = (struct vq_trainer_report){.revives = t->keys != NULL};
    enum vq_status st = vq_grad_update(t->grad, &u, &out->update, err);
    if (!st)
        st = vq_optim_step(t->optim, t->params, t->grads, t->options.pool, &out->optim, err);
    if (!st && t->keys)
        st = revive(t, &rng, &out->revived, err);
    if (!st) {
        st = bad_params(t, err);
        *intact = st == VQ_OK;
    }
    if (st == VQ_ENUM)
        vq_err_prefix(err, "update %lld", (long long)t->step + 1);
    if (st)
        return st;
    out->loss = out->update.counted ? out->update.loss_lm_unscaled / out->update.loss_mask : NAN;
    move_on(t, &out->update);
    return VQ_OK;
}

enum vq_status vq_trainer_loss(struct vq_trainer *t, struct vq_train_state *state,
                               const int32_t *targets, size_t stride,
                               const struct vq_cancel *cancel, struct vq_update_result *out,
                               struct vq_err *err)
{
    const struct vq_update u = {.params = t->params,
                                .state = state,
                                .targets = targets,
                                .stride = stride,
                                .cancel = cancel};
    return vq_grad_update(t->grad, &u, out, err);
}

double vq_trainer_flops(const struct vq_trainer *t, double *again)
{
    return vq_grad_flops(t->grad, again);
}

const char *vq_trainer_metric(const struct vq_trainer_report *r, size_t i, double *value)
{
    const struct {
        const char *name;
        double value;
    } own[] = {
        {"loss", r->loss},
        {"bits_per_token", r->loss / log(2.0)},
        {"loss_composite", r->update.loss},
        {"loss_lm_per_token_unscaled", r->update.loss_lm_unscaled},
        {"loss_mask_per_token", r->update.loss_mask},
        {"loss_commit_per_token", r->update.loss_commit},
        {"lr", r->optim.rate},
        {"grad_norm", r->optim.grad_norm},
        {"codes_revived", r->revives ? (double)r->revived : NAN},
    };
    const size_t n = sizeof(own) / sizeof(own[0]);
    if (i < n) {
        *value = own[i].value;
        return own[i].name;
    }
    if (i - n >= VQ_METRICS)
        return NULL;
    *value = vq_metrics_get(&r->update.quantiser, (enum vq_metric)(i - n));
    return vq_metric_name((enum vq_metric)(i - n));
}
