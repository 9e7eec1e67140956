#include "core/vocab/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/vocab/kind.h"

/* A spec that is none of the names is a path, which the last row takes. */
static const struct vq_vocab_kind *const kinds[] = {
    &vq_vocab_bytes_kind, &vq_vocab_image64_kind, &vq_vocab_rgb64_kind,
    &vq_vocab_ids_kind,   &vq_vocab_pieces_kind,
};

static const char *const special_names[VQ_N_SPECIAL] = {"<pad>", "<eos>", "<unk>"};

static const struct vq_vocab_kind *find_kind(const char *spec)
{
    size_t last = sizeof(kinds) / sizeof(kinds[0]) - 1;
    for (size_t i = 0; i < last; i++)
        if (strcmp(kinds[i]->name, spec) == 0)
            return kinds[i];
    return kinds[last];
}

enum vq_status vq_vocab_reserve(struct vq_vocab *v, struct vq_err *err)
{
    size_t n = (size_t)v->size;
    v->start = vq_calloc(n + 1, sizeof(*v->start));
    return v->start ? VQ_OK : vq_nomem(err, v->spec, n, sizeof(*v->start));
}

void vq_vocab_add(struct vq_vocab *v, int id, const char *bytes, size_t n)
{
    vq_text_put(&v->text, bytes, n);
    v->start[id + 1] = v->text.len;
}

static enum vq_status open_kind(struct vq_vocab *v, int n_vocab, struct vq_err *err)
{
    enum vq_status status = v->kind->open(v, n_vocab, err);
    if (status != VQ_OK)
        return status;
    if (v->text.failed)
        return vq_nomem(err, v->spec, v->text.len, 1);
    if (n_vocab > 0 && v->size != n_vocab)
        return vq_fail(err, VQ_EINVAL, "vocabulary %s has %d ids, but the model has %d (n_vocab)",
                       v->spec, v->size, n_vocab);
    return VQ_OK;
}

enum vq_status vq_vocab_open(struct vq_vocab **out, const char *spec, int n_vocab,
                             struct vq_err *err)
{
    *out = NULL;
    struct vq_vocab *v = vq_calloc(1, sizeof(*v));
    if (!v)
        return vq_nomem(err, spec, 1, sizeof(*v));
    v->kind = find_kind(spec);
    v->spec = vq_strdup(spec);
    enum vq_status status =
        v->spec ? open_kind(v, n_vocab, err) : vq_nomem(err, spec, strlen(spec), 1);
    if (status != VQ_OK) {
        vq_vocab_free(v);
        return status;
    }
    *out = v;
    return VQ_OK;
}

void vq_vocab_free(struct vq_vocab *v)
{
    if (!v)
        return;
    if (v->kind->close)
        v->kind->close(v);
    vq_text_release(&v->text);
    free(v->start);
    free(v->labels);
    free(v->spec);
    free(v);
}

bool vq_vocab_is_file(const char *spec)
{
    return find_kind(spec) == &vq_vocab_pieces_kind;
}

const char *vq_vocab_spec(const struct vq_vocab *v)
{
    return v->spec;
}

const char *vq_vocab_kind(const struct vq_vocab *v)
{
    return v->kind->name;
}

int vq_vocab_size(const struct vq_vocab *v)
{
    return v->size;
}

bool vq_vocab_is_text(const struct vq_vocab *v)
{
    return v->kind->is_text;
}

bool vq_vocab_is_image(const struct vq_vocab *v)
{
    return v->kind->is_image;
}

enum vq_status vq_vocab_encode(const struct vq_vocab *v, const char *text, size_t size,
                               int32_t **ids, size_t *n, struct vq_err *err)
{
    *ids = NULL;
    *n = 0;
    return v->kind->encode(v, text, size, ids, n, err);
}

/* The bytes of one id, *n of them; none when it is out of range. */
static const char *bytes_of(const struct vq_vocab *v, int32_t id, size_t *n)
{
    *n = 0;
    if (!v->start || id < 0 || id >= v->size)
        return "";
    *n = v->start[id + 1] - v->start[id];
    return *n ? v->text.data + v->start[id] : "";
}

enum vq_status vq_vocab_decode(const struct vq_vocab *v, const int32_t *ids, size_t n, char **text,
                               size_t *size, struct vq_err *err)
{
    *text = NULL;
    *size = 0;
    if (!v->start)
        return vq_fail(err, VQ_EUNSUPPORTED, "the vocabulary \"%s\" has no text", v->kind->name);
    struct vq_text out = {0};
    vq_text_put(&out, "", 0);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= v->size) {
            vq_text_release(&out);
            return vq_fail(err, VQ_EINVAL, "id %d at index %zu; the vocabulary has ids 0 to %d",
                           (int)ids[i], i, v->size - 1);
        }
        size_t len;
        const char *bytes = bytes_of(v, ids[i], &len);
        size_t drop = v->drops_first_space && out.len == 0 && len && bytes[0] == ' ';
        vq_text_put(&out, bytes + drop, len - drop);
    }
    if (out.failed) {
        vq_text_release(&out);
        return vq_nomem(err, "text", n, 1);
    }
    *text = out.data;
    *size = out.len;
    return VQ_OK;
}

