/*
 * Commands on models and their files: load, models, use, unload, info, tensors.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/model/memory.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runs.h"

/* `load` hashes files up to this size at once; larger ones in the background, for `info`. */
#define HASH_AT_ONCE ((size_t)128 << 20)

/* Each field's value and where it came from, as two JSON objects. */
static void origins_json(const struct vq_settings *s, struct vq_text *out)
{
    vq_text_puts(out, "{");
    for (size_t i = 0; i < vq_config_field_count(); i++)
        vq_text_printf(out, "%s\"%s\":\"%s\"", i ? "," : "", vq_config_field_at(i)->name,
                       vq_origin_name((enum vq_origin)s->origin[i]));
    vq_text_puts(out, "}");
}

static bool people_read(const struct sh *sh)
{
    return sh_for_people(sh) || sh_out_format(sh) == SH_HTML;
}

/* For people the configuration follows as a table of its own. */
static enum sh_rc config_table(struct sh *sh, const struct vq_settings *s)
{
    sh_list(sh, "config value from");
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        char text[256];
        sh_row(sh);
        sh_str(sh, "config", vq_config_field_at(i)->name);
        sh_str(sh, "value", vq_settings_text(s, i, text, sizeof(text)));
        sh_str(sh, "from", vq_origin_name((enum vq_origin)s->origin[i]));
    }
    return sh_end(sh);
}

/* What reading and writing with m would take. */
static void put_memory(struct sh *sh, const struct sh_model *m, const struct vq_memory *memory)
{
    if (m->engine)
        sh_uint(sh, "memory", vq_engine_bytes(m->engine));
    if (!memory)
        return;
    sh_uint(sh, "memory_weights", memory->weights);
    sh_uint(sh, "memory_state", memory->state);
    sh_uint(sh, "memory_constant", memory->constant);
    sh_uint(sh, "memory_peak", vq_memory_peak(memory));
}

/* The record of `info`, or of `load` with no estimate of the memory; hex may be NULL while the hash
 * is not known. */
static enum sh_rc describe(struct sh *sh, struct sh_model *m, const char *hex,
                           const struct vq_memory *memory)
{
    const struct vq_ckpt *c = vq_model_ckpt(m->model);
    const struct vq_settings *s = vq_model_settings(m->model);
    sh_record(sh);
    sh_str(sh, "name", m->name);
    sh_str(sh, "path", vq_ckpt_path(c));
    sh_str(sh, "format", vq_ckpt_format(c));
    if (vq_ckpt_step(c) >= 0)
        sh_int(sh, "step", vq_ckpt_step(c));
    else
        sh_null(sh, "step");
    sh_uint(sh, "params", vq_model_params(m->model));
    sh_uint(sh, "bytes", vq_ckpt_size(c));
    sh_str(sh, "weights", vq_weight_format_name(m->weights));
    if (memory) {
        sh_str(sh, "state", vq_weight_format_name(m->state));
        sh_str(sh, "skip", vq_skip_name(m->skip));
    }
    sh_str(sh, "sha256", hex);
    sh_str(sh, "vocab", vq_vocab_spec(vq_model_vocab(m->model)));
    sh_str(sh, "preset", s->preset[0] ? s->preset : NULL);
    sh_str(sh, "config_path",
           *vq_model_config_path(m->model) ? vq_model_config_path(m->model) : NULL);
    put_memory(sh, m, memory);
    if (people_read(sh)) {
        enum sh_rc rc = sh_end(sh);
        return rc == SH_OK && memory ? config_table(sh, s) : rc;
    }
    struct vq_text config = {0}, origins = {0};
    vq_settings_to_json(s, &config);
    origins_json(s, &origins);
    if (!config.failed && !origins.failed) {
        sh_json(sh, "config", config.data);
        sh_json(sh, "from", origins.data);
    }
    vq_text_release(&config);
    vq_text_release(&origins);
    return sh_end(sh);
}

