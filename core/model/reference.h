/*
 * reference: the model by its definition, in float64, quadratic in T: every query against every
 * earlier key, nothing cached, nothing folded. It shares no arithmetic with the engine; `verify`
 * and the tests compare the two.
 */
#ifndef VQ_CORE_MODEL_REFERENCE_H
#define VQ_CORE_MODEL_REFERENCE_H

#include "core/model/model.h"

struct vq_reference {
    size_t T;
    double *logits;   /* [T, N] after e_scale */
    int32_t *codes;   /* [modules, H, T] */
    double *margin;   /* [modules, H, T] gap between best and second squared distance */
    double *values;   /* [modules, H, T, V] values v, for comparing caches */
};

/* Runs T tokens (one sequence, from position 0). Memory about 8 T (N + modules * H * V) bytes:
 * VQ_ENOMEM when that is not to be had. Polls cancel between rows. */
enum vq_status vq_reference_run(struct vq_reference *out, const struct vq_model *m,
                                const int32_t *tokens, size_t T, const struct vq_cancel *cancel,
                                struct vq_err *err);
void vq_reference_release(struct vq_reference *r);

/* Two codes whose squared distances differ by no more than this are a tie: rounding in f32 may
 * take either. */
#define VQ_CODE_TIE 1e-4

/* The same, but where `prefer` [modules, H, T] (NULL: nowhere) has a code that ties with the
 * nearest, that code is taken. One such choice changes all that follows it, so another program's
 * numbers can be compared only after following its choices. margin stays that of the nearest. */
enum vq_status vq_reference_follow(struct vq_reference *out, const struct vq_model *m,
                                   const int32_t *tokens, size_t T, const int32_t *prefer,
                                   const struct vq_cancel *cancel, struct vq_err *err);

/* The engine's numbers against the reference's on the same tokens. */
struct vq_verify_result {
    size_t positions;
    double max_abs_logit_error; /* over logits */
    double max_rel_state_error; /* aggregate means, window values and counts after the last token,
                                   relative to the largest entry of each array */
    size_t code_mismatches;     /* shortcodes that differ although they are no tie (1e-4) */
    double bits_change;         /* mean bits per token, of those after the first, by which the
                                   engine predicts worse than the reference; NaN for one token */
    bool passed;                /* no mismatch, and both errors at most 1e-4 */
};
struct vq_engine;
enum vq_status vq_verify(struct vq_verify_result *out, const struct vq_model *m,
                         const struct vq_engine *e, const int32_t *tokens, size_t T,
                         const struct vq_cancel *cancel, struct vq_err *err);

#endif
