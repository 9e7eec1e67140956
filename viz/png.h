/*
 * png: RGB pictures as PNG files that carry their own notes, and reading those notes back.
 *
 * Notes are keyword and value pairs in tEXt chunks (iTXt where the value is not plain ASCII),
 * placed right behind the header chunk so that any tool finds them without reading the pixels.
 * Files are written through core/base/file.h: complete or not at all.
 */
#ifndef VQ_VIZ_PNG_H
#define VQ_VIZ_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "viz/canvas.h"

/* One note. `key` is 1 to 79 bytes; `value` is UTF-8, any length. */
struct viz_note {
    const char *key;
    const char *value;
};

/*
 * Encodes rgb [h, w, 3] with n notes. *out is *size bytes, freed with free().
 * In a key, bytes that are not printable ASCII become '_' and spaces at the ends or in a row are
 * dropped. In a value, ill-formed UTF-8 becomes U+FFFD and control characters other than line feed
 * and tab become spaces.
 * VQ_EINVAL: a side is 0 or over VIZ_CANVAS_MAX, or a key is empty, too long, or all spaces;
 * VQ_ENOMEM.
 */
enum vq_status viz_png_encode(uint8_t **out, size_t *size, const uint8_t *rgb, size_t w, size_t h,
                              const struct viz_note *notes, size_t n, struct vq_err *err);

/*
 * The same for a picture inside another document, as small as it can be: of up to 256 colours a
 * byte for each pixel. argb [h, w] has alpha in the top byte and colours multiplied by it; `opaque`
 * says that alpha does not count.
 */
enum vq_status viz_png_encode_argb(uint8_t **out, size_t *size, const uint32_t *argb, size_t w,
                                   size_t h, bool opaque, struct vq_err *err);

/* viz_png_encode() to a file, which is replaced in one step: after any failure `path` is as before
 * and no temporary file is left. */
enum vq_status viz_png_save(const char *path, const uint8_t *rgb, size_t w, size_t h,
                            const struct viz_note *notes, size_t n, struct vq_err *err);

/* viz_png_save() of a canvas. */
enum vq_status viz_png_save_canvas(const char *path, struct viz_canvas *c,
                                   const struct viz_note *notes, size_t n, struct vq_err *err);

/*
 * The value of the first note called `key` in the PNG of `size` bytes at `data`, as UTF-8; *out is
 * freed with free(). Reads no further than that chunk and checks its CRC.
 * VQ_EFORMAT: not a PNG, cut short, or a damaged chunk; VQ_ENOTFOUND: no such note;
 * VQ_EUNSUPPORTED: it is compressed.
 */
enum vq_status viz_png_text(char **out, const uint8_t *data, size_t size, const char *key,
                            struct vq_err *err);

/* CRC-32 as PNG (and gzip) define it; 0 for no bytes. Continues from `crc`, 0 at the start. */
uint32_t viz_png_crc(uint32_t crc, const void *data, size_t size);

#endif
