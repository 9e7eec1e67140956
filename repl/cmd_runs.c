/*
 * Commands that list and show recorded runs: runs, run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/cmds.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/runview.h"

/* Rows that `runs` shows on a screen unless told otherwise; files and pipes get all. */
#define SCREEN_LIMIT 50

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
        sh_json_value(&r->text, v);
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
    struct results r = {.json = sh_for_programs(sh)};
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

/* What `runs` shows unless it is told: attributes, and `results`, which is all of them at once. */
static const char default_columns[] =
    "id,started,started_at,seconds,status,command,command_line,model,seed,name,tags,results";
static const char hidden_columns[] = "started_at command_line";
static const char spare_columns[] = "seed seconds name tags";

/* Columns of a screen from which on there is room for whole times. */
#define WIDE 120

struct listing {
    struct sh *sh;
    struct vq_store *store;
    char **columns; /* as shown; those of the query lack `results` */
    const char **asked;
    size_t n, n_asked, shown;
    bool brief;                 /* times without what is clear */
    enum vq_column_kind *kinds; /* [n] */
};

static bool is_results(const char *column)
{
    return strcmp(column, "results") == 0;
}

/* `started` is for reading, `started_at` for reckoning. "01-31 12:00" is of this year. */
static void put_time(const struct listing *l, const char *column, const struct vq_value *v)
{
    char when[32], now[32];
    size_t len = strlen(column);
    if (v->kind == VQ_VALUE_NULL || (len > 3 && strcmp(column + len - 3, "_at") == 0)) {
        sh_put_value(l->sh, column, v);
        return;
    }
    sh_utc(v->d, when, sizeof(when));
    sh_utc(sh_wall(), now, sizeof(now));
    if (!l->brief)
        sh_str(l->sh, column, when);
    else if (strncmp(when, now, 4) == 0)
        sh_strf(l->sh, column, "%.11s", when + 5);
    else
        sh_strf(l->sh, column, "%.10s", when);
}

static void put_column(struct listing *l, size_t i, const struct vq_value *v)
{
    const char *column = l->columns[i];
    if (l->kinds[i] == VQ_COLUMN_TIME)
        put_time(l, column, v);
    else if (l->kinds[i] == VQ_COLUMN_SEED && v->text)
        sh_uint(l->sh, column, strtoull(v->text, NULL, 10));
    else
        sh_put_value(l->sh, column, v);
}

static bool list_run(void *ud, const char *id, const struct vq_value *values)
{
    struct listing *l = ud;
    l->shown++;
    sh_row(l->sh);
    for (size_t i = 0; i < l->n; i++) {
        if (is_results(l->columns[i]))
            put_results(l->sh, l->store, id);
        else
            put_column(l, i, values++);
    }
    return true;
}

/* Splits the columns; the same one twice would be one key with two values. */
static enum sh_rc take_columns(struct listing *l, const struct sh_args *a)
{
    const char *text = sh_opt_given(a, "columns") ? sh_opt_text(a, "columns") : default_columns;
    enum sh_rc rc = sh_split_names(l->sh, text, &l->columns, &l->n);
    if (rc != SH_OK)
        return rc;
    l->asked = vq_calloc(l->n, sizeof(*l->asked));
    l->kinds = vq_calloc(l->n, sizeof(*l->kinds));
    if (!l->asked || !l->kinds)
        return sh_failf(l->sh, "out of memory");
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < i; k++)
            if (strcmp(l->columns[i], l->columns[k]) == 0)
                return sh_bad_arg_at(l->sh, sh_opt_word(a, "columns"),
                                     (size_t)(l->columns[i] - l->columns[0]),
                                     "column %s is there twice", l->columns[i]);
        if (is_results(l->columns[i]))
            continue;
        l->asked[l->n_asked++] = l->columns[i];
        l->kinds[i] = vq_store_column_kind(l->store, l->columns[i]);
    }
    return SH_OK;
}

static void release(struct listing *l)
{
    if (l->columns)
        free(l->columns[0]);
    free(l->columns);
    free(l->asked);
    free(l->kinds);
}

