/*
 * webpage_runs: recorded runs on a page: side by side, their curves, and each by itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/out.h"
#include "repl/runs.h"
#include "repl/runview.h"
#include "repl/split.h"
#include "repl/webpage_parts.h"

#define MOST_COMPARED 12 /* runs in one table of differences */
#define MOST_CURVES   8  /* runs in one chart */
#define MOST_METRICS  64

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

/* ---- samples ---- */

struct samples {
    struct sh_webpage *w;
    const struct vq_run_info *run;
    size_t pictures;
};

static bool add_sample(void *ud, const struct vq_sample *s)
{
    struct samples *p = ud;
    char caption[96];
    snprintf(caption, sizeof(caption), "sample %" PRId64 ", seed %" PRIu64, s->index, s->seed);
    if (s->path) {
        char *path = sh_run_path(p->run, s->path);
        if (!p->pictures++)
            sh_webpage_pictures_begin(p->w);
        sh_webpage_picture(p->w, path ? path : s->path, caption);
        free(path);
    } else if (s->text) {
        sh_webpage_text(p->w, caption, s->text, s->len);
    }
    return p->w->rc == SH_OK;
}

void sh_webpage_samples(struct sh_webpage *w, struct vq_store *store, const char *id)
{
    struct vq_err err = {0};
    struct vq_run_info *run;
    char when[32], heading[96];
    if (w->rc != SH_OK)
        return;
    if (vq_store_run(store, id, &run, &err) != VQ_OK) {
        w->rc = sh_fail(w->sh, &err);
        return;
    }
    struct samples p = {.w = w, .run = run};
    snprintf(heading, sizeof(heading), "%s, %s", id, sh_utc(run->started_at, when, sizeof(when)));
    sh_webpage_heading(w, heading);
    sh_webpage_say(w, "%s", run->command_line);
    enum vq_status status = vq_store_samples(store, id, add_sample, &p, &err);
    if (p.pictures)
        sh_webpage_pictures_end(w);
    if (status != VQ_OK)
        w->rc = sh_fail(w->sh, &err);
    free(run);
}

/* ---- curves ---- */

struct metrics {
    char *name[MOST_METRICS];
    size_t n;
    bool more, failed;
};

static bool add_metric(void *ud, const struct vq_metric_info *m)
{
    struct metrics *all = ud;
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->name[i], m->name))
            return true;
    if (all->n == MOST_METRICS) {
        all->more = true;
        return true;
    }
    all->name[all->n] = vq_strdup(m->name);
    all->failed = !all->name[all->n];
    all->n += !all->failed;
    return !all->failed;
}

struct wanted {
    const char *name;
    bool found;
};

static bool look_for(void *ud, const struct vq_metric_info *m)
{
    struct wanted *w = ud;
    w->found = w->found || !strcmp(m->name, w->name);
    return true;
}

/* One chart of a metric, with the first runs that have it. */
static void put_curves(struct sh_webpage *w, struct vq_store *store, const struct sh_run_ids *ids,
                       const char *metric)
{
    struct vq_text arguments = {0};
    char caption[160];
    size_t drawn = 0, have = 0;
    vq_text_puts(&arguments, "metric --metric ");
    sh_split_quote(metric, strlen(metric), &arguments);
    for (size_t i = 0; i < ids->n; i++) {
        struct wanted wanted = {.name = metric};
        vq_store_metrics(store, ids->v[i], look_for, &wanted, NULL);
        have += wanted.found;
        if (wanted.found && drawn < MOST_CURVES && ++drawn)
            vq_text_printf(&arguments, " --run %s", ids->v[i]);
    }
    if (have > drawn)
        snprintf(caption, sizeof(caption), "%s of the first %zu of %zu runs that have it", metric,
                 drawn, have);
    else
        snprintf(caption, sizeof(caption), "%s", metric);
    if (arguments.failed)
        w->rc = sh_failf(w->sh, "out of memory");
    else if (drawn)
        sh_webpage_plot(w, arguments.data, caption);
    vq_text_release(&arguments);
}

/* What people look at first; the others follow, folded. */
static bool is_first_rank(const char *metric)
{
    static const char *const names[] = {"loss",      "bits_per_byte", "valid_loss",
                                        "c_entropy", "grad_norm",     "lr"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], metric))
            return true;
    return false;
}

static void put_all_curves(struct sh_webpage *w, struct vq_store *store,
                           const struct sh_run_ids *ids)
{
    struct metrics all = {0};
    size_t rest = 0;
    for (size_t i = 0; i < ids->n && !all.failed; i++)
        vq_store_metrics(store, ids->v[i], add_metric, &all, NULL);
    if (all.n)
        sh_webpage_section(w, "Curves");
    if (all.more)
        sh_webpage_say(w, "The first %d metrics; there are more.", MOST_METRICS);
    for (size_t i = 0; i < all.n && w->rc == SH_OK; i++) {
        rest += !is_first_rank(all.name[i]);
        if (is_first_rank(all.name[i]))
            put_curves(w, store, ids, all.name[i]);
    }
    if (rest)
        sh_webpage_fold(w, "More curves");
    for (size_t i = 0; i < all.n && w->rc == SH_OK; i++)
        if (!is_first_rank(all.name[i]))
            put_curves(w, store, ids, all.name[i]);
    if (rest)
        sh_webpage_unfold(w);
    if (all.failed)
        w->rc = sh_failf(w->sh, "out of memory");
    for (size_t i = 0; i < all.n; i++)
        free(all.name[i]);
}

/* ---- the whole ---- */

static void put_command(struct sh_webpage *w, const char *before, const char *between,
                        const struct sh_run_ids *ids, size_t n, const char *after)
{
    struct vq_text command = {0};
    vq_text_puts(&command, before);
    for (size_t i = 0; i < n; i++)
        vq_text_printf(&command, "%s%s", i ? between : "", ids->v[i]);
    vq_text_puts(&command, after);
    if (command.failed)
        w->rc = sh_failf(w->sh, "out of memory");
    else
        sh_webpage_command(w, command.data);
    vq_text_release(&command);
}

static void put_run(struct sh_webpage *w, struct vq_store *store, const char *id)
{
    char heading[64], command[64];
    snprintf(heading, sizeof(heading), "Run %s", id);
    snprintf(command, sizeof(command), "run %s", id);
    sh_webpage_section(w, heading);
    sh_webpage_fold(w, "All that was recorded");
    sh_webpage_command(w, command);
    sh_webpage_unfold(w);
    sh_webpage_samples(w, store, id);
}

void sh_webpage_runs(struct sh_webpage *w, struct vq_store *store, const struct sh_run_ids *ids)
{
    size_t compared = ids->n < MOST_COMPARED ? ids->n : MOST_COMPARED;
    sh_webpage_section(w, "Runs");
    put_command(w, "runs id=", ",", ids, ids->n, " -n 0");
    if (ids->n > 1) {
        sh_webpage_section(w, "What differs");
        if (ids->n > compared)
            sh_webpage_say(w, "Of the first %zu of %zu runs.", compared, ids->n);
        put_command(w, "diff ", " ", ids, compared, "");
    }
    put_all_curves(w, store, ids);
    for (size_t i = 0; i < ids->n && w->rc == SH_OK; i++)
        put_run(w, store, ids->v[i]);
}
