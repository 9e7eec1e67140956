/*
 * schema: the tables of the run database and how an older file is brought up to date.
 *
 * The format's number is SQLite's user_version; application_id says that the file is ours. Step n
 * of the table of steps turns format n into n+1 (step 0 makes an empty file ours). Steps that have
 * been released are never edited: a change is a new step, and a fixture of the old format joins
 * tests/data/store. All steps that a file needs run in one transaction.
 */
#ifndef VQ_CORE_STORE_SCHEMA_H
#define VQ_CORE_STORE_SCHEMA_H

#include "core/store/db.h"

/* "vqsh" in the file's header. */
#define VQ_SCHEMA_APPLICATION 0x76717368

struct vq_schema_step {
    const char *sql; /* one or more statements */
};

struct vq_schema {
    const struct vq_schema_step *steps;
    int n; /* the newest format */
};

/* The schema of this program. */
extern const struct vq_schema vq_schema_current;

/*
 * What a file is, judged by its first bytes alone (see vq_db_head). Refuses, with VQ_EFORMAT or
 * VQ_EUNSUPPORTED and a message about `path`: what is no SQLite database, another program's
 * database, and a format newer than `schema`. A header that cannot tell (an empty file, or the
 * facts still lie in a write-ahead log) passes.
 */
enum vq_status vq_schema_judge(const struct vq_schema *schema, const uint8_t *head, uint64_t size,
                               const char *path, struct vq_err *err);

/* The header's journal mode: true for a write-ahead log. */
bool vq_schema_head_is_wal(const uint8_t *head, uint64_t size);

/* The same judgement by SQLite's own reading, which sees the write-ahead log; *version is the
 * file's format, 0 for an empty one. Reads only. */
enum vq_status vq_schema_check(const struct vq_schema *schema, struct vq_db *db, const char *path,
                               int *version, struct vq_err *err);

/* Brings the file to the newest format, or leaves it as it was. Safe against others doing the same
 * at the same time. */
enum vq_status vq_schema_migrate(const struct vq_schema *schema, struct vq_db *db, const char *path,
                                 struct vq_err *err);

#endif
