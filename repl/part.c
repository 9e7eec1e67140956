#include "repl/part.h"

#include <string.h>

struct sh_part sh_parts_begin(struct sh *sh)
{
    struct sh_part p = {.sh = sh,
                        .json = sh_out_format(sh) == SH_JSON || sh_out_format(sh) == SH_JSONL};
    if (!p.json)
        p.rc = sh_end(sh);
    return p;
}

static void end_list(struct sh_part *p)
{
    if (!p->name)
        return;
    if (p->json) {
        vq_text_puts(&p->text, p->rows ? "}]" : "]");
        if (!p->text.failed)
            sh_json(p->sh, p->name, p->text.data);
        vq_text_release(&p->text);
    } else if (p->rows && p->rc == SH_OK) {
        if (sh_out_format(p->sh) == SH_TABLE || sh_out_format(p->sh) == SH_BOX)
            sh_out_text(p->sh, "\n", 1); /* lists stand apart on a screen */
        p->rc = sh_end(p->sh);
    }
    p->name = NULL;
}

void sh_part_list(struct sh_part *p, const char *name, const char *columns)
{
    end_list(p);
    p->name = name;
    p->rows = p->keys = 0;
    if (p->json)
        vq_text_puts(&p->text, "[");
    else
        sh_list(p->sh, columns);
}

void sh_part_row(struct sh_part *p)
{
    if (p->json)
        vq_text_puts(&p->text, p->rows ? "},{" : "{");
    else
        sh_row(p->sh);
    p->rows++;
    p->keys = 0;
}

/* True when the value is to be appended to the JSON text, behind its key. */
static bool put_key(struct sh_part *p, const char *key)
{
    if (!p->json)
        return false;
    vq_text_printf(&p->text, "%s\"%s\":", p->keys++ ? "," : "", key);
    return true;
}

void sh_part_int(struct sh_part *p, const char *key, int64_t v)
{
    if (put_key(p, key))
        vq_text_printf(&p->text, "%lld", (long long)v);
    else
        sh_int(p->sh, key, v);
}

void sh_part_uint(struct sh_part *p, const char *key, uint64_t v)
{
    if (put_key(p, key))
        vq_text_printf(&p->text, "%llu", (unsigned long long)v);
    else
        sh_uint(p->sh, key, v);
}

void sh_part_f64(struct sh_part *p, const char *key, double v)
{
    if (put_key(p, key))
        vq_text_json_f64(&p->text, v);
    else
        sh_f64(p->sh, key, v);
}

void sh_part_f32(struct sh_part *p, const char *key, float v)
{
    if (put_key(p, key))
        vq_text_json_f32(&p->text, v);
    else
        sh_f32(p->sh, key, v);
}

void sh_part_bytes(struct sh_part *p, const char *key, const char *s, size_t n)
{
    if (!put_key(p, key))
        sh_bytes(p->sh, key, s ? s : "", n);
    else if (s)
        vq_text_json_string(&p->text, s, n);
    else
        vq_text_puts(&p->text, "null");
}

void sh_part_str(struct sh_part *p, const char *key, const char *s)
{
    if (p->json || s)
        sh_part_bytes(p, key, s, s ? strlen(s) : 0);
}

enum sh_rc sh_parts_end(struct sh_part *p)
{
    end_list(p);
    return p->json ? sh_end(p->sh) : p->rc;
}

void sh_parts_drop(struct sh_part *p)
{
    vq_text_release(&p->text);
    p->name = NULL;
}
