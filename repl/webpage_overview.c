/*
 * webpage_overview: runs as one table. Columns are those of `runs` that have anything in them, then
 * the settings and values of configuration in which the runs differ, then their results.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/runs.h"
#include "repl/webpage_parts.h"

#define MOST_SETTINGS 8  /* columns */
#define MOST_RESULTS  12 /* columns */
#define MOST_KEYS     256
#define LONGEST       40 /* bytes of a setting that is worth a column */

/* What a run is, by names of attributes. */
static const char *const fixed[] = {"id",      "name",  "started", "seconds", "status",
                                    "command", "model", "seed",    "tags"};
enum { N_FIXED = sizeof(fixed) / sizeof(fixed[0]) };

/* A setting or result that some run has. */
struct key {
    char *attribute; /* "settings.lr_max" */
    char *first;     /* a setting's value in the first run that has it, as JSON */
    bool differs, number;
};

struct keys {
    struct key v[MOST_KEYS];
    size_t n;
    bool failed;
};

struct overview {
    struct sh_webpage *w;
    struct vq_store *store;
    const struct sh_run_ids *ids;
    size_t linked;
    bool used[N_FIXED];            /* some run has it */
    struct keys settings, results; /* settings: values of configuration too */
    const char **columns;          /* attributes: fixed ones, settings, results */
    size_t n, from_settings, from_results;
};

static void release_keys(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].attribute);
        free(k->v[i].first);
    }
}

/* ---- which columns there are ---- */

static struct key *key_of(struct keys *k, const char *family, const char *name)
{
    size_t skip = strlen(family);
    for (size_t i = 0; i < k->n; i++)
        if (strncmp(k->v[i].attribute, family, skip) == 0 &&
            strcmp(k->v[i].attribute + skip, name) == 0)
            return &k->v[i];
    if (k->n == MOST_KEYS)
        return NULL;
    struct key *new = &k->v[k->n];
    *new = (struct key){0};
    if (asprintf(&new->attribute, "%s%s", family, name) < 0) {
        k->failed = true;
        return NULL;
    }
    k->n++;
    return new;
}

static bool add_member(struct keys *k, const char *family, const char *name,
                       const struct vq_value *v, const char *json)
{
    struct key *key = key_of(k, family, name);
    if (!key)
        return !k->failed;
    if (!key->first) {
        key->first = vq_strdup(json);
        k->failed = !key->first;
    } else {
        key->differs = key->differs || strcmp(key->first, json) != 0;
    }
    key->number = v->kind == VQ_VALUE_INT || v->kind == VQ_VALUE_REAL;
    return !k->failed;
}

static bool add_setting(void *ud, const char *name, const struct vq_value *v, const char *json)
{
    return add_member(ud, "settings.", name, v, json);
}

static bool add_config(void *ud, const char *name, const struct vq_value *v, const char *json)
{
    return add_member(ud, "config.", name, v, json);
}

static bool add_result(void *ud, const char *name, const struct vq_value *v)
{
    struct keys *k = ud;
    struct key *key = key_of(k, "result.", name);
    if (key)
        key->number = key->number || v->kind == VQ_VALUE_INT || v->kind == VQ_VALUE_REAL;
    return !k->failed;
}

static bool short_setting(const struct key *k)
{
    return k->differs && strlen(k->first) <= LONGEST && k->first[0] != '[' && k->first[0] != '{';
}

static enum vq_status gather(struct overview *o, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && i < o->ids->n; i++) {
        const char *id = o->ids->v[i];
        struct vq_run_info *run;
        status = vq_store_settings(o->store, id, add_setting, &o->settings, err);
        if (status == VQ_OK)
            status = vq_store_config(o->store, id, add_config, &o->settings, err);
        if (status == VQ_OK)
            status = vq_store_results(o->store, id, add_result, &o->results, err);
        if (status == VQ_OK)
            status = vq_store_run(o->store, id, &run, err);
        if (status != VQ_OK)
            break;
        const bool has[N_FIXED] = {true, *run->name,       true,          true,      true,
                                   true, *run->model_name, run->has_seed, *run->tags};
        for (size_t k = 0; k < N_FIXED; k++)
            o->used[k] = o->used[k] || has[k];
        free(run);
    }
    if (status == VQ_OK && (o->settings.failed || o->results.failed))
        status = vq_nomem(err, "columns", o->settings.n + o->results.n, sizeof(struct key));
    return status;
}

static enum vq_status choose(struct overview *o, struct vq_err *err)
{
    o->columns = vq_calloc(N_FIXED + MOST_SETTINGS + MOST_RESULTS, sizeof(*o->columns));
    if (!o->columns)
        return vq_nomem(err, "columns", N_FIXED, sizeof(*o->columns));
    for (size_t i = 0; i < N_FIXED; i++)
        if (o->used[i])
            o->columns[o->n++] = fixed[i];
    o->from_settings = o->n;
    for (size_t i = 0; i < o->settings.n && o->n < o->from_settings + MOST_SETTINGS; i++)
        if (short_setting(&o->settings.v[i]))
            o->columns[o->n++] = o->settings.v[i].attribute;
    o->from_results = o->n;
    for (size_t i = 0; i < o->results.n && o->n < o->from_results + MOST_RESULTS; i++)
        if (o->results.v[i].number)
            o->columns[o->n++] = o->results.v[i].attribute;
    return VQ_OK;
}

