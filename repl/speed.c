#include "repl/speed.h"

#include <math.h>

#include "core/kernels/machine.h"

void sh_speed_note(struct sh *sh, struct sh_model *m, const struct vq_session *s, size_t tokens,
                   double seconds)
{
    (void)s;
    if (!sh->set.timing || tokens == 0)
        return;
    sh_timing_note(sh, "%.1f tokens/s, %.1f GFLOP/s", (double)tokens / seconds,
                   (double)tokens * vq_engine_flops_per_token(m->engine) / seconds * 1e-9);
}

void sh_speed_limit_note(struct sh *sh, struct sh_model *m, const struct vq_session *s,
                         const struct vq_state_reads *before, size_t steps, double seconds)
{
    struct vq_err err = {0};
    double bandwidth;
    if (!sh->set.timing || steps == 0)
        return;
    if (vq_machine_read_bandwidth(&bandwidth, sh_pool(sh, &err), &err) != VQ_OK)
        return;
    const struct vq_state_reads reads = vq_session_reads(s);
    double bytes = (double)vq_engine_bytes_per_token(m->engine) +
                   (double)(reads.bytes - before->bytes) / (double)steps;
    double rows = (double)(reads.rows - before->rows);
    double skipped = (double)(reads.skipped - before->skipped);
    double rate = bytes * (double)steps / seconds;
    sh_timing_note(sh,
                   "%.1f tokens/s; %.2f MB read per step makes %.1f GB/s, %.0f %% of the %.1f GB/s "
                   "that memory gives now; %.1f %% of the state's values were skipped",
                   (double)steps * vq_session_batch(s) / seconds, bytes * 1e-6, rate * 1e-9,
                   100.0 * rate / bandwidth, bandwidth * 1e-9, 100.0 * skipped / fmax(rows, 1.0));
}
