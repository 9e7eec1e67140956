/*
 * rows: tables as files, CSV, JSON, JSON lines, Markdown; and the first three back again.
 *
 * Nothing is lost between writing and reading: integers of 64 bits, NaN and the infinities (the
 * words "NaN", "Infinity", "-Infinity"), text of any bytes with newlines and NUL. In CSV a text is
 * its own bytes, null is an empty field, and empty text is ""; in JSON bytes that are no UTF-8 are
 * {"base64":"..."}. Markdown is for people only.
 */
#ifndef VQ_CORE_STORE_ROWS_H
#define VQ_CORE_STORE_ROWS_H

#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/store/dump.h"

/* ---- writing ---- */

struct vq_rowout {
    enum vq_dump_format format;
    struct vq_writer *file;
    const char *const *names;
    size_t n, next; /* columns, and which one comes next */
    struct vq_text row;
    size_t rows;
};

/* The file takes its name at the end. names is borrowed. */
enum vq_status vq_rowout_open(struct vq_rowout *o, const char *path, enum vq_dump_format format,
                              const char *const *names, size_t n, struct vq_err *err);
/* The cells of a row, in order. */
void vq_rowout_null(struct vq_rowout *o);
void vq_rowout_digits(struct vq_rowout *o, const char *digits); /* a whole number as text */
void vq_rowout_real(struct vq_rowout *o, double v);
void vq_rowout_text(struct vq_rowout *o, const char *s, size_t n); /* any bytes */
void vq_rowout_json(struct vq_rowout *o, const char *s, size_t n); /* JSON already */
/* After the last cell. */
enum vq_status vq_rowout_end_row(struct vq_rowout *o, struct vq_err *err);
/* Ends in exactly one of these. */
enum vq_status vq_rowout_commit(struct vq_rowout *o, struct vq_err *err);
void vq_rowout_abort(struct vq_rowout *o);

/* ---- reading ---- */

enum vq_cell_kind {
    VQ_CELL_NULL,
    VQ_CELL_TEXT, /* a text, decoded: of CSV every cell that is not null */
    VQ_CELL_JSON  /* a number, object, list or word of a JSON file, as written */
};

struct vq_cell {
    enum vq_cell_kind kind;
    const char *data; /* until the next row */
    size_t len;
};

/* A file being read; reaches the caller through vq_rowin_open(). */
struct vq_rowin;

/* Maps the file and finds its format by its first byte: '[' or '{' is JSON (a list, or objects one
 * after the other), anything else CSV, whose first row names the columns. Errors name file and
 * line. */
enum vq_status vq_rowin_open(struct vq_rowin **out, const char *path, struct vq_err *err);
void vq_rowin_free(struct vq_rowin *r); /* r may be NULL */

/* The next row; *more is false at the end. */
enum vq_status vq_rowin_next(struct vq_rowin *r, bool *more, struct vq_err *err);
/* The cell of a column in the present row; a column that is not there is null. */
struct vq_cell vq_rowin_cell(const struct vq_rowin *r, const char *name);
/* Whether the present row has such a column. */
bool vq_rowin_has(const struct vq_rowin *r, const char *name);
/* Fails with "FILE:LINE: column NAME: ..." about the present row. */
enum vq_status vq_rowin_fail(const struct vq_rowin *r, const char *name, struct vq_err *err,
                             const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
