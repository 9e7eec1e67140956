/*
 * dump: the run database as files, and files as part of the run database: exports for other
 * programs, imports of such exports, merging two databases, event files for TensorBoard.
 *
 * An import or merge is one transaction: all of it, or nothing. Runs are known by their ids, so the
 * same thing brought in twice is there once.
 */
#ifndef VQ_CORE_STORE_DUMP_H
#define VQ_CORE_STORE_DUMP_H

#include "core/store/store.h"

enum vq_dump_kind { VQ_DUMP_RUNS, VQ_DUMP_METRICS, VQ_DUMP_SAMPLES };
enum vq_dump_format { VQ_DUMP_CSV, VQ_DUMP_JSON, VQ_DUMP_JSONL, VQ_DUMP_MARKDOWN };

struct vq_dump {
    enum vq_dump_kind kind;
    enum vq_dump_format format;
    const char *filter; /* filter.h; NULL: all runs */
    const struct vq_cancel *cancel;
};

/*
 * Writes all rows of the runs that pass, oldest run first, to `path`, whole or not at all.
 *
 *     runs     id name command command_line status error started_at ended_at model_name model_path
 *              model_sha256 seed threads version host boot_id pid pid_start cwd config settings
 * tags notes results metrics  run metric step seq time value samples  run index seed tokens nats
 * path text
 *
 * tags is a list, notes a list of {"time","text"}, results an object: whole numbers as such, reals
 * always with a point or exponent, texts as strings, what is not finite as {"real":"NaN"}.
 * *place is as in vq_store_list().
 */
enum vq_status vq_store_export(struct vq_store *store, const struct vq_dump *dump, const char *path,
                               size_t *rows, struct vq_listing_place *place, struct vq_err *err);

/* What bringing in did. */
struct vq_intake {
    enum vq_dump_kind kind; /* of an imported file */
    size_t runs;            /* new */
    size_t metrics, samples;
    size_t known;     /* rows, or runs of a merge, that were there already */
    size_t refreshed; /* runs of a merge that had been copied while they ran, and are whole now */
    size_t conflicts; /* runs of a merge left out: the same id, but another run */
};

/*
 * Brings in what vq_store_export() wrote as CSV, JSON or JSON lines; the columns tell which kind it
 * is. Columns that are absent are null. Metrics and samples need their run to be there. A run that
 * was still running when it was exported becomes `crashed`. VQ_EFORMAT and VQ_EINVAL name file and
 * line.
 */
enum vq_status vq_store_import(struct vq_store *store, const char *path, struct vq_intake *out,
                               const struct vq_cancel *cancel, struct vq_err *err);

/* Copies the runs of another run database that are not here yet, with all that belongs to them, and
 * tags and notes of those that are. The other file is only read. */
enum vq_status vq_store_merge(struct vq_store *store, const char *path, struct vq_intake *out,
                              const struct vq_cancel *cancel, struct vq_err *err);

struct vq_events_report {
    size_t runs, points, samples, files;
};

/*
 * Writes the runs that pass `filter` below the folder `dir` (made if need be) as TensorBoard reads
 * them: a folder for each run, named by its id (and its name), with one event file: metrics and
 * numeric results as scalars, sample texts, PNG samples as images. Values are 32-bit there.
 */
enum vq_status vq_store_events(struct vq_store *store, const char *filter, const char *dir,
                               struct vq_events_report *out, struct vq_listing_place *place,
                               const struct vq_cancel *cancel, struct vq_err *err);

#endif
