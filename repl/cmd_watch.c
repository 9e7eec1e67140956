/*
 * The command watch: a run that another program is writing, as it grows. The database is asked
 * again and again; on a terminal the curve is drawn anew in place, elsewhere new points are written
 * as they come, until the run has ended.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "repl/cmds.h"
#include "repl/curves.h"
#include "repl/out_private.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/terminal.h"

/* One metric that is followed. */
struct followed {
    char *name;
    int64_t points, last_seq; /* in the database, when it was asked last */
    int64_t seen, seen_seq, last_step;
    double last;
    bool chosen;           /* its points are read */
    struct sh_curve curve; /* screen only */
};

struct watch {
    struct sh *sh;
    const struct sh_args *a;
    struct vq_store *store;
    char id[VQ_RUN_ID_SIZE];
    struct followed *v;
    size_t n;
    bool screen;  /* drawn in place */
    size_t drawn; /* lines of the last drawing */
    bool failed;
    struct followed *reading;
    struct vq_run_info *info;
};

/* ---- reading ---- */

static bool wanted(const struct watch *w, const char *name)
{
    size_t given = sh_opt_count(w->a, "metric");
    for (size_t i = 0; i < given; i++)
        if (strcmp(sh_opt_nth(w->a, "metric", i), name) == 0)
            return true;
    return given == 0 && !w->screen;
}

static struct followed *follow(struct watch *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->v[i].name, name) == 0)
            return &w->v[i];
    struct followed *grown = vq_realloc(w->v, w->n + 1, sizeof(*grown));
    char *copy = grown ? vq_strdup(name) : NULL;
    w->v = grown ? grown : w->v;
    if (!copy)
        return NULL;
    w->v[w->n] = (struct followed){
        .name = copy, .seen_seq = -1, .last_step = INT64_MIN, .chosen = wanted(w, name)};
    return &w->v[w->n++];
}

static bool note_metric(void *ud, const struct vq_metric_info *m)
{
    struct watch *w = ud;
    struct followed *f = follow(w, m->name);
    w->failed = w->failed || !f;
    if (f) {
        f->points = m->points;
        f->last_seq = m->last_seq;
        f->last = m->last;
    }
    return f != NULL;
}

/* Without --metric the screen shows the loss, or the first metric there is. */
static void choose(struct watch *w)
{
    size_t pick = 0;
    bool any = !w->screen || sh_opt_given(w->a, "metric");
    for (size_t i = 0; i < w->n; i++) {
        any = any || w->v[i].chosen;
        pick = strcmp(w->v[i].name, "loss") == 0 ? i : pick;
    }
    if (!any && w->n)
        w->v[pick].chosen = true;
}

/* Points that are new since the last look. */
struct fresh {
    struct fresh_point {
        int64_t step;
        double time, value;
    } * v;
    size_t n, room;
    bool failed;
};

static bool add_fresh(void *ud, int64_t step, double time, double value)
{
    struct fresh *f = ud;
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 256;
        struct fresh_point *grown = vq_realloc(f->v, room, sizeof(*grown));
        f->failed = !grown;
        if (!grown)
            return false;
        f->v = grown;
        f->room = room;
    }
    f->v[f->n++] = (struct fresh_point){step, time, value};
    return true;
}

/* What was new when the metrics were asked for, no matter what has come since; mostly at steps from
 * the last one on. Where that is too little, some were logged at earlier steps, and all of them are
 * looked through. */
static enum vq_status read_fresh(struct watch *w, struct followed *f, struct fresh *out,
                                 struct vq_err *err)
{
    const int64_t from[] = {f->last_step, INT64_MIN};
    enum vq_status status = VQ_OK;
    for (int i = 0; i < 2 && status == VQ_OK && f->seen + (int64_t)out->n < f->points; i++) {
        out->n = 0;
        status = vq_store_points_between(w->store, w->id, f->name, from[i], f->seen_seq,
                                         f->last_seq, add_fresh, out, err);
        if (status == VQ_OK && out->failed)
            status = vq_nomem(err, "points", out->n, sizeof(*out->v));
    }
    f->seen_seq = f->last_seq;
    return status;
}

/* ---- showing ---- */

static void put_rows(struct watch *w, const struct followed *f, const struct fresh *fresh)
{
    char when[32];
    for (size_t i = 0; i < fresh->n; i++) {
        sh_row(w->sh);
        sh_str(w->sh, "time", sh_utc(fresh->v[i].time, when, sizeof(when)));
        sh_str(w->sh, "metric", f->name);
        sh_int(w->sh, "step", fresh->v[i].step);
        sh_f64(w->sh, "value", fresh->v[i].value);
    }
}

