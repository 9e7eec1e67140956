/*
 * The training loop: the authors' trajectories through it, and what it promises beside: a run that
 * is stopped and taken up makes the same bytes as one that is not, in either layout; what goes
 * wrong is named and leaves the last good step behind; validation decides what is kept.
 */
#include "golden.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/train/checkpoint.h"
#include "core/train/train.h"

#define DATA "tests/data/optim/"

static struct vq_err err;
static char root[] = "/tmp/vqsh-train-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

/* ---- runs ---- */

struct counted {
    int64_t updates, saved, judged, metrics;
    int64_t stop_at; /* cancel once so many updates are done; 0: never */
    double grad_norm, valid, entropy, loss;
    int losses;        /* updates that told one */
    double revived;    /* codes in all; NaN: that is not told */
    int64_t poison_at; /* a parameter grows too large after so many updates; 0: never */
    struct vq_trainer *poisoned;
    int64_t abandon_at; /* give the next update up once so many are done; 0: never */
    int polls;          /* of the update to be given up */
};

static void on_metric(void *ud, const char *name, int64_t step, double value)
{
    struct counted *c = ud;
    (void)step;
    c->metrics++;
    if (!strcmp(name, "grad_norm"))
        c->grad_norm = value;
    if (!strcmp(name, "valid_loss"))
        c->valid = value;
    if (!strcmp(name, "loss")) {
        c->losses++;
        c->loss = value;
    }
    if (!strcmp(name, "c_entropy"))
        c->entropy = value;
    if (!strcmp(name, "codes_revived"))
        c->revived = (isnan(c->revived) ? 0 : c->revived) + value;
}

static void on_progress(void *ud, const struct vq_train_progress *p)
{
    struct counted *c = ud;
    c->updates += !p->judging;
    c->judged += p->judging;
    if (!c->poison_at || c->updates != c->poison_at)
        return;
    /* Finite, but what it is multiplied with is not. */
    c->poisoned->params[vq_params_find(c->poisoned->layout, "out_proj/kernel")->offset] = 3e38f;
}

static void on_saved(void *ud, int64_t step, const char *path, uint64_t bytes)
{
    struct counted *c = ud;
    (void)step;
    (void)path;
    c->saved += bytes > 0;
}

static bool poll(void *ud)
{
    const struct counted *c = ud;
    return c->stop_at && c->updates >= c->stop_at;
}

/* What a run is made from; `set` ends with NULL. */
struct plan {
    const char *config, *from, *tokens, *valid, *out;
    const char *set[8];
    struct vq_train_options o;
    uint64_t seed;
    bool params_only;
    size_t rows;
};

struct run {
    struct vq_trainer *trainer;
    struct vq_batches source, valid;
    struct vq_train_result result;
    struct vq_model *from;
    struct vq_checkpoint checkpoint;
    struct counted counted;
    char folder[96];
};

static enum vq_status begin(struct run *r, const struct plan *p)
{
    struct vq_model_options mo = {.config_path = p->config, .set = p->set};
    struct vq_settings s;
    bool inside = false;
    while (mo.n_set < 8 && p->set[mo.n_set])
        mo.n_set++;
    *r = (struct run){.counted = {.stop_at = r->counted.stop_at, .revived = NAN}};
    snprintf(r->folder, sizeof(r->folder), "%s/%s", root, p->out);
    if (p->from) {
        assert_ok(vq_model_open(&r->from, p->from, &mo, &err), &err);
        s = *vq_model_settings(r->from);
        assert_ok(vq_checkpoint_look(&r->checkpoint, vq_model_ckpt(r->from), &err), &err);
    } else {
        assert_ok(vq_settings_open(&s, &mo, &err), &err);
    }
    const struct vq_trainer_options to = {.rows = p->rows ? p->rows : r->checkpoint.rows};
    enum vq_status st = vq_trainer_new(&r->trainer, &s, &to, p->seed, &err);
    if (!st && p->from)
        st = vq_checkpoint_restore(r->trainer, &r->checkpoint, p->params_only, &inside, &err);
    if (st)
        return st;
    assert_ok(vq_batches_tokens(&r->source, p->tokens, s.v.n_vocab, &err), &err);
    if (p->valid)
        assert_ok(vq_batches_tokens(&r->valid, p->valid, s.v.n_vocab, &err), &err);
    return VQ_OK;
}

