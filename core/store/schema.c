#include "core/store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"

/*
 * Format 1.
 *
 * runs.id sorts by time. Times are seconds since 1970 UTC. A seed is 64 bits without a sign, more
 * than SQLite's integers hold, hence text. `value` has no declared type, so SQLite stores exactly
 * what is bound; `kind` says what it is, and keeps NaN (whose value is NULL) apart from absence.
 * metrics is clustered by its key: seq numbers the points of a run in the order they were logged,
 * so a step that is logged twice keeps both.
 */
static const char tables[] =
    "CREATE TABLE runs("
    " id TEXT PRIMARY KEY NOT NULL,"
    " name TEXT,"
    " command TEXT NOT NULL,"
    " command_line TEXT NOT NULL,"
    " status TEXT NOT NULL"
    "  CHECK(status IN ('running','finished','failed','interrupted','crashed')),"
    " error TEXT,"
    " started_at REAL NOT NULL,"
    " ended_at REAL,"
    " model_name TEXT, model_path TEXT, model_sha256 TEXT,"
    " seed TEXT, threads INTEGER, version TEXT,"
    " host TEXT NOT NULL, boot_id TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL,"
    " cwd TEXT, config TEXT, settings TEXT);"
    "CREATE INDEX runs_by_start ON runs(started_at);"
    "CREATE INDEX runs_by_status ON runs(status);"
    "CREATE INDEX runs_by_name ON runs(name);"

    "CREATE TABLE results("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " key TEXT NOT NULL,"
    " kind TEXT NOT NULL CHECK(kind IN ('int','real','nan','inf','-inf','text')),"
    " value,"
    " UNIQUE(run, key));"

    "CREATE TABLE metric_names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE metrics("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " name INTEGER NOT NULL REFERENCES metric_names(id),"
    " step INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " time REAL NOT NULL,"
    " kind TEXT NOT NULL CHECK(kind IN ('real','nan','inf','-inf')),"
    " value,"
    " PRIMARY KEY(run, name, step, seq)) WITHOUT ROWID;"

    "CREATE TABLE samples("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " idx INTEGER NOT NULL,"
    " seed TEXT NOT NULL,"
    " text BLOB,"
    " bytes INTEGER NOT NULL,"
    " path TEXT,"
    " tokens INTEGER NOT NULL,"
    " nats_kind TEXT NOT NULL CHECK(nats_kind IN ('real','nan','inf','-inf')),"
    " nats);"
    "CREATE INDEX samples_by_run ON samples(run);"

    "CREATE TABLE tags("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " tag TEXT NOT NULL,"
    " PRIMARY KEY(run, tag)) WITHOUT ROWID;"
    "CREATE INDEX tags_by_tag ON tags(tag);"

    "CREATE TABLE notes("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " time REAL NOT NULL,"
    " text TEXT NOT NULL);"
    "CREATE INDEX notes_by_run ON notes(run);";

/* In views, a number that is not finite appears under the name it has in our JSON. */
#define SHOWN(kind, value)                                                                         \
    "CASE " kind " WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"  \
    " ELSE " value " END"

/* Views for people. v_best and v_metric_last are grouped by the clustered key, so a condition on
 * `run` reads that run's points only. */
