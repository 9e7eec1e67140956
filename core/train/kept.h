/*
 * kept: the checkpoints that training leaves in one folder, and which of them stay. Each is
 * checkpoint_<step>.safetensors, or in the authors' layout a folder checkpoint_<step> with the rest
 * of our training state beside it in generator_<step>.safetensors. training.json lists them with
 * their validation losses, so that a run that is resumed goes on with the same best ones; nothing
 * that it does not list is ever removed.
 */
#ifndef VQ_CORE_TRAIN_KEPT_H
#define VQ_CORE_TRAIN_KEPT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct vq_kept_entry {
    int64_t step;
    double loss; /* of validation, nats per token; NaN: not judged */
};

struct vq_kept {
    char *folder;
    size_t keep;              /* 0: all */
    struct vq_kept_entry *at; /* [n] by rising step */
    size_t n, cap;
};

/* Opens a folder, creating it and those above it, and reads its list; entries whose checkpoint is
 * gone are forgotten. keep: how many stay, 0 for all. VQ_EFORMAT for a list that is none of ours.
 * Release with vq_kept_release, on failure too. */
enum vq_status vq_kept_open(struct vq_kept *k, const char *folder, size_t keep, struct vq_err *err);
void vq_kept_release(struct vq_kept *k);

/* "<folder>/checkpoint_<step>.safetensors", or without an ending for the authors' layout, or the
 * generator's file beside that; the caller's to free(), NULL when memory is out. */
enum vq_kept_file { VQ_KEPT_SAFETENSORS, VQ_KEPT_FLAX, VQ_KEPT_GENERATOR };
char *vq_kept_path(const char *folder, enum vq_kept_file kind, int64_t step);

/* The generator's file that belongs to the Flax file at `path` (".../checkpoint_<step>/checkpoint"
 * or ".../checkpoint_<step>"), whether or not there is one; the caller's to free(). NULL: the path
 * is none of these, or memory is out. */
char *vq_kept_generator_of(const char *path);

/* The highest step of any checkpoint in the folder, listed or not; -1 when there is none. */
int64_t vq_kept_highest(const char *folder);

/* Lists a checkpoint that has just been written (again, perhaps), and removes what need not stay:
 * of the judged ones the best `keep` stay, and the newest always does; as long as none is judged,
 * the newest `keep`. */
enum vq_status vq_kept_add(struct vq_kept *k, int64_t step, double loss, struct vq_err *err);

/* Removes all checkpoints of a higher step than `step` from the folder, listed or not. */
enum vq_status vq_kept_remove_after(struct vq_kept *k, int64_t step, struct vq_err *err);

/* The one with the lowest validation loss, or NULL when none is judged. */
const struct vq_kept_entry *vq_kept_best(const struct vq_kept *k);

#endif
