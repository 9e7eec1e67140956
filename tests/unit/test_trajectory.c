/*
 * Trajectories: several updates from the authors' starting point lead to the authors' parameters
 * and optimiser state, whether they are made in one go or resumed from a checkpoint in between.
 */
#include "tests/unit/test_optim_state.h"

#include "core/train/grad.h"
#include "core/train/optim_private.h"

#define OPTIM "tests/data/optim/"
#define FULL  "../shared/golden/"

/* A model on its way. */
struct journey {
    struct optim_case k;
    struct vq_grad *grad;
    struct vq_train_state *state;
    float *params, *grads;
    struct vq_npy targets; /* [calls, B, T] */
    size_t done;           /* updates */
};

static struct vq_ckpt *open_checkpoint(const char *folder, const char *name)
{
    char path[256];
    struct vq_ckpt *c;
    struct vq_err err = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_ok(vq_ckpt_open(&c, path, &err), &err);
    return c;
}

static void begin(struct journey *j, const char *folder, const char *targets)
{
    struct vq_err err = {0};
    *j = (struct journey){.k = open_case(folder, NULL, 0, 0)};
    assert_ok(vq_npy_read(&j->targets, targets, &err), &err);
    struct vq_grad_options o = {.batch = j->targets.shape[1], .rows = 1, .recompute = true};
    assert_ok(vq_grad_new(&j->grad, &j->k.config, &o, &err), &err);
    assert_ok(vq_train_state_new(&j->state, &j->k.config, o.batch, &err), &err);
    j->params = vq_params_block(j->k.layout);
    j->grads = vq_params_block(j->k.layout);
}

static void end(struct journey *j)
{
    close_case(&j->k);
    vq_grad_free(j->grad);
    vq_train_state_free(j->state);
    vq_npy_release(&j->targets);
    free(j->params);
    free(j->grads);
}

/* Parameters, and the optimiser's state if there is to be any, from a checkpoint. */
static void set_out(struct journey *j, struct vq_ckpt *c, bool resume)
{
    struct vq_err err = {0};
    assert_ok(vq_params_load(j->k.layout, j->params, c, &err), &err);
    if (resume) {
        assert_ok(vq_opt_state_load(j->k.optim, c, &err), &err);
        j->done = (size_t)vq_ckpt_step(c);
    }
    vq_ckpt_free(c);
}

/* One update. The sequence it belongs to, and its place there, follow from how many were made. */
static void move_on(struct journey *j)
{
    struct vq_err err = {0};
    struct vq_update_result r;
    const struct vq_config *c = &j->k.config;
    size_t per_call = (size_t)(c->sequence_len / c->update_len), T = (size_t)c->sequence_len;
    size_t call = j->done / per_call, at = j->done % per_call;
    if (at == 0)
        vq_train_state_reset(j->state);
    struct vq_update u = {.params = j->params,
                          .state = j->state,
                          .targets = (const int32_t *)j->targets.data +
                                     call * j->targets.shape[1] * T + at * (size_t)c->update_len,
                          .stride = T,
                          .grads = j->grads};
    assert_true(call < j->targets.shape[0]);
    assert_ok(vq_grad_update(j->grad, &u, &r, &err), &err);
    assert_ok(vq_optim_step(j->k.optim, j->params, j->grads, NULL, NULL, &err), &err);
    j->done++;
}

/* How many entries of x are off from want[n] by more than 2e-6 + 1e-6 of the largest. */
static size_t off(const float *x, const float *want, size_t n)
{
    double top = 0;
    size_t misses = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++)
        misses += !(fabs((double)x[i] - want[i]) <= 2e-6 + 1e-6 * top);
    return misses;
}

/* Parameters against a flat file of all tensors by name; returns the misses. */
static size_t misses_of(const struct journey *j, const char *folder, const char *name)
{
    char path[256];
    struct vq_npy flat;
    struct vq_err err = {0};
    snprintf(path, sizeof(path), "%s/%s.npy", folder, name);
    assert_ok(vq_npy_read(&flat, path, &err), &err);
    assert_int_equal(flat.count, j->k.layout->count);
    size_t misses = 0, at = 0;
    for (size_t i = 0; i < j->k.layout->n; i++) {
        const struct vq_param *p = &j->k.layout->at[i];
        misses += off(j->params + p->offset, (const float *)flat.data + at, p->size);
        at += p->size;
    }
    vq_npy_release(&flat);
    return misses;
}

static void check_params(const struct journey *j, const char *folder, const char *name)
{
    size_t misses = misses_of(j, folder, name);
    if (misses > j->k.layout->count / 500)
        fail_msg("%s/%s: %zu of %zu entries off", folder, name, misses, (size_t)j->k.layout->count);
}