static enum sh_rc run_load(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct vq_engine_options how;
    bool chosen = sh_opt_given(a, "weights");
    const char *weights = chosen ? sh_opt_text(a, "weights") : sh->set.weights;
    const char *state = sh_opt_given(a, "state") ? sh_opt_text(a, "state") : sh->set.state;
    struct vq_model_options o = {.preset = sh_opt_text(a, "preset"),
                                 .config_path = sh_opt_text(a, "config")};
    const char **set = sh_opt_all(a, "set", &o.n_set);
    o.set = set;
    struct vq_model *model = NULL;
    struct sh_model *m = NULL;
    enum vq_status status = vq_model_open(&model, sh_arg(a, 0), &o, &err);
    free(set);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    if (!chosen && vq_model_is_int8(model))
        weights = vq_weight_format_name(VQ_WEIGHT_INT8);
    if (!sh_engine_options(&how, weights, state, sh->set.skip))
        status = vq_fail(&err, VQ_EINVAL, "no format %s, or %s", weights, state);
    if (status == VQ_OK)
        status = sh_model_add(sh, model, sh_arg(a, 0), sh_opt_text(a, "as"), &how, &m, &err);
    if (status != VQ_OK) {
        vq_model_free(model);
        return sh_fail(sh, &err);
    }
    if (*vq_model_note(model))
        sh_note(sh, "%s", vq_model_note(model));
    const char *hex = NULL;
    bool wait = vq_ckpt_size(vq_model_ckpt(model)) <= HASH_AT_ONCE;
    if (sh_model_hash(sh, m, wait, &hex, &err) != VQ_OK)
        sh_warn(sh, "%s", err.msg);
    return describe(sh, m, hex, NULL);
}

static const struct sh_opt load_opts[] = {
    {.name = "preset", .kind = SH_PRESET, .help = "configuration for what shapes do not tell"},
    {.name = "config", .kind = SH_PATH, .help = "configuration file (default: config.json beside)"},
    {.name = "as", .kind = SH_TEXT, .value = "NAME", .help = "name of the model in this session"},
    {.name = "weights",
     .kind = SH_CHOICE,
     .choices = "f32 bf16 int8",
     .help = "format of weights (default: that of an int8 file, else set weights)"},
    {.name = "state",
     .kind = SH_CHOICE,
     .choices = "auto f32 bf16 int8",
     .help = "format of the attention state (default: set state)"},
    {.name = "set", .kind = SH_PAIR, .many = true, .help = "one configuration value"},
    SH_OPT_END};
static const char *const load_examples[] = {"load samples/models/text-small.safetensors",
                                            "load samples/models/text-small.safetensors --as "
                                            "small --weights bf16",
                                            NULL};
const struct sh_cmd cmd_load = {
    .name = "load",
    .group = "models",
    .args = "PATH",
    .summary = "open a checkpoint and make it the current model",
    .detail =
        "PATH is a Flax msgpack file, a folder checkpoint_<step>, a folder of such (the "
        "highest step is taken), or a safetensors file. The file is mapped: weights are read "
        "when they are first used.\n\n"
        "The configuration is settled in this order, later ones winning: tensor shapes, "
        "--preset (or the preset whose shapes match), config.json beside the checkpoint or "
        "the file's own metadata, --set. `info` shows where each value came from.\n\n"
        "--state says how the values that attention keeps (the window's, the means of the "
        "aggregate) are rounded; sums are in float32, counts whole, means are added to "
        "exactly. auto takes the format of the weights. `set skip` says which of them a "
        "token leaves unread: zero those whose softmax weight is exactly 0, which leaves "
        "results as they are; light also the lightest of a query, which all together weigh "
        "less than one rounding of a value (2^-24, 2^-8 and 1/254 for f32, bf16 and int8), so "
        "that no result of attention moves by more than that times the largest value; none reads "
        "all. auto is zero for f32 and light for the others.",
    .examples = load_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_PATH},
    .opts = load_opts,
    .run = run_load,
};

static enum sh_rc run_models(struct sh *sh, const struct sh_args *a)
{
    (void)a;
    sh_list(sh, "current name path step params weights position prepared");
    for (struct sh_model *m = sh_model_first(sh); m; m = m->next) {
        const struct vq_ckpt *c = vq_model_ckpt(m->model);
        sh_row(sh);
        sh_bool(sh, "current", m == sh_model_current(sh));
        sh_str(sh, "name", m->name);
        sh_str(sh, "path", vq_ckpt_path(c));
        if (vq_ckpt_step(c) >= 0)
            sh_int(sh, "step", vq_ckpt_step(c));
        sh_uint(sh, "params", vq_model_params(m->model));
        sh_str(sh, "weights", vq_weight_format_name(m->weights));
        sh_int(sh, "position", sh_model_position(m));
        sh_bool(sh, "prepared", m->engine != NULL);
    }
    return sh_end(sh);
}

static const char *const models_examples[] = {"models", NULL};
const struct sh_cmd cmd_models = {
    .name = "models",
    .group = "models",
    .args = "",
    .summary = "list the loaded models",
    .examples = models_examples,
    .run = run_models,
};

