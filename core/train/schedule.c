#include "core/train/schedule.h"

#include <math.h>
#include <string.h>

#define LAST 0.1 /* the factor from max on */

enum vq_status vq_schedule_init(struct vq_schedule *out, const char *name, int64_t n_warmup_step,
                                int64_t n_max_step, struct vq_err *err)
{
    *out = (struct vq_schedule){.warmup = n_warmup_step, .max = n_max_step};
    if (!strcmp(name, "inv_sqrt"))
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "lr_schedule inv_sqrt: in the authors' code it rises with every step, to "
                       "infinity at the last, instead of falling; use cosine or linear");
    if (!strcmp(name, "linear"))
        out->kind = VQ_SCHEDULE_LINEAR;
    else if (strcmp(name, "cosine"))
        return vq_fail(err, VQ_EINVAL, "lr_schedule: expected cosine or linear, found '%.40s'",
                       name);
    if (n_warmup_step < 0 || n_max_step < n_warmup_step)
        return vq_fail(err, VQ_EINVAL, "n_warmup_step: expected 0 to n_max_step (%lld), found %lld",
                       (long long)n_max_step, (long long)n_warmup_step);
    if (out->kind == VQ_SCHEDULE_COSINE && n_max_step == n_warmup_step)
        return vq_fail(err, VQ_EINVAL,
                       "n_max_step: the cosine schedule needs steps after the warm-up's %lld, "
                       "found %lld in all",
                       (long long)n_warmup_step, (long long)n_max_step);
    return VQ_OK;
}

double vq_schedule_at(const struct vq_schedule *s, int64_t step)
{
    if (step < s->warmup)
        return (double)(step < 0 ? 0 : step) / (double)s->warmup;
    if (s->max == s->warmup)
        return 1.0; /* a straight line of no length: the authors' library stays at its start */
    double part = (double)(step - s->warmup) / (double)(s->max - s->warmup);
    part = part < 1.0 ? part : 1.0;
    double fall = s->kind == VQ_SCHEDULE_COSINE ? 0.5 * (1.0 + cos(M_PI * part)) : 1.0 - part;
    return LAST + (1.0 - LAST) * fall;
}
