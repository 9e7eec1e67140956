#include "repl/training.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/data/source.h"
#include "repl/out.h"

void sh_data_kinds(struct vq_text *to)
{
    vq_text_puts(to, "Kinds of data, told by what is found at PATH unless one is named:\n");
    for (size_t i = 0; i < vq_data_kind_count(); i++)
        vq_text_printf(to, "  %-10s  %s\n", vq_data_kind_name(i), vq_data_kind_help(i));
}

const char *sh_bytes_text(uint64_t bytes, char *buf, size_t len)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double x = (double)bytes;
    size_t i = 0;
    if (bytes < 1000) {
        snprintf(buf, len, "%" PRIu64 " bytes", bytes);
        return buf;
    }
    for (x /= 1000; x >= 999.5 && i + 1 < sizeof(units) / sizeof(units[0]); x /= 1000)
        i++;
    snprintf(buf, len, "%.3g %s", x, units[i]);
    return buf;
}

enum vq_status sh_config_options(const struct sh_args *a, struct vq_model_options *out,
                                 const char ***set, struct vq_err *err)
{
    *out = (struct vq_model_options){.preset = sh_opt_text(a, "preset"),
                                     .config_path = sh_opt_text(a, "config")};
    *set = sh_opt_all(a, "set", &out->n_set);
    out->set = *set;
    return *set ? VQ_OK : vq_nomem(err, "settings", out->n_set, sizeof(**set));
}

uint64_t sh_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

static void say_memory(struct sh *sh, const struct vq_trainer_memory *m, bool recompute)
{
    char total[32], parts[5][32];
    sh_note(sh,
            "memory: %s (parameters %s, gradients %s, optimiser %s, attention state %s, "
            "activations %s%s)",
            sh_bytes_text(m->total, total, sizeof(total)),
            sh_bytes_text(m->params, parts[0], sizeof(parts[0])),
            sh_bytes_text(m->grads, parts[1], sizeof(parts[1])),
            sh_bytes_text(m->optimiser, parts[2], sizeof(parts[2])),
            sh_bytes_text(m->state, parts[3], sizeof(parts[3])),
            sh_bytes_text(m->activations, parts[4], sizeof(parts[4])),
            recompute ? ", forward passes done again" : "");
    if (m->total > sh_machine_memory())
        sh_warn(sh, "this machine has %s of memory: take a smaller --rows or global_batch_size",
                sh_bytes_text(sh_machine_memory(), total, sizeof(total)));
}

enum vq_status sh_trainer_options(struct sh *sh, const struct sh_args *a, const struct vq_config *c,
                                  struct vq_trainer_options *o, struct vq_err *err)
{
    const char *recompute = sh_opt_text(a, "recompute");
    struct vq_trainer_memory m;
    *o = (struct vq_trainer_options){.gemm = vq_gemm_find(sh->set.gemm),
                                     .pool = sh_pool(sh, err),
                                     .rows = (size_t)sh_opt_int(a, "rows"),
                                     .recompute = !strcmp(recompute, "on")};
    if (!o->pool)
        return err->code;
    enum vq_status status = vq_trainer_estimate(&m, c, o, err);
    /* A third: other programs live here too, and validation and saving take some. */
    if (status == VQ_OK && !strcmp(recompute, "auto") && m.total > sh_machine_memory() / 3) {
        o->recompute = true;
        status = vq_trainer_estimate(&m, c, o, err);
    }
    if (status == VQ_OK)
        say_memory(sh, &m, o->recompute);
    return status;
}
