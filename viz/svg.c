#include "viz/svg.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "viz/ops.h"
#include "viz/paint.h"

void viz_svg_escape(struct vq_text *to, const char *s)
{
    size_t left = strlen(s);
    while (left > 0) {
        uint32_t cp;
        char utf8[4];
        int step = vq_utf8_next(s, left, &cp);
        size_t used = step > 0 ? (size_t)step : step < 0 ? (size_t)-step : left;
        if (step == 0 || cp == 0xfffe || cp == 0xffff)
            cp = VQ_UTF8_REPLACEMENT;
        if (cp == '<' || cp == '>' || cp == '&')
            vq_text_puts(to, cp == '<' ? "&lt;" : cp == '>' ? "&gt;" : "&amp;");
        else
            vq_text_put(to, utf8, vq_utf8_put(cp < ' ' || cp == 0x7f ? ' ' : cp, utf8));
        s += used;
        left -= used;
    }
}

static void put_notes(struct vq_text *to, const struct viz_note *notes, size_t n)
{
    if (n == 0)
        return;
    vq_text_puts(to, "<metadata>\n");
    for (size_t i = 0; i < n; i++) {
        viz_svg_escape(to, notes[i].key);
        vq_text_puts(to, ": ");
        viz_svg_escape(to, notes[i].value);
        vq_text_puts(to, "\n");
    }
    vq_text_puts(to, "</metadata>\n");
}

/* What the letters say, which outlines do not. */
static void put_desc(struct vq_text *to, const struct viz_canvas *c)
{
    vq_text_puts(to, "<desc>\n");
    for (size_t i = 0; i < c->n_ops; i++)
        if (c->ops[i].kind == VIZ_OP_TEXT) {
            viz_svg_escape(to, c->ops[i].data);
            vq_text_puts(to, "\n");
        }
    vq_text_puts(to, "</desc>\n");
}

/* The ids met so far; an id is replaced by its number. */
struct ids {
    struct {
        const char *p;
        size_t n;
    } * seen;
    size_t n, room;
    bool failed;
};

static size_t number_of(struct ids *ids, const char *p, size_t n)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->seen[i].n == n && memcmp(ids->seen[i].p, p, n) == 0)
            return i + 1;
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : 64;
        void *seen = vq_realloc(ids->seen, room, sizeof(*ids->seen));
        if (!seen) {
            ids->failed = true;
            return 0;
        }
        ids->seen = seen;
        ids->room = room;
    }
    ids->seen[ids->n].p = p;
    ids->seen[ids->n].n = n;
    return ++ids->n;
}

/* If an id or a reference to one stands at p: where the id itself begins; else NULL. */
static const char *id_at(const char *p)
{
    static const char *const before[] = {" id=\"", "href=\"#", "url(#"};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (strncmp(p, before[i], strlen(before[i])) == 0)
            return p + strlen(before[i]);
    return NULL;
}

/* Copies the body of the document with its ids renamed, and with images whose pixels stay sharp
 * when they are enlarged. The library counts ids over the life of the process. */
static void put_body(struct vq_text *to, const char *s, struct ids *ids)
{
    static const char image[] = "<image";
    const char *from = s;
    while (*s) {
        const char *id = *s == ' ' || *s == 'h' || *s == 'u' ? id_at(s) : NULL;
        if (id) {
            size_t n = strcspn(id, "\")");
            vq_text_put(to, from, (size_t)(id - from));
            vq_text_printf(to, "p%zu", number_of(ids, id, n));
            from = s = id + n;
        } else if (*s == '<' && strncmp(s, image, sizeof(image) - 1) == 0) {
            s += sizeof(image) - 1;
            vq_text_put(to, from, (size_t)(s - from));
            vq_text_puts(to, " image-rendering=\"optimizeSpeed\" "
                             "style=\"image-rendering:pixelated\"");
            from = s;
        } else {
            s++;
        }
    }
    vq_text_put(to, from, (size_t)(s - from));
}

enum vq_status viz_svg_encode(char **out, size_t *size, const struct viz_canvas *c,
                              const struct viz_note *notes, size_t n, struct vq_err *err)
{
    char *raw = NULL;
    struct vq_text text = {0};
    struct ids ids = {.n = 0};
    *out = NULL;
    *size = 0;
    enum vq_status status = viz_canvas_check(c, err);
    if (status == VQ_OK)
        status = viz_paint_svg(&raw, size, c, err);
    if (status != VQ_OK)
        return status;
    const char *start = strstr(raw, "<svg"), *body = start ? strchr(start, '>') : NULL;
    if (body) {
        body++;
        vq_text_puts(&text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        vq_text_put(&text, start, (size_t)(body - start));
        vq_text_puts(&text, "\n");
        put_notes(&text, notes, n);
        put_desc(&text, c);
        put_body(&text, *body == '\n' ? body + 1 : body, &ids);
    }
    if (!body || text.failed || ids.failed)
        status = vq_nomem(err, "picture as SVG", *size, 1);
    if (status != VQ_OK)
        vq_text_release(&text);
    *out = text.data;
    *size = text.len;
    free(ids.seen);
    free(raw);
    return status;
}

enum vq_status viz_svg_save(const char *path, const struct viz_canvas *c,
                            const struct viz_note *notes, size_t n, struct vq_err *err)
{
    struct vq_writer *file;
    char *svg = NULL;
    size_t size = 0;
    /* Opened first: a path that cannot be written is refused before the work of encoding. */
    enum vq_status status = vq_writer_open(&file, path, err);
    if (status == VQ_OK)
        status = viz_svg_encode(&svg, &size, c, notes, n, err);
    if (status == VQ_OK)
        status = vq_writer_put(file, svg, size, err);
    if (status == VQ_OK)
        status = vq_writer_commit(file, err);
    else
        vq_writer_abort(file);
    free(svg);
    return status;
}
