/*
 * config: the one table of hyper-parameters, its defaults, and the checks that need no checkpoint.
 * Reading values into it is settings.c; the authors' presets are presets.c.
 */
#include "core/model/config.h"

#include <math.h>
#include <string.h>

#include "core/base/mem.h"

#define EMBS      "token_embedder/embs"
#define C_SUM     "transformer_layers_0/scanned_attn1/quantizer/c_sum"
#define KVG       "transformer_layers_0/scanned_attn1/kvg_proj/kernel"
#define COUNT_MAX 9007199254740992.0 /* 2^53: any integer below is one double */

#define FIELD(m, t, lo, hi)                                                                        \
    .name = #m, .type = t, .offset = offsetof(struct vq_config, m),                                \
    .size = sizeof(((struct vq_config *)0)->m), .min = lo, .max = hi
#define INT(m, lo, hi, told, text)                                                                 \
    {                                                                                              \
        FIELD(m, VQ_FIELD_INT, lo, hi), .told_by = told, .help = text                              \
    }
#define FLAG(m, told, text)                                                                        \
    {                                                                                              \
        FIELD(m, VQ_FIELD_BOOL, 0, 1), .told_by = told, .help = text                               \
    }
#define REAL(m, lo, hi, text)                                                                      \
    {                                                                                              \
        FIELD(m, VQ_FIELD_REAL, lo, hi), .help = text                                              \
    }
#define TEXT(m, words, text)                                                                       \
    {                                                                                              \
        FIELD(m, VQ_FIELD_TEXT, 0, 0), .choices = words, .help = text                              \
    }

static const struct vq_config_field fields[] = {
    INT(d_model, 2, 1 << 20, EMBS, "width of the residual stream (even)"),
    INT(d_k, 1, 1 << 16, C_SUM, "width of a head's queries and keys"),
    INT(d_v, 1, 1 << 20, KVG, "width of a head's values"),
    INT(n_head, 1, 1 << 12, C_SUM, "heads of a module"),
    INT(n_code, 1, 1 << 20, C_SUM, "codes of a head's codebook"),
    INT(n_layer, 1, 1 << 12, "transformer_layers_*", "layers of two attention modules each"),
    INT(n_vocab, 1, 1 << 24, EMBS, "tokens that can be told apart, specials included"),
    INT(d_ff, 0, 0, NULL, "always 0: gated attention takes the place of an MLP"),
    INT(block_len, 1, 1 << 24, NULL, "tokens of a block in training"),
    INT(mem_len, 1, 1 << 24, NULL, "window: the keys kept one by one"),
    FLAG(agg_cache, NULL, "attend to what has left the window, through the aggregate"),
    FLAG(grad_thru_cache, NULL, "let gradients flow from block to block"),
    FLAG(pe_abs, "position_embedder/scale", "add absolute positions to the embeddings"),
    REAL(pe_lam, 1, 1e15, "longest wavelength of the sinusoids, over 2 pi"),
    REAL(p_dropemb, 0, 0.999, "dropout of embeddings"),
    REAL(p_dropsin, 0, 0.999, "dropout of the sinusoids of relative positions"),
    REAL(p_dropres, 0, 0.999, "dropout of a module's result"),
    REAL(p_droplyr, 0, 0.999, "dropout of whole modules"),
    REAL(p_nucleus, 0, 1, "probability kept when sampling"),
    REAL(c_beta, 0, 1e6, "weight of the commitment loss"),
    REAL(c_gamma, 0, 1, "decay of the codebook's moving averages"),
    REAL(c_revive, 0, 1e6, "count under which an unused code gets a new place (0: never)"),
    FLAG(e_tie, "out_proj/kernel", "output matrix is the embedding matrix"),
    FLAG(e_preln, "out_ln/g", "norm before the output matrix"),
    REAL(e_scale, 1e-30, 1e30, "factor of the logits"),
    INT(sequence_len, 1, 1u << 31, NULL, "tokens of a training sequence"),
    INT(update_len, 1, 1u << 31, NULL, "tokens of a sequence between parameter updates"),
    INT(global_batch_size, 1, 1 << 24, NULL, "sequences trained together"),
    TEXT(param_dtype, "float32 bfloat16 float16 float64", "numbers of the authors' parameters"),
    TEXT(dtype, "float32 bfloat16 float16 float64", "numbers of the authors' activations"),
    TEXT(optimizer, "adamw lion adafactor", "rule of the parameter updates"),
    TEXT(lr_schedule, "cosine linear inv_sqrt", "course of the learning rate after warm-up"),
    REAL(lr_max, 0, 1e6, "learning rate at its peak"),
    REAL(wd_lam, 0, 1, "weight decay of a step, not scaled by the rate"),
    REAL(grad_clip, 0, 1e30, "largest norm of the gradient (0 or none: no limit)"),
    INT(n_warmup_step, 0, COUNT_MAX, NULL, "steps until the rate's peak"),
    INT(n_max_step, 1, COUNT_MAX, NULL, "steps of the schedule"),
    INT(n_extra_step, 0, COUNT_MAX, NULL, "steps after the schedule's end, at its last rate"),
    INT(prng_seed, 0, COUNT_MAX, NULL, "seed of initialisation and dropout"),
    TEXT(vocab, NULL, "bytes, image64, rgb64, ids, or a SentencePiece file"),
};
enum { N_FIELD = sizeof(fields) / sizeof(fields[0]) };
_Static_assert(N_FIELD <= VQ_CONFIG_MAX_FIELDS, "struct vq_settings has an origin for each field");

