#include "core/store/stats.h"

#include <math.h>

#include "core/store/internal.h"

void vq_stats_add(struct vq_stats *s, int64_t step, int64_t seq, double time, double value)
{
    if (s->points++ == 0)
        s->low_step = s->high_step = step;
    s->low_step = step < s->low_step ? step : s->low_step;
    s->high_step = step > s->high_step ? step : s->high_step;
    s->last_seq = seq;
    s->last_step = step;
    s->last_time = time;
    s->last = value;
    if (!isfinite(value))
        return;
    if (s->reals == 0 || value < s->min) {
        s->min = value;
        s->min_step = step;
    }
    if (s->reals == 0 || value > s->max) {
        s->max = value;
        s->max_step = step;
    }
    s->reals++;
}

/* The old row's values on the right-hand sides are those before any of the assignments. */
static const char merge_sql[] =
    "INSERT INTO metric_stats(run, name, points, low_step, high_step, reals, min_value, min_step,"
    " max_value, max_step, last_seq, last_step, last_time, last_kind, last_value)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    " ON CONFLICT(run, name) DO UPDATE SET"
    " points = points + excluded.points,"
    " low_step = min(low_step, excluded.low_step),"
    " high_step = max(high_step, excluded.high_step),"
    " reals = reals + excluded.reals,"
    " min_step = CASE WHEN min_value IS NULL OR excluded.min_value < min_value"
    "            THEN excluded.min_step ELSE min_step END,"
    " min_value = CASE WHEN min_value IS NULL OR excluded.min_value < min_value"
    "             THEN excluded.min_value ELSE min_value END,"
    " max_step = CASE WHEN max_value IS NULL OR excluded.max_value > max_value"
    "            THEN excluded.max_step ELSE max_step END,"
    " max_value = CASE WHEN max_value IS NULL OR excluded.max_value > max_value"
    "             THEN excluded.max_value ELSE max_value END,"
    " last_seq = excluded.last_seq, last_step = excluded.last_step,"
    " last_time = excluded.last_time, last_kind = excluded.last_kind,"
    " last_value = excluded.last_value";

enum vq_status vq_stats_merge(struct vq_db *db, const char *run, int64_t name,
                              const struct vq_stats *s, struct vq_err *err)
{
    struct vq_stmt *u;
    enum vq_status status = vq_stmt_prepare(&u, db, merge_sql, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(u, 1, run);
    vq_stmt_int(u, 2, name);
    vq_stmt_int(u, 3, s->points);
    vq_stmt_int(u, 4, s->low_step);
    vq_stmt_int(u, 5, s->high_step);
    vq_stmt_int(u, 6, s->reals);
    if (s->reals > 0) {
        vq_stmt_real(u, 7, s->min);
        vq_stmt_int(u, 8, s->min_step);
        vq_stmt_real(u, 9, s->max);
        vq_stmt_int(u, 10, s->max_step);
    }
    vq_stmt_int(u, 11, s->last_seq);
    vq_stmt_int(u, 12, s->last_step);
    vq_stmt_real(u, 13, s->last_time);
    vq_stmt_text(u, 14, vq_real_kind(s->last));
    vq_stmt_real(u, 15, s->last);
    status = vq_stmt_run(u, err);
    vq_stmt_free(u);
    return status;
}

static enum vq_status each_run(struct vq_db *db, const char *sql, const char *run,
                               struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(&s, db, sql, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run);
    status = vq_stmt_run(s, err);
    vq_stmt_free(s);
    return status;
}

/* A bare column beside max(seq) is that of the row with the largest seq; the same for min(value)
 * and max(value), and of equal values the first one read, which by the key is that of the lowest
 * step. */
static const char rebuild_sql[] =
    "INSERT INTO metric_stats"
    " SELECT a.run, a.name, a.points, a.low, a.high, coalesce(lo.n, 0), lo.value, lo.step,"
    "  hi.value, hi.step, l.seq, l.step, l.time, l.kind, l.value"
    " FROM (SELECT run, name, count(*) AS points, min(step) AS low, max(step) AS high"
    "       FROM metrics WHERE run = ?1 GROUP BY run, name) a"
    " JOIN (SELECT run, name, step, time, kind, value, max(seq) AS seq"
    "       FROM metrics WHERE run = ?1 GROUP BY run, name) l ON l.name = a.name"
    " LEFT JOIN (SELECT name, step, count(*) AS n, min(value) AS value"
    "       FROM metrics WHERE run = ?1 AND kind = 'real' GROUP BY run, name) lo"
    "  ON lo.name = a.name"
    " LEFT JOIN (SELECT name, step, max(value) AS value"
    "       FROM metrics WHERE run = ?1 AND kind = 'real' GROUP BY run, name) hi"
    "  ON hi.name = a.name";

enum vq_status vq_stats_rebuild(struct vq_db *db, const char *run, struct vq_err *err)
{
    enum vq_status status = each_run(db, "DELETE FROM metric_stats WHERE run = ?1", run, err);
    return status == VQ_OK ? each_run(db, rebuild_sql, run, err) : status;
}
