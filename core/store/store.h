/*
 * store: the run database, the lab notebook of the program. Each sampling, scoring, training,
 * evaluation or measurement is a run: what was asked, on which model, with which seed, how it
 * ended, what it gave.
 *
 *     struct vq_store *store;
 *     vq_store_open(&store, path, NULL, err);
 *     struct vq_run_spec spec = {.command = "train", .command_line = line, .model_name = "tiny"};
 *     struct vq_run *run;
 *     vq_run_begin(store, &spec, &run, err);
 *     vq_run_metric(run, "loss", step, loss, err);                  // buffered
 *     vq_run_result_real(run, "bits_per_byte", 1.23, err);          // written at once
 *     vq_run_finish(run, VQ_RUN_FINISHED, NULL, err);
 *     vq_run_free(run);
 *     vq_store_close(store);
 *
 * One SQLite file in write-ahead mode, shared by any number of processes: writers wait for each
 * other, readers for nobody. Where the file system is a network one, a rollback journal instead.
 * Numbers come back as they went in: 64-bit integers, 64-bit seeds without a sign, NaN and the
 * infinities. Every string is bound, never pasted into SQL.
 *
 * A store and its runs belong to one thread at a time and to one process: after a fork the child
 * may neither use nor (in effect) close them, so start other programs with posix_spawn.
 *
 * Common failures, not repeated below: VQ_EBUSY when another process holds the file for longer
 * than the waiting time; VQ_EIO when the disk is full or refuses; VQ_EUNSUPPORTED when the store is
 * read-only; VQ_ENOMEM. A call that fails has changed nothing in the file, and what was written
 * before it stays.
 *
 * Callbacks get borrowed pointers that end with the call, may call reading functions, and return
 * false to stop the iteration (which then is VQ_OK). They should not linger: while one runs, a
 * network file cannot be written to.
 */
#ifndef VQ_CORE_STORE_STORE_H
#define VQ_CORE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/store/value.h"

struct vq_store;
struct vq_run;

/* ---- the store ---- */

/* NULL or all zero: the defaults. */
struct vq_store_options {
    bool readonly;    /* never write, nor create the file */
    bool network;     /* take the file system for a network one whatever it says */
    unsigned busy_ms; /* how long to wait for other processes; 0: 10,000 */
};

/*
 * Opens the run database at `path`, creating it (mode 0600) and its missing folders (0700), and
 * bringing an older format up to date. Runs of processes of this machine that died become
 * `crashed`. Without the right to write, the store opens read-only and says so in vq_store_note().
 *
 * Refused, with the file left as it was: what is no SQLite database, or another program's
 * (VQ_EFORMAT), and a format newer than this program (VQ_EUNSUPPORTED).
 * The caller closes it with vq_store_close().
 */
enum vq_status vq_store_open(struct vq_store **out, const char *path,
                             const struct vq_store_options *options, struct vq_err *err);

/* store may be NULL. Its runs are freed before. */
void vq_store_close(struct vq_store *store);

/* What the user should know about how it was opened, one sentence a line; "" if nothing. */
const char *vq_store_note(const struct vq_store *store);
bool vq_store_readonly(const struct vq_store *store);
const char *vq_store_path(const struct vq_store *store); /* absolute */
/* How many runs were found dead at open and marked as crashed. */
size_t vq_store_recovered(const struct vq_store *store);

/* ---- writing a run ---- */

enum vq_run_status {
    VQ_RUN_RUNNING = 0,
    VQ_RUN_FINISHED,    /* ended as it should; only an explicit end gives this */
    VQ_RUN_FAILED,      /* ended with an error */
    VQ_RUN_INTERRUPTED, /* the user or a signal stopped it */
    VQ_RUN_CRASHED      /* its process ended without a word; found at a later open */
};
#define VQ_RUN_STATUSES 5

/* "running", "finished", ... Never NULL. */
const char *vq_run_status_name(enum vq_run_status status);
/* The reverse; false if no status has that name. */
bool vq_run_status_parse(const char *name, enum vq_run_status *out);