static enum sh_rc no_such_model(struct sh *sh, const struct sh_args *a)
{
    return sh_bad_arg(sh, sh_arg_word(a, 0), "no model is loaded under the name %s; try 'models'",
                      sh_arg(a, 0));
}

static enum sh_rc run_use(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_find(sh, sh_arg(a, 0));
    if (!m)
        return no_such_model(sh, a);
    sh_model_use(sh, m);
    sh_ack(sh, "using %s", m->name);
    sh_str(sh, "name", m->name);
    return sh_end(sh);
}

static const char *const use_examples[] = {"use text-small", NULL};
const struct sh_cmd cmd_use = {
    .name = "use",
    .group = "models",
    .args = "NAME",
    .summary = "make another loaded model the current one",
    .examples = use_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_MODEL},
    .run = run_use,
};

static enum sh_rc run_unload(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_arg_count(a) ? sh_model_find(sh, sh_arg(a, 0)) : sh_model_current(sh);
    if (!m && sh_arg_count(a))
        return no_such_model(sh, a);
    if (!m)
        return sh_failf(sh, "no model is loaded");
    char name[256];
    snprintf(name, sizeof(name), "%s", m->name);
    sh_model_unload(sh, m);
    sh_ack(sh, "unloaded %s", name);
    sh_str(sh, "name", name);
    return sh_end(sh);
}

static const char *const unload_examples[] = {"unload", NULL};
const struct sh_cmd cmd_unload = {
    .name = "unload",
    .group = "models",
    .args = "[NAME]",
    .summary = "forget a model, its attention state and its saved states",
    .examples = unload_examples,
    .max_args = 1,
    .kinds = {SH_MODEL},
    .run = run_unload,
};

static enum sh_rc run_info(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    const char *hex = NULL;
    struct sh_model *m = sh_model_current(sh);
    struct vq_pool *pool = sh_pool(sh, &err);
    if (!pool || sh_model_hash(sh, m, true, &hex, &err) != VQ_OK)
        return sh_fail(sh, &err);
    const struct vq_memory memory = vq_memory_estimate(
        vq_model_config(m->model), m->weights, m->state, (int)sh_opt_int(a, "sequences"), pool);
    return describe(sh, m, hex, &memory);
}

static const struct sh_opt info_opts[] = {
    {.name = "sequences",
     .kind = SH_INT,
     .value = "N",
     .def = "1",
     .min = 1,
     .max = 65536,
     .help = "estimate the memory for so many written together"},
    SH_OPT_END};

static const char *const info_examples[] = {"info", "info --sequences 16", NULL};
const struct sh_cmd cmd_info = {
    .name = "info",
    .group = "models",
    .args = "",
    .summary = "show what is loaded and where each configuration value came from",
    .detail = "Origins: default (nobody said), shapes (read off the tensors), preset, config "
              "(config.json or the file's metadata), set (--set).\n\n"
              "memory_peak is an upper bound of the resident size that reading and writing "
              "(feed, score, sample) comes to, in bytes: the prepared weights in their format, the "
              "attention state of the sequences with the buffers for blocks of tokens, and a "
              "constant for all else. `sample -n N` takes --sequences N; every session that is "
              "kept (feed, state fork) has a state of its own. `memory` is the size of the "
              "prepared weights, once they are prepared.",
    .examples = info_examples,
    .opts = info_opts,
    .needs = SH_NEED_MODEL,
    .run = run_info,
};

/* ---- tensors ---- */

struct stats {
    double min, max, mean, std;
    size_t nan, inf;
};

static enum vq_status tensor_stats(const struct vq_tensor *t, struct stats *out, struct vq_err *err)
{
    float *x = vq_alloc_f32(t->count);
    if (!x)
        return vq_nomem(err, t->name, t->count, sizeof(float));
    enum vq_status status = vq_tensor_read_f32(t, x, err);
    *out = (struct stats){.min = INFINITY, .max = -INFINITY};
    double sum = 0.0, sum2 = 0.0;
    size_t finite = 0;
    for (size_t i = 0; status == VQ_OK && i < t->count; i++) {
        out->nan += isnan(x[i]) != 0;
        out->inf += isinf(x[i]) != 0;
        if (!isfinite(x[i]))
            continue;
        finite++;
        sum += x[i];
        sum2 += (double)x[i] * x[i];
        out->min = fmin(out->min, x[i]);
        out->max = fmax(out->max, x[i]);
    }
    free(x);
    out->mean = sum / (double)finite;
    out->std = sqrt(fmax(0.0, sum2 / (double)finite - out->mean * out->mean));
    if (finite == 0)
        out->min = out->max = out->mean = out->std = NAN;
    return status;
}