size_t vq_config_field_count(void)
{
    return N_FIELD;
}

const struct vq_config_field *vq_config_field_at(size_t i)
{
    return i < N_FIELD ? &fields[i] : NULL;
}

int vq_config_field_find(const char *name)
{
    for (int i = 0; i < N_FIELD; i++)
        if (!strcmp(fields[i].name, name))
            return i;
    return -1;
}

static const char *const origin_names[] = {"default", "shapes", "preset", "config", "set"};
_Static_assert(sizeof(origin_names) / sizeof(origin_names[0]) == VQ_FROM_USER + 1, "one name each");

const char *vq_origin_name(enum vq_origin o)
{
    return (unsigned)o <= VQ_FROM_USER ? origin_names[o] : "unknown";
}

void vq_settings_default(struct vq_settings *s)
{
    static const struct vq_config shared = {.d_model = 768,
                                            .d_k = 128,
                                            .d_v = 1536,
                                            .n_head = 1,
                                            .n_code = 512,
                                            .n_layer = 24,
                                            .n_vocab = 259,
                                            .mem_len = 512,
                                            .block_len = 512,
                                            .agg_cache = 1,
                                            .grad_thru_cache = 1,
                                            .e_scale = 1.0,
                                            .pe_lam = 100000,
                                            .p_nucleus = 1.0,
                                            .c_beta = 1e-4,
                                            .c_gamma = 0.99,
                                            .sequence_len = 8192,
                                            .update_len = 2048,
                                            .global_batch_size = 128,
                                            .param_dtype = "float32",
                                            .dtype = "float32",
                                            .optimizer = "adamw",
                                            .lr_schedule = "cosine",
                                            .lr_max = 4e-4,
                                            .n_warmup_step = 10000,
                                            .n_max_step = 125000};
    *s = (struct vq_settings){.v = shared};
}

/* A table entry against its own range; text was checked against its choices when it was set. */
static enum vq_status check_field(const struct vq_config_field *f, const struct vq_config *c,
                                  struct vq_err *err)
{
    const char *at = (const char *)c + f->offset;
    double x;
    if (f->type == VQ_FIELD_TEXT)
        return VQ_OK;
    if (f->type == VQ_FIELD_REAL) {
        memcpy(&x, at, sizeof(x));
    } else {
        int64_t i;
        memcpy(&i, at, sizeof(i));
        x = (double)i;
    }
    if (!isfinite(x) || x < f->min || x > f->max)
        return vq_fail(err, VQ_EINVAL, "%s: expected %.15g to %.15g, found %.15g", f->name, f->min,
                       f->max, x);
    return VQ_OK;
}

/* Whether the largest arrays that a model implies can be counted at all. */
static enum vq_status check_sizes(const struct vq_config *c, struct vq_err *err)
{
    const struct {
        const char *what;
        int64_t factor[5];
    } arrays[] = {
        {"n_vocab * d_model", {c->n_vocab, c->d_model, 1, 1, 1}},
        {"d_model * n_head * (d_k + 2 d_v)", {c->d_model, c->n_head, c->d_k + 2 * c->d_v, 1, 1}},
        {"n_layer * n_head * n_code * d_v", {2 * c->n_layer, c->n_head, c->n_code, c->d_v, 1}},
        {"n_layer * n_head * n_code * d_k", {2 * c->n_layer, c->n_head, c->n_code, c->d_k, 1}},
        {"n_layer * mem_len * n_head * d_v",
         {2 * c->n_layer, c->mem_len + 1, c->n_head, c->d_v, 1}},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        size_t n = sizeof(double);
        for (size_t k = 0; k < 5; k++)
            if (!vq_mul_ok(n, (size_t)arrays[i].factor[k], &n))
                return vq_fail(err, VQ_EINVAL, "%s is too large to be counted", arrays[i].what);
    }
    return VQ_OK;
}

enum vq_status vq_config_check(const struct vq_config *c, struct vq_err *err)
{
    for (size_t i = 0; i < N_FIELD; i++) {
        enum vq_status st = check_field(&fields[i], c, err);
        if (st)
            return st;
    }
    if (c->d_model % 2)
        return vq_fail(err, VQ_EINVAL,
                       "d_model: expected an even number (half sines, half cosines), found %lld",
                       (long long)c->d_model);
    return check_sizes(c, err);
}
