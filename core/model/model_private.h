/*
 * What the model's own files share: model.c opens and reads, model_shapes.c infers and checks the
 * tensors, model_config.c finds the rest of the configuration. Nobody else includes this.
 */
#ifndef VQ_CORE_MODEL_MODEL_PRIVATE_H
#define VQ_CORE_MODEL_MODEL_PRIVATE_H

#include "core/model/model.h"

struct vq_model {
    struct vq_ckpt *ckpt;
    struct vq_settings settings;
    struct vq_vocab *vocab;
    uint64_t params;
    struct vq_text note;
    char *config_path; /* NULL: none */
    /* Instead of ckpt: */
    struct vq_model_source source;
    struct vq_param_spec *specs;
    size_t n_spec;
};

/* Sets the fields that the checkpoint's tensors tell, with origin VQ_FROM_SHAPES. */
enum vq_status vq_model_infer(struct vq_model *m, struct vq_err *err);
/* Every parameter that the configuration calls for, and no other, is there with its shape and a
 * real dtype, or int8 with scales that are some; codebooks are finite. Sets m->params. */
enum vq_status vq_model_check(struct vq_model *m, struct vq_err *err);

/* Preset, metadata or config.json, then `set`; opens the vocabulary and writes the note. */
enum vq_status vq_model_configure(struct vq_model *m, const struct vq_model_options *options,
                                  struct vq_err *err);

/* "transformer_layers_<layer>/scanned_attn<attn>/<leaf>" of a module, or leaf itself for -1. */
void vq_model_param_name(char *buf, size_t len, int module, const char *leaf);

#endif