/* Ids are 10 characters of [0-9a-z] (base 32 without i, l, o, u): 8 of time in ms, 2 of chance.
 * They sort as text in the order of starting, until the year 2059. */
#define VQ_RUN_ID_SIZE 11

/* Strings may be NULL where a run has no such thing. */
struct vq_run_spec {
    const char *command;      /* required: "sample", "score", "train", "eval", "bench" */
    const char *command_line; /* as typed */
    const char *name;         /* a label, any bytes but NUL; several runs may share one */
    size_t name_len;          /* its length; 0: up to its NUL */
    const char *model_name, *model_path, *model_sha256;
    const char *config;   /* the model's configuration, JSON */
    const char *settings; /* the settings in force, JSON */
    bool has_seed;
    uint64_t seed;
    int threads;
    const char *version; /* of the program */
};

/* Records a run as running, by this process, now. The caller ends it with vq_run_finish() and
 * frees it with vq_run_free(). VQ_EINVAL without a command or with a NUL inside the name. */
enum vq_status vq_run_begin(struct vq_store *store, const struct vq_run_spec *spec,
                            struct vq_run **out, struct vq_err *err);

const char *vq_run_id(const struct vq_run *run);

/* Records the hash of the model's file for a run that began before it was known. */
enum vq_status vq_run_model_sha256(struct vq_run *run, const char *sha256, struct vq_err *err);

/* One result under a key; a key that is set again has its last value. Written at once. Text may
 * hold any bytes. */
enum vq_status vq_run_result_int(struct vq_run *run, const char *key, int64_t value,
                                 struct vq_err *err);
enum vq_status vq_run_result_real(struct vq_run *run, const char *key, double value,
                                  struct vq_err *err);
enum vq_status vq_run_result_text(struct vq_run *run, const char *key, const char *text, size_t len,
                                  struct vq_err *err);

/*
 * One point of a metric, stamped with the time of the call. Points gather in memory and are
 * written together, at the latest with the first call a second after the last writing, and at the
 * end. A writing that fails keeps them for the next: the failure is returned, the point is not
 * lost. Only when a million wait is a new one refused. Another process holding the file is no
 * failure here.
 */
enum vq_status vq_run_metric(struct vq_run *run, const char *name, int64_t step, double value,
                             struct vq_err *err);

/* Writes the gathered points now. */
enum vq_status vq_run_flush(struct vq_run *run, struct vq_err *err);

/* One sample: text (any bytes; NULL for none), or a file it went to, or both. */
struct vq_sample {
    int64_t index;
    uint64_t seed;
    const char *text;
    size_t len; /* bytes of text */
    const char *path;
    int64_t tokens;
    double nats; /* NaN if not known */
};

enum vq_status vq_run_sample(struct vq_run *run, const struct vq_sample *sample,
                             struct vq_err *err);

/*
 * Ends the run as finished, failed or interrupted, with `error` (may be NULL) as the reason, and
 * writes what was gathered; both or neither. After a failure the run is still running and the call
 * may be repeated. VQ_ENOTFOUND if the run was removed meanwhile.
 */
enum vq_status vq_run_finish(struct vq_run *run, enum vq_run_status status, const char *error,
                             struct vq_err *err);

/* run may be NULL. A run that was not ended is marked as failed ("abandoned ..."); if not even
 * that can be written, it is found as crashed after this process has ended. */
void vq_run_free(struct vq_run *run);

/* ---- reading ---- */

/* A run as recorded. Strings are never NULL: "" where the run has none. */
struct vq_run_info {
    const char *id, *name, *command, *command_line, *error;
    const char *model_name, *model_path, *model_sha256;
    const char *version, *host, *cwd;
    const char *tags;              /* sorted, joined with ',' */
    const char *config, *settings; /* JSON; in listings "" (they are large) */
    enum vq_run_status status;
    double started_at, ended_at; /* seconds since 1970 UTC; ended_at is NaN while not known */
    bool has_seed;
    uint64_t seed;
    int64_t threads, pid, notes; /* notes: how many it has */
};

