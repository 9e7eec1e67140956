/*
 * vocab: from bytes to token ids and back. A vocabulary kind is one file and one row of the table
 * in vocab.c. Ids 0 pad, 1 eos, 2 unk are special everywhere.
 */
#ifndef VQ_CORE_VOCAB_VOCAB_H
#define VQ_CORE_VOCAB_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum { VQ_PAD = 0, VQ_EOS = 1, VQ_UNK = 2, VQ_N_SPECIAL = 3 };

struct vq_vocab; /* immutable after opening; may be shared between threads */

/*
 * Opens a vocabulary by its spec: "bytes" (byte b is id b + 3, 259 ids), "image64" (the same ids;
 * a sequence is a 64x64 RGB picture in row, column, channel order), "rgb64" (such pictures, but
 * value b of channel c is id 256 c + b + 3, 771 ids), "ids" (no text: ids print as numbers; any
 * size), or the path of a SentencePiece .model file. n_vocab > 0 is the model's size: a vocabulary
 * of another size is refused, naming both; "ids" has no size but this one.
 */
enum vq_status vq_vocab_open(struct vq_vocab **out, const char *spec, int n_vocab,
                             struct vq_err *err);
void vq_vocab_free(struct vq_vocab *v);

/* Whether a spec is the path of a file rather than one of those names. */
bool vq_vocab_is_file(const char *spec);

const char *vq_vocab_spec(const struct vq_vocab *v); /* as given to open; path for SentencePiece */
/* "bytes", "image64", "rgb64", "ids" or "sentencepiece". */
const char *vq_vocab_kind(const struct vq_vocab *v);
int vq_vocab_size(const struct vq_vocab *v);
bool vq_vocab_is_text(const struct vq_vocab *v);  /* text can be encoded and decoded */
bool vq_vocab_is_image(const struct vq_vocab *v); /* sequences are pictures */

/* Ids of `size` bytes of text; *ids is the caller's to free. Nothing is added. Any bytes are legal
 * for "bytes"; SentencePiece wants UTF-8 (VQ_EINVAL names the offset of the first bad byte).
 * VQ_EUNSUPPORTED for "ids". "image64" and "rgb64" encode and decode raw bytes although they are no
 * text; with "rgb64" the bytes are those of a picture from its beginning (see vq_vocab_move). */
enum vq_status vq_vocab_encode(const struct vq_vocab *v, const char *text, size_t size,
                               int32_t **ids, size_t *n, struct vq_err *err);

/* The bytes of n ids, NUL-terminated after *size bytes, the caller's to free. Special ids give
 * nothing, and the space that SentencePiece puts before a text is taken away again. An id outside
 * the vocabulary is VQ_EINVAL, "ids" VQ_EUNSUPPORTED. */
enum vq_status vq_vocab_decode(const struct vq_vocab *v, const int32_t *ids, size_t n, char **text,
                               size_t *size, struct vq_err *err);

/* Of vocabularies whose ids are bytes ("bytes", "image64", "rgb64"): the id that a byte has at
 * place `at` of a document, counted from 0; those of the 256 bytes follow each other. */
int32_t vq_vocab_byte_id(const struct vq_vocab *v, uint64_t at, uint8_t byte);
/* And the byte that an id is there; -1 for special ids and those of another channel. */
int vq_vocab_byte_at(const struct vq_vocab *v, uint64_t at, int32_t id);
/* Makes n ids that were encoded as the beginning of a document those of the same bytes at place
 * `at` of one. Changes nothing where an id does not depend on its place. */
void vq_vocab_move(const struct vq_vocab *v, uint64_t at, int32_t *ids, size_t n);

/* The raw bytes that one id adds to a text that already has something before it (SentencePiece's
 * word-start mark becomes a space); returns how many bytes were written to buf (at most len).
 * Special ids give 0 bytes. Used for streaming. */
size_t vq_vocab_bytes(const struct vq_vocab *v, int32_t id, char *buf, size_t len);

/* How one id is shown to a person, on one line, always printable UTF-8 and NUL-terminated: "a",
 * "\n", "\\", "\xc3", "<eos>", "▁the"; for "image64" the byte's value, for "rgb64" the channel and
 * the value ("g255"), for "ids" the id. What does not fit in `len` is cut between characters (48
 * bytes hold any piece of common models). Returns buf. */
const char *vq_vocab_piece(const struct vq_vocab *v, int32_t id, char *buf, size_t len);

#endif
