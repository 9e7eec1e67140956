/*
 * spm: the SentencePiece library as C functions. Private to core/vocab; spm.cc is the project's one
 * C++ file and the one user of the library. No exception leaves it.
 */
#ifndef VQ_CORE_VOCAB_SPM_H
#define VQ_CORE_VOCAB_SPM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "core/base/err.h"

struct vq_spm; /* immutable after opening; encoding from several threads is fine */

enum vq_spm_type {
    VQ_SPM_TEXT,   /* a piece of text with U+2581 for spaces */
    VQ_SPM_BYTE,   /* "<0xE4>": one byte of what no piece covers */
    VQ_SPM_UNUSED, /* never produced by encoding; text all the same */
    VQ_SPM_PAD,
    VQ_SPM_EOS,
    VQ_SPM_UNK,
    VQ_SPM_CONTROL /* another id that stands for no text */
};

/* Opens a serialised model of `size` bytes, which are copied. VQ_EFORMAT when it is none; the
 * library is kept from writing to stderr. */
enum vq_status vq_spm_open(struct vq_spm **out, const void *model, size_t size, struct vq_err *err);
void vq_spm_free(struct vq_spm *m); /* NULL is fine */

int vq_spm_size(const struct vq_spm *m);
/* For 0 <= id < size. The text is borrowed from m. */
enum vq_spm_type vq_spm_type(const struct vq_spm *m, int id);
const char *vq_spm_piece(const struct vq_spm *m, int id, size_t *n);
/* True when the library's decoder drops the space of a first piece that begins with one. */
bool vq_spm_drops_first_space(const struct vq_spm *m);

/* Ids of valid UTF-8, nothing added; *ids is the caller's to free. */
enum vq_status vq_spm_encode(const struct vq_spm *m, const char *text, size_t size, int32_t **ids,
                             size_t *n, struct vq_err *err);

/* What a new model is made from, and its kind. */
struct vq_spm_training {
    int size;         /* pieces, the three special ones included */
    const char *type; /* "bpe" or "unigram" */
    double coverage;  /* of characters, up to 1 */
    size_t longest;   /* bytes of a line; longer ones are left out */
    /* The next line without its end mark, valid UTF-8, borrowed until the next call; false at the
     * end. */
    bool (*next)(void *ud, const char **line, size_t *n);
    void *ud;
};
/* Trains with pad 0, eos 1, unk 2 and no bos. *model is the serialised model, the caller's to
 * free. VQ_EINVAL with the library's reason when the lines do not yield so many pieces. */
enum vq_status vq_spm_train(const struct vq_spm_training *t, char **model, size_t *size,
                            struct vq_err *err);

#ifdef __cplusplus
}
#endif

#endif
