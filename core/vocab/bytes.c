/*
 * bytes: the vocabularies whose ids are bytes. "bytes" for text and "image64" for pictures give
 * byte b the id b + 3 and differ only in what a sequence means. "rgb64" gives each channel of a
 * picture ids of its own, 256 further for each: in a white area nothing else tells a model of the
 * authors' kind which channel comes next, since none of its sinusoids has a wavelength of three.
 */
#include "core/base/mem.h"
#include "core/vocab/kind.h"

static enum vq_status open_bytes(struct vq_vocab *v, int n_vocab, struct vq_err *err)
{
    (void)n_vocab;
    v->size = VQ_N_SPECIAL + v->kind->channels * VQ_N_BYTE;
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
        list[i] = vq_vocab_byte_id(v, i, (unsigned char)text[i]);
    *ids = list;
    *n = size;
    return VQ_OK;
}

int32_t vq_vocab_byte_id(const struct vq_vocab *v, uint64_t at, uint8_t byte)
{
    return VQ_N_SPECIAL + (int32_t)(at % (uint64_t)v->kind->channels) * VQ_N_BYTE + byte;
}

int vq_vocab_byte_at(const struct vq_vocab *v, uint64_t at, int32_t id)
{
    int32_t first = vq_vocab_byte_id(v, at, 0);
    return id >= first && id - first < VQ_N_BYTE ? id - first : -1;
}

void vq_vocab_move(const struct vq_vocab *v, uint64_t at, int32_t *ids, size_t n)
{
    for (size_t i = 0; v->kind->channels > 1 && i < n; i++)
        ids[i] = vq_vocab_byte_id(v, at + i, (uint8_t)vq_vocab_byte_at(v, i, ids[i]));
}

const struct vq_vocab_kind vq_vocab_bytes_kind = {
    .name = "bytes",
    .channels = 1,
    .is_text = true,
    .space = " ",
    .open = open_bytes,
    .encode = encode_bytes,
};

const struct vq_vocab_kind vq_vocab_image64_kind = {
    .name = "image64",
    .channels = 1,
    .is_image = true,
    .space = " ",
    .open = open_bytes,
    .encode = encode_bytes,
};

const struct vq_vocab_kind vq_vocab_rgb64_kind = {
    .name = "rgb64",
    .channels = 3,
    .letters = "rgb",
    .is_image = true,
    .space = " ",
    .open = open_bytes,
    .encode = encode_bytes,
};