/* Gives an update up in its middle, after the second module. */
static bool poll_abandon(void *ud)
{
    struct counted *c = ud;
    return c->abandon_at && c->updates == c->abandon_at && ++c->polls > 2;
}

static enum vq_status go(struct run *r, const struct plan *p)
{
    const struct vq_cancel cancel = {.poll = poll, .ud = &r->counted};
    const struct vq_cancel abandon = {.poll = poll_abandon, .ud = &r->counted};
    struct vq_train_options o = p->o;
    o.folder = r->folder;
    o.cancel = &cancel;
    o.abandon = &abandon;
    o.ud = &r->counted;
    o.metric = on_metric;
    o.progress = on_progress;
    o.saved = on_saved;
    if (r->checkpoint.identity && !p->params_only)
        o.place = strcmp(r->checkpoint.identity, r->source.identity) ? NULL : r->checkpoint.place;
    return vq_train_run(&r->result, r->trainer, &r->source, &r->valid, &o, &err);
}

static void end(struct run *r)
{
    vq_train_result_release(&r->result);
    vq_trainer_free(r->trainer);
    vq_batches_release(&r->source);
    vq_batches_release(&r->valid);
    vq_checkpoint_release(&r->checkpoint);
    vq_model_free(r->from);
}

/* A whole run that must end so; stop_at as in struct counted. */
static struct counted run_to(const struct plan *p, enum vq_status expected, int64_t stop_at)
{
    struct run r = {.counted.stop_at = stop_at};
    enum vq_status st = begin(&r, p);
    if (!st)
        st = go(&r, p);
    if (st != expected)
        fail_msg("expected %s, found %s: %s", vq_status_name(expected), vq_status_name(st),
                 st ? err.msg : "");
    struct counted c = r.counted;
    end(&r);
    return c;
}

static bool there(const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return access(path, F_OK) == 0;
}

static void same_bytes(const char *a, const char *b)
{
    char pa[160], pb[160];
    struct vq_file fa, fb;
    snprintf(pa, sizeof(pa), "%s/%s", root, a);
    snprintf(pb, sizeof(pb), "%s/%s", root, b);
    assert_ok(vq_file_open(&fa, pa, &err), &err);
    assert_ok(vq_file_open(&fb, pb, &err), &err);
    if (fa.size != fb.size || memcmp(fa.data, fb.data, fa.size) != 0)
        fail_msg("%s and %s differ", a, b);
    vq_file_close(&fa);
    vq_file_close(&fb);
}

/* ---- the authors' trajectories ---- */

/* params_stepN.npy holds all tensors side by side, in the order of their names. */
static void check_params(const char *ckpt, const char *expected)
{
    char path[160];
    struct vq_ckpt *c;
    struct vq_npy a;
    size_t at = 0, off = 0;
    snprintf(path, sizeof(path), "%s/%s", root, ckpt);
    assert_ok(vq_ckpt_open(&c, path, &err), &err);
    assert_ok(vq_npy_read(&a, expected, &err), &err);
    const float *want = a.data;
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        if (!t->is_param)
            continue;
        float *found = malloc(t->count * sizeof(*found)), top = 0;
        assert_ok(vq_tensor_read_f32(t, found, &err), &err);
        for (size_t j = 0; j < t->count; j++)
            top = fmaxf(top, fabsf(want[at + j]));
        for (size_t j = 0; j < t->count; j++)
            off += !(fabsf(found[j] - want[at + j]) <= 2e-6f + 1e-6f * top);
        at += t->count;
        free(found);
    }
    assert_int_equal(at, a.count);
    if (off > a.count / 500)
        fail_msg("%s: %zu of %zu numbers are off", expected, off, a.count);
    vq_npy_release(&a);
    vq_ckpt_free(c);
}