static const char views[] =
    "CREATE VIEW v_runs AS SELECT r.id, r.name, r.command, r.status,"
    " strftime('%Y-%m-%d %H:%M:%SZ', r.started_at, 'unixepoch') AS started,"
    " round(r.ended_at - r.started_at, 3) AS seconds,"
    " r.model_name AS model, r.seed,"
    " (SELECT group_concat(t.tag, ',') FROM tags t WHERE t.run = r.id) AS tags,"
    " (SELECT count(*) FROM notes n WHERE n.run = r.id) AS notes,"
    " r.error, r.command_line FROM runs r ORDER BY r.started_at DESC;"

    "CREATE VIEW v_results AS SELECT run, key, " SHOWN(
        "kind",
        "value") " AS value FROM results;"

                 "CREATE VIEW v_metrics AS SELECT m.run, n.name AS metric, m.step, m.time,"
                 " " SHOWN(
                     "m.kind",
                     "m.value") " AS value"
                                " FROM metrics m JOIN metric_names n ON n.id = m.name;"

                                "CREATE VIEW v_metric_last AS SELECT m.run, n.name AS metric, "
                                "m.step, m.time,"
                                " " SHOWN(
                                    "m.kind",
                                    "m.value") " AS value"
                                               " FROM (SELECT run, name, step, time, kind, value, "
                                               "max(seq) FROM metrics GROUP BY run, name) m"
                                               " JOIN metric_names n ON n.id = m.name;"

                                               "CREATE VIEW v_best AS SELECT lo.run, n.name AS "
                                               "metric, lo.points,"
                                               " lo.value AS min, lo.step AS min_step, hi.value AS "
                                               "max, hi.step AS max_step"
                                               " FROM (SELECT run, name, step, count(*) AS points, "
                                               "min(value) AS value FROM metrics"
                                               "       WHERE kind = 'real' GROUP BY run, name) lo"
                                               " JOIN (SELECT run, name, step, max(value) AS value "
                                               "FROM metrics"
                                               "       WHERE kind = 'real' GROUP BY run, name) hi "
                                               "ON hi.run = lo.run AND hi.name = lo.name"
                                               " JOIN metric_names n ON n.id = lo.name;"

                                               "CREATE VIEW v_samples AS SELECT run, idx, seed, "
                                               "tokens, " SHOWN(
                                                   "nats_kind",
                                                   "nats") " AS nats,"
                                                           " bytes, path, CAST(text AS TEXT) AS "
                                                           "text FROM samples;";

/*
 * Formats 3 and 4: removal that can be undone, statistics of metrics (stats.h), files left behind
 * by runs that are gone for good.
 *
 * A run with a removed_at is hidden everywhere until it is restored or purged; runs that are shown
 * have an index of their own, so counting and listing them never touches the rows of others.
 * orphans lists the files of purged runs, by absolute path, until they are deleted or found gone.
 */
static const char history[] =
    "ALTER TABLE runs ADD COLUMN removed_at REAL;"
    "DROP INDEX runs_by_start;"
    "CREATE INDEX runs_shown ON runs(started_at, id) WHERE removed_at IS NULL;"
    "CREATE INDEX runs_removed ON runs(removed_at) WHERE removed_at IS NOT NULL;"
    "CREATE INDEX results_by_key ON results(key);"

    "CREATE TABLE metric_stats("
    " run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,"
    " name INTEGER NOT NULL REFERENCES metric_names(id),"
    " points INTEGER NOT NULL,"
    " low_step INTEGER NOT NULL, high_step INTEGER NOT NULL,"
    " reals INTEGER NOT NULL,"
    " min_value REAL, min_step INTEGER, max_value REAL, max_step INTEGER,"
    " last_seq INTEGER NOT NULL, last_step INTEGER NOT NULL, last_time REAL NOT NULL,"
    " last_kind TEXT NOT NULL CHECK(last_kind IN ('real','nan','inf','-inf')),"
    " last_value,"
    " PRIMARY KEY(run, name)) WITHOUT ROWID;"
    "INSERT INTO metric_stats"
    " SELECT a.run, a.name, a.points, a.low, a.high, coalesce(lo.n, 0), lo.value, lo.step,"
    "  hi.value, hi.step, l.seq, l.step, l.time, l.kind, l.value"
    " FROM (SELECT run, name, count(*) AS points, min(step) AS low, max(step) AS high"
    "       FROM metrics GROUP BY run, name) a"
    " JOIN (SELECT run, name, step, time, kind, value, max(seq) AS seq"
    "       FROM metrics GROUP BY run, name) l ON l.run = a.run AND l.name = a.name"
    " LEFT JOIN (SELECT run, name, step, count(*) AS n, min(value) AS value"
    "       FROM metrics WHERE kind = 'real' GROUP BY run, name) lo"
    "  ON lo.run = a.run AND lo.name = a.name"
    " LEFT JOIN (SELECT run, name, step, max(value) AS value"
    "       FROM metrics WHERE kind = 'real' GROUP BY run, name) hi"
    "  ON hi.run = a.run AND hi.name = a.name;"

    "CREATE TABLE orphans("
    " path TEXT PRIMARY KEY NOT NULL,"
    " run TEXT NOT NULL,"
    " time REAL NOT NULL) WITHOUT ROWID;";

