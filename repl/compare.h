/*
 * compare: all that is recorded about several runs as one table, a row for each attribute and a
 * value for each run. `diff` shows it; `replay` looks in it for what came out differently.
 */
#ifndef VQ_REPL_COMPARE_H
#define VQ_REPL_COMPARE_H

#include "core/store/store.h"
#include "repl/sh.h"

#define SH_MAX_COMPARED 26

/* What an attribute belongs to. */
enum sh_compared { SH_OF_RUN, SH_OF_SETTINGS, SH_OF_CONFIG, SH_OF_RESULTS, SH_OF_METRICS };

struct sh_compare_row {
    enum sh_compared of;
    char *name;                         /* as in filters: bits_per_byte, config.d_model */
    bool detail;                        /* of a metric whose last value has the row before */
    struct vq_value v[SH_MAX_COMPARED]; /* texts are owned; NULL where a run has none */
};

struct sh_compare {
    size_t n; /* runs */
    struct sh_compare_row *rows;
    size_t n_rows, room;
    bool failed; /* out of memory */
    size_t run;  /* being added */
};

/* Adds one more run as the next column. On failure the table is of no use but to be released. */
enum vq_status sh_compare_add(struct sh_compare *c, struct vq_store *store, const char *id,
                              struct vq_err *err);
void sh_compare_release(struct sh_compare *c);

/* Equal: the same number whatever its kind, NaN and NaN, the same bytes. */
bool sh_same_value(const struct vq_value *a, const struct vq_value *b);
/* All the runs have the same. */
bool sh_compare_same(const struct sh_compare *c, const struct sh_compare_row *row);
/* Row i is worth showing: the runs differ in it, and it is not just one more number of a metric
 * whose last values differ already. */
bool sh_compare_is_news(const struct sh_compare *c, size_t i);
/* A number; false for anything else. */
bool sh_as_number(const struct vq_value *v, double *out);

#endif
