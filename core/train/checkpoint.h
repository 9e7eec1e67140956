/*
 * checkpoint: a trainer as a file, and a trainer from a file. In safetensors everything travels in
 * one file: parameters, "step" and "opt_state/..." under the authors' names, the attention state of
 * an unfinished sequence as "generator/...", the configuration, the
 * vocabulary, and as metadata "training" the seed and the place in the data. In the authors' layout
 * what their reader would not take goes to generator_<step>.safetensors beside it (kept.h).
 *
 * What is read back is what was written to the last bit, so a run that is resumed makes the same
 * bytes as one that was never stopped.
 */
#ifndef VQ_CORE_TRAIN_CHECKPOINT_H
#define VQ_CORE_TRAIN_CHECKPOINT_H

#include "core/ckpt/ckpt.h"
#include "core/train/trainer.h"

/* Where training stands in its data: of which data (a fingerprint), and the place, a JSON value,
 * where the present batch of sequences begins. */
struct vq_checkpoint_place {
    const char *identity, *place;
};

/*
 * Writes t to `folder` as checkpoint_<step>, whole or not at all. `place` may be NULL. *path (the
 * caller's to free) is what was written, *bytes (optional) how much. A folder that holds
 * checkpoints in the authors' layout also gets a config.json, which that layout has no room for.
 */
enum vq_status vq_checkpoint_write(const struct vq_trainer *t, const char *folder, bool flax,
                                   const struct vq_checkpoint_place *place, char **path,
                                   uint64_t *bytes, struct vq_err *err);

/* What a checkpoint holds beside parameters. */
struct vq_checkpoint {
    const struct vq_ckpt *file;      /* borrowed */
    struct vq_ckpt *beside;          /* the generator's file of the authors' layout, or NULL */
    const struct vq_ckpt *generator; /* whichever of the two holds it, or NULL */
    bool optimiser;                  /* there are moments */
    int64_t step;                    /* -1: not told */
    /* With a generator: */
    uint64_t seed, sequence, tokens;
    size_t rows;            /* as in vq_trainer_options; the same sums need the same rows */
    char *identity, *place; /* owned; NULL: no place */
};

/* Looks at an open checkpoint, which must outlive *out. VQ_EFORMAT for a generator that is unsound
 * or belongs to another step. Release with vq_checkpoint_release, on failure too. */
enum vq_status vq_checkpoint_look(struct vq_checkpoint *out, const struct vq_ckpt *file,
                                  struct vq_err *err);
void vq_checkpoint_release(struct vq_checkpoint *c);

/*
 * Takes parameters, and unless params_only also step, optimiser, seed and attention state, into a
 * new trainer of the same shapes. What the file lacks is left as it is at step 0. *inside says
 * whether t now stands inside a sequence. VQ_ESHAPE names what does not fit: a tensor, or the
 * settings that an unfinished sequence depends on.
 */
enum vq_status vq_checkpoint_restore(struct vq_trainer *t, const struct vq_checkpoint *c,
                                     bool params_only, bool *inside, struct vq_err *err);

#endif