static void test_trajectories(void **state)
{
    (void)state;
    struct plan p = {.config = DATA "opt_adamw/config.json",
                     .from = DATA "start.safetensors",
                     .tokens = DATA "targets.npy",
                     .out = "adamw",
                     .o = {.save_every = 1, .metrics_every = 1}};
    struct counted c = run_to(&p, VQ_OK, 0);
    assert_int_equal(c.updates, 5);
    assert_int_equal(c.saved, 5);
    assert_true(c.grad_norm > 0 && c.entropy > 0);
    check_params("adamw/checkpoint_5.safetensors", DATA "opt_adamw/params_step5.npy");
    p.config = DATA "opt_lion/config.json";
    p.out = "lion";
    p.o.flax = true;
    run_to(&p, VQ_OK, 0);
    check_params("lion/checkpoint_5", DATA "opt_lion/params_step5.npy");
    assert_true(there("lion/config.json") && there("lion/generator_3.safetensors"));
}

/* ---- stopping and going on ---- */

/* Random targets [C, B, T] of 64 ids, some of them pad. */
static const char *draw_tokens(const char *name, size_t C, size_t B, size_t T, uint64_t seed)
{
    static char paths[4][96];
    static size_t next;
    char *path = paths[next++ % 4];
    struct vq_rng rng;
    const size_t shape[] = {C, B, T};
    int32_t *ids = malloc(C * B * T * sizeof(*ids));
    vq_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < C * B * T; i++)
        ids[i] = (int32_t)vq_rng_below(&rng, 64);
    snprintf(path, sizeof(paths[0]), "%s/%s.npy", root, name);
    assert_ok(vq_npy_write(path, VQ_NPY_I32, 3, shape, ids, &err), &err);
    free(ids);
    return path;
}

/* Three batches of four updates each, with every dropout, from seed 7. */
static struct plan dropping(const char *optimizer, const char *out)
{
    return (struct plan){.config = DATA "opt_adamw/config.json",
                         .tokens = draw_tokens("twelve", 3, 3, 64, 1),
                         .out = out,
                         .set = {"global_batch_size=3", "sequence_len=64", "update_len=16",
                                 "p_dropemb=0.1", "p_dropsin=0.2", "p_dropres=0.3", "p_droplyr=0.2",
                                 optimizer},
                         .seed = 7};
}

static const char *file_in(const char *name)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

/* A run cut after 3 updates, inside a batch, and again after 8, between two, against one that is
 * not; `last` and `beside` are files of step 12. */
static void cut_and_whole(const char *optimizer, bool flax)
{
    const char *ending = flax ? "" : ".safetensors";
    char cut[64], path[96], a[96], b[96];
    char whole[64];
    snprintf(whole, sizeof(whole), "whole-%s-%d", strchr(optimizer, '=') + 1, flax);
    snprintf(cut, sizeof(cut), "cut-%s-%d", strchr(optimizer, '=') + 1, flax);
    struct plan p = dropping(optimizer, whole);
    p.o.flax = flax;
    p.rows = 2; /* an uneven split of three sequences */
    run_to(&p, VQ_OK, 0);

    p.out = cut;
    p.o.steps = 3;
    run_to(&p, VQ_OK, 0);
    snprintf(path, sizeof(path), "%s/checkpoint_3%s", cut, ending);
    p.rows = 0; /* taken from the checkpoint */
    p.config = NULL;
    memset(p.set, 0, sizeof(p.set));
    p.seed = 99; /* so is the seed */
    p.from = file_in(path);
    p.o.steps = 0;
    run_to(&p, VQ_ECANCELLED, 5);
    snprintf(path, sizeof(path), "%s/checkpoint_8%s", cut, ending);
    p.from = file_in(path);
    run_to(&p, VQ_OK, 0);

    snprintf(a, sizeof(a), "%s/checkpoint_12%s", whole, flax ? "/checkpoint" : ending);
    snprintf(b, sizeof(b), "%s/checkpoint_12%s", cut, flax ? "/checkpoint" : ending);
    same_bytes(a, b);
    if (!flax)
        return;
    snprintf(a, sizeof(a), "%s/generator_12.safetensors", whole);
    snprintf(b, sizeof(b), "%s/generator_12.safetensors", cut);
    same_bytes(a, b);
}

