/*
 * The command report: a model or runs as one HTML file that can be sent to somebody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/webpage_parts.h"

/* ---- which runs ---- */

/* Says what is wrong with --where or --sort, with a caret under it. */
static enum sh_rc bad_listing(struct sh *sh, const struct sh_args *a,
                              const struct vq_listing_place *place, const struct vq_err *err)
{
    const char *option = place->part == VQ_LISTING_SORT ? "sort" : "where";
    if (place->part == VQ_LISTING_NONE)
        return sh_fail(sh, err);
    /* Of several keys the word is pointed at as a whole. */
    return sh_bad_arg_at(sh, sh_opt_word(a, option), place->index ? 0 : place->at, "%s", err->msg);
}

static enum sh_rc add_named(struct sh *sh, const struct sh_args *a, struct vq_store *store,
                            struct sh_run_ids *ids)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE];
    for (size_t i = 0; i < sh_opt_count(a, "run"); i++) {
        if (vq_store_find(store, sh_opt_nth(a, "run", i), id, &err) != VQ_OK)
            return sh_fail(sh, &err);
        if (!sh_run_ids_add(ids, id))
            return sh_failf(sh, "out of memory");
    }
    ids->total = ids->n;
    return SH_OK;
}

/* The runs of every --run, then those that pass --where. */
static enum sh_rc pick_runs(struct sh *sh, const struct sh_args *a, struct vq_store *store,
                            char *const *sort, size_t n_sort, struct sh_run_ids *ids)
{
    struct vq_err err = {0};
    struct vq_listing_place place = {0};
    enum sh_rc rc = add_named(sh, a, store, ids);
    if (rc != SH_OK)
        return rc;
    size_t named = ids->n;
    const struct vq_listing q = {.filter = sh_opt_text(a, "where"),
                                 .sort = (const char *const *)sort,
                                 .n_sort = n_sort,
                                 .limit = (size_t)sh_opt_int(a, "limit")};
    if (sh_opt_given(a, "where") &&
        sh_run_ids_list(ids, store, &q, sh_cancel(sh), &place, &err) != VQ_OK)
        return bad_listing(sh, a, &place, &err);
    if (named) /* no listing gave these */
        ids->query.filter = NULL;
    return ids->n ? SH_OK : sh_failf(sh, "no run passes the filter");
}

/* ---- the page ---- */

static void make_title(const struct sh *sh, const struct sh_args *a, const struct sh_run_ids *ids,
                       struct vq_text *to)
{
    if (sh_opt_given(a, "title") && *sh_opt_text(a, "title"))
        vq_text_puts(to, sh_opt_text(a, "title"));
    else if (!ids)
        vq_text_printf(to, "Model %s", sh_model_current(sh)->name);
    else if (ids->n == 1)
        vq_text_printf(to, "Run %s", ids->v[0]);
    else
        vq_text_printf(to, "%zu runs", ids->n);
}

/* ids is NULL for a page about the model. */
static enum sh_rc write_page(struct sh *sh, const struct sh_args *a, const struct sh_run_ids *ids)
{
    struct sh_webpage w = {.sh = sh};
    struct vq_err err = {0};
    struct vq_text title = {0};
    struct vq_store *store = ids ? sh_store(sh, &err) : NULL;
    size_t bytes;
    make_title(sh, a, ids, &title);
    sh_webpage_open(&w, sh_arg(a, 0), title.data ? title.data : "");
    if (ids)
        sh_webpage_runs(&w, a, store, ids);
    else
        sh_webpage_model(&w, a, sh_model_current(sh));
    enum sh_rc rc = sh_webpage_close(&w, &bytes);
    vq_text_release(&title);
    if (rc != SH_OK)
        return rc;
    sh_record(sh);
    sh_str(sh, "path", sh_arg(a, 0));
    sh_uint(sh, "bytes", bytes);
    sh_uint(sh, "sections", w.sections);
    sh_uint(sh, "tables", w.tables);
    sh_uint(sh, "figures", w.figures);
    sh_uint(sh, "runs", w.runs);
    return sh_end(sh);
}

static enum sh_rc report_runs(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_run_ids ids = {0};
    char **sort = NULL;
    size_t n_sort = 0;
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    enum sh_rc rc = SH_OK;
    if (sh_opt_given(a, "sort"))
        rc = sh_split_names(sh, sh_opt_text(a, "sort"), &sort, &n_sort);
    if (rc == SH_OK)
        rc = pick_runs(sh, a, store, sort, n_sort, &ids);
    if (rc == SH_OK)
        rc = write_page(sh, a, &ids);
    sh_run_ids_release(&ids);
    if (sort)
        free(sort[0]);
    free(sort);
    return rc;
}

