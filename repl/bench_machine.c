/*
 * bench machine: the limits of this machine, and whether what its processor has is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/kernels/machine.h"
#include "repl/bench.h"
#include "repl/out.h"
#include "repl/runlog.h"

/* "avx2: not needed beside avx512; avx512: all kernels; avx512_vnni: not used" */
static void describe_features(struct vq_text *out)
{
    for (size_t i = 0; i < vq_machine_features(); i++) {
        struct vq_machine_feature f = vq_machine_feature(i);
        vq_text_printf(out, "%s%s: %s", i ? "; " : "", f.name,
                       !f.here ? "absent"
                       : f.use ? f.use
                               : "not used");
    }
}

/* Whether a kernel of OpenBLAS's is for processors with fewer instructions than this one has. */
static bool is_behind(const char *core)
{
    static const char *const wide[] = {"SkylakeX", "Cooperlake", "Sapphirerapids"};
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if (strcmp(core, wide[i]) == 0)
            return false;
    return vq_gemm_find("avx512") != NULL;
}

/* OpenBLAS is a row of its own: which kernel it picked, or was made to pick, and what that gives.
 */
static enum vq_status add_openblas(struct sh_benching *b, struct vq_err *err)
{
    const char *core = vq_gemm_blas_core(), *forced = getenv("OPENBLAS_CORETYPE");
    const struct vq_gemm *gemm = vq_gemm_find("openblas");
    char name[96];
    double rate;
    if (!core || !gemm)
        return VQ_OK;
    enum vq_status status = vq_machine_backend_rate(&rate, gemm, sh_pool(b->sh, err), err);
    if (status != VQ_OK)
        return status;
    snprintf(name, sizeof(name), "openblas %s%s", core, forced ? ", forced" : "");
    sh_bench_add(b->sh, &(struct sh_bench_row){.path = "products OpenBLAS",
                                               .flops = rate,
                                               .limit_flops = b->limits.f32,
                                               .fraction = rate / b->limits.f32,
                                               .backend = name});
    sh_run_result_text(b->sh, "openblas core", core);
    if (forced && is_behind(core))
        sh_note(b->sh,
                "OPENBLAS_CORETYPE=%s holds OpenBLAS to its %s kernels, at %.0f %% of what this "
                "processor gives; unset it, or leave products to our own kernels (set gemm auto)",
                forced, core, 100.0 * rate / b->limits.f32);
    return VQ_OK;
}

enum vq_status sh_bench_machine(struct sh_benching *b, struct vq_err *err)
{
    struct vq_text features = {0};
    struct vq_pool *pool = sh_pool(b->sh, err);
    if (!pool)
        return err->code;
    sh_progress(b->sh, "measuring this machine");
    enum vq_status status = vq_limits_measure(&b->limits, pool, err);
    sh_progress_clear(b->sh);
    if (status != VQ_OK)
        return status;
    describe_features(&features);
    sh_bench_add(b->sh, &(struct sh_bench_row){.path = "memory read",
                                               .bytes = b->limits.read,
                                               .features = features.data});
    sh_bench_add(b->sh, &(struct sh_bench_row){.path = "products f32",
                                               .flops = b->limits.f32,
                                               .backend = b->limits.backend});
    sh_bench_add(b->sh, &(struct sh_bench_row){.path = "products int8", .flops = b->limits.int8});
    if (b->limits.bf16 > 0)
        sh_bench_add(b->sh,
                     &(struct sh_bench_row){.path = "products bf16", .flops = b->limits.bf16});
    status = add_openblas(b, err);
    sh_note(b->sh, "%d thread%s; %s", vq_pool_threads(pool), vq_pool_threads(pool) == 1 ? "" : "s",
            features.data ? features.data : "");
    sh_run_result_text(b->sh, "features", features.data ? features.data : "");
    vq_text_release(&features);
    return status;
}
