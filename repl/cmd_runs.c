/*
 * Commands on the run database: runs, run, sql.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/store/store.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/runlog.h"

/* Rows that `runs` shows on a screen unless told otherwise; files and pipes get all. */
#define SCREEN_LIMIT 50

static bool people_read(const struct sh *sh)
{
    return sh_out_format(sh) == SH_TABLE || sh_out_format(sh) == SH_BOX;
}

static bool is_json(const struct sh *sh)
{
    return sh_out_format(sh) == SH_JSON || sh_out_format(sh) == SH_JSONL;
}

/* UTC, as "2026-01-31 12:00:00"; "" for a time that is not known. */
static const char *utc(double seconds, char *buf, size_t len)
{
    struct tm tm;
    time_t t = isfinite(seconds) ? (time_t)seconds : 0;
    *buf = '\0';
    if (isfinite(seconds) && gmtime_r(&t, &tm))
        strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm);
    return buf;
}

static void put_value(struct sh *sh, const char *key, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        sh_null(sh, key);
        break;
    case VQ_VALUE_INT:
        sh_int(sh, key, v->i);
        break;
    case VQ_VALUE_REAL:
        sh_f64(sh, key, v->d);
        break;
    case VQ_VALUE_TEXT:
    case VQ_VALUE_BLOB:
        sh_bytes(sh, key, v->text, v->len);
        break;
    }
}

static void json_value(struct vq_text *out, const struct vq_value *v)
{
    switch (v->kind) {
    case VQ_VALUE_NULL:
        vq_text_puts(out, "null");
        break;
    case VQ_VALUE_INT:
        vq_text_printf(out, "%lld", (long long)v->i);
        break;
    case VQ_VALUE_REAL:
        vq_text_json_f64(out, v->d);
        break;
    case VQ_VALUE_TEXT:
    case VQ_VALUE_BLOB:
        vq_text_json_string(out, v->text, v->len);
        break;
    }
}

/* ---- results of a run, as JSON or as "key=value key=value" ---- */

struct results {
    struct vq_text text;
    bool json;
};

static bool add_result(void *ud, const char *key, const struct vq_value *v)
{
    struct results *r = ud;
    if (r->json) {
        vq_text_puts(&r->text, r->text.len > 1 ? "," : "");
        vq_text_json_string(&r->text, key, strlen(key));
        vq_text_puts(&r->text, ":");
        json_value(&r->text, v);
        return true;
    }
    if (v->kind == VQ_VALUE_REAL)
        vq_text_printf(&r->text, "%s%s=%.5g", r->text.len ? " " : "", key, v->d);
    else if (v->kind == VQ_VALUE_INT)
        vq_text_printf(&r->text, "%s%s=%lld", r->text.len ? " " : "", key, (long long)v->i);
    return true;
}

static void put_results(struct sh *sh, struct vq_store *store, const char *id)
{
    struct results r = {.json = is_json(sh)};
    if (r.json)
        vq_text_puts(&r.text, "{");
    vq_store_results(store, id, add_result, &r, NULL);
    if (r.json)
        vq_text_puts(&r.text, "}");
    if (!r.text.failed && r.json)
        sh_json(sh, "results", r.text.data);
    else if (!r.text.failed)
        sh_str(sh, "results", r.text.len ? r.text.data : NULL);
    vq_text_release(&r.text);
}

/* ---- runs ---- */

struct listing {
    struct sh *sh;
    struct vq_store *store;
    size_t shown;
};

static bool list_run(void *ud, const struct vq_run_info *r)
{
    struct listing *l = ud;
    struct sh *sh = l->sh;
    char when[32];
    l->shown++;
    sh_row(sh);
    sh_str(sh, "id", r->id);
    sh_str(sh, "started", utc(r->started_at, when, sizeof(when)));
    sh_f64(sh, "started_at", r->started_at);
    if (isfinite(r->ended_at))
        sh_f64(sh, "seconds", r->ended_at - r->started_at);
    sh_str(sh, "status", vq_run_status_name(r->status));
    sh_str(sh, "command", r->command);
    sh_str(sh, "command_line", r->command_line);
    sh_str(sh, "model", r->model_name);
    if (r->has_seed)
        sh_uint(sh, "seed", r->seed);
    sh_str(sh, "name", *r->name ? r->name : NULL);
    sh_str(sh, "tags", *r->tags ? r->tags : NULL);
    put_results(sh, l->store, r->id);
    return !vq_cancelled(sh_cancel(sh));
}