/* All conditions must hold; zero or NULL means any. */
struct vq_run_filter {
    const char *command; /* exactly this kind */
    unsigned statuses;   /* bits 1u << enum vq_run_status */
    const char *model;   /* part of the model's name or path */
    const char *tag;     /* exactly this tag */
    const char *text;    /* part of id, name, command line, model, error, a tag or a note */
    size_t limit;        /* rows at most; 0: all of them */
};

typedef bool (*vq_run_row)(void *ud, const struct vq_run_info *run);

/* The runs that pass `filter` (NULL: all), newest first. *total (may be NULL) is how many pass
 * without the limit, set before the first row. Parts compare without regard to ASCII case, and no
 * character in them is special. */
enum vq_status vq_store_runs(struct vq_store *store, const struct vq_run_filter *filter,
                             vq_run_row row, void *ud, size_t *total, struct vq_err *err);

/*
 * A listing by attributes (attr.h) instead of a fixed set of fields. Columns and sort keys are
 * names of attributes; a sort key that begins with '-' sorts downwards. Runs without the attribute
 * come last either way; runs that are equal in all keys, and all runs without keys, come newest
 * first.
 */
struct vq_listing {
    const char *filter; /* an expression (filter.h); NULL or blank: all */
    const char *const *columns;
    size_t n_columns;
    const char *const *sort;
    size_t n_sort;
    size_t limit; /* rows at most; 0: all of them */
    bool removed; /* those that were removed, instead of those that are there */
    double now;   /* what times in the filter are relative to; 0: the present */
};

/* Where in a listing an error lies. */
enum vq_listing_part { VQ_LISTING_NONE, VQ_LISTING_FILTER, VQ_LISTING_COLUMN, VQ_LISTING_SORT };
struct vq_listing_place {
    enum vq_listing_part part;
    size_t index; /* of the column or key */
    size_t at;    /* byte of its text */
};

/* One run: its id and one value for each column. A number that is not finite is a REAL, a member of
 * a JSON object that is true or false an INT, what a run does not have is NULL. */
typedef bool (*vq_listing_row)(void *ud, const char *id, const struct vq_value *values);

/* *total (may be NULL) becomes how many runs there are without the limit. VQ_EINVAL and
 * VQ_ENOTFOUND say in *place (may be NULL) what is wrong where. `cancel` is polled as in
 * vq_store_query(). */
enum vq_status vq_store_list(struct vq_store *store, const struct vq_listing *listing,
                             vq_listing_row row, void *ud, size_t *total,
                             struct vq_listing_place *place, const struct vq_cancel *cancel,
                             struct vq_err *err);

/* How a column of that name is to be shown: times are seconds since 1970, seeds decimal text. */
enum vq_column_kind { VQ_COLUMN_PLAIN, VQ_COLUMN_TIME, VQ_COLUMN_SEED };
enum vq_column_kind vq_store_column_kind(struct vq_store *store, const char *column);

/*
 * The id that `selector` means: "-1" the newest run, "-2" the one before, ...; else a full id, else
 * the name of one run, else the beginning of one id. VQ_ENOTFOUND if there is none; VQ_EINVAL,
 * naming candidates, if there are several.
 */
enum vq_status vq_store_find(struct vq_store *store, const char *selector, char id[VQ_RUN_ID_SIZE],
                             struct vq_err *err);

/* The same among the runs that were removed; without -1, -2, ... */
enum vq_status vq_store_find_removed(struct vq_store *store, const char *selector,
                                     char id[VQ_RUN_ID_SIZE], struct vq_err *err);

/* The run `selector` means, with all its fields, in one block that the caller frees with free(). */
enum vq_status vq_store_run(struct vq_store *store, const char *selector, struct vq_run_info **out,
                            struct vq_err *err);