static enum sh_rc list_runs(struct listing *l, const struct sh_args *a, const struct sh_filter *f,
                            char *const *sort, size_t n_sort)
{
    struct sh *sh = l->sh;
    struct vq_err err = {0};
    struct vq_listing_place place;
    struct vq_listing q = {.filter = f->text.data,
                           .columns = l->asked,
                           .n_columns = l->n_asked,
                           .sort = (const char *const *)sort,
                           .n_sort = n_sort,
                           .limit = sh_for_people(sh) ? SCREEN_LIMIT : 0,
                           .removed = sh_opt_flag(a, "removed")};
    char shown[32], all[32];
    size_t total = 0;
    if (sh_opt_given(a, "limit"))
        q.limit = (size_t)sh_opt_int(a, "limit");
    sh_list_names(sh, (const char *const *)l->columns, l->n);
    sh_columns_whole(sh, "id started ended");
    if (!sh_opt_given(a, "columns")) {
        int columns = sh_for_people(sh) ? sh_table_columns(sh) : 0;
        l->brief = columns && columns < WIDE;
        sh_columns_hidden(sh, hidden_columns);
        sh_columns_spare(sh, spare_columns);
    }
    if (vq_store_list(l->store, &q, list_run, l, &total, &place, sh_cancel(sh), &err) != VQ_OK)
        return sh_filter_fail(sh, a, f, &place, &err);
    enum sh_rc rc = sh_end(sh);
    if (l->shown < total)
        sh_note(sh, "%s of %s runs; --limit 0 lists all", sh_thousands(l->shown, shown),
                sh_thousands(total, all));
    return rc;
}

static enum sh_rc run_runs(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct listing l = {.sh = sh, .store = sh_store(sh, &err)};
    struct sh_filter f;
    char **sort = NULL;
    size_t n_sort = 0;
    if (!l.store)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_filter_take(sh, a, 0, true, &f);
    if (rc != SH_OK)
        return rc;
    rc = take_columns(&l, a);
    if (rc == SH_OK && sh_opt_given(a, "sort"))
        rc = sh_split_names(sh, sh_opt_text(a, "sort"), &sort, &n_sort);
    if (rc == SH_OK)
        rc = list_runs(&l, a, &f, sort, n_sort);
    if (sort)
        free(sort[0]);
    free(sort);
    release(&l);
    sh_filter_release(&f);
    return rc;
}

static const struct sh_opt runs_opts[] = {
    {.name = "columns",
     .letter = 'c',
     .kind = SH_FIELDS,
     .value = "A,B,...",
     .help = "attributes to show, and results for all results at once"},
    {.name = "sort",
     .letter = 's',
     .kind = SH_FIELDS,
     .value = "A,B,...",
     .help = "attributes to sort by; -A: downwards (default: newest first)"},
    SH_FILTER_OPTS,
    {.name = "removed", .kind = SH_FLAG, .help = "runs that were removed and can come back"},
    {.name = "limit",
     .letter = 'n',
     .kind = SH_INT,
     .min = 0,
     .max = 1e9,
     .help = "rows at most; 0: all (default: 50 on a screen, else all)"},
    SH_OPT_END};
static const char *const runs_examples[] = {
    "runs", "runs --command score -n 5", "runs status=finished and model~text and started>2d",
    "runs bits_per_byte<2 or tag=best --columns id,model,bits_per_byte,config.d_model --sort "
    "bits_per_byte",
    NULL};
