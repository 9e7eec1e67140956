/*
 * The tokens in a state file. The model does not need them to go on: they are there for people to
 * read, and to be run again.
 */
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/ckpt/ckpt.h"
#include "core/model/session_private.h"

static enum vq_status read_ids(const struct vq_session *s, const struct vq_tensor *t, int32_t **ids,
                               size_t *n, struct vq_err *err)
{
    if (t->dtype != VQ_I32 || t->rank != 2 || t->shape[0] != (int64_t)s->B || t->shape[1] < 0)
        return vq_fail(err, VQ_EFORMAT, "state tensor %s: expected int32 [%zu, n]", VQ_STATE_TOKENS,
                       s->B);
    size_t each = (size_t)t->shape[1], cells = s->B * each;
    *ids = vq_alloc(cells, sizeof(**ids));
    if (!*ids)
        return vq_nomem(err, "tokens", cells, sizeof(**ids));
    vq_tensor_read_raw(t, *ids);
    for (size_t i = 0; i < cells; i++) {
        if ((*ids)[i] < -1 || (*ids)[i] >= (int64_t)s->e->N)
            return vq_fail(err, VQ_EFORMAT, "state tensor %s: %d is no token", VQ_STATE_TOKENS,
                           (int)(*ids)[i]);
    }
    *n = each;
    return VQ_OK;
}

enum vq_status vq_session_load_tokens(const struct vq_session *s, const char *path, int32_t **ids,
                                      size_t *n, struct vq_err *err)
{
    struct vq_ckpt *c;
    *ids = NULL;
    *n = 0;
    enum vq_status status = vq_ckpt_open(&c, path, err);
    if (status != VQ_OK)
        return status;
    const struct vq_tensor *t = vq_ckpt_find(c, VQ_STATE_TOKENS);
    if (t && t->data)
        status = read_ids(s, t, ids, n, err);
    if (status != VQ_OK) {
        vq_err_prefix(err, "%s", path);
        free(*ids);
        *ids = NULL;
    }
    vq_ckpt_free(c);
    return status;
}