/* The views without what was removed; those of metrics read the statistics. */
#define HIDDEN "(SELECT id FROM runs WHERE removed_at IS NOT NULL)"

static const char history_views[] =
    "DROP VIEW v_runs; DROP VIEW v_results; DROP VIEW v_metrics; DROP VIEW v_metric_last;"
    "DROP VIEW v_best; DROP VIEW v_samples;"

    "CREATE VIEW v_runs AS SELECT r.id, r.name, r.command, r.status,"
    " strftime('%Y-%m-%d %H:%M:%SZ', r.started_at, 'unixepoch') AS started,"
    " round(r.ended_at - r.started_at, 3) AS seconds,"
    " r.model_name AS model, r.seed,"
    " (SELECT group_concat(t.tag, ',') FROM tags t WHERE t.run = r.id) AS tags,"
    " (SELECT count(*) FROM notes n WHERE n.run = r.id) AS notes,"
    " r.error, r.command_line FROM runs r WHERE r.removed_at IS NULL"
    " ORDER BY r.started_at DESC;"

    "CREATE VIEW v_results AS SELECT run, key,"
    " CASE kind WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"
    "  ELSE value END AS value"
    " FROM results WHERE run NOT IN " HIDDEN ";"

    "CREATE VIEW v_metrics AS SELECT m.run, n.name AS metric, m.step, m.time,"
    " CASE m.kind WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"
    "  ELSE m.value END AS value"
    " FROM metrics m JOIN metric_names n ON n.id = m.name WHERE m.run NOT IN " HIDDEN ";"

    "CREATE VIEW v_metric_last AS SELECT s.run, n.name AS metric, s.last_step AS step,"
    " s.last_time AS time,"
    " CASE s.last_kind WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity'"
    "  WHEN '-inf' THEN '-Infinity' ELSE s.last_value END AS value"
    " FROM metric_stats s JOIN metric_names n ON n.id = s.name WHERE s.run NOT IN " HIDDEN ";"

    "CREATE VIEW v_best AS SELECT s.run, n.name AS metric, s.reals AS points,"
    " s.min_value AS min, s.min_step, s.max_value AS max, s.max_step"
    " FROM metric_stats s JOIN metric_names n ON n.id = s.name"
    " WHERE s.reals > 0 AND s.run NOT IN " HIDDEN ";"

    "CREATE VIEW v_samples AS SELECT run, idx, seed, tokens,"
    " CASE nats_kind WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity'"
    "  WHEN '-inf' THEN '-Infinity' ELSE nats END AS nats,"
    " bytes, path, CAST(text AS TEXT) AS text FROM samples WHERE run NOT IN " HIDDEN ";"

    /* The files of all runs, also of those that can still be brought back. */
    "CREATE VIEW v_files AS SELECT r.id AS run,"
    " CASE WHEN f.path LIKE '/%' THEN f.path ELSE r.cwd || '/' || f.path END AS path"
    " FROM (SELECT run, path FROM samples WHERE path IS NOT NULL"
    "       UNION SELECT run, value FROM results WHERE kind = 'text' AND"
    "        (key GLOB 'image*' OR key GLOB 'npy*' OR key GLOB 'text*' OR key GLOB 'checkpoint*'))"
    "  f JOIN runs r ON r.id = f.run;";

static const struct vq_schema_step steps[] = {{tables}, {views}, {history}, {history_views}};

const struct vq_schema vq_schema_current = {steps, (int)(sizeof(steps) / sizeof(steps[0]))};

