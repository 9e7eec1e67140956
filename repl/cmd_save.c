/*
 * save: the current model as a file, in another layout or with other numbers if asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/half.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/model/quantise.h"
#include "core/model/renumber.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runs.h"

static bool is_real(const struct vq_tensor *t)
{
    return t->scale || t->dtype == VQ_F32 || t->dtype == VQ_BF16 || t->dtype == VQ_F16 ||
           t->dtype == VQ_F64;
}

/* What is being saved: tensors, and the memory that those made here are in. */
struct saving {
    const struct vq_ckpt *from;
    struct vq_pool *pool;
    bool keep, int8, params_only, flax;
    enum vq_dtype dtype;         /* of the parameters, unless keep or int8 */
    struct vq_settings settings; /* the model's, with the vocabulary to be */
    struct vq_vocab *vocab;      /* another one than the model's, or NULL */
    struct vq_vocab_map map;     /* to it */
    struct vq_tensor_out *out;
    struct vq_tensor *made[2]; /* [count] each: those of out under new ids, and made int8 */
    void **owned;              /* [n_owned] what they, and converted ones, are in */
    size_t count, n, n_owned;
    bool left_state; /* the optimiser's */
};

/* The tensor as dtype in new memory, which *data owns. */
static enum vq_status convert(const struct vq_tensor *t, enum vq_dtype dtype, void **data,
                              struct vq_err *err)
{
    float *x = vq_alloc_f32(t->count);
    uint16_t *half = dtype == VQ_F32 ? NULL : vq_alloc(t->count, sizeof(*half));
    enum vq_status status = x && (half || dtype == VQ_F32)
                                ? vq_tensor_read_f32(t, x, err)
                                : vq_nomem(err, t->name, t->count, sizeof(float));
    for (size_t i = 0; status == VQ_OK && half && i < t->count; i++)
        half[i] = dtype == VQ_BF16 ? vq_f32_to_bf16(x[i]) : vq_f32_to_f16(x[i]);
    *data = status != VQ_OK ? NULL : half ? (void *)half : (void *)x;
    if (*data != x)
        free(x);
    if (*data != half)
        free(half);
    return status;
}

/* Codebooks decide by argmin, so their accumulators keep full precision. */
static bool keeps_precision(const struct vq_tensor *t)
{
    return strstr(t->name, "/quantizer/") != NULL;
}

/* The parameter t, of which o is a copy, as it is to be. */
static enum vq_status gather_param(struct saving *s, const struct vq_tensor *t,
                                   struct vq_tensor_out *o, struct vq_err *err)
{
    struct vq_tensor *made = &s->made[1][o - s->out];
    if (s->int8 && (t->scale || !vq_quantised(t->name)))
        return VQ_OK;
    if (s->int8) {
        enum vq_status status = vq_quantise(made, t, s->pool, err);
        s->owned[s->n_owned++] = (void *)(uintptr_t)made->data;
        o->from = made;
        return status;
    }
    if (!is_real(t) || t->dtype == s->dtype || keeps_precision(t))
        return VQ_OK;
    o->dtype = s->dtype;
    o->from = NULL;
    enum vq_status status = convert(t, s->dtype, &s->owned[s->n_owned], err);
    o->data = s->owned[s->n_owned++];
    return status;
}

static void copy_of(struct vq_tensor_out *o, const struct vq_tensor *t)
{
    *o = (struct vq_tensor_out){.name = t->name, .dtype = t->dtype, .rank = t->rank, .from = t};
    memcpy(o->shape, t->shape, sizeof(o->shape));
}

/* The next tensor of the file: t, under the new vocabulary's ids if there is one, then in the
 * numbers asked for. */
static enum vq_status gather_tensor(struct saving *s, const struct vq_tensor *t, struct vq_err *err)
{
    struct vq_tensor_out *o = &s->out[s->n];
    struct vq_tensor *made = &s->made[0][s->n++];
    if (s->vocab && t->is_param && vq_renumbered(t->name)) {
        enum vq_status status = vq_renumber(made, t, &s->map, err);
        if (status != VQ_OK)
            return status;
        s->owned[s->n_owned++] = (void *)(uintptr_t)made->data;
        t = made;
    }
    copy_of(o, t);
    return t->is_param && !s->keep ? gather_param(s, t, o, err) : VQ_OK;
}

