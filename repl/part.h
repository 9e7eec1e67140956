/*
 * part: lists that belong to a record. In json and jsonl they are arrays inside the record's
 * object; in the other formats the record ends first and each list is a table of its own, left out
 * when it is empty.
 *
 *     sh_record(sh);
 *     sh_str(sh, "id", id);
 *     struct sh_part p = sh_parts_begin(sh);
 *     sh_part_list(&p, "notes", "time note");
 *     for (...) {
 *         sh_part_row(&p);
 *         sh_part_str(&p, "time", time);
 *     }
 *     return sh_parts_end(&p);
 */
#ifndef VQ_REPL_PART_H
#define VQ_REPL_PART_H

#include "core/base/text.h"
#include "repl/out.h"

struct sh_part {
    struct sh *sh;
    bool json;
    const char *name;    /* of the list being made, or NULL */
    struct vq_text text; /* its JSON */
    size_t rows, keys;   /* rows in it, keys in the present row */
    enum sh_rc rc;
};

/* Call with a record open; ends it where lists are tables. */
struct sh_part sh_parts_begin(struct sh *sh);
/* Begins a list; `columns` as in sh_list(). The one before it ends. */
void sh_part_list(struct sh_part *p, const char *name, const char *columns);
void sh_part_row(struct sh_part *p);
void sh_part_int(struct sh_part *p, const char *key, int64_t v);
void sh_part_uint(struct sh_part *p, const char *key, uint64_t v);
void sh_part_f64(struct sh_part *p, const char *key, double v);
void sh_part_f32(struct sh_part *p, const char *key, float v);
void sh_part_str(struct sh_part *p, const char *key, const char *s); /* NULL: null */
void sh_part_bytes(struct sh_part *p, const char *key, const char *s, size_t n);
/* Ends the last list, and the record where it is still open. */
enum sh_rc sh_parts_end(struct sh_part *p);
/* Instead of it after a failure: frees what was gathered. */
void sh_parts_drop(struct sh_part *p);

#endif
