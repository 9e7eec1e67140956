/*
 * Reading runs back; find.c tells which run is meant. Filters are one fixed statement whose unused
 * conditions are switched off by NULL; a "part of" is instr(), in which no character is special.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/internal.h"

#define RUN_COLUMNS                                                                                \
    "r.id, r.name, r.command, r.command_line, r.error, r.model_name, r.model_path,"                \
    " r.model_sha256, r.version, r.host, r.cwd, r.status, r.started_at, r.ended_at, r.seed,"       \
    " r.threads, r.pid,"                                                                           \
    " (SELECT group_concat(t.tag, ',') FROM tags t WHERE t.run = r.id),"                           \
    " (SELECT count(*) FROM notes n WHERE n.run = r.id)"

/* Switched off by NULL: ?1 command, ?2 list of statuses, ?3 model, ?4 tag, ?5 text. */
#define RUN_FILTER                                                                                 \
    " WHERE r.removed_at IS NULL"                                                                  \
    " AND (?1 IS NULL OR r.command = ?1)"                                                          \
    " AND (?2 IS NULL OR instr(?2, ',' || r.status || ','))"                                       \
    " AND (?3 IS NULL OR instr(lower(r.model_name), lower(?3))"                                    \
    "                 OR instr(lower(r.model_path), lower(?3)))"                                   \
    " AND (?4 IS NULL OR EXISTS(SELECT 1 FROM tags t WHERE t.run = r.id AND t.tag = ?4))"          \
    " AND (?5 IS NULL OR instr(lower(r.id), lower(?5)) OR instr(lower(r.name), lower(?5))"         \
    "  OR instr(lower(r.command_line), lower(?5)) OR instr(lower(r.model_name), lower(?5))"        \
    "  OR instr(lower(r.model_path), lower(?5)) OR instr(lower(r.error), lower(?5))"               \
    "  OR EXISTS(SELECT 1 FROM tags t WHERE t.run = r.id AND instr(lower(t.tag), lower(?5)))"      \
    "  OR EXISTS(SELECT 1 FROM notes n WHERE n.run = r.id AND instr(lower(n.text), lower(?5))))"

static void fill_info(struct vq_run_info *info, struct vq_stmt *s, bool whole)
{
    *info = (struct vq_run_info){
        .id = vq_column_text(s, 0),
        .name = vq_column_text(s, 1),
        .command = vq_column_text(s, 2),
        .command_line = vq_column_text(s, 3),
        .error = vq_column_text(s, 4),
        .model_name = vq_column_text(s, 5),
        .model_path = vq_column_text(s, 6),
        .model_sha256 = vq_column_text(s, 7),
        .version = vq_column_text(s, 8),
        .host = vq_column_text(s, 9),
        .cwd = vq_column_text(s, 10),
        .started_at = vq_column_real(s, 12),
        .ended_at = vq_column_real(s, 13),
        .has_seed = vq_column(s, 14).kind != VQ_VALUE_NULL,
        .seed = vq_column_u64(s, 14),
        .threads = vq_column_int(s, 15),
        .pid = vq_column_int(s, 16),
        .tags = vq_column_text(s, 17),
        .notes = vq_column_int(s, 18),
        .config = whole ? vq_column_text(s, 19) : "",
        .settings = whole ? vq_column_text(s, 20) : "",
    };
    vq_run_status_parse(vq_column_text(s, 11), &info->status);
}

/* ",running,failed," for the statuses in the mask. */
static void bind_statuses(struct vq_stmt *s, unsigned mask)
{
    char list[128] = ",";
    size_t used = 1;
    if (mask == 0)
        return;
    for (unsigned i = 0; i < VQ_RUN_STATUSES; i++)
        if (mask & (1u << i))
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s,",
                                     vq_run_status_name((enum vq_run_status)i));
    vq_stmt_text(s, 2, list);
}

static const char *given(const char *text)
{
    return text && text[0] ? text : NULL;
}

static void bind_filter(struct vq_stmt *s, const struct vq_run_filter *f)
{
    vq_stmt_text(s, 1, given(f->command));
    bind_statuses(s, f->statuses);
    vq_stmt_text(s, 3, given(f->model));
    vq_stmt_text(s, 4, given(f->tag));
    vq_stmt_text(s, 5, given(f->text));
}

