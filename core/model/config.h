/*
 * config: the hyper-parameters of a model under the authors' names, and where each value came
 * from. One table (vq_config_fields) feeds parsing, validation, printing, completion and help.
 */
#ifndef VQ_CORE_MODEL_CONFIG_H
#define VQ_CORE_MODEL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/json.h"

/* In rising order of precedence; a later one replaces an earlier. */
enum vq_origin {
    VQ_FROM_DEFAULT, /* nobody said; the value that all the authors' presets share */
    VQ_FROM_SHAPES,  /* read off the checkpoint's tensors: a fact, never overridden silently */
    VQ_FROM_PRESET,
    VQ_FROM_FILE, /* config.json, or the checkpoint's own metadata */
    VQ_FROM_USER  /* --set */
};
const char *vq_origin_name(enum vq_origin o); /* "default", "shapes", "preset", "config", "set" */

struct vq_config {
    /* architecture; the first eight and the three flags are facts of a checkpoint's shapes */
    int64_t d_model, d_k, d_v, n_head, n_code, n_layer, n_vocab, d_ff;
    int64_t pe_abs, e_tie, e_preln;
    int64_t mem_len, block_len, agg_cache, grad_thru_cache;
    double e_scale, pe_lam;
    /* regularisation, sampling */
    double p_dropemb, p_dropsin, p_dropres, p_droplyr, p_nucleus;
    double c_beta, c_gamma;
    double c_revive; /* ours, not the authors': see core/train/revive.h; 0: never */
    /* training */
    int64_t sequence_len, update_len, global_batch_size;
    char param_dtype[16], dtype[16], optimizer[16], lr_schedule[16];
    double lr_max, wd_lam, grad_clip; /* grad_clip 0: none */
    int64_t n_warmup_step, n_max_step, n_extra_step, prng_seed;
    char vocab[256]; /* spec for vq_vocab_open: "bytes", "image64", ..., or a path */
};

enum vq_field_type { VQ_FIELD_INT, VQ_FIELD_BOOL, VQ_FIELD_REAL, VQ_FIELD_TEXT };

struct vq_config_field {
    const char *name;
    enum vq_field_type type;
    size_t offset, size; /* of the member in struct vq_config */
    double min, max;     /* inclusive; numbers only */
    const char *choices; /* space-separated, for text with a closed set; else NULL */
    const char *told_by; /* the tensor whose shape or presence fixes it in a checkpoint, or NULL */
    const char *help;    /* one line */
};
size_t vq_config_field_count(void);
const struct vq_config_field *vq_config_field_at(size_t i);
/* Index of a name, or -1. */
int vq_config_field_find(const char *name);

#define VQ_CONFIG_MAX_FIELDS 64

/* A configuration with its origins; origin[i] belongs to field i of the table. */
struct vq_settings {
    struct vq_config v;
    uint8_t origin[VQ_CONFIG_MAX_FIELDS];
    char preset[32]; /* name of the preset in effect, or "" */
};

/* What all the authors' presets share; where they differ, the plain choice (no dropout, scale 1,
 * no cut of the nucleus). vocab is empty: the model decides. */
void vq_settings_default(struct vq_settings *s);

/* Sets one field from text, as `--set name=value` does. Numbers are parsed wholly, whatever the
 * locale; VQ_EINVAL names the field, its range or choices, and what was found; an unknown name
 * gets the nearest known one. A value that contradicts one read off the shapes is refused with
 * VQ_ESHAPE. A field that a higher origin has set keeps its value. */
enum vq_status vq_settings_set(struct vq_settings *s, const char *name, const char *value,
                               enum vq_origin origin, struct vq_err *err);
/* Sets the fields of a preset: "enwik8", "pg19", "imagenet64", or one of the small ones that
 * vq_preset_name() lists. Fields known from shapes that differ are an error naming both. */
enum vq_status vq_settings_preset(struct vq_settings *s, const char *preset, struct vq_err *err);
size_t vq_preset_count(void);
const char *vq_preset_name(size_t i);
/* The preset whose shapes equal the settings', or NULL. */
const char *vq_preset_guess(const struct vq_settings *s);
/* Sets the fields of a JSON object; unknown keys are ignored (the authors' files hold more). null
 * is grad_clip's "none"; any other field is left as it is. Flags may be true/false or 1/0. Errors
 * name the key, the expected and the found; the caller adds the file. */
enum vq_status vq_settings_json(struct vq_settings *s, const struct vq_json_node *object,
                                enum vq_origin origin, struct vq_err *err);
/* The value of field i as text, as vq_settings_set takes it. Returns buf. */
const char *vq_settings_text(const struct vq_settings *s, size_t i, char *buf, size_t len);
/* The configuration as a JSON object, all fields, in table order. */
void vq_settings_to_json(const struct vq_settings *s, struct vq_text *out);

/* What must hold before a model is built: ranges, sizes that multiply without overflow, d_ff = 0.
 * VQ_EINVAL names the fields. */
enum vq_status vq_config_check(const struct vq_config *c, struct vq_err *err);

/* Modules are numbered layer * 2 + (attn - 1). */
static inline size_t vq_config_modules(const struct vq_config *c)
{
    return 2 * (size_t)c->n_layer;
}

#endif