/* Below, `id` is a full id, as vq_store_find() gives it. A run without such rows gives none. */

/* Results in the order in which their keys were first set; INT, REAL or TEXT. */
typedef bool (*vq_result_row)(void *ud, const char *key, const struct vq_value *value);
enum vq_status vq_store_results(struct vq_store *store, const char *id, vq_result_row row, void *ud,
                                struct vq_err *err);

struct vq_metric_info {
    const char *name;
    int64_t points;
    int64_t first_step, last_step; /* lowest and highest */
    double last;                   /* the value logged last; may be NaN or infinite */
    int64_t last_seq;              /* and its number, in the order in which the run logged */
    double min, max;               /* of the finite points; NaN if none is */
};

/* Metrics by name. */
typedef bool (*vq_metric_row)(void *ud, const struct vq_metric_info *metric);
enum vq_status vq_store_metrics(struct vq_store *store, const char *id, vq_metric_row row, void *ud,
                                struct vq_err *err);

/* Points of one metric by step, then in the order of logging. All of them. */
typedef bool (*vq_point_row)(void *ud, int64_t step, double time, double value);
enum vq_status vq_store_points(struct vq_store *store, const char *id, const char *metric,
                               vq_point_row row, void *ud, struct vq_err *err);

/* Points of one metric from `from_step` on that were logged after number `after` (-1: from the
 * first) and not after number `upto`, by step, then in the order of logging. For following a run
 * that is still being written: up to a metric's last_seq there are as many as its `points` said at
 * that time, whatever has come since; from_step keeps what is read again small. */
enum vq_status vq_store_points_between(struct vq_store *store, const char *id, const char *metric,
                                       int64_t from_step, int64_t after, int64_t upto,
                                       vq_point_row row, void *ud, struct vq_err *err);

/* Looks again which runs of this machine have died, as opening does, and marks them. *gone (may be
 * NULL) says whether run `id` is one of those, marked or, in a read-only store, not. */
enum vq_status vq_store_recover(struct vq_store *store, const char *id, bool *gone,
                                struct vq_err *err);

/* Samples in the order of writing; text and path are NULL where there is none. */
typedef bool (*vq_sample_row)(void *ud, const struct vq_sample *sample);
enum vq_status vq_store_samples(struct vq_store *store, const char *id, vq_sample_row row, void *ud,
                                struct vq_err *err);

/* The members of the run's configuration, or of its settings: numbers and texts as they are, true
 * and false as INT with `json` "true" or "false", null as NULL, arrays as TEXT; those of an object
 * inside as "object.member". `json` is the member's own text. */
typedef bool (*vq_member_row)(void *ud, const char *key, const struct vq_value *value,
                              const char *json);
enum vq_status vq_store_config(struct vq_store *store, const char *id, vq_member_row row, void *ud,
                               struct vq_err *err);
enum vq_status vq_store_settings(struct vq_store *store, const char *id, vq_member_row row,
                                 void *ud, struct vq_err *err);

typedef bool (*vq_note_row)(void *ud, double time, const char *text, size_t len);
enum vq_status vq_store_notes(struct vq_store *store, const char *id, vq_note_row row, void *ud,
                              struct vq_err *err);

/* ---- editing ---- */

/* A tag is 1 to 64 bytes without white space, commas and control characters. Adding one that is
 * there, or removing one that is not, changes nothing; *changed (may be NULL) says which. */
enum vq_status vq_store_tag(struct vq_store *store, const char *id, const char *tag, bool *changed,
                            struct vq_err *err);
enum vq_status vq_store_untag(struct vq_store *store, const char *id, const char *tag,
                              bool *changed, struct vq_err *err);

/* Gives the run another label; an empty one takes it away. VQ_EINVAL for a NUL byte in it. */
enum vq_status vq_store_rename(struct vq_store *store, const char *id, const char *name, size_t len,
                               struct vq_err *err);

/* Adds a note: any bytes, at least one. */
enum vq_status vq_store_note_add(struct vq_store *store, const char *id, const char *text,
                                 size_t len, struct vq_err *err);