static void test_going_on_is_as_not_stopping(void **state)
{
    (void)state;
    cut_and_whole("optimizer=adamw", false);
    cut_and_whole("optimizer=adamw", true);
    cut_and_whole("optimizer=lion", false);
    cut_and_whole("optimizer=lion", true);
    cut_and_whole("optimizer=adafactor", false);
    cut_and_whole("c_revive=0.95", false);
}

/* A code that no key falls on has lost 5 % of its count after six updates, and gets a new place; by
 * default it stays where it is. */
static void test_codes_are_revived(void **state)
{
    (void)state;
    struct plan p = dropping("c_revive=0.95", "revived");
    struct counted c = run_to(&p, VQ_OK, 0);
    assert_true(c.revived >= 1 && c.revived <= 2 * 16 * 12);
    p = dropping("c_revive=0.2", "not-yet");
    c = run_to(&p, VQ_OK, 0);
    assert_true(c.revived == 0);
    p = dropping("optimizer=adamw", "never");
    c = run_to(&p, VQ_OK, 0);
    assert_true(isnan(c.revived));
}

static void test_seeds_differ(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "seed-7");
    p.o.steps = 4;
    run_to(&p, VQ_OK, 0);
    p.out = "seed-7-again";
    run_to(&p, VQ_OK, 0);
    same_bytes("seed-7/checkpoint_4.safetensors", "seed-7-again/checkpoint_4.safetensors");

    /* The same parameters at the start, another seed of the masks alone. */
    struct vq_trainer_report one, two;
    struct run r = {0};
    bool intact;
    assert_ok(begin(&r, &p), &err);
    int32_t targets[3 * 64];
    size_t rows;
    assert_ok(r.source.next(r.source.ud, targets, &rows, &err), &err);
    assert_ok(vq_trainer_step(r.trainer, targets, 64, false, NULL, &one, &intact, &err), &err);
    end(&r);
    assert_ok(begin(&r, &p), &err);
    r.trainer->seed = 8;
    assert_ok(vq_trainer_step(r.trainer, targets, 64, false, NULL, &two, &intact, &err), &err);
    assert_true(one.loss != two.loss);
    end(&r);
}

static void test_other_data_and_parameters_alone(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "first");
    p.o.steps = 5;
    run_to(&p, VQ_OK, 0);
    p.from = file_in("first/checkpoint_5.safetensors");
    p.out = "alone";
    p.params_only = true;
    p.o.steps = 0;
    struct counted c = run_to(&p, VQ_OK, 0);
    assert_int_equal(c.updates, 12);
    assert_true(there("alone/checkpoint_12.safetensors"));
}

/* ---- what goes wrong ---- */

static void test_not_finite(void **state)
{
    (void)state;
    struct plan p = dropping("lr_max=1e6", "bad");
    struct run r = {0};
    p.set[1] = "wd_lam=1"; /* sequence_len stays the configuration's 32: refused below */
    assert_ok(begin(&r, &p), &err);
    assert_int_equal(go(&r, &p), VQ_EINVAL);
    assert_says(&err, "sequence_len", "64");
    end(&r);

    p = dropping("optimizer=adamw", "bad");
    assert_ok(begin(&r, &p), &err);
    struct vq_trainer_report report;
    bool intact;
    int32_t targets[3 * 64];
    size_t rows;
    assert_ok(r.source.next(r.source.ud, targets, &rows, &err), &err);
    assert_ok(vq_trainer_step(r.trainer, targets, 64, false, NULL, &report, &intact, &err), &err);
    const struct vq_param *u =
        vq_params_find(r.trainer->layout, "transformer_layers_0/scanned_attn2/u");
    r.trainer->params[u->offset + 3] = NAN;
    assert_int_equal(
        vq_trainer_step(r.trainer, targets + 16, 64, false, NULL, &report, &intact, &err), VQ_ENUM);
    assert_says(&err, "update 2", "transformer_layers_0/scanned_attn2/u");
    end(&r);
}

