#include "repl/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/runs.h"

static struct sh_compare_row *row_of(struct sh_compare *c, enum sh_compared of, const char *name)
{
    for (size_t i = 0; i < c->n_rows; i++)
        if (c->rows[i].of == of && strcmp(c->rows[i].name, name) == 0)
            return &c->rows[i];
    if (c->n_rows == c->room) {
        size_t room = c->room ? 2 * c->room : 128;
        struct sh_compare_row *grown = vq_realloc(c->rows, room, sizeof(*grown));
        if (!grown)
            return NULL;
        c->rows = grown;
        c->room = room;
    }
    char *copy = vq_strdup(name);
    if (!copy)
        return NULL;
    c->rows[c->n_rows] = (struct sh_compare_row){.of = of, .name = copy};
    return &c->rows[c->n_rows++];
}

static bool put(struct sh_compare *c, enum sh_compared of, const char *name,
                const struct vq_value *v)
{
    struct sh_compare_row *row = row_of(c, of, name);
    char *copy = v->text ? vq_copy_bytes(v->text, v->len) : NULL;
    c->failed = c->failed || !row || (v->text && !copy);
    if (c->failed) {
        free(copy);
        return false;
    }
    free((char *)(uintptr_t)row->v[c->run].text);
    row->v[c->run] = *v;
    row->v[c->run].text = copy;
    return true;
}

static void put_text(struct sh_compare *c, const char *name, const char *text)
{
    struct vq_value v = {.kind = VQ_VALUE_TEXT, .text = text, .len = strlen(text)};
    if (!*text)
        v = (struct vq_value){.kind = VQ_VALUE_NULL};
    put(c, SH_OF_RUN, name, &v);
}

static void put_int(struct sh_compare *c, enum sh_compared of, const char *name, int64_t i)
{
    put(c, of, name, &(struct vq_value){.kind = VQ_VALUE_INT, .i = i});
}

static void put_real(struct sh_compare *c, enum sh_compared of, const char *name, double d)
{
    put(c, of, name, &(struct vq_value){.kind = VQ_VALUE_REAL, .d = d});
}

static void put_run(struct sh_compare *c, const struct vq_run_info *r)
{
    char text[32];
    put_text(c, "id", r->id);
    put_text(c, "name", r->name);
    put_text(c, "status", vq_run_status_name(r->status));
    put_text(c, "error", r->error);
    put_text(c, "command", r->command);
    put_text(c, "line", r->command_line);
    put_text(c, "started", sh_utc(r->started_at, text, sizeof(text)));
    if (isfinite(r->ended_at))
        put_real(c, SH_OF_RUN, "seconds", r->ended_at - r->started_at);
    put_text(c, "model", r->model_name);
    put_text(c, "path", r->model_path);
    put_text(c, "sha256", r->model_sha256);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)r->seed);
    put_text(c, "seed", r->has_seed ? text : "");
    put_int(c, SH_OF_RUN, "threads", r->threads);
    put_text(c, "version", r->version);
    put_text(c, "host", r->host);
    put_text(c, "cwd", r->cwd);
    put_text(c, "tag", r->tags);
    put_int(c, SH_OF_RUN, "note", r->notes);
}

/* Numbers as such; true, false, null, lists and objects as their JSON. */
static bool put_member(struct sh_compare *c, enum sh_compared of, const char *prefix,
                       const char *key, const struct vq_value *v, const char *json)
{
    char name[256];
    struct vq_value text = {.kind = VQ_VALUE_TEXT, .text = json, .len = strlen(json)};
    bool word = strcmp(json, "true") == 0 || strcmp(json, "false") == 0;
    snprintf(name, sizeof(name), "%s%s", prefix, key);
    return put(c, of, name, word || v->kind == VQ_VALUE_NULL ? &text : v);
}

static bool put_setting(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    return put_member(ud, SH_OF_SETTINGS, "settings.", key, v, json);
}

static bool put_config(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    return put_member(ud, SH_OF_CONFIG, "config.", key, v, json);
}

