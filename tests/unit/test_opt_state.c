/*
 * Optimiser state: what the authors' checkpoints hold is taken in and given back to the byte, for
 * all optimisers, with and without clipping and decay; what does not fit is refused by name.
 */
#include "tests/unit/test_ckpt.h"
#include "tests/unit/test_optim_state.h"

#include "core/train/optim_private.h"

#define OPTIM "tests/data/optim/"
#define FULL  "../shared/golden/"

static struct vq_ckpt *open_checkpoint(const char *path)
{
    struct vq_ckpt *c;
    struct vq_err err = {0};
    assert_ok(vq_ckpt_open(&c, path, &err), &err);
    return c;
}

/* Everything of the file but its parameters and step is in the list, and nothing else. */
static void check_list(const struct vq_ckpt *c, const struct vq_opt_state *s)
{
    size_t n = 0;
    for (size_t i = 0; i < vq_ckpt_count(c); i++)
        n += !strncmp(vq_ckpt_at(c, i)->name, "opt_state/", 10);
    assert_int_equal(s->n, n);
    for (size_t i = 0; i < s->n; i++) {
        const struct vq_tensor_out *t = &s->at[i];
        const struct vq_tensor *want = vq_ckpt_find(c, t->name);
        if (!want)
            fail_msg("%s is not in the file", t->name);
        assert_int_equal(t->dtype, want->dtype);
        if (t->dtype == VQ_NONE)
            continue;
        assert_int_equal(t->rank, want->rank);
        assert_memory_equal(t->shape, want->shape, (size_t)t->rank * sizeof(*t->shape));
        uint8_t *raw = malloc(want->bytes);
        vq_tensor_read_raw(want, raw);
        assert_memory_equal(t->data, raw, want->bytes);
        free(raw);
    }
}

/* The checkpoint with its parameters as they are and the state from us is the same file. */
static void check_file(void **state, const struct vq_ckpt *c, const struct vq_opt_state *s)
{
    struct vq_err err = {0};
    bool folder = !strcmp(vq_ckpt_format(c), "flax-folder");
    struct vq_tensor_out *t = calloc(s->n + vq_ckpt_count(c), sizeof(*t));
    size_t n = s->n;
    memcpy(t, s->at, s->n * sizeof(*t));
    for (size_t i = 0; i < vq_ckpt_count(c); i++)
        if (vq_ckpt_at(c, i)->is_param)
            t[n++].from = vq_ckpt_at(c, i);
    const char *path = in(state, folder ? "folder" : "file");
    assert_ok(vq_flax_write(path, folder, t, n, vq_ckpt_step(c), NULL, &err), &err);
    assert_same_file(folder ? in(state, "folder/checkpoint") : path, vq_ckpt_path(c));
    free(t);
}

static void round_trip(void **state, const char *folder, const char *checkpoint,
                       const char *optimizer, double clip, double decay)
{
    struct vq_err err = {0};
    struct vq_opt_state s;
    struct optim_case k = open_case(folder, optimizer, clip, decay);
    struct vq_ckpt *c = open_checkpoint(checkpoint);
    assert_ok(vq_opt_state_load(k.optim, c, &err), &err);
    assert_int_equal(vq_optim_count(k.optim), 3);
    assert_ok(vq_opt_state_list(&s, k.optim, &err), &err);
    check_list(c, &s);
    if (strcmp(vq_ckpt_format(c), "safetensors"))
        check_file(state, c, &s);
    vq_opt_state_release(&s);
    vq_ckpt_free(c);
    close_case(&k);
}

static void test_round_trips(void **state)
{
    round_trip(state, "tests/data/golden/fixture_agg", DATA "fixture_agg/checkpoint_3", "lion", 0,
               2e-4);
    round_trip(state, "tests/data/golden/fixture_agg", DATA "fixture_agg_legacy/checkpoint_3",
               "lion", 0, 2e-4);
    round_trip(state, "tests/data/golden/layers11", DATA "layers11/checkpoint_3", "adafactor", 0,
               2e-4);
    round_trip(state, "tests/data/golden/mem8_block16", DATA "mem8_block16/checkpoint_3", "adamw",
               0, 0);
    round_trip(state, OPTIM "opt_lion", DATA "opt_lion/checkpoint_3", NULL, 0, 0);
    round_trip(state, OPTIM "opt_adamw", OPTIM "opt_adamw/checkpoint_3", NULL, 0, 0);
    round_trip(state, OPTIM "opt_adafactor", OPTIM "opt_adafactor/state_3.safetensors", NULL, 0, 0);
}

static void test_full_set(void **state)
{
    static const struct {
        const char *name, *optimizer;
        double clip, decay;
    } cases[] = {
        {"enwik8", "adamw", 0.1, 2e-4},    {"enwik8_noagg", "adamw", 0.1, 2e-4},
        {"tied", "adafactor", 0, 0},       {"tied_no_pe", "adafactor", 0, 0},
        {"fixture_noagg", "lion", 0, 0.1}, {"heads3", "adamw", 0, 0.1},
        {"mem32_block8", "adamw", 0, 0},   {"mem12_block1", "adamw", 0, 0},
        {"opt_adafactor", NULL, 0, 0},     {"opt_adamw", NULL, 0, 0},
    };
    if (golden_full_absent())
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char folder[128], checkpoint[160];
        snprintf(folder, sizeof(folder), FULL "%s", cases[i].name);
        snprintf(checkpoint, sizeof(checkpoint), "%s/checkpoint_3", folder);
        round_trip(state, folder, checkpoint, cases[i].optimizer, cases[i].clip, cases[i].decay);
    }
    round_trip(state, FULL "heads3", FULL "heads3/legacy/checkpoint_3", "adamw", 0, 0.1);
}

