/*
 * columns: the tables that exports write and imports read, column by column. One list for both, so
 * that what goes out comes back in.
 */
#ifndef VQ_CORE_STORE_COLUMNS_H
#define VQ_CORE_STORE_COLUMNS_H

#include "core/store/dump.h"

enum vq_dump_type {
    VQ_DUMP_TEXT,     /* any bytes */
    VQ_DUMP_INT,      /* 64 bits */
    VQ_DUMP_SEED,     /* 64 bits without a sign, kept as text */
    VQ_DUMP_TIME,     /* a finite real or null */
    VQ_DUMP_REAL,     /* a real; the SQL column after it in the table is its kind */
    VQ_DUMP_BLOB,     /* any bytes, kept as a blob */
    VQ_DUMP_ANY_JSON, /* a JSON object kept as text */
    VQ_DUMP_TAGS,
    VQ_DUMP_NOTES,
    VQ_DUMP_RESULTS /* rows of other tables, as JSON */
};

struct vq_dump_column {
    const char *name; /* in files */
    enum vq_dump_type type;
    const char *sql; /* in the table */
    bool required;   /* an import without it fails */
};

struct vq_dump_table {
    const char *name; /* "runs" */
    const struct vq_dump_column *columns;
    size_t n;
    const char *from; /* SQL: the rows of run ?1, in order; columns by their sql */
    const char *mark; /* the column by which a file is known to be this table */
};

/* By enum vq_dump_kind. */
extern const struct vq_dump_table vq_dump_tables[3];

#endif