static enum vq_status count_runs(struct vq_store *store, const struct vq_run_filter *filter,
                                 size_t *total, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status =
        vq_stmt_prepare(&s, store->db, "SELECT count(*) FROM runs r" RUN_FILTER, err);
    if (status != VQ_OK)
        return status;
    bind_filter(s, filter);
    bool row = false;
    status = vq_stmt_step(s, &row, err);
    *total = (size_t)vq_column_int(s, 0);
    vq_stmt_free(s);
    return status;
}

static enum vq_status list_runs(struct vq_store *store, const struct vq_run_filter *filter,
                                vq_run_row row, void *ud, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(&s, store->db,
                                            "SELECT " RUN_COLUMNS " FROM runs r" RUN_FILTER
                                            " ORDER BY r.started_at DESC, r.id DESC LIMIT ?6",
                                            err);
    if (status != VQ_OK)
        return status;
    bind_filter(s, filter);
    vq_stmt_int(s, 6, filter->limit && filter->limit < INT64_MAX ? (int64_t)filter->limit : -1);
    bool more = false;
    while ((status = vq_stmt_step(s, &more, err)) == VQ_OK && more) {
        struct vq_run_info info;
        fill_info(&info, s, false);
        if (!row(ud, &info))
            break;
    }
    vq_stmt_free(s);
    return status;
}

enum vq_status vq_store_runs(struct vq_store *store, const struct vq_run_filter *filter,
                             vq_run_row row, void *ud, size_t *total, struct vq_err *err)
{
    static const struct vq_run_filter all = {0};
    const struct vq_run_filter *f = filter ? filter : &all;
    if (!total)
        return list_runs(store, f, row, ud, err);
    /* One read transaction, so that "n of N" is true. */
    enum vq_status status = vq_db_exec(store->db, "SAVEPOINT listing", err);
    if (status != VQ_OK)
        return status;
    status = count_runs(store, f, total, err);
    if (status == VQ_OK)
        status = list_runs(store, f, row, ud, err);
    vq_db_exec(store->db, "RELEASE listing", NULL);
    return status;
}

/* The strings of an info, in the order of `text` below. */
static void strings_of(struct vq_run_info *info, const char **text[14])
{
    const char **all[14] = {
        &info->id,      &info->name,       &info->command,    &info->command_line,
        &info->error,   &info->model_name, &info->model_path, &info->model_sha256,
        &info->version, &info->host,       &info->cwd,        &info->tags,
        &info->config,  &info->settings,
    };
    memcpy(text, all, sizeof(all));
}

/* A copy whose strings follow it in the same block. */
static struct vq_run_info *copy_info(const struct vq_run_info *from)
{
    struct vq_run_info info = *from;
    const char **text[14];
    strings_of(&info, text);
    size_t size = sizeof(info);
    for (size_t i = 0; i < 14; i++)
        if (!vq_add_ok(size, strlen(*text[i]) + 1, &size))
            return NULL;
    char *block = vq_alloc(size, 1);
    if (!block)
        return NULL;
    char *p = block + sizeof(info);
    for (size_t i = 0; i < 14; i++) {
        size_t len = strlen(*text[i]) + 1;
        memcpy(p, *text[i], len);
        *text[i] = p;
        p += len;
    }
    memcpy(block, &info, sizeof(info));
    return (struct vq_run_info *)(void *)block;
}

