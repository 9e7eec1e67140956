/*
 * random: models that nobody trained, made in memory, so that speed can be measured for any
 * configuration without a file of it. Only sizes matter to speed; numbers are such that every layer
 * sees inputs of ordinary size.
 */
#ifndef VQ_CORE_BENCH_RANDOM_H
#define VQ_CORE_BENCH_RANDOM_H

#include "core/model/model.h"

/* A model of this configuration: embeddings, kernels and codebooks uniform with the variance that
 * training begins with (1, 1 / fan_in), counts and gains 1, all else 0. The same numbers each time.
 * VQ_EINVAL from vq_config_check. */
enum vq_status vq_random_model(struct vq_model **out, const struct vq_settings *s,
                               struct vq_err *err);

/* n numbers uniform in [-bound, bound), from a generator that costs next to nothing; *state goes
 * on. */
void vq_random_fill(float *x, size_t n, float bound, uint32_t *state);

#endif
