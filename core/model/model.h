/*
 * model: an open checkpoint together with the configuration that makes it a Transformer-VQ:
 * tensors found, shapes, dtypes and codebooks checked. Opening reads headers and codebooks only;
 * weights are prepared later, by the engine. Immutable after opening; may be shared.
 */
#ifndef VQ_CORE_MODEL_MODEL_H
#define VQ_CORE_MODEL_MODEL_H

#include "core/ckpt/ckpt.h"
#include "core/model/config.h"
#include "core/vocab/vocab.h"

struct vq_model_options {
    const char *preset;      /* or NULL */
    const char *config_path; /* a JSON file; NULL: config.json in the file's folder or one above */
    const char *const *set;  /* n_set strings "key=value" */
    size_t n_set;
};

/* One parameter that a configuration calls for. */
struct vq_param_spec {
    char name[96];
    int rank;
    int64_t shape[3];
};

struct vq_model;

/*
 * Opens a checkpoint (see vq_ckpt_open for the kinds of path) and settles its configuration:
 * shapes, then preset (given, or guessed from the shapes), then metadata or config.json, then
 * `set`. Every parameter the configuration calls for must be there with the right shape and a real
 * dtype, or be int8 with scales; codebooks and scales must be finite. Unknown parameters are
 * refused: they belong to another program's model. Errors name the tensor, what was expected and
 * what was found.
 */
enum vq_status vq_model_open(struct vq_model **out, const char *path,
                             const struct vq_model_options *options, struct vq_err *err);
void vq_model_free(struct vq_model *m);

/* Where the parameters of a model without a file come from. */
struct vq_model_source {
    /* The parameter `spec`, row-major, into dst. */
    enum vq_status (*read)(const void *ud, const struct vq_param_spec *spec, float *dst,
                           struct vq_err *err);
    const void *ud; /* must outlive the model */
};
/* A model of this configuration whose parameters are made by a function, for measuring where no
 * checkpoint is: an engine can be made of it, but vq_model_ckpt and vq_model_vocab are NULL. */
enum vq_status vq_model_from(struct vq_model **out, const struct vq_settings *settings,
                             const struct vq_model_source *source, struct vq_err *err);

const struct vq_ckpt *vq_model_ckpt(const struct vq_model *m);
const struct vq_settings *vq_model_settings(const struct vq_model *m);
const struct vq_config *vq_model_config(const struct vq_model *m);
const struct vq_vocab *vq_model_vocab(const struct vq_model *m);
uint64_t vq_model_params(const struct vq_model *m); /* elements of all parameters */
/* What a person should know about how it was opened (a value nobody gave), or "". */
const char *vq_model_note(const struct vq_model *m);
/* The file that gave the configuration, or "". */
const char *vq_model_config_path(const struct vq_model *m);

/* The settings of a model that is yet to be made: preset, then config_path, then `set`, as opening
 * does it, with no file looked for. Errors name the setting, and the file where there is one. */
enum vq_status vq_settings_open(struct vq_settings *out, const struct vq_model_options *options,
                                struct vq_err *err);

/* Puts another vocabulary, and its size, into settings; a file's path is taken from the working
 * folder and made to hold anywhere. */
enum vq_status vq_settings_vocab(struct vq_settings *s, const struct vq_vocab *v,
                                 struct vq_err *err);

/* All parameters of a configuration, in the checkpoint's order; *specs is the caller's to free. */
enum vq_status vq_model_specs(const struct vq_config *c, struct vq_param_spec **specs, size_t *n,
                              struct vq_err *err);

/* Reads parameter "transformer_layers_<layer>/scanned_attn<attn>/<leaf>", or any full name when
 * module is -1, as f32 into dst (its shape is known to be right). */
enum vq_status vq_model_read(const struct vq_model *m, int module, const char *leaf, float *dst,
                             struct vq_err *err);

/* That parameter's tensor, for reading parts of it; NULL when there is none, or no file. */
const struct vq_tensor *vq_model_tensor(const struct vq_model *m, int module, const char *leaf);
/* Whether some parameter is kept as int8 with scales: such a file is read best as int8. */
bool vq_model_is_int8(const struct vq_model *m);

/* The codebook C[H,S,K] = c_sum / max(c_count, 0.01) of a module, into dst. */
enum vq_status vq_model_codebook(const struct vq_model *m, int module, float *dst,
                                 struct vq_err *err);

#endif
