/*
 * utf8: checking, stepping through and measuring UTF-8. Never asks the locale: what is valid comes
 * from the encoding itself (RFC 3629), and what is wide or combining from tables made of the
 * Unicode Character Database, so tables on screen line up wherever the program runs.
 */
#ifndef VQ_CORE_BASE_UTF8_H
#define VQ_CORE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/text.h"

#define VQ_UTF8_REPLACEMENT 0xfffdu

/*
 * Looks at the code point that starts at s[0], with n bytes to be seen.
 *   > 0  it is valid and that many bytes long; *cp is its value
 *     0  the n bytes are the sound start of a sequence that goes on after them (n = 0 too)
 *   < 0  they cannot be UTF-8; as many bytes as the negated value (1 to 3) stand for one U+FFFD,
 *        which *cp is set to (the longest sound start, as Unicode recommends in chapter 3.9)
 */
int vq_utf8_next(const char *s, size_t n, uint32_t *cp);

/* Writes cp (U+FFFD when it is no scalar value) to out; returns the 1 to 4 bytes written. */
size_t vq_utf8_put(uint32_t cp, char out[4]);

/* Offset of the first byte that is not part of whole valid UTF-8; n when all of it is valid. */
size_t vq_utf8_check(const char *s, size_t n);

/* Terminal columns of one code point: 2 for East Asian wide and emoji, 0 for combining marks,
 * joiners, variation selectors and control characters, else 1. */
int vq_utf8_cp_width(uint32_t cp);

/* Terminal columns of a text on one line. A base and its combining marks count as the base; an
 * emoji with a skin tone, or several joined by U+200D, count as one; U+FE0F makes its base wide;
 * each ill-formed run counts as the one U+FFFD it is shown as. */
size_t vq_utf8_width(const char *s, size_t n);

/* Bytes of the longest start of the text that is at most `columns` wide and ends between what a
 * person sees as characters; its width goes to *width unless that is NULL. */
size_t vq_utf8_fit(const char *s, size_t n, size_t columns, size_t *width);

/*
 * A filter for text that arrives in pieces of any size, as tokens do: whole valid UTF-8 comes out,
 * an unfinished sequence is held until the bytes that finish it arrive, ill-formed runs become
 * U+FFFD. How the bytes are cut into pieces makes no difference to what comes out in all. Init
 * with {0}.
 */
struct vq_utf8_stream {
    char held[4];
    uint8_t n_held; /* at most 3 between calls */
};

void vq_utf8_stream_put(struct vq_utf8_stream *st, const char *s, size_t n, struct vq_text *out);
/* The end of the text: a held start can no longer be finished and becomes one U+FFFD. */
void vq_utf8_stream_flush(struct vq_utf8_stream *st, struct vq_text *out);

#endif