/* The loss overflows in the seventh update, inside the second batch: six are good, and the sixth is
 * saved with the batch to begin again. */
static void test_the_last_good_step_is_saved(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "poisoned");
    struct run r = {0};
    assert_ok(begin(&r, &p), &err);
    r.counted.poison_at = 6;
    r.counted.poisoned = r.trainer;
    assert_int_equal(go(&r, &p), VQ_ENUM);
    assert_says(&err, "update 7", "logits");
    assert_int_equal(r.result.step, 6);
    assert_string_equal(r.result.path, file_in("poisoned/checkpoint_6.safetensors"));
    end(&r);

    p = (struct plan){.from = file_in("poisoned/checkpoint_6.safetensors"),
                      .tokens = p.tokens,
                      .out = "poisoned"};
    assert_ok(begin(&r, &p), &err);
    assert_int_equal(r.trainer->step, 6);
    assert_int_equal(r.trainer->sequence, 1);
    assert_int_equal(r.trainer->state->position, 0);
    assert_string_equal(r.checkpoint.place, "{\"batch\": 1}");
    end(&r);
}

/* Given up in the seventh update: the sixth is saved in the same way, and goes on. */
static void test_an_update_given_up(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "given-up");
    struct run r = {0};
    assert_ok(begin(&r, &p), &err);
    r.counted.abandon_at = 6;
    assert_int_equal(go(&r, &p), VQ_ECANCELLED);
    assert_says(&err, "update 7", "given up");
    assert_int_equal(r.result.step, 6);
    assert_string_equal(r.result.path, file_in("given-up/checkpoint_6.safetensors"));
    end(&r);

    p = (struct plan){.from = file_in("given-up/checkpoint_6.safetensors"),
                      .tokens = p.tokens,
                      .out = "given-up"};
    assert_ok(begin(&r, &p), &err);
    assert_int_equal(r.trainer->state->position, 0);
    assert_ok(go(&r, &p), &err);
    assert_int_equal(r.result.step, 6 + 2 * 4); /* the second batch whole, and the third */
    end(&r);
}

static void refused(const struct plan *p, enum vq_status code, const char *a, const char *b)
{
    run_to(p, code, 0);
    assert_says(&err, a, b);
}

static void with(struct plan *p, const char *a, const char *b)
{
    const char *set[8] = {a, b};
    memcpy(p->set, set, sizeof(set));
}

