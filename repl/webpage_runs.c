/*
 * webpage_runs: recorded runs on a page: all of them at a glance, what differs, their curves in one
 * chart for each metric, and each by itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/compare.h"
#include "repl/runs.h"
#include "repl/split.h"
#include "repl/webpage_parts.h"

#define MOST_COMPARED 8  /* runs in the table of differences */
#define MOST_CURVES   64 /* runs in one chart, whatever was asked for */
#define MOST_METRICS  128
#define OPEN          3 /* up to so many runs are shown unfolded */

struct metric {
    char *name;
    size_t have;             /* runs that have it */
    size_t run[MOST_CURVES]; /* the first of them */
};

struct runs_page {
    struct vq_store *store;
    const struct sh_run_ids *ids;
    size_t curves, details;
    struct metric *metrics; /* [MOST_METRICS] */
    size_t n_metrics, at;   /* at: the run being looked at */
    bool more_metrics, failed;
    size_t status[VQ_RUN_STATUSES];
    double first, last, seconds; /* when they began; how long all took */
};

/* ---- runs to tell about ---- */

bool sh_run_ids_add(struct sh_run_ids *ids, const char *id)
{
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 16;
        void *grown = vq_realloc(ids->v, cap, sizeof(*ids->v));
        if (!grown)
            return false;
        ids->v = grown;
        ids->cap = cap;
    }
    snprintf(ids->v[ids->n++], VQ_RUN_ID_SIZE, "%s", id);
    return true;
}

void sh_run_ids_release(struct sh_run_ids *ids)
{
    free(ids->v);
    *ids = (struct sh_run_ids){0};
}

static bool keep_run(void *ud, const char *id, const struct vq_value *values)
{
    (void)values;
    return sh_run_ids_add(ud, id);
}

enum vq_status sh_run_ids_list(struct sh_run_ids *ids, struct vq_store *store,
                               const struct vq_listing *query, const struct vq_cancel *cancel,
                               struct vq_listing_place *place, struct vq_err *err)
{
    size_t before = ids->n, total = 0;
    enum vq_status status = vq_store_list(store, query, keep_run, ids, &total, place, cancel, err);
    size_t most = query->limit && query->limit < total ? query->limit : total;
    if (status == VQ_OK && ids->n - before < most)
        status = vq_nomem(err, "runs", total, VQ_RUN_ID_SIZE);
    ids->query = *query;
    ids->total = before + total;
    return status;
}

/* ---- what there is ---- */

static bool add_metric(void *ud, const struct vq_metric_info *m)
{
    struct runs_page *p = ud;
    size_t i = 0;
    while (i < p->n_metrics && strcmp(p->metrics[i].name, m->name) != 0)
        i++;
    if (i == MOST_METRICS) {
        p->more_metrics = true;
        return true;
    }
    if (i == p->n_metrics) {
        p->metrics[i] = (struct metric){.name = vq_strdup(m->name)};
        p->failed = !p->metrics[i].name;
        p->n_metrics += !p->failed;
    }
    if (!p->failed && p->metrics[i].have < MOST_CURVES)
        p->metrics[i].run[p->metrics[i].have] = p->at;
    p->metrics[i].have += !p->failed;
    return !p->failed;
}

static void count_run(struct runs_page *p, const struct vq_run_info *r)
{
    p->status[r->status]++;
    p->first = p->at ? fmin(p->first, r->started_at) : r->started_at;
    p->last = p->at ? fmax(p->last, r->started_at) : r->started_at;
    if (isfinite(r->ended_at))
        p->seconds += r->ended_at - r->started_at;
}

static enum vq_status look_at_runs(struct runs_page *p, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (p->at = 0; status == VQ_OK && p->at < p->ids->n; p->at++) {
        struct vq_run_info *run;
        status = vq_store_metrics(p->store, p->ids->v[p->at], add_metric, p, err);
        if (status == VQ_OK)
            status = vq_store_run(p->store, p->ids->v[p->at], &run, err);
        if (status != VQ_OK)
            break;
        count_run(p, run);
        free(run);
    }
    if (status == VQ_OK && p->failed)
        status = vq_nomem(err, "metrics", p->n_metrics, sizeof(*p->metrics));
    return status;
}

/* ---- parts ---- */

