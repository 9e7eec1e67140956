/*
 * tfevents: the event files that TensorBoard reads.
 *
 * A file is a sequence of records, each
 *
 *     u64 length, u32 masked CRC-32C of those 8 bytes, the bytes, u32 their masked CRC-32C
 *
 * (little-endian; masked is ((crc >> 15) | (crc << 17)) + 0xa282ead8). The bytes are one message
 * Event of tensorflow/core/util/event.proto in the protocol buffers' wire format; the fields used:
 *
 *     Event    1 wall_time double   2 step int64   3 file_version string   5 summary Summary
 *     Summary  1 value Value, repeated
 *     Value    1 tag string   2 simple_value float   4 image Image   8 tensor   9 metadata
 *     Image    1 height   2 width   3 colorspace   4 encoded_image_string
 *     Tensor   1 dtype (7: string)   2 shape { 2 dim { 1 size } }   8 string_val, repeated
 *     Metadata 1 plugin_data { 1 plugin_name }
 *
 * The first record says "brain.Event:2".
 */
#ifndef VQ_CORE_STORE_TFEVENTS_H
#define VQ_CORE_STORE_TFEVENTS_H

#include <stdint.h>

#include "core/base/file.h"
#include "core/base/text.h"

struct vq_tfevents {
    struct vq_writer *file;
    uint32_t table[256]; /* of CRC-32C */
    struct vq_text event, part, inner;
};

/* The file takes its name at the end. */
enum vq_status vq_tfevents_open(struct vq_tfevents *e, const char *path, double time,
                                struct vq_err *err);
/* One value under a tag; a scalar is kept as a 32-bit float. */
enum vq_status vq_tfevents_scalar(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                                  double value, struct vq_err *err);
enum vq_status vq_tfevents_text(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                                const char *text, size_t len, struct vq_err *err);
/* A whole PNG file of w x h pixels. */
enum vq_status vq_tfevents_png(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                               const uint8_t *png, size_t size, uint32_t w, uint32_t h,
                               struct vq_err *err);
/* Ends in exactly one of these. */
enum vq_status vq_tfevents_commit(struct vq_tfevents *e, struct vq_err *err);
void vq_tfevents_abort(struct vq_tfevents *e);

#endif