/* flax: the authors' reader accepts no state but step and opt_state. */
static enum vq_status gather_tensors(struct saving *s, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && i < s->count; i++) {
        const struct vq_tensor *t = vq_ckpt_at(s->from, i);
        bool state = !t->is_param && strcmp(t->name, "step") != 0;
        if (state && (s->params_only || (s->flax && strncmp(t->name, "opt_state/", 10) != 0)))
            s->left_state = true;
        else
            status = gather_tensor(s, t, err);
    }
    return status;
}

static enum vq_status write_model(const struct sh_args *a, const struct saving *s, uint64_t *bytes,
                                  struct vq_err *err)
{
    const char *path = sh_arg(a, 0), *as = sh_opt_text(a, "as");
    int64_t step = vq_ckpt_step(s->from);
    if (s->flax)
        return vq_flax_write(path, strcmp(as, "flax") == 0, s->out, s->n, step > 0 ? step : 0,
                             bytes, err);
    struct vq_text config = {0};
    vq_settings_to_json(&s->settings, &config);
    if (config.failed) {
        vq_text_release(&config);
        return vq_nomem(err, "configuration", 1, 1);
    }
    /* Seed and place in the data: with the optimiser's state, all that going on training needs. */
    const char *training = vq_ckpt_meta(s->from, "training");
    bool going_on = training && !s->params_only;
    const struct vq_meta meta[] = {{"format", "vqsh"},
                                   {"config", config.data},
                                   {"vocab", s->settings.v.vocab},
                                   {"training", training}};
    enum vq_status status =
        vq_safetensors_write(path, s->out, s->n, meta, going_on ? 4 : 3, bytes, err);
    vq_text_release(&config);
    return status;
}

/* What `load` will have to be told again. */
static void note_configuration(struct sh *sh, const struct vq_settings *settings)
{
    static const char *const untold[] = {"mem_len", "block_len", "agg_cache",
                                         "e_scale", "pe_lam",    "vocab"};
    struct vq_text t = {0};
    char value[300];
    for (size_t i = 0; i < sizeof(untold) / sizeof(untold[0]); i++)
        vq_text_printf(&t, " --set %s=%s", untold[i],
                       vq_settings_text(settings, (size_t)vq_config_field_find(untold[i]), value,
                                        sizeof(value)));
    if (!t.failed)
        sh_note(sh,
                "their layout holds no configuration; load takes it from a config.json beside it, "
                "a preset, or%s",
                t.data);
    vq_text_release(&t);
}

static enum vq_status save_tensors(const struct sh_args *a, struct saving *s, uint64_t *bytes,
                                   struct vq_err *err)
{
    s->out = vq_calloc(s->count, sizeof(*s->out));
    s->made[0] = vq_calloc(s->count, sizeof(**s->made));
    s->made[1] = vq_calloc(s->count, sizeof(**s->made));
    s->owned = vq_calloc(s->count, 2 * sizeof(*s->owned));
    enum vq_status status = s->out && s->made[0] && s->made[1] && s->owned
                                ? VQ_OK
                                : vq_nomem(err, "tensors", s->count, sizeof(*s->out));
    if (status == VQ_OK)
        status = gather_tensors(s, err);
    if (status == VQ_OK)
        status = write_model(a, s, bytes, err);
    for (size_t i = 0; i < s->n_owned; i++)
        free(s->owned[i]);
    free(s->owned);
    free(s->made[0]);
    free(s->made[1]);
    free(s->out);
    return status;
}

/* The vocabulary that --vocab asks for, and how to get to it. */
static enum vq_status open_vocab(struct saving *s, const struct vq_model *m, const char *spec,
                                 struct vq_err *err)
{
    int size = strcmp(spec, "ids") == 0 ? (int)vq_model_config(m)->n_vocab : 0;
    enum vq_status status = vq_vocab_open(&s->vocab, spec, size, err);
    if (status == VQ_OK)
        status = vq_vocab_map(&s->map, vq_model_vocab(m), s->vocab, err);
    if (status == VQ_OK)
        status = vq_settings_vocab(&s->settings, s->vocab, err);
    return status;
}

/* What the file does not hold, or has lost. */
static void note_losses(struct sh *sh, const struct sh_args *a, const struct saving *s)
{
    if (s->flax)
        note_configuration(sh, &s->settings);
    if (s->map.left)
        sh_note(sh, "%zu ids of the old vocabulary are left out: %s has nothing like them",
                s->map.left, s->settings.v.vocab);
    if (!s->left_state || sh_opt_flag(a, "params-only"))
        return;
    if (s->int8)
        sh_note(sh, "the optimiser's state is left out: training does not go on from int8");
    else if (s->vocab)
        sh_note(sh, "the optimiser's state is left out: it belongs to the old ids; "
                    "train --from FILE --params-only begins anew with these parameters");
}