/* Replaces the n-th note, counted from 1 as vq_store_notes() gives them; no text removes it.
 * VQ_ENOTFOUND if there is none. */
enum vq_status vq_store_note_set(struct vq_store *store, const char *id, size_t n, const char *text,
                                 size_t len, struct vq_err *err);

/* ---- removing ---- */

/* Hides runs (full ids) as one deed: from here on they are nowhere but among the removed. A run
 * that is still running is refused (VQ_EINVAL), and nothing is removed then, unless `force`. */
enum vq_status vq_store_discard(struct vq_store *store, const char *const *ids, size_t n,
                                bool force, struct vq_err *err);

/* Brings back one removed run, or with id NULL all those of the last deed; *n (may be NULL) says
 * how many. */
enum vq_status vq_store_restore(struct vq_store *store, const char *id, size_t *n,
                                struct vq_err *err);

/*
 * Deletes for good what was removed before `before` (seconds since 1970; INFINITY for all), or with
 * id not NULL that removed run alone; *n (may be NULL) says how many. Picture files that their
 * samples and results name are noted as orphans; the files themselves stay.
 */
enum vq_status vq_store_purge(struct vq_store *store, const char *id, double before, size_t *n,
                              struct vq_err *err);

/* Gives the space of what was deleted back to the file system: rewrites the whole file. */
enum vq_status vq_store_compact(struct vq_store *store, struct vq_err *err);

/* Files noted by purges, by path (absolute). `used` says that a run that is still here names the
 * same file. */
typedef bool (*vq_orphan_row)(void *ud, const char *path, const char *run, bool used);
enum vq_status vq_store_orphans(struct vq_store *store, vq_orphan_row row, void *ud,
                                struct vq_err *err);
/* The file is gone, or was found to be another's. */
enum vq_status vq_store_orphan_forget(struct vq_store *store, const char *path, struct vq_err *err);

/* Deletes a run at once with all that belongs to it, removed before or not. A run that is still
 * running is refused (VQ_EINVAL) unless `force`. Files it wrote elsewhere stay. */
enum vq_status vq_store_remove(struct vq_store *store, const char *id, bool force,
                               struct vq_err *err);

/* ---- SQL ---- */

/* Called first with values NULL to announce the columns, even when no row follows, then for every
 * row. */
typedef bool (*vq_query_row)(void *ud, int columns, const char *const *names,
                             const struct vq_value *values);

/*
 * Runs one typed query on a connection of its own that can only read: whatever would write, attach,
 * load or set something is refused (VQ_EUNSUPPORTED), as is a second statement after the first
 * (VQ_EINVAL; blanks, comments and semicolons may follow). `cancel` (may be NULL) is polled many
 * times a second; VQ_ECANCELLED then. *offset (may be NULL) is the byte of `sql` that an error is
 * about, -1 if it is about none.
 */
enum vq_status vq_store_query(struct vq_store *store, const char *sql, vq_query_row row, void *ud,
                              const struct vq_cancel *cancel, int *offset, struct vq_err *err);

/* A value for :name, @name or $name in a typed query. */
struct vq_parameter {
    const char *name; /* without the sign before it */
    struct vq_value value;
};

/* The same with named parameters. VQ_EINVAL when the query has one that is not given, or a bare
 * '?'. */
enum vq_status vq_store_query_with(struct vq_store *store, const char *sql,
                                   const struct vq_parameter *parameters, size_t n,
                                   vq_query_row row, void *ud, const struct vq_cancel *cancel,
                                   int *offset, struct vq_err *err);

/* Tables and views with their columns, for completion: tables first, each in its own order. `type`
 * is the declared one, "" if there is none. */
typedef bool (*vq_column_row)(void *ud, const char *table, const char *column, const char *type);
enum vq_status vq_store_columns(struct vq_store *store, vq_column_row row, void *ud,
                                struct vq_err *err);

#endif
