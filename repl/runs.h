/*
 * runs: what the commands on recorded runs have in common: values and times as results show them,
 * filters put together from words and options, and their errors with a caret.
 */
#ifndef VQ_REPL_RUNS_H
#define VQ_REPL_RUNS_H

#include "core/base/text.h"
#include "core/store/store.h"
#include "repl/opt.h"
#include "repl/out.h"
#include "repl/part.h"

/* The format in effect is for people: table or box. Or for programs: json or jsonl. */
bool sh_for_people(const struct sh *sh);
bool sh_for_programs(const struct sh *sh);

/* UTC, as "2026-01-31 12:00:00"; "" for a time that is not known. Returns buf. */
const char *sh_utc(double seconds, char *buf, size_t len);
/* Now, in seconds since 1970. */
double sh_wall(void);
/* "10,000". Returns buf. */
const char *sh_thousands(size_t n, char buf[32]);

/* A value of the database as one of the result being built, and as JSON. */
void sh_put_value(struct sh *sh, const char *key, const struct vq_value *v);
void sh_part_value(struct sh_part *p, const char *key, const struct vq_value *v);
void sh_json_value(struct vq_text *out, const struct vq_value *v);

/* ---- filters ---- */

/* The rows of an option table that narrow a filter. */
#define SH_FILTER_OPTS                                                                             \
    {.name = "command", .kind = SH_TEXT, .value = "KIND", .help = "runs of one command"},          \
        {.name = "status",                                                                         \
         .kind = SH_CHOICE,                                                                        \
         .choices = "running finished failed interrupted crashed",                                 \
         .help = "runs that ended so"},                                                            \
        {.name = "model",                                                                          \
         .kind = SH_TEXT,                                                                          \
         .value = "PART",                                                                          \
         .help = "part of the model's name or path"},                                              \
    {                                                                                              \
        .name = "tag", .kind = SH_TEXT, .value = "TAG", .help = "runs with this tag"               \
    }

/* A filter expression (core/store/filter.h) and where in the command it came from. */
struct sh_filter {
    struct vq_text text;
    int first;    /* positional it begins with */
    size_t shift; /* bytes of ours before what was typed */
};

/* From the positionals from `first` on, as they were typed, and the options above where the
 * command has them. out->text.data is NULL when none were given. Release after SH_OK. */
enum sh_rc sh_filter_take(struct sh *sh, const struct sh_args *a, int first, bool options,
                          struct sh_filter *out);
void sh_filter_release(struct sh_filter *f);
/* Says what vq_store_list() said, with a caret where that is known: under a word of the filter, or
 * for columns and sort keys under option `columns` or `sort` (either may be NULL). */
enum sh_rc sh_filter_fail(struct sh *sh, const struct sh_args *a, const struct sh_filter *f,
                          const struct vq_listing_place *place, const struct vq_err *err);

/* ---- runs ---- */

/* The id that positional i means. Reports its own error, with a caret. */
enum sh_rc sh_run_find(struct sh *sh, const struct sh_args *a, int i, char id[VQ_RUN_ID_SIZE]);

/* Comma-separated names as an array; v and v[0] are the caller's to free. *n may be 0. */
enum sh_rc sh_split_names(struct sh *sh, const char *text, char ***v, size_t *n);

#endif
