/*
 * machine: what this machine can do, measured now. Figures swing with what else runs on it, so a
 * rate means something only beside a limit measured in the same run.
 */
#ifndef VQ_CORE_KERNELS_MACHINE_H
#define VQ_CORE_KERNELS_MACHINE_H

#include "core/base/err.h"
#include "core/base/pool.h"
#include "core/kernels/gemm.h"

#define VQ_MACHINE_BUFFER ((size_t)256 << 20)

/* Bytes per second that the pool's threads read together from memory, the best of a few passes over
 * a buffer too large for caches (VQ_MACHINE_BUFFER, freed again), on large pages as weights have them; takes
 * some 0.1 s. VQ_ENOMEM. */
enum vq_status vq_machine_read_bandwidth(double *bytes_per_second, struct vq_pool *pool,
                                         struct vq_err *err);

/* Operations (multiply-adds times two) per second of float32 matrix products that the pool's
 * threads reach together, each on square matrices of its own, with whichever back-end is fastest
 * here (*backend, static): the best of a few passes, some 0.2 s. VQ_ENOMEM. */
enum vq_status vq_machine_sgemm_rate(double *flops_per_second, const char **backend,
                                     struct vq_pool *pool, struct vq_err *err);
/* The same with one back-end. */
enum vq_status vq_machine_backend_rate(double *flops_per_second, const struct vq_gemm *gemm,
                                       struct vq_pool *pool, struct vq_err *err);
/* The same of products of bfloat16 numbers, summed in f32; 0 where the processor has no
 * instructions for them. */
enum vq_status vq_machine_bf16_rate(double *flops_per_second, struct vq_pool *pool,
                                    struct vq_err *err);

/* The same of products with int8 weights, on one matrix shared out over the pool. */
enum vq_status vq_machine_int8_rate(double *flops_per_second, struct vq_pool *pool,
                                    struct vq_err *err);

/* What the processor could have that matters here, whether it has it, and what of ours uses it. */
struct vq_machine_feature {
    const char *name; /* "avx2", "avx512_bf16", ... */
    bool here;
    const char *use; /* "all kernels", ...; NULL: nothing, here */
};
size_t vq_machine_features(void);
struct vq_machine_feature vq_machine_feature(size_t i);

#endif