static enum sh_rc save(struct sh *sh, const struct sh_args *a, struct saving *s)
{
    struct vq_err err = {0};
    uint64_t bytes = 0;
    if (save_tensors(a, s, &bytes, &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_record(sh);
    sh_str(sh, "path", sh_arg(a, 0));
    sh_uint(sh, "bytes", bytes);
    note_losses(sh, a, s);
    return sh_end(sh);
}

static enum sh_rc run_save(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    const struct vq_model *m = sh_model_current(sh)->model;
    const char *weights = sh_opt_text(a, "weights"), *vocab = sh_opt_text(a, "vocab");
    struct saving s = {.from = vq_model_ckpt(m),
                       .keep = strcmp(weights, "keep") == 0,
                       .int8 = strcmp(weights, "int8") == 0,
                       .flax = strcmp(sh_opt_text(a, "as"), "safetensors") != 0,
                       .dtype = strcmp(weights, "bf16") == 0  ? VQ_BF16
                                : strcmp(weights, "f16") == 0 ? VQ_F16
                                                              : VQ_F32,
                       .settings = *vq_model_settings(m),
                       .pool = sh_pool(sh, &err)};
    enum sh_rc rc;
    s.params_only = sh_opt_flag(a, "params-only") || s.int8 || vocab;
    s.count = vq_ckpt_count(s.from);
    if (!s.pool)
        rc = sh_fail(sh, &err);
    else if (s.flax && (s.int8 || (s.keep && vq_model_is_int8(m))))
        rc = sh_bad_arg(sh, sh_opt_word(a, "as"),
                        "the authors' layout has no int8 with scales: give --weights f32 or bf16");
    else if (vocab && open_vocab(&s, m, vocab, &err) != VQ_OK)
        rc = sh_bad_arg(sh, sh_opt_word(a, "vocab"), "%s", err.msg);
    else
        rc = save(sh, a, &s);
    vq_vocab_map_release(&s.map);
    vq_vocab_free(s.vocab);
    return rc;
}

static const struct sh_opt save_opts[] = {
    {.name = "as",
     .kind = SH_CHOICE,
     .def = "safetensors",
     .choices = "safetensors flax flax-file",
     .help = "flax: the authors' folder layout; flax-file: their older single file"},
    {.name = "weights",
     .kind = SH_CHOICE,
     .def = "keep",
     .choices = "keep f32 bf16 f16 int8",
     .help = "dtype of parameters but codebooks; int8: of the large matrices alone"},
    {.name = "params-only", .kind = SH_FLAG, .help = "leave the optimiser state out"},
    {.name = "vocab",
     .kind = SH_PATH,
     .value = "NAME",
     .help = "give it another vocabulary: rows of the same bytes are copied"},
    SH_OPT_END};
static const char *const save_examples[] = {"save model.safetensors --params-only --weights bf16",
                                            "save small.safetensors --weights int8",
                                            "save checkpoint_3576 --as flax", NULL};
const struct sh_cmd cmd_save = {
    .name = "save",
    .group = "models",
    .args = "PATH",
    .summary = "write the current model as safetensors or in the authors' layout",
    .detail =
        "safetensors files carry the configuration and the vocabulary in their metadata. "
        "--weights int8 writes what `load --weights int8` computes with, a quarter of the size, "
        "and without the optimiser's state: such a file gives the same bytes, and is not for "
        "training. --weights f32 makes floats of it again, as rounded as they are. "
        "With --as flax PATH becomes a folder, by custom checkpoint_<step>. Files are "
        "written beside their place and renamed: an old file is replaced whole or not at "
        "all.\n\n"
        "--vocab NAME (bytes, image64, rgb64, or a SentencePiece file) gives each id of NAME the "
        "embedding, the output bias and the output column of the id that stands for the same "
        "bytes: each channel of rgb64 gets copies of what image64 has for all three. An id that "
        "has no counterpart is an error. The optimiser's state is left out; `train --from PATH "
        "--params-only` goes on.",
    .examples = save_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_OUTPATH},
    .needs = SH_NEED_MODEL,
    .opts = save_opts,
    .run = run_save,
};
