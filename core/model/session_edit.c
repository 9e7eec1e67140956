#include "core/model/session_edit.h"

#include "core/model/session_private.h"

static void forget_results(struct vq_session *s)
{
    for (size_t i = 0; i < s->e->modules; i++)
        s->last[i].position = -1;
    s->has_logits = false;
}

int64_t vq_session_drop_codes(struct vq_session *s, int module, int head, const bool *drop)
{
    const struct vq_engine *e = s->e;
    struct vq_module_state *m = &s->module[module];
    int64_t dropped = 0;
    for (size_t b = 0; b < s->B; b++)
        for (size_t c = 0; c < e->S; c++) {
            size_t at = (b * e->H + (size_t)head) * e->S + c;
            if (!drop[c])
                continue;
            dropped += b == 0 ? m->count[at] : 0;
            m->count[at] = 0;
            m->log_count[at] = vq_log_count(0);
            vq_means_drop(&m->mean, b * e->H + (size_t)head, (int32_t)c);
        }
    s->edited = true;
    forget_results(s);
    return dropped;
}

bool vq_session_edited(const struct vq_session *s)
{
    return s->edited;
}