size_t vq_vocab_bytes(const struct vq_vocab *v, int32_t id, char *buf, size_t len)
{
    size_t n;
    const char *bytes = bytes_of(v, id, &n);
    if (n > len)
        n = len;
    memcpy(buf, bytes, n);
    return n;
}

/* A line being shown: what does not fit whole is left out, and nothing follows it. */
struct line {
    char *buf;
    size_t len, used;
};

static void show(struct line *l, const char *s, size_t n)
{
    if (l->used + n >= l->len) {
        l->len = l->used + 1;
        return;
    }
    memcpy(l->buf + l->used, s, n);
    l->used += n;
}

static void show_escape(struct line *l, const char *prefix, int digits, uint32_t value)
{
    char s[16];
    int n = snprintf(s, sizeof(s), "\\%s%0*x", prefix, digits, (unsigned)value);
    show(l, s, (size_t)n);
}

/* A combining mark on the dotted circle that Unicode has for this. */
static void show_marked(struct line *l, const char *s, size_t n)
{
    char both[7] = "\xe2\x97\x8c";
    memcpy(both + 3, s, n);
    show(l, both, 3 + n);
}

/* One code point that the bytes `s` spell. `bare` means that there is no base before it that a
 * combining mark could sit on. */
static void show_code_point(struct line *l, const char *s, size_t n, uint32_t cp, bool bare)
{
    static const char letter[128] = {['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    bool invisible = cp == 0xad || (cp >= 0x200b && cp < 0x2010) || (cp >= 0x2028 && cp < 0x202f) ||
                     (cp >= 0x2060 && cp < 0x2070) || cp == 0xfeff ||
                     (cp >= 0xfff9 && cp < 0xfffc) || (cp >= 0xe0000 && cp < 0xe1000);
    if (cp < 128 && letter[cp])
        show(l, (char[]){'\\', letter[cp]}, 2);
    else if (cp < 0x20 || cp == 0x7f)
        show_escape(l, "x", 2, cp);
    else if ((cp >= 0x80 && cp < 0xa0) || invisible)
        show_escape(l, cp > 0xffff ? "U" : "u", cp > 0xffff ? 8 : 4, cp);
    else if (bare && vq_utf8_cp_width(cp) == 0)
        show_marked(l, s, n);
    else
        show(l, s, n);
}

static void show_bytes(struct line *l, const char *s, size_t n, const char *space)
{
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0;
        int len = vq_utf8_next(s + at, n - at, &cp);
        if (len <= 0) {
            show_escape(l, "x", 2, (uint8_t)s[at]);
            at++;
            continue;
        }
        if (cp == ' ')
            show(l, space, strlen(space));
        else
            show_code_point(l, s + at, (size_t)len, cp, at == 0);
        at += (size_t)len;
    }
}

const char *vq_vocab_label(const struct vq_vocab *v, int32_t id)
{
    if (v->labels)
        return v->labels[id];
    return id < VQ_N_SPECIAL ? special_names[id] : NULL;
}

/* An id without text: the value that it is of a picture, or the id itself. */
static void show_number(struct line *l, const struct vq_vocab *v, int32_t id, bool known)
{
    char s[24];
    if (!known)
        snprintf(s, sizeof(s), "<id %d>", (int)id);
    else if (!v->kind->is_image)
        snprintf(s, sizeof(s), "%d", (int)id);
    else if (!v->kind->letters)
        snprintf(s, sizeof(s), "%d", (int)id - VQ_N_SPECIAL);
    else
        snprintf(s, sizeof(s), "%c%d", v->kind->letters[(id - VQ_N_SPECIAL) / VQ_N_BYTE],
                 (id - VQ_N_SPECIAL) % VQ_N_BYTE);
    show(l, s, strlen(s));
}

const char *vq_vocab_piece(const struct vq_vocab *v, int32_t id, char *buf, size_t len)
{
    if (len == 0)
        return buf;
    struct line l = {.buf = buf, .len = len};
    bool known = id >= 0 && id < v->size;
    const char *label = known ? vq_vocab_label(v, id) : NULL;
    if (label) {
        show_bytes(&l, label, strlen(label), " ");
    } else if (known && v->kind->is_text) {
        size_t n;
        const char *bytes = bytes_of(v, id, &n);
        show_bytes(&l, bytes, n, v->kind->space);
    } else {
        show_number(&l, v, id, known);
    }
    buf[l.used] = '\0';
    return buf;
}
