#include "core/train/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/train/kept.h"
#include "core/train/opt_state.h"

#define N_STATE 7

/* ---- writing ---- */

static void put_u64(struct vq_text *t, const char *key, uint64_t v)
{
    /* As text: a JSON number is a double to most readers. */
    vq_text_printf(t, "\"%s\": \"%" PRIu64 "\", ", key, v);
}

static void describe(const struct vq_trainer *t, const struct vq_checkpoint_place *place,
                     struct vq_text *out)
{
    vq_text_puts(out, "{");
    put_u64(out, "seed", t->seed);
    put_u64(out, "sequence", t->sequence);
    put_u64(out, "tokens", t->tokens);
    vq_text_printf(out, "\"rows\": %zu", t->options.rows);
    if (place) {
        vq_text_puts(out, ", \"data\": ");
        vq_text_json_string(out, place->identity, strlen(place->identity));
        vq_text_printf(out, ", \"place\": %s", place->place);
    }
    vq_text_puts(out, "}");
}

/* One array of the attention state: shape [n_layer, 2, B, ...] of `rank` axes. */
struct state_tensor {
    const char *name;
    enum vq_dtype dtype;
    int rank;
    int64_t shape[6];
    void *data;
};

/* The tensors of the state; returns how many there are. */
static size_t state_tensors(struct vq_train_state *s, struct state_tensor at[N_STATE])
{
    int64_t layers = (int64_t)s->modules / 2, B = (int64_t)s->B, H = (int64_t)s->H;
    int64_t M = (int64_t)s->M, S = (int64_t)s->S, K = (int64_t)s->K;
    int64_t V = (int64_t)s->V;
    const struct state_tensor all[N_STATE] = {
        {"generator/pos_offset", VQ_I64, 0, {0}, &s->position},
        {"generator/last", VQ_I32, 1, {B}, s->last},
        {"generator/xl_z", VQ_I32, 5, {layers, 2, B, H, M}, s->code},
        {"generator/xl_k_hat", VQ_F32, 6, {layers, 2, B, H, M, K}, s->key},
        {"generator/xl_v", VQ_F32, 6, {layers, 2, B, H, M, V}, s->value},
        {"generator/agg_lower", VQ_I64, 5, {layers, 2, B, H, S}, s->count},
        {"generator/agg_upper_div_lower", VQ_F32, 6, {layers, 2, B, H, S, V}, s->mean},
    };
    memcpy(at, all, sizeof(all));
    return s->count ? N_STATE : N_STATE - 2;
}

/* All that goes into files: params, then step, then opt_state, then generator. */
struct content {
    struct vq_tensor_out *at;
    size_t n, params; /* of all, and of what comes before the generator */
    struct vq_opt_state opt;
    int32_t step;
    struct vq_text config, training;
};

