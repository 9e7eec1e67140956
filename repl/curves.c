#include "repl/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/out.h"
#include "repl/terminal.h"
#include "viz/textplot.h"

enum sh_align sh_align_of(const char *name)
{
    return strcmp(name, "tokens") == 0 ? SH_BY_TOKENS
           : strcmp(name, "time") == 0 ? SH_BY_TIME
                                       : SH_BY_STEP;
}

const char *sh_align_label(enum sh_align align)
{
    static const char *const labels[] = {"step", "tokens", "seconds"};
    return labels[align];
}

bool sh_curve_add(struct sh_curve *c, double x, double y)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        double *xs = vq_realloc(c->x, cap, sizeof(*xs));
        c->x = xs ? xs : c->x;
        double *ys = vq_realloc(c->y, cap, sizeof(*ys));
        c->y = ys ? ys : c->y;
        c->failed = c->failed || !xs || !ys;
        if (c->failed)
            return false;
        c->cap = cap;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
    return true;
}

void sh_curve_release(struct sh_curve *c)
{
    free(c->name);
    free(c->x);
    free(c->y);
    *c = (struct sh_curve){0};
}

static bool add_by_step(void *ud, int64_t step, double time, double value)
{
    (void)time;
    return sh_curve_add(ud, (double)step, value);
}

static bool add_by_time(void *ud, int64_t step, double time, double value)
{
    (void)step;
    return sh_curve_add(ud, time, value);
}

static enum vq_status read_points(struct vq_store *store, const char *id, const char *metric,
                                  bool by_time, struct sh_curve *c, struct vq_err *err)
{
    enum vq_status status =
        vq_store_points(store, id, metric, by_time ? add_by_time : add_by_step, c, err);
    if (status == VQ_OK && c->failed)
        status = vq_nomem(err, "curve", c->n, sizeof(double));
    return status;
}

/* ---- tokens ---- */

static bool find_tokens(void *ud, const char *key, const struct vq_value *v)
{
    double *tokens = ud;
    if (strcmp(key, "tokens") == 0 && v->kind == VQ_VALUE_INT)
        *tokens = (double)v->i;
    return true;
}

/* The tokens at a step, between the two points of `t` around it; *at walks along. */
static double tokens_at(const struct sh_curve *t, size_t *at, double step)
{
    while (*at + 1 < t->n && t->x[*at + 1] <= step)
        ++*at;
    size_t i = *at, j = i + 1 < t->n ? i + 1 : i > 0 ? i - 1 : i;
    if (t->x[i] == step || t->x[i] == t->x[j])
        return t->y[i];
    return t->y[i] + (step - t->x[i]) * (t->y[j] - t->y[i]) / (t->x[j] - t->x[i]);
}

/* Turns the steps of c into tokens. */
static enum vq_status to_tokens(struct vq_store *store, const char *id, struct sh_curve *c,
                                struct vq_err *err)
{
    struct sh_curve t = {0};
    double total = NAN;
    size_t at = 0;
    enum vq_status status = read_points(store, id, "tokens", false, &t, err);
    if (status == VQ_OK && t.n == 0)
        status = vq_store_results(store, id, find_tokens, &total, err);
    double last = c->n ? c->x[c->n - 1] : 0;
    if (status == VQ_OK && t.n == 0 && !(total > 0 && last > 0))
        status = vq_fail(err, VQ_ENOTFOUND,
                         "run %s does not tell its tokens: it has no metric 'tokens'", id);
    for (size_t i = 0; status == VQ_OK && i < c->n; i++)
        c->x[i] = t.n ? tokens_at(&t, &at, c->x[i]) : c->x[i] * total / last;
    sh_curve_release(&t);
    return status;
}

/* ---- both ---- */

static enum vq_status since_start(struct vq_store *store, const char *id, struct sh_curve *c,
                                  struct vq_err *err)
{
    struct vq_run_info *info;
    enum vq_status status = vq_store_run(store, id, &info, err);
    if (status != VQ_OK)
        return status;
    for (size_t i = 0; i < c->n; i++)
        c->x[i] -= info->started_at;
    free(info);
    return status;
}

static void smooth_values(struct sh_curve *c, double weight)
{
    double mean = 0, left = 1; /* left: how much of the mean is still the zero it began with */
    for (size_t i = 0; i < c->n; i++) {
        if (!isfinite(c->y[i]))
            continue;
        mean = weight * mean + (1 - weight) * c->y[i];
        left *= weight;
        c->y[i] = mean / (1 - left);
    }
}

enum vq_status sh_curve_read(struct vq_store *store, const char *id, const char *metric,
                             enum sh_align align, double smooth, struct sh_curve *out,
                             struct vq_err *err)
{
    enum vq_status status = read_points(store, id, metric, align == SH_BY_TIME, out, err);
    if (status == VQ_OK && out->n == 0)
        status = vq_fail(err, VQ_ENOTFOUND, "run %s has no metric %s; 'run %s' lists them", id,
                         metric, id);
    if (status == VQ_OK && align == SH_BY_TOKENS)
        status = to_tokens(store, id, out, err);
    if (status == VQ_OK && align == SH_BY_TIME)
        status = since_start(store, id, out, err);
    if (status == VQ_OK && smooth > 0)
        smooth_values(out, smooth);
    return status;
}

enum vq_status sh_curves_text(struct sh *sh, const struct sh_curve *c, size_t n, const char *title,
                              const char *xlabel, bool log_y, size_t rows, char **out,
                              size_t *lines, struct vq_err *err)
{
    struct viz_term term;
    struct viz_series *s = vq_calloc(n + 1, sizeof(*s));
    size_t screen = (size_t)sh_out_rows(sh);
    *out = NULL;
    if (!s)
        return vq_nomem(err, "curves", n, sizeof(*s));
    for (size_t i = 0; i < n; i++)
        s[i] = (struct viz_series){.name = c[i].name,
                                   .x = viz_f64(c[i].x, c[i].n),
                                   .y = viz_f64(c[i].y, c[i].n)};
    sh_terminal_pictures(sh, &term);
    struct viz_textplot t = {.columns = term.columns,
                             .rows = rows          ? rows
                                     : screen > 12 ? screen * 2 / 3
                                                   : 8,
                             .colors = term.colors,
                             .title = title,
                             .xlabel = xlabel,
                             .log_y = log_y};
    enum vq_status status = viz_textplot_lines(out, &t, s, n, err);
    free(s);
    if (lines)
        *lines = 0;
    for (const char *p = *out; lines && p && (p = strchr(p, '\n')); p++)
        ++*lines;
    return status;
}