static void test_refusals(void **state)
{
    (void)state;
    struct plan p = {
        .config = DATA "opt_adamw/config.json", .tokens = DATA "targets.npy", .out = "refused"};
    with(&p, "block_len=12", NULL);
    refused(&p, VQ_EINVAL, "update_len: expected a multiple of block_len (12)", "32");
    with(&p, "sequence_len=48", NULL);
    refused(&p, VQ_EINVAL, "sequence_len: expected a multiple of update_len (32)", "48");
    with(&p, "lr_schedule=inv_sqrt", NULL);
    refused(&p, VQ_EUNSUPPORTED, "inv_sqrt", "infinity");
    with(&p, "param_dtype=bfloat16", NULL);
    refused(&p, VQ_EUNSUPPORTED, "param_dtype", "bfloat16");
    with(&p, "dtype=float64", NULL);
    refused(&p, VQ_EUNSUPPORTED, "dtype", "float64");
    with(&p, "global_batch_size=3", NULL);
    refused(&p, VQ_EINVAL, "global_batch_size is 3", "2 sequences");
    with(&p, NULL, NULL);
    p.o.steps = 6;
    refused(&p, VQ_EINVAL, "6 were asked for", "give 5");
    assert_false(there("refused"));

    p.o.steps = 2;
    run_to(&p, VQ_OK, 0);
    refused(&p, VQ_EINVAL, "holds checkpoint_2", "--overwrite");
    p.o.steps = 1;
    p.o.overwrite = true;
    run_to(&p, VQ_OK, 0);
    assert_false(there("refused/checkpoint_2.safetensors"));
    assert_true(there("refused/checkpoint_1.safetensors"));

    p = dropping("optimizer=adamw", "inside");
    p.o.steps = 2;
    run_to(&p, VQ_OK, 0);
    p.from = file_in("inside/checkpoint_2.safetensors");
    p.config = NULL;
    with(&p, "global_batch_size=4", NULL);
    refused(&p, VQ_ESHAPE, "inside a sequence", "global_batch_size");
    with(&p, "update_len=64", NULL);
    refused(&p, VQ_ESHAPE, "position 32", "update_len 64");
    with(&p, "optimizer=lion", NULL);
    refused(&p, VQ_ESHAPE, "adamw", "lion");
}

static void test_cancelled_before_the_first_update(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "early");
    struct run r = {.counted = {.stop_at = 1}};
    assert_ok(begin(&r, &p), &err);
    r.counted.updates = 1;
    assert_int_equal(go(&r, &p), VQ_ECANCELLED);
    assert_int_equal(r.result.updates, 0);
    assert_null(r.result.path);
    end(&r);
}

/* ---- validation ---- */

static void test_validation_decides_what_is_kept(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "valid");
    struct run r = {0};
    p.valid = draw_tokens("valid", 2, 3, 64, 2);
    p.o.valid_every = 3;
    p.o.keep = 1;
    assert_ok(begin(&r, &p), &err);
    assert_ok(go(&r, &p), &err);
    assert_int_equal(r.counted.judged, 4 * 2 * 4); /* times, batches, updates */
    assert_int_equal(r.counted.saved, 4);
    assert_true(r.result.valid_loss > 3 && r.result.valid_loss < 6);
    assert_true(there("valid/checkpoint_12.safetensors"));
    assert_true(r.result.valid_step == 12 || !there("valid/checkpoint_6.safetensors") ||
                r.result.valid_step == 6);

    /* The same as the loss without dropout over both batches. */
    struct vq_train_state *s;
    struct vq_update_result u;
    double nats = 0, tokens = 0;
    int32_t targets[3 * 64];
    size_t rows;
    struct vq_batches again;
    assert_ok(vq_batches_tokens(&again, p.valid, 64, &err), &err);
    assert_ok(vq_train_state_new(&s, &r.trainer->settings.v, 3, &err), &err);
    while (again.next(again.ud, targets, &rows, &err) == VQ_OK && rows) {
        vq_train_state_reset(s);
        for (size_t t = 0; t < 64; t += 16) {
            assert_ok(vq_trainer_loss(r.trainer, s, targets + t, 64, NULL, &u, &err), &err);
            nats += u.loss_lm_unscaled * 48;
            tokens += (double)u.counted;
        }
    }
    assert_true(fabs(r.counted.valid - nats / tokens) < 1e-9);
    vq_train_state_free(s);
    vq_batches_release(&again);
    end(&r);
}

static void test_valid_tokens_bound_it(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "short");
    p.valid = draw_tokens("valid", 2, 3, 64, 2);
    p.o.valid_every = 12;
    p.o.valid_tokens = 100;
    struct counted c = run_to(&p, VQ_OK, 0);
    assert_int_equal(c.judged, 4); /* one batch is more than 100 tokens */
}

/* ---- memory, learning ---- */