static void put_overview(struct sh_webpage *w, void *ud)
{
    struct runs_page *p = ud;
    char from[32], to[32];
    sh_webpage_tiles(w);
    sh_webpage_tile(w, "runs", "%zu", p->ids->n);
    for (size_t i = 0; i < VQ_RUN_STATUSES; i++)
        if (p->status[i])
            sh_webpage_tile(w, vq_run_status_name((enum vq_run_status)i), "%zu", p->status[i]);
    if (p->seconds >= 5400)
        sh_webpage_tile(w, "time in all", "%.1f h", p->seconds / 3600);
    else
        sh_webpage_tile(w, "time in all", "%.4g s", p->seconds);
    sh_webpage_tile(w, "first", "%.16s", sh_utc(p->first, from, sizeof(from)));
    sh_webpage_tile(w, "last", "%.16s", sh_utc(p->last, to, sizeof(to)));
    sh_webpage_tiles_end(w);
    sh_webpage_overview(w, p->store, p->ids, p->details);
}

static bool several(const void *ud)
{
    return ((const struct runs_page *)ud)->ids->n > 1;
}

/* How runs are called above the columns; ids keep equal names apart. */
static enum vq_status add_compared(struct runs_page *p, struct sh_compare *c, size_t n,
                                   char (*names)[128], struct vq_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct vq_run_info *run;
        if (sh_compare_add(c, p->store, p->ids->v[i], err) != VQ_OK ||
            vq_store_run(p->store, p->ids->v[i], &run, err) != VQ_OK)
            return err->code;
        snprintf(names[i], sizeof(names[i]), "%.100s%s%s", run->name, *run->name ? " " : "",
                 run->id);
        free(run);
    }
    return VQ_OK;
}

/* What the second of two runs has over the first, and that in percent. */
static void put_change(struct sh_webpage *w, const struct vq_value *a, const struct vq_value *b)
{
    struct vq_value delta = {0}, percent = {0};
    double from, to;
    int64_t whole;
    if (sh_as_number(a, &from) && sh_as_number(b, &to)) {
        delta = (struct vq_value){.kind = VQ_VALUE_REAL, .d = to - from};
        if (a->kind == VQ_VALUE_INT && b->kind == VQ_VALUE_INT &&
            !__builtin_sub_overflow(b->i, a->i, &whole))
            delta = (struct vq_value){.kind = VQ_VALUE_INT, .i = whole};
        if (from != 0 && isfinite(from))
            percent = (struct vq_value){.kind = VQ_VALUE_REAL, .d = 100 * (to - from) / fabs(from)};
    }
    sh_webpage_cell(w, &delta);
    sh_webpage_cell(w, &percent);
}

static void put_differences(struct sh_webpage *w, const struct sh_compare *c,
                            const char (*names)[128])
{
    const char *columns[MOST_COMPARED + 3] = {"attribute"};
    for (size_t i = 0; i < c->n; i++)
        columns[i + 1] = names[i];
    columns[c->n + 1] = "change";
    columns[c->n + 2] = "percent";
    sh_webpage_table(w, NULL);
    sh_webpage_columns(w, columns, NULL, c->n + (c->n == 2 ? 3 : 1));
    for (size_t i = 0; i < c->n_rows && w->rc == SH_OK; i++) {
        const struct sh_compare_row *row = &c->rows[i];
        const struct vq_value name = {VQ_VALUE_TEXT, .text = row->name, .len = strlen(row->name)};
        if (!sh_compare_is_news(c, i) || !strcmp(row->name, "id") || !strcmp(row->name, "name"))
            continue;
        sh_webpage_row(w);
        sh_webpage_cell(w, &name);
        for (size_t k = 0; k < c->n; k++)
            sh_webpage_cell(w, &row->v[k]);
        if (c->n == 2)
            put_change(w, &row->v[0], &row->v[1]);
        sh_webpage_row_end(w);
    }
    sh_webpage_table_end(w);
}

static void put_diff(struct sh_webpage *w, void *ud)
{
    struct runs_page *p = ud;
    struct vq_err err = {0};
    struct sh_compare c = {0};
    char names[MOST_COMPARED][128];
    size_t n = p->ids->n < MOST_COMPARED ? p->ids->n : MOST_COMPARED;
    if (p->ids->n > n)
        sh_webpage_say(w, "Of the first %zu of %zu runs.", n, p->ids->n);
    if (add_compared(p, &c, n, names, &err) == VQ_OK)
        put_differences(w, &c, (const char(*)[128])names);
    else if (w->rc == SH_OK)
        w->rc = sh_fail(w->sh, &err);
    sh_compare_release(&c);
}

static bool any_curve(const void *ud)
{
    const struct runs_page *p = ud;
    return p->n_metrics > 0 && p->curves > 0;
}

