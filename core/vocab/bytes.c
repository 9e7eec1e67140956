/*
 * bytes: the vocabularies whose ids are bytes, byte b being id b + 3: "bytes" for text and
 * "image64" for pictures, which differ only in what a sequence means.
 */
#include "core/base/mem.h"
#include "core/vocab/kind.h"

enum { N_BYTES = 256 };

static enum vq_status open_bytes(struct vq_vocab *v, int n_vocab, struct vq_err *err)
{
    (void)n_vocab;
    v->size = VQ_N_SPECIAL + N_BYTES;
    enum vq_status status = vq_vocab_reserve(v, err);
    if (status != VQ_OK)
        return status;
    for (int id = 0; id < v->size; id++)
        vq_vocab_add(v, id, &(char){(char)(id - VQ_N_SPECIAL)}, id >= VQ_N_SPECIAL);
    return VQ_OK;
}

static enum vq_status encode_bytes(const struct vq_vocab *v, const char *text, size_t size,
                                   int32_t **ids, size_t *n, struct vq_err *err)
{
    int32_t *list = vq_alloc(size, sizeof(*list));
    if (!list)
        return vq_nomem(err, v->spec, size, sizeof(*list));
    for (size_t i = 0; i < size; i++)
        list[i] = (unsigned char)text[i] + VQ_N_SPECIAL;
    *ids = list;
    *n = size;
    return VQ_OK;
}

const struct vq_vocab_kind vq_vocab_bytes_kind = {
    .name = "bytes",
    .is_text = true,
    .space = " ",
    .open = open_bytes,
    .encode = encode_bytes,
};

const struct vq_vocab_kind vq_vocab_image64_kind = {
    .name = "image64",
    .is_image = true,
    .space = " ",
    .open = open_bytes,
    .encode = encode_bytes,
};