/* ---- the table ---- */

/* "lr_max" of "config.lr_max", unless a run has something else of that name. */
static const char *shown_name(const struct overview *o, size_t i)
{
    const char *name = o->columns[i], *dot = strchr(name, '.');
    if (i < o->from_settings || !dot)
        return name;
    for (size_t k = 0; k < o->from_settings; k++)
        if (strcmp(o->columns[k], dot + 1) == 0)
            return name;
    return dot + 1;
}

static bool is_number(const struct overview *o, size_t i)
{
    if (i >= o->from_results)
        return true;
    for (size_t k = 0; i >= o->from_settings && k < o->settings.n; k++)
        if (o->settings.v[k].attribute == o->columns[i])
            return o->settings.v[k].number;
    return strcmp(o->columns[i], "seconds") == 0 || strcmp(o->columns[i], "seed") == 0;
}

static void put_names(struct overview *o)
{
    const char *names[N_FIXED + MOST_SETTINGS + MOST_RESULTS];
    bool numbers[N_FIXED + MOST_SETTINGS + MOST_RESULTS];
    for (size_t i = 0; i < o->n; i++) {
        names[i] = shown_name(o, i);
        numbers[i] = is_number(o, i);
    }
    sh_webpage_columns(o->w, names, numbers, o->n);
}

static void put_id(struct overview *o, const char *id)
{
    char anchor[32];
    snprintf(anchor, sizeof(anchor), "run-%s", id);
    for (size_t i = 0; i < o->linked && i < o->ids->n; i++) {
        if (strcmp(o->ids->v[i], id) != 0)
            continue;
        sh_webpage_link(o->w, anchor, id);
        return;
    }
    sh_webpage_cell(o->w, &(struct vq_value){VQ_VALUE_TEXT, .text = id, .len = strlen(id)});
}

static bool put_run(void *ud, const char *id, const struct vq_value *values)
{
    struct overview *o = ud;
    sh_webpage_row(o->w);
    for (size_t i = 0; i < o->n; i++) {
        const char *name = o->columns[i];
        if (strcmp(name, "id") == 0)
            put_id(o, id);
        else if (strcmp(name, "started") == 0)
            sh_webpage_moment(o->w, values[i].kind == VQ_VALUE_REAL ? values[i].d : NAN);
        else if (strcmp(name, "seed") == 0 && values[i].text)
            sh_webpage_digits(o->w, values[i].text);
        else
            sh_webpage_cell(o->w, &values[i]);
    }
    sh_webpage_row_end(o->w);
    return o->w->rc == SH_OK;
}

/* In one listing where one gave the runs; else one by one, in the order in which they were named.
 */
static enum vq_status put_runs(struct overview *o, struct vq_err *err)
{
    const struct vq_cancel *cancel = sh_cancel(o->w->sh);
    struct vq_listing q = o->ids->query;
    char filter[VQ_RUN_ID_SIZE + 8];
    enum vq_status status = VQ_OK;
    q.columns = o->columns;
    q.n_columns = o->n;
    if (q.filter)
        return vq_store_list(o->store, &q, put_run, o, NULL, NULL, cancel, err);
    for (size_t i = 0; status == VQ_OK && i < o->ids->n; i++) {
        snprintf(filter, sizeof(filter), "id=%s", o->ids->v[i]);
        q.filter = filter;
        status = vq_store_list(o->store, &q, put_run, o, NULL, NULL, cancel, err);
    }
    return status;
}

void sh_webpage_overview(struct sh_webpage *w, struct vq_store *store, const struct sh_run_ids *ids,
                         size_t linked)
{
    struct vq_err err = {0};
    struct overview *o = vq_calloc(1, sizeof(*o));
    if (!o) {
        w->rc = sh_failf(w->sh, "out of memory");
        return;
    }
    *o = (struct overview){.w = w, .store = store, .ids = ids, .linked = linked};
    enum vq_status status = gather(o, &err);
    if (status == VQ_OK)
        status = choose(o, &err);
    if (status == VQ_OK) {
        sh_webpage_table(w, NULL);
        put_names(o);
        status = put_runs(o, &err);
        sh_webpage_table_end(w);
    }
    if (ids->total > ids->n)
        sh_webpage_say(w, "The first %zu of %zu runs.", ids->n, ids->total);
    if (status != VQ_OK && w->rc == SH_OK)
        w->rc = sh_fail(w->sh, &err);
    w->runs = ids->n;
    release_keys(&o->settings);
    release_keys(&o->results);
    free(o->columns);
    free(o);
}