/* A fresh optimiser's list: what the authors' code holds before its first step. */
static void test_fresh(void **state)
{
    (void)state;
    struct vq_err err = {0};
    struct vq_opt_state s;
    struct optim_case k = open_case(OPTIM "opt_lion", "adamw", 0, 0.5);
    assert_ok(vq_opt_state_list(&s, k.optim, &err), &err);
    size_t empty = 0, zero = 0;
    for (size_t i = 0; i < s.n; i++) {
        empty += s.at[i].dtype == VQ_NONE;
        zero += s.at[i].dtype == VQ_I32 && *(const int32_t *)s.at[i].data == 0;
    }
    assert_int_equal(empty, 2 + 2 * 4 + 2 + 1); /* sgd, 4 codebook leaves twice, chain, decay */
    assert_int_equal(zero, 2);
    vq_opt_state_release(&s);
    assert_null(s.at);
    close_case(&k);
}

/* Loading must fail with this message and leave the state of zeros alone. */
static void refused(const struct optim_case *k, const char *checkpoint, enum vq_status code,
                    const char *const *says)
{
    struct vq_err err = {0};
    struct vq_ckpt *c = open_checkpoint(checkpoint);
    assert_int_equal(vq_opt_state_load(k->optim, c, &err), code);
    assert_says_all(&err, says);
    assert_int_equal(vq_optim_count(k->optim), 0);
    for (size_t i = 0; i < k->optim->bytes; i++)
        assert_int_equal(k->optim->memory[i], 0);
    vq_ckpt_free(c);
}

#define REFUSED(k, path, code, ...) refused(k, path, code, (const char *const[]){__VA_ARGS__, NULL})

/* The state in opt_lion with one tensor changed, as a file in the scratch folder. */
static const char *changed(void **state, const char *name, const struct vq_tensor_out *instead)
{
    struct vq_err err = {0};
    struct vq_ckpt *c = open_checkpoint(DATA "opt_lion/checkpoint_3");
    struct vq_tensor_out *t = outs_of(c);
    size_t n = vq_ckpt_count(c);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(t[i].from->name, name))
            continue;
        t[i] = instead ? *instead : t[n - 1];
        n -= !instead;
    }
    const char *path = in(state, "changed.safetensors");
    assert_ok(vq_safetensors_write(path, t, n, NULL, 0, NULL, &err), &err);
    free(t);
    vq_ckpt_free(c);
    return path;
}

static void test_refusals(void **state)
{
    struct optim_case adamw = open_case(OPTIM "opt_lion", "adamw", 0.1, 2e-4);
    REFUSED(&adamw, DATA "opt_lion/checkpoint_3", VQ_ESHAPE, "opt_lion", "state of lion",
            "optimizer is adamw");
    REFUSED(&adamw, OPTIM "start.safetensors", VQ_ENOTFOUND, "start", "no optimiser state");
    close_case(&adamw);

    struct optim_case lion = open_case(OPTIM "opt_lion", NULL, 0, 0);
    REFUSED(&lion, OPTIM "opt_adamw/checkpoint_3", VQ_ESHAPE, "state of adamw", "lion");
    REFUSED(&lion, OPTIM "opt_adafactor/state_3.safetensors", VQ_ESHAPE, "state of adafactor");
    REFUSED(&lion, DATA "fixture_agg/checkpoint_3", VQ_ESHAPE, "fixture_agg", "mu/", "expected",
            "found");
#define CHAIN "opt_state/inner_states/main/inner_state/"
    static const float two[2] = {1, 2};
    static const uint16_t half[64];
    static const int32_t less = -1;
    struct vq_tensor_out t = {.name = CHAIN "1/0/mu/out_proj/bias",
                              .dtype = VQ_F32,
                              .rank = 1,
                              .shape = {2},
                              .data = two};
    REFUSED(&lion, changed(state, t.name, &t), VQ_ESHAPE, t.name, "bfloat16 [64]", "float32 [2]");
    t = (struct vq_tensor_out){
        .name = t.name, .dtype = VQ_BF16, .rank = 2, .shape = {64, 1}, .data = half};
    REFUSED(&lion, changed(state, t.name, &t), VQ_ESHAPE, t.name, "[64]", "[64, 1]");
    REFUSED(&lion, changed(state, t.name, NULL), VQ_ESHAPE, "lacks " CHAIN "1/0/mu/out_proj/bias");
    REFUSED(&lion, changed(state, CHAIN "2/count", NULL), VQ_ESHAPE, CHAIN "2/count");
    t = (struct vq_tensor_out){.name = CHAIN "2/count", .dtype = VQ_I32, .data = &less};
    REFUSED(&lion, changed(state, t.name, &t), VQ_ESHAPE, t.name, "0 or more");
    close_case(&lion);
}

/* A chain with another clip or decay has the same state. */
static void test_other_chain(void **state)
{
    (void)state;
    struct vq_err err = {0};
    struct optim_case k = open_case(OPTIM "opt_lion", "lion", 0, 0);
    struct vq_ckpt *c = open_checkpoint(DATA "opt_lion/checkpoint_3");
    assert_ok(vq_opt_state_load(k.optim, c, &err), &err);
    assert_int_equal(vq_optim_count(k.optim), 3);
    vq_ckpt_free(c);
    close_case(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trips, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(test_full_set, make_scratch, remove_scratch),
        cmocka_unit_test(test_fresh),
        cmocka_unit_test_setup_teardown(test_refusals, make_scratch, remove_scratch),
        cmocka_unit_test(test_other_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