static enum vq_status take_fresh(struct watch *w, struct followed *f, struct vq_err *err)
{
    struct fresh fresh = {0};
    enum vq_status status = read_fresh(w, f, &fresh, err);
    if (status == VQ_OK && !w->screen)
        put_rows(w, f, &fresh);
    for (size_t i = 0; status == VQ_OK && i < fresh.n; i++) {
        const struct fresh_point *p = &fresh.v[i];
        f->last_step = p->step > f->last_step ? p->step : f->last_step;
        if (w->screen && !sh_curve_add(&f->curve, (double)p->step, p->value))
            status = vq_nomem(err, "curve", f->curve.n, sizeof(double));
    }
    f->seen += (int64_t)fresh.n;
    free(fresh.v);
    return status;
}

/* "run 1qs0m6rp9d train, running for 12 s, step 340" */
static void put_heading(struct watch *w, struct vq_text *out)
{
    int64_t step = INT64_MIN;
    double end = isfinite(w->info->ended_at) ? w->info->ended_at : sh_wall();
    for (size_t i = 0; i < w->n; i++)
        step = w->v[i].chosen && w->v[i].last_step > step ? w->v[i].last_step : step;
    vq_text_printf(out, "run %s %s, %s, %.0f s", w->id, w->info->command,
                   vq_run_status_name(w->info->status), end - w->info->started_at);
    if (step != INT64_MIN)
        vq_text_printf(out, ", step %lld", (long long)step);
    vq_text_puts(out, "\n");
}

/* "loss 5.8921   grad_norm 0.71   ...", as many lines as there is room for. */
static void put_values(struct watch *w, size_t lines, size_t columns, struct vq_text *out)
{
    size_t used = 0;
    for (size_t i = 0; i < w->n && lines > 0; i++) {
        char cell[128];
        int len = snprintf(cell, sizeof(cell), "%s %.5g", w->v[i].name, w->v[i].last);
        size_t width = len > 0 && len < (int)sizeof(cell) ? (size_t)len : sizeof(cell) - 1;
        if (used && used + 3 + width > columns) {
            vq_text_puts(out, "\n");
            used = 0;
            if (--lines == 0)
                return;
        }
        vq_text_puts(out, used ? "   " : "");
        vq_text_put(out, cell, width < columns ? width : columns);
        used += width + (used ? 3 : 0);
    }
    vq_text_puts(out, used ? "\n" : "");
}

/* Goes back over what was drawn last and draws anew; what is left of longer lines is wiped. */
static void redraw(struct watch *w, const struct vq_text *text)
{
    struct vq_text out = {0};
    if (w->drawn)
        vq_text_printf(&out, "\x1b[%zuA\r", w->drawn);
    w->drawn = 0;
    for (const char *p = text->data; p && *p;) {
        size_t n = strcspn(p, "\n");
        vq_text_put(&out, p, n);
        vq_text_puts(&out, "\x1b[K\n");
        w->drawn++;
        p += n + (p[n] == '\n');
    }
    vq_text_puts(&out, "\x1b[J");
    if (!out.failed) {
        sh_progress_clear(w->sh);
        sh_out_write(w->sh, out.data, out.len);
        fflush(w->sh->out->results);
    }
    vq_text_release(&out);
}

static enum vq_status draw(struct watch *w, struct vq_err *err)
{
    size_t rows = (size_t)sh_out_rows(w->sh), columns = (size_t)sh_out_columns(w->sh), n = 0;
    struct sh_curve *chosen = vq_calloc(w->n + 1, sizeof(*chosen));
    struct vq_text out = {0};
    char *plot = NULL;
    if (!chosen)
        return vq_nomem(err, "curves", w->n, sizeof(*chosen));
    for (size_t i = 0; i < w->n; i++) {
        if (!w->v[i].chosen)
            continue;
        chosen[n] = w->v[i].curve;
        chosen[n++].name = w->v[i].name;
    }
    size_t height = rows > 16 ? rows * 2 / 3 : rows > 6 ? rows - 3 : 3, lines;
    put_heading(w, &out);
    enum vq_status status = sh_curves_text(w->sh, chosen, n, NULL, "step", sh_opt_flag(w->a, "log"),
                                           height, &plot, &lines, err);
    vq_text_puts(&out, plot ? plot : "");
    if (rows > lines + 3)
        put_values(w, rows - lines - 3, columns, &out);
    if (status == VQ_OK && out.failed)
        status = vq_nomem(err, "screen", out.len, 1);
    if (status == VQ_OK)
        redraw(w, &out);
    vq_text_release(&out);
    free(plot);
    free(chosen);
    return status;
}

/* ---- the loop ---- */