/* Parameters and moments against a whole training state. */
static void check_state(struct journey *j, const char *folder, const char *name)
{
    struct vq_ckpt *c = open_checkpoint(folder, name);
    struct vq_err err = {0};
    struct vq_opt_state s;
    size_t misses = 0, all = 0;
    assert_int_equal(vq_ckpt_step(c), j->done);
    assert_ok(vq_opt_state_list(&s, j->k.optim, &err), &err);
    float *want = vq_params_block(j->k.layout), *have = vq_params_block(j->k.layout);
    assert_ok(vq_params_load(j->k.layout, want, c, &err), &err);
    for (size_t i = 0; i < j->k.layout->n; i++) {
        const struct vq_param *p = &j->k.layout->at[i];
        misses += off(j->params + p->offset, want + p->offset, p->size);
        all += p->size;
    }
    for (size_t i = 0; i < s.n; i++) {
        const struct vq_tensor *t = vq_ckpt_find(c, s.at[i].name);
        assert_non_null(t);
        if (t->dtype == VQ_NONE)
            continue;
        struct vq_tensor mine = *t;
        mine.data = s.at[i].data;
        mine.n_chunk = 0;
        assert_ok(vq_tensor_read_f32(t, want, &err), &err);
        assert_ok(vq_tensor_read_f32(&mine, have, &err), &err);
        misses += off(have, want, t->count);
        all += t->count;
    }
    if (misses > all / 500)
        fail_msg("%s/%s: %zu of %zu entries off", folder, name, misses, all);
    free(want);
    free(have);
    vq_opt_state_release(&s);
    vq_ckpt_free(c);
}

/* The authors keep lion's product with mu in bfloat16 or, compiled, in float32: either will do. */
static void check_lion(const struct journey *j, const char *folder)
{
    size_t limit = j->k.layout->count / 500;
    size_t rounded = misses_of(j, folder, "params_step5");
    if (rounded > limit && misses_of(j, folder, "params_step5_excess") > limit)
        fail_msg("%s: %zu entries off", folder, rounded);
}

static void test_adamw(void **state)
{
    (void)state;
    struct journey j;
    begin(&j, OPTIM "opt_adamw", OPTIM "targets.npy");
    set_out(&j, open_checkpoint(OPTIM, "start.safetensors"), false);
    while (j.done < 3)
        move_on(&j);
    check_state(&j, OPTIM "opt_adamw", "checkpoint_3");
    while (j.done < 5)
        move_on(&j);
    check_params(&j, OPTIM "opt_adamw", "params_step5");
    end(&j);

    begin(&j, OPTIM "opt_adamw", OPTIM "targets.npy");
    set_out(&j, open_checkpoint(OPTIM "opt_adamw", "checkpoint_3"), true);
    while (j.done < 5)
        move_on(&j);
    check_params(&j, OPTIM "opt_adamw", "params_step5");
    end(&j);
}

static void test_lion(void **state)
{
    (void)state;
    struct journey j;
    begin(&j, OPTIM "opt_lion", OPTIM "targets.npy");
    set_out(&j, open_checkpoint(OPTIM, "start.safetensors"), false);
    while (j.done < 3)
        move_on(&j);
    check_state(&j, "tests/data/ckpt/opt_lion", "checkpoint_3");
    while (j.done < 5)
        move_on(&j);
    check_params(&j, OPTIM "opt_lion", "params_step5");
    end(&j);

    begin(&j, OPTIM "opt_lion", OPTIM "targets.npy");
    set_out(&j, open_checkpoint("tests/data/ckpt/opt_lion", "checkpoint_3"), true);
    while (j.done < 5)
        move_on(&j);
    check_params(&j, OPTIM "opt_lion", "params_step5");
    end(&j);
}

/* Whether a file of the case exists. */
static bool exists(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

/* Wherever the set has something to compare with, compares. */
static size_t compare(struct journey *j, const char *folder)
{
    char file[64], name[48];
    size_t compared = 0;
    snprintf(name, sizeof(name), "params_step%zu", j->done);
    snprintf(file, sizeof(file), "%s.npy", name);
    if (exists(folder, file)) {
        if (strstr(folder, "lion") && j->done == 5)
            check_lion(j, folder);
        else
            check_params(j, folder, name);
        compared++;
    }
    snprintf(name, sizeof(name), "checkpoint_%zu", j->done);
    if (exists(folder, name)) {
        check_state(j, folder, name);
        compared++;
    }
    return compared;
}

static void test_full_set(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t updates, between, compared;
    } cases[] = {
        {"opt_adamw", 5, 3, 7},
        {"opt_lion", 5, 3, 7},
        {"opt_adafactor", 5, 3, 3},
        {"opt_adamw_two_updates", 6, 4, 5},
    };
    if (golden_full_absent())
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char folder[128], targets[160], between[32];
        struct journey j;
        size_t compared = 0;
        snprintf(folder, sizeof(folder), FULL "%s", cases[i].name);
        snprintf(targets, sizeof(targets), "%s/targets.npy", folder);
        begin(&j, folder, targets);
        set_out(&j, open_checkpoint(folder, "checkpoint_0"), true);
        while (j.done < cases[i].updates) {
            move_on(&j);
            compared += compare(&j, folder);
        }
        assert_int_equal(compared, cases[i].compared);
        end(&j);

        snprintf(between, sizeof(between), "checkpoint_%zu", cases[i].between);
        begin(&j, folder, targets);
        set_out(&j, open_checkpoint(folder, between), true);
        while (j.done < cases[i].updates) {
            move_on(&j);
            compare(&j, folder);
        }
        end(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_lion),
        cmocka_unit_test(test_full_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