/* Offsets in the header of a SQLite file, all big-endian (the file format's documentation, 1.3). */
enum { HEAD_WRITE_VERSION = 18, HEAD_USER_VERSION = 60, HEAD_APPLICATION = 68, HEAD_SIZE = 100 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool vq_schema_head_is_wal(const uint8_t *head, uint64_t size)
{
    return size >= HEAD_SIZE && head[HEAD_WRITE_VERSION] == 2;
}

static enum vq_status refuse_foreign(uint32_t application, const char *path, struct vq_err *err)
{
    return vq_fail(err, VQ_EFORMAT,
                   "%s: is the database of another program (application id 0x%08" PRIx32
                   "), not a run database; give another file",
                   path, application);
}

static enum vq_status refuse_newer(const struct vq_schema *schema, int64_t version,
                                   const char *path, struct vq_err *err)
{
    return vq_fail(err, VQ_EUNSUPPORTED,
                   "%s: was written by a newer version of this program: its format is %" PRId64
                   ", this version knows up to %d; use the newer version or another file "
                   "(it was left as it is)",
                   path, version, schema->n);
}

enum vq_status vq_schema_judge(const struct vq_schema *schema, const uint8_t *head, uint64_t size,
                               const char *path, struct vq_err *err)
{
    if (size == 0)
        return VQ_OK;
    if (size < HEAD_SIZE || memcmp(head, "SQLite format 3", 16) != 0) {
        const char *found = vq_file_sniff(head, size < HEAD_SIZE ? (size_t)size : HEAD_SIZE);
        return vq_fail(err, VQ_EFORMAT, "%s: expected a run database, found %s; give another file",
                       path, found ? found : "something that is no database");
    }
    uint32_t application = be32(head + HEAD_APPLICATION);
    if (application != 0 && application != VQ_SCHEMA_APPLICATION)
        return refuse_foreign(application, path, err);
    int32_t version = (int32_t)be32(head + HEAD_USER_VERSION);
    if (application != 0 && version > schema->n)
        return refuse_newer(schema, version, path, err);
    return VQ_OK;
}

enum vq_status vq_schema_check(const struct vq_schema *schema, struct vq_db *db, const char *path,
                               int *version, struct vq_err *err)
{
    *version = 0;
    int64_t application = 0, format = 0, tables_found = 0;
    /* One transaction, or the three numbers could come from before and after another's commit. */
    enum vq_status status = vq_db_exec(db, "BEGIN", err);
    if (status != VQ_OK)
        return status;
    status = vq_db_int(db, "SELECT count(*) FROM sqlite_master", &tables_found, err);
    if (status == VQ_OK)
        status = vq_db_int(db, "PRAGMA application_id", &application, err);
    if (status == VQ_OK)
        status = vq_db_int(db, "PRAGMA user_version", &format, err);
    status = vq_db_end(db, status, err);
    if (status != VQ_OK)
        return status;
    if (application != 0 && application != VQ_SCHEMA_APPLICATION)
        return refuse_foreign((uint32_t)application, path, err);
    bool ours = application != 0;
    if (ours && format > schema->n)
        return refuse_newer(schema, format, path, err);
    if (ours ? format < 1 : format != 0 || tables_found > 0)
        return vq_fail(err, VQ_EFORMAT,
                       "%s: is a SQLite database with tables that are not ours (user version "
                       "%" PRId64 "); give another file",
                       path, format);
    *version = (int)format;
    return VQ_OK;
}

/* The whole of it, inside a transaction. */
static enum vq_status apply(const struct vq_schema *schema, struct vq_db *db, const char *path,
                            struct vq_err *err)
{
    int64_t version;
    enum vq_status status = vq_db_int(db, "PRAGMA user_version", &version, err);
    if (status != VQ_OK)
        return status;
    if (version > schema->n)
        return refuse_newer(schema, version, path, err);
    for (; version < schema->n; version++) {
        status = vq_db_exec(db, schema->steps[version].sql, err);
        if (status != VQ_OK) {
            vq_err_prefix(err, "bringing it to format %d", (int)version + 1);
            return status;
        }
    }
    char sql[96]; /* a PRAGMA takes no bound values; both are our own integers */
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d",
             VQ_SCHEMA_APPLICATION, schema->n);
    return vq_db_exec(db, sql, err);
}

enum vq_status vq_schema_migrate(const struct vq_schema *schema, struct vq_db *db, const char *path,
                                 struct vq_err *err)
{
    enum vq_status status = vq_db_begin(db, vq_db_busy_ms(db), err);
    if (status != VQ_OK)
        return status;
    return vq_db_end(db, apply(schema, db, path, err), err);
}
