/*
 * The command report: a model or runs as one HTML file that can be sent to somebody.
 */
#include <stdio.h>
#include <string.h>

#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/webpage_parts.h"

struct listing {
    struct sh_run_ids *ids;
    bool failed;
};

static bool keep(void *ud, const char *id, const struct vq_value *values)
{
    struct listing *l = ud;
    (void)values;
    l->failed = !sh_run_ids_add(l->ids, id);
    return !l->failed;
}

/* The runs of every --run, then those that pass --where. */
static enum sh_rc pick_runs(struct sh *sh, const struct sh_args *a, struct sh_run_ids *ids)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE];
    struct listing l = {.ids = ids};
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    for (size_t i = 0; i < sh_opt_count(a, "run"); i++) {
        if (vq_store_find(store, sh_opt_nth(a, "run", i), id, &err) != VQ_OK)
            return sh_fail(sh, &err);
        l.failed = l.failed || !sh_run_ids_add(ids, id);
    }
    const struct vq_listing q = {.filter = sh_opt_text(a, "where")};
    if (!l.failed && sh_opt_given(a, "where") &&
        vq_store_list(store, &q, keep, &l, NULL, NULL, sh_cancel(sh), &err) != VQ_OK)
        return sh_fail(sh, &err);
    if (l.failed)
        return sh_failf(sh, "out of memory");
    return ids->n ? SH_OK : sh_failf(sh, "no run passes the filter");
}

static void put_runs(struct sh_webpage *w, const struct sh_args *a, char *title, size_t len)
{
    struct vq_err err = {0};
    struct sh_run_ids ids = {0};
    w->rc = pick_runs(w->sh, a, &ids);
    if (w->rc == SH_OK) {
        snprintf(title, len, ids.n == 1 ? "Run %s" : "%s and %zu more runs", ids.v[0], ids.n - 1);
        sh_webpage_runs(w, sh_store(w->sh, &err), &ids);
    }
    sh_run_ids_release(&ids);
}

static void put_model(struct sh_webpage *w, const struct sh_args *a, char *title, size_t len)
{
    struct sh_model *m = sh_model_current(w->sh);
    if (!m) {
        w->rc = sh_failf(w->sh, "no model is loaded: load one first, or give --run or --where");
        return;
    }
    snprintf(title, len, "Model %s", m->name);
    sh_webpage_model(w, m, sh_opt_text(a, "over"));
}

static enum sh_rc run_report(struct sh *sh, const struct sh_args *a)
{
    struct sh_webpage w = {.sh = sh};
    struct vq_err err = {0};
    char title[256] = "";
    size_t bytes = 0;
    bool of_runs = sh_opt_given(a, "run") || sh_opt_given(a, "where");
    if (of_runs && sh_opt_given(a, "over"))
        return sh_bad_arg(sh, sh_opt_word(a, "over"), "a page about runs looks at no file");
    if (of_runs)
        put_runs(&w, a, title, sizeof(title));
    else
        put_model(&w, a, title, sizeof(title));
    if (sh_opt_given(a, "title"))
        snprintf(title, sizeof(title), "%s", sh_opt_text(a, "title"));
    if (w.rc == SH_OK && sh_webpage_write(&w, sh_arg(a, 0), title, &bytes, &err) != VQ_OK)
        w.rc = sh_fail(sh, &err);
    sh_webpage_release(&w);
    if (w.rc != SH_OK)
        return w.rc;
    sh_record(sh);
    sh_str(sh, "path", sh_arg(a, 0));
    sh_uint(sh, "bytes", bytes);
    sh_uint(sh, "sections", w.sections);
    sh_uint(sh, "figures", w.figures);
    return sh_end(sh);
}

static const struct sh_opt report_opts[] = {
    {.name = "run", .kind = SH_RUN, .many = true, .value = "RUN", .help = "this run"},
    {.name = "where", .letter = 'w', .kind = SH_FILTER, .help = "runs that pass (help runs)"},
    {.name = "over",
     .kind = SH_PATH,
     .value = "FILE",
     .help = "also what the model does with this text or picture"},
    {.name = "title", .kind = SH_TEXT, .value = "TEXT", .help = "of the page"},
    SH_OPT_END};
static const char *const report_examples[] = {
    "report model.html", "report model.html --over samples/heldout.txt --title Prose",
    "report runs.html --run -1", NULL};
const struct sh_cmd cmd_report = {
    .name = "report",
    .group = "inspect",
    .args = "OUT.html",
    .summary = "write a page about the model, or about runs, to share",
    .detail =
        "One HTML file that needs no other file and no network: configuration, codebooks, charts, "
        "runs and what they drew; of runs, what differs and their curves. Headings of tables sort "
        "them, and it prints well. Without --run or --where it is about the current model.",
    .examples = report_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_OUTPATH},
    .opts = report_opts,
    .run = run_report,
};