/* The first option of several that was given. */
static const char *given(const struct sh_args *a, const char *const *names)
{
    while (*names && !sh_opt_given(a, *names))
        names++;
    return *names;
}

static enum sh_rc run_report(struct sh *sh, const struct sh_args *a)
{
    static const char *const of_model[] = {"over", "text", "modules", "bytes", NULL};
    static const char *const of_runs[] = {"sort", "limit", "curves", "details", NULL};
    static const char *const of_listing[] = {"sort", "limit", NULL};
    bool runs = sh_opt_given(a, "run") || sh_opt_given(a, "where");
    const char *stray = given(a, runs ? of_model : of_runs);
    if (stray && runs)
        return sh_bad_arg(sh, sh_opt_word(a, stray), "--%s is of a page about a model", stray);
    if (stray)
        return sh_bad_arg(sh, sh_opt_word(a, stray), "--%s goes with --run or --where", stray);
    stray = sh_opt_given(a, "where") ? NULL : given(a, of_listing);
    if (stray)
        return sh_bad_arg(sh, sh_opt_word(a, stray), "--%s goes with --where", stray);
    if (runs)
        return report_runs(sh, a);
    if (!sh_model_current(sh))
        return sh_failf(sh, "no model is loaded: load one first, or give --run or --where");
    return write_page(sh, a, NULL);
}

static const struct sh_opt report_opts[] = {
    {.name = "title", .kind = SH_TEXT, .value = "TEXT", .help = "of the page"},
    {.name = "over",
     .kind = SH_PATH,
     .help = "model: also what it does with this text, picture or .npy file"},
    {.name = "text", .letter = 't', .kind = SH_TEXT, .value = "TEXT", .help = "model: the same"},
    {.name = "bytes",
     .kind = SH_INT,
     .value = "N",
     .def = "16384",
     .min = 0,
     .max = -1,
     .help = "model: so many of the text are read; 0: all"},
    {.name = "modules", .letter = 'm', .kind = SH_MODULES, .help = "model: of these alone"},
    {.name = "run", .kind = SH_RUN, .many = true, .value = "RUN", .help = "this run"},
    {.name = "where", .letter = 'w', .kind = SH_FILTER, .help = "runs that pass (help runs)"},
    {.name = "sort",
     .letter = 's',
     .kind = SH_FIELDS,
     .value = "A,B,...",
     .help = "runs: by these attributes; -A: downwards (default: newest first)"},
    {.name = "limit",
     .letter = 'n',
     .kind = SH_INT,
     .min = 0,
     .max = 1e9,
     .help = "runs: so many of them; 0: all (the default)"},
    {.name = "curves",
     .kind = SH_INT,
     .def = "8",
     .min = 0,
     .max = 64,
     .help = "runs: so many in one chart"},
    {.name = "details",
     .kind = SH_INT,
     .def = "24",
     .min = 0,
     .max = 1e9,
     .help = "runs: so many with all that is recorded"},
    SH_OPT_END};
static const char *const report_examples[] = {
    "report model.html",
    "report model.html --over samples/heldout.txt --title Prose",
    "report model.html --modules 0.1,2.2 --text \"Call me Ishmael.\"",
    "report runs.html --run -2 --run -1",
    "report runs.html --where command=score --sort bits_per_byte -n 100",
    NULL};
const struct sh_cmd cmd_report = {
    .name = "report",
    .group = "inspect",
    .args = "OUT.html",
    .summary = "write a page about the model, or about runs, to share",
    .detail =
        "One HTML file that needs no other file and no network, and prints well. Headings of "
        "tables sort them. An older file of that name is replaced, whole or not at all.\n\n"
        "Of the current model: configuration and where each value came from, parameters, "
        "codebooks, the runs that were made with its file and what they drew. With --over or "
        "--text "
        "also how unexpected the text was, where attention looked, and what codes mean.\n\n"
        "Of runs, with --run or --where: a table of all, what differs, curves of several runs in "
        "one chart, and each run with command line, seed, version, host, results and samples. "
        "Those named by --run come first, in their order. What there is no room for is said "
        "where it is left out.",
    .examples = report_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_OUTPATH},
    .opts = report_opts,
    .run = run_report,
};
