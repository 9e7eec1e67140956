/*
 * pieces: the kind "sentencepiece", whose spec is the path of a .model file. Which ids are special
 * is for the model to say; those of MODEL.md's settings are 0 pad, 1 eos, 2 unk.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/vocab/kind.h"
#include "core/vocab/spm.h"

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */

/* A varint of the wire format at *at; false when it does not end in the file. */
static bool read_varint(const struct vq_file *f, size_t *at, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && *at < f->size; shift += 7) {
        uint8_t b = f->data[(*at)++];
        *value |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return true;
    }
    return false;
}

/* Walks the outermost fields of the serialised message. The library opens a file that was cut
 * between two of them, with fewer pieces or without its normaliser, so the last ones that a trainer
 * writes must be there. */
static bool is_whole(const struct vq_file *f)
{
    enum { TRAINER_SPEC = 2, NORMALIZER_SPEC = 3, LENGTH_DELIMITED = 2 };
    bool trainer = false, normalizer = false;
    for (size_t at = 0; at < f->size;) {
        uint64_t tag, size;
        if (!read_varint(f, &at, &tag) || (tag & 7) != LENGTH_DELIMITED ||
            !read_varint(f, &at, &size) || size > f->size - at)
            return false;
        at += (size_t)size;
        trainer = trainer || tag >> 3 == TRAINER_SPEC;
        normalizer = normalizer || tag >> 3 == NORMALIZER_SPEC;
    }
    return trainer && normalizer;
}

static enum vq_status open_model(struct vq_vocab *v, struct vq_err *err)
{
    struct vq_file f;
    enum vq_status status = vq_file_open(&f, v->spec, err);
    if (status == VQ_ENOTFOUND && !strchr(v->spec, '/') && !strchr(v->spec, '.'))
        return vq_fail(err, status,
                       "no vocabulary \"%s\"; expected bytes, image64, rgb64, ids, or the path of "
                       "a SentencePiece .model file",
                       v->spec);
    if (status != VQ_OK)
        return status;
    struct vq_spm *m = NULL;
    const char *what = vq_file_sniff(f.data, f.size);
    if (is_whole(&f))
        status = vq_spm_open(&m, f.data, f.size, err);
    else
        status = vq_fail(err, VQ_EFORMAT, "expected a SentencePiece model, found %s",
                         what ? what : "something else, or a part of one");
    if (status != VQ_OK)
        vq_err_prefix(err, "%s", v->spec);
    v->impl = m;
    vq_file_close(&f);
    return status;
}

/* The bytes a text piece stands for: each space mark becomes a space. */
static void put_text(struct vq_text *out, const char *piece, size_t n)
{
    size_t mark = strlen(space_mark);
    for (size_t i = 0; i < n;) {
        bool space = n - i >= mark && memcmp(piece + i, space_mark, mark) == 0;
        vq_text_put(out, space ? " " : piece + i, 1);
        i += space ? mark : 1;
    }
}

/* "<0xE4>" is the byte 0xe4. */
static bool byte_of(const char *piece, size_t n, char *byte)
{
    if (n != 6 || memcmp(piece, "<0x", 3) != 0 || piece[5] != '>')
        return false;
    char *end;
    unsigned long value = strtoul(piece + 3, &end, 16);
    *byte = (char)value;
    return end == piece + 5;
}

/* The bytes of one id and, when it stands for none, its name. */
static void add_piece(struct vq_vocab *v, int id)
{
    static const char *const names[] = {
        [VQ_SPM_PAD] = "<pad>", [VQ_SPM_EOS] = "<eos>", [VQ_SPM_UNK] = "<unk>"};
    size_t n;
    const char *piece = vq_spm_piece(v->impl, id, &n);
    enum vq_spm_type type = vq_spm_type(v->impl, id);
    char byte;
    if (type == VQ_SPM_BYTE && byte_of(piece, n, &byte)) {
        vq_text_put(&v->text, &byte, 1);
    } else if (type == VQ_SPM_TEXT || type == VQ_SPM_UNUSED) {
        put_text(&v->text, piece, n);
    } else {
        bool named = type == VQ_SPM_PAD || type == VQ_SPM_EOS || type == VQ_SPM_UNK;
        v->labels[id] = named ? names[type] : piece;
    }
    vq_vocab_add(v, id, "", 0);
}

static enum vq_status open_pieces(struct vq_vocab *v, int n_vocab, struct vq_err *err)
{
    (void)n_vocab;
    enum vq_status status = open_model(v, err);
    if (status != VQ_OK)
        return status;
    v->size = vq_spm_size(v->impl);
    v->drops_first_space = vq_spm_drops_first_space(v->impl);
    v->labels = vq_calloc((size_t)v->size, sizeof(*v->labels));
    if (!v->labels)
        return vq_nomem(err, v->spec, (size_t)v->size, sizeof(*v->labels));
    status = vq_vocab_reserve(v, err);
    for (int id = 0; status == VQ_OK && id < v->size; id++)
        add_piece(v, id);
    return status;
}

static void close_pieces(struct vq_vocab *v)
{
    vq_spm_free(v->impl);
}

static enum vq_status encode_pieces(const struct vq_vocab *v, const char *text, size_t size,
                                    int32_t **ids, size_t *n, struct vq_err *err)
{
    size_t good = vq_utf8_check(text, size);
    if (good < size)
        return vq_fail(err, VQ_EINVAL, "byte %zu of the text is not UTF-8 (0x%02x)", good,
                       (unsigned char)text[good]);
    return vq_spm_encode(v->impl, text, size, ids, n, err);
}

const struct vq_vocab_kind vq_vocab_pieces_kind = {
    .name = "sentencepiece",
    .is_text = true,
    .space = space_mark,
    .open = open_pieces,
    .close = close_pieces,
    .encode = encode_pieces,
};
