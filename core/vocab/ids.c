/*
 * ids: the vocabulary of models whose tokens stand for nothing we know: ids print as numbers, and
 * there is no text to encode or decode.
 */
#include "core/vocab/kind.h"

static enum vq_status open_ids(struct vq_vocab *v, int n_vocab, struct vq_err *err)
{
    if (n_vocab <= VQ_N_SPECIAL)
        return vq_fail(err, VQ_EINVAL, "vocabulary ids: expected a size over %d, found %d",
                       VQ_N_SPECIAL, n_vocab);
    v->size = n_vocab;
    return VQ_OK;
}

static enum vq_status encode_ids(const struct vq_vocab *v, const char *text, size_t size,
                                 int32_t **ids, size_t *n, struct vq_err *err)
{
    (void)text;
    (void)size;
    (void)ids;
    (void)n;
    return vq_fail(err, VQ_EUNSUPPORTED, "the vocabulary \"%s\" has no text; give tokens instead",
                   v->spec);
}

const struct vq_vocab_kind vq_vocab_ids_kind = {
    .name = "ids",
    .space = " ",
    .open = open_ids,
    .encode = encode_ids,
};
