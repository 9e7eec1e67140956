/*
 * export: arrays of a model, of a session's state or of a run over tokens as numpy files. Each is
 * written module by module or row by row, so that none has to fit in memory (codes excepted: four
 * bytes per code). A file appears whole or not at all.
 *
 * One table says what there is; the shell's help, completion and dispatch read it. Shapes, with B
 * sequences, H heads, S codes, M window, K and V widths, N vocabulary, T tokens, 2 attentions:
 *
 *   codebook        f32  [n_layer, 2, H, S, K]     c_sum / max(c_count, 0.01)
 *   cache.lower     f32  [n_layer, 2, B, H, S]     counts of the aggregate; f64 once one exceeds
 *                                                  2^24, where f32 would no longer be exact
 *   cache.upper     f32  [n_layer, 2, B, H, S, V]  mean values of the aggregate
 *   cache.window    i32  [n_layer, 2, B, H, M]     codes of the window; the filled slots are the
 *                                                  last, the others hold S
 *   cache.window.k  f32  [n_layer, 2, B, H, M, K]  their quantised keys; unfilled slots hold 0
 *   cache.window.v  f32  [n_layer, 2, B, H, M, V]  their values; unfilled slots hold 0
 *   attn            f32  [n_layer, 2, B, H, M + 1 + S]  the last query's softmax: window keys, the
 *                        query's own position last, unfilled slots 0, then the codes; of one
 *                        module without the first two axes
 *   codes           i32  [n_layer, 2, B, H, T]     code of every key from an empty state
 *   logits          f32  [B, T, N] or [T, N]       of every position, after e_scale
 *   logprobs        f32  the same                  log-softmax of them
 */
#ifndef VQ_CORE_INSPECT_EXPORT_H
#define VQ_CORE_INSPECT_EXPORT_H

#include "core/base/npy.h"
#include "core/inspect/over.h"

enum vq_export_needs {
    VQ_EXPORT_MODEL = 1,   /* model */
    VQ_EXPORT_SESSION = 2, /* session */
    VQ_EXPORT_TOKENS = 4   /* engine and over */
};

struct vq_export_kind {
    const char *name;
    unsigned needs; /* of vq_export_needs */
    const char *help;
};
size_t vq_export_count(void);
const struct vq_export_kind *vq_export_at(size_t i);
/* The kind of that name, or NULL. */
const struct vq_export_kind *vq_export_find(const char *name);

struct vq_export_source {
    const struct vq_model *model;
    const struct vq_session *session;
    const struct vq_engine *engine; /* of model; runs over->tokens */
    const struct vq_over *over;     /* tokens, with progress and cancel of their run */
    bool flat;                      /* logits, logprobs of a single row: [T, N] */
    bool one_module;                /* attn: of `module` alone */
    int module;
    const struct vq_cancel *cancel; /* between modules */
};

struct vq_export_result {
    enum vq_npy_type type;
    int rank;
    size_t shape[VQ_NPY_MAX_RANK];
};

/*
 * Writes `name` to path. VQ_ENOTFOUND for an unknown name, or for attn when no query was fed;
 * VQ_EINVAL when the source lacks what the kind needs; VQ_ENUM for logits that are not finite.
 * result may be NULL.
 */
enum vq_status vq_export(const char *name, const char *path, const struct vq_export_source *source,
                         struct vq_export_result *result, struct vq_err *err);

#endif