static void check_estimate(const char *optimizer)
{
    struct plan p = dropping(optimizer, "memory");
    struct run r = {0};
    struct vq_trainer_memory m;
    assert_ok(begin(&r, &p), &err);
    const struct vq_trainer *t = r.trainer;
    assert_ok(vq_trainer_estimate(&m, &t->settings.v, &t->options, &err), &err);
    assert_int_equal(m.params, t->layout->floats * sizeof(float));
    assert_true(m.state >= vq_train_state_bytes(t->state) * 9 / 10);
    double optimiser = (double)vq_optim_bytes(t->optim);
    assert_true(fabs((double)m.optimiser - optimiser) < 0.1 * optimiser);
    assert_int_equal(m.total, m.params + m.grads + m.optimiser + m.state + m.activations);
    end(&r);
}

static void test_estimate(void **state)
{
    (void)state;
    check_estimate("optimizer=adamw");
    check_estimate("optimizer=lion");
}

/* Trains one update, validates, saves, and restores that into a new trainer. */
static enum vq_status everything(const struct vq_settings *s, const char *tokens,
                                 const char *folder)
{
    const struct vq_trainer_options to = {0};
    const struct vq_train_options o = {
        .folder = folder, .overwrite = true, .steps = 1, .valid_every = 1, .keep = 1};
    struct vq_train_result result = {0};
    struct vq_batches source = {0}, valid = {0};
    struct vq_trainer *t = NULL, *again = NULL;
    struct vq_ckpt *file = NULL;
    struct vq_checkpoint c = {0};
    bool inside;
    enum vq_status st = vq_batches_tokens(&source, tokens, 64, &err);
    if (!st)
        st = vq_batches_tokens(&valid, tokens, 64, &err);
    if (!st)
        st = vq_trainer_new(&t, s, &to, 1, &err);
    if (!st)
        st = vq_train_run(&result, t, &source, &valid, &o, &err);
    if (!st)
        st = vq_ckpt_open(&file, result.path, &err);
    if (!st)
        st = vq_checkpoint_look(&c, file, &err);
    if (!st)
        st = vq_trainer_new(&again, s, &to, 1, &err);
    if (!st)
        st = vq_checkpoint_restore(again, &c, false, &inside, &err);
    vq_checkpoint_release(&c);
    vq_ckpt_free(file);
    vq_train_result_release(&result);
    vq_trainer_free(t);
    vq_trainer_free(again);
    vq_batches_release(&source);
    vq_batches_release(&valid);
    return st;
}

/* Whichever allocation fails, it is said, and nothing is left behind. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    const char *set[] = {"sequence_len=16", "update_len=8", "c_revive=0.5"};
    const struct vq_model_options mo = {
        .config_path = DATA "opt_adamw/config.json", .set = set, .n_set = 3};
    const char *tokens = draw_tokens("few", 1, 2, 16, 3);
    char folder[96];
    struct vq_settings s;
    enum vq_status st = VQ_ENOMEM;
    long n = 0;
    snprintf(folder, sizeof(folder), "%s/memory", root);
    assert_ok(vq_settings_open(&s, &mo, &err), &err);
    while (st) {
        vq_mem_fail_at(++n);
        st = everything(&s, tokens, folder);
        vq_mem_fail_at(0);
        if (st && st != VQ_ENOMEM)
            fail_msg("allocation %ld: %s", n, err.msg);
    }
    assert_true(n > 50);
}

/* Twelve updates on one batch that repeats itself are learned. */
static void test_loss_falls(void **state)
{
    (void)state;
    static int32_t ids[60][2][32];
    char path[96];
    const size_t shape[] = {60, 2, 32};
    struct plan p = {.config = DATA "opt_adamw/config.json", .out = "learn", .seed = 3};
    struct run r = {0};
    for (size_t i = 0; i < 60 * 64; i++)
        ((int32_t *)ids)[i] = 3 + (int32_t)(i % 5);
    snprintf(path, sizeof(path), "%s/learn.npy", root);
    assert_ok(vq_npy_write(path, VQ_NPY_I32, 3, shape, ids, &err), &err);
    p.tokens = path;
    with(&p, "lr_max=0.01", "n_max_step=60");
    assert_ok(begin(&r, &p), &err);
    assert_ok(go(&r, &p), &err);
    assert_true(r.result.loss < 0.5);
    assert_int_equal(r.result.tokens, 60 * 64);
    end(&r);
}