const struct sh_cmd cmd_runs = {
    .name = "runs",
    .group = "runs",
    .args = "[FILTER]",
    .summary = "list recorded runs, newest first",
    .detail =
        "FILTER is one or more tests joined by and, or, not and parentheses:\n"
        "  status=finished and model~text and (bits_per_byte<2 or tag=best) and started>2d\n"
        "A test compares an attribute by = != < <= > >=, or by ~ (contains, capitals do not "
        "matter) and !~. A word alone is part of an id, name, command line, model, error, tag or "
        "note. a=x,y is one of both; a=none: there is none.\n\n"
        "Attributes, for tests, --columns and --sort:\n"
        "  id name command line status error model path sha256 seed threads version host cwd pid\n"
        "  started ended seconds tag note sample\n"
        "  KEY            a result, else the last value of a metric\n"
        "  result.KEY  metric.NAME  min.NAME  max.NAME  config.KEY  settings.KEY\n\n"
        "Times are UTC: 2026-01-31, 2026-01-31T12:00, today, or how long ago: 30m, 2h, 1d12h. "
        "What ended without a word shows as crashed.",
    .examples = runs_examples,
    .max_args = -1,
    .kinds = {SH_FILTER},
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
    if (!sh_for_people(p->sh))
        sh_part_bytes(p, "text", s->text, s->len);
    return true;
}

static bool note_row(void *ud, double time, const char *text, size_t len)
{
    struct sh_part *p = ud;
    char when[32];
    sh_part_row(p);
    sh_part_str(p, "time", sh_utc(time, when, sizeof(when)));
    sh_part_bytes(p, "note", text, len);
    return true;
}

/* Outside JSON, where results are an object, they are a table of keys and values. */
static bool result_row(void *ud, const char *key, const struct vq_value *v)
{
    struct sh_part *p = ud;
    sh_part_row(p);
    sh_part_str(p, "result", key);
    sh_part_value(p, "value", v);
    return true;
}

/* "n=2 length=60 ...", which people read more easily than JSON. */
static bool add_member(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    struct vq_text *t = ud;
    vq_text_printf(t, "%s%s=%s", t->len ? " " : "", key,
                   v->kind == VQ_VALUE_TEXT && !v->text[strcspn(v->text, " \n")] ? v->text : json);
    return true;
}

typedef enum vq_status (*members_of)(struct vq_store *store, const char *id, vq_member_row row,
                                     void *ud, struct vq_err *err);

static void put_members(struct sh *sh, const char *id, const char *key, const char *json,
                        members_of members)
{
    struct vq_text t = {0};
    if (sh_for_people(sh) && *json)
        members(sh_store(sh, NULL), id, add_member, &t, NULL);
    if (sh_for_people(sh))
        sh_str(sh, key, t.data);
    else
        sh_json(sh, key, *json ? json : "null");
    vq_text_release(&t);
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
    sh_str(sh, "started", sh_utc(r->started_at, when, sizeof(when)));
    sh_str(sh, "ended", isfinite(r->ended_at) ? sh_utc(r->ended_at, when, sizeof(when)) : NULL);
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
    put_members(sh, r->id, "settings", r->settings, vq_store_settings);
    put_members(sh, r->id, "config", r->config, vq_store_config);
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
    sh_part_list(p, "samples",
                 sh_for_people(p->sh) ? "index seed tokens nats path"
                                      : "index seed tokens nats path text");
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
    char id[VQ_RUN_ID_SIZE];
    enum sh_rc rc = sh_run_find(sh, a, 0, id);
    if (rc != SH_OK)
        return rc;
    struct vq_store *store = sh_store(sh, &err);
    if (vq_store_run(store, id, &info, &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_record(sh);
    describe(sh, info);
    if (sh_for_programs(sh))
        put_results(sh, store, info->id);
    struct sh_part p = sh_parts_begin(sh);
    enum vq_status status = list_parts(&p, store, info->id, &err);
    if (status == VQ_OK) {
        rc = sh_parts_end(&p);
    } else {
        sh_parts_drop(&p);
        rc = sh_fail(sh, &err);
    }
    if (rc == SH_OK && sh_for_people(sh))
        rc = sh_view_samples(sh, store, info);
    free(info);
    return rc;
}

static const char *const run_examples[] = {"run -1", "run -2", NULL};
const struct sh_cmd cmd_run = {
    .name = "run",
    .group = "runs",
    .args = "RUN",
    .summary = "show all that is recorded about one run, samples and pictures too",
    .detail =
        "RUN is an id or the beginning of one, a name, or -1 for the last run, -2 for the one "
        "before it. On a terminal the pictures that it painted are shown where they are still "
        "there (set preview).",
    .examples = run_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .run = run_run,
};