static enum sh_rc run_runs(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct listing l = {sh, sh_store(sh, &err), 0};
    struct vq_run_filter f = {.command = sh_opt_text(a, "command"),
                              .model = sh_opt_text(a, "model"),
                              .tag = sh_opt_text(a, "tag"),
                              .text = sh_arg(a, 0),
                              .limit = people_read(sh) ? SCREEN_LIMIT : 0};
    enum vq_run_status status;
    size_t total = 0;
    if (!l.store)
        return sh_fail(sh, &err);
    if (sh_opt_given(a, "status") && vq_run_status_parse(sh_opt_text(a, "status"), &status))
        f.statuses = 1u << status;
    if (sh_opt_given(a, "limit"))
        f.limit = (size_t)sh_opt_int(a, "limit");
    sh_list(sh, "id started started_at seconds status command command_line model seed name tags "
                "results");
    sh_columns_hidden(sh, "started_at command_line");
    if (vq_store_runs(l.store, &f, list_run, &l, &total, &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_end(sh);
    if (l.shown < total)
        sh_note(sh, "%zu of %zu runs; --limit 0 lists all", l.shown, total);
    return rc;
}

static const struct sh_opt runs_opts[] = {
    {.name = "command",
     .kind = SH_TEXT,
     .value = "KIND",
     .help = "runs of one command: sample, score"},
    {.name = "status",
     .kind = SH_CHOICE,
     .choices = "running finished failed interrupted crashed",
     .help = "runs that ended so"},
    {.name = "model", .kind = SH_TEXT, .value = "PART", .help = "part of the model's name or path"},
    {.name = "tag", .kind = SH_TEXT, .value = "TAG", .help = "runs with this tag"},
    {.name = "limit",
     .letter = 'n',
     .kind = SH_INT,
     .min = 0,
     .max = 1e9,
     .help = "rows at most; 0: all (default: 50 on a screen, else all)"},
    SH_OPT_END};
static const char *const runs_examples[] = {"runs", "runs --command score -n 5",
                                            "runs text-small --status finished", NULL};
const struct sh_cmd cmd_runs = {
    .name = "runs",
    .group = "runs",
    .args = "[TEXT]",
    .summary = "list recorded runs, newest first",
    .detail = "TEXT is part of an id, name, command line, model, error, tag or note; capitals do "
              "not matter. Times are UTC. What ended without a word shows as crashed.",
    .examples = runs_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_STORE,
    .opts = runs_opts,
    .run = run_runs,
};

/* ---- run ---- */

static bool metric_row(void *ud, const struct vq_metric_info *m)
{
    struct sh_part *p = ud;
    sh_part_row(p);
    sh_part_str(p, "metric", m->name);
    sh_part_int(p, "points", m->points);
    sh_part_int(p, "first_step", m->first_step);
    sh_part_int(p, "last_step", m->last_step);
    sh_part_f64(p, "last", m->last);
    sh_part_f64(p, "min", m->min);
    sh_part_f64(p, "max", m->max);
    return true;
}

static bool sample_row(void *ud, const struct vq_sample *s)
{
    struct sh_part *p = ud;
    sh_part_row(p);
    sh_part_int(p, "index", s->index);
    sh_part_uint(p, "seed", s->seed);
    sh_part_int(p, "tokens", s->tokens);
    sh_part_f64(p, "nats", s->nats);
    sh_part_str(p, "path", s->path);
    sh_part_bytes(p, "text", s->text, s->len);
    return true;
}

static bool note_row(void *ud, double time, const char *text, size_t len)
{
    struct sh_part *p = ud;
    char when[32];
    sh_part_row(p);
    sh_part_str(p, "time", utc(time, when, sizeof(when)));
    sh_part_bytes(p, "note", text, len);
    return true;
}

/* Outside JSON, where results are an object, they are a table of keys and values. */
static bool result_row(void *ud, const char *key, const struct vq_value *v)
{
    struct sh_part *p = ud;
    sh_part_row(p);
    sh_str(p->sh, "result", key);
    put_value(p->sh, "value", v);
    return true;
}

static void describe(struct sh *sh, const struct vq_run_info *r)
{
    char when[32];
    sh_str(sh, "id", r->id);
    sh_str(sh, "name", *r->name ? r->name : NULL);
    sh_str(sh, "status", vq_run_status_name(r->status));
    sh_str(sh, "error", *r->error ? r->error : NULL);
    sh_str(sh, "command", r->command);
    sh_str(sh, "command_line", r->command_line);
    sh_str(sh, "started", utc(r->started_at, when, sizeof(when)));
    sh_str(sh, "ended", isfinite(r->ended_at) ? utc(r->ended_at, when, sizeof(when)) : NULL);
    sh_f64(sh, "seconds", r->ended_at - r->started_at);
    sh_str(sh, "model", r->model_name);
    sh_str(sh, "model_path", r->model_path);
    sh_str(sh, "model_sha256", r->model_sha256);
    if (r->has_seed)
        sh_uint(sh, "seed", r->seed);
    else
        sh_null(sh, "seed");
    sh_int(sh, "threads", r->threads);
    sh_str(sh, "version", r->version);
    sh_str(sh, "host", r->host);
    sh_int(sh, "pid", r->pid);
    sh_str(sh, "cwd", r->cwd);
    sh_str(sh, "tags", *r->tags ? r->tags : NULL);
    sh_json(sh, "settings", *r->settings ? r->settings : "null");
    sh_json(sh, "config", *r->config ? r->config : "null");
}

static enum vq_status list_parts(struct sh_part *p, struct vq_store *store, const char *id,
                                 struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    if (!p->json) {
        sh_part_list(p, "results", "result value");
        status = vq_store_results(store, id, result_row, p, err);
    }
    sh_part_list(p, "metrics", "metric points first_step last_step last min max");
    if (status == VQ_OK)
        status = vq_store_metrics(store, id, metric_row, p, err);
    sh_part_list(p, "samples", "index seed tokens nats path text");
    if (status == VQ_OK)
        status = vq_store_samples(store, id, sample_row, p, err);
    sh_part_list(p, "notes", "time note");
    if (status == VQ_OK)
        status = vq_store_notes(store, id, note_row, p, err);
    return status;
}

static enum sh_rc run_run(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct vq_run_info *info;
    struct vq_store *store = sh_store(sh, &err);
    if (!store || vq_store_run(store, sh_arg(a, 0), &info, &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_record(sh);
    describe(sh, info);
    if (is_json(sh))
        put_results(sh, store, info->id);
    struct sh_part p = sh_parts_begin(sh);
    enum vq_status status = list_parts(&p, store, info->id, &err);
    free(info);
    if (status == VQ_OK)
        return sh_parts_end(&p);
    sh_parts_drop(&p);
    return sh_fail(sh, &err);
}

static const char *const run_examples[] = {"run -1", "run -2", NULL};
const struct sh_cmd cmd_run = {
    .name = "run",
    .group = "runs",
    .args = "RUN",
    .summary = "show all that is recorded about one run",
    .detail =
        "RUN is an id or the beginning of one, a name, or -1 for the last run, -2 for the one "
        "before it.",
    .examples = run_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .run = run_run,
};

/* ---- sql ---- */

struct query {
    struct sh *sh;
    char **names; /* made unique */
    int n;
    bool failed;
};

/* Two columns may have one name in SQL: the second becomes "name_2". */
static char *unique_name(const struct query *q, const char *name, int i)
{
    char *made = NULL;
    for (int copy = 1; copy < 1000; copy++) {
        free(made);
        made = NULL;
        if ((copy == 1 ? asprintf(&made, "%s", name) : asprintf(&made, "%s_%d", name, copy)) < 0)
            return NULL;
        bool taken = false;
        for (int j = 0; j < i; j++)
            taken = taken || strcmp(q->names[j], made) == 0;
        if (!taken)
            break;
    }
    return made;
}

static bool announce(struct query *q, int columns, const char *const *names)
{
    q->names = vq_calloc((size_t)columns, sizeof(*q->names));
    q->failed = !q->names;
    for (int i = 0; !q->failed && i < columns; i++) {
        q->names[i] = unique_name(q, names[i], i);
        q->failed = !q->names[i];
        q->n = i + 1;
    }
    if (!q->failed)
        sh_list_names(q->sh, (const char *const *)q->names, (size_t)columns);
    return !q->failed;
}

static bool query_row(void *ud, int columns, const char *const *names,
                      const struct vq_value *values)
{
    struct query *q = ud;
    if (!values)
        return announce(q, columns, names);
    sh_row(q->sh);
    for (int i = 0; i < columns; i++)
        put_value(q->sh, q->names[i], &values[i]);
    return true;
}

static enum sh_rc run_sql(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct query q = {.sh = sh};
    int offset = -1;
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    enum vq_status status =
        vq_store_query(store, sh_arg(a, 0), query_row, &q, sh_cancel(sh), &offset, &err);
    enum sh_rc rc = SH_OK;
    if (q.failed)
        rc = sh_failf(sh, "out of memory");
    else if (status != VQ_OK && offset >= 0)
        rc = sh_bad_arg_at(sh, sh_arg_word(a, 0), (size_t)offset, "%s", err.msg);
    else if (status != VQ_OK)
        rc = sh_fail(sh, &err);
    else if (q.names)
        rc = sh_end(sh);
    for (int i = 0; q.names && i < q.n; i++)
        free(q.names[i]);
    free(q.names);
    return rc == SH_USAGE ? SH_ERR : rc;
}

static const char *const sql_examples[] = {
    "sql \"SELECT command, count(*) AS n FROM runs GROUP BY command\"",
    "sql \"SELECT * FROM v_runs LIMIT 5\"", NULL};
const struct sh_cmd cmd_sql = {
    .name = "sql",
    .group = "runs",
    .args = "QUERY",
    .summary = "run a read-only SQL query on the run database",
    .detail = "One statement; whatever would write is refused. Tables: runs, results, metrics, "
              "samples, tags, notes; views made for people: v_runs, v_best, v_metric_last. Quote "
              "the query, or type it as it is up to the end of the line or a ';'.",
    .examples = sql_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_STORE,
    .flags = SH_RAW,
    .run = run_sql,
};