/* Updates of nothing but padding have no loss: not 0, and the last real one stays. */
static void test_padding_alone(void **state)
{
    (void)state;
    static int32_t ids[64];
    const size_t shape[] = {1, 2, 32};
    char path[96];
    for (int padded = 0; padded < 2; padded++) {
        struct plan p = {.config = DATA "opt_adamw/config.json", .out = padded ? "none" : "half"};
        struct run r = {0};
        for (int i = 0; i < 64; i++)
            ids[i] = i % 32 < 16 && !padded ? 3 + i % 5 : 0;
        snprintf(path, sizeof(path), "%s/padded%d.npy", root, padded);
        assert_ok(vq_npy_write(path, VQ_NPY_I32, 3, shape, ids, &err), &err);
        p.tokens = path;
        with(&p, "update_len=16", NULL);
        assert_ok(begin(&r, &p), &err);
        assert_ok(go(&r, &p), &err);
        assert_int_equal(r.result.updates, 2);
        assert_int_equal(r.counted.losses, 1 - padded);
        assert_true(padded ? isnan(r.result.loss) : r.result.loss == r.counted.loss);
        end(&r);
    }
}

/* ---- full disks ---- */

static int entries_of(const char *folder)
{
    int n = -2; /* . and .. */
    DIR *d = opendir(file_in(folder));
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A run whose parameters, but not the files beside them, are more than fits into a file. */
static void run_short_of_space(const struct plan *p)
{
    struct rlimit whole, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    few = whole;
    few.rlim_cur = 8192;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    run_to(p, VQ_EIO, 0);
    setrlimit(RLIMIT_FSIZE, &whole);
    signal(SIGXFSZ, SIG_DFL);
    assert_non_null(strstr(err.msg, "checkpoint_4"));
}

/* A checkpoint in the authors' layout is several files: when it fails, none of them is left, and
 * what was there before is what it was. */
static void test_full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct plan p = dropping("optimizer=adamw", "cramped");
    p.o.flax = true;
    p.o.steps = 4; /* between two sequences: the generator's file is small */
    run_short_of_space(&p);
    assert_int_equal(entries_of("cramped"), 0);

    const char *const before[] = {"cramped/generator_4.safetensors", "cramped/config.json"};
    for (int i = 0; i < 2; i++)
        assert_ok(vq_file_replace(file_in(before[i]), before[i], 9, &err), &err);
    run_short_of_space(&p);
    assert_int_equal(entries_of("cramped"), 2);
    for (int i = 0; i < 2; i++) {
        struct vq_file f;
        assert_ok(vq_file_open(&f, file_in(before[i]), &err), &err);
        assert_int_equal(f.size, 9);
        assert_memory_equal(f.data, before[i], 9);
        vq_file_close(&f);
    }
    run_to(&p, VQ_OK, 0);
    assert_true(there("cramped/generator_4.safetensors") &&
                there("cramped/checkpoint_4/checkpoint"));
    assert_false(there("cramped/generator_4.safetensors.old") || there("cramped/config.json.old"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trajectories),
        cmocka_unit_test(test_going_on_is_as_not_stopping),
        cmocka_unit_test(test_codes_are_revived),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_other_data_and_parameters_alone),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_the_last_good_step_is_saved),
        cmocka_unit_test(test_an_update_given_up),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancelled_before_the_first_update),
        cmocka_unit_test(test_validation_decides_what_is_kept),
        cmocka_unit_test(test_valid_tokens_bound_it),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_loss_falls),
        cmocka_unit_test(test_padding_alone),
        cmocka_unit_test(test_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
