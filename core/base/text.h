/*
 * text: a growing text buffer, and numbers and strings in the form JSON wants them. What is written
 * here can always be read back: numbers lose nothing, strings are valid UTF-8, and the locale of
 * the process has no say.
 */
#ifndef VQ_CORE_BASE_TEXT_H
#define VQ_CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A growing text buffer with JSON-safe appends. Failures stick in `failed` (out of memory) and are
 * looked at once, at the end. Init with {0}; free with vq_text_release().
 */
struct vq_text {
    char *data; /* NUL-terminated once anything was appended */
    size_t len, cap;
    bool failed;
};

void vq_text_release(struct vq_text *t); /* leaves it zeroed, ready for use again */
void vq_text_put(struct vq_text *t, const char *s, size_t n);
void vq_text_puts(struct vq_text *t, const char *s);
/* Formats with the process's locale, so floating-point numbers go through the two below. */
void vq_text_printf(struct vq_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Lossless numbers with '.' whatever the locale, in as few of 15 to 17 (f64) or 6 to 9 (f32)
 * significant digits as read back to the same value; NaN and infinities as the strings "NaN"
 * "Infinity" "-Infinity" (with quotes). */
void vq_text_json_f64(struct vq_text *t, double x);
void vq_text_json_f32(struct vq_text *t, float x);

/* A quoted JSON string; control characters (C1 and DEL too) escaped; each ill-formed run of bytes
 * becomes one U+FFFD. */
void vq_text_json_string(struct vq_text *t, const char *s, size_t n);

/* Reads the n bytes of s as one decimal number: digits, '.', sign and exponent, no spaces, no hex,
 * no "inf" or "nan". False, and *out untouched, when they are anything else or the value is
 * outside the range of double. Underflow gives the nearest double. Locale-independent. */
bool vq_text_to_f64(const char *s, size_t n, double *out);

#endif
