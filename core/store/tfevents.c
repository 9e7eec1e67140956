#include "core/store/tfevents.h"

#include <string.h>

/* Wire types, and a field's tag of number and type (protocol buffers, "Encoding"). */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { DT_STRING = 7, COLORSPACE_RGB = 3 };

/* ---- CRC-32C (Castagnoli), reflected polynomial ---- */

static void fill_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
        table[i] = c;
    }
}

static uint32_t masked_crc(const uint32_t table[256], const void *data, size_t n)
{
    const uint8_t *p = data;
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++)
        c = table[(c ^ p[i]) & 255] ^ c >> 8;
    c = ~c;
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

/* ---- the wire format ---- */

static void put_le(struct vq_text *to, uint64_t v, int bytes)
{
    char b[8];
    for (int i = 0; i < bytes; i++)
        b[i] = (char)(v >> (8 * i) & 255);
    vq_text_put(to, b, (size_t)bytes);
}

static void put_varint(struct vq_text *to, uint64_t v)
{
    char b[10];
    size_t n = 0;
    for (; v > 127; v >>= 7)
        b[n++] = (char)((v & 127) | 128);
    b[n++] = (char)v;
    vq_text_put(to, b, n);
}

static void put_number(struct vq_text *to, unsigned field, uint64_t v)
{
    put_varint(to, field << 3 | VARINT);
    put_varint(to, v);
}

static void put_bytes(struct vq_text *to, unsigned field, const void *s, size_t n)
{
    put_varint(to, field << 3 | BYTES);
    put_varint(to, n);
    vq_text_put(to, s, n);
}

static void put_double(struct vq_text *to, unsigned field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    put_varint(to, field << 3 | FIXED64);
    put_le(to, bits, 8);
}

static void put_float(struct vq_text *to, unsigned field, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    put_varint(to, field << 3 | FIXED32);
    put_le(to, bits, 4);
}

/* A message inside another, which is left empty for the next one. */
static void put_message(struct vq_text *to, unsigned field, struct vq_text *message)
{
    put_bytes(to, field, message->data ? message->data : "", message->len);
    to->failed = to->failed || message->failed;
    message->len = 0;
}

/* ---- events ---- */

static void begin_event(struct vq_tfevents *e, double time, int64_t step)
{
    e->event.len = e->part.len = e->inner.len = 0;
    put_double(&e->event, 1, time);
    if (step != 0)
        put_number(&e->event, 2, (uint64_t)step);
}

static enum vq_status write_event(struct vq_tfevents *e, struct vq_err *err)
{
    struct vq_text *head = &e->part, *event = &e->event;
    head->len = 0;
    put_le(head, event->len, 8);
    if (head->failed || event->failed)
        return vq_fail(err, VQ_ENOMEM, "out of memory for an event");
    put_le(head, masked_crc(e->table, head->data, 8), 4);
    enum vq_status status = vq_writer_put(e->file, head->data, head->len, err);
    if (status == VQ_OK)
        status = vq_writer_put(e->file, event->data, event->len, err);
    head->len = 0;
    put_le(head, masked_crc(e->table, event->data, event->len), 4);
    return status == VQ_OK ? vq_writer_put(e->file, head->data, head->len, err) : status;
}

/* The event's summary with the one value in e->part. */
static enum vq_status write_value(struct vq_tfevents *e, struct vq_err *err)
{
    put_message(&e->inner, 1, &e->part);
    put_message(&e->event, 5, &e->inner);
    return write_event(e, err);
}

enum vq_status vq_tfevents_open(struct vq_tfevents *e, const char *path, double time,
                                struct vq_err *err)
{
    static const char version[] = "brain.Event:2";
    *e = (struct vq_tfevents){.file = NULL};
    fill_table(e->table);
    enum vq_status status = vq_writer_open(&e->file, path, err);
    if (status != VQ_OK)
        return status;
    begin_event(e, time, 0);
    put_bytes(&e->event, 3, version, strlen(version));
    status = write_event(e, err);
    if (status != VQ_OK)
        vq_tfevents_abort(e);
    return status;
}

enum vq_status vq_tfevents_scalar(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                                  double value, struct vq_err *err)
{
    begin_event(e, time, step);
    put_bytes(&e->part, 1, tag, strlen(tag));
    put_float(&e->part, 2, (float)value);
    return write_value(e, err);
}

enum vq_status vq_tfevents_text(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                                const char *text, size_t len, struct vq_err *err)
{
    static const char plugin[] = "text";
    begin_event(e, time, step);
    put_bytes(&e->part, 1, tag, strlen(tag));
    put_number(&e->inner, 1, DT_STRING);
    /* The shape [1]: a dim whose size is 1, three bytes that never change. */
    put_bytes(&e->inner, 2, "\x12\x02\x08\x01", 4);
    put_bytes(&e->inner, 8, text, len);
    put_message(&e->part, 8, &e->inner);
    char name[8] = {(char)(1 << 3 | BYTES), (char)strlen(plugin)};
    memcpy(name + 2, plugin, strlen(plugin));
    put_bytes(&e->inner, 1, name, 2 + strlen(plugin));
    put_message(&e->part, 9, &e->inner);
    return write_value(e, err);
}

enum vq_status vq_tfevents_png(struct vq_tfevents *e, double time, int64_t step, const char *tag,
                               const uint8_t *png, size_t size, uint32_t w, uint32_t h,
                               struct vq_err *err)
{
    begin_event(e, time, step);
    put_bytes(&e->part, 1, tag, strlen(tag));
    put_number(&e->inner, 1, h);
    put_number(&e->inner, 2, w);
    put_number(&e->inner, 3, COLORSPACE_RGB);
    put_bytes(&e->inner, 4, png, size);
    put_message(&e->part, 4, &e->inner);
    return write_value(e, err);
}

static void release(struct vq_tfevents *e)
{
    vq_text_release(&e->event);
    vq_text_release(&e->part);
    vq_text_release(&e->inner);
    e->file = NULL;
}

enum vq_status vq_tfevents_commit(struct vq_tfevents *e, struct vq_err *err)
{
    enum vq_status status = vq_writer_commit(e->file, err);
    release(e);
    return status;
}

void vq_tfevents_abort(struct vq_tfevents *e)
{
    vq_writer_abort(e->file);
    release(e);
}