/* Asks the database once; *over when the run has ended. */
static enum vq_status look(struct watch *w, bool *over, struct vq_err *err)
{
    bool gone;
    free(w->info);
    w->info = NULL;
    enum vq_status status = vq_store_recover(w->store, w->id, &gone, err);
    /* The state first: points that came before the end are then not missed. */
    if (status == VQ_OK)
        status = vq_store_run(w->store, w->id, &w->info, err);
    if (status == VQ_OK) {
        *over = gone || w->info->status != VQ_RUN_RUNNING;
        status = vq_store_metrics(w->store, w->id, note_metric, w, err);
    }
    if (status == VQ_OK && w->failed)
        status = vq_nomem(err, "metrics", w->n, sizeof(*w->v));
    choose(w);
    for (size_t i = 0; status == VQ_OK && i < w->n; i++)
        if (w->v[i].chosen && w->v[i].points > w->v[i].seen)
            status = take_fresh(w, &w->v[i], err);
    if (status == VQ_OK && w->screen)
        status = draw(w, err);
    else if (status == VQ_OK)
        sh_rows_out(w->sh);
    return status;
}

/* False when the user wants to stop, or nobody reads any more. */
static bool pause_for(struct sh *sh, double seconds)
{
    const struct timespec nap = {.tv_nsec = 20000000};
    for (double until = sh_now() + seconds; sh_now() < until;) {
        if (vq_cancelled(sh_cancel(sh)) || sh_out_gone(sh))
            return false;
        nanosleep(&nap, NULL);
    }
    return !vq_cancelled(sh_cancel(sh)) && !sh_out_gone(sh);
}

static enum sh_rc follow_run(struct watch *w)
{
    struct vq_err err = {0};
    bool over = false;
    enum sh_rc rc = SH_OK;
    if (!w->screen)
        sh_list(w->sh, "time metric step value");
    while (rc == SH_OK && !over) {
        if (look(w, &over, &err) != VQ_OK)
            rc = sh_fail(w->sh, &err);
        else if (!over && !pause_for(w->sh, sh_opt_real(w->a, "every")))
            rc = sh_interrupted(w->sh);
    }
    if (rc != SH_OK)
        return rc;
    sh_note(w->sh, "run %s %s%s%s", w->id, vq_run_status_name(w->info->status),
            *w->info->error ? ": " : "", w->info->error);
    return w->screen ? SH_OK : sh_end(w->sh);
}

static bool keep_id(void *ud, const char *id, const struct vq_value *values)
{
    (void)values;
    snprintf(ud, VQ_RUN_ID_SIZE, "%s", id);
    return true;
}

/* The newest run that is running, else the newest. */
static enum sh_rc find_run(struct watch *w)
{
    struct vq_err err = {0};
    const struct vq_listing running = {.filter = "status=running", .limit = 1};
    if (sh_arg_count(w->a) > 0)
        return sh_run_find(w->sh, w->a, 0, w->id);
    enum vq_status status =
        vq_store_list(w->store, &running, keep_id, w->id, NULL, NULL, NULL, &err);
    if (status == VQ_OK && !w->id[0])
        status = vq_store_find(w->store, "-1", w->id, &err);
    return status == VQ_OK ? SH_OK : sh_fail(w->sh, &err);
}

static enum sh_rc run_watch(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct viz_term term;
    struct watch w = {.sh = sh, .a = a, .store = sh_store(sh, &err)};
    const char *terminal = getenv("TERM");
    w.screen = sh_for_people(sh) && sh_terminal_pictures(sh, &term) && terminal &&
               strcmp(terminal, "dumb") != 0;
    enum sh_rc rc = find_run(&w);
    if (rc == SH_OK)
        rc = follow_run(&w);
    for (size_t i = 0; i < w.n; i++) {
        free(w.v[i].name);
        sh_curve_release(&w.v[i].curve);
    }
    free(w.v);
    free(w.info);
    return rc;
}

static const struct sh_opt watch_opts[] = {
    {.name = "metric",
     .letter = 'm',
     .kind = SH_METRIC,
     .value = "NAME",
     .many = true,
     .help = "follow this one (default: on a terminal loss, elsewhere all)"},
    {.name = "every",
     .kind = SH_REAL,
     .value = "SECONDS",
     .def = "0.5",
     .min = 0.05,
     .max = 3600,
     .help = "how often to look"},
    {.name = "log", .kind = SH_FLAG, .help = "logarithmic values"},
    SH_OPT_END};
static const char *const watch_examples[] = {"watch -1", "watch -1 --metric loss --every 2", NULL};
const struct sh_cmd cmd_watch = {
    .name = "watch",
    .group = "runs",
    .args = "[RUN]",
    .summary = "follow a run that is being written, until it ends",
    .detail = "Without RUN the newest that is running. On a terminal the curve is drawn anew as it "
              "grows, with the latest values below; elsewhere each new point is a row, written at "
              "once in csv, jsonl, line, markdown and plain. Ctrl-C leaves; the run goes on.",
    .examples = watch_examples,
    .max_args = 1,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .opts = watch_opts,
    .run = run_watch,
};