enum vq_status vq_store_run(struct vq_store *store, const char *selector, struct vq_run_info **out,
                            struct vq_err *err)
{
    *out = NULL;
    char id[VQ_RUN_ID_SIZE];
    struct vq_stmt *s;
    enum vq_status status = vq_store_find(store, selector, id, err);
    if (status != VQ_OK)
        return status;
    status = vq_stmt_prepare(&s, store->db,
                             "SELECT " RUN_COLUMNS ", r.config, r.settings FROM runs r"
                             " WHERE r.id = ?1",
                             err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    bool row = false;
    status = vq_stmt_step(s, &row, err);
    if (status == VQ_OK && !row) {
        status = vq_fail(err, VQ_ENOTFOUND, "run %s was removed meanwhile", id);
    } else if (status == VQ_OK) {
        struct vq_run_info info;
        fill_info(&info, s, true);
        *out = copy_info(&info);
        if (!*out)
            status = vq_nomem(err, "run", 1, sizeof(info));
    }
    vq_stmt_free(s);
    return status;
}

/* Steps through `sql` (a constant, with ?1 = id and, if given, ?2 = arg) and hands each row to
 * `each`. */
static enum vq_status iterate(struct vq_store *store, const char *sql, const char *id,
                              const char *arg, bool (*each)(struct vq_stmt *s, void *ctx),
                              void *ctx, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_store_stmt(store, sql, &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    if (arg)
        vq_stmt_text(s, 2, arg);
    bool row = false;
    while ((status = vq_stmt_step(s, &row, err)) == VQ_OK && row)
        if (!each(s, ctx))
            break;
    vq_store_stmt_done(store, s);
    return status;
}

struct result_ctx {
    vq_result_row row;
    void *ud;
};

static bool each_result(struct vq_stmt *s, void *ctx)
{
    const struct result_ctx *c = ctx;
    const char *kind = vq_column_text(s, 1);
    struct vq_value v = vq_column(s, 2);
    if (strcmp(kind, "int") != 0 && strcmp(kind, "text") != 0)
        v = (struct vq_value){.kind = VQ_VALUE_REAL, .d = vq_real_of(s, kind, 2)};
    return c->row(c->ud, vq_column_text(s, 0), &v);
}

enum vq_status vq_store_results(struct vq_store *store, const char *id, vq_result_row row, void *ud,
                                struct vq_err *err)
{
    struct result_ctx ctx = {row, ud};
    return iterate(store, "SELECT key, kind, value FROM results WHERE run = ?1 ORDER BY rowid", id,
                   NULL, each_result, &ctx, err);
}

struct metric_ctx {
    vq_metric_row row;
    void *ud;
};

static bool each_metric(struct vq_stmt *s, void *ctx)
{
    const struct metric_ctx *c = ctx;
    struct vq_metric_info m = {
        .name = vq_column_text(s, 0),
        .points = vq_column_int(s, 1),
        .first_step = vq_column_int(s, 2),
        .last_step = vq_column_int(s, 3),
        .min = vq_column_real(s, 4),
        .max = vq_column_real(s, 5),
        .last = vq_real_of(s, vq_column_text(s, 6), 7),
        .last_seq = vq_column_int(s, 8),
    };
    return c->row(c->ud, &m);
}

enum vq_status vq_store_metrics(struct vq_store *store, const char *id, vq_metric_row row, void *ud,
                                struct vq_err *err)
{
    struct metric_ctx ctx = {row, ud};
    return iterate(store,
                   "SELECT n.name, s.points, s.low_step, s.high_step, s.min_value, s.max_value,"
                   " s.last_kind, s.last_value, s.last_seq FROM metric_stats s"
                   " JOIN metric_names n ON n.id = s.name WHERE s.run = ?1 ORDER BY n.name",
                   id, NULL, each_metric, &ctx, err);
}

struct point_ctx {
    vq_point_row row;
    void *ud;
};

static bool each_point(struct vq_stmt *s, void *ctx)
{
    const struct point_ctx *c = ctx;
    return c->row(c->ud, vq_column_int(s, 0), vq_column_real(s, 1),
                  vq_real_of(s, vq_column_text(s, 2), 3));
}

enum vq_status vq_store_points(struct vq_store *store, const char *id, const char *metric,
                               vq_point_row row, void *ud, struct vq_err *err)
{
    struct point_ctx ctx = {row, ud};
    return iterate(store,
                   "SELECT step, time, kind, value FROM metrics WHERE run = ?1"
                   " AND name = (SELECT id FROM metric_names WHERE name = ?2) ORDER BY step, seq",
                   id, metric, each_point, &ctx, err);
}

enum vq_status vq_store_points_between(struct vq_store *store, const char *id, const char *metric,
                                       int64_t from_step, int64_t after, int64_t upto,
                                       vq_point_row row, void *ud, struct vq_err *err)
{
    struct vq_stmt *s;
    struct point_ctx ctx = {row, ud};
    bool more = false;
    enum vq_status status = vq_store_stmt(
        store,
        "SELECT step, time, kind, value FROM metrics WHERE run = ?1"
        " AND name = (SELECT id FROM metric_names WHERE name = ?2) AND step >= ?3 AND seq > ?4"
        " AND seq <= ?5 ORDER BY step, seq",
        &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, id);
    vq_stmt_text(s, 2, metric);
    vq_stmt_int(s, 3, from_step);
    vq_stmt_int(s, 4, after);
    vq_stmt_int(s, 5, upto);
    while ((status = vq_stmt_step(s, &more, err)) == VQ_OK && more)
        if (!each_point(s, &ctx))
            break;
    vq_store_stmt_done(store, s);
    return status;
}

struct member_ctx {
    vq_member_row row;
    void *ud;
};

static bool each_member(struct vq_stmt *s, void *ctx)
{
    const struct member_ctx *c = ctx;
    struct vq_value value = vq_column(s, 1);
    return c->row(c->ud, vq_column_text(s, 0), &value, vq_column_text(s, 2));
}

/* One level of objects is taken apart, under the names of both. json_each() of a text that is no
 * JSON would fail the whole query. */
#define MEMBERS(column)                                                                            \
    "WITH o AS (SELECT " column " AS j FROM runs WHERE id = ?1 AND json_valid(" column ")),"       \
    " top AS (SELECT t.id, t.key, t.value, t.type, o.j -> t.fullkey AS json"                       \
    "         FROM o, json_each(o.j) t WHERE typeof(t.key) = 'text')"                              \
    " SELECT key, value, json, id, 0 FROM top WHERE type <> 'object'"                              \
    " UNION ALL SELECT top.key || '.' || c.key, c.value, top.json -> c.fullkey, top.id, c.id"      \
    "  FROM top, json_each(top.json) c WHERE top.type = 'object'"                                  \
    " ORDER BY 4, 5"

enum vq_status vq_store_config(struct vq_store *store, const char *id, vq_member_row row, void *ud,
                               struct vq_err *err)
{
    struct member_ctx ctx = {row, ud};
    return iterate(store, MEMBERS("config"), id, NULL, each_member, &ctx, err);
}

enum vq_status vq_store_settings(struct vq_store *store, const char *id, vq_member_row row,
                                 void *ud, struct vq_err *err)
{
    struct member_ctx ctx = {row, ud};
    return iterate(store, MEMBERS("settings"), id, NULL, each_member, &ctx, err);
}

struct sample_ctx {
    vq_sample_row row;
    void *ud;
};

static bool each_sample(struct vq_stmt *s, void *ctx)
{
    const struct sample_ctx *c = ctx;
    struct vq_value text = vq_column(s, 2), path = vq_column(s, 3);
    struct vq_sample sample = {
        .index = vq_column_int(s, 0),
        .seed = vq_column_u64(s, 1),
        .text = text.text,
        .len = text.len,
        .path = path.text,
        .tokens = vq_column_int(s, 4),
        .nats = vq_real_of(s, vq_column_text(s, 5), 6),
    };
    return c->row(c->ud, &sample);
}

enum vq_status vq_store_samples(struct vq_store *store, const char *id, vq_sample_row row, void *ud,
                                struct vq_err *err)
{
    struct sample_ctx ctx = {row, ud};
    return iterate(store,
                   "SELECT idx, seed, text, path, tokens, nats_kind, nats FROM samples"
                   " WHERE run = ?1 ORDER BY rowid",
                   id, NULL, each_sample, &ctx, err);
}

struct note_ctx {
    vq_note_row row;
    void *ud;
};

static bool each_note(struct vq_stmt *s, void *ctx)
{
    const struct note_ctx *c = ctx;
    struct vq_value text = vq_column(s, 1);
    return c->row(c->ud, vq_column_real(s, 0), text.text, text.len);
}

enum vq_status vq_store_notes(struct vq_store *store, const char *id, vq_note_row row, void *ud,
                              struct vq_err *err)
{
    struct note_ctx ctx = {row, ud};
    return iterate(store, "SELECT time, text FROM notes WHERE run = ?1 ORDER BY rowid", id, NULL,
                   each_note, &ctx, err);
}