/* '.' and '/' separate alike in names that people type. */
static void to_slashes(const char *glob, char *buf, size_t len)
{
    snprintf(buf, len, "%s", glob);
    for (char *p = buf; *p; p++)
        if (*p == '.')
            *p = '/';
}

static bool wanted(const struct vq_tensor *t, const char *glob, bool all)
{
    if (!t->is_param && !all)
        return false;
    return !glob || fnmatch(glob, t->name, 0) == 0;
}

static enum vq_status tensor_row(struct sh *sh, const struct vq_tensor *t, bool with_stats,
                                 struct vq_err *err)
{
    char shape[128];
    sh_row(sh);
    sh_str(sh, "name", t->name);
    vq_tensor_shape(t, shape, sizeof(shape));
    if (people_read(sh))
        sh_str(sh, "shape", shape);
    else
        sh_json(sh, "shape", shape);
    sh_str(sh, "dtype", vq_dtype_name(t->dtype));
    sh_uint(sh, "count", t->count);
    sh_uint(sh, "bytes", t->bytes + vq_tensor_scales(t) * sizeof(float));
    struct stats s = {0};
    if (!with_stats || t->dtype == VQ_NONE)
        return VQ_OK;
    enum vq_status status = tensor_stats(t, &s, err);
    if (status != VQ_OK)
        return status;
    sh_f64(sh, "min", s.min);
    sh_f64(sh, "max", s.max);
    sh_f64(sh, "mean", s.mean);
    sh_f64(sh, "std", s.std);
    sh_uint(sh, "nan", s.nan);
    sh_uint(sh, "inf", s.inf);
    return VQ_OK;
}

static enum sh_rc list_tensors(struct sh *sh, const struct vq_ckpt *c, const struct sh_args *a)
{
    struct vq_err err = {0};
    char glob[512];
    bool all = sh_opt_flag(a, "all"), stats = sh_opt_flag(a, "stats");
    size_t shown = 0;
    if (sh_arg_count(a))
        to_slashes(sh_arg(a, 0), glob, sizeof(glob));
    sh_list(sh, stats ? "name shape dtype count bytes min max mean std nan inf"
                      : "name shape dtype count bytes");
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        if (!wanted(t, sh_arg_count(a) ? glob : NULL, all))
            continue;
        if (vq_cancelled(sh_cancel(sh)))
            return sh_interrupted(sh);
        if (tensor_row(sh, t, stats, &err) != VQ_OK)
            return sh_fail(sh, &err);
        shown++;
    }
    if (!shown && sh_arg_count(a))
        return sh_bad_arg(sh, sh_arg_word(a, 0), "no tensor matches %s%s", sh_arg(a, 0),
                          all ? "" : " (--all looks among the optimiser's too)");
    return sh_end(sh);
}

static enum sh_rc run_tensors(struct sh *sh, const struct sh_args *a)
{
    if (!sh_opt_given(a, "file")) {
        if (!sh_model_current(sh))
            return sh_failf(sh, "no model is loaded: load one, or give --file PATH");
        return list_tensors(sh, vq_model_ckpt(sh_model_current(sh)->model), a);
    }
    struct vq_err err = {0};
    struct vq_ckpt *c;
    if (vq_ckpt_open(&c, sh_opt_text(a, "file"), &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum sh_rc rc = list_tensors(sh, c, a);
    vq_ckpt_free(c);
    return rc;
}

static const struct sh_opt tensors_opts[] = {
    {.name = "stats", .kind = SH_FLAG, .help = "read the data: min max mean std nan inf"},
    {.name = "all", .kind = SH_FLAG, .help = "optimiser state and step too"},
    {.name = "file",
     .kind = SH_PATH,
     .help = "a checkpoint or state file that need not be a model"},
    SH_OPT_END};
static const char *const tensors_examples[] = {
    "tensors", "tensors *quantizer* --stats", "tensors transformer_layers_0.scanned_attn1.*", NULL};
const struct sh_cmd cmd_tensors = {
    .name = "tensors",
    .group = "models",
    .args = "[GLOB]",
    .summary = "list the checkpoint's tensors",
    .detail = "Reads the file's header only, unless --stats is given. In GLOB, * and ? match any "
              "characters and '.' separates like '/'. Statistics are over the finite elements.",
    .examples = tensors_examples,
    .max_args = 1,
    .kinds = {SH_TENSOR},
    .opts = tensors_opts,
    .run = run_tensors,
};