/* One chart of a metric, with the first runs that have it. */
static void put_curve(struct sh_webpage *w, struct runs_page *p, const struct metric *m)
{
    struct vq_text arguments = {0}, shown = {0}, caption = {0};
    size_t n = m->have < p->curves ? m->have : p->curves;
    vq_text_puts(&shown, "metric --metric ");
    sh_split_quote(m->name, strlen(m->name), &shown);
    for (size_t i = 0; i < n; i++)
        vq_text_printf(&shown, " --run %s", p->ids->v[m->run[i]]);
    if (!shown.failed)
        vq_text_printf(&arguments, "%s --width 720 --height 420", shown.data);
    vq_text_puts(&caption, m->name);
    if (m->have > n)
        vq_text_printf(&caption, " of the first %zu of %zu runs that have it", n, m->have);
    if (arguments.failed || caption.failed || shown.failed)
        w->rc = sh_failf(w->sh, "out of memory");
    else
        sh_webpage_plot(w, arguments.data, n > 2 ? NULL : shown.data, caption.data);
    vq_text_release(&arguments);
    vq_text_release(&shown);
    vq_text_release(&caption);
}

/* What people look at first, in this order; the others follow, folded. */
static const char *const first_rank[] = {"loss",       "valid_loss",       "bits_per_byte",
                                         "perplexity", "grad_norm",        "lr",
                                         "c_entropy",  "relative_err_mean"};
enum { N_FIRST = sizeof(first_rank) / sizeof(first_rank[0]) };

static bool is_first_rank(const char *metric)
{
    for (size_t i = 0; i < N_FIRST; i++)
        if (strcmp(first_rank[i], metric) == 0)
            return true;
    return false;
}

static void put_curves(struct sh_webpage *w, void *ud)
{
    struct runs_page *p = ud;
    size_t rest = 0;
    if (p->ids->n > p->curves)
        sh_webpage_say(w,
                       "Each chart has at most %zu runs, the first of those above that have the "
                       "metric; --curves takes more.",
                       p->curves);
    if (p->more_metrics)
        sh_webpage_say(w, "The first %d metrics; there are more.", MOST_METRICS);
    for (size_t i = 0; i < p->n_metrics; i++)
        rest += !is_first_rank(p->metrics[i].name);
    sh_webpage_beside(w);
    for (size_t k = 0; k < N_FIRST; k++)
        for (size_t i = 0; i < p->n_metrics && w->rc == SH_OK; i++)
            if (strcmp(first_rank[k], p->metrics[i].name) == 0)
                put_curve(w, p, &p->metrics[i]);
    sh_webpage_beside_end(w);
    if (!rest)
        return;
    char summary[64];
    snprintf(summary, sizeof(summary), "%zu more metrics", rest);
    sh_webpage_fold(w, NULL, summary, rest == p->n_metrics);
    sh_webpage_beside(w);
    for (size_t i = 0; i < p->n_metrics && w->rc == SH_OK; i++)
        if (!is_first_rank(p->metrics[i].name))
            put_curve(w, p, &p->metrics[i]);
    sh_webpage_beside_end(w);
    sh_webpage_unfold(w);
}

static bool any_details(const void *ud)
{
    return ((const struct runs_page *)ud)->details > 0;
}

static void put_each(struct sh_webpage *w, void *ud)
{
    struct runs_page *p = ud;
    size_t n = p->ids->n < p->details ? p->ids->n : p->details;
    if (p->ids->n > n)
        sh_webpage_say(w, "The first %zu of %zu runs; --details takes more.", n, p->ids->n);
    for (size_t i = 0; i < n && w->rc == SH_OK; i++)
        sh_webpage_run(w, p->store, p->ids->v[i], n <= OPEN);
}

static void put_origin(struct sh_webpage *w, void *ud)
{
    (void)ud;
    sh_webpage_origin(w, NULL);
}

static const struct sh_webpage_part parts[] = {
    {"runs", "Runs", NULL, put_overview, false},
    {"differences", "What differs", several, put_diff, false},
    {"curves", "Curves", any_curve, put_curves, false},
    {"each", "Each run", any_details, put_each, false},
    {"page", "About this page", NULL, put_origin, true},
};

void sh_webpage_runs(struct sh_webpage *w, const struct sh_args *a, struct vq_store *store,
                     const struct sh_run_ids *ids)
{
    struct vq_err err = {0};
    struct runs_page p = {.store = store,
                          .ids = ids,
                          .curves = (size_t)sh_opt_int(a, "curves"),
                          .details = (size_t)sh_opt_int(a, "details"),
                          .metrics = vq_calloc(MOST_METRICS, sizeof(*p.metrics))};
    if (w->rc != SH_OK || !p.metrics || look_at_runs(&p, &err) != VQ_OK) {
        if (w->rc == SH_OK)
            w->rc = p.metrics ? sh_fail(w->sh, &err) : sh_failf(w->sh, "out of memory");
    } else {
        sh_webpage_parts(w, parts, sizeof(parts) / sizeof(parts[0]), &p);
    }
    for (size_t i = 0; p.metrics && i < p.n_metrics; i++)
        free(p.metrics[i].name);
    free(p.metrics);
}
