/*
 * image: pictures from files as RGB bytes; the only user of stb_image (decoding).
 */
#ifndef VQ_CORE_DATA_IMAGE_H
#define VQ_CORE_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* Decodes PNG, JPEG (grey and CMYK too), BMP, GIF (first frame), TGA, PNM; alpha is composited on
 * white; centre-cropped to a square and resized to side x side with area averaging (shrinking) or
 * bilinear (growing). *rgb is side*side*3 bytes in row, column, channel order, the caller's to
 * free. Dimensions over 65,536 a side or 2^28 pixels are refused before decoding. */
enum vq_status vq_image_load_square(const char *path, int side, uint8_t **rgb, struct vq_err *err);

#endif
