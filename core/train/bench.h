/*
 * bench: how fast this machine makes whole updates of a configuration, beside how fast it
 * multiplies matrices. Both are measured in the same call, since either swings with what else runs.
 */
#ifndef VQ_CORE_TRAIN_BENCH_H
#define VQ_CORE_TRAIN_BENCH_H

#include "core/train/trainer.h"

struct vq_train_bench {
    uint64_t tokens; /* of the updates that were measured */
    int64_t updates;
    double seconds; /* of all of them, optimiser included */
    double fastest; /* seconds of the fastest */
    double flops;   /* of one update's matrix products, those done again included */
    double again;   /* of these, in passes done again to save memory */
    double sgemm;   /* float32 operations per second of matrix products, the better of before and
                       after */
    double limit;   /* the same of products in the trainer's dtype */
    const char *backend; /* the back-end that gave sgemm */
};

/*
 * Updates on random tokens: one to warm up, then at least `least`, and more until `seconds` are
 * over. The update counts as trained: make the trainer for this. VQ_ECANCELLED between modules.
 */
enum vq_status vq_train_bench_run(struct vq_train_bench *out, struct vq_trainer *t, int64_t least,
                                  double seconds, const struct vq_cancel *cancel,
                                  struct vq_err *err);

#endif