/* A result that is called like something of the run itself gets its long name. */
static bool put_result(void *ud, const char *key, const struct vq_value *v)
{
    struct sh_compare *c = ud;
    char name[256];
    bool taken = false;
    for (size_t i = 0; i < c->n_rows; i++)
        taken = taken || (c->rows[i].of == SH_OF_RUN && strcmp(c->rows[i].name, key) == 0);
    snprintf(name, sizeof(name), "%s%s", taken ? "result." : "", key);
    return put(c, SH_OF_RESULTS, name, v);
}

/* One number of a metric beside its last value. */
static void put_detail(struct sh_compare *c, const char *what, const char *metric,
                       const struct vq_value *v)
{
    char name[256];
    snprintf(name, sizeof(name), "%s%s", what, metric);
    if (put(c, SH_OF_METRICS, name, v))
        row_of(c, SH_OF_METRICS, name)->detail = true;
}

static bool put_metric(void *ud, const struct vq_metric_info *m)
{
    struct sh_compare *c = ud;
    char name[256];
    snprintf(name, sizeof(name), "metric.%s", m->name);
    put_real(c, SH_OF_METRICS, name, m->last);
    put_detail(c, "min.", m->name, &(struct vq_value){.kind = VQ_VALUE_REAL, .d = m->min});
    put_detail(c, "max.", m->name, &(struct vq_value){.kind = VQ_VALUE_REAL, .d = m->max});
    put_detail(c, "points of ", m->name, &(struct vq_value){.kind = VQ_VALUE_INT, .i = m->points});
    put_detail(c, "last step of ", m->name,
               &(struct vq_value){.kind = VQ_VALUE_INT, .i = m->last_step});
    return !c->failed;
}

static bool count_sample(void *ud, const struct vq_sample *s)
{
    (void)s;
    ++*(int64_t *)ud;
    return true;
}

enum vq_status sh_compare_add(struct sh_compare *c, struct vq_store *store, const char *id,
                              struct vq_err *err)
{
    struct vq_run_info *info;
    int64_t samples = 0;
    c->run = c->n;
    enum vq_status status = vq_store_run(store, id, &info, err);
    if (status != VQ_OK)
        return status;
    put_run(c, info);
    free(info);
    status = vq_store_samples(store, id, count_sample, &samples, err);
    put_int(c, SH_OF_RUN, "sample", samples);
    if (status == VQ_OK)
        status = vq_store_settings(store, id, put_setting, c, err);
    if (status == VQ_OK)
        status = vq_store_config(store, id, put_config, c, err);
    if (status == VQ_OK)
        status = vq_store_results(store, id, put_result, c, err);
    if (status == VQ_OK)
        status = vq_store_metrics(store, id, put_metric, c, err);
    if (status == VQ_OK && c->failed)
        status = vq_nomem(err, "comparison", c->n_rows, sizeof(*c->rows));
    c->n++;
    return status;
}

void sh_compare_release(struct sh_compare *c)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        free(c->rows[i].name);
        for (size_t k = 0; k < SH_MAX_COMPARED; k++)
            free((char *)(uintptr_t)c->rows[i].v[k].text);
    }
    free(c->rows);
    *c = (struct sh_compare){0};
}

bool sh_as_number(const struct vq_value *v, double *out)
{
    *out = v->kind == VQ_VALUE_INT ? (double)v->i : v->d;
    return v->kind == VQ_VALUE_INT || v->kind == VQ_VALUE_REAL;
}

bool sh_same_value(const struct vq_value *a, const struct vq_value *b)
{
    double x, y;
    if (a->kind == VQ_VALUE_INT && b->kind == VQ_VALUE_INT)
        return a->i == b->i;
    bool numbers = sh_as_number(a, &x) && sh_as_number(b, &y);
    if (numbers)
        return x == y || (isnan(x) && isnan(y));
    if (a->kind != b->kind)
        return false;
    return a->kind == VQ_VALUE_NULL || (a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
}

bool sh_compare_same(const struct sh_compare *c, const struct sh_compare_row *row)
{
    for (size_t i = 1; i < c->n; i++)
        if (!sh_same_value(&row->v[0], &row->v[i]))
            return false;
    return true;
}

bool sh_compare_is_news(const struct sh_compare *c, size_t i)
{
    size_t last = i;
    while (last > 0 && c->rows[last].detail)
        last--;
    return !sh_compare_same(c, &c->rows[i]) && (last == i || sh_compare_same(c, &c->rows[last]));
}
