/*
 * image: pictures from files as RGB bytes; the only user of stb_image (decoding).
 */
#ifndef VQ_CORE_DATA_IMAGE_H
#define VQ_CORE_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* Extensions of the formats that are read. */
#define VQ_IMAGE_FILES ".png .jpg .jpeg .bmp .gif .tga .ppm .pgm"

/* Whether bytes begin as an image of one of these formats, but for TGA, which has no mark. */
bool vq_image_begins(const uint8_t *data, size_t size);

/*
 * Decodes PNG, JPEG (grey and CMYK too), BMP, GIF (first frame), TGA, PNM (P5 and P6 with maximum
 * 255); alpha is composited on white; centre-cropped to a square and resized to side x side with
 * area averaging (shrinking) or bilinear (growing), on the stored values as they are, each result
 * rounded once. A square of that side comes out unchanged. *rgb is side*side*3 bytes in row,
 * column, channel order, the caller's to free; side is 1 to 4096.
 *
 * Dimensions over 65,536 a side or 2^28 pixels are VQ_EUNSUPPORTED, before decoding. VQ_EFORMAT:
 * no image, damaged, or cut short. Messages begin with the path.
 */
enum vq_status vq_image_load_square(const char *path, int side, uint8_t **rgb, struct vq_err *err);

#endif
