/*
 * attr: what can be asked of a run by name, in columns, sorting and filters.
 *
 *     id name command line status error model path sha256 seed threads version host cwd pid
 *     started ended seconds removed tag note sample        of the run itself
 *     result.KEY                                           one of its results
 *     metric.NAME   min.NAME   max.NAME                    last, smallest, largest value of a
 * metric config.KEY    settings.KEY                           of the model; of the command KEY a
 * result, else the last value of a metric
 *
 * An attribute turns into an SQL expression over `runs r`; whatever a person typed in it is bound,
 * not pasted.
 */
#ifndef VQ_CORE_STORE_ATTR_H
#define VQ_CORE_STORE_ATTR_H

#include "core/base/text.h"
#include "core/store/db.h"
#include "core/store/store.h"

/* SQL under construction, with the values of its ?1, ?2, ... Zeroed: empty. Failures (memory)
 * stick in sql.failed. */
struct vq_sql {
    struct vq_text sql;
    struct vq_value *bound; /* texts are copies */
    size_t n;
};

/* Binds a value and appends its "?N". */
void vq_sql_text(struct vq_sql *q, const char *text, size_t len);
void vq_sql_int(struct vq_sql *q, int64_t value);
void vq_sql_real(struct vq_sql *q, double value);
void vq_sql_release(struct vq_sql *q);
/* Prepares it with everything bound. VQ_ENOMEM when building it failed. */
enum vq_status vq_sql_prepare(const struct vq_sql *q, struct vq_db *db, struct vq_stmt **out,
                              struct vq_err *err);

/* What kind of thing an attribute is: which comparisons it knows. */
enum vq_attr_kind {
    VQ_ATTR_TEXT,
    VQ_ATTR_NUMBER,
    VQ_ATTR_TIME,   /* seconds since 1970 */
    VQ_ATTR_SEED,   /* 64 bits without a sign, as decimal text */
    VQ_ATTR_STATUS, /* one of vq_run_status_name() */
    VQ_ATTR_SET,    /* tags, notes, samples: rows of another table */
    VQ_ATTR_VALUE,  /* a result or metric: a number (perhaps NaN) or a text */
    VQ_ATTR_JSON    /* a member of a JSON object: number, text, true or false */
};

struct vq_attr_row;

struct vq_attr {
    enum vq_attr_kind kind;
    const struct vq_attr_row *row; /* of the table of families and names */
    const char *key;               /* what follows the family's name; borrowed from the text */
    size_t key_len;
};

/*
 * The attribute that `name` (len bytes, which must outlive it) means. A bare KEY must be known to
 * the store as a result or metric of some run. VQ_ENOTFOUND names the nearest one there is.
 */
enum vq_status vq_attr_find(struct vq_store *store, const char *name, size_t len,
                            struct vq_attr *out, struct vq_err *err);

/* Appends the expression for its value; for VQ_ATTR_SET that is what a column shows: tags joined by
 * ',', how many notes, how many samples. */
void vq_attr_value(const struct vq_attr *a, struct vq_sql *q);
/* The same as text that `~` looks into: of a model its name and path. */
void vq_attr_text(const struct vq_attr *a, struct vq_sql *q);
/* 'nan', 'real', ... or NULL: the kind beside the value of a VQ_ATTR_VALUE; else "NULL". */
void vq_attr_value_kind(const struct vq_attr *a, struct vq_sql *q);
/* For VQ_ATTR_SET: "SELECT 1 FROM table x WHERE x.run = r.id", and its column that texts are
 * compared with. */
const char *vq_attr_set_rows(const struct vq_attr *a);
const char *vq_attr_set_column(const struct vq_attr *a);

/* Names of attributes for completion: fixed ones, families with their '.', then the keys of results
 * and names of metrics that the store knows. */
typedef bool (*vq_attr_name)(void *ud, const char *name);
enum vq_status vq_store_attributes(struct vq_store *store, vq_attr_name each, void *ud,
                                   struct vq_err *err);

/* The values or keys that the runs have, each once, sorted. */
enum vq_known {
    VQ_KNOWN_METRICS,
    VQ_KNOWN_RESULTS,
    VQ_KNOWN_TAGS,
    VQ_KNOWN_COMMANDS,
    VQ_KNOWN_MODELS,
    VQ_KNOWN_CONFIG,  /* keys, of the newest runs */
    VQ_KNOWN_SETTINGS /* the same */
};
enum vq_status vq_store_known(struct vq_store *store, enum vq_known what, vq_attr_name each,
                              void *ud, struct vq_err *err);

#endif