static void add(struct content *c, const char *name, enum vq_dtype dtype, int rank,
                const int64_t *shape, const void *data)
{
    struct vq_tensor_out *o = &c->at[c->n++];
    *o = (struct vq_tensor_out){.name = name, .dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        o->shape[i] = shape[i];
}

static void release(struct content *c)
{
    free(c->at);
    vq_opt_state_release(&c->opt);
    vq_text_release(&c->config);
    vq_text_release(&c->training);
}

static enum vq_status gather(struct content *c, const struct vq_trainer *t,
                             const struct vq_checkpoint_place *place, struct vq_err *err)
{
    struct state_tensor state[N_STATE];
    *c = (struct content){.step = (int32_t)t->step};
    enum vq_status st = vq_opt_state_list(&c->opt, t->optim, err);
    if (st)
        return st;
    size_t n = t->layout->n + 1 + c->opt.n + N_STATE;
    c->at = vq_alloc(n, sizeof(*c->at));
    vq_settings_to_json(&t->settings, &c->config);
    describe(t, place, &c->training);
    if (!c->at || c->config.failed || c->training.failed)
        return vq_nomem(err, "a list of tensors", n, sizeof(*c->at));
    for (size_t i = 0; i < t->layout->n; i++) {
        const struct vq_param *p = &t->layout->at[i];
        add(c, p->name, VQ_F32, p->rank, p->shape, t->params + p->offset);
    }
    add(c, "step", VQ_I32, 0, NULL, &c->step);
    memcpy(c->at + c->n, c->opt.at, c->opt.n * sizeof(*c->at));
    c->n += c->opt.n;
    c->params = c->n;
    size_t n_state = t->state->position > 0 ? state_tensors(t->state, state) : 0;
    for (size_t i = 0; i < n_state; i++)
        add(c, state[i].name, state[i].dtype, state[i].rank, state[i].shape, state[i].data);
    return VQ_OK;
}

static enum vq_status write_safetensors(const struct vq_trainer *t, const struct content *c,
                                        const char *path, uint64_t *bytes, struct vq_err *err)
{
    const struct vq_meta meta[] = {{"format", "vqsh"},
                                   {"config", c->config.data},
                                   {"vocab", t->settings.v.vocab},
                                   {"training", c->training.data}};
    return vq_safetensors_write(path, c->at, c->n, meta, sizeof(meta) / sizeof(meta[0]), bytes,
                                err);
}

/* A file that goes with a checkpoint and is written before it. What was there is linked to `old`
 * meanwhile, to be put back when the checkpoint fails. */
struct companion {
    char *path, *old;
    bool had;
};

static enum vq_status companion_begin(struct companion *c, char *path, struct vq_err *err)
{
    *c = (struct companion){.path = path};
    if (!path || asprintf(&c->old, "%s.old", path) < 0) {
        c->old = NULL;
        return vq_nomem(err, "a path", 1, 1);
    }
    unlink(c->old);
    c->had = !link(path, c->old) || errno != ENOENT;
    return VQ_OK;
}

static void companion_end(struct companion *c, bool written)
{
    if (!written && c->had)
        rename(c->old, c->path);
    else if (!written && c->old)
        unlink(c->path);
    if (c->old)
        unlink(c->old); /* a rename of two links to one file leaves both */
    free(c->path);
    free(c->old);
}

/* The generator first: without its checkpoint it is nothing, the other way round something would
 * be lost. */
static enum vq_status write_flax(const struct vq_trainer *t, const struct content *c,
                                 const char *folder, const char *path, uint64_t *bytes,
                                 struct vq_err *err)
{
    const struct vq_meta meta[] = {{"format", "vqsh"}, {"training", c->training.data}};
    struct companion beside, config;
    char *config_path = NULL;
    uint64_t more = 0;
    size_t step = t->layout->n, n_state = c->n - c->params;
    struct vq_tensor_out own[N_STATE + 1];
    own[0] = c->at[step];
    memcpy(own + 1, c->at + c->params, n_state * sizeof(*own));
    if (asprintf(&config_path, "%s/config.json", folder) < 0)
        config_path = NULL;
    enum vq_status st =
        companion_begin(&beside, vq_kept_path(folder, VQ_KEPT_GENERATOR, t->step), err);
    if (companion_begin(&config, config_path, err) != VQ_OK)
        st = VQ_ENOMEM;
    if (!st)
        st = vq_file_replace(config.path, c->config.data, c->config.len, err);
    if (!st)
        st = vq_safetensors_write(beside.path, own, n_state + 1, meta, 2, &more, err);
    if (!st)
        st = vq_flax_write(path, true, c->at, c->params, t->step, bytes, err);
    *bytes += more;
    companion_end(&config, !st);
    companion_end(&beside, !st);
    return st;
}

enum vq_status vq_checkpoint_write(const struct vq_trainer *t, const char *folder, bool flax,
                                   const struct vq_checkpoint_place *place, char **path,
                                   uint64_t *bytes, struct vq_err *err)
{
    struct content c;
    uint64_t written = 0;
    *path = vq_kept_path(folder, flax ? VQ_KEPT_FLAX : VQ_KEPT_SAFETENSORS, t->step);
    if (!*path)
        return vq_nomem(err, "a path", 1, 1);
    enum vq_status st = gather(&c, t, place, err);
    if (!st && flax)
        st = write_flax(t, &c, folder, *path, &written, err);
    else if (!st)
        st = write_safetensors(t, &c, *path, &written, err);
    release(&c);
    if (bytes)
        *bytes = written;
    if (st) {
        free(*path);
        *path = NULL;
    }
    return st;
}

/* ---- reading ---- */

static bool get_u64(const struct vq_json_node *object, const char *key, uint64_t *out)
{
    const struct vq_json_node *n = vq_json_get(object, key);
    const char *text = n && vq_json_kind(n) == VQ_JSON_STRING ? vq_json_string(n) : "";
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end;
}

/* A JSON value as text again; places are made of objects, lists, whole numbers and strings. */
static void json_text(const struct vq_json_node *n, struct vq_text *out)
{
    enum vq_json_kind kind = vq_json_kind(n);
    bool list = kind == VQ_JSON_ARRAY;
    if (kind == VQ_JSON_NUMBER) {
        vq_text_json_f64(out, vq_json_number(n));
    } else if (kind == VQ_JSON_STRING) {
        vq_text_json_string(out, vq_json_string(n), strlen(vq_json_string(n)));
    } else if (kind == VQ_JSON_ARRAY || kind == VQ_JSON_OBJECT) {
        vq_text_puts(out, list ? "[" : "{");
        for (const struct vq_json_node *m = vq_json_first(n); m; m = vq_json_next(m)) {
            vq_text_puts(out, m == vq_json_first(n) ? "" : ", ");
            if (!list) {
                vq_text_json_string(out, vq_json_key(m), strlen(vq_json_key(m)));
                vq_text_puts(out, ": ");
            }
            json_text(m, out);
        }
        vq_text_puts(out, list ? "]" : "}");
    } else {
        vq_text_puts(out, kind == VQ_JSON_BOOL ? (vq_json_bool(n) ? "true" : "false") : "null");
    }
}

static enum vq_status read_training(struct vq_checkpoint *c, const char *text, struct vq_err *err)
{
    struct vq_json *doc;
    struct vq_text place = {0};
    int64_t rows = -1;
    enum vq_status st = vq_json_parse(&doc, text, strlen(text), err);
    const struct vq_json_node *o = st ? NULL : vq_json_root(doc);
    const struct vq_json_node *data = o ? vq_json_get(o, "data") : NULL;
    const struct vq_json_node *at = o ? vq_json_get(o, "place") : NULL;
    if (!st && (!get_u64(o, "seed", &c->seed) || !get_u64(o, "sequence", &c->sequence) ||
                !get_u64(o, "tokens", &c->tokens) || !vq_json_get(o, "rows") ||
                !vq_json_int(vq_json_get(o, "rows"), &rows) || rows < 0))
        st = vq_fail(err, VQ_EFORMAT, "expected seed, sequence, tokens and rows");
    c->rows = rows < 0 ? 0 : (size_t)rows;
    if (!st && data && at && vq_json_kind(data) == VQ_JSON_STRING) {
        json_text(at, &place);
        c->identity = vq_strdup(vq_json_string(data));
        c->place = place.failed ? NULL : vq_strdup(place.data);
        if (!c->identity || !c->place)
            st = vq_nomem(err, "the place in the data", place.len, 1);
    }
    vq_text_release(&place);
    vq_json_free(doc);
    if (st)
        vq_err_prefix(err, "metadata \"training\" of %s", vq_ckpt_path(c->generator));
    return st;
}

/* The file beside one of the authors' layout, if there is one. */
static enum vq_status open_beside(struct vq_checkpoint *c, struct vq_err *err)
{
    char *path = vq_kept_generator_of(vq_ckpt_path(c->file));
    enum vq_status st = VQ_OK;
    if (path && !access(path, F_OK))
        st = vq_ckpt_open(&c->beside, path, err);
    if (!st && c->beside && vq_ckpt_step(c->beside) != c->step)
        st = vq_fail(err, VQ_EFORMAT, "%s belongs to step %lld, not to %s", path,
                     (long long)vq_ckpt_step(c->beside), vq_ckpt_path(c->file));
    free(path);
    return st;
}

static bool has_moments(const struct vq_ckpt *c)
{
    for (size_t i = 0; i < vq_ckpt_count(c); i++)
        if (!strncmp(vq_ckpt_at(c, i)->name, "opt_state/", 10))
            return true;
    return false;
}

enum vq_status vq_checkpoint_look(struct vq_checkpoint *out, const struct vq_ckpt *file,
                                  struct vq_err *err)
{
    *out = (struct vq_checkpoint){
        .file = file, .optimiser = has_moments(file), .step = vq_ckpt_step(file)};
    enum vq_status st = VQ_OK;
    if (strcmp(vq_ckpt_format(file), "safetensors"))
        st = open_beside(out, err);
    const struct vq_ckpt *g = out->beside ? out->beside : file;
    const char *training = st ? NULL : vq_ckpt_meta(g, "training");
    if (!training)
        return st;
    out->generator = g;
    return read_training(out, training, err);
}

void vq_checkpoint_release(struct vq_checkpoint *c)
{
    vq_ckpt_free(c->beside);
    free(c->identity);
    free(c->place);
    *c = (struct vq_checkpoint){0};
}

/* An array of the state, of the very shape and type that this run has. */
static enum vq_status read_state_tensor(const struct state_tensor *want, const struct vq_ckpt *c,
                                        struct vq_err *err)
{
    char expected[128], found[128];
    struct vq_tensor like = {.rank = want->rank};
    memcpy(like.shape, want->shape, sizeof(want->shape));
    const struct vq_tensor *t = vq_ckpt_find(c, want->name);
    bool same = t && t->rank == want->rank && t->dtype == want->dtype;
    for (int i = 0; same && i < t->rank; i++)
        same = t->shape[i] == want->shape[i];
    if (!t)
        return vq_fail(err, VQ_EFORMAT, "tensor %s is missing", want->name);
    if (!same)
        return vq_fail(err, VQ_ESHAPE,
                       "the checkpoint stands inside a sequence: tensor %s has shape %s, but "
                       "global_batch_size, mem_len and agg_cache ask for %s; go on with the "
                       "settings it was made with, or take --params-only",
                       want->name, vq_tensor_shape(t, found, sizeof(found)),
                       vq_tensor_shape(&like, expected, sizeof(expected)));
    vq_tensor_read_raw(t, want->data);
    return VQ_OK;
}

static enum vq_status read_state(struct vq_trainer *t, const struct vq_ckpt *c, struct vq_err *err)
{
    struct state_tensor want[N_STATE];
    const struct vq_config *config = &t->settings.v;
    size_t n = state_tensors(t->state, want);
    enum vq_status st = VQ_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = read_state_tensor(&want[i], c, err);
    int64_t at = t->state->position;
    if (!st && (at <= 0 || at >= config->sequence_len || at % config->update_len))
        st = vq_fail(err, VQ_ESHAPE,
                     "the checkpoint stands at position %lld of a sequence, which is no place "
                     "between updates with update_len %lld and sequence_len %lld",
                     (long long)at, (long long)config->update_len, (long long)config->sequence_len);
    return st;
}

enum vq_status vq_checkpoint_restore(struct vq_trainer *t, const struct vq_checkpoint *c,
                                     bool params_only, bool *inside, struct vq_err *err)
{
    *inside = false;
    enum vq_status st = vq_params_load(t->layout, t->params, c->file, err);
    if (st || params_only)
        return st;
    if (c->optimiser) {
        st = vq_opt_state_load(t->optim, c->file, err);
        t->step = c->step >= 0 ? c->step : vq_optim_count(t->optim);
    }
    /* Another run's masks must not be drawn again by one that does not know how far it was. */
    t->sequence = (uint64_t)t->step;
    if (st || !c->generator)
        return st;
    t->seed = c->seed;
    t->sequence = c->sequence;
    t->tokens = c->tokens;
    *inside = vq_ckpt_find(c->generator, "generator/pos_offset") != NULL;
    return *inside ? read_state(t, c->generator, err) : VQ_OK;
}
